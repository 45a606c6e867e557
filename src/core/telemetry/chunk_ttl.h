/* chunk_ttl: explicit times to live of a chunk's points.
 *
 * Most chunks have none. Where there are some, their least and greatest and whether a point is
 * without stand in the directory, and only if they differ a column follows (int_column; 0 = none).
 */
#ifndef PS_CORE_TELEMETRY_CHUNK_TTL_H
#define PS_CORE_TELEMETRY_CHUNK_TTL_H

#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/int_column.h"

struct ps_ttl_span {
    uint32_t min_s, max_s; /* of the explicit ones; 0, 0 = there is none */
    bool has_default;
};

enum { PS_TTL_SPAN_BYTES_MAX = 5 + 5 };

/** @param ttl_s  NULL = none explicit */
struct ps_ttl_span ps_ttl_span_of(const uint32_t *ttl_s, size_t count);

/** The span; only for one with max_s > 0. */
void ps_ttl_span_put(struct ps_buf *out, const struct ps_ttl_span *span);
/** The same into room for PS_TTL_SPAN_BYTES_MAX; returns where the next byte goes. */
uint8_t *ps_ttl_span_write(uint8_t *at, const struct ps_ttl_span *span);
bool ps_ttl_span_take(struct ps_byte_cursor *in, struct ps_ttl_span *span);

/** The column, if the span needs one. @param room  for `count` */
void ps_ttl_column_put(struct ps_buf *out, const struct ps_ttl_span *span, const uint32_t *ttl_s,
                       size_t count, int64_t *room, struct ps_int_column_scratch *scratch);
/** False: not a column of that span. @param room  for `count` */
bool ps_ttl_column_take(struct ps_byte_cursor *in, const struct ps_ttl_span *span, size_t count,
                        uint32_t *out, int64_t *room, struct ps_int_column_scratch *scratch);

#endif
