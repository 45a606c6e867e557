/* Batches: copies of everything, kept or lost as one, empty and reusable afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/batch_world.h"

static void effects_are_copied_and_written_together(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    assert_true(ps_batch_is_empty(f.batch));
    add_text_point(&f, "note", "hello");
    add_text_point(&f, "note", "again");
    add_text_point(&f, "other", "x");
    assert_memory_equal(f.batch->points[0].value.text, "hello", 5);
    struct ps_kv kv = { .key = "a",
                        .key_len = 1,
                        .value = { .type = PS_VALUE_LONG, .integer = 7 } };
    assert_int_equal(ps_batch_add_attribute(f.batch, &f.entity, PS_SCOPE_SHARED, &kv, 99), PS_OK);
    assert_false(ps_batch_is_empty(f.batch));
    assert_true(ps_batch_bytes(f.batch) > 0);
    assert_int_equal(f.batch->effects, 4);
    assert_int_equal(f.batch->series_count, 2); /* once a series */
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(f.batch->seq, 1);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM series"), 2);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT seq FROM journal"), 1);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT value FROM attribute"), 7);
    ps_batch_reset(f.batch);
    assert_true(ps_batch_is_empty(f.batch));
    assert_int_equal(ps_batch_bytes(f.batch), 0);
    add_text_point(&f, "note", "third"); /* its series is catalogued */
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM series"), 2);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT max(seq) FROM journal"), 2);
    fixture_deinit(&f);
}

static void a_null_attribute_deletes_and_nothing_there_is_fine(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct ps_kv kv = { .key = "a",
                        .key_len = 1,
                        .value = { .type = PS_VALUE_LONG, .integer = 7 } };
    struct ps_kv gone = { .key = "a", .key_len = 1 };
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(
            ps_batch_add_attribute(f.batch, &f.entity, PS_SCOPE_SHARED, i ? &gone : &kv, 99),
            PS_OK);
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM attribute"), 0);
    fixture_deinit(&f);
}

static void a_batch_built_before_a_failure_was_known_does_nothing(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t failures = 0;
    fixture_init(&f);
    f.batch->failures = &failures;
    add_text_point(&f, "note", "x");
    failures = 1; /* an earlier batch */
    ps_journal_finish(&f.batch->encoder);
    assert_int_equal(f.batch->item.run(&f.batch->item, f.temp.db), PS_OK); /* others go on */
    f.batch->item.done(&f.batch->item, PS_OK);
    assert_int_equal(f.batch->status, PS_ESTORE);
    assert_int_equal(failures, 1); /* it is no failure of its own */
    assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM journal"), 0);
    assert_int_equal(ps_port_drain(&f.port, &f), 1);
    ps_batch_reset(f.batch);
    f.batch->failures_seen = 1;
    series_of(&f, "note")->catalogued = false;
    add_text_point(&f, "note", "y");
    assert_int_equal(commit(&f), PS_OK);
    fixture_deinit(&f);
}

static void a_refused_batch_is_a_failure_at_once_and_only_one(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t failures = 0;
    fixture_init(&f);
    f.batch->failures = &failures;
    add_text_point(&f, "note", "x");
    f.batch->item.refused(&f.batch->item);
    assert_int_equal(failures, 1); /* before what follows in the same transaction runs */
    f.batch->item.done(&f.batch->item, PS_EFULL);
    assert_int_equal(f.batch->status, PS_EFULL);
    assert_int_equal(failures, 1);
    assert_int_equal(ps_port_drain(&f.port, &f), 1);
    fixture_deinit(&f);
}

static int64_t next_series(struct fixture *f)
{
    return temp_db_number(f->temp.db, "SELECT coalesce(max(value), -1) FROM telemetry_state"
                                      " WHERE key = 'next_series'");
}

static void series_ids_are_used_up_in_the_commit_that_has_their_rows(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.next_series = 70;
    add_text_point(&f, "a", "x");
    add_text_point(&f, "b", "x");
    assert_int_equal(next_series(&f), -1);
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(next_series(&f), 72);
    ps_batch_reset(f.batch);
    f.next_series = 60; /* another shard's batch, made earlier, comes later */
    add_text_point(&f, "c", "x");
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(next_series(&f), 72);
    ps_batch_reset(f.batch);
    f.next_series = UINT32_MAX;
    add_text_point(&f, "d", "x");
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(next_series(&f), (int64_t)UINT32_MAX + 1);
    fixture_deinit(&f);
}

static void a_point_brings_its_time_to_live_along(void **state)
{
    (void)state;
    static const uint32_t ttls[] = { 0, 1, 3153600000, 0 };
    struct fixture f;
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    fixture_init(&f);
    for (size_t i = 0; i < 4; i++)
        add_point(&f, "temp", (int64_t)i, ttls[i]);
    assert_int_equal(commit(&f), PS_OK);
    assert_int_equal(ps_journal_open(&decoder, f.batch->blob.data, f.batch->blob.len), PS_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ps_journal_next(&decoder, &record), PS_OK);
        assert_int_equal(record.ttl_s, ttls[i]);
        assert_int_equal(f.batch->points[i].ttl_s, ttls[i]);
    }
    assert_int_equal(ps_journal_next(&decoder, &record), PS_ENOTFOUND);
    assert_int_equal(f.batch->item.points_bytes, f.batch->blob.len);
    fixture_deinit(&f);
}

struct waiter {
    struct ps_ack ack; /* first */
    unsigned settled;
};

static void waiter_settled(struct ps_ack *ack)
{
    ((struct waiter *)ack)->settled++;
}

/* A payload of many messages has one ack, and all of them may end in one batch. */
static void an_ack_may_be_in_a_batch_several_times(void **state)
{
    (void)state;
    struct fixture f;
    struct waiter waiter = { .settled = 0 }, other = { .settled = 0 };
    fixture_init(&f);
    ps_ack_init(&waiter.ack, NULL, waiter_settled);
    ps_ack_init(&other.ack, NULL, waiter_settled);
    ps_ack_retain(&waiter.ack, 2);
    ps_batch_add_ack(f.batch, &waiter.ack);
    ps_batch_add_ack(f.batch, &waiter.ack);
    ps_batch_add_ack(f.batch, &other.ack);
    ps_batch_add_ack(f.batch, &waiter.ack);
    assert_false(ps_batch_is_empty(f.batch));
    assert_int_equal(f.batch->ack_count, 4);
    for (size_t i = 0; i < f.batch->ack_count; i++)
        ps_ack_release(f.batch->acks[i], PS_OK);
    assert_int_equal(waiter.settled, 1);
    assert_int_equal(other.settled, 1);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_are_copied_and_written_together),
        cmocka_unit_test(a_null_attribute_deletes_and_nothing_there_is_fine),
        cmocka_unit_test(a_batch_built_before_a_failure_was_known_does_nothing),
        cmocka_unit_test(a_refused_batch_is_a_failure_at_once_and_only_one),
        cmocka_unit_test(series_ids_are_used_up_in_the_commit_that_has_their_rows),
        cmocka_unit_test(a_point_brings_its_time_to_live_along),
        cmocka_unit_test(an_ack_may_be_in_a_batch_several_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
