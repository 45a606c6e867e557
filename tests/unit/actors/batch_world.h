/* batch_world: a batch, a table of series and a database, without threads: what writer and shard do
 * with a batch is done by hand. */
#ifndef PS_TESTS_BATCH_WORLD_H
#define PS_TESTS_BATCH_WORLD_H

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

static inline void batch_settled(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct fixture *)owner)->settled++;
}

static inline void fixture_init(struct fixture *f)
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

static inline void fixture_deinit(struct fixture *f)
{
    ps_batch_destroy(f->batch);
    ps_series_table_deinit(&f->table);
    ps_port_deinit(&f->port);
    temp_db_deinit(&f->temp);
}

static inline struct ps_series *series_of(struct fixture *f, const char *key)
{
    struct ps_entity_series *entity = ps_series_table_get(&f->table, &f->entity);
    return ps_series_get(&f->table, entity, key, strlen(key));
}

/* As writer and shard do. */
static inline enum ps_status commit(struct fixture *f)
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

static inline void add_text_point(struct fixture *f, const char *key, const char *text)
{
    char *own = strdup(text);
    struct ps_value value = { .type = PS_VALUE_STRING, .text = own, .len = (uint32_t)strlen(text) };
    assert_int_equal(ps_batch_add_point(f->batch, &f->entity, series_of(f, key), 5, &value, 0),
                     PS_OK);
    free(own); /* it was copied */
}

static inline void add_point(struct fixture *f, const char *key, int64_t ts_ms, uint32_t ttl_s)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = ts_ms };
    assert_int_equal(
        ps_batch_add_point(f->batch, &f->entity, series_of(f, key), ts_ms, &value, ttl_s), PS_OK);
}

#endif
