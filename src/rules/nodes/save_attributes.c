/* save_attributes: the members of the data become attributes of the originator in one scope. */
#include "rules/nodes/nodes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rules/nodes/processing_settings.h"
#include "rules/nodes/save_kvs.h"
#include "rules/run.h"

struct settings {
    enum ps_attribute_scope scope;
    bool notify_device, tell_rule_chain, only_changed;
    bool keep, tell_subscribers, run_alarm_rules;
};

static const struct scope_name {
    const char *name;
    enum ps_attribute_scope scope;
} scope_names[] = {
    { "CLIENT_SCOPE", PS_SCOPE_CLIENT },
    { "SHARED_SCOPE", PS_SCOPE_SHARED },
    { "SERVER_SCOPE", PS_SCOPE_SERVER },
};

static bool parse_scope(const char *text, size_t len, enum ps_attribute_scope *out)
{
    for (size_t i = 0; i < sizeof scope_names / sizeof scope_names[0]; i++) {
        const struct scope_name *known = &scope_names[i];
        if (strlen(known->name) == len && memcmp(known->name, text, len) == 0) {
            *out = known->scope;
            return true;
        }
    }
    return false;
}

static enum ps_status init(struct ps_node *node, const json_t *config, struct ps_text *why)
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return PS_ENOMEM;
    node->state = settings;
    const char *scope = json_string_value(json_object_get(config, "scope"));
    if (!scope || !parse_scope(scope, strlen(scope), &settings->scope)) {
        ps_text_set(why, "scope: unknown scope");
        return PS_EINVAL;
    }
    settings->notify_device = json_is_true(json_object_get(config, "notifyDevice"));
    settings->tell_rule_chain =
        json_is_true(json_object_get(config, "sendAttributesUpdatedNotification"));
    settings->only_changed =
        json_is_true(json_object_get(config, "updateAttributesOnlyOnValueChange"));
    const struct ps_processing_effect effects[] = {
        { "attributes", &settings->keep, false },
        { "webSockets", &settings->tell_subscribers, true },
        { "calculatedFields", &settings->run_alarm_rules, false },
        { NULL, NULL, false },
    };
    enum ps_status st = ps_processing_settings_read(config, effects, why);
    if (st == PS_OK && !settings->keep) {
        ps_text_set(why, "processingSettings: attributes that are not stored are not available "
                         "in this version");
        st = PS_EINVAL;
    }
    return st;
}

static void deinit(struct ps_node *node)
{
    free(node->state);
}

/* Metadata can hold the push back, not ask for it to be made: absent counts as empty, and device
 * transports say "false" of what the device itself sent. */
static bool wants_notify(const struct settings *settings, const struct ps_msg_content *content)
{
    const struct ps_pair *pair = ps_msg_metadata(content, "notifyDevice");
    return settings->notify_device || !pair || pair->value_len == 0 ||
           (pair->value_len == 4 && memcmp(pair->value, "true", 4) == 0);
}

static enum ps_step save(const struct ps_node *node, const struct ps_visit *visit,
                         enum ps_attribute_scope scope, struct ps_step_out *out)
{
    const struct settings *settings = node->state;
    const struct ps_msg_content *content = &visit->msg->content;
    const struct ps_kv *kvs;
    struct ps_kv *copy;
    uint32_t count = content->kv_count;
    struct ps_text why;
    why.data[0] = '\0';
    enum ps_status st = ps_save_without_nulls(visit, content->kvs, &count, &kvs, &copy);
    if (st == PS_OK && count == 0)
        ps_run_count(&ps_visit_env(visit)->counters.empty_saves, 1);
    if (st == PS_OK && count) {
        const struct ps_save_attributes request = {
            .scope = scope,
            .kvs = kvs,
            .kv_count = count,
            .only_changed = settings->only_changed,
            .notify_device = scope == PS_SCOPE_SHARED && wants_notify(settings, content),
            .tell_rule_chain = scope != PS_SCOPE_CLIENT && settings->tell_rule_chain,
            .tell_subscribers = settings->tell_subscribers,
        };
        st = visit->host->ops->save_attributes(visit->host, visit->msg, &request, &why);
    }
    free(copy);
    return ps_save_step(out, st, &why);
}

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    const struct settings *settings = node->state;
    const struct ps_msg_content *content = &visit->msg->content;
    enum ps_attribute_scope scope = settings->scope;
    if (content->type != PS_MSG_POST_ATTRIBUTES)
        return ps_step_failure(out, PS_FAILURE_NODE, PS_EINVAL, "unsupported message type: %.*s",
                               (int)content->type_name_len, content->type_name);
    const struct ps_pair *given = ps_msg_metadata(content, "scope");
    if (given && !parse_scope(given->value, given->value_len, &scope))
        return ps_step_failure(out, PS_FAILURE_NODE, PS_EINVAL, "unknown scope: %.*s",
                               given->value_len > 64 ? 64 : (int)given->value_len, given->value);
    if (content->data_kind != PS_DATA_OBJECT)
        return ps_step_failure(out, PS_FAILURE_NODE, PS_EINVAL, "data is not an object");
    return save(node, visit, scope, out);
}

static const char *const scopes[] = { "CLIENT_SCOPE", "SHARED_SCOPE", "SERVER_SCOPE", NULL };

static const struct ps_option_field fields[] = {
    { .name = "processingSettings",
      .type = PS_OPTION_OBJECT,
      .fallback = "{\"type\":\"ON_EVERY_MESSAGE\"}" },
    { .name = "scope", .type = PS_OPTION_ENUM, .fallback = "\"SERVER_SCOPE\"", .choices = scopes },
    { .name = "notifyDevice", .type = PS_OPTION_BOOL, .fallback = "false" },
    { .name = "sendAttributesUpdatedNotification", .type = PS_OPTION_BOOL, .fallback = "false" },
    { .name = "updateAttributesOnlyOnValueChange", .type = PS_OPTION_BOOL, .fallback = "true" },
    { .name = NULL },
};

static const char *const relations[] = { "Success", NULL };

const struct ps_node_kind PS_NODE_SAVE_ATTRIBUTES = {
    .type = "action.save_attributes",
    .reference_class = "telemetry.TbMsgAttributesNode",
    .fields = fields,
    .relations = relations,
    .stores = true,
    .init = init,
    .run = run,
    .deinit = deinit,
};
