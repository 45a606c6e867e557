/* front: the door of the HTTP port: accepts, peeks, and hands each socket to whom it belongs.
 *
 * One thread. A connection waits here, without a buffer of its own, until its first request header
 * can be peeked at or http.header_timeout_ms has passed; then it goes to the HTTP server or to the
 * WebSocket server with every byte still unread. What waits is bounded: the one that has waited
 * longest makes room for a new one.
 *
 * Not here: anything after the first header, TLS. */
#ifndef PS_TRANSPORT_FRONT_FRONT_H
#define PS_TRANSPORT_FRONT_FRONT_H

#include <stdint.h>
#include <sys/socket.h>

#include "core/status.h"
#include "core/text.h"

struct ps_front;
struct ps_metrics;

/* All pointers are borrowed and must outlive the front door. */
struct ps_front_settings {
    const char *bind; /* numeric IPv4 or IPv6 address */
    uint16_t port;    /* 0 = any free one */
    int64_t header_timeout_ms;
    uint64_t connections_max; /* waiting here and open at the HTTP server together */
    struct ps_metrics *metrics;
    unsigned metrics_lane;

    /* Both take the socket over, whatever happens next. Front thread. */
    void (*http_adopt)(void *http, int fd, const struct sockaddr *address, socklen_t address_len);
    void (*ws_adopt)(void *ws, int fd); /* NULL: nobody is there yet, the socket goes to HTTP */
    /* Connections now open at the HTTP server. Any thread. */
    uint64_t (*http_open)(const void *http);
    void *http, *ws;
};

/**
 * Bind, listen and start the thread.
 *
 * Returns: PS_OK; PS_EINVAL not an address; PS_EIO it cannot be bound; PS_ENOMEM. `why` tells.
 */
PS_MUST_CHECK
enum ps_status ps_front_start(const struct ps_front_settings *settings, struct ps_front **out,
                              struct ps_text *why);
/** The port it listens on: the real one if 0 was asked for. Thread: any. */
uint16_t ps_front_port(const struct ps_front *front);
/** Stop listening, close what still waits, join the thread. NULL is fine. */
void ps_front_stop(struct ps_front *front);

#endif
