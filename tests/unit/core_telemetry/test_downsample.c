/* Thinning: at most as many points as asked for, all of them real ones, and the shape stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/downsample.h"

enum { COUNT = 20000 };

static struct ps_point real(int64_t ts_ms, double value)
{
    return (struct ps_point){ ts_ms, { .type = PS_VALUE_DOUBLE, .real = value } };
}

static struct ps_point text(int64_t ts_ms, const char *value)
{
    return (struct ps_point){
        ts_ms, { .type = PS_VALUE_STRING, .text = value, .len = (uint32_t)strlen(value) }
    };
}

static void thin(enum ps_downsample kind, size_t wanted, const struct ps_point *points,
                 size_t count, size_t piece, struct ps_points *out)
{
    struct ps_thinning thinning;
    ps_thinning_init(&thinning, kind, wanted, points[0].ts_ms, points[count - 1].ts_ms);
    for (size_t at = 0; at < count; at += piece)
        assert_int_equal(
            ps_thinning_add(&thinning, points + at, count - at < piece ? count - at : piece),
            PS_OK);
    assert_int_equal(ps_thinning_finish(&thinning, out), PS_OK);
    ps_thinning_deinit(&thinning);
}

/* A wave with one spike; irregular times, if `seed` is not 0. */
static struct ps_point *wave(unsigned seed)
{
    struct ps_point *points = malloc(COUNT * sizeof *points);
    int64_t ts_ms = 1000;
    for (int i = 0; i < COUNT; i++) {
        ts_ms += seed ? 1 + rand_r(&seed) % 1000 : 10;
        points[i] = real(ts_ms, sin(i / 500.0));
    }
    points[7777].value.real = 50;
    return points;
}

static bool has_value(const struct ps_points *points, double value)
{
    for (size_t i = 0; i < points->count; i++) {
        if (points->points[i].value.real == value)
            return true;
    }
    return false;
}

static void spikes_stay_whatever_is_asked_for(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 3; seed++) {
        struct ps_point *points = wave(seed);
        for (size_t wanted = 4; wanted < 3000; wanted = wanted * 3 / 2 + 1) {
            for (enum ps_downsample kind = PS_DOWNSAMPLE_MINMAX; kind <= PS_DOWNSAMPLE_LTTB;
                 kind++) {
                struct ps_points out = { 0 };
                thin(kind, wanted, points, COUNT, 1 + wanted, &out);
                assert_true(out.count <= wanted && out.count >= wanted / 2);
                assert_true(has_value(&out, 50));
                for (size_t i = 1; i < out.count; i++)
                    assert_true(out.points[i].ts_ms > out.points[i - 1].ts_ms);
                if (kind == PS_DOWNSAMPLE_MINMAX)
                    assert_true(out.points[0].ts_ms >= points[0].ts_ms);
                ps_points_deinit(&out);
            }
        }
        free(points);
    }
}

/* The least and greatest of each bucket, as a loop over all points finds them. */
static void minmax_is_exact(void **state)
{
    (void)state;
    struct ps_point *points = wave(9);
    struct ps_points out = { 0 };
    enum { WANTED = 200 };
    thin(PS_DOWNSAMPLE_MINMAX, WANTED, points, COUNT, 777, &out);
    int64_t first = points[0].ts_ms, width = (points[COUNT - 1].ts_ms - first) / (WANTED / 2) + 1;
    size_t at = 0;
    for (int i = 0; i < COUNT;) {
        int64_t bucket = (points[i].ts_ms - first) / width;
        int least = i, greatest = i;
        for (; i < COUNT && (points[i].ts_ms - first) / width == bucket; i++) {
            least = points[i].value.real < points[least].value.real ? i : least;
            greatest = points[i].value.real > points[greatest].value.real ? i : greatest;
        }
        int a = least < greatest ? least : greatest, b = least < greatest ? greatest : least;
        assert_true(at < out.count);
        assert_int_equal(out.points[at++].ts_ms, points[a].ts_ms);
        if (a != b)
            assert_int_equal(out.points[at++].ts_ms, points[b].ts_ms);
    }
    assert_int_equal(at, out.count);
    ps_points_deinit(&out);
    free(points);
}

static void few_points_are_left_alone(void **state)
{
    (void)state;
    struct ps_point points[] = { real(1, 5), text(2, "x"), real(900, NAN), text(1000, "") };
    for (enum ps_downsample kind = PS_DOWNSAMPLE_MINMAX; kind <= PS_DOWNSAMPLE_LTTB; kind++) {
        struct ps_points out = { 0 };
        thin(kind, 4, points, 4, 1, &out);
        assert_int_equal(out.count, 4);
        for (size_t i = 0; i < 4; i++)
            assert_true(ps_value_equal(&out.points[i].value, &points[i].value));
        ps_points_deinit(&out);
    }
}

/* Two buckets: one has a number among texts, the other only texts. */
static void what_is_no_number_stays_where_there_is_none(void **state)
{
    (void)state;
    struct ps_point points[] = { text(0, "a"),   text(10, "b"),  real(20, 7),    text(30, "c"),
                                 text(100, "d"), text(110, "e"), real(120, NAN), text(199, "f") };
    for (size_t piece = 1; piece <= 8; piece++) {
        struct ps_points out = { 0 };
        thin(PS_DOWNSAMPLE_MINMAX, 4, points, 8, piece, &out);
        assert_int_equal(out.count, 3);
        assert_int_equal(out.points[0].ts_ms, 20);
        assert_int_equal(out.points[1].ts_ms, 100);
        assert_memory_equal(out.points[2].value.text, "f", 1);
        ps_points_deinit(&out);
    }
}

static void lttb_keeps_the_ends(void **state)
{
    (void)state;
    struct ps_point *points = wave(0);
    points[0].value.real = (points[1].value.real + points[2].value.real) / 2; /* no extremes */
    points[COUNT - 1].value.real =
        (points[COUNT - 2].value.real + points[COUNT - 3].value.real) / 2;
    struct ps_points out = { 0 };
    thin(PS_DOWNSAMPLE_LTTB, 100, points, COUNT, 4096, &out);
    assert_int_equal(out.count, 100);
    assert_int_equal(out.points[0].ts_ms, points[0].ts_ms);
    assert_int_equal(out.points[99].ts_ms, points[COUNT - 1].ts_ms);
    ps_points_deinit(&out);
    free(points);
}

static void all_of_time_is_a_range_like_any_other(void **state)
{
    (void)state;
    struct ps_point points[] = { real(INT64_MIN, 1), real(-5, 2), real(0, 3), real(77, 0),
                                 real(INT64_MAX, 4) };
    for (enum ps_downsample kind = PS_DOWNSAMPLE_MINMAX; kind <= PS_DOWNSAMPLE_LTTB; kind++) {
        struct ps_points out = { 0 };
        thin(kind, 2, points, 5, 2, &out);
        assert_int_equal(out.count, 2);
        ps_points_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spikes_stay_whatever_is_asked_for),
        cmocka_unit_test(minmax_is_exact),
        cmocka_unit_test(few_points_are_left_alone),
        cmocka_unit_test(what_is_no_number_stays_where_there_is_none),
        cmocka_unit_test(lttb_keeps_the_ends),
        cmocka_unit_test(all_of_time_is_a_range_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
