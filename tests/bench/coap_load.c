/* coap_load: how many confirmable CoAP POSTs a second does a server answer?
 *
 *     coap_load load --port P [--token T] [--clients N] [--window W] [--seconds S] [--pid SERVER]
 *     coap_load anchor --port P
 *
 * `load` opens N sockets, each a device with W requests in flight, and posts telemetry in datagrams
 * made by hand: a client library would be the bottleneck. A request without answer for 2 s is sent
 * again with the same message id, as RFC 7252 tells devices to. It prints requests a second, answer
 * times, what was lost, and, given its process id, the server's CPU time per request.
 *
 * `anchor` is the rival: a bare responder that turns each datagram into an acknowledgement and does
 * nothing else. Run load against both, alternately, on the same machine; the ratio is the figure.
 * It stops when its input ends.
 *
 *     cc -O2 -D_GNU_SOURCE -o coap_load tests/bench/coap_load.c */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    WINDOW_MAX = 64,
    REQUEST_MAX = 256,
    SAMPLES_MAX = 8000000,
    CREATED = 0x41, /* 2.01 */
    RESEND_AFTER_MS = 2000,
    SOCKET_BYTES = 1 << 20,
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "coap_load: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in local_address(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* ---- the rival ---------------------------------------------------------------------------------
 */

static void reply_to_one(int fd)
{
    uint8_t bytes[2048];
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof peer;
    ssize_t got =
        recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_len);
    if (got < 4)
        return;
    size_t token_len = bytes[0] & 15;
    bytes[0] = (uint8_t)(0x60 | token_len);
    bytes[1] = CREATED;
    sendto(fd, bytes, 4 + token_len, 0, (struct sockaddr *)&peer, peer_len);
}

static int anchor(int port)
{
    struct sockaddr_in address = local_address(port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot bind");
    struct pollfd waiting[] = { { .fd = fd, .events = POLLIN },
                                { .fd = STDIN_FILENO, .events = POLLIN } };
    while (poll(waiting, 2, -1) > 0 && !waiting[1].revents) {
        for (int i = 0; i < 64; i++)
            reply_to_one(fd);
    }
    return 0;
}

/* ---- devices -----------------------------------------------------------------------------------
 */

struct flight {
    bool in_use;
    uint16_t message_id;
    double sent_s;
};

struct client {
    int fd;
    uint16_t next_id;
    struct flight flights[WINDOW_MAX];
};

struct load {
    const char *token;
    int port, clients, window, pid;
    double seconds;

    int epoll_fd;
    struct client *all;
    uint64_t answered, refused, resent, unmatched;
    float *samples_us;
    size_t sample_count;
};

static size_t put_option(uint8_t *at, uint8_t delta, const char *text)
{
    size_t len = strlen(text), header = len < 13 ? 1 : 2;
    at[0] = (uint8_t)(delta << 4 | (len < 13 ? len : 13));
    if (header == 2)
        at[1] = (uint8_t)(len - 13);
    memcpy(at + header, text, len);
    return header + len;
}

/* The token is the message id, twice: answers are told apart by it. */
static size_t build(uint8_t *bytes, const char *token, uint16_t id)
{
    static const char body[] = "{\"temperature\":21.53,\"humidity\":40,\"active\":true}";
    uint8_t *at = bytes;
    *at++ = 0x44; /* version 1, confirmable, four bytes of token */
    *at++ = 2;    /* POST */
    for (int i = 0; i < 3; i++) {
        *at++ = (uint8_t)(id >> 8);
        *at++ = (uint8_t)id;
    }
    at += put_option(at, 11, "api");
    at += put_option(at, 0, "v1");
    at += put_option(at, 0, token);
    at += put_option(at, 0, "telemetry");
    *at++ = 0x11; /* Content-Format: JSON */
    *at++ = 50;
    *at++ = 0xFF;
    memcpy(at, body, sizeof body - 1);
    return (size_t)(at - bytes) + sizeof body - 1;
}

static void send_flight(struct load *load, struct client *client, struct flight *flight)
{
    uint8_t bytes[REQUEST_MAX];
    size_t len = build(bytes, load->token, flight->message_id);
    flight->sent_s = now_s();
    if (send(client->fd, bytes, len, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
        die("send");
}

static void start_flight(struct load *load, struct client *client, struct flight *flight)
{
    flight->in_use = true;
    flight->message_id = client->next_id++;
    send_flight(load, client, flight);
}

static struct flight *flight_of(struct load *load, struct client *client, const uint8_t *bytes)
{
    uint16_t id = (uint16_t)(bytes[2] << 8 | bytes[3]);
    for (int i = 0; i < load->window; i++) {
        if (client->flights[i].in_use && client->flights[i].message_id == id)
            return &client->flights[i];
    }
    return NULL;
}

static void receive_all(struct load *load, struct client *client)
{
    uint8_t bytes[2048];
    for (;;) {
        ssize_t got = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 4)
            return;
        struct flight *flight = flight_of(load, client, bytes);
        if (!flight) {
            load->unmatched++;
            continue;
        }
        if (bytes[1] == CREATED)
            load->answered++;
        else
            load->refused++;
        if (load->sample_count < SAMPLES_MAX)
            load->samples_us[load->sample_count++] = (float)((now_s() - flight->sent_s) * 1e6);
        start_flight(load, client, flight);
    }
}

static void resend_lost(struct load *load)
{
    double limit_s = now_s() - RESEND_AFTER_MS / 1e3;
    for (int i = 0; i < load->clients; i++) {
        for (int j = 0; j < load->window; j++) {
            struct flight *flight = &load->all[i].flights[j];
            if (flight->sent_s < limit_s) {
                send_flight(load, &load->all[i], flight);
                load->resent++;
            }
        }
    }
}

/* ---- measuring ---------------------------------------------------------------------------------
 */

/* User and system CPU seconds of a process; 0 if it is not known. */
static double cpu_s(int pid)
{
    char path[64], text[1024];
    unsigned long user, kernel;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = pid > 0 ? fopen(path, "r") : NULL;
    if (!file)
        return 0;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[got] = '\0';
    const char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                              &user, &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct load *load, double part)
{
    return load->sample_count ? load->samples_us[(size_t)((double)(load->sample_count - 1) * part)]
                              : 0;
}

static void report(struct load *load, double took_s, double server_cpu_s)
{
    qsort(load->samples_us, load->sample_count, sizeof *load->samples_us, by_value);
    printf("clients=%d window=%d requests_per_s=%.0f p50_us=%.0f p99_us=%.0f", load->clients,
           load->window, (double)load->answered / took_s, percentile(load, 0.5),
           percentile(load, 0.99));
    if (load->pid > 0)
        printf(" server_cpu_us_per_request=%.2f", server_cpu_s * 1e6 / (double)load->answered);
    printf(" refused=%llu resent=%llu unmatched=%llu\n", (unsigned long long)load->refused,
           (unsigned long long)load->resent, (unsigned long long)load->unmatched);
}

/* ---- the run -----------------------------------------------------------------------------------
 */

static void open_clients(struct load *load)
{
    struct rlimit files = { (rlim_t)load->clients + 64, (rlim_t)load->clients + 64 };
    struct sockaddr_in address = local_address(load->port);
    int bytes = SOCKET_BYTES;
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < files.rlim_cur) {
        files.rlim_max = now.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            die("too few descriptors for the clients");
    }
    load->epoll_fd = epoll_create1(0);
    load->all = calloc((size_t)load->clients, sizeof *load->all);
    load->samples_us = malloc(SAMPLES_MAX * sizeof *load->samples_us);
    if (load->epoll_fd < 0 || !load->all || !load->samples_us)
        die("out of memory");
    srandom((unsigned)getpid());
    for (int i = 0; i < load->clients; i++) {
        struct client *client = &load->all[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
        client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        client->next_id = (uint16_t)random();
        if (client->fd < 0 ||
            connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) != 0)
            die("cannot open a client");
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
}

static int run(struct load *load)
{
    open_clients(load);
    double began_s = now_s(), cpu_before_s = cpu_s(load->pid), next_check_s = began_s + 0.1;
    for (int i = 0; i < load->clients; i++) {
        for (int j = 0; j < load->window; j++)
            start_flight(load, &load->all[i], &load->all[i].flights[j]);
    }
    while (now_s() - began_s < load->seconds) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(load->epoll_fd, events, EVENTS, 100);
        for (int i = 0; i < count; i++)
            receive_all(load, events[i].data.ptr);
        if (now_s() >= next_check_s) {
            resend_lost(load);
            next_check_s = now_s() + 0.1;
        }
    }
    report(load, now_s() - began_s, cpu_s(load->pid) - cpu_before_s);
    return load->answered > 0 ? 0 : 1;
}

static void read_option(struct load *load, const char *name, const char *value)
{
    if (strcmp(name, "--port") == 0)
        load->port = atoi(value);
    else if (strcmp(name, "--token") == 0)
        load->token = value;
    else if (strcmp(name, "--clients") == 0)
        load->clients = atoi(value);
    else if (strcmp(name, "--window") == 0)
        load->window = atoi(value);
    else if (strcmp(name, "--seconds") == 0)
        load->seconds = atof(value);
    else if (strcmp(name, "--pid") == 0)
        load->pid = atoi(value);
    else
        die("unknown option");
}

int main(int argc, char **argv)
{
    struct load load = { .token = "TOKEN", .clients = 100, .window = 1, .seconds = 3 };
    for (int i = 2; i + 1 < argc; i += 2)
        read_option(&load, argv[i], argv[i + 1]);
    errno = 0;
    if (load.port <= 0 || load.clients <= 0 || load.window <= 0 || load.window > WINDOW_MAX ||
        strlen(load.token) > 100)
        die("usage: load|anchor --port P [--token T] [--clients N] [--window 1..64]");
    if (argc > 1 && strcmp(argv[1], "anchor") == 0)
        return anchor(load.port);
    if (argc > 1 && strcmp(argv[1], "load") == 0)
        return run(&load);
    die("load or anchor");
}
