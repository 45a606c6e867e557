#include "transport/coap/answer.h"

#include <string.h>

enum { BLOCK_SIZE = 1024, RETRY_AFTER_S = 1 };

struct ps_coap_answer ps_coap_answer_text(coap_pdu_code_t code, const char *text)
{
    return (struct ps_coap_answer){ .code = code, .payload = text, .len = text ? strlen(text) : 0 };
}

static coap_pdu_code_t failure_code(enum ps_status status)
{
    switch (status) {
    case PS_EPROTO:
    case PS_ELIMIT:
        return COAP_RESPONSE_CODE_BAD_REQUEST;
    case PS_EAUTH:
        return COAP_RESPONSE_CODE_UNAUTHORIZED;
    case PS_EBUSY:
    case PS_ECLOSED:
        return COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE;
    case PS_ETIMEOUT:
        return COAP_RESPONSE_CODE_GATEWAY_TIMEOUT;
    default:
        return COAP_RESPONSE_CODE_INTERNAL_ERROR;
    }
}

struct ps_coap_answer ps_coap_answer_failure(enum ps_status status, const char *why)
{
    if (status == PS_EAUTH) /* 4.01 has no body */
        return ps_coap_answer_text(COAP_RESPONSE_CODE_UNAUTHORIZED, NULL);
    return ps_coap_answer_text(failure_code(status), why && *why ? why : ps_status_text(status));
}

struct ps_coap_answer ps_coap_answer_json(const char *json, size_t len)
{
    return (struct ps_coap_answer){
        .code = COAP_RESPONSE_CODE_CONTENT, .payload = json, .len = len, .is_representation = true
    };
}

bool ps_coap_answer_is_unwanted(const struct ps_coap_answer *answer,
                                const struct ps_coap_terms *terms)
{
    return (terms->no_response >> (COAP_RESPONSE_CLASS(answer->code) - 1) & 1) != 0;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static void put_option(coap_pdu_t *pdu, coap_option_num_t number, uint32_t value)
{
    uint8_t bytes[4];
    /* Options are few and the message has room for them; a lost one is not worth failing for. */
    (void)coap_add_option(pdu, number, coap_encode_var_safe(bytes, sizeof bytes, value), bytes);
}

static size_t put_payload(coap_pdu_t *pdu, const char *data, size_t len)
{
    if (len > 0 && coap_add_data(pdu, len, (const uint8_t *)data))
        return len + 1;
    return 0;
}

/* FNV-1a over the body: tells the blocks of one state from those of the next. */
static void put_tag(coap_pdu_t *pdu, const struct ps_coap_answer *answer)
{
    uint64_t tag = 0xCBF29CE484222325ull;
    for (size_t i = 0; i < answer->len; i++)
        tag = (tag ^ (uint8_t)answer->payload[i]) * 0x100000001B3ull;
    coap_add_option(pdu, COAP_OPTION_ETAG, sizeof tag, (const uint8_t *)&tag);
}

/* Blocks are cut from a body that is made anew for each: nothing to remember, nothing to bound. */
static size_t write_representation(const struct ps_coap_answer *answer,
                                   const struct ps_coap_terms *terms, coap_pdu_t *pdu)
{
    struct ps_coap_block block = terms->block2;
    if (!terms->has_block2)
        block = (struct ps_coap_block){ .size = BLOCK_SIZE };
    size_t offset = (size_t)block.number * block.size;
    bool in_blocks = terms->has_block2 || answer->len > BLOCK_SIZE;
    if (offset > 0 && offset >= answer->len) {
        struct ps_coap_answer beyond =
            ps_coap_answer_text(COAP_RESPONSE_CODE_BAD_REQUEST, "no such block");
        return ps_coap_answer_write(&beyond, terms, pdu);
    }
    size_t len = answer->len - offset < block.size ? answer->len - offset : block.size;
    block.more = offset + len < answer->len;

    coap_pdu_set_code(pdu, answer->code);
    if (in_blocks)
        put_tag(pdu, answer);
    put_option(pdu, COAP_OPTION_CONTENT_FORMAT,
               terms->content_format == PS_COAP_NO_FORMAT ? PS_COAP_JSON
                                                          : (uint32_t)terms->content_format);
    if (in_blocks) {
        put_option(pdu, COAP_OPTION_BLOCK2, ps_coap_block_encode(&block));
        put_option(pdu, COAP_OPTION_SIZE2, (uint32_t)answer->len);
    }
    return 4 + put_payload(pdu, answer->payload + offset, len);
}

size_t ps_coap_answer_write(const struct ps_coap_answer *answer, const struct ps_coap_terms *terms,
                            coap_pdu_t *pdu)
{
    if (answer->is_representation)
        return write_representation(answer, terms, pdu);
    coap_pdu_set_code(pdu, answer->code);
    if (answer->code == COAP_RESPONSE_CODE_SERVICE_UNAVAILABLE)
        put_option(pdu, COAP_OPTION_MAXAGE, RETRY_AFTER_S);
    if (terms->has_block1)
        put_option(pdu, COAP_OPTION_BLOCK1, ps_coap_block_encode(&terms->block1));
    if (answer->says_size)
        put_option(pdu, COAP_OPTION_SIZE1, answer->size1);
    return put_payload(pdu, answer->payload, answer->len);
}
