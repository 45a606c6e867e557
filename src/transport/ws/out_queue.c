#include "transport/ws/out_queue.h"

#include <stdlib.h>

enum { RING_AT_START = 8 };

struct ps_ws_out_entry {
    int32_t cmd_id;
    enum ps_ws_merge merge;  /* of an update */
    struct ps_ws_text *text; /* NULL: an update */
    struct ps_ws_pile pile;
    size_t rows_max; /* of the pile: beyond it another frame begins, or the newest are kept */
};

void ps_ws_out_queue_init(struct ps_ws_out_queue *queue, size_t frames_max, size_t bytes_max)
{
    *queue = (struct ps_ws_out_queue){ .frames_max = frames_max, .bytes_max = bytes_max };
}

static struct ps_ws_out_entry *entry_at(const struct ps_ws_out_queue *queue, size_t index)
{
    return &queue->ring[(queue->first + index) & (queue->cap - 1)];
}

static size_t entry_bytes(const struct ps_ws_out_entry *entry)
{
    return PS_WS_ENTRY_BYTES + (entry->text ? entry->text->len : entry->pile.bytes);
}

static void entry_deinit(struct ps_ws_out_entry *entry)
{
    free(entry->text);
    ps_ws_pile_clear(&entry->pile);
}

void ps_ws_out_queue_deinit(struct ps_ws_out_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        entry_deinit(entry_at(queue, i));
    free(queue->ring);
    queue->ring = NULL;
    queue->first = queue->count = queue->cap = queue->bytes = 0;
}

static bool ring_grow(struct ps_ws_out_queue *queue)
{
    size_t cap = queue->cap ? queue->cap * 2 : RING_AT_START;
    struct ps_ws_out_entry *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = 0; i < queue->count; i++)
        ring[i] = *entry_at(queue, i);
    free(queue->ring);
    queue->ring = ring;
    queue->first = 0;
    queue->cap = cap;
    return true;
}

static bool fits(const struct ps_ws_out_queue *queue, size_t more_frames, size_t more_bytes)
{
    return queue->count + more_frames <= queue->frames_max && more_bytes <= queue->bytes_max &&
           queue->bytes <= queue->bytes_max - more_bytes;
}

/* The update of this subscription that a new delta may join: its last entry, if that is one. */
static struct ps_ws_out_entry *waiting_update(const struct ps_ws_out_queue *queue, int32_t cmd_id)
{
    for (size_t i = queue->count; i-- > 0;) {
        struct ps_ws_out_entry *entry = entry_at(queue, i);
        if (entry->cmd_id == cmd_id)
            return entry->text ? NULL : entry;
    }
    return NULL;
}

/* Keep of a NEWEST update only the newest values. Short of memory, it stays as it is. */
static void keep_newest(struct ps_ws_out_queue *queue, struct ps_ws_out_entry *entry)
{
    size_t before = entry->pile.bytes;
    if (ps_ws_pile_merge(&entry->pile, PS_WS_MERGE_NEWEST) != PS_OK)
        return;
    queue->bytes = queue->bytes - before + entry->pile.bytes;
    /* With many keys the next reduction must not follow at once. */
    if (entry->rows_max < 2 * entry->pile.rows)
        entry->rows_max = 2 * entry->pile.rows;
}

static void squeeze(struct ps_ws_out_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct ps_ws_out_entry *entry = entry_at(queue, i);
        if (!entry->text && entry->merge == PS_WS_MERGE_NEWEST)
            keep_newest(queue, entry);
    }
}

static bool make_room(struct ps_ws_out_queue *queue, size_t more_frames, size_t more_bytes)
{
    if (fits(queue, more_frames, more_bytes))
        return true;
    squeeze(queue);
    return fits(queue, more_frames, more_bytes);
}

static enum ps_status push(struct ps_ws_out_queue *queue, const struct ps_ws_out_entry *entry)
{
    size_t bytes = entry_bytes(entry);
    if (!make_room(queue, 1, bytes))
        return PS_ELIMIT;
    if (queue->count == queue->cap && !ring_grow(queue))
        return PS_ENOMEM;
    *entry_at(queue, queue->count) = *entry;
    queue->count++;
    queue->bytes += bytes;
    return PS_OK;
}

enum ps_status ps_ws_out_queue_push_text(struct ps_ws_out_queue *queue, int32_t cmd_id,
                                         struct ps_ws_text **text)
{
    enum ps_status st = push(queue, &(struct ps_ws_out_entry){ .cmd_id = cmd_id, .text = *text });
    if (st == PS_OK)
        *text = NULL;
    return st;
}

/* May the delta go into this frame? Reduces a NEWEST one if that helps. */
static bool joins(struct ps_ws_out_queue *queue, struct ps_ws_out_entry *entry,
                  const struct ps_ws_delta *delta)
{
    if (entry->pile.rows + delta->row_count <= entry->rows_max)
        return true;
    if (entry->merge == PS_WS_MERGE_EVERY)
        return false;
    keep_newest(queue, entry);
    return true;
}

static enum ps_status push_update(struct ps_ws_out_queue *queue, int32_t cmd_id,
                                  enum ps_ws_merge merge, struct ps_ws_delta *delta)
{
    struct ps_ws_out_entry entry = { .cmd_id = cmd_id,
                                     .merge = merge,
                                     .rows_max = PS_WS_FRAME_ROWS_MAX };
    enum ps_status st = ps_ws_pile_add(&entry.pile, delta);
    if (st == PS_OK)
        st = push(queue, &entry);
    if (st != PS_OK)
        entry_deinit(&entry);
    return st;
}

enum ps_status ps_ws_out_queue_push_delta(struct ps_ws_out_queue *queue, int32_t cmd_id,
                                          enum ps_ws_merge merge, struct ps_ws_delta *delta)
{
    struct ps_ws_out_entry *waiting = waiting_update(queue, cmd_id);
    if (!waiting || !joins(queue, waiting, delta))
        return push_update(queue, cmd_id, merge, delta);
    if (!make_room(queue, 0, delta->size_bytes))
        return PS_ELIMIT;
    enum ps_status st = ps_ws_pile_add(&waiting->pile, delta);
    if (st != PS_OK)
        return st;
    queue->bytes += delta->size_bytes;
    queue->coalesced++;
    return PS_OK;
}

enum ps_status ps_ws_out_queue_pop(struct ps_ws_out_queue *queue, struct ps_ws_out *out)
{
    if (!queue->count)
        return PS_ENOTFOUND;
    struct ps_ws_out_entry *entry = entry_at(queue, 0);
    size_t bytes = entry_bytes(entry);
    enum ps_status st = ps_ws_pile_merge(&entry->pile, PS_WS_MERGE_EVERY);
    if (st != PS_OK)
        return st;
    *out = (struct ps_ws_out){ .cmd_id = entry->cmd_id, .text = entry->text };
    if (!entry->text)
        out->delta = ps_ws_delta_retain(entry->pile.only);
    ps_ws_pile_clear(&entry->pile);
    queue->first = (queue->first + 1) & (queue->cap - 1);
    queue->count--;
    queue->bytes -= bytes;
    return PS_OK;
}

void ps_ws_out_queue_drop_updates(struct ps_ws_out_queue *queue, int32_t cmd_id)
{
    size_t kept = 0;
    for (size_t i = 0; i < queue->count; i++) {
        struct ps_ws_out_entry entry = *entry_at(queue, i);
        if (entry.cmd_id == cmd_id && !entry.text) {
            queue->bytes -= entry_bytes(&entry);
            entry_deinit(&entry);
        } else {
            *entry_at(queue, kept++) = entry;
        }
    }
    queue->count = kept;
}
