/* Merging: many runs become one, and what must be there is there before and after, whatever was
 * written late, twice, deleted or expired, and wherever it is interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/core_telemetry/keep_world.h"

static struct ps_merge_result merge_once(struct keep_world *world)
{
    struct ps_merge_result result = { 0 };
    assert_int_equal(ps_merge_once(&world->keep, world->now_ms, &result), PS_OK);
    return result;
}

static int64_t live_runs(struct keep_world *world)
{
    return keep_world_number(world, "SELECT count(*) FROM telemetry_run WHERE retired_ms IS NULL");
}

/* One run in each of the weeks touched. */
static void seal_row(struct keep_world *world)
{
    keep_world_commit(world);
    assert_int_equal(keep_world_seal_all(world), 1);
}

static void eight_runs_become_one_of_the_next_level(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_merge_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 4);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &result), PS_ENOTFOUND);
        for (int k = 0; k < 100; k++)
            keep_world_put_long(&world, 1 + (uint32_t)k % 2, WORLD_NOW_MS + (i * 50 + k) * 1000, i);
        seal_row(&world);
    }
    result = merge_once(&world);
    assert_int_equal(result.inputs, PS_MERGE_RUNS);
    assert_int_equal(result.points_in, 100 * PS_MERGE_RUNS);
    assert_int_equal(result.points_out, 450);
    assert_int_equal(result.replaced, 350);
    assert_int_equal(result.expired + result.deleted + result.orphaned, 0);
    assert_int_equal(live_runs(&world), 1);
    assert_int_equal(keep_world_number(&world, "SELECT level FROM telemetry_run"
                                               " WHERE retired_ms IS NULL"),
                     1);
    assert_int_equal(keep_world_stored_points(&world), 450);
    keep_world_check(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &result), PS_ENOTFOUND);
    keep_world_restart(&world); /* the replaced runs are deleted */
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_run"), 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void a_quiet_file_whose_range_is_over_becomes_one_run(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_merge_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < 3; i++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + i, i);
        seal_row(&world);
    }
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &result), PS_ENOTFOUND);
    keep_world_set_now(&world, WORLD_NOW_MS + 8 * WORLD_DAY_MS);
    keep_world_put_long(&world, 1, WORLD_NOW_MS + 10, 10); /* late: it is not quiet yet */
    seal_row(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &result), PS_ENOTFOUND);
    keep_world_set_now(&world, world.now_ms + world.keep.settle_ms);
    assert_int_equal(merge_once(&world).inputs, 4);
    assert_int_equal(live_runs(&world), 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* A newer value that lived shorter has replaced the older one for good. */
static void an_expired_point_does_not_uncover_what_it_replaced(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_value first = { .type = PS_VALUE_LONG, .integer = 1 };
    struct ps_value second = { .type = PS_VALUE_LONG, .integer = 2 };
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    keep_world_put(&world, 1, WORLD_NOW_MS, &first, 0);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + 1 + i, i);
        seal_row(&world);
    }
    assert_int_equal(keep_world_merge_all(&world), 1); /* the old one is in a run of level 1 now */
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        keep_world_put(&world, 1, WORLD_NOW_MS, &second, 1);
        keep_world_put_long(&world, 1, WORLD_NOW_MS + 1 + i, i);
        seal_row(&world);
    }
    keep_world_set_now(&world, WORLD_NOW_MS + 5000);
    struct ps_merge_result result = merge_once(&world); /* of level 0 only */
    assert_int_equal(result.inputs, PS_MERGE_RUNS);
    assert_int_equal(result.expired, 0);
    keep_world_check(&world);
    keep_world_set_now(&world, WORLD_NOW_MS + 30 * WORLD_DAY_MS);
    result = merge_once(&world); /* all of it: now it can go */
    assert_int_equal(result.inputs, 2);
    assert_int_equal(result.expired, 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void what_is_expired_deleted_or_orphaned_leaves_at_a_merge(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 1 };
    keep_world_init(&world);
    keep_world_add_series(&world, 3);
    world.keep.default_ttl_s = 3600;
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        for (int k = 0; k < 10; k++) {
            keep_world_put(&world, 1, WORLD_NOW_MS + (i * 10 + k) * 60000, &value, k ? 0 : 7200);
            keep_world_put(&world, 2, WORLD_NOW_MS + (i * 10 + k) * 60000, &value, 999999);
            keep_world_put(&world, 3, WORLD_NOW_MS + (i * 10 + k) * 60000, &value, 0);
        }
        seal_row(&world);
    }
    keep_world_delete(&world, 2, WORLD_NOW_MS, WORLD_NOW_MS + 40 * 60000);
    keep_world_remove_series(&world, 3);
    keep_world_set_now(&world, WORLD_NOW_MS + 39 * 60000 + 3600000);
    struct ps_merge_result result = merge_once(&world);
    assert_int_equal(result.points_in, 240);
    assert_int_equal(result.orphaned, 80);
    assert_int_equal(result.deleted, 40);
    assert_int_equal(result.expired, 36);
    assert_int_equal(result.points_out, 84);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* Series of a few points, of about as many as are put together in memory, and of more; in blocks
 * that end anywhere; with texts, times to live, deletions, and points written late and twice. */
static void a_series_is_the_same_however_many_points_it_has(void **state)
{
    (void)state;
    static const int per_run[] = { 1, 2, 5, 31, 32, 33, 90 };
    enum { SIZES = sizeof per_run / sizeof *per_run, COUNT = 56 };
    struct keep_world world;
    unsigned seed = 11;
    keep_world_init(&world);
    keep_world_add_series(&world, COUNT);
    world.keep.default_ttl_s = 10 * 86400;
    for (int run = 0; run < PS_MERGE_RUNS; run++) {
        for (uint32_t series = 1; series <= COUNT; series++) {
            for (int i = 0; i < per_run[series % SIZES]; i++) {
                char text[WORLD_TEXT_SIZE];
                struct ps_value value = { .type = PS_VALUE_LONG, .integer = rand_r(&seed) };
                int at = series % 2 ? run * 100 + i : rand_r(&seed) % 300;
                if (series % 3 == 0)
                    value = (struct ps_value){ .type = PS_VALUE_STRING,
                                               .text = text,
                                               .len = (uint32_t)snprintf(text, sizeof text,
                                                                         "a text of its own: %d",
                                                                         rand_r(&seed)) };
                keep_world_put(&world, series, WORLD_NOW_MS + at * 1000, &value,
                               series % 5 || i % 2 ? 0 : 86400);
            }
            if (series % 4 == 0)
                keep_world_delete(&world, series, WORLD_NOW_MS + run * 20000,
                                  WORLD_NOW_MS + run * 20000 + 30000);
        }
        seal_row(&world);
    }
    keep_world_set_now(&world, WORLD_NOW_MS + 86400000 + 150000);
    keep_world_check(&world);
    struct ps_merge_result result = merge_once(&world);
    assert_int_equal(result.inputs, PS_MERGE_RUNS);
    assert_int_equal(result.orphaned, 0);
    assert_true(result.replaced > 0 && result.deleted > 0 && result.expired > 0);
    assert_int_equal(keep_world_stored_points(&world), result.points_out);
    assert_int_equal(keep_world_number(&world, "SELECT sum(points) FROM telemetry_run"
                                               " WHERE retired_ms IS NULL"),
                     result.points_out);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* A chunk ends early when its texts are long, so that even a short series has several. */
static void a_short_series_of_long_texts_stays_whole(void **state)
{
    (void)state;
    enum { TEXTS = 180 };
    struct keep_world world;
    unsigned seed = 5;
    keep_world_init(&world);
    keep_world_add_series(&world, 3);
    for (int run = 0; run < PS_MERGE_RUNS; run++) {
        for (int i = 0; i < TEXTS; i++) {
            char text[WORLD_TEXT_SIZE];
            struct ps_value value = { .type = PS_VALUE_STRING, .text = text, .len = sizeof text };
            for (size_t c = 0; c < sizeof text; c++)
                text[c] = (char)(' ' + rand_r(&seed) % 90);
            if (run == 3)
                keep_world_put(&world, 2, WORLD_NOW_MS + i * 1000, &value, 0);
        }
        keep_world_put_long(&world, 1, WORLD_NOW_MS + run, run);
        keep_world_put_long(&world, 3, WORLD_NOW_MS + run, run);
        seal_row(&world);
    }
    assert_int_equal(merge_once(&world).points_out, TEXTS + 2 * PS_MERGE_RUNS);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void a_merge_that_leaves_nothing_leaves_no_run(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_retention_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + i, i);
        seal_row(&world);
    }
    keep_world_delete(&world, 1, INT64_MIN, INT64_MAX);
    assert_int_equal(merge_once(&world).points_out, 0);
    assert_int_equal(live_runs(&world), 0);
    keep_world_check(&world);
    keep_world_set_now(&world, world.now_ms + 61000);
    assert_int_equal(ps_retention_apply(&world.keep, world.now_ms, &result), PS_OK);
    assert_int_equal(result.runs_deleted, PS_MERGE_RUNS);
    assert_int_equal(ps_retention_apply(&world.keep, world.now_ms, &result), PS_OK);
    assert_int_equal(result.files_dropped, 1); /* it has no points */
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_file"), 0);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* ---- large ones ---- */

struct resting {
    struct keep_world *world;
    unsigned rests, seals;
    bool is_sealing; /* which breathes, too */
};

static void seal_while_resting(struct ps_keep *keep, void *arg)
{
    struct resting *resting = arg;
    struct ps_seal_result result;
    resting->rests++;
    if (!keep->lent || resting->seals >= 3 || resting->is_sealing)
        return;
    resting->is_sealing = true;
    keep_world_put_long(resting->world, 2, WORLD_NOW_MS + resting->seals, resting->seals);
    keep_world_commit(resting->world);
    assert_int_equal(ps_seal_once(keep, &result), PS_OK);
    resting->is_sealing = false;
    resting->seals++;
}

static void put_noise(struct keep_world *world, int run, int points)
{
    struct ps_value value = { .type = PS_VALUE_DOUBLE };
    for (int i = 0; i < points; i++) {
        int64_t ts_ms = WORLD_NOW_MS + (int64_t)i * PS_MERGE_RUNS + run;
        value.real = (double)(ts_ms * 7919 % 1000003) / 1000;
        if (!world->row_points++)
            ps_journal_begin(&world->encoder, &world->blob);
        ps_journal_put(&world->encoder, 1, ts_ms, &value, 0); /* not in the model: too many */
    }
}

/* One series of millions of points, interleaved over all runs, merged in several legs between which
 * the same file is sealed into. */
static void a_merge_rests_and_a_seal_uses_the_same_file_meanwhile(void **state)
{
    (void)state;
    enum { POINTS = 400000 };
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 2);
    world.keep.memory_max = 64 << 20;
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        put_noise(&world, i, POINTS);
        seal_row(&world);
    }
    struct resting resting = { .world = &world };
    world.keep.breathe = seal_while_resting;
    world.keep.breathe_arg = &resting;
    struct ps_merge_result result = merge_once(&world);
    world.keep.breathe = NULL;
    assert_int_equal(result.points_out, POINTS * PS_MERGE_RUNS);
    assert_true(resting.rests >= 1);
    assert_true(resting.seals >= 1);
    assert_int_equal(live_runs(&world), 1 + resting.seals);
    assert_int_equal(keep_world_stored_points(&world), POINTS * PS_MERGE_RUNS + resting.seals);
    struct ps_run_file *file;
    struct ps_run_verified verified;
    struct ps_range range;
    ps_range_of(PS_RANGE_WEEK, WORLD_NOW_MS, &range);
    assert_int_equal(ps_store_borrow(world.store, range.name, false, &file, NULL), PS_OK);
    assert_int_equal(ps_run_file_verify(file, false, NULL, NULL, &verified), PS_OK);
    assert_int_equal(verified.damaged, 0);
    ps_store_return(world.store, file);
    keep_world_deinit(&world);
}

/* ---- damage and interruption ---- */

static void overwrite(const struct keep_world *world, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/telemetry/%s.db", world->temp.folder, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    for (long at = 16384; at < size; at += 512) {
        fseek(file, at, SEEK_SET);
        fputs("damage", file);
    }
    fclose(file);
}

static void a_damaged_file_is_set_aside_and_the_others_go_on(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_merge_result result;
    struct ps_range range;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        for (int k = 0; k < 500; k++) {
            keep_world_put_long(&world, 1, WORLD_NOW_MS + i * 500 + k, k * k * 7919 % 100003);
            keep_world_put_long(&world, 1, WORLD_NOW_MS + 9 * WORLD_DAY_MS + i * 500 + k, k);
        }
        seal_row(&world);
    }
    ps_range_of(PS_RANGE_WEEK, WORLD_NOW_MS, &range);
    ps_store_close(world.store); /* no handle has pages of it in memory */
    struct ps_text why;
    struct ps_store_settings settings = { .dir = world.temp.folder };
    assert_int_equal(ps_store_open(&settings, &world.store, &why), PS_OK);
    world.keep.store = world.store;
    overwrite(&world, range.name);
    bool damaged = false;
    while (ps_merge_once(&world.keep, world.now_ms, &result) == PS_OK)
        damaged |= result.damaged;
    assert_true(damaged);
    assert_int_equal(ps_store_damaged(world.store, NULL), 1);
    assert_int_equal(
        keep_world_number(&world, "SELECT count(*) FROM telemetry_file WHERE state = 1"), 1);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_run AS r"
                                               " JOIN telemetry_file AS f ON f.id = r.file"
                                               " WHERE f.state = 0 AND r.retired_ms IS NULL"),
                     1);
    keep_world_put_long(&world, 1, WORLD_NOW_MS, 4711); /* its range gets a new file */
    seal_row(&world);
    assert_int_equal(
        keep_world_number(&world, "SELECT count(*) FROM telemetry_file WHERE state = 0"), 2);
    keep_world_deinit(&world);
}

static void a_merge_without_its_manifest_has_not_happened(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_merge_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 2);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        for (int k = 0; k < 50; k++)
            keep_world_put_long(&world, 1 + (uint32_t)k % 2, WORLD_NOW_MS + (i * 30 + k), i);
        seal_row(&world);
    }
    keep_world_exec(&world, "CREATE TRIGGER boom BEFORE UPDATE ON telemetry_run"
                            " BEGIN SELECT RAISE(ABORT, 'boom'); END");
    assert_int_not_equal(ps_merge_once(&world.keep, world.now_ms, &result), PS_OK);
    keep_world_exec(&world, "DROP TRIGGER boom");
    assert_int_equal(live_runs(&world), PS_MERGE_RUNS);
    keep_world_check(&world);
    keep_world_restart(&world);
    keep_world_check(&world);
    merge_once(&world);
    keep_world_check(&world);
    keep_world_restart(&world);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* ---- anything ---- */

enum { SERIES = 12, TIMES = 60, STEPS = 120, ROUNDS = 3 };

static struct ps_value random_value(unsigned *seed, char text[WORLD_TEXT_SIZE])
{
    struct ps_value value = { .type = (enum ps_value_type)(1 + rand_r(seed) % 5) };
    switch (value.type) {
    case PS_VALUE_BOOLEAN:
        value.boolean = rand_r(seed) % 2;
        break;
    case PS_VALUE_LONG:
        value.integer = (int64_t)rand_r(seed) << rand_r(seed) % 32;
        break;
    case PS_VALUE_DOUBLE:
        value.real = (double)rand_r(seed) / (rand_r(seed) % 3 ? 100 : 7);
        break;
    default:
        value.len = (uint32_t)snprintf(text, WORLD_TEXT_SIZE, "\"%d\"", rand_r(seed) % 100);
        value.text = text;
        break;
    }
    return value;
}

static int64_t random_ts(const struct keep_world *world, unsigned *seed)
{
    int kind = rand_r(seed) % 40;
    if (kind == 0)
        return rand_r(seed) % 2 ? INT64_MIN + rand_r(seed) % 3 : INT64_MAX - rand_r(seed) % 3;
    if (kind < 6) /* late */
        return WORLD_NOW_MS - 20 * WORLD_DAY_MS + rand_r(seed) % TIMES * (WORLD_DAY_MS / 4);
    return world->now_ms - rand_r(seed) % TIMES * 3600000ll;
}

static void write_row(struct keep_world *world, unsigned *seed)
{
    int points = 1 + rand_r(seed) % 60;
    for (int i = 0; i < points; i++) {
        char text[WORLD_TEXT_SIZE];
        uint32_t series = 1 + (uint32_t)rand_r(seed) % SERIES;
        struct ps_value value = random_value(seed, text);
        uint32_t ttl_s = rand_r(seed) % 4 ? 0 : (uint32_t)(rand_r(seed) % 30 + 1) * 43200;
        if (world->is_gone[series])
            continue;
        keep_world_put(world, series, random_ts(world, seed), &value, ttl_s);
        if (rand_r(seed) % 50 == 0) {
            int64_t start_ms = random_ts(world, seed);
            int64_t end_ms =
                rand_r(seed) % 3 ? start_ms + rand_r(seed) % 100 * 3600000ll : INT64_MAX;
            keep_world_delete(world, series, start_ms, end_ms < start_ms ? INT64_MAX : end_ms);
        }
    }
    keep_world_commit(world);
}

static void fail_at(struct keep_world *world, unsigned *seed)
{
    struct ps_seal_result sealed;
    struct ps_merge_result merged;
    bool inserting = rand_r(seed) % 2;
    keep_world_exec(world, inserting ? "CREATE TRIGGER boom BEFORE INSERT ON telemetry_state"
                                       " BEGIN SELECT RAISE(ABORT, 'boom'); END"
                                     : "CREATE TRIGGER boom BEFORE UPDATE ON telemetry_run"
                                       " BEGIN SELECT RAISE(ABORT, 'boom'); END");
    if (inserting)
        (void)!ps_seal_once(&world->keep, &sealed);
    else
        (void)!ps_merge_once(&world->keep, world->now_ms, &merged);
    keep_world_exec(world, "DROP TRIGGER boom");
    keep_world_check(world);
    if (rand_r(seed) % 2)
        keep_world_restart(world);
}

static void take_step(struct keep_world *world, unsigned *seed)
{
    struct ps_seal_result sealed;
    struct ps_merge_result merged;
    struct ps_retention_result tidied;
    bool more;
    int kind = rand_r(seed) % 32;
    if (kind < 14) {
        write_row(world, seed);
    } else if (kind < 22) {
        (void)!ps_seal_once(&world->keep, &sealed);
    } else if (kind < 24) {
        assert_int_equal(ps_seal_trim(&world->keep, &more), PS_OK);
    } else if (kind < 27) {
        (void)!ps_merge_once(&world->keep, world->now_ms, &merged);
    } else if (kind < 29) {
        keep_world_set_now(world, world->now_ms + rand_r(seed) % 4 * 7 * 3600000ll);
        assert_int_equal(ps_retention_apply(&world->keep, world->now_ms, &tidied), PS_OK);
    } else if (kind < 30) {
        keep_world_restart(world);
    } else if (kind < 31) {
        fail_at(world, seed);
    } else if (rand_r(seed) % 8 == 0) {
        keep_world_remove_series(world, 1 + (uint32_t)rand_r(seed) % SERIES);
    }
}

static void any_history_comes_out_as_the_naive_model_says(void **state)
{
    (void)state;
    const char *wanted = getenv("PS_TEST_SEED");
    unsigned first = wanted ? (unsigned)atoi(wanted) : 1, last = wanted ? first : ROUNDS;
    for (unsigned round = first; round <= last; round++) {
        unsigned seed = round;
        struct keep_world world;
        keep_world_init(&world);
        keep_world_add_series(&world, SERIES);
        world.keep.default_ttl_s = round % 3 == 1 ? 0 : round % 3 * 6 * 86400;
        world.keep.memory_max = round % 2 ? 1 << 20 : 4000;
        world.keep.settle_ms = round % 4 * 3600000;
        for (int step = 0; step < STEPS; step++) {
            take_step(&world, &seed);
            if (step % 5 == 0)
                keep_world_check(&world);
        }
        keep_world_seal_all(&world);
        keep_world_merge_all(&world);
        keep_world_check(&world);
        keep_world_deinit(&world);
    }
}

/* A run of the week, values at `at` of its first days. */
static void seal_with(struct keep_world *world, enum ps_range_unit range, int64_t at, int64_t value)
{
    world->keep.range = range;
    keep_world_put_long(world, 1, WORLD_NOW_MS + at, value);
    seal_row(world);
}

/* telemetry.range was changed and changed back: the file of the day has a value that is later than
 * one of the week, and earlier than others of the week. */
static void a_value_keeps_its_place_among_files_that_overlap(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_merge_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < PS_MERGE_RUNS - 1; i++)
        seal_with(&world, PS_RANGE_WEEK, i, 100 + i);
    seal_with(&world, PS_RANGE_DAY, 0, 200); /* replaces the first */
    seal_with(&world, PS_RANGE_DAY, 50, 250);
    for (int i = 1; i < PS_MERGE_RUNS; i++)
        seal_with(&world, PS_RANGE_WEEK, 50 + i / 2, 300 + i);
    keep_world_check(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &result), PS_ENOTFOUND);
    seal_with(&world, PS_RANGE_WEEK, 60, 400);
    assert_int_equal(merge_once(&world).inputs, PS_MERGE_RUNS); /* those after the day's */
    keep_world_check(&world);
    keep_world_set_now(&world, WORLD_NOW_MS + 30 * WORLD_DAY_MS);
    keep_world_merge_all(&world);
    assert_int_equal(live_runs(&world), 3); /* the day's, and the week's before and after */
    keep_world_check(&world);
    for (int64_t file = 1; file <= 2; file++) {
        enum ps_status st = ps_merge_file(&world.keep, file, world.now_ms, &result);
        assert_true(st == PS_OK || st == PS_ENOTFOUND);
        keep_world_check(&world);
    }
    keep_world_deinit(&world);
}

/* A run that stands alone is all that can be rewritten at a time. */
static void a_file_that_cannot_become_one_run_is_rewritten_once_a_day(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_retention_result tidied;
    struct ps_merge_result merged;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    seal_with(&world, PS_RANGE_WEEK, 0, 1);
    seal_with(&world, PS_RANGE_DAY, 1, 2);
    seal_with(&world, PS_RANGE_WEEK, 2, 3);
    keep_world_delete(&world, 1, WORLD_NOW_MS + 2, WORLD_NOW_MS + 3); /* of the week's last */
    for (int day = 1; day <= 2; day++) {
        keep_world_set_now(&world, world.now_ms + WORLD_DAY_MS);
        assert_int_equal(ps_retention_apply(&world.keep, world.now_ms, &tidied), PS_OK);
        assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_OK);
        assert_int_equal(ps_retention_apply(&world.keep, world.now_ms, &tidied), PS_OK);
        assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_ENOTFOUND);
        keep_world_check(&world);
    }
    keep_world_deinit(&world);
}

/* Its inputs stay in the file for a while: who remakes the manifest from the file must see that
 * they are not live. */
static void a_merge_that_leaves_nothing_says_so_in_the_file(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_run_list runs = { 0 };
    struct ps_run_file *file;
    struct ps_range range;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < PS_MERGE_RUNS; i++)
        seal_with(&world, PS_RANGE_WEEK, i, i);
    keep_world_delete(&world, 1, INT64_MIN, INT64_MAX);
    keep_world_commit(&world);
    assert_int_equal(merge_once(&world).points_out, 0);
    assert_int_equal(live_runs(&world), 0);
    ps_range_of(PS_RANGE_WEEK, WORLD_NOW_MS, &range);
    assert_int_equal(ps_store_borrow(world.store, range.name, false, &file, NULL), PS_OK);
    assert_int_equal(ps_run_file_runs(file, &runs), PS_OK);
    assert_int_equal(runs.count, PS_MERGE_RUNS + 1);
    ps_run_list_drop_merged(&runs);
    assert_int_equal(runs.count, 0);
    ps_run_list_deinit(&runs);
    ps_store_return(world.store, file);
    keep_world_restart(&world);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_run"), 0);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* The table of times to live may lack a series that was made out of order, and does not look again
 * for each of those that are gone. */
static void only_what_the_catalogue_does_not_have_is_orphaned(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_keep *keep = &world.keep;
    uint32_t ttl_s;
    keep_world_init(&world);
    keep_world_add_series(&world, 4);
    const char *away = "CREATE TABLE away AS SELECT * FROM series WHERE id = 2;"
                       "DELETE FROM series WHERE id = 2";
    assert_int_equal(ps_db_exec(world.temp.db, away), PS_OK);
    assert_int_equal(ps_keep_load_ttl(keep), PS_OK);
    assert_int_equal(ps_db_exec(world.temp.db, "INSERT INTO series SELECT * FROM away;"
                                               "DELETE FROM series WHERE id = 3"),
                     PS_OK);
    for (int i = 0; i < 500; i++)
        assert_int_equal(ps_keep_default_ttl(keep, 2, &ttl_s), PS_OK);
    keep->ttl_loaded_ms = 1;
    keep->ttl_misses = 0;
    for (int i = 0; i < 500; i++)
        assert_int_equal(ps_keep_default_ttl(keep, 99, &ttl_s), PS_ENOTFOUND);
    assert_int_equal(keep->ttl_loaded_ms, 1); /* not read anew for any of them */
    keep_world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_keeps_its_place_among_files_that_overlap),
        cmocka_unit_test(a_file_that_cannot_become_one_run_is_rewritten_once_a_day),
        cmocka_unit_test(a_merge_that_leaves_nothing_says_so_in_the_file),
        cmocka_unit_test(eight_runs_become_one_of_the_next_level),
        cmocka_unit_test(only_what_the_catalogue_does_not_have_is_orphaned),
        cmocka_unit_test(a_quiet_file_whose_range_is_over_becomes_one_run),
        cmocka_unit_test(an_expired_point_does_not_uncover_what_it_replaced),
        cmocka_unit_test(what_is_expired_deleted_or_orphaned_leaves_at_a_merge),
        cmocka_unit_test(a_series_is_the_same_however_many_points_it_has),
        cmocka_unit_test(a_short_series_of_long_texts_stays_whole),
        cmocka_unit_test(a_merge_that_leaves_nothing_leaves_no_run),
        cmocka_unit_test(a_merge_rests_and_a_seal_uses_the_same_file_meanwhile),
        cmocka_unit_test(a_damaged_file_is_set_aside_and_the_others_go_on),
        cmocka_unit_test(a_merge_without_its_manifest_has_not_happened),
        cmocka_unit_test(any_history_comes_out_as_the_naive_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
