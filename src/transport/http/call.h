/* call: one HTTP request as the code that answers it sees it: no library types, nothing borrowed
 * from the connection, so it may outlive it. */
#ifndef PS_TRANSPORT_HTTP_CALL_H
#define PS_TRANSPORT_HTTP_CALL_H

#include <stdatomic.h>

#include "core/buf.h"
#include "transport/http/reply.h"
#include "transport/http/target.h"

enum ps_http_method {
    PS_HTTP_GET, /* HEAD too: the server leaves the body out */
    PS_HTTP_POST,
    PS_HTTP_PUT,
    PS_HTTP_DELETE,
    PS_HTTP_OPTIONS,
    PS_HTTP_OTHER,
};

struct ps_http_call {
    enum ps_http_method method;
    struct ps_http_target target;
    char *x_authorization, *authorization, *content_type, *accept; /* headers; NULL if absent */
    struct ps_buf body;
    /* The client has hung up: what takes long may stop. Set by the server, at any moment. */
    _Atomic bool abandoned;
    struct ps_http_reply reply; /* what the answerer fills */
};

#endif
