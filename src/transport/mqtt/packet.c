#include "transport/mqtt/packet.h"

#include <string.h>

/* Everything a decoder reads goes through this cursor. A read that would pass the end fails and
 * leaves the fault at MALFORMED_PACKET, its value from the start; a reader that finds something
 * else wrong says so with fault(). */
struct reader {
    const char *at, *end;
    enum ps_mqtt_reason fault;
};

const char *ps_mqtt_reason_text(uint8_t reason)
{
    switch (reason) {
#define REASON_TEXT(name, code, text)                                                              \
    case code:                                                                                     \
        return text;
        PS_MQTT_REASON_LIST(REASON_TEXT)
#undef REASON_TEXT
    default:
        return "unknown reason";
    }
}

/* ---- framing ---- */

enum ps_mqtt_frame ps_mqtt_frame_next_slow(const char *data, size_t len, size_t remaining_max,
                                           struct ps_mqtt_packet *packet)
{
    *packet = (struct ps_mqtt_packet){ 0 };
    if (len == 0)
        return PS_MQTT_FRAME_NEED_MORE;
    packet->type = (uint8_t)data[0] >> 4;
    packet->flags = (uint8_t)data[0] & 0x0f;
    if (packet->type == 0)
        return PS_MQTT_FRAME_MALFORMED;

    size_t remaining = 0, header = 1;
    uint8_t byte = 0x80;
    while (byte & 0x80) {
        if (header == PS_MQTT_FIXED_HEADER_BYTES_MAX)
            return PS_MQTT_FRAME_MALFORMED;
        if (header == len)
            return PS_MQTT_FRAME_NEED_MORE;
        byte = (uint8_t)data[header];
        remaining |= (size_t)(byte & 0x7f) << (7 * (header - 1));
        header++;
    }
    packet->size = header + remaining;
    if (remaining > remaining_max)
        return PS_MQTT_FRAME_TOO_LARGE;
    if (len < packet->size)
        return PS_MQTT_FRAME_NEED_MORE;
    packet->body = (struct ps_mqtt_span){ data + header, remaining };
    return PS_MQTT_FRAME_READY;
}

/* ---- text ---- */

/* A byte of `word` that is zero shows as its high bit in the result; bits above it may lie, which
 * is fine for a yes or no. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

static uint64_t all_bytes(uint8_t byte)
{
    return UINT64_C(0x0101010101010101) * byte;
}

/* Eight bytes at once: is there a NUL, a byte of a multi-byte character, or (in a topic name) a
 * wildcard? */
static bool word_is_plain(const char *at, bool wildcards_allowed)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t special = (word & UINT64_C(0x8080808080808080)) | zero_bytes(word);
    if (!wildcards_allowed)
        special |= zero_bytes(word ^ all_bytes('+')) | zero_bytes(word ^ all_bytes('#'));
    return special == 0;
}

/* The length of the character at `at` in well-formed UTF-8 (Unicode table 3-7), 0 if it is none. */
static size_t utf8_char_len(const char *at, size_t left)
{
    const uint8_t *b = (const uint8_t *)at;
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t len;

    if (b[0] < 0x80)
        return 1;
    if (b[0] >= 0xc2 && b[0] <= 0xdf) {
        len = 2;
    } else if (b[0] >= 0xe0 && b[0] <= 0xef) {
        len = 3;
        low = b[0] == 0xe0 ? 0xa0 : 0x80;  /* no overlong forms */
        high = b[0] == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (b[0] >= 0xf0 && b[0] <= 0xf4) {
        len = 4;
        low = b[0] == 0xf0 ? 0x90 : 0x80;
        high = b[0] == 0xf4 ? 0x8f : 0xbf; /* nothing above U+10FFFF */
    } else {
        return 0;
    }
    if (left < len || b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* Well-formed UTF-8 without NUL; as a topic name also without wildcards. */
static bool text_is_valid(struct ps_mqtt_span text, bool wildcards_allowed)
{
    const char *at = text.data, *end = text.data + text.len;

    while (at < end) {
        if (end - at < 8 && text.len >= 8 && word_is_plain(end - 8, wildcards_allowed))
            return true; /* the last word overlaps what was seen */
        if (end - at >= 8 && word_is_plain(at, wildcards_allowed)) {
            at += 8;
            continue;
        }
        if (*at == '\0' || (!wildcards_allowed && (*at == '+' || *at == '#')))
            return false;
        size_t len = utf8_char_len(at, (size_t)(end - at));
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

static size_t text_char_count(struct ps_mqtt_span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((uint8_t)text.data[i] & 0xc0) != 0x80;
    return count;
}

/* ---- reading ---- */

static struct reader reader_of(struct ps_mqtt_span bytes)
{
    return (struct reader){ bytes.data, bytes.data + bytes.len, PS_MQTT_MALFORMED_PACKET };
}

static size_t left_of(const struct reader *in)
{
    return (size_t)(in->end - in->at);
}

static bool fault(struct reader *in, enum ps_mqtt_reason reason)
{
    in->fault = reason;
    return false;
}

static enum ps_status refuse(const struct reader *in, enum ps_mqtt_reason *reason)
{
    *reason = in->fault;
    return PS_EPROTO;
}

static bool read_u8(struct reader *in, uint8_t *out)
{
    if (left_of(in) < 1)
        return false;
    *out = (uint8_t)*in->at++;
    return true;
}

static bool read_u16(struct reader *in, uint16_t *out)
{
    if (left_of(in) < 2)
        return false;
    *out = (uint16_t)((uint8_t)in->at[0] << 8 | (uint8_t)in->at[1]);
    in->at += 2;
    return true;
}

static bool read_u32(struct reader *in, uint32_t *out)
{
    uint16_t high, low;
    if (left_of(in) < 4 || !read_u16(in, &high) || !read_u16(in, &low))
        return false;
    *out = (uint32_t)high << 16 | low;
    return true;
}

/* Variable Byte Integer; MQTT 5 section 1.5.5 asks for the shortest form. */
static bool read_varint(struct reader *in, uint32_t *out)
{
    uint32_t value = 0;
    for (int shift = 0; shift <= 21; shift += 7) {
        uint8_t byte;
        if (!read_u8(in, &byte))
            return false;
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0)
            return false;
        *out = value;
        return true;
    }
    return false;
}

static bool read_bytes(struct reader *in, size_t len, struct ps_mqtt_span *out)
{
    if (left_of(in) < len)
        return false;
    *out = (struct ps_mqtt_span){ in->at, len };
    in->at += len;
    return true;
}

static bool read_binary(struct reader *in, struct ps_mqtt_span *out)
{
    uint16_t len;
    return read_u16(in, &len) && read_bytes(in, len, out);
}

static bool read_text(struct reader *in, struct ps_mqtt_span *out)
{
    return read_binary(in, out) && text_is_valid(*out, true);
}

static bool read_packet_id(struct reader *in, uint16_t *out)
{
    return read_u16(in, out) && *out != 0;
}

static bool read_end(const struct reader *in)
{
    return in->at == in->end;
}

/* ---- properties (MQTT 5 section 2.2.2) ---- */

enum property_id {
    PAYLOAD_FORMAT = 0x01,
    MESSAGE_EXPIRY = 0x02,
    CONTENT_TYPE = 0x03,
    RESPONSE_TOPIC = 0x08,
    CORRELATION_DATA = 0x09,
    SUBSCRIPTION_ID = 0x0b,
    SESSION_EXPIRY = 0x11,
    ASSIGNED_CLIENT_ID = 0x12,
    SERVER_KEEP_ALIVE = 0x13,
    AUTHENTICATION_METHOD = 0x15,
    AUTHENTICATION_DATA = 0x16,
    REQUEST_PROBLEM_INFO = 0x17,
    WILL_DELAY = 0x18,
    REQUEST_RESPONSE_INFO = 0x19,
    REASON_STRING = 0x1f,
    RECEIVE_MAXIMUM = 0x21,
    TOPIC_ALIAS_MAXIMUM = 0x22,
    TOPIC_ALIAS = 0x23,
    MAXIMUM_QOS = 0x24,
    USER_PROPERTY = 0x26,
    MAXIMUM_PACKET_SIZE = 0x27,
    SUBSCRIPTION_ID_AVAILABLE = 0x29,
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2a,
    PROPERTY_ID_LIMIT = 0x2b,
};

enum property_shape { ABSENT, FLAG, U16, U32, VARINT, TEXT, TOPIC, BINARY, PAIR };

enum {
    IN_WILL = 1 << 0, /* bit 0, because no packet has type 0 */
    IN_CONNECT = 1 << PS_MQTT_CONNECT,
    IN_PUBLISH = 1 << PS_MQTT_PUBLISH,
    IN_ACKS =
        1 << PS_MQTT_PUBACK | 1 << PS_MQTT_PUBREC | 1 << PS_MQTT_PUBREL | 1 << PS_MQTT_PUBCOMP,
    IN_SUBSCRIBE = 1 << PS_MQTT_SUBSCRIBE,
    IN_UNSUBSCRIBE = 1 << PS_MQTT_UNSUBSCRIBE,
    IN_DISCONNECT = 1 << PS_MQTT_DISCONNECT,
    IN_AUTH = 1 << PS_MQTT_AUTH,
};

/* What a client may send where. What only a server sends has no row: malformed like an unknown id.
 * zero_fault: what a value of 0 is, if it is forbidden. */
static const struct property_rule {
    enum property_shape shape;
    uint32_t packets;
    enum ps_mqtt_reason zero_fault;
} property_rules[PROPERTY_ID_LIMIT] = {
    [PAYLOAD_FORMAT] = { FLAG, IN_PUBLISH | IN_WILL, 0 },
    [MESSAGE_EXPIRY] = { U32, IN_PUBLISH | IN_WILL, 0 },
    [CONTENT_TYPE] = { TEXT, IN_PUBLISH | IN_WILL, 0 },
    [RESPONSE_TOPIC] = { TOPIC, IN_PUBLISH | IN_WILL, 0 },
    [CORRELATION_DATA] = { BINARY, IN_PUBLISH | IN_WILL, 0 },
    [SUBSCRIPTION_ID] = { VARINT, IN_PUBLISH | IN_SUBSCRIBE, PS_MQTT_PROTOCOL_ERROR },
    [SESSION_EXPIRY] = { U32, IN_CONNECT | IN_DISCONNECT, 0 },
    [AUTHENTICATION_METHOD] = { TEXT, IN_CONNECT | IN_AUTH, 0 },
    [AUTHENTICATION_DATA] = { BINARY, IN_CONNECT | IN_AUTH, 0 },
    [REQUEST_PROBLEM_INFO] = { FLAG, IN_CONNECT, 0 },
    [WILL_DELAY] = { U32, IN_WILL, 0 },
    [REQUEST_RESPONSE_INFO] = { FLAG, IN_CONNECT, 0 },
    [REASON_STRING] = { TEXT, IN_ACKS | IN_DISCONNECT | IN_AUTH, 0 },
    [RECEIVE_MAXIMUM] = { U16, IN_CONNECT, PS_MQTT_PROTOCOL_ERROR },
    [TOPIC_ALIAS_MAXIMUM] = { U16, IN_CONNECT, 0 },
    [TOPIC_ALIAS] = { U16, IN_PUBLISH, PS_MQTT_TOPIC_ALIAS_INVALID },
    [USER_PROPERTY] = { PAIR,
                        IN_WILL | IN_CONNECT | IN_PUBLISH | IN_ACKS | IN_SUBSCRIBE |
                            IN_UNSUBSCRIBE | IN_DISCONNECT | IN_AUTH,
                        0 },
    [MAXIMUM_PACKET_SIZE] = { U32, IN_CONNECT, PS_MQTT_PROTOCOL_ERROR },
};

struct properties {
    uint64_t seen;                      /* bit per property id */
    uint32_t number[PROPERTY_ID_LIMIT]; /* only where seen */
    struct ps_mqtt_span authentication_method;
};

static bool was_seen(const struct properties *properties, enum property_id id)
{
    return properties->seen >> id & 1;
}

static uint32_t number_or(const struct properties *properties, enum property_id id,
                          uint32_t otherwise)
{
    return was_seen(properties, id) ? properties->number[id] : otherwise;
}

static bool read_number(struct reader *in, const struct property_rule *rule, uint32_t *out)
{
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    bool whole = false;

    switch (rule->shape) {
    case FLAG:
        whole = read_u8(in, &u8);
        *out = u8;
        if (whole && u8 > 1)
            return fault(in, PS_MQTT_PROTOCOL_ERROR);
        break;
    case U16:
        whole = read_u16(in, &u16);
        *out = u16;
        break;
    case U32:
        whole = read_u32(in, out);
        break;
    default:
        whole = read_varint(in, out);
        break;
    }
    if (whole && *out == 0 && rule->zero_fault)
        return fault(in, rule->zero_fault);
    return whole;
}

static bool read_property_value(struct reader *in, uint8_t id, struct properties *out)
{
    const struct property_rule *rule = &property_rules[id];
    struct ps_mqtt_span text, second;

    switch (rule->shape) {
    case TEXT:
        if (!read_text(in, &text))
            return false;
        if (id == AUTHENTICATION_METHOD)
            out->authentication_method = text;
        return true;
    case TOPIC:
        if (!read_text(in, &text))
            return false;
        return text_is_valid(text, false) || fault(in, PS_MQTT_PROTOCOL_ERROR);
    case BINARY:
        return read_binary(in, &text);
    case PAIR:
        return read_text(in, &text) && read_text(in, &second);
    default:
        return read_number(in, rule, &out->number[id]);
    }
}

static bool read_property(struct reader *in, uint32_t where, struct properties *out)
{
    uint8_t id;
    if (!read_u8(in, &id)) /* a Variable Byte Integer, but no id needs a second byte */
        return false;
    if (id >= PROPERTY_ID_LIMIT || !(property_rules[id].packets & where))
        return false;
    if (id != USER_PROPERTY && was_seen(out, id))
        return fault(in, PS_MQTT_PROTOCOL_ERROR);
    if (!read_property_value(in, id, out))
        return false;
    out->seen |= UINT64_C(1) << id;
    return true;
}

/* The properties of one packet or will, which on 3.x are none and take no byte. */
static bool read_properties(struct reader *in, enum ps_mqtt_level level, uint32_t where,
                            struct properties *out)
{
    uint32_t len;
    struct ps_mqtt_span bytes;

    out->seen = 0;
    out->authentication_method = (struct ps_mqtt_span){ 0 };
    if (level < PS_MQTT_5)
        return true;
    if (!read_varint(in, &len) || !read_bytes(in, len, &bytes))
        return false;
    struct reader inner = reader_of(bytes);
    while (!read_end(&inner)) {
        if (!read_property(&inner, where, out))
            return fault(in, inner.fault);
    }
    if (was_seen(out, AUTHENTICATION_DATA) && !was_seen(out, AUTHENTICATION_METHOD))
        return fault(in, PS_MQTT_PROTOCOL_ERROR);
    return true;
}

/* ---- CONNECT ---- */

enum connect_flag {
    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS = 0x18,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USERNAME = 0x80,
};

static bool span_is(struct ps_mqtt_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

/* Protocol name and level; where they are not ours, `refusal` is what to answer. */
static bool read_protocol(struct reader *in, enum ps_mqtt_level *level,
                          struct ps_mqtt_refusal *refusal)
{
    struct ps_mqtt_span name;
    uint8_t number;

    if (!read_binary(in, &name))
        return false;
    bool is_31 = span_is(name, "MQIsdp");
    if (!is_31 && !span_is(name, "MQTT"))
        return fault(in, PS_MQTT_UNSUPPORTED_VERSION);
    if (!read_u8(in, &number))
        return false;
    if (is_31 ? number != PS_MQTT_31 : number != PS_MQTT_311 && number != PS_MQTT_5) {
        refusal->answer = true;
        refusal->level = number >= PS_MQTT_5 ? PS_MQTT_5 : PS_MQTT_311;
        return fault(in, PS_MQTT_UNSUPPORTED_VERSION);
    }
    *level = (enum ps_mqtt_level)number;
    refusal->level = *level;
    refusal->answer = *level == PS_MQTT_5;
    return true;
}

/* 3.1 calls bit 0 reserved and the will bits unused without a will, but asks nobody to check. */
static bool connect_flags_are_valid(enum ps_mqtt_level level, uint8_t flags)
{
    if (flags & CONNECT_WILL)
        return (flags & CONNECT_WILL_QOS) != CONNECT_WILL_QOS &&
               (level == PS_MQTT_31 || !(flags & CONNECT_RESERVED));
    return level == PS_MQTT_31 ||
           !(flags & (CONNECT_RESERVED | CONNECT_WILL_QOS | CONNECT_WILL_RETAIN));
}

static bool read_connect_properties(struct reader *in, struct ps_mqtt_connect *out)
{
    struct properties properties;
    if (!read_properties(in, out->level, IN_CONNECT, &properties))
        return false;
    out->session_expiry_s = number_or(&properties, SESSION_EXPIRY, 0);
    out->receive_maximum = (uint16_t)number_or(&properties, RECEIVE_MAXIMUM, UINT16_MAX);
    out->maximum_packet_size = number_or(&properties, MAXIMUM_PACKET_SIZE, UINT32_MAX);
    out->topic_alias_maximum = (uint16_t)number_or(&properties, TOPIC_ALIAS_MAXIMUM, 0);
    out->request_response_information = number_or(&properties, REQUEST_RESPONSE_INFO, 0) != 0;
    out->request_problem_information = number_or(&properties, REQUEST_PROBLEM_INFO, 1) != 0;
    out->authentication_method = properties.authentication_method;
    return true;
}

static bool read_client_id(struct reader *in, struct ps_mqtt_connect *out,
                           struct ps_mqtt_refusal *refusal)
{
    if (!read_text(in, &out->client_id))
        return false;
    if (out->level != PS_MQTT_31)
        return true;
    size_t chars = text_char_count(out->client_id);
    if (chars >= 1 && chars <= PS_MQTT_31_CLIENT_ID_CHARS_MAX)
        return true;
    refusal->answer = false;
    return fault(in, PS_MQTT_CLIENT_ID_INVALID);
}

static bool read_will(struct reader *in, enum ps_mqtt_level level, uint8_t flags,
                      struct ps_mqtt_will *out)
{
    struct properties properties;
    if (!read_properties(in, level, IN_WILL, &properties))
        return false;
    out->delay_s = number_or(&properties, WILL_DELAY, 0);
    out->qos = (flags & CONNECT_WILL_QOS) >> 3;
    out->retain = flags & CONNECT_WILL_RETAIN;
    return read_text(in, &out->topic) && read_binary(in, &out->payload);
}

static bool read_connect(struct reader *in, struct ps_mqtt_connect *out,
                         struct ps_mqtt_refusal *refusal)
{
    uint8_t flags;

    if (!read_protocol(in, &out->level, refusal))
        return false;
    if (!read_u8(in, &flags) || !connect_flags_are_valid(out->level, flags))
        return false;
    if (!read_u16(in, &out->keep_alive_s) || !read_connect_properties(in, out))
        return false;
    if (!read_client_id(in, out, refusal))
        return false;
    out->clean = flags & CONNECT_CLEAN;
    out->has_will = flags & CONNECT_WILL;
    if (out->has_will && !read_will(in, out->level, flags, &out->will))
        return false;
    if ((flags & CONNECT_USERNAME) && !read_text(in, &out->username))
        return false;
    if ((flags & CONNECT_PASSWORD) && !read_binary(in, &out->password))
        return false;
    return read_end(in);
}

enum ps_status ps_mqtt_connect_decode(const struct ps_mqtt_packet *packet,
                                      struct ps_mqtt_connect *out, struct ps_mqtt_refusal *refusal)
{
    struct reader in = reader_of(packet->body);
    struct ps_mqtt_connect connect = { 0 };
    struct ps_mqtt_refusal no = { .answer = false, .level = PS_MQTT_311 };

    if (packet->flags == 0 && read_connect(&in, &connect, &no)) {
        *out = connect;
        return PS_OK;
    }
    no.reason = in.fault;
    *refusal = no;
    return PS_EPROTO;
}

/* ---- PUBLISH and its acknowledgements ---- */

static bool read_publish_topic(struct reader *in, enum ps_mqtt_level level,
                               struct ps_mqtt_publish *out)
{
    if (!read_binary(in, &out->topic) || !text_is_valid(out->topic, false))
        return false;
    return out->topic.len > 0 || level >= PS_MQTT_5;
}

static bool read_publish_properties(struct reader *in, struct ps_mqtt_publish *out)
{
    struct properties properties;
    /* the common case of a v5 device: none */
    if (in->at < in->end && *in->at == 0) {
        in->at++;
        return out->topic.len > 0 || fault(in, PS_MQTT_PROTOCOL_ERROR);
    }
    if (!read_properties(in, PS_MQTT_5, IN_PUBLISH, &properties))
        return false;
    if (was_seen(&properties, SUBSCRIPTION_ID)) /* only a server says it in a PUBLISH */
        return fault(in, PS_MQTT_PROTOCOL_ERROR);
    out->has_topic_alias = was_seen(&properties, TOPIC_ALIAS);
    if (out->topic.len == 0)
        return fault(in,
                     out->has_topic_alias ? PS_MQTT_TOPIC_ALIAS_INVALID : PS_MQTT_PROTOCOL_ERROR);
    return true;
}

enum ps_status ps_mqtt_publish_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                      struct ps_mqtt_publish *out, enum ps_mqtt_reason *reason)
{
    struct reader in = reader_of(packet->body);
    struct ps_mqtt_publish publish = {
        .qos = packet->flags >> 1 & 3,
        .dup = packet->flags >> 3 & 1,
        .retain = packet->flags & 1,
    };

    /* DUP on QoS 0 breaks MQTT-3.3.1-2, yet nobody is served by closing for a flag we ignore */
    if (publish.qos == 3 || !read_publish_topic(&in, level, &publish))
        return refuse(&in, reason);
    if (publish.qos > 0 && !read_packet_id(&in, &publish.packet_id))
        return refuse(&in, reason);
    if (level >= PS_MQTT_5 && !read_publish_properties(&in, &publish))
        return refuse(&in, reason);
    publish.payload = (struct ps_mqtt_span){ in.at, left_of(&in) };
    *out = publish;
    return PS_OK;
}

/* PUBREL, SUBSCRIBE and UNSUBSCRIBE carry the flags of a QoS 1 packet. 3.1 used DUP on them for
 * retries, so it is tolerated there. */
static bool flags_are_valid(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level)
{
    uint8_t flags = packet->flags;
    switch (packet->type) {
    case PS_MQTT_PUBREL:
    case PS_MQTT_SUBSCRIBE:
    case PS_MQTT_UNSUBSCRIBE:
        return (level == PS_MQTT_31 ? flags & 0x07 : flags) == 0x02;
    default:
        return flags == 0;
    }
}

enum ps_status ps_mqtt_ack_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                  struct ps_mqtt_ack *out, enum ps_mqtt_reason *reason)
{
    struct reader in = reader_of(packet->body);
    struct ps_mqtt_ack ack = { .reason = PS_MQTT_SUCCESS };
    struct properties properties;

    if (!flags_are_valid(packet, level) || !read_packet_id(&in, &ack.packet_id))
        return refuse(&in, reason);
    if (level >= PS_MQTT_5 && !read_end(&in) && !read_u8(&in, &ack.reason))
        return refuse(&in, reason);
    if (level >= PS_MQTT_5 && !read_end(&in) &&
        !read_properties(&in, level, 1u << packet->type, &properties))
        return refuse(&in, reason);
    if (!read_end(&in))
        return refuse(&in, reason);
    *out = ack;
    return PS_OK;
}

/* ---- SUBSCRIBE and UNSUBSCRIBE ---- */

/* 3.1 leaves the upper six bits of the requested QoS undefined, 3.1.1 wants them zero, 5 uses four.
 */
static bool filter_options_are_valid(struct reader *in, enum ps_mqtt_level level, uint8_t options)
{
    if (level == PS_MQTT_311 && options > 2)
        return false;
    if (level == PS_MQTT_5 && (options & 0xc0))
        return false;
    if (level == PS_MQTT_5 && (options & 0x30) == 0x30)
        return fault(in, PS_MQTT_PROTOCOL_ERROR);
    if ((options & 3) == 3)
        return level == PS_MQTT_5 ? fault(in, PS_MQTT_PROTOCOL_ERROR) : false;
    return true;
}

static bool read_filters(struct reader *in, enum ps_mqtt_level level, struct ps_mqtt_filters *out)
{
    out->rest = (struct ps_mqtt_span){ in->at, left_of(in) };
    while (!read_end(in)) {
        struct ps_mqtt_span text;
        uint8_t options;
        if (!read_text(in, &text))
            return false;
        if (out->with_options &&
            (!read_u8(in, &options) || !filter_options_are_valid(in, level, options)))
            return false;
        out->count++;
    }
    return out->count > 0 || fault(in, PS_MQTT_PROTOCOL_ERROR);
}

enum ps_status ps_mqtt_filters_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                      struct ps_mqtt_filters *out, enum ps_mqtt_reason *reason)
{
    struct reader in = reader_of(packet->body);
    struct ps_mqtt_filters filters = { .with_options = packet->type == PS_MQTT_SUBSCRIBE };
    struct properties properties;

    if (!flags_are_valid(packet, level) || !read_packet_id(&in, &filters.packet_id) ||
        !read_properties(&in, level, 1u << packet->type, &properties) ||
        !read_filters(&in, level, &filters))
        return refuse(&in, reason);
    *out = filters;
    return PS_OK;
}

bool ps_mqtt_filter_next(struct ps_mqtt_filters *filters, struct ps_mqtt_filter *out)
{
    struct reader in = reader_of(filters->rest);
    struct ps_mqtt_filter filter = { 0 };
    uint8_t options = 0;

    if (read_end(&in))
        return false;
    /* the decoder walked these bytes before, so they can only fail if the caller changed them */
    bool whole = read_binary(&in, &filter.text);
    if (whole && filters->with_options)
        whole = read_u8(&in, &options);
    PS_ASSERT(whole);
    filter.qos = options & 3;
    filter.no_local = options >> 2 & 1;
    filter.retain_as_published = options >> 3 & 1;
    filter.retain_handling = options >> 4 & 3;
    filters->rest = (struct ps_mqtt_span){ in.at, left_of(&in) };
    *out = filter;
    return true;
}

/* ---- PINGREQ, DISCONNECT, AUTH ---- */

enum ps_status ps_mqtt_pingreq_decode(const struct ps_mqtt_packet *packet,
                                      enum ps_mqtt_reason *reason)
{
    if (packet->flags == 0 && packet->body.len == 0)
        return PS_OK;
    *reason = PS_MQTT_MALFORMED_PACKET;
    return PS_EPROTO;
}

/* The tail DISCONNECT and AUTH share on v5: nothing, a reason, or a reason and properties. */
static bool read_reason_and_properties(struct reader *in, uint32_t where, uint8_t *reason,
                                       struct properties *properties)
{
    properties->seen = 0;
    properties->authentication_method = (struct ps_mqtt_span){ 0 };
    if (read_end(in))
        return true;
    if (!read_u8(in, reason))
        return false;
    return read_end(in) || (read_properties(in, PS_MQTT_5, where, properties) && read_end(in));
}

enum ps_status ps_mqtt_disconnect_decode(const struct ps_mqtt_packet *packet,
                                         enum ps_mqtt_level level, struct ps_mqtt_disconnect *out,
                                         enum ps_mqtt_reason *reason)
{
    struct reader in = reader_of(packet->body);
    struct ps_mqtt_disconnect disconnect = { .reason = PS_MQTT_SUCCESS };
    struct properties properties = { .seen = 0 };

    if (packet->flags != 0)
        return refuse(&in, reason);
    if (level < PS_MQTT_5
            ? !read_end(&in)
            : !read_reason_and_properties(&in, IN_DISCONNECT, &disconnect.reason, &properties))
        return refuse(&in, reason);
    disconnect.has_session_expiry = was_seen(&properties, SESSION_EXPIRY);
    disconnect.session_expiry_s = number_or(&properties, SESSION_EXPIRY, 0);
    *out = disconnect;
    return PS_OK;
}

enum ps_status ps_mqtt_auth_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                   struct ps_mqtt_auth *out, enum ps_mqtt_reason *reason)
{
    struct reader in = reader_of(packet->body);
    struct ps_mqtt_auth auth = { .reason = PS_MQTT_SUCCESS };
    struct properties properties;

    if (level < PS_MQTT_5 || packet->flags != 0 ||
        !read_reason_and_properties(&in, IN_AUTH, &auth.reason, &properties))
        return refuse(&in, reason);
    auth.method = properties.authentication_method;
    *out = auth;
    return PS_OK;
}

/* ---- writing ---- */

static void put_u16(struct ps_buf *buf, uint16_t value)
{
    char bytes[] = { (char)(value >> 8), (char)value };
    ps_buf_put(buf, bytes, sizeof bytes);
}

static void put_u32(struct ps_buf *buf, uint32_t value)
{
    put_u16(buf, (uint16_t)(value >> 16));
    put_u16(buf, (uint16_t)value);
}

static void put_text(struct ps_buf *buf, struct ps_mqtt_span text)
{
    put_u16(buf, (uint16_t)text.len);
    ps_buf_put(buf, text.data, text.len);
}

static size_t varint_size(size_t value)
{
    return value < 1u << 7 ? 1 : value < 1u << 14 ? 2 : value < 1u << 21 ? 3 : 4;
}

static void put_varint(struct ps_buf *buf, size_t value)
{
    do {
        ps_buf_put_char(buf, (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0)));
        value >>= 7;
    } while (value);
}

static void put_header(struct ps_buf *buf, enum ps_mqtt_type type, uint8_t flags, size_t remaining)
{
    PS_ASSERT(remaining <= PS_MQTT_REMAINING_LENGTH_MAX);
    ps_buf_put_char(buf, (char)(type << 4 | flags));
    put_varint(buf, remaining);
}

uint8_t ps_mqtt_connack_return_code(enum ps_mqtt_reason reason)
{
    enum { ACCEPTED, BAD_VERSION, BAD_CLIENT_ID, UNAVAILABLE, BAD_LOGIN, NOT_ALLOWED };

    switch (reason) {
    case PS_MQTT_SUCCESS:
        return ACCEPTED;
    case PS_MQTT_UNSUPPORTED_VERSION:
        return BAD_VERSION;
    case PS_MQTT_CLIENT_ID_INVALID:
        return BAD_CLIENT_ID;
    case PS_MQTT_BAD_CREDENTIALS: /* not BAD_LOGIN: ThingsBoard never sends it */
    case PS_MQTT_NOT_AUTHORIZED:
    case PS_MQTT_BAD_AUTHENTICATION_METHOD:
        return NOT_ALLOWED;
    default:
        return UNAVAILABLE;
    }
}

static void put_flag_property(struct ps_buf *buf, enum property_id id, uint8_t value)
{
    ps_buf_put_char(buf, (char)id);
    ps_buf_put_char(buf, (char)value);
}

static size_t connack_properties_size(const struct ps_mqtt_connack_properties *properties)
{
    enum { ALWAYS = 2 + 3 + 2 + 2 + 5 };
    return ALWAYS + (properties->receive_maximum ? 3 : 0) +
           (properties->maximum_packet_size ? 5 : 0) +
           (properties->assigned_client_id.data ? 3 + properties->assigned_client_id.len : 0) +
           (properties->has_server_keep_alive ? 3 : 0);
}

static void put_connack_properties(struct ps_buf *buf,
                                   const struct ps_mqtt_connack_properties *properties)
{
    ps_buf_put_char(buf, SESSION_EXPIRY);
    put_u32(buf, 0);
    if (properties->receive_maximum) {
        ps_buf_put_char(buf, RECEIVE_MAXIMUM);
        put_u16(buf, properties->receive_maximum);
    }
    put_flag_property(buf, MAXIMUM_QOS, 1);
    if (properties->maximum_packet_size) {
        ps_buf_put_char(buf, MAXIMUM_PACKET_SIZE);
        put_u32(buf, properties->maximum_packet_size);
    }
    if (properties->assigned_client_id.data) {
        ps_buf_put_char(buf, ASSIGNED_CLIENT_ID);
        put_text(buf, properties->assigned_client_id);
    }
    ps_buf_put_char(buf, TOPIC_ALIAS_MAXIMUM);
    put_u16(buf, 0);
    put_flag_property(buf, SUBSCRIPTION_ID_AVAILABLE, 0);
    put_flag_property(buf, SHARED_SUBSCRIPTION_AVAILABLE, 0);
    if (properties->has_server_keep_alive) {
        ps_buf_put_char(buf, SERVER_KEEP_ALIVE);
        put_u16(buf, properties->server_keep_alive_s);
    }
}

void ps_mqtt_connack_encode(struct ps_buf *buf, enum ps_mqtt_level level,
                            enum ps_mqtt_reason reason, bool session_present,
                            const struct ps_mqtt_connack_properties *properties)
{
    if (level < PS_MQTT_5) {
        put_header(buf, PS_MQTT_CONNACK, 0, 2);
        ps_buf_put_char(buf, session_present);
        ps_buf_put_char(buf, (char)ps_mqtt_connack_return_code(reason));
        return;
    }
    size_t size = properties ? connack_properties_size(properties) : 0;
    put_header(buf, PS_MQTT_CONNACK, 0, 2 + varint_size(size) + size);
    ps_buf_put_char(buf, session_present);
    ps_buf_put_char(buf, (char)reason);
    put_varint(buf, size);
    if (properties)
        put_connack_properties(buf, properties);
}

static size_t publish_remaining(enum ps_mqtt_level level, const struct ps_mqtt_publish *publish)
{
    return 2 + publish->topic.len + (publish->qos > 0 ? 2 : 0) + (level >= PS_MQTT_5 ? 1 : 0) +
           publish->payload.len;
}

size_t ps_mqtt_publish_size(enum ps_mqtt_level level, const struct ps_mqtt_publish *publish)
{
    size_t remaining = publish_remaining(level, publish);
    return 1 + varint_size(remaining) + remaining;
}

void ps_mqtt_publish_encode(struct ps_buf *buf, enum ps_mqtt_level level,
                            const struct ps_mqtt_publish *publish)
{
    size_t remaining = publish_remaining(level, publish);

    if (publish->topic.len > PS_MQTT_STRING_BYTES_MAX || remaining > PS_MQTT_REMAINING_LENGTH_MAX) {
        buf->failed = true;
        return;
    }
    uint8_t flags = (uint8_t)(publish->dup << 3 | publish->qos << 1 | publish->retain);
    if (!ps_buf_reserve(buf, PS_MQTT_FIXED_HEADER_BYTES_MAX + remaining))
        return;
    put_header(buf, PS_MQTT_PUBLISH, flags, remaining);
    put_text(buf, publish->topic);
    if (publish->qos > 0)
        put_u16(buf, publish->packet_id);
    if (level >= PS_MQTT_5)
        put_varint(buf, 0);
    ps_buf_put(buf, publish->payload.data, publish->payload.len);
}

void ps_mqtt_ack_encode(struct ps_buf *buf, enum ps_mqtt_level level, enum ps_mqtt_type type,
                        uint16_t packet_id, enum ps_mqtt_reason reason)
{
    bool with_reason = level >= PS_MQTT_5 && reason != PS_MQTT_SUCCESS;
    char bytes[] = {
        (char)(type << 4 | (type == PS_MQTT_PUBREL ? 0x02 : 0)),
        with_reason ? 3 : 2,
        (char)(packet_id >> 8),
        (char)packet_id,
        (char)reason,
    };
    ps_buf_put(buf, bytes, with_reason ? sizeof bytes : sizeof bytes - 1);
}

void ps_mqtt_suback_begin(struct ps_buf *buf, enum ps_mqtt_level level, uint16_t packet_id,
                          size_t count)
{
    size_t properties = level >= PS_MQTT_5 ? 1 : 0;
    put_header(buf, PS_MQTT_SUBACK, 0, 2 + properties + count);
    put_u16(buf, packet_id);
    if (properties)
        put_varint(buf, 0);
}

void ps_mqtt_unsuback_begin(struct ps_buf *buf, enum ps_mqtt_level level, uint16_t packet_id,
                            size_t count)
{
    bool with_codes = level >= PS_MQTT_5;
    put_header(buf, PS_MQTT_UNSUBACK, 0, with_codes ? 3 + count : 2);
    put_u16(buf, packet_id);
    if (with_codes)
        put_varint(buf, 0);
}

void ps_mqtt_pingresp_encode(struct ps_buf *buf)
{
    put_header(buf, PS_MQTT_PINGRESP, 0, 0);
}

void ps_mqtt_disconnect_encode(struct ps_buf *buf, enum ps_mqtt_level level,
                               enum ps_mqtt_reason reason)
{
    if (level < PS_MQTT_5)
        return;
    bool with_reason = reason != PS_MQTT_SUCCESS;
    put_header(buf, PS_MQTT_DISCONNECT, 0, with_reason);
    if (with_reason)
        ps_buf_put_char(buf, (char)reason);
}
