#include "core/telemetry/block_summary.h"

#include <math.h>

#include "core/telemetry/wide_loop.h"

enum {
    FORM_LONGS = 0,
    FORM_DECIMALS = 1, /* + places */
    FORM_DOUBLES = 32,
    FORM_HAS_REAL = 64,
};

static const int64_t exact_max = 1ll << 53; /* every integer up to here is a double */

struct totals {
    int64_t min, max, sum;
};

/* False: something is not exact as a double. */
static bool is_exact(const struct totals *totals)
{
    return totals->min >= -exact_max && totals->max <= exact_max && totals->sum >= -exact_max &&
           totals->sum <= exact_max;
}

PS_WIDE_LOOP
static struct totals totals_of(const int64_t *numbers, size_t count)
{
    int64_t min = numbers[0], max = min;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        min = numbers[i] < min ? numbers[i] : min;
        max = numbers[i] > max ? numbers[i] : max;
        sum += (uint64_t)numbers[i];
    }
    return (struct totals){ min, max, (int64_t)sum };
}

/* Sums of so many numbers that are exact as doubles may overflow, those of smaller ones not. */
static bool sum_up(const int64_t *numbers, size_t count, struct totals *out)
{
    const int64_t small = INT64_MAX / PS_CHUNK_POINTS_MAX;
    *out = totals_of(numbers, count);
    if (out->min >= -small && out->max <= small)
        return is_exact(out);
    out->sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(out->sum, numbers[i], &out->sum))
            return false;
    }
    return is_exact(out);
}

static void put_totals(struct ps_buf *out, unsigned form, const struct totals *totals, size_t count)
{
    ps_buf_put_char(out, (char)form);
    ps_varint_put(out, ps_zigzag(totals->min));
    ps_varint_put(out, (uint64_t)(totals->max - totals->min));
    ps_varint_put(out, ps_zigzag(totals->sum - (int64_t)count * totals->min));
}

/* min and max are exact, so count * min does not overflow: 2^12 * 2^53. */
static bool take_totals(struct ps_byte_cursor *in, size_t count, struct totals *out)
{
    uint64_t range;
    int64_t over;
    if (!ps_cursor_signed(in, &out->min) || !ps_cursor_varint(in, &range) ||
        !ps_cursor_signed(in, &over) || out->min < -exact_max || out->min > exact_max ||
        range > (uint64_t)(exact_max - out->min))
        return false;
    out->max = out->min + (int64_t)range;
    return !__builtin_add_overflow(over, (int64_t)count * out->min, &out->sum) && is_exact(out);
}

static void put_doubles(struct ps_buf *out, const struct ps_point *points, size_t count)
{
    double min = INFINITY, max = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &points[i].value;
        double real = value->type == PS_VALUE_LONG ? (double)value->integer : value->real;
        if (isnan(real))
            return;
        min = real < min ? real : min;
        max = real > max ? real : max;
        sum += real;
    }
    if (isnan(sum)) /* of infinities of both signs */
        return;
    ps_buf_put_char(out, FORM_DOUBLES | FORM_HAS_REAL);
    ps_buf_put(out, &min, sizeof min);
    ps_buf_put(out, &max, sizeof max);
    ps_buf_put(out, &sum, sizeof sum);
}

void ps_block_summary_put(struct ps_buf *out, const struct ps_values_encoder *encoded,
                          const struct ps_point *points, size_t count)
{
    const unsigned longs = 1u << PS_VALUE_LONG, doubles = 1u << PS_VALUE_DOUBLE;
    struct totals totals;
    if (count < PS_BLOCK_SUMMARY_POINTS || (encoded->types & ~(longs | doubles)))
        return;
    if (encoded->types == longs) {
        /* a column of longs left its numbers in the encoder */
        if (sum_up(encoded->numbers, count, &totals))
            put_totals(out, FORM_LONGS, &totals, count);
    } else if (encoded->decimal && sum_up(encoded->decimals.mantissas, count, &totals)) {
        put_totals(out, (FORM_DECIMALS + encoded->decimals.places) | FORM_HAS_REAL, &totals, count);
    } else {
        put_doubles(out, points, count);
    }
}

static bool take_doubles(struct ps_byte_cursor *in, struct ps_chunk_summary *out)
{
    double totals[3];
    const uint8_t *bytes;
    if (!ps_cursor_bytes(in, sizeof totals, &bytes))
        return false;
    memcpy(totals, bytes, sizeof totals);
    if (isnan(totals[0]) || isnan(totals[1]) || isnan(totals[2]))
        return false;
    *out = (struct ps_chunk_summary){
        .has_real = true, .real_min = totals[0], .real_max = totals[1], .real_sum = totals[2]
    };
    return true;
}

bool ps_block_summary_take(struct ps_byte_cursor *in, size_t count, struct ps_chunk_summary *out)
{
    uint8_t form;
    struct totals totals;
    if (!ps_cursor_byte(in, &form))
        return false;
    if (form == (FORM_DOUBLES | FORM_HAS_REAL))
        return take_doubles(in, out);
    bool has_real = form & FORM_HAS_REAL;
    form &= ~FORM_HAS_REAL;
    if (form > FORM_DECIMALS + PS_DECIMAL_PLACES_MAX || has_real != (form >= FORM_DECIMALS) ||
        !take_totals(in, count, &totals))
        return false;
    double power = has_real ? ps_decimal_powers[form - FORM_DECIMALS] : 1;
    *out = (struct ps_chunk_summary){ .has_real = has_real,
                                      .real_min = (double)totals.min / power,
                                      .real_max = (double)totals.max / power,
                                      .real_sum = (double)totals.sum / power };
    if (!has_real) {
        out->whole_min = totals.min;
        out->whole_max = totals.max;
        out->whole_sum = totals.sum;
    }
    return true;
}
