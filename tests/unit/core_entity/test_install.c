/* Installation: what the first start makes, with and without demo data, and that it happens once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "core/auth/password.h"
#include "core/entity/attribute.h"
#include "core/entity/setting.h"
#include "unit/core_entity/entity_world.h"

static int setup(void **state)
{
    struct entity_world *world = calloc(1, sizeof *world);
    temp_db_init(&world->temp);
    world->db = world->temp.db;
    *state = world;
    return 0;
}

static void password_is(struct entity_world *world, const char *email, const char *password,
                        enum ps_authority authority)
{
    struct ps_user user;
    struct ps_user_credentials credentials;
    assert_int_equal(ps_user_find_by_email(world->db, email, strlen(email), &user), PS_OK);
    assert_int_equal(user.authority, authority);
    assert_true(user.activated);
    assert_int_equal(ps_user_credentials_get(world->db, &user.id, &credentials), PS_OK);
    assert_int_equal(ps_password_verify(credentials.password_hash, password, strlen(password)),
                     PS_OK);
    ps_user_credentials_deinit(&credentials);
    ps_user_deinit(&user);
}

static void without_demo_there_is_one_administrator_with_a_secret(void **state)
{
    struct entity_world *world = *state;
    char password[PS_INSTALL_PASSWORD_SIZE], again[PS_INSTALL_PASSWORD_SIZE] = "?";
    assert_int_equal(ps_install(world->db, false, password), PS_OK);
    assert_int_equal(strlen(password), 24);
    password_is(world, PS_INSTALL_SYSADMIN_EMAIL, password, PS_SYS_ADMIN);
    assert_int_equal(world_count(world, "app_user"), 1);
    assert_int_equal(world_count(world, "tenant"), 0);
    assert_int_equal(world_count(world, "tenant_profile WHERE is_default = 1"), 1);
    temp_db_reopen(&world->temp);
    world->db = world->temp.db;
    assert_int_equal(ps_install(world->db, false, again), PS_OK);
    assert_string_equal(again, ""); /* shown once */
    password_is(world, PS_INSTALL_SYSADMIN_EMAIL, password, PS_SYS_ADMIN);
    assert_int_equal(ps_install(world->db, true, again), PS_OK); /* demo data may come later */
    assert_string_equal(again, "");
    password_is(world, PS_INSTALL_SYSADMIN_EMAIL, password, PS_SYS_ADMIN);
    assert_int_equal(world_count(world, "tenant"), 1);
}

static void the_signing_key_is_made_once(void **state)
{
    struct entity_world *world = *state;
    unsigned char key[PS_INSTALL_JWT_KEY_SIZE], again[PS_INSTALL_JWT_KEY_SIZE], zero[64] = { 0 };
    char password[PS_INSTALL_PASSWORD_SIZE];
    assert_int_equal(ps_install_jwt_key(world->db, key), PS_ENOTFOUND);
    assert_int_equal(ps_install(world->db, false, password), PS_OK);
    assert_int_equal(ps_install_jwt_key(world->db, key), PS_OK);
    assert_memory_not_equal(key, zero, sizeof zero);
    assert_int_equal(ps_install(world->db, false, password), PS_OK);
    assert_int_equal(ps_install_jwt_key(world->db, again), PS_OK);
    assert_memory_equal(key, again, sizeof key);
    assert_int_equal(ps_setting_put(world->db, "jwt.signing_key", "short", 5), PS_OK);
    assert_int_equal(ps_install_jwt_key(world->db, again), PS_ESTORE);
}

static void demo_data_is_what_examples_use(void **state)
{
    struct entity_world *world = *state;
    char password[PS_INSTALL_PASSWORD_SIZE] = "?";
    assert_int_equal(ps_install(world->db, true, password), PS_OK);
    assert_string_equal(password, "");
    password_is(world, "sysadmin@thingsboard.org", "sysadmin", PS_SYS_ADMIN);
    password_is(world, "tenant@thingsboard.org", "tenant", PS_TENANT_ADMIN);
    static const char *const customers[] = { "customer@thingsboard.org",
                                             "customerA@thingsboard.org",
                                             "customerB@thingsboard.org",
                                             "customerC@thingsboard.org" };
    for (size_t i = 0; i < 4; i++)
        password_is(world, customers[i], "customer", PS_CUSTOMER_USER);
    static const struct {
        const char *token, *name, *profile;
        bool assigned;
    } devices[] = {
        { "A1_TEST_TOKEN", "Test Device A1", "default", true },
        { "A2_TEST_TOKEN", "Test Device A2", "default", true },
        { "A3_TEST_TOKEN", "Test Device A3", "default", true },
        { "B1_TEST_TOKEN", "Test Device B1", "default", true },
        { "C1_TEST_TOKEN", "Test Device C1", "default", true },
        { "DHT11_DEMO_TOKEN", "DHT11 Demo Device", "default", false },
        { "RASPBERRY_PI_DEMO_TOKEN", "Raspberry Pi Demo Device", "default", false },
        { "T1_TEST_TOKEN", "Thermostat T1", "thermostat", false },
        { "T2_TEST_TOKEN", "Thermostat T2", "thermostat", false },
    };
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        struct ps_device_identity *identity;
        assert_int_equal(
            ps_credentials_find(world->db, devices[i].token, strlen(devices[i].token), &identity),
            PS_OK);
        assert_string_equal(identity->name, devices[i].name);
        assert_string_equal(identity->profile_name, devices[i].profile);
        assert_int_equal(ps_uuid_is_null(&identity->customer), !devices[i].assigned);
        assert_int_equal(ps_uuid_is_null(&identity->default_rule_chain),
                         strcmp(devices[i].profile, "default") == 0);
        ps_device_identity_release(identity);
    }
    assert_int_equal(world_count(world, "device"), 9);
    assert_int_equal(world_count(world, "rule_chain"), 2);
    assert_int_equal(ps_install(world->db, true, password), PS_OK); /* once */
    assert_int_equal(world_count(world, "device"), 9);
    assert_int_equal(world_count(world, "tenant"), 1);
}

static void demo_thermostats_have_thresholds_and_alarm_rules(void **state)
{
    struct entity_world *world = *state;
    char password[PS_INSTALL_PASSWORD_SIZE];
    struct ps_device_identity *identity;
    struct ps_device_profile profile;
    assert_int_equal(ps_install(world->db, true, password), PS_OK);
    assert_int_equal(ps_credentials_find(world->db, "T2_TEST_TOKEN", 13, &identity), PS_OK);
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, identity->device };
    struct ps_attribute_list list = { 0 };
    assert_int_equal(ps_attribute_list(world->db, &entity, NULL, &list), PS_OK);
    assert_int_equal(list.count, 6); /* by key: humidity.., latitude, longitude, temperature.. */
    assert_string_equal(list.items[1].key, "humidityAlarmThreshold");
    assert_int_equal(list.items[1].value.integer, 30);
    assert_true(list.items[2].value.real == 37.493801);
    assert_true(list.items[3].value.real == -121.948769);
    assert_true(list.items[4].value.boolean);
    assert_int_equal(list.items[5].value.integer, 25);
    assert_int_equal(list.items[5].scope, PS_SCOPE_SERVER);
    ps_attribute_list_deinit(&list);

    assert_int_equal(ps_device_profile_get(world->db, &identity->profile, &profile), PS_OK);
    json_t *data = json_loads(profile.profile_data, 0, NULL);
    json_t *alarms = json_object_get(data, "alarms");
    assert_int_equal(json_array_size(alarms), 2);
    json_t *low = json_array_get(alarms, 1);
    assert_string_equal(json_string_value(json_object_get(low, "alarmType")), "Low Humidity");
    json_t *rule = json_object_get(json_object_get(low, "createRules"), "MINOR");
    json_t *conditions = json_object_get(json_object_get(rule, "condition"), "condition");
    assert_int_equal(json_array_size(conditions), 2);
    assert_non_null(json_object_get(low, "clearRule"));
    json_decref(data);
    ps_device_profile_deinit(&profile);
    ps_device_identity_release(identity);
}

static void a_failed_installation_leaves_nothing(void **state)
{
    struct entity_world *world = *state;
    char password[PS_INSTALL_PASSWORD_SIZE] = "?";
    assert_int_equal(ps_db_exec(world->db, "CREATE TRIGGER broken BEFORE INSERT ON device"
                                           " WHEN NEW.name = 'Thermostat T2'"
                                           " BEGIN SELECT RAISE(ABORT, 'no'); END"),
                     PS_OK);
    assert_int_not_equal(ps_install(world->db, true, password), PS_OK);
    assert_string_equal(password, "");
    static const char *const tables[] = { "app_user", "tenant",         "device",
                                          "setting",  "tenant_profile", "rule_chain" };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        assert_int_equal(world_count(world, tables[i]), 0);
    assert_int_equal(ps_db_exec(world->db, "DROP TRIGGER broken"), PS_OK);
    assert_int_equal(ps_install(world->db, true, password), PS_OK);
    assert_int_equal(world_count(world, "device"), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
        TEST(without_demo_there_is_one_administrator_with_a_secret),
        TEST(the_signing_key_is_made_once),
        TEST(demo_data_is_what_examples_use),
        TEST(demo_thermostats_have_thresholds_and_alarm_rules),
        TEST(a_failed_installation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
