/* entity_delete: points deleted on somebody's wish.
 *
 * Whether a latest value lies in the range must be known before the deletion goes into the batch,
 * because what follows from it is stored in the same commit. The shard knows, but for latest values
 * that have not been asked for since the start (or that were just put back): then it says so, they
 * are looked up here, and it is asked again. */
#include <stdlib.h>

#include "actors/blocking_call.h"
#include "actors/shard_state.h"
#include "core/clock.h"
#include "core/entity/ttl.h"

enum { ATTEMPTS_MAX = 16 };

struct delete_call {
    struct ps_blocking_call blocking; /* first */
    struct ps_telemetry_deletion deletion;
};

static void delete_on_shard(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct delete_call *delete = (struct delete_call *)call;
    if (!actor) {
        ps_blocking_call_wake(&delete->blocking, call->status);
        return;
    }
    enum ps_status st = ps_actor_delete_telemetry(actor, &delete->deletion);
    ps_blocking_call_wake_when_committed(&delete->blocking, actor->shard, st);
}

static enum ps_status look_up_latest(struct ps_actors *actors, struct ps_db *db,
                                     const struct ps_entity_ref *ref,
                                     const struct ps_telemetry_deletion *deletion)
{
    struct ps_point_set set;
    enum ps_status st =
        ps_entity_latest(actors, db, ref, deletion->keys, deletion->key_count, &set);
    if (st == PS_OK)
        ps_point_set_deinit(&set);
    return st;
}

/* A latest value that has expired is none: an older one that lives longer may be shown. */
static enum ps_status know_expired(struct ps_actors *actors, struct ps_db *db,
                                   const struct ps_entity_ref *ref,
                                   struct ps_telemetry_deletion *deletion)
{
    unsigned index = ps_actors_shard_index(actors, &ref->entity.id);
    const struct ps_shard *shard = ps_actors_shard(actors, index);
    deletion->now_ms = ps_clock_now_ms();
    return ps_ttl_default(db, &ref->entity, shard->settings->default_ttl_s,
                          &deletion->default_ttl_s);
}

/* ---- what took the place of latest values ------------------------------------------------------
 */

static void tell_on_shard(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct delete_call *delete = (struct delete_call *)call;
    const struct ps_telemetry_deletion *deletion = &delete->deletion;
    for (size_t i = 0; actor && i < deletion->key_count; i++) {
        if (deletion->replaced[i])
            ps_actor_tell_latest(actor, deletion->keys[i]);
    }
    ps_blocking_call_wake(&delete->blocking, PS_OK);
}

/* Watchers have heard that the values are gone; now they hear the older ones. The deletion is
 * committed: if this fails they hear nothing, and who asks is told all the same. */
static void tell_replacements(struct ps_actors *actors, struct ps_db *db,
                              const struct ps_entity_ref *ref, struct delete_call *delete)
{
    size_t replaced = 0;
    for (size_t i = 0; i < delete->deletion.key_count; i++)
        replaced += delete->deletion.replaced[i];
    if (replaced && look_up_latest(actors, db, ref, &delete->deletion) == PS_OK)
        (void)ps_blocking_call_wait(actors, ref, &delete->blocking, tell_on_shard);
}

enum ps_status ps_entity_delete_telemetry(struct ps_actors *actors, struct ps_db *db,
                                          const struct ps_entity_ref *ref, const char *const *keys,
                                          size_t key_count, const struct ps_delete_telemetry *what)
{
    struct delete_call delete = {
        .deletion = { .what = what,
                      .keys = keys,
                      .key_count = key_count,
                      .replaced = calloc(key_count + 1, sizeof *delete.deletion.replaced) },
    };
    if (!delete.deletion.replaced)
        return PS_ENOMEM;
    if (!what->all && what->start_ms >= what->end_ms)
        delete.deletion.key_count = 0; /* nothing is in there, but is there such an entity? */
    enum ps_status st = know_expired(actors, db, ref, &delete.deletion);
    if (st == PS_OK)
        st = PS_EBUSY;
    for (unsigned attempt = 0; attempt < ATTEMPTS_MAX && st == PS_EBUSY; attempt++) {
        st = ps_blocking_call_wait(actors, ref, &delete.blocking, delete_on_shard);
        if (st != PS_OK || !delete.deletion.look_up)
            break;
        st = look_up_latest(actors, db, ref, &delete.deletion);
        if (st != PS_OK)
            break;
        st = PS_EBUSY; /* unless one of the next attempts gets through */
    }
    if (st == PS_OK)
        tell_replacements(actors, db, ref, &delete);
    free(delete.deletion.replaced);
    return st;
}
