/* ttl_table: the default of every series, and when it has to be read again. */
#include "core/entity/ttl_owner.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_FIRST = 1024, SAID_FIRST = 16 };

/* ---- reading -----------------------------------------------------------------------------------
 */

static enum ps_status load_said(struct ps_db *db, const char *sql, struct ps_ttl_said *said)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    bool row;
    if (st != PS_OK)
        return st;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *data = ps_stmt_bytes(stmt, 1, &len);
        struct ps_ttl_said_item item = { .id = ps_stmt_uuid(stmt, 0) };
        if (!ps_ttl_profile_says(data, len, &item.ttl_s))
            continue;
        if (said->count == said->cap) {
            size_t cap = said->cap ? said->cap * 2 : SAID_FIRST;
            struct ps_ttl_said_item *grown = realloc(said->items, cap * sizeof *grown);
            if (!grown) {
                ps_stmt_reset(stmt);
                return PS_ENOMEM;
            }
            said->items = grown;
            said->cap = cap;
        }
        said->items[said->count++] = item;
    }
    return st;
}

static int by_id(const void *key, const void *item)
{
    return memcmp(key, &((const struct ps_ttl_said_item *)item)->id, sizeof(struct ps_uuid));
}

static bool look_up(const struct ps_ttl_said *said, const struct ps_uuid *id, uint32_t *ttl_s)
{
    const struct ps_ttl_said_item *found =
        said->count ? bsearch(id, said->items, said->count, sizeof *said->items, by_id) : NULL;
    if (found)
        *ttl_s = found->ttl_s;
    return found != NULL;
}

struct loader {
    struct ps_db *db;
    struct ps_ttl_table *table;
    struct ps_entity_id entity; /* series of an entity are mostly neighbours */
    uint32_t entity_ttl_s;
};

static enum ps_status ttl_of(struct loader *loader, const struct ps_entity_id *entity)
{
    struct ps_ttl_owner owner;
    if (entity->type == loader->entity.type && ps_uuid_equal(&entity->id, &loader->entity.id))
        return PS_OK;
    enum ps_status st = ps_ttl_find_owner(loader->db, entity, &owner);
    if (st != PS_OK)
        return st;
    loader->entity = *entity;
    loader->entity_ttl_s = loader->table->config_default_s;
    if (!look_up(&loader->table->profiles, &owner.profile, &loader->entity_ttl_s))
        look_up(&loader->table->tenants, &owner.tenant, &loader->entity_ttl_s);
    return PS_OK;
}

static enum ps_status add_entry(struct ps_ttl_table *table, uint32_t series, uint32_t ttl_s)
{
    if (table->count == table->cap) {
        size_t cap = table->cap ? table->cap * 2 : ENTRIES_FIRST;
        struct ps_ttl_entry *grown = realloc(table->entries, cap * sizeof *grown);
        if (!grown)
            return PS_ENOMEM;
        table->entries = grown;
        table->cap = cap;
    }
    if (ttl_s && (!table->least_s || ttl_s < table->least_s))
        table->least_s = ttl_s;
    if (!table->count || (table->most_s && (!ttl_s || ttl_s > table->most_s)))
        table->most_s = ttl_s;
    table->entries[table->count++] = (struct ps_ttl_entry){ .series = series, .ttl_s = ttl_s };
    return PS_OK;
}

/* No profile says anything: whose a series is does not matter. */
static bool all_alike(const struct ps_ttl_table *table)
{
    return !table->profiles.count && !table->tenants.count;
}

/* Those after `after`. */
static enum ps_status load_series(struct ps_db *db, struct ps_ttl_table *table, int64_t after)
{
    struct loader loader = { .db = db, .table = table, .entity_ttl_s = table->config_default_s };
    struct ps_stmt *stmt;
    bool alike = all_alike(table), row;
    enum ps_status st =
        ps_db_prepare(db,
                      alike ? "SELECT id FROM series WHERE id > ? ORDER BY id"
                            : "SELECT id, entity_type, entity FROM series WHERE id > ? ORDER BY id",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, after);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        if (!alike) {
            struct ps_entity_id entity = { .type = (enum ps_entity_type)ps_stmt_int(stmt, 1),
                                           .id = ps_stmt_uuid(stmt, 2) };
            st = ttl_of(&loader, &entity);
        }
        if (st == PS_OK)
            st = add_entry(table, (uint32_t)ps_stmt_int(stmt, 0), loader.entity_ttl_s);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

/* ---- what has changed --------------------------------------------------------------------------
 */

static enum ps_status number(struct ps_db *db, const char *sql, int64_t *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    *out = row ? ps_stmt_int(stmt, 0) : 0;
    if (row)
        ps_stmt_reset(stmt);
    return PS_OK;
}

/* What profiles and tenants say now, into `table`, which has none of it. */
static enum ps_status load_all_said(struct ps_db *db, struct ps_ttl_table *table)
{
    enum ps_status st =
        load_said(db, "SELECT id, profile_data FROM device_profile ORDER BY id", &table->profiles);
    return st != PS_OK ? st
                       : load_said(db,
                                   "SELECT t.id, p.profile_data FROM tenant t"
                                   " JOIN tenant_profile p ON p.id = t.tenant_profile"
                                   " ORDER BY t.id",
                                   &table->tenants);
}

enum ps_status ps_ttl_table_load(struct ps_db *db, uint32_t config_default_s,
                                 struct ps_ttl_table *table)
{
    ps_ttl_table_deinit(table);
    table->config_default_s = config_default_s;
    enum ps_status st = number(db, "PRAGMA data_version", &table->data_version);
    if (st == PS_OK)
        st = load_all_said(db, table);
    if (st == PS_OK)
        st = load_series(db, table, INT64_MIN);
    table->loaded = st == PS_OK;
    if (st != PS_OK)
        ps_ttl_table_deinit(table);
    return st;
}

static enum ps_status does_anybody_say(struct ps_db *db, bool *out)
{
    struct ps_ttl_table now = { 0 };
    enum ps_status st = load_all_said(db, &now);
    *out = !all_alike(&now);
    ps_ttl_table_deinit(&now);
    return st;
}

/* Nobody says anything, as before. Series that are new are added. *whole: that were all, none of
 * the others is gone (ids are not given twice; nearly all are greater than those before them). */
static enum ps_status add_new(struct ps_db *db, struct ps_ttl_table *table, bool *whole)
{
    int64_t count = 0;
    int64_t last = table->count ? table->entries[table->count - 1].series : INT64_MIN;
    enum ps_status st = load_series(db, table, last);
    if (st == PS_OK)
        st = number(db, "SELECT count(*) FROM series", &count);
    *whole = st == PS_OK && count == (int64_t)table->count;
    return st;
}

/* PS_ENOTFOUND: it cannot be told, everything must be read. */
static enum ps_status catch_up(struct ps_db *db, struct ps_ttl_table *table)
{
    int64_t version;
    bool anybody = false, whole = false;
    enum ps_status st = number(db, "PRAGMA data_version", &version);
    if (st != PS_OK || version == table->data_version)
        return st;
    if (!all_alike(table))
        return PS_ENOTFOUND;
    st = does_anybody_say(db, &anybody);
    if (st == PS_OK && !anybody)
        st = add_new(db, table, &whole);
    if (st != PS_OK || !whole)
        return st == PS_OK ? PS_ENOTFOUND : st;
    table->data_version = version;
    return PS_OK;
}

enum ps_status ps_ttl_table_refresh(struct ps_db *db, uint32_t config_default_s,
                                    struct ps_ttl_table *table)
{
    enum ps_status st = table->loaded && table->config_default_s == config_default_s
                            ? catch_up(db, table)
                            : PS_ENOTFOUND;
    if (st == PS_ENOTFOUND)
        return ps_ttl_table_load(db, config_default_s, table);
    if (st != PS_OK)
        ps_ttl_table_deinit(table);
    return st;
}

bool ps_ttl_table_find(struct ps_ttl_table *table, uint32_t series, uint32_t *ttl_s)
{
    /* the one found last or its neighbour, mostly */
    for (size_t i = table->at; i < table->count && i < table->at + 2; i++) {
        if (table->entries[i].series == series) {
            table->at = i;
            *ttl_s = table->entries[i].ttl_s;
            return true;
        }
    }
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->entries[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == table->count || table->entries[low].series != series)
        return false;
    table->at = low;
    *ttl_s = table->entries[low].ttl_s;
    return true;
}

void ps_ttl_table_deinit(struct ps_ttl_table *table)
{
    free(table->entries);
    free(table->profiles.items);
    free(table->tenants.items);
    *table = (struct ps_ttl_table){ 0 };
}
