#include "core/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t test_now_ms = -1, test_mono_ns = -1;

static int64_t read_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t ps_clock_now_ms(void)
{
    int64_t fixed = atomic_load_explicit(&test_now_ms, memory_order_relaxed);
    return fixed >= 0 ? fixed : read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t ps_clock_mono_ns(void)
{
    int64_t fixed = atomic_load_explicit(&test_mono_ns, memory_order_relaxed);
    return fixed >= 0 ? fixed : read_ns(CLOCK_MONOTONIC);
}

void ps_clock_set_for_test(int64_t now_ms, int64_t mono_ns)
{
    atomic_store_explicit(&test_now_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&test_mono_ns, mono_ns, memory_order_relaxed);
}
