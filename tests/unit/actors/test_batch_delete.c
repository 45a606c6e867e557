/* Deletions in a batch: they act at one place in the order of arrival, durably. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/batch_world.h"

static void add_delete(struct fixture *f, const char *key, int64_t start_ms, int64_t end_ms,
                       enum ps_batch_latest latest)
{
    assert_int_equal(
        ps_batch_add_delete(f->batch, series_of(f, key), start_ms, end_ms, latest, 777), PS_OK);
}

static int64_t number(struct fixture *f, const char *sql)
{
    return temp_db_number(f->temp.db, sql);
}

static void tombstones_know_their_place_among_the_points(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.next_seq = 40;
    add_point(&f, "a", 1, 0);
    add_point(&f, "b", 1, 0);
    add_delete(&f, "a", 0, 10, PS_BATCH_LATEST_STAYS);
    add_point(&f, "a", 2, 0);
    add_delete(&f, "b", INT64_MIN, INT64_MAX, PS_BATCH_LATEST_GOES);
    assert_false(ps_batch_is_empty(f.batch));
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(number(&f, "SELECT count(*) FROM tombstone"), 2);
    assert_int_equal(number(&f, "SELECT count(*) FROM tombstone WHERE series = 1 AND start_ms = 0"
                                " AND end_ms = 10 AND seq = 40 AND idx = 2 AND created_ms = 777"),
                     1);
    assert_int_equal(number(&f, "SELECT count(*) FROM tombstone WHERE series = 2"
                                " AND start_ms = -9223372036854775807 - 1"
                                " AND end_ms = 9223372036854775807 AND seq = 40 AND idx = 3"),
                     1);
    ps_batch_reset(f.batch);
    assert_true(ps_batch_is_empty(f.batch));
    assert_int_equal(ps_batch_bytes(f.batch), 0);
    fixture_deinit(&f);
}

/* Without points of its own it stands before the journal row that comes next. */
static void a_lone_deletion_takes_no_row_of_the_journal(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.next_seq = 40;
    add_point(&f, "a", 1, 0);
    assert_int_equal(commit(&f), PS_OK);
    ps_batch_reset(f.batch);
    add_delete(&f, "a", 0, 10, PS_BATCH_LATEST_STAYS);
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(number(&f, "SELECT seq FROM tombstone"), 41);
    assert_int_equal(number(&f, "SELECT idx FROM tombstone"), 0);
    assert_int_equal(f.next_seq, 41);
    assert_int_equal(number(&f, "SELECT count(*) FROM journal"), 1);
    fixture_deinit(&f);
}

static void keep(struct fixture *f, int64_t ts_ms, uint32_t ttl_s)
{
    const struct ps_batch_point latest = { .ts_ms = ts_ms,
                                           .value = { .type = PS_VALUE_LONG, .integer = ts_ms },
                                           .ttl_s = ttl_s };
    assert_int_equal(ps_batch_keep_latest(f->batch, &latest), PS_OK);
}

/* -1: none */
static void check_pin(struct fixture *f, const char *name, int64_t floor_ms, int64_t ts_ms)
{
    if (number(f, "SELECT coalesce(max(latest_floor_ms), -1) FROM series") != floor_ms)
        fail_msg("%s: the floor", name);
    if (number(f, "SELECT coalesce(max(ts_ms), -1) FROM latest_pin") != ts_ms)
        fail_msg("%s: the point", name);
}

static void the_pin_is_stored_with_the_deletion(void **state)
{
    (void)state;
    static const struct pin_case {
        const char *name;
        int64_t start_ms;
        enum ps_batch_latest latest;
        int64_t floor_ms, ts_ms;
    } cases[] = {
        { "is not in the range", 100, PS_BATCH_LATEST_STAYS, 5, 3 },
        { "goes", 100, PS_BATCH_LATEST_GOES, 99, -1 },
        { "is kept", 100, PS_BATCH_LATEST_KEPT, 199, 200 },
        { "is replaced", 100, PS_BATCH_LATEST_REPLACED, -1, -1 },
        { "goes with everything", INT64_MIN, PS_BATCH_LATEST_GOES, -1, -1 },
        { "is kept of everything", INT64_MIN, PS_BATCH_LATEST_KEPT, 199, 200 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        fixture_init(&f);
        add_point(&f, "a", 1, 0);
        assert_int_equal(commit(&f), PS_OK);
        ps_batch_reset(f.batch);
        assert_int_equal(ps_db_exec(f.temp.db, "UPDATE series SET latest_floor_ms = 5;"
                                               "INSERT INTO latest_pin VALUES(1, 3, 0, x'00')"),
                         PS_OK);
        bool kept = cases[i].latest == PS_BATCH_LATEST_KEPT;
        add_delete(&f, "a", cases[i].start_ms, INT64_MAX,
                   kept ? PS_BATCH_LATEST_STAYS : cases[i].latest);
        if (kept)
            keep(&f, 200, 9);
        assert_int_equal(commit(&f), PS_OK);
        check_pin(&f, cases[i].name, cases[i].floor_ms, cases[i].ts_ms);
        if (kept)
            assert_int_equal(number(&f, "SELECT ttl_s FROM latest_pin"), 9);
        fixture_deinit(&f);
    }
}

/* Deletions and points of one batch act on the pin one after the other. */
static void points_are_offered_to_the_pin_in_order_of_arrival(void **state)
{
    (void)state;
    static const struct order_case {
        const char *name, *steps; /* p<ts> a point, d<start> the latest goes, k<ts> it is kept,
                                   * b<end> it goes with all before */
        int64_t floor_ms, ts_ms;
        bool is_over; /* of the last point */
    } cases[] = {
        { "a point before it does not count", "p3 d5", 4, -1, false },
        { "one behind it does", "d5 p3", 4, 3, false },
        { "the newer of two", "d5 p3 p2", 4, 3, false },
        { "one that ends it", "d5 p3 p6", -1, -1, true },
        { "what comes then is for nothing", "d5 p6 p3", -1, -1, true },
        { "gone again", "d5 p6 d5", 4, -1, true },
        { "kept, and older ones", "k7 p6 p5", 6, 7, false },
        { "kept, gone, and an older one", "k7 p6 d7 p1", 6, 1, false },
        { "gone, and what came then, too", "d5 p2 b3", 4, -1, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        fixture_init(&f);
        add_point(&f, "other", 9, 0);
        for (const char *step = cases[i].steps; *step; step += step[2] ? 3 : 2) {
            int64_t at = step[1] - '0';
            if (*step == 'p') {
                add_point(&f, "a", at, 0);
                continue;
            }
            add_delete(&f, "a", *step == 'b' ? INT64_MIN : at, *step == 'b' ? at : 100,
                       *step == 'k' ? PS_BATCH_LATEST_STAYS : PS_BATCH_LATEST_GOES);
            if (*step == 'k')
                keep(&f, at, 0);
        }
        assert_int_equal(commit(&f), PS_OK);
        check_pin(&f, cases[i].name, cases[i].floor_ms, cases[i].ts_ms);
        if (f.batch->offer_count &&
            f.batch->offers[f.batch->offer_count - 1].pin_is_over != cases[i].is_over)
            fail_msg("%s: over or not", cases[i].name);
        fixture_deinit(&f);
    }
}

/* Most series never have a pin: nobody looks for one. */
static void points_of_other_series_are_not_offered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    add_point(&f, "a", 1, 0);
    add_delete(&f, "a", INT64_MIN, INT64_MAX, PS_BATCH_LATEST_GOES);
    add_point(&f, "a", 2, 0);
    add_delete(&f, "a", 0, 10, PS_BATCH_LATEST_REPLACED);
    add_point(&f, "a", 3, 0);
    assert_int_equal(f.batch->offer_count, 0);
    add_delete(&f, "a", 0, 10, PS_BATCH_LATEST_GOES);
    add_point(&f, "b", 3, 0);
    assert_int_equal(f.batch->offer_count, 0);
    add_point(&f, "a", 3, 0);
    assert_int_equal(f.batch->offer_count, 1);
    assert_true(ps_batch_deletes(f.batch, series_of(&f, "a")));
    assert_false(ps_batch_deletes(f.batch, series_of(&f, "b")));
    ps_batch_reset(f.batch);
    assert_int_equal(f.batch->offer_count, 0);
    fixture_deinit(&f);
}

static void a_failed_batch_deletes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    add_point(&f, "a", 1, 0);
    assert_int_equal(ps_db_exec(f.temp.db, "CREATE TRIGGER boom BEFORE INSERT ON tombstone"
                                           " BEGIN SELECT RAISE(ABORT, 'boom'); END"),
                     PS_OK);
    add_delete(&f, "a", 0, 10, PS_BATCH_LATEST_GOES);
    assert_int_not_equal(commit(&f), PS_OK);
    assert_int_equal(number(&f, "SELECT count(*) FROM tombstone"), 0);
    assert_int_equal(number(&f, "SELECT count(*) FROM journal"), 0);
    fixture_deinit(&f);
}

/* What a batch does: p<ts> a point, d<fate> a deletion; of another series in upper case. */
static const struct outlook_case {
    const char *name, *steps;
    struct outlook {
        bool known, exists;
        int64_t ts_ms;
    } before, want;
} outlook_cases[] = {
    { "nothing happens", "", { true, true, 5 }, { true, true, 5 } },
    { "the first point", "p7", { true, false, 0 }, { true, true, 7 } },
    { "an older point", "p3", { true, true, 5 }, { true, true, 5 } },
    { "newer ones", "p7 p9 p8", { true, true, 5 }, { true, true, 9 } },
    { "of somebody else", "P9 Dg", { true, true, 5 }, { true, true, 5 } },
    { "it stays", "p7 ds", { true, true, 5 }, { true, true, 7 } },
    { "it goes", "p7 dg", { true, true, 5 }, { true, false, 0 } },
    { "and another one comes", "p7 dg p2", { true, true, 5 }, { true, true, 2 } },
    { "it is replaced", "dr", { true, true, 5 }, { false, false, 0 } },
    { "replaced, and a point comes", "dr p2", { true, true, 5 }, { false, true, 2 } },
    { "replaced, then it goes", "dr dg", { true, true, 5 }, { true, false, 0 } },
    { "unknown stays unknown", "p7", { false, false, 0 }, { false, true, 7 } },
};

static void act(struct fixture *f, const char *step)
{
    bool other = step[0] < 'a';
    const char *key = other ? "other" : "mine";
    if ((step[0] | 0x20) == 'p')
        add_point(f, key, step[1] - '0', 0);
    else
        add_delete(f, key, 0, 100,
                   step[1] == 's'   ? PS_BATCH_LATEST_STAYS
                   : step[1] == 'g' ? PS_BATCH_LATEST_GOES
                                    : PS_BATCH_LATEST_REPLACED);
}

static void the_latest_value_is_foreseen(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof outlook_cases / sizeof *outlook_cases; i++) {
        const struct outlook_case *c = &outlook_cases[i];
        for (const char *step = c->steps; *step; step += step[2] ? 3 : 2)
            act(&f, step);
        struct ps_latest_outlook latest = { .series = series_of(&f, "mine"),
                                            .known = c->before.known,
                                            .exists = c->before.exists,
                                            .ts_ms = c->before.ts_ms };
        ps_batch_look_ahead(f.batch, &latest, 1);
        if (latest.known != c->want.known || latest.exists != c->want.exists ||
            (latest.exists && latest.ts_ms != c->want.ts_ms))
            fail_msg("%s: %d %d %d", c->name, latest.known, latest.exists, (int)latest.ts_ms);
        ps_batch_reset(f.batch);
    }
    fixture_deinit(&f);
}

static int by_address(const void *left, const void *right)
{
    const struct ps_latest_outlook *a = left, *b = right;
    return a->series < b->series ? -1 : a->series > b->series;
}

static void many_series_are_looked_at_in_one_pass(void **state)
{
    (void)state;
    enum { SERIES = 50 };
    struct fixture f;
    struct ps_latest_outlook outlooks[SERIES];
    fixture_init(&f);
    for (size_t i = 0; i < SERIES; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%zu", i);
        add_point(&f, key, (int64_t)i, 0);
        outlooks[i] =
            (struct ps_latest_outlook){ .series = series_of(&f, key), .index = i, .known = true };
        add_point(&f, "not asked for", 1000, 0);
        if (i % 3 == 0)
            add_delete(&f, key, 0, 100, PS_BATCH_LATEST_GOES);
    }
    qsort(outlooks, SERIES, sizeof *outlooks, by_address);
    ps_batch_look_ahead(f.batch, outlooks, SERIES);
    ps_batch_look_ahead(f.batch, NULL, 0);
    for (size_t i = 0; i < SERIES; i++) {
        assert_int_equal(outlooks[i].exists, outlooks[i].index % 3 != 0);
        if (outlooks[i].exists)
            assert_int_equal(outlooks[i].ts_ms, outlooks[i].index);
    }
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tombstones_know_their_place_among_the_points),
        cmocka_unit_test(a_lone_deletion_takes_no_row_of_the_journal),
        cmocka_unit_test(the_pin_is_stored_with_the_deletion),
        cmocka_unit_test(points_are_offered_to_the_pin_in_order_of_arrival),
        cmocka_unit_test(points_of_other_series_are_not_offered),
        cmocka_unit_test(a_failed_batch_deletes_nothing),
        cmocka_unit_test(the_latest_value_is_foreseen),
        cmocka_unit_test(many_series_are_looked_at_in_one_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
