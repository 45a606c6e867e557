/* script_transform: Lua makes a new message, several, or none. */
#include "rules/nodes/nodes.h"

#include <stdlib.h>

static enum ps_step derive_failed(struct ps_step_out *out, enum ps_status st)
{
    if (st == PS_ELIMIT)
        return ps_step_failure(out, PS_FAILURE_SCRIPT, st, "result over the size of a message");
    return ps_step_failure(out, PS_FAILURE_NODE, st, "%s", ps_status_text(st));
}

static enum ps_status derive_more(const struct ps_msg *origin,
                                  const struct ps_script_messages *made, struct ps_step_out *out)
{
    if (made->count == 1)
        return PS_OK;
    out->more = calloc(made->count - 1, sizeof *out->more);
    if (!out->more)
        return PS_ENOMEM;
    for (size_t i = 1; i < made->count; i++) {
        enum ps_status st = ps_msg_derive(origin, &made->list[i], &out->more[i - 1]);
        if (st != PS_OK)
            return st;
        out->more_count++;
    }
    return PS_OK;
}

/* After a failure nothing of the result may go on. */
static void drop_made(struct ps_step_out *out)
{
    ps_msg_release(out->msg);
    for (uint32_t i = 0; i < out->more_count; i++)
        ps_msg_release(out->more[i]);
    free(out->more);
    out->msg = NULL;
    out->more = NULL;
    out->more_count = 0;
}

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    struct ps_node_script_call call;
    struct ps_script_messages made;
    if (!ps_node_script_call_init(&call, node, visit, out))
        return PS_STEP_FAILURE;
    enum ps_status st =
        ps_lua_transform(call.lua, node->script, visit->msg, &call.context, &made, &call.error);
    if (st != PS_OK)
        return ps_step_script_failure(out, st, &call.error);
    if (made.count == 0)
        return PS_STEP_ACK;
    st = ps_msg_derive(visit->msg, &made.list[0], &out->msg);
    if (st == PS_OK)
        st = derive_more(visit->msg, &made, out);
    if (st != PS_OK) {
        drop_made(out);
        return derive_failed(out, st);
    }
    return ps_step_next(out, PS_REL_SUCCESS);
}

static const char *const relations[] = { "Success", NULL };

const struct ps_node_kind PS_NODE_TRANSFORM_SCRIPT = {
    .type = "transform.script",
    .reference_class = "transform.TbTransformMsgNode",
    .relations = relations,
    .has_script = true,
    .script_kind = PS_SCRIPT_TRANSFORM,
    .default_script = "return {msg = msg, metadata = metadata, msgType = msgType}",
    .run = run,
};
