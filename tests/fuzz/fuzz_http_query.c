/* The front of an HTTP request: the first bytes of a connection, the request target, its route. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "transport/front/verdict.h"
#include "transport/http/target.h"
#include "transport/rest/routes.h"

static void check_text(const char *text)
{
    size_t len = strlen(text), bad;
    for (size_t i = 0; i < len;) {
        size_t step = ps_utf8_sequence(text + i, len - i, &bad);
        PS_ASSERT(step > 0); /* only UTF-8 comes out */
        i += step;
    }
}

static void check_routes(const struct ps_http_target *target)
{
    size_t count;
    const struct ps_rest_route *routes = ps_rest_routes(&count), *found = NULL;
    for (int method = PS_HTTP_GET; method <= PS_HTTP_OTHER; method++) {
        const char *captures[PS_REST_CAPTURES_MAX] = { NULL };
        char allow[PS_HTTP_ALLOW_SIZE] = "";
        enum ps_rest_match match = ps_rest_route_find(routes, count, (enum ps_http_method)method,
                                                      target, &found, captures, allow);
        PS_ASSERT(match != PS_REST_FOUND || found->method == (enum ps_http_method)method);
        PS_ASSERT(match != PS_REST_NO_METHOD || allow[0]);
    }
}

static void check_target(const char *text)
{
    struct ps_http_target target;
    struct ps_text why = { "" };
    enum ps_status st = ps_http_target_parse(text, &target, &why);
    if (st != PS_OK) {
        PS_ASSERT(st == PS_EPROTO || st == PS_ELIMIT);
        PS_ASSERT(why.data[0]);
        return;
    }
    PS_ASSERT(target.segment_count >= 1 && target.segment_count <= PS_HTTP_SEGMENTS_MAX + 1);
    for (size_t i = 0; i < target.segment_count && i < PS_HTTP_SEGMENTS_MAX; i++)
        check_text(target.segments[i]);
    for (size_t i = 0; i < target.param_count; i++) {
        check_text(target.params[i].name);
        check_text(target.params[i].value);
        PS_ASSERT(ps_http_param(&target, target.params[i].name));
    }
    check_routes(&target);
    ps_http_target_deinit(&target);
}

/* More bytes never take a verdict back. */
static void check_verdict(const uint8_t *data, size_t size)
{
    size_t len = size > PS_FRONT_PEEK_SIZE ? PS_FRONT_PEEK_SIZE : size;
    enum ps_front_verdict half = ps_front_judge((const char *)data, len / 2);
    enum ps_front_verdict whole = ps_front_judge((const char *)data, len);
    PS_ASSERT(half == PS_FRONT_MORE || half == whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_target(text);
    check_verdict(data, size);
    free(text);
    return 0;
}
