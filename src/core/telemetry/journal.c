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

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

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
    return put_varint(at, ttl_s);
}

static uint8_t *put_double(struct ps_journal_encoder *encoder, uint8_t *at, double value,
                           uint32_t ttl_s)
{
    int64_t mantissa;
    if (as_decimal(encoder, value, &mantissa)) {
        at = put_kind(at, KIND_DECIMAL + encoder->decimals, ttl_s);
        return put_varint(at, zigzag(mantissa));
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
    at = put_varint(at, zigzag((int64_t)series - (int64_t)encoder->series));
    at = put_varint(at, zigzag((int64_t)((uint64_t)ts_ms - (uint64_t)encoder->ts_ms)));
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
        at = put_varint(at, zigzag(value->integer));
        break;
    case PS_VALUE_DOUBLE:
        at = put_double(encoder, at, value->real, ttl_s);
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        at = put_kind(at, value->type == PS_VALUE_STRING ? KIND_STRING : KIND_JSON, ttl_s);
        at = put_varint(at, text_len);
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
    *decoder = (struct ps_journal_decoder){ .at = bytes + HEADER_BYTES,
                                            .end = bytes + len,
                                            .version = bytes[0] };
    return PS_OK;
}

/* Behind the number, or NULL: it has no end. */
static const uint8_t *take_long_varint(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return at;
        }
    }
    return NULL;
}

static inline bool take_varint(struct ps_journal_decoder *decoder, uint64_t *out)
{
    const uint8_t *at = decoder->at;
    if (at == decoder->end)
        return false;
    if (*at < 0x80) { /* nearly always */
        *out = *at;
        decoder->at = at + 1;
        return true;
    }
    at = take_long_varint(at, decoder->end, out);
    if (at)
        decoder->at = at;
    return at != NULL;
}

static inline bool take_text(struct ps_journal_decoder *decoder, struct ps_value *value)
{
    uint64_t len;
    if (!take_varint(decoder, &len) || len > (uint64_t)(decoder->end - decoder->at))
        return false;
    value->len = (uint32_t)len;
    value->text = (const char *)decoder->at;
    decoder->at += len;
    return true;
}

/* The kind, and the time to live that may follow it. */
static inline bool take_kind(struct ps_journal_decoder *decoder, unsigned *kind, uint32_t *ttl_s)
{
    uint64_t ttl = 0;
    if (decoder->at == decoder->end)
        return false;
    *kind = *decoder->at++;
    if (*kind & KIND_HAS_TTL && decoder->version != VERSION_WITHOUT_TTL) {
        *kind &= ~(unsigned)KIND_HAS_TTL;
        if (!take_varint(decoder, &ttl) || ttl == 0 || ttl > UINT32_MAX)
            return false;
    }
    *ttl_s = (uint32_t)ttl;
    return true;
}

static inline bool take_value(struct ps_journal_decoder *decoder, unsigned kind,
                              struct ps_value *value)
{
    uint64_t raw;
    switch (kind) {
    case KIND_FALSE:
    case KIND_TRUE:
        *value = (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = kind == KIND_TRUE };
        return true;
    case KIND_LONG:
        *value = (struct ps_value){ .type = PS_VALUE_LONG };
        if (!take_varint(decoder, &raw))
            return false;
        value->integer = unzigzag(raw);
        return true;
    case KIND_DOUBLE:
        *value = (struct ps_value){ .type = PS_VALUE_DOUBLE };
        if (decoder->end - decoder->at < (ptrdiff_t)sizeof value->real)
            return false;
        memcpy(&value->real, decoder->at, sizeof value->real);
        decoder->at += sizeof value->real;
        return true;
    case KIND_STRING:
    case KIND_JSON:
        *value = (struct ps_value){ .type = kind == KIND_STRING ? PS_VALUE_STRING : PS_VALUE_JSON };
        return take_text(decoder, value);
    default:
        if (kind < KIND_DECIMAL || kind > KIND_DECIMAL + DECIMALS_MAX ||
            !take_varint(decoder, &raw))
            return false;
        *value =
            (struct ps_value){ .type = PS_VALUE_DOUBLE,
                               .real = (double)unzigzag(raw) / powers_of_ten[kind - KIND_DECIMAL] };
        return true;
    }
}

enum ps_status ps_journal_next(struct ps_journal_decoder *decoder, struct ps_journal_record *record)
{
    if (decoder->at == decoder->end)
        return PS_ENOTFOUND;
    struct ps_journal_decoder now = *decoder; /* a copy that can live in registers */
    uint64_t series, ts;
    if (!take_varint(&now, &series) || !take_varint(&now, &ts))
        return PS_EPROTO;
    now.series = (uint32_t)((uint64_t)now.series + (uint64_t)unzigzag(series));
    now.ts_ms = (int64_t)((uint64_t)now.ts_ms + (uint64_t)unzigzag(ts));
    struct ps_journal_record found = { .series = now.series,
                                       .ts_ms = now.ts_ms,
                                       .index = now.index++ };
    unsigned kind;
    if (!take_kind(&now, &kind, &found.ttl_s) || !take_value(&now, kind, &found.value))
        return PS_EPROTO;
    *decoder = now;
    *record = found;
    return PS_OK;
}
