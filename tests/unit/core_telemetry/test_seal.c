/* Sealing: what was in the journal is in runs, the last value of each (series, ts), and nothing is
 * lost or shown twice however it is interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <string.h>

#include "core/clock.h"
#include "core/telemetry/seal_set.h"
#include "unit/core_telemetry/keep_world.h"

static struct ps_seal_result seal_once(struct keep_world *world)
{
    struct ps_seal_result result = { 0 };
    assert_int_equal(ps_seal_once(&world->keep, &result), PS_OK);
    return result;
}

static void sealed_points_are_in_the_runs_of_their_ranges(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 3);
    for (int i = 0; i < 300; i++)
        keep_world_put_long(&world, 1 + (uint32_t)i % 3, WORLD_NOW_MS + i * 3600000ll, i);
    keep_world_put_long(&world, 2, INT64_MIN, -1);
    keep_world_put_long(&world, 2, INT64_MAX, 1);
    keep_world_commit(&world);
    struct ps_seal_result result = seal_once(&world);
    assert_int_equal(result.rows, 1);
    assert_int_equal(result.points, 302);
    assert_int_equal(result.written, 302);
    assert_int_equal(result.runs, 5); /* three weeks, early, late */
    assert_int_equal(result.sealed_seq, 1);
    assert_false(result.more);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_file"), 5);
    assert_int_equal(keep_world_number(&world, "SELECT value FROM telemetry_state"
                                               " WHERE key = 'sealed_seq'"),
                     1);
    keep_world_check(&world);
    keep_world_exec(&world, "DELETE FROM journal"); /* it is not needed any more */
    keep_world_check(&world);
    assert_int_equal(ps_seal_once(&world.keep, &result), PS_ENOTFOUND);
    keep_world_deinit(&world);
}

static void the_last_arrival_of_a_time_stays(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 2);
    for (int i = 0; i < 2000; i++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + (i * 7919) % 500, i);
        if (i % 100 == 99)
            keep_world_commit(&world);
    }
    struct ps_seal_result result = seal_once(&world);
    assert_int_equal(result.points, 2000);
    assert_int_equal(result.written, 500);
    keep_world_check(&world);
    keep_world_put_long(&world, 1, WORLD_NOW_MS, -5); /* and over several seals */
    keep_world_commit(&world);
    seal_once(&world);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void a_deletion_hits_exactly_what_came_before_it(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 2);
    for (int i = 0; i < 10; i++)
        keep_world_put_long(&world, 1, WORLD_NOW_MS + i, i);
    keep_world_delete(&world, 1, WORLD_NOW_MS, WORLD_NOW_MS + 5);
    keep_world_put_long(&world, 1, WORLD_NOW_MS + 2, 200); /* after it, in the same row */
    keep_world_commit(&world);
    keep_world_check(&world);
    struct ps_seal_result result = seal_once(&world);
    assert_int_equal(result.written, 6);
    keep_world_check(&world);
    keep_world_delete(&world, 1, INT64_MIN, INT64_MAX); /* of a run */
    keep_world_put_long(&world, 2, WORLD_NOW_MS, 1);
    keep_world_commit(&world);
    keep_world_check(&world);
    seal_once(&world);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void series_without_a_catalogue_row_are_left_out(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 40);
    for (uint32_t series = 1; series <= 40; series++)
        keep_world_put_long(&world, series, WORLD_NOW_MS, series);
    keep_world_commit(&world);
    for (uint32_t series = 1; series <= 40; series += 3)
        keep_world_remove_series(&world, series);
    struct ps_seal_result result = seal_once(&world);
    assert_int_equal(result.written, 40 - 14);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* What the file knows is not asked for again: a merge drops the points of what is gone. */
static void a_series_that_goes_after_it_was_sealed_is_left_to_the_merge(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 40);
    for (int64_t round = 0; round < 2; round++) {
        for (uint32_t series = 1; series <= 40 - 20 * (1 - round); series++)
            keep_world_put_long(&world, series, WORLD_NOW_MS + round, series);
        keep_world_commit(&world);
        if (round == 1) {
            for (uint32_t series = 1; series <= 40; series += 3)
                keep_world_remove_series(&world, series);
        }
        /* of the 14 that are gone, 7 are new to the file */
        assert_int_equal(seal_once(&world).written, round ? 40 - 7 : 20);
        keep_world_check(&world);
    }
    keep_world_deinit(&world);
}

static void a_damaged_row_is_left_out_and_does_not_stop_the_others(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int row = 0; row < 3; row++) {
        if (row != 1) {
            keep_world_put_long(&world, 1, WORLD_NOW_MS + row, row);
            keep_world_commit(&world);
        } else {
            keep_world_exec(&world, "INSERT INTO journal(seq, points) VALUES(2, x'02001122')");
            world.last_seq++;
        }
    }
    struct ps_seal_result result = seal_once(&world);
    assert_int_equal(result.rows, 3);
    assert_int_equal(result.damaged_rows, 1);
    assert_int_equal(result.written, 2);
    assert_int_equal(result.sealed_seq, 3);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void little_memory_means_more_passes_and_the_same_points(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 5);
    world.keep.memory_max = 50 * PS_SEAL_POINT_BYTES;
    for (int i = 0; i < 1000; i++) {
        keep_world_put_long(&world, 1 + (uint32_t)i % 5, WORLD_NOW_MS + (i * 31) % 700, i);
        if (i % 10 == 9)
            keep_world_commit(&world);
    }
    size_t passes = keep_world_seal_all(&world);
    assert_true(passes >= 18 && passes <= 20);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void trimming_deletes_what_is_sealed_in_slices_and_nothing_else(void **state)
{
    (void)state;
    struct keep_world world;
    bool more = true;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int row = 0; row < 1300; row++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + row, row);
        keep_world_commit(&world);
        if (row == 1199)
            keep_world_seal_all(&world);
    }
    size_t slices = 0;
    for (; more; slices++)
        assert_int_equal(ps_seal_trim(&world.keep, &more), PS_OK);
    assert_int_equal(slices, 3);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM journal"), 100);
    assert_int_equal(keep_world_number(&world, "SELECT min(seq) FROM journal"), 1201);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* The commit of the manifest fails after the runs are in their files. */
static void a_seal_without_its_manifest_has_not_happened(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_seal_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 2);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            keep_world_put_long(&world, 1, WORLD_NOW_MS + i * 10 * 3600000ll, i + round);
        keep_world_commit(&world);
        keep_world_exec(&world, "CREATE TRIGGER boom BEFORE INSERT ON telemetry_state"
                                " BEGIN SELECT RAISE(ABORT, 'boom'); END");
        assert_int_not_equal(ps_seal_once(&world.keep, &result), PS_OK);
        keep_world_exec(&world, "DROP TRIGGER boom");
        keep_world_check(&world);
        if (round) /* at once, or after a start */
            keep_world_restart(&world);
        keep_world_check(&world);
        seal_once(&world);
        keep_world_check(&world);
    }
    keep_world_restart(&world);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void stop_at_once(struct ps_keep *keep, void *arg)
{
    (void)keep;
    *(_Atomic bool *)arg = true;
}

static void a_stopped_seal_leaves_nothing_behind(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_seal_result result;
    _Atomic bool stop = false;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < 100; i++)
        keep_world_put_long(&world, 1, WORLD_NOW_MS + i * 50 * 3600000ll, i);
    keep_world_commit(&world);
    world.keep.stop = &stop;
    world.keep.breathe = stop_at_once;
    world.keep.breathe_arg = &stop;
    assert_int_equal(ps_seal_once(&world.keep, &result), PS_ECLOSED);
    world.keep.stop = NULL;
    world.keep.breathe = NULL;
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_file"), 0);
    keep_world_check(&world);
    seal_once(&world);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* ---- the order ---- */

static void any_order_comes_out_sorted_and_stable(void **state)
{
    (void)state;
    enum { COUNT = 20000, WINDOW = 100 };
    struct ps_seal_set set = { 0 }; /* used again, like by one seal after the other */
    for (unsigned seed = 1; seed < 6; seed++) {
        struct ps_seal_group group = { 0 };
        unsigned random = seed;
        size_t groups = 0;
        assert_int_equal(ps_seal_set_begin(&set, PS_RANGE_WEEK, 0), PS_OK);
        for (unsigned i = 0; i < COUNT / seed; i++) {
            uint32_t series = (uint32_t)rand_r(&random) % (seed * seed * 100);
            struct ps_journal_record record = {
                .series = seed == 5 ? series * 40000000u : series,
                .ts_ms =
                    WORLD_NOW_MS + (int64_t)(rand_r(&random) % 1000) * (seed > 2 ? 3600000 : 1),
                .value = { .type = PS_VALUE_LONG, .integer = i },
            };
            assert_int_equal(ps_seal_set_add(&set, &record), PS_OK);
        }
        assert_int_equal(ps_seal_set_sort(&set), PS_OK);
        const struct ps_range *range = NULL;
        uint32_t series = 0;
        while (ps_seal_set_next(&set, &group)) {
            struct ps_point points[WINDOW];
            uint32_t ttl_s[WINDOW];
            size_t from = 0, count;
            bool any_ttl;
            int64_t last_ms = INT64_MIN;
            assert_true(group.range != range || group.series > series);
            range = group.range;
            series = group.series;
            groups++;
            while ((count = ps_seal_set_points(&set, &group, &from, points, ttl_s, WINDOW,
                                               &any_ttl)) > 0) {
                for (size_t i = 0; i < count; i++) {
                    assert_true(points[i].ts_ms > last_ms);
                    assert_true(ps_range_holds(range, points[i].ts_ms));
                    last_ms = points[i].ts_ms;
                }
                assert_false(any_ttl);
            }
        }
        assert_true(groups > 0);
    }
    ps_seal_set_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_points_are_in_the_runs_of_their_ranges),
        cmocka_unit_test(the_last_arrival_of_a_time_stays),
        cmocka_unit_test(a_deletion_hits_exactly_what_came_before_it),
        cmocka_unit_test(series_without_a_catalogue_row_are_left_out),
        cmocka_unit_test(a_series_that_goes_after_it_was_sealed_is_left_to_the_merge),
        cmocka_unit_test(a_damaged_row_is_left_out_and_does_not_stop_the_others),
        cmocka_unit_test(little_memory_means_more_passes_and_the_same_points),
        cmocka_unit_test(trimming_deletes_what_is_sealed_in_slices_and_nothing_else),
        cmocka_unit_test(a_seal_without_its_manifest_has_not_happened),
        cmocka_unit_test(a_stopped_seal_leaves_nothing_behind),
        cmocka_unit_test(any_order_comes_out_sorted_and_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
