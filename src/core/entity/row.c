#include "core/entity/row.h"

#include <stdlib.h>
#include <string.h>

char *ps_row_text(struct ps_row *row)
{
    size_t len;
    const char *bytes = ps_stmt_bytes(row->stmt, row->column++, &len);
    if (!bytes)
        return NULL;
    char *text = malloc(len + 1);
    if (!text) {
        row->failed = true;
        return NULL;
    }
    memcpy(text, bytes, len);
    text[len] = '\0';
    return text;
}

int64_t ps_row_int(struct ps_row *row)
{
    return ps_stmt_int(row->stmt, row->column++);
}

struct ps_uuid ps_row_uuid(struct ps_row *row)
{
    int column = row->column++;
    return ps_stmt_is_null(row->stmt, column) ? PS_UUID_NULL : ps_stmt_uuid(row->stmt, column);
}

void ps_args_text(struct ps_args *args, const char *text)
{
    ps_stmt_bind_cstr(args->stmt, ++args->last, text);
}

void ps_args_int(struct ps_args *args, int64_t value)
{
    ps_stmt_bind_int(args->stmt, ++args->last, value);
}

void ps_args_uuid(struct ps_args *args, const struct ps_uuid *uuid)
{
    ps_stmt_bind_uuid(args->stmt, ++args->last, uuid);
}

void ps_args_reference(struct ps_args *args, const struct ps_uuid *uuid)
{
    if (ps_uuid_is_null(uuid))
        ps_stmt_bind_null(args->stmt, ++args->last);
    else
        ps_args_uuid(args, uuid);
}

enum ps_status ps_args_prepare(struct ps_db *db, const char *sql, struct ps_args *out)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st == PS_OK)
        *out = (struct ps_args){ .stmt = stmt };
    return st;
}

enum ps_status ps_row_find(struct ps_stmt *stmt, ps_row_reader *read, void *out)
{
    bool found;
    enum ps_status st = ps_stmt_step(stmt, &found);
    if (st != PS_OK)
        return st;
    if (!found)
        return PS_ENOTFOUND;
    struct ps_row row = { .stmt = stmt };
    st = read(&row, out);
    ps_stmt_reset(stmt);
    return st;
}

enum ps_status ps_row_find_by_id(struct ps_db *db, const char *sql, const struct ps_uuid *id,
                                 ps_row_reader *read, void *out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, sql, &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, id);
    return ps_row_find(args.stmt, read, out);
}

enum ps_status ps_row_clear_by_id(struct ps_db *db, const char *sql, const struct ps_uuid *id)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, sql, &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, id);
    return ps_stmt_run(args.stmt);
}

enum ps_status ps_row_change_by_id(struct ps_db *db, const char *sql, const struct ps_uuid *id)
{
    enum ps_status st = ps_row_clear_by_id(db, sql, id);
    if (st == PS_OK && ps_db_changes(db) == 0)
        return PS_ENOTFOUND;
    return st;
}

enum ps_status ps_row_exists(struct ps_db *db, const char *sql, const struct ps_uuid *first,
                             const struct ps_uuid *second)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, sql, &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, first);
    if (second)
        ps_args_uuid(&args, second);
    bool found;
    st = ps_stmt_step(args.stmt, &found);
    if (st != PS_OK)
        return st;
    ps_stmt_reset(args.stmt);
    return found ? PS_OK : PS_ENOTFOUND;
}

enum ps_status ps_row_saved(struct ps_stmt *stmt, int64_t *created_ms, int64_t *version)
{
    bool found;
    enum ps_status st = ps_stmt_step(stmt, &found);
    if (st != PS_OK)
        return st;
    if (!found)
        return PS_ENOTFOUND;
    *created_ms = ps_stmt_int(stmt, 0);
    *version = ps_stmt_int(stmt, 1);
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_row_finish(struct ps_db *db, enum ps_status st)
{
    if (st == PS_OK)
        return ps_db_release(db);
    ps_db_rollback_savepoint(db);
    return st;
}
