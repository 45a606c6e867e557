/* msg_type: routing by the type of the message: the switch over all types, and the filter of some.
 *
 * The filter keeps known types as a bit set; custom types are compared as text. */
#include "rules/nodes/nodes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static enum ps_step run_switch(const struct ps_node *node, const struct ps_visit *visit,
                               struct ps_step_out *out)
{
    (void)node;
    out->relations[0] = ps_relation_of_type(visit->msg->content.type);
    out->relation_count = 1;
    return PS_STEP_NEXT;
}

#define TYPE_RELATION(name, wire, relation) relation,
static const char *const switch_relations[] = { PS_MSG_TYPE_LIST(TYPE_RELATION) NULL };
#undef TYPE_RELATION

const struct ps_node_kind PS_NODE_FILTER_MSG_TYPE_SWITCH = {
    .type = "filter.msg_type_switch",
    .reference_class = "filter.TbMsgTypeSwitchNode",
    .relations = switch_relations,
    .run = run_switch,
};

_Static_assert(PS_MSG_TYPE_COUNT <= 64, "known types are kept as bits of one word");

struct type_set {
    uint64_t known; /* 1 << enum ps_msg_type */
    size_t custom_count;
    char *custom[]; /* terminated */
};

static enum ps_status init(struct ps_node *node, const json_t *config, struct ps_text *why)
{
    const json_t *types = json_object_get(config, "messageTypes");
    (void)why;
    struct type_set *set = calloc(1, sizeof *set + json_array_size(types) * sizeof set->custom[0]);
    if (!set)
        return PS_ENOMEM;
    node->state = set;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        enum ps_msg_type type = ps_msg_type_parse(name, strlen(name));
        if (type != PS_MSG_CUSTOM) {
            set->known |= 1ull << type;
            continue;
        }
        set->custom[set->custom_count] = strdup(name);
        if (!set->custom[set->custom_count])
            return PS_ENOMEM;
        set->custom_count++;
    }
    return PS_OK;
}

static bool has_custom(const struct type_set *set, const struct ps_msg_content *content)
{
    for (size_t i = 0; i < set->custom_count; i++)
        if (strlen(set->custom[i]) == content->type_name_len &&
            memcmp(set->custom[i], content->type_name, content->type_name_len) == 0)
            return true;
    return false;
}

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    const struct type_set *set = node->state;
    const struct ps_msg_content *content = &visit->msg->content;
    bool listed =
        content->type == PS_MSG_CUSTOM ? has_custom(set, content) : set->known >> content->type & 1;
    return ps_step_next(out, listed ? PS_REL_TRUE : PS_REL_FALSE);
}

static void deinit(struct ps_node *node)
{
    struct type_set *set = node->state;
    for (size_t i = 0; set && i < set->custom_count; i++)
        free(set->custom[i]);
    free(set);
}

static const struct ps_option_field fields[] = {
    { .name = "messageTypes",
      .type = PS_OPTION_STRING_LIST,
      .fallback = "[\"POST_ATTRIBUTES_REQUEST\",\"POST_TELEMETRY_REQUEST\","
                  "\"TO_SERVER_RPC_REQUEST\"]" },
    { .name = NULL },
};

static const char *const relations[] = { "True", "False", NULL };

const struct ps_node_kind PS_NODE_FILTER_MSG_TYPE = {
    .type = "filter.msg_type",
    .reference_class = "filter.TbMsgTypeFilterNode",
    .fields = fields,
    .relations = relations,
    .init = init,
    .run = run,
    .deinit = deinit,
};
