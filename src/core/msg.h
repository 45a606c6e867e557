/* msg: telemetry, attributes or an event on its way through actors and rule chains.
 *
 * One heap block holds the struct, its key-values, metadata and all their text; it is built once
 * (ps_msg_create copies everything) and immutable from then on: branches of a fan-out share it,
 * a node that changes something makes a new one. Counted, without atomics: a message belongs to
 * one thread at a time and is handed over through mailboxes and ports. */
#ifndef PS_CORE_MSG_H
#define PS_CORE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/port.h"
#include "core/status.h"
#include "core/uuid.h"
#include "core/value.h"

struct ps_ack;
struct ps_buf;

/* X(enum name, wire name, relation of the message type switch; rule-engine contract 1.3) */
#define PS_MSG_TYPE_LIST(X)                                                                        \
    X(POST_TELEMETRY, "POST_TELEMETRY_REQUEST", "Post telemetry")                                  \
    X(POST_ATTRIBUTES, "POST_ATTRIBUTES_REQUEST", "Post attributes")                               \
    X(TO_SERVER_RPC, "TO_SERVER_RPC_REQUEST", "RPC Request from Device")                           \
    X(RPC_TO_DEVICE, "RPC_CALL_FROM_SERVER_TO_DEVICE", "RPC Request to Device")                    \
    X(CONNECT_EVENT, "CONNECT_EVENT", "Connect Event")                                             \
    X(DISCONNECT_EVENT, "DISCONNECT_EVENT", "Disconnect Event")                                    \
    X(ACTIVITY_EVENT, "ACTIVITY_EVENT", "Activity Event")                                          \
    X(INACTIVITY_EVENT, "INACTIVITY_EVENT", "Inactivity Event")                                    \
    X(ENTITY_CREATED, "ENTITY_CREATED", "Entity Created")                                          \
    X(ENTITY_UPDATED, "ENTITY_UPDATED", "Entity Updated")                                          \
    X(ENTITY_DELETED, "ENTITY_DELETED", "Entity Deleted")                                          \
    X(ENTITY_ASSIGNED, "ENTITY_ASSIGNED", "Entity Assigned")                                       \
    X(ENTITY_UNASSIGNED, "ENTITY_UNASSIGNED", "Entity Unassigned")                                 \
    X(ENTITY_ASSIGNED_FROM_TENANT, "ENTITY_ASSIGNED_FROM_TENANT", "Entity Assigned From Tenant")   \
    X(ENTITY_ASSIGNED_TO_TENANT, "ENTITY_ASSIGNED_TO_TENANT", "Entity Assigned To Tenant")         \
    X(ATTRIBUTES_UPDATED, "ATTRIBUTES_UPDATED", "Attributes Updated")                              \
    X(ATTRIBUTES_DELETED, "ATTRIBUTES_DELETED", "Attributes Deleted")                              \
    X(TIMESERIES_UPDATED, "TIMESERIES_UPDATED", "Timeseries Updated")                              \
    X(TIMESERIES_DELETED, "TIMESERIES_DELETED", "Timeseries Deleted")                              \
    X(ALARM, "ALARM", "Alarm")                                                                     \
    X(ALARM_CREATED, "ALARM_CREATED", "Alarm Created")                                             \
    X(ALARM_UPDATED, "ALARM_UPDATED", "Alarm Updated")                                             \
    X(ALARM_SEVERITY_UPDATED, "ALARM_SEVERITY_UPDATED", "Alarm Severity Updated")                  \
    X(ALARM_ACK, "ALARM_ACK", "Alarm Acknowledged")                                                \
    X(ALARM_CLEAR, "ALARM_CLEAR", "Alarm Cleared")                                                 \
    X(ALARM_ASSIGNED, "ALARM_ASSIGNED", "Alarm Assigned")                                          \
    X(ALARM_UNASSIGNED, "ALARM_UNASSIGNED", "Alarm Unassigned")                                    \
    X(ALARM_DELETE, "ALARM_DELETE", "Other")                                                       \
    X(COMMENT_CREATED, "COMMENT_CREATED", "Comment Created")                                       \
    X(COMMENT_UPDATED, "COMMENT_UPDATED", "Comment Updated")                                       \
    X(RPC_QUEUED, "RPC_QUEUED", "RPC Queued")                                                      \
    X(RPC_SENT, "RPC_SENT", "RPC Sent")                                                            \
    X(RPC_DELIVERED, "RPC_DELIVERED", "RPC Delivered")                                             \
    X(RPC_SUCCESSFUL, "RPC_SUCCESSFUL", "RPC Successful")                                          \
    X(RPC_TIMEOUT, "RPC_TIMEOUT", "RPC Timeout")                                                   \
    X(RPC_EXPIRED, "RPC_EXPIRED", "RPC Expired")                                                   \
    X(RPC_FAILED, "RPC_FAILED", "RPC Failed")                                                      \
    X(RPC_DELETED, "RPC_DELETED", "RPC Deleted")                                                   \
    X(RELATION_ADD_OR_UPDATE, "RELATION_ADD_OR_UPDATE", "Relation Added or Updated")               \
    X(RELATION_DELETED, "RELATION_DELETED", "Relation Deleted")                                    \
    X(RELATIONS_DELETED, "RELATIONS_DELETED", "All Relations Deleted")                             \
    X(PROVISION_SUCCESS, "PROVISION_SUCCESS", "Other")                                             \
    X(PROVISION_FAILURE, "PROVISION_FAILURE", "Other")                                             \
    X(SEND_EMAIL, "SEND_EMAIL", "Other")                                                           \
    X(REST_API_REQUEST, "REST_API_REQUEST", "REST API request")                                    \
    X(CUSTOM, "", "Other")

enum ps_msg_type {
#define PS_MSG_TYPE_ENUM(name, wire, relation) PS_MSG_##name,
    PS_MSG_TYPE_LIST(PS_MSG_TYPE_ENUM)
#undef PS_MSG_TYPE_ENUM
        PS_MSG_TYPE_COUNT
};

enum ps_data_kind {
    PS_DATA_OBJECT, /* a JSON object, kept as typed key-values */
    PS_DATA_JSON,   /* any other JSON value, kept as compact strict text */
    PS_DATA_BINARY, /* raw bytes */
};

enum {
    PS_MSG_METADATA_KEYS_MAX = 256,
    PS_MSG_METADATA_BYTES_MAX = 64 * 1024,
    PS_MSG_DATA_BYTES_MAX = 256 * 1024,
    PS_MSG_TYPE_LEN_MAX = 255,
};

/* What a message says, apart from where it comes from. All text is borrowed. */
struct ps_msg_content {
    enum ps_msg_type type;
    const char *type_name; /* the wire name; for PS_MSG_CUSTOM the text as it came */
    uint32_t type_name_len;

    enum ps_data_kind data_kind;
    const struct ps_kv *kvs; /* PS_DATA_OBJECT */
    uint32_t kv_count;
    const char *data; /* PS_DATA_JSON, PS_DATA_BINARY */
    uint32_t data_len;

    const struct ps_pair *metadata;
    uint32_t metadata_count;
};

struct ps_msg {
    struct ps_port_item item; /* carries it to its shard, when it comes from another thread */
    struct ps_msg *next;      /* link of the mailbox that holds it */
    struct ps_ack *ack;       /* who waits for the end of this message; NULL: nobody */
    struct ps_uuid tenant;    /* whose chains it runs */
    struct ps_entity_id originator;
    struct ps_uuid customer; /* PS_UUID_NULL if none */
    struct ps_uuid id;       /* all-zero until asked for with ps_msg_id() */
    int64_t created_ms;      /* "ts" of the contract */
    int64_t ts_ms;           /* effective: metadata.ts if it is a decimal, else created_ms */
    uint32_t references;
    bool counted;                  /* in messages_received; its end must be counted too */
    uint32_t hops;                 /* times a node made a message enter again; at most 8 */
    uint32_t size_bytes;           /* of the whole block, for the caps of mailboxes */
    struct ps_msg_content content; /* points into this block */
};

/**
 * Make a message: copies `content` with all its text into one block.
 *
 * @param type_name of `content` may be NULL for a known type.
 * Returns: PS_OK *out has one reference; PS_ENOMEM; PS_ELIMIT data or metadata over a limit.
 * Thread:  any.
 */
PS_MUST_CHECK
enum ps_status ps_msg_create(const struct ps_uuid *tenant, const struct ps_entity_id *originator,
                             const struct ps_uuid *customer, int64_t created_ms,
                             const struct ps_msg_content *content, struct ps_msg **out);

/** Another message of the same origin with new content (a transform's output). */
PS_MUST_CHECK
enum ps_status ps_msg_derive(const struct ps_msg *origin, const struct ps_msg_content *content,
                             struct ps_msg **out);

struct ps_msg *ps_msg_retain(struct ps_msg *msg);
void ps_msg_release(struct ps_msg *msg); /* NULL is fine */

/** The id, made on first use. */
const struct ps_uuid *ps_msg_id(struct ps_msg *msg);

/** Known type of a wire name; PS_MSG_CUSTOM if there is none. */
enum ps_msg_type ps_msg_type_parse(const char *name, size_t len);
const char *ps_msg_type_name(enum ps_msg_type type);     /* "POST_TELEMETRY_REQUEST" */
const char *ps_msg_type_relation(enum ps_msg_type type); /* "Post telemetry" */

/** The metadata value of a key, or NULL. */
const struct ps_pair *ps_msg_metadata(const struct ps_msg_content *content, const char *key);

/** The data as JSON text, appended. PS_DATA_BINARY is appended as it is. */
void ps_msg_put_data(const struct ps_msg_content *content, struct ps_buf *out);
/** The metadata as a JSON object of strings, appended. */
void ps_msg_put_metadata(const struct ps_msg_content *content, struct ps_buf *out);

#endif
