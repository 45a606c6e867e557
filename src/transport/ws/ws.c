#include "transport/ws/ws.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "transport/ws/server.h"
#include "transport/ws/session.h"
#include "transport/ws/subscription.h"
#include "transport/ws/watch.h"

enum {
    HANDSHAKE_BYTES_MAX = 16384, /* request header: browsers bring cookies, scripts tokens */
    HANDSHAKE_TIMEOUT_S = 10,
    RECEIVE_BYTES = 2048,      /* per session; larger frames come in pieces */
    UNSENT_BYTES_MAX = 131072, /* in the kernel, per socket: beyond it a reader is slow */
    STOP_TIMEOUT_MS = 1000,    /* for close frames; then sockets are just closed */
    PATH_SIZE = 256,
    TOKEN_SIZE = PS_JWT_LEN_MAX + 16, /* with the argument's name */
};

/* --- the library's callbacks --- */

/* What the handshake asked for; `path` and `token` are the caller's. */
static void read_handshake(struct lws *wsi, char path[PATH_SIZE], char token[TOKEN_SIZE],
                           bool *has_token)
{
    if (lws_hdr_copy(wsi, path, PATH_SIZE, WSI_TOKEN_GET_URI) < 0)
        path[0] = '\0';
    static const char name[] = "token=";
    size_t name_len = sizeof name - 1;
    *has_token = false;
    for (int i = 0; lws_hdr_copy_fragment(wsi, token, TOKEN_SIZE, WSI_TOKEN_HTTP_URI_ARGS, i) >= 0;
         i++) {
        if (strncmp(token, name, name_len) == 0) {
            memmove(token, token + name_len, strlen(token + name_len) + 1);
            *has_token = true;
            return;
        }
    }
}

static bool is_known_endpoint(const char *path)
{
    static const char *const endpoints[] = { "/api/ws", "/api/ws/plugins/telemetry",
                                             "/api/ws/plugins/notifications" };
    size_t len = strlen(path);
    if (len > 1 && path[len - 1] == '/')
        len--;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
        if (strlen(endpoints[i]) == len && strncmp(path, endpoints[i], len) == 0)
            return true;
    return false;
}

static int upgraded(struct ps_ws *ws, struct lws *wsi, struct ps_ws_session **slot)
{
    char path[PATH_SIZE], token[TOKEN_SIZE];
    bool has_token;
    read_handshake(wsi, path, token, &has_token);
    *slot = ps_ws_session_create(ws, wsi, is_known_endpoint(path), has_token ? token : NULL);
    return *slot ? 0 : -1;
}

static int received(struct ps_ws_session *session, struct lws *wsi, const char *data, size_t len)
{
    ps_ws_session_receive(session, data, len, lws_remaining_packet_payload(wsi),
                          lws_frame_is_binary(wsi), lws_is_final_fragment(wsi));
    return 0;
}

/* Not an upgrade: the front door sends only WebSocket paths here. */
static int refuse_http(struct lws *wsi)
{
    (void)lws_return_http_status(wsi, HTTP_STATUS_BAD_REQUEST, "WebSocket upgrade expected");
    return -1;
}

static int handle(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t len)
{
    struct ps_ws *ws = lws_context_user(lws_get_context(wsi));
    struct ps_ws_session **slot = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return refuse_http(wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return upgraded(ws, wsi, slot);
    case LWS_CALLBACK_RECEIVE:
        return received(*slot, wsi, in, len);
    case LWS_CALLBACK_RECEIVE_PONG:
        ps_ws_session_heard(*slot);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return ps_ws_session_write(*slot) ? 0 : -1;
    case LWS_CALLBACK_CLOSED:
        ps_ws_session_destroy(*slot);
        *slot = NULL;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        if (lws_get_opaque_user_data(wsi) == ws && ws)
            ws->connections--;
        return 0;
    default:
        return 0;
    }
}

static void library_log(int level, const char *text)
{
    ps_log_event(level & LLL_ERR ? PS_LOG_ERROR : PS_LOG_WARN, "ws", "libwebsockets", "text", text);
}

/* --- adopting sockets --- */

struct adoption {
    struct ps_port_item item;
    int fd;
};

static void refuse_socket(struct ps_ws *ws, int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Connection: close\r\nContent-Length: 0\r\n\r\n";
    ps_ws_count(ws, PS_METRIC_WS_SESSIONS_REFUSED, 1);
    if (send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        shutdown(fd, SHUT_WR);
    close(fd);
}

static void tune_socket(int fd)
{
    int yes = 1, unsent = UNSENT_BYTES_MAX;
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static void adopt(struct ps_port_item *item, void *owner)
{
    struct ps_ws *ws = owner;
    struct adoption *adoption = PS_WS_OBJECT(item, struct adoption, item);
    int fd = adoption->fd;
    free(adoption);
    if (ws->stopping || ws->connections >= (uint64_t)ws->services.config->ws_sessions_max) {
        refuse_socket(ws, fd);
        return;
    }
    tune_socket(fd);
    struct lws *wsi = lws_adopt_socket_vhost(ws->vhost, fd); /* closes it on failure */
    if (!wsi) {
        ps_ws_count(ws, PS_METRIC_WS_SESSIONS_REFUSED, 1);
        return;
    }
    lws_set_opaque_user_data(wsi, ws);
    ws->connections++;
}

void ps_ws_adopt(struct ps_ws *ws, int fd)
{
    struct adoption *adoption = malloc(sizeof *adoption);
    if (!adoption) {
        close(fd);
        return;
    }
    adoption->item.run = adopt;
    adoption->fd = fd;
    ps_port_post(&ws->port, &adoption->item);
}

/* --- the loop --- */

static void before_sleep(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct ps_ws *ws = watcher->data;
    (void)events;
    ps_ws_sessions_flush(ws);
    if (ps_port_sleep(&ws->port))
        ev_idle_stop(loop, &ws->no_sleep);
    else
        ev_idle_start(loop, &ws->no_sleep);
}

static void after_sleep(struct ev_loop *loop, ev_check *watcher, int events)
{
    struct ps_ws *ws = watcher->data;
    (void)loop;
    (void)events;
    ps_port_awake(&ws->port, false);
    ps_port_drain(&ws->port, ws);
}

static void port_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ps_ws *ws = watcher->data;
    (void)loop;
    (void)events;
    ps_port_awake(&ws->port, true);
}

static void stay_awake(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static void pump(struct ps_ws_link *link, void *context)
{
    (void)context;
    ps_ws_subs_pump(PS_WS_OBJECT(link, struct ps_ws_session, link));
}

static void jobs_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ps_ws *ws = timer->data;
    (void)events;
    ev_timer_stop(loop, timer);
    ps_ws_table_each(&ws->sessions, pump, NULL);
}

static void check_token(struct ps_ws_link *link, void *context)
{
    (void)context;
    ps_ws_session_check_token(PS_WS_OBJECT(link, struct ps_ws_session, link));
}

/* A table lookup per session and second: less than asking at every logout who is concerned. */
static void look_for_revoked(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ps_ws *ws = timer->data;
    (void)loop;
    (void)events;
    ps_ws_table_each(&ws->sessions, check_token, NULL);
}

static void watch_loop(struct ps_ws *ws)
{
    ev_prepare_init(&ws->before_sleep, before_sleep);
    ev_check_init(&ws->after_sleep, after_sleep);
    ev_idle_init(&ws->no_sleep, stay_awake);
    ev_io_init(&ws->port_readable, port_readable, ps_port_fd(&ws->port), EV_READ);
    ev_timer_init(&ws->jobs_retry, jobs_retry, 0, (double)PS_WS_JOBS_RETRY_MS / 1000);
    ev_timer_init(&ws->look_for_revoked, look_for_revoked, (double)PS_WS_REVOKED_MS / 1000,
                  (double)PS_WS_REVOKED_MS / 1000);
    ws->before_sleep.data = ws->after_sleep.data = ws->port_readable.data = ws;
    ws->jobs_retry.data = ws->look_for_revoked.data = ws;
    ev_prepare_start(ws->loop, &ws->before_sleep);
    ev_check_start(ws->loop, &ws->after_sleep);
    ev_io_start(ws->loop, &ws->port_readable);
    ev_timer_start(ws->loop, &ws->look_for_revoked);
}

static void unwatch_loop(struct ps_ws *ws)
{
    ev_prepare_stop(ws->loop, &ws->before_sleep);
    ev_check_stop(ws->loop, &ws->after_sleep);
    ev_idle_stop(ws->loop, &ws->no_sleep);
    ev_io_stop(ws->loop, &ws->port_readable);
    ev_timer_stop(ws->loop, &ws->jobs_retry);
    ev_timer_stop(ws->loop, &ws->look_for_revoked);
    ev_timer_stop(ws->loop, &ws->stop_deadline);
}

static void context_close(struct ps_ws *ws)
{
    if (ws->context)
        lws_context_destroy(ws->context); /* CLOSED is called for every session left */
    ws->context = NULL;
}

static void run(void *arg)
{
    struct ps_ws *ws = arg;
    ev_run(ws->loop, 0);
    unwatch_loop(ws);
    context_close(ws);
    /* Readers and shards still hold requests of ours; they answer soon. */
    while (ws->jobs_in_flight || ws->watches_starting)
        ps_port_wait(&ws->port, ws, 100);
}

/* --- stopping --- */

static void stop_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Looks again after every turn of the loop whether the last connection is gone. */
static void stop_when_quiet(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct ps_ws *ws = watcher->data;
    if (ws->connections == 0)
        ev_break(loop, EVBREAK_ALL);
    before_sleep(loop, watcher, events);
}

static void close_session(struct ps_ws_link *link, void *context)
{
    (void)context;
    ps_ws_session_close(PS_WS_OBJECT(link, struct ps_ws_session, link), PS_WS_CLOSE_GOING_AWAY, "");
}

static void stop(struct ps_port_item *item, void *owner)
{
    struct ps_ws *ws = owner;
    free(item);
    ws->stopping = true;
    ps_ws_table_each(&ws->sessions, close_session, NULL);
    ev_timer_init(&ws->stop_deadline, stop_deadline, (double)STOP_TIMEOUT_MS / 1000, 0);
    ev_timer_start(ws->loop, &ws->stop_deadline);
    ev_set_cb(&ws->before_sleep, stop_when_quiet);
}

void ps_ws_stop(struct ps_ws *ws)
{
    struct ps_port_item *item = malloc(sizeof *item);
    PS_ASSERT(item); /* a few bytes at the end of the process */
    item->run = stop;
    ps_port_post(&ws->port, item);
    ps_thread_join(&ws->thread);
}

/* --- starting --- */

static enum ps_status open_context(struct ps_ws *ws)
{
    static const struct lws_protocols protocols[] = {
        { .name = "pacificsoft",
          .callback = handle,
          .per_session_data_size = sizeof(struct ps_ws_session *),
          .rx_buffer_size = RECEIVE_BYTES },
        { .name = NULL },
    };
    /* Pings and time limits are the sessions': the library keeps its own in a sorted list whose
     * upkeep costs time in proportion to the connections. */
    static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0 };
    void *loops[] = { ws->loop };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_VALIDATE_UTF8,
        .foreign_loops = loops,
        .retry_and_idle_policy = &no_pings,
        .max_http_header_data2 = HANDSHAKE_BYTES_MAX,
        .max_http_header_pool2 = (unsigned)ws->services.config->ws_sessions_max,
        .timeout_secs = HANDSHAKE_TIMEOUT_S,
        .user = ws,
        .gid = -1,
        .uid = -1,
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, library_log);
    ws->context = lws_create_context(&info);
    if (!ws->context)
        return PS_EUNSUPPORTED; /* what remains when memory is not short: no libev plugin */
    ws->vhost = lws_create_vhost(ws->context, &info);
    return ws->vhost ? PS_OK : PS_ENOMEM;
}

static enum ps_status open_loop(struct ps_ws *ws)
{
    ws->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!ws->loop)
        return PS_EIO;
    watch_loop(ws);
    return open_context(ws);
}

/* Copes with what is half made. */
static void close_all(struct ps_ws *ws)
{
    context_close(ws);
    if (ws->loop)
        ev_loop_destroy(ws->loop);
    ps_ws_table_deinit(&ws->sessions);
    ps_ws_table_deinit(&ws->watches);
    ps_buf_deinit(&ws->scratch);
    free(ws->picked);
    free(ws->shared);
    free(ws);
}

enum ps_status ps_ws_start(const struct ps_services *services, struct ps_ws **out)
{
    struct ps_ws *ws = calloc(1, sizeof *ws);
    if (!ws)
        return PS_ENOMEM;
    enum ps_status st = ps_port_init(&ws->port);
    if (st != PS_OK) {
        free(ws);
        return st;
    }
    ws->services = *services;
    ps_ws_watches_init(ws);
    st = ps_ws_table_init(&ws->sessions);
    if (st == PS_OK)
        st = ps_ws_table_init(&ws->watches);
    if (st == PS_OK)
        st = open_loop(ws);
    if (st == PS_OK)
        st = ps_thread_start(&ws->thread, PS_THREAD_WS, "ws", run, ws);
    if (st != PS_OK) {
        ps_port_deinit(&ws->port);
        close_all(ws);
        return st;
    }
    *out = ws;
    return PS_OK;
}

void ps_ws_destroy(struct ps_ws *ws)
{
    if (!ws)
        return;
    while (ps_port_drain(&ws->port, ws) > 0)
        continue; /* updates and sockets that came too late */
    ps_port_deinit(&ws->port);
    close_all(ws);
}
