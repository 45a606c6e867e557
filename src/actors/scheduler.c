#include "actors/scheduler.h"

#include <stdlib.h>

#include "actors/actor.h"

enum {
    FIRST_SIZE = 16,                   /* of the heap and the table */
    CONTROL_TURNS_MAX = 7,             /* in a row, while data waits */
    CHARGE_NS_MAX = 100 * 1000 * 1000, /* more is a process that was stopped, not work */
};

/* ---- the heap ----------------------------------------------------------------------------------
 */

static void put_at(struct ps_scheduler *scheduler, size_t place, struct ps_tenant_share *share)
{
    scheduler->heap[place - 1] = share;
    share->place = place;
}

static void sift_up(struct ps_scheduler *scheduler, struct ps_tenant_share *share, size_t place)
{
    for (; place > 1; place /= 2) {
        struct ps_tenant_share *above = scheduler->heap[place / 2 - 1];
        if (above->used_ns <= share->used_ns)
            break;
        put_at(scheduler, place, above);
    }
    put_at(scheduler, place, share);
}

static void sift_down(struct ps_scheduler *scheduler, struct ps_tenant_share *share, size_t place)
{
    for (size_t below; (below = place * 2) <= scheduler->runnable; place = below) {
        struct ps_tenant_share *least = scheduler->heap[below - 1];
        if (below < scheduler->runnable && scheduler->heap[below]->used_ns < least->used_ns)
            least = scheduler->heap[below++];
        if (share->used_ns <= least->used_ns)
            break;
        put_at(scheduler, place, least);
    }
    put_at(scheduler, place, share);
}

static void enter(struct ps_scheduler *scheduler, struct ps_tenant_share *share)
{
    if (share->place)
        return;
    if (share->used_ns < scheduler->now_ns)
        share->used_ns = scheduler->now_ns;
    PS_ASSERT(scheduler->runnable < scheduler->cap); /* there is a place for each share */
    sift_up(scheduler, share, ++scheduler->runnable);
}

static void leave(struct ps_scheduler *scheduler, struct ps_tenant_share *share)
{
    size_t place = share->place;
    if (!place)
        return;
    share->place = 0;
    struct ps_tenant_share *last = scheduler->heap[--scheduler->runnable];
    if (last == share)
        return;
    sift_up(scheduler, last, place);
    sift_down(scheduler, last, last->place);
}

static bool reserve(struct ps_scheduler *scheduler, size_t places)
{
    if (places <= scheduler->cap)
        return true;
    size_t cap = scheduler->cap ? scheduler->cap * 2 : FIRST_SIZE;
    struct ps_tenant_share **heap =
        realloc(scheduler->heap, cap * sizeof(struct ps_tenant_share *));
    if (!heap)
        return false;
    scheduler->heap = heap;
    scheduler->cap = cap;
    return true;
}

/* ---- shares ------------------------------------------------------------------------------------
 */

enum ps_status ps_scheduler_init(struct ps_scheduler *scheduler)
{
    *scheduler = (struct ps_scheduler){ .bucket_count = FIRST_SIZE };
    scheduler->buckets = calloc(FIRST_SIZE, sizeof(struct ps_tenant_share *));
    return scheduler->buckets ? PS_OK : PS_ENOMEM;
}

void ps_scheduler_deinit(struct ps_scheduler *scheduler)
{
    PS_ASSERT(!scheduler->share_count);
    free(scheduler->heap);
    free(scheduler->buckets);
    *scheduler = (struct ps_scheduler){ 0 };
}

static struct ps_tenant_share **bucket_of(const struct ps_scheduler *scheduler,
                                          const struct ps_uuid *tenant)
{
    return &scheduler->buckets[ps_uuid_hash(tenant) & (scheduler->bucket_count - 1)];
}

static void link_share(struct ps_scheduler *scheduler, struct ps_tenant_share *share)
{
    struct ps_tenant_share **bucket = bucket_of(scheduler, &share->tenant);
    share->hash_next = *bucket;
    *bucket = share;
}

/* If memory is short the chains just get longer. */
static void grow_table(struct ps_scheduler *scheduler)
{
    size_t old_count = scheduler->bucket_count;
    struct ps_tenant_share **old = scheduler->buckets;
    struct ps_tenant_share **bigger = calloc(old_count * 2, sizeof(struct ps_tenant_share *));
    if (!bigger)
        return;
    scheduler->buckets = bigger;
    scheduler->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct ps_tenant_share *share = old[i];
            old[i] = share->hash_next;
            link_share(scheduler, share);
        }
    }
    free(old);
}

static struct ps_tenant_share *create_share(struct ps_scheduler *scheduler,
                                            const struct ps_uuid *tenant)
{
    if (!reserve(scheduler, scheduler->share_count + 1))
        return NULL;
    struct ps_tenant_share *share = calloc(1, sizeof *share);
    if (!share)
        return NULL;
    share->tenant = *tenant;
    for (unsigned lane = 0; lane < PS_LANES; lane++)
        share->lanes[lane].tail = &share->lanes[lane].first;
    ps_task_list_init(&share->stalled);
    if (scheduler->share_count++ >= scheduler->bucket_count)
        grow_table(scheduler);
    link_share(scheduler, share);
    return share;
}

struct ps_tenant_share *ps_scheduler_hold(struct ps_scheduler *scheduler,
                                          const struct ps_uuid *tenant)
{
    struct ps_tenant_share *share = *bucket_of(scheduler, tenant);
    while (share && !ps_uuid_equal(&share->tenant, tenant))
        share = share->hash_next;
    if (!share)
        share = create_share(scheduler, tenant);
    if (share)
        share->holders++;
    return share;
}

void ps_scheduler_release(struct ps_scheduler *scheduler, struct ps_tenant_share *share)
{
    PS_ASSERT(share->holders > 0);
    if (--share->holders)
        return;
    leave(scheduler, share);
    struct ps_tenant_share **link = bucket_of(scheduler, &share->tenant);
    while (*link != share)
        link = &(*link)->hash_next;
    *link = share->hash_next;
    scheduler->share_count--;
    free(share);
}

/* ---- actors ------------------------------------------------------------------------------------
 */

static bool has_actors(const struct ps_tenant_share *share)
{
    return share->lanes[PS_LANE_CONTROL].first || share->lanes[PS_LANE_DATA].first;
}

void ps_scheduler_add(struct ps_scheduler *scheduler, struct ps_actor *actor, enum ps_lane lane)
{
    if (actor->queued[lane])
        return;
    struct ps_run_lane *run = &actor->share->lanes[lane];
    actor->queued[lane] = true;
    actor->run_next[lane] = NULL;
    *run->tail = actor;
    run->tail = &actor->run_next[lane];
    enter(scheduler, actor->share);
}

static void unlink_from_lane(struct ps_actor *actor, enum ps_lane lane)
{
    struct ps_run_lane *run = &actor->share->lanes[lane];
    struct ps_actor **link = &run->first;
    while (*link != actor)
        link = &(*link)->run_next[lane];
    *link = actor->run_next[lane];
    if (!*link)
        run->tail = link;
    actor->queued[lane] = false;
}

void ps_scheduler_remove(struct ps_scheduler *scheduler, struct ps_actor *actor)
{
    for (unsigned lane = 0; lane < PS_LANES; lane++) {
        if (actor->queued[lane])
            unlink_from_lane(actor, lane);
    }
    if (!has_actors(actor->share))
        leave(scheduler, actor->share);
}

struct ps_tenant_share *ps_scheduler_next(struct ps_scheduler *scheduler)
{
    if (!scheduler->runnable)
        return NULL;
    scheduler->now_ns = scheduler->heap[0]->used_ns;
    return scheduler->heap[0];
}

static enum ps_lane choose_lane(const struct ps_tenant_share *share)
{
    if (!share->lanes[PS_LANE_CONTROL].first)
        return PS_LANE_DATA;
    bool data_waited = share->control_turns >= CONTROL_TURNS_MAX;
    return data_waited && share->lanes[PS_LANE_DATA].first ? PS_LANE_DATA : PS_LANE_CONTROL;
}

struct ps_actor *ps_scheduler_take(struct ps_tenant_share *share, enum ps_lane *lane)
{
    *lane = choose_lane(share);
    struct ps_run_lane *run = &share->lanes[*lane];
    struct ps_actor *actor = run->first;
    if (!actor)
        return NULL;
    run->first = actor->run_next[*lane];
    if (!run->first)
        run->tail = &run->first;
    actor->queued[*lane] = false;
    share->control_turns = *lane == PS_LANE_CONTROL ? share->control_turns + 1 : 0;
    return actor;
}

void ps_scheduler_charge(struct ps_scheduler *scheduler, struct ps_tenant_share *share,
                         int64_t slice_ns)
{
    if (slice_ns < 1)
        slice_ns = 1; /* else who is on top stays there */
    share->used_ns += slice_ns < CHARGE_NS_MAX ? slice_ns : CHARGE_NS_MAX;
    if (has_actors(share))
        sift_down(scheduler, share, share->place);
    else
        leave(scheduler, share);
}
