/* TZif files: no bytes read outside, and whatever zone comes of them can be asked: every offset is
 * one that may be, and the calendar's periods hold the instants they are asked for, so that nobody
 * who goes from period to period stands still. */
#include <stddef.h>
#include <stdint.h>

#include "core/telemetry/calendar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OFFSET_S_MAX = 26 * 3600 };

static void ask(const struct ps_calendar *calendar, int64_t ts_ms)
{
    int64_t start_ms, end_ms;
    int32_t offset_s = ps_time_zone_offset(&calendar->zone, ts_ms / 1000);
    PS_ASSERT(offset_s >= -OFFSET_S_MAX && offset_s <= OFFSET_S_MAX);
    ps_calendar_period(calendar, ts_ms, &start_ms, &end_ms);
    PS_ASSERT(start_ms <= ts_ms);
    PS_ASSERT(end_ms > ts_ms || end_ms == INT64_MAX);
}

/* At each change, beside it, at the seams of periods near it, and where rules decide. */
static void ask_everywhere(const struct ps_calendar *calendar)
{
    static const int64_t instants[] = {
        INT64_MIN, -1, 0, 1735689600000, 1743296400000, 1761440400000, 4102444800000, INT64_MAX
    };
    static const int64_t beside_s[] = { 0, -1, 1, -3600, 3600, -86400, 86400, -604800, 2678400 };
    for (size_t i = 0; i < sizeof instants / sizeof instants[0]; i++)
        ask(calendar, instants[i]);
    for (size_t i = 0; i < calendar->zone.count && i < 64; i++) {
        for (size_t k = 0; k < sizeof beside_s / sizeof beside_s[0]; k++) {
            int64_t s, ms;
            if (!__builtin_add_overflow(calendar->zone.at_s[i], beside_s[k], &s) &&
                !__builtin_mul_overflow(s, 1000, &ms))
                ask(calendar, ms);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ps_calendar calendar = { 0 };
    if (ps_time_zone_parse(data, size, &calendar.zone) != PS_OK)
        return 0;
    for (size_t i = 1; i < calendar.zone.count; i++)
        PS_ASSERT(calendar.zone.at_s[i] > calendar.zone.at_s[i - 1]);
    for (int type = PS_INTERVAL_WEEK; type <= PS_INTERVAL_QUARTER; type++) {
        calendar.type = (enum ps_interval_type)type;
        ask_everywhere(&calendar);
    }
    ps_calendar_deinit(&calendar);
    return 0;
}
