/* session: one WebSocket: authentication, frames in, frames out, liveness, close (sections 2, 9).
 *
 *     PENDING --authenticated--> OPEN --> CLOSING --> gone
 *        \___________________________________^
 *
 * In CLOSING a close frame is on its way: nothing else is sent, what comes is not read, and the
 * subscriptions are silent. The library tells when the socket is gone.
 *
 * Thread: all functions on the WebSocket thread. */
#ifndef PS_TRANSPORT_WS_SESSION_H
#define PS_TRANSPORT_WS_SESSION_H

#include "core/auth/jwt.h"
#include "transport/ws/frame.h"
#include "transport/ws/out_queue.h"
#include "transport/ws/server.h"

enum ps_ws_session_state { PS_WS_PENDING, PS_WS_OPEN, PS_WS_CLOSING };

/* Close codes of the contract, section 2. */
enum {
    PS_WS_CLOSE_GOING_AWAY = 1001,
    PS_WS_CLOSE_BINARY = 1003,
    PS_WS_CLOSE_BAD_DATA = 1007,
    PS_WS_CLOSE_POLICY = 1008,
    PS_WS_CLOSE_TOO_LARGE = 1009,
    PS_WS_CLOSE_SERVER_ERROR = 1011,
    PS_WS_CLOSE_DEAD = 4500,
    PS_WS_CLOSE_REASON_MAX = 123, /* bytes */
};

struct ps_ws_sub;

struct ps_ws_session {
    struct ps_ws_link link; /* in ws->sessions */
    uint64_t id;
    struct ps_ws *ws;
    struct lws *wsi;
    enum ps_ws_session_state state;

    ev_timer timer;   /* PENDING: authenticate; OPEN: ping; CLOSING: give up */
    ev_timer stalled; /* runs while frames wait and none leaves */
    int64_t heard_ms; /* monotonic: when the client was last heard */
    bool ping_due;
    uint16_t close_code;
    char close_reason[PS_WS_CLOSE_REASON_MAX + 1];

    struct ps_jwt_claims *claims; /* OPEN */
    struct ps_buf incoming;       /* a frame that comes in pieces */
    struct ps_ws_out_queue queue;
    struct ps_ws_session *dirty_next, **dirty_link; /* in ws->dirty; dirty_link NULL: not there */
    struct ps_ws_text *sending;                     /* a large frame, `sent` bytes of it are out */
    size_t sent;

    struct ps_ws_table subs;                        /* by cmdId, questions too */
    struct ps_ws_sub *waiting_first, *waiting_last; /* for their turn at the readers */
    unsigned jobs_in_flight;
    size_t buffered_bytes; /* of all subscriptions that wait for their snapshot */
};

/** A socket was upgraded. `token` is the query's, or NULL; an unknown endpoint is closed with
 *  1007. NULL: memory is short, drop the socket. */
struct ps_ws_session *ps_ws_session_create(struct ps_ws *ws, struct lws *wsi, bool known_endpoint,
                                           const char *token);
/** The socket is gone. NULL is fine. */
void ps_ws_session_destroy(struct ps_ws_session *session);

/** Part of a frame came; `rest` bytes of it are still to come. */
void ps_ws_session_receive(struct ps_ws_session *session, const char *data, size_t len, size_t rest,
                           bool binary, bool last_fragment);
/** Any sign of life. */
void ps_ws_session_heard(struct ps_ws_session *session);
/** The socket takes bytes. False: close it now (the reason is set). */
bool ps_ws_session_write(struct ps_ws_session *session);

/** Send what sessions were given in this turn of the loop. Frames of one turn leave together, and a
 *  socket that has room is written to without asking the loop first. */
void ps_ws_sessions_flush(struct ps_ws *ws);

/** Close the session if its token is no longer good. */
void ps_ws_session_check_token(struct ps_ws_session *session);

/** Begin to close; the first reason counts. Longer ones are cut. */
void ps_ws_session_close(struct ps_ws_session *session, unsigned code, const char *reason);

/** Queue a frame; takes *text whatever happens. A full queue closes the session. */
void ps_ws_session_send(struct ps_ws_session *session, int32_t cmd_id, struct ps_ws_text **text);
void ps_ws_session_send_error(struct ps_ws_session *session, int32_t cmd_id, enum ps_ws_error code,
                              const char *why);
/** Queue a change; the caller keeps its reference. */
void ps_ws_session_send_delta(struct ps_ws_session *session, int32_t cmd_id, enum ps_ws_merge merge,
                              struct ps_ws_delta *delta);

/** The open or closing session of an id, or NULL. */
struct ps_ws_session *ps_ws_session_find(const struct ps_ws *ws, uint64_t id);

#endif
