/* route: which handler answers a method and path; pure.
 *
 * A pattern is "/api/device/{}": a pair of braces stands for one segment that is not empty. The
 * first row that fits wins, so literal rows come before those with braces. */
#ifndef PS_TRANSPORT_REST_ROUTE_H
#define PS_TRANSPORT_REST_ROUTE_H

#include <stddef.h>

#include "transport/http/call.h"

struct ps_rest_call;

enum { PS_REST_CAPTURES_MAX = 4 };

/* Who may call: authorities as bits; 0 = anybody, without a token. */
enum {
    PS_REST_SA = 1 << 0, /* 1 << enum ps_authority */
    PS_REST_TA = 1 << 1,
    PS_REST_CU = 1 << 2,
    PS_REST_ALL = PS_REST_SA | PS_REST_TA | PS_REST_CU,
};

enum ps_rest_body {
    PS_REST_RAW,  /* any content type, or no body */
    PS_REST_JSON, /* application/json, if a type is told: else 415 */
};

struct ps_rest_route {
    enum ps_http_method method;
    const char *pattern;
    unsigned who;
    enum ps_rest_body body;
    void (*handle)(struct ps_rest_call *call);
};

enum ps_rest_match {
    PS_REST_FOUND,
    PS_REST_NO_PATH,   /* 404 */
    PS_REST_NO_METHOD, /* 405 */
};

/**
 * Find the row for a call.
 *
 * @param captures  FOUND: the segments under the braces, in order; they live as long as `target`
 * @param allow     NO_METHOD: the methods this path has, "GET, HEAD, POST, OPTIONS"
 */
enum ps_rest_match
ps_rest_route_find(const struct ps_rest_route *routes, size_t count, enum ps_http_method method,
                   const struct ps_http_target *target, const struct ps_rest_route **out,
                   const char *captures[PS_REST_CAPTURES_MAX], char allow[PS_HTTP_ALLOW_SIZE]);

#endif
