#include "core/telemetry/bit_pack.h"

#include <string.h>

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

static uint8_t *pack_wide(uint8_t *at, const uint64_t *values, size_t count, unsigned width)
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
        return pack_wide(at, values, count, width);
    }
#undef NARROW
}

/* Eight values of `width` bits are `width` whole bytes. Called with constants, so that the loops
 * unroll and every shift is an immediate one. */
static inline __attribute__((always_inline)) void unpack_narrow(const uint8_t *from, size_t count,
                                                                const unsigned width, uint64_t *out)
{
    const uint64_t mask = (1ull << width) - 1;
    const unsigned each = width <= 8 ? 8 : 4; /* values that one load surely holds */
    for (size_t i = 0; i < count; i += PS_BIT_PACK_GROUP, from += width) {
        for (unsigned part = 0; part < PS_BIT_PACK_GROUP; part += each) {
            uint64_t word = load(from + part * width / 8) >> (part * width & 7);
            for (unsigned k = 0; k < each; k++)
                out[i + part + k] = word >> (k * width) & mask;
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
