/* What tombstones delete is the same whether they are asked one by one or as spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/telemetry/deletions.h"

enum { SERIES = 3, TIMES = 24, POSITIONS = 6, STONES_MAX = 40, ROUNDS = 400 };

static void add(struct ps_tombstone_list *list, uint32_t series, int64_t start_ms, int64_t end_ms,
                int64_t seq, int64_t idx)
{
    struct ps_tombstone stone = {
        .series = series, .start_ms = start_ms, .end_ms = end_ms, .seq = seq, .idx = idx
    };
    assert_int_equal(ps_tombstone_list_add(list, &stone), PS_OK);
}

static bool is_deleted(const struct ps_tombstone_list *list, uint32_t series, int64_t ts_ms,
                       int64_t seq, int64_t idx)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_tombstone *stone = &list->items[i];
        if (stone->series == series && ps_tombstone_covers(stone, ts_ms) &&
            (seq < stone->seq || (seq == stone->seq && idx < stone->idx)))
            return true;
    }
    return false;
}

static int64_t time_of(int t)
{
    return t == 0 ? INT64_MIN : t == TIMES - 1 ? INT64_MAX : t;
}

static void check_same(const struct ps_tombstone_list *list, const struct ps_deletions *deletions)
{
    for (uint32_t series = 0; series <= SERIES; series++) {
        struct ps_deleted_spans of = ps_deletions_of(deletions, series);
        for (int t = 0; t < TIMES; t++) {
            int64_t ts_ms = time_of(t);
            for (int64_t seq = 0; seq <= POSITIONS; seq++) {
                for (int64_t idx = 0; idx < 3; idx++)
                    assert_int_equal(ps_deleted_spans_touch(&of, ts_ms, ts_ms, seq, idx),
                                     is_deleted(list, series, ts_ms, seq, idx));
                assert_int_equal(ps_deleted_spans_touch_run(&of, ts_ms, ts_ms, seq),
                                 is_deleted(list, series, ts_ms, seq, INT64_MAX));
            }
        }
    }
}

static void check_order(const struct ps_deletions *deletions)
{
    for (size_t i = 0; i < deletions->count; i++) {
        const struct ps_deleted_span *span = &deletions->spans[i];
        assert_true(span->first_ms <= span->last_ms);
        if (i == 0)
            continue;
        const struct ps_deleted_span *before = &deletions->spans[i - 1];
        assert_true(before->series < span->series ||
                    (before->series == span->series && before->last_ms < span->first_ms));
    }
}

static void spans_delete_what_tombstones_do(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < ROUNDS; round++) {
        struct ps_tombstone_list list = { 0 };
        struct ps_deletions deletions = { 0 };
        seed = seed * 1664525 + 1013904223;
        for (unsigned i = seed >> 8, end = i + i % STONES_MAX; i < end; i++) {
            int64_t numbers[5];
            for (size_t n = 0; n < 5; n++) {
                seed = seed * 1664525 + 1013904223;
                numbers[n] = seed >> 12;
            }
            add(&list, (uint32_t)(numbers[0] % SERIES), time_of((int)(numbers[1] % TIMES)),
                time_of((int)(numbers[2] % TIMES)), numbers[3] % POSITIONS, numbers[4] % 3);
        }
        assert_int_equal(ps_deletions_make(&list, &deletions), PS_OK);
        check_order(&deletions);
        check_same(&list, &deletions);
        ps_deletions_deinit(&deletions);
        ps_tombstone_list_deinit(&list);
    }
}

static void a_span_is_asked_as_a_whole(void **state)
{
    (void)state;
    struct ps_tombstone_list list = { 0 };
    struct ps_deletions deletions = { 0 };
    add(&list, 5, 100, 200, 9, 0);
    add(&list, 5, 300, 400, 20, 0);
    assert_int_equal(ps_deletions_make(&list, &deletions), PS_OK);
    struct ps_deleted_spans of = ps_deletions_of(&deletions, 5);
    static const struct {
        int64_t first_ms, last_ms, journal_last;
        bool touches;
    } cases[] = {
        { 0, 99, 1, false },    { 0, 100, 1, true },     { 199, 250, 1, true },
        { 200, 299, 1, false }, { 150, 350, 9, true },   { 150, 299, 9, false },
        { 0, 1000, 20, false }, { 400, 1000, 1, false }, { 0, 1000, 19, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ps_deleted_spans_touch_run(&of, cases[i].first_ms, cases[i].last_ms,
                                                    cases[i].journal_last),
                         cases[i].touches);
    assert_int_equal(ps_deletions_of(&deletions, 4).count, 0);
    assert_int_equal(ps_deletions_of(&deletions, UINT32_MAX).count, 0);
    ps_deletions_deinit(&deletions);
    ps_tombstone_list_deinit(&list);
}

/* Ten thousand of one series, each over all before it: nobody waits for the square of that. */
static void many_tombstones_over_each_other_become_few_spans(void **state)
{
    (void)state;
    struct ps_tombstone_list list = { 0 };
    struct ps_deletions deletions = { 0 };
    for (int64_t i = 0; i < 10000; i++)
        add(&list, 1, -i, i + 1, i + 1, 0);
    assert_int_equal(ps_deletions_make(&list, &deletions), PS_OK);
    assert_int_equal(deletions.count, 1);
    assert_int_equal(deletions.spans[0].seq, 10000);
    ps_deletions_deinit(&deletions);
    ps_tombstone_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_delete_what_tombstones_do),
        cmocka_unit_test(a_span_is_asked_as_a_whole),
        cmocka_unit_test(many_tombstones_over_each_other_become_few_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
