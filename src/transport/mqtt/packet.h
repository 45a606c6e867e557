/* packet: the MQTT wire codec, server side. Bytes in, struct out; struct in, bytes appended.
 *
 * Speaks MQTT 3.1 (level 3, "MQIsdp"), 3.1.1 (level 4) and 5 (level 5). A connection first asks
 * ps_mqtt_frame_next() whether a whole packet is in its input, then hands that packet to the
 * decoder of its type. Decoders allocate nothing: every span points into the packet's bytes and
 * lives as long as they do. They validate everything the standard fixes about one packet on its own
 * (flags, lengths, UTF-8, properties, packet ids, trailing bytes); what depends on the session
 * (order of packets, ids in flight, topics) is the caller's.
 *
 * Failures are spoken of in MQTT 5 reason codes whatever the level; the CONNACK and SUBACK encoders
 * translate them for 3.x. */
#ifndef PS_TRANSPORT_MQTT_PACKET_H
#define PS_TRANSPORT_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"

enum ps_mqtt_level {
    PS_MQTT_31 = 3,
    PS_MQTT_311 = 4,
    PS_MQTT_5 = 5,
};

enum ps_mqtt_type {
    PS_MQTT_CONNECT = 1,
    PS_MQTT_CONNACK = 2,
    PS_MQTT_PUBLISH = 3,
    PS_MQTT_PUBACK = 4,
    PS_MQTT_PUBREC = 5,
    PS_MQTT_PUBREL = 6,
    PS_MQTT_PUBCOMP = 7,
    PS_MQTT_SUBSCRIBE = 8,
    PS_MQTT_SUBACK = 9,
    PS_MQTT_UNSUBSCRIBE = 10,
    PS_MQTT_UNSUBACK = 11,
    PS_MQTT_PINGREQ = 12,
    PS_MQTT_PINGRESP = 13,
    PS_MQTT_DISCONNECT = 14,
    PS_MQTT_AUTH = 15,
};

/* X(enum name, code, text): MQTT 5 section 2.4, those this server says or hears */
#define PS_MQTT_REASON_LIST(X)                                                                     \
    X(SUCCESS, 0x00, "success")                                                                    \
    X(GRANTED_QOS_1, 0x01, "granted QoS 1")                                                        \
    X(GRANTED_QOS_2, 0x02, "granted QoS 2")                                                        \
    X(DISCONNECT_WITH_WILL, 0x04, "disconnect with will message")                                  \
    X(NO_SUBSCRIPTION_EXISTED, 0x11, "no subscription existed")                                    \
    X(CONTINUE_AUTHENTICATION, 0x18, "continue authentication")                                    \
    X(UNSPECIFIED_ERROR, 0x80, "unspecified error")                                                \
    X(MALFORMED_PACKET, 0x81, "malformed packet")                                                  \
    X(PROTOCOL_ERROR, 0x82, "protocol error")                                                      \
    X(IMPLEMENTATION_ERROR, 0x83, "implementation specific error")                                 \
    X(UNSUPPORTED_VERSION, 0x84, "unsupported protocol version")                                   \
    X(CLIENT_ID_INVALID, 0x85, "client identifier not valid")                                      \
    X(BAD_CREDENTIALS, 0x86, "bad user name or password")                                          \
    X(NOT_AUTHORIZED, 0x87, "not authorized")                                                      \
    X(SERVER_UNAVAILABLE, 0x88, "server unavailable")                                              \
    X(SERVER_BUSY, 0x89, "server busy")                                                            \
    X(SERVER_SHUTTING_DOWN, 0x8B, "server shutting down")                                          \
    X(BAD_AUTHENTICATION_METHOD, 0x8C, "bad authentication method")                                \
    X(KEEP_ALIVE_TIMEOUT, 0x8D, "keep alive timeout")                                              \
    X(SESSION_TAKEN_OVER, 0x8E, "session taken over")                                              \
    X(FILTER_INVALID, 0x8F, "topic filter invalid")                                                \
    X(TOPIC_INVALID, 0x90, "topic name invalid")                                                   \
    X(PACKET_ID_IN_USE, 0x91, "packet identifier in use")                                          \
    X(PACKET_ID_NOT_FOUND, 0x92, "packet identifier not found")                                    \
    X(RECEIVE_MAXIMUM_EXCEEDED, 0x93, "receive maximum exceeded")                                  \
    X(TOPIC_ALIAS_INVALID, 0x94, "topic alias invalid")                                            \
    X(PACKET_TOO_LARGE, 0x95, "packet too large")                                                  \
    X(RATE_TOO_HIGH, 0x96, "message rate too high")                                                \
    X(QUOTA_EXCEEDED, 0x97, "quota exceeded")                                                      \
    X(ADMINISTRATIVE_ACTION, 0x98, "administrative action")                                        \
    X(PAYLOAD_INVALID, 0x99, "payload format invalid")                                             \
    X(QOS_NOT_SUPPORTED, 0x9B, "QoS not supported")                                                \
    X(CONNECTION_RATE_EXCEEDED, 0x9F, "connection rate exceeded")                                  \
    X(MAXIMUM_CONNECT_TIME, 0xA0, "maximum connect time")

enum ps_mqtt_reason {
#define PS_MQTT_REASON_ENUM(name, code, text) PS_MQTT_##name = code,
    PS_MQTT_REASON_LIST(PS_MQTT_REASON_ENUM)
#undef PS_MQTT_REASON_ENUM
};

enum {
    PS_MQTT_REMAINING_LENGTH_MAX = 268435455, /* four bytes of seven bits */
    PS_MQTT_FIXED_HEADER_BYTES_MAX = 5,
    PS_MQTT_STRING_BYTES_MAX = 65535,
    PS_MQTT_31_CLIENT_ID_CHARS_MAX = 23,
};

/** Borrowed bytes, not terminated. An optional field that is absent has data NULL; one that is
 * present but empty has data non-NULL and len 0. */
struct ps_mqtt_span {
    const char *data;
    size_t len;
};

/** The text of a reason code for a log line, "unknown reason" for a code not in the list. */
const char *ps_mqtt_reason_text(uint8_t reason);

/* ---- framing ------------------------------------------------------------------------------- */

/** One packet as it stands in the input: its fixed header taken apart, its body borrowed. */
struct ps_mqtt_packet {
    uint8_t type;             /* enum ps_mqtt_type; 0 is forbidden by the standard: malformed */
    uint8_t flags;            /* low four bits of the first byte */
    size_t size;              /* of the whole packet, fixed header included; 0 = not known yet */
    struct ps_mqtt_span body; /* what follows the fixed header; set when READY only */
};

enum ps_mqtt_frame {
    PS_MQTT_FRAME_NEED_MORE, /* packet->size tells how many bytes in total, 0 if not known yet */
    PS_MQTT_FRAME_READY,     /* packet->size bytes belong to this packet */
    PS_MQTT_FRAME_TOO_LARGE, /* remaining length over the limit; type, flags and size are set */
    PS_MQTT_FRAME_MALFORMED, /* remaining length of five bytes, or packet type 0 */
};

/** The general case of ps_mqtt_frame_next(). */
enum ps_mqtt_frame ps_mqtt_frame_next_slow(const char *data, size_t len, size_t remaining_max,
                                           struct ps_mqtt_packet *packet);

/**
 * Look at data[0..len): is a whole packet there?
 *
 * A remaining length written in more bytes than needed is accepted (3.x allows it and the level is
 * not known before CONNECT has been read). TOO_LARGE is told as soon as the length is read, before
 * the body.
 *
 * @param remaining_max  limit of the remaining length (contract 2.5 case E), default 65536
 * @param packet         overwritten always; its body borrows `data`
 */
static inline enum ps_mqtt_frame ps_mqtt_frame_next(const char *data, size_t len,
                                                    size_t remaining_max,
                                                    struct ps_mqtt_packet *packet)
{
    /* nearly every packet of a device has a remaining length of one or two bytes */
    if (len < 3)
        return ps_mqtt_frame_next_slow(data, len, remaining_max, packet);
    uint8_t first = (uint8_t)data[0], b1 = (uint8_t)data[1], b2 = (uint8_t)data[2];
    size_t header = b1 < 0x80 ? 2 : 3;
    size_t remaining = b1 < 0x80 ? b1 : (size_t)(b1 & 0x7f) | (size_t)b2 << 7;
    if ((b1 & b2 & 0x80) || first < 0x10 || remaining > remaining_max || len - header < remaining)
        return ps_mqtt_frame_next_slow(data, len, remaining_max, packet);
    packet->type = first >> 4;
    packet->flags = first & 0x0f;
    packet->size = header + remaining;
    packet->body = (struct ps_mqtt_span){ data + header, remaining };
    return PS_MQTT_FRAME_READY;
}

/* ---- packets from the client --------------------------------------------------------------- */
/* Every decoder: `packet` READY and of the decoder's type; `level` the connection's; on PS_OK *out
 * is filled (spans borrow the packet's bytes), on PS_EPROTO *out is untouched and *reason says why:
 * MALFORMED_PACKET, PROTOCOL_ERROR or what the decoder's own comment adds. On 3.x the caller
 * closes. Strings are well-formed UTF-8 without NUL at every level (MQTT 5 section 1.5.4). Thread:
 * any. */

struct ps_mqtt_will {
    struct ps_mqtt_span topic; /* UTF-8, otherwise unchecked: may be empty or hold wildcards */
    struct ps_mqtt_span payload;
    uint8_t qos;
    bool retain;
    uint32_t delay_s; /* v5 Will Delay Interval */
};

struct ps_mqtt_connect {
    enum ps_mqtt_level level;
    bool clean; /* clean session, v5 clean start */
    uint16_t keep_alive_s;
    struct ps_mqtt_span client_id; /* always present; may be empty, but not on 3.1 */
    struct ps_mqtt_span username;  /* data NULL: absent */
    struct ps_mqtt_span password;  /* binary; data NULL: absent. May come without a user name */
    bool has_will;
    struct ps_mqtt_will will; /* zero unless has_will */
    /* v5 properties; the standard's defaults when absent and on 3.x */
    uint32_t session_expiry_s;         /* 0; UINT32_MAX = never */
    uint16_t receive_maximum;          /* 65535; never 0 */
    uint32_t maximum_packet_size;      /* UINT32_MAX = no limit; counts the whole packet; never 0 */
    uint16_t topic_alias_maximum;      /* 0 */
    bool request_response_information; /* false */
    bool request_problem_information;  /* true */
    struct ps_mqtt_span authentication_method; /* data NULL: absent; present: refuse 0x8C */
};

/** How to say no to a CONNECT that could not be decoded (contract 1.4, B03). */
struct ps_mqtt_refusal {
    bool answer; /* false: close without CONNACK; true: send CONNACK(level, reason), then close */
    enum ps_mqtt_level level;   /* to encode the CONNACK with */
    enum ps_mqtt_reason reason; /* for the CONNACK and the log */
};

/**
 * CONNECT of any level. On PS_EPROTO *refusal says how to answer:
 *   protocol name unknown              close, UNSUPPORTED_VERSION
 *   level unknown for that name        CONNACK 1, or 0x84 when level >= 5
 *   3.1 client id empty or > 23 chars  close, CLIENT_ID_INVALID
 *   malformed on 3.x                   close, MALFORMED_PACKET
 *   malformed on v5                    CONNACK 0x81 or 0x82 (a DISCONNECT may not come before
 * CONNACK)
 *
 * Accepted on purpose: a password without user name at every level, and an empty client id without
 * clean session on 3.1.1; authentication decides about both (contract 1.4).
 */
PS_MUST_CHECK
enum ps_status ps_mqtt_connect_decode(const struct ps_mqtt_packet *packet,
                                      struct ps_mqtt_connect *out, struct ps_mqtt_refusal *refusal);

struct ps_mqtt_publish {
    struct ps_mqtt_span topic; /* not empty, no wildcards */
    struct ps_mqtt_span payload;
    uint16_t packet_id; /* 0 exactly when qos is 0 */
    uint8_t qos;        /* 0..2 */
    bool dup, retain;
    bool has_topic_alias; /* v5; decode only. The topic is there too, so it can be ignored */
};

/** PUBLISH. An empty v5 topic (alias only) or an alias of 0 fails with TOPIC_ALIAS_INVALID. */
PS_MUST_CHECK
enum ps_status ps_mqtt_publish_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                      struct ps_mqtt_publish *out, enum ps_mqtt_reason *reason);

struct ps_mqtt_ack {
    uint16_t packet_id; /* never 0 */
    uint8_t reason;     /* SUCCESS on 3.x; any byte on v5, >= 0x80 is a failure */
};

/** PUBACK, PUBREC, PUBREL and PUBCOMP: packet->type tells them apart. */
PS_MUST_CHECK
enum ps_status ps_mqtt_ack_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                  struct ps_mqtt_ack *out, enum ps_mqtt_reason *reason);

/** SUBSCRIBE or UNSUBSCRIBE, all of it validated; ps_mqtt_filter_next() walks the filters. */
struct ps_mqtt_filters {
    uint16_t packet_id;
    bool with_options;        /* SUBSCRIBE */
    size_t count;             /* >= 1 */
    struct ps_mqtt_span rest; /* bytes of the filters not walked yet */
};

struct ps_mqtt_filter {
    struct ps_mqtt_span text; /* may be empty or nonsense as a filter: topic.h judges that */
    uint8_t qos;              /* requested, 0..2; 0 in UNSUBSCRIBE, like all below */
    bool no_local, retain_as_published;
    uint8_t retain_handling;
};

/** SUBSCRIBE and UNSUBSCRIBE: packet->type tells them apart. */
PS_MUST_CHECK
enum ps_status ps_mqtt_filters_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                      struct ps_mqtt_filters *out, enum ps_mqtt_reason *reason);

/** The next filter in order; false after the last. Copy the struct first to walk again. */
bool ps_mqtt_filter_next(struct ps_mqtt_filters *filters, struct ps_mqtt_filter *out);

/** PINGREQ: nothing to return. */
PS_MUST_CHECK
enum ps_status ps_mqtt_pingreq_decode(const struct ps_mqtt_packet *packet,
                                      enum ps_mqtt_reason *reason);

struct ps_mqtt_disconnect {
    uint8_t reason;          /* SUCCESS on 3.x; DISCONNECT_WITH_WILL asks for the will */
    bool has_session_expiry; /* v5; non-zero after a zero in CONNECT is a protocol error */
    uint32_t session_expiry_s;
};

PS_MUST_CHECK
enum ps_status ps_mqtt_disconnect_decode(const struct ps_mqtt_packet *packet,
                                         enum ps_mqtt_level level, struct ps_mqtt_disconnect *out,
                                         enum ps_mqtt_reason *reason);

struct ps_mqtt_auth {
    uint8_t reason;
    struct ps_mqtt_span method; /* data NULL: absent */
};

/** AUTH, v5 only (MALFORMED_PACKET on 3.x). The server never asked for one: the caller refuses it.
 */
PS_MUST_CHECK
enum ps_status ps_mqtt_auth_decode(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level,
                                   struct ps_mqtt_auth *out, enum ps_mqtt_reason *reason);

/* ---- packets to the client ----------------------------------------------------------------- */
/* Every encoder appends one packet to `buf`; ask ps_buf_ok() once after a series. Thread: any. */

/** What a v5 client is told when it is accepted (contract B09). Always said besides: Maximum QoS 1,
 * Topic Alias Maximum 0, Shared Subscription Available 0, Subscription Identifier Available 0,
 * Session Expiry Interval 0. */
struct ps_mqtt_connack_properties {
    uint16_t receive_maximum;               /* 0: not said */
    uint32_t maximum_packet_size;           /* whole packet, header included; 0: not said */
    struct ps_mqtt_span assigned_client_id; /* data NULL: not said */
    bool has_server_keep_alive;
    uint16_t server_keep_alive_s;
};

/**
 * @param reason      on 3.x translated to the return code 0..5 of contract 1.4
 * @param properties  ignored on 3.x; NULL: none (refusals)
 */
void ps_mqtt_connack_encode(struct ps_buf *buf, enum ps_mqtt_level level,
                            enum ps_mqtt_reason reason, bool session_present,
                            const struct ps_mqtt_connack_properties *properties);

/** The 3.x CONNACK return code that says the same as a v5 reason; 3 if there is no better one. */
uint8_t ps_mqtt_connack_return_code(enum ps_mqtt_reason reason);

/** Bytes ps_mqtt_publish_encode() would append; to be held against the client's Maximum Packet
 * Size. */
size_t ps_mqtt_publish_size(enum ps_mqtt_level level, const struct ps_mqtt_publish *publish);

/** Without properties on v5. A topic over 65535 bytes or a packet over the standard's 256 MiB
 * appends nothing and fails the buffer. */
void ps_mqtt_publish_encode(struct ps_buf *buf, enum ps_mqtt_level level,
                            const struct ps_mqtt_publish *publish);

/** PUBACK, PUBREC, PUBREL or PUBCOMP. The reason is sent on v5 only, and only if not SUCCESS. */
void ps_mqtt_ack_encode(struct ps_buf *buf, enum ps_mqtt_level level, enum ps_mqtt_type type,
                        uint16_t packet_id, enum ps_mqtt_reason reason);

/** Start a SUBACK of `count` codes (at most 65535); exactly that many ps_mqtt_suback_put() follow.
 */
void ps_mqtt_suback_begin(struct ps_buf *buf, enum ps_mqtt_level level, uint16_t packet_id,
                          size_t count);

/** The answer to one filter, in order: granted QoS 0..2, or a failure (0x80 on 3.x whichever). */
static inline void ps_mqtt_suback_put(struct ps_buf *buf, enum ps_mqtt_level level, uint8_t reason)
{
    ps_buf_put_char(buf, (char)(level < PS_MQTT_5 && reason >= 0x80 ? 0x80 : reason));
}

/** Start an UNSUBACK; exactly `count` ps_mqtt_unsuback_put() follow (they write nothing on 3.x). */
void ps_mqtt_unsuback_begin(struct ps_buf *buf, enum ps_mqtt_level level, uint16_t packet_id,
                            size_t count);

static inline void ps_mqtt_unsuback_put(struct ps_buf *buf, enum ps_mqtt_level level,
                                        uint8_t reason)
{
    if (level >= PS_MQTT_5)
        ps_buf_put_char(buf, (char)reason);
}

void ps_mqtt_pingresp_encode(struct ps_buf *buf);

/** v5 only: on 3.x a server just closes, so nothing is appended. */
void ps_mqtt_disconnect_encode(struct ps_buf *buf, enum ps_mqtt_level level,
                               enum ps_mqtt_reason reason);

#endif
