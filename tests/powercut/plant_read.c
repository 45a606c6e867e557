/* plant_read: what there is, through the history and straight from the files. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/entity/attribute.h"
#include "powercut/plant.h"

static enum ps_status told(struct plant *plant, const char *what, enum ps_status st)
{
    if (st != PS_OK)
        snprintf(plant->why, sizeof plant->why, "%s: %s", what, ps_status_text(st));
    return st;
}

static enum ps_status wrong(struct plant *plant, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum ps_status wrong(struct plant *plant, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(plant->why, sizeof plant->why, format, args);
    va_end(args);
    return PS_EPROTO;
}

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
                                  const struct ps_points *points, uint32_t *cells)
{
    for (size_t i = 0; i < points->count; i++) {
        const struct ps_point *point = &points->points[i];
        unsigned cell;
        uint32_t message = grid_message(key, &point->value);
        if (!grid_find_cell(point->ts_ms, &cell) || !message)
            return wrong(plant, "phantom: device %u key %s ts %lld message %u", device,
                         grid_keys[key], (long long)point->ts_ms, message);
        if (cells[cell])
            return wrong(plant, "doubled: device %u key %s cell %u", device, grid_keys[key], cell);
        cells[cell] = message;
    }
    return PS_OK;
}

static enum ps_status compare_keys(struct plant *plant, unsigned device,
                                   uint32_t cells[GRID_KEYS][LEDGER_CELLS])
{
    for (unsigned key = 1; key < GRID_KEYS; key++) {
        for (unsigned cell = 0; cell < LEDGER_CELLS; cell++) {
            if (cells[key][cell] != cells[0][cell])
                return wrong(plant, "half: device %u cell %u has message %u under %s, %u under %s",
                             device, cell, cells[0][cell], grid_keys[0], cells[key][cell],
                             grid_keys[key]);
        }
    }
    return PS_OK;
}

static enum ps_status query_device(struct plant *plant, unsigned device,
                                   struct ps_series_copy copies[GRID_KEYS],
                                   struct ps_points lists[GRID_KEYS])
{
    enum ps_status st = PS_OK;
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++) {
        const struct ps_series *series = known_series(plant, device, key);
        if (series)
            st = ps_series_copy(&plant->table, series, INT64_MIN, INT64_MAX, &copies[key]);
    }
    struct ps_history history = history_of(plant);
    struct ps_history_query query = {
        .start_ms = INT64_MIN, .end_ms = INT64_MAX, .limit = 10 * LEDGER_CELLS, .ascending = true
    };
    if (st == PS_OK)
        st = ps_history_read(&history, &query, copies, GRID_KEYS, lists);
    if (st == PS_OK && history.damaged)
        st = wrong(plant, "damaged: %.200s", history.damage.data);
    return st == PS_OK || plant->why[0] ? st : told(plant, "history", st);
}

static enum ps_status read_device(struct plant *plant, unsigned device, uint32_t *view)
{
    struct ps_series_copy copies[GRID_KEYS] = { 0 };
    struct ps_points lists[GRID_KEYS] = { 0 };
    uint32_t cells[GRID_KEYS][LEDGER_CELLS] = { { 0 } };
    enum ps_status st = query_device(plant, device, copies, lists);
    for (unsigned key = 0; key < GRID_KEYS && st == PS_OK; key++)
        st = note_points(plant, device, key, &lists[key], cells[key]);
    if (st == PS_OK)
        st = compare_keys(plant, device, cells);
    memcpy(view, cells[0], sizeof cells[0]);
    for (unsigned key = 0; key < GRID_KEYS; key++) {
        ps_series_copy_deinit(&copies[key]);
        ps_points_deinit(&lists[key]);
    }
    return st;
}

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

static enum ps_status check_latest(struct plant *plant, unsigned device, const uint32_t *cells)
{
    unsigned newest = 0;
    for (unsigned cell = 0; cell < LEDGER_CELLS; cell++) {
        if (cells[cell] && (!cells[newest] || grid_cell_ms(cell) > grid_cell_ms(newest)))
            newest = cell;
    }
    for (unsigned key = 0; key < GRID_KEYS; key++) {
        const struct ps_series *series = known_series(plant, device, key);
        struct ps_series_newest found = { 0 };
        struct ps_point point = { 0 };
        bool has = false;
        enum ps_status st = series ? latest_of(plant, series, &found, &point, &has) : PS_OK;
        if (st == PS_OK && has != (cells[newest] != 0))
            st = wrong(plant, "latest: device %u key %s has %s", device, grid_keys[key],
                       has ? "one" : "none");
        if (st == PS_OK && has &&
            (point.ts_ms != grid_cell_ms(newest) ||
             grid_message(key, &point.value) != cells[newest]))
            st = wrong(plant, "latest: device %u key %s is of ts %lld, not of cell %u", device,
                       grid_keys[key], (long long)point.ts_ms, newest);
        ps_series_newest_deinit(&found);
        if (st != PS_OK)
            return plant->why[0] ? st : told(plant, "latest", st);
    }
    return PS_OK;
}

static enum ps_status read_attributes(struct plant *plant, uint32_t *cells)
{
    struct ps_entity_id entity = grid_device(GRID_ATTRIBUTES);
    struct ps_attribute_list list = { 0 };
    enum ps_status st = ps_attribute_list(plant->db, &entity, NULL, &list);
    for (size_t i = 0; i < list.count && st == PS_OK; i++) {
        unsigned cell;
        if (sscanf(list.items[i].key, "a%u", &cell) != 1 || cell >= LEDGER_CELLS)
            st = wrong(plant, "phantom: attribute %.20s", list.items[i].key);
        else
            cells[cell] = (uint32_t)list.items[i].value.integer;
    }
    ps_attribute_list_deinit(&list);
    return st == PS_OK || plant->why[0] ? st : told(plant, "attributes", st);
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

/* ---- looking into the files -------------------------------------------------------------------
 */

static enum ps_status check_database(struct plant *plant)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(plant->db, "PRAGMA integrity_check", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return told(plant, "integrity_check", st);
    size_t len;
    const char *text = ps_stmt_bytes(stmt, 0, &len);
    if (!row || len != 2 || memcmp(text, "ok", 2) != 0)
        st = wrong(plant, "integrity: %.*s", (int)len, text);
    ps_stmt_reset(stmt);
    return st;
}

static bool has_run(const struct ps_run_list *list, int64_t run)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].run == run)
            return true;
    }
    return false;
}

static enum ps_status compare_runs(struct plant *plant, const struct ps_manifest_file *known,
                                   struct ps_run_file *file)
{
    struct ps_run_list wanted = { 0 }, found = { 0 };
    enum ps_status st = ps_manifest_runs(plant->db, known->id, true, &wanted);
    if (st == PS_OK)
        st = ps_run_file_numbers(file, &found);
    for (size_t i = 0; i < wanted.count && st == PS_OK; i++) {
        if (!has_run(&found, wanted.items[i].run) && !wanted.items[i].retired_ms)
            st = wrong(plant, "missing: run %lld of %s", (long long)wanted.items[i].run,
                       known->name);
    }
    for (size_t i = 0; i < found.count && st == PS_OK; i++) {
        if (!has_run(&wanted, found.items[i].run))
            st =
                wrong(plant, "garbage: run %lld of %s", (long long)found.items[i].run, known->name);
    }
    ps_run_list_deinit(&wanted);
    ps_run_list_deinit(&found);
    return st == PS_OK || plant->why[0] ? st : told(plant, "runs", st);
}

static void note_damage(void *arg, const struct ps_run_damage *damage)
{
    struct plant *plant = arg;
    (void)wrong(plant, "damaged: block %lld: %.200s", (long long)damage->block, damage->text);
}

static enum ps_status check_file(struct plant *plant, const struct ps_manifest_file *known)
{
    struct ps_run_file *file;
    struct ps_text why = { "" };
    struct ps_run_verified verified;
    enum ps_status st = ps_store_borrow(plant->store, known->name, false, &file, &why);
    if (st != PS_OK)
        return wrong(plant, "file %s: %s %.150s", known->name, ps_status_text(st), why.data);
    st = ps_run_file_verify(file, true, note_damage, plant, &verified);
    if (st == PS_OK)
        st = compare_runs(plant, known, file);
    ps_store_return(plant->store, file);
    return st == PS_OK || plant->why[0] ? st : told(plant, known->name, st);
}

struct listing {
    struct plant *plant;
    const struct ps_manifest_file_list *files;
};

static enum ps_status check_name(void *arg, const char *name)
{
    struct listing *listing = arg;
    for (size_t i = 0; i < listing->files->count; i++) {
        if (strcmp(listing->files->items[i].name, name) == 0)
            return PS_OK;
    }
    return wrong(listing->plant, "garbage: file %s", name);
}

enum ps_status plant_inspect(struct plant *plant)
{
    plant->why[0] = '\0';
    if (ps_store_damaged(plant->store, NULL) > 0)
        return wrong(plant, "set aside: a file was taken for damaged");
    struct ps_manifest_file_list files = { 0 };
    enum ps_status st = check_database(plant);
    if (st == PS_OK)
        st = told(plant, "manifest", ps_manifest_files(plant->db, &files));
    struct listing listing = { plant, &files };
    if (st == PS_OK)
        st = ps_store_list(plant->store, check_name, &listing);
    for (size_t i = 0; i < files.count && st == PS_OK; i++)
        st = check_file(plant, &files.items[i]);
    ps_manifest_file_list_deinit(&files);
    return st == PS_OK || plant->why[0] ? st : told(plant, "inspect", st);
}
