#include "transport/ws/out_queue.h"

#include <stdlib.h>

enum { RING_AT_START = 8 };

void ps_ws_out_queue_init(struct ps_ws_out_queue *queue, size_t frames_max, size_t bytes_max)
{
    *queue = (struct ps_ws_out_queue){ .frames_max = frames_max, .bytes_max = bytes_max };
}

static struct ps_ws_out *entry_at(const struct ps_ws_out_queue *queue, size_t index)
{
    return &queue->ring[(queue->first + index) & (queue->cap - 1)];
}

static size_t entry_bytes(const struct ps_ws_out *entry)
{
    return PS_WS_ENTRY_BYTES + (entry->text ? entry->text->len : entry->delta->size_bytes);
}

static void entry_deinit(struct ps_ws_out *entry)
{
    free(entry->text);
    ps_ws_delta_release(entry->delta);
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
    struct ps_ws_out *ring = malloc(cap * sizeof *ring);
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
    return queue->count + more_frames <= queue->frames_max &&
           more_bytes <= queue->bytes_max && queue->bytes <= queue->bytes_max - more_bytes;
}

/* The update of this subscription that a new delta may join: its last entry, if that is one. */
static struct ps_ws_out *waiting_update(const struct ps_ws_out_queue *queue, int32_t cmd_id)
{
    for (size_t i = queue->count; i-- > 0;) {
        struct ps_ws_out *entry = entry_at(queue, i);
        if (entry->cmd_id == cmd_id)
            return entry->delta ? entry : NULL;
    }
    return NULL;
}

static void replace_delta(struct ps_ws_out_queue *queue, struct ps_ws_out *entry,
                          struct ps_ws_delta *delta)
{
    queue->bytes = queue->bytes - entry->delta->size_bytes + delta->size_bytes;
    ps_ws_delta_release(entry->delta);
    entry->delta = delta;
}

/* Reduce every NEWEST update to its newest values. Short of memory, it stays as it is. */
static void squeeze(struct ps_ws_out_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct ps_ws_out *entry = entry_at(queue, i);
        struct ps_ws_delta *newest;
        if (!entry->delta || entry->merge != PS_WS_MERGE_NEWEST)
            continue;
        if (ps_ws_delta_merge(NULL, entry->delta, PS_WS_MERGE_NEWEST, &newest) == PS_OK)
            replace_delta(queue, entry, newest);
    }
}

static enum ps_status push(struct ps_ws_out_queue *queue, const struct ps_ws_out *entry)
{
    size_t bytes = entry_bytes(entry);
    if (!fits(queue, 1, bytes)) {
        squeeze(queue);
        if (!fits(queue, 1, bytes))
            return PS_ELIMIT;
    }
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
    enum ps_status st = push(queue, &(struct ps_ws_out){ .cmd_id = cmd_id, .text = *text });
    if (st == PS_OK)
        *text = NULL;
    return st;
}

/* Let `delta` join `entry`. PS_EBUSY: it needs a frame of its own. */
static enum ps_status join(struct ps_ws_out_queue *queue, struct ps_ws_out *entry,
                           struct ps_ws_delta *delta)
{
    enum ps_ws_merge merge = PS_WS_MERGE_EVERY;
    if ((size_t)entry->delta->row_count + delta->row_count > PS_WS_FRAME_ROWS_MAX) {
        if (entry->merge == PS_WS_MERGE_EVERY)
            return PS_EBUSY;
        merge = PS_WS_MERGE_NEWEST;
    }
    if (!fits(queue, 0, delta->size_bytes)) {
        squeeze(queue);
        if (entry->merge == PS_WS_MERGE_NEWEST)
            merge = PS_WS_MERGE_NEWEST;
        else if (!fits(queue, 0, delta->size_bytes))
            return PS_ELIMIT;
    }
    struct ps_ws_delta *merged;
    enum ps_status st = ps_ws_delta_merge(entry->delta, delta, merge, &merged);
    if (st != PS_OK)
        return st;
    if (merged->size_bytes > entry->delta->size_bytes &&
        !fits(queue, 0, merged->size_bytes - entry->delta->size_bytes)) {
        ps_ws_delta_release(merged);
        return PS_ELIMIT;
    }
    replace_delta(queue, entry, merged);
    queue->coalesced++;
    return PS_OK;
}

enum ps_status ps_ws_out_queue_push_delta(struct ps_ws_out_queue *queue, int32_t cmd_id,
                                          enum ps_ws_merge merge, struct ps_ws_delta *delta)
{
    struct ps_ws_out *waiting = waiting_update(queue, cmd_id);
    if (waiting) {
        enum ps_status st = join(queue, waiting, delta);
        if (st != PS_EBUSY)
            return st;
    }
    enum ps_status st =
        push(queue, &(struct ps_ws_out){ .cmd_id = cmd_id, .merge = merge, .delta = delta });
    if (st == PS_OK)
        ps_ws_delta_retain(delta);
    return st;
}

bool ps_ws_out_queue_pop(struct ps_ws_out_queue *queue, struct ps_ws_out *out)
{
    if (!queue->count)
        return false;
    *out = *entry_at(queue, 0);
    queue->first = (queue->first + 1) & (queue->cap - 1);
    queue->count--;
    queue->bytes -= entry_bytes(out);
    return true;
}

void ps_ws_out_queue_drop_updates(struct ps_ws_out_queue *queue, int32_t cmd_id)
{
    size_t kept = 0;
    for (size_t i = 0; i < queue->count; i++) {
        struct ps_ws_out entry = *entry_at(queue, i);
        if (entry.cmd_id == cmd_id && entry.delta) {
            queue->bytes -= entry_bytes(&entry);
            entry_deinit(&entry);
        } else {
            *entry_at(queue, kept++) = entry;
        }
    }
    queue->count = kept;
}
