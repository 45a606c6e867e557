/* call: one REST call in the hands of its handler: who asks, what for, and the ways to answer.
 *
 * Functions that return bool have already answered the error when they return false: the handler
 * just returns. */
#ifndef PS_TRANSPORT_REST_CALL_H
#define PS_TRANSPORT_REST_CALL_H

#include <stdbool.h>

#include "core/auth/jwt.h"
#include "core/auth/permission.h"
#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"
#include "transport/http/call.h"
#include "transport/rest/answer.h"
#include "transport/rest/route.h"
#include "transport/services.h"

struct ps_rest {
    const struct ps_services *services;
    struct ps_jwt_settings jwt;
};

struct ps_rest_call {
    const struct ps_rest *rest;
    const struct ps_services *services;
    struct ps_db *db; /* the reader's connection */
    struct ps_http_call *http;
    struct ps_http_reply *reply;          /* of `http` */
    struct ps_jwt_claims claims;          /* zeroed on routes for anybody */
    const struct ps_principal *principal; /* of the claims */
    const char *captures[PS_REST_CAPTURES_MAX];
};

/* --- what was asked --- */

/** Parse a UUID from the path or query, or answer 400. `text` is not NULL. */
bool ps_rest_uuid(struct ps_rest_call *call, const char *text, struct ps_uuid *out);
/** A query parameter, or NULL. */
const char *ps_rest_param(const struct ps_rest_call *call, const char *name);
/** A query parameter that must be there, or 400. */
bool ps_rest_required(struct ps_rest_call *call, const char *name, const char **out);
/** An integer parameter; *out keeps its value if it is absent. Else 400. */
bool ps_rest_int(struct ps_rest_call *call, const char *name, int64_t min, int64_t max,
                 int64_t *out);
/** true or false; *out keeps its value if it is absent. Else 400. */
bool ps_rest_bool(struct ps_rest_call *call, const char *name, bool *out);
/** pageSize, page (both required), textSearch, sortProperty, sortOrder. Else 400. */
bool ps_rest_page(struct ps_rest_call *call, struct ps_page_query *out);

/* --- who may --- */

/**
 * May the caller do this to that entity? Else 404 as if it did not exist, or 403.
 *
 * @param type, id  as the message names it
 */
bool ps_rest_allowed(struct ps_rest_call *call, enum ps_resource resource,
                     enum ps_operation operation, const struct ps_ownership *owner,
                     enum ps_entity_type type, const struct ps_uuid *id);
/** May the caller's authority do this at all? Else 403. */
bool ps_rest_has(struct ps_rest_call *call, enum ps_resource resource, enum ps_operation operation);

/* --- answers --- */

void ps_rest_bad_request(struct ps_rest_call *call, const char *format, ...) PS_PRINTF(2, 3);
void ps_rest_forbidden(struct ps_rest_call *call);
/** 404 `Device with id [...] is not found`. */
void ps_rest_not_found(struct ps_rest_call *call, enum ps_entity_type type,
                       const struct ps_uuid *id);
/** The error of a failed lookup: not found, or the storage's. */
void ps_rest_lookup_failed(struct ps_rest_call *call, enum ps_status st, enum ps_entity_type type,
                           const struct ps_uuid *id);
/** The error of a failed change with the repository's message; PS_OK answers nothing.
 *  Returns: st == PS_OK. */
bool ps_rest_changed(struct ps_rest_call *call, enum ps_status st, const struct ps_text *why);
/** 200 application/json: the buffer to write to. */
struct ps_buf *ps_rest_json(struct ps_rest_call *call);

/** {"data":[ ... the caller's items ... ]...}: begin, items, end. */
struct ps_buf *ps_rest_page_begin(struct ps_rest_call *call);
void ps_rest_page_end(struct ps_rest_call *call, const struct ps_page_query *page, int64_t total);

#endif
