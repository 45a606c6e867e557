/* telemetry_read: keys, latest values, attributes: section 8.1 of the REST contract. History has
 * files of its own. */
#include <string.h>

#include "core/clock.h"
#include "core/entity/attribute.h"
#include "core/json_text.h"
#include "transport/rest/history.h"
#include "transport/rest/routes.h"
#include "transport/rest/telemetry.h"

/* --- keys --- */

void ps_rest_timeseries_keys(struct ps_rest_call *call)
{
    struct ps_entity_ref ref;
    struct ps_point_set latest = { 0 };
    if (!ps_rest_find_entity(call, call->captures[0], call->captures[1], PS_READ_VALUES, &ref))
        return;
    enum ps_status st = ps_entity_latest(call->services->actors, call->db, &ref, NULL, 0, &latest);
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
        ps_entity_latest(call->services->actors, call->db, ref, keys->list, keys->count, &latest);
    if (!ps_rest_changed(call, st, NULL))
        return;
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '{');
    for (size_t i = 0; i < latest.count; i++) {
        const struct ps_points *points = &latest.keys[i];
        ps_answer_name(buf, points->key);
        ps_buf_put_char(buf, '[');
        if (points->count > 0)
            ps_rest_put_point(buf, points->points[0].ts_ms, &points->points[0].value, strict);
        else
            ps_rest_put_point(buf, now_ms, &none, strict); /* an asked key is always there */
        ps_buf_put_char(buf, ']');
    }
    ps_buf_put_char(buf, '}');
    ps_point_set_deinit(&latest);
}

/* --- latest or history --- */

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
        ps_rest_history(call, &ref, &keys, strict);
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
