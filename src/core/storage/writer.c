#include "core/storage/writer.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/text.h"
#include "core/thread.h"

enum { PAGE_BYTES = 4096 };

struct ps_writer {
    struct ps_port port;
    struct ps_thread thread;
    struct ps_writer_settings settings; /* constant after start */

    /* writer thread only */
    struct ps_db *db;
    struct ps_writer_item *first, *last; /* gathered for the next transaction */
    bool stopping;

    /* keeper: copies the log into the file while commits go on, so that the writer's own
     * checkpoint between two transactions finds little left to do */
    struct ps_port keeper_port;
    struct ps_thread keeper_thread;
    struct ps_db *keeper_db;
    struct ps_port_item keeper_wish;
    _Atomic bool keeper_busy, keeper_done, keeper_stopping;

    /* any thread */
    _Atomic uint64_t commits, items, failures, commit_ns_total;
};

static void gather(struct ps_port_item *port_item, void *owner)
{
    struct ps_writer *writer = owner;
    struct ps_writer_item *item = (struct ps_writer_item *)port_item;
    item->next = NULL;
    if (writer->last)
        writer->last->next = item;
    else
        writer->first = item;
    writer->last = item;
}

static enum ps_status run_item(struct ps_writer *writer, struct ps_writer_item *item)
{
    if (!item->needs_savepoint)
        return item->run(item, writer->db);
    enum ps_status st = ps_db_savepoint(writer->db);
    if (st != PS_OK)
        return st;
    st = item->run(item, writer->db);
    if (st == PS_OK)
        return ps_db_release(writer->db);
    ps_db_rollback_savepoint(writer->db);
    return st;
}

static enum ps_status commit_items(struct ps_writer *writer, struct ps_writer_item *items)
{
    enum ps_status st = ps_db_begin(writer->db);
    for (struct ps_writer_item *item = items; item && st == PS_OK; item = item->next) {
        item->status = run_item(writer, item);
        if (item->status != PS_OK && (!item->needs_savepoint || !ps_db_in_transaction(writer->db)))
            st = item->status; /* half done, or it took the transaction with it: undo everything */
    }
    if (st == PS_OK)
        return ps_db_commit(writer->db);
    ps_db_rollback(writer->db);
    return st;
}

static void log_failure(struct ps_writer *writer, enum ps_status st)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_ERROR, "storage", "commit_failed"))
        return;
    ps_log_text(&line, "status", ps_status_text(st));
    ps_log_text(&line, "error", ps_db_error(writer->db));
    ps_log_end(&line);
}

static void count(struct ps_writer *writer, enum ps_metric metric, int64_t n)
{
    if (writer->settings.metrics)
        ps_metrics_add(writer->settings.metrics, writer->settings.metrics_lane, metric, n);
}

static void count_commit(struct ps_writer *writer, enum ps_status st, size_t items, int64_t ns)
{
    atomic_fetch_add_explicit(st == PS_OK ? &writer->commits : &writer->failures, 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&writer->items, items, memory_order_relaxed);
    atomic_fetch_add_explicit(&writer->commit_ns_total, (uint64_t)ns, memory_order_relaxed);
    count(writer, st == PS_OK ? PS_METRIC_COMMITS : PS_METRIC_COMMITS_FAILED, 1);
    count(writer, PS_METRIC_COMMIT_SECONDS, ns);
}

static size_t count_items(const struct ps_writer_item *items)
{
    size_t count = 0;
    for (; items; items = items->next)
        count++;
    return count;
}

/* Counted and logged first: who is told may look. */
static void commit_gathered(struct ps_writer *writer)
{
    struct ps_writer_item *items = writer->first;
    writer->first = writer->last = NULL;
    int64_t started = ps_clock_mono_ns();
    enum ps_status st = commit_items(writer, items);
    if (st != PS_OK)
        log_failure(writer, st);
    count_commit(writer, st, count_items(items), ps_clock_mono_ns() - started);
    while (items) {
        struct ps_writer_item *item = items;
        items = item->next; /* done() may free the item */
        item->done(item, st != PS_OK ? st : item->status);
    }
}

/* The log starts anew only if nothing is left to copy at the moment a transaction begins. Under
 * load the keeper alone never gets there, so it copies nearly all, and the writer the rest. */
static void tend_log(struct ps_writer *writer)
{
    if (atomic_exchange(&writer->keeper_done, false)) {
        int frames, left;
        if (ps_db_checkpoint(writer->db, &frames, &left) != PS_OK)
            log_failure(writer, PS_ESTORE);
        count(writer, PS_METRIC_CHECKPOINTS, 1);
        atomic_store(&writer->keeper_busy, false);
        return;
    }
    uint64_t log_bytes = (uint64_t)ps_db_log_frames(writer->db) * PAGE_BYTES;
    if (log_bytes < writer->settings.checkpoint_bytes || atomic_load(&writer->keeper_busy))
        return;
    atomic_store(&writer->keeper_busy, true);
    ps_port_post(&writer->keeper_port, &writer->keeper_wish);
}

static void writer_main(void *arg)
{
    struct ps_writer *writer = arg;
    while (!writer->stopping) {
        ps_port_wait(&writer->port, writer, -1);
        while (writer->first) {
            commit_gathered(writer);
            tend_log(writer);
            ps_port_drain(&writer->port, writer);
        }
    }
}

static void keeper_copies(struct ps_port_item *item, void *owner)
{
    (void)item;
    struct ps_writer *writer = owner;
    int frames, left;
    if (ps_db_checkpoint(writer->keeper_db, &frames, &left) != PS_OK) {
        ps_log_event(PS_LOG_WARN, "storage", "checkpoint_failed", "error",
                     ps_db_error(writer->keeper_db));
        atomic_store(&writer->keeper_busy, false);
        return;
    }
    atomic_store(&writer->keeper_done, true);
}

static void keeper_main(void *arg)
{
    struct ps_writer *writer = arg;
    while (!atomic_load(&writer->keeper_stopping))
        ps_port_wait(&writer->keeper_port, writer, -1);
}

static void stop_writer(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct ps_writer *)owner)->stopping = true;
}

static void stop_keeper(struct ps_port_item *item, void *owner)
{
    (void)item;
    atomic_store(&((struct ps_writer *)owner)->keeper_stopping, true);
}

static void halt_keeper(struct ps_writer *writer)
{
    struct ps_port_item halt = { .run = stop_keeper };
    ps_port_post(&writer->keeper_port, &halt);
    ps_thread_join(&writer->keeper_thread);
}

/* Also what was opened only half. */
static void close_writer(struct ps_writer *writer)
{
    ps_db_close(writer->keeper_db);
    ps_db_close(writer->db);
    ps_port_deinit(&writer->port);
    ps_port_deinit(&writer->keeper_port);
    free(writer);
}

enum ps_status ps_writer_start(const struct ps_writer_settings *settings, struct ps_writer **out)
{
    struct ps_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return PS_ENOMEM;
    writer->settings = *settings;
    writer->keeper_wish.run = keeper_copies;
    writer->port.fd = writer->keeper_port.fd = -1;
    struct ps_text why = { "" };
    enum ps_status st = ps_db_open(settings->path, PS_DB_WRITER, &writer->db, &why);
    if (st == PS_OK)
        st = ps_db_open(settings->path, PS_DB_WRITER, &writer->keeper_db, &why);
    if (st == PS_OK)
        st = ps_port_init(&writer->port);
    if (st == PS_OK)
        st = ps_port_init(&writer->keeper_port);
    if (st == PS_OK)
        st = ps_thread_start(&writer->keeper_thread, PS_THREAD_KEEPER, "keeper", keeper_main,
                             writer);
    bool keeper_runs = st == PS_OK;
    if (st == PS_OK)
        st = ps_thread_start(&writer->thread, PS_THREAD_WRITER, "writer", writer_main, writer);
    if (st != PS_OK) {
        ps_log_event(PS_LOG_ERROR, "storage", "writer_not_started", "error", why.data);
        if (keeper_runs)
            halt_keeper(writer);
        close_writer(writer);
        return st;
    }
    *out = writer;
    return PS_OK;
}

void ps_writer_stop(struct ps_writer *writer)
{
    if (!writer)
        return;
    struct ps_port_item stop = { .run = stop_writer };
    ps_port_post(&writer->port, &stop);
    ps_thread_join(&writer->thread);
    halt_keeper(writer);
    int frames, left;
    if (ps_db_checkpoint(writer->db, &frames, &left) != PS_OK)
        log_failure(writer, PS_ESTORE);
    close_writer(writer);
}

void ps_writer_submit(struct ps_writer *writer, struct ps_writer_item *item)
{
    item->port_item.run = gather;
    item->status = PS_OK;
    ps_port_post(&writer->port, &item->port_item);
}

struct writer_call {
    struct ps_writer_item item;
    enum ps_status (*change)(struct ps_db *db, void *arg);
    void *arg;
    sem_t finished;
    enum ps_status status;
};

static enum ps_status run_call(struct ps_writer_item *item, struct ps_db *db)
{
    struct writer_call *call = (struct writer_call *)item;
    return call->change(db, call->arg);
}

static void finish_call(struct ps_writer_item *item, enum ps_status st)
{
    struct writer_call *call = (struct writer_call *)item;
    call->status = st;
    sem_post(&call->finished);
}

enum ps_status ps_writer_call(struct ps_writer *writer,
                              enum ps_status (*change)(struct ps_db *db, void *arg), void *arg)
{
    struct writer_call call = {
        .item = { .run = run_call, .done = finish_call, .needs_savepoint = true },
        .change = change,
        .arg = arg,
    };
    sem_init(&call.finished, 0, 0);
    ps_writer_submit(writer, &call.item);
    while (sem_wait(&call.finished) != 0) {
        /* EINTR */
    }
    sem_destroy(&call.finished);
    return call.status;
}

struct ps_writer_stats ps_writer_stats(const struct ps_writer *writer)
{
    return (struct ps_writer_stats){
        .commits = atomic_load_explicit(&writer->commits, memory_order_relaxed),
        .items = atomic_load_explicit(&writer->items, memory_order_relaxed),
        .failures = atomic_load_explicit(&writer->failures, memory_order_relaxed),
        .commit_ns_total = atomic_load_explicit(&writer->commit_ns_total, memory_order_relaxed),
    };
}
