/* Ranges: every time has exactly one, and its name tells which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/range.h"

#define DAY_MS INT64_C(86400000)
#define FIRST_MS INT64_C(946684800000)
#define LAST_MS INT64_C(4102444800000)

static const struct range_case {
    enum ps_range_unit unit;
    int64_t ts_ms;
    const char *name;
    int64_t start_ms, end_ms;
} range_cases[] = {
    { PS_RANGE_DAY, 1795219200000, "2026-11-21", 1795219200000, 1795219200000 + DAY_MS },
    { PS_RANGE_DAY, 1795219199999, "2026-11-20", 1795219200000 - DAY_MS, 1795219200000 },
    { PS_RANGE_DAY, FIRST_MS, "2000-01-01", FIRST_MS, FIRST_MS + DAY_MS },
    { PS_RANGE_DAY, LAST_MS - 1, "2099-12-31", LAST_MS - DAY_MS, LAST_MS },
    /* 2026-11-21 is a Saturday */
    { PS_RANGE_WEEK, 1795219200000, "2026-W47", 1795219200000 - 5 * DAY_MS,
      1795219200000 + 2 * DAY_MS },
    { PS_RANGE_WEEK, 1795219200000 - 5 * DAY_MS, "2026-W47", 1795219200000 - 5 * DAY_MS,
      1795219200000 + 2 * DAY_MS },
    { PS_RANGE_WEEK, 1795219200000 + 2 * DAY_MS, "2026-W48", 1795219200000 + 2 * DAY_MS,
      1795219200000 + 9 * DAY_MS },
    /* 2021-01-01 is a Friday, 2024-12-30 a Monday */
    { PS_RANGE_WEEK, 1609459200000, "2020-W53", 1609459200000 - 4 * DAY_MS,
      1609459200000 + 3 * DAY_MS },
    { PS_RANGE_WEEK, 1735516800000, "2025-W01", 1735516800000, 1735516800000 + 7 * DAY_MS },
    /* weeks that reach beyond the century are cut */
    { PS_RANGE_WEEK, FIRST_MS, "1999-W52", FIRST_MS, FIRST_MS + 2 * DAY_MS },
    { PS_RANGE_WEEK, LAST_MS - 1, "2099-W53", LAST_MS - 4 * DAY_MS, LAST_MS },
    { PS_RANGE_MONTH, 1795219200000, "2026-11", 1793491200000, 1796083200000 },
    { PS_RANGE_MONTH, FIRST_MS, "2000-01", FIRST_MS, FIRST_MS + 31 * DAY_MS },
    { PS_RANGE_MONTH, LAST_MS - 1, "2099-12", LAST_MS - 31 * DAY_MS, LAST_MS },
    { PS_RANGE_WEEK, FIRST_MS - 1, "early", INT64_MIN, FIRST_MS },
    { PS_RANGE_MONTH, INT64_MIN, "early", INT64_MIN, FIRST_MS },
    { PS_RANGE_DAY, 0, "early", INT64_MIN, FIRST_MS },
    { PS_RANGE_DAY, LAST_MS, "late", LAST_MS, INT64_MAX },
    { PS_RANGE_WEEK, INT64_MAX, "late", LAST_MS, INT64_MAX },
};

static void a_time_has_the_range_of_its_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof range_cases / sizeof *range_cases; i++) {
        const struct range_case *c = &range_cases[i];
        struct ps_range range;
        ps_range_of(c->unit, c->ts_ms, &range);
        assert_string_equal(range.name, c->name);
        assert_int_equal(range.start_ms, c->start_ms);
        assert_int_equal(range.end_ms, c->end_ms);
        assert_true(ps_range_holds(&range, c->ts_ms));
    }
}

/* From the end of one range the next begins, for a century, and names come back as ranges. */
static void ranges_follow_each_other_without_gap(void **state)
{
    (void)state;
    for (enum ps_range_unit unit = PS_RANGE_DAY; unit <= PS_RANGE_MONTH; unit++) {
        struct ps_range range, parsed;
        int64_t at = FIRST_MS;
        unsigned count = 0;
        for (; at < LAST_MS; at = range.end_ms, count++) {
            ps_range_of(unit, at, &range);
            assert_int_equal(range.start_ms, at);
            assert_true(range.end_ms > at);
            assert_false(ps_range_holds(&range, range.end_ms));
            assert_false(ps_range_holds(&range, range.start_ms - 1));
            struct ps_range last;
            ps_range_of(unit, range.end_ms - 1, &last);
            assert_string_equal(last.name, range.name);
            assert_int_equal(ps_range_parse(range.name, &parsed), PS_OK);
            assert_memory_equal(&parsed, &range, sizeof range);
        }
        assert_int_equal(at, LAST_MS);
        assert_int_equal(count, unit == PS_RANGE_DAY ? 36525 : unit == PS_RANGE_WEEK ? 5219 : 1200);
    }
}

static void what_is_no_range_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",          "early ",      "2026-11-31", "2026-13",     "2026-00",
        "2026-W00",  "2026-W54",    "2025-W53",   "2026-w47",    "2026-1",
        "2026-11-1", "2026-11-211", "1999-12",    "2100-01",     "2100-W01",
        "../2026",   "2026-W47.2",  "0000-01-01", "-2026-11",    "2026--11",
        "99999-01",  "20261121",    "2026-11 ",   "2026-11-21x", "9999-99-99",
        "+026-11",   " 2026-11",    "2026-W 47",  "2026-W+7",    "a very long name indeed",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ps_range range = { .start_ms = 5 };
        if (ps_range_parse(names[i], &range) != PS_EINVAL) {
            print_error("\"%s\"\n", names[i]);
            fail();
        }
        assert_int_equal(range.start_ms, 5);
    }
    struct ps_range range;
    assert_int_equal(ps_range_parse("early", &range), PS_OK);
    assert_int_equal(range.start_ms, INT64_MIN);
    assert_int_equal(ps_range_parse("late", &range), PS_OK);
    assert_true(ps_range_holds(&range, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_has_the_range_of_its_unit),
        cmocka_unit_test(ranges_follow_each_other_without_gap),
        cmocka_unit_test(what_is_no_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
