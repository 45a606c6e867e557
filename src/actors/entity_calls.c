#include "actors/entity_calls.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "actors/shard_state.h"
#include "core/json_text.h"
#include "core/telemetry/history.h"

/* The asker sleeps on a semaphore; the shard works, and wakes it now or after the commit. */
struct blocking_call {
    struct ps_actor_call call; /* first */
    struct ps_ack ack;
    sem_t finished;
    enum ps_status status;
    struct ps_text *why;
};

static void wake(struct blocking_call *blocking, enum ps_status status)
{
    blocking->status = status;
    sem_post(&blocking->finished);
}

static void committed(struct ps_ack *ack)
{
    struct blocking_call *blocking =
        (struct blocking_call *)((char *)ack - offsetof(struct blocking_call, ack));
    wake(blocking, ack->status);
}

/* Wake after the commit of what was just put into the batch. */
static void wake_when_committed(struct blocking_call *blocking, struct ps_actor *actor,
                                enum ps_status status)
{
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    if (status != PS_OK || !batch) {
        wake(blocking, status != PS_OK ? status : PS_ENOMEM);
        return;
    }
    ps_ack_init(&blocking->ack, NULL, committed);
    ps_batch_add_ack(batch, &blocking->ack);
}

static enum ps_status call_and_wait(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                    struct blocking_call *blocking,
                                    void (*run)(struct ps_actor_call *call, struct ps_actor *actor))
{
    blocking->call.tenant = ref->tenant;
    blocking->call.entity = ref->entity;
    blocking->call.run = run;
    sem_init(&blocking->finished, 0, 0);
    ps_actors_call(actors, &blocking->call);
    while (sem_wait(&blocking->finished) != 0) {
        /* EINTR */
    }
    sem_destroy(&blocking->finished);
    return blocking->status;
}

/* ---- telemetry writes -------------------------------------------------------------------------
 */

struct telemetry_call {
    struct blocking_call blocking; /* first */
    const struct ps_payload *payload;
    int64_t ttl_s;
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
    struct blocking_call *blocking = &telemetry->blocking;
    if (!actor) {
        wake(blocking, call->status);
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
    wake_when_committed(blocking, actor, st);
}

enum ps_status ps_entity_save_telemetry(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                        const struct ps_payload *payload, int64_t ttl_s,
                                        struct ps_text *why)
{
    struct telemetry_call call = { .blocking = { .why = why }, .payload = payload, .ttl_s = ttl_s };
    return call_and_wait(actors, ref, &call.blocking, save_telemetry);
}

/* ---- attribute writes -------------------------------------------------------------------------
 */

struct attributes_call {
    struct blocking_call blocking; /* first */
    enum ps_attribute_scope scope;
    const struct ps_kv *kvs;
    size_t count;
};

static void save_attributes(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct attributes_call *attributes = (struct attributes_call *)call;
    if (!actor) {
        wake(&attributes->blocking, call->status);
        return;
    }
    struct ps_save_attributes save = { .scope = attributes->scope,
                                       .kvs = attributes->kvs,
                                       .kv_count = (uint32_t)attributes->count,
                                       .notify_device = true,
                                       .tell_rule_chain = true,
                                       .tell_subscribers = true };
    enum ps_status st = ps_actor_save_attributes(actor, &save, 0, attributes->blocking.why);
    wake_when_committed(&attributes->blocking, actor, st);
}

enum ps_status ps_entity_save_attributes(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                         enum ps_attribute_scope scope, const struct ps_kv *kvs,
                                         size_t count, struct ps_text *why)
{
    struct attributes_call call = {
        .blocking = { .why = why }, .scope = scope, .kvs = kvs, .count = count
    };
    return call_and_wait(actors, ref, &call.blocking, save_attributes);
}

static void delete_attributes(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct attributes_call *attributes = (struct attributes_call *)call;
    if (!actor) {
        wake(&attributes->blocking, call->status);
        return;
    }
    enum ps_status st =
        ps_actor_delete_attributes(actor, attributes->scope, attributes->kvs, attributes->count);
    wake_when_committed(&attributes->blocking, actor, st);
}

enum ps_status ps_entity_delete_attributes(struct ps_actors *actors,
                                           const struct ps_entity_ref *ref,
                                           enum ps_attribute_scope scope, const struct ps_kv *keys,
                                           size_t count)
{
    struct attributes_call call = { .scope = scope, .kvs = keys, .count = count };
    return call_and_wait(actors, ref, &call.blocking, delete_attributes);
}

/* ---- reads: the series table is the shard's, no actor is needed --------------------------------
 */

struct heads_call {
    struct ps_port_item item; /* first */
    struct ps_uuid entity;
    const char *const *keys;
    size_t key_count;
    const struct ps_history_query *query; /* NULL: latest values into `latest` */
    struct ps_point_set latest;
    struct ps_series_copy *copies;
    enum ps_status status;
    sem_t finished;
};

static enum ps_status add_latest(struct ps_points *out, const char *key, size_t key_len,
                                 const struct ps_series *series)
{
    out->key = malloc(key_len + 1);
    if (!out->key)
        return PS_ENOMEM;
    memcpy(out->key, key, key_len);
    out->key[key_len] = '\0';
    if (!series || !series->has_latest)
        return PS_OK;
    return ps_points_add(out, series->latest.ts_ms, &series->latest.value);
}

static enum ps_status copy_asked_latest(struct heads_call *call, struct ps_entity_series *entity)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < call->key_count && st == PS_OK; i++) {
        size_t len = strlen(call->keys[i]);
        st = add_latest(&call->latest.keys[i], call->keys[i], len,
                        entity ? ps_series_find(entity, call->keys[i], len) : NULL);
        call->latest.count = i + 1;
    }
    return st;
}

static enum ps_status copy_all_latest(struct heads_call *call, struct ps_entity_series *entity)
{
    enum ps_status st = PS_OK;
    for (uint32_t i = 0; entity && i < entity->count && st == PS_OK; i++) {
        const struct ps_series *series = entity->items[i];
        if (!series->has_latest)
            continue;
        st = add_latest(&call->latest.keys[call->latest.count++], series->key, series->key_len,
                        series);
    }
    return st;
}

static enum ps_status copy_heads(struct heads_call *call, struct ps_entity_series *entity)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; entity && i < call->key_count && st == PS_OK; i++) {
        struct ps_series *series = ps_series_find(entity, call->keys[i], strlen(call->keys[i]));
        if (series)
            st = ps_series_copy(series, call->query->start_ms, call->query->end_ms,
                                &call->copies[i]);
    }
    return st;
}

static void run_heads_call(struct ps_port_item *item, void *owner)
{
    struct heads_call *call = (struct heads_call *)item;
    struct ps_shard *shard = owner;
    struct ps_entity_series *entity = ps_series_table_find(&shard->series, &call->entity);
    if (call->query) {
        call->status = copy_heads(call, entity);
    } else {
        size_t lists = call->key_count ? call->key_count : entity ? entity->count : 0;
        call->latest.keys = calloc(lists ? lists : 1, sizeof *call->latest.keys);
        call->status = !call->latest.keys ? PS_ENOMEM
                       : call->key_count  ? copy_asked_latest(call, entity)
                                          : copy_all_latest(call, entity);
    }
    sem_post(&call->finished);
}

static enum ps_status ask_heads(struct ps_actors *actors, struct heads_call *call)
{
    unsigned index = ps_actors_shard_index(actors, &call->entity);
    call->item.run = run_heads_call;
    sem_init(&call->finished, 0, 0);
    ps_port_post(ps_shard_port(ps_actors_shard(actors, index)), &call->item);
    while (sem_wait(&call->finished) != 0) {
        /* EINTR */
    }
    sem_destroy(&call->finished);
    return call->status;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct ps_points *)a)->key, ((const struct ps_points *)b)->key);
}

enum ps_status ps_entity_latest(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                const char *const *keys, size_t key_count, struct ps_point_set *out)
{
    struct heads_call call = { .entity = ref->entity.id, .keys = keys, .key_count = key_count };
    enum ps_status st = ask_heads(actors, &call);
    if (st != PS_OK) {
        ps_point_set_deinit(&call.latest);
        return st;
    }
    if (!key_count && call.latest.count)
        qsort(call.latest.keys, call.latest.count, sizeof *call.latest.keys, by_key);
    *out = call.latest;
    return PS_OK;
}

static enum ps_status name_lists(struct ps_point_set *set, const char *const *keys)
{
    for (size_t i = 0; i < set->count; i++) {
        set->keys[i].key = strdup(keys[i]);
        if (!set->keys[i].key)
            return PS_ENOMEM;
    }
    return PS_OK;
}

enum ps_status ps_entity_history(struct ps_actors *actors, struct ps_db *db,
                                 const struct ps_entity_ref *ref, const char *const *keys,
                                 size_t key_count, const struct ps_history_query *query,
                                 struct ps_point_set *out)
{
    size_t lists = key_count ? key_count : 1;
    struct heads_call call = {
        .entity = ref->entity.id, .keys = keys, .key_count = key_count, .query = query
    };
    struct ps_point_set set = { .count = key_count, .keys = calloc(lists, sizeof *set.keys) };
    call.copies = calloc(lists, sizeof *call.copies);
    enum ps_status st = set.keys && call.copies ? name_lists(&set, keys) : PS_ENOMEM;
    if (st == PS_OK)
        st = ask_heads(actors, &call);
    if (st == PS_OK)
        st = ps_history_read(db, query, call.copies, key_count, set.keys);
    for (size_t i = 0; call.copies && i < key_count; i++)
        ps_series_copy_deinit(&call.copies[i]);
    free(call.copies);
    if (st == PS_OK) {
        *out = set;
        return PS_OK;
    }
    if (!set.keys)
        set.count = 0;
    ps_point_set_deinit(&set);
    return st;
}

/* ---- changes of the entity itself --------------------------------------------------------------
 */

struct change_call {
    struct blocking_call blocking; /* first */
    bool end_sessions;
    enum ps_session_end reason;
};

struct forget_series {
    struct ps_ack ack; /* first */
    struct ps_shard *shard;
    struct ps_uuid entity;
};

/* Every batch that could hold points of the entity has settled. */
static void forget_now(struct ps_ack *ack)
{
    struct forget_series *forget = (struct forget_series *)ack;
    struct ps_actor *actor = ps_directory_find(&forget->shard->directory, &forget->entity);
    if (actor)
        actor->series = NULL;
    ps_series_table_forget(&forget->shard->series, &forget->entity);
    free(forget);
}

static void forget_after_commit(struct ps_actor *actor)
{
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    struct forget_series *forget = batch ? calloc(1, sizeof *forget) : NULL;
    if (!forget)
        return; /* the series stay until the next start */
    forget->shard = actor->shard;
    forget->entity = actor->id.id;
    ps_ack_init(&forget->ack, NULL, forget_now);
    ps_batch_add_ack(batch, &forget->ack);
}

static void change_entity(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct change_call *change = (struct change_call *)call;
    if (actor) {
        if (change->end_sessions)
            ps_actor_end_sessions(actor, change->reason);
        if (change->reason == PS_SESSION_DEVICE_DELETED && change->end_sessions)
            forget_after_commit(actor);
        ps_actor_reload(actor);
    }
    wake(&change->blocking, PS_OK);
}

void ps_entity_changed(struct ps_actors *actors, const struct ps_entity_ref *ref, bool end_sessions,
                       enum ps_session_end reason)
{
    struct change_call change = { .end_sessions = end_sessions, .reason = reason };
    (void)call_and_wait(actors, ref, &change.blocking, change_entity);
}
