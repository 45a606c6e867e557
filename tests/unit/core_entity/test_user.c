/* Users: unique addresses, fixed places, activation, and an administrator that remains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "unit/core_entity/entity_world.h"

static enum ps_status save(struct entity_world *world, enum ps_authority authority,
                           const struct ps_uuid *tenant, const struct ps_uuid *customer,
                           const char *email, struct ps_uuid *id)
{
    struct ps_user user = { .tenant = *tenant, .customer = *customer, .authority = authority };
    user.email = strdup(email);
    enum ps_status st = ps_user_save(world->db, &user, &world->why);
    if (st == PS_OK && id)
        *id = user.id;
    ps_user_deinit(&user);
    return st;
}

static void an_address_is_well_formed_and_unique(void **state)
{
    struct entity_world *world = *state;
    static const char *const good[] = { "a@b.org", "A@b.org", "first.last+tag@sub.example.com" };
    static const char *const bad[] = { "a",         "@b.org",    "a@",       "a@b",
                                       "a b@c.org", "a@b..org",  "a@.org",   "a@b.org.",
                                       "a@@b.org",  "a@b_c.org", "<a@b.org>" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, good[i], NULL),
                         PS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        enum ps_status st =
            save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, bad[i], NULL);
        if (st != PS_EINVAL)
            print_error("%s\n", bad[i]);
        assert_int_equal(st, PS_EINVAL);
    }
    struct ps_uuid other = world_tenant(world, "Other");
    assert_int_equal(save(world, PS_TENANT_ADMIN, &other, &PS_UUID_NULL, "a@b.org", NULL),
                     PS_EEXISTS);
    assert_string_equal(world->why.data, "User with email 'a@b.org' already present in database!");
    assert_int_equal(world_count(world, "user_credentials"), 4);
}

static void everybody_has_the_place_of_their_authority(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid none = PS_UUID_NULL, other = world_tenant(world, "Other");
    struct ps_uuid customer = world_customer(world, "Customer"), unknown = ps_uuid_random();
    const struct {
        enum ps_authority authority;
        const struct ps_uuid *tenant, *customer;
        enum ps_status want;
    } cases[] = {
        { PS_SYS_ADMIN, &none, &none, PS_OK },
        { PS_SYS_ADMIN, &world->tenant, &none, PS_EINVAL },
        { PS_TENANT_ADMIN, &world->tenant, &none, PS_OK },
        { PS_TENANT_ADMIN, &none, &none, PS_EINVAL },
        { PS_TENANT_ADMIN, &unknown, &none, PS_EINVAL },
        { PS_TENANT_ADMIN, &world->tenant, &customer, PS_EINVAL },
        { PS_CUSTOMER_USER, &world->tenant, &customer, PS_OK },
        { PS_CUSTOMER_USER, &world->tenant, &none, PS_EINVAL },
        { PS_CUSTOMER_USER, &other, &customer, PS_EINVAL },
        { PS_CUSTOMER_USER, &world->tenant, &unknown, PS_EINVAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char email[32];
        snprintf(email, sizeof email, "u%zu@example.org", i);
        assert_int_equal(
            save(world, cases[i].authority, cases[i].tenant, cases[i].customer, email, NULL),
            cases[i].want);
    }
}

static void an_update_keeps_place_and_authority(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id;
    struct ps_user user;
    assert_int_equal(save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, "a@b.org", &id),
                     PS_OK);
    assert_int_equal(ps_user_find_by_email(world->db, "a@b.org", 7, &user), PS_OK);
    assert_true(ps_uuid_equal(&user.id, &id));
    assert_true(user.enabled);
    assert_false(user.activated);
    user.first_name = strdup("Ann");
    memset(&user.customer, 0, sizeof user.customer); /* none as well */
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_OK);
    assert_int_equal(user.version, 2);
    user.version = 1;
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_ECONFLICT);
    user.version = 0;
    user.authority = PS_SYS_ADMIN;
    user.tenant = PS_UUID_NULL;
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_EINVAL);
    user.authority = PS_TENANT_ADMIN;
    user.tenant = world_tenant(world, "Other");
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_EINVAL);
    user.tenant = world->tenant;
    user.id = ps_uuid_random();
    assert_int_equal(ps_user_save(world->db, &user, &world->why), PS_ENOTFOUND);
    ps_user_deinit(&user);
    assert_int_equal(ps_user_get(world->db, &id, &user), PS_OK);
    assert_string_equal(user.first_name, "Ann");
    assert_int_equal(user.version, 2);
    ps_user_deinit(&user);
    assert_int_equal(ps_user_find_by_email(world->db, "A@B.ORG", 7, &user), PS_ENOTFOUND);
}

static void activation_works_once_and_in_time(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id;
    struct ps_user_credentials credentials, found;
    int64_t now_ms = ps_clock_now_ms();
    assert_int_equal(save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, "a@b.org", &id),
                     PS_OK);
    assert_int_equal(ps_user_credentials_get(world->db, &id, &credentials), PS_OK);
    assert_null(credentials.password_hash);
    assert_int_equal(strlen(credentials.activate_token), 30);
    const char *token = credentials.activate_token;
    assert_int_equal(
        ps_user_credentials_find_activation(world->db, token, 30, now_ms + 86500000, &found),
        PS_ENOTFOUND);
    assert_int_equal(ps_user_credentials_find_activation(world->db, token, 29, now_ms, &found),
                     PS_ENOTFOUND);
    assert_int_equal(ps_user_credentials_find_activation(world->db, token, 30, now_ms, &found),
                     PS_OK);
    assert_true(ps_uuid_equal(&found.user, &id));
    ps_user_credentials_deinit(&found);
    assert_int_equal(ps_user_renew_activation(world->db, &id, now_ms), PS_OK);
    assert_int_equal(ps_user_credentials_find_activation(world->db, token, 30, now_ms, &found),
                     PS_ENOTFOUND); /* replaced */
    ps_user_credentials_deinit(&credentials);

    assert_int_equal(ps_user_set_password(world->db, &id, "hash"), PS_OK);
    assert_int_equal(ps_user_credentials_get(world->db, &id, &credentials), PS_OK);
    assert_string_equal(credentials.password_hash, "hash");
    assert_null(credentials.activate_token);
    ps_user_credentials_deinit(&credentials);
    assert_int_equal(ps_user_renew_activation(world->db, &id, now_ms), PS_EEXISTS);
    struct ps_uuid unknown = ps_uuid_random();
    assert_int_equal(ps_user_renew_activation(world->db, &unknown, now_ms), PS_ENOTFOUND);
    assert_int_equal(ps_user_set_password(world->db, &unknown, "hash"), PS_ENOTFOUND);
}

static void logins_resets_and_locks_are_remembered(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid id;
    struct ps_user user;
    struct ps_user_credentials credentials;
    assert_int_equal(save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, "a@b.org", &id),
                     PS_OK);
    assert_int_equal(ps_user_note_login(world->db, &id, false, 100), PS_OK);
    assert_int_equal(ps_user_note_login(world->db, &id, false, 200), PS_OK);
    assert_int_equal(ps_user_credentials_get(world->db, &id, &credentials), PS_OK);
    assert_int_equal(credentials.failed_logins, 2);
    assert_int_equal(credentials.last_login_ms, 0);
    ps_user_credentials_deinit(&credentials);
    assert_int_equal(ps_user_note_login(world->db, &id, true, 300), PS_OK);
    assert_int_equal(ps_user_set_enabled(world->db, &id, false), PS_OK);
    assert_int_equal(ps_user_set_reset_token(world->db, &id, "reset", 1000), PS_OK);
    assert_int_equal(ps_user_credentials_find_reset(world->db, "reset", 5, 1000, &credentials),
                     PS_ENOTFOUND);
    assert_int_equal(ps_user_credentials_find_reset(world->db, "reset", 5, 999, &credentials),
                     PS_OK);
    assert_int_equal(credentials.failed_logins, 0);
    assert_false(credentials.enabled);
    ps_user_credentials_deinit(&credentials);
    assert_int_equal(ps_user_get(world->db, &id, &user), PS_OK);
    assert_false(user.enabled);
    assert_int_equal(user.last_login_ms, 300);
    ps_user_deinit(&user);
}

static void the_last_administrator_remains(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid first, second;
    assert_int_equal(save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, "a@b.org", &first),
                     PS_OK);
    assert_int_equal(ps_user_delete(world->db, &first, &world->why), PS_EINVAL);
    assert_string_equal(world->why.data, "At least one tenant administrator must remain!");
    assert_int_equal(
        save(world, PS_TENANT_ADMIN, &world->tenant, &PS_UUID_NULL, "b@b.org", &second), PS_OK);
    assert_int_equal(ps_user_delete(world->db, &first, &world->why), PS_OK);
    assert_int_equal(ps_user_delete(world->db, &first, &world->why), PS_ENOTFOUND);
    assert_int_equal(ps_user_delete(world->db, &second, &world->why), PS_EINVAL);
}

static void lists_are_of_a_tenant_or_a_customer(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid customer = world_customer(world, "Customer"), none = PS_UUID_NULL;
    struct ps_page_query page = { .page_size = 10, .sort_property = "email" };
    struct ps_user_list list;
    assert_int_equal(save(world, PS_TENANT_ADMIN, &world->tenant, &none, "t@b.org", NULL), PS_OK);
    assert_int_equal(save(world, PS_CUSTOMER_USER, &world->tenant, &customer, "c@b.org", NULL),
                     PS_OK);
    struct ps_user_filter filter = { .tenant = world->tenant };
    assert_int_equal(ps_user_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 2);
    assert_string_equal(list.items[0].email, "c@b.org");
    ps_user_list_deinit(&list);
    filter.by_authority = true;
    filter.authority = PS_TENANT_ADMIN;
    assert_int_equal(ps_user_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 1);
    assert_string_equal(list.items[0].email, "t@b.org");
    ps_user_list_deinit(&list);
    filter = (struct ps_user_filter){ .tenant = world->tenant, .customer = customer };
    page.text_search = "C@B";
    assert_int_equal(ps_user_list(world->db, &filter, &page, &list), PS_OK);
    assert_int_equal(list.total, 1);
    ps_user_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(an_address_is_well_formed_and_unique),
        WORLD_TEST(everybody_has_the_place_of_their_authority),
        WORLD_TEST(an_update_keeps_place_and_authority),
        WORLD_TEST(activation_works_once_and_in_time),
        WORLD_TEST(logins_resets_and_locks_are_remembered),
        WORLD_TEST(the_last_administrator_remains),
        WORLD_TEST(lists_are_of_a_tenant_or_a_customer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
