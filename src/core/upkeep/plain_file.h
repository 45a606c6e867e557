/* plain_file: files as bytes: paths, copies with a checksum, syncs; for backup and restore.
 *
 * Whoever copies wants to know three things: that all bytes were there, what they were, and that
 * they are on the disk and not only in memory. So a copy is hashed (XXH3, 64 bits) on its way,
 * synced, dropped from the page cache and read again. */
#ifndef PS_CORE_UPKEEP_PLAIN_FILE_H
#define PS_CORE_UPKEEP_PLAIN_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

enum { PS_PATH_SIZE = 4096 };

struct ps_path {
    char data[PS_PATH_SIZE];
};

/** printf into a path. Returns: PS_OK, PS_ELIMIT too long (`why` says so). */
PS_MUST_CHECK
enum ps_status ps_path_set(struct ps_path *path, struct ps_text *why, const char *format, ...)
    PS_PRINTF(3, 4);

struct ps_file_sum {
    int64_t bytes;
    uint64_t xxh3;
};

/* All of these name the file and what the system said in `why`.
 * Returns: PS_OK; PS_ENOTFOUND; PS_EFULL no space; PS_EIO; PS_ENOMEM. */

/** Size and checksum of a file. */
PS_MUST_CHECK
enum ps_status ps_file_sum(const char *path, struct ps_file_sum *out, struct ps_text *why);
/** Sync a file, drop it from the page cache, sum it: what the disk has, not the memory. */
PS_MUST_CHECK
enum ps_status ps_file_sum_from_disk(const char *path, struct ps_file_sum *out,
                                     struct ps_text *why);
/** Copy into a new file (0600), replacing what has that name; `out`: what was read. Not synced. */
PS_MUST_CHECK
enum ps_status ps_file_copy(const char *from, const char *to, struct ps_file_sum *out,
                            struct ps_text *why);
/** Sync a folder: names made, renamed or removed in it. */
PS_MUST_CHECK
enum ps_status ps_folder_sync(const char *path, struct ps_text *why);
/** Make a folder (0700), durably; it may exist. */
PS_MUST_CHECK
enum ps_status ps_folder_make(const char *path, struct ps_text *why);
PS_MUST_CHECK
enum ps_status ps_file_rename(const char *from, const char *to, struct ps_text *why);

/** The system's number as a status, with "<path>: <text>" in `why`. */
enum ps_status ps_file_failed(const char *path, int number, struct ps_text *why);

static inline bool ps_file_sum_equal(const struct ps_file_sum *a, const struct ps_file_sum *b)
{
    return a->bytes == b->bytes && a->xxh3 == b->xxh3;
}

#endif
