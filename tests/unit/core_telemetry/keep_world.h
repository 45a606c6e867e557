/* keep_world: a data directory with writer and store, and beside it a naive model of what must be
 * in it: the last value of each (series, ts), with its time to live.
 *
 * Everything a test does goes to both; keep_world_check() reads journal and runs in order of
 * arrival, as plainly as possible (no history code), and compares. */
#ifndef PS_TESTS_KEEP_WORLD_H
#define PS_TESTS_KEEP_WORLD_H

#include "core/buf.h"
#include "core/storage/writer.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/retention.h"
#include "core/telemetry/seal.h"
#include "core/telemetry/store.h"
#include "unit/core_storage/temp_db.h"

enum { WORLD_TEXT_SIZE = 512, WORLD_SERIES_MAX = 64 };

#define WORLD_NOW_MS 1763683200000 /* 2025-11-21 00:00 UTC */
#define WORLD_DAY_MS 86400000ll

struct world_point {
    uint32_t series, ttl_s;
    int64_t ts_ms;
    struct ps_value value; /* text points into `text` */
    char text[WORLD_TEXT_SIZE];
    uint64_t arrival;
};

/* What is expected or found. */
struct world_points {
    size_t count, cap;
    uint64_t arrivals;
    struct world_point *items;
};

struct keep_world {
    struct temp_db temp; /* its own writing handle, for looking only */
    struct ps_writer *writer;
    struct ps_store *store;
    struct ps_keep keep;
    int64_t now_ms, last_seq;
    struct world_points model;
    bool is_gone[WORLD_SERIES_MAX]; /* series whose entity was deleted */

    /* the row being made */
    struct ps_buf blob;
    struct ps_journal_encoder encoder;
    uint32_t row_points;
};

void keep_world_init(struct keep_world *world);
void keep_world_deinit(struct keep_world *world);
/** As after a crash: handles are closed, what is on disk stays; garbage is collected. */
void keep_world_restart(struct keep_world *world);

/** Make `count` series, 1 .. count, each of its own entity (of none that is stored). */
void keep_world_add_series(struct keep_world *world, uint32_t count);
void keep_world_put(struct keep_world *world, uint32_t series, int64_t ts_ms,
                    const struct ps_value *value, uint32_t ttl_s);
void keep_world_put_long(struct keep_world *world, uint32_t series, int64_t ts_ms, int64_t value);
/** A tombstone at this place of the row. end_ms exclusive, but INT64_MAX. */
void keep_world_delete(struct keep_world *world, uint32_t series, int64_t start_ms, int64_t end_ms);
/** Commit the row. */
void keep_world_commit(struct keep_world *world);
/** The entity of a series is deleted. */
void keep_world_remove_series(struct keep_world *world, uint32_t series);

void keep_world_exec(struct keep_world *world, const char *sql);
int64_t keep_world_number(struct keep_world *world, const char *sql);

/** Seal all of it; returns the number of passes. */
size_t keep_world_seal_all(struct keep_world *world);
/** Merge until nothing is due; returns the number of merges. */
size_t keep_world_merge_all(struct keep_world *world);
void keep_world_set_now(struct keep_world *world, int64_t now_ms);

/** What is stored is what must be there, at world->now_ms. */
void keep_world_check(struct keep_world *world);
/** Points stored, replaced and expired ones included. */
int64_t keep_world_stored_points(struct keep_world *world);

#endif
