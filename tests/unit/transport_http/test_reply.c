/* Error answers: section 2 of the REST contract, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/clock.h"
#include "transport/http/reply.h"

static int freeze(void **state)
{
    (void)state;
    ps_clock_set_for_test(1719830400000, 0);
    return 0;
}

static int thaw(void **state)
{
    (void)state;
    ps_clock_set_for_test(-1, -1);
    return 0;
}

static void an_error_has_the_body_of_the_contract(void **state)
{
    (void)state;
    struct ps_http_reply reply = { 0 };
    ps_http_reply_error(&reply, 404, PS_HTTP_NOT_FOUND, "Device with id [%s] is not found", "x\"y");
    assert_int_equal(reply.status, 404);
    assert_string_equal(reply.content_type, PS_HTTP_JSON);
    assert_string_equal(ps_buf_cstr(&reply.body),
                        "{\"status\":404,\"message\":\"Device with id [x\\\"y] is not found\","
                        "\"errorCode\":32,\"timestamp\":1719830400000}");
    assert_false(reply.retry_after);
    assert_false(reply.close);
    ps_http_reply_deinit(&reply);
}

static const struct failure_case {
    enum ps_status st;
    const char *given;
    unsigned status;
    const char *message, *code;
    bool retry;
} failure_cases[] = {
    { PS_EPROTO, "bad at 3", 400, "\"bad at 3\"", "\"errorCode\":31,", false },
    { PS_EINVAL, NULL, 400, "\"invalid value\"", "\"errorCode\":31,", false },
    { PS_ELIMIT, "long", 400, "\"long\"", "\"errorCode\":31,", false },
    { PS_EEXISTS, "taken", 400, "\"taken\"", "\"errorCode\":31,", false },
    { PS_EAUTH, "secret reason", 401, "\"Authentication failed\"", "\"errorCode\":10,", false },
    { PS_EDENIED, NULL, 403, "\"You don't have permission to perform this operation!\"",
      "\"errorCode\":20,", false },
    { PS_ENOTFOUND, "", 404, "\"not found\"", "\"errorCode\":32,", false },
    { PS_ECONFLICT, "stale", 409, "\"stale\"", "\"errorCode\":35,", false },
    { PS_EBUSY, NULL, 503, "\"Too busy, try again later\"", "\"errorCode\":2,", true },
    { PS_ETIMEOUT, NULL, 503, "\"Request timeout\"", "\"errorCode\":2,", true },
    { PS_ECLOSED, NULL, 503, "\"The server is shutting down\"", "\"errorCode\":2,", true },
    { PS_EFULL, "/var/db", 507, "\"Disk full\"", "\"errorCode\":46,", false },
    { PS_ESTORE, "SELECT x", 500, "\"Database error\"", "\"errorCode\":46,", false },
    { PS_EIO, NULL, 500, "\"system call failed\"", "\"errorCode\":2,", false },
};

static void a_failed_operation_has_its_status_code_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failure_cases / sizeof failure_cases[0]; i++) {
        const struct failure_case *c = &failure_cases[i];
        struct ps_http_reply reply = { 0 };
        ps_http_reply_failure(&reply, c->st, c->given);
        print_message("%s\n", ps_status_text(c->st));
        assert_int_equal(reply.status, c->status);
        assert_non_null(strstr(ps_buf_cstr(&reply.body), c->message));
        assert_non_null(strstr(ps_buf_cstr(&reply.body), c->code));
        assert_int_equal(reply.retry_after, c->retry);
        ps_http_reply_deinit(&reply);
    }
}

static void the_last_word_counts(void **state)
{
    (void)state;
    struct ps_http_reply reply = { 0 };
    ps_http_reply_failure(&reply, PS_EBUSY, NULL);
    reply.close = true;
    strcpy(reply.allow, "GET");
    ps_http_reply_empty(&reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, 0);
    assert_null(reply.content_type);
    assert_false(reply.retry_after);
    assert_false(reply.close);
    assert_string_equal(reply.allow, "");
    ps_http_reply_deinit(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_the_body_of_the_contract),
        cmocka_unit_test(a_failed_operation_has_its_status_code_and_text),
        cmocka_unit_test(the_last_word_counts),
    };
    return cmocka_run_group_tests(tests, freeze, thaw);
}
