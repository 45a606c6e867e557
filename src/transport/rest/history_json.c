/* history_json: a history as JSON, key after key.
 *
 * A question brings either a few keys that fit whole, or a part of one long key, which the next
 * question goes on with. What it brought is written slice by slice. */
#include <stdlib.h>

#include "core/json_text.h"
#include "transport/rest/history.h"

enum { QUESTIONS_MAX = 32 }; /* of one slice, so that keys without points let others pass */

struct json_history {
    struct ps_http_producer producer; /* first */
    struct ps_rest_history ask;
    bool begun, any_key;

    /* what is asked next */
    size_t next_key;
    bool going_on;                /* next_key has more, `rest` says what */
    struct ps_history_query rest; /* of next_key */

    /* what was brought and is being written */
    struct ps_point_set held;
    size_t list, point;
    bool list_open; /* its name and '[' are written; also over several questions */
};

/* --- asking --- */

/* As many keys as are sure to fit, at least one. */
static size_t keys_at_once(const struct json_history *json)
{
    size_t left = json->ask.keys.count - json->next_key;
    size_t each = ps_rest_history_points_max(&json->ask.query);
    size_t fit = json->ask.slice_points / each;
    if (json->going_on || fit < 1)
        return 1;
    return fit < left ? fit : left;
}

/* One key was asked for, in part: does it go on? */
static void note_rest(struct json_history *json, const struct ps_history_query *asked)
{
    const struct ps_points *points = &json->held.keys[0];
    json->going_on = false;
    if (points->count < asked->limit)
        return;
    json->rest.limit -= points->count;
    json->going_on = json->rest.limit > 0 &&
                     ps_rest_history_go_on(&json->rest, points->points[points->count - 1].ts_ms);
}

static enum ps_status ask(struct json_history *json, struct ps_db *db)
{
    size_t count = keys_at_once(json);
    if (!json->going_on)
        json->rest = json->ask.query;
    struct ps_history_query query = json->rest;
    if (query.limit > json->ask.slice_points)
        query.limit = json->ask.slice_points;
    enum ps_status st = ps_rest_history_ask(&json->ask, db, json->ask.keys.list + json->next_key,
                                            count, &query, &json->held);
    if (st != PS_OK)
        return st;
    json->list = json->point = 0;
    json->going_on = false;
    if (count == 1 && ps_rest_history_is_sliced(&query))
        note_rest(json, &query);
    if (!json->going_on)
        json->next_key += count;
    return PS_OK;
}

/* --- writing --- */

static void open_list(struct json_history *json, struct ps_buf *out, const char *key)
{
    if (json->any_key)
        ps_buf_put_char(out, ',');
    ps_json_put_string(out, key, strlen(key));
    ps_buf_put_text(out, ":[");
    json->any_key = json->list_open = true;
}

/* False: the slice is full. */
static bool write_list(struct json_history *json, struct ps_buf *out)
{
    const struct ps_points *points = &json->held.keys[json->list];
    for (; json->point < points->count; json->point++) {
        if (out->len >= PS_HTTP_SLICE_BYTES)
            return false;
        if (!json->list_open)
            open_list(json, out, points->key);
        else
            ps_buf_put_char(out, ',');
        ps_rest_put_point(out, points->points[json->point].ts_ms,
                          &points->points[json->point].value, json->ask.strict);
    }
    return true;
}

static bool write_held(struct json_history *json, struct ps_buf *out)
{
    for (; json->list < json->held.count; json->list++, json->point = 0) {
        if (!write_list(json, out))
            return false;
        if (json->list_open && !json->going_on) {
            ps_buf_put_char(out, ']');
            json->list_open = false;
        }
    }
    ps_point_set_deinit(&json->held);
    return true;
}

static enum ps_status produce(struct ps_http_producer *producer, struct ps_db *db,
                              struct ps_buf *out, bool *done)
{
    struct json_history *json = (struct json_history *)producer;
    if (!json->begun)
        ps_buf_put_char(out, '{');
    json->begun = true;
    for (int questions = 0; write_held(json, out); questions++) {
        if (json->next_key == json->ask.keys.count) {
            ps_buf_put_char(out, '}');
            *done = true;
            return PS_OK;
        }
        if (questions == QUESTIONS_MAX)
            return PS_OK;
        enum ps_status st = ask(json, db);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

static void destroy(struct ps_http_producer *producer)
{
    struct json_history *json = (struct json_history *)producer;
    ps_point_set_deinit(&json->held);
    ps_rest_keys_deinit(&json->ask.keys);
    free(json);
}

struct ps_http_producer *ps_rest_history_json(struct ps_rest_history *history)
{
    struct json_history *json = calloc(1, sizeof *json);
    if (!json)
        return NULL;
    json->producer = (struct ps_http_producer){ produce, destroy };
    json->ask = *history;
    if (json->ask.query.start_ms >= json->ask.query.end_ms)
        json->next_key = json->ask.keys.count; /* nothing is in there */
    return &json->producer;
}
