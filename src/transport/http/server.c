/* server: starting and stopping the daemons, and giving them sockets. See http.h.
 *
 * A socket goes to the daemon that has the fewest. Each daemon is allowed as many connections as
 * all together may have: the front door keeps the sum. */
#include "transport/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "transport/http/exchange.h"
#include "transport/http/request.h"
#include "transport/services.h"

enum {
    CONNECTION_MEMORY = 8 * 1024, /* header and a window on the body */
    KVS_MAX = 200000,             /* key-values in one upload */
    TIMER_PERIOD_MS = 500,
    STOP_POLL_US = 1000,
};

/* --- the library's side --- */

static void log_library(void *arg, const char *format, va_list args) PS_PRINTF(2, 0);
static void log_library(void *arg, const char *format, va_list args)
{
    char text[PS_TEXT_SIZE];
    (void)arg;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    ps_log_event(PS_LOG_DEBUG, "http", "library", "text", text);
}

/* We decode ourselves: its way would lose the difference between '/' and "%2F". */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct ps_http_lane *lane = arg;
    (void)connection;
    (void)context;
    bool opened = what == MHD_CONNECTION_NOTIFY_STARTED;
    if (opened)
        atomic_fetch_add(&lane->connections, 1);
    else
        atomic_fetch_sub(&lane->connections, 1);
    ps_metrics_add(lane->server->settings.services->metrics, lane->metrics_lane,
                   PS_METRIC_HTTP_CONNECTIONS, opened ? 1 : -1);
}

static struct MHD_Daemon *daemon_start(struct ps_http_lane *lane)
{
    const struct ps_config *config = lane->server->settings.services->config;
    unsigned timeout_s = (unsigned)((config->http_request_timeout_ms + 999) / 1000);
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ITC | MHD_USE_ERROR_LOG,
        0, NULL, NULL, ps_http_on_request, lane,
        /* first, so that it also hears about the others */
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        ps_http_on_request_line, lane, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, ps_http_on_completed, lane, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, lane, MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->http_connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, timeout_s, MHD_OPTION_END);
}

/* --- the deadlines --- */

static void timer_loop(void *arg)
{
    struct ps_http *server = arg;
    pthread_mutex_lock(&server->stop_lock);
    while (!server->timer_stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TIMER_PERIOD_MS * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000l;
        until.tv_nsec %= 1000000000l;
        pthread_cond_timedwait(&server->stop_signal, &server->stop_lock, &until);
        pthread_mutex_unlock(&server->stop_lock);
        int64_t now_ms = ps_clock_mono_ms();
        for (unsigned i = 0; i < server->lane_count; i++) {
            ps_http_lane_expire(&server->lanes[i], now_ms);
            ps_http_lane_notice_gone(&server->lanes[i]);
        }
        pthread_mutex_lock(&server->stop_lock);
    }
    pthread_mutex_unlock(&server->stop_lock);
}

static void timer_stop(struct ps_http *server)
{
    if (!server->timer_started)
        return;
    pthread_mutex_lock(&server->stop_lock);
    server->timer_stop = true;
    pthread_cond_signal(&server->stop_signal);
    pthread_mutex_unlock(&server->stop_lock);
    ps_thread_join(&server->timer);
}

/* --- life --- */

void ps_http_release(struct ps_http *server)
{
    if (atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < server->lane_count; i++)
        pthread_mutex_destroy(&server->lanes[i].lock);
    pthread_mutex_destroy(&server->stop_lock);
    pthread_cond_destroy(&server->stop_signal);
    free(server->lanes);
    free(server);
}

static void stop_daemons(struct ps_http *server)
{
    for (unsigned i = 0; i < server->lane_count; i++) {
        struct ps_http_lane *lane = &server->lanes[i];
        if (!lane->daemon)
            continue;
        ps_http_lane_close(lane); /* the library cannot stop with suspended ones */
        MHD_stop_daemon(lane->daemon);
        ps_device_uplink_deinit(&lane->uplink);
    }
    if (server->empty_ok)
        MHD_destroy_response(server->empty_ok);
}

static enum ps_status start_lanes(struct ps_http *server)
{
    const struct ps_services *services = server->settings.services;
    const struct ps_payload_rules rules = {
        .type_cast = services->config->transport_json_type_cast_enabled,
        .string_len_max = (uint32_t)services->config->transport_json_max_string_value_length,
        .kv_count_max = KVS_MAX,
    };
    for (unsigned i = 0; i < server->lane_count; i++) {
        struct ps_http_lane *lane = &server->lanes[i];
        ps_device_uplink_init(&lane->uplink, services->actors, services->metrics,
                              lane->metrics_lane, PS_METRIC_HTTP_MESSAGES, &rules);
        lane->daemon = daemon_start(lane);
        if (!lane->daemon) {
            ps_device_uplink_deinit(&lane->uplink);
            return PS_EIO;
        }
    }
    enum ps_status st =
        ps_thread_start(&server->timer, PS_THREAD_HTTP, "http-timer", timer_loop, server);
    server->timer_started = st == PS_OK;
    return st;
}

static void init_locks(struct ps_http *server)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->stop_signal, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&server->stop_lock, NULL);
    for (unsigned i = 0; i < server->lane_count; i++) {
        struct ps_http_lane *lane = &server->lanes[i];
        lane->server = server;
        lane->metrics_lane = server->settings.metrics_lane + i;
        pthread_mutex_init(&lane->lock, NULL);
    }
}

enum ps_status ps_http_start(const struct ps_http_settings *settings, struct ps_http **out,
                             struct ps_text *why)
{
    struct ps_http *server = calloc(1, sizeof *server);
    if (!server)
        return PS_ENOMEM;
    server->settings = *settings;
    atomic_init(&server->references, 1);
    server->lane_count = (unsigned)settings->services->config->http_threads;
    server->lanes = calloc(server->lane_count, sizeof *server->lanes);
    if (!server->lanes) {
        free(server);
        return PS_ENOMEM;
    }
    init_locks(server);
    server->empty_ok = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    enum ps_status st = server->empty_ok ? start_lanes(server) : PS_ENOMEM;
    if (st != PS_OK) {
        ps_text_set(why, "the HTTP server cannot be started");
        ps_http_stop(server, 0);
        return st;
    }
    *out = server;
    return PS_OK;
}

void ps_http_set_ready(struct ps_http *http, bool ready)
{
    atomic_store(&http->ready, ready);
}

void ps_http_stop(struct ps_http *http, int64_t timeout_ms)
{
    if (!http)
        return;
    int64_t deadline_ms = ps_clock_mono_ms() + timeout_ms;
    atomic_store(&http->ready, false);
    atomic_store(&http->stopping, true);
    while (atomic_load(&http->running) > 0 && ps_clock_mono_ms() < deadline_ms)
        usleep(STOP_POLL_US);
    timer_stop(http);
    stop_daemons(http);
    ps_http_release(http);
}

/* --- sockets --- */

void ps_http_adopt(void *http, int fd, const struct sockaddr *address, socklen_t address_len)
{
    struct ps_http *server = http;
    struct ps_http_lane *best = &server->lanes[0];
    for (unsigned i = 1; i < server->lane_count; i++)
        if (atomic_load(&server->lanes[i].connections) < atomic_load(&best->connections))
            best = &server->lanes[i];
    /* Refused or not, the library closes it. */
    if (MHD_add_connection(best->daemon, fd, address, address_len) != MHD_YES)
        ps_metrics_add(server->settings.services->metrics, server->settings.metrics_lane,
                       PS_METRIC_HTTP_CONNECTIONS_REFUSED, 1);
}

uint64_t ps_http_open_connections(const void *http)
{
    const struct ps_http *server = http;
    uint64_t count = 0;
    for (unsigned i = 0; i < server->lane_count; i++)
        count += atomic_load(&server->lanes[i].connections);
    return count;
}
