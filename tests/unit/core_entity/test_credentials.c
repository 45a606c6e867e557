/* Credentials: computed ids, complete records, one owner for an id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/core_entity/entity_world.h"

static void ids_are_hashed_as_the_contract_says(void **state)
{
    (void)state;
    char id[PS_CREDENTIALS_HASH_SIZE], other[PS_CREDENTIALS_HASH_SIZE];
    ps_credentials_basic_id("ClientId", "UserName1", id);
    assert_string_equal(id, "c77fc2dd3e9d30c4f9f0c2baf8318c70b282c354f64bcb33fcd1481574221446");
    ps_credentials_hash("ClientId|UserName1", 18, other);
    assert_string_equal(id, other);
    ps_credentials_basic_id("ClientId", NULL, id);
    ps_credentials_hash("ClientId", 8, other);
    assert_string_equal(id, other);
    ps_credentials_basic_id("", "UserName1", id);
    ps_credentials_hash("UserName1", 9, other);
    assert_string_equal(id, other);
    static const char pem[] =
        "-----BEGIN CERTIFICATE-----\r\nQUJD\nREVG\n-----END CERTIFICATE-----\n";
    ps_credentials_hash(pem, sizeof pem - 1, id);
    ps_credentials_hash("QUJDREVG", 8, other);
    assert_string_equal(id, other);
    ps_credentials_hash("", 0, id); /* the known digest of nothing */
    assert_string_equal(id, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
}

static const struct save_case {
    const char *name;
    enum ps_credentials_type type;
    const char *id, *value;
    enum ps_status want;
    const char *text; /* the id stored, or the message */
} save_cases[] = {
    { "token", PS_CREDENTIALS_ACCESS_TOKEN, "NEW", NULL, PS_OK, "NEW" },
    { "token drops its value", PS_CREDENTIALS_ACCESS_TOKEN, "NEW2", "x", PS_OK, "NEW2" },
    { "no token", PS_CREDENTIALS_ACCESS_TOKEN, NULL, NULL, PS_EINVAL,
      "Device credentials id should be specified!" },
    { "empty token", PS_CREDENTIALS_ACCESS_TOKEN, "", NULL, PS_EINVAL,
      "Device credentials id should be specified!" },
    { "control character", PS_CREDENTIALS_ACCESS_TOKEN, "a\nb", NULL, PS_EINVAL,
      "Device credentials id contains control characters!" },
    { "taken", PS_CREDENTIALS_ACCESS_TOKEN, "TAKEN", NULL, PS_EEXISTS,
      "Device credentials are already assigned to another device!" },
    { "both", PS_CREDENTIALS_MQTT_BASIC, "ignored",
      "{\"clientId\":\"ClientId\",\"userName\":\"UserName1\",\"password\":\"p\"}", PS_OK,
      "c77fc2dd3e9d30c4f9f0c2baf8318c70b282c354f64bcb33fcd1481574221446" },
    { "user name only", PS_CREDENTIALS_MQTT_BASIC, NULL,
      "{\"clientId\":\"\",\"userName\":\"user\",\"password\":null}", PS_OK, "user" },
    { "user name is a taken token", PS_CREDENTIALS_MQTT_BASIC, NULL, "{\"userName\":\"TAKEN\"}",
      PS_EEXISTS, "Device credentials are already assigned to another device!" },
    { "neither", PS_CREDENTIALS_MQTT_BASIC, NULL, "{\"clientId\":\"\",\"userName\":null}",
      PS_EINVAL, "Both mqtt client id and user name are empty!" },
    { "password alone", PS_CREDENTIALS_MQTT_BASIC, NULL, "{\"clientId\":\"c\",\"password\":\"p\"}",
      PS_EINVAL, "Can't specify mqtt password without user name!" },
    { "not JSON", PS_CREDENTIALS_MQTT_BASIC, NULL, "{", PS_EINVAL,
      "Invalid credentials body for simple mqtt credentials!" },
    { "not an object", PS_CREDENTIALS_MQTT_BASIC, NULL, "[1]", PS_EINVAL,
      "Invalid credentials body for simple mqtt credentials!" },
    { "no value", PS_CREDENTIALS_MQTT_BASIC, "x", NULL, PS_EINVAL,
      "Device credentials value should be specified!" },
    { "certificate", PS_CREDENTIALS_X509, NULL,
      "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", PS_OK, NULL },
    { "no certificate", PS_CREDENTIALS_X509, NULL, "\r\n", PS_EINVAL,
      "Device credentials value should be specified!" },
};

static void a_record_is_completed_by_its_type(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid device = world_device(world, "S1", "TOK");
    (void)world_device(world, "S2", "TAKEN");
    for (size_t i = 0; i < sizeof save_cases / sizeof *save_cases; i++) {
        const struct save_case *c = &save_cases[i];
        struct ps_credentials credentials = { .device = device, .type = c->type }, back;
        credentials.credentials_id = c->id ? strdup(c->id) : NULL;
        credentials.credentials_value = c->value ? strdup(c->value) : NULL;
        enum ps_status st = ps_credentials_save(world->db, &credentials, &world->why);
        if (st != c->want)
            print_error("%s: %s\n", c->name, ps_status_text(st));
        assert_int_equal(st, c->want);
        if (st != PS_OK)
            assert_string_equal(world->why.data, c->text);
        assert_int_equal(ps_credentials_get(world->db, &device, &back), PS_OK);
        if (st == PS_OK) {
            if (c->text)
                assert_string_equal(back.credentials_id, c->text);
            assert_string_equal(back.credentials_id, credentials.credentials_id);
            assert_int_equal(back.type, c->type);
            assert_int_equal(back.version, credentials.version);
            assert_true((back.credentials_value == NULL) ==
                        (c->type == PS_CREDENTIALS_ACCESS_TOKEN));
            if (c->type == PS_CREDENTIALS_X509)
                assert_string_equal(back.credentials_value, "QUJD");
        }
        ps_credentials_deinit(&back);
        ps_credentials_deinit(&credentials);
    }
    assert_int_equal(world_count(world, "device_credentials"), 2);
}

static void only_the_present_record_is_updated(void **state)
{
    struct entity_world *world = *state;
    struct ps_uuid device = world_device(world, "S1", "TOK");
    struct ps_credentials credentials;
    assert_int_equal(ps_credentials_get(world->db, &device, &credentials), PS_OK);
    assert_int_equal(ps_credentials_save(world->db, &credentials, &world->why), PS_OK);
    assert_int_equal(credentials.version, 2);
    credentials.version = 1;
    assert_int_equal(ps_credentials_save(world->db, &credentials, &world->why), PS_ECONFLICT);
    credentials.version = 0;
    credentials.id = ps_uuid_random();
    assert_int_equal(ps_credentials_save(world->db, &credentials, &world->why), PS_ENOTFOUND);
    assert_string_equal(world->why.data, "Unable to update non-existent device credentials!");
    credentials.id = PS_UUID_NULL;
    credentials.device = ps_uuid_random();
    assert_int_equal(ps_credentials_save(world->db, &credentials, &world->why), PS_ENOTFOUND);
    ps_credentials_deinit(&credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_hashed_as_the_contract_says),
        WORLD_TEST(a_record_is_completed_by_its_type),
        WORLD_TEST(only_the_present_record_is_updated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
