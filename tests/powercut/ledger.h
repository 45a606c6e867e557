/* ledger: what may be read after a cut, and whether what is read agrees.
 *
 * Telemetry of the test is a grid: devices times cells, a cell being one timestamp. A message
 * writes one cell: one point under each key, all of which tell the message's number. So a cell
 * holds a message, or nothing, and after any history of writes and deletes there is a set of states
 * it may be in:
 *
 *     acknowledged write of m    { m }
 *     failed write of m          the set, and m
 *     acknowledged delete        { nothing }
 *     failed delete              the set, and nothing
 *
 * An expired message is there and not shown. What was found once stays: ledger_found() narrows the
 * set. Attributes are cells, too, of their own device. Pure: no clock, no database. */
#ifndef PS_TESTS_POWERCUT_LEDGER_H
#define PS_TESTS_POWERCUT_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEDGER_DEVICES = 4, /* the last one's cells are attributes */
    LEDGER_CELLS = 32,
    LEDGER_STATES_MAX = 32,
    LEDGER_MESSAGES_MAX = 2048,
    LEDGER_NOTHING = 0, /* messages count from 1 */
};

struct ledger_cell {
    size_t count;
    uint32_t states[LEDGER_STATES_MAX]; /* message numbers, LEDGER_NOTHING among them */
};

struct ledger {
    struct ledger_cell cells[LEDGER_DEVICES][LEDGER_CELLS];
    int64_t gone_ms[LEDGER_MESSAGES_MAX]; /* a message is expired from then on; INT64_MAX never */
    uint32_t messages;
    size_t acknowledged; /* for the report */
};

void ledger_init(struct ledger *ledger);
/** The number of a new message that is expired from `gone_ms` on. */
uint32_t ledger_message(struct ledger *ledger, int64_t gone_ms);
/** The message was acknowledged, or (it failed) may be there all the same. */
void ledger_wrote(struct ledger *ledger, unsigned device, unsigned cell, uint32_t message,
                  bool acknowledged);
/** The same of a delete of cells [from, to). */
void ledger_deleted(struct ledger *ledger, unsigned device, unsigned from, unsigned to,
                    bool acknowledged);
/** May the cell show this message (or nothing) at that time? */
bool ledger_allows(const struct ledger *ledger, unsigned device, unsigned cell, uint32_t message,
                   int64_t now_ms);
/** It did: other states are out. */
void ledger_found(struct ledger *ledger, unsigned device, unsigned cell, uint32_t message,
                  int64_t now_ms);
/** The states of a cell in words, for a report. */
void ledger_describe(const struct ledger *ledger, unsigned device, unsigned cell, char *out,
                     size_t size);

#endif
