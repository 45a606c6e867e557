/* chunk_decimal: doubles that are short decimals, as whole numbers.
 *
 * What sensors send was printed with a few decimals: 21.53 is 2153 / 10^2. IEEE division of two
 * exact numbers rounds correctly, so a double equal to that quotient bit for bit comes back bit for
 * bit; this is what the search tests, by the decoder's own arithmetic. Some devices compute in
 * single precision and print the double it widens to, 21.299999237060547: such a value is the float
 * nearest to 213 / 10. Values that are neither, and NaN, infinities and -0, are exceptions; where
 * too many are, the column is not decimal. */
#ifndef PS_CORE_TELEMETRY_CHUNK_DECIMAL_H
#define PS_CORE_TELEMETRY_CHUNK_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/telemetry/point.h"

enum {
    PS_DECIMAL_PLACES_MAX = 15,
    PS_DECIMAL_PLACES_NONE,        /* not a decimal */
    PS_DECIMAL_MANTISSA_BITS = 51, /* |mantissa| < 2^51: see ps_decimal_real() */
    PS_DECIMAL_EXCEPTIONS_MAX = 4096 / 8,
};

extern const double ps_decimal_powers[PS_DECIMAL_PLACES_MAX + 1];

struct ps_decimals {
    unsigned places;
    bool single; /* the quotient is rounded to a float */
    size_t exceptions;
    uint16_t positions[PS_DECIMAL_EXCEPTIONS_MAX]; /* ascending */
    int64_t *mantissas;                            /* room for all points; the caller's */
};

static inline bool ps_decimal_in_range(int64_t mantissa)
{
    return ((uint64_t)mantissa + (1ull << PS_DECIMAL_MANTISSA_BITS)) >>
               (PS_DECIMAL_MANTISSA_BITS + 1) ==
           0;
}

/* (double)mantissa for those in range. Adding the integer to the bits of 1.5 * 2^52 adds it to the
 * number; unlike the conversion instruction of baseline x86-64, two go at a time. */
static inline double ps_decimal_real(int64_t mantissa)
{
    union {
        uint64_t bits;
        double real;
    } shifted = { .bits = 0x4338000000000000ull + (uint64_t)mantissa };
    return shifted.real - 0x1.8p52;
}

static inline uint64_t ps_decimal_bits(double value)
{
    union {
        double real;
        uint64_t bits;
    } both = { .real = value };
    return both.bits;
}

/* The reverse of ps_decimal_real(): the nearest integer, for |scaled| < 2^51. */
static inline int64_t ps_decimal_nearest(double scaled)
{
    return (int64_t)(ps_decimal_bits(scaled + 0x1.8p52) - 0x4338000000000000ull);
}

/** Is the value mantissa / 10^places, bit for bit? */
static inline bool ps_decimal_fits(double value, unsigned places, int64_t *mantissa)
{
    double scaled = value * ps_decimal_powers[places];
    if (!(scaled < 0x1p51 && scaled > -0x1p51))
        return false;
    *mantissa = ps_decimal_nearest(scaled);
    double back = ps_decimal_real(*mantissa) / ps_decimal_powers[places];
    return ps_decimal_bits(back) == ps_decimal_bits(value) && ps_decimal_in_range(*mantissa);
}

/** Is the integer mantissa / 10^places? */
static inline bool ps_decimal_fits_long(int64_t value, unsigned places, int64_t *mantissa)
{
    return !__builtin_mul_overflow(value, (int64_t)ps_decimal_powers[places], mantissa) &&
           ps_decimal_in_range(*mantissa);
}

/** A whole number in range; what JSON prints without a point. */
static inline bool ps_decimal_is_whole(double value)
{
    return value < 0x1p51 && value > -0x1p51 && value == (double)(int64_t)value;
}

/** The fewest places with which a value is a decimal; PS_DECIMAL_PLACES_NONE if it is none.
 *  @param likely  0 ... `most`, where to look first: changes the time, not the answer
 *  @param most    up to PS_DECIMAL_PLACES_MAX */
unsigned ps_decimal_places(double value, unsigned likely, unsigned most);

/**
 * Find mantissas for the values of `points`.
 *
 * @param whole_are_long  points are LONG and DOUBLE; true is returned only if precisely the whole
 *                        numbers are LONG
 * @param out             out->mantissas set by the caller. A mantissa of an exception is that of
 * its neighbour Returns: whether the column is decimal
 */
bool ps_decimals_find(const struct ps_point *points, size_t count, bool whole_are_long,
                      struct ps_decimals *out);

#endif
