/* Dead letters: kept byte for byte, listed by tenant, the oldest leave first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/entity/dead_letter.h"
#include "unit/core_entity/entity_world.h"

static void put(struct entity_world *world, const struct ps_uuid *tenant, const char *error)
{
    struct ps_dead_letter letter = {
        .tenant = *tenant,
        .created_ms = 1000,
        .originator = { PS_ENTITY_DEVICE, ps_uuid_random() },
        .msg_type = "POST_TELEMETRY_REQUEST",
        .msg_type_len = 22,
        .data = "\xff\0{}",
        .data_len = 4,
        .metadata = "{}",
        .metadata_len = 2,
        .error = error,
        .error_len = strlen(error),
        .chain = ps_uuid_random(),
        .node = PS_UUID_NULL,
        .attempts = 3,
    };
    assert_int_equal(ps_dead_letter_put(world->db, &letter), PS_OK);
}

static void a_letter_comes_back_as_it_was(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid other = ps_uuid_random();
    put(world, &world->tenant, "script failed");
    put(world, &other, "another tenant's");
    struct ps_page_query page = { .page_size = 10 };
    struct ps_dead_letter_list list;
    assert_int_equal(ps_dead_letter_list(world->db, &world->tenant, &page, &list), PS_OK);
    assert_int_equal(list.total, 1);
    const struct ps_dead_letter *letter = &list.items[0];
    assert_int_equal(letter->created_ms, 1000);
    assert_int_equal(letter->originator.type, PS_ENTITY_DEVICE);
    assert_string_equal(letter->msg_type, "POST_TELEMETRY_REQUEST");
    assert_int_equal(letter->data_len, 4);
    assert_memory_equal(letter->data, "\xff\0{}", 4);
    assert_string_equal(letter->metadata, "{}");
    assert_string_equal(letter->error, "script failed");
    assert_false(ps_uuid_is_null(&letter->chain));
    assert_true(ps_uuid_equal(&letter->node, &PS_UUID_NULL));
    assert_int_equal(letter->attempts, 3);
    assert_int_equal(ps_dead_letter_delete(world->db, &other, letter->id), PS_ENOTFOUND);
    assert_int_equal(ps_dead_letter_delete(world->db, &world->tenant, letter->id), PS_OK);
    assert_int_equal(ps_dead_letter_delete(world->db, &world->tenant, letter->id), PS_ENOTFOUND);
    ps_dead_letter_list_deinit(&list);
    assert_int_equal(world_count(world, "dead_letter"), 1);
}

static void the_oldest_leave_when_there_are_too_many(void **state)
{
    struct entity_world *world = *state;
    int64_t deleted = -1;
    for (int i = 0; i < 10; i++)
        put(world, &world->tenant, "1234"); /* 4 + 2 + 4 bytes each */
    assert_int_equal(ps_dead_letter_trim(world->db, 100, &deleted), PS_OK);
    assert_int_equal(deleted, 0);
    assert_int_equal(ps_dead_letter_trim(world->db, 59, &deleted), PS_OK);
    assert_int_equal(deleted, 5);
    assert_int_equal(temp_db_number(world->db, "SELECT min(id) FROM dead_letter"), 6);
    assert_int_equal(ps_dead_letter_trim(world->db, 0, &deleted), PS_OK);
    assert_int_equal(deleted, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_letter_comes_back_as_it_was),
        WORLD_TEST(the_oldest_leave_when_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
