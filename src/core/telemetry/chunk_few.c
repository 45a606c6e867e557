#include "core/telemetry/chunk_few.h"

#include "core/telemetry/chunk_decimal.h"
#include "core/telemetry/chunk_values_kind.h"

enum {
    HEAD_BYTES_MAX = 2,    /* kind, shift of bits */
    TEXT_BYTES_MAX = 63,   /* more may be worth compressing ... */
    PAIR_BYTES_MAX = 1024, /* ... but of one or two points only far more */
    PAIR = 2,
    PLACES_MAX = 10, /* decimals of more are as long as the bits, and some noise looks like them */
    SINGLE_ZERO_BITS = 29, /* low mantissa bits that a float does not have */
};

/* ---- writing ---- */

enum decimals {
    DECIMALS_ALL,
    DECIMALS_SOME,
    DECIMALS_NONE,
};

/* Zeros behind all mantissas are places too many. */
static unsigned strip_zeros(int64_t *mantissas, size_t count, unsigned places)
{
    for (; places > 0; places--) {
        for (size_t i = 0; i < count; i++) {
            if (mantissas[i] % 10 != 0)
                return places;
        }
        for (size_t i = 0; i < count; i++)
            mantissas[i] /= 10;
    }
    return places;
}

/* The mantissa of a double, or of a LONG beside doubles: that is told apart from them by being
 * whole, so none of them may be. */
static bool fits(const struct ps_value *value, unsigned places, bool whole_are_long,
                 int64_t *mantissa)
{
    if (value->type == PS_VALUE_LONG)
        return ps_decimal_fits_long(value->integer, places, mantissa);
    return ps_decimal_fits(value->real, places, mantissa) &&
           !(whole_are_long && ps_decimal_is_whole(value->real));
}

static unsigned places_of(const struct ps_value *value, unsigned likely)
{
    return ps_decimal_places(value->real, likely, PLACES_MAX);
}

static enum decimals none_or_some(const struct ps_point *points, size_t count, unsigned likely)
{
    for (size_t i = 0; i < count; i++) {
        if (places_of(&points[i].value, likely) != PS_DECIMAL_PLACES_NONE)
            return DECIMALS_SOME;
    }
    return DECIMALS_NONE;
}

/* Mantissas of the values, with the fewest places that suit all. *places is a guess, which changes
 * nothing of the answer: if a value has too many digits for it, the search begins again without. */
static enum decimals find_decimals(const struct ps_point *points, size_t count, bool whole_are_long,
                                   unsigned *places, int64_t *mantissas)
{
    unsigned now = *places;
    bool guessed = now > 0;
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &points[i].value;
        if (fits(value, now, whole_are_long, &mantissas[i]))
            continue;
        unsigned needed = value->type == PS_VALUE_LONG ? 0 : places_of(value, now);
        if (needed == PS_DECIMAL_PLACES_NONE)
            return whole_are_long ? DECIMALS_SOME : none_or_some(points, count, now);
        if (needed <= now && !guessed)
            return DECIMALS_SOME;
        if (needed <= now)
            guessed = false;
        now = needed > now ? needed : 0;
        i = (size_t)-1; /* those before have another mantissa now */
    }
    *places = strip_zeros(mantissas, count, now);
    return DECIMALS_ALL;
}

/* The doubles' bits without their common zeros; those of a float are due to the general way, which
 * looks for decimals in single precision. */
static uint8_t *write_bits(uint8_t *at, const struct ps_point *points, size_t count)
{
    int64_t numbers[PS_FEW_POINTS];
    uint64_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= ps_decimal_bits(points[i].value.real);
    unsigned shift = any ? (unsigned)__builtin_ctzll(any) : 0;
    if (shift >= SINGLE_ZERO_BITS && count > PAIR)
        return NULL;
    for (size_t i = 0; i < count; i++)
        numbers[i] = (int64_t)(ps_decimal_bits(points[i].value.real) >> shift);
    *at++ = PS_KIND_BITS;
    *at++ = (uint8_t)shift;
    return ps_int_few_write(at, numbers, count, true);
}

static uint8_t *write_decimals(uint8_t *at, unsigned *places, const struct ps_point *points,
                               size_t count, bool whole_are_long)
{
    int64_t mantissas[PS_FEW_POINTS];
    unsigned kind = whole_are_long ? PS_KIND_WHOLE_LONG : PS_KIND_DECIMAL;
    enum decimals found = find_decimals(points, count, whole_are_long, places, mantissas);
    if (found == DECIMALS_NONE)
        return write_bits(at, points, count);
    if (found == DECIMALS_SOME)
        return NULL;
    *at++ = (uint8_t)(kind | *places << PS_KIND_PLACES_SHIFT);
    return ps_int_few_write(at, mantissas, count, false);
}

static uint8_t *write_longs(uint8_t *at, const struct ps_point *points, size_t count)
{
    int64_t numbers[PS_FEW_POINTS];
    for (size_t i = 0; i < count; i++)
        numbers[i] = points[i].value.integer;
    *at++ = PS_KIND_LONG;
    return ps_int_few_write(at, numbers, count, false);
}

static uint8_t *write_bools(uint8_t *at, const struct ps_point *points, size_t count)
{
    int64_t numbers[PS_FEW_POINTS];
    for (size_t i = 0; i < count; i++)
        numbers[i] = points[i].value.boolean;
    *at++ = PS_KIND_BOOL;
    return ps_int_few_write(at, numbers, count, false);
}

/* Texts of a chunk, each once. */
struct texts {
    size_t count, bytes;
    const struct ps_value *values[PS_FEW_POINTS];
    int64_t lengths[PS_FEW_POINTS], numbers[PS_FEW_POINTS]; /* of texts; of points */
};

static void gather_texts(const struct ps_point *points, size_t count, struct texts *out)
{
    out->count = out->bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &points[i].value;
        size_t number = 0;
        while (number < out->count && !ps_value_equal(out->values[number], value))
            number++;
        out->numbers[i] = (int64_t)number;
        if (number < out->count)
            continue;
        out->values[number] = value;
        out->lengths[number] = value->len;
        out->bytes += value->len;
        out->count++;
    }
}

static uint8_t *write_heap(uint8_t *at, const struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (texts->values[i]->len)
            memcpy(at, texts->values[i]->text, texts->values[i]->len);
        at += texts->values[i]->len;
    }
    return at;
}

static uint8_t *write_texts(uint8_t *at, const struct texts *texts, size_t count, unsigned kind)
{
    *at++ = (uint8_t)kind;
    *at++ = (uint8_t)texts->count;
    at = ps_int_few_write(at, texts->lengths, texts->count, true);
    if (!at)
        return NULL;
    *at++ = 0; /* not compressed */
    at = write_heap(at, texts);
    return ps_int_few_write(at, texts->numbers, count, true);
}

static bool put_texts(struct ps_buf *out, const struct ps_point *points, size_t count,
                      unsigned kind)
{
    struct texts texts;
    gather_texts(points, count, &texts);
    if (texts.bytes > (count <= PAIR ? PAIR_BYTES_MAX : TEXT_BYTES_MAX) ||
        !ps_bytes_reserve(out, HEAD_BYTES_MAX + 2 * PS_INT_FEW_BYTES_MAX + 1 + texts.bytes))
        return false;
    uint8_t *start = (uint8_t *)out->data + out->len;
    uint8_t *at = write_texts(start, &texts, count, kind);
    if (at)
        out->len += (size_t)(at - start);
    return at != NULL;
}

/* The most frequent chunk of all is one number; the same bytes as of some. False: try that way. */
static bool put_one(unsigned places, struct ps_buf *out, const struct ps_value *value)
{
    int64_t number;
    unsigned kind;
    if (!ps_bytes_reserve(out, HEAD_BYTES_MAX + PS_INT_FEW_BYTES_MAX))
        return false;
    if (value->type == PS_VALUE_DOUBLE) {
        kind = PS_KIND_DECIMAL | places << PS_KIND_PLACES_SHIFT;
        if (!ps_decimal_fits(value->real, places, &number) || (places > 0 && number % 10 == 0))
            return false;
    } else {
        bool is_long = value->type == PS_VALUE_LONG;
        kind = is_long ? PS_KIND_LONG : PS_KIND_BOOL;
        number = is_long ? value->integer : value->boolean;
    }
    uint8_t *start = (uint8_t *)out->data + out->len;
    *start = (uint8_t)kind;
    out->len += (size_t)(ps_int_few_write(start + 1, &number, 1, false) - start);
    return true;
}

/* @param mixed  LONG and DOUBLE */
static bool put_numbers(unsigned *places, struct ps_buf *out, const struct ps_point *points,
                        size_t count, bool mixed)
{
    if (!ps_bytes_reserve(out, HEAD_BYTES_MAX + PS_INT_FEW_BYTES_MAX))
        return false;
    uint8_t *start = (uint8_t *)out->data + out->len, *at;
    if (mixed || points[0].value.type == PS_VALUE_DOUBLE)
        at = write_decimals(start, places, points, count, mixed);
    else if (points[0].value.type == PS_VALUE_LONG)
        at = write_longs(start, points, count);
    else
        at = write_bools(start, points, count);
    if (at)
        out->len += (size_t)(at - start);
    return at != NULL;
}

bool ps_few_values_put(unsigned *places, struct ps_buf *out, const struct ps_point *points,
                       size_t count)
{
    unsigned type = points[0].value.type, others = 0;
    if (count == 1 && type >= PS_VALUE_BOOLEAN && type <= PS_VALUE_DOUBLE &&
        put_one(*places, out, &points[0].value))
        return true;
    for (size_t i = 1; i < count; i++)
        others |= points[i].value.type ^ type;
    if (others) {
        for (size_t i = 0; i < count; i++) {
            if (points[i].value.type != PS_VALUE_LONG && points[i].value.type != PS_VALUE_DOUBLE)
                return false;
        }
        return put_numbers(places, out, points, count, true);
    }
    switch (type) {
    case PS_VALUE_BOOLEAN:
    case PS_VALUE_LONG:
    case PS_VALUE_DOUBLE:
        return put_numbers(places, out, points, count, false);
    case PS_VALUE_STRING:
        return put_texts(out, points, count, PS_KIND_STRING);
    case PS_VALUE_JSON:
        return put_texts(out, points, count, PS_KIND_JSON);
    default:
        return false; /* a null is never stored: asserted there */
    }
}

/* ---- reading ---- */

/* Where a column goes. */
struct target {
    const int64_t *times;
    size_t count;
    struct ps_point *points;
};

static inline void set(const struct target *to, size_t i, enum ps_value_type type)
{
    to->points[i].ts_ms = to->times[i];
    to->points[i].value.type = type;
    to->points[i].value.len = 0;
}

static bool take_integers(struct ps_byte_cursor *in, enum ps_value_type type,
                          const struct target *to)
{
    int64_t numbers[PS_FEW_POINTS];
    uint64_t any = 0;
    if (!ps_int_few_take(in, to->count, numbers))
        return false;
    for (size_t i = 0; i < to->count; i++) {
        any |= (uint64_t)numbers[i];
        set(to, i, type);
        to->points[i].value.integer = numbers[i];
        if (type == PS_VALUE_BOOLEAN)
            to->points[i].value.boolean = numbers[i] & 1;
    }
    return type == PS_VALUE_LONG || any <= 1;
}

static bool take_decimals(struct ps_byte_cursor *in, uint8_t head, const struct target *to)
{
    int64_t mantissas[PS_FEW_POINTS];
    double power = ps_decimal_powers[head >> PS_KIND_PLACES_SHIFT];
    if (!ps_int_few_take(in, to->count, mantissas))
        return false;
    for (size_t i = 0; i < to->count; i++) {
        double real = ps_decimal_real(mantissas[i]) / power;
        if (!ps_decimal_in_range(mantissas[i]))
            return false;
        set(to, i, PS_VALUE_DOUBLE);
        to->points[i].value.real = real;
        if ((head & PS_KIND_MASK) == PS_KIND_WHOLE_LONG && ps_decimal_is_whole(real)) {
            to->points[i].value.type = PS_VALUE_LONG;
            to->points[i].value.integer = (int64_t)real;
        }
    }
    return true;
}

static bool take_bits(struct ps_byte_cursor *in, const struct target *to)
{
    int64_t numbers[PS_FEW_POINTS];
    uint8_t shift;
    if (!ps_cursor_byte(in, &shift) || shift > 63 || !ps_int_few_take(in, to->count, numbers))
        return false;
    for (size_t i = 0; i < to->count; i++) {
        uint64_t bits = (uint64_t)numbers[i] << shift;
        set(to, i, PS_VALUE_DOUBLE);
        memcpy(&to->points[i].value.real, &bits, sizeof bits);
    }
    return true;
}

static bool take_texts(struct ps_byte_cursor *in, enum ps_value_type type, const struct target *to)
{
    int64_t lengths[PS_FEW_POINTS], numbers[PS_FEW_POINTS];
    const uint8_t *texts[PS_FEW_POINTS];
    uint8_t count, form;
    if (!ps_cursor_byte(in, &count) || count == 0 || count > to->count ||
        !ps_int_few_take(in, count, lengths) || !ps_cursor_byte(in, &form) || form != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] < 0 || lengths[i] > UINT32_MAX ||
            !ps_cursor_bytes(in, (size_t)lengths[i], &texts[i]))
            return false;
    }
    if (!ps_int_few_take(in, to->count, numbers))
        return false;
    for (size_t i = 0; i < to->count; i++) {
        if ((uint64_t)numbers[i] >= count)
            return false;
        set(to, i, type);
        to->points[i].value.len = (uint32_t)lengths[numbers[i]];
        to->points[i].value.text = (const char *)texts[numbers[i]];
    }
    return true;
}

static bool take(struct ps_byte_cursor *in, uint8_t head, const struct target *to)
{
    if ((head & PS_KIND_MASK) == PS_KIND_DECIMAL || (head & PS_KIND_MASK) == PS_KIND_WHOLE_LONG)
        return take_decimals(in, head, to);
    switch (head) {
    case PS_KIND_LONG:
        return take_integers(in, PS_VALUE_LONG, to);
    case PS_KIND_BOOL:
        return take_integers(in, PS_VALUE_BOOLEAN, to);
    case PS_KIND_BITS:
        return take_bits(in, to);
    case PS_KIND_STRING:
        return take_texts(in, PS_VALUE_STRING, to);
    case PS_KIND_JSON:
        return take_texts(in, PS_VALUE_JSON, to);
    default:
        return false;
    }
}

bool ps_few_values_take(struct ps_byte_cursor *in, const int64_t *times, size_t count,
                        struct ps_point *points)
{
    const struct target to = { times, count, points };
    const uint8_t *start = in->at;
    uint8_t head;
    bool taken = ps_cursor_byte(in, &head) && take(in, head, &to);
    if (!taken)
        in->at = start;
    return taken;
}
