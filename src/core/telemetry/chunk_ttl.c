#include "core/telemetry/chunk_ttl.h"

struct ps_ttl_span ps_ttl_span_of(const uint32_t *ttl_s, size_t count)
{
    struct ps_ttl_span span = { .has_default = !ttl_s };
    for (size_t i = 0; ttl_s && i < count; i++) {
        if (ttl_s[i] == 0) {
            span.has_default = true;
            continue;
        }
        span.max_s = ttl_s[i] > span.max_s ? ttl_s[i] : span.max_s;
        span.min_s = !span.min_s || ttl_s[i] < span.min_s ? ttl_s[i] : span.min_s;
    }
    return span;
}

uint8_t *ps_ttl_span_write(uint8_t *at, const struct ps_ttl_span *span)
{
    at = ps_varint_write(at, span->min_s);
    return ps_varint_write(at, (uint64_t)(span->max_s - span->min_s) << 1 | span->has_default);
}

void ps_ttl_span_put(struct ps_buf *out, const struct ps_ttl_span *span)
{
    uint8_t bytes[PS_TTL_SPAN_BYTES_MAX];
    ps_buf_put(out, bytes, (size_t)(ps_ttl_span_write(bytes, span) - bytes));
}

bool ps_ttl_span_take(struct ps_byte_cursor *in, struct ps_ttl_span *span)
{
    uint64_t min, rest;
    if (!ps_cursor_varint(in, &min) || !ps_cursor_varint(in, &rest) || min == 0 ||
        min > UINT32_MAX || rest >> 1 > UINT32_MAX - min)
        return false;
    *span = (struct ps_ttl_span){ .min_s = (uint32_t)min,
                                  .max_s = (uint32_t)(min + (rest >> 1)),
                                  .has_default = rest & 1 };
    return true;
}

static bool is_uniform(const struct ps_ttl_span *span)
{
    return span->min_s == span->max_s && !span->has_default;
}

void ps_ttl_column_put(struct ps_buf *out, const struct ps_ttl_span *span, const uint32_t *ttl_s,
                       size_t count, int64_t *room, struct ps_int_column_scratch *scratch)
{
    if (span->max_s == 0 || is_uniform(span))
        return;
    for (size_t i = 0; i < count; i++)
        room[i] = ttl_s[i];
    ps_int_column_put(out, room, count, scratch);
}

bool ps_ttl_column_take(struct ps_byte_cursor *in, const struct ps_ttl_span *span, size_t count,
                        uint32_t *out, int64_t *room, struct ps_int_column_scratch *scratch)
{
    if (is_uniform(span)) {
        for (size_t i = 0; i < count; i++)
            out[i] = span->min_s;
        return true;
    }
    if (!ps_int_column_take(in, count, room, scratch))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool possible =
            room[i] == 0 ? span->has_default : room[i] >= span->min_s && room[i] <= span->max_s;
        if (!possible)
            return false;
        out[i] = (uint32_t)room[i];
    }
    return true;
}
