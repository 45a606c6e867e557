#include "core/telemetry/calendar.h"

#include "core/telemetry/civil.h"

enum { DAY_S = 86400 };

enum ps_status ps_calendar_init(struct ps_calendar *calendar, enum ps_interval_type type,
                                const char *zone)
{
    PS_ASSERT(type != PS_INTERVAL_MILLISECONDS);
    *calendar = (struct ps_calendar){ .type = type };
    return ps_time_zone_load(zone, &calendar->zone);
}

void ps_calendar_deinit(struct ps_calendar *calendar)
{
    ps_time_zone_deinit(&calendar->zone);
}

/* 1970-01-01 was a Thursday. */
static int64_t week_start(int64_t day, int64_t days_after_first)
{
    int64_t since = day + days_after_first;
    return day - (since - ps_floor_div(since, 7) * 7);
}

/* First days of the period that holds `day` and of the next one. */
static void period_days(enum ps_interval_type type, int64_t day, int64_t *first, int64_t *next)
{
    if (type == PS_INTERVAL_WEEK || type == PS_INTERVAL_WEEK_ISO) {
        *first = week_start(day, type == PS_INTERVAL_WEEK ? 4 : 3);
        *next = *first + 7;
        return;
    }
    struct ps_civil civil = ps_civil_of_day(day);
    int months = type == PS_INTERVAL_QUARTER ? 3 : 1;
    int month = (civil.month - 1) / months * months + 1;
    *first = ps_day_of_civil(civil.year, month, 1);
    month += months;
    *next =
        month > 12 ? ps_day_of_civil(civil.year + 1, 1, 1) : ps_day_of_civil(civil.year, month, 1);
}

static int64_t midnight_ms(const struct ps_time_zone *zone, int64_t day)
{
    int64_t ms;
    if (__builtin_mul_overflow(ps_time_zone_instant(zone, day * DAY_S), 1000, &ms))
        return day < 0 ? INT64_MIN : INT64_MAX;
    return ms;
}

void ps_calendar_period(const struct ps_calendar *calendar, int64_t ts_ms, int64_t *start_ms,
                        int64_t *end_ms)
{
    int64_t unix_s = ps_floor_div(ts_ms, 1000);
    int64_t local_s = unix_s + ps_time_zone_offset(&calendar->zone, unix_s);
    int64_t first, next;
    period_days(calendar->type, ps_floor_div(local_s, DAY_S), &first, &next);
    int64_t end = midnight_ms(&calendar->zone, next);
    if (ts_ms >= end && end != INT64_MAX) {
        /* The clock struck midnight, and was put back over it: the new period has begun. */
        period_days(calendar->type, next, &first, &next);
        end = midnight_ms(&calendar->zone, next);
    }
    int64_t start = midnight_ms(&calendar->zone, first);
    if (ts_ms < start) {
        /* It strikes midnight again later, and that is the one that counts: not yet. */
        end = start;
        period_days(calendar->type, first - 1, &first, &next);
        start = midnight_ms(&calendar->zone, first);
    }
    *start_ms = start < ts_ms ? start : ts_ms; /* whatever a zone's file says */
    *end_ms = end;
}
