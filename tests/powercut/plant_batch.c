/* plant_batch: effects become batches, are committed and applied, as a shard does it. */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "core/entity/attribute.h"
#include "powercut/plant.h"

static struct ps_series *series_of(struct plant *plant, unsigned device, unsigned key)
{
    struct ps_entity_id entity = grid_device(device);
    struct ps_entity_series *owner = ps_series_table_get(&plant->table, &entity);
    return owner ? ps_series_get(&plant->table, owner, grid_keys[key], strlen(grid_keys[key]))
                 : NULL;
}

static enum ps_status add_message(struct plant *plant, struct ps_batch *batch,
                                  const struct plant_effect *effect)
{
    struct ps_entity_id entity = grid_device(effect->device);
    enum ps_status st = PS_OK;
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++) {
        char text[GRID_TEXT_MAX];
        struct ps_value value = grid_value(key, effect->message, text, sizeof text);
        struct ps_series *series = series_of(plant, effect->device, key);
        st = series ? ps_batch_add_point(batch, &entity, series, grid_cell_ms(effect->cell), &value,
                                         effect->ttl_s)
                    : PS_ENOMEM;
    }
    return st;
}

/* ---- deletes ----------------------------------------------------------------------------------
 */

/* What a reader does before it asks a shard again. */
static enum ps_status look_up(struct plant *plant, struct ps_series *series)
{
    struct ps_history history = { .db = plant->db, .store = plant->store, .now_ms = plant->now_ms };
    struct ps_series_copy copy = { 0 };
    struct ps_series_newest newest = { 0 };
    enum ps_status st = ps_series_copy_all(&plant->table, series, &copy);
    if (st == PS_OK)
        st = ps_history_newest(&history, &copy, &newest);
    if (st == PS_OK)
        ps_series_learn_latest(series, &newest);
    ps_series_newest_deinit(&newest);
    ps_series_copy_deinit(&copy);
    return st;
}

/* The latest value as it will be behind what the batch holds. */
static struct ps_latest_outlook outlook_of(const struct plant *plant, struct ps_series *series,
                                           const struct ps_batch *batch)
{
    struct ps_point point;
    enum ps_latest state = ps_series_latest(series, 0, plant->now_ms, &point);
    struct ps_latest_outlook outlook = { .series = series,
                                         .known = state != PS_LATEST_UNKNOWN,
                                         .exists = state == PS_LATEST_KNOWN };
    if (outlook.exists) {
        outlook.ts_ms = point.ts_ms;
        outlook.value = point.value;
        outlook.ttl_s = ps_series_latest_ttl_s(series);
    }
    ps_batch_look_ahead(batch, &outlook, 1);
    return outlook;
}

struct span {
    int64_t start_ms, end_ms;
};

static bool is_inside(const struct span *span, const struct ps_latest_outlook *latest)
{
    return latest->exists && latest->ts_ms >= span->start_ms &&
           (latest->ts_ms < span->end_ms || span->end_ms == INT64_MAX);
}

static enum ps_batch_latest fate_of_latest(const struct plant_effect *effect,
                                           const struct span *span,
                                           const struct ps_latest_outlook *latest)
{
    if (!is_inside(span, latest))
        return PS_BATCH_LATEST_STAYS;
    if (!effect->delete_latest)
        return PS_BATCH_LATEST_KEPT;
    return effect->rewrite_latest ? PS_BATCH_LATEST_REPLACED : PS_BATCH_LATEST_GOES;
}

/* PS_EBUSY: what the batch holds must be committed first, or it could not be learnt. */
static enum ps_status look_ahead(struct plant *plant, const struct ps_batch *batch, unsigned device,
                                 struct ps_latest_outlook *outlooks)
{
    for (unsigned key = 0; key < GRID_KEYS; key++) {
        struct ps_series *series = series_of(plant, device, key);
        struct ps_point point;
        enum ps_status st = series ? PS_OK : PS_ENOMEM;
        if (st == PS_OK && ps_series_latest(series, 0, plant->now_ms, &point) == PS_LATEST_UNKNOWN)
            st = look_up(plant, series);
        if (st != PS_OK)
            return st;
        outlooks[key] = outlook_of(plant, series, batch);
        if (!outlooks[key].known)
            return PS_EBUSY;
    }
    return PS_OK;
}

static enum ps_status delete_of_key(struct plant *plant, struct ps_batch *batch,
                                    const struct span *span,
                                    const struct ps_latest_outlook *outlook,
                                    enum ps_batch_latest fate)
{
    enum ps_status st = ps_batch_add_delete(batch, outlook->series, span->start_ms, span->end_ms,
                                            fate, plant->now_ms);
    const struct ps_batch_point kept = { .series = outlook->series,
                                         .ts_ms = outlook->ts_ms,
                                         .value = outlook->value,
                                         .ttl_s = outlook->ttl_s };
    return st == PS_OK && fate == PS_BATCH_LATEST_KEPT ? ps_batch_keep_latest(batch, &kept) : st;
}

/* Of all keys or none; part number `part` of the effect. */
static enum ps_status delete_span(struct plant *plant, struct ps_batch *batch,
                                  struct plant_effect *effect, const struct span *span,
                                  unsigned part)
{
    struct ps_latest_outlook outlooks[GRID_KEYS];
    enum ps_status st = look_ahead(plant, batch, effect->device, outlooks);
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++) {
        enum ps_batch_latest fate = fate_of_latest(effect, span, &outlooks[key]);
        if (key == 0) {
            effect->latest[part] = fate;
            effect->shown[part] =
                (struct ps_point){ .ts_ms = outlooks[0].ts_ms, .value = outlooks[0].value };
        }
        st = delete_of_key(plant, batch, span, &outlooks[key], fate);
    }
    return st;
}

/* Neighbouring cells are days apart, so all are deleted at once or each alone. */
static enum ps_status add_delete(struct plant *plant, struct ps_batch *batch,
                                 struct plant_effect *effect)
{
    const struct span everything = { INT64_MIN, INT64_MAX };
    if (effect->cell_end - effect->cell == LEDGER_CELLS) {
        enum ps_status st = delete_span(plant, batch, effect, &everything, 0);
        effect->cell_end = st == PS_EBUSY ? effect->cell : effect->cell_end;
        return st == PS_EBUSY ? PS_OK : st;
    }
    for (unsigned cell = effect->cell; cell < effect->cell_end; cell++) {
        const struct span span = { grid_cell_ms(cell), grid_cell_ms(cell) + 1 };
        enum ps_status st = delete_span(plant, batch, effect, &span, cell - effect->cell);
        if (st == PS_EBUSY)
            effect->cell_end = cell; /* the others would wait */
        if (st != PS_OK)
            return st == PS_EBUSY ? PS_OK : st;
    }
    return PS_OK;
}

/* ---- batches ----------------------------------------------------------------------------------
 */

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

/* A batch that memory was too short for fails as a whole: nothing half may be in it. */
static enum ps_status fill_batch(struct plant *plant, struct ps_batch *batch,
                                 struct plant_effects *effects)
{
    enum ps_status st = PS_OK;
    batch->failures = &plant->failures;
    batch->failures_seen = plant->failures_seen;
    for (size_t i = 0; i < effects->count && st == PS_OK; i++) {
        struct plant_effect *effect = &effects->items[i];
        st = effect->kind == PLANT_WRITE    ? add_message(plant, batch, effect)
             : effect->kind == PLANT_DELETE ? add_delete(plant, batch, effect)
                                            : add_attribute(plant, batch, effect);
    }
    if (st == PS_OK && batch->point_count) {
        ps_journal_finish(&batch->encoder);
        batch->item.points_bytes = (uint32_t)batch->blob.len;
    }
    return st == PS_OK && !ps_buf_ok(&batch->blob) ? PS_ENOMEM : st;
}

/* As a shard does it; no other batch that deletes is on its way. */
static void apply_batch(struct plant *plant, const struct ps_batch *batch)
{
    ps_batch_apply(batch, &plant->table);
    for (size_t i = 0; i < batch->offer_count; i++) {
        struct ps_series *series = batch->points[batch->offers[i].point].series;
        if (batch->offers[i].pin_is_over && series->pinned && !ps_batch_deletes(batch, series))
            ps_series_unpin(series);
    }
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

static void submit_together(struct plant *plant, struct ps_batch *const *batches, size_t count)
{
    struct gate gate = { .item = { .run = do_nothing, .done = wait_in_gate } };
    sem_init(&gate.entered, 0, 0);
    sem_init(&gate.open, 0, 0);
    ps_writer_submit(plant->writer, &gate.item);
    sem_wait(&gate.entered);
    for (size_t i = 0; i < count; i++)
        ps_writer_submit(plant->writer, &batches[i]->item);
    sem_post(&gate.open);
    sem_wait(&gate.entered); /* it is not in there any more */
    sem_destroy(&gate.entered);
    sem_destroy(&gate.open);
}

static void submit(struct plant *plant, struct ps_batch *const *batches, size_t count)
{
    plant->settled = 0;
    if (count == 1)
        ps_writer_submit(plant->writer, &batches[0]->item);
    else if (count)
        submit_together(plant, batches, count);
    while (plant->settled < count)
        ps_port_wait(&plant->port, plant, -1);
}

static void settle(struct plant *plant, struct ps_batch *batch)
{
    if (batch->status == PS_OK)
        apply_batch(plant, batch);
    else
        undo_batch(batch);
    ps_batch_reset(batch);
}

void plant_commit(struct plant *plant, struct plant_effects *effects, size_t count,
                  enum ps_status *statuses)
{
    struct ps_batch *batches[PLANT_BATCHES];
    size_t handed_in[PLANT_BATCHES], full = 0;
    for (size_t i = 0; i < count; i++) {
        struct ps_batch *batch = plant->batches[i];
        batch->status = statuses[i] = fill_batch(plant, batch, &effects[i]);
        if (batch->status != PS_OK) {
            settle(plant, batch);
            continue;
        }
        handed_in[full] = i;
        batches[full++] = batch;
    }
    submit(plant, batches, full);
    for (size_t i = 0; i < full; i++) {
        statuses[handed_in[i]] = batches[i]->status;
        settle(plant, batches[i]);
    }
    plant->failures_seen = plant->failures;
}
