#include "transport/rest/history.h"

#include <string.h>

#include "core/clock.h"
#include "core/json_text.h"
#include "transport/http/accept.h"

enum {
    LIMIT_DEFAULT = 100,
    SLICE_POINTS_FIRST = 1024, /* nothing is known about the values yet */
    SLICE_POINTS_MIN = 16,
    /* Points of an answer in CSV that cannot be made in slices. */
    UNSLICED_POINTS_MAX = 1000000,
};

/* --- one question --- */

bool ps_rest_history_is_sliced(const struct ps_history_query *query)
{
    return ps_history_query_is_raw(query) && query->downsample == PS_DOWNSAMPLE_NONE;
}

bool ps_rest_history_go_on(struct ps_history_query *query, int64_t ts_ms)
{
    if (!query->ascending)
        query->end_ms = ts_ms; /* exclusive */
    else if (ts_ms < INT64_MAX)
        query->start_ms = ts_ms + 1;
    else
        return false;
    return query->start_ms < query->end_ms;
}

size_t ps_rest_history_points_max(const struct ps_history_query *query)
{
    enum { BUCKETS_ABOUT = 750 };
    if (!ps_history_query_is_raw(query))
        return BUCKETS_ABOUT;
    return query->downsample == PS_DOWNSAMPLE_NONE ? query->limit : query->points;
}

static size_t text_bytes(const struct ps_point_set *set)
{
    size_t bytes = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct ps_points *points = &set->keys[i];
        for (size_t j = 0; j < points->count; j++) {
            const struct ps_value *value = &points->points[j].value;
            if (value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON)
                bytes += value->len;
        }
    }
    return bytes;
}

/* What the last question, of `asked` points, brought and took tells how much the next slice should
 * be about. */
static size_t next_slice_points(size_t points, size_t asked, size_t text_len, int64_t took_ms)
{
    size_t most =
        took_ms >= PS_REST_SLOW_QUESTION_MS ? PS_REST_SLICE_POINTS_SLOW : PS_REST_SLICE_POINTS_MAX;
    size_t next = points * 4;
    double text_each = (double)text_len / (double)asked;
    if (text_each * (double)points > PS_REST_SLICE_TEXT_BYTES / 4)
        next = (size_t)(PS_REST_SLICE_TEXT_BYTES / text_each);
    if (next > most)
        return most;
    return next < SLICE_POINTS_MIN ? SLICE_POINTS_MIN : next;
}

enum ps_status ps_rest_history_ask(struct ps_rest_history *history, struct ps_db *db,
                                   const char *const *keys, size_t count,
                                   const struct ps_history_query *query, struct ps_point_set *out)
{
    if (atomic_load(history->abandoned))
        return PS_ECLOSED;
    int64_t begun_ms = ps_clock_mono_ms();
    size_t points = history->slice_points;
    size_t asked = query->limit < points / count ? query->limit * count : points;
    enum ps_status st =
        ps_entity_history(history->actors, db, &history->ref, keys, count, query, out);
    if (st == PS_OK)
        history->slice_points = next_slice_points(points, asked ? asked : 1, text_bytes(out),
                                                  ps_clock_mono_ms() - begun_ms);
    return st;
}

/* --- the answer --- */

static bool check_size(struct ps_rest_call *call, const struct ps_rest_history *history)
{
    size_t each = ps_rest_history_points_max(&history->query);
    if (ps_rest_history_is_sliced(&history->query) ||
        history->keys.count <= UNSLICED_POINTS_MAX / each)
        return true;
    ps_rest_bad_request(call, "Too much for one table: ask for fewer keys or fewer points");
    return false;
}

/* The first slice is made here and now: what goes wrong is still told by a status. */
static void answer(struct ps_rest_call *call, struct ps_http_producer *producer,
                   const char *content_type)
{
    struct ps_http_reply *reply = call->reply;
    bool done = false;
    ps_http_reply_empty(reply);
    reply->content_type = content_type;
    enum ps_status st =
        producer ? producer->produce(producer, call->db, &reply->body, &done) : PS_ENOMEM;
    if (st != PS_OK)
        ps_http_reply_failure(reply, st, NULL);
    else if (!done)
        reply->rest = producer;
    if (producer && (st != PS_OK || done))
        producer->destroy(producer);
}

void ps_rest_history(struct ps_rest_call *call, const struct ps_entity_ref *ref,
                     struct ps_rest_keys *keys, bool strict)
{
    bool csv = ps_http_prefers(call->http->accept, "text/csv", PS_HTTP_JSON);
    struct ps_rest_history history = {
        .actors = call->services->actors,
        .abandoned = &call->http->abandoned,
        .ref = *ref,
        .query.limit = csv ? SIZE_MAX : LIMIT_DEFAULT,
        .slice_points = SLICE_POINTS_FIRST,
        .strict = strict,
    };
    if (!ps_rest_history_parse(call, &history.query))
        return;
    history.query.abandoned = history.abandoned;
    history.query.now_ms = ps_clock_now_ms(); /* of all slices */
    history.keys = *keys;
    if (csv && !check_size(call, &history))
        return;
    struct ps_http_producer *producer =
        csv ? ps_rest_history_csv(&history) : ps_rest_history_json(&history);
    if (producer)
        *keys = (struct ps_rest_keys){ 0 }; /* the producer's now */
    answer(call, producer, csv ? PS_HTTP_CSV : PS_HTTP_JSON);
}

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

void ps_rest_put_point(struct ps_buf *buf, int64_t ts_ms, const struct ps_value *value, bool strict)
{
    ps_buf_put_text(buf, "{\"ts\":");
    ps_json_put_long(buf, ts_ms);
    ps_buf_put_text(buf, ",\"value\":");
    put_value(buf, value, strict);
    ps_buf_put_char(buf, '}');
}
