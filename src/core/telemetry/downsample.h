/* downsample: many points become few that draw the same line.
 *
 * MINMAX cuts the time between the first and the last point into points/2 buckets of equal width
 * and keeps the least and the greatest of each, in order of time: no spike is lost. LTTB keeps the
 * first and the last number and the points that span the largest triangles with their neighbours
 * (S. Steinarsson, "Downsampling Time Series for Visual Representation", 2013). It is run over a
 * MINMAX selection of four times as many points, which looks the same and needs one pass and little
 * memory (J. Van Der Donckt et al., "MinMaxLTTB", IEEE VIS 2023).
 *
 * Fewer points than asked for are left alone. Booleans count as 0 and 1. Other values have no
 * place on an axis: strings, JSON and NaN are passed over where there are numbers in the bucket;
 * of a bucket without numbers the first and the last point stay.
 *
 * Memory: points (LTTB: four times as many). */
#ifndef PS_CORE_TELEMETRY_DOWNSAMPLE_H
#define PS_CORE_TELEMETRY_DOWNSAMPLE_H

#include "core/telemetry/point.h"

struct ps_thinning_bucket {
    bool open;
    uint64_t index;
    bool has_numbers;
    struct ps_point least, greatest; /* if has_numbers; no text */
    struct ps_points others;         /* else the first and the last; owned */
};

/* Zeroed: deinit is fine. */
struct ps_thinning {
    enum ps_downsample kind;
    size_t points;
    int64_t first_ms;
    uint64_t width_ms; /* of a bucket; 0: 2^64, all of time */
    bool thins;        /* more came than asked for */
    bool has_ends;
    struct ps_point head, tail; /* the first and the last number, if has_ends */
    struct ps_points picked;    /* all so far, or what was picked of them */
    struct ps_thinning_bucket bucket;
};

/**
 * @param first_ms, last_ms  of the first and last point to come
 * @param points             PS_DOWNSAMPLE_POINTS_MIN .. _MAX; taken as the nearest of them
 */
void ps_thinning_init(struct ps_thinning *thinning, enum ps_downsample kind, size_t points,
                      int64_t first_ms, int64_t last_ms);
void ps_thinning_deinit(struct ps_thinning *thinning);
/** Ascending from call to call. Returns: PS_OK; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_thinning_add(struct ps_thinning *thinning, const struct ps_point *points,
                               size_t count);
/** What is left, at most `points`, ascending; appended to `out`. Returns: PS_OK; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_thinning_finish(struct ps_thinning *thinning, struct ps_points *out);

#endif
