/* civil: days since 1970-01-01 and the proleptic Gregorian calendar.
 *
 * A year is taken to begin in March, so the leap day comes last; 400 years are one round of 146097
 * days (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). Right for every day that an
 * int64 of milliseconds reaches. */
#ifndef PS_CORE_TELEMETRY_CIVIL_H
#define PS_CORE_TELEMETRY_CIVIL_H

#include <stdint.h>

struct ps_civil {
    int64_t year;
    int month, day; /* from 1 */
};

static inline int64_t ps_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline struct ps_civil ps_civil_of_day(int64_t days)
{
    days += 719468; /* since 0000-03-01 */
    int64_t round = ps_floor_div(days, 146097);
    int64_t day = days - round * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* March = 0 */
    return (struct ps_civil){ .year = round * 400 + year + (month >= 10),
                              .month = (int)(month < 10 ? month + 3 : month - 9),
                              .day = (int)(day_of_year - (153 * month + 2) / 5) + 1 };
}

static inline int64_t ps_day_of_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t round = ps_floor_div(year, 400);
    int64_t of_round = year - round * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return round * 146097 + of_round * 365 + of_round / 4 - of_round / 100 + day_of_year - 719468;
}

#endif
