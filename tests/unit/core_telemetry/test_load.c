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
#include "core/telemetry/latest_pin.h"
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
        ps_journal_put(&encoder, applied[i].series->id, applied[i].ts_ms, &applied[i].value, 0);
    }
    ps_journal_finish(&encoder);
    assert_int_equal(ps_writer_call(writer, write_change, &change), PS_OK);
    for (unsigned i = 0; i < 30; i++)
        ps_series_apply(applied[i].table, applied[i].series, seq, applied[i].ts_ms,
                        &applied[i].value, 0);
    ps_buf_deinit(&change.blob);
}

static void read_range(struct ps_db *db, const struct ps_series_table *table,
                       const struct ps_series *series, int64_t start_ms, int64_t end_ms,
                       struct ps_points *out)
{
    struct ps_series_copy copy;
    struct ps_history_query query = {
        .start_ms = start_ms, .end_ms = end_ms, .limit = 1000, .ascending = true
    };
    assert_int_equal(ps_series_copy(table, series, start_ms, end_ms, &copy), PS_OK);
    struct ps_history history = { .db = db };
    assert_int_equal(ps_history_read(&history, &query, &copy, 1, out), PS_OK);
    ps_series_copy_deinit(&copy);
}

static void assert_same_series(struct ps_db *db, const struct ps_series_table *live_table,
                               const struct ps_series *live,
                               const struct ps_series_table *loaded_table,
                               const struct ps_series *loaded, unsigned *seed)
{
    assert_non_null(loaded);
    assert_int_equal(loaded->id, live->id);
    assert_true(loaded->catalogued);
    struct ps_point latest, loaded_latest;
    enum ps_latest known = ps_series_latest(live, 0, 0, &latest);
    assert_int_equal(ps_series_latest(loaded, 0, 0, &loaded_latest), known);
    if (known == PS_LATEST_KNOWN) {
        assert_int_equal(loaded_latest.ts_ms, latest.ts_ms);
        assert_true(ps_value_equal(&loaded_latest.value, &latest.value));
    }
    int64_t start_ms = rand_r(seed) % TIMES, end_ms = start_ms + rand_r(seed) % TIMES;
    struct ps_points a = { 0 }, b = { 0 };
    read_range(db, live_table, live, start_ms, end_ms, &a);
    read_range(db, loaded_table, loaded, start_ms, end_ms, &b);
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
            assert_same_series(db, &live[table], a->items[k], &loaded[table],
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
    ps_journal_put(&encoder, 41, 1, &value, 0);
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

/* ---- what is sealed, deleted, or cannot be ---- */

static void exec(struct ps_db *db, const char *sql)
{
    enum ps_status st = ps_db_exec(db, sql);
    if (st != PS_OK)
        print_error("%s: %s\n", sql, ps_db_error(db));
    assert_int_equal(st, PS_OK);
}

/* Row `seq` with longs at the given times; the value is 100 * seq + index. */
static void insert_row(struct ps_db *db, int64_t seq, uint32_t series, const int64_t *ts_ms,
                       size_t count)
{
    struct change change = { .seq = seq };
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, &change.blob);
    for (size_t i = 0; i < count; i++) {
        struct ps_value value = { .type = PS_VALUE_LONG, .integer = seq * 100 + (int64_t)i };
        ps_journal_put(&encoder, series, ts_ms[i], &value, 0);
    }
    ps_journal_finish(&encoder);
    assert_int_equal(write_change(db, &change), PS_OK);
    ps_buf_deinit(&change.blob);
}

static void insert_series(struct ps_db *db, int64_t id, const char *key, const char *floor_ms)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "INSERT INTO series(id, entity_type, entity, key, latest_floor_ms)"
             " VALUES(%lld, %d, x'00000000000000000000000000000001', '%s', %s)",
             (long long)id, PS_ENTITY_DEVICE, key, floor_ms);
    exec(db, sql);
}

struct loaded {
    struct temp_db temp;
    _Atomic uint32_t next_id;
    struct ps_series_table tables[TABLES];
    struct ps_load_result result;
};

static void load_it(struct loaded *l)
{
    l->next_id = 1;
    tables_init(l->tables, &l->next_id, 8);
    assert_int_equal(ps_telemetry_load(l->temp.db, l->tables, table_of, NULL, &l->result), PS_OK);
}

static struct ps_series *loaded_series(struct loaded *l, const char *key)
{
    struct ps_uuid id = { { 0 } };
    id.bytes[15] = 1;
    struct ps_entity_series *entity = ps_series_table_find(&l->tables[table_of(&id, NULL)], &id);
    assert_non_null(entity);
    return ps_series_find(entity, key, strlen(key));
}

static size_t head_count(struct loaded *l, const struct ps_series *series)
{
    struct ps_series_copy copy;
    assert_int_equal(ps_series_copy_all(&l->tables[0], series, &copy), PS_OK);
    size_t count = copy.points.count;
    ps_series_copy_deinit(&copy);
    return count;
}

static void loaded_deinit(struct loaded *l)
{
    for (unsigned i = 0; i < TABLES; i++)
        ps_series_table_deinit(&l->tables[i]);
    temp_db_deinit(&l->temp);
}

/* Sealed rows may still be in the journal; they are not read. */
static void sealed_rows_are_not_read_again(void **state)
{
    (void)state;
    struct loaded l;
    struct ps_point latest;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, 1, "k", "NULL");
    insert_series(l.temp.db, 2, "idle", "NULL");
    insert_row(l.temp.db, 1, 1, (const int64_t[]){ 10, 20 }, 2);
    insert_row(l.temp.db, 2, 1, (const int64_t[]){ 30 }, 1);
    insert_row(l.temp.db, 3, 1, (const int64_t[]){ 25 }, 1);
    exec(l.temp.db, "INSERT INTO telemetry_state VALUES('sealed_seq', 2), ('next_series', 9)");
    exec(l.temp.db, "INSERT INTO telemetry_file VALUES(1, '2026-W01', 0, 100, 1, 0, 0)");
    exec(l.temp.db,
         "INSERT INTO telemetry_run VALUES(1, 1, 0, 1, 2, 3, 99, 10, 30, 0, 1, 1, NULL)");
    load_it(&l);
    assert_int_equal(l.result.sealed_seq, 2);
    assert_int_equal(l.result.last_seq, 3);
    assert_int_equal(l.result.points, 1);
    assert_int_equal(l.result.next_series, 9);
    assert_int_equal(head_count(&l, loaded_series(&l, "k")), 1);
    assert_int_equal(ps_series_latest(loaded_series(&l, "k"), 0, 0, &latest), PS_LATEST_UNKNOWN);
    assert_int_equal(ps_series_latest(loaded_series(&l, "idle"), 0, 0, &latest), PS_LATEST_UNKNOWN);
    loaded_deinit(&l);
}

static void a_journal_that_was_trimmed_keeps_its_numbers(void **state)
{
    (void)state;
    struct loaded l;
    temp_db_init(&l.temp);
    exec(l.temp.db, "INSERT INTO telemetry_state VALUES('sealed_seq', 77)");
    load_it(&l);
    assert_int_equal(l.result.last_seq, 77);
    loaded_deinit(&l);
}

/* Deletions act where they happened: on what came before, up to the record. */
static void deletions_among_the_rows_are_applied_in_their_place(void **state)
{
    (void)state;
    struct loaded l;
    struct ps_point latest;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, 1, "k", "NULL");
    insert_row(l.temp.db, 1, 1, (const int64_t[]){ 10, 20, 30 }, 3);
    insert_row(l.temp.db, 2, 1, (const int64_t[]){ 10, 20, 30 }, 3);
    exec(l.temp.db, "INSERT INTO tombstone VALUES(1, 1, 20, 31, 2, 2, 0)"); /* before the 3rd */
    load_it(&l);
    struct ps_series *series = loaded_series(&l, "k");
    assert_int_equal(head_count(&l, series), 3); /* twice 10, once 30 */
    /* What is the newest after a deletion is for the history to say, unless it is in the head. */
    assert_int_equal(ps_series_latest(series, 0, 0, &latest), PS_LATEST_KNOWN);
    assert_int_equal(latest.ts_ms, 30);
    assert_int_equal(latest.value.integer, 202);
    loaded_deinit(&l);
}

static void a_deletion_after_the_last_row_counts(void **state)
{
    (void)state;
    struct loaded l;
    struct ps_point latest;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, 1, "k", "NULL");
    insert_row(l.temp.db, 1, 1, (const int64_t[]){ 10, 20 }, 2);
    exec(l.temp.db, "INSERT INTO tombstone VALUES(1, 1, 15, 31, 2, 0, 0)");
    exec(l.temp.db, "INSERT INTO tombstone VALUES(2, 4000000000, 15, 31, 2, 0, 0)");
    load_it(&l);
    assert_int_equal(head_count(&l, loaded_series(&l, "k")), 1);
    assert_int_equal(ps_series_latest(loaded_series(&l, "k"), 0, 0, &latest), PS_LATEST_KNOWN);
    assert_int_equal(latest.ts_ms, 10);
    loaded_deinit(&l);
}

/* Ids that a counter cannot have reached cost neither memory nor the counter; a large one that can
 * be is fine. */
static void absurd_series_ids_do_no_harm(void **state)
{
    (void)state;
    struct loaded l;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, -5, "minus", "NULL");
    insert_series(l.temp.db, 0, "zero", "NULL");
    insert_series(l.temp.db, 3, "fine", "NULL");
    insert_series(l.temp.db, INT64_C(3000000000), "large", "NULL");
    insert_series(l.temp.db, UINT32_MAX, "greatest", "NULL");
    insert_series(l.temp.db, INT64_C(1) << 40, "beyond", "NULL");
    insert_row(l.temp.db, 1, 3000000000u, (const int64_t[]){ 10, 20 }, 2);
    insert_row(l.temp.db, 2, UINT32_MAX, (const int64_t[]){ 10, 20 }, 2);
    insert_row(l.temp.db, 3, 3, (const int64_t[]){ 10 }, 1);
    load_it(&l);
    assert_int_equal(l.result.damaged_series, 4);
    assert_int_equal(l.result.series, 2);
    assert_int_equal(l.result.next_series, 3000000001u);
    assert_int_equal(head_count(&l, loaded_series(&l, "large")), 2);
    assert_int_equal(head_count(&l, loaded_series(&l, "fine")), 1);
    assert_null(loaded_series(&l, "greatest"));
    loaded_deinit(&l);
}

static void a_floor_is_loaded(void **state)
{
    (void)state;
    struct loaded l;
    struct ps_point latest;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, 1, "k", "15");
    insert_row(l.temp.db, 1, 1, (const int64_t[]){ 10, 20 }, 2);
    load_it(&l);
    struct ps_series *series = loaded_series(&l, "k");
    assert_int_equal(ps_series_latest(series, 0, 0, &latest), PS_LATEST_UNKNOWN);
    struct ps_history history = { .db = l.temp.db };
    struct ps_series_copy copy;
    struct ps_series_newest newest;
    assert_int_equal(ps_series_copy_all(&l.tables[0], series, &copy), PS_OK);
    assert_int_equal(ps_history_newest(&history, &copy, &newest), PS_OK);
    ps_series_learn_latest(series, &newest);
    assert_int_equal(ps_series_latest(series, 0, 0, &latest), PS_LATEST_KNOWN);
    assert_int_equal(latest.ts_ms, 20);
    ps_series_newest_deinit(&newest);
    ps_series_copy_deinit(&copy);
    loaded_deinit(&l);
}

static int64_t newest_ms(struct loaded *l, const struct ps_series_copy *copy)
{
    struct ps_history history = { .db = l->temp.db };
    struct ps_series_newest newest;
    assert_int_equal(ps_history_newest(&history, copy, &newest), PS_OK);
    assert_int_equal(newest.points.count, 1);
    int64_t ts_ms = newest.points.points[0].ts_ms;
    ps_series_newest_deinit(&newest);
    return ts_ms;
}

static void a_pinned_value_has_its_time_to_live(void **state)
{
    (void)state;
    static const struct ttl_case {
        uint32_t own_s, default_s;
        int64_t now_ms;
        size_t found;
    } cases[] = {
        { 0, 0, INT64_MAX, 1 }, { 5, 0, 5029, 1 }, { 5, 0, 5030, 0 },
        { 0, 5, 5029, 1 },      { 0, 5, 5030, 0 }, { 9, 5, 9029, 1 },
    };
    struct loaded l;
    struct ps_series_copy copy;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, 1, "k", "NULL");
    load_it(&l);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_value value = { .type = PS_VALUE_LONG, .integer = 30 };
        struct ps_series_newest newest;
        struct ps_history history = { .db = l.temp.db,
                                      .default_ttl_s = cases[i].default_s,
                                      .now_ms = cases[i].now_ms };
        assert_int_equal(ps_latest_pin_keep(l.temp.db, 1, 30, &value, cases[i].own_s), PS_OK);
        assert_int_equal(ps_series_copy_all(&l.tables[0], loaded_series(&l, "k"), &copy), PS_OK);
        assert_int_equal(ps_history_newest(&history, &copy, &newest), PS_OK);
        assert_int_equal(newest.points.count, cases[i].found);
        if (newest.points.count)
            assert_int_equal(newest.ttl_s, cases[i].own_s);
        ps_series_newest_deinit(&newest);
        ps_series_copy_deinit(&copy);
    }
    loaded_deinit(&l);
}

/* The moment between a commit and when its shard has heard of it: what was hidden by the pin stays
 * hidden, for the point that ended it is there. */
static void the_point_that_ended_a_pin_is_seen_at_once(void **state)
{
    (void)state;
    struct loaded l;
    struct ps_series_copy copy;
    temp_db_init(&l.temp);
    insert_series(l.temp.db, 1, "k", "15");
    insert_row(l.temp.db, 1, 1, (const int64_t[]){ 5, 10 }, 2);
    load_it(&l);
    assert_int_equal(ps_series_copy_all(&l.tables[0], loaded_series(&l, "k"), &copy), PS_OK);
    assert_true(copy.pinned);
    insert_row(l.temp.db, 2, 1, (const int64_t[]){ 40 }, 1);
    exec(l.temp.db, "UPDATE series SET latest_floor_ms = NULL");
    assert_int_equal(newest_ms(&l, &copy), 40);
    copy.pinned = false; /* nothing to be careful about: as memory knows it */
    assert_int_equal(newest_ms(&l, &copy), 10);
    ps_series_copy_deinit(&copy);
    loaded_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_loaded_is_what_was_applied),
        cmocka_unit_test(an_empty_database_starts_with_series_one),
        cmocka_unit_test(damage_and_orphans_do_not_stop_the_start),
        cmocka_unit_test(sealed_rows_are_not_read_again),
        cmocka_unit_test(a_journal_that_was_trimmed_keeps_its_numbers),
        cmocka_unit_test(deletions_among_the_rows_are_applied_in_their_place),
        cmocka_unit_test(a_deletion_after_the_last_row_counts),
        cmocka_unit_test(absurd_series_ids_do_no_harm),
        cmocka_unit_test(a_floor_is_loaded),
        cmocka_unit_test(a_pinned_value_has_its_time_to_live),
        cmocka_unit_test(the_point_that_ended_a_pin_is_seen_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
