/* fsck: sees what is wrong, says nothing of what is right, and remakes what can be remade. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>

#include "core/log.h"
#include "core/telemetry/run_reader.h"
#include "core/upkeep/fsck.h"
#include "core/upkeep/restore.h"

#include "data_world.h"

static struct ps_fsck_result check(struct data_world *world, bool rebuild)
{
    struct ps_fsck_result result;
    struct ps_text why;
    struct ps_fsck_settings settings = { .dir = world->dir,
                                         .rebuild = rebuild,
                                         .watcher = data_world_watcher(world) };
    world->said[0] = '\0';
    if (ps_fsck_run(&settings, &result, &why) != PS_OK) {
        print_error("%s\n%s", why.data, world->said);
        fail();
    }
    return result;
}

static void assert_clean(struct data_world *world)
{
    struct ps_fsck_result result = check(world, false);
    if (result.problems != 0) {
        print_error("%s", world->said);
        fail();
    }
}

/* Something is wrong: it is told so, and a check changes nothing. */
static void assert_problem(struct data_world *world, const char *words)
{
    for (int i = 0; i < 2; i++) {
        struct ps_fsck_result result = check(world, false);
        if (result.problems < 1 || !strstr(world->said, words)) {
            print_error("wanted \"%s\" in:\n%s", words, world->said);
            fail();
        }
        assert_int_equal(result.repaired, 0);
    }
}

static void assert_repaired(struct data_world *world)
{
    struct ps_fsck_result result = check(world, true);
    if (result.repaired < 1) {
        print_error("%s", world->said);
        fail();
    }
    assert_clean(world);
}

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

/* Change what a range file's own tables say, as damage would. */
static void change_file(struct data_world *world, const char *sql)
{
    struct ps_run_file *file;
    struct ps_text why;
    assert_int_equal(ps_run_file_open(data_world_path(world->dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_WRITE, NULL, &file, &why),
                     PS_OK);
    if (ps_db_exec(ps_run_file_db(file), sql) != PS_OK) {
        print_error("%s: %s\n", sql, ps_db_error(ps_run_file_db(file)));
        fail();
    }
    ps_run_file_close(file);
}

static int64_t ask_file(struct data_world *world, const char *sql)
{
    struct ps_run_file *file;
    struct ps_text why;
    struct ps_stmt *stmt;
    bool row = false;
    assert_int_equal(ps_run_file_open(data_world_path(world->dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_READ, NULL, &file, &why),
                     PS_OK);
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), sql, &stmt), PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    int64_t number = row ? ps_stmt_int(stmt, 0) : -1;
    ps_run_file_close(file);
    return number;
}

/* Every point in the file of this run is one that was sealed. */
static int64_t count_right_points(struct data_world *world, int64_t run)
{
    struct ps_run_want want = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, false };
    struct ps_chunk_points points = { 0 };
    struct ps_chunk_info info;
    struct ps_run_reader *reader;
    struct ps_run_file *file;
    struct ps_text why;
    int64_t count = 0;
    assert_int_equal(ps_run_file_open(data_world_path(world->dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_READ, NULL, &file, &why),
                     PS_OK);
    assert_int_equal(ps_run_reader_open(file, run, &want, &reader), PS_OK);
    while (ps_run_reader_next(reader, &info) == PS_OK) {
        assert_int_equal(ps_run_reader_decode(reader, &points), PS_OK);
        for (size_t i = 0; i < points.count; i++, count++) {
            int64_t n = (points.points[i].ts_ms - DATA_WORLD_START_MS) / 1000;
            double want_value = info.series * 10 + (double)(n * 7919 % 1000) / 10;
            assert_true(points.points[i].value.real == want_value);
        }
    }
    ps_run_reader_close(reader);
    ps_run_file_close(file);
    ps_chunk_points_deinit(&points);
    return count;
}

enum { MORE_POINTS = 150000, ALL_POINTS = 2 * DATA_WORLD_POINTS + 2 * MORE_POINTS };

/* A second run, of many blocks. */
static void init_with_more(struct data_world *world)
{
    data_world_init(world);
    struct ps_run run = data_world_seal(world->dir, DATA_WORLD_START_MS, 2, MORE_POINTS);
    data_world_exec(world->dir, "DELETE FROM journal WHERE seq <= 2");
    assert_int_equal(run.run, 2);
    assert_true(ask_file(world, "SELECT count(*) FROM block WHERE id >> 44 = 2") >= 10);
}

static bool is_there(struct data_world *world, const char *name)
{
    return access(data_world_path(world->dir, name), F_OK) == 0;
}

/* Rebuilt: the new file is whole, has `kept` points and the manifest says so; the damaged one lies
 * beside it. */
static void assert_salvaged(struct data_world *world, int64_t kept)
{
    char words[64];
    snprintf(words, sizeof words, " %lld points lost", (long long)(ALL_POINTS - kept));
    assert_non_null(strstr(world->said, "repaired: 2026-W47.db set aside as 2026-W47.db.damaged"));
    assert_non_null(strstr(world->said, words));
    assert_int_equal(data_world_number(world->dir,
                                       "SELECT sum(r.points) FROM telemetry_run r JOIN"
                                       " telemetry_file f ON f.id = r.file WHERE f.state = 0"),
                     kept);
    assert_int_equal(ask_file(world, "SELECT count(*) FROM series"), 2);
    assert_true(is_there(world, "telemetry/2026-W47.db.damaged"));
    assert_false(is_there(world, "telemetry/2026-W47.db.salvage"));
    assert_false(is_there(world, "telemetry/2026-W47.db.salvage-wal"));
}

static void assert_salvaged_and_clean(struct data_world *world, int64_t kept)
{
    assert_salvaged(world, kept);
    /* That it was set aside stays a problem until somebody has taken it away. */
    assert_problem(world, "was set aside as damaged");
    assert_int_equal(check(world, false).problems, 1);
    assert_int_equal(unlink(data_world_path(world->dir, "telemetry/2026-W47.db.damaged")), 0);
    assert_problem(world, "not there any more");
    assert_repaired(world);
}

static void a_damaged_block_costs_its_points_and_no_others(void **state)
{
    (void)state;
    struct data_world world;
    init_with_more(&world);
    change_file(&world, "UPDATE block SET body = zeroblob(length(body)) WHERE id ="
                        " (SELECT id FROM block WHERE id >> 44 = 2 ORDER BY id LIMIT 1 OFFSET 3)");
    assert_problem(&world, "problem: 2026-W47.db: run 2, block of series ");
    int64_t blocks = ask_file(&world, "SELECT count(*) FROM block");
    check(&world, true);
    char words[64];
    snprintf(words, sizeof words, " points of %lld blocks kept", (long long)blocks - 1);
    assert_non_null(strstr(world.said, words));
    assert_non_null(strstr(world.said, "lost in 1 damaged blocks"));
    assert_int_equal(count_right_points(&world, 1), 2 * DATA_WORLD_POINTS);
    int64_t kept = count_right_points(&world, 2);
    assert_in_range(kept, 2 * MORE_POINTS * 8 / 10, 2 * MORE_POINTS - 1);
    assert_int_equal(ask_file(&world, "SELECT count(*) FROM run WHERE run = journal_first AND"
                                      " run = journal_last AND created_ms = 7 AND level = 0"),
                     2);
    assert_salvaged_and_clean(&world, 2 * DATA_WORLD_POINTS + kept);
    data_world_deinit(&world);
}

static void a_damaged_page_costs_the_blocks_in_it(void **state)
{
    (void)state;
    static const char page[4096];
    for (int eighth = 2; eighth < 8; eighth++) {
        struct data_world world;
        struct stat info;
        init_with_more(&world);
        int fd = open(data_world_path(world.dir, "telemetry/2026-W47.db"), O_RDWR);
        assert_int_equal(fstat(fd, &info), 0);
        off_t offset = info.st_size * eighth / 8 / 4096 * 4096;
        assert_int_equal(pwrite(fd, page, sizeof page, offset), sizeof page);
        close(fd);
        check(&world, true);
        int64_t kept = count_right_points(&world, 1) + count_right_points(&world, 2);
        assert_in_range(kept, ALL_POINTS * 7 / 10, ALL_POINTS - 1);
        assert_salvaged_and_clean(&world, kept);
        data_world_deinit(&world);
    }
}

/* What a merge has replaced, and what an interrupted one has left, stays in the damaged file. */
static void of_a_damaged_file_only_runs_of_the_manifest_come_back(void **state)
{
    (void)state;
    struct data_world world;
    init_with_more(&world);
    data_world_exec(world.dir, "UPDATE telemetry_run SET retired_ms = 5 WHERE run = 2");
    data_world_seal(world.dir, DATA_WORLD_START_MS, 3, 10);
    data_world_exec(world.dir, "DELETE FROM telemetry_run WHERE run = 3");
    change_file(&world, "UPDATE block SET body = x'01' WHERE id >> 44 = 2");
    check(&world, true);
    assert_int_equal(ask_file(&world, "SELECT count(*) FROM run"), 1);
    assert_int_equal(count_right_points(&world, 1), 2 * DATA_WORLD_POINTS);
    data_world_deinit(&world);
}

static void a_file_without_a_readable_block_is_only_set_aside(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    change_file(&world, "UPDATE block SET body = x'01'");
    check(&world, true);
    assert_non_null(strstr(world.said, "repaired: 2026-W47.db set aside as 2026-W47.db.damaged"));
    assert_false(is_there(&world, "telemetry/2026-W47.db"));
    assert_false(is_there(&world, "telemetry/2026-W47.db.salvage"));
    assert_int_equal(data_world_number(world.dir, "SELECT state FROM telemetry_file"), 1);
    assert_int_equal(check(&world, false).problems, 1);
    data_world_deinit(&world);
}

/* A damaged file that the manifest has forgotten: renamed back by hand, say. */
static void a_damaged_file_that_is_put_back_is_salvaged(void **state)
{
    (void)state;
    struct data_world world;
    init_with_more(&world);
    change_file(&world, "UPDATE block SET body = x'01' WHERE id = (SELECT max(id) FROM block)");
    data_world_exec(world.dir, "UPDATE telemetry_file SET state = 1,"
                               " name = '2026-W47.db.damaged'");
    check(&world, true);
    int64_t kept = count_right_points(&world, 1) + count_right_points(&world, 2);
    assert_in_range(kept, ALL_POINTS * 7 / 10, ALL_POINTS - 1);
    assert_salvaged(&world, kept);
    assert_clean(&world);
    data_world_deinit(&world);
}

static enum ps_status run_fsck(struct data_world *world, struct ps_text *why);

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

static void a_file_of_garbage_or_cut_short_is_set_aside(void **state)
{
    (void)state;
    static const long lengths[] = { 0, 3, 9000 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct data_world world;
        data_world_init(&world);
        const char *path = data_world_path(world.dir, "telemetry/2026-W47.db");
        assert_int_equal(truncate(path, lengths[i]), 0);
        assert_problem(&world, "2026-W47.db");
        check(&world, true);
        struct ps_fsck_result result = check(&world, false);
        assert_int_equal(result.problems, 1); /* that it was set aside */
        data_world_deinit(&world);
    }
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
        cmocka_unit_test(a_damaged_block_costs_its_points_and_no_others),
        cmocka_unit_test(a_damaged_page_costs_the_blocks_in_it),
        cmocka_unit_test(of_a_damaged_file_only_runs_of_the_manifest_come_back),
        cmocka_unit_test(a_file_without_a_readable_block_is_only_set_aside),
        cmocka_unit_test(a_damaged_file_that_is_put_back_is_salvaged),
        cmocka_unit_test(a_half_restore_is_not_looked_at),
        cmocka_unit_test(a_file_of_garbage_or_cut_short_is_set_aside),
        cmocka_unit_test(a_missing_file_is_forgotten),
        cmocka_unit_test(a_lost_manifest_is_remade_from_the_files),
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
