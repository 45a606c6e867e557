/* chunk_few: the values of a chunk of a few points, without the machinery of columns.
 *
 * The bytes are those of chunk_values.h; what is left out is the search for the smallest ones,
 * which for one to eight points costs ten times what it finds, and scratch of thousands of
 * elements. What is rare (points of several types, doubles of which only some are decimals, texts
 * worth compressing) is left to the general way. */
#ifndef PS_CORE_TELEMETRY_CHUNK_FEW_H
#define PS_CORE_TELEMETRY_CHUNK_FEW_H

#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/int_few.h"
#include "core/telemetry/point.h"

enum { PS_FEW_POINTS = PS_INT_FEW };

/**
 * Append the column of 1 ... PS_FEW_POINTS values; ask ps_buf_ok(out).
 *
 * @param places  decimal places of the chunk before, a guess at those of this one; updated
 * Returns: false if the general way is due; nothing is appended
 */
bool ps_few_values_put(unsigned *places, struct ps_buf *out, const struct ps_point *points,
                       size_t count);

/** Make 1 ... PS_FEW_POINTS points of the times and the column. False: the general way is due,
 *  which may find the bytes wrong; the cursor is where it was. */
bool ps_few_values_take(struct ps_byte_cursor *in, const int64_t *times, size_t count,
                        struct ps_point *points);

#endif
