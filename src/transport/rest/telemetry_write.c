/* telemetry_write: storing and deleting telemetry and attributes: section 8.2 of the REST contract.
 * The data is committed when the answer is sent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/entity/attribute.h"
#include "core/entity/ttl.h"
#include "core/metrics.h"
#include "transport/rest/routes.h"
#include "transport/rest/telemetry.h"

enum { KVS_MAX = 200000 };

static struct ps_payload_rules payload_rules(const struct ps_rest_call *call)
{
    const struct ps_config *config = call->services->config;
    return (struct ps_payload_rules){
        .type_cast = config->transport_json_type_cast_enabled,
        .string_len_max = (uint32_t)config->transport_json_max_string_value_length,
        .kv_count_max = KVS_MAX,
    };
}

/* A parser's complaint, or none left to store. */
static bool check_payload(struct ps_rest_call *call, enum ps_status st, const struct ps_text *why,
                          const struct ps_payload *payload, const char *nothing)
{
    if (!ps_rest_changed(call, st, why))
        return false;
    if (payload->kv_count > 0)
        return true;
    ps_rest_bad_request(call, "%s", nothing);
    return false;
}

static const char *body_text(const struct ps_rest_call *call)
{
    return call->http->body.data ? call->http->body.data : "";
}

/* What users store is a message, too. */
static void count_message(const struct ps_rest_call *call, enum ps_status st)
{
    struct ps_metrics *metrics = call->services->metrics;
    ps_metrics_msg_received(metrics, 0, PS_METRIC_REST_MESSAGES, 1);
    if (st == PS_OK)
        ps_metrics_msg_stored(metrics, 0, 1);
    else
        ps_metrics_msg_lost(metrics, 0,
                            st == PS_ENOMEM   ? PS_METRIC_REFUSED_MEMORY
                            : st == PS_EBUSY  ? PS_METRIC_REFUSED_BUSY
                            : st == PS_ELIMIT ? PS_METRIC_REFUSED_LIMIT
                                              : PS_METRIC_REFUSED_STORAGE,
                            1);
}

/* --- telemetry --- */

static bool parse_ttl(struct ps_rest_call *call, const char *text, int64_t *out)
{
    char *end;
    *out = 0;
    if (!text)
        return true;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end || text[0] < '0' || text[0] > '9' || errno || value > PS_TTL_S_MAX) {
        ps_rest_bad_request(call, "Invalid TTL: %s", text);
        return false;
    }
    *out = value;
    return true;
}

void ps_rest_timeseries_save(struct ps_rest_call *call)
{
    struct ps_entity_ref ref;
    struct ps_payload payload = { 0 };
    struct ps_payload_rules rules = payload_rules(call);
    struct ps_text why = { "" };
    int64_t ttl_s;
    if (!parse_ttl(call, call->captures[3], &ttl_s) ||
        !ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_WRITE_VALUES, &ref))
        return;
    enum ps_status st =
        ps_payload_parse_telemetry(&payload, body_text(call), call->http->body.len, &rules, &why);
    if (check_payload(call, st, &why, &payload, "No time series data found in request body!")) {
        st = ps_entity_save_telemetry(call->services->actors, &ref, &payload, ttl_s, &why);
        count_message(call, st);
        if (ps_rest_changed(call, st, &why))
            ps_http_reply_empty(call->reply);
    }
    ps_payload_deinit(&payload);
}

static bool parse_delete(struct ps_rest_call *call, struct ps_delete_telemetry *what)
{
    *what = (struct ps_delete_telemetry){ .delete_latest = true };
    if (!ps_rest_bool(call, "deleteAllDataForKeys", &what->all) ||
        !ps_rest_bool(call, "deleteLatest", &what->delete_latest) ||
        !ps_rest_bool(call, "rewriteLatestIfDeleted", &what->rewrite_latest) ||
        !ps_rest_int(call, "startTs", INT64_MIN, INT64_MAX, &what->start_ms) ||
        !ps_rest_int(call, "endTs", INT64_MIN, INT64_MAX, &what->end_ms))
        return false;
    if (what->all)
        return true;
    if (!ps_rest_param(call, "startTs") || !ps_rest_param(call, "endTs")) {
        ps_rest_bad_request(call, "When deleteAllDataForKeys is false, start and end timestamp "
                                  "values shouldn't be empty");
        return false;
    }
    if (what->end_ms < what->start_ms) {
        ps_rest_bad_request(call, "endTs should not be before startTs");
        return false;
    }
    return true;
}

void ps_rest_timeseries_delete(struct ps_rest_call *call)
{
    struct ps_entity_ref ref;
    struct ps_rest_keys keys;
    struct ps_delete_telemetry what;
    if (!ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_WRITE_VALUES, &ref) ||
        !parse_delete(call, &what) || !ps_rest_keys_parse(call, &keys))
        return;
    if (keys.count == 0) {
        ps_rest_bad_request(call, "No keys are specified!");
    } else {
        enum ps_status st = ps_entity_delete_telemetry(call->services->actors, call->db, &ref,
                                                       keys.list, keys.count, &what);
        if (ps_rest_changed(call, st, NULL))
            ps_http_reply_empty(call->reply);
    }
    ps_rest_keys_deinit(&keys);
}

/* --- attributes --- */

static void save_attributes(struct ps_rest_call *call, const char *type, const char *id,
                            const char *scope_text)
{
    struct ps_entity_ref ref;
    struct ps_payload payload = { 0 };
    struct ps_payload_rules rules = payload_rules(call);
    struct ps_text why = { "" };
    enum ps_attribute_scope scope;
    if (!ps_rest_scope(call, scope_text, &scope))
        return;
    if (scope == PS_SCOPE_CLIENT) { /* the device's own */
        ps_rest_bad_request(call, "Invalid scope: %s", scope_text);
        return;
    }
    if (!ps_rest_find_entity(call, type, id, PS_WRITE_VALUES, &ref))
        return;
    enum ps_status st =
        ps_payload_parse_attributes(&payload, body_text(call), call->http->body.len, &rules, &why);
    if (check_payload(call, st, &why, &payload, "No attributes data found in request body!")) {
        st = ps_entity_save_attributes(call->services->actors, &ref, scope, payload.kvs,
                                       payload.kv_count, &why);
        count_message(call, st);
        if (ps_rest_changed(call, st, &why))
            ps_http_reply_empty(call->reply);
    }
    ps_payload_deinit(&payload);
}

void ps_rest_attributes_save(struct ps_rest_call *call)
{
    save_attributes(call, call->captures[0], call->captures[1], call->captures[2]);
}

void ps_rest_device_attributes_save(struct ps_rest_call *call)
{
    save_attributes(call, NULL, call->captures[0], call->captures[1]);
}

/* --- delete --- */

static void delete_keys(struct ps_rest_call *call, const struct ps_entity_ref *ref,
                        enum ps_attribute_scope scope, const struct ps_rest_keys *keys)
{
    struct ps_kv *kvs = calloc(keys->count, sizeof *kvs);
    enum ps_status st = PS_ENOMEM;
    if (kvs) {
        for (size_t i = 0; i < keys->count; i++)
            kvs[i] =
                (struct ps_kv){ .key = keys->list[i], .key_len = (uint32_t)strlen(keys->list[i]) };
        st = ps_entity_delete_attributes(call->services->actors, ref, scope, kvs, keys->count);
        free(kvs);
    }
    if (ps_rest_changed(call, st, NULL))
        ps_http_reply_empty(call->reply);
}

static void delete_attributes(struct ps_rest_call *call, const char *type, const char *id,
                              const char *scope_text)
{
    struct ps_entity_ref ref;
    struct ps_rest_keys keys;
    enum ps_attribute_scope scope;
    if (!ps_rest_scope(call, scope_text, &scope) ||
        !ps_rest_find_entity(call, type, id, PS_WRITE_VALUES, &ref) ||
        !ps_rest_keys_parse(call, &keys))
        return;
    if (keys.count > 0)
        delete_keys(call, &ref, scope, &keys);
    else
        ps_rest_bad_request(call, "No keys are specified!");
    ps_rest_keys_deinit(&keys);
}

void ps_rest_attributes_delete(struct ps_rest_call *call)
{
    delete_attributes(call, call->captures[0], call->captures[1], call->captures[2]);
}

void ps_rest_device_attributes_delete(struct ps_rest_call *call)
{
    delete_attributes(call, NULL, call->captures[0], call->captures[1]);
}
