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

/** A point is gone once `now` is `ttl_s` seconds after it: ts + ttl <= now. ttl_s 0 = never.
 *  Right for any ts: nothing overflows. */
bool ps_point_is_expired(int64_t ts_ms, uint32_t ttl_s, int64_t now_ms);
/** The greatest ts that is gone by now; *out is untouched and false if none is. */
bool ps_point_expired_up_to(uint32_t ttl_s, int64_t now_ms, int64_t *out);

/** Append a copy of the point, text included. */
PS_MUST_CHECK
enum ps_status ps_points_add(struct ps_points *points, int64_t ts_ms, const struct ps_value *value);
/** Append copies of `count` points, text included; all or none. */
PS_MUST_CHECK
enum ps_status ps_points_append(struct ps_points *points, const struct ps_point *from,
                                size_t count);
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

/* How buckets are cut (rest-api 8.1). The calendar kinds end at the next boundary in the query's
 * time zone and have no use for interval_ms. */
enum ps_interval_type {
    PS_INTERVAL_MILLISECONDS,
    PS_INTERVAL_WEEK,     /* Sunday first */
    PS_INTERVAL_WEEK_ISO, /* Monday first */
    PS_INTERVAL_MONTH,
    PS_INTERVAL_QUARTER,
};

/* How raw points are thinned to what a screen can show (downsample.h). */
enum ps_downsample { PS_DOWNSAMPLE_NONE, PS_DOWNSAMPLE_MINMAX, PS_DOWNSAMPLE_LTTB };

enum {
    PS_TIME_ZONE_NAME_BYTES = 48, /* with the final zero; the longest known has 32 */
    PS_DOWNSAMPLE_POINTS_MIN = 2,
    PS_DOWNSAMPLE_POINTS_MAX = 100000,
};

struct ps_history_query {
    int64_t start_ms, end_ms; /* start inclusive, end exclusive */
    size_t limit;             /* raw points per key, for PS_AGG_NONE without thinning */
    bool ascending;           /* for PS_AGG_NONE; aggregated data is always ascending */
    enum ps_aggregate aggregate;
    int64_t interval_ms; /* bucket width; 0 behaves as PS_AGG_NONE (of MILLISECONDS only) */
    enum ps_interval_type interval_type;
    char time_zone[PS_TIME_ZONE_NAME_BYTES]; /* IANA name; empty: the server's */
    enum ps_downsample downsample;           /* for PS_AGG_NONE */
    size_t points;                           /* thin to at most so many, MIN..MAX above */
    int64_t now_ms; /* decides what is expired: one for all parts of an answer; 0 = the clock's */
    /* NULL; or, once true, nobody waits for the answer: PS_ECLOSED at the next chunk. */
    const _Atomic bool *abandoned;
};

/** No buckets: points as they are, thinned or not. */
bool ps_history_query_is_raw(const struct ps_history_query *query);

#endif
