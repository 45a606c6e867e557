/* device_attributes: what a device asks of its own attributes (device contract 4.2). */
#ifndef PS_ACTORS_DEVICE_ATTRIBUTES_H
#define PS_ACTORS_DEVICE_ATTRIBUTES_H

#include <stdbool.h>

#include "core/buf.h"

struct ps_actor;

struct ps_wanted_attributes {
    bool client, shared; /* scopes that are answered at all */
    /* Names, each terminated by a zero byte; NULL: all of the scope. */
    const struct ps_buf *client_names, *shared_names;
};

/** Append {"client":{..},"shared":{..}}; a scope without found keys is left out. True if anything
 *  was found. Thread: the actor's shard. */
bool ps_actor_put_attributes(const struct ps_actor *actor,
                             const struct ps_wanted_attributes *wanted, struct ps_buf *out);

#endif
