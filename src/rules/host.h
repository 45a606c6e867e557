/* host: what a run asks of the actor that carries it.
 *
 * Rules post messages, save values and use Lua states that live to their left; they declare here
 * what they need, actors implement it (and tests fake it). All calls happen on the entity's shard
 * and never block. Effects join the shard's batch: they are kept or lost as one with everything
 * else the message did. */
#ifndef PS_RULES_HOST_H
#define PS_RULES_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/entity/attribute_scope.h"
#include "core/msg.h"
#include "core/status.h"
#include "core/text.h"

struct ps_host;
struct ps_lua;

struct ps_save_telemetry {
    int64_t ts_ms;
    uint32_t ttl_s; /* 0 = the default of its entity; at most PS_TTL_S_MAX */
    const struct ps_kv *kvs;
    uint32_t kv_count;
    bool keep_history, keep_latest, tell_subscribers; /* processingSettings; usually all */
};

struct ps_save_attributes {
    enum ps_attribute_scope scope;
    const struct ps_kv *kvs;
    uint32_t kv_count;
    bool only_changed;    /* drop values equal to the stored ones first */
    bool notify_device;   /* push SHARED changes to the device's sessions */
    bool tell_rule_chain; /* make ATTRIBUTES_UPDATED enter by the originator's root chain */
    bool tell_subscribers;
};

struct ps_host_ops {
    /* Both copy what they are given. PS_OK: in the batch. Keys are checked (3.4): PS_EINVAL. */
    enum ps_status (*save_telemetry)(struct ps_host *host, const struct ps_msg *msg,
                                     const struct ps_save_telemetry *save, struct ps_text *why);
    enum ps_status (*save_attributes)(struct ps_host *host, const struct ps_msg *msg,
                                      const struct ps_save_attributes *save, struct ps_text *why);
    /* The Lua state of this (shard, tenant); NULL if memory is short. */
    struct ps_lua *(*lua)(struct ps_host *host, const struct ps_uuid *tenant);
};

struct ps_host {
    const struct ps_host_ops *ops;
};

#endif
