/* interest: what one subscription wants to hear of an entity's changes. The rules of section 4.3.
 *
 * An ask is what the client said, constant and counted, because reader jobs outlive the
 * subscription they work for. An interest is the ask plus what has been told so far: subscriptions
 * of latest values remember the newest ts per key and take nothing older; the others do so only
 * between registration and snapshot, where an update may be older than what was read, or the same.
 *
 * Pure: no I/O. Asks are retained and released on the WebSocket thread only. */
#ifndef PS_TRANSPORT_WS_INTEREST_H
#define PS_TRANSPORT_WS_INTEREST_H

#include "actors/subscribers.h"
#include "core/auth/permission.h"
#include "transport/ws/command.h"
#include "transport/ws/frame.h"

enum { PS_WS_NEWEST_KEYS_MAX = 10000 };

struct ps_ws_ask {
    uint32_t references;
    int32_t cmd_id;
    enum ps_ws_command_type type; /* TIMESERIES, ATTRIBUTES or HISTORY */
    struct ps_principal principal;
    struct ps_entity_id entity;
    struct ps_ws_keys keys; /* none = all */
    bool latest_only;
    bool all_scopes;
    enum ps_attribute_scope scope;
    bool windowed;
    struct ps_history_query query;
    _Atomic bool over; /* nobody waits for its answer any more: told to the reader */
};

/** Takes the keys out of the command. Returns: one reference, or NULL if memory is short. */
struct ps_ws_ask *ps_ws_ask_create(struct ps_ws_command *command,
                                   const struct ps_principal *principal);
struct ps_ws_ask *ps_ws_ask_retain(struct ps_ws_ask *ask);
void ps_ws_ask_release(struct ps_ws_ask *ask); /* NULL is fine */

/** How waiting updates of this subscription may be merged. */
enum ps_ws_merge ps_ws_ask_merge(const struct ps_ws_ask *ask);
bool ps_ws_ask_has_key(const struct ps_ws_ask *ask, const char *key, size_t len);

/* The newest ts told, by scope and key; sorted. Zeroed = empty. */
struct ps_ws_newest_entry {
    char *key; /* owned, terminated */
    unsigned scope;
    int64_t ts_ms;
    uint64_t value_hash; /* of the snapshot's value */
};

struct ps_ws_newest {
    struct ps_ws_newest_entry *entries;
    size_t count, cap;
};

void ps_ws_newest_deinit(struct ps_ws_newest *newest);
/** The entry of a key, or NULL. */
struct ps_ws_newest_entry *ps_ws_newest_find(const struct ps_ws_newest *newest, unsigned scope,
                                             const char *key, size_t len);
/** Set it; what does not fit any more (memory, PS_WS_NEWEST_KEYS_MAX) is not remembered. */
void ps_ws_newest_note(struct ps_ws_newest *newest, unsigned scope, const char *key, size_t len,
                       int64_t ts_ms, const struct ps_value *value);

struct ps_ws_interest {
    struct ps_ws_ask *ask;
    struct ps_ws_newest newest;
    bool settled; /* the snapshot is out */
};

/**
 * Which key-values of an update the ask is about.
 * @param picked  room for update->kv_count indices
 * Returns: how many; 0 also if the update is of another kind or scope
 */
size_t ps_ws_ask_pick(const struct ps_ws_ask *ask, const struct ps_update *update,
                      uint32_t *picked);

/** The row of one key-value; text is borrowed from the update. */
struct ps_ws_row ps_ws_update_row(const struct ps_update *update, uint32_t index);

/** Is the row news? Remembers it if so. */
bool ps_ws_interest_admit(struct ps_ws_interest *interest, const struct ps_ws_row *row);

/**
 * The snapshot is out: take over what it told, and reduce what was buffered meanwhile.
 *
 * @param newest    taken; zeroed on return
 * @param buffered  what arrived since registration, or NULL
 * @param out       PS_OK: the delta to send after the snapshot, or NULL if nothing is left
 * Returns: PS_OK or PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_ws_interest_settle(struct ps_ws_interest *interest, struct ps_ws_newest *newest,
                                     const struct ps_ws_delta *buffered, struct ps_ws_delta **out);

#endif
