#include "transport/ws/frame.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"

struct ps_ws_text *ps_ws_text_create(const struct ps_buf *frame)
{
    if (!ps_buf_ok(frame))
        return NULL;
    struct ps_ws_text *text = malloc(sizeof *text + PS_WS_HEADROOM + frame->len);
    if (!text)
        return NULL;
    text->len = frame->len;
    if (frame->len)
        memcpy(ps_ws_text_frame(text), frame->data, frame->len);
    return text;
}

/* --- update frames --- */

static bool has_text(const struct ps_value *value)
{
    return value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON;
}

/* The rows of one key: [at, end) of a delta. */
struct key_run {
    const struct ps_ws_row *at, *end;
};

static struct key_run run_at(const struct ps_ws_row *at, const struct ps_ws_row *end)
{
    struct key_run run = { at, at };
    while (run.end < end && run.end->kv.key_len == at->kv.key_len &&
           memcmp(run.end->kv.key, at->kv.key, at->kv.key_len) == 0)
        run.end++;
    return run;
}

static void put_pair(struct ps_buf *out, int64_t ts_ms, const struct ps_value *value)
{
    ps_buf_put_char(out, '[');
    ps_json_put_long(out, ts_ms);
    ps_buf_put_char(out, ',');
    if (value->type == PS_VALUE_NULL) {
        ps_buf_put_text(out, "null");
    } else if (has_text(value)) {
        ps_json_put_string(out, value->text, value->len);
    } else { /* numbers and booleans have nothing to escape */
        ps_buf_put_char(out, '"');
        ps_value_put_text(out, value);
        ps_buf_put_char(out, '"');
    }
    ps_buf_put_char(out, ']');
}

static void put_row(struct ps_buf *out, const struct ps_ws_row *row)
{
    if (row->deleted)
        ps_buf_put_text(out, "[0,\"\"]");
    else
        put_pair(out, row->ts_ms, &row->kv.value);
}

static int64_t newest_ts(struct key_run run)
{
    int64_t newest = run.at->deleted ? 0 : run.at->ts_ms;
    for (const struct ps_ws_row *row = run.at + 1; row < run.end; row++)
        if (!row->deleted && row->ts_ms > newest)
            newest = row->ts_ms;
    return newest;
}

static void put_key(struct ps_buf *out, bool first, const char *key, size_t len)
{
    if (!first)
        ps_buf_put_char(out, ',');
    ps_json_put_string(out, key, len);
    ps_buf_put_char(out, ':');
}

static void put_data(struct ps_buf *out, const struct ps_ws_row *rows, size_t count)
{
    const struct ps_ws_row *end = rows + count;
    for (const struct ps_ws_row *at = rows; at < end;) {
        struct key_run run = run_at(at, end);
        put_key(out, at == rows, at->kv.key, at->kv.key_len);
        ps_buf_put_char(out, '[');
        for (; at < run.end; at++) {
            if (at > run.at)
                ps_buf_put_char(out, ',');
            put_row(out, at);
        }
        ps_buf_put_char(out, ']');
    }
}

static void put_latest_values(struct ps_buf *out, const struct ps_ws_row *rows, size_t count)
{
    const struct ps_ws_row *end = rows + count;
    for (const struct ps_ws_row *at = rows; at < end;) {
        struct key_run run = run_at(at, end);
        put_key(out, at == rows, at->kv.key, at->kv.key_len);
        ps_json_put_long(out, newest_ts(run));
        at = run.end;
    }
}

static void put_head(struct ps_buf *out, int32_t cmd_id)
{
    ps_buf_put_text(out, "{\"subscriptionId\":");
    ps_json_put_long(out, cmd_id);
}

static const char before_data[] = ",\"errorCode\":0,\"errorMsg\":null,\"data\":{";

static void put_tail(struct ps_buf *out, const struct ps_ws_row *rows, size_t count)
{
    ps_buf_put_text(out, before_data);
    put_data(out, rows, count);
    ps_buf_put_text(out, "},\"latestValues\":{");
    put_latest_values(out, rows, count);
    ps_buf_put_text(out, "}}");
}

void ps_ws_frame_put_delta(struct ps_buf *out, int32_t cmd_id, struct ps_ws_delta *delta)
{
    if (delta->tail.len == 0 || !ps_buf_ok(&delta->tail)) {
        ps_buf_clear(&delta->tail);
        put_tail(&delta->tail, delta->rows, delta->row_count);
    }
    put_head(out, cmd_id);
    ps_buf_put(out, delta->tail.data, ps_buf_ok(&delta->tail) ? delta->tail.len : 0);
    if (!ps_buf_ok(&delta->tail))
        out->failed = true;
}

/* --- snapshots --- */

void ps_ws_snapshot_begin(struct ps_ws_snapshot *snapshot, struct ps_buf *out, int32_t cmd_id)
{
    *snapshot = (struct ps_ws_snapshot){ .out = out };
    put_head(out, cmd_id);
    ps_buf_put_text(out, before_data);
}

static void put_snapshot_key(struct ps_ws_snapshot *snapshot, const char *key, int64_t newest_ms)
{
    size_t len = strlen(key);
    put_key(snapshot->out, !snapshot->any, key, len);
    put_key(&snapshot->latest, !snapshot->any, key, len);
    ps_json_put_long(&snapshot->latest, newest_ms);
    snapshot->any = true;
}

void ps_ws_snapshot_put(struct ps_ws_snapshot *snapshot, const struct ps_points *points)
{
    if (!points->count)
        return;
    int64_t newest_ms = points->points[0].ts_ms;
    for (size_t i = 1; i < points->count; i++)
        if (points->points[i].ts_ms > newest_ms)
            newest_ms = points->points[i].ts_ms;
    put_snapshot_key(snapshot, points->key, newest_ms);
    ps_buf_put_char(snapshot->out, '[');
    for (size_t i = 0; i < points->count; i++) {
        if (i)
            ps_buf_put_char(snapshot->out, ',');
        put_pair(snapshot->out, points->points[i].ts_ms, &points->points[i].value);
    }
    ps_buf_put_char(snapshot->out, ']');
}

void ps_ws_snapshot_put_null(struct ps_ws_snapshot *snapshot, const char *key, int64_t ts_ms)
{
    put_snapshot_key(snapshot, key, ts_ms);
    ps_buf_put_char(snapshot->out, '[');
    put_pair(snapshot->out, ts_ms, &(struct ps_value){ .type = PS_VALUE_NULL });
    ps_buf_put_char(snapshot->out, ']');
}

void ps_ws_snapshot_end(struct ps_ws_snapshot *snapshot)
{
    ps_buf_put_text(snapshot->out, "},\"latestValues\":{");
    ps_buf_put(snapshot->out, snapshot->latest.data, snapshot->latest.len);
    ps_buf_put_text(snapshot->out, "}}");
    if (!ps_buf_ok(&snapshot->latest))
        snapshot->out->failed = true;
    ps_buf_deinit(&snapshot->latest);
}

/* --- other frames --- */

void ps_ws_frame_put_error(struct ps_buf *out, int32_t cmd_id, enum ps_ws_error code,
                           const char *message)
{
    ps_buf_printf(out,
                  "{\"cmdId\":%d,\"subscriptionId\":%d,\"errorCode\":%d,\"errorMsg\":", (int)cmd_id,
                  (int)cmd_id, (int)code);
    ps_json_put_string(out, message, strlen(message));
    ps_buf_put_text(out, ",\"data\":null,\"latestValues\":{}}");
}

void ps_ws_frame_put_no_notification_count(struct ps_buf *out, int32_t cmd_id)
{
    ps_buf_printf(out,
                  "{\"cmdId\":%d,\"errorCode\":0,\"errorMsg\":null,\"totalUnreadCount\":0,"
                  "\"sequenceNumber\":1,\"cmdUpdateType\":\"NOTIFICATIONS_COUNT\"}",
                  (int)cmd_id);
}

void ps_ws_frame_put_no_notifications(struct ps_buf *out, int32_t cmd_id)
{
    ps_buf_printf(out,
                  "{\"cmdId\":%d,\"errorCode\":0,\"errorMsg\":null,\"notifications\":[],"
                  "\"update\":null,\"totalUnreadCount\":0,\"sequenceNumber\":1,"
                  "\"cmdUpdateType\":\"NOTIFICATIONS\"}",
                  (int)cmd_id);
}
