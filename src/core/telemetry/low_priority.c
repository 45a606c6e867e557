#include "core/telemetry/low_priority.h"

#include <sys/resource.h>
#include <unistd.h>

enum {
    NICE_LOW = 19,
    NICE_FOR_GOOD = 5, /* if there is no way back up */
};

static bool set_nice(const struct ps_low_priority *priority, int nice)
{
    return setpriority(PRIO_PROCESS, (id_t)priority->thread, nice) == 0;
}

void ps_low_priority_init(struct ps_low_priority *priority)
{
    *priority = (struct ps_low_priority){ 0 };
    pthread_mutex_init(&priority->lock, NULL);
}

void ps_low_priority_deinit(struct ps_low_priority *priority)
{
    pthread_mutex_destroy(&priority->lock);
}

void ps_low_priority_begin(struct ps_low_priority *priority)
{
    pthread_mutex_lock(&priority->lock);
    priority->thread = gettid();
    int base = getpriority(PRIO_PROCESS, (id_t)priority->thread);
    priority->base_nice = base;
    priority->may_rise = set_nice(priority, base + 1) && set_nice(priority, base);
    bool low = set_nice(priority, priority->may_rise ? NICE_LOW : base + NICE_FOR_GOOD);
    atomic_store(&priority->is_low, low);
    pthread_mutex_unlock(&priority->lock);
}

void ps_low_priority_set(struct ps_low_priority *priority, bool low)
{
    if (atomic_load_explicit(&priority->is_low, memory_order_relaxed) == low)
        return;
    pthread_mutex_lock(&priority->lock);
    if (priority->may_rise && priority->is_low != low &&
        set_nice(priority, low ? NICE_LOW : priority->base_nice))
        atomic_store(&priority->is_low, low);
    pthread_mutex_unlock(&priority->lock);
}
