#include "transport/http/exchange.h"

#include <poll.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/entity/device_identity.h"
#include "transport/services.h"

enum { POLLED_MAX = 256 };

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
    free(call->accept);
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

/* Deadlines mostly come in order, so its place is mostly the end. */
static void insert_waiting(struct ps_http_lane *lane, struct ps_http_exchange *exchange)
{
    struct ps_http_exchange *before = lane->last;
    while (before && before->deadline_ms > exchange->deadline_ms)
        before = before->prev;
    exchange->prev = before;
    exchange->next = before ? before->next : lane->first;
    *(exchange->prev ? &exchange->prev->next : &lane->first) = exchange;
    *(exchange->next ? &exchange->next->prev : &lane->last) = exchange;
}

bool ps_http_exchange_wait(struct ps_http_exchange *exchange)
{
    struct ps_http_lane *lane = exchange->lane;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    pthread_mutex_lock(&lane->lock);
    bool open = !lane->closed;
    if (open) {
        ps_http_exchange_retain(exchange);
        exchange->fd = info ? info->connect_fd : -1;
        exchange->deadline_ms =
            ps_clock_mono_ms() + lane->server->settings.services->config->http_request_timeout_ms;
        atomic_store(&exchange->phase, PS_HTTP_WAITING);
        /* Suspended before anybody can resume: only what is in the list or posted later can be. */
        MHD_suspend_connection(exchange->connection);
        insert_waiting(lane, exchange);
    }
    pthread_mutex_unlock(&lane->lock);
    return open;
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

void ps_http_exchange_postpone(struct ps_http_exchange *exchange, int64_t delay_ms)
{
    struct ps_http_lane *lane = exchange->lane;
    pthread_mutex_lock(&lane->lock);
    if (atomic_load(&exchange->phase) == PS_HTTP_WAITING) { /* else it was resumed already */
        unlink_waiting(lane, exchange);
        exchange->deadline_ms = ps_clock_mono_ms() + delay_ms;
        insert_waiting(lane, exchange);
    }
    pthread_mutex_unlock(&lane->lock);
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

void ps_http_lane_close(struct ps_http_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->closed = true;
    pthread_mutex_unlock(&lane->lock);
    ps_http_lane_expire(lane, INT64_MAX);
}

/* --- clients that have gone --- */

/* Only of REST: what devices send is done anyway. */
static size_t collect(struct ps_http_exchange **at, struct pollfd fds[POLLED_MAX],
                      struct ps_http_exchange *owners[POLLED_MAX])
{
    size_t count = 0;
    for (; *at && count < POLLED_MAX; *at = (*at)->next) {
        if ((*at)->route != PS_HTTP_ROUTE_REST || (*at)->fd < 0)
            continue;
        fds[count] = (struct pollfd){ .fd = (*at)->fd, .events = POLLRDHUP };
        owners[count++] = *at;
    }
    return count;
}

void ps_http_lane_notice_gone(struct ps_http_lane *lane)
{
    struct pollfd fds[POLLED_MAX];
    struct ps_http_exchange *owners[POLLED_MAX];
    /* Who is in the list is suspended, so the library cannot close the socket meanwhile. */
    pthread_mutex_lock(&lane->lock);
    for (struct ps_http_exchange *at = lane->first; at;) {
        size_t count = collect(&at, fds, owners);
        if (count == 0 || poll(fds, count, 0) <= 0)
            continue;
        for (size_t i = 0; i < count; i++)
            if (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
                atomic_store(&owners[i]->call.abandoned, true);
    }
    pthread_mutex_unlock(&lane->lock);
}
