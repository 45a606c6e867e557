#include "transport/rest/route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool matches(const char *pattern, const struct ps_http_target *target,
                    const char *captures[PS_REST_CAPTURES_MAX])
{
    size_t captured = 0;
    if (target->segment_count > PS_HTTP_SEGMENTS_MAX)
        return false;
    for (size_t i = 0; i < target->segment_count; i++) {
        const char *segment = target->segments[i];
        if (*pattern++ != '/')
            return false;
        size_t len = strcspn(pattern, "/");
        if (len == 2 && memcmp(pattern, "{}", 2) == 0) {
            if (*segment == '\0' || captured == PS_REST_CAPTURES_MAX)
                return false;
            captures[captured++] = segment;
        } else if (strlen(segment) != len || memcmp(segment, pattern, len) != 0) {
            return false;
        }
        pattern += len;
    }
    return *pattern == '\0';
}

static void allow_text(unsigned methods, char out[PS_HTTP_ALLOW_SIZE])
{
    static const char *const names[] = { "GET, HEAD, ", "POST, ", "PUT, ", "DELETE, " };
    size_t len = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (methods & 1u << i)
            len += (size_t)snprintf(out + len, PS_HTTP_ALLOW_SIZE - len, "%s", names[i]);
    snprintf(out + len, PS_HTTP_ALLOW_SIZE - len, "OPTIONS");
}

enum ps_rest_match
ps_rest_route_find(const struct ps_rest_route *routes, size_t count, enum ps_http_method method,
                   const struct ps_http_target *target, const struct ps_rest_route **out,
                   const char *captures[PS_REST_CAPTURES_MAX], char allow[PS_HTTP_ALLOW_SIZE])
{
    unsigned methods = 0;
    for (size_t i = 0; i < count; i++) {
        const char *found[PS_REST_CAPTURES_MAX] = { NULL };
        if (!matches(routes[i].pattern, target, found))
            continue;
        if (routes[i].method == method) {
            memcpy(captures, found, sizeof found);
            *out = &routes[i];
            return PS_REST_FOUND;
        }
        methods |= 1u << routes[i].method;
    }
    if (methods == 0)
        return PS_REST_NO_PATH;
    allow_text(methods, allow);
    return PS_REST_NO_METHOD;
}
