/* plant_read: what there is, through the history. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/entity/attribute.h"
#include "powercut/plant.h"

static struct ps_history history_of(const struct plant *plant)
{
    return (struct ps_history){ .db = plant->db, .store = plant->store, .now_ms = plant->now_ms };
}

static const struct ps_series *known_series(struct plant *plant, unsigned device, unsigned key)
{
    struct ps_entity_id entity = grid_device(device);
    struct ps_entity_series *owner = ps_series_table_find(&plant->table, &entity.id);
    return owner ? ps_series_find(owner, grid_keys[key], strlen(grid_keys[key])) : NULL;
}

/* cells[] of one key; what the other keys say must be the same. */
static enum ps_status note_points(struct plant *plant, unsigned device, unsigned key,
                                  const struct ps_point *points, size_t count, uint32_t *cells)
{
    for (size_t i = 0; i < count; i++) {
        const struct ps_point *point = &points[i];
        unsigned cell;
        uint32_t message = grid_message(key, &point->value);
        if (!grid_find_cell(point->ts_ms, &cell) || !message)
            return plant_wrong(plant, "phantom: device %u key %s ts %lld message %u", device,
                               grid_keys[key], (long long)point->ts_ms, message);
        if (cells[cell])
            return plant_wrong(plant, "doubled: device %u key %s cell %u", device, grid_keys[key],
                               cell);
        cells[cell] = message;
    }
    return PS_OK;
}

static enum ps_status compare_keys(struct plant *plant, unsigned device,
                                   uint32_t cells[GRID_KEYS][LEDGER_CELLS])
{
    for (unsigned key = 1; key < GRID_KEYS; key++) {
        for (unsigned cell = 0; cell < LEDGER_CELLS; cell++) {
            if (cells[key][cell] != cells[0][cell] && !plant->shed[cell])
                return plant_wrong(
                    plant, "half: device %u cell %u has message %u under %s, %u under %s", device,
                    cell, cells[0][cell], grid_keys[0], cells[key][cell], grid_keys[key]);
        }
    }
    return PS_OK;
}

/* A device's series, copied. */
struct copies {
    struct ps_series_copy of[GRID_KEYS];
};

static enum ps_status copy_series(struct plant *plant, unsigned device, struct copies *copies)
{
    enum ps_status st = PS_OK;
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++) {
        const struct ps_series *series = known_series(plant, device, key);
        if (series)
            st = ps_series_copy(&plant->table, series, INT64_MIN, INT64_MAX, &copies->of[key]);
    }
    return st;
}

static void copies_deinit(struct copies *copies)
{
    for (unsigned key = 0; key < GRID_KEYS; key++)
        ps_series_copy_deinit(&copies->of[key]);
}

static enum ps_status finish_read(struct plant *plant, const struct ps_history *history,
                                  enum ps_status st)
{
    if (st == PS_OK && history->damaged)
        st = plant_wrong(plant, "damaged: %.200s", history->damage.data);
    return st == PS_OK || plant->why[0] ? st : plant_told(plant, "history", st);
}

static enum ps_status query_device(struct plant *plant, unsigned device,
                                   struct ps_points lists[GRID_KEYS])
{
    struct copies copies = { 0 };
    struct ps_history history = history_of(plant);
    struct ps_history_query query = {
        .start_ms = INT64_MIN, .end_ms = INT64_MAX, .limit = 10 * LEDGER_CELLS, .ascending = true
    };
    enum ps_status st = copy_series(plant, device, &copies);
    if (st == PS_OK)
        st = ps_history_read(&history, &query, copies.of, GRID_KEYS, lists);
    copies_deinit(&copies);
    return finish_read(plant, &history, st);
}

static enum ps_status read_device(struct plant *plant, unsigned device, uint32_t *view)
{
    struct ps_points lists[GRID_KEYS] = { 0 };
    uint32_t cells[GRID_KEYS][LEDGER_CELLS] = { { 0 } };
    enum ps_status st = query_device(plant, device, lists);
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++)
        st = note_points(plant, device, key, lists[key].points, lists[key].count, cells[key]);
    if (st == PS_OK)
        st = compare_keys(plant, device, cells);
    memcpy(view, cells[0], sizeof cells[0]);
    for (unsigned key = 0; key < GRID_KEYS; key++)
        ps_points_deinit(&lists[key]);
    return st;
}

/* ---- a slow reader ----------------------------------------------------------------------------
 */

struct slow_read {
    struct plant *plant;
    unsigned device;
    struct ps_history_cursor *cursors[GRID_KEYS];
    uint32_t cells[GRID_KEYS][LEDGER_CELLS];
};

/* One step of every cursor that has not come to its end. */
static enum ps_status pull(struct slow_read *read, bool *more)
{
    *more = false;
    for (unsigned key = 0; key < GRID_KEYS; key++) {
        const struct ps_point *points;
        size_t count;
        if (!read->cursors[key])
            continue;
        enum ps_status st = ps_history_cursor_next(read->cursors[key], &points, &count);
        if (st == PS_ENOTFOUND) {
            ps_history_cursor_close(read->cursors[key]);
            read->cursors[key] = NULL;
            continue;
        }
        if (st == PS_OK)
            st = note_points(read->plant, read->device, key, points, count, read->cells[key]);
        if (st != PS_OK)
            return st;
        *more = true;
    }
    return PS_OK;
}

static enum ps_status pull_all(struct slow_read *read, void (*meanwhile)(void *arg), void *arg)
{
    bool more;
    enum ps_status st = pull(read, &more);
    if (st != PS_OK)
        return st;
    meanwhile(arg);
    while (more && st == PS_OK)
        st = pull(read, &more);
    return st == PS_OK ? compare_keys(read->plant, read->device, read->cells) : st;
}

enum ps_status plant_read_slowly(struct plant *plant, unsigned device, uint32_t *cells,
                                 void (*meanwhile)(void *arg), void *arg)
{
    struct copies copies = { 0 };
    struct ps_history history = history_of(plant);
    struct ps_history_range range = { .start_ms = INT64_MIN, .end_ms = INT64_MAX };
    struct ps_history_view *view = NULL;
    struct slow_read read = { .plant = plant, .device = device };
    plant->why[0] = '\0';
    enum ps_status st = copy_series(plant, device, &copies);
    if (st == PS_OK)
        st = ps_history_open(&history, copies.of, GRID_KEYS, &range, &view);
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++)
        st = ps_history_cursor_open(view, key, &read.cursors[key]);
    if (st == PS_OK)
        st = pull_all(&read, meanwhile, arg);
    for (unsigned key = 0; key < GRID_KEYS; key++)
        ps_history_cursor_close(read.cursors[key]);
    ps_history_close(view);
    copies_deinit(&copies);
    memcpy(cells, read.cells[0], sizeof read.cells[0]);
    return finish_read(plant, &history, st);
}

/* ---- latest values ----------------------------------------------------------------------------
 */

/* The latest value from memory, or else from the history, into *point, kept alive by `newest`. */
static enum ps_status latest_of(struct plant *plant, const struct ps_series *series,
                                struct ps_series_newest *newest, struct ps_point *point, bool *has)
{
    enum ps_latest latest = ps_series_latest(series, 0, plant->now_ms, point);
    *has = latest == PS_LATEST_KNOWN;
    if (latest != PS_LATEST_UNKNOWN)
        return PS_OK;
    struct ps_history history = history_of(plant);
    struct ps_series_copy copy = { 0 };
    enum ps_status st = ps_series_copy_all(&plant->table, series, &copy);
    if (st == PS_OK)
        st = ps_history_newest(&history, &copy, newest);
    ps_series_copy_deinit(&copy);
    *has = st == PS_OK && newest->points.count > 0;
    if (*has)
        *point = newest->points.points[0];
    return st;
}

/* What the latest value must be of; no message: there must be none. */
struct wanted {
    uint32_t message;
    unsigned cell;
};

static struct wanted wanted_latest(const struct plant_pin *pin, const uint32_t *cells)
{
    bool is_pinned = pin && pin->state == PLANT_PIN_SET;
    struct wanted wanted = { 0 };
    if (is_pinned)
        wanted = (struct wanted){ pin->message, pin->cell };
    for (unsigned cell = 0; cell < LEDGER_CELLS; cell++) {
        int64_t ts_ms = grid_cell_ms(cell);
        if (cells[cell] && (!is_pinned || ts_ms > pin->floor_ms) &&
            (!wanted.message || ts_ms > grid_cell_ms(wanted.cell)))
            wanted = (struct wanted){ cells[cell], cell };
    }
    return wanted;
}

static enum ps_status check_latest_of_key(struct plant *plant, unsigned device, unsigned key,
                                          const struct wanted *wanted)
{
    const struct ps_series *series = known_series(plant, device, key);
    struct ps_series_newest found = { 0 };
    struct ps_point point = { 0 };
    bool has = false;
    enum ps_status st = series ? latest_of(plant, series, &found, &point, &has) : PS_OK;
    if (st == PS_OK && has != (wanted->message != 0))
        st = plant_wrong(plant, "latest: device %u key %s has %s, wanted %u of cell %u", device,
                         grid_keys[key], has ? "one" : "none", wanted->message, wanted->cell);
    if (st == PS_OK && has &&
        (point.ts_ms != grid_cell_ms(wanted->cell) ||
         grid_message(key, &point.value) != wanted->message))
        st = plant_wrong(plant, "latest: device %u key %s is of ts %lld, not %u of cell %u", device,
                         grid_keys[key], (long long)point.ts_ms, wanted->message, wanted->cell);
    ps_series_newest_deinit(&found);
    return st == PS_OK || plant->why[0] ? st : plant_told(plant, "latest", st);
}

static enum ps_status check_latest(struct plant *plant, unsigned device, const uint32_t *cells)
{
    const struct plant_pin *pin = plant->pins ? &plant->pins[device] : NULL;
    if (plant->has_shed || (pin && (pin->state == PLANT_PIN_UNSURE || pin->is_expired)))
        return PS_OK;
    struct wanted wanted = wanted_latest(pin, cells);
    enum ps_status st = PS_OK;
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++)
        st = check_latest_of_key(plant, device, key, &wanted);
    return st;
}

static enum ps_status read_attributes(struct plant *plant, uint32_t *cells)
{
    struct ps_entity_id entity = grid_device(GRID_ATTRIBUTES);
    struct ps_attribute_list list = { 0 };
    enum ps_status st = ps_attribute_list(plant->db, &entity, NULL, &list);
    for (size_t i = 0; i < list.count && st == PS_OK; i++) {
        unsigned cell;
        if (sscanf(list.items[i].key, "a%u", &cell) != 1 || cell >= LEDGER_CELLS)
            st = plant_wrong(plant, "phantom: attribute %.20s", list.items[i].key);
        else
            cells[cell] = (uint32_t)list.items[i].value.integer;
    }
    ps_attribute_list_deinit(&list);
    return st == PS_OK || plant->why[0] ? st : plant_told(plant, "attributes", st);
}

enum ps_status plant_read(struct plant *plant, struct plant_view *view)
{
    memset(view, 0, sizeof *view);
    plant->why[0] = '\0';
    enum ps_status st = read_attributes(plant, view->cells[GRID_ATTRIBUTES]);
    for (unsigned device = 0; device < GRID_ATTRIBUTES && st == PS_OK; device++) {
        st = read_device(plant, device, view->cells[device]);
        if (st == PS_OK)
            st = check_latest(plant, device, view->cells[device]);
    }
    return st;
}
