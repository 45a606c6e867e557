/* shard_state: the struct behind ps_shard, for the files of this room. */
#ifndef PS_ACTORS_SHARD_STATE_H
#define PS_ACTORS_SHARD_STATE_H

#include "actors/actor.h"
#include "actors/actors_start.h"
#include "actors/batch.h"
#include "actors/directory.h"
#include "actors/scheduler.h"
#include "actors/shard.h"
#include "actors/task_list.h"
#include "core/metrics.h"
#include "core/thread.h"
#include "rules/run.h"

enum { PS_BATCHES_IN_FLIGHT_MAX = 2 };

struct ps_tenant_lua {
    struct ps_uuid tenant;
    struct ps_lua *lua;
    uint64_t used; /* a clock of uses: the smallest leaves first */
};

struct ps_shard {
    /* constant after create */
    unsigned index;
    struct ps_actors *actors;
    const struct ps_actors_settings *settings;

    /* any thread */
    struct ps_port port;
    _Atomic int64_t inbox_bytes; /* of messages posted and not delivered yet */

    /* the shard's thread only */
    struct ps_thread thread;
    int epoll_fd;
    bool draining;
    int64_t mono_ms, now_ms; /* of this round */
    struct ps_timer_wheel timers;
    struct ps_directory directory;
    struct ps_series_table series;
    struct ps_scheduler scheduler;
    struct ps_task_list flush, deferred;
    struct ps_tenant_share *stalled_first, **stalled_tail; /* tenants with sources that wait */
    struct ps_batch *filling, *spare;
    struct ps_batch *flying[PS_BATCHES_IN_FLIGHT_MAX]; /* handed in, not come back; in order */
    unsigned in_flight;
    unsigned doomed;           /* of these: built on a batch that failed, will fail, too */
    uint32_t failures_seen;    /* failed batches that came back */
    uint64_t batch_serial;     /* of the batch that began to fill last */
    uint64_t settled_serial;   /* batches up to this one came back */
    uint32_t failures;         /* the writer's thread only */
    uint32_t attributes_epoch; /* counts up when a commit failed */
    struct ps_run_env run_env;
    unsigned loads;       /* a reader works for; it comes back through the port */
    size_t mailbox_bytes; /* of all mailboxes */
    struct {              /* lines about failed messages, in this second */
        int64_t second;
        unsigned lines;
    } failed_log;
    struct { /* what the metrics have been told */
        int64_t at_ms, executions, failures, series, head_bytes;
    } published;
    struct ps_tenant_lua *luas;
    size_t lua_count, lua_cap;
    uint64_t lua_clock;
    char *read_buffer;
};

/** The batch that fills; NULL only if memory is short. */
struct ps_batch *ps_shard_batch(struct ps_shard *shard);
bool ps_shard_batch_is_full(const struct ps_shard *shard);
/** Hand in what has gathered, if the writer has not too much of us already: while it commits, the
 *  next batch fills, and its size adapts by itself. */
void ps_shard_hand_in(struct ps_shard *shard);
/** May actors run: is there room for what they will put into the batch? */
bool ps_shard_can_run(const struct ps_shard *shard);
/** Queue it for what it has to do, if it has; fine if it is queued. */
void ps_shard_make_runnable(struct ps_shard *shard, struct ps_actor *actor);
/** May more messages of the tenant wait in mailboxes? */
bool ps_shard_has_mailbox_room(const struct ps_shard *shard, const struct ps_tenant_share *share);
/** The same, and commits do not lag behind. */
bool ps_shard_has_room(const struct ps_shard *shard, const struct ps_tenant_share *share);
/** Run the task once, when the tenant may have room again. */
void ps_shard_stall(struct ps_shard *shard, struct ps_tenant_share *share,
                    struct ps_shard_task *task);
/** The actor of an entity, created if it is not in memory; NULL if memory is short. */
struct ps_actor *ps_shard_actor(struct ps_shard *shard, const struct ps_uuid *tenant,
                                const struct ps_entity_id *entity);
/** A message for an entity of this shard. PS_OK: taken. PS_EBUSY: *msg is still the caller's. */
PS_MUST_CHECK
enum ps_status ps_shard_deliver(struct ps_shard *shard, struct ps_msg **msg);
/** The same, the actor being known. */
PS_MUST_CHECK
enum ps_status ps_shard_deliver_to(struct ps_actor *actor, struct ps_msg **msg);
struct ps_lua *ps_shard_lua(struct ps_shard *shard, const struct ps_uuid *tenant);
/** Fetch the actor's identity and attributes in a reader; what it wrote itself must be committed.
 */
void ps_shard_load_actor(struct ps_shard *shard, struct ps_actor *actor);
/** The same, once everything that is in the batch now has settled. */
void ps_shard_load_after_commit(struct ps_shard *shard, struct ps_actor *actor);

/** Take the time of this round. */
void ps_shard_read_clocks(struct ps_shard *shard);
/** The thread: rounds until it is drained. @param arg  the shard */
void ps_shard_loop(void *arg);

PS_MUST_CHECK
enum ps_status ps_shard_create(struct ps_actors *actors, unsigned index,
                               const struct ps_actors_settings *settings,
                               _Atomic uint32_t *next_series, struct ps_shard **out);
PS_MUST_CHECK
enum ps_status ps_shard_start(struct ps_shard *shard);
void ps_shard_stop(struct ps_shard *shard); /* drains, joins */
void ps_shard_destroy(struct ps_shard *shard);

#endif
