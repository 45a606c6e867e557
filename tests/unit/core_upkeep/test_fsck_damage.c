/* fsck of damaged range files: all that can be read is kept, and a cut at any step costs nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "core/upkeep/plain_file.h"

#include "fsck_world.h"

/* Rebuilt: the new file is whole, has `kept` points and the manifest says so; the damaged one lies
 * beside it and is no problem any more. */
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
    assert_true(is_there(world, "telemetry/2026-W47.db.before-rebuild"));
    assert_false(is_there(world, "telemetry/2026-W47.db.damaged"));
    assert_clean(world);
    assert_string_equal(world->said, "");
    check(world, true);
    assert_string_equal(world->said, "");
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
    assert_salvaged(&world, 2 * DATA_WORLD_POINTS + kept);
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
        assert_salvaged(&world, kept);
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

static void a_damaged_page_of_series_is_told_and_costs_no_points(void **state)
{
    (void)state;
    struct data_world world;
    init_with_more(&world);
    change_file(&world, "UPDATE series_page SET body = substr(body, 1, 20)");
    assert_problem(&world, "2026-W47.db: a damaged page of series");
    check(&world, true);
    assert_int_equal(count_right_points(&world, 1), 2 * DATA_WORLD_POINTS);
    assert_int_equal(count_right_points(&world, 2), 2 * MORE_POINTS);
    assert_clean(&world);
    data_world_deinit(&world);
}

/* ---- interrupted rebuilds ---- */

#define DAMAGED_FILE "telemetry/2026-W47.db.damaged"
#define KEPT_FILE "telemetry/2026-W47.db.before-rebuild"

static void move_file(struct data_world *world, const char *from, const char *to)
{
    assert_int_equal(rename(data_world_path(world->dir, from), data_world_path(world->dir, to)), 0);
}

static void copy_file(struct data_world *world, const char *from, const char *to)
{
    struct ps_text why;
    struct ps_file_sum sum;
    assert_int_equal(ps_file_copy(data_world_path(world->dir, from),
                                  data_world_path(world->dir, to), &sum, &why),
                     PS_OK);
}

static void know_aside(struct data_world *world)
{
    data_world_exec(world->dir, "UPDATE telemetry_file SET state = 1,"
                                " name = '2026-W47.db.damaged' WHERE name = '2026-W47'");
}

static void cut_before_it_is_known(struct data_world *world)
{
    move_file(world, "telemetry/2026-W47.db", DAMAGED_FILE);
}

static void cut_before_anything_is_saved(struct data_world *world)
{
    cut_before_it_is_known(world);
    know_aside(world);
}

/* What was saved is in the new file, and nobody knows. */
static void cut_before_the_saved_is_known(struct data_world *world)
{
    cut_before_anything_is_saved(world);
    copy_file(world, "pacificsoft.db", "before.db");
    check(world, true);
    move_file(world, "before.db", "pacificsoft.db");
    move_file(world, KEPT_FILE, DAMAGED_FILE);
}

/* The same, and only one of two runs is complete. */
static void cut_while_it_is_saved(struct data_world *world)
{
    cut_before_the_saved_is_known(world);
    change_file(world, "DELETE FROM run WHERE run = 2");
}

/* All names that it could be given, made or taken away. */
static void occupy_names(struct data_world *world, bool occupy)
{
    for (int n = 1; n < 1000; n++) {
        char name[64], number[16] = "";
        if (n > 1)
            snprintf(number, sizeof number, ".%d", n);
        snprintf(name, sizeof name, KEPT_FILE "%s", number);
        const char *path = data_world_path(world->dir, name);
        assert_int_equal(occupy ? close(open(path, O_CREAT | O_WRONLY, 0600)) : unlink(path), 0);
    }
}

static void cut_before_it_is_put_away(struct data_world *world)
{
    struct ps_fsck_result result;
    struct ps_text why;
    struct ps_fsck_settings settings = { .dir = world->dir, .rebuild = true };
    occupy_names(world, true);
    assert_int_equal(ps_fsck_run(&settings, &result, &why), PS_EIO);
    assert_non_null(strstr(why.data, "cannot be renamed"));
    occupy_names(world, false);
    assert_true(is_there(world, DAMAGED_FILE));
}

static void cut_before_the_note_of_it_is_gone(struct data_world *world)
{
    check(world, true);
    data_world_exec(world->dir,
                    "INSERT INTO telemetry_state VALUES('leaving:2026-W47.db.damaged', 1)");
}

static const struct cut {
    const char *name;
    void (*make)(struct data_world *world);
    bool is_problem;
} cuts[] = {
    { "renamed", cut_before_it_is_known, true },
    { "known as set aside", cut_before_anything_is_saved, true },
    { "half saved", cut_while_it_is_saved, true },
    { "saved", cut_before_the_saved_is_known, true },
    { "known as saved", cut_before_it_is_put_away, true },
    { "put away", cut_before_the_note_of_it_is_gone, false },
};

static int64_t live_points(struct data_world *world)
{
    return data_world_number(world->dir, "SELECT sum(r.points) FROM telemetry_run r JOIN"
                                         " telemetry_file f ON f.id = r.file WHERE f.state = 0");
}

static void init_damaged(struct data_world *world)
{
    init_with_more(world);
    change_file(world, "UPDATE block SET body = zeroblob(length(body)) WHERE id ="
                       " (SELECT id FROM block WHERE id >> 44 = 2 ORDER BY id LIMIT 1 OFFSET 3)");
}

static void a_rebuild_goes_on_where_a_cut_ended_one(void **state)
{
    (void)state;
    struct data_world whole;
    init_damaged(&whole);
    check(&whole, true);
    int64_t kept = live_points(&whole);
    data_world_deinit(&whole);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct data_world world;
        print_message("cut when it is %s\n", cuts[i].name);
        init_damaged(&world);
        cuts[i].make(&world);
        if (cuts[i].is_problem)
            assert_problem(&world, "2026-W47");
        check(&world, true);
        assert_clean(&world);
        check(&world, true);
        assert_string_equal(world.said, "");
        assert_int_equal(live_points(&world), kept);
        assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_file"), 1);
        assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_state"
                                                      " WHERE key LIKE 'leaving:%'"),
                         0);
        assert_true(is_there(&world, KEPT_FILE));
        assert_false(is_there(&world, DAMAGED_FILE));
        data_world_deinit(&world);
    }
}

/* The server set the file aside and went on with a new one of its name. */
static void what_is_saved_joins_points_that_came_since(void **state)
{
    (void)state;
    struct data_world world;
    init_damaged(&world);
    cut_before_anything_is_saved(&world);
    data_world_seal(world.dir, DATA_WORLD_START_MS, 5, 100);
    assert_problem(&world, "2026-W47.db.damaged was set aside as damaged");
    check(&world, true);
    assert_clean(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_file"), 1);
    assert_int_equal(data_world_number(world.dir, "SELECT points FROM telemetry_run"
                                                  " WHERE journal_last = 5"),
                     200);
    /* In order of arrival, whatever their numbers. */
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_run"), 3);
    assert_in_range(live_points(&world), ALL_POINTS * 7 / 10, ALL_POINTS + 199);
    data_world_deinit(&world);
}

/* An earlier version saved under the same numbers and left the damaged file in the list. */
static void what_was_saved_before_is_not_saved_twice(void **state)
{
    (void)state;
    struct data_world world;
    init_damaged(&world);
    check(&world, true);
    int64_t kept = live_points(&world);
    move_file(&world, KEPT_FILE, DAMAGED_FILE);
    data_world_exec(world.dir,
                    "INSERT INTO telemetry_file SELECT 99, '2026-W47.db.damaged', start_ms,"
                    " end_ms, created_ms, rewritten_ms, 1 FROM telemetry_file;"
                    "INSERT INTO telemetry_run SELECT 99, run, level, journal_first, journal_last,"
                    " points + 7, bytes, min_ms, max_ms, max_ttl_s, has_default_ttl, created_ms,"
                    " NULL FROM telemetry_run");
    check(&world, true);
    assert_non_null(
        strstr(world.said, "2026-W47.db has all points of 2026-W47.db.damaged already"));
    assert_clean(&world);
    assert_int_equal(live_points(&world), kept);
    data_world_deinit(&world);
}

/* A seal began it, and a cut came before it was whole. */
static void a_half_made_file_that_nobody_knows_is_no_lasting_problem(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    FILE *file = fopen(data_world_path(world.dir, "telemetry/2026-W48.db"), "w");
    assert_true(fputs("half of a header", file) >= 0);
    fclose(file);
    assert_problem(&world, "2026-W48");
    check(&world, true);
    assert_clean(&world);
    assert_int_equal(live_points(&world), 2 * DATA_WORLD_POINTS);
    data_world_deinit(&world);
}

/* The server dropped it, and a cut came before it was removed. */
static void a_dropped_file_is_removed_and_does_not_come_back(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_exec(world.dir, "DELETE FROM telemetry_run; DELETE FROM telemetry_file;"
                               "INSERT INTO telemetry_state VALUES('leaving:2026-W47.db', 1)");
    assert_problem(&world, "2026-W47.db was dropped, but its removal was interrupted");
    assert_repaired(&world);
    assert_false(is_there(&world, "telemetry/2026-W47.db"));
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_run"), 0);
    data_world_deinit(&world);
}

/* Its merge left nothing; the runs it was made from are still in the file. */
static void what_a_merge_emptied_does_not_come_back(void **state)
{
    (void)state;
    struct data_world world;
    data_world_init(&world);
    data_world_seal(world.dir, DATA_WORLD_START_MS, 2, 10);
    change_file(&world, "INSERT INTO run(run, level, journal_first, journal_last, points, bytes,"
                        " min_ms, max_ms, max_ttl_s, has_default_ttl, created_ms) VALUES(3, 1, 1,"
                        " 2, 0, 0, 9223372036854775807, -9223372036854775808, 0, 0, 7)");
    data_world_exec(world.dir, "DELETE FROM telemetry_run; DELETE FROM telemetry_file");
    check(&world, true);
    assert_clean(&world);
    assert_int_equal(data_world_number(world.dir, "SELECT count(*) FROM telemetry_run"), 0);
    data_world_deinit(&world);
}

int main(void)
{
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_block_costs_its_points_and_no_others),
        cmocka_unit_test(a_damaged_page_costs_the_blocks_in_it),
        cmocka_unit_test(of_a_damaged_file_only_runs_of_the_manifest_come_back),
        cmocka_unit_test(a_file_without_a_readable_block_is_only_set_aside),
        cmocka_unit_test(a_damaged_file_that_is_put_back_is_salvaged),
        cmocka_unit_test(a_file_of_garbage_or_cut_short_is_set_aside),
        cmocka_unit_test(a_damaged_page_of_series_is_told_and_costs_no_points),
        cmocka_unit_test(a_rebuild_goes_on_where_a_cut_ended_one),
        cmocka_unit_test(what_is_saved_joins_points_that_came_since),
        cmocka_unit_test(what_was_saved_before_is_not_saved_twice),
        cmocka_unit_test(a_half_made_file_that_nobody_knows_is_no_lasting_problem),
        cmocka_unit_test(a_dropped_file_is_removed_and_does_not_come_back),
        cmocka_unit_test(what_a_merge_emptied_does_not_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
