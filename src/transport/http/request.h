/* request: the library's callbacks: header, body, end of a request. See server.c for who sets them.
 */
#ifndef PS_TRANSPORT_HTTP_REQUEST_H
#define PS_TRANSPORT_HTTP_REQUEST_H

#include <microhttpd.h>
#include <stddef.h>

/** The request line is here: makes the exchange. `lane` is a struct ps_http_lane. */
void *ps_http_on_request_line(void *lane, const char *target, struct MHD_Connection *connection);
/** Header, body pieces, end of body, and again after each resume. */
enum MHD_Result ps_http_on_request(void *lane, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *body,
                                   size_t *body_size, void **exchange);
/** The request is over, well or not. */
void ps_http_on_completed(void *lane, struct MHD_Connection *connection, void **exchange,
                          enum MHD_RequestTerminationCode how);

#endif
