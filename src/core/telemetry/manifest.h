/* manifest: which range files and runs there are, what was deleted from them, and counters, as
 * tables of pacificsoft.db.
 *
 * It is the truth about runs: what it does not name does not exist, whatever is in the files. A
 * seal or merge writes its run into the file first and then changes the manifest in one transaction
 * of the writer; so does retention before it removes a file.
 *
 * Readers call these inside one read transaction (ps_db_begin_read) to see one state. Functions
 * that change something are for changes given to ps_writer_call(). */
#ifndef PS_CORE_TELEMETRY_MANIFEST_H
#define PS_CORE_TELEMETRY_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/range.h"
#include "core/telemetry/run_file.h"
#include "core/telemetry/tombstone_list.h"

/* ---- files ---- */

enum ps_manifest_file_state {
    PS_FILE_LIVE = 0,
    PS_FILE_SET_ASIDE = 1, /* damaged and renamed: its points are not shown */
};

enum { PS_MANIFEST_NAME_SIZE = 64 };

struct ps_manifest_file {
    int64_t id;                       /* never used again */
    char name[PS_MANIFEST_NAME_SIZE]; /* of the range, "2026-W47"; of a file set aside, its present
                                         name: "2026-W47.db.damaged" */
    int64_t start_ms, end_ms;         /* as in struct ps_range */
    int64_t created_ms;
    int64_t rewritten_ms; /* when merging last dropped what is expired or deleted */
    int state;            /* enum ps_manifest_file_state */

    /* of ps_manifest_load() only: its runs in the list beside it */
    size_t first_run, run_count;
};

struct ps_manifest_file_list {
    size_t count, cap;
    struct ps_manifest_file *items; /* owned */
};
void ps_manifest_file_list_deinit(struct ps_manifest_file_list *list);

/* What a query or a merge plans with. Zeroed = empty. */
struct ps_manifest {
    struct ps_manifest_file_list files; /* by start_ms, then id */
    struct ps_run_list runs;            /* grouped like files; of one file by journal_last, oldest
                                           arrival first */
};
void ps_manifest_deinit(struct ps_manifest *manifest);

/** All live runs of live files that may hold points in [start_ms, end_ms], both inclusive; files
 *  without such runs are left out. `out` is emptied first and may be reused. */
PS_MUST_CHECK
enum ps_status ps_manifest_load(struct ps_db *db, int64_t start_ms, int64_t end_ms,
                                struct ps_manifest *out);

/** All files of any state, by start_ms, then id. Appended. */
PS_MUST_CHECK
enum ps_status ps_manifest_files(struct ps_db *db, struct ps_manifest_file_list *out);
/** Returns: PS_OK; PS_ENOTFOUND no file of that name; PS_ESTORE */
PS_MUST_CHECK
enum ps_status ps_manifest_find_file(struct ps_db *db, const char *name,
                                     struct ps_manifest_file *out);
/** The runs of one file, by journal_last, then run. Appended. */
PS_MUST_CHECK
enum ps_status ps_manifest_runs(struct ps_db *db, int64_t file, bool with_retired,
                                struct ps_run_list *out);

/* Inside a transaction of the writer: */

/** The file of a range, made if the manifest has none; *id its id. */
PS_MUST_CHECK
enum ps_status ps_manifest_put_file(struct ps_db *db, const struct ps_range *range,
                                    int64_t created_ms, int64_t *id);
/** Returns: PS_OK; PS_ENOTFOUND no such file */
PS_MUST_CHECK
enum ps_status ps_manifest_set_rewritten(struct ps_db *db, int64_t file, int64_t rewritten_ms);
/** The file was renamed to `renamed` because it is damaged; its name is free again.
 *  Returns: PS_OK; PS_ENOTFOUND; PS_EEXISTS that name is taken */
PS_MUST_CHECK
enum ps_status ps_manifest_set_aside(struct ps_db *db, int64_t file, const char *renamed);
/** The file is going to be removed: it and its runs are forgotten. PS_ENOTFOUND if it is not
 *  there. */
PS_MUST_CHECK
enum ps_status ps_manifest_drop_file(struct ps_db *db, int64_t file);

/** A new run, all of whose fields are set (retired_ms usually 0).
 *  Returns: PS_OK; PS_EEXISTS; PS_EINVAL no such file */
PS_MUST_CHECK
enum ps_status ps_manifest_add_run(struct ps_db *db, const struct ps_run *run);
/** The run is replaced: readers of older snapshots may still use it. PS_ENOTFOUND if it is not
 *  there. */
PS_MUST_CHECK
enum ps_status ps_manifest_retire_run(struct ps_db *db, int64_t file, int64_t run,
                                      int64_t retired_ms);
/** The run is deleted from its file: forget it too. PS_ENOTFOUND if it is not there. */
PS_MUST_CHECK
enum ps_status ps_manifest_forget_run(struct ps_db *db, int64_t file, int64_t run);

/* ---- tombstones ---- */

/** Those of one series, by (seq, idx). Appended. */
PS_MUST_CHECK
enum ps_status ps_manifest_tombstones(struct ps_db *db, uint32_t series,
                                      struct ps_tombstone_list *out);
/** All, by (series, seq, idx). Appended. */
PS_MUST_CHECK
enum ps_status ps_manifest_all_tombstones(struct ps_db *db, struct ps_tombstone_list *out);
/* Inside a transaction of the writer: */
PS_MUST_CHECK
enum ps_status ps_manifest_add_tombstone(struct ps_db *db, struct ps_tombstone *tombstone);
/** It has been applied everywhere. PS_ENOTFOUND if it is not there. */
PS_MUST_CHECK
enum ps_status ps_manifest_forget_tombstone(struct ps_db *db, int64_t id);

/* ---- counters ---- */

#define PS_STATE_SEALED_SEQ "sealed_seq"   /* journal rows up to here are in runs */
#define PS_STATE_NEXT_SERIES "next_series" /* first series id never used */
#define PS_STATE_NEXT_FILE "next_file"     /* first file id never used */
#define PS_STATE_MADE_SURE "made_sure" /* counts commits whose only sense is to have succeeded */

/** *value = the counter, or `missing` if it was never set. */
PS_MUST_CHECK
enum ps_status ps_manifest_state(struct ps_db *db, const char *key, int64_t missing,
                                 int64_t *value);
/** Inside a transaction of the writer. */
PS_MUST_CHECK
enum ps_status ps_manifest_set_state(struct ps_db *db, const char *key, int64_t value);

/* ---- files that leave ---- */

/* A file that was dropped from the manifest on purpose is still in its folder until it is removed,
 * and a cut between the two must not make it look like one that the manifest has lost. So the
 * change that drops it notes the file's name ("2026-W46.db"), and who finds such a file finishes
 * what was begun: a file to be dropped is removed, one set aside whose points fsck saved
 * ("2026-W46.db.damaged") is renamed. A new file of the name (ps_manifest_put_file) ends the note.
 */

/** Inside a transaction of the writer. */
PS_MUST_CHECK
enum ps_status ps_manifest_note_leaving(struct ps_db *db, const char *file_name);
PS_MUST_CHECK
enum ps_status ps_manifest_is_leaving(struct ps_db *db, const char *file_name, bool *out);
/** It is gone, or wanted again; that there is no note is fine. Inside a transaction of the writer.
 */
PS_MUST_CHECK
enum ps_status ps_manifest_forget_leaving(struct ps_db *db, const char *file_name);
/** The first noted name after `after` ("": the first). PS_ENOTFOUND: there is none. */
PS_MUST_CHECK
enum ps_status ps_manifest_next_leaving(struct ps_db *db, const char *after,
                                        char out[PS_MANIFEST_NAME_SIZE]);

#endif
