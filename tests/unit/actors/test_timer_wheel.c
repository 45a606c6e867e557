/* The timer wheel: nothing fires early, nothing is forgotten, timers may do anything while firing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "actors/timer_wheel.h"

enum { TIMERS = 400, START_MS = 1000003 };

struct probe {
    struct ps_timer timer; /* first */
    unsigned fired;
    int64_t fired_ms;
    struct probe *victim; /* stopped when this one fires */
    int64_t again_ms;     /* started again when it fires, once */
};

struct clock {
    struct ps_timer_wheel wheel;
    int64_t now_ms;
};

static void fire(struct ps_timer *timer, void *owner)
{
    struct probe *probe = (struct probe *)timer;
    struct clock *clock = owner;
    probe->fired++;
    probe->fired_ms = clock->now_ms;
    if (probe->victim)
        ps_timer_stop(&clock->wheel, &probe->victim->timer);
    if (probe->again_ms) {
        int64_t again_ms = probe->again_ms;
        probe->again_ms = 0;
        ps_timer_start(&clock->wheel, timer, again_ms);
    }
}

static void start(struct clock *clock, struct probe *probe, int64_t deadline_ms)
{
    probe->timer.fire = fire;
    ps_timer_start(&clock->wheel, &probe->timer, deadline_ms);
}

static void advance(struct clock *clock, int64_t now_ms)
{
    clock->now_ms = now_ms;
    ps_timer_wheel_advance(&clock->wheel, now_ms, clock);
}

static struct clock *clock_create(void)
{
    struct clock *clock = calloc(1, sizeof *clock);
    clock->now_ms = START_MS;
    ps_timer_wheel_init(&clock->wheel, START_MS);
    return clock;
}

static void timers_fire_once_never_early_and_at_most_a_tick_late(void **state)
{
    (void)state;
    struct clock *clock = clock_create();
    struct probe *probes = calloc(TIMERS, sizeof *probes);
    int64_t *deadlines = calloc(TIMERS, sizeof *deadlines);
    unsigned seed = 5;
    for (unsigned i = 0; i < TIMERS; i++) {
        deadlines[i] = START_MS + rand_r(&seed) % 400000; /* up to three rounds of the wheel */
        start(clock, &probes[i], deadlines[i]);
    }
    assert_int_equal(clock->wheel.count, TIMERS);
    int64_t now_ms = START_MS;
    while (now_ms < START_MS + 401000) {
        now_ms += 1 + rand_r(&seed) % 300;
        advance(clock, now_ms);
        for (unsigned i = 0; i < TIMERS; i++) {
            if (probes[i].fired == 0) {
                assert_true(deadlines[i] + PS_TIMER_TICK_MS >= now_ms - PS_TIMER_TICK_MS);
                continue;
            }
            assert_int_equal(probes[i].fired, 1);
            assert_true(probes[i].fired_ms >= deadlines[i]);
        }
    }
    for (unsigned i = 0; i < TIMERS; i++)
        assert_int_equal(probes[i].fired, 1);
    assert_int_equal(clock->wheel.count, 0);
    assert_int_equal(ps_timer_wheel_next_ms(&clock->wheel, now_ms), -1);
    free(deadlines);
    free(probes);
    free(clock);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    (void)state;
    struct clock *clock = clock_create();
    struct probe probe;
    memset(&probe, 0, sizeof probe);
    start(clock, &probe, START_MS + 100);
    ps_timer_stop(&clock->wheel, &probe.timer);
    ps_timer_stop(&clock->wheel, &probe.timer); /* twice is fine */
    assert_int_equal(clock->wheel.count, 0);
    advance(clock, START_MS + 10000);
    assert_int_equal(probe.fired, 0);
    start(clock, &probe, START_MS + 20000);
    start(clock, &probe, START_MS + 30000); /* moved, not doubled */
    assert_int_equal(clock->wheel.count, 1);
    advance(clock, START_MS + 29000);
    assert_int_equal(probe.fired, 0);
    advance(clock, START_MS + 31000);
    assert_int_equal(probe.fired, 1);
    free(clock);
}

static void a_firing_timer_may_stop_others_and_start_itself(void **state)
{
    (void)state;
    struct clock *clock = clock_create();
    struct probe a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.victim = &b; /* due in the same tick */
    a.again_ms = START_MS + 500;
    start(clock, &a, START_MS + 10);
    start(clock, &b, START_MS + 10);
    advance(clock, START_MS + 300);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
    assert_int_equal(clock->wheel.count, 1);
    advance(clock, START_MS + 1000);
    assert_int_equal(a.fired, 2);
    a.again_ms = 1; /* long past: the next tick, not for ever */
    start(clock, &a, START_MS + 1000);
    advance(clock, START_MS + 3000);
    assert_int_equal(a.fired, 4);
    assert_int_equal(clock->wheel.count, 0);
    free(clock);
}

static void a_long_pause_forgets_no_timer(void **state)
{
    (void)state;
    struct clock *clock = clock_create();
    struct probe *probes = calloc(TIMERS, sizeof *probes);
    for (unsigned i = 0; i < TIMERS; i++)
        start(clock, &probes[i], START_MS + (int64_t)i * 1000);
    advance(clock, START_MS + 3600 * 1000);
    for (unsigned i = 0; i < TIMERS; i++)
        assert_int_equal(probes[i].fired, 1);
    free(probes);
    free(clock);
}

static void the_wheel_says_when_it_wants_to_turn(void **state)
{
    (void)state;
    struct clock *clock = clock_create();
    struct probe probe;
    memset(&probe, 0, sizeof probe);
    assert_int_equal(ps_timer_wheel_next_ms(&clock->wheel, START_MS), -1);
    start(clock, &probe, START_MS + 5000);
    int64_t now_ms = START_MS;
    unsigned rounds = 0;
    while (!probe.fired && rounds++ < 5) {
        int wait_ms = ps_timer_wheel_next_ms(&clock->wheel, now_ms);
        assert_true(wait_ms >= 0);
        now_ms += wait_ms;
        advance(clock, now_ms);
    }
    assert_int_equal(probe.fired, 1); /* woken when told, not polled */
    assert_true(now_ms >= START_MS + 5000 && now_ms <= START_MS + 5000 + 2 * PS_TIMER_TICK_MS);
    free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_never_early_and_at_most_a_tick_late),
        cmocka_unit_test(a_stopped_timer_does_not_fire),
        cmocka_unit_test(a_firing_timer_may_stop_others_and_start_itself),
        cmocka_unit_test(a_long_pause_forgets_no_timer),
        cmocka_unit_test(the_wheel_says_when_it_wants_to_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
