/* Batches: copies of everything, kept or lost as one, empty and reusable afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "actors/batch.h"
#include "unit/core_storage/temp_db.h"

struct fixture {
    struct temp_db temp;
    struct ps_port port;
    _Atomic int64_t next_seq;
    _Atomic uint32_t next_series;
    struct ps_series_table table;
    struct ps_entity_id entity;
    struct ps_batch *batch;
    unsigned settled;
};

static void batch_settled(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct fixture *)owner)->settled++;
}

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    temp_db_init(&f->temp);
    f->next_seq = 1;
    f->next_series = 1;
    f->entity = (struct ps_entity_id){ PS_ENTITY_DEVICE, { "device" } };
    struct ps_series_limits limits = { .head_points_max = 8,
                                       .memory_max = 1 << 20,
                                       .next_id = &f->next_series };
    assert_int_equal(ps_series_table_init(&f->table, &limits), PS_OK);
    assert_int_equal(ps_port_init(&f->port), PS_OK);
    assert_int_equal(ps_batch_create(&f->port, &f->next_seq, batch_settled, &f->batch), PS_OK);
}

static void fixture_deinit(struct fixture *f)
{
    ps_batch_destroy(f->batch);
    ps_series_table_deinit(&f->table);
    ps_port_deinit(&f->port);
    temp_db_deinit(&f->temp);
}

static struct ps_series *series_of(struct fixture *f, const char *key)
{
    struct ps_entity_series *entity = ps_series_table_get(&f->table, &f->entity);
    return ps_series_get(&f->table, entity, key, strlen(key));
}

/* As writer and shard do. */
static enum ps_status commit(struct fixture *f)
{
    if (f->batch->point_count)
        ps_journal_finish(&f->batch->encoder);
    assert_int_equal(ps_db_begin(f->temp.db), PS_OK);
    enum ps_status st = f->batch->item.run(&f->batch->item, f->temp.db);
    if (st == PS_OK)
        st = ps_db_commit(f->temp.db);
    else
        ps_db_rollback(f->temp.db);
    f->batch->item.done(&f->batch->item, st);
    assert_int_equal(ps_port_drain(&f->port, f), 1);
    assert_int_equal(f->batch->status, st);
    return st;
}

static void add_text_point(struct fixture *f, const char *key, const char *text)
{
    char *own = strdup(text);
    struct ps_value value = { .type = PS_VALUE_STRING, .text = own, .len = (uint32_t)strlen(text) };
    assert_int_equal(ps_batch_add_point(f->batch, &f->entity, series_of(f, key), 5, &value), PS_OK);
    free(own); /* it was copied */
}

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
        cmocka_unit_test(an_ack_may_be_in_a_batch_several_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
