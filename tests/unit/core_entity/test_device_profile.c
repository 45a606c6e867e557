/* Device profiles: defaults, unique names and keys, one default, none deleted that is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/core_entity/entity_world.h"

static struct ps_device_profile make(struct entity_world *world, const char *name)
{
    struct ps_device_profile profile = { .tenant = world->tenant, .name = strdup(name) };
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    return profile;
}

static void what_is_missing_gets_the_default_shape(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile profile = { .tenant = world->tenant,
                                         .name = strdup("coap"),
                                         .transport_type = PS_TRANSPORT_COAP };
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    assert_string_equal(profile.provision_type, "DISABLED");
    assert_non_null(strstr(profile.profile_data, "\"transportConfiguration\":{\"type\":\"COAP\"}"));
    assert_false(profile.is_default);
    ps_device_profile_deinit(&profile);
}

static void names_and_provision_keys_are_unique(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile first = make(world, "a");
    first.provision_device_key = strdup("key");
    assert_int_equal(ps_device_profile_save(world->db, &first, &world->why), PS_OK);
    assert_int_equal(first.version, 2);
    struct ps_device_profile second = { .tenant = world->tenant, .name = strdup("a") };
    assert_int_equal(ps_device_profile_save(world->db, &second, &world->why), PS_EEXISTS);
    assert_string_equal(world->why.data, "Device profile with such name already exists!");
    free(second.name);
    second.name = strdup("b");
    second.tenant = world_tenant(world, "Other");
    second.provision_device_key = strdup("key"); /* over the whole installation */
    assert_int_equal(ps_device_profile_save(world->db, &second, &world->why), PS_EEXISTS);
    assert_non_null(strstr(world->why.data, "provision device key"));
    ps_device_profile_deinit(&first);
    ps_device_profile_deinit(&second);
}

static void the_rule_chain_must_be_the_tenants(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid other = world_tenant(world, "Other");
    struct ps_rule_chain foreign;
    struct ps_device_profile profile = make(world, "a");
    assert_int_equal(ps_rule_chain_get_root(world->db, &other, &foreign), PS_OK);
    profile.default_rule_chain = foreign.id;
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_EINVAL);
    ps_rule_chain_deinit(&foreign);
    ps_device_profile_deinit(&profile);
}

static void there_is_always_one_default(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile profile = make(world, "a"), found;
    struct ps_uuid unknown = ps_uuid_random();
    assert_int_equal(ps_device_profile_get_default(world->db, &world->tenant, &found), PS_OK);
    struct ps_uuid before = found.id;
    assert_int_equal(ps_device_profile_delete(world->db, &before, &world->why), PS_EINVAL);
    ps_device_profile_deinit(&found);
    assert_int_equal(ps_device_profile_set_default(world->db, &unknown), PS_ENOTFOUND);
    assert_int_equal(world_count(world, "device_profile WHERE is_default = 1"), 1);
    assert_int_equal(ps_device_profile_set_default(world->db, &profile.id), PS_OK);
    assert_int_equal(ps_device_profile_set_default(world->db, &profile.id), PS_OK);
    assert_int_equal(ps_device_profile_get_default(world->db, &world->tenant, &found), PS_OK);
    assert_true(ps_uuid_equal(&found.id, &profile.id));
    assert_int_equal(found.version, 2);
    ps_device_profile_deinit(&found);
    assert_int_equal(ps_device_profile_delete(world->db, &before, &world->why), PS_OK);
    ps_device_profile_deinit(&profile);
}

static void a_profile_in_use_stays(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile profile = make(world, "a");
    struct ps_device device = { .tenant = world->tenant,
                                .name = strdup("S1"),
                                .profile = profile.id };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_OK);
    assert_int_equal(ps_device_profile_delete(world->db, &profile.id, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data,
                        "The device profile referenced by the devices cannot be deleted!");
    assert_int_equal(ps_device_delete(world->db, &device.id), PS_OK);
    assert_int_equal(ps_device_profile_delete(world->db, &profile.id, &world->why), PS_OK);
    assert_int_equal(ps_device_profile_delete(world->db, &profile.id, &world->why), PS_ENOTFOUND);
    ps_device_deinit(&device);
    ps_device_profile_deinit(&profile);
}

static void renaming_renames_the_type_of_its_devices(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = world_device(world, "S1", NULL);
    struct ps_device_profile profile;
    struct ps_device device;
    assert_int_equal(ps_device_profile_get_default(world->db, &world->tenant, &profile), PS_OK);
    free(profile.name);
    profile.name = strdup("renamed");
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    assert_true(profile.is_default);
    assert_int_equal(ps_device_get(world->db, &id, &device), PS_OK);
    assert_string_equal(device.type, "renamed");
    ps_device_deinit(&device);
    ps_device_profile_deinit(&profile);
}

static void lists_filter_by_transport_and_use(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile profile = make(world, "a");
    (void)world_device(world, "S1", NULL);
    profile.transport_type = PS_TRANSPORT_MQTT;
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    enum ps_transport_type mqtt = PS_TRANSPORT_MQTT;
    struct ps_device_profile_filter filter = { .tenant = world->tenant };
    struct ps_page_query page = { .page_size = 10, .sort_property = "name" };
    struct ps_device_profile_list list;
    assert_int_equal(ps_device_profile_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 2);
    ps_device_profile_list_deinit(&list);
    filter.transport_type = &mqtt;
    assert_int_equal(ps_device_profile_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 1);
    assert_string_equal(list.items[0].name, "a");
    ps_device_profile_list_deinit(&list);
    filter = (struct ps_device_profile_filter){ .tenant = world->tenant, .in_use = true };
    assert_int_equal(ps_device_profile_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 1);
    assert_string_equal(list.items[0].name, "default");
    ps_device_profile_list_deinit(&list);
    ps_device_profile_deinit(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_is_missing_gets_the_default_shape),
        WORLD_TEST(names_and_provision_keys_are_unique),
        WORLD_TEST(the_rule_chain_must_be_the_tenants),
        WORLD_TEST(there_is_always_one_default),
        WORLD_TEST(a_profile_in_use_stays),
        WORLD_TEST(renaming_renames_the_type_of_its_devices),
        WORLD_TEST(lists_filter_by_transport_and_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
