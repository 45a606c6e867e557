#include "actors/subscribers.h"

#include <stdlib.h>
#include <string.h>

#include "actors/shard_state.h"

struct ps_update *ps_update_create(const struct ps_entity_id *entity, enum ps_update_kind kind,
                                   enum ps_attribute_scope scope, int64_t ts_ms,
                                   const struct ps_kv *kvs, size_t count)
{
    size_t text_len = 0;
    for (size_t i = 0; i < count; i++)
        text_len +=
            kvs[i].key_len + (kvs[i].value.type >= PS_VALUE_STRING ? (size_t)kvs[i].value.len : 0);
    struct ps_update *update = malloc(sizeof *update + count * sizeof *kvs + text_len);
    if (!update)
        return NULL;
    struct ps_kv *copies = (struct ps_kv *)(update + 1);
    char *text = (char *)(copies + count);
    for (size_t i = 0; i < count; i++) {
        copies[i] = kvs[i];
        copies[i].key = memcpy(text, kvs[i].key, kvs[i].key_len);
        text += kvs[i].key_len;
        if (kvs[i].value.type < PS_VALUE_STRING)
            continue;
        if (kvs[i].value.len)
            memcpy(text, kvs[i].value.text, kvs[i].value.len);
        copies[i].value.text = text;
        text += kvs[i].value.len;
    }
    *update = (struct ps_update){ .entity = *entity,
                                  .kind = kind,
                                  .scope = scope,
                                  .ts_ms = ts_ms,
                                  .kv_count = (uint32_t)count,
                                  .kvs = copies };
    return update;
}

void ps_update_done(struct ps_update_hub *hub, struct ps_update *update)
{
    atomic_fetch_sub_explicit(&hub->outstanding, 1, memory_order_relaxed);
    free(update);
}

/* The answer waits for the commit of everything that was done before the watch began: what is
 * committed then is readable from storage, what comes later comes as an update. */
struct watch_barrier {
    struct ps_ack ack; /* first */
    struct ps_watch *watch;
};

static void barrier_passed(struct ps_ack *ack)
{
    struct watch_barrier *barrier = (struct watch_barrier *)ack;
    struct ps_watch *watch = barrier->watch;
    free(barrier);
    ps_port_post(watch->hub->port, &watch->item);
}

static void answer(struct ps_watch *watch, enum ps_status status)
{
    watch->status = status;
    ps_port_post(watch->hub->port, &watch->item);
}

static void start_on_shard(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct ps_watch *watch = (struct ps_watch *)((char *)call - offsetof(struct ps_watch, call));
    if (!actor) {
        answer(watch, call->status);
        return;
    }
    struct ps_batch *batch = ps_shard_batch(actor->shard);
    struct watch_barrier *barrier = batch ? malloc(sizeof *barrier) : NULL;
    if (!barrier) {
        answer(watch, PS_ENOMEM);
        return;
    }
    PS_ASSERT(!actor->hub || actor->hub == watch->hub); /* one watching thread */
    actor->hub = watch->hub;
    actor->watches++;
    watch->status = PS_OK;
    barrier->watch = watch;
    ps_ack_init(&barrier->ack, NULL, barrier_passed);
    ps_batch_add_ack(batch, &barrier->ack);
}

void ps_watch_start(struct ps_actors *actors, struct ps_watch *watch)
{
    watch->call.run = start_on_shard;
    ps_actors_call(actors, &watch->call);
}

static void stop_on_shard(struct ps_actor_call *call, struct ps_actor *actor)
{
    free(call);
    if (!actor || !actor->watches)
        return;
    if (--actor->watches == 0)
        actor->hub = NULL;
}

void ps_watch_stop(struct ps_actors *actors, struct ps_update_hub *hub,
                   const struct ps_uuid *tenant, const struct ps_entity_id *entity)
{
    (void)hub;
    struct ps_actor_call *call = malloc(sizeof *call);
    if (!call)
        return; /* the actor stays watched; its updates find no subscription */
    *call = (struct ps_actor_call){ .tenant = *tenant, .entity = *entity, .run = stop_on_shard };
    ps_actors_call(actors, call);
}
