#include "core/telemetry/range.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)
#define FIRST_MS INT64_C(946684800000) /* 2000-01-01 */
#define LAST_MS INT64_C(4102444800000) /* 2100-01-01, exclusive */

enum { MONDAY = 4 }; /* the first one, in days after 1970-01-01 */

static int64_t ms_of(int year, int month, int day)
{
    struct tm date = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
    return (int64_t)timegm(&date) * 1000; /* a month of 13 is the next January */
}

static struct tm date_of(int64_t ts_ms)
{
    time_t seconds = (time_t)(ts_ms / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    return date;
}

static void day_of(int64_t ts_ms, struct ps_range *out)
{
    struct tm date = date_of(ts_ms);
    out->start_ms = ts_ms - ts_ms % DAY_MS;
    out->end_ms = out->start_ms + DAY_MS;
    strftime(out->name, sizeof out->name, "%Y-%m-%d", &date);
}

static void month_of(int64_t ts_ms, struct ps_range *out)
{
    struct tm date = date_of(ts_ms);
    out->start_ms = ms_of(date.tm_year + 1900, date.tm_mon + 1, 1);
    out->end_ms = ms_of(date.tm_year + 1900, date.tm_mon + 2, 1);
    strftime(out->name, sizeof out->name, "%Y-%m", &date);
}

/* The weeks at both ends of the century reach beyond it; their files do not. */
static void week_of(int64_t ts_ms, struct ps_range *out)
{
    int64_t day = ts_ms / DAY_MS;
    int64_t monday = day - (day - MONDAY) % 7;
    struct tm date = date_of(ts_ms);
    strftime(out->name, sizeof out->name, "%G-W%V", &date);
    out->start_ms = monday * DAY_MS;
    out->end_ms = (monday + 7) * DAY_MS;
    if (out->start_ms < FIRST_MS)
        out->start_ms = FIRST_MS;
    if (out->end_ms > LAST_MS)
        out->end_ms = LAST_MS;
}

void ps_range_of(enum ps_range_unit unit, int64_t ts_ms, struct ps_range *out)
{
    memset(out, 0, sizeof *out);
    if (ts_ms < FIRST_MS)
        *out = (struct ps_range){ INT64_MIN, FIRST_MS, "early" };
    else if (ts_ms >= LAST_MS)
        *out = (struct ps_range){ LAST_MS, INT64_MAX, "late" };
    else if (unit == PS_RANGE_DAY)
        day_of(ts_ms, out);
    else if (unit == PS_RANGE_WEEK)
        week_of(ts_ms, out);
    else
        month_of(ts_ms, out);
}

/* The Monday of week 1 is that of the week with January 4th in it. */
static int64_t week_ms(int year, int week)
{
    int64_t day = ms_of(year, 1, 4) / DAY_MS;
    int64_t ts_ms = (day - (day - MONDAY) % 7 + (int64_t)(week - 1) * 7) * DAY_MS;
    return ts_ms < FIRST_MS ? FIRST_MS : ts_ms;
}

/* A name is what ps_range_of() makes of a time in the range: guess that time, make the name, and
 * compare. */
enum ps_status ps_range_parse(const char *name, struct ps_range *out)
{
    int year, part, day;
    struct ps_range range;
    if (strlen(name) >= sizeof range.name)
        return PS_EINVAL;
    if (strcmp(name, "early") == 0)
        ps_range_of(PS_RANGE_DAY, INT64_MIN, &range);
    else if (strcmp(name, "late") == 0)
        ps_range_of(PS_RANGE_DAY, INT64_MAX, &range);
    else if (sscanf(name, "%4d-W%2d", &year, &part) == 2)
        ps_range_of(PS_RANGE_WEEK, week_ms(year, part), &range);
    else if (sscanf(name, "%4d-%2d-%2d", &year, &part, &day) == 3)
        ps_range_of(PS_RANGE_DAY, ms_of(year, part, day), &range);
    else if (sscanf(name, "%4d-%2d", &year, &part) == 2)
        ps_range_of(PS_RANGE_MONTH, ms_of(year, part, 1), &range);
    else
        return PS_EINVAL;
    if (strcmp(range.name, name) != 0)
        return PS_EINVAL;
    *out = range;
    return PS_OK;
}
