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
 * times, are those of the n-th last entry that brought its own.
 *
 * Where series have few points, entries are as many bytes as columns: writing one is a row of
 * unconditional stores into room reserved once, reading one touches only what it says. */
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
    PS_ENTRY_OWNERS = 4,    /* places for the last owners of times: a power of two, above the max */
};

/* Small: a block of the first level has thousands of them. */
struct ps_block_entry {
    uint32_t series;
    uint16_t count;
    uint8_t flags; /* PS_ENTRY_TTL and PS_ENTRY_SUMMARY count */
    int64_t first_ms, last_ms;
    uint32_t times_entry;    /* index of the entry whose columns begin with the times */
    uint32_t extras;         /* offset in the block of its times to live and summary */
    uint32_t columns, bytes; /* offset and length of its columns in the block */
};

/* What the next entry is told relative to: entries that stay where they are meanwhile. Copies would
 * cost as much as reading an entry does. */
struct ps_block_progress {
    size_t entries;
    const struct ps_block_entry *before; /* of zeros before the first */
    /* With times of their own; the newest is owner[owners % PS_ENTRY_OWNERS], those before it lie
     * before it. */
    size_t owners; /* how many there were */
    const struct ps_block_entry *owner[PS_ENTRY_OWNERS];
};

void ps_block_progress_begin(struct ps_block_progress *progress);

/** How many owners are near enough to share their times. */
static inline unsigned ps_block_owners_near(const struct ps_block_progress *progress)
{
    return progress->owners < PS_ENTRY_TIMES_MAX ? (unsigned)progress->owners : PS_ENTRY_TIMES_MAX;
}

/** Place of an owner. @param back  1 is the newest; 0 where the next one goes */
static inline size_t ps_block_owner_at(const struct ps_block_progress *progress, unsigned back)
{
    return (progress->owners + 1 - back) % PS_ENTRY_OWNERS;
}

/** Note that `entry` was written or read. It stays while it is `before` or an owner that is near.
 */
static inline void ps_block_progress_advance(struct ps_block_progress *progress,
                                             const struct ps_block_entry *entry)
{
    if (entry->times_entry == progress->entries) {
        progress->owner[ps_block_owner_at(progress, 0)] = entry;
        progress->owners++;
    }
    progress->before = entry;
    progress->entries++;
}

/** Append an entry; ask ps_buf_ok(out).
 *  @param shared   0, or how far back its times are
 *  @param ttl      those of its points; @param summary  its bytes, may be none */
void ps_block_entry_put(struct ps_buf *out, const struct ps_block_progress *progress,
                        const struct ps_block_entry *entry, unsigned shared,
                        const struct ps_ttl_span *ttl, const struct ps_buf *summary);

/** Read an entry; `columns` is not set. False: impossible, or out of order. */
bool ps_block_entry_take(struct ps_byte_cursor *in, const uint8_t *block,
                         const struct ps_block_progress *progress, struct ps_block_entry *out);

/** What an entry that was read tells of times to live, and where its summary begins. */
struct ps_ttl_span ps_block_entry_ttl(const struct ps_block_entry *entry,
                                      struct ps_byte_cursor *extras);

#endif
