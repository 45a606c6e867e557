/* int_frame: the base and the width in which a miniblock of integers is written (int_column).
 *
 * All offsets from the least value in the width of the greatest is the plain choice. Where a few
 * values are far off, a narrower frame around the others is cheaper, and those few become
 * exceptions; the search for it is made only where it may pay. */
#ifndef PS_CORE_TELEMETRY_INT_FRAME_H
#define PS_CORE_TELEMETRY_INT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ps_int_frame {
    int64_t base;
    uint64_t range; /* greatest value - smallest */
    unsigned width;
    size_t bits;  /* what the miniblock takes in it */
    bool patched; /* some values do not fit */
};

/** a - b modulo 2^64. */
static inline int64_t ps_int_minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/** Every value an offset from the least, no exceptions; `count` >= 1. */
struct ps_int_frame ps_int_frame_of_all(const int64_t *values, size_t count);
/** The same of the differences values[i + 1] - values[i], `count` >= 1 of them, so of one value
 *  more. @param changes  grows by how many of them are not 0 */
struct ps_int_frame ps_int_frame_of_deltas(const int64_t *values, size_t count, size_t *changes);
/** Make the frame of all a cheaper one if there is one; if it is `patched`, its width is below
 *  64. */
void ps_int_frame_patch(const int64_t *values, size_t count, struct ps_int_frame *frame);

#endif
