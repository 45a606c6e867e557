/* watch: which entities this thread is told about, and who wants to know.
 *
 * One watch per entity, however many subscriptions it serves. It starts with the first one and
 * stops when the last one left; while the shard's answer is outstanding the struct stays, for the
 * request is part of it.
 *
 * Thread: all functions on the WebSocket thread. */
#ifndef PS_TRANSPORT_WS_WATCH_H
#define PS_TRANSPORT_WS_WATCH_H

#include "transport/ws/server.h"

struct ps_ws_sub;

struct ps_ws_watch {
    struct ps_ws_link link; /* in ws->watches */
    struct ps_watch request;
    struct ps_ws *ws;
    struct ps_uuid tenant;
    struct ps_entity_id entity;
    bool answered; /* the shard has seen the request */
    bool started;  /* ... and agreed: updates come */
    struct ps_ws_sub *subs;
};

/** Make the hub ready to be told of updates. */
void ps_ws_watches_init(struct ps_ws *ws);

/** Add a subscription to its entity's watch. *started: updates come already; else
 *  ps_ws_sub_registered() will be called. Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_ws_watch_join(struct ps_ws_sub *sub, bool *started);
/** Take it out again; fine if it is in none. */
void ps_ws_watch_leave(struct ps_ws_sub *sub);

#endif
