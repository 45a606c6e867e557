#include "core/telemetry/block.h"

#include <stdlib.h>
#include <xxhash.h>

#include "core/telemetry/block_directory.h"
#include "core/telemetry/block_format.h"
#include "core/telemetry/block_summary.h"
#include "core/telemetry/chunk_columns.h"
#include "core/telemetry/chunk_few.h"

void ps_block_reader_deinit(struct ps_block_reader *reader)
{
    free(reader->entries);
    free(reader->times);
    *reader = (struct ps_block_reader){ 0 };
}

static bool checksum_is_right(const uint8_t *bytes, size_t len)
{
    uint64_t sum;
    if (len < PS_BLOCK_HEAD_BYTES || len > UINT32_MAX || bytes[0] != PS_BLOCK_VERSION)
        return false;
    memcpy(&sum, bytes + 1, sizeof sum);
    return sum == XXH3_64bits(bytes + PS_BLOCK_HEAD_BYTES, len - PS_BLOCK_HEAD_BYTES);
}

static enum ps_status reserve_entries(struct ps_block_reader *reader, size_t count)
{
    if (reader->cap >= count)
        return PS_OK;
    struct ps_block_entry *grown = malloc(count * sizeof *grown);
    if (!grown)
        return PS_ENOMEM;
    free(reader->entries);
    reader->entries = grown;
    reader->cap = count;
    return PS_OK;
}

/* The directory in `in`; the columns begin behind it and fill the block exactly. */
static bool take_entries(struct ps_block_reader *reader, struct ps_byte_cursor *in, size_t count)
{
    struct ps_block_progress progress;
    uint64_t columns = (uint64_t)(in->end - reader->bytes);
    ps_block_progress_begin(&progress);
    for (size_t i = 0; i < count; i++) {
        struct ps_block_entry *entry = &reader->entries[i];
        if (!ps_block_entry_take(in, reader->bytes, &progress, entry) ||
            entry->bytes > reader->len - columns)
            return false;
        entry->columns = (uint32_t)columns;
        columns += entry->bytes;
        ps_block_progress_advance(&progress, entry);
    }
    return in->at == in->end && columns == reader->len;
}

enum ps_status ps_block_open(struct ps_block_reader *reader, const void *bytes, size_t len)
{
    reader->count = 0;
    reader->times_entry = SIZE_MAX;
    reader->bytes = bytes;
    reader->len = len;
    if (!checksum_is_right(bytes, len))
        return PS_EPROTO;
    struct ps_byte_cursor in = { .at = reader->bytes + PS_BLOCK_HEAD_BYTES,
                                 .end = reader->bytes + len };
    size_t count, directory;
    if (!ps_cursor_count(&in, len / PS_ENTRY_BYTES_MIN, &count) || count == 0 ||
        !ps_cursor_count(&in, len, &directory) || directory > ps_cursor_left(&in))
        return PS_EPROTO;
    enum ps_status st = reserve_entries(reader, count);
    if (st != PS_OK)
        return st;
    in.end = in.at + directory;
    if (!take_entries(reader, &in, count))
        return PS_EPROTO;
    reader->count = count;
    return PS_OK;
}

size_t ps_block_count(const struct ps_block_reader *reader)
{
    return reader->count;
}

static struct ps_byte_cursor extras_of(const struct ps_block_reader *reader,
                                       const struct ps_block_entry *entry)
{
    return (struct ps_byte_cursor){ .at = reader->bytes + entry->extras,
                                    .end = reader->bytes + reader->len };
}

void ps_block_info(const struct ps_block_reader *reader, size_t i, struct ps_chunk_info *out)
{
    PS_ASSERT(i < reader->count);
    const struct ps_block_entry *entry = &reader->entries[i];
    *out = (struct ps_chunk_info){
        .series = entry->series,
        .count = entry->count,
        .first_ms = entry->first_ms,
        .last_ms = entry->last_ms,
        .has_default_ttl = true,
    };
    if (!(entry->flags & (PS_ENTRY_TTL | PS_ENTRY_SUMMARY)))
        return;
    struct ps_byte_cursor extras = extras_of(reader, entry);
    struct ps_ttl_span ttl = ps_block_entry_ttl(entry, &extras);
    out->min_ttl_s = ttl.min_s;
    out->max_ttl_s = ttl.max_s;
    out->has_default_ttl = ttl.has_default;
    out->has_summary = entry->flags & PS_ENTRY_SUMMARY &&
                       ps_block_summary_take(&extras, entry->count, &out->summary);
}

uint32_t ps_block_series(const struct ps_block_reader *reader, size_t i)
{
    PS_ASSERT(i < reader->count);
    return reader->entries[i].series;
}

ptrdiff_t ps_block_find(const struct ps_block_reader *reader, uint32_t series)
{
    size_t from = 0, to = reader->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (reader->entries[middle].series < series)
            from = middle + 1;
        else
            to = middle;
    }
    return from < reader->count && reader->entries[from].series == series ? (ptrdiff_t)from : -1;
}

static struct ps_byte_cursor columns_of(const struct ps_block_reader *reader,
                                        const struct ps_block_entry *entry)
{
    const uint8_t *at = reader->bytes + entry->columns;
    return (struct ps_byte_cursor){ .at = at, .end = at + entry->bytes };
}

/* The times of entry `i`, which has its own, into reader->times. */
static enum ps_status load_times(struct ps_block_reader *reader, size_t i)
{
    if (reader->times_entry == i)
        return PS_OK;
    if (!reader->times && !(reader->times = malloc(PS_CHUNK_POINTS_MAX * sizeof *reader->times)))
        return PS_ENOMEM;
    const struct ps_block_entry *entry = &reader->entries[i];
    struct ps_byte_cursor in = columns_of(reader, entry);
    reader->times_entry = SIZE_MAX;
    if (!ps_chunk_times_take(&in, entry->first_ms, entry->last_ms, entry->count, reader->times))
        return PS_EPROTO;
    reader->times_entry = i;
    reader->times_bytes = (size_t)(in.at - reader->bytes) - entry->columns;
    return PS_OK;
}

/* One or two points without times to live, whose times are all in the directory. False: the
 * general way is due. */
static bool decode_pair(const struct ps_block_reader *reader, const struct ps_block_entry *entry,
                        struct ps_chunk_points *out)
{
    struct ps_byte_cursor in = columns_of(reader, entry);
    const int64_t times[] = { entry->first_ms, entry->last_ms };
    if (entry->count > 2 || entry->flags & PS_ENTRY_TTL ||
        !ps_few_values_take(&in, times, entry->count, out->points) || in.at != in.end)
        return false;
    out->count = entry->count;
    return true;
}

enum ps_status ps_block_decode(struct ps_block_reader *reader, size_t i,
                               struct ps_chunk_points *out)
{
    PS_ASSERT(i < reader->count);
    const struct ps_block_entry *entry = &reader->entries[i];
    enum ps_status st = ps_chunk_points_prepare(out, entry->count);
    if (st == PS_OK && decode_pair(reader, entry, out))
        return PS_OK;
    if (st == PS_OK)
        st = load_times(reader, entry->times_entry);
    if (st != PS_OK)
        return st;
    struct ps_byte_cursor in = columns_of(reader, entry);
    if (entry->times_entry == i)
        in.at += reader->times_bytes;
    struct ps_byte_cursor extras = extras_of(reader, entry);
    struct ps_ttl_span ttl = ps_block_entry_ttl(entry, &extras);
    return ps_chunk_take_rest(&in, reader->times, &ttl, entry->count, out);
}
