#include "actors/blocking_call.h"

#include "actors/shard_state.h"

void ps_blocking_call_wake(struct ps_blocking_call *blocking, enum ps_status status)
{
    blocking->status = status;
    sem_post(&blocking->finished);
}

static void committed(struct ps_ack *ack)
{
    struct ps_blocking_call *blocking =
        (struct ps_blocking_call *)((char *)ack - offsetof(struct ps_blocking_call, ack));
    ps_blocking_call_wake(blocking, ack->status);
}

void ps_blocking_call_wake_when_committed(struct ps_blocking_call *blocking, struct ps_shard *shard,
                                          enum ps_status status)
{
    struct ps_batch *batch = ps_shard_batch(shard);
    if (status != PS_OK || !batch) {
        ps_blocking_call_wake(blocking, status != PS_OK ? status : PS_ENOMEM);
        return;
    }
    ps_ack_init(&blocking->ack, NULL, committed);
    ps_batch_add_ack(batch, &blocking->ack);
}

enum ps_status ps_blocking_call_wait(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                     struct ps_blocking_call *blocking,
                                     void (*run)(struct ps_actor_call *call,
                                                 struct ps_actor *actor))
{
    blocking->call.tenant = ref->tenant;
    blocking->call.entity = ref->entity;
    blocking->call.run = run;
    sem_init(&blocking->finished, 0, 0);
    ps_actors_call(actors, &blocking->call);
    while (sem_wait(&blocking->finished) != 0) {
        /* EINTR */
    }
    sem_destroy(&blocking->finished);
    return blocking->status;
}
