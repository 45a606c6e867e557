#include "core/entity/dead_letter.h"

#include <stdlib.h>
#include <string.h>

#include "core/entity/list.h"

static void letter_deinit(struct ps_dead_letter *letter)
{
    free((char *)(uintptr_t)letter->msg_type);
    free((char *)(uintptr_t)letter->data);
    free((char *)(uintptr_t)letter->metadata);
    free((char *)(uintptr_t)letter->error);
    *letter = (struct ps_dead_letter){ 0 };
}

void ps_dead_letter_list_deinit(struct ps_dead_letter_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        letter_deinit(&list->items[i]);
    free(list->items);
    *list = (struct ps_dead_letter_list){ 0 };
}

enum ps_status ps_dead_letter_put(struct ps_db *db, const struct ps_dead_letter *letter)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        db,
        "INSERT INTO dead_letter(msg_type, data, metadata, error, tenant, created_ms,"
        " originator_type, originator, chain, node, attempts)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &args);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_text(args.stmt, 1, letter->msg_type, letter->msg_type_len);
    ps_stmt_bind_blob(args.stmt, 2, letter->data, letter->data_len);
    ps_stmt_bind_text(args.stmt, 3, letter->metadata, letter->metadata_len);
    ps_stmt_bind_text(args.stmt, 4, letter->error, letter->error_len);
    args.last = 4;
    ps_args_uuid(&args, &letter->tenant);
    ps_args_int(&args, letter->created_ms);
    ps_args_int(&args, letter->originator.type);
    ps_args_uuid(&args, &letter->originator.id);
    ps_args_reference(&args, &letter->chain);
    ps_args_reference(&args, &letter->node);
    ps_args_int(&args, letter->attempts);
    return ps_stmt_run(args.stmt);
}

/* Text with its length: data may hold zero bytes. */
static const char *read_bytes(struct ps_row *row, size_t *len)
{
    (void)ps_stmt_bytes(row->stmt, row->column, len);
    return ps_row_text(row);
}

static enum ps_status read_letter(struct ps_row *row, void *out)
{
    struct ps_dead_letter letter = { .id = ps_row_int(row) };
    letter.tenant = ps_row_uuid(row);
    letter.created_ms = ps_row_int(row);
    letter.originator.type = (enum ps_entity_type)ps_row_int(row);
    letter.originator.id = ps_row_uuid(row);
    letter.msg_type = read_bytes(row, &letter.msg_type_len);
    letter.data = read_bytes(row, &letter.data_len);
    letter.metadata = read_bytes(row, &letter.metadata_len);
    letter.error = read_bytes(row, &letter.error_len);
    letter.chain = ps_row_uuid(row);
    letter.node = ps_row_uuid(row);
    letter.attempts = ps_row_int(row);
    if (row->failed) {
        letter_deinit(&letter);
        return PS_ENOMEM;
    }
    *(struct ps_dead_letter *)out = letter;
    return PS_OK;
}

static void bind_tenant(struct ps_args *args, const void *tenant)
{
    ps_args_uuid(args, tenant);
}

enum ps_status ps_dead_letter_list(struct ps_db *db, const struct ps_uuid *tenant,
                                   const struct ps_page_query *page,
                                   struct ps_dead_letter_list *out)
{
    static const struct ps_list_sort sorts[] = { { "createdTime", "created_ms" },
                                                 { "msgType", "msg_type" },
                                                 { NULL, NULL } };
    static const char *const search[] = { "msg_type", "error", NULL };
    struct ps_list_query query = { .columns = "id, tenant, created_ms, originator_type, originator,"
                                              " msg_type, data, metadata, error, chain, node,"
                                              " attempts",
                                   .from = "dead_letter",
                                   .where = "tenant = ?",
                                   .id = "id",
                                   .sorts = sorts,
                                   .search = search,
                                   .bind = bind_tenant,
                                   .filter = tenant,
                                   .read = read_letter,
                                   .item_size = sizeof(struct ps_dead_letter) };
    struct ps_list_result result = { 0 };
    enum ps_status st = ps_list_run(db, &query, page, &result);
    struct ps_dead_letter_list list = { result.items, result.count, result.total };
    if (st != PS_OK)
        ps_dead_letter_list_deinit(&list);
    else
        *out = list;
    return st;
}

enum ps_status ps_dead_letter_delete(struct ps_db *db, const struct ps_uuid *tenant, int64_t id)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db, "DELETE FROM dead_letter WHERE tenant = ? AND id = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, tenant);
    ps_args_int(&args, id);
    st = ps_stmt_run(args.stmt);
    return st == PS_OK && ps_db_changes(db) == 0 ? PS_ENOTFOUND : st;
}

/* Newest first, until the budget is spent: *oldest_kept is the last letter that fits. */
static enum ps_status find_oldest_kept(struct ps_db *db, int64_t bytes_max, int64_t *oldest_kept)
{
    struct ps_stmt *stmt;
    bool found;
    int64_t bytes = 0;
    *oldest_kept = INT64_MAX;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT id, length(data) + length(metadata) + length(error) FROM dead_letter"
                      " ORDER BY id DESC",
                      &stmt);
    while (st == PS_OK && (st = ps_stmt_step(stmt, &found)) == PS_OK && found) {
        bytes += ps_stmt_int(stmt, 1);
        if (bytes > bytes_max) {
            ps_stmt_reset(stmt);
            break;
        }
        *oldest_kept = ps_stmt_int(stmt, 0);
    }
    return st;
}

enum ps_status ps_dead_letter_trim(struct ps_db *db, int64_t bytes_max, int64_t *deleted)
{
    int64_t oldest_kept;
    struct ps_stmt *stmt;
    enum ps_status st = find_oldest_kept(db, bytes_max, &oldest_kept);
    if (st == PS_OK)
        st = ps_db_prepare(db, "DELETE FROM dead_letter WHERE id < ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, oldest_kept);
    st = ps_stmt_run(stmt);
    if (st == PS_OK)
        *deleted = ps_db_changes(db);
    return st;
}
