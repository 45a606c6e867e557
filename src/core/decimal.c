#include "core/decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONG_DIGITS_MAX = 19,
    /* A number halfway between two doubles has at most 767 significant digits, so what comes after
     * that many can only say "a little more than this": one more digit says it too. */
    ROUNDING_DIGITS_MAX = 768,
    EXPONENT_TEXT_SIZE = 24,
};

static const double DOUBLE_INTEGERS_EXACT = 9007199254740992.0; /* 2^53 */

const double ps_decimal_pow10[PS_DECIMAL_EXACT_POW10_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static int32_t read_exponent(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    int32_t exponent = 0;
    for (; p < end && exponent < PS_DECIMAL_EXPONENT_CLAMP; p++)
        exponent = exponent * 10 + (*p - '0');
    if (exponent > PS_DECIMAL_EXPONENT_CLAMP)
        exponent = PS_DECIMAL_EXPONENT_CLAMP;
    return negative ? -exponent : exponent;
}

/* Narrow [digits, end) to its significant digits; `power` belongs to the last digit of the text. */
static void trim_zeros(struct ps_decimal *d, const char *digits, const char *end)
{
    while (digits < end && (*digits == '0' || *digits == '.'))
        digits++;
    while (end > digits && (end[-1] == '0' || end[-1] == '.')) {
        d->power += end[-1] == '0';
        end--;
    }
    if (digits == end)
        d->power = 0;
    if (d->point && (d->point < digits || d->point >= end))
        d->point = NULL;
    d->digits = digits;
    d->count = (uint32_t)(end - digits - (d->point != NULL));
}

void ps_decimal_split(const char *text, size_t len, struct ps_decimal *out)
{
    const char *end = text + len, *p = text;
    struct ps_decimal d = { .negative = *p == '-' };
    p += d.negative;
    const char *digits = p;
    while (p < end && (is_digit(*p) || *p == '.')) {
        if (*p == '.')
            d.point = p;
        p++;
    }
    d.has_point = d.point != NULL;
    d.has_exponent = p < end;
    if (d.has_exponent)
        d.exponent = read_exponent(p + 1, end);
    d.power = d.exponent - (d.point ? p - d.point - 1 : 0);
    trim_zeros(&d, digits, p);
    *out = d;
}

/* Walks the digits, stepping over the point. */
static char next_digit(const struct ps_decimal *decimal, const char **p)
{
    if (*p == decimal->point)
        ++*p;
    return *(*p)++;
}

/* The leading `count` digits as a number; the caller keeps it within 19. */
static uint64_t leading_digits(const struct ps_decimal *decimal, int64_t count)
{
    const char *p = decimal->digits;
    uint64_t n = 0;
    for (int64_t i = 0; i < count; i++)
        n = n * 10 + (i < decimal->count ? (uint64_t)(next_digit(decimal, &p) - '0') : 0);
    return n;
}

bool ps_decimal_truncate(const struct ps_decimal *decimal, int64_t *out)
{
    int64_t whole_digits = decimal->count + decimal->power;
    if (decimal->count == 0 || whole_digits <= 0) {
        *out = 0;
        return true;
    }
    if (whole_digits > LONG_DIGITS_MAX)
        return false;
    uint64_t n = leading_digits(decimal, whole_digits);
    if (n > (uint64_t)INT64_MAX + decimal->negative)
        return false;
    *out = decimal->negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

/* strtod() rounds exactly; digits and exponent without a point mean the same in every locale. */
static double round_digits(const struct ps_decimal *decimal)
{
    char text[ROUNDING_DIGITS_MAX + 1 + EXPONENT_TEXT_SIZE];
    size_t len = 0;
    const char *p = decimal->digits;
    while (len < decimal->count && len < ROUNDING_DIGITS_MAX)
        text[len++] = next_digit(decimal, &p);
    if (len < decimal->count)
        text[len++] = '1'; /* what is cut off ends in a significant digit: not zero */
    int64_t power = decimal->power + ((int64_t)decimal->count - (int64_t)len);
    snprintf(text + len, EXPONENT_TEXT_SIZE, "e%lld", (long long)power);
    return strtod(text, NULL);
}

double ps_decimal_to_double(const struct ps_decimal *decimal)
{
    double value = 0.0;
    int64_t power = decimal->power;
    bool small = power >= -PS_DECIMAL_EXACT_POW10_MAX && power <= PS_DECIMAL_EXACT_POW10_MAX &&
                 decimal->count <= LONG_DIGITS_MAX;
    uint64_t n = small ? leading_digits(decimal, decimal->count) : UINT64_MAX;
    if (n <= (uint64_t)DOUBLE_INTEGERS_EXACT) /* both operands exact: one rounding, the right one */
        value =
            power < 0 ? (double)n / ps_decimal_pow10[-power] : (double)n * ps_decimal_pow10[power];
    else
        value = round_digits(decimal);
    return decimal->negative ? -value : value;
}

void ps_decimal_put_plain(const struct ps_decimal *decimal, struct ps_buf *out)
{
    if (decimal->count == 0) {
        ps_buf_put_char(out, '0');
        return;
    }
    if (decimal->negative)
        ps_buf_put_char(out, '-');
    const char *p = decimal->digits;
    for (uint32_t i = 0; i < decimal->count; i++)
        ps_buf_put_char(out, next_digit(decimal, &p));
    for (int64_t i = 0; i < decimal->power; i++)
        ps_buf_put_char(out, '0');
}
