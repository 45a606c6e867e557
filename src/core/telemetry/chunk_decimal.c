#include "core/telemetry/chunk_decimal.h"

#include <string.h>

enum {
    SOME = 64, /* points tried at once */
    NO_PLACES = PS_DECIMAL_PLACES_MAX + 1,
    /* One value in so many may need more places than the others and be an exception (10 bytes)
     * before all are written with its places (three bits a place and value). */
    FINER_SHARE = 32,
    EXCEPTION_SHARE = 8,
    SINGLE_ZERO_BITS = 29, /* low mantissa bits that a float does not have */
};

const double ps_decimal_powers[PS_DECIMAL_PLACES_MAX + 1] = {
    1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
};

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Is the value mantissa / 10^places, as a double or as the float nearest to that? */
static inline bool fits(double value, unsigned places, bool single, int64_t *mantissa)
{
    double scaled = value * ps_decimal_powers[places];
    if (!(scaled < 0x1p51 && scaled > -0x1p51))
        return false;
    /* The reverse of ps_decimal_real(): the sum's low bits are the nearest integer. */
    int64_t whole = (int64_t)(bits_of(scaled + 0x1.8p52) - 0x4338000000000000ull);
    double back = ps_decimal_real(whole) / ps_decimal_powers[places];
    if (single)
        back = (double)(float)back;
    *mantissa = whole;
    return bits_of(back) == bits_of(value) && ps_decimal_in_range(whole);
}

static unsigned places_needed(double value, unsigned from, bool single)
{
    int64_t mantissa;
    unsigned places = from;
    while (places < NO_PLACES && !fits(value, places, single, &mantissa))
        places++;
    return places;
}

static bool long_fits(int64_t value, unsigned places, int64_t *mantissa)
{
    return !__builtin_mul_overflow(value, (int64_t)ps_decimal_powers[places], mantissa) &&
           ps_decimal_in_range(*mantissa);
}

static bool is_whole(double value)
{
    return value < 0x1p51 && value > -0x1p51 && value == (double)(int64_t)value;
}

/* The same test for some doubles at once, without a branch: an impossible or too great mantissa is
 * out of range, whatever bits the sum had. */
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
        return long_fits(value->integer, out->places, mantissa);
    return fits(value->real, out->places, false, mantissa) && !is_whole(value->real);
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
        unsigned places = whole_are_long && is_whole(value->real)
                              ? NO_PLACES
                              : places_needed(value->real, out->places + 1, out->single);
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

static bool find(const struct ps_point *points, size_t count, bool whole_are_long, bool single,
                 struct ps_decimals *out)
{
    unsigned finer = 0;
    enum pass pass = PASS_FINER;
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
