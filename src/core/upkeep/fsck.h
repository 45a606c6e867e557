/* fsck: is everything in a data directory as it should be, and remake what can be remade.
 *
 * Looked at: SQLite's own structure of the main database and of every range file, references
 * between tables, the checksum of every journal row, of every block and chunk, the manifest against
 * the files and the runs in them, the catalogue of series against the copies in the files, and the
 * counters.
 *
 * With `rebuild` the server's own rules decide: what the files tell replaces what the manifest has
 * lost (runs, series, counters), what the manifest names and no file has is forgotten. A damaged
 * file is set aside as the server would, and what can be read of it goes into the live file of its
 * name. A rebuild that was interrupted anywhere is finished by the next one.
 * Damaged journal rows are moved to a file of their own.
 * Not derivable: the entities of the main database. If that is damaged, a backup is the way back.
 *
 * The server must not run: fsck takes its lock. Without `rebuild` nothing is changed. */
#ifndef PS_CORE_UPKEEP_FSCK_H
#define PS_CORE_UPKEEP_FSCK_H

#include <stdbool.h>

#include "core/upkeep/backup.h"

struct ps_fsck_settings {
    const char *dir;
    bool rebuild;
    struct ps_upkeep_watcher watcher; /* tell: a line for each problem and each repair */
};

struct ps_fsck_result {
    int64_t problems, repaired; /* repaired counts problems, too */
    int64_t files, runs, blocks, points, journal_rows, series;
};

/**
 * Returns: PS_OK        everything was looked at; out->problems tells
 *          PS_ENOTFOUND no data in `dir`
 *          PS_EBUSY     a server uses it
 *          PS_EUNSUPPORTED another version of the schema
 *          PS_EINVAL    `dir` is a half restore
 *          PS_EPROTO    the main database is so damaged that it cannot be read
 *          PS_EFULL, PS_EIO, PS_ESTORE, PS_ENOMEM
 *          all with a sentence in `why`
 */
PS_MUST_CHECK
enum ps_status ps_fsck_run(const struct ps_fsck_settings *settings, struct ps_fsck_result *out,
                           struct ps_text *why);

#endif
