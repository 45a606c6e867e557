#include "core/telemetry/history_source.h"

void ps_history_source_deinit(struct ps_history_source *source)
{
    ps_run_reader_close(source->reader);
    ps_chunk_points_deinit(&source->decoded);
    *source = (struct ps_history_source){ 0 };
}

enum ps_status ps_history_source_advance(struct ps_history_source *source,
                                         struct ps_history *history)
{
    enum ps_status st = PS_ENOTFOUND;
    source->at = source->count = 0;
    while (source->reader && (st = ps_run_reader_next(source->reader, &source->chunk)) == PS_EPROTO)
        ps_history_damaged_in(history, source->file_name, ps_run_reader_error(source->reader));
    if (st == PS_OK) {
        source->waiting = true;
        return PS_OK;
    }
    ps_run_reader_close(source->reader);
    source->reader = NULL;
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* The first index whose time is not below. */
static size_t lower_bound(const struct ps_point *points, size_t count, int64_t ts_ms)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points[middle].ts_ms < ts_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void reverse(struct ps_point *points, uint32_t *ttl_s, size_t count)
{
    for (size_t a = 0, b = count; a + 1 < b; a++) {
        b--;
        struct ps_point point = points[a];
        points[a] = points[b];
        points[b] = point;
    }
    for (size_t a = 0, b = count; ttl_s && a + 1 < b; a++) {
        b--;
        uint32_t own = ttl_s[a];
        ttl_s[a] = ttl_s[b];
        ttl_s[b] = own;
    }
}

enum ps_status ps_history_source_decode(struct ps_history_source *source,
                                        const struct ps_history_walk *walk)
{
    const struct ps_history_view *view = walk->view;
    struct ps_chunk_points *decoded = &source->decoded;
    source->waiting = false;
    enum ps_status st = ps_run_reader_decode(source->reader, decoded);
    if (st == PS_EPROTO) {
        ps_history_damaged_in(view->history, source->file_name,
                              ps_run_reader_error(source->reader));
        return PS_OK;
    }
    if (st != PS_OK || decoded->count == 0)
        return st;
    size_t first = 0, end = decoded->count;
    if (source->chunk.first_ms < view->first_ms)
        first = lower_bound(decoded->points, decoded->count, view->first_ms);
    if (source->chunk.last_ms > view->last_ms) /* so last_ms + 1 is there */
        end = lower_bound(decoded->points, decoded->count, view->last_ms + 1);
    if (first >= end)
        return PS_OK;
    uint32_t *ttl_s = decoded->ttl_s ? decoded->ttl_s + first : NULL;
    if (walk->mask)
        reverse(decoded->points + first, ttl_s, end - first);
    source->points = decoded->points + first;
    source->ttl_s = ttl_s;
    source->at = 0;
    source->count = end - first;
    return PS_OK;
}

/* ---- deletions ---- */

bool ps_history_source_touches_deleted(const struct ps_history_source *source, int64_t first_ms,
                                       int64_t last_ms)
{
    return ps_deleted_spans_touch_run(&source->deleted, first_ms, last_ms, source->rank);
}

int64_t ps_history_source_key(const struct ps_history_source *source,
                              const struct ps_history_walk *walk)
{
    const struct ps_history_view *view = walk->view;
    if (source->at < source->count)
        return ps_history_key(walk, source->points[source->at].ts_ms);
    int64_t ts_ms;
    if (walk->mask)
        ts_ms = source->chunk.last_ms < view->last_ms ? source->chunk.last_ms : view->last_ms;
    else
        ts_ms = source->chunk.first_ms > view->first_ms ? source->chunk.first_ms : view->first_ms;
    return ps_history_key(walk, ts_ms);
}
