#include "core/upkeep/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/entity/install.h"
#include "core/entity/setting.h"
#include "core/storage/db.h"
#include "core/storage/migrations.h"
#include "core/telemetry/manifest.h"
#include "core/telemetry/run_file.h"
#include "core/upkeep/backup_list.h"
#include "core/upkeep/database_copy.h"
#include "core/upkeep/plain_file.h"
#include "core/upkeep/restore.h"

struct backup {
    const struct ps_backup_settings *settings;
    struct ps_backup_result *result;
    struct ps_text *why;
    int lock_fd, hold_fd;
    struct ps_backup_list before, now;
    struct ps_db *snapshot; /* the copy of the main database */
};

/* ---- locks ---- */

static enum ps_status lock_file(const char *folder, const char *name, int how, int *fd,
                                struct ps_text *why)
{
    struct ps_path path;
    enum ps_status st = ps_path_set(&path, why, "%s/%s", folder, name);
    if (st != PS_OK)
        return st;
    *fd = open(path.data, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0)
        return ps_file_failed(path.data, errno, why);
    while (flock(*fd, how) != 0) {
        if (errno == EINTR)
            continue;
        st = errno == EWOULDBLOCK ? PS_EBUSY : ps_file_failed(path.data, errno, why);
        if (st == PS_EBUSY)
            ps_text_set(why, "%s: another backup is being written there", folder);
        return st;
    }
    return PS_OK;
}

/* Held from before the snapshot to the end: meanwhile no file and no run goes. */
static enum ps_status take_locks(struct backup *backup)
{
    enum ps_status st = lock_file(backup->settings->target, "lock", LOCK_EX | LOCK_NB,
                                  &backup->lock_fd, backup->why);
    if (st != PS_OK)
        return st;
    return lock_file(backup->settings->dir, "backup.lock", LOCK_SH, &backup->hold_fd, backup->why);
}

/* ---- files ---- */

static void begin(const struct backup *backup, const char *name, size_t done, size_t total)
{
    const struct ps_upkeep_watcher *watcher = &backup->settings->watcher;
    if (watcher->progress)
        watcher->progress(watcher->arg, name, done, total);
}

static enum ps_status stored_path(const struct backup *backup, const char *stored,
                                  struct ps_path *out)
{
    return ps_path_set(out, backup->why, "%s/%s", backup->settings->target, stored);
}

/* Give a checked copy its lasting name: `stem`-<checksum>.db, and note it. */
static enum ps_status keep_copy(struct backup *backup, const struct ps_path *partial,
                                const char *stem, struct ps_backup_file *file)
{
    struct ps_path path;
    enum ps_status st = ps_file_sum_from_disk(partial->data, &file->sum, backup->why);
    if (st != PS_OK)
        return st;
    snprintf(file->stored, sizeof file->stored, "%.90s-%016" PRIx64 ".db", stem, file->sum.xxh3);
    st = stored_path(backup, file->stored, &path);
    if (st == PS_OK)
        st = ps_file_rename(partial->data, path.data, backup->why);
    if (st == PS_OK)
        st = ps_backup_list_add(&backup->now, file);
    if (st == PS_OK) {
        backup->result->copied++;
        backup->result->bytes_copied += file->sum.bytes;
    }
    return st;
}

/* A copy is damaged. Nearly always its source is, and that is what the user can do something about:
 * look at it (`runs` NULL: the main database) and say so. */
static enum ps_status copy_damaged(struct backup *backup, const struct ps_path *from,
                                   const struct ps_run_list *runs)
{
    struct ps_text found = { "" };
    enum ps_status st =
        runs ? ps_run_file_check(from->data, runs, &found) : ps_database_check(from->data, &found);
    if (st == PS_OK)
        ps_text_set(backup->why,
                    "%.180s: its copy is damaged, it is not: look at the target's disk",
                    from->data);
    else
        ps_text_set(backup->why, "%.200s; stop the server and run fsck", found.data);
    return PS_EPROTO;
}

static enum ps_status copy_main(struct backup *backup)
{
    struct ps_path from, partial;
    struct ps_backup_file file = { .path = "pacificsoft.db" };
    begin(backup, "pacificsoft.db", 0, 1);
    enum ps_status st = ps_path_set(&from, backup->why, "%s/pacificsoft.db", backup->settings->dir);
    if (st == PS_OK)
        st = stored_path(backup, "pacificsoft.db.partial", &partial);
    if (st == PS_OK)
        st = ps_database_copy(from.data, partial.data, backup->why);
    if (st == PS_OK)
        st = ps_database_check(partial.data, backup->why);
    if (st == PS_EPROTO)
        return copy_damaged(backup, &from, NULL);
    return st == PS_OK ? keep_copy(backup, &partial, "pacificsoft", &file) : st;
}

static enum ps_status open_snapshot(struct backup *backup)
{
    struct ps_path path;
    enum ps_status st = stored_path(backup, backup->now.files[0].stored, &path);
    if (st == PS_OK)
        st = ps_db_open(path.data, PS_DB_READER, &backup->snapshot, backup->why);
    if (st == PS_OK)
        st = ps_db_schema_version(backup->snapshot, &backup->now.schema);
    if (st != PS_OK || backup->now.schema <= PS_SCHEMA[PS_SCHEMA_COUNT - 1].version)
        return st;
    ps_text_set(backup->why, "%s: schema version %lld is newer than this program",
                backup->settings->dir, (long long)backup->now.schema);
    return PS_EUNSUPPORTED;
}

/* A list without an id was written by an earlier version; this one's will have it. */
static enum ps_status check_installation(struct backup *backup)
{
    struct ps_buf id = { 0 };
    enum ps_status st = ps_setting_get(backup->snapshot, PS_INSTALL_ID_SETTING, &id);
    if (st == PS_OK)
        snprintf(backup->now.installation, sizeof backup->now.installation, "%.*s", (int)id.len,
                 id.data);
    ps_buf_deinit(&id);
    if (st != PS_OK && st != PS_ENOTFOUND)
        return st;
    if (!backup->before.installation[0] ||
        strcmp(backup->before.installation, backup->now.installation) == 0)
        return PS_OK;
    ps_text_set(backup->why,
                "--to %.100s holds the backup of another installation than %.80s: choose another"
                " target, or empty it",
                backup->settings->target, backup->settings->dir);
    return PS_EINVAL;
}

/* Whether the last backup has this file with the same runs, and still as it was written; then it is
 * taken over. */
static bool reuse(struct backup *backup, const struct ps_backup_file *file)
{
    const struct ps_backup_file *old = ps_backup_list_find(&backup->before, file->path);
    struct ps_path path;
    struct ps_file_sum sum;
    struct ps_text why;
    if (!old || old->content != file->content || stored_path(backup, old->stored, &path) != PS_OK ||
        ps_file_sum_from_disk(path.data, &sum, &why) != PS_OK ||
        !ps_file_sum_equal(&sum, &old->sum))
        return false;
    if (ps_backup_list_add(&backup->now, old) != PS_OK)
        return false;
    backup->result->reused++;
    backup->result->bytes_reused += old->sum.bytes;
    return true;
}

static enum ps_status copy_range_file(struct backup *backup, const struct ps_manifest_file *row)
{
    struct ps_run_list runs = { 0 };
    struct ps_path from, partial;
    struct ps_backup_file file;
    char stem[PS_BACKUP_NAME_SIZE];
    enum ps_status st = ps_manifest_runs(backup->snapshot, row->id, false, &runs);
    if (st != PS_OK || runs.count == 0)
        goto out; /* nothing is in it yet, or any more */
    file = (struct ps_backup_file){ .content = ps_run_list_content(&runs) };
    snprintf(file.path, sizeof file.path, "telemetry/%.64s.db", row->name);
    snprintf(stem, sizeof stem, "telemetry/%.64s", row->name);
    if (reuse(backup, &file))
        goto out;
    st = ps_path_set(&from, backup->why, "%s/%s", backup->settings->dir, file.path);
    if (st == PS_OK)
        st = ps_path_set(&partial, backup->why, "%s/%s.partial", backup->settings->target,
                         file.path);
    if (st == PS_OK)
        st = ps_database_copy(from.data, partial.data, backup->why);
    if (st == PS_OK)
        st = ps_run_file_check(partial.data, &runs, backup->why);
    if (st == PS_EPROTO)
        st = copy_damaged(backup, &from, &runs);
    if (st == PS_OK)
        st = keep_copy(backup, &partial, stem, &file);
out:
    ps_run_list_deinit(&runs);
    return st;
}

static void tell_damaged(struct backup *backup, const struct ps_manifest_file *row)
{
    struct ps_text line;
    const struct ps_upkeep_watcher *watcher = &backup->settings->watcher;
    ps_text_set(&line, "%s is damaged and set aside: it is not in the backup", row->name);
    backup->result->damaged++;
    if (watcher->tell)
        watcher->tell(watcher->arg, line.data);
}

static enum ps_status copy_range_files(struct backup *backup)
{
    struct ps_manifest_file_list files = { 0 };
    if (backup->now.schema < 2)
        return PS_OK; /* before there were any */
    enum ps_status st = ps_manifest_files(backup->snapshot, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++) {
        begin(backup, files.items[i].name, i + 1, files.count + 1);
        if (files.items[i].state == PS_FILE_LIVE)
            st = copy_range_file(backup, &files.items[i]);
        else
            tell_damaged(backup, &files.items[i]);
    }
    ps_manifest_file_list_deinit(&files);
    return st;
}

/* ---- what the new backup does not need ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* "...-<16 hex digits>.db": a name that only we give. */
static bool is_stored_name(const char *name)
{
    size_t len = strlen(name);
    return len > 20 && strcmp(name + len - 3, ".db") == 0 && name[len - 20] == '-' &&
           strspn(name + len - 19, "0123456789abcdef") == 16;
}

static bool is_listed(const struct ps_backup_list *list, const char *stored)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->files[i].stored, stored) == 0)
            return true;
    return false;
}

/* Whether DIR has the remains of a damaged file, set aside or rebuilt, that a copy of "<range>-<16
 * digits>.db" may be the only whole one of. */
static bool is_wanted_back(const struct backup *backup, const char *stored_name)
{
    struct ps_path folder;
    struct ps_text why;
    bool found = false;
    int len = (int)strlen(stored_name) - 20;
    if (ps_path_set(&folder, &why, "%s/telemetry", backup->settings->dir) != PS_OK)
        return false;
    DIR *dir = opendir(folder.data);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        const char *rest = entry->d_name + len;
        found =
            strncmp(entry->d_name, stored_name, (size_t)len) == 0 &&
            (strncmp(rest, ".db.damaged", 11) == 0 || strncmp(rest, ".db.before-rebuild", 18) == 0);
    }
    if (dir)
        closedir(dir);
    return found;
}

static void tell_kept(const struct backup *backup, const char *stored)
{
    struct ps_text line;
    const struct ps_upkeep_watcher *watcher = &backup->settings->watcher;
    ps_text_set(&line, "%s of an earlier backup is kept: its original was damaged since", stored);
    if (watcher->tell)
        watcher->tell(watcher->arg, line.data);
}

/* `prefix`: what stands before the names of this folder in the list. */
static void sweep_folder(const struct backup *backup, const struct ps_backup_list *kept,
                         const char *prefix)
{
    struct ps_path folder, path;
    if (stored_path(backup, prefix, &folder) != PS_OK)
        return;
    DIR *dir = opendir(folder.data);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char stored[PS_BACKUP_NAME_SIZE + 256 + 16];
        snprintf(stored, sizeof stored, "%s%s", prefix, entry->d_name);
        bool partial = ends_with(stored, ".partial") || ends_with(stored, ".partial-journal");
        bool left_over = is_stored_name(stored) && !is_listed(kept, stored);
        if (left_over && is_wanted_back(backup, entry->d_name)) {
            tell_kept(backup, stored);
            continue;
        }
        if ((partial || left_over) && stored_path(backup, stored, &path) == PS_OK)
            (void)unlink(path.data); /* the next backup tries again */
    }
    if (dir)
        closedir(dir);
}

static void sweep(const struct backup *backup, const struct ps_backup_list *kept)
{
    sweep_folder(backup, kept, "");
    sweep_folder(backup, kept, "telemetry/");
}

/* ---- all of it ---- */

/* A backup among the data goes with the data, and the sweeps of both would meet. A target that is
 * still to be made is where its parent is. */
static enum ps_status check_target(struct backup *backup)
{
    char dir[PATH_MAX], target[PATH_MAX];
    const char *to = backup->settings->target;
    struct ps_path parent;
    if (!realpath(backup->settings->dir, dir))
        return ps_file_failed(backup->settings->dir, errno, backup->why);
    enum ps_status st = ps_path_set(&parent, backup->why, "%s", to);
    if (st != PS_OK)
        return st;
    if (!realpath(to, target) && (errno != ENOENT || !realpath(dirname(parent.data), target)))
        return ps_file_failed(to, errno, backup->why);
    size_t len = strlen(dir);
    if (strncmp(target, dir, len) != 0 || (target[len] && target[len] != '/'))
        return PS_OK;
    ps_text_set(backup->why, "--to %.100s is inside of the data directory %.80s: choose another",
                to, dir);
    return PS_EINVAL;
}

static enum ps_status prepare(struct backup *backup)
{
    struct ps_path path;
    enum ps_status st = ps_restore_finished(backup->settings->dir, backup->why);
    if (st == PS_OK)
        st = ps_path_set(&path, backup->why, "%s/pacificsoft.db", backup->settings->dir);
    if (st == PS_OK && access(path.data, R_OK) != 0)
        st = ps_file_failed(path.data, errno, backup->why);
    if (st == PS_OK)
        st = check_target(backup);
    if (st == PS_OK)
        st = ps_folder_make(backup->settings->target, backup->why);
    if (st == PS_OK)
        st = stored_path(backup, "telemetry", &path);
    if (st == PS_OK)
        st = ps_folder_make(path.data, backup->why);
    if (st == PS_OK)
        st = take_locks(backup);
    if (st != PS_OK)
        return st;
    st = ps_backup_list_read(backup->settings->target, &backup->before, backup->why);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static enum ps_status sync_folders(struct backup *backup)
{
    struct ps_path path;
    enum ps_status st = stored_path(backup, "telemetry", &path);
    if (st == PS_OK)
        st = ps_folder_sync(path.data, backup->why);
    return st == PS_OK ? ps_folder_sync(backup->settings->target, backup->why) : st;
}

static enum ps_status copy_all(struct backup *backup)
{
    enum ps_status st = copy_main(backup);
    if (st == PS_OK)
        st = open_snapshot(backup);
    if (st == PS_OK)
        st = check_installation(backup);
    if (st == PS_OK)
        st = copy_range_files(backup);
    return st == PS_OK ? sync_folders(backup) : st;
}

static enum ps_status write_list(struct backup *backup)
{
    backup->now.created_ms = ps_clock_now_ms();
    snprintf(backup->now.program, sizeof backup->now.program, "%s", backup->settings->program);
    return ps_backup_list_write(backup->settings->target, &backup->now, backup->why);
}

static void release(struct backup *backup)
{
    ps_db_close(backup->snapshot);
    ps_backup_list_deinit(&backup->before);
    ps_backup_list_deinit(&backup->now);
    if (backup->hold_fd >= 0)
        close(backup->hold_fd);
    if (backup->lock_fd >= 0)
        close(backup->lock_fd);
}

enum ps_status ps_backup_run(const struct ps_backup_settings *settings,
                             struct ps_backup_result *out, struct ps_text *why)
{
    struct ps_backup_result result = { 0 };
    struct backup backup = {
        .settings = settings, .result = &result, .why = why, .lock_fd = -1, .hold_fd = -1
    };
    ps_text_set(why, "%s", "");
    enum ps_status st = prepare(&backup);
    if (st == PS_OK) {
        st = copy_all(&backup);
        if (st == PS_OK)
            st = write_list(&backup);
        else
            sweep(&backup, &backup.before); /* a half copy only fills the target */
    }
    if (st == PS_OK) {
        sweep(&backup, &backup.now);
        *out = result;
    } else if (!why->data[0]) {
        ps_text_set(why, "%s", ps_status_text(st));
    }
    release(&backup);
    return st;
}
