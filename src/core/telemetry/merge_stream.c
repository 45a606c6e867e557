#include "core/telemetry/merge_stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/telemetry/merge_input.h"
#include "core/telemetry/merge_series.h"

/* ---- the next series ---- */

static uint64_t seconds(uint32_t ttl_s)
{
    return ttl_s ? ttl_s : UINT64_MAX;
}

/* What follows from the default of the series at hand, mostly that of the one before it. */
static void set_default_ttl(struct ps_merge_stream *stream, uint32_t ttl_s)
{
    stream->default_ttl_s = ttl_s;
    stream->drops_ttl_s = stream->older_ttl_s;
    if (stream->older_default_ttl && seconds(ttl_s) > stream->drops_ttl_s)
        stream->drops_ttl_s = seconds(ttl_s);
    stream->drops_default = ttl_s >= stream->drops_ttl_s &&
                            ps_point_expired_up_to(ttl_s, stream->now_ms, &stream->drops_up_to_ms);
}

static enum ps_status look_up_series(struct ps_merge_stream *stream)
{
    uint32_t ttl_s;
    enum ps_status st = ps_keep_default_ttl(stream->keep, stream->series, &ttl_s);
    stream->orphaned = st == PS_ENOTFOUND;
    if (st != PS_OK)
        return stream->orphaned ? PS_OK : st;
    stream->deleted = ps_deletions_of(stream->deletions, stream->series);
    if (ttl_s != stream->default_ttl_s)
        set_default_ttl(stream, ttl_s);
    return PS_OK;
}

/* The least series that an input is in, and which those are. False: all are at their end. */
static bool next_series(struct ps_merge_stream *stream)
{
    uint32_t least = 0;
    stream->member_count = 0;
    for (size_t i = 0; i < stream->count; i++) {
        struct ps_merge_input *input = &stream->inputs[i];
        uint32_t series = input->info.series;
        if (!input->has_chunk || (stream->member_count && series > least))
            continue;
        if (series < least)
            stream->member_count = 0;
        least = series;
        stream->members[stream->member_count++] = input;
    }
    if (stream->member_count)
        stream->series = least;
    return stream->member_count > 0;
}

/* ---- legs ---- */

static void close_inputs(struct ps_merge_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++)
        ps_merge_input_close(&stream->inputs[i]);
}

static enum ps_status open_inputs(struct ps_merge_stream *stream, const struct ps_run_want *want)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < stream->count && st == PS_OK; i++)
        st = ps_merge_input_open(stream, &stream->inputs[i], want);
    return st;
}

static enum ps_status run_leg(struct ps_merge_stream *stream, const struct ps_run_want *want)
{
    enum ps_status st = ps_keep_load_ttl(stream->keep);
    if (st == PS_OK)
        st = open_inputs(stream, want);
    while (st == PS_OK && stream->weight < stream->leg_bytes) {
        if (!next_series(stream)) {
            stream->finished = !stream->in_series && want->series_to == UINT32_MAX;
            stream->in_series = false;
            break;
        }
        st = look_up_series(stream);
        if (st == PS_OK)
            st = stream->orphaned ? ps_merge_series_skip(stream) : ps_merge_series(stream);
    }
    close_inputs(stream);
    return st;
}

/* Where the next leg begins: inside of the series at hand, or behind it. */
static struct ps_run_want next_leg(const struct ps_merge_stream *stream, bool first)
{
    struct ps_run_want want = { .series_to = UINT32_MAX,
                                .start_ms = INT64_MIN,
                                .end_ms = INT64_MAX };
    if (stream->in_series) {
        want.series_from = want.series_to = stream->series;
        want.start_ms = stream->last_ms; /* exclusive; chunks come whole */
    } else if (!first) {
        want.series_from = stream->series + 1;
    }
    return want;
}

static enum ps_status rest(struct ps_merge_stream *stream)
{
    struct ps_keep *keep = stream->keep;
    enum ps_status st = ps_run_writer_pause(stream->writer);
    if (st != PS_OK)
        return st;
    keep->lent = stream->writing;
    keep->lent_run = stream->run;
    snprintf(keep->lent_name, sizeof keep->lent_name, "%s", stream->name);
    st = ps_keep_breathe(keep);
    keep->lent = NULL;
    return st;
}

static enum ps_status run_legs(struct ps_merge_stream *stream)
{
    enum ps_status st = PS_OK;
    for (bool first = true; st == PS_OK && !stream->finished; first = false) {
        if (!first && !stream->in_series && stream->series == UINT32_MAX)
            break;
        struct ps_run_want want = next_leg(stream, first);
        stream->weight = 0;
        st = run_leg(stream, &want);
        if (st == PS_OK && !stream->finished)
            st = rest(stream);
    }
    return st;
}

static void count_points(struct ps_merge_stream *stream)
{
    struct ps_merge_result *result = stream->result;
    for (size_t i = 0; i < stream->count; i++)
        result->points_in += stream->runs[i].points;
    result->deleted = result->points_in - result->points_out - result->expired - result->orphaned -
                      result->replaced;
}

static enum ps_status make_inputs(struct ps_merge_stream *stream)
{
    stream->inputs = calloc(stream->count, sizeof *stream->inputs);
    stream->members = malloc(stream->count * sizeof *stream->members);
    if (!stream->inputs || !stream->members)
        return PS_ENOMEM;
    for (size_t i = 0; i < stream->count; i++)
        stream->inputs[i].run = &stream->runs[i];
    return PS_OK;
}

static void free_inputs(struct ps_merge_stream *stream)
{
    for (size_t i = 0; stream->inputs && i < stream->count; i++)
        ps_chunk_points_deinit(&stream->inputs[i].points);
    free(stream->inputs);
    free(stream->members);
}

enum ps_status ps_merge_stream_run(struct ps_merge_stream *stream, struct ps_run *out)
{
    set_default_ttl(stream, 0);
    if (!stream->leg_bytes)
        stream->leg_bytes = PS_MERGE_LEG_BYTES;
    enum ps_status st = make_inputs(stream);
    if (st == PS_OK)
        st = ps_run_writer_begin(stream->writing, stream->run, NULL, &stream->writer);
    if (st == PS_OK) {
        st = run_legs(stream);
        if (st == PS_OK)
            st = ps_run_writer_commit(stream->writer, out);
        else
            ps_run_writer_abort(stream->writer);
    }
    free_inputs(stream);
    if (st == PS_OK)
        count_points(stream);
    return st;
}
