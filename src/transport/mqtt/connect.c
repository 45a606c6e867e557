/* connect: CONNECT, from the first packet to CONNACK: decode, look up, move to the device's shard,
 * enter its actor. */
#include <stdlib.h>

#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/uuid.h"
#include "transport/mqtt/connection.h"
#include "transport/mqtt/login.h"
#include "transport/mqtt/mqtt.h"

enum { KEEP_ALIVE_FLOOR_MS = 60 * 1000 }; /* B07: protects firmware that pings late */

static void refuse(struct ps_mqtt_connection *conn, enum ps_mqtt_level level,
                   enum ps_mqtt_reason reason)
{
    ps_metrics_add(conn->lane->services->metrics, ps_shard_index(conn->lane->shard),
                   PS_METRIC_MQTT_CONNECTIONS_REFUSED, 1);
    ps_mqtt_connack_encode(&conn->out, level, reason, false, NULL);
    ps_mqtt_connection_finish(conn);
}

static void accept_device(struct ps_mqtt_connection *conn)
{
    struct ps_mqtt_connack_properties properties = {
        .receive_maximum = PS_MQTT_RECEIVE_MAXIMUM,
        .maximum_packet_size = (uint32_t)conn->lane->services->config->mqtt_max_payload_size + 4,
    };
    char assigned[PS_UUID_TEXT_SIZE];
    if (conn->assign_client_id) {
        struct ps_uuid id = ps_uuid_random();
        ps_uuid_format(&id, assigned);
        properties.assigned_client_id = (struct ps_mqtt_span){ assigned, PS_UUID_TEXT_SIZE - 1 };
    }
    ps_mqtt_connack_encode(ps_mqtt_connection_out(conn), conn->level, PS_MQTT_SUCCESS, false,
                           &properties);
    ps_mqtt_connection_opened(conn);
}

/* ---- entering the actor ------------------------------------------------------------------------
 */

/* The actor found the same device; its copy will do for both. */
static void share_identity(struct ps_mqtt_connection *conn)
{
    struct ps_device_identity *theirs = ps_session_identity(&conn->session);
    ps_device_identity_retain(theirs);
    ps_device_identity_release(conn->identity);
    conn->identity = theirs;
}

struct enter {
    struct ps_actor_call call; /* first */
    struct ps_mqtt_connection *conn;
};

static void enter_actor(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct ps_mqtt_connection *conn = ((struct enter *)call)->conn;
    enum ps_status status = call->status;
    free(call);
    if (conn->state == PS_MQTT_ENTERING && actor) {
        ps_session_open(&conn->session, actor);
        share_identity(conn);
        accept_device(conn);
    } else if (conn->state == PS_MQTT_ENTERING) {
        refuse(conn, conn->level,
               status == PS_ENOTFOUND ? PS_MQTT_BAD_CREDENTIALS : PS_MQTT_SERVER_UNAVAILABLE);
    }
    ps_mqtt_connection_unref(conn);
}

static void enter(struct ps_mqtt_connection *conn)
{
    struct enter *request = calloc(1, sizeof *request);
    if (!request) {
        refuse(conn, conn->level, PS_MQTT_SERVER_UNAVAILABLE);
        return;
    }
    ps_mqtt_connection_set_entering(conn);
    conn->references++;
    request->conn = conn;
    request->call.tenant = conn->identity->tenant;
    request->call.entity =
        (struct ps_entity_id){ .type = PS_ENTITY_DEVICE, .id = conn->identity->device };
    request->call.run = enter_actor;
    ps_actors_call(conn->lane->services->actors, &request->call);
}

/* ---- moving to the device's shard --------------------------------------------------------------
 */

struct move {
    struct ps_port_item item; /* first */
    struct ps_mqtt_connection *conn;
    struct ps_mqtt_lane *to;
};

static void arrive(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct move *move = (struct move *)item;
    struct ps_mqtt_connection *conn = move->conn;
    ps_mqtt_connection_arrive(conn, move->to);
    free(move);
    if (conn->lane->stopping)
        ps_mqtt_connection_close(conn, PS_MQTT_SERVER_SHUTTING_DOWN);
    else if (conn->state == PS_MQTT_LOGGING_IN)
        enter(conn);
}

/* At the end of the round: events that were fetched for the old shard are over. */
static void travel(struct ps_shard_task *task)
{
    struct ps_mqtt_connection *conn =
        (struct ps_mqtt_connection *)((char *)task - offsetof(struct ps_mqtt_connection, travel));
    if (conn->state != PS_MQTT_LOGGING_IN)
        return; /* it died meanwhile */
    struct ps_actors *actors = conn->lane->services->actors;
    struct move *move = malloc(sizeof *move);
    if (!move) {
        refuse(conn, conn->level, PS_MQTT_SERVER_UNAVAILABLE);
        return;
    }
    unsigned index = ps_actors_shard_index(actors, &conn->identity->device);
    *move = (struct move){ .item = { .run = arrive },
                           .conn = conn,
                           .to = ps_mqtt_lane(conn->lane->mqtt, index) };
    ps_mqtt_connection_leave(conn);
    ps_port_post(ps_shard_port(move->to->shard), &move->item);
}

static void logged_in(struct ps_login_result *result)
{
    struct ps_mqtt_connection *conn = result->conn;
    if (conn->state != PS_MQTT_LOGGING_IN) {
        ps_device_identity_release(result->identity);
    } else if (!result->identity) {
        refuse(conn, conn->level, result->refusal);
    } else {
        conn->identity = result->identity;
        unsigned index =
            ps_actors_shard_index(conn->lane->services->actors, &conn->identity->device);
        if (index == ps_shard_index(conn->lane->shard)) {
            enter(conn);
        } else {
            conn->travel.run = travel;
            ps_shard_defer(conn->lane->shard, &conn->travel);
        }
    }
    ps_mqtt_connection_unref(conn);
}

/* ---- the packet --------------------------------------------------------------------------------
 */

static void remember(struct ps_mqtt_connection *conn, const struct ps_mqtt_connect *connect)
{
    conn->level = connect->level;
    conn->maximum_packet_size = connect->maximum_packet_size;
    conn->receive_maximum = connect->receive_maximum;
    conn->assign_client_id = connect->level == PS_MQTT_5 && connect->client_id.len == 0;
    if (!connect->keep_alive_s)
        return;
    int64_t silence_ms = (int64_t)connect->keep_alive_s * 1500;
    conn->silence_ms = silence_ms > KEEP_ALIVE_FLOOR_MS ? silence_ms : KEEP_ALIVE_FLOOR_MS;
}

enum ps_mqtt_taken ps_mqtt_take_connect(struct ps_mqtt_connection *conn,
                                        const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_connect connect;
    struct ps_mqtt_refusal refusal;
    if (ps_mqtt_connect_decode(packet, &connect, &refusal) != PS_OK) {
        ps_metrics_add(conn->lane->services->metrics, ps_shard_index(conn->lane->shard),
                       PS_METRIC_MQTT_PROTOCOL_ERRORS, 1);
        if (refusal.answer)
            refuse(conn, refusal.level, refusal.reason);
        else
            ps_mqtt_connection_finish(conn);
        return PS_MQTT_TAKEN;
    }
    remember(conn, &connect);
    if (connect.authentication_method.data) {
        refuse(conn, conn->level, PS_MQTT_BAD_AUTHENTICATION_METHOD);
        return PS_MQTT_TAKEN;
    }
    ps_mqtt_connection_set_logging_in(conn);
    if (ps_login_start(conn, &connect, logged_in) != PS_OK)
        refuse(conn, conn->level, PS_MQTT_SERVER_UNAVAILABLE);
    return PS_MQTT_TAKEN;
}
