/* decimal: exact decimal numbers as text, and what they are as LONG or DOUBLE.
 *
 * A number of any length is split once into sign, significant digits and a power of ten, without
 * copying; every question is then answered exactly, in time linear in the text, whatever the
 * locale. Not here: which of the answers a value takes (payload_json). */
#ifndef PS_CORE_DECIMAL_H
#define PS_CORE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum {
    PS_DECIMAL_EXACT_POW10_MAX = 22,    /* 10^22 is the last power a double holds exactly */
    PS_DECIMAL_EXPONENT_CLAMP = 100000, /* exponents beyond are stored as this */
};

/* 10^0 .. 10^22 */
extern const double ps_decimal_pow10[PS_DECIMAL_EXACT_POW10_MAX + 1];

/* value = +-(digits) * 10^power; the digits are borrowed from the text and may span its point. */
struct ps_decimal {
    const char *digits; /* first significant digit in the text */
    const char *point;  /* where the '.' interrupts them, or NULL */
    uint32_t count;     /* significant digits, without zeros at either end; 0 = the number zero */
    int64_t power;      /* of the last significant digit */
    int32_t exponent;   /* as written after 'e', clamped */
    bool negative, has_point, has_exponent;
};

/**
 * Split `-? digits* [. digits*] [e [+-] digits]`, with a digit somewhere before the 'e'.
 *
 * @param text  already known to have this form; shorter than 4 GiB; must outlive `out`
 */
void ps_decimal_split(const char *text, size_t len, struct ps_decimal *out);

static inline bool ps_decimal_is_integral(const struct ps_decimal *decimal)
{
    return decimal->power >= 0;
}

/** The value without its fraction; false (and nothing stored) if it is no 64-bit integer. */
bool ps_decimal_truncate(const struct ps_decimal *decimal, int64_t *out);

/** The nearest double, ties to even; infinite if the value is beyond the range. Keeps -0. */
double ps_decimal_to_double(const struct ps_decimal *decimal);

/** Sign and digits of an integral value, no exponent: 1e3 is 1000. */
void ps_decimal_put_plain(const struct ps_decimal *decimal, struct ps_buf *out);

#endif
