/* grid: the points of the test: devices times cells times keys.
 *
 * Cell 0 lies before all ranges, the last one behind them, those between on GRID_DAYS days. A
 * message is one point under each of four keys, one of each kind of value, and each value tells the
 * number of its message. */
#ifndef PS_TESTS_POWERCUT_GRID_H
#define PS_TESTS_POWERCUT_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/uuid.h"
#include "core/value.h"
#include "powercut/ledger.h"

enum {
    GRID_KEYS = 4,
    GRID_DAYS = 5,
    GRID_TEXT_MAX = 2048,
    GRID_ATTRIBUTES = LEDGER_DEVICES - 1, /* the ledger's device that is none */
};

#define GRID_DAY_MS INT64_C(86400000)
#define GRID_EPOCH_MS INT64_C(1772409600000) /* 2026-03-02, the first day */

extern const char *const grid_keys[GRID_KEYS];

struct ps_entity_id grid_device(unsigned device);
int64_t grid_cell_ms(unsigned cell);
/** False: that is no cell's time. */
bool grid_find_cell(int64_t ts_ms, unsigned *cell);
/** Day of a cell, 0 .. GRID_DAYS - 1; GRID_DAYS for those outside of all ranges. */
unsigned grid_day(unsigned cell);

/** What a message says under a key; texts are of many lengths. `text` holds GRID_TEXT_MAX. */
struct ps_value grid_value(unsigned key, uint32_t message, char text[], size_t cap);
/** The message's number; 0 if no message says this. */
uint32_t grid_message(unsigned key, const struct ps_value *value);

#endif
