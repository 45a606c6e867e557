#include "core/entity/device.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/entity/additional_info.h"
#include "core/entity/list.h"
#include "core/entity/name.h"

#define COLUMNS                                                                                    \
    "d.id, d.created_ms, d.tenant, d.customer, d.name, p.name, d.label, d.profile, d.device_data," \
    " d.external_id, d.version, d.additional_info"
#define FROM "device d JOIN device_profile p ON p.id = d.profile"
/* 2 is PS_SCOPE_SERVER */
#define INFO_COLUMNS COLUMNS ", c.title, c.is_public, " IS_ACTIVE
#define INFO_FROM                                                                                  \
    FROM " LEFT JOIN customer c ON c.id = d.customer"                                              \
         " LEFT JOIN attribute a ON a.entity = d.id AND a.scope = 2 AND a.key = 'active'"
#define IS_ACTIVE "CASE WHEN a.value = 1 THEN 1 ELSE 0 END"

void ps_device_deinit(struct ps_device *device)
{
    free(device->name);
    free(device->type);
    free(device->label);
    free(device->device_data);
    free(device->external_id);
    free(device->additional_info);
    *device = (struct ps_device){ 0 };
}

void ps_device_info_deinit(struct ps_device_info *info)
{
    ps_device_deinit(&info->device);
    free(info->customer_title);
    *info = (struct ps_device_info){ 0 };
}

void ps_device_list_deinit(struct ps_device_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_device_info_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_device_list){ 0 };
}

/* ---- read ---- */

static enum ps_status read_device(struct ps_row *row, void *out)
{
    struct ps_device device = { .id = ps_row_uuid(row) };
    device.created_ms = ps_row_int(row);
    device.tenant = ps_row_uuid(row);
    device.customer = ps_row_uuid(row);
    device.name = ps_row_text(row);
    device.type = ps_row_text(row);
    device.label = ps_row_text(row);
    device.profile = ps_row_uuid(row);
    device.device_data = ps_row_text(row);
    device.external_id = ps_row_text(row);
    device.version = ps_row_int(row);
    device.additional_info = ps_row_text(row);
    if (row->failed) {
        ps_device_deinit(&device);
        return PS_ENOMEM;
    }
    *(struct ps_device *)out = device;
    return PS_OK;
}

static enum ps_status read_info(struct ps_row *row, void *out)
{
    struct ps_device_info info = { 0 };
    enum ps_status st = read_device(row, &info.device);
    if (st != PS_OK)
        return st;
    info.customer_title = ps_row_text(row);
    info.customer_is_public = ps_row_int(row) != 0;
    info.active = ps_row_int(row) != 0;
    if (row->failed) {
        ps_device_info_deinit(&info);
        return PS_ENOMEM;
    }
    *(struct ps_device_info *)out = info;
    return PS_OK;
}

enum ps_status ps_device_get(struct ps_db *db, const struct ps_uuid *id, struct ps_device *out)
{
    return ps_row_find_by_id(db, "SELECT " COLUMNS " FROM " FROM " WHERE d.id = ?", id, read_device,
                             out);
}

enum ps_status ps_device_get_info(struct ps_db *db, const struct ps_uuid *id,
                                  struct ps_device_info *out)
{
    return ps_row_find_by_id(db, "SELECT " INFO_COLUMNS " FROM " INFO_FROM " WHERE d.id = ?", id,
                             read_info, out);
}

enum ps_status ps_device_find_by_name(struct ps_db *db, const struct ps_uuid *tenant,
                                      const char *name, size_t len, struct ps_device *out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        db, "SELECT " COLUMNS " FROM " FROM " WHERE d.tenant = ? AND d.name = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, tenant);
    ps_stmt_bind_text(args.stmt, 2, name, len);
    return ps_row_find(args.stmt, read_device, out);
}

static void put_filter(struct ps_buf *where, const struct ps_device_filter *filter)
{
    ps_buf_put_text(where, "d.tenant = ?");
    if (!ps_uuid_is_null(&filter->customer))
        ps_buf_put_text(where, " AND d.customer = ?");
    if (!ps_uuid_is_null(&filter->profile))
        ps_buf_put_text(where, " AND d.profile = ?");
    if (filter->type && *filter->type)
        ps_buf_put_text(where, " AND p.name = ?");
    if (filter->active)
        ps_buf_put_text(where, " AND " IS_ACTIVE " = ?");
}

static void bind_filter(struct ps_args *args, const void *data)
{
    const struct ps_device_filter *filter = data;
    ps_args_uuid(args, &filter->tenant);
    if (!ps_uuid_is_null(&filter->customer))
        ps_args_uuid(args, &filter->customer);
    if (!ps_uuid_is_null(&filter->profile))
        ps_args_uuid(args, &filter->profile);
    if (filter->type && *filter->type)
        ps_args_text(args, filter->type);
    if (filter->active)
        ps_args_int(args, *filter->active);
}

enum ps_status ps_device_list(struct ps_db *db, const struct ps_device_filter *filter,
                              const struct ps_page_query *page, struct ps_device_list *out)
{
    static const struct ps_list_sort sorts[] = {
        { "createdTime", "d.created_ms" }, { "name", "d.name" },   { "type", "p.name" },
        { "deviceProfileName", "p.name" }, { "label", "d.label" }, { "customerTitle", "c.title" },
        { "active", IS_ACTIVE },           { NULL, NULL },
    };
    static const char *const search[] = { "d.name", "d.label", NULL };
    static const char *const search_infos[] = { "d.name", "d.label", "p.name", "c.title", NULL };
    struct ps_buf where = { 0 };
    put_filter(&where, filter);
    struct ps_list_query query = { .columns = INFO_COLUMNS,
                                   .from = INFO_FROM,
                                   .where = ps_buf_cstr(&where),
                                   .id = "d.id",
                                   .sorts = sorts,
                                   .search = filter->search_infos ? search_infos : search,
                                   .bind = bind_filter,
                                   .filter = filter,
                                   .read = read_info,
                                   .item_size = sizeof(struct ps_device_info) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_buf_ok(&where) ? ps_list_run(db, &query, page, &result) : PS_ENOMEM;
    ps_buf_deinit(&where);
    struct ps_device_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_device_list_deinit(&list);
    else
        *out = list;
    return st;
}

/* ---- save ---- */

static enum ps_status refuse(struct ps_text *why, const char *text)
{
    ps_text_set(why, "%s", text);
    return PS_EINVAL;
}

/* A profile that a device names and nobody made yet. */
static enum ps_status make_profile(struct ps_db *db, const struct ps_device *device,
                                   struct ps_device_profile *out, struct ps_text *why)
{
    struct ps_device_profile profile = { .tenant = device->tenant };
    profile.name = strdup(device->type);
    if (!profile.name)
        return PS_ENOMEM;
    enum ps_status st = ps_device_profile_save(db, &profile, why);
    if (st != PS_OK)
        ps_device_profile_deinit(&profile);
    else
        *out = profile;
    return st;
}

static enum ps_status find_profile(struct ps_db *db, const struct ps_device *device,
                                   struct ps_device_profile *out, struct ps_text *why)
{
    if (!ps_uuid_is_null(&device->profile)) {
        enum ps_status st = ps_device_profile_get(db, &device->profile, out);
        if (st == PS_OK && !ps_uuid_equal(&out->tenant, &device->tenant)) {
            ps_device_profile_deinit(out);
            st = PS_ENOTFOUND;
        }
        return st == PS_ENOTFOUND
                   ? refuse(why, "Device is referencing non existing device profile!")
                   : st;
    }
    if (!device->type || !*device->type)
        return ps_device_profile_get_default(db, &device->tenant, out);
    enum ps_status st = ps_device_profile_find_by_name(db, &device->tenant, device->type,
                                                       strlen(device->type), out);
    return st == PS_ENOTFOUND ? make_profile(db, device, out, why) : st;
}

static enum ps_status default_data(struct ps_device *device, enum ps_transport_type transport)
{
    if (device->device_data)
        return PS_OK;
    struct ps_buf data = { 0 };
    ps_buf_printf(&data,
                  "{\"configuration\":{\"type\":\"DEFAULT\"},"
                  "\"transportConfiguration\":{\"type\":\"%s\"}}",
                  ps_transport_type_name(transport));
    device->device_data = ps_buf_ok(&data) ? strdup(ps_buf_cstr(&data)) : NULL;
    ps_buf_deinit(&data);
    return device->device_data ? PS_OK : PS_ENOMEM;
}

static enum ps_status choose_profile(struct ps_db *db, struct ps_device *device,
                                     struct ps_text *why)
{
    struct ps_device_profile profile;
    enum ps_status st = find_profile(db, device, &profile, why);
    if (st != PS_OK)
        return st;
    device->profile = profile.id;
    free(device->type);
    device->type = profile.name;
    profile.name = NULL;
    st = default_data(device, profile.transport_type);
    ps_device_profile_deinit(&profile);
    return st;
}

static enum ps_status check_customer(struct ps_db *db, const struct ps_uuid *customer,
                                     const struct ps_uuid *tenant, struct ps_text *why)
{
    if (ps_uuid_is_null(customer))
        return PS_OK;
    enum ps_status st =
        ps_row_exists(db, "SELECT 1 FROM customer WHERE id = ? AND tenant = ?", customer, tenant);
    return st == PS_ENOTFOUND ? refuse(why, "Can't assign device to non-existent customer!") : st;
}

static void bind_fields(struct ps_args *args, const struct ps_device *device)
{
    ps_args_reference(args, &device->customer);
    ps_args_uuid(args, &device->profile);
    ps_args_text(args, device->name);
    ps_args_text(args, device->label);
    ps_args_text(args, device->device_data);
    ps_args_int(args, ps_additional_info_flag(device->additional_info, "gateway"));
    ps_args_text(args, device->additional_info);
    ps_args_text(args, device->external_id);
}

static enum ps_status explain_name(enum ps_status st, struct ps_text *why)
{
    if (st == PS_EEXISTS)
        ps_text_set(why, "Device with such name already exists!");
    return st;
}

static enum ps_status insert_device(struct ps_db *db, struct ps_device *device,
                                    const struct ps_credentials *credentials, struct ps_text *why)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st = ps_args_prepare(
        db,
        "INSERT INTO device(customer, profile, name, label, device_data, is_gateway,"
        " additional_info, external_id, id, created_ms, tenant, version)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, device);
    ps_args_uuid(&args, &id);
    ps_args_int(&args, now_ms);
    ps_args_uuid(&args, &device->tenant);
    st = explain_name(ps_stmt_run(args.stmt), why);
    if (st == PS_OK)
        st = ps_credentials_create(db, &id, credentials, why);
    if (st == PS_OK) {
        device->id = id;
        device->created_ms = now_ms;
        device->version = 1;
    }
    return st;
}

static enum ps_status update_device(struct ps_db *db, struct ps_device *device, struct ps_text *why)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db,
                        "UPDATE device SET customer = ?, profile = ?, name = ?, label = ?,"
                        " device_data = ?, is_gateway = ?, additional_info = ?, external_id = ?,"
                        " version = version + 1"
                        " WHERE id = ? AND tenant = ? AND (? = 0 OR version = ?)"
                        " RETURNING created_ms, version",
                        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, device);
    ps_args_uuid(&args, &device->id);
    ps_args_uuid(&args, &device->tenant);
    ps_args_int(&args, device->version);
    ps_args_int(&args, device->version);
    st = ps_row_saved(args.stmt, &device->created_ms, &device->version);
    if (st != PS_ENOTFOUND)
        return explain_name(st, why);
    st = ps_row_exists(db, "SELECT 1 FROM device WHERE id = ? AND tenant = ?", &device->id,
                       &device->tenant);
    if (st != PS_OK)
        return st;
    ps_text_set(why, "Device was already changed by someone else");
    return PS_ECONFLICT;
}

static enum ps_status save_device(struct ps_db *db, struct ps_device *device,
                                  const struct ps_credentials *credentials, struct ps_text *why)
{
    enum ps_status st = choose_profile(db, device, why);
    if (st == PS_OK)
        st = check_customer(db, &device->customer, &device->tenant, why);
    if (st != PS_OK)
        return st;
    return ps_uuid_is_null(&device->id) ? insert_device(db, device, credentials, why)
                                        : update_device(db, device, why);
}

enum ps_status ps_device_save(struct ps_db *db, struct ps_device *device,
                              const struct ps_credentials *credentials, struct ps_text *why)
{
    enum ps_status st = ps_name_check(device->name, "Device", "name", why);
    if (st == PS_OK)
        st = ps_name_check_optional(device->label, "label", why);
    if (st == PS_OK)
        st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_row_finish(db, save_device(db, device, credentials, why));
    if (st == PS_OK && ps_uuid_is_null(&device->customer))
        device->customer = PS_UUID_NULL; /* not zero */
    return st;
}

enum ps_status ps_device_assign(struct ps_db *db, const struct ps_uuid *id,
                                const struct ps_uuid *customer)
{
    struct ps_device device;
    struct ps_args args;
    enum ps_status st = ps_device_get(db, id, &device);
    if (st != PS_OK)
        return st;
    st = check_customer(db, customer, &device.tenant, NULL);
    ps_device_deinit(&device);
    if (st == PS_OK)
        st = ps_args_prepare(
            db, "UPDATE device SET customer = ?, version = version + 1 WHERE id = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_reference(&args, customer);
    ps_args_uuid(&args, id);
    return ps_stmt_run(args.stmt);
}

enum ps_status ps_device_delete(struct ps_db *db, const struct ps_uuid *id)
{
    enum ps_status st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_row_clear_by_id(db, "DELETE FROM attribute WHERE entity = ?", id);
    if (st == PS_OK)
        st = ps_row_clear_by_id(db, "DELETE FROM series WHERE entity = ?", id);
    if (st == PS_OK) /* the credentials go with it */
        st = ps_row_change_by_id(db, "DELETE FROM device WHERE id = ?", id);
    return ps_row_finish(db, st);
}
