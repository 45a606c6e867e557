/* history_newest: the latest value of a series, looked up. */
#include "core/telemetry/history_view.h"
#include "core/telemetry/latest_pin.h"

#define RECENT_MS (INT64_C(35) * 86400 * 1000)

enum { ATTEMPTS = 5 }; /* a run that was merged away since the snapshot, a pin that changed */

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
    enum ps_status st = ps_history_view_open(history, copy, 1, first_ms, last_ms, true, 1, &view);
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
static enum ps_status read_newest_point(struct ps_history *history,
                                        const struct ps_series_copy *copy,
                                        const struct ps_latest_pin *pin,
                                        struct ps_series_newest *newest)
{
    int64_t first_ms = pin->has_floor ? pin->floor_ms : INT64_MIN, recent_ms;
    if (first_ms == INT64_MAX)
        return PS_OK;
    first_ms += pin->has_floor;
    if (__builtin_sub_overflow(history->now_ms, RECENT_MS, &recent_ms) || recent_ms <= first_ms)
        return read_newest_of(history, copy, first_ms, INT64_MAX, newest);
    enum ps_status st = read_newest_of(history, copy, recent_ms, INT64_MAX, newest);
    if (st != PS_OK || newest->points.count)
        return st;
    return read_newest_of(history, copy, first_ms, recent_ms - 1, newest);
}

/* Of equal times the point that is stored came later. */
static void consider_pinned(const struct ps_history *history, struct ps_latest_pin *pin,
                            struct ps_series_newest *newest)
{
    uint32_t ttl_s = pin->ttl_s ? pin->ttl_s : history->default_ttl_s;
    if (!pin->has_point || ps_point_is_expired(pin->ts_ms, ttl_s, history->now_ms) ||
        (newest->points.count && newest->points.points[0].ts_ms >= pin->ts_ms))
        return;
    ps_points_deinit(&newest->points);
    newest->points = pin->point;
    newest->ttl_s = pin->ttl_s;
    pin->point = (struct ps_points){ 0 };
}

/* Pin and points are not read in one snapshot: PS_EBUSY if the pin changed meanwhile. A point that
 * ended it may not have been in the head yet when that was copied, but it is in the journal. */
static enum ps_status read_newest(struct ps_history *history, const struct ps_series_copy *head,
                                  struct ps_series_newest *newest)
{
    struct ps_latest_pin pin, after = { 0 };
    struct ps_series_copy copy = *head; /* owns nothing */
    enum ps_status st = ps_latest_pin_read(history->db, copy.id, &pin);
    if (st != PS_OK)
        return st;
    if (copy.pinned && !pin.has_floor)
        copy.journal_up_to = INT64_MAX;
    st = read_newest_point(history, &copy, &pin, newest);
    if (st == PS_OK)
        st = ps_latest_pin_read(history->db, copy.id, &after);
    if (st == PS_OK && !ps_latest_pin_equal(&pin, &after))
        st = PS_EBUSY;
    if (st == PS_OK && pin.damaged)
        ps_history_damaged(history, "a pinned latest value");
    if (st == PS_OK)
        consider_pinned(history, &pin, newest);
    else
        ps_points_deinit(&newest->points);
    ps_latest_pin_deinit(&after);
    ps_latest_pin_deinit(&pin);
    return st;
}

enum ps_status ps_history_newest(struct ps_history *history, const struct ps_series_copy *copy,
                                 struct ps_series_newest *out)
{
    struct ps_series_newest newest = { .default_ttl_s = history->default_ttl_s,
                                       .now_ms = history->now_ms,
                                       .epoch = copy->epoch };
    enum ps_status st = PS_EBUSY;
    for (int i = 0; i < ATTEMPTS && st == PS_EBUSY; i++)
        st = read_newest(history, copy, &newest);
    if (st != PS_OK) {
        ps_series_newest_deinit(&newest);
        return st;
    }
    *out = newest;
    return PS_OK;
}
