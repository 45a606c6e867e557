#include "core/telemetry/keeper_parts.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/storage/disk_budget.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/retention.h"
#include "core/telemetry/seal.h"
#include "core/telemetry/store.h"

enum {
    TIDY_EVERY_MS = 60000,
    LOOK_AT_DISK_EVERY_MS = 1000,
};

/* ---- failing and trying again ---- */

static void note(struct ps_keeper *keeper, struct ps_retry *retry, enum ps_status st)
{
    struct ps_text *why = &keeper->keep.why;
    ps_retry_note(retry, st, why->data[0] ? why->data : ps_db_error(keeper->keep.db));
    ps_text_set(why, "%s", "");
    ps_keep_show_files(&keeper->keep);
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

/* Files that were dropped while somebody read them give their room back by themselves. */
static bool room_is_coming(struct ps_keeper *keeper)
{
    struct ps_disk_state disk = ps_disk_budget_state(keeper->settings.budget);
    int64_t leaving = ps_store_leaving_bytes(keeper->settings.store);
    return leaving > 0 && disk.free_bytes + leaving >= disk.reserve_bytes;
}

static void look_at_disk(struct ps_keeper *keeper)
{
    struct ps_disk_budget *budget = keeper->settings.budget;
    int64_t now_ms = ps_clock_mono_ms();
    if (!budget || now_ms < keeper->next_look_at_disk_ms)
        return;
    keeper->next_look_at_disk_ms = now_ms + LOOK_AT_DISK_EVERY_MS;
    if (ps_disk_budget_check(budget) != PS_DISK_SHED || room_is_coming(keeper) || keeper->keep.lent)
        return; /* lent: the file that is just merged might be the oldest; when that is done */
    struct ps_retention_result result;
    enum ps_status st = ps_retention_shed(&keeper->keep, &result);
    if (st != PS_OK)
        ps_disk_budget_nothing_to_shed(budget);
    if (st != PS_ENOTFOUND && st != PS_EBUSY)
        note(keeper, &keeper->tidy_retry, st);
}

/* ---- sealing ---- */

/* When to seal if nothing more comes, monotonic; INT64_MAX: there is nothing. */
int64_t ps_keeper_seal_due_ms(struct ps_keeper *keeper)
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
    return ps_clock_mono_ms() >= ps_keeper_seal_due_ms(keeper);
}

bool ps_keeper_is_behind(struct ps_keeper *keeper)
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
enum ps_status ps_keeper_seal(struct ps_keeper *keeper)
{
    struct ps_seal_result result;
    int64_t started_ns = ps_clock_mono_ns();
    int64_t before = atomic_load(&keeper->unsealed_bytes);
    ps_low_priority_set(&keeper->priority, !ps_keeper_is_behind(keeper));
    keeper->is_sealing = true;
    enum ps_status st = ps_seal_once(&keeper->keep, &result);
    keeper->is_sealing = false;
    keeper->sealed_ms = ps_clock_mono_ms();
    note(keeper, &keeper->seal_retry, st);
    if (st == PS_ENOTFOUND && before > 0)
        ps_keeper_count_unsealed(keeper, -before); /* somebody else removed the rows */
    if (st != PS_OK)
        return st;
    log_seal(&result, started_ns);
    ps_keeper_count_unsealed(keeper, -result.journal_bytes);
    atomic_store(&keeper->unsealed_since_ms, ps_clock_mono_ms());
    if (keeper->settings.sealed_seq)
        atomic_store_explicit(keeper->settings.sealed_seq, result.sealed_seq, memory_order_release);
    keeper->may_trim = keeper->may_merge = true;
    return PS_OK;
}

enum ps_status ps_keeper_trim(struct ps_keeper *keeper)
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
    while (seal_is_due(keeper) && !atomic_load(&keeper->stopping) &&
           ps_keeper_seal(keeper) == PS_OK)
        continue;
    if (keeper->may_trim && ps_retry_is_due(&keeper->trim_retry))
        (void)!ps_keeper_trim(keeper);
}

/* Between the steps of long work. */
void ps_keeper_breathe(struct ps_keep *keep, void *arg)
{
    (void)keep;
    struct ps_keeper *keeper = arg;
    ps_port_drain(&keeper->port, keeper);
    copy_log(keeper);
    if (keeper->is_sealing) {
        ps_low_priority_set(&keeper->priority, !ps_keeper_is_behind(keeper));
        return;
    }
    look_at_disk(keeper);
    seal_if_due(keeper);
    ps_low_priority_set(&keeper->priority, true);
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
enum ps_status ps_keeper_merge(struct ps_keeper *keeper)
{
    struct ps_merge_result result;
    int64_t started_ns = ps_clock_mono_ns();
    ps_low_priority_set(&keeper->priority, true);
    enum ps_status st = ps_merge_once(&keeper->keep, ps_clock_now_ms(), &result);
    note(keeper, &keeper->merge_retry, st);
    if (st == PS_OK)
        log_merge(&result, started_ns);
    return st;
}

void ps_keeper_merge_while_due(struct ps_keeper *keeper)
{
    while (keeper->may_merge && ps_retry_is_due(&keeper->merge_retry) &&
           !atomic_load(&keeper->stopping)) {
        enum ps_status st = ps_keeper_merge(keeper);
        if (st == PS_ENOTFOUND)
            keeper->may_merge = false;
        ps_keeper_breathe(&keeper->keep, keeper);
    }
}

enum ps_status ps_keeper_tidy(struct ps_keeper *keeper)
{
    struct ps_retention_result result;
    ps_low_priority_set(&keeper->priority, true);
    enum ps_status st = ps_retention_apply(&keeper->keep, ps_clock_now_ms(), &result);
    note(keeper, &keeper->tidy_retry, st);
    int64_t now_ms = ps_clock_mono_ms();
    if (now_ms - keeper->sealed_ms >= TIDY_EVERY_MS)
        ps_keep_rest(&keeper->keep);
    keeper->next_tidy_ms = now_ms + TIDY_EVERY_MS;
    keeper->may_merge = true; /* time has passed, tombstones may want something */
    return st;
}

void ps_keeper_collect(struct ps_keeper *keeper)
{
    struct ps_retention_result result;
    enum ps_status st = ps_retention_collect(&keeper->keep, true, &result);
    keeper->keep.garbage |= st != PS_OK;
    note(keeper, &keeper->tidy_retry, st);
}
