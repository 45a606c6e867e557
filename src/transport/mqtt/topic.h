/* topic: what a topic name or filter means in the device API (contract 2.3, 2.4).
 *
 * Not a general topic tree: devices publish to and subscribe a fixed table of names in four
 * families
 * ("flavours"). A name is parsed once here and is an enum from then on; the server-to-device names
 * are printed here too. Profile-specific topics (contract 2.6) are the caller's, with
 * ps_mqtt_filter_matches() as the tool. Nothing allocates. Thread: any. */
#ifndef PS_TRANSPORT_MQTT_TOPIC_H
#define PS_TRANSPORT_MQTT_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/status.h"

enum ps_mqtt_flavour {
    PS_MQTT_V1,       /* v1/devices/me/...   payload type of the profile */
    PS_MQTT_V2,       /* v2/t, v2/a/...      payload type of the profile */
    PS_MQTT_V2_JSON,  /* v2/t/j, ...         JSON always */
    PS_MQTT_V2_PROTO, /* v2/t/p, ...         protobuf always */
    PS_MQTT_FLAVOUR_COUNT
};

enum ps_mqtt_topic_kind {
    PS_MQTT_TOPIC_UNKNOWN,
    PS_MQTT_TOPIC_TELEMETRY,
    PS_MQTT_TOPIC_ATTRIBUTES,
    PS_MQTT_TOPIC_ATTRIBUTES_REQUEST, /* id */
    PS_MQTT_TOPIC_RPC_RESPONSE,       /* id; the device answers a server RPC */
    PS_MQTT_TOPIC_RPC_REQUEST,        /* id; a client RPC */
    PS_MQTT_TOPIC_CLAIM,
    PS_MQTT_TOPIC_FW_CHUNK, /* id = request id, chunk */
    PS_MQTT_TOPIC_SW_CHUNK, /* id = request id, chunk */
    PS_MQTT_TOPIC_GATEWAY,  /* any topic that starts with v1/gateway */
    PS_MQTT_TOPIC_PROVISION /* /provision/request */
};

struct ps_mqtt_topic {
    enum ps_mqtt_topic_kind kind;
    enum ps_mqtt_flavour flavour; /* V1 where the table knows no other */
    int32_t id;                   /* 0 unless the kind has one; may be negative except for chunks */
    int32_t chunk;
};

/** The general case of ps_mqtt_topic_parse(). */
PS_MUST_CHECK
enum ps_status ps_mqtt_topic_parse_slow(const char *topic, size_t len, struct ps_mqtt_topic *out);

/**
 * What a device publishes to; exact and case-sensitive.
 *
 * Returns: PS_OK      *out is filled; a name that is none of ours has kind UNKNOWN (contract 2.5 B)
 *          PS_EPROTO  a name of ours whose {id} is no decimal signed 32-bit integer: class A error
 */
PS_MUST_CHECK
static inline enum ps_status ps_mqtt_topic_parse(const char *topic, size_t len,
                                                 struct ps_mqtt_topic *out)
{
    static const char telemetry[] = "v1/devices/me/telemetry";
    if (len == sizeof telemetry - 1 && memcmp(topic, telemetry, sizeof telemetry - 1) == 0) {
        *out = (struct ps_mqtt_topic){ .kind = PS_MQTT_TOPIC_TELEMETRY, .flavour = PS_MQTT_V1 };
        return PS_OK;
    }
    return ps_mqtt_topic_parse_slow(topic, len, out);
}

/* what a granted filter starts; a wildcard may start both */
enum {
    PS_MQTT_STARTS_NOTHING = 0,
    PS_MQTT_STARTS_ATTRIBUTES = 1 << 0, /* shared-attribute updates */
    PS_MQTT_STARTS_RPC = 1 << 1,        /* server RPC; pending ones are sent now */
};

struct ps_mqtt_filter_match {
    bool granted;
    bool provision; /* "/provision/response": granted is false, a provisioning session grants it */
    uint8_t starts; /* PS_MQTT_STARTS_... bits */
    /* live flavour of what `starts` names; a wildcard over several takes V2 before JSON before
     * proto */
    enum ps_mqtt_flavour flavour;
};

/**
 * Judge one filter of SUBSCRIBE or UNSUBSCRIBE.
 *
 * @param strict  mqtt.strict_filters: only the literal table of contract 2.4. Otherwise (B17) also
 *                exact ids and wildcards below "v1" or "v2" that cover a server-to-device topic
 */
struct ps_mqtt_filter_match ps_mqtt_filter_judge(const char *filter, size_t len, bool strict);

/** Does `topic` (no wildcards) match `filter`, by MQTT 5 section 4.7? false for an invalid filter.
 * For "the first matching subscription" of downlink QoS, and for profile topics. */
bool ps_mqtt_filter_matches(const char *filter, size_t filter_len, const char *topic,
                            size_t topic_len);

/** Wildcards where section 4.7 allows them, and not empty. */
bool ps_mqtt_filter_is_valid(const char *filter, size_t len);

enum ps_mqtt_downlink {
    PS_MQTT_DOWN_ATTRIBUTES,          /* shared attribute update; no id */
    PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, /* to an attribute request */
    PS_MQTT_DOWN_RPC_REQUEST,         /* server RPC */
    PS_MQTT_DOWN_RPC_RESPONSE,        /* to a client RPC */
    PS_MQTT_DOWNLINK_COUNT
};

enum { PS_MQTT_TOPIC_TEXT_SIZE = 64 }; /* any server-to-device topic, terminator included */

/** Print the topic of a downlink; returns its length. `id` is not used by DOWN_ATTRIBUTES. */
size_t ps_mqtt_topic_print(enum ps_mqtt_downlink what, enum ps_mqtt_flavour flavour, int32_t id,
                           char out[static PS_MQTT_TOPIC_TEXT_SIZE]);

/** "v2/fw/response/{id}/chunk/{chunk}", or sw for a request of kind SW_CHUNK; returns its length.
 */
size_t ps_mqtt_topic_print_chunk(const struct ps_mqtt_topic *request,
                                 char out[static PS_MQTT_TOPIC_TEXT_SIZE]);

#define PS_MQTT_TOPIC_OTA_ERROR "v2/fw/error" /* for software too */
#define PS_MQTT_TOPIC_PROVISION_RESPONSE "/provision/response"

#endif
