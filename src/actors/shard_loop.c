/* shard_loop: the rounds of a shard's thread, and who gets his turn in them. */
#include <errno.h>
#include <sys/epoll.h>

#include "actors/shard_state.h"
#include "core/clock.h"
#include "core/prefetch.h"

enum {
    EVENTS_MAX = 256,
    TURNS_PER_ROUND = 512,
    DRAIN_MS = 30000,
    PUBLISH_MS = 200,
    EVENTS_AHEAD = 3,
    SOURCE_HOT_BYTES = 4 * PS_CACHE_LINE, /* what reading a connection touches at once */
};

/* ---- turns -------------------------------------------------------------------------------------
 */

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
        if (ps_shard_batch_is_full(shard))
            ps_shard_hand_in(shard);
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

/* ---- who waits for room ------------------------------------------------------------------------
 */

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

/* ---- rounds ------------------------------------------------------------------------------------
 */

void ps_shard_read_clocks(struct ps_shard *shard)
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

static void loop_round(struct ps_shard *shard)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(shard->epoll_fd, events, EVENTS_MAX, sleep_ms(shard));
    if (count < 0) {
        PS_ASSERT(errno == EINTR);
        count = 0;
    }
    ps_port_awake(&shard->port, port_is_ready(events, count));
    ps_shard_read_clocks(shard);
    ps_port_drain(&shard->port, shard);
    ps_task_list_run(
        &shard->flush); /* who waits for a settled batch should not wait for this round */
    handle_events(events, count);
    ask_stalled(shard);
    give_turns(shard);
    ps_shard_hand_in(shard);
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

void ps_shard_loop(void *arg)
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
