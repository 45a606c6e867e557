/* merge: many runs of a file become one.
 *
 * A file with MERGE_RUNS live runs of one level has them merged into one of the next level, so
 * every point is written about log8 times, and a query finds few runs. A file whose range is over
 * and that is quiet since `settle_ms` becomes a single run. Runs that are merged are neighbours in
 * order of arrival, so of equal (series, ts) the later run's point stays.
 *
 * What leaves on the way: points that a tombstone covers (one whose journal position is after all
 * of their run), points of series that are not in the catalogue any more, and expired points. An
 * expired point that may hide an older one that lives longer stays until it meets that one.
 *
 * Everything streams: memory is some chunks of each input. The switch is one transaction of the
 * writer; the replaced runs are retired in it, and deleted later by retention. */
#ifndef PS_CORE_TELEMETRY_MERGE_H
#define PS_CORE_TELEMETRY_MERGE_H

#include "core/status.h"
#include "core/telemetry/keep.h"

enum { PS_MERGE_RUNS = 8 };

struct ps_merge_result {
    int64_t file;
    size_t inputs;
    int64_t points_in, points_out;                /* read; written */
    int64_t expired, deleted, orphaned, replaced; /* where the others went */
    int64_t bytes;
    bool damaged; /* the file turned out damaged and was set aside; nothing was merged */
};

/**
 * Find the file that needs it most and merge once.
 *
 * Returns: PS_OK, *out says what was done; PS_ENOTFOUND nothing to do; PS_ECLOSED stopped;
 *          PS_EFULL, PS_ESTORE, PS_ENOMEM nothing has changed, try again later
 * Thread:  the one that seals
 */
PS_MUST_CHECK
enum ps_status ps_merge_once(struct ps_keep *keep, int64_t now_ms, struct ps_merge_result *out);

/** The same for all live runs of one file, needed or not. PS_ENOTFOUND: no such file or no runs. */
PS_MUST_CHECK
enum ps_status ps_merge_file(struct ps_keep *keep, int64_t file, int64_t now_ms,
                             struct ps_merge_result *out);

#endif
