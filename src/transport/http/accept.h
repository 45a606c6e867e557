/* accept: which of two media types a client would rather have (RFC 9110, 12.5.1). Pure. */
#ifndef PS_TRANSPORT_HTTP_ACCEPT_H
#define PS_TRANSPORT_HTTP_ACCEPT_H

#include <stdbool.h>

/**
 * Does `accept` rank `type` above `other`? The most specific range that fits a type gives its
 * weight; parameters but q are ignored, as is a range that cannot be read.
 *
 * @param accept       header value; NULL: no wish, false
 * @param type, other  "text/csv", lower case
 */
bool ps_http_prefers(const char *accept, const char *type, const char *other);

#endif
