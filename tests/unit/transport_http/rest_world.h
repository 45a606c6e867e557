/* rest_world: a whole process behind the REST room, in a directory of its own, with demo data.
 *
 * Not a fake: database, writer, readers, shards. Calls are made as the HTTP server makes them, on a
 * thread that may block. */
#ifndef TESTS_REST_WORLD_H
#define TESTS_REST_WORLD_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "actors/actors_start.h"
#include "core/auth/session_registry.h"
#include "core/config.h"
#include "core/entity/identity_cache.h"
#include "core/entity/install.h"
#include "core/metrics.h"
#include "core/storage/migrations.h"
#include "core/storage/reader.h"
#include "core/storage/writer.h"
#include "core/telemetry/keeper.h"
#include "core/telemetry/store.h"
#include "core/thread.h"
#include "transport/http/call.h"
#include "transport/rest/rest.h"
#include "transport/services.h"

struct rest_world {
    char dir[64], path[96];
    struct ps_config config;
    struct ps_services services;
    struct ps_db *db; /* what calls read with */
    struct ps_keeper *keeper;
    struct ps_rest *rest;
    unsigned char key[PS_INSTALL_JWT_KEY_SIZE];
};

#define MUST(call) assert_int_equal((call), PS_OK)

static void world_install(struct rest_world *world)
{
    struct ps_db *db;
    struct ps_text why = { "" };
    char password[PS_INSTALL_PASSWORD_SIZE];
    MUST(ps_db_open(world->path, PS_DB_WRITER, &db, &why));
    MUST(ps_db_migrate(db, world->path, &why));
    MUST(ps_install(db, true, password));
    MUST(ps_install_jwt_key(db, world->key));
    ps_db_close(db);
}

static struct ps_actors_settings actors_settings(const struct rest_world *world)
{
    const struct ps_config *config = &world->config;
    return (struct ps_actors_settings){
        .shards = 2,
        .writer = world->services.writer,
        .readers = world->services.readers,
        .chains = world->services.chains,
        .metrics = world->services.metrics,
        .mailbox = { (uint32_t)config->actors_mailbox_messages_max,
                     (uint32_t)config->actors_mailbox_bytes_max },
        .lua = PS_LUA_LIMITS_DEFAULT,
        .run = PS_RUN_LIMITS_DEFAULT,
        .idle_park_ms = config->actors_idle_park_ms,
        .turn_messages = (uint32_t)config->actors_turn_messages,
        .turn_us = config->actors_turn_us,
        .batch_bytes_max = (size_t)config->storage_batch_bytes_max,
        .sessions_per_device_max = 1,
        .head_points_max = 128,
        .head_memory_max = 64 * 1024 * 1024,
        .store = world->services.store,
    };
}

/* Seals when the test says so. */
static void world_start_keeper(struct rest_world *world)
{
    const struct ps_keeper_settings settings = {
        .dir = world->dir,
        .db_path = world->path,
        .writer = world->services.writer,
        .store = world->services.store,
        .range = PS_RANGE_WEEK,
        .journal_bytes_max = 1 << 30,
        .seal_interval_ms = 24 * 3600 * 1000ll,
        .seal_memory_bytes = 16 << 20,
    };
    MUST(ps_keeper_start(&settings, &world->keeper));
}

static void world_start(struct rest_world *world)
{
    struct ps_services *services = &world->services;
    const struct ps_writer_settings writer = { .path = world->path,
                                               .checkpoint_bytes = 16 * 1024 * 1024 };
    MUST(ps_metrics_create(8, &services->metrics));
    MUST(ps_store_open(&(struct ps_store_settings){ .dir = world->dir }, &services->store, NULL));
    MUST(ps_writer_start(&writer, &services->writer));
    MUST(ps_reader_pool_create(world->path, 2, 100, &services->readers));
    MUST(ps_identity_cache_create(world->path, 1000, &services->identities));
    MUST(ps_session_registry_create(1000, 7 * 24 * 3600 * 1000ll, &services->sessions));
    MUST(ps_chains_create(&services->chains));
    MUST(ps_script_cache_create(&services->scripts));
    MUST(ps_rest_load_chains(world->db, services->scripts, services->chains));
    world_start_keeper(world);
    const struct ps_actors_settings settings = actors_settings(world);
    MUST(ps_actors_create(&settings, &services->actors));
    MUST(ps_actors_start(services->actors));
    services->config = &world->config;
    services->jwt_key = (const char *)world->key;
    services->jwt_key_len = sizeof world->key;
    MUST(ps_rest_create(services, &world->rest));
}

static void world_init(struct rest_world *world)
{
    *world = (struct rest_world){ .dir = "/tmp/ps-rest-XXXXXX" };
    ps_thread_set_role(PS_THREAD_READER); /* the calls are made from here */
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->path, sizeof world->path, "%s/pacificsoft.db", world->dir);
    ps_config_init(&world->config);
    world_install(world);
    MUST(ps_db_open(world->path, PS_DB_READER, &world->db, NULL));
    world_start(world);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static void world_deinit(struct rest_world *world)
{
    struct ps_services *services = &world->services;
    ps_rest_destroy(world->rest);
    ps_actors_stop(services->actors);
    ps_reader_pool_destroy(services->readers);
    ps_keeper_stop(world->keeper);
    ps_writer_stop(services->writer);
    ps_actors_destroy(services->actors);
    ps_chains_destroy(services->chains);
    ps_script_cache_destroy(services->scripts);
    ps_session_registry_destroy(services->sessions);
    ps_identity_cache_destroy(services->identities);
    ps_store_close(services->store);
    ps_metrics_destroy(services->metrics);
    ps_db_close(world->db);
    nftw(world->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
