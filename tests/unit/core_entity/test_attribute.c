/* Attributes: every type comes back as it went in, in its scope. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/entity/attribute.h"
#include "unit/core_entity/entity_world.h"

#define KV(name, ...)                                                                              \
    {                                                                                              \
        .key = (name), .key_len = sizeof(name) - 1, .value = { __VA_ARGS__ }                       \
    }

static const struct ps_kv kvs[] = {
    KV("a false", .type = PS_VALUE_BOOLEAN, .boolean = false),
    KV("b true", .type = PS_VALUE_BOOLEAN, .boolean = true),
    KV("c long", .type = PS_VALUE_LONG, .integer = INT64_MIN),
    KV("d double", .type = PS_VALUE_DOUBLE, .real = 0.1),
    KV("e whole double", .type = PS_VALUE_DOUBLE, .real = 5.0),
    KV("f nan", .type = PS_VALUE_DOUBLE, .real = NAN),
    KV("g infinite", .type = PS_VALUE_DOUBLE, .real = -INFINITY),
    KV("h text", .type = PS_VALUE_STRING, .text = "5", .len = 1),
    KV("i empty", .type = PS_VALUE_STRING, .text = "", .len = 0),
    KV("j zero byte", .type = PS_VALUE_STRING, .text = "a\0b", .len = 3),
    KV("k json", .type = PS_VALUE_JSON, .text = "{\"a\":[1]}", .len = 9),
    KV("k\0l", .type = PS_VALUE_LONG, .integer = 1),
};
enum { COUNT = sizeof kvs / sizeof *kvs };

static void put_all(struct entity_world *world, const struct ps_entity_id *entity,
                    enum ps_attribute_scope scope)
{
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(ps_attribute_put(world->db, entity, scope, &kvs[i], 100 + (int64_t)i),
                         PS_OK);
}

static void every_type_comes_back(void **state)
{
    struct entity_world *world = *state;
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_attribute_list list = { 0 };
    enum ps_attribute_scope shared = PS_SCOPE_SHARED;
    put_all(world, &entity, PS_SCOPE_SHARED);
    assert_int_equal(ps_attribute_list(world->db, &entity, &shared, &list), PS_OK);
    assert_int_equal(list.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const struct ps_attribute *got = &list.items[i];
        size_t at = i == COUNT - 2 ? COUNT - 1 : i == COUNT - 1 ? COUNT - 2 : i; /* bytes order */
        assert_int_equal(got->scope, PS_SCOPE_SHARED);
        assert_int_equal(got->key_len, kvs[at].key_len);
        assert_memory_equal(got->key, kvs[at].key, got->key_len + 1);
        if (!ps_value_equal(&got->value, &kvs[at].value))
            print_error("%s\n", got->key);
        assert_true(ps_value_equal(&got->value, &kvs[at].value));
        assert_int_equal(got->updated_ms, 100 + at);
    }
    ps_attribute_list_deinit(&list);
}

static void a_value_is_replaced_with_its_type(void **state)
{
    struct entity_world *world = *state;
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_kv number = KV("k", .type = PS_VALUE_LONG, .integer = 5);
    struct ps_kv text = KV("k", .type = PS_VALUE_STRING, .text = "5", .len = 1);
    struct ps_kv null = KV("k", .type = PS_VALUE_NULL);
    struct ps_attribute_list list = { 0 };
    assert_int_equal(ps_attribute_put(world->db, &entity, PS_SCOPE_SERVER, &number, 1), PS_OK);
    assert_int_equal(ps_attribute_put(world->db, &entity, PS_SCOPE_SERVER, &text, 2), PS_OK);
    assert_int_equal(ps_attribute_put(world->db, &entity, PS_SCOPE_SERVER, &null, 3), PS_EINVAL);
    assert_int_equal(ps_attribute_list(world->db, &entity, NULL, &list), PS_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].value.type, PS_VALUE_STRING);
    assert_string_equal(list.items[0].value.text, "5");
    assert_int_equal(list.items[0].updated_ms, 2);
    ps_attribute_list_deinit(&list);
}

static void scopes_and_entities_do_not_mix(void **state)
{
    struct entity_world *world = *state;
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_entity_id other = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_attribute_list list = { 0 };
    put_all(world, &entity, PS_SCOPE_CLIENT);
    put_all(world, &entity, PS_SCOPE_SERVER);
    put_all(world, &other, PS_SCOPE_SERVER);
    assert_int_equal(ps_attribute_list(world->db, &entity, NULL, &list), PS_OK);
    assert_int_equal(list.count, 2 * COUNT);
    assert_int_equal(list.items[0].scope, PS_SCOPE_CLIENT);
    assert_int_equal(list.items[COUNT].scope, PS_SCOPE_SERVER);
    ps_attribute_list_deinit(&list);

    assert_int_equal(ps_attribute_get(world->db, &entity, PS_SCOPE_SHARED, "b true", 6, &list),
                     PS_OK);
    assert_int_equal(list.count, 0);
    for (int i = 0; i < 20; i++) /* appended one after the other */
        assert_int_equal(ps_attribute_get(world->db, &entity, PS_SCOPE_CLIENT, "b true", 6, &list),
                         PS_OK);
    assert_int_equal(list.count, 20);
    assert_true(list.items[19].value.boolean);
    ps_attribute_list_deinit(&list);

    assert_int_equal(ps_attribute_delete(world->db, &entity, PS_SCOPE_CLIENT, "b true", 6), PS_OK);
    assert_int_equal(ps_attribute_delete(world->db, &entity, PS_SCOPE_CLIENT, "b true", 6),
                     PS_ENOTFOUND);
    assert_int_equal(world_count(world, "attribute"), 3 * COUNT - 1);
    assert_int_equal(ps_attribute_delete_all(world->db, &entity), PS_OK);
    assert_int_equal(world_count(world, "attribute"), COUNT);
}

static void a_type_nobody_wrote_is_a_storage_error(void **state)
{
    struct entity_world *world = *state;
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, ps_uuid_random() };
    struct ps_attribute_list list = { 0 };
    put_all(world, &entity, PS_SCOPE_CLIENT);
    assert_int_equal(ps_db_exec(world->db, "UPDATE attribute SET type = 99 WHERE key = 'k json'"),
                     PS_OK);
    assert_int_equal(ps_attribute_list(world->db, &entity, NULL, &list), PS_ESTORE);
    ps_attribute_list_deinit(&list);
}

static void scopes_have_their_names(void **state)
{
    (void)state;
    enum ps_attribute_scope scope;
    assert_int_equal(ps_attribute_scope_parse("SHARED_SCOPE", 12, &scope), PS_OK);
    assert_int_equal(scope, PS_SCOPE_SHARED);
    assert_int_equal(ps_attribute_scope_parse("shared_scope", 12, &scope), PS_EINVAL);
    assert_int_equal(ps_attribute_scope_parse("BAD_SCOPE", 9, &scope), PS_EINVAL);
    assert_string_equal(ps_attribute_scope_name(PS_SCOPE_CLIENT), "CLIENT_SCOPE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(every_type_comes_back),
        WORLD_TEST(a_value_is_replaced_with_its_type),
        WORLD_TEST(scopes_and_entities_do_not_mix),
        WORLD_TEST(a_type_nobody_wrote_is_a_storage_error),
        cmocka_unit_test(scopes_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
