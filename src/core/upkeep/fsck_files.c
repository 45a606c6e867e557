/* fsck_files: the range files against the manifest, both ways.
 *
 * A run that only the file knows is usual: an interrupted seal or merge leaves it, and the next
 * start deletes it. So a file whose runs the manifest knows is not given more of them by a rebuild:
 * its journal rows are still there, or the runs it was merged from. Only a file that the manifest
 * has forgotten altogether gets its runs back, less those that a later run of it replaced. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
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

/* ---- runs ---- */

static const struct ps_run *find_run(const struct ps_run_list *runs, int64_t number)
{
    for (size_t i = 0; i < runs->count; i++)
        if (runs->items[i].run == number)
            return &runs->items[i];
    return NULL;
}

static bool same_run(const struct ps_run *a, const struct ps_run *b)
{
    return a->level == b->level && a->journal_first == b->journal_first &&
           a->journal_last == b->journal_last && a->points == b->points && a->bytes == b->bytes &&
           a->min_ms == b->min_ms && a->max_ms == b->max_ms && a->max_ttl_s == b->max_ttl_s &&
           a->has_default_ttl == b->has_default_ttl;
}

/* Journal rows up to here are in runs that count. */
static void note_sealed(struct ps_fsck *fsck, const struct ps_run *run)
{
    if (run->journal_last > fsck->last_seq)
        fsck->last_seq = run->journal_last;
}

static enum ps_status replace_run(struct ps_fsck *fsck, const struct ps_run *old,
                                  const struct ps_run *fresh)
{
    enum ps_status st = ps_db_begin(fsck->db);
    if (st != PS_OK)
        return ps_fsck_db_failed(fsck, st);
    st = ps_manifest_forget_run(fsck->db, old->file, old->run);
    if (st == PS_OK && fresh) {
        struct ps_run run = *fresh;
        run.file = old->file;
        run.retired_ms = old->retired_ms;
        st = ps_manifest_add_run(fsck->db, &run);
    }
    if (st == PS_OK)
        return ps_fsck_db_failed(fsck, ps_db_commit(fsck->db));
    ps_db_rollback(fsck->db);
    return ps_fsck_db_failed(fsck, st);
}

/* One live run of the manifest, and what the file has of that number (NULL: nothing). */
static enum ps_status check_run(struct ps_fsck *fsck, const char *name, const struct ps_run *known,
                                const struct ps_run *have)
{
    if (have)
        note_sealed(fsck, have);
    if (have && same_run(known, have))
        return PS_OK;
    if (have)
        ps_fsck_problem(fsck, "%s.db: run %" PRId64 " is not as the manifest says", name,
                        known->run);
    else
        ps_fsck_problem(fsck, "%s.db: run %" PRId64 " (%" PRId64 " points) is missing", name,
                        known->run, known->points);
    if (!fsck->settings->rebuild)
        return PS_OK;
    enum ps_status st = replace_run(fsck, known, have);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "%s.db: run %" PRId64 " %s", name, known->run,
                         have ? "noted as the file has it" : "forgotten");
    return st;
}

static enum ps_status check_known_runs(struct ps_fsck *fsck, const char *name,
                                       const struct ps_run_list *known,
                                       const struct ps_run_list *have)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < known->count && st == PS_OK; i++) {
        if (known->items[i].retired_ms == 0)
            st = check_run(fsck, name, &known->items[i], find_run(have, known->items[i].run));
    }
    size_t unknown = 0;
    for (size_t i = 0; i < have->count; i++)
        unknown += !find_run(known, have->items[i].run);
    if (unknown)
        ps_fsck_note(fsck, "%s.db: %zu runs of an interrupted seal or merge; a start deletes them",
                     name, unknown);
    return st;
}

static enum ps_status add_runs(struct ps_fsck *fsck, struct ps_run_file *file,
                               const struct ps_run_list *have, int64_t *points)
{
    int64_t id;
    enum ps_status st =
        ps_manifest_put_file(fsck->db, ps_run_file_range(file), ps_clock_now_ms(), &id);
    for (size_t i = 0; i < have->count && st == PS_OK; i++) {
        struct ps_run run = have->items[i];
        run.file = id;
        *points += run.points;
        note_sealed(fsck, &run);
        st = ps_manifest_add_run(fsck->db, &run);
    }
    return st;
}

/* Give the manifest all runs of a file that no later run of it replaced. */
static enum ps_status remember_runs(struct ps_fsck *fsck, struct ps_run_file *file,
                                    struct ps_run_list *have, int64_t *points)
{
    ps_run_list_drop_merged(have);
    enum ps_status st = ps_db_begin(fsck->db);
    if (st == PS_OK)
        st = add_runs(fsck, file, have, points);
    if (st == PS_OK)
        st = ps_db_commit(fsck->db);
    else
        ps_db_rollback(fsck->db);
    return ps_fsck_db_failed(fsck, st);
}

/* The manifest has none of its runs. */
static enum ps_status check_forgotten(struct ps_fsck *fsck, const char *name,
                                      struct ps_run_file *file, struct ps_run_list *have)
{
    int64_t points = 0;
    if (have->count == 0)
        return PS_OK; /* made, and nothing in it yet */
    ps_fsck_problem(fsck, "%s.db: %zu runs, and the manifest knows none of them", name,
                    have->count);
    if (!fsck->settings->rebuild)
        return PS_OK;
    enum ps_status st = remember_runs(fsck, file, have, &points);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "%s.db: %" PRId64 " points are in the manifest again", name, points);
    return st;
}

/* ---- files ---- */

static enum ps_status set_aside(struct ps_fsck *fsck, const char *name, const char *reason)
{
    char old[PS_MANIFEST_NAME_SIZE], renamed[PS_MANIFEST_NAME_SIZE];
    enum ps_status st = PS_OK;
    ps_store_set_aside(fsck->store, name, reason);
    while (st == PS_OK && ps_store_next_aside(fsck->store, old, renamed)) {
        struct ps_manifest_file row;
        st = ps_manifest_find_file(fsck->db, old, &row);
        if (st == PS_OK)
            st = ps_manifest_set_aside(fsck->db, row.id, renamed);
        if (st == PS_OK || st == PS_ENOTFOUND) {
            ps_store_settle_aside(fsck->store, old);
            ps_fsck_repaired(fsck, "%s.db set aside as %s", old, renamed);
            st = PS_OK;
        }
    }
    return ps_fsck_db_failed(fsck, st);
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
    st = known->count ? check_known_runs(fsck, name, known, &have)
                      : check_forgotten(fsck, name, file, &have);
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

/* The damaged file is set aside: what was read of it takes its place. */
static enum ps_status take_salvaged(struct ps_fsck *fsck, const char *name)
{
    struct ps_run_file *file;
    struct ps_run_list runs = { 0 };
    int64_t points = 0;
    enum ps_status st = ps_fsck_salvage_place(fsck, name);
    if (st == PS_OK)
        st = ps_store_borrow(fsck->store, name, false, &file, fsck->why);
    if (st != PS_OK)
        return st;
    st = ps_run_file_runs(file, &runs);
    if (st == PS_OK)
        st = remember_runs(fsck, file, &runs, &points);
    else
        ps_text_set(fsck->why, "%s", ps_run_file_error(file));
    if (st == PS_OK)
        st = ps_fsck_series(fsck, name, file);
    ps_store_return(fsck->store, file);
    ps_run_list_deinit(&runs);
    return st;
}

static enum ps_status replace_damaged(struct ps_fsck *fsck, const char *name,
                                      const struct ps_run_list *known)
{
    struct ps_fsck_salvaged sums;
    enum ps_status st = ps_fsck_salvage(fsck, name, known, &sums);
    if (st != PS_OK && st != PS_ENOTFOUND)
        return st;
    bool salvaged = st == PS_OK;
    st = set_aside(fsck, name, "fsck found it damaged");
    if (st == PS_OK && salvaged)
        st = take_salvaged(fsck, name);
    if (st == PS_OK && salvaged)
        ps_fsck_repaired(fsck,
                         "%s.db: %" PRId64 " points of %" PRId64 " blocks kept, in a new file; "
                         "%" PRId64 " points lost in %" PRId64 " damaged blocks",
                         name, sums.points, sums.blocks, sums.lost, sums.damaged);
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
    return fsck->settings->rebuild ? replace_damaged(fsck, name, known) : PS_OK;
}

static enum ps_status forget_file(struct ps_fsck *fsck, const struct ps_manifest_file *row)
{
    if (!fsck->settings->rebuild)
        return PS_OK;
    enum ps_status st = ps_db_begin(fsck->db);
    if (st == PS_OK)
        st = ps_manifest_drop_file(fsck->db, row->id);
    if (st == PS_OK)
        st = ps_db_commit(fsck->db);
    else
        ps_db_rollback(fsck->db);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "%s: forgotten", row->name);
    return ps_fsck_db_failed(fsck, st);
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
    return forget_file(fsck, row);
}

static enum ps_status check_set_aside(struct ps_fsck *fsck, const struct ps_manifest_file *row)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", ps_store_folder(fsck->store), row->name);
    if (access(path, F_OK) == 0) {
        ps_fsck_problem(fsck, "%s was set aside as damaged: what only it has is not shown",
                        row->name);
        return PS_OK;
    }
    ps_fsck_problem(fsck, "%s was set aside as damaged, and is not there any more", row->name);
    return forget_file(fsck, row);
}

static enum ps_status check_unlisted(void *arg, const char *name)
{
    struct ps_fsck *fsck = arg;
    struct ps_run_list none = { 0 };
    struct ps_manifest_file row;
    enum ps_status st = ps_manifest_find_file(fsck->db, name, &row);
    if (st != PS_ENOTFOUND)
        return ps_fsck_db_failed(fsck, st); /* looked at already, or just made */
    st = check_file(fsck, name, &none);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static void progress(const struct ps_fsck *fsck, size_t done)
{
    const struct ps_upkeep_watcher *watcher = &fsck->settings->watcher;
    if (watcher->progress)
        watcher->progress(watcher->arg, fsck->files.items[done].name, done, fsck->files.count);
}

enum ps_status ps_fsck_files(struct ps_fsck *fsck)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < fsck->files.count && st == PS_OK; i++) {
        progress(fsck, i);
        st = fsck->files.items[i].state == PS_FILE_LIVE
                 ? check_row(fsck, &fsck->files.items[i])
                 : check_set_aside(fsck, &fsck->files.items[i]);
    }
    return st == PS_OK ? ps_store_list(fsck->store, check_unlisted, fsck) : st;
}
