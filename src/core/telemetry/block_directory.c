#include "core/telemetry/block_directory.h"

#include "core/telemetry/block_summary.h"

enum {
    /* flags, series, count, first_ms, span, times to live, bytes */
    ENTRY_BYTES_MAX = 1 + 5 + 2 + 2 * PS_VARINT_BYTES_MAX + PS_TTL_SPAN_BYTES_MAX + 5,
};

void ps_block_progress_begin(struct ps_block_progress *progress)
{
    static const struct ps_block_entry none = { 0 };
    *progress = (struct ps_block_progress){ .before = &none };
}

static uint64_t span_before(const struct ps_block_progress *progress)
{
    return (uint64_t)progress->before->last_ms - (uint64_t)progress->before->first_ms;
}

/* What first_ms is told relative to: neighbours in a block report at about the same time, chunks of
 * one series follow each other. */
static uint64_t first_base(const struct ps_block_progress *progress, uint32_t series)
{
    return (uint64_t)(progress->before->series == series ? progress->before->last_ms
                                                         : progress->before->first_ms);
}

/* Count, first and last of an entry with times of its own. */
static uint8_t *write_own_times(uint8_t *at, unsigned *flags,
                                const struct ps_block_progress *progress,
                                const struct ps_block_entry *entry)
{
    uint64_t first = (uint64_t)entry->first_ms - first_base(progress, entry->series);
    uint64_t span = (uint64_t)entry->last_ms - (uint64_t)entry->first_ms;
    if (entry->count == progress->before->count)
        *flags |= PS_ENTRY_SAME_COUNT;
    else
        at = ps_varint_write(at, entry->count);
    at = ps_varint_write(at, ps_zigzag((int64_t)first));
    if (entry->count == 1)
        return at;
    if (span == span_before(progress))
        *flags |= PS_ENTRY_SAME_SPAN;
    else
        at = ps_varint_write(at, span);
    return at;
}

void ps_block_entry_put(struct ps_buf *out, const struct ps_block_progress *progress,
                        const struct ps_block_entry *entry, unsigned shared,
                        const struct ps_ttl_span *ttl, const struct ps_buf *summary)
{
    if (!ps_bytes_reserve(out, ENTRY_BYTES_MAX + summary->len))
        return;
    uint8_t *start = (uint8_t *)out->data + out->len, *at = start + 1;
    unsigned flags = shared;
    if (entry->series == (uint64_t)progress->before->series + 1)
        flags |= PS_ENTRY_NEXT_SERIES;
    else
        at = ps_varint_write(at, entry->series - progress->before->series);
    if (!shared)
        at = write_own_times(at, &flags, progress, entry);
    if (ttl->max_s > 0) {
        flags |= PS_ENTRY_TTL;
        at = ps_ttl_span_write(at, ttl);
    }
    if (summary->len > 0) {
        flags |= PS_ENTRY_SUMMARY;
        memcpy(at, summary->data, summary->len);
        at += summary->len;
    }
    if (entry->bytes == progress->before->bytes)
        flags |= PS_ENTRY_SAME_BYTES;
    else
        at = ps_varint_write(at, entry->bytes);
    *start = (uint8_t)flags;
    out->len += (size_t)(at - start);
}

static inline bool take_series(struct ps_byte_cursor *in, uint8_t flags, uint32_t before,
                               uint32_t *out)
{
    size_t distance = 1;
    if (!(flags & PS_ENTRY_NEXT_SERIES) && !ps_cursor_count(in, UINT32_MAX - before, &distance))
        return false;
    if (distance > UINT32_MAX - before)
        return false;
    *out = before + (uint32_t)distance;
    return true;
}

/* Count, first and last of an entry with times of its own; series is known. */
static inline bool take_own_times(struct ps_byte_cursor *in, uint8_t flags,
                                  const struct ps_block_progress *progress,
                                  struct ps_block_entry *out)
{
    size_t count = progress->before->count;
    uint64_t first, span = 0;
    if (!(flags & PS_ENTRY_SAME_COUNT) && !ps_cursor_count(in, PS_CHUNK_POINTS_MAX, &count))
        return false;
    if (count == 0 || !ps_cursor_varint(in, &first))
        return false;
    if (flags & PS_ENTRY_SAME_SPAN)
        span = span_before(progress);
    else if (count > 1 && !ps_cursor_varint(in, &span))
        return false;
    first = first_base(progress, out->series) + (uint64_t)ps_unzigzag(first);
    out->count = (uint16_t)count;
    out->first_ms = (int64_t)first;
    out->last_ms = (int64_t)(first + span);
    return span >= count - 1 && (count > 1 || span == 0) && out->first_ms <= out->last_ms;
}

static inline bool take_times(struct ps_byte_cursor *in, uint8_t flags,
                              const struct ps_block_progress *progress, struct ps_block_entry *out)
{
    unsigned shared = flags & PS_ENTRY_TIMES;
    if (!shared) {
        out->times_entry = (uint32_t)progress->entries;
        return take_own_times(in, flags, progress, out);
    }
    if (shared > ps_block_owners_near(progress) ||
        flags & (PS_ENTRY_SAME_COUNT | PS_ENTRY_SAME_SPAN))
        return false;
    const struct ps_block_entry *owner = progress->owner[ps_block_owner_at(progress, shared)];
    out->count = owner->count;
    out->first_ms = owner->first_ms;
    out->last_ms = owner->last_ms;
    out->times_entry = owner->times_entry;
    return true;
}

static bool take_extras(struct ps_byte_cursor *in, uint8_t flags, size_t count)
{
    struct ps_ttl_span ttl;
    struct ps_chunk_summary summary;
    return (!(flags & PS_ENTRY_TTL) || ps_ttl_span_take(in, &ttl)) &&
           (!(flags & PS_ENTRY_SUMMARY) || ps_block_summary_take(in, count, &summary));
}

bool ps_block_entry_take(struct ps_byte_cursor *in, const uint8_t *block,
                         const struct ps_block_progress *progress, struct ps_block_entry *out)
{
    uint8_t flags;
    size_t bytes = progress->before->bytes;
    if (!ps_cursor_byte(in, &flags) ||
        !take_series(in, flags, progress->before->series, &out->series) ||
        !take_times(in, flags, progress, out))
        return false;
    out->flags = flags;
    out->extras = (uint32_t)(in->at - block);
    if (flags & (PS_ENTRY_TTL | PS_ENTRY_SUMMARY) && !take_extras(in, flags, out->count))
        return false;
    if (!(flags & PS_ENTRY_SAME_BYTES) && !ps_cursor_count(in, UINT32_MAX, &bytes))
        return false;
    out->bytes = (uint32_t)bytes;
    return progress->entries == 0 || out->series != progress->before->series ||
           out->first_ms > progress->before->last_ms;
}

struct ps_ttl_span ps_block_entry_ttl(const struct ps_block_entry *entry,
                                      struct ps_byte_cursor *extras)
{
    struct ps_ttl_span ttl = { .has_default = true };
    if (entry->flags & PS_ENTRY_TTL)
        (void)ps_ttl_span_take(extras, &ttl); /* it did, when the entry was read */
    return ttl;
}
