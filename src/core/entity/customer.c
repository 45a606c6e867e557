#include "core/entity/customer.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/entity/additional_info.h"
#include "core/entity/contact_row.h"
#include "core/entity/list.h"
#include "core/entity/name.h"

#define COLUMNS                                                                                    \
    "id, created_ms, tenant, title, " PS_CONTACT_COLUMNS                                           \
    ", version, additional_info, external_id, is_public"

void ps_customer_deinit(struct ps_customer *customer)
{
    free(customer->title);
    ps_contact_deinit(&customer->contact);
    free(customer->additional_info);
    free(customer->external_id);
    *customer = (struct ps_customer){ 0 };
}

void ps_customer_list_deinit(struct ps_customer_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_customer_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_customer_list){ 0 };
}

/* ---- read ---- */

static enum ps_status read_customer(struct ps_row *row, void *out)
{
    struct ps_customer customer = { .id = ps_row_uuid(row) };
    customer.created_ms = ps_row_int(row);
    customer.tenant = ps_row_uuid(row);
    customer.title = ps_row_text(row);
    customer.contact = ps_contact_read(row);
    customer.version = ps_row_int(row);
    customer.additional_info = ps_row_text(row);
    customer.external_id = ps_row_text(row);
    customer.is_public = ps_row_int(row) != 0;
    if (row->failed) {
        ps_customer_deinit(&customer);
        return PS_ENOMEM;
    }
    *(struct ps_customer *)out = customer;
    return PS_OK;
}

enum ps_status ps_customer_get(struct ps_db *db, const struct ps_uuid *id, struct ps_customer *out)
{
    return ps_row_find_by_id(db, "SELECT " COLUMNS " FROM customer WHERE id = ?", id, read_customer,
                             out);
}

enum ps_status ps_customer_find_by_title(struct ps_db *db, const struct ps_uuid *tenant,
                                         const char *title, size_t len, struct ps_customer *out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        db, "SELECT " COLUMNS " FROM customer WHERE tenant = ? AND title = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, tenant);
    ps_stmt_bind_text(args.stmt, 2, title, len);
    return ps_row_find(args.stmt, read_customer, out);
}

static void bind_tenant(struct ps_args *args, const void *tenant)
{
    ps_args_uuid(args, tenant);
}

enum ps_status ps_customer_list(struct ps_db *db, const struct ps_uuid *tenant,
                                const struct ps_page_query *page, struct ps_customer_list *out)
{
    static const struct ps_list_sort sorts[] = {
        { "createdTime", "created_ms" },
        { "title", "title" },
        { "name", "title" },
        { "country", "country" },
        { "state", "state" },
        { "city", "city" },
        { "address", "address" },
        { "zip", "zip" },
        { "phone", "phone" },
        { "email", "email" },
        { NULL, NULL },
    };
    static const char *const search[] = { "title", NULL };
    struct ps_list_query query = { .columns = COLUMNS,
                                   .from = "customer",
                                   .where = "tenant = ?",
                                   .id = "id",
                                   .sorts = sorts,
                                   .search = search,
                                   .bind = bind_tenant,
                                   .filter = tenant,
                                   .read = read_customer,
                                   .item_size = sizeof(struct ps_customer) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_list_run(db, &query, page, &result);
    struct ps_customer_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_customer_list_deinit(&list);
    else
        *out = list;
    return st;
}

/* ---- save ---- */

static void bind_fields(struct ps_args *args, const struct ps_customer *customer)
{
    ps_args_text(args, customer->title);
    ps_contact_bind(args, &customer->contact);
    ps_args_text(args, customer->additional_info);
    ps_args_text(args, customer->external_id);
    ps_args_int(args, customer->is_public);
}

static enum ps_status insert_customer(struct ps_db *db, struct ps_customer *customer)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st =
        ps_args_prepare(db,
                        "INSERT INTO customer(title, " PS_CONTACT_COLUMNS
                        ", additional_info, external_id, is_public, id, created_ms, tenant,"
                        " version) VALUES(?, " PS_CONTACT_VALUES ", ?, ?, ?, ?, ?, ?, 1)",
                        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, customer);
    ps_args_uuid(&args, &id);
    ps_args_int(&args, now_ms);
    ps_args_uuid(&args, &customer->tenant);
    st = ps_stmt_run(args.stmt);
    if (st == PS_OK) {
        customer->id = id;
        customer->created_ms = now_ms;
        customer->version = 1;
    }
    return st;
}

static enum ps_status update_customer(struct ps_db *db, struct ps_customer *customer,
                                      struct ps_text *why)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db,
                        "UPDATE customer SET title = ?, " PS_CONTACT_ASSIGN ", additional_info = ?,"
                        " external_id = ?, is_public = ?, version = version + 1"
                        " WHERE id = ? AND tenant = ? AND (? = 0 OR version = ?)"
                        " RETURNING created_ms, version",
                        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, customer);
    ps_args_uuid(&args, &customer->id);
    ps_args_uuid(&args, &customer->tenant);
    ps_args_int(&args, customer->version);
    ps_args_int(&args, customer->version);
    st = ps_row_saved(args.stmt, &customer->created_ms, &customer->version);
    if (st != PS_ENOTFOUND)
        return st;
    st = ps_row_exists(db, "SELECT 1 FROM customer WHERE id = ? AND tenant = ?", &customer->id,
                       &customer->tenant);
    if (st != PS_OK)
        return st;
    ps_text_set(why, "Customer was already changed by someone else");
    return PS_ECONFLICT;
}

enum ps_status ps_customer_save(struct ps_db *db, struct ps_customer *customer, struct ps_text *why)
{
    enum ps_status st = ps_name_check(customer->title, "Customer", "title", why);
    if (st != PS_OK)
        return st;
    customer->is_public = ps_additional_info_flag(customer->additional_info, "isPublic");
    st = ps_uuid_is_null(&customer->id) ? insert_customer(db, customer)
                                        : update_customer(db, customer, why);
    if (st == PS_EEXISTS)
        ps_text_set(why, "Customer with such title already exists!");
    return st;
}

/* ---- delete ---- */

static const char *const customer_deletes[] = {
    "UPDATE device SET customer = NULL, version = version + 1 WHERE customer = ?",
    "DELETE FROM attribute WHERE entity IN (SELECT id FROM app_user WHERE customer = ?)",
    "DELETE FROM series WHERE entity IN (SELECT id FROM app_user WHERE customer = ?)",
    "DELETE FROM app_user WHERE customer = ?",
    "DELETE FROM attribute WHERE entity = ?",
    "DELETE FROM series WHERE entity = ?",
};

enum ps_status ps_customer_delete(struct ps_db *db, const struct ps_uuid *id)
{
    enum ps_status st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    for (size_t i = 0; i < sizeof customer_deletes / sizeof *customer_deletes && st == PS_OK; i++)
        st = ps_row_clear_by_id(db, customer_deletes[i], id);
    if (st == PS_OK)
        st = ps_row_change_by_id(db, "DELETE FROM customer WHERE id = ?", id);
    return ps_row_finish(db, st);
}
