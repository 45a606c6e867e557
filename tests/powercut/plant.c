#include "powercut/plant.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/entity/attribute.h"
#include "core/storage/migrations.h"
#include "core/telemetry/load.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/retention.h"
#include "core/telemetry/seal.h"

enum {
    HEAD_POINTS = 3, /* so that heads overflow */
    SEAL_MEMORY = 1 << 20,
    SEAL_MEMORY_LITTLE = 4096,
    IDLE_FILES_FEW = 2,
    TRIMS_MAX = 100,
};

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
                                       .idle_max = plant->scarce ? IDLE_FILES_FEW : 0 };
    if (st == PS_OK)
        st = ps_writer_start(&writer, &plant->writer);
    if (st == PS_OK)
        st = ps_db_open(plant->path, PS_DB_READER, &plant->db, why);
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

enum ps_status plant_open(struct plant *plant, const char *dir, bool scarce, int64_t now_ms)
{
    *plant = (struct plant){
        .dir = dir, .scarce = scarce, .next_seq = 1, .next_series = 1, .now_ms = now_ms
    };
    snprintf(plant->path, sizeof plant->path, "%s/pacificsoft.db", dir);
    set_clock(plant);
    struct ps_text why = { "" };
    struct ps_retention_result collected;
    enum ps_status st = open_parts(plant, &why);
    plant->keep = (struct ps_keep){ .db = plant->db,
                                    .writer = plant->writer,
                                    .store = plant->store,
                                    .range = PS_RANGE_DAY,
                                    .memory_max = scarce ? SEAL_MEMORY_LITTLE : SEAL_MEMORY,
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
    ps_writer_stop(plant->writer);
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static struct ps_series *series_of(struct plant *plant, unsigned device, unsigned key)
{
    struct ps_entity_id entity = grid_device(device);
    struct ps_entity_series *owner = ps_series_table_get(&plant->table, &entity);
    struct ps_series *series =
        owner ? ps_series_get(&plant->table, owner, grid_keys[key], strlen(grid_keys[key])) : NULL;
    PS_ASSERT(series);
    return series;
}

static enum ps_status add_message(struct plant *plant, struct ps_batch *batch,
                                  const struct plant_effect *effect)
{
    struct ps_entity_id entity = grid_device(effect->device);
    enum ps_status st = PS_OK;
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++) {
        char text[GRID_TEXT_MAX];
        struct ps_value value = grid_value(key, effect->message, text, sizeof text);
        st = ps_batch_add_point(batch, &entity, series_of(plant, effect->device, key),
                                grid_cell_ms(effect->cell), &value, effect->ttl_s);
    }
    return st;
}

static enum ps_status delete_span(struct plant *plant, struct ps_batch *batch, unsigned device,
                                  int64_t start_ms, int64_t end_ms)
{
    enum ps_status st = PS_OK;
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++)
        st = ps_batch_add_delete(batch, series_of(plant, device, key), start_ms, end_ms,
                                 PS_BATCH_LATEST_REPLACED, plant->now_ms);
    return st;
}

/* Neighbouring cells are days apart, so all are deleted at once or each alone. */
static enum ps_status add_delete(struct plant *plant, struct ps_batch *batch,
                                 const struct plant_effect *effect)
{
    if (effect->cell_end - effect->cell == LEDGER_CELLS)
        return delete_span(plant, batch, effect->device, INT64_MIN, INT64_MAX);
    enum ps_status st = PS_OK;
    for (unsigned cell = effect->cell; cell < effect->cell_end && st == PS_OK; cell++)
        st = delete_span(plant, batch, effect->device, grid_cell_ms(cell), grid_cell_ms(cell) + 1);
    return st;
}

static enum ps_status add_attribute(struct plant *plant, struct ps_batch *batch,
                                    const struct plant_effect *effect)
{
    struct ps_entity_id entity = grid_device(GRID_ATTRIBUTES);
    char name[16];
    struct ps_kv kv = { .key = name };
    kv.key_len = (uint32_t)snprintf(name, sizeof name, "a%u", effect->cell);
    if (effect->kind == PLANT_SET_ATTRIBUTE)
        kv.value = (struct ps_value){ .type = PS_VALUE_LONG, .integer = effect->message };
    return ps_batch_add_attribute(batch, &entity, PS_SCOPE_SERVER, &kv, plant->now_ms);
}

static void fill_batch(struct plant *plant, struct ps_batch *batch,
                       const struct plant_effects *effects)
{
    batch->failures = &plant->failures;
    batch->failures_seen = plant->failures_seen;
    for (size_t i = 0; i < effects->count; i++) {
        const struct plant_effect *effect = &effects->items[i];
        enum ps_status st = effect->kind == PLANT_WRITE    ? add_message(plant, batch, effect)
                            : effect->kind == PLANT_DELETE ? add_delete(plant, batch, effect)
                                                           : add_attribute(plant, batch, effect);
        PS_ASSERT(st == PS_OK);
    }
    if (!batch->point_count)
        return;
    ps_journal_finish(&batch->encoder);
    batch->item.points_bytes = (uint32_t)batch->blob.len;
}

static void apply_points(struct plant *plant, const struct ps_batch *batch, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct ps_batch_point *point = &batch->points[i];
        ps_series_apply(&plant->table, point->series, batch->seq, point->ts_ms, &point->value,
                        point->ttl_s);
    }
}

/* As a shard does it. */
static void apply_batch(struct plant *plant, const struct ps_batch *batch)
{
    size_t applied = 0;
    for (size_t i = 0; i < batch->delete_count; i++) {
        const struct ps_batch_delete *delete = &batch->deletes[i];
        apply_points(plant, batch, applied, delete->before);
        applied = delete->before;
        struct ps_series_deletion deletion = { .start_ms = delete->start_ms,
                                               .end_ms = delete->end_ms,
                                               .delete_latest = true,
                                               .rewrite_latest = true };
        (void)ps_series_delete_range(&plant->table, delete->series, &deletion);
    }
    apply_points(plant, batch, applied, batch->point_count);
}

static void undo_batch(struct ps_batch *batch)
{
    for (size_t i = 0; i < batch->series_count; i++)
        batch->series[i].series->catalogued = false;
}

/* Holds the writer after its commit until all batches are queued, so that they share the next one.
 */
struct gate {
    struct ps_writer_item item;
    sem_t entered, open;
};

static enum ps_status do_nothing(struct ps_writer_item *item, struct ps_db *db)
{
    (void)item, (void)db;
    return PS_OK;
}

static void wait_in_gate(struct ps_writer_item *item, enum ps_status st)
{
    (void)st;
    struct gate *gate = (struct gate *)item;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
    sem_post(&gate->entered);
}

static void submit_together(struct plant *plant, size_t count)
{
    struct gate gate = { .item = { .run = do_nothing, .done = wait_in_gate } };
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    ps_writer_submit(plant->writer, &gate.item);
    sem_wait(&gate.entered);
    for (size_t i = 0; i < count; i++)
        ps_writer_submit(plant->writer, &plant->batches[i]->item);
    sem_post(&gate.open);
    sem_wait(&gate.entered); /* it is not in there any more */
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
}

void plant_commit(struct plant *plant, const struct plant_effects *effects, size_t count,
                  enum ps_status *statuses)
{
    for (size_t i = 0; i < count; i++)
        fill_batch(plant, plant->batches[i], &effects[i]);
    plant->settled = 0;
    if (count == 1)
        ps_writer_submit(plant->writer, &plant->batches[0]->item);
    else
        submit_together(plant, count);
    while (plant->settled < count)
        ps_port_wait(&plant->port, plant, -1);
    for (size_t i = 0; i < count; i++) {
        struct ps_batch *batch = plant->batches[i];
        statuses[i] = batch->status;
        if (batch->status == PS_OK)
            apply_batch(plant, batch);
        else
            undo_batch(batch);
        ps_batch_reset(batch);
    }
    plant->failures_seen = plant->failures;
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static enum ps_status told(struct plant *plant, const char *step, enum ps_status st)
{
    if (st == PS_OK || st == PS_ENOTFOUND)
        return PS_OK;
    snprintf(plant->why, sizeof plant->why, "%s: %s", step, ps_status_text(st));
    return st;
}

enum ps_status plant_seal(struct plant *plant)
{
    struct ps_seal_result result;
    set_clock(plant);
    enum ps_status st = ps_seal_once(&plant->keep, &result);
    if (st == PS_OK)
        plant->sealed_seq = result.sealed_seq;
    return told(plant, "seal", st);
}

enum ps_status plant_trim(struct plant *plant)
{
    bool more = true;
    enum ps_status st = PS_OK;
    for (int i = 0; i < TRIMS_MAX && more && st == PS_OK; i++)
        st = ps_seal_trim(&plant->keep, &more);
    return told(plant, "trim", st);
}

enum ps_status plant_merge(struct plant *plant)
{
    struct ps_merge_result result;
    set_clock(plant);
    return told(plant, "merge", ps_merge_once(&plant->keep, plant->now_ms, &result));
}

enum ps_status plant_merge_file(struct plant *plant)
{
    struct ps_manifest_file_list files = { 0 };
    struct ps_merge_result result;
    set_clock(plant);
    enum ps_status st = ps_manifest_files(plant->db, &files);
    for (size_t i = 0; i < files.count && st == PS_OK; i++) {
        if (files.items[i].state == PS_FILE_LIVE) {
            st = ps_merge_file(&plant->keep, files.items[i].id, plant->now_ms, &result);
            break;
        }
    }
    ps_manifest_file_list_deinit(&files);
    return told(plant, "merge file", st);
}

enum ps_status plant_retention(struct plant *plant)
{
    struct ps_retention_result result;
    set_clock(plant);
    return told(plant, "retention", ps_retention_apply(&plant->keep, plant->now_ms, &result));
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
    return told(plant, "checkpoint", st);
}
