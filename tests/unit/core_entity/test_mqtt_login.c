/* MQTT logins: the decision order and the refusals of the device contract, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/core_entity/entity_world.h"

static void add_basic(struct entity_world *world, const char *name, const char *value)
{
    struct ps_device device = { .tenant = world->tenant, .name = strdup(name) };
    struct ps_credentials credentials = { .type = PS_CREDENTIALS_MQTT_BASIC,
                                          .credentials_value = strdup(value) };
    assert_int_equal(ps_device_save(world->db, &device, &credentials, &world->why), PS_OK);
    ps_device_deinit(&device);
    ps_credentials_deinit(&credentials);
}

static void add_on_transport(struct entity_world *world, const char *name, const char *token,
                             enum ps_transport_type transport)
{
    struct ps_device_profile profile = { .tenant = world->tenant,
                                         .name = strdup(name),
                                         .transport_type = transport };
    assert_int_equal(ps_device_profile_save(world->db, &profile, &world->why), PS_OK);
    struct ps_device device = { .tenant = world->tenant,
                                .name = strdup(name),
                                .profile = profile.id };
    struct ps_credentials credentials = { .credentials_id = strdup(token) };
    assert_int_equal(ps_device_save(world->db, &device, &credentials, &world->why), PS_OK);
    ps_device_deinit(&device);
    ps_credentials_deinit(&credentials);
    ps_device_profile_deinit(&profile);
}

static int setup(void **state)
{
    world_setup(state);
    struct entity_world *world = *state;
    (void)world_device(world, "token", "TOK");
    add_basic(world, "client", "{\"clientId\":\"cid\"}");
    add_basic(world, "user", "{\"userName\":\"user\"}");
    add_basic(world, "user+pw", "{\"userName\":\"userpw\",\"password\":\"secret\"}");
    add_basic(world, "all", "{\"clientId\":\"c\",\"userName\":\"u\",\"password\":\"p\"}");
    add_basic(world, "client+user", "{\"clientId\":\"c2\",\"userName\":\"u2\",\"password\":\"\"}");
    add_basic(world, "shadow", "{\"clientId\":\"c3\",\"userName\":\"TOK\",\"password\":\"p\"}");
    add_on_transport(world, "coap device", "COAPTOK", PS_TRANSPORT_COAP);
    add_on_transport(world, "mqtt device", "MQTTTOK", PS_TRANSPORT_MQTT);
    return 0;
}

enum {
    ACCEPTED = PS_LOGIN_ACCEPTED,
    PROVISION = PS_LOGIN_REFUSED_PROVISION,
    CREDENTIALS = PS_LOGIN_REFUSED_CREDENTIALS,
    CLIENT_ID = PS_LOGIN_REFUSED_CLIENT_ID,
    NOTHING = PS_LOGIN_REFUSED_NOTHING_GIVEN,
    UNAVAILABLE = PS_LOGIN_REFUSED_UNAVAILABLE
};

/* NULL = not present */
static const struct login_case {
    const char *name, *client_id, *username, *password;
    int want;
    const char *device;
} cases[] = {
    { "token", "any", "TOK", NULL, ACCEPTED, "token" },
    { "token, password is ignored", "", "TOK", "x", ACCEPTED, "token" },
    { "token of an MQTT profile", "", "MQTTTOK", NULL, ACCEPTED, "mqtt device" },
    { "token is case-sensitive", "any", "tok", NULL, CREDENTIALS, NULL },
    { "unknown token", "any", "nope", NULL, CREDENTIALS, NULL },
    { "token as client id", "TOK", NULL, NULL, CLIENT_ID, NULL },
    { "profile of another transport", "", "COAPTOK", NULL, UNAVAILABLE, NULL },

    { "client id", "cid", NULL, NULL, ACCEPTED, "client" },
    { "client id, empty user name", "cid", "", "", ACCEPTED, "client" },
    { "client id, any password", "cid", NULL, "x", ACCEPTED, "client" },
    { "client id with a user name", "cid", "x", NULL, CREDENTIALS, NULL },
    { "client id as user name", "", "cid", NULL, CREDENTIALS, NULL },
    { "unknown client id", "nope", NULL, NULL, CLIENT_ID, NULL },
    { "unknown client id with password", "nope", NULL, "x", CREDENTIALS, NULL },

    { "user name", "whatever", "user", NULL, ACCEPTED, "user" },
    { "user name, any password", "", "user", "x", ACCEPTED, "user" },
    { "user name and password", "whatever", "userpw", "secret", ACCEPTED, "user+pw" },
    { "wrong password", "", "userpw", "Secret", CREDENTIALS, NULL },
    { "password missing", "", "userpw", NULL, CREDENTIALS, NULL },
    { "password cut", "", "userpw", "secre", CREDENTIALS, NULL },

    { "all three", "c", "u", "p", ACCEPTED, "all" },
    { "all three, wrong password", "c", "u", "q", CREDENTIALS, NULL },
    { "all three, wrong client id", "d", "u", "p", CREDENTIALS, NULL },
    { "the joint in another place", "c|u", NULL, "p", CREDENTIALS, NULL },
    { "the joint in another place, no password", "c|u", NULL, NULL, CLIENT_ID, NULL },
    { "a user name that is also a token", "c3", "TOK", "p", ACCEPTED, "shadow" },
    { "with a wrong password it does not fall back", "c3", "TOK", "q", CREDENTIALS, NULL },
    { "from another client id it is the token", "c4", "TOK", "q", ACCEPTED, "token" },
    { "a hash as user name", "cid",
      "4c2756bd9fdd0c5f05a40e9397a31242a4be260b5534ecf37d73c48bd381b967", NULL, CREDENTIALS, NULL },
    { "empty stored password is none", "c2", "u2", "x", ACCEPTED, "client+user" },

    { "nothing", NULL, NULL, NULL, NOTHING, NULL },
    { "nothing but empty", "", "", "", NOTHING, NULL },
    { "password alone", "", NULL, "p", CREDENTIALS, NULL },
    { "provision", "x", "provision", NULL, PROVISION, NULL },
    { "provision as client id", "provision", NULL, NULL, PROVISION, NULL },
    { "provision as client id of a device", "provision", "TOK", NULL, ACCEPTED, "token" },
};

static struct ps_login_span span(const char *text)
{
    return (struct ps_login_span){ text, text ? strlen(text) : 0, text != NULL };
}

static void logins_end_as_the_contract_says(void **state)
{
    struct entity_world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct login_case *c = &cases[i];
        struct ps_mqtt_login login = { span(c->client_id), span(c->username), span(c->password) };
        struct ps_device_identity *identity = NULL;
        enum ps_login_refusal why = (enum ps_login_refusal)99;
        enum ps_status st = ps_mqtt_authenticate(world->db, &login, &identity, &why);
        if ((int)why != c->want)
            print_error("%s: %d\n", c->name, why);
        assert_int_equal(why, c->want);
        assert_int_equal(st, c->want == ACCEPTED ? PS_OK : PS_EAUTH);
        if (st == PS_OK)
            assert_string_equal(identity->name, c->device);
        else
            assert_null(identity);
        ps_device_identity_release(identity);
    }
}

static void bytes_that_are_no_text_match_nothing(void **state)
{
    struct entity_world *world = *state;
    struct ps_mqtt_login login = { .client_id = { "cid\0", 4, true },
                                   .username = { NULL, 0, false } };
    struct ps_device_identity *identity = NULL;
    enum ps_login_refusal why;
    assert_int_equal(ps_mqtt_authenticate(world->db, &login, &identity, &why), PS_EAUTH);
    assert_int_equal(why, PS_LOGIN_REFUSED_CLIENT_ID);
    login.username = (struct ps_login_span){ "\xff\x00\xfe", 3, true };
    assert_int_equal(ps_mqtt_authenticate(world->db, &login, &identity, &why), PS_EAUTH);
    assert_int_equal(why, PS_LOGIN_REFUSED_CREDENTIALS);
    login.username = (struct ps_login_span){ "TOK\0x", 5, true };
    assert_int_equal(ps_mqtt_authenticate(world->db, &login, &identity, &why), PS_EAUTH);
}

static void a_storage_failure_is_told_as_unavailable(void **state)
{
    struct entity_world *world = *state;
    struct ps_mqtt_login login = { .username = span("TOK") };
    struct ps_device_identity *identity = NULL;
    enum ps_login_refusal why;
    assert_int_equal(ps_db_exec(world->db, "PRAGMA foreign_keys = OFF;"
                                           "DROP TABLE device_credentials"),
                     PS_OK);
    assert_int_equal(ps_mqtt_authenticate(world->db, &login, &identity, &why), PS_ESTORE);
    assert_int_equal(why, PS_LOGIN_REFUSED_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
        TEST(logins_end_as_the_contract_says),
        TEST(bytes_that_are_no_text_match_nothing),
        TEST(a_storage_failure_is_told_as_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
