/* Sessions of a device: bounded, told of shared attributes, ended with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "actors/session.h"
#include "core/thread.h"
#include "unit/actors/actors_world.h"

struct fake {
    struct ps_session session; /* first */
    _Atomic unsigned ended, pushes, deletes;
    enum ps_session_end reason;
    enum ps_thread_role role;
    char key[16];
    int64_t value;
};

static void end(struct ps_session *session, enum ps_session_end reason)
{
    struct fake *fake = (struct fake *)session;
    fake->reason = reason;
    fake->role = ps_thread_role();
    assert_null(session->actor); /* already removed */
    ps_session_close(session);   /* fine if it is not open */
    fake->ended++;
}

static void shared_attributes(struct ps_session *session, const struct ps_kv *kvs, size_t count,
                              bool deleted)
{
    struct fake *fake = (struct fake *)session;
    snprintf(fake->key, sizeof fake->key, "%.*s", (int)kvs[0].key_len, kvs[0].key);
    fake->value = deleted ? -1 : kvs[0].value.integer;
    fake->role = ps_thread_role();
    if (deleted)
        fake->deletes += (unsigned)count;
    else
        fake->pushes += (unsigned)count;
}

static const struct ps_session_ops ops = { .shared_attributes = shared_attributes, .end = end };

/* Opens or closes on the device's shard, and waits for it. */
struct session_call {
    struct ps_actor_call call; /* first */
    struct fake *fake;
    bool open;
    bool found;
    sem_t finished;
};

static void run_session_call(struct ps_actor_call *base, struct ps_actor *actor)
{
    struct session_call *call = (struct session_call *)base;
    call->found = actor != NULL;
    if (!call->open)
        ps_session_close(&call->fake->session);
    else if (actor)
        ps_session_open(&call->fake->session, actor);
    sem_post(&call->finished);
}

static bool change_session(struct actors_world *w, struct fake *fake, bool open)
{
    struct session_call call = { .fake = fake, .open = open };
    call.call.tenant = w->device.tenant;
    call.call.entity = w->device.entity;
    call.call.run = run_session_call;
    sem_init(&call.finished, 0, 0);
    ps_actors_call(w->actors, &call.call);
    held_wait(&call.finished);
    return call.found;
}

static void fake_open(struct actors_world *w, struct fake *fake, bool wants_shared)
{
    *fake = (struct fake){ .session = { .ops = &ops, .wants_shared_attributes = wants_shared } };
    assert_true(change_session(w, fake, true));
}

static void the_oldest_session_beyond_the_limit_is_ended(void **state)
{
    (void)state;
    struct actors_world w;
    struct fake fakes[4];
    actors_world_init(&w); /* two a device */
    actors_world_start(&w);
    for (unsigned i = 0; i < 4; i++)
        fake_open(&w, &fakes[i], false);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(fakes[i].ended, i < 2);
    assert_int_equal(fakes[0].reason, PS_SESSION_EVICTED);
    assert_int_equal(fakes[0].role, PS_THREAD_SHARD);
    change_session(&w, &fakes[2], false);
    change_session(&w, &fakes[2], false); /* twice is fine */
    fake_open(&w, &fakes[0], false);
    assert_int_equal(fakes[3].ended, 0); /* there was room */
    fake_open(&w, &fakes[1], false);
    assert_int_equal(fakes[3].ended, 1);
    assert_int_equal(fakes[0].ended, 0);
    change_session(&w, &fakes[0], false);
    change_session(&w, &fakes[1], false);
    actors_world_deinit(&w);
}

static struct ps_kv long_kv(const char *key, int64_t value)
{
    return (struct ps_kv){ .key = key,
                           .key_len = (uint32_t)strlen(key),
                           .value = { .type = PS_VALUE_LONG, .integer = value } };
}

static void shared_attributes_are_pushed_to_who_wants_them(void **state)
{
    (void)state;
    struct actors_world w;
    struct fake wants, does_not;
    struct ps_text why;
    struct ps_kv kv = long_kv("limit", 30);
    actors_world_init(&w);
    actors_world_start(&w);
    fake_open(&w, &wants, true);
    fake_open(&w, &does_not, false);
    assert_int_equal(ps_entity_save_attributes(w.actors, &w.device, PS_SCOPE_SHARED, &kv, 1, &why),
                     PS_OK);
    assert_int_equal(wants.pushes, 1); /* before the caller heard of the commit */
    assert_string_equal(wants.key, "limit");
    assert_int_equal(wants.value, 30);
    assert_int_equal(wants.role, PS_THREAD_SHARD);
    assert_int_equal(ps_entity_save_attributes(w.actors, &w.device, PS_SCOPE_SERVER, &kv, 1, &why),
                     PS_OK);
    assert_int_equal(wants.pushes, 1);
    assert_int_equal(ps_entity_delete_attributes(w.actors, &w.device, PS_SCOPE_SHARED, &kv, 1),
                     PS_OK);
    assert_int_equal(wants.deletes, 1);
    assert_int_equal(ps_entity_delete_attributes(w.actors, &w.device, PS_SCOPE_SHARED, &kv, 1),
                     PS_OK);
    assert_int_equal(wants.deletes, 1); /* it was gone */
    assert_int_equal(does_not.pushes + does_not.deletes, 0);
    change_session(&w, &wants, false);
    change_session(&w, &does_not, false);
    actors_world_deinit(&w);
}

static void a_changed_device_ends_its_sessions_with_the_reason(void **state)
{
    (void)state;
    struct actors_world w;
    struct fake fake;
    actors_world_init(&w);
    actors_world_start(&w);
    fake_open(&w, &fake, false);
    ps_entity_changed(w.actors, &w.device, false, PS_SESSION_CREDENTIALS_CHANGED);
    assert_int_equal(fake.ended, 0); /* only what was known is forgotten */
    ps_entity_changed(w.actors, &w.device, true, PS_SESSION_CREDENTIALS_CHANGED);
    assert_int_equal(fake.ended, 1);
    assert_int_equal(fake.reason, PS_SESSION_CREDENTIALS_CHANGED);
    actors_world_deinit(&w);
}

static enum ps_status delete_device(struct ps_db *db, void *arg)
{
    return ps_device_delete(db, arg);
}

static void a_deleted_device_is_gone_with_its_values(void **state)
{
    (void)state;
    struct actors_world w;
    struct fake fake, late = { .session = { .ops = &ops } };
    actors_world_init(&w);
    actors_world_start(&w);
    fake_open(&w, &fake, false);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    assert_int_equal(ps_writer_call(w.settings.writer, delete_device, &w.device.entity.id), PS_OK);
    ps_entity_changed(w.actors, &w.device, true, PS_SESSION_DEVICE_DELETED);
    assert_int_equal(fake.ended, 1);
    assert_int_equal(fake.reason, PS_SESSION_DEVICE_DELETED);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN); /* from that moment on */
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 2, 2), PS_OK);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_DROPPED_ENTITY_GONE), 1);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    assert_false(change_session(&w, &late, true));
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

/* Its series were loaded at start; nobody has spoken to it since. */
static void the_values_of_a_deleted_device_without_actor_are_gone(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    actors_world_stop(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), 1);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_ACTORS), 0);
    assert_int_equal(ps_writer_call(w.settings.writer, delete_device, &w.device.entity.id), PS_OK);
    ps_entity_changed(w.actors, &w.device, true, PS_SESSION_DEVICE_DELETED);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    actors_world_deinit(&w);
}

static void a_device_with_a_session_stays_in_memory(void **state)
{
    (void)state;
    struct actors_world w;
    struct fake fake;
    actors_world_init(&w);
    w.settings.idle_park_ms = 10;
    actors_world_start(&w);
    struct ps_entity_ref connected = w.device, other = actors_world_device(&w, "other");
    fake_open(&w, &fake, false);
    w.device = other;
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    actors_world_wait_metric(&w, PS_METRIC_ACTORS_PARKED, 1);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_ACTORS), 1);
    w.device = connected;
    change_session(&w, &fake, false);
    actors_world_wait_metric(&w, PS_METRIC_ACTORS_PARKED, 2);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_ACTORS), 0);
    assert_int_equal(fake.ended, 0);
    actors_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_session_beyond_the_limit_is_ended),
        cmocka_unit_test(shared_attributes_are_pushed_to_who_wants_them),
        cmocka_unit_test(a_changed_device_ends_its_sessions_with_the_reason),
        cmocka_unit_test(a_deleted_device_is_gone_with_its_values),
        cmocka_unit_test(the_values_of_a_deleted_device_without_actor_are_gone),
        cmocka_unit_test(a_device_with_a_session_stays_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
