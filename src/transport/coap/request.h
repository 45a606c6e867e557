/* request: from the path, query and method of a CoAP request to what is wanted.
 *
 * Pure: options in, an enum and spans into the options out. The rules are those of the device
 * contract, sections 1.4 and 9: names are case-insensitive, a Uri-Path option that contains slashes
 * counts as several, empty segments count as none. */
#ifndef PS_TRANSPORT_COAP_REQUEST_H
#define PS_TRANSPORT_COAP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum ps_coap_method { PS_COAP_GET, PS_COAP_POST, PS_COAP_OTHER_METHOD };

/* Up to NO_FEATURE the token decides nothing; from there on it must be a device's. */
enum ps_coap_target {
    PS_COAP_OUTSIDE,         /* not below /api, /fw, /sw: 4.04 */
    PS_COAP_WRONG_METHOD,    /* 4.05 */
    PS_COAP_BAD_PATH,        /* below /api, but not /api/v1/{token}: 4.00 */
    PS_COAP_TOKENLESS,       /* 4.01 */
    PS_COAP_NO_FEATURE,      /* unknown, in the wrong depth, or not with this method: 4.00 */
    PS_COAP_TELEMETRY,       /* POST */
    PS_COAP_ATTRIBUTES,      /* POST */
    PS_COAP_READ_ATTRIBUTES, /* GET */
    PS_COAP_PACKAGE,         /* GET /fw/{token}, /sw/{token} */
};

enum { PS_COAP_SEGMENTS_KEPT = 4 };

struct ps_coap_span {
    const char *data; /* borrowed; NULL = absent */
    size_t len;
};

struct ps_coap_request {
    enum ps_coap_method method;
    size_t segment_count;                                /* of the whole path */
    struct ps_coap_span segments[PS_COAP_SEGMENTS_KEPT]; /* its beginning */
    struct ps_coap_span client_keys, shared_keys;        /* the query, as it came */
};

/** Start with an empty path and query. */
void ps_coap_request_init(struct ps_coap_request *request, enum ps_coap_method method);
/** One Uri-Path option, in order. `text` is borrowed as long as the request. */
void ps_coap_request_add_path(struct ps_coap_request *request, const char *text, size_t len);
/** One Uri-Query option, "name=value". The first of a name counts. */
void ps_coap_request_add_query(struct ps_coap_request *request, const char *text, size_t len);

/** What is wanted. `token` is set from PS_COAP_NO_FEATURE on. */
enum ps_coap_target ps_coap_request_target(const struct ps_coap_request *request,
                                           struct ps_coap_span *token);

#endif
