/* Whose connection it is, for every way the header may be cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "transport/front/verdict.h"

static enum ps_front_verdict judge(const char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1); /* reading past it is seen */
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    enum ps_front_verdict verdict = ps_front_judge(exact, len);
    free(exact);
    return verdict;
}

#define REST " HTTP/1.1\r\nHost: x\r\n\r\n"

static const struct verdict_case {
    const char *bytes;
    enum ps_front_verdict want;
} whole_headers[] = {
    { "GET /" REST, PS_FRONT_HTTP },
    { "POST /api/v1/token/telemetry" REST, PS_FRONT_HTTP },
    { "GET /api/ws" REST, PS_FRONT_WEBSOCKET },
    { "GET /api/ws?token=x" REST, PS_FRONT_WEBSOCKET },
    { "GET /api/ws/plugins/telemetry?token=x" REST, PS_FRONT_WEBSOCKET },
    { "GET http://host:8080/api/ws/x" REST, PS_FRONT_WEBSOCKET },
    { "\r\n\r\nGET /api/ws" REST, PS_FRONT_WEBSOCKET },
    { "GET /api/ws HTTP/1.1\nHost: x\n\n", PS_FRONT_WEBSOCKET },
    { "GET /api/wsx" REST, PS_FRONT_HTTP },
    { "GET /api/w" REST, PS_FRONT_HTTP },
    { "GET /x/api/ws" REST, PS_FRONT_HTTP },
    { "GET /?u=http://h/api/ws" REST, PS_FRONT_HTTP },
    { "GET /x\r\nReferer: /api/ws\r\n\r\n", PS_FRONT_HTTP },
    { "GET" REST, PS_FRONT_HTTP },
    { "GET  /api/ws" REST, PS_FRONT_HTTP },
    { "GARBAGE\r\n\r\n", PS_FRONT_HTTP },
};

static void a_whole_header_tells(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole_headers / sizeof whole_headers[0]; i++) {
        const struct verdict_case *c = &whole_headers[i];
        print_message("%s\n", c->bytes);
        assert_int_equal(judge(c->bytes, strlen(c->bytes)), c->want);
    }
}

static void no_part_of_a_header_is_enough(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whole_headers / sizeof whole_headers[0]; i++) {
        const char *bytes = whole_headers[i].bytes;
        for (size_t len = 0; len < strlen(bytes); len++)
            assert_int_equal(judge(bytes, len), PS_FRONT_MORE);
    }
}

static void what_is_not_http_is_closed_at_its_first_byte(void **state)
{
    (void)state;
    static const char *const others[] = { "\x16\x03\x01", "\x10\x20", "{", "1", " GET", "/api/ws" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(judge(others[i], 1), PS_FRONT_CLOSE);
}

static void a_header_longer_than_the_peek_is_handed_over(void **state)
{
    (void)state;
    static char bytes[PS_FRONT_PEEK_SIZE];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "GET /api/ws HTTP/1.1\r\nCookie: ", 30);
    assert_int_equal(judge(bytes, sizeof bytes - 1), PS_FRONT_MORE);
    assert_int_equal(judge(bytes, sizeof bytes), PS_FRONT_WEBSOCKET);
    memset(bytes, 'x', sizeof bytes); /* not even a line */
    assert_int_equal(judge(bytes, sizeof bytes), PS_FRONT_HTTP);
    memset(bytes, '\n', sizeof bytes);
    assert_int_equal(judge(bytes, sizeof bytes), PS_FRONT_CLOSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_header_tells),
        cmocka_unit_test(no_part_of_a_header_is_enough),
        cmocka_unit_test(what_is_not_http_is_closed_at_its_first_byte),
        cmocka_unit_test(a_header_longer_than_the_peek_is_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
