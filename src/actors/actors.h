/* actors: all shards together, as the transports see them.
 *
 * An entity is reached by id, never by pointer: its messages and calls go to the shard that owns
 * it and run there, one at a time, in the order they came. */
#ifndef PS_ACTORS_ACTORS_H
#define PS_ACTORS_ACTORS_H

#include "core/msg.h"
#include "core/port.h"
#include "core/status.h"

struct ps_actor;
struct ps_actors;
struct ps_shard;

/** The shard that owns an entity: the one place that decides it. */
unsigned ps_actors_shard_index(const struct ps_actors *actors, const struct ps_uuid *entity);
unsigned ps_actors_shard_count(const struct ps_actors *actors);
struct ps_shard *ps_actors_shard(struct ps_actors *actors, unsigned index);

/**
 * Hand a message to its originator's mailbox.
 *
 * Exactly one of two things holds on return:
 *   PS_OK     the shard owns the message and its ack; *msg is NULL
 *   PS_EBUSY  the shard's inbox (or, on its own thread, the mailbox) is full; *msg is the caller's
 * A mailbox found full later releases the ack with PS_EBUSY.
 *
 * Thread: any. On the entity's own shard the message goes straight into the mailbox.
 */
PS_MUST_CHECK
enum ps_status ps_actors_post(struct ps_actors *actors, struct ps_msg **msg);

/**
 * Drop a message that ps_actors_post() did not take, its ack failing with PS_EBUSY. Where other
 * messages with the same ack have been posted before, the ack is the shard's by now: this drops it
 * there. Thread: any; never refused.
 */
void ps_actors_refuse(struct ps_actors *actors, struct ps_msg *msg);

/* Control work for one entity: runs on its shard, once the actor has its state, before data.
 * Embed it; `run` owns the struct. `actor` is NULL if the entity's state cannot be loaded
 * (`status` tells why). */
struct ps_actor_call {
    struct ps_port_item item;
    struct ps_actor_call *next;
    struct ps_uuid tenant;
    struct ps_entity_id entity;
    enum ps_status status;
    void (*run)(struct ps_actor_call *call, struct ps_actor *actor);
};

/** Queue a call. Never refused: calls are bounded by who makes them. Thread: any. */
void ps_actors_call(struct ps_actors *actors, struct ps_actor_call *call);

#endif
