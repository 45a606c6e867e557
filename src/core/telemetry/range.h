/* range: the span of time whose points share a file, and the name of that file.
 *
 * Ranges are cut in UTC, between 2000-01-01 and 2100-01-01. What is earlier goes to "early", what
 * is later to "late": clocks of devices may say anything, and the number of files stays bounded.
 *
 *     day "2026-11-21"    week "2026-W47" (ISO 8601, begins on Monday)    month "2026-11"
 *
 * The unit may change while files of another unit exist: each file keeps its own range, so ranges
 * of files may overlap (merge_order.h). Pure. */
#ifndef PS_CORE_TELEMETRY_RANGE_H
#define PS_CORE_TELEMETRY_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

enum ps_range_unit { PS_RANGE_DAY, PS_RANGE_WEEK, PS_RANGE_MONTH };

enum { PS_RANGE_NAME_SIZE = 24 };

/* [start_ms, end_ms); an end_ms of INT64_MAX includes INT64_MAX. */
struct ps_range {
    int64_t start_ms, end_ms;
    char name[PS_RANGE_NAME_SIZE];
};

/** The range that `ts_ms`, any value, belongs to. */
void ps_range_of(enum ps_range_unit unit, int64_t ts_ms, struct ps_range *out);

/** The range of a name. Returns: PS_OK; PS_EINVAL it is none that ps_range_of() gives. */
PS_MUST_CHECK
enum ps_status ps_range_parse(const char *name, struct ps_range *out);

static inline bool ps_range_holds(const struct ps_range *range, int64_t ts_ms)
{
    return ts_ms >= range->start_ms && (ts_ms < range->end_ms || range->end_ms == INT64_MAX);
}

#endif
