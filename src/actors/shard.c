#include "actors/shard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "actors/shard_state.h"
#include "core/prefetch.h"

enum {
    MAILBOX_BYTES_MAX = 64 * 1024 * 1024, /* of all mailboxes of a shard */
    LUA_STATES_MAX = 128,
};

/* ---- tasks ------------------------------------------------------------------------------------
 */

void ps_shard_flush_later(struct ps_shard *shard, struct ps_shard_task *task)
{
    ps_task_list_add(&shard->flush, task);
}

void ps_shard_defer(struct ps_shard *shard, struct ps_shard_task *task)
{
    ps_task_list_add(&shard->deferred, task);
}

/* ---- small things -----------------------------------------------------------------------------
 */

unsigned ps_shard_index(const struct ps_shard *shard)
{
    return shard->index;
}

struct ps_port *ps_shard_port(struct ps_shard *shard)
{
    return &shard->port;
}

struct ps_metrics *ps_shard_metrics(struct ps_shard *shard)
{
    return shard->settings->metrics;
}

int64_t ps_shard_mono_ms(const struct ps_shard *shard)
{
    return shard->mono_ms;
}

int64_t ps_shard_now_ms(const struct ps_shard *shard)
{
    return shard->now_ms;
}

char *ps_shard_read_buffer(struct ps_shard *shard)
{
    return shard->read_buffer;
}

void ps_shard_timer_start(struct ps_shard *shard, struct ps_timer *timer, int64_t deadline_mono_ms)
{
    ps_timer_start(&shard->timers, timer, deadline_mono_ms);
}

void ps_shard_timer_stop(struct ps_shard *shard, struct ps_timer *timer)
{
    ps_timer_stop(&shard->timers, timer);
}

enum ps_status ps_shard_watch(struct ps_shard *shard, struct ps_shard_source *source,
                              uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };
    return epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0 ? PS_OK : PS_EIO;
}

void ps_shard_rewatch(struct ps_shard *shard, struct ps_shard_source *source, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };
    PS_ASSERT(epoll_ctl(shard->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) == 0);
}

void ps_shard_unwatch(struct ps_shard *shard, struct ps_shard_source *source)
{
    epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

/* ---- room --------------------------------------------------------------------------------------
 */

/* A tenant may fill as much as it leaves free: one that floods gets half, two a third each, and
 * there is always room for one that comes (Choudhury, Hahne: Dynamic Queue Length Thresholds for
 * Shared-Memory Packet Switches, 1998). */
bool ps_shard_has_mailbox_room(const struct ps_shard *shard, const struct ps_tenant_share *share)
{
    return shard->mailbox_bytes < MAILBOX_BYTES_MAX &&
           share->mailbox_bytes < MAILBOX_BYTES_MAX - shard->mailbox_bytes;
}

/* Full mailboxes keep sources from reading, never actors from running: only that empties them. */
bool ps_shard_has_room(const struct ps_shard *shard, const struct ps_tenant_share *share)
{
    return ps_shard_can_run(shard) && ps_shard_has_mailbox_room(shard, share);
}

/* ---- actors -----------------------------------------------------------------------------------
 */

void ps_shard_make_runnable(struct ps_shard *shard, struct ps_actor *actor)
{
    if (actor->state == PS_ACTOR_LOADING)
        return;
    if (actor->calls)
        ps_scheduler_add(&shard->scheduler, actor, PS_LANE_CONTROL);
    if (actor->mailbox.count)
        ps_scheduler_add(&shard->scheduler, actor, PS_LANE_DATA);
}

struct ps_actor *ps_shard_actor(struct ps_shard *shard, const struct ps_uuid *tenant,
                                const struct ps_entity_id *entity)
{
    struct ps_actor *actor = ps_directory_find(&shard->directory, &entity->id);
    return actor ? actor : ps_actor_create(shard, tenant, entity);
}

enum ps_status ps_shard_deliver(struct ps_shard *shard, struct ps_msg **msg)
{
    struct ps_actor *actor = ps_shard_actor(shard, &(*msg)->tenant, &(*msg)->originator);
    return actor ? ps_shard_deliver_to(actor, msg) : PS_EBUSY;
}

enum ps_status ps_shard_deliver_to(struct ps_actor *actor, struct ps_msg **msg)
{
    struct ps_shard *shard = actor->shard;
    if (actor->state == PS_ACTOR_GONE) {
        ps_actor_drop(shard, *msg, PS_METRIC_DROPPED_ENTITY_GONE, PS_OK);
        *msg = NULL;
        return PS_OK;
    }
    uint32_t size = (*msg)->size_bytes;
    enum ps_status st = ps_mailbox_push(&actor->mailbox, &shard->settings->mailbox, msg);
    if (st != PS_OK) {
        ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_MAILBOX_FULL, 1);
        return st;
    }
    shard->mailbox_bytes += size;
    actor->share->mailbox_bytes += size;
    ps_prefetch(actor->series, sizeof *actor->series);
    ps_shard_make_runnable(shard, actor);
    return PS_OK;
}

struct ps_lua *ps_shard_lua(struct ps_shard *shard, const struct ps_uuid *tenant)
{
    struct ps_tenant_lua *oldest = NULL;
    for (size_t i = 0; i < shard->lua_count; i++) {
        struct ps_tenant_lua *entry = &shard->luas[i];
        if (ps_uuid_equal(&entry->tenant, tenant)) {
            entry->used = ++shard->lua_clock;
            return entry->lua;
        }
        if (!oldest || entry->used < oldest->used)
            oldest = entry;
    }
    struct ps_lua *lua;
    if (ps_lua_create(&shard->settings->lua, &lua) != PS_OK)
        return NULL;
    if (shard->lua_count < LUA_STATES_MAX) {
        oldest = &shard->luas[shard->lua_count++];
        ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_LUA_STATES, 1);
    } else {
        ps_lua_destroy(oldest->lua);
    }
    *oldest = (struct ps_tenant_lua){ .tenant = *tenant, .lua = lua, .used = ++shard->lua_clock };
    return lua;
}

/* ---- start and stop ----------------------------------------------------------------------------
 */

enum ps_status ps_shard_create(struct ps_actors *actors, unsigned index,
                               const struct ps_actors_settings *settings,
                               _Atomic uint32_t *next_series, struct ps_shard **out)
{
    struct ps_shard *shard = aligned_alloc(64, (sizeof *shard + 63) / 64 * 64);
    if (!shard)
        return PS_ENOMEM;
    *shard = (struct ps_shard){ .index = index, .actors = actors, .settings = settings };
    ps_task_list_init(&shard->flush);
    ps_task_list_init(&shard->deferred);
    shard->stalled_tail = &shard->stalled_first;
    shard->run_env.limits = settings->run;
    ps_shard_read_clocks(shard);
    ps_timer_wheel_init(&shard->timers, shard->mono_ms);
    struct ps_series_limits limits = { .head_points_max = settings->head_points_max,
                                       .memory_max = settings->head_memory_max / settings->shards,
                                       .next_id = next_series,
                                       .sealed_seq = settings->sealed_seq };
    shard->port.fd = -1;
    shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shard->read_buffer = malloc(PS_SHARD_READ_BYTES);
    shard->luas = calloc(LUA_STATES_MAX, sizeof *shard->luas);
    enum ps_status st = shard->epoll_fd < 0                 ? PS_EIO
                        : shard->read_buffer && shard->luas ? PS_OK
                                                            : PS_ENOMEM;
    if (st == PS_OK)
        st = ps_directory_init(&shard->directory);
    if (st == PS_OK)
        st = ps_scheduler_init(&shard->scheduler);
    if (st == PS_OK)
        st = ps_series_table_init(&shard->series, &limits);
    if (st == PS_OK)
        st = ps_chain_cache_create(settings->chains, &shard->run_env.chains);
    if (st == PS_OK)
        st = ps_port_init(&shard->port);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    if (st == PS_OK && epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, shard->port.fd, &event) != 0)
        st = PS_EIO;
    if (st != PS_OK) {
        ps_shard_destroy(shard);
        return st;
    }
    *out = shard;
    return PS_OK;
}

enum ps_status ps_shard_start(struct ps_shard *shard)
{
    char name[16] = "shard-";
    name[6] = (char)('0' + shard->index / 10 % 10);
    name[7] = (char)('0' + shard->index % 10);
    return ps_thread_start(&shard->thread, PS_THREAD_SHARD, name, ps_shard_loop, shard);
}

static void begin_drain(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct ps_shard *)owner)->draining = true;
}

void ps_shard_stop(struct ps_shard *shard)
{
    struct ps_port_item drain = { .run = begin_drain };
    ps_port_post(&shard->port, &drain);
    ps_thread_join(&shard->thread);
}

static void free_batches(struct ps_batch *batch)
{
    while (batch) {
        struct ps_batch *next = batch->next;
        ps_batch_destroy(batch);
        batch = next;
    }
}

void ps_shard_destroy(struct ps_shard *shard)
{
    if (!shard)
        return;
    struct ps_actor *actor;
    while (shard->directory.buckets && (actor = ps_directory_any(&shard->directory))) {
        ps_directory_remove(&shard->directory, actor);
        ps_actor_destroy(actor);
    }
    ps_directory_deinit(&shard->directory);
    for (struct ps_tenant_share *share = shard->stalled_first, *next; share; share = next) {
        next = share->stalled_next;
        ps_scheduler_release(&shard->scheduler, share);
    }
    ps_scheduler_deinit(&shard->scheduler);
    if (shard->filling)
        ps_batch_destroy(shard->filling);
    free_batches(shard->spare);
    for (size_t i = 0; i < shard->lua_count; i++)
        ps_lua_destroy(shard->luas[i].lua);
    free(shard->luas);
    if (shard->run_env.chains)
        ps_chain_cache_destroy(shard->run_env.chains);
    if (shard->series.buckets)
        ps_series_table_deinit(&shard->series);
    if (shard->port.fd >= 0)
        ps_port_deinit(&shard->port);
    if (shard->epoll_fd >= 0)
        close(shard->epoll_fd);
    free(shard->read_buffer);
    free(shard);
}
