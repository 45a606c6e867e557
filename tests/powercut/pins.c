#include "powercut/pins.h"

static bool is_expired(const struct life *life, uint32_t message)
{
    return message && life->ledger.gone_ms[message] <= life->now_ms;
}

/* A point after the floor ends the pin; one that is not older than the pinned one replaces it. */
static void offer(const struct life *life, struct plant_pin *pin, const struct plant_effect *effect)
{
    int64_t ts_ms = grid_cell_ms(effect->cell);
    if (pin->state != PLANT_PIN_SET)
        return;
    if (ts_ms > pin->floor_ms)
        pin->state = PLANT_PIN_NONE;
    else if (!pin->message || is_expired(life, pin->message) || ts_ms >= grid_cell_ms(pin->cell))
        pin->message = effect->message, pin->cell = effect->cell;
}

static void pin_at(struct plant_pin *pin, int64_t floor_ms)
{
    if (pin->state != PLANT_PIN_SET)
        *pin = (struct plant_pin){ .state = PLANT_PIN_SET, .floor_ms = INT64_MIN };
    if (floor_ms > pin->floor_ms)
        pin->floor_ms = floor_ms;
}

static void note_delete(struct plant_pin *pin, const struct plant_effect *effect, unsigned part,
                        int64_t start_ms)
{
    const struct ps_point *shown = &effect->shown[part];
    unsigned cell;
    switch (effect->latest[part]) {
    case PS_BATCH_LATEST_STAYS:
        break;
    case PS_BATCH_LATEST_REPLACED:
        *pin = (struct plant_pin){ 0 };
        break;
    case PS_BATCH_LATEST_GOES:
        pin_at(pin, start_ms > INT64_MIN ? start_ms - 1 : INT64_MIN);
        pin->message = 0;
        break;
    case PS_BATCH_LATEST_KEPT:
        PS_ASSERT(grid_find_cell(shown->ts_ms, &cell));
        pin_at(pin, shown->ts_ms - 1);
        pin->message = grid_message(0, &shown->value);
        pin->cell = cell;
        break;
    }
}

static void note_deletes(struct plant_pin *pin, const struct plant_effect *effect)
{
    bool everything = effect->cell_end - effect->cell == LEDGER_CELLS;
    unsigned parts = everything ? 1 : effect->cell_end - effect->cell;
    for (unsigned part = 0; part < parts; part++)
        note_delete(pin, effect, part, everything ? INT64_MIN : grid_cell_ms(effect->cell + part));
}

static bool touches_latest(const struct plant_effect *effect)
{
    for (unsigned part = 0; part < LEDGER_CELLS; part++) {
        if (effect->latest[part] != PS_BATCH_LATEST_STAYS)
            return true;
    }
    return false;
}

void pins_note(struct life *life, const struct plant_effects *effects, bool acknowledged)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct plant_effect *effect = &effects->items[i];
        struct plant_pin *pin = &life->pins[effect->device];
        bool writes = effect->kind == PLANT_WRITE, deletes = effect->kind == PLANT_DELETE;
        if (!acknowledged && ((writes && pin->state) || (deletes && touches_latest(effect))))
            pin->state = PLANT_PIN_UNSURE;
        if (!acknowledged || pin->state == PLANT_PIN_UNSURE)
            continue;
        if (writes)
            offer(life, pin, effect);
        else if (deletes)
            note_deletes(pin, effect);
    }
}

void pins_look(struct life *life)
{
    for (unsigned device = 0; device < LEDGER_DEVICES; device++) {
        struct plant_pin *pin = &life->pins[device];
        pin->is_expired = pin->state == PLANT_PIN_SET && is_expired(life, pin->message);
    }
}
