/* batch_write: a batch as the writer sees it: everything it holds becomes rows of one transaction.
 *
 * Thread: the writer's. */
#include "actors/batch.h"
#include "core/clock.h"
#include "core/entity/attribute.h"
#include "core/log.h"
#include "core/telemetry/latest_pin.h"
#include "core/telemetry/manifest.h"

enum { LETTERS_BETWEEN_TRIMS = 1024 };

/* An id is never given again, even when its entity is gone: files may still hold points of it. */
static enum ps_status use_up_series_ids(struct ps_db *db, uint32_t greatest)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "INSERT INTO telemetry_state (key, value) VALUES (?, ?)"
                                      " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                                      " WHERE excluded.value > telemetry_state.value",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, PS_STATE_NEXT_SERIES);
    ps_stmt_bind_int(stmt, 2, (int64_t)greatest + 1);
    return ps_stmt_run(stmt);
}

static enum ps_status insert_series(const struct ps_batch *batch, struct ps_db *db)
{
    struct ps_stmt *stmt;
    uint32_t greatest = 0;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < batch->series_count && st == PS_OK; i++) {
        const struct ps_batch_series *row = &batch->series[i];
        st = ps_db_prepare(
            db, "INSERT INTO series (id, entity_type, entity, key) VALUES (?, ?, ?, ?)", &stmt);
        if (st != PS_OK)
            return st;
        ps_stmt_bind_int(stmt, 1, row->series->id);
        ps_stmt_bind_int(stmt, 2, row->entity.type);
        ps_stmt_bind_uuid(stmt, 3, &row->entity.id);
        ps_stmt_bind_text(stmt, 4, row->series->key, row->key_len);
        st = ps_stmt_run(stmt);
        if (row->series->id > greatest)
            greatest = row->series->id;
    }
    return st == PS_OK && batch->series_count ? use_up_series_ids(db, greatest) : st;
}

static enum ps_status insert_points(struct ps_batch *batch, struct ps_db *db)
{
    batch->item.points_bytes = 0;
    if (!batch->point_count)
        return PS_OK;
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "INSERT INTO journal (seq, points) VALUES (?, ?)", &stmt);
    if (st != PS_OK)
        return st;
    batch->seq = atomic_fetch_add_explicit(batch->next_seq, 1, memory_order_relaxed);
    batch->item.points_bytes = (uint32_t)batch->blob.len;
    ps_stmt_bind_int(stmt, 1, batch->seq);
    ps_stmt_bind_blob_borrowed(stmt, 2, batch->blob.data, batch->blob.len);
    return ps_stmt_run(stmt);
}

static enum ps_status update_pin(struct ps_db *db, const struct ps_batch_delete *row)
{
    uint32_t series = row->series->id;
    switch (row->latest) {
    case PS_BATCH_LATEST_STAYS:
        return PS_OK;
    case PS_BATCH_LATEST_KEPT:
        return ps_latest_pin_keep(db, series, row->kept->ts_ms, &row->kept->value,
                                  row->kept->ttl_s);
    case PS_BATCH_LATEST_GOES:
        if (!ps_batch_deletes_all(row->start_ms, row->end_ms))
            return ps_latest_pin_none(db, series, row->start_ms);
        break;
    case PS_BATCH_LATEST_REPLACED:
        break;
    }
    return ps_latest_pin_end(db, series);
}

static enum ps_status insert_tombstone(const struct ps_batch *batch, struct ps_db *db, int64_t seq,
                                       const struct ps_batch_delete *row)
{
    struct ps_tombstone tombstone = { .series = row->series->id,
                                      .start_ms = row->start_ms,
                                      .end_ms = row->end_ms,
                                      .seq = seq,
                                      .idx = (int64_t)row->before,
                                      .created_ms = batch->created_ms };
    enum ps_status st = ps_manifest_add_tombstone(db, &tombstone);
    return st == PS_OK ? update_pin(db, row) : st;
}

/* Points of series with a pin, those before point `end`. */
static enum ps_status make_offers(struct ps_batch *batch, struct ps_db *db, size_t *next,
                                  size_t end)
{
    enum ps_status st = PS_OK;
    int64_t now_ms = *next < batch->offer_count ? ps_clock_now_ms() : 0;
    for (; *next < batch->offer_count && st == PS_OK; ++*next) {
        struct ps_batch_offer *offer = &batch->offers[*next];
        const struct ps_batch_point *point = &batch->points[offer->point];
        if (offer->point >= end)
            return PS_OK;
        st = ps_latest_pin_offer(db, point->series->id, point->ts_ms, &point->value, point->ttl_s,
                                 now_ms, &offer->pin_is_over);
    }
    return st;
}

/* In the order of arrival. The deletions' place in the journal: this batch's row, or (it has none)
 * before whatever comes next. */
static enum ps_status insert_tombstones(struct ps_batch *batch, struct ps_db *db)
{
    int64_t seq = batch->point_count ? batch->seq
                                     : atomic_load_explicit(batch->next_seq, memory_order_relaxed);
    enum ps_status st = PS_OK;
    size_t offered = 0;
    for (size_t i = 0; i < batch->delete_count && st == PS_OK; i++) {
        st = make_offers(batch, db, &offered, batch->deletes[i].before);
        if (st == PS_OK)
            st = insert_tombstone(batch, db, seq, &batch->deletes[i]);
    }
    return st == PS_OK ? make_offers(batch, db, &offered, batch->point_count) : st;
}

static enum ps_status write_attribute(const struct ps_batch_attribute *row, struct ps_db *db)
{
    if (row->kv.value.type != PS_VALUE_NULL)
        return ps_attribute_put(db, &row->entity, row->scope, &row->kv, row->updated_ms);
    enum ps_status st =
        ps_attribute_delete(db, &row->entity, row->scope, row->kv.key, row->kv.key_len);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static enum ps_status write_attributes(const struct ps_batch *batch, struct ps_db *db)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < batch->attribute_count && st == PS_OK; i++)
        st = write_attribute(&batch->attributes[i], db);
    return st;
}

/* Looking how much they hold reads all of them, so it is done once in a while. */
static enum ps_status keep_letters_in_room(const struct ps_batch *batch, struct ps_db *db)
{
    struct ps_letter_room *room = batch->letter_room;
    if (!room)
        return PS_OK;
    room->since_trim += (uint32_t)batch->letter_count;
    if (room->since_trim < LETTERS_BETWEEN_TRIMS)
        return PS_OK;
    room->since_trim = 0;
    int64_t deleted;
    return ps_dead_letter_trim(db, room->bytes_max, &deleted);
}

static enum ps_status insert_letters(const struct ps_batch *batch, struct ps_db *db)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < batch->letter_count && st == PS_OK; i++)
        st = ps_dead_letter_put(db, &batch->letters[i]);
    return st == PS_OK ? keep_letters_in_room(batch, db) : st;
}

static enum ps_status write_all(struct ps_batch *batch, struct ps_db *db)
{
    enum ps_status st = insert_series(batch, db);
    if (st == PS_OK)
        st = insert_points(batch, db);
    if (st == PS_OK)
        st = insert_tombstones(batch, db);
    if (st == PS_OK)
        st = write_attributes(batch, db);
    if (st == PS_OK)
        st = insert_letters(batch, db);
    return st;
}

/* Batches of the shard that began before this was known are stale, also those of the same
 * transaction. */
static void note_failure(struct ps_batch *batch)
{
    if (batch->failures && *batch->failures == batch->failures_seen)
        ++*batch->failures;
}

static enum ps_status run_batch(struct ps_writer_item *item, struct ps_db *db)
{
    struct ps_batch *batch = (struct ps_batch *)item;
    batch->stale = batch->failures && *batch->failures != batch->failures_seen;
    if (batch->stale)
        return PS_OK; /* nothing is done; batch_done() says so */
    enum ps_status st = write_all(batch, db);
    if (st == PS_OK)
        return PS_OK;
    note_failure(batch);
    ps_log_event(PS_LOG_ERROR, "storage", "batch_not_written", "error", ps_db_error(db));
    return st;
}

static void batch_refused(struct ps_writer_item *item)
{
    note_failure((struct ps_batch *)item);
}

static void batch_done(struct ps_writer_item *item, enum ps_status st)
{
    struct ps_batch *batch = (struct ps_batch *)item;
    if (batch->stale)
        st = PS_ESTORE;
    else if (st != PS_OK)
        note_failure(batch);
    batch->status = st;
    ps_port_post(batch->home, &batch->settled);
}

void ps_batch_make_item(struct ps_batch *batch)
{
    batch->item.run = run_batch;
    batch->item.refused = batch_refused;
    batch->item.done = batch_done;
    batch->item.needs_savepoint = true; /* what cannot be written takes no other shard's along */
}
