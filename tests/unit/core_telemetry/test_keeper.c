/* The keeper: seals, trims, merges and checkpoints by itself beside commits, stops when it is told
 * to, and never gives up nor spins when something fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include <string.h>

#include "core/clock.h"
#include "core/metrics.h"
#include "core/storage/disk_budget.h"
#include "core/telemetry/keeper.h"
#include "unit/core_telemetry/keep_world.h"

enum { DEADLINE_S = 60, LANE = 1 };

struct fixture {
    struct keep_world world;
    struct ps_metrics *metrics;
    struct ps_keeper *keeper;
    struct ps_keeper_settings settings;
    _Atomic int64_t sealed_seq;
};

static void fixture_init(struct fixture *f)
{
    keep_world_init(&f->world);
    ps_clock_set_for_test(-1, -1); /* a thread waits by the real one */
    keep_world_add_series(&f->world, 8);
    assert_int_equal(ps_metrics_create(2, &f->metrics), PS_OK);
    f->keeper = NULL;
    f->sealed_seq = -1;
    f->settings = (struct ps_keeper_settings){ .dir = f->world.temp.folder,
                                               .db_path = f->world.temp.path,
                                               .writer = f->world.writer,
                                               .store = f->world.store,
                                               .metrics = f->metrics,
                                               .metrics_lane = LANE,
                                               .sealed_seq = &f->sealed_seq,
                                               .range = PS_RANGE_WEEK,
                                               .journal_bytes_max = 100000,
                                               .seal_interval_ms = 3600000,
                                               .seal_memory_bytes = 1 << 20 };
}

static void start(struct fixture *f)
{
    assert_int_equal(ps_keeper_start(&f->settings, &f->keeper), PS_OK);
}

static void stop(struct fixture *f)
{
    ps_keeper_stop(f->keeper);
    f->keeper = NULL;
}

static void fixture_deinit(struct fixture *f)
{
    stop(f);
    ps_metrics_destroy(f->metrics);
    keep_world_deinit(&f->world);
}

static int64_t metric(const struct fixture *f, enum ps_metric id)
{
    return ps_metrics_read(f->metrics, id);
}

static void short_rest(void)
{
    struct timespec rest = { .tv_nsec = 2000000 };
    nanosleep(&rest, NULL);
}

static void wait_for_metric(const struct fixture *f, enum ps_metric id, int64_t least)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (metric(f, id) < least) {
        assert_true(time(NULL) < deadline);
        short_rest();
    }
}

static void wait_for_number(struct fixture *f, const char *sql, int64_t number)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (keep_world_number(&f->world, sql) != number) {
        assert_true(time(NULL) < deadline);
        short_rest();
    }
}

/* Rows of 100 points, about 600 bytes. */
static void write_rows(struct fixture *f, int from, int rows)
{
    for (int row = from; row < from + rows; row++) {
        for (int i = 0; i < 100; i++)
            keep_world_put_long(&f->world, 1 + (uint32_t)i % 8, WORLD_NOW_MS + row * 100 + i,
                                row * 7919 % 1000);
        keep_world_commit(&f->world);
    }
}

static void enough_bytes_are_sealed_and_trimmed_without_being_asked(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    start(&f);
    write_rows(&f, 0, 50);
    assert_int_equal(metric(&f, PS_METRIC_SEALS), 0); /* not yet */
    assert_true(metric(&f, PS_METRIC_UNSEALED_BYTES) > 10000);
    write_rows(&f, 50, 250);
    wait_for_metric(&f, PS_METRIC_SEALS, 1);
    wait_for_number(&f,
                    "SELECT count(*) FROM journal WHERE seq <="
                    " (SELECT value FROM telemetry_state WHERE key = 'sealed_seq')",
                    0);
    assert_true(metric(&f, PS_METRIC_UNSEALED_BYTES) < 100000);
    assert_int_equal(metric(&f, PS_METRIC_SEALED_POINTS), keep_world_stored_points(&f.world));
    assert_true(metric(&f, PS_METRIC_SEALED_BYTES) > 0);
    stop(&f);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

static void few_bytes_are_sealed_when_they_are_old_enough(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.settings.seal_interval_ms = 100;
    start(&f);
    write_rows(&f, 0, 1);
    wait_for_metric(&f, PS_METRIC_SEALS, 1);
    wait_for_number(&f, "SELECT count(*) FROM journal", 0);
    write_rows(&f, 1, 1); /* and again, after it slept */
    wait_for_metric(&f, PS_METRIC_SEALED_POINTS, 200);
    stop(&f);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

static void seal_now_seals_all_that_is_committed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    start(&f);
    assert_int_equal(ps_keeper_seal_now(f.keeper), PS_OK); /* nothing there */
    write_rows(&f, 0, 3);
    assert_int_equal(ps_keeper_seal_now(f.keeper), PS_OK);
    assert_int_equal(metric(&f, PS_METRIC_SEALED_POINTS), 300);
    assert_int_equal(metric(&f, PS_METRIC_UNSEALED_BYTES), 0);
    assert_int_equal(f.sealed_seq, 3);
    assert_int_equal(keep_world_number(&f.world, "SELECT count(*) FROM journal"), 0);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        write_rows(&f, 3 + i, 1);
        assert_int_equal(ps_keeper_seal_now(f.keeper), PS_OK);
    }
    assert_int_equal(ps_keeper_tidy_now(f.keeper), PS_OK);
    assert_true(metric(&f, PS_METRIC_MERGES) >= 1);
    assert_int_equal(metric(&f, PS_METRIC_FILES), 1);
    stop(&f);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

static void what_a_start_finds_in_the_journal_counts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.settings.seal_memory_bytes = 8 << 20; /* all of it in one pass */
    write_rows(&f, 0, 300);
    start(&f);
    wait_for_metric(&f, PS_METRIC_SEALED_POINTS, 30000);
    stop(&f);
    assert_int_equal(metric(&f, PS_METRIC_UNSEALED_BYTES), 0);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

static int64_t log_bytes(const struct fixture *f)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof path, "%s-wal", f->world.temp.path);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static enum ps_status insert_block(struct ps_db *db, void *arg)
{
    (void)arg;
    return ps_db_exec(db, "INSERT OR REPLACE INTO setting(key, value)"
                          " VALUES(hex(randomblob(1)), randomblob(20000))");
}

static void the_log_stays_small_while_commits_go_on(void **state)
{
    (void)state;
    struct fixture f;
    int64_t largest = 0;
    fixture_init(&f);
    start(&f);
    for (unsigned i = 0; i < 1000; i++) { /* 20 MB; the writer wants a checkpoint at 256 KB */
        assert_int_equal(ps_writer_call(f.world.writer, insert_block, NULL), PS_OK);
        int64_t now = log_bytes(&f);
        largest = now > largest ? now : largest;
    }
    print_message("largest log: %lld KB\n", (long long)largest / 1024);
    assert_true(largest < 16 * 256 * 1024);
    stop(&f);
    for (unsigned i = 0; i < 100; i++) /* alone again, the writer does it itself */
        assert_int_equal(ps_writer_call(f.world.writer, insert_block, NULL), PS_OK);
    assert_true(log_bytes(&f) < 16 * 256 * 1024);
    fixture_deinit(&f);
}

static void commits_beside_seals_and_merges_lose_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.settings.journal_bytes_max = 2000;
    f.settings.retired_keep_ms = 1;
    start(&f);
    time_t deadline = time(NULL) + DEADLINE_S;
    for (int i = 0; i < 300 || metric(&f, PS_METRIC_MERGES) < 1; i++) {
        assert_true(time(NULL) < deadline);
        if (i >= 300) /* the keeper took much at a time: give it more to merge */
            short_rest();
        write_rows(&f, i % 200, 1); /* some of it twice */
        if (i % 50 == 20)
            keep_world_delete(&f.world, 1 + (uint32_t)i % 8, WORLD_NOW_MS + i * 50,
                              WORLD_NOW_MS + i * 100);
    }
    assert_int_equal(ps_keeper_tidy_now(f.keeper), PS_OK);
    stop(&f);
    keep_world_check(&f.world);
    keep_world_restart(&f.world);
    ps_clock_set_for_test(-1, -1);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

static void a_failing_seal_is_tried_again_later_and_does_not_spin(void **state)
{
    (void)state;
    struct fixture f;
    struct rusage before, after;
    fixture_init(&f);
    keep_world_exec(&f.world, "CREATE TABLE attempts(n); CREATE TRIGGER boom"
                              " BEFORE INSERT ON telemetry_run"
                              " BEGIN SELECT RAISE(ABORT, 'boom'); END");
    f.settings.seal_interval_ms = 1;
    start(&f);
    write_rows(&f, 0, 1);
    int64_t until_ms = ps_clock_mono_ms() + 500;
    getrusage(RUSAGE_SELF, &before);
    while (ps_clock_mono_ms() < until_ms)
        short_rest();
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_utime.tv_sec - before.ru_utime.tv_sec <= 1);
    assert_int_equal(metric(&f, PS_METRIC_SEALS), 0);
    keep_world_exec(&f.world, "DROP TRIGGER boom");
    wait_for_metric(&f, PS_METRIC_SEALED_POINTS, 100);
    stop(&f);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

static int64_t processor_ms(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

/* Sealed, so nothing is due, but the rows do not go. */
static void a_failing_trim_is_tried_again_later_and_does_not_spin(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    keep_world_exec(&f.world, "CREATE TRIGGER boom BEFORE DELETE ON journal"
                              " BEGIN SELECT RAISE(ABORT, 'boom'); END");
    f.settings.journal_bytes_max = 1;
    start(&f);
    write_rows(&f, 0, 1);
    wait_for_metric(&f, PS_METRIC_SEALED_POINTS, 100);
    int64_t began_ms = ps_clock_mono_ms(), used_ms = processor_ms();
    while (ps_clock_mono_ms() - began_ms < 3000)
        short_rest();
    used_ms = processor_ms() - used_ms;
    keep_world_exec(&f.world, "DROP TRIGGER boom");
    wait_for_number(&f, "SELECT count(*) FROM journal", 0);
    assert_true(used_ms < 700);
    stop(&f);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

/* ---- space ---- */

struct disk {
    _Atomic int64_t free_bytes;
    _Atomic int looks;
};

static bool measure(void *arg, int64_t *free_bytes, int64_t *total_bytes)
{
    struct disk *disk = arg;
    *free_bytes = atomic_load(&disk->free_bytes);
    disk->looks++;
    *total_bytes = 1ll << 40;
    return true;
}

static void the_oldest_file_goes_when_the_disk_is_short(void **state)
{
    (void)state;
    struct fixture f;
    struct disk disk = { .free_bytes = 1ll << 39 };
    struct ps_disk_budget_settings settings = {
        .reserve_bytes = 1ll << 30, .shed_oldest = true, .measure = measure, .measure_arg = &disk
    };
    fixture_init(&f);
    settings.dir = f.world.temp.folder;
    assert_int_equal(ps_disk_budget_open(&settings, &f.settings.budget), PS_OK);
    start(&f);
    for (int week = 0; week < 3; week++)
        keep_world_put_long(&f.world, 1, WORLD_NOW_MS + week * 7 * WORLD_DAY_MS, week);
    keep_world_commit(&f.world);
    assert_int_equal(ps_keeper_seal_now(f.keeper), PS_OK);
    disk.free_bytes = (1ll << 30) - 1;
    wait_for_metric(&f, PS_METRIC_FILES_SHED, 1);
    disk.free_bytes = 1ll << 39;
    stop(&f);
    assert_true(keep_world_number(&f.world, "SELECT min(min_ms) FROM telemetry_run") >
                WORLD_NOW_MS);
    ps_disk_budget_close(f.settings.budget);
    fixture_deinit(&f);
}

/* What was dropped while it is read gives its room back when it is not read any more: no other file
 * has to go for it. */
static void a_file_that_is_still_read_is_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    struct disk disk = { .free_bytes = 1ll << 39 };
    struct ps_disk_budget_settings settings = {
        .reserve_bytes = 1ll << 30, .shed_oldest = true, .measure = measure, .measure_arg = &disk
    };
    struct ps_range range;
    struct ps_run_file *read;
    fixture_init(&f);
    settings.dir = f.world.temp.folder;
    assert_int_equal(ps_disk_budget_open(&settings, &f.settings.budget), PS_OK);
    start(&f);
    for (int week = 0; week < 4; week++)
        keep_world_put_long(&f.world, 1, WORLD_NOW_MS + week * 7 * WORLD_DAY_MS, week);
    keep_world_commit(&f.world);
    assert_int_equal(ps_keeper_seal_now(f.keeper), PS_OK);
    wait_for_metric(&f, PS_METRIC_FILES, 4);
    ps_range_of(PS_RANGE_WEEK, WORLD_NOW_MS, &range);
    assert_int_equal(ps_store_borrow(f.world.store, range.name, false, &read, NULL), PS_OK);
    disk.free_bytes = (1ll << 30) - 1;
    wait_for_metric(&f, PS_METRIC_FILES_SHED, 1);
    assert_true(ps_store_leaving_bytes(f.world.store) > 0);
    for (int looks = disk.looks + 3; disk.looks < looks;)
        short_rest();
    assert_int_equal(metric(&f, PS_METRIC_FILES_SHED), 1);
    assert_int_equal(metric(&f, PS_METRIC_FILES), 3);
    ps_store_return(f.world.store, read);
    assert_int_equal(ps_store_leaving_bytes(f.world.store), 0);
    wait_for_metric(&f, PS_METRIC_FILES_SHED, 2); /* it was not enough */
    disk.free_bytes = 1ll << 39;
    stop(&f);
    ps_disk_budget_close(f.settings.budget);
    fixture_deinit(&f);
}

/* ---- stopping ---- */

static void stopping_in_the_middle_of_a_merge_is_quick_and_loses_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.settings.seal_memory_bytes = 64 << 20;
    start(&f);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        for (int k = 0; k < 2000; k++)
            keep_world_put_long(&f.world, 1 + (uint32_t)k % 8, WORLD_NOW_MS + i + k * 10, k * i);
        keep_world_commit(&f.world);
        assert_int_equal(ps_keeper_seal_now(f.keeper), PS_OK);
    }
    int64_t before_ms = ps_clock_mono_ms();
    stop(&f);
    assert_true(ps_clock_mono_ms() - before_ms < DEADLINE_S * 1000);
    keep_world_check(&f.world);
    keep_world_restart(&f.world);
    keep_world_check(&f.world);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_bytes_are_sealed_and_trimmed_without_being_asked),
        cmocka_unit_test(few_bytes_are_sealed_when_they_are_old_enough),
        cmocka_unit_test(seal_now_seals_all_that_is_committed),
        cmocka_unit_test(what_a_start_finds_in_the_journal_counts),
        cmocka_unit_test(the_log_stays_small_while_commits_go_on),
        cmocka_unit_test(commits_beside_seals_and_merges_lose_nothing),
        cmocka_unit_test(a_failing_seal_is_tried_again_later_and_does_not_spin),
        cmocka_unit_test(a_failing_trim_is_tried_again_later_and_does_not_spin),
        cmocka_unit_test(the_oldest_file_goes_when_the_disk_is_short),
        cmocka_unit_test(a_file_that_is_still_read_is_waited_for),
        cmocka_unit_test(stopping_in_the_middle_of_a_merge_is_quick_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
