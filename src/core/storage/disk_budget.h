/* disk_budget: how much of the disk may still be used, and who is told no.
 *
 * Below `reserve_bytes` of free space, points are refused (PS_EFULL) before they touch the disk;
 * everything else - logins, deletions, sealing, the read side - goes on in what is reserved. Space
 * is measured once a second by the keeper; between two looks the writer reports what it wrote, and
 * after each 32nd part of the reserve the disk is asked again, so the reserve holds against a
 * flood, too. A commit that really found no space refuses as well.
 * Points are taken again, without restart, as soon as there is clearly (a quarter) more than the
 * reserve. With `shed_oldest` the keeper is asked to delete the oldest telemetry file first, and
 * points are refused only below half of the reserve or when there is nothing left to delete.
 *
 * The ballast. A start needs a little space (SQLite's shared memory lies on the disk) and so does
 * deleting (a transaction). Others may fill the disk to its last byte, so a small file, "ballast",
 * keeps some: it is given up when space is nearly gone, and made again when there is some.
 *
 * The reserve counts as at most half of the file system, so that a small one is not refused whole.
 * Not here: what to delete (retention), the queues that say no before (transports). */
#ifndef PS_CORE_STORAGE_DISK_BUDGET_H
#define PS_CORE_STORAGE_DISK_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

enum { PS_DISK_BALLAST_BYTES = 1 << 20 };

struct ps_disk_budget;
struct ps_metrics;

struct ps_disk_budget_settings {
    const char *dir;       /* storage.dir; copied */
    int64_t reserve_bytes; /* 0: none, and no ballast */
    bool shed_oldest;
    struct ps_metrics *metrics; /* disk_free_bytes, disk_refusing; NULL: nowhere */
    unsigned metrics_lane;
    /* For tests; NULL: statvfs(dir). Returns false if it cannot tell. */
    bool (*measure)(void *arg, int64_t *free_bytes, int64_t *total_bytes);
    void *measure_arg;
};

enum ps_disk_advice {
    PS_DISK_ENOUGH,
    PS_DISK_SHED,   /* delete the oldest file, then ask again; points may still be taken */
    PS_DISK_REFUSE, /* nothing to do but wait */
};

struct ps_disk_state {
    int64_t free_bytes, reserve_bytes; /* as last seen; the reserve as it counts */
    bool refusing, has_ballast;
};

/**
 * Look once, and give the ballast up if space is nearly gone: before anything is opened in `dir`.
 * Returns: PS_OK, PS_ENOMEM. Thread: main.
 */
PS_MUST_CHECK
enum ps_status ps_disk_budget_open(const struct ps_disk_budget_settings *settings,
                                   struct ps_disk_budget **out);
/** After everything in `dir` is closed: leaves the ballast for the next start, if there is room.
 *  NULL is fine. */
void ps_disk_budget_close(struct ps_disk_budget *budget);

/** Look at the disk and decide. Thread: one at a time (the keeper, about once a second). */
enum ps_disk_advice ps_disk_budget_check(struct ps_disk_budget *budget);
/** The answer to PS_DISK_SHED when no file can go: points are refused until there is space, and
 *  PS_DISK_SHED is tried again some seconds later. */
void ps_disk_budget_nothing_to_shed(struct ps_disk_budget *budget);

/** Whether points must be refused now. NULL never refuses. Thread: any; a relaxed load. */
bool ps_disk_budget_refuses(const struct ps_disk_budget *budget);
/** Whether work that may as well be done later may write about `bytes` now: half of the reserve
 * stays untouched by it. NULL has room. Thread: any. */
bool ps_disk_budget_has_room(const struct ps_disk_budget *budget, int64_t bytes);
/** About `bytes` were written since the last look. NULL is fine. Thread: any. */
void ps_disk_budget_spend(struct ps_disk_budget *budget, int64_t bytes);
/** A write found no space (PS_EFULL). NULL is fine. Thread: any. */
void ps_disk_budget_note_full(struct ps_disk_budget *budget);

/** For /readyz and the log. Thread: any. */
struct ps_disk_state ps_disk_budget_state(const struct ps_disk_budget *budget);

#endif
