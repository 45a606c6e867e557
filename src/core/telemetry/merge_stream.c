#include "core/telemetry/merge_stream.h"

#include <stdio.h>
#include <stdlib.h>

enum { LEG_BYTES = 8 << 20, POINT_BYTES = 4 };

struct ps_merge_input {
    const struct ps_run *run;
    struct ps_run_reader *reader;
    bool has_chunk, decoded;
    struct ps_chunk_info info; /* of the chunk at hand */
    size_t at;                 /* in the decoded points */
    struct ps_chunk_points points;
};

/* ---- one input ---- */

static enum ps_status failed(struct ps_merge_stream *stream, const struct ps_merge_input *input,
                             enum ps_status st)
{
    if (st != PS_OK && st != PS_ENOMEM)
        ps_text_set(&stream->why, "%s", ps_run_reader_error(input->reader));
    return st;
}

static enum ps_status next_chunk(struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    enum ps_status st = ps_run_reader_next(input->reader, &input->info);
    input->has_chunk = st == PS_OK;
    input->decoded = false;
    input->at = 0;
    return st == PS_ENOTFOUND ? PS_OK : failed(stream, input, st);
}

static bool is_in(const struct ps_merge_stream *stream, const struct ps_merge_input *input)
{
    return input->has_chunk && input->info.series == stream->series;
}

/* Of a chunk that is not decoded yet: no later than its first point that counts. */
static int64_t ts_of(const struct ps_merge_input *input)
{
    return input->decoded ? input->points.points[input->at].ts_ms : input->info.first_ms;
}

static void move_point(struct ps_chunk_points *points, size_t from, size_t to)
{
    points->points[to] = points->points[from];
    if (points->ttl_s)
        points->ttl_s[to] = points->ttl_s[from];
}

static bool is_deleted(const struct ps_merge_stream *stream, const struct ps_merge_input *input,
                       int64_t ts_ms)
{
    for (size_t i = stream->first_tombstone; i < stream->tombstone_end; i++) {
        const struct ps_tombstone *tombstone = &stream->tombstones->items[i];
        if (input->run->journal_last < tombstone->seq && ps_tombstone_covers(tombstone, ts_ms))
            return true;
    }
    return false;
}

/* What a leg before this one has written comes again where it ended inside a chunk. */
static void drop_unwanted(struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    struct ps_chunk_points *points = &input->points;
    bool resumed = stream->in_series && input->info.first_ms <= stream->last_ms;
    size_t kept = 0;
    if (stream->first_tombstone == stream->tombstone_end && !resumed)
        return;
    for (size_t i = 0; i < points->count; i++) {
        int64_t ts_ms = points->points[i].ts_ms;
        if (!(resumed && ts_ms <= stream->last_ms) && !is_deleted(stream, input, ts_ms))
            move_point(points, i, kept++);
    }
    points->count = kept;
}

/* Afterwards the input has a point at hand, or is in another series or at its end. */
static enum ps_status decode_chunk(struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    enum ps_status st = ps_run_reader_decode(input->reader, &input->points);
    if (st != PS_OK)
        return failed(stream, input, st);
    input->decoded = true;
    input->at = 0;
    drop_unwanted(stream, input);
    return input->points.count ? PS_OK : next_chunk(stream, input);
}

static enum ps_status advance(struct ps_merge_stream *stream, struct ps_merge_input *input,
                              size_t points)
{
    input->at += points;
    return input->at < input->points.count ? PS_OK : next_chunk(stream, input);
}

/* ---- output ---- */

static bool is_dropped(const struct ps_merge_stream *stream, int64_t ts_ms, uint32_t own_ttl_s)
{
    uint32_t ttl_s = own_ttl_s ? own_ttl_s : stream->default_ttl_s;
    return ttl_s >= stream->drops_ttl_s && ps_point_is_expired(ts_ms, ttl_s, stream->now_ms);
}

static size_t drop_expired(struct ps_merge_stream *stream, struct ps_point *points, uint32_t *ttl_s,
                           size_t count)
{
    size_t kept = 0;
    if (!ttl_s && !stream->default_ttl_s)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (is_dropped(stream, points[i].ts_ms, ttl_s ? ttl_s[i] : 0))
            continue;
        points[kept] = points[i];
        if (ttl_s)
            ttl_s[kept] = ttl_s[i];
        kept++;
    }
    stream->result->expired += (int64_t)(count - kept);
    return kept;
}

static size_t weigh(const struct ps_point *points, size_t count)
{
    size_t bytes = count * POINT_BYTES;
    for (size_t i = 0; i < count; i++)
        bytes += points[i].value.type >= PS_VALUE_STRING ? points[i].value.len : 0;
    return bytes;
}

/* Hand on `count` points of an input. */
static enum ps_status emit(struct ps_merge_stream *stream, struct ps_merge_input *input,
                           size_t count)
{
    struct ps_point *points = input->points.points + input->at;
    uint32_t *ttl_s = input->points.ttl_s ? input->points.ttl_s + input->at : NULL;
    stream->last_ms = points[count - 1].ts_ms;
    stream->in_series = true;
    stream->weight += weigh(points, count);
    size_t kept = drop_expired(stream, points, ttl_s, count);
    stream->result->points_out += (int64_t)kept;
    enum ps_status st = ps_run_writer_add(stream->writer, stream->series, points, ttl_s, kept);
    return st == PS_OK ? advance(stream, input, count) : st;
}

/* ---- one series ---- */

static size_t find_tombstone(const struct ps_tombstone_list *list, uint64_t series)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t seconds(uint32_t ttl_s)
{
    return ttl_s ? ttl_s : UINT64_MAX;
}

static enum ps_status look_up_series(struct ps_merge_stream *stream)
{
    stream->first_tombstone = find_tombstone(stream->tombstones, stream->series);
    stream->tombstone_end = find_tombstone(stream->tombstones, (uint64_t)stream->series + 1);
    enum ps_status st = ps_keep_default_ttl(stream->keep, stream->series, &stream->default_ttl_s);
    stream->orphaned = st == PS_ENOTFOUND;
    if (stream->orphaned)
        return PS_OK;
    stream->drops_ttl_s = stream->older_ttl_s;
    if (stream->older_default_ttl && seconds(stream->default_ttl_s) > stream->drops_ttl_s)
        stream->drops_ttl_s = seconds(stream->default_ttl_s);
    return st;
}

/* The input whose next point is first; of equal ones the latest arrival. *limit_ms: the others have
 * nothing before it; *alone: they have nothing at all. */
static struct ps_merge_input *choose(struct ps_merge_stream *stream, int64_t *limit_ms, bool *alone)
{
    struct ps_merge_input *first = NULL;
    *alone = true;
    for (size_t i = 0; i < stream->count; i++) {
        struct ps_merge_input *input = &stream->inputs[i];
        if (!is_in(stream, input))
            continue;
        int64_t other_ms = ts_of(input);
        if (!first) {
            first = input;
            continue;
        }
        if (ts_of(input) <= ts_of(first)) {
            other_ms = ts_of(first);
            first = input;
        }
        *limit_ms = *alone || other_ms < *limit_ms ? other_ms : *limit_ms;
        *alone = false;
    }
    return first;
}

/* How many points of the input are before limit_ms. */
static size_t count_before(const struct ps_merge_input *input, int64_t limit_ms)
{
    size_t low = input->at, high = input->points.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (input->points.points[middle].ts_ms < limit_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low - input->at;
}

/* Earlier arrivals at the same time as the chosen input's point are passed over. *settled = false:
 * one of them had to be decoded first. */
static enum ps_status pass_replaced(struct ps_merge_stream *stream,
                                    const struct ps_merge_input *chosen, bool *settled)
{
    enum ps_status st = PS_OK;
    int64_t ts_ms = ts_of(chosen);
    *settled = true;
    for (size_t i = 0; i < stream->count && st == PS_OK; i++) {
        struct ps_merge_input *input = &stream->inputs[i];
        if (input == chosen || !is_in(stream, input) || ts_of(input) != ts_ms)
            continue;
        if (!input->decoded) {
            *settled = false;
            return decode_chunk(stream, input);
        }
        stream->result->replaced++;
        st = advance(stream, input, 1);
    }
    return st;
}

static enum ps_status merge_step(struct ps_merge_stream *stream, struct ps_merge_input *input,
                                 int64_t limit_ms, bool alone)
{
    if (!input->decoded)
        return decode_chunk(stream, input);
    if (alone)
        return emit(stream, input, input->points.count - input->at);
    if (ts_of(input) < limit_ms)
        return emit(stream, input, count_before(input, limit_ms));
    bool settled;
    enum ps_status st = pass_replaced(stream, input, &settled);
    return st == PS_OK && settled ? emit(stream, input, 1) : st;
}

/* PS_OK: the series is done, or (weight) the leg is. */
static enum ps_status merge_series(struct ps_merge_stream *stream)
{
    enum ps_status st = PS_OK;
    while (st == PS_OK && stream->weight < LEG_BYTES) {
        int64_t limit_ms = INT64_MAX;
        bool alone;
        struct ps_merge_input *input = choose(stream, &limit_ms, &alone);
        if (!input) {
            stream->in_series = false;
            return PS_OK;
        }
        st = merge_step(stream, input, limit_ms, alone);
    }
    return st;
}

static enum ps_status skip_series(struct ps_merge_stream *stream)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < stream->count; i++) {
        while (st == PS_OK && is_in(stream, &stream->inputs[i])) {
            stream->result->orphaned += stream->inputs[i].info.count;
            st = next_chunk(stream, &stream->inputs[i]);
        }
    }
    return st;
}

/* ---- legs ---- */

static void close_inputs(struct ps_merge_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        ps_run_reader_close(stream->inputs[i].reader);
        stream->inputs[i].reader = NULL;
        stream->inputs[i].has_chunk = stream->inputs[i].decoded = false;
    }
}

static enum ps_status open_inputs(struct ps_merge_stream *stream, const struct ps_run_want *want)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < stream->count && st == PS_OK; i++) {
        struct ps_merge_input *input = &stream->inputs[i];
        input->run = &stream->runs[i];
        st = ps_run_reader_open(stream->reading, input->run->run, want, &input->reader);
        if (st == PS_ENOTFOUND) { /* the manifest says it is there: no merge may lose it */
            ps_text_set(&stream->why, "run %lld is missing", (long long)input->run->run);
            return PS_EPROTO;
        }
        if (st != PS_OK)
            ps_text_set(&stream->why, "%s", ps_run_file_error(stream->reading));
        if (st == PS_OK)
            st = next_chunk(stream, input);
    }
    return st;
}

/* The least series that an input is in. False: all are at their end. */
static bool least_series(const struct ps_merge_stream *stream, uint32_t *out)
{
    bool found = false;
    for (size_t i = 0; i < stream->count; i++) {
        const struct ps_merge_input *input = &stream->inputs[i];
        if (input->has_chunk && (!found || input->info.series < *out)) {
            *out = input->info.series;
            found = true;
        }
    }
    return found;
}

static enum ps_status run_leg(struct ps_merge_stream *stream, const struct ps_run_want *want)
{
    enum ps_status st = open_inputs(stream, want);
    while (st == PS_OK && stream->weight < LEG_BYTES) {
        uint32_t series = 0;
        if (!least_series(stream, &series)) {
            stream->finished = !stream->in_series && want->series_to == UINT32_MAX;
            stream->in_series = false;
            break;
        }
        stream->series = series;
        st = look_up_series(stream);
        if (st == PS_OK)
            st = stream->orphaned ? skip_series(stream) : merge_series(stream);
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

enum ps_status ps_merge_stream_run(struct ps_merge_stream *stream, struct ps_run *out)
{
    stream->inputs = calloc(stream->count, sizeof *stream->inputs);
    if (!stream->inputs)
        return PS_ENOMEM;
    enum ps_status st = ps_run_writer_begin(stream->writing, stream->run, NULL, &stream->writer);
    if (st == PS_OK) {
        st = run_legs(stream);
        if (st == PS_OK)
            st = ps_run_writer_commit(stream->writer, out);
        else
            ps_run_writer_abort(stream->writer);
    }
    for (size_t i = 0; i < stream->count; i++)
        ps_chunk_points_deinit(&stream->inputs[i].points);
    free(stream->inputs);
    if (st == PS_OK)
        count_points(stream);
    return st;
}
