/* http_world: the HTTP server over real sockets, with the rest of the process played here: devices'
 * messages, readers' jobs and attribute requests come onto a stage, where a test takes them and
 * lets them end when it likes. */
#ifndef TESTS_HTTP_WORLD_H
#define TESTS_HTTP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/entity/identity_cache.h"
#include "core/metrics.h"
#include "core/storage/reader.h"
#include "transport/device_uplink.h"
#include "transport/http/http.h"
#include "transport/listen.h"
#include "transport/services.h"

enum { DEADLINE_MS = 10000, ANSWER_SIZE = 64 * 1024 };

/* --- the parts behind the server: one request at a time waits here --- */

struct backstage {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct ps_ack *ack;
    struct ps_attribute_reply *attributes;
    struct ps_reader_job *job;
    char body[256];
    char asked[64];
};

static struct backstage stage = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL, NULL, "", ""
};

/* Put something on the stage and call whoever waits for it. */
#define ARRIVE(member, value)                                                                      \
    do {                                                                                           \
        pthread_mutex_lock(&stage.lock);                                                           \
        stage.member = (value);                                                                    \
        pthread_cond_broadcast(&stage.arrived);                                                    \
        pthread_mutex_unlock(&stage.lock);                                                         \
    } while (0)

/* Take it off the stage, waiting for it. */
#define AWAIT(member, out)                                                                         \
    do {                                                                                           \
        struct timespec until;                                                                     \
        int rc = 0;                                                                                \
        clock_gettime(CLOCK_REALTIME, &until);                                                     \
        until.tv_sec += DEADLINE_MS / 1000;                                                        \
        pthread_mutex_lock(&stage.lock);                                                           \
        while (!stage.member && rc == 0)                                                           \
            rc = pthread_cond_timedwait(&stage.arrived, &stage.lock, &until);                      \
        (out) = stage.member;                                                                      \
        stage.member = NULL;                                                                       \
        pthread_mutex_unlock(&stage.lock);                                                         \
        assert_non_null(out);                                                                      \
    } while (0)

enum ps_status ps_identity_cache_find_token(struct ps_identity_cache *cache, const char *token,
                                            size_t len, struct ps_device_identity **out)
{
    (void)cache;
    if (len == 5 && memcmp(token, "store", 5) == 0)
        return PS_ESTORE;
    if (len != 8 || memcmp(token, "good/tok", 8) != 0)
        return PS_EAUTH;
    struct ps_device_identity *identity = calloc(1, sizeof *identity);
    assert_non_null(identity);
    atomic_init(&identity->references, 1);
    *out = identity;
    return PS_OK;
}

void ps_device_uplink_init(struct ps_device_uplink *uplink, struct ps_actors *actors,
                           struct ps_metrics *metrics, unsigned metrics_lane,
                           enum ps_metric transport, const struct ps_payload_rules *rules)
{
    (void)actors;
    (void)metrics;
    (void)metrics_lane;
    (void)transport;
    (void)rules;
    memset(uplink, 0, sizeof *uplink);
}

void ps_device_uplink_deinit(struct ps_device_uplink *uplink)
{
    ps_payload_deinit(&uplink->payload);
}

static enum ps_status uplink(const char *body, size_t len, struct ps_ack *ack, struct ps_text *why)
{
    if (len == 3 && memcmp(body, "bad", 3) == 0) {
        ps_text_set(why, "bad body");
        return PS_EPROTO;
    }
    if (len == 4 && memcmp(body, "busy", 4) == 0)
        return PS_EBUSY;
    if (len == 3 && memcmp(body, "now", 3) == 0) {
        ps_ack_release(ack, PS_OK);
        return PS_OK;
    }
    snprintf(stage.body, sizeof stage.body, "%.*s", (int)(len > 200 ? 200 : len), body);
    ARRIVE(ack, ack);
    return PS_OK;
}

enum ps_status ps_device_uplink_telemetry(struct ps_device_uplink *u,
                                          struct ps_device_identity *identity, const char *body,
                                          size_t len, struct ps_ack *ack, struct ps_text *why)
{
    (void)u;
    assert_non_null(identity);
    return uplink(body, len, ack, why);
}

enum ps_status ps_device_uplink_attributes(struct ps_device_uplink *u,
                                           struct ps_device_identity *identity, const char *body,
                                           size_t len, struct ps_ack *ack, struct ps_text *why)
{
    return ps_device_uplink_telemetry(u, identity, body, len, ack, why);
}

struct ps_attribute_reply *
ps_attribute_reply_create(const struct ps_device_identity *identity,
                          const struct ps_attribute_request *request, struct ps_port *port,
                          void (*run)(struct ps_port_item *item, void *owner))
{
    (void)identity;
    assert_null(port);
    snprintf(stage.asked, sizeof stage.asked, "%zu client, %zu shared", request->client_count,
             request->shared_count);
    struct ps_attribute_reply *reply = calloc(1, sizeof *reply);
    assert_non_null(reply);
    reply->item.run = run;
    return reply;
}

void ps_attribute_reply_destroy(struct ps_attribute_reply *reply)
{
    ps_buf_deinit(&reply->json);
    free(reply);
}

void ps_device_uplink_request_attributes(struct ps_actors *actors, struct ps_attribute_reply *reply)
{
    (void)actors;
    ARRIVE(attributes, reply);
}

static _Atomic bool readers_full;

enum ps_status ps_reader_submit(struct ps_reader_pool *pool, struct ps_reader_job *job)
{
    (void)pool;
    if (readers_full)
        return PS_EBUSY;
    ARRIVE(job, job);
    return PS_OK;
}

/* --- the server and its clients --- */

struct fixture {
    struct ps_config config;
    struct ps_services services;
    struct ps_http *http;
    int listener;
    uint16_t port;
};

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    ps_config_init(&f->config);
    f->config.http_max_payload_size = 2048;
    f->config.http_rpc_max_payload_size = 1024;
    f->services.config = &f->config;
    assert_int_equal(ps_metrics_create(2, &f->services.metrics), PS_OK);
    assert_int_equal(ps_listen_tcp("127.0.0.1", &f->port, false, &f->listener, NULL), PS_OK);
    readers_full = false;
}

static inline void fixture_start(struct fixture *f,
                                 void (*rest)(void *, struct ps_http_call *, struct ps_db *))
{
    const struct ps_http_settings settings = { &f->services, 0, rest, NULL };
    assert_int_equal(ps_http_start(&settings, &f->http, NULL), PS_OK);
}

static inline void fixture_deinit(struct fixture *f)
{
    ps_http_stop(f->http, DEADLINE_MS);
    assert_int_equal(ps_metrics_read(f->services.metrics, PS_METRIC_HTTP_CONNECTIONS), 0);
    ps_metrics_destroy(f->services.metrics);
    close(f->listener);
}

static inline bool readable_within(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, timeout_ms) == 1;
}

/* A client whose other end the server has. */
static inline int connect_to(struct fixture *f)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(f->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, len), 0);
    assert_true(readable_within(f->listener, DEADLINE_MS));
    int server = accept4(f->listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK);
    assert_true(server >= 0);
    ps_http_adopt(f->http, server, (struct sockaddr *)&address, len);
    return client;
}

static inline void send_bytes(int client, const char *bytes, size_t len)
{
    assert_int_equal(send(client, bytes, len, MSG_NOSIGNAL), len);
}

static inline void request(int client, const char *line, const char *headers, const char *body)
{
    char text[8192];
    int len = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\n%s", line, headers);
    if (body)
        len += snprintf(text + len, sizeof text - (size_t)len, "Content-Length: %zu\r\n\r\n%s",
                        strlen(body), body);
    else
        len += snprintf(text + len, sizeof text - (size_t)len, "\r\n");
    send_bytes(client, text, (size_t)len);
}

/* One whole answer, headers and body; "" at the end of the connection. */
static inline void read_answer(int client, char answer[ANSWER_SIZE])
{
    size_t len = 0, body = 0;
    char *end = NULL;
    answer[0] = '\0';
    while (!end || len < (size_t)(end - answer) + 4 + body) {
        assert_true(readable_within(client, DEADLINE_MS));
        /* Byte by byte: the next answer may already be behind this one. */
        ssize_t n = recv(client, answer + len, 1, 0);
        if (n <= 0)
            return;
        answer[++len] = '\0';
        assert_true(len < ANSWER_SIZE - 1);
        if (!end && (end = strstr(answer, "\r\n\r\n"))) {
            const char *length = strstr(answer, "Content-Length: ");
            assert_non_null(length);
            body = strtoul(length + 16, NULL, 10);
        }
    }
}

static inline void expect(int client, unsigned status, const char *piece)
{
    char answer[ANSWER_SIZE];
    read_answer(client, answer);
    if (strtoul(answer + 9, NULL, 10) != status || !strstr(answer, piece))
        print_message("%s\n", answer);
    assert_int_equal(strtoul(answer + 9, NULL, 10), status);
    assert_non_null(strstr(answer, piece));
}

static inline void expect_end(int client)
{
    char byte;
    assert_true(readable_within(client, DEADLINE_MS));
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    close(client);
}

#endif
