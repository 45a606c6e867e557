/* run_list: the runs of a range file, and their numbers. */
#include "core/telemetry/run_file.h"

#include <stdlib.h>

/* ---- lists of runs ---- */

enum ps_status ps_run_list_add(struct ps_run_list *list, const struct ps_run *run)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        struct ps_run *items = realloc(list->items, cap * sizeof *items);
        if (!items)
            return PS_ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = *run;
    return PS_OK;
}

void ps_run_list_deinit(struct ps_run_list *list)
{
    free(list->items);
    *list = (struct ps_run_list){ 0 };
}

static bool is_merged_into(const struct ps_run *run, const struct ps_run *merged)
{
    return merged->level > run->level && merged->run > run->run &&
           merged->journal_first <= run->journal_first && merged->journal_last >= run->journal_last;
}

void ps_run_list_drop_merged(struct ps_run_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool gone = false;
        for (size_t j = 0; j < list->count && !gone; j++)
            gone = is_merged_into(&list->items[i], &list->items[j]);
        list->items[i].retired_ms = gone; /* compared with all before any of them goes */
    }
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].retired_ms && list->items[i].points)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* ---- rows ---- */

static void take_run(struct ps_stmt *stmt, struct ps_run *run)
{
    *run = (struct ps_run){
        .run = ps_stmt_int(stmt, 0),
        .level = (int)ps_stmt_int(stmt, 1),
        .journal_first = ps_stmt_int(stmt, 2),
        .journal_last = ps_stmt_int(stmt, 3),
        .points = ps_stmt_int(stmt, 4),
        .bytes = ps_stmt_int(stmt, 5),
        .min_ms = ps_stmt_int(stmt, 6),
        .max_ms = ps_stmt_int(stmt, 7),
        .max_ttl_s = (uint32_t)ps_stmt_int(stmt, 8),
        .has_default_ttl = ps_stmt_int(stmt, 9) != 0,
        .created_ms = ps_stmt_int(stmt, 10),
    };
}

enum ps_status ps_run_file_runs(struct ps_run_file *file, struct ps_run_list *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(ps_run_file_db(file),
                                      "SELECT run, level, journal_first, journal_last, points,"
                                      " bytes, min_ms, max_ms, max_ttl_s, has_default_ttl,"
                                      " created_ms FROM run ORDER BY run",
                                      &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_run run;
        take_run(stmt, &run);
        st = ps_run_list_add(out, &run);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            break;
        }
    }
    return ps_run_file_failed(file, st);
}

/* ---- numbers ---- */

static enum ps_status last_number(struct ps_run_file *file, int64_t *out)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st =
        ps_db_prepare(ps_run_file_db(file), "SELECT value FROM meta WHERE key = 'last_run'", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    *out = row ? ps_stmt_int(stmt, 0) : 0;
    if (row)
        ps_stmt_reset(stmt);
    return PS_OK;
}

static enum ps_status note_number(struct ps_run_file *file, int64_t run)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(ps_run_file_db(file),
                                      "INSERT INTO meta(key, value) VALUES('last_run', ?)"
                                      " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                      &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_int(stmt, 1, run);
    return ps_run_file_failed(file, ps_stmt_run(stmt));
}

static enum ps_status first_number(struct ps_run_file *file, const char *sql, int64_t from,
                                   int64_t *out)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = ps_db_prepare(ps_run_file_db(file), sql, &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_int(stmt, 1, from);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    *out = row ? ps_stmt_int(stmt, 0) : INT64_MAX;
    if (row)
        ps_stmt_reset(stmt);
    return PS_OK;
}

/* The least number >= from that has a row or a block; INT64_MAX if there is none. */
static enum ps_status next_used(struct ps_run_file *file, int64_t from, int64_t *out)
{
    int64_t run = 0, block = 0;
    enum ps_status st =
        first_number(file, "SELECT run FROM run WHERE run >= ? ORDER BY run LIMIT 1", from, &run);
    if (st == PS_OK)
        st = first_number(file, "SELECT id FROM block WHERE id >= ? ORDER BY id LIMIT 1",
                          ps_block_id(from, 0, 0), &block);
    if (st != PS_OK)
        return st;
    int64_t of_block = block == INT64_MAX ? INT64_MAX : ps_block_id_run(block);
    *out = run < of_block ? run : of_block;
    return PS_OK;
}

enum ps_status ps_run_file_numbers(struct ps_run_file *file, struct ps_run_list *out)
{
    for (int64_t from = 1; from <= PS_RUN_NUMBER_MAX;) {
        int64_t run;
        enum ps_status st = next_used(file, from, &run);
        if (st != PS_OK || run > PS_RUN_NUMBER_MAX)
            return st;
        st = ps_run_list_add(out, &(struct ps_run){ .run = run });
        if (st != PS_OK)
            return ps_run_file_failed(file, st);
        from = run + 1;
    }
    return PS_OK;
}

static bool list_has(const struct ps_run_list *list, int64_t run)
{
    for (size_t i = 0; list && i < list->count; i++) {
        if (list->items[i].run == run)
            return true;
    }
    return false;
}

static enum ps_status find_gap(struct ps_run_file *file, const struct ps_run_list *known,
                               int64_t *out)
{
    for (int64_t run = 1; run <= PS_RUN_NUMBER_MAX; run++) {
        int64_t used;
        enum ps_status st = next_used(file, run, &used);
        if (st != PS_OK)
            return st;
        if (used != run && !list_has(known, run)) {
            *out = run;
            return PS_OK;
        }
    }
    (void)ps_run_file_damaged(file, 0, "no number is free for a new run");
    return PS_ELIMIT;
}

enum ps_status ps_run_file_next_number(struct ps_run_file *file, const struct ps_run_list *known,
                                       int64_t *out)
{
    int64_t last = 0, run = 0, block = 0;
    enum ps_status st = last_number(file, &last);
    if (st == PS_OK)
        st = first_number(file, "SELECT coalesce(max(run), ?) FROM run", 0, &run);
    if (st == PS_OK)
        st = first_number(file, "SELECT coalesce(max(id), ?) FROM block", 0, &block);
    if (st != PS_OK)
        return st;
    last = run > last ? run : last;
    last = ps_block_id_run(block) > last ? ps_block_id_run(block) : last;
    for (size_t i = 0; known && i < known->count; i++)
        last = known->items[i].run > last ? known->items[i].run : last;
    if (last >= PS_RUN_NUMBER_MAX)
        return find_gap(file, known, out);
    *out = last < 1 ? 1 : last + 1;
    return PS_OK;
}

enum ps_status ps_run_file_put_run(struct ps_run_file *file, const struct ps_run *run)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(ps_run_file_db(file),
                      "INSERT INTO run(run, level, journal_first, journal_last, points, bytes,"
                      " min_ms, max_ms, max_ttl_s, has_default_ttl, created_ms)"
                      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    const int64_t values[] = {
        run->run,       run->level,           run->journal_first, run->journal_last,
        run->points,    run->bytes,           run->min_ms,        run->max_ms,
        run->max_ttl_s, run->has_default_ttl, run->created_ms
    };
    for (int i = 0; i < (int)(sizeof values / sizeof *values); i++)
        ps_stmt_bind_int(stmt, i + 1, values[i]);
    st = ps_stmt_run(stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    return note_number(file, run->run);
}
