#include "transport/coap/request.h"

#include <string.h>
#include <strings.h>

void ps_coap_request_init(struct ps_coap_request *request, enum ps_coap_method method)
{
    *request = (struct ps_coap_request){ .method = method };
}

static void add_segment(struct ps_coap_request *request, const char *text, size_t len)
{
    if (len == 0)
        return;
    if (request->segment_count < PS_COAP_SEGMENTS_KEPT)
        request->segments[request->segment_count] = (struct ps_coap_span){ text, len };
    request->segment_count++;
}

void ps_coap_request_add_path(struct ps_coap_request *request, const char *text, size_t len)
{
    const char *slash;
    while (len > 0 && (slash = memchr(text, '/', len)) != NULL) {
        size_t segment_len = (size_t)(slash - text);
        add_segment(request, text, segment_len);
        text = slash + 1;
        len -= segment_len + 1;
    }
    add_segment(request, text, len);
}

static bool starts_with(const char *text, size_t len, const char *name, size_t name_len)
{
    return len >= name_len && memcmp(text, name, name_len) == 0;
}

void ps_coap_request_add_query(struct ps_coap_request *request, const char *text, size_t len)
{
    enum { NAME_LEN = sizeof "clientKeys=" - 1 };
    struct ps_coap_span *keys;
    if (len < NAME_LEN)
        return;
    if (starts_with(text, len, "clientKeys=", NAME_LEN))
        keys = &request->client_keys;
    else if (starts_with(text, len, "sharedKeys=", NAME_LEN))
        keys = &request->shared_keys;
    else
        return;
    if (!keys->data)
        *keys = (struct ps_coap_span){ text + NAME_LEN, len - NAME_LEN };
}

static bool is_name(const struct ps_coap_span *segment, const char *name)
{
    return segment->len == strlen(name) && strncasecmp(segment->data, name, segment->len) == 0;
}

static const struct feature {
    const char *name;
    enum ps_coap_method method;
    enum ps_coap_target target;
} features[] = {
    { "telemetry", PS_COAP_POST, PS_COAP_TELEMETRY },
    { "attributes", PS_COAP_POST, PS_COAP_ATTRIBUTES },
    { "attributes", PS_COAP_GET, PS_COAP_READ_ATTRIBUTES },
};

static enum ps_coap_target feature_target(const struct ps_coap_request *request)
{
    if (request->segment_count != 4)
        return PS_COAP_NO_FEATURE;
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        if (features[i].method == request->method &&
            is_name(&request->segments[3], features[i].name))
            return features[i].target;
    }
    return PS_COAP_NO_FEATURE;
}

/* /api/v1/{token}/{feature} */
static enum ps_coap_target api_target(const struct ps_coap_request *request,
                                      struct ps_coap_span *token)
{
    const struct ps_coap_span *segments = request->segments;
    if (request->method == PS_COAP_OTHER_METHOD)
        return PS_COAP_WRONG_METHOD;
    if (request->segment_count > 1 && !is_name(&segments[1], "v1"))
        return PS_COAP_BAD_PATH;
    if (request->segment_count < 3)
        return PS_COAP_TOKENLESS;
    /* Provisioning has no token and is not served yet. */
    if (request->segment_count == 3 && request->method == PS_COAP_POST &&
        is_name(&segments[2], "provision"))
        return PS_COAP_BAD_PATH;
    *token = segments[2];
    return feature_target(request);
}

/* /fw/{token}, /sw/{token} */
static enum ps_coap_target package_target(const struct ps_coap_request *request,
                                          struct ps_coap_span *token)
{
    if (request->method != PS_COAP_GET)
        return PS_COAP_WRONG_METHOD;
    if (request->segment_count < 2)
        return PS_COAP_TOKENLESS;
    *token = request->segments[1];
    return request->segment_count == 2 ? PS_COAP_PACKAGE : PS_COAP_NO_FEATURE;
}

enum ps_coap_target ps_coap_request_target(const struct ps_coap_request *request,
                                           struct ps_coap_span *token)
{
    if (request->segment_count == 0)
        return PS_COAP_OUTSIDE;
    const struct ps_coap_span *root = &request->segments[0];
    if (is_name(root, "api"))
        return api_target(request, token);
    if (is_name(root, "fw") || is_name(root, "sw"))
        return package_target(request, token);
    return PS_COAP_OUTSIDE;
}
