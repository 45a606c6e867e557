/* front: the epoll loop of the front door. See the header.
 *
 * Sockets that wait are watched edge triggered: a client that sent half a header wakes us when it
 * sends more, not before. They stand in one list by age, so the next deadline is its head's.
 *
 * When all connections are in use, or the process is out of descriptors, the listener is left
 * alone for a moment: clients then wait in the kernel's queue. */
#include "transport/front/front.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/thread.h"
#include "transport/listen.h"
#include "transport/front/verdict.h"

enum {
    WAITING_MAX = 2048, /* sockets whose first header has not come */
    ACCEPTS_PER_ROUND = 64,
    EVENTS_PER_ROUND = 128,
    FULL_PAUSE_MS = 20,
};

/* A socket whose first header has not come yet. */
struct waiting {
    struct waiting *next, *prev; /* by age */
    int fd;
    socklen_t address_len;
    int64_t deadline_ms;
    struct sockaddr_storage address;
};

struct ps_front {
    /* set before start, constant after */
    struct ps_front_settings settings;
    int listener, epoll, wake;
    uint16_t port;
    struct ps_thread thread;

    _Atomic bool stopping; /* any thread */

    /* front thread only */
    struct waiting *oldest, *newest;
    size_t waiting_count;
    int64_t paused_until_ms; /* 0: the listener is watched */
};

/* --- sockets that wait --- */

static void waiting_unlink(struct ps_front *front, struct waiting *w)
{
    *(w->prev ? &w->prev->next : &front->oldest) = w->next;
    *(w->next ? &w->next->prev : &front->newest) = w->prev;
    front->waiting_count--;
}

static void waiting_append(struct ps_front *front, struct waiting *w)
{
    w->prev = front->newest;
    w->next = NULL;
    *(front->newest ? &front->newest->next : &front->oldest) = w;
    front->newest = w;
    front->waiting_count++;
}

static void waiting_close(struct ps_front *front, struct waiting *w)
{
    waiting_unlink(front, w);
    close(w->fd); /* leaves the epoll set by itself */
    free(w);
    ps_metrics_add(front->settings.metrics, front->settings.metrics_lane,
                   PS_METRIC_HTTP_CONNECTIONS_REFUSED, 1);
}

/* --- judging --- */

static enum ps_front_verdict peek(int fd)
{
    char bytes[PS_FRONT_PEEK_SIZE];
    ssize_t n;
    do
        n = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? PS_FRONT_MORE : PS_FRONT_CLOSE;
    return n == 0 ? PS_FRONT_CLOSE : ps_front_judge(bytes, (size_t)n);
}

static void hand_over(struct ps_front *front, int fd, const struct sockaddr_storage *address,
                      socklen_t address_len, enum ps_front_verdict verdict)
{
    const struct ps_front_settings *s = &front->settings;
    if (verdict == PS_FRONT_WEBSOCKET && s->ws_adopt)
        s->ws_adopt(s->ws, fd);
    else
        s->http_adopt(s->http, fd, (const struct sockaddr *)address, address_len);
}

static void reconsider(struct ps_front *front, struct waiting *w, bool hung_up)
{
    enum ps_front_verdict verdict = peek(w->fd);
    if (verdict == PS_FRONT_MORE && !hung_up)
        return;
    if (verdict == PS_FRONT_CLOSE || verdict == PS_FRONT_MORE) {
        waiting_close(front, w);
        return;
    }
    waiting_unlink(front, w);
    (void)epoll_ctl(front->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    hand_over(front, w->fd, &w->address, w->address_len, verdict);
    free(w);
}

static void expire(struct ps_front *front, int64_t now_ms)
{
    while (front->oldest && front->oldest->deadline_ms <= now_ms)
        waiting_close(front, front->oldest);
}

/* --- accepting --- */

static void keep_waiting(struct ps_front *front, int fd, const struct sockaddr_storage *address,
                         socklen_t address_len)
{
    if (front->waiting_count >= WAITING_MAX)
        waiting_close(front, front->oldest);
    struct waiting *w = malloc(sizeof *w);
    if (!w) {
        close(fd);
        return;
    }
    w->fd = fd;
    w->address = *address;
    w->address_len = address_len;
    w->deadline_ms = ps_clock_mono_ms() + front->settings.header_timeout_ms;
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = w };
    if (epoll_ctl(front->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(w);
        return;
    }
    waiting_append(front, w);
}

static void greet(struct ps_front *front, int fd, const struct sockaddr_storage *address,
                  socklen_t address_len)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    enum ps_front_verdict verdict = peek(fd); /* the header often is here already */
    if (verdict == PS_FRONT_MORE)
        keep_waiting(front, fd, address, address_len);
    else if (verdict == PS_FRONT_CLOSE)
        close(fd);
    else
        hand_over(front, fd, address, address_len, verdict);
}

static void watch_listener(struct ps_front *front, bool watch)
{
    struct epoll_event event = { .events = watch ? (uint32_t)EPOLLIN : 0u,
                                 .data.ptr = &front->listener };
    (void)epoll_ctl(front->epoll, EPOLL_CTL_MOD, front->listener, &event);
    front->paused_until_ms = watch ? 0 : ps_clock_mono_ms() + FULL_PAUSE_MS;
}

static bool is_full(const struct ps_front *front)
{
    const struct ps_front_settings *s = &front->settings;
    return s->http_open(s->http) + front->waiting_count >= s->connections_max;
}

static void accept_some(struct ps_front *front)
{
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        if (is_full(front)) {
            watch_listener(front, false);
            return;
        }
        int fd = accept4(front->listener, (struct sockaddr *)&address, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            greet(front, fd, &address, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            ps_log_event(PS_LOG_WARN, "http", "accept_paused", "why", strerror(errno));
            watch_listener(front, false);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* else: this one was gone before we came; take the next */
    }
}

/* --- the loop --- */

static int next_timeout_ms(const struct ps_front *front)
{
    int64_t deadline = front->paused_until_ms;
    if (front->oldest && (deadline == 0 || front->oldest->deadline_ms < deadline))
        deadline = front->oldest->deadline_ms;
    if (deadline == 0)
        return -1;
    int64_t left = deadline - ps_clock_mono_ms();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void front_loop(void *arg)
{
    struct ps_front *front = arg;
    struct epoll_event events[EVENTS_PER_ROUND];

    while (!atomic_load(&front->stopping)) {
        int n = epoll_wait(front->epoll, events, EVENTS_PER_ROUND, next_timeout_ms(front));
        bool ready = false;
        /* Waiting sockets first: accepting may close the oldest of them. */
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &front->listener)
                ready = true;
            else if (events[i].data.ptr != &front->wake)
                reconsider(front, events[i].data.ptr,
                           events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
        int64_t now_ms = ps_clock_mono_ms();
        expire(front, now_ms);
        if (front->paused_until_ms != 0 && now_ms >= front->paused_until_ms) {
            watch_listener(front, true);
            ready = true;
        }
        if (ready)
            accept_some(front);
    }
}

/* --- start and stop --- */

static enum ps_status open_loop(struct ps_front *front)
{
    front->epoll = epoll_create1(EPOLL_CLOEXEC);
    front->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (front->epoll < 0 || front->wake < 0)
        return PS_EIO;
    struct epoll_event on_listener = { .events = EPOLLIN, .data.ptr = &front->listener };
    struct epoll_event on_wake = { .events = EPOLLIN, .data.ptr = &front->wake };
    if (epoll_ctl(front->epoll, EPOLL_CTL_ADD, front->listener, &on_listener) != 0 ||
        epoll_ctl(front->epoll, EPOLL_CTL_ADD, front->wake, &on_wake) != 0)
        return PS_EIO;
    return PS_OK;
}

static void front_destroy(struct ps_front *front)
{
    while (front->oldest)
        waiting_close(front, front->oldest);
    int fds[] = { front->listener, front->epoll, front->wake };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(front);
}

enum ps_status ps_front_start(const struct ps_front_settings *settings, struct ps_front **out,
                              struct ps_text *why)
{
    struct ps_front *front = calloc(1, sizeof *front);
    if (!front)
        return PS_ENOMEM;
    front->settings = *settings;
    front->listener = front->epoll = front->wake = -1;

    front->port = settings->port;
    enum ps_status st = ps_listen_tcp(settings->bind, &front->port, false, &front->listener, why);
    if (st == PS_OK)
        st = open_loop(front);
    if (st == PS_OK)
        st = ps_thread_start(&front->thread, PS_THREAD_FRONT, "front", front_loop, front);
    if (st != PS_OK) {
        front_destroy(front);
        return st;
    }
    *out = front;
    return PS_OK;
}

uint16_t ps_front_port(const struct ps_front *front)
{
    return front->port;
}

void ps_front_stop(struct ps_front *front)
{
    if (!front)
        return;
    atomic_store(&front->stopping, true);
    uint64_t one = 1;
    ssize_t written = write(front->wake, &one, sizeof one);
    PS_ASSERT(written == (ssize_t)sizeof one);
    ps_thread_join(&front->thread);
    front_destroy(front);
}
