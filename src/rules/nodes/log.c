/* log: a Lua text goes to the server log, tagged with tenant and node. */
#include "rules/nodes/nodes.h"

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    struct ps_node_script_call call;
    struct ps_script_text text;
    if (!ps_node_script_call_init(&call, node, visit, out))
        return PS_STEP_FAILURE;
    enum ps_status st =
        ps_lua_text(call.lua, node->script, visit->msg, &call.context, &text, &call.error);
    if (st != PS_OK)
        return ps_step_script_failure(out, st, &call.error);
    ps_node_log(node, visit, PS_LOG_INFO, text.data, text.len);
    return ps_step_next(out, PS_REL_SUCCESS);
}

static const char *const relations[] = { "Success", NULL };

const struct ps_node_kind PS_NODE_LOG = {
    .type = "action.log",
    .reference_class = "action.TbLogNode",
    .relations = relations,
    .has_script = true,
    .script_kind = PS_SCRIPT_TEXT,
    .default_script = "return \"data \" .. json.encode(msg) .. \" meta \" .. json.encode(metadata)",
    .run = run,
};
