/* run_reader: the chunks of one run, of some series and some span of time, in order.
 *
 * Each block is fetched by one look-up behind the last one, so any number of readers may work on
 * one handle at the same time (a query reads all runs of a file through one). Bodies of blocks
 * outside of the time are not read, chunks outside of it are not given out; a chunk that is only
 * partly inside comes whole.
 *
 * While a reader is open the handle keeps one snapshot of the file: a run that was there when the
 * reader was opened stays until it is closed. Memory: one block per reader. */
#ifndef PS_CORE_TELEMETRY_RUN_READER_H
#define PS_CORE_TELEMETRY_RUN_READER_H

#include "core/telemetry/chunk.h"
#include "core/telemetry/run_file.h"

/* A chunk and what its block's directory says of it: struct ps_chunk_info of block.h. */
#include "core/telemetry/block.h"

struct ps_run_reader;

struct ps_run_want {
    uint32_t series_from, series_to; /* inclusive */
    int64_t start_ms, end_ms;        /* inclusive */
    bool descending;                 /* chunks in reverse: greatest series and newest first */
};

/**
 * Returns: PS_OK; PS_ENOTFOUND the file has no such complete run (it was merged and deleted: load
 *          the manifest anew); PS_EPROTO damaged; PS_ESTORE; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_run_reader_open(struct ps_run_file *file, int64_t run,
                                  const struct ps_run_want *want, struct ps_run_reader **out);
/** Begin again with another wish, same run and snapshot. Cheaper than a new reader. */
void ps_run_reader_restart(struct ps_run_reader *reader, const struct ps_run_want *want);
void ps_run_reader_close(struct ps_run_reader *reader); /* NULL is fine */

/**
 * The next chunk's description in *info, which is written to in any case.
 *
 * Returns: PS_OK; PS_ENOTFOUND the end; PS_EPROTO a damaged block, ps_run_reader_error() names file
 *          and block: the next call goes on behind it; PS_ESTORE, PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_run_reader_next(struct ps_run_reader *reader, struct ps_chunk_info *info);
/** Is the chunk last given known to be its series' last one? False: it may have followers. Of an
 *  ascending reader only. */
bool ps_run_reader_is_last(const struct ps_run_reader *reader);
/**
 * The points of the chunk last given, ascending whatever the order of chunks. Texts live in `out`
 * or in the reader's block: until the next decode into `out` or the next ps_run_reader_next().
 *
 * Returns: PS_OK; PS_EPROTO as above; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_run_reader_decode(struct ps_run_reader *reader, struct ps_chunk_points *out);

/** What the last failure was about: file, block, reason. */
const char *ps_run_reader_error(const struct ps_run_reader *reader);

#endif
