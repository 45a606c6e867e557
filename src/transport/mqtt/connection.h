/* connection: one MQTT client: its socket, its packets, its place in the device's actor.
 *
 * Life: NEW (waits for CONNECT) -> LOGGING_IN (a reader checks who it is; nothing is read) ->
 * ENTERING (on the device's shard, its actor loads) -> OPEN -> CLOSING (last bytes leave) ->
 * CLOSED. It is accepted on any shard and moves once, in LOGGING_IN, to the shard that owns its
 * device; from then on everything happens there.
 *
 * Bounded by: one packet of input, mqtt.output_bytes_max of output, the ack window, and
 * PS_MQTT_SUBSCRIPTIONS_MAX. While output waits or the device's mailbox is full nothing is read.
 *
 * Thread: its shard's. */
#ifndef PS_TRANSPORT_MQTT_CONNECTION_H
#define PS_TRANSPORT_MQTT_CONNECTION_H

#include "actors/session.h"
#include "actors/shard.h"
#include "core/buf.h"
#include "core/entity/device_identity.h"
#include "transport/device_uplink.h"
#include "transport/mqtt/ack_window.h"
#include "transport/mqtt/packet.h"
#include "transport/mqtt/topic.h"
#include "transport/services.h"

enum { PS_MQTT_SUBSCRIPTIONS_MAX = 100, PS_MQTT_RECEIVE_MAXIMUM = 100 };

struct ps_mqtt;
struct ps_mqtt_connection;

/* What MQTT has on each shard. */
struct ps_mqtt_lane {
    struct ps_mqtt *mqtt;
    const struct ps_services *services;
    struct ps_shard *shard;
    struct ps_shard_source listener; /* fd -1 = closed */
    struct ps_port_item begin, end;  /* start and stop, travelling to the shard */
    bool stopping;
    struct ps_device_uplink uplink;
    struct ps_buf scratch;            /* output of one flush */
    struct ps_publish_ack *free_acks; /* ready for the next publishes */
    struct ps_mqtt_connection *connections;
};

enum ps_mqtt_state {
    PS_MQTT_NEW,
    PS_MQTT_LOGGING_IN,
    PS_MQTT_ENTERING,
    PS_MQTT_OPEN,
    PS_MQTT_CLOSING,
    PS_MQTT_CLOSED,
};

struct ps_mqtt_subscription {
    struct ps_mqtt_subscription *next; /* oldest first */
    uint8_t qos;
    uint8_t starts;
    enum ps_mqtt_flavour flavour;
    uint16_t len;
    char filter[];
};

struct ps_mqtt_connection {
    /* what every packet touches, side by side */
    struct ps_shard_source source; /* first */
    struct ps_mqtt_lane *lane;
    struct ps_device_identity *identity;
    enum ps_mqtt_state state;
    enum ps_mqtt_level level;
    uint32_t references;   /* acks and calls that will still come back */
    bool reading, writing; /* what the loop watches */
    bool stalled;
    bool assign_client_id; /* v5: it came without one */
    int64_t heard_ms;      /* monotonic, the last bytes */
    struct ps_ack_window window;
    struct ps_buf in;  /* bytes of a packet that is not complete, or not taken yet */
    struct ps_buf out; /* bytes the socket did not take */
    struct ps_shard_task flush;
    struct ps_session session;

    /* what few packets touch */
    struct ps_shard_task stall, travel, bury;
    struct ps_timer timer;
    struct ps_mqtt_connection *next, *prev;
    int64_t silence_ms; /* of keep alive; 0 = none asked for */
    uint32_t maximum_packet_size;
    uint16_t receive_maximum;
    uint16_t downlinks_in_flight; /* v5: QoS 1 publishes the client has not acknowledged */
    uint16_t next_packet_id;
    uint16_t received_count, received_cap; /* QoS 2 packets between PUBLISH and PUBREL */
    uint16_t *received;
    struct ps_mqtt_subscription *subscriptions;
    uint32_t subscription_count;
    enum ps_mqtt_flavour attributes_flavour; /* of the live subscription to shared attributes */
};

/* ---- life ---- */

/** Take an accepted socket (closed on failure). */
void ps_mqtt_connection_accept(struct ps_mqtt_lane *lane, int fd);
/** End it: v5 clients are told `reason` first, others just see the close. */
void ps_mqtt_connection_close(struct ps_mqtt_connection *conn, enum ps_mqtt_reason reason);
/** End it without another word, e.g. after a refusing CONNACK: what is in `out` still leaves. */
void ps_mqtt_connection_finish(struct ps_mqtt_connection *conn);
/** Stop reading; close as soon as everything that came is answered. */
void ps_mqtt_connection_drain(struct ps_mqtt_connection *conn);
/** One of the references is done. */
void ps_mqtt_connection_unref(struct ps_mqtt_connection *conn);
/** It now belongs to another lane's shard. */
void ps_mqtt_connection_leave(struct ps_mqtt_connection *conn);
void ps_mqtt_connection_arrive(struct ps_mqtt_connection *conn, struct ps_mqtt_lane *lane);
void ps_mqtt_connection_set_logging_in(struct ps_mqtt_connection *conn); /* stops reading */
void ps_mqtt_connection_set_entering(struct ps_mqtt_connection *conn);
/** CONNACK is on its way: take packets. */
void ps_mqtt_connection_opened(struct ps_mqtt_connection *conn);
/** OPEN: read again, starting with what came meanwhile. */
void ps_mqtt_connection_resume(struct ps_mqtt_connection *conn);
/** Free what is left of it at the end of the process. */
void ps_mqtt_connection_destroy(struct ps_mqtt_connection *conn);

/* ---- output ---- */

/** Where to append packets; flushed at the end of the round. */
struct ps_buf *ps_mqtt_connection_out(struct ps_mqtt_connection *conn);
/** Acknowledgements may be ready. */
void ps_mqtt_connection_flush_later(struct ps_mqtt_connection *conn);
/** Publish to the client; the QoS is that of the first matching subscription, 1 if there is none.
 *  Dropped and counted if the client would not take it (B10). */
void ps_mqtt_connection_publish(struct ps_mqtt_connection *conn, const char *topic,
                                size_t topic_len, const struct ps_buf *payload);

/* ---- packets ---- */

enum ps_mqtt_taken {
    PS_MQTT_TAKEN,
    PS_MQTT_NOT_NOW, /* no room: the packet stays in the input, try again later */
};

/* One function per packet we answer: connect.c, publish.c, subscribe.c. */
enum ps_mqtt_taken ps_mqtt_take_connect(struct ps_mqtt_connection *conn,
                                        const struct ps_mqtt_packet *packet);
enum ps_mqtt_taken ps_mqtt_take_publish(struct ps_mqtt_connection *conn,
                                        const struct ps_mqtt_packet *packet);
enum ps_mqtt_taken ps_mqtt_take_pubrel(struct ps_mqtt_connection *conn,
                                       const struct ps_mqtt_packet *packet);
enum ps_mqtt_taken ps_mqtt_take_subscribe(struct ps_mqtt_connection *conn,
                                          const struct ps_mqtt_packet *packet);
enum ps_mqtt_taken ps_mqtt_take_unsubscribe(struct ps_mqtt_connection *conn,
                                            const struct ps_mqtt_packet *packet);

extern const struct ps_session_ops PS_MQTT_SESSION_OPS;

/** Memory of finished publishes. */
void ps_publish_acks_deinit(struct ps_mqtt_lane *lane);

#endif
