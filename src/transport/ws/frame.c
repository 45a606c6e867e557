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

/* --- deltas --- */

static bool has_text(const struct ps_value *value)
{
    return value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON;
}

static int compare_keys(const struct ps_kv *a, const struct ps_kv *b)
{
    size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, shorter);
    return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static bool same_key(const struct ps_kv *a, const struct ps_kv *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

/* qsort order: by key, then scope, so that the result does not depend on the order given. */
static int compare_rows(const void *left, const void *right)
{
    const struct ps_ws_row *a = left, *b = right;
    int order = compare_keys(&a->kv, &b->kv);
    if (order)
        return order;
    if (a->ts_ms != b->ts_ms)
        return a->ts_ms < b->ts_ms ? 1 : -1;
    return (a->scope > b->scope) - (a->scope < b->scope);
}

static bool rows_sorted(const struct ps_ws_row *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_rows(&rows[i - 1], &rows[i]) > 0)
            return false;
    return true;
}

static size_t row_text_bytes(const struct ps_ws_row *row)
{
    return row->kv.key_len + (has_text(&row->kv.value) ? row->kv.value.len : 0u);
}

static const char *copy_text(char **at, const char *text, size_t len)
{
    char *copy = *at;
    if (len)
        memcpy(copy, text, len);
    *at += len;
    return copy;
}

/* One block: the struct, its rows, their text. Rows are taken in the order given. */
static struct ps_ws_delta *copy_rows(const struct ps_ws_row *const *rows, size_t count)
{
    size_t size = sizeof(struct ps_ws_delta) + count * sizeof(struct ps_ws_row);
    for (size_t i = 0; i < count; i++)
        size += row_text_bytes(rows[i]);
    struct ps_ws_delta *delta = malloc(size);
    if (!delta)
        return NULL;
    *delta = (struct ps_ws_delta){ .references = 1,
                                   .row_count = (uint32_t)count,
                                   .size_bytes = size,
                                   .rows = (struct ps_ws_row *)(delta + 1) };
    char *at = (char *)(delta->rows + count);
    for (size_t i = 0; i < count; i++) {
        struct ps_ws_row *row = &delta->rows[i];
        *row = *rows[i];
        row->kv.key = copy_text(&at, row->kv.key, row->kv.key_len);
        if (has_text(&row->kv.value))
            row->kv.value.text = copy_text(&at, row->kv.value.text, row->kv.value.len);
    }
    return delta;
}

enum ps_status ps_ws_delta_create(const struct ps_ws_row *rows, size_t count,
                                  struct ps_ws_delta **out)
{
    const struct ps_ws_row **order = calloc(count + 1, sizeof *order);
    if (!order)
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        order[i] = &rows[i];
    struct ps_ws_delta *delta = copy_rows(order, count);
    free(order);
    if (!delta)
        return PS_ENOMEM;
    if (!rows_sorted(delta->rows, count))
        qsort(delta->rows, count, sizeof *delta->rows, compare_rows);
    *out = delta;
    return PS_OK;
}

struct ps_ws_delta *ps_ws_delta_retain(struct ps_ws_delta *delta)
{
    delta->references++;
    return delta;
}

void ps_ws_delta_release(struct ps_ws_delta *delta)
{
    if (!delta)
        return;
    PS_ASSERT(delta->references > 0);
    if (--delta->references)
        return;
    ps_buf_deinit(&delta->tail);
    free(delta);
}

/* --- merging --- */

/* The rows of one key: [at, end) of a delta. */
struct key_run {
    const struct ps_ws_row *at, *end;
};

static struct key_run run_at(const struct ps_ws_row *at, const struct ps_ws_row *end)
{
    struct key_run run = { at, at };
    while (run.end < end && same_key(&run.end->kv, &at->kv))
        run.end++;
    return run;
}

static bool run_deletes(struct key_run run)
{
    for (const struct ps_ws_row *row = run.at; row < run.end; row++)
        if (row->deleted)
            return true;
    return false;
}

static bool run_has_scope(struct key_run run, int scope)
{
    for (const struct ps_ws_row *row = run.at; row < run.end; row++)
        if (row->scope == scope)
            return true;
    return false;
}

/* Newest ts first; of equal ones what was written later. */
static size_t interleave(struct key_run older, struct key_run newer,
                         const struct ps_ws_row **out)
{
    size_t count = 0;
    while (older.at < older.end || newer.at < newer.end) {
        bool take_newer = older.at == older.end ||
                          (newer.at < newer.end && newer.at->ts_ms >= older.at->ts_ms);
        out[count++] = take_newer ? newer.at++ : older.at++;
    }
    return count;
}

/* What both say about one key. A run may hold several scopes, so replacing goes by scope. */
static size_t merge_runs(struct key_run older, struct key_run newer, enum ps_ws_merge merge,
                         const struct ps_ws_row **out)
{
    if (merge == PS_WS_MERGE_EVERY && !run_deletes(older) && !run_deletes(newer))
        return interleave(older, newer, out);
    size_t count = 0;
    for (const struct ps_ws_row *row = newer.at; row < newer.end; row++)
        out[count++] = row;
    for (const struct ps_ws_row *row = older.at; row < older.end; row++)
        if (!run_has_scope(newer, row->scope))
            out[count++] = row;
    return count;
}

static size_t merge_rows(const struct ps_ws_delta *older, const struct ps_ws_delta *newer,
                         enum ps_ws_merge merge, const struct ps_ws_row **out)
{
    const struct ps_ws_row *a = older->rows, *a_end = a + older->row_count;
    const struct ps_ws_row *b = newer->rows, *b_end = b + newer->row_count;
    size_t count = 0;
    while (a < a_end || b < b_end) {
        int order = a == a_end ? 1 : b == b_end ? -1 : compare_keys(&a->kv, &b->kv);
        struct key_run in_older = { a, a }, in_newer = { b, b };
        if (order <= 0)
            in_older = run_at(a, a_end);
        if (order >= 0)
            in_newer = run_at(b, b_end);
        count += merge_runs(in_older, in_newer, merge, out + count);
        a = in_older.end;
        b = in_newer.end;
    }
    return count;
}

/* Of each key and scope the first row, which is the newest: a delta may already hold several. */
static size_t keep_newest(const struct ps_ws_row **rows, size_t count)
{
    size_t kept = 0, run = 0; /* rows[run .. kept) have the key of the last row kept */
    for (size_t i = 0; i < count; i++) {
        if (kept && !same_key(&rows[i]->kv, &rows[kept - 1]->kv))
            run = kept;
        bool seen = false;
        for (size_t j = run; j < kept && !seen; j++)
            seen = rows[j]->scope == rows[i]->scope;
        if (!seen)
            rows[kept++] = rows[i];
    }
    return kept;
}

enum ps_status ps_ws_delta_merge(const struct ps_ws_delta *older, const struct ps_ws_delta *newer,
                                 enum ps_ws_merge merge, struct ps_ws_delta **out)
{
    static const struct ps_ws_delta nothing = { .rows = NULL };
    if (!older)
        older = &nothing;
    size_t count = (size_t)older->row_count + newer->row_count;
    const struct ps_ws_row **rows = malloc((count ? count : 1) * sizeof *rows);
    if (!rows)
        return PS_ENOMEM;
    count = merge_rows(older, newer, merge, rows);
    if (merge == PS_WS_MERGE_NEWEST)
        count = keep_newest(rows, count);
    struct ps_ws_delta *delta = copy_rows(rows, count);
    free(rows);
    if (!delta)
        return PS_ENOMEM;
    *out = delta;
    return PS_OK;
}

/* --- update frames --- */

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
    ps_buf_printf(out, "{\"cmdId\":%d,\"subscriptionId\":%d,\"errorCode\":%d,\"errorMsg\":",
                  (int)cmd_id, (int)cmd_id, (int)code);
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
