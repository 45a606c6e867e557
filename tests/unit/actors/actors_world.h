/* actors_world: an installed database, one tenant with devices, and actors that really run: shards,
 * writer, readers. Commits can be held up and made to fail. */
#ifndef PS_TESTS_ACTORS_WORLD_H
#define PS_TESTS_ACTORS_WORLD_H

#include <semaphore.h>
#include <time.h>

#include "actors/actors_start.h"
#include "actors/entity_calls.h"
#include "actors/shard.h"
#include "actors/subscribers.h"
#include "core/ack.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/payload_json.h"
#include "core/storage/reader.h"
#include "core/storage/writer.h"
#include "rules/chain.h"
#include "rules/chains.h"
#include "unit/core_entity/entity_world.h"

enum { WORLD_DEADLINE_MS = 20000 };

struct actors_world {
    struct entity_world *entities;
    struct ps_actors_settings settings;
    struct ps_script_cache *scripts;
    struct ps_actors *actors;
    struct ps_port port; /* the test's: acks and updates come here */
    struct ps_entity_ref device;
    struct ps_db *reader; /* the test's own */
};

/* ---- up and down ---- */

/* Lenient JSON; it becomes the root chain. */
static inline void actors_world_chain(struct actors_world *world, const char *lenient)
{
    struct ps_program_identity identity = { .tenant = world->entities->tenant,
                                            .chain = { "chain" },
                                            .name = "Root" };
    struct ps_chain_checks checks = { .mode = PS_CHAIN_IMPORT,
                                      .chain = identity.chain,
                                      .scripts = world->scripts };
    struct ps_chain *chain = NULL;
    struct ps_program *program = NULL;
    struct ps_buf strict = { 0 };
    struct ps_text why = { "" };
    assert_int_equal(ps_json_compact(lenient, strlen(lenient), &strict, &why), PS_OK);
    if (ps_chain_parse_text(strict.data, strict.len, &checks, &chain, &why) != PS_OK ||
        chain->errors.count)
        fail_msg("%s", chain && chain->errors.count ? chain->errors.list[0].message : why.data);
    assert_int_equal(ps_program_compile(chain, &identity, &program), PS_OK);
    assert_int_equal(ps_chains_set_root(world->settings.chains, &identity.tenant, &identity.chain),
                     PS_OK);
    assert_int_equal(ps_chains_put(world->settings.chains, program), PS_OK);
    ps_program_release(program);
    ps_chain_destroy(chain);
    ps_buf_deinit(&strict);
}

static inline struct ps_entity_ref actors_world_device(struct actors_world *world, const char *name)
{
    struct ps_entity_ref ref = { .tenant = world->entities->tenant };
    ref.entity.type = PS_ENTITY_DEVICE;
    ref.entity.id = world_device(world->entities, name, NULL);
    return ref;
}

static inline void actors_world_start(struct actors_world *world)
{
    struct ps_load_result result;
    struct ps_text why = { "" };
    const char *path = world->entities->temp.path;
    struct ps_writer_settings writer = { .path = path,
                                         .checkpoint_bytes = 4 << 20,
                                         .metrics = world->settings.metrics };
    assert_int_equal(ps_writer_start(&writer, &world->settings.writer), PS_OK);
    assert_int_equal(ps_reader_pool_create(path, 2, 1000, &world->settings.readers), PS_OK);
    assert_int_equal(ps_actors_create(&world->settings, &world->actors), PS_OK);
    assert_int_equal(ps_db_open(path, PS_DB_READER, &world->reader, &why), PS_OK);
    assert_int_equal(ps_actors_load(world->actors, world->reader, &result), PS_OK);
    assert_int_equal(ps_actors_start(world->actors), PS_OK);
}

static inline void actors_world_stop(struct actors_world *world)
{
    ps_actors_stop(world->actors);
    ps_writer_stop(world->settings.writer);
    ps_reader_pool_destroy(world->settings.readers);
    ps_actors_destroy(world->actors);
    ps_db_close(world->reader);
    world->actors = NULL;
}

static inline void actors_world_init(struct actors_world *world)
{
    void *entities;
    memset(world, 0, sizeof *world);
    world_setup(&entities);
    world->entities = entities;
    world->settings = (struct ps_actors_settings){
        .shards = 2,
        .mailbox = { .messages_max = 1000, .bytes_max = 1 << 20 },
        .lua = PS_LUA_LIMITS_DEFAULT,
        .run = PS_RUN_LIMITS_DEFAULT,
        .idle_park_ms = 60000,
        .turn_messages = 32,
        .turn_us = 2000,
        .batch_bytes_max = 1 << 20,
        .dead_letter_bytes_max = 1 << 26,
        .sessions_per_device_max = 2,
        .head_points_max = 16,
        .head_memory_max = 1 << 20,
    };
    assert_int_equal(ps_metrics_create(4, &world->settings.metrics), PS_OK);
    assert_int_equal(ps_script_cache_create(&world->scripts), PS_OK);
    assert_int_equal(ps_chains_create(&world->settings.chains), PS_OK);
    assert_int_equal(ps_port_init(&world->port), PS_OK);
    actors_world_chain(world, ps_default_root_chain_metadata());
    world->device = actors_world_device(world, "D1");
}

static inline void actors_world_deinit(struct actors_world *world)
{
    if (world->actors)
        actors_world_stop(world);
    void *entities = world->entities;
    ps_chains_destroy(world->settings.chains);
    ps_script_cache_destroy(world->scripts);
    ps_metrics_destroy(world->settings.metrics);
    ps_port_deinit(&world->port);
    world_teardown(&entities);
}

/* ---- waiting ---- */

/* Runs what comes to the test's port until `*count` is at least `want`. */
static inline void actors_world_wait(struct actors_world *world, const unsigned *count,
                                     unsigned want)
{
    int64_t deadline_ms = ps_clock_mono_ms() + WORLD_DEADLINE_MS;
    while (*count < want) {
        if (ps_clock_mono_ms() > deadline_ms)
            fail_msg("%u of %u after %d ms", *count, want, WORLD_DEADLINE_MS);
        ps_port_wait(&world->port, world, 100);
    }
}

static inline int64_t actors_world_metric(struct actors_world *world, enum ps_metric id)
{
    return ps_metrics_read(world->settings.metrics, id);
}

/* Polls a counter that another thread moves; there is no event for it. */
static inline void actors_world_wait_metric(struct actors_world *world, enum ps_metric id,
                                            int64_t want)
{
    int64_t deadline_ms = ps_clock_mono_ms() + WORLD_DEADLINE_MS;
    while (actors_world_metric(world, id) < want) {
        if (ps_clock_mono_ms() > deadline_ms)
            fail_msg("metric %d is %lld", id, (long long)actors_world_metric(world, id));
        ps_port_wait(&world->port, world, 5);
    }
}

static inline void actors_world_check_balance(struct actors_world *world)
{
    assert_int_equal(actors_world_metric(world, PS_METRIC_MSG_IN_FLIGHT), 0);
    assert_int_equal(actors_world_metric(world, PS_METRIC_MSG_RECEIVED),
                     actors_world_metric(world, PS_METRIC_MSG_STORED) +
                         actors_world_metric(world, PS_METRIC_MSG_REFUSED) +
                         actors_world_metric(world, PS_METRIC_MSG_DROPPED));
}

/* ---- messages ---- */

struct sent {
    struct ps_ack ack; /* first */
    unsigned settled;
    unsigned *order; /* counts up with each settled one */
    unsigned place;
    enum ps_status status;
};

static inline void sent_settled(struct ps_ack *ack)
{
    struct sent *sent = (struct sent *)ack;
    sent->settled++;
    sent->status = ack->status;
    if (sent->order)
        sent->place = ++*sent->order;
}

/* One value of one key, as a device would send it. */
static inline struct ps_msg *actors_world_msg(struct actors_world *world,
                                              const struct ps_entity_ref *ref,
                                              enum ps_msg_type type, const char *key,
                                              int64_t integer, int64_t ts_ms)
{
    char ts[32];
    struct ps_kv kv = { .key = key,
                        .key_len = (uint32_t)strlen(key),
                        .value = { .type = PS_VALUE_LONG, .integer = integer } };
    struct ps_pair pair = { .key = "ts",
                            .key_len = 2,
                            .value = ts,
                            .value_len =
                                (uint32_t)snprintf(ts, sizeof ts, "%lld", (long long)ts_ms) };
    struct ps_msg_content content = {
        .type = type, .kvs = &kv, .kv_count = 1, .metadata = &pair, .metadata_count = 1
    };
    struct ps_msg *msg;
    assert_int_equal(
        ps_msg_create(&ref->tenant, &ref->entity, &PS_UUID_NULL, ps_clock_now_ms(), &content, &msg),
        PS_OK);
    msg->counted = true;
    ps_metrics_msg_received(world->settings.metrics, 3, PS_METRIC_MQTT_MESSAGES, 1);
    return msg;
}

static inline enum ps_status actors_world_post(struct actors_world *world, struct ps_msg *msg,
                                               struct sent *sent)
{
    if (sent) {
        unsigned *order = sent->order;
        *sent = (struct sent){ .order = order };
        ps_ack_init(&sent->ack, &world->port, sent_settled);
        msg->ack = &sent->ack;
    }
    enum ps_status st = ps_actors_post(world->actors, &msg);
    if (st != PS_OK) {
        ps_metrics_msg_lost(world->settings.metrics, 3, PS_METRIC_REFUSED_BUSY, 1);
        ps_msg_release(msg);
    }
    return st;
}

static inline void actors_world_send(struct actors_world *world, enum ps_msg_type type,
                                     const char *key, int64_t integer, int64_t ts_ms,
                                     struct sent *sent)
{
    struct ps_msg *msg = actors_world_msg(world, &world->device, type, key, integer, ts_ms);
    assert_int_equal(actors_world_post(world, msg, sent), PS_OK);
}

/* Sends and waits for the ack. */
static inline enum ps_status actors_world_do(struct actors_world *world, enum ps_msg_type type,
                                             const char *key, int64_t integer, int64_t ts_ms)
{
    struct sent sent = { .order = NULL };
    actors_world_send(world, type, key, integer, ts_ms, &sent);
    actors_world_wait(world, &sent.settled, 1);
    return sent.status;
}

/* ---- reading ---- */

/* The latest value of a key; INT64_MIN if there is none. */
static inline int64_t actors_world_latest(struct actors_world *world, const char *key)
{
    struct ps_point_set set;
    assert_int_equal(ps_entity_latest(world->actors, world->reader, &world->device, &key, 1, &set),
                     PS_OK);
    assert_int_equal(set.count, 1);
    int64_t latest = set.keys[0].count ? set.keys[0].points[0].value.integer : (int64_t)INT64_MIN;
    ps_point_set_deinit(&set);
    return latest;
}

static inline int64_t actors_world_number(struct actors_world *world, const char *sql)
{
    return temp_db_number(world->reader, sql);
}

/* ---- the writer held up ---- */

struct held_commit {
    struct ps_writer_item item; /* first */
    sem_t entered, gate, finished;
};

static inline void held_wait(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WORLD_DEADLINE_MS / 1000;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static inline enum ps_status held_run(struct ps_writer_item *item, struct ps_db *db)
{
    struct held_commit *held = (struct held_commit *)item;
    (void)db;
    sem_post(&held->entered);
    while (sem_wait(&held->gate) != 0)
        continue;
    return PS_OK;
}

static inline void held_done(struct ps_writer_item *item, enum ps_status st)
{
    (void)st;
    sem_post(&((struct held_commit *)item)->finished);
}

/* From now on nothing is committed, until actors_world_let_commit(). */
static inline void actors_world_hold_commits(struct actors_world *world, struct held_commit *held)
{
    *held = (struct held_commit){ .item = { .run = held_run, .done = held_done } };
    sem_init(&held->entered, 0, 0);
    sem_init(&held->gate, 0, 0);
    sem_init(&held->finished, 0, 0);
    ps_writer_submit(world->settings.writer, &held->item);
    held_wait(&held->entered);
}

static inline void actors_world_let_commit(struct held_commit *held)
{
    sem_post(&held->gate);
    held_wait(&held->finished);
}

/* ---- the shard held up ---- */

struct held_shard {
    struct ps_port_item item; /* first */
    sem_t entered, gate, left;
};

static inline void held_shard_run(struct ps_port_item *item, void *owner)
{
    struct held_shard *held = (struct held_shard *)item;
    (void)owner;
    sem_post(&held->entered);
    while (sem_wait(&held->gate) != 0)
        continue;
    sem_post(&held->left);
}

/* The shard of the world's device stands still, until actors_world_let_shard(). */
static inline void actors_world_hold_shard(struct actors_world *world, struct held_shard *held)
{
    *held = (struct held_shard){ .item = { .run = held_shard_run } };
    sem_init(&held->entered, 0, 0);
    sem_init(&held->gate, 0, 0);
    sem_init(&held->left, 0, 0);
    unsigned index = ps_actors_shard_index(world->actors, &world->device.entity.id);
    ps_port_post(ps_shard_port(ps_actors_shard(world->actors, index)), &held->item);
    held_wait(&held->entered);
}

static inline void actors_world_let_shard(struct held_shard *held)
{
    sem_post(&held->gate);
    held_wait(&held->left);
}

#endif
