/* low_priority: a thread that takes the processor only when nobody else wants it, most of the time.
 *
 * A thread so low may not run at all while others are busy, so it cannot be left to raise itself:
 * whoever sees that its work has become urgent does. The system lets only the privileged raise a
 * thread's priority again. Without that right the thread is lowered just a little (nice 5), once.
 */
#ifndef PS_CORE_TELEMETRY_LOW_PRIORITY_H
#define PS_CORE_TELEMETRY_LOW_PRIORITY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct ps_low_priority {
    pthread_mutex_t lock; /* held while the priority changes */
    pid_t thread;
    int base_nice;
    _Atomic bool is_low;
    bool may_rise; /* under lock */
};

void ps_low_priority_init(struct ps_low_priority *priority);
void ps_low_priority_deinit(struct ps_low_priority *priority);
/** By the thread itself, at its begin: low. Until then the others do nothing. */
void ps_low_priority_begin(struct ps_low_priority *priority);
/** Any thread. It costs next to nothing if it is so already. */
void ps_low_priority_set(struct ps_low_priority *priority, bool low);

#endif
