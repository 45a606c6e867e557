/* writer: the one thread that commits.
 *
 * Shards hand in batches, others hand in jobs; everything that has gathered goes into one
 * transaction (group commit, self-clocking: while one commit runs, the next gathers). After the
 * commit returned, and never before, each item's `done` runs on the writer thread; it posts to the
 * port of whoever waits.
 *
 * An item whose run() fails is undone by its savepoint and told so; the others commit. If the
 * commit itself fails, every item of it is told PS_ESTORE or PS_EFULL. */
#ifndef PS_CORE_STORAGE_WRITER_H
#define PS_CORE_STORAGE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/port.h"
#include "core/status.h"
#include "core/storage/db.h"

struct ps_writer;

struct ps_writer_item {
    struct ps_port_item port_item; /* first: the writer's port carries it */
    /* Writer thread, inside the transaction. */
    enum ps_status (*run)(struct ps_writer_item *item, struct ps_db *db);
    /* Writer thread, after the commit (PS_OK) or failure. The item is its own again. */
    void (*done)(struct ps_writer_item *item, enum ps_status st);
    bool needs_savepoint;  /* run() may fail half way: undo it alone */
    enum ps_status status; /* of run(), kept between run and done */
    struct ps_writer_item *next;
};

struct ps_metrics;

struct ps_writer_settings {
    const char *path;           /* the database file; must be migrated already */
    uint64_t checkpoint_bytes;  /* start copying the log into the file beyond this */
    struct ps_metrics *metrics; /* commits and checkpoints are counted here; NULL: nowhere */
    unsigned metrics_lane;
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

struct ps_writer_stats ps_writer_stats(const struct ps_writer *writer);

#endif
