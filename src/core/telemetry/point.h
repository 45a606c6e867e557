/* point: one value of a series at a time, and an owned list of points as queries return it. */
#ifndef PS_CORE_TELEMETRY_POINT_H
#define PS_CORE_TELEMETRY_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/value.h"

struct ps_point {
    int64_t ts_ms;
    struct ps_value value; /* text is owned by the list that holds the point */
};

/* Points of one key, in the order asked for. Zeroed = empty. */
struct ps_points {
    char *key; /* owned, terminated */
    size_t count, cap;
    struct ps_point *points;
};

/** Append a copy of the point, text included. */
PS_MUST_CHECK
enum ps_status ps_points_add(struct ps_points *points, int64_t ts_ms, const struct ps_value *value);
void ps_points_deinit(struct ps_points *points);

/** Order by ts; of equal ones the last added stays (last write wins). */
PS_MUST_CHECK
enum ps_status ps_points_settle(struct ps_points *points);
/** Keep only the first `count`. */
void ps_points_truncate(struct ps_points *points, size_t count);
/** Drop the first `count`. */
void ps_points_drop_first(struct ps_points *points, size_t count);
void ps_points_reverse(struct ps_points *points);

/* One list per key. */
struct ps_point_set {
    size_t count;
    struct ps_points *keys;
};

void ps_point_set_deinit(struct ps_point_set *set);

enum ps_aggregate { PS_AGG_NONE, PS_AGG_MIN, PS_AGG_MAX, PS_AGG_AVG, PS_AGG_SUM, PS_AGG_COUNT };

struct ps_history_query {
    int64_t start_ms, end_ms; /* start inclusive, end exclusive */
    size_t limit;             /* raw points per key, for PS_AGG_NONE */
    bool ascending;           /* for PS_AGG_NONE; aggregated data is always ascending */
    enum ps_aggregate aggregate;
    int64_t interval_ms; /* bucket width; 0 behaves as PS_AGG_NONE */
};

#endif
