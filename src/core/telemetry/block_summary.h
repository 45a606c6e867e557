/* block_summary: minimum, maximum and sum of a chunk of numbers, in a few bytes.
 *
 *     u8  form: 0 longs, 1 + places decimals, 32 doubles; + 64 if a point is a DOUBLE
 *     longs, decimals: zigzag varint min, varint max - min, zigzag varint sum - count * min, of the
 *              integers or mantissas. Decimals: value = integer / 10^places, the sum too
 *     doubles: min, max, sum, 8 bytes each */
#ifndef PS_CORE_TELEMETRY_BLOCK_SUMMARY_H
#define PS_CORE_TELEMETRY_BLOCK_SUMMARY_H

#include "core/telemetry/block.h"
#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/chunk_values.h"

/**
 * Append the summary of a chunk whose values were just encoded. Nothing is appended if it has none:
 * too small, not all numbers, NaN, a sum of longs or a long that no double holds exactly.
 */
void ps_block_summary_put(struct ps_buf *out, const struct ps_values_encoder *encoded,
                          const struct ps_point *points, size_t count);

/** False: the bytes are no summary. */
bool ps_block_summary_take(struct ps_byte_cursor *in, size_t count, struct ps_chunk_summary *out);

#endif
