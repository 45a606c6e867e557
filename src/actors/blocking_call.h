/* blocking_call: an actor call whose maker sleeps until it is answered, now or after the commit.
 *
 * Embed the struct first; `run` casts back. Private to entity_calls and its neighbours. */
#ifndef PS_ACTORS_BLOCKING_CALL_H
#define PS_ACTORS_BLOCKING_CALL_H

#include <semaphore.h>

#include "actors/actors.h"
#include "actors/entity_calls.h"
#include "core/ack.h"

struct ps_blocking_call {
    struct ps_actor_call call; /* first */
    struct ps_ack ack;
    sem_t finished;
    enum ps_status status;
    struct ps_text *why;
};

/** Run `run` on the entity's shard, and wait. Returns: the status it was woken with. Thread: one
 *  that may block. */
enum ps_status ps_blocking_call_wait(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                     struct ps_blocking_call *blocking,
                                     void (*run)(struct ps_actor_call *call,
                                                 struct ps_actor *actor));
/** Exactly one of these ends a call. Thread: the shard's. */
void ps_blocking_call_wake(struct ps_blocking_call *blocking, enum ps_status status);
/** PS_OK: after the commit of what is in the batch now, with its status; else now. */
void ps_blocking_call_wake_when_committed(struct ps_blocking_call *blocking, struct ps_shard *shard,
                                          enum ps_status status);

#endif
