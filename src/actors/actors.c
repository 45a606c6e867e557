#include "actors/actors.h"

#include <pthread.h>
#include <stdlib.h>

#include "actors/actors_start.h"
#include "actors/shard_state.h"
#include "core/clock.h"

struct ps_actors {
    struct ps_actors_settings settings;
    _Atomic uint32_t next_series;
    _Atomic int64_t next_seq;
    _Atomic int64_t damage_logged_ms;
    struct ps_letter_room letter_room;
    unsigned shard_count;
    struct ps_shard **shards;
};

enum { INBOX_BYTES_MAX = 64 * 1024 * 1024, DAMAGE_LOGGED_EVERY_MS = 1000 };

unsigned ps_actors_shard_index(const struct ps_actors *actors, const struct ps_uuid *entity)
{
    /* the high bits: tables inside a shard use the low ones */
    return (unsigned)((ps_uuid_hash(entity) >> 32) * actors->shard_count >> 32);
}

unsigned ps_actors_shard_count(const struct ps_actors *actors)
{
    return actors->shard_count;
}

struct ps_shard *ps_actors_shard(struct ps_actors *actors, unsigned index)
{
    PS_ASSERT(index < actors->shard_count);
    return actors->shards[index];
}

static struct ps_shard *shard_of(struct ps_actors *actors, const struct ps_uuid *entity)
{
    return actors->shards[ps_actors_shard_index(actors, entity)];
}

_Atomic int64_t *ps_actors_next_seq(struct ps_actors *actors)
{
    return &actors->next_seq;
}

struct ps_letter_room *ps_actors_letter_room(struct ps_actors *actors)
{
    return &actors->letter_room;
}

bool ps_actors_may_log_damage(struct ps_actors *actors)
{
    int64_t now_ms = ps_clock_mono_ms();
    int64_t last_ms = atomic_load_explicit(&actors->damage_logged_ms, memory_order_relaxed);
    return now_ms - last_ms >= DAMAGE_LOGGED_EVERY_MS &&
           atomic_compare_exchange_strong(&actors->damage_logged_ms, &last_ms, now_ms);
}

static bool is_this_thread(const struct ps_shard *shard)
{
    return ps_thread_role() == PS_THREAD_SHARD &&
           pthread_equal(pthread_self(), shard->thread.handle);
}

static void deliver_posted(struct ps_port_item *item, void *owner)
{
    struct ps_shard *shard = owner;
    struct ps_msg *msg = (struct ps_msg *)item; /* item is its first member */
    atomic_fetch_sub_explicit(&shard->inbox_bytes, msg->size_bytes, memory_order_relaxed);
    struct ps_actor *actor = ps_shard_actor(shard, &msg->tenant, &msg->originator);
    if (!actor || !ps_shard_has_mailbox_room(shard, actor->share) ||
        ps_shard_deliver_to(actor, &msg) != PS_OK)
        ps_actor_drop(shard, msg, PS_METRIC_REFUSED_BUSY, PS_EBUSY);
}

enum ps_status ps_actors_post(struct ps_actors *actors, struct ps_msg **msg)
{
    struct ps_shard *shard = shard_of(actors, &(*msg)->originator.id);
    if (is_this_thread(shard))
        return ps_shard_deliver(shard, msg);
    int64_t size = (*msg)->size_bytes;
    if (atomic_fetch_add_explicit(&shard->inbox_bytes, size, memory_order_relaxed) >
        INBOX_BYTES_MAX) {
        atomic_fetch_sub_explicit(&shard->inbox_bytes, size, memory_order_relaxed);
        return PS_EBUSY;
    }
    struct ps_msg *taken = *msg;
    *msg = NULL;
    taken->item.run = deliver_posted;
    ps_port_post(&shard->port, &taken->item);
    return PS_OK;
}

static void drop_refused(struct ps_port_item *item, void *owner)
{
    ps_actor_drop(owner, (struct ps_msg *)item, PS_METRIC_REFUSED_BUSY, PS_EBUSY);
}

void ps_actors_refuse(struct ps_actors *actors, struct ps_msg *msg)
{
    struct ps_shard *shard = shard_of(actors, &msg->originator.id);
    if (is_this_thread(shard)) {
        drop_refused(&msg->item, shard);
        return;
    }
    msg->item.run = drop_refused;
    ps_port_post(&shard->port, &msg->item);
}

static void deliver_call(struct ps_port_item *item, void *owner)
{
    struct ps_shard *shard = owner;
    struct ps_actor_call *call = (struct ps_actor_call *)item; /* item is its first member */
    struct ps_actor *actor = ps_shard_actor(shard, &call->tenant, &call->entity);
    if (actor) {
        ps_actor_push_call(actor, call);
        return;
    }
    call->status = PS_ENOMEM;
    call->run(call, NULL);
}

void ps_actors_call(struct ps_actors *actors, struct ps_actor_call *call)
{
    call->item.run = deliver_call;
    ps_port_post(&shard_of(actors, &call->entity.id)->port, &call->item);
}

enum ps_status ps_actors_create(const struct ps_actors_settings *settings, struct ps_actors **out)
{
    struct ps_actors *actors = calloc(1, sizeof *actors);
    if (!actors)
        return PS_ENOMEM;
    actors->settings = *settings;
    actors->letter_room.bytes_max = settings->dead_letter_bytes_max;
    atomic_init(&actors->next_series, 1);
    atomic_init(&actors->next_seq, 1);
    atomic_init(&actors->damage_logged_ms, INT64_MIN / 2);
    actors->shards = calloc(settings->shards, sizeof *actors->shards);
    enum ps_status st = actors->shards ? PS_OK : PS_ENOMEM;
    for (unsigned i = 0; i < settings->shards && st == PS_OK; i++) {
        st =
            ps_shard_create(actors, i, &actors->settings, &actors->next_series, &actors->shards[i]);
        if (st == PS_OK)
            actors->shard_count++;
    }
    if (st != PS_OK) {
        ps_actors_destroy(actors);
        return st;
    }
    *out = actors;
    return PS_OK;
}

static unsigned table_of(const struct ps_uuid *entity, const void *arg)
{
    return ps_actors_shard_index(arg, entity);
}

/* A deletion that stands alone stands before the journal row that comes next. Rows of failed
 * commits leave gaps, so after a start that may be further on than the row behind the last one. */
static enum ps_status row_behind_deletions(struct ps_db *db, int64_t *next_seq)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "SELECT max(seq) FROM tombstone", &stmt);
    bool row;
    if (st != PS_OK || (st = ps_stmt_step(stmt, &row)) != PS_OK || !row)
        return st;
    if (ps_stmt_int(stmt, 0) > *next_seq)
        *next_seq = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_actors_load(struct ps_actors *actors, struct ps_db *db,
                              struct ps_load_result *result)
{
    struct ps_series_table *tables = calloc(actors->shard_count, sizeof *tables);
    if (!tables)
        return PS_ENOMEM;
    for (unsigned i = 0; i < actors->shard_count; i++)
        tables[i] = actors->shards[i]->series;
    enum ps_status st = ps_telemetry_load(db, tables, table_of, actors, result);
    for (unsigned i = 0; i < actors->shard_count; i++)
        actors->shards[i]->series = tables[i];
    free(tables);
    int64_t next_seq = st == PS_OK ? result->last_seq + 1 : 0;
    if (st == PS_OK)
        st = row_behind_deletions(db, &next_seq);
    if (st != PS_OK)
        return st;
    atomic_store(&actors->next_series, result->next_series);
    atomic_store(&actors->next_seq, next_seq);
    return PS_OK;
}

enum ps_status ps_actors_start(struct ps_actors *actors)
{
    enum ps_status st = PS_OK;
    for (unsigned i = 0; i < actors->shard_count && st == PS_OK; i++)
        st = ps_shard_start(actors->shards[i]);
    return st;
}

void ps_actors_stop(struct ps_actors *actors)
{
    for (unsigned i = 0; i < actors->shard_count; i++)
        ps_shard_stop(actors->shards[i]);
}

void ps_actors_destroy(struct ps_actors *actors)
{
    if (!actors)
        return;
    for (unsigned i = 0; i < actors->shard_count; i++)
        ps_shard_destroy(actors->shards[i]);
    free(actors->shards);
    free(actors);
}
