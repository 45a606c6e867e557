/* Loading: what a start reads back is what was applied, whatever it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/storage/writer.h"
#include "core/telemetry/history.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/load.h"
#include "unit/core_storage/temp_db.h"

enum { TABLES = 3, ENTITIES = 12, KEYS = 4, ROWS = 120, TIMES = 100 };

static unsigned table_of(const struct ps_uuid *entity, const void *arg)
{
    (void)arg;
    return entity->bytes[0] % TABLES;
}

static struct ps_entity_id entity_of(unsigned index)
{
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, { { 0 } } };
    entity.id.bytes[0] = (uint8_t)index;
    entity.id.bytes[15] = 1;
    return entity;
}

static void tables_init(struct ps_series_table *tables, _Atomic uint32_t *next_id,
                        uint32_t head_points_max)
{
    struct ps_series_limits limits = { .head_points_max = head_points_max,
                                       .memory_max = 1 << 20,
                                       .next_id = next_id };
    for (unsigned i = 0; i < TABLES; i++)
        assert_int_equal(ps_series_table_init(&tables[i], &limits), PS_OK);
}

struct change {
    struct ps_buf blob;
    int64_t seq;
    struct ps_series *added[64];
    struct ps_entity_id added_to[64];
    unsigned added_count;
};

static enum ps_status write_change(struct ps_db *db, void *arg)
{
    struct change *change = arg;
    struct ps_stmt *stmt;
    enum ps_status st = PS_OK;
    for (unsigned i = 0; i < change->added_count && st == PS_OK; i++) {
        st = ps_db_prepare(db, "INSERT INTO series(id, entity_type, entity, key) VALUES(?,?,?,?)",
                           &stmt);
        if (st != PS_OK)
            return st;
        ps_stmt_bind_int(stmt, 1, change->added[i]->id);
        ps_stmt_bind_int(stmt, 2, change->added_to[i].type);
        ps_stmt_bind_uuid(stmt, 3, &change->added_to[i].id);
        ps_stmt_bind_text(stmt, 4, change->added[i]->key, change->added[i]->key_len);
        st = ps_stmt_run(stmt);
    }
    if (st == PS_OK)
        st = ps_db_prepare(db, "INSERT INTO journal(seq, points) VALUES(?, ?)", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, change->seq);
    ps_stmt_bind_blob(stmt, 2, change->blob.data, change->blob.len);
    return ps_stmt_run(stmt);
}

static struct ps_value random_value(unsigned *seed, char *text)
{
    int dice = rand_r(seed);
    struct ps_value value = { .type = (enum ps_value_type)(1 + dice % 5) };
    if (value.type == PS_VALUE_BOOLEAN)
        value.boolean = dice % 2;
    else if (value.type == PS_VALUE_LONG)
        value.integer = dice - RAND_MAX / 2;
    else if (value.type == PS_VALUE_DOUBLE)
        value.real = (double)dice / 7;
    else
        value = (struct ps_value){ .type = value.type,
                                   .text = text,
                                   .len = (uint32_t)snprintf(text, 32, "text %d", dice) };
    return value;
}

static struct ps_series *series_of(struct ps_series_table *tables, unsigned entity, unsigned key,
                                   struct change *change)
{
    static const char *const names[KEYS] = { "temperature", "humidity", "x", "" };
    struct ps_entity_id id = entity_of(entity);
    struct ps_series_table *table = &tables[table_of(&id.id, NULL)];
    struct ps_series *series =
        ps_series_get(table, ps_series_table_get(table, &id), names[key], strlen(names[key]));
    if (!series->catalogued && change->added_count < 64) {
        series->catalogued = true;
        change->added_to[change->added_count] = id;
        change->added[change->added_count++] = series;
    }
    return series;
}

struct applied {
    struct ps_series_table *table;
    struct ps_series *series;
    int64_t ts_ms;
    struct ps_value value;
    char text[32];
};

static void write_random_row(struct ps_writer *writer, struct ps_series_table *tables, int64_t seq,
                             unsigned *seed)
{
    struct change change = { .seq = seq };
    struct ps_journal_encoder encoder;
    struct applied applied[30];
    ps_journal_begin(&encoder, &change.blob);
    for (unsigned i = 0; i < 30; i++) {
        unsigned entity = (unsigned)rand_r(seed) % ENTITIES;
        struct ps_entity_id id = entity_of(entity);
        applied[i].table = &tables[table_of(&id.id, NULL)];
        applied[i].series = series_of(tables, entity, (unsigned)rand_r(seed) % KEYS, &change);
        applied[i].ts_ms = rand_r(seed) % TIMES;
        applied[i].value = random_value(seed, applied[i].text);
        ps_journal_put(&encoder, applied[i].series->id, applied[i].ts_ms, &applied[i].value);
    }
    ps_journal_finish(&encoder);
    assert_int_equal(ps_writer_call(writer, write_change, &change), PS_OK);
    for (unsigned i = 0; i < 30; i++)
        ps_series_apply(applied[i].table, applied[i].series, seq, applied[i].ts_ms,
                        &applied[i].value);
    ps_buf_deinit(&change.blob);
}

static void read_range(struct ps_db *db, const struct ps_series *series, int64_t start_ms,
                       int64_t end_ms, struct ps_points *out)
{
    struct ps_series_copy copy;
    struct ps_history_query query = {
        .start_ms = start_ms, .end_ms = end_ms, .limit = 1000, .ascending = true
    };
    assert_int_equal(ps_series_copy(series, start_ms, end_ms, &copy), PS_OK);
    assert_int_equal(ps_history_read(db, &query, &copy, 1, out), PS_OK);
    ps_series_copy_deinit(&copy);
}

static void assert_same_series(struct ps_db *db, const struct ps_series *live,
                               const struct ps_series *loaded, unsigned *seed)
{
    assert_non_null(loaded);
    assert_int_equal(loaded->id, live->id);
    assert_true(loaded->catalogued);
    assert_int_equal(loaded->has_latest, live->has_latest);
    assert_int_equal(loaded->latest.ts_ms, live->latest.ts_ms);
    assert_true(ps_value_equal(&loaded->latest.value, &live->latest.value));
    int64_t start_ms = rand_r(seed) % TIMES, end_ms = start_ms + rand_r(seed) % TIMES;
    struct ps_points a = { 0 }, b = { 0 };
    read_range(db, live, start_ms, end_ms, &a);
    read_range(db, loaded, start_ms, end_ms, &b);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.points[i].ts_ms, b.points[i].ts_ms);
        assert_true(ps_value_equal(&a.points[i].value, &b.points[i].value));
    }
    ps_points_deinit(&a);
    ps_points_deinit(&b);
}

static void compare_tables(struct ps_db *db, struct ps_series_table *live,
                           struct ps_series_table *loaded, unsigned *seed)
{
    for (unsigned i = 0; i < ENTITIES; i++) {
        struct ps_entity_id id = entity_of(i);
        unsigned table = table_of(&id.id, NULL);
        struct ps_entity_series *a = ps_series_table_find(&live[table], &id.id);
        struct ps_entity_series *b = ps_series_table_find(&loaded[table], &id.id);
        assert_int_equal(a->count, b->count);
        assert_int_equal(b->entity.type, PS_ENTITY_DEVICE);
        for (uint32_t k = 0; k < a->count; k++)
            assert_same_series(db, a->items[k],
                               ps_series_find(b, a->items[k]->key, a->items[k]->key_len), seed);
    }
}

/* Heads of another size are loaded: what differs is only what has to be read from the journal. */
static void what_is_loaded_is_what_was_applied(void **state)
{
    (void)state;
    struct temp_db temp;
    _Atomic uint32_t next_id = 1;
    struct ps_series_table live[TABLES], loaded[TABLES];
    struct ps_writer *writer;
    struct ps_load_result result;
    unsigned seed = 3;
    temp_db_init(&temp);
    struct ps_writer_settings settings = { .path = temp.path, .checkpoint_bytes = 1 << 20 };
    assert_int_equal(ps_writer_start(&settings, &writer), PS_OK);
    tables_init(live, &next_id, 8);
    for (int64_t seq = 1; seq <= ROWS; seq++)
        write_random_row(writer, live, seq, &seed);
    ps_writer_stop(writer);
    for (uint32_t head_points = 1; head_points <= 64; head_points *= 8) {
        tables_init(loaded, &next_id, head_points);
        assert_int_equal(ps_telemetry_load(temp.db, loaded, table_of, NULL, &result), PS_OK);
        assert_int_equal(result.last_seq, ROWS);
        assert_int_equal(result.next_series, ENTITIES * KEYS + 1);
        assert_int_equal(result.series, ENTITIES * KEYS);
        assert_int_equal(result.points, ROWS * 30);
        assert_int_equal(result.damaged_rows, 0);
        compare_tables(temp.db, live, loaded, &seed);
        for (unsigned i = 0; i < TABLES; i++)
            ps_series_table_deinit(&loaded[i]);
    }
    for (unsigned i = 0; i < TABLES; i++)
        ps_series_table_deinit(&live[i]);
    temp_db_deinit(&temp);
}

static void an_empty_database_starts_with_series_one(void **state)
{
    (void)state;
    struct temp_db temp;
    _Atomic uint32_t next_id = 1;
    struct ps_series_table tables[TABLES];
    struct ps_load_result result;
    temp_db_init(&temp);
    tables_init(tables, &next_id, 8);
    assert_int_equal(ps_telemetry_load(temp.db, tables, table_of, NULL, &result), PS_OK);
    assert_int_equal(result.last_seq, 0);
    assert_int_equal(result.next_series, 1);
    for (unsigned i = 0; i < TABLES; i++)
        ps_series_table_deinit(&tables[i]);
    temp_db_deinit(&temp);
}

/* A damaged row is counted, the others are read; an id that only the journal knows is never used
 * again. */
static void damage_and_orphans_do_not_stop_the_start(void **state)
{
    (void)state;
    struct temp_db temp;
    _Atomic uint32_t next_id = 1;
    struct ps_series_table tables[TABLES];
    struct ps_load_result result;
    struct change change = { .seq = 1 };
    struct ps_journal_encoder encoder;
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 5 };
    temp_db_init(&temp);
    tables_init(tables, &next_id, 8);
    ps_journal_begin(&encoder, &change.blob);
    ps_journal_put(&encoder, 41, 1, &value);
    ps_journal_finish(&encoder);
    assert_int_equal(write_change(temp.db, &change), PS_OK);
    assert_int_equal(
        ps_db_exec(temp.db, "INSERT INTO journal(seq, points) VALUES(2, x'01'), (3, x'')"), PS_OK);
    assert_int_equal(ps_telemetry_load(temp.db, tables, table_of, NULL, &result), PS_OK);
    assert_int_equal(result.damaged_rows, 2);
    assert_int_equal(result.last_seq, 3);
    assert_int_equal(result.next_series, 42);
    assert_int_equal(result.series, 0);
    for (unsigned i = 0; i < TABLES; i++)
        ps_series_table_deinit(&tables[i]);
    ps_buf_deinit(&change.blob);
    temp_db_deinit(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_loaded_is_what_was_applied),
        cmocka_unit_test(an_empty_database_starts_with_series_one),
        cmocka_unit_test(damage_and_orphans_do_not_stop_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
