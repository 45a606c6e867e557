#include "actors/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "actors/shard_state.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/prefetch.h"

enum {
    EVENTS_MAX = 256,
    TURNS_PER_ROUND = 512,
    MAILBOX_BYTES_MAX = 64 * 1024 * 1024, /* of all mailboxes of a shard */
    LUA_STATES_MAX = 128,
    DRAIN_MS = 30000,
    PUBLISH_MS = 200,
    EVENTS_AHEAD = 3,
    POINTS_AHEAD = 6,
    ACKS_AHEAD = 6,
    SOURCE_HOT_BYTES = 4 * PS_CACHE_LINE, /* what reading a connection touches at once */
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

/* The list holds the share, so that it outlives the actors whose sources wait. */
static void keep_stalled(struct ps_shard *shard, struct ps_tenant_share *share)
{
    if (share->is_stalled)
        return;
    share->is_stalled = true;
    share->holders++;
    share->stalled_next = NULL;
    *shard->stalled_tail = share;
    shard->stalled_tail = &share->stalled_next;
}

void ps_shard_stall(struct ps_shard *shard, struct ps_tenant_share *share,
                    struct ps_shard_task *task)
{
    ps_task_list_add(&share->stalled, task);
    keep_stalled(shard, share);
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

/* ---- the batch --------------------------------------------------------------------------------
 */

static bool batch_is_full(const struct ps_shard *shard)
{
    return shard->filling && ps_batch_bytes(shard->filling) >= shard->settings->batch_bytes_max;
}

bool ps_shard_can_run(const struct ps_shard *shard)
{
    return !shard->doomed &&
           !(shard->in_flight >= PS_BATCHES_IN_FLIGHT_MAX && batch_is_full(shard));
}

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

/* The commit failed: what was put in is not stored, and what memory believes must follow. */
static void undo_batch(struct ps_shard *shard, struct ps_batch *batch)
{
    for (size_t i = 0; i < batch->series_count; i++)
        batch->series[i].series->catalogued = false;
    if (batch->attribute_count)
        shard->attributes_epoch++;
}

static void apply_points(struct ps_shard *shard, const struct ps_batch *batch, size_t from,
                         size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct ps_batch_point *point = &batch->points[i];
        if (i + POINTS_AHEAD < batch->point_count)
            ps_prefetch(batch->points[i + POINTS_AHEAD].series, 2 * PS_CACHE_LINE);
        if (i + POINTS_AHEAD / 2 < batch->point_count)
            ps_series_fetch_head(batch->points[i + POINTS_AHEAD / 2].series);
        ps_series_apply(&shard->series, point->series, batch->seq, point->ts_ms, &point->value,
                        point->ttl_s);
    }
}

static void apply_delete(struct ps_shard *shard, const struct ps_batch_delete *delete)
{
    struct ps_series_deletion deletion = {
        .start_ms = delete->start_ms,
        .end_ms = delete->end_ms,
        .delete_latest = delete->latest != PS_BATCH_LATEST_STAYS,
        .rewrite_latest = delete->latest == PS_BATCH_LATEST_REPLACED,
    };
    (void)ps_series_delete_range(&shard->series, delete->series, &deletion);
}

static void apply_batch(struct ps_shard *shard, struct ps_batch *batch)
{
    size_t applied = 0;
    for (size_t i = 0; i < batch->delete_count; i++) {
        const struct ps_batch_delete *delete = &batch->deletes[i];
        apply_points(shard, batch, applied, delete->before);
        applied = delete->before;
        apply_delete(shard, delete);
    }
    apply_points(shard, batch, applied, batch->point_count);
    for (struct ps_batch_notice *notice = batch->notices; notice; notice = notice->next) {
        struct ps_update *update = notice->update;
        notice->update = NULL;
        struct ps_actor *actor = ps_directory_find(&shard->directory, &update->entity.id);
        if (actor)
            ps_actor_tell(actor, update, notice->to_device, notice->to_watchers);
        else
            free(update);
    }
}

static void count_batch(struct ps_shard *shard, const struct ps_batch *batch)
{
    struct ps_metrics *metrics = shard->settings->metrics;
    unsigned lane = shard->index;
    if (batch->status != PS_OK) {
        ps_metrics_msg_lost(metrics, lane, PS_METRIC_REFUSED_STORAGE, batch->messages);
        return;
    }
    ps_metrics_add(metrics, lane, PS_METRIC_COMMIT_BATCHES, 1);
    ps_metrics_add(metrics, lane, PS_METRIC_BATCH_ITEMS, batch->effects);
    ps_metrics_add(metrics, lane, PS_METRIC_BATCH_MESSAGES, batch->messages);
    ps_metrics_add(metrics, lane, PS_METRIC_POINTS, (int64_t)batch->point_count);
    ps_metrics_add(metrics, lane, PS_METRIC_JOURNAL_BYTES, (int64_t)batch->blob.len);
    ps_metrics_add(metrics, lane, PS_METRIC_DEAD_LETTERS, (int64_t)batch->letter_count);
    ps_metrics_msg_stored(metrics, lane, batch->messages);
}

static void release_acks(struct ps_batch *batch)
{
    for (size_t i = 0; i < batch->ack_count; i++) {
        if (i + ACKS_AHEAD < batch->ack_count)
            ps_prefetch(batch->acks[i + ACKS_AHEAD], 2 * PS_CACHE_LINE);
        ps_ack_release(batch->acks[i], batch->status);
    }
}

static void settle_batch(struct ps_shard *shard, struct ps_batch *batch)
{
    if (batch->status == PS_OK)
        apply_batch(shard, batch);
    else
        undo_batch(shard, batch);
    count_batch(shard, batch);
    release_acks(batch);
    ps_batch_reset(batch);
    batch->next = shard->spare;
    shard->spare = batch;
}

/* What began to fill before the failure was known may rest on what is not stored: a series' row, an
 * attribute it was compared with. It fails as well, and nothing new begins before all of it has
 * come back. (The writer refuses those in flight: batch.c.) */
static void doom_followers(struct ps_shard *shard, enum ps_status status)
{
    shard->failures_seen++;
    shard->doomed = shard->in_flight;
    struct ps_batch *filling = shard->filling;
    shard->filling = NULL;
    if (!filling)
        return;
    filling->status = status;
    settle_batch(shard, filling);
}

static void batch_came_back(struct ps_port_item *item, void *owner)
{
    struct ps_shard *shard = owner;
    struct ps_batch *batch = (struct ps_batch *)((char *)item - offsetof(struct ps_batch, settled));
    PS_ASSERT(shard->flying[0] == batch); /* the writer keeps the order */
    shard->in_flight--;
    memmove(shard->flying, shard->flying + 1, shard->in_flight * sizeof shard->flying[0]);
    shard->settled_serial = batch->serial;
    if (shard->doomed)
        shard->doomed--;
    else if (batch->status != PS_OK)
        doom_followers(shard, batch->status);
    settle_batch(shard, batch);
}

struct ps_batch *ps_shard_batch(struct ps_shard *shard)
{
    if (shard->filling)
        return shard->filling;
    struct ps_batch *batch = shard->spare;
    if (batch) {
        shard->spare = batch->next;
    } else if (ps_batch_create(&shard->port, ps_actors_next_seq(shard->actors), batch_came_back,
                               &batch) != PS_OK) {
        return NULL;
    }
    batch->letter_room = ps_actors_letter_room(shard->actors);
    batch->serial = ++shard->batch_serial;
    batch->failures = &shard->failures;
    batch->failures_seen = shard->failures_seen;
    shard->filling = batch;
    return batch;
}

/* Hand in what has gathered, if the writer has not too much of us already: while it commits, the
 * next batch fills, and its size adapts by itself. */
static void hand_in(struct ps_shard *shard)
{
    struct ps_batch *batch = shard->filling;
    if (!batch || ps_batch_is_empty(batch) || shard->in_flight >= PS_BATCHES_IN_FLIGHT_MAX)
        return;
    shard->filling = NULL;
    if (batch->point_count) {
        ps_journal_finish(&batch->encoder);
        batch->item.points_bytes = (uint32_t)batch->blob.len;
    }
    if (!ps_buf_ok(&batch->blob)) {
        batch->status = PS_ENOMEM;
        settle_batch(shard, batch);
        return;
    }
    shard->flying[shard->in_flight++] = batch;
    ps_writer_submit(shard->settings->writer, &batch->item);
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

static void collect_garbage(struct ps_shard *shard)
{
    for (size_t i = 0; i < shard->lua_count; i++)
        ps_lua_turn_end(shard->luas[i].lua);
}

/* Turns of one tenant's actors, together as much as one of them may have alone. Returns how many.
 */
static unsigned give_slice(struct ps_shard *shard, struct ps_tenant_share *share)
{
    struct ps_slice slice = { .work_left = shard->settings->turn_messages,
                              .end_us = ps_slice_clock_us() + shard->settings->turn_us };
    struct ps_actor *actor;
    enum ps_lane lane;
    unsigned turns = 0;
    while (slice.work_left && ps_shard_can_run(shard) &&
           (actor = ps_scheduler_take(share, &lane))) {
        ps_actor_turn(actor, lane, &slice);
        ps_shard_make_runnable(shard, actor);
        turns++;
        if (batch_is_full(shard))
            hand_in(shard);
    }
    return turns;
}

/* What a slice took is measured by the wall: the time of the thread costs a system call, and when
 * the processor is taken away, each tenant is hit in proportion to what it uses. */
static void give_turns(struct ps_shard *shard)
{
    struct ps_tenant_share *share;
    int64_t began_ns = ps_scheduler_is_empty(&shard->scheduler) ? 0 : ps_clock_mono_ns();
    for (unsigned turns = 0; turns < TURNS_PER_ROUND && ps_shard_can_run(shard) &&
                             (share = ps_scheduler_next(&shard->scheduler));) {
        turns += give_slice(shard, share);
        int64_t ended_ns = ps_clock_mono_ns();
        ps_scheduler_charge(&shard->scheduler, share, ended_ns - began_ns);
        began_ns = ended_ns;
    }
    collect_garbage(shard);
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

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void read_clocks(struct ps_shard *shard)
{
    shard->mono_ms = ps_clock_mono_ms();
    shard->now_ms = ps_clock_now_ms();
}

static bool has_work(const struct ps_shard *shard)
{
    if (!ps_shard_can_run(shard))
        return false; /* only a settled batch helps, and it comes through the port */
    if (!ps_scheduler_is_empty(&shard->scheduler))
        return true;
    const struct ps_tenant_share *share = shard->stalled_first;
    while (share && !ps_shard_has_mailbox_room(shard, share))
        share = share->stalled_next;
    return share;
}

static int sleep_ms(struct ps_shard *shard)
{
    if (has_work(shard) || shard->flush.first || shard->deferred.first)
        return 0;
    int timer_ms = ps_timer_wheel_next_ms(&shard->timers, shard->mono_ms);
    return ps_port_sleep(&shard->port) ? timer_ms : 0;
}

static void handle_events(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (i + EVENTS_AHEAD < count && events[i + EVENTS_AHEAD].data.ptr)
            ps_prefetch(events[i + EVENTS_AHEAD].data.ptr, SOURCE_HOT_BYTES);
        struct ps_shard_source *source = events[i].data.ptr;
        if (source)
            source->ready(source, events[i].events);
    }
}

static bool port_is_ready(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (!events[i].data.ptr)
            return true;
    }
    return false;
}

/* What is counted elsewhere, or only as a sum, reaches the metrics once in a while. */
static void publish_counts(struct ps_shard *shard)
{
    if (shard->mono_ms - shard->published.at_ms < PUBLISH_MS)
        return;
    struct ps_metrics *metrics = shard->settings->metrics;
    const struct ps_run_counters *run = &shard->run_env.counters;
    int64_t executions = (int64_t)atomic_load_explicit(&run->executions, memory_order_relaxed);
    int64_t failures = (int64_t)atomic_load_explicit(&run->failures, memory_order_relaxed);
    int64_t series = (int64_t)shard->series.series_count;
    int64_t head_bytes = (int64_t)shard->series.memory;
    ps_metrics_add(metrics, shard->index, PS_METRIC_NODE_EXECUTIONS,
                   executions - shard->published.executions);
    ps_metrics_add(metrics, shard->index, PS_METRIC_NODE_FAILURES,
                   failures - shard->published.failures);
    ps_metrics_add(metrics, shard->index, PS_METRIC_SERIES, series - shard->published.series);
    ps_metrics_add(metrics, shard->index, PS_METRIC_HEAD_BYTES,
                   head_bytes - shard->published.head_bytes);
    shard->published.at_ms = shard->mono_ms;
    shard->published.executions = executions;
    shard->published.failures = failures;
    shard->published.series = series;
    shard->published.head_bytes = head_bytes;
}

struct stalled_tenant {
    const struct ps_shard *shard;
    const struct ps_tenant_share *share;
};

static bool still_has_room(const void *arg)
{
    const struct stalled_tenant *stalled = arg;
    return ps_shard_has_room(stalled->shard, stalled->share);
}

/* Sources of tenants that have room again, in the order they stalled. */
static void ask_stalled(struct ps_shard *shard)
{
    struct ps_tenant_share *share = shard->stalled_first, *next;
    shard->stalled_first = NULL;
    shard->stalled_tail = &shard->stalled_first;
    for (; share; share = next) {
        next = share->stalled_next;
        share->is_stalled = false;
        struct stalled_tenant stalled = { shard, share };
        ps_task_list_run_while(&share->stalled, still_has_room, &stalled);
        if (share->stalled.first)
            keep_stalled(shard, share);
        ps_scheduler_release(&shard->scheduler, share);
    }
}

static void loop_round(struct ps_shard *shard)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(shard->epoll_fd, events, EVENTS_MAX, sleep_ms(shard));
    if (count < 0) {
        PS_ASSERT(errno == EINTR);
        count = 0;
    }
    ps_port_awake(&shard->port, port_is_ready(events, count));
    read_clocks(shard);
    ps_port_drain(&shard->port, shard);
    ps_task_list_run(
        &shard->flush); /* who waits for a settled batch should not wait for this round */
    handle_events(events, count);
    ask_stalled(shard);
    give_turns(shard);
    hand_in(shard);
    ps_timer_wheel_advance(&shard->timers, shard->mono_ms, shard);
    ps_task_list_run(&shard->flush);
    ps_task_list_run(&shard->deferred);
    publish_counts(shard);
}

static bool is_drained(const struct ps_shard *shard)
{
    return ps_scheduler_is_empty(&shard->scheduler) && !shard->mailbox_bytes && !shard->in_flight &&
           !shard->loads && (!shard->filling || ps_batch_is_empty(shard->filling)) &&
           !atomic_load(&shard->inbox_bytes);
}

static void shard_main(void *arg)
{
    struct ps_shard *shard = arg;
    int64_t give_up_ms = 0;
    while (!shard->draining || !is_drained(shard)) {
        loop_round(shard);
        if (!shard->draining)
            continue;
        if (!give_up_ms)
            give_up_ms = shard->mono_ms + DRAIN_MS;
        if (shard->mono_ms > give_up_ms)
            break;
    }
    ps_task_list_run(&shard->flush);
    ps_task_list_run(&shard->deferred);
}

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
    read_clocks(shard);
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
    return ps_thread_start(&shard->thread, PS_THREAD_SHARD, name, shard_main, shard);
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
