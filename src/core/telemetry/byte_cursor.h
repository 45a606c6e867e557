/* byte_cursor: reading bytes that nobody vouches for, and writing the same shapes.
 *
 * A cursor never passes its end: every take says whether there was enough. Varints are little
 * endian groups of seven bits; zigzag folds the sign into bit 0. */
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

static inline bool ps_cursor_varint(struct ps_byte_cursor *cursor, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; cursor->at < cursor->end && shift < 64; shift += 7) {
        uint8_t byte = *cursor->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
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
    if (!ps_buf_reserve(out, PS_VARINT_BYTES_MAX))
        return;
    uint8_t *at = (uint8_t *)out->data + out->len;
    out->len += (size_t)(ps_varint_write(at, value) - at);
}

static inline unsigned ps_varint_size(uint64_t value)
{
    return (unsigned)(70 - __builtin_clzll(value | 1)) / 7;
}

#endif
