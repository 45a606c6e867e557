/* plant: the storage of the server put together as server.c does it, without its threads: batches,
 * writer, series in memory, history, sealing, merging and retention, each step by step.
 *
 * Only the writer has a thread of its own, and whoever asks it waits, so the order of operations on
 * the disk is the same each time. */
#ifndef PS_TESTS_POWERCUT_PLANT_H
#define PS_TESTS_POWERCUT_PLANT_H

#include "actors/batch.h"
#include "core/storage/writer.h"
#include "core/telemetry/history.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/store.h"
#include "powercut/grid.h"

enum { PLANT_BATCHES = 2 };

struct plant {
    const char *dir;
    bool scarce;
    char path[128];
    struct ps_writer *writer;
    struct ps_store *store;
    struct ps_db *db; /* a reader's */
    struct ps_keep keep;
    struct ps_port port;
    bool has_port, has_table;
    struct ps_series_table table;
    struct ps_batch *batches[PLANT_BATCHES];
    _Atomic int64_t next_seq, sealed_seq;
    _Atomic uint32_t next_series;
    uint32_t failures, failures_seen; /* as a shard counts them */
    unsigned settled;
    int64_t now_ms;
    char why[256]; /* what failed, in words */
};

enum plant_effect_kind {
    PLANT_WRITE,
    PLANT_DELETE, /* cells [cell, cell_end) of a device */
    PLANT_SET_ATTRIBUTE,
    PLANT_CLEAR_ATTRIBUTE,
};

struct plant_effect {
    enum plant_effect_kind kind;
    unsigned device, cell, cell_end;
    uint32_t message, ttl_s;
};

struct plant_effects {
    size_t count;
    struct plant_effect items[16];
};

/** Start on what is on the disk: migrate, load, collect garbage. On failure close it all the same.
 *  `scarce`: few files stay open while nobody uses them, and a seal has memory for some rows only.
 */
enum ps_status plant_open(struct plant *plant, const char *dir, bool scarce, int64_t now_ms);
void plant_close(struct plant *plant);

/** One batch each, in one transaction; `statuses` of the batches as their acks would hear them. */
void plant_commit(struct plant *plant, const struct plant_effects *effects, size_t count,
                  enum ps_status *statuses);

enum ps_status plant_seal(struct plant *plant);
enum ps_status plant_trim(struct plant *plant);
enum ps_status plant_merge(struct plant *plant);      /* what is due, once */
enum ps_status plant_merge_file(struct plant *plant); /* the oldest file */
enum ps_status plant_retention(struct plant *plant);
enum ps_status plant_checkpoint(struct plant *plant);

/* What is read back. */
struct plant_view {
    uint32_t cells[LEDGER_DEVICES][LEDGER_CELLS]; /* message numbers */
};

/** Everything through the history, and the latest values beside it. Returns: PS_OK; PS_EPROTO what
 *  is there cannot be (plant->why); a failure to read. */
enum ps_status plant_read(struct plant *plant, struct plant_view *view);
/** Checks of the files: structure, checksums, manifest against files. PS_EPROTO with plant->why. */
enum ps_status plant_inspect(struct plant *plant);

#endif
