/* stream: sending an answer whose body is made while it is sent.
 *
 *     the library's thread               a reader
 *     take() until the slice is out
 *     wait() ... suspended          -->  make_slice(): the producer fills call.reply.body
 *     resumed, take() goes on       <--  answer()
 *
 * One slice is in memory at a time. Readers never wait for a client: between two slices there is no
 * job. A client that takes nothing is cut by the library's idle timeout, a slice that takes too
 * long by the request's deadline; both end the connection without the last chunk, so that the
 * client knows that the answer is not whole. */
#include "transport/http/exchange.h"

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "transport/services.h"

enum {
    RETRY_MS = 100,         /* until the readers are asked again; the timer is coarser */
    BLOCK_BYTES = 16 * 1024 /* what the library may ask for at once */
};

/* Why an answer ends too early is known here alone; that the client went away is no news. */
static void log_cut(const struct ps_http_exchange *exchange, enum ps_status st)
{
    if (!atomic_load(&exchange->call.abandoned))
        ps_log_event(PS_LOG_WARN, "http", "answer_cut", "error", ps_status_text(st));
}

/* --- reader --- */

static enum ps_status produce(struct ps_http_exchange *exchange, struct ps_db *db)
{
    struct ps_http_reply *reply = &exchange->call.reply;
    struct ps_http *server = exchange->lane->server;
    enum ps_status st = PS_ECLOSED;
    ps_buf_clear(&reply->body);
    exchange->stream.sent = 0;
    /* Counted first, then looked: a stop waits for work that has begun, whose shards it will stop
     * next. */
    atomic_fetch_add(&server->running, 1);
    if (!atomic_load(&exchange->call.abandoned) && !atomic_load(&server->stopping))
        st = reply->rest->produce(reply->rest, db, &reply->body, &exchange->stream.last);
    atomic_fetch_sub(&server->running, 1);
    return st == PS_OK && !ps_buf_ok(&reply->body) ? PS_ENOMEM : st;
}

static void make_slice(struct ps_reader_job *job, struct ps_db *db)
{
    struct ps_http_exchange *exchange =
        (struct ps_http_exchange *)((char *)job - offsetof(struct ps_http_exchange, job));
    /* Given up while the job was queued: nobody looks at the slice. */
    if (atomic_load(&exchange->phase) == PS_HTTP_WAITING)
        exchange->stream.status = produce(exchange, db);
    ps_http_exchange_answer(exchange);
}

/* --- library's thread --- */

static ssize_t cut(struct ps_http_exchange *exchange, enum ps_status st)
{
    log_cut(exchange, st);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Suspends, or fails. */
static ssize_t ask_for_slice(struct ps_http_exchange *exchange)
{
    const struct ps_services *services = exchange->lane->server->settings.services;
    struct ps_http_stream *stream = &exchange->stream;
    int64_t now_ms = ps_clock_mono_ms();
    if (!stream->retry)
        stream->due_ms = now_ms + services->config->http_request_timeout_ms;
    else if (now_ms >= stream->due_ms)
        return cut(exchange, PS_EBUSY);
    stream->retry = false;
    exchange->job.run = make_slice;
    if (!ps_http_exchange_wait(exchange))
        return cut(exchange, PS_ECLOSED);
    enum ps_status st = ps_reader_submit(services->readers, &exchange->job);
    if (st == PS_EBUSY) {
        stream->retry = true;
        ps_http_exchange_postpone(exchange, RETRY_MS);
    } else if (st != PS_OK) {
        stream->status = st;
        ps_http_exchange_answer(exchange);
    }
    return 0;
}

static ssize_t take(void *arg, uint64_t position, char *out, size_t max)
{
    struct ps_http_exchange *exchange = arg;
    struct ps_http_stream *stream = &exchange->stream;
    (void)position;
    atomic_store(&exchange->phase, PS_HTTP_REPLIED);
    if (atomic_load(&exchange->lane->server->stopping))
        return cut(exchange, PS_ECLOSED);
    if (exchange->timed_out && !stream->retry)
        return cut(exchange, PS_ETIMEOUT); /* the work still owns the slice */
    exchange->timed_out = false;
    if (stream->status != PS_OK)
        return cut(exchange, stream->status);
    const struct ps_buf *slice = &exchange->call.reply.body;
    size_t len = slice->len - stream->sent;
    if (len == 0)
        return stream->last ? MHD_CONTENT_READER_END_OF_STREAM : ask_for_slice(exchange);
    if (len > max)
        len = max;
    memcpy(out, slice->data + stream->sent, len);
    stream->sent += len;
    ps_metrics_add(exchange->lane->server->settings.services->metrics, exchange->lane->metrics_lane,
                   PS_METRIC_HTTP_BYTES_OUT, (int64_t)len);
    return (ssize_t)len;
}

static void response_freed(void *arg)
{
    ps_http_exchange_release(arg);
}

struct MHD_Response *ps_http_stream_response(struct ps_http_exchange *exchange)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, take, exchange, response_freed);
    if (!response)
        return NULL;
    /* libmicrohttpd 0.9.75 sends a last chunk also to HEAD, which the client would take for the
     * begin of the next answer: tell no length instead, and end the connection. */
    if (exchange->head)
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    ps_http_exchange_retain(exchange); /* the response's */
    if (exchange->running) {           /* a stop does not wait for slow clients */
        exchange->running = false;
        atomic_fetch_sub(&exchange->lane->server->running, 1);
    }
    return response;
}
