#include "transport/rest/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool ps_rest_uuid(struct ps_rest_call *call, const char *text, struct ps_uuid *out)
{
    if (ps_uuid_parse(text, strlen(text), out) == PS_OK)
        return true;
    ps_rest_bad_request(call, "Invalid UUID string: %s", text);
    return false;
}

const char *ps_rest_param(const struct ps_rest_call *call, const char *name)
{
    return ps_http_param(&call->http->target, name);
}

bool ps_rest_required(struct ps_rest_call *call, const char *name, const char **out)
{
    *out = ps_rest_param(call, name);
    if (!*out)
        ps_rest_bad_request(call, "Required request parameter '%s' is not present", name);
    return *out != NULL;
}

bool ps_rest_int(struct ps_rest_call *call, const char *name, int64_t min, int64_t max,
                 int64_t *out)
{
    const char *text = ps_rest_param(call, name);
    if (!text)
        return true;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool is_number = (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) && !*end && !errno;
    if (!is_number || value < min || value > max) {
        ps_rest_bad_request(call, "Invalid value '%s' of parameter '%s'", text, name);
        return false;
    }
    *out = value;
    return true;
}

bool ps_rest_bool(struct ps_rest_call *call, const char *name, bool *out)
{
    const char *text = ps_rest_param(call, name);
    if (!text)
        return true;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        ps_rest_bad_request(call, "Invalid value '%s' of parameter '%s': true or false", text,
                            name);
        return false;
    }
    *out = text[0] == 't';
    return true;
}

bool ps_rest_page(struct ps_rest_call *call, struct ps_page_query *out)
{
    const char *unused;
    int64_t size = 0, page = 0;
    if (!ps_rest_required(call, "pageSize", &unused) || !ps_rest_required(call, "page", &unused) ||
        !ps_rest_int(call, "pageSize", 1, INT32_MAX, &size) ||
        !ps_rest_int(call, "page", 0, INT32_MAX, &page))
        return false;
    const char *order = ps_rest_param(call, "sortOrder");
    if (order && *order && strcmp(order, "ASC") != 0 && strcmp(order, "DESC") != 0) {
        ps_rest_bad_request(call, "Unsupported sort order '%s': ASC or DESC", order);
        return false;
    }
    *out = (struct ps_page_query){
        .page_size = (unsigned)(size > PS_PAGE_SIZE_MAX ? PS_PAGE_SIZE_MAX : size),
        .page = (unsigned)page,
        .text_search = ps_rest_param(call, "textSearch"),
        .sort_property = ps_rest_param(call, "sortProperty"),
        .descending = order && strcmp(order, "DESC") == 0,
    };
    return true;
}

bool ps_rest_allowed(struct ps_rest_call *call, enum ps_resource resource,
                     enum ps_operation operation, const struct ps_ownership *owner,
                     enum ps_entity_type type, const struct ps_uuid *id)
{
    enum ps_status st = ps_permission_check(call->principal, resource, operation, owner);
    if (st == PS_ENOTFOUND)
        ps_rest_not_found(call, type, id);
    else if (st != PS_OK)
        ps_rest_forbidden(call);
    return st == PS_OK;
}

bool ps_rest_has(struct ps_rest_call *call, enum ps_resource resource, enum ps_operation operation)
{
    bool has = ps_permission_has(call->principal->authority, resource, operation);
    if (!has)
        ps_rest_forbidden(call);
    return has;
}

void ps_rest_bad_request(struct ps_rest_call *call, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    ps_http_reply_error(call->reply, 400, PS_HTTP_BAD_REQUEST, "%s", message);
}

void ps_rest_forbidden(struct ps_rest_call *call)
{
    ps_http_reply_failure(call->reply, PS_EDENIED, NULL);
}

void ps_rest_not_found(struct ps_rest_call *call, enum ps_entity_type type,
                       const struct ps_uuid *id)
{
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(id, text);
    ps_http_reply_error(call->reply, 404, PS_HTTP_NOT_FOUND, "%s with id [%s] is not found",
                        ps_entity_type_sentence(type), text);
}

void ps_rest_lookup_failed(struct ps_rest_call *call, enum ps_status st, enum ps_entity_type type,
                           const struct ps_uuid *id)
{
    if (st == PS_ENOTFOUND)
        ps_rest_not_found(call, type, id);
    else
        ps_http_reply_failure(call->reply, st, NULL);
}

bool ps_rest_changed(struct ps_rest_call *call, enum ps_status st, const struct ps_text *why)
{
    if (st != PS_OK)
        ps_http_reply_failure(call->reply, st, why ? why->data : NULL);
    return st == PS_OK;
}

struct ps_buf *ps_rest_json(struct ps_rest_call *call)
{
    ps_http_reply_empty(call->reply);
    call->reply->content_type = PS_HTTP_JSON;
    return &call->reply->body;
}

struct ps_buf *ps_rest_page_begin(struct ps_rest_call *call)
{
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_text(buf, "{\"data\":[");
    return buf;
}

void ps_rest_page_end(struct ps_rest_call *call, const struct ps_page_query *page, int64_t total)
{
    struct ps_buf *buf = &call->reply->body;
    int64_t size = page->page_size;
    ps_buf_put_char(buf, ']');
    ps_answer_int(buf, "totalPages", (total + size - 1) / size);
    ps_answer_int(buf, "totalElements", total);
    ps_answer_bool(buf, "hasNext", (int64_t)(page->page + 1ll) * size < total);
    ps_buf_put_char(buf, '}');
}
