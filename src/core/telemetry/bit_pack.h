/* bit_pack: numbers of one width laid end to end, least significant bit first.
 *
 * Value i takes the bits [i * width, (i + 1) * width) of the bytes read as one little endian
 * number. Pure; used by int_column, which chooses the widths. */
#ifndef PS_CORE_TELEMETRY_BIT_PACK_H
#define PS_CORE_TELEMETRY_BIT_PACK_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* Unpacking loads whole words of whole groups: so many bytes behind the packed ones must be
     * readable (one value of 16 bits: its group's other word ends 14 bytes behind it) ... */
    PS_BIT_PACK_SLACK = 16,
    /* ... and it writes whole groups of so many values. */
    PS_BIT_PACK_GROUP = 8,
};

static inline size_t ps_bit_pack_bytes(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/** Bits that `value` needs; 0 for 0. */
static inline unsigned ps_bit_width(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

/**
 * Pack `count` values, each < 2^width.
 *
 * @param at     room for ps_bit_pack_bytes() and PS_BIT_PACK_SLACK; the slack may be scribbled on
 * @param width  0 ... 64
 * Returns: the end of the packed bytes
 */
uint8_t *ps_bit_pack(uint8_t *at, const uint64_t *values, size_t count, unsigned width);

/** @param out  room for `count` rounded up to PS_BIT_PACK_GROUP; width 0 ... 64 */
void ps_bit_unpack(const uint8_t *from, size_t count, unsigned width, uint64_t *out);

#endif
