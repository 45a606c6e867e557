/* low_priority: a thread that takes the processor only when nobody else wants it, most of the time.
 *
 * The system lets only the privileged raise a thread's priority again. Without that right the
 * thread is lowered just a little (nice 5), once. For the thread itself. */
#ifndef PS_CORE_TELEMETRY_LOW_PRIORITY_H
#define PS_CORE_TELEMETRY_LOW_PRIORITY_H

#include <stdbool.h>

struct ps_low_priority {
    int base_nice;
    bool is_low, may_rise;
};

/** At the thread's begin: low. */
void ps_low_priority_begin(struct ps_low_priority *priority);
void ps_low_priority_set(struct ps_low_priority *priority, bool low);

#endif
