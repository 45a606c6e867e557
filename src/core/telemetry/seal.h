/* seal: points leave the journal for the range files.
 *
 * One pass takes the oldest journal rows that are not sealed yet, as many as fit into the memory it
 * may use, in one read snapshot. Records that a tombstone covers are left out (exactly, by their
 * position in the journal); the others are sorted by (series, ts), of equal ones the last arrival
 * stays. Each range file that they touch gets one run of level 0, with a copy of the catalogue rows
 * of series that are new in it. Then one transaction of the writer inserts the rows of the manifest
 * and moves sealed_seq: from there on everybody reads the runs, and ignores the journal up to
 * there.
 *
 * Interrupted before that transaction, nothing has happened: the runs are unknown (and deleted as
 * garbage), the next pass does the same again. A journal row that is damaged is counted, logged and
 * left out; it never stops the others. Points of a series that is not in the catalogue (its entity
 * was deleted) are left out, too.
 *
 * The journal rows themselves are deleted afterwards, in slices small enough for the commits
 * between them (ps_seal_trim). */
#ifndef PS_CORE_TELEMETRY_SEAL_H
#define PS_CORE_TELEMETRY_SEAL_H

#include "core/status.h"
#include "core/telemetry/keep.h"

struct ps_seal_result {
    int64_t sealed_seq; /* now */
    size_t rows, damaged_rows;
    size_t points;  /* read from the journal */
    size_t written; /* of them: not replaced, deleted or orphaned */
    size_t runs;
    int64_t journal_bytes; /* of the rows */
    int64_t bytes;         /* of the blocks */
    bool more;             /* the journal has more than fitted */
};

/**
 * One pass.
 *
 * Returns: PS_OK; PS_ENOTFOUND nothing to seal; PS_ECLOSED stopped; PS_EFULL, PS_ESTORE, PS_ENOMEM
 *          nothing has changed, try again later
 * Thread:  one at a time; may block on disk and writer
 */
PS_MUST_CHECK
enum ps_status ps_seal_once(struct ps_keep *keep, struct ps_seal_result *out);

/** Delete the next slice of sealed journal rows; *more = there are others. Returns: PS_OK; what the
 *  writer's transaction said. */
PS_MUST_CHECK
enum ps_status ps_seal_trim(struct ps_keep *keep, bool *more);

#endif
