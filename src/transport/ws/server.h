/* server: what the files of this room share: the thread's state. Private to transport/ws.
 *
 * Everything belongs to the WebSocket thread, but for the port. */
#ifndef PS_TRANSPORT_WS_SERVER_H
#define PS_TRANSPORT_WS_SERVER_H

#include <ev.h>
#include <libwebsockets.h>

#include "actors/subscribers.h"
#include "core/buf.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/port.h"
#include "core/thread.h"
#include "transport/services.h"
#include "transport/ws/id_table.h"

enum {
    PS_WS_METRICS_LANE = 61,         /* taken modulo the lanes; not a shard's on small machines */
    PS_WS_UPDATES_MAX = 65536,       /* updates on their way from the shards */
    PS_WS_SEND_TIMEOUT_MS = 5000,    /* a socket that takes nothing for so long is dead */
    PS_WS_CLOSE_TIMEOUT_MS = 2000,   /* how long a close frame may take to leave */
    PS_WS_JOBS_PER_SESSION_MAX = 8,  /* at the readers at a time; the others wait their turn */
    PS_WS_JOBS_RETRY_MS = 20,        /* the reader pool was full: try again after this */
    PS_WS_REVOKED_MS = 1000,         /* how soon a logout closes its sessions */
    PS_WS_SUBSCRIPTIONS_MAX = 10000, /* of one session */
    PS_WS_SEND_CHUNK_BYTES = 65536,  /* larger frames leave in fragments */
    PS_WS_FRAMES_PER_TURN = 32,      /* frames a session may send before others get their turn */
};

struct ps_ws {
    struct ps_services services;
    struct ps_thread thread;
    struct ps_port port; /* any thread posts */

    struct ev_loop *loop;
    ev_prepare before_sleep;
    ev_check after_sleep;
    ev_idle no_sleep; /* active: items are waiting, do not block */
    ev_io port_readable;
    ev_timer jobs_retry;
    ev_timer look_for_revoked;
    ev_timer stop_deadline;

    struct lws_context *context;
    struct lws_vhost *vhost;
    uint64_t connections; /* adopted and not yet gone, upgraded or not */

    struct ps_ws_table sessions; /* by id */
    struct ps_ws_session *dirty; /* have frames to send before the loop sleeps */
    struct ps_ws_table watches;  /* by entity */
    struct ps_update_hub hub;
    uint64_t lost_seen; /* hub.lost when it was last acted upon */
    uint64_t next_id;   /* of sessions and subscriptions */
    uint64_t jobs_in_flight;
    uint64_t watches_starting;
    bool stopping;

    struct ps_buf scratch;     /* one outgoing frame with headroom */
    uint32_t *picked, *shared; /* indices of an update's key-values, room for picked_cap each */
    size_t picked_cap;
};

static inline void ps_ws_count(struct ps_ws *ws, enum ps_metric metric, int64_t n)
{
    ps_metrics_add(ws->services.metrics, PS_WS_METRICS_LANE, metric, n);
}

#endif
