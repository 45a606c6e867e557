#include "core/json_text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/decimal.h"
#include "core/utf8.h"

enum {
    DIGITS_MAX = 17,  /* enough for any double */
    DIGITS_SAFE = 15, /* a decimal of so many digits always survives the way through a double */
    SHORT_PLACES_MAX = 9,
    SCIENTIFIC_SIZE = 40,
    FIXED_POINT_MIN = -5, /* 1e-6: the point stands 5 places before the first digit */
    FIXED_POINT_MAX = 21, /* below 1e21 */
};

static const double SHORT_DECIMAL_MAX = 1e15;

/* value = 0.d1d2...dn * 10^point */
struct digits {
    char text[24];
    int count, point;
};

/* ---- integers ---- */

/* Writes backwards, ending before `end`. Returns: the first digit. */
static char *put_digits_before(char *end, uint64_t n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    while (n >= 100) {
        end -= 2;
        memcpy(end, pairs + n % 100 * 2, 2);
        n /= 100;
    }
    if (n >= 10) {
        end -= 2;
        memcpy(end, pairs + n * 2, 2);
    } else {
        *--end = (char)('0' + n);
    }
    return end;
}

size_t ps_long_format(int64_t value, char out[24])
{
    char text[24], *end = text + sizeof text;
    char *first = put_digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--first = '-';
    size_t len = (size_t)(end - first);
    memcpy(out, first, len);
    return len;
}

/* ---- doubles: the shortest digits ---- */

static void set_digits(struct digits *d, uint64_t n, int power)
{
    char *end = d->text + sizeof d->text, *first = put_digits_before(end, n);
    d->point = (int)(end - first) + power;
    while (end - first > 1 && end[-1] == '0')
        end--;
    d->count = (int)(end - first);
    memmove(d->text, first, (size_t)d->count);
}

/* Most values are short decimals, as sensors and people write them: n / 10^k with n below 10^15.
 * Both are exact doubles, so the one division rounds as reading the decimal would; and as no two
 * such decimals are the same double, the first k that fits has the fewest digits. */
static bool find_short_decimal(double value, struct digits *out)
{
    for (int places = 0; places <= SHORT_PLACES_MAX; places++) {
        double scaled = value * ps_decimal_pow10[places];
        if (!(scaled < SHORT_DECIMAL_MAX))
            return false;
        uint64_t n = (uint64_t)(scaled + 0.5);
        if ((double)n / ps_decimal_pow10[places] == value) {
            set_digits(out, n, -places);
            return true;
        }
    }
    return false;
}

/* Digits and exponent without a point: the same in every locale. */
static bool reads_back(const struct digits *d, double value)
{
    char text[SCIENTIFIC_SIZE];
    memcpy(text, d->text, (size_t)d->count);
    text[d->count] = 'e';
    size_t len = (size_t)d->count + 1;
    len += ps_long_format(d->point - d->count, text + len);
    text[len] = '\0';
    return strtod(text, NULL) == value;
}

/* The exact value, rounded to `count` digits by the C library. */
static void round_to(double value, int count, struct digits *out)
{
    char text[SCIENTIFIC_SIZE]; /* d.ddde+XX; the point is the locale's, so only digits are read */
    int len = snprintf(text, sizeof text, "%.*e", count - 1, value);
    const char *e = memchr(text, 'e', (size_t)len);
    out->text[0] = text[0];
    memcpy(out->text + 1, e - (count - 1), (size_t)count - 1);
    out->count = count;
    out->point = atoi(e + 1) + 1;
}

/* One more in the last place. */
static void step_up(struct digits *d)
{
    int i = d->count - 1;
    while (i >= 0 && d->text[i] == '9')
        d->text[i--] = '0';
    if (i >= 0) {
        d->text[i]++;
    } else { /* 999 becomes 1000: the last zero is not needed */
        d->text[0] = '1';
        d->point++;
    }
}

/* As round_to(), from the 17 digits if they tell which way to round; they do not at a tie, nor for
 * a count that a subnormal number wants. */
static void shorten(double value, const struct digits *exact, int count, struct digits *out)
{
    const char *rest = exact->text + count;
    bool tie = rest[0] == '5' && (count == DIGITS_MAX - 1 || rest[1] == '0');
    if (tie || count < DIGITS_SAFE) {
        round_to(value, count, out);
        return;
    }
    *out = *exact;
    out->count = count;
    if (rest[0] >= '5')
        step_up(out);
}

/* At a power of two the doubles below are twice as dense as those above, so the nearest decimal of
 * some length may miss while the next one above reads back. */
static bool reads_back_above(struct digits *d, double value)
{
    step_up(d);
    return reads_back(d, value);
}

static void find_digits(double value, struct digits *out)
{
    int exponent;
    bool power_of_two = frexp(value, &exponent) == 0.5;
    struct digits exact;
    round_to(value, DIGITS_MAX, &exact);
    /* Subnormal numbers are so far apart that fewer digits may tell them from their neighbours. */
    int count = value < DBL_MIN ? 1 : DIGITS_SAFE;
    for (; count < DIGITS_MAX; count++) {
        shorten(value, &exact, count, out);
        if (reads_back(out, value) || (power_of_two && reads_back_above(out, value)))
            break;
    }
    if (count == DIGITS_MAX)
        *out = exact;
    while (out->count > 1 && out->text[out->count - 1] == '0')
        out->count--;
}

/* ---- doubles: laying the digits out ---- */

static char *put_bytes(char *p, const char *bytes, int count)
{
    memcpy(p, bytes, (size_t)count);
    return p + count;
}

static char *put_zeros(char *p, int count)
{
    memset(p, '0', (size_t)count);
    return p + count;
}

static char *put_fixed(char *p, const struct digits *d)
{
    if (d->point <= 0) {
        p = put_zeros(put_bytes(p, "0.", 2), -d->point);
        return put_bytes(p, d->text, d->count);
    }
    if (d->point >= d->count) {
        p = put_zeros(put_bytes(p, d->text, d->count), d->point - d->count);
        return put_bytes(p, ".0", 2);
    }
    p = put_bytes(put_bytes(p, d->text, d->point), ".", 1);
    return put_bytes(p, d->text + d->point, d->count - d->point);
}

static char *put_scientific(char *p, const struct digits *d)
{
    int exponent = d->point - 1;
    *p++ = d->text[0];
    if (d->count > 1)
        p = put_bytes(put_bytes(p, ".", 1), d->text + 1, d->count - 1);
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    return p + ps_long_format(exponent < 0 ? -exponent : exponent, p);
}

static size_t format_special(double value, char *out)
{
    const char *name = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
    size_t len = strlen(name);
    memcpy(out, name, len);
    return len;
}

size_t ps_double_format(double value, char out[PS_DOUBLE_TEXT_SIZE])
{
    if (!isfinite(value))
        return format_special(value, out);
    char *p = out;
    struct digits d;
    if (signbit(value))
        *p++ = '-';
    value = fabs(value);
    if (!find_short_decimal(value, &d))
        find_digits(value, &d);
    bool fixed = d.point >= FIXED_POINT_MIN && d.point <= FIXED_POINT_MAX;
    p = fixed ? put_fixed(p, &d) : put_scientific(p, &d);
    return (size_t)(p - out);
}

/* ---- strings ---- */

static void put_escaped(struct ps_buf *buf, unsigned char c)
{
    static const char names[] = "btn?fr", hex[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        ps_buf_put(buf, (char[]){ '\\', (char)c }, 2);
    } else if (c >= '\b' && c <= '\r' && c != '\v') {
        ps_buf_put(buf, (char[]){ '\\', names[c - '\b'] }, 2);
    } else {
        char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
        ps_buf_put(buf, text, sizeof text);
    }
}

/* The end of the run at p that a JSON string holds as it is. */
static const char *plain_run(const char *p, const char *end)
{
    while (p < end) {
        unsigned char c = (unsigned char)*p;
        size_t bad, len = 1;
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        if (c >= 0x80)
            len = ps_utf8_sequence(p, (size_t)(end - p), &bad);
        if (len == 0)
            break;
        p += len;
    }
    return p;
}

void ps_json_put_string(struct ps_buf *buf, const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    ps_buf_put_char(buf, '"');
    while (p < end) {
        const char *run = p;
        size_t bad = 1;
        p = plain_run(p, end);
        ps_buf_put(buf, run, (size_t)(p - run));
        if (p == end)
            break;
        if ((unsigned char)*p < 0x80) {
            put_escaped(buf, (unsigned char)*p);
        } else {
            (void)ps_utf8_sequence(p, (size_t)(end - p), &bad);
            ps_buf_put(buf, PS_UTF8_REPLACEMENT, PS_UTF8_REPLACEMENT_LEN);
        }
        p += bad;
    }
    ps_buf_put_char(buf, '"');
}

/* ---- values ---- */

void ps_json_put_long(struct ps_buf *buf, int64_t value)
{
    char text[24];
    ps_buf_put(buf, text, ps_long_format(value, text));
}

static void put_double_text(struct ps_buf *buf, double value)
{
    char text[PS_DOUBLE_TEXT_SIZE];
    ps_buf_put(buf, text, ps_double_format(value, text));
}

void ps_json_put_double(struct ps_buf *buf, double value)
{
    if (isfinite(value))
        put_double_text(buf, value);
    else
        ps_buf_put(buf, "null", 4);
}

void ps_json_put_value(struct ps_buf *buf, const struct ps_value *value)
{
    if (value->type == PS_VALUE_STRING)
        ps_json_put_string(buf, value->text, value->len);
    else if (value->type == PS_VALUE_DOUBLE)
        ps_json_put_double(buf, value->real);
    else
        ps_value_put_text(buf, value);
}

void ps_value_put_text(struct ps_buf *buf, const struct ps_value *value)
{
    switch (value->type) {
    case PS_VALUE_NULL:
        ps_buf_put(buf, "null", 4);
        break;
    case PS_VALUE_BOOLEAN:
        ps_buf_put_text(buf, value->boolean ? "true" : "false");
        break;
    case PS_VALUE_LONG:
        ps_json_put_long(buf, value->integer);
        break;
    case PS_VALUE_DOUBLE:
        put_double_text(buf, value->real);
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        ps_buf_put(buf, value->text, value->len);
        break;
    }
}

void ps_json_put_object(struct ps_buf *buf, const struct ps_kv *kvs, size_t count)
{
    ps_buf_put_char(buf, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            ps_buf_put_char(buf, ',');
        ps_json_put_string(buf, kvs[i].key, kvs[i].key_len);
        ps_buf_put_char(buf, ':');
        ps_json_put_value(buf, &kvs[i].value);
    }
    ps_buf_put_char(buf, '}');
}
