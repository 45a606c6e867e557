/* publish: PUBLISH from the device: what its topic says is done, and answered in order of receipt.
 *
 * Bad publishes are answered as the table of device-api 2.5 has it, with B13, B19, B20, B22 on. */
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/metrics.h"
#include "transport/mqtt/connection.h"

enum { RECEIVED_FIRST = 8 };

/* The ack of one publish; kept by the lane for the next ones. */
struct ps_publish_ack {
    struct ps_ack ack; /* first */
    struct ps_publish_ack *next;
    struct ps_mqtt_connection *conn;
    uint32_t seq; /* its place in the window */
};

void ps_publish_acks_deinit(struct ps_mqtt_lane *lane)
{
    while (lane->free_acks) {
        struct ps_publish_ack *gone = lane->free_acks;
        lane->free_acks = gone->next;
        free(gone);
    }
}

static enum ps_mqtt_reason reason_of(enum ps_status status)
{
    switch (status) {
    case PS_OK:
        return PS_MQTT_SUCCESS;
    case PS_EBUSY:
    case PS_EFULL:
        return PS_MQTT_QUOTA_EXCEEDED;
    default:
        return PS_MQTT_UNSPECIFIED_ERROR;
    }
}

static void settled(struct ps_ack *ack)
{
    struct ps_publish_ack *publish = (struct ps_publish_ack *)ack;
    struct ps_mqtt_connection *conn = publish->conn;
    ps_ack_window_fill(&conn->window, publish->seq, (uint8_t)reason_of(ack->status));
    publish->next = conn->lane->free_acks;
    conn->lane->free_acks = publish;
    if (conn->state != PS_MQTT_CLOSED)
        ps_mqtt_connection_flush_later(conn);
    ps_mqtt_connection_unref(conn);
}

static struct ps_publish_ack *new_ack(struct ps_mqtt_connection *conn, uint32_t seq)
{
    struct ps_publish_ack *publish = conn->lane->free_acks;
    if (publish)
        conn->lane->free_acks = publish->next;
    else if (!(publish = malloc(sizeof *publish)))
        return NULL;
    ps_ack_init(&publish->ack, NULL, settled);
    publish->conn = conn;
    publish->seq = seq;
    conn->references++;
    return publish;
}

static void give_back(struct ps_publish_ack *publish)
{
    struct ps_mqtt_connection *conn = publish->conn;
    publish->next = conn->lane->free_acks;
    conn->lane->free_acks = publish;
    conn->references--; /* the caller still holds the connection */
}

/* ---- answers -----------------------------------------------------------------------------------
 */

static uint8_t ack_type(const struct ps_mqtt_publish *publish)
{
    return publish->qos == 2 ? PS_MQTT_PUBREC : PS_MQTT_PUBACK;
}

/* Answer without further work, but behind what is still in flight. */
static enum ps_mqtt_taken answer(struct ps_mqtt_connection *conn,
                                 const struct ps_mqtt_publish *publish, enum ps_mqtt_reason reason)
{
    uint32_t seq;
    if (publish->qos == 0)
        return PS_MQTT_TAKEN;
    if (ps_ack_window_take(&conn->window, publish->packet_id, ack_type(publish), &seq) != PS_OK)
        return PS_MQTT_NOT_NOW;
    /* 3.x knows no reasons: what v5 hears as one is a plain PUBACK there */
    ps_ack_window_fill(&conn->window, seq, conn->level == PS_MQTT_5 ? (uint8_t)reason : 0);
    ps_mqtt_connection_flush_later(conn);
    return PS_MQTT_TAKEN;
}

/* Class A: the payload is not what the topic wants. */
static enum ps_mqtt_taken reject(struct ps_mqtt_connection *conn,
                                 const struct ps_mqtt_publish *publish)
{
    if (conn->level == PS_MQTT_5 && publish->qos)
        return answer(conn, publish, PS_MQTT_PAYLOAD_INVALID);
    ps_mqtt_connection_close(conn, PS_MQTT_PAYLOAD_INVALID);
    return PS_MQTT_TAKEN;
}

/* ---- telemetry and attributes ------------------------------------------------------------------
 */

typedef enum ps_status (*uplink_fn)(struct ps_device_uplink *uplink,
                                    struct ps_device_identity *identity, const char *body,
                                    size_t len, struct ps_ack *ack, struct ps_text *why);

static enum ps_mqtt_taken outcome(struct ps_mqtt_connection *conn,
                                  const struct ps_mqtt_publish *publish, enum ps_status st)
{
    if (st == PS_OK)
        return PS_MQTT_TAKEN;
    if (st == PS_EPROTO || st == PS_ELIMIT)
        return reject(conn, publish);
    return PS_MQTT_NOT_NOW; /* no room, or no memory: the same packet again, later */
}

static enum ps_mqtt_taken uplink(struct ps_mqtt_connection *conn,
                                 const struct ps_mqtt_publish *publish, uplink_fn post)
{
    struct ps_device_uplink *lane = &conn->lane->uplink;
    const struct ps_mqtt_span *body = &publish->payload;
    if (!ps_session_has_room(&conn->session))
        return PS_MQTT_NOT_NOW;
    lane->session = &conn->session;
    if (publish->qos == 0)
        return outcome(conn, publish,
                       post(lane, conn->identity, body->data, body->len, NULL, NULL));
    uint32_t seq;
    if (ps_ack_window_take(&conn->window, publish->packet_id, ack_type(publish), &seq) != PS_OK)
        return PS_MQTT_NOT_NOW;
    struct ps_publish_ack *ack = new_ack(conn, seq);
    enum ps_status st =
        ack ? post(lane, conn->identity, body->data, body->len, &ack->ack, NULL) : PS_ENOMEM;
    if (st == PS_OK)
        return PS_MQTT_TAKEN;
    if (ack)
        give_back(ack);
    ps_ack_window_untake(&conn->window);
    return outcome(conn, publish, st);
}

/* ---- attribute requests ------------------------------------------------------------------------
 */

static void publish_attributes(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct ps_attribute_reply *reply =
        (struct ps_attribute_reply *)((char *)item - offsetof(struct ps_attribute_reply, item));
    struct ps_mqtt_connection *conn = reply->owner;
    int32_t id = (int32_t)(reply->tag >> 8);
    enum ps_mqtt_flavour flavour = (enum ps_mqtt_flavour)(reply->tag & 0xff);
    if (conn->state == PS_MQTT_OPEN && reply->status == PS_OK && id >= 0) {
        char topic[PS_MQTT_TOPIC_TEXT_SIZE];
        size_t len = ps_mqtt_topic_print(PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, flavour, id, topic);
        ps_mqtt_connection_publish(conn, topic, len, &reply->json);
    }
    ps_attribute_reply_destroy(reply);
    ps_mqtt_connection_unref(conn);
}

static enum ps_mqtt_taken request_attributes(struct ps_mqtt_connection *conn,
                                             const struct ps_mqtt_publish *publish,
                                             const struct ps_mqtt_topic *topic)
{
    struct ps_attribute_request request;
    enum ps_status st = ps_payload_parse_attribute_request(
        &conn->lane->uplink.payload, publish->payload.data, publish->payload.len, &request, NULL);
    if (st != PS_OK)
        return reject(conn, publish);
    enum ps_mqtt_taken taken = answer(conn, publish, PS_MQTT_SUCCESS);
    if (taken != PS_MQTT_TAKEN)
        return taken;
    struct ps_attribute_reply *reply =
        ps_attribute_reply_create(conn->identity, &request, NULL, publish_attributes);
    if (!reply)
        return PS_MQTT_TAKEN; /* out of memory: the device asks again */
    reply->owner = conn;
    reply->tag = (int64_t)topic->id * 256 + (int64_t)topic->flavour;
    conn->references++;
    ps_device_uplink_request_attributes(conn->lane->services->actors, reply);
    return PS_MQTT_TAKEN;
}

/* ---- QoS 2 (B13) -------------------------------------------------------------------------------
 */

static uint16_t *find_received(struct ps_mqtt_connection *conn, uint16_t packet_id)
{
    for (uint16_t i = 0; i < conn->received_count; i++) {
        if (conn->received[i] == packet_id)
            return &conn->received[i];
    }
    return NULL;
}

static bool note_received(struct ps_mqtt_connection *conn, uint16_t packet_id)
{
    if (conn->received_count == conn->received_cap) {
        uint16_t cap = conn->received_cap ? (uint16_t)(conn->received_cap * 2) : RECEIVED_FIRST;
        if (cap > PS_ACK_WINDOW_MAX)
            return false;
        uint16_t *grown = realloc(conn->received, cap * sizeof *grown);
        if (!grown)
            return false;
        conn->received = grown;
        conn->received_cap = cap;
    }
    conn->received[conn->received_count++] = packet_id;
    return true;
}

enum ps_mqtt_taken ps_mqtt_take_pubrel(struct ps_mqtt_connection *conn,
                                       const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_ack ack;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_ack_decode(packet, conn->level, &ack, &reason) != PS_OK) {
        ps_mqtt_connection_close(conn, reason);
        return PS_MQTT_TAKEN;
    }
    uint16_t *received = find_received(conn, ack.packet_id);
    if (received)
        *received = conn->received[--conn->received_count];
    ps_mqtt_ack_encode(ps_mqtt_connection_out(conn), conn->level, PS_MQTT_PUBCOMP, ack.packet_id,
                       received ? PS_MQTT_SUCCESS : PS_MQTT_PACKET_ID_NOT_FOUND);
    return PS_MQTT_TAKEN;
}

/* ---- the packet --------------------------------------------------------------------------------
 */

static enum ps_mqtt_taken act_on(struct ps_mqtt_connection *conn,
                                 const struct ps_mqtt_publish *publish)
{
    struct ps_mqtt_topic topic;
    if (ps_mqtt_topic_parse(publish->topic.data, publish->topic.len, &topic) != PS_OK)
        return reject(conn, publish);
    if (topic.flavour == PS_MQTT_V2_PROTO)
        return answer(conn, publish, PS_MQTT_TOPIC_INVALID);
    switch (topic.kind) {
    case PS_MQTT_TOPIC_TELEMETRY:
        return uplink(conn, publish, ps_device_uplink_telemetry);
    case PS_MQTT_TOPIC_ATTRIBUTES:
        return uplink(conn, publish, ps_device_uplink_attributes);
    case PS_MQTT_TOPIC_ATTRIBUTES_REQUEST:
        return request_attributes(conn, publish, &topic);
    case PS_MQTT_TOPIC_RPC_RESPONSE: /* no RPC is open in this version: late answers are dropped */
        return answer(conn, publish, PS_MQTT_SUCCESS);
    case PS_MQTT_TOPIC_GATEWAY:
        return answer(conn, publish,
                      conn->identity->is_gateway ? PS_MQTT_TOPIC_INVALID : PS_MQTT_NOT_AUTHORIZED);
    default:
        return answer(conn, publish, PS_MQTT_TOPIC_INVALID);
    }
}

enum ps_mqtt_taken ps_mqtt_take_publish(struct ps_mqtt_connection *conn,
                                        const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_publish publish;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_publish_decode(packet, conn->level, &publish, &reason) != PS_OK) {
        ps_mqtt_connection_close(conn, reason);
        return PS_MQTT_TAKEN;
    }
    if (publish.qos < 2)
        return act_on(conn, &publish);
    if (conn->level == PS_MQTT_5) {
        ps_mqtt_connection_close(conn, PS_MQTT_QOS_NOT_SUPPORTED);
        return PS_MQTT_TAKEN;
    }
    if (find_received(conn, publish.packet_id))
        return answer(conn, &publish, PS_MQTT_SUCCESS); /* a repetition: its effects are there */
    enum ps_mqtt_taken taken = act_on(conn, &publish);
    if (taken == PS_MQTT_TAKEN && !note_received(conn, publish.packet_id))
        ps_mqtt_connection_close(conn, PS_MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    return taken;
}
