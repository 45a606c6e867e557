#include "core/telemetry/block_directory.h"

#include "core/telemetry/block_summary.h"

void ps_block_progress_advance(struct ps_block_progress *progress,
                               const struct ps_block_entry *entry)
{
    if (entry->times_entry == progress->entries) {
        memmove(progress->owner + 1, progress->owner,
                (PS_ENTRY_TIMES_MAX - 1) * sizeof *progress->owner);
        progress->owner[0] = *entry;
        if (progress->owners < PS_ENTRY_TIMES_MAX)
            progress->owners++;
    }
    progress->before = *entry;
    progress->entries++;
}

static uint64_t span_of(const struct ps_block_entry *entry)
{
    return (uint64_t)entry->last_ms - (uint64_t)entry->first_ms;
}

/* What first_ms is told relative to: neighbours in a block report at about the same time, chunks of
 * one series follow each other. */
static uint64_t first_base(const struct ps_block_entry *before, uint32_t series)
{
    return (uint64_t)(before->series == series ? before->last_ms : before->first_ms);
}

static unsigned flags_of(const struct ps_block_progress *progress,
                         const struct ps_block_entry *entry, unsigned shared,
                         const struct ps_buf *summary)
{
    const struct ps_block_entry *before = &progress->before;
    unsigned flags = shared;
    if (entry->series == (uint64_t)before->series + 1)
        flags |= PS_ENTRY_NEXT_SERIES;
    if (!shared && entry->count == before->count)
        flags |= PS_ENTRY_SAME_COUNT;
    if (!shared && entry->count > 1 && span_of(entry) == span_of(before))
        flags |= PS_ENTRY_SAME_SPAN;
    if (entry->ttl.max_s > 0)
        flags |= PS_ENTRY_TTL;
    if (summary->len > 0)
        flags |= PS_ENTRY_SUMMARY;
    if (entry->bytes == before->bytes)
        flags |= PS_ENTRY_SAME_BYTES;
    return flags;
}

void ps_block_entry_put(struct ps_buf *out, const struct ps_block_progress *progress,
                        const struct ps_block_entry *entry, unsigned shared,
                        const struct ps_buf *summary)
{
    const struct ps_block_entry *before = &progress->before;
    unsigned flags = flags_of(progress, entry, shared, summary);
    ps_buf_put_char(out, (char)flags);
    if (!(flags & PS_ENTRY_NEXT_SERIES))
        ps_varint_put(out, entry->series - before->series);
    if (!shared) {
        uint64_t first = (uint64_t)entry->first_ms - first_base(before, entry->series);
        if (!(flags & PS_ENTRY_SAME_COUNT))
            ps_varint_put(out, entry->count);
        ps_varint_put(out, ps_zigzag((int64_t)first));
        if (!(flags & PS_ENTRY_SAME_SPAN) && entry->count > 1)
            ps_varint_put(out, span_of(entry));
    }
    if (flags & PS_ENTRY_TTL)
        ps_ttl_span_put(out, &entry->ttl);
    if (flags & PS_ENTRY_SUMMARY)
        ps_buf_put(out, summary->data, summary->len);
    if (!(flags & PS_ENTRY_SAME_BYTES))
        ps_varint_put(out, entry->bytes);
}

static bool take_series(struct ps_byte_cursor *in, uint8_t flags,
                        const struct ps_block_entry *before, uint32_t *out)
{
    size_t distance = 1;
    if (!(flags & PS_ENTRY_NEXT_SERIES) &&
        !ps_cursor_count(in, UINT32_MAX - before->series, &distance))
        return false;
    if (distance > UINT32_MAX - before->series)
        return false;
    *out = before->series + (uint32_t)distance;
    return true;
}

/* Count, first and last of an entry with times of its own; series is known. */
static bool take_own_times(struct ps_byte_cursor *in, uint8_t flags,
                           const struct ps_block_entry *before, struct ps_block_entry *out)
{
    size_t count = before->count;
    uint64_t first, span = 0;
    if (!(flags & PS_ENTRY_SAME_COUNT) && !ps_cursor_count(in, PS_CHUNK_POINTS_MAX, &count))
        return false;
    if (count == 0 || !ps_cursor_varint(in, &first))
        return false;
    if (flags & PS_ENTRY_SAME_SPAN)
        span = span_of(before);
    else if (count > 1 && !ps_cursor_varint(in, &span))
        return false;
    first = first_base(before, out->series) + (uint64_t)ps_unzigzag(first);
    out->count = (uint32_t)count;
    out->first_ms = (int64_t)first;
    out->last_ms = (int64_t)(first + span);
    return span >= count - 1 && (count > 1 || span == 0) && out->first_ms <= out->last_ms;
}

static bool take_times(struct ps_byte_cursor *in, uint8_t flags,
                       const struct ps_block_progress *progress, struct ps_block_entry *out)
{
    unsigned shared = flags & PS_ENTRY_TIMES;
    if (!shared) {
        out->times_entry = (uint32_t)progress->entries;
        return take_own_times(in, flags, &progress->before, out);
    }
    if (shared > progress->owners || flags & (PS_ENTRY_SAME_COUNT | PS_ENTRY_SAME_SPAN))
        return false;
    const struct ps_block_entry *owner = &progress->owner[shared - 1];
    out->count = owner->count;
    out->first_ms = owner->first_ms;
    out->last_ms = owner->last_ms;
    out->times_entry = owner->times_entry;
    return true;
}

static bool take_extras(struct ps_byte_cursor *in, const uint8_t *block, uint8_t flags,
                        struct ps_block_entry *out)
{
    struct ps_chunk_summary ignored;
    out->ttl = (struct ps_ttl_span){ .has_default = true };
    if (flags & PS_ENTRY_TTL && !ps_ttl_span_take(in, &out->ttl))
        return false;
    out->has_summary = flags & PS_ENTRY_SUMMARY;
    out->summary = (uint32_t)(in->at - block);
    return !out->has_summary || ps_block_summary_take(in, out->count, &ignored);
}

bool ps_block_entry_take(struct ps_byte_cursor *in, const uint8_t *block,
                         const struct ps_block_progress *progress, struct ps_block_entry *out)
{
    const struct ps_block_entry *before = &progress->before;
    uint8_t flags;
    size_t bytes = before->bytes;
    if (!ps_cursor_byte(in, &flags) || !take_series(in, flags, before, &out->series) ||
        !take_times(in, flags, progress, out) || !take_extras(in, block, flags, out))
        return false;
    if (!(flags & PS_ENTRY_SAME_BYTES) && !ps_cursor_count(in, UINT32_MAX, &bytes))
        return false;
    out->bytes = (uint32_t)bytes;
    return progress->entries == 0 || out->series != before->series ||
           out->first_ms > before->last_ms;
}
