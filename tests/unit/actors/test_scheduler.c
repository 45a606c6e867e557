/* The scheduler: tenants share time by what they have used, actors of one take turns. The clock is
 * the test's: what a turn costs is charged, nothing is measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "actors/actor.h"
#include "actors/scheduler.h"

enum { SLICE_TURNS = 32, CROWD = 1000 };

/* A tenant whose actors always have work. */
struct crowd {
    struct ps_tenant_share *share;
    struct ps_actor *actors;
    size_t count;
    int64_t turn_ns;
    int64_t used_ns;
    unsigned turns;
};

static struct crowd crowd_join(struct ps_scheduler *scheduler, size_t count, int64_t turn_ns)
{
    struct ps_uuid tenant = ps_uuid_random();
    struct crowd crowd = { .count = count, .turn_ns = turn_ns };
    crowd.actors = calloc(count, sizeof *crowd.actors);
    for (size_t i = 0; i < count; i++) {
        crowd.share = crowd.actors[i].share = ps_scheduler_hold(scheduler, &tenant);
        assert_non_null(crowd.share);
    }
    return crowd;
}

static void crowd_work(struct ps_scheduler *scheduler, struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++)
        ps_scheduler_add(scheduler, &crowd->actors[i], PS_LANE_DATA);
}

static void crowd_leave(struct ps_scheduler *scheduler, struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        ps_scheduler_remove(scheduler, &crowd->actors[i]);
        ps_scheduler_release(scheduler, crowd->actors[i].share);
    }
    free(crowd->actors);
}

/* One slice for whom the scheduler names; who had a turn wants the next. */
static struct crowd *serve(struct ps_scheduler *scheduler, struct crowd *crowds, size_t count)
{
    struct ps_tenant_share *share = ps_scheduler_next(scheduler);
    if (!share)
        return NULL;
    struct crowd *crowd = crowds;
    while (crowd->share != share)
        assert_true(++crowd < crowds + count);
    int64_t slice_ns = 0;
    for (unsigned i = 0; i < SLICE_TURNS; i++) {
        enum ps_lane lane;
        struct ps_actor *actor = ps_scheduler_take(share, &lane);
        if (!actor)
            break;
        ps_scheduler_add(scheduler, actor, PS_LANE_DATA);
        slice_ns += crowd->turn_ns;
        crowd->turns++;
    }
    ps_scheduler_charge(scheduler, share, slice_ns);
    crowd->used_ns += slice_ns;
    return crowd;
}

static void serve_for(struct ps_scheduler *scheduler, struct crowd *crowds, size_t count,
                      int64_t ns)
{
    int64_t all_ns = 0;
    while (all_ns < ns) {
        struct crowd *crowd = serve(scheduler, crowds, count);
        assert_non_null(crowd);
        all_ns += SLICE_TURNS * crowd->turn_ns;
    }
}

static void assert_share(const struct crowd *crowd, int64_t want_ns, int64_t slack_ns)
{
    if (crowd->used_ns < want_ns - slack_ns || crowd->used_ns > want_ns + slack_ns)
        fail_msg("used %lld of %lld", (long long)crowd->used_ns, (long long)want_ns);
}

static void one_actor_has_as_much_time_as_a_crowd(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowds[] = { crowd_join(&scheduler, CROWD, 2000), crowd_join(&scheduler, 1, 2000),
                              crowd_join(&scheduler, 3, 50000) }; /* slow turns: fewer of them */
    int64_t slack_ns = 2 * SLICE_TURNS * 50000, all_ns = 3000000000;
    for (size_t i = 0; i < 3; i++)
        crowd_work(&scheduler, &crowds[i]);
    serve_for(&scheduler, crowds, 3, all_ns);
    for (size_t i = 0; i < 3; i++)
        assert_share(&crowds[i], all_ns / 3, slack_ns);
    assert_true(crowds[0].turns > 20 * crowds[2].turns);
    for (size_t i = 0; i < 3; i++)
        crowd_leave(&scheduler, &crowds[i]);
    ps_scheduler_deinit(&scheduler);
}

static void idleness_saves_nothing_up_and_costs_nothing(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowds[] = { crowd_join(&scheduler, 10, 2000), crowd_join(&scheduler, 1, 2000) };
    crowd_work(&scheduler, &crowds[0]);
    serve_for(&scheduler, crowds, 1, 1000000000);
    crowd_work(&scheduler, &crowds[1]);
    assert_ptr_equal(serve(&scheduler, crowds, 2), &crowds[1]); /* at once */
    crowds[0].used_ns = crowds[1].used_ns = 0;
    serve_for(&scheduler, crowds, 2, 10000000); /* not a second for the newcomer alone */
    assert_share(&crowds[0], 5000000, 2 * SLICE_TURNS * 2000);
    assert_share(&crowds[1], 5000000, 2 * SLICE_TURNS * 2000);
    crowd_leave(&scheduler, &crowds[0]);
    crowd_leave(&scheduler, &crowds[1]);
    ps_scheduler_deinit(&scheduler);
}

static void a_leap_of_the_clock_starves_nobody(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowds[] = { crowd_join(&scheduler, 1, 100000),
                              crowd_join(&scheduler, 1, 100000) };
    crowd_work(&scheduler, &crowds[0]);
    crowd_work(&scheduler, &crowds[1]);
    enum ps_lane lane;
    struct ps_tenant_share *victim = ps_scheduler_next(&scheduler);
    struct ps_actor *actor = ps_scheduler_take(victim, &lane);
    ps_scheduler_add(&scheduler, actor, PS_LANE_DATA);
    ps_scheduler_charge(&scheduler, victim, INT64_C(3600000000000)); /* stopped for an hour */
    struct crowd *unlucky = crowds[0].share == victim ? &crowds[0] : &crowds[1];
    serve_for(&scheduler, crowds, 2, 110000000);
    assert_true(unlucky->turns > 0);
    crowd_leave(&scheduler, &crowds[0]);
    crowd_leave(&scheduler, &crowds[1]);
    ps_scheduler_deinit(&scheduler);
}

static void a_clock_that_stands_still_leaves_turns(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowds[40];
    for (size_t i = 0; i < 40; i++) {
        crowds[i] = crowd_join(&scheduler, 1, 0);
        crowd_work(&scheduler, &crowds[i]);
    }
    for (size_t i = 0; i < 120; i++)
        assert_non_null(serve(&scheduler, crowds, 40));
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(crowds[i].turns, 3 * SLICE_TURNS);
        crowd_leave(&scheduler, &crowds[i]);
    }
    ps_scheduler_deinit(&scheduler);
}

static void actors_of_a_tenant_take_turns(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowd = crowd_join(&scheduler, 50, 1000);
    crowd_work(&scheduler, &crowd);
    crowd_work(&scheduler, &crowd); /* again changes nothing */
    for (size_t i = 0; i < 500; i++) {
        enum ps_lane lane;
        struct ps_tenant_share *share = ps_scheduler_next(&scheduler);
        struct ps_actor *actor = ps_scheduler_take(share, &lane);
        assert_ptr_equal(actor, &crowd.actors[i % 50]);
        assert_int_equal(lane, PS_LANE_DATA);
        ps_scheduler_add(&scheduler, actor, PS_LANE_DATA);
        ps_scheduler_charge(&scheduler, share, 1000);
    }
    crowd_leave(&scheduler, &crowd);
    ps_scheduler_deinit(&scheduler);
}

static void control_goes_before_data_and_data_moves_on(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowd = crowd_join(&scheduler, 3, 1000);
    crowd_work(&scheduler, &crowd);
    ps_scheduler_add(&scheduler, &crowd.actors[2], PS_LANE_CONTROL);
    unsigned data = 0;
    for (unsigned i = 0; i < 80; i++) {
        enum ps_lane lane;
        struct ps_actor *actor = ps_scheduler_take(crowd.share, &lane);
        assert_true(i || lane == PS_LANE_CONTROL);
        if (lane == PS_LANE_CONTROL)
            assert_ptr_equal(actor, &crowd.actors[2]);
        else
            assert_ptr_equal(actor, &crowd.actors[data++ % 3]); /* it kept its place there */
        ps_scheduler_add(&scheduler, actor, lane);              /* control without end */
    }
    assert_int_equal(data, 10);
    crowd_leave(&scheduler, &crowd);
    ps_scheduler_deinit(&scheduler);
}

static void who_has_nothing_to_do_is_not_served(void **state)
{
    (void)state;
    struct ps_scheduler scheduler;
    enum ps_lane lane;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowds[] = { crowd_join(&scheduler, 2, 1000), crowd_join(&scheduler, 1, 1000) };
    assert_null(ps_scheduler_next(&scheduler));
    crowd_work(&scheduler, &crowds[0]);
    crowd_work(&scheduler, &crowds[1]);
    ps_scheduler_remove(&scheduler, &crowds[0].actors[1]);
    ps_scheduler_remove(&scheduler, &crowds[0].actors[0]);
    struct ps_tenant_share *share = ps_scheduler_next(&scheduler);
    assert_ptr_equal(share, crowds[1].share);
    assert_ptr_equal(ps_scheduler_take(share, &lane), &crowds[1].actors[0]);
    assert_null(ps_scheduler_take(share, &lane));
    ps_scheduler_charge(&scheduler, share, 1000);
    assert_true(ps_scheduler_is_empty(&scheduler));
    assert_null(ps_scheduler_next(&scheduler));
    crowd_leave(&scheduler, &crowds[0]);
    crowd_leave(&scheduler, &crowds[1]);
    ps_scheduler_deinit(&scheduler);
}

/* Many tenants come, work and go, in no order: the one served is always one that has used least. */
static void the_least_served_tenant_is_next(void **state)
{
    (void)state;
    enum { TENANTS = 300, STEPS = 20000 };
    struct ps_scheduler scheduler;
    uint32_t seed = 1;
    assert_int_equal(ps_scheduler_init(&scheduler), PS_OK);
    struct crowd crowds[TENANTS];
    for (size_t i = 0; i < TENANTS; i++)
        crowds[i] = crowd_join(&scheduler, 1, 0);
    assert_int_equal(scheduler.share_count, TENANTS);
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        struct crowd *any = &crowds[(seed >> 8) % TENANTS];
        if (seed >> 31)
            crowd_work(&scheduler, any);
        else if (seed >> 30)
            ps_scheduler_remove(&scheduler, any->actors);
        any->turn_ns = seed >> 22;
        for (size_t i = 0; i < scheduler.runnable; i++) {
            assert_int_equal(scheduler.heap[i]->place, i + 1);
            assert_true(scheduler.heap[0]->used_ns <= scheduler.heap[i]->used_ns);
        }
        (void)serve(&scheduler, crowds, TENANTS);
    }
    for (size_t i = 0; i < TENANTS; i++)
        crowd_leave(&scheduler, &crowds[i]);
    assert_int_equal(scheduler.share_count, 0); /* forgotten with their last actor */
    ps_scheduler_deinit(&scheduler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_actor_has_as_much_time_as_a_crowd),
        cmocka_unit_test(idleness_saves_nothing_up_and_costs_nothing),
        cmocka_unit_test(a_leap_of_the_clock_starves_nobody),
        cmocka_unit_test(a_clock_that_stands_still_leaves_turns),
        cmocka_unit_test(actors_of_a_tenant_take_turns),
        cmocka_unit_test(control_goes_before_data_and_data_moves_on),
        cmocka_unit_test(who_has_nothing_to_do_is_not_served),
        cmocka_unit_test(the_least_served_tenant_is_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
