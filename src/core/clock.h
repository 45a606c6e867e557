/* clock: time behind a seam that a test turns by hand. */
#ifndef PS_CORE_CLOCK_H
#define PS_CORE_CLOCK_H

#include <stdint.h>

/** Unix time in milliseconds, UTC. Thread: any. */
int64_t ps_clock_now_ms(void);
/** Monotonic nanoseconds since an arbitrary point, for deadlines and durations. Thread: any. */
int64_t ps_clock_mono_ns(void);

static inline int64_t ps_clock_mono_ms(void)
{
    return ps_clock_mono_ns() / 1000000;
}

/** For tests: both clocks show these values until released with -1, -1. */
void ps_clock_set_for_test(int64_t now_ms, int64_t mono_ns);

#endif
