#include "transport/http/exchange.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/entity/device_identity.h"
#include "transport/services.h"

struct ps_http_exchange *ps_http_exchange_create(struct ps_http_lane *lane,
                                                 struct MHD_Connection *connection)
{
    struct ps_http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->lane = lane;
    exchange->connection = connection;
    atomic_init(&exchange->references, 1);
    atomic_init(&exchange->phase, PS_HTTP_READING);
    atomic_fetch_add(&lane->server->references, 1);
    return exchange;
}

void ps_http_exchange_retain(struct ps_http_exchange *exchange)
{
    atomic_fetch_add_explicit(&exchange->references, 1, memory_order_relaxed);
}

static void call_deinit(struct ps_http_call *call)
{
    ps_http_target_deinit(&call->target);
    free(call->x_authorization);
    free(call->authorization);
    free(call->content_type);
    ps_buf_deinit(&call->body);
    ps_http_reply_deinit(&call->reply);
}

void ps_http_exchange_release(struct ps_http_exchange *exchange)
{
    if (atomic_fetch_sub_explicit(&exchange->references, 1, memory_order_acq_rel) != 1)
        return;
    struct ps_http *server = exchange->lane->server;
    atomic_fetch_sub(&server->body_bytes, exchange->body_charged);
    call_deinit(&exchange->call);
    ps_device_identity_release(exchange->identity);
    free(exchange);
    ps_http_release(server);
}

/* --- waiting --- */

static void unlink_waiting(struct ps_http_lane *lane, struct ps_http_exchange *exchange)
{
    *(exchange->prev ? &exchange->prev->next : &lane->first) = exchange->next;
    *(exchange->next ? &exchange->next->prev : &lane->last) = exchange->prev;
    exchange->next = exchange->prev = NULL;
}

static void append_waiting(struct ps_http_lane *lane, struct ps_http_exchange *exchange)
{
    exchange->prev = lane->last;
    exchange->next = NULL;
    *(lane->last ? &lane->last->next : &lane->first) = exchange;
    lane->last = exchange;
}

void ps_http_exchange_wait(struct ps_http_exchange *exchange)
{
    struct ps_http_lane *lane = exchange->lane;
    ps_http_exchange_retain(exchange);
    exchange->deadline_ms =
        ps_clock_mono_ms() + lane->server->settings.services->config->http_request_timeout_ms;
    atomic_store(&exchange->phase, PS_HTTP_WAITING);
    /* Suspended before anybody can resume: only what is in the list or posted later can be. */
    MHD_suspend_connection(exchange->connection);
    pthread_mutex_lock(&lane->lock);
    append_waiting(lane, exchange);
    pthread_mutex_unlock(&lane->lock);
}

/* Whoever moves the phase resumes. */
static bool claim(struct ps_http_exchange *exchange)
{
    int waiting = PS_HTTP_WAITING;
    return atomic_compare_exchange_strong(&exchange->phase, &waiting, PS_HTTP_ANSWERED);
}

void ps_http_exchange_answer(struct ps_http_exchange *exchange)
{
    struct ps_http_lane *lane = exchange->lane;
    if (claim(exchange)) {
        pthread_mutex_lock(&lane->lock);
        unlink_waiting(lane, exchange);
        pthread_mutex_unlock(&lane->lock);
        MHD_resume_connection(exchange->connection);
    }
    ps_http_exchange_release(exchange);
}

/* The oldest that is due and not answered, taken out of the list; NULL if there is none. */
static struct ps_http_exchange *take_expired(struct ps_http_lane *lane, int64_t now_ms)
{
    struct ps_http_exchange *found = NULL;
    pthread_mutex_lock(&lane->lock);
    for (struct ps_http_exchange *e = lane->first; e && !found; e = e->next) {
        if (e->deadline_ms > now_ms)
            break;
        if (claim(e)) /* else its answer stands at our lock */
            found = e;
    }
    if (found)
        unlink_waiting(lane, found);
    pthread_mutex_unlock(&lane->lock);
    return found;
}

size_t ps_http_lane_expire(struct ps_http_lane *lane, int64_t now_ms)
{
    size_t count = 0;
    for (;;) {
        /* Alive until we resume it: the library keeps its reference that long. */
        struct ps_http_exchange *exchange = take_expired(lane, now_ms);
        if (!exchange)
            return count;
        exchange->timed_out = true;
        MHD_resume_connection(exchange->connection);
        count++;
    }
}
