/* device_api: telemetry, attributes and attribute requests of devices (device contract, section 8).
 *
 * The token is checked when the header is here, before a body is kept. Parsing and posting happen
 * in the lane's thread; the answer is sent when the message's ack settles, so 200 means committed.
 */
#include "transport/http/exchange.h"

#include <stdlib.h>

#include "core/entity/identity_cache.h"
#include "core/metrics.h"
#include "transport/services.h"

static const struct device_path {
    const char *name;
    enum ps_http_method method;
    enum ps_http_route route;
} device_paths[] = {
    { "telemetry", PS_HTTP_POST, PS_HTTP_ROUTE_DEVICE_TELEMETRY },
    { "attributes", PS_HTTP_POST, PS_HTTP_ROUTE_DEVICE_ATTRIBUTES },
    { "attributes", PS_HTTP_GET, PS_HTTP_ROUTE_DEVICE_GET_ATTRIBUTES },
};

enum { DEVICE_PATH_COUNT = sizeof device_paths / sizeof device_paths[0] };

/* --- routing --- */

static const struct device_path *find_path(struct ps_http_call *call)
{
    const char *name = call->target.segment_count == 4 ? call->target.segments[3] : "";
    bool known = false;
    for (size_t i = 0; i < DEVICE_PATH_COUNT; i++) {
        if (strcmp(device_paths[i].name, name) != 0)
            continue;
        if (device_paths[i].method == call->method)
            return &device_paths[i];
        known = true;
    }
    if (known)
        ps_http_method_not_allowed(
            call, strcmp(name, "telemetry") == 0 ? "POST, OPTIONS" : "GET, HEAD, POST, OPTIONS");
    else
        ps_http_reply_error(&call->reply, 404, PS_HTTP_NOT_FOUND, "Not found");
    return NULL;
}

void ps_http_device_route(struct ps_http_exchange *exchange)
{
    struct ps_http_call *call = &exchange->call;
    const struct device_path *path = find_path(call);
    if (!path)
        return;
    const char *token = call->target.segments[2];
    struct ps_identity_cache *cache = exchange->lane->server->settings.services->identities;
    enum ps_status st =
        ps_identity_cache_find_token(cache, token, strlen(token), &exchange->identity);
    if (st == PS_OK)
        exchange->route = path->route;
    else if (st == PS_EAUTH)
        ps_http_reply_status(&call->reply, 401);
    else
        ps_http_reply_failure(&call->reply, st, NULL);
}

/* --- telemetry and attributes --- */

/* Shard's thread: everything the body said is committed, or has failed. */
static void uplink_settled(struct ps_ack *ack)
{
    struct ps_http_exchange *exchange =
        (struct ps_http_exchange *)((char *)ack - offsetof(struct ps_http_exchange, ack));
    if (ack->status == PS_OK)
        ps_http_reply_empty(&exchange->call.reply);
    else
        ps_http_reply_failure(&exchange->call.reply, ack->status, NULL);
    ps_http_exchange_answer(exchange);
}

static void run_uplink(struct ps_http_exchange *exchange)
{
    struct ps_device_uplink *uplink = &exchange->lane->uplink;
    const struct ps_buf *body = &exchange->call.body;
    const char *text = body->data ? body->data : "";
    struct ps_text why = { "" };
    enum ps_status st;

    ps_ack_init(&exchange->ack, NULL, uplink_settled);
    /* First suspended, then posted: from here on the ack may settle at any moment. */
    if (!ps_http_exchange_wait(exchange)) {
        ps_http_reply_failure(&exchange->call.reply, PS_ECLOSED, NULL);
        return;
    }
    if (exchange->route == PS_HTTP_ROUTE_DEVICE_TELEMETRY)
        st = ps_device_uplink_telemetry(uplink, exchange->identity, text, body->len, &exchange->ack,
                                        &why);
    else
        st = ps_device_uplink_attributes(uplink, exchange->identity, text, body->len,
                                         &exchange->ack, &why);
    if (st == PS_OK)
        return;
    ps_http_reply_failure(&exchange->call.reply, st, why.data);
    ps_http_exchange_answer(exchange);
}

/* --- attribute requests --- */

/* Shard's thread. */
static void attributes_found(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct ps_attribute_reply *found =
        (struct ps_attribute_reply *)((char *)item - offsetof(struct ps_attribute_reply, item));
    struct ps_http_exchange *exchange = found->owner;
    struct ps_http_reply *reply = &exchange->call.reply;
    if (found->status == PS_OK) {
        ps_http_reply_empty(reply);
        reply->content_type = PS_HTTP_JSON;
        if (found->json.len > 0)
            ps_buf_put(&reply->body, found->json.data, found->json.len);
        else
            ps_buf_put_text(&reply->body, "{}");
    } else {
        ps_http_reply_failure(reply, found->status, NULL);
    }
    ps_attribute_reply_destroy(found);
    ps_http_exchange_answer(exchange);
}

static void run_attribute_request(struct ps_http_exchange *exchange)
{
    struct ps_http_call *call = &exchange->call;
    struct ps_device_uplink *uplink = &exchange->lane->uplink;
    struct ps_attribute_request wanted;
    enum ps_status st = ps_payload_split_attribute_request(
        &uplink->payload, ps_http_param(&call->target, "clientKeys"),
        ps_http_param(&call->target, "sharedKeys"), &wanted);
    if (st != PS_OK) {
        ps_http_reply_failure(&call->reply, st, NULL);
        return;
    }
    struct ps_attribute_reply *request =
        ps_attribute_reply_create(exchange->identity, &wanted, NULL, attributes_found);
    if (!request) {
        ps_http_reply_failure(&call->reply, PS_ENOMEM, NULL);
        return;
    }
    request->owner = exchange;
    if (!ps_http_exchange_wait(exchange)) {
        ps_attribute_reply_destroy(request);
        ps_http_reply_failure(&call->reply, PS_ECLOSED, NULL);
        return;
    }
    ps_device_uplink_request_attributes(exchange->lane->server->settings.services->actors, request);
}

void ps_http_device_run(struct ps_http_exchange *exchange)
{
    if (exchange->route == PS_HTTP_ROUTE_DEVICE_GET_ATTRIBUTES)
        run_attribute_request(exchange);
    else
        run_uplink(exchange);
}
