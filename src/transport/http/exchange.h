/* exchange: one request on its way through the server, and the waiting for its answer.
 *
 *     the library's thread        anybody's thread
 *     headers, body
 *     wait() ... suspended   -->  works, fills call.reply
 *     resumed, sends reply   <--  answer()
 *
 * Counted: one reference is the library's, until the request is over; one is the work's, between
 * wait() and answer(). The deadline races the answer for the right to resume; when it wins, the
 * work goes on and its reply is thrown away.
 *
 * An answer that is sent in slices (reply.h) waits once more for each of them: see stream.c. */
#ifndef PS_TRANSPORT_HTTP_EXCHANGE_H
#define PS_TRANSPORT_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/ack.h"
#include "core/storage/reader.h"
#include "core/thread.h"
#include "transport/device_uplink.h"
#include "transport/http/call.h"
#include "transport/http/http.h"

enum ps_http_route {
    PS_HTTP_ROUTE_NONE, /* the reply is made already, the body is of no interest */
    PS_HTTP_ROUTE_DEVICE_TELEMETRY,
    PS_HTTP_ROUTE_DEVICE_ATTRIBUTES,
    PS_HTTP_ROUTE_DEVICE_GET_ATTRIBUTES,
    PS_HTTP_ROUTE_REST,
};

enum ps_http_phase {
    PS_HTTP_READING,
    PS_HTTP_WAITING,  /* suspended */
    PS_HTTP_ANSWERED, /* call.reply (or the deadline) decides */
    PS_HTTP_REPLIED,  /* the library has the response; slices go on from WAITING */
};

/* A body that is made while it is sent. The slice, call.reply.body, is the work's while the request
 * waits, and else the library's thread's. */
struct ps_http_stream {
    size_t sent;           /* bytes of the slice */
    bool last;             /* the slice is the last one */
    bool retry;            /* waits for room at the readers, not for an answer */
    enum ps_status status; /* not PS_OK: the rest cannot be made */
    int64_t due_ms;        /* when the slice is waited for no longer */
};

struct ps_http_exchange {
    struct ps_http_lane *lane;
    struct MHD_Connection *connection;
    _Atomic unsigned references;
    _Atomic int phase; /* enum ps_http_phase */

    /* library's thread; `timed_out` is written by who resumes, before */
    enum ps_http_route route;
    bool started; /* the header has been looked at */
    bool discard; /* the body is read and thrown away */
    bool head;    /* HEAD: a GET whose body is not sent */
    bool running; /* counted in server->running */
    bool timed_out;
    uint64_t body_limit, body_seen, body_charged;

    struct ps_http_call call;
    struct ps_http_stream stream;
    struct ps_device_identity *identity; /* device API; retained */
    struct ps_ack ack;
    struct ps_reader_job job;

    /* under lane->lock: the requests that wait, by deadline */
    struct ps_http_exchange *next, *prev;
    int64_t deadline_ms;
    int fd;
};

/* One daemon, one thread. */
struct ps_http_lane {
    struct ps_http *server;
    struct MHD_Daemon *daemon;
    unsigned metrics_lane;
    _Atomic uint64_t connections;

    /* the daemon's thread only */
    struct ps_device_uplink uplink;

    /* any thread, under `lock` */
    pthread_mutex_t lock;
    struct ps_http_exchange *first, *last;
    bool closed; /* nothing waits any more: the daemon is about to stop */
};

struct ps_http {
    /* set before start, constant after */
    struct ps_http_settings settings;
    unsigned lane_count;
    struct ps_http_lane *lanes;
    struct MHD_Response *empty_ok; /* 200, no body, no further headers: most answers there are */
    struct ps_thread timer;
    bool timer_started;

    /* any thread */
    _Atomic unsigned references; /* the owner's, and one of each exchange */
    _Atomic bool ready, stopping;
    _Atomic uint64_t body_bytes; /* bodies in memory */
    _Atomic uint64_t running;    /* requests read and not over; of sliced ones, slices made now */

    pthread_mutex_t stop_lock;
    pthread_cond_t stop_signal;
    bool timer_stop; /* under stop_lock */
};

/** A new exchange with the library's reference, or NULL. */
struct ps_http_exchange *ps_http_exchange_create(struct ps_http_lane *lane,
                                                 struct MHD_Connection *connection);
void ps_http_exchange_retain(struct ps_http_exchange *exchange);
void ps_http_exchange_release(struct ps_http_exchange *exchange);

/** Suspend the request until it is answered. False: the server stops; nothing was done.
 *  Thread: the lane's, inside the library's callback. */
PS_MUST_CHECK
bool ps_http_exchange_wait(struct ps_http_exchange *exchange);
/**
 * The work is done and call.reply filled: resume, and give up the work's reference. Too late is
 * fine. Exactly once after each wait(). Thread: any.
 */
void ps_http_exchange_answer(struct ps_http_exchange *exchange);
/** Nobody took the work: resume after `delay_ms`, as if timed out, and give up the work's
 * reference. Instead of answer(). Thread: the lane's. */
void ps_http_exchange_postpone(struct ps_http_exchange *exchange, int64_t delay_ms);
/** Resume what has waited beyond `now_ms` (INT64_MAX: everything). Returns: how many.
 *  Thread: any. */
size_t ps_http_lane_expire(struct ps_http_lane *lane, int64_t now_ms);
/** Tell the calls whose client has hung up meanwhile (call.abandoned): a suspended connection is
 * not looked at by the library. Thread: any. */
void ps_http_lane_notice_gone(struct ps_http_lane *lane);
/** From now on nothing waits; resume what does. Thread: any. */
void ps_http_lane_close(struct ps_http_lane *lane);

void ps_http_release(struct ps_http *server);

/** The response that sends call.reply.body and then whatever call.reply.rest makes, or NULL.
 *  Thread: the lane's. */
struct MHD_Response *ps_http_stream_response(struct ps_http_exchange *exchange);

/* --- who answers what; library's thread --- */

/** Header seen, path below /api/v1: sets the route, or the reply if there is nothing to wait for.
 */
void ps_http_device_route(struct ps_http_exchange *exchange);
/** Body complete: waits and posts, or sets the reply. */
void ps_http_device_run(struct ps_http_exchange *exchange);
/** /metrics, /healthz, /readyz. Returns: whether the path is one of them. */
bool ps_http_probe(struct ps_http_exchange *exchange);
/** 405 with the methods there are. */
void ps_http_method_not_allowed(struct ps_http_call *call, const char *allow);

#endif
