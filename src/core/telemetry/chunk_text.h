/* chunk_text: strings or JSON texts of a chunk as a dictionary.
 *
 *     varint  distinct texts, their lengths (int_column)
 *     u8      0 = all their bytes follow; 1 = varint length, zstd frame of them
 *     their bytes, one after another
 *     the texts of the points as numbers of the dictionary, first come first (int_column)
 *
 * zstd is tried on up to PS_CHUNK_TEXT_BYTES_MAX bytes and taken where it saves a sixteenth: texts
 * that repeat are a dictionary's business, texts that resemble each other are zstd's. */
#ifndef PS_CORE_TELEMETRY_CHUNK_TEXT_H
#define PS_CORE_TELEMETRY_CHUNK_TEXT_H

#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/int_column.h"
#include "core/telemetry/point.h"

struct ps_text_encoder;
struct ps_text_decoder;

/** Made on first use; NULL if memory is short. */
struct ps_text_encoder *ps_text_encoder_create(void);
void ps_text_encoder_destroy(struct ps_text_encoder *encoder);
struct ps_text_decoder *ps_text_decoder_create(void);
void ps_text_decoder_destroy(struct ps_text_decoder *decoder);

/** Append the column of `count` texts; ask ps_buf_ok(out). False: memory is short. */
bool ps_text_column_put(struct ps_text_encoder *encoder, struct ps_buf *out,
                        const struct ps_point *points, size_t count,
                        struct ps_int_column_scratch *scratch);

/**
 * Set the values of `count` points to texts of a type. They lie in the bytes of `in` or in the
 * decoder, until its next use.
 * Returns: PS_OK; PS_EPROTO; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_text_column_take(struct ps_text_decoder *decoder, struct ps_byte_cursor *in,
                                   enum ps_value_type type, size_t count, struct ps_point *points,
                                   struct ps_int_column_scratch *scratch);

#endif
