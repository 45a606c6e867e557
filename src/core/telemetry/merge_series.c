#include "core/telemetry/merge_series.h"

#include <string.h>

#include "core/telemetry/merge_input.h"

enum { POINT_BYTES = 4 };

/* ---- output ---- */

/* Points on their way out, by time. */
struct piece {
    struct ps_point *points;
    uint32_t *ttl_s; /* NULL: none has its own */
    size_t count;
};

static bool is_dropped(const struct ps_merge_stream *stream, int64_t ts_ms, uint32_t own_ttl_s)
{
    if (!own_ttl_s)
        return stream->drops_default && ts_ms <= stream->drops_up_to_ms;
    return own_ttl_s >= stream->drops_ttl_s &&
           ps_point_is_expired(ts_ms, own_ttl_s, stream->now_ms);
}

static void drop_first(const struct ps_merge_stream *stream, struct piece *piece)
{
    if (!stream->drops_default)
        return;
    while (piece->count && piece->points->ts_ms <= stream->drops_up_to_ms) {
        piece->points++;
        piece->count--;
    }
}

static void drop_among(const struct ps_merge_stream *stream, struct piece *piece)
{
    size_t kept = 0;
    for (size_t i = 0; i < piece->count; i++) {
        if (is_dropped(stream, piece->points[i].ts_ms, piece->ttl_s[i]))
            continue;
        piece->points[kept] = piece->points[i];
        piece->ttl_s[kept++] = piece->ttl_s[i];
    }
    piece->count = kept;
}

static size_t weigh(const struct piece *piece)
{
    size_t bytes = piece->count * POINT_BYTES;
    for (size_t i = 0; i < piece->count; i++) {
        const struct ps_value *value = &piece->points[i].value;
        bytes += value->type >= PS_VALUE_STRING ? value->len : 0;
    }
    return bytes;
}

/* What is expired goes, the rest is ready to be written. */
static void sift(struct ps_merge_stream *stream, struct piece *piece)
{
    size_t count = piece->count;
    stream->weight += weigh(piece);
    if (piece->ttl_s)
        drop_among(stream, piece);
    else
        drop_first(stream, piece);
    stream->result->expired += (int64_t)(count - piece->count);
    stream->result->points_out += (int64_t)piece->count;
}

/* ---- a short series ---- */

/* Whether its members' chunks at hand are all that they have of it, and few. A chunk at the end of
 * a block may have followers that are not known yet. */
static bool is_short(const struct ps_merge_stream *stream)
{
    size_t points = 0;
    for (size_t i = 0; i < stream->member_count; i++) {
        const struct ps_merge_input *input = stream->members[i];
        points += input->info.count;
        if (points > PS_MERGE_SHORT_POINTS || !ps_run_reader_is_last(input->reader))
            return false;
    }
    return !stream->in_series;
}

/* Between points that are there, instead of one of the same time. */
static void insert(struct ps_merge_stream *stream, const struct ps_point *point, uint32_t ttl_s)
{
    struct ps_merge_short *all = &stream->gathered;
    size_t at = all->count;
    while (at && all->points[at - 1].ts_ms > point->ts_ms)
        at--;
    if (at && all->points[at - 1].ts_ms == point->ts_ms) {
        stream->result->replaced++;
        at--;
    } else {
        memmove(all->points + at + 1, all->points + at, (all->count - at) * sizeof *all->points);
        memmove(all->ttl_s + at + 1, all->ttl_s + at, (all->count - at) * sizeof *all->ttl_s);
        all->count++;
    }
    all->points[at] = *point;
    all->ttl_s[at] = ttl_s;
}

/* Mostly what arrived later is of a later time. */
static void gather(struct ps_merge_stream *stream, const struct ps_chunk_points *from)
{
    struct ps_merge_short *all = &stream->gathered;
    all->has_ttl |= from->ttl_s != NULL;
    for (size_t i = 0; i < from->count; i++) {
        const struct ps_point *point = &from->points[i];
        uint32_t ttl_s = from->ttl_s ? from->ttl_s[i] : 0;
        if (all->count && all->points[all->count - 1].ts_ms >= point->ts_ms) {
            insert(stream, point, ttl_s);
            continue;
        }
        all->points[all->count] = *point;
        all->ttl_s[all->count++] = ttl_s;
    }
}

static enum ps_status merge_short(struct ps_merge_stream *stream)
{
    struct ps_merge_short *all = &stream->gathered;
    enum ps_status st = PS_OK;
    all->count = 0;
    all->has_ttl = false;
    for (size_t i = 0; i < stream->member_count && st == PS_OK; i++) {
        st = ps_merge_input_decode(stream, stream->members[i]);
        if (st == PS_OK)
            gather(stream, &stream->members[i]->points);
    }
    if (st != PS_OK)
        return st;
    struct piece piece = { all->points, all->has_ttl ? all->ttl_s : NULL, all->count };
    sift(stream, &piece);
    st = ps_run_writer_add_series(stream->writer, stream->series, piece.points, piece.ttl_s,
                                  piece.count);
    /* Only now: texts live in the inputs' chunks. */
    for (size_t i = 0; i < stream->member_count && st == PS_OK; i++)
        st = ps_merge_input_next(stream, stream->members[i]);
    return st;
}

/* ---- any series ---- */

static bool is_in(const struct ps_merge_stream *stream, const struct ps_merge_input *input)
{
    return ps_merge_input_is_in(input, stream->series);
}

/* Of a chunk that is not decoded yet: no later than its first point that counts. */
static int64_t ts_of(const struct ps_merge_input *input)
{
    return input->decoded ? input->points.points[input->at].ts_ms : input->info.first_ms;
}

/* Afterwards the input has a point at hand, or is in another series or at its end. */
static enum ps_status decode(struct ps_merge_stream *stream, struct ps_merge_input *input)
{
    enum ps_status st = ps_merge_input_decode(stream, input);
    return st == PS_OK && !input->points.count ? ps_merge_input_next(stream, input) : st;
}

static enum ps_status advance(struct ps_merge_stream *stream, struct ps_merge_input *input,
                              size_t points)
{
    input->at += points;
    return input->at < input->points.count ? PS_OK : ps_merge_input_next(stream, input);
}

/* Hand on `count` points of an input. */
static enum ps_status emit(struct ps_merge_stream *stream, struct ps_merge_input *input,
                           size_t count)
{
    struct piece piece = { .points = input->points.points + input->at,
                           .ttl_s = input->points.ttl_s ? input->points.ttl_s + input->at : NULL,
                           .count = count };
    stream->last_ms = piece.points[count - 1].ts_ms;
    stream->in_series = true;
    sift(stream, &piece);
    enum ps_status st =
        ps_run_writer_add(stream->writer, stream->series, piece.points, piece.ttl_s, piece.count);
    return st == PS_OK ? advance(stream, input, count) : st;
}

/* The input whose next point is first; of equal ones the latest arrival. *limit_ms: the others have
 * nothing before it; *alone: they have nothing at all. */
static struct ps_merge_input *choose(struct ps_merge_stream *stream, int64_t *limit_ms, bool *alone)
{
    struct ps_merge_input *first = NULL;
    *alone = true;
    for (size_t i = 0; i < stream->member_count; i++) {
        struct ps_merge_input *input = stream->members[i];
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
    for (size_t i = 0; i < stream->member_count && st == PS_OK; i++) {
        struct ps_merge_input *input = stream->members[i];
        if (input == chosen || !is_in(stream, input) || ts_of(input) != ts_ms)
            continue;
        if (!input->decoded) {
            *settled = false;
            return decode(stream, input);
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
        return decode(stream, input);
    if (alone)
        return emit(stream, input, input->points.count - input->at);
    if (ts_of(input) < limit_ms)
        return emit(stream, input, count_before(input, limit_ms));
    bool settled;
    enum ps_status st = pass_replaced(stream, input, &settled);
    return st == PS_OK && settled ? emit(stream, input, 1) : st;
}

static enum ps_status merge_long(struct ps_merge_stream *stream)
{
    enum ps_status st = PS_OK;
    while (st == PS_OK && stream->weight < stream->leg_bytes) {
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

enum ps_status ps_merge_series(struct ps_merge_stream *stream)
{
    return is_short(stream) ? merge_short(stream) : merge_long(stream);
}

enum ps_status ps_merge_series_skip(struct ps_merge_stream *stream)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < stream->member_count; i++) {
        struct ps_merge_input *input = stream->members[i];
        while (st == PS_OK && is_in(stream, input)) {
            stream->result->orphaned += input->info.count;
            st = ps_merge_input_next(stream, input);
        }
    }
    return st;
}
