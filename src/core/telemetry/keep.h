/* keep: what sealing, merging and retention share: the way to the databases, and the limits.
 *
 * Each of the three is a plain function without a thread of its own, so that a test (or a power
 * cut) can take it step by step; the keeper calls them. None of them runs beside another one of the
 * same data directory.
 *
 * The order of things that makes them safe to interrupt anywhere: a run is committed in its file
 * first, then one transaction of the writer makes it known (and retires what it replaces), then
 * what is not needed any more is deleted. A run that nobody knows is garbage. */
#ifndef PS_CORE_TELEMETRY_KEEP_H
#define PS_CORE_TELEMETRY_KEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/entity/ttl.h"
#include "core/metrics.h"
#include "core/storage/db.h"
#include "core/telemetry/manifest.h"
#include "core/telemetry/range.h"
#include "core/telemetry/run_file.h"
#include "core/telemetry/seal_set.h"

struct ps_disk_budget;
struct ps_store;
struct ps_writer;

struct ps_keep {
    /* the caller's; the rest of a zeroed struct is a good start */
    struct ps_db *db; /* reads pacificsoft.db; the calling thread's own, outside a transaction */
    struct ps_writer *writer;
    struct ps_store *store;
    enum ps_range_unit range;
    uint32_t default_ttl_s;  /* of the configuration; 0 = for ever */
    size_t memory_max;       /* for sorting points while they are sealed */
    int64_t retired_keep_ms; /* a replaced run stays as long, for readers of older snapshots */
    int64_t settle_ms;       /* what got nothing new for as long may be rewritten as a whole */
    const char *dir;         /* of the data, for backup.lock; NULL: nobody holds anything */
    const struct ps_disk_budget *budget; /* what can wait asks it for room; NULL: there is room */
    struct ps_metrics *metrics;          /* NULL: nowhere */
    unsigned metrics_lane;
    const _Atomic bool *stop; /* set: give up soon, with PS_ECLOSED. NULL: never */
    /* Called between the steps of long work, now and then; it may seal. NULL: nobody cares. */
    void (*breathe)(struct ps_keep *keep, void *arg);
    void *breathe_arg;

    /* Why the last of their calls failed, naming the file; "" if it is not known. For the log. */
    struct ps_text why;

    /* their own, between calls */
    struct ps_seal_set seal_set; /* empty between seals; its memory is kept for the next */
    struct ps_ttl_table ttl;     /* defaults of all series, as of ttl_loaded_ms */
    int64_t ttl_loaded_ms;       /* monotonic; 0 = not loaded */
    unsigned ttl_misses;         /* series asked for since that came after it */
    size_t tombstones_seen;      /* how far the last look for useless tombstones came */
    int64_t files_counted;       /* what the metric of live files shows */
    int64_t wanted_file;         /* tombstones want it rewritten; 0 = none */
    struct ps_run_file *lent;    /* while a merge rests: its writing handle, for a seal to use */
    char lent_name[PS_MANIFEST_NAME_SIZE];
    int64_t lent_run; /* the number of its run, which nobody else may take */
    bool locked;      /* by us */
    bool garbage;     /* runs may have been left in files that nobody knows */
};

/** Frees what is its own. */
void ps_keep_deinit(struct ps_keep *keep);
/** Give back the memory that is kept for the next seal. */
void ps_keep_rest(struct ps_keep *keep);

void ps_keep_count(const struct ps_keep *keep, enum ps_metric metric, int64_t n);
/** Keep a file's error in `why`; returns `st`. */
enum ps_status ps_keep_failed(struct ps_keep *keep, const struct ps_run_file *file,
                              enum ps_status st);
/** ps_writer_call(); the database's text is kept in `why`. */
PS_MUST_CHECK
enum ps_status ps_keep_call(struct ps_keep *keep,
                            enum ps_status (*change)(struct ps_db *db, void *arg), void *arg);
/** Bring the metric of live files up to what the manifest has. */
void ps_keep_show_files(struct ps_keep *keep);

/** Let others have their turn. Returns: PS_OK, or PS_ECLOSED: it is time to stop. */
PS_MUST_CHECK
enum ps_status ps_keep_breathe(struct ps_keep *keep);

/**
 * A writing handle of the file of `name`; a damaged file is set aside first (in store and manifest)
 * and a new one made. Returns: as ps_store_borrow(); PS_EBUSY also while readers still hold the
 * damaged one.
 */
PS_MUST_CHECK
enum ps_status ps_keep_borrow(struct ps_keep *keep, const char *name, struct ps_run_file **out);
void ps_keep_return(struct ps_keep *keep, struct ps_run_file *file); /* NULL is fine */

/**
 * A commit that failed may still turn out to have happened: its last write may be on the disk, and
 * a start after a crash would find it. That is over once another one has succeeded in its place, so
 * this is one. To be called before anything is deleted that only a failed commit would have made
 * known. Returns: PS_OK what failed before is certain now; what the writer's transaction said.
 */
PS_MUST_CHECK
enum ps_status ps_keep_make_sure(struct ps_keep *keep);

/** Make the manifest know of every file that was renamed because it is damaged. */
PS_MUST_CHECK
enum ps_status ps_keep_settle_aside(struct ps_keep *keep);

/** Have the default times to live of all series at hand, at most a minute old. Returns: PS_OK;
 *  PS_ESTORE; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_keep_load_ttl(struct ps_keep *keep);
/**
 * The default time to live of a series, 0 = for ever, as of ps_keep_load_ttl().
 * Returns: PS_OK; PS_ENOTFOUND the series is not in the catalogue any more; PS_ESTORE; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_keep_default_ttl(struct ps_keep *keep, uint32_t series, uint32_t *ttl_s);
/** The greatest default of all series; 0 = for ever. @param fresh  not older than this call */
PS_MUST_CHECK
enum ps_status ps_keep_greatest_ttl(struct ps_keep *keep, bool fresh, uint32_t *ttl_s);

/**
 * While somebody (a backup) holds <dir>/backup.lock, nothing is deleted. True: nobody does, and
 * nobody can before ps_keep_unlock(fd). Nests.
 */
bool ps_keep_lock(struct ps_keep *keep, int *fd);
void ps_keep_unlock(struct ps_keep *keep, int fd);

#endif
