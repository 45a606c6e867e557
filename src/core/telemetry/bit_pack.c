#include "core/telemetry/bit_pack.h"

#include <string.h>

#include "core/telemetry/wide_loop.h"

static inline uint64_t load(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static inline void store(uint8_t *at, uint64_t word)
{
    memcpy(at, &word, sizeof word);
}

/* What is not a whole byte yet is carried on in a word: up to 7 bits of it, so that values of up to
 * 56 always fit behind. */
static uint8_t *pack_wide(uint8_t *at, const uint64_t *values, size_t count, unsigned width)
{
    uint64_t word = 0;
    unsigned fill = 0;
    uint8_t *end = at + ps_bit_pack_bytes(count, width);
    for (size_t i = 0; i < count; i++) {
        word |= values[i] << fill;
        fill += width;
        store(at, word);
        at += fill / 8;
        word >>= fill & ~7u;
        fill &= 7;
    }
    store(at, word);
    return end;
}

static uint8_t *pack_widest(uint8_t *at, const uint64_t *values, size_t count, unsigned width)
{
    uint64_t word = 0;
    unsigned fill = 0;
    uint8_t *end = at + ps_bit_pack_bytes(count, width);
    for (size_t i = 0; i < count; i++) {
        word |= values[i] << fill;
        fill += width;
        if (fill >= 64) {
            store(at, word);
            at += sizeof word;
            fill -= 64;
            word = fill ? values[i] >> (width - fill) : 0;
        }
    }
    store(at, word);
    return end;
}

/* Eight values of up to eight bits are one word, of which `width` bytes count; the next group
 * overwrites the others. Called with constants, so that every shift is an immediate one. */
static inline __attribute__((always_inline)) uint8_t *
pack_narrow(uint8_t *at, const uint64_t *values, size_t count, const unsigned width)
{
    uint8_t *end = at + ps_bit_pack_bytes(count, width);
    size_t i = 0;
    for (; i + PS_BIT_PACK_GROUP <= count; i += PS_BIT_PACK_GROUP, at += width) {
        uint64_t word = 0;
        for (unsigned k = 0; k < PS_BIT_PACK_GROUP; k++)
            word |= values[i + k] << (k * width);
        store(at, word);
    }
    uint64_t word = 0;
    for (unsigned k = 0; i + k < count; k++)
        word |= values[i + k] << (k * width);
    store(at, word);
    return end;
}

PS_WIDE_LOOP
uint8_t *ps_bit_pack(uint8_t *at, const uint64_t *values, size_t count, unsigned width)
{
#define NARROW(width)                                                                              \
    case width:                                                                                    \
        return pack_narrow(at, values, count, width)
    switch (width) {
    case 0:
        return at;
        NARROW(1);
        NARROW(2);
        NARROW(3);
        NARROW(4);
        NARROW(5);
        NARROW(6);
        NARROW(7);
        NARROW(8);
    default:
        return width <= 56 ? pack_wide(at, values, count, width)
                           : pack_widest(at, values, count, width);
    }
#undef NARROW
}

/* Four numbers that the wide form of a loop handles at once; the compiler does without if it must.
 */
typedef uint64_t four __attribute__((vector_size(32)));

/* Eight values of `width` bits are `width` whole bytes, and one load surely holds four of up to 16.
 * Called with constants, so that the loops unroll and shifts are known. */
static inline __attribute__((always_inline)) void unpack_narrow(const uint8_t *from, size_t count,
                                                                const unsigned width, uint64_t *out)
{
    const four shifts = { 0, width, 2 * width, 3 * width };
    const uint64_t mask = (1ull << width) - 1;
    for (size_t i = 0; i < count; i += PS_BIT_PACK_GROUP, from += width) {
        for (unsigned part = 0; part < PS_BIT_PACK_GROUP; part += 4) {
            uint64_t word = load(from + part * width / 8) >> (part * width & 7);
            four values = ((four){ word, word, word, word } >> shifts) & mask;
            memcpy(out + i + part, &values, sizeof values);
        }
    }
}

static void unpack_wide(const uint8_t *from, size_t count, unsigned width, uint64_t *out)
{
    const uint64_t mask = (1ull << width) - 1;
    for (size_t i = 0, bit = 0; i < count; i++, bit += width)
        out[i] = load(from + bit / 8) >> (bit & 7) & mask;
}

static void unpack_widest(const uint8_t *from, size_t count, unsigned width, uint64_t *out)
{
    const uint64_t mask = ~0ull >> (64 - width);
    for (size_t i = 0, bit = 0; i < count; i++, bit += width) {
        uint64_t low = load(from + bit / 8) >> (bit & 7);
        uint64_t high = (uint64_t)from[bit / 8 + 8] << 1 << (63 - (bit & 7));
        out[i] = (low | high) & mask;
    }
}

PS_WIDE_LOOP
void ps_bit_unpack(const uint8_t *from, size_t count, unsigned width, uint64_t *out)
{
#define NARROW(width)                                                                              \
    case width:                                                                                    \
        unpack_narrow(from, count, width, out);                                                    \
        return
    switch (width) {
    case 0:
        memset(out, 0, count * sizeof *out);
        return;
        NARROW(1);
        NARROW(2);
        NARROW(3);
        NARROW(4);
        NARROW(5);
        NARROW(6);
        NARROW(7);
        NARROW(8);
        NARROW(9);
        NARROW(10);
        NARROW(11);
        NARROW(12);
        NARROW(13);
        NARROW(14);
        NARROW(15);
        NARROW(16);
    default:
        if (width <= 57)
            unpack_wide(from, count, width, out);
        else
            unpack_widest(from, count, width, out);
    }
#undef NARROW
}
