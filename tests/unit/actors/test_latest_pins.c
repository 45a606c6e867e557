/* The latest value after deletions: what is seen is what a start finds again, whatever came
 * between, and is what the rules say. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/sealed_world.h"

enum { TIMES = 24, STEPS = 120, SEEDS = 6, TIME_STEP_MS = 70000000 };

/* The rules, and nothing else: a history, and beside it a latest value, which a point replaces that
 * is not older, and which a deletion takes away if it lies in its range. */
struct model {
    int64_t points[TIMES]; /* 0: none */
    int latest;            /* its time; -1: none */
    int64_t value;         /* its value */
};

static void model_point(struct model *m, int time, int64_t value)
{
    m->points[time] = value;
    if (m->latest >= 0 && time < m->latest)
        return;
    m->latest = time;
    m->value = value;
}

static void model_delete(struct model *m, int from, int to, const struct ps_delete_telemetry *what)
{
    for (int time = from; time < to; time++)
        m->points[time] = 0;
    if (!what->delete_latest || m->latest < from || m->latest >= to)
        return;
    m->latest = -1;
    for (int time = 0; what->rewrite_latest && time < TIMES; time++) {
        if (!m->points[time])
            continue;
        m->latest = time;
        m->value = m->points[time];
    }
}

static int64_t time_ms(int time)
{
    return INT64_C(1600000000000) + (int64_t)time * TIME_STEP_MS; /* over a few weeks */
}

static void check(struct sealed_world *world, const struct model *m, const char *when,
                  unsigned seed, unsigned step)
{
    struct ps_buf want = { 0 }, got = { 0 };
    int64_t latest = actors_world_latest(&world->w, temp_key);
    if (latest != (m->latest < 0 ? INT64_MIN : m->value))
        fail_msg("seed %u step %u %s: latest is %lld, not %lld of %d", seed, step, when,
                 (long long)latest, (long long)m->value, m->latest);
    for (int time = 0; time < TIMES; time++) {
        if (m->points[time])
            ps_buf_printf(&want, "%s%lld=%lld", want.len ? " " : "", (long long)time_ms(time),
                          (long long)m->points[time]);
    }
    describe(world, &got);
    assert_string_equal(ps_buf_cstr(&got), ps_buf_cstr(&want));
    ps_buf_deinit(&want);
    ps_buf_deinit(&got);
}

static unsigned draw(uint64_t *random, unsigned below)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*random >> 33) % below;
}

static void delete_some(struct sealed_world *world, struct model *m, uint64_t *random)
{
    struct ps_delete_telemetry what = { .all = draw(random, 8) == 0,
                                        .delete_latest = draw(random, 3) > 0,
                                        .rewrite_latest = draw(random, 4) == 0 };
    int near = m->latest >= 0 && draw(random, 2) ? m->latest : (int)draw(random, TIMES);
    int from = near - (int)draw(random, 3), to = near + 1 + (int)draw(random, 4);
    from = from < 0 ? 0 : from;
    to = to > TIMES ? TIMES : to;
    what.start_ms = time_ms(from);
    what.end_ms = time_ms(to);
    if (what.all)
        what.rewrite_latest = false;
    assert_int_equal(delete_temp(world, &what), PS_OK);
    model_delete(m, what.all ? 0 : from, what.all ? TIMES : to, &what);
}

static const char *act(struct sealed_world *world, struct model *m, uint64_t *random, int64_t value)
{
    switch (draw(random, 10)) {
    case 0:
    case 1:
    case 2:
        delete_some(world, m, random);
        return "after a deletion";
    case 3:
        restart(world);
        return "after a start";
    case 4:
        seal(world);
        return "sealed";
    case 5:
        merge(world);
        return "merged";
    default: {
        int time = (int)draw(random, TIMES);
        point(world, time_ms(time), value);
        model_point(m, time, value);
        return "after a point";
    }
    }
}

static void the_latest_value_is_what_the_rules_say_at_every_moment(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct sealed_world *world = world_new();
        struct model m = { .latest = -1 };
        uint64_t random = seed;
        for (unsigned step = 0; step < STEPS; step++) {
            const char *what = act(world, &m, &random, step + 1);
            if (step % 3) /* sometimes nobody asks before the next thing happens */
                check(world, &m, what, seed, step);
        }
        restart(world);
        check(world, &m, "at last", seed, STEPS);
        world_free(world);
    }
}

/* ---- single cases ---- */

static int64_t pins(struct sealed_world *world)
{
    return actors_world_number(&world->w, "SELECT count(*) FROM series"
                                          " WHERE latest_floor_ms IS NOT NULL");
}

static const struct ps_delete_telemetry keep_all = { .all = true };
static const struct ps_delete_telemetry from_20 = { .start_ms = 20,
                                                    .end_ms = 40,
                                                    .delete_latest = true };

static void save(struct sealed_world *world, int64_t ts_ms, const struct ps_value *value,
                 int64_t ttl_s)
{
    struct ps_kv kv = { .key = temp_key, .key_len = 4, .value = *value };
    struct ps_payload_entry entry = { .ts_ms = ts_ms, .has_ts = true, .first = 0, .count = 1 };
    struct ps_payload payload = { .kvs = &kv, .kv_count = 1, .entries = &entry, .entry_count = 1 };
    struct ps_text why = { "" };
    assert_int_equal(
        ps_entity_save_telemetry(world->w.actors, &world->w.device, &payload, ttl_s, &why), PS_OK);
}

static void a_kept_value_of_any_type_outlives_its_points(void **state)
{
    (void)state;
    static const struct ps_value values[] = {
        { .type = PS_VALUE_BOOLEAN, .boolean = true },
        { .type = PS_VALUE_DOUBLE, .real = 21.5 },
        { .type = PS_VALUE_STRING, .text = "on and on", .len = 9 },
        { .type = PS_VALUE_JSON, .text = "{\"a\":[1]}", .len = 9 },
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct sealed_world *world = world_new();
        struct ps_point_set set;
        save(world, 30, &values[i], 0);
        assert_int_equal(delete_temp(world, &keep_all), PS_OK);
        seal(world);
        merge(world);
        restart(world);
        check_points(world, "");
        assert_int_equal(ps_entity_latest(world->w.actors, world->w.reader, &world->w.device,
                                          &temp_key, 1, &set),
                         PS_OK);
        assert_int_equal(set.keys[0].count, 1);
        assert_int_equal(set.keys[0].points[0].ts_ms, 30);
        assert_true(ps_value_equal(&set.keys[0].points[0].value, &values[i]));
        ps_point_set_deinit(&set);
        world_free(world);
    }
}

static enum ps_status set_floor(struct ps_db *db, void *arg)
{
    (void)arg;
    return ps_db_exec(db, "UPDATE series SET latest_floor_ms = 100");
}

/* A pin costs something only as long as it says something. */
static void a_newer_point_ends_the_pin(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 10, 10);
    point(world, 30, 30);
    assert_int_equal(delete_temp(world, &from_20), PS_OK);
    assert_int_equal(pins(world), 1);
    point(world, 5, 5);
    check_latest(world, 5);
    assert_int_equal(pins(world), 1);
    assert_int_equal(actors_world_number(&world->w, "SELECT ts_ms FROM latest_pin"), 5);
    point(world, 50, 50);
    assert_int_equal(pins(world), 0);
    assert_int_equal(actors_world_number(&world->w, "SELECT count(*) FROM latest_pin"), 0);
    /* Nobody asks the database any more, whatever it would say. */
    assert_int_equal(ps_writer_call(world->w.settings.writer, set_floor, NULL), PS_OK);
    point(world, 6, 6);
    assert_int_equal(actors_world_number(&world->w, "SELECT count(*) FROM latest_pin"), 0);
    check_latest(world, 50);
    world_free(world);
}

static void a_newer_point_ends_the_pin_of_a_kept_value(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 30, 30);
    assert_int_equal(delete_temp(world, &keep_all), PS_OK);
    point(world, 20, 20);
    assert_int_equal(pins(world), 1);
    point(world, 31, 31);
    assert_int_equal(pins(world), 0);
    check_latest(world, 31);
    restart(world);
    check_latest(world, 31);
    world_free(world);
}

/* A database of an earlier version has floors with newer points behind them. */
static void a_floor_from_before_may_have_newer_points(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 10, 10);
    point(world, 30, 30);
    stop(world);
    assert_int_equal(ps_db_exec(world->w.entities->db, "UPDATE series SET latest_floor_ms = 19"),
                     PS_OK);
    start(world);
    point(world, 15, 15);
    check_latest(world, 30);
    restart(world);
    check_latest(world, 30);
    point(world, 15, 16);
    assert_int_equal(delete_temp(world, &from_20), PS_OK);
    check_latest(world, INT64_MIN);
    point(world, 12, 12);
    check_latest(world, 12);
    restart(world);
    check_latest(world, 12);
    world_free(world);
}

static void who_is_deleted_takes_the_pins_along(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 30, 30);
    assert_int_equal(delete_temp(world, &keep_all), PS_OK);
    assert_int_equal(actors_world_number(&world->w, "SELECT count(*) FROM latest_pin"), 1);
    stop(world);
    assert_int_equal(ps_db_exec(world->w.entities->db, "DELETE FROM series"), PS_OK);
    start(world);
    assert_int_equal(actors_world_number(&world->w, "SELECT count(*) FROM latest_pin"), 0);
    check_latest(world, INT64_MIN);
    world_free(world);
}

/* Damage costs the pinned value, not the start, nor the answer. */
static void a_damaged_pin_is_passed_over(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 10, 10);
    point(world, 30, 30);
    assert_int_equal(
        delete_temp(world, &(struct ps_delete_telemetry){ .start_ms = 20, .end_ms = 40 }), PS_OK);
    stop(world);
    assert_int_equal(ps_db_exec(world->w.entities->db,
                                "UPDATE latest_pin SET point = substr(point, 1, 12) || x'ff'"),
                     PS_OK);
    start(world);
    check_latest(world, INT64_MIN);
    point(world, 12, 12);
    restart(world);
    check_points(world, "10=10 12=12");
    point(world, 30, 31);
    check_latest(world, 31);
    restart(world);
    check_latest(world, 31);
    world_free(world);
}

static void a_kept_value_keeps_its_time_to_live(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    const struct ps_value value = { .type = PS_VALUE_LONG, .integer = 5 };
    save(world, ps_clock_now_ms(), &value, 3600);
    assert_int_equal(delete_temp(world, &keep_all), PS_OK);
    check_latest(world, 5);
    assert_int_equal(actors_world_number(&world->w, "SELECT ttl_s FROM latest_pin"), 3600);
    world_free(world);
}

/* What has expired is not what a deletion decides about. */
static void the_value_that_is_shown_is_the_one_that_is_kept(void **state)
{
    (void)state;
    static const struct expired_case {
        struct ps_delete_telemetry what;
        int64_t latest;
    } cases[] = {
        { { .start_ms = 15, .end_ms = 25 }, 20 },
        { { .start_ms = 15, .end_ms = 25, .delete_latest = true }, INT64_MIN },
        { { .start_ms = 15, .end_ms = 25, .delete_latest = true, .rewrite_latest = true }, 10 },
        { { .start_ms = 900, .end_ms = 1100, .delete_latest = true }, 20 },
    };
    const struct ps_value expired = { .type = PS_VALUE_LONG, .integer = 1000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sealed_world *world = world_new();
        point(world, 10, 10);
        point(world, 20, 20);
        save(world, 1000, &expired, 1); /* long ago */
        assert_int_equal(delete_temp(world, &cases[i].what), PS_OK);
        check_latest(world, cases[i].latest);
        restart(world);
        check_latest(world, cases[i].latest);
        world_free(world);
    }
}

/* Deletions with every rule race with points, old and new; a start finds what was seen. */
enum { POINTS = 500, DELETIONS = 60 };

struct racer {
    struct sealed_world *world;
    struct ps_db *db;
    unsigned failed;
};

static void *keep_deleting(void *arg)
{
    struct racer *racer = arg;
    struct actors_world *w = &racer->world->w;
    for (int64_t i = 0; i < DELETIONS; i++) {
        const struct ps_delete_telemetry what = { .start_ms = i * 5 % 200,
                                                  .end_ms = 300,
                                                  .delete_latest = i % 3 > 0,
                                                  .rewrite_latest = i % 6 == 5 };
        racer->failed += ps_entity_delete_telemetry(w->actors, racer->db, &w->device, &temp_key, 1,
                                                    &what) != PS_OK;
    }
    return NULL;
}

static void pins_survive_a_race_of_points_and_deletions(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    struct actors_world *w = &world->w;
    struct racer racer = { .world = world };
    struct sent *sent = calloc(POINTS, sizeof *sent);
    struct ps_text why = { "" };
    unsigned order = 0;
    pthread_t thread;
    point(world, 1, 1);
    assert_int_equal(ps_db_open(w->entities->temp.path, PS_DB_READER, &racer.db, &why), PS_OK);
    assert_int_equal(pthread_create(&thread, NULL, keep_deleting, &racer), 0);
    for (unsigned i = 0; i < POINTS; i++) {
        sent[i].order = &order;
        actors_world_send(w, PS_MSG_POST_TELEMETRY, temp_key, i, i * 37 % 300, &sent[i]);
        if (i % 4 == 0)
            ps_port_wait(&w->port, w, 1);
    }
    actors_world_wait(w, &order, POINTS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(racer.failed, 0);
    int64_t latest = actors_world_latest(w, temp_key);
    restart(world);
    check_latest(world, latest);
    seal(world);
    restart(world);
    check_latest(world, latest);
    ps_db_close(racer.db);
    free(sent);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_value_is_what_the_rules_say_at_every_moment),
        cmocka_unit_test(a_kept_value_of_any_type_outlives_its_points),
        cmocka_unit_test(a_newer_point_ends_the_pin),
        cmocka_unit_test(a_newer_point_ends_the_pin_of_a_kept_value),
        cmocka_unit_test(a_floor_from_before_may_have_newer_points),
        cmocka_unit_test(who_is_deleted_takes_the_pins_along),
        cmocka_unit_test(a_damaged_pin_is_passed_over),
        cmocka_unit_test(a_kept_value_keeps_its_time_to_live),
        cmocka_unit_test(the_value_that_is_shown_is_the_one_that_is_kept),
        cmocka_unit_test(pins_survive_a_race_of_points_and_deletions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
