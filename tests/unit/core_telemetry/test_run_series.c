/* The catalogue that a range file copies: every series of a committed run is described in it, once,
 * whoever wrote the file and whatever was undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/telemetry/block.h"
#include "core/telemetry/known_series.h"
#include "unit/core_telemetry/range_world.h"

/* Those that end in 9 are not in it. */
struct catalogue {
    unsigned count; /* questions */
    enum ps_status answer;
    char key[16];
};

static enum ps_status describe(void *arg, uint32_t series, struct ps_run_series *out)
{
    struct catalogue *catalogue = arg;
    catalogue->count++;
    if (catalogue->answer != PS_OK)
        return catalogue->answer;
    if (series % 10 == 9)
        return PS_ENOTFOUND;
    int len = snprintf(catalogue->key, sizeof catalogue->key, "key %u", series);
    *out = (struct ps_run_series){ .id = series, .key = catalogue->key, .key_len = (size_t)len };
    out->entity.type = PS_ENTITY_ASSET;
    out->entity.id.bytes[3] = (uint8_t)series;
    return PS_OK;
}

static struct ps_run_writer *begin(struct ps_run_file *file, int64_t run,
                                   struct catalogue *catalogue)
{
    struct ps_run_catalogue copied = { describe, catalogue };
    struct ps_run_writer *writer;
    assert_int_equal(ps_run_writer_begin(file, run, &copied, &writer), PS_OK);
    return writer;
}

/* PS_ENOTFOUND is expected of those that the catalogue does not have. */
static enum ps_status add_series(struct ps_run_writer *writer, uint32_t from, uint32_t to,
                                 uint32_t step)
{
    struct ps_point point = { 0, { .type = PS_VALUE_LONG } };
    for (uint32_t series = from; series <= to; series += step) {
        enum ps_status st = ps_run_writer_add(writer, series, &point, NULL, 1);
        if (st != PS_OK && (st != PS_ENOTFOUND || series % 10 != 9))
            return st;
    }
    return PS_OK;
}

static struct ps_run write_series(struct ps_run_file *file, int64_t run, uint32_t from, uint32_t to,
                                  uint32_t step, struct catalogue *catalogue)
{
    struct ps_run meta = { 0 };
    struct ps_run_writer *writer = begin(file, run, catalogue);
    assert_int_equal(add_series(writer, from, to, step), PS_OK);
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    return meta;
}

static enum ps_status count_series(void *arg, const struct ps_run_series *series)
{
    char key[16];
    int len = snprintf(key, sizeof key, "key %u", series->id);
    assert_int_equal(series->key_len, len);
    assert_memory_equal(series->key, key, (size_t)len);
    assert_int_equal(series->entity.type, PS_ENTITY_ASSET);
    assert_int_equal(series->entity.id.bytes[3], series->id & 0xff);
    assert_true(series->id % 10 != 9);
    ++*(unsigned *)arg;
    return PS_OK;
}

static unsigned series_in(struct ps_run_file *file)
{
    unsigned count = 0;
    assert_int_equal(ps_run_file_series(file, count_series, &count), PS_OK);
    return count;
}

static int64_t number_of(struct ps_run_file *file, const char *sql)
{
    struct ps_stmt *stmt;
    bool row = false;
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), sql, &stmt), PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    int64_t number = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return number;
}

static void change(struct ps_run_file *file, const char *sql)
{
    if (ps_db_exec(ps_run_file_db(file), sql) != PS_OK) {
        print_error("%s: %s\n", sql, ps_db_error(ps_run_file_db(file)));
        fail();
    }
}

static void the_catalogue_is_copied_once_for_each_series(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    write_series(file, 1, 10, 5000, 10, &catalogue);
    assert_int_equal(catalogue.count, 500);
    assert_int_equal(series_in(file), 500);
    write_series(file, 2, 10, 5000, 10, &catalogue);
    assert_int_equal(catalogue.count, 500);
    ps_run_file_close(file);
    file = range_world_open(&world, true); /* another handle finds them in the file */
    write_series(file, 3, 1, 5050, 7, &catalogue);
    assert_int_equal(catalogue.count, 500 + 722 - 71); /* 71 of them are known */
    unsigned known = series_in(file);
    assert_int_equal(known, 500 + 722 - 71 - 72); /* 72 end in 9 */

    catalogue.answer = PS_ESTORE;
    struct ps_run_writer *writer = begin(file, 5, &catalogue);
    assert_int_equal(add_series(writer, UINT32_MAX, UINT32_MAX, UINT32_MAX), PS_ESTORE);
    ps_run_writer_abort(writer);
    assert_int_equal(series_in(file), known);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static void a_series_that_is_not_in_the_catalogue_is_left_out(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    struct ps_run run = write_series(file, 1, 1, 100, 1, &catalogue);
    assert_int_equal(run.points, 90);
    catalogue.count = 0;
    run = write_series(file, 2, 9, 99, 10, &catalogue); /* none: no run */
    assert_int_equal(run.points, 0);
    assert_int_equal(catalogue.count, 10);
    assert_int_equal(number_of(file, "SELECT count(*) FROM run"), 1);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

/* ---- what is committed ---- */

static enum ps_status note_series(void *arg, const struct ps_run_series *series)
{
    assert_true(ps_id_set_add(arg, series->id));
    return PS_OK;
}

/* As another process would find it after a crash: every series of every block is described.
 * Returns how many chunks there are. */
static size_t check_described(struct range_world *world)
{
    struct ps_run_file *file = range_world_open(world, false);
    struct ps_id_set described = { 0 };
    struct ps_block_reader block = { 0 };
    struct ps_stmt *stmt;
    bool row;
    size_t chunks = 0, len;
    assert_int_equal(ps_run_file_series(file, note_series, &described), PS_OK);
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), "SELECT body FROM block", &stmt), PS_OK);
    while (ps_stmt_step(stmt, &row) == PS_OK && row) {
        const char *body = ps_stmt_bytes(stmt, 0, &len);
        assert_int_equal(ps_block_open(&block, body, len), PS_OK);
        for (size_t i = 0; i < ps_block_count(&block); i++, chunks++)
            assert_true(ps_id_set_has(&described, ps_block_series(&block, i)));
    }
    ps_block_reader_deinit(&block);
    ps_id_set_deinit(&described);
    ps_run_file_close(file);
    return chunks;
}

static void add_noise(struct ps_run_writer *writer, uint32_t series, unsigned *seed)
{
    enum { COUNT = 300 };
    static struct ps_point points[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        points[i].ts_ms = (int64_t)i * 1000;
        points[i].value = (struct ps_value){ .type = PS_VALUE_DOUBLE,
                                             .real = rand_r(seed) / (double)rand_r(seed) };
    }
    assert_int_equal(ps_run_writer_add(writer, series, points, NULL, COUNT), PS_OK);
}

/* Slices are committed by themselves and by pauses, pages are full and not full. */
static void no_slice_has_a_series_that_is_not_described(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    struct ps_run meta = { 0 };
    unsigned seed = 5;
    size_t most = 0;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    struct ps_run_writer *writer = begin(file, 1, &catalogue);
    for (uint32_t series = 10; series < 60000; series += 10) {
        if (series % 10000 == 10)
            add_noise(writer, series, &seed);
        else
            assert_int_equal(add_series(writer, series, series, 1), PS_OK);
        if (series % 6010 == 0)
            assert_int_equal(ps_run_writer_pause(writer), PS_OK);
        if (series % 1100 == 0)
            most = check_described(&world);
    }
    assert_in_range(most, 4000, 5500);
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(check_described(&world), 5999);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

/* A paused run's handle is lent to another one: what that finds known must be in the file. */
static void a_paused_run_has_described_what_others_find_known(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    struct ps_run_writer *paused = begin(file, 1, &catalogue);
    assert_int_equal(ps_run_writer_pause(paused), PS_OK);
    assert_int_equal(add_series(paused, 1, 8, 1), PS_OK); /* no block, no transaction yet */
    assert_int_equal(ps_run_writer_pause(paused), PS_OK);
    write_series(file, 2, 1, 8, 1, &catalogue);
    ps_run_writer_abort(paused);
    assert_int_equal(check_described(&world), 8);
    write_series(file, 3, 1, 18, 1, &catalogue);
    assert_int_equal(check_described(&world), 8 + 17);
    assert_int_equal(series_in(file), 17);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static void what_is_undone_is_described_again(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    write_series(file, 1, 10, 100, 10, &catalogue);
    for (int way = 0; way < 2; way++) {
        struct ps_run_writer *writer = begin(file, 2, &catalogue);
        assert_int_equal(add_series(writer, 10, 50000, 10), PS_OK); /* some pages of them */
        if (way == 1)
            change(file, "ROLLBACK; BEGIN IMMEDIATE"); /* as a failure would */
        ps_run_writer_abort(writer);
        assert_int_equal(series_in(file), 10);
    }
    write_series(file, 2, 10, 50000, 10, &catalogue);
    assert_int_equal(series_in(file), 5000);
    assert_int_equal(check_described(&world), 5010);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

/* A second handle adds what the first one does not know of: that is described twice. */
static void two_handles_of_a_file_lose_nothing(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    range_world_init(&world);
    struct ps_run_file *first = range_world_open(&world, true);
    write_series(first, 1, 10, 100, 10, &catalogue);
    struct ps_run_file *second = range_world_open(&world, true);
    write_series(second, 2, 10, 200, 10, &catalogue);
    assert_int_equal(catalogue.count, 20);
    write_series(first, 3, 10, 300, 10, &catalogue);
    assert_int_equal(catalogue.count, 40);
    write_series(second, 4, 10, 200, 10, &catalogue);
    assert_int_equal(catalogue.count, 40);
    check_described(&world);
    assert_int_equal(series_in(first), 40);
    ps_run_file_close(second);
    ps_run_file_close(first);
    range_world_deinit(&world);
}

/* ---- earlier versions ---- */

static void put_rows(struct ps_run_file *file, uint32_t from, uint32_t to, uint32_t step)
{
    struct catalogue catalogue = { 0 };
    for (uint32_t id = from; id <= to; id += step) {
        struct ps_run_series series;
        assert_int_equal(describe(&catalogue, id, &series), PS_OK);
        assert_int_equal(ps_run_file_put_series(file, &series), PS_OK);
    }
}

static void rows_of_an_earlier_version_are_read_and_pages_come_beside_them(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    struct ps_run_verified sums;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    put_rows(file, 10, 1000, 10);
    ps_run_file_close(file);

    struct ps_run_file *reader = range_world_open(&world, false);
    assert_int_equal(series_in(reader), 100);
    assert_int_equal(ps_run_file_verify(reader, true, NULL, NULL, &sums), PS_OK);

    file = range_world_open(&world, true);
    write_series(file, 1, 10, 1000, 10, &catalogue);
    assert_int_equal(catalogue.count, 0);
    assert_int_equal(number_of(file, "SELECT count(*) FROM sqlite_master"
                                     " WHERE name = 'series_page'"),
                     0); /* nothing new: nothing changed */
    struct ps_run_writer *writer = begin(file, 2, &catalogue);
    assert_int_equal(add_series(writer, 5, 50005, 5), PS_OK);
    ps_run_writer_abort(writer); /* the table is gone again */
    write_series(file, 2, 5, 2000, 5, &catalogue);
    assert_int_equal(series_in(file), 400);
    assert_int_equal(series_in(reader), 400);
    assert_int_equal(ps_run_file_verify(reader, true, NULL, NULL, &sums), PS_OK);
    check_described(&world);
    ps_run_file_close(file);
    ps_run_file_close(reader);
    range_world_deinit(&world);
}

/* ---- damage ---- */

static enum ps_status only_count(void *arg, const struct ps_run_series *series)
{
    (void)series;
    ++*(unsigned *)arg;
    return PS_OK;
}

static void note_damage(void *arg, const struct ps_run_damage *damage)
{
    assert_int_equal(damage->block, 0);
    assert_non_null(strstr(damage->text, "a damaged page of series"));
    ++*(unsigned *)arg;
}

static void a_damaged_page_is_told_and_described_again_when_it_is_met(void **state)
{
    (void)state;
    struct range_world world;
    struct catalogue catalogue = { 0 };
    struct ps_run_verified sums;
    unsigned damages = 0, left = 0;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    write_series(file, 1, 10, 50000, 10, &catalogue);
    assert_in_range(number_of(file, "SELECT count(*) FROM series_page"), 4, 12);
    change(file, "UPDATE series_page SET body = substr(body, 1, length(body) - 1) || x'5a'"
                 " WHERE id = 2");
    ps_run_file_close(file);

    file = range_world_open(&world, true);
    assert_int_equal(ps_run_file_verify(file, false, note_damage, &damages, &sums), PS_EPROTO);
    assert_int_equal(damages, 1);
    assert_int_equal(ps_run_file_series(file, only_count, &left), PS_EPROTO);
    assert_in_range(left, 3500, 4800);
    catalogue.count = 0;
    write_series(file, 2, 10, 50000, 10, &catalogue);
    assert_int_equal(catalogue.count, 5000 - left);
    left = 0;
    assert_int_equal(ps_run_file_series(file, only_count, &left), PS_EPROTO);
    assert_int_equal(left, 5000);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalogue_is_copied_once_for_each_series),
        cmocka_unit_test(a_series_that_is_not_in_the_catalogue_is_left_out),
        cmocka_unit_test(no_slice_has_a_series_that_is_not_described),
        cmocka_unit_test(a_paused_run_has_described_what_others_find_known),
        cmocka_unit_test(what_is_undone_is_described_again),
        cmocka_unit_test(two_handles_of_a_file_lose_nothing),
        cmocka_unit_test(rows_of_an_earlier_version_are_read_and_pages_come_beside_them),
        cmocka_unit_test(a_damaged_page_is_told_and_described_again_when_it_is_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
