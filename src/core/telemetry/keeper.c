#include "core/telemetry/keeper.h"

#include <semaphore.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/telemetry/keeper_parts.h"

enum { RETIRED_KEEP_MS = 60000, SETTLE_MS = 3600000 };

/* Something that somebody waits for. */
struct ps_keeper_call {
    struct ps_port_item item; /* first */
    struct ps_keeper_call *next;
    enum ps_status (*run)(struct ps_keeper *keeper);
    sem_t finished;
    enum ps_status status;
};

/* ---- told by others ---- */

static void take_log_wish(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct ps_keeper *)owner)->log_is_long = true;
}

static void take_seal_wish(struct ps_port_item *item, void *owner)
{
    (void)item; /* it only wakes: the numbers speak for themselves */
    atomic_store(&((struct ps_keeper *)owner)->seal_wish_posted, false);
}

static void hear_log_is_long(struct ps_writer_tender *tender)
{
    struct ps_keeper *keeper = (struct ps_keeper *)tender;
    ps_low_priority_set(&keeper->priority, false); /* a log that nobody copies grows */
    ps_port_post(&keeper->port, &keeper->log_wish);
}

int64_t ps_keeper_count_unsealed(struct ps_keeper *keeper, int64_t bytes)
{
    ps_keep_count(&keeper->keep, PS_METRIC_UNSEALED_BYTES, bytes);
    return atomic_fetch_add(&keeper->unsealed_bytes, bytes);
}

/* The keeper is woken by the first bytes (it knows then until when it may sleep) and at the bound.
 */
static void hear_points_committed(struct ps_writer_tender *tender, uint64_t bytes)
{
    struct ps_keeper *keeper = (struct ps_keeper *)tender;
    int64_t before = ps_keeper_count_unsealed(keeper, (int64_t)bytes);
    int64_t bound = (int64_t)keeper->settings.journal_bytes_max;
    if (before <= 0)
        atomic_store(&keeper->unsealed_since_ms, ps_clock_mono_ms());
    if (ps_keeper_is_behind(keeper))
        ps_low_priority_set(&keeper->priority, false); /* it may be kept from doing so itself */
    bool wake = before <= 0 || (before < bound && before + (int64_t)bytes >= bound);
    if (wake && !atomic_exchange(&keeper->seal_wish_posted, true))
        ps_port_post(&keeper->port, &keeper->seal_wish);
}

static void take_call(struct ps_port_item *item, void *owner)
{
    struct ps_keeper *keeper = owner;
    struct ps_keeper_call *call = (struct ps_keeper_call *)item;
    call->next = NULL;
    if (keeper->last_call)
        keeper->last_call->next = call;
    else
        keeper->calls = call;
    keeper->last_call = call;
}

static void take_stop(struct ps_port_item *item, void *owner)
{
    (void)item, (void)owner; /* it only wakes */
}

/* ---- calls ---- */

/* What is committed at the beginning; those who write on may go on. */
static enum ps_status seal_all(struct ps_keeper *keeper)
{
    struct ps_keep *keep = &keeper->keep;
    struct ps_stmt *stmt;
    bool row = false;
    int64_t target = 0, sealed = 0;
    enum ps_status st = ps_db_prepare(keep->db, "SELECT coalesce(max(seq), 0) FROM journal", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    target = row ? ps_stmt_int(stmt, 0) : 0;
    ps_stmt_reset(stmt);
    while (st == PS_OK && sealed < target) {
        st = ps_manifest_state(keep->db, PS_STATE_SEALED_SEQ, 0, &sealed);
        if (st == PS_OK && sealed < target)
            st = ps_keeper_seal(keeper);
    }
    return st == PS_OK ? ps_keeper_trim(keeper) : st;
}

static enum ps_status tidy_all(struct ps_keeper *keeper)
{
    enum ps_status st;
    do {
        st = ps_keeper_merge(keeper);
    } while (st == PS_OK);
    return st == PS_ENOTFOUND ? ps_keeper_tidy(keeper) : st;
}

static void answer_calls(struct ps_keeper *keeper)
{
    while (keeper->calls) {
        struct ps_keeper_call *call = keeper->calls;
        keeper->calls = call->next;
        if (!keeper->calls)
            keeper->last_call = NULL;
        call->status = atomic_load(&keeper->stopping) ? PS_ECLOSED : call->run(keeper);
        sem_post(&call->finished); /* the call is gone */
    }
}

static enum ps_status call_and_wait(struct ps_keeper *keeper,
                                    enum ps_status (*run)(struct ps_keeper *keeper))
{
    struct ps_keeper_call call = { .item = { .run = take_call }, .run = run };
    sem_init(&call.finished, 0, 0);
    ps_port_post(&keeper->port, &call.item);
    while (sem_wait(&call.finished) != 0) {
        /* EINTR */
    }
    sem_destroy(&call.finished);
    return call.status;
}

enum ps_status ps_keeper_seal_now(struct ps_keeper *keeper)
{
    return call_and_wait(keeper, seal_all);
}

enum ps_status ps_keeper_tidy_now(struct ps_keeper *keeper)
{
    return call_and_wait(keeper, tidy_all);
}

/* ---- the thread ---- */

static void earlier(int64_t *until_ms, int64_t at_ms)
{
    if (at_ms && at_ms < *until_ms)
        *until_ms = at_ms;
}

/* How long nothing is going to be due, if nobody says anything. */
static int sleep_ms(struct ps_keeper *keeper)
{
    int64_t now_ms = ps_clock_mono_ms();
    int64_t until_ms = keeper->next_tidy_ms;
    if (keeper->settings.budget)
        earlier(&until_ms, keeper->next_look_at_disk_ms);
    earlier(&until_ms, ps_keeper_seal_due_ms(keeper));
    earlier(&until_ms, keeper->trim_retry.at_ms);
    earlier(&until_ms, keeper->merge_retry.at_ms);
    return until_ms <= now_ms ? 0 : (int)(until_ms - now_ms);
}

static void keeper_main(void *arg)
{
    struct ps_keeper *keeper = arg;
    ps_low_priority_begin(&keeper->priority);
    ps_keeper_collect(keeper);
    while (!atomic_load(&keeper->stopping)) {
        ps_port_wait(&keeper->port, keeper, sleep_ms(keeper));
        ps_keeper_breathe(&keeper->keep, keeper);
        if (ps_clock_mono_ms() >= keeper->next_tidy_ms)
            (void)!ps_keeper_tidy(keeper);
        ps_keeper_merge_while_due(keeper);
        answer_calls(keeper);
    }
    ps_port_drain(&keeper->port, keeper);
    answer_calls(keeper);
}

/* What is in the journal already. */
static enum ps_status count_journal(struct ps_keeper *keeper)
{
    struct ps_stmt *stmt;
    bool row;
    int64_t sealed_seq;
    enum ps_status st = ps_manifest_state(keeper->keep.db, PS_STATE_SEALED_SEQ, 0, &sealed_seq);
    if (st == PS_OK)
        st = ps_db_prepare(keeper->keep.db,
                           "SELECT coalesce(sum(length(points)), 0) FROM journal WHERE seq > ?",
                           &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, sealed_seq);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st;
    ps_keeper_count_unsealed(keeper, ps_stmt_int(stmt, 0));
    ps_stmt_reset(stmt);
    if (keeper->settings.sealed_seq)
        atomic_store_explicit(keeper->settings.sealed_seq, sealed_seq, memory_order_release);
    return PS_OK;
}

static void destroy(struct ps_keeper *keeper)
{
    ps_keep_deinit(&keeper->keep);
    ps_db_close(keeper->keep.db);
    ps_db_close(keeper->log_db);
    ps_port_deinit(&keeper->port);
    ps_low_priority_deinit(&keeper->priority);
    free(keeper);
}

static struct ps_keeper *create(const struct ps_keeper_settings *settings)
{
    struct ps_keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return NULL;
    keeper->settings = *settings;
    ps_low_priority_init(&keeper->priority);
    keeper->tender = (struct ps_writer_tender){ .log_is_long = hear_log_is_long,
                                                .points_committed = hear_points_committed };
    keeper->log_wish.run = take_log_wish;
    keeper->seal_wish.run = take_seal_wish;
    keeper->seal_retry.event = "seal_failed";
    keeper->trim_retry.event = "trim_failed";
    keeper->merge_retry.event = "merge_failed";
    keeper->tidy_retry.event = "retention_failed";
    keeper->port.fd = -1;
    keeper->may_trim = keeper->may_merge = true; /* what the last run left */
    keeper->unsealed_since_ms = ps_clock_mono_ms();
    keeper->keep = (struct ps_keep){
        .writer = settings->writer,
        .store = settings->store,
        .range = settings->range,
        .default_ttl_s = settings->default_ttl_s,
        .memory_max = settings->seal_memory_bytes,
        .retired_keep_ms = settings->retired_keep_ms ? settings->retired_keep_ms : RETIRED_KEEP_MS,
        .settle_ms = settings->settle_ms ? settings->settle_ms : SETTLE_MS,
        .budget = settings->budget,
        .dir = settings->dir,
        .metrics = settings->metrics,
        .metrics_lane = settings->metrics_lane,
        .stop = &keeper->stopping,
        .breathe = ps_keeper_breathe,
        .breathe_arg = keeper,
    };
    return keeper;
}

enum ps_status ps_keeper_start(const struct ps_keeper_settings *settings, struct ps_keeper **out)
{
    struct ps_text why = { "" };
    struct ps_keeper *keeper = create(settings);
    if (!keeper)
        return PS_ENOMEM;
    enum ps_status st = ps_db_open(settings->db_path, PS_DB_READER, &keeper->keep.db, &why);
    if (st == PS_OK)
        st = ps_db_open(settings->db_path, PS_DB_WRITER, &keeper->log_db, &why);
    if (st == PS_OK)
        st = count_journal(keeper);
    if (st == PS_OK)
        st = ps_port_init(&keeper->port);
    if (st == PS_OK)
        st = ps_thread_start(&keeper->thread, PS_THREAD_KEEPER, "keeper", keeper_main, keeper);
    if (st != PS_OK) {
        ps_log_event(PS_LOG_ERROR, "telemetry", "keeper_not_started", "error", why.data);
        destroy(keeper);
        return st;
    }
    ps_writer_tend(settings->writer, &keeper->tender);
    *out = keeper;
    return PS_OK;
}

void ps_keeper_stop(struct ps_keeper *keeper)
{
    if (!keeper)
        return;
    struct ps_port_item stop = { .run = take_stop };
    ps_writer_tend(keeper->settings.writer, NULL);
    atomic_store(&keeper->stopping, true);
    ps_port_post(&keeper->port, &stop);
    ps_thread_join(&keeper->thread);
    destroy(keeper);
}
