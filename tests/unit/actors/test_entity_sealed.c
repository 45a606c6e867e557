/* What an entity shows once its points have left the journal for range files. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/sealed_world.h"

static void latest_values_are_found_again_after_a_start(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    struct ps_point_set set;
    for (int64_t i = 0; i < 10; i++)
        point(world, i * 700000000, i); /* over many files */
    assert_int_equal(actors_world_do(&world->w, PS_MSG_POST_TELEMETRY, "other", 5, 3), PS_OK);
    seal(world);
    check_latest(world, 9);
    restart(world);
    check_latest(world, 9);
    assert_int_equal(
        ps_entity_latest(world->w.actors, world->w.reader, &world->w.device, NULL, 0, &set), PS_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.keys[0].key, "other");
    assert_int_equal(set.keys[0].points[0].value.integer, 5);
    ps_point_set_deinit(&set);
    restart(world);
    point(world, 1, 11); /* older than what is sealed: not the latest */
    check_latest(world, 9);
    restart(world);
    point(world, 9 * INT64_C(700000000), 12); /* as new, and later written */
    check_latest(world, 12);
    world_free(world);
}

/* Once it is known, files are not asked: they may all be gone. */
static void a_latest_value_is_looked_up_once(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 10, 1);
    seal(world);
    restart(world);
    check_latest(world, 1);
    check_latest(world, 1); /* the shard has learnt it by now: it answered after the lesson */
    assert_int_equal(ps_db_exec(world->w.entities->db, "DELETE FROM telemetry_run"), PS_OK);
    check_points(world, "");
    check_latest(world, 1);
    world_free(world);
}

static void points_are_deleted_from_journal_and_files_alike(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    for (int64_t ts = 10; ts <= 50; ts += 10)
        point(world, ts, ts);
    seal(world);
    point(world, 60, 60);
    point(world, 25, 26);
    assert_int_equal(delete_temp(world, &(struct ps_delete_telemetry){ .start_ms = 20,
                                                                       .end_ms = 41,
                                                                       .delete_latest = true }),
                     PS_OK);
    check_points(world, "10=10 50=50 60=60");
    point(world, 30, 33);
    check_points(world, "10=10 30=33 50=50 60=60");
    restart(world);
    check_points(world, "10=10 30=33 50=50 60=60");
    seal(world);
    check_points(world, "10=10 30=33 50=50 60=60");
    merge(world);
    check_points(world, "10=10 30=33 50=50 60=60");
    restart(world);
    check_points(world, "10=10 30=33 50=50 60=60");
    check_latest(world, 60);
    world_free(world);
}

/* After the start nobody has asked for the latest value yet. */
static void a_deletion_looks_up_the_latest_value_it_decides_about(void **state)
{
    (void)state;
    static const struct unknown_case {
        struct ps_delete_telemetry what;
        int64_t latest;
        const char *left;
    } cases[] = {
        { { .start_ms = 25, .end_ms = 35, .delete_latest = true }, INT64_MIN, "10=10 20=20" },
        { { .start_ms = 25, .end_ms = 35, .delete_latest = true, .rewrite_latest = true },
          20,
          "10=10 20=20" },
        { { .start_ms = 5, .end_ms = 25, .delete_latest = true }, 30, "30=30" },
        { { .start_ms = 31, .end_ms = 1000, .delete_latest = true }, 30, "10=10 20=20 30=30" },
        { { .all = true, .delete_latest = true }, INT64_MIN, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sealed_world *world = world_new();
        for (int64_t ts = 10; ts <= 30; ts += 10)
            point(world, ts, ts);
        seal(world);
        restart(world);
        assert_int_equal(delete_temp(world, &cases[i].what), PS_OK);
        for (unsigned round = 0; round < 4; round++) {
            check_latest(world, cases[i].latest);
            check_points(world, cases[i].left);
            if (round == 0)
                restart(world);
            else if (round == 1)
                merge(world);
            else
                restart(world);
        }
        world_free(world);
    }
}

static void replacing_twice_goes_back_step_by_step(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    for (int64_t ts = 10; ts <= 50; ts += 10)
        point(world, ts, ts);
    seal(world);
    for (int64_t ts = 50; ts >= 10; ts -= 10) {
        check_latest(world, ts);
        assert_int_equal(
            delete_temp(world, &(struct ps_delete_telemetry){ .start_ms = ts,
                                                              .end_ms = ts + 1,
                                                              .delete_latest = true,
                                                              .rewrite_latest = true }),
            PS_OK);
    }
    check_latest(world, INT64_MIN);
    check_points(world, "");
    restart(world);
    check_latest(world, INT64_MIN);
    world_free(world);
}

static void a_floor_outlives_sealing(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    point(world, 10, 10);
    point(world, 30, 30);
    assert_int_equal(delete_temp(world, &(struct ps_delete_telemetry){ .start_ms = 20,
                                                                       .end_ms = 40,
                                                                       .delete_latest = true }),
                     PS_OK);
    seal(world);
    restart(world);
    check_latest(world, INT64_MIN);
    restart(world);
    point(world, 25, 26); /* above the floor */
    check_latest(world, 26);
    check_points(world, "10=10 25=26");
    restart(world);
    seal(world);
    restart(world);
    check_latest(world, 26);
    world_free(world);
}

/* ---- everything at once ---- */

enum { POINTS = 600, DELETIONS = 40 };

struct racer {
    struct sealed_world *world;
    struct ps_db *db;
    _Atomic bool stop;
    unsigned failed;
};

static void *keep_deleting(void *arg)
{
    struct racer *racer = arg;
    struct actors_world *w = &racer->world->w;
    for (int64_t i = 0; i < DELETIONS; i++) {
        const struct ps_delete_telemetry what = {
            .start_ms = i * 7, .end_ms = i * 7 + 4, .delete_latest = true, .rewrite_latest = i % 2
        };
        racer->failed += ps_entity_delete_telemetry(w->actors, racer->db, &w->device, &temp_key, 1,
                                                    &what) != PS_OK;
    }
    return NULL;
}

static void *keep_sealing(void *arg)
{
    struct racer *racer = arg;
    while (!atomic_load(&racer->stop)) {
        struct ps_seal_result sealed;
        struct ps_merge_result merged;
        bool more;
        enum ps_status st = ps_seal_once(&racer->world->keep, &sealed);
        racer->failed += st != PS_OK && st != PS_ENOTFOUND;
        racer->failed += ps_seal_trim(&racer->world->keep, &more) != PS_OK;
        st = ps_merge_once(&racer->world->keep, ps_clock_now_ms(), &merged);
        racer->failed += st != PS_OK && st != PS_ENOTFOUND;
    }
    return NULL;
}

/* Points, deletions and sealing race; whatever came of it stays as it is through sealing, merging
 * and a start, and is what the heads believe. */
static void the_order_of_arrival_survives_sealing_and_a_start(void **state)
{
    (void)state;
    struct sealed_world *world = world_new();
    struct actors_world *w = &world->w;
    struct racer deleting = { .world = world }, sealing = { .world = world };
    struct sent *sent = calloc(POINTS, sizeof *sent);
    struct ps_buf before = { 0 };
    struct ps_text why = { "" };
    unsigned order = 0;
    pthread_t threads[2];
    assert_int_equal(ps_db_open(w->entities->temp.path, PS_DB_READER, &deleting.db, &why), PS_OK);
    assert_int_equal(pthread_create(&threads[0], NULL, keep_deleting, &deleting), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, keep_sealing, &sealing), 0);
    for (unsigned i = 0; i < POINTS; i++) {
        sent[i].order = &order;
        actors_world_send(w, PS_MSG_POST_TELEMETRY, temp_key, i, i * 11 % 300, &sent[i]);
        if (i % 8 == 0)
            ps_port_wait(&w->port, w, 1);
    }
    actors_world_wait(w, &order, POINTS);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    atomic_store(&sealing.stop, true);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_int_equal(deleting.failed, 0);
    assert_int_equal(sealing.failed, 0);
    describe(world, &before);
    int64_t latest = actors_world_latest(w, temp_key);
    assert_true(before.len > 0);
    for (unsigned round = 0; round < 4; round++) {
        if (round == 0)
            restart(world);
        else if (round == 1)
            seal(world);
        else if (round == 2)
            merge(world);
        else
            restart(world);
        check_points(world, ps_buf_cstr(&before));
        check_latest(world, latest);
    }
    ps_buf_deinit(&before);
    ps_db_close(deleting.db);
    free(sent);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latest_values_are_found_again_after_a_start),
        cmocka_unit_test(a_latest_value_is_looked_up_once),
        cmocka_unit_test(points_are_deleted_from_journal_and_files_alike),
        cmocka_unit_test(a_deletion_looks_up_the_latest_value_it_decides_about),
        cmocka_unit_test(replacing_twice_goes_back_step_by_step),
        cmocka_unit_test(a_floor_outlives_sealing),
        cmocka_unit_test(the_order_of_arrival_survives_sealing_and_a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
