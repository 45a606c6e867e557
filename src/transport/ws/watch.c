#include "transport/ws/watch.h"

#include <stdlib.h>

#include "core/log.h"
#include "transport/ws/subscription.h"

static struct ps_ws_watch *find(const struct ps_ws *ws, const struct ps_entity_id *entity)
{
    struct ps_ws_link *link = ps_ws_table_first(&ws->watches, ps_uuid_hash(&entity->id));
    for (; link; link = ps_ws_table_next(link)) {
        struct ps_ws_watch *watch = PS_WS_OBJECT(link, struct ps_ws_watch, link);
        if (ps_uuid_equal(&watch->entity.id, &entity->id))
            return watch;
    }
    return NULL;
}

static void drop(struct ps_ws_watch *watch)
{
    if (watch->started)
        ps_watch_stop(watch->ws->services.actors, &watch->ws->hub, &watch->tenant, &watch->entity);
    ps_ws_table_remove(&watch->ws->watches, &watch->link);
    free(watch);
}

/* The shard's answer. Everyone may have left meanwhile. */
static void started(struct ps_port_item *item, void *owner)
{
    struct ps_ws_watch *watch = PS_WS_OBJECT(item, struct ps_ws_watch, request.item);
    (void)owner;
    watch->ws->watches_starting--;
    enum ps_status st = watch->request.status;
    watch->answered = true;
    watch->started = st == PS_OK;
    struct ps_ws_sub *sub = watch->subs;
    if (!sub) {
        drop(watch);
        return;
    }
    /* A failed watch is freed when its last subscription, which ends now, leaves. */
    while (sub) {
        struct ps_ws_sub *next = sub->watch_next;
        ps_ws_sub_registered(sub, st);
        sub = next;
    }
}

static struct ps_ws_watch *start(struct ps_ws_sub *sub)
{
    struct ps_ws *ws = sub->session->ws;
    struct ps_ws_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->ws = ws;
    watch->tenant = sub->tenant;
    watch->entity = sub->interest.ask->entity;
    watch->request.call.tenant = watch->tenant;
    watch->request.call.entity = watch->entity;
    watch->request.hub = &ws->hub;
    watch->request.item.run = started;
    ps_ws_table_insert(&ws->watches, &watch->link, ps_uuid_hash(&watch->entity.id));
    ws->watches_starting++;
    ps_watch_start(ws->services.actors, &watch->request);
    return watch;
}

enum ps_status ps_ws_watch_join(struct ps_ws_sub *sub, bool *is_started)
{
    struct ps_ws_watch *watch = find(sub->session->ws, &sub->interest.ask->entity);
    if (!watch && !(watch = start(sub)))
        return PS_ENOMEM;
    sub->watch = watch;
    sub->watch_prev = NULL;
    sub->watch_next = watch->subs;
    if (watch->subs)
        watch->subs->watch_prev = sub;
    watch->subs = sub;
    *is_started = watch->started;
    return PS_OK;
}

void ps_ws_watch_leave(struct ps_ws_sub *sub)
{
    struct ps_ws_watch *watch = sub->watch;
    if (!watch)
        return;
    if (sub->watch_prev)
        sub->watch_prev->watch_next = sub->watch_next;
    else
        watch->subs = sub->watch_next;
    if (sub->watch_next)
        sub->watch_next->watch_prev = sub->watch_prev;
    sub->watch = NULL;
    sub->watch_next = sub->watch_prev = NULL;
    if (!watch->subs && watch->answered)
        drop(watch);
}

/* --- updates --- */

static void refresh_session(struct ps_ws_link *link, void *context)
{
    (void)context;
    ps_ws_subs_refresh(PS_WS_OBJECT(link, struct ps_ws_session, link));
}

/* More updates came than this thread took: what clients hold may be old, so they are told anew. */
static void notice_lost(struct ps_ws *ws)
{
    uint64_t lost = atomic_load_explicit(&ws->hub.lost, memory_order_relaxed);
    if (lost == ws->lost_seen)
        return;
    struct ps_log_line line;
    if (ps_log_begin(&line, PS_LOG_WARN, "ws", "updates_lost")) {
        ps_log_int(&line, "count", (int64_t)(lost - ws->lost_seen));
        ps_log_end(&line);
    }
    ws->lost_seen = lost;
    ps_ws_table_each(&ws->sessions, refresh_session, NULL);
}

/* Room for the indices of all key-values of an update. */
static bool picks_fit(struct ps_ws *ws, size_t count)
{
    if (count <= ws->picked_cap)
        return true;
    uint32_t *picked = realloc(ws->picked, count * sizeof *picked);
    if (picked)
        ws->picked = picked;
    uint32_t *shared = realloc(ws->shared, count * sizeof *shared);
    if (shared)
        ws->shared = shared;
    if (!picked || !shared)
        return false;
    ws->picked_cap = count;
    return true;
}

static void deliver(struct ps_ws *ws, const struct ps_update *update)
{
    struct ps_ws_watch *watch = find(ws, &update->entity);
    if (!watch || !watch->started)
        return;
    if (!picks_fit(ws, update->kv_count)) {
        atomic_fetch_add_explicit(&ws->hub.lost, 1, memory_order_relaxed);
        return;
    }
    struct ps_ws_fanout fanout = { .ws = ws, .update = update };
    for (struct ps_ws_sub *sub = watch->subs; sub; sub = sub->watch_next)
        ps_ws_sub_deliver(sub, &fanout);
    ps_ws_delta_release(fanout.shared);
}

static void update_arrived(struct ps_port_item *item, void *owner)
{
    struct ps_ws *ws = owner;
    struct ps_update *update = PS_WS_OBJECT(item, struct ps_update, item);
    if (!ws->stopping) {
        deliver(ws, update);
        notice_lost(ws);
    }
    ps_update_done(&ws->hub, update);
}

void ps_ws_watches_init(struct ps_ws *ws)
{
    ws->hub.port = &ws->port;
    ws->hub.run = update_arrived;
    ws->hub.outstanding_max = PS_WS_UPDATES_MAX;
}
