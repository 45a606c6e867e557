/* flow: calling another chain, coming back from it, acknowledging early, doing nothing. */
#include "rules/nodes/nodes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rules/run.h"

/* --- flow.rule_chain --- */

struct call_target {
    bool has_chain;
    struct ps_uuid chain;
    bool use_default; /* the originator's own chain, else `chain` */
};

static enum ps_status init_call(struct ps_node *node, const json_t *config, struct ps_text *why)
{
    struct call_target *target = calloc(1, sizeof *target);
    if (!target)
        return PS_ENOMEM;
    node->state = target;
    target->use_default = json_is_true(json_object_get(config, "forwardMsgToDefaultRuleChain"));
    const char *id = json_string_value(json_object_get(config, "ruleChainId"));
    target->has_chain = id && ps_uuid_parse(id, strlen(id), &target->chain) == PS_OK;
    if (target->has_chain || target->use_default)
        return PS_OK;
    ps_text_set(why, "ruleChainId: a rule chain must be named");
    return PS_EINVAL;
}

static enum ps_step run_call(const struct ps_node *node, const struct ps_visit *visit,
                             struct ps_step_out *out)
{
    const struct call_target *target = node->state;
    const struct ps_run_env *env = ps_visit_env(visit);
    out->chain = target->has_chain ? &target->chain : NULL;
    if (target->use_default && env->default_chain) {
        const struct ps_uuid *own = env->default_chain(env->user, visit->host, visit->msg);
        if (own)
            out->chain = own;
    }
    if (!out->chain)
        return ps_step_failure(out, PS_FAILURE_NODE, PS_ENOTFOUND,
                               "the originator has no rule chain of its own and none is named");
    return PS_STEP_CALL;
}

static void deinit_call(struct ps_node *node)
{
    free(node->state);
}

static const struct ps_option_field call_fields[] = {
    { .name = "ruleChainId", .type = PS_OPTION_UUID },
    { .name = "forwardMsgToDefaultRuleChain", .type = PS_OPTION_BOOL, .fallback = "false" },
    { .name = NULL },
};

const struct ps_node_kind PS_NODE_RULE_CHAIN = {
    .type = "flow.rule_chain",
    .reference_class = "flow.TbRuleChainInputNode",
    .fields = call_fields,
    .custom_relations = true,
    .init = init_call,
    .run = run_call,
    .deinit = deinit_call,
};

/* --- flow.output --- */

static enum ps_step run_output(const struct ps_node *node, const struct ps_visit *visit,
                               struct ps_step_out *out)
{
    (void)visit;
    out->relations[0] = ps_relation_of(node->name, strlen(node->name));
    out->relation_count = 1;
    return PS_STEP_RETURN;
}

const struct ps_node_kind PS_NODE_OUTPUT = {
    .type = "flow.output",
    .reference_class = "flow.TbRuleChainOutputNode",
    .run = run_output,
};

/* --- flow.ack, flow.nop --- */

static enum ps_step run_ack(const struct ps_node *node, const struct ps_visit *visit,
                            struct ps_step_out *out)
{
    (void)node;
    ps_run_ack_now(visit);
    return ps_step_next(out, PS_REL_SUCCESS);
}

static enum ps_step run_nop(const struct ps_node *node, const struct ps_visit *visit,
                            struct ps_step_out *out)
{
    (void)node;
    (void)visit;
    return ps_step_next(out, PS_REL_SUCCESS);
}

static const char *const success_only[] = { "Success", NULL };

const struct ps_node_kind PS_NODE_ACK = {
    .type = "flow.ack",
    .reference_class = "flow.TbAckNode",
    .relations = success_only,
    .run = run_ack,
};

const struct ps_node_kind PS_NODE_NOP = {
    .type = "flow.nop",
    .relations = success_only,
    .run = run_nop,
};
