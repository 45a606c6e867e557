/* uuid: 16 bytes in network order, and the entity id that pairs one with the kind of entity. */
#ifndef PS_CORE_UUID_H
#define PS_CORE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/status.h"

enum { PS_UUID_TEXT_SIZE = 37 }; /* 36 characters and the terminator */

struct ps_uuid {
    uint8_t bytes[16];
};

/* NULL_ID of the REST contract: "none". All-zero is never an entity. */
extern const struct ps_uuid PS_UUID_NULL;

/** A random (version 4) id from the kernel's generator; aborts if that is broken. Thread: any. */
struct ps_uuid ps_uuid_random(void);

/** Parse 36 characters, either case. Returns: PS_OK or PS_EINVAL. */
PS_MUST_CHECK
enum ps_status ps_uuid_parse(const char *text, size_t len, struct ps_uuid *out);

/** Write 36 lower-case characters and the terminator. */
void ps_uuid_format(const struct ps_uuid *uuid, char out[PS_UUID_TEXT_SIZE]);

static inline bool ps_uuid_equal(const struct ps_uuid *a, const struct ps_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/** True for NULL_ID and for the all-zero id. */
bool ps_uuid_is_null(const struct ps_uuid *uuid);

/** A well mixed 64-bit hash: ids of any version spread evenly over shards and tables. */
static inline uint64_t ps_uuid_hash(const struct ps_uuid *uuid)
{
    uint64_t a, b;
    memcpy(&a, uuid->bytes, 8);
    memcpy(&b, uuid->bytes + 8, 8);
    a ^= b * 0x9E3779B97F4A7C15ull;
    a ^= a >> 32;
    a *= 0xD6E8FEB86659FD93ull;
    a ^= a >> 32;
    return a;
}

#define PS_ENTITY_TYPE_LIST(X)                                                                     \
    X(TENANT, "Tenant")                                                                            \
    X(CUSTOMER, "Customer")                                                                        \
    X(USER, "User")                                                                                \
    X(DASHBOARD, "Dashboard")                                                                      \
    X(ASSET, "Asset")                                                                              \
    X(DEVICE, "Device")                                                                            \
    X(ALARM, "Alarm")                                                                              \
    X(RULE_CHAIN, "Rule chain")                                                                    \
    X(RULE_NODE, "Rule node")                                                                      \
    X(ENTITY_VIEW, "Entity view")                                                                  \
    X(TENANT_PROFILE, "Tenant profile")                                                            \
    X(DEVICE_PROFILE, "Device profile")                                                            \
    X(ASSET_PROFILE, "Asset profile")

enum ps_entity_type {
    PS_ENTITY_NONE,
#define PS_ENTITY_ENUM(name, sentence) PS_ENTITY_##name,
    PS_ENTITY_TYPE_LIST(PS_ENTITY_ENUM)
#undef PS_ENTITY_ENUM
};

struct ps_entity_id {
    enum ps_entity_type type;
    struct ps_uuid id;
};

/** "DEVICE" for PS_ENTITY_DEVICE. */
const char *ps_entity_type_name(enum ps_entity_type type);
/** "Device profile" for PS_ENTITY_DEVICE_PROFILE: how error messages name it. */
const char *ps_entity_type_sentence(enum ps_entity_type type);
/** Upper-case names only. Returns: PS_OK or PS_EINVAL. */
PS_MUST_CHECK
enum ps_status ps_entity_type_parse(const char *text, size_t len, enum ps_entity_type *out);

#endif
