/* made_points: points of every kind from a seed, for tests of the codec. The same seed makes the
 * same points. */
#ifndef PS_TESTS_MADE_POINTS_H
#define PS_TESTS_MADE_POINTS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/chunk.h"

enum made_times {
    MADE_EXACT,
    MADE_JITTER,
    MADE_SECONDS,
    MADE_GAPS,
    MADE_LOST, /* jitter, and readings that are missing */
    MADE_DRIFT,
    MADE_EVENTS,
    MADE_NEIGHBOURS, /* a millisecond apart */
    MADE_ANYWHERE,   /* all of int64 */
    MADE_TIMES,      /* how many */
};

enum made_values {
    MADE_DECIMALS,
    MADE_DECIMALS_AND_RARE_OTHERS,
    MADE_WHOLE_AND_DECIMALS, /* whole numbers are LONG */
    MADE_SINGLES,
    MADE_NOISE,
    MADE_ANY_DOUBLES, /* any 64 bits */
    MADE_COUNTER,
    MADE_OUTLIERS,
    MADE_ANY_LONGS,
    MADE_BOOLEANS,
    MADE_RARE_BOOLEANS,
    MADE_CONSTANT,
    MADE_STATES,
    MADE_STRINGS,
    MADE_JSON,
    MADE_ALL_TYPES,
    MADE_RUNS_OF_TYPES,
    MADE_VALUES, /* how many */
};

static inline uint64_t made_bits(unsigned *seed)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 5; i++)
        bits = bits << 15 ^ (uint64_t)rand_r(seed);
    return bits;
}

static inline int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct ps_point *)a)->ts_ms, y = ((const struct ps_point *)b)->ts_ms;
    return (x > y) - (x < y);
}

static inline int64_t made_step(enum made_times kind, unsigned *seed)
{
    switch (kind) {
    case MADE_GAPS:
        return 10000 * (rand_r(seed) % 40 == 0 ? 2 + rand_r(seed) % 9 : 1) + rand_r(seed) % 11;
    case MADE_LOST:
        return 10000 * (rand_r(seed) % 40 == 0 ? 2 + rand_r(seed) % 9 : 1);
    case MADE_DRIFT:
        return 9990 + rand_r(seed) % 21;
    case MADE_EVENTS:
        return 1 + (int64_t)(made_bits(seed) >> (40 + rand_r(seed) % 20));
    case MADE_NEIGHBOURS:
        return 1;
    case MADE_SECONDS:
        return 1000 * (1 + rand_r(seed) % 3);
    default:
        return 10000;
    }
}

static inline void make_times(enum made_times kind, struct ps_point *points, size_t count,
                              unsigned *seed)
{
    int64_t at = 1700000000000 + rand_r(seed) % 100000;
    for (size_t i = 0; i < count; i++) {
        points[i].ts_ms = at + (kind == MADE_JITTER || kind == MADE_LOST ? rand_r(seed) % 11 : 0);
        at += made_step(kind, seed);
        if (kind == MADE_ANYWHERE)
            points[i].ts_ms = (int64_t)made_bits(seed);
    }
    if (kind != MADE_ANYWHERE)
        return;
    if (count > 2 && rand_r(seed) % 2) {
        points[0].ts_ms = INT64_MIN;
        points[1].ts_ms = INT64_MAX;
    }
    qsort(points, count, sizeof *points, by_time);
    for (size_t i = 1; i < count; i++) {
        if (points[i].ts_ms <= points[i - 1].ts_ms)
            points[i].ts_ms = points[i - 1].ts_ms + 1;
    }
}

static inline struct ps_value made_real(double value)
{
    return (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = value };
}

static inline struct ps_value made_long(int64_t value)
{
    return (struct ps_value){ .type = PS_VALUE_LONG, .integer = value };
}

static inline struct ps_value made_bool(bool value)
{
    return (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = value };
}

static inline struct ps_value made_any_double(unsigned *seed)
{
    uint64_t bits = made_bits(seed);
    struct ps_value value = { .type = PS_VALUE_DOUBLE };
    memcpy(&value.real, &bits, sizeof bits);
    return value;
}

static inline struct ps_value made_text(enum ps_value_type type, size_t variety, unsigned *seed)
{
    static const char source[] =
        "{\"a\":1,\"fan\":\"on\",\"list\":[1,2,3],\"deep\":{\"b\":null,\"c\":true}}"
        "the quick brown fox jumps over the lazy dog \xc3\xa4\xc3\xb6\xc3\xbc 0123456789";
    size_t from = (size_t)rand_r(seed) % variety % (sizeof source - 1);
    size_t len = (size_t)rand_r(seed) % variety;
    if (len > sizeof source - 1 - from)
        len = sizeof source - 1 - from;
    return (struct ps_value){ .type = type, .text = source + from, .len = (uint32_t)len };
}

static inline struct ps_value made_value(enum made_values kind, size_t i, int64_t *walk,
                                         unsigned *seed)
{
    *walk += rand_r(seed) % 15 - 7;
    switch (kind) {
    case MADE_DECIMALS:
        return made_real((double)(2100 + *walk) / 100);
    case MADE_DECIMALS_AND_RARE_OTHERS:
        if (rand_r(seed) % 30 == 0)
            return rand_r(seed) % 2 ? made_any_double(seed) : made_real(-0.0);
        return made_real((double)(2100 + *walk) / 10);
    case MADE_WHOLE_AND_DECIMALS:
        if (rand_r(seed) % 100 == 0)
            return made_real(21.0); /* the exception: a whole DOUBLE */
        return (2100 + *walk) % 10 ? made_real((double)(2100 + *walk) / 10)
                                   : made_long((2100 + *walk) / 10);
    case MADE_SINGLES:
        return made_real((double)((float)(2100 + *walk) / 10.0f));
    case MADE_NOISE:
        return made_real(20 + (double)made_bits(seed) / 1e20);
    case MADE_ANY_DOUBLES:
        return made_any_double(seed);
    case MADE_COUNTER:
        return made_long((int64_t)i * 20 + *walk);
    case MADE_OUTLIERS:
        return made_long(rand_r(seed) % 50 == 0 ? (int64_t)made_bits(seed) : *walk);
    case MADE_ANY_LONGS:
        return made_long((int64_t)made_bits(seed) >> rand_r(seed) % 64);
    case MADE_BOOLEANS:
        return made_bool(rand_r(seed) % 2);
    case MADE_RARE_BOOLEANS:
        return made_bool(i / 97 % 2);
    case MADE_CONSTANT:
        return made_real(21.5);
    case MADE_STATES:
        return made_text(PS_VALUE_STRING, 4, seed);
    case MADE_STRINGS:
        return made_text(PS_VALUE_STRING, 150, seed);
    case MADE_JSON:
        return made_text(PS_VALUE_JSON, 60, seed);
    case MADE_ALL_TYPES:
        return made_value((enum made_values)(rand_r(seed) % MADE_ALL_TYPES), i, walk, seed);
    case MADE_RUNS_OF_TYPES:
        return made_value((enum made_values)(i / 50 % MADE_ALL_TYPES), i, walk, seed);
    case MADE_VALUES:
        break;
    }
    abort();
}

static inline void make_points(enum made_times times, enum made_values values, size_t count,
                               unsigned seed, struct ps_point *points)
{
    int64_t walk = 0;
    make_times(times, points, count, &seed);
    for (size_t i = 0; i < count; i++)
        points[i].value = made_value(values, i, &walk, &seed);
}

#endif
