/* config: one table of settings, and where their values come from.
 *
 * A setting is one row below: section, key, default, range, unit, whether SIGHUP applies a change,
 * and what it does. The struct, the parser, the environment names, `check-config` and the test that
 * compares conf/pacificsoft.conf with it are all made from these rows.
 *
 * Precedence: --set over environment (PACIFICSOFT_SECTION_KEY) over file over default. An unknown
 * name is refused with the nearest known one, a bad value with its range.
 *
 *     BOOL(section, key, default, reload, effect)
 *     INT(section, key, default, min, max, unit, reload, effect)
 *     TEXT(section, key, default, reload, effect)
 *     ENUM(section, key, default, choices separated by '|' in enum order, reload, effect) */
#ifndef PS_CORE_CONFIG_H
#define PS_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

enum { PS_CONFIG_TEXT_SIZE = 512 };

#define PS_CONFIG_KIB 1024ll
#define PS_CONFIG_MIB (1024ll * 1024)
#define PS_CONFIG_GIB (1024ll * 1024 * 1024)
#define PS_CONFIG_DAY_MS (24ll * 3600 * 1000)
#define PS_CONFIG_YEAR_S (365ll * 24 * 3600)

/* clang-format off */
#define PS_CONFIG_LIST(BOOL, INT, TEXT, ENUM)                                                      \
    INT(server, stop_timeout_ms, 10000, 100, 600000, "milliseconds", RESTART,                      \
        "how long a stop may drain before it is cut short")                                        \
                                                                                                   \
    TEXT(storage, dir, "./data", RESTART,                                                          \
        "the only directory that is written to; --data sets it")                                   \
    INT(storage, batch_bytes_max, 1 * PS_CONFIG_MIB, 4 * PS_CONFIG_KIB, 64 * PS_CONFIG_MIB,        \
        "bytes", RESTART,                                                                          \
        "a shard hands its batch to the writer at this size, and is full at twice this size")      \
    INT(storage, checkpoint_bytes, 16 * PS_CONFIG_MIB, 1 * PS_CONFIG_MIB, 1 * PS_CONFIG_GIB,       \
        "bytes", RESTART,                                                                          \
        "size of the write-ahead log at which it is checkpointed, outside the commit path")        \
    INT(storage, reader_threads, 4, 1, 64, "threads", RESTART,                                     \
        "threads that answer history and list queries")                                            \
    INT(storage, reader_jobs_max, 1024, 16, 100000, "jobs", RESTART,                               \
        "queries that may wait for a reader; more are answered 503")                               \
    INT(storage, dead_letter_max_bytes, 64 * PS_CONFIG_MIB, 1 * PS_CONFIG_MIB,                     \
        100 * PS_CONFIG_GIB, "bytes", RESTART,                                                     \
        "messages kept because processing failed; the oldest go first")                            \
                                                                                                   \
    INT(storage, reserve_bytes, 64 * PS_CONFIG_MIB, 0, 1024 * PS_CONFIG_GIB, "bytes", RESTART,      \
        "free disk space below which telemetry is refused, or the oldest goes; 0 = none kept")     \
    BOOL(storage, shed_oldest, false, RESTART,                                                     \
        "when space runs out, delete the oldest telemetry file instead of refusing new points")    \
                                                                                                   \
    INT(telemetry, head_points_max, 32, 1, 65536, "points", RESTART,                              \
        "newest points of a series kept in memory")                                                \
    INT(telemetry, head_memory_max_bytes, 256 * PS_CONFIG_MIB, 1 * PS_CONFIG_MIB,                  \
        1024 * PS_CONFIG_GIB, "bytes", RESTART,                                                    \
        "memory for the newest points of all series together")                                     \
    ENUM(telemetry, range, "week", "day|week|month", RESTART,                                      \
        "span of time that shares a file; a file whose points are all expired is deleted")         \
    INT(telemetry, ttl_days, 0, 0, 36500, "days", RESTART,                                         \
        "how long points are kept where message, profile and tenant do not say; 0 = for ever")     \
    INT(telemetry, journal_bytes_max, 8 * PS_CONFIG_MIB, 64 * PS_CONFIG_KIB,                       \
        1 * PS_CONFIG_GIB, "bytes", RESTART,                                                       \
        "points in the journal at which they are sealed into compressed files")                    \
    INT(telemetry, seal_interval_ms, 600000, 100, 7 * PS_CONFIG_DAY_MS, "milliseconds", RESTART,   \
        "points in the journal are sealed at least this often")                                    \
    INT(telemetry, seal_memory_bytes, 64 * PS_CONFIG_MIB, 1 * PS_CONFIG_MIB,                       \
        64 * PS_CONFIG_GIB, "bytes", RESTART,                                                      \
        "memory for sorting points while they are sealed")                                         \
                                                                                                   \
    INT(actors, shards, 0, 0, 256, "threads", RESTART,                                             \
        "threads that run devices and their connections; 0 = one per core")                        \
    INT(actors, mailbox_messages_max, 10000, 16, 10000000, "messages", RESTART,                    \
        "messages that may wait for one entity; then its transports are held back")                \
    INT(actors, mailbox_bytes_max, 16 * PS_CONFIG_MIB, 64 * PS_CONFIG_KIB, 1 * PS_CONFIG_GIB,      \
        "bytes", RESTART,                                                                          \
        "bytes that may wait for one entity; then its transports are held back")                   \
    INT(actors, idle_park_ms, 600000, 1000, 7 * PS_CONFIG_DAY_MS, "milliseconds", RESTART,         \
        "an entity without session, message or timer leaves memory after this time")               \
    INT(actors, turn_messages, 32, 1, 10000, "messages", RESTART,                                  \
        "messages an entity handles before the next one gets its turn")                            \
    INT(actors, turn_us, 2000, 50, 1000000, "microseconds", RESTART,                               \
        "time an entity may use before the next one gets its turn")                                \
                                                                                                   \
    INT(transport, session_inactivity_timeout_ms, 600000, 1000, 7 * PS_CONFIG_DAY_MS,              \
        "milliseconds", RESTART,                                                                   \
        "a session with no message and no keep-alive for this long is closed")                     \
    INT(transport, max_sessions_per_device, 1, 1, 1000, "sessions", RESTART,                       \
        "sessions one device may hold at a time; one more closes the oldest")                      \
    BOOL(transport, json_type_cast_enabled, true, RESTART,                                         \
        "text that looks like a number becomes one")                                               \
    INT(transport, json_max_string_value_length, 0, 0, 16 * PS_CONFIG_MIB, "bytes", RESTART,       \
        "longest text value of a key; 0 = only the payload limit")                                 \
                                                                                                   \
    TEXT(mqtt, bind, "127.0.0.1", RESTART,                                                         \
        "address MQTT listens on; 0.0.0.0 or :: for all")                                          \
    INT(mqtt, port, 1883, 0, 65535, "port", RESTART,                                               \
        "port MQTT listens on; 0 = any free one")                                                  \
    INT(mqtt, max_payload_size, 65536, 1024, 256 * PS_CONFIG_KIB, "bytes", RESTART,                \
        "largest packet a client may send, counted after its fixed header")                        \
    BOOL(mqtt, strict_filters, false, RESTART,                                                     \
        "refuse subscriptions to topics that are not the device's own")                            \
    INT(mqtt, connect_timeout_ms, 10000, 100, 600000, "milliseconds", RESTART,                     \
        "a connection that has not sent a whole CONNECT by then is closed")                        \
    INT(mqtt, connections_max, 0, 0, 10000000, "connections", RESTART,                             \
        "open MQTT connections; 0 = what the limit of open files allows")                          \
    INT(mqtt, output_bytes_max, 1 * PS_CONFIG_MIB, 16 * PS_CONFIG_KIB, 256 * PS_CONFIG_MIB,        \
        "bytes", RESTART,                                                                          \
        "bytes a client may leave unread before it is disconnected")                               \
                                                                                                   \
    TEXT(http, bind, "127.0.0.1", RESTART,                                                         \
        "address HTTP and WebSocket listen on; 0.0.0.0 or :: for all")                             \
    INT(http, port, 8080, 0, 65535, "port", RESTART,                                               \
        "port HTTP and WebSocket listen on; 0 = any free one")                                     \
    INT(http, threads, 2, 1, 64, "threads", RESTART,                                               \
        "threads that serve HTTP")                                                                 \
    INT(http, connections_max, 4096, 16, 1000000, "connections", RESTART,                          \
        "open HTTP connections; more wait to be accepted")                                         \
    INT(http, header_timeout_ms, 10000, 100, 600000, "milliseconds", RESTART,                      \
        "a connection that has not sent its request header by then is closed")                     \
    INT(http, request_timeout_ms, 60000, 1000, 600000, "milliseconds", RESTART,                    \
        "a request that is not answered by then gets 503; also the idle time of a connection")     \
    INT(http, max_payload_size, 52428800, 1024, 1 * PS_CONFIG_GIB, "bytes", RESTART,               \
        "largest request body, whatever the path")                                                 \
    INT(http, rpc_max_payload_size, 65536, 1024, 16 * PS_CONFIG_MIB, "bytes", RESTART,             \
        "largest body of a device RPC request or answer")                                          \
    INT(http, rest_max_payload_size, 16777216, 1024, 1 * PS_CONFIG_GIB, "bytes", RESTART,          \
        "largest body of a REST request")                                                          \
                                                                                                   \
    TEXT(coap, bind, "127.0.0.1", RESTART,                                                         \
        "address CoAP listens on; 0.0.0.0 or :: for all")                                          \
    INT(coap, port, 5683, 0, 65535, "port", RESTART,                                               \
        "port CoAP listens on; 0 = any free one")                                                  \
    INT(coap, max_idle_sessions, 32, 1, 10000, "sessions", RESTART,                                \
        "idle peers remembered; each costs time in every step of the loop")                        \
    INT(coap, max_payload_size, 65536, 1024, 16 * PS_CONFIG_MIB, "bytes", RESTART,                 \
        "largest body of a request, all its blocks together")                                      \
    INT(coap, timeout_ms, 10000, 100, 600000, "milliseconds", RESTART,                             \
        "a request that is not answered by then gets 5.04")                                        \
    INT(coap, piggyback_timeout_ms, 500, 0, 10000, "milliseconds", RESTART,                        \
        "answers sooner than this ride on the acknowledgement, later ones come separately")        \
                                                                                                   \
    INT(ws, auth_timeout_ms, 10000, 100, 600000, "milliseconds", RESTART,                          \
        "a WebSocket that has not authenticated by then is closed")                                \
    INT(ws, queue_frames_max, 1000, 1, 1000000, "frames", RESTART,                                 \
        "frames that may wait for a slow reader before it is disconnected")                        \
    INT(ws, queue_bytes_max, 16 * PS_CONFIG_MIB, 64 * PS_CONFIG_KIB, 1 * PS_CONFIG_GIB, "bytes",   \
        RESTART,                                                                                   \
        "bytes that may wait for a slow reader before it is disconnected")                         \
    INT(ws, frame_bytes_max, 32768, 1024, 16 * PS_CONFIG_MIB, "bytes", RESTART,                    \
        "largest frame a client may send")                                                         \
    INT(ws, ping_interval_ms, 10000, 100, 600000, "milliseconds", RESTART,                         \
        "a ping is sent this often")                                                               \
    INT(ws, ping_timeout_ms, 30000, 200, 3600000, "milliseconds", RESTART,                         \
        "a WebSocket that is silent for this long is closed")                                      \
    INT(ws, sessions_max, 10000, 1, 1000000, "sessions", RESTART,                                  \
        "open WebSockets; more are refused")                                                       \
                                                                                                   \
    INT(auth, access_token_s, 9000, 10, 30 * 24 * 3600, "seconds", RESTART,                        \
        "life of an access token")                                                                 \
    INT(auth, refresh_token_s, 604800, 60, PS_CONFIG_YEAR_S, "seconds", RESTART,                   \
        "life of a refresh token")                                                                 \
    TEXT(auth, token_issuer, "thingsboard.io", RESTART,                                            \
        "the iss claim of tokens; others are refused")                                             \
                                                                                                   \
    INT(lua, instructions_max, 1000000, 1000, 1000000000, "instructions", RESTART,                 \
        "Lua instructions one call of a script may run")                                           \
    INT(lua, wall_ms_max, 50, 1, 10000, "milliseconds", RESTART,                                   \
        "time one call of a script may take")                                                      \
    INT(lua, call_bytes_max, 8 * PS_CONFIG_MIB, 64 * PS_CONFIG_KIB, 1 * PS_CONFIG_GIB, "bytes",    \
        RESTART,                                                                                   \
        "memory one call of a script may add")                                                     \
    INT(lua, state_bytes_max, 64 * PS_CONFIG_MIB, 1 * PS_CONFIG_MIB, 4 * PS_CONFIG_GIB, "bytes",   \
        RESTART,                                                                                   \
        "memory of all scripts of one tenant on one shard")                                        \
                                                                                                   \
    INT(rules, executions_max, 1000, 10, 1000000, "executions", RESTART,                           \
        "nodes one message may visit, all its branches together")                                  \
    INT(rules, message_timeout_ms, 10000, 100, 600000, "milliseconds", RESTART,                    \
        "a message that is not finished by then has failed")                                       \
                                                                                                   \
    ENUM(log, level, "info", "debug|info|warn|error|off", RELOAD,                                  \
        "least severe events that are logged")                                                     \
    TEXT(log, levels, "", RELOAD,                                                                  \
        "levels of single areas, e.g. mqtt=debug,rules=warn")                                      \
    ENUM(log, format, "logfmt", "logfmt|json", RELOAD,                                             \
        "form of a line: key=value, or one JSON object")
/* clang-format on */

/* One plain field per setting, named section_key. An ENUM is its position among the choices, which
 * is the order of the C enum it stands for (log_level: enum ps_log_level). */
struct ps_config {
#define PS_CONFIG_BOOL_FIELD(section, key, ...) bool section##_##key;
#define PS_CONFIG_INT_FIELD(section, key, ...) int64_t section##_##key;
#define PS_CONFIG_TEXT_FIELD(section, key, ...) char section##_##key[PS_CONFIG_TEXT_SIZE];
#define PS_CONFIG_ENUM_FIELD(section, key, ...) int section##_##key;
    PS_CONFIG_LIST(PS_CONFIG_BOOL_FIELD, PS_CONFIG_INT_FIELD, PS_CONFIG_TEXT_FIELD,
                   PS_CONFIG_ENUM_FIELD)
#undef PS_CONFIG_BOOL_FIELD
#undef PS_CONFIG_INT_FIELD
#undef PS_CONFIG_TEXT_FIELD
#undef PS_CONFIG_ENUM_FIELD
};

enum ps_config_type { PS_CONFIG_BOOL, PS_CONFIG_INT, PS_CONFIG_TEXT, PS_CONFIG_ENUM };

/* A row of the table, for whoever lists settings. */
struct ps_config_setting {
    const char *section, *key;
    enum ps_config_type type;
    size_t offset;            /* of its field in struct ps_config */
    const char *default_text; /* TEXT, ENUM; else "" */
    int64_t default_int;      /* INT, BOOL; else 0 */
    int64_t min, max;         /* INT */
    const char *unit;         /* INT; else "" */
    const char *choices;      /* ENUM: "a|b|c"; else "" */
    bool reloadable;
    const char *effect;
};

/* Where values come from, weakest first. */
struct ps_config_sources {
    const char *file;         /* path of an INI file, or NULL */
    char *const *environment; /* NULL-terminated "NAME=value", or NULL */
    const char *const *sets;  /* "section.key=value" in order; the last one wins */
    size_t set_count;
};

/** Every setting at its default. */
void ps_config_init(struct ps_config *config);

/**
 * Defaults, then file, environment and --set, each over the ones before.
 *
 * Returns: PS_OK; PS_ENOTFOUND the file cannot be read; PS_EINVAL a bad line, name or value: `why`
 *          names the source, the setting, what was given and what is allowed. `out` is untouched
 *          on failure.
 * Thread:  any.
 */
PS_MUST_CHECK
enum ps_status ps_config_load(struct ps_config *out, const struct ps_config_sources *sources,
                              struct ps_text *why);

/** Set one value from text. Returns: PS_OK, or PS_EINVAL with `why` and nothing changed. */
PS_MUST_CHECK
enum ps_status ps_config_set(struct ps_config *config, const char *section, const char *key,
                             const char *value, struct ps_text *why);

/** Take the reloadable settings of `from`. Returns: how many others differ and wait for a restart.
 */
size_t ps_config_reload(struct ps_config *config, const struct ps_config *from);

/** The table, in the order of conf/pacificsoft.conf. */
const struct ps_config_setting *ps_config_settings(size_t *count);

/** The value of a setting as text that ps_config_set() would take; cut if `out` is too small. */
void ps_config_format(const struct ps_config *config, const struct ps_config_setting *setting,
                      char *out, size_t size);

#endif
