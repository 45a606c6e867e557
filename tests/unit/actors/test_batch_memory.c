/* A batch without memory: what does not fit is refused as a whole, and what is in stays right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "actors/shard_state.h"
#include "unit/actors/batch_world.h"

/* ---- memory that ends ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned allocations_left; /* 0: as many as wanted */
static bool refused;

static bool may_allocate(void)
{
    if (!allocations_left || --allocations_left)
        return true;
    refused = true;
    return false;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
    return may_allocate() ? __real_realloc(old, size) : NULL;
}

/* ---- what is tried ---- */

struct waiter {
    struct ps_ack ack; /* first */
    unsigned settled;
    enum ps_status status;
};

static void waiter_settled(struct ps_ack *ack)
{
    struct waiter *waiter = (struct waiter *)ack;
    waiter->settled++;
    waiter->status = ack->status;
}

struct done {
    size_t points, deletes, attributes, letters;
};

static struct ps_msg *make_msg(struct fixture *f)
{
    static const struct ps_kv kv = { .key = "k", .key_len = 1, .value = { .type = PS_VALUE_LONG } };
    struct ps_msg_content content = {
        .type = PS_MSG_POST_TELEMETRY, .data_kind = PS_DATA_OBJECT, .kvs = &kv, .kv_count = 1
    };
    struct ps_msg *msg;
    assert_int_equal(ps_msg_create(&PS_UUID_NULL, &f->entity, &PS_UUID_NULL, 1, &content, &msg),
                     PS_OK);
    return msg;
}

static size_t ok(enum ps_status st)
{
    assert_true(st == PS_OK || st == PS_ENOMEM);
    return st == PS_OK;
}

/* Enough of everything that all arrays grow. */
static void fill(struct fixture *f, struct ps_series *const series[2], const struct ps_msg *msg,
                 struct waiter *waiter, struct done *done)
{
    char text[300];
    memset(text, 'x', sizeof text);
    const struct ps_value value = { .type = PS_VALUE_STRING, .text = text, .len = sizeof text };
    const struct ps_kv kv = { .key = "a", .key_len = 1, .value = value };
    for (unsigned i = 0; i < 70; i++) {
        done->points +=
            ok(ps_batch_add_point(f->batch, &f->entity, series[i % 2], i, &value, i % 3));
        done->deletes +=
            ok(ps_batch_add_delete(f->batch, series[i % 2], 0, i, PS_BATCH_LATEST_GOES, 1));
        done->attributes +=
            ok(ps_batch_add_attribute(f->batch, &f->entity, PS_SCOPE_SERVER, &kv, 1));
        done->letters +=
            ok(ps_batch_add_letter(f->batch, msg, &PS_UUID_NULL, &PS_UUID_NULL, "because"));
        (void)ok(ps_batch_add_notice(
            f->batch, ps_update_create(&f->entity, PS_UPDATE_TELEMETRY, PS_SCOPE_CLIENT, 1, &kv, 1),
            false, true));
        ps_ack_retain(&waiter->ack, 1);
        ps_batch_add_ack(f->batch, &waiter->ack);
    }
}

static void check_blob(struct fixture *f)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    if (!f->batch->point_count || !ps_buf_ok(&f->batch->blob))
        return; /* the shard fails such a batch */
    ps_journal_finish(&f->batch->encoder);
    assert_int_equal(ps_journal_open(&decoder, f->batch->blob.data, f->batch->blob.len), PS_OK);
    for (size_t i = 0; i < f->batch->point_count; i++) {
        const struct ps_batch_point *point = &f->batch->points[i];
        assert_int_equal(ps_journal_next(&decoder, &record), PS_OK);
        assert_int_equal(record.series, point->series->id);
        assert_int_equal(record.ts_ms, point->ts_ms);
        assert_int_equal(record.ttl_s, point->ttl_s);
        assert_memory_equal(record.value.text, point->value.text, 300);
    }
    assert_int_equal(ps_journal_next(&decoder, &record), PS_ENOTFOUND);
}

static void check(struct fixture *f, const struct done *done, const struct waiter *waiter)
{
    assert_int_equal(f->batch->point_count, done->points);
    assert_int_equal(f->batch->delete_count, done->deletes);
    assert_int_equal(f->batch->attribute_count, done->attributes);
    assert_int_equal(f->batch->letter_count, done->letters);
    assert_int_equal(waiter->settled, 0);
    check_blob(f);
    for (size_t i = 0; i < f->batch->ack_count; i++)
        ps_ack_release(f->batch->acks[i], PS_OK);
    f->batch->ack_count = 0;
}

/* As new; the database, which takes its time to make, stays. */
static void renew(struct fixture *f)
{
    struct ps_series_limits limits = f->table.limits;
    ps_batch_destroy(f->batch);
    ps_series_table_deinit(&f->table);
    assert_int_equal(ps_series_table_init(&f->table, &limits), PS_OK);
    assert_int_equal(ps_batch_create(&f->port, &f->next_seq, batch_settled, &f->batch), PS_OK);
    assert_int_equal(ps_db_exec(f->temp.db, "DELETE FROM series"), PS_OK);
}

static void try_with(struct fixture *f, unsigned allocations)
{
    struct done done = { 0 };
    struct waiter waiter = { .settled = 0 };
    struct ps_series *series[2] = { series_of(f, "a"), series_of(f, "b") };
    struct ps_msg *msg = make_msg(f);
    ps_ack_init(&waiter.ack, NULL, waiter_settled);
    refused = false;
    allocations_left = allocations;
    fill(f, series, msg, &waiter, &done);
    allocations_left = 0;
    check(f, &done, &waiter);
    ps_ack_release(&waiter.ack, PS_OK);
    assert_int_equal(waiter.settled, 1);
    ps_msg_release(msg);
    /* and it can be used again */
    ps_batch_reset(f->batch);
    series[0]->catalogued = series[1]->catalogued = false;
    add_text_point(f, "a", "after");
    assert_int_equal(commit(f), PS_OK);
    assert_int_equal(temp_db_number(f->temp.db, "SELECT count(*) FROM series"), 1);
}

static void the_nth_allocation_fails_and_nothing_else(void **state)
{
    (void)state;
    struct fixture f;
    unsigned nth = 0;
    fixture_init(&f);
    do {
        renew(&f);
        try_with(&f, ++nth);
    } while (refused);
    assert_true(nth > 20); /* it was about allocations indeed */
    fixture_deinit(&f);
}

/* ---- a message that does not fit ---- */

enum { KEYS = 70 };

/* A message of many keys, most of them new, as its actor saves it. */
static enum ps_status save_message(struct fixture *f, struct ps_shard *shard)
{
    static char names[KEYS];
    struct ps_kv kvs[KEYS];
    char text[300];
    struct ps_text why;
    memset(text, 'y', sizeof text);
    for (unsigned i = 0; i < KEYS; i++) {
        names[i] = (char)('0' + i);
        kvs[i] = (struct ps_kv){
            .key = &names[i],
            .key_len = 1,
            .value = { .type = PS_VALUE_STRING, .text = text, .len = sizeof text },
        };
    }
    const struct ps_save_telemetry save = {
        .ts_ms = 9, .ttl_s = 7, .kvs = kvs, .kv_count = KEYS, .keep_history = true
    };
    struct ps_actor actor = { .shard = shard,
                              .id = f->entity,
                              .series = ps_series_table_find(&f->table, &f->entity.id) };
    shard->filling = f->batch;
    return ps_actor_save_telemetry(&actor, &save, &why);
}

static void try_message(struct fixture *f, struct ps_shard *shard, bool is_first,
                        unsigned allocations)
{
    struct ps_series *series[KEYS];
    for (unsigned i = 0; i < KEYS; i++) {
        const char key[] = { (char)('0' + i), 0 };
        series[i] = series_of(f, key);
        series[i]->pinned = i % 2 == 0;
    }
    size_t before = is_first ? 0 : 1;
    if (!is_first)
        add_text_point(f, "0", "before");
    uint32_t effects = f->batch->effects;
    refused = false;
    allocations_left = allocations;
    enum ps_status st = save_message(f, shard);
    allocations_left = 0;
    assert_int_equal(st, refused ? PS_ENOMEM : PS_OK);
    if (st != PS_OK) {
        assert_int_equal(f->batch->point_count, before);
        assert_int_equal(f->batch->effects, effects);
        for (unsigned i = 0; i < KEYS; i++)
            assert_int_equal(series[i]->catalogued, i < before);
    }
    /* and the batch goes on, that message's keys included */
    add_text_point(f, "1", "after");
    assert_int_equal(commit(f), PS_OK);
    assert_int_equal(temp_db_number(f->temp.db, "SELECT count(*) FROM series"),
                     st == PS_OK ? KEYS : before + 1);
}

static void check_texts(struct fixture *f, bool is_first, bool fitted)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    size_t count = (is_first ? 0 : 1) + (fitted ? KEYS : 0) + 1;
    assert_int_equal(ps_journal_open(&decoder, f->batch->blob.data, f->batch->blob.len), PS_OK);
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &f->batch->points[i].value;
        assert_int_equal(ps_journal_next(&decoder, &record), PS_OK);
        assert_int_equal(record.series, f->batch->points[i].series->id);
        assert_int_equal(record.value.len, value->len);
        assert_memory_equal(record.value.text, value->text, value->len);
    }
    assert_int_equal(ps_journal_next(&decoder, &record), PS_ENOTFOUND);
    assert_int_equal(f->batch->point_count, count);
}

static void a_message_is_in_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    struct ps_shard *shard = calloc(1, sizeof *shard); /* but a batch it needs nothing */
    assert_non_null(shard);
    for (int is_first = 0; is_first < 2; is_first++) {
        struct fixture f;
        unsigned nth = 0;
        fixture_init(&f);
        do {
            renew(&f);
            try_message(&f, shard, is_first, ++nth);
            check_texts(&f, is_first, !refused);
        } while (refused);
        assert_true(nth > 10); /* it was about allocations indeed */
        fixture_deinit(&f);
    }
    free(shard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails_and_nothing_else),
        cmocka_unit_test(a_message_is_in_as_a_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
