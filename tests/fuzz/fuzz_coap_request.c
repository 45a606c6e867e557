/* A CoAP request as path and query options, and its body in blocks.
 *
 * Each option is one length byte and its text. Whatever comes, a target that needs a token has one,
 * and it is a piece of the path; what is left over is fed to the uploads as blocks. */
#include "core/status.h"
#include "transport/coap/request.h"
#include "transport/coap/upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t len;
};

static unsigned take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static struct ps_coap_span take_span(struct input *in, size_t len)
{
    if (len > in->len)
        len = in->len;
    struct ps_coap_span span = { (const char *)in->data, len };
    in->data += len;
    in->len -= len;
    return span;
}

static bool is_within(const struct ps_coap_span *span, const uint8_t *data, size_t size)
{
    const char *begin = (const char *)data;
    return !span->data ||
           (span->data >= begin && span->data + span->len <= begin + size && span->len <= size);
}

static void check_request(struct input *in, const uint8_t *data, size_t size)
{
    struct ps_coap_request request;
    struct ps_coap_span token = { NULL, 0 };
    ps_coap_request_init(&request, (enum ps_coap_method)(take_byte(in) % 3));
    for (unsigned left = take_byte(in) % 8; left > 0; left--) {
        struct ps_coap_span option = take_span(in, take_byte(in));
        ps_coap_request_add_path(&request, option.data, option.len);
    }
    for (unsigned left = take_byte(in) % 4; left > 0; left--) {
        struct ps_coap_span option = take_span(in, take_byte(in));
        ps_coap_request_add_query(&request, option.data, option.len);
    }
    enum ps_coap_target target = ps_coap_request_target(&request, &token);
    PS_ASSERT(target <= PS_COAP_PACKAGE);
    PS_ASSERT((target >= PS_COAP_NO_FEATURE) == (token.data != NULL));
    PS_ASSERT(is_within(&token, data, size));
    PS_ASSERT(is_within(&request.client_keys, data, size));
    PS_ASSERT(is_within(&request.shared_keys, data, size));
}

static void check_blocks(struct input *in)
{
    static struct ps_coap_uploads uploads; /* large; empty between inputs */
    ps_coap_uploads_init(&uploads, 2048);
    uploads.bytes_max = 3000;
    for (int64_t now_ms = 0; in->len > 0; now_ms += 1000) {
        struct ps_coap_block block;
        const struct ps_buf *body = NULL;
        uint64_t digest = take_byte(in) % 4;
        uint32_t value = take_byte(in) | take_byte(in) << 8;
        if (!ps_coap_block_decode(value, &block))
            continue;
        PS_ASSERT(ps_coap_block_encode(&block) == value);
        struct ps_coap_span bytes = take_span(in, block.size - (take_byte(in) == 255));
        enum ps_coap_upload_result result =
            ps_coap_uploads_add(&uploads, digest, &block, bytes.data, bytes.len, now_ms, &body);
        PS_ASSERT((result == PS_COAP_UPLOAD_COMPLETE) == (body != NULL));
        PS_ASSERT(!body || body->len <= 2048);
        PS_ASSERT(uploads.bytes <= uploads.bytes_max && uploads.count <= 4);
        if (body)
            ps_coap_uploads_drop(&uploads, digest);
    }
    ps_coap_uploads_deinit(&uploads);
    PS_ASSERT(uploads.bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    check_request(&in, data, size);
    check_blocks(&in);
    return 0;
}
