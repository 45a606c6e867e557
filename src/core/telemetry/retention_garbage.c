/* retention_garbage: what an interrupted seal, merge or drop has left, see ps_retention_collect().
 */
#include "core/telemetry/retention.h"

#include <stdio.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/storage/writer.h"
#include "core/telemetry/retention_runs.h"
#include "core/telemetry/store.h"

/* ---- runs ---- */

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
    enum ps_status st = ps_store_borrow(keep->store, name, false, &file, &keep->why);
    if (st != PS_OK)
        return st;
    st = ps_run_file_numbers(file, numbers);
    if (st == PS_OK)
        st = ps_run_file_runs(file, complete);
    (void)ps_keep_failed(keep, file, st);
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
        st = ps_retention_delete_run(keep, row->name, run);
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
    enum ps_status st = ps_retention_live_files(keep, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++) {
        st = ps_retention_go_on(keep, files.items[i].name, collect_of(keep, &files.items[i], out));
        if (st == PS_OK)
            st = ps_keep_breathe(keep);
    }
    ps_manifest_file_list_deinit(&files);
    return st;
}

/* ---- files ---- */

struct unknown_files {
    struct ps_keep *keep;
    int64_t sealed_seq, last_seq; /* of the journal */
    int64_t now_ms;
    uint32_t greatest_ttl_s;
};

/* The journal has its points, too; or all of them are expired. Where a database does not know of
 * sealing it, it may be all there is. */
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

/* It was dropped, and the power went before it was removed. */
static enum ps_status is_leaving(struct ps_keep *keep, const char *name, bool *out)
{
    char file_name[PS_MANIFEST_NAME_SIZE + 4];
    snprintf(file_name, sizeof file_name, "%s.db", name);
    return ps_manifest_is_leaving(keep->db, file_name, out);
}

static enum ps_status look_at_name(void *arg, const char *name)
{
    struct unknown_files *unknown = arg;
    struct ps_manifest_file row;
    bool garbage = false;
    enum ps_status st = ps_manifest_find_file(unknown->keep->db, name, &row);
    if (st != PS_ENOTFOUND)
        return st;
    st = is_leaving(unknown->keep, name, &garbage);
    if (st == PS_OK && !garbage)
        st = has_garbage_only(unknown, name, &garbage);
    if (st == PS_OK && garbage) {
        ps_store_drop(unknown->keep->store, name);
        return PS_OK;
    }
    ps_log_event(PS_LOG_WARN, "telemetry", "file_unknown", "file", name);
    return PS_OK;
}

static enum ps_status forget_leaving(struct ps_db *db, void *arg)
{
    return ps_manifest_forget_leaving(db, arg);
}

/* The notes of files that have left. */
static enum ps_status forget_gone(struct ps_keep *keep)
{
    char name[PS_MANIFEST_NAME_SIZE] = "";
    enum ps_status st;
    while ((st = ps_manifest_next_leaving(keep->db, name, name)) == PS_OK) {
        if (ps_store_has(keep->store, name))
            continue;
        st = ps_keep_call(keep, forget_leaving, name);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static enum ps_status collect_files(struct ps_keep *keep)
{
    struct unknown_files unknown = { .keep = keep, .now_ms = ps_clock_now_ms() };
    enum ps_status st = ps_manifest_state(keep->db, PS_STATE_SEALED_SEQ, 0, &unknown.sealed_seq);
    if (st == PS_OK)
        st = last_seq_of(keep->db, &unknown.last_seq);
    if (st == PS_OK)
        st = ps_keep_greatest_ttl(keep, true, &unknown.greatest_ttl_s);
    if (st == PS_OK)
        st = ps_store_list(keep->store, look_at_name, &unknown);
    return st == PS_OK ? forget_gone(keep) : st;
}

/* ---- both ---- */

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
            st = ps_retention_delete_retired(keep, INT64_MAX, &result);
        ps_keep_unlock(keep, fd);
    }
    if (st == PS_OK) {
        keep->garbage = result.held;
        *out = result;
    }
    return st;
}
