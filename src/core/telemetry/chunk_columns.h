/* chunk_columns: the inside of a chunk, for what puts a head before it: chunk.c and block. */
#ifndef PS_CORE_TELEMETRY_CHUNK_COLUMNS_H
#define PS_CORE_TELEMETRY_CHUNK_COLUMNS_H

#include "core/telemetry/chunk.h"
#include "core/telemetry/chunk_times.h"
#include "core/telemetry/chunk_ttl.h"
#include "core/telemetry/chunk_values.h"

struct ps_chunk_encoder {
    int64_t times[PS_CHUNK_POINTS_MAX]; /* of the chunk being encoded */
    int64_t ttl_s[PS_CHUNK_POINTS_MAX];
    struct ps_chunk_times_scratch lines;
    struct ps_values_encoder values;
};

struct ps_chunk_scratch {
    int64_t times[PS_CHUNK_POINTS_MAX];
    int64_t numbers[PS_CHUNK_POINTS_MAX];
    uint32_t ttl_s[PS_CHUNK_POINTS_MAX];
    struct ps_values_decoder values;
};

/** Copy the times; asserts that there are 1 ... PS_CHUNK_POINTS_MAX, ascending.
 *  @param times  room for `count` */
void ps_chunk_note_times(const struct ps_point *points, size_t count, int64_t *times);

/** Times to live and values. Returns: PS_OK; PS_ENOMEM (`out` may hold half of them) */
PS_MUST_CHECK
enum ps_status ps_chunk_put_rest(struct ps_chunk_encoder *encoder, struct ps_buf *out,
                                 const struct ps_point *points, const uint32_t *ttl_s,
                                 const struct ps_ttl_span *span, size_t count);

/** Room for `count` points and the scratch; the points are empty afterwards. */
PS_MUST_CHECK
enum ps_status ps_chunk_points_prepare(struct ps_chunk_points *points, size_t count);

/** What ps_chunk_put_rest() wrote, up to the cursor's end, and `times`: makes out->count points. */
PS_MUST_CHECK
enum ps_status ps_chunk_take_rest(struct ps_byte_cursor *in, const int64_t *times,
                                  const struct ps_ttl_span *span, size_t count,
                                  struct ps_chunk_points *out);

#endif
