/* mqtt_client_bytes: what an MQTT client sends, for tests and load: the other half of packet.h.
 *
 * Appends to a ps_buf and checks nothing, so that a test can also say what no honest client would.
 * PUBLISH and the acknowledgements look the same in both directions: see packet.h. */
#ifndef PS_TESTS_SUPPORT_MQTT_CLIENT_BYTES_H
#define PS_TESTS_SUPPORT_MQTT_CLIENT_BYTES_H

#include "core/buf.h"
#include "transport/mqtt/packet.h"

static inline struct ps_mqtt_span mqtt_text(const char *text)
{
    return (struct ps_mqtt_span){ text, strlen(text) };
}

static inline void mqtt_put_u16(struct ps_buf *buf, unsigned value)
{
    ps_buf_put_char(buf, (char)(value >> 8));
    ps_buf_put_char(buf, (char)value);
}

static inline void mqtt_put_u32(struct ps_buf *buf, uint32_t value)
{
    mqtt_put_u16(buf, value >> 16);
    mqtt_put_u16(buf, value & 0xffff);
}

static inline void mqtt_put_span(struct ps_buf *buf, struct ps_mqtt_span span)
{
    mqtt_put_u16(buf, (unsigned)span.len);
    ps_buf_put(buf, span.data, span.len);
}

static inline void mqtt_put_varint(struct ps_buf *buf, size_t value)
{
    for (; value > 0x7f; value >>= 7)
        ps_buf_put_char(buf, (char)(value | 0x80));
    ps_buf_put_char(buf, (char)value);
}

/* A fixed header with `body` behind it; `body` is emptied and freed. */
static inline void mqtt_put_packet(struct ps_buf *buf, unsigned first_byte, struct ps_buf *body)
{
    ps_buf_put_char(buf, (char)first_byte);
    mqtt_put_varint(buf, body->len);
    ps_buf_put(buf, body->data, body->len);
    ps_buf_deinit(body);
}

/* Properties behind their length; `properties` is emptied and freed. */
static inline void mqtt_put_properties(struct ps_buf *buf, struct ps_buf *properties)
{
    mqtt_put_varint(buf, properties->len);
    ps_buf_put(buf, properties->data, properties->len);
    ps_buf_deinit(properties);
}

static inline void mqtt_put_connect_properties(struct ps_buf *buf,
                                               const struct ps_mqtt_connect *connect)
{
    struct ps_buf properties = { 0 };
    if (connect->session_expiry_s) {
        ps_buf_put_char(&properties, 0x11);
        mqtt_put_u32(&properties, connect->session_expiry_s);
    }
    if (connect->receive_maximum != UINT16_MAX && connect->receive_maximum) {
        ps_buf_put_char(&properties, 0x21);
        mqtt_put_u16(&properties, connect->receive_maximum);
    }
    if (connect->maximum_packet_size != UINT32_MAX && connect->maximum_packet_size) {
        ps_buf_put_char(&properties, 0x27);
        mqtt_put_u32(&properties, connect->maximum_packet_size);
    }
    if (connect->topic_alias_maximum) {
        ps_buf_put_char(&properties, 0x22);
        mqtt_put_u16(&properties, connect->topic_alias_maximum);
    }
    if (connect->request_response_information)
        ps_buf_put(&properties, "\x19\x01", 2);
    if (!connect->request_problem_information)
        ps_buf_put(&properties, "\x17\x00", 2);
    if (connect->authentication_method.data) {
        ps_buf_put_char(&properties, 0x15);
        mqtt_put_span(&properties, connect->authentication_method);
    }
    mqtt_put_properties(buf, &properties);
}

static inline void mqtt_put_will(struct ps_buf *buf, enum ps_mqtt_level level,
                                 const struct ps_mqtt_will *will)
{
    struct ps_buf properties = { 0 };
    if (will->delay_s) {
        ps_buf_put_char(&properties, 0x18);
        mqtt_put_u32(&properties, will->delay_s);
    }
    if (level == PS_MQTT_5)
        mqtt_put_properties(buf, &properties);
    ps_buf_deinit(&properties);
    mqtt_put_span(buf, will->topic);
    mqtt_put_span(buf, will->payload);
}

/** CONNECT. v5: zeroed receive_maximum and maximum_packet_size stand for "not said"; set
 * request_problem_information, its default is true. */
static inline void mqtt_put_connect(struct ps_buf *buf, const struct ps_mqtt_connect *connect)
{
    struct ps_buf body = { 0 };
    mqtt_put_span(&body, mqtt_text(connect->level == PS_MQTT_31 ? "MQIsdp" : "MQTT"));
    ps_buf_put_char(&body, (char)connect->level);
    ps_buf_put_char(&body,
                    (char)(connect->clean << 1 | connect->has_will << 2 | connect->will.qos << 3 |
                           connect->will.retain << 5 | (connect->password.data != NULL) << 6 |
                           (connect->username.data != NULL) << 7));
    mqtt_put_u16(&body, connect->keep_alive_s);
    if (connect->level == PS_MQTT_5)
        mqtt_put_connect_properties(&body, connect);
    mqtt_put_span(&body, connect->client_id);
    if (connect->has_will)
        mqtt_put_will(&body, connect->level, &connect->will);
    if (connect->username.data)
        mqtt_put_span(&body, connect->username);
    if (connect->password.data)
        mqtt_put_span(&body, connect->password);
    mqtt_put_packet(buf, 0x10, &body);
}

/** The plain CONNECT of a device with an access token. */
static inline void mqtt_put_connect_token(struct ps_buf *buf, enum ps_mqtt_level level,
                                          const char *client_id, const char *token)
{
    mqtt_put_connect(buf, &(struct ps_mqtt_connect){
                              .level = level,
                              .clean = true,
                              .keep_alive_s = 60,
                              .client_id = mqtt_text(client_id),
                              .username = mqtt_text(token),
                              .request_problem_information = true,
                          });
}

static inline void mqtt_put_filters(struct ps_buf *buf, enum ps_mqtt_level level,
                                    unsigned first_byte, unsigned packet_id,
                                    const struct ps_mqtt_filter *filters, size_t count)
{
    struct ps_buf body = { 0 };
    mqtt_put_u16(&body, packet_id);
    if (level == PS_MQTT_5)
        ps_buf_put_char(&body, 0);
    for (size_t i = 0; i < count; i++) {
        mqtt_put_span(&body, filters[i].text);
        if (first_byte >> 4 == PS_MQTT_SUBSCRIBE)
            ps_buf_put_char(&body, (char)(filters[i].qos | filters[i].no_local << 2 |
                                          filters[i].retain_as_published << 3 |
                                          filters[i].retain_handling << 4));
    }
    mqtt_put_packet(buf, first_byte, &body);
}

static inline void mqtt_put_subscribe(struct ps_buf *buf, enum ps_mqtt_level level,
                                      unsigned packet_id, const struct ps_mqtt_filter *filters,
                                      size_t count)
{
    mqtt_put_filters(buf, level, 0x82, packet_id, filters, count);
}

static inline void mqtt_put_unsubscribe(struct ps_buf *buf, enum ps_mqtt_level level,
                                        unsigned packet_id, const struct ps_mqtt_filter *filters,
                                        size_t count)
{
    mqtt_put_filters(buf, level, 0xa2, packet_id, filters, count);
}

static inline void mqtt_put_pingreq(struct ps_buf *buf)
{
    ps_buf_put(buf, "\xc0\x00", 2);
}

static inline void mqtt_put_disconnect(struct ps_buf *buf)
{
    ps_buf_put(buf, "\xe0\x00", 2);
}

#endif
