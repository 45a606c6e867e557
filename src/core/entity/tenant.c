/* tenant: saving a new one also makes what every tenant has; deleting one empties every table. */
#include "core/entity/tenant.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/entity/contact_row.h"
#include "core/entity/default_chain.h"
#include "core/entity/device_profile.h"
#include "core/entity/list.h"
#include "core/entity/name.h"

#define TENANT_COLUMNS                                                                             \
    "t.id, t.created_ms, t.tenant_profile, p.name, t.title, t.region, t.country, t.state, t.city," \
    " t.address, t.address2, t.zip, t.phone, t.email, t.version, t.additional_info"
#define TENANT_FROM "tenant t JOIN tenant_profile p ON p.id = t.tenant_profile"

void ps_tenant_deinit(struct ps_tenant *tenant)
{
    free(tenant->profile_name);
    free(tenant->title);
    free(tenant->region);
    ps_contact_deinit(&tenant->contact);
    free(tenant->additional_info);
    *tenant = (struct ps_tenant){ 0 };
}

void ps_tenant_list_deinit(struct ps_tenant_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_tenant_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_tenant_list){ 0 };
}

void ps_tenant_profile_deinit(struct ps_tenant_profile *profile)
{
    free(profile->name);
    free(profile->description);
    free(profile->profile_data);
    *profile = (struct ps_tenant_profile){ 0 };
}

/* ---- read ---- */

static enum ps_status read_tenant(struct ps_row *row, void *out)
{
    struct ps_tenant tenant = { .id = ps_row_uuid(row) };
    tenant.created_ms = ps_row_int(row);
    tenant.profile = ps_row_uuid(row);
    tenant.profile_name = ps_row_text(row);
    tenant.title = ps_row_text(row);
    tenant.region = ps_row_text(row);
    tenant.contact = ps_contact_read(row);
    tenant.version = ps_row_int(row);
    tenant.additional_info = ps_row_text(row);
    if (row->failed) {
        ps_tenant_deinit(&tenant);
        return PS_ENOMEM;
    }
    *(struct ps_tenant *)out = tenant;
    return PS_OK;
}

enum ps_status ps_tenant_get(struct ps_db *db, const struct ps_uuid *id, struct ps_tenant *out)
{
    return ps_row_find_by_id(db, "SELECT " TENANT_COLUMNS " FROM " TENANT_FROM " WHERE t.id = ?",
                             id, read_tenant, out);
}

static void bind_nothing(struct ps_args *args, const void *filter)
{
    (void)args, (void)filter;
}

enum ps_status ps_tenant_list(struct ps_db *db, const struct ps_page_query *page,
                              struct ps_tenant_list *out)
{
    static const struct ps_list_sort sorts[] = {
        { "createdTime", "t.created_ms" },
        { "title", "t.title" },
        { "name", "t.title" },
        { "region", "t.region" },
        { "country", "t.country" },
        { "state", "t.state" },
        { "city", "t.city" },
        { "address", "t.address" },
        { "zip", "t.zip" },
        { "phone", "t.phone" },
        { "email", "t.email" },
        { NULL, NULL },
    };
    static const char *const search[] = { "t.title", NULL };
    struct ps_list_query query = { .columns = TENANT_COLUMNS,
                                   .from = TENANT_FROM,
                                   .where = "1 = 1",
                                   .id = "t.id",
                                   .sorts = sorts,
                                   .search = search,
                                   .bind = bind_nothing,
                                   .read = read_tenant,
                                   .item_size = sizeof(struct ps_tenant) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_list_run(db, &query, page, &result);
    struct ps_tenant_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_tenant_list_deinit(&list);
    else
        *out = list;
    return st;
}

static enum ps_status read_profile(struct ps_row *row, void *out)
{
    struct ps_tenant_profile profile = { .id = ps_row_uuid(row) };
    profile.created_ms = ps_row_int(row);
    profile.name = ps_row_text(row);
    profile.description = ps_row_text(row);
    profile.profile_data = ps_row_text(row);
    profile.is_default = ps_row_int(row) != 0;
    if (row->failed) {
        ps_tenant_profile_deinit(&profile);
        return PS_ENOMEM;
    }
    *(struct ps_tenant_profile *)out = profile;
    return PS_OK;
}

#define PROFILE_SELECT                                                                             \
    "SELECT id, created_ms, name, description, profile_data, is_default FROM tenant_profile"

enum ps_status ps_tenant_profile_get(struct ps_db *db, const struct ps_uuid *id,
                                     struct ps_tenant_profile *out)
{
    return ps_row_find_by_id(db, PROFILE_SELECT " WHERE id = ?", id, read_profile, out);
}

enum ps_status ps_tenant_profile_get_default(struct ps_db *db, struct ps_tenant_profile *out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, PROFILE_SELECT " WHERE is_default = 1", &args);
    return st == PS_OK ? ps_row_find(args.stmt, read_profile, out) : st;
}

/* ---- save ---- */

static enum ps_status choose_profile(struct ps_db *db, struct ps_tenant *tenant,
                                     struct ps_text *why)
{
    struct ps_tenant_profile profile;
    enum ps_status st = ps_uuid_is_null(&tenant->profile)
                            ? ps_tenant_profile_get_default(db, &profile)
                            : ps_tenant_profile_get(db, &tenant->profile, &profile);
    if (st == PS_ENOTFOUND) {
        ps_text_set(why, "Tenant is referencing non existing tenant profile!");
        return PS_EINVAL;
    }
    if (st != PS_OK)
        return st;
    tenant->profile = profile.id;
    free(tenant->profile_name);
    tenant->profile_name = profile.name;
    profile.name = NULL;
    ps_tenant_profile_deinit(&profile);
    return PS_OK;
}

static void bind_fields(struct ps_args *args, const struct ps_tenant *tenant)
{
    ps_args_uuid(args, &tenant->profile);
    ps_args_text(args, tenant->title);
    ps_args_text(args, tenant->region);
    ps_contact_bind(args, &tenant->contact);
    ps_args_text(args, tenant->additional_info);
}

static enum ps_status insert_default_profile(struct ps_db *db, const struct ps_uuid *tenant)
{
    char name[] = "default", description[] = "Default device profile";
    struct ps_device_profile profile = { .tenant = *tenant,
                                         .name = name,
                                         .description = description };
    enum ps_status st = ps_device_profile_save(db, &profile, NULL);
    struct ps_uuid id = profile.id;
    profile.name = profile.description = NULL;
    ps_device_profile_deinit(&profile);
    return st == PS_OK ? ps_device_profile_set_default(db, &id) : st;
}

static enum ps_status insert_tenant(struct ps_db *db, struct ps_tenant *tenant)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st = ps_args_prepare(
        db,
        "INSERT INTO tenant(tenant_profile, title, region, " PS_CONTACT_COLUMNS
        ", additional_info, id, created_ms, version) VALUES(?, ?, ?, " PS_CONTACT_VALUES
        ", ?, ?, ?, 1)",
        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, tenant);
    ps_args_uuid(&args, &id);
    ps_args_int(&args, now_ms);
    st = ps_stmt_run(args.stmt);
    if (st == PS_OK)
        st = insert_default_profile(db, &id);
    if (st == PS_OK)
        st = ps_default_chain_create(db, &id, "Root Rule Chain", true, NULL);
    if (st == PS_OK) {
        tenant->id = id;
        tenant->created_ms = now_ms;
        tenant->version = 1;
    }
    return st;
}

static enum ps_status update_tenant(struct ps_db *db, struct ps_tenant *tenant, struct ps_text *why)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db,
                        "UPDATE tenant SET tenant_profile = ?, title = ?, region = ?,"
                        " " PS_CONTACT_ASSIGN ", additional_info = ?, version = version + 1"
                        " WHERE id = ? AND (? = 0 OR version = ?) RETURNING created_ms, version",
                        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, tenant);
    ps_args_uuid(&args, &tenant->id);
    ps_args_int(&args, tenant->version);
    ps_args_int(&args, tenant->version);
    st = ps_row_saved(args.stmt, &tenant->created_ms, &tenant->version);
    if (st != PS_ENOTFOUND)
        return st;
    st = ps_row_exists(db, "SELECT 1 FROM tenant WHERE id = ?", &tenant->id, NULL);
    if (st != PS_OK)
        return st;
    ps_text_set(why, "Tenant was already changed by someone else");
    return PS_ECONFLICT;
}

enum ps_status ps_tenant_save(struct ps_db *db, struct ps_tenant *tenant, struct ps_text *why)
{
    enum ps_status st = ps_name_check(tenant->title, "Tenant", "title", why);
    if (st == PS_OK)
        st = choose_profile(db, tenant, why);
    if (st == PS_OK)
        st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_uuid_is_null(&tenant->id) ? insert_tenant(db, tenant) : update_tenant(db, tenant, why);
    return ps_row_finish(db, st);
}

/* ---- delete ---- */

#define OWNED(table) "(SELECT id FROM " table " WHERE tenant = ?)"

/* In an order that no reference minds. */
static const char *const tenant_deletes[] = {
    "DELETE FROM attribute WHERE entity IN " OWNED("device"),
    "DELETE FROM attribute WHERE entity IN " OWNED("customer"),
    "DELETE FROM attribute WHERE entity IN " OWNED("app_user"),
    "DELETE FROM attribute WHERE entity = ?",
    "DELETE FROM series WHERE entity IN " OWNED("device"),
    "DELETE FROM series WHERE entity IN " OWNED("customer"),
    "DELETE FROM series WHERE entity IN " OWNED("app_user"),
    "DELETE FROM series WHERE entity = ?",
    "DELETE FROM device WHERE tenant = ?",
    "DELETE FROM device_profile WHERE tenant = ?",
    "DELETE FROM rule_chain WHERE tenant = ?",
    "DELETE FROM app_user WHERE tenant = ?",
    "DELETE FROM customer WHERE tenant = ?",
    "DELETE FROM dead_letter WHERE tenant = ?",
};

enum ps_status ps_tenant_delete(struct ps_db *db, const struct ps_uuid *id)
{
    enum ps_status st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    for (size_t i = 0; i < sizeof tenant_deletes / sizeof *tenant_deletes && st == PS_OK; i++)
        st = ps_row_clear_by_id(db, tenant_deletes[i], id);
    if (st == PS_OK)
        st = ps_row_change_by_id(db, "DELETE FROM tenant WHERE id = ?", id);
    return ps_row_finish(db, st);
}
