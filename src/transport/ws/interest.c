#include "transport/ws/interest.h"

#include <stdlib.h>
#include <string.h>

struct ps_ws_ask *ps_ws_ask_create(struct ps_ws_command *command,
                                   const struct ps_principal *principal)
{
    struct ps_ws_ask *ask = malloc(sizeof *ask);
    if (!ask)
        return NULL;
    *ask = (struct ps_ws_ask){
        .references = 1,
        .cmd_id = command->cmd_id,
        .type = command->type,
        .principal = *principal,
        .entity = command->entity,
        .keys = command->keys,
        .latest_only = command->latest_only,
        .all_scopes = command->all_scopes,
        .scope = command->scope,
        .windowed = command->windowed,
        .query = command->query,
    };
    command->keys = (struct ps_ws_keys){ 0 };
    return ask;
}

struct ps_ws_ask *ps_ws_ask_retain(struct ps_ws_ask *ask)
{
    ask->references++;
    return ask;
}

void ps_ws_ask_release(struct ps_ws_ask *ask)
{
    if (!ask || --ask->references)
        return;
    ps_ws_keys_deinit(&ask->keys);
    free(ask);
}

enum ps_ws_merge ps_ws_ask_merge(const struct ps_ws_ask *ask)
{
    bool newest = ask->latest_only || ask->type == PS_WS_ATTRIBUTES;
    return newest ? PS_WS_MERGE_NEWEST : PS_WS_MERGE_EVERY;
}

/* Order of a key that is not terminated against one that is; as strcmp. */
static int compare_key(const char *key, size_t len, const char *name)
{
    int order = strncmp(key, name, len);
    return order ? order : name[len] ? -1 : 0;
}

bool ps_ws_ask_has_key(const struct ps_ws_ask *ask, const char *key, size_t len)
{
    if (!ask->keys.count)
        return true;
    size_t low = 0, high = ask->keys.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(key, len, ask->keys.names[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* --- newest --- */

void ps_ws_newest_deinit(struct ps_ws_newest *newest)
{
    for (size_t i = 0; i < newest->count; i++)
        free(newest->entries[i].key);
    free(newest->entries);
    *newest = (struct ps_ws_newest){ 0 };
}

/* Where the key is, or where it belongs. */
static size_t newest_place(const struct ps_ws_newest *newest, unsigned scope, const char *key,
                           size_t len, bool *found)
{
    size_t low = 0, high = newest->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ps_ws_newest_entry *entry = &newest->entries[middle];
        int order = (scope > entry->scope) - (scope < entry->scope);
        if (order == 0)
            order = compare_key(key, len, entry->key);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct ps_ws_newest_entry *ps_ws_newest_find(const struct ps_ws_newest *newest, unsigned scope,
                                             const char *key, size_t len)
{
    bool found;
    size_t place = newest_place(newest, scope, key, len, &found);
    return found ? &newest->entries[place] : NULL;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 0x100000001B3ull; /* FNV-1a */
    return hash;
}

/* Tells a value that was written again from another one at the same ts. */
static uint64_t value_hash(const struct ps_value *value)
{
    uint64_t hash = hash_bytes(0xCBF29CE484222325ull, &value->type, sizeof value->type);
    switch (value->type) {
    case PS_VALUE_NULL:
        return hash;
    case PS_VALUE_BOOLEAN:
        return hash_bytes(hash, &value->boolean, sizeof value->boolean);
    case PS_VALUE_LONG:
        return hash_bytes(hash, &value->integer, sizeof value->integer);
    case PS_VALUE_DOUBLE:
        return hash_bytes(hash, &value->real, sizeof value->real);
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        return hash_bytes(hash, value->text, value->len);
    }
    return hash;
}

static bool newest_grow(struct ps_ws_newest *newest)
{
    size_t cap = newest->cap ? newest->cap * 2 : 4;
    struct ps_ws_newest_entry *entries = realloc(newest->entries, cap * sizeof *entries);
    if (!entries)
        return false;
    newest->entries = entries;
    newest->cap = cap;
    return true;
}

void ps_ws_newest_note(struct ps_ws_newest *newest, unsigned scope, const char *key, size_t len,
                       int64_t ts_ms, const struct ps_value *value)
{
    bool found;
    size_t place = newest_place(newest, scope, key, len, &found);
    if (found) {
        newest->entries[place].ts_ms = ts_ms;
        newest->entries[place].value_hash = value_hash(value);
        return;
    }
    if (newest->count >= PS_WS_NEWEST_KEYS_MAX)
        return;
    if (newest->count == newest->cap && !newest_grow(newest))
        return;
    char *copy = strndup(key, len);
    if (!copy)
        return;
    struct ps_ws_newest_entry *at = newest->entries + place;
    memmove(at + 1, at, (newest->count - place) * sizeof *at);
    *at = (struct ps_ws_newest_entry){
        .key = copy, .scope = scope, .ts_ms = ts_ms, .value_hash = value_hash(value)
    };
    newest->count++;
}

/* --- updates --- */

static bool is_about(const struct ps_ws_ask *ask, const struct ps_update *update)
{
    switch (update->kind) {
    case PS_UPDATE_TELEMETRY:
    case PS_UPDATE_TELEMETRY_DELETED:
        return ask->type == PS_WS_TIMESERIES;
    case PS_UPDATE_ATTRIBUTES:
    case PS_UPDATE_ATTRIBUTES_DELETED:
        return ask->type == PS_WS_ATTRIBUTES && (ask->all_scopes || ask->scope == update->scope);
    }
    return false;
}

size_t ps_ws_ask_pick(const struct ps_ws_ask *ask, const struct ps_update *update, uint32_t *picked)
{
    size_t count = 0;
    if (!is_about(ask, update))
        return 0;
    for (uint32_t i = 0; i < update->kv_count; i++)
        if (ps_ws_ask_has_key(ask, update->kvs[i].key, update->kvs[i].key_len))
            picked[count++] = i;
    return count;
}

struct ps_ws_row ps_ws_update_row(const struct ps_update *update, uint32_t index)
{
    bool deleted =
        update->kind == PS_UPDATE_TELEMETRY_DELETED || update->kind == PS_UPDATE_ATTRIBUTES_DELETED;
    bool attribute =
        update->kind == PS_UPDATE_ATTRIBUTES || update->kind == PS_UPDATE_ATTRIBUTES_DELETED;
    return (struct ps_ws_row){
        .kv = update->kvs[index],
        .ts_ms = deleted ? 0 : update->ts_ms,
        .scope = attribute ? update->scope : 0,
        .deleted = deleted,
    };
}

/* Is it what the snapshot told, or older? A window's snapshot tells more points than its newest, so
 * only the same one is known to be in it. */
static bool told_by_snapshot(const struct ps_ws_ask *ask, const struct ps_ws_newest_entry *told,
                             const struct ps_ws_row *row)
{
    if (row->ts_ms == told->ts_ms)
        return value_hash(&row->kv.value) == told->value_hash;
    return row->ts_ms < told->ts_ms && !ask->windowed;
}

bool ps_ws_interest_admit(struct ps_ws_interest *interest, const struct ps_ws_row *row)
{
    const struct ps_ws_ask *ask = interest->ask;
    if (interest->settled && !ask->latest_only)
        return true;
    struct ps_ws_newest_entry *told =
        ps_ws_newest_find(&interest->newest, row->scope, row->kv.key, row->kv.key_len);
    if (row->deleted) {
        if (told)
            told->ts_ms = INT64_MIN; /* the next value is news, however old */
        return true;
    }
    if (told && !interest->settled && told_by_snapshot(ask, told, row))
        return false;
    if (!ask->latest_only)
        return true;
    if (told && row->ts_ms < told->ts_ms)
        return false;
    ps_ws_newest_note(&interest->newest, row->scope, row->kv.key, row->kv.key_len, row->ts_ms,
                      &row->kv.value);
    return true;
}

static size_t admit_rows(struct ps_ws_interest *interest, const struct ps_ws_delta *buffered,
                         struct ps_ws_row *kept)
{
    size_t count = 0;
    for (size_t i = 0; i < buffered->row_count; i++)
        if (ps_ws_interest_admit(interest, &buffered->rows[i]))
            kept[count++] = buffered->rows[i];
    return count;
}

enum ps_status ps_ws_interest_settle(struct ps_ws_interest *interest, struct ps_ws_newest *newest,
                                     const struct ps_ws_delta *buffered, struct ps_ws_delta **out)
{
    struct ps_ws_delta *rest = NULL;
    ps_ws_newest_deinit(&interest->newest);
    interest->newest = *newest;
    *newest = (struct ps_ws_newest){ 0 };
    if (buffered && buffered->row_count) {
        struct ps_ws_row *kept = malloc(buffered->row_count * sizeof *kept);
        if (!kept)
            return PS_ENOMEM;
        size_t count = admit_rows(interest, buffered, kept);
        enum ps_status st = count ? ps_ws_delta_create(kept, count, &rest) : PS_OK;
        free(kept);
        if (st != PS_OK)
            return st;
    }
    interest->settled = true;
    if (!interest->ask->latest_only)
        ps_ws_newest_deinit(&interest->newest);
    *out = rest;
    return PS_OK;
}
