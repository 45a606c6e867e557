#include "core/entity/device_profile.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/entity/list.h"
#include "core/entity/name.h"

#define COLUMNS                                                                                    \
    "id, created_ms, tenant, name, description, image, transport_type, provision_type,"            \
    " provision_device_key, default_rule_chain, default_dashboard, default_queue_name,"            \
    " external_id, is_default, profile_data, version"
#define SELECT "SELECT " COLUMNS " FROM device_profile"

static const char *const transport_names[] = {
    [PS_TRANSPORT_DEFAULT] = "DEFAULT",
    [PS_TRANSPORT_MQTT] = "MQTT",
    [PS_TRANSPORT_COAP] = "COAP",
};

const char *ps_transport_type_name(enum ps_transport_type type)
{
    return transport_names[type];
}

enum ps_status ps_transport_type_parse(const char *text, size_t len, enum ps_transport_type *out)
{
    for (size_t i = 0; i < sizeof transport_names / sizeof *transport_names; i++) {
        if (strlen(transport_names[i]) == len && memcmp(transport_names[i], text, len) == 0) {
            *out = (enum ps_transport_type)i;
            return PS_OK;
        }
    }
    return PS_EINVAL;
}

void ps_device_profile_deinit(struct ps_device_profile *profile)
{
    free(profile->name);
    free(profile->description);
    free(profile->image);
    free(profile->provision_type);
    free(profile->provision_device_key);
    free(profile->default_queue_name);
    free(profile->external_id);
    free(profile->profile_data);
    *profile = (struct ps_device_profile){ 0 };
}

void ps_device_profile_list_deinit(struct ps_device_profile_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_device_profile_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_device_profile_list){ 0 };
}

/* ---- read ---- */

static enum ps_status read_profile(struct ps_row *row, void *out)
{
    struct ps_device_profile profile = { .id = ps_row_uuid(row) };
    profile.created_ms = ps_row_int(row);
    profile.tenant = ps_row_uuid(row);
    profile.name = ps_row_text(row);
    profile.description = ps_row_text(row);
    profile.image = ps_row_text(row);
    profile.transport_type = (enum ps_transport_type)ps_row_int(row);
    profile.provision_type = ps_row_text(row);
    profile.provision_device_key = ps_row_text(row);
    profile.default_rule_chain = ps_row_uuid(row);
    profile.default_dashboard = ps_row_uuid(row);
    profile.default_queue_name = ps_row_text(row);
    profile.external_id = ps_row_text(row);
    profile.is_default = ps_row_int(row) != 0;
    profile.profile_data = ps_row_text(row);
    profile.version = ps_row_int(row);
    if (row->failed) {
        ps_device_profile_deinit(&profile);
        return PS_ENOMEM;
    }
    *(struct ps_device_profile *)out = profile;
    return PS_OK;
}

enum ps_status ps_device_profile_get(struct ps_db *db, const struct ps_uuid *id,
                                     struct ps_device_profile *out)
{
    return ps_row_find_by_id(db, SELECT " WHERE id = ?", id, read_profile, out);
}

enum ps_status ps_device_profile_get_default(struct ps_db *db, const struct ps_uuid *tenant,
                                             struct ps_device_profile *out)
{
    return ps_row_find_by_id(db, SELECT " WHERE tenant = ? AND is_default = 1", tenant,
                             read_profile, out);
}

enum ps_status ps_device_profile_find_by_name(struct ps_db *db, const struct ps_uuid *tenant,
                                              const char *name, size_t len,
                                              struct ps_device_profile *out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, SELECT " WHERE tenant = ? AND name = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, tenant);
    ps_stmt_bind_text(args.stmt, 2, name, len);
    return ps_row_find(args.stmt, read_profile, out);
}

static void bind_filter(struct ps_args *args, const void *data)
{
    const struct ps_device_profile_filter *filter = data;
    ps_args_uuid(args, &filter->tenant);
    if (filter->transport_type)
        ps_args_int(args, *filter->transport_type);
}

enum ps_status ps_device_profile_list(struct ps_db *db,
                                      const struct ps_device_profile_filter *filter,
                                      const struct ps_page_query *page,
                                      struct ps_device_profile_list *out)
{
    static const struct ps_list_sort sorts[] = {
        { "createdTime", "created_ms" },
        { "name", "name" },
        { "type", "name" },
        { "transportType", "transport_type" },
        { "description", "description" },
        { "isDefault", "is_default" },
        { NULL, NULL },
    };
    static const char *const search[] = { "name", NULL };
    struct ps_buf where = { 0 };
    ps_buf_put_text(&where, "tenant = ?");
    if (filter->transport_type)
        ps_buf_put_text(&where, " AND transport_type = ?");
    if (filter->in_use)
        ps_buf_put_text(&where, " AND EXISTS (SELECT 1 FROM device d"
                                " WHERE d.profile = device_profile.id)");
    struct ps_list_query query = { .columns = COLUMNS,
                                   .from = "device_profile",
                                   .where = ps_buf_cstr(&where),
                                   .id = "id",
                                   .sorts = sorts,
                                   .search = search,
                                   .bind = bind_filter,
                                   .filter = filter,
                                   .read = read_profile,
                                   .item_size = sizeof(struct ps_device_profile) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_buf_ok(&where) ? ps_list_run(db, &query, page, &result) : PS_ENOMEM;
    ps_buf_deinit(&where);
    struct ps_device_profile_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_device_profile_list_deinit(&list);
    else
        *out = list;
    return st;
}

/* ---- save ---- */

static enum ps_status fill_defaults(struct ps_device_profile *profile)
{
    if (!profile->provision_type && !(profile->provision_type = strdup("DISABLED")))
        return PS_ENOMEM;
    if (profile->profile_data)
        return PS_OK;
    struct ps_buf data = { 0 };
    ps_buf_printf(&data,
                  "{\"configuration\":{\"type\":\"DEFAULT\"},"
                  "\"transportConfiguration\":{\"type\":\"%s\"},"
                  "\"provisionConfiguration\":{\"type\":\"DISABLED\","
                  "\"provisionDeviceSecret\":null},\"alarms\":null}",
                  ps_transport_type_name(profile->transport_type));
    profile->profile_data = ps_buf_ok(&data) ? strdup(ps_buf_cstr(&data)) : NULL;
    ps_buf_deinit(&data);
    return profile->profile_data ? PS_OK : PS_ENOMEM;
}

static enum ps_status check_profile(struct ps_db *db, struct ps_device_profile *profile,
                                    struct ps_text *why)
{
    enum ps_status st = ps_name_check(profile->name, "Device profile", "name", why);
    if (st != PS_OK || ps_uuid_is_null(&profile->default_rule_chain))
        return st;
    st = ps_row_exists(db, "SELECT 1 FROM rule_chain WHERE id = ? AND tenant = ?",
                       &profile->default_rule_chain, &profile->tenant);
    if (st != PS_ENOTFOUND)
        return st;
    ps_text_set(why, "Device profile is referencing non existing rule chain!");
    return PS_EINVAL;
}

static void bind_fields(struct ps_args *args, const struct ps_device_profile *profile)
{
    ps_args_text(args, profile->name);
    ps_args_text(args, profile->description);
    ps_args_text(args, profile->image);
    ps_args_int(args, profile->transport_type);
    ps_args_text(args, profile->provision_type);
    ps_args_text(args, profile->provision_device_key);
    ps_args_reference(args, &profile->default_rule_chain);
    ps_args_reference(args, &profile->default_dashboard);
    ps_args_text(args, profile->default_queue_name);
    ps_args_text(args, profile->external_id);
    ps_args_text(args, profile->profile_data);
}

static enum ps_status insert_profile(struct ps_db *db, struct ps_device_profile *profile)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st =
        ps_args_prepare(db,
                        "INSERT INTO device_profile(name, description, image, transport_type,"
                        " provision_type, provision_device_key, default_rule_chain,"
                        " default_dashboard, default_queue_name, external_id, profile_data, id,"
                        " created_ms, tenant, is_default, version)"
                        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1)",
                        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, profile);
    ps_args_uuid(&args, &id);
    ps_args_int(&args, now_ms);
    ps_args_uuid(&args, &profile->tenant);
    st = ps_stmt_run(args.stmt);
    if (st == PS_OK) {
        profile->id = id;
        profile->created_ms = now_ms;
        profile->version = 1;
        profile->is_default = false;
    }
    return st;
}

static enum ps_status update_profile(struct ps_db *db, struct ps_device_profile *profile,
                                     struct ps_text *why)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db,
                        "UPDATE device_profile SET name = ?, description = ?, image = ?,"
                        " transport_type = ?, provision_type = ?, provision_device_key = ?,"
                        " default_rule_chain = ?, default_dashboard = ?, default_queue_name = ?,"
                        " external_id = ?, profile_data = ?, version = version + 1"
                        " WHERE id = ? AND tenant = ? AND (? = 0 OR version = ?)"
                        " RETURNING created_ms, version, is_default",
                        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, profile);
    ps_args_uuid(&args, &profile->id);
    ps_args_uuid(&args, &profile->tenant);
    ps_args_int(&args, profile->version);
    ps_args_int(&args, profile->version);
    st = ps_row_saved(args.stmt, &profile->created_ms, &profile->version);
    if (st == PS_OK) {
        enum ps_status is = ps_row_exists(
            db, "SELECT 1 FROM device_profile WHERE id = ? AND is_default = 1", &profile->id, NULL);
        profile->is_default = is == PS_OK;
        return is == PS_ENOTFOUND ? PS_OK : is;
    }
    if (st != PS_ENOTFOUND)
        return st;
    st = ps_row_exists(db, "SELECT 1 FROM device_profile WHERE id = ? AND tenant = ?", &profile->id,
                       &profile->tenant);
    if (st != PS_OK)
        return st;
    ps_text_set(why, "Device profile was already changed by someone else");
    return PS_ECONFLICT;
}

/* Which of the two unique things it was. */
static void explain_duplicate(struct ps_db *db, const struct ps_device_profile *profile,
                              struct ps_text *why)
{
    struct ps_device_profile other;
    if (ps_device_profile_find_by_name(db, &profile->tenant, profile->name, strlen(profile->name),
                                       &other) != PS_OK) {
        ps_text_set(why, "Device profile with such provision device key already exists!");
        return;
    }
    bool is_other = !ps_uuid_equal(&other.id, &profile->id);
    ps_device_profile_deinit(&other);
    ps_text_set(why, is_other ? "Device profile with such name already exists!"
                              : "Device profile with such provision device key already exists!");
}

enum ps_status ps_device_profile_save(struct ps_db *db, struct ps_device_profile *profile,
                                      struct ps_text *why)
{
    enum ps_status st = check_profile(db, profile, why);
    if (st == PS_OK)
        st = fill_defaults(profile);
    if (st != PS_OK)
        return st;
    st = ps_uuid_is_null(&profile->id) ? insert_profile(db, profile)
                                       : update_profile(db, profile, why);
    if (st == PS_EEXISTS)
        explain_duplicate(db, profile, why);
    return st;
}

enum ps_status ps_device_profile_set_default(struct ps_db *db, const struct ps_uuid *id)
{
    enum ps_status st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_row_clear_by_id(db,
                            "UPDATE device_profile SET is_default = 0, version = version + 1"
                            " WHERE is_default = 1 AND tenant ="
                            " (SELECT p.tenant FROM device_profile p"
                            "  WHERE p.id = ? AND p.is_default = 0)",
                            id);
    if (st == PS_OK)
        st = ps_row_change_by_id(db,
                                 "UPDATE device_profile SET version = version + 1 - is_default,"
                                 " is_default = 1 WHERE id = ?",
                                 id);
    return ps_row_finish(db, st);
}

enum ps_status ps_device_profile_delete(struct ps_db *db, const struct ps_uuid *id,
                                        struct ps_text *why)
{
    enum ps_status st =
        ps_row_exists(db, "SELECT 1 FROM device_profile WHERE id = ? AND is_default = 1", id, NULL);
    if (st == PS_OK) {
        ps_text_set(why, "Deletion of Default Device Profile is prohibited!");
        return PS_EINVAL;
    }
    if (st == PS_ENOTFOUND)
        st = ps_row_exists(db, "SELECT 1 FROM device WHERE profile = ?", id, NULL);
    if (st == PS_OK) {
        ps_text_set(why, "The device profile referenced by the devices cannot be deleted!");
        return PS_EINVAL;
    }
    if (st != PS_ENOTFOUND)
        return st;
    return ps_row_change_by_id(db, "DELETE FROM device_profile WHERE id = ?", id);
}
