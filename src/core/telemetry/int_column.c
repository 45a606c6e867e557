#include "core/telemetry/int_column.h"

#include "core/telemetry/bit_pack.h"
#include "core/telemetry/int_few.h"
#include "core/telemetry/int_frame.h"
#include "core/telemetry/wide_loop.h"

enum {
    MINIBLOCK = 128,
    MINIBLOCKS_MAX = PS_INT_COLUMN_MAX / MINIBLOCK,
    EXCEPTIONS = 0x80, /* bit of the width byte */
    HEAD_BYTES_MAX = 1 + PS_VARINT_BYTES_MAX + 1,
    EXCEPTION_BYTES_MAX = 1 + PS_VARINT_BYTES_MAX,
};

/* Offsets of the values; returns how many are exceptions, with their positions. */
PS_WIDE_LOOP
static size_t offsets_of(const int64_t *values, size_t count, const struct ps_int_frame *frame,
                         uint64_t offsets[MINIBLOCK], uint8_t positions[MINIBLOCK])
{
    size_t exceptions = 0;
    for (size_t i = 0; i < count; i++)
        offsets[i] = (uint64_t)ps_int_minus(values[i], frame->base);
    for (size_t i = 0; frame->patched && i < count; i++) {
        positions[exceptions] = (uint8_t)i;
        exceptions += offsets[i] >> frame->width > 0; /* patched: the width is below 64 */
    }
    return exceptions;
}

static uint8_t *write_exceptions(uint8_t *at, uint64_t *offsets, const uint8_t *positions,
                                 size_t exceptions)
{
    *at++ = (uint8_t)exceptions;
    memcpy(at, positions, exceptions);
    at += exceptions;
    for (size_t i = 0; i < exceptions; i++) {
        at = ps_varint_write(at, ps_zigzag((int64_t)offsets[positions[i]]));
        offsets[positions[i]] = 0;
    }
    return at;
}

/* @param frame  that of all values, or a cheaper one */
static void put_miniblock(struct ps_buf *out, const int64_t *values, size_t count,
                          struct ps_int_frame frame)
{
    if (!ps_bytes_reserve(out, HEAD_BYTES_MAX + MINIBLOCK * EXCEPTION_BYTES_MAX +
                                   MINIBLOCK * sizeof *values + PS_BIT_PACK_SLACK))
        return;
    uint64_t offsets[MINIBLOCK];
    uint8_t positions[MINIBLOCK];
    size_t exceptions = offsets_of(values, count, &frame, offsets, positions);
    uint8_t *start = (uint8_t *)out->data + out->len, *at = start;
    *at++ = (uint8_t)(frame.width | (exceptions ? EXCEPTIONS : 0));
    at = ps_varint_write(at, ps_zigzag(frame.base));
    if (exceptions)
        at = write_exceptions(at, offsets, positions, exceptions);
    at = ps_bit_pack(at, offsets, count, frame.width);
    out->len += (size_t)(at - start);
}

static size_t some_of(size_t count, size_t from)
{
    return count - from < MINIBLOCK ? count - from : MINIBLOCK;
}

void ps_int_column_put_plain(struct ps_buf *out, const int64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i += MINIBLOCK) {
        size_t some = some_of(count, i);
        struct ps_int_frame frame = ps_int_frame_of_all(values + i, some);
        ps_int_frame_patch(values + i, some, &frame);
        put_miniblock(out, values + i, some, frame);
    }
}

size_t ps_int_column_plain_bits(const int64_t *values, size_t count, bool outliers)
{
    size_t bits = 0;
    for (size_t i = 0; i < count; i += MINIBLOCK) {
        size_t some = some_of(count, i);
        struct ps_int_frame frame = ps_int_frame_of_all(values + i, some);
        if (outliers)
            ps_int_frame_patch(values + i, some, &frame);
        bits += 8 + 8 * ps_varint_size(ps_zigzag(frame.base)) + (frame.bits + 7) / 8 * 8;
    }
    return bits;
}

static size_t put_shaped(struct ps_buf *out, const int64_t *values, size_t count);

static void put_runs(struct ps_buf *out, const int64_t *values, size_t count, size_t runs,
                     struct ps_int_column_scratch *scratch)
{
    size_t run = 0, start = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && values[i] == values[start])
            continue;
        scratch->values[run] = values[start];
        scratch->lengths[run++] = (int64_t)(i - start);
        start = i;
    }
    ps_buf_put_char(out, PS_INT_RUNS);
    ps_varint_put(out, runs);
    put_shaped(out, scratch->values, runs);
    put_shaped(out, scratch->lengths, runs);
}

/* What the two shapes of miniblocks take, as if there were no exceptions. */
struct frames {
    struct ps_int_frame plain[MINIBLOCKS_MAX], deltas[MINIBLOCKS_MAX];
    size_t plain_bits, delta_bits; /* about */
    size_t runs;
};

static void measure(const int64_t *values, size_t count, struct frames *out)
{
    out->plain_bits = 0;
    out->delta_bits = 8 * ps_varint_size(ps_zigzag(values[0]));
    out->runs = 1;
    for (size_t i = 0, block = 0; i < count; i += MINIBLOCK, block++) {
        struct ps_int_frame *plain = &out->plain[block], *deltas = &out->deltas[block];
        *plain = ps_int_frame_of_all(values + i, some_of(count, i));
        out->plain_bits += 8 * ps_varint_size(ps_zigzag(plain->base)) + plain->bits;
        if (i + 1 == count)
            break;
        *deltas = ps_int_frame_of_deltas(values + i, some_of(count - 1, i), &out->runs);
        out->delta_bits += 8 * ps_varint_size(ps_zigzag(deltas->base)) + deltas->bits;
    }
}

static void put_plain(struct ps_buf *out, const int64_t *values, size_t count,
                      struct ps_int_frame *frames)
{
    ps_buf_put_char(out, PS_INT_PLAIN);
    for (size_t i = 0; i < count; i += MINIBLOCK, frames++) {
        ps_int_frame_patch(values + i, some_of(count, i), frames);
        put_miniblock(out, values + i, some_of(count, i), *frames);
    }
}

static void put_deltas(struct ps_buf *out, const int64_t *values, size_t count,
                       struct ps_int_frame *frames)
{
    int64_t deltas[MINIBLOCK];
    ps_buf_put_char(out, PS_INT_DELTAS);
    ps_varint_put(out, ps_zigzag(values[0]));
    for (size_t i = 1; i < count; i += MINIBLOCK, frames++) {
        size_t some = some_of(count, i);
        for (size_t k = 0; k < some; k++)
            deltas[k] = ps_int_minus(values[i + k], values[i + k - 1]);
        ps_int_frame_patch(deltas, some, frames);
        put_miniblock(out, deltas, some, *frames);
    }
}

/* Any shape but runs; returns how many runs there are. */
static size_t put_shaped(struct ps_buf *out, const int64_t *values, size_t count)
{
    struct frames frames;
    measure(values, count, &frames);
    if (frames.runs == 1) {
        ps_buf_put_char(out, PS_INT_CONSTANT);
        ps_varint_put(out, ps_zigzag(values[0]));
    } else if (frames.delta_bits < frames.plain_bits) {
        put_deltas(out, values, count, frames.deltas);
    } else {
        put_plain(out, values, count, frames.plain);
    }
    return frames.runs;
}

/* A run takes about the bits of a value as they are now, and at least one more for its length. */
static bool runs_may_pay(size_t runs, size_t count, size_t shaped_bits)
{
    return runs > 1 && runs <= PS_INT_COLUMN_RUNS_MAX &&
           runs * (shaped_bits + count) < count * shaped_bits;
}

void ps_int_column_put(struct ps_buf *out, const int64_t *values, size_t count,
                       struct ps_int_column_scratch *scratch)
{
    if (count == 0)
        return;
    size_t start = out->len, runs = put_shaped(out, values, count), shaped = out->len - start;
    if (!ps_buf_ok(out) || !runs_may_pay(runs, count, shaped * 8))
        return;
    put_runs(out, values, count, runs, scratch);
    size_t as_runs = out->len - start - shaped;
    if (as_runs < shaped && ps_buf_ok(out)) {
        memmove(out->data + start, out->data + start + shaped, as_runs);
        out->len = start + as_runs;
    } else {
        out->len = start + shaped;
    }
}

static bool take_exceptions(struct ps_byte_cursor *in, size_t count, size_t exceptions,
                            const uint8_t *positions, int64_t *offsets)
{
    for (size_t i = 0; i < exceptions; i++) {
        if (positions[i] >= count || !ps_cursor_signed(in, &offsets[i]))
            return false;
    }
    return true;
}

/* Unpacking loads words beyond the packed bytes; at the end of what may be read it works on a copy.
 */
static void unpack(const struct ps_byte_cursor *rest, const uint8_t *packed, size_t len,
                   size_t count, unsigned width, uint64_t *out)
{
    uint8_t copy[MINIBLOCK * sizeof *out + PS_BIT_PACK_SLACK];
    if (ps_cursor_left(rest) < PS_BIT_PACK_SLACK) {
        memcpy(copy, packed, len);
        memset(copy + len, 0, PS_BIT_PACK_SLACK);
        packed = copy;
    }
    ps_bit_unpack(packed, count, width, out);
}

/* The offsets of a miniblock, exceptions in place, and their base. */
static bool take_miniblock(struct ps_byte_cursor *in, size_t count, int64_t *base,
                           uint64_t offsets[MINIBLOCK])
{
    uint8_t head, exceptions = 0;
    const uint8_t *positions = NULL, *packed;
    int64_t apart[MINIBLOCK];
    if (!ps_cursor_byte(in, &head) || !ps_cursor_signed(in, base))
        return false;
    unsigned width = head & ~EXCEPTIONS;
    if (width > 64)
        return false;
    if (head & EXCEPTIONS) {
        if (!ps_cursor_byte(in, &exceptions) || exceptions > count ||
            !ps_cursor_bytes(in, exceptions, &positions) ||
            !take_exceptions(in, count, exceptions, positions, apart))
            return false;
    }
    size_t len = ps_bit_pack_bytes(count, width);
    if (!ps_cursor_bytes(in, len, &packed))
        return false;
    unpack(in, packed, len, count, width, offsets);
    for (size_t i = 0; i < exceptions; i++)
        offsets[positions[i]] = (uint64_t)apart[i];
    return true;
}

PS_WIDE_LOOP
static void add_base(const uint64_t *offsets, size_t count, uint64_t base, int64_t *out)
{
    for (size_t k = 0; k < count; k++)
        out[k] = (int64_t)(base + offsets[k]);
}

bool ps_int_column_take_plain(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    uint64_t offsets[MINIBLOCK];
    if (count <= PS_INT_FEW && ps_int_few_take_block(in, count, out))
        return true;
    for (size_t i = 0; i < count; i += MINIBLOCK) {
        size_t some = some_of(count, i);
        int64_t base;
        if (!take_miniblock(in, some, &base, offsets))
            return false;
        add_base(offsets, some, (uint64_t)base, out + i);
    }
    return true;
}

/* out[k] = value + the first k + 1 differences; returns the last. Four at a time by hand: compilers
 * leave loops alone that carry something on. */
static uint64_t add_up(const uint64_t *offsets, size_t count, uint64_t base, uint64_t value,
                       int64_t *out)
{
    size_t k = 0;
    for (; k + 4 <= count; k += 4) {
        out[k] = (int64_t)(value += base + offsets[k]);
        out[k + 1] = (int64_t)(value += base + offsets[k + 1]);
        out[k + 2] = (int64_t)(value += base + offsets[k + 2]);
        out[k + 3] = (int64_t)(value += base + offsets[k + 3]);
    }
    for (; k < count; k++)
        out[k] = (int64_t)(value += base + offsets[k]);
    return value;
}

static bool take_deltas(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    uint64_t offsets[MINIBLOCK];
    if (!ps_cursor_signed(in, &out[0]))
        return false;
    uint64_t value = (uint64_t)out[0];
    for (size_t i = 1; i < count; i += MINIBLOCK) {
        size_t some = some_of(count, i);
        int64_t base;
        if (!take_miniblock(in, some, &base, offsets))
            return false;
        value = add_up(offsets, some, (uint64_t)base, value, out + i);
    }
    return true;
}

static bool take_constant(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    int64_t value;
    if (!ps_cursor_signed(in, &value))
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = value;
    return true;
}

/* Any shape but runs: runs do not nest. */
static bool take_simple(struct ps_byte_cursor *in, uint8_t shape, size_t count, int64_t *out)
{
    switch (shape) {
    case PS_INT_CONSTANT:
        return take_constant(in, count, out);
    case PS_INT_PLAIN:
        return ps_int_column_take_plain(in, count, out);
    case PS_INT_DELTAS:
        return take_deltas(in, count, out);
    default:
        return false;
    }
}

static bool take_runs(struct ps_byte_cursor *in, size_t count, int64_t *out,
                      struct ps_int_column_scratch *scratch)
{
    size_t runs, at = 0;
    uint8_t shape;
    if (!ps_cursor_count(in, PS_INT_COLUMN_RUNS_MAX, &runs) || runs == 0)
        return false;
    if (!ps_cursor_byte(in, &shape) || !take_simple(in, shape, runs, scratch->values))
        return false;
    if (!ps_cursor_byte(in, &shape) || !take_simple(in, shape, runs, scratch->lengths))
        return false;
    for (size_t run = 0; run < runs; run++) {
        if (scratch->lengths[run] < 1 || (uint64_t)scratch->lengths[run] > count - at)
            return false;
        for (int64_t left = scratch->lengths[run]; left > 0; left--)
            out[at++] = scratch->values[run];
    }
    return at == count;
}

bool ps_int_column_take(struct ps_byte_cursor *in, size_t count, int64_t *out,
                        struct ps_int_column_scratch *scratch)
{
    uint8_t shape;
    if (count == 0)
        return true;
    if (!ps_cursor_byte(in, &shape))
        return false;
    if (shape == PS_INT_RUNS)
        return take_runs(in, count, out, scratch);
    return take_simple(in, shape, count, out);
}
