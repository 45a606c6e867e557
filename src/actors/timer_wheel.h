/* timer_wheel: many coarse timers of one thread.
 *
 * A hashed wheel: a timer hangs in the slot of its deadline and is looked at when the wheel passes;
 * those whose turn is a later round stay. Start and stop are constant time; precision is one tick.
 * (Varghese and Lauck, Hashed and Hierarchical Timing Wheels, SOSP 1987, scheme 6.) */
#ifndef PS_ACTORS_TIMER_WHEEL_H
#define PS_ACTORS_TIMER_WHEEL_H

#include <stddef.h>
#include <stdint.h>

enum { PS_TIMER_SLOTS = 1024, PS_TIMER_TICK_MS = 128 };

struct ps_timer {
    struct ps_timer *next, *prev; /* NULL = not running */
    int64_t deadline_ms;          /* monotonic */
    void (*fire)(struct ps_timer *timer, void *owner);
};

struct ps_timer_wheel {
    struct ps_timer slots[PS_TIMER_SLOTS]; /* list heads */
    int64_t tick;                          /* the last tick that was run */
    size_t count;
};

void ps_timer_wheel_init(struct ps_timer_wheel *wheel, int64_t now_ms);
/** Run (again) until `deadline_ms`; timer->fire must be set. It fires once. */
void ps_timer_start(struct ps_timer_wheel *wheel, struct ps_timer *timer, int64_t deadline_ms);
void ps_timer_stop(struct ps_timer_wheel *wheel, struct ps_timer *timer);
/** Fire what is due. A firing timer may start or stop any timer. */
void ps_timer_wheel_advance(struct ps_timer_wheel *wheel, int64_t now_ms, void *owner);
/** Milliseconds until the wheel wants to be advanced; -1 if no timer runs. */
int ps_timer_wheel_next_ms(const struct ps_timer_wheel *wheel, int64_t now_ms);

#endif
