/* session: a device's live connection, as its actor sees it.
 *
 * The transport embeds one, opens it on the device's shard and answers two calls: shared
 * attributes changed, and the session must end. Both run on the device's shard; a transport that
 * lives on another thread posts to its own port. Thread: all functions on the device's shard. */
#ifndef PS_ACTORS_SESSION_H
#define PS_ACTORS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/msg.h"
#include "core/status.h"
#include "core/value.h"

struct ps_actor;
struct ps_session;

enum ps_session_end {
    PS_SESSION_EVICTED,             /* another session of the device opened */
    PS_SESSION_CREDENTIALS_CHANGED, /* credentials, profile or tenant changed */
    PS_SESSION_DEVICE_DELETED,
    PS_SESSION_IDLE, /* nothing heard for the inactivity timeout */
    PS_SESSION_SERVER_STOPS,
};

struct ps_session_ops {
    /* SHARED attributes were written (values) or deleted (kvs hold keys, values NULL). */
    void (*shared_attributes)(struct ps_session *session, const struct ps_kv *kvs, size_t count,
                              bool deleted);
    /* Already removed from the actor when called. */
    void (*end)(struct ps_session *session, enum ps_session_end reason);
};

struct ps_session {
    const struct ps_session_ops *ops;
    struct ps_actor *actor; /* NULL = not open */
    struct ps_session *next, *prev;
    bool wants_shared_attributes;
};

/**
 * Hand a message to the actor of an open session: ps_actors_post() without looking the actor up.
 * Returns: as ps_actors_post().
 */
PS_MUST_CHECK
enum ps_status ps_session_post(struct ps_session *session, struct ps_msg **msg);

struct ps_shard_task;
/** False: the tenant's messages fill its part of the shard's buffers, or commits lag behind. Read
 * no more uplinks of this open session now, stall. */
bool ps_session_has_room(const struct ps_session *session);
/** Run the task once, when the tenant of this open session may have room again. */
void ps_session_stall(struct ps_session *session, struct ps_shard_task *task);

/** A message for the actor is about to come: ask for its memory. Fine if the session is not open.
 */
void ps_session_fetch(const struct ps_session *session);

struct ps_device_identity;
/** What the actor knows of its device; borrowed, while the session is open. One copy for both saves
 *  memory and cache. */
struct ps_device_identity *ps_session_identity(const struct ps_session *session);

/** Add the session; the oldest beyond transport.max_sessions_per_device ends as EVICTED. */
void ps_session_open(struct ps_session *session, struct ps_actor *actor);
/** Remove it; fine if it is not open. */
void ps_session_close(struct ps_session *session);

#endif
