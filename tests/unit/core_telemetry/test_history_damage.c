/* History with something missing or damaged: the rest is shown, and it is said what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/core_telemetry/history_world.h"

#define FROM_MS INT64_C(1767571200000) /* Monday, 2026-01-05: week 2 */
#define WEEK_MS INT64_C(604800000)

enum { WEEKS = 3, A_WEEK = 5000 };

/* Series 1 has 5,000 texts in each of three weeks, sealed. */
static void world_fill(struct world *w)
{
    static char texts[A_WEEK][32];
    world_init(w, 4);
    for (int week = 0; week < WEEKS; week++) {
        for (int i = 0; i < A_WEEK; i += WORLD_ROW_MAX) {
            struct arrival row[WORLD_ROW_MAX];
            int count = A_WEEK - i < WORLD_ROW_MAX ? A_WEEK - i : WORLD_ROW_MAX;
            for (int k = 0; k < count; k++) {
                /* hardly compressible, so that there are several blocks */
                snprintf(texts[i + k], sizeof texts[0], "%08x%08x", (unsigned)(i + k) * 2654435761u,
                         (unsigned)(i + k) * 40503u * 2246822519u);
                row[k] = (struct arrival){
                    .series = 1,
                    .point = { FROM_MS + week * WEEK_MS + (i + k) * 1000,
                               { .type = PS_VALUE_STRING, .len = 16, .text = texts[i + k] } }
                };
            }
            world_write(w, row, (size_t)count, NULL);
        }
    }
    world_seal(w, PS_RANGE_WEEK);
}

static size_t count_points(struct world *w, struct ps_history *history, bool ascending)
{
    struct ps_history_query query = {
        .start_ms = 0, .end_ms = INT64_MAX, .limit = 1000000, .ascending = ascending
    };
    struct ps_series_copy copy;
    struct ps_points out = { 0 };
    *history = world_history(w);
    assert_int_equal(ps_series_copy(&w->table, w->series[0], 0, INT64_MAX, &copy), PS_OK);
    assert_int_equal(ps_history_read(history, &query, &copy, 1, &out), PS_OK);
    size_t count = out.count;
    ps_points_deinit(&out);
    ps_series_copy_deinit(&copy);
    return count;
}

static void run_sql(struct world *w, const char *file, const char *sql)
{
    char path[160];
    struct ps_db *db;
    struct ps_text why;
    snprintf(path, sizeof path, "%s/telemetry/%s.db", w->temp.folder, file);
    assert_int_equal(ps_db_open(path, PS_DB_WRITER, &db, &why), PS_OK);
    assert_int_equal(ps_db_exec(db, sql), PS_OK);
    ps_db_close(db);
}

static void a_damaged_block_hides_only_itself(void **state)
{
    (void)state;
    struct world w;
    struct ps_history history;
    world_fill(&w);
    assert_int_equal(count_points(&w, &history, true), WEEKS * A_WEEK);
    assert_int_equal(history.damaged, 0);
    run_sql(&w, "2026-W03",
            "UPDATE block SET body = substr(body, 1, 100) || x'00' || substr(body, 102)"
            " WHERE id = (SELECT max(id) FROM block)");
    for (int ascending = 0; ascending < 2; ascending++) {
        size_t count = count_points(&w, &history, ascending);
        assert_true(count < WEEKS * A_WEEK && count > (WEEKS - 1) * A_WEEK);
        assert_int_equal(history.damaged, 1);
        assert_non_null(strstr(history.damage.data, "2026-W03"));
    }
    struct ps_text names;
    assert_int_equal(ps_store_damaged(w.store, &names), 1);
    assert_string_equal(names.data, "2026-W03.db");
    world_deinit(&w);
}

static void write_garbage(struct world *w, const char *file)
{
    char path[160];
    snprintf(path, sizeof path, "%s/telemetry/%s.db", w->temp.folder, file);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (int i = 0; i < 20000; i++)
        fputc(i * 7 & 255, out);
    fclose(out);
}

/* The first question finds it and takes it out of service, the next one knows. */
static void a_file_that_is_none_is_set_aside(void **state)
{
    (void)state;
    struct world w;
    struct ps_history history;
    world_fill(&w);
    write_garbage(&w, "2026-W03");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(count_points(&w, &history, true), (WEEKS - 1) * A_WEEK);
        assert_int_equal(history.damaged, 1);
        assert_int_equal(ps_store_damaged(w.store, NULL), 1);
    }
    world_deinit(&w);
}

static void a_missing_file_is_reported(void **state)
{
    (void)state;
    struct world w;
    struct ps_history history;
    world_fill(&w);
    ps_store_drop(w.store, "2026-W02");
    assert_int_equal(count_points(&w, &history, false), (WEEKS - 1) * A_WEEK);
    assert_int_equal(history.damaged, 1);
    assert_string_equal(history.damage.data, "2026-W02.db is missing");
    world_deinit(&w);
}

static void a_missing_run_is_reported(void **state)
{
    (void)state;
    struct world w;
    struct ps_history history;
    world_fill(&w);
    run_sql(&w, "2026-W02", "DELETE FROM run");
    assert_int_equal(count_points(&w, &history, false), (WEEKS - 1) * A_WEEK);
    assert_int_equal(history.damaged, 1);
    assert_non_null(strstr(history.damage.data, "is missing"));
    world_deinit(&w);
}

static size_t drain(struct ps_history_cursor *cursor)
{
    const struct ps_point *points;
    size_t count, all = 0;
    enum ps_status st;
    while ((st = ps_history_cursor_next(cursor, &points, &count)) == PS_OK)
        all += count;
    assert_int_equal(st, PS_ENOTFOUND);
    return all;
}

/* Between snapshot and reading the file's end came: what it had was expired. */
static void what_went_since_the_snapshot_is_no_damage(void **state)
{
    (void)state;
    struct world w;
    world_fill(&w);
    struct ps_history history = world_history(&w);
    struct ps_history_range range = { .start_ms = 0, .end_ms = INT64_MAX };
    struct ps_series_copy copy;
    struct ps_history_view *view;
    struct ps_history_cursor *cursor;
    assert_int_equal(ps_series_copy(&w.table, w.series[0], 0, INT64_MAX, &copy), PS_OK);
    assert_int_equal(ps_history_open(&history, &copy, 1, &range, &view), PS_OK);
    assert_int_equal(ps_db_exec(w.temp.db, "DELETE FROM telemetry_file WHERE name = '2026-W03'"),
                     PS_OK);
    ps_store_drop(w.store, "2026-W03");
    assert_int_equal(ps_history_cursor_open(view, 0, &cursor), PS_OK);
    assert_int_equal(drain(cursor), (WEEKS - 1) * A_WEEK);
    assert_int_equal(history.damaged, 0);
    ps_history_cursor_close(cursor);
    ps_history_close(view);
    ps_series_copy_deinit(&copy);
    world_deinit(&w);
}

/* ... and there may be a new file of the same name already, of which so far nothing can be read. */
static void a_file_that_is_just_being_made_is_left_alone(void **state)
{
    (void)state;
    struct world w;
    world_fill(&w);
    struct ps_history history = world_history(&w);
    struct ps_history_range range = { .start_ms = 0, .end_ms = INT64_MAX };
    struct ps_series_copy copy;
    struct ps_history_view *view;
    struct ps_history_cursor *cursor;
    assert_int_equal(ps_series_copy(&w.table, w.series[0], 0, INT64_MAX, &copy), PS_OK);
    assert_int_equal(ps_history_open(&history, &copy, 1, &range, &view), PS_OK);
    assert_int_equal(ps_db_exec(w.temp.db, "DELETE FROM telemetry_file WHERE name = '2026-W03'"),
                     PS_OK);
    ps_store_drop(w.store, "2026-W03");
    char path[160];
    struct ps_db *db;
    struct ps_text why;
    snprintf(path, sizeof path, "%s/telemetry/2026-W03.db", w.temp.folder);
    assert_int_equal(ps_db_open(path, PS_DB_RANGE_WRITER, &db, &why), PS_OK);
    assert_int_equal(ps_db_exec(db, "PRAGMA user_version = 1"), PS_OK); /* no tables yet */
    assert_int_equal(ps_history_cursor_open(view, 0, &cursor), PS_OK);
    assert_int_equal(drain(cursor), (WEEKS - 1) * A_WEEK);
    assert_int_equal(history.damaged, 0);
    assert_int_equal(ps_store_damaged(w.store, NULL), 0);
    assert_true(ps_db_exists(path));
    ps_db_close(db);
    ps_history_cursor_close(cursor);
    ps_history_close(view);
    ps_series_copy_deinit(&copy);
    world_deinit(&w);
}

/* A run that was merged away means that the snapshot is too old. */
static void an_old_snapshot_is_told_to_begin_again(void **state)
{
    (void)state;
    struct world w;
    world_fill(&w);
    struct ps_history history = world_history(&w);
    struct ps_history_range range = { .start_ms = 0, .end_ms = INT64_MAX };
    struct ps_series_copy copy;
    struct ps_history_view *view;
    struct ps_history_cursor *cursor;
    const struct ps_point *points;
    size_t count;
    enum ps_status st;
    assert_int_equal(ps_series_copy(&w.table, w.series[0], 0, INT64_MAX, &copy), PS_OK);
    assert_int_equal(ps_history_open(&history, &copy, 1, &range, &view), PS_OK);
    run_sql(&w, "2026-W03", "DELETE FROM run");
    assert_int_equal(ps_db_exec(w.temp.db, "UPDATE telemetry_run SET retired_ms = 1"), PS_OK);
    assert_int_equal(ps_history_cursor_open(view, 0, &cursor), PS_OK);
    while ((st = ps_history_cursor_next(cursor, &points, &count)) == PS_OK) {
    }
    assert_int_equal(st, PS_EBUSY);
    assert_int_equal(history.damaged, 0);
    ps_history_cursor_close(cursor);
    ps_history_close(view);
    ps_series_copy_deinit(&copy);
    world_deinit(&w);
}

struct stop_after {
    size_t calls, points;
};

static enum ps_status stop(void *arg, const struct ps_point *points, size_t count)
{
    struct stop_after *after = arg;
    (void)points;
    after->points += count;
    return ++after->calls == 2 ? PS_ECLOSED : PS_OK;
}

static enum ps_status refuse(void *arg, const struct ps_point *points, size_t count)
{
    (void)arg, (void)points, (void)count;
    return PS_EFULL;
}

static void a_visitor_may_stop(void **state)
{
    (void)state;
    struct world w;
    world_fill(&w);
    struct ps_history history = world_history(&w);
    struct ps_history_range range = { .start_ms = 0, .end_ms = INT64_MAX };
    struct ps_series_copy copy;
    struct stop_after after = { 0 };
    assert_int_equal(ps_series_copy(&w.table, w.series[0], 0, INT64_MAX, &copy), PS_OK);
    assert_int_equal(ps_history_scan(&history, &copy, &range, stop, &after), PS_OK);
    assert_int_equal(after.calls, 2);
    assert_true(after.points < WEEKS * A_WEEK);
    assert_int_equal(ps_history_scan(&history, &copy, &range, refuse, NULL), PS_EFULL);
    ps_series_copy_deinit(&copy);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_block_hides_only_itself),
        cmocka_unit_test(a_file_that_is_none_is_set_aside),
        cmocka_unit_test(a_missing_file_is_reported),
        cmocka_unit_test(a_missing_run_is_reported),
        cmocka_unit_test(what_went_since_the_snapshot_is_no_damage),
        cmocka_unit_test(a_file_that_is_just_being_made_is_left_alone),
        cmocka_unit_test(an_old_snapshot_is_told_to_begin_again),
        cmocka_unit_test(a_visitor_may_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
