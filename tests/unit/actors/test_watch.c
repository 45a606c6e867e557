/* Watching: started after all that was committed before, then every change, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/actors_world.h"

enum { SEEN_MAX = 256 };

struct watcher {
    struct actors_world w; /* first: the owner of the port */
    struct ps_update_hub hub;
    struct ps_watch watch;
    unsigned started, updates;
    int64_t values[SEEN_MAX];
    enum ps_update_kind kinds[SEEN_MAX];
    bool keep; /* a slow reader: updates are not given back */
    struct ps_update *kept[SEEN_MAX];
};

static void watch_started(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct watcher *)owner)->started++;
}

static void update_came(struct ps_port_item *item, void *owner)
{
    struct watcher *watcher = owner;
    struct ps_update *update = (struct ps_update *)item; /* its first member */
    assert_true(ps_uuid_equal(&update->entity.id, &watcher->w.device.entity.id));
    unsigned at = watcher->updates++ % SEEN_MAX;
    watcher->values[at] = update->kv_count ? update->kvs[0].value.integer : -1;
    watcher->kinds[at] = update->kind;
    if (watcher->keep)
        watcher->kept[at] = update;
    else
        ps_update_done(&watcher->hub, update);
}

static void watcher_init(struct watcher *watcher)
{
    memset(watcher, 0, sizeof *watcher);
    actors_world_init(&watcher->w);
    watcher->hub = (struct ps_update_hub){ .port = &watcher->w.port,
                                           .run = update_came,
                                           .outstanding_max = 1000 };
}

static void start_watch(struct watcher *watcher)
{
    watcher->watch = (struct ps_watch){ .hub = &watcher->hub, .item = { .run = watch_started } };
    watcher->watch.call.tenant = watcher->w.device.tenant;
    watcher->watch.call.entity = watcher->w.device.entity;
    ps_watch_start(watcher->w.actors, &watcher->watch);
}

static void stop_watch(struct watcher *watcher)
{
    ps_watch_stop(watcher->w.actors, &watcher->hub, &watcher->w.device.tenant,
                  &watcher->w.device.entity);
}

static void watching_starts_after_what_was_sent_before_is_committed(void **state)
{
    (void)state;
    struct watcher watcher;
    struct held_commit held;
    struct sent sent = { .order = NULL };
    watcher_init(&watcher);
    struct actors_world *w = &watcher.w;
    actors_world_start(w);
    actors_world_hold_commits(w, &held);
    actors_world_send(w, PS_MSG_POST_TELEMETRY, "temp", 1, 1, &sent);
    actors_world_wait_metric(w, PS_METRIC_TURNS, 1);
    start_watch(&watcher);
    for (unsigned i = 0; i < 10; i++)
        ps_port_wait(&w->port, &watcher, 5);
    assert_int_equal(watcher.started, 0);
    actors_world_let_commit(&held);
    actors_world_wait(w, &watcher.started, 1);
    assert_int_equal(watcher.watch.status, PS_OK);
    assert_int_equal(actors_world_latest(w, "temp"), 1); /* before: readable */
    assert_int_equal(watcher.updates, 0);
    for (int i = 2; i < 40; i++)
        assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", i, i), PS_OK);
    actors_world_wait(w, &watcher.updates, 38); /* after: told, in order */
    for (unsigned i = 0; i < 38; i++)
        assert_int_equal(watcher.values[i], i + 2);
    assert_int_equal(watcher.hub.outstanding, 0);
    actors_world_deinit(w);
}

static void two_watches_need_two_stops(void **state)
{
    (void)state;
    struct watcher watcher;
    watcher_init(&watcher);
    struct actors_world *w = &watcher.w;
    actors_world_start(w);
    for (unsigned i = 1; i <= 2; i++) {
        start_watch(&watcher);
        actors_world_wait(w, &watcher.started, i);
    }
    stop_watch(&watcher);
    assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    actors_world_wait(w, &watcher.updates, 1);
    stop_watch(&watcher);
    assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", 2, 2), PS_OK);
    for (unsigned i = 0; i < 3; i++)
        ps_port_wait(&w->port, &watcher, 5);
    assert_int_equal(watcher.updates, 1);
    actors_world_deinit(w);
}

static enum ps_status exec(struct ps_db *db, void *arg)
{
    return ps_db_exec(db, arg);
}

static void what_was_not_committed_is_not_told(void **state)
{
    (void)state;
    struct watcher watcher;
    watcher_init(&watcher);
    struct actors_world *w = &watcher.w;
    actors_world_start(w);
    start_watch(&watcher);
    actors_world_wait(w, &watcher.started, 1);
    assert_int_equal(ps_writer_call(w->settings.writer, exec,
                                    "CREATE TRIGGER boom BEFORE INSERT ON journal"
                                    " BEGIN SELECT RAISE(ABORT, 'boom'); END"),
                     PS_OK);
    assert_int_not_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    assert_int_equal(ps_writer_call(w->settings.writer, exec, "DROP TRIGGER boom"), PS_OK);
    assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", 2, 2), PS_OK);
    actors_world_wait(w, &watcher.updates, 1);
    assert_int_equal(watcher.values[0], 2);
    actors_world_deinit(w);
}

static void a_slow_watcher_loses_updates_and_is_told_how_many(void **state)
{
    (void)state;
    struct watcher watcher;
    watcher_init(&watcher);
    struct actors_world *w = &watcher.w;
    watcher.hub.outstanding_max = 3;
    watcher.keep = true;
    actors_world_start(w);
    start_watch(&watcher);
    actors_world_wait(w, &watcher.started, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", i, i), PS_OK);
    assert_int_equal(watcher.updates, 3);
    assert_int_equal(watcher.hub.lost, 7);
    for (unsigned i = 0; i < 3; i++)
        ps_update_done(&watcher.hub, watcher.kept[i]);
    assert_int_equal(watcher.hub.outstanding, 0);
    actors_world_deinit(w);
}

/* A chain may show values without keeping them. */
static void values_that_are_only_shown_are_shown_at_once(void **state)
{
    (void)state;
    struct watcher watcher;
    watcher_init(&watcher);
    struct actors_world *w = &watcher.w;
    actors_world_chain(w, "{firstNodeIndex:0,nodes:[{type:'action.save_timeseries',name:'S',"
                          "configuration:{processingSettings:{type:'WEBSOCKETS_ONLY'}}}],"
                          "connections:[]}");
    actors_world_start(w);
    start_watch(&watcher);
    actors_world_wait(w, &watcher.started, 1);
    assert_int_equal(actors_world_do(w, PS_MSG_POST_TELEMETRY, "temp", 5, 5), PS_OK);
    actors_world_wait(w, &watcher.updates, 1);
    assert_int_equal(watcher.values[0], 5);
    assert_int_equal(actors_world_number(w, "SELECT count(*) FROM journal"), 0);
    actors_world_deinit(w);
}

static enum ps_status delete_device(struct ps_db *db, void *arg)
{
    return ps_device_delete(db, arg);
}

static void a_deleted_device_leaves_memory_though_it_was_watched(void **state)
{
    (void)state;
    struct watcher watcher;
    watcher_init(&watcher);
    struct actors_world *w = &watcher.w;
    w->settings.idle_park_ms = 20;
    actors_world_start(w);
    start_watch(&watcher);
    actors_world_wait(w, &watcher.started, 1);
    assert_int_equal(ps_writer_call(w->settings.writer, delete_device, &w->device.entity.id),
                     PS_OK);
    ps_entity_changed(w->actors, &w->device, true, PS_SESSION_DEVICE_DELETED);
    stop_watch(&watcher);
    actors_world_wait_metric(w, PS_METRIC_ACTORS_PARKED, 1);
    assert_int_equal(actors_world_metric(w, PS_METRIC_ACTORS), 0);
    actors_world_deinit(w);
}

static void nobody_is_watched_who_does_not_exist(void **state)
{
    (void)state;
    struct watcher watcher;
    watcher_init(&watcher);
    watcher.w.device.entity.id = ps_uuid_random();
    actors_world_start(&watcher.w);
    start_watch(&watcher);
    actors_world_wait(&watcher.w, &watcher.started, 1);
    assert_int_equal(watcher.watch.status, PS_ENOTFOUND);
    actors_world_deinit(&watcher.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watching_starts_after_what_was_sent_before_is_committed),
        cmocka_unit_test(two_watches_need_two_stops),
        cmocka_unit_test(what_was_not_committed_is_not_told),
        cmocka_unit_test(a_slow_watcher_loses_updates_and_is_told_how_many),
        cmocka_unit_test(values_that_are_only_shown_are_shown_at_once),
        cmocka_unit_test(a_deleted_device_leaves_memory_though_it_was_watched),
        cmocka_unit_test(nobody_is_watched_who_does_not_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
