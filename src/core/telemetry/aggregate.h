/* aggregate: points in ascending order become one value a bucket (rest-api 8.1).
 *
 * Buckets are cut from start_ms on, by a width or by the calendar of a time zone; the last ends at
 * end_ms. A bucket's time is its midpoint, with the clipped ends. Buckets without an answer are
 * left out:
 *
 *     COUNT   of all points, whatever their type
 *     AVG     a double, over longs and doubles
 *     SUM     a long (wrapping) unless there is a double
 *     MIN MAX of the numbers: a long unless there is a double; of the strings (byte order) if there
 *             are no numbers. Booleans and JSON have neither
 *
 * NaN has no place in an order: MIN and MAX pass over it unless there is nothing else; SUM and AVG
 * become NaN by it.
 *
 * One pass, one bucket in memory. A chunk of a run that lies in one bucket is taken from its
 * summary without being decoded. */
#ifndef PS_CORE_TELEMETRY_AGGREGATE_H
#define PS_CORE_TELEMETRY_AGGREGATE_H

#include "core/buf.h"
#include "core/telemetry/calendar.h"
#include "core/telemetry/chunk.h"
#include "core/telemetry/point.h"

struct ps_chunk_info;

struct ps_aggregate_bucket {
    int64_t start_ms;
    uint64_t span_ms; /* unsigned: a range of all of time has room in it */
    size_t count, numbers, strings;
    bool has_real;
    uint64_t whole_sum; /* wraps */
    int64_t whole_min, whole_max;
    double real_sum, real_min, real_max; /* of all numbers */
};

/* Zeroed: deinit is fine. */
struct ps_aggregation {
    enum ps_aggregate aggregate;
    int64_t start_ms, end_ms;
    uint64_t width_ms; /* 0: the calendar cuts */
    struct ps_calendar calendar;
    size_t buckets_max;
    struct ps_aggregate_bucket bucket; /* span 0: none is open */
    struct ps_buf text_min, text_max;
    struct ps_points *out; /* borrowed; ascending */
};

/**
 * @param query  not raw; aggregate, range, interval and time zone count
 * @param out    where buckets are added, until deinit
 * Returns: PS_OK; PS_EINVAL there is no such time zone; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_aggregation_init(struct ps_aggregation *aggregation,
                                   const struct ps_history_query *query, size_t buckets_max,
                                   struct ps_points *out);
void ps_aggregation_deinit(struct ps_aggregation *aggregation);

/** Points of the query's range, ascending from call to call.
 *  Returns: PS_OK; PS_ELIMIT more than buckets_max buckets; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_aggregation_add(struct ps_aggregation *aggregation, const struct ps_point *points,
                                  size_t count);
/**
 * In place of its points, a chunk all of whose points are alive and in the range.
 * Returns: PS_OK; PS_EUNSUPPORTED it must be decoded and added; as add
 */
PS_MUST_CHECK
enum ps_status ps_aggregation_add_chunk(struct ps_aggregation *aggregation,
                                        const struct ps_chunk_info *chunk);
/** Write the last bucket. */
PS_MUST_CHECK
enum ps_status ps_aggregation_finish(struct ps_aggregation *aggregation);

/**
 * How many buckets the query's range is cut into, empty ones counted; `max` + 1 stands for more.
 * Returns: PS_OK; PS_EINVAL there is no such time zone; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_aggregation_count(const struct ps_history_query *query, size_t max, size_t *out);

#endif
