/* chunk_values: the values of a chunk, whatever their types.
 *
 * One byte tells the kind in its low bits, and for decimals their places in its high ones:
 *     bool     0 and 1 (int_column)
 *     long     int_column
 *     decimal  mantissas (int_column) of value = mantissa / 10^places; the same rounded to float;
 *              the same where whole numbers are LONG and others DOUBLE, as JSON prints them. With
 *              exceptions: varint count, varint distances of their positions, 8 bytes each
 *     bits     u8 shift, then the doubles' bits >> shift (int_column): neighbours of similar size
 *              share sign, exponent and some mantissa, which a frame of reference leaves out
 *     string, json  chunk_text
 *     mixed    the types of the points (int_column), then a column for each type there is */
#ifndef PS_CORE_TELEMETRY_CHUNK_VALUES_H
#define PS_CORE_TELEMETRY_CHUNK_VALUES_H

#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/chunk_decimal.h"
#include "core/telemetry/chunk_text.h"

/* All of it reused from chunk to chunk; zeroed = fresh. */
struct ps_values_encoder {
    struct ps_text_encoder *text; /* owned; made on first use */
    struct ps_decimals decimals;  /* of the column put last, if `decimal` */
    /* Of the chunk put last, if it had more than a few points: 1 << ps_value_type, all of them. */
    unsigned types;
    bool decimal;        /* one decimal column, without exceptions, not single */
    unsigned few_places; /* of the last chunk of a few decimals */
    int64_t numbers[PS_INT_COLUMN_MAX];
    struct ps_point some[PS_INT_COLUMN_MAX]; /* points of one type of a mixed chunk */
    struct ps_int_column_scratch runs;
};

struct ps_values_decoder {
    struct ps_text_decoder *text[2]; /* owned; made on first use; a mixed chunk may need both */
    int64_t numbers[PS_INT_COLUMN_MAX];
    uint8_t types[PS_INT_COLUMN_MAX];
    struct ps_point *some; /* owned; made on first use, for mixed chunks */
    struct ps_int_column_scratch runs;
};

void ps_values_encoder_deinit(struct ps_values_encoder *encoder);
void ps_values_decoder_deinit(struct ps_values_decoder *decoder);

/** Append the column; ask ps_buf_ok(out). False: memory is short. */
bool ps_values_put(struct ps_values_encoder *encoder, struct ps_buf *out,
                   const struct ps_point *points, size_t count);

/** Make `count` points of the times and the column. Returns: PS_OK; PS_EPROTO; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_values_take(struct ps_values_decoder *decoder, struct ps_byte_cursor *in,
                              const int64_t *times, size_t count, struct ps_point *points);

#endif
