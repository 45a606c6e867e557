/* Chunks: no bytes read or written outside, and what decodes encodes to the same points again.
 *
 * The first byte chooses: even = the rest is a chunk; odd = the rest makes points, by the recipe of
 * make_points(), which must come back bit for bit. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct ps_point *points, const uint32_t *ttl_s, size_t count)
{
    static struct ps_chunk_encoder *encoder; /* scratch: making it takes longer than all else */
    struct ps_chunk_points again = { 0 };
    struct ps_buf bytes = { 0 };
    PS_ASSERT(encoder || ps_chunk_encoder_create(&encoder) == PS_OK);
    PS_ASSERT(ps_chunk_encode(encoder, points, ttl_s, count, &bytes) == PS_OK);
    PS_ASSERT(ps_chunk_decode(bytes.data, bytes.len, &again) == PS_OK);
    PS_ASSERT(again.count == count);
    for (size_t i = 0; i < count; i++) {
        PS_ASSERT(again.points[i].ts_ms == points[i].ts_ms);
        PS_ASSERT(ps_value_equal(&again.points[i].value, &points[i].value));
        PS_ASSERT((again.ttl_s ? again.ttl_s[i] : 0) == (ttl_s ? ttl_s[i] : 0));
    }
    ps_chunk_points_deinit(&again);
    ps_buf_deinit(&bytes);
}

static void read_chunk(const uint8_t *bytes, size_t len)
{
    struct ps_chunk_points points = { 0 };
    uint8_t *exact = malloc(len ? len : 1);
    memcpy(exact, bytes, len);
    if (ps_chunk_decode(exact, len, &points) == PS_OK)
        check_again(points.points, points.ttl_s, points.count);
    ps_chunk_points_deinit(&points);
    free(exact);
}

struct source {
    const uint8_t *at, *end;
};

/* `len` bytes as a number; zero beyond the end. */
static uint64_t take(struct source *source, size_t len)
{
    uint64_t value = 0;
    size_t left = (size_t)(source->end - source->at);
    len = len < left ? len : left;
    memcpy(&value, source->at, len);
    source->at += len;
    return value;
}

static struct ps_value make_value(struct source *source, unsigned type)
{
    struct ps_value value = { .type = (enum ps_value_type)(1 + type % 5) };
    uint64_t bits;
    switch (value.type) {
    case PS_VALUE_BOOLEAN:
        value.boolean = take(source, 1) & 1;
        break;
    case PS_VALUE_LONG:
        value.integer = (int64_t)take(source, type & 8 ? 8 : 1);
        break;
    case PS_VALUE_DOUBLE:
        bits = take(source, type & 8 ? 8 : 2);
        value.real = (double)(int16_t)bits / (type & 16 ? 100 : 10);
        if (type & 8)
            memcpy(&value.real, &bits, sizeof bits);
        if (type & 32)
            value.real = (double)(float)value.real;
        break;
    default:
        value.len = (uint32_t)take(source, 1) % 40;
        if (value.len > source->end - source->at)
            value.len = (uint32_t)(source->end - source->at);
        value.text = (const char *)source->at;
        source->at += value.len % 3; /* the next may be the same */
        break;
    }
    return value;
}

/* A byte of flags: type, whether it changes with each point, width of steps; then steps and values
 * till the bytes end. */
static void write_points(const uint8_t *bytes, size_t len)
{
    enum { COUNT_MAX = 600 };
    static struct ps_point points[COUNT_MAX];
    static uint32_t ttl_s[COUNT_MAX];
    struct source source = { bytes, bytes + len };
    unsigned flags = (unsigned)take(&source, 1), type = (unsigned)take(&source, 1);
    int64_t at = (int64_t)take(&source, flags & 1 ? 8 : 6);
    size_t count = 0;
    while (source.at < source.end && count < COUNT_MAX) {
        if (flags & 2)
            type = (unsigned)take(&source, 1);
        points[count] = (struct ps_point){ at, make_value(&source, type) };
        ttl_s[count] = flags & 4 ? (uint32_t)take(&source, 1) / 16 : 0;
        uint64_t step = take(&source, flags & 8 ? 8 : flags & 16 ? 1 : 0);
        count++;
        if (__builtin_add_overflow(at, (int64_t)(step >> 1 | 1), &at))
            break;
    }
    if (count)
        check_again(points, flags & 4 ? ttl_s : NULL, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        read_chunk(data + 1, size - 1);
    else
        write_points(data + 1, size - 1);
    return 0;
}
