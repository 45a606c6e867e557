/* writer: the one thread that commits.
 *
 * Shards hand in batches, others hand in jobs; everything that has gathered goes into one
 * transaction (group commit, self-clocking: while one commit runs, the next gathers). After the
 * commit returned, and never before, each item's `done` runs on the writer thread; it posts to the
 * port of whoever waits.
 *
 * An item whose run() fails is undone by its savepoint and told so; the others commit. If the
 * commit itself fails, every item of it is told PS_ESTORE or PS_EFULL.
 *
 * Copying the log into the database file would hold commits up, so somebody else should do it: a
 * tender. Only the rest that it cannot reach is copied here. Without a tender all of it is. */
#ifndef PS_CORE_STORAGE_WRITER_H
#define PS_CORE_STORAGE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/port.h"
#include "core/status.h"
#include "core/storage/db.h"
#include "core/text.h"

struct ps_writer;

struct ps_writer_item {
    struct ps_port_item port_item; /* first: the writer's port carries it */
    /* Writer thread, inside the transaction. */
    enum ps_status (*run)(struct ps_writer_item *item, struct ps_db *db);
    /* Writer thread, in the place of run(), if points are refused: items behind it that rest on
     * this one may have to fail, too. NULL: none do. */
    void (*refused)(struct ps_writer_item *item);
    /* Writer thread, after the commit (PS_OK) or failure. The item is its own again. */
    void (*done)(struct ps_writer_item *item, enum ps_status st);
    bool needs_savepoint;  /* run() may fail half way: undo it alone */
    uint32_t points_bytes; /* telemetry in it: the tender counts them. Set before submit: an item
                              with points is refused (PS_EFULL, run() not called) near full */
    enum ps_status status; /* of run(), kept between run and done */
    struct ps_writer_item *next;
};

struct ps_disk_budget;
struct ps_metrics;

struct ps_writer_settings {
    const char *path;              /* the database file; must be migrated already */
    uint64_t checkpoint_bytes;     /* start copying the log into the file beyond this */
    struct ps_disk_budget *budget; /* says when points are refused; NULL: never */
    struct ps_metrics *metrics;    /* commits and checkpoints are counted here; NULL: nowhere */
    unsigned metrics_lane;
};

/* Who looks after what the writer has written. Both are called on the writer's thread, after a
 * commit; they must not block. */
struct ps_writer_tender {
    /* The log is longer than checkpoint_bytes: copy it with a handle of your own, then say so by
     * ps_writer_log_copied(). Not asked again before that. */
    void (*log_is_long)(struct ps_writer_tender *tender);
    /* So many bytes of telemetry are in the journal now that were not. */
    void (*points_committed)(struct ps_writer_tender *tender, uint64_t bytes);
};

struct ps_writer_stats {
    uint64_t commits, items, failures;
    uint64_t commit_ns_total;
};

PS_MUST_CHECK
enum ps_status ps_writer_start(const struct ps_writer_settings *settings, struct ps_writer **out);
/** Commits what is queued, joins, closes. NULL is fine. */
void ps_writer_stop(struct ps_writer *writer);

/** Hand in an item. Thread: any; never blocks. Bounded by the callers: a shard has a fixed number
 *  of batches, a reader thread one job. */
void ps_writer_submit(struct ps_writer *writer, struct ps_writer_item *item);

/**
 * Run `change` in the next transaction and wait for its commit.
 *
 * Returns: what `change` returned, or the commit's failure.
 * Thread:  one that may block (reader, main); never a shard, the writer or a library's loop.
 */
PS_MUST_CHECK
enum ps_status ps_writer_call(struct ps_writer *writer,
                              enum ps_status (*change)(struct ps_db *db, void *arg), void *arg);
/** The same; `why` (may be NULL) gets the database's text on failure. */
PS_MUST_CHECK
enum ps_status ps_writer_call_why(struct ps_writer *writer,
                                  enum ps_status (*change)(struct ps_db *db, void *arg), void *arg,
                                  struct ps_text *why);

/**
 * Make `tender` the one, or (NULL) nobody. The one before is not called any more on return.
 *
 * Thread: as ps_writer_call()
 */
void ps_writer_tend(struct ps_writer *writer, struct ps_writer_tender *tender);
/** The log that was long has been copied (or, false, could not be). Thread: the tender's. */
void ps_writer_log_copied(struct ps_writer *writer, bool copied);

struct ps_writer_stats ps_writer_stats(const struct ps_writer *writer);

#endif
