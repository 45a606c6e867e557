#include "core/entity/user.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/entity/list.h"
#include "core/entity/name.h"
#include "core/entity/user_row.h"

#define COLUMNS                                                                                    \
    "u.id, u.created_ms, u.tenant, u.customer, u.authority, u.email, u.first_name, u.last_name,"   \
    " u.phone, u.version, u.additional_info, c.enabled, c.password_hash IS NOT NULL,"              \
    " c.last_login_ms"
#define FROM "app_user u JOIN user_credentials c ON c.user_id = u.id"

void ps_user_deinit(struct ps_user *user)
{
    free(user->email);
    free(user->first_name);
    free(user->last_name);
    free(user->phone);
    free(user->additional_info);
    *user = (struct ps_user){ 0 };
}

void ps_user_list_deinit(struct ps_user_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_user_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_user_list){ 0 };
}

/* ---- read ---- */

static enum ps_status read_user(struct ps_row *row, void *out)
{
    struct ps_user user = { .id = ps_row_uuid(row) };
    user.created_ms = ps_row_int(row);
    user.tenant = ps_row_uuid(row);
    user.customer = ps_row_uuid(row);
    user.authority = (enum ps_authority)ps_row_int(row);
    user.email = ps_row_text(row);
    user.first_name = ps_row_text(row);
    user.last_name = ps_row_text(row);
    user.phone = ps_row_text(row);
    user.version = ps_row_int(row);
    user.additional_info = ps_row_text(row);
    user.enabled = ps_row_int(row) != 0;
    user.activated = ps_row_int(row) != 0;
    user.last_login_ms = ps_row_int(row);
    if (row->failed) {
        ps_user_deinit(&user);
        return PS_ENOMEM;
    }
    *(struct ps_user *)out = user;
    return PS_OK;
}

enum ps_status ps_user_get(struct ps_db *db, const struct ps_uuid *id, struct ps_user *out)
{
    return ps_row_find_by_id(db, "SELECT " COLUMNS " FROM " FROM " WHERE u.id = ?", id, read_user,
                             out);
}

enum ps_status ps_user_find_by_email(struct ps_db *db, const char *email, size_t len,
                                     struct ps_user *out)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db, "SELECT " COLUMNS " FROM " FROM " WHERE u.email = ?", &args);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_text(args.stmt, 1, email, len);
    return ps_row_find(args.stmt, read_user, out);
}

static void bind_filter(struct ps_args *args, const void *data)
{
    const struct ps_user_filter *filter = data;
    if (!ps_uuid_is_null(&filter->tenant))
        ps_args_uuid(args, &filter->tenant);
    if (!ps_uuid_is_null(&filter->customer))
        ps_args_uuid(args, &filter->customer);
    if (filter->by_authority)
        ps_args_int(args, filter->authority);
}

enum ps_status ps_user_list(struct ps_db *db, const struct ps_user_filter *filter,
                            const struct ps_page_query *page, struct ps_user_list *out)
{
    static const struct ps_list_sort sorts[] = {
        { "createdTime", "u.created_ms" },
        { "email", "u.email" },
        { "name", "u.email" },
        { "firstName", "u.first_name" },
        { "lastName", "u.last_name" },
        { "authority", "u.authority" },
        { NULL, NULL },
    };
    static const char *const search[] = { "u.email", "u.first_name", "u.last_name", NULL };
    struct ps_buf where = { 0 };
    ps_buf_put_text(&where, "1 = 1");
    if (!ps_uuid_is_null(&filter->tenant))
        ps_buf_put_text(&where, " AND u.tenant = ?");
    if (!ps_uuid_is_null(&filter->customer))
        ps_buf_put_text(&where, " AND u.customer = ?");
    if (filter->by_authority)
        ps_buf_put_text(&where, " AND u.authority = ?");
    struct ps_list_query query = { .columns = COLUMNS,
                                   .from = FROM,
                                   .where = ps_buf_cstr(&where),
                                   .id = "u.id",
                                   .sorts = sorts,
                                   .search = search,
                                   .bind = bind_filter,
                                   .filter = filter,
                                   .read = read_user,
                                   .item_size = sizeof(struct ps_user) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_buf_ok(&where) ? ps_list_run(db, &query, page, &result) : PS_ENOMEM;
    ps_buf_deinit(&where);
    struct ps_user_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_user_list_deinit(&list);
    else
        *out = list;
    return st;
}

/* ---- save ---- */

static bool is_domain(const char *domain)
{
    const char *dot = strrchr(domain, '.');
    if (!dot || dot == domain || domain[0] == '.' || !dot[1] || strstr(domain, ".."))
        return false;
    return domain[strspn(domain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789.-")] == '\0';
}

/* local@domain.tld; no quoting, no spaces: what people have. */
static bool is_email(const char *email)
{
    const char *at = strchr(email, '@');
    if (!at || at == email || strlen(email) > PS_NAME_LEN_MAX || !is_domain(at + 1))
        return false;
    for (const char *c = email; c < at; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("\"(),:;<>[\\]", *c))
            return false;
    }
    return true;
}

static enum ps_status refuse(struct ps_text *why, const char *text)
{
    ps_text_set(why, "%s", text);
    return PS_EINVAL;
}

static enum ps_status check_email(const struct ps_user *user, struct ps_text *why)
{
    enum ps_status st = ps_name_check(user->email, "User", "email", why);
    if (st != PS_OK)
        return st;
    if (!is_email(user->email)) {
        ps_text_set(why, "Invalid email address format '%s'!", user->email);
        return PS_EINVAL;
    }
    return PS_OK;
}

/* A system administrator has neither tenant nor customer, a customer user both. */
static enum ps_status check_place(struct ps_db *db, const struct ps_user *user, struct ps_text *why)
{
    bool has_tenant = !ps_uuid_is_null(&user->tenant);
    bool has_customer = !ps_uuid_is_null(&user->customer);
    enum ps_status st = PS_OK;
    if (user->authority == PS_SYS_ADMIN && (has_tenant || has_customer))
        return refuse(why, "System administrator can't be assigned to tenant or customer!");
    if (user->authority == PS_TENANT_ADMIN && has_customer)
        return refuse(why, "Tenant administrator can't be assigned to customer!");
    if (user->authority != PS_SYS_ADMIN && !has_tenant)
        return refuse(why, "User should be assigned to tenant!");
    if (user->authority == PS_CUSTOMER_USER && !has_customer)
        return refuse(why, "Customer user should be assigned to customer!");
    if (has_tenant)
        st = ps_row_exists(db, "SELECT 1 FROM tenant WHERE id = ?", &user->tenant, NULL);
    if (st == PS_ENOTFOUND)
        return refuse(why, "User is referencing non-existent tenant!");
    if (st == PS_OK && has_customer)
        st = ps_row_exists(db, "SELECT 1 FROM customer WHERE id = ? AND tenant = ?",
                           &user->customer, &user->tenant);
    if (st == PS_ENOTFOUND)
        return refuse(why, "User is referencing non-existent customer!");
    return st;
}

static void bind_fields(struct ps_args *args, const struct ps_user *user)
{
    ps_args_text(args, user->email);
    ps_args_text(args, user->first_name);
    ps_args_text(args, user->last_name);
    ps_args_text(args, user->phone);
    ps_args_text(args, user->additional_info);
}

static enum ps_status insert_user(struct ps_db *db, struct ps_user *user)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    int64_t now_ms = ps_clock_now_ms();
    enum ps_status st = ps_args_prepare(
        db,
        "INSERT INTO app_user(email, first_name, last_name, phone, additional_info, id, created_ms,"
        " tenant, customer, authority, version) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, user);
    ps_args_uuid(&args, &id);
    ps_args_int(&args, now_ms);
    ps_args_reference(&args, &user->tenant);
    ps_args_reference(&args, &user->customer);
    ps_args_int(&args, user->authority);
    st = ps_stmt_run(args.stmt);
    if (st == PS_OK)
        st = ps_user_credentials_insert(db, &id, now_ms);
    if (st == PS_OK) {
        user->id = id;
        user->created_ms = now_ms;
        user->version = 1;
        user->enabled = true;
        user->activated = false;
        user->last_login_ms = 0;
    }
    return st;
}

static bool is_same_reference(const struct ps_uuid *a, const struct ps_uuid *b)
{
    return ps_uuid_equal(a, b) || (ps_uuid_is_null(a) && ps_uuid_is_null(b));
}

/* Also brings the read-only members. */
static enum ps_status check_unchanged(struct ps_db *db, struct ps_user *user, struct ps_text *why)
{
    struct ps_user stored;
    enum ps_status st = ps_user_get(db, &user->id, &stored);
    if (st != PS_OK)
        return st;
    if (stored.authority != user->authority)
        st = refuse(why, "User authority can't be changed!");
    else if (!is_same_reference(&stored.tenant, &user->tenant))
        st = refuse(why, "User tenant can't be changed!");
    else if (!is_same_reference(&stored.customer, &user->customer))
        st = refuse(why, "User customer can't be changed!");
    user->enabled = stored.enabled;
    user->activated = stored.activated;
    user->last_login_ms = stored.last_login_ms;
    ps_user_deinit(&stored);
    return st;
}

static enum ps_status update_user(struct ps_db *db, struct ps_user *user, struct ps_text *why)
{
    struct ps_args args;
    enum ps_status st = check_unchanged(db, user, why);
    if (st == PS_OK)
        st = ps_args_prepare(
            db,
            "UPDATE app_user SET email = ?, first_name = ?, last_name = ?, phone = ?,"
            " additional_info = ?, version = version + 1 WHERE id = ? AND (? = 0 OR version = ?)"
            " RETURNING created_ms, version",
            &args);
    if (st != PS_OK)
        return st;
    bind_fields(&args, user);
    ps_args_uuid(&args, &user->id);
    ps_args_int(&args, user->version);
    ps_args_int(&args, user->version);
    st = ps_row_saved(args.stmt, &user->created_ms, &user->version);
    if (st != PS_ENOTFOUND)
        return st;
    ps_text_set(why, "User was already changed by someone else");
    return PS_ECONFLICT;
}

enum ps_status ps_user_save(struct ps_db *db, struct ps_user *user, struct ps_text *why)
{
    enum ps_status st = check_email(user, why);
    if (st == PS_OK)
        st = check_place(db, user, why);
    if (st == PS_OK)
        st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_uuid_is_null(&user->id) ? insert_user(db, user) : update_user(db, user, why);
    if (st == PS_EEXISTS)
        ps_text_set(why, "User with email '%s' already present in database!", user->email);
    return ps_row_finish(db, st);
}

/* ---- delete ---- */

static enum ps_status check_not_last_admin(struct ps_db *db, const struct ps_uuid *id,
                                           struct ps_text *why)
{
    struct ps_user user;
    enum ps_status st = ps_user_get(db, id, &user);
    if (st != PS_OK)
        return st;
    if (user.authority == PS_TENANT_ADMIN) {
        st = ps_row_exists(db,
                           "SELECT 1 FROM app_user WHERE tenant = ? AND authority = 1 AND id <> ?",
                           &user.tenant, id);
        if (st == PS_ENOTFOUND)
            st = refuse(why, "At least one tenant administrator must remain!");
    }
    ps_user_deinit(&user);
    return st;
}

enum ps_status ps_user_delete(struct ps_db *db, const struct ps_uuid *id, struct ps_text *why)
{
    _Static_assert(PS_TENANT_ADMIN == 1, "check_not_last_admin() spells it out");
    enum ps_status st = check_not_last_admin(db, id, why);
    if (st == PS_OK)
        st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_row_clear_by_id(db, "DELETE FROM attribute WHERE entity = ?", id);
    if (st == PS_OK)
        st = ps_row_clear_by_id(db, "DELETE FROM series WHERE entity = ?", id);
    if (st == PS_OK)
        st = ps_row_change_by_id(db, "DELETE FROM app_user WHERE id = ?", id);
    return ps_row_finish(db, st);
}
