#include "core/telemetry/load.h"

#include <stdlib.h>

#include "core/telemetry/journal.h"

struct slot {
    struct ps_series *series;
    struct ps_series_table *table;
};

struct loader {
    struct ps_series_table *tables;
    unsigned (*table_of)(const struct ps_uuid *entity, const void *arg);
    const void *arg;
    struct slot *by_id; /* index = series id */
    size_t by_id_cap;
    struct ps_load_result result;
};

static enum ps_status remember(struct loader *loader, uint32_t id, struct ps_series_table *table,
                               struct ps_series *series)
{
    if (id >= loader->by_id_cap) {
        size_t cap = loader->by_id_cap ? loader->by_id_cap : 1024;
        while (cap <= id)
            cap *= 2;
        struct slot *grown = realloc(loader->by_id, cap * sizeof *grown);
        if (!grown)
            return PS_ENOMEM;
        for (size_t i = loader->by_id_cap; i < cap; i++)
            grown[i] = (struct slot){ 0 };
        loader->by_id = grown;
        loader->by_id_cap = cap;
    }
    loader->by_id[id] = (struct slot){ .series = series, .table = table };
    if (id >= loader->result.next_series)
        loader->result.next_series = id + 1;
    loader->result.series++;
    return PS_OK;
}

static enum ps_status load_series_row(struct loader *loader, struct ps_stmt *stmt)
{
    uint32_t id = (uint32_t)ps_stmt_int(stmt, 0);
    struct ps_entity_id entity = { .type = (enum ps_entity_type)ps_stmt_int(stmt, 1),
                                   .id = ps_stmt_uuid(stmt, 2) };
    size_t len;
    const char *key = ps_stmt_bytes(stmt, 3, &len);
    if (!key || len > PS_SERIES_KEY_BYTES_MAX)
        return PS_OK;
    struct ps_series_table *table = &loader->tables[loader->table_of(&entity.id, loader->arg)];
    struct ps_entity_series *owner = ps_series_table_get(table, &entity);
    struct ps_series *series = owner ? ps_series_restore(table, owner, key, len, id) : NULL;
    return series ? remember(loader, id, table, series) : PS_ENOMEM;
}

static enum ps_status load_catalogue(struct loader *loader, struct ps_db *db)
{
    struct ps_stmt *stmt = NULL;
    enum ps_status st =
        ps_db_prepare(db, "SELECT id, entity_type, entity, key FROM series ORDER BY id", &stmt);
    bool row;
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row)
        st = load_series_row(loader, stmt);
    if (st != PS_OK && stmt)
        ps_stmt_reset(stmt);
    return st;
}

/* Series ids are never used again, also those whose entity is gone from the catalogue. */
static void apply(struct loader *loader, int64_t seq, const struct ps_journal_record *record)
{
    loader->result.points++;
    if (record->series >= loader->result.next_series)
        loader->result.next_series = record->series + 1;
    if (record->series >= loader->by_id_cap || !loader->by_id[record->series].series)
        return;
    struct slot *slot = &loader->by_id[record->series];
    ps_series_apply(slot->table, slot->series, seq, record->ts_ms, &record->value);
}

static void load_blob(struct loader *loader, int64_t seq, const char *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    while (st == PS_OK && (st = ps_journal_next(&decoder, &record)) == PS_OK)
        apply(loader, seq, &record);
    if (st != PS_ENOTFOUND)
        loader->result.damaged_rows++;
    loader->result.last_seq = seq;
}

static enum ps_status load_journal(struct loader *loader, struct ps_db *db)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "SELECT seq, points FROM journal ORDER BY seq", &stmt);
    bool row;
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        load_blob(loader, ps_stmt_int(stmt, 0), blob, len);
    }
    return st;
}

enum ps_status ps_telemetry_load(struct ps_db *db, struct ps_series_table *tables,
                                 unsigned (*table_of)(const struct ps_uuid *entity,
                                                      const void *arg),
                                 const void *arg, struct ps_load_result *out)
{
    struct loader loader = {
        .tables = tables, .table_of = table_of, .arg = arg, .result = { .next_series = 1 }
    };
    enum ps_status st = load_catalogue(&loader, db);
    if (st == PS_OK)
        st = load_journal(&loader, db);
    free(loader.by_id);
    if (st == PS_OK)
        *out = loader.result;
    return st;
}
