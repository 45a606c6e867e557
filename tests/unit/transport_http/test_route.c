/* The routing table: which row a method and path find, and that no row is out of reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "transport/rest/routes.h"

static enum ps_rest_match find(enum ps_http_method method, const char *path,
                               const struct ps_rest_route **route, char captures[64],
                               char allow[PS_HTTP_ALLOW_SIZE])
{
    size_t count, len = 0;
    const char *found[PS_REST_CAPTURES_MAX] = { NULL };
    struct ps_http_target target;
    const struct ps_rest_route *routes = ps_rest_routes(&count);
    assert_int_equal(ps_http_target_parse(path, &target, NULL), PS_OK);
    enum ps_rest_match match =
        ps_rest_route_find(routes, count, method, &target, route, found, allow);
    captures[0] = '\0';
    for (size_t i = 0; i < PS_REST_CAPTURES_MAX && found[i]; i++)
        len += (size_t)snprintf(captures + len, 64 - len, "[%s]", found[i]);
    ps_http_target_deinit(&target);
    return match;
}

#define TELEMETRY "/api/plugins/telemetry"

static const struct route_case {
    enum ps_http_method method;
    const char *path;
    void (*handler)(struct ps_rest_call *call);
    const char *captures;
} route_cases[] = {
    { PS_HTTP_POST, "/api/auth/login", ps_rest_login, "" },
    { PS_HTTP_GET, "/api/device/x", ps_rest_device_get, "[x]" },
    { PS_HTTP_POST, "/api/device/credentials", ps_rest_credentials_save, "" },
    { PS_HTTP_GET, "/api/device/x/credentials", ps_rest_credentials_get, "[x]" },
    { PS_HTTP_GET, "/api/device/info/x", ps_rest_device_get_info, "[x]" },
    { PS_HTTP_DELETE, "/api/customer/device/x", ps_rest_device_unassign, "[x]" },
    { PS_HTTP_POST, "/api/customer/c/device/x", ps_rest_device_assign, "[c][x]" },
    { PS_HTTP_GET, "/api/deviceProfileInfo/default", ps_rest_device_profile_info_default, "" },
    { PS_HTTP_GET, "/api/tenant/devices", ps_rest_tenant_devices, "" },
    { PS_HTTP_GET, "/api/tenant/x", ps_rest_tenant_get, "[x]" },
    { PS_HTTP_POST, "/api/ruleChain/metadata", ps_rest_rule_chain_metadata_save, "" },
    { PS_HTTP_GET, "/api/ruleChain/x/metadata", ps_rest_rule_chain_metadata_get, "[x]" },
    { PS_HTTP_GET, TELEMETRY "/DEVICE/x/values/timeseries", ps_rest_timeseries_values,
      "[DEVICE][x]" },
    { PS_HTTP_GET, TELEMETRY "/DEVICE/x/values/attributes/S", ps_rest_attribute_values,
      "[DEVICE][x][S]" },
    { PS_HTTP_POST, TELEMETRY "/DEVICE/x/timeseries/ANY", ps_rest_timeseries_save,
      "[DEVICE][x][ANY]" },
    { PS_HTTP_POST, TELEMETRY "/DEVICE/x/timeseries/ANY/60", ps_rest_timeseries_save,
      "[DEVICE][x][ANY][60]" },
    { PS_HTTP_POST, TELEMETRY "/DEVICE/x/SERVER_SCOPE", ps_rest_attributes_save,
      "[DEVICE][x][SERVER_SCOPE]" },
    { PS_HTTP_POST, TELEMETRY "/DEVICE/x/attributes/S", ps_rest_attributes_save, "[DEVICE][x][S]" },
    { PS_HTTP_POST, TELEMETRY "/x/SHARED_SCOPE", ps_rest_device_attributes_save,
      "[x][SHARED_SCOPE]" },
    { PS_HTTP_DELETE, TELEMETRY "/x/SHARED_SCOPE", ps_rest_device_attributes_delete,
      "[x][SHARED_SCOPE]" },
    { PS_HTTP_DELETE, TELEMETRY "/DEVICE/x/S", ps_rest_attributes_delete, "[DEVICE][x][S]" },
};

static void a_path_finds_its_handler_and_what_is_under_the_braces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof route_cases / sizeof route_cases[0]; i++) {
        const struct route_case *c = &route_cases[i];
        const struct ps_rest_route *route = NULL;
        char captures[64], allow[PS_HTTP_ALLOW_SIZE];
        print_message("%s\n", c->path);
        assert_int_equal(find(c->method, c->path, &route, captures, allow), PS_REST_FOUND);
        assert_ptr_equal(route->handle, c->handler);
        assert_string_equal(captures, c->captures);
    }
}

static void what_is_not_there_is_told_apart_from_a_wrong_method(void **state)
{
    (void)state;
    static const struct {
        enum ps_http_method method;
        const char *path;
        enum ps_rest_match want;
        const char *allow;
    } cases[] = {
        { PS_HTTP_GET, "/api/nope", PS_REST_NO_PATH, "" },
        { PS_HTTP_GET, "/api", PS_REST_NO_PATH, "" },
        { PS_HTTP_GET, "/api/device/", PS_REST_NO_PATH, "" },
        { PS_HTTP_GET, "/api/device/x/", PS_REST_NO_PATH, "" },
        { PS_HTTP_GET, "/api//device/x", PS_REST_NO_PATH, "" },
        { PS_HTTP_GET, "/API/device/x", PS_REST_NO_PATH, "" },
        { PS_HTTP_GET, "/api/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", PS_REST_NO_PATH, "" },
        { PS_HTTP_PUT, "/api/device", PS_REST_NO_METHOD, "POST, OPTIONS" },
        { PS_HTTP_POST, "/api/device/x", PS_REST_NO_METHOD, "GET, HEAD, DELETE, OPTIONS" },
        { PS_HTTP_GET, "/api/auth/login", PS_REST_NO_METHOD, "POST, OPTIONS" },
        { PS_HTTP_OTHER, "/api/auth/user", PS_REST_NO_METHOD, "GET, HEAD, OPTIONS" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ps_rest_route *route = NULL;
        char captures[64], allow[PS_HTTP_ALLOW_SIZE] = "";
        print_message("%s\n", cases[i].path);
        assert_int_equal(find(cases[i].method, cases[i].path, &route, captures, allow),
                         cases[i].want);
        assert_null(route);
        assert_string_equal(allow, cases[i].allow);
    }
}

/* A row is out of reach if its own pattern, with names in the braces, finds an earlier one. */
static void every_row_is_found_by_its_own_path(void **state)
{
    (void)state;
    size_t count;
    const struct ps_rest_route *routes = ps_rest_routes(&count);
    for (size_t i = 0; i < count; i++) {
        char path[256], captures[64], allow[PS_HTTP_ALLOW_SIZE];
        const struct ps_rest_route *found = NULL;
        snprintf(path, sizeof path, "%s", routes[i].pattern);
        for (char *brace = strstr(path, "{}"); brace; brace = strstr(path, "{}"))
            memcpy(brace, "zz", 2);
        print_message("%s\n", path);
        assert_int_equal(find(routes[i].method, path, &found, captures, allow), PS_REST_FOUND);
        assert_ptr_equal(found, &routes[i]);
    }
}

static void only_login_and_refresh_need_no_token(void **state)
{
    (void)state;
    size_t count;
    const struct ps_rest_route *routes = ps_rest_routes(&count);
    for (size_t i = 0; i < count; i++) {
        bool open = routes[i].handle == ps_rest_login || routes[i].handle == ps_rest_refresh;
        print_message("%s\n", routes[i].pattern);
        assert_int_equal(routes[i].who == 0, open);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_handler_and_what_is_under_the_braces),
        cmocka_unit_test(what_is_not_there_is_told_apart_from_a_wrong_method),
        cmocka_unit_test(every_row_is_found_by_its_own_path),
        cmocka_unit_test(only_login_and_refresh_need_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
