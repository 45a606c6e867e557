/* answer: what a request is answered with, and its way into a libcoap message.
 *
 * The same struct serves the answer that is written into the response libcoap holds ready and the
 * one that comes later in a message of our own (pending.h). */
#ifndef PS_TRANSPORT_COAP_ANSWER_H
#define PS_TRANSPORT_COAP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <coap3/coap.h>

#include "core/status.h"
#include "transport/coap/upload.h"

enum { PS_COAP_NO_FORMAT = -1, PS_COAP_JSON = 50 };

/* What the answer must know about its request. */
struct ps_coap_terms {
    int32_t content_format; /* PS_COAP_NO_FORMAT: not given */
    bool has_block1, has_block2;
    struct ps_coap_block block1, block2;
    uint8_t no_response; /* RFC 7967: classes of answers that are not wanted; 0 = all are */
};

struct ps_coap_answer {
    coap_pdu_code_t code;
    const char *payload; /* borrowed until written */
    size_t len;
    bool is_representation; /* a 2.05 body with format, tag and blocks; else a diagnostic text */
    bool says_size;         /* 4.13: Size1 tells how much is allowed */
    uint32_t size1;
};

/** A code with a diagnostic text; NULL = none. */
struct ps_coap_answer ps_coap_answer_text(coap_pdu_code_t code, const char *text);
/** What a failure is answered with; `why` NULL or "" = the status' own text. */
struct ps_coap_answer ps_coap_answer_failure(enum ps_status status, const char *why);
/** A JSON body, sent in blocks if it is large or blocks are asked for. */
struct ps_coap_answer ps_coap_answer_json(const char *json, size_t len);

/** True if RFC 7967 says to keep this answer back. */
bool ps_coap_answer_is_unwanted(const struct ps_coap_answer *answer,
                                const struct ps_coap_terms *terms);

/** Write code, options and payload into a message that has its token already. Returns: its size
 *  without header and token. */
size_t ps_coap_answer_write(const struct ps_coap_answer *answer, const struct ps_coap_terms *terms,
                            coap_pdu_t *pdu);

#endif
