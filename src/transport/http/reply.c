#include "transport/http/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/json_text.h"

enum { MESSAGE_SIZE = 1024 };

static void drop_rest(struct ps_http_reply *reply)
{
    if (reply->rest)
        reply->rest->destroy(reply->rest);
    reply->rest = NULL;
}

void ps_http_reply_deinit(struct ps_http_reply *reply)
{
    drop_rest(reply);
    ps_buf_deinit(&reply->body);
    *reply = (struct ps_http_reply){ 0 };
}

void ps_http_reply_reset(struct ps_http_reply *reply)
{
    struct ps_buf body = reply->body;
    drop_rest(reply);
    ps_buf_clear(&body);
    *reply = (struct ps_http_reply){ .body = body };
}

void ps_http_reply_status(struct ps_http_reply *reply, unsigned status)
{
    ps_http_reply_reset(reply);
    reply->status = status;
}

void ps_http_reply_empty(struct ps_http_reply *reply)
{
    ps_http_reply_status(reply, 200);
}

void ps_http_reply_error(struct ps_http_reply *reply, unsigned status, enum ps_http_error code,
                         const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    ps_http_reply_status(reply, status);
    reply->content_type = PS_HTTP_JSON;
    ps_buf_printf(&reply->body, "{\"status\":%u,\"message\":", status);
    ps_json_put_string(&reply->body, message, strlen(message));
    ps_buf_printf(&reply->body, ",\"errorCode\":%d,\"timestamp\":", (int)code);
    ps_json_put_long(&reply->body, ps_clock_now_ms());
    ps_buf_put_char(&reply->body, '}');
    reply->retry_after = status == 503 || status == 429;
}

static const struct failure {
    enum ps_status st;
    unsigned status;
    enum ps_http_error code;
    const char *message; /* NULL: the caller's, else the status text */
} failures[] = {
    { PS_EINVAL, 400, PS_HTTP_BAD_REQUEST, NULL },
    { PS_EPROTO, 400, PS_HTTP_BAD_REQUEST, NULL },
    { PS_EEXISTS, 400, PS_HTTP_BAD_REQUEST, NULL },
    { PS_ELIMIT, 400, PS_HTTP_BAD_REQUEST, NULL },
    { PS_EAUTH, 401, PS_HTTP_AUTHENTICATION, "Authentication failed" },
    { PS_EDENIED, 403, PS_HTTP_PERMISSION_DENIED,
      "You don't have permission to perform this operation!" },
    { PS_ENOTFOUND, 404, PS_HTTP_NOT_FOUND, NULL },
    { PS_ECONFLICT, 409, PS_HTTP_VERSION_CONFLICT, NULL },
    { PS_EUNSUPPORTED, 400, PS_HTTP_BAD_REQUEST, NULL },
    { PS_EBUSY, 503, PS_HTTP_GENERAL, "Too busy, try again later" },
    { PS_ENOMEM, 503, PS_HTTP_GENERAL, "Out of memory, try again later" },
    { PS_ECLOSED, 503, PS_HTTP_GENERAL, "The server is shutting down" },
    { PS_ETIMEOUT, 503, PS_HTTP_GENERAL, "Request timeout" },
    { PS_EFULL, 507, PS_HTTP_DATABASE, "Disk full" },
    { PS_ESTORE, 500, PS_HTTP_DATABASE, "Database error" },
};

void ps_http_reply_failure(struct ps_http_reply *reply, enum ps_status st, const char *message)
{
    PS_ASSERT(st != PS_OK);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        const struct failure *f = &failures[i];
        if (f->st != st)
            continue;
        if (f->message)
            message = f->message;
        else if (!message || !*message)
            message = ps_status_text(st);
        ps_http_reply_error(reply, f->status, f->code, "%s", message);
        return;
    }
    ps_http_reply_error(reply, 500, PS_HTTP_GENERAL, "%s",
                        message && *message ? message : ps_status_text(st));
}
