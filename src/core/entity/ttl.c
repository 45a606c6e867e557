#include "core/entity/ttl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_FIRST = 1024, SAID_FIRST = 16, SECONDS_A_DAY = 86400 };

/* ---- what a profile says -----------------------------------------------------------------------
 */

#define MEMBER "defaultStorageTtlDays"

/* Nearly every profile says 0, and every query asks: that is seen without parsing. False: the
 * member is there, and may be something else. */
static bool says_nothing(const char *data, size_t len)
{
    static const char name[] = "\"" MEMBER "\"";
    const size_t name_len = sizeof name - 1;
    const char *end = data + len, *at = data;
    if (memchr(data, '\\', len))
        return false; /* a name may be written in other ways */
    while ((at = memmem(at, (size_t)(end - at), name, name_len))) {
        at += name_len;
        if (end - at < 3 || memcmp(at, ":0", 2) != 0 || (at[2] != ',' && at[2] != '}'))
            return false;
    }
    return true;
}

/* False: it does not say. What cannot be read does not say either. */
static bool profile_says(const char *data, size_t len, uint32_t *ttl_s)
{
    if (!data || says_nothing(data, len))
        return false;
    json_t *root = json_loadb(data, len, 0, NULL);
    const json_t *days = json_object_get(json_object_get(root, "configuration"), MEMBER);
    json_int_t count = json_is_integer(days) ? json_integer_value(days) : 0;
    json_decref(root);
    if (count <= 0)
        return false;
    *ttl_s = count > PS_TTL_DAYS_MAX ? 0 : (uint32_t)count * SECONDS_A_DAY;
    return true;
}

static enum ps_status ask_profile(struct ps_db *db, const char *sql, const struct ps_uuid *id,
                                  bool *says, uint32_t *ttl_s)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    bool row;
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, id);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st;
    size_t len;
    const char *data = ps_stmt_bytes(stmt, 0, &len);
    *says = profile_says(data, len, ttl_s);
    ps_stmt_reset(stmt);
    return PS_OK;
}

/* ---- whose it is -------------------------------------------------------------------------------
 */

struct owner {
    struct ps_uuid tenant, profile; /* null: none */
};

/* NULL for a kind of entity that has no table. */
static const char *owner_sql(enum ps_entity_type type)
{
    switch (type) {
    case PS_ENTITY_DEVICE:
        return "SELECT tenant, profile FROM device WHERE id = ?";
    case PS_ENTITY_CUSTOMER:
        return "SELECT tenant, NULL FROM customer WHERE id = ?";
    case PS_ENTITY_USER:
        return "SELECT tenant, NULL FROM app_user WHERE id = ?";
    case PS_ENTITY_DEVICE_PROFILE:
        return "SELECT tenant, NULL FROM device_profile WHERE id = ?";
    case PS_ENTITY_TENANT:
        return "SELECT id, NULL FROM tenant WHERE id = ?";
    default:
        return NULL;
    }
}

static enum ps_status find_owner(struct ps_db *db, const struct ps_entity_id *entity,
                                 struct owner *out)
{
    struct ps_stmt *stmt;
    const char *sql = owner_sql(entity->type);
    *out = (struct owner){ .tenant = PS_UUID_NULL, .profile = PS_UUID_NULL };
    if (!sql)
        return PS_OK;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    bool row;
    if (st != PS_OK)
        return st;
    ps_stmt_bind_uuid(stmt, 1, &entity->id);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st;
    out->tenant = ps_stmt_uuid(stmt, 0);
    out->profile = ps_stmt_uuid(stmt, 1);
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_ttl_default(struct ps_db *db, const struct ps_entity_id *entity,
                              uint32_t config_default_s, uint32_t *out)
{
    struct owner owner;
    uint32_t ttl_s = config_default_s;
    bool says = false;
    enum ps_status st = find_owner(db, entity, &owner);
    if (st == PS_OK && !ps_uuid_is_null(&owner.profile))
        st = ask_profile(db, "SELECT profile_data FROM device_profile WHERE id = ?", &owner.profile,
                         &says, &ttl_s);
    if (st == PS_OK && !says && !ps_uuid_is_null(&owner.tenant))
        st = ask_profile(db,
                         "SELECT p.profile_data FROM tenant t JOIN tenant_profile p"
                         " ON p.id = t.tenant_profile WHERE t.id = ?",
                         &owner.tenant, &says, &ttl_s);
    if (st == PS_OK)
        *out = ttl_s;
    return st;
}

/* ---- all of them -------------------------------------------------------------------------------
 */

/* Device profiles, or tenants, that say something; by id. There are few. */
struct said {
    struct said_item {
        struct ps_uuid id;
        uint32_t ttl_s;
    } * items;
    size_t count, cap;
};

static enum ps_status load_said(struct ps_db *db, const char *sql, struct said *said)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    bool row;
    if (st != PS_OK)
        return st;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *data = ps_stmt_bytes(stmt, 1, &len);
        struct said_item item = { .id = ps_stmt_uuid(stmt, 0) };
        if (!profile_says(data, len, &item.ttl_s))
            continue;
        if (said->count == said->cap) {
            size_t cap = said->cap ? said->cap * 2 : SAID_FIRST;
            struct said_item *grown = realloc(said->items, cap * sizeof *grown);
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
    return memcmp(key, &((const struct said_item *)item)->id, sizeof(struct ps_uuid));
}

static bool look_up(const struct said *said, const struct ps_uuid *id, uint32_t *ttl_s)
{
    const struct said_item *found =
        said->count ? bsearch(id, said->items, said->count, sizeof *said->items, by_id) : NULL;
    if (found)
        *ttl_s = found->ttl_s;
    return found != NULL;
}

struct loader {
    struct ps_db *db;
    struct ps_ttl_table *table;
    uint32_t config_default_s;
    struct said profiles, tenants;
    struct ps_entity_id entity; /* series of an entity are mostly neighbours */
    uint32_t entity_ttl_s;
};

static enum ps_status ttl_of(struct loader *loader, const struct ps_entity_id *entity)
{
    struct owner owner;
    if (entity->type == loader->entity.type && ps_uuid_equal(&entity->id, &loader->entity.id))
        return PS_OK;
    enum ps_status st = find_owner(loader->db, entity, &owner);
    if (st != PS_OK)
        return st;
    loader->entity = *entity;
    loader->entity_ttl_s = loader->config_default_s;
    if (!look_up(&loader->profiles, &owner.profile, &loader->entity_ttl_s))
        look_up(&loader->tenants, &owner.tenant, &loader->entity_ttl_s);
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

static enum ps_status load_series(struct loader *loader)
{
    struct ps_stmt *stmt;
    bool all_alike = !loader->profiles.count && !loader->tenants.count;
    enum ps_status st =
        ps_db_prepare(loader->db,
                      all_alike ? "SELECT id FROM series ORDER BY id"
                                : "SELECT id, entity_type, entity FROM series ORDER BY id",
                      &stmt);
    bool row;
    if (st != PS_OK)
        return st;
    loader->entity_ttl_s = loader->config_default_s;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        if (!all_alike) {
            struct ps_entity_id entity = { .type = (enum ps_entity_type)ps_stmt_int(stmt, 1),
                                           .id = ps_stmt_uuid(stmt, 2) };
            st = ttl_of(loader, &entity);
        }
        if (st == PS_OK)
            st = add_entry(loader->table, (uint32_t)ps_stmt_int(stmt, 0), loader->entity_ttl_s);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

enum ps_status ps_ttl_table_load(struct ps_db *db, uint32_t config_default_s,
                                 struct ps_ttl_table *table)
{
    struct loader loader = { .db = db, .table = table, .config_default_s = config_default_s };
    table->count = table->at = 0;
    table->least_s = table->most_s = 0;
    enum ps_status st =
        load_said(db, "SELECT id, profile_data FROM device_profile ORDER BY id", &loader.profiles);
    if (st == PS_OK)
        st = load_said(db,
                       "SELECT t.id, p.profile_data FROM tenant t JOIN tenant_profile p"
                       " ON p.id = t.tenant_profile ORDER BY t.id",
                       &loader.tenants);
    if (st == PS_OK)
        st = load_series(&loader);
    free(loader.profiles.items);
    free(loader.tenants.items);
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
    *table = (struct ps_ttl_table){ 0 };
}
