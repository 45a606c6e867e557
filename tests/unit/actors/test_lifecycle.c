/* Actors come and go: parking forgets nothing, stopping finishes everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "unit/actors/actors_world.h"

static int64_t stored_attribute(struct actors_world *w)
{
    return actors_world_number(w, "SELECT coalesce(max(value), -1) FROM attribute WHERE key = 'a'");
}

static void wait_until_all_are_parked(struct actors_world *w)
{
    int64_t deadline_ms = ps_clock_mono_ms() + WORLD_DEADLINE_MS;
    while (actors_world_metric(w, PS_METRIC_ACTORS)) {
        assert_true(ps_clock_mono_ms() < deadline_ms);
        ps_port_wait(&w->port, w, 5);
    }
}

static void a_parked_actor_comes_back_as_it_was(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    w.settings.idle_park_ms = 10;
    actors_world_start(&w);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", i, i), PS_OK);
        assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 7, 0), PS_OK);
        wait_until_all_are_parked(&w); /* on a busy machine also between the two messages */
        assert_true(actors_world_metric(&w, PS_METRIC_ACTORS_CREATED) >= i);
        assert_int_equal(actors_world_metric(&w, PS_METRIC_ACTORS_PARKED),
                         actors_world_metric(&w, PS_METRIC_ACTORS_CREATED));
        assert_int_equal(actors_world_latest(&w, "temp"), i); /* heads are the shard's */
    }
    assert_int_equal(stored_attribute(&w), 7);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM series"), 1);
    actors_world_deinit(&w);
}

/* While nothing is committed an actor that wrote attributes stays: storage does not know them. */
static void an_actor_with_writes_under_way_is_not_parked(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent sent = { .order = NULL };
    actors_world_init(&w);
    w.settings.idle_park_ms = 10;
    actors_world_start(&w);
    struct ps_entity_ref device = w.device, other = actors_world_device(&w, "other");
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 1, 0), PS_OK);
    actors_world_wait_metric(&w, PS_METRIC_ACTORS_PARKED, 1);
    actors_world_hold_commits(&w, &held);
    actors_world_send(&w, PS_MSG_POST_ATTRIBUTES, "a", 2, 0, &sent);
    w.device = other; /* parks, and so shows that the time has passed */
    w.device.entity.id = ps_uuid_random();
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "x", 1, 0), PS_OK);
    actors_world_wait_metric(&w, PS_METRIC_ACTORS_PARKED, 2);
    for (int i = 3; i < 5; i++) {
        w.device.entity.id = ps_uuid_random();
        assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "x", 1, 0), PS_OK);
        actors_world_wait_metric(&w, PS_METRIC_ACTORS_PARKED, i);
    }
    assert_int_equal(actors_world_metric(&w, PS_METRIC_ACTORS), 1);
    w.device = device;
    actors_world_let_commit(&held);
    actors_world_wait(&w, &sent.settled, 1);
    actors_world_wait_metric(&w, PS_METRIC_ACTORS_PARKED, 5);
    actors_world_deinit(&w);
}

/* The reload must not read storage from before the actor's own writes. */
static void a_reload_waits_for_writes_under_way(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent sent = { .order = NULL }, back = { .order = NULL };
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 1, 0), PS_OK);
    actors_world_hold_commits(&w, &held);
    actors_world_send(&w, PS_MSG_POST_ATTRIBUTES, "a", 2, 0, &sent);
    actors_world_wait_metric(&w, PS_METRIC_TURNS, 2);
    ps_entity_changed(w.actors, &w.device, false, PS_SESSION_CREDENTIALS_CHANGED);
    for (unsigned i = 0; i < 10; i++)
        ps_port_wait(&w.port, &w, 5); /* time for a reader to read too early */
    actors_world_send(&w, PS_MSG_POST_ATTRIBUTES, "a", 1, 0, &back);
    actors_world_let_commit(&held);
    actors_world_wait(&w, &sent.settled, 1);
    actors_world_wait(&w, &back.settled, 1);
    assert_int_equal(stored_attribute(&w), 1);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

static void stopping_finishes_every_message(void **state)
{
    (void)state;
    enum { DEVICES = 10, MESSAGES = 2000 };
    struct actors_world w;
    struct ps_entity_ref devices[DEVICES];
    struct sent *sent = calloc(MESSAGES, sizeof *sent);
    unsigned order = 0, taken = 0;
    actors_world_init(&w);
    for (unsigned i = 0; i < DEVICES; i++) {
        char name[8];
        snprintf(name, sizeof name, "N%u", i);
        devices[i] = actors_world_device(&w, name);
    }
    w.settings.batch_bytes_max = 2000; /* many batches */
    actors_world_start(&w);
    for (unsigned i = 0; i < MESSAGES; i++) {
        sent[i].order = &order;
        struct ps_msg *msg = actors_world_msg(&w, &devices[i % DEVICES], PS_MSG_POST_TELEMETRY,
                                              "temp", i, (int64_t)i);
        taken += actors_world_post(&w, msg, &sent[i]) == PS_OK;
    }
    ps_actors_stop(w.actors);
    ps_port_drain(&w.port, &w);
    assert_int_equal(order, taken);
    assert_int_equal(taken, MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_int_equal(sent[i].settled, 1);
        assert_int_equal(sent[i].status, PS_OK);
    }
    assert_int_equal(actors_world_metric(&w, PS_METRIC_POINTS), MESSAGES);
    actors_world_check_balance(&w);
    ps_writer_stop(w.settings.writer);
    ps_reader_pool_destroy(w.settings.readers);
    ps_actors_destroy(w.actors);
    ps_db_close(w.reader);
    w.actors = NULL;
    free(sent);
    actors_world_deinit(&w);
}

/* ---- stopping while a reader works ---- */

struct held_reader {
    struct ps_reader_job job; /* first */
    sem_t entered, gate;
};

static void held_reader_run(struct ps_reader_job *job, struct ps_db *db)
{
    struct held_reader *held = (struct held_reader *)job;
    (void)db;
    sem_post(&held->entered);
    while (sem_wait(&held->gate) != 0)
        continue;
}

struct stopper {
    struct ps_actors *actors;
    sem_t stopped;
};

static void *stop_actors(void *arg)
{
    struct stopper *stopper = arg;
    ps_actors_stop(stopper->actors);
    sem_post(&stopper->stopped);
    return NULL;
}

static bool stops_within_ms(struct stopper *stopper, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(&stopper->stopped, &until) == 0;
}

static void stopping_waits_for_what_a_reader_will_bring(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_reader held[2];
    struct stopper stopper;
    pthread_t thread;
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    for (unsigned i = 0; i < 2; i++) { /* both readers */
        held[i] = (struct held_reader){ .job = { .run = held_reader_run } };
        sem_init(&held[i].entered, 0, 0);
        sem_init(&held[i].gate, 0, 0);
        assert_int_equal(ps_reader_submit(w.settings.readers, &held[i].job), PS_OK);
        held_wait(&held[i].entered);
    }
    ps_entity_changed(w.actors, &w.device, false, PS_SESSION_CREDENTIALS_CHANGED);
    stopper.actors = w.actors;
    sem_init(&stopper.stopped, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, stop_actors, &stopper), 0);
    bool too_early = stops_within_ms(&stopper, 100);
    for (unsigned i = 0; i < 2; i++)
        sem_post(&held[i].gate);
    pthread_join(thread, NULL);
    ps_writer_stop(w.settings.writer);
    ps_reader_pool_destroy(w.settings.readers);
    ps_actors_destroy(w.actors);
    ps_db_close(w.reader);
    w.actors = NULL;
    actors_world_deinit(&w);
    assert_false(too_early);
}

static void every_entity_has_one_shard(void **state)
{
    (void)state;
    struct actors_world w;
    unsigned counts[4] = { 0 };
    actors_world_init(&w);
    w.settings.shards = 4;
    actors_world_start(&w);
    assert_int_equal(ps_actors_shard_count(w.actors), 4);
    for (unsigned i = 0; i < 4000; i++) {
        struct ps_uuid id = ps_uuid_random();
        unsigned index = ps_actors_shard_index(w.actors, &id);
        assert_true(index < 4);
        assert_int_equal(ps_actors_shard_index(w.actors, &id), index);
        counts[index]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(counts[i] > 800 && counts[i] < 1200);
    actors_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parked_actor_comes_back_as_it_was),
        cmocka_unit_test(an_actor_with_writes_under_way_is_not_parked),
        cmocka_unit_test(a_reload_waits_for_writes_under_way),
        cmocka_unit_test(stopping_finishes_every_message),
        cmocka_unit_test(stopping_waits_for_what_a_reader_will_bring),
        cmocka_unit_test(every_entity_has_one_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
