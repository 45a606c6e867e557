/* Range files: what is written is there, what is damaged is named, what is foreign is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/core_telemetry/range_world.h"

static void write_run(struct ps_run_file *file, int64_t run, uint32_t series_count, size_t points)
{
    struct ps_run_writer *writer;
    struct ps_run meta = {
        .level = 1, .journal_first = 10 * run, .journal_last = 10 * run + 9, .created_ms = 5
    };
    assert_int_equal(ps_run_writer_begin(file, run, NULL, &writer), PS_OK);
    for (uint32_t series = 1; series <= series_count; series++) {
        for (size_t i = 0; i < points; i++) {
            struct ps_point point = { .ts_ms = (int64_t)i * 1000 + run,
                                      .value = { .type = PS_VALUE_DOUBLE,
                                                 .real = (double)(i * series % 97) / 7 } };
            assert_int_equal(ps_run_writer_add(writer, series, &point, NULL, 1), PS_OK);
        }
    }
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(meta.run, run);
    assert_int_equal(meta.points, (int64_t)(series_count * points));
}

struct damages {
    unsigned count;
    struct ps_run_damage last;
    char text[256];
};

static void note_damage(void *arg, const struct ps_run_damage *damage)
{
    struct damages *damages = arg;
    damages->count++;
    damages->last = *damage;
    snprintf(damages->text, sizeof damages->text, "%s", damage->text);
}

static int64_t block_at(struct ps_run_file *file, int index, const char *column)
{
    struct ps_stmt *stmt;
    bool row = false;
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT %s FROM block ORDER BY id LIMIT 1 OFFSET %d", column, index);
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), sql, &stmt), PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    assert_true(row);
    int64_t number = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return number;
}

static void a_new_file_knows_its_range_and_is_empty(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_run_list runs = { 0 };
    struct ps_run_verified sums;
    int64_t number = 0;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    assert_int_equal(ps_run_file_range(file)->start_ms, 1794787200000);
    assert_int_equal(ps_run_file_range(file)->end_ms, 1795392000000);
    assert_string_equal(ps_run_file_range(file)->name, "2026-W47");
    assert_int_equal(ps_run_file_runs(file, &runs), PS_OK);
    assert_int_equal(ps_run_file_numbers(file, &runs), PS_OK);
    assert_int_equal(runs.count, 0);
    assert_int_equal(ps_run_file_next_number(file, NULL, &number), PS_OK);
    assert_int_equal(number, 1);
    assert_int_equal(ps_run_file_verify(file, true, NULL, NULL, &sums), PS_OK);
    assert_int_equal(sums.blocks, 0);
    ps_run_file_close(file);

    file = range_world_open(&world, false);
    assert_string_equal(ps_run_file_range(file)->name, "2026-W47");
    assert_int_equal(ps_run_file_range(file)->end_ms, 1795392000000);
    assert_false(ps_run_file_writable(file));
    ps_run_file_close(file);
    ps_run_list_deinit(&runs);
    range_world_deinit(&world);
}

/* The log of a file that nobody has open any more does not stay behind, whoever closed it last. */
static void the_last_to_close_takes_the_log_away(void **state)
{
    (void)state;
    struct range_world world;
    char log[128];
    range_world_init(&world);
    snprintf(log, sizeof log, "%s-wal", world.path);
    struct ps_run_file *writer = range_world_open(&world, true);
    struct ps_run_file *reader = range_world_open(&world, false);
    write_run(writer, 1, 3, 100);
    assert_true(range_world_size(log) >= 0);
    ps_run_file_close(writer);
    ps_run_file_close(reader);
    assert_int_equal(range_world_size(log), -1);
    range_world_deinit(&world);
}

static void what_is_no_range_file_is_refused_with_a_reason(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_run_file *file = NULL;
    struct ps_text why = { "" };
    range_world_init(&world);
    assert_int_equal(ps_run_file_open(world.path, PS_RUN_FILE_READ, NULL, &file, &why),
                     PS_ENOTFOUND);
    assert_int_equal(ps_run_file_open(world.path, PS_RUN_FILE_WRITE, NULL, &file, &why),
                     PS_ENOTFOUND);
    assert_int_equal(range_world_size(world.path), -1);

    static const struct {
        const char *sql;
        enum ps_status want;
    } cases[] = {
        { "CREATE TABLE other(x)", PS_EPROTO },
        { "CREATE TABLE block(x); CREATE TABLE run(x); CREATE TABLE series(x);", PS_EPROTO },
        { "CREATE TABLE block(x); CREATE TABLE run(x); CREATE TABLE series(x);"
          "CREATE TABLE meta(key, value)",
          PS_EPROTO },
        { "CREATE TABLE block(x); CREATE TABLE run(x); CREATE TABLE series(x);"
          "CREATE TABLE meta(key, value); INSERT INTO meta VALUES('version', 2)",
          PS_EUNSUPPORTED },
        { "", PS_EPROTO },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_db *db;
        assert_int_equal(ps_db_remove(world.path), PS_OK);
        assert_int_equal(ps_db_open(world.path, PS_DB_WRITER, &db, &why), PS_OK);
        assert_int_equal(ps_db_exec(db, cases[i].sql), PS_OK);
        ps_db_close(db);
        why.data[0] = '\0';
        assert_int_equal(ps_run_file_open(world.path, PS_RUN_FILE_READ, NULL, &file, &why),
                         cases[i].want);
        assert_non_null(strstr(why.data, "2026-W47.db: "));
    }
    range_world_deinit(&world);
}

/* Whatever is in the place of a file, or cut off of it, opening it does not crash and says why. */
static void a_mutilated_file_is_refused_or_found_damaged(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_text why;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    write_run(file, 1, 10, 4000);
    ps_run_file_close(file);
    int64_t size = range_world_size(world.path);
    for (int64_t cut = size; cut > 0; cut = cut > 8192 ? cut - 8192 : cut / 2) {
        struct ps_run_verified sums;
        assert_int_equal(truncate(world.path, cut), 0);
        enum ps_status st = ps_run_file_open(world.path, PS_RUN_FILE_READ, NULL, &file, &why);
        if (st == PS_OK) {
            st = ps_run_file_verify(file, false, NULL, NULL, &sums);
            ps_run_file_close(file);
        } else {
            assert_non_null(strstr(why.data, "2026-W47.db"));
        }
        assert_int_equal(st, cut == size ? PS_OK : PS_EPROTO);
    }
    char garbage[9000];
    memset(garbage, 'x', sizeof garbage);
    range_world_overwrite(world.path, 0, garbage, sizeof garbage);
    assert_int_equal(ps_run_file_open(world.path, PS_RUN_FILE_READ, NULL, &file, &why), PS_EPROTO);
    struct ps_range range;
    ps_range_of(PS_RANGE_WEEK, 1795219200000, &range);
    assert_int_equal(ps_run_file_open(world.path, PS_RUN_FILE_WRITE, &range, &file, &why),
                     PS_EPROTO);
    range_world_deinit(&world);
}

static void verifying_names_what_is_damaged(void **state)
{
    (void)state;
    static const struct {
        const char *sql; /* what happens to the third block, or the run */
        const char *text;
        bool of_run;
    } cases[] = {
        { "UPDATE block SET body = zeroblob(length(body)) WHERE id = %lld",
          "checksum or directory wrong", false },
        { "UPDATE block SET body = substr(body, 1, length(body) - 1) WHERE id = %lld",
          "checksum or directory wrong", false },
        { "UPDATE block SET body = NULL WHERE 0 AND id = %lld", NULL, false },
        { "UPDATE block SET t1 = t1 - 1 WHERE id = %lld", "its times are not those of its points",
          false },
        { "UPDATE block SET id = id + (100 << 12) WHERE id = %lld", "not the series of its id",
          false },
        { "UPDATE block SET body = (SELECT body FROM block ORDER BY id LIMIT 1) WHERE id = %lld",
          NULL, false },
        { "DELETE FROM block WHERE id = %lld", "the run has other points than its row", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct range_world world;
        struct damages damages = { 0 };
        struct ps_run_verified sums;
        char sql[256];
        range_world_init(&world);
        struct ps_run_file *file = range_world_open(&world, true);
        write_run(file, 3, 4, 20000);
        assert_int_equal(ps_run_file_verify(file, true, note_damage, &damages, &sums), PS_OK);
        assert_int_equal(sums.points, 80000);
        assert_int_equal(sums.runs, 1);
        assert_true(sums.blocks > 10 && sums.chunks >= 20);
        assert_int_equal(damages.count, 0);
        int64_t id = block_at(file, 2, "id");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sql, sizeof sql, cases[i].sql, (long long)id);
#pragma GCC diagnostic pop
        assert_int_equal(ps_db_exec(ps_run_file_db(file), sql), PS_OK);
        enum ps_status st = ps_run_file_verify(file, false, note_damage, &damages, &sums);
        bool nothing_done = strstr(sql, "WHERE 0") != NULL;
        assert_int_equal(st, nothing_done ? PS_OK : PS_EPROTO);
        assert_int_equal(sums.damaged, damages.count);
        if (cases[i].text && cases[i].of_run) {
            assert_string_equal(damages.text, cases[i].text);
            assert_int_equal(ps_block_id_run(damages.last.block), 3);
        } else if (cases[i].text) {
            assert_true(damages.count >= 1);
        }
        ps_run_file_close(file);
        range_world_deinit(&world);
    }
}

static int64_t number_of_blocks(struct ps_run_file *file)
{
    struct ps_stmt *stmt;
    bool row = false;
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), "SELECT count(*) FROM block", &stmt),
                     PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    int64_t count = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return count;
}

/* Its row goes first: half a run is never taken for a run. */
static void a_run_is_deleted_in_slices_and_its_pages_are_given_back(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_run_list runs = { 0 };
    struct ps_run_file_space before, space;
    bool finished = true;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    write_run(file, 1, 4, 20000);
    write_run(file, 2, 1, 10);
    write_run(file, 7, 4, 20000);
    int64_t blocks = number_of_blocks(file);
    assert_int_equal(ps_run_file_space(file, &before), PS_OK);
    assert_int_equal(before.free_pages, 0);
    assert_int_equal(ps_run_file_delete(file, 1, 5, &finished), PS_OK);
    assert_false(finished);
    assert_int_equal(number_of_blocks(file), blocks - 5);
    assert_int_equal(ps_run_file_runs(file, &runs), PS_OK);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.items[0].run, 2);
    assert_int_equal(runs.items[0].level, 1);
    assert_int_equal(runs.items[0].journal_first, 20);
    assert_int_equal(runs.items[0].journal_last, 29);
    assert_int_equal(runs.items[0].min_ms, 2);
    assert_int_equal(runs.items[0].max_ms, 9002);
    assert_int_equal(runs.items[0].created_ms, 5);
    assert_true(runs.items[0].has_default_ttl);
    assert_int_equal(runs.items[1].run, 7);
    runs.count = 0;
    assert_int_equal(ps_run_file_numbers(file, &runs), PS_OK);
    assert_int_equal(runs.count, 3);
    assert_int_equal(runs.items[0].run, 1);
    while (!finished)
        assert_int_equal(ps_run_file_delete(file, 1, 5, &finished), PS_OK);
    finished = false;
    assert_int_equal(ps_run_file_delete(file, 5, 5, &finished), PS_OK); /* never was */
    assert_true(finished);
    assert_int_equal(number_of_blocks(file), (blocks - 1) / 2 + 1);

    assert_int_equal(ps_run_file_space(file, &space), PS_OK);
    assert_true(space.free_pages > before.pages / 3);
    int64_t size = range_world_size(world.path);
    assert_int_equal(ps_run_file_shrink(file, 1 << 20), PS_OK);
    assert_int_equal(ps_run_file_space(file, &space), PS_OK);
    assert_int_equal(space.free_pages, 0);
    assert_true(range_world_size(world.path) < size * 2 / 3);
    struct ps_run_verified sums;
    assert_int_equal(ps_run_file_verify(file, true, NULL, NULL, &sums), PS_OK);
    assert_int_equal(sums.points, 80010);
    ps_run_file_close(file);
    ps_run_list_deinit(&runs);
    range_world_deinit(&world);
}

static void numbers_of_runs_are_not_used_again_while_there_are_others(void **state)
{
    (void)state;
    struct range_world world;
    bool finished;
    int64_t number = 0;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    write_run(file, 4, 1, 1);
    assert_int_equal(ps_run_file_next_number(file, NULL, &number), PS_OK);
    assert_int_equal(number, 5);
    assert_int_equal(ps_run_file_delete(file, 4, 5, &finished), PS_OK);
    assert_int_equal(ps_run_file_next_number(file, NULL, &number), PS_OK);
    assert_int_equal(number, 5);
    struct ps_run known = { .run = 8 };
    struct ps_run_list list = { .count = 1, .items = &known };
    assert_int_equal(ps_run_file_next_number(file, &list, &number), PS_OK);
    assert_int_equal(number, 9);

    write_run(file, PS_RUN_NUMBER_MAX, 1, 1);
    write_run(file, 1, 1, 1);
    known.run = 2;
    assert_int_equal(ps_run_file_next_number(file, &list, &number), PS_OK);
    assert_int_equal(number, 3);
    struct ps_run_list numbers = { 0 };
    assert_int_equal(ps_run_file_numbers(file, &numbers), PS_OK);
    assert_int_equal(numbers.count, 2);
    assert_int_equal(numbers.items[1].run, PS_RUN_NUMBER_MAX);
    ps_run_list_deinit(&numbers);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static void merged_runs_are_left_out_of_a_remade_manifest(void **state)
{
    (void)state;
    struct ps_run runs[] = {
        { .run = 1, .level = 0, .journal_first = 1, .journal_last = 5, .points = 1 },
        { .run = 2, .level = 0, .journal_first = 6, .journal_last = 9, .points = 1 },
        { .run = 3, .level = 1, .journal_first = 1, .journal_last = 9, .points = 1 },
        { .run = 4, .level = 0, .journal_first = 10, .journal_last = 12, .points = 1 },
        { .run = 5, .level = 2, .journal_first = 1, .journal_last = 9, .points = 1 },
        { .run = 6, .level = 0, .journal_first = 13, .journal_last = 14, .points = 1 },
        { .run = 7, .level = 1, .journal_first = 13, .journal_last = 14 }, /* nothing was left */
    };
    struct ps_run_list list = { .count = 7, .items = runs };
    ps_run_list_drop_merged(&list);
    assert_int_equal(list.count, 2);
    assert_int_equal(runs[0].run, 4);
    assert_int_equal(runs[1].run, 5);
    assert_int_equal(runs[0].retired_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_knows_its_range_and_is_empty),
        cmocka_unit_test(the_last_to_close_takes_the_log_away),
        cmocka_unit_test(what_is_no_range_file_is_refused_with_a_reason),
        cmocka_unit_test(a_mutilated_file_is_refused_or_found_damaged),
        cmocka_unit_test(verifying_names_what_is_damaged),
        cmocka_unit_test(a_run_is_deleted_in_slices_and_its_pages_are_given_back),
        cmocka_unit_test(numbers_of_runs_are_not_used_again_while_there_are_others),
        cmocka_unit_test(merged_runs_are_left_out_of_a_remade_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
