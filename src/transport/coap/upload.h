/* upload: request bodies that come in blocks (Block1 of RFC 7959), put together again.
 *
 * Our own, because libcoap 4.3.1 believes what Size1 says (it allocates that much at once, up to
 * 4 GiB, and hands single blocks to the handler if the option is missing), and keeps the blocks in
 * a session that it drops as soon as coap.max_idle_sessions other peers have spoken.
 *
 * A body is known by the digest of its sender and path. Blocks must come in order; a repeated block
 * is taken as what it is; block 0 starts again. Bounded: PS_COAP_UPLOADS_MAX bodies, bytes of all
 * bodies together, five minutes without a block (contract, section 9). */
#ifndef PS_TRANSPORT_COAP_UPLOAD_H
#define PS_TRANSPORT_COAP_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

enum { PS_COAP_UPLOADS_MAX = 256, PS_COAP_UPLOAD_IDLE_MS = 300000 };

/* A Block1 or Block2 option: offset = number * size. */
struct ps_coap_block {
    uint32_t number;
    uint32_t size; /* 16 .. 1024 */
    bool more;
};

/** From the value of the option (its 0 to 3 bytes as a number); false: the reserved size. */
bool ps_coap_block_decode(uint32_t value, struct ps_coap_block *block);
uint32_t ps_coap_block_encode(const struct ps_coap_block *block);

enum ps_coap_upload_result {
    PS_COAP_UPLOAD_CONTINUE,   /* 2.31: kept, send the next */
    PS_COAP_UPLOAD_COMPLETE,   /* the body is whole */
    PS_COAP_UPLOAD_BAD_BLOCK,  /* 4.00: not the size it says */
    PS_COAP_UPLOAD_INCOMPLETE, /* 4.08: a block before this one is missing; all are forgotten */
    PS_COAP_UPLOAD_TOO_LARGE,  /* 4.13; all are forgotten */
    PS_COAP_UPLOAD_NO_ROOM,    /* 5.03 */
};

struct ps_coap_upload {
    uint64_t digest;
    int64_t last_block_ms;
    struct ps_buf body;
};

/* One thread. */
struct ps_coap_uploads {
    size_t body_bytes_max, bytes_max, bytes; /* of one body; of all; of all now */
    size_t count;
    struct ps_coap_upload items[PS_COAP_UPLOADS_MAX];
};

void ps_coap_uploads_init(struct ps_coap_uploads *uploads, size_t body_bytes_max);
void ps_coap_uploads_deinit(struct ps_coap_uploads *uploads);

/**
 * Take one block.
 *
 * @param body  COMPLETE: the whole body, until the digest is dropped
 */
enum ps_coap_upload_result ps_coap_uploads_add(struct ps_coap_uploads *uploads, uint64_t digest,
                                               const struct ps_coap_block *block, const char *data,
                                               size_t len, int64_t now_ms,
                                               const struct ps_buf **body);
/** Forget a body; an unknown digest is fine. */
void ps_coap_uploads_drop(struct ps_coap_uploads *uploads, uint64_t digest);
/** Forget the bodies that have waited for a block too long. */
void ps_coap_uploads_expire(struct ps_coap_uploads *uploads, int64_t now_ms);

#endif
