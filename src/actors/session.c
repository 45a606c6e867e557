#include "actors/session.h"

#include "actors/shard_state.h"
#include "core/prefetch.h"

static uint32_t session_count(const struct ps_actor *actor)
{
    uint32_t count = 0;
    for (const struct ps_session *session = actor->sessions; session; session = session->next)
        count++;
    return count;
}

enum ps_status ps_session_post(struct ps_session *session, struct ps_msg **msg)
{
    return ps_shard_deliver_to(session->actor, msg);
}

bool ps_session_has_room(const struct ps_session *session)
{
    return ps_shard_has_room(session->actor->shard, session->actor->share);
}

void ps_session_stall(struct ps_session *session, struct ps_shard_task *task)
{
    ps_shard_stall(session->actor->shard, session->actor->share, task);
}

void ps_session_fetch(const struct ps_session *session)
{
    ps_prefetch(session->actor, sizeof *session->actor);
}

struct ps_device_identity *ps_session_identity(const struct ps_session *session)
{
    return session->actor->identity;
}

void ps_session_close(struct ps_session *session)
{
    struct ps_actor *actor = session->actor;
    if (!actor)
        return;
    if (session->prev)
        session->prev->next = session->next;
    else
        actor->sessions = session->next;
    if (session->next)
        session->next->prev = session->prev;
    session->actor = NULL;
    session->next = session->prev = NULL;
    actor->last_activity_ms = actor->shard->mono_ms;
}

void ps_session_open(struct ps_session *session, struct ps_actor *actor)
{
    PS_ASSERT(!session->actor);
    while (session_count(actor) >= actor->shard->settings->sessions_per_device_max)
        ps_actor_end_session(actor->sessions, PS_SESSION_EVICTED);
    struct ps_session **link = &actor->sessions, *last = NULL;
    while (*link) {
        last = *link;
        link = &last->next;
    }
    *link = session;
    session->prev = last;
    session->next = NULL;
    session->actor = actor;
}

void ps_actor_end_session(struct ps_session *session, enum ps_session_end reason)
{
    ps_session_close(session);
    session->ops->end(session, reason);
}

void ps_actor_end_sessions(struct ps_actor *actor, enum ps_session_end reason)
{
    while (actor->sessions)
        ps_actor_end_session(actor->sessions, reason);
}
