#include "core/telemetry/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns every query of runs asks for, from `r`. */
#define RUN_COLUMNS                                                                                \
    "r.file, r.run, r.level, r.journal_first, r.journal_last, r.points, r.bytes, r.min_ms,"        \
    " r.max_ms, r.max_ttl_s, r.has_default_ttl, r.created_ms, r.retired_ms"
#define FILE_COLUMNS "f.id, f.name, f.start_ms, f.end_ms, f.created_ms, f.rewritten_ms, f.state"

enum { RUN_COLUMN_COUNT = 13 };

/* ---- lists ---- */

static bool grow(void **items, size_t *cap, size_t item_size)
{
    size_t wanted = *cap ? 2 * *cap : 16;
    void *larger = realloc(*items, wanted * item_size);
    if (!larger)
        return false;
    *items = larger;
    *cap = wanted;
    return true;
}

void ps_manifest_file_list_deinit(struct ps_manifest_file_list *list)
{
    free(list->items);
    *list = (struct ps_manifest_file_list){ 0 };
}

static enum ps_status add_file(struct ps_manifest_file_list *list,
                               const struct ps_manifest_file *file)
{
    if (list->count == list->cap && !grow((void **)&list->items, &list->cap, sizeof *file))
        return PS_ENOMEM;
    list->items[list->count++] = *file;
    return PS_OK;
}

void ps_tombstone_list_deinit(struct ps_tombstone_list *list)
{
    free(list->items);
    *list = (struct ps_tombstone_list){ 0 };
}

static enum ps_status add_tombstone(struct ps_tombstone_list *list,
                                    const struct ps_tombstone *tombstone)
{
    if (list->count == list->cap && !grow((void **)&list->items, &list->cap, sizeof *tombstone))
        return PS_ENOMEM;
    list->items[list->count++] = *tombstone;
    return PS_OK;
}

void ps_manifest_deinit(struct ps_manifest *manifest)
{
    ps_manifest_file_list_deinit(&manifest->files);
    ps_run_list_deinit(&manifest->runs);
}

/* ---- rows ---- */

static void take_run(struct ps_stmt *stmt, int column, struct ps_run *run)
{
    *run = (struct ps_run){
        .file = ps_stmt_int(stmt, column),
        .run = ps_stmt_int(stmt, column + 1),
        .level = (int)ps_stmt_int(stmt, column + 2),
        .journal_first = ps_stmt_int(stmt, column + 3),
        .journal_last = ps_stmt_int(stmt, column + 4),
        .points = ps_stmt_int(stmt, column + 5),
        .bytes = ps_stmt_int(stmt, column + 6),
        .min_ms = ps_stmt_int(stmt, column + 7),
        .max_ms = ps_stmt_int(stmt, column + 8),
        .max_ttl_s = (uint32_t)ps_stmt_int(stmt, column + 9),
        .has_default_ttl = ps_stmt_int(stmt, column + 10) != 0,
        .created_ms = ps_stmt_int(stmt, column + 11),
        .retired_ms = ps_stmt_int(stmt, column + 12), /* NULL reads as 0 */
    };
}

static void take_file(struct ps_stmt *stmt, int column, struct ps_manifest_file *file)
{
    size_t len;
    *file = (struct ps_manifest_file){
        .id = ps_stmt_int(stmt, column),
        .start_ms = ps_stmt_int(stmt, column + 2),
        .end_ms = ps_stmt_int(stmt, column + 3),
        .created_ms = ps_stmt_int(stmt, column + 4),
        .rewritten_ms = ps_stmt_int(stmt, column + 5),
        .state = (int)ps_stmt_int(stmt, column + 6),
    };
    const char *name = ps_stmt_bytes(stmt, column + 1, &len);
    snprintf(file->name, sizeof file->name, "%.*s", (int)len, name ? name : "");
}

/* Run a change that must meet exactly one row. */
static enum ps_status change_one(struct ps_db *db, struct ps_stmt *stmt)
{
    enum ps_status st = ps_stmt_run(stmt);
    if (st == PS_OK && ps_db_changes(db) == 0)
        return PS_ENOTFOUND;
    return st;
}

/* ---- reading ---- */

static enum ps_status take_planned(struct ps_stmt *stmt, struct ps_manifest *out)
{
    struct ps_run run;
    enum ps_status st = PS_OK;
    take_run(stmt, 0, &run);
    struct ps_manifest_file_list *files = &out->files;
    if (files->count == 0 || files->items[files->count - 1].id != run.file) {
        struct ps_manifest_file file;
        take_file(stmt, RUN_COLUMN_COUNT, &file);
        file.first_run = out->runs.count;
        st = add_file(files, &file);
    }
    if (st == PS_OK)
        st = ps_run_list_add(&out->runs, &run);
    if (st == PS_OK)
        files->items[files->count - 1].run_count++;
    return st;
}

enum ps_status ps_manifest_load(struct ps_db *db, int64_t start_ms, int64_t end_ms,
                                struct ps_manifest *out)
{
    struct ps_stmt *stmt;
    bool row;
    out->files.count = out->runs.count = 0;
    enum ps_status st = ps_db_prepare(db,
                                      "SELECT " RUN_COLUMNS ", " FILE_COLUMNS
                                      " FROM telemetry_file f JOIN telemetry_run r ON r.file = f.id"
                                      " WHERE f.state = 0 AND r.retired_ms IS NULL"
                                      " AND r.max_ms >= ? AND r.min_ms <= ?"
                                      " ORDER BY f.start_ms, f.id, r.journal_last, r.run",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, start_ms);
    ps_stmt_bind_int(stmt, 2, end_ms);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        st = take_planned(stmt, out);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

enum ps_status ps_manifest_files(struct ps_db *db, struct ps_manifest_file_list *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(
        db, "SELECT " FILE_COLUMNS " FROM telemetry_file f ORDER BY f.start_ms, f.id", &stmt);
    if (st != PS_OK)
        return st;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_manifest_file file;
        take_file(stmt, 0, &file);
        st = add_file(out, &file);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

enum ps_status ps_manifest_find_file(struct ps_db *db, const char *name,
                                     struct ps_manifest_file *out)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st =
        ps_db_prepare(db, "SELECT " FILE_COLUMNS " FROM telemetry_file f WHERE f.name = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, name);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st == PS_OK ? PS_ENOTFOUND : st;
    take_file(stmt, 0, out);
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_manifest_runs(struct ps_db *db, int64_t file, bool with_retired,
                                struct ps_run_list *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT " RUN_COLUMNS " FROM telemetry_run r WHERE r.file = ?"
                      " AND (r.retired_ms IS NULL OR ?) ORDER BY r.journal_last, r.run",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, file);
    ps_stmt_bind_int(stmt, 2, with_retired);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_run run;
        take_run(stmt, 0, &run);
        st = ps_run_list_add(out, &run);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

/* ---- changing files and runs ---- */

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
    return change_one(db, stmt);
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
    return change_one(db, stmt);
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
    return change_one(db, stmt);
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
    return change_one(db, stmt);
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
    return change_one(db, stmt);
}

/* ---- tombstones ---- */

static enum ps_status take_tombstones(struct ps_stmt *stmt, struct ps_tombstone_list *out)
{
    bool row;
    enum ps_status st;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_tombstone tombstone = {
            .id = ps_stmt_int(stmt, 0),
            .series = (uint32_t)ps_stmt_int(stmt, 1),
            .start_ms = ps_stmt_int(stmt, 2),
            .end_ms = ps_stmt_int(stmt, 3),
            .seq = ps_stmt_int(stmt, 4),
            .idx = ps_stmt_int(stmt, 5),
            .created_ms = ps_stmt_int(stmt, 6),
        };
        st = add_tombstone(out, &tombstone);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

enum ps_status ps_manifest_tombstones(struct ps_db *db, uint32_t series,
                                      struct ps_tombstone_list *out)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT id, series, start_ms, end_ms, seq, idx, created_ms FROM tombstone"
                      " WHERE series = ? ORDER BY seq, idx, id",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    return take_tombstones(stmt, out);
}

enum ps_status ps_manifest_all_tombstones(struct ps_db *db, struct ps_tombstone_list *out)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT id, series, start_ms, end_ms, seq, idx, created_ms FROM tombstone"
                      " ORDER BY series, seq, idx, id",
                      &stmt);
    return st == PS_OK ? take_tombstones(stmt, out) : st;
}

enum ps_status ps_manifest_add_tombstone(struct ps_db *db, struct ps_tombstone *tombstone)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st =
        ps_db_prepare(db,
                      "INSERT INTO tombstone(series, start_ms, end_ms, seq, idx, created_ms)"
                      " VALUES(?, ?, ?, ?, ?, ?) RETURNING id",
                      &stmt);
    if (st != PS_OK)
        return st;
    const int64_t values[] = { tombstone->series, tombstone->start_ms, tombstone->end_ms,
                               tombstone->seq,    tombstone->idx,      tombstone->created_ms };
    for (int i = 0; i < (int)(sizeof values / sizeof *values); i++)
        ps_stmt_bind_int(stmt, i + 1, values[i]);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    tombstone->id = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_manifest_forget_tombstone(struct ps_db *db, int64_t id)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "DELETE FROM tombstone WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, id);
    return change_one(db, stmt);
}

/* ---- counters ---- */

enum ps_status ps_manifest_state(struct ps_db *db, const char *key, int64_t missing, int64_t *value)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = ps_db_prepare(db, "SELECT value FROM telemetry_state WHERE key = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    *value = row ? ps_stmt_int(stmt, 0) : missing;
    if (row)
        ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_manifest_set_state(struct ps_db *db, const char *key, int64_t value)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "INSERT INTO telemetry_state(key, value) VALUES(?, ?)"
                                      " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    ps_stmt_bind_int(stmt, 2, value);
    return ps_stmt_run(stmt);
}
