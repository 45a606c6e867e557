/* block: many chunks in one checksummed piece of bytes, with a directory in front.
 *
 *     u8      version = 1
 *     u64     XXH3 of everything after these nine bytes, little endian
 *     varint  chunks, varint bytes of the directory
 *     directory, an entry per chunk (block_directory.h)
 *     the chunks' columns, in the same order
 *
 * Chunks stand in order of (series, first_ms); a series may have several. The directory tells
 * series, count, time span, times to live and, for 32 numbers and more, their minimum, maximum and
 * sum, so that a reader decodes only what it must. Keys that arrive together have the same
 * timestamps: a chunk whose times equal those of one of the three times columns before it in the
 * block refers to that instead of writing its own. An entry of a small chunk takes three to eight
 * bytes: differences to the entry before it, and a byte that says which of them are nothing.
 *
 * A block of 8 to 16 KB is what the store writes, but any number of chunks makes a block.
 * Pure and deterministic as chunk.h; a wrong byte anywhere is seen by ps_block_open(). */
#ifndef PS_CORE_TELEMETRY_BLOCK_H
#define PS_CORE_TELEMETRY_BLOCK_H

#include "core/telemetry/chunk.h"

enum { PS_BLOCK_SUMMARY_POINTS = 32 }; /* smaller chunks have no summary: decoding is as cheap */

/* Of a chunk of numbers only (LONG, DOUBLE or both), none of them NaN. */
struct ps_chunk_summary {
    bool has_real; /* at least one is a DOUBLE */
    /* If !has_real: of the integers; the sum did not overflow. */
    int64_t whole_min, whole_max, whole_sum;
    /* Always: of the values as doubles. The sum is added up in order of time, except that decimals
     * are summed exactly and rounded once: it may differ from a plain loop in the last bits. */
    double real_min, real_max, real_sum;
};

struct ps_chunk_info {
    uint32_t series;
    uint32_t count;            /* 1 ... PS_CHUNK_POINTS_MAX */
    int64_t first_ms, last_ms; /* inclusive both */
    uint32_t min_ttl_s,
        max_ttl_s;        /* least and greatest explicit time to live; 0, 0 = none has one */
    bool has_default_ttl; /* at least one point has no explicit one */
    bool has_summary;
    struct ps_chunk_summary summary; /* if has_summary */
};

/* Writing. Zeroed is not enough: init. One thread at a time. */
struct ps_block_writer {
    struct ps_chunk_encoder *encoder; /* owned */
    struct ps_buf directory, columns; /* owned; reused */
    size_t chunks;
    struct ps_block_writer_state *state; /* owned; what the next entry is relative to */
};

PS_MUST_CHECK
enum ps_status ps_block_writer_init(struct ps_block_writer *writer);
/** Fine on a zeroed or half-built one. */
void ps_block_writer_deinit(struct ps_block_writer *writer);

/**
 * Add a chunk to the block being made.
 *
 * Series must not descend, and within a series time must ascend from chunk to chunk (PS_ASSERT).
 * The rest as for ps_chunk_encode().
 *
 * Returns: PS_OK; PS_ENOMEM the block is as before
 */
PS_MUST_CHECK
enum ps_status ps_block_writer_add(struct ps_block_writer *writer, uint32_t series,
                                   const struct ps_point *points, const uint32_t *ttl_s,
                                   size_t count);

/** Bytes the block would have if finished now; 0 if it has no chunk. */
size_t ps_block_writer_size(const struct ps_block_writer *writer);

/** Append the finished block to `out` and begin the next one, empty.
 *  Returns: PS_OK; PS_ENOMEM `out` and the block are as before; PS_ASSERT that it has a chunk. */
PS_MUST_CHECK
enum ps_status ps_block_writer_finish(struct ps_block_writer *writer, struct ps_buf *out);
/** Forget the chunks added since the last finish. */
void ps_block_writer_reset(struct ps_block_writer *writer);

struct ps_block_entry; /* inside block_directory.h */

/* Reading. Zeroed = empty; reused from block to block. One thread at a time. */
struct ps_block_reader {
    const uint8_t *bytes; /* borrowed from open to the last decode */
    size_t len;
    size_t count, cap;
    struct ps_block_entry *entries; /* owned */
    int64_t *times;                 /* owned; the times column decoded last, several chunks' own */
    size_t times_entry;             /* of which entry; SIZE_MAX = none */
    size_t times_bytes;             /* of that column, which stands before the entry's others */
};

void ps_block_reader_deinit(struct ps_block_reader *reader);

/**
 * Check version, checksum and directory.
 *
 * @param bytes  borrowed until the reader is opened again or no longer used
 * Returns: PS_OK; PS_EPROTO not a block, or a damaged one; PS_ENOMEM. On failure the reader has no
 *          chunks
 */
PS_MUST_CHECK
enum ps_status ps_block_open(struct ps_block_reader *reader, const void *bytes, size_t len);

/** Number of chunks, >= 1 after a successful open. */
size_t ps_block_count(const struct ps_block_reader *reader);

/** What the directory tells of chunk `i` < count. */
void ps_block_info(const struct ps_block_reader *reader, size_t i, struct ps_chunk_info *out);

/** Series of chunk `i` < count; cheaper than all of the info. */
uint32_t ps_block_series(const struct ps_block_reader *reader, size_t i);

/** Index of the first chunk of a series, its others follow; -1 if there is none. */
ptrdiff_t ps_block_find(const struct ps_block_reader *reader, uint32_t series);

/**
 * Decode chunk `i` < count.
 *
 * @param out  as of ps_chunk_decode(); its texts live while the block's bytes do and until the next
 *             decode into `out`
 * Returns: PS_OK; PS_EPROTO a chunk that cannot be, though the checksum is right; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_block_decode(struct ps_block_reader *reader, size_t i,
                               struct ps_chunk_points *out);

#endif
