#include "transport/mqtt/mqtt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "transport/listen.h"

enum { ACCEPTS_PER_EVENT = 64, DESCRIPTORS_KEPT_BACK = 128 };

struct ps_mqtt {
    uint16_t port;
    int64_t connections_max;
    unsigned lane_count;
    struct ps_mqtt_lane *lanes;
};

struct ps_mqtt_lane *ps_mqtt_lane(struct ps_mqtt *mqtt, unsigned index)
{
    return &mqtt->lanes[index];
}

uint16_t ps_mqtt_port(const struct ps_mqtt *mqtt)
{
    return mqtt->port;
}

/* ---- accepting ---------------------------------------------------------------------------------
 */

static bool is_full(const struct ps_mqtt_lane *lane)
{
    return ps_metrics_read(lane->services->metrics, PS_METRIC_MQTT_CONNECTIONS) >=
           lane->mqtt->connections_max;
}

static void accept_one(struct ps_mqtt_lane *lane, int fd)
{
    if (is_full(lane)) {
        ps_metrics_add(lane->services->metrics, ps_shard_index(lane->shard),
                       PS_METRIC_MQTT_CONNECTIONS_REFUSED, 1);
        close(fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ps_mqtt_connection_accept(lane, fd);
}

static void accept_ready(struct ps_shard_source *source, uint32_t events)
{
    (void)events;
    struct ps_mqtt_lane *lane =
        (struct ps_mqtt_lane *)((char *)source - offsetof(struct ps_mqtt_lane, listener));
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(lane, fd);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            ps_log_event(PS_LOG_WARN, "mqtt", "accept_failed", "error", strerror(errno));
        return;
    }
}

/* ---- start and stop: on the shards' own threads -------------------------------------------------
 */

static void begin_on_shard(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct ps_mqtt_lane *lane =
        (struct ps_mqtt_lane *)((char *)item - offsetof(struct ps_mqtt_lane, begin));
    if (ps_shard_watch(lane->shard, &lane->listener, EPOLLIN) != PS_OK)
        ps_log_event(PS_LOG_ERROR, "mqtt", "not_listening", "error", strerror(errno));
}

static void end_on_shard(struct ps_port_item *item, void *owner)
{
    (void)owner;
    struct ps_mqtt_lane *lane =
        (struct ps_mqtt_lane *)((char *)item - offsetof(struct ps_mqtt_lane, end));
    lane->stopping = true;
    ps_shard_unwatch(lane->shard, &lane->listener);
    close(lane->listener.fd);
    lane->listener.fd = -1;
    for (struct ps_mqtt_connection *conn = lane->connections, *next; conn; conn = next) {
        next = conn->next; /* draining may end it */
        ps_mqtt_connection_drain(conn);
    }
}

static int64_t descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    return limit.rlim_cur > DESCRIPTORS_KEPT_BACK * 2
               ? (int64_t)limit.rlim_cur - DESCRIPTORS_KEPT_BACK
               : (int64_t)limit.rlim_cur / 2;
}

static void init_lane(struct ps_mqtt_lane *lane, struct ps_mqtt *mqtt,
                      const struct ps_services *services, unsigned index)
{
    const struct ps_config *config = services->config;
    struct ps_payload_rules rules = {
        .type_cast = config->transport_json_type_cast_enabled,
        .string_len_max = (uint32_t)config->transport_json_max_string_value_length,
        .kv_count_max = UINT32_MAX,
    };
    lane->mqtt = mqtt;
    lane->services = services;
    lane->shard = ps_actors_shard(services->actors, index);
    lane->listener = (struct ps_shard_source){ .fd = -1, .ready = accept_ready };
    ps_device_uplink_init(&lane->uplink, services->actors, services->metrics, index,
                          PS_METRIC_MQTT_MESSAGES, &rules);
}

enum ps_status ps_mqtt_start(const struct ps_services *services, struct ps_mqtt **out,
                             struct ps_text *why)
{
    const struct ps_config *config = services->config;
    struct ps_mqtt *mqtt = calloc(1, sizeof *mqtt);
    if (!mqtt)
        return PS_ENOMEM;
    unsigned count = ps_actors_shard_count(services->actors);
    mqtt->lanes = calloc(count, sizeof *mqtt->lanes);
    mqtt->port = (uint16_t)config->mqtt_port;
    mqtt->connections_max =
        config->mqtt_connections_max ? config->mqtt_connections_max : descriptor_limit();
    enum ps_status st = mqtt->lanes ? PS_OK : PS_ENOMEM;
    for (unsigned i = 0; i < count && st == PS_OK; i++) {
        init_lane(&mqtt->lanes[i], mqtt, services, i);
        mqtt->lane_count++;
        /* the first socket may choose the port; the others share it */
        st = ps_listen_tcp(config->mqtt_bind, &mqtt->port, true, &mqtt->lanes[i].listener.fd, why);
    }
    if (st != PS_OK) {
        ps_mqtt_destroy(mqtt);
        return st;
    }
    for (unsigned i = 0; i < count; i++) {
        mqtt->lanes[i].begin.run = begin_on_shard;
        ps_port_post(ps_shard_port(mqtt->lanes[i].shard), &mqtt->lanes[i].begin);
    }
    *out = mqtt;
    return PS_OK;
}

void ps_mqtt_stop(struct ps_mqtt *mqtt)
{
    for (unsigned i = 0; i < mqtt->lane_count; i++) {
        mqtt->lanes[i].end.run = end_on_shard;
        ps_port_post(ps_shard_port(mqtt->lanes[i].shard), &mqtt->lanes[i].end);
    }
}

static void destroy_lane(struct ps_mqtt_lane *lane)
{
    while (lane->connections) {
        struct ps_mqtt_connection *conn = lane->connections;
        lane->connections = conn->next;
        ps_mqtt_connection_destroy(conn);
    }
    if (lane->listener.fd >= 0)
        close(lane->listener.fd);
    ps_device_uplink_deinit(&lane->uplink);
    ps_buf_deinit(&lane->scratch);
    ps_publish_acks_deinit(lane);
}

void ps_mqtt_destroy(struct ps_mqtt *mqtt)
{
    if (!mqtt)
        return;
    for (unsigned i = 0; i < mqtt->lane_count; i++)
        destroy_lane(&mqtt->lanes[i]);
    free(mqtt->lanes);
    free(mqtt);
}
