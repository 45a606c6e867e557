/* actor_effects: what a message or a call does to an entity: attributes, messages, who is told.
 * (Points: actor_telemetry.c.) */
#include <stdlib.h>
#include <string.h>

#include "actors/shard_state.h"
#include "core/json_text.h"

enum { HOPS_MAX = 8 };

/* ---- who is told --------------------------------------------------------------------------------
 */

static void post_to_hub(struct ps_update_hub *hub, struct ps_update *update)
{
    uint64_t outstanding = atomic_fetch_add_explicit(&hub->outstanding, 1, memory_order_relaxed);
    if (outstanding >= hub->outstanding_max) {
        atomic_fetch_sub_explicit(&hub->outstanding, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&hub->lost, 1, memory_order_relaxed);
        free(update);
        return;
    }
    update->item.run = hub->run;
    ps_port_post(hub->port, &update->item);
}

void ps_actor_tell(struct ps_actor *actor, struct ps_update *update, bool to_device,
                   bool to_watchers)
{
    bool deleted = update->kind == PS_UPDATE_ATTRIBUTES_DELETED;
    struct ps_session *next;
    for (struct ps_session *session = to_device ? actor->sessions : NULL; session; session = next) {
        next = session->next; /* the session may close itself */
        if (session->wants_shared_attributes)
            session->ops->shared_attributes(session, update->kvs, update->kv_count, deleted);
    }
    if (to_watchers && actor->hub)
        post_to_hub(actor->hub, update);
    else
        free(update);
}

/* ---- attributes --------------------------------------------------------------------------------
 */

/* The key-values of a write that change something, or all of them. Caller frees. */
static struct ps_kv *select_kvs(const struct ps_actor *actor, const struct ps_save_attributes *save,
                                uint32_t *count)
{
    struct ps_kv *kvs = malloc((save->kv_count ? save->kv_count : 1) * sizeof *kvs);
    if (!kvs)
        return NULL;
    *count = 0;
    for (uint32_t i = 0; i < save->kv_count; i++) {
        const struct ps_kv *kv = &save->kvs[i];
        if (kv->value.type == PS_VALUE_NULL)
            continue;
        const struct ps_attribute *old =
            save->only_changed
                ? ps_attribute_cache_find(&actor->attributes, save->scope, kv->key, kv->key_len)
                : NULL;
        if (!old || !ps_value_equal(&old->value, &kv->value))
            kvs[(*count)++] = *kv;
    }
    return kvs;
}

static enum ps_status write_attributes(struct ps_actor *actor, struct ps_batch *batch,
                                       enum ps_attribute_scope scope, const struct ps_kv *kvs,
                                       uint32_t count)
{
    enum ps_status st = PS_OK;
    if (count)
        actor->attributes_batch = batch->serial;
    for (uint32_t i = 0; i < count && st == PS_OK; i++) {
        st = ps_batch_add_attribute(batch, &actor->id, scope, &kvs[i], actor->shard->now_ms);
        if (st == PS_OK)
            st = ps_attribute_cache_put(&actor->attributes, scope, &kvs[i], actor->shard->now_ms);
    }
    return st;
}

static void emit_scope_event(struct ps_actor *actor, enum ps_msg_type type,
                             enum ps_attribute_scope scope, const struct ps_msg_content *data,
                             uint32_t hops)
{
    const char *name = ps_attribute_scope_name(scope);
    struct ps_pair metadata = {
        .key = "scope", .key_len = 5, .value = name, .value_len = (uint32_t)strlen(name)
    };
    struct ps_msg_content content = *data;
    content.type = type;
    content.metadata = &metadata;
    content.metadata_count = 1;
    ps_actor_emit(actor, &content, hops);
}

enum ps_status ps_actor_save_attributes(struct ps_actor *actor,
                                        const struct ps_save_attributes *save, uint32_t hops,
                                        struct ps_text *why)
{
    enum ps_status st = ps_actor_check_keys(save->kvs, save->kv_count, why);
    if (st != PS_OK)
        return st;
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    uint32_t count;
    struct ps_kv *kvs = batch ? select_kvs(actor, save, &count) : NULL;
    if (!kvs)
        return PS_ENOMEM;
    /* What equals a write that is not committed yet is true only once that is. */
    if (count < save->kv_count && ps_actor_has_uncommitted(actor))
        batch->effects++;
    st = write_attributes(actor, batch, save->scope, kvs, count);
    bool to_device = save->notify_device && save->scope == PS_SCOPE_SHARED && actor->sessions;
    bool to_watchers = save->tell_subscribers && actor->watches;
    if (st == PS_OK && count && (to_device || to_watchers))
        st = ps_batch_add_notice(batch,
                                 ps_update_create(&actor->id, PS_UPDATE_ATTRIBUTES, save->scope,
                                                  actor->shard->now_ms, kvs, count),
                                 to_device, to_watchers);
    if (st == PS_OK && count && save->tell_rule_chain) {
        struct ps_msg_content data = { .data_kind = PS_DATA_OBJECT, .kvs = kvs, .kv_count = count };
        emit_scope_event(actor, PS_MSG_ATTRIBUTES_UPDATED, save->scope, &data, hops);
    }
    free(kvs);
    return st;
}

static void emit_deleted(struct ps_actor *actor, enum ps_attribute_scope scope,
                         const struct ps_kv *keys, size_t count)
{
    struct ps_buf list = { 0 };
    ps_buf_put_char(&list, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            ps_buf_put_char(&list, ',');
        ps_json_put_string(&list, keys[i].key, keys[i].key_len);
    }
    ps_buf_put_char(&list, ']');
    struct ps_kv names = {
        .key = "attributes",
        .key_len = 10,
        .value = { .type = PS_VALUE_JSON, .len = (uint32_t)list.len, .text = list.data }
    };
    struct ps_msg_content data = { .data_kind = PS_DATA_OBJECT, .kvs = &names, .kv_count = 1 };
    if (ps_buf_ok(&list))
        emit_scope_event(actor, PS_MSG_ATTRIBUTES_DELETED, scope, &data, 0);
    ps_buf_deinit(&list);
}

enum ps_status ps_actor_delete_attributes(struct ps_actor *actor, enum ps_attribute_scope scope,
                                          const struct ps_kv *keys, size_t count)
{
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    struct ps_kv *gone = batch ? calloc(count ? count : 1, sizeof *gone) : NULL;
    if (!gone)
        return PS_ENOMEM;
    enum ps_status st = PS_OK;
    size_t found = 0;
    actor->attributes_batch = batch->serial;
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        if (!ps_attribute_cache_remove(&actor->attributes, scope, keys[i].key, keys[i].key_len))
            continue;
        gone[found] = (struct ps_kv){ .key = keys[i].key, .key_len = keys[i].key_len };
        st = ps_batch_add_attribute(batch, &actor->id, scope, &gone[found++], actor->shard->now_ms);
    }
    bool to_device = scope == PS_SCOPE_SHARED && actor->sessions;
    if (st == PS_OK && found && (to_device || actor->watches))
        st = ps_batch_add_notice(batch,
                                 ps_update_create(&actor->id, PS_UPDATE_ATTRIBUTES_DELETED, scope,
                                                  actor->shard->now_ms, gone, found),
                                 to_device, actor->watches > 0);
    if (st == PS_OK && found)
        emit_deleted(actor, scope, gone, found);
    free(gone);
    return st;
}

void ps_actor_emit(struct ps_actor *actor, const struct ps_msg_content *content, uint32_t hops)
{
    struct ps_shard *shard = actor->shard;
    if (hops > HOPS_MAX) {
        ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_DROPPED_HOPS, 1);
        return;
    }
    struct ps_msg *msg;
    const struct ps_uuid *customer = actor->identity ? &actor->identity->customer : &PS_UUID_NULL;
    if (ps_msg_create(&actor->tenant, &actor->id, customer, shard->now_ms, content, &msg) != PS_OK)
        return;
    msg->hops = hops;
    if (ps_shard_deliver(shard, &msg) != PS_OK) {
        ps_metrics_add(shard->settings->metrics, shard->index, PS_METRIC_DROPPED_BUSY, 1);
        ps_msg_release(msg);
    }
}

/* ---- the host of runs --------------------------------------------------------------------------
 */

static struct ps_actor *actor_of(struct ps_host *host)
{
    return ((struct ps_actor_host *)host)->actor;
}

static enum ps_status host_save_telemetry(struct ps_host *host, const struct ps_msg *msg,
                                          const struct ps_save_telemetry *save, struct ps_text *why)
{
    (void)msg;
    return ps_actor_save_telemetry(actor_of(host), save, why);
}

static enum ps_status host_save_attributes(struct ps_host *host, const struct ps_msg *msg,
                                           const struct ps_save_attributes *save,
                                           struct ps_text *why)
{
    return ps_actor_save_attributes(actor_of(host), save, msg->hops + 1, why);
}

static struct ps_lua *host_lua(struct ps_host *host, const struct ps_uuid *tenant)
{
    return ps_shard_lua(actor_of(host)->shard, tenant);
}

const struct ps_host_ops PS_ACTOR_HOST_OPS = {
    .save_telemetry = host_save_telemetry,
    .save_attributes = host_save_attributes,
    .lua = host_lua,
};
