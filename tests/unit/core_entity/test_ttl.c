/* How long points are kept by default: the device profile's word, the tenant profile's, ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/entity/ttl.h"
#include "unit/core_entity/entity_world.h"

enum { CONFIG_S = 77, DAY_S = 86400 };

static void exec(struct entity_world *world, const char *sql)
{
    assert_int_equal(ps_db_exec(world->db, sql), PS_OK);
}

/* `days` is JSON text, put where the profile keeps its default; NULL: the profile is no JSON. */
static void profile_says(struct entity_world *world, const char *table, const char *days)
{
    char sql[256];
    if (days)
        snprintf(sql, sizeof sql,
                 "UPDATE %s SET profile_data ="
                 " '{\"configuration\":{\"defaultStorageTtlDays\":%s}}'",
                 table, days);
    else
        snprintf(sql, sizeof sql, "UPDATE %s SET profile_data = 'no json'", table);
    exec(world, sql);
}

static uint32_t default_of(struct entity_world *world, const struct ps_entity_id *entity)
{
    uint32_t ttl_s = 12345;
    assert_int_equal(ps_ttl_default(world->db, entity, CONFIG_S, &ttl_s), PS_OK);
    return ttl_s;
}

static const struct said_case {
    const char *name, *device, *tenant;
    uint32_t of_device, of_tenant;
} said_cases[] = {
    { "nobody says", "0", "0", CONFIG_S, CONFIG_S },
    { "the tenant's profile", "0", "3", 3 * DAY_S, 3 * DAY_S },
    { "the device's profile goes first", "2", "3", 2 * DAY_S, 3 * DAY_S },
    { "the device's profile alone", "2", "0", 2 * DAY_S, CONFIG_S },
    { "a hundred years", "36500", "36499", 36500u * DAY_S, 36499u * DAY_S },
    { "more is for ever", "36501", "9223372036854775807", 0, 0 },
    { "nothing below 1", "-1", "-9223372036854775808", CONFIG_S, CONFIG_S },
    { "no whole number", "1.5", "\"4\"", CONFIG_S, CONFIG_S },
    { "null", "null", "[1]", CONFIG_S, CONFIG_S },
    { "0 and more members", "0,\"x\":\"\\u0064\"", "0,\"defaultStorageTtlDays\":2", 2 * DAY_S,
      2 * DAY_S },
    { "0 of something else", "0},\"configuration2\":{\"defaultStorageTtlDays\":9", "0.0", CONFIG_S,
      CONFIG_S },
    { "no JSON", NULL, NULL, CONFIG_S, CONFIG_S },
};

static void the_nearest_profile_that_says_something_decides(void **state)
{
    struct entity_world *world = *state;
    struct ps_entity_id device = { PS_ENTITY_DEVICE, world_device(world, "D", NULL) };
    struct ps_entity_id customer = { PS_ENTITY_CUSTOMER, world_customer(world, "C") };
    struct ps_entity_id tenant = { PS_ENTITY_TENANT, world->tenant };
    struct ps_entity_id nobody = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_entity_id no_table = { PS_ENTITY_ALARM, ps_uuid_random() };
    for (size_t i = 0; i < sizeof said_cases / sizeof *said_cases; i++) {
        const struct said_case *c = &said_cases[i];
        profile_says(world, "device_profile", c->device);
        profile_says(world, "tenant_profile", c->tenant);
        if (default_of(world, &device) != c->of_device ||
            default_of(world, &customer) != c->of_tenant ||
            default_of(world, &tenant) != c->of_tenant)
            fail_msg("%s", c->name);
        assert_int_equal(default_of(world, &nobody), CONFIG_S);
        assert_int_equal(default_of(world, &no_table), CONFIG_S);
    }
}

/* However the member is written. */
static void the_text_of_a_profile_may_have_any_form(void **state)
{
    static const char *const said[] = {
        "{\"configuration\":{\"defaultStorageTtlDays\":3}}",
        "{ \"configuration\" : { \"defaultStorageTtlDays\" : 3 } }",
        "{\"configuration\":{\"\\u0064efaultStorageTtlDays\":3}}",
        "{\"a\":{\"defaultStorageTtlDays\":0},\"configuration\":{\"defaultStorageTtlDays\":3}}",
        "{\"configuration\":{\"defaultStorageTtlDays\":3},\"b\":{\"defaultStorageTtlDays\":0}}",
    };
    static const char *const unsaid[] = {
        "",
        "{}",
        "{\"configuration\":{\"defaultStorageTtlDays\":0}}",
        "{\"configuration\":{\"defaultStorageTtlDays\":0,\"x\":1}}",
        "{\"configuration\":{\"defaultStorageTtlDays\":0 }}",
        "{\"configuration\":{\"defaultStorageTtlDays\"",
        "{\"configuration\":{\"defaultStorageTtlDays\":",
        "{\"configuration\":{\"defaultStorageTtlDays\":0",
        "{\"defaultStorageTtlDays\":3}",
        "[3]",
    };
    struct entity_world *world = *state;
    struct ps_entity_id tenant = { PS_ENTITY_TENANT, world->tenant };
    for (size_t i = 0; i < 15; i++) {
        struct ps_stmt *stmt;
        assert_int_equal(
            ps_db_prepare(world->db, "UPDATE tenant_profile SET profile_data = ?", &stmt), PS_OK);
        ps_stmt_bind_cstr(stmt, 1, i < 5 ? said[i] : unsaid[i - 5]);
        assert_int_equal(ps_stmt_run(stmt), PS_OK);
        if (default_of(world, &tenant) != (i < 5 ? 3 * DAY_S : CONFIG_S))
            fail_msg("%s", i < 5 ? said[i] : unsaid[i - 5]);
    }
}

static void add_series(struct entity_world *world, int64_t id, const struct ps_entity_id *entity)
{
    struct ps_stmt *stmt;
    assert_int_equal(ps_db_prepare(world->db,
                                   "INSERT INTO series (id, entity_type, entity, key)"
                                   " VALUES (?, ?, ?, 'key' || ?)",
                                   &stmt),
                     PS_OK);
    ps_stmt_bind_int(stmt, 1, id);
    ps_stmt_bind_int(stmt, 2, entity->type);
    ps_stmt_bind_uuid(stmt, 3, &entity->id);
    ps_stmt_bind_int(stmt, 4, id);
    assert_int_equal(ps_stmt_run(stmt), PS_OK);
}

static void check_table(struct ps_ttl_table *table, const int64_t *wanted, uint32_t count)
{
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++) { /* up, down, up again */
            uint32_t series = round == 1 ? count - 1 - i : i, ttl_s = 999;
            bool found = ps_ttl_table_find(table, series, &ttl_s);
            assert_int_equal(found, wanted[series] >= 0);
            assert_int_equal(ttl_s, found ? wanted[series] : 999);
        }
    }
}

static void the_table_tells_the_same_of_every_series(void **state)
{
    struct entity_world *world = *state;
    struct ps_ttl_table table = { 0 };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, world_device(world, "D", NULL) };
    struct ps_entity_id customer = { PS_ENTITY_CUSTOMER, world_customer(world, "C") };
    struct ps_entity_id gone = { PS_ENTITY_DEVICE, ps_uuid_random() };
    assert_int_equal(ps_ttl_table_load(world->db, CONFIG_S, &table), PS_OK);
    check_table(&table, (int64_t[]){ -1, -1 }, 2); /* an empty catalogue */
    assert_int_equal(table.most_s, 0);
    add_series(world, 2, &device);
    add_series(world, 3, &device);
    add_series(world, 5, &customer);
    add_series(world, 6, &device);
    add_series(world, 9, &gone);
    assert_int_equal(ps_ttl_table_load(world->db, CONFIG_S, &table), PS_OK);
    check_table(
        &table,
        (int64_t[]){ -1, -1, CONFIG_S, CONFIG_S, -1, CONFIG_S, CONFIG_S, -1, -1, CONFIG_S, -1, -1 },
        12);
    assert_int_equal(table.least_s, CONFIG_S);
    assert_int_equal(table.most_s, CONFIG_S);
    profile_says(world, "device_profile", "2");
    profile_says(world, "tenant_profile", "36501");
    assert_int_equal(ps_ttl_table_load(world->db, CONFIG_S, &table), PS_OK);
    const int64_t day2 = 2 * DAY_S;
    check_table(&table, (int64_t[]){ -1, -1, day2, day2, -1, 0, day2, -1, -1, CONFIG_S, -1, -1 },
                12);
    assert_int_equal(table.least_s, CONFIG_S);
    assert_int_equal(table.most_s, 0); /* the customer's are kept for ever */
    ps_ttl_table_deinit(&table);
}

static void many_series_are_found(void **state)
{
    enum { SERIES = 5000 };
    struct entity_world *world = *state;
    struct ps_ttl_table table = { 0 };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, world_device(world, "D", NULL) };
    profile_says(world, "device_profile", "1");
    exec(world, "BEGIN");
    for (int64_t i = 0; i < SERIES; i++)
        add_series(world, 3 * i + 1, &device);
    exec(world, "COMMIT");
    assert_int_equal(ps_ttl_table_load(world->db, 0, &table), PS_OK);
    assert_int_equal(table.count, SERIES);
    for (uint32_t i = 0; i < 3 * SERIES; i++) {
        uint32_t ttl_s = 0;
        assert_int_equal(ps_ttl_table_find(&table, i, &ttl_s), i % 3 == 1);
        assert_int_equal(ttl_s, i % 3 == 1 ? DAY_S : 0);
    }
    assert_int_equal(table.most_s, DAY_S);
    ps_ttl_table_deinit(&table);
}

/* A mark in the first entry is gone once everything was read anew. */
enum { MARK = 4711 };

struct refresh {
    struct entity_world *world;
    struct ps_db *db; /* one that changes nothing itself */
    struct ps_ttl_table table;
};

static void check_refresh(struct refresh *r, const char *after, bool anew, size_t count)
{
    r->table.entries[0].ttl_s = MARK;
    assert_int_equal(ps_ttl_table_refresh(r->db, CONFIG_S, &r->table), PS_OK);
    if (anew != (r->table.entries[0].ttl_s != MARK) || r->table.count != count)
        fail_msg("%s: %zu entries, %s", after, r->table.count,
                 anew ? "not read anew" : "read anew");
}

static void only_what_may_have_changed_is_read_again(void **state)
{
    struct entity_world *world = *state;
    struct refresh r = { .world = world };
    struct ps_text why = { "" };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, world_device(world, "D", NULL) };
    struct ps_entity_id customer = { PS_ENTITY_CUSTOMER, world_customer(world, "C") };
    uint32_t ttl_s = 0;
    assert_int_equal(ps_db_open(world->temp.path, PS_DB_READER, &r.db, &why), PS_OK);
    add_series(world, 1, &device);
    add_series(world, 5, &customer);
    assert_int_equal(ps_ttl_table_refresh(r.db, CONFIG_S, &r.table), PS_OK);
    check_refresh(&r, "nothing", false, 2);
    exec(world, "INSERT INTO journal VALUES(1, x'00')");
    check_refresh(&r, "points", false, 2);
    add_series(world, 6, &device);
    add_series(world, 8, &customer);
    check_refresh(&r, "series", false, 4);
    assert_true(ps_ttl_table_find(&r.table, 8, &ttl_s));
    assert_int_equal(ttl_s, CONFIG_S);
    exec(world, "DELETE FROM series WHERE id = 6");
    check_refresh(&r, "a series gone", true, 3);
    exec(world, "DELETE FROM series WHERE id = 5");
    add_series(world, 9, &device);
    check_refresh(&r, "one gone, one come", true, 3);
    add_series(world, 7, &device);
    check_refresh(&r, "one that comes late", true, 4);
    profile_says(world, "device_profile", "2");
    check_refresh(&r, "a profile", true, 4);
    assert_true(ps_ttl_table_find(&r.table, 1, &ttl_s));
    assert_int_equal(ttl_s, 2 * DAY_S);
    check_refresh(&r, "nothing", false, 4);
    exec(world, "INSERT INTO journal VALUES(2, x'00')");
    check_refresh(&r, "anything, with a profile that says something", true, 4);
    profile_says(world, "device_profile", "0");
    check_refresh(&r, "a profile that says nothing any more", true, 4);
    profile_says(world, "tenant_profile", "3");
    check_refresh(&r, "a tenant's profile", true, 4);
    profile_says(world, "tenant_profile", "0");
    check_refresh(&r, "that one, too", true, 4);
    r.table.entries[0].ttl_s = MARK;
    assert_int_equal(ps_ttl_table_refresh(r.db, CONFIG_S + 1, &r.table), PS_OK);
    assert_int_equal(r.table.entries[0].ttl_s, CONFIG_S + 1);
    ps_ttl_table_deinit(&r.table);
    ps_db_close(r.db);
}

static void a_broken_database_is_told(void **state)
{
    struct entity_world *world = *state;
    struct ps_ttl_table table = { 0 };
    struct ps_entity_id device = { PS_ENTITY_DEVICE, world_device(world, "D", NULL) };
    uint32_t ttl_s = 5;
    add_series(world, 1, &device);
    assert_int_equal(ps_ttl_table_load(world->db, 0, &table), PS_OK);
    exec(world, "PRAGMA foreign_keys = 0");
    exec(world, "DROP TABLE tenant_profile");
    assert_int_equal(ps_ttl_default(world->db, &device, 1, &ttl_s), PS_ESTORE);
    assert_int_equal(ttl_s, 5);
    assert_int_equal(ps_ttl_table_load(world->db, 0, &table), PS_ESTORE);
    assert_false(ps_ttl_table_find(&table, 1, &ttl_s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_nearest_profile_that_says_something_decides),
        WORLD_TEST(the_text_of_a_profile_may_have_any_form),
        WORLD_TEST(the_table_tells_the_same_of_every_series),
        WORLD_TEST(many_series_are_found),
        WORLD_TEST(only_what_may_have_changed_is_read_again),
        WORLD_TEST(a_broken_database_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
