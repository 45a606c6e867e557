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
