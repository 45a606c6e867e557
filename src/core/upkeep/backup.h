/* backup: a copy of a data directory, taken while the server runs.
 *
 *     TARGET/backup.json                       what the backup is (backup_list.h)
 *     TARGET/pacificsoft-<xxh3>.db             the main database
 *     TARGET/telemetry/2026-W47-<xxh3>.db      the range files
 *     TARGET/lock                              one backup at a time
 *
 * The main database is copied first, as one snapshot; then the range files that this snapshot's
 * manifest names. Sealing goes on meanwhile, but while we hold <dir>/backup.lock the server deletes
 * nothing, so each file still has all the runs of the snapshot; what it has besides, a start of the
 * restored directory throws away.
 *
 * The next backup into the same TARGET copies only the main database and the range files whose runs
 * have changed. Nothing of the last backup is touched before backup.json is replaced: one that is
 * interrupted, or fails, leaves it as it was. Everything copied is checked (database pages, block
 * checksums, runs and points against the manifest), synced and read back from the disk. */
#ifndef PS_CORE_UPKEEP_BACKUP_H
#define PS_CORE_UPKEEP_BACKUP_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

/* Who watches. All may be NULL. */
struct ps_upkeep_watcher {
    /* A sentence for the user, without newline. */
    void (*tell)(void *arg, const char *line);
    /* `done` of `total` files; `name` is the one that is begun now. */
    void (*progress)(void *arg, const char *name, size_t done, size_t total);
    void *arg;
};

struct ps_backup_settings {
    const char *dir, *target; /* target is made if it is missing */
    const char *program;      /* version, for the list */
    struct ps_upkeep_watcher watcher;
};

struct ps_backup_result {
    size_t copied, reused, damaged; /* files; damaged: set aside by the server, not in the backup */
    int64_t bytes_copied, bytes_reused;
};

/**
 * Take a backup.
 *
 * Returns: PS_OK        TARGET holds the backup
 *          PS_ENOTFOUND no data in `dir`
 *          PS_EBUSY     another backup into this target runs
 *          PS_EPROTO    a database or range file is damaged (fsck says more)
 *          PS_EINVAL    the target is `dir` or inside of it, or holds the backup of another
 *                       installation; or `dir` is a half restore
 *          PS_EUNSUPPORTED, PS_EFULL, PS_EIO, PS_ESTORE, PS_ENOMEM
 *          all with a sentence in `why`; the backup that was in TARGET is still there
 */
PS_MUST_CHECK
enum ps_status ps_backup_run(const struct ps_backup_settings *settings,
                             struct ps_backup_result *out, struct ps_text *why);

#endif
