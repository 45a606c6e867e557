/* Buckets as the REST contract (8.1) says, and the shortcut over summaries of chunks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/aggregate.h"
#include "core/telemetry/block.h"

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
    { "NaN has no place in an order",
      0,
      10,
      10,
      PS_AGG_MIN,
      { REAL(0, NAN), REAL(1, 2), REAL(2, NAN), REAL(3, 1) },
      4,
      { REAL(5, 1) },
      1 },
    { "NaN alone is the answer",
      0,
      10,
      10,
      PS_AGG_MAX,
      { REAL(0, NAN), REAL(1, NAN) },
      2,
      { REAL(5, NAN) },
      1 },
    { "infinities are numbers",
      0,
      10,
      10,
      PS_AGG_MAX,
      { REAL(0, -INFINITY), REAL(1, NAN) },
      2,
      { REAL(5, -INFINITY) },
      1 },
    { "SUM of longs wraps",
      0,
      10,
      10,
      PS_AGG_SUM,
      { LONG(0, INT64_MAX), LONG(1, 1) },
      2,
      { LONG(5, INT64_MIN) },
      1 },
    { "JSON and booleans have no order, and are counted",
      0,
      10,
      10,
      PS_AGG_COUNT,
      { BOOL(0, true), BOOL(1, false) },
      2,
      { LONG(5, 2) },
      1 },
};

static bool same_value(const struct ps_value *a, const struct ps_value *b)
{
    if (a->type == PS_VALUE_DOUBLE && b->type == PS_VALUE_DOUBLE && isnan(a->real))
        return isnan(b->real);
    return ps_value_equal(a, b);
}

/* The points in one piece, or one by one. */
static void aggregate(const struct ps_history_query *query, const struct ps_point *points,
                      size_t count, size_t piece, struct ps_points *out)
{
    struct ps_aggregation aggregation;
    assert_int_equal(ps_aggregation_init(&aggregation, query, 100, out), PS_OK);
    for (size_t at = 0; at < count; at += piece)
        assert_int_equal(
            ps_aggregation_add(&aggregation, points + at, count - at < piece ? count - at : piece),
            PS_OK);
    assert_int_equal(ps_aggregation_finish(&aggregation), PS_OK);
    ps_aggregation_deinit(&aggregation);
}

static void buckets_follow_the_contract(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof bucket_cases / sizeof *bucket_cases); i++) {
        const struct bucket_case *c = &bucket_cases[i / 2];
        const struct ps_history_query query = { .start_ms = c->start_ms,
                                                .end_ms = c->end_ms,
                                                .interval_ms = c->interval_ms,
                                                .aggregate = c->aggregate };
        struct ps_points out = { 0 };
        aggregate(&query, c->in, c->in_count, i % 2 ? 1 : POINTS_MAX, &out);
        bool right = out.count == c->want_count;
        for (size_t p = 0; right && p < out.count; p++)
            right = out.points[p].ts_ms == c->want[p].ts_ms &&
                    same_value(&out.points[p].value, &c->want[p].value);
        if (!right)
            print_error("%s: %zu buckets, the first at %lld\n", c->name, out.count,
                        out.count ? (long long)out.points[0].ts_ms : 0);
        assert_true(right);
        ps_points_deinit(&out);
    }
}

/* Texts are only there during the call: what a bucket keeps is its own. */
static void texts_are_copied(void **state)
{
    (void)state;
    struct ps_history_query query = { .end_ms = 100, .interval_ms = 100, .aggregate = PS_AGG_MIN };
    struct ps_aggregation aggregation;
    struct ps_points out = { 0 };
    char text[] = "bbb";
    struct ps_point point = TEXT(1, "bbb");
    point.value.text = text;
    assert_int_equal(ps_aggregation_init(&aggregation, &query, 1, &out), PS_OK);
    assert_int_equal(ps_aggregation_add(&aggregation, &point, 1), PS_OK);
    memcpy(text, "zzz", 3);
    point.ts_ms = 2;
    assert_int_equal(ps_aggregation_add(&aggregation, &point, 1), PS_OK);
    assert_int_equal(ps_aggregation_finish(&aggregation), PS_OK);
    assert_memory_equal(out.points[0].value.text, "bbb", 3);
    ps_aggregation_deinit(&aggregation);
    ps_points_deinit(&out);
}

static struct ps_chunk_info summary_of(const struct ps_point *points, size_t count)
{
    struct ps_chunk_info info = { .count = (uint32_t)count,
                                  .first_ms = points[0].ts_ms,
                                  .last_ms = points[count - 1].ts_ms,
                                  .has_summary = true,
                                  .summary = { .whole_min = INT64_MAX,
                                               .whole_max = INT64_MIN,
                                               .real_min = INFINITY,
                                               .real_max = -INFINITY } };
    struct ps_chunk_summary *summary = &info.summary;
    for (size_t i = 0; i < count; i++) {
        int64_t whole = points[i].value.integer;
        summary->whole_min = whole < summary->whole_min ? whole : summary->whole_min;
        summary->whole_max = whole > summary->whole_max ? whole : summary->whole_max;
        summary->whole_sum += whole;
    }
    summary->real_min = (double)summary->whole_min;
    summary->real_max = (double)summary->whole_max;
    summary->real_sum = (double)summary->whole_sum;
    return info;
}

static void a_summary_answers_like_its_points(void **state)
{
    (void)state;
    struct ps_point points[64];
    unsigned seed = 5;
    for (int i = 0; i < 64; i++)
        points[i] = (struct ps_point)LONG(i, (int)(rand_r(&seed) % 1000) - 500);
    struct ps_chunk_info inside = summary_of(points + 1, 40), across = summary_of(points + 41, 23);
    for (enum ps_aggregate kind = PS_AGG_MIN; kind <= PS_AGG_COUNT; kind++) {
        struct ps_history_query query = { .end_ms = 64, .interval_ms = 50, .aggregate = kind };
        struct ps_points want = { 0 }, out = { 0 };
        struct ps_aggregation aggregation;
        aggregate(&query, points, 64, 64, &want);
        assert_int_equal(ps_aggregation_init(&aggregation, &query, 100, &out), PS_OK);
        assert_int_equal(ps_aggregation_add(&aggregation, points, 1), PS_OK);
        assert_int_equal(ps_aggregation_add_chunk(&aggregation, &inside), PS_OK);
        assert_int_equal(ps_aggregation_add_chunk(&aggregation, &across), PS_EUNSUPPORTED);
        assert_int_equal(ps_aggregation_add(&aggregation, points + 41, 23), PS_OK);
        assert_int_equal(ps_aggregation_finish(&aggregation), PS_OK);
        assert_int_equal(out.count, 2);
        for (size_t i = 0; i < 2; i++)
            assert_true(ps_value_equal(&out.points[i].value, &want.points[i].value));
        ps_aggregation_deinit(&aggregation);
        ps_points_deinit(&out);
        ps_points_deinit(&want);
    }
}

static void buckets_are_bounded(void **state)
{
    (void)state;
    struct ps_history_query query = { .end_ms = 100, .interval_ms = 1, .aggregate = PS_AGG_COUNT };
    struct ps_aggregation aggregation;
    struct ps_points out = { 0 };
    struct ps_point points[5] = { LONG(1, 1), LONG(2, 1), LONG(3, 1), LONG(4, 1), LONG(5, 1) };
    assert_int_equal(ps_aggregation_init(&aggregation, &query, 3, &out), PS_OK);
    assert_int_equal(ps_aggregation_add(&aggregation, points, 5), PS_ELIMIT);
    assert_int_equal(out.count, 3);
    ps_aggregation_deinit(&aggregation);
    ps_points_deinit(&out);
}

static const struct count_case {
    struct ps_history_query query;
    size_t want;
} count_cases[] = {
    { { .end_ms = 100, .interval_ms = 30 }, 4 },
    { { .end_ms = 90, .interval_ms = 30 }, 3 },
    { { .end_ms = 0, .interval_ms = 30 }, 0 },
    { { .start_ms = 5, .end_ms = 1, .interval_ms = 30 }, 0 },
    { { .start_ms = INT64_MIN, .end_ms = INT64_MAX, .interval_ms = 1 }, 1001 },
    { { .start_ms = INT64_MIN, .end_ms = INT64_MAX, .interval_type = PS_INTERVAL_WEEK }, 1001 },
    /* 2026-01-15 to 2026-03-02, UTC */
    { { .start_ms = INT64_C(1768435200000),
        .end_ms = INT64_C(1772409600000),
        .interval_type = PS_INTERVAL_MONTH,
        .time_zone = "UTC" },
      3 },
    { { .start_ms = INT64_C(1768435200000),
        .end_ms = INT64_C(1772409600000),
        .interval_type = PS_INTERVAL_QUARTER,
        .time_zone = "UTC" },
      1 },
};

static void buckets_of_a_range_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof count_cases / sizeof *count_cases; i++) {
        size_t count = SIZE_MAX;
        assert_int_equal(ps_aggregation_count(&count_cases[i].query, 1000, &count), PS_OK);
        assert_int_equal(count, count_cases[i].want);
    }
    struct ps_history_query nowhere = { .end_ms = 5,
                                        .interval_type = PS_INTERVAL_WEEK,
                                        .time_zone = "Europe/Atlantis" };
    size_t count;
    assert_int_equal(ps_aggregation_count(&nowhere, 1000, &count), PS_EINVAL);
}

/* March 2026 in Berlin has 743 hours: its middle is half an hour early. */
static void months_have_the_length_of_their_zone(void **state)
{
    (void)state;
    int64_t march = INT64_C(1772319600000); /* 2026-03-01 00:00 CET */
    int64_t april = INT64_C(1774994400000); /* 2026-04-01 00:00 CEST */
    struct ps_history_query query = { .start_ms = march - 1000,
                                      .end_ms = april + 1000,
                                      .aggregate = PS_AGG_COUNT,
                                      .interval_type = PS_INTERVAL_MONTH,
                                      .time_zone = "Europe/Berlin" };
    struct ps_point points[] = { LONG(march - 1, 1), LONG(march, 1), LONG(april - 1, 1),
                                 LONG(april, 1) };
    struct ps_points out = { 0 };
    aggregate(&query, points, 4, 4, &out);
    assert_int_equal(out.count, 3);
    assert_int_equal(out.points[0].ts_ms, march - 500); /* cut by the range */
    assert_int_equal(out.points[1].ts_ms, march + (april - march) / 2);
    assert_int_equal(out.points[1].value.integer, 2);
    assert_int_equal(out.points[2].ts_ms, april + 500);
    ps_points_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_the_contract),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(a_summary_answers_like_its_points),
        cmocka_unit_test(buckets_are_bounded),
        cmocka_unit_test(buckets_of_a_range_are_counted),
        cmocka_unit_test(months_have_the_length_of_their_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
