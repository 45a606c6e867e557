#include "core/telemetry/int_few.h"

#include <string.h>

#include "core/telemetry/int_frame.h"

enum {
    WORD_BITS = 64,
    WIDTH_MAX = 16, /* beyond it, runs or exceptions are worth a thought */
};

static struct ps_int_few_frame frame_of(int64_t min, int64_t max, size_t count)
{
    unsigned width = ps_bit_width((uint64_t)ps_int_minus(max, min));
    unsigned bytes = 1 + ps_varint_size(ps_zigzag(min)) + (unsigned)ps_bit_pack_bytes(count, width);
    return (struct ps_int_few_frame){ .base = min, .width = width, .bytes = bytes };
}

struct ps_int_few_frame ps_int_few_frame(const int64_t *values, size_t count)
{
    int64_t min = values[0], max = min;
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    return frame_of(min, max, count);
}

uint8_t *ps_int_few_write_block(uint8_t *at, const int64_t *values, size_t count,
                                const struct ps_int_few_frame *frame)
{
    unsigned width = frame->width;
    *at++ = (uint8_t)width;
    at = ps_varint_write(at, ps_zigzag(frame->base));
    if (count * width > WORD_BITS) {
        uint64_t offsets[PS_INT_FEW];
        for (size_t i = 0; i < count; i++)
            offsets[i] = (uint64_t)ps_int_minus(values[i], frame->base);
        return ps_bit_pack(at, offsets, count, width);
    }
    uint64_t word = 0;
    for (size_t i = count; i-- > 0;) /* one value alone has no width */
        word = word << width | (uint64_t)ps_int_minus(values[i], frame->base);
    memcpy(at, &word, sizeof word);
    return at + ps_bit_pack_bytes(count, width);
}

static bool few_runs(const int64_t *deltas, size_t count)
{
    size_t runs = 1;
    for (size_t i = 0; i < count; i++)
        runs += deltas[i] != 0;
    return runs * 2 <= count;
}

uint8_t *ps_int_few_write_some(uint8_t *at, const int64_t *values, size_t count, bool wide)
{
    int64_t first = values[0], min = first, max = first, before = first;
    int64_t deltas[PS_INT_FEW], least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 1; i < count; i++) {
        int64_t value = values[i], delta = ps_int_minus(value, before);
        before = value;
        deltas[i - 1] = delta;
        min = value < min ? value : min;
        max = value > max ? value : max;
        least = delta < least ? delta : least;
        most = delta > most ? delta : most;
    }
    if (min == max) {
        *at++ = PS_INT_CONSTANT;
        return ps_varint_write(at, ps_zigzag(first));
    }
    struct ps_int_few_frame plain = frame_of(min, max, count);
    struct ps_int_few_frame steps = frame_of(least, most, count - 1);
    bool as_deltas = ps_varint_size(ps_zigzag(first)) + steps.bytes < plain.bytes;
    if ((as_deltas ? steps.width : plain.width) > WIDTH_MAX &&
        (!wide || few_runs(deltas, count - 1)))
        return NULL;
    *at++ = as_deltas ? PS_INT_DELTAS : PS_INT_PLAIN;
    if (!as_deltas)
        return ps_int_few_write_block(at, values, count, &plain);
    at = ps_varint_write(at, ps_zigzag(first));
    return ps_int_few_write_block(at, deltas, count - 1, &steps);
}

/* `len` <= 8 bytes as a number; nothing behind them is touched. */
static inline uint64_t load_bytes(const uint8_t *from, size_t len)
{
    uint64_t word = 0;
    if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, from, sizeof low);
        memcpy(&high, from + len - 4, sizeof high);
        return low | (uint64_t)high << (len * 8 - 32);
    }
    for (size_t i = len; i-- > 0;)
        word = word << 8 | from[i];
    return word;
}

static inline bool take_block(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    uint8_t width;
    int64_t base;
    const uint8_t *packed;
    if (!ps_cursor_byte(in, &width) || width * count > WORD_BITS || !ps_cursor_signed(in, &base) ||
        !ps_cursor_bytes(in, ps_bit_pack_bytes(count, width), &packed))
        return false;
    if (width == WORD_BITS)
        return false; /* not written here */
    uint64_t word = load_bytes(packed, ps_bit_pack_bytes(count, width));
    uint64_t mask = (1ull << width) - 1;
    for (size_t i = 0; i < count; i++) {
        out[i] = (int64_t)((uint64_t)base + (word & mask));
        word >>= width;
    }
    return true;
}

static inline bool take_constant(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    if (!ps_cursor_signed(in, out))
        return false;
    for (size_t i = 1; i < count; i++)
        out[i] = out[0];
    return true;
}

static inline bool take_deltas(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    if (!ps_cursor_signed(in, out) || !take_block(in, count - 1, out + 1))
        return false;
    for (size_t i = 1; i < count; i++)
        out[i] = (int64_t)((uint64_t)out[i] + (uint64_t)out[i - 1]);
    return true;
}

static inline bool take(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    uint8_t shape;
    if (!ps_cursor_byte(in, &shape))
        return false;
    switch (shape) {
    case PS_INT_CONSTANT:
        return take_constant(in, count, out);
    case PS_INT_PLAIN:
        return take_block(in, count, out);
    case PS_INT_DELTAS:
        return count > 1 && take_deltas(in, count, out);
    default:
        return false;
    }
}

bool ps_int_few_take_block(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    const uint8_t *start = in->at;
    bool taken = take_block(in, count, out);
    if (!taken)
        in->at = start;
    return taken;
}

bool ps_int_few_take(struct ps_byte_cursor *in, size_t count, int64_t *out)
{
    const uint8_t *start = in->at;
    bool taken = take(in, count, out);
    if (!taken)
        in->at = start;
    return taken;
}
