/* device_uplink: what an authenticated device sends, the same for every transport.
 *
 * Payload in, rule messages out: one per telemetry entry, each with the device's metadata, handed
 * to the device's actor under one ack. */
#ifndef PS_TRANSPORT_DEVICE_UPLINK_H
#define PS_TRANSPORT_DEVICE_UPLINK_H

#include "actors/actors.h"
#include "actors/session.h"
#include "core/ack.h"
#include "core/buf.h"
#include "core/entity/device_identity.h"
#include "core/metrics.h"
#include "core/payload_json.h"

/* One per thread that parses uplinks: scratch memory that is reused. */
struct ps_device_uplink {
    struct ps_actors *actors;
    struct ps_metrics *metrics;
    unsigned metrics_lane;
    enum ps_metric transport; /* PS_METRIC_MQTT_MESSAGES ...: counts what came in */
    struct ps_payload_rules rules;
    struct ps_session
        *session; /* the device's open session, if this thread is its shard; or NULL */
    struct ps_payload payload;
    int64_t ts_ms; /* the last timestamp that was written as text */
    uint32_t ts_len;
    char ts_text[24];
};

void ps_device_uplink_init(struct ps_device_uplink *uplink, struct ps_actors *actors,
                           struct ps_metrics *metrics, unsigned metrics_lane,
                           enum ps_metric transport, const struct ps_payload_rules *rules);
void ps_device_uplink_deinit(struct ps_device_uplink *uplink);

/**
 * Parse and post. `ack` has one owner, the caller's; on PS_OK it settles when all messages of the
 * payload are committed (or failed), at once if there are none ([]). NULL: nobody waits (QoS 0). On
 * any failure nothing was posted and the ack is untouched.
 *
 * Returns: PS_OK; PS_EPROTO, PS_ELIMIT bad payload, `why` says what (class A of device-api 2.5);
 *          PS_EBUSY no room, try later; PS_ENOMEM.
 * Thread:  the uplink's. The ack's rules (ack.h) apply: MQTT on the device's shard uses port NULL.
 */
PS_MUST_CHECK
enum ps_status ps_device_uplink_telemetry(struct ps_device_uplink *uplink,
                                          struct ps_device_identity *identity, const char *body,
                                          size_t len, struct ps_ack *ack, struct ps_text *why);
PS_MUST_CHECK
enum ps_status ps_device_uplink_attributes(struct ps_device_uplink *uplink,
                                           struct ps_device_identity *identity, const char *body,
                                           size_t len, struct ps_ack *ack, struct ps_text *why);

/* The answer to "GET attributes": comes to `port` (or is called on the shard if that is NULL). */
struct ps_attribute_reply {
    struct ps_actor_call call; /* first */
    struct ps_port_item item;  /* run: set by the asker; frees with ps_attribute_reply_destroy() */
    struct ps_port *port;
    void *owner; /* the asker's own: tells `run` whose answer this is */
    int64_t tag; /* likewise, for a small number */
    enum ps_status status;
    bool found;                   /* at least one attribute is in `json` */
    struct ps_buf json;           /* {"client":{..},"shared":{..}}, 4.2 */
    bool has_client, has_shared;  /* which lists were given; none: all of both scopes */
    struct ps_buf client, shared; /* wanted keys, each terminated by a zero byte */
};

/** Make a request from what was asked; NULL if memory is short. */
struct ps_attribute_reply *
ps_attribute_reply_create(const struct ps_device_identity *identity,
                          const struct ps_attribute_request *request, struct ps_port *port,
                          void (*run)(struct ps_port_item *item, void *owner));
void ps_attribute_reply_destroy(struct ps_attribute_reply *reply);
/** Send it on its way. Thread: any. */
void ps_device_uplink_request_attributes(struct ps_actors *actors,
                                         struct ps_attribute_reply *reply);

#endif
