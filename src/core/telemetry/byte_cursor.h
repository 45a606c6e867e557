/* byte_cursor: reading bytes that nobody vouches for, and writing the same shapes.
 *
 * A cursor never passes its end: every take says whether there was enough. Varints are little
 * endian groups of seven bits; zigzag folds the sign into bit 0. For everything of telemetry that
 * is packed: journal, chunks, blocks. */
#ifndef PS_CORE_TELEMETRY_BYTE_CURSOR_H
#define PS_CORE_TELEMETRY_BYTE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum { PS_VARINT_BYTES_MAX = 10 };

struct ps_byte_cursor {
    const uint8_t *at, *end;
};

static inline uint64_t ps_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t ps_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static inline size_t ps_cursor_left(const struct ps_byte_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline bool ps_cursor_byte(struct ps_byte_cursor *cursor, uint8_t *out)
{
    if (cursor->at == cursor->end)
        return false;
    *out = *cursor->at++;
    return true;
}

/** A varint of any length, near the end or not; ps_cursor_varint() is for callers. */
bool ps_cursor_long_varint(struct ps_byte_cursor *cursor, uint64_t *out);

/* Nearly all have up to three bytes. A branch for each length: a processor guesses them well, as
 * what a caller takes at one place is much alike, and goes on behind the number before it knows it;
 * finding the end by arithmetic makes it wait (measured: a third slower). */
static inline bool ps_cursor_varint(struct ps_byte_cursor *cursor, uint64_t *out)
{
    const uint8_t *at = cursor->at;
    if (at < cursor->end && at[0] < 0x80) {
        *out = at[0];
        cursor->at = at + 1;
        return true;
    }
    if (cursor->end - at >= 2 && at[1] < 0x80) {
        *out = (at[0] & 0x7fu) | (uint32_t)at[1] << 7;
        cursor->at = at + 2;
        return true;
    }
    if (cursor->end - at >= 3 && at[2] < 0x80) {
        *out = (at[0] & 0x7fu) | (at[1] & 0x7fu) << 7 | (uint32_t)at[2] << 14;
        cursor->at = at + 3;
        return true;
    }
    return ps_cursor_long_varint(cursor, out);
}

/** A varint of at most `max`. */
static inline bool ps_cursor_count(struct ps_byte_cursor *cursor, size_t max, size_t *out)
{
    uint64_t value;
    if (!ps_cursor_varint(cursor, &value) || value > max)
        return false;
    *out = (size_t)value;
    return true;
}

static inline bool ps_cursor_signed(struct ps_byte_cursor *cursor, int64_t *out)
{
    uint64_t value;
    if (!ps_cursor_varint(cursor, &value))
        return false;
    *out = ps_unzigzag(value);
    return true;
}

/** `len` bytes, where they lie. */
static inline bool ps_cursor_bytes(struct ps_byte_cursor *cursor, size_t len, const uint8_t **out)
{
    if (ps_cursor_left(cursor) < len)
        return false;
    *out = cursor->at;
    cursor->at += len;
    return true;
}

/** ps_buf_reserve() for what nearly always has the room. */
static inline bool ps_bytes_reserve(struct ps_buf *out, size_t extra)
{
    return out->cap - out->len >= extra || ps_buf_reserve(out, extra);
}

/** Needs PS_VARINT_BYTES_MAX bytes at `at`; returns where the next byte goes. */
static inline uint8_t *ps_varint_write(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline void ps_varint_put(struct ps_buf *out, uint64_t value)
{
    if (!ps_bytes_reserve(out, PS_VARINT_BYTES_MAX))
        return;
    uint8_t *at = (uint8_t *)out->data + out->len;
    out->len += (size_t)(ps_varint_write(at, value) - at);
}

static inline unsigned ps_varint_size(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64; /* bits / 7, rounded up, for these */
}

#endif
