#include "transport/coap/coap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "transport/coap/loop.h"

enum {
    EVENTS_MAX = 8,  /* our port, libcoap's timer and its one socket */
    READS_MAX = 32,  /* datagrams per turn: then answers get their turn */
    KVS_MAX = 65536, /* more in one payload is an attack, not a device */
    SESSION_TIMEOUT_S = 1,
    PEERS_MIN = 256, /* not worth forgetting */
    IDLE_MS = 20,    /* idle peers to forget */
};

/* ---- the loop ----------------------------------------------------------------------------------
 */

/* libcoap reads one datagram per event, then looks at all its sessions and timers. So we show it
 * the event of its socket several times: that round is paid once for all. Reading an empty socket
 * is harmless; how often depends on what was there last time. */
static void run_libcoap(struct ps_coap *coap, const struct epoll_event *events, int count)
{
    struct epoll_event shown[EVENTS_MAX * READS_MAX];
    size_t shown_count = 0;
    for (int i = 0; i < count; i++) {
        unsigned times = events[i].data.ptr ? coap->reads : 1; /* NULL: its timer */
        for (unsigned n = 0; n < times; n++)
            shown[shown_count++] = events[i];
    }
    if (shown_count == 0)
        return;
    coap->requests = 0;
    coap_io_do_epoll(coap->context, shown, shown_count);
    ps_coap_device_api_post(coap);
    if (coap->requests >= coap->reads)
        coap->reads = coap->reads * 2 < READS_MAX ? coap->reads * 2 : READS_MAX;
    else
        coap->reads = coap->requests + 1;
}

/* libcoap looks at every peer in every turn. It keeps those that wait, and forgets an idle one only
 * for a new one or after SESSION_TIMEOUT_S: after a slow commit it would go on with as many as have
 * ever waited together. When there are far too many we let it believe that nearly this time has
 * passed, and then tell the truth, so that its timers are right. */
static void forget_idle_peers(struct ps_coap *coap)
{
    size_t enough = (size_t)coap->services->config->coap_max_idle_sessions + coap->pendings.count;
    coap_tick_t now;
    if (coap->peers < PEERS_MIN || coap->peers < 4 * enough)
        return;
    coap_ticks(&now);
    coap_io_prepare_epoll(coap->context, now + SESSION_TIMEOUT_S * COAP_TICKS_PER_SECOND -
                                             IDLE_MS * COAP_TICKS_PER_SECOND / 1000);
    coap_ticks(&now);
    coap_io_prepare_epoll(coap->context, now);
}

static int count_peer(coap_session_t *session, const coap_event_t event)
{
    struct ps_coap *coap = coap_get_app_data(coap_session_get_context(session));
    if (event == COAP_EVENT_SERVER_SESSION_NEW)
        coap->peers++;
    else if (event == COAP_EVENT_SERVER_SESSION_DEL)
        coap->peers--;
    return 0;
}

static int timeout_ms(const struct ps_coap *coap)
{
    int wait_ms = ps_coap_pendings_timeout_ms(coap);
    if (coap->stop_by_ms == 0)
        return wait_ms;
    int64_t left_ms = coap->stop_by_ms > coap->now_ms ? coap->stop_by_ms - coap->now_ms : 0;
    return wait_ms < 0 || left_ms < wait_ms ? (int)left_ms : wait_ms;
}

/* Our port's descriptor sits in libcoap's epoll set, so one call waits for both. */
static int wait_for_events(struct ps_coap *coap, struct epoll_event *events)
{
    int wait_ms = ps_port_sleep(&coap->port) ? timeout_ms(coap) : 0;
    int count = epoll_wait(coap->epoll_fd, events, EVENTS_MAX, wait_ms);
    bool readable = false;
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &coap->port)
            readable = true;
        else
            events[kept++] = events[i];
    }
    ps_port_awake(&coap->port, readable);
    return kept;
}

static void turn(struct ps_coap *coap)
{
    struct epoll_event events[EVENTS_MAX];
    int count = wait_for_events(coap, events);
    coap->now_ms = ps_clock_mono_ms();
    run_libcoap(coap, events, count);
    ps_port_drain(&coap->port, coap);
    ps_coap_pendings_expire(coap);
    forget_idle_peers(coap);
    ps_coap_uploads_expire(&coap->uploads, coap->now_ms);
}

static void stop_noticed(struct ps_port_item *item, void *owner)
{
    (void)item;
    (void)owner;
}

/* Requests that wait keep the thread until they are answered or the time is over. */
static void run(void *arg)
{
    struct ps_coap *coap = arg;
    coap->now_ms = ps_clock_mono_ms();
    while (!atomic_load(&coap->stopping))
        turn(coap);
    coap->stop_by_ms = coap->now_ms + coap->services->config->server_stop_timeout_ms;
    while (coap->pendings.count > 0 && coap->now_ms < coap->stop_by_ms)
        turn(coap);
    ps_coap_pendings_refuse_all(coap);
}

/* ---- the socket --------------------------------------------------------------------------------
 */

static enum ps_status parse_address(const char *text, uint16_t port, coap_address_t *out)
{
    coap_address_init(out);
    if (inet_pton(AF_INET, text, &out->addr.sin.sin_addr) == 1) {
        out->addr.sin.sin_family = AF_INET;
        out->addr.sin.sin_port = htons(port);
        out->size = sizeof out->addr.sin;
        return PS_OK;
    }
    if (inet_pton(AF_INET6, text, &out->addr.sin6.sin6_addr) == 1) {
        out->addr.sin6.sin6_family = AF_INET6;
        out->addr.sin6.sin6_port = htons(port);
        out->size = sizeof out->addr.sin6;
        return PS_OK;
    }
    return PS_EINVAL;
}

/* libcoap binds with SO_REUSEADDR, which on UDP lets two servers have one port without a word, and
 * does not tell which port it got. So we bind first, strictly, and let go. */
static enum ps_status find_port(coap_address_t *address)
{
    coap_address_t bound = *address;
    int fd = socket(address->addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return PS_EIO;
    bool ok = bind(fd, &address->addr.sa, address->size) == 0 &&
              getsockname(fd, &bound.addr.sa, &bound.size) == 0;
    int error = errno;
    close(fd);
    errno = error;
    if (!ok)
        return PS_EIO;
    address->addr.sin.sin_port = bound.addr.sin.sin_port; /* the same place in sin6 */
    return PS_OK;
}

static enum ps_status listen_udp(struct ps_coap *coap, struct ps_text *why)
{
    const struct ps_config *config = coap->services->config;
    coap_address_t address;
    if (parse_address(config->coap_bind, (uint16_t)config->coap_port, &address) != PS_OK) {
        ps_text_set(why, "coap.bind: \"%s\" is not an IP address", config->coap_bind);
        return PS_EINVAL;
    }
    if (find_port(&address) != PS_OK ||
        !coap_new_endpoint(coap->context, &address, COAP_PROTO_UDP)) {
        ps_text_set(why, "coap: cannot bind %s port %d: %s", config->coap_bind,
                    (int)config->coap_port, strerror(errno));
        return PS_EIO;
    }
    coap->port_number = ntohs(address.addr.sin.sin_port);
    return PS_OK;
}

/* ---- start and stop ----------------------------------------------------------------------------
 */

/* libcoap draws random numbers for each new peer, through one system call each. */
static int random_bytes(void *out, size_t len)
{
    arc4random_buf(out, len);
    return 1;
}

static enum ps_status open_context(struct ps_coap *coap, struct ps_text *why)
{
    coap_set_log_level(LOG_EMERG); /* it would write to stderr about every bad datagram */
    coap_set_prng(random_bytes);
    coap->context = coap_new_context(NULL);
    if (!coap->context)
        return PS_ENOMEM;
    coap_context_set_max_idle_sessions(coap->context,
                                       (unsigned)coap->services->config->coap_max_idle_sessions);
    coap_context_set_session_timeout(coap->context, SESSION_TIMEOUT_S);
    coap_set_app_data(coap->context, coap);
    coap_register_event_handler(coap->context, count_peer);
    enum ps_status st = ps_coap_device_api_register(coap);
    if (st != PS_OK)
        return st;
    st = listen_udp(coap, why);
    if (st != PS_OK)
        return st;
    coap->epoll_fd = coap_context_get_coap_fd(coap->context);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &coap->port };
    if (coap->epoll_fd < 0 ||
        epoll_ctl(coap->epoll_fd, EPOLL_CTL_ADD, ps_port_fd(&coap->port), &event) != 0) {
        ps_text_set(why, "coap: libcoap was built without epoll");
        return PS_EIO;
    }
    return PS_OK;
}

/* All but the memory itself; a half-started server is fine. */
static void close_all(struct ps_coap *coap)
{
    if (coap->context)
        coap_free_context(coap->context);
    coap->context = NULL;
    ps_device_uplink_deinit(&coap->uplink);
    ps_coap_repeats_deinit(&coap->repeats);
    ps_coap_uploads_deinit(&coap->uploads);
    ps_buf_deinit(&coap->query);
    ps_buf_deinit(&coap->bodies);
}

static enum ps_status create(const struct ps_services *services, struct ps_coap **out)
{
    const struct ps_config *config = services->config;
    const struct ps_payload_rules rules = {
        .type_cast = config->transport_json_type_cast_enabled,
        .string_len_max = (uint32_t)config->transport_json_max_string_value_length,
        .kv_count_max = KVS_MAX,
    };
    struct ps_coap *coap = aligned_alloc(_Alignof(struct ps_coap), sizeof *coap);
    if (!coap)
        return PS_ENOMEM;
    memset(coap, 0, sizeof *coap);
    coap->services = services;
    coap->metrics_lane = services->metrics->lane_count - 1; /* shards have the first */
    coap->stop_item.run = stop_noticed;
    coap->reads = 1;
    coap->last_to_post = &coap->first_to_post;
    if (ps_port_init(&coap->port) != PS_OK) {
        free(coap);
        return PS_EIO;
    }
    ps_device_uplink_init(&coap->uplink, services->actors, services->metrics, coap->metrics_lane,
                          PS_METRIC_COAP_MESSAGES, &rules);
    ps_coap_repeats_init(&coap->repeats, PS_COAP_REPEATS_MAX);
    ps_coap_uploads_init(&coap->uploads, (size_t)config->coap_max_payload_size);
    *out = coap;
    return PS_OK;
}

enum ps_status ps_coap_start(const struct ps_services *services, struct ps_coap **out,
                             struct ps_text *why)
{
    struct ps_coap *coap;
    enum ps_status st = create(services, &coap);
    if (st != PS_OK)
        return st;
    st = open_context(coap, why);
    if (st == PS_OK)
        st = ps_thread_start(&coap->thread, PS_THREAD_COAP, "coap", run, coap);
    if (st != PS_OK) {
        ps_coap_stop(coap);
        return st;
    }
    coap->thread_runs = true;
    *out = coap;
    return PS_OK;
}

uint16_t ps_coap_port(const struct ps_coap *coap)
{
    return coap->port_number;
}

void ps_coap_stop(struct ps_coap *coap)
{
    if (!coap)
        return;
    if (coap->thread_runs) {
        atomic_store(&coap->stopping, true);
        ps_port_post(&coap->port, &coap->stop_item);
        ps_thread_join(&coap->thread);
    }
    close_all(coap);
    if (coap->pendings.count > 0) {
        /* Their acks will still come to our port: it must outlive them, and the process ends. */
        ps_log_event(PS_LOG_WARN, "coap", "stopped_with_unsettled_requests", NULL, NULL);
        return;
    }
    ps_port_deinit(&coap->port);
    free(coap);
}
