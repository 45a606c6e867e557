/* retention: what is over goes.
 *
 * A range file whose points are all expired is dropped: its manifest rows first, then the file.
 * What counts is the newest point of each run, its greatest time to live, and, if points have none
 * of their own, the greatest default there is among all series (profiles, tenants, configuration).
 *
 * Runs that merges have replaced are deleted from their file once `retired_keep_ms` have passed; a
 * file that nothing is written to any more gives the room back to the disk. Runs the manifest does
 * not know, left by an interrupted seal or merge, are garbage and collected at start. Tombstones go
 * when nothing can need them (tombstone_sweep.h). While a backup holds backup.lock, nothing is
 * deleted. */
#ifndef PS_CORE_TELEMETRY_RETENTION_H
#define PS_CORE_TELEMETRY_RETENTION_H

#include "core/status.h"
#include "core/telemetry/keep.h"

struct ps_retention_result {
    size_t files_dropped;
    int64_t bytes_dropped, points_dropped; /* of their live runs */
    size_t runs_deleted, tombstones_purged;
    bool held; /* a backup runs: nothing was deleted */
};

/** Returns: PS_OK; PS_ECLOSED stopped; PS_EFULL, PS_ESTORE, PS_ENOMEM some of it is left for the
 *  next time. Thread: the one that seals. */
PS_MUST_CHECK
enum ps_status ps_retention_apply(struct ps_keep *keep, int64_t now_ms,
                                  struct ps_retention_result *out);

/**
 * Delete runs that no manifest row knows, and files that an interrupted seal has begun or an
 * interrupted drop has left. A file that the manifest does not know but that has more than that is
 * left alone and logged: it may be all there is of its points (fsck).
 *
 * @param at_start  nobody has read yet: retired runs go, too, however young
 * Returns, thread: as above
 */
PS_MUST_CHECK
enum ps_status ps_retention_collect(struct ps_keep *keep, bool at_start,
                                    struct ps_retention_result *out);

/** Drop the oldest live file, expired or not: space is short. PS_ENOTFOUND: there is none but the
 *  newest; PS_EBUSY: a backup holds it; others as above. */
PS_MUST_CHECK
enum ps_status ps_retention_shed(struct ps_keep *keep, struct ps_retention_result *out);

#define PS_RETENTION_NEVER INT64_MAX

struct ps_retention_file {
    int64_t file; /* its id in the manifest */
    char name[PS_MANIFEST_NAME_SIZE];
    int64_t start_ms, end_ms; /* of the range, end exclusive */
    int64_t min_ms, max_ms;   /* of its points; 0, 0 if it has none */
    int64_t points, bytes;    /* of its live runs */
    size_t runs, retired_runs;
    bool damaged;          /* set aside */
    int64_t deleted_at_ms; /* when the last of its points is expired; PS_RETENTION_NEVER */
};

/**
 * All files of the manifest, oldest first, and when each would be dropped.
 *
 * @param files  an array of *count, free() it; NULL if there are none
 * Thread: any with a handle; begin a read transaction for one snapshot
 */
PS_MUST_CHECK
enum ps_status ps_retention_preview(struct ps_db *db, uint32_t default_ttl_s,
                                    struct ps_retention_file **files, size_t *count);

/** When all points of a run are expired for certain, if no default is greater than `greatest_ttl_s`
 *  (0 = for ever); or PS_RETENTION_NEVER. */
int64_t ps_retention_expires_at(const struct ps_run *run, uint32_t greatest_ttl_s);

/** The same with the greatest default already known; 0 = for ever. */
PS_MUST_CHECK
enum ps_status ps_retention_list(struct ps_db *db, uint32_t greatest_ttl_s,
                                 struct ps_retention_file **files, size_t *count);

#endif
