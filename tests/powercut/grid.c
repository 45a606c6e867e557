#include "powercut/grid.h"

#include <stdio.h>
#include <string.h>

enum { NOISE_MAX = 2000 };

const char *const grid_keys[GRID_KEYS] = { "long", "double", "string", "json" };

int64_t grid_cell_ms(unsigned cell)
{
    if (cell == 0)
        return -5; /* before all ranges */
    if (cell == LEDGER_CELLS - 1)
        return INT64_C(5000000000000); /* behind them */
    return GRID_EPOCH_MS + (int64_t)grid_day(cell) * GRID_DAY_MS +
           (int64_t)(cell / GRID_DAYS) * 1000;
}

unsigned grid_day(unsigned cell)
{
    return cell == 0 || cell == LEDGER_CELLS - 1 ? GRID_DAYS : cell % GRID_DAYS;
}

bool grid_find_cell(int64_t ts_ms, unsigned *cell)
{
    for (unsigned i = 0; i < LEDGER_CELLS; i++) {
        if (grid_cell_ms(i) == ts_ms) {
            *cell = i;
            return true;
        }
    }
    return false;
}

struct ps_entity_id grid_device(unsigned device)
{
    struct ps_entity_id entity = { .type = PS_ENTITY_DEVICE };
    memset(&entity.id, (int)device + 1, sizeof entity.id);
    return entity;
}

/* Letters that nothing makes shorter, so that files have many pages. */
static int put_noise(uint32_t message, char *out, size_t len)
{
    uint64_t state = message;
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        out[i] = (char)('!' + (state >> 33) % 90);
    }
    out[len] = '\0';
    return (int)len;
}

struct ps_value grid_value(unsigned key, uint32_t message, char text[], size_t cap)
{
    switch (key) {
    case 0:
        return (struct ps_value){ .type = PS_VALUE_LONG, .integer = message };
    case 1:
        return (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = message * 0.25 + 0.1 };
    default:
        break;
    }
    int len = snprintf(text, cap, key == 2 ? "m%u " : "{\"m\":%u}", message);
    if (key == 2)
        len += put_noise(message, text + len, message * 37 % NOISE_MAX);
    return (struct ps_value){ .type = key == 2 ? PS_VALUE_STRING : PS_VALUE_JSON,
                              .len = (uint32_t)len,
                              .text = text };
}

uint32_t grid_message(unsigned key, const struct ps_value *value)
{
    char text[GRID_TEXT_MAX];
    uint32_t message = 0;
    if (key == 0 && value->type == PS_VALUE_LONG)
        message = (uint32_t)value->integer;
    else if (key == 1 && value->type == PS_VALUE_DOUBLE)
        message = (uint32_t)((value->real - 0.1) * 4 + 0.5);
    else if (key >= 2 && value->type >= PS_VALUE_STRING && value->len < sizeof text) {
        memcpy(text, value->text, value->len);
        text[value->len] = '\0';
        if (sscanf(text, key == 2 ? "m%u" : "{\"m\":%u}", &message) != 1)
            return 0;
    }
    struct ps_value wanted = grid_value(key, message, text, sizeof text);
    return ps_value_equal(&wanted, value) ? message : 0;
}
