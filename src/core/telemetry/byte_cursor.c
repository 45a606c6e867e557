#include "core/telemetry/byte_cursor.h"

bool ps_cursor_long_varint(struct ps_byte_cursor *cursor, uint64_t *out)
{
    const uint8_t *at = cursor->at;
    uint64_t value = 0;
    for (unsigned shift = 0; at < cursor->end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            cursor->at = at;
            *out = value;
            return true;
        }
    }
    return false;
}
