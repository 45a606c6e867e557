/* fsck_state: what the parts of fsck share. Not for others. */
#ifndef PS_CORE_UPKEEP_FSCK_STATE_H
#define PS_CORE_UPKEEP_FSCK_STATE_H

#include "core/storage/db.h"
#include "core/telemetry/manifest.h"
#include "core/telemetry/store.h"
#include "core/upkeep/fsck.h"

struct ps_fsck {
    const struct ps_fsck_settings *settings;
    struct ps_fsck_result *result;
    struct ps_text *why; /* of what ends it */
    int lock_fd;
    struct ps_db *db; /* a writer if it repairs */
    struct ps_store *store;
    struct ps_manifest_file_list files; /* as the manifest had them at the start */

    /* what the files tell about the counters */
    int64_t last_seq;
    int64_t greatest_series;
};

/** "problem: ..." and counted. */
void ps_fsck_problem(struct ps_fsck *fsck, const char *format, ...) PS_PRINTF(2, 3);
/** "repaired: ..." and counted. */
void ps_fsck_repaired(struct ps_fsck *fsck, const char *format, ...) PS_PRINTF(2, 3);
void ps_fsck_note(struct ps_fsck *fsck, const char *format, ...) PS_PRINTF(2, 3);
/** Keep the main database's text in `why`; returns `st`. */
enum ps_status ps_fsck_db_failed(struct ps_fsck *fsck, enum ps_status st);

/* Each part: PS_OK unless it could not look (or repair) at all; then `why` is set. */

/** fsck_main.c: pages and references of the main database; the journal. */
PS_MUST_CHECK
enum ps_status ps_fsck_main(struct ps_fsck *fsck);
PS_MUST_CHECK
enum ps_status ps_fsck_journal(struct ps_fsck *fsck);
/** The counters, after everything else: they must be greater than all that was seen. */
PS_MUST_CHECK
enum ps_status ps_fsck_counters(struct ps_fsck *fsck);

/** fsck_files.c: manifest against files, both ways. */
PS_MUST_CHECK
enum ps_status ps_fsck_files(struct ps_fsck *fsck);

/* What became of a damaged range file. */
struct ps_fsck_salvaged {
    int64_t points, blocks; /* read, and in the new file */
    int64_t lost;           /* points */
    int64_t damaged;        /* blocks, and places in the database that hide one or more of them */
};

/** fsck_salvage.c: write what can be read of the damaged file `name` to "<name>.db.salvage" beside
 *  it, checked and durable. `known`: the manifest's runs of it; none: all that it has.
 *  Returns: PS_OK; PS_ENOTFOUND nothing can be read; else `why` is set. Then there is no new file
 */
PS_MUST_CHECK
enum ps_status ps_fsck_salvage(struct ps_fsck *fsck, const char *name,
                               const struct ps_run_list *known, struct ps_fsck_salvaged *out);
/** The damaged file is out of the way: give the new one its name, durably. */
PS_MUST_CHECK
enum ps_status ps_fsck_salvage_place(struct ps_fsck *fsck, const char *name);

/** fsck_series.c: the catalogue against the copy in one file. */
PS_MUST_CHECK
enum ps_status ps_fsck_series(struct ps_fsck *fsck, const char *name, struct ps_run_file *file);

#endif
