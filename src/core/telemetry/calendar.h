/* calendar: weeks, months and quarters as the people of a time zone count them.
 *
 * A period begins at midnight, local time, of its first day. If the clock is put forward over that
 * midnight the period begins when the clock arrives on the other side; if it is put back over it,
 * at the first of the two midnights. Pure once the zone is loaded (time_zone.h). */
#ifndef PS_CORE_TELEMETRY_CALENDAR_H
#define PS_CORE_TELEMETRY_CALENDAR_H

#include <stdint.h>

#include "core/status.h"
#include "core/telemetry/point.h"
#include "core/telemetry/time_zone.h"

/* Zeroed: deinit is fine. */
struct ps_calendar {
    enum ps_interval_type type;
    struct ps_time_zone zone;
};

/**
 * @param type  not PS_INTERVAL_MILLISECONDS
 * @param zone  IANA name; empty: the server's
 * Returns: PS_OK; PS_EINVAL there is no such zone; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_calendar_init(struct ps_calendar *calendar, enum ps_interval_type type,
                                const char *zone);
void ps_calendar_deinit(struct ps_calendar *calendar);

/** The period that holds `ts_ms`: [*start_ms, *end_ms), cut off at the ends of int64. */
void ps_calendar_period(const struct ps_calendar *calendar, int64_t ts_ms, int64_t *start_ms,
                        int64_t *end_ms);

#endif
