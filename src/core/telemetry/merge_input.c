#include "core/telemetry/merge_input.h"

static enum ps_status failed(struct ps_merge_stream *stream, const struct ps_merge_input *input,
                             enum ps_status st)
{
    if (st != PS_OK && st != PS_ENOMEM)
        ps_text_set(&stream->why, "%s", ps_run_reader_error(input->reader));
    return st;
}

enum ps_status ps_merge_input_open(struct ps_merge_stream *stream, struct ps_merge_input *input,
                                   const struct ps_run_want *want)
{
    int64_t run = input->run->run;
    enum ps_status st = ps_run_reader_open(stream->reading, run, want, &input->reader);
    if (st == PS_ENOTFOUND) { /* the manifest says it is there: no merge may lose it */
        ps_text_set(&stream->why, "run %lld is missing", (long long)run);
        return PS_EPROTO;
    }
    if (st != PS_OK) {
        ps_text_set(&stream->why, "%s", ps_run_file_error(stream->reading));
        return st;
    }
    return ps_merge_input_next(stream, input);
}

void ps_merge_input_close(struct ps_merge_input *input)
{
    ps_run_reader_close(input->reader);
    input->reader = NULL;
    input->has_chunk = input->decoded = false;
}

enum ps_status ps_merge_input_next(struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    enum ps_status st = ps_run_reader_next(input->reader, &input->info);
    input->has_chunk = st == PS_OK;
    input->decoded = false;
    input->at = 0;
    return st == PS_ENOTFOUND ? PS_OK : failed(stream, input, st);
}

static void drop_unwanted(const struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    struct ps_chunk_points *all = &input->points;
    bool resumed = stream->in_series && input->info.first_ms <= stream->last_ms;
    size_t kept = 0;
    if (!stream->deleted.count && !resumed)
        return;
    for (size_t i = 0; i < all->count; i++) {
        int64_t ts_ms = all->points[i].ts_ms;
        if ((resumed && ts_ms <= stream->last_ms) ||
            ps_deleted_spans_touch_run(&stream->deleted, ts_ms, ts_ms, input->run->journal_last))
            continue;
        all->points[kept] = all->points[i];
        if (all->ttl_s)
            all->ttl_s[kept] = all->ttl_s[i];
        kept++;
    }
    all->count = kept;
}

enum ps_status ps_merge_input_decode(struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    enum ps_status st = ps_run_reader_decode(input->reader, &input->points);
    if (st != PS_OK)
        return failed(stream, input, st);
    input->decoded = true;
    input->at = 0;
    drop_unwanted(stream, input);
    return PS_OK;
}
