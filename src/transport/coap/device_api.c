/* device_api: the resources of devices (device contract, section 9).
 *
 * libcoap calls us for every request, whatever its path, and sends the response we leave behind, or
 * nothing if we keep silent because the answer waits for a commit. */
#include "transport/coap/loop.h"

#include <string.h>

#include "core/config.h"
#include "core/entity/identity_cache.h"
#include "transport/coap/request.h"

enum { BLOCK_TRANSFER_MAX = 3 }; /* bytes of a Block option */

/* One request while its handler runs. */
struct call {
    struct ps_coap *coap;
    coap_session_t *session;
    const coap_pdu_t *pdu;
    coap_pdu_t *response;
    struct ps_coap_request request;
    struct ps_coap_terms terms;
    uint32_t announced_bytes; /* Size1 */
    bool bad_option;
    uint64_t sender; /* digests: of the peer and the path (and Request-Tag) ... */
    uint64_t digest; /* ... and of message id, token and payload too */
    const char *body;
    size_t body_len;
    struct ps_device_identity *identity;
};

/* ---- answering at once -------------------------------------------------------------------------
 */

static void answer(struct call *call, const struct ps_coap_answer *what)
{
    size_t written = ps_coap_answer_write(what, &call->terms, call->response);
    ps_coap_count(call->coap, PS_METRIC_COAP_BYTES_OUT,
                  4 + coap_pdu_get_token(call->pdu).length + written);
}

static void answer_text(struct call *call, coap_pdu_code_t code, const char *text)
{
    struct ps_coap_answer what = ps_coap_answer_text(code, text);
    answer(call, &what);
}

static void answer_failure(struct call *call, enum ps_status status, const char *why)
{
    struct ps_coap_answer what = ps_coap_answer_failure(status, why);
    answer(call, &what);
}

static void answer_too_large(struct call *call)
{
    struct ps_coap_answer what = ps_coap_answer_text(COAP_RESPONSE_CODE_REQUEST_TOO_LARGE,
                                                     "body over coap.max_payload_size");
    what.says_size = true;
    what.size1 = (uint32_t)call->coap->services->config->coap_max_payload_size;
    answer(call, &what);
}

/* ---- reading the request -----------------------------------------------------------------------
 */

static uint32_t number(const uint8_t *value, uint32_t len)
{
    return len <= 4 ? coap_decode_var_bytes(value, len) : UINT32_MAX;
}

static bool read_block(struct call *call, const uint8_t *value, uint32_t len,
                       struct ps_coap_block *block)
{
    if (len <= BLOCK_TRANSFER_MAX && ps_coap_block_decode(number(value, len), block))
        return true;
    call->bad_option = true;
    return false;
}

static void read_option(struct call *call, coap_option_num_t option, const uint8_t *value,
                        uint32_t len)
{
    switch (option) {
    case COAP_OPTION_URI_PATH:
        ps_coap_request_add_path(&call->request, (const char *)value, len);
        break;
    case COAP_OPTION_URI_QUERY:
        ps_coap_request_add_query(&call->request, (const char *)value, len);
        break;
    case COAP_OPTION_CONTENT_FORMAT:
        call->terms.content_format = (int32_t)(number(value, len) & 0xFFFF);
        break;
    case COAP_OPTION_BLOCK1:
        call->terms.has_block1 = read_block(call, value, len, &call->terms.block1);
        break;
    case COAP_OPTION_BLOCK2:
        call->terms.has_block2 = read_block(call, value, len, &call->terms.block2);
        break;
    case COAP_OPTION_SIZE1:
        call->announced_bytes = number(value, len);
        break;
    case COAP_OPTION_NORESPONSE:
        call->terms.no_response = (uint8_t)number(value, len);
        break;
    default:
        break;
    }
}

static enum ps_coap_method method_of(const coap_pdu_t *pdu)
{
    switch (coap_pdu_get_code(pdu)) {
    case COAP_REQUEST_CODE_GET:
        return PS_COAP_GET;
    case COAP_REQUEST_CODE_POST:
        return PS_COAP_POST;
    default:
        return PS_COAP_OTHER_METHOD;
    }
}

static uint64_t digest_of_peer(const struct call *call)
{
    const coap_address_t *peer = coap_session_get_addr_remote(call->session);
    const struct ps_coap_repeats *repeats = &call->coap->repeats;
    uint64_t digest = ps_coap_repeats_digest(repeats, 0, &peer->addr.sin.sin_port,
                                             sizeof peer->addr.sin.sin_port);
    if (peer->addr.sa.sa_family == AF_INET)
        return ps_coap_repeats_digest(repeats, digest, &peer->addr.sin.sin_addr,
                                      sizeof peer->addr.sin.sin_addr);
    return ps_coap_repeats_digest(repeats, digest, &peer->addr.sin6.sin6_addr,
                                  sizeof peer->addr.sin6.sin6_addr);
}

/* Options first: the digest of the sender needs them too. */
static void read_request(struct call *call)
{
    const struct ps_coap_repeats *repeats = &call->coap->repeats;
    coap_bin_const_t token = coap_pdu_get_token(call->pdu);
    size_t bytes = 4 + token.length;
    coap_opt_iterator_t at;
    const uint8_t *data = NULL;

    ps_coap_request_init(&call->request, method_of(call->pdu));
    call->sender = digest_of_peer(call);
    coap_option_iterator_init(call->pdu, &at, COAP_OPT_ALL);
    for (coap_opt_t *option; (option = coap_option_next(&at)) != NULL;) {
        const uint8_t *value = coap_opt_value(option);
        uint32_t len = coap_opt_length(option);
        read_option(call, at.number, value, len);
        if (at.number == COAP_OPTION_URI_PATH || at.number == COAP_OPTION_RTAG)
            call->sender = ps_coap_repeats_digest(repeats, call->sender, value, len);
        bytes += coap_opt_size(option);
    }
    if (coap_get_data(call->pdu, &call->body_len, &data))
        bytes += 1 + call->body_len;
    else
        call->body_len = 0;
    call->body = data ? (const char *)data : "";
    uint16_t id = (uint16_t)coap_pdu_get_mid(call->pdu);
    call->digest = ps_coap_repeats_digest(repeats, call->sender, &id, sizeof id);
    call->digest = ps_coap_repeats_digest(repeats, call->digest, token.s, token.length);
    call->digest = ps_coap_repeats_digest(repeats, call->digest, call->body, call->body_len) | 1;
    ps_coap_count(call->coap, PS_METRIC_COAP_BYTES_IN, bytes);
}

/* ---- uplinks -----------------------------------------------------------------------------------
 */

static struct ps_coap_pending *pending_of(struct ps_ack *ack)
{
    return (struct ps_coap_pending *)ack; /* its first member */
}

static void uplink_settled(struct ps_ack *ack)
{
    struct ps_coap_answer what = ack->status == PS_OK
                                     ? ps_coap_answer_text(COAP_RESPONSE_CODE_CREATED, NULL)
                                     : ps_coap_answer_failure(ack->status, NULL);
    ps_coap_pending_finish(pending_of(ack), &what);
}

/* A POST that was taken before: nothing is done again. */
static bool is_repeated(struct call *call)
{
    bool confirmable = coap_pdu_get_type(call->pdu) == COAP_MESSAGE_CON;
    switch (ps_coap_repeats_find(&call->coap->repeats, call->digest, call->coap->now_ms)) {
    case PS_COAP_SEEN_NEVER:
        return false;
    case PS_COAP_SEEN_WAITING: /* the answer will be the acknowledgement */
        ps_coap_stay_silent(call->response);
        return true;
    case PS_COAP_SEEN_ACKED:
        ps_coap_stay_silent(call->response);
        if (confirmable)
            ps_coap_acknowledge(call->session, (uint16_t)coap_pdu_get_mid(call->pdu));
        return true;
    case PS_COAP_SEEN_DONE:
        if (confirmable)
            answer_text(call, COAP_RESPONSE_CODE_CREATED, NULL);
        else
            ps_coap_stay_silent(call->response);
        return true;
    }
    return false;
}

/* True if the body is whole; otherwise the block is answered. */
static bool collect_body(struct call *call)
{
    struct ps_coap *coap = call->coap;
    size_t body_bytes_max = (size_t)coap->services->config->coap_max_payload_size;
    const struct ps_buf *body;
    if (call->body_len > body_bytes_max || call->announced_bytes > body_bytes_max) {
        answer_too_large(call);
        return false;
    }
    if (!call->terms.has_block1 || (call->terms.block1.number == 0 && !call->terms.block1.more))
        return true;
    switch (ps_coap_uploads_add(&coap->uploads, call->sender, &call->terms.block1, call->body,
                                call->body_len, coap->now_ms, &body)) {
    case PS_COAP_UPLOAD_COMPLETE:
        call->body = body->data ? body->data : "";
        call->body_len = body->len;
        return true;
    case PS_COAP_UPLOAD_CONTINUE:
        answer_text(call, COAP_RESPONSE_CODE_CONTINUE, NULL);
        return false;
    case PS_COAP_UPLOAD_BAD_BLOCK:
        answer_text(call, COAP_RESPONSE_CODE_BAD_REQUEST, "block of another size than it says");
        return false;
    case PS_COAP_UPLOAD_INCOMPLETE:
        answer_text(call, COAP_RESPONSE_CODE_INCOMPLETE, "a block is missing, start again");
        return false;
    case PS_COAP_UPLOAD_TOO_LARGE:
        answer_too_large(call);
        return false;
    case PS_COAP_UPLOAD_NO_ROOM:
        answer_failure(call, PS_EBUSY, "too many unfinished bodies");
        return false;
    }
    return false;
}

/* Uplinks are posted together at the end of the turn: one by one, between two datagrams, each would
 * find its shard asleep again, and a wake costs more than the message. */
static void queue_uplink(struct call *call, enum ps_coap_target target)
{
    struct ps_coap *coap = call->coap;
    size_t body_at = coap->bodies.len;
    ps_buf_put(&coap->bodies, call->body, call->body_len);
    if (!ps_buf_ok(&coap->bodies)) {
        coap->bodies.failed = false; /* what is in it is whole */
        answer_failure(call, PS_ENOMEM, NULL);
        return;
    }
    struct ps_coap_pending *pending =
        ps_coap_pending_create(coap, call->session, call->pdu, &call->terms, call->digest);
    if (!pending) {
        answer_failure(call, PS_EBUSY, NULL);
        return;
    }
    pending->target = target;
    pending->identity = call->identity;
    call->identity = NULL; /* the pending request's now */
    pending->body_at = body_at;
    pending->body_len = call->body_len;
    *coap->last_to_post = pending;
    coap->last_to_post = &pending->next_to_post;
    ps_coap_repeats_set(&coap->repeats, call->digest,
                        pending->confirmable ? PS_COAP_SEEN_WAITING : PS_COAP_SEEN_ACKED,
                        coap->now_ms);
    ps_coap_stay_silent(call->response);
}

static void post_uplink(struct ps_coap_pending *pending)
{
    struct ps_coap *coap = pending->coap;
    const char *body = coap->bodies.data ? coap->bodies.data + pending->body_at : "";
    struct ps_device_identity *identity = pending->identity;
    size_t len = pending->body_len;
    struct ps_text why = { "" };
    /* It settles through the port, so not before the next drain. */
    ps_ack_init(&pending->ack, &coap->port, uplink_settled);
    enum ps_status st =
        pending->target == PS_COAP_TELEMETRY
            ? ps_device_uplink_telemetry(&coap->uplink, identity, body, len, &pending->ack, &why)
            : ps_device_uplink_attributes(&coap->uplink, identity, body, len, &pending->ack, &why);
    ps_device_identity_release(identity);
    if (st == PS_OK)
        return;
    struct ps_coap_answer what = ps_coap_answer_failure(st, why.data);
    ps_coap_pending_finish(pending, &what);
}

void ps_coap_device_api_post(struct ps_coap *coap)
{
    enum { BODIES_KEPT_BYTES = 256 * 1024 };
    while (coap->first_to_post) {
        struct ps_coap_pending *pending = coap->first_to_post;
        coap->first_to_post = pending->next_to_post;
        post_uplink(pending);
    }
    coap->last_to_post = &coap->first_to_post;
    ps_buf_clear(&coap->bodies);
    if (coap->bodies.cap > BODIES_KEPT_BYTES)
        ps_buf_deinit(&coap->bodies);
}

static void handle_uplink(struct call *call, enum ps_coap_target target)
{
    if (!collect_body(call))
        return;
    queue_uplink(call, target);
    if (call->terms.has_block1)
        ps_coap_uploads_drop(&call->coap->uploads, call->sender);
}

/* ---- attribute requests ------------------------------------------------------------------------
 */

static void attributes_found(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct ps_attribute_reply *found =
        (struct ps_attribute_reply *)((char *)item - offsetof(struct ps_attribute_reply, item));
    struct ps_coap_answer what;
    if (found->status != PS_OK)
        what = ps_coap_answer_failure(found->status, NULL);
    else if (!found->found)
        what = ps_coap_answer_text(COAP_RESPONSE_CODE_NOT_FOUND, NULL);
    else
        what = ps_coap_answer_json(found->json.data, found->json.len);
    ps_coap_pending_finish(found->owner, &what);
    ps_attribute_reply_destroy(found);
}

static void put_keys(struct ps_buf *query, const struct ps_coap_span *keys)
{
    if (keys->len > 0)
        ps_buf_put(query, keys->data, keys->len);
    ps_buf_put_char(query, '\0');
}

/* The two key lists as terminated text in the scratch buffer. */
static enum ps_status parse_query(struct call *call, struct ps_attribute_request *wanted)
{
    struct ps_coap *coap = call->coap;
    const struct ps_coap_span *client = &call->request.client_keys,
                              *shared = &call->request.shared_keys;
    if ((client->len > 0 && memchr(client->data, '\0', client->len)) ||
        (shared->len > 0 && memchr(shared->data, '\0', shared->len)))
        return PS_EPROTO;
    ps_buf_clear(&coap->query);
    put_keys(&coap->query, client);
    put_keys(&coap->query, shared);
    if (!ps_buf_ok(&coap->query))
        return PS_ENOMEM;
    return ps_payload_split_attribute_request(&coap->uplink.payload, coap->query.data,
                                              coap->query.data + client->len + 1, wanted);
}

static void handle_attribute_request(struct call *call)
{
    struct ps_coap *coap = call->coap;
    struct ps_attribute_request wanted;
    enum ps_status st = parse_query(call, &wanted);
    if (st != PS_OK) {
        answer_failure(call, st, NULL);
        return;
    }
    struct ps_coap_pending *pending =
        ps_coap_pending_create(coap, call->session, call->pdu, &call->terms, 0);
    if (!pending) {
        answer_failure(call, PS_EBUSY, NULL);
        return;
    }
    struct ps_attribute_reply *reply =
        ps_attribute_reply_create(call->identity, &wanted, &coap->port, attributes_found);
    if (!reply) {
        ps_coap_pending_cancel(pending);
        answer_failure(call, PS_ENOMEM, NULL);
        return;
    }
    reply->owner = pending;
    ps_device_uplink_request_attributes(coap->services->actors, reply);
    ps_coap_stay_silent(call->response);
}

/* ---- dispatch ----------------------------------------------------------------------------------
 */

/* Contract 1.4. True if call->identity is the device's. */
static bool authenticate(struct call *call, const struct ps_coap_span *token)
{
    struct ps_identity_cache *cache = call->coap->services->identities;
    enum ps_status st =
        ps_identity_cache_find_token(cache, token->data, token->len, &call->identity);
    if (st != PS_OK) {
        answer_failure(call, st, NULL);
        return false;
    }
    if (call->identity->transport_type == PS_TRANSPORT_MQTT) {
        answer_text(call, COAP_RESPONSE_CODE_INTERNAL_ERROR,
                    "the device's profile is bound to another transport");
        return false;
    }
    return true;
}

static void handle_of_device(struct call *call, enum ps_coap_target target)
{
    switch (target) {
    case PS_COAP_TELEMETRY:
    case PS_COAP_ATTRIBUTES:
        handle_uplink(call, target);
        break;
    case PS_COAP_READ_ATTRIBUTES:
        handle_attribute_request(call);
        break;
    case PS_COAP_PACKAGE:
        answer_text(call, COAP_RESPONSE_CODE_NOT_FOUND, NULL); /* none can be assigned yet */
        break;
    default:
        answer_text(call, COAP_RESPONSE_CODE_BAD_REQUEST, "no such resource");
        break;
    }
}

static void dispatch(struct call *call)
{
    struct ps_coap_span token = { NULL, 0 };
    enum ps_coap_target target = ps_coap_request_target(&call->request, &token);
    bool is_uplink = target == PS_COAP_TELEMETRY || target == PS_COAP_ATTRIBUTES;
    if (target == PS_COAP_OUTSIDE) {
        answer_text(call, COAP_RESPONSE_CODE_NOT_FOUND, NULL);
    } else if (target == PS_COAP_WRONG_METHOD) {
        answer_text(call, COAP_RESPONSE_CODE_NOT_ALLOWED, NULL);
    } else if (target == PS_COAP_BAD_PATH) {
        answer_text(call, COAP_RESPONSE_CODE_BAD_REQUEST, "no such resource");
    } else if (target == PS_COAP_TOKENLESS) {
        answer_text(call, COAP_RESPONSE_CODE_UNAUTHORIZED, NULL);
    } else if (call->bad_option) {
        answer_text(call, COAP_RESPONSE_CODE_BAD_REQUEST, "bad Block option");
    } else if (is_uplink && is_repeated(call)) {
        return;
    } else if (atomic_load_explicit(&call->coap->stopping, memory_order_relaxed)) {
        answer_failure(call, PS_ECLOSED, NULL);
    } else if (authenticate(call, &token)) {
        handle_of_device(call, target);
    }
}

static void handle(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *pdu,
                   const coap_string_t *query, coap_pdu_t *response)
{
    (void)query;
    struct call call = {
        .coap = coap_resource_get_userdata(resource),
        .session = session,
        .pdu = pdu,
        .response = response,
        .terms = { .content_format = PS_COAP_NO_FORMAT },
    };
    call.coap->requests++;
    read_request(&call);
    dispatch(&call);
    ps_device_identity_release(call.identity);
}

enum ps_status ps_coap_device_api_register(struct ps_coap *coap)
{
    static const coap_request_t methods[] = { COAP_REQUEST_GET,    COAP_REQUEST_POST,
                                              COAP_REQUEST_DELETE, COAP_REQUEST_FETCH,
                                              COAP_REQUEST_PATCH,  COAP_REQUEST_IPATCH };
    coap_resource_t *any = coap_resource_unknown_init(handle); /* PUT is registered by this */
    if (!any)
        return PS_ENOMEM;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        coap_register_request_handler(any, methods[i], handle);
    coap_resource_set_userdata(any, coap);
    coap_add_resource(coap->context, any);
    return PS_OK;
}
