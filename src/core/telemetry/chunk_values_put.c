#include "core/telemetry/chunk_values.h"

#include "core/telemetry/chunk_few.h"
#include "core/telemetry/chunk_values_kind.h"

void ps_values_encoder_deinit(struct ps_values_encoder *encoder)
{
    ps_text_encoder_destroy(encoder->text);
    encoder->text = NULL;
}

static void put_numbers(struct ps_values_encoder *encoder, struct ps_buf *out, size_t count)
{
    ps_int_column_put(out, encoder->numbers, count, &encoder->runs);
}

static void put_bools(struct ps_values_encoder *encoder, struct ps_buf *out,
                      const struct ps_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        encoder->numbers[i] = points[i].value.boolean;
    ps_buf_put_char(out, PS_KIND_BOOL);
    put_numbers(encoder, out, count);
}

static void put_longs(struct ps_values_encoder *encoder, struct ps_buf *out,
                      const struct ps_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        encoder->numbers[i] = points[i].value.integer;
    ps_buf_put_char(out, PS_KIND_LONG);
    put_numbers(encoder, out, count);
}

static void put_bits(struct ps_values_encoder *encoder, struct ps_buf *out,
                     const struct ps_point *points, size_t count)
{
    uint64_t bits, any = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(&bits, &points[i].value.real, sizeof bits);
        any |= bits;
        encoder->numbers[i] = (int64_t)bits;
    }
    unsigned shift = any ? (unsigned)__builtin_ctzll(any) : 0;
    for (size_t i = 0; i < count; i++)
        encoder->numbers[i] = (int64_t)((uint64_t)encoder->numbers[i] >> shift);
    ps_buf_put_char(out, PS_KIND_BITS);
    ps_buf_put_char(out, (char)shift);
    put_numbers(encoder, out, count);
}

static void put_exceptions(struct ps_buf *out, const struct ps_point *points,
                           const struct ps_decimals *decimals)
{
    unsigned before = 0;
    ps_varint_put(out, decimals->exceptions);
    for (size_t i = 0; i < decimals->exceptions; i++) {
        ps_varint_put(out, decimals->positions[i] - before);
        before = decimals->positions[i];
        ps_buf_put(out, &points[before].value.real, sizeof points[before].value.real);
    }
}

static bool put_decimals(struct ps_values_encoder *encoder, struct ps_buf *out,
                         const struct ps_point *points, size_t count, bool whole_are_long)
{
    struct ps_decimals *decimals = &encoder->decimals;
    decimals->mantissas = encoder->numbers;
    if (!ps_decimals_find(points, count, whole_are_long, decimals))
        return false;
    unsigned kind = whole_are_long     ? PS_KIND_WHOLE_LONG
                    : decimals->single ? PS_KIND_SINGLE
                                       : PS_KIND_DECIMAL;
    encoder->decimal = !decimals->exceptions && !decimals->single;
    if (decimals->exceptions)
        kind += PS_KIND_EXCEPTIONS;
    ps_buf_put_char(out, (char)(kind | decimals->places << PS_KIND_PLACES_SHIFT));
    if (decimals->exceptions)
        put_exceptions(out, points, decimals);
    put_numbers(encoder, out, count);
    return true;
}

static bool put_texts(struct ps_values_encoder *encoder, struct ps_buf *out,
                      const struct ps_point *points, size_t count, enum ps_values_kind kind)
{
    if (!encoder->text && !(encoder->text = ps_text_encoder_create()))
        return false;
    ps_buf_put_char(out, (char)kind);
    return ps_text_column_put(encoder->text, out, points, count, &encoder->runs);
}

/* All points have one type. */
static bool put_pure(struct ps_values_encoder *encoder, struct ps_buf *out,
                     const struct ps_point *points, size_t count)
{
    switch (points[0].value.type) {
    case PS_VALUE_NULL:
        break;
    case PS_VALUE_BOOLEAN:
        put_bools(encoder, out, points, count);
        return true;
    case PS_VALUE_LONG:
        put_longs(encoder, out, points, count);
        return true;
    case PS_VALUE_DOUBLE:
        if (!put_decimals(encoder, out, points, count, false))
            put_bits(encoder, out, points, count);
        return true;
    case PS_VALUE_STRING:
        return put_texts(encoder, out, points, count, PS_KIND_STRING);
    case PS_VALUE_JSON:
        return put_texts(encoder, out, points, count, PS_KIND_JSON);
    }
    PS_ASSERT(!"a null is never stored");
    return false;
}

static bool put_mixed(struct ps_values_encoder *encoder, struct ps_buf *out,
                      const struct ps_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        encoder->numbers[i] = points[i].value.type;
    ps_buf_put_char(out, PS_KIND_MIXED);
    put_numbers(encoder, out, count);
    bool ok = true;
    for (enum ps_value_type type = PS_VALUE_BOOLEAN; type <= PS_VALUE_JSON && ok; type++) {
        size_t some = 0;
        for (size_t i = 0; i < count && encoder->types >> type & 1; i++) {
            if (points[i].value.type == type)
                encoder->some[some++] = points[i];
        }
        ok = some == 0 || put_pure(encoder, out, encoder->some, some);
    }
    encoder->decimal = false;
    return ok;
}

/* 1 << type, of all of them; nearly always there is one. */
static unsigned types_of(const struct ps_point *points, size_t count)
{
    unsigned first = points[0].value.type, others = 0, types = 1u << (first & 31);
    for (size_t i = 1; i < count; i++)
        others |= points[i].value.type ^ first;
    for (size_t i = 1; others && i < count; i++)
        types |= 1u << (points[i].value.type & 31);
    return types;
}

bool ps_values_put(struct ps_values_encoder *encoder, struct ps_buf *out,
                   const struct ps_point *points, size_t count)
{
    const unsigned numbers = 1u << PS_VALUE_LONG | 1u << PS_VALUE_DOUBLE;
    if (count <= PS_FEW_POINTS && ps_few_values_put(&encoder->few_places, out, points, count))
        return true;
    unsigned types = types_of(points, count);
    PS_ASSERT(types < 2u << PS_VALUE_JSON && !(types & 1u << PS_VALUE_NULL));
    encoder->types = types;
    encoder->decimal = false;
    if ((types & (types - 1)) == 0)
        return put_pure(encoder, out, points, count);
    if (types == numbers && put_decimals(encoder, out, points, count, true))
        return true;
    return put_mixed(encoder, out, points, count);
}
