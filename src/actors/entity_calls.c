#include "actors/entity_calls.h"

#include <stdlib.h>
#include <string.h>

#include "actors/blocking_call.h"
#include "actors/shard_state.h"
#include "core/entity/ttl.h"
#include "core/json_text.h"

/* ---- telemetry writes -------------------------------------------------------------------------
 */

struct telemetry_call {
    struct ps_blocking_call blocking; /* first */
    const struct ps_payload *payload;
    uint32_t ttl_s;
};

/* {"timeseries":[{"ts":..,"values":{..}}]}: rule-engine contract 1.3. */
static void emit_timeseries_updated(struct ps_actor *actor, const struct ps_payload *payload)
{
    struct ps_buf list = { 0 };
    ps_buf_put_char(&list, '[');
    for (size_t i = 0; i < payload->entry_count; i++) {
        const struct ps_payload_entry *entry = &payload->entries[i];
        ps_buf_printf(&list, "%s{\"ts\":%lld,\"values\":", i ? "," : "",
                      (long long)(entry->has_ts ? entry->ts_ms : actor->shard->now_ms));
        ps_json_put_object(&list, payload->kvs + entry->first, entry->count);
        ps_buf_put_char(&list, '}');
    }
    ps_buf_put_char(&list, ']');
    struct ps_kv all = {
        .key = "timeseries",
        .key_len = 10,
        .value = { .type = PS_VALUE_JSON, .len = (uint32_t)list.len, .text = list.data }
    };
    struct ps_msg_content content = {
        .type = PS_MSG_TIMESERIES_UPDATED, .data_kind = PS_DATA_OBJECT, .kvs = &all, .kv_count = 1
    };
    if (ps_buf_ok(&list))
        ps_actor_emit(actor, &content, 0);
    ps_buf_deinit(&list);
}

static void save_telemetry(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct telemetry_call *telemetry = (struct telemetry_call *)call;
    struct ps_blocking_call *blocking = &telemetry->blocking;
    if (!actor) {
        ps_blocking_call_wake(blocking, call->status);
        return;
    }
    const struct ps_payload *payload = telemetry->payload;
    /* all of it or nothing: a bad key in the last entry must not leave the first ones stored */
    enum ps_status st = ps_actor_check_keys(payload->kvs, payload->kv_count, blocking->why);
    for (size_t i = 0; i < payload->entry_count && st == PS_OK; i++) {
        const struct ps_payload_entry *entry = &payload->entries[i];
        struct ps_save_telemetry save = {
            .ts_ms = entry->has_ts ? entry->ts_ms : actor->shard->now_ms,
            .ttl_s = telemetry->ttl_s,
            .kvs = payload->kvs + entry->first,
            .kv_count = entry->count,
            .keep_history = true,
            .keep_latest = true,
            .tell_subscribers = true,
        };
        st = ps_actor_save_telemetry(actor, &save, blocking->why);
    }
    if (st == PS_OK)
        emit_timeseries_updated(actor, payload);
    ps_blocking_call_wake_when_committed(blocking, actor->shard, st);
}

enum ps_status ps_entity_save_telemetry(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                        const struct ps_payload *payload, int64_t ttl_s,
                                        struct ps_text *why)
{
    struct telemetry_call call = { .blocking = { .why = why },
                                   .payload = payload,
                                   .ttl_s = (uint32_t)ttl_s };
    if (ttl_s < 0 || ttl_s > PS_TTL_S_MAX) {
        ps_text_set(why, "TTL must be 0 to %lld seconds", (long long)PS_TTL_S_MAX);
        return PS_EINVAL;
    }
    return ps_blocking_call_wait(actors, ref, &call.blocking, save_telemetry);
}

/* ---- attribute writes -------------------------------------------------------------------------
 */

struct attributes_call {
    struct ps_blocking_call blocking; /* first */
    enum ps_attribute_scope scope;
    const struct ps_kv *kvs;
    size_t count;
};

static void save_attributes(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct attributes_call *attributes = (struct attributes_call *)call;
    if (!actor) {
        ps_blocking_call_wake(&attributes->blocking, call->status);
        return;
    }
    struct ps_save_attributes save = { .scope = attributes->scope,
                                       .kvs = attributes->kvs,
                                       .kv_count = (uint32_t)attributes->count,
                                       .notify_device = true,
                                       .tell_rule_chain = true,
                                       .tell_subscribers = true };
    enum ps_status st = ps_actor_save_attributes(actor, &save, 0, attributes->blocking.why);
    ps_blocking_call_wake_when_committed(&attributes->blocking, actor->shard, st);
}

enum ps_status ps_entity_save_attributes(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                         enum ps_attribute_scope scope, const struct ps_kv *kvs,
                                         size_t count, struct ps_text *why)
{
    struct attributes_call call = {
        .blocking = { .why = why }, .scope = scope, .kvs = kvs, .count = count
    };
    return ps_blocking_call_wait(actors, ref, &call.blocking, save_attributes);
}

static void delete_attributes(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct attributes_call *attributes = (struct attributes_call *)call;
    if (!actor) {
        ps_blocking_call_wake(&attributes->blocking, call->status);
        return;
    }
    enum ps_status st =
        ps_actor_delete_attributes(actor, attributes->scope, attributes->kvs, attributes->count);
    ps_blocking_call_wake_when_committed(&attributes->blocking, actor->shard, st);
}

enum ps_status ps_entity_delete_attributes(struct ps_actors *actors,
                                           const struct ps_entity_ref *ref,
                                           enum ps_attribute_scope scope, const struct ps_kv *keys,
                                           size_t count)
{
    struct attributes_call call = { .scope = scope, .kvs = keys, .count = count };
    return ps_blocking_call_wait(actors, ref, &call.blocking, delete_attributes);
}

/* ---- changes of the entity itself --------------------------------------------------------------
 */

struct change_call {
    struct ps_blocking_call blocking; /* first */
    struct ps_actors *actors;
    bool end_sessions;
    enum ps_session_end reason;
};

struct forget_series {
    struct ps_ack ack; /* first */
    struct ps_shard *shard;
    struct ps_uuid entity;
};

static void forget_now(struct ps_ack *ack);

static void forget_after_commit(struct forget_series *forget)
{
    struct ps_batch *batch = ps_shard_batch(forget->shard);
    if (!batch) {
        free(forget); /* the series stay until the next start */
        return;
    }
    ps_ack_init(&forget->ack, NULL, forget_now);
    ps_batch_add_ack(batch, &forget->ack);
}

/* After a commit every batch that could hold points of the entity has settled. After a failure some
 * may still be on their way back: once more, behind them. */
static void forget_now(struct ps_ack *ack)
{
    struct forget_series *forget = (struct forget_series *)ack;
    if (ack->status != PS_OK && ack->status != PS_ENOMEM) {
        forget_after_commit(forget);
        return;
    }
    struct ps_actor *actor = ps_directory_find(&forget->shard->directory, &forget->entity);
    if (ack->status == PS_OK) {
        if (actor)
            actor->series = NULL;
        ps_series_table_forget(&forget->shard->series, &forget->entity);
    }
    free(forget);
}

static void forget_entity(struct ps_shard *shard, const struct ps_uuid *entity)
{
    struct forget_series *forget = calloc(1, sizeof *forget);
    if (!forget)
        return;
    forget->shard = shard;
    forget->entity = *entity;
    forget_after_commit(forget);
}

static bool is_deletion(const struct change_call *change)
{
    return change->reason == PS_SESSION_DEVICE_DELETED && change->end_sessions;
}

/* A deleted entity that had no actor gets none, but may have series. The answer comes behind the
 * forgetting. */
static void change_entity(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct change_call *change = (struct change_call *)call;
    unsigned index = ps_actors_shard_index(change->actors, &call->entity.id);
    struct ps_shard *shard = ps_actors_shard(change->actors, index);
    if (actor && change->end_sessions)
        ps_actor_end_sessions(actor, change->reason);
    if (is_deletion(change) && (actor || call->status == PS_ENOTFOUND))
        forget_entity(shard, &call->entity.id);
    if (actor)
        ps_actor_reload(actor);
    if (is_deletion(change))
        ps_blocking_call_wake_when_committed(&change->blocking, shard, PS_OK);
    else
        ps_blocking_call_wake(&change->blocking, PS_OK);
}

void ps_entity_changed(struct ps_actors *actors, const struct ps_entity_ref *ref, bool end_sessions,
                       enum ps_session_end reason)
{
    struct change_call change = { .actors = actors,
                                  .end_sessions = end_sessions,
                                  .reason = reason };
    (void)ps_blocking_call_wait(actors, ref, &change.blocking, change_entity);
}
