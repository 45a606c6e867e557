/* pending: requests whose answer is still being made.
 *
 * libcoap 4.3.1 answers a request when its handler returns: with an empty acknowledgement if the
 * handler set nothing, and its own asynchronous interface always sends that first, so each request
 * would cost two datagrams more. We tell it to send nothing (ps_coap_stay_silent) and build the
 * acknowledgement ourselves when the answer is there; only after coap.piggyback_timeout_ms we
 * acknowledge first and answer separately (RFC 7252 5.2.2), confirmably if the request was.
 *
 * Always true: a request is answered at most once, at the latest after coap.timeout_ms with 5.04;
 *              a pending request keeps its peer's session and is freed by whoever answers last: its
 *              ack or its attribute reply. */
#ifndef PS_TRANSPORT_COAP_PENDING_H
#define PS_TRANSPORT_COAP_PENDING_H

#include <coap3/coap.h>

#include "core/ack.h"
#include "transport/coap/answer.h"
#include "transport/coap/request.h"

enum {
    PS_COAP_PENDINGS_MAX = 16384,
    /* Separate confirmable answers that may wait for their acknowledgement. libcoap keeps each for
     * up to 93 s (RFC 7252 4.8.2, MAX_TRANSMIT_WAIT); beyond this many answers are sent once. */
    PS_COAP_SEPARATE_MAX = 4096,
    PS_COAP_SEPARATE_WINDOW_MS = 93000,
};

struct ps_coap;
struct ps_device_identity;

enum ps_coap_pending_state {
    PS_COAP_UNACKED,  /* the answer can still ride on the acknowledgement */
    PS_COAP_ACKED,    /* acknowledged, or not confirmable: the answer is a message of its own */
    PS_COAP_ANSWERED, /* over for the peer; its ack has not settled yet */
};

struct ps_coap_pending {
    struct ps_ack ack; /* settled by the shard or the writer, in our port */
    struct ps_coap *coap;
    struct ps_coap_pending *prev, *next; /* in the list of its state; none if ANSWERED */
    enum ps_coap_pending_state state;
    coap_session_t *session; /* retained; NULL if ANSWERED */
    struct ps_coap_terms terms;
    int64_t arrived_ms;
    /* of an uplink, until it is posted */
    struct ps_coap_pending *next_to_post;
    enum ps_coap_target target;
    struct ps_device_identity *identity; /* retained */
    size_t body_at, body_len;            /* in the loop's `bodies` */
    uint64_t digest;                     /* of repeat.h */
    bool remembered;                     /* its fate is told to the repeats */
    bool confirmable;
    uint16_t message_id;
    uint8_t token_len;
    uint8_t token[8];
};

/* In order of arrival; in `acked`, those that were acknowledged late stand behind later ones. */
struct ps_coap_pending_list {
    struct ps_coap_pending *first, *last;
};

/* coap thread only. */
struct ps_coap_pendings {
    struct ps_coap_pending_list unacked, acked;
    size_t count;             /* all that exist, ANSWERED included */
    size_t separate_count[2]; /* confirmable answers sent in this window and in the one before */
    int64_t window_began_ms;
};

/** Start waiting. `digest` 0: a request that is done again if it is repeated.
 *  Returns: NULL if there are too many or memory is short. */
struct ps_coap_pending *ps_coap_pending_create(struct ps_coap *coap, coap_session_t *session,
                                               const coap_pdu_t *request,
                                               const struct ps_coap_terms *terms, uint64_t digest);
/** Nobody waits for it after all. */
void ps_coap_pending_cancel(struct ps_coap_pending *pending);

/** The handler's answer is: nothing now. */
void ps_coap_stay_silent(coap_pdu_t *response);
/** An empty acknowledgement. */
void ps_coap_acknowledge(coap_session_t *session, uint16_t message_id);

/** Answer (unless that is over already) and free. */
void ps_coap_pending_finish(struct ps_coap_pending *pending, const struct ps_coap_answer *answer);

/** Acknowledge and refuse those whose time has come. */
void ps_coap_pendings_expire(struct ps_coap *coap);
/** Milliseconds until ps_coap_pendings_expire() has something to do; -1 = never. */
int ps_coap_pendings_timeout_ms(const struct ps_coap *coap);
/** Answer all that wait with 5.03. Their memory stays until their acks settle. */
void ps_coap_pendings_refuse_all(struct ps_coap *coap);

#endif
