#include "core/telemetry/chunk_times.h"

#include "core/telemetry/int_few.h"
#include "core/telemetry/wide_loop.h"

enum {
    FRACTION_BITS = 20, /* of the line's slope: at most 1/256 ms off at the end of 4096 points */
    SPAN_BITS_MAX = 42, /* slope and span fit 63 bits; 140 years */
    STEPS_MAX = 255,    /* beyond it deltas win */
    SECOND_MS = 1000,
    WHOLE_SECONDS = 0x80, /* bit of the shape byte */
};

enum shape {
    SHAPE_EXACT,
    SHAPE_LINE,
    SHAPE_STEPS,
    SHAPE_DELTAS,
};

struct step {
    size_t at;    /* from this point on ... */
    int64_t jump; /* ... all times are later by this (modulo 2^64) */
};

struct steps {
    size_t count;
    struct step items[STEPS_MAX];
};

struct line {
    uint64_t at; /* time on the line, in 2^-FRACTION_BITS units since the first, rounded up half */
    uint64_t slope; /* the same unit per point */
};

static uint64_t minus(int64_t a, int64_t b)
{
    return (uint64_t)a - (uint64_t)b;
}

static bool has_line(uint64_t span)
{
    return span >> SPAN_BITS_MAX == 0;
}

/* The line over `span`, without its steps, of `count` >= 2 points. */
static struct line line_of(uint64_t span, size_t count)
{
    return (struct line){ .at = 1ull << (FRACTION_BITS - 1),
                          .slope = (span << FRACTION_BITS) / (count - 1) };
}

/* Make times[from ... to - 1] of distances from a line that is shifted by `offset`. */
static void line_add(const struct line *line, uint64_t offset, size_t from, size_t to,
                     int64_t *times)
{
    uint64_t at = line->at + from * line->slope;
    for (size_t i = from; i < to; i++, at += line->slope)
        times[i] = (int64_t)(offset + (at >> FRACTION_BITS) + (uint64_t)times[i]);
}

/* distances[i] = times[i] - line, between the steps. */
PS_WIDE_LOOP
static void line_subtract(const struct line *line, const struct steps *steps, const int64_t *times,
                          size_t count, int64_t *distances)
{
    uint64_t offset = (uint64_t)times[0];
    size_t from = 0;
    for (size_t step = 0; step <= steps->count; step++) {
        size_t to = step < steps->count ? steps->items[step].at : count;
        uint64_t at = line->at + from * line->slope;
        for (size_t i = from; i < to; i++, at += line->slope)
            distances[i] = (int64_t)((uint64_t)times[i] - offset - (at >> FRACTION_BITS));
        from = to;
        offset += step < steps->count ? (uint64_t)steps->items[step].jump : 0;
    }
}

/* A reading is missing where a delta is nearer to two periods than to one. The period is the middle
 * of some deltas. */
static uint64_t usual_period(const int64_t *deltas, size_t count)
{
    uint64_t some[9];
    for (size_t i = 0; i < 9; i++) {
        uint64_t delta = (uint64_t)deltas[1 + i * (count - 2) / 8];
        size_t at = i;
        for (; at > 0 && some[at - 1] > delta; at--)
            some[at] = some[at - 1];
        some[at] = delta;
    }
    return some[4];
}

/* Where readings are missing, and the time of so many periods there; deltas[i] is
 * times[i] - times[i - 1]. Single deltas jitter: the period that counts is that of all of `span`.
 * False: none is missing, or too often to be worth it. */
static bool find_steps(const int64_t *deltas, size_t count, uint64_t span, struct steps *steps)
{
    uint64_t period = usual_period(deltas, count), periods = count - 1;
    steps->count = 0;
    for (size_t i = 1; i < count; i++) {
        uint64_t delta = (uint64_t)deltas[i];
        if (delta < period + period / 2)
            continue;
        if (steps->count == STEPS_MAX || steps->count * 16 > count)
            return false;
        uint64_t missing = (delta + period / 2) / period - 1;
        periods += missing;
        steps->items[steps->count++] = (struct step){ .at = i, .jump = (int64_t)missing };
    }
    for (size_t i = 0; i < steps->count; i++) {
        double jump = (double)steps->items[i].jump * (double)span / (double)periods;
        steps->items[i].jump = (int64_t)jump;
    }
    return steps->count > 0;
}

static uint64_t steps_sum(const struct steps *steps)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < steps->count; i++)
        sum += (uint64_t)steps->items[i].jump;
    return sum;
}

static void put_steps(struct ps_buf *out, const struct steps *steps)
{
    size_t before = 0;
    ps_varint_put(out, steps->count);
    for (size_t i = 0; i < steps->count; i++) {
        ps_varint_put(out, steps->items[i].at - before);
        ps_varint_put(out, ps_zigzag(steps->items[i].jump));
        before = steps->items[i].at;
    }
}

static bool all_zero(const int64_t *values, size_t count)
{
    int64_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= values[i];
    return any == 0;
}

static size_t steps_bits(const struct steps *steps)
{
    size_t bytes = 1;
    for (size_t i = 0; i < steps->count; i++)
        bytes += 2 + ps_varint_size(ps_zigzag(steps->items[i].jump));
    return bytes * 8;
}

/* The shape that takes fewest bits; leaves its distances in `scratch`, and its steps. */
static enum shape choose_shape(const int64_t *times, size_t count, struct steps *steps,
                               struct ps_chunk_times_scratch *scratch)
{
    static const struct steps none = { 0 };
    uint64_t span = minus(times[count - 1], times[0]);
    int64_t *distances = scratch->distances, *deltas = scratch->deltas;
    if (!has_line(span))
        return SHAPE_DELTAS;
    struct line line = line_of(span, count);
    line_subtract(&line, &none, times, count, distances);
    if (all_zero(distances, count))
        return SHAPE_EXACT;
    bool gaps = find_steps(deltas, count, span, steps);
    size_t delta_bits = ps_int_column_plain_bits(deltas + 1, count - 2, gaps);
    size_t line_bits = ps_int_column_plain_bits(distances + 1, count - 2, gaps);
    size_t best_bits = line_bits <= delta_bits ? line_bits : delta_bits;
    if (gaps) {
        struct line broken = line_of(span - steps_sum(steps), count);
        line_subtract(&broken, steps, times, count, distances);
        if (ps_int_column_plain_bits(distances + 1, count - 2, true) + steps_bits(steps) <
            best_bits)
            return SHAPE_STEPS;
        line_subtract(&line, &none, times, count, distances);
    }
    return line_bits <= delta_bits ? SHAPE_LINE : SHAPE_DELTAS;
}

static void put_column(struct ps_buf *out, const int64_t *times, size_t count, uint8_t unit,
                       struct ps_chunk_times_scratch *scratch)
{
    struct steps steps;
    for (size_t i = 1; i < count; i++)
        scratch->deltas[i] = (int64_t)minus(times[i], times[i - 1]);
    enum shape shape = choose_shape(times, count, &steps, scratch);
    ps_buf_put_char(out, (char)(shape | unit));
    if (shape == SHAPE_EXACT)
        return;
    if (shape == SHAPE_STEPS)
        put_steps(out, &steps);
    ps_int_column_put_plain(out, (shape == SHAPE_DELTAS ? scratch->deltas : scratch->distances) + 1,
                            count - 2);
}

static bool whole_seconds(const int64_t *times, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (minus(times[i], times[0]) % SECOND_MS != 0)
            return false;
    }
    return true;
}

enum { FEW_WIDTH_MAX = 12 }; /* wider ones may have a gap, and steps be shorter */

/* 3 ... PS_INT_FEW times, if it is likely that nothing is shorter than a line or deltas. */
static bool put_few(struct ps_buf *out, const int64_t *times, size_t count, uint8_t unit)
{
    int64_t distances[PS_INT_FEW], deltas[PS_INT_FEW], any = 0;
    uint64_t span = minus(times[count - 1], times[0]);
    if (!has_line(span) || !ps_bytes_reserve(out, 1 + PS_INT_FEW_BYTES_MAX))
        return false;
    struct line line = line_of(span, count);
    for (size_t i = 1; i < count - 1; i++) {
        uint64_t at = (line.at + i * line.slope) >> FRACTION_BITS;
        any |= distances[i] = (int64_t)(minus(times[i], times[0]) - at);
        deltas[i] = (int64_t)minus(times[i], times[i - 1]);
    }
    uint8_t *start = (uint8_t *)out->data + out->len, *at = start + 1;
    *start = SHAPE_EXACT | unit;
    if (any) {
        struct ps_int_few_frame by_line = ps_int_few_frame(distances + 1, count - 2);
        struct ps_int_few_frame by_delta = ps_int_few_frame(deltas + 1, count - 2);
        bool as_line = by_line.bytes <= by_delta.bytes;
        if ((as_line ? by_line.width : by_delta.width) > FEW_WIDTH_MAX)
            return false;
        *start = (as_line ? SHAPE_LINE : SHAPE_DELTAS) | unit;
        at = ps_int_few_write_block(at, (as_line ? distances : deltas) + 1, count - 2,
                                    as_line ? &by_line : &by_delta);
    }
    out->len += (size_t)(at - start);
    return true;
}

static void put_times(struct ps_buf *out, const int64_t *times, size_t count, uint8_t unit,
                      struct ps_chunk_times_scratch *scratch)
{
    if (count > PS_INT_FEW || !put_few(out, times, count, unit))
        put_column(out, times, count, unit, scratch);
}

void ps_chunk_times_put(struct ps_buf *out, const int64_t *times, size_t count,
                        struct ps_chunk_times_scratch *scratch)
{
    if (count <= 2)
        return;
    if (!whole_seconds(times, count)) {
        put_times(out, times, count, 0, scratch);
        return;
    }
    for (size_t i = 0; i < count; i++)
        scratch->seconds[i] = (int64_t)(minus(times[i], times[0]) / SECOND_MS);
    put_times(out, scratch->seconds, count, WHOLE_SECONDS, scratch);
}

static bool take_steps(struct ps_byte_cursor *in, size_t count, struct steps *steps)
{
    size_t at = 0, gap;
    if (!ps_cursor_count(in, STEPS_MAX, &steps->count))
        return false;
    for (size_t i = 0; i < steps->count; i++) {
        if (!ps_cursor_count(in, count - 1 - at, &gap) || gap == 0 ||
            !ps_cursor_signed(in, &steps->items[i].jump))
            return false;
        at += gap;
        steps->items[i].at = at;
    }
    return true;
}

/* times[1 ... count - 2] from `first` on. */
static bool take_line(struct ps_byte_cursor *in, enum shape shape, uint64_t first, uint64_t span,
                      size_t count, int64_t *times)
{
    struct steps steps;
    steps.count = 0; /* the items are thousands of bytes */
    if (!has_line(span) || (shape == SHAPE_STEPS && !take_steps(in, count, &steps)))
        return false;
    if (!has_line(span - steps_sum(&steps)))
        return false;
    if (shape == SHAPE_EXACT)
        memset(times, 0, count * sizeof *times);
    else if (!ps_int_column_take_plain(in, count - 2, times + 1))
        return false;
    struct line line = line_of(span - steps_sum(&steps), count);
    uint64_t offset = first;
    size_t from = 1;
    for (size_t i = 0; i <= steps.count; i++) {
        size_t to = i < steps.count ? steps.items[i].at : count - 1;
        line_add(&line, offset, from, to, times);
        from = to;
        offset += i < steps.count ? (uint64_t)steps.items[i].jump : 0;
    }
    return true;
}

static bool take_deltas(struct ps_byte_cursor *in, uint64_t first, size_t count, int64_t *times)
{
    if (!ps_int_column_take_plain(in, count - 2, times + 1))
        return false;
    for (size_t i = 1; i < count - 1; i++) {
        first += (uint64_t)times[i];
        times[i] = (int64_t)first;
    }
    return true;
}

/* Ascending, from first to last? */
PS_WIDE_LOOP
static bool ascends(const int64_t *times, size_t count)
{
    uint64_t first = (uint64_t)times[0], wrong = 0;
    if (minus(times[count - 1], times[0]) >> 63) {
        for (size_t i = 1; i < count; i++)
            wrong |= (uint64_t)(times[i - 1] >= times[i]) << 63;
    } else {
        /* Distances from the first are below 2^63, or it is wrong; of such numbers a < b is the
         * sign of b - a - 1, and without a comparison two go at a time. */
        for (size_t i = 1; i < count; i++)
            wrong |= ((uint64_t)times[i] - first) | (minus(times[i], times[i - 1]) - 1);
    }
    return wrong >> 63 == 0;
}

/* What stands between first and last. */
static bool take_middle(struct ps_byte_cursor *in, int64_t first_ms, int64_t last_ms, size_t count,
                        int64_t *times)
{
    uint8_t head;
    if (!ps_cursor_byte(in, &head))
        return false;
    bool seconds = head & WHOLE_SECONDS;
    uint64_t span = minus(last_ms, first_ms), first = seconds ? 0 : (uint64_t)first_ms;
    enum shape shape = head & ~WHOLE_SECONDS;
    if (shape > SHAPE_DELTAS || (seconds && span % SECOND_MS != 0))
        return false;
    if (seconds)
        span /= SECOND_MS;
    bool taken = shape == SHAPE_DELTAS ? take_deltas(in, first, count, times)
                                       : take_line(in, shape, first, span, count, times);
    for (size_t i = 1; seconds && taken && i < count - 1; i++) {
        taken = (uint64_t)times[i] <= span; /* else the product may wrap */
        times[i] = (int64_t)((uint64_t)first_ms + (uint64_t)times[i] * SECOND_MS);
    }
    return taken;
}

bool ps_chunk_times_take(struct ps_byte_cursor *in, int64_t first_ms, int64_t last_ms, size_t count,
                         int64_t *out)
{
    if (last_ms < first_ms || (count == 1 && last_ms > first_ms) ||
        (count > 2 && !take_middle(in, first_ms, last_ms, count, out)))
        return false;
    out[0] = first_ms;
    out[count - 1] = last_ms;
    if (count > PS_INT_FEW)
        return ascends(out, count);
    bool wrong = false;
    for (size_t i = 1; i < count; i++)
        wrong |= out[i - 1] >= out[i];
    return !wrong;
}
