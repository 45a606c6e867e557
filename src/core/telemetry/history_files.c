#include <stdlib.h>

#include "core/telemetry/history_cursor.h"
#include "core/telemetry/store.h"

static int by_walk(const void *left, const void *right)
{
    const struct ps_history_plan *a = left, *b = right;
    return a->key < b->key ? -1 : a->key > b->key;
}

static void note_extremes(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                          int64_t *min_ms, int64_t *max_ms)
{
    *min_ms = INT64_MAX;
    *max_ms = INT64_MIN;
    for (size_t i = 0; i < file->run_count; i++) {
        const struct ps_run *run = &manifest->runs.items[file->first_run + i];
        *min_ms = run->min_ms < *min_ms ? run->min_ms : *min_ms;
        *max_ms = run->max_ms > *max_ms ? run->max_ms : *max_ms;
    }
}

enum ps_status ps_history_cursor_plan(struct ps_history_cursor *cursor)
{
    const struct ps_history_view *view = cursor->view;
    const struct ps_manifest *manifest = &view->manifest;
    size_t count = manifest->files.count;
    if (!count)
        return PS_OK;
    cursor->plan = calloc(count, sizeof *cursor->plan);
    cursor->files = calloc(count, sizeof *cursor->files);
    if (!cursor->plan || !cursor->files)
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int64_t min_ms, max_ms;
        note_extremes(manifest, &manifest->files.items[i], &min_ms, &max_ms);
        if (min_ms > view->last_ms || max_ms < view->first_ms)
            continue;
        cursor->plan[cursor->plan_count++] =
            (struct ps_history_plan){ .file = &manifest->files.items[i],
                                      .key = ps_history_key(&cursor->walk,
                                                            cursor->walk.mask ? max_ms : min_ms) };
    }
    qsort(cursor->plan, cursor->plan_count, sizeof *cursor->plan, by_walk);
    return PS_OK;
}

struct ps_history_source *ps_history_cursor_add_source(struct ps_history_cursor *cursor,
                                                       int64_t rank)
{
    if (cursor->source_count == cursor->source_cap) {
        size_t cap = cursor->source_cap ? cursor->source_cap * 2 : 8;
        struct ps_history_source *grown = realloc(cursor->sources, cap * sizeof *grown);
        if (!grown)
            return NULL;
        cursor->sources = grown;
        cursor->source_cap = cap;
    }
    struct ps_history_source *source = &cursor->sources[cursor->source_count++];
    *source = (struct ps_history_source){ .rank = rank };
    return source;
}

void ps_history_cursor_release(struct ps_history_cursor *cursor, struct ps_history_file *file)
{
    if (file->readers || !file->handle)
        return;
    ps_store_return(cursor->view->history->store, file->handle);
    file->handle = NULL;
}

void ps_history_cursor_remove(struct ps_history_cursor *cursor, size_t index)
{
    struct ps_history_source source = cursor->sources[index];
    bool is_run = source.rank < PS_RANK_TAIL;
    size_t file = source.file;
    ps_history_source_deinit(&source);
    cursor->sources[index] = cursor->sources[--cursor->source_count];
    if (is_run) {
        cursor->files[file].readers--;
        ps_history_cursor_release(cursor, &cursor->files[file]);
    }
}

/* What the manifest says now of what the snapshot has; -1: it does not know it any more. The
 * snapshot may be older than a merge, or than the end of a file. */
static enum ps_status ask_manifest(struct ps_history_view *view, const char *sql, int64_t file,
                                   int64_t run, int64_t *state)
{
    struct ps_stmt *stmt;
    bool row;
    ps_history_view_leave(view); /* the present is meant */
    enum ps_status st = ps_db_prepare(view->history->db, sql, &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, file);
    if (run)
        ps_stmt_bind_int(stmt, 2, run);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    *state = row ? ps_stmt_int(stmt, 0) : -1;
    if (row)
        ps_stmt_reset(stmt);
    return PS_OK;
}

static enum ps_status ask_file(struct ps_history_view *view, int64_t file, int64_t *state)
{
    return ask_manifest(view, "SELECT state FROM telemetry_file WHERE id = ?", file, 0, state);
}

/* The run is not in its file. PS_EBUSY: it was merged, so the snapshot is too old. */
static enum ps_status miss_run(struct ps_history_view *view, const struct ps_manifest_file *file,
                               int64_t run)
{
    int64_t found;
    enum ps_status st = ask_manifest(view,
                                     "SELECT run FROM telemetry_run WHERE file = ? AND run = ?"
                                     " AND retired_ms IS NULL",
                                     file->id, run, &found);
    if (st != PS_OK || found < 0)
        return st == PS_OK ? PS_EBUSY : st;
    struct ps_text what;
    ps_text_set(&what, "%s.db: run %lld is missing", file->name, (long long)run);
    ps_history_damaged_in(view->history, file->name, what.data);
    return PS_OK;
}

/* The file is not there. A dropped one had nothing that is alive. */
static enum ps_status miss_file(struct ps_history_view *view, const struct ps_manifest_file *file)
{
    int64_t state;
    enum ps_status st = ask_file(view, file->id, &state);
    if (st != PS_OK || state != PS_FILE_LIVE)
        return st;
    struct ps_text what;
    ps_text_set(&what, "%s.db is missing", file->name);
    ps_history_damaged_in(view->history, file->name, what.data);
    return PS_OK;
}

/* What has the file's name cannot be read. If the snapshot's file was dropped meanwhile this may be
 * a new one that is just being made: it must be left alone. */
static enum ps_status miss_readable(struct ps_history_view *view,
                                    const struct ps_manifest_file *file, const char *why)
{
    int64_t state;
    enum ps_status st = ask_file(view, file->id, &state);
    if (st != PS_OK || state < 0)
        return st;
    ps_history_damaged(view->history, why);
    if (state == PS_FILE_LIVE)
        ps_store_set_aside(view->history->store, file->name, why);
    return PS_OK;
}

static enum ps_status add_run(struct ps_history_cursor *cursor, size_t file, const char *name,
                              const struct ps_run *run, struct ps_run_reader *reader)
{
    struct ps_history_source *source = ps_history_cursor_add_source(cursor, run->journal_last);
    if (!source) {
        ps_run_reader_close(reader);
        return PS_ENOMEM;
    }
    source->reader = reader;
    source->file = file;
    source->file_name = name;
    source->decoded = cursor->spare;
    cursor->spare = (struct ps_chunk_points){ 0 };
    cursor->files[file].readers++;
    source->deleted = ps_deletions_of(&cursor->view->deletions, cursor->series);
    return PS_OK;
}

static enum ps_status open_run(struct ps_history_cursor *cursor, size_t index,
                               const struct ps_manifest_file *file, const struct ps_run *run)
{
    const struct ps_history_view *view = cursor->view;
    struct ps_run_want want = { .series_from = cursor->series,
                                .series_to = cursor->series,
                                .start_ms = view->first_ms,
                                .end_ms = view->last_ms,
                                .descending = cursor->walk.mask != 0 };
    if (run->min_ms > view->last_ms || run->max_ms < view->first_ms)
        return PS_OK;
    struct ps_run_reader *reader;
    enum ps_status st = ps_run_reader_open(cursor->files[index].handle, run->run, &want, &reader);
    if (st == PS_OK)
        return add_run(cursor, index, file->name, run, reader);
    if (st == PS_ENOTFOUND)
        return miss_run(cursor->view, file, run->run);
    if (st != PS_EPROTO)
        return st;
    ps_history_damaged_in(view->history, file->name,
                          ps_run_file_error(cursor->files[index].handle));
    return PS_OK;
}

/* A file that cannot be opened is out of service from now on; its points are missing, which is
 * reported, and the others are read. *handle is NULL then. */
static enum ps_status borrow(struct ps_history_cursor *cursor, const struct ps_manifest_file *file,
                             struct ps_run_file **handle)
{
    struct ps_history *history = cursor->view->history;
    struct ps_text why;
    *handle = NULL;
    enum ps_status st = ps_store_borrow(history->store, file->name, false, handle, &why);
    if (st == PS_ENOTFOUND)
        return miss_file(cursor->view, file);
    return st == PS_EPROTO ? miss_readable(cursor->view, file, why.data) : st;
}

enum ps_status ps_history_cursor_open_file(struct ps_history_cursor *cursor)
{
    const struct ps_manifest_file *file = cursor->plan[cursor->next_file++].file;
    struct ps_run_file *handle;
    enum ps_status st = borrow(cursor, file, &handle);
    if (st != PS_OK || !handle)
        return st;
    size_t index = cursor->file_count++;
    cursor->files[index] = (struct ps_history_file){ .handle = handle };
    for (size_t i = 0; i < file->run_count && st == PS_OK; i++)
        st = open_run(cursor, index, file, &cursor->view->manifest.runs.items[file->first_run + i]);
    ps_history_cursor_release(cursor, &cursor->files[index]); /* if nothing of it is in range */
    return st;
}
