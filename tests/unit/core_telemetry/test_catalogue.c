/* The catalogue answers what is in the table of series, in whatever order it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/telemetry/catalogue.h"
#include "unit/core_storage/temp_db.h"

enum { IDS = 3000 };

/* Some in a row, then holes of all sizes. */
static bool is_there(uint32_t id)
{
    return id > 0 && id < IDS && (id < 500 || id % 97 < 12 || id > 2900) && id % 31 != 7;
}

static void world_init(struct temp_db *temp, struct ps_catalogue *catalogue)
{
    struct ps_text why;
    temp_db_init(temp);
    assert_int_equal(ps_db_begin(temp->db), PS_OK);
    for (uint32_t id = 1; id < IDS; id++) {
        struct ps_stmt *stmt;
        struct ps_uuid entity = { { 0 } };
        char key[16];
        if (!is_there(id))
            continue;
        memcpy(entity.bytes, &id, sizeof id);
        snprintf(key, sizeof key, "key %u", id);
        assert_int_equal(ps_db_prepare(temp->db,
                                       "INSERT INTO series(id, entity_type, entity, key)"
                                       " VALUES(?, ?, ?, ?)",
                                       &stmt),
                         PS_OK);
        ps_stmt_bind_int(stmt, 1, id);
        ps_stmt_bind_int(stmt, 2, 1 + id % 6);
        ps_stmt_bind_uuid(stmt, 3, &entity);
        ps_stmt_bind_cstr(stmt, 4, key);
        assert_int_equal(ps_stmt_run(stmt), PS_OK);
    }
    assert_int_equal(ps_db_commit(temp->db), PS_OK);
    *catalogue = (struct ps_catalogue){ 0 };
    assert_int_equal(ps_db_open(temp->path, PS_DB_READER, &catalogue->db, &why), PS_OK);
}

static void world_deinit(struct temp_db *temp, struct ps_catalogue *catalogue)
{
    ps_catalogue_rest(catalogue);
    assert_false(ps_db_in_transaction(catalogue->db));
    ps_db_close(catalogue->db);
    temp_db_deinit(temp);
}

static void ask(struct ps_catalogue *catalogue, uint32_t id, bool want)
{
    struct ps_run_series series;
    char key[16];
    enum ps_status st = ps_catalogue_describe(catalogue, id, &series);
    if (st != (want ? PS_OK : PS_ENOTFOUND)) {
        print_error("series %u: %s\n", id, ps_status_text(st));
        fail();
    }
    if (!want)
        return;
    snprintf(key, sizeof key, "key %u", id);
    assert_int_equal(series.id, id);
    assert_int_equal(series.entity.type, 1 + id % 6);
    assert_memory_equal(series.entity.id.bytes, &id, sizeof id);
    assert_int_equal(series.key_len, strlen(key));
    assert_memory_equal(series.key, key, series.key_len);
}

static void every_order_of_questions_gives_the_same_answers(void **state)
{
    (void)state;
    struct temp_db temp;
    struct ps_catalogue catalogue;
    unsigned seed = 1;
    world_init(&temp, &catalogue);
    for (uint32_t step = 1; step < 400; step += 1 + step / 2) {
        for (uint32_t id = 0; id < IDS + 500; id += step)
            ask(&catalogue, id, is_there(id));
    }
    ask(&catalogue, UINT32_MAX, false);
    for (uint32_t id = IDS + 5; id > 0; id--)
        ask(&catalogue, id, is_there(id));
    for (int i = 0; i < 5000; i++) {
        uint32_t id = (uint32_t)rand_r(&seed) % (IDS + 100);
        ask(&catalogue, id, is_there(id));
        ask(&catalogue, id, is_there(id));
        if (i % 10 == 0)
            ps_catalogue_rest(&catalogue);
    }
    world_deinit(&temp, &catalogue);
}

static void answers_are_of_one_snapshot_until_a_rest(void **state)
{
    (void)state;
    struct temp_db temp;
    struct ps_catalogue catalogue;
    world_init(&temp, &catalogue);
    ask(&catalogue, 1, true);
    assert_int_equal(ps_db_exec(temp.db, "DELETE FROM series WHERE id IN (2, 2950)"), PS_OK);
    ask(&catalogue, 2, true);
    ask(&catalogue, 2950, true);
    ps_catalogue_rest(&catalogue);
    assert_false(ps_db_in_transaction(catalogue.db));
    ask(&catalogue, 2, false);
    ask(&catalogue, 2950, false);
    world_deinit(&temp, &catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_questions_gives_the_same_answers),
        cmocka_unit_test(answers_are_of_one_snapshot_until_a_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
