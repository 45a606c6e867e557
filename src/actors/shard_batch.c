/* shard_batch: the batch of a shard: filled, handed in, settled. */
#include <stdlib.h>
#include <string.h>

#include "actors/shard_state.h"
#include "core/prefetch.h"

enum { ACKS_AHEAD = 6 };

bool ps_shard_batch_is_full(const struct ps_shard *shard)
{
    return shard->filling && ps_batch_bytes(shard->filling) >= shard->settings->batch_bytes_max;
}

bool ps_shard_can_run(const struct ps_shard *shard)
{
    return !shard->doomed &&
           !(shard->in_flight >= PS_BATCHES_IN_FLIGHT_MAX && ps_shard_batch_is_full(shard));
}

/* The commit failed: what was put in is not stored, and what memory believes must follow. */
static void undo_batch(struct ps_shard *shard, struct ps_batch *batch)
{
    for (size_t i = 0; i < batch->series_count; i++)
        batch->series[i].series->catalogued = false;
    if (batch->attribute_count)
        shard->attributes_epoch++;
}

/* The pin is over as of that point; a deletion behind it may have begun another one. */
static bool stays_unpinned(const struct ps_shard *shard, const struct ps_batch *batch,
                           const struct ps_series *series)
{
    bool deletes = ps_batch_deletes(batch, series) ||
                   (shard->filling && ps_batch_deletes(shard->filling, series));
    for (unsigned i = 0; i < shard->in_flight && !deletes; i++)
        deletes = ps_batch_deletes(shard->flying[i], series);
    return !deletes;
}

static void unpin_series(const struct ps_shard *shard, const struct ps_batch *batch)
{
    for (size_t i = 0; i < batch->offer_count; i++) {
        struct ps_series *series = batch->points[batch->offers[i].point].series;
        if (batch->offers[i].pin_is_over && series->pinned && stays_unpinned(shard, batch, series))
            ps_series_unpin(series);
    }
}

static void apply_batch(struct ps_shard *shard, struct ps_batch *batch)
{
    ps_batch_apply(batch, &shard->series);
    unpin_series(shard, batch);
    for (struct ps_batch_notice *notice = batch->notices; notice; notice = notice->next) {
        struct ps_update *update = notice->update;
        notice->update = NULL;
        struct ps_actor *actor = ps_directory_find(&shard->directory, &update->entity.id);
        if (actor)
            ps_actor_tell(actor, update, notice->to_device, notice->to_watchers);
        else
            free(update);
    }
}

static void count_batch(struct ps_shard *shard, const struct ps_batch *batch)
{
    struct ps_metrics *metrics = shard->settings->metrics;
    unsigned lane = shard->index;
    if (batch->status != PS_OK) {
        ps_metrics_msg_lost(metrics, lane, PS_METRIC_REFUSED_STORAGE, batch->messages);
        return;
    }
    ps_metrics_add(metrics, lane, PS_METRIC_COMMIT_BATCHES, 1);
    ps_metrics_add(metrics, lane, PS_METRIC_BATCH_ITEMS, batch->effects);
    ps_metrics_add(metrics, lane, PS_METRIC_BATCH_MESSAGES, batch->messages);
    ps_metrics_add(metrics, lane, PS_METRIC_POINTS, (int64_t)batch->point_count);
    ps_metrics_add(metrics, lane, PS_METRIC_JOURNAL_BYTES, (int64_t)batch->blob.len);
    ps_metrics_add(metrics, lane, PS_METRIC_DEAD_LETTERS, (int64_t)batch->letter_count);
    ps_metrics_msg_stored(metrics, lane, batch->messages);
}

static void release_acks(struct ps_batch *batch)
{
    for (size_t i = 0; i < batch->ack_count; i++) {
        if (i + ACKS_AHEAD < batch->ack_count)
            ps_prefetch(batch->acks[i + ACKS_AHEAD], 2 * PS_CACHE_LINE);
        ps_ack_release(batch->acks[i], batch->status);
    }
}

static void settle_batch(struct ps_shard *shard, struct ps_batch *batch)
{
    if (batch->status == PS_OK)
        apply_batch(shard, batch);
    else
        undo_batch(shard, batch);
    count_batch(shard, batch);
    release_acks(batch);
    ps_batch_reset(batch);
    batch->next = shard->spare;
    shard->spare = batch;
}

/* What began to fill before the failure was known may rest on what is not stored: a series' row, an
 * attribute it was compared with. It fails as well, and nothing new begins before all of it has
 * come back. (The writer refuses those in flight: batch.c.) */
static void doom_followers(struct ps_shard *shard, enum ps_status status)
{
    shard->failures_seen++;
    shard->doomed = shard->in_flight;
    struct ps_batch *filling = shard->filling;
    shard->filling = NULL;
    if (!filling)
        return;
    filling->status = status;
    settle_batch(shard, filling);
}

static void batch_came_back(struct ps_port_item *item, void *owner)
{
    struct ps_shard *shard = owner;
    struct ps_batch *batch = (struct ps_batch *)((char *)item - offsetof(struct ps_batch, settled));
    PS_ASSERT(shard->flying[0] == batch); /* the writer keeps the order */
    shard->in_flight--;
    memmove(shard->flying, shard->flying + 1, shard->in_flight * sizeof shard->flying[0]);
    shard->settled_serial = batch->serial;
    if (shard->doomed)
        shard->doomed--;
    else if (batch->status != PS_OK)
        doom_followers(shard, batch->status);
    settle_batch(shard, batch);
}

struct ps_batch *ps_shard_batch(struct ps_shard *shard)
{
    if (shard->filling)
        return shard->filling;
    struct ps_batch *batch = shard->spare;
    if (batch) {
        shard->spare = batch->next;
    } else if (ps_batch_create(&shard->port, ps_actors_next_seq(shard->actors), batch_came_back,
                               &batch) != PS_OK) {
        return NULL;
    }
    batch->letter_room = ps_actors_letter_room(shard->actors);
    batch->serial = ++shard->batch_serial;
    batch->failures = &shard->failures;
    batch->failures_seen = shard->failures_seen;
    shard->filling = batch;
    return batch;
}

void ps_shard_hand_in(struct ps_shard *shard)
{
    struct ps_batch *batch = shard->filling;
    if (!batch || ps_batch_is_empty(batch) || shard->in_flight >= PS_BATCHES_IN_FLIGHT_MAX)
        return;
    shard->filling = NULL;
    if (batch->point_count) {
        ps_journal_finish(&batch->encoder);
        batch->item.points_bytes = (uint32_t)batch->blob.len;
    }
    if (!ps_buf_ok(&batch->blob)) {
        batch->status = PS_ENOMEM;
        settle_batch(shard, batch);
        return;
    }
    shard->flying[shard->in_flight++] = batch;
    ps_writer_submit(shard->settings->writer, &batch->item);
}
