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

/* How one plant differs from another. */
struct plant_kind {
    bool scarce;    /* few files stay open unused, and a seal has memory for some rows only */
    bool in_slices; /* runs of many small blocks and slices, merges of many short legs */
};

/* The latest value of a device's keys, where deletes made it something else than the newest point
 * that is left (latest_pin.h): the pinned message, or the newest point after the floor. */
struct plant_pin {
    enum { PLANT_PIN_NONE, PLANT_PIN_SET, PLANT_PIN_UNSURE } state;
    int64_t floor_ms;
    uint32_t message; /* 0: none */
    unsigned cell;    /* of it */
    bool is_expired;  /* then it is not looked at */
};

struct plant {
    const char *dir;
    struct plant_kind kind;
    char path[128];
    struct ps_writer *writer;
    struct ps_store *store;
    struct ps_db *db;      /* a reader's, for questions */
    struct ps_db *keep_db; /* the keeper's */
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
    const struct plant_pin *pins; /* of each device; the caller's, NULL: none */
    void (*turn)(void *arg);      /* see plant_when_resting() */
    void *turn_arg;
    bool in_turn;
    /* Shed since the start: heads may still show some keys of it, and latest values may be of it.
     */
    bool shed[LEDGER_CELLS], has_shed;
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
    unsigned device, cell, cell_end; /* a delete may come to its end earlier: then it says so */
    uint32_t message, ttl_s;
    bool delete_latest, rewrite_latest;        /* of a delete, as who asks for it says */
    enum ps_batch_latest latest[LEDGER_CELLS]; /* out: what each part of the delete does to it, */
    struct ps_point shown[LEDGER_CELLS];       /* and the value if that is kept; texts are gone */
};

struct plant_effects {
    size_t count;
    struct plant_effect items[16];
};

/** Start on what is on the disk: migrate, load, collect garbage. On failure close it all the same.
 */
enum ps_status plant_open(struct plant *plant, const char *dir, const struct plant_kind *kind,
                          int64_t now_ms);
void plant_close(struct plant *plant);

/** One batch each, in one transaction; `statuses` of the batches as their acks would hear them. */
void plant_commit(struct plant *plant, struct plant_effects *effects, size_t count,
                  enum ps_status *statuses);

enum ps_status plant_seal(struct plant *plant);
enum ps_status plant_trim(struct plant *plant);
enum ps_status plant_merge(struct plant *plant);      /* what is due, once */
enum ps_status plant_merge_file(struct plant *plant); /* the oldest file */
enum ps_status plant_retention(struct plant *plant);
enum ps_status plant_checkpoint(struct plant *plant);
/** Drop the oldest file, unless there is no other; cells of plant->shed may be empty now, also if
 *  it failed. */
enum ps_status plant_shed(struct plant *plant);
/** What else is done whenever a merge rests; the caller sets it after each open. */
void plant_when_resting(struct plant *plant, void (*turn)(void *arg), void *arg);

/* What is read back. */
struct plant_view {
    uint32_t cells[LEDGER_DEVICES][LEDGER_CELLS]; /* message numbers */
};

/** Keeps in plant->why which step failed, if it did. Returns `st` */
enum ps_status plant_told(struct plant *plant, const char *what, enum ps_status st);
/** Keeps in plant->why what cannot be. Returns PS_EPROTO */
enum ps_status plant_wrong(struct plant *plant, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Everything through the history, and the latest values beside it. Returns: PS_OK; PS_EPROTO what
 *  is there cannot be (plant->why); a failure to read. */
enum ps_status plant_read(struct plant *plant, struct plant_view *view);
/** One device's points, `meanwhile` being called when some of them have been read. PS_EBUSY: runs
 *  went meanwhile that had not been read yet. */
enum ps_status plant_read_slowly(struct plant *plant, unsigned device, uint32_t *cells,
                                 void (*meanwhile)(void *arg), void *arg);
/** Checks of the files: structure, checksums, manifest against files. PS_EPROTO with plant->why. */
enum ps_status plant_inspect(struct plant *plant);

#endif
