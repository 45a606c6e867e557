#include "actors/batch.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS_FIRST = 64 };

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

enum ps_status ps_batch_create(struct ps_port *home, _Atomic int64_t *next_seq,
                               void (*settled)(struct ps_port_item *item, void *owner),
                               struct ps_batch **out)
{
    struct ps_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return PS_ENOMEM;
    ps_batch_make_item(batch);
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
    free(batch->offers);
    free(batch->series);
    free(batch->attributes);
    free(batch->letters);
    free(batch->acks);
    free(batch);
}

void ps_batch_reset(struct ps_batch *batch)
{
    free_notices(batch);
    batch->point_count = batch->delete_count = batch->offer_count = batch->series_count = 0;
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
        (struct ps_batch_series){ .series = series, .entity = *entity, .key_len = series->key_len };
    series->catalogued = true;
    return PS_OK;
}

/* The next point is to be offered to its series' pin: room for that. */
static bool offer(struct ps_batch *batch)
{
    if (!grow((void **)&batch->offers, &batch->offer_cap, batch->offer_count,
              sizeof *batch->offers))
        return false;
    batch->offers[batch->offer_count] = (struct ps_batch_offer){ .point = batch->point_count };
    return true;
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
    if (series->pinned && !offer(batch))
        return PS_ENOMEM;
    if (!batch->point_count)
        ps_journal_begin(&batch->encoder, &batch->blob);
    ps_journal_put(&batch->encoder, series->id, ts_ms, value, ttl_s);
    if (!ps_buf_ok(&batch->blob))
        return PS_ENOMEM;
    batch->offer_count += series->pinned;
    batch->points[batch->point_count++] = point;
    batch->effects++;
    return PS_OK;
}

struct ps_batch_mark ps_batch_mark(const struct ps_batch *batch)
{
    return (struct ps_batch_mark){ .point_count = batch->point_count,
                                   .offer_count = batch->offer_count,
                                   .series_count = batch->series_count,
                                   .blob_len = batch->blob.len,
                                   .encoder = batch->encoder,
                                   .effects = batch->effects };
}

/* What the arena has of them goes with the batch. A record is in the blob as a whole or not at all,
 * so one that found no room does not spoil those before it. */
void ps_batch_go_back(struct ps_batch *batch, const struct ps_batch_mark *mark)
{
    for (size_t i = mark->series_count; i < batch->series_count; i++)
        batch->series[i].series->catalogued = false;
    batch->point_count = mark->point_count;
    batch->offer_count = mark->offer_count;
    batch->series_count = mark->series_count;
    batch->blob.len = mark->blob_len;
    batch->blob.failed = false;
    batch->encoder = mark->encoder;
    batch->effects = mark->effects;
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
    if (latest == PS_BATCH_LATEST_GOES && !ps_batch_deletes_all(start_ms, end_ms))
        ps_series_pin(series);
    batch->created_ms = now_ms;
    batch->effects++;
    return PS_OK;
}

enum ps_status ps_batch_keep_latest(struct ps_batch *batch, const struct ps_batch_point *latest)
{
    struct ps_batch_delete *delete = &batch->deletes[batch->delete_count - 1];
    struct ps_batch_point *kept = ps_arena_alloc(&batch->arena, sizeof *kept);
    if (!kept)
        return PS_ENOMEM;
    *kept = *latest;
    if (!copy_value(batch, &kept->value))
        return PS_ENOMEM;
    delete->latest = PS_BATCH_LATEST_KEPT;
    delete->kept = kept;
    ps_series_pin(delete->series);
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
    latest->value = point->value;
    latest->ttl_s = point->ttl_s;
}

static void look_at_delete(const struct ps_batch_delete *delete, struct ps_latest_outlook *latest)
{
    if (!latest || delete->latest == PS_BATCH_LATEST_STAYS ||
        delete->latest == PS_BATCH_LATEST_KEPT)
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
