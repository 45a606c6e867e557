/* cut_disk: a disk in memory that fails on demand and forgets what was not synced.
 *
 * Every file has two images: what programs read now (the page cache) and what is kept whatever
 * happens (the platter). A sync makes them equal. When the power is cut, each 512-byte sector that
 * was written since the last sync of its file is kept, dropped or torn (begun and not finished),
 * the size is the old one, the new one or (of a file that grew) one between, and a name that was
 * created or deleted since the last sync of its folder is there or not: all by a seed, so every
 * outcome can be had again. Often a whole file is kept or dropped, because protocols between files
 * break on that.
 *
 * A plan says which operation fails, and how:
 *
 *     CUT_POWER   that one and all after it; then cut_disk_survive() loses what was not synced
 *     CUT_KILL    the same, but the page cache lives on: the process was killed
 *     CUT_IOERR   `span` operations from that one on fail, then the disk works again. A sync that
 *                 failed leaves its sectors clean and each of them written or not, as Linux does
 *     CUT_FULL    `span` operations that need space fail half done. Syncs are among them, for some
 *                 file systems look for the space only then; their sectors stay to be written
 *     CUT_READ    `span` reads fail, and nothing else
 *     CUT_NOMEM   `span` allocations of SQLite fail
 *     CUT_MALLOC  `span` allocations of the program itself fail (cut_memory.h)
 *
 * Operations that count are those the kind can hit: for CUT_POWER and CUT_KILL what changes the
 * disk, for CUT_IOERR opening and shared memory as well. They count from 1. A span of CUT_LASTING
 * ends when the disk gets another plan.
 *
 * Pure: no SQLite in here; cut_vfs puts it under SQLite. Thread: any; one lock. */
#ifndef PS_TESTS_CUT_DISK_H
#define PS_TESTS_CUT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cut_fault {
    CUT_NONE,
    CUT_POWER,
    CUT_KILL,
    CUT_IOERR,
    CUT_READ,
    CUT_FULL,
    CUT_NOMEM,
    CUT_MALLOC,
    CUT_FAULTS
};

enum cut_op {
    CUT_OP_CREATE,
    CUT_OP_WRITE,
    CUT_OP_SYNC,
    CUT_OP_TRUNCATE,
    CUT_OP_DELETE,
    CUT_OP_OPEN, /* of what exists */
    CUT_OP_READ,
    CUT_OP_SHM,
    CUT_OP_ALLOC,
    CUT_OP_MALLOC,
};

#define CUT_LASTING UINT64_MAX

struct cut_plan {
    enum cut_fault fault;
    uint64_t at;            /* the operation that fails; 0 = none, only count */
    uint64_t span;          /* operations that fail, for the kinds that end; 0 = 1 */
    uint64_t seed;          /* of what is half done and what survives */
    uint64_t dies_at;       /* the operation from which on the disk is dead after all; 0 = none */
    enum cut_fault dies_by; /* CUT_POWER or CUT_KILL */
    bool lying_syncs;       /* syncs say yes and keep nothing: a test of the tests */
    bool tells;             /* each operation on standard output */
};

struct cut_disk;
struct cut_file; /* stays while it is open, also without a name */

/** Aborts the program if memory is short, as everything here does. */
struct cut_disk *cut_disk_create(void);
void cut_disk_destroy(struct cut_disk *disk);
/** A disk with the same files; nothing may be open. What is not synced stays so. */
struct cut_disk *cut_disk_copy(struct cut_disk *disk);

/** From now on this plan; counting starts anew. */
void cut_disk_arm(struct cut_disk *disk, const struct cut_plan *plan);
/** Operations counted since. */
uint64_t cut_disk_count(struct cut_disk *disk);
/** Did the planned fault happen? */
bool cut_disk_struck(struct cut_disk *disk);
/** Is the disk dead, by the fault or by what came after it? */
bool cut_disk_is_dead(struct cut_disk *disk);
/** The operation it happened in, e.g. "sync data/pacificsoft.db-wal"; "" if it did not. */
const char *cut_disk_struck_in(struct cut_disk *disk);
/** Cut the power (or kill) now, between two operations. */
void cut_disk_strike(struct cut_disk *disk, enum cut_fault fault);
/** Is the calling thread at work in here? What it allocates is the disk's, not the program's. */
bool cut_disk_is_inside(void);
/** Files that are open. */
size_t cut_disk_open_count(struct cut_disk *disk);

/** After a cut, with nothing open: the disk as the next start finds it, working and without plan.
 */
void cut_disk_survive(struct cut_disk *disk, uint64_t seed);

/** Call for every name there is, in no order. */
void cut_disk_list(struct cut_disk *disk, void (*visit)(void *arg, const char *path, size_t size),
                   void *arg);

/* ---- what a file system offers; false: it failed, see cut_disk_errno() ---- */

enum cut_open { CUT_OPEN_EXISTING, CUT_OPEN_OR_CREATE, CUT_OPEN_NEW };

/** `path` NULL: a file without a name. */
bool cut_file_open(struct cut_disk *disk, const char *path, enum cut_open how,
                   struct cut_file **out, bool *created);
void cut_file_close(struct cut_disk *disk, struct cut_file *file);
bool cut_file_read(struct cut_disk *disk, struct cut_file *file, void *data, size_t len,
                   uint64_t at, size_t *got);
bool cut_file_write(struct cut_disk *disk, struct cut_file *file, const void *data, size_t len,
                    uint64_t at);
bool cut_file_truncate(struct cut_disk *disk, struct cut_file *file, uint64_t size);
/** `names`: keep the names of its folder, too. */
bool cut_file_sync(struct cut_disk *disk, struct cut_file *file, bool names);
uint64_t cut_file_size(struct cut_disk *disk, struct cut_file *file);
/** `names` as above. ENOENT if there is none. */
bool cut_disk_delete(struct cut_disk *disk, const char *path, bool names);
/** @param size  may be NULL */
bool cut_disk_find(struct cut_disk *disk, const char *path, uint64_t *size);
/** Shared memory and allocations have nothing to fail half way: may it go on? */
bool cut_disk_passes(struct cut_disk *disk, enum cut_op op, const char *what);

/** errno of the calling thread's last failure: EIO, ENOSPC, ENOENT. */
int cut_disk_errno(void);
/** The whole disk's lock, for locks on files. */
void cut_disk_lock(struct cut_disk *disk);
void cut_disk_unlock(struct cut_disk *disk);
/** What cut_vfs remembers with a file: freed with free() when the file goes. */
void **cut_file_extra(struct cut_file *file);
const char *cut_file_path(const struct cut_file *file);

#endif
