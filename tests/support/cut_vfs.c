#include "support/cut_vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/status.h"

enum { SECTOR_BYTES = 4096, PATH_BYTES_MAX = 200, REGIONS_MAX = 64 };

/* What the connections to one file share; under the disk's lock. */
struct shared {
    unsigned readers;                    /* that hold SHARED or more */
    struct handle *reserved, *exclusive; /* exclusive: PENDING or EXCLUSIVE */
    unsigned shm_users;                  /* connections that mapped */
    void *regions[REGIONS_MAX];
    unsigned shm_readers[SQLITE_SHM_NLOCK];
    struct handle *shm_writer[SQLITE_SHM_NLOCK];
};

struct handle {
    sqlite3_file base;
    struct cut_disk *disk;
    struct cut_file *file;
    int level; /* SQLITE_LOCK_... */
    bool sync_names, delete_on_close, uses_shm;
    uint16_t shm_shared, shm_exclusive; /* bits of the slots it holds */
    char path[PATH_BYTES_MAX];
};

/* A VFS is the whole process's: so is what it works on. */
static struct {
    struct cut_disk *disk;
    uint64_t random;
    const char *mirror;
    sqlite3_mem_methods malloc;
} installed;

static struct handle *handle_of(sqlite3_file *file)
{
    return (struct handle *)file;
}

/* With the disk locked. */
static struct shared *shared_of(struct handle *handle)
{
    void **extra = cut_file_extra(handle->file);
    if (!*extra) {
        *extra = calloc(1, sizeof(struct shared));
        PS_ASSERT(*extra);
    }
    return *extra;
}

static int failed(int code)
{
    return cut_disk_errno() == ENOSPC ? SQLITE_FULL : code;
}

/* ---- reading and writing ----------------------------------------------------------------------
 */

static int file_read(sqlite3_file *base, void *data, int len, sqlite3_int64 at)
{
    struct handle *handle = handle_of(base);
    size_t got;
    if (!cut_file_read(handle->disk, handle->file, data, (size_t)len, (uint64_t)at, &got))
        return SQLITE_IOERR_READ;
    if (got == (size_t)len)
        return SQLITE_OK;
    memset((char *)data + got, 0, (size_t)len - got);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 at)
{
    struct handle *handle = handle_of(base);
    bool good = cut_file_write(handle->disk, handle->file, data, (size_t)len, (uint64_t)at);
    return good ? SQLITE_OK : failed(SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct handle *handle = handle_of(base);
    bool good = cut_file_truncate(handle->disk, handle->file, (uint64_t)size);
    return good ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    struct handle *handle = handle_of(base);
    if (!cut_file_sync(handle->disk, handle->file, handle->sync_names))
        return SQLITE_IOERR_FSYNC;
    handle->sync_names = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct handle *handle = handle_of(base);
    *size = (sqlite3_int64)cut_file_size(handle->disk, handle->file);
    return SQLITE_OK;
}

/* ---- locks ------------------------------------------------------------------------------------
 */

static int raise_lock(struct shared *shared, struct handle *handle, int wanted)
{
    bool others_write = shared->exclusive && shared->exclusive != handle;
    if (handle->level < SQLITE_LOCK_SHARED) {
        if (others_write)
            return SQLITE_BUSY;
        shared->readers++;
        handle->level = SQLITE_LOCK_SHARED;
    }
    if (wanted == SQLITE_LOCK_SHARED)
        return SQLITE_OK;
    if (others_write || (shared->reserved && shared->reserved != handle))
        return SQLITE_BUSY;
    shared->reserved = handle;
    handle->level = SQLITE_LOCK_RESERVED;
    if (wanted == SQLITE_LOCK_RESERVED)
        return SQLITE_OK;
    shared->exclusive = handle;
    handle->level = SQLITE_LOCK_PENDING;
    if (shared->readers > 1)
        return SQLITE_BUSY;
    handle->level = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level)
{
    struct handle *handle = handle_of(base);
    cut_disk_lock(handle->disk);
    int rc = level > handle->level ? raise_lock(shared_of(handle), handle, level) : SQLITE_OK;
    cut_disk_unlock(handle->disk);
    return rc;
}

static int file_unlock(sqlite3_file *base, int level)
{
    struct handle *handle = handle_of(base);
    cut_disk_lock(handle->disk);
    struct shared *shared = shared_of(handle);
    if (handle->level > level) {
        if (shared->reserved == handle)
            shared->reserved = NULL;
        if (shared->exclusive == handle)
            shared->exclusive = NULL;
        if (level == SQLITE_LOCK_NONE && handle->level >= SQLITE_LOCK_SHARED)
            shared->readers--;
        handle->level = level;
    }
    cut_disk_unlock(handle->disk);
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *base, int *out)
{
    struct handle *handle = handle_of(base);
    cut_disk_lock(handle->disk);
    *out = shared_of(handle)->reserved != NULL;
    cut_disk_unlock(handle->disk);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    if (op != SQLITE_FCNTL_LAST_ERRNO)
        return SQLITE_NOTFOUND;
    *(int *)arg = cut_disk_errno();
    return SQLITE_OK;
}

static int file_sector_size(sqlite3_file *base)
{
    (void)base;
    return SECTOR_BYTES;
}

static int file_device(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- shared memory ----------------------------------------------------------------------------
 */

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    struct handle *handle = handle_of(base);
    *out = NULL;
    if (region >= REGIONS_MAX || !cut_disk_passes(handle->disk, CUT_OP_SHM, handle->path))
        return SQLITE_IOERR_SHMMAP;
    cut_disk_lock(handle->disk);
    struct shared *shared = shared_of(handle);
    if (!handle->uses_shm) {
        handle->uses_shm = true;
        shared->shm_users++;
    }
    if (!shared->regions[region] && extend)
        shared->regions[region] = calloc(1, (size_t)size);
    *out = shared->regions[region];
    cut_disk_unlock(handle->disk);
    return !*out && extend ? SQLITE_NOMEM : SQLITE_OK;
}

static bool slot_is_free(const struct shared *shared, const struct handle *handle, int slot,
                         bool exclusive)
{
    if (shared->shm_writer[slot] && shared->shm_writer[slot] != handle)
        return false;
    unsigned own = handle->shm_shared >> slot & 1;
    return !exclusive || shared->shm_readers[slot] == own;
}

static void take_slot(struct shared *shared, struct handle *handle, int slot, bool exclusive)
{
    uint16_t bit = (uint16_t)(1u << slot);
    if (exclusive) {
        shared->shm_writer[slot] = handle;
        handle->shm_exclusive |= bit;
    } else if (!(handle->shm_shared & bit)) {
        shared->shm_readers[slot]++;
        handle->shm_shared |= bit;
    }
}

static void give_slot(struct shared *shared, struct handle *handle, int slot)
{
    uint16_t bit = (uint16_t)(1u << slot);
    if (handle->shm_exclusive & bit)
        shared->shm_writer[slot] = NULL;
    if (handle->shm_shared & bit)
        shared->shm_readers[slot]--;
    handle->shm_exclusive &= (uint16_t)~bit;
    handle->shm_shared &= (uint16_t)~bit;
}

static int shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    struct handle *handle = handle_of(base);
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE, lock = flags & SQLITE_SHM_LOCK;
    if (lock && !cut_disk_passes(handle->disk, CUT_OP_SHM, handle->path))
        return SQLITE_IOERR_SHMLOCK;
    cut_disk_lock(handle->disk);
    struct shared *shared = shared_of(handle);
    bool is_free = true;
    for (int slot = first; slot < first + count && lock; slot++)
        is_free = slot_is_free(shared, handle, slot, exclusive) && is_free;
    for (int slot = first; slot < first + count && is_free; slot++) {
        if (lock)
            take_slot(shared, handle, slot, exclusive);
        else
            give_slot(shared, handle, slot);
    }
    cut_disk_unlock(handle->disk);
    return is_free ? SQLITE_OK : SQLITE_BUSY;
}

/* The lock of the disk orders memory for all who use it. */
static void shm_barrier(sqlite3_file *base)
{
    struct handle *handle = handle_of(base);
    cut_disk_lock(handle->disk);
    cut_disk_unlock(handle->disk);
}

/* The last connection takes the index of the log with it; the next one makes it anew. */
static int shm_unmap(sqlite3_file *base, int delete)
{
    (void)delete;
    struct handle *handle = handle_of(base);
    cut_disk_lock(handle->disk);
    struct shared *shared = shared_of(handle);
    for (int slot = 0; slot < SQLITE_SHM_NLOCK; slot++)
        give_slot(shared, handle, slot);
    if (handle->uses_shm && --shared->shm_users == 0) {
        for (size_t i = 0; i < REGIONS_MAX; i++) {
            free(shared->regions[i]);
            shared->regions[i] = NULL;
        }
    }
    handle->uses_shm = false;
    cut_disk_unlock(handle->disk);
    return SQLITE_OK;
}

static int file_close(sqlite3_file *base)
{
    struct handle *handle = handle_of(base);
    file_unlock(base, SQLITE_LOCK_NONE);
    shm_unmap(base, 0);
    if (handle->delete_on_close)
        (void)cut_disk_delete(handle->disk, handle->path, false);
    cut_file_close(handle->disk, handle->file);
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, /* no memory mapping */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the mirror -------------------------------------------------------------------------------
 */

static bool is_mirrored(const char *path)
{
    size_t len = installed.mirror ? strlen(installed.mirror) : 0,
           path_len = path ? strlen(path) : 0;
    return len && path_len > len + 3 && strncmp(path, installed.mirror, len) == 0 &&
           path[len] == '/' && strcmp(path + path_len - 3, ".db") == 0;
}

static void mirror(const char *path)
{
    if (!is_mirrored(path))
        return;
    if (!cut_disk_find(installed.disk, path, NULL)) {
        (void)unlink(path);
        return;
    }
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    PS_ASSERT(fd >= 0);
    close(fd);
}

static void mirror_name(void *arg, const char *path, size_t size)
{
    (void)arg, (void)size;
    mirror(path);
}

static void empty_mirror(void)
{
    DIR *folder = opendir(installed.mirror);
    PS_ASSERT(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[PATH_BYTES_MAX + 256];
        snprintf(path, sizeof path, "%s/%s", installed.mirror, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(path);
    }
    closedir(folder);
}

void cut_vfs_mirror(const char *folder)
{
    installed.mirror = folder;
}

/* ---- the file system --------------------------------------------------------------------------
 */

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *base, int flags,
                    int *out_flags)
{
    (void)vfs;
    struct handle *handle = handle_of(base);
    memset(handle, 0, sizeof *handle);
    PS_ASSERT(installed.disk && (!path || strlen(path) < PATH_BYTES_MAX));
    enum cut_open how = !(flags & SQLITE_OPEN_CREATE)   ? CUT_OPEN_EXISTING
                        : flags & SQLITE_OPEN_EXCLUSIVE ? CUT_OPEN_NEW
                                                        : CUT_OPEN_OR_CREATE;
    bool created;
    handle->disk = installed.disk;
    bool opened = cut_file_open(installed.disk, path, how, &handle->file, &created);
    mirror(path);
    if (!opened)
        return SQLITE_CANTOPEN;
    if (path)
        strcpy(handle->path, path);
    handle->base.pMethods = &file_methods;
    handle->delete_on_close = path && flags & SQLITE_OPEN_DELETEONCLOSE;
    handle->sync_names =
        flags & SQLITE_OPEN_CREATE &&
        flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL);
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_names)
{
    (void)vfs;
    bool deleted = cut_disk_delete(installed.disk, path, sync_names);
    mirror(path);
    if (deleted)
        return SQLITE_OK;
    return cut_disk_errno() == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
}

/* As "unix" does: an empty file does not exist. */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    uint64_t size = 0;
    *out = cut_disk_find(installed.disk, path, &size) && (flags != SQLITE_ACCESS_EXISTS || size);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int len, char *out)
{
    (void)vfs;
    if (strlen(path) >= (size_t)len)
        return SQLITE_CANTOPEN;
    strcpy(out, path);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    for (int i = 0; i < len; i++) {
        installed.random = installed.random * 6364136223846793005u + 1442695040888963407u;
        out[i] = (char)(installed.random >> 56);
    }
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    usleep((useconds_t)us);
    return us;
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    struct timeval now;
    gettimeofday(&now, NULL);
    *out = 210866760000000 + (sqlite3_int64)now.tv_sec * 1000 + now.tv_usec / 1000;
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 ms;
    int rc = vfs_time_ms(vfs, &ms);
    *out = (double)ms / 86400000.0;
    return rc;
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs, (void)len, (void)out;
    return cut_disk_errno();
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static void *failing_malloc(int size)
{
    if (installed.disk && !cut_disk_passes(installed.disk, CUT_OP_ALLOC, ""))
        return NULL;
    return installed.malloc.xMalloc(size);
}

static void *failing_realloc(void *memory, int size)
{
    if (installed.disk && !cut_disk_passes(installed.disk, CUT_OP_ALLOC, ""))
        return NULL;
    return installed.malloc.xRealloc(memory, size);
}

static sqlite3_vfs cut_vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(struct handle),
    .mxPathname = PATH_BYTES_MAX,
    .zName = "cut",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xCurrentTimeInt64 = vfs_time_ms,
    .xGetLastError = vfs_last_error,
};

void cut_vfs_install(void)
{
    PS_ASSERT(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &installed.malloc) == SQLITE_OK);
    sqlite3_mem_methods methods = installed.malloc;
    methods.xMalloc = failing_malloc;
    methods.xRealloc = failing_realloc;
    PS_ASSERT(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    cut_vfs_make_default(true);
}

void cut_vfs_make_default(bool is_default)
{
    sqlite3_vfs *vfs = is_default ? &cut_vfs : sqlite3_vfs_find("unix");
    PS_ASSERT(vfs && sqlite3_vfs_register(vfs, 1) == SQLITE_OK);
}

/* ---- real files -------------------------------------------------------------------------------
 */

struct export
{
    struct cut_disk *disk;
    const char *from, *to;
};

static void write_out(int fd, struct cut_disk *disk, struct cut_file *file, size_t size)
{
    char bytes[65536];
    for (size_t at = 0; at < size;) {
        size_t got;
        PS_ASSERT(cut_file_read(disk, file, bytes, sizeof bytes, at, &got) && got);
        PS_ASSERT(write(fd, bytes, got) == (ssize_t)got);
        at += got;
    }
}

static void export_file(void *arg, const char *path, size_t size)
{
    const struct export *export = arg;
    size_t len = strlen(export->from);
    char to[2 * PATH_BYTES_MAX];
    struct cut_file *file;
    bool created;
    if (strncmp(path, export->from, len) != 0)
        return;
    snprintf(to, sizeof to, "%s%s", export->to, path + len);
    int fd = open(to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    PS_ASSERT(fd >= 0);
    PS_ASSERT(cut_file_open(export->disk, path, CUT_OPEN_EXISTING, &file, &created));
    write_out(fd, export->disk, file, size);
    cut_file_close(export->disk, file);
    close(fd);
}

void cut_vfs_export(struct cut_disk *disk, const char *from, const char *to)
{
    struct export export = { disk, from, to };
    cut_disk_list(disk, export_file, &export);
}

void cut_vfs_use(struct cut_disk *disk, uint64_t seed)
{
    PS_ASSERT(!installed.disk || cut_disk_open_count(installed.disk) == 0);
    installed.disk = disk;
    installed.random = seed;
    sqlite3_randomness(0, NULL); /* seeded anew from vfs_randomness() at the next use */
    if (!installed.mirror)
        return;
    empty_mirror();
    if (disk)
        cut_disk_list(disk, mirror_name, NULL);
}
