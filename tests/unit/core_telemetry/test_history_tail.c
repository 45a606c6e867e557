/* The end of the journal, read in windows: all of it, in little memory, from one snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdatomic.h>

#include "core/telemetry/history_view.h"
#include "unit/core_telemetry/history_world.h"

#define FROM_MS INT64_C(1767571200000)

enum { ROWS = 200, ROW_POINTS = 1000, POINTS = ROWS * ROW_POINTS, TEXT_BYTES = 3000 };

/* Rows as one device sends its stored months: only in the journal, as nothing is applied. `order`
 * tells where in time the i-th point is. */
static void write_rows(struct world *w, int rows, int row_points, size_t text_len,
                       int64_t (*order)(int64_t i))
{
    struct ps_buf blob = { 0 };
    char *text = malloc(text_len + 1);
    memset(text, 'x', text_len + 1);
    assert_int_equal(ps_db_begin(w->temp.db), PS_OK);
    for (int64_t i = 0; i < (int64_t)rows * row_points; w->seq++) {
        struct ps_journal_encoder encoder;
        struct ps_stmt *stmt;
        ps_buf_clear(&blob);
        ps_journal_begin(&encoder, &blob);
        for (int k = 0; k < row_points; k++, i++) {
            struct ps_value value = { .type = PS_VALUE_LONG, .integer = order(i) };
            if (text_len)
                value = (struct ps_value){ .type = PS_VALUE_STRING,
                                           .text = text,
                                           .len = (uint32_t)(order(i) % (int64_t)text_len) };
            ps_journal_put(&encoder, 1, FROM_MS + order(i), &value, 0);
        }
        ps_journal_finish(&encoder);
        assert_int_equal(
            ps_db_prepare(w->temp.db, "INSERT INTO journal(seq, points) VALUES(?, ?)", &stmt),
            PS_OK);
        ps_stmt_bind_int(stmt, 1, w->seq + 1);
        ps_stmt_bind_blob(stmt, 2, blob.data, blob.len);
        assert_int_equal(ps_stmt_run(stmt), PS_OK);
    }
    assert_int_equal(ps_db_commit(w->temp.db), PS_OK);
    ps_buf_deinit(&blob);
    free(text);
}

static int64_t in_order(int64_t i)
{
    return i;
}

static int64_t shuffled(int64_t i)
{
    return i * 7919 % POINTS; /* a prime that does not divide it */
}

static int64_t backwards(int64_t i)
{
    return POINTS - 1 - i;
}

/* As the server's readers have it. */
static struct ps_history open_reader(const struct world *w)
{
    struct ps_history history = { .now_ms = FROM_MS };
    struct ps_text why;
    assert_int_equal(ps_db_open(w->temp.path, PS_DB_READER, &history.db, &why), PS_OK);
    return history;
}

struct walked {
    int64_t next, step;
    size_t text_len;
    size_t memory;
};

static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static enum ps_status take(void *arg, const struct ps_point *points, size_t count)
{
    struct walked *walked = arg;
    size_t memory = memory_in_use();
    walked->memory = memory > walked->memory ? memory : walked->memory;
    for (size_t i = 0; i < count; i++, walked->next += walked->step) {
        const struct ps_value *value = &points[i].value;
        assert_int_equal(points[i].ts_ms, FROM_MS + walked->next);
        if (walked->text_len)
            assert_int_equal(value->len, walked->next % (int64_t)walked->text_len);
        else
            assert_int_equal(value->integer, walked->next);
        if (walked->text_len && value->len)
            assert_true(value->text[0] == 'x' && value->text[value->len - 1] == 'x');
    }
    return PS_OK;
}

static void walk_both_ways(const struct world *w, int64_t points, size_t text_len, size_t memory)
{
    struct ps_series_copy copy = { .id = 1, .journal_up_to = w->seq };
    for (int down = 0; down < 2; down++) {
        struct ps_history_range range = { .end_ms = INT64_MAX, .descending = down };
        struct ps_history history = open_reader(w);
        struct walked walked = { .next = down ? points - 1 : 0,
                                 .step = down ? -1 : 1,
                                 .text_len = text_len };
        size_t before = memory_in_use();
        assert_int_equal(ps_history_scan(&history, &copy, &range, take, &walked), PS_OK);
        assert_int_equal(walked.next, down ? -1 : points);
        assert_in_range(walked.memory, 0, before + memory);
        ps_db_close(history.db);
    }
}

static void a_long_tail_takes_little_memory(void **state)
{
    (void)state;
    static const struct {
        int64_t (*order)(int64_t);
        size_t memory;
    } cases[] = { { in_order, 2500000 }, { backwards, 2500000 }, { shuffled, 9000000 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_init(&w, 4);
        write_rows(&w, ROWS, ROW_POINTS, 0, cases[i].order);
        walk_both_ways(&w, POINTS, 0, cases[i].memory);
        world_deinit(&w);
    }
}

/* 15 MB of text. */
static void long_texts_make_small_windows(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 4);
    write_rows(&w, 1000, 10, TEXT_BYTES, in_order);
    walk_both_ways(&w, 10000, TEXT_BYTES, 7000000);
    world_deinit(&w);
}

/* ---- the snapshot ---- */

static void seal_all(struct world *w)
{
    struct ps_text sql;
    assert_int_equal(ps_manifest_set_state(w->temp.db, PS_STATE_SEALED_SEQ, w->seq), PS_OK);
    ps_text_set(&sql, "DELETE FROM journal WHERE seq <= %lld", (long long)w->seq);
    assert_int_equal(ps_db_exec(w->temp.db, sql.data), PS_OK);
}

struct walking {
    struct ps_history history;
    struct ps_series_copy copy;
    struct ps_history_view *view;
    struct ps_history_cursor *cursor;
    size_t count;
};

static void begin_walk(struct walking *walking, struct world *w)
{
    struct ps_history_range range = { .end_ms = INT64_MAX };
    const struct ps_point *points;
    world_init(w, 4);
    write_rows(w, ROWS, ROW_POINTS, 0, in_order);
    *walking =
        (struct walking){ .history = open_reader(w), .copy = { .id = 1, .journal_up_to = w->seq } };
    assert_int_equal(ps_history_open(&walking->history, &walking->copy, 1, &range, &walking->view),
                     PS_OK);
    assert_int_equal(ps_history_cursor_open(walking->view, 0, &walking->cursor), PS_OK);
    assert_int_equal(ps_history_cursor_next(walking->cursor, &points, &walking->count), PS_OK);
    assert_in_range(walking->count, 1, POINTS / 2);
}

static enum ps_status end_walk(struct walking *walking, struct world *w)
{
    const struct ps_point *points;
    size_t count;
    enum ps_status st;
    while ((st = ps_history_cursor_next(walking->cursor, &points, &count)) == PS_OK)
        walking->count += count;
    ps_history_cursor_close(walking->cursor);
    ps_history_close(walking->view);
    assert_false(ps_db_in_transaction(walking->history.db));
    ps_db_close(walking->history.db);
    world_deinit(w);
    return st;
}

static void rows_that_are_sealed_meanwhile_are_still_read(void **state)
{
    (void)state;
    struct walking walking;
    struct world w;
    begin_walk(&walking, &w);
    seal_all(&w);
    assert_int_equal(end_walk(&walking, &w), PS_ENOTFOUND);
    assert_int_equal(walking.count, POINTS);
}

/* Whoever had to look at the present begins again if it is another one. */
static void a_snapshot_that_was_given_up_is_taken_again_or_refused(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct walking walking;
        struct world w;
        begin_walk(&walking, &w);
        ps_history_view_leave(walking.view);
        if (sealed)
            seal_all(&w);
        assert_int_equal(end_walk(&walking, &w), sealed ? PS_EBUSY : PS_ENOTFOUND);
        if (!sealed)
            assert_int_equal(walking.count, POINTS);
    }
}

static void who_has_gone_waits_for_nothing(void **state)
{
    (void)state;
    _Atomic bool gone = false;
    struct walking walking;
    struct world w;
    begin_walk(&walking, &w);
    walking.history.abandoned = &gone;
    atomic_store(&gone, true);
    size_t count = walking.count;
    struct ps_history history = open_reader(&w);
    struct ps_history_query query = { .end_ms = INT64_MAX, .limit = 10, .abandoned = &gone };
    struct ps_points out = { 0 };
    assert_int_equal(ps_history_read(&history, &query, &walking.copy, 1, &out), PS_ECLOSED);
    assert_int_equal(out.count, 0);
    ps_db_close(history.db);
    assert_int_equal(end_walk(&walking, &w), PS_ECLOSED);
    assert_int_equal(walking.count, count);
}

/* Damage is counted once, however often its row is come by. */
static void a_damaged_row_is_passed_over_once(void **state)
{
    (void)state;
    struct ps_history_query query = { .end_ms = INT64_MAX, .limit = SIZE_MAX };
    struct ps_points out = { 0 };
    struct world w;
    world_init(&w, 4);
    write_rows(&w, 1000, 10, 0, in_order); /* so that parts have many rows */
    assert_int_equal(ps_db_exec(w.temp.db, "UPDATE journal SET points = substr(points, 1, 20)"
                                           " WHERE seq = 77"),
                     PS_OK);
    struct ps_history history = open_reader(&w);
    struct ps_series_copy copy = { .id = 1, .journal_up_to = w.seq };
    history.window_points = 100;
    assert_int_equal(ps_history_read(&history, &query, &copy, 1, &out), PS_OK);
    assert_int_equal(out.count, 10000 - 10);
    assert_int_equal(history.damaged, 1);
    assert_string_equal(history.damage.data, "journal row 77 is damaged");
    ps_points_deinit(&out);
    ps_db_close(history.db);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_tail_takes_little_memory),
        cmocka_unit_test(long_texts_make_small_windows),
        cmocka_unit_test(rows_that_are_sealed_meanwhile_are_still_read),
        cmocka_unit_test(a_snapshot_that_was_given_up_is_taken_again_or_refused),
        cmocka_unit_test(who_has_gone_waits_for_nothing),
        cmocka_unit_test(a_damaged_row_is_passed_over_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
