/* device_identity: all that a transport session and the rules need to know about a device.
 *
 * One immutable heap block, found by one query, counted atomically because shards share it. A
 * change of the device, its profile or credentials makes a new one. */
#ifndef PS_CORE_ENTITY_DEVICE_IDENTITY_H
#define PS_CORE_ENTITY_DEVICE_IDENTITY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/entity/device_profile.h"
#include "core/storage/db.h"
#include "core/uuid.h"

enum ps_credentials_type {
    PS_CREDENTIALS_ACCESS_TOKEN,
    PS_CREDENTIALS_MQTT_BASIC,
    PS_CREDENTIALS_X509
};

/* Text is terminated (lengths do not count the zero) and lives in this block. */
struct ps_device_identity {
    _Atomic unsigned references;
    struct ps_uuid device, tenant, customer, profile; /* customer: PS_UUID_NULL if none */
    struct ps_uuid default_rule_chain;                /* of the profile; PS_UUID_NULL = root */
    enum ps_transport_type transport_type;            /* of the profile */
    enum ps_credentials_type credentials_type;
    bool is_gateway;
    const char *name;
    const char *label;        /* NULL if none */
    const char *profile_name; /* also "deviceType" */
    const char *credentials_id;
    const char *credentials_value; /* NULL if none */
    uint32_t name_len, label_len, profile_name_len, credentials_id_len, credentials_value_len;
};

/** Find by id: of the one credentials record with this id (any type).
 *  Returns: PS_OK *out has one reference; PS_ENOTFOUND; PS_ENOMEM; PS_ESTORE. */
PS_MUST_CHECK
enum ps_status ps_credentials_find(struct ps_db *db, const char *credentials_id, size_t len,
                                   struct ps_device_identity **out);
PS_MUST_CHECK
enum ps_status ps_device_identity_find(struct ps_db *db, const struct ps_uuid *device,
                                       struct ps_device_identity **out);

/* Thread: any. */
struct ps_device_identity *ps_device_identity_retain(struct ps_device_identity *identity);
void ps_device_identity_release(struct ps_device_identity *identity); /* NULL is fine */

#endif
