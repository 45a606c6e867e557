/* telemetry_read: keys, latest values, history, attributes: section 8.1 of the REST contract. */
#include <string.h>

#include "core/clock.h"
#include "core/entity/attribute.h"
#include "core/json_text.h"
#include "transport/rest/routes.h"
#include "transport/rest/telemetry.h"

enum { BUCKETS_MAX = 700, LIMIT_DEFAULT = 100 };

/* --- values --- */

/* 21.5 or "21.5": by default every value is a string. */
static void put_value(struct ps_buf *buf, const struct ps_value *value, bool strict)
{
    if (strict || value->type == PS_VALUE_NULL) {
        ps_json_put_value(buf, value);
        return;
    }
    if (value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON) {
        ps_json_put_string(buf, value->text, value->len);
        return;
    }
    ps_buf_put_char(buf, '"');
    ps_value_put_text(buf, value);
    ps_buf_put_char(buf, '"');
}

static void put_point(struct ps_buf *buf, int64_t ts_ms, const struct ps_value *value, bool strict)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_int(buf, "ts", ts_ms);
    ps_answer_name(buf, "value");
    put_value(buf, value, strict);
    ps_buf_put_char(buf, '}');
}

/* --- keys --- */

void ps_rest_timeseries_keys(struct ps_rest_call *call)
{
    struct ps_entity_ref ref;
    struct ps_point_set latest = { 0 };
    if (!ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_READ_VALUES, &ref))
        return;
    enum ps_status st = ps_entity_latest(call->services->actors, &ref, NULL, 0, &latest);
    if (!ps_rest_changed(call, st, NULL))
        return;
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '[');
    for (size_t i = 0; i < latest.count; i++) {
        ps_answer_item(buf);
        ps_json_put_string(buf, latest.keys[i].key, strlen(latest.keys[i].key));
    }
    ps_buf_put_char(buf, ']');
    ps_point_set_deinit(&latest);
}

/* --- latest --- */

static void answer_latest(struct ps_rest_call *call, const struct ps_entity_ref *ref,
                          const struct ps_rest_keys *keys, bool strict)
{
    struct ps_point_set latest = { 0 };
    const struct ps_value none = { .type = PS_VALUE_NULL };
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st =
        ps_entity_latest(call->services->actors, ref, keys->list, keys->count, &latest);
    if (!ps_rest_changed(call, st, NULL))
        return;
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '{');
    for (size_t i = 0; i < latest.count; i++) {
        const struct ps_points *points = &latest.keys[i];
        ps_answer_name(buf, points->key);
        ps_buf_put_char(buf, '[');
        if (points->count > 0)
            put_point(buf, points->points[0].ts_ms, &points->points[0].value, strict);
        else
            put_point(buf, now_ms, &none, strict); /* an asked key is always there */
        ps_buf_put_char(buf, ']');
    }
    ps_buf_put_char(buf, '}');
    ps_point_set_deinit(&latest);
}

/* --- history --- */

static bool parse_aggregate(struct ps_rest_call *call, enum ps_aggregate *out)
{
    static const char *const names[] = {
        [PS_AGG_NONE] = "NONE", [PS_AGG_MIN] = "MIN", [PS_AGG_MAX] = "MAX",
        [PS_AGG_AVG] = "AVG",   [PS_AGG_SUM] = "SUM", [PS_AGG_COUNT] = "COUNT"
    };
    const char *text = ps_rest_param(call, "agg");
    *out = PS_AGG_NONE;
    if (!text || !*text)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum ps_aggregate)i;
            return true;
        }
    }
    ps_rest_bad_request(call, "Unknown agg '%s': NONE, MIN, MAX, AVG, SUM or COUNT", text);
    return false;
}

/* Only buckets of a fixed width, and so no time zone matters. */
static bool check_interval_type(struct ps_rest_call *call)
{
    const char *type = ps_rest_param(call, "intervalType");
    const char *zone = ps_rest_param(call, "timeZone");
    if (type && *type && strcmp(type, "MILLISECONDS") != 0) {
        ps_rest_bad_request(call, "intervalType '%s' is not available: MILLISECONDS", type);
        return false;
    }
    if (zone && *zone && strcmp(zone, "UTC") != 0) {
        ps_rest_bad_request(call, "timeZone '%s' is not available: UTC", zone);
        return false;
    }
    return true;
}

static bool parse_order(struct ps_rest_call *call, bool *ascending)
{
    const char *order = ps_rest_param(call, "orderBy");
    *ascending = order && strcmp(order, "ASC") == 0;
    if (!order || !*order || *ascending || strcmp(order, "DESC") == 0)
        return true;
    ps_rest_bad_request(call, "Unknown orderBy '%s': ASC or DESC", order);
    return false;
}

static bool check_buckets(struct ps_rest_call *call, const struct ps_history_query *query)
{
    if (query->end_ms < query->start_ms) {
        ps_rest_bad_request(call, "endTs should not be before startTs");
        return false;
    }
    uint64_t width = (uint64_t)(query->interval_ms < 1000 ? 1000 : query->interval_ms);
    uint64_t count = ((uint64_t)query->end_ms - (uint64_t)query->start_ms) / width;
    if (count <= BUCKETS_MAX)
        return true;
    ps_rest_bad_request(call,
                        "Incorrect TsKvQuery. Number of intervals is to high - %llu. Please "
                        "increase 'interval' parameter for your query or reduce the time range.",
                        (unsigned long long)count);
    return false;
}

static bool parse_history(struct ps_rest_call *call, struct ps_history_query *query)
{
    int64_t limit = LIMIT_DEFAULT;
    *query = (struct ps_history_query){ 0 };
    if (!ps_rest_int(call, "startTs", INT64_MIN, INT64_MAX, &query->start_ms) ||
        !ps_rest_int(call, "endTs", INT64_MIN, INT64_MAX, &query->end_ms) ||
        !ps_rest_int(call, "interval", 0, INT64_MAX, &query->interval_ms) ||
        !ps_rest_int(call, "limit", 1, INT32_MAX, &limit) ||
        !parse_aggregate(call, &query->aggregate) || !check_interval_type(call) ||
        !parse_order(call, &query->ascending))
        return false;
    query->limit = (size_t)limit;
    if (query->interval_ms == 0)
        query->aggregate = PS_AGG_NONE;
    return query->aggregate == PS_AGG_NONE || check_buckets(call, query);
}

static void put_history(struct ps_buf *buf, const struct ps_point_set *set, bool strict)
{
    ps_buf_put_char(buf, '{');
    for (size_t i = 0; i < set->count; i++) {
        const struct ps_points *points = &set->keys[i];
        if (points->count == 0)
            continue;
        ps_answer_name(buf, points->key);
        ps_buf_put_char(buf, '[');
        for (size_t j = 0; j < points->count; j++)
            put_point(buf, points->points[j].ts_ms, &points->points[j].value, strict);
        ps_buf_put_char(buf, ']');
    }
    ps_buf_put_char(buf, '}');
}

static void answer_history(struct ps_rest_call *call, const struct ps_entity_ref *ref,
                           const struct ps_rest_keys *keys, bool strict)
{
    struct ps_history_query query;
    struct ps_point_set set = { 0 };
    if (!parse_history(call, &query))
        return;
    if (keys->count > 0 && query.start_ms <= query.end_ms) {
        enum ps_status st = ps_entity_history(call->services->actors, call->db, ref, keys->list,
                                              keys->count, &query, &set);
        if (!ps_rest_changed(call, st, NULL))
            return;
    }
    put_history(ps_rest_json(call), &set, strict);
    ps_point_set_deinit(&set);
}

static void timeseries(struct ps_rest_call *call, bool history)
{
    struct ps_entity_ref ref;
    struct ps_rest_keys keys;
    bool strict = false;
    if (!ps_rest_bool(call, "useStrictDataTypes", &strict) ||
        !ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_READ_VALUES, &ref) ||
        !ps_rest_keys_parse(call, &keys))
        return;
    if (history)
        answer_history(call, &ref, &keys, strict);
    else
        answer_latest(call, &ref, &keys, strict);
    ps_rest_keys_deinit(&keys);
}

void ps_rest_timeseries_values(struct ps_rest_call *call)
{
    timeseries(call, ps_rest_param(call, "startTs") && ps_rest_param(call, "endTs"));
}

void ps_rest_timeseries_history(struct ps_rest_call *call)
{
    const char *unused;
    if (ps_rest_required(call, "startTs", &unused) && ps_rest_required(call, "endTs", &unused))
        timeseries(call, true);
}

/* --- attributes --- */

/* All scopes, or that of the path. */
static bool load_attributes(struct ps_rest_call *call, const struct ps_entity_id *entity,
                            struct ps_attribute_list *list)
{
    enum ps_attribute_scope scope;
    const char *scope_text = call->captures[2];
    if (scope_text && !ps_rest_scope(call, scope_text, &scope))
        return false;
    enum ps_status st = ps_attribute_list(call->db, entity, scope_text ? &scope : NULL, list);
    return ps_rest_changed(call, st, NULL);
}

void ps_rest_attribute_keys(struct ps_rest_call *call)
{
    struct ps_entity_ref ref;
    struct ps_attribute_list list = { 0 };
    if (!ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_READ_VALUES, &ref))
        return;
    if (load_attributes(call, &ref.entity, &list)) {
        struct ps_buf *buf = ps_rest_json(call);
        ps_buf_put_char(buf, '[');
        for (size_t i = 0; i < list.count; i++) {
            ps_answer_item(buf);
            ps_json_put_string(buf, list.items[i].key, list.items[i].key_len);
        }
        ps_buf_put_char(buf, ']');
    }
    ps_attribute_list_deinit(&list);
}

static bool is_asked(const struct ps_rest_keys *keys, const char *key)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->list[i], key) == 0)
            return true;
    return keys->count == 0;
}

static void put_attributes(struct ps_buf *buf, const struct ps_attribute_list *list,
                           const struct ps_rest_keys *keys)
{
    ps_buf_put_char(buf, '[');
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_attribute *attribute = &list->items[i];
        if (!is_asked(keys, attribute->key))
            continue;
        ps_answer_item(buf);
        ps_buf_put_char(buf, '{');
        ps_answer_int(buf, "lastUpdateTs", attribute->updated_ms);
        ps_answer_text(buf, "key", attribute->key);
        ps_answer_name(buf, "value");
        ps_json_put_value(buf, &attribute->value);
        ps_buf_put_char(buf, '}');
    }
    ps_buf_put_char(buf, ']');
}

void ps_rest_attribute_values(struct ps_rest_call *call)
{
    struct ps_entity_ref ref;
    struct ps_rest_keys keys;
    struct ps_attribute_list list = { 0 };
    if (!ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_READ_VALUES, &ref) ||
        !ps_rest_keys_parse(call, &keys))
        return;
    if (load_attributes(call, &ref.entity, &list))
        put_attributes(ps_rest_json(call), &list, &keys);
    ps_attribute_list_deinit(&list);
    ps_rest_keys_deinit(&keys);
}
