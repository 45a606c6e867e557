/* store: the folder of range files and the handles that are open on them.
 *
 * Opening a range file costs more than most reads of it, so handles are kept: whoever needs one
 * borrows it by the file's name, has it alone, and gives it back. A bounded number of idle handles
 * stays open, the longest unused go first.
 *
 * A file that is to go (dropped because all of it is expired, set aside because it is damaged) must
 * not be open in anybody's hands: SQLite finds a file's log by its name, and a new file of the same
 * name would lose its own. So dropping only marks the name; nobody can borrow it any more, and the
 * last handle that is returned does the work.
 *
 *     live --drop--> going --last handle returned--> removed; the name may be used again
 *     live --set aside--> going --last handle returned--> renamed to <name>.db.damaged, and
 *             refused until the keeper has changed the manifest (ps_store_settle_aside)
 *
 * Files are removed and renamed by the thread that returns the last handle, outside of the lock. */
#ifndef PS_CORE_TELEMETRY_STORE_H
#define PS_CORE_TELEMETRY_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "core/telemetry/manifest.h"
#include "core/telemetry/run_file.h"
#include "core/text.h"

struct ps_metrics;
struct ps_store;

struct ps_store_settings {
    const char *dir;   /* of the data; range files are in <dir>/telemetry, made if missing */
    unsigned idle_max; /* handles kept open while nobody uses them; 0 = 64 */
    struct ps_metrics *metrics; /* counts PS_METRIC_FILES_DAMAGED; NULL: nowhere */
    unsigned metrics_lane;
};

/** Returns: PS_OK; PS_EIO the folder cannot be made or read (`why` says which); PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_store_open(const struct ps_store_settings *settings, struct ps_store **out,
                             struct ps_text *why);
/** All handles must have been returned. NULL is fine. */
void ps_store_close(struct ps_store *store);

/** "<dir>/telemetry". */
const char *ps_store_folder(const struct ps_store *store);

/**
 * A handle of the file `name` ("2026-W47"), the caller's alone until it is returned.
 *
 * @param write  one at a time, for the keeper (others only while it is stopped); makes the file if
 *               it is missing. Readers may be borrowed beside it
 * @param why    names file and reason on failure; may be NULL
 * Returns: PS_OK
 *          PS_ENOTFOUND  no such file, or it is being dropped: it has no points
 *          PS_EPROTO     damaged (ps_store_set_aside() is the caller's decision), or set aside
 *                        already
 *          PS_EBUSY      write: somebody has the writing handle, or the file is just going
 *          PS_EINVAL     write: a name that is no range's
 *          PS_EUNSUPPORTED, PS_EFULL, PS_ESTORE, PS_ENOMEM
 * Thread:  one that may block on the disk
 */
PS_MUST_CHECK
enum ps_status ps_store_borrow(struct ps_store *store, const char *name, bool write,
                               struct ps_run_file **out, struct ps_text *why);
/** Give a handle back. Readers and writers on it must be closed. NULL is fine. */
void ps_store_return(struct ps_store *store, struct ps_run_file *file);

/**
 * Remove a file that the manifest no longer names. Handles are closed first, borrowed ones when
 * they are returned; then .db, -wal and -shm go, through the database's file system.
 * A file that is not there is fine.
 */
void ps_store_drop(struct ps_store *store, const char *name);

/**
 * A file is damaged: rename it (when nobody has it open any more) to <name>.db.damaged, or
 * <name>.db.damaged.2 and so on, with its log. Logged and counted once. Thread: any that may block.
 */
void ps_store_set_aside(struct ps_store *store, const char *name, const char *why);
/**
 * A file that was renamed and whose manifest row still has its old name: `name` and the present
 * name `renamed`. For the keeper, which calls ps_manifest_set_aside() and then
 * ps_store_settle_aside(); until then the name is refused. After a start also what an earlier
 * process may have left so: that the manifest does not know the name is fine.
 * Returns: false if there is none
 */
bool ps_store_next_aside(struct ps_store *store, char name[PS_MANIFEST_NAME_SIZE],
                         char renamed[PS_MANIFEST_NAME_SIZE]);
void ps_store_settle_aside(struct ps_store *store, const char *name);

/**
 * What could be saved of a damaged file is elsewhere: rename it ("2026-W46.db.damaged") once more,
 * to "2026-W46.db.before-rebuild" or so; it is not damaged telemetry any more but a keepsake.
 * Returns: PS_OK, `renamed` its present name; PS_ENOTFOUND it is not there (any more); PS_EINVAL
 * not the name of a damaged file; PS_EIO
 */
PS_MUST_CHECK
enum ps_status ps_store_put_away(struct ps_store *store, const char *damaged,
                                 char renamed[PS_MANIFEST_NAME_SIZE]);

/**
 * A reader or a merge met damage in a file and passed over it; the file stays in use. The file is
 * remembered by name until it is dropped or set aside; the first time is logged, each is counted
 * (PS_METRIC_DAMAGE_MET).
 *
 * @param name  of the range, "2026-W47"
 * @param why   what it was, one line ("2026-W47.db: run 1, block of series 7: ...")
 * Thread: any; never waits for the disk
 */
void ps_store_note_damage(struct ps_store *store, const char *name, const char *why);

/**
 * The damaged files in the folder: those set aside ("2026-W46.db.damaged"), by earlier runs of the
 * process included, then those in use in which damage was met ("2026-W47.db"): their number, and
 * their names, separated by ", " (cut to what fits; `names` may be NULL). For /readyz.
 * Thread: any; never waits for the disk.
 */
size_t ps_store_damaged(struct ps_store *store, struct ps_text *names);

/**
 * Visit the names ("2026-W47") of all range files in the folder, in no order; a visit that is not
 * PS_OK ends it and is returned. For finding what the manifest does not know, and for fsck.
 * Returns: PS_OK; PS_EIO the folder cannot be read
 */
PS_MUST_CHECK
enum ps_status ps_store_list(struct ps_store *store,
                             enum ps_status (*visit)(void *arg, const char *name), void *arg);

/** Whether the folder has an entry of that name, ending included ("2026-W46.db"). */
bool ps_store_has(struct ps_store *store, const char *file_name);

/**
 * Bytes of the files that were dropped and are not removed yet, because somebody still reads them:
 * room that comes by itself. Thread: any; never waits for the disk.
 */
int64_t ps_store_leaving_bytes(struct ps_store *store);

/** Bytes of a file on disk, its log included; 0 if it is not there. */
int64_t ps_store_file_bytes(struct ps_store *store, const char *name);

#endif
