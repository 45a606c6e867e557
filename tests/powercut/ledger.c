#include "powercut/ledger.h"

#include <stdio.h>
#include <string.h>

#include "core/status.h"

void ledger_init(struct ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
    for (unsigned device = 0; device < LEDGER_DEVICES; device++) {
        for (unsigned cell = 0; cell < LEDGER_CELLS; cell++)
            ledger->cells[device][cell].count = 1; /* nothing */
    }
}

uint32_t ledger_message(struct ledger *ledger, int64_t gone_ms)
{
    uint32_t message = ++ledger->messages;
    PS_ASSERT(message < LEDGER_MESSAGES_MAX);
    ledger->gone_ms[message] = gone_ms;
    return message;
}

static void add_state(struct ledger_cell *cell, uint32_t state, bool is_sure)
{
    if (is_sure)
        cell->count = 0;
    for (size_t i = 0; i < cell->count; i++) {
        if (cell->states[i] == state)
            return;
    }
    PS_ASSERT(cell->count < LEDGER_STATES_MAX);
    cell->states[cell->count++] = state;
}

void ledger_wrote(struct ledger *ledger, unsigned device, unsigned cell, uint32_t message,
                  bool acknowledged)
{
    add_state(&ledger->cells[device][cell], message, acknowledged);
    ledger->acknowledged += acknowledged;
}

void ledger_deleted(struct ledger *ledger, unsigned device, unsigned from, unsigned to,
                    bool acknowledged)
{
    for (unsigned cell = from; cell < to; cell++)
        add_state(&ledger->cells[device][cell], LEDGER_NOTHING, acknowledged);
}

static bool is_shown(const struct ledger *ledger, uint32_t state, int64_t now_ms)
{
    return state != LEDGER_NOTHING && ledger->gone_ms[state] > now_ms;
}

bool ledger_allows(const struct ledger *ledger, unsigned device, unsigned cell, uint32_t message,
                   int64_t now_ms)
{
    const struct ledger_cell *states = &ledger->cells[device][cell];
    for (size_t i = 0; i < states->count; i++) {
        uint32_t state = states->states[i];
        if (is_shown(ledger, state, now_ms) ? state == message : message == LEDGER_NOTHING)
            return true;
    }
    return false;
}

void ledger_found(struct ledger *ledger, unsigned device, unsigned cell, uint32_t message,
                  int64_t now_ms)
{
    struct ledger_cell *states = &ledger->cells[device][cell];
    size_t kept = 0;
    for (size_t i = 0; i < states->count; i++) {
        uint32_t state = states->states[i];
        if (is_shown(ledger, state, now_ms) ? state == message : message == LEDGER_NOTHING)
            states->states[kept++] = state;
    }
    states->count = kept;
}

void ledger_describe(const struct ledger *ledger, unsigned device, unsigned cell, char *out,
                     size_t size)
{
    const struct ledger_cell *states = &ledger->cells[device][cell];
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < states->count && len < size; i++) {
        uint32_t state = states->states[i];
        int n = state == LEDGER_NOTHING
                    ? snprintf(out + len, size - len, "%snothing", i ? " or " : "")
                    : snprintf(out + len, size - len, "%s%u", i ? " or " : "", state);
        len += (size_t)n;
    }
}
