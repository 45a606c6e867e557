/* int_column: a column of 64-bit integers in few bytes, fast to read back.
 *
 * One byte says which of four shapes follows:
 *     constant   the value, zigzag varint
 *     plain      miniblocks of the values
 *     deltas     the first value, then miniblocks of the differences between neighbours
 *     runs       varint number of runs, then a column of their values and one of their lengths
 *
 * A miniblock holds up to 128 integers as offsets from a base in one bit width, so that reading is
 * a few instructions per value without a branch (frame of reference). A few values that would
 * widen all others are written apart (patched):
 *     u8      width 0 ... 64, + 128 if there are exceptions
 *     varint  zigzag(base)
 *     exceptions: u8 count, their positions, their zigzag varint offsets from base
 *     the offsets, bit_pack; those of exceptions are 0
 *
 * All arithmetic is modulo 2^64: every int64 sequence goes in and comes out. The ideas are those of
 * PFOR (Zukowski, Heman, Nes, Boncz: Super-Scalar RAM-CPU Cache Compression, 2006). */
#ifndef PS_CORE_TELEMETRY_INT_COLUMN_H
#define PS_CORE_TELEMETRY_INT_COLUMN_H

#include "core/telemetry/byte_cursor.h"

enum {
    PS_INT_COLUMN_MAX = 4096,
    PS_INT_COLUMN_RUNS_MAX = PS_INT_COLUMN_MAX / 2,
};

/* The byte in front. */
enum ps_int_shape {
    PS_INT_CONSTANT,
    PS_INT_PLAIN,
    PS_INT_DELTAS,
    PS_INT_RUNS,
};

/* Room for runs, of either direction. */
struct ps_int_column_scratch {
    int64_t values[PS_INT_COLUMN_RUNS_MAX], lengths[PS_INT_COLUMN_RUNS_MAX];
};

/** Append a column of `count` 0 ... PS_INT_COLUMN_MAX values (of none: nothing); ask
 *  ps_buf_ok(out) afterwards. */
void ps_int_column_put(struct ps_buf *out, const int64_t *values, size_t count,
                       struct ps_int_column_scratch *scratch);

/** Read a column of exactly `count` values. False: the bytes are no such column. */
bool ps_int_column_take(struct ps_byte_cursor *in, size_t count, int64_t *out,
                        struct ps_int_column_scratch *scratch);

/** Miniblocks only, without the byte in front: for callers that know the shape. */
void ps_int_column_put_plain(struct ps_buf *out, const int64_t *values, size_t count);
bool ps_int_column_take_plain(struct ps_byte_cursor *in, size_t count, int64_t *out);

/** About how many bits plain miniblocks of these values take; for choosing between shapes.
 *  @param outliers  exceptions are thought of: slower, but right where a few values are far off */
size_t ps_int_column_plain_bits(const int64_t *values, size_t count, bool outliers);

#endif
