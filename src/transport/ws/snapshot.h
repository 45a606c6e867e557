/* snapshot: the reader's half of a subscription: permission, values, the finished frame.
 *
 * A job holds ids, never pointers to sessions or subscriptions: they may be gone when it comes
 * back. It runs on a reader thread and returns to the WebSocket thread's port. */
#ifndef PS_TRANSPORT_WS_SNAPSHOT_H
#define PS_TRANSPORT_WS_SNAPSHOT_H

#include "core/port.h"
#include "core/storage/reader.h"
#include "transport/ws/interest.h"

struct ps_actors;

enum ps_ws_job_task {
    PS_WS_JOB_CHECK, /* may this be read, and whose is it */
    PS_WS_JOB_READ,  /* the snapshot of what was checked before */
    PS_WS_JOB_BOTH,  /* a single question */
};

struct ps_ws_job {
    struct ps_reader_job job;
    struct ps_port_item item; /* `run` set by the asker */
    struct ps_port *port;     /* where it returns */
    struct ps_actors *actors;
    size_t frame_bytes_max;

    /* the question */
    enum ps_ws_job_task task;
    uint64_t session_id, subscription_id;
    struct ps_ws_ask *ask; /* a reference of the WebSocket thread's */
    struct ps_uuid tenant; /* whose the entity is; an answer of CHECK */

    /* the answer */
    enum ps_ws_error error;     /* not 0: `why` says what to tell the client */
    const char *why;            /* a constant */
    struct ps_ws_text *frame;   /* READ, BOTH: the snapshot; owned */
    struct ps_ws_newest newest; /* what it told; owned */
};

/** Fills everything but the ids and item.run; takes no reference of `ask`. */
void ps_ws_job_init(struct ps_ws_job *job, enum ps_ws_job_task task, struct ps_ws_ask *ask);
/** Frees the job with what it still owns, but not its reference of `ask`. */
void ps_ws_job_free(struct ps_ws_job *job);

#endif
