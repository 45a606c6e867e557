/* shard: one thread's loop: an epoll set, a port, a timer wheel, a run queue, the batch that fills.
 *
 * One round of the loop: take what came to the port (settled batches first of all answer devices),
 * read the sockets that are ready, give actors their turns, hand in the batch, write what is to be
 * written. Nothing in a round blocks.
 *
 * Turns go to tenants by the time they have used (scheduler).
 *
 * Bounded by: mailboxes (per entity, per tenant and all together), the batch (bytes) and the number
 * of batches in flight. Without room in batches the loop stops giving turns; without room for their
 * tenant sources stop reading (session.h): they stall and are asked again.
 *
 * Thread: everything here is for the shard's own thread, unless it says "any". */
#ifndef PS_ACTORS_SHARD_H
#define PS_ACTORS_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/actors.h"
#include "actors/timer_wheel.h"
#include "core/port.h"
#include "core/status.h"

struct ps_metrics;

/* A descriptor in the loop, embedded by its owner. */
struct ps_shard_source {
    int fd;
    void (*ready)(struct ps_shard_source *source, uint32_t events);
};

/* Something to do later in the loop, embedded by its owner. */
struct ps_shard_task {
    struct ps_shard_task *next;
    bool queued;
    void (*run)(struct ps_shard_task *task);
};

enum { PS_SHARD_READ_BYTES = 64 * 1024 };

unsigned ps_shard_index(const struct ps_shard *shard);
/** Any thread. */
struct ps_port *ps_shard_port(struct ps_shard *shard);
struct ps_metrics *ps_shard_metrics(struct ps_shard *shard);
/** Monotonic and wall time of this round: one clock reading serves all of it. */
int64_t ps_shard_mono_ms(const struct ps_shard *shard);
int64_t ps_shard_now_ms(const struct ps_shard *shard);
/** PS_SHARD_READ_BYTES of scratch that a source may read into; valid until it returns. */
char *ps_shard_read_buffer(struct ps_shard *shard);

PS_MUST_CHECK
enum ps_status ps_shard_watch(struct ps_shard *shard, struct ps_shard_source *source,
                              uint32_t events);
void ps_shard_rewatch(struct ps_shard *shard, struct ps_shard_source *source, uint32_t events);
/** Events that were fetched already may still come in this round: free the source with
 *  ps_shard_defer(). */
void ps_shard_unwatch(struct ps_shard *shard, struct ps_shard_source *source);

/** Run once, before the loop writes and sleeps. Queueing a queued task does nothing. */
void ps_shard_flush_later(struct ps_shard *shard, struct ps_shard_task *task);
/** Run once, after all events of this round: the place to free things. */
void ps_shard_defer(struct ps_shard *shard, struct ps_shard_task *task);

void ps_shard_timer_start(struct ps_shard *shard, struct ps_timer *timer, int64_t deadline_mono_ms);
void ps_shard_timer_stop(struct ps_shard *shard, struct ps_timer *timer);

#endif
