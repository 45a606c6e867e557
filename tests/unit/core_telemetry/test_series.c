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
    ps_series_apply(&f->table, f->series, ++f->seq, ts_ms, &value);
}

static void apply_text(struct fixture *f, int64_t ts_ms, const char *text)
{
    struct ps_value value = { .type = PS_VALUE_STRING,
                              .text = text,
                              .len = (uint32_t)strlen(text) };
    ps_series_apply(&f->table, f->series, ++f->seq, ts_ms, &value);
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
    assert_false(f.series->has_latest);
    apply_long(&f, 100, 1);
    apply_long(&f, 50, 2);
    assert_int_equal(f.series->latest.value.integer, 1);
    apply_long(&f, 100, 3);
    assert_int_equal(f.series->latest.value.integer, 3);
    apply_text(&f, 101, "text");
    apply_long(&f, INT64_MIN, 9);
    assert_int_equal(f.series->latest.ts_ms, 101);
    assert_memory_equal(f.series->latest.value.text, "text", 4);
    fixture_deinit(&f);
}

/* `lost_seq`: the last row with a point in range that the head lost; 0 = none. Reading more rows
 * than needed, but no newer ones than the head knows, is right. */
static void assert_copy(struct fixture *f, int64_t start_ms, int64_t end_ms, size_t count,
                        int64_t lost_seq)
{
    struct ps_series_copy copy;
    assert_int_equal(ps_series_copy(f->series, start_ms, end_ms, &copy), PS_OK);
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
    assert_int_equal(f.series->ring_cap, HEAD_POINTS);
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
        ps_series_apply(&f.table, other, 1000 + i, i, &value);
        assert_true(f.table.memory <= 600);
    }
    assert_int_equal(other->latest.ts_ms, 99); /* latest values are always there */
    assert_int_equal(other->lost_min_ms, 0);
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
    struct ps_series *series = ps_series_restore(&f.table, f.entity, "old", 3, 99);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
