#include "core/telemetry/history_view.h"

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/journal.h"

enum { POINTS_FIRST = 64 };

void ps_history_damaged(struct ps_history *history, const char *what)
{
    if (!history->damaged++)
        ps_text_set(&history->damage, "%s", what);
}

/* ---- tails ------------------------------------------------------------------------------------
 */

void ps_tail_deinit(struct ps_tail *tail)
{
    free(tail->points);
    free(tail->ttl_s);
    *tail = (struct ps_tail){ 0 };
}

static bool grow(struct ps_tail *tail)
{
    size_t cap = tail->cap ? tail->cap * 2 : POINTS_FIRST;
    struct ps_point *points = realloc(tail->points, cap * sizeof *points);
    if (!points)
        return false;
    tail->points = points;
    if (tail->ttl_s) {
        uint32_t *ttl_s = realloc(tail->ttl_s, cap * sizeof *ttl_s);
        if (!ttl_s)
            return false;
        tail->ttl_s = ttl_s;
    }
    tail->cap = cap;
    return true;
}

enum ps_status ps_tail_add(struct ps_tail *tail, const struct ps_point *point, uint32_t ttl_s)
{
    if (tail->count == tail->cap && !grow(tail))
        return PS_ENOMEM;
    if (ttl_s && !tail->ttl_s && !(tail->ttl_s = calloc(tail->cap, sizeof *tail->ttl_s)))
        return PS_ENOMEM;
    if (tail->ttl_s)
        tail->ttl_s[tail->count] = ttl_s;
    tail->points[tail->count++] = *point;
    return PS_OK;
}

static bool is_settled(const struct ps_tail *tail)
{
    for (size_t i = 1; i < tail->count; i++) {
        if (tail->points[i - 1].ts_ms >= tail->points[i].ts_ms)
            return false;
    }
    return true;
}

struct arrival {
    int64_t ts_ms;
    size_t index;
};

static int by_time_then_arrival(const void *left, const void *right)
{
    const struct arrival *a = left, *b = right;
    if (a->ts_ms != b->ts_ms)
        return a->ts_ms < b->ts_ms ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static enum ps_status sort(struct ps_tail *tail)
{
    struct ps_tail sorted = { .series = tail->series, .up_to = tail->up_to };
    struct arrival *order = malloc(tail->count * sizeof *order);
    if (!order)
        return PS_ENOMEM;
    for (size_t i = 0; i < tail->count; i++)
        order[i] = (struct arrival){ .ts_ms = tail->points[i].ts_ms, .index = i };
    qsort(order, tail->count, sizeof *order, by_time_then_arrival);
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < tail->count && st == PS_OK; i++) {
        size_t from = order[i].index;
        if (i + 1 == tail->count || order[i + 1].ts_ms != order[i].ts_ms)
            st = ps_tail_add(&sorted, &tail->points[from], tail->ttl_s ? tail->ttl_s[from] : 0);
    }
    free(order);
    ps_tail_deinit(st == PS_OK ? tail : &sorted);
    if (st == PS_OK)
        *tail = sorted;
    return st;
}

void ps_tail_reverse(struct ps_tail *tail)
{
    for (size_t a = 0, b = tail->count; a + 1 < b; a++) {
        b--;
        struct ps_point point = tail->points[a];
        tail->points[a] = tail->points[b];
        tail->points[b] = point;
        if (tail->ttl_s) {
            uint32_t ttl_s = tail->ttl_s[a];
            tail->ttl_s[a] = tail->ttl_s[b];
            tail->ttl_s[b] = ttl_s;
        }
    }
}

enum ps_status ps_tail_settle(struct ps_tail *tail)
{
    return is_settled(tail) ? PS_OK : sort(tail);
}

/* ---- the journal ------------------------------------------------------------------------------
 */

static int by_series(const void *left, const void *right)
{
    const struct ps_tail *a = left, *b = right;
    return a->series < b->series ? -1 : a->series > b->series;
}

static struct ps_tail *find_tail(const struct ps_history_view *view, uint32_t series)
{
    size_t low = 0, high = view->tail_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->tails[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->tail_count && view->tails[low].series == series ? &view->tails[low] : NULL;
}

const struct ps_tail *ps_history_view_tail(const struct ps_history_view *view, uint32_t series)
{
    return find_tail(view, series);
}

/* One for each series whose head does not have all that is unsealed. A key may be asked twice. */
static enum ps_status make_tails(struct ps_history_view *view)
{
    view->tails = calloc(view->count ? view->count : 1, sizeof *view->tails);
    if (!view->tails)
        return PS_ENOMEM;
    for (size_t i = 0; i < view->count; i++) {
        const struct ps_series_copy *copy = &view->copies[i];
        if (copy->id && copy->journal_up_to > view->sealed_seq)
            view->tails[view->tail_count++] =
                (struct ps_tail){ .series = copy->id, .up_to = copy->journal_up_to };
    }
    if (view->tail_count)
        qsort(view->tails, view->tail_count, sizeof *view->tails, by_series);
    size_t kept = 0;
    for (size_t i = 0; i < view->tail_count; i++) {
        if (!kept || view->tails[kept - 1].series != view->tails[i].series)
            view->tails[kept++] = view->tails[i];
    }
    view->tail_count = kept;
    return PS_OK;
}

static bool is_deleted(const struct ps_history_view *view, int64_t seq,
                       const struct ps_journal_record *record)
{
    for (size_t i = 0; i < view->tombstones.count; i++) {
        const struct ps_tombstone *stone = &view->tombstones.items[i];
        if (stone->series == record->series && ps_tombstone_covers(stone, record->ts_ms) &&
            (seq < stone->seq || (seq == stone->seq && record->index < stone->idx)))
            return true;
    }
    return false;
}

static enum ps_status collect(struct ps_history_view *view, int64_t seq,
                              const struct ps_journal_record *record)
{
    if (record->series < view->tails[0].series ||
        record->series > view->tails[view->tail_count - 1].series ||
        record->ts_ms < view->first_ms || record->ts_ms > view->last_ms)
        return PS_OK;
    struct ps_tail *tail = find_tail(view, record->series);
    if (!tail || seq > tail->up_to || is_deleted(view, seq, record))
        return PS_OK;
    struct ps_point point = { .ts_ms = record->ts_ms, .value = record->value };
    if (record->value.type >= PS_VALUE_STRING) {
        char *text = ps_arena_alloc(&view->texts, record->value.len ? record->value.len : 1);
        if (!text)
            return PS_ENOMEM;
        if (record->value.len)
            memcpy(text, record->value.text, record->value.len);
        point.value.text = text;
    }
    return ps_tail_add(tail, &point, record->ttl_s);
}

static enum ps_status scan_blob(struct ps_history_view *view, int64_t seq, const char *blob,
                                size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    while (st == PS_OK && (st = ps_journal_next(&decoder, &record)) == PS_OK)
        st = collect(view, seq, &record);
    if (st != PS_EPROTO)
        return st == PS_ENOTFOUND ? PS_OK : st;
    struct ps_text what;
    ps_text_set(&what, "journal row %lld is damaged", (long long)seq);
    ps_history_damaged(view->history, what.data);
    return PS_OK;
}

static enum ps_status scan_journal(struct ps_history_view *view)
{
    struct ps_stmt *stmt;
    int64_t up_to = 0;
    for (size_t i = 0; i < view->tail_count; i++)
        up_to = view->tails[i].up_to > up_to ? view->tails[i].up_to : up_to;
    enum ps_status st = ps_db_prepare(
        view->history->db,
        "SELECT seq, points FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, view->sealed_seq);
    ps_stmt_bind_int(stmt, 2, up_to);
    bool row;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        st = scan_blob(view, ps_stmt_int(stmt, 0), blob, len);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    for (size_t i = 0; i < view->tail_count && st == PS_OK; i++)
        st = ps_tail_settle(&view->tails[i]);
    return st;
}

/* ---- the snapshot -----------------------------------------------------------------------------
 */

static enum ps_status load_tombstones(struct ps_history_view *view)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < view->count && st == PS_OK; i++) {
        if (view->copies[i].id)
            st = ps_manifest_tombstones(view->history->db, view->copies[i].id, &view->tombstones);
    }
    return st;
}

static enum ps_status load_snapshot(struct ps_history_view *view)
{
    struct ps_db *db = view->history->db;
    enum ps_status st = ps_manifest_state(db, PS_STATE_SEALED_SEQ, 0, &view->sealed_seq);
    if (st == PS_OK && view->history->store)
        st = ps_manifest_load(db, view->first_ms, view->last_ms, &view->manifest);
    if (st == PS_OK)
        st = make_tails(view);
    if (st == PS_OK && (view->tail_count || view->manifest.runs.count))
        st = load_tombstones(view);
    if (st == PS_OK && view->tail_count)
        st = scan_journal(view);
    return st;
}

/* Heads alone can answer only where nothing was sealed. */
static bool needs_snapshot(const struct ps_history_view *view)
{
    if (view->first_ms > view->last_ms)
        return false;
    bool some = false;
    for (size_t i = 0; i < view->count; i++) {
        const struct ps_series_copy *copy = &view->copies[i];
        some |= copy->id && (view->history->store || copy->journal_up_to);
    }
    return some;
}

enum ps_status ps_history_view_open(struct ps_history *history, const struct ps_series_copy *copies,
                                    size_t count, int64_t first_ms, int64_t last_ms,
                                    bool descending, struct ps_history_view **out)
{
    struct ps_history_view *view = calloc(1, sizeof *view);
    if (!view)
        return PS_ENOMEM;
    *view = (struct ps_history_view){ .history = history,
                                      .copies = copies,
                                      .count = count,
                                      .first_ms = first_ms,
                                      .last_ms = last_ms,
                                      .descending = descending };
    enum ps_status st = PS_OK;
    if (needs_snapshot(view)) {
        /* A transaction that is already open could be older than the heads' copies. */
        ps_db_rollback(history->db);
        st = ps_db_begin_read(history->db);
        if (st == PS_OK)
            st = load_snapshot(view);
        ps_db_rollback(history->db);
    }
    if (st != PS_OK) {
        ps_history_close(view);
        return st;
    }
    *out = view;
    return PS_OK;
}

enum ps_status ps_history_open(struct ps_history *history, const struct ps_series_copy *copies,
                               size_t count, const struct ps_history_range *range,
                               struct ps_history_view **out)
{
    bool some = range->start_ms < range->end_ms;
    return ps_history_view_open(history, copies, count, some ? range->start_ms : 1,
                                some ? range->end_ms - 1 : 0, range->descending, out);
}

void ps_history_close(struct ps_history_view *view)
{
    if (!view)
        return;
    ps_manifest_deinit(&view->manifest);
    ps_tombstone_list_deinit(&view->tombstones);
    for (size_t i = 0; view->tails && i < view->tail_count; i++)
        ps_tail_deinit(&view->tails[i]);
    free(view->tails);
    ps_arena_deinit(&view->texts);
    free(view);
}
