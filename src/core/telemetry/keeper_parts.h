/* keeper_parts: what the files of the keeper share. Not for others.
 *
 *     keeper.c       the thread, what others tell it and ask of it
 *     keeper_work.c  what it does: the log, the disk, sealing, merging, retention
 *
 * All functions are the keeper thread's. */
#ifndef PS_CORE_TELEMETRY_KEEPER_PARTS_H
#define PS_CORE_TELEMETRY_KEEPER_PARTS_H

#include <stdatomic.h>

#include "core/port.h"
#include "core/storage/writer.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/keeper.h"
#include "core/telemetry/low_priority.h"
#include "core/telemetry/retry.h"
#include "core/thread.h"

struct ps_keeper_call;

struct ps_keeper {
    struct ps_writer_tender tender;     /* first */
    struct ps_keeper_settings settings; /* constant after start */
    struct ps_thread thread;
    struct ps_port port;

    /* any thread */
    _Atomic bool stopping;
    _Atomic int64_t unsealed_bytes;
    _Atomic int64_t unsealed_since_ms; /* monotonic; of the oldest of them, about */
    struct ps_port_item log_wish, seal_wish;
    _Atomic bool seal_wish_posted;
    struct ps_low_priority priority;

    /* keeper thread only */
    struct ps_keep keep;
    struct ps_db *log_db; /* copies the log */
    bool log_is_long, is_sealing, may_trim, may_merge;
    struct ps_keeper_call *calls, *last_call;
    struct ps_retry seal_retry, trim_retry, merge_retry, tidy_retry;
    int64_t next_tidy_ms, next_look_at_disk_ms, sealed_ms; /* monotonic */
};

/** Bytes came into the journal, or (negative) were sealed. Returns how many there were before. Any
 *  thread. */
int64_t ps_keeper_count_unsealed(struct ps_keeper *keeper, int64_t bytes);

/** The journal grows faster than it is sealed. Any thread. */
bool ps_keeper_is_behind(struct ps_keeper *keeper);

/** When to seal if nothing more comes, monotonic; INT64_MAX: there is nothing to seal. */
int64_t ps_keeper_seal_due_ms(struct ps_keeper *keeper);

/** Seal once. Returns: PS_OK; PS_ENOTFOUND nothing was left; what sealing said, noted. */
PS_MUST_CHECK
enum ps_status ps_keeper_seal(struct ps_keeper *keeper);
/** Remove sealed rows from the journal until there are none. */
PS_MUST_CHECK
enum ps_status ps_keeper_trim(struct ps_keeper *keeper);
/** Merge once. Returns: PS_OK; PS_ENOTFOUND nothing is due; what merging said, noted. */
PS_MUST_CHECK
enum ps_status ps_keeper_merge(struct ps_keeper *keeper);
void ps_keeper_merge_while_due(struct ps_keeper *keeper);
/** Apply retention. */
PS_MUST_CHECK
enum ps_status ps_keeper_tidy(struct ps_keeper *keeper);
/** At start: what an interrupted run has left. */
void ps_keeper_collect(struct ps_keeper *keeper);
/** Between the steps of long work (struct ps_keep): what cannot wait. `arg` is the keeper. */
void ps_keeper_breathe(struct ps_keep *keep, void *arg);

#endif
