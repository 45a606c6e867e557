/* subscribe: SUBSCRIBE and UNSUBSCRIBE (device contract 2.4), and what subscriptions start. */
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/json_text.h"
#include "transport/mqtt/connection.h"

/* ---- the list of granted filters ----------------------------------------------------------------
 */

static struct ps_mqtt_subscription **find_link(struct ps_mqtt_connection *conn,
                                               const struct ps_mqtt_span *filter)
{
    struct ps_mqtt_subscription **link = &conn->subscriptions;
    while (*link && !((*link)->len == filter->len &&
                      memcmp((*link)->filter, filter->data, filter->len) == 0))
        link = &(*link)->next;
    return link;
}

static struct ps_mqtt_subscription *add(struct ps_mqtt_connection *conn,
                                        const struct ps_mqtt_span *filter)
{
    struct ps_mqtt_subscription **link = find_link(conn, filter);
    if (*link)
        return *link;
    if (conn->subscription_count >= PS_MQTT_SUBSCRIPTIONS_MAX)
        return NULL;
    struct ps_mqtt_subscription *sub = calloc(1, sizeof *sub + filter->len);
    if (!sub)
        return NULL;
    sub->len = (uint16_t)filter->len;
    memcpy(sub->filter, filter->data, filter->len);
    *link = sub;
    conn->subscription_count++;
    return sub;
}

static uint8_t grant(struct ps_mqtt_connection *conn, const struct ps_mqtt_filter *filter)
{
    bool strict = conn->lane->services->config->mqtt_strict_filters;
    struct ps_mqtt_filter_match match =
        ps_mqtt_filter_judge(filter->text.data, filter->text.len, strict);
    if (!match.granted)
        return PS_MQTT_FILTER_INVALID;
    struct ps_mqtt_subscription *sub = add(conn, &filter->text);
    if (!sub)
        return PS_MQTT_QUOTA_EXCEEDED;
    sub->qos = filter->qos ? 1 : 0;
    sub->starts = match.starts;
    sub->flavour = match.flavour;
    if (match.starts & PS_MQTT_STARTS_ATTRIBUTES) {
        conn->session.wants_shared_attributes = true;
        conn->attributes_flavour = match.flavour;
    }
    return sub->qos;
}

static uint8_t drop(struct ps_mqtt_connection *conn, const struct ps_mqtt_filter *filter)
{
    struct ps_mqtt_subscription **link = find_link(conn, &filter->text);
    struct ps_mqtt_subscription *sub = *link;
    if (!sub) {
        bool strict = conn->lane->services->config->mqtt_strict_filters;
        return ps_mqtt_filter_judge(filter->text.data, filter->text.len, strict).granted
                   ? PS_MQTT_NO_SUBSCRIPTION_EXISTED
                   : PS_MQTT_FILTER_INVALID;
    }
    *link = sub->next;
    conn->subscription_count--;
    /* only the live flavour ends it (B15) */
    if (sub->starts & PS_MQTT_STARTS_ATTRIBUTES && sub->flavour == conn->attributes_flavour)
        conn->session.wants_shared_attributes = false;
    free(sub);
    return PS_MQTT_SUCCESS;
}

/* ---- the packets -------------------------------------------------------------------------------
 */

enum ps_mqtt_taken ps_mqtt_take_subscribe(struct ps_mqtt_connection *conn,
                                          const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_filters filters;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_filters_decode(packet, conn->level, &filters, &reason) != PS_OK) {
        ps_mqtt_connection_close(conn, reason);
        return PS_MQTT_TAKEN;
    }
    struct ps_buf *out = ps_mqtt_connection_out(conn);
    struct ps_mqtt_filter filter;
    ps_mqtt_suback_begin(out, conn->level, filters.packet_id, filters.count);
    while (ps_mqtt_filter_next(&filters, &filter))
        ps_mqtt_suback_put(out, conn->level, grant(conn, &filter));
    return PS_MQTT_TAKEN;
}

enum ps_mqtt_taken ps_mqtt_take_unsubscribe(struct ps_mqtt_connection *conn,
                                            const struct ps_mqtt_packet *packet)
{
    struct ps_mqtt_filters filters;
    enum ps_mqtt_reason reason;
    if (ps_mqtt_filters_decode(packet, conn->level, &filters, &reason) != PS_OK) {
        ps_mqtt_connection_close(conn, reason);
        return PS_MQTT_TAKEN;
    }
    struct ps_buf *out = ps_mqtt_connection_out(conn);
    struct ps_mqtt_filter filter;
    ps_mqtt_unsuback_begin(out, conn->level, filters.packet_id, filters.count);
    while (ps_mqtt_filter_next(&filters, &filter))
        ps_mqtt_unsuback_put(out, conn->level, drop(conn, &filter));
    return PS_MQTT_TAKEN;
}

/* ---- what the actor tells the session -----------------------------------------------------------
 */

static struct ps_mqtt_connection *conn_of(struct ps_session *session)
{
    return (struct ps_mqtt_connection *)((char *)session -
                                         offsetof(struct ps_mqtt_connection, session));
}

static void put_deleted(struct ps_buf *out, const struct ps_kv *kvs, size_t count)
{
    ps_buf_put_text(out, "{\"deleted\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            ps_buf_put_char(out, ',');
        ps_json_put_string(out, kvs[i].key, kvs[i].key_len);
    }
    ps_buf_put_text(out, "]}");
}

static void shared_attributes(struct ps_session *session, const struct ps_kv *kvs, size_t count,
                              bool deleted)
{
    struct ps_mqtt_connection *conn = conn_of(session);
    struct ps_buf payload = { 0 };
    if (deleted)
        put_deleted(&payload, kvs, count);
    else
        ps_json_put_object(&payload, kvs, count);
    char topic[PS_MQTT_TOPIC_TEXT_SIZE];
    size_t len = ps_mqtt_topic_print(PS_MQTT_DOWN_ATTRIBUTES, conn->attributes_flavour, 0, topic);
    ps_mqtt_connection_publish(conn, topic, len, &payload);
    ps_buf_deinit(&payload);
}

static void end(struct ps_session *session, enum ps_session_end why)
{
    static const enum ps_mqtt_reason reasons[] = {
        [PS_SESSION_EVICTED] = PS_MQTT_SESSION_TAKEN_OVER,
        [PS_SESSION_CREDENTIALS_CHANGED] = PS_MQTT_ADMINISTRATIVE_ACTION,
        [PS_SESSION_DEVICE_DELETED] = PS_MQTT_ADMINISTRATIVE_ACTION,
        [PS_SESSION_IDLE] = PS_MQTT_MAXIMUM_CONNECT_TIME,
        [PS_SESSION_SERVER_STOPS] = PS_MQTT_SERVER_SHUTTING_DOWN,
    };
    struct ps_mqtt_connection *conn = conn_of(session);
    if (why == PS_SESSION_EVICTED)
        ps_metrics_add(conn->lane->services->metrics, ps_shard_index(conn->lane->shard),
                       PS_METRIC_MQTT_TAKEOVERS, 1);
    ps_mqtt_connection_close(conn, reasons[why]);
}

const struct ps_session_ops PS_MQTT_SESSION_OPS = { .shared_attributes = shared_attributes,
                                                    .end = end };
