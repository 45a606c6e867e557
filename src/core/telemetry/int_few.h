/* int_few: columns of a few integers, in int_column's format but without the search.
 *
 * With a million series a sealed chunk has one or two points and a once merged one eight to
 * sixteen; of such a column next to nothing is gained by thinking of runs and exceptions, and its
 * offsets mostly fit one machine word. Writing takes the cheaper of values and differences, in
 * registers; reading knows those that fit a word and leaves all others to int_column. */
#ifndef PS_CORE_TELEMETRY_INT_FEW_H
#define PS_CORE_TELEMETRY_INT_FEW_H

#include "core/telemetry/bit_pack.h"
#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/int_column.h"

enum {
    PS_INT_FEW = 16, /* values at most */
    /* shape, first value, width, base, offsets */
    PS_INT_FEW_BYTES_MAX = 2 + 2 * PS_VARINT_BYTES_MAX + PS_INT_FEW * 8 + PS_BIT_PACK_SLACK,
};

/* Two values and more: as ps_int_few_write(). */
uint8_t *ps_int_few_write_some(uint8_t *at, const int64_t *values, size_t count, bool wide);

/**
 * Write a column of 1 ... PS_INT_FEW values.
 *
 * @param at    room for PS_INT_FEW_BYTES_MAX
 * @param wide  write it even if runs or exceptions may take fewer bytes
 * Returns: where the next byte goes; NULL ps_int_column_put() should do it
 */
static inline uint8_t *ps_int_few_write(uint8_t *at, const int64_t *values, size_t count, bool wide)
{
    if (count > 1)
        return ps_int_few_write_some(at, values, count, wide);
    *at++ = PS_INT_CONSTANT;
    return ps_varint_write(at, ps_zigzag(values[0]));
}

/* A miniblock: offsets from the least value in the width of the greatest. */
struct ps_int_few_frame {
    int64_t base;
    unsigned width;
    unsigned bytes; /* all of it */
};

struct ps_int_few_frame ps_int_few_frame(const int64_t *values, size_t count);
/** Write one; the room is the same. */
uint8_t *ps_int_few_write_block(uint8_t *at, const int64_t *values, size_t count,
                                const struct ps_int_few_frame *frame);

/** Read a column of 1 ... PS_INT_FEW values. False: ps_int_column_take() may know; the cursor is
 *  where it was. */
bool ps_int_few_take(struct ps_byte_cursor *in, size_t count, int64_t *out);
/** One miniblock. False: as above. */
bool ps_int_few_take_block(struct ps_byte_cursor *in, size_t count, int64_t *out);

#endif
