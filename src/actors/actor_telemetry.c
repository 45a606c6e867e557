/* actor_telemetry: points of an entity, saved and deleted, as effects in the batch. */
#include <stdlib.h>
#include <string.h>

#include "actors/entity_calls.h"
#include "actors/shard_state.h"
#include "core/json_text.h"

enum { KEY_CHARACTERS_MAX = 255, SERIES_AT_ONCE = 32 };

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

/* ---- saving -------------------------------------------------------------------------------------
 */

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

static enum ps_status add_points(struct ps_actor *actor, struct ps_batch *batch,
                                 const struct ps_save_telemetry *save, uint32_t first, size_t count,
                                 struct ps_text *why)
{
    const struct ps_kv *kvs = save->kvs + first;
    struct ps_series *series[SERIES_AT_ONCE];
    enum ps_status st = find_series(actor, kvs, count, series, why);
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        if (kvs[i].value.type != PS_VALUE_NULL)
            st = ps_batch_add_point(batch, &actor->id, series[i], save->ts_ms, &kvs[i].value,
                                    save->ttl_s);
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
    const struct ps_batch_mark mark = ps_batch_mark(batch);
    for (uint32_t at = 0; at < save->kv_count && st == PS_OK && save->keep_history;
         at += SERIES_AT_ONCE) {
        uint32_t left = save->kv_count - at;
        st = add_points(actor, batch, save, at, left < SERIES_AT_ONCE ? left : SERIES_AT_ONCE, why);
    }
    if (st == PS_OK && save->tell_subscribers && actor->watches)
        st = ps_batch_add_notice(batch,
                                 ps_update_create(&actor->id, PS_UPDATE_TELEMETRY, PS_SCOPE_CLIENT,
                                                  save->ts_ms, save->kvs, save->kv_count),
                                 false, true);
    if (st != PS_OK)
        ps_batch_go_back(batch, &mark); /* all of it or nothing */
    return st;
}

/* ---- deleting -----------------------------------------------------------------------------------
 */

static struct ps_series *find_named(struct ps_actor *actor, const char *key)
{
    return actor->series ? ps_series_find(actor->series, key, strlen(key)) : NULL;
}

static int by_series(const void *left, const void *right)
{
    const struct ps_latest_outlook *a = left, *b = right;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_index(const void *left, const void *right)
{
    const struct ps_latest_outlook *a = left, *b = right;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Series of the keys that have one, each once, by address; their latest values as they are now. */
static size_t find_targets(struct ps_actor *actor, const struct ps_telemetry_deletion *deletion,
                           struct ps_latest_outlook *targets)
{
    size_t found = 0, kept = 0;
    for (size_t i = 0; i < deletion->key_count; i++) {
        struct ps_series *series = find_named(actor, deletion->keys[i]);
        if (series)
            targets[found++] = (struct ps_latest_outlook){ .series = series, .index = i };
    }
    qsort(targets, found, sizeof *targets, by_series);
    for (size_t i = 0; i < found; i++) {
        if (!kept || targets[i].series != targets[kept - 1].series)
            targets[kept++] = targets[i];
    }
    for (size_t i = 0; i < kept; i++) {
        struct ps_point point;
        enum ps_latest state =
            ps_series_latest(targets[i].series, deletion->default_ttl_s, deletion->now_ms, &point);
        targets[i].known = state != PS_LATEST_UNKNOWN;
        targets[i].exists = state == PS_LATEST_KNOWN;
        if (!targets[i].exists)
            continue;
        targets[i].ts_ms = point.ts_ms;
        targets[i].value = point.value;
        targets[i].ttl_s = ps_series_latest_ttl_s(targets[i].series);
    }
    return kept;
}

/* As they will be when everything that came before has settled. False: one is not known. */
static bool look_ahead(const struct ps_shard *shard, struct ps_latest_outlook *targets,
                       size_t count)
{
    for (unsigned i = 0; i < shard->in_flight; i++)
        ps_batch_look_ahead(shard->flying[i], targets, count);
    if (shard->filling)
        ps_batch_look_ahead(shard->filling, targets, count);
    for (size_t i = 0; i < count; i++) {
        if (!targets[i].known)
            return false;
    }
    return true;
}

/* Deleting all of it with the latest value is the same whatever that is. */
static bool needs_outlook(const struct ps_delete_telemetry *what)
{
    return !(what->all && what->delete_latest);
}

static bool in_range(const struct ps_delete_telemetry *what, int64_t ts_ms)
{
    return what->all ||
           (ts_ms >= what->start_ms && (ts_ms < what->end_ms || what->end_ms == INT64_MAX));
}

static enum ps_batch_latest fate_of_latest(const struct ps_delete_telemetry *what,
                                           const struct ps_latest_outlook *latest)
{
    if (!needs_outlook(what))
        return PS_BATCH_LATEST_GOES;
    if (!latest->exists || !in_range(what, latest->ts_ms))
        return PS_BATCH_LATEST_STAYS;
    if (!what->delete_latest)
        return PS_BATCH_LATEST_KEPT;
    return what->rewrite_latest && !what->all ? PS_BATCH_LATEST_REPLACED : PS_BATCH_LATEST_GOES;
}

/* What is to be said of a deletion. */
struct report {
    struct ps_buf names; /* JSON: keys that points were deleted of */
    struct ps_kv *gone;  /* keys that lose their latest value */
    size_t gone_count;
};

static enum ps_status tell_watchers(struct ps_actor *actor, struct ps_batch *batch,
                                    const struct report *report)
{
    if (!report->gone_count || !actor->watches)
        return PS_OK;
    return ps_batch_add_notice(batch,
                               ps_update_create(&actor->id, PS_UPDATE_TELEMETRY_DELETED,
                                                PS_SCOPE_CLIENT, actor->shard->now_ms, report->gone,
                                                report->gone_count),
                               false, true);
}

/* {"timeseries":["k1"],"startTs":..,"endTs":..}: rule-engine contract 1.3. */
static void emit_timeseries_deleted(struct ps_actor *actor, const struct ps_delete_telemetry *what,
                                    const struct ps_buf *keys)
{
    int64_t start_ms = what->all ? 0 : what->start_ms;
    int64_t end_ms = what->all ? actor->shard->now_ms : what->end_ms;
    const struct ps_kv kvs[] = {
        { .key = "timeseries",
          .key_len = 10,
          .value = { .type = PS_VALUE_JSON, .len = (uint32_t)keys->len, .text = keys->data } },
        { .key = "startTs", .key_len = 7, .value = { .type = PS_VALUE_LONG, .integer = start_ms } },
        { .key = "endTs", .key_len = 5, .value = { .type = PS_VALUE_LONG, .integer = end_ms } },
    };
    struct ps_msg_content content = {
        .type = PS_MSG_TIMESERIES_DELETED, .data_kind = PS_DATA_OBJECT, .kvs = kvs, .kv_count = 3
    };
    ps_actor_emit(actor, &content, 0);
}

static enum ps_status delete_target(struct ps_batch *batch, struct ps_telemetry_deletion *deletion,
                                    const struct ps_latest_outlook *target, int64_t now_ms,
                                    struct report *report)
{
    const struct ps_delete_telemetry *what = deletion->what;
    const char *key = deletion->keys[target->index];
    enum ps_batch_latest latest = fate_of_latest(what, target);
    if (latest == PS_BATCH_LATEST_GOES || latest == PS_BATCH_LATEST_REPLACED)
        report->gone[report->gone_count++] =
            (struct ps_kv){ .key = key, .key_len = (uint32_t)strlen(key) };
    deletion->replaced[target->index] = latest == PS_BATCH_LATEST_REPLACED;
    ps_buf_put_char(&report->names, report->names.len ? ',' : '[');
    ps_json_put_string(&report->names, key, strlen(key));
    enum ps_status st =
        ps_batch_add_delete(batch, target->series, what->all ? INT64_MIN : what->start_ms,
                            what->all ? INT64_MAX : what->end_ms, latest, now_ms);
    if (st != PS_OK || latest != PS_BATCH_LATEST_KEPT)
        return st;
    const struct ps_batch_point kept = { .series = target->series,
                                         .ts_ms = target->ts_ms,
                                         .value = target->value,
                                         .ttl_s = target->ttl_s };
    return ps_batch_keep_latest(batch, &kept);
}

static enum ps_status delete_targets(struct ps_actor *actor, struct ps_batch *batch,
                                     struct ps_telemetry_deletion *deletion,
                                     struct ps_latest_outlook *targets, size_t count)
{
    struct report report = { .gone = calloc(count, sizeof *report.gone) };
    if (!report.gone)
        return PS_ENOMEM;
    size_t deletes_before = batch->delete_count;
    enum ps_status st = PS_OK;
    qsort(targets, count, sizeof *targets, by_index); /* named in the order asked for */
    for (size_t i = 0; i < count && st == PS_OK; i++)
        st = delete_target(batch, deletion, &targets[i], actor->shard->now_ms, &report);
    ps_buf_put_char(&report.names, ']');
    if (st == PS_OK)
        st = tell_watchers(actor, batch, &report);
    if (st != PS_OK)
        batch->delete_count = deletes_before; /* all of it or nothing */
    else if (ps_buf_ok(&report.names))
        emit_timeseries_deleted(actor, deletion->what, &report.names);
    ps_buf_deinit(&report.names);
    free(report.gone);
    return st;
}

enum ps_status ps_actor_delete_telemetry(struct ps_actor *actor,
                                         struct ps_telemetry_deletion *deletion)
{
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    struct ps_latest_outlook *targets =
        batch ? calloc(deletion->key_count + 1, sizeof *targets) : NULL;
    if (!targets)
        return PS_ENOMEM;
    size_t count = find_targets(actor, deletion, targets);
    deletion->look_up = needs_outlook(deletion->what) && !look_ahead(actor->shard, targets, count);
    enum ps_status st = PS_OK;
    if (count && !deletion->look_up)
        st = delete_targets(actor, batch, deletion, targets, count);
    free(targets);
    return st;
}

void ps_actor_tell_latest(struct ps_actor *actor, const char *key)
{
    const struct ps_series *series = find_named(actor, key);
    struct ps_point point;
    if (!series || !actor->watches ||
        ps_series_latest(series, 0, INT64_MIN, &point) != PS_LATEST_KNOWN)
        return;
    struct ps_kv kv = { .key = key, .key_len = (uint32_t)strlen(key), .value = point.value };
    struct ps_update *update =
        ps_update_create(&actor->id, PS_UPDATE_TELEMETRY, PS_SCOPE_CLIENT, point.ts_ms, &kv, 1);
    if (update)
        ps_actor_tell(actor, update, false, true);
}
