/* rest: the way of every call: route, content type, token, role, handler. See the header. */
#include "transport/rest/rest.h"

#include <stdlib.h>
#include <strings.h>

#include "core/auth/session_registry.h"
#include "core/clock.h"
#include "core/config.h"
#include "transport/rest/call.h"
#include "transport/rest/routes.h"

enum ps_status ps_rest_create(const struct ps_services *services, struct ps_rest **out)
{
    struct ps_rest *rest = calloc(1, sizeof *rest);
    if (!rest)
        return PS_ENOMEM;
    rest->services = services;
    rest->jwt = (struct ps_jwt_settings){
        .key = services->jwt_key,
        .key_len = services->jwt_key_len,
        .issuer = services->config->auth_token_issuer,
        .access_s = services->config->auth_access_token_s,
        .refresh_s = services->config->auth_refresh_token_s,
    };
    *out = rest;
    return PS_OK;
}

void ps_rest_destroy(struct ps_rest *rest)
{
    free(rest);
}

/* --- token --- */

static void unauthenticated(struct ps_rest_call *call, enum ps_http_error code, const char *message)
{
    ps_http_reply_error(call->reply, 401, code, "%s", message);
}

static bool authenticate(struct ps_rest_call *call)
{
    const struct ps_http_call *http = call->http;
    const char *header = http->x_authorization ? http->x_authorization : http->authorization;
    static const char scheme[] = "Bearer ";
    size_t scheme_len = sizeof scheme - 1;
    if (!header || strncmp(header, scheme, scheme_len) != 0) {
        unauthenticated(call, PS_HTTP_AUTHENTICATION, "Authentication failed");
        return false;
    }
    const char *token = header + scheme_len;
    enum ps_status st =
        ps_jwt_verify(&call->rest->jwt, token, strlen(token), ps_clock_now_ms(), &call->claims);
    if (st == PS_ENOMEM) {
        ps_http_reply_failure(call->reply, st, NULL);
        return false;
    }
    if (st == PS_EAUTH || st == PS_ETIMEOUT ||
        (st == PS_OK && ps_session_registry_is_revoked(call->services->sessions, &call->claims))) {
        unauthenticated(call, PS_HTTP_TOKEN_EXPIRED, "Token has expired");
        return false;
    }
    if (st != PS_OK || call->claims.is_refresh) {
        unauthenticated(call, PS_HTTP_AUTHENTICATION, "Invalid JWT token");
        return false;
    }
    return true;
}

/* --- the way of a call --- */

/* "application/json", alone or with parameters. */
static bool is_json_type(const char *content_type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    if (!content_type)
        return true;
    return strncasecmp(content_type, json, len) == 0 && strchr("; ", content_type[len]);
}

static bool find_route(struct ps_rest_call *call, const struct ps_rest_route **out)
{
    size_t count;
    const struct ps_rest_route *routes = ps_rest_routes(&count);
    char allow[PS_HTTP_ALLOW_SIZE];
    switch (ps_rest_route_find(routes, count, call->http->method, &call->http->target, out,
                               call->captures, allow)) {
    case PS_REST_FOUND:
        return true;
    case PS_REST_NO_METHOD:
        ps_http_reply_error(call->reply, 405, PS_HTTP_BAD_REQUEST, "Method not allowed");
        memcpy(call->reply->allow, allow, sizeof allow);
        return false;
    case PS_REST_NO_PATH:
        break;
    }
    ps_http_reply_error(call->reply, 404, PS_HTTP_NOT_FOUND, "Not found");
    return false;
}

void ps_rest_handle(void *rest_arg, struct ps_http_call *http, struct ps_db *db)
{
    const struct ps_rest *rest = rest_arg;
    struct ps_rest_call call = {
        .rest = rest,
        .services = rest->services,
        .db = db,
        .http = http,
        .reply = &http->reply,
    };
    const struct ps_rest_route *route;
    call.principal = &call.claims.principal;

    if (!find_route(&call, &route))
        return;
    if (route->who != 0 && !authenticate(&call))
        return;
    if (route->who != 0 && !(route->who & 1u << call.principal->authority)) {
        ps_rest_forbidden(&call);
        return;
    }
    if (route->body == PS_REST_JSON && !is_json_type(http->content_type)) {
        ps_http_reply_error(call.reply, 415, PS_HTTP_BAD_REQUEST,
                            "Content-Type '%s' is not supported", http->content_type);
        return;
    }
    route->handle(&call);
    PS_ASSERT(call.reply->status != 0);
}
