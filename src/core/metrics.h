/* metrics: one list of counters, cheap to add to, summed when read.
 *
 * Each lane has its own cache lines, so threads that use different lanes never share one; an add is
 * a relaxed atomic on memory that is already in this core's cache. Shards use their index as lane,
 * other threads any number (it is taken modulo the lanes).
 *
 * received = stored + refused + dropped + in flight: in flight is what is left, so at rest it must
 * be zero. The ps_metrics_msg_*() functions keep it so; use them instead of adding by hand.
 *
 *     X(id, type, name, labels, help)    rows of one name stand together, help at the first
 *
 * COUNTER and GAUGE count units; SECONDS is a counter fed with nanoseconds and shown in seconds. */
#ifndef PS_CORE_METRICS_H
#define PS_CORE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/status.h"

/* clang-format off */
#define PS_METRIC_LIST(X)                                                                          \
    X(MSG_RECEIVED, COUNTER, "messages_received_total", "",                                        \
      "Messages that entered from devices and users")                                              \
    X(MSG_STORED, COUNTER, "messages_stored_total", "",                                            \
      "Messages whose effects are committed")                                                      \
    X(MSG_REFUSED, COUNTER, "messages_refused_total", "",                                          \
      "Messages refused with a reason the sender can read")                                        \
    X(MSG_DROPPED, COUNTER, "messages_dropped_total", "",                                          \
      "Messages lost on their way, by a named reason")                                             \
    X(MSG_IN_FLIGHT, GAUGE, "messages_in_flight", "",                                              \
      "Messages received and neither stored, refused nor dropped yet")                             \
                                                                                                   \
    X(REFUSED_MALFORMED, COUNTER, "refused_total", "reason=\"malformed\"",                         \
      "Refused messages by reason")                                                                \
    X(REFUSED_LIMIT, COUNTER, "refused_total", "reason=\"limit\"", "")                             \
    X(REFUSED_BUSY, COUNTER, "refused_total", "reason=\"busy\"", "")                               \
    X(REFUSED_STORAGE, COUNTER, "refused_total", "reason=\"storage\"", "")                         \
    X(REFUSED_SHUTDOWN, COUNTER, "refused_total", "reason=\"shutdown\"", "")                       \
    X(REFUSED_MEMORY, COUNTER, "refused_total", "reason=\"memory\"", "")                           \
                                                                                                   \
    X(DROPPED_BUSY, COUNTER, "dropped_total", "reason=\"busy\"",                                   \
      "Dropped messages by reason")                                                                \
    X(DROPPED_HOPS, COUNTER, "dropped_total", "reason=\"hops\"", "")                               \
    X(DROPPED_NO_CHAIN, COUNTER, "dropped_total", "reason=\"no_chain\"", "")                       \
    X(DROPPED_ENTITY_GONE, COUNTER, "dropped_total", "reason=\"entity_gone\"", "")                 \
                                                                                                   \
    X(MQTT_MESSAGES, COUNTER, "transport_messages_total", "transport=\"mqtt\"",                    \
      "Messages received by transport")                                                            \
    X(HTTP_MESSAGES, COUNTER, "transport_messages_total", "transport=\"http\"", "")                \
    X(COAP_MESSAGES, COUNTER, "transport_messages_total", "transport=\"coap\"", "")                \
    X(REST_MESSAGES, COUNTER, "transport_messages_total", "transport=\"rest\"", "")                \
    X(MQTT_BYTES_IN, COUNTER, "transport_bytes_in_total", "transport=\"mqtt\"",                    \
      "Bytes received by transport")                                                               \
    X(HTTP_BYTES_IN, COUNTER, "transport_bytes_in_total", "transport=\"http\"", "")                \
    X(COAP_BYTES_IN, COUNTER, "transport_bytes_in_total", "transport=\"coap\"", "")                \
    X(WS_BYTES_IN, COUNTER, "transport_bytes_in_total", "transport=\"ws\"", "")                    \
    X(MQTT_BYTES_OUT, COUNTER, "transport_bytes_out_total", "transport=\"mqtt\"",                  \
      "Bytes sent by transport")                                                                   \
    X(HTTP_BYTES_OUT, COUNTER, "transport_bytes_out_total", "transport=\"http\"", "")              \
    X(COAP_BYTES_OUT, COUNTER, "transport_bytes_out_total", "transport=\"coap\"", "")              \
    X(WS_BYTES_OUT, COUNTER, "transport_bytes_out_total", "transport=\"ws\"", "")                  \
    X(MQTT_CONNECTIONS, GAUGE, "connections", "transport=\"mqtt\"",                                \
      "Open connections by transport")                                                             \
    X(HTTP_CONNECTIONS, GAUGE, "connections", "transport=\"http\"", "")                            \
    X(WS_SESSIONS, GAUGE, "connections", "transport=\"ws\"", "")                                   \
    X(MQTT_CONNECTIONS_REFUSED, COUNTER, "connections_refused_total", "transport=\"mqtt\"",        \
      "Connections refused by transport: no room, or bad credentials")                             \
    X(HTTP_CONNECTIONS_REFUSED, COUNTER, "connections_refused_total", "transport=\"http\"", "")    \
    X(WS_SESSIONS_REFUSED, COUNTER, "connections_refused_total", "transport=\"ws\"", "")           \
    X(MQTT_PROTOCOL_ERRORS, COUNTER, "protocol_errors_total", "transport=\"mqtt\"",                \
      "Malformed or unexpected bytes by transport")                                                \
    X(HTTP_PROTOCOL_ERRORS, COUNTER, "protocol_errors_total", "transport=\"http\"", "")            \
    X(WS_PROTOCOL_ERRORS, COUNTER, "protocol_errors_total", "transport=\"ws\"", "")                \
    X(MQTT_TAKEOVERS, COUNTER, "mqtt_takeovers_total", "",                                         \
      "MQTT sessions closed because the device opened another")                                    \
    X(MQTT_DOWNLINKS_DROPPED, COUNTER, "mqtt_downlinks_dropped_total", "",                         \
      "Publishes to devices dropped: larger than the client takes, or its buffer is full")         \
    X(MQTT_READS_PAUSED, COUNTER, "mqtt_reads_paused_total", "",                                   \
      "Times a socket was not read because its device's mailbox was full")                         \
    X(HTTP_REQUESTS, COUNTER, "http_requests_total", "",                                           \
      "HTTP requests answered, REST and device API together")                                      \
    X(LOGIN_FAILURES, COUNTER, "login_failures_total", "",                                         \
      "Failed logins of users")                                                                    \
                                                                                                   \
    X(WS_FRAMES_OUT, COUNTER, "ws_frames_sent_total", "",                                          \
      "WebSocket frames sent")                                                                     \
    X(WS_UPDATES_COALESCED, COUNTER, "ws_updates_coalesced_total", "",                             \
      "Updates merged into a waiting frame of a slow reader")                                      \
    X(WS_SLOW_READERS_CLOSED, COUNTER, "ws_slow_readers_closed_total", "",                         \
      "WebSockets closed because their queue was full")                                            \
    X(SUBSCRIPTIONS, GAUGE, "subscriptions", "",                                                   \
      "Live subscriptions to telemetry and attributes")                                            \
                                                                                                   \
    X(COMMITS, COUNTER, "commits_total", "",                                                       \
      "Transactions committed")                                                                    \
    X(COMMITS_FAILED, COUNTER, "commits_failed_total", "",                                         \
      "Transactions that failed; everything in them was refused")                                  \
    X(COMMIT_SECONDS, SECONDS, "commit_seconds_total", "",                                         \
      "Time spent committing")                                                                     \
    X(COMMIT_BATCHES, COUNTER, "commit_batches_total", "",                                         \
      "Batches of shards that were committed")                                                     \
    X(BATCH_ITEMS, COUNTER, "batch_items_total", "",                                               \
      "Effects in committed batches: points, attributes and others")                               \
    X(BATCH_MESSAGES, COUNTER, "batch_messages_total", "",                                         \
      "Messages whose effects were in committed batches")                                          \
    X(POINTS, COUNTER, "points_total", "",                                                         \
      "Telemetry points committed")                                                                \
    X(JOURNAL_BYTES, COUNTER, "journal_bytes_total", "",                                           \
      "Bytes of points written to the journal")                                                    \
    X(CHECKPOINTS, COUNTER, "checkpoints_total", "",                                               \
      "Checkpoints of the write-ahead log")                                                        \
    X(SEALS, COUNTER, "telemetry_seals_total", "",                                                 \
      "Times points of the journal were sealed into files")                                        \
    X(SEALED_POINTS, COUNTER, "telemetry_sealed_points_total", "",                                 \
      "Points sealed into files")                                                                  \
    X(SEALED_BYTES, COUNTER, "telemetry_sealed_bytes_total", "",                                   \
      "Bytes of blocks written by sealing and merging")                                            \
    X(MERGES, COUNTER, "telemetry_merges_total", "",                                               \
      "Merges of runs inside a file")                                                              \
    X(MERGED_POINTS, COUNTER, "telemetry_merged_points_total", "",                                 \
      "Points that merges have read")                                                              \
    X(EXPIRED_POINTS, COUNTER, "telemetry_expired_points_total", "",                               \
      "Points that were deleted because their time to live was over")                              \
    X(FILES_DELETED, COUNTER, "telemetry_files_deleted_total", "reason=\"expired\"",               \
      "Telemetry files deleted, by reason")                                                        \
    X(FILES_SHED, COUNTER, "telemetry_files_deleted_total", "reason=\"disk_full\"", "")            \
    X(FILES, GAUGE, "telemetry_files", "state=\"live\"",                                           \
      "Telemetry files by state")                                                                  \
    X(FILES_DAMAGED, GAUGE, "telemetry_files", "state=\"damaged\"", "")                            \
    X(FILES_PARTLY_DAMAGED, GAUGE, "telemetry_files", "state=\"partly_damaged\"", "")              \
    X(DAMAGE_MET, COUNTER, "telemetry_damage_met_total", "",                                       \
      "Damaged places in telemetry files that queries and merges passed over")                     \
    X(UNSEALED_BYTES, GAUGE, "telemetry_unsealed_bytes", "",                                       \
      "Bytes of points in the journal that are not sealed yet")                                    \
    X(DISK_FREE, GAUGE, "disk_free_bytes", "",                                                     \
      "Free bytes of the file system that holds the data")                                         \
    X(DISK_REFUSING, GAUGE, "disk_refusing", "",                                                   \
      "1 while telemetry is refused because free space is below the reserve")                      \
    X(SERIES, GAUGE, "series", "",                                                                 \
      "Time series known in memory")                                                               \
    X(HEAD_BYTES, GAUGE, "head_bytes", "",                                                         \
      "Memory of the newest points of all series")                                                 \
                                                                                                   \
    X(ACTORS, GAUGE, "actors", "",                                                                 \
      "Actors in memory")                                                                          \
    X(ACTORS_CREATED, COUNTER, "actors_created_total", "",                                         \
      "Actors created")                                                                            \
    X(ACTORS_PARKED, COUNTER, "actors_parked_total", "",                                           \
      "Idle actors that left memory")                                                              \
    X(MAILBOX_FULL, COUNTER, "mailbox_full_total", "",                                             \
      "Messages that found their entity's mailbox full")                                           \
    X(TURNS, COUNTER, "actor_turns_total", "",                                                     \
      "Turns given to actors")                                                                     \
                                                                                                   \
    X(NODE_EXECUTIONS, COUNTER, "rule_node_executions_total", "",                                  \
      "Rule nodes run")                                                                            \
    X(NODE_FAILURES, COUNTER, "rule_node_failures_total", "",                                      \
      "Rule nodes that ended with Failure")                                                        \
    X(SCRIPT_ERROR_COMPILE, COUNTER, "script_errors_total", "kind=\"COMPILE\"",                    \
      "Errors of Lua scripts by kind")                                                             \
    X(SCRIPT_ERROR_RUNTIME, COUNTER, "script_errors_total", "kind=\"RUNTIME\"", "")                \
    X(SCRIPT_ERROR_LIMIT_CPU, COUNTER, "script_errors_total", "kind=\"LIMIT_CPU\"", "")            \
    X(SCRIPT_ERROR_LIMIT_TIME, COUNTER, "script_errors_total", "kind=\"LIMIT_TIME\"", "")          \
    X(SCRIPT_ERROR_LIMIT_MEMORY, COUNTER, "script_errors_total", "kind=\"LIMIT_MEMORY\"", "")      \
    X(SCRIPT_ERROR_BAD_RESULT, COUNTER, "script_errors_total", "kind=\"BAD_RESULT\"", "")          \
    X(SCRIPT_ERROR_TOO_LARGE, COUNTER, "script_errors_total", "kind=\"TOO_LARGE\"", "")            \
    X(SCRIPT_ERROR_SUSPENDED, COUNTER, "script_errors_total", "kind=\"SUSPENDED\"", "")            \
    X(LUA_STATES, GAUGE, "lua_states", "",                                                         \
      "Lua states in memory")                                                                      \
    X(DEAD_LETTERS, COUNTER, "dead_letters_total", "",                                             \
      "Messages kept because processing failed")
/* clang-format on */

enum ps_metric {
#define PS_METRIC_ENUM(id, type, name, labels, help) PS_METRIC_##id,
    PS_METRIC_LIST(PS_METRIC_ENUM)
#undef PS_METRIC_ENUM
        PS_METRIC_COUNT
};

struct ps_metrics_lane {
    _Alignas(64) _Atomic int64_t values[PS_METRIC_COUNT];
};

struct ps_metrics {
    unsigned lane_count; /* constant after create */
    struct ps_metrics_lane *lanes;
};

struct ps_buf;

/** `lane_count` at least 1: one per shard and a few for the others. Returns: PS_OK, PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_metrics_create(unsigned lane_count, struct ps_metrics **out);
void ps_metrics_destroy(struct ps_metrics *metrics); /* NULL is fine */

/** Add `n` (gauges go down with a negative one). Thread: any. */
static inline void ps_metrics_add(struct ps_metrics *metrics, unsigned lane, enum ps_metric id,
                                  int64_t n)
{
    if (lane >= metrics->lane_count)
        lane %= metrics->lane_count;
    atomic_fetch_add_explicit(&metrics->lanes[lane].values[id], n, memory_order_relaxed);
}

/** `n` messages entered over `transport` (PS_METRIC_MQTT_MESSAGES ...); they are in flight now. */
void ps_metrics_msg_received(struct ps_metrics *metrics, unsigned lane, enum ps_metric transport,
                             int64_t n);
/** `n` messages in flight are committed. */
void ps_metrics_msg_stored(struct ps_metrics *metrics, unsigned lane, int64_t n);
/** `n` messages in flight are over: refused or dropped, by `reason` PS_METRIC_REFUSED_... or
 *  PS_METRIC_DROPPED_..., which also counts the total. */
void ps_metrics_msg_lost(struct ps_metrics *metrics, unsigned lane, enum ps_metric reason,
                         int64_t n);

/** The sum over all lanes, now. Thread: any. */
int64_t ps_metrics_read(const struct ps_metrics *metrics, enum ps_metric id);

/** Append all metrics in Prometheus text format 0.0.4, names prefixed with "pacificsoft_". */
void ps_metrics_render(const struct ps_metrics *metrics, struct ps_buf *out);

#endif
