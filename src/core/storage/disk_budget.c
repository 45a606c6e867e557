#include "core/storage/disk_budget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"

enum {
    FULL_HOLD_MS = 1000,  /* a write that found no space is believed this long at least */
    ASK_AGAIN_MS = 10000, /* a file that could not go may go later: a backup has ended */
    FLOOR_BYTES = 1 << 20,
    LOOKS_PER_RESERVE = 32,
};

struct ps_disk_budget {
    /* constant after open */
    struct ps_disk_budget_settings settings;
    char *dir, *ballast_path;

    /* one thread at a time: who checks */
    int64_t shown_free; /* in the metric */
    bool measure_failed;
    bool nothing_to_shed;
    int64_t ask_again_ms; /* monotonic; to shed, after there was nothing */

    /* any thread */
    _Atomic int64_t free_bytes; /* as measured, less what was written since */
    _Atomic int64_t reserve_bytes;
    _Atomic int64_t spent_bytes;   /* written since the disk was asked */
    _Atomic int64_t full_until_ms; /* monotonic; 0: no write failed lately */
    _Atomic bool refusing, has_ballast;
};

/* ---- what is free ---- */

static bool measure_dir(const struct ps_disk_budget *budget, int64_t *free_bytes,
                        int64_t *total_bytes)
{
    struct statvfs fs;
    if (statvfs(budget->dir, &fs) != 0)
        return false;
    *free_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
    *total_bytes = (int64_t)(fs.f_blocks * fs.f_frsize);
    return true;
}

static bool ask_disk(const struct ps_disk_budget *budget, int64_t *free_bytes, int64_t *total_bytes)
{
    return budget->settings.measure
               ? budget->settings.measure(budget->settings.measure_arg, free_bytes, total_bytes)
               : measure_dir(budget, free_bytes, total_bytes);
}

static void show_free(struct ps_disk_budget *budget, int64_t free_bytes)
{
    if (budget->settings.metrics)
        ps_metrics_add(budget->settings.metrics, budget->settings.metrics_lane, PS_METRIC_DISK_FREE,
                       free_bytes - budget->shown_free);
    budget->shown_free = free_bytes;
}

/* A file system that cannot tell never refuses: a write that fails still will. */
static bool measure(struct ps_disk_budget *budget, int64_t *free_bytes)
{
    int64_t total = 0;
    if (!ask_disk(budget, free_bytes, &total)) {
        if (!budget->measure_failed)
            ps_log_event(PS_LOG_WARN, "storage", "disk_not_measured", "error", strerror(errno));
        budget->measure_failed = true;
        atomic_store(&budget->free_bytes, INT64_MAX / 2);
        return false;
    }
    budget->measure_failed = false;
    int64_t reserve = budget->settings.reserve_bytes;
    atomic_store(&budget->reserve_bytes, reserve < total / 2 ? reserve : total / 2);
    atomic_store(&budget->free_bytes, *free_bytes);
    atomic_store(&budget->spent_bytes, 0);
    show_free(budget, *free_bytes);
    return true;
}

/* ---- refusing ---- */

static void set_refusing(struct ps_disk_budget *budget, bool refusing, const char *reason)
{
    struct ps_log_line line;
    if (atomic_exchange(&budget->refusing, refusing) == refusing)
        return;
    if (budget->settings.metrics)
        ps_metrics_add(budget->settings.metrics, budget->settings.metrics_lane,
                       PS_METRIC_DISK_REFUSING, refusing ? 1 : -1);
    if (!ps_log_begin(&line, refusing ? PS_LOG_ERROR : PS_LOG_INFO, "storage",
                      refusing ? "disk_full" : "disk_has_room"))
        return;
    ps_log_text(&line, "reason", reason);
    ps_log_int(&line, "free_bytes", atomic_load(&budget->free_bytes));
    ps_log_int(&line, "reserve_bytes", atomic_load(&budget->reserve_bytes));
    ps_log_end(&line);
}

static int64_t refuse_below(const struct ps_disk_budget *budget)
{
    int64_t reserve = atomic_load(&budget->reserve_bytes);
    return budget->settings.shed_oldest && !budget->nothing_to_shed ? reserve / 2 : reserve;
}

/* Clearly more than what it was refused at, so that it does not flutter. */
static int64_t take_again_from(const struct ps_disk_budget *budget)
{
    int64_t limit = refuse_below(budget);
    return limit > 0 ? limit + limit / 4 : FLOOR_BYTES;
}

static bool believes_full(const struct ps_disk_budget *budget)
{
    int64_t until = atomic_load(&budget->full_until_ms);
    return until != 0 && ps_clock_mono_ms() < until;
}

static void decide(struct ps_disk_budget *budget, int64_t free_bytes)
{
    if (free_bytes < refuse_below(budget)) {
        set_refusing(budget, true, "free space is below the reserve");
    } else if (atomic_load(&budget->refusing) && !believes_full(budget) &&
               free_bytes >= take_again_from(budget)) {
        atomic_store(&budget->full_until_ms, 0);
        set_refusing(budget, false, "free space is above the reserve");
    }
}

/* ---- ballast ---- */

static bool fill(int fd)
{
    static const char zeros[1 << 16];
    /* Real blocks: a file with holes keeps nothing. */
    if (posix_fallocate(fd, 0, PS_DISK_BALLAST_BYTES) == 0)
        return true;
    for (int done = 0; done < PS_DISK_BALLAST_BYTES; done += (int)sizeof zeros) {
        if (pwrite(fd, zeros, sizeof zeros, done) != (ssize_t)sizeof zeros)
            return false;
    }
    return fsync(fd) == 0;
}

static void make_ballast(struct ps_disk_budget *budget)
{
    int fd = open(budget->ballast_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    bool filled = fill(fd);
    close(fd);
    if (!filled)
        (void)unlink(budget->ballast_path);
    atomic_store(&budget->has_ballast, filled);
}

static void give_up_ballast(struct ps_disk_budget *budget)
{
    if (unlink(budget->ballast_path) != 0)
        return;
    atomic_store(&budget->has_ballast, false);
    ps_log_event(PS_LOG_WARN, "storage", "ballast_given_up", NULL, NULL);
}

static void tend_ballast(struct ps_disk_budget *budget, int64_t free_bytes)
{
    if (budget->settings.reserve_bytes <= 0)
        return;
    if (atomic_load(&budget->has_ballast)) {
        if (free_bytes < PS_DISK_BALLAST_BYTES / 2)
            give_up_ballast(budget);
    } else if (free_bytes > 2 * PS_DISK_BALLAST_BYTES &&
               free_bytes > atomic_load(&budget->reserve_bytes)) {
        make_ballast(budget);
    }
}

/* ---- open, check, close ---- */

static char *join(const char *dir, const char *name)
{
    struct ps_buf path = { 0 };
    ps_buf_printf(&path, "%s/%s", dir, name);
    ps_buf_put_char(&path, '\0');
    if (ps_buf_ok(&path))
        return path.data;
    ps_buf_deinit(&path);
    return NULL;
}

static void release(struct ps_disk_budget *budget)
{
    free(budget->dir);
    free(budget->ballast_path);
    free(budget);
}

enum ps_status ps_disk_budget_open(const struct ps_disk_budget_settings *settings,
                                   struct ps_disk_budget **out)
{
    struct ps_disk_budget *budget = calloc(1, sizeof *budget);
    if (!budget)
        return PS_ENOMEM;
    budget->settings = *settings;
    budget->dir = strdup(settings->dir);
    budget->ballast_path = join(settings->dir, "ballast");
    if (!budget->dir || !budget->ballast_path) {
        release(budget);
        return PS_ENOMEM;
    }
    budget->settings.dir = budget->dir;
    atomic_store(&budget->has_ballast, access(budget->ballast_path, F_OK) == 0);
    (void)ps_disk_budget_check(budget);
    *out = budget;
    return PS_OK;
}

enum ps_disk_advice ps_disk_budget_check(struct ps_disk_budget *budget)
{
    int64_t free_bytes;
    if (!measure(budget, &free_bytes)) {
        if (!believes_full(budget))
            set_refusing(budget, false, "free space is not known");
        return PS_DISK_ENOUGH;
    }
    if (free_bytes >= atomic_load(&budget->reserve_bytes))
        budget->nothing_to_shed = false;
    tend_ballast(budget, free_bytes);
    decide(budget, free_bytes);
    bool short_of = free_bytes < atomic_load(&budget->reserve_bytes) || believes_full(budget);
    bool may_shed = !budget->nothing_to_shed || ps_clock_mono_ms() >= budget->ask_again_ms;
    if (short_of && budget->settings.shed_oldest && may_shed)
        return PS_DISK_SHED;
    return atomic_load(&budget->refusing) ? PS_DISK_REFUSE : PS_DISK_ENOUGH;
}

void ps_disk_budget_nothing_to_shed(struct ps_disk_budget *budget)
{
    budget->nothing_to_shed = true;
    budget->ask_again_ms = ps_clock_mono_ms() + ASK_AGAIN_MS;
    decide(budget, atomic_load(&budget->free_bytes));
}

bool ps_disk_budget_refuses(const struct ps_disk_budget *budget)
{
    return budget && atomic_load_explicit(&budget->refusing, memory_order_relaxed);
}

bool ps_disk_budget_has_room(const struct ps_disk_budget *budget, int64_t bytes)
{
    return !budget ||
           atomic_load(&budget->free_bytes) - bytes >= atomic_load(&budget->reserve_bytes) / 2;
}

/* Where points are refused whatever can be shed: constant between two checks. */
static int64_t hard_limit(const struct ps_disk_budget *budget)
{
    int64_t reserve = atomic_load(&budget->reserve_bytes);
    return budget->settings.shed_oldest ? reserve / 2 : reserve;
}

/* Others write, too: after a good part of the reserve the disk itself is asked. */
static int64_t look_between(struct ps_disk_budget *budget, int64_t estimate)
{
    int64_t free_bytes, total_bytes;
    atomic_store(&budget->spent_bytes, 0);
    if (!ask_disk(budget, &free_bytes, &total_bytes))
        return estimate;
    atomic_store(&budget->free_bytes, free_bytes);
    return free_bytes;
}

void ps_disk_budget_spend(struct ps_disk_budget *budget, int64_t bytes)
{
    int64_t reserve = budget ? atomic_load(&budget->reserve_bytes) : 0;
    if (reserve == 0)
        return;
    int64_t left = atomic_fetch_sub(&budget->free_bytes, bytes) - bytes;
    int64_t spent = atomic_fetch_add(&budget->spent_bytes, bytes) + bytes;
    if (spent >= reserve / LOOKS_PER_RESERVE)
        left = look_between(budget, left);
    if (left < hard_limit(budget))
        set_refusing(budget, true, "free space is below the reserve");
}

void ps_disk_budget_note_full(struct ps_disk_budget *budget)
{
    if (!budget)
        return;
    atomic_store(&budget->full_until_ms, ps_clock_mono_ms() + FULL_HOLD_MS);
    set_refusing(budget, true, "a write found no space");
}

struct ps_disk_state ps_disk_budget_state(const struct ps_disk_budget *budget)
{
    return (struct ps_disk_state){
        .free_bytes = atomic_load(&budget->free_bytes),
        .reserve_bytes = atomic_load(&budget->reserve_bytes),
        .refusing = atomic_load(&budget->refusing),
        .has_ballast = atomic_load(&budget->has_ballast),
    };
}

void ps_disk_budget_close(struct ps_disk_budget *budget)
{
    if (!budget)
        return;
    if (!atomic_load(&budget->has_ballast) && budget->settings.reserve_bytes > 0)
        make_ballast(budget);
    release(budget);
}
