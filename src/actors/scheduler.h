/* scheduler: whose turn it is on a shard.
 *
 * Tenants share the shard's time: among those with runnable actors, the one that has used least is
 * served next, and what its slice took is added to what it has used. A tenant that comes back
 * starts at the virtual time, which is what the tenant in service had used when its slice began: so
 * it has saved nothing up while it was idle, and owes at most the part of its last slice that
 * others have not had yet. This is start-time fair queueing (Goyal, Vin, Cheng: Start-time Fair
 * Queuing, SIGCOMM 1996; for processors: Goyal, Guo, Vin: A Hierarchical CPU Scheduler, OSDI 1996),
 * which needs no guess how long a slice will be. Linux' CFS keeps its min_vruntime for the same
 * reason.
 *
 * Within a tenant actors take turns, in the order they became runnable; those with control work
 * (calls) before those with data (messages), but so that data always moves on.
 *
 * Always true: a share exists as long as somebody holds it: each actor in memory does;
 *              it is in the heap exactly if it has runnable actors, or is in service.
 * Thread: the shard's. */
#ifndef PS_ACTORS_SCHEDULER_H
#define PS_ACTORS_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/task_list.h"
#include "core/status.h"
#include "core/uuid.h"

struct ps_actor;

enum ps_lane { PS_LANE_CONTROL, PS_LANE_DATA, PS_LANES };

struct ps_run_lane {
    struct ps_actor *first, **tail;
};

/* One tenant on a shard. */
struct ps_tenant_share {
    /* what every message touches, side by side */
    size_t mailbox_bytes; /* of its actors */
    size_t place;         /* in the heap, counted from 1; 0 = not there */
    int64_t used_ns;
    struct ps_run_lane lanes[PS_LANES];
    uint32_t control_turns; /* since data had one */
    uint32_t holders;

    struct ps_tenant_share *hash_next;
    struct ps_uuid tenant;
    struct ps_task_list stalled; /* its sources that wait for room */
    struct ps_tenant_share *stalled_next;
    bool is_stalled; /* the shard looks after `stalled`, and holds the share */
};

struct ps_scheduler {
    struct ps_tenant_share **heap; /* the one that has used least on top */
    size_t runnable, cap;
    int64_t now_ns; /* virtual time */
    struct ps_tenant_share **buckets;
    size_t bucket_count, share_count;
};

PS_MUST_CHECK
enum ps_status ps_scheduler_init(struct ps_scheduler *scheduler);
/** Zeroed is fine, too. All shares must have been released. */
void ps_scheduler_deinit(struct ps_scheduler *scheduler);

/** The tenant's share, held once more; made if it is not there. NULL if memory is short. */
struct ps_tenant_share *ps_scheduler_hold(struct ps_scheduler *scheduler,
                                          const struct ps_uuid *tenant);
/** The last release frees it, and with it what it has used: keep it a while. */
void ps_scheduler_release(struct ps_scheduler *scheduler, struct ps_tenant_share *share);

/** Queue the actor behind the others of its tenant; fine if it is queued. */
void ps_scheduler_add(struct ps_scheduler *scheduler, struct ps_actor *actor, enum ps_lane lane);
/** Take it out of all queues, looking at each actor of its tenant: for what happens rarely. */
void ps_scheduler_remove(struct ps_scheduler *scheduler, struct ps_actor *actor);

static inline bool ps_scheduler_is_empty(const struct ps_scheduler *scheduler)
{
    return !scheduler->runnable;
}

/** The tenant to serve now; NULL if nothing is runnable. Take some of its actors, then charge it,
 *  also if it had none. */
struct ps_tenant_share *ps_scheduler_next(struct ps_scheduler *scheduler);
/** The tenant's next actor and why it runs; NULL if it has none. */
struct ps_actor *ps_scheduler_take(struct ps_tenant_share *share, enum ps_lane *lane);
/** Its slice took so long. Clocks that stand still, or leap, do not upset the order for long. */
void ps_scheduler_charge(struct ps_scheduler *scheduler, struct ps_tenant_share *share,
                         int64_t slice_ns);

#endif
