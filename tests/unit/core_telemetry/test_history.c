/* History: heads and journal read as one, and cut into buckets as the REST contract (8.1) says. */
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

/* ---- buckets ---- */

#define LONG(ts, x)                                                                                \
    {                                                                                              \
        ts,                                                                                        \
        {                                                                                          \
            .type = PS_VALUE_LONG, .integer = (x)                                                  \
        }                                                                                          \
    }
#define REAL(ts, x)                                                                                \
    {                                                                                              \
        ts,                                                                                        \
        {                                                                                          \
            .type = PS_VALUE_DOUBLE, .real = (x)                                                   \
        }                                                                                          \
    }
#define TEXT(ts, x)                                                                                \
    {                                                                                              \
        ts,                                                                                        \
        {                                                                                          \
            .type = PS_VALUE_STRING, .text = (x), .len = sizeof(x) - 1                             \
        }                                                                                          \
    }
#define BOOL(ts, x)                                                                                \
    {                                                                                              \
        ts,                                                                                        \
        {                                                                                          \
            .type = PS_VALUE_BOOLEAN, .boolean = (x)                                               \
        }                                                                                          \
    }

enum { POINTS_MAX = 8 };

static const struct bucket_case {
    const char *name;
    int64_t start_ms, end_ms, interval_ms;
    enum ps_aggregate aggregate;
    struct ps_point in[POINTS_MAX];
    size_t in_count;
    struct ps_point want[POINTS_MAX];
    size_t want_count;
} bucket_cases[] = {
    { "AVG of the contract's example",
      0,
      4000,
      2000,
      PS_AGG_AVG,
      { LONG(1000, 10), LONG(2000, 20), LONG(3000, 30) },
      3,
      { REAL(1000, 10), REAL(3000, 25) },
      2 },
    { "the last bucket is clipped, and so is its midpoint",
      100,
      250,
      100,
      PS_AGG_COUNT,
      { LONG(100, 1), LONG(199, 1), LONG(200, 1), LONG(249, 1) },
      4,
      { LONG(150, 2), LONG(225, 2) },
      2 },
    { "empty buckets are left out",
      0,
      1000,
      10,
      PS_AGG_SUM,
      { LONG(5, 1), LONG(995, 2) },
      2,
      { LONG(5, 1), LONG(995, 2) },
      2 },
    { "SUM is long unless any double is there",
      0,
      20,
      10,
      PS_AGG_SUM,
      { LONG(0, 1), LONG(1, 2), LONG(10, 1), REAL(11, 0.5) },
      4,
      { LONG(5, 3), REAL(15, 1.5) },
      2 },
    { "SUM and AVG pass over what is no number",
      0,
      10,
      10,
      PS_AGG_SUM,
      { TEXT(0, "x"), LONG(1, 4), BOOL(2, true) },
      3,
      { LONG(5, 4) },
      1 },
    { "a bucket of strings has no SUM", 0, 10, 10, PS_AGG_SUM, { TEXT(0, "x") }, 1, { { 0 } }, 0 },
    { "a bucket of strings has no AVG", 0, 10, 10, PS_AGG_AVG, { TEXT(0, "x") }, 1, { { 0 } }, 0 },
    { "MIN of longs",
      0,
      10,
      10,
      PS_AGG_MIN,
      { LONG(0, 3), LONG(1, -7), LONG(2, 5) },
      3,
      { LONG(5, -7) },
      1 },
    { "MAX with a double is a double",
      0,
      10,
      10,
      PS_AGG_MAX,
      { LONG(0, 3), REAL(1, 2.5) },
      2,
      { REAL(5, 3) },
      1 },
    { "MIN of strings is lexical",
      0,
      10,
      10,
      PS_AGG_MIN,
      { TEXT(0, "b"), TEXT(1, "ab"), TEXT(2, "a") },
      3,
      { TEXT(5, "a") },
      1 },
    { "MAX of strings is lexical",
      0,
      10,
      10,
      PS_AGG_MAX,
      { TEXT(0, "b"), TEXT(1, "ba"), TEXT(2, "a") },
      3,
      { TEXT(5, "ba") },
      1 },
    { "numbers go before strings",
      0,
      10,
      10,
      PS_AGG_MAX,
      { TEXT(0, "z"), LONG(1, 2) },
      2,
      { LONG(5, 2) },
      1 },
    { "COUNT counts all kinds",
      0,
      10,
      10,
      PS_AGG_COUNT,
      { TEXT(0, "z"), LONG(1, 2), BOOL(2, false), REAL(3, 1) },
      4,
      { LONG(5, 4) },
      1 },
    { "a bucket of booleans has no MIN",
      0,
      10,
      10,
      PS_AGG_MIN,
      { BOOL(0, true) },
      1,
      { { 0 } },
      0 },
    { "MIN and MAX keep all 64 bits",
      0,
      10,
      10,
      PS_AGG_MAX,
      { LONG(0, INT64_MAX - 1), LONG(1, INT64_MAX) },
      2,
      { LONG(5, INT64_MAX) },
      1 },
    { "MIN keeps all 64 bits",
      0,
      10,
      10,
      PS_AGG_MIN,
      { LONG(0, INT64_MIN + 1), LONG(1, INT64_MIN) },
      2,
      { LONG(5, INT64_MIN) },
      1 },
    { "AVG of extremes does not overflow",
      0,
      10,
      10,
      PS_AGG_AVG,
      { LONG(0, INT64_MAX), LONG(1, INT64_MAX) },
      2,
      { REAL(5, 9223372036854775807.0) },
      1 },
    { "the whole of time is one range",
      INT64_MIN,
      INT64_MAX,
      INT64_MAX,
      PS_AGG_COUNT,
      { LONG(INT64_MIN, 1), LONG(-2, 1), LONG(-1, 1), LONG(INT64_MAX - 2, 1),
        LONG(INT64_MAX - 1, 1) },
      5,
      { LONG(INT64_MIN + INT64_MAX / 2, 2), LONG(INT64_MAX / 2 - 1, 2), LONG(INT64_MAX - 1, 1) },
      3 },
    { "buckets before 1970",
      -25,
      -5,
      10,
      PS_AGG_COUNT,
      { LONG(-25, 1), LONG(-15, 1) },
      2,
      { LONG(-20, 1), LONG(-10, 1) },
      2 },
};

static void buckets_follow_the_contract(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bucket_cases / sizeof *bucket_cases; i++) {
        const struct bucket_case *c = &bucket_cases[i];
        struct ps_point in[POINTS_MAX];
        memcpy(in, c->in, sizeof in);
        const struct ps_points points = { .points = in, .count = c->in_count };
        const struct ps_history_query query = { .start_ms = c->start_ms,
                                                .end_ms = c->end_ms,
                                                .interval_ms = c->interval_ms,
                                                .aggregate = c->aggregate };
        struct ps_points out = { 0 };
        assert_int_equal(ps_history_aggregate(&points, &query, &out), PS_OK);
        bool right = out.count == c->want_count;
        for (size_t p = 0; right && p < out.count; p++)
            right = out.points[p].ts_ms == c->want[p].ts_ms &&
                    ps_value_equal(&out.points[p].value, &c->want[p].value);
        if (!right)
            print_error("%s: %zu buckets, the first at %lld\n", c->name, out.count,
                        out.count ? (long long)out.points[0].ts_ms : 0);
        assert_true(right);
        ps_points_deinit(&out);
    }
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
        ps_journal_put(&encoder, series, points[i].ts_ms, &points[i].value);
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
    assert_int_equal(ps_history_read(store.temp.db, &query, &copy, 1, &out), PS_OK);
    assert_points(&out, (const int64_t[][2]){ { 5, 6 }, { 10, 3 }, { 20, 5 } }, 3);
    assert_string_equal(out.key, "temp");
    assert_int_equal(copy.points.count == 0 || copy.points.points[0].ts_ms == 20, 1);
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
    assert_int_equal(ps_history_read(store.temp.db, &query, copies, 2, out), PS_OK);
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
    assert_int_equal(ps_history_read(NULL, &query, copies, 2, out), PS_OK); /* no database */
    assert_points(&out[0], (const int64_t[][2]){ { 20, 2 }, { 10, 1 } }, 2);
    assert_int_equal(out[1].count, 0);
    for (unsigned i = 0; i < 2; i++) {
        ps_points_deinit(&out[i]);
        ps_series_copy_deinit(&copies[i]);
    }
}

static void a_damaged_row_is_an_error_and_not_a_gap(void **state)
{
    (void)state;
    struct store store = { .seq = 0 };
    temp_db_init(&store.temp);
    store_long(&store, 1, 10, 1);
    assert_int_equal(ps_db_exec(store.temp.db, "UPDATE journal SET points = x'0102'"), PS_OK);
    struct ps_series_copy copy = { .id = 1, .journal_up_to = 1 };
    struct ps_history_query query = { .start_ms = 0, .end_ms = 100, .limit = 10 };
    struct ps_points out = { 0 };
    assert_int_equal(ps_history_read(store.temp.db, &query, &copy, 1, &out), PS_ESTORE);
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

static void check_against_model(struct store *store, const struct ps_series *series,
                                const struct model *model, const struct ps_history_query *query)
{
    struct ps_point *want = calloc(MODEL_TIMES, sizeof *want);
    size_t count = ask_model(model, query, want);
    struct ps_series_copy copy;
    struct ps_points out = { 0 };
    assert_int_equal(ps_series_copy(series, query->start_ms, query->end_ms, &copy), PS_OK);
    assert_int_equal(ps_history_read(store->temp.db, query, &copy, 1, &out), PS_OK);
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
            ps_series_apply(&table, series, store.seq, points[i].ts_ms, &points[i].value);
    }
    assert_int_equal(ps_db_commit(store.temp.db), PS_OK);
    for (unsigned round = 0; round < 60; round++) {
        int64_t a = rand_r(&seed) % MODEL_TIMES, b = rand_r(&seed) % MODEL_TIMES;
        struct ps_history_query query = { .start_ms = round % 3 ? a : 0,
                                          .end_ms = round % 3 ? b : MODEL_TIMES,
                                          .limit = round % 4 ? (size_t)rand_r(&seed) % 200 : 100000,
                                          .ascending = round % 2 };
        check_against_model(&store, series, model, &query);
    }
    ps_series_table_deinit(&table);
    temp_db_deinit(&store.temp);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_the_contract),
        cmocka_unit_test(the_last_write_wins_over_journal_and_head),
        cmocka_unit_test(series_are_read_up_to_their_own_rows),
        cmocka_unit_test(a_head_that_has_all_needs_no_journal),
        cmocka_unit_test(a_damaged_row_is_an_error_and_not_a_gap),
        cmocka_unit_test(ranges_limits_and_orders_match_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
