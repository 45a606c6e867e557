/* REST, with everything real behind it: shapes of answers, permissions, and that a change is in
 * force when its answer comes. Rows of the contract's section 17 are named by their numbers. */
#include "unit/transport_http/rest_client.h"

/* --- authentication --- */

static void bad_logins_are_refused_alike(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body;
        unsigned status;
        int code;
        const char *message;
    } cases[] = {
        { "{\"username\":\"tenant@thingsboard.org\",\"password\":\"wrong\"}", 401, 10,
          "Invalid username or password" },
        { "{\"username\":\"nobody@x.org\",\"password\":\"wrong\"}", 401, 10,
          "Invalid username or password" },
        { "{\"username\":\"  \",\"password\":\"x\"}", 401, 10, "Authentication failed" },
        { "{\"username\":\"a\"}", 401, 10, "Authentication failed" },
        { "{\"username\":1,\"password\":\"x\"}", 400, 31, NULL },
        { "{\"username\":", 400, 31, NULL },
        { "[]", 400, 31, "JSON parse error: an object is expected" },
        { NULL, 400, 31, "JSON parse error: the body is missing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call_as(f, NULL, PS_HTTP_POST, "/api/auth/login", cases[i].body);
        assert_error(f, cases[i].status, cases[i].code, cases[i].message);
    }
}

static void a_token_is_checked_before_anything_is_answered(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *header;
        int code;
        const char *message;
    } cases[] = {
        { NULL, 10, "Authentication failed" },      { "", 10, "Authentication failed" },
        { "Token x", 10, "Authentication failed" }, { "bearer x", 10, "Authentication failed" },
        { "Bearer junk", 10, "Invalid JWT token" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call_as(f, cases[i].header, PS_HTTP_GET, "/api/auth/user", NULL);
        assert_error(f, 401, cases[i].code, cases[i].message);
    }
    char *forged = strdup(f->tenant);
    char *middle = strrchr(forged, '.') + 5;
    *middle = *middle == 'A' ? 'B' : 'A'; /* of the signature */
    call_as(f, forged, PS_HTTP_GET, "/api/auth/user", NULL);
    assert_error(f, 401, 11, "Token has expired");
    free(forged);
}

static void a_logout_ends_both_tokens_and_their_successors(void **state)
{
    struct fixture *f = *state;
    char body[4096], successor[4096];
    const char *login = "{\"username\":\"tenant@thingsboard.org\",\"password\":\"tenant\"}";
    assert_int_equal(call_as(f, NULL, PS_HTTP_POST, "/api/auth/login", login), 200);
    snprintf(body, sizeof body, "{\"refreshToken\":\"%s\"}",
             json_string_value(json_object_get(f->json, "refreshToken")));
    assert_int_equal(call_as(f, NULL, PS_HTTP_POST, "/api/auth/token", body), 200);
    snprintf(successor, sizeof successor, "Bearer %s",
             json_string_value(json_object_get(f->json, "token")));
    assert_int_equal(call_as(f, successor, PS_HTTP_GET, "/api/auth/user", NULL), 200);

    assert_int_equal(call_as(f, successor, PS_HTTP_POST, "/api/auth/logout", NULL), 200);
    assert_string_equal(f->text, "");
    call_as(f, successor, PS_HTTP_GET, "/api/auth/user", NULL);
    assert_error(f, 401, 11, "Token has expired");
    call_as(f, NULL, PS_HTTP_POST, "/api/auth/token", body);
    assert_error(f, 401, 11, "Token has expired");
    assert_int_equal(GET(f, "/api/auth/user"), 200); /* other sessions go on */
}

static void an_access_token_does_not_refresh(void **state)
{
    struct fixture *f = *state;
    char body[4096];
    snprintf(body, sizeof body, "{\"refreshToken\":\"%s\"}", f->tenant + 7);
    call_as(f, NULL, PS_HTTP_POST, "/api/auth/token", body);
    assert_error(f, 401, 10, "Invalid JWT token");
}

static void a_refresh_token_opens_nothing(void **state)
{
    struct fixture *f = *state;
    char bearer[4096];
    const char *login = "{\"username\":\"tenant@thingsboard.org\",\"password\":\"tenant\"}";
    assert_int_equal(call_as(f, NULL, PS_HTTP_POST, "/api/auth/login", login), 200);
    snprintf(bearer, sizeof bearer, "Bearer %s",
             json_string_value(json_object_get(f->json, "refreshToken")));
    call_as(f, bearer, PS_HTTP_GET, "/api/auth/user", NULL);
    assert_error(f, 401, 10, "Invalid JWT token");
}

/* --- devices --- */

static void a_device_has_every_member_of_the_contract(void **state)
{
    struct fixture *f = *state;
    char id[PS_UUID_TEXT_SIZE], want[2048];
    struct ps_uuid none = PS_UUID_NULL;
    char null_id[PS_UUID_TEXT_SIZE];
    ps_uuid_format(&none, null_id);
    assert_int_equal(POST(f, "/api/device?accessToken=SHAPE",
                          "{\"name\":\"Shape\",\"type\":\"meter\",\"label\":\"\\u00e4\","
                          "\"additionalInfo\":{\"b\":0.1,\"a\":[1,null]},\"unknown\":1}"),
                     200);
    take_id(f, id);
    const char *tenant =
        json_string_value(json_object_get(json_object_get(f->json, "tenantId"), "id"));
    const char *profile =
        json_string_value(json_object_get(json_object_get(f->json, "deviceProfileId"), "id"));
    snprintf(want, sizeof want,
             "{\"id\":{\"entityType\":\"DEVICE\",\"id\":\"%s\"},\"createdTime\":%lld,"
             "\"tenantId\":{\"entityType\":\"TENANT\",\"id\":\"%s\"},"
             "\"customerId\":{\"entityType\":\"CUSTOMER\",\"id\":\"%s\"},\"name\":\"Shape\","
             "\"type\":\"meter\",\"label\":\"\xC3\xA4\","
             "\"deviceProfileId\":{\"entityType\":\"DEVICE_PROFILE\",\"id\":\"%s\"},"
             "\"deviceData\":{\"configuration\":{\"type\":\"DEFAULT\"},"
             "\"transportConfiguration\":{\"type\":\"DEFAULT\"}},\"firmwareId\":null,"
             "\"softwareId\":null,\"externalId\":null,\"version\":1,"
             "\"additionalInfo\":{\"b\":0.1,\"a\":[1,null]}}",
             id, json_integer_value(json_object_get(f->json, "createdTime")), tenant, null_id,
             profile);
    assert_string_equal(f->text, want);
    assert_int_equal(GET(f, AT("/api/device/%s", id)), 200);
    assert_string_equal(f->text, want);
    assert_int_equal(GET(f, "/api/tenant/devices?deviceName=Shape"), 200);
    assert_string_equal(f->text, want);
    assert_int_equal(GET(f, AT("/api/device/info/%s", id)), 200);
    assert_non_null(strstr(f->text, ",\"customerTitle\":null,\"customerIsPublic\":false,"
                                    "\"deviceProfileName\":\"meter\",\"active\":false}"));
    assert_int_equal(GET(f, AT("/api/device/%s/credentials", id)), 200);
    assert_non_null(strstr(f->text, "\"credentialsType\":\"ACCESS_TOKEN\",\"credentialsId\":"
                                    "\"SHAPE\",\"credentialsValue\":null,\"version\":1}"));
}

static void bad_devices_are_refused_and_nothing_is_made(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *target, *body;
        unsigned status;
        int code;
        const char *message;
    } cases[] = {
        { "/api/device", "{\"name\":\"Test Device A1\"}", 400, 31,
          "Device with such name already exists!" },
        { "/api/device?accessToken=A1_TEST_TOKEN", "{\"name\":\"fresh\"}", 400, 31,
          "Device credentials are already assigned to another device!" },
        { "/api/device", "{\"type\":\"meter\"}", 400, 31, "Device name should be specified!" },
        { "/api/device", "{\"name\":\"S3\"", 400, 31, NULL },
        { "/api/device", "{\"name\":3}", 400, 31, "JSON parse error: name must be a string" },
        { "/api/device",
          "{\"name\":\"fresh\",\"deviceProfileId\":{\"id\":\"91a0cd1b-3f5b-4a4a-9ef8-"
          "0f3a0ac0b2f2\"}}",
          400, 31, "Device is referencing non existing device profile!" },
        { "/api/device", "{\"name\":\"fresh\",\"deviceProfileId\":\"x\"}", 400, 31, NULL },
        { "/api/device",
          "{\"id\":{\"id\":\"91a0cd1b-3f5b-4a4a-9ef8-0f3a0ac0b2f2\"},\"name\":\"fresh\"}", 404, 32,
          "Device with id [91a0cd1b-3f5b-4a4a-9ef8-0f3a0ac0b2f2] is not found" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        POST(f, cases[i].target, cases[i].body);
        assert_error(f, cases[i].status, cases[i].code, cases[i].message);
    }
    GET(f, "/api/tenant/device?deviceName=fresh");
    assert_error(f, 404, 32, NULL);
}

static void ids_and_pages_are_checked(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *target;
        unsigned status;
        int code;
        const char *message;
    } cases[] = {
        { "/api/device/not-a-uuid", 400, 31, "Invalid UUID string: not-a-uuid" },
        { "/api/tenant/devices", 400, 31, "Required request parameter 'pageSize' is not present" },
        { "/api/tenant/devices?pageSize=0&page=0", 400, 31, NULL },
        { "/api/tenant/devices?pageSize=1&page=-1", 400, 31, NULL },
        { "/api/tenant/devices?pageSize=x&page=0", 400, 31, NULL },
        { "/api/tenant/devices?pageSize=1&page=0&sortOrder=UP", 400, 31, NULL },
        { "/api/tenant/devices?pageSize=1&page=0&sortProperty=nope", 400, 31,
          "Unknown sort property" },
        { "/api/nope", 404, 32, "Not found" },
        { "/api/auth/login", 405, 31, "Method not allowed" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        GET(f, cases[i].target);
        assert_error(f, cases[i].status, cases[i].code, cases[i].message);
    }
    assert_int_equal(GET(f, "/api/tenant/devices?pageSize=2&page=99"), 200);
    assert_non_null(strstr(f->text, "{\"data\":[],\"totalPages\":"));
    assert_non_null(strstr(f->text, "\"hasNext\":false}"));
}

static void roles_get_what_section_5_gives_them(void **state)
{
    struct fixture *f = *state;
    char b1[PS_UUID_TEXT_SIZE], a1[PS_UUID_TEXT_SIZE];
    assert_int_equal(GET(f, "/api/tenant/device?deviceName=Test%20Device%20B1"), 200);
    take_id(f, b1);
    assert_int_equal(GET(f, "/api/tenant/device?deviceName=Test%20Device%20A1"), 200);
    take_id(f, a1);
    assert_int_equal(call_as(f, f->customer, PS_HTTP_GET, AT("/api/device/%s", a1), NULL), 200);
    const struct {
        const char *bearer;
        enum ps_http_method method;
        const char *target, *body;
    } denied[] = {
        { f->customer, PS_HTTP_GET, AT("/api/device/%s", b1), NULL },
        { f->customer, PS_HTTP_POST, "/api/device", "{\"name\":\"X\"}" },
        { f->customer, PS_HTTP_DELETE, AT("/api/device/%s", a1), NULL },
        { f->customer, PS_HTTP_POST, "/api/device/credentials", "{}" },
        { f->customer, PS_HTTP_GET, "/api/ruleChains?pageSize=1&page=0", NULL },
        { f->sysadmin, PS_HTTP_GET, AT("/api/device/%s", a1), NULL },
        { f->sysadmin, PS_HTTP_GET, AT("/api/plugins/telemetry/DEVICE/%s/keys/timeseries", a1),
          NULL },
        { f->tenant, PS_HTTP_GET, "/api/tenants?pageSize=1&page=0", NULL },
    };
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        print_message("%s\n", denied[i].target);
        call_as(f, denied[i].bearer, denied[i].method, denied[i].target, denied[i].body);
        assert_error(f, 403, 20, NULL);
    }
}

static void changed_credentials_are_in_force_at_once(void **state)
{
    struct fixture *f = *state;
    char id[PS_UUID_TEXT_SIZE], body[512];
    struct ps_identity_cache *cache = f->world.services.identities;
    struct ps_device_identity *identity;
    assert_int_equal(POST(f, "/api/device?accessToken=OLD_TOKEN", "{\"name\":\"Keys\"}"), 200);
    take_id(f, id);
    assert_int_equal(ps_identity_cache_find_token(cache, "OLD_TOKEN", 9, &identity), PS_OK);
    ps_device_identity_release(identity);

    snprintf(body, sizeof body,
             "{\"deviceId\":{\"id\":\"%s\"},\"credentialsType\":\"ACCESS_TOKEN\","
             "\"credentialsId\":\"NEW_TOKEN\"}",
             id);
    assert_int_equal(POST(f, "/api/device/credentials", body), 200);
    assert_non_null(strstr(f->text, "\"credentialsId\":\"NEW_TOKEN\""));
    assert_non_null(strstr(f->text, "\"version\":2}"));
    assert_int_equal(ps_identity_cache_find_token(cache, "OLD_TOKEN", 9, &identity), PS_EAUTH);
    assert_int_equal(ps_identity_cache_find_token(cache, "NEW_TOKEN", 9, &identity), PS_OK);
    ps_device_identity_release(identity);

    assert_int_equal(DELETE(f, AT("/api/device/%s", id)), 200);
    assert_string_equal(f->text, "");
    assert_int_equal(ps_identity_cache_find_token(cache, "NEW_TOKEN", 9, &identity), PS_EAUTH);
    GET(f, AT("/api/device/%s", id));
    assert_error(f, 404, 32, NULL);
}

static void a_stale_version_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    char id[PS_UUID_TEXT_SIZE], body[256];
    assert_int_equal(POST(f, "/api/device", "{\"name\":\"Versions\"}"), 200);
    take_id(f, id);
    for (int version = 1; version <= 2; version++) {
        snprintf(body, sizeof body, "{\"id\":{\"id\":\"%s\"},\"name\":\"Versions\",\"version\":1}",
                 id);
        POST(f, "/api/device", body);
        if (version == 1)
            assert_int_equal(json_integer_value(json_object_get(f->json, "version")), 2);
        else
            assert_error(f, 409, 35, "Device was already changed by someone else");
    }
}

/* --- telemetry and attributes --- */

static void telemetry_is_read_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    char id[PS_UUID_TEXT_SIZE];
    assert_int_equal(POST(f, "/api/device", "{\"name\":\"Values\"}"), 200);
    take_id(f, id);
    const char *base = AT("/api/plugins/telemetry/DEVICE/%s", id);
    assert_int_equal(
        POST(f, AT("%s/timeseries/ANY", base),
             "[{\"ts\":1000,\"values\":{\"k\":10,\"s\":\"a\\\"b\",\"j\":{\"x\":1}}},"
             "{\"ts\":2000,\"values\":{\"k\":20}},{\"ts\":3000,\"values\":{\"k\":30}}]"),
        200);
    assert_string_equal(f->text, "");
    static const struct {
        const char *query, *want;
    } cases[] = {
        { "keys=k,s,j", "{\"k\":[{\"ts\":3000,\"value\":\"30\"}],\"s\":[{\"ts\":1000,\"value\":"
                        "\"a\\\"b\"}],\"j\":[{\"ts\":1000,\"value\":\"{\\\"x\\\":1}\"}]}" },
        { "keys=k,j&useStrictDataTypes=true",
          "{\"k\":[{\"ts\":3000,\"value\":30}],\"j\":[{\"ts\":1000,\"value\":{\"x\":1}}]}" },
        { "keys=k&startTs=0&endTs=4000&interval=2000&agg=AVG",
          "{\"k\":[{\"ts\":1000,\"value\":\"10.0\"},{\"ts\":3000,\"value\":\"25.0\"}]}" },
        { "keys=k,none&startTs=0&endTs=4000&limit=2",
          "{\"k\":[{\"ts\":3000,\"value\":\"30\"},{\"ts\":2000,\"value\":\"20\"}]}" },
        { "keys=k&startTs=0&endTs=3000&orderBy=ASC",
          "{\"k\":[{\"ts\":1000,\"value\":\"10\"},{\"ts\":2000,\"value\":\"20\"}]}" },
        { "startTs=0&endTs=4000", "{}" },
        { "keys=k&startTs=4000&endTs=0", "{}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(GET(f, AT("%s/values/timeseries?%s", base, cases[i].query)), 200);
        assert_string_equal(f->text, cases[i].want);
    }
    static const char *const bad[] = {
        "keys=k&startTs=0&endTs=10000000&interval=1&agg=AVG",
        "keys=k&startTs=4000&endTs=0&interval=1000&agg=AVG",
        "keys=k&startTs=0&endTs=1&agg=avg",
        "keys=k&startTs=0&endTs=1&intervalType=YEAR",
        "keys=k&startTs=0&endTs=1&timeZone=Mars/Olympus",
        "keys=k&startTs=0&endTs=1&orderBy=UP",
        "keys=k&startTs=zero&endTs=1",
        "keys=k&useStrictDataTypes=1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        print_message("%s\n", bad[i]);
        GET(f, AT("%s/values/timeseries?%s", base, bad[i]));
        assert_error(f, 400, 31, NULL);
    }
    assert_int_equal(GET(f, AT("%s/values/timeseries?keys=none", base)), 200);
    assert_non_null(strstr(f->text, "\"value\":null"));
    assert_int_equal(GET(f, AT("%s/keys/timeseries", base)), 200);
    assert_string_equal(f->text, "[\"j\",\"k\",\"s\"]");
}

static void attributes_are_written_read_and_deleted_by_scope(void **state)
{
    struct fixture *f = *state;
    char id[PS_UUID_TEXT_SIZE];
    assert_int_equal(POST(f, "/api/device", "{\"name\":\"Scopes\"}"), 200);
    take_id(f, id);
    const char *base = AT("/api/plugins/telemetry/DEVICE/%s", id);
    assert_int_equal(POST(f, AT("%s/SHARED_SCOPE", base), "{\"limit\":30}"), 200);
    assert_int_equal(POST(f, AT("%s/attributes/SERVER_SCOPE", base), "{\"limit\":true}"), 200);
    assert_int_equal(POST(f, AT("/api/plugins/telemetry/%s/SERVER_SCOPE", id), "{\"x\":\"y\"}"),
                     200);

    assert_int_equal(GET(f, AT("%s/values/attributes?keys=limit", base)), 200);
    assert_int_equal(json_array_size(f->json), 2);
    assert_int_equal(GET(f, AT("%s/values/attributes/SHARED_SCOPE?keys=limit,zz", base)), 200);
    assert_non_null(strstr(f->text, "\"key\":\"limit\",\"value\":30}]"));
    assert_int_equal(GET(f, AT("%s/keys/attributes/SERVER_SCOPE", base)), 200);
    assert_string_equal(f->text, "[\"limit\",\"x\"]");
    assert_int_equal(DELETE(f, AT("%s/SERVER_SCOPE?keys=limit,zz", base)), 200);
    assert_int_equal(GET(f, AT("%s/keys/attributes", base)), 200);
    assert_string_equal(f->text, "[\"limit\",\"x\"]"); /* the shared one, the server's x */

    POST(f, AT("%s/CLIENT_SCOPE", base), "{\"a\":1}");
    assert_error(f, 400, 31, "Invalid scope: CLIENT_SCOPE");
    POST(f, AT("%s/BAD_SCOPE", base), "{\"a\":1}");
    assert_error(f, 400, 31, "Invalid scope: BAD_SCOPE");
    POST(f, AT("%s/SERVER_SCOPE", base), "{}");
    assert_error(f, 400, 31, "No attributes data found in request body!");
    POST(f, AT("%s/SERVER_SCOPE", base), "[1]");
    assert_error(f, 400, 31, NULL);
    DELETE(f, AT("%s/SERVER_SCOPE", base));
    assert_error(f, 400, 31, "No keys are specified!");
    GET(f, AT("/api/plugins/telemetry/device/%s/keys/attributes", id));
    assert_error(f, 400, 31, NULL);
    GET(f, AT("/api/plugins/telemetry/ASSET/%s/keys/attributes", id));
    assert_error(f, 404, 32, NULL);
}

/* --- rule chains --- */

static void a_saved_graph_is_checked_stored_and_live(void **state)
{
    struct fixture *f = *state;
    char id[PS_UUID_TEXT_SIZE], body[1024];
    struct ps_uuid chain, tenant;
    assert_int_equal(POST(f, "/api/ruleChain", "{\"name\":\"Graph\"}"), 200);
    assert_non_null(strstr(f->text, "\"firstRuleNodeId\":null,\"root\":false,"));
    take_id(f, id);
    const char *owner =
        json_string_value(json_object_get(json_object_get(f->json, "tenantId"), "id"));
    assert_int_equal(ps_uuid_parse(id, strlen(id), &chain), PS_OK);
    assert_int_equal(ps_uuid_parse(owner, strlen(owner), &tenant), PS_OK);

    static const char graph[] =
        "{\"ruleChainId\":{\"entityType\":\"RULE_CHAIN\",\"id\":\"%s\"},\"firstNodeIndex\":%s,"
        "\"version\":%d,\"nodes\":[{\"type\":\"org.thingsboard.rule.engine.filter.TbJsFilterNode\","
        "\"name\":\"f\",\"configuration\":{\"script\":\"%s\"}}],\"connections\":[%s],"
        "\"ruleChainConnections\":null}";
    snprintf(body, sizeof body, graph, id, "0", 1, "return true",
             "{\"fromIndex\":0,\"toIndex\":0,"
             "\"type\":\"True\"}");
    POST(f, "/api/ruleChain/metadata", body);
    assert_error(f, 400, 31, "Can't create the relation to yourself.");
    assert_int_equal(json_array_size(json_object_get(f->json, "errors")), 1);
    snprintf(body, sizeof body, graph, id, "0", 1, "retu", "");
    POST(f, "/api/ruleChain/metadata", body);
    assert_error(f, 400, 31, NULL);
    assert_int_equal(GET(f, AT("/api/ruleChain/%s/metadata", id)), 200);
    assert_int_equal(json_array_size(json_object_get(f->json, "nodes")), 0); /* nothing stored */

    snprintf(body, sizeof body, graph, id, "0", 1, "return true", "");
    assert_int_equal(POST(f, "/api/ruleChain/metadata", body), 200);
    assert_int_equal(json_integer_value(json_object_get(f->json, "version")), 2);
    assert_non_null(strstr(f->text, "\"type\":\"filter.script\""));
    assert_non_null(strstr(f->text, "\"connections\":[],\"ruleChainConnections\":[]"));
    const struct ps_program *program = ps_chains_find(f->world.services.chains, &tenant, &chain);
    assert_non_null(program);
    assert_int_equal(program->node_count, 1);
    ps_program_release(program);
    assert_int_equal(GET(f, AT("/api/ruleChain/%s/metadata?format=reference", id)), 200);
    assert_non_null(strstr(f->text, "org.thingsboard.rule.engine.filter.TbJsFilterNode"));
    POST(f, "/api/ruleChain/metadata", body);
    assert_error(f, 409, 35, NULL); /* version 1 is stale by now */

    assert_int_equal(POST(f, AT("/api/ruleChain/%s/root", id), NULL), 200);
    assert_true(json_is_true(json_object_get(f->json, "root")));
    DELETE(f, AT("/api/ruleChain/%s", id));
    assert_error(f, 400, 31, "Deletion of Root Tenant Rule Chain is prohibited!");
}

static void everybody_may_ask_version_and_time(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(call_as(f, f->customer, PS_HTTP_GET, "/api/system/info", NULL), 200);
    assert_string_equal(json_string_value(json_object_get(f->json, "version")), "4.4.0");
    assert_int_equal(call_as(f, f->sysadmin, PS_HTTP_GET, "/api/dashboard/serverTime", NULL), 200);
    assert_true(json_integer_value(f->json) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_logins_are_refused_alike),
        cmocka_unit_test(a_token_is_checked_before_anything_is_answered),
        cmocka_unit_test(a_logout_ends_both_tokens_and_their_successors),
        cmocka_unit_test(an_access_token_does_not_refresh),
        cmocka_unit_test(a_refresh_token_opens_nothing),
        cmocka_unit_test(a_device_has_every_member_of_the_contract),
        cmocka_unit_test(bad_devices_are_refused_and_nothing_is_made),
        cmocka_unit_test(ids_and_pages_are_checked),
        cmocka_unit_test(roles_get_what_section_5_gives_them),
        cmocka_unit_test(changed_credentials_are_in_force_at_once),
        cmocka_unit_test(a_stale_version_is_a_conflict),
        cmocka_unit_test(telemetry_is_read_as_it_was_written),
        cmocka_unit_test(attributes_are_written_read_and_deleted_by_scope),
        cmocka_unit_test(a_saved_graph_is_checked_stored_and_live),
        cmocka_unit_test(everybody_may_ask_version_and_time),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
