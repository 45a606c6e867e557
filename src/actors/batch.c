#include "actors/batch.h"

#include <stdlib.h>
#include <string.h>

#include "core/entity/attribute.h"
#include "core/entity/dead_letter.h"
#include "core/log.h"
#include "core/telemetry/manifest.h"

enum { ITEMS_FIRST = 64, LETTERS_BETWEEN_TRIMS = 1024 };

/* Room for one more element of an array; false if memory is short. */
static bool grow(void **items, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    size_t wanted = *cap ? *cap * 2 : ITEMS_FIRST;
    void *grown = realloc(*items, wanted * size);
    if (!grown)
        return false;
    *items = grown;
    *cap = wanted;
    return true;
}

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
        ps_stmt_bind_text(stmt, 4, row->series->key, row->series->key_len);
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

/* Points at and below the floor are not the latest value after a start: a ranged delete took the
 * one there was, and only what comes later is to be seen. */
static enum ps_status set_floor(struct ps_db *db, const struct ps_batch_delete *row)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "UPDATE series SET latest_floor_ms = ? WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    if (row->latest == PS_BATCH_LATEST_GOES && row->start_ms > INT64_MIN)
        ps_stmt_bind_int(stmt, 1, row->start_ms - 1);
    else
        ps_stmt_bind_null(stmt, 1);
    ps_stmt_bind_int(stmt, 2, row->series->id);
    return ps_stmt_run(stmt);
}

/* Their place in the journal: this batch's row, or (it has none) before whatever comes next. */
static enum ps_status insert_tombstones(const struct ps_batch *batch, struct ps_db *db)
{
    int64_t seq = batch->point_count ? batch->seq
                                     : atomic_load_explicit(batch->next_seq, memory_order_relaxed);
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < batch->delete_count && st == PS_OK; i++) {
        const struct ps_batch_delete *row = &batch->deletes[i];
        struct ps_tombstone tombstone = { .series = row->series->id,
                                          .start_ms = row->start_ms,
                                          .end_ms = row->end_ms,
                                          .seq = seq,
                                          .idx = (int64_t)row->before,
                                          .created_ms = batch->created_ms };
        st = ps_manifest_add_tombstone(db, &tombstone);
        if (st == PS_OK && row->latest != PS_BATCH_LATEST_STAYS)
            st = set_floor(db, row);
    }
    return st;
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

enum ps_status ps_batch_create(struct ps_port *home, _Atomic int64_t *next_seq,
                               void (*settled)(struct ps_port_item *item, void *owner),
                               struct ps_batch **out)
{
    struct ps_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return PS_ENOMEM;
    batch->item.run = run_batch;
    batch->item.refused = batch_refused;
    batch->item.done = batch_done;
    batch->item.needs_savepoint = true; /* what cannot be written takes no other shard's along */
    batch->home = home;
    batch->next_seq = next_seq;
    batch->settled.run = settled;
    ps_batch_reset(batch);
    *out = batch;
    return PS_OK;
}

static void free_notices(struct ps_batch *batch)
{
    for (struct ps_batch_notice *notice = batch->notices; notice; notice = notice->next)
        free(notice->update); /* the notice itself is in the arena */
}

void ps_batch_destroy(struct ps_batch *batch)
{
    if (!batch)
        return;
    free_notices(batch);
    ps_buf_deinit(&batch->blob);
    ps_arena_deinit(&batch->arena);
    free(batch->points);
    free(batch->deletes);
    free(batch->series);
    free(batch->attributes);
    free(batch->letters);
    free(batch->acks);
    free(batch);
}

void ps_batch_reset(struct ps_batch *batch)
{
    free_notices(batch);
    batch->point_count = batch->delete_count = batch->series_count = 0;
    batch->attribute_count = batch->letter_count = 0;
    batch->notices = NULL;
    batch->notice_tail = &batch->notices;
    batch->effects = batch->messages = 0;
    batch->ack_count = 0;
    batch->seq = 0;
    batch->item.points_bytes = 0;
    batch->stale = false;
    ps_arena_reset(&batch->arena);
    ps_buf_clear(&batch->blob);
}

bool ps_batch_is_empty(const struct ps_batch *batch)
{
    return !batch->effects && !batch->ack_count && !batch->notices;
}

size_t ps_batch_bytes(const struct ps_batch *batch)
{
    return batch->blob.len + batch->arena.bytes + batch->point_count * sizeof *batch->points +
           batch->delete_count * sizeof *batch->deletes +
           batch->attribute_count * sizeof *batch->attributes;
}

static bool copy_value(struct ps_batch *batch, struct ps_value *value)
{
    if (value->type < PS_VALUE_STRING)
        return true;
    value->text = ps_arena_copy(&batch->arena, value->text, value->len);
    return value->text != NULL;
}

static enum ps_status catalogue(struct ps_batch *batch, const struct ps_entity_id *entity,
                                struct ps_series *series)
{
    if (!grow((void **)&batch->series, &batch->series_cap, batch->series_count,
              sizeof *batch->series))
        return PS_ENOMEM;
    batch->series[batch->series_count++] =
        (struct ps_batch_series){ .series = series, .entity = *entity };
    series->catalogued = true;
    return PS_OK;
}

enum ps_status ps_batch_add_point(struct ps_batch *batch, const struct ps_entity_id *entity,
                                  struct ps_series *series, int64_t ts_ms,
                                  const struct ps_value *value, uint32_t ttl_s)
{
    if (!grow((void **)&batch->points, &batch->point_cap, batch->point_count,
              sizeof *batch->points))
        return PS_ENOMEM;
    struct ps_batch_point point = {
        .series = series, .ts_ms = ts_ms, .value = *value, .ttl_s = ttl_s
    };
    if (!copy_value(batch, &point.value))
        return PS_ENOMEM;
    if (!series->catalogued && catalogue(batch, entity, series) != PS_OK)
        return PS_ENOMEM;
    if (!batch->point_count)
        ps_journal_begin(&batch->encoder, &batch->blob);
    ps_journal_put(&batch->encoder, series->id, ts_ms, value, ttl_s);
    if (!ps_buf_ok(&batch->blob))
        return PS_ENOMEM;
    batch->points[batch->point_count++] = point;
    batch->effects++;
    return PS_OK;
}

enum ps_status ps_batch_add_delete(struct ps_batch *batch, struct ps_series *series,
                                   int64_t start_ms, int64_t end_ms, enum ps_batch_latest latest,
                                   int64_t now_ms)
{
    if (!grow((void **)&batch->deletes, &batch->delete_cap, batch->delete_count,
              sizeof *batch->deletes))
        return PS_ENOMEM;
    batch->deletes[batch->delete_count++] = (struct ps_batch_delete){ .series = series,
                                                                      .start_ms = start_ms,
                                                                      .end_ms = end_ms,
                                                                      .before = batch->point_count,
                                                                      .latest = latest };
    batch->created_ms = now_ms;
    batch->effects++;
    return PS_OK;
}

static struct ps_latest_outlook *find_outlook(struct ps_latest_outlook *outlooks, size_t count,
                                              const struct ps_series *series)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (outlooks[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && outlooks[low].series == series ? &outlooks[low] : NULL;
}

static void look_at_point(const struct ps_batch_point *point, struct ps_latest_outlook *latest)
{
    if (!latest || (latest->exists && point->ts_ms < latest->ts_ms))
        return;
    latest->exists = true;
    latest->ts_ms = point->ts_ms;
}

static void look_at_delete(const struct ps_batch_delete *delete, struct ps_latest_outlook *latest)
{
    if (!latest || delete->latest == PS_BATCH_LATEST_STAYS)
        return;
    latest->known = delete->latest == PS_BATCH_LATEST_GOES;
    latest->exists = false;
}

void ps_batch_look_ahead(const struct ps_batch *batch, struct ps_latest_outlook *outlooks,
                         size_t count)
{
    size_t point = 0;
    for (size_t i = 0; i <= batch->delete_count; i++) {
        const struct ps_batch_delete *delete = i < batch->delete_count ? &batch->deletes[i] : NULL;
        for (; point < (delete ? delete->before : batch->point_count); point++)
            look_at_point(&batch->points[point],
                          find_outlook(outlooks, count, batch->points[point].series));
        if (delete)
            look_at_delete(delete, find_outlook(outlooks, count, delete->series));
    }
}

enum ps_status ps_batch_add_attribute(struct ps_batch *batch, const struct ps_entity_id *entity,
                                      enum ps_attribute_scope scope, const struct ps_kv *kv,
                                      int64_t updated_ms)
{
    if (!grow((void **)&batch->attributes, &batch->attribute_cap, batch->attribute_count,
              sizeof *batch->attributes))
        return PS_ENOMEM;
    struct ps_batch_attribute row = {
        .entity = *entity, .scope = scope, .kv = *kv, .updated_ms = updated_ms
    };
    row.kv.key = ps_arena_copy(&batch->arena, kv->key, kv->key_len);
    if (!row.kv.key || !copy_value(batch, &row.kv.value))
        return PS_ENOMEM;
    batch->attributes[batch->attribute_count++] = row;
    batch->effects++;
    return PS_OK;
}

static bool keep_text(struct ps_batch *batch, struct ps_buf *text, const char **out, size_t *len)
{
    *out = ps_buf_ok(text) ? ps_arena_copy(&batch->arena, text->data, text->len) : NULL;
    *len = text->len;
    ps_buf_clear(text);
    return *out != NULL;
}

static bool describe(struct ps_batch *batch, struct ps_dead_letter *letter,
                     const struct ps_msg *msg, const char *error)
{
    struct ps_buf text = { 0 };
    ps_buf_put(&text, msg->content.type_name, msg->content.type_name_len);
    bool kept = keep_text(batch, &text, &letter->msg_type, &letter->msg_type_len);
    ps_msg_put_data(&msg->content, &text);
    kept = keep_text(batch, &text, &letter->data, &letter->data_len) && kept;
    ps_msg_put_metadata(&msg->content, &text);
    kept = keep_text(batch, &text, &letter->metadata, &letter->metadata_len) && kept;
    ps_buf_put_text(&text, error);
    kept = keep_text(batch, &text, &letter->error, &letter->error_len) && kept;
    ps_buf_deinit(&text);
    return kept;
}

enum ps_status ps_batch_add_letter(struct ps_batch *batch, const struct ps_msg *msg,
                                   const struct ps_uuid *chain, const struct ps_uuid *node,
                                   const char *error)
{
    if (!grow((void **)&batch->letters, &batch->letter_cap, batch->letter_count,
              sizeof *batch->letters))
        return PS_ENOMEM;
    struct ps_dead_letter letter = { .tenant = msg->tenant,
                                     .chain = *chain,
                                     .node = *node,
                                     .originator = msg->originator,
                                     .created_ms = msg->created_ms,
                                     .attempts = 1 };
    if (!describe(batch, &letter, msg, error))
        return PS_ENOMEM;
    batch->letters[batch->letter_count++] = letter;
    batch->effects++;
    return PS_OK;
}

enum ps_status ps_batch_add_notice(struct ps_batch *batch, struct ps_update *update, bool to_device,
                                   bool to_watchers)
{
    struct ps_batch_notice *notice = update ? ps_arena_alloc(&batch->arena, sizeof *notice) : NULL;
    if (!notice) {
        free(update);
        return PS_ENOMEM;
    }
    *notice = (struct ps_batch_notice){ .update = update,
                                        .to_device = to_device,
                                        .to_watchers = to_watchers };
    *batch->notice_tail = notice;
    batch->notice_tail = &notice->next;
    return PS_OK;
}

void ps_batch_add_ack(struct ps_batch *batch, struct ps_ack *ack)
{
    if (!grow((void **)&batch->acks, &batch->ack_cap, batch->ack_count, sizeof *batch->acks)) {
        ps_ack_release(ack, PS_ENOMEM);
        return;
    }
    batch->acks[batch->ack_count++] = ack;
}
