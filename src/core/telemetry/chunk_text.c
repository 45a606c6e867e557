#include "core/telemetry/chunk_text.h"

#include <stdlib.h>
#include <xxhash.h>
#include <zstd.h>

#include "core/telemetry/chunk.h"

enum {
    SLOTS = 2 * PS_CHUNK_POINTS_MAX, /* a power of two */
    ZSTD_LEVEL = 3,
    ZSTD_BYTES_MIN = 64, /* less has nothing to find, and a frame costs ten bytes */
    ZSTD_GAIN = 16,      /* one part in so many must be saved */
    HEAP_PLAIN = 0,
    HEAP_ZSTD = 1,
};

struct ps_text_encoder {
    ZSTD_CCtx *zstd;
    struct ps_buf heap, packed;
    size_t texts;
    uint32_t first[PS_CHUNK_POINTS_MAX]; /* the point that brought each text */
    int64_t numbers[PS_CHUNK_POINTS_MAX], lengths[PS_CHUNK_POINTS_MAX];
    uint16_t slots[SLOTS]; /* number of a text + 1; 0 = free */
};

struct ps_text_decoder {
    ZSTD_DCtx *zstd;
    struct ps_buf heap;
    int64_t numbers[PS_CHUNK_POINTS_MAX], lengths[PS_CHUNK_POINTS_MAX];
    const char *texts[PS_CHUNK_POINTS_MAX];
};

struct ps_text_encoder *ps_text_encoder_create(void)
{
    struct ps_text_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder && !(encoder->zstd = ZSTD_createCCtx())) {
        free(encoder);
        return NULL;
    }
    return encoder;
}

void ps_text_encoder_destroy(struct ps_text_encoder *encoder)
{
    if (!encoder)
        return;
    ZSTD_freeCCtx(encoder->zstd);
    ps_buf_deinit(&encoder->heap);
    ps_buf_deinit(&encoder->packed);
    free(encoder);
}

struct ps_text_decoder *ps_text_decoder_create(void)
{
    struct ps_text_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder && !(decoder->zstd = ZSTD_createDCtx())) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

void ps_text_decoder_destroy(struct ps_text_decoder *decoder)
{
    if (!decoder)
        return;
    ZSTD_freeDCtx(decoder->zstd);
    ps_buf_deinit(&decoder->heap);
    free(decoder);
}

static bool same_text(const struct ps_value *a, const struct ps_value *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->text, b->text, a->len) == 0);
}

/* The number of a text, a new one if it has none yet. */
static size_t number_of(struct ps_text_encoder *encoder, const struct ps_point *points, size_t i)
{
    const struct ps_value *value = &points[i].value;
    size_t slot = value->len ? XXH3_64bits(value->text, value->len) % SLOTS : 0;
    for (; encoder->slots[slot]; slot = (slot + 1) % SLOTS) {
        size_t number = encoder->slots[slot] - 1u;
        if (same_text(&points[encoder->first[number]].value, value))
            return number;
    }
    encoder->first[encoder->texts] = (uint32_t)i;
    encoder->lengths[encoder->texts] = value->len;
    encoder->slots[slot] = (uint16_t)++encoder->texts;
    ps_buf_put(&encoder->heap, value->text, value->len);
    return encoder->texts - 1;
}

static void build_dictionary(struct ps_text_encoder *encoder, const struct ps_point *points,
                             size_t count)
{
    encoder->texts = 0;
    ps_buf_clear(&encoder->heap);
    memset(encoder->slots, 0, sizeof encoder->slots);
    for (size_t i = 0; i < count; i++)
        encoder->numbers[i] = (int64_t)number_of(encoder, points, i);
}

/* Bytes in encoder->packed that are worth writing instead of the heap; 0 = none. */
static size_t compress_heap(struct ps_text_encoder *encoder)
{
    size_t len = encoder->heap.len, bound = ZSTD_compressBound(len);
    if (len < ZSTD_BYTES_MIN || len > PS_CHUNK_TEXT_BYTES_MAX)
        return 0;
    ps_buf_clear(&encoder->packed);
    if (!ps_buf_reserve(&encoder->packed, bound))
        return 0; /* plain is right as well */
    size_t packed = ZSTD_compressCCtx(encoder->zstd, encoder->packed.data, bound,
                                      encoder->heap.data, len, ZSTD_LEVEL);
    return !ZSTD_isError(packed) && packed < len - len / ZSTD_GAIN ? packed : 0;
}

bool ps_text_column_put(struct ps_text_encoder *encoder, struct ps_buf *out,
                        const struct ps_point *points, size_t count,
                        struct ps_int_column_scratch *scratch)
{
    build_dictionary(encoder, points, count);
    if (!ps_buf_ok(&encoder->heap))
        return false;
    ps_varint_put(out, encoder->texts);
    ps_int_column_put(out, encoder->lengths, encoder->texts, scratch);
    size_t packed = compress_heap(encoder);
    ps_buf_put_char(out, packed ? HEAP_ZSTD : HEAP_PLAIN);
    if (packed) {
        ps_varint_put(out, packed);
        ps_buf_put(out, encoder->packed.data, packed);
    } else {
        ps_buf_put(out, encoder->heap.data, encoder->heap.len);
    }
    ps_int_column_put(out, encoder->numbers, count, scratch);
    return true;
}

static enum ps_status take_packed(struct ps_text_decoder *decoder, struct ps_byte_cursor *in,
                                  size_t len, const char **heap)
{
    size_t packed;
    const uint8_t *bytes;
    if (len > PS_CHUNK_TEXT_BYTES_MAX || !ps_cursor_count(in, ps_cursor_left(in), &packed) ||
        !ps_cursor_bytes(in, packed, &bytes))
        return PS_EPROTO;
    ps_buf_clear(&decoder->heap);
    if (!ps_buf_reserve(&decoder->heap, len + 1))
        return PS_ENOMEM;
    size_t got = ZSTD_decompressDCtx(decoder->zstd, decoder->heap.data, len, bytes, packed);
    if (ZSTD_isError(got) || got != len)
        return PS_EPROTO;
    *heap = decoder->heap.data;
    return PS_OK;
}

static enum ps_status take_heap(struct ps_text_decoder *decoder, struct ps_byte_cursor *in,
                                size_t len, const char **heap)
{
    uint8_t form;
    const uint8_t *bytes;
    if (!ps_cursor_byte(in, &form) || form > HEAP_ZSTD)
        return PS_EPROTO;
    if (form == HEAP_ZSTD)
        return take_packed(decoder, in, len, heap);
    if (!ps_cursor_bytes(in, len, &bytes))
        return PS_EPROTO;
    *heap = (const char *)bytes;
    return PS_OK;
}

/* Lengths of the dictionary and their sum. */
static bool take_lengths(struct ps_text_decoder *decoder, struct ps_byte_cursor *in, size_t count,
                         size_t *texts, size_t *total, struct ps_int_column_scratch *scratch)
{
    if (!ps_cursor_count(in, count, texts) || *texts == 0 ||
        !ps_int_column_take(in, *texts, decoder->lengths, scratch))
        return false;
    *total = 0;
    for (size_t i = 0; i < *texts; i++) {
        if (decoder->lengths[i] < 0 || decoder->lengths[i] > UINT32_MAX)
            return false;
        *total += (size_t)decoder->lengths[i]; /* 4096 * 2^32: no overflow */
    }
    return true;
}

enum ps_status ps_text_column_take(struct ps_text_decoder *decoder, struct ps_byte_cursor *in,
                                   enum ps_value_type type, size_t count, struct ps_point *points,
                                   struct ps_int_column_scratch *scratch)
{
    size_t texts, total;
    const char *heap;
    if (!take_lengths(decoder, in, count, &texts, &total, scratch))
        return PS_EPROTO;
    enum ps_status st = take_heap(decoder, in, total, &heap);
    if (st != PS_OK)
        return st;
    for (size_t i = 0; i < texts; i++) {
        decoder->texts[i] = heap;
        heap += decoder->lengths[i];
    }
    if (!ps_int_column_take(in, count, decoder->numbers, scratch))
        return PS_EPROTO;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = (uint64_t)decoder->numbers[i];
        if (number >= texts)
            return PS_EPROTO;
        points[i].value = (struct ps_value){ .type = type,
                                             .len = (uint32_t)decoder->lengths[number],
                                             .text = decoder->texts[number] };
    }
    return PS_OK;
}
