/* run_file: one range file, an SQLite database that holds runs of compressed points.
 *
 * A run is what one seal or one merge wrote: all its points in (series, ts) order, cut into blocks
 * (block.h) of about PS_RUN_BLOCK_BYTES, one row each, in ascending id, so that writing only
 * appends. The row says which times its block covers and stands before the body: what is outside of
 * the wanted time is never read.
 *
 *     block(id, t0, t1, body)   id = run << 44 | first series << 12 | part
 *     run(run, level, ...)      one row per complete run: a copy of the manifest's, so that a lost
 *                               manifest can be remade
 *     series_page(id, body)     the catalogue rows of the series in this file, packed
 *                               (series_page.h), so that a lost catalogue can be remade; the
 *                               table is made with the first page
 *     series(id, entity_type, entity, key)   such rows, one by one: earlier versions, fsck
 *     meta(key, value)          version, start_ms, end_ms, last_run
 *
 * `part` is 0 in the block where the first series' first chunk of the run is the first chunk.
 * Otherwise that series began inside an earlier block, and part counts from 1 the blocks that it
 * begins. So the block where a series begins is the one with the greatest id <= (run, series, 0).
 *
 * A run is complete when its `run` row is there. Blocks without it, and runs the manifest does not
 * know, are left-overs of an interrupted seal or merge.
 *
 * A handle belongs to one thread at a time; many handles may read a file while one writes it. The
 * writer never checkpoints inside a commit; ps_run_file_checkpoint() copies the log. */
#ifndef PS_CORE_TELEMETRY_RUN_FILE_H
#define PS_CORE_TELEMETRY_RUN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/range.h"
#include "core/telemetry/series_page.h"
#include "core/text.h"
#include "core/uuid.h"

enum {
    PS_RUN_FILE_VERSION = 1,
    PS_RUN_PART_BITS = 12,
    PS_RUN_SERIES_BITS = 32,
    PS_RUN_NUMBER_MAX = (1 << 19) - 1, /* what the sign leaves of 64 bits; numbers start at 1 */
    PS_RUN_PART_MAX = (1 << PS_RUN_PART_BITS) - 1,
};

static inline int64_t ps_block_id(int64_t run, uint32_t series, uint32_t part)
{
    return (int64_t)((uint64_t)run << (PS_RUN_SERIES_BITS + PS_RUN_PART_BITS) |
                     (uint64_t)series << PS_RUN_PART_BITS | part);
}

static inline int64_t ps_block_id_run(int64_t id)
{
    return id >> (PS_RUN_SERIES_BITS + PS_RUN_PART_BITS);
}

static inline uint32_t ps_block_id_series(int64_t id)
{
    return (uint32_t)(id >> PS_RUN_PART_BITS);
}

static inline uint32_t ps_block_id_part(int64_t id)
{
    return (uint32_t)id & PS_RUN_PART_MAX;
}

/* One run, as the manifest (manifest.h) and the file itself know it. */
struct ps_run {
    int64_t file;                        /* id in the manifest; 0 where only the file was asked */
    int64_t run;                         /* number in the file, 1 .. PS_RUN_NUMBER_MAX */
    int level;                           /* 0 sealed, n + 1 merged from level n */
    int64_t journal_first, journal_last; /* journal rows whose points are in it */
    int64_t points, bytes;               /* bytes of its blocks */
    int64_t min_ms, max_ms;              /* least and greatest ts; both inclusive */
    uint32_t max_ttl_s;                  /* greatest explicit time to live; 0 = none has one */
    bool has_default_ttl;                /* some points have no time to live of their own */
    int64_t created_ms;
    int64_t retired_ms; /* 0 = live; else replaced by a merge since then. Manifest only */
};

/* Zeroed = empty. */
struct ps_run_list {
    size_t count, cap;
    struct ps_run *items; /* owned */
};

PS_MUST_CHECK
enum ps_status ps_run_list_add(struct ps_run_list *list, const struct ps_run *run);
void ps_run_list_deinit(struct ps_run_list *list);
/**
 * Leave out the runs that a merge has replaced but that are still in their file: those whose
 * journal rows lie within the rows of a run of a higher level and number; and runs without points,
 * which only say that such a merge left nothing. For who remakes a manifest from the runs of one
 * file.
 */
void ps_run_list_drop_merged(struct ps_run_list *list);

struct ps_known_series;
struct ps_run_file;

enum ps_run_file_mode {
    PS_RUN_FILE_READ,  /* the file must exist */
    PS_RUN_FILE_WRITE, /* made if missing */
};

/**
 * Open one range file by its path. Most callers borrow from the store (store.h) instead.
 *
 * @param range  for PS_RUN_FILE_WRITE: what a new file is for; NULL: it must exist
 * Returns: PS_OK; PS_ENOTFOUND no such file; PS_EPROTO damaged, or not a range file;
 *          PS_EUNSUPPORTED a newer version wrote it; PS_EFULL; PS_ESTORE; PS_ENOMEM.
 *          `why` (may be NULL) names the file and what is wrong
 */
PS_MUST_CHECK
enum ps_status ps_run_file_open(const char *path, enum ps_run_file_mode mode,
                                const struct ps_range *range, struct ps_run_file **out,
                                struct ps_text *why);
/** Gives up what is still open: readers must be closed, writers committed or aborted. NULL is fine.
 */
void ps_run_file_close(struct ps_run_file *file);

/** The span of time as the file's meta table says; its name is the file's, without ".db". */
const struct ps_range *ps_run_file_range(const struct ps_run_file *file);
bool ps_run_file_writable(const struct ps_run_file *file);
/** The text of the last failure, naming the file; valid until the next call with the handle. */
const char *ps_run_file_error(const struct ps_run_file *file);
/** Forget what a borrower left open. For the store. */
void ps_run_file_settle(struct ps_run_file *file);

/* Of all functions below: PS_EPROTO means that the file is damaged. */

/** All complete runs, by number; appended to `out` (file = 0, retired_ms = 0). */
PS_MUST_CHECK
enum ps_status ps_run_file_runs(struct ps_run_file *file, struct ps_run_list *out);
/**
 * Numbers of all runs that the file has anything of, complete or left over, ascending; appended to
 * `out` as runs of which only `run` is set. What the manifest does not know of these is garbage.
 */
PS_MUST_CHECK
enum ps_status ps_run_file_numbers(struct ps_run_file *file, struct ps_run_list *out);
/**
 * A number for a new run: greater than all this file ever had, or, when these are used up, one that
 * neither the file nor `known` (the manifest's runs of this file, retired ones included; may be
 * NULL) uses.
 * Returns: PS_OK; PS_ELIMIT none is free; PS_EPROTO, PS_ESTORE, PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_run_file_next_number(struct ps_run_file *file, const struct ps_run_list *known,
                                       int64_t *out);

/**
 * Delete at most `blocks_max` blocks of a run in one transaction, its row first, so that it is
 * never taken for complete; *finished tells that nothing is left of it. A run that does not exist
 * is finished. Ends with a checkpoint. Writing handle.
 */
PS_MUST_CHECK
enum ps_status ps_run_file_delete(struct ps_run_file *file, int64_t run, int blocks_max,
                                  bool *finished);

/**
 * Visit the copied catalogue, in no order; a series may come more than once. A visit that is not
 * PS_OK ends it and is returned. PS_EPROTO: all was visited that can be read.
 */
PS_MUST_CHECK
enum ps_status ps_run_file_series(struct ps_run_file *file,
                                  enum ps_status (*visit)(void *arg,
                                                          const struct ps_run_series *series),
                                  void *arg);
/** Add a catalogue row, not packed, or replace it (fsck). Writing handle. */
PS_MUST_CHECK
enum ps_status ps_run_file_put_series(struct ps_run_file *file, const struct ps_run_series *series);
/** Visit the pages (series_page.h) of the copied catalogue as they are, damaged or not. */
PS_MUST_CHECK
enum ps_status ps_run_file_series_pages(struct ps_run_file *file,
                                        enum ps_status (*visit)(void *arg, const void *body,
                                                                size_t len),
                                        void *arg);

/** Pages of the file and how many of them are free: deleted runs leave them, new runs use them. */
struct ps_run_file_space {
    int64_t page_bytes, pages, free_pages;
};
PS_MUST_CHECK
enum ps_status ps_run_file_space(struct ps_run_file *file, struct ps_run_file_space *out);
/**
 * Give up to `pages_max` free pages back to the file system, by moving pages from the file's end.
 * One transaction; ends with a checkpoint. Writing handle.
 */
PS_MUST_CHECK
enum ps_status ps_run_file_shrink(struct ps_run_file *file, int pages_max);

/**
 * Copy the write-ahead log into the file and cut it to nothing, as far as readers allow without
 * waiting. Writing handle, outside of a transaction. Commits of run_writer do it by themselves.
 */
PS_MUST_CHECK
enum ps_status ps_run_file_checkpoint(struct ps_run_file *file);

/* What ps_run_file_verify() found wrong. */
struct ps_run_damage {
    int64_t block; /* its id; 0 = the file as a whole */
    const char *text;
};

struct ps_run_verified {
    int64_t runs, blocks, chunks, points, bytes, damaged;
};

/**
 * Look at everything: SQLite's own structure, each block's checksum, directory and every chunk, the
 * order of ids, the times of rows, the sums of runs, the pages of series. `visit` hears of each
 * damage (may be NULL).
 *
 * @param deep  also SQLite's own check of every page (slow on large files)
 * Returns: PS_OK nothing is damaged; PS_EPROTO something is, `out` counts; PS_ESTORE; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_run_file_verify(struct ps_run_file *file, bool deep,
                                  void (*visit)(void *arg, const struct ps_run_damage *damage),
                                  void *arg, struct ps_run_verified *out);

/* ---- for run_writer, run_reader and tests ---- */

/** Add the row that makes a run complete, inside the transaction of its last blocks. */
PS_MUST_CHECK
enum ps_status ps_run_file_put_run(struct ps_run_file *file, const struct ps_run *run);

/** Add a finished page to the copied catalogue, inside a transaction of the caller's. */
PS_MUST_CHECK
enum ps_status ps_run_file_put_series_page(struct ps_run_file *file, const struct ps_buf *page);
/** What the handle remembers of the copied catalogue; forgotten when a borrower left something
 *  open. Writing handle. */
struct ps_known_series *ps_run_file_known(struct ps_run_file *file);

struct ps_db *ps_run_file_db(struct ps_run_file *file);
/** Keep the database's text as the file's error (naming it) and pass the status on. */
enum ps_status ps_run_file_failed(struct ps_run_file *file, enum ps_status st);
/** Put back an error that undoing has overwritten. */
void ps_run_file_restore_error(struct ps_run_file *file, const struct ps_text *error);
/** The same for damage that we found ourselves. Returns PS_EPROTO. */
enum ps_status ps_run_file_damaged(struct ps_run_file *file, int64_t block, const char *what);
/** One snapshot for all readers of a handle: the first opens it, the last ends it. */
PS_MUST_CHECK
enum ps_status ps_run_file_begin_read(struct ps_run_file *file);
void ps_run_file_end_read(struct ps_run_file *file);

#endif
