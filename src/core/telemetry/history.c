#include "core/telemetry/history.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/aggregate.h"
#include "core/telemetry/downsample.h"
#include "core/telemetry/history_view.h"

#define RECENT_MS (INT64_C(35) * 86400 * 1000)

enum { ATTEMPTS = 5 }; /* a run that was merged away since the snapshot: take another snapshot */

/* ---- pushing ---- */

static enum ps_status push(struct ps_history_cursor *cursor, ps_history_visit *visit, void *arg)
{
    const struct ps_point *points;
    size_t count;
    enum ps_status st;
    while ((st = ps_history_cursor_next(cursor, &points, &count)) == PS_OK) {
        st = visit(arg, points, count);
        if (st != PS_OK)
            return st == PS_ECLOSED ? PS_OK : st;
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

enum ps_status ps_history_scan(struct ps_history *history, const struct ps_series_copy *copy,
                               const struct ps_history_range *range, ps_history_visit *visit,
                               void *arg)
{
    struct ps_history_view *view;
    struct ps_history_cursor *cursor;
    enum ps_status st = ps_history_open(history, copy, 1, range, &view);
    if (st != PS_OK)
        return st;
    st = ps_history_cursor_open(view, 0, &cursor);
    if (st == PS_OK) {
        st = push(cursor, visit, arg);
        ps_history_cursor_close(cursor);
    }
    ps_history_close(view);
    return st;
}

/* Asked wherever much may be read: whoever asked may have gone. */
static bool is_abandoned(const struct ps_history_query *query)
{
    return query->abandoned && atomic_load_explicit(query->abandoned, memory_order_relaxed);
}

/* ---- raw points ---- */

struct gathering {
    struct ps_points *out;
    size_t limit;
};

static enum ps_status gather(void *arg, const struct ps_point *points, size_t count)
{
    struct gathering *gathering = arg;
    size_t room = gathering->limit - gathering->out->count;
    enum ps_status st = ps_points_append(gathering->out, points, count < room ? count : room);
    return st == PS_OK && count >= room ? PS_ECLOSED : st;
}

static enum ps_status read_raw(struct ps_history_view *view, size_t index,
                               const struct ps_history_query *query, struct ps_points *out)
{
    struct gathering gathering = { .out = out,
                                   .limit = query->limit < PS_HISTORY_POINTS_MAX
                                                ? query->limit
                                                : PS_HISTORY_POINTS_MAX };
    struct ps_history_cursor *cursor;
    if (!gathering.limit)
        return PS_OK;
    enum ps_status st = ps_history_cursor_open(view, index, &cursor);
    if (st != PS_OK)
        return st;
    st = push(cursor, gather, &gathering);
    ps_history_cursor_close(cursor);
    return st;
}

/* ---- buckets ---- */

struct bucketing {
    struct ps_aggregation aggregation;
    const struct ps_history_query *query;
};

static enum ps_status take_chunk(void *arg, const struct ps_chunk_info *chunk)
{
    struct bucketing *bucketing = arg;
    if (is_abandoned(bucketing->query))
        return PS_ECLOSED;
    return ps_aggregation_add_chunk(&bucketing->aggregation, chunk);
}

static enum ps_status aggregate(struct ps_history_cursor *cursor, struct bucketing *bucketing)
{
    struct ps_aggregation *aggregation = &bucketing->aggregation;
    const struct ps_point *points;
    const uint32_t *ttl_s;
    size_t count;
    enum ps_status st;
    while ((st = ps_history_cursor_step(cursor, take_chunk, bucketing, &points, &ttl_s, &count)) ==
           PS_OK) {
        st = is_abandoned(bucketing->query) ? PS_ECLOSED
                                            : ps_aggregation_add(aggregation, points, count);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? ps_aggregation_finish(aggregation) : st;
}

static enum ps_status read_buckets(struct ps_history_view *view, size_t index,
                                   const struct ps_history_query *query, struct ps_points *out)
{
    struct bucketing bucketing = { .query = query };
    struct ps_history_cursor *cursor;
    enum ps_status st =
        ps_aggregation_init(&bucketing.aggregation, query, PS_HISTORY_BUCKETS_MAX, out);
    if (st != PS_OK)
        return st;
    st = ps_history_cursor_open(view, index, &cursor);
    if (st == PS_OK) {
        st = aggregate(cursor, &bucketing);
        ps_history_cursor_close(cursor);
    }
    ps_aggregation_deinit(&bucketing.aggregation);
    return st;
}

/* ---- thinned points ---- */

static enum ps_status note_time(void *arg, const struct ps_point *points, size_t count)
{
    (void)count;
    *(int64_t *)arg = points[0].ts_ms;
    return PS_ECLOSED;
}

/* The time of the first point in a direction; PS_ENOTFOUND if there is none. */
static enum ps_status find_end(struct ps_history_view *view, size_t index, bool descending,
                               int64_t *out)
{
    struct ps_history_cursor *cursor;
    const struct ps_point *points;
    size_t count;
    enum ps_status st = ps_history_cursor_open_at(view, index, descending, &cursor);
    if (st != PS_OK)
        return st;
    st = ps_history_cursor_next(cursor, &points, &count);
    if (st == PS_OK)
        (void)note_time(out, points, count);
    ps_history_cursor_close(cursor);
    return st;
}

struct thinning {
    struct ps_thinning thinning;
    const struct ps_history_query *query;
};

static enum ps_status thin(void *arg, const struct ps_point *points, size_t count)
{
    struct thinning *thinning = arg;
    return is_abandoned(thinning->query) ? PS_ECLOSED
                                         : ps_thinning_add(&thinning->thinning, points, count);
}

static enum ps_status read_thinned(struct ps_history_view *view, size_t index,
                                   const struct ps_history_query *query, struct ps_points *out)
{
    struct thinning thinning = { .query = query };
    struct ps_history_cursor *cursor;
    int64_t first_ms, last_ms;
    enum ps_status st = find_end(view, index, false, &first_ms);
    if (st == PS_OK)
        st = find_end(view, index, true, &last_ms);
    if (st != PS_OK)
        return st == PS_ENOTFOUND ? PS_OK : st;
    ps_thinning_init(&thinning.thinning, query->downsample, query->points, first_ms, last_ms);
    st = ps_history_cursor_open_at(view, index, false, &cursor);
    if (st == PS_OK) {
        st = push(cursor, thin, &thinning);
        ps_history_cursor_close(cursor);
    }
    if (st == PS_OK && is_abandoned(query))
        st = PS_ECLOSED;
    if (st == PS_OK)
        st = ps_thinning_finish(&thinning.thinning, out);
    ps_thinning_deinit(&thinning.thinning);
    if (st == PS_OK && !query->ascending)
        ps_points_reverse(out);
    return st;
}

/* ---- queries ---- */

static enum ps_status read_one(struct ps_history_view *view, size_t index,
                               const struct ps_history_query *query, struct ps_points *out)
{
    if (!ps_history_query_is_raw(query))
        return read_buckets(view, index, query, out);
    if (query->downsample != PS_DOWNSAMPLE_NONE)
        return read_thinned(view, index, query, out);
    return read_raw(view, index, query, out);
}

static enum ps_status read_all(struct ps_history *history, const struct ps_history_query *query,
                               const struct ps_series_copy *copies, size_t count,
                               struct ps_points *out)
{
    struct ps_history_range range = { .start_ms = query->start_ms,
                                      .end_ms = query->end_ms,
                                      .descending =
                                          ps_history_query_is_raw(query) && !query->ascending };
    struct ps_history_view *view;
    enum ps_status st = ps_history_open(history, copies, count, &range, &view);
    if (st != PS_OK)
        return st;
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        ps_points_truncate(&out[i], 0);
        st = read_one(view, i, query, &out[i]);
    }
    ps_history_close(view);
    return st;
}

enum ps_status ps_history_read(struct ps_history *history, const struct ps_history_query *query,
                               const struct ps_series_copy *copies, size_t count,
                               struct ps_points *out)
{
    enum ps_status st = PS_EBUSY;
    for (int i = 0; i < ATTEMPTS && st == PS_EBUSY; i++)
        st = read_all(history, query, copies, count, out);
    return st;
}

/* ---- the newest ---- */

static enum ps_status load_floor(struct ps_history *history, uint32_t series,
                                 struct ps_series_newest *newest)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st =
        ps_db_prepare(history->db, "SELECT latest_floor_ms FROM series WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st;
    newest->has_floor = !ps_stmt_is_null(stmt, 0);
    newest->floor_ms = newest->has_floor ? ps_stmt_int(stmt, 0) : 0;
    ps_stmt_reset(stmt);
    return PS_OK;
}

/* The newest point of [first_ms, last_ms], if there is one. */
static enum ps_status read_newest_of(struct ps_history *history, const struct ps_series_copy *copy,
                                     int64_t first_ms, int64_t last_ms,
                                     struct ps_series_newest *newest)
{
    struct ps_history_view *view;
    struct ps_history_cursor *cursor;
    const struct ps_point *points;
    const uint32_t *ttl_s;
    size_t count;
    enum ps_status st = ps_history_view_open(history, copy, 1, first_ms, last_ms, true, &view);
    if (st != PS_OK)
        return st;
    st = ps_history_cursor_open(view, 0, &cursor);
    if (st == PS_OK) {
        st = ps_history_cursor_step(cursor, NULL, NULL, &points, &ttl_s, &count);
        if (st == PS_OK) {
            newest->ttl_s = ttl_s ? ttl_s[0] : 0;
            st = ps_points_append(&newest->points, points, 1);
        }
        ps_history_cursor_close(cursor);
    }
    ps_history_close(view);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* Mostly it is a few days old: years of files are looked at only if it is not. */
static enum ps_status read_newest(struct ps_history *history, const struct ps_series_copy *copy,
                                  struct ps_series_newest *newest)
{
    int64_t first_ms = newest->has_floor ? newest->floor_ms : INT64_MIN, recent_ms;
    if (first_ms == INT64_MAX)
        return PS_OK;
    first_ms += newest->has_floor;
    if (__builtin_sub_overflow(history->now_ms, RECENT_MS, &recent_ms) || recent_ms <= first_ms)
        return read_newest_of(history, copy, first_ms, INT64_MAX, newest);
    enum ps_status st = read_newest_of(history, copy, recent_ms, INT64_MAX, newest);
    if (st != PS_OK || newest->points.count)
        return st;
    return read_newest_of(history, copy, first_ms, recent_ms - 1, newest);
}

enum ps_status ps_history_newest(struct ps_history *history, const struct ps_series_copy *copy,
                                 struct ps_series_newest *out)
{
    struct ps_series_newest newest = { .default_ttl_s = history->default_ttl_s,
                                       .now_ms = history->now_ms,
                                       .epoch = copy->epoch };
    enum ps_status st = load_floor(history, copy->id, &newest);
    if (st == PS_OK)
        st = PS_EBUSY;
    for (int i = 0; i < ATTEMPTS && st == PS_EBUSY; i++)
        st = read_newest(history, copy, &newest);
    if (st != PS_OK) {
        ps_series_newest_deinit(&newest);
        return st;
    }
    *out = newest;
    return PS_OK;
}
