#include "core/telemetry/range_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDING ".db"
#define DAMAGED ".db.damaged"
#define PUT_AWAY ".db.before-rebuild"

enum {
    ASIDE_MAX = 1000, /* damaged files of one name */
    NAME_SIZE = 256,
};

static enum ps_status sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return PS_EIO;
    int rc = fsync(fd);
    close(fd);
    return rc == 0 ? PS_OK : PS_EIO;
}

static enum ps_status sync_parent(const char *folder)
{
    char parent[PS_RANGE_PATH_SIZE];
    snprintf(parent, sizeof parent, "%s", folder);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return sync_folder(".");
    slash[slash == parent] = '\0'; /* of the root the slash stays */
    return sync_folder(parent);
}

enum ps_status ps_range_folder_make(const char *folder, struct ps_text *why)
{
    if (mkdir(folder, 0750) == 0) {
        if (sync_parent(folder) == PS_OK)
            return PS_OK;
    } else if (errno == EEXIST) {
        struct stat info;
        if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
            return PS_OK;
        errno = ENOTDIR;
    }
    ps_text_set(why, "%s: %s", folder, strerror(errno));
    return PS_EIO;
}

bool ps_range_folder_path(const char *folder, const char *name, const char *suffix,
                          char out[PS_RANGE_PATH_SIZE])
{
    int len = snprintf(out, PS_RANGE_PATH_SIZE, "%s/%s" ENDING "%s", folder, name, suffix);
    return len > 0 && len < PS_RANGE_PATH_SIZE;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t len = strlen(text), wanted = strlen(ending);
    return len > wanted && strcmp(text + len - wanted, ending) == 0;
}

/* The name to visit an entry under, in `out`; false if it is none of the wanted. */
static bool take_entry(const char *entry, bool damaged, char *out, size_t size)
{
    size_t len = strlen(entry);
    if (len >= size || entry[0] == '.')
        return false;
    memcpy(out, entry, len + 1);
    if (damaged)
        return strstr(entry, DAMAGED) && !ends_with(entry, "-wal") && !ends_with(entry, "-shm");
    if (!ends_with(entry, ENDING))
        return false;
    out[len - strlen(ENDING)] = '\0';
    return true;
}

enum ps_status ps_range_folder_list(const char *folder, bool damaged,
                                    enum ps_status (*visit)(void *arg, const char *name), void *arg)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return PS_EIO;
    enum ps_status st = PS_OK;
    const struct dirent *entry;
    while (st == PS_OK && (errno = 0, entry = readdir(dir))) {
        char name[64];
        if (take_entry(entry->d_name, damaged, name, sizeof name))
            st = visit(arg, name);
        errno = 0;
    }
    if (st == PS_OK && errno != 0)
        st = PS_EIO;
    closedir(dir);
    return st;
}

/* The first free name: a file of the same range may have had it before. */
static bool choose_name(const char *folder, const char *name, const char *ending, char *renamed,
                        size_t size)
{
    for (unsigned n = 1; n < ASIDE_MAX; n++) {
        char path[PS_RANGE_PATH_SIZE], number[16] = "";
        if (n > 1)
            snprintf(number, sizeof number, ".%u", n);
        if ((size_t)snprintf(renamed, size, "%s%s%s", name, ending, number) >= size ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, renamed) >= sizeof path)
            return false;
        if (access(path, F_OK) != 0)
            return true;
    }
    return false;
}

/* The database first: a log without a database is thrown away by whoever makes a new one. A log
 * that is there already is of a file that somebody took away, and would be taken for this one's. */
static enum ps_status rename_all(const char *folder, const char *from, const char *to)
{
    static const char *const suffixes[] = { "-wal", "-shm", "" };
    char old[PS_RANGE_PATH_SIZE], fresh[PS_RANGE_PATH_SIZE];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if ((size_t)snprintf(old, sizeof old, "%s/%s%s", folder, from, suffixes[i]) >= sizeof old ||
            (size_t)snprintf(fresh, sizeof fresh, "%s/%s%s", folder, to, suffixes[i]) >=
                sizeof fresh)
            return PS_EIO;
        if (*suffixes[i])
            (void)unlink(fresh);
    }
    if (rename(old, fresh) != 0)
        return PS_EIO;
    snprintf(old, sizeof old, "%s/%s-wal", folder, from);
    snprintf(fresh, sizeof fresh, "%s/%s-wal", folder, to);
    (void)rename(old, fresh); /* usually there is none */
    snprintf(old, sizeof old, "%s/%s-shm", folder, from);
    (void)unlink(old);
    return sync_folder(folder);
}

enum ps_status ps_range_folder_set_aside(const char *folder, const char *name, char *renamed,
                                         size_t size)
{
    char path[PS_RANGE_PATH_SIZE], file_name[NAME_SIZE];
    if (!ps_range_folder_path(folder, name, "", path) ||
        (size_t)snprintf(file_name, sizeof file_name, "%s" ENDING, name) >= sizeof file_name)
        return PS_EIO;
    if (access(path, F_OK) != 0)
        return PS_ENOTFOUND;
    if (!choose_name(folder, name, DAMAGED, renamed, size))
        return PS_EIO;
    return rename_all(folder, file_name, renamed);
}

enum ps_status ps_range_folder_put_away(const char *folder, const char *damaged, char *renamed,
                                        size_t size)
{
    char path[PS_RANGE_PATH_SIZE], name[NAME_SIZE];
    const char *ending = strstr(damaged, DAMAGED);
    if (!ending || (size_t)snprintf(name, sizeof name, "%.*s", (int)(ending - damaged), damaged) >=
                       sizeof name)
        return PS_EINVAL;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, damaged) >= sizeof path)
        return PS_EIO;
    if (access(path, F_OK) != 0)
        return PS_ENOTFOUND;
    if (!choose_name(folder, name, PUT_AWAY, renamed, size))
        return PS_EIO;
    return rename_all(folder, damaged, renamed);
}

int64_t ps_range_folder_bytes(const char *folder, const char *name)
{
    static const char *const suffixes[] = { "", "-wal" };
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char path[PS_RANGE_PATH_SIZE];
        struct stat info;
        if (ps_range_folder_path(folder, name, suffixes[i], path) && stat(path, &info) == 0)
            bytes += info.st_size;
    }
    return bytes;
}
