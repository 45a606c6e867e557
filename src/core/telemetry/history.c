#include "core/telemetry/history.h"

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/aggregate.h"
#include "core/telemetry/downsample.h"
#include "core/telemetry/history_view.h"

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

static enum ps_status take_chunk(void *arg, const struct ps_chunk_info *chunk)
{
    return ps_aggregation_add_chunk(arg, chunk);
}

static enum ps_status aggregate(struct ps_history_cursor *cursor,
                                struct ps_aggregation *aggregation)
{
    const struct ps_point *points;
    const uint32_t *ttl_s;
    size_t count;
    enum ps_status st;
    while ((st = ps_history_cursor_step(cursor, take_chunk, aggregation, &points, &ttl_s,
                                        &count)) == PS_OK) {
        st = ps_aggregation_add(aggregation, points, count);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? ps_aggregation_finish(aggregation) : st;
}

static enum ps_status read_buckets(struct ps_history_view *view, size_t index,
                                   const struct ps_history_query *query, struct ps_points *out)
{
    struct ps_aggregation aggregation;
    struct ps_history_cursor *cursor;
    enum ps_status st = ps_aggregation_init(&aggregation, query, PS_HISTORY_BUCKETS_MAX, out);
    if (st != PS_OK)
        return st;
    st = ps_history_cursor_open(view, index, &cursor);
    if (st == PS_OK) {
        st = aggregate(cursor, &aggregation);
        ps_history_cursor_close(cursor);
    }
    ps_aggregation_deinit(&aggregation);
    return st;
}

/* ---- thinned points ---- */

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
        *out = points[0].ts_ms;
    ps_history_cursor_close(cursor);
    return st;
}

static enum ps_status thin(void *arg, const struct ps_point *points, size_t count)
{
    return ps_thinning_add(arg, points, count);
}

static enum ps_status read_thinned(struct ps_history_view *view, size_t index,
                                   const struct ps_history_query *query, struct ps_points *out)
{
    struct ps_thinning thinning;
    struct ps_history_cursor *cursor;
    int64_t first_ms, last_ms;
    enum ps_status st = find_end(view, index, false, &first_ms);
    if (st == PS_OK)
        st = find_end(view, index, true, &last_ms);
    if (st != PS_OK)
        return st == PS_ENOTFOUND ? PS_OK : st;
    ps_thinning_init(&thinning, query->downsample, query->points, first_ms, last_ms);
    st = ps_history_cursor_open_at(view, index, false, &cursor);
    if (st == PS_OK) {
        st = push(cursor, thin, &thinning);
        ps_history_cursor_close(cursor);
    }
    if (st == PS_OK)
        st = ps_thinning_finish(&thinning, out);
    ps_thinning_deinit(&thinning);
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
    bool as_they_are = ps_history_query_is_raw(query) && query->downsample == PS_DOWNSAMPLE_NONE;
    struct ps_history_range range = { .start_ms = query->start_ms,
                                      .end_ms = query->end_ms,
                                      .descending = as_they_are && !query->ascending,
                                      .limit = as_they_are ? query->limit : 0 };
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
    if (query->abandoned)
        history->abandoned = query->abandoned;
    for (int i = 0; i < ATTEMPTS && st == PS_EBUSY; i++)
        st = read_all(history, query, copies, count, out);
    return st;
}
