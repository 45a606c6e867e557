#include "powercut/plant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/storage/migrations.h"
#include "core/telemetry/load.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/merge_stream.h"
#include "core/telemetry/retention.h"
#include "core/telemetry/run_writer.h"
#include "core/telemetry/seal.h"

enum {
    HEAD_POINTS = 3, /* so that heads overflow */
    SEAL_MEMORY = 1 << 20,
    SEAL_MEMORY_LITTLE = 4096,
    IDLE_FILES_FEW = 2,
    TRIMS_MAX = 100,
    SMALL_BLOCK_BYTES = 60,
    SMALL_SLICE_BYTES = 150,
    SMALL_LEG_BYTES = 200,
};

/* ---- sizes ------------------------------------------------------------------------------------
 *
 * The linker puts these two before the functions they are named after, for there is no other way
 * from here to where a seal or a merge calls them. */

static bool in_slices; /* of the plant opened last: there is one at a time */

enum ps_status __real_ps_run_writer_begin(struct ps_run_file *file, int64_t run,
                                          const struct ps_run_catalogue *catalogue,
                                          struct ps_run_writer **out);
enum ps_status __wrap_ps_run_writer_begin(struct ps_run_file *file, int64_t run,
                                          const struct ps_run_catalogue *catalogue,
                                          struct ps_run_writer **out);
enum ps_status __real_ps_merge_stream_run(struct ps_merge_stream *stream, struct ps_run *out);
enum ps_status __wrap_ps_merge_stream_run(struct ps_merge_stream *stream, struct ps_run *out);

enum ps_status __wrap_ps_run_writer_begin(struct ps_run_file *file, int64_t run,
                                          const struct ps_run_catalogue *catalogue,
                                          struct ps_run_writer **out)
{
    enum ps_status st = __real_ps_run_writer_begin(file, run, catalogue, out);
    if (st == PS_OK && in_slices)
        ps_run_writer_set_sizes_for_test(*out, SMALL_BLOCK_BYTES, SMALL_SLICE_BYTES);
    return st;
}

enum ps_status __wrap_ps_merge_stream_run(struct ps_merge_stream *stream, struct ps_run *out)
{
    if (in_slices)
        stream->leg_bytes = SMALL_LEG_BYTES;
    return __real_ps_merge_stream_run(stream, out);
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static unsigned only_table(const struct ps_uuid *entity, const void *arg)
{
    (void)entity, (void)arg;
    return 0;
}

static void batch_settled(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct plant *)owner)->settled++;
}

static enum ps_status prepare_database(struct plant *plant, struct ps_text *why)
{
    struct ps_db *db;
    enum ps_status st = ps_db_open(plant->path, PS_DB_WRITER, &db, why);
    if (st != PS_OK)
        return st;
    st = ps_db_migrate(db, plant->path, why);
    ps_db_close(db);
    return st;
}

static enum ps_status load(struct plant *plant)
{
    struct ps_series_limits limits = { .head_points_max = HEAD_POINTS,
                                       .memory_max = 1 << 20,
                                       .next_id = &plant->next_series,
                                       .sealed_seq = &plant->sealed_seq };
    enum ps_status st = ps_series_table_init(&plant->table, &limits);
    if (st != PS_OK)
        return st;
    plant->has_table = true;
    struct ps_load_result result;
    st = ps_telemetry_load(plant->db, &plant->table, only_table, NULL, &result);
    if (st != PS_OK)
        return st;
    plant->next_series = result.next_series;
    plant->next_seq = result.last_seq + 1;
    plant->sealed_seq = result.sealed_seq;
    if (!result.damaged_rows && !result.damaged_series)
        return PS_OK;
    snprintf(plant->why, sizeof plant->why, "%zu journal rows and %zu series are damaged",
             result.damaged_rows, result.damaged_series);
    return PS_EPROTO;
}

static enum ps_status open_batches(struct plant *plant)
{
    enum ps_status st = ps_port_init(&plant->port);
    plant->has_port = st == PS_OK;
    for (size_t i = 0; i < PLANT_BATCHES && st == PS_OK; i++)
        st = ps_batch_create(&plant->port, &plant->next_seq, batch_settled, &plant->batches[i]);
    return st;
}

static enum ps_status open_parts(struct plant *plant, struct ps_text *why)
{
    enum ps_status st = prepare_database(plant, why);
    struct ps_writer_settings writer = { .path = plant->path, .checkpoint_bytes = UINT64_MAX };
    struct ps_store_settings store = { .dir = plant->dir,
                                       .idle_max = plant->kind.scarce ? IDLE_FILES_FEW : 0 };
    if (st == PS_OK)
        st = ps_writer_start(&writer, &plant->writer);
    if (st == PS_OK)
        st = ps_db_open(plant->path, PS_DB_READER, &plant->db, why);
    if (st == PS_OK)
        st = ps_db_open(plant->path, PS_DB_READER, &plant->keep_db, why);
    if (st == PS_OK)
        st = ps_store_open(&store, &plant->store, why);
    if (st == PS_OK)
        st = load(plant);
    if (st == PS_OK)
        st = open_batches(plant);
    return st;
}

static void set_clock(struct plant *plant)
{
    ps_clock_set_for_test(plant->now_ms, plant->now_ms * 1000000);
}

enum ps_status plant_open(struct plant *plant, const char *dir, const struct plant_kind *kind,
                          int64_t now_ms)
{
    *plant = (struct plant){
        .dir = dir, .kind = *kind, .next_seq = 1, .next_series = 1, .now_ms = now_ms
    };
    in_slices = kind->in_slices;
    snprintf(plant->path, sizeof plant->path, "%s/pacificsoft.db", dir);
    set_clock(plant);
    struct ps_text why = { "" };
    struct ps_retention_result collected;
    enum ps_status st = open_parts(plant, &why);
    plant->keep = (struct ps_keep){ .db = plant->keep_db,
                                    .writer = plant->writer,
                                    .store = plant->store,
                                    .range = PS_RANGE_DAY,
                                    .memory_max = kind->scarce ? SEAL_MEMORY_LITTLE : SEAL_MEMORY,
                                    .retired_keep_ms = 60000,
                                    .settle_ms = 3600000 };
    if (st == PS_OK)
        st = ps_retention_collect(&plant->keep, true, &collected);
    if (st != PS_OK && !plant->why[0])
        snprintf(plant->why, sizeof plant->why, "start: %s %.150s", ps_status_text(st), why.data);
    return st;
}

void plant_close(struct plant *plant)
{
    ps_keep_deinit(&plant->keep);
    for (size_t i = 0; i < PLANT_BATCHES; i++)
        ps_batch_destroy(plant->batches[i]);
    if (plant->has_table)
        ps_series_table_deinit(&plant->table);
    if (plant->has_port)
        ps_port_deinit(&plant->port);
    ps_store_close(plant->store);
    ps_db_close(plant->db);
    ps_db_close(plant->keep_db);
    ps_writer_stop(plant->writer);
}

/* ---- steps ------------------------------------------------------------------------------------
 */

enum ps_status plant_told(struct plant *plant, const char *what, enum ps_status st)
{
    if (st != PS_OK)
        snprintf(plant->why, sizeof plant->why, "%s: %s", what, ps_status_text(st));
    return st;
}

/* Of a step that may find nothing to do. */
static enum ps_status done(struct plant *plant, const char *step, enum ps_status st)
{
    return plant_told(plant, step, st == PS_ENOTFOUND ? PS_OK : st);
}

enum ps_status plant_wrong(struct plant *plant, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(plant->why, sizeof plant->why, format, args);
    va_end(args);
    return PS_EPROTO;
}

enum ps_status plant_seal(struct plant *plant)
{
    struct ps_seal_result result;
    set_clock(plant);
    enum ps_status st = ps_seal_once(&plant->keep, &result);
    if (st == PS_OK)
        plant->sealed_seq = result.sealed_seq;
    return done(plant, "seal", st);
}

enum ps_status plant_trim(struct plant *plant)
{
    bool more = true;
    enum ps_status st = PS_OK;
    for (int i = 0; i < TRIMS_MAX && more && st == PS_OK; i++)
        st = ps_seal_trim(&plant->keep, &more);
    return done(plant, "trim", st);
}

void plant_when_resting(struct plant *plant, void (*turn)(void *arg), void *arg)
{
    plant->turn = turn;
    plant->turn_arg = arg;
}

/* A turn does not begin within another. */
static void breathe(struct ps_keep *keep, void *arg)
{
    struct plant *plant = arg;
    if (!plant->turn || plant->in_turn || !keep->lent)
        return;
    plant->in_turn = true;
    plant->turn(plant->turn_arg);
    plant->in_turn = false;
}

static void begin_to_breathe(struct plant *plant)
{
    set_clock(plant);
    plant->keep.breathe = breathe;
    plant->keep.breathe_arg = plant;
}

enum ps_status plant_merge(struct plant *plant)
{
    struct ps_merge_result result;
    begin_to_breathe(plant);
    enum ps_status st = ps_merge_once(&plant->keep, plant->now_ms, &result);
    plant->keep.breathe = NULL;
    return done(plant, "merge", st);
}

static enum ps_status oldest_live_file(struct plant *plant, int64_t *id)
{
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = ps_manifest_files(plant->keep_db, &files);
    *id = 0;
    for (size_t i = 0; i < files.count && st == PS_OK && !*id; i++) {
        if (files.items[i].state == PS_FILE_LIVE)
            *id = files.items[i].id;
    }
    ps_manifest_file_list_deinit(&files);
    return st;
}

enum ps_status plant_merge_file(struct plant *plant)
{
    struct ps_merge_result result;
    int64_t file;
    begin_to_breathe(plant);
    enum ps_status st = oldest_live_file(plant, &file);
    if (st == PS_OK && file)
        st = ps_merge_file(&plant->keep, file, plant->now_ms, &result);
    plant->keep.breathe = NULL;
    return done(plant, "merge file", st);
}

enum ps_status plant_retention(struct plant *plant)
{
    struct ps_retention_result result;
    set_clock(plant);
    return done(plant, "retention", ps_retention_apply(&plant->keep, plant->now_ms, &result));
}

enum ps_status plant_checkpoint(struct plant *plant)
{
    struct ps_text why = { "" };
    struct ps_db *db;
    enum ps_status st = ps_db_open(plant->path, PS_DB_WRITER, &db, &why);
    if (st == PS_OK) {
        int frames, left;
        st = ps_db_checkpoint(db, &frames, &left);
        ps_db_close(db);
    }
    return done(plant, "checkpoint", st);
}

/* Which files there are is for retention to say; that the oldest goes is what it promises. */
static enum ps_status note_oldest(struct plant *plant)
{
    struct ps_manifest_file_list files = { 0 };
    const struct ps_manifest_file *oldest = NULL;
    enum ps_status st = ps_manifest_files(plant->keep_db, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++) {
        const struct ps_manifest_file *file = &files.items[i];
        if (file->state == PS_FILE_LIVE && (!oldest || file->start_ms < oldest->start_ms))
            oldest = file;
    }
    for (unsigned cell = 0; oldest && cell < LEDGER_CELLS; cell++) {
        int64_t ts_ms = grid_cell_ms(cell);
        plant->shed[cell] |= ts_ms >= oldest->start_ms && ts_ms < oldest->end_ms;
    }
    plant->has_shed = true;
    ps_manifest_file_list_deinit(&files);
    return st;
}

enum ps_status plant_shed(struct plant *plant)
{
    struct ps_retention_result result = { 0 };
    set_clock(plant);
    enum ps_status st = note_oldest(plant);
    if (st == PS_OK)
        st = ps_retention_shed(&plant->keep, &result);
    return done(plant, "shed", st);
}
