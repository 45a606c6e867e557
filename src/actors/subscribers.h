/* subscribers: committed changes of watched entities, on their way to the WebSocket thread.
 *
 * The WebSocket thread says which entities it watches; from then on every committed change of them
 * comes to its port as one ps_update per write, in commit order. What it does with updates
 * (keys, scopes, frames, slow readers) is its own business.
 *
 *     ps_watch_start() ... `started` runs on the port: everything committed before is readable
 *                          from storage, everything committed later comes as an update */
#ifndef PS_ACTORS_SUBSCRIBERS_H
#define PS_ACTORS_SUBSCRIBERS_H

#include "actors/actors.h"
#include "rules/host.h"

enum ps_update_kind {
    PS_UPDATE_TELEMETRY,
    PS_UPDATE_TELEMETRY_DELETED, /* the latest values of these keys; PS_VALUE_NULL */
    PS_UPDATE_ATTRIBUTES,
    PS_UPDATE_ATTRIBUTES_DELETED, /* values are PS_VALUE_NULL */
};

/* One block; free() it after use. Runs on the watcher's port: item.run as given to the hub. */
struct ps_update {
    struct ps_port_item item;
    struct ps_entity_id entity;
    enum ps_update_kind kind;
    enum ps_attribute_scope scope; /* attributes only */
    int64_t ts_ms;                 /* of the points, or lastUpdateTs */
    uint32_t kv_count;
    const struct ps_kv *kvs; /* in this block */
};

/** A copy of everything, in one block; NULL if memory is short. Telemetry ignores the scope. */
struct ps_update *ps_update_create(const struct ps_entity_id *entity, enum ps_update_kind kind,
                                   enum ps_attribute_scope scope, int64_t ts_ms,
                                   const struct ps_kv *kvs, size_t count);

/* Where updates go: one hub per watching thread. */
struct ps_update_hub {
    struct ps_port *port;
    void (*run)(struct ps_port_item *item, void *owner); /* item of a ps_update */
    _Atomic uint64_t outstanding; /* posted and not yet freed by ps_update_done() */
    uint64_t outstanding_max;     /* beyond it updates are dropped and `lost` counts up */
    _Atomic uint64_t lost;
};

/** After handling an update: frees it and lets the hub take another. Thread: the hub's. */
void ps_update_done(struct ps_update_hub *hub, struct ps_update *update);

/* A request to watch, embedded by the asker; comes back to the hub's port as `started`. */
struct ps_watch {
    struct ps_actor_call call;
    struct ps_port_item item; /* run = started, set by the asker */
    struct ps_update_hub *hub;
    enum ps_status status; /* PS_OK: watching */
};

/** Watch an entity; counted, so two watches need two stops. Set call.tenant, call.entity, hub and
 *  item.run first. Thread: the hub's. */
void ps_watch_start(struct ps_actors *actors, struct ps_watch *watch);
/** Stop one watch of the entity; updates already on their way still come. */
void ps_watch_stop(struct ps_actors *actors, struct ps_update_hub *hub,
                   const struct ps_uuid *tenant, const struct ps_entity_id *entity);

#endif
