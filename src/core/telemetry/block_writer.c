#include "core/telemetry/block.h"

#include <stdlib.h>
#include <xxhash.h>

#include "core/telemetry/block_directory.h"
#include "core/telemetry/block_format.h"
#include "core/telemetry/block_summary.h"
#include "core/telemetry/chunk_columns.h"

struct ps_block_writer_state {
    struct ps_block_progress progress;
    struct ps_buf summary;
    struct ps_block_entry sharing[2]; /* the last without times of its own, and the next */
    /* Entries and times of progress.owner[i]; the place of the next owner is where the times of a
     * chunk are noted first. */
    struct ps_block_entry owning[PS_ENTRY_OWNERS];
    int64_t times[PS_ENTRY_OWNERS][PS_CHUNK_POINTS_MAX];
};

enum ps_status ps_block_writer_init(struct ps_block_writer *writer)
{
    *writer = (struct ps_block_writer){ 0 };
    writer->state = calloc(1, sizeof *writer->state);
    if (!writer->state)
        return PS_ENOMEM;
    ps_block_progress_begin(&writer->state->progress);
    enum ps_status st = ps_chunk_encoder_create(&writer->encoder);
    if (st != PS_OK)
        ps_block_writer_deinit(writer);
    return st;
}

void ps_block_writer_deinit(struct ps_block_writer *writer)
{
    ps_chunk_encoder_destroy(writer->encoder);
    if (writer->state)
        ps_buf_deinit(&writer->state->summary);
    free(writer->state);
    ps_buf_deinit(&writer->directory);
    ps_buf_deinit(&writer->columns);
    *writer = (struct ps_block_writer){ 0 };
}

void ps_block_writer_reset(struct ps_block_writer *writer)
{
    writer->chunks = 0;
    ps_buf_clear(&writer->directory);
    ps_buf_clear(&writer->columns);
    ps_block_progress_begin(&writer->state->progress);
}

/* How far back (1 is the newest) a chunk has the same times; 0 = none. */
static unsigned find_shared(const struct ps_block_writer_state *state, const int64_t *times,
                            size_t count)
{
    const struct ps_block_progress *progress = &state->progress;
    unsigned near = ps_block_owners_near(progress);
    for (unsigned back = 1; back <= near; back++) {
        size_t at = ps_block_owner_at(progress, back);
        const struct ps_block_entry *owner = progress->owner[at];
        if (owner->first_ms == times[0] && owner->count == count &&
            owner->last_ms == times[count - 1] &&
            (count <= 2 || memcmp(state->times[at], times, count * sizeof *times) == 0))
            return back;
    }
    return 0;
}

static void assert_order(const struct ps_block_writer *writer, uint32_t series, int64_t first_ms)
{
    const struct ps_block_progress *progress = &writer->state->progress;
    PS_ASSERT(writer->chunks == 0 || series > progress->before->series ||
              (series == progress->before->series && first_ms > progress->before->last_ms));
}

/* The next entry, of a chunk whose times are noted, and those times unless an earlier chunk has the
 * same. @param shared  how far back that is, 0 = its own */
static struct ps_block_entry *begin_entry(struct ps_block_writer *writer, uint32_t series,
                                          size_t count, unsigned *shared)
{
    struct ps_block_writer_state *state = writer->state;
    struct ps_block_progress *progress = &state->progress;
    size_t next = ps_block_owner_at(progress, 0);
    const int64_t *times = state->times[next];
    struct ps_block_entry *entry = &state->owning[next];
    uint32_t times_entry = (uint32_t)writer->chunks;
    *shared = find_shared(state, times, count);
    if (*shared) {
        entry = &state->sharing[writer->chunks % 2];
        times_entry = progress->owner[ps_block_owner_at(progress, *shared)]->times_entry;
    } else {
        ps_chunk_times_put(&writer->columns, times, count, &writer->encoder->lines);
    }
    entry->series = series;
    entry->count = (uint16_t)count;
    entry->first_ms = times[0];
    entry->last_ms = times[count - 1];
    entry->times_entry = times_entry;
    return entry;
}

enum ps_status ps_block_writer_add(struct ps_block_writer *writer, uint32_t series,
                                   const struct ps_point *points, const uint32_t *ttl_s,
                                   size_t count)
{
    struct ps_block_writer_state *state = writer->state;
    struct ps_chunk_encoder *encoder = writer->encoder;
    size_t columns = writer->columns.len, directory = writer->directory.len;
    unsigned shared;
    ps_chunk_note_times(points, count, state->times[ps_block_owner_at(&state->progress, 0)]);
    assert_order(writer, series, points[0].ts_ms);
    struct ps_ttl_span ttl = ps_ttl_span_of(ttl_s, count);
    struct ps_block_entry *entry = begin_entry(writer, series, count, &shared);
    enum ps_status st = ps_chunk_put_rest(encoder, &writer->columns, points, ttl_s, &ttl, count);
    if (st != PS_OK)
        goto undo;
    entry->bytes = (uint32_t)(writer->columns.len - columns);
    ps_buf_clear(&state->summary);
    if (count >= PS_BLOCK_SUMMARY_POINTS)
        ps_block_summary_put(&state->summary, &encoder->values, points, count);
    ps_block_entry_put(&writer->directory, &state->progress, entry, shared, &ttl, &state->summary);
    st = ps_buf_ok(&writer->directory) && ps_buf_ok(&state->summary) ? PS_OK : PS_ENOMEM;
    if (st != PS_OK)
        goto undo;
    ps_block_progress_advance(&state->progress, entry);
    writer->chunks++;
    return PS_OK;

undo:
    writer->columns.len = columns;
    writer->directory.len = directory;
    writer->columns.failed = writer->directory.failed = false;
    return st;
}

size_t ps_block_writer_size(const struct ps_block_writer *writer)
{
    if (writer->chunks == 0)
        return 0;
    return PS_BLOCK_HEAD_BYTES + ps_varint_size(writer->chunks) +
           ps_varint_size(writer->directory.len) + writer->directory.len + writer->columns.len;
}

enum ps_status ps_block_writer_finish(struct ps_block_writer *writer, struct ps_buf *out)
{
    PS_ASSERT(writer->chunks > 0);
    size_t start = out->len;
    if (!ps_buf_reserve(out, ps_block_writer_size(writer) + PS_VARINT_BYTES_MAX)) {
        out->failed = false;
        return PS_ENOMEM;
    }
    static const uint8_t head[PS_BLOCK_HEAD_BYTES] = { PS_BLOCK_VERSION };
    ps_buf_put(out, head, sizeof head);
    ps_varint_put(out, writer->chunks);
    ps_varint_put(out, writer->directory.len);
    ps_buf_put(out, writer->directory.data, writer->directory.len);
    ps_buf_put(out, writer->columns.data, writer->columns.len);
    uint64_t sum = XXH3_64bits(out->data + start + PS_BLOCK_HEAD_BYTES,
                               out->len - start - PS_BLOCK_HEAD_BYTES);
    memcpy(out->data + start + 1, &sum, sizeof sum);
    ps_block_writer_reset(writer);
    return PS_OK;
}
