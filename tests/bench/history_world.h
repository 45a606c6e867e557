/* history_world: a data directory with the telemetry store as the server has it (writer, journal,
 * sealing, merging), driven by hand, for measuring it. */
#ifndef PS_TESTS_HISTORY_WORLD_H
#define PS_TESTS_HISTORY_WORLD_H

#include "bench/history_data.h"
#include "core/buf.h"
#include "core/storage/db.h"
#include "core/storage/writer.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/store.h"

struct history_world {
    char directory[280], path[320];
    struct ps_writer *writer;
    struct ps_store *store;
    struct ps_db *db; /* reads */
    struct ps_keep keep;
    int64_t seq;
    /* the journal row being made */
    struct ps_buf blob;
    struct ps_journal_encoder encoder;
    size_t row_points;
};

/** A new directory below `parent` with a catalogue of `series` series, ids from 1, of devices of
 *  `keys` keys. All of it exits on failure. */
void history_world_open(struct history_world *world, const char *parent, uint32_t series,
                        uint32_t keys);
/** Removes the directory. */
void history_world_close(struct history_world *world);

void history_world_put(struct history_world *world, uint32_t series, const struct ps_point *point);
/** Commit the row, if it has points. */
void history_world_commit(struct history_world *world);
/** Seal what is in the journal, delete it there, and merge what is due. */
void history_world_seal(struct history_world *world);
/** What an old file looks like: one run, nothing else in it. */
void history_world_settle(struct history_world *world);
/** Bytes of all range files. */
uint64_t history_world_bytes(struct history_world *world);

#endif
