/* fsck_runs: the runs of one whole file against the manifest.
 *
 * A run that only the file knows is usual: an interrupted seal or merge leaves it, and the next
 * start deletes it. So a file whose runs the manifest knows is not given more of them by a rebuild:
 * its journal rows are still there, or the runs it was merged from. Only a file that the manifest
 * has forgotten altogether gets its runs back, less those that a later run of it replaced. */
#include <inttypes.h>

#include "core/clock.h"
#include "core/upkeep/fsck_state.h"

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

enum ps_status ps_fsck_known_runs(struct ps_fsck *fsck, const char *name,
                                  const struct ps_run_list *known, const struct ps_run_list *have)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < known->count && st == PS_OK; i++) {
        if (known->items[i].retired_ms == 0)
            st = check_run(fsck, name, &known->items[i], find_run(have, known->items[i].run));
    }
    size_t unknown = 0;
    for (size_t i = 0; i < have->count; i++)
        unknown += have->items[i].points > 0 && !find_run(known, have->items[i].run);
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

/* Give the manifest these runs of the file. */
static enum ps_status remember_runs(struct ps_fsck *fsck, struct ps_run_file *file,
                                    struct ps_run_list *have, int64_t *points)
{
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
enum ps_status ps_fsck_forgotten_runs(struct ps_fsck *fsck, const char *name,
                                      struct ps_run_file *file, struct ps_run_list *have)
{
    int64_t points = 0;
    ps_run_list_drop_merged(have);
    if (have->count == 0)
        return PS_OK; /* made, and nothing in it yet, or any more */
    ps_fsck_problem(fsck, "%s.db: %zu runs, and the manifest knows none of them", name,
                    have->count);
    if (!fsck->settings->rebuild)
        return PS_OK;
    enum ps_status st = remember_runs(fsck, file, have, &points);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "%s.db: %" PRId64 " points are in the manifest again", name, points);
    return st;
}

enum ps_status ps_fsck_forget_file(struct ps_fsck *fsck, const struct ps_manifest_file *row)
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
