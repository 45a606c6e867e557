/* The MQTT wire codec: every packet type decoded, refused, encoded, cut short and sent round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "support/mqtt_client_bytes.h"
#include "transport/mqtt/packet.h"

enum { REMAINING_MAX = 65536 };

#define BYTES(text) text, sizeof(text) - 1
#define M PS_MQTT_MALFORMED_PACKET
#define P PS_MQTT_PROTOCOL_ERROR

/* One packet decoded, whatever its type. `bytes` is a block of the packet's exact size, so that a
 * sanitizer sees any read past it; the decoded spans point into it. */
struct decoded {
    char *bytes;
    enum ps_mqtt_frame frame;
    struct ps_mqtt_packet packet;
    enum ps_status st;
    enum ps_mqtt_reason reason;
    struct ps_mqtt_connect connect;
    struct ps_mqtt_refusal refusal;
    struct ps_mqtt_publish publish;
    struct ps_mqtt_ack ack;
    struct ps_mqtt_filters filters;
    struct ps_mqtt_disconnect disconnect;
    struct ps_mqtt_auth auth;
};

static enum ps_status dispatch(struct decoded *d, enum ps_mqtt_level level)
{
    enum ps_status st;
    switch (d->packet.type) {
    case PS_MQTT_CONNECT:
        st = ps_mqtt_connect_decode(&d->packet, &d->connect, &d->refusal);
        d->reason = st == PS_OK ? PS_MQTT_SUCCESS : d->refusal.reason;
        return st;
    case PS_MQTT_PUBLISH:
        return ps_mqtt_publish_decode(&d->packet, level, &d->publish, &d->reason);
    case PS_MQTT_PUBACK:
    case PS_MQTT_PUBREC:
    case PS_MQTT_PUBREL:
    case PS_MQTT_PUBCOMP:
        return ps_mqtt_ack_decode(&d->packet, level, &d->ack, &d->reason);
    case PS_MQTT_SUBSCRIBE:
    case PS_MQTT_UNSUBSCRIBE:
        return ps_mqtt_filters_decode(&d->packet, level, &d->filters, &d->reason);
    case PS_MQTT_PINGREQ:
        return ps_mqtt_pingreq_decode(&d->packet, &d->reason);
    case PS_MQTT_DISCONNECT:
        return ps_mqtt_disconnect_decode(&d->packet, level, &d->disconnect, &d->reason);
    case PS_MQTT_AUTH:
        return ps_mqtt_auth_decode(&d->packet, level, &d->auth, &d->reason);
    default:
        return PS_EUNSUPPORTED;
    }
}

static struct decoded decode(enum ps_mqtt_level level, const char *bytes, size_t len)
{
    struct decoded d = { .bytes = malloc(len ? len : 1) };
    assert_non_null(d.bytes);
    memcpy(d.bytes, bytes, len);
    d.frame = ps_mqtt_frame_next(d.bytes, len, REMAINING_MAX, &d.packet);
    if (d.frame == PS_MQTT_FRAME_READY)
        d.st = dispatch(&d, level);
    return d;
}

static struct decoded decode_ok(enum ps_mqtt_level level, const char *bytes, size_t len)
{
    struct decoded d = decode(level, bytes, len);
    assert_int_equal(d.frame, PS_MQTT_FRAME_READY);
    assert_int_equal(d.packet.size, len);
    if (d.st != PS_OK)
        fail_msg("refused with 0x%02x", d.reason);
    return d;
}

static void assert_span(struct ps_mqtt_span got, const char *want, size_t want_len)
{
    assert_non_null(got.data);
    assert_int_equal(got.len, want_len);
    assert_memory_equal(got.data, want, want_len);
}

static void assert_absent(struct ps_mqtt_span got)
{
    assert_null(got.data);
    assert_int_equal(got.len, 0);
}

/* ---- framing ---- */

static const struct frame_case {
    const char *name, *bytes;
    size_t len;
    enum ps_mqtt_frame want;
    size_t size; /* of the packet */
} frame_cases[] = {
    { "nothing", BYTES(""), PS_MQTT_FRAME_NEED_MORE, 0 },
    { "type only", BYTES("\x30"), PS_MQTT_FRAME_NEED_MORE, 0 },
    { "length half known", BYTES("\x30\x80"), PS_MQTT_FRAME_NEED_MORE, 0 },
    { "length half known, long", BYTES("\x30\xff\xff\x80"), PS_MQTT_FRAME_NEED_MORE, 0 },
    { "length known, no body", BYTES("\x30\x05"), PS_MQTT_FRAME_NEED_MORE, 7 },
    { "body cut", BYTES("\x30\x05xxxx"), PS_MQTT_FRAME_NEED_MORE, 7 },
    { "long body cut", BYTES("\x30\x80\x01xxxx"), PS_MQTT_FRAME_NEED_MORE, 131 },
    { "empty body", BYTES("\xc0\x00"), PS_MQTT_FRAME_READY, 2 },
    { "whole", BYTES("\x30\x03xxx"), PS_MQTT_FRAME_READY, 5 },
    { "whole and more", BYTES("\x30\x03xxx\x30\x03"), PS_MQTT_FRAME_READY, 5 },
    { "empty body and more", BYTES("\xc0\x00\xc0\x00"), PS_MQTT_FRAME_READY, 2 },
    { "more has high bits", BYTES("\xc0\x00\xff\xff"), PS_MQTT_FRAME_READY, 2 },
    { "length not shortest", BYTES("\x30\x83\x00xxx"), PS_MQTT_FRAME_READY, 6 },
    { "length in four bytes", BYTES("\x30\x83\x80\x80\x00xxx"), PS_MQTT_FRAME_READY, 8 },
    { "at the limit", BYTES("\x30\x80\x80\x04x"), PS_MQTT_FRAME_NEED_MORE, 4 + 65536 },
    { "over the limit", BYTES("\x30\x81\x80\x04x"), PS_MQTT_FRAME_TOO_LARGE, 4 + 65537 },
    { "over, body not there", BYTES("\x30\x81\x80\x04"), PS_MQTT_FRAME_TOO_LARGE, 4 + 65537 },
    { "largest", BYTES("\x30\xff\xff\xff\x7f"), PS_MQTT_FRAME_TOO_LARGE, 5 + 268435455 },
    { "five bytes of length", BYTES("\x30\xff\xff\xff\xff"), PS_MQTT_FRAME_MALFORMED, 0 },
    { "five bytes of length, more", BYTES("\x30\x80\x80\x80\x80\x01"), PS_MQTT_FRAME_MALFORMED, 0 },
    { "type 0", BYTES("\x00"), PS_MQTT_FRAME_MALFORMED, 0 },
    { "type 0, whole", BYTES("\x0f\x01x"), PS_MQTT_FRAME_MALFORMED, 0 },
};

static void framing_tells_ready_more_large_and_malformed_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frame_cases / sizeof *frame_cases; i++) {
        const struct frame_case *c = &frame_cases[i];
        char *copy = malloc(c->len ? c->len : 1);
        assert_non_null(copy);
        memcpy(copy, c->bytes, c->len);
        struct ps_mqtt_packet packet, slow;
        enum ps_mqtt_frame got = ps_mqtt_frame_next(copy, c->len, REMAINING_MAX, &packet);
        if (got != c->want || packet.size != c->size)
            fail_msg("%s: %d, size %zu", c->name, got, packet.size);
        if (c->len > 0) {
            assert_int_equal(packet.type, (uint8_t)c->bytes[0] >> 4);
            assert_int_equal(packet.flags, c->bytes[0] & 15);
        }
        /* the inlined short way and the general way are one function */
        assert_int_equal(ps_mqtt_frame_next_slow(copy, c->len, REMAINING_MAX, &slow), got);
        assert_int_equal(slow.size, packet.size);
        if (got == PS_MQTT_FRAME_READY) {
            assert_ptr_equal(slow.body.data, packet.body.data);
            assert_int_equal(slow.body.len, packet.body.len);
            assert_ptr_equal(packet.body.data + packet.body.len, copy + packet.size);
        }
        free(copy);
    }
}

/* ---- refusals ---- */

#define V4 PS_MQTT_311
#define V5 PS_MQTT_5

static const struct bad_case {
    const char *name;
    enum ps_mqtt_level level;
    const char *bytes;
    size_t len;
    enum ps_mqtt_reason reason;
} bad_cases[] = {
    /* PUBLISH */
    { "publish QoS 3", V4, BYTES("\x36\x06\0\1t\0\1x"), M },
    { "publish without topic length", V4, BYTES("\x30\x01\0"), M },
    { "publish topic runs out", V4, BYTES("\x30\x04\0\3ab"), M },
    { "publish empty topic", V4, BYTES("\x30\x03\0\0x"), M },
    { "publish topic with +", V4, BYTES("\x30\x05\0\3a/+"), M },
    { "publish topic with #", V4, BYTES("\x30\x05\0\3a/#"), M },
    { "publish long topic with +", V4,
      BYTES("\x30\x12\0\x10"
            "abcdefghabcd+fgh"),
      M },
    { "publish long topic with #", V4,
      BYTES("\x30\x12\0\x10"
            "abcdefgh#bcdefgh"),
      M },
    { "publish topic with NUL", V4, BYTES("\x30\x05\0\3a\0b"), M },
    { "publish long topic with NUL", V4,
      BYTES("\x30\x12\0\x10"
            "abcdefg\0abcdefgh"),
      M },
    { "publish topic with lone continuation", V4, BYTES("\x30\x04\0\2a\x80"), M },
    { "publish topic with overlong form", V4, BYTES("\x30\x04\0\2\xc0\xaf"), M },
    { "publish topic with overlong 3", V4, BYTES("\x30\x05\0\3\xe0\x9f\xbf"), M },
    { "publish topic with surrogate", V4, BYTES("\x30\x05\0\3\xed\xa0\x80"), M },
    { "publish topic beyond Unicode", V4, BYTES("\x30\x06\0\4\xf4\x90\x80\x80"), M },
    { "publish topic with overlong 4", V4, BYTES("\x30\x06\0\4\xf0\x8f\xbf\xbf"), M },
    { "publish topic with F5", V4, BYTES("\x30\x06\0\4\xf5\x80\x80\x80"), M },
    { "publish topic ends in a character", V4, BYTES("\x30\x04\0\2\xe2\x82"), M },
    { "publish topic, third byte wrong", V4, BYTES("\x30\x05\0\3\xe2\x82\x41"), M },
    { "publish QoS 1 without id", V4, BYTES("\x32\x03\0\1t"), M },
    { "publish QoS 1 half an id", V4, BYTES("\x32\x04\0\1t\0"), M },
    { "publish QoS 1 id 0", V4, BYTES("\x32\x05\0\1t\0\0"), M },
    { "publish QoS 2 id 0", V4, BYTES("\x34\x05\0\1t\0\0"), M },
    { "publish v5 id 0", V5, BYTES("\x32\x06\0\1t\0\0\0"), M },
    { "publish v5 without properties", V5, BYTES("\x30\x03\0\1t"), M },
    { "publish v5 property length runs out", V5, BYTES("\x30\x05\0\1t\5\1"), M },
    { "publish v5 property length of five bytes", V5, BYTES("\x30\x08\0\1t\x80\x80\x80\x80\0"), M },
    { "publish v5 property length not shortest", V5, BYTES("\x30\x05\0\1t\x80\0"), M },
    { "publish v5 property cut", V5, BYTES("\x30\x06\0\1t\2\2\0"), M },
    { "publish v5 unknown property", V5, BYTES("\x30\x06\0\1t\2\x7e\0"), M },
    { "publish v5 property id 0", V5, BYTES("\x30\x06\0\1t\2\0\0"), M },
    { "publish v5 property id of two bytes", V5, BYTES("\x30\x07\0\1t\3\x81\0\0"), M },
    { "publish v5 property of CONNECT", V5, BYTES("\x30\x07\0\1t\3\x21\0\1"), M },
    { "publish v5 property of a will", V5, BYTES("\x30\x09\0\1t\5\x18\0\0\0\1"), M },
    { "publish v5 property of a server", V5, BYTES("\x30\x06\0\1t\2\x24\1"), M },
    { "publish v5 payload format twice", V5, BYTES("\x30\x08\0\1t\4\1\1\1\1"), P },
    { "publish v5 payload format 2", V5, BYTES("\x30\x06\0\1t\2\1\2"), P },
    { "publish v5 content type no UTF-8", V5, BYTES("\x30\x08\0\1t\4\3\0\1\xff"), M },
    { "publish v5 user property half", V5, BYTES("\x30\x08\0\1t\4\x26\0\1k"), M },
    { "publish v5 response topic wildcard", V5, BYTES("\x30\x08\0\1t\4\x08\0\1#"), P },
    { "publish v5 subscription id", V5, BYTES("\x30\x06\0\1t\2\x0b\1"), P },
    { "publish v5 alias 0", V5, BYTES("\x30\x07\0\1t\3\x23\0\0"), PS_MQTT_TOPIC_ALIAS_INVALID },
    { "publish v5 alias only", V5, BYTES("\x30\x06\0\0\3\x23\0\1"), PS_MQTT_TOPIC_ALIAS_INVALID },
    { "publish v5 neither topic nor alias", V5, BYTES("\x30\x03\0\0\0"), P },
    { "publish v5 no topic, other property", V5, BYTES("\x30\x05\0\0\2\1\1"), P },
    /* acknowledgements */
    { "puback empty", V4, BYTES("\x40\x00"), M },
    { "puback half an id", V4, BYTES("\x40\x01\0"), M },
    { "puback id 0", V4, BYTES("\x40\x02\0\0"), M },
    { "puback flags", V4, BYTES("\x42\x02\0\1"), M },
    { "puback with reason on 3.1.1", V4, BYTES("\x40\x03\0\1\0"), M },
    { "puback v5 property length runs out", V5, BYTES("\x40\x04\0\1\0\1"), M },
    { "puback v5 trailing byte", V5, BYTES("\x40\x05\0\1\0\0\0"), M },
    { "puback v5 wrong property", V5, BYTES("\x40\x06\0\1\0\2\1\1"), M },
    { "puback v5 reason string twice", V5, BYTES("\x40\x0a\0\1\0\6\x1f\0\0\x1f\0\0"), P },
    { "pubrec flags", V4, BYTES("\x52\x02\0\1"), M },
    { "pubrel flags 0", V4, BYTES("\x60\x02\0\1"), M },
    { "pubrel with DUP on 3.1.1", V4, BYTES("\x6a\x02\0\1"), M },
    { "pubrel id 0", V4, BYTES("\x62\x02\0\0"), M },
    { "pubcomp flags", V4, BYTES("\x71\x02\0\1"), M },
    /* SUBSCRIBE, UNSUBSCRIBE */
    { "subscribe flags 0", V4, BYTES("\x80\x06\0\1\0\1a\0"), M },
    { "subscribe with DUP on 3.1.1", V4, BYTES("\x8a\x06\0\1\0\1a\0"), M },
    { "subscribe id 0", V4, BYTES("\x82\x06\0\0\0\1a\0"), M },
    { "subscribe empty", V4, BYTES("\x82\x00"), M },
    { "subscribe without filter", V4, BYTES("\x82\x02\0\1"), P },
    { "subscribe v5 without filter", V5, BYTES("\x82\x03\0\1\0"), P },
    { "subscribe filter runs out", V4, BYTES("\x82\x05\0\1\0\2a"), M },
    { "subscribe without QoS", V4, BYTES("\x82\x05\0\1\0\1a"), M },
    { "subscribe QoS 3", V4, BYTES("\x82\x06\0\1\0\1a\3"), M },
    { "subscribe reserved bits on 3.1.1", V4, BYTES("\x82\x06\0\1\0\1a\4"), M },
    { "subscribe second filter bad", V4, BYTES("\x82\x0a\0\1\0\1a\0\0\1\xff\0"), M },
    { "subscribe filter with NUL", V4, BYTES("\x82\x06\0\1\0\1\0\0"), M },
    { "subscribe v5 without properties", V5, BYTES("\x82\x02\0\1"), M },
    { "subscribe v5 QoS 3", V5, BYTES("\x82\x07\0\1\0\0\1a\3"), P },
    { "subscribe v5 reserved bit 6", V5, BYTES("\x82\x07\0\1\0\0\1a\x40"), M },
    { "subscribe v5 reserved bit 7", V5, BYTES("\x82\x07\0\1\0\0\1a\x80"), M },
    { "subscribe v5 retain handling 3", V5, BYTES("\x82\x07\0\1\0\0\1a\x30"), P },
    { "subscribe v5 subscription id 0", V5, BYTES("\x82\x09\0\1\2\x0b\0\0\1a\1"), P },
    { "subscribe v5 subscription id too long", V5,
      BYTES("\x82\x0d\0\1\6\x0b\x80\x80\x80\x80\1\0\1a\1"), M },
    { "unsubscribe flags 0", V4, BYTES("\xa0\x05\0\1\0\1a"), M },
    { "unsubscribe without filter", V4, BYTES("\xa2\x02\0\1"), P },
    { "unsubscribe trailing byte", V4, BYTES("\xa2\x06\0\1\0\1a\0"), M },
    { "unsubscribe v5 subscription id", V5, BYTES("\xa2\x08\0\1\2\x0b\1\0\1a"), M },
    /* the rest */
    { "pingreq flags", V4, BYTES("\xc1\x00"), M },
    { "pingreq body", V4, BYTES("\xc0\x01\0"), M },
    { "disconnect flags", V4, BYTES("\xe1\x00"), M },
    { "disconnect body on 3.1.1", V4, BYTES("\xe0\x01\0"), M },
    { "disconnect v5 flags", V5, BYTES("\xe2\x00"), M },
    { "disconnect v5 trailing byte", V5, BYTES("\xe0\x03\0\0\0"), M },
    { "disconnect v5 expiry twice", V5, BYTES("\xe0\x0c\0\x0a\x11\0\0\0\1\x11\0\0\0\1"), P },
    { "disconnect v5 server reference", V5, BYTES("\xe0\x05\0\3\x1c\0\0"), M },
    { "auth on 3.1.1", V4, BYTES("\xf0\x00"), M },
    { "auth flags", V5, BYTES("\xf1\x00"), M },
    { "auth data without method", V5, BYTES("\xf0\x05\x18\3\x16\0\0"), P },
    { "auth trailing byte", V5, BYTES("\xf0\x03\x18\0\0"), M },
};

static void malformed_packets_are_refused_with_their_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        const struct bad_case *c = &bad_cases[i];
        struct decoded d = decode(c->level, c->bytes, c->len);
        if (d.frame != PS_MQTT_FRAME_READY || d.packet.size != c->len)
            fail_msg("%s: the case itself is badly framed", c->name);
        if (d.st != PS_EPROTO || d.reason != c->reason)
            fail_msg("%s: status %d reason 0x%02x", c->name, d.st, d.reason);
        free(d.bytes);
    }
}

#define CLOSE false, PS_MQTT_311
#define MQTT4 "\0\4MQTT\4"
#define MQTT5 "\0\4MQTT\5"
#define MQTT3 "\0\6MQIsdp\3"

static const struct bad_connect_case {
    const char *name, *bytes;
    size_t len;
    bool answer;
    enum ps_mqtt_level level; /* only if answered */
    enum ps_mqtt_reason reason;
} bad_connect_cases[] = {
    { "flags in the fixed header", BYTES("\x11\x0c" MQTT4 "\2\0\x3c\0\0"), CLOSE, M },
    { "empty body", BYTES("\x10\x00"), CLOSE, M },
    { "name runs out", BYTES("\x10\x05\0\4MQT"), CLOSE, M },
    { "unknown name", BYTES("\x10\x0c\0\4MQTX\4\2\0\x3c\0\0"), CLOSE, PS_MQTT_UNSUPPORTED_VERSION },
    { "name in lower case", BYTES("\x10\x0c\0\4mqtt\4\2\0\x3c\0\0"), CLOSE,
      PS_MQTT_UNSUPPORTED_VERSION },
    { "no level", BYTES("\x10\x06\0\4MQTT"), CLOSE, M },
    { "level 3 as MQTT", BYTES("\x10\x0c\0\4MQTT\3\2\0\x3c\0\0"), true, PS_MQTT_311,
      PS_MQTT_UNSUPPORTED_VERSION },
    { "level 0", BYTES("\x10\x0c\0\4MQTT\0\2\0\x3c\0\0"), true, PS_MQTT_311,
      PS_MQTT_UNSUPPORTED_VERSION },
    { "level 6", BYTES("\x10\x0c\0\4MQTT\6\2\0\x3c\0\0"), true, PS_MQTT_5,
      PS_MQTT_UNSUPPORTED_VERSION },
    { "a bridge's level", BYTES("\x10\x0c\0\4MQTT\x84\2\0\x3c\0\0"), true, PS_MQTT_5,
      PS_MQTT_UNSUPPORTED_VERSION },
    { "level 4 as MQIsdp", BYTES("\x10\x0e\0\6MQIsdp\4\2\0\x3c\0\0"), true, PS_MQTT_311,
      PS_MQTT_UNSUPPORTED_VERSION },
    { "no flags", BYTES("\x10\x07" MQTT4), CLOSE, M },
    { "reserved flag", BYTES("\x10\x0c" MQTT4 "\3\0\x3c\0\0"), CLOSE, M },
    { "will QoS without will", BYTES("\x10\x0c" MQTT4 "\x0a\0\x3c\0\0"), CLOSE, M },
    { "will retain without will", BYTES("\x10\x0c" MQTT4 "\x22\0\x3c\0\0"), CLOSE, M },
    { "will QoS 3", BYTES("\x10\x10" MQTT4 "\x1e\0\x3c\0\0\0\0\0\0"), CLOSE, M },
    { "keep alive cut", BYTES("\x10\x09" MQTT4 "\2\0"), CLOSE, M },
    { "no client id", BYTES("\x10\x0a" MQTT4 "\2\0\x3c"), CLOSE, M },
    { "client id runs out", BYTES("\x10\x0d" MQTT4 "\2\0\x3c\0\2a"), CLOSE, M },
    { "client id no UTF-8", BYTES("\x10\x0d" MQTT4 "\2\0\x3c\0\1\xff"), CLOSE, M },
    { "client id with NUL", BYTES("\x10\x0d" MQTT4 "\2\0\x3c\0\1\0"), CLOSE, M },
    { "no will", BYTES("\x10\x0c" MQTT4 "\6\0\x3c\0\0"), CLOSE, M },
    { "no will payload", BYTES("\x10\x0f" MQTT4 "\6\0\x3c\0\0\0\1w"), CLOSE, M },
    { "no user name", BYTES("\x10\x0c" MQTT4 "\x82\0\x3c\0\0"), CLOSE, M },
    { "user name no UTF-8", BYTES("\x10\x0f" MQTT4 "\x82\0\x3c\0\0\0\1\xff"), CLOSE, M },
    { "no password", BYTES("\x10\x0c" MQTT4 "\x42\0\x3c\0\0"), CLOSE, M },
    { "trailing byte", BYTES("\x10\x0d" MQTT4 "\2\0\x3c\0\0\0"), CLOSE, M },
    { "3.1 empty client id", BYTES("\x10\x0e" MQTT3 "\2\0\x3c\0\0"), CLOSE,
      PS_MQTT_CLIENT_ID_INVALID },
    { "3.1 client id of 24",
      BYTES("\x10\x26" MQTT3 "\2\0\x3c\0\x18"
            "abcdefghijklmnopqrstuvwx"),
      CLOSE, PS_MQTT_CLIENT_ID_INVALID },
    { "3.1 will QoS 3", BYTES("\x10\x13" MQTT3 "\x1e\0\x3c\0\1a\0\0\0\0"), CLOSE, M },
    { "v5 reserved flag", BYTES("\x10\x0d" MQTT5 "\3\0\x3c\0\0\0"), true, PS_MQTT_5, M },
    { "v5 no properties", BYTES("\x10\x0a" MQTT5 "\2\0\x3c"), true, PS_MQTT_5, M },
    { "v5 receive maximum 0", BYTES("\x10\x10" MQTT5 "\2\0\x3c\3\x21\0\0\0\0"), true, PS_MQTT_5,
      P },
    { "v5 maximum packet size 0", BYTES("\x10\x12" MQTT5 "\2\0\x3c\5\x27\0\0\0\0\0\0"), true,
      PS_MQTT_5, P },
    { "v5 request problem information 2", BYTES("\x10\x0f" MQTT5 "\2\0\x3c\2\x17\2\0\0"), true,
      PS_MQTT_5, P },
    { "v5 session expiry twice", BYTES("\x10\x17" MQTT5 "\2\0\x3c\x0a\x11\0\0\0\1\x11\0\0\0\1\0\0"),
      true, PS_MQTT_5, P },
    { "v5 authentication data alone", BYTES("\x10\x10" MQTT5 "\2\0\x3c\3\x16\0\0\0\0"), true,
      PS_MQTT_5, P },
    { "v5 will delay outside the will", BYTES("\x10\x12" MQTT5 "\2\0\x3c\5\x18\0\0\0\1\0\0"), true,
      PS_MQTT_5, M },
    { "v5 will property of CONNECT", BYTES("\x10\x16" MQTT5 "\6\0\x3c\0\0\0\3\x21\0\1\0\1w\0\0"),
      true, PS_MQTT_5, M },
    { "v5 trailing byte", BYTES("\x10\x0e" MQTT5 "\2\0\x3c\0\0\0\0"), true, PS_MQTT_5, M },
};

static void a_bad_connect_says_how_to_refuse_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_connect_cases / sizeof *bad_connect_cases; i++) {
        const struct bad_connect_case *c = &bad_connect_cases[i];
        struct decoded d = decode(PS_MQTT_311, c->bytes, c->len);
        if (d.frame != PS_MQTT_FRAME_READY || d.packet.size != c->len)
            fail_msg("%s: the case itself is badly framed", c->name);
        if (d.st != PS_EPROTO || d.refusal.answer != c->answer || d.refusal.reason != c->reason)
            fail_msg("%s: status %d answer %d reason 0x%02x", c->name, d.st, d.refusal.answer,
                     d.refusal.reason);
        if (c->answer && d.refusal.level != c->level)
            fail_msg("%s: answered in level %d", c->name, d.refusal.level);
        free(d.bytes);
    }
}

/* ---- what is accepted, field by field ---- */

static void a_token_connect_gives_its_fields(void **state)
{
    (void)state;
    struct decoded d = decode_ok(PS_MQTT_311, BYTES("\x10\x16" MQTT4 "\x82\0\x3c\0\2id\0\6token1"));
    assert_int_equal(d.connect.level, PS_MQTT_311);
    assert_true(d.connect.clean);
    assert_int_equal(d.connect.keep_alive_s, 60);
    assert_span(d.connect.client_id, "id", 2);
    assert_span(d.connect.username, "token1", 6);
    assert_absent(d.connect.password);
    assert_false(d.connect.has_will);
    assert_absent(d.connect.will.topic);
    assert_int_equal(d.connect.session_expiry_s, 0);
    assert_int_equal(d.connect.receive_maximum, 65535);
    assert_true(d.connect.maximum_packet_size == UINT32_MAX);
    assert_true(d.connect.request_problem_information);
    assert_absent(d.connect.authentication_method);
    free(d.bytes);
}

static void a_v5_connect_gives_properties_and_will(void **state)
{
    (void)state;
    struct decoded d =
        decode_ok(PS_MQTT_5, BYTES("\x10\x49" MQTT5 "\xee\x01\x02"
                                   "\x24\x11\0\0\1\0\x21\0\7\x27\0\0\x10\0\x22\0\5\x19\1\x17\0"
                                   "\x15\0\2pw\x16\0\1d\x26\0\1k\0\1v"
                                   "\0\1c"
                                   "\x07\x18\0\0\0\x09\x01\x01\0\3w/+\0\2\xff\0"
                                   "\0\1u\0\1\0"));
    assert_int_equal(d.connect.level, PS_MQTT_5);
    assert_int_equal(d.connect.keep_alive_s, 0x0102);
    assert_true(d.connect.clean);
    assert_int_equal(d.connect.session_expiry_s, 256);
    assert_int_equal(d.connect.receive_maximum, 7);
    assert_int_equal(d.connect.maximum_packet_size, 4096);
    assert_int_equal(d.connect.topic_alias_maximum, 5);
    assert_true(d.connect.request_response_information);
    assert_false(d.connect.request_problem_information);
    assert_span(d.connect.authentication_method, "pw", 2);
    assert_span(d.connect.client_id, "c", 1);
    assert_true(d.connect.has_will);
    assert_int_equal(d.connect.will.delay_s, 9);
    assert_int_equal(d.connect.will.qos, 1);
    assert_true(d.connect.will.retain);
    assert_span(d.connect.will.topic, "w/+", 3);
    assert_span(d.connect.will.payload, "\xff\0", 2);
    assert_span(d.connect.username, "u", 1);
    assert_span(d.connect.password, "\0", 1);
    free(d.bytes);
}

static const struct good_case {
    const char *name;
    enum ps_mqtt_level level;
    const char *bytes;
    size_t len;
} good_cases[] = {
    { "3.1.1 empty client id", V4, BYTES("\x10\x0c" MQTT4 "\2\0\x3c\0\0") },
    { "3.1.1 empty client id, session kept", V4, BYTES("\x10\x0c" MQTT4 "\0\0\x3c\0\0") },
    { "3.1.1 password without user name", V4, BYTES("\x10\x0f" MQTT4 "\x42\0\x3c\0\0\0\1p") },
    { "3.1.1 empty user name", V4, BYTES("\x10\x0e" MQTT4 "\x82\0\x3c\0\0\0\0") },
    { "3.1 client id of 23", PS_MQTT_31,
      BYTES("\x10\x25" MQTT3 "\2\0\x3c\0\x17"
            "abcdefghijklmnopqrstuvw") },
    { "3.1 client id of 23 characters, 24 bytes", PS_MQTT_31,
      BYTES("\x10\x26" MQTT3 "\2\0\x3c\0\x18"
            "abcdefghijklmnopqrstuv\xc3\xa4") },
    { "3.1 unused flags", PS_MQTT_31, BYTES("\x10\x0f" MQTT3 "\x3b\0\x3c\0\1a") },
    { "3.1 subscribe with DUP", PS_MQTT_31, BYTES("\x8a\x06\0\1\0\1a\1") },
    { "3.1 subscribe with unused bits", PS_MQTT_31, BYTES("\x82\x06\0\1\0\1a\xfd") },
    { "3.1 unsubscribe with DUP", PS_MQTT_31, BYTES("\xaa\x05\0\1\0\1a") },
    { "3.1 pubrel with DUP", PS_MQTT_31, BYTES("\x6a\x02\0\1") },
    { "publish without payload", V4, BYTES("\x30\x03\0\1t") },
    { "publish with all flags", V4, BYTES("\x3d\x06\0\1t\0\1x") },
    { "publish topic in UTF-8 of each length", V4,
      BYTES("\x30\x0d\0\x0b"
            "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x01") },
    { "publish topic at the edges of UTF-8", V4,
      BYTES("\x30\x16\0\x14"
            "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf") },
    { "v5 publish with every property", V5,
      BYTES("\x30\x2a\0\1t\x25\1\1\2\0\0\0\5\3\0\1c\x08\0\1r\x09\0\2\xff\0\x23\0\1"
            "\x26\0\1k\0\1v\x26\0\1k\0\1w"
            "\x01"
            /* one byte of payload that would be a bad property */) },
    { "v5 puback with reason string", V5, BYTES("\x40\x08\0\1\x10\4\x1f\0\1r") },
    { "v5 puback, properties empty", V5, BYTES("\x40\x04\0\1\0\0") },
    { "v5 pubrel with user properties", V5, BYTES("\x62\x0b\0\1\x92\7\x26\0\1k\0\1v") },
    { "v5 subscribe with id and user property", V5,
      BYTES("\x82\x10\0\1\x09\x0b\7\x26\0\1k\0\1v\0\1a\x2e") },
    { "v5 subscribe with longest subscription id", V5,
      BYTES("\x82\x0c\0\1\5\x0b\xff\xff\xff\x7f\0\1a\1") },
    { "v5 unsubscribe", V5, BYTES("\xa2\x06\0\1\0\0\1a") },
    { "subscribe to an empty filter", V4, BYTES("\x82\x05\0\1\0\0\0") },
    { "pingreq", V4, BYTES("\xc0\x00") },
    { "disconnect", V4, BYTES("\xe0\x00") },
    { "v5 disconnect", V5, BYTES("\xe0\x00") },
    { "v5 disconnect with reason", V5, BYTES("\xe0\x01\x04") },
    { "v5 disconnect with expiry", V5, BYTES("\xe0\x07\0\5\x11\0\0\0\0") },
    { "v5 auth", V5, BYTES("\xf0\x00") },
    { "v5 auth with method and data", V5, BYTES("\xf0\x0a\x18\x08\x15\0\1m\x16\0\1d") },
};

static void good_packets_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof *good_cases; i++) {
        const struct good_case *c = &good_cases[i];
        struct decoded d = decode(c->level, c->bytes, c->len);
        if (d.frame != PS_MQTT_FRAME_READY || d.packet.size != c->len || d.st != PS_OK)
            fail_msg("%s: frame %d size %zu of %zu status %d reason 0x%02x", c->name, d.frame,
                     d.packet.size, c->len, d.st, d.reason);
        free(d.bytes);
    }
}

/* Any cut of a good packet waits for more; and the same bytes with an honest but shorter length are
 * decoded or refused, but never read past. */
static void a_good_packet_cut_anywhere_is_never_read_past_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof *good_cases; i++) {
        const struct good_case *c = &good_cases[i];
        for (size_t len = 0; len < c->len; len++) {
            struct decoded d = decode(c->level, c->bytes, len);
            if (d.frame != PS_MQTT_FRAME_NEED_MORE || d.packet.size != (len < 2 ? 0 : c->len))
                fail_msg("%s cut at %zu: frame %d size %zu", c->name, len, d.frame, d.packet.size);
            free(d.bytes);
            if (len < 2)
                continue;
            char shorter[256];
            memcpy(shorter, c->bytes, len);
            shorter[1] = (char)(len - 2);
            d = decode(c->level, shorter, len);
            assert_int_equal(d.frame, PS_MQTT_FRAME_READY);
            assert_true(d.st == PS_OK || d.st == PS_EPROTO);
            free(d.bytes);
        }
    }
}

/* One byte replaced by each of 256 values: no crash, no read past the end, a clear answer. */
static void a_good_packet_with_any_one_byte_changed_gets_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof *good_cases; i++) {
        const struct good_case *c = &good_cases[i];
        char changed[256];
        memcpy(changed, c->bytes, c->len);
        for (size_t at = 0; at < c->len; at++) {
            for (int value = 0; value < 256; value++) {
                changed[at] = (char)value;
                struct decoded d = decode(c->level, changed, c->len);
                if (d.frame == PS_MQTT_FRAME_READY && d.st == PS_EPROTO)
                    assert_true(d.reason >= 0x80);
                free(d.bytes);
            }
            changed[at] = c->bytes[at];
        }
    }
}

static void a_publish_gives_topic_id_flags_and_payload(void **state)
{
    (void)state;
    struct decoded d = decode_ok(PS_MQTT_311, BYTES("\x3b\x0a\0\3v/t\x12\x34{\0}"));
    assert_span(d.publish.topic, "v/t", 3);
    assert_int_equal(d.publish.packet_id, 0x1234);
    assert_int_equal(d.publish.qos, 1);
    assert_true(d.publish.dup);
    assert_true(d.publish.retain);
    assert_false(d.publish.has_topic_alias);
    assert_span(d.publish.payload, "{\0}", 3);
    free(d.bytes);

    d = decode_ok(PS_MQTT_5, BYTES("\x30\x0a\0\1t\3\x23\0\1{\1}"));
    assert_int_equal(d.publish.qos, 0);
    assert_int_equal(d.publish.packet_id, 0);
    assert_true(d.publish.has_topic_alias);
    assert_span(d.publish.payload, "{\1}", 3);
    free(d.bytes);
}

static void an_ack_gives_id_and_reason(void **state)
{
    (void)state;
    struct decoded d = decode_ok(PS_MQTT_311, BYTES("\x40\x02\xff\xfe"));
    assert_int_equal(d.ack.packet_id, 0xfffe);
    assert_int_equal(d.ack.reason, PS_MQTT_SUCCESS);
    free(d.bytes);
    d = decode_ok(PS_MQTT_5, BYTES("\x50\x03\0\1\x97"));
    assert_int_equal(d.ack.packet_id, 1);
    assert_int_equal(d.ack.reason, PS_MQTT_QUOTA_EXCEEDED);
    free(d.bytes);
}

static void subscribe_gives_its_filters_in_order(void **state)
{
    (void)state;
    struct decoded d = decode_ok(PS_MQTT_5, BYTES("\x82\x0f\0\7\2\x0b\1\0\3a/+\x2d\0\1b\x02"));
    struct ps_mqtt_filter filter;
    assert_int_equal(d.filters.packet_id, 7);
    assert_int_equal(d.filters.count, 2);
    assert_true(ps_mqtt_filter_next(&d.filters, &filter));
    assert_span(filter.text, "a/+", 3);
    assert_int_equal(filter.qos, 1);
    assert_true(filter.no_local);
    assert_true(filter.retain_as_published);
    assert_int_equal(filter.retain_handling, 2);
    assert_true(ps_mqtt_filter_next(&d.filters, &filter));
    assert_span(filter.text, "b", 1);
    assert_int_equal(filter.qos, 2);
    assert_false(filter.no_local);
    assert_false(ps_mqtt_filter_next(&d.filters, &filter));
    assert_false(ps_mqtt_filter_next(&d.filters, &filter));
    free(d.bytes);
}

static void unsubscribe_gives_its_filters_without_options(void **state)
{
    (void)state;
    struct decoded d = decode_ok(PS_MQTT_311, BYTES("\xa2\x08\0\7\0\1a\0\1b"));
    struct ps_mqtt_filter filter;
    assert_int_equal(d.filters.count, 2);
    assert_true(ps_mqtt_filter_next(&d.filters, &filter));
    assert_span(filter.text, "a", 1);
    assert_int_equal(filter.qos, 0);
    assert_true(ps_mqtt_filter_next(&d.filters, &filter));
    assert_span(filter.text, "b", 1);
    assert_false(ps_mqtt_filter_next(&d.filters, &filter));
    free(d.bytes);
}

static void disconnect_and_auth_give_reason_and_properties(void **state)
{
    (void)state;
    struct decoded d = decode_ok(PS_MQTT_5, BYTES("\xe0\x07\x04\5\x11\0\0\0\x3c"));
    assert_int_equal(d.disconnect.reason, PS_MQTT_DISCONNECT_WITH_WILL);
    assert_true(d.disconnect.has_session_expiry);
    assert_int_equal(d.disconnect.session_expiry_s, 60);
    free(d.bytes);
    d = decode_ok(PS_MQTT_311, BYTES("\xe0\x00"));
    assert_int_equal(d.disconnect.reason, PS_MQTT_SUCCESS);
    assert_false(d.disconnect.has_session_expiry);
    free(d.bytes);
    d = decode_ok(PS_MQTT_5, BYTES("\xf0\x06\x18\4\x15\0\1m"));
    assert_int_equal(d.auth.reason, PS_MQTT_CONTINUE_AUTHENTICATION);
    assert_span(d.auth.method, "m", 1);
    free(d.bytes);
}

static void a_refused_packet_leaves_the_result_untouched(void **state)
{
    (void)state;
    struct ps_mqtt_packet packet = { .type = PS_MQTT_PUBLISH, .body = { "\0\1t\0\0", 5 } };
    struct ps_mqtt_publish publish, before;
    enum ps_mqtt_reason reason = PS_MQTT_SUCCESS;
    memset(&publish, 0x5a, sizeof publish);
    memcpy(&before, &publish, sizeof before);
    packet.flags = 2;
    assert_int_equal(ps_mqtt_publish_decode(&packet, PS_MQTT_311, &publish, &reason), PS_EPROTO);
    assert_int_equal(reason, M);
    assert_memory_equal(&publish, &before, sizeof publish);
}

/* ---- encoders, byte for byte ---- */

static void assert_bytes(struct ps_buf *buf, const char *want, size_t len)
{
    assert_true(ps_buf_ok(buf));
    assert_int_equal(buf->len, len);
    assert_memory_equal(buf->data, want, len);
    ps_buf_deinit(buf);
}

static void connack_on_3x_is_four_bytes(void **state)
{
    static const struct {
        enum ps_mqtt_reason reason;
        char code;
    } cases[] = {
        { PS_MQTT_SUCCESS, 0 },
        { PS_MQTT_UNSUPPORTED_VERSION, 1 },
        { PS_MQTT_CLIENT_ID_INVALID, 2 },
        { PS_MQTT_BAD_CREDENTIALS, 5 },
        { PS_MQTT_NOT_AUTHORIZED, 5 },
        { PS_MQTT_SERVER_UNAVAILABLE, 3 },
        { PS_MQTT_CONNECTION_RATE_EXCEEDED, 3 },
        { PS_MQTT_QUOTA_EXCEEDED, 3 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_mqtt_connack_properties ignored = { .receive_maximum = 100 };
        struct ps_buf buf = { 0 };
        char want[] = { 0x20, 2, 0, cases[i].code };
        ps_mqtt_connack_encode(&buf, PS_MQTT_311, cases[i].reason, false, &ignored);
        assert_bytes(&buf, want, sizeof want);
    }
    struct ps_buf buf = { 0 };
    ps_mqtt_connack_encode(&buf, PS_MQTT_31, PS_MQTT_SUCCESS, true, NULL);
    assert_bytes(&buf, BYTES("\x20\x02\x01\x00"));
}

static void connack_on_v5_says_what_the_server_does(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_mqtt_connack_encode(&buf, PS_MQTT_5, PS_MQTT_BAD_CREDENTIALS, false, NULL);
    assert_bytes(&buf, BYTES("\x20\x03\x00\x86\x00"));

    struct ps_mqtt_connack_properties least = { 0 };
    ps_mqtt_connack_encode(&buf, PS_MQTT_5, PS_MQTT_SUCCESS, false, &least);
    assert_bytes(&buf, BYTES("\x20\x11\0\0\x0e\x11\0\0\0\0\x24\1\x22\0\0\x29\0\x2a\0"));

    struct ps_mqtt_connack_properties most = {
        .receive_maximum = 100,
        .maximum_packet_size = 65540,
        .assigned_client_id = { "abc", 3 },
        .has_server_keep_alive = true,
        .server_keep_alive_s = 600,
    };
    ps_mqtt_connack_encode(&buf, PS_MQTT_5, PS_MQTT_SUCCESS, false, &most);
    assert_bytes(&buf, BYTES("\x20\x22\0\0\x1f\x11\0\0\0\0\x21\0\x64\x24\1\x27\0\1\0\4"
                             "\x12\0\3abc\x22\0\0\x29\0\x2a\0\x13\2\x58"));
}

static void publish_is_written_as_the_standard_says(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    struct ps_mqtt_publish publish = {
        .topic = { "v2/a", 4 }, .payload = { "{}", 2 }, .qos = 1, .packet_id = 0x0102
    };
    ps_mqtt_publish_encode(&buf, PS_MQTT_311, &publish);
    assert_int_equal(ps_mqtt_publish_size(PS_MQTT_311, &publish), 12);
    assert_bytes(&buf, BYTES("\x32\x0a\0\4v2/a\1\2{}"));
    ps_mqtt_publish_encode(&buf, PS_MQTT_5, &publish);
    assert_int_equal(ps_mqtt_publish_size(PS_MQTT_5, &publish), 13);
    assert_bytes(&buf, BYTES("\x32\x0b\0\4v2/a\1\2\0{}"));
    publish.qos = 0;
    publish.payload = (struct ps_mqtt_span){ NULL, 0 };
    ps_mqtt_publish_encode(&buf, PS_MQTT_31, &publish);
    assert_bytes(&buf, BYTES("\x30\x06\0\4v2/a"));
}

static void publish_too_large_for_the_standard_fails_the_buffer(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    struct ps_mqtt_publish publish = { .topic = { "t", 1 }, .payload = { "", 268435453 } };
    assert_int_equal(ps_mqtt_publish_size(PS_MQTT_311, &publish), 268435456 + 5);
    ps_mqtt_publish_encode(&buf, PS_MQTT_311, &publish); /* one byte too many */
    assert_false(ps_buf_ok(&buf));
    assert_int_equal(buf.len, 0);
    ps_buf_deinit(&buf);
    publish = (struct ps_mqtt_publish){ .topic = { "", 65536 } };
    ps_mqtt_publish_encode(&buf, PS_MQTT_311, &publish);
    assert_false(ps_buf_ok(&buf));
    assert_int_equal(buf.len, 0);
    ps_buf_deinit(&buf);
}

static void acks_are_short_unless_they_carry_a_reason(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_mqtt_ack_encode(&buf, PS_MQTT_311, PS_MQTT_PUBACK, 0x0807, PS_MQTT_SUCCESS);
    ps_mqtt_ack_encode(&buf, PS_MQTT_311, PS_MQTT_PUBACK, 1, PS_MQTT_PAYLOAD_INVALID);
    ps_mqtt_ack_encode(&buf, PS_MQTT_5, PS_MQTT_PUBACK, 2, PS_MQTT_SUCCESS);
    ps_mqtt_ack_encode(&buf, PS_MQTT_5, PS_MQTT_PUBACK, 3, PS_MQTT_PAYLOAD_INVALID);
    ps_mqtt_ack_encode(&buf, PS_MQTT_311, PS_MQTT_PUBREC, 4, PS_MQTT_SUCCESS);
    ps_mqtt_ack_encode(&buf, PS_MQTT_311, PS_MQTT_PUBREL, 5, PS_MQTT_SUCCESS);
    ps_mqtt_ack_encode(&buf, PS_MQTT_5, PS_MQTT_PUBCOMP, 6, PS_MQTT_PACKET_ID_NOT_FOUND);
    assert_bytes(&buf, BYTES("\x40\2\x08\x07\x40\2\0\1\x40\2\0\2\x40\3\0\3\x99\x50\2\0\4\x62\2\0\5"
                             "\x70\3\0\6\x92"));
}

static void subacks_answer_each_filter(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    for (int level = PS_MQTT_311; level <= PS_MQTT_5; level++) {
        ps_mqtt_suback_begin(&buf, (enum ps_mqtt_level)level, 9, 2);
        ps_mqtt_suback_put(&buf, (enum ps_mqtt_level)level, 1);
        ps_mqtt_suback_put(&buf, (enum ps_mqtt_level)level, PS_MQTT_FILTER_INVALID);
    }
    assert_bytes(&buf, BYTES("\x90\4\0\x09\1\x80\x90\5\0\x09\0\1\x8f"));
    for (int level = PS_MQTT_311; level <= PS_MQTT_5; level++) {
        ps_mqtt_unsuback_begin(&buf, (enum ps_mqtt_level)level, 9, 2);
        ps_mqtt_unsuback_put(&buf, (enum ps_mqtt_level)level, PS_MQTT_SUCCESS);
        ps_mqtt_unsuback_put(&buf, (enum ps_mqtt_level)level, PS_MQTT_NO_SUBSCRIPTION_EXISTED);
    }
    assert_bytes(&buf, BYTES("\xb0\2\0\x09\xb0\5\0\x09\0\0\x11"));
}

static void pingresp_and_disconnect_are_written(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_mqtt_pingresp_encode(&buf);
    ps_mqtt_disconnect_encode(&buf, PS_MQTT_311, PS_MQTT_SESSION_TAKEN_OVER); /* nothing */
    ps_mqtt_disconnect_encode(&buf, PS_MQTT_5, PS_MQTT_SESSION_TAKEN_OVER);
    ps_mqtt_disconnect_encode(&buf, PS_MQTT_5, PS_MQTT_SUCCESS);
    assert_bytes(&buf, BYTES("\xd0\0\xe0\1\x8e\xe0\0"));
}

static void every_reason_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(ps_mqtt_reason_text(0x99), "payload format invalid");
    assert_string_equal(ps_mqtt_reason_text(0x7f), "unknown reason");
}

/* ---- there and back ---- */

struct dice {
    uint64_t seed; /* xorshift64*, so that a failure comes back with its number */
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    dice->seed ^= dice->seed >> 12;
    dice->seed ^= dice->seed << 25;
    dice->seed ^= dice->seed >> 27;
    return (uint32_t)((dice->seed * UINT64_C(2685821657736338717)) >> 33) % sides;
}

/* Well-formed text without wildcards, from one- to four-byte characters. */
static struct ps_mqtt_span roll_text(struct dice *dice, char *room, size_t chars_min,
                                     size_t chars_max)
{
    static const char *const characters[] = {
        "a", "/", "Z", "\x01", "\x7f", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"
    };
    size_t count = chars_min + roll(dice, (uint32_t)(chars_max - chars_min + 1)), len = 0;
    while (count-- > 0) {
        const char *c = characters[roll(dice, 4) ? roll(dice, 3) : roll(dice, 8)];
        memcpy(room + len, c, strlen(c));
        len += strlen(c);
    }
    return (struct ps_mqtt_span){ room, len };
}

static struct ps_mqtt_span roll_bytes(struct dice *dice, char *room, size_t len_max)
{
    size_t len = roll(dice, (uint32_t)len_max + 1);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)roll(dice, 256);
    return (struct ps_mqtt_span){ room, len };
}

static enum ps_mqtt_level roll_level(struct dice *dice)
{
    return (enum ps_mqtt_level)(PS_MQTT_31 + roll(dice, 3));
}

static void assert_same_span(struct ps_mqtt_span got, struct ps_mqtt_span want)
{
    if (!want.data)
        assert_absent(got);
    else
        assert_span(got, want.data, want.len);
}

static void assert_same_connect(const struct ps_mqtt_connect *got,
                                const struct ps_mqtt_connect *want)
{
    assert_int_equal(got->level, want->level);
    assert_int_equal(got->clean, want->clean);
    assert_int_equal(got->keep_alive_s, want->keep_alive_s);
    assert_same_span(got->client_id, want->client_id);
    assert_same_span(got->username, want->username);
    assert_same_span(got->password, want->password);
    assert_int_equal(got->has_will, want->has_will);
    assert_same_span(got->will.topic, want->will.topic);
    assert_same_span(got->will.payload, want->will.payload);
    assert_int_equal(got->will.qos, want->will.qos);
    assert_int_equal(got->will.retain, want->will.retain);
    assert_int_equal(got->will.delay_s, want->will.delay_s);
    assert_int_equal(got->session_expiry_s, want->session_expiry_s);
    assert_int_equal(got->receive_maximum, want->receive_maximum);
    assert_int_equal(got->maximum_packet_size, want->maximum_packet_size);
    assert_int_equal(got->topic_alias_maximum, want->topic_alias_maximum);
    assert_int_equal(got->request_response_information, want->request_response_information);
    assert_int_equal(got->request_problem_information, want->request_problem_information);
    assert_same_span(got->authentication_method, want->authentication_method);
}

static void roll_v5_properties(struct dice *dice, struct ps_mqtt_connect *connect, char *room)
{
    connect->session_expiry_s = roll(dice, 2) ? roll(dice, UINT32_MAX) : 0;
    connect->receive_maximum = (uint16_t)(1 + roll(dice, 65535));
    connect->maximum_packet_size = 1 + roll(dice, UINT32_MAX);
    connect->topic_alias_maximum = (uint16_t)roll(dice, 65536);
    connect->request_response_information = roll(dice, 2);
    connect->request_problem_information = roll(dice, 2);
    if (roll(dice, 4) == 0)
        connect->authentication_method = roll_text(dice, room, 0, 20);
    if (connect->has_will)
        connect->will.delay_s = roll(dice, 1000);
}

static void any_connect_comes_back_as_it_was_sent(void **state)
{
    static char rooms[6][1024];
    struct dice dice = { 20260101 };
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct ps_mqtt_connect want = {
            .level = roll_level(&dice),
            .clean = roll(&dice, 2),
            .keep_alive_s = (uint16_t)roll(&dice, 65536),
            .has_will = roll(&dice, 2),
            .receive_maximum = UINT16_MAX,
            .maximum_packet_size = UINT32_MAX,
            .request_problem_information = true,
        };
        bool is_31 = want.level == PS_MQTT_31;
        want.client_id = roll_text(&dice, rooms[0], is_31 ? 1 : 0, is_31 ? 23 : 60);
        if (roll(&dice, 2))
            want.username = roll_text(&dice, rooms[1], 0, 60);
        if (roll(&dice, 2))
            want.password = roll_bytes(&dice, rooms[2], 300);
        if (want.has_will)
            want.will = (struct ps_mqtt_will){ .topic = roll_text(&dice, rooms[3], 0, 60),
                                               .payload = roll_bytes(&dice, rooms[4], 1000),
                                               .qos = (uint8_t)roll(&dice, 3),
                                               .retain = roll(&dice, 2) };
        if (want.level == PS_MQTT_5)
            roll_v5_properties(&dice, &want, rooms[5]);
        struct ps_buf buf = { 0 };
        mqtt_put_connect(&buf, &want);
        struct decoded got = decode_ok(want.level, buf.data, buf.len);
        assert_same_connect(&got.connect, &want);
        free(got.bytes);
        ps_buf_deinit(&buf);
    }
}

static void any_publish_comes_back_as_it_was_sent(void **state)
{
    static char topic_room[1024], payload_room[20000];
    struct dice dice = { 20260102 };
    (void)state;
    for (int i = 0; i < 5000; i++) {
        enum ps_mqtt_level level = roll_level(&dice);
        struct ps_mqtt_publish want = {
            .topic = roll_text(&dice, topic_room, 1, 100),
            .payload = roll_bytes(&dice, payload_room, roll(&dice, 50) ? 300 : sizeof payload_room),
            .qos = (uint8_t)roll(&dice, 3),
            .dup = roll(&dice, 2),
            .retain = roll(&dice, 2),
        };
        want.packet_id = want.qos ? (uint16_t)(1 + roll(&dice, 65535)) : 0;
        struct ps_buf buf = { 0 };
        ps_mqtt_publish_encode(&buf, level, &want);
        assert_int_equal(buf.len, ps_mqtt_publish_size(level, &want));
        struct decoded got = decode_ok(level, buf.data, buf.len);
        assert_same_span(got.publish.topic, want.topic);
        assert_same_span(got.publish.payload, want.payload);
        assert_int_equal(got.publish.packet_id, want.packet_id);
        assert_int_equal(got.publish.qos, want.qos);
        assert_int_equal(got.publish.dup, want.dup);
        assert_int_equal(got.publish.retain, want.retain);
        assert_false(got.publish.has_topic_alias);
        free(got.bytes);
        ps_buf_deinit(&buf);
    }
}

static void roll_filters(struct dice *dice, enum ps_mqtt_level level, bool with_options,
                         char (*rooms)[256], struct ps_mqtt_filter *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct ps_mqtt_filter){ .text = roll_text(dice, rooms[i], 0, 40) };
        if (with_options)
            out[i].qos = (uint8_t)roll(dice, 3);
        if (with_options && level == PS_MQTT_5) {
            out[i].no_local = roll(dice, 2);
            out[i].retain_as_published = roll(dice, 2);
            out[i].retain_handling = (uint8_t)roll(dice, 3);
        }
    }
}

static void any_subscription_comes_back_as_it_was_sent(void **state)
{
    enum { FILTERS_MAX = 12 };
    static char rooms[FILTERS_MAX][256];
    struct dice dice = { 20260103 };
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct ps_mqtt_filter want[FILTERS_MAX], filter;
        enum ps_mqtt_level level = roll_level(&dice);
        bool subscribe = roll(&dice, 2);
        size_t count = 1 + roll(&dice, FILTERS_MAX);
        uint16_t packet_id = (uint16_t)(1 + roll(&dice, 65535));
        roll_filters(&dice, level, subscribe, rooms, want, count);
        struct ps_buf buf = { 0 };
        if (subscribe)
            mqtt_put_subscribe(&buf, level, packet_id, want, count);
        else
            mqtt_put_unsubscribe(&buf, level, packet_id, want, count);
        struct decoded got = decode_ok(level, buf.data, buf.len);
        assert_int_equal(got.filters.packet_id, packet_id);
        assert_int_equal(got.filters.count, count);
        for (size_t n = 0; n < count; n++) {
            assert_true(ps_mqtt_filter_next(&got.filters, &filter));
            assert_same_span(filter.text, want[n].text);
            assert_int_equal(filter.qos, want[n].qos);
            assert_int_equal(filter.no_local, want[n].no_local);
            assert_int_equal(filter.retain_as_published, want[n].retain_as_published);
            assert_int_equal(filter.retain_handling, want[n].retain_handling);
        }
        assert_false(ps_mqtt_filter_next(&got.filters, &filter));
        free(got.bytes);
        ps_buf_deinit(&buf);
    }
}

static void any_ack_comes_back_as_it_was_sent(void **state)
{
    struct dice dice = { 20260104 };
    (void)state;
    for (int i = 0; i < 5000; i++) {
        enum ps_mqtt_level level = roll_level(&dice);
        enum ps_mqtt_type type = (enum ps_mqtt_type)(PS_MQTT_PUBACK + roll(&dice, 4));
        uint16_t packet_id = (uint16_t)(1 + roll(&dice, 65535));
        enum ps_mqtt_reason reason = (enum ps_mqtt_reason)roll(&dice, 256);
        struct ps_buf buf = { 0 };
        ps_mqtt_ack_encode(&buf, level, type, packet_id, reason);
        struct decoded got = decode_ok(level, buf.data, buf.len);
        assert_int_equal(got.packet.type, type);
        assert_int_equal(got.ack.packet_id, packet_id);
        assert_int_equal(got.ack.reason, level == PS_MQTT_5 ? (int)reason : 0);
        free(got.bytes);
        ps_buf_deinit(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_tells_ready_more_large_and_malformed_apart),
        cmocka_unit_test(malformed_packets_are_refused_with_their_reason),
        cmocka_unit_test(a_bad_connect_says_how_to_refuse_it),
        cmocka_unit_test(a_token_connect_gives_its_fields),
        cmocka_unit_test(a_v5_connect_gives_properties_and_will),
        cmocka_unit_test(good_packets_are_accepted),
        cmocka_unit_test(a_good_packet_cut_anywhere_is_never_read_past_its_end),
        cmocka_unit_test(a_good_packet_with_any_one_byte_changed_gets_an_answer),
        cmocka_unit_test(a_publish_gives_topic_id_flags_and_payload),
        cmocka_unit_test(an_ack_gives_id_and_reason),
        cmocka_unit_test(subscribe_gives_its_filters_in_order),
        cmocka_unit_test(unsubscribe_gives_its_filters_without_options),
        cmocka_unit_test(disconnect_and_auth_give_reason_and_properties),
        cmocka_unit_test(a_refused_packet_leaves_the_result_untouched),
        cmocka_unit_test(connack_on_3x_is_four_bytes),
        cmocka_unit_test(connack_on_v5_says_what_the_server_does),
        cmocka_unit_test(publish_is_written_as_the_standard_says),
        cmocka_unit_test(publish_too_large_for_the_standard_fails_the_buffer),
        cmocka_unit_test(acks_are_short_unless_they_carry_a_reason),
        cmocka_unit_test(subacks_answer_each_filter),
        cmocka_unit_test(pingresp_and_disconnect_are_written),
        cmocka_unit_test(every_reason_has_a_text),
        cmocka_unit_test(any_connect_comes_back_as_it_was_sent),
        cmocka_unit_test(any_publish_comes_back_as_it_was_sent),
        cmocka_unit_test(any_subscription_comes_back_as_it_was_sent),
        cmocka_unit_test(any_ack_comes_back_as_it_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
