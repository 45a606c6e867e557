#include "core/telemetry/low_priority.h"

#include <sys/resource.h>
#include <unistd.h>

enum {
    NICE_LOW = 19,
    NICE_FOR_GOOD = 5, /* if there is no way back up */
};

static bool set_nice(int nice)
{
    return setpriority(PRIO_PROCESS, (id_t)gettid(), nice) == 0;
}

void ps_low_priority_begin(struct ps_low_priority *priority)
{
    int base = getpriority(PRIO_PROCESS, (id_t)gettid());
    priority->base_nice = base;
    priority->may_rise = set_nice(base + 1) && set_nice(base);
    priority->is_low = set_nice(priority->may_rise ? NICE_LOW : base + NICE_FOR_GOOD);
}

void ps_low_priority_set(struct ps_low_priority *priority, bool low)
{
    if (priority->may_rise && priority->is_low != low &&
        set_nice(low ? NICE_LOW : priority->base_nice))
        priority->is_low = low;
}
