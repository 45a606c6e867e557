/* breaker: a script that keeps hitting its limits is paused for a while.
 *
 * Ordinary errors never stop a script: a chain that fails on bad data must not fail on good data.
 * Ten LIMIT_* errors within ten seconds pause it for 1 s, then 2, 4 ... 60 s; one good call starts
 * over (contract 5.6). */
#include "core/clock.h"
#include "rules/lua/state.h"

enum {
    HITS = 10,
    WITHIN_MS = 10 * 1000,
    PAUSE_FIRST_MS = 1000,
    PAUSE_LAST_MS = 60 * 1000,
};

bool ps_lua_breaker_waiting(const struct ps_lua_breaker *breaker)
{
    return ps_clock_mono_ms() < breaker->until_ms;
}

void ps_lua_breaker_limit_hit(struct ps_lua_breaker *breaker)
{
    int64_t now_ms = ps_clock_mono_ms();
    breaker->limit_hits_ms[breaker->hits++ % HITS] = now_ms;
    int64_t tenth_last_ms = breaker->limit_hits_ms[breaker->hits % HITS];
    if (breaker->hits < HITS || now_ms - tenth_last_ms > WITHIN_MS)
        return;
    int64_t pause_ms = breaker->pause_ms ? breaker->pause_ms * 2 : PAUSE_FIRST_MS;
    breaker->pause_ms = pause_ms < PAUSE_LAST_MS ? pause_ms : PAUSE_LAST_MS;
    breaker->until_ms = now_ms + breaker->pause_ms;
    breaker->pause_count++;
    breaker->hits = 0;
}

void ps_lua_breaker_good_call(struct ps_lua_breaker *breaker)
{
    breaker->hits = 0;
    breaker->until_ms = 0;
    breaker->pause_ms = 0;
}
