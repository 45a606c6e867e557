/* http: the HTTP server: device API, probes, and the way in to REST.
 *
 * libmicrohttpd serves the sockets which the front door adopts: http.threads daemons, each with one
 * epoll thread of its own (a daemon without a listening socket cannot have a pool). A request that
 * must wait (for a commit, for a device's shard, for a reader) is suspended and resumed by whoever
 * has the answer, so no thread waits.
 *
 * A long answer is made in slices by readers while it is sent, each when the client has taken the
 * one before: a slow client costs one slice of memory and no thread.
 *
 * Always true: a suspended request is resumed exactly once, by its answer or by its deadline;
 *              what it owns is freed exactly once, by whoever leaves last. */
#ifndef PS_TRANSPORT_HTTP_HTTP_H
#define PS_TRANSPORT_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/status.h"
#include "core/text.h"
#include "transport/http/call.h"

struct ps_db;
struct ps_http;
struct ps_services;

struct ps_http_settings {
    const struct ps_services *services; /* borrowed, outlives the server */
    unsigned metrics_lane;              /* the first of http.threads lanes */
    /* Answers everything below /api that is not the device API: fills call->reply. Runs on a
     * reader thread with its connection. NULL: such paths are unknown. */
    void (*rest)(void *rest_context, struct ps_http_call *call, struct ps_db *db);
    void *rest_context;
};

/** Start without sockets. Returns: PS_OK; PS_EIO with `why`; PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_http_start(const struct ps_http_settings *settings, struct ps_http **out,
                             struct ps_text *why);

/** Take a connected, non-blocking socket with all its bytes unread; closes it if that fails.
 *  `http` is a struct ps_http. Thread: any (the front door's). */
void ps_http_adopt(void *http, int fd, const struct sockaddr *address, socklen_t address_len);
/** Connections now open. Thread: any. */
uint64_t ps_http_open_connections(const void *http);

/** What /readyz answers; false at start. Thread: any. */
void ps_http_set_ready(struct ps_http *http, bool ready);

/**
 * Refuse new requests with 503, wait until those that run are answered (at most `timeout_ms`, then
 * they are answered 503), close all connections and free the server. Answers in slices are cut.
 * Shards, writer and readers must still run. NULL is fine.
 */
void ps_http_stop(struct ps_http *http, int64_t timeout_ms);

#endif
