#include "core/telemetry/chunk_decimal.h"

#include "core/telemetry/wide_loop.h"

enum {
    SOME = 64, /* points tried at once */
    NO_PLACES = PS_DECIMAL_PLACES_NONE,
    SAMPLES = 8,
    /* One value in so many may need more places than the others and be an exception (10 bytes)
     * before all are written with its places (three bits a place and value). */
    FINER_SHARE = 32,
    EXCEPTION_SHARE = 8,
    SINGLE_ZERO_BITS = 29, /* low mantissa bits that a float does not have */
};

const double ps_decimal_powers[PS_DECIMAL_PLACES_MAX + 1] = {
    1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
};

static inline uint64_t bits_of(double value)
{
    return ps_decimal_bits(value);
}

/* Is the value the float nearest to mantissa / 10^places? */
static inline bool single_fits(double value, unsigned places, int64_t *mantissa)
{
    double scaled = value * ps_decimal_powers[places];
    if (!(scaled < 0x1p51 && scaled > -0x1p51))
        return false;
    *mantissa = ps_decimal_nearest(scaled);
    double back = (double)(float)(ps_decimal_real(*mantissa) / ps_decimal_powers[places]);
    return bits_of(back) == bits_of(value) && ps_decimal_in_range(*mantissa);
}

static inline bool fits(double value, unsigned places, bool single, int64_t *mantissa)
{
    return single ? single_fits(value, places, mantissa) : ps_decimal_fits(value, places, mantissa);
}

/* The most places with which the mantissa is in range. By the exponent alone, at most one too few.
 */
static unsigned most_places(double value)
{
    int exponent = (int)(bits_of(value) >> 52 & 0x7ff) - 1023;
    int places = (PS_DECIMAL_MANTISSA_BITS - 1 - exponent) * 77 / 256; /* log10(2), a bit less */
    if (exponent >= PS_DECIMAL_MANTISSA_BITS)
        return 0;
    if (places >= PS_DECIMAL_PLACES_MAX)
        return PS_DECIMAL_PLACES_MAX;
    double more = value * ps_decimal_powers[places + 1];
    return (unsigned)places + (more < 0x1p51 && more > -0x1p51);
}

/* Fewest places from `from` to `to` with which the value fits. A decimal of few places is one of
 * more as well, with zeros behind: two different mantissas below 2^51 of the same places are
 * different doubles, and value * 10^places is less than half off the right mantissa. So one test
 * with the most places tells whether there is any use in searching. */
static unsigned places_needed(double value, unsigned from, unsigned to, bool single)
{
    int64_t mantissa;
    unsigned places = from, most = single ? to : most_places(value);
    most = most < to ? most : to;
    if (places > most || (!single && !ps_decimal_fits(value, most, &mantissa)))
        return NO_PLACES;
    while (places <= most && !fits(value, places, single, &mantissa))
        places++;
    return places <= most ? places : NO_PLACES;
}

unsigned ps_decimal_places(double value, unsigned likely, unsigned most)
{
    int64_t mantissa;
    if (!ps_decimal_fits(value, likely, &mantissa))
        return places_needed(value, 0, most, false);
    if (mantissa == 0)
        return 0;
    for (; likely > 0 && mantissa % 10 == 0; likely--)
        mantissa /= 10;
    return likely;
}

/* The same test for some doubles at once, without a branch: an impossible or too great mantissa is
 * out of range, whatever bits the sum had. */
PS_WIDE_LOOP
static bool all_fit(const struct ps_point *points, size_t count, const struct ps_decimals *out,
                    int64_t *mantissas)
{
    double values[SOME], power = ps_decimal_powers[out->places];
    uint64_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        values[i] = points[i].value.real;
    for (size_t i = 0; i < count; i++) {
        uint64_t whole = bits_of(values[i] * power + 0x1.8p52) - 0x4338000000000000ull;
        double back = ps_decimal_real((int64_t)whole) / power;
        wrong |= bits_of(back) ^ bits_of(values[i]);
        wrong |= (whole + (1ull << PS_DECIMAL_MANTISSA_BITS)) >> (PS_DECIMAL_MANTISSA_BITS + 1);
        mantissas[i] = (int64_t)whole;
    }
    return wrong == 0;
}

enum pass {
    PASS_DONE,
    PASS_FINER, /* again, with *finer places */
    PASS_FAILED,
};

static bool point_fits(const struct ps_value *value, bool whole_are_long,
                       const struct ps_decimals *out, int64_t *mantissa)
{
    if (!whole_are_long)
        return fits(value->real, out->places, out->single, mantissa);
    if (value->type == PS_VALUE_LONG)
        return ps_decimal_fits_long(value->integer, out->places, mantissa);
    return fits(value->real, out->places, false, mantissa) && !ps_decimal_is_whole(value->real);
}

static enum pass try_places(const struct ps_point *points, size_t count, bool whole_are_long,
                            struct ps_decimals *out, unsigned *finer)
{
    size_t hopeless = 0, wanting = 0;
    int64_t before = 0;
    out->exceptions = 0;
    *finer = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &points[i].value;
        size_t some = count - i < SOME ? count - i : SOME;
        if (i % SOME == 0 && !whole_are_long && !out->single &&
            all_fit(points + i, some, out, out->mantissas + i)) {
            i += some - 1;
            before = out->mantissas[i];
            continue;
        }
        if (point_fits(value, whole_are_long, out, &out->mantissas[i])) {
            before = out->mantissas[i];
            continue;
        }
        if (value->type == PS_VALUE_LONG || out->exceptions == PS_DECIMAL_EXCEPTIONS_MAX)
            return PASS_FAILED;
        out->mantissas[i] = before;
        out->positions[out->exceptions++] = (uint16_t)i;
        /* A whole DOUBLE among whole LONGs stays an exception, however many places. */
        unsigned places =
            whole_are_long && ps_decimal_is_whole(value->real)
                ? NO_PLACES
                : places_needed(value->real, out->places + 1, PS_DECIMAL_PLACES_MAX, out->single);
        if (places == NO_PLACES) {
            if (++hopeless > i / EXCEPTION_SHARE + EXCEPTION_SHARE)
                return PASS_FAILED;
            continue;
        }
        *finer = places > *finer ? places : *finer;
        if (++wanting * FINER_SHARE > count)
            return PASS_FINER;
    }
    return out->exceptions * EXCEPTION_SHARE > count ? PASS_FAILED : PASS_DONE;
}

/* The places to try first, of some points across the column: the most that one of them needs, but
 * what only one needs may be an exception. NO_PLACES: most of them are no decimals. */
static unsigned likely_places(const struct ps_point *points, size_t count, bool single)
{
    unsigned most = 0, second = 0, hopeless = 0, places = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct ps_value *value = &points[i * (count - 1) / (SAMPLES - 1)].value;
        if (value->type == PS_VALUE_LONG)
            continue;
        unsigned needed = single ? places_needed(value->real, 0, PS_DECIMAL_PLACES_MAX, true)
                                 : ps_decimal_places(value->real, places, PS_DECIMAL_PLACES_MAX);
        if (needed == NO_PLACES) {
            hopeless++;
            continue;
        }
        places = needed;
        second = needed > most ? most : needed > second ? needed : second;
        most = needed > most ? needed : most;
    }
    return hopeless > SAMPLES / 2 ? NO_PLACES : second;
}

static bool find(const struct ps_point *points, size_t count, bool whole_are_long, bool single,
                 struct ps_decimals *out)
{
    unsigned finer = likely_places(points, count, single);
    enum pass pass = finer == NO_PLACES ? PASS_FAILED : PASS_FINER;
    out->single = single;
    while (pass == PASS_FINER) {
        out->places = finer;
        pass = try_places(points, count, whole_are_long, out, &finer);
    }
    return pass == PASS_DONE;
}

static bool all_single(const struct ps_point *points, size_t count)
{
    uint64_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= bits_of(points[i].value.real);
    return any << (64 - SINGLE_ZERO_BITS) == 0;
}

bool ps_decimals_find(const struct ps_point *points, size_t count, bool whole_are_long,
                      struct ps_decimals *out)
{
    if (find(points, count, whole_are_long, false, out))
        return true;
    return !whole_are_long && all_single(points, count) &&
           find(points, count, whole_are_long, true, out);
}
