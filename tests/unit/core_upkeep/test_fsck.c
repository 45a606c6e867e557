/* fsck: sees what is wrong, says nothing of what is right, and remakes what can be remade. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>

#include "core/telemetry/latest_pin.h"
#include "core/upkeep/restore.h"

#include "fsck_world.h"

static void what_is_right_is_clean(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    assert_clean(&world);
    struct ps_fsck_result result = check(&world, true);
    assert_int_equal(result.problems, 0);
    assert_int_equal(result.repaired, 0);
    assert_int_equal(result.points, 2 * DATA_WORLD_POINTS);
    assert_int_equal(result.files, 1);
    assert_int_equal(result.runs, 1);
    assert_int_equal(result.series, 2);
    assert_int_equal(result.journal_rows, 1);
    assert_string_equal(world.said, "");
    data_world_deinit(&world);
}

static void a_missing_file_is_forgotten(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    assert_int_equal(unlink(data_world_path(world.dir, "telemetry/2026-W47.db")), 0);
    assert_problem(&world, "2026-W47.db is missing: 10000 points");
    assert_repaired(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_run"), 0);
    data_world_deinit(&world);
}

/* Series 1 lost its newest point and kept it as its latest value. */
static enum ps_status keep_latest(struct ps_db *db)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 30 };
    return ps_latest_pin_keep(db, 1, DATA_WORLD_START_MS + 5, &value, 0);
}

static void a_damaged_pin_gives_way_to_the_newest_point(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_db *db;
    struct ps_text why;
    data_world_init(&world);
    assert_int_equal(
        ps_db_open(data_world_path(world.dir, "pacificsoft.db"), PS_DB_WRITER, &db, &why), PS_OK);
    assert_int_equal(keep_latest(db), PS_OK);
    ps_db_close(db);
    assert_clean(&world);
    assert_int_equal(check(&world, true).repaired, 0);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM latest_pin"), 1);
    data_world_exec(world.dir, "UPDATE latest_pin SET point = x'0201'");
    assert_problem(&world, "the kept latest value of series 1 is damaged");
    assert_repaired(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM latest_pin"), 0);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM series"
                                                  " WHERE latest_floor_ms IS NOT NULL"),
                     0);
    data_world_deinit(&world);
}

static void a_lost_manifest_is_remade_from_the_files(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_seal(world.dir, DATA_WORLD_START_MS + 7 * 86400000ll, 9, 100);
    data_world_exec(world.dir, "DELETE FROM telemetry_run; DELETE FROM telemetry_file;"
                               "DELETE FROM telemetry_state; DELETE FROM series;");
    assert_problem(&world, "2026-W47.db: 1 runs, and the manifest knows none of them");
    assert_non_null(strstr(world.said, "2026-W48.db: 1 runs"));
    assert_non_null(strstr(world.said, "temperature) is missing in the catalogue"));
    assert_repaired(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT sum(points) FROM telemetry_run"), 10200);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM series"), 2);
    assert_int_equal(
        data_world_number(world.dir, "SELECT value FROM telemetry_state WHERE key='sealed_seq'"),
        9);
    /* The row that was not sealed is still not sealed. */
    assert_int_equal(data_world_number(world.dir, "SELECT min(seq) > 9 FROM journal"), 1);
    data_world_deinit(&world);
}

/* Files of earlier versions have rows instead of pages; some have both. */
static void a_lost_catalogue_is_remade_from_rows_as_well(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        struct data_world world;
        data_world_init(&world);
        change_file(&world, "INSERT INTO series VALUES"
                            " (1, 6, x'11111111111141119111111111111111', 'temperature'),"
                            " (2, 6, x'11111111111141119111111111111111', 'humidity')");
        if (!both)
            change_file(&world, "DROP TABLE series_page");
        assert_clean(&world);
        data_world_exec(world.dir, "DELETE FROM series");
        struct ps_fsck_result result = check(&world, false);
        assert_int_equal(result.problems, 2); /* not told twice */
        assert_repaired(&world);
        assert_int_equal(data_world_number(world.dir,
                                           "SELECT count(*) FROM series WHERE entity ="
                                           " x'11111111111141119111111111111111' AND"
                                           " key = iif(id = 1, 'temperature', 'humidity')"),
                         2);
        data_world_deinit(&world);
    }
}

static void only_runs_that_no_merge_replaced_come_back(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    struct ps_run second = data_world_seal(world.dir, DATA_WORLD_START_MS, 2, 10);
    struct ps_run_file *file;
    struct ps_text why;
    assert_int_equal(ps_run_file_open(data_world_path(world.dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_WRITE, NULL, &file, &why),
                     PS_OK);
    /* As if a merge had written it: it covers both, is one level up and has a later number. */
    assert_int_equal(ps_db_exec(ps_run_file_db(file),
                                "UPDATE run SET level = 1, journal_first = 1 WHERE run = 2"),
                     PS_OK);
    ps_run_file_close(file);
    data_world_exec(world.dir, "DELETE FROM telemetry_run");
    check(&world, true);
    assert_int_equal(second.run, 2);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_run"), 1);
    assert_int_equal(data_world_number(world.dir, "SELECT run FROM telemetry_run"), 2);
    data_world_deinit(&world);
}

static void numbers_of_the_manifest_are_those_of_the_file(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "UPDATE telemetry_run SET points = 1, max_ms = 0");
    assert_problem(&world, "run 1 is not as the manifest says");
    assert_repaired(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT points FROM telemetry_run"), 10000);
    data_world_deinit(&world);
}

static void a_run_that_is_not_in_its_file_is_forgotten(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "INSERT INTO telemetry_run SELECT file, 77, level, journal_first,"
                               " journal_last, points, bytes, min_ms, max_ms, max_ttl_s,"
                               " has_default_ttl, created_ms, NULL FROM telemetry_run");
    assert_problem(&world, "run 77 (10000 points) is missing");
    assert_repaired(&world);
    data_world_deinit(&world);
}

static void left_overs_of_an_interrupted_seal_are_no_problem(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_seal(world.dir, DATA_WORLD_START_MS, 1, 50);
    data_world_exec(world.dir, "DELETE FROM telemetry_run WHERE run = 2");
    assert_clean(&world);
    assert_non_null(strstr(world.said, "note: 2026-W47.db: 1 runs of an interrupted seal"));
    check(&world, true);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_run"), 1);
    data_world_deinit(&world);
}

static void a_deleted_device_leaves_series_that_nobody_misses(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "DELETE FROM series; DELETE FROM device");
    assert_clean(&world);
    data_world_deinit(&world);
}

static void a_series_under_a_foreign_id_is_told(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "UPDATE series SET key = 'pressure' WHERE id = 1");
    assert_problem(&world, "is another one in the catalogue");
    check(&world, true);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM series"), 2);
    data_world_deinit(&world);
}

static void a_damaged_journal_row_is_put_aside(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "INSERT INTO journal VALUES (7, x'02deadbeef')");
    assert_problem(&world, "journal row 7 (5 bytes) is damaged");
    assert_repaired(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(access(data_world_path(world.dir, "journal-7.damaged"), F_OK), 0);
    data_world_deinit(&world);
}

static void counters_behind_what_is_used_are_set_right(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "UPDATE telemetry_state SET value = 1 WHERE key = 'next_series'");
    assert_problem(&world, "counter next_series is 1, but 2 is in use");
    assert_repaired(&world);
    data_world_deinit(&world);
}

static void references_into_nothing_are_told(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "PRAGMA foreign_keys = OFF; DELETE FROM device_profile");
    assert_problem(&world, "a row of device refers to a missing device_profile");
    data_world_deinit(&world);
}

static enum ps_status run_fsck(struct data_world *world, struct ps_text *why)
{
    struct ps_fsck_result result;
    struct ps_fsck_settings settings = { .dir = world->dir };
    return ps_fsck_run(&settings, &result, why);
}

static void a_half_restore_is_not_looked_at(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_text why;
    data_world_init(&world);
    close(open(data_world_path(world.dir, PS_RESTORE_MARKER), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(run_fsck(&world, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "a restore was interrupted"));
    data_world_deinit(&world);
}

static void what_cannot_be_looked_at_is_refused(void **state)
{
    (void)state;
    struct data_world world;
    struct ps_text why;
    data_world_init(&world);
    int fd = open(data_world_path(world.dir, "lock"), O_CREAT | O_RDWR, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(run_fsck(&world, &why), PS_EBUSY);
    close(fd);
    data_world_exec(world.dir, "INSERT INTO schema_version VALUES (99, 0)");
    assert_int_equal(run_fsck(&world, &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.data, "99"));
    assert_int_equal(truncate(data_world_path(world.dir, "pacificsoft.db"), 5000), 0);
    assert_int_equal(run_fsck(&world, &why), PS_EPROTO);
    assert_int_equal(unlink(data_world_path(world.dir, "pacificsoft.db")), 0);
    assert_int_equal(run_fsck(&world, &why), PS_ENOTFOUND);
    data_world_deinit(&world);
}

int main(void)
{
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_clean),
        cmocka_unit_test(a_half_restore_is_not_looked_at),
        cmocka_unit_test(a_missing_file_is_forgotten),
        cmocka_unit_test(a_damaged_pin_gives_way_to_the_newest_point),
        cmocka_unit_test(a_lost_manifest_is_remade_from_the_files),
        cmocka_unit_test(a_lost_catalogue_is_remade_from_rows_as_well),
        cmocka_unit_test(only_runs_that_no_merge_replaced_come_back),
        cmocka_unit_test(numbers_of_the_manifest_are_those_of_the_file),
        cmocka_unit_test(a_run_that_is_not_in_its_file_is_forgotten),
        cmocka_unit_test(left_overs_of_an_interrupted_seal_are_no_problem),
        cmocka_unit_test(a_deleted_device_leaves_series_that_nobody_misses),
        cmocka_unit_test(a_series_under_a_foreign_id_is_told),
        cmocka_unit_test(a_damaged_journal_row_is_put_aside),
        cmocka_unit_test(counters_behind_what_is_used_are_set_right),
        cmocka_unit_test(references_into_nothing_are_told),
        cmocka_unit_test(what_cannot_be_looked_at_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
