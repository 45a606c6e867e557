/* keeper: the one low-priority thread that looks after what was committed.
 *
 * It copies the writer's log into the database file when that is long, seals the journal when
 * enough has gathered (journal_bytes_max) or enough time has passed (seal_interval_ms), trims it,
 * merges runs, and applies retention once a minute. It runs nice 19 so that it takes the processor
 * only when nobody else wants it, except while the journal is more than twice its bound: then
 * sealing has to keep up, or memory and start time would grow.
 *
 * The system lets only the privileged raise a thread's priority again. Without that right the
 * keeper is lowered just a little (nice 5), once.
 *
 * Each second it looks at the free space of the disk (disk_budget.h) and deletes the oldest file if
 * it is told to.
 *
 * Whatever fails (a full disk) is logged once a minute at most and tried again later; nothing is
 * lost, because what is not sealed stays in the journal. */
#ifndef PS_CORE_TELEMETRY_KEEPER_H
#define PS_CORE_TELEMETRY_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/telemetry/range.h"

struct ps_disk_budget;
struct ps_keeper;
struct ps_metrics;
struct ps_store;
struct ps_writer;

struct ps_keeper_settings {
    const char *dir;            /* of the data: <dir>/backup.lock holds deletions off */
    const char *db_path;        /* pacificsoft.db, migrated */
    struct ps_writer *writer;   /* started; outlives the keeper */
    struct ps_store *store;     /* outlives the keeper */
    struct ps_metrics *metrics; /* NULL: nowhere */
    unsigned metrics_lane;
    _Atomic int64_t *sealed_seq; /* is told when it moves (seal.h); NULL: nobody wants to know */
    enum ps_range_unit range;
    uint32_t default_ttl_s;     /* 0 = for ever */
    uint64_t journal_bytes_max; /* telemetry.journal_bytes_max */
    int64_t seal_interval_ms;
    size_t seal_memory_bytes;
    int64_t retired_keep_ms; /* 0 = 60,000; tests take less */
    int64_t settle_ms;       /* 0 = an hour */
    /* Asked once a second (ps_disk_budget_check): PS_DISK_SHED is answered with
     * ps_retention_shed(), or ps_disk_budget_nothing_to_shed() if that finds no file. NULL: nobody
     * watches the disk. */
    struct ps_disk_budget *budget;
};

/** Collects garbage of an interrupted run first. Returns: PS_OK; PS_ESTORE, PS_ENOMEM, PS_EIO. */
PS_MUST_CHECK
enum ps_status ps_keeper_start(const struct ps_keeper_settings *settings, struct ps_keeper **out);
/** Gives up what it is doing at the next safe point, joins. The writer checkpoints by itself again.
 *  NULL is fine. */
void ps_keeper_stop(struct ps_keeper *keeper);

/**
 * Seal everything that is committed now, trim, and wait for it.
 *
 * Returns: PS_OK (also if there was nothing); PS_ECLOSED; what sealing said
 * Thread:  one that may block; never a shard, the writer or the keeper itself
 */
PS_MUST_CHECK
enum ps_status ps_keeper_seal_now(struct ps_keeper *keeper);
/** Merge until nothing is due, apply retention; wait for it. As above. */
PS_MUST_CHECK
enum ps_status ps_keeper_tidy_now(struct ps_keeper *keeper);

#endif
