/* chunk_times: the timestamps of a chunk.
 *
 * First, last and count stand outside (block directory, chunk head), so up to two points need no
 * byte at all. From three on, one byte tells the shape of those between:
 *     line     distances from the straight line between first and last: a steady clock with jitter
 *              on each reading
 *     steps    the same where readings are missing: the line jumps at a few places, which are
 *              listed; varint count, then per step varint points since the one before and zigzag
 *              varint milliseconds
 *     deltas   differences between neighbours: a clock that drifts, events
 *     exact    the line itself, nothing follows
 * and, as bit 7, whether all are whole seconds apart. Distances and differences are miniblocks
 * (int_column). */
#ifndef PS_CORE_TELEMETRY_CHUNK_TIMES_H
#define PS_CORE_TELEMETRY_CHUNK_TIMES_H

#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/int_column.h"

/* Room for the shapes that are tried. */
struct ps_chunk_times_scratch {
    int64_t seconds[PS_INT_COLUMN_MAX], distances[PS_INT_COLUMN_MAX], deltas[PS_INT_COLUMN_MAX];
};

/** Append the column of `count` >= 1 strictly ascending timestamps; ask ps_buf_ok(out). */
void ps_chunk_times_put(struct ps_buf *out, const int64_t *times, size_t count,
                        struct ps_chunk_times_scratch *scratch);

/**
 * Read a column back.
 *
 * @param out  room for `count` >= 1
 * Returns: false if the bytes are no such column, or its times would not ascend from first to last
 */
bool ps_chunk_times_take(struct ps_byte_cursor *in, int64_t first_ms, int64_t last_ms, size_t count,
                         int64_t *out);

#endif
