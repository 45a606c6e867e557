/* request: from the library's callbacks to an answer.
 *
 * The library calls us once with the header, then for each piece of the body, then once more; and
 * once after each resume. Only the last two may answer: a reply before the end of the body would
 * cost the connection. So what is wrong is noted at the header, and the body is read and thrown
 * away (up to DRAIN_MAX). */
#include "transport/http/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/config.h"
#include "core/metrics.h"
#include "transport/http/exchange.h"
#include "transport/services.h"

enum {
    DRAIN_MAX = 64 * 1024 * 1024,   /* unwanted bytes read before the connection is cut */
    BODIES_MAX = 512 * 1024 * 1024, /* all bodies in memory together */
};

static const char all_methods[] = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

static const struct ps_config *config_of(const struct ps_http_exchange *exchange)
{
    return exchange->lane->server->settings.services->config;
}

static const char *header_of(struct ps_http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static void count(const struct ps_http_lane *lane, enum ps_metric metric, uint64_t n)
{
    ps_metrics_add(lane->server->settings.services->metrics, lane->metrics_lane, metric,
                   (int64_t)n);
}

static bool below(const struct ps_http_target *target, const char *first, const char *second)
{
    if (target->segment_count < 1 || strcmp(target->segments[0], first) != 0)
        return false;
    return !second || (target->segment_count >= 2 && strcmp(target->segments[1], second) == 0);
}

/* --- header --- */

void *ps_http_on_request_line(void *lane, const char *target, struct MHD_Connection *connection)
{
    struct ps_http_exchange *exchange = ps_http_exchange_create(lane, connection);
    if (!exchange)
        return NULL;
    struct ps_http_call *call = &exchange->call;
    struct ps_text why = { "" };
    enum ps_status st = ps_http_target_parse(target, &call->target, &why);
    if (st != PS_OK) {
        count(lane, PS_METRIC_HTTP_PROTOCOL_ERRORS, 1);
        ps_http_reply_failure(&call->reply, st, why.data);
    }
    return exchange;
}

static enum ps_http_method method_parse(const char *text)
{
    static const struct method {
        const char *name;
        enum ps_http_method method;
    } methods[] = {
        { "GET", PS_HTTP_GET }, { "HEAD", PS_HTTP_GET },      { "POST", PS_HTTP_POST },
        { "PUT", PS_HTTP_PUT }, { "DELETE", PS_HTTP_DELETE }, { "OPTIONS", PS_HTTP_OPTIONS },
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, text) == 0)
            return methods[i].method;
    return PS_HTTP_OTHER;
}

static uint64_t body_limit(const struct ps_http_exchange *exchange)
{
    const struct ps_config *config = config_of(exchange);
    const struct ps_http_target *target = &exchange->call.target;
    int64_t limit = config->http_rest_max_payload_size;
    if (below(target, "api", "v1")) {
        bool rpc = target->segment_count >= 4 && strcmp(target->segments[3], "rpc") == 0;
        limit = rpc ? config->http_rpc_max_payload_size : config->http_max_payload_size;
    }
    if (limit > config->http_max_payload_size)
        limit = config->http_max_payload_size;
    return (uint64_t)limit;
}

static void too_large(struct ps_http_exchange *exchange)
{
    struct ps_http_reply *reply = &exchange->call.reply;
    unsigned long long limit = exchange->body_limit;
    exchange->discard = true;
    ps_buf_deinit(&exchange->call.body);
    if (below(&exchange->call.target, "api", "v1")) {
        ps_http_reply_status(reply, 413);
        reply->content_type = PS_HTTP_JSON;
        ps_buf_printf(&reply->body, "\"Payload size exceeds the limit of %llu bytes\"", limit);
    } else {
        ps_http_reply_error(reply, 413, PS_HTTP_BAD_REQUEST,
                            "Payload size exceeds the limit of %llu bytes", limit);
    }
}

static bool copy_header(struct ps_http_exchange *exchange, const char *name, char **out)
{
    const char *value = header_of(exchange, name);
    if (!value)
        return true;
    *out = strdup(value);
    return *out != NULL;
}

static void route_rest(struct ps_http_exchange *exchange)
{
    struct ps_http_call *call = &exchange->call;
    if (!exchange->lane->server->settings.rest) {
        ps_http_reply_error(&call->reply, 404, PS_HTTP_NOT_FOUND, "Not found");
        return;
    }
    exchange->route = PS_HTTP_ROUTE_REST;
    if (!copy_header(exchange, "X-Authorization", &call->x_authorization) ||
        !copy_header(exchange, "Authorization", &call->authorization) ||
        !copy_header(exchange, "Content-Type", &call->content_type) ||
        !copy_header(exchange, "Accept", &call->accept))
        ps_http_reply_failure(&call->reply, PS_ENOMEM, NULL);
}

static void route(struct ps_http_exchange *exchange)
{
    struct ps_http_call *call = &exchange->call;
    struct ps_http_reply *reply = &call->reply;
    if (atomic_load(&exchange->lane->server->stopping)) {
        ps_http_reply_failure(reply, PS_ECLOSED, NULL);
        reply->close = true;
    } else if (call->method == PS_HTTP_OPTIONS) {
        ps_http_reply_empty(reply);
        snprintf(reply->allow, sizeof reply->allow, "%s", all_methods);
    } else if (below(&call->target, "api", "ws")) {
        /* Only a connection's first request can become a WebSocket: the front door decides. */
        ps_http_reply_error(reply, 400, PS_HTTP_BAD_REQUEST,
                            "WebSocket needs a connection of its own");
        reply->close = true;
    } else if (below(&call->target, "api", "v1")) {
        ps_http_device_route(exchange);
    } else if (below(&call->target, "api", NULL)) {
        route_rest(exchange);
    } else if (!ps_http_probe(exchange)) {
        ps_http_reply_error(reply, 404, PS_HTTP_NOT_FOUND, "Not found");
    }
}

static void on_header(struct ps_http_exchange *exchange, const char *method)
{
    struct ps_http_call *call = &exchange->call;
    exchange->started = true;
    call->method = method_parse(method);
    exchange->head = strcmp(method, "HEAD") == 0;
    exchange->body_limit = body_limit(exchange);
    if (call->reply.status == 0)
        route(exchange);
    const char *length = header_of(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (call->reply.status == 0 && length && strtoull(length, NULL, 10) > exchange->body_limit)
        too_large(exchange);
    exchange->discard = call->reply.status != 0;
}

/* The body's end cannot be told: a coding we do not know, or two answers to one question, which is
 * how requests are smuggled past proxies. The library would wait for the end of the connection. */
static bool framing_is_bad(struct ps_http_exchange *exchange)
{
    const char *coding = header_of(exchange, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    if (!coding)
        return false;
    return strcasecmp(coding, "chunked") != 0 ||
           header_of(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH) != NULL;
}

/* --- body --- */

static enum MHD_Result on_body(struct ps_http_exchange *exchange, const char *body, size_t *size)
{
    struct ps_http *server = exchange->lane->server;
    struct ps_buf *kept = &exchange->call.body;
    size_t len = *size;
    *size = 0; /* all of it is taken */
    exchange->body_seen += len;
    if (exchange->discard)
        return exchange->body_seen > exchange->body_limit + DRAIN_MAX ? MHD_NO : MHD_YES;
    if (exchange->body_seen > exchange->body_limit) {
        too_large(exchange);
        return MHD_YES;
    }
    uint64_t all = atomic_fetch_add(&server->body_bytes, len) + len;
    exchange->body_charged += len;
    ps_buf_put(kept, body, len);
    if (all > BODIES_MAX || !ps_buf_ok(kept)) {
        exchange->discard = true;
        ps_buf_deinit(kept);
        ps_http_reply_failure(&exchange->call.reply, PS_ENOMEM, NULL);
    }
    return MHD_YES;
}

/* --- answer --- */

static void rest_run(struct ps_reader_job *job, struct ps_db *db)
{
    struct ps_http_exchange *exchange =
        (struct ps_http_exchange *)((char *)job - offsetof(struct ps_http_exchange, job));
    const struct ps_http_settings *settings = &exchange->lane->server->settings;
    settings->rest(settings->rest_context, &exchange->call, db);
    ps_http_exchange_answer(exchange);
}

static void run_rest(struct ps_http_exchange *exchange)
{
    exchange->job.run = rest_run;
    if (!ps_http_exchange_wait(exchange)) {
        ps_http_reply_failure(&exchange->call.reply, PS_ECLOSED, NULL);
        return;
    }
    enum ps_status st =
        ps_reader_submit(exchange->lane->server->settings.services->readers, &exchange->job);
    if (st == PS_OK)
        return;
    ps_http_reply_failure(&exchange->call.reply, st, NULL);
    ps_http_exchange_answer(exchange);
}

static void on_complete(struct ps_http_exchange *exchange)
{
    const struct ps_http_lane *lane = exchange->lane;
    count(lane, PS_METRIC_HTTP_REQUESTS, 1);
    count(lane, PS_METRIC_HTTP_BYTES_IN, exchange->body_seen);
    atomic_fetch_add(&lane->server->running, 1);
    exchange->running = true;
    if (exchange->call.reply.status != 0)
        return;
    if (atomic_load(&lane->server->stopping))
        ps_http_reply_failure(&exchange->call.reply, PS_ECLOSED, NULL); /* nothing waits any more */
    else if (exchange->route == PS_HTTP_ROUTE_REST)
        run_rest(exchange);
    else
        ps_http_device_run(exchange);
}

static void add_cors(struct ps_http_exchange *exchange, struct MHD_Response *response,
                     const char *origin)
{
    MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
    MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
    MHD_add_response_header(response, "Vary", "Origin");
    if (exchange->call.method != PS_HTTP_OPTIONS)
        return;
    const char *headers = header_of(exchange, "Access-Control-Request-Headers");
    MHD_add_response_header(response, "Access-Control-Allow-Methods", all_methods);
    MHD_add_response_header(response, "Access-Control-Allow-Headers", headers ? headers : "*");
    MHD_add_response_header(response, "Access-Control-Max-Age", "1800");
}

static void add_headers(struct ps_http_exchange *exchange, struct MHD_Response *response,
                        const struct ps_http_reply *reply)
{
    const struct ps_http_target *target = &exchange->call.target;
    const char *origin = header_of(exchange, "Origin");
    if (reply->content_type)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    if (reply->allow[0])
        MHD_add_response_header(response, "Allow", reply->allow);
    if (reply->retry_after)
        MHD_add_response_header(response, "Retry-After", "1");
    if (reply->close)
        MHD_add_response_header(response, "Connection", "close");
    if (origin && below(target, "api", NULL))
        add_cors(exchange, response, origin);
    if (below(target, "api", NULL) && !below(target, "api", "v1")) {
        MHD_add_response_header(response, "Cache-Control",
                                "no-cache, no-store, max-age=0, must-revalidate");
        MHD_add_response_header(response, "Pragma", "no-cache");
        MHD_add_response_header(response, "Expires", "0");
    }
}

/* The response takes the body over, also if it fails. */
static struct MHD_Response *response_create(struct ps_buf *body)
{
    size_t len = body->len;
    char *data = body->data;
    *body = (struct ps_buf){ 0 };
    if (len == 0) {
        free(data);
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(data);
    return response;
}

static enum MHD_Result send_reply(struct ps_http_exchange *exchange, struct ps_http_reply *reply)
{
    if (!ps_buf_ok(&reply->body))
        ps_http_reply_failure(reply, PS_ENOMEM, NULL);
    struct MHD_Response *response;
    if (reply->rest) {
        response = ps_http_stream_response(exchange);
    } else {
        count(exchange->lane, PS_METRIC_HTTP_BYTES_OUT, reply->body.len);
        response = response_create(&reply->body);
    }
    if (!response)
        return MHD_NO;
    add_headers(exchange, response, reply);
    enum MHD_Result rc = MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return rc;
}

static bool is_plain_ok(struct ps_http_exchange *exchange)
{
    const struct ps_http_reply *reply = &exchange->call.reply;
    return reply->status == 200 && reply->body.len == 0 && !reply->close && !reply->allow[0] &&
           exchange->route != PS_HTTP_ROUTE_REST && !exchange->discard &&
           !header_of(exchange, "Origin");
}

static enum MHD_Result on_answer(struct ps_http_exchange *exchange)
{
    atomic_store(&exchange->phase, PS_HTTP_REPLIED);
    if (exchange->timed_out) {
        /* The work still owns call.reply. */
        struct ps_http_reply late = { 0 };
        if (exchange->route == PS_HTTP_ROUTE_DEVICE_GET_ATTRIBUTES)
            ps_http_reply_status(&late, 408);
        else
            ps_http_reply_failure(&late, PS_ETIMEOUT, NULL);
        enum MHD_Result rc = send_reply(exchange, &late);
        ps_http_reply_deinit(&late);
        return rc;
    }
    if (is_plain_ok(exchange))
        return MHD_queue_response(exchange->connection, 200, exchange->lane->server->empty_ok);
    return send_reply(exchange, &exchange->call.reply);
}

static enum MHD_Result refuse_framing(struct ps_http_exchange *exchange)
{
    struct ps_http_reply *reply = &exchange->call.reply;
    count(exchange->lane, PS_METRIC_HTTP_PROTOCOL_ERRORS, 1);
    ps_http_reply_error(reply, 400, PS_HTTP_BAD_REQUEST,
                        "The body's length is told wrongly: Transfer-Encoding must be chunked, and "
                        "then without Content-Length");
    reply->close = true;
    return on_answer(exchange);
}

enum MHD_Result ps_http_on_request(void *lane, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *body,
                                   size_t *body_size, void **con_cls)
{
    (void)lane;
    (void)connection;
    (void)url;
    (void)version;
    struct ps_http_exchange *exchange = *con_cls;
    ps_thread_set_role(PS_THREAD_HTTP);
    if (!exchange)
        return MHD_NO; /* memory was short at the request line */
    if (!exchange->started) {
        on_header(exchange, method);
        return framing_is_bad(exchange) ? refuse_framing(exchange) : MHD_YES;
    }
    if (*body_size > 0)
        return on_body(exchange, body, body_size);
    if (atomic_load(&exchange->phase) == PS_HTTP_READING) {
        on_complete(exchange);
        if (atomic_load(&exchange->phase) != PS_HTTP_READING)
            return MHD_YES; /* suspended: the reply may be in other hands */
    }
    return on_answer(exchange);
}

void ps_http_on_completed(void *lane_arg, struct MHD_Connection *connection, void **con_cls,
                          enum MHD_RequestTerminationCode how)
{
    struct ps_http_lane *lane = lane_arg;
    struct ps_http_exchange *exchange = *con_cls;
    (void)connection;
    (void)how;
    if (!exchange)
        return;
    *con_cls = NULL;
    if (exchange->running)
        atomic_fetch_sub(&lane->server->running, 1);
    ps_http_exchange_release(exchange);
}
