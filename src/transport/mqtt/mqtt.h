/* mqtt: the MQTT transport: a listener on every shard, connections that live with their device. */
#ifndef PS_TRANSPORT_MQTT_MQTT_H
#define PS_TRANSPORT_MQTT_MQTT_H

#include <stdint.h>

#include "core/status.h"
#include "core/text.h"
#include "transport/mqtt/connection.h"
#include "transport/services.h"

struct ps_mqtt;

/** Listen on mqtt.bind:mqtt.port. The shards must run. Returns: PS_OK; PS_EIO with `why`. */
PS_MUST_CHECK
enum ps_status ps_mqtt_start(const struct ps_services *services, struct ps_mqtt **out,
                             struct ps_text *why);
/** The port it really listens on. */
uint16_t ps_mqtt_port(const struct ps_mqtt *mqtt);
/** Stop accepting and reading; connections close as their messages are answered. Returns at once;
 *  ps_actors_stop() finishes it. */
void ps_mqtt_stop(struct ps_mqtt *mqtt);
/** After the shards have ended. NULL is fine. */
void ps_mqtt_destroy(struct ps_mqtt *mqtt);

/** What MQTT has on shard `index`. */
struct ps_mqtt_lane *ps_mqtt_lane(struct ps_mqtt *mqtt, unsigned index);

#endif
