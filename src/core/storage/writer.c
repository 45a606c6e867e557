#include "core/storage/writer.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/storage/disk_budget.h"
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
    struct ps_writer_tender *tender; /* NULL: nobody */
    bool tender_asked;               /* to copy the log, and has not said yet that it did */

    /* any thread */
    _Atomic bool log_copied, log_not_copied; /* what the tender said */
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

/* Near full, points are refused before they touch the disk; what is left is for the others. */
static bool refuse_points(const struct ps_writer *writer, struct ps_writer_item *items)
{
    bool all = true, refuses = ps_disk_budget_refuses(writer->settings.budget);
    for (struct ps_writer_item *item = items; item; item = item->next) {
        item->status = refuses && item->points_bytes ? PS_EFULL : PS_OK;
        all = all && item->status != PS_OK;
    }
    return all;
}

static enum ps_status commit_items(struct ps_writer *writer, struct ps_writer_item *items)
{
    if (refuse_points(writer, items))
        return PS_OK;
    enum ps_status st = ps_db_begin(writer->db);
    for (struct ps_writer_item *item = items; item && st == PS_OK; item = item->next) {
        if (item->status != PS_OK) {
            if (item->refused)
                item->refused(item);
            continue;
        }
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

static void tell_tender(struct ps_writer *writer, const struct ps_writer_item *items)
{
    uint64_t bytes = 0;
    for (; items; items = items->next)
        bytes += items->status == PS_OK ? items->points_bytes : 0;
    ps_disk_budget_spend(writer->settings.budget, (int64_t)bytes);
    if (bytes && writer->tender)
        writer->tender->points_committed(writer->tender, bytes);
}

/* Counted and logged first: who is told may look. */
static void commit_gathered(struct ps_writer *writer)
{
    struct ps_writer_item *items = writer->first;
    writer->first = writer->last = NULL;
    int64_t started = ps_clock_mono_ns();
    enum ps_status st = commit_items(writer, items);
    if (st == PS_EFULL)
        ps_disk_budget_note_full(writer->settings.budget);
    if (st != PS_OK)
        log_failure(writer, st);
    else
        tell_tender(writer, items);
    count_commit(writer, st, count_items(items), ps_clock_mono_ns() - started);
    while (items) {
        struct ps_writer_item *item = items;
        items = item->next; /* done() may free the item */
        item->done(item, st != PS_OK ? st : item->status);
    }
}

static void copy_log(struct ps_writer *writer)
{
    int frames, left;
    if (ps_db_checkpoint(writer->db, &frames, &left) != PS_OK)
        log_failure(writer, PS_ESTORE);
    count(writer, PS_METRIC_CHECKPOINTS, 1);
}

/* The log starts anew only if nothing is left to copy at the moment a transaction begins. Under
 * load the tender alone never gets there, so it copies nearly all, and the writer the rest. */
static void tend_log(struct ps_writer *writer)
{
    if (atomic_exchange(&writer->log_copied, false)) {
        writer->tender_asked = false;
        copy_log(writer);
        return;
    }
    if (atomic_exchange(&writer->log_not_copied, false))
        writer->tender_asked = false;
    uint64_t log_bytes = (uint64_t)ps_db_log_frames(writer->db) * PAGE_BYTES;
    if (log_bytes < writer->settings.checkpoint_bytes || writer->tender_asked)
        return;
    if (!writer->tender) {
        copy_log(writer);
        return;
    }
    writer->tender_asked = true;
    writer->tender->log_is_long(writer->tender);
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

static void stop_writer(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct ps_writer *)owner)->stopping = true;
}

/* Also what was opened only half. */
static void close_writer(struct ps_writer *writer)
{
    ps_db_close(writer->db);
    ps_port_deinit(&writer->port);
    free(writer);
}

enum ps_status ps_writer_start(const struct ps_writer_settings *settings, struct ps_writer **out)
{
    struct ps_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return PS_ENOMEM;
    writer->settings = *settings;
    writer->port.fd = -1;
    struct ps_text why = { "" };
    enum ps_status st = ps_db_open(settings->path, PS_DB_WRITER, &writer->db, &why);
    if (st == PS_OK)
        st = ps_port_init(&writer->port);
    if (st == PS_OK)
        st = ps_thread_start(&writer->thread, PS_THREAD_WRITER, "writer", writer_main, writer);
    if (st != PS_OK) {
        ps_log_event(PS_LOG_ERROR, "storage", "writer_not_started", "error", why.data);
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

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0) {
        /* EINTR */
    }
}

struct writer_call {
    struct ps_writer_item item;
    enum ps_status (*change)(struct ps_db *db, void *arg);
    void *arg;
    const struct ps_db *db; /* once it ran */
    struct ps_text *why;    /* NULL: nobody asks */
    sem_t finished;
    enum ps_status status;
};

static enum ps_status run_call(struct ps_writer_item *item, struct ps_db *db)
{
    struct writer_call *call = (struct writer_call *)item;
    call->db = db;
    return call->change(db, call->arg);
}

static void finish_call(struct ps_writer_item *item, enum ps_status st)
{
    struct writer_call *call = (struct writer_call *)item;
    call->status = st;
    if (st != PS_OK && call->why && call->db)
        ps_text_set(call->why, "pacificsoft.db: %s", ps_db_error(call->db));
    sem_post(&call->finished);
}

enum ps_status ps_writer_call(struct ps_writer *writer,
                              enum ps_status (*change)(struct ps_db *db, void *arg), void *arg)
{
    return ps_writer_call_why(writer, change, arg, NULL);
}

enum ps_status ps_writer_call_why(struct ps_writer *writer,
                                  enum ps_status (*change)(struct ps_db *db, void *arg), void *arg,
                                  struct ps_text *why)
{
    struct writer_call call = {
        .item = { .run = run_call, .done = finish_call, .needs_savepoint = true },
        .change = change,
        .arg = arg,
        .why = why,
    };
    sem_init(&call.finished, 0, 0);
    ps_writer_submit(writer, &call.item);
    wait_for(&call.finished);
    sem_destroy(&call.finished);
    return call.status;
}

struct tend_change {
    struct ps_port_item item;
    struct ps_writer_tender *tender;
    sem_t finished;
};

static void take_tender(struct ps_port_item *item, void *owner)
{
    struct ps_writer *writer = owner;
    struct tend_change *change = (struct tend_change *)item;
    writer->tender = change->tender;
    writer->tender_asked = false;
    atomic_store(&writer->log_copied, false);
    atomic_store(&writer->log_not_copied, false);
    sem_post(&change->finished);
}

void ps_writer_tend(struct ps_writer *writer, struct ps_writer_tender *tender)
{
    struct tend_change change = { .item = { .run = take_tender }, .tender = tender };
    sem_init(&change.finished, 0, 0);
    ps_port_post(&writer->port, &change.item);
    wait_for(&change.finished);
    sem_destroy(&change.finished);
}

void ps_writer_log_copied(struct ps_writer *writer, bool copied)
{
    atomic_store(copied ? &writer->log_copied : &writer->log_not_copied, true);
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
