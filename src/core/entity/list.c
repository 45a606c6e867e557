#include "core/entity/list.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

static enum ps_status sort_expression(const struct ps_list_query *query,
                                      const struct ps_page_query *page, const char **out)
{
    *out = query->id;
    if (!page->sort_property || !*page->sort_property || strcmp(page->sort_property, "id") == 0)
        return PS_OK;
    for (const struct ps_list_sort *sort = query->sorts; sort->property; sort++) {
        if (strcmp(sort->property, page->sort_property) == 0) {
            *out = sort->expression;
            return PS_OK;
        }
    }
    return PS_EINVAL;
}

static bool has_search(const struct ps_page_query *page)
{
    return page->text_search && *page->text_search;
}

static void put_conditions(struct ps_buf *sql, const struct ps_list_query *query,
                           const struct ps_page_query *page)
{
    ps_buf_printf(sql, " FROM %s WHERE %s", query->from, query->where);
    if (!has_search(page))
        return;
    for (size_t i = 0; query->search[i]; i++)
        ps_buf_printf(sql, "%slower(%s) LIKE lower(?) ESCAPE '\\'", i == 0 ? " AND (" : " OR ",
                      query->search[i]);
    ps_buf_put_char(sql, ')');
}

/* %text%, with the characters escaped that LIKE would take for its own. */
static void put_pattern(struct ps_buf *pattern, const char *text)
{
    ps_buf_put_char(pattern, '%');
    for (; *text; text++) {
        if (*text == '%' || *text == '_' || *text == '\\')
            ps_buf_put_char(pattern, '\\');
        ps_buf_put_char(pattern, *text);
    }
    ps_buf_put_char(pattern, '%');
}

static enum ps_status prepare(struct ps_db *db, struct ps_buf *sql,
                              const struct ps_list_query *query, const struct ps_page_query *page,
                              struct ps_args *args)
{
    const char *text = ps_buf_cstr(sql);
    if (!ps_buf_ok(sql))
        return PS_ENOMEM;
    enum ps_status st = ps_args_prepare(db, text, args);
    if (st != PS_OK)
        return st;
    query->bind(args, query->filter);
    if (!has_search(page))
        return PS_OK;
    struct ps_buf pattern = { 0 };
    put_pattern(&pattern, page->text_search);
    const char *like = ps_buf_cstr(&pattern);
    for (size_t i = 0; query->search[i]; i++)
        ps_args_text(args, like);
    st = ps_buf_ok(&pattern) ? PS_OK : PS_ENOMEM;
    ps_buf_deinit(&pattern);
    return st;
}

static enum ps_status count_rows(struct ps_db *db, const struct ps_list_query *query,
                                 const struct ps_page_query *page, int64_t *total)
{
    struct ps_buf sql = { 0 };
    struct ps_args args;
    bool found;
    ps_buf_put_text(&sql, "SELECT count(*)");
    put_conditions(&sql, query, page);
    enum ps_status st = prepare(db, &sql, query, page, &args);
    ps_buf_deinit(&sql);
    if (st == PS_OK)
        st = ps_stmt_step(args.stmt, &found);
    if (st != PS_OK)
        return st;
    *total = found ? ps_stmt_int(args.stmt, 0) : 0;
    ps_stmt_reset(args.stmt);
    return PS_OK;
}

static enum ps_status read_items(struct ps_stmt *stmt, const struct ps_list_query *query,
                                 size_t items_max, struct ps_list_result *out)
{
    enum ps_status st;
    bool found;
    size_t cap = 0;
    while ((st = ps_stmt_step(stmt, &found)) == PS_OK && found) {
        PS_ASSERT(out->count < items_max);
        if (out->count == cap) {
            size_t new_cap = cap ? 2 * cap : 16;
            void *items = reallocarray(out->items, new_cap, query->item_size);
            if (!items) {
                st = PS_ENOMEM;
                break;
            }
            out->items = items;
            cap = new_cap;
        }
        struct ps_row row = { .stmt = stmt };
        st = query->read(&row, (char *)out->items + out->count * query->item_size);
        if (st != PS_OK)
            break;
        out->count++;
    }
    if (st != PS_OK)
        ps_stmt_reset(stmt);
    return st;
}

static enum ps_status read_page(struct ps_db *db, const struct ps_list_query *query,
                                const struct ps_page_query *page, const char *order,
                                struct ps_list_result *out)
{
    unsigned size = page->page_size < PS_PAGE_SIZE_MAX ? page->page_size : PS_PAGE_SIZE_MAX;
    struct ps_buf sql = { 0 };
    struct ps_args args;
    ps_buf_printf(&sql, "SELECT %s", query->columns);
    put_conditions(&sql, query, page);
    ps_buf_printf(&sql, " ORDER BY %s %s", order, page->descending ? "DESC" : "ASC");
    if (order != query->id)
        ps_buf_printf(&sql, ", %s ASC", query->id);
    ps_buf_put_text(&sql, " LIMIT ? OFFSET ?");
    enum ps_status st = prepare(db, &sql, query, page, &args);
    ps_buf_deinit(&sql);
    if (st != PS_OK)
        return st;
    ps_args_int(&args, size);
    ps_args_int(&args, (int64_t)size * page->page);
    return read_items(args.stmt, query, size, out);
}

enum ps_status ps_list_run(struct ps_db *db, const struct ps_list_query *query,
                           const struct ps_page_query *page, struct ps_list_result *out)
{
    const char *order;
    if (page->page_size == 0)
        return PS_EINVAL;
    enum ps_status st = sort_expression(query, page, &order);
    if (st != PS_OK)
        return st;
    bool own_snapshot = !ps_db_in_transaction(db); /* page and total belong together */
    if (own_snapshot) {
        st = ps_db_begin_read(db);
        if (st != PS_OK)
            return st;
    }
    st = count_rows(db, query, page, &out->total);
    if (st == PS_OK)
        st = read_page(db, query, page, order, out);
    if (own_snapshot)
        ps_db_rollback(db);
    return st;
}
