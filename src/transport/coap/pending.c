#include "transport/coap/pending.h"

#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "transport/coap/loop.h"

enum { HEADER_SIZE = 4 };

/* ---- lists -------------------------------------------------------------------------------------
 */

static struct ps_coap_pending_list *list_of(struct ps_coap_pending *pending)
{
    struct ps_coap_pendings *pendings = &pending->coap->pendings;
    return pending->state == PS_COAP_UNACKED ? &pendings->unacked : &pendings->acked;
}

static void enlist(struct ps_coap_pending *pending)
{
    struct ps_coap_pending_list *list = list_of(pending);
    pending->prev = list->last;
    pending->next = NULL;
    *(list->last ? &list->last->next : &list->first) = pending;
    list->last = pending;
}

static void unlist(struct ps_coap_pending *pending)
{
    struct ps_coap_pending_list *list = list_of(pending);
    *(pending->prev ? &pending->prev->next : &list->first) = pending->next;
    *(pending->next ? &pending->next->prev : &list->last) = pending->prev;
}

/* ---- life --------------------------------------------------------------------------------------
 */

struct ps_coap_pending *ps_coap_pending_create(struct ps_coap *coap, coap_session_t *session,
                                               const coap_pdu_t *request,
                                               const struct ps_coap_terms *terms, uint64_t digest)
{
    if (coap->pendings.count >= PS_COAP_PENDINGS_MAX)
        return NULL;
    struct ps_coap_pending *pending = malloc(sizeof *pending);
    if (!pending)
        return NULL;
    coap_bin_const_t token = coap_pdu_get_token(request);
    PS_ASSERT(token.length <= sizeof pending->token); /* libcoap refuses longer ones */
    *pending = (struct ps_coap_pending){
        .coap = coap,
        .session = coap_session_reference(session),
        .terms = *terms,
        .arrived_ms = coap->now_ms,
        .digest = digest,
        .remembered = digest != 0,
        .confirmable = coap_pdu_get_type(request) == COAP_MESSAGE_CON,
        .message_id = (uint16_t)coap_pdu_get_mid(request),
        .token_len = (uint8_t)token.length,
    };
    if (token.length > 0)
        memcpy(pending->token, token.s, token.length);
    pending->state = pending->confirmable ? PS_COAP_UNACKED : PS_COAP_ACKED;
    coap->pendings.count++;
    enlist(pending);
    return pending;
}

/* Over for the peer. */
static void leave(struct ps_coap_pending *pending)
{
    unlist(pending);
    pending->state = PS_COAP_ANSWERED;
    coap_session_release(pending->session);
    pending->session = NULL;
}

void ps_coap_pending_cancel(struct ps_coap_pending *pending)
{
    if (pending->state != PS_COAP_ANSWERED)
        leave(pending);
    pending->coap->pendings.count--;
    free(pending);
}

/* ---- sending -----------------------------------------------------------------------------------
 */

void ps_coap_stay_silent(coap_pdu_t *response)
{
    /* libcoap drops a response without code, but only if it is not an acknowledgement. */
    coap_pdu_set_type(response, COAP_MESSAGE_NON);
    coap_pdu_set_code(response, COAP_EMPTY_CODE);
}

void ps_coap_acknowledge(coap_session_t *session, uint16_t message_id)
{
    coap_pdu_t *ack = coap_pdu_init(COAP_MESSAGE_ACK, COAP_EMPTY_CODE, message_id, 0);
    if (ack)
        coap_send(session, ack);
}

/* Two windows of MAX_TRANSMIT_WAIT: what was sent before them has left libcoap. */
static bool may_send_confirmable(struct ps_coap *coap)
{
    struct ps_coap_pendings *pendings = &coap->pendings;
    if (coap->now_ms - pendings->window_began_ms >= PS_COAP_SEPARATE_WINDOW_MS) {
        bool next = coap->now_ms - pendings->window_began_ms < 2 * PS_COAP_SEPARATE_WINDOW_MS;
        pendings->separate_count[1] = next ? pendings->separate_count[0] : 0;
        pendings->separate_count[0] = 0;
        pendings->window_began_ms = coap->now_ms;
    }
    if (pendings->separate_count[0] + pendings->separate_count[1] >= PS_COAP_SEPARATE_MAX)
        return false;
    pendings->separate_count[0]++;
    return true;
}

static coap_pdu_t *answer_message(struct ps_coap_pending *pending)
{
    size_t size = coap_session_max_pdu_size(pending->session);
    if (pending->state == PS_COAP_UNACKED)
        return coap_pdu_init(COAP_MESSAGE_ACK, COAP_EMPTY_CODE, pending->message_id, size);
    bool confirmable = pending->confirmable && may_send_confirmable(pending->coap);
    return coap_pdu_init(confirmable ? COAP_MESSAGE_CON : COAP_MESSAGE_NON, COAP_EMPTY_CODE,
                         coap_new_message_id(pending->session), size);
}

static void send_answer(struct ps_coap_pending *pending, const struct ps_coap_answer *answer)
{
    if (ps_coap_answer_is_unwanted(answer, &pending->terms)) {
        if (pending->state == PS_COAP_UNACKED)
            ps_coap_acknowledge(pending->session, pending->message_id);
        return;
    }
    coap_pdu_t *message = answer_message(pending);
    if (!message)
        return; /* out of memory: as if the datagram was lost, and it may be */
    if (pending->token_len > 0)
        coap_add_token(message, pending->token_len, pending->token);
    size_t written = ps_coap_answer_write(answer, &pending->terms, message);
    if (coap_send(pending->session, message) != COAP_INVALID_MID)
        ps_coap_count(pending->coap, PS_METRIC_COAP_BYTES_OUT,
                      HEADER_SIZE + pending->token_len + written);
}

/* After the answer or instead of it: what a repetition will be told. What failed was not kept, so
 * it may be sent, and done, again. */
static void remember(struct ps_coap_pending *pending, bool well)
{
    struct ps_coap *coap = pending->coap;
    if (!pending->remembered)
        return;
    if (well)
        ps_coap_repeats_change(&coap->repeats, pending->digest, PS_COAP_SEEN_WAITING,
                               PS_COAP_SEEN_DONE, coap->now_ms);
    else
        ps_coap_repeats_set(&coap->repeats, pending->digest, PS_COAP_SEEN_NEVER, coap->now_ms);
}

void ps_coap_pending_finish(struct ps_coap_pending *pending, const struct ps_coap_answer *answer)
{
    if (pending->state != PS_COAP_ANSWERED) {
        send_answer(pending, answer);
        leave(pending);
    }
    remember(pending, COAP_RESPONSE_CLASS(answer->code) == 2);
    pending->coap->pendings.count--;
    free(pending);
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void acknowledge_first(struct ps_coap_pending *pending)
{
    struct ps_coap *coap = pending->coap;
    ps_coap_acknowledge(pending->session, pending->message_id);
    if (pending->remembered)
        ps_coap_repeats_set(&coap->repeats, pending->digest, PS_COAP_SEEN_ACKED, coap->now_ms);
    unlist(pending);
    pending->state = PS_COAP_ACKED;
    enlist(pending);
}

static void refuse(struct ps_coap_pending *pending, enum ps_status status)
{
    struct ps_coap_answer answer = ps_coap_answer_failure(status, NULL);
    send_answer(pending, &answer);
    leave(pending);
}

static int64_t age_ms(const struct ps_coap_pending *pending)
{
    return pending->coap->now_ms - pending->arrived_ms;
}

void ps_coap_pendings_expire(struct ps_coap *coap)
{
    struct ps_coap_pendings *pendings = &coap->pendings;
    const struct ps_config *config = coap->services->config;
    while (pendings->acked.first && age_ms(pendings->acked.first) >= config->coap_timeout_ms)
        refuse(pendings->acked.first, PS_ETIMEOUT);
    while (pendings->unacked.first && age_ms(pendings->unacked.first) >= config->coap_timeout_ms)
        refuse(pendings->unacked.first, PS_ETIMEOUT);
    while (pendings->unacked.first &&
           age_ms(pendings->unacked.first) >= config->coap_piggyback_timeout_ms)
        acknowledge_first(pendings->unacked.first);
}

static int sooner(int timeout_ms, const struct ps_coap_pending *pending, int64_t limit_ms)
{
    if (!pending)
        return timeout_ms;
    int64_t left_ms = limit_ms - age_ms(pending);
    if (left_ms < 0)
        left_ms = 0;
    return timeout_ms < 0 || left_ms < timeout_ms ? (int)left_ms : timeout_ms;
}

int ps_coap_pendings_timeout_ms(const struct ps_coap *coap)
{
    const struct ps_config *config = coap->services->config;
    int64_t first_ms = config->coap_piggyback_timeout_ms < config->coap_timeout_ms
                           ? config->coap_piggyback_timeout_ms
                           : config->coap_timeout_ms;
    int timeout_ms = sooner(-1, coap->pendings.unacked.first, first_ms);
    return sooner(timeout_ms, coap->pendings.acked.first, config->coap_timeout_ms);
}

void ps_coap_pendings_refuse_all(struct ps_coap *coap)
{
    while (coap->pendings.unacked.first)
        refuse(coap->pendings.unacked.first, PS_ECLOSED);
    while (coap->pendings.acked.first)
        refuse(coap->pendings.acked.first, PS_ECLOSED);
}
