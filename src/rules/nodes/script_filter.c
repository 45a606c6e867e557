/* script_filter: a Lua boolean decides between True and False. */
#include "rules/nodes/nodes.h"

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    struct ps_node_script_call call;
    bool passes;
    if (!ps_node_script_call_init(&call, node, visit, out))
        return PS_STEP_FAILURE;
    enum ps_status st =
        ps_lua_filter(call.lua, node->script, visit->msg, &call.context, &passes, &call.error);
    if (st != PS_OK)
        return ps_step_script_failure(out, st, &call.error);
    return ps_step_next(out, passes ? PS_REL_TRUE : PS_REL_FALSE);
}

static const char *const relations[] = { "True", "False", NULL };

const struct ps_node_kind PS_NODE_FILTER_SCRIPT = {
    .type = "filter.script",
    .reference_class = "filter.TbJsFilterNode",
    .relations = relations,
    .has_script = true,
    .script_kind = PS_SCRIPT_FILTER,
    .default_script = "return msg.temperature > 20",
    .run = run,
};
