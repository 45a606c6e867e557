/* mqtt_load: the same stream of MQTT publishes for us and for a rival, and what it cost the server.
 *
 *     mqtt_load --port P [--connections N] [--window W] [--qos 0|1] [--seconds S] [--warmup S]
 *               [--users PREFIX] [--topic T] [--payload JSON] [--pid SERVER] [--idle S]
 *
 * One thread, one epoll. Each connection keeps up to W publishes in flight; what may be sent goes
 * out with one write. Connection i logs in as <PREFIX><i, six digits>, without user name if the
 * prefix is empty. With QoS 0 a window ends with a PINGREQ and is closed by its answer, so that
 * both servers are asked to have read what they are said to have taken.
 *
 * All connections send the same bytes: packet ids run 1..W round and round, and PUBACKs come in
 * the order of the publishes (MQTT 4.6), so a ring of 2 W ready-made packets, made once, holds
 * every run of up to W packets in one piece. Nothing is built or copied per message.
 *
 * Prints one line of JSON. CPU figures are of the process --pid, from /proc, in nanoseconds a
 * message. Latency is from the write to the PUBACK of the write's last publish. With --idle nothing
 * is published: it connects, waits S seconds and prints the server's memory per connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
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
    READ_BYTES = 256 * 1024,
    PART_BYTES = 4,        /* a server that we did not subscribe at sends packets of up to four */
    CONNECT_TOGETHER = 64, /* below every server's listen backlog */
    WINDOW_MAX = 16384,
    STALL_MS = 10000,
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "mqtt_load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* --- what it costs the server --- */

struct cpu {
    double user_ns, system_ns;
};

static struct cpu cpu_read(int pid)
{
    struct cpu cpu = { 0, 0 };
    char path[64], line[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!pid || !file)
        return cpu;
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    /* The name in brackets may hold anything; the last bracket ends it. */
    char *fields = got ? strrchr(line, ')') : NULL;
    unsigned long user, system;
    if (!fields || sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                          &system) != 2)
        return cpu;
    double tick_ns = 1e9 / (double)sysconf(_SC_CLK_TCK);
    return (struct cpu){ (double)user * tick_ns, (double)system * tick_ns };
}

static long resident_kb(int pid)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "r");
    while (file && kb < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld kB", &kb) != 1)
            kb = -1;
    if (file)
        fclose(file);
    return kb;
}

/* --- latencies: counted in classes of about 3 % --- */

enum { CLASSES_PER_OCTAVE = 32, CLASSES = 40 * CLASSES_PER_OCTAVE };

struct latencies {
    uint64_t count;
    uint32_t classes[CLASSES];
};

static void latencies_add(struct latencies *latencies, int64_t ns)
{
    double octaves = ns > 1 ? log2((double)ns) : 0;
    int class = (int)(octaves * CLASSES_PER_OCTAVE);
    latencies->classes[class < CLASSES ? class : CLASSES - 1]++;
    latencies->count++;
}

static double latencies_us(const struct latencies *latencies, double share)
{
    uint64_t wanted = (uint64_t)((double)latencies->count * share), seen = 0;
    for (int i = 0; i < CLASSES; i++) {
        seen += latencies->classes[i];
        if (seen > wanted)
            return exp2((i + 0.5) / CLASSES_PER_OCTAVE) / 1000;
    }
    return 0;
}

/* --- the load --- */

struct settings {
    int port, connections, window, qos, pid;
    double seconds, warmup_s, idle_s;
    const char *users, *topic, *payload;
};

struct connection {
    int fd;
    int next; /* packet of the ring to be sent next, below W */
    int in_flight;
    int sample_in; /* acknowledgements until the sampled publish's; 0: none is sampled */
    bool want_out;
    uint8_t part_len;
    uint8_t part[PART_BYTES];
    size_t sent, to_send; /* of the ring, in bytes: what one write did not take */
    int64_t sampled_ns;
};

struct load {
    const struct settings *settings;
    struct connection *connections;
    uint8_t *ring; /* QoS 1: ids 1..W twice; QoS 0: W packets and a PINGREQ */
    size_t packet_bytes;
    uint8_t *input;
    int epoll;
    int live; /* connections with something in flight */
    bool stopping;
    uint64_t acked, out_of_order;
    struct latencies latencies;
};

static size_t put_length(uint8_t *at, size_t length)
{
    size_t n = 0;
    do {
        at[n] = (uint8_t)(length % 128 | (length > 127 ? 128 : 0));
        length /= 128;
        n++;
    } while (length);
    return n;
}

static size_t put_text(uint8_t *at, const char *text)
{
    size_t len = strlen(text);
    at[0] = (uint8_t)(len >> 8);
    at[1] = (uint8_t)len;
    memcpy(at + 2, text, len);
    return len + 2;
}

static size_t put_publish(uint8_t *at, const struct settings *settings, int id)
{
    size_t payload_len = strlen(settings->payload), topic_len = strlen(settings->topic);
    size_t n = 1;
    at[0] = (uint8_t)(0x30 | settings->qos << 1);
    n += put_length(at + n, 2 + topic_len + (settings->qos ? 2 : 0) + payload_len);
    n += put_text(at + n, settings->topic);
    if (settings->qos) {
        at[n++] = (uint8_t)(id >> 8);
        at[n++] = (uint8_t)id;
    }
    memcpy(at + n, settings->payload, payload_len);
    return n + payload_len;
}

static void ring_make(struct load *load)
{
    const struct settings *settings = load->settings;
    int packets = settings->qos ? 2 * settings->window : settings->window;
    size_t packet_max = strlen(settings->payload) + strlen(settings->topic) + 16, at = 0;
    load->ring = malloc(packet_max * (size_t)packets + 2);
    if (!load->ring)
        die("memory");
    for (int i = 0; i < packets; i++) {
        load->packet_bytes = put_publish(load->ring + at, settings, i % settings->window + 1);
        at += load->packet_bytes;
    }
    memcpy(load->ring + at, "\xc0\x00", 2); /* PINGREQ */
}

static size_t put_connect(uint8_t *packet, const struct settings *settings, int number)
{
    uint8_t body[256];
    char name[128];
    bool named = settings->users[0] != '\0';
    size_t n = put_text(body, "MQTT");
    body[n++] = 4;                              /* 3.1.1 */
    body[n++] = (uint8_t)(0x02 | (named << 7)); /* clean session */
    body[n++] = 600 >> 8;                       /* keep alive */
    body[n++] = 600 & 255;
    snprintf(name, sizeof name, "load%06d", number);
    n += put_text(body + n, name);
    if (named) {
        snprintf(name, sizeof name, "%.100s%06d", settings->users, number);
        n += put_text(body + n, name);
    }
    packet[0] = 0x10;
    size_t head = 1 + put_length(packet + 1, n);
    memcpy(packet + head, body, n);
    return head + n;
}

static void connection_start(const struct load *load, int number)
{
    uint8_t packet[300];
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)load->settings->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    size_t len = put_connect(packet, load->settings, number);
    if (write(fd, packet, len) != (ssize_t)len)
        die("cannot send CONNECT");
    load->connections[number].fd = fd;
}

static void connection_await(const struct load *load, int number)
{
    struct connection *connection = &load->connections[number];
    uint8_t answer[4];
    errno = 0;
    if (recv(connection->fd, answer, 4, MSG_WAITALL) != 4 || answer[0] != 0x20)
        die("no CONNACK");
    if (answer[3] != 0)
        die("CONNECT refused");
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

static void connect_from_to(const struct load *load, int from, int to)
{
    for (int first = from; first < to; first += CONNECT_TOGETHER) {
        int end = first + CONNECT_TOGETHER < to ? first + CONNECT_TOGETHER : to;
        for (int i = first; i < end; i++)
            connection_start(load, i);
        for (int i = first; i < end; i++)
            connection_await(load, i);
    }
}

static void connection_flush(struct load *load, struct connection *connection)
{
    while (connection->sent < connection->to_send) {
        ssize_t took = write(connection->fd, load->ring + connection->sent,
                             connection->to_send - connection->sent);
        if (took < 0 && errno == EAGAIN)
            break;
        if (took < 0)
            die("connection lost while writing");
        connection->sent += (size_t)took;
    }
    bool want_out = connection->sent < connection->to_send;
    if (want_out == connection->want_out)
        return;
    struct epoll_event event = { .events = EPOLLIN | (want_out ? EPOLLOUT : 0),
                                 .data.ptr = connection };
    epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event);
    connection->want_out = want_out;
}

/* Fill the window, unless the last write is still on its way. */
static void connection_fill(struct load *load, struct connection *connection, int64_t now)
{
    const struct settings *settings = load->settings;
    int room = settings->window - connection->in_flight;
    if (room <= 0 || connection->sent < connection->to_send)
        return;
    if (!connection->in_flight)
        load->live++;
    connection->sent = (size_t)connection->next * load->packet_bytes;
    connection->to_send = connection->sent + (size_t)room * load->packet_bytes;
    if (settings->qos)
        connection->next = (connection->next + room) % settings->window;
    else
        connection->to_send += 2; /* the ping; a QoS 0 window always starts at 0 */
    connection->in_flight += room;
    if (!connection->sample_in) {
        connection->sample_in = connection->in_flight;
        connection->sampled_ns = now;
    }
    connection_flush(load, connection);
}

static void connection_acked(struct load *load, struct connection *connection, int count,
                             int64_t now)
{
    load->acked += (uint64_t)count;
    connection->in_flight -= count;
    if (connection->sample_in > count) {
        connection->sample_in -= count;
    } else if (connection->sample_in) {
        connection->sample_in = 0;
        latencies_add(&load->latencies, now - connection->sampled_ns);
    }
    if (connection->in_flight < 0)
        die("acknowledged more than was sent");
    if (!connection->in_flight)
        load->live--;
}

/* The id that must be acknowledged next: the oldest in flight. */
static int oldest_id(const struct settings *settings, const struct connection *connection,
                     int acked)
{
    int oldest = connection->next - connection->in_flight + acked;
    return (oldest % settings->window + settings->window) % settings->window + 1;
}

static size_t take_packets(struct load *load, struct connection *connection, const uint8_t *bytes,
                           size_t have, int64_t now)
{
    const struct settings *settings = load->settings;
    size_t at = 0;
    int acked = 0;
    while (have - at >= 2) {
        const uint8_t *packet = bytes + at;
        if (packet[0] == 0x40 && packet[1] == 2) {
            if (have - at < 4)
                break;
            load->out_of_order +=
                (packet[2] << 8 | packet[3]) != oldest_id(settings, connection, acked);
            acked++;
            at += 4;
        } else if (packet[0] == 0xd0 && packet[1] == 0) { /* PINGRESP */
            acked += connection->in_flight;
            at += 2;
        } else {
            errno = 0;
            die("unexpected packet from the server");
        }
    }
    if (acked)
        connection_acked(load, connection, acked, now);
    return at;
}

static void connection_read(struct load *load, struct connection *connection)
{
    memcpy(load->input, connection->part, connection->part_len);
    ssize_t got = read(connection->fd, load->input + connection->part_len, READ_BYTES);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("connection closed by the server");
    int64_t now = now_ns();
    size_t have = (size_t)got + connection->part_len;
    size_t used = take_packets(load, connection, load->input, have, now);
    connection->part_len = (uint8_t)(have - used);
    memcpy(connection->part, load->input + used, connection->part_len);
    /* Half a window at a time: refilling for every single answer would unlearn the pipelining. */
    if (!load->stopping && connection->in_flight <= load->settings->window / 2)
        connection_fill(load, connection, now);
}

/* Handle events until the time has come, or everything in flight is acknowledged. */
static void run_until(struct load *load, int64_t end_ns)
{
    struct epoll_event events[EVENTS];
    while (load->live && now_ns() < end_ns) {
        int ready = epoll_wait(load->epoll, events, EVENTS, STALL_MS);
        if (ready == 0) {
            errno = 0;
            die("no answer from the server for 10 s");
        }
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                connection_flush(load, connection);
            if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                connection_read(load, connection);
        }
    }
}

static void disconnect_all(const struct load *load)
{
    for (int i = 0; i < load->settings->connections; i++) {
        ssize_t written = write(load->connections[i].fd, "\xe0\x00", 2);
        (void)written; /* it is over either way */
        close(load->connections[i].fd);
    }
}

static void publish_run(struct load *load)
{
    const struct settings *settings = load->settings;
    connect_from_to(load, 0, settings->connections);
    int64_t start = now_ns();
    for (int i = 0; i < settings->connections; i++)
        connection_fill(load, &load->connections[i], now_ns());
    run_until(load, start + (int64_t)(settings->warmup_s * 1e9));

    load->latencies = (struct latencies){ 0 };
    uint64_t acked = load->acked;
    struct cpu cpu = cpu_read(settings->pid);
    int64_t own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    start = now_ns();
    run_until(load, start + (int64_t)(settings->seconds * 1e9));
    double took_s = (double)(now_ns() - start) / 1e9;
    double messages = (double)(load->acked - acked);
    struct cpu after = cpu_read(settings->pid);
    own_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_cpu;

    load->stopping = true;
    run_until(load, now_ns() + (int64_t)STALL_MS * 1000000);
    printf(
        "{\"connections\":%d,\"window\":%d,\"qos\":%d,\"seconds\":%.3f,\"messages\":%.0f,"
        "\"rate\":%.0f,\"user_ns\":%.0f,\"system_ns\":%.0f,\"generator_ns\":%.0f,"
        "\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"acked\":%llu,\"out_of_order\":%llu}\n",
        settings->connections, settings->window, settings->qos, took_s, messages, messages / took_s,
        (after.user_ns - cpu.user_ns) / messages, (after.system_ns - cpu.system_ns) / messages,
        (double)own_cpu / messages, latencies_us(&load->latencies, 0.5),
        latencies_us(&load->latencies, 0.99), latencies_us(&load->latencies, 1 - 1e-9),
        (unsigned long long)load->acked, (unsigned long long)load->out_of_order);
    disconnect_all(load);
}

static void wait_s(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - floor(seconds)) * 1e9) };
    nanosleep(&t, NULL);
}

/* The first tenth pays for what a server touches once; the rest shows what one more costs. */
static void idle_run(struct load *load)
{
    const struct settings *settings = load->settings;
    int tenth = settings->connections / 10;
    long before = resident_kb(settings->pid);
    connect_from_to(load, 0, tenth);
    wait_s(settings->idle_s);
    long first = resident_kb(settings->pid);
    connect_from_to(load, tenth, settings->connections);
    wait_s(settings->idle_s);
    long all = resident_kb(settings->pid);
    printf("{\"connections\":%d,\"rss_before_kb\":%ld,\"rss_tenth_kb\":%ld,\"rss_kb\":%ld,"
           "\"bytes_per_connection\":%.0f,\"bytes_per_further_connection\":%.0f}\n",
           settings->connections, before, first, all,
           (double)(all - before) * 1024 / settings->connections,
           (double)(all - first) * 1024 / (settings->connections - tenth));
    disconnect_all(load);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool option_take(struct settings *settings, const char *name, const char *value)
{
    const struct option {
        const char *name;
        int *whole;
        double *number;
        const char **text;
    } options[] = {
        { "--port", &settings->port, NULL, NULL },
        { "--connections", &settings->connections, NULL, NULL },
        { "--window", &settings->window, NULL, NULL },
        { "--qos", &settings->qos, NULL, NULL },
        { "--pid", &settings->pid, NULL, NULL },
        { "--seconds", NULL, &settings->seconds, NULL },
        { "--warmup", NULL, &settings->warmup_s, NULL },
        { "--idle", NULL, &settings->idle_s, NULL },
        { "--users", NULL, NULL, &settings->users },
        { "--topic", NULL, NULL, &settings->topic },
        { "--payload", NULL, NULL, &settings->payload },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(name, options[i].name) != 0)
            continue;
        if (options[i].whole)
            *options[i].whole = atoi(value);
        else if (options[i].number)
            *options[i].number = atof(value);
        else
            *options[i].text = value;
        return true;
    }
    return false;
}

static bool settings_read(struct settings *settings, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !option_take(settings, argv[i], argv[i + 1]))
            return false;
    return settings->port > 0 && settings->connections > 0 && settings->window > 0 &&
           settings->window <= WINDOW_MAX && (settings->qos == 0 || settings->qos == 1);
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .connections = 100,
        .window = 16,
        .qos = 1,
        .seconds = 3,
        .warmup_s = 0.5,
        .users = "",
        .topic = "v1/devices/me/telemetry",
        .payload = "{\"temperature\":21.53,\"humidity\":40,\"active\":true}",
    };
    if (!settings_read(&settings, argc, argv)) {
        fprintf(stderr, "usage: mqtt_load --port P [--connections N] [--window W] ...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    struct load load = {
        .settings = &settings,
        .connections = calloc((size_t)settings.connections, sizeof(struct connection)),
        .input = malloc(READ_BYTES + PART_BYTES),
        .epoll = epoll_create1(EPOLL_CLOEXEC),
    };
    if (!load.connections || !load.input || load.epoll < 0)
        die("memory");
    ring_make(&load);
    if (settings.idle_s > 0)
        idle_run(&load);
    else
        publish_run(&load);
    free(load.ring);
    free(load.input);
    free(load.connections);
    close(load.epoll);
    return 0;
}
