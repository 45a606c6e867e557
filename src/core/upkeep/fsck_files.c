/* fsck_files: the range files against the manifest, both ways.
 *
 * A damaged file is set aside (fsck_aside.c) before anything is saved of it; a whole one is
 * compared run by run (fsck_runs.c). */
#include <inttypes.h>
#include <unistd.h>

#include "core/upkeep/fsck_state.h"

struct looked {
    struct ps_fsck *fsck;
    const char *name;
    int64_t told;
};

enum { TOLD_MAX = 20 }; /* damages of one file in words; all are counted */

static void tell_damage(void *arg, const struct ps_run_damage *damage)
{
    struct looked *looked = arg;
    if (looked->told++ >= TOLD_MAX)
        looked->fsck->result->problems++;
    else if (damage->block)
        ps_fsck_problem(looked->fsck, "%s.db: run %" PRId64 ", block of series %" PRIu32 ": %s",
                        looked->name, ps_block_id_run(damage->block),
                        ps_block_id_series(damage->block), damage->text);
    else
        ps_fsck_problem(looked->fsck, "%s.db: %s", looked->name, damage->text);
}

static enum ps_status check_contents(struct ps_fsck *fsck, const char *name,
                                     struct ps_run_file *file, const struct ps_run_list *known)
{
    struct ps_run_list have = { 0 };
    enum ps_status st = ps_run_file_runs(file, &have);
    if (st != PS_OK) {
        ps_text_set(fsck->why, "%s", ps_run_file_error(file));
        return st;
    }
    st = known->count ? ps_fsck_known_runs(fsck, name, known, &have)
                      : ps_fsck_forgotten_runs(fsck, name, file, &have);
    if (st == PS_OK)
        st = ps_fsck_series(fsck, name, file);
    ps_run_list_deinit(&have);
    return st;
}

/* PS_EPROTO: damaged, and told. */
static enum ps_status verify(struct ps_fsck *fsck, const char *name, struct ps_run_file *file)
{
    struct looked looked = { .fsck = fsck, .name = name };
    struct ps_run_verified counts = { 0 };
    enum ps_status st = ps_run_file_verify(file, true, tell_damage, &looked, &counts);
    fsck->result->runs += counts.runs;
    fsck->result->blocks += counts.blocks;
    fsck->result->points += counts.points;
    if (st == PS_EPROTO && looked.told == 0)
        ps_fsck_problem(fsck, "%s.db: %s", name, ps_run_file_error(file));
    else if (st != PS_OK && st != PS_EPROTO)
        ps_text_set(fsck->why, "%s", ps_run_file_error(file));
    return st;
}

/* `known`: the manifest's runs of this file. A file that is not there is PS_ENOTFOUND. */
static enum ps_status check_file(struct ps_fsck *fsck, const char *name,
                                 const struct ps_run_list *known)
{
    struct ps_run_file *file;
    struct ps_text why = { "" };
    enum ps_status st = ps_store_borrow(fsck->store, name, false, &file, &why);
    if (st == PS_ENOTFOUND)
        return st;
    if (st == PS_OK) {
        fsck->result->files++;
        st = verify(fsck, name, file);
        if (st == PS_OK)
            st = check_contents(fsck, name, file, known);
        ps_store_return(fsck->store, file);
    } else if (st == PS_EPROTO) {
        ps_fsck_problem(fsck, "%s", why.data);
    } else {
        *fsck->why = why;
    }
    if (st != PS_EPROTO)
        return st;
    return fsck->settings->rebuild ? ps_fsck_set_aside(fsck, name) : PS_OK;
}

static enum ps_status check_row(struct ps_fsck *fsck, const struct ps_manifest_file *row)
{
    struct ps_run_list known = { 0 };
    int64_t points = 0;
    enum ps_status st = ps_fsck_db_failed(fsck, ps_manifest_runs(fsck->db, row->id, true, &known));
    if (st == PS_OK)
        st = check_file(fsck, row->name, &known);
    for (size_t i = 0; i < known.count; i++)
        points += known.items[i].retired_ms ? 0 : known.items[i].points;
    size_t runs = known.count;
    ps_run_list_deinit(&known);
    if (st != PS_ENOTFOUND)
        return st;
    if (runs == 0)
        return PS_OK; /* noted, and nothing was sealed into it yet */
    ps_fsck_problem(fsck, "%s.db is missing: %" PRId64 " points", row->name, points);
    return ps_fsck_forget_file(fsck, row);
}

/* The first seal into a file makes it, and may have been interrupted: such a file is malformed to a
 * reader, and has nothing. A writing handle makes it whole, as the server's does. */
static void finish_making(struct ps_fsck *fsck, const char *name)
{
    struct ps_run_file *file;
    enum ps_status st = ps_store_borrow(fsck->store, name, false, &file, NULL);
    if (st == PS_EPROTO && fsck->settings->rebuild)
        st = ps_store_borrow(fsck->store, name, true, &file, NULL);
    if (st == PS_OK)
        ps_store_return(fsck->store, file);
}

static enum ps_status check_unlisted(void *arg, const char *name)
{
    struct ps_fsck *fsck = arg;
    struct ps_run_list none = { 0 };
    struct ps_manifest_file row;
    bool leaving = false;
    enum ps_status st = ps_manifest_find_file(fsck->db, name, &row);
    if (st != PS_ENOTFOUND)
        return ps_fsck_db_failed(fsck, st); /* looked at already, or just made */
    st = ps_fsck_db_failed(fsck, ps_fsck_is_leaving(fsck, name, &leaving));
    if (st != PS_OK || leaving)
        return st; /* told already */
    finish_making(fsck, name);
    st = check_file(fsck, name, &none);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static void progress(const struct ps_fsck *fsck, size_t done)
{
    const struct ps_upkeep_watcher *watcher = &fsck->settings->watcher;
    if (watcher->progress)
        watcher->progress(watcher->arg, fsck->files.items[done].name, done, fsck->files.count);
}

static enum ps_status check_rows(struct ps_fsck *fsck)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < fsck->files.count && st == PS_OK; i++) {
        progress(fsck, i);
        if (fsck->files.items[i].state == PS_FILE_LIVE)
            st = check_row(fsck, &fsck->files.items[i]);
    }
    return st;
}

enum ps_status ps_fsck_files(struct ps_fsck *fsck)
{
    enum ps_status st = ps_fsck_leaving(fsck);
    if (st == PS_OK)
        st = ps_fsck_db_failed(fsck, ps_manifest_files(fsck->db, &fsck->files));
    if (st == PS_OK)
        st = check_rows(fsck);
    if (st == PS_OK)
        st = ps_store_list(fsck->store, check_unlisted, fsck);
    return st == PS_OK ? ps_fsck_asides(fsck) : st;
}
