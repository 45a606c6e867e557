#include "support/cut_disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"

enum { SECTOR = 512, NAME_MAX_BYTES = 256 };

struct image {
    uint8_t *bytes; /* zero from size to cap */
    size_t size;
};

struct cut_file {
    struct cut_file *next;
    struct image now, kept;
    size_t cap;     /* of both images, whole sectors */
    uint8_t *dirty; /* a byte for each sector: written since the last sync */
    unsigned open, names;
    void *extra;
    char path[NAME_MAX_BYTES]; /* it was opened by first */
};

/* A name and the file it means: now, and whatever happens. */
struct name {
    struct name *next;
    struct cut_file *now, *kept;
    char path[];
};

struct cut_disk {
    pthread_mutex_t lock;
    struct cut_file *files;
    struct name *names;
    struct cut_plan plan;
    uint64_t count;
    bool struck, dead;
    _Atomic bool refuses_memory; /* asked without the lock: there are very many allocations */
    _Atomic bool refuses_malloc; /* the same */
    uint64_t random;
    char struck_in[NAME_MAX_BYTES + 32];
};

static _Thread_local int last_errno;
static _Thread_local unsigned inside;

static const char *const op_names[] = { "create", "write", "sync", "truncate",   "delete",
                                        "open",   "read",  "shm",  "allocation", "malloc" };

/* Which operations each kind can hit. */
static const unsigned hits[CUT_FAULTS] = {
    [CUT_POWER] = 1 << CUT_OP_CREATE | 1 << CUT_OP_WRITE | 1 << CUT_OP_SYNC | 1 << CUT_OP_TRUNCATE |
                  1 << CUT_OP_DELETE,
    [CUT_KILL] = 1 << CUT_OP_CREATE | 1 << CUT_OP_WRITE | 1 << CUT_OP_SYNC | 1 << CUT_OP_TRUNCATE |
                 1 << CUT_OP_DELETE,
    [CUT_IOERR] = 1 << CUT_OP_CREATE | 1 << CUT_OP_WRITE | 1 << CUT_OP_SYNC | 1 << CUT_OP_TRUNCATE |
                  1 << CUT_OP_DELETE | 1 << CUT_OP_OPEN | 1 << CUT_OP_SHM,
    [CUT_READ] = 1 << CUT_OP_READ,
    [CUT_FULL] = 1 << CUT_OP_CREATE | 1 << CUT_OP_WRITE | 1 << CUT_OP_SYNC,
    [CUT_NOMEM] = 1 << CUT_OP_ALLOC,
    [CUT_MALLOC] = 1 << CUT_OP_MALLOC,
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t draw_below(uint64_t *state, uint64_t bound)
{
    return draw(state) % bound;
}

void cut_disk_lock(struct cut_disk *disk)
{
    PS_ASSERT(pthread_mutex_lock(&disk->lock) == 0);
    inside++;
}

void cut_disk_unlock(struct cut_disk *disk)
{
    inside--;
    PS_ASSERT(pthread_mutex_unlock(&disk->lock) == 0);
}

bool cut_disk_is_inside(void)
{
    return inside > 0;
}

int cut_disk_errno(void)
{
    return last_errno;
}

void **cut_file_extra(struct cut_file *file)
{
    return &file->extra;
}

const char *cut_file_path(const struct cut_file *file)
{
    return file->path;
}

/* ---- files and names --------------------------------------------------------------------------
 */

struct cut_disk *cut_disk_create(void)
{
    inside++;
    struct cut_disk *disk = must(calloc(1, sizeof *disk));
    pthread_mutex_init(&disk->lock, NULL);
    inside--;
    return disk;
}

static struct cut_file *make_file(struct cut_disk *disk, const char *path)
{
    struct cut_file *file = must(calloc(1, sizeof *file));
    snprintf(file->path, sizeof file->path, "%s", path ? path : "(no name)");
    file->next = disk->files;
    disk->files = file;
    return file;
}

static void free_file(struct cut_file *file)
{
    free(file->now.bytes);
    free(file->kept.bytes);
    free(file->dirty);
    free(file->extra);
    free(file);
}

static void free_files_without_name(struct cut_disk *disk)
{
    for (struct cut_file **at = &disk->files; *at;) {
        struct cut_file *file = *at;
        if (file->open || file->names) {
            at = &file->next;
            continue;
        }
        *at = file->next;
        free_file(file);
    }
}

static struct name *find_name(struct cut_disk *disk, const char *path)
{
    for (struct name *name = disk->names; name; name = name->next) {
        if (strcmp(name->path, path) == 0)
            return name;
    }
    return NULL;
}

static struct name *get_name(struct cut_disk *disk, const char *path)
{
    struct name *name = find_name(disk, path);
    if (name)
        return name;
    size_t len = strlen(path) + 1;
    PS_ASSERT(len <= NAME_MAX_BYTES);
    name = must(calloc(1, sizeof *name + len));
    memcpy(name->path, path, len);
    name->next = disk->names;
    disk->names = name;
    return name;
}

static void point(struct cut_file **at, struct cut_file *file)
{
    if (file)
        file->names++;
    if (*at)
        (*at)->names--;
    *at = file;
}

static void free_names_of_nothing(struct cut_disk *disk)
{
    for (struct name **at = &disk->names; *at;) {
        struct name *name = *at;
        if (name->now || name->kept) {
            at = &name->next;
            continue;
        }
        *at = name->next;
        free(name);
    }
}

void cut_disk_destroy(struct cut_disk *disk)
{
    if (!disk)
        return;
    PS_ASSERT(cut_disk_open_count(disk) == 0);
    inside++;
    for (struct name *name = disk->names; name; name = name->next) {
        point(&name->now, NULL);
        point(&name->kept, NULL);
    }
    free_names_of_nothing(disk);
    free_files_without_name(disk);
    pthread_mutex_destroy(&disk->lock);
    free(disk);
    inside--;
}

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static void keep_names(struct cut_disk *disk, const char *beside)
{
    size_t len = folder_len(beside);
    for (struct name *name = disk->names; name; name = name->next) {
        if (folder_len(name->path) == len && strncmp(name->path, beside, len) == 0)
            point(&name->kept, name->now);
    }
    free_names_of_nothing(disk);
    free_files_without_name(disk);
}

/* ---- faults -----------------------------------------------------------------------------------
 */

/* How much of an operation happens: all, and it succeeds; or a part, and it fails. */
struct outcome {
    bool fails;
    unsigned part; /* of 256 */
};

static void note_strike(struct cut_disk *disk, enum cut_op op, const char *what)
{
    disk->struck = true;
    snprintf(disk->struck_in, sizeof disk->struck_in, "%s %.*s", op_names[op], NAME_MAX_BYTES,
             what);
}

static bool is_planned(struct cut_disk *disk, enum cut_op op)
{
    const struct cut_plan *plan = &disk->plan;
    if (!(hits[plan->fault] & 1u << op))
        return false;
    uint64_t number = ++disk->count, span = plan->span ? plan->span : 1;
    return plan->at != 0 && number >= plan->at && number - plan->at < span;
}

static struct outcome ask(struct cut_disk *disk, enum cut_op op, const char *what)
{
    if (disk->dead) {
        last_errno = EIO;
        return (struct outcome){ .fails = true };
    }
    bool is_hit = is_planned(disk, op);
    if (disk->plan.dies_at && disk->count >= disk->plan.dies_at) {
        disk->plan.fault = disk->plan.dies_by;
        disk->refuses_memory = disk->refuses_malloc = false;
        disk->dead = is_hit = true;
    }
    if (disk->plan.tells && (hits[CUT_IOERR] & 1u << op || is_hit))
        printf("%6llu %s %s\n", (unsigned long long)disk->count, op_names[op], what);
    if (!is_hit)
        return (struct outcome){ .part = 256 };
    if (!disk->struck)
        note_strike(disk, op, what);
    enum cut_fault fault = disk->plan.fault;
    disk->dead = fault == CUT_POWER || fault == CUT_KILL;
    last_errno = fault == CUT_FULL                           ? ENOSPC
                 : fault == CUT_NOMEM || fault == CUT_MALLOC ? ENOMEM
                                                             : EIO;
    unsigned part = (unsigned)draw_below(&disk->random, 3);
    return (struct outcome){ .fails = true,
                             .part = part == 0   ? 0
                                     : part == 1 ? 256
                                                 : (unsigned)draw_below(&disk->random, 256) };
}

void cut_disk_arm(struct cut_disk *disk, const struct cut_plan *plan)
{
    cut_disk_lock(disk);
    disk->plan = *plan;
    disk->count = 0;
    disk->struck = false;
    disk->random = plan->seed;
    disk->refuses_memory = plan->fault == CUT_NOMEM;
    disk->refuses_malloc = plan->fault == CUT_MALLOC;
    disk->struck_in[0] = '\0';
    cut_disk_unlock(disk);
}

uint64_t cut_disk_count(struct cut_disk *disk)
{
    cut_disk_lock(disk);
    uint64_t count = disk->count;
    cut_disk_unlock(disk);
    return count;
}

bool cut_disk_is_dead(struct cut_disk *disk)
{
    cut_disk_lock(disk);
    bool dead = disk->dead;
    cut_disk_unlock(disk);
    return dead;
}

bool cut_disk_struck(struct cut_disk *disk)
{
    cut_disk_lock(disk);
    bool struck = disk->struck;
    cut_disk_unlock(disk);
    return struck;
}

const char *cut_disk_struck_in(struct cut_disk *disk)
{
    return disk->struck_in; /* written once, before the strike is seen */
}

void cut_disk_strike(struct cut_disk *disk, enum cut_fault fault)
{
    cut_disk_lock(disk);
    disk->plan.fault = fault;
    disk->refuses_memory = disk->refuses_malloc = false;
    disk->dead = true;
    cut_disk_unlock(disk);
}

bool cut_disk_passes(struct cut_disk *disk, enum cut_op op, const char *what)
{
    if ((op == CUT_OP_ALLOC && !disk->refuses_memory) ||
        (op == CUT_OP_MALLOC && !disk->refuses_malloc))
        return true;
    cut_disk_lock(disk);
    bool passes = !ask(disk, op, what).fails;
    cut_disk_unlock(disk);
    return passes;
}

size_t cut_disk_open_count(struct cut_disk *disk)
{
    size_t count = 0;
    cut_disk_lock(disk);
    for (const struct cut_file *file = disk->files; file; file = file->next)
        count += file->open;
    cut_disk_unlock(disk);
    return count;
}

/* ---- images -----------------------------------------------------------------------------------
 */

static void grow_image(struct image *image, size_t old_cap, size_t cap)
{
    image->bytes = must(realloc(image->bytes, cap));
    memset(image->bytes + old_cap, 0, cap - old_cap);
}

static void reserve(struct cut_file *file, size_t size)
{
    if (size <= file->cap)
        return;
    size_t cap = file->cap ? file->cap : 16 * SECTOR;
    while (cap < size)
        cap *= 2;
    grow_image(&file->now, file->cap, cap);
    grow_image(&file->kept, file->cap, cap);
    file->dirty = must(realloc(file->dirty, cap / SECTOR));
    memset(file->dirty + file->cap / SECTOR, 0, (cap - file->cap) / SECTOR);
    file->cap = cap;
}

static void resize(struct image *image, size_t size)
{
    if (size < image->size)
        memset(image->bytes + size, 0, image->size - size);
    image->size = size;
}

static void put(struct cut_file *file, const void *data, size_t len, uint64_t at)
{
    if (!len)
        return;
    reserve(file, at + len);
    memcpy(file->now.bytes + at, data, len);
    for (size_t sector = at / SECTOR; sector <= (at + len - 1) / SECTOR; sector++)
        file->dirty[sector] = 1;
    if (at + len > file->now.size)
        file->now.size = at + len;
}

static void keep_sector(struct cut_file *file, size_t sector)
{
    memcpy(file->kept.bytes + sector * SECTOR, file->now.bytes + sector * SECTOR, SECTOR);
}

static void keep_everything(struct cut_file *file)
{
    for (size_t sector = 0; sector < file->cap / SECTOR; sector++) {
        if (file->dirty[sector])
            keep_sector(file, sector);
        file->dirty[sector] = 0;
    }
    resize(&file->kept, file->now.size);
}

/* Linux: what could not be written is marked clean, and nobody knows which of it was. */
static void keep_some(struct cut_disk *disk, struct cut_file *file)
{
    if (draw(&disk->random) & 1)
        resize(&file->kept, file->now.size);
    for (size_t sector = 0; sector < file->cap / SECTOR; sector++) {
        if (file->dirty[sector] && sector * SECTOR < file->kept.size && draw(&disk->random) & 1)
            keep_sector(file, sector);
        file->dirty[sector] = 0;
    }
    if (file->kept.size % SECTOR) /* a sector may have reached beyond the size */
        memset(file->kept.bytes + file->kept.size, 0, SECTOR - file->kept.size % SECTOR);
}

/* ---- the file system --------------------------------------------------------------------------
 */

static bool open_locked(struct cut_disk *disk, const char *path, enum cut_open how,
                        struct cut_file **out, bool *created)
{
    struct name *name = path ? find_name(disk, path) : NULL;
    struct cut_file *file = name ? name->now : NULL;
    if (path && (file ? how == CUT_OPEN_NEW : how == CUT_OPEN_EXISTING)) {
        last_errno = file ? EEXIST : ENOENT;
        return false;
    }
    struct outcome outcome =
        ask(disk, file ? CUT_OP_OPEN : CUT_OP_CREATE, path ? path : "(no name)");
    *created = !file;
    if (!file && (!outcome.fails || (outcome.part && path))) {
        file = make_file(disk, path);
        if (path)
            point(&get_name(disk, path)->now, file);
    }
    if (outcome.fails)
        return false;
    file->open++;
    *out = file;
    return true;
}

bool cut_file_open(struct cut_disk *disk, const char *path, enum cut_open how,
                   struct cut_file **out, bool *created)
{
    cut_disk_lock(disk);
    bool good = open_locked(disk, path, how, out, created);
    cut_disk_unlock(disk);
    return good;
}

void cut_file_close(struct cut_disk *disk, struct cut_file *file)
{
    cut_disk_lock(disk);
    PS_ASSERT(file->open > 0);
    file->open--;
    free_files_without_name(disk);
    cut_disk_unlock(disk);
}

bool cut_file_read(struct cut_disk *disk, struct cut_file *file, void *data, size_t len,
                   uint64_t at, size_t *got)
{
    cut_disk_lock(disk);
    bool good = !ask(disk, CUT_OP_READ, file->path).fails;
    *got = good && at < file->now.size ? file->now.size - at : 0;
    if (*got > len)
        *got = len;
    if (*got)
        memcpy(data, file->now.bytes + at, *got);
    cut_disk_unlock(disk);
    return good;
}

bool cut_file_write(struct cut_disk *disk, struct cut_file *file, const void *data, size_t len,
                    uint64_t at)
{
    cut_disk_lock(disk);
    struct outcome outcome = ask(disk, CUT_OP_WRITE, file->path);
    put(file, data, len * outcome.part / 256, at);
    cut_disk_unlock(disk);
    return !outcome.fails;
}

bool cut_file_truncate(struct cut_disk *disk, struct cut_file *file, uint64_t size)
{
    cut_disk_lock(disk);
    struct outcome outcome = ask(disk, CUT_OP_TRUNCATE, file->path);
    if (outcome.part == 256) {
        reserve(file, size);
        resize(&file->now, size);
    }
    cut_disk_unlock(disk);
    return !outcome.fails;
}

bool cut_file_sync(struct cut_disk *disk, struct cut_file *file, bool names)
{
    cut_disk_lock(disk);
    bool good = !ask(disk, CUT_OP_SYNC, file->path).fails;
    if (good && !disk->plan.lying_syncs) {
        keep_everything(file);
        if (names)
            keep_names(disk, file->path);
    } else if (!good && !disk->dead && disk->plan.fault == CUT_IOERR) {
        keep_some(disk, file);
    }
    cut_disk_unlock(disk);
    return good;
}

uint64_t cut_file_size(struct cut_disk *disk, struct cut_file *file)
{
    cut_disk_lock(disk);
    uint64_t size = file->now.size;
    cut_disk_unlock(disk);
    return size;
}

static bool delete_locked(struct cut_disk *disk, const char *path, bool names)
{
    struct name *name = find_name(disk, path);
    if (!name || !name->now) {
        last_errno = ENOENT;
        return false;
    }
    struct outcome outcome = ask(disk, CUT_OP_DELETE, path);
    if (outcome.part)
        point(&name->now, NULL);
    if (!outcome.fails && names && !disk->plan.lying_syncs)
        keep_names(disk, path);
    free_names_of_nothing(disk);
    free_files_without_name(disk);
    return !outcome.fails;
}

bool cut_disk_delete(struct cut_disk *disk, const char *path, bool names)
{
    cut_disk_lock(disk);
    bool good = delete_locked(disk, path, names);
    cut_disk_unlock(disk);
    return good;
}

bool cut_disk_find(struct cut_disk *disk, const char *path, uint64_t *size)
{
    cut_disk_lock(disk);
    const struct name *name = find_name(disk, path);
    bool found = name && name->now;
    if (found && size)
        *size = name->now->now.size;
    cut_disk_unlock(disk);
    return found;
}

void cut_disk_list(struct cut_disk *disk, void (*visit)(void *arg, const char *path, size_t size),
                   void *arg)
{
    for (const struct name *name = disk->names; name; name = name->next) {
        if (name->now)
            visit(arg, name->path, name->now->now.size);
    }
}

/* ---- what is left -----------------------------------------------------------------------------
 */

/* How much of what was not synced the disk had written when the power went. */
enum mood { ALL_DROPPED, ALL_KEPT, MIXED, MIXED_AS_WELL, MOODS };

static size_t surviving_size(const struct cut_file *file, enum mood mood, uint64_t *random)
{
    size_t before = file->kept.size, now = file->now.size;
    if (mood < MIXED)
        return mood == ALL_KEPT ? now : before;
    uint64_t pick = draw_below(random, 4);
    if (pick < 3 || now <= before) /* file systems truncate at once */
        return pick & 1 ? now : before;
    return before + draw_below(random, now - before + 1);
}

/* Bytes [0, from) of a torn sector are of one image, the rest of the other. */
static void tear_sector(struct cut_file *file, size_t sector, uint64_t *random)
{
    size_t from = draw_below(random, SECTOR), start = sector * SECTOR;
    bool head_is_new = draw(random) & 1;
    if (head_is_new)
        memcpy(file->kept.bytes + start, file->now.bytes + start, from);
    else
        memcpy(file->kept.bytes + start + from, file->now.bytes + start + from, SECTOR - from);
}

static void survive_sector(struct cut_file *file, size_t sector, enum mood mood, uint64_t *random)
{
    if (sector * SECTOR >= file->now.size)
        return; /* it was truncated, and the truncation was lost: as it had been */
    uint64_t pick = mood == ALL_KEPT ? 0 : mood == ALL_DROPPED ? 5 : draw_below(random, 10);
    if (pick < 5)
        keep_sector(file, sector);
    else if (pick == 9)
        tear_sector(file, sector, random);
}

static void lose_unsynced(struct cut_file *file, uint64_t *random)
{
    enum mood mood = (enum mood)draw_below(random, MOODS);
    size_t size = surviving_size(file, mood, random);
    for (size_t sector = 0; sector < file->cap / SECTOR; sector++) {
        if (file->dirty[sector])
            survive_sector(file, sector, mood, random);
        file->dirty[sector] = 0;
    }
    if (size < file->cap)
        memset(file->kept.bytes + size, 0, file->cap - size);
    file->kept.size = size;
    if (file->cap)
        memcpy(file->now.bytes, file->kept.bytes, file->cap);
    file->now.size = size;
}

static void lose_names(struct cut_disk *disk, uint64_t *random)
{
    enum mood mood = (enum mood)draw_below(random, MOODS);
    for (struct name *name = disk->names; name; name = name->next) {
        bool keep_new = mood == ALL_KEPT || (mood != ALL_DROPPED && draw(random) & 1);
        struct cut_file *left = keep_new ? name->now : name->kept;
        point(&name->now, left);
        point(&name->kept, left);
    }
}

/* The page cache lives on, and will be written some day. */
static void keep_page_cache(struct cut_disk *disk)
{
    for (struct cut_file *file = disk->files; file; file = file->next)
        keep_everything(file);
    for (struct name *name = disk->names; name; name = name->next)
        point(&name->kept, name->now);
}

void cut_disk_survive(struct cut_disk *disk, uint64_t seed)
{
    cut_disk_lock(disk);
    uint64_t random = seed;
    for (struct cut_file *file = disk->files; file; file = file->next)
        PS_ASSERT(file->open == 0);
    if (disk->plan.fault == CUT_KILL) {
        keep_page_cache(disk);
    } else {
        lose_names(disk, &random);
        for (struct cut_file *file = disk->files; file; file = file->next)
            lose_unsynced(file, &random);
    }
    free_names_of_nothing(disk);
    free_files_without_name(disk);
    disk->plan = (struct cut_plan){ 0 };
    disk->count = 0;
    disk->dead = disk->struck = disk->refuses_memory = disk->refuses_malloc = false;
    cut_disk_unlock(disk);
}

static struct cut_file *copy_file(struct cut_disk *to, const struct cut_file *from)
{
    struct cut_file *file = make_file(to, from->path);
    reserve(file, from->cap);
    if (from->cap) {
        memcpy(file->now.bytes, from->now.bytes, from->cap);
        memcpy(file->kept.bytes, from->kept.bytes, from->cap);
        memcpy(file->dirty, from->dirty, from->cap / SECTOR);
    }
    file->now.size = from->now.size;
    file->kept.size = from->kept.size;
    return file;
}

struct cut_disk *cut_disk_copy(struct cut_disk *disk)
{
    struct cut_disk *copy = cut_disk_create();
    cut_disk_lock(disk);
    for (struct cut_file *file = disk->files; file; file = file->next) {
        PS_ASSERT(file->open == 0);
        struct cut_file *twin = copy_file(copy, file);
        for (struct name *name = disk->names; name; name = name->next) {
            if (name->now == file)
                point(&get_name(copy, name->path)->now, twin);
            if (name->kept == file)
                point(&get_name(copy, name->path)->kept, twin);
        }
    }
    cut_disk_unlock(disk);
    return copy;
}
