/* probes: what orchestrators and Prometheus ask. Answered from memory, without a login. */
#include "transport/http/exchange.h"

#include <stdio.h>

#include "core/json_text.h"
#include "core/metrics.h"
#include "core/storage/disk_budget.h"
#include "core/telemetry/store.h"
#include "transport/services.h"

static void metrics(struct ps_http_exchange *exchange)
{
    struct ps_http_reply *reply = &exchange->call.reply;
    ps_http_reply_empty(reply);
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    ps_metrics_render(exchange->lane->server->settings.services->metrics, &reply->body);
}

static void healthz(struct ps_http_exchange *exchange)
{
    struct ps_http_reply *reply = &exchange->call.reply;
    ps_http_reply_empty(reply);
    reply->content_type = "text/plain";
    ps_buf_put_text(&reply->body, "ok");
}

/* ,"damagedFiles":["2026-W46"],"damagedCount":1: telemetry that was set aside. */
static void put_damaged(struct ps_store *store, struct ps_buf *body)
{
    struct ps_text names = { "" };
    size_t count = store ? ps_store_damaged(store, &names) : 0;
    if (count == 0)
        return;
    ps_buf_put_text(body, ",\"damagedFiles\":[");
    for (const char *name = names.data; *name;) {
        size_t len = strcspn(name, ",");
        ps_json_put_string(body, name, len);
        name += len + strspn(name + len, ", ");
        if (*name)
            ps_buf_put_char(body, ',');
    }
    ps_buf_printf(body, "],\"damagedCount\":%zu", count);
}

/* It serves, so it is ready, also if it cannot do all it should: the body tells what. */
static void readyz(struct ps_http_exchange *exchange)
{
    const struct ps_services *services = exchange->lane->server->settings.services;
    struct ps_http_reply *reply = &exchange->call.reply;
    bool ready = atomic_load(&exchange->lane->server->ready);
    ps_http_reply_status(reply, ready ? 200 : 503);
    reply->content_type = PS_HTTP_JSON;
    ps_buf_printf(&reply->body, "{\"ready\":%s", ready ? "true" : "false");
    put_damaged(services->store, &reply->body);
    if (ps_disk_budget_refuses(services->disk))
        ps_buf_put_text(&reply->body, ",\"diskFull\":true");
    ps_buf_put_char(&reply->body, '}');
}

bool ps_http_probe(struct ps_http_exchange *exchange)
{
    static const struct probe {
        const char *name;
        void (*answer)(struct ps_http_exchange *exchange);
    } probes[] = { { "metrics", metrics }, { "healthz", healthz }, { "readyz", readyz } };
    struct ps_http_call *call = &exchange->call;

    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (call->target.segment_count != 1 ||
            strcmp(call->target.segments[0], probes[i].name) != 0)
            continue;
        if (call->method == PS_HTTP_GET)
            probes[i].answer(exchange);
        else
            ps_http_method_not_allowed(call, "GET, HEAD");
        return true;
    }
    return false;
}

void ps_http_method_not_allowed(struct ps_http_call *call, const char *allow)
{
    ps_http_reply_error(&call->reply, 405, PS_HTTP_BAD_REQUEST, "Method not allowed");
    snprintf(call->reply.allow, sizeof call->reply.allow, "%s", allow);
}
