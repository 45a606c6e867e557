/* subscription: one live cmdId of a session, or one question, from command to end.
 *
 *     CHECKING     a reader finds out whether the entity may be read, and whose it is
 *     REGISTERING  the entity's shard is asked to tell changes
 *     READING      a reader makes the snapshot; changes are buffered meanwhile
 *     LIVE         snapshot and buffered changes are out, changes are sent as they come
 *
 * Registered before read: nothing written in between is lost. A question (TIMESERIES_HISTORY) is
 * answered out of CHECKING and ends.
 *
 * Thread: all functions on the WebSocket thread. */
#ifndef PS_TRANSPORT_WS_SUBSCRIPTION_H
#define PS_TRANSPORT_WS_SUBSCRIPTION_H

#include "transport/ws/interest.h"
#include "transport/ws/session.h"

enum {
    PS_WS_BUFFERED_ROWS_MAX = 4096,     /* of one subscription */
    PS_WS_BUFFERED_BYTES_MAX = 4 << 20, /* of all of a session */
};

enum ps_ws_sub_phase { PS_WS_CHECKING, PS_WS_REGISTERING, PS_WS_READING, PS_WS_LIVE };

struct ps_ws_watch;

struct ps_ws_sub {
    struct ps_ws_link link; /* in session->subs */
    uint64_t id;
    struct ps_ws_session *session;
    enum ps_ws_sub_phase phase;
    struct ps_ws_interest interest; /* holds the ask */
    struct ps_uuid tenant;          /* whose the entity is; from REGISTERING on */

    struct ps_ws_pile buffered; /* READING: what came since registration */
    bool read_again;            /* ... was too much: the snapshot must be taken anew */

    struct ps_ws_sub *waiting_next; /* for the readers */
    bool is_waiting;

    struct ps_ws_watch *watch; /* from REGISTERING on */
    struct ps_ws_sub *watch_next, *watch_prev;
};

/** Do what the command says; may take its keys. */
void ps_ws_command_run(struct ps_ws_session *session, struct ps_ws_command *command);

/** End all subscriptions and questions of a session. */
void ps_ws_subs_end(struct ps_ws_session *session);
/** Send as many waiting jobs to the readers as the session may have there. */
void ps_ws_subs_pump(struct ps_ws_session *session);
/** Take every live subscription's snapshot again: updates were lost on their way. */
void ps_ws_subs_refresh(struct ps_ws_session *session);

/** The entity is watched from now on, or (not PS_OK) cannot be. May end the subscription. */
void ps_ws_sub_registered(struct ps_ws_sub *sub, enum ps_status status);

/* One update on its way to many subscriptions; those that pick the same rows share a delta. */
struct ps_ws_fanout {
    struct ps_ws *ws;
    const struct ps_update *update;
    size_t shared_count;        /* indices in ws->shared */
    struct ps_ws_delta *shared; /* their delta */
};

void ps_ws_sub_deliver(struct ps_ws_sub *sub, struct ps_ws_fanout *fanout);

#endif
