/* verdict: whose connection is this, told from the first bytes of its first request.
 *
 * Pure: bytes in, verdict out. The front door peeks, asks, and peeks again when more arrived. It
 * waits for the whole header, not only the request line, so that a client which trickles its
 * header never reaches the HTTP server. */
#ifndef PS_TRANSPORT_FRONT_VERDICT_H
#define PS_TRANSPORT_FRONT_VERDICT_H

#include <stddef.h>

enum {
    PS_FRONT_PEEK_SIZE = 4096, /* a longer header is handed over unfinished */
};

enum ps_front_verdict {
    PS_FRONT_MORE,      /* the header is not here yet */
    PS_FRONT_HTTP,      /* for the HTTP server */
    PS_FRONT_WEBSOCKET, /* path /api/ws, or below it */
    PS_FRONT_CLOSE,     /* not HTTP at all (TLS on the plain port, MQTT on the wrong port) */
};

/**
 * Judge what a connection has sent so far.
 *
 * @param bytes  the first bytes of the connection; `len` == PS_FRONT_PEEK_SIZE is always judged
 * Thread: any
 */
enum ps_front_verdict ps_front_judge(const char *bytes, size_t len);

#endif
