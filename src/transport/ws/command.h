/* command: what a client's frame asks for. Text in, structs out, no I/O (sections 3 and 4).
 *
 * Both envelopes are read, on any endpoint: {"authCmd":..,"cmds":[{"type":..}]} and the legacy
 * groups {"tsSubCmds":[..],"historyCmds":[..],"attrSubCmds":[..],...}; in one frame `cmds` come
 * first, then the groups in the contract's order. Unknown members are ignored. A malformed command
 * is rejected alone: it stays in its place with an error code and text for its own cmdId. */
#ifndef PS_TRANSPORT_WS_COMMAND_H
#define PS_TRANSPORT_WS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/telemetry/point.h"
#include "core/text.h"
#include "core/uuid.h"
#include "rules/host.h"
#include "transport/ws/frame.h"

enum {
    PS_WS_LIMIT_DEFAULT = 100,
    PS_WS_LIMIT_MAX = 50000,     /* points per key, also thinned ones; more means so many */
    PS_WS_UNREADABLE_CMD_ID = 1, /* the id in answers to what has none of its own */
};

enum ps_ws_command_type {
    PS_WS_TIMESERIES,
    PS_WS_ATTRIBUTES,
    PS_WS_HISTORY,
    PS_WS_NOTIFICATIONS_COUNT,
    PS_WS_NOTIFICATIONS,
    PS_WS_IGNORED,     /* accepted, nothing to do and nothing to answer */
    PS_WS_UNAVAILABLE, /* of the contract, not in this version: always has an error */
};

/* Key names, sorted, each once. Owned. */
struct ps_ws_keys {
    char **names;
    size_t count;
};

struct ps_ws_command {
    enum ps_ws_command_type type;
    int32_t cmd_id;
    enum ps_ws_error error; /* not 0: answer it with `why`; the rest is meaningless */
    struct ps_text why;

    struct ps_entity_id entity;
    struct ps_ws_keys keys; /* none = all keys */
    bool unsubscribe;
    bool unsubscribe_all; /* unsubscribe with an empty entityId */
    bool latest_only;     /* TIMESERIES with scope LATEST_TELEMETRY */
    bool all_scopes;      /* ATTRIBUTES without scope */
    enum ps_attribute_scope scope;
    bool windowed; /* the snapshot is query's points, not the latest values */
    struct ps_history_query query;
};

struct ps_ws_request {
    bool has_auth;
    char *token;  /* owned, terminated; NULL if authCmd holds none */
    bool api_key; /* authCmd holds an apiKey instead */
    struct ps_ws_command *commands;
    size_t count;
};

/**
 * Parse one text frame.
 *
 * Returns: PS_OK *out is the caller's to deinit; PS_EPROTO the frame as a whole cannot be read,
 *          `why` holds the parser's text; PS_ENOMEM. `out` is untouched on failure.
 */
PS_MUST_CHECK
enum ps_status ps_ws_request_parse(const char *text, size_t len, struct ps_ws_request *out,
                                   struct ps_text *why);
void ps_ws_request_deinit(struct ps_ws_request *request);

void ps_ws_keys_deinit(struct ps_ws_keys *keys);

#endif
