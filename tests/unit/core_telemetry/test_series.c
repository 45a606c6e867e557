/* Series and heads: latest values, the ring of newest points, and what is known of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/telemetry/series.h"

enum { HEAD_POINTS = 8 };

struct fixture {
    _Atomic uint32_t next_id;
    struct ps_series_table table;
    struct ps_entity_series *entity;
    struct ps_series *series;
    int64_t seq;
};

static void fixture_init(struct fixture *f, size_t memory_max)
{
    memset(f, 0, sizeof *f);
    f->next_id = 7;
    struct ps_series_limits limits = { .head_points_max = HEAD_POINTS,
                                       .memory_max = memory_max,
                                       .next_id = &f->next_id };
    assert_int_equal(ps_series_table_init(&f->table, &limits), PS_OK);
    struct ps_entity_id id = { PS_ENTITY_DEVICE, { "device" } };
    f->entity = ps_series_table_get(&f->table, &id);
    f->series = ps_series_get(&f->table, f->entity, "temp", 4);
}

static void apply_long(struct fixture *f, int64_t ts_ms, int64_t integer)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = integer };
    ps_series_apply(&f->table, f->series, ++f->seq, ts_ms, &value, 0);
}

static void apply_text(struct fixture *f, int64_t ts_ms, const char *text)
{
    struct ps_value value = { .type = PS_VALUE_STRING,
                              .text = text,
                              .len = (uint32_t)strlen(text) };
    ps_series_apply(&f->table, f->series, ++f->seq, ts_ms, &value, 0);
}

/* 0 if there is none. */
static int64_t latest_ms(const struct ps_series *series)
{
    struct ps_point point;
    return ps_series_latest(series, 0, 0, &point) == PS_LATEST_KNOWN ? point.ts_ms : 0;
}

static int64_t latest_long(const struct ps_series *series)
{
    struct ps_point point;
    assert_int_equal(ps_series_latest(series, 0, 0, &point), PS_LATEST_KNOWN);
    assert_int_equal(point.value.type, PS_VALUE_LONG);
    return point.value.integer;
}

static void fixture_deinit(struct fixture *f)
{
    size_t entities = f->table.entity_count;
    assert_true(entities > 0);
    struct ps_uuid id = f->entity->entity.id;
    ps_series_table_forget(&f->table, &id);
    if (entities == 1) { /* all bytes are given back */
        assert_int_equal(f->table.memory, 0);
        assert_int_equal(f->table.series_count, 0);
    }
    ps_series_table_deinit(&f->table);
}

static void series_are_found_by_entity_and_key(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    static const char *const keys[] = { "a", "b", "ab", "", "temp" };
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned e = 0; e < 300; e++) {
            struct ps_entity_id id = { PS_ENTITY_DEVICE, { { 0 } } };
            memcpy(id.id.bytes, &e, sizeof e);
            id.id.bytes[15] = 1;
            struct ps_entity_series *entity = ps_series_table_get(&f.table, &id);
            assert_ptr_equal(ps_series_table_find(&f.table, &id.id), entity);
            for (unsigned k = 0; k < 5; k++) {
                uint32_t next = f.next_id;
                struct ps_series *series =
                    ps_series_get(&f.table, entity, keys[k], strlen(keys[k]));
                assert_int_equal(f.next_id, next + (round == 0)); /* ids are used once */
                assert_int_equal(series->id, 8 + e * 5 + k);
                assert_false(series->catalogued);
                assert_ptr_equal(ps_series_find(entity, keys[k], strlen(keys[k])), series);
            }
            assert_null(ps_series_find(entity, "abc", 3));
        }
    }
    assert_int_equal(f.table.series_count, 300 * 5 + 1);
    fixture_deinit(&f);
}

static void latest_is_the_greatest_time_and_of_equals_the_last_written(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    assert_int_equal(latest_ms(f.series), 0);
    apply_long(&f, 100, 1);
    apply_long(&f, 50, 2);
    assert_int_equal(latest_long(f.series), 1);
    apply_long(&f, 100, 3);
    assert_int_equal(latest_long(f.series), 3);
    apply_text(&f, 101, "text");
    apply_long(&f, INT64_MIN, 9);
    struct ps_point latest;
    assert_int_equal(ps_series_latest(f.series, 0, 0, &latest), PS_LATEST_KNOWN);
    assert_int_equal(latest.ts_ms, 101);
    assert_memory_equal(latest.value.text, "text", 4);
    fixture_deinit(&f);
}

/* `lost_seq`: the last row with a point in range that the head lost; 0 = none. Reading more rows
 * than needed, but no newer ones than the head knows, is right. */
static void assert_copy(struct fixture *f, int64_t start_ms, int64_t end_ms, size_t count,
                        int64_t lost_seq)
{
    struct ps_series_copy copy;
    assert_int_equal(ps_series_copy(&f->table, f->series, start_ms, end_ms, &copy), PS_OK);
    assert_int_equal(copy.id, f->series->id);
    assert_int_equal(copy.points.count, count);
    assert_int_equal(copy.journal_up_to != 0, lost_seq != 0);
    assert_true(copy.journal_up_to >= lost_seq && copy.journal_up_to <= f->seq);
    ps_series_copy_deinit(&copy);
}

static void a_full_head_loses_its_oldest_arrival_and_knows_where_it_is(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    for (int64_t i = 1; i <= HEAD_POINTS; i++)
        apply_long(&f, i * 10, i);
    assert_copy(&f, 0, 1000, HEAD_POINTS, 0);
    apply_long(&f, 5, 9); /* arrives last, whatever its time */
    assert_copy(&f, 0, 1000, HEAD_POINTS, 1);
    assert_copy(&f, 11, 1000, HEAD_POINTS - 1, 0); /* what is lost lies at 10 */
    assert_copy(&f, 10, 11, 0, 1);
    assert_copy(&f, 0, 10, 1, 0); /* end exclusive */
    apply_long(&f, 6, 10);
    assert_copy(&f, 20, 21, 0, 2);
    fixture_deinit(&f);
}

static void the_memory_cap_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 600);
    for (int64_t i = 0; i < 200; i++) {
        apply_text(&f, i, "some text of forty bytes, more or less..");
        assert_true(f.table.memory <= 600);
    }
    struct ps_entity_id other_id = { PS_ENTITY_DEVICE, { "other" } };
    struct ps_series *other =
        ps_series_get(&f.table, ps_series_table_get(&f.table, &other_id), "k", 1);
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 4 };
    for (int64_t i = 0; i < 100; i++) {
        ps_series_apply(&f.table, other, 1000 + i, i, &value, 0);
        assert_true(f.table.memory <= 600);
    }
    assert_int_equal(latest_ms(other), 99); /* latest values are always there */
    fixture_deinit(&f);
}

/* What the head holds must have arrived after everything that is only in the journal: readers put
 * it last. */
static void a_point_that_does_not_fit_leaves_no_older_ones_in_the_head(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 200);
    apply_long(&f, 5, 1);
    assert_copy(&f, 5, 6, 1, 0);
    char big[300];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    apply_text(&f, 5, big);
    assert_copy(&f, 5, 6, 0, 2);
    apply_long(&f, 5, 3);
    assert_copy(&f, 5, 6, 1, 2);
    fixture_deinit(&f);
}

static void a_restored_series_is_catalogued(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    struct ps_series *series = ps_series_restore(
        &f.table, f.entity, &(struct ps_series_row){ .id = 99, .key = "old", .key_len = 3 });
    assert_true(series->catalogued);
    assert_int_equal(series->id, 99);
    assert_ptr_equal(ps_series_get(&f.table, f.entity, "old", 3), series);
    assert_int_equal(f.next_id, 8);
    fixture_deinit(&f);
}

static void forgetting_an_entity_leaves_the_others(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    struct ps_entity_id id = { PS_ENTITY_ASSET, { "asset" } };
    struct ps_entity_series *asset = ps_series_table_get(&f.table, &id);
    assert_non_null(ps_series_get(&f.table, asset, "k", 1));
    ps_series_table_forget(&f.table, &id.id);
    assert_null(ps_series_table_find(&f.table, &id.id));
    ps_series_table_forget(&f.table, &id.id); /* twice is fine */
    assert_ptr_equal(ps_series_table_find(&f.table, &f.entity->entity.id), f.entity);
    fixture_deinit(&f);
}

/* ---- latest values after a start and after deletions ---- */

static struct ps_series *restored(struct fixture *f, bool pinned)
{
    struct ps_series_row row = {
        .id = 50, .key = "old", .key_len = 3, .sealed = true, .pinned = pinned
    };
    struct ps_series *series = ps_series_restore(&f->table, f->entity, &row);
    assert_non_null(series);
    return series;
}

static void apply_to(struct fixture *f, struct ps_series *series, int64_t ts_ms)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = ts_ms };
    ps_series_apply(&f->table, series, ++f->seq, ts_ms, &value, 0);
}

/* As ps_history_newest would answer what was asked when `copy` was made. 0: there is no point. */
static struct ps_series_newest answer(const struct ps_series_copy *copy, int64_t ts_ms)
{
    struct ps_series_newest newest = { .epoch = copy->epoch };
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = ts_ms };
    if (ts_ms)
        assert_int_equal(ps_points_add(&newest.points, ts_ms, &value), PS_OK);
    return newest;
}

static void learn(struct ps_series *series, const struct ps_series_copy *copy, int64_t ts_ms)
{
    struct ps_series_newest newest = answer(copy, ts_ms);
    ps_series_learn_latest(series, &newest);
    ps_series_newest_deinit(&newest);
}

static enum ps_latest ask(const struct ps_series *series)
{
    struct ps_point point;
    return ps_series_latest(series, 0, 0, &point);
}

static struct ps_series_copy copy_of(struct fixture *f, const struct ps_series *series)
{
    struct ps_series_copy copy;
    assert_int_equal(ps_series_copy_all(&f->table, series, &copy), PS_OK);
    return copy;
}

static void after_a_start_the_latest_is_unknown_until_learnt(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    f.table.sealed_max_ms = 1000;
    struct ps_series *series = restored(&f, false);
    assert_int_equal(ask(series), PS_LATEST_UNKNOWN);
    apply_to(&f, series, 500); /* something sealed may be newer */
    assert_int_equal(ask(series), PS_LATEST_UNKNOWN);
    struct ps_series_copy copy = copy_of(&f, series);
    learn(series, &copy, 700);
    assert_int_equal(latest_ms(series), 700);
    apply_to(&f, series, 600);
    assert_int_equal(latest_ms(series), 700);
    ps_series_copy_deinit(&copy);
    fixture_deinit(&f);
}

static void a_point_newer_than_all_that_is_sealed_is_the_latest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    f.table.sealed_max_ms = 1000;
    struct ps_series *series = restored(&f, false);
    apply_to(&f, series, 1000);
    assert_int_equal(latest_ms(series), 1000);
    fixture_deinit(&f);
}

/* The point came after the question began: the answer may not know it. */
static void an_answer_does_not_replace_what_is_newer(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    f.table.sealed_max_ms = 10000;
    struct ps_series *series = restored(&f, false);
    struct ps_series_copy copy = copy_of(&f, series);
    apply_to(&f, series, 900);
    learn(series, &copy, 700);
    assert_int_equal(latest_ms(series), 900);
    ps_series_copy_deinit(&copy);
    fixture_deinit(&f);
}

static void an_answer_from_before_a_deletion_is_not_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    struct ps_series *series = restored(&f, false);
    struct ps_series_copy copy = copy_of(&f, series);
    struct ps_series_deletion deletion = { .start_ms = 0, .end_ms = 1000, .delete_latest = true };
    assert_int_equal(ps_series_delete_range(&f.table, series, &deletion), PS_DELETION_LATEST_LOST);
    learn(series, &copy, 700);
    assert_int_equal(ask(series), PS_LATEST_UNKNOWN);
    ps_series_copy_deinit(&copy);
    fixture_deinit(&f);
}

/* As long as the history has not said so, nobody knows what the pin says: a point that comes
 * meanwhile makes the answer outdated. */
static void of_a_pinned_series_the_history_judges(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    struct ps_series *series = restored(&f, true);
    struct ps_series_copy copy = copy_of(&f, series);
    apply_to(&f, series, 300);
    learn(series, &copy, 0);
    assert_int_equal(ask(series), PS_LATEST_UNKNOWN);
    ps_series_copy_deinit(&copy);
    copy = copy_of(&f, series);
    learn(series, &copy, 200); /* an older one, which came after all else was deleted */
    assert_int_equal(latest_ms(series), 200);
    apply_to(&f, series, 199);
    assert_int_equal(latest_ms(series), 200);
    apply_to(&f, series, 201);
    assert_int_equal(latest_ms(series), 201);
    ps_series_copy_deinit(&copy);
    fixture_deinit(&f);
}

static void after_a_pin_the_history_is_asked_once_more(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    struct ps_series *series = restored(&f, true);
    struct ps_series_copy copy = copy_of(&f, series);
    apply_to(&f, series, 300); /* ends the pin, but that is not known yet */
    apply_to(&f, series, 250);
    ps_series_unpin(series);
    learn(series, &copy, 100); /* asked before */
    assert_int_equal(ask(series), PS_LATEST_UNKNOWN);
    apply_to(&f, series, 260);
    assert_int_equal(ask(series), PS_LATEST_UNKNOWN); /* 300 was not judged */
    ps_series_copy_deinit(&copy);
    copy = copy_of(&f, series);
    learn(series, &copy, 300);
    assert_int_equal(latest_ms(series), 300);
    ps_series_copy_deinit(&copy);
    fixture_deinit(&f);
}

static void the_end_of_a_pin_leaves_a_known_latest_value_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    apply_long(&f, 10, 1);
    ps_series_pin(f.series);
    apply_long(&f, 20, 1);
    ps_series_unpin(f.series);
    assert_int_equal(latest_ms(f.series), 20);
    fixture_deinit(&f);
}

static const struct deletion_case {
    const char *name;
    int64_t ts_ms[6]; /* written, in this order; 0 ends */
    struct ps_series_deletion deletion;
    enum ps_deletion_latest want;
    int64_t latest_ms; /* afterwards; 0: none */
    size_t left;       /* points in the head */
} deletion_cases[] = {
    { "outside of the range", { 10, 20 }, { 0, 10, true, true }, PS_DELETION_LATEST_KEPT, 20, 2 },
    { "an older one goes", { 10, 20 }, { 10, 20, true, true }, PS_DELETION_LATEST_KEPT, 20, 1 },
    { "the next one takes its place",
      { 10, 5, 20 },
      { 15, 25, true, true },
      PS_DELETION_LATEST_REPLACED,
      10,
      2 },
    { "nothing takes its place",
      { 10, 5, 20 },
      { 15, 25, true, false },
      PS_DELETION_LATEST_REMOVED,
      0,
      2 },
    { "shown all the same", { 10, 20 }, { 15, 25, false, false }, PS_DELETION_LATEST_KEPT, 20, 1 },
    { "everything",
      { 10, 20 },
      { INT64_MIN, INT64_MAX, true, true },
      PS_DELETION_LATEST_REMOVED,
      0,
      0 },
    { "the end of time belongs to it",
      { 10, INT64_MAX },
      { 15, INT64_MAX, true, true },
      PS_DELETION_LATEST_REPLACED,
      10,
      1 },
};

static void deletions_leave_the_right_latest_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof deletion_cases / sizeof *deletion_cases; i++) {
        const struct deletion_case *c = &deletion_cases[i];
        struct fixture f;
        fixture_init(&f, 1 << 20);
        for (size_t k = 0; k < 6 && c->ts_ms[k]; k++)
            apply_long(&f, c->ts_ms[k], 1);
        enum ps_deletion_latest got = ps_series_delete_range(&f.table, f.series, &c->deletion);
        struct ps_series_copy copy = copy_of(&f, f.series);
        if (got != c->want || latest_ms(f.series) != c->latest_ms || copy.points.count != c->left)
            print_error("%s: %d, latest %lld, %zu left\n", c->name, (int)got,
                        (long long)latest_ms(f.series), copy.points.count);
        assert_int_equal(got, c->want);
        assert_int_equal(latest_ms(f.series), c->latest_ms);
        assert_int_equal(copy.points.count, c->left);
        ps_series_copy_deinit(&copy);
        fixture_deinit(&f);
    }
}

static void what_the_head_lost_may_be_the_next_latest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    for (int64_t i = 0; i < HEAD_POINTS + 1; i++)
        apply_long(&f, 1000 - i, i); /* 1000 leaves the head, and is the latest */
    struct ps_series_deletion deletion = {
        .start_ms = 1000, .end_ms = 1001, .delete_latest = true, .rewrite_latest = true
    };
    assert_int_equal(ps_series_delete_range(&f.table, f.series, &deletion),
                     PS_DELETION_LATEST_LOST);
    assert_int_equal(ask(f.series), PS_LATEST_UNKNOWN);
    fixture_deinit(&f);
}

static void after_the_latest_is_gone_the_next_point_is_it_whatever_its_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    apply_long(&f, 10, 1);
    apply_long(&f, 20, 2);
    struct ps_series_deletion deletion = { .start_ms = 15, .end_ms = 25, .delete_latest = true };
    assert_int_equal(ps_series_delete_range(&f.table, f.series, &deletion),
                     PS_DELETION_LATEST_REMOVED);
    assert_int_equal(ask(f.series), PS_LATEST_NONE);
    apply_long(&f, 5, 3);
    assert_int_equal(latest_ms(f.series), 5);
    apply_long(&f, 4, 4);
    assert_int_equal(latest_ms(f.series), 5);
    apply_long(&f, 7, 4);
    assert_int_equal(latest_ms(f.series), 7);
    fixture_deinit(&f);
}

/* ---- times to live ---- */

static void an_expired_latest_value_is_not_shown(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 1 << 20);
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 1 };
    struct ps_point point;
    ps_series_apply(&f.table, f.series, ++f.seq, 5000, &value, 10);
    assert_int_equal(ps_series_latest(f.series, 1, 14999, &point), PS_LATEST_KNOWN);
    assert_int_equal(ps_series_latest(f.series, 1, 15000, &point), PS_LATEST_UNKNOWN);
    apply_long(&f, 6000, 2); /* the default counts: 0 is for ever */
    assert_int_equal(ps_series_latest(f.series, 0, INT64_MAX, &point), PS_LATEST_KNOWN);
    assert_int_equal(ps_series_latest(f.series, 9, 15000, &point), PS_LATEST_UNKNOWN);
    struct ps_series_copy copy = copy_of(&f, f.series);
    assert_int_equal(copy.ttl_s[0], 10);
    assert_int_equal(copy.ttl_s[1], 0);
    /* The history has nothing that lives: from now on there is no latest value. */
    struct ps_series_newest newest = { .epoch = copy.epoch, .default_ttl_s = 9, .now_ms = 15000 };
    ps_series_learn_latest(f.series, &newest);
    assert_int_equal(ps_series_latest(f.series, 9, 15000, &point), PS_LATEST_NONE);
    ps_series_copy_deinit(&copy);
    fixture_deinit(&f);
}

/* Once what a head lost is sealed, the journal has no more of it: new losses begin a new span. */
static void what_is_sealed_is_not_lost(void **state)
{
    (void)state;
    struct fixture f;
    _Atomic int64_t sealed = 0;
    fixture_init(&f, 1 << 20);
    f.table.limits.sealed_seq = &sealed;
    for (int64_t i = 1; i <= HEAD_POINTS + 3; i++)
        apply_long(&f, i, i);
    assert_copy(&f, 1, 2, 0, 1);
    sealed = f.seq;
    apply_long(&f, 100, 1);
    assert_copy(&f, 1, 2, 0, 0);
    assert_copy(&f, 4, 5, 0, 4);
    fixture_deinit(&f);
}

/* A million of them is a plan. */
static void series_are_small(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct ps_head_point), 24);
    assert_int_equal(offsetof(struct ps_series, key), 40);
    assert_int_equal(sizeof(struct ps_entity_series), 48);
    struct fixture f;
    fixture_init(&f, 1 << 20);
    for (int64_t i = 0; i < 3; i++)
        apply_long(&f, i, i);
    assert_int_equal(f.table.memory, 104);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_are_found_by_entity_and_key),
        cmocka_unit_test(latest_is_the_greatest_time_and_of_equals_the_last_written),
        cmocka_unit_test(a_full_head_loses_its_oldest_arrival_and_knows_where_it_is),
        cmocka_unit_test(the_memory_cap_is_kept),
        cmocka_unit_test(a_point_that_does_not_fit_leaves_no_older_ones_in_the_head),
        cmocka_unit_test(a_restored_series_is_catalogued),
        cmocka_unit_test(forgetting_an_entity_leaves_the_others),
        cmocka_unit_test(after_a_start_the_latest_is_unknown_until_learnt),
        cmocka_unit_test(a_point_newer_than_all_that_is_sealed_is_the_latest),
        cmocka_unit_test(an_answer_does_not_replace_what_is_newer),
        cmocka_unit_test(an_answer_from_before_a_deletion_is_not_taken),
        cmocka_unit_test(of_a_pinned_series_the_history_judges),
        cmocka_unit_test(after_a_pin_the_history_is_asked_once_more),
        cmocka_unit_test(the_end_of_a_pin_leaves_a_known_latest_value_alone),
        cmocka_unit_test(deletions_leave_the_right_latest_value),
        cmocka_unit_test(what_the_head_lost_may_be_the_next_latest),
        cmocka_unit_test(after_the_latest_is_gone_the_next_point_is_it_whatever_its_time),
        cmocka_unit_test(an_expired_latest_value_is_not_shown),
        cmocka_unit_test(what_is_sealed_is_not_lost),
        cmocka_unit_test(series_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
