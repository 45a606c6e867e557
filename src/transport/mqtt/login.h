/* login: who is this? A reader looks the credentials of a CONNECT up. */
#ifndef PS_TRANSPORT_MQTT_LOGIN_H
#define PS_TRANSPORT_MQTT_LOGIN_H

#include "core/port.h"
#include "core/status.h"
#include "transport/mqtt/connection.h"

/* Comes back to the shard that asked. */
struct ps_login_result {
    struct ps_mqtt_connection *conn;
    struct ps_device_identity *identity; /* retained; NULL: refused */
    enum ps_mqtt_reason refusal;         /* for the CONNACK */
};

/**
 * Ask; `done(result)` runs on the connection's shard (the result is borrowed, the identity given).
 * Returns: PS_OK; PS_EBUSY too many questions wait; PS_ENOMEM.
 */
PS_MUST_CHECK
enum ps_status ps_login_start(struct ps_mqtt_connection *conn,
                              const struct ps_mqtt_connect *connect,
                              void (*done)(struct ps_login_result *result));

#endif
