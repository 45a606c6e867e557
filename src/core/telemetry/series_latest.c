#include "core/telemetry/series_head.h"

void ps_series_drop_latest(struct ps_series *series)
{
    if (series->has_latest)
        ps_head_free_text(&series->latest);
    series->has_latest = false;
    series->latest = (struct ps_head_point){ 0 };
}

void ps_series_offer_latest(const struct ps_series_table *table, struct ps_series *series,
                            int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s)
{
    if (series->latest_state != PS_LATEST_STATE_KNOWN && series->pinned) {
        series->epoch++; /* the pin is not in memory: do not judge */
        return;
    }
    if (series->has_latest && ts_ms < series->latest.ts_ms)
        return;
    struct ps_head_point point;
    if (!ps_head_pack(ts_ms, value, ttl_s, &point)) {
        series->latest_state = PS_LATEST_STATE_SOUGHT; /* the journal has it */
        series->epoch++;
        return;
    }
    ps_series_drop_latest(series);
    series->latest = point;
    series->has_latest = true;
    if (series->latest_state == PS_LATEST_STATE_SINCE_START && ts_ms >= table->sealed_max_ms)
        series->latest_state = PS_LATEST_STATE_KNOWN;
}

static bool latest_is_expired(const struct ps_series *series, uint32_t default_ttl_s,
                              int64_t now_ms)
{
    uint32_t ttl_s = series->latest.ttl_s ? series->latest.ttl_s : default_ttl_s;
    return ps_point_is_expired(series->latest.ts_ms, ttl_s, now_ms);
}

enum ps_latest ps_series_latest(const struct ps_series *series, uint32_t default_ttl_s,
                                int64_t now_ms, struct ps_point *out)
{
    if (series->latest_state != PS_LATEST_STATE_KNOWN)
        return PS_LATEST_UNKNOWN;
    if (!series->has_latest)
        return PS_LATEST_NONE;
    if (latest_is_expired(series, default_ttl_s, now_ms))
        return PS_LATEST_UNKNOWN;
    *out = ps_head_unpack(&series->latest);
    return PS_LATEST_KNOWN;
}

uint32_t ps_series_latest_ttl_s(const struct ps_series *series)
{
    return series->latest.ttl_s;
}

void ps_series_newest_deinit(struct ps_series_newest *newest)
{
    ps_points_deinit(&newest->points);
    *newest = (struct ps_series_newest){ 0 };
}

void ps_series_learn_latest(struct ps_series *series, const struct ps_series_newest *newest)
{
    if (newest->epoch != series->epoch)
        return;
    bool expired =
        series->has_latest && latest_is_expired(series, newest->default_ttl_s, newest->now_ms);
    const struct ps_point *point = newest->points.count ? newest->points.points : NULL;
    /* A point that came since the start is in memory; the answer may be from before it came. */
    bool keep = series->has_latest && !expired && (!point || point->ts_ms <= series->latest.ts_ms);
    struct ps_head_point packed = { 0 };
    if (!keep && point && !ps_head_pack(point->ts_ms, &point->value, newest->ttl_s, &packed))
        return;
    if (!keep) {
        ps_series_drop_latest(series);
        series->has_latest = point != NULL;
        series->latest = packed;
    }
    series->latest_state = PS_LATEST_STATE_KNOWN;
}

/* Points that came while it was pinned may not have been judged. */
void ps_series_unpin(struct ps_series *series)
{
    series->pinned = false;
    if (series->latest_state == PS_LATEST_STATE_KNOWN)
        return;
    series->latest_state = PS_LATEST_STATE_SOUGHT;
    series->epoch++;
}

/* ---- deletions ---- */

static bool covers(const struct ps_series_deletion *deletion, int64_t ts_ms)
{
    return ts_ms >= deletion->start_ms &&
           (ts_ms < deletion->end_ms || deletion->end_ms == INT64_MAX);
}

static void delete_from_head(struct ps_series_table *table, struct ps_head *head,
                             const struct ps_series_deletion *deletion)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        struct ps_head_point *point = ps_head_at(head, i);
        if (covers(deletion, point->ts_ms)) {
            table->memory -= ps_head_text_bytes(point);
            ps_head_free_text(point);
        } else {
            *ps_head_at(head, kept++) = *point;
        }
    }
    head->count = (uint16_t)kept;
}

/* Everything the series has is in its head. */
static bool is_complete(const struct ps_series *series)
{
    return !series->sealed && !series->overflowed && !(series->head && series->head->lost_seq);
}

static bool take_latest_from_head(struct ps_series *series)
{
    const struct ps_head_point *best = NULL;
    for (uint32_t i = 0; series->head && i < series->head->count; i++) {
        const struct ps_head_point *point = ps_head_at(series->head, i);
        if (!best || point->ts_ms >= best->ts_ms)
            best = point;
    }
    if (!best)
        return true;
    struct ps_point point = ps_head_unpack(best);
    struct ps_head_point copy;
    if (!ps_head_pack(point.ts_ms, &point.value, best->ttl_s, &copy))
        return false;
    series->latest = copy;
    series->has_latest = true;
    return true;
}

static enum ps_deletion_latest replace_latest(struct ps_series *series)
{
    ps_series_drop_latest(series);
    if (!is_complete(series) || !take_latest_from_head(series)) {
        series->latest_state = PS_LATEST_STATE_SOUGHT;
        return PS_DELETION_LATEST_LOST;
    }
    return series->has_latest ? PS_DELETION_LATEST_REPLACED : PS_DELETION_LATEST_REMOVED;
}

enum ps_deletion_latest ps_series_delete_range(struct ps_series_table *table,
                                               struct ps_series *series,
                                               const struct ps_series_deletion *deletion)
{
    series->epoch++;
    if (series->head)
        delete_from_head(table, series->head, deletion);
    if (!deletion->delete_latest)
        return PS_DELETION_LATEST_KEPT;
    bool hit = series->has_latest && covers(deletion, series->latest.ts_ms);
    if (series->latest_state != PS_LATEST_STATE_KNOWN) {
        if (hit) {
            ps_series_drop_latest(series);
            series->latest_state = PS_LATEST_STATE_SOUGHT;
        }
        return PS_DELETION_LATEST_LOST;
    }
    if (!hit)
        return PS_DELETION_LATEST_KEPT;
    /* Of a series with a pin the latest value need not be the newest point: later ones may stay. */
    if (deletion->rewrite_latest && (deletion->start_ms != INT64_MIN || series->pinned))
        return replace_latest(series);
    ps_series_drop_latest(series);
    return PS_DELETION_LATEST_REMOVED;
}
