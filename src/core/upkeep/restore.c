#include "core/upkeep/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/storage/migrations.h"
#include "core/upkeep/backup_list.h"
#include "core/upkeep/plain_file.h"

struct restore {
    const struct ps_restore_settings *settings;
    struct ps_text *why;
    struct ps_backup_list list;
    int lock_fd;
};

static enum ps_status check_version(struct restore *restore)
{
    int64_t known = PS_SCHEMA[PS_SCHEMA_COUNT - 1].version;
    if (restore->list.schema <= known)
        return PS_OK;
    ps_text_set(restore->why,
                "%s has schema version %lld, this program knows up to %lld: restore it with the "
                "program that made it (%s) or a newer one",
                restore->settings->from, (long long)restore->list.schema, (long long)known,
                restore->list.program);
    return PS_EUNSUPPORTED;
}

/* Before anything is written: is all of it there? */
static enum ps_status check_present(struct restore *restore)
{
    for (size_t i = 0; i < restore->list.count; i++) {
        const struct ps_backup_file *file = &restore->list.files[i];
        struct ps_path path;
        struct stat info;
        enum ps_status st =
            ps_path_set(&path, restore->why, "%s/%s", restore->settings->from, file->stored);
        if (st != PS_OK)
            return st;
        if (stat(path.data, &info) != 0)
            return ps_file_failed(path.data, errno, restore->why);
        if (info.st_size != file->sum.bytes) {
            ps_text_set(restore->why, "%s is damaged: %lld bytes instead of %lld", path.data,
                        (long long)info.st_size, (long long)file->sum.bytes);
            return PS_EPROTO;
        }
    }
    if (ps_backup_list_find(&restore->list, "pacificsoft.db"))
        return PS_OK;
    ps_text_set(restore->why, "%s: the backup has no main database", restore->settings->from);
    return PS_EPROTO;
}

static enum ps_status check_empty(struct restore *restore)
{
    enum ps_status st = PS_OK;
    DIR *dir = opendir(restore->settings->dir);
    if (!dir)
        return ps_file_failed(restore->settings->dir, errno, restore->why);
    for (struct dirent *entry; st == PS_OK && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strcmp(entry->d_name, "lost+found") == 0)
            continue;
        ps_text_set(restore->why, "%s is not empty (%.100s): restore only into an empty directory",
                    restore->settings->dir, entry->d_name);
        st = PS_EEXISTS;
    }
    closedir(dir);
    return st;
}

static enum ps_status own_path(struct restore *restore, const char *name, struct ps_path *out)
{
    return ps_path_set(out, restore->why, "%s/%s", restore->settings->dir, name);
}

static enum ps_status put_marker(struct restore *restore)
{
    struct ps_path path;
    enum ps_status st = own_path(restore, PS_RESTORE_MARKER, &path);
    if (st != PS_OK)
        return st;
    int fd = open(path.data, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return ps_file_failed(path.data, errno, restore->why);
    close(fd);
    return ps_folder_sync(restore->settings->dir, restore->why);
}

static enum ps_status take_lock(struct restore *restore)
{
    struct ps_path path;
    enum ps_status st = own_path(restore, "lock", &path);
    if (st != PS_OK)
        return st;
    restore->lock_fd = open(path.data, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (restore->lock_fd < 0)
        return ps_file_failed(path.data, errno, restore->why);
    if (flock(restore->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return PS_OK;
    ps_text_set(restore->why, "%s: another process uses this data directory",
                restore->settings->dir);
    return PS_EBUSY;
}

static enum ps_status make_directory(struct restore *restore)
{
    struct ps_path path;
    enum ps_status st = ps_folder_make(restore->settings->dir, restore->why);
    if (st == PS_OK)
        st = check_empty(restore);
    if (st == PS_OK)
        st = put_marker(restore);
    if (st == PS_OK)
        st = take_lock(restore);
    if (st == PS_OK)
        st = own_path(restore, "telemetry", &path);
    return st == PS_OK ? ps_folder_make(path.data, restore->why) : st;
}

static enum ps_status compare(struct restore *restore, const char *path,
                              const struct ps_file_sum *have, const struct ps_file_sum *want)
{
    if (ps_file_sum_equal(have, want))
        return PS_OK;
    ps_text_set(restore->why, "%s is damaged: its checksum is not the one in " PS_BACKUP_LIST_NAME,
                path);
    return PS_EPROTO;
}

static enum ps_status copy_file(struct restore *restore, const struct ps_backup_file *file)
{
    struct ps_path from, to;
    struct ps_file_sum sum;
    enum ps_status st =
        ps_path_set(&from, restore->why, "%s/%s", restore->settings->from, file->stored);
    if (st == PS_OK)
        st = own_path(restore, file->path, &to);
    if (st == PS_OK)
        st = ps_file_copy(from.data, to.data, &sum, restore->why);
    if (st == PS_OK)
        st = compare(restore, from.data, &sum, &file->sum);
    if (st == PS_OK)
        st = ps_file_sum_from_disk(to.data, &sum, restore->why);
    return st == PS_OK ? compare(restore, to.data, &sum, &file->sum) : st;
}

static void tell_file(const struct restore *restore, const struct ps_backup_file *file)
{
    const struct ps_upkeep_watcher *watcher = &restore->settings->watcher;
    char line[PS_BACKUP_NAME_SIZE + 32];
    if (!watcher->tell)
        return;
    snprintf(line, sizeof line, "%s: %lld bytes", file->path, (long long)file->sum.bytes);
    watcher->tell(watcher->arg, line);
}

static enum ps_status copy_files(struct restore *restore)
{
    const struct ps_upkeep_watcher *watcher = &restore->settings->watcher;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < restore->list.count && st == PS_OK; i++) {
        if (watcher->progress)
            watcher->progress(watcher->arg, restore->list.files[i].path, i, restore->list.count);
        st = copy_file(restore, &restore->list.files[i]);
        if (st == PS_OK)
            tell_file(restore, &restore->list.files[i]);
    }
    return st;
}

/* Everything must be on the disk before the marker goes. */
static enum ps_status finish(struct restore *restore)
{
    struct ps_path path;
    enum ps_status st = own_path(restore, "telemetry", &path);
    if (st == PS_OK)
        st = ps_folder_sync(path.data, restore->why);
    if (st == PS_OK)
        st = ps_folder_sync(restore->settings->dir, restore->why);
    if (st == PS_OK)
        st = own_path(restore, PS_RESTORE_MARKER, &path);
    if (st == PS_OK && unlink(path.data) != 0)
        st = ps_file_failed(path.data, errno, restore->why);
    return st == PS_OK ? ps_folder_sync(restore->settings->dir, restore->why) : st;
}

static void sum_up(const struct restore *restore, struct ps_restore_result *out)
{
    *out = (struct ps_restore_result){ .files = restore->list.count,
                                       .created_ms = restore->list.created_ms,
                                       .schema = restore->list.schema };
    snprintf(out->program, sizeof out->program, "%s", restore->list.program);
    snprintf(out->installation, sizeof out->installation, "%s", restore->list.installation);
    for (size_t i = 0; i < restore->list.count; i++)
        out->bytes += restore->list.files[i].sum.bytes;
}

enum ps_status ps_restore_run(const struct ps_restore_settings *settings,
                              struct ps_restore_result *out, struct ps_text *why)
{
    struct restore restore = { .settings = settings, .why = why, .lock_fd = -1 };
    ps_text_set(why, "%s", "");
    enum ps_status st = ps_backup_list_read(settings->from, &restore.list, why);
    if (st == PS_OK)
        st = check_version(&restore);
    if (st == PS_OK)
        st = check_present(&restore);
    if (st == PS_OK)
        st = make_directory(&restore);
    if (st == PS_OK)
        st = copy_files(&restore);
    if (st == PS_OK)
        st = finish(&restore);
    if (st == PS_OK)
        sum_up(&restore, out);
    else if (!why->data[0])
        ps_text_set(why, "%s", ps_status_text(st));
    ps_backup_list_deinit(&restore.list);
    if (restore.lock_fd >= 0)
        close(restore.lock_fd);
    return st;
}

enum ps_status ps_restore_finished(const char *dir, struct ps_text *why)
{
    struct ps_path path;
    enum ps_status st = ps_path_set(&path, why, "%s/" PS_RESTORE_MARKER, dir);
    if (st != PS_OK || access(path.data, F_OK) != 0)
        return st;
    ps_text_set(why, "%.150s: a restore was interrupted: empty the directory, restore again", dir);
    return PS_EINVAL;
}
