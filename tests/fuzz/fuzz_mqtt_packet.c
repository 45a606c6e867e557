/* Any bytes through the MQTT codec, as a connection would read them: packet after packet.
 *
 * The first input byte picks the protocol level. What is decoded must survive a trip through the
 * encoder, and the quick and the general framing must agree. */
#include <stdlib.h>

#include "support/mqtt_client_bytes.h"
#include "transport/mqtt/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_span(struct ps_mqtt_span span, const struct ps_mqtt_packet *packet)
{
    if (!span.data)
        return;
    PS_ASSERT(span.data >= packet->body.data);
    PS_ASSERT(span.data + span.len <= packet->body.data + packet->body.len);
}

static bool same_span(struct ps_mqtt_span a, struct ps_mqtt_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void check_connect(const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_connect connect;
    struct ps_mqtt_refusal refusal;
    if (ps_mqtt_connect_decode(packet, &connect, &refusal) != PS_OK) {
        PS_ASSERT(refusal.reason >= 0x80);
        return;
    }
    check_span(connect.client_id, packet);
    check_span(connect.username, packet);
    check_span(connect.password, packet);
    check_span(connect.will.topic, packet);
    check_span(connect.will.payload, packet);
    check_span(connect.authentication_method, packet);

    struct ps_buf buf = { 0 };
    mqtt_put_connect(&buf, &connect);
    struct ps_mqtt_packet again;
    struct ps_mqtt_connect got;
    PS_ASSERT(ps_mqtt_frame_next(buf.data, buf.len, SIZE_MAX, &again) == PS_MQTT_FRAME_READY);
    PS_ASSERT(ps_mqtt_connect_decode(&again, &got, &refusal) == PS_OK);
    PS_ASSERT(got.level == connect.level && got.keep_alive_s == connect.keep_alive_s);
    PS_ASSERT(same_span(got.client_id, connect.client_id));
    PS_ASSERT(same_span(got.username, connect.username));
    PS_ASSERT(same_span(got.password, connect.password));
    PS_ASSERT(same_span(got.will.payload, connect.will.payload));
    PS_ASSERT(got.maximum_packet_size == connect.maximum_packet_size);
    ps_buf_deinit(&buf);
}

static void check_publish(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level)
{
    struct ps_mqtt_publish publish, got;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_publish_decode(packet, level, &publish, &reason) != PS_OK) {
        PS_ASSERT(reason >= 0x80);
        return;
    }
    check_span(publish.topic, packet);
    check_span(publish.payload, packet);
    PS_ASSERT(publish.topic.len > 0 && (publish.qos > 0) == (publish.packet_id != 0));

    struct ps_buf buf = { 0 };
    struct ps_mqtt_packet again;
    ps_mqtt_publish_encode(&buf, level, &publish);
    PS_ASSERT(ps_mqtt_frame_next(buf.data, buf.len, SIZE_MAX, &again) == PS_MQTT_FRAME_READY);
    PS_ASSERT(again.size == buf.len && again.size == ps_mqtt_publish_size(level, &publish));
    PS_ASSERT(ps_mqtt_publish_decode(&again, level, &got, &reason) == PS_OK);
    PS_ASSERT(same_span(got.topic, publish.topic) && same_span(got.payload, publish.payload));
    PS_ASSERT(got.packet_id == publish.packet_id && got.qos == publish.qos);
    ps_buf_deinit(&buf);
}

static void check_filters(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level)
{
    struct ps_mqtt_filters filters;
    struct ps_mqtt_filter filter;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_filters_decode(packet, level, &filters, &reason) != PS_OK) {
        PS_ASSERT(reason >= 0x80);
        return;
    }
    PS_ASSERT(filters.count > 0 && filters.packet_id > 0);
    size_t count = 0;
    while (ps_mqtt_filter_next(&filters, &filter)) {
        check_span(filter.text, packet);
        PS_ASSERT(filter.qos <= 2 && filter.retain_handling <= 3);
        count++;
    }
    PS_ASSERT(count == filters.count);
}

static void check_ack(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level)
{
    struct ps_mqtt_ack ack;
    enum ps_mqtt_reason reason = PS_MQTT_SUCCESS;
    if (ps_mqtt_ack_decode(packet, level, &ack, &reason) == PS_OK)
        PS_ASSERT(ack.packet_id > 0);
    else
        PS_ASSERT(reason >= 0x80);
}

static void check_packet(const struct ps_mqtt_packet *packet, enum ps_mqtt_level level)
{
    enum ps_mqtt_reason reason = PS_MQTT_SUCCESS;
    enum ps_status st = PS_OK;
    struct ps_mqtt_disconnect disconnect;
    struct ps_mqtt_auth auth = { 0 };

    switch (packet->type) {
    case PS_MQTT_CONNECT:
        check_connect(packet);
        break;
    case PS_MQTT_PUBLISH:
        check_publish(packet, level);
        break;
    case PS_MQTT_PUBACK:
    case PS_MQTT_PUBREC:
    case PS_MQTT_PUBREL:
    case PS_MQTT_PUBCOMP:
        check_ack(packet, level);
        break;
    case PS_MQTT_SUBSCRIBE:
    case PS_MQTT_UNSUBSCRIBE:
        check_filters(packet, level);
        break;
    case PS_MQTT_PINGREQ:
        st = ps_mqtt_pingreq_decode(packet, &reason);
        break;
    case PS_MQTT_DISCONNECT:
        st = ps_mqtt_disconnect_decode(packet, level, &disconnect, &reason);
        break;
    case PS_MQTT_AUTH:
        st = ps_mqtt_auth_decode(packet, level, &auth, &reason);
        check_span(auth.method, packet);
        break;
    default:
        break;
    }
    PS_ASSERT(st == PS_OK || reason >= 0x80);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum ps_mqtt_level level = (enum ps_mqtt_level)(PS_MQTT_31 + data[0] % 3);
    const char *at = (const char *)data + 1;
    size_t left = size - 1;

    for (;;) {
        struct ps_mqtt_packet packet, slow;
        enum ps_mqtt_frame frame = ps_mqtt_frame_next(at, left, 65536, &packet);
        PS_ASSERT(frame == ps_mqtt_frame_next_slow(at, left, 65536, &slow));
        PS_ASSERT(packet.size == slow.size && packet.body.len == slow.body.len);
        if (frame != PS_MQTT_FRAME_READY)
            return 0;
        PS_ASSERT(packet.size >= 2 && packet.size <= left);
        check_packet(&packet, level);
        at += packet.size;
        left -= packet.size;
    }
}
