/* sealed_world: actors beside a store, so that points leave the journal for range files. One device
 * and one key; restarts in between. */
#ifndef PS_TESTS_SEALED_WORLD_H
#define PS_TESTS_SEALED_WORLD_H

#include "core/telemetry/merge.h"
#include "core/telemetry/seal.h"
#include "core/telemetry/store.h"
#include "unit/actors/actors_world.h"

static const char *const temp_key = "temp";

struct sealed_world {
    struct actors_world w;
    struct ps_keep keep;
};

static inline void start(struct sealed_world *world)
{
    struct ps_text why = { "" };
    const struct ps_store_settings store = { .dir = world->w.entities->temp.folder };
    assert_int_equal(ps_store_open(&store, &world->w.settings.store, &why), PS_OK);
    actors_world_start(&world->w);
    world->keep = (struct ps_keep){ .writer = world->w.settings.writer,
                                    .store = world->w.settings.store,
                                    .range = PS_RANGE_WEEK,
                                    .memory_max = 1 << 20 };
    assert_int_equal(ps_db_open(world->w.entities->temp.path, PS_DB_READER, &world->keep.db, &why),
                     PS_OK);
}

static inline void stop(struct sealed_world *world)
{
    struct ps_db *db = world->keep.db;
    ps_keep_deinit(&world->keep);
    ps_db_close(db);
    actors_world_stop(&world->w);
    ps_store_close(world->w.settings.store);
}

static inline void restart(struct sealed_world *world)
{
    stop(world);
    start(world);
}

static inline struct sealed_world *world_new(void)
{
    struct sealed_world *world = calloc(1, sizeof *world);
    actors_world_init(&world->w);
    world->w.settings.head_points_max = 4;
    start(world);
    return world;
}

static inline void world_free(struct sealed_world *world)
{
    stop(world);
    actors_world_deinit(&world->w);
    free(world);
}

/* Everything that is committed leaves the journal. */
static inline void seal(struct sealed_world *world)
{
    struct ps_seal_result result;
    bool more = true;
    enum ps_status st;
    while ((st = ps_seal_once(&world->keep, &result)) == PS_OK)
        continue;
    assert_int_equal(st, PS_ENOTFOUND);
    while (more)
        assert_int_equal(ps_seal_trim(&world->keep, &more), PS_OK);
    assert_int_equal(actors_world_number(&world->w, "SELECT count(*) FROM journal"), 0);
}

static inline void merge(struct sealed_world *world)
{
    int64_t files = actors_world_number(&world->w, "SELECT max(id) FROM telemetry_file");
    for (int64_t file = 1; file <= files; file++) {
        struct ps_merge_result result;
        enum ps_status st = ps_merge_file(&world->keep, file, ps_clock_now_ms(), &result);
        assert_true(st == PS_OK || st == PS_ENOTFOUND);
    }
}

static inline void point(struct sealed_world *world, int64_t ts_ms, int64_t value)
{
    assert_int_equal(actors_world_do(&world->w, PS_MSG_POST_TELEMETRY, temp_key, value, ts_ms),
                     PS_OK);
}

static inline enum ps_status delete_temp(struct sealed_world *world,
                                         const struct ps_delete_telemetry *what)
{
    return ps_entity_delete_telemetry(world->w.actors, world->w.reader, &world->w.device, &temp_key,
                                      1, what);
}

/* Of all time, ascending: "ts=value ts=value". */
static inline void describe(struct sealed_world *world, struct ps_buf *text)
{
    struct ps_point_set set;
    struct ps_history_query query = {
        .start_ms = INT64_MIN, .end_ms = INT64_MAX, .limit = 10000, .ascending = true
    };
    assert_int_equal(ps_entity_history(world->w.actors, world->w.reader, &world->w.device,
                                       &temp_key, 1, &query, &set),
                     PS_OK);
    ps_buf_clear(text);
    for (size_t i = 0; i < set.keys[0].count; i++)
        ps_buf_printf(text, "%s%lld=%lld", i ? " " : "", (long long)set.keys[0].points[i].ts_ms,
                      (long long)set.keys[0].points[i].value.integer);
    ps_point_set_deinit(&set);
}

static inline void check_points(struct sealed_world *world, const char *want)
{
    struct ps_buf text = { 0 };
    describe(world, &text);
    assert_string_equal(ps_buf_cstr(&text), want);
    ps_buf_deinit(&text);
}

static inline void check_latest(struct sealed_world *world, int64_t want)
{
    assert_int_equal(actors_world_latest(&world->w, temp_key), want);
}

#endif
