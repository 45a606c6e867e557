/* ws_fanout: one device, many subscribers: how fast does a value reach all of them?
 *
 *     ws_fanout load --port P --subscribers N --device UUID --token TOKEN --jwt JWT
 *               [--seconds S] [--rate R]
 *     ws_fanout anchor --port P
 *
 * `load` opens N WebSockets that subscribe to the device's latest values, then posts one value at a
 * time over the device's HTTP API and waits until every subscriber has its frame: frames a second.
 * With --rate it posts R times a second instead and prints how long frames took.
 *
 * `anchor` is the rival: a server without library or product behind it that answers the same
 * requests and writes one ready-made frame to every socket in a loop. Run load against both,
 * alternately, on the same machine; the ratio is the figure. It stops when its input ends. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "support/ws_client.h"

enum { EVENTS = 512, READ_BYTES = 4096, SUBSCRIBERS_MAX = 100000, SAMPLES_MAX = 4000000 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "ws_fanout: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in local_address(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void no_delay(int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static int connect_to(int port)
{
    struct sockaddr_in address = local_address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect");
    no_delay(fd);
    return fd;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* --- the anchor --- */

struct anchor {
    int epoll, listener;
    int *subscribers;
    size_t count;
};

static void anchor_accept(struct anchor *anchor)
{
    int fd = accept4(anchor->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    no_delay(fd);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    epoll_ctl(anchor->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void anchor_forget(struct anchor *anchor, int fd)
{
    for (size_t i = 0; i < anchor->count; i++)
        if (anchor->subscribers[i] == fd)
            anchor->subscribers[i--] = anchor->subscribers[--anchor->count];
    close(fd);
}

static size_t anchor_frame(char *frame, size_t size)
{
    static const char text[] =
        "{\"subscriptionId\":1,\"errorCode\":0,\"errorMsg\":null,\"data\":{\"temperature\":"
        "[[1719830405000,\"22\"]]},\"latestValues\":{\"temperature\":1719830405000}}";
    size_t len = sizeof text - 1;
    if (len < 126 || len + 4 > size)
        abort();
    frame[0] = (char)0x81;
    frame[1] = 126;
    frame[2] = (char)(len >> 8);
    frame[3] = (char)len;
    memcpy(frame + 4, text, len);
    return len + 4;
}

static void anchor_publish(struct anchor *anchor)
{
    char frame[512];
    size_t len = anchor_frame(frame, sizeof frame);
    for (size_t i = 0; i < anchor->count; i++)
        if (write(anchor->subscribers[i], frame, len) != (ssize_t)len)
            die("a subscriber does not read");
}

static void anchor_request(struct anchor *anchor, int fd, const char *request)
{
    static const char upgrade[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (strncmp(request, "GET ", 4) == 0) {
        ws_send_all(fd, upgrade, sizeof upgrade - 1);
    } else if (strncmp(request, "POST ", 5) == 0) {
        anchor_publish(anchor);
        ws_send_all(fd, ok, sizeof ok - 1);
    } else if (anchor->count < SUBSCRIBERS_MAX) { /* a frame: the subscription; its snapshot */
        char frame[512];
        anchor->subscribers[anchor->count++] = fd;
        ws_send_all(fd, frame, anchor_frame(frame, sizeof frame));
    }
}

static void anchor_run(int port)
{
    struct anchor anchor = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
    struct sockaddr_in address = local_address(port);
    int yes = 1;
    anchor.subscribers = calloc(SUBSCRIBERS_MAX, sizeof *anchor.subscribers);
    anchor.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(anchor.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!anchor.subscribers || anchor.listener < 0 ||
        bind(anchor.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(anchor.listener, 1024) != 0)
        die("cannot listen");
    struct epoll_event events[EVENTS] = { { .events = EPOLLIN, .data.fd = anchor.listener } };
    epoll_ctl(anchor.epoll, EPOLL_CTL_ADD, anchor.listener, &events[0]);
    events[0].data.fd = STDIN_FILENO;
    epoll_ctl(anchor.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &events[0]); /* a file cannot: fine */
    for (;;) {
        int ready = epoll_wait(anchor.epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            char request[16385];
            if (fd == anchor.listener) {
                anchor_accept(&anchor);
                continue;
            }
            ssize_t got = read(fd, request, sizeof request - 1);
            if (got <= 0 && fd == STDIN_FILENO)
                exit(0);
            if (got <= 0) {
                anchor_forget(&anchor, fd);
            } else if (fd != STDIN_FILENO) {
                request[got] = '\0';
                anchor_request(&anchor, fd, request);
            }
        }
    }
}

/* --- the load --- */

struct settings {
    int port, subscribers;
    double seconds, rate;
    const char *device, *token, *jwt;
};

struct subscriber {
    int fd;
    size_t have;
    unsigned char bytes[READ_BYTES];
};

struct load {
    const struct settings *settings;
    int epoll, publisher;
    struct subscriber *subscribers;
    uint64_t frames; /* text frames received */
    double posted_s;
    float *samples_ms; /* with --rate */
    size_t sample_count;
};

static void subscriber_open(struct load *load, struct subscriber *subscriber)
{
    char text[16384], path[8300];
    unsigned char frame[512];
    const struct settings *settings = load->settings;
    subscriber->fd = connect_to(settings->port);
    snprintf(path, sizeof path, "/api/ws?token=%s", settings->jwt);
    size_t len = ws_handshake_make(text, sizeof text, path);
    ws_send_all(subscriber->fd, text, len);
    /* The answer has no body, so one byte at a time finds its end without reading beyond it. */
    for (len = 0; len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4) != 0; len++)
        if (len + 1 == sizeof text || recv(subscriber->fd, text + len, 1, 0) != 1)
            die("no upgrade");
    if (strncmp(text, "HTTP/1.1 101", 12) != 0)
        die("upgrade refused");
    len = (size_t)snprintf(text, sizeof text,
                           "{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\",\"entityType\":"
                           "\"DEVICE\",\"entityId\":\"%s\",\"scope\":\"LATEST_TELEMETRY\"}]}",
                           settings->device);
    ws_send_all(subscriber->fd, frame, ws_frame_make(frame, WS_TEXT, text, len));
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = subscriber };
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, subscriber->fd, &event);
}

static void take_frame(struct load *load, struct subscriber *subscriber,
                       const struct ws_frame *frame)
{
    unsigned char pong[140];
    if (frame->opcode == WS_PING && frame->len <= 125)
        ws_send_all(subscriber->fd, pong, ws_frame_make(pong, WS_PONG, frame->payload, frame->len));
    else if (frame->opcode == WS_CLOSE)
        die("a subscriber was closed by the server");
    else
        load->frames++;
    if (load->samples_ms && load->posted_s > 0 && load->sample_count < SAMPLES_MAX)
        load->samples_ms[load->sample_count++] = (float)((now_s() - load->posted_s) * 1000);
}

static void subscriber_read(struct load *load, struct subscriber *subscriber)
{
    struct ws_frame frame;
    ssize_t got = recv(subscriber->fd, subscriber->bytes + subscriber->have,
                       sizeof subscriber->bytes - subscriber->have, 0);
    if (got <= 0)
        die("a subscriber lost its connection");
    subscriber->have += (size_t)got;
    size_t at = 0, len;
    while ((len = ws_frame_read(subscriber->bytes + at, subscriber->have - at, &frame)) > 0) {
        take_frame(load, subscriber, &frame);
        at += len;
    }
    subscriber->have -= at;
    memmove(subscriber->bytes, subscriber->bytes + at, subscriber->have);
}

/* Read until this many frames came in all. */
static void await_frames(struct load *load, uint64_t wanted)
{
    struct epoll_event events[EVENTS];
    double deadline = now_s() + 10;
    while (load->frames < wanted) {
        int ready = epoll_wait(load->epoll, events, EVENTS, 1000);
        if (now_s() > deadline)
            die("frames are missing");
        for (int i = 0; i < ready; i++)
            subscriber_read(load, events[i].data.ptr);
    }
}

static void post_value(struct load *load, uint64_t number)
{
    char request[512], body[64], answer[1024];
    int len = snprintf(body, sizeof body, "{\"temperature\":%llu}", (unsigned long long)number);
    len = snprintf(request, sizeof request,
                   "POST /api/v1/%s/telemetry HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                   load->settings->token, len, body);
    load->posted_s = now_s();
    if (!ws_send_all(load->publisher, request, (size_t)len))
        die("cannot post");
    ssize_t got = recv(load->publisher, answer, sizeof answer, 0);
    if (got < 12 || strncmp(answer, "HTTP/1.1 200", 12) != 0)
        die("post refused");
}

static int compare_samples(const void *left, const void *right)
{
    const float *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void report(struct load *load, uint64_t rounds, double took_s)
{
    int subscribers = load->settings->subscribers;
    printf("subscribers=%d updates=%llu updates_per_s=%.1f frames_per_s=%.0f", subscribers,
           (unsigned long long)rounds, (double)rounds / took_s,
           (double)rounds * subscribers / took_s);
    size_t count = load->sample_count;
    if (load->samples_ms && count) {
        qsort(load->samples_ms, count, sizeof *load->samples_ms, compare_samples);
        printf(" p50_ms=%.2f p99_ms=%.2f max_ms=%.2f", (double)load->samples_ms[count / 2],
               (double)load->samples_ms[count * 99 / 100], (double)load->samples_ms[count - 1]);
    }
    printf("\n");
}

static void pace(double start_s, uint64_t rounds, double rate)
{
    double wait_s = start_s + (double)rounds / rate - now_s();
    if (wait_s > 0)
        nanosleep(&(struct timespec){ .tv_sec = (time_t)wait_s,
                                      .tv_nsec = (long)((wait_s - (double)(time_t)wait_s) * 1e9) },
                  NULL);
}

static void load_run(const struct settings *settings)
{
    struct load load = { .settings = settings, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    load.subscribers = calloc((size_t)settings->subscribers, sizeof *load.subscribers);
    if (settings->rate > 0)
        load.samples_ms = malloc(SAMPLES_MAX * sizeof *load.samples_ms);
    if (!load.subscribers)
        die("memory");
    for (int i = 0; i < settings->subscribers; i++)
        subscriber_open(&load, &load.subscribers[i]);
    await_frames(&load, (uint64_t)settings->subscribers); /* the snapshots */
    load.publisher = connect_to(settings->port);

    uint64_t rounds = 0, base = load.frames;
    double start = now_s();
    while (now_s() - start < settings->seconds) {
        post_value(&load, rounds);
        rounds++;
        await_frames(&load, base + rounds * (uint64_t)settings->subscribers);
        if (settings->rate > 0)
            pace(start, rounds, settings->rate);
    }
    report(&load, rounds, now_s() - start);
}

int main(int argc, char **argv)
{
    struct settings settings = { .port = 8080,
                                 .subscribers = 1000,
                                 .seconds = 5,
                                 .device = "784f394c-42b6-435a-983c-b7beff2784f9",
                                 .token = "T",
                                 .jwt = "J" };
    raise_file_limit();
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--port") == 0)
            settings.port = atoi(value);
        else if (strcmp(name, "--subscribers") == 0)
            settings.subscribers = atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            settings.seconds = atof(value);
        else if (strcmp(name, "--rate") == 0)
            settings.rate = atof(value);
        else if (strcmp(name, "--device") == 0)
            settings.device = value;
        else if (strcmp(name, "--token") == 0)
            settings.token = value;
        else if (strcmp(name, "--jwt") == 0)
            settings.jwt = value;
    }
    if (argc > 1 && strcmp(argv[1], "anchor") == 0)
        anchor_run(settings.port);
    else if (argc > 1 && strcmp(argv[1], "load") == 0 && settings.subscribers > 0)
        load_run(&settings);
    else
        fprintf(stderr, "usage: ws_fanout load|anchor --port P ... (see the source)\n");
    return argc > 1 ? 0 : 2;
}
