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
    /* Times of progress.owner[i], in times[newest + i modulo their number]. */
    size_t newest;
    int64_t times[PS_ENTRY_TIMES_MAX][PS_CHUNK_POINTS_MAX];
};

enum ps_status ps_block_writer_init(struct ps_block_writer *writer)
{
    *writer = (struct ps_block_writer){ 0 };
    writer->state = calloc(1, sizeof *writer->state);
    if (!writer->state)
        return PS_ENOMEM;
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
    writer->state->progress = (struct ps_block_progress){ 0 };
}

static int64_t *owner_times(struct ps_block_writer_state *state, size_t back)
{
    return state->times[(state->newest + back) % PS_ENTRY_TIMES_MAX];
}

/* How far back (1 is the newest) a chunk has the same times; 0 = none. */
static unsigned find_shared(struct ps_block_writer_state *state, const int64_t *times, size_t count)
{
    for (unsigned back = 0; back < state->progress.owners; back++) {
        const struct ps_block_entry *owner = &state->progress.owner[back];
        if (owner->count == count && owner->first_ms == times[0] &&
            owner->last_ms == times[count - 1] &&
            memcmp(owner_times(state, back), times, count * sizeof *times) == 0)
            return back + 1;
    }
    return 0;
}

static void keep_times(struct ps_block_writer_state *state, const int64_t *times, size_t count)
{
    state->newest = (state->newest + PS_ENTRY_TIMES_MAX - 1) % PS_ENTRY_TIMES_MAX;
    memcpy(owner_times(state, 0), times, count * sizeof *times);
}

static void assert_order(const struct ps_block_writer *writer, uint32_t series, int64_t first_ms)
{
    const struct ps_block_entry *before = &writer->state->progress.before;
    PS_ASSERT(writer->chunks == 0 || series > before->series ||
              (series == before->series && first_ms > before->last_ms));
}

enum ps_status ps_block_writer_add(struct ps_block_writer *writer, uint32_t series,
                                   const struct ps_point *points, const uint32_t *ttl_s,
                                   size_t count)
{
    struct ps_block_writer_state *state = writer->state;
    struct ps_chunk_encoder *encoder = writer->encoder;
    size_t columns = writer->columns.len, directory = writer->directory.len;
    ps_chunk_note_times(encoder, points, count);
    assert_order(writer, series, points[0].ts_ms);
    unsigned shared = find_shared(state, encoder->times, count);
    struct ps_block_entry entry = {
        .series = series,
        .count = (uint32_t)count,
        .first_ms = points[0].ts_ms,
        .last_ms = points[count - 1].ts_ms,
        .ttl = ps_ttl_span_of(ttl_s, count),
        .times_entry =
            shared ? state->progress.owner[shared - 1].times_entry : (uint32_t)writer->chunks,
    };
    if (!shared)
        ps_chunk_times_put(&writer->columns, encoder->times, count, &encoder->lines);
    enum ps_status st =
        ps_chunk_put_rest(encoder, &writer->columns, points, ttl_s, &entry.ttl, count);
    if (st != PS_OK)
        goto undo;
    entry.bytes = (uint32_t)(writer->columns.len - columns);
    ps_buf_clear(&state->summary);
    ps_block_summary_put(&state->summary, &encoder->values, points, count);
    ps_block_entry_put(&writer->directory, &state->progress, &entry, shared, &state->summary);
    st = ps_buf_ok(&writer->directory) && ps_buf_ok(&state->summary) ? PS_OK : PS_ENOMEM;
    if (st != PS_OK)
        goto undo;
    if (!shared)
        keep_times(state, encoder->times, count);
    ps_block_progress_advance(&state->progress, &entry);
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
