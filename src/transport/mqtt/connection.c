#include "transport/mqtt/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/config.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/prefetch.h"

enum {
    LAST_WORDS_MS = 1000, /* wait to write DISCONNECT */
    READ_AHEAD = 512,     /* beyond a packet that is not complete */
};

static void count(struct ps_mqtt_connection *conn, enum ps_metric metric, int64_t n)
{
    ps_metrics_add(conn->lane->services->metrics, ps_shard_index(conn->lane->shard), metric, n);
}

static void set_state(struct ps_mqtt_connection *conn, enum ps_mqtt_state state)
{
    PS_ASSERT(state > conn->state); /* life goes one way */
    conn->state = state;
}

/* ---- what the loop watches --------------------------------------------------------------------
 */

static void watch(struct ps_mqtt_connection *conn, bool reading, bool writing)
{
    if (reading == conn->reading && writing == conn->writing)
        return;
    conn->reading = reading;
    conn->writing = writing;
    ps_shard_rewatch(conn->lane->shard, &conn->source,
                     (reading ? EPOLLIN : 0u) | (writing ? EPOLLOUT : 0u));
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void bury(struct ps_shard_task *task)
{
    struct ps_mqtt_connection *conn =
        (struct ps_mqtt_connection *)((char *)task - offsetof(struct ps_mqtt_connection, bury));
    if (conn->references || conn->flush.queued || conn->stall.queued) {
        ps_shard_defer(conn->lane->shard, task); /* lists of this round still name it */
        return;
    }
    ps_mqtt_connection_destroy(conn);
}

void ps_mqtt_connection_destroy(struct ps_mqtt_connection *conn)
{
    if (conn->source.fd >= 0)
        close(conn->source.fd);
    while (conn->subscriptions) {
        struct ps_mqtt_subscription *gone = conn->subscriptions;
        conn->subscriptions = gone->next;
        free(gone);
    }
    ps_ack_window_deinit(&conn->window);
    ps_device_identity_release(conn->identity);
    ps_buf_deinit(&conn->in);
    ps_buf_deinit(&conn->out);
    free(conn->received);
    free(conn);
}

static void unlink_from_lane(struct ps_mqtt_connection *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->lane->connections = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    conn->next = conn->prev = NULL;
}

static void link_into_lane(struct ps_mqtt_connection *conn)
{
    conn->next = conn->lane->connections;
    conn->prev = NULL;
    if (conn->next)
        conn->next->prev = conn;
    conn->lane->connections = conn;
}

static void die(struct ps_mqtt_connection *conn)
{
    if (conn->state == PS_MQTT_CLOSED)
        return;
    set_state(conn, PS_MQTT_CLOSED);
    ps_session_close(&conn->session);
    ps_shard_timer_stop(conn->lane->shard, &conn->timer);
    ps_shard_unwatch(conn->lane->shard, &conn->source);
    close(conn->source.fd);
    conn->source.fd = -1;
    unlink_from_lane(conn);
    count(conn, PS_METRIC_MQTT_CONNECTIONS, -1);
    if (!conn->references)
        ps_shard_defer(conn->lane->shard, &conn->bury);
}

void ps_mqtt_connection_unref(struct ps_mqtt_connection *conn)
{
    PS_ASSERT(conn->references > 0);
    if (--conn->references == 0 && conn->state == PS_MQTT_CLOSED)
        ps_shard_defer(conn->lane->shard, &conn->bury);
}

static bool write_out(struct ps_mqtt_connection *conn);

void ps_mqtt_connection_finish(struct ps_mqtt_connection *conn)
{
    if (conn->state >= PS_MQTT_CLOSING)
        return;
    set_state(conn, PS_MQTT_CLOSING);
    ps_session_close(&conn->session);
    if (!write_out(conn) || !conn->out.len) {
        die(conn);
        return;
    }
    watch(conn, false, true);
    ps_shard_timer_start(conn->lane->shard, &conn->timer,
                         ps_shard_mono_ms(conn->lane->shard) + LAST_WORDS_MS);
}

static bool put_ready_acks(struct ps_mqtt_connection *conn, struct ps_buf *out);

void ps_mqtt_connection_close(struct ps_mqtt_connection *conn, enum ps_mqtt_reason reason)
{
    if (conn->state >= PS_MQTT_CLOSING)
        return;
    if (conn->state == PS_MQTT_OPEN && conn->level == PS_MQTT_5) {
        put_ready_acks(conn, &conn->out);
        ps_mqtt_disconnect_encode(&conn->out, conn->level, reason);
    }
    ps_mqtt_connection_finish(conn);
}

static bool is_answered(const struct ps_mqtt_connection *conn)
{
    return !conn->references && !ps_ack_window_count(&conn->window) && !conn->out.len;
}

void ps_mqtt_connection_drain(struct ps_mqtt_connection *conn)
{
    if (conn->state != PS_MQTT_OPEN || is_answered(conn))
        ps_mqtt_connection_close(conn, PS_MQTT_SERVER_SHUTTING_DOWN);
    else
        watch(conn, false, conn->writing);
}

/* ---- silence -----------------------------------------------------------------------------------
 */

static int64_t silence_limit_ms(const struct ps_mqtt_connection *conn)
{
    const struct ps_config *config = conn->lane->services->config;
    if (conn->state < PS_MQTT_OPEN)
        return config->mqtt_connect_timeout_ms;
    int64_t limit = config->transport_session_inactivity_timeout_ms;
    return conn->silence_ms && conn->silence_ms < limit ? conn->silence_ms : limit;
}

static void start_timer(struct ps_mqtt_connection *conn)
{
    ps_shard_timer_start(conn->lane->shard, &conn->timer, conn->heard_ms + silence_limit_ms(conn));
}

static void timer_fired(struct ps_timer *timer, void *owner)
{
    struct ps_shard *shard = owner;
    struct ps_mqtt_connection *conn =
        (struct ps_mqtt_connection *)((char *)timer - offsetof(struct ps_mqtt_connection, timer));
    if (conn->state == PS_MQTT_CLOSING) {
        die(conn);
        return;
    }
    int64_t silent = ps_shard_mono_ms(shard) - conn->heard_ms;
    if (silent < silence_limit_ms(conn)) {
        start_timer(conn);
        return;
    }
    ps_mqtt_connection_close(conn, conn->silence_ms && silent >= conn->silence_ms
                                       ? PS_MQTT_KEEP_ALIVE_TIMEOUT
                                       : PS_MQTT_IMPLEMENTATION_ERROR);
}

/* ---- output ------------------------------------------------------------------------------------
 */

struct ps_buf *ps_mqtt_connection_out(struct ps_mqtt_connection *conn)
{
    ps_mqtt_connection_flush_later(conn);
    return &conn->out;
}

void ps_mqtt_connection_flush_later(struct ps_mqtt_connection *conn)
{
    ps_shard_flush_later(conn->lane->shard, &conn->flush);
}

/* A message that could not be kept: v5 hears why (B20), 3.x gets no PUBACK but a close, so that the
 * device sends it again (contract 2.5 D). False: close now. */
static bool put_ready_acks(struct ps_mqtt_connection *conn, struct ps_buf *out)
{
    struct ps_ack_place place;
    while (ps_ack_window_leave(&conn->window, &place)) {
        if (place.reason >= 0x80 && conn->level < PS_MQTT_5)
            return false;
        ps_mqtt_ack_encode(out, conn->level, (enum ps_mqtt_type)place.type, place.packet_id,
                           (enum ps_mqtt_reason)place.reason);
    }
    return true;
}

/* Write as much as the socket takes. False: the connection is broken. */
static bool send_bytes(struct ps_mqtt_connection *conn, const char *data, size_t len, size_t *sent)
{
    *sent = 0;
    while (*sent < len) {
        ssize_t n = send(conn->source.fd, data + *sent, len - *sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        *sent += (size_t)n;
        count(conn, PS_METRIC_MQTT_BYTES_OUT, n);
    }
    return true;
}

static bool write_out(struct ps_mqtt_connection *conn)
{
    if (!conn->out.len)
        return true;
    size_t sent;
    if (!ps_buf_ok(&conn->out) || !send_bytes(conn, conn->out.data, conn->out.len, &sent))
        return false;
    conn->out.len -= sent;
    if (conn->out.len)
        memmove(conn->out.data, conn->out.data + sent, conn->out.len);
    else
        ps_buf_deinit(&conn->out); /* an idle connection keeps no buffer */
    return true;
}

/* The common case: only acknowledgements, and the socket takes them. No buffer of its own. */
static bool write_acks(struct ps_mqtt_connection *conn, bool *keep_open)
{
    struct ps_buf *scratch = &conn->lane->scratch;
    ps_buf_clear(scratch);
    *keep_open = put_ready_acks(conn, scratch);
    size_t sent;
    if (!ps_buf_ok(scratch) || !send_bytes(conn, scratch->data, scratch->len, &sent))
        return false;
    if (sent < scratch->len)
        ps_buf_put(&conn->out, scratch->data + sent, scratch->len - sent);
    return true;
}

static void flush(struct ps_shard_task *task)
{
    struct ps_mqtt_connection *conn =
        (struct ps_mqtt_connection *)((char *)task - offsetof(struct ps_mqtt_connection, flush));
    if (conn->state == PS_MQTT_CLOSED)
        return;
    bool keep_open = true;
    bool works = conn->out.len ? (keep_open = put_ready_acks(conn, &conn->out), write_out(conn))
                               : write_acks(conn, &keep_open);
    size_t limit = (size_t)conn->lane->services->config->mqtt_output_bytes_max;
    if (!works || conn->out.len > limit || (conn->state == PS_MQTT_CLOSING && !conn->out.len)) {
        die(conn);
        return;
    }
    if (!keep_open) {
        ps_mqtt_connection_close(conn, PS_MQTT_IMPLEMENTATION_ERROR);
        return;
    }
    if (conn->state != PS_MQTT_OPEN)
        return;
    if (conn->lane->stopping) {
        ps_mqtt_connection_drain(conn);
        return;
    }
    watch(conn, !conn->out.len && !conn->stalled, conn->out.len > 0);
}

static uint8_t downlink_qos(const struct ps_mqtt_connection *conn, const char *topic,
                            size_t topic_len)
{
    for (const struct ps_mqtt_subscription *sub = conn->subscriptions; sub; sub = sub->next) {
        if (ps_mqtt_filter_matches(sub->filter, sub->len, topic, topic_len))
            return sub->qos;
    }
    return 1;
}

void ps_mqtt_connection_publish(struct ps_mqtt_connection *conn, const char *topic,
                                size_t topic_len, const struct ps_buf *payload)
{
    struct ps_mqtt_publish publish = { .topic = { topic, topic_len },
                                       .payload = { payload->data, payload->len },
                                       .qos = downlink_qos(conn, topic, topic_len) };
    size_t limit = (size_t)conn->lane->services->config->mqtt_output_bytes_max;
    size_t size = ps_mqtt_publish_size(conn->level, &publish);
    bool counted = publish.qos && conn->level == PS_MQTT_5;
    bool too_slow = conn->state == PS_MQTT_OPEN && conn->out.len + size > limit;
    if (conn->state != PS_MQTT_OPEN || too_slow || !ps_buf_ok(payload) ||
        size > conn->maximum_packet_size ||
        (counted && conn->downlinks_in_flight >= conn->receive_maximum)) {
        count(conn, PS_METRIC_MQTT_DOWNLINKS_DROPPED, 1);
        if (too_slow)
            ps_mqtt_connection_close(conn, PS_MQTT_QUOTA_EXCEEDED);
        return;
    }
    if (publish.qos) {
        conn->next_packet_id =
            conn->next_packet_id == UINT16_MAX ? 1 : (uint16_t)(conn->next_packet_id + 1);
        publish.packet_id = conn->next_packet_id;
        conn->downlinks_in_flight += counted;
    }
    ps_mqtt_publish_encode(ps_mqtt_connection_out(conn), conn->level, &publish);
}

/* ---- input -------------------------------------------------------------------------------------
 */

static enum ps_mqtt_taken take_puback(struct ps_mqtt_connection *conn,
                                      const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_ack ack;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_ack_decode(packet, conn->level, &ack, &reason) != PS_OK)
        ps_mqtt_connection_close(conn, reason);
    else if (conn->downlinks_in_flight)
        conn->downlinks_in_flight--;
    return PS_MQTT_TAKEN;
}

static enum ps_mqtt_taken take_pingreq(struct ps_mqtt_connection *conn,
                                       const struct ps_mqtt_packet *packet)
{
    enum ps_mqtt_reason reason;
    if (ps_mqtt_pingreq_decode(packet, &reason) != PS_OK)
        ps_mqtt_connection_close(conn, reason);
    else
        ps_mqtt_pingresp_encode(ps_mqtt_connection_out(conn));
    return PS_MQTT_TAKEN;
}

static enum ps_mqtt_taken take_disconnect(struct ps_mqtt_connection *conn,
                                          const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_disconnect disconnect;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_disconnect_decode(packet, conn->level, &disconnect, &reason) != PS_OK)
        ps_mqtt_connection_close(conn, reason);
    else
        die(conn);
    return PS_MQTT_TAKEN;
}

static enum ps_mqtt_taken refuse_packet(struct ps_mqtt_connection *conn,
                                        const struct ps_mqtt_packet *packet)
{
    (void)packet;
    ps_mqtt_connection_close(conn, PS_MQTT_PROTOCOL_ERROR);
    return PS_MQTT_TAKEN;
}

static enum ps_mqtt_taken take_packet(struct ps_mqtt_connection *conn,
                                      const struct ps_mqtt_packet *packet)
{
    static enum ps_mqtt_taken (*const takers[16])(struct ps_mqtt_connection * conn,
                                                  const struct ps_mqtt_packet *packet) = {
        [PS_MQTT_CONNECT] = refuse_packet, /* a second one (B06) */
        [PS_MQTT_PUBLISH] = ps_mqtt_take_publish,
        [PS_MQTT_PUBACK] = take_puback,
        [PS_MQTT_PUBREL] = ps_mqtt_take_pubrel,
        [PS_MQTT_SUBSCRIBE] = ps_mqtt_take_subscribe,
        [PS_MQTT_UNSUBSCRIBE] = ps_mqtt_take_unsubscribe,
        [PS_MQTT_PINGREQ] = take_pingreq,
        [PS_MQTT_DISCONNECT] = take_disconnect,
    };
    if (conn->state == PS_MQTT_NEW) {
        if (packet->type == PS_MQTT_CONNECT)
            return ps_mqtt_take_connect(conn, packet);
        die(conn); /* the first packet must be CONNECT (B06) */
        return PS_MQTT_TAKEN;
    }
    if (takers[packet->type & 15])
        return takers[packet->type & 15](conn, packet);
    return refuse_packet(conn, packet);
}

static bool may_take(const struct ps_mqtt_connection *conn)
{
    return conn->state == PS_MQTT_NEW || conn->state == PS_MQTT_OPEN;
}

static void stall(struct ps_mqtt_connection *conn)
{
    conn->stalled = true;
    watch(conn, false, conn->writing);
    count(conn, PS_METRIC_MQTT_READS_PAUSED, 1);
    ps_session_stall(&conn->session, &conn->stall);
}

/* Take packet after packet; returns how many bytes are used up. */
static size_t take_packets(struct ps_mqtt_connection *conn, const char *data, size_t len)
{
    size_t max = (size_t)conn->lane->services->config->mqtt_max_payload_size;
    size_t used = 0;
    while (may_take(conn) && !conn->stalled) {
        struct ps_mqtt_packet packet;
        enum ps_mqtt_frame frame = ps_mqtt_frame_next(data + used, len - used, max, &packet);
        if (frame == PS_MQTT_FRAME_NEED_MORE)
            break;
        if (frame != PS_MQTT_FRAME_READY) {
            count(conn, PS_METRIC_MQTT_PROTOCOL_ERRORS, 1);
            ps_mqtt_connection_close(conn, frame == PS_MQTT_FRAME_TOO_LARGE
                                               ? PS_MQTT_PACKET_TOO_LARGE
                                               : PS_MQTT_MALFORMED_PACKET);
            break;
        }
        if (take_packet(conn, &packet) == PS_MQTT_NOT_NOW) {
            stall(conn);
            break;
        }
        used += packet.size;
    }
    return used;
}

/* Input that begins in conn->in: a packet that came in pieces, or one that had to wait. */
static void take_from_in(struct ps_mqtt_connection *conn)
{
    size_t used = take_packets(conn, conn->in.data, conn->in.len);
    if (conn->state == PS_MQTT_CLOSED)
        return;
    conn->in.len -= used;
    if (conn->in.len)
        memmove(conn->in.data, conn->in.data + used, conn->in.len);
    else
        ps_buf_deinit(&conn->in);
}

static void take_fresh(struct ps_mqtt_connection *conn, const char *data, size_t len)
{
    size_t used = take_packets(conn, data, len);
    if (conn->state >= PS_MQTT_CLOSING || used == len)
        return;
    ps_buf_put(&conn->in, data + used, len - used);
    if (!ps_buf_ok(&conn->in))
        die(conn);
}

/* How much to read behind the bytes that wait: the rest of their packet, and a little. */
static size_t wanted_more(const struct ps_mqtt_connection *conn)
{
    struct ps_mqtt_packet packet;
    size_t max = (size_t)conn->lane->services->config->mqtt_max_payload_size;
    enum ps_mqtt_frame frame = ps_mqtt_frame_next(conn->in.data, conn->in.len, max, &packet);
    if (frame == PS_MQTT_FRAME_NEED_MORE && packet.size > conn->in.len)
        return packet.size - conn->in.len;
    return READ_AHEAD;
}

static void read_socket(struct ps_mqtt_connection *conn)
{
    bool waiting = conn->in.len > 0;
    char *to = ps_shard_read_buffer(conn->lane->shard);
    size_t room = PS_SHARD_READ_BYTES;
    if (waiting) {
        room = wanted_more(conn);
        if (!ps_buf_reserve(&conn->in, room)) {
            die(conn);
            return;
        }
        to = conn->in.data + conn->in.len;
    }
    ps_prefetch(conn->identity, sizeof *conn->identity); /* while the system call runs */
    ps_session_fetch(&conn->session);
    ssize_t n = read(conn->source.fd, to, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        die(conn);
        return;
    }
    conn->heard_ms = ps_shard_mono_ms(conn->lane->shard);
    count(conn, PS_METRIC_MQTT_BYTES_IN, n);
    if (!waiting) {
        take_fresh(conn, to, (size_t)n);
        return;
    }
    conn->in.len += (size_t)n;
    take_from_in(conn);
}

static void try_again(struct ps_shard_task *task)
{
    struct ps_mqtt_connection *conn =
        (struct ps_mqtt_connection *)((char *)task - offsetof(struct ps_mqtt_connection, stall));
    if (conn->state != PS_MQTT_OPEN)
        return;
    ps_mqtt_connection_resume(conn);
}

void ps_mqtt_connection_resume(struct ps_mqtt_connection *conn)
{
    conn->stalled = false;
    if (conn->in.len)
        take_from_in(conn);
    if (conn->state == PS_MQTT_OPEN && !conn->stalled && !conn->out.len && !conn->lane->stopping)
        watch(conn, true, conn->writing);
}

static void ready(struct ps_shard_source *source, uint32_t events)
{
    struct ps_mqtt_connection *conn = (struct ps_mqtt_connection *)source;
    if (conn->state == PS_MQTT_CLOSED)
        return;
    if (events & EPOLLOUT)
        ps_mqtt_connection_flush_later(conn);
    if (!conn->reading && events & (EPOLLHUP | EPOLLERR)) {
        die(conn); /* nothing more to be had, and it would not stop telling us */
        return;
    }
    if (conn->reading && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_socket(conn);
}

/* ---- arrival -----------------------------------------------------------------------------------
 */

void ps_mqtt_connection_accept(struct ps_mqtt_lane *lane, int fd)
{
    struct ps_mqtt_connection *conn = calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        return;
    }
    conn->source = (struct ps_shard_source){ .fd = fd, .ready = ready };
    conn->flush.run = flush;
    conn->stall.run = try_again;
    conn->bury.run = bury;
    conn->timer.fire = timer_fired;
    conn->session.ops = &PS_MQTT_SESSION_OPS;
    conn->level = PS_MQTT_311;
    conn->heard_ms = ps_shard_mono_ms(lane->shard);
    conn->lane = lane;
    conn->reading = true;
    if (ps_shard_watch(lane->shard, &conn->source, EPOLLIN) != PS_OK) {
        ps_mqtt_connection_destroy(conn);
        return;
    }
    link_into_lane(conn);
    start_timer(conn);
    count(conn, PS_METRIC_MQTT_CONNECTIONS, 1);
}

void ps_mqtt_connection_set_logging_in(struct ps_mqtt_connection *conn)
{
    set_state(conn, PS_MQTT_LOGGING_IN);
    watch(conn, false, false);
}

void ps_mqtt_connection_set_entering(struct ps_mqtt_connection *conn)
{
    set_state(conn, PS_MQTT_ENTERING);
}

void ps_mqtt_connection_opened(struct ps_mqtt_connection *conn)
{
    set_state(conn, PS_MQTT_OPEN);
    start_timer(conn);
    ps_mqtt_connection_resume(conn);
}

void ps_mqtt_connection_leave(struct ps_mqtt_connection *conn)
{
    ps_shard_timer_stop(conn->lane->shard, &conn->timer);
    ps_shard_unwatch(conn->lane->shard, &conn->source);
    unlink_from_lane(conn);
    count(conn, PS_METRIC_MQTT_CONNECTIONS, -1);
}

void ps_mqtt_connection_arrive(struct ps_mqtt_connection *conn, struct ps_mqtt_lane *lane)
{
    conn->lane = lane;
    conn->reading = conn->writing = false;
    conn->heard_ms = ps_shard_mono_ms(lane->shard);
    link_into_lane(conn);
    count(conn, PS_METRIC_MQTT_CONNECTIONS, 1);
    start_timer(conn);
    if (ps_shard_watch(lane->shard, &conn->source, 0) != PS_OK)
        die(conn);
}
