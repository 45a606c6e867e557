#include "core/telemetry/retention.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/storage/writer.h"
#include "core/telemetry/store.h"
#include "core/telemetry/tombstone_sweep.h"

enum {
    DELETE_SLICE = 256,  /* blocks of a run that go in one transaction */
    SHRINK_SLICE = 1024, /* pages that go back to the file system in one transaction */
};

/* ---- files ---- */

static enum ps_status forget_file(struct ps_db *db, void *arg)
{
    const struct ps_retention_file *file = arg;
    enum ps_status st = ps_manifest_drop_file(db, file->file);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static void log_drop(const struct ps_retention_file *file, const char *reason)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_INFO, "telemetry", "file_deleted"))
        return;
    ps_log_text(&line, "file", file->name);
    ps_log_text(&line, "reason", reason);
    ps_log_int(&line, "points", file->points);
    ps_log_int(&line, "bytes", file->bytes);
    ps_log_end(&line);
}

static enum ps_status drop(struct ps_keep *keep, struct ps_retention_file *file,
                           enum ps_metric reason, struct ps_retention_result *out)
{
    enum ps_status st = ps_writer_call(keep->writer, forget_file, file);
    if (st != PS_OK)
        return st;
    ps_store_drop(keep->store, file->name);
    log_drop(file, reason == PS_METRIC_FILES_SHED ? "disk_full" : "expired");
    ps_keep_count(keep, reason, 1);
    if (reason == PS_METRIC_FILES_DELETED)
        ps_keep_count(keep, PS_METRIC_EXPIRED_POINTS, file->points);
    out->files_dropped++;
    out->bytes_dropped += file->bytes;
    out->points_dropped += file->points;
    return PS_OK;
}

static struct ps_retention_file *find_due(struct ps_retention_file *files, size_t count,
                                          int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (files[i].deleted_at_ms <= now_ms)
            return &files[i];
    }
    return NULL;
}

static enum ps_status list(struct ps_keep *keep, bool fresh, struct ps_retention_file **files,
                           size_t *count)
{
    uint32_t greatest_s;
    enum ps_status st = ps_keep_greatest_ttl(keep, fresh, &greatest_s);
    return st == PS_OK ? ps_retention_list(keep->db, greatest_s, files, count) : st;
}

static void show_files(struct ps_keep *keep, const struct ps_retention_file *files, size_t count)
{
    int64_t live = 0;
    for (size_t i = 0; i < count; i++)
        live += !files[i].damaged;
    ps_keep_count(keep, PS_METRIC_FILES, live - keep->files_counted);
    keep->files_counted = live;
}

/* The next file that is due; PS_ENOTFOUND: none is. What profiles say is read anew before the first
 * is dropped for it. */
static enum ps_status drop_next(struct ps_keep *keep, int64_t now_ms,
                                struct ps_retention_result *out)
{
    struct ps_retention_file *files = NULL, *due = NULL;
    size_t count = 0;
    enum ps_status st = list(keep, false, &files, &count);
    if (st == PS_OK && !out->files_dropped && find_due(files, count, now_ms)) {
        free(files);
        files = NULL;
        st = list(keep, true, &files, &count);
    }
    if (st == PS_OK) {
        due = find_due(files, count, now_ms);
        st = due ? drop(keep, due, PS_METRIC_FILES_DELETED, out) : PS_ENOTFOUND;
    }
    if (st == PS_ENOTFOUND)
        show_files(keep, files, count);
    free(files);
    return st;
}

/* The list is made anew for each: while we breathe, something that lives may be sealed into a file
 * that was due. */
static enum ps_status drop_expired(struct ps_keep *keep, int64_t now_ms,
                                   struct ps_retention_result *out)
{
    enum ps_status st;
    while ((st = drop_next(keep, now_ms, out)) == PS_OK) {
        st = ps_keep_breathe(keep);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* ---- runs ---- */

/* A slice at a time, the handle given back in between: a seal may want it. */
static enum ps_status delete_run(struct ps_keep *keep, const char *name, int64_t run)
{
    bool finished = false;
    enum ps_status st = PS_OK;
    while (st == PS_OK && !finished) {
        struct ps_run_file *file;
        st = ps_store_borrow(keep->store, name, true, &file, NULL);
        if (st != PS_OK)
            break;
        st = ps_run_file_delete(file, run, DELETE_SLICE, &finished);
        ps_store_return(keep->store, file);
        if (st == PS_OK)
            st = ps_keep_breathe(keep);
    }
    return st;
}

static enum ps_status forget_run(struct ps_db *db, void *arg)
{
    const struct ps_run *run = arg;
    enum ps_status st = ps_manifest_forget_run(db, run->file, run->run);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* Nothing is written to a file any more whose range is over, so its free pages are of no use. */
static enum ps_status shrink(struct ps_keep *keep, const struct ps_manifest_file *row)
{
    struct ps_run_file_space space = { 0 };
    int64_t before = INT64_MAX;
    enum ps_status st = row->end_ms <= ps_clock_now_ms() ? PS_OK : PS_ENOTFOUND;
    while (st == PS_OK) {
        struct ps_run_file *file;
        st = ps_store_borrow(keep->store, row->name, true, &file, NULL);
        if (st != PS_OK)
            break;
        st = ps_run_file_space(file, &space);
        bool worth = space.free_pages > space.pages / 8 && space.pages < before;
        before = space.pages;
        if (st == PS_OK)
            st = worth ? ps_run_file_shrink(file, SHRINK_SLICE) : PS_ENOTFOUND;
        ps_store_return(keep->store, file);
        if (st == PS_OK)
            st = ps_keep_breathe(keep);
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static enum ps_status delete_retired_of(struct ps_keep *keep, const struct ps_manifest_file *row,
                                        int64_t retired_before_ms, struct ps_retention_result *out)
{
    struct ps_run_list runs = { 0 };
    size_t before = out->runs_deleted;
    enum ps_status st = ps_manifest_runs(keep->db, row->id, true, &runs);
    for (size_t i = 0; i < runs.count && st == PS_OK; i++) {
        struct ps_run *run = &runs.items[i];
        if (!run->retired_ms || run->retired_ms > retired_before_ms)
            continue;
        st = delete_run(keep, row->name, run->run);
        if (st == PS_OK)
            st = ps_writer_call(keep->writer, forget_run, run);
        out->runs_deleted += st == PS_OK;
    }
    ps_run_list_deinit(&runs);
    if (st == PS_OK && out->runs_deleted > before)
        st = shrink(keep, row);
    return st;
}

static enum ps_status live_files(struct ps_keep *keep, struct ps_manifest_file_list *out)
{
    enum ps_status st = ps_manifest_files(keep->db, out);
    size_t kept = 0;
    for (size_t i = 0; st == PS_OK && i < out->count; i++) {
        if (out->items[i].state == PS_FILE_LIVE)
            out->items[kept++] = out->items[i];
    }
    out->count = kept;
    return st;
}

static enum ps_status set_aside(struct ps_keep *keep, const char *name)
{
    struct ps_run_file *file;
    struct ps_text why = { "" };
    enum ps_status st = ps_store_borrow(keep->store, name, false, &file, &why);
    if (st == PS_OK) {
        ps_store_return(keep->store, file);
        ps_text_set(&why, "damage found while runs were deleted");
    }
    ps_store_set_aside(keep->store, name, why.data);
    return ps_keep_settle_aside(keep);
}

/* One bad file does not keep the others from their due. */
static enum ps_status go_on(struct ps_keep *keep, const char *name, enum ps_status st)
{
    if (st == PS_EPROTO)
        return set_aside(keep, name);
    return st == PS_ENOTFOUND || st == PS_EBUSY ? PS_OK : st;
}

static enum ps_status delete_retired(struct ps_keep *keep, int64_t retired_before_ms,
                                     struct ps_retention_result *out)
{
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = live_files(keep, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++)
        st = go_on(keep, files.items[i].name,
                   delete_retired_of(keep, &files.items[i], retired_before_ms, out));
    ps_manifest_file_list_deinit(&files);
    return st;
}

/* ---- garbage ---- */

static bool is_in(const struct ps_run_list *list, int64_t run)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].run == run)
            return true;
    }
    return false;
}

static enum ps_status last_seq_of(struct ps_db *db, int64_t *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(db, "SELECT max(seq) FROM journal", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    *out = ps_stmt_int(stmt, 0); /* 0 if it is empty */
    ps_stmt_reset(stmt);
    return PS_OK;
}

/* What a file has: all run numbers, and of the complete ones what they hold. */
static enum ps_status look_into(struct ps_keep *keep, const char *name, struct ps_run_list *numbers,
                                struct ps_run_list *complete)
{
    struct ps_run_file *file;
    enum ps_status st = ps_store_borrow(keep->store, name, false, &file, NULL);
    if (st != PS_OK)
        return st;
    st = ps_run_file_numbers(file, numbers);
    if (st == PS_OK)
        st = ps_run_file_runs(file, complete);
    ps_store_return(keep->store, file);
    return st;
}

/* A run of journal rows that this database never had: an older copy of the database was put beside
 * newer files. It may be all there is of its points, so it stays for fsck. */
static bool is_newer_than_database(const struct ps_run_list *complete, int64_t run,
                                   int64_t last_seq)
{
    for (size_t i = 0; i < complete->count; i++) {
        if (complete->items[i].run == run)
            return complete->items[i].journal_last > last_seq;
    }
    return false;
}

static enum ps_status last_seq_ever(struct ps_db *db, int64_t *out)
{
    int64_t sealed_seq, last_seq;
    enum ps_status st = ps_manifest_state(db, PS_STATE_SEALED_SEQ, 0, &sealed_seq);
    if (st == PS_OK)
        st = last_seq_of(db, &last_seq);
    if (st == PS_OK)
        *out = sealed_seq > last_seq ? sealed_seq : last_seq;
    return st;
}

static enum ps_status collect_of(struct ps_keep *keep, const struct ps_manifest_file *row,
                                 struct ps_retention_result *out)
{
    struct ps_run_list found = { 0 }, complete = { 0 }, known = { 0 };
    int64_t last_seq;
    enum ps_status st = look_into(keep, row->name, &found, &complete);
    if (st == PS_OK)
        st = ps_manifest_runs(keep->db, row->id, true, &known);
    if (st == PS_OK)
        st = last_seq_ever(keep->db, &last_seq);
    for (size_t i = 0; i < found.count && st == PS_OK; i++) {
        int64_t run = found.items[i].run;
        if (is_in(&known, run))
            continue;
        if (is_newer_than_database(&complete, run, last_seq)) {
            ps_log_event(PS_LOG_ERROR, "telemetry", "file_newer_than_database", "file", row->name);
            continue;
        }
        st = delete_run(keep, row->name, run);
        out->runs_deleted += st == PS_OK;
    }
    ps_run_list_deinit(&found);
    ps_run_list_deinit(&complete);
    ps_run_list_deinit(&known);
    return st;
}

static enum ps_status collect_runs(struct ps_keep *keep, struct ps_retention_result *out)
{
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = live_files(keep, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++) {
        st = go_on(keep, files.items[i].name, collect_of(keep, &files.items[i], out));
        if (st == PS_OK)
            st = ps_keep_breathe(keep);
    }
    ps_manifest_file_list_deinit(&files);
    return st;
}

struct unknown_files {
    struct ps_keep *keep;
    int64_t sealed_seq, last_seq; /* of the journal */
    int64_t now_ms;
    uint32_t greatest_ttl_s;
};

/* The journal has its points, too; or it was dropped because they are expired, and the power went
 * before it was removed. Where a database does not know of sealing it, it is not the one that
 * dropped it. */
static bool is_garbage(const struct unknown_files *unknown, const struct ps_run *run)
{
    if (run->journal_last <= unknown->sealed_seq)
        return ps_retention_expires_at(run, unknown->greatest_ttl_s) <= unknown->now_ms;
    return run->level == 0 && run->journal_first > unknown->sealed_seq &&
           run->journal_last <= unknown->last_seq;
}

/* Of a file whose making was interrupted the writing handle makes a whole one; a reader takes it
 * for damaged. */
static enum ps_status has_garbage_only(struct unknown_files *unknown, const char *name, bool *out)
{
    struct ps_run_list runs = { 0 };
    struct ps_run_file *file;
    enum ps_status st = ps_store_borrow(unknown->keep->store, name, false, &file, NULL);
    if (st == PS_EPROTO)
        st = ps_store_borrow(unknown->keep->store, name, true, &file, NULL);
    if (st != PS_OK)
        return st;
    st = ps_run_file_runs(file, &runs);
    ps_store_return(unknown->keep->store, file);
    *out = true;
    for (size_t i = 0; i < runs.count; i++)
        *out &= is_garbage(unknown, &runs.items[i]);
    ps_run_list_deinit(&runs);
    return st;
}

static enum ps_status look_at_name(void *arg, const char *name)
{
    struct unknown_files *unknown = arg;
    struct ps_manifest_file row;
    bool garbage = false;
    enum ps_status st = ps_manifest_find_file(unknown->keep->db, name, &row);
    if (st != PS_ENOTFOUND)
        return st;
    st = has_garbage_only(unknown, name, &garbage);
    if (st == PS_OK && garbage) {
        ps_store_drop(unknown->keep->store, name);
        return PS_OK;
    }
    ps_log_event(PS_LOG_WARN, "telemetry", "file_unknown", "file", name);
    return PS_OK;
}

static enum ps_status collect_files(struct ps_keep *keep)
{
    struct unknown_files unknown = { .keep = keep, .now_ms = ps_clock_now_ms() };
    enum ps_status st = ps_manifest_state(keep->db, PS_STATE_SEALED_SEQ, 0, &unknown.sealed_seq);
    if (st == PS_OK)
        st = last_seq_of(keep->db, &unknown.last_seq);
    if (st == PS_OK)
        st = ps_keep_greatest_ttl(keep, true, &unknown.greatest_ttl_s);
    return st == PS_OK ? ps_store_list(keep->store, look_at_name, &unknown) : st;
}

/* ---- all of it ---- */

enum ps_status ps_retention_collect(struct ps_keep *keep, bool at_start,
                                    struct ps_retention_result *out)
{
    int fd;
    struct ps_retention_result result = { 0 };
    enum ps_status st = ps_keep_settle_aside(keep);
    if (st == PS_OK && !at_start)
        st = ps_keep_make_sure(keep);
    if (st != PS_OK)
        return st;
    result.held = !ps_keep_lock(keep, &fd);
    if (!result.held) {
        st = collect_files(keep);
        if (st == PS_OK)
            st = collect_runs(keep, &result);
        if (st == PS_OK && at_start)
            st = delete_retired(keep, INT64_MAX, &result);
        ps_keep_unlock(keep, fd);
    }
    if (st == PS_OK) {
        keep->garbage = result.held;
        *out = result;
    }
    return st;
}

static enum ps_status apply(struct ps_keep *keep, int64_t now_ms, struct ps_retention_result *out)
{
    enum ps_status st = drop_expired(keep, now_ms, out);
    if (st == PS_OK)
        st = delete_retired(keep, now_ms - keep->retired_keep_ms, out);
    if (st == PS_OK)
        st = ps_tombstone_sweep(keep, now_ms, &out->tombstones_purged);
    return st;
}

enum ps_status ps_retention_apply(struct ps_keep *keep, int64_t now_ms,
                                  struct ps_retention_result *out)
{
    int fd;
    struct ps_retention_result result = { 0 };
    enum ps_status st = ps_keep_settle_aside(keep);
    if (st == PS_OK && keep->garbage)
        st = ps_retention_collect(keep, false, &result);
    if (st != PS_OK)
        return st;
    result.held = !ps_keep_lock(keep, &fd);
    if (!result.held) {
        st = apply(keep, now_ms, &result);
        ps_keep_unlock(keep, fd);
    }
    if (st == PS_OK)
        *out = result;
    return st;
}

static enum ps_status shed_oldest(struct ps_keep *keep, struct ps_retention_result *out)
{
    struct ps_retention_file *files = NULL, *oldest = NULL;
    size_t count = 0, live = 0;
    enum ps_status st = ps_retention_list(keep->db, 0, &files, &count);
    for (size_t i = 0; st == PS_OK && i < count; i++) {
        if (files[i].damaged)
            continue;
        live++;
        if (!oldest || files[i].end_ms < oldest->end_ms)
            oldest = &files[i];
    }
    if (st == PS_OK)
        st = live > 1 ? drop(keep, oldest, PS_METRIC_FILES_SHED, out) : PS_ENOTFOUND;
    free(files);
    return st;
}

enum ps_status ps_retention_shed(struct ps_keep *keep, struct ps_retention_result *out)
{
    int fd;
    struct ps_retention_result result = { 0 };
    if (!ps_keep_lock(keep, &fd))
        return PS_EBUSY;
    enum ps_status st = shed_oldest(keep, &result);
    ps_keep_unlock(keep, fd);
    if (st == PS_OK)
        *out = result;
    return st;
}
