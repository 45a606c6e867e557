#include "core/entity/ttl_owner.h"

#include <jansson.h>
#include <string.h>

enum { SECONDS_A_DAY = 86400 };

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

bool ps_ttl_profile_says(const char *data, size_t len, uint32_t *ttl_s)
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
    *says = ps_ttl_profile_says(data, len, ttl_s);
    ps_stmt_reset(stmt);
    return PS_OK;
}

/* ---- whose it is -------------------------------------------------------------------------------
 */

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

enum ps_status ps_ttl_find_owner(struct ps_db *db, const struct ps_entity_id *entity,
                                 struct ps_ttl_owner *out)
{
    struct ps_stmt *stmt;
    const char *sql = owner_sql(entity->type);
    *out = (struct ps_ttl_owner){ .tenant = PS_UUID_NULL, .profile = PS_UUID_NULL };
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
    struct ps_ttl_owner owner;
    uint32_t ttl_s = config_default_s;
    bool says = false;
    enum ps_status st = ps_ttl_find_owner(db, entity, &owner);
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
