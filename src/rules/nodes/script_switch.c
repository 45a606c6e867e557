/* script_switch: Lua names the relations to follow; none ends the branch well. */
#include "rules/nodes/nodes.h"

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    struct ps_node_script_call call;
    struct ps_script_labels labels;
    if (!ps_node_script_call_init(&call, node, visit, out))
        return PS_STEP_FAILURE;
    enum ps_status st =
        ps_lua_switch(call.lua, node->script, visit->msg, &call.context, &labels, &call.error);
    if (st != PS_OK)
        return ps_step_script_failure(out, st, &call.error);
    if (labels.count > PS_STEP_RELATIONS_MAX)
        return ps_step_failure(out, PS_FAILURE_SCRIPT, PS_ELIMIT, "more than %d relations told",
                               PS_STEP_RELATIONS_MAX);
    if (labels.count == 0)
        return PS_STEP_ACK;
    for (size_t i = 0; i < labels.count; i++)
        out->relations[i] = ps_relation_of(labels.list[i].text, labels.list[i].len);
    out->relation_count = (unsigned)labels.count;
    return PS_STEP_NEXT;
}

const struct ps_node_kind PS_NODE_FILTER_SWITCH = {
    .type = "filter.switch",
    .reference_class = "filter.TbJsSwitchNode",
    .custom_relations = true,
    .has_script = true,
    .script_kind = PS_SCRIPT_SWITCH,
    .default_script = "return msgType",
    .run = run,
};
