/* manifest_change: what seals, merges, retention and fsck change in the lists of files and runs. */
#include "core/telemetry/manifest_parts.h"

#include <stdio.h>

static enum ps_status insert_file(struct ps_db *db, int64_t id, const struct ps_range *range,
                                  int64_t created_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      "INSERT INTO telemetry_file(id, name, start_ms, end_ms, created_ms,"
                      " rewritten_ms, state) VALUES(?, ?, ?, ?, ?, ?, 0)",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, id);
    ps_stmt_bind_cstr(stmt, 2, range->name);
    ps_stmt_bind_int(stmt, 3, range->start_ms);
    ps_stmt_bind_int(stmt, 4, range->end_ms);
    ps_stmt_bind_int(stmt, 5, created_ms);
    ps_stmt_bind_int(stmt, 6, created_ms);
    return ps_stmt_run(stmt);
}

/* A former file of that name is gone, or nothing could have been written to this one. */
static enum ps_status end_leaving(struct ps_db *db, const char *name)
{
    char file_name[PS_MANIFEST_NAME_SIZE];
    snprintf(file_name, sizeof file_name, "%s.db", name);
    return ps_manifest_forget_leaving(db, file_name);
}

enum ps_status ps_manifest_put_file(struct ps_db *db, const struct ps_range *range,
                                    int64_t created_ms, int64_t *id)
{
    struct ps_manifest_file file;
    enum ps_status st = ps_manifest_find_file(db, range->name, &file);
    if (st != PS_ENOTFOUND) {
        if (st == PS_OK)
            *id = file.id;
        return st;
    }
    int64_t next = 0;
    st = ps_manifest_state(db, PS_STATE_NEXT_FILE, 1, &next);
    if (st == PS_OK)
        st = insert_file(db, next, range, created_ms);
    if (st == PS_OK)
        st = end_leaving(db, range->name);
    if (st == PS_OK)
        st = ps_manifest_set_state(db, PS_STATE_NEXT_FILE, next + 1);
    if (st == PS_OK)
        *id = next;
    return st;
}

enum ps_status ps_manifest_set_rewritten(struct ps_db *db, int64_t file, int64_t rewritten_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "UPDATE telemetry_file SET rewritten_ms = ? WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, rewritten_ms);
    ps_stmt_bind_int(stmt, 2, file);
    return ps_manifest_change_one(db, stmt);
}

enum ps_status ps_manifest_set_aside(struct ps_db *db, int64_t file, const char *renamed)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "UPDATE telemetry_file SET name = ?, state = 1 WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, renamed);
    ps_stmt_bind_int(stmt, 2, file);
    return ps_manifest_change_one(db, stmt);
}

enum ps_status ps_manifest_drop_file(struct ps_db *db, int64_t file)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "DELETE FROM telemetry_run WHERE file = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, file);
    st = ps_stmt_run(stmt);
    if (st == PS_OK)
        st = ps_db_prepare(db, "DELETE FROM telemetry_file WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, file);
    return ps_manifest_change_one(db, stmt);
}

enum ps_status ps_manifest_add_run(struct ps_db *db, const struct ps_run *run)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      "INSERT INTO telemetry_run(file, run, level, journal_first, journal_last,"
                      " points, bytes, min_ms, max_ms, max_ttl_s, has_default_ttl, created_ms,"
                      " retired_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      &stmt);
    if (st != PS_OK)
        return st;
    const int64_t values[] = {
        run->file,         run->run,       run->level,           run->journal_first,
        run->journal_last, run->points,    run->bytes,           run->min_ms,
        run->max_ms,       run->max_ttl_s, run->has_default_ttl, run->created_ms
    };
    int count = (int)(sizeof values / sizeof *values);
    for (int i = 0; i < count; i++)
        ps_stmt_bind_int(stmt, i + 1, values[i]);
    if (run->retired_ms)
        ps_stmt_bind_int(stmt, count + 1, run->retired_ms);
    else
        ps_stmt_bind_null(stmt, count + 1);
    return ps_stmt_run(stmt);
}

enum ps_status ps_manifest_retire_run(struct ps_db *db, int64_t file, int64_t run,
                                      int64_t retired_ms)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        db, "UPDATE telemetry_run SET retired_ms = ? WHERE file = ? AND run = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, retired_ms);
    ps_stmt_bind_int(stmt, 2, file);
    ps_stmt_bind_int(stmt, 3, run);
    return ps_manifest_change_one(db, stmt);
}

enum ps_status ps_manifest_forget_run(struct ps_db *db, int64_t file, int64_t run)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "DELETE FROM telemetry_run WHERE file = ? AND run = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, file);
    ps_stmt_bind_int(stmt, 2, run);
    return ps_manifest_change_one(db, stmt);
}
