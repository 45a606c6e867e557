#include "core/telemetry/load.h"

#include <stdlib.h>

#include "core/prefetch.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/manifest.h"

enum { SLOTS_FIRST = 1024, SPARE_IDS = 65536, WINDOW = 64, AHEAD = 16 };

struct slot {
    struct ps_series *series;
    struct ps_series_table *table;
};

struct loader {
    struct ps_series_table *tables;
    unsigned (*table_of)(const struct ps_uuid *entity, const void *arg);
    const void *arg;
    bool sealed; /* there are runs */
    int64_t sealed_max_ms;
    /* Rows come by ascending id. Neighbours mostly belong to one entity. */
    struct slot *slots;
    size_t slot_count, slot_cap;
    struct ps_entity_series *owner;
    struct ps_series_table *owner_table;
    /* id -> slot + 1, for ids in proportion to the rows; others are searched for. */
    uint32_t *by_id;
    size_t by_id_count;
    struct ps_tombstone_list tombstones; /* unsealed ones, by (seq, idx) */
    size_t next_tombstone;
    struct ps_load_result result;
};

/* ---- the catalogue ---- */

static enum ps_status remember(struct loader *loader, struct ps_series_table *table,
                               struct ps_series *series)
{
    if (loader->slot_count == loader->slot_cap) {
        size_t cap = loader->slot_cap ? loader->slot_cap * 2 : SLOTS_FIRST;
        struct slot *grown = realloc(loader->slots, cap * sizeof *grown);
        if (!grown)
            return PS_ENOMEM;
        loader->slots = grown;
        loader->slot_cap = cap;
    }
    loader->slots[loader->slot_count++] = (struct slot){ .series = series, .table = table };
    loader->result.series++;
    return PS_OK;
}

/* The entity's place; the tables start out as for `sealed_max_ms`. */
static struct ps_entity_series *owner_of(struct loader *loader, const struct ps_entity_id *entity)
{
    if (loader->owner && ps_uuid_equal(&loader->owner->entity.id, &entity->id))
        return loader->owner;
    loader->owner_table = &loader->tables[loader->table_of(&entity->id, loader->arg)];
    loader->owner_table->sealed_max_ms = loader->sealed_max_ms;
    loader->owner = ps_series_table_restore(loader->owner_table, entity);
    return loader->owner;
}

static bool read_series_row(const struct loader *loader, struct ps_stmt *stmt,
                            struct ps_series_row *row)
{
    int64_t id = ps_stmt_int(stmt, 0);
    row->key = ps_stmt_bytes(stmt, 3, &row->key_len);
    if (id < 1 || id > PS_SERIES_ID_MAX || !row->key || row->key_len > PS_SERIES_KEY_BYTES_MAX)
        return false;
    row->id = (uint32_t)id;
    row->pinned = !ps_stmt_is_null(stmt, 4);
    row->sealed = loader->sealed;
    return true;
}

static enum ps_status load_series_row(struct loader *loader, struct ps_stmt *stmt)
{
    struct ps_series_row row;
    if (!read_series_row(loader, stmt, &row)) {
        loader->result.damaged_series++;
        return PS_OK;
    }
    struct ps_entity_id entity = { .type = (enum ps_entity_type)ps_stmt_int(stmt, 1),
                                   .id = ps_stmt_uuid(stmt, 2) };
    struct ps_entity_series *owner = owner_of(loader, &entity);
    struct ps_series *series = owner ? ps_series_restore(loader->owner_table, owner, &row) : NULL;
    if (!series)
        return PS_ENOMEM;
    if (row.id >= loader->result.next_series)
        loader->result.next_series = row.id + 1;
    return remember(loader, loader->owner_table, series);
}

static enum ps_status load_catalogue(struct loader *loader, struct ps_db *db)
{
    struct ps_stmt *stmt = NULL;
    enum ps_status st = ps_db_prepare(
        db, "SELECT id, entity_type, entity, key, latest_floor_ms FROM series ORDER BY id", &stmt);
    bool row;
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row)
        st = load_series_row(loader, stmt);
    if (st != PS_OK && stmt)
        ps_stmt_reset(stmt);
    return st;
}

/* Ids that are few and far apart (a damaged row may say anything) are not worth a table. */
static enum ps_status index_catalogue(struct loader *loader)
{
    size_t count = loader->slot_count;
    if (!count)
        return PS_OK;
    loader->by_id_count = (size_t)loader->slots[count - 1].series->id + 1;
    if (loader->by_id_count > count * 8 + SPARE_IDS)
        loader->by_id_count = count * 8 + SPARE_IDS;
    loader->by_id = calloc(loader->by_id_count, sizeof *loader->by_id);
    if (!loader->by_id)
        return PS_ENOMEM;
    for (size_t i = 0; i < count && loader->slots[i].series->id < loader->by_id_count; i++)
        loader->by_id[loader->slots[i].series->id] = (uint32_t)i + 1;
    return PS_OK;
}

static struct slot *find_slot(const struct loader *loader, uint32_t id)
{
    if (id < loader->by_id_count)
        return loader->by_id[id] ? &loader->slots[loader->by_id[id] - 1] : NULL;
    size_t low = 0, high = loader->slot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (loader->slots[middle].series->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < loader->slot_count && loader->slots[low].series->id == id ? &loader->slots[low]
                                                                           : NULL;
}

/* ---- the journal ---- */

/* Deletions that came before record `index` of row `seq`. After a start the latest value is the
 * newest point that is left, unless the series is pinned: then it is not judged here at all. */
static void apply_tombstones(struct loader *loader, int64_t seq, int64_t index)
{
    for (; loader->next_tombstone < loader->tombstones.count; loader->next_tombstone++) {
        const struct ps_tombstone *next = &loader->tombstones.items[loader->next_tombstone];
        if (next->seq > seq || (next->seq == seq && next->idx > index))
            return;
        struct slot *slot = find_slot(loader, next->series);
        struct ps_series_deletion deletion = { .start_ms = next->start_ms,
                                               .end_ms = next->end_ms,
                                               .delete_latest = true,
                                               .rewrite_latest = true };
        if (slot)
            ps_series_delete_range(slot->table, slot->series, &deletion);
    }
}

/* A few records at a time: each touches a series and a head anywhere in memory, which are asked
 * for before they are needed. */
struct window {
    size_t count;
    struct ps_journal_record records[WINDOW];
    struct slot *slots[WINDOW];
};

static void apply_one(struct loader *loader, int64_t seq, const struct ps_journal_record *record,
                      const struct slot *slot)
{
    if (loader->next_tombstone < loader->tombstones.count)
        apply_tombstones(loader, seq, record->index);
    if (slot)
        ps_series_apply(slot->table, slot->series, seq, record->ts_ms, &record->value,
                        record->ttl_s);
}

static void apply(struct loader *loader, int64_t seq, struct window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        window->slots[i] = find_slot(loader, window->records[i].series);
        if (window->slots[i])
            ps_prefetch(window->slots[i]->series, 2 * PS_CACHE_LINE);
    }
    for (size_t i = 0; i < window->count + AHEAD; i++) {
        if (i < window->count && window->slots[i])
            ps_series_fetch_head(window->slots[i]->series);
        if (i >= AHEAD)
            apply_one(loader, seq, &window->records[i - AHEAD], window->slots[i - AHEAD]);
    }
    loader->result.points += window->count;
    window->count = 0;
}

/* Series ids are never used again, also those whose entity is gone from the catalogue. */
static void note_id(struct loader *loader, uint32_t series)
{
    if (series >= loader->result.next_series && series <= PS_SERIES_ID_MAX)
        loader->result.next_series = series + 1;
    if (series < loader->by_id_count)
        __builtin_prefetch(&loader->by_id[series]);
}

static void load_blob(struct loader *loader, int64_t seq, const char *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct window window = { .count = 0 };
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    while (st == PS_OK &&
           (st = ps_journal_next(&decoder, &window.records[window.count])) == PS_OK) {
        note_id(loader, window.records[window.count++].series);
        if (window.count == WINDOW)
            apply(loader, seq, &window);
    }
    apply(loader, seq, &window);
    if (st != PS_ENOTFOUND)
        loader->result.damaged_rows++;
    loader->result.last_seq = seq;
}

static enum ps_status load_journal(struct loader *loader, struct ps_db *db)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "SELECT seq, points FROM journal WHERE seq > ? ORDER BY seq", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, loader->result.sealed_seq);
    bool row;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        load_blob(loader, ps_stmt_int(stmt, 0), blob, len);
    }
    apply_tombstones(loader, INT64_MAX, INT64_MAX);
    return st;
}

/* ---- what is sealed ---- */

static enum ps_status load_tombstones(struct loader *loader, struct ps_db *db)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "SELECT series, start_ms, end_ms, seq, idx FROM tombstone"
                                      " WHERE seq > ? ORDER BY seq, idx, id",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, loader->result.sealed_seq);
    bool row;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_tombstone tombstone = { .series = (uint32_t)ps_stmt_int(stmt, 0),
                                          .start_ms = ps_stmt_int(stmt, 1),
                                          .end_ms = ps_stmt_int(stmt, 2),
                                          .seq = ps_stmt_int(stmt, 3),
                                          .idx = ps_stmt_int(stmt, 4) };
        st = ps_tombstone_list_add(&loader->tombstones, &tombstone);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

static enum ps_status load_state(struct loader *loader, struct ps_db *db)
{
    struct ps_load_result *result = &loader->result;
    int64_t next_series;
    enum ps_status st = ps_manifest_state(db, PS_STATE_SEALED_SEQ, 0, &result->sealed_seq);
    if (st == PS_OK)
        st = ps_manifest_state(db, PS_STATE_NEXT_SERIES, 1, &next_series);
    if (st != PS_OK)
        return st;
    if (next_series > 1 && next_series <= PS_SERIES_ID_MAX)
        result->next_series = (uint32_t)next_series;
    result->last_seq = result->sealed_seq;
    struct ps_stmt *stmt;
    bool row;
    st = ps_db_prepare(
        db, "SELECT count(*), max(max_ms) FROM telemetry_run WHERE retired_ms IS NULL", &stmt);
    if (st != PS_OK || (st = ps_stmt_step(stmt, &row)) != PS_OK)
        return st;
    loader->sealed = row && ps_stmt_int(stmt, 0) > 0;
    loader->sealed_max_ms = loader->sealed ? ps_stmt_int(stmt, 1) : INT64_MIN;
    ps_stmt_reset(stmt);
    return load_tombstones(loader, db);
}

enum ps_status ps_telemetry_load(struct ps_db *db, struct ps_series_table *tables,
                                 unsigned (*table_of)(const struct ps_uuid *entity,
                                                      const void *arg),
                                 const void *arg, struct ps_load_result *out)
{
    struct loader loader = {
        .tables = tables, .table_of = table_of, .arg = arg, .result = { .next_series = 1 }
    };
    enum ps_status st = load_state(&loader, db);
    if (st == PS_OK)
        st = load_catalogue(&loader, db);
    if (st == PS_OK)
        st = index_catalogue(&loader);
    if (st == PS_OK)
        st = load_journal(&loader, db);
    free(loader.slots);
    free(loader.by_id);
    ps_tombstone_list_deinit(&loader.tombstones);
    if (st == PS_OK)
        *out = loader.result;
    return st;
}
