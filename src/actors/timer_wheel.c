#include "actors/timer_wheel.h"

#include "core/status.h"

enum { SLOTS_LOOKED_AT = 32 }; /* for the next deadline: about four seconds ahead */

void ps_timer_wheel_init(struct ps_timer_wheel *wheel, int64_t now_ms)
{
    for (size_t i = 0; i < PS_TIMER_SLOTS; i++)
        wheel->slots[i].next = wheel->slots[i].prev = &wheel->slots[i];
    wheel->tick = now_ms / PS_TIMER_TICK_MS;
    wheel->count = 0;
}

static void link_into(struct ps_timer *slot, struct ps_timer *timer)
{
    timer->next = slot;
    timer->prev = slot->prev;
    slot->prev->next = timer;
    slot->prev = timer;
}

static void unlink_from(struct ps_timer *timer)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->next = timer->prev = NULL;
}

void ps_timer_start(struct ps_timer_wheel *wheel, struct ps_timer *timer, int64_t deadline_ms)
{
    PS_ASSERT(timer->fire);
    ps_timer_stop(wheel, timer);
    timer->deadline_ms = deadline_ms;
    /* the tick after the deadline, so it never fires early; never one that has passed */
    int64_t tick = deadline_ms / PS_TIMER_TICK_MS + 1;
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    link_into(&wheel->slots[tick % PS_TIMER_SLOTS], timer);
    wheel->count++;
}

void ps_timer_stop(struct ps_timer_wheel *wheel, struct ps_timer *timer)
{
    if (!timer->next)
        return;
    unlink_from(timer);
    wheel->count--;
}

static void run_slot(struct ps_timer_wheel *wheel, struct ps_timer *slot, int64_t now_ms,
                     void *owner)
{
    struct ps_timer due = { .next = &due, .prev = &due };
    for (struct ps_timer *timer = slot->next, *next; timer != slot; timer = next) {
        next = timer->next;
        if (timer->deadline_ms > now_ms)
            continue;
        unlink_from(timer);
        link_into(&due, timer);
    }
    while (due.next != &due) {
        struct ps_timer *timer = due.next;
        unlink_from(timer);
        wheel->count--;
        timer->fire(timer, owner);
    }
}

void ps_timer_wheel_advance(struct ps_timer_wheel *wheel, int64_t now_ms, void *owner)
{
    int64_t now_tick = now_ms / PS_TIMER_TICK_MS;
    if (now_tick - wheel->tick > PS_TIMER_SLOTS) /* a long pause: every slot once is enough */
        wheel->tick = now_tick - PS_TIMER_SLOTS;
    while (wheel->tick < now_tick) {
        wheel->tick++;
        run_slot(wheel, &wheel->slots[wheel->tick % PS_TIMER_SLOTS], now_ms, owner);
    }
}

int ps_timer_wheel_next_ms(const struct ps_timer_wheel *wheel, int64_t now_ms)
{
    if (!wheel->count)
        return -1;
    for (int64_t tick = wheel->tick + 1; tick <= wheel->tick + SLOTS_LOOKED_AT; tick++) {
        const struct ps_timer *slot = &wheel->slots[tick % PS_TIMER_SLOTS];
        if (slot->next == slot)
            continue;
        int64_t wait = tick * PS_TIMER_TICK_MS - now_ms;
        return wait < 0 ? 0 : (int)wait;
    }
    return SLOTS_LOOKED_AT * PS_TIMER_TICK_MS;
}
