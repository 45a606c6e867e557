#include "core/telemetry/keeper.h"

#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/port.h"
#include "core/storage/disk_budget.h"
#include "core/storage/writer.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/retention.h"
#include "core/telemetry/seal.h"
#include "core/thread.h"

enum {
    RETIRED_KEEP_MS = 60000,
    SETTLE_MS = 3600000,
    TIDY_EVERY_MS = 60000,
    LOOK_AT_DISK_EVERY_MS = 1000,
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 60000,
    SAY_EVERY_MS = 60000,
    NICE_LOW = 19,
    NICE_FOR_GOOD = 5, /* if there is no way back up */
};

/* Something that failed and is tried again: later each time, and talked about now and then. */
struct retry {
    const char *event;
    int64_t at_ms, wait_ms, said_ms; /* monotonic; at_ms 0 = nothing failed */
};

/* Something that somebody waits for. */
struct call {
    struct ps_port_item item; /* first */
    struct call *next;
    enum ps_status (*run)(struct ps_keeper *keeper);
    sem_t finished;
    enum ps_status status;
};

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

    /* keeper thread only */
    struct ps_keep keep;
    struct ps_db *log_db; /* copies the log */
    bool log_is_long, is_sealing, may_trim, may_merge;
    struct call *calls, *last_call;
    struct retry seal_retry, trim_retry, merge_retry, tidy_retry;
    int64_t next_tidy_ms, next_look_at_disk_ms;
    int base_nice;
    bool is_low, may_rise;
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
    ps_port_post(&keeper->port, &keeper->log_wish);
}

static void count_unsealed(struct ps_keeper *keeper, int64_t bytes)
{
    atomic_fetch_add(&keeper->unsealed_bytes, bytes);
    ps_keep_count(&keeper->keep, PS_METRIC_UNSEALED_BYTES, bytes);
}

/* The keeper is woken by the first bytes (it knows then until when it may sleep) and at the bound.
 */
static void hear_points_committed(struct ps_writer_tender *tender, uint64_t bytes)
{
    struct ps_keeper *keeper = (struct ps_keeper *)tender;
    int64_t before = atomic_load(&keeper->unsealed_bytes);
    int64_t bound = (int64_t)keeper->settings.journal_bytes_max;
    if (before <= 0)
        atomic_store(&keeper->unsealed_since_ms, ps_clock_mono_ms());
    count_unsealed(keeper, (int64_t)bytes);
    bool wake = before <= 0 || (before < bound && before + (int64_t)bytes >= bound);
    if (wake && !atomic_exchange(&keeper->seal_wish_posted, true))
        ps_port_post(&keeper->port, &keeper->seal_wish);
}

static void take_call(struct ps_port_item *item, void *owner)
{
    struct ps_keeper *keeper = owner;
    struct call *call = (struct call *)item;
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

/* ---- failing and trying again ---- */

static bool may_try(const struct retry *retry)
{
    return !retry->at_ms || ps_clock_mono_ms() >= retry->at_ms;
}

static void log_failure(struct ps_keeper *keeper, const char *event, enum ps_status st)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_ERROR, "telemetry", event))
        return;
    ps_log_text(&line, "status", ps_status_text(st));
    ps_log_text(&line, "error", ps_db_error(keeper->keep.db));
    ps_log_end(&line);
}

static void note(struct ps_keeper *keeper, struct retry *retry, enum ps_status st)
{
    int64_t now_ms = ps_clock_mono_ms();
    if (st == PS_OK || st == PS_ENOTFOUND || st == PS_ECLOSED) {
        retry->at_ms = retry->wait_ms = 0;
        return;
    }
    if (!retry->said_ms || now_ms - retry->said_ms >= SAY_EVERY_MS) {
        log_failure(keeper, retry->event, st);
        retry->said_ms = now_ms;
    }
    retry->wait_ms = retry->wait_ms ? retry->wait_ms * 2 : RETRY_FIRST_MS;
    if (retry->wait_ms > RETRY_MAX_MS)
        retry->wait_ms = RETRY_MAX_MS;
    retry->at_ms = now_ms + retry->wait_ms;
}

/* ---- priority ---- */

static bool set_nice(int nice)
{
    return setpriority(PRIO_PROCESS, (id_t)gettid(), nice) == 0;
}

static void begin_low(struct ps_keeper *keeper)
{
    keeper->base_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    keeper->may_rise = set_nice(keeper->base_nice + 1) && set_nice(keeper->base_nice);
    keeper->is_low = set_nice(keeper->may_rise ? NICE_LOW : keeper->base_nice + NICE_FOR_GOOD);
}

static void set_low(struct ps_keeper *keeper, bool low)
{
    if (keeper->may_rise && keeper->is_low != low && set_nice(low ? NICE_LOW : keeper->base_nice))
        keeper->is_low = low;
}

/* ---- the log and the disk ---- */

static void copy_log(struct ps_keeper *keeper)
{
    int frames, left;
    if (!keeper->log_is_long)
        return;
    keeper->log_is_long = false;
    enum ps_status st = ps_db_checkpoint(keeper->log_db, &frames, &left);
    if (st != PS_OK)
        ps_log_event(PS_LOG_WARN, "storage", "checkpoint_failed", "error",
                     ps_db_error(keeper->log_db));
    ps_writer_log_copied(keeper->settings.writer, st == PS_OK);
}

static void look_at_disk(struct ps_keeper *keeper)
{
    struct ps_disk_budget *budget = keeper->settings.budget;
    int64_t now_ms = ps_clock_mono_ms();
    if (!budget || now_ms < keeper->next_look_at_disk_ms)
        return;
    keeper->next_look_at_disk_ms = now_ms + LOOK_AT_DISK_EVERY_MS;
    if (ps_disk_budget_check(budget) != PS_DISK_SHED || keeper->keep.lent)
        return; /* the file that is just merged might be the oldest: when that is done */
    struct ps_retention_result result;
    enum ps_status st = ps_retention_shed(&keeper->keep, &result);
    if (st != PS_OK)
        ps_disk_budget_nothing_to_shed(budget);
    if (st != PS_OK && st != PS_ENOTFOUND && st != PS_EBUSY)
        note(keeper, &keeper->tidy_retry, st);
}

/* ---- sealing ---- */

/* When to seal if nothing more comes, monotonic; INT64_MAX: there is nothing. */
static int64_t seal_due_ms(struct ps_keeper *keeper)
{
    int64_t bytes = atomic_load(&keeper->unsealed_bytes);
    int64_t due_ms = atomic_load(&keeper->unsealed_since_ms) + keeper->settings.seal_interval_ms;
    if (bytes <= 0)
        return INT64_MAX;
    if (bytes >= (int64_t)keeper->settings.journal_bytes_max)
        due_ms = 1; /* long ago */
    return due_ms > keeper->seal_retry.at_ms ? due_ms : keeper->seal_retry.at_ms;
}

static bool seal_is_due(struct ps_keeper *keeper)
{
    return ps_clock_mono_ms() >= seal_due_ms(keeper);
}

/* The journal grows faster than it is sealed. */
static bool is_behind(struct ps_keeper *keeper)
{
    return atomic_load(&keeper->unsealed_bytes) > 2 * (int64_t)keeper->settings.journal_bytes_max;
}

static void log_seal(const struct ps_seal_result *result, int64_t started_ns)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_DEBUG, "telemetry", "sealed"))
        return;
    ps_log_int(&line, "rows", (int64_t)result->rows);
    ps_log_int(&line, "points", (int64_t)result->points);
    ps_log_int(&line, "runs", (int64_t)result->runs);
    ps_log_int(&line, "bytes", result->bytes);
    ps_log_int(&line, "took_us", (ps_clock_mono_ns() - started_ns) / 1000);
    ps_log_end(&line);
}

/* PS_ENOTFOUND: nothing was left. */
static enum ps_status seal(struct ps_keeper *keeper)
{
    struct ps_seal_result result;
    int64_t started_ns = ps_clock_mono_ns();
    int64_t before = atomic_load(&keeper->unsealed_bytes);
    set_low(keeper, !is_behind(keeper));
    keeper->is_sealing = true;
    enum ps_status st = ps_seal_once(&keeper->keep, &result);
    keeper->is_sealing = false;
    note(keeper, &keeper->seal_retry, st);
    if (st == PS_ENOTFOUND && before > 0)
        count_unsealed(keeper, -before); /* somebody else removed the rows */
    if (st != PS_OK)
        return st;
    log_seal(&result, started_ns);
    count_unsealed(keeper, -result.journal_bytes);
    atomic_store(&keeper->unsealed_since_ms, ps_clock_mono_ms());
    if (keeper->settings.sealed_seq)
        atomic_store_explicit(keeper->settings.sealed_seq, result.sealed_seq, memory_order_release);
    keeper->may_trim = keeper->may_merge = true;
    return PS_OK;
}

static enum ps_status trim(struct ps_keeper *keeper)
{
    bool more = true;
    enum ps_status st = PS_OK;
    while (st == PS_OK && more && !atomic_load(&keeper->stopping)) {
        st = ps_seal_trim(&keeper->keep, &more);
        ps_port_drain(&keeper->port, keeper);
        copy_log(keeper);
    }
    keeper->may_trim = more;
    note(keeper, &keeper->trim_retry, st);
    return st;
}

static void seal_if_due(struct ps_keeper *keeper)
{
    while (seal_is_due(keeper) && !atomic_load(&keeper->stopping) && seal(keeper) == PS_OK)
        continue;
    if (keeper->may_trim && may_try(&keeper->trim_retry))
        (void)trim(keeper);
}

/* Between the steps of long work. */
static void breathe(struct ps_keep *keep, void *arg)
{
    (void)keep;
    struct ps_keeper *keeper = arg;
    ps_port_drain(&keeper->port, keeper);
    copy_log(keeper);
    if (keeper->is_sealing) {
        set_low(keeper, !is_behind(keeper));
        return;
    }
    look_at_disk(keeper);
    seal_if_due(keeper);
    set_low(keeper, true);
}

/* ---- merging and retention ---- */

static void log_merge(const struct ps_merge_result *result, int64_t started_ns)
{
    struct ps_log_line line;
    enum ps_log_level level = result->damaged ? PS_LOG_ERROR : PS_LOG_DEBUG;
    if (!ps_log_begin(&line, level, "telemetry", result->damaged ? "merge_met_damage" : "merged"))
        return;
    ps_log_int(&line, "file", result->file);
    ps_log_int(&line, "runs", (int64_t)result->inputs);
    ps_log_int(&line, "points_in", result->points_in);
    ps_log_int(&line, "points_out", result->points_out);
    ps_log_int(&line, "bytes", result->bytes);
    ps_log_int(&line, "took_us", (ps_clock_mono_ns() - started_ns) / 1000);
    ps_log_end(&line);
}

/* PS_ENOTFOUND: nothing is due. */
static enum ps_status merge(struct ps_keeper *keeper)
{
    struct ps_merge_result result;
    int64_t started_ns = ps_clock_mono_ns();
    set_low(keeper, true);
    enum ps_status st = ps_merge_once(&keeper->keep, ps_clock_now_ms(), &result);
    note(keeper, &keeper->merge_retry, st);
    if (st == PS_OK)
        log_merge(&result, started_ns);
    return st;
}

static void merge_while_due(struct ps_keeper *keeper)
{
    while (keeper->may_merge && may_try(&keeper->merge_retry) && !atomic_load(&keeper->stopping)) {
        enum ps_status st = merge(keeper);
        if (st == PS_ENOTFOUND)
            keeper->may_merge = false;
        breathe(&keeper->keep, keeper);
    }
}

static enum ps_status tidy(struct ps_keeper *keeper)
{
    struct ps_retention_result result;
    set_low(keeper, true);
    enum ps_status st = ps_retention_apply(&keeper->keep, ps_clock_now_ms(), &result);
    note(keeper, &keeper->tidy_retry, st);
    keeper->next_tidy_ms = ps_clock_mono_ms() + TIDY_EVERY_MS;
    keeper->may_merge = true; /* time has passed, tombstones may want something */
    return st;
}

static void collect(struct ps_keeper *keeper)
{
    struct ps_retention_result result;
    enum ps_status st = ps_retention_collect(&keeper->keep, true, &result);
    keeper->keep.garbage |= st != PS_OK;
    note(keeper, &keeper->tidy_retry, st);
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
            st = seal(keeper);
    }
    return st == PS_OK ? trim(keeper) : st;
}

static enum ps_status tidy_all(struct ps_keeper *keeper)
{
    enum ps_status st;
    do {
        st = merge(keeper);
    } while (st == PS_OK);
    return st == PS_ENOTFOUND ? tidy(keeper) : st;
}

static void answer_calls(struct ps_keeper *keeper)
{
    while (keeper->calls) {
        struct call *call = keeper->calls;
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
    struct call call = { .item = { .run = take_call }, .run = run };
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
    earlier(&until_ms, seal_due_ms(keeper));
    earlier(&until_ms, keeper->trim_retry.at_ms);
    earlier(&until_ms, keeper->merge_retry.at_ms);
    return until_ms <= now_ms ? 0 : (int)(until_ms - now_ms);
}

static void keeper_main(void *arg)
{
    struct ps_keeper *keeper = arg;
    begin_low(keeper);
    collect(keeper);
    while (!atomic_load(&keeper->stopping)) {
        ps_port_wait(&keeper->port, keeper, sleep_ms(keeper));
        breathe(&keeper->keep, keeper);
        if (ps_clock_mono_ms() >= keeper->next_tidy_ms)
            (void)tidy(keeper);
        merge_while_due(keeper);
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
    count_unsealed(keeper, ps_stmt_int(stmt, 0));
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
    free(keeper);
}

static struct ps_keeper *create(const struct ps_keeper_settings *settings)
{
    struct ps_keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return NULL;
    keeper->settings = *settings;
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
        .breathe = breathe,
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
