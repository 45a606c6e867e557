/* The front door on real sockets: who gets a connection, with which bytes, and who waits how long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/metrics.h"
#include "transport/front/front.h"

enum { DEADLINE_MS = 10000 };

struct fixture {
    struct ps_metrics *metrics;
    struct ps_front *front;
    int taken[2];          /* pipe: the adopted descriptors, HTTP's as they are, others negated */
    _Atomic uint64_t open; /* what the HTTP server says it has */
};

static void take(struct fixture *f, int fd, bool websocket)
{
    int told = websocket ? -fd : fd;
    assert_int_equal(write(f->taken[1], &told, sizeof told), sizeof told);
}

static void take_http(void *http, int fd, const struct sockaddr *address, socklen_t len)
{
    assert_int_equal(address->sa_family, AF_INET);
    assert_int_equal(len, sizeof(struct sockaddr_in));
    take(http, fd, false);
}

static void take_ws(void *ws, int fd)
{
    take(ws, fd, true);
}

static uint64_t http_open(const void *http)
{
    return atomic_load(&((const struct fixture *)http)->open);
}

static void fixture_init(struct fixture *f, int64_t header_timeout_ms, uint64_t connections_max)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(pipe(f->taken), 0);
    assert_int_equal(ps_metrics_create(1, &f->metrics), PS_OK);
    struct ps_front_settings settings = {
        .bind = "127.0.0.1",
        .header_timeout_ms = header_timeout_ms,
        .connections_max = connections_max,
        .metrics = f->metrics,
        .http_adopt = take_http,
        .ws_adopt = take_ws,
        .http_open = http_open,
        .http = f,
        .ws = f,
    };
    assert_int_equal(ps_front_start(&settings, &f->front, NULL), PS_OK);
    assert_int_not_equal(ps_front_port(f->front), 0);
}

static void fixture_deinit(struct fixture *f)
{
    ps_front_stop(f->front);
    ps_metrics_destroy(f->metrics);
    close(f->taken[0]);
    close(f->taken[1]);
}

static int connect_to(struct fixture *f)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(ps_front_port(f->front)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool readable_within(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, timeout_ms) == 1;
}

/* The adopted socket; *websocket tells for whom. */
static int await_taken(struct fixture *f, bool *websocket)
{
    int told;
    assert_true(readable_within(f->taken[0], DEADLINE_MS));
    assert_int_equal(read(f->taken[0], &told, sizeof told), sizeof told);
    *websocket = told < 0;
    return told < 0 ? -told : told;
}

static void await_closed(int fd)
{
    char byte;
    assert_true(readable_within(fd, DEADLINE_MS));
    ssize_t n = recv(fd, &byte, 1, 0);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
}

static void assert_unread(int fd, const char *want)
{
    char bytes[512];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(bytes, want, strlen(want));
}

static void a_socket_goes_to_its_server_with_all_bytes_unread(void **state)
{
    (void)state;
    static const struct {
        const char *pieces[4];
        bool websocket;
    } cases[] = {
        { { "GET /x HTTP/1.1\r\n\r\n" }, false },
        { { "GET /api/ws HTTP/1.1\r\n\r\n" }, true },
        { { "GE", "T /api/w", "s HTTP/1.1\r\n", "\r\n" }, true },
        { { "POST /api/v1/t/telemetry HTTP/1.1\r\nContent-Length: 2\r\n", "\r\n{}" }, false },
    };
    struct fixture f;
    fixture_init(&f, DEADLINE_MS, 100);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char whole[256] = "";
        bool websocket;
        int client = connect_to(&f);
        for (size_t p = 0; p < 4 && cases[i].pieces[p]; p++) {
            assert_false(readable_within(f.taken[0], 5)); /* nobody has it before its last piece */
            send_text(client, cases[i].pieces[p]);
            strcat(whole, cases[i].pieces[p]);
        }
        int server = await_taken(&f, &websocket);
        assert_int_equal(websocket, cases[i].websocket);
        assert_unread(server, whole);
        close(server);
        close(client);
    }
    assert_int_equal(ps_metrics_read(f.metrics, PS_METRIC_HTTP_CONNECTIONS_REFUSED), 0);
    fixture_deinit(&f);
}

static void a_header_that_does_not_come_in_time_is_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 100, 100);
    int silent = connect_to(&f), half = connect_to(&f);
    send_text(half, "GET /x HTTP/1.1\r\nHost:");
    await_closed(silent);
    await_closed(half);
    assert_false(readable_within(f.taken[0], 0));
    fixture_deinit(&f);
}

static void what_hangs_up_or_is_not_http_is_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, DEADLINE_MS, 100);
    int tls = connect_to(&f), half = connect_to(&f);
    send_text(tls, "\x16\x03\x01");
    await_closed(tls);
    send_text(half, "GET /");
    shutdown(half, SHUT_WR);
    await_closed(half);
    assert_false(readable_within(f.taken[0], 0));
    fixture_deinit(&f);
}

static void a_request_whose_sender_is_done_is_still_served(void **state)
{
    (void)state;
    struct fixture f;
    bool websocket;
    fixture_init(&f, DEADLINE_MS, 100);
    int client = connect_to(&f);
    send_text(client, "GET /x HTTP/1.1\r\n\r\n");
    shutdown(client, SHUT_WR);
    close(await_taken(&f, &websocket));
    assert_false(websocket);
    close(client);
    fixture_deinit(&f);
}

static void beyond_connections_max_clients_wait_for_room(void **state)
{
    (void)state;
    struct fixture f;
    bool websocket;
    fixture_init(&f, DEADLINE_MS, 16);
    atomic_store(&f.open, 16);
    int client = connect_to(&f); /* the kernel answers, nobody accepts */
    send_text(client, "GET /x HTTP/1.1\r\n\r\n");
    assert_false(readable_within(f.taken[0], 60));
    atomic_store(&f.open, 15);
    close(await_taken(&f, &websocket));
    close(client);
    fixture_deinit(&f);
}

static void a_stop_closes_what_waits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, DEADLINE_MS, 100);
    int client = connect_to(&f);
    send_text(client, "GET");
    fixture_deinit(&f);
    await_closed(client);
    ps_front_stop(NULL);
}

static void an_address_that_cannot_be_bound_is_told(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_text why = { "" };
    struct ps_front *front = NULL;
    fixture_init(&f, DEADLINE_MS, 100);
    struct ps_front_settings settings = { .bind = "127.0.0.1", .port = ps_front_port(f.front) };
    assert_int_equal(ps_front_start(&settings, &front, &why), PS_EIO);
    assert_null(front);
    assert_non_null(strstr(why.data, "127.0.0.1"));
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_goes_to_its_server_with_all_bytes_unread),
        cmocka_unit_test(a_header_that_does_not_come_in_time_is_closed),
        cmocka_unit_test(what_hangs_up_or_is_not_http_is_closed),
        cmocka_unit_test(a_request_whose_sender_is_done_is_still_served),
        cmocka_unit_test(beyond_connections_max_clients_wait_for_room),
        cmocka_unit_test(a_stop_closes_what_waits),
        cmocka_unit_test(an_address_that_cannot_be_bound_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
