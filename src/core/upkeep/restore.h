/* restore: a data directory out of a backup.
 *
 * Only into a directory that is missing or empty: nothing is ever overwritten. What is copied is
 * compared with the checksums of backup.json, synced and read back before it counts. Until all of
 * it is there the directory holds a file "restore.partial", and `run` refuses to serve it. */
#ifndef PS_CORE_UPKEEP_RESTORE_H
#define PS_CORE_UPKEEP_RESTORE_H

#include "core/upkeep/backup.h"
#include "core/uuid.h"

/* Its presence means: a restore was interrupted, the directory is not whole. */
#define PS_RESTORE_MARKER "restore.partial"

struct ps_restore_settings {
    const char *from, *dir;
    struct ps_upkeep_watcher watcher; /* tell: a line for each file that is there */
};

struct ps_restore_result {
    size_t files;
    int64_t bytes;
    /* of the backup */
    int64_t created_ms, schema;
    char program[32], installation[PS_UUID_TEXT_SIZE]; /* installation: "" if it is not known */
};

/**
 * Returns: PS_OK        the directory is as it was when the backup was taken
 *          PS_EEXISTS   `dir` is not empty
 *          PS_ENOTFOUND no backup in `from`, or a file of it is missing
 *          PS_EPROTO    a file of the backup is not what it was: its checksum is wrong
 *          PS_EUNSUPPORTED a newer program made it; PS_EFULL, PS_EIO, PS_ENOMEM
 *          all with a sentence in `why`
 */
PS_MUST_CHECK
enum ps_status ps_restore_run(const struct ps_restore_settings *settings,
                              struct ps_restore_result *out, struct ps_text *why);

/** For who works on a directory: PS_OK; PS_EINVAL a restore into it was interrupted; `why`. */
PS_MUST_CHECK
enum ps_status ps_restore_finished(const char *dir, struct ps_text *why);

#endif
