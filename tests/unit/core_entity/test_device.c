/* Devices: profiles by id, name or default; unique names; credentials from the first moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/entity/attribute.h"
#include "unit/core_entity/entity_world.h"

static void a_new_device_is_complete(void **state)
{
    struct entity_world *world = *state;
    struct ps_device device = { .tenant = world->tenant, .name = strdup("S1") };
    struct ps_credentials credentials;
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_OK);
    assert_string_equal(device.type, "default");
    assert_int_equal(device.version, 1);
    assert_true(ps_uuid_equal(&device.customer, &PS_UUID_NULL));
    assert_string_equal(device.device_data, "{\"configuration\":{\"type\":\"DEFAULT\"},"
                                            "\"transportConfiguration\":{\"type\":\"DEFAULT\"}}");
    assert_int_equal(ps_credentials_get(world->db, &device.id, &credentials), PS_OK);
    assert_int_equal(credentials.type, PS_CREDENTIALS_ACCESS_TOKEN);
    assert_int_equal(strlen(credentials.credentials_id), 20);
    assert_int_equal(strspn(credentials.credentials_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                        "abcdefghijklmnopqrstuvwxyz0123456789"),
                     20);
    assert_null(credentials.credentials_value);
    assert_int_equal(credentials.version, 1);
    ps_credentials_deinit(&credentials);
    ps_device_deinit(&device);
}

static void the_profile_is_by_id_else_by_name_else_the_default(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile profile = { .tenant = world->tenant,
                                         .name = strdup("mqtt only"),
                                         .transport_type = PS_TRANSPORT_MQTT };
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    struct ps_device device = { .tenant = world->tenant,
                                .name = strdup("S1"),
                                .type = strdup("meter"),
                                .profile = profile.id };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_OK);
    assert_string_equal(device.type, "mqtt only"); /* the id wins */
    assert_non_null(strstr(device.device_data, "{\"type\":\"MQTT\"}"));
    ps_device_deinit(&device);
    device = (struct ps_device){ .tenant = world->tenant,
                                 .name = strdup("S2"),
                                 .type = strdup("meter") };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_OK);
    assert_string_equal(device.type, "meter");
    struct ps_uuid made = device.profile;
    ps_device_deinit(&device);
    device = (struct ps_device){ .tenant = world->tenant,
                                 .name = strdup("S3"),
                                 .type = strdup("meter") };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_OK);
    assert_true(ps_uuid_equal(&device.profile, &made)); /* made once */
    ps_device_deinit(&device);

    device = (struct ps_device){ .tenant = world->tenant,
                                 .name = strdup("S4"),
                                 .profile = ps_uuid_random() };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data, "Device is referencing non existing device profile!");
    device.tenant = world_tenant(world, "Other");
    device.profile = profile.id; /* of the first tenant */
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_EINVAL);
    ps_device_deinit(&device);
    ps_device_profile_deinit(&profile);
}

static void a_refused_device_leaves_nothing_behind(void **state)
{
    struct entity_world *world = *state;
    (void)world_device(world, "S1", "S1TOK");
    int64_t profiles = world_count(world, "device_profile");
    struct ps_device device = { .tenant = world->tenant,
                                .name = strdup("S2"),
                                .type = strdup("new type") };
    struct ps_credentials credentials = { .credentials_id = strdup("S1TOK") };
    assert_int_equal(ps_device_save(world->db, &device, &credentials, &world->why), PS_EEXISTS);
    assert_string_equal(world->why.data,
                        "Device credentials are already assigned to another device!");
    assert_int_equal(world_count(world, "device"), 1);
    assert_int_equal(world_count(world, "device_profile"), profiles);
    free(credentials.credentials_id);
    credentials.credentials_id = strdup("a\tb");
    assert_int_equal(ps_device_save(world->db, &device, &credentials, &world->why), PS_EINVAL);
    ps_credentials_deinit(&credentials);
    ps_device_deinit(&device);
    device = (struct ps_device){ .tenant = world->tenant, .name = strdup("S1") };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_EEXISTS);
    assert_string_equal(world->why.data, "Device with such name already exists!");
    ps_device_deinit(&device);
    device = (struct ps_device){ .tenant = world->tenant };
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data, "Device name should be specified!");
    assert_int_equal(world_count(world, "device"), 1);
    assert_int_equal(world_count(world, "device_credentials"), 1);
    (void)world_device(world, "s1", NULL); /* case counts */
    ps_device_deinit(&device);
}

static void an_update_replaces_and_checks_the_version(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = world_device(world, "S1", "S1TOK");
    struct ps_device device, back;
    assert_int_equal(ps_device_get(world->db, &id, &device), PS_OK);
    device.label = strdup("label");
    device.customer = world_customer(world, "Customer");
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_OK);
    assert_int_equal(device.version, 2);
    device.version = 1;
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_ECONFLICT);
    device.version = 0;
    device.customer = ps_uuid_random();
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_EINVAL);
    device.customer = PS_UUID_NULL;
    struct ps_uuid tenant = device.tenant;
    device.tenant = world_tenant(world, "Other");
    device.profile = PS_UUID_NULL;
    assert_int_equal(ps_device_save(world->db, &device, NULL, &world->why), PS_ENOTFOUND);
    device.tenant = tenant;
    assert_int_equal(ps_device_get(world->db, &id, &back), PS_OK);
    assert_int_equal(back.version, 2);
    assert_string_equal(back.label, "label");
    ps_device_deinit(&back);
    ps_device_deinit(&device);
    assert_int_equal(world_count(world, "device_credentials WHERE credentials_id = 'S1TOK'"), 1);
}

static void an_identity_holds_what_a_session_needs(void **state)
{
    struct entity_world *world = *state;
    struct ps_rule_chain root;
    struct ps_device_profile profile = { .tenant = world->tenant,
                                         .name = strdup("gateways"),
                                         .transport_type = PS_TRANSPORT_MQTT };
    assert_int_equal(ps_rule_chain_get_root(world->db, &world->tenant, &root), PS_OK);
    profile.default_rule_chain = root.id;
    ps_rule_chain_deinit(&root);
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    struct ps_device device = { .tenant = world->tenant,
                                .name = strdup("G\xc3\xbc"),
                                .profile = profile.id,
                                .label = strdup("lab"),
                                .additional_info = strdup("{\"gateway\":true}") };
    struct ps_credentials credentials = { .credentials_id = strdup("TOK") };
    device.customer = world_customer(world, "Customer");
    assert_int_equal(ps_device_save(world->db, &device, &credentials, &world->why), PS_OK);

    struct ps_device_identity *by_token, *by_id;
    assert_int_equal(ps_credentials_find(world->db, "TOK", 3, &by_token), PS_OK);
    assert_int_equal(ps_device_identity_find(world->db, &device.id, &by_id), PS_OK);
    struct ps_device_identity *both[] = { by_token, by_id };
    for (size_t i = 0; i < 2; i++) {
        const struct ps_device_identity *identity = both[i];
        assert_true(ps_uuid_equal(&identity->device, &device.id));
        assert_true(ps_uuid_equal(&identity->tenant, &world->tenant));
        assert_true(ps_uuid_equal(&identity->customer, &device.customer));
        assert_true(ps_uuid_equal(&identity->profile, &profile.id));
        assert_true(ps_uuid_equal(&identity->default_rule_chain, &profile.default_rule_chain));
        assert_int_equal(identity->transport_type, PS_TRANSPORT_MQTT);
        assert_int_equal(identity->credentials_type, PS_CREDENTIALS_ACCESS_TOKEN);
        assert_true(identity->is_gateway);
        assert_string_equal(identity->name, "G\xc3\xbc");
        assert_int_equal(identity->name_len, 3);
        assert_string_equal(identity->label, "lab");
        assert_string_equal(identity->profile_name, "gateways");
        assert_int_equal(identity->profile_name_len, 8);
        assert_string_equal(identity->credentials_id, "TOK");
        assert_null(identity->credentials_value);
    }
    assert_ptr_equal(ps_device_identity_retain(by_id), by_id);
    ps_device_identity_release(by_id);
    ps_device_identity_release(by_id);
    ps_device_identity_release(by_token);
    ps_device_identity_release(NULL);
    static const char *const unknown[] = { "tok", "TOK ", "TO", "" };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(ps_credentials_find(world->db, unknown[i], strlen(unknown[i]), &by_token),
                         PS_ENOTFOUND);
    assert_int_equal(ps_credentials_find(world->db, "TOK\0", 4, &by_token), PS_ENOTFOUND);
    ps_device_deinit(&device);
    ps_credentials_deinit(&credentials);
    ps_device_profile_deinit(&profile);
}

static void lists_filter_and_show_infos(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid customer = world_customer(world, "Customer A");
    struct ps_uuid first = world_device(world, "Device 1", NULL);
    struct ps_uuid second = world_device(world, "Device 2", NULL);
    struct ps_device third = { .tenant = world->tenant,
                               .name = strdup("Device 3"),
                               .type = strdup("meter") };
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, second };
    struct ps_kv active = { .key = "active",
                            .key_len = 6,
                            .value = { .type = PS_VALUE_BOOLEAN, .boolean = true } };
    bool yes = true, no = false;
    assert_int_equal(ps_device_save(world->db, &third, NULL, &world->why), PS_OK);
    assert_int_equal(ps_device_assign(world->db, &first, &customer), PS_OK);
    assert_int_equal(ps_attribute_put(world->db, &entity, PS_SCOPE_SERVER, &active, 1), PS_OK);
    struct ps_uuid other = world_tenant(world, "Other");
    const struct {
        const char *name;
        struct ps_device_filter filter;
        const char *search;
        int64_t total;
        const char *first;
    } cases[] = {
        { "tenant", { .tenant = world->tenant }, NULL, 3, "Device 1" },
        { "other tenant", { .tenant = other }, NULL, 0, NULL },
        { "customer", { .tenant = world->tenant, .customer = customer }, NULL, 1, "Device 1" },
        { "profile", { .tenant = world->tenant, .profile = third.profile }, NULL, 1, "Device 3" },
        { "type", { .tenant = world->tenant, .type = "meter" }, NULL, 1, "Device 3" },
        { "no such type", { .tenant = world->tenant, .type = "Meter" }, NULL, 0, NULL },
        { "active", { .tenant = world->tenant, .active = &yes }, NULL, 1, "Device 2" },
        { "inactive", { .tenant = world->tenant, .active = &no }, NULL, 2, "Device 1" },
        { "search", { .tenant = world->tenant }, "CE 3", 1, "Device 3" },
        { "search type",
          { .tenant = world->tenant, .search_infos = true },
          "METER",
          1,
          "Device 3" },
        { "search customer",
          { .tenant = world->tenant, .search_infos = true },
          "omer a",
          1,
          "Device 1" },
        { "all at once",
          { .tenant = world->tenant, .customer = customer, .type = "default", .active = &no },
          "dev",
          1,
          "Device 1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_page_query page = { 10, 0, cases[i].search, "name", false };
        struct ps_device_list list;
        assert_int_equal(ps_device_list(world->db, &cases[i].filter, &page, &list), PS_OK);
        if (list.total != cases[i].total)
            print_error("%s\n", cases[i].name);
        assert_int_equal(list.total, cases[i].total);
        assert_int_equal(list.count, cases[i].total);
        if (cases[i].first)
            assert_string_equal(list.items[0].device.name, cases[i].first);
        ps_device_list_deinit(&list);
    }
    struct ps_device_info info;
    assert_int_equal(ps_device_get_info(world->db, &first, &info), PS_OK);
    assert_string_equal(info.customer_title, "Customer A");
    assert_false(info.customer_is_public);
    assert_false(info.active);
    ps_device_info_deinit(&info);
    assert_int_equal(ps_device_get_info(world->db, &second, &info), PS_OK);
    assert_null(info.customer_title);
    assert_true(info.active);
    ps_device_info_deinit(&info);
    ps_device_deinit(&third);
}

static void equal_rows_are_in_the_order_of_their_ids(void **state)
{
    struct entity_world *world = *state;
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%02d", i);
        (void)world_device(world, name, NULL);
    }
    for (int descending = 0; descending < 2; descending++) {
        struct ps_device_filter filter = { .tenant = world->tenant };
        struct ps_page_query page = { 100, 0, NULL, "label", descending };
        struct ps_device_list list;
        assert_int_equal(ps_device_list(world->db, &filter, &page, &list), PS_OK);
        assert_int_equal(list.count, 20);
        for (size_t i = 1; i < list.count; i++)
            assert_true(memcmp(&list.items[i - 1].device.id, &list.items[i].device.id, 16) < 0);
        ps_device_list_deinit(&list);
    }
}

static void a_deleted_device_leaves_only_its_journal(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = world_device(world, "S1", "TOK"), kept = world_device(world, "S2", NULL);
    struct ps_entity_id entities[] = { { PS_ENTITY_DEVICE, id }, { PS_ENTITY_DEVICE, kept } };
    struct ps_kv kv = { .key = "k", .key_len = 1, .value = { .type = PS_VALUE_LONG } };
    struct ps_device device;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(ps_attribute_put(world->db, &entities[i], PS_SCOPE_CLIENT, &kv, 1), PS_OK);
    assert_int_equal(ps_db_exec(world->db, "INSERT INTO journal(points) VALUES('x');"
                                           "INSERT INTO series(entity_type, entity, key)"
                                           " SELECT 6, id, 'k' FROM device"),
                     PS_OK);
    assert_int_equal(ps_device_delete(world->db, &id), PS_OK);
    assert_int_equal(ps_device_get(world->db, &id, &device), PS_ENOTFOUND);
    assert_int_equal(world_count(world, "device"), 1);
    assert_int_equal(world_count(world, "device_credentials"), 1);
    assert_int_equal(world_count(world, "attribute"), 1);
    assert_int_equal(world_count(world, "series"), 1);
    assert_int_equal(world_count(world, "journal"), 1);
    assert_int_equal(ps_device_delete(world->db, &id), PS_ENOTFOUND);
    (void)world_device(world, "S1", "TOK"); /* name and token are free again */
}

static void a_device_is_assigned_within_its_tenant(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = world_device(world, "S1", NULL), customer = world_customer(world, "C");
    struct ps_uuid unknown = ps_uuid_random();
    struct ps_device device;
    assert_int_equal(ps_device_assign(world->db, &id, &unknown), PS_EINVAL);
    assert_int_equal(ps_device_assign(world->db, &unknown, &customer), PS_ENOTFOUND);
    assert_int_equal(ps_device_assign(world->db, &id, &customer), PS_OK);
    assert_int_equal(ps_device_get(world->db, &id, &device), PS_OK);
    assert_true(ps_uuid_equal(&device.customer, &customer));
    ps_device_deinit(&device);
    assert_int_equal(ps_device_assign(world->db, &id, &PS_UUID_NULL), PS_OK);
    assert_int_equal(ps_device_find_by_name(world->db, &world->tenant, "S1", 2, &device), PS_OK);
    assert_true(ps_uuid_equal(&device.customer, &PS_UUID_NULL));
    assert_int_equal(device.version, 3);
    ps_device_deinit(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_new_device_is_complete),
        WORLD_TEST(the_profile_is_by_id_else_by_name_else_the_default),
        WORLD_TEST(a_refused_device_leaves_nothing_behind),
        WORLD_TEST(an_update_replaces_and_checks_the_version),
        WORLD_TEST(an_identity_holds_what_a_session_needs),
        WORLD_TEST(lists_filter_and_show_infos),
        WORLD_TEST(equal_rows_are_in_the_order_of_their_ids),
        WORLD_TEST(a_deleted_device_leaves_only_its_journal),
        WORLD_TEST(a_device_is_assigned_within_its_tenant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
