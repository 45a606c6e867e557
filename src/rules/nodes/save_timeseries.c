/* save_timeseries: the data of a message become points of its originator.
 *
 * Three shapes: a flat object, {"ts","values"}, a list of either. The first is the hot path: the
 * message's key-values go to the host as they are. */
#include "rules/nodes/nodes.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/entity/ttl.h"
#include "rules/nodes/processing_settings.h"
#include "rules/nodes/save_kvs.h"
#include "rules/nodes/strict_json.h"
#include "rules/run.h"

struct settings {
    uint32_t default_ttl_s;
    bool use_server_ts;
    bool keep_history, keep_latest, tell_subscribers, run_alarm_rules;
};

static enum ps_status init(struct ps_node *node, const json_t *config, struct ps_text *why)
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return PS_ENOMEM;
    node->state = settings;
    settings->default_ttl_s =
        (uint32_t)json_integer_value(json_object_get(config, "defaultTTL")); /* within its bounds */
    settings->use_server_ts = json_is_true(json_object_get(config, "useServerTs"));
    const struct ps_processing_effect effects[] = {
        { "timeseries", &settings->keep_history, false },
        { "latest", &settings->keep_latest, false },
        { "webSockets", &settings->tell_subscribers, true },
        { "calculatedFields", &settings->run_alarm_rules, false },
        { NULL, NULL, false },
    };
    return ps_processing_settings_read(config, effects, why);
}

static void deinit(struct ps_node *node)
{
    free(node->state);
}

/* Digits, with a sign: all of the text, within int64. */
static bool parse_decimal(const char *text, size_t len, int64_t *out)
{
    char copy[24], *end;
    if (len == 0 || len >= sizeof copy || !strchr("-0123456789", text[0]))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    errno = 0;
    long long value = strtoll(copy, &end, 10);
    if (errno || *end || end == copy)
        return false;
    *out = value;
    return true;
}

/* metadata.TTL, else the node's. NULL: *ttl_s is set; else what is wrong with it. */
static const char *find_ttl(const struct settings *settings, const struct ps_msg *msg,
                            uint32_t *ttl_s)
{
    const struct ps_pair *ttl = ps_msg_metadata(&msg->content, "TTL");
    int64_t value = settings->default_ttl_s;
    if (ttl && !parse_decimal(ttl->value, ttl->value_len, &value))
        return "TTL is not a number of seconds";
    if (value < 0)
        return "TTL is negative";
    if (value > PS_TTL_S_MAX)
        return "TTL is more than 3153600000 seconds (36500 days)";
    *ttl_s = (uint32_t)value;
    return NULL;
}

/* One object to save: what all of a message share, and where the answer goes. */
struct saving {
    const struct ps_node *node;
    const struct ps_visit *visit;
    int64_t default_ts_ms;
    uint32_t ttl_s;
    uint32_t saved; /* key-values so far */
    struct ps_text why;
};

static enum ps_status save_members(struct saving *saving, int64_t ts_ms, const struct ps_kv *kvs,
                                   uint32_t count)
{
    const struct settings *settings = saving->node->state;
    struct ps_host *host = saving->visit->host;
    if (count == 0)
        return PS_OK;
    const struct ps_save_telemetry save = {
        .ts_ms = ts_ms,
        .ttl_s = saving->ttl_s,
        .kvs = kvs,
        .kv_count = count,
        .keep_history = settings->keep_history,
        .keep_latest = settings->keep_latest,
        .tell_subscribers = settings->tell_subscribers,
    };
    saving->saved += count;
    return host->ops->save_telemetry(host, saving->visit->msg, &save, &saving->why);
}

static enum ps_status save_flat(struct saving *saving, int64_t ts_ms, const struct ps_kv *kvs,
                                uint32_t count)
{
    struct ps_kv *copy;
    enum ps_status st = ps_save_without_nulls(saving->visit, kvs, &count, &kvs, &copy);
    if (st == PS_OK)
        st = save_members(saving, ts_ms, kvs, count);
    free(copy);
    return st;
}

/* What one look over the members of an object tells. */
struct shape {
    const struct ps_value *ts, *values; /* both: {"ts","values"}; else it is the plain shape */
    uint32_t nulls;
};

static struct shape look_at(const struct ps_kv *kvs, uint32_t count)
{
    struct shape shape = { NULL, NULL, 0 };
    for (uint32_t i = 0; i < count; i++) {
        const struct ps_kv *kv = &kvs[i];
        shape.nulls += kv->value.type == PS_VALUE_NULL;
        if (kv->key_len == 2 && memcmp(kv->key, "ts", 2) == 0)
            shape.ts = &kv->value;
        else if (kv->key_len == 6 && memcmp(kv->key, "values", 6) == 0)
            shape.values = &kv->value;
    }
    return shape;
}

static bool read_ts(const struct ps_value *ts, int64_t *out)
{
    switch (ts->type) {
    case PS_VALUE_LONG:
        *out = ts->integer;
        return true;
    case PS_VALUE_DOUBLE:
        if (!(fabs(ts->real) < 9.2e18))
            return false;
        *out = (int64_t)ts->real;
        return true;
    case PS_VALUE_STRING:
        return parse_decimal(ts->text, ts->len, out);
    default:
        return false;
    }
}

static void count_widened(struct saving *saving, const struct ps_strict_object *object)
{
    if (object->integers_widened)
        ps_run_count(&ps_visit_env(saving->visit)->counters.integers_widened,
                     object->integers_widened);
}

static enum ps_status save_with_ts(struct saving *saving, const struct ps_value *ts,
                                   const struct ps_value *values)
{
    const struct settings *settings = saving->node->state;
    int64_t ts_ms;
    if (!read_ts(ts, &ts_ms)) {
        ps_text_set(&saving->why, "ts is not a timestamp");
        return PS_EINVAL;
    }
    if (settings->use_server_ts)
        ts_ms = saving->default_ts_ms;
    struct ps_strict_object object = { 0 };
    enum ps_status st = PS_EPROTO;
    if (values->type == PS_VALUE_JSON)
        st = ps_strict_object_parse(&object, values->text, values->len);
    count_widened(saving, &object);
    if (st == PS_OK) {
        st = save_flat(saving, ts_ms, object.kvs, object.count);
    } else if (st == PS_EPROTO) {
        ps_text_set(&saving->why, "values is not an object");
        st = PS_EINVAL;
    }
    ps_strict_object_deinit(&object);
    return st;
}

static enum ps_status save_object(struct saving *saving, const struct ps_kv *kvs, uint32_t count)
{
    struct shape shape = look_at(kvs, count);
    if (shape.ts && shape.values)
        return save_with_ts(saving, shape.ts, shape.values);
    if (shape.nulls)
        return save_flat(saving, saving->default_ts_ms, kvs, count);
    return save_members(saving, saving->default_ts_ms, kvs, count);
}

static enum ps_status save_list(struct saving *saving, const struct ps_msg_content *content)
{
    const char *element;
    size_t at = 0, element_len;
    bool valid;
    struct ps_strict_object object = { 0 };
    enum ps_status st = PS_OK;
    while (st == PS_OK && ps_strict_array_next(content->data, content->data_len, &at, &element,
                                               &element_len, &valid)) {
        st = ps_strict_object_parse(&object, element, element_len);
        if (st == PS_OK)
            st = save_object(saving, object.kvs, object.count);
    }
    count_widened(saving, &object);
    ps_strict_object_deinit(&object);
    if (st == PS_EPROTO || (st == PS_OK && !valid)) {
        ps_text_set(&saving->why, "data is not an object or a list of objects");
        st = PS_EINVAL;
    }
    return st;
}

static enum ps_step run(const struct ps_node *node, const struct ps_visit *visit,
                        struct ps_step_out *out)
{
    const struct settings *settings = node->state;
    const struct ps_msg *msg = visit->msg;
    const struct ps_msg_content *content = &msg->content;
    struct saving saving; /* not zeroed as a whole: `why` is large */
    saving.node = node;
    saving.visit = visit;
    saving.saved = 0;
    saving.why.data[0] = '\0';
    if (content->type != PS_MSG_POST_TELEMETRY)
        return ps_step_failure(out, PS_FAILURE_NODE, PS_EINVAL, "unsupported message type: %.*s",
                               (int)content->type_name_len, content->type_name);
    const char *wrong = find_ttl(settings, msg, &saving.ttl_s);
    if (wrong)
        return ps_step_failure(out, PS_FAILURE_NODE, PS_EINVAL, "%s", wrong);
    saving.default_ts_ms = settings->use_server_ts ? ps_clock_now_ms() : msg->ts_ms;
    enum ps_status st;
    if (content->data_kind == PS_DATA_OBJECT)
        st = save_object(&saving, content->kvs, content->kv_count);
    else
        st = save_list(&saving, content);
    if (st == PS_OK && saving.saved == 0)
        ps_run_count(&ps_visit_env(visit)->counters.empty_saves, 1);
    return ps_save_step(out, st, &saving.why);
}

static const struct ps_option_field fields[] = {
    { .name = "defaultTTL", .type = PS_OPTION_INT, .fallback = "0", .min = 0, .max = PS_TTL_S_MAX },
    { .name = "useServerTs", .type = PS_OPTION_BOOL, .fallback = "false" },
    { .name = "processingSettings",
      .type = PS_OPTION_OBJECT,
      .fallback = "{\"type\":\"ON_EVERY_MESSAGE\"}" },
    { .name = NULL },
};

static const char *const relations[] = { "Success", NULL };

const struct ps_node_kind PS_NODE_SAVE_TIMESERIES = {
    .type = "action.save_timeseries",
    .reference_class = "telemetry.TbMsgTimeseriesNode",
    .fields = fields,
    .relations = relations,
    .stores = true,
    .init = init,
    .run = run,
    .deinit = deinit,
};
