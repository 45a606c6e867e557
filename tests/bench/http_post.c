/* http_post: a load of small POSTs over keep-alive connections, one request at a time on each.
 *
 *     http_post --port 8080 --path /api/v1/TOKEN/telemetry --connections 100 --seconds 5 --pid PID
 *
 * One thread, epoll, no library, so that the generator costs little and is the same for every
 * server. Prints one line: requests/s, latency p50 and p99, the server's CPU time per request (from
 * /proc/PID/stat, PID and its children's threads as the kernel counts them) and answers that were
 * not 2xx. Several --pid may be given (nginx has workers). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIDS_MAX = 64, ANSWER_SIZE = 4096, LATENCY_BUCKETS = 100000, EVENTS = 256 };

/* The body of the measurements in DESIGN.md: three points, 49 bytes. */
static const char body[] = "{\"temperature\":21.5,\"humidity\":40.1,\"count\":123}";

struct connection {
    int fd;
    size_t sent; /* of the request */
    size_t len;  /* of the answer */
    int64_t started_ns;
    char answer[ANSWER_SIZE];
};

struct load {
    const char *host, *path;
    uint16_t port;
    unsigned connections;
    double seconds;
    pid_t pids[PIDS_MAX];
    size_t pid_count;

    char request[1024];
    size_t request_len;
    int epoll;
    uint64_t done, failed, reconnected;
    uint32_t latency_us[LATENCY_BUCKETS]; /* the last one: that and more */
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "http_post: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- the server's CPU time --- */

static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        die(path);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    unsigned long user = 0, system = 0;
    const char *after_name = strrchr(text, ')'); /* the name may hold spaces */
    if (!after_name ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        die(path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double all_cpu_seconds(const struct load *load)
{
    double sum = 0;
    for (size_t i = 0; i < load->pid_count; i++)
        sum += cpu_seconds(load->pids[i]);
    return sum;
}

/* --- connections --- */

static void send_more(struct load *load, struct connection *c)
{
    while (c->sent < load->request_len) {
        ssize_t n = send(c->fd, load->request + c->sent, load->request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("send");
        c->sent += (size_t)n;
    }
}

static void start_request(struct load *load, struct connection *c)
{
    c->sent = c->len = 0;
    c->started_ns = now_ns();
    send_more(load, c);
}

static void open_connection(struct load *load, struct connection *c)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(load->port) };
    int on = 1;
    if (inet_pton(AF_INET, load->host, &address.sin_addr) != 1)
        die(load->host);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
    start_request(load, c);
}

static void count(struct load *load, const struct connection *c)
{
    int64_t us = (now_ns() - c->started_ns) / 1000;
    load->latency_us[us < LATENCY_BUCKETS ? us : LATENCY_BUCKETS - 1]++;
    load->done++;
    if (c->answer[9] != '2')
        load->failed++;
}

/* The answer's length if all of it is here, else 0. */
static size_t whole_answer(struct connection *c)
{
    c->answer[c->len] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (!end)
        return 0;
    const char *length = strcasestr(c->answer, "content-length:");
    size_t total = (size_t)(end - c->answer) + 4 + (length ? strtoul(length + 15, NULL, 10) : 0);
    return c->len >= total ? total : 0;
}

static void receive(struct load *load, struct connection *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->answer + c->len, ANSWER_SIZE - 1 - c->len, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* nginx ends a connection after keepalive_requests */
            close(c->fd);
            load->reconnected++;
            open_connection(load, c);
            return;
        }
        c->len += (size_t)n;
        if (!whole_answer(c))
            continue;
        count(load, c);
        start_request(load, c);
    }
}

/* --- the run --- */

static void run(struct load *load, double seconds)
{
    struct epoll_event events[EVENTS];
    int64_t end_ns = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < end_ns) {
        int n = epoll_wait(load->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->sent < load->request_len)
                send_more(load, c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(load, c);
        }
    }
}

static unsigned percentile(const struct load *load, double part)
{
    uint64_t below = 0;
    for (unsigned us = 0; us < LATENCY_BUCKETS; us++) {
        below += load->latency_us[us];
        if ((double)below >= part * (double)load->done)
            return us;
    }
    return LATENCY_BUCKETS;
}

static void report(const struct load *load, double seconds, double cpu)
{
    printf("connections=%u requests_per_s=%.0f p50_us=%u p99_us=%u", load->connections,
           (double)load->done / seconds, percentile(load, 0.5), percentile(load, 0.99));
    if (load->pid_count)
        printf(" server_cpu_us=%.2f", load->done ? cpu * 1e6 / (double)load->done : 0.0);
    printf(" failed=%llu reconnected=%llu\n", (unsigned long long)load->failed,
           (unsigned long long)load->reconnected);
}

static void parse(struct load *load, int argc, char **argv)
{
    *load = (struct load){
        .host = "127.0.0.1", .path = "/", .port = 8080, .connections = 100, .seconds = 5
    };
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--host") == 0)
            load->host = value;
        else if (strcmp(name, "--port") == 0)
            load->port = (uint16_t)atoi(value);
        else if (strcmp(name, "--path") == 0)
            load->path = value;
        else if (strcmp(name, "--connections") == 0)
            load->connections = (unsigned)atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            load->seconds = atof(value);
        else if (strcmp(name, "--pid") == 0 && load->pid_count < PIDS_MAX)
            load->pids[load->pid_count++] = atoi(value);
        else
            argc = 0;
    }
    if (argc % 2 == 0 || load->connections == 0) {
        fprintf(stderr, "usage: http_post [--host A] [--port N] [--path P] [--connections N] "
                        "[--seconds S] [--pid PID]...\n");
        exit(2);
    }
    load->request_len = (size_t)snprintf(load->request, sizeof load->request,
                                         "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: "
                                         "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                         load->path, load->host, sizeof body - 1, body);
}

int main(int argc, char **argv)
{
    static struct load load;
    parse(&load, argc, argv);
    load.epoll = epoll_create1(0);
    struct connection *connections = calloc(load.connections, sizeof *connections);
    if (load.epoll < 0 || !connections || load.request_len >= sizeof load.request)
        die("start");
    for (unsigned i = 0; i < load.connections; i++)
        open_connection(&load, &connections[i]);

    run(&load, load.seconds / 5); /* warm up */
    load.done = load.failed = load.reconnected = 0;
    memset(load.latency_us, 0, sizeof load.latency_us);
    double cpu = all_cpu_seconds(&load);
    int64_t started_ns = now_ns();
    run(&load, load.seconds);
    double seconds = (double)(now_ns() - started_ns) / 1e9;
    report(&load, seconds, all_cpu_seconds(&load) - cpu);
    for (unsigned i = 0; i < load.connections; i++)
        close(connections[i].fd);
    free(connections);
    close(load.epoll);
    return load.failed ? 1 : 0;
}
