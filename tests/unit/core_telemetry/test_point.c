/* Lists of points: owned copies, settled by time so that the last write wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/point.h"

static void add_long(struct ps_points *points, int64_t ts_ms, int64_t integer)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = integer };
    assert_int_equal(ps_points_add(points, ts_ms, &value), PS_OK);
}

static void text_is_copied_and_given_back(void **state)
{
    (void)state;
    struct ps_points points = { 0 };
    char text[] = "hello";
    struct ps_value value = { .type = PS_VALUE_STRING, .text = text, .len = 5 };
    assert_int_equal(ps_points_add(&points, 1, &value), PS_OK);
    assert_int_equal(ps_points_add(&points, 1, &value), PS_OK);
    assert_int_equal(ps_points_add(&points, 2, &value), PS_OK);
    text[0] = 'j';
    assert_memory_equal(points.points[0].value.text, "hello", 5);
    assert_int_equal(ps_points_settle(&points), PS_OK);
    assert_int_equal(points.count, 2);
    ps_points_drop_first(&points, 1);
    assert_int_equal(points.points[0].ts_ms, 2);
    ps_points_truncate(&points, 5);
    assert_int_equal(points.count, 1);
    ps_points_deinit(&points);
    ps_points_deinit(&points);
}

/* n * n, but plainly right: the newest arrival of each time, times ascending. */
static size_t settle_naively(const struct ps_point *in, size_t count, struct ps_point *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < kept && out[at].ts_ms < in[i].ts_ms)
            at++;
        if (at == kept || out[at].ts_ms != in[i].ts_ms) {
            memmove(&out[at + 1], &out[at], (kept - at) * sizeof *out);
            kept++;
        }
        out[at] = in[i];
    }
    return kept;
}

static void settled_points_ascend_and_the_last_write_wins(void **state)
{
    (void)state;
    enum { ROUNDS = 500, POINTS_MAX = 120 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned seed = round;
        struct ps_points points = { 0 };
        struct ps_point want[POINTS_MAX + 1];
        size_t count = (size_t)rand_r(&seed) % POINTS_MAX;
        for (size_t i = 0; i < count; i++)
            add_long(&points, rand_r(&seed) % (1 + (int)round % 90), (int64_t)i);
        size_t kept = settle_naively(points.points, count, want);
        assert_int_equal(ps_points_settle(&points), PS_OK);
        assert_int_equal(points.count, kept);
        for (size_t i = 0; i < kept; i++) {
            assert_int_equal(points.points[i].ts_ms, want[i].ts_ms);
            assert_int_equal(points.points[i].value.integer, want[i].value.integer);
        }
        ps_points_deinit(&points);
    }
}

static void reversed_points_descend(void **state)
{
    (void)state;
    for (int count = 0; count < 6; count++) {
        struct ps_points points = { 0 };
        for (int i = 0; i < count; i++)
            add_long(&points, i, i);
        ps_points_reverse(&points);
        for (int i = 0; i < count; i++)
            assert_int_equal(points.points[i].ts_ms, count - 1 - i);
        ps_points_deinit(&points);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_copied_and_given_back),
        cmocka_unit_test(settled_points_ascend_and_the_last_write_wins),
        cmocka_unit_test(reversed_points_descend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
