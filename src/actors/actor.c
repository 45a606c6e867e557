#include "actors/actor.h"

#include <stdlib.h>
#include <time.h>

#include "actors/shard_state.h"
#include "core/log.h"

enum { FAILED_LINES_A_SECOND = 10 };

static void idle_fired(struct ps_timer *timer, void *owner)
{
    struct ps_shard *shard = owner;
    struct ps_actor *actor = (struct ps_actor *)((char *)timer - offsetof(struct ps_actor, idle));
    if (actor->state == PS_ACTOR_LOADING) {
        if (!actor->load_pending)
            ps_shard_load_actor(shard, actor);
        return;
    }
    int64_t idle_ms = shard->mono_ms - actor->last_activity_ms;
    if (!ps_actor_is_idle(actor) || ps_actor_has_uncommitted(actor) ||
        idle_ms < shard->settings->idle_park_ms) {
        int64_t rest = shard->settings->idle_park_ms - idle_ms;
        ps_shard_timer_start(shard, timer,
                             shard->mono_ms + (rest > 0 ? rest : shard->settings->idle_park_ms));
        return;
    }
    ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_ACTORS_PARKED, 1);
    ps_directory_remove(&shard->directory, actor);
    ps_actor_destroy(actor);
}

struct ps_actor *ps_actor_create(struct ps_shard *shard, const struct ps_uuid *tenant,
                                 const struct ps_entity_id *entity)
{
    struct ps_actor *actor = calloc(1, sizeof *actor);
    if (!actor)
        return NULL;
    actor->share = ps_scheduler_hold(&shard->scheduler, tenant);
    if (!actor->share) {
        free(actor);
        return NULL;
    }
    actor->shard = shard;
    actor->id = *entity;
    actor->tenant = *tenant;
    actor->call_tail = &actor->calls;
    actor->idle.fire = idle_fired;
    actor->last_activity_ms = shard->mono_ms;
    actor->series = ps_series_table_find(&shard->series, &entity->id);
    ps_directory_add(&shard->directory, actor);
    ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_ACTORS_CREATED, 1);
    ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_ACTORS, 1);
    ps_shard_load_actor(shard, actor);
    return actor;
}

void ps_actor_drop(struct ps_shard *shard, struct ps_msg *msg, enum ps_metric reason,
                   enum ps_status status)
{
    if (msg->counted)
        ps_metrics_msg_lost(shard->settings->metrics, shard->index, reason, 1);
    ps_ack_release(msg->ack, status);
    ps_msg_release(msg);
}

static struct ps_msg *take_message(struct ps_actor *actor)
{
    struct ps_msg *msg = ps_mailbox_pop(&actor->mailbox);
    if (!msg)
        return NULL;
    actor->shard->mailbox_bytes -= msg->size_bytes;
    actor->share->mailbox_bytes -= msg->size_bytes;
    return msg;
}

void ps_actor_destroy(struct ps_actor *actor)
{
    struct ps_shard *shard = actor->shard;
    struct ps_msg *msg;
    while ((msg = take_message(actor)))
        ps_actor_drop(shard, msg, PS_METRIC_REFUSED_SHUTDOWN, PS_ECLOSED);
    while (actor->calls) {
        struct ps_actor_call *call = actor->calls;
        actor->calls = call->next;
        call->status = PS_ECLOSED;
        call->run(call, NULL);
    }
    ps_shard_timer_stop(shard, &actor->idle);
    ps_attribute_cache_deinit(&actor->attributes);
    ps_device_identity_release(actor->identity);
    ps_scheduler_release(&shard->scheduler, actor->share);
    ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_ACTORS, -1);
    free(actor);
}

bool ps_actor_has_uncommitted(const struct ps_actor *actor)
{
    return actor->attributes_batch > actor->shard->settled_serial;
}

bool ps_actor_is_idle(const struct ps_actor *actor)
{
    return actor->state != PS_ACTOR_LOADING && !actor->mailbox.count && !actor->calls &&
           !actor->sessions && !actor->watches && !actor->queued[PS_LANE_CONTROL] &&
           !actor->queued[PS_LANE_DATA];
}

void ps_actor_push_call(struct ps_actor *actor, struct ps_actor_call *call)
{
    call->next = NULL;
    *actor->call_tail = call;
    actor->call_tail = &call->next;
    ps_shard_make_runnable(actor->shard, actor);
}

void ps_actor_reload(struct ps_actor *actor)
{
    actor->state = PS_ACTOR_LOADING;
    if (actor->load_pending)
        return;
    if (ps_actor_has_uncommitted(actor))
        ps_shard_load_after_commit(actor->shard, actor);
    else
        ps_shard_load_actor(actor->shard, actor);
}

/* ---- a message's way through the chain ---------------------------------------------------------
 */

static const struct ps_program *chain_of(const struct ps_actor *actor)
{
    struct ps_chain_cache *chains = actor->shard->run_env.chains;
    if (actor->has_own_chain)
        return ps_chain_cache_find(chains, &actor->tenant, &actor->identity->default_rule_chain);
    return ps_chain_cache_root(chains, &actor->tenant);
}

static void log_failed(const struct ps_actor *actor, const struct ps_run_outcome *outcome)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_WARN, "rules", "message_failed"))
        return;
    ps_log_uuid(&line, "entity", &actor->id.id);
    ps_log_uuid(&line, "chain", &outcome->failed_chain);
    ps_log_uuid(&line, "node", &outcome->failed_node);
    ps_log_text(&line, "error", outcome->failure.text);
    ps_log_end(&line);
}

static void count_failed(const struct ps_actor *actor, const struct ps_run_outcome *outcome)
{
    struct ps_shard *shard = actor->shard;
    if (outcome->failure.kind == PS_FAILURE_SCRIPT &&
        outcome->failure.script_kind != PS_SCRIPT_ERROR_NONE)
        ps_metrics_add(shard->settings->metrics, shard->index,
                       (enum ps_metric)(PS_METRIC_SCRIPT_ERROR_COMPILE +
                                        (outcome->failure.script_kind - PS_SCRIPT_ERROR_COMPILE)),
                       1);
    int64_t second = shard->mono_ms / 1000;
    if (second != shard->failed_log.second) {
        shard->failed_log.second = second;
        shard->failed_log.lines = 0;
    }
    if (shard->failed_log.lines++ < FAILED_LINES_A_SECOND)
        log_failed(actor, outcome);
}

/* A failed message is kept as a dead letter in the same commit, and acknowledged with it. */
static enum ps_status bury(struct ps_actor *actor, struct ps_batch *batch, const struct ps_msg *msg,
                           const struct ps_run_outcome *outcome)
{
    count_failed(actor, outcome);
    return ps_batch_add_letter(batch, msg, &outcome->failed_chain, &outcome->failed_node,
                               outcome->failure.text);
}

static void finish_message(struct ps_actor *actor, struct ps_batch *batch, struct ps_msg *msg,
                           uint32_t effects_before)
{
    struct ps_shard *shard = actor->shard;
    bool left_something = batch->effects != effects_before;
    if (msg->counted) {
        if (left_something)
            batch->messages++;
        else
            ps_metrics_msg_stored(shard->settings->metrics, shard->index, 1);
    }
    if (msg->ack && left_something)
        ps_batch_add_ack(batch, msg->ack);
    else
        ps_ack_release(msg->ack, PS_OK);
    ps_msg_release(msg);
}

static void run_message(struct ps_actor *actor, struct ps_msg *msg)
{
    struct ps_shard *shard = actor->shard;
    struct ps_batch *batch = ps_shard_batch(shard);
    if (!batch) {
        ps_actor_drop(shard, msg, PS_METRIC_REFUSED_MEMORY, PS_ENOMEM);
        return;
    }
    const struct ps_program *program = chain_of(actor);
    if (!program) {
        ps_actor_drop(shard, msg, PS_METRIC_DROPPED_NO_CHAIN, PS_OK);
        return;
    }
    struct ps_actor_host host = { .base = { .ops = &PS_ACTOR_HOST_OPS }, .actor = actor };
    struct ps_run_outcome outcome;
    uint32_t effects_before = batch->effects;
    ps_run_message(&shard->run_env, program, msg, &host.base, &outcome);
    PS_ASSERT(outcome.end != PS_RUN_SUSPENDED); /* no node of this version waits */
    if (outcome.end == PS_RUN_FAILED && bury(actor, batch, msg, &outcome) != PS_OK) {
        ps_actor_drop(shard, msg, PS_METRIC_REFUSED_MEMORY, PS_ENOMEM);
        return;
    }
    finish_message(actor, batch, msg, effects_before);
}

/* ---- turns -------------------------------------------------------------------------------------
 */

static struct ps_actor_call *take_call(struct ps_actor *actor)
{
    struct ps_actor_call *call = actor->calls;
    actor->calls = call->next;
    if (!actor->calls)
        actor->call_tail = &actor->calls;
    return call;
}

int64_t ps_slice_clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void work_done(const struct ps_shard *shard, struct ps_slice *slice)
{
    slice->work_left--;
    if (ps_slice_clock_us() >= slice->end_us || !ps_shard_can_run(shard))
        slice->work_left = 0;
}

/* A call may ask for a reload: then the rest waits. */
static void run_calls(struct ps_actor *actor, struct ps_slice *slice)
{
    while (slice->work_left && actor->calls && actor->state != PS_ACTOR_LOADING) {
        bool ready = actor->state == PS_ACTOR_READY;
        struct ps_actor_call *call = take_call(actor);
        call->status = ready ? PS_OK : PS_ENOTFOUND;
        call->run(call, ready ? actor : NULL);
        work_done(actor->shard, slice);
    }
}

static void run_messages(struct ps_actor *actor, struct ps_slice *slice)
{
    struct ps_msg *msg;
    while (slice->work_left && (msg = take_message(actor))) {
        run_message(actor, msg);
        work_done(actor->shard, slice);
    }
}

static void drop_all(struct ps_actor *actor)
{
    struct ps_msg *msg;
    while ((msg = take_message(actor)))
        ps_actor_drop(actor->shard, msg, PS_METRIC_DROPPED_ENTITY_GONE, PS_OK);
}

void ps_actor_turn(struct ps_actor *actor, enum ps_lane lane, struct ps_slice *slice)
{
    struct ps_shard *shard = actor->shard;
    actor->last_activity_ms = shard->mono_ms;
    if (actor->state == PS_ACTOR_READY && actor->attributes_epoch != shard->attributes_epoch) {
        ps_actor_reload(actor);
        return;
    }
    run_calls(actor, slice);
    if (actor->state == PS_ACTOR_LOADING)
        return;
    if (actor->state == PS_ACTOR_GONE) {
        drop_all(actor);
        return;
    }
    if (lane == PS_LANE_DATA)
        run_messages(actor, slice);
    ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_TURNS, 1);
}
