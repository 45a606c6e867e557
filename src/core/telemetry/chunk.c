/* A chunk of its own: varint count, zigzag varint first_ms, varint last_ms - first_ms, u8 1 if
 * times to live follow (span), then the columns. */
#include "core/telemetry/chunk.h"

#include <stdlib.h>

#include "core/telemetry/chunk_columns.h"
#include "core/telemetry/chunk_few.h"
#include "core/telemetry/wide_loop.h"

_Static_assert(PS_CHUNK_POINTS_MAX == (int)PS_INT_COLUMN_MAX, "a column holds a chunk");

void ps_chunk_points_deinit(struct ps_chunk_points *points)
{
    if (points->scratch)
        ps_values_decoder_deinit(&points->scratch->values);
    free(points->scratch);
    free(points->points);
    *points = (struct ps_chunk_points){ 0 };
}

enum ps_status ps_chunk_encoder_create(struct ps_chunk_encoder **out)
{
    struct ps_chunk_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder)
        return PS_ENOMEM;
    *out = encoder;
    return PS_OK;
}

void ps_chunk_encoder_destroy(struct ps_chunk_encoder *encoder)
{
    if (!encoder)
        return;
    ps_values_encoder_deinit(&encoder->values);
    free(encoder);
}

PS_WIDE_LOOP
static bool note_many_times(const struct ps_point *points, size_t count, int64_t *times)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        times[i] = points[i].ts_ms;
    for (size_t i = 1; i < count; i++)
        wrong |= (uint64_t)(times[i - 1] >= times[i]);
    return !wrong;
}

void ps_chunk_note_times(const struct ps_point *points, size_t count, int64_t *times)
{
    PS_ASSERT(count >= 1 && count <= PS_CHUNK_POINTS_MAX);
    bool ascends = true;
    if (count > PS_FEW_POINTS) {
        ascends = note_many_times(points, count, times);
    } else {
        times[0] = points[0].ts_ms;
        for (size_t i = 1; i < count; i++) {
            times[i] = points[i].ts_ms;
            ascends &= points[i - 1].ts_ms < points[i].ts_ms;
        }
    }
    PS_ASSERT(ascends);
}

enum ps_status ps_chunk_put_rest(struct ps_chunk_encoder *encoder, struct ps_buf *out,
                                 const struct ps_point *points, const uint32_t *ttl_s,
                                 const struct ps_ttl_span *span, size_t count)
{
    ps_ttl_column_put(out, span, ttl_s, count, encoder->ttl_s, &encoder->values.runs);
    if (!ps_values_put(&encoder->values, out, points, count))
        return PS_ENOMEM;
    return ps_buf_ok(out) ? PS_OK : PS_ENOMEM;
}

enum ps_status ps_chunk_encode(struct ps_chunk_encoder *encoder, const struct ps_point *points,
                               const uint32_t *ttl_s, size_t count, struct ps_buf *out)
{
    size_t start = out->len;
    struct ps_ttl_span span = ps_ttl_span_of(ttl_s, count);
    ps_chunk_note_times(points, count, encoder->times);
    ps_varint_put(out, count);
    ps_varint_put(out, ps_zigzag(points[0].ts_ms));
    ps_varint_put(out, (uint64_t)points[count - 1].ts_ms - (uint64_t)points[0].ts_ms);
    ps_buf_put_char(out, span.max_s > 0);
    if (span.max_s > 0)
        ps_ttl_span_put(out, &span);
    ps_chunk_times_put(out, encoder->times, count, &encoder->lines);
    enum ps_status st = ps_chunk_put_rest(encoder, out, points, ttl_s, &span, count);
    if (st != PS_OK) {
        out->len = start;
        out->failed = false;
    }
    return st;
}

enum ps_status ps_chunk_points_prepare(struct ps_chunk_points *points, size_t count)
{
    points->count = 0;
    points->ttl_s = NULL;
    if (points->cap < count) {
        struct ps_point *grown = malloc(count * sizeof *grown);
        if (!grown)
            return PS_ENOMEM;
        free(points->points); /* nothing in it is kept */
        points->points = grown;
        points->cap = count;
    }
    if (!points->scratch && !(points->scratch = calloc(1, sizeof *points->scratch)))
        return PS_ENOMEM;
    return PS_OK;
}

enum ps_status ps_chunk_take_rest(struct ps_byte_cursor *in, const int64_t *times,
                                  const struct ps_ttl_span *span, size_t count,
                                  struct ps_chunk_points *out)
{
    struct ps_chunk_scratch *scratch = out->scratch;
    if (span->max_s > 0 && !ps_ttl_column_take(in, span, count, scratch->ttl_s, scratch->numbers,
                                               &scratch->values.runs))
        return PS_EPROTO;
    enum ps_status st = ps_values_take(&scratch->values, in, times, count, out->points);
    if (st != PS_OK)
        return st;
    if (in->at != in->end)
        return PS_EPROTO;
    out->count = count;
    out->ttl_s = span->max_s > 0 ? scratch->ttl_s : NULL;
    return PS_OK;
}

struct head {
    size_t count;
    int64_t first_ms, last_ms;
    struct ps_ttl_span ttl;
};

static bool take_head(struct ps_byte_cursor *in, struct head *head)
{
    uint64_t span;
    uint8_t has_ttl;
    *head = (struct head){ .ttl = { .has_default = true } };
    if (!ps_cursor_count(in, PS_CHUNK_POINTS_MAX, &head->count) || head->count == 0 ||
        !ps_cursor_signed(in, &head->first_ms) || !ps_cursor_varint(in, &span) ||
        !ps_cursor_byte(in, &has_ttl) || has_ttl > 1)
        return false;
    head->last_ms = (int64_t)((uint64_t)head->first_ms + span);
    if ((head->count == 1) != (span == 0))
        return false;
    return !has_ttl || ps_ttl_span_take(in, &head->ttl);
}

enum ps_status ps_chunk_decode(const void *bytes, size_t len, struct ps_chunk_points *out)
{
    struct ps_byte_cursor in = { .at = bytes, .end = (const uint8_t *)bytes + len };
    struct head head;
    out->count = 0;
    out->ttl_s = NULL;
    if (!take_head(&in, &head))
        return PS_EPROTO;
    enum ps_status st = ps_chunk_points_prepare(out, head.count);
    if (st != PS_OK)
        return st;
    int64_t *times = out->scratch->times;
    if (!ps_chunk_times_take(&in, head.first_ms, head.last_ms, head.count, times))
        return PS_EPROTO;
    return ps_chunk_take_rest(&in, times, &head.ttl, head.count, out);
}
