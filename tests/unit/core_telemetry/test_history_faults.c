/* History while the disk or the memory fails: what cannot be read is an error, never a shorter
 * answer, and no healthy file is taken for a damaged one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/cut_vfs.h"
#include "unit/core_telemetry/history_world.h"

#define FROM_MS INT64_C(1767571200000) /* Monday, 2026-01-05: week 2 */
#define WEEK_MS INT64_C(604800000)
#define STEP_MS INT64_C(1200000)

enum { WEEKS = 3, A_WEEK = 500, UNSEALED = 500, ALL = WEEKS * A_WEEK + UNSEALED };

static void write_points(struct world *w, int64_t from_ms, int count)
{
    for (int i = 0; i < count; i += WORLD_ROW_MAX) {
        struct arrival row[WORLD_ROW_MAX];
        int rows = count - i < WORLD_ROW_MAX ? count - i : WORLD_ROW_MAX;
        for (int k = 0; k < rows; k++)
            row[k] = (struct arrival){ .series = 1,
                                       .point = { from_ms + (i + k) * STEP_MS,
                                                  { .type = PS_VALUE_DOUBLE,
                                                    .real = (i + k) * 0.7153 } } };
        world_write(w, row, (size_t)rows, NULL);
    }
}

/* Three weeks in files, a fourth one in the journal, a deletion of nothing. */
static void world_fill(struct world *w)
{
    world_init(w, 4);
    for (int week = 0; week < WEEKS; week++)
        write_points(w, FROM_MS + week * WEEK_MS, A_WEEK);
    world_delete(w, 1, 0, 1);
    world_seal(w, PS_RANGE_WEEK);
    write_points(w, FROM_MS + WEEKS * WEEK_MS, UNSEALED);
}

static const struct cut_plan none = { .fault = CUT_NONE };

static const struct ps_history_query queries[] = {
    { .limit = 1000000, .ascending = true },
    { .limit = 1000000 },
    { .limit = UNSEALED + 10 },
    { .aggregate = PS_AGG_COUNT, .interval_ms = 100 * WEEK_MS },
    { .aggregate = PS_AGG_MAX, .interval_ms = WEEK_MS / 3 },
    { .downsample = PS_DOWNSAMPLE_MINMAX, .points = 100 },
};

/* One question with handles that know nothing yet. */
static enum ps_status ask(struct world *w, const struct ps_history_query *asked,
                          struct cut_disk *disk, const struct cut_plan *plan, bool *struck,
                          struct ps_points *out)
{
    struct ps_store_settings settings = { .dir = w->temp.folder };
    struct ps_history_query query = *asked;
    struct ps_history history = world_history(w);
    struct ps_series_copy copy;
    struct ps_text why;
    query.start_ms = FROM_MS;
    query.end_ms = FROM_MS + 10 * WEEK_MS;
    history.window_points = 64;
    history.store = NULL;
    assert_int_equal(ps_store_open(&settings, &history.store, &why), PS_OK);
    if (ps_db_open(w->temp.path, PS_DB_READER, &history.db, &why) != PS_OK)
        fail_msg("%s", why.data);
    assert_int_equal(ps_series_copy(&w->table, w->series[0], query.start_ms, query.end_ms, &copy),
                     PS_OK);
    cut_disk_arm(disk, plan);
    enum ps_status st = ps_history_read(&history, &query, &copy, 1, out);
    *struck = cut_disk_struck(disk);
    cut_disk_arm(disk, &none);
    assert_int_equal(history.damaged, 0);
    assert_int_equal(ps_store_damaged(history.store, NULL), 0);
    ps_series_copy_deinit(&copy);
    ps_db_close(history.db);
    ps_store_close(history.store);
    return st;
}

static void check_same(const struct ps_points *want, const struct ps_points *got)
{
    assert_int_equal(got->count, want->count);
    for (size_t i = 0; i < want->count; i++) {
        assert_int_equal(got->points[i].ts_ms, want->points[i].ts_ms);
        assert_true(ps_value_equal(&got->points[i].value, &want->points[i].value));
    }
}

/* Each operation fails once. */
static void fail_each(struct world *w, const struct ps_history_query *query, struct cut_disk *disk,
                      enum cut_fault fault, uint64_t stride)
{
    struct ps_points want = { 0 };
    size_t errors = 0;
    bool struck;
    assert_int_equal(ask(w, query, disk, &none, &struck, &want), PS_OK);
    assert_true(want.count > 0);
    struck = true;
    for (uint64_t at = 1; struck; at += stride) {
        struct cut_plan plan = { .fault = fault, .at = at };
        struct ps_points got = { 0 };
        enum ps_status st = ask(w, query, disk, &plan, &struck, &got);
        if (st == PS_OK)
            check_same(&want, &got);
        else
            assert_true(struck && (st == PS_ESTORE || st == PS_EIO || st == PS_ENOMEM));
        errors += st != PS_OK;
        ps_points_deinit(&got);
    }
    assert_true(errors > 0);
    ps_points_deinit(&want);
}

static void a_failure_is_told_instead_of_a_short_answer(void **state)
{
    (void)state;
    struct cut_disk *disk = cut_disk_create();
    struct world w;
    cut_vfs_use(disk, 1);
    cut_disk_arm(disk, &none);
    world_fill(&w);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        fail_each(&w, &queries[i], disk, CUT_READ, 1);
        fail_each(&w, &queries[i], disk, CUT_IOERR, 1);
        fail_each(&w, &queries[i], disk, CUT_NOMEM, 7);
    }
    world_deinit(&w);
    cut_disk_destroy(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_told_instead_of_a_short_answer),
    };
    cut_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
