/* The CoAP server over loopback, with datagrams made by hand. What stands behind it (who a token
 * is, where messages go) is played by the test, so that it says when a commit has happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/config.h"
#include "core/entity/identity_cache.h"
#include "core/metrics.h"
#include "transport/coap/coap.h"
#include "transport/coap/pending.h"
#include "transport/device_uplink.h"
#include "transport/services.h"

enum { DEADLINE_S = 10, TAKEN_MAX = 20000, LARGE = 3000 };
enum { CON, NON, ACK, RST };
enum { EMPTY, GET, POST, PUT };
enum { OBSERVE = 6, URI_PATH = 11, CONTENT_FORMAT = 12, MAX_AGE = 14, URI_QUERY = 15 };
enum { ETAG = 4, BLOCK2 = 23, BLOCK1 = 27, SIZE2 = 28, SIZE1 = 60, NO_RESPONSE = 258 };

#define CODE(class, detail) ((class) << 5 | (detail))

/* ---- behind the server -------------------------------------------------------------------------
 */

struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ps_device_identity identity;
    size_t taken_count; /* uplinks posted */
    struct ps_ack *taken[TAKEN_MAX];
    bool is_telemetry;      /* the last */
    struct ps_buf body;     /* of the last */
    enum ps_status refusal; /* what posting returns */
    bool commits_at_once;
    struct ps_buf json;          /* the device's attributes */
    char client[64], shared[64]; /* key lists of the last request, "-" = not given */

    struct ps_config config;
    struct ps_services services;
    struct ps_coap *coap;
    int udp;
};

enum ps_status ps_identity_cache_find_token(struct ps_identity_cache *cache, const char *token,
                                            size_t len, struct ps_device_identity **out)
{
    struct world *w = (struct world *)cache;
    if (len != 3 || memcmp(token, "tok", 3) != 0)
        return PS_EAUTH;
    *out = &w->identity;
    return PS_OK;
}

void ps_device_identity_release(struct ps_device_identity *identity)
{
    (void)identity;
}

void ps_device_uplink_init(struct ps_device_uplink *uplink, struct ps_actors *actors,
                           struct ps_metrics *metrics, unsigned metrics_lane,
                           enum ps_metric transport, const struct ps_payload_rules *rules)
{
    (void)metrics;
    (void)metrics_lane;
    (void)transport;
    (void)rules;
    *uplink = (struct ps_device_uplink){ .actors = actors };
}

void ps_device_uplink_deinit(struct ps_device_uplink *uplink)
{
    ps_payload_deinit(&uplink->payload);
}

static enum ps_status take(struct ps_device_uplink *uplink, bool is_telemetry, const char *body,
                           size_t len, struct ps_ack *ack, struct ps_text *why)
{
    struct world *w = (struct world *)uplink->actors;
    pthread_mutex_lock(&w->lock);
    enum ps_status st = w->refusal;
    if (st == PS_OK) {
        assert_true(w->taken_count < TAKEN_MAX);
        w->taken[w->taken_count++] = ack;
        w->is_telemetry = is_telemetry;
        ps_buf_clear(&w->body);
        ps_buf_put(&w->body, body, len);
        pthread_cond_broadcast(&w->changed);
    } else {
        ps_text_set(why, "refused by the test");
    }
    bool commit = st == PS_OK && w->commits_at_once;
    pthread_mutex_unlock(&w->lock);
    if (commit)
        ps_ack_release(ack, PS_OK);
    return st;
}

enum ps_status ps_device_uplink_telemetry(struct ps_device_uplink *uplink,
                                          struct ps_device_identity *identity, const char *body,
                                          size_t len, struct ps_ack *ack, struct ps_text *why)
{
    (void)identity;
    return take(uplink, true, body, len, ack, why);
}

enum ps_status ps_device_uplink_attributes(struct ps_device_uplink *uplink,
                                           struct ps_device_identity *identity, const char *body,
                                           size_t len, struct ps_ack *ack, struct ps_text *why)
{
    (void)identity;
    return take(uplink, false, body, len, ack, why);
}

static void list_names(struct ps_buf *names, bool given, const struct ps_value *list, size_t count)
{
    ps_buf_put_text(names, given ? "" : "-");
    for (size_t i = 0; i < count; i++)
        ps_buf_printf(names, "%.*s;", (int)list[i].len, list[i].text);
}

struct ps_attribute_reply *
ps_attribute_reply_create(const struct ps_device_identity *identity,
                          const struct ps_attribute_request *request, struct ps_port *port,
                          void (*run)(struct ps_port_item *item, void *owner))
{
    (void)identity;
    struct ps_attribute_reply *reply = calloc(1, sizeof *reply);
    assert_non_null(reply);
    reply->port = port;
    reply->item.run = run;
    list_names(&reply->client, request->has_client, request->client, request->client_count);
    list_names(&reply->shared, request->has_shared, request->shared, request->shared_count);
    return reply;
}

void ps_attribute_reply_destroy(struct ps_attribute_reply *reply)
{
    ps_buf_deinit(&reply->json);
    ps_buf_deinit(&reply->client);
    ps_buf_deinit(&reply->shared);
    free(reply);
}

void ps_device_uplink_request_attributes(struct ps_actors *actors, struct ps_attribute_reply *reply)
{
    struct world *w = (struct world *)actors;
    pthread_mutex_lock(&w->lock);
    strncpy(w->client, ps_buf_cstr(&reply->client), sizeof w->client - 1);
    strncpy(w->shared, ps_buf_cstr(&reply->shared), sizeof w->shared - 1);
    reply->found = w->json.len > 0;
    ps_buf_put(&reply->json, w->json.data, w->json.len);
    pthread_mutex_unlock(&w->lock);
    ps_port_post(reply->port, &reply->item);
}

/* ---- the world ---------------------------------------------------------------------------------
 */

static int udp_socket(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    ps_config_init(&w->config);
    w->config.coap_port = 0;
    w->services = (struct ps_services){ .config = &w->config,
                                        .actors = (struct ps_actors *)w,
                                        .identities = (struct ps_identity_cache *)w };
    assert_int_equal(ps_metrics_create(1, &w->services.metrics), PS_OK);
    w->udp = -1;
    *state = w;
    return 0;
}

static void start(struct world *w)
{
    struct ps_text why = { "" };
    if (ps_coap_start(&w->services, &w->coap, &why) != PS_OK)
        fail_msg("%s", why.data);
    w->udp = udp_socket(ps_coap_port(w->coap));
}

static int end_world(void **state)
{
    struct world *w = *state;
    ps_coap_stop(w->coap);
    if (w->udp >= 0)
        close(w->udp);
    ps_metrics_destroy(w->services.metrics);
    ps_buf_deinit(&w->body);
    ps_buf_deinit(&w->json);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return 0;
}

static void wait_for_taken(struct world *w, size_t count)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&w->lock);
    while (w->taken_count < count)
        assert_int_equal(pthread_cond_timedwait(&w->changed, &w->lock, &deadline), 0);
    assert_int_equal(w->taken_count, count);
    pthread_mutex_unlock(&w->lock);
}

/* The shard has settled message `index`. */
static void settle(struct world *w, size_t index, enum ps_status status)
{
    ps_ack_release(w->taken[index], status);
}

/* ---- datagrams ---------------------------------------------------------------------------------
 */

struct datagram {
    uint8_t bytes[2048];
    size_t len;
    unsigned last_option;
};

static struct datagram message(unsigned type, unsigned code, uint16_t id, const char *token)
{
    struct datagram d = { .len = 4 };
    d.bytes[0] = (uint8_t)(0x40 | type << 4 | strlen(token));
    d.bytes[1] = (uint8_t)code;
    d.bytes[2] = (uint8_t)(id >> 8);
    d.bytes[3] = (uint8_t)id;
    memcpy(d.bytes + 4, token, strlen(token));
    d.len += strlen(token);
    return d;
}

/* The nibble of a delta or length; its extra bytes go to *at. */
static uint8_t nibble(size_t n, uint8_t *extra, size_t *extra_len)
{
    if (n < 13)
        return (uint8_t)n;
    if (n < 269) {
        extra[(*extra_len)++] = (uint8_t)(n - 13);
        return 13;
    }
    extra[(*extra_len)++] = (uint8_t)((n - 269) >> 8);
    extra[(*extra_len)++] = (uint8_t)(n - 269);
    return 14;
}

static void put(struct datagram *d, unsigned option, const void *value, size_t len)
{
    uint8_t extra[4];
    size_t extra_len = 0;
    uint8_t delta = nibble(option - d->last_option, extra, &extra_len);
    uint8_t size = nibble(len, extra, &extra_len);
    d->bytes[d->len++] = (uint8_t)(delta << 4 | size);
    memcpy(d->bytes + d->len, extra, extra_len);
    d->len += extra_len;
    memcpy(d->bytes + d->len, value, len);
    d->len += len;
    d->last_option = option;
}

static void put_text(struct datagram *d, unsigned option, const char *text)
{
    put(d, option, text, strlen(text));
}

static void put_number(struct datagram *d, unsigned option, uint32_t value)
{
    uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                         (uint8_t)value };
    size_t skip = 0;
    while (skip < 4 && bytes[skip] == 0)
        skip++;
    put(d, option, bytes + skip, 4 - skip);
}

static void put_payload(struct datagram *d, const void *data, size_t len)
{
    d->bytes[d->len++] = 0xFF;
    memcpy(d->bytes + d->len, data, len);
    d->len += len;
}

static void put_path(struct datagram *d, const char *token, const char *feature)
{
    put_text(d, URI_PATH, "api");
    put_text(d, URI_PATH, "v1");
    put_text(d, URI_PATH, token);
    put_text(d, URI_PATH, feature);
}

static struct datagram telemetry(unsigned type, uint16_t id, const char *body)
{
    struct datagram d = message(type, POST, id, "TOKN");
    put_path(&d, "tok", "telemetry");
    put_payload(&d, body, strlen(body));
    return d;
}

static struct datagram attribute_request(uint16_t id)
{
    struct datagram d = message(CON, GET, id, "GETT");
    put_path(&d, "tok", "attributes");
    return d;
}

static void send_to(int udp, const struct datagram *d)
{
    assert_int_equal(send(udp, d->bytes, d->len, 0), d->len);
}

/* ---- answers -----------------------------------------------------------------------------------
 */

struct answer {
    struct datagram raw;
    unsigned type, code;
    uint16_t id;
    char token[9];
    uint32_t options[64]; /* by number, as numbers; the last of each */
    bool has[64];
    const char *payload;
    size_t payload_len;
};

static size_t extended(const uint8_t **at, uint8_t nibble_value)
{
    assert_true(nibble_value < 15);
    if (nibble_value < 13)
        return nibble_value;
    if (nibble_value == 13)
        return 13u + *(*at)++;
    size_t high = *(*at)++;
    return 269u + (high << 8) + *(*at)++;
}

static void parse(struct answer *a)
{
    const uint8_t *at = a->raw.bytes, *end = at + a->raw.len;
    assert_true(a->raw.len >= 4);
    assert_int_equal(at[0] >> 6, 1);
    a->type = at[0] >> 4 & 3;
    size_t token_len = at[0] & 15;
    a->code = at[1];
    a->id = (uint16_t)(at[2] << 8 | at[3]);
    memcpy(a->token, at + 4, token_len);
    at += 4 + token_len;
    size_t option = 0;
    while (at < end && *at != 0xFF) {
        uint8_t first = *at++;
        option += extended(&at, first >> 4);
        size_t len = extended(&at, first & 15);
        uint32_t value = 0;
        for (size_t i = 0; i < len; i++)
            value = value << 8 | at[i];
        assert_true(option < 64);
        a->options[option] = value;
        a->has[option] = true;
        at += len;
    }
    if (at < end)
        at++;
    a->payload = (const char *)at;
    a->payload_len = (size_t)(end - at);
}

static void receive_from(int udp, struct answer *a)
{
    struct pollfd ready = { .fd = udp, .events = POLLIN };
    memset(a, 0, sizeof *a);
    assert_int_equal(poll(&ready, 1, DEADLINE_S * 1000), 1);
    ssize_t got = recv(udp, a->raw.bytes, sizeof a->raw.bytes, 0);
    assert_true(got > 0);
    a->raw.len = (size_t)got;
    parse(a);
}

static void receive(struct world *w, struct answer *a)
{
    receive_from(w->udp, a);
}

static void assert_answer(const struct answer *a, unsigned type, unsigned code, uint16_t id,
                          const char *token)
{
    if (a->type != type || a->code != code || a->id != id || strcmp(a->token, token) != 0)
        fail_msg("type %u code %u.%02u id %u token %s, not type %u code %u.%02u id %u token %s",
                 a->type, a->code >> 5, a->code & 31, a->id, a->token, type, code >> 5, code & 31,
                 id, token);
}

static void assert_text(const struct answer *a, const char *text)
{
    assert_int_equal(a->payload_len, strlen(text));
    assert_memory_equal(a->payload, text, a->payload_len);
}

/* All that was sent before has been handled when this is answered; nothing else may come. */
static void assert_quiet(struct world *w)
{
    struct datagram d = message(CON, GET, 0x7777, "QUIE");
    struct answer a;
    put_text(&d, URI_PATH, "quiet");
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(4, 4), 0x7777, "QUIE");
}

/* ---- uplinks -----------------------------------------------------------------------------------
 */

static void the_answer_waits_for_the_commit_and_rides_on_the_acknowledgement(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram d = telemetry(CON, 1, "{\"co\":1}");
    send_to(w->udp, &d);
    wait_for_taken(w, 1);
    assert_true(w->is_telemetry);
    assert_string_equal(ps_buf_cstr(&w->body), "{\"co\":1}");
    assert_quiet(w);

    settle(w, 0, PS_OK);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 1, "TOKN");
    assert_int_equal(a.payload_len, 0);
    assert_false(a.has[CONTENT_FORMAT]);
    assert_quiet(w);
}

static void attributes_are_posted_as_attributes(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram d = message(CON, POST, 2, "");
    put_path(&d, "tok", "Attributes");
    put_number(&d, CONTENT_FORMAT, 0);
    put_payload(&d, "{}", 2);
    send_to(w->udp, &d);
    wait_for_taken(w, 1);
    assert_false(w->is_telemetry);
    settle(w, 0, PS_OK);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 2, "");
}

static void a_repeated_message_is_taken_once_and_answered_again(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram d = telemetry(CON, 3, "{\"once\":1}");
    send_to(w->udp, &d);
    send_to(w->udp, &d);
    wait_for_taken(w, 1);
    assert_quiet(w);
    settle(w, 0, PS_OK);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 3, "TOKN");
    assert_quiet(w); /* not two answers */

    send_to(w->udp, &d); /* that answer was lost */
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 3, "TOKN");
    assert_int_equal(w->taken_count, 1);

    struct datagram other = telemetry(CON, 3, "{\"once\":2}"); /* a device that restarted */
    send_to(w->udp, &other);
    wait_for_taken(w, 2);
    settle(w, 1, PS_OK);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 3, "TOKN");
}

static void a_message_that_failed_may_be_repeated(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram d = telemetry(CON, 4, "{\"a\":1}");
    for (size_t i = 0; i < 2; i++) {
        send_to(w->udp, &d);
        wait_for_taken(w, i + 1);
        settle(w, i, PS_ESTORE);
        receive(w, &a);
        assert_answer(&a, ACK, CODE(5, 0), 4, "TOKN");
        assert_text(&a, ps_status_text(PS_ESTORE));
    }
}

static void a_slow_commit_is_acknowledged_first_and_answered_separately(void **state)
{
    struct world *w = *state;
    struct answer a;
    w->config.coap_piggyback_timeout_ms = 0;
    start(w);
    struct datagram d = telemetry(CON, 5, "{\"a\":1}");
    for (int times = 0; times < 2; times++) { /* a repetition is acknowledged again */
        send_to(w->udp, &d);
        receive(w, &a);
        assert_answer(&a, ACK, EMPTY, 5, "");
    }
    settle(w, 0, PS_OK);
    receive(w, &a);
    assert_answer(&a, CON, CODE(2, 1), a.id, "TOKN");
    struct datagram ack = message(ACK, EMPTY, a.id, "");
    send_to(w->udp, &ack);
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, EMPTY, 5, "");
    assert_int_equal(w->taken_count, 1);
    assert_quiet(w);
}

static void what_does_not_ask_for_acknowledgement_gets_none(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram d = telemetry(NON, 6, "{\"a\":1}");
    send_to(w->udp, &d);
    wait_for_taken(w, 1);
    settle(w, 0, PS_OK);
    receive(w, &a);
    assert_answer(&a, NON, CODE(2, 1), a.id, "TOKN");
    send_to(w->udp, &d);
    assert_quiet(w);
    assert_int_equal(w->taken_count, 1);
}

static void answers_nobody_wants_are_not_sent(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    w->commits_at_once = true;
    for (unsigned type = CON; type <= NON; type++) {
        struct datagram d = message(type, POST, (uint16_t)(100 + type), "TOKN");
        put_path(&d, "tok", "telemetry");
        put_number(&d, NO_RESPONSE, 2);
        put_payload(&d, "{}", 2);
        send_to(w->udp, &d);
        if (type == CON) {
            receive(w, &a);
            assert_answer(&a, ACK, EMPTY, 100, "");
        }
        wait_for_taken(w, type + 1);
        assert_quiet(w);
    }
}

static void a_commit_that_does_not_come_is_a_timeout(void **state)
{
    struct world *w = *state;
    struct answer a;
    w->config.coap_timeout_ms = 1;
    start(w);
    struct datagram d = telemetry(CON, 7, "{\"a\":1}");
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(5, 4), 7, "TOKN");
    assert_text(&a, ps_status_text(PS_ETIMEOUT));
    settle(w, 0, PS_OK); /* late: nothing is sent, nothing leaks */
    assert_quiet(w);
    assert_quiet(w);     /* the first may have been read before the settled ack was seen */
    send_to(w->udp, &d); /* by now it is known to be kept */
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 7, "TOKN");
    assert_int_equal(w->taken_count, 1);
}

static const struct refusal_case {
    enum ps_status status;
    unsigned code;
} refusal_cases[] = {
    { PS_EPROTO, CODE(4, 0) }, { PS_ELIMIT, CODE(4, 0) }, { PS_EBUSY, CODE(5, 3) },
    { PS_EFULL, CODE(5, 0) },  { PS_ESTORE, CODE(5, 0) }, { PS_ENOMEM, CODE(5, 0) },
};

static void a_refusal_says_why(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    for (size_t i = 0; i < sizeof refusal_cases / sizeof *refusal_cases; i++) {
        const struct refusal_case *c = &refusal_cases[i];
        struct datagram d = telemetry(CON, (uint16_t)(200 + i), "{");
        pthread_mutex_lock(&w->lock);
        w->refusal = c->status;
        pthread_mutex_unlock(&w->lock);
        send_to(w->udp, &d);
        receive(w, &a);
        assert_answer(&a, ACK, c->code, (uint16_t)(200 + i), "TOKN");
        assert_text(&a, "refused by the test");
        assert_true(a.has[MAX_AGE] == (c->code == CODE(5, 3)));
    }
    assert_int_equal(w->taken_count, 0);
}

static void waiting_requests_are_bounded(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    for (size_t i = 0; i < PS_COAP_PENDINGS_MAX; i++) {
        struct datagram d = telemetry(NON, (uint16_t)i, "{}");
        send_to(w->udp, &d);
        if (i % 64 == 63)
            assert_quiet(w); /* the socket's buffer is bounded too */
    }
    wait_for_taken(w, PS_COAP_PENDINGS_MAX);
    struct datagram d = telemetry(CON, 0x7001, "{}");
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(5, 3), 0x7001, "TOKN");
    for (size_t i = 0; i < PS_COAP_PENDINGS_MAX; i++) {
        settle(w, i, PS_OK);
        receive(w, &a);
        assert_int_equal(a.type, NON);
    }
    send_to(w->udp, &d);
    wait_for_taken(w, PS_COAP_PENDINGS_MAX + 1);
    settle(w, PS_COAP_PENDINGS_MAX, PS_OK);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 0x7001, "TOKN");
}

/* More peers wait than are remembered when idle. */
static void each_of_many_peers_gets_its_own_answer(void **state)
{
    enum { PEERS = 200 };
    struct world *w = *state;
    struct answer a;
    int peers[PEERS];
    w->config.coap_max_idle_sessions = 1;
    start(w);
    for (size_t i = 0; i < PEERS; i++) {
        struct datagram d = telemetry(CON, (uint16_t)(300 + i), "{}");
        peers[i] = udp_socket(ps_coap_port(w->coap));
        send_to(peers[i], &d);
        wait_for_taken(w, i + 1);
    }
    for (size_t i = PEERS; i-- > 0;) {
        settle(w, i, PS_OK);
        receive_from(peers[i], &a);
        assert_answer(&a, ACK, CODE(2, 1), (uint16_t)(300 + i), "TOKN");
        close(peers[i]);
    }
}

/* ---- routes ------------------------------------------------------------------------------------
 */

static const struct route_case {
    unsigned method;
    const char *path; /* split at '|' */
    unsigned code;
} route_cases[] = {
    { POST, "api|v1|nope|telemetry", CODE(4, 1) },
    { GET, "api|v1|nope|attributes", CODE(4, 1) },
    { GET, "api|v1|nope|rpc", CODE(4, 1) },
    { POST, "api|v1", CODE(4, 1) },
    { GET, "api|v1|tok|rpc", CODE(4, 0) },
    { GET, "api|v1|tok|telemetry", CODE(4, 0) },
    { POST, "api|v1|tok|foo", CODE(4, 0) },
    { POST, "api|v1|tok|rpc|5", CODE(4, 0) },
    { POST, "api|v1|provision", CODE(4, 0) },
    { PUT, "api|v1|tok|telemetry", CODE(4, 5) },
    { 4, "api|v1|tok|telemetry", CODE(4, 5) },
    { 5, "api|v1|tok|attributes", CODE(4, 5) },
    { 6, "api|v1|tok|attributes", CODE(4, 5) },
    { 7, "api|v1|tok|attributes", CODE(4, 5) },
    { POST, "fw|tok", CODE(4, 5) },
    { GET, "fw|tok", CODE(4, 4) },
    { GET, "foo", CODE(4, 4) },
    { GET, "", CODE(4, 4) },
    { GET, "api|v1|tok|attributes", CODE(4, 4) }, /* there are none */
};

static void every_path_has_its_answer(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    for (size_t i = 0; i < sizeof route_cases / sizeof *route_cases; i++) {
        const struct route_case *c = &route_cases[i];
        struct datagram d = message(CON, c->method, (uint16_t)i, "R");
        for (const char *at = c->path; *at;
             at += at[strcspn(at, "|")] ? strcspn(at, "|") + 1 : strcspn(at, "|"))
            put(&d, URI_PATH, at, strcspn(at, "|"));
        send_to(w->udp, &d);
        receive(w, &a);
        assert_answer(&a, ACK, c->code, (uint16_t)i, "R");
        if (c->code == CODE(4, 1))
            assert_int_equal(a.payload_len, 0);
    }
    assert_int_equal(w->taken_count, 0);
}

static void a_profile_of_another_transport_is_refused(void **state)
{
    struct world *w = *state;
    struct answer a;
    w->identity.transport_type = PS_TRANSPORT_MQTT;
    start(w);
    struct datagram d = telemetry(CON, 8, "{}");
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(5, 0), 8, "TOKN");
    assert_int_equal(w->taken_count, 0);
}

/* ---- blocks ------------------------------------------------------------------------------------
 */

static struct datagram block_of(const char *body, size_t body_len, uint32_t number)
{
    struct datagram d = message(CON, POST, (uint16_t)(400 + number), "BLCK");
    size_t offset = (size_t)number * 1024, len = body_len - offset;
    if (len > 1024)
        len = 1024;
    put_path(&d, "tok", "telemetry");
    put_number(&d, BLOCK1, number << 4 | (offset + len < body_len ? 8u : 0u) | 6u);
    put_payload(&d, body + offset, len);
    return d;
}

static void a_body_in_blocks_is_one_message(void **state)
{
    struct world *w = *state;
    struct answer a;
    char body[LARGE];
    start(w);
    for (size_t i = 0; i < LARGE; i++)
        body[i] = (char)('a' + i % 26);
    for (uint32_t n = 0; n < 2; n++) {
        struct datagram d = block_of(body, LARGE, n);
        for (int times = 0; times < 2; times++) {
            send_to(w->udp, &d);
            receive(w, &a);
            assert_answer(&a, ACK, CODE(2, 31), (uint16_t)(400 + n), "BLCK");
            assert_int_equal(a.options[BLOCK1], n << 4 | 8 | 6);
        }
    }
    struct datagram last = block_of(body, LARGE, 2);
    send_to(w->udp, &last);
    wait_for_taken(w, 1);
    assert_int_equal(w->body.len, LARGE);
    assert_memory_equal(w->body.data, body, LARGE);
    settle(w, 0, PS_OK);
    for (int times = 0; times < 2; times++) {
        receive(w, &a);
        assert_answer(&a, ACK, CODE(2, 1), 402, "BLCK");
        assert_int_equal(a.options[BLOCK1], 2 << 4 | 6);
        if (times == 0)
            send_to(w->udp, &last);
    }
    assert_int_equal(w->taken_count, 1);

    struct datagram missing = block_of(body, LARGE, 1);
    send_to(w->udp, &missing);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(4, 8), 401, "BLCK");
}

static void a_body_over_the_limit_is_refused_with_the_limit(void **state)
{
    struct world *w = *state;
    struct answer a;
    char body[LARGE] = { 0 };
    w->config.coap_max_payload_size = 2048;
    start(w);
    struct datagram announced = message(CON, POST, 9, "SIZE");
    put_path(&announced, "tok", "telemetry");
    put_number(&announced, BLOCK1, 8 | 6);
    put_number(&announced, SIZE1, UINT32_MAX);
    put_payload(&announced, body, 1024);
    send_to(w->udp, &announced);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(4, 13), 9, "SIZE");
    assert_int_equal(a.options[SIZE1], 2048);
    for (uint32_t n = 0; n < 3; n++) {
        struct datagram d = block_of(body, LARGE, n);
        send_to(w->udp, &d);
        receive(w, &a);
        assert_answer(&a, ACK, n < 2 ? CODE(2, 31) : CODE(4, 13), (uint16_t)(400 + n), "BLCK");
    }
    assert_int_equal(w->taken_count, 0);
}

static void a_bad_block_option_is_a_bad_request(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram d = message(CON, POST, 10, "");
    put_path(&d, "tok", "telemetry");
    put_number(&d, BLOCK1, 7); /* the reserved size */
    put_payload(&d, "{}", 2);
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(4, 0), 10, "");
}

/* ---- attributes --------------------------------------------------------------------------------
 */

static void attributes_are_answered_as_asked(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    ps_buf_put_text(&w->json, "{\"client\":{\"hw\":1}}");
    struct datagram d = message(CON, GET, 11, "GETT");
    put_number(&d, OBSERVE, 0); /* declined: RFC 7641 3.1 */
    put_path(&d, "tok", "attributes");
    put_text(&d, URI_QUERY, "clientKeys=hw,fw,");
    put_text(&d, URI_QUERY, "sharedKeys=rate");
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 5), 11, "GETT");
    assert_text(&a, "{\"client\":{\"hw\":1}}");
    assert_int_equal(a.options[CONTENT_FORMAT], 50);
    assert_false(a.has[OBSERVE]);
    assert_false(a.has[BLOCK2]);
    assert_string_equal(w->client, "hw;fw;");
    assert_string_equal(w->shared, "rate;");

    d = message(CON, GET, 12, "GETT");
    put_path(&d, "tok", "attributes");
    put_number(&d, CONTENT_FORMAT, 60);
    put_text(&d, URI_QUERY, "sharedKeys=");
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 5), 12, "GETT");
    assert_int_equal(a.options[CONTENT_FORMAT], 60);
    assert_string_equal(w->client, "-");
    assert_string_equal(w->shared, "-");

    d = message(CON, GET, 13, "GETT");
    put_path(&d, "tok", "attributes");
    put(&d, URI_QUERY, "clientKeys=a\0b", 14);
    send_to(w->udp, &d);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(4, 0), 13, "GETT");
}

static void large_answers_come_in_blocks(void **state)
{
    struct world *w = *state;
    struct answer a;
    uint32_t tag = 0;
    start(w);
    for (size_t i = 0; i < LARGE; i++)
        ps_buf_put_char(&w->json, (char)('a' + i % 23));
    struct datagram d = attribute_request(500);
    for (uint32_t n = 0; n < 3; n++) {
        send_to(w->udp, &d);
        receive(w, &a);
        assert_answer(&a, ACK, CODE(2, 5), (uint16_t)(500 + n), "GETT");
        assert_int_equal(a.options[BLOCK2], n << 4 | (n < 2 ? 8 : 0) | 6);
        assert_int_equal(a.options[SIZE2], LARGE);
        assert_int_equal(a.payload_len, n < 2 ? 1024 : LARGE - 2048);
        assert_memory_equal(a.payload, w->json.data + 1024 * n, a.payload_len);
        assert_true(a.has[ETAG] && (n == 0 || a.options[ETAG] == tag));
        tag = a.options[ETAG];
        d = attribute_request((uint16_t)(501 + n));
        put_number(&d, BLOCK2, (n + 1) << 4 | 6);
    }
    send_to(w->udp, &d); /* beyond the end */
    receive(w, &a);
    assert_answer(&a, ACK, CODE(4, 0), 503, "GETT");

    d = attribute_request(504); /* smaller ones, as the device wants them */
    put_number(&d, BLOCK2, 46 << 4 | 2);
    send_to(w->udp, &d);
    receive(w, &a);
    assert_int_equal(a.options[BLOCK2], 46 << 4 | 2);
    assert_int_equal(a.payload_len, LARGE - 46 * 64);
}

/* ---- hostile and broken ------------------------------------------------------------------------
 */

/* xorshift: the same bytes in every run. */
static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static struct datagram broken_datagram(uint32_t *seed)
{
    struct datagram d = next_random(seed) % 2 ? telemetry(CON, (uint16_t)next_random(seed), "{}")
                                              : attribute_request((uint16_t)next_random(seed));
    if (next_random(seed) % 3 == 0)
        put_number(&d, d.last_option < BLOCK1 ? BLOCK1 : 300, next_random(seed) >> 8);
    if (next_random(seed) % 4 == 0) {
        d.len = next_random(seed) % 1500;
        for (size_t i = 0; i < d.len; i++)
            d.bytes[i] = (uint8_t)next_random(seed);
    }
    for (uint32_t n = next_random(seed) % 4; n-- > 0 && d.len > 0;)
        d.bytes[next_random(seed) % d.len] = (uint8_t)next_random(seed);
    if (next_random(seed) % 8 == 0)
        d.len = next_random(seed) % (d.len + 1);
    return d;
}

static void broken_datagrams_do_no_harm(void **state)
{
    struct world *w = *state;
    uint32_t seed = 20240607;
    start(w);
    w->commits_at_once = true;
    ps_buf_put_text(&w->json, "{}");
    for (int i = 0; i < 10000; i++) {
        struct datagram d = broken_datagram(&seed);
        struct answer ignored;
        send(w->udp, d.bytes, d.len, 0);
        while (recv(w->udp, ignored.raw.bytes, sizeof ignored.raw.bytes, MSG_DONTWAIT) > 0)
            ;
    }
    /* From a fresh peer, as the old one may still be sent things; repeated, as the server may be so
     * far behind that its socket drops what comes. */
    int fresh = udp_socket(ps_coap_port(w->coap));
    struct pollfd ready = { .fd = fresh, .events = POLLIN };
    struct datagram d = telemetry(CON, 1, "{\"alive\":1}");
    struct answer a;
    int tries = 0;
    do {
        assert_true(tries++ < DEADLINE_S * 10);
        send_to(fresh, &d);
    } while (poll(&ready, 1, 100) == 0);
    receive_from(fresh, &a);
    assert_answer(&a, ACK, CODE(2, 1), 1, "TOKN");
    close(fresh);
}

static void a_ping_is_reset(void **state)
{
    struct world *w = *state;
    struct answer a;
    start(w);
    struct datagram ping = message(CON, EMPTY, 77, "");
    struct pollfd ready = { .fd = w->udp, .events = POLLIN };
    int tries = 0;
    do { /* libcoap answers none in the first quarter of a second of its life */
        assert_true(tries++ < DEADLINE_S * 10);
        send_to(w->udp, &ping);
    } while (poll(&ready, 1, 100) == 0);
    receive(w, &a);
    assert_answer(&a, RST, EMPTY, 77, "");
}

/* ---- start and stop ----------------------------------------------------------------------------
 */

static void a_port_in_use_is_an_error(void **state)
{
    struct world *w = *state;
    struct ps_coap *second = NULL;
    struct ps_text why = { "" };
    start(w);
    w->config.coap_port = ps_coap_port(w->coap);
    assert_int_equal(ps_coap_start(&w->services, &second, &why), PS_EIO);
    assert_non_null(strstr(why.data, "cannot bind"));
    assert_null(second);
    strcpy(w->config.coap_bind, "nowhere");
    assert_int_equal(ps_coap_start(&w->services, &second, &why), PS_EINVAL);
    assert_non_null(strstr(why.data, "nowhere"));
}

static void *stop(void *arg)
{
    struct world *w = arg;
    ps_coap_stop(w->coap);
    return NULL;
}

static void a_stop_waits_for_what_was_taken_and_refuses_the_rest(void **state)
{
    struct world *w = *state;
    struct answer a;
    pthread_t stopper;
    start(w);
    struct datagram d = telemetry(CON, 20, "{}");
    send_to(w->udp, &d);
    wait_for_taken(w, 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop, w), 0);
    for (uint16_t id = 21;; id++) { /* until it has noticed */
        size_t before = w->taken_count;
        w->commits_at_once = true;
        d = telemetry(CON, id, "{}");
        send_to(w->udp, &d);
        receive(w, &a);
        if (a.code == CODE(5, 3)) {
            assert_answer(&a, ACK, CODE(5, 3), id, "TOKN");
            break;
        }
        assert_answer(&a, ACK, CODE(2, 1), id, "TOKN");
        assert_int_equal(w->taken_count, before + 1);
    }
    settle(w, 0, PS_OK);
    receive(w, &a);
    assert_answer(&a, ACK, CODE(2, 1), 20, "TOKN");
    assert_int_equal(pthread_join(stopper, NULL), 0);
    w->coap = NULL;
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(the_answer_waits_for_the_commit_and_rides_on_the_acknowledgement),
        SERVER_TEST(attributes_are_posted_as_attributes),
        SERVER_TEST(a_repeated_message_is_taken_once_and_answered_again),
        SERVER_TEST(a_message_that_failed_may_be_repeated),
        SERVER_TEST(a_slow_commit_is_acknowledged_first_and_answered_separately),
        SERVER_TEST(what_does_not_ask_for_acknowledgement_gets_none),
        SERVER_TEST(answers_nobody_wants_are_not_sent),
        SERVER_TEST(a_commit_that_does_not_come_is_a_timeout),
        SERVER_TEST(a_refusal_says_why),
        SERVER_TEST(waiting_requests_are_bounded),
        SERVER_TEST(each_of_many_peers_gets_its_own_answer),
        SERVER_TEST(every_path_has_its_answer),
        SERVER_TEST(a_profile_of_another_transport_is_refused),
        SERVER_TEST(a_body_in_blocks_is_one_message),
        SERVER_TEST(a_body_over_the_limit_is_refused_with_the_limit),
        SERVER_TEST(a_bad_block_option_is_a_bad_request),
        SERVER_TEST(attributes_are_answered_as_asked),
        SERVER_TEST(large_answers_come_in_blocks),
        SERVER_TEST(broken_datagrams_do_no_harm),
        SERVER_TEST(a_ping_is_reset),
        SERVER_TEST(a_port_in_use_is_an_error),
        SERVER_TEST(a_stop_waits_for_what_was_taken_and_refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
