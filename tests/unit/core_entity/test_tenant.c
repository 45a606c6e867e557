/* Tenants and customers: what a new one comes with, saving, lists, and what goes with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/entity/attribute.h"
#include "unit/core_entity/entity_world.h"

static void a_new_tenant_has_a_default_profile_and_a_root_chain(void **state)
{
    struct entity_world *world = *state;
    struct ps_device_profile profile;
    struct ps_rule_chain chain;
    struct ps_tenant tenant;
    assert_int_equal(ps_tenant_get(world->db, &world->tenant, &tenant), PS_OK);
    assert_string_equal(tenant.title, "Acme");
    assert_string_equal(tenant.profile_name, "Default");
    assert_int_equal(tenant.version, 1);
    assert_true(tenant.created_ms > 0);
    assert_null(tenant.contact.country);
    ps_tenant_deinit(&tenant);
    assert_int_equal(ps_device_profile_get_default(world->db, &world->tenant, &profile), PS_OK);
    assert_string_equal(profile.name, "default");
    assert_true(profile.is_default);
    assert_true(ps_uuid_equal(&profile.default_rule_chain, &PS_UUID_NULL));
    ps_device_profile_deinit(&profile);
    assert_int_equal(ps_rule_chain_get_root(world->db, &world->tenant, &chain), PS_OK);
    assert_string_equal(chain.name, "Root Rule Chain");
    ps_rule_chain_deinit(&chain);
}

static void saving_replaces_everything_and_counts_versions(void **state)
{
    struct entity_world *world = *state;
    struct ps_tenant tenant, back;
    assert_int_equal(ps_tenant_get(world->db, &world->tenant, &tenant), PS_OK);
    int64_t created_ms = tenant.created_ms;
    tenant.contact.city = strdup("K\xc3\xb6ln");
    tenant.region = strdup("Global");
    tenant.additional_info = strdup("{\"a\":1}");
    tenant.created_ms = 5; /* not the caller's to say */
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_OK);
    assert_int_equal(tenant.version, 2);
    assert_true(tenant.created_ms == created_ms);
    assert_int_equal(ps_tenant_get(world->db, &world->tenant, &back), PS_OK);
    assert_string_equal(back.contact.city, "K\xc3\xb6ln");
    assert_string_equal(back.region, "Global");
    assert_string_equal(back.additional_info, "{\"a\":1}");
    ps_tenant_deinit(&back);
    tenant.version = 1;
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_ECONFLICT);
    assert_string_equal(world->why.data, "Tenant was already changed by someone else");
    tenant.version = 0; /* absent: overwrite */
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_OK);
    assert_int_equal(tenant.version, 3);
    tenant.id = ps_uuid_random();
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_ENOTFOUND);
    ps_tenant_deinit(&tenant);
}

static void names_are_checked(void **state)
{
    struct entity_world *world = *state;
    struct ps_tenant tenant = { 0 };
    char title[600];
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data, "Tenant title should be specified!");
    tenant.title = title;
    strcpy(title, " \t\n ");
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_EINVAL);
    memset(title, 'x', 256);
    title[256] = '\0';
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data,
                        "Validation error: title length must be equal or less than 255");
    for (int i = 0; i < 255; i++) /* 255 characters in 510 bytes */
        memcpy(title + 2 * i, "\xc3\xa4", 3);
    tenant.profile = ps_uuid_random();
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data, "Tenant is referencing non existing tenant profile!");
    tenant.profile = PS_UUID_NULL;
    assert_int_equal(ps_tenant_save(world->db, &tenant, &world->why), PS_OK);
    tenant.title = NULL;
    ps_tenant_deinit(&tenant);
}

static void a_tenant_goes_with_all_it_owns_and_leaves_the_journal(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid other = world_tenant(world, "Other");
    struct ps_uuid customer = world_customer(world, "Customer");
    struct ps_uuid device = world_device(world, "Device", "T");
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, device };
    struct ps_user user = { .tenant = world->tenant,
                            .customer = customer,
                            .authority = PS_CUSTOMER_USER,
                            .email = strdup("a@b.org") };
    struct ps_kv kv = { .key = "k", .key_len = 1, .value = { .type = PS_VALUE_LONG } };
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_OK);
    assert_int_equal(ps_device_assign(world->db, &device, &customer), PS_OK);
    assert_int_equal(ps_attribute_put(world->db, &entity, PS_SCOPE_SERVER, &kv, 1), PS_OK);
    assert_int_equal(ps_db_exec(world->db, "INSERT INTO journal(points) VALUES('x');"
                                           "INSERT INTO series(entity_type, entity, key)"
                                           " SELECT 6, id, 'k' FROM device"),
                     PS_OK);
    assert_int_equal(ps_tenant_delete(world->db, &world->tenant), PS_OK);
    static const char *const tables[] = { "device",   "device_credentials",
                                          "customer", "attribute",
                                          "series",   "app_user WHERE authority <> 0" };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (world_count(world, tables[i]) != 0)
            print_error("%s\n", tables[i]);
        assert_int_equal(world_count(world, tables[i]), 0);
    }
    assert_int_equal(world_count(world, "journal"), 1);
    assert_int_equal(world_count(world, "tenant"), 1); /* the other one, complete */
    assert_int_equal(world_count(world, "rule_chain"), 1);
    assert_int_equal(world_count(world, "rule_node"), 5);
    assert_int_equal(world_count(world, "device_profile"), 1);
    assert_int_equal(ps_tenant_delete(world->db, &world->tenant), PS_ENOTFOUND);
    struct ps_tenant tenant;
    assert_int_equal(ps_tenant_get(world->db, &other, &tenant), PS_OK);
    ps_tenant_deinit(&tenant);
    ps_user_deinit(&user);
}

static void lists_page_search_and_sort(void **state)
{
    struct entity_world *world = *state;
    static const char *const titles[] = { "Beta",
                                          "alpha",
                                          "K\xc3\xbc"
                                          "che",
                                          "50%",
                                          "a_b",
                                          "axb" };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        (void)world_customer(world, titles[i]);
    static const struct {
        const char *name, *search, *sort;
        unsigned size, page;
        bool descending;
        int64_t total;
        size_t count;
        const char *first;
    } cases[] = {
        { "all", NULL, "title", 100, 0, false, 6, 6, "50%" },
        { "descending", "", "title", 100, 0, true, 6, 6, "axb" },
        { "second page", NULL, "title", 4, 1, false, 6, 2, "alpha" },
        { "past the end", NULL, "title", 4, 2, false, 6, 0, NULL },
        { "far past the end", NULL, "title", 10000, 4294967295u, false, 6, 0, NULL },
        { "huge page", NULL, "title", 4294967295u, 0, false, 6, 6, "50%" },
        { "any case", "ALP", "title", 10, 0, false, 1, 1, "alpha" },
        { "any case beyond ASCII", "K\xc3\x9c", "title", 10, 0, false, 1, 1,
          "K\xc3\xbc"
          "che" },
        { "% is itself", "%", "title", 10, 0, false, 1, 1, "50%" },
        { "_ is itself", "a_b", "title", 10, 0, false, 1, 1, "a_b" },
        { "nothing", "zzz", NULL, 10, 0, false, 0, 0, NULL },
        { "backslash", "\\", NULL, 10, 0, false, 0, 0, NULL },
        { "quote", "' OR 1=1 --", NULL, 10, 0, false, 0, 0, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_page_query page = { cases[i].size, cases[i].page, cases[i].search, cases[i].sort,
                                      cases[i].descending };
        struct ps_customer_list list;
        assert_int_equal(ps_customer_list(world->db, &world->tenant, &page, &list), PS_OK);
        if (list.total != cases[i].total || list.count != cases[i].count)
            print_error("%s\n", cases[i].name);
        assert_int_equal(list.total, cases[i].total);
        assert_int_equal(list.count, cases[i].count);
        if (cases[i].first)
            assert_string_equal(list.items[0].title, cases[i].first);
        ps_customer_list_deinit(&list);
    }
    assert_false(ps_db_in_transaction(world->db));
    struct ps_customer_list list;
    struct ps_page_query page = { .page_size = 10, .sort_property = "title; DROP TABLE customer" };
    assert_int_equal(ps_customer_list(world->db, &world->tenant, &page, &list), PS_EINVAL);
    page = (struct ps_page_query){ .page_size = 0 };
    assert_int_equal(ps_customer_list(world->db, &world->tenant, &page, &list), PS_EINVAL);
}

static void pages_of_equal_rows_neither_repeat_nor_miss_one(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid seen[30];
    size_t count = 0;
    for (int i = 0; i < 30; i++)
        (void)world_tenant(world, "Same");
    for (unsigned at = 0; at < 6; at++) {
        struct ps_page_query page = { 5, at, "same", "title", false };
        struct ps_tenant_list list;
        assert_int_equal(ps_tenant_list(world->db, &page, &list), PS_OK);
        assert_int_equal(list.total, 30);
        assert_int_equal(list.count, 5);
        for (size_t i = 0; i < list.count; i++) {
            for (size_t k = 0; k < count; k++)
                assert_false(ps_uuid_equal(&seen[k], &list.items[i].id));
            seen[count++] = list.items[i].id;
        }
        ps_tenant_list_deinit(&list);
    }
}

static void customer_titles_are_unique_in_their_tenant(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id = world_customer(world, "Customer A");
    struct ps_customer customer = { .tenant = world->tenant, .title = strdup("Customer A") };
    assert_int_equal(ps_customer_save(world->db, &customer, &world->why), PS_EEXISTS);
    assert_string_equal(world->why.data, "Customer with such title already exists!");
    customer.tenant = world_tenant(world, "Other");
    customer.additional_info = strdup("{\"isPublic\":true}");
    assert_int_equal(ps_customer_save(world->db, &customer, &world->why), PS_OK);
    assert_true(customer.is_public);
    customer.id = id; /* of the first tenant */
    assert_int_equal(ps_customer_save(world->db, &customer, &world->why), PS_ENOTFOUND);
    ps_customer_deinit(&customer);
    assert_int_equal(
        ps_customer_find_by_title(world->db, &world->tenant, "Customer A", 10, &customer), PS_OK);
    assert_true(ps_uuid_equal(&customer.id, &id));
    assert_int_equal(customer.version, 1);
    ps_customer_deinit(&customer);
    assert_int_equal(
        ps_customer_find_by_title(world->db, &world->tenant, "customer a", 10, &customer),
        PS_ENOTFOUND);
}

static void a_customer_goes_with_its_users_and_frees_its_devices(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid customer = world_customer(world, "Customer");
    struct ps_uuid id = world_device(world, "Device", NULL);
    struct ps_user user = { .tenant = world->tenant,
                            .customer = customer,
                            .authority = PS_CUSTOMER_USER,
                            .email = strdup("a@b.org") };
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_OK);
    assert_int_equal(ps_device_assign(world->db, &id, &customer), PS_OK);
    assert_int_equal(ps_customer_delete(world->db, &customer), PS_OK);
    struct ps_device device;
    assert_int_equal(ps_device_get(world->db, &id, &device), PS_OK);
    assert_true(ps_uuid_equal(&device.customer, &PS_UUID_NULL));
    assert_int_equal(device.version, 3);
    ps_device_deinit(&device);
    assert_int_equal(world_count(world, "app_user WHERE authority = 2"), 0);
    assert_int_equal(world_count(world, "user_credentials"), 1); /* the administrator's */
    assert_int_equal(ps_customer_delete(world->db, &customer), PS_ENOTFOUND);
    ps_user_deinit(&user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_new_tenant_has_a_default_profile_and_a_root_chain),
        WORLD_TEST(saving_replaces_everything_and_counts_versions),
        WORLD_TEST(names_are_checked),
        WORLD_TEST(a_tenant_goes_with_all_it_owns_and_leaves_the_journal),
        WORLD_TEST(lists_page_search_and_sort),
        WORLD_TEST(pages_of_equal_rows_neither_repeat_nor_miss_one),
        WORLD_TEST(customer_titles_are_unique_in_their_tenant),
        WORLD_TEST(a_customer_goes_with_its_users_and_frees_its_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
