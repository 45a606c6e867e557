/* block_directory: the entries in front of a block's chunks.
 *
 * An entry is told by its differences to the one before it:
 *     u8      flags, below
 *     varint  series - series before             unless PS_ENTRY_NEXT_SERIES (the first: from 0)
 *     varint  points                             unless PS_ENTRY_SAME_COUNT
 *     varint  zigzag(first_ms - first_ms before), of the same series: - last_ms before
 *     varint  last_ms - first_ms                 unless PS_ENTRY_SAME_SPAN or one point
 *     ttl     chunk_ttl's span                   if PS_ENTRY_TTL
 *     summary                                    if PS_ENTRY_SUMMARY (block_summary.h)
 *     varint  bytes of its columns               unless PS_ENTRY_SAME_BYTES
 * With PS_ENTRY_TIMES n > 0 points, first_ms and last_ms are left out: they, and the column of
 * times, are those of the n-th last entry that brought its own. */
#ifndef PS_CORE_TELEMETRY_BLOCK_DIRECTORY_H
#define PS_CORE_TELEMETRY_BLOCK_DIRECTORY_H

#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/chunk_ttl.h"

enum {
    PS_ENTRY_TIMES = 0x03,
    PS_ENTRY_NEXT_SERIES = 0x04,
    PS_ENTRY_SAME_COUNT = 0x08,
    PS_ENTRY_SAME_SPAN = 0x10,
    PS_ENTRY_TTL = 0x20,
    PS_ENTRY_SUMMARY = 0x40,
    PS_ENTRY_SAME_BYTES = 0x80,

    PS_ENTRY_TIMES_MAX = 3, /* how far back times may be shared */
    PS_ENTRY_BYTES_MIN = 2, /* flags, and a first_ms or columns that take a byte */
};

struct ps_block_entry {
    uint32_t series, count;
    int64_t first_ms, last_ms;
    struct ps_ttl_span ttl;
    bool has_summary;
    uint32_t times_entry;    /* index of the entry whose columns begin with the times */
    uint32_t summary;        /* offset of its bytes in the block */
    uint32_t columns, bytes; /* offset and length of its columns in the block */
};

/* What the next entry is told relative to. */
struct ps_block_progress {
    size_t entries;
    struct ps_block_entry before;
    /* The last entries with times of their own, newest first. */
    size_t owners;
    struct ps_block_entry owner[PS_ENTRY_TIMES_MAX];
};

/** Note that `entry` was written or read. */
void ps_block_progress_advance(struct ps_block_progress *progress,
                               const struct ps_block_entry *entry);

/** Append an entry. @param shared  0, or how far back its times are; @param summary  its bytes */
void ps_block_entry_put(struct ps_buf *out, const struct ps_block_progress *progress,
                        const struct ps_block_entry *entry, unsigned shared,
                        const struct ps_buf *summary);

/** Read an entry; `columns` is not set. False: impossible, or out of order. */
bool ps_block_entry_take(struct ps_byte_cursor *in, const uint8_t *block,
                         const struct ps_block_progress *progress, struct ps_block_entry *out);

#endif
