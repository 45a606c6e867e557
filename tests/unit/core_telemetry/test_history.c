/* History without runs: heads and journal read as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/history.h"
#include "core/telemetry/journal.h"
#include "unit/core_storage/temp_db.h"

#define LONG(ts, x)                                                                                \
    {                                                                                              \
        ts,                                                                                        \
        {                                                                                          \
            .type = PS_VALUE_LONG, .integer = (x)                                                  \
        }                                                                                          \
    }

/* ---- heads and journal ---- */

struct store {
    struct temp_db temp;
    int64_t seq;
};

/* One journal row of one series. */
static void store_row(struct store *store, uint32_t series, const struct ps_point *points,
                      size_t count)
{
    struct ps_buf blob = { 0 };
    struct ps_journal_encoder encoder;
    struct ps_stmt *stmt;
    ps_journal_begin(&encoder, &blob);
    for (size_t i = 0; i < count; i++)
        ps_journal_put(&encoder, series, points[i].ts_ms, &points[i].value, 0);
    ps_journal_finish(&encoder);
    assert_int_equal(
        ps_db_prepare(store->temp.db, "INSERT INTO journal(seq, points) VALUES(?, ?)", &stmt),
        PS_OK);
    ps_stmt_bind_int(stmt, 1, ++store->seq);
    ps_stmt_bind_blob(stmt, 2, blob.data, blob.len);
    assert_int_equal(ps_stmt_run(stmt), PS_OK);
    ps_buf_deinit(&blob);
}

static void store_long(struct store *store, uint32_t series, int64_t ts_ms, int64_t integer)
{
    const struct ps_point point = LONG(ts_ms, integer);
    store_row(store, series, &point, 1);
}

static void head_long(struct ps_series_copy *copy, int64_t ts_ms, int64_t integer)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = integer };
    assert_int_equal(ps_points_add(&copy->points, ts_ms, &value), PS_OK);
}

static void assert_points(const struct ps_points *points, const int64_t (*want)[2], size_t count)
{
    assert_int_equal(points->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(points->points[i].ts_ms, want[i][0]);
        assert_int_equal(points->points[i].value.integer, want[i][1]);
    }
}

static void the_last_write_wins_over_journal_and_head(void **state)
{
    (void)state;
    struct store store = { .seq = 0 };
    temp_db_init(&store.temp);
    store_long(&store, 1, 10, 1);
    store_long(&store, 1, 20, 2);
    store_long(&store, 1, 10, 3);  /* replaces inside the journal */
    store_long(&store, 2, 10, 99); /* another series */
    store_long(&store, 1, 40, 4);  /* newer than the query may read */
    struct ps_series_copy copy = { .id = 1, .journal_up_to = 4 };
    head_long(&copy, 20, 5); /* replaces what the journal has */
    head_long(&copy, 5, 6);  /* came late */
    struct ps_history_query query = {
        .start_ms = 0, .end_ms = 100, .limit = 100, .ascending = true
    };
    struct ps_points out = { .key = strdup("temp") };
    struct ps_history history = { .db = store.temp.db };
    assert_int_equal(ps_history_read(&history, &query, &copy, 1, &out), PS_OK);
    assert_points(&out, (const int64_t[][2]){ { 5, 6 }, { 10, 3 }, { 20, 5 } }, 3);
    assert_string_equal(out.key, "temp");
    ps_points_deinit(&out);
    ps_series_copy_deinit(&copy);
    temp_db_deinit(&store.temp);
}

/* Each series is read up to its own row: what came after its head was copied is for the next query.
 */
static void series_are_read_up_to_their_own_rows(void **state)
{
    (void)state;
    struct store store = { .seq = 0 };
    temp_db_init(&store.temp);
    store_long(&store, 1, 10, 1);
    store_long(&store, 1, 20, 2);
    store_long(&store, 2, 30, 3);
    struct ps_series_copy copies[2] = { { .id = 1, .journal_up_to = 1 },
                                        { .id = 2, .journal_up_to = 3 } };
    struct ps_history_query query = { .end_ms = 100, .limit = 10, .ascending = true };
    struct ps_points out[2] = { { 0 } };
    struct ps_history history = { .db = store.temp.db };
    assert_int_equal(ps_history_read(&history, &query, copies, 2, out), PS_OK);
    assert_points(&out[0], (const int64_t[][2]){ { 10, 1 } }, 1);
    assert_points(&out[1], (const int64_t[][2]){ { 30, 3 } }, 1);
    ps_points_deinit(&out[0]);
    ps_points_deinit(&out[1]);
    temp_db_deinit(&store.temp);
}

static void a_head_that_has_all_needs_no_journal(void **state)
{
    (void)state;
    struct ps_series_copy copies[2] = { { .id = 1 }, { .id = 0 } };
    head_long(&copies[0], 20, 2);
    head_long(&copies[0], 10, 1);
    struct ps_history_query query = { .start_ms = 0, .end_ms = 100, .limit = 10 };
    struct ps_points out[2] = { { 0 } };
    struct ps_history history = { .db = NULL };
    assert_int_equal(ps_history_read(&history, &query, copies, 2, out), PS_OK);
    assert_points(&out[0], (const int64_t[][2]){ { 20, 2 }, { 10, 1 } }, 2);
    assert_int_equal(out[1].count, 0);
    for (unsigned i = 0; i < 2; i++) {
        ps_points_deinit(&out[i]);
        ps_series_copy_deinit(&copies[i]);
    }
}

/* What is damaged is named; what is not is shown. */
static void a_damaged_row_is_passed_over_and_reported(void **state)
{
    (void)state;
    struct store store = { .seq = 0 };
    temp_db_init(&store.temp);
    store_long(&store, 1, 10, 1);
    store_long(&store, 1, 20, 2);
    store_long(&store, 1, 30, 3);
    assert_int_equal(ps_db_exec(store.temp.db, "UPDATE journal SET points = x'0102' WHERE seq = 2"),
                     PS_OK);
    struct ps_series_copy copy = { .id = 1, .journal_up_to = 3 };
    struct ps_history_query query = {
        .start_ms = 0, .end_ms = 100, .limit = 10, .ascending = true
    };
    struct ps_points out = { 0 };
    struct ps_history history = { .db = store.temp.db };
    assert_int_equal(ps_history_read(&history, &query, &copy, 1, &out), PS_OK);
    assert_points(&out, (const int64_t[][2]){ { 10, 1 }, { 30, 3 } }, 2);
    assert_int_equal(history.damaged, 1);
    assert_string_equal(history.damage.data, "journal row 2 is damaged");
    ps_points_deinit(&out);
    temp_db_deinit(&store.temp);
}

/* ---- against a naive model ---- */

enum { MODEL_TIMES = 6000, MODEL_ROWS = 400 };

struct model {
    bool there[MODEL_TIMES];
    int64_t values[MODEL_TIMES];
};

static size_t ask_model(const struct model *model, const struct ps_history_query *query,
                        struct ps_point *out)
{
    size_t count = 0;
    for (int64_t i = 0; i < MODEL_TIMES && count < query->limit; i++) {
        int64_t ts_ms = query->ascending ? i : MODEL_TIMES - 1 - i;
        if (model->there[ts_ms] && ts_ms >= query->start_ms && ts_ms < query->end_ms)
            out[count++] = (struct ps_point)LONG(ts_ms, model->values[ts_ms]);
    }
    return count;
}

static void check_against_model(struct store *store, const struct ps_series_table *table,
                                const struct ps_series *series, const struct model *model,
                                const struct ps_history_query *query)
{
    struct ps_point *want = calloc(MODEL_TIMES, sizeof *want);
    size_t count = ask_model(model, query, want);
    struct ps_series_copy copy;
    struct ps_points out = { 0 };
    struct ps_history history = { .db = store->temp.db };
    assert_int_equal(ps_series_copy(table, series, query->start_ms, query->end_ms, &copy), PS_OK);
    assert_int_equal(ps_history_read(&history, query, &copy, 1, &out), PS_OK);
    assert_int_equal(out.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(out.points[i].ts_ms, want[i].ts_ms);
        assert_int_equal(out.points[i].value.integer, want[i].value.integer);
    }
    ps_points_deinit(&out);
    ps_series_copy_deinit(&copy);
    free(want);
}

/* Enough points that lists are cut while the journal is scanned. */
static void ranges_limits_and_orders_match_a_naive_model(void **state)
{
    (void)state;
    struct store store = { .seq = 0 };
    _Atomic uint32_t next_id = 1;
    struct ps_series_limits limits = { .head_points_max = 50,
                                       .memory_max = 1 << 20,
                                       .next_id = &next_id };
    struct ps_series_table table;
    struct ps_entity_id id = { PS_ENTITY_DEVICE, { "device" } };
    struct model *model = calloc(1, sizeof *model);
    unsigned seed = 11;
    temp_db_init(&store.temp);
    assert_int_equal(ps_series_table_init(&table, &limits), PS_OK);
    struct ps_series *series = ps_series_get(&table, ps_series_table_get(&table, &id), "k", 1);
    assert_int_equal(ps_db_begin(store.temp.db), PS_OK);
    for (unsigned row = 0; row < MODEL_ROWS; row++) {
        struct ps_point points[20];
        for (unsigned i = 0; i < 20; i++) {
            points[i] = (struct ps_point)LONG(rand_r(&seed) % MODEL_TIMES, row * 20 + i);
            model->there[points[i].ts_ms] = true;
            model->values[points[i].ts_ms] = points[i].value.integer;
        }
        store_row(&store, series->id, points, 20);
        for (unsigned i = 0; i < 20; i++)
            ps_series_apply(&table, series, store.seq, points[i].ts_ms, &points[i].value, 0);
    }
    assert_int_equal(ps_db_commit(store.temp.db), PS_OK);
    for (unsigned round = 0; round < 60; round++) {
        int64_t a = rand_r(&seed) % MODEL_TIMES, b = rand_r(&seed) % MODEL_TIMES;
        struct ps_history_query query = { .start_ms = round % 3 ? a : 0,
                                          .end_ms = round % 3 ? b : MODEL_TIMES,
                                          .limit = round % 4 ? (size_t)rand_r(&seed) % 200 : 100000,
                                          .ascending = round % 2 };
        check_against_model(&store, &table, series, model, &query);
    }
    ps_series_table_deinit(&table);
    temp_db_deinit(&store.temp);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_write_wins_over_journal_and_head),
        cmocka_unit_test(series_are_read_up_to_their_own_rows),
        cmocka_unit_test(a_head_that_has_all_needs_no_journal),
        cmocka_unit_test(a_damaged_row_is_passed_over_and_reported),
        cmocka_unit_test(ranges_limits_and_orders_match_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
