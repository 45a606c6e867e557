#include "core/telemetry/journal.h"

#include <math.h>
#include <xxhash.h>

enum {
    VERSION = 2,
    VERSION_WITHOUT_TTL = 1,
    HEADER_BYTES = 9,
    RECORD_BYTES_MAX = 10 + 10 + 1 + 5 + 10, /* without text */
    DECIMALS_MAX = 6,
};

enum kind {
    KIND_FALSE = 1,
    KIND_TRUE = 2,
    KIND_LONG = 3,
    KIND_DOUBLE = 4,
    KIND_STRING = 5,
    KIND_JSON = 6,
    KIND_DECIMAL = 16,
    KIND_HAS_TTL = 128, /* added to the others */
};

static const double powers_of_ten[DECIMALS_MAX + 1] = { 1, 10, 100, 1e3, 1e4, 1e5, 1e6 };

void ps_journal_begin(struct ps_journal_encoder *encoder, struct ps_buf *out)
{
    *encoder = (struct ps_journal_encoder){ .out = out, .start = out->len };
    static const uint8_t header[HEADER_BYTES] = { VERSION };
    ps_buf_put(out, header, sizeof header);
}

/* Is value == *mantissa / 10^decimals, bit for bit? Both are exact in a double below 2^53, and IEEE
 * division rounds correctly, so the test is the decoder's own arithmetic. */
static bool decimal_with(double value, unsigned decimals, int64_t *mantissa)
{
    double scaled = value * powers_of_ten[decimals];
    if (!(fabs(scaled) < 9007199254740992.0))
        return false;
    int64_t whole = (int64_t)scaled;
    whole += (scaled - (double)whole > 0.5) - (scaled - (double)whole < -0.5);
    double back = (double)whole / powers_of_ten[decimals];
    if (memcmp(&back, &value, sizeof back) != 0)
        return false;
    *mantissa = whole;
    return true;
}

static bool as_decimal(struct ps_journal_encoder *encoder, double value, int64_t *mantissa)
{
    if (decimal_with(value, encoder->decimals, mantissa))
        return true;
    for (unsigned k = 0; k <= DECIMALS_MAX; k++) {
        if (decimal_with(value, k, mantissa)) {
            encoder->decimals = k;
            return true;
        }
    }
    return false;
}

static uint8_t *put_kind(uint8_t *at, unsigned kind, uint32_t ttl_s)
{
    if (!ttl_s) {
        *at++ = (uint8_t)kind;
        return at;
    }
    *at++ = (uint8_t)(kind | KIND_HAS_TTL);
    return ps_varint_write(at, ttl_s);
}

static uint8_t *put_double(struct ps_journal_encoder *encoder, uint8_t *at, double value,
                           uint32_t ttl_s)
{
    int64_t mantissa;
    if (as_decimal(encoder, value, &mantissa)) {
        at = put_kind(at, KIND_DECIMAL + encoder->decimals, ttl_s);
        return ps_varint_write(at, ps_zigzag(mantissa));
    }
    at = put_kind(at, KIND_DOUBLE, ttl_s);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

void ps_journal_put(struct ps_journal_encoder *encoder, uint32_t series, int64_t ts_ms,
                    const struct ps_value *value, uint32_t ttl_s)
{
    size_t text_len = value->type >= PS_VALUE_STRING ? value->len : 0;
    if (!ps_buf_reserve(encoder->out, RECORD_BYTES_MAX + text_len))
        return;
    uint8_t *start = (uint8_t *)encoder->out->data + encoder->out->len, *at = start;
    at = ps_varint_write(at, ps_zigzag((int64_t)series - (int64_t)encoder->series));
    at = ps_varint_write(at, ps_zigzag((int64_t)((uint64_t)ts_ms - (uint64_t)encoder->ts_ms)));
    encoder->series = series;
    encoder->ts_ms = ts_ms;
    switch (value->type) {
    case PS_VALUE_NULL:
        PS_ASSERT(!"a null is never stored");
        break;
    case PS_VALUE_BOOLEAN:
        at = put_kind(at, value->boolean ? KIND_TRUE : KIND_FALSE, ttl_s);
        break;
    case PS_VALUE_LONG:
        at = put_kind(at, KIND_LONG, ttl_s);
        at = ps_varint_write(at, ps_zigzag(value->integer));
        break;
    case PS_VALUE_DOUBLE:
        at = put_double(encoder, at, value->real, ttl_s);
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        at = put_kind(at, value->type == PS_VALUE_STRING ? KIND_STRING : KIND_JSON, ttl_s);
        at = ps_varint_write(at, text_len);
        if (text_len)
            memcpy(at, value->text, text_len);
        at += text_len;
        break;
    }
    encoder->out->len += (size_t)(at - start);
}

void ps_journal_finish(struct ps_journal_encoder *encoder)
{
    if (!ps_buf_ok(encoder->out))
        return;
    char *blob = encoder->out->data + encoder->start;
    size_t len = encoder->out->len - encoder->start;
    uint64_t sum = XXH3_64bits(blob + HEADER_BYTES, len - HEADER_BYTES);
    memcpy(blob + 1, &sum, sizeof sum);
}

enum ps_status ps_journal_open(struct ps_journal_decoder *decoder, const void *blob, size_t len)
{
    const uint8_t *bytes = blob;
    uint64_t sum;
    if (len < HEADER_BYTES || (bytes[0] != VERSION && bytes[0] != VERSION_WITHOUT_TTL))
        return PS_EPROTO;
    memcpy(&sum, bytes + 1, sizeof sum);
    if (sum != XXH3_64bits(bytes + HEADER_BYTES, len - HEADER_BYTES))
        return PS_EPROTO;
    *decoder =
        (struct ps_journal_decoder){ .in = { .at = bytes + HEADER_BYTES, .end = bytes + len },
                                     .version = bytes[0] };
    return PS_OK;
}

static inline bool take_text(struct ps_byte_cursor *in, struct ps_value *value)
{
    size_t len;
    const uint8_t *text;
    if (!ps_cursor_count(in, ps_cursor_left(in), &len) || !ps_cursor_bytes(in, len, &text))
        return false;
    value->len = (uint32_t)len;
    value->text = (const char *)text;
    return true;
}

/* The kind, and the time to live that may follow it. */
static inline bool take_kind(struct ps_byte_cursor *in, uint8_t version, uint8_t *kind,
                             uint32_t *ttl_s)
{
    uint64_t ttl = 0;
    if (!ps_cursor_byte(in, kind))
        return false;
    if (*kind & KIND_HAS_TTL && version != VERSION_WITHOUT_TTL) {
        *kind &= (uint8_t)~KIND_HAS_TTL;
        if (!ps_cursor_varint(in, &ttl) || ttl == 0 || ttl > UINT32_MAX)
            return false;
    }
    *ttl_s = (uint32_t)ttl;
    return true;
}

/* What is not a number of varint length. */
static inline bool take_other(struct ps_byte_cursor *in, uint8_t kind, struct ps_value *value)
{
    const uint8_t *bytes;
    value->len = 0;
    switch (kind) {
    case KIND_FALSE:
    case KIND_TRUE:
        value->type = PS_VALUE_BOOLEAN;
        value->integer = 0;
        value->boolean = kind == KIND_TRUE;
        return true;
    case KIND_DOUBLE:
        value->type = PS_VALUE_DOUBLE;
        if (!ps_cursor_bytes(in, sizeof value->real, &bytes))
            return false;
        memcpy(&value->real, bytes, sizeof value->real);
        return true;
    case KIND_STRING:
    case KIND_JSON:
        value->type = kind == KIND_STRING ? PS_VALUE_STRING : PS_VALUE_JSON;
        return take_text(in, value);
    default:
        return false;
    }
}

static inline bool is_number(uint8_t kind)
{
    return kind == KIND_LONG || (uint8_t)(kind - KIND_DECIMAL) <= DECIMALS_MAX;
}

static inline bool take_value(struct ps_byte_cursor *in, uint8_t kind, struct ps_value *value)
{
    int64_t number;
    if (!is_number(kind))
        return take_other(in, kind, value);
    if (!ps_cursor_signed(in, &number))
        return false;
    value->len = 0;
    if (kind == KIND_LONG) {
        value->type = PS_VALUE_LONG;
        value->integer = number;
    } else {
        value->type = PS_VALUE_DOUBLE;
        value->real = (double)number / powers_of_ten[kind - KIND_DECIMAL];
    }
    return true;
}

/* As take_value(), without the value. */
static inline bool skip_value(struct ps_byte_cursor *in, uint8_t kind)
{
    struct ps_value value;
    uint64_t raw;
    return is_number(kind) ? ps_cursor_varint(in, &raw) : take_other(in, kind, &value);
}

/* Whose the next record is, and when: what stands in it as a difference. */
static inline bool take_place(struct ps_byte_cursor *in, uint32_t *series, int64_t *ts_ms)
{
    int64_t jump, later;
    if (!ps_cursor_signed(in, &jump) || !ps_cursor_signed(in, &later))
        return false;
    *series = (uint32_t)((uint64_t)*series + (uint64_t)jump);
    *ts_ms = (int64_t)((uint64_t)*ts_ms + (uint64_t)later);
    return true;
}

/* Whatever happens, the decoder and the record are written at the end only: what stands in the
 * meantime lives in registers. */
static inline enum ps_status next_of(struct ps_journal_decoder *decoder, uint32_t first,
                                     uint32_t last, struct ps_journal_record *record)
{
    struct ps_byte_cursor in = { .at = decoder->in.at, .end = decoder->in.end };
    uint32_t series = decoder->series, index = decoder->index, ttl_s;
    int64_t ts_ms = decoder->ts_ms;
    for (; in.at != in.end; index++) {
        struct ps_value value;
        uint8_t kind;
        if (!take_place(&in, &series, &ts_ms) || !take_kind(&in, decoder->version, &kind, &ttl_s))
            return PS_EPROTO;
        if (series < first || series > last) {
            if (!skip_value(&in, kind))
                return PS_EPROTO;
            continue;
        }
        if (!take_value(&in, kind, &value))
            return PS_EPROTO;
        decoder->in.at = in.at;
        decoder->ts_ms = ts_ms;
        decoder->series = series;
        decoder->index = index + 1;
        *record = (struct ps_journal_record){
            .series = series, .ts_ms = ts_ms, .value = value, .ttl_s = ttl_s, .index = index
        };
        return PS_OK;
    }
    return PS_ENOTFOUND;
}

enum ps_status ps_journal_next_of(struct ps_journal_decoder *decoder, uint32_t first, uint32_t last,
                                  struct ps_journal_record *record)
{
    return next_of(decoder, first, last, record);
}

enum ps_status ps_journal_next(struct ps_journal_decoder *decoder, struct ps_journal_record *record)
{
    return next_of(decoder, 0, UINT32_MAX, record);
}
