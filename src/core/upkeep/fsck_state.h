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
    struct ps_manifest_file_list files; /* as the manifest has them at the start */

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
/** fsck_pins.c: latest values without points of their own. */
PS_MUST_CHECK
enum ps_status ps_fsck_pins(struct ps_fsck *fsck);
/** The counters, after everything else: they must be greater than all that was seen. */
PS_MUST_CHECK
enum ps_status ps_fsck_counters(struct ps_fsck *fsck);

/** fsck_files.c: manifest against files, both ways. */
PS_MUST_CHECK
enum ps_status ps_fsck_files(struct ps_fsck *fsck);

/** fsck_runs.c: live runs that the manifest knows of a file, against those that the file has. */
PS_MUST_CHECK
enum ps_status ps_fsck_known_runs(struct ps_fsck *fsck, const char *name,
                                  const struct ps_run_list *known, const struct ps_run_list *have);
/** The manifest has none of the runs of a file. `have` is changed. */
PS_MUST_CHECK
enum ps_status ps_fsck_forgotten_runs(struct ps_fsck *fsck, const char *name,
                                      struct ps_run_file *file, struct ps_run_list *have);
/** A file is gone (told already): with `rebuild` the manifest forgets it. */
PS_MUST_CHECK
enum ps_status ps_fsck_forget_file(struct ps_fsck *fsck, const struct ps_manifest_file *row);

/** fsck_aside.c: files that the server or a rebuild has begun to remove or to put away. First. */
PS_MUST_CHECK
enum ps_status ps_fsck_leaving(struct ps_fsck *fsck);
PS_MUST_CHECK
enum ps_status ps_fsck_is_leaving(struct ps_fsck *fsck, const char *name, bool *out);
/** A file is damaged (told already): rename it, make the manifest know. PS_EFULL: there is no room
 *  to save what can be read of it, and nothing was done. */
PS_MUST_CHECK
enum ps_status ps_fsck_set_aside(struct ps_fsck *fsck, const char *name);
/** All files that are set aside: with `rebuild`, save what can be read. Last. */
PS_MUST_CHECK
enum ps_status ps_fsck_asides(struct ps_fsck *fsck);

struct ps_fsck_salvage {
    const char *file_name;      /* of the damaged file, in the folder */
    const char *name;           /* of the range; its live file takes what can be read */
    struct ps_run_list known;   /* the manifest's runs of the damaged file; none: all it has */
    struct ps_run_list present; /* the manifest's runs of the live file */

    /* out */
    struct ps_run_list saved; /* new runs in the live file, which the manifest does not know */
    int64_t points, blocks;   /* of these */
    int64_t lost;             /* points */
    int64_t damaged;          /* blocks, and places in the database that hide one or more of them */
};
void ps_fsck_salvage_deinit(struct ps_fsck_salvage *salvage);

/** fsck_salvage.c: write what can be read of a damaged file into the live one, checked and durable.
 *  Returns: PS_OK (nothing to save: saved.count = 0); PS_ENOTFOUND nothing can be read; else `why`
 *  is set. What is in the live file then is garbage that nobody knows */
PS_MUST_CHECK
enum ps_status ps_fsck_salvage(struct ps_fsck *fsck, struct ps_fsck_salvage *salvage);

/** fsck_series.c: the catalogue against the copy in one file. */
PS_MUST_CHECK
enum ps_status ps_fsck_series(struct ps_fsck *fsck, const char *name, struct ps_run_file *file);

#endif
