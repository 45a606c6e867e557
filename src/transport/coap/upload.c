#include "transport/coap/upload.h"

#include <string.h>

enum { BYTES_MAX = 16 * 1024 * 1024 };

bool ps_coap_block_decode(uint32_t value, struct ps_coap_block *block)
{
    if ((value & 7) == 7)
        return false;
    *block = (struct ps_coap_block){ .number = value >> 4,
                                     .size = 16u << (value & 7),
                                     .more = (value & 8) != 0 };
    return true;
}

uint32_t ps_coap_block_encode(const struct ps_coap_block *block)
{
    uint32_t exponent = (uint32_t)__builtin_ctz(block->size) - 4;
    return block->number << 4 | (block->more ? 8u : 0u) | exponent;
}

void ps_coap_uploads_init(struct ps_coap_uploads *uploads, size_t body_bytes_max)
{
    *uploads = (struct ps_coap_uploads){
        .body_bytes_max = body_bytes_max,
        .bytes_max = body_bytes_max > BYTES_MAX ? body_bytes_max : BYTES_MAX,
    };
}

static void remove_at(struct ps_coap_uploads *uploads, size_t i)
{
    uploads->bytes -= uploads->items[i].body.len;
    ps_buf_deinit(&uploads->items[i].body);
    uploads->items[i] = uploads->items[--uploads->count];
    uploads->items[uploads->count] = (struct ps_coap_upload){ 0 };
}

void ps_coap_uploads_deinit(struct ps_coap_uploads *uploads)
{
    while (uploads->count > 0)
        remove_at(uploads, uploads->count - 1);
}

static size_t index_of(const struct ps_coap_uploads *uploads, uint64_t digest)
{
    size_t i = 0;
    while (i < uploads->count && uploads->items[i].digest != digest)
        i++;
    return i;
}

void ps_coap_uploads_drop(struct ps_coap_uploads *uploads, uint64_t digest)
{
    size_t i = index_of(uploads, digest);
    if (i < uploads->count)
        remove_at(uploads, i);
}

void ps_coap_uploads_expire(struct ps_coap_uploads *uploads, int64_t now_ms)
{
    for (size_t i = uploads->count; i-- > 0;) {
        if (now_ms - uploads->items[i].last_block_ms > PS_COAP_UPLOAD_IDLE_MS)
            remove_at(uploads, i);
    }
}

static struct ps_coap_upload *begin(struct ps_coap_uploads *uploads, uint64_t digest)
{
    ps_coap_uploads_drop(uploads, digest);
    if (uploads->count == PS_COAP_UPLOADS_MAX)
        return NULL;
    struct ps_coap_upload *upload = &uploads->items[uploads->count++];
    upload->digest = digest;
    return upload;
}

static enum ps_coap_upload_result forget(struct ps_coap_uploads *uploads, uint64_t digest,
                                         enum ps_coap_upload_result result)
{
    ps_coap_uploads_drop(uploads, digest);
    return result;
}

static enum ps_coap_upload_result
append(struct ps_coap_uploads *uploads, struct ps_coap_upload *upload, const char *data, size_t len)
{
    if (upload->body.len + len > uploads->body_bytes_max)
        return forget(uploads, upload->digest, PS_COAP_UPLOAD_TOO_LARGE);
    if (uploads->bytes + len > uploads->bytes_max)
        return forget(uploads, upload->digest, PS_COAP_UPLOAD_NO_ROOM);
    ps_buf_put(&upload->body, data, len);
    if (!ps_buf_ok(&upload->body))
        return forget(uploads, upload->digest, PS_COAP_UPLOAD_NO_ROOM);
    uploads->bytes += len;
    return PS_COAP_UPLOAD_CONTINUE;
}

enum ps_coap_upload_result ps_coap_uploads_add(struct ps_coap_uploads *uploads, uint64_t digest,
                                               const struct ps_coap_block *block, const char *data,
                                               size_t len, int64_t now_ms,
                                               const struct ps_buf **body)
{
    if (len > block->size || (block->more && len != block->size))
        return PS_COAP_UPLOAD_BAD_BLOCK;
    size_t offset = (size_t)block->number * block->size;
    if (offset + len > uploads->body_bytes_max)
        return forget(uploads, digest, PS_COAP_UPLOAD_TOO_LARGE);

    size_t i = index_of(uploads, digest);
    struct ps_coap_upload *upload = i < uploads->count ? &uploads->items[i] : NULL;
    bool repeated = upload && len > 0 && offset + len == upload->body.len &&
                    memcmp(upload->body.data + offset, data, len) == 0;
    if (!repeated) {
        if (offset == 0)
            upload = begin(uploads, digest);
        else if (!upload || offset != upload->body.len)
            return forget(uploads, digest, PS_COAP_UPLOAD_INCOMPLETE);
        if (!upload)
            return PS_COAP_UPLOAD_NO_ROOM;
        enum ps_coap_upload_result result = append(uploads, upload, data, len);
        if (result != PS_COAP_UPLOAD_CONTINUE)
            return result;
    }
    upload->last_block_ms = now_ms;
    if (block->more)
        return PS_COAP_UPLOAD_CONTINUE;
    *body = &upload->body;
    return PS_COAP_UPLOAD_COMPLETE;
}
