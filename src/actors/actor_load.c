/* actor_load: fetching an actor's identity and attributes in a reader, back through the port. */
#include <stdlib.h>

#include "actors/shard_state.h"
#include "core/log.h"
#include "core/storage/reader.h"

enum { RETRY_MS = 500 };

struct actor_load {
    struct ps_reader_job job; /* first */
    struct ps_port_item item;
    struct ps_shard *shard;
    struct ps_entity_id entity;
    struct ps_actor_loaded loaded;
};

static void deliver_loaded(struct ps_port_item *item, void *owner)
{
    struct ps_shard *shard = owner;
    struct actor_load *load =
        (struct actor_load *)((char *)item - offsetof(struct actor_load, item));
    struct ps_actor *actor = ps_directory_find(&shard->directory, &load->entity.id);
    PS_ASSERT(actor); /* an actor that loads is not idle, so it was not parked */
    shard->loads--;
    ps_actor_loaded(actor, &load->loaded);
    free(load);
}

static void load_in_reader(struct ps_reader_job *job, struct ps_db *db)
{
    struct actor_load *load = (struct actor_load *)job;
    struct ps_actor_loaded *loaded = &load->loaded;
    if (load->entity.type == PS_ENTITY_DEVICE)
        loaded->status = ps_device_identity_find(db, &load->entity.id, &loaded->identity);
    if (loaded->status == PS_OK)
        loaded->status = ps_attribute_list(db, &load->entity, NULL, &loaded->attributes);
    ps_port_post(&load->shard->port, &load->item);
}

void ps_shard_load_actor(struct ps_shard *shard, struct ps_actor *actor)
{
    struct actor_load *load = calloc(1, sizeof *load);
    if (load) {
        load->job.run = load_in_reader;
        load->item.run = deliver_loaded;
        load->shard = shard;
        load->entity = actor->id;
    }
    if (load && ps_reader_submit(shard->settings->readers, &load->job) == PS_OK) {
        actor->load_pending = true;
        shard->loads++;
        return;
    }
    free(load);
    ps_shard_timer_start(shard, &actor->idle, shard->mono_ms + RETRY_MS);
}

struct load_barrier {
    struct ps_ack ack; /* first */
    struct ps_shard *shard;
    struct ps_uuid entity;
};

static void load_now(struct ps_ack *ack)
{
    struct load_barrier *barrier = (struct load_barrier *)ack;
    struct ps_actor *actor = ps_directory_find(&barrier->shard->directory, &barrier->entity);
    PS_ASSERT(actor); /* it is loading, so it was not parked */
    actor->load_pending = false;
    ps_shard_load_actor(barrier->shard, actor);
    free(barrier);
}

void ps_shard_load_after_commit(struct ps_shard *shard, struct ps_actor *actor)
{
    struct ps_batch *batch = ps_shard_batch(shard);
    struct load_barrier *barrier = batch ? calloc(1, sizeof *barrier) : NULL;
    if (!barrier) { /* then most likely it has settled */
        ps_shard_timer_start(shard, &actor->idle, shard->mono_ms + RETRY_MS);
        return;
    }
    barrier->shard = shard;
    barrier->entity = actor->id.id;
    actor->load_pending = true;
    ps_ack_init(&barrier->ack, NULL, load_now);
    ps_batch_add_ack(batch, &barrier->ack);
}

/* Rarely another than it was made for. If memory is short the old one pays for it. */
static void set_tenant(struct ps_actor *actor, const struct ps_uuid *tenant)
{
    struct ps_scheduler *scheduler = &actor->shard->scheduler;
    if (ps_uuid_equal(&actor->tenant, tenant))
        return;
    actor->tenant = *tenant;
    struct ps_tenant_share *share = ps_scheduler_hold(scheduler, tenant);
    if (!share)
        return;
    ps_scheduler_remove(scheduler, actor);
    actor->share->mailbox_bytes -= actor->mailbox.bytes;
    share->mailbox_bytes += actor->mailbox.bytes;
    ps_scheduler_release(scheduler, actor->share);
    actor->share = share;
}

void ps_actor_loaded(struct ps_actor *actor, struct ps_actor_loaded *loaded)
{
    struct ps_shard *shard = actor->shard;
    actor->load_pending = false;
    if (loaded->status != PS_OK && loaded->status != PS_ENOTFOUND) {
        ps_log_event(PS_LOG_ERROR, "actors", "entity_not_loaded", "error",
                     ps_status_text(loaded->status));
        ps_attribute_list_deinit(&loaded->attributes);
        ps_device_identity_release(loaded->identity);
        ps_shard_timer_start(shard, &actor->idle, shard->mono_ms + RETRY_MS);
        return;
    }
    ps_device_identity_release(actor->identity);
    actor->identity = loaded->identity;
    actor->has_own_chain =
        actor->identity && !ps_uuid_is_null(&actor->identity->default_rule_chain);
    if (actor->identity)
        set_tenant(actor, &actor->identity->tenant);
    ps_attribute_cache_take(&actor->attributes, &loaded->attributes);
    actor->attributes_epoch = shard->attributes_epoch;
    actor->state = loaded->status == PS_OK ? PS_ACTOR_READY : PS_ACTOR_GONE;
    if (actor->state == PS_ACTOR_GONE) { /* nobody hears of it again, nor can stop watching it */
        actor->watches = 0;
        actor->hub = NULL;
    }
    ps_shard_timer_start(shard, &actor->idle, shard->mono_ms + shard->settings->idle_park_ms);
    ps_shard_make_runnable(shard, actor);
}
