/* Paths, methods and queries of CoAP requests: device contract, sections 1.4 and 9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "transport/coap/request.h"

#define G PS_COAP_GET
#define P PS_COAP_POST
#define O PS_COAP_OTHER_METHOD

/* `path` is split at '|' into Uri-Path options. */
static void add_path(struct ps_coap_request *request, const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "|");
        ps_coap_request_add_path(request, path, len);
        if (path[len] == '\0')
            return;
        path += len + 1;
    }
}

static const struct target_case {
    enum ps_coap_method method;
    const char *path;
    enum ps_coap_target want;
    const char *token; /* NULL: must stay unset */
} target_cases[] = {
    { P, "api|v1|tok|telemetry", PS_COAP_TELEMETRY, "tok" },
    { P, "api|v1|tok|attributes", PS_COAP_ATTRIBUTES, "tok" },
    { G, "api|v1|tok|attributes", PS_COAP_READ_ATTRIBUTES, "tok" },
    { P, "API|V1|Tok|TeleMetry", PS_COAP_TELEMETRY, "Tok" },
    { P, "api/v1/tok/telemetry", PS_COAP_TELEMETRY, "tok" },
    { P, "/api/v1/tok/telemetry/", PS_COAP_TELEMETRY, "tok" },
    { P, "api/v1|tok/telemetry", PS_COAP_TELEMETRY, "tok" },
    { P, "api||v1|tok|telemetry|", PS_COAP_TELEMETRY, "tok" },

    { G, "api|v1|tok|telemetry", PS_COAP_NO_FEATURE, "tok" },
    { G, "api|v1|tok|rpc", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|rpc|5", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|claim", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|foo", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|telemetryx", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|telemetr", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|telemetry|x", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok|telemetry|a|b|c|d|e", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|tok", PS_COAP_NO_FEATURE, "tok" },
    { P, "api|v1|telemetry", PS_COAP_NO_FEATURE, "telemetry" },
    { G, "api|v1|provision", PS_COAP_NO_FEATURE, "provision" },

    { P, "api|v1|provision", PS_COAP_BAD_PATH, NULL },
    { P, "api|v2|tok|telemetry", PS_COAP_BAD_PATH, NULL },
    { G, "api|foo", PS_COAP_BAD_PATH, NULL },
    { G, "api", PS_COAP_TOKENLESS, NULL },
    { P, "api|v1", PS_COAP_TOKENLESS, NULL },
    { G, "fw", PS_COAP_TOKENLESS, NULL },

    { O, "api|v1|tok|telemetry", PS_COAP_WRONG_METHOD, NULL },
    { O, "api", PS_COAP_WRONG_METHOD, NULL },
    { P, "fw|tok", PS_COAP_WRONG_METHOD, NULL },
    { O, "sw|tok", PS_COAP_WRONG_METHOD, NULL },
    { G, "fw|tok", PS_COAP_PACKAGE, "tok" },
    { G, "SW|tok", PS_COAP_PACKAGE, "tok" },
    { G, "fw|tok|x", PS_COAP_NO_FEATURE, "tok" },

    { G, "", PS_COAP_OUTSIDE, NULL },
    { G, "///", PS_COAP_OUTSIDE, NULL },
    { G, "foo", PS_COAP_OUTSIDE, NULL },
    { O, "foo", PS_COAP_OUTSIDE, NULL },
    { P, "apix|v1|tok|telemetry", PS_COAP_OUTSIDE, NULL },
};

static void a_path_names_a_target(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof target_cases / sizeof *target_cases; i++) {
        const struct target_case *c = &target_cases[i];
        struct ps_coap_request request;
        struct ps_coap_span token = { NULL, 0 };
        ps_coap_request_init(&request, c->method);
        add_path(&request, c->path);
        enum ps_coap_target target = ps_coap_request_target(&request, &token);
        if (target != c->want)
            fail_msg("%s: %d, not %d", c->path, (int)target, (int)c->want);
        if (!c->token) {
            assert_null(token.data);
            continue;
        }
        assert_int_equal(token.len, strlen(c->token));
        assert_memory_equal(token.data, c->token, token.len);
    }
}

static void add_query(struct ps_coap_request *request, const char *text)
{
    ps_coap_request_add_query(request, text, strlen(text));
}

static void a_query_gives_the_first_of_each_list(void **state)
{
    (void)state;
    struct ps_coap_request request;
    ps_coap_request_init(&request, PS_COAP_GET);
    add_query(&request, "clientkeys=no");
    add_query(&request, "clientKeys");
    add_query(&request, "x=1");
    add_query(&request, "");
    assert_null(request.client_keys.data);
    add_query(&request, "clientKeys=a,b");
    add_query(&request, "clientKeys=c");
    add_query(&request, "sharedKeys=");
    assert_int_equal(request.client_keys.len, 3);
    assert_memory_equal(request.client_keys.data, "a,b", 3);
    assert_non_null(request.shared_keys.data);
    assert_int_equal(request.shared_keys.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_names_a_target),
        cmocka_unit_test(a_query_gives_the_first_of_each_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
