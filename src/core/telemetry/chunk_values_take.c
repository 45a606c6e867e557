#include "core/telemetry/chunk_values.h"

#include <stdlib.h>

#include "core/telemetry/chunk_few.h"
#include "core/telemetry/chunk_values_kind.h"
#include "core/telemetry/wide_loop.h"

enum {
    TYPES = PS_VALUE_JSON + 1,
    POINTS_MAX = PS_INT_COLUMN_MAX,
    SOME = 128, /* points set at once */
};

void ps_values_decoder_deinit(struct ps_values_decoder *decoder)
{
    ps_text_decoder_destroy(decoder->text[0]);
    ps_text_decoder_destroy(decoder->text[1]);
    free(decoder->some);
    decoder->text[0] = decoder->text[1] = NULL;
    decoder->some = NULL;
}

/* Where a column goes. */
struct target {
    const int64_t *times;
    size_t count;
    struct ps_point *points;
};

static bool take_numbers(struct ps_values_decoder *decoder, struct ps_byte_cursor *in, size_t count)
{
    return ps_int_column_take(in, count, decoder->numbers, &decoder->runs);
}

/* Member by member: of a whole struct the compiler makes a copy on the stack first. */
static inline void set_real(struct ps_point *point, int64_t ts_ms, double real)
{
    point->ts_ms = ts_ms;
    point->value.type = PS_VALUE_DOUBLE;
    point->value.len = 0;
    point->value.real = real;
}

static inline void set_integer(struct ps_point *point, int64_t ts_ms, enum ps_value_type type,
                               int64_t integer)
{
    point->ts_ms = ts_ms;
    point->value.type = type;
    point->value.len = 0;
    point->value.integer = integer;
}

/* Four at a time: half of what a loop of one costs is the loop. */
static void set_reals(struct ps_point *points, const int64_t *times, const double *reals,
                      size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        set_real(&points[i], times[i], reals[i]);
        set_real(&points[i + 1], times[i + 1], reals[i + 1]);
        set_real(&points[i + 2], times[i + 2], reals[i + 2]);
        set_real(&points[i + 3], times[i + 3], reals[i + 3]);
    }
    for (; i < count; i++)
        set_real(&points[i], times[i], reals[i]);
}

static void set_longs(struct ps_point *points, const int64_t *times, const int64_t *numbers,
                      size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        set_integer(&points[i], times[i], PS_VALUE_LONG, numbers[i]);
        set_integer(&points[i + 1], times[i + 1], PS_VALUE_LONG, numbers[i + 1]);
        set_integer(&points[i + 2], times[i + 2], PS_VALUE_LONG, numbers[i + 2]);
        set_integer(&points[i + 3], times[i + 3], PS_VALUE_LONG, numbers[i + 3]);
    }
    for (; i < count; i++)
        set_integer(&points[i], times[i], PS_VALUE_LONG, numbers[i]);
}

static enum ps_status take_bools(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                 const struct target *to)
{
    uint64_t any = 0;
    if (!take_numbers(decoder, in, to->count))
        return PS_EPROTO;
    for (size_t i = 0; i < to->count; i++) {
        any |= (uint64_t)decoder->numbers[i];
        set_integer(&to->points[i], to->times[i], PS_VALUE_BOOLEAN, 0);
        to->points[i].value.boolean = decoder->numbers[i] & 1;
    }
    return any > 1 ? PS_EPROTO : PS_OK;
}

static enum ps_status take_longs(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                 const struct target *to)
{
    if (!take_numbers(decoder, in, to->count))
        return PS_EPROTO;
    set_longs(to->points, to->times, decoder->numbers, to->count);
    return PS_OK;
}

static enum ps_status take_bits(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                const struct target *to)
{
    uint8_t shift;
    if (!ps_cursor_byte(in, &shift) || shift > 63 || !take_numbers(decoder, in, to->count))
        return PS_EPROTO;
    for (size_t i = 0; i < to->count; i++) {
        uint64_t bits = (uint64_t)decoder->numbers[i] << shift;
        double real;
        memcpy(&real, &bits, sizeof real);
        set_real(&to->points[i], to->times[i], real);
    }
    return PS_OK;
}

struct exceptions {
    size_t count;
    uint16_t positions[PS_DECIMAL_EXCEPTIONS_MAX];
    double values[PS_DECIMAL_EXCEPTIONS_MAX];
};

static bool take_exceptions(struct ps_byte_cursor *in, size_t count, struct exceptions *out)
{
    size_t at = 0, distance;
    const uint8_t *bytes;
    if (!ps_cursor_count(in, PS_DECIMAL_EXCEPTIONS_MAX, &out->count))
        return false;
    for (size_t i = 0; i < out->count; i++) {
        if (!ps_cursor_count(in, count - 1 - at, &distance) ||
            !ps_cursor_bytes(in, sizeof(double), &bytes))
            return false;
        at += distance;
        out->positions[i] = (uint16_t)at;
        memcpy(&out->values[i], bytes, sizeof(double));
    }
    return true;
}

/* In two steps, so that the divisions go two at a time: the points lie too far apart for that. */
PS_WIDE_LOOP
static void set_decimals(const int64_t *mantissas, double power, const struct target *to)
{
    double reals[SOME];
    for (size_t i = 0; i < to->count; i += SOME) {
        size_t some = to->count - i < SOME ? to->count - i : SOME;
        for (size_t k = 0; k < some; k++)
            reals[k] = ps_decimal_real(mantissas[i + k]) / power;
        set_reals(&to->points[i], to->times + i, reals, some);
    }
}

static void set_singles(const int64_t *mantissas, double power, const struct target *to)
{
    for (size_t i = 0; i < to->count; i++) {
        float single = (float)(ps_decimal_real(mantissas[i]) / power);
        set_real(&to->points[i], to->times[i], (double)single);
    }
}

/* A quotient of a mantissa below 2^51 is whole only if the division left no rest: what a rest adds
 * is more than rounding can take away. */
static void set_whole_longs(const int64_t *mantissas, double power, const struct target *to)
{
    for (size_t i = 0; i < to->count; i++) {
        double real = ps_decimal_real(mantissas[i]) / power;
        int64_t whole = (int64_t)real;
        if (real == (double)whole)
            set_integer(&to->points[i], to->times[i], PS_VALUE_LONG, whole);
        else
            set_real(&to->points[i], to->times[i], real);
    }
}

PS_WIDE_LOOP
static bool all_in_range(const int64_t *mantissas, size_t count)
{
    uint64_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= (uint64_t)mantissas[i] + (1ull << PS_DECIMAL_MANTISSA_BITS);
    return any >> (PS_DECIMAL_MANTISSA_BITS + 1) == 0;
}

static enum ps_status take_decimals(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                    uint8_t head, const struct target *to)
{
    struct exceptions exceptions;
    exceptions.count = 0;
    if ((head & PS_KIND_EXCEPTIONS) && !take_exceptions(in, to->count, &exceptions))
        return PS_EPROTO;
    if (!take_numbers(decoder, in, to->count) || !all_in_range(decoder->numbers, to->count))
        return PS_EPROTO;
    double power = ps_decimal_powers[head >> PS_KIND_PLACES_SHIFT];
    switch (head & PS_KIND_MASK & ~PS_KIND_EXCEPTIONS) {
    case PS_KIND_DECIMAL:
        set_decimals(decoder->numbers, power, to);
        break;
    case PS_KIND_SINGLE:
        set_singles(decoder->numbers, power, to);
        break;
    default:
        set_whole_longs(decoder->numbers, power, to);
        break;
    }
    for (size_t i = 0; i < exceptions.count; i++)
        to->points[exceptions.positions[i]].value =
            (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = exceptions.values[i] };
    return PS_OK;
}

static enum ps_status take_texts(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                 enum ps_value_type type, const struct target *to)
{
    struct ps_text_decoder **text = &decoder->text[type == PS_VALUE_JSON];
    if (!*text && !(*text = ps_text_decoder_create()))
        return PS_ENOMEM;
    for (size_t i = 0; i < to->count; i++)
        to->points[i].ts_ms = to->times[i];
    return ps_text_column_take(*text, in, type, to->count, to->points, &decoder->runs);
}

/* Any kind but mixed; places belong to decimals only. */
static enum ps_status take_pure(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                uint8_t head, const struct target *to)
{
    switch (head & PS_KIND_MASK & ~PS_KIND_EXCEPTIONS) {
    case PS_KIND_DECIMAL:
    case PS_KIND_SINGLE:
    case PS_KIND_WHOLE_LONG:
        return take_decimals(decoder, in, head, to);
    default:
        break;
    }
    switch (head) {
    case PS_KIND_BOOL:
        return take_bools(decoder, in, to);
    case PS_KIND_LONG:
        return take_longs(decoder, in, to);
    case PS_KIND_BITS:
        return take_bits(decoder, in, to);
    case PS_KIND_STRING:
        return take_texts(decoder, in, PS_VALUE_STRING, to);
    case PS_KIND_JSON:
        return take_texts(decoder, in, PS_VALUE_JSON, to);
    default:
        return PS_EPROTO;
    }
}

static bool take_types(struct ps_values_decoder *decoder, struct ps_byte_cursor *in, size_t count,
                       size_t of_type[TYPES])
{
    if (!take_numbers(decoder, in, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t type = decoder->numbers[i];
        if (type <= PS_VALUE_NULL || type > PS_VALUE_JSON)
            return false;
        decoder->types[i] = (uint8_t)type;
        of_type[type]++;
    }
    return true;
}

/* Deal the values of one type out to the places where it belongs. */
static enum ps_status place_type(const struct ps_values_decoder *decoder, enum ps_value_type type,
                                 const struct target *to)
{
    for (size_t i = 0, next = 0; i < to->count; i++) {
        if (decoder->types[i] != type)
            continue;
        if (decoder->some[next].value.type != type)
            return PS_EPROTO;
        to->points[i].value = decoder->some[next++].value;
    }
    return PS_OK;
}

static enum ps_status take_mixed(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                                 const struct target *to)
{
    size_t of_type[TYPES] = { 0 };
    if (!take_types(decoder, in, to->count, of_type))
        return PS_EPROTO;
    if (!decoder->some && !(decoder->some = malloc(POINTS_MAX * sizeof *decoder->some)))
        return PS_ENOMEM;
    for (size_t i = 0; i < to->count; i++)
        to->points[i].ts_ms = to->times[i];
    enum ps_status st = PS_OK;
    for (enum ps_value_type type = PS_VALUE_BOOLEAN; type <= PS_VALUE_JSON && st == PS_OK; type++) {
        uint8_t head;
        /* the times do not matter here */
        struct target some = { to->times, of_type[type], decoder->some };
        if (some.count == 0)
            continue;
        if (!ps_cursor_byte(in, &head))
            return PS_EPROTO;
        st = take_pure(decoder, in, head, &some);
        if (st == PS_OK)
            st = place_type(decoder, type, to);
    }
    return st;
}

enum ps_status ps_values_take(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                              const int64_t *times, size_t count, struct ps_point *points)
{
    const struct target to = { times, count, points };
    uint8_t head;
    if (count <= PS_FEW_POINTS && ps_few_values_take(in, times, count, points))
        return PS_OK;
    if (!ps_cursor_byte(in, &head))
        return PS_EPROTO;
    if (head == PS_KIND_MIXED)
        return take_mixed(decoder, in, &to);
    return take_pure(decoder, in, head, &to);
}
