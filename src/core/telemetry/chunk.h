/* chunk: points of one series as a few packed columns, and back, bit for bit.
 *
 * A chunk is what history is made of: up to PS_CHUNK_POINTS_MAX points with strictly ascending
 * timestamps. Its columns are written one after another, each in the shape that makes it smallest:
 * times as distances from a straight line or as deltas (chunk_times), whole numbers and short
 * decimals as packed deltas, other doubles as packed bits, booleans as bits or runs, texts as a
 * dictionary (chunk_values), explicit times to live as runs. How the packing works is told in
 * int_column.h; chunks of up to sixteen points, the first of every series, have a short way to the
 * same bytes (chunk_few).
 *
 * Pure: no I/O, no clock, the same points always make the same bytes. The decoder trusts no byte:
 * counts, widths, lengths and indexes are checked, it reads and writes nothing outside, and what it
 * allocates is bounded by PS_CHUNK_POINTS_MAX and PS_CHUNK_TEXT_BYTES_MAX. Damage that still makes
 * a possible chunk is the checksum's business (block.h).
 *
 * Who stores points uses block.h; the functions on a single chunk are for what has one chunk only.
 */
#ifndef PS_CORE_TELEMETRY_CHUNK_H
#define PS_CORE_TELEMETRY_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"
#include "core/telemetry/point.h"

enum {
    PS_CHUNK_POINTS_MAX = 4096,
    /* Distinct texts of a chunk beyond this are stored as they are, not compressed: so a decoder
     * never makes more than this out of fewer bytes. */
    PS_CHUNK_TEXT_BYTES_MAX = 1 << 20,
};

struct ps_chunk_scratch; /* inside chunk.c */

/* The decoded form of a chunk, reused from one decode to the next. Zeroed = empty. */
struct ps_chunk_points {
    size_t count, cap;
    struct ps_point *points; /* owned; ascending ts_ms. Texts are borrowed: they lie in the decoded
                                bytes or in this struct, and are gone with either, and with the
                                next decode into it */
    uint32_t *ttl_s; /* NULL: no point has its own; else `count` seconds, 0 = default. Owned */
    struct ps_chunk_scratch *scratch; /* owned; private to the decoder */
};

void ps_chunk_points_deinit(struct ps_chunk_points *points);

/* Scratch of encoding (about 300 KB), reused from chunk to chunk; one thread at a time. */
struct ps_chunk_encoder;

PS_MUST_CHECK
enum ps_status ps_chunk_encoder_create(struct ps_chunk_encoder **out);
void ps_chunk_encoder_destroy(struct ps_chunk_encoder *encoder);

/**
 * Append one chunk to `out`.
 *
 * @param points  1 ... PS_CHUNK_POINTS_MAX of them, strictly ascending ts_ms, no PS_VALUE_NULL;
 *                anything else is the caller's bug (PS_ASSERT). Borrowed for the call
 * @param ttl_s   explicit time to live of each point, 0 = default; NULL = all default
 * @param out     what is there stays; on failure it is as before
 *
 * Returns: PS_OK; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_chunk_encode(struct ps_chunk_encoder *encoder, const struct ps_point *points,
                               const uint32_t *ttl_s, size_t count, struct ps_buf *out);

/**
 * Decode the chunk that fills `bytes` exactly.
 *
 * @param bytes  borrowed as long as texts of `out` are used
 * @param out    overwritten; its count is 0 on failure
 *
 * Returns: PS_OK; PS_EPROTO these bytes are no chunk; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_chunk_decode(const void *bytes, size_t len, struct ps_chunk_points *out);

#endif
