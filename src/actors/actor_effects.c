/* actor_effects: what a message or a call does to an entity: points, attributes, who is told. */
#include <stdlib.h>
#include <string.h>

#include "actors/shard_state.h"
#include "core/json_text.h"

enum { KEY_CHARACTERS_MAX = 255, HOPS_MAX = 8 };

/* ---- keys --------------------------------------------------------------------------------------
 */

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] > ' ')
            return false;
    }
    return true;
}

static size_t utf8_characters(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* Device contract 3.4: 1..255 characters, not blank. */
static enum ps_status check_key(const struct ps_kv *kv, struct ps_text *why)
{
    if (is_blank(kv->key, kv->key_len)) {
        ps_text_set(why, "Key cannot be blank");
        return PS_EINVAL;
    }
    if (kv->key_len > KEY_CHARACTERS_MAX &&
        utf8_characters(kv->key, kv->key_len) > KEY_CHARACTERS_MAX) {
        ps_text_set(why, "Validation error: key length must be equal or less than 255");
        return PS_EINVAL;
    }
    return PS_OK;
}

enum ps_status ps_actor_check_keys(const struct ps_kv *kvs, size_t count, struct ps_text *why)
{
    for (size_t i = 0; i < count; i++) {
        enum ps_status st = check_key(&kvs[i], why);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

/* ---- updates -----------------------------------------------------------------------------------
 */

static struct ps_update *make_update(const struct ps_actor *actor, enum ps_update_kind kind,
                                     enum ps_attribute_scope scope, int64_t ts_ms,
                                     const struct ps_kv *kvs, size_t count)
{
    size_t text_len = 0;
    for (size_t i = 0; i < count; i++)
        text_len +=
            kvs[i].key_len + (kvs[i].value.type >= PS_VALUE_STRING ? (size_t)kvs[i].value.len : 0);
    struct ps_update *update = malloc(sizeof *update + count * sizeof *kvs + text_len);
    if (!update)
        return NULL;
    struct ps_kv *copies = (struct ps_kv *)(update + 1);
    char *text = (char *)(copies + count);
    for (size_t i = 0; i < count; i++) {
        copies[i] = kvs[i];
        copies[i].key = memcpy(text, kvs[i].key, kvs[i].key_len);
        text += kvs[i].key_len;
        if (kvs[i].value.type < PS_VALUE_STRING)
            continue;
        if (kvs[i].value.len)
            memcpy(text, kvs[i].value.text, kvs[i].value.len);
        copies[i].value.text = text;
        text += kvs[i].value.len;
    }
    *update = (struct ps_update){ .entity = actor->id,
                                  .kind = kind,
                                  .scope = scope,
                                  .ts_ms = ts_ms,
                                  .kv_count = (uint32_t)count,
                                  .kvs = copies };
    return update;
}

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

/* ---- telemetry ---------------------------------------------------------------------------------
 */

enum { SERIES_AT_ONCE = 32 };

/* Series of the key-values, made if they are new; NULL where the value is null. A key is checked
 * when its series is made, so a known one was checked then. */
static enum ps_status find_series(struct ps_actor *actor, const struct ps_kv *kvs, size_t count,
                                  struct ps_series **out, struct ps_text *why)
{
    struct ps_series_table *table = &actor->shard->series;
    bool all_known = actor->series != NULL;
    for (size_t i = 0; i < count; i++) {
        out[i] = actor->series ? ps_series_find(actor->series, kvs[i].key, kvs[i].key_len) : NULL;
        all_known &= out[i] != NULL;
    }
    if (all_known)
        return PS_OK;
    enum ps_status st = ps_actor_check_keys(kvs, count, why);
    if (st != PS_OK)
        return st;
    if (!actor->series && !(actor->series = ps_series_table_get(table, &actor->id)))
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (kvs[i].value.type == PS_VALUE_NULL || out[i])
            continue;
        out[i] = ps_series_get(table, actor->series, kvs[i].key, kvs[i].key_len);
        if (!out[i])
            return PS_ENOMEM;
    }
    return PS_OK;
}

static enum ps_status add_points(struct ps_actor *actor, struct ps_batch *batch, int64_t ts_ms,
                                 const struct ps_kv *kvs, size_t count, struct ps_text *why)
{
    struct ps_series *series[SERIES_AT_ONCE];
    enum ps_status st = find_series(actor, kvs, count, series, why);
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        if (kvs[i].value.type != PS_VALUE_NULL)
            st = ps_batch_add_point(batch, &actor->id, series[i], ts_ms, &kvs[i].value);
    }
    return st;
}

enum ps_status ps_actor_save_telemetry(struct ps_actor *actor, const struct ps_save_telemetry *save,
                                       struct ps_text *why)
{
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    if (!batch)
        return PS_ENOMEM;
    /* a long message is checked as a whole before its first part goes in */
    enum ps_status st = save->kv_count > SERIES_AT_ONCE
                            ? ps_actor_check_keys(save->kvs, save->kv_count, why)
                            : PS_OK;
    for (uint32_t at = 0; at < save->kv_count && st == PS_OK && save->keep_history;
         at += SERIES_AT_ONCE) {
        uint32_t left = save->kv_count - at;
        st = add_points(actor, batch, save->ts_ms, save->kvs + at,
                        left < SERIES_AT_ONCE ? left : SERIES_AT_ONCE, why);
    }
    if (st == PS_OK && save->tell_subscribers && actor->watches)
        st = ps_batch_add_notice(batch,
                                 make_update(actor, PS_UPDATE_TELEMETRY, PS_SCOPE_CLIENT,
                                             save->ts_ms, save->kvs, save->kv_count),
                                 false, true);
    return st;
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
        st = ps_batch_add_notice(
            batch,
            make_update(actor, PS_UPDATE_ATTRIBUTES, save->scope, actor->shard->now_ms, kvs, count),
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
                                 make_update(actor, PS_UPDATE_ATTRIBUTES_DELETED, scope,
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
