/* entity_reads: latest values and history of an entity. What is in memory is copied out of its
 * shard's series table (no actor is needed for that); the rest is read here, on the asker's thread.
 */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "actors/entity_calls.h"
#include "actors/shard_state.h"
#include "core/clock.h"
#include "core/entity/ttl.h"
#include "core/log.h"
#include "core/telemetry/history.h"

/* What the shard is asked for, and what it gives. */
struct heads_call {
    struct ps_port_item item; /* first */
    struct ps_uuid entity;
    const char *const *keys;
    size_t key_count;
    const struct ps_history_query *query; /* NULL: latest values */
    uint32_t default_ttl_s;
    int64_t now_ms;
    struct ps_point_set latest;    /* one list per key asked for (or there is) */
    struct ps_series_copy *copies; /* parallel; for latest values, of those that are unknown */
    enum ps_status status;
    sem_t finished;
};

static struct ps_shard *shard_of(struct ps_actors *actors, const struct ps_uuid *entity)
{
    return ps_actors_shard(actors, ps_actors_shard_index(actors, entity));
}

static void free_copies(struct ps_series_copy *copies, size_t count)
{
    for (size_t i = 0; copies && i < count; i++)
        ps_series_copy_deinit(&copies[i]);
    free(copies);
}

/* ---- on the shard ------------------------------------------------------------------------------
 */

static enum ps_status copy_key(struct ps_points *list, const char *key, size_t key_len)
{
    list->key = malloc(key_len + 1);
    if (!list->key)
        return PS_ENOMEM;
    memcpy(list->key, key, key_len);
    list->key[key_len] = '\0';
    return PS_OK;
}

/* Its latest value, or all that is needed to find out. */
static enum ps_status copy_latest(struct heads_call *call, const struct ps_series_table *table,
                                  const struct ps_series *series, const char *key, size_t key_len)
{
    size_t index = call->latest.count++;
    struct ps_points *list = &call->latest.keys[index];
    struct ps_point point;
    enum ps_status st = copy_key(list, key, key_len);
    if (st != PS_OK || !series)
        return st;
    switch (ps_series_latest(series, call->default_ttl_s, call->now_ms, &point)) {
    case PS_LATEST_NONE:
        return PS_OK;
    case PS_LATEST_KNOWN:
        return ps_points_add(list, point.ts_ms, &point.value);
    case PS_LATEST_UNKNOWN:
        break;
    }
    return ps_series_copy_all(table, series, &call->copies[index]);
}

static enum ps_status copy_asked_latest(struct heads_call *call,
                                        const struct ps_series_table *table,
                                        struct ps_entity_series *entity)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < call->key_count && st == PS_OK; i++) {
        size_t len = strlen(call->keys[i]);
        st = copy_latest(call, table, entity ? ps_series_find(entity, call->keys[i], len) : NULL,
                         call->keys[i], len);
    }
    return st;
}

static enum ps_status copy_all_latest(struct heads_call *call, const struct ps_series_table *table,
                                      const struct ps_entity_series *entity)
{
    enum ps_status st = PS_OK;
    for (uint32_t i = 0; entity && i < entity->count && st == PS_OK; i++) {
        const struct ps_series *series = entity->items[i];
        st = copy_latest(call, table, series, series->key, series->key_len);
    }
    return st;
}

static enum ps_status copy_latest_values(struct heads_call *call,
                                         const struct ps_series_table *table,
                                         struct ps_entity_series *entity)
{
    size_t lists = call->key_count ? call->key_count : entity ? entity->count : 0;
    call->latest.keys = calloc(lists + 1, sizeof *call->latest.keys);
    call->copies = calloc(lists + 1, sizeof *call->copies);
    if (!call->latest.keys || !call->copies)
        return PS_ENOMEM;
    return call->key_count ? copy_asked_latest(call, table, entity)
                           : copy_all_latest(call, table, entity);
}

static enum ps_status copy_heads(struct heads_call *call, const struct ps_series_table *table,
                                 struct ps_entity_series *entity)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; entity && i < call->key_count && st == PS_OK; i++) {
        struct ps_series *series = ps_series_find(entity, call->keys[i], strlen(call->keys[i]));
        if (series)
            st = ps_series_copy(table, series, call->query->start_ms, call->query->end_ms,
                                &call->copies[i]);
    }
    return st;
}

static void run_heads_call(struct ps_port_item *item, void *owner)
{
    struct heads_call *call = (struct heads_call *)item;
    struct ps_shard *shard = owner;
    struct ps_entity_series *entity = ps_series_table_find(&shard->series, &call->entity);
    call->status = call->query ? copy_heads(call, &shard->series, entity)
                               : copy_latest_values(call, &shard->series, entity);
    sem_post(&call->finished);
}

static enum ps_status ask_heads(struct ps_actors *actors, struct heads_call *call)
{
    call->item.run = run_heads_call;
    sem_init(&call->finished, 0, 0);
    ps_port_post(ps_shard_port(shard_of(actors, &call->entity)), &call->item);
    while (sem_wait(&call->finished) != 0) {
        /* EINTR */
    }
    sem_destroy(&call->finished);
    return call->status;
}

/* ---- what the shard learns ---------------------------------------------------------------------
 */

/* Latest values that were looked up, on their way to the shard. */
struct lesson {
    struct ps_port_item item; /* first */
    struct ps_uuid entity;
    size_t count;
    struct lesson_entry {
        uint32_t series;
        struct ps_series_newest newest;
    } entries[];
};

/* Questions were asked in the order of the entity's series, mostly; so the search goes on where it
 * found the last one. */
static struct ps_series *find_by_id(const struct ps_entity_series *entity, uint32_t id,
                                    uint32_t *at)
{
    for (uint32_t i = 0; i < entity->count; i++, ++*at) {
        if (*at >= entity->count)
            *at = 0;
        if (entity->items[*at]->id == id)
            return entity->items[*at];
    }
    return NULL;
}

static void learn(struct ps_port_item *item, void *owner)
{
    struct lesson *lesson = (struct lesson *)item;
    struct ps_shard *shard = owner;
    struct ps_entity_series *entity = ps_series_table_find(&shard->series, &lesson->entity);
    uint32_t at = 0;
    for (size_t i = 0; i < lesson->count; i++) {
        struct lesson_entry *entry = &lesson->entries[i];
        struct ps_series *series = entity ? find_by_id(entity, entry->series, &at) : NULL;
        if (series)
            ps_series_learn_latest(series, &entry->newest);
        ps_series_newest_deinit(&entry->newest);
    }
    free(lesson);
}

/* ---- looking up --------------------------------------------------------------------------------
 */

static enum ps_status begin_history(struct ps_actors *actors, struct ps_db *db,
                                    const struct ps_entity_ref *ref, struct ps_history *history)
{
    const struct ps_actors_settings *settings = shard_of(actors, &ref->entity.id)->settings;
    *history =
        (struct ps_history){ .db = db, .store = settings->store, .now_ms = ps_clock_now_ms() };
    return ps_ttl_default(db, &ref->entity, settings->default_ttl_s, &history->default_ttl_s);
}

static void report_damage(struct ps_actors *actors, const struct ps_history *history)
{
    struct ps_log_line line;
    if (!history->damaged || !ps_actors_may_log_damage(actors) ||
        !ps_log_begin(&line, PS_LOG_ERROR, "storage", "damaged_telemetry_skipped"))
        return;
    ps_log_int(&line, "parts", (int64_t)history->damaged);
    ps_log_text(&line, "first", history->damage.data);
    ps_log_end(&line);
}

/* Fill in the latest values that the shard did not know, and tell it. */
static enum ps_status look_up_unknown(struct ps_actors *actors, struct ps_history *history,
                                      struct heads_call *call)
{
    size_t unknown = 0;
    for (size_t i = 0; i < call->latest.count; i++)
        unknown += call->copies[i].id != 0;
    if (!unknown)
        return PS_OK;
    struct lesson *lesson = malloc(sizeof *lesson + unknown * sizeof lesson->entries[0]);
    if (!lesson)
        return PS_ENOMEM;
    lesson->item.run = learn;
    lesson->entity = call->entity;
    lesson->count = 0;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < call->latest.count && st == PS_OK; i++) {
        struct ps_series_copy *copy = &call->copies[i];
        if (!copy->id)
            continue;
        struct lesson_entry *entry = &lesson->entries[lesson->count++];
        entry->series = copy->id;
        entry->newest = (struct ps_series_newest){ 0 };
        st = ps_history_newest(history, copy, &entry->newest);
        const struct ps_points *found = &entry->newest.points;
        if (st == PS_OK && found->count)
            st = ps_points_add(&call->latest.keys[i], found->points[0].ts_ms,
                               &found->points[0].value);
    }
    if (st != PS_OK) /* the last one is not an answer */
        ps_series_newest_deinit(&lesson->entries[--lesson->count].newest);
    ps_port_post(ps_shard_port(shard_of(actors, &call->entity)), &lesson->item);
    return st;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct ps_points *)a)->key, ((const struct ps_points *)b)->key);
}

/* All keys were asked for: those that have a value, by name. */
static void keep_those_with_value(struct ps_point_set *set)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->keys[i].count)
            set->keys[kept++] = set->keys[i];
        else
            ps_points_deinit(&set->keys[i]);
    }
    set->count = kept;
    if (kept)
        qsort(set->keys, kept, sizeof *set->keys, by_key);
}

enum ps_status ps_entity_latest(struct ps_actors *actors, struct ps_db *db,
                                const struct ps_entity_ref *ref, const char *const *keys,
                                size_t key_count, struct ps_point_set *out)
{
    struct ps_history history;
    enum ps_status st = begin_history(actors, db, ref, &history);
    if (st != PS_OK)
        return st;
    struct heads_call call = { .entity = ref->entity.id,
                               .keys = keys,
                               .key_count = key_count,
                               .default_ttl_s = history.default_ttl_s,
                               .now_ms = history.now_ms };
    st = ask_heads(actors, &call);
    if (st == PS_OK)
        st = look_up_unknown(actors, &history, &call);
    report_damage(actors, &history);
    free_copies(call.copies, call.latest.count);
    if (st != PS_OK) {
        ps_point_set_deinit(&call.latest);
        return st;
    }
    if (!key_count)
        keep_those_with_value(&call.latest);
    *out = call.latest;
    return PS_OK;
}

/* ---- history -----------------------------------------------------------------------------------
 */

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
    struct ps_history history;
    enum ps_status st = begin_history(actors, db, ref, &history);
    if (st != PS_OK)
        return st;
    if (query->now_ms)
        history.now_ms = query->now_ms;
    struct heads_call call = {
        .entity = ref->entity.id, .keys = keys, .key_count = key_count, .query = query
    };
    struct ps_point_set set = { .count = key_count,
                                .keys = calloc(key_count + 1, sizeof *set.keys) };
    call.copies = calloc(key_count + 1, sizeof *call.copies);
    st = set.keys && call.copies ? name_lists(&set, keys) : PS_ENOMEM;
    if (st == PS_OK)
        st = ask_heads(actors, &call);
    if (st == PS_OK)
        st = ps_history_read(&history, query, call.copies, key_count, set.keys);
    report_damage(actors, &history);
    free_copies(call.copies, key_count);
    if (st == PS_OK) {
        *out = set;
        return PS_OK;
    }
    if (!set.keys)
        set.count = 0;
    ps_point_set_deinit(&set);
    return st;
}
