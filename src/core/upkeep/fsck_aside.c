/* fsck_aside: damaged files, from finding one to having what can be saved of it.
 *
 *     2026-W46.db          found damaged: renamed, noted in the manifest as set aside
 *     2026-W46.db.damaged  what can be read of it goes into 2026-W46.db (a new one, or the one that
 *                          took points since), as runs that nobody knows yet
 *                          one transaction: these runs are known, the damaged file is not any more
 *     2026-W46.db.before-rebuild   renamed once more: a keepsake
 *
 * A cut after each of these steps leaves what the next rebuild goes on with: a renamed file that
 * the manifest does not know as such (ps_store_next_aside), a file set aside, runs that nobody
 * knows (a start deletes them), a note that the damaged file is leaving (manifest.h). Files that
 * the server has set aside go the same way from the second step on.
 *
 * What the live file's runs cover already (an earlier rebuild saved them) is not saved twice: two
 * runs of one name have journal rows in common only if one was made from the other. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/upkeep/fsck_state.h"

/* ---- setting aside ---- */

/* What is saved of it needs room beside it. */
static enum ps_status check_room(struct ps_fsck *fsck, const char *name)
{
    struct statvfs fs;
    int64_t wanted = ps_store_file_bytes(fsck->store, name);
    if (statvfs(ps_store_folder(fsck->store), &fs) != 0 ||
        (int64_t)(fs.f_bavail * fs.f_frsize) >= wanted)
        return PS_OK;
    ps_text_set(fsck->why,
                "%s.db is damaged; to save what can be read, %" PRId64
                " bytes of free space are needed",
                name, wanted);
    return PS_EFULL;
}

/* Of a file that the manifest has forgotten, too, it must know that it was set aside. */
static enum ps_status note_aside(struct ps_fsck *fsck, const char *name, const char *renamed)
{
    struct ps_manifest_file row;
    struct ps_range range;
    enum ps_status st = ps_manifest_find_file(fsck->db, name, &row);
    if (st == PS_ENOTFOUND && ps_manifest_find_file(fsck->db, renamed, &row) == PS_OK)
        return PS_OK; /* it does */
    if (st == PS_ENOTFOUND) {
        if (ps_range_parse(name, &range) != PS_OK)
            return PS_OK; /* no file of ours */
        st = ps_manifest_put_file(fsck->db, &range, ps_clock_now_ms(), &row.id);
    }
    return st == PS_OK ? ps_manifest_set_aside(fsck->db, row.id, renamed) : st;
}

static enum ps_status settle(struct ps_fsck *fsck, const char *name, const char *renamed)
{
    enum ps_status st = ps_db_begin(fsck->db);
    if (st == PS_OK)
        st = note_aside(fsck, name, renamed);
    if (st == PS_OK)
        st = ps_db_commit(fsck->db);
    else
        ps_db_rollback(fsck->db);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "%s.db set aside as %s", name, renamed);
    ps_store_settle_aside(fsck->store, name);
    return ps_fsck_db_failed(fsck, st);
}

static enum ps_status settle_all(struct ps_fsck *fsck)
{
    char name[PS_MANIFEST_NAME_SIZE], renamed[PS_MANIFEST_NAME_SIZE];
    enum ps_status st = PS_OK;
    while (st == PS_OK && ps_store_next_aside(fsck->store, name, renamed))
        st = settle(fsck, name, renamed);
    return st;
}

enum ps_status ps_fsck_set_aside(struct ps_fsck *fsck, const char *name)
{
    enum ps_status st = check_room(fsck, name);
    if (st != PS_OK)
        return st;
    ps_store_set_aside(fsck->store, name, "fsck found it damaged");
    return settle_all(fsck);
}

/* ---- saving ---- */

/* "2026-W46.db.damaged.2" is of "2026-W46". */
static bool range_name(const char *file_name, char out[PS_MANIFEST_NAME_SIZE])
{
    const char *ending = strstr(file_name, ".db.damaged");
    struct ps_range range;
    if (!ending)
        return false;
    snprintf(out, PS_MANIFEST_NAME_SIZE, "%.*s", (int)(ending - file_name), file_name);
    return ps_range_parse(out, &range) == PS_OK;
}

static enum ps_status runs_of_name(struct ps_fsck *fsck, const char *name, struct ps_run_list *out)
{
    struct ps_manifest_file row;
    enum ps_status st = ps_manifest_find_file(fsck->db, name, &row);
    if (st == PS_OK)
        st = ps_manifest_runs(fsck->db, row.id, true, out);
    return ps_fsck_db_failed(fsck, st == PS_ENOTFOUND ? PS_OK : st);
}

static enum ps_status exchange(struct ps_fsck *fsck, const struct ps_manifest_file *row,
                               const char *name, const struct ps_run_list *saved)
{
    struct ps_range range;
    int64_t id = 0;
    enum ps_status st = ps_range_parse(name, &range);
    if (st == PS_OK && saved->count)
        st = ps_manifest_put_file(fsck->db, &range, ps_clock_now_ms(), &id);
    for (size_t i = 0; i < saved->count && st == PS_OK; i++) {
        struct ps_run run = saved->items[i];
        run.file = id;
        st = ps_manifest_add_run(fsck->db, &run);
    }
    if (st == PS_OK)
        st = ps_manifest_drop_file(fsck->db, row->id);
    return st == PS_OK ? ps_manifest_note_leaving(fsck->db, row->name) : st;
}

/* What was saved is known, and the damaged file is not any more. */
static enum ps_status make_known(struct ps_fsck *fsck, const struct ps_manifest_file *row,
                                 const char *name, const struct ps_run_list *saved)
{
    enum ps_status st = ps_db_begin(fsck->db);
    if (st == PS_OK)
        st = exchange(fsck, row, name, saved);
    if (st == PS_OK)
        st = ps_db_commit(fsck->db);
    else
        ps_db_rollback(fsck->db);
    return ps_fsck_db_failed(fsck, st);
}

static enum ps_status forget_leaving(struct ps_fsck *fsck, const char *file_name)
{
    return ps_fsck_db_failed(fsck, ps_manifest_forget_leaving(fsck->db, file_name));
}

/* The last step: the damaged file is a keepsake from here on. */
static enum ps_status put_away(struct ps_fsck *fsck, const char *file_name)
{
    char renamed[PS_MANIFEST_NAME_SIZE];
    enum ps_status st = ps_store_put_away(fsck->store, file_name, renamed);
    if (st == PS_OK)
        ps_fsck_note(fsck, "%s is kept as %s; delete it when you do not need it", file_name,
                     renamed);
    else if (st != PS_ENOTFOUND)
        ps_text_set(fsck->why, "%s: cannot be renamed", file_name);
    return st == PS_OK || st == PS_ENOTFOUND ? forget_leaving(fsck, file_name) : st;
}

static enum ps_status check_series(struct ps_fsck *fsck, const char *name)
{
    struct ps_run_file *file;
    enum ps_status st = ps_store_borrow(fsck->store, name, false, &file, fsck->why);
    if (st != PS_OK)
        return st;
    st = ps_fsck_series(fsck, name, file);
    ps_store_return(fsck->store, file);
    return st;
}

static void tell_saved(struct ps_fsck *fsck, const char *name,
                       const struct ps_fsck_salvage *salvage)
{
    if (salvage->saved.count || salvage->lost)
        ps_fsck_repaired(fsck,
                         "%s.db: %" PRId64 " points of %" PRId64 " blocks kept, in a new file; "
                         "%" PRId64 " points lost in %" PRId64 " damaged blocks",
                         name, salvage->points, salvage->blocks, salvage->lost, salvage->damaged);
    else if (salvage->known.count || salvage->present.count)
        ps_fsck_repaired(fsck, "%s.db has all points of %s already", name, salvage->file_name);
    else
        ps_fsck_repaired(fsck, "%s: nobody knows of points in it, and none can be read",
                         salvage->file_name);
}

static enum ps_status finish(struct ps_fsck *fsck, const struct ps_manifest_file *row,
                             const struct ps_fsck_salvage *salvage)
{
    enum ps_status st = make_known(fsck, row, salvage->name, &salvage->saved);
    if (st == PS_OK && salvage->saved.count)
        st = check_series(fsck, salvage->name);
    if (st != PS_OK)
        return st;
    tell_saved(fsck, salvage->name, salvage);
    return put_away(fsck, row->name);
}

static enum ps_status save(struct ps_fsck *fsck, const struct ps_manifest_file *row,
                           const char *name)
{
    struct ps_fsck_salvage salvage = { .file_name = row->name, .name = name };
    enum ps_status st =
        ps_fsck_db_failed(fsck, ps_manifest_runs(fsck->db, row->id, true, &salvage.known));
    if (st == PS_OK)
        st = runs_of_name(fsck, name, &salvage.present);
    if (st == PS_OK)
        st = ps_fsck_salvage(fsck, &salvage);
    if (st == PS_ENOTFOUND && salvage.known.count) {
        ps_fsck_note(fsck, "nothing of %s can be read: look for its points in a backup", row->name);
        st = PS_OK;
    } else if (st == PS_OK || st == PS_ENOTFOUND) {
        st =
            finish(fsck, row, &salvage); /* of an unknown one that was half made, nothing is lost */
    }
    ps_fsck_salvage_deinit(&salvage);
    return st;
}

/* It was this check that found it damaged. */
static bool is_told(const struct ps_fsck *fsck, const struct ps_manifest_file *row)
{
    for (size_t i = 0; i < fsck->files.count; i++)
        if (fsck->files.items[i].id == row->id)
            return fsck->files.items[i].state != PS_FILE_SET_ASIDE;
    return true;
}

static enum ps_status check_aside(struct ps_fsck *fsck, const struct ps_manifest_file *row)
{
    char name[PS_MANIFEST_NAME_SIZE];
    if (!ps_store_has(fsck->store, row->name)) {
        ps_fsck_problem(fsck, "%s was set aside as damaged, and is not there any more", row->name);
        return ps_fsck_forget_file(fsck, row);
    }
    if (!is_told(fsck, row))
        ps_fsck_problem(fsck, "%s was set aside as damaged: what only it has is not shown",
                        row->name);
    if (!fsck->settings->rebuild || !range_name(row->name, name))
        return PS_OK;
    return save(fsck, row, name);
}

enum ps_status ps_fsck_asides(struct ps_fsck *fsck)
{
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = ps_fsck_db_failed(fsck, ps_manifest_files(fsck->db, &files));
    for (size_t i = 0; i < files.count && st == PS_OK; i++) {
        if (files.items[i].state == PS_FILE_SET_ASIDE)
            st = check_aside(fsck, &files.items[i]);
    }
    ps_manifest_file_list_deinit(&files);
    return st;
}

/* ---- what an interrupted one has left ---- */

enum ps_status ps_fsck_is_leaving(struct ps_fsck *fsck, const char *name, bool *out)
{
    char file_name[PS_MANIFEST_NAME_SIZE + 4];
    snprintf(file_name, sizeof file_name, "%s.db", name);
    return ps_manifest_is_leaving(fsck->db, file_name, out);
}

/* "2026-W46.db": the server has dropped it, and the power went before it was removed. */
static enum ps_status remove_dropped(struct ps_fsck *fsck, const char *file_name)
{
    char name[PS_MANIFEST_NAME_SIZE];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file_name) - strlen(".db")), file_name);
    ps_store_drop(fsck->store, name);
    if (ps_store_has(fsck->store, file_name)) {
        ps_text_set(fsck->why, "%s: cannot be removed", file_name);
        return PS_EIO;
    }
    ps_fsck_repaired(fsck, "%s removed", file_name);
    return forget_leaving(fsck, file_name);
}

static enum ps_status finish_leaving(struct ps_fsck *fsck, const char *file_name)
{
    char name[PS_MANIFEST_NAME_SIZE];
    bool saved = range_name(file_name, name);
    bool is_there = ps_store_has(fsck->store, file_name);
    if (is_there)
        ps_fsck_problem(fsck,
                        saved ? "%s: its points were saved, but a rebuild was interrupted before it"
                                " was renamed"
                              : "%s was dropped, but its removal was interrupted",
                        file_name);
    if (!fsck->settings->rebuild)
        return PS_OK;
    if (!is_there)
        return forget_leaving(fsck, file_name);
    if (!saved)
        return remove_dropped(fsck, file_name);
    enum ps_status st = put_away(fsck, file_name);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "%s is out of the way", file_name);
    return st;
}

enum ps_status ps_fsck_leaving(struct ps_fsck *fsck)
{
    char name[PS_MANIFEST_NAME_SIZE] = "";
    enum ps_status st;
    while ((st = ps_manifest_next_leaving(fsck->db, name, name)) == PS_OK) {
        st = finish_leaving(fsck, name);
        if (st != PS_OK)
            return st;
    }
    if (st != PS_ENOTFOUND)
        return ps_fsck_db_failed(fsck, st);
    return fsck->settings->rebuild ? settle_all(fsck) : PS_OK;
}
