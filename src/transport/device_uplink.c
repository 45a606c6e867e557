#include "transport/device_uplink.h"

#include <stdlib.h>
#include <string.h>

#include "actors/device_attributes.h"
#include "core/clock.h"
#include "core/json_text.h"

enum { POSTED_AT_ONCE = 64 }; /* messages of one payload kept on the stack until all are made */

void ps_device_uplink_init(struct ps_device_uplink *uplink, struct ps_actors *actors,
                           struct ps_metrics *metrics, unsigned metrics_lane,
                           enum ps_metric transport, const struct ps_payload_rules *rules)
{
    *uplink = (struct ps_device_uplink){ .actors = actors,
                                         .metrics = metrics,
                                         .metrics_lane = metrics_lane,
                                         .transport = transport,
                                         .rules = *rules };
}

void ps_device_uplink_deinit(struct ps_device_uplink *uplink)
{
    ps_payload_deinit(&uplink->payload);
}

static struct ps_pair pair(const char *key, uint32_t key_len, const char *value, uint32_t value_len)
{
    return (
        struct ps_pair){ .key = key, .key_len = key_len, .value = value, .value_len = value_len };
}

static enum ps_status make_msg(const struct ps_device_identity *identity, int64_t now_ms,
                               const struct ps_msg_content *content, struct ps_msg **out)
{
    struct ps_entity_id originator = { .type = PS_ENTITY_DEVICE, .id = identity->device };
    return ps_msg_create(&identity->tenant, &originator, &identity->customer, now_ms, content, out);
}

/* Device contract 3.5: deviceName, deviceType, ts. */
static enum ps_status telemetry_msg(struct ps_device_uplink *uplink,
                                    const struct ps_device_identity *identity, int64_t now_ms,
                                    const struct ps_payload_entry *entry, struct ps_msg **out)
{
    int64_t ts_ms = entry->has_ts ? entry->ts_ms : now_ms;
    if (ts_ms != uplink->ts_ms || !uplink->ts_len) { /* many messages share a millisecond */
        uplink->ts_ms = ts_ms;
        uplink->ts_len = (uint32_t)ps_long_format(ts_ms, uplink->ts_text);
    }
    struct ps_pair metadata[] = {
        pair("deviceName", 10, identity->name, identity->name_len),
        pair("deviceType", 10, identity->profile_name, identity->profile_name_len),
        pair("ts", 2, uplink->ts_text, uplink->ts_len),
    };
    struct ps_msg_content content = { .type = PS_MSG_POST_TELEMETRY,
                                      .data_kind = PS_DATA_OBJECT,
                                      .kvs = uplink->payload.kvs + entry->first,
                                      .kv_count = entry->count,
                                      .metadata = metadata,
                                      .metadata_count = 3 };
    return make_msg(identity, now_ms, &content, out);
}

static enum ps_status attributes_msg(struct ps_device_uplink *uplink,
                                     const struct ps_device_identity *identity, int64_t now_ms,
                                     const struct ps_payload_entry *entry, struct ps_msg **out)
{
    struct ps_pair metadata[] = {
        pair("deviceName", 10, identity->name, identity->name_len),
        pair("deviceType", 10, identity->profile_name, identity->profile_name_len),
        pair("notifyDevice", 12, "false", 5),
    };
    struct ps_msg_content content = { .type = PS_MSG_POST_ATTRIBUTES,
                                      .data_kind = PS_DATA_OBJECT,
                                      .kvs = uplink->payload.kvs + entry->first,
                                      .kv_count = entry->count,
                                      .metadata = metadata,
                                      .metadata_count = 3 };
    return make_msg(identity, now_ms, &content, out);
}

typedef enum ps_status (*msg_maker)(struct ps_device_uplink *uplink,
                                    const struct ps_device_identity *identity, int64_t now_ms,
                                    const struct ps_payload_entry *entry, struct ps_msg **out);

static void release_all(struct ps_msg **msgs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ps_msg_release(msgs[i]);
}

static enum ps_status make_all(struct ps_device_uplink *uplink,
                               const struct ps_device_identity *identity, msg_maker make,
                               struct ps_msg **msgs)
{
    int64_t now_ms = ps_clock_now_ms();
    for (size_t i = 0; i < uplink->payload.entry_count; i++) {
        enum ps_status st = make(uplink, identity, now_ms, &uplink->payload.entries[i], &msgs[i]);
        if (st != PS_OK) {
            release_all(msgs, i);
            return st;
        }
    }
    return PS_OK;
}

static enum ps_status post_one(const struct ps_device_uplink *uplink, struct ps_msg **msg)
{
    return uplink->session ? ps_session_post(uplink->session, msg)
                           : ps_actors_post(uplink->actors, msg);
}

/* The first message decides whether there is room; the rest of its payload follows it in any case,
 * and a message without room fails the ack, so the device sends all of it again.
 *
 * The messages take the caller's part of the ack over: once the first is posted, the ack may be in
 * the hands of another thread. */
static enum ps_status post_all(struct ps_device_uplink *uplink, struct ps_msg **msgs, size_t count,
                               struct ps_ack *ack)
{
    if (count == 0) {
        ps_ack_release(ack, PS_OK);
        return PS_OK;
    }
    ps_ack_retain(ack, (uint32_t)count - 1);
    for (size_t i = 0; i < count; i++) {
        msgs[i]->ack = ack;
        msgs[i]->counted = true;
    }
    /* counted before: a message on its own shard may be over before post returns */
    ps_metrics_msg_received(uplink->metrics, uplink->metrics_lane, uplink->transport,
                            (int64_t)count);
    struct ps_msg *first = msgs[0];
    if (post_one(uplink, &first) != PS_OK) { /* the ack is as it came */
        ps_metrics_msg_lost(uplink->metrics, uplink->metrics_lane, PS_METRIC_REFUSED_BUSY,
                            (int64_t)count);
        if (ack)
            ack->owners -= (uint32_t)count - 1;
        release_all(msgs, count);
        return PS_EBUSY;
    }
    for (size_t i = 1; i < count; i++) {
        struct ps_msg *msg = msgs[i];
        if (post_one(uplink, &msg) != PS_OK)
            ps_actors_refuse(uplink->actors, msg);
    }
    return PS_OK;
}

static enum ps_status post_payload(struct ps_device_uplink *uplink,
                                   const struct ps_device_identity *identity, msg_maker make,
                                   struct ps_ack *ack)
{
    size_t count = uplink->payload.entry_count;
    struct ps_msg *few[POSTED_AT_ONCE], **msgs = few;
    if (count > POSTED_AT_ONCE) {
        msgs = malloc(count * sizeof *msgs);
        if (!msgs)
            return PS_ENOMEM;
    }
    enum ps_status st = make_all(uplink, identity, make, msgs);
    if (st == PS_OK)
        st = post_all(uplink, msgs, count, ack);
    if (msgs != few)
        free(msgs);
    return st;
}

static enum ps_status refuse(struct ps_device_uplink *uplink, enum ps_status st)
{
    enum ps_metric reason = st == PS_EPROTO   ? PS_METRIC_REFUSED_MALFORMED
                            : st == PS_ELIMIT ? PS_METRIC_REFUSED_LIMIT
                                              : PS_METRIC_REFUSED_MEMORY;
    ps_metrics_msg_received(uplink->metrics, uplink->metrics_lane, uplink->transport, 1);
    ps_metrics_msg_lost(uplink->metrics, uplink->metrics_lane, reason, 1);
    return st;
}

enum ps_status ps_device_uplink_telemetry(struct ps_device_uplink *uplink,
                                          struct ps_device_identity *identity, const char *body,
                                          size_t len, struct ps_ack *ack, struct ps_text *why)
{
    enum ps_status st =
        ps_payload_parse_telemetry(&uplink->payload, body, len, &uplink->rules, why);
    if (st != PS_OK)
        return refuse(uplink, st);
    return post_payload(uplink, identity, telemetry_msg, ack);
}

enum ps_status ps_device_uplink_attributes(struct ps_device_uplink *uplink,
                                           struct ps_device_identity *identity, const char *body,
                                           size_t len, struct ps_ack *ack, struct ps_text *why)
{
    enum ps_status st =
        ps_payload_parse_attributes(&uplink->payload, body, len, &uplink->rules, why);
    if (st != PS_OK)
        return refuse(uplink, st);
    return post_payload(uplink, identity, attributes_msg, ack);
}

/* ---- attribute requests ------------------------------------------------------------------------
 */

static void put_names(struct ps_buf *names, const struct ps_value *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ps_buf_put(names, list[i].text, list[i].len);
        ps_buf_put_char(names, '\0');
    }
}

struct ps_attribute_reply *
ps_attribute_reply_create(const struct ps_device_identity *identity,
                          const struct ps_attribute_request *request, struct ps_port *port,
                          void (*run)(struct ps_port_item *item, void *owner))
{
    struct ps_attribute_reply *reply = calloc(1, sizeof *reply);
    if (!reply)
        return NULL;
    reply->call.tenant = identity->tenant;
    reply->call.entity = (struct ps_entity_id){ .type = PS_ENTITY_DEVICE, .id = identity->device };
    reply->port = port;
    reply->item.run = run;
    reply->has_client = request->has_client;
    reply->has_shared = request->has_shared;
    put_names(&reply->client, request->client, request->client_count);
    put_names(&reply->shared, request->shared, request->shared_count);
    if (!ps_buf_ok(&reply->client) || !ps_buf_ok(&reply->shared)) {
        ps_attribute_reply_destroy(reply);
        return NULL;
    }
    return reply;
}

void ps_attribute_reply_destroy(struct ps_attribute_reply *reply)
{
    if (!reply)
        return;
    ps_buf_deinit(&reply->json);
    ps_buf_deinit(&reply->client);
    ps_buf_deinit(&reply->shared);
    free(reply);
}

static void answer_on_shard(struct ps_actor_call *call, struct ps_actor *actor)
{
    struct ps_attribute_reply *reply = (struct ps_attribute_reply *)call; /* its first member */
    reply->status = call->status;
    if (actor) {
        bool all = !reply->has_client && !reply->has_shared;
        struct ps_wanted_attributes wanted = {
            .client = all || reply->has_client,
            .shared = all || reply->has_shared,
            .client_names = reply->has_client ? &reply->client : NULL,
            .shared_names = reply->has_shared ? &reply->shared : NULL,
        };
        reply->found = ps_actor_put_attributes(actor, &wanted, &reply->json);
        if (!ps_buf_ok(&reply->json))
            reply->status = PS_ENOMEM;
    }
    if (reply->port)
        ps_port_post(reply->port, &reply->item);
    else
        reply->item.run(&reply->item, NULL);
}

void ps_device_uplink_request_attributes(struct ps_actors *actors, struct ps_attribute_reply *reply)
{
    reply->call.run = answer_on_shard;
    ps_actors_call(actors, &reply->call);
}
