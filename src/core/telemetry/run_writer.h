/* run_writer: puts sorted points into a range file as one new run.
 *
 * Points are gathered into chunks of at most PS_CHUNK_POINTS_MAX points, chunks into blocks. Series
 * that follow each other land in the same block while they are small, so keys that arrive together
 * share their times. What is written is committed in slices of some megabytes, each followed by a
 * checkpoint, so neither memory nor the write-ahead log grow with the run; the row that makes the
 * run complete comes with the last commit. Before that, nobody sees it.
 *
 * Series that are new to the file are described in it (known_series.h, series_page.h): never is a
 * block committed before the page that describes its series.
 *
 * Memory: one chunk, one block, one page of series, whatever the run's size. Thread: that of the
 * file's handle. */
#ifndef PS_CORE_TELEMETRY_RUN_WRITER_H
#define PS_CORE_TELEMETRY_RUN_WRITER_H

#include "core/telemetry/point.h"
#include "core/telemetry/run_file.h"

enum {
    /* A block is finished when it has so many bytes; the last chunk goes over it. A row keeps what
     * fills whole overflow pages there and the rest, 1003 bytes or more, in the tree's page: a
     * block of two such pages and little more wastes least (5 % of the file; 16384 wastes 10 %). */
    PS_RUN_BLOCK_BYTES = 17360,
    PS_RUN_SLICE_BYTES = 4 << 20, /* written between two commits */
};

struct ps_run_writer;

/* Where a series that the file has not seen yet is described for the copied catalogue. */
struct ps_run_catalogue {
    /**
     * Fill *out; its key lives until the next call. Called once for each series new to the file, by
     * ascending id, from within ps_run_writer_add().
     * Returns: PS_OK; PS_ENOTFOUND there is no such series: nothing of it is written; a failure
     * ends the run
     */
    enum ps_status (*describe)(void *arg, uint32_t series, struct ps_run_series *out);
    void *arg;
};

/**
 * Start a run.
 *
 * @param file       writing handle, not in a transaction, without readers (a merge reads through a
 *                   second handle); used by nobody else until commit or abort
 * @param run        its number, of ps_run_file_next_number()
 * @param catalogue  NULL: no rows are copied (a merge inside the file has them already)
 */
PS_MUST_CHECK
enum ps_status ps_run_writer_begin(struct ps_run_file *file, int64_t run,
                                   const struct ps_run_catalogue *catalogue,
                                   struct ps_run_writer **out);

/** Smaller blocks and slices than PS_RUN_BLOCK_BYTES and PS_RUN_SLICE_BYTES: many of them in the
 *  few points of a test. Before the first point. */
void ps_run_writer_set_sizes_for_test(struct ps_run_writer *writer, size_t block_bytes,
                                      size_t slice_bytes);

/**
 * Add points of one series. Across calls: series ascending, ts within a series strictly ascending
 * (asserted). Any number of points, in as many calls as you like; they are copied, or encoded
 * before the call returns.
 *
 * @param ttl_s  parallel to points, 0 = none of its own; NULL = none has one
 * Returns: PS_OK; PS_ENOTFOUND describe() knows no such series: its points are left out, the run
 *          goes on; PS_ENOMEM, PS_EFULL, PS_ESTORE, what else describe() returned: abort the run
 */
PS_MUST_CHECK
enum ps_status ps_run_writer_add(struct ps_run_writer *writer, uint32_t series,
                                 const struct ps_point *points, const uint32_t *ttl_s,
                                 size_t count);
/** The same for all points of a series at once: they are encoded where they are, nothing is copied.
 */
PS_MUST_CHECK
enum ps_status ps_run_writer_add_series(struct ps_run_writer *writer, uint32_t series,
                                        const struct ps_point *points, const uint32_t *ttl_s,
                                        size_t count);

/**
 * Commit what is written so far (points that do not fill a block yet stay in memory) and leave the
 * handle outside of a transaction: until the next call another run may be written with it.
 * Returns: PS_OK; PS_EFULL, PS_ESTORE: abort the run then
 */
PS_MUST_CHECK
enum ps_status ps_run_writer_pause(struct ps_run_writer *writer);

/**
 * Write what is left and the run's row, durably; then copy the log into the file.
 *
 * @param run  level, journal_first, journal_last and created_ms are the caller's; run, points,
 *             bytes, min_ms, max_ms, max_ttl_s and has_default_ttl are filled in; file and
 *             retired_ms are left alone. A run without points writes nothing: points = 0.
 * Returns: PS_OK; otherwise the run does not exist. The writer is gone in any case
 */
PS_MUST_CHECK
enum ps_status ps_run_writer_commit(struct ps_run_writer *writer, struct ps_run *run);
/** Undo. What cannot be deleted now (no space) is garbage for later. NULL is fine. */
void ps_run_writer_abort(struct ps_run_writer *writer);

#endif
