/* actor: one entity in memory: its mailbox, its attributes, its sessions, who watches it.
 *
 * Created by the first message or call for its id; its state is loaded by a reader while what
 * arrives waits; parked when it has been idle. Belongs to its shard's thread. Room-internal:
 * outside of actors an entity is reached by id. */
#ifndef PS_ACTORS_ACTOR_H
#define PS_ACTORS_ACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/actors.h"
#include "actors/attribute_cache.h"
#include "actors/scheduler.h"
#include "actors/session.h"
#include "actors/subscribers.h"
#include "actors/timer_wheel.h"
#include "core/entity/device_identity.h"
#include "core/mailbox.h"
#include "core/metrics.h"
#include "core/telemetry/series.h"
#include "rules/host.h"

enum ps_actor_state {
    PS_ACTOR_LOADING, /* a reader fetches identity and attributes; everything waits */
    PS_ACTOR_READY,
    PS_ACTOR_GONE, /* no such entity: calls are told, messages dropped; a negative cache */
};

struct ps_actor {
    struct ps_actor *hash_next;
    struct ps_actor *run_next[PS_LANES]; /* links of the scheduler */
    struct ps_tenant_share *share;       /* of its tenant, held */
    struct ps_shard *shard;
    struct ps_entity_id id;
    struct ps_uuid tenant;
    struct ps_device_identity *identity; /* devices; NULL for others and until loaded */
    enum ps_actor_state state;
    bool has_own_chain;                       /* its profile names one; else the tenant's root */
    bool load_pending;                        /* a reader works for it */
    bool queued[PS_LANES];                    /* for a turn */
    struct ps_mailbox mailbox;                /* data lane */
    struct ps_actor_call *calls, **call_tail; /* control lane */
    struct ps_session *sessions;              /* oldest first */
    struct ps_entity_series *series;          /* NULL until the first point */
    struct ps_attribute_cache attributes;
    uint32_t attributes_epoch; /* of the shard, when they were loaded */
    uint64_t attributes_batch; /* serial of the last batch with a write of them */
    struct ps_update_hub *hub; /* who watches; NULL: nobody */
    uint32_t watches;
    struct ps_timer idle;
    int64_t last_activity_ms; /* monotonic */
};

/** Queue a call behind the others and make the actor runnable. */
void ps_actor_push_call(struct ps_actor *actor, struct ps_actor_call *call);
/* What the turns of one tenant may do until the next tenant is served. */
struct ps_slice {
    uint32_t work_left; /* calls and messages; 0: over */
    int64_t end_us;     /* by ps_slice_clock_us() */
};
/** Milliseconds are enough to end a slice, and the coarse clock is nearly free. */
int64_t ps_slice_clock_us(void);
/** Give the actor a turn: calls first, then (in the lane of data) messages, as the slice allows. */
void ps_actor_turn(struct ps_actor *actor, enum ps_lane lane, struct ps_slice *slice);
/** A new actor, loading. NULL if memory is short. */
struct ps_actor *ps_actor_create(struct ps_shard *shard, const struct ps_uuid *tenant,
                                 const struct ps_entity_id *entity);
/** Its state arrived (or could not be loaded). */
struct ps_actor_loaded {
    enum ps_status status;               /* PS_ENOTFOUND: gone */
    struct ps_device_identity *identity; /* taken */
    struct ps_attribute_list attributes; /* taken */
};
void ps_actor_loaded(struct ps_actor *actor, struct ps_actor_loaded *loaded);
/** Identity or existence changed: forget and load again. */
void ps_actor_reload(struct ps_actor *actor);
/** A message it could not be given: counted, its ack released. */
void ps_actor_drop(struct ps_shard *shard, struct ps_msg *msg, enum ps_metric reason,
                   enum ps_status status);
/** Are there writes of its attributes that storage does not have yet? */
bool ps_actor_has_uncommitted(const struct ps_actor *actor);
/** Can it leave memory? */
bool ps_actor_is_idle(const struct ps_actor *actor);
void ps_actor_destroy(struct ps_actor *actor);

/** Close a session and tell its transport why. */
void ps_actor_end_session(struct ps_session *session, enum ps_session_end reason);
void ps_actor_end_sessions(struct ps_actor *actor, enum ps_session_end reason);

/* ---- effects; see actor_effects.c, actor_telemetry.c ---- */

/** Device contract 3.4. Returns: PS_OK; PS_EINVAL one is not acceptable, `why` says which rule. */
PS_MUST_CHECK
enum ps_status ps_actor_check_keys(const struct ps_kv *kvs, size_t count, struct ps_text *why);
/** Put points into the batch, tell watchers after the commit. */
PS_MUST_CHECK
enum ps_status ps_actor_save_telemetry(struct ps_actor *actor, const struct ps_save_telemetry *save,
                                       struct ps_text *why);
struct ps_delete_telemetry;
/* A deletion of points, and what it leaves to do. */
struct ps_telemetry_deletion {
    const struct ps_delete_telemetry *what;
    const char *const *keys;
    size_t key_count;
    uint32_t default_ttl_s; /* of the entity; with now_ms: which latest values have expired */
    int64_t now_ms;
    bool look_up;   /* out: a latest value must be looked up first; nothing was done */
    bool *replaced; /* out, one per key: a new latest value is to be looked up after the commit */
};
/** Put the deletion into the batch, behind all that is in it; tell watchers after the commit, and
 *  the rule chain. Keys without series are skipped. All of it or nothing. */
PS_MUST_CHECK
enum ps_status ps_actor_delete_telemetry(struct ps_actor *actor,
                                         struct ps_telemetry_deletion *deletion);
/** Tell watchers the latest value of a key as it is, if there is one. */
void ps_actor_tell_latest(struct ps_actor *actor, const char *key);
/** Put attributes into the batch; tell watchers, sessions and the rule chain as `save` says. */
PS_MUST_CHECK
enum ps_status ps_actor_save_attributes(struct ps_actor *actor,
                                        const struct ps_save_attributes *save, uint32_t hops,
                                        struct ps_text *why);
PS_MUST_CHECK
enum ps_status ps_actor_delete_attributes(struct ps_actor *actor, enum ps_attribute_scope scope,
                                          const struct ps_kv *keys, size_t count);
/** A message that this entity's own work makes enters its rule chain (no ack). */
void ps_actor_emit(struct ps_actor *actor, const struct ps_msg_content *content, uint32_t hops);
/** Tell sessions and watchers what a committed notice says. */
void ps_actor_tell(struct ps_actor *actor, struct ps_update *update, bool to_device,
                   bool to_watchers);

/** The host that runs of this actor see. */
struct ps_actor_host {
    struct ps_host base; /* first */
    struct ps_actor *actor;
};
extern const struct ps_host_ops PS_ACTOR_HOST_OPS;

#endif
