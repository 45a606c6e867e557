/* batch_apply: what is committed becomes what memory knows. Thread: the shard's. */
#include "actors/batch.h"
#include "core/prefetch.h"

enum { POINTS_AHEAD = 6 };

static void apply_points(const struct ps_batch *batch, struct ps_series_table *table, size_t from,
                         size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct ps_batch_point *point = &batch->points[i];
        if (i + POINTS_AHEAD < batch->point_count)
            ps_prefetch(batch->points[i + POINTS_AHEAD].series, 2 * PS_CACHE_LINE);
        if (i + POINTS_AHEAD / 2 < batch->point_count)
            ps_series_fetch_head(batch->points[i + POINTS_AHEAD / 2].series);
        ps_series_apply(table, point->series, batch->seq, point->ts_ms, &point->value,
                        point->ttl_s);
    }
}

static void apply_delete(const struct ps_batch_delete *delete, struct ps_series_table *table)
{
    struct ps_series_deletion deletion = {
        .start_ms = delete->start_ms,
        .end_ms = delete->end_ms,
        .delete_latest =
            delete->latest == PS_BATCH_LATEST_GOES || delete->latest == PS_BATCH_LATEST_REPLACED,
        .rewrite_latest = delete->latest == PS_BATCH_LATEST_REPLACED,
    };
    (void)ps_series_delete_range(table, delete->series, &deletion);
}

void ps_batch_apply(const struct ps_batch *batch, struct ps_series_table *table)
{
    size_t applied = 0;
    for (size_t i = 0; i < batch->delete_count; i++) {
        const struct ps_batch_delete *delete = &batch->deletes[i];
        apply_points(batch, table, applied, delete->before);
        applied = delete->before;
        apply_delete(delete, table);
    }
    apply_points(batch, table, applied, batch->point_count);
}

bool ps_batch_deletes(const struct ps_batch *batch, const struct ps_series *series)
{
    for (size_t i = 0; i < batch->delete_count; i++) {
        if (batch->deletes[i].series == series)
            return true;
    }
    return false;
}
