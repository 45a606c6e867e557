#include "core/telemetry/catalogue.h"

enum { STEPS_MAX = 6 }; /* beginning anew costs as much */

static enum ps_status step(struct ps_catalogue *catalogue, struct ps_stmt *scan)
{
    bool row = false;
    enum ps_status st = ps_stmt_step(scan, &row);
    bool is_open = st == PS_OK && row;
    catalogue->scan = is_open ? scan : NULL;
    catalogue->id = is_open ? (uint32_t)ps_stmt_int(scan, 0) : 0;
    return st;
}

static enum ps_status begin_scan(struct ps_catalogue *catalogue, uint32_t from)
{
    struct ps_stmt *scan;
    if (!catalogue->in_snapshot) {
        enum ps_status st = ps_db_begin_read(catalogue->db);
        if (st != PS_OK)
            return st;
        catalogue->in_snapshot = true;
    }
    catalogue->scan = NULL;
    enum ps_status st = ps_db_prepare(
        catalogue->db, "SELECT id, entity_type, entity, key FROM series WHERE id >= ? ORDER BY id",
        &scan);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(scan, 1, from);
    return step(catalogue, scan);
}

/* Afterwards the scan is on the first row from `series` on, or at its end. */
static enum ps_status go_to(struct ps_catalogue *catalogue, uint32_t series)
{
    enum ps_status st = PS_OK;
    if (!catalogue->scan || catalogue->id > series)
        return begin_scan(catalogue, series);
    for (int steps = 0; st == PS_OK && catalogue->scan && catalogue->id < series; steps++)
        st = steps < STEPS_MAX ? step(catalogue, catalogue->scan) : begin_scan(catalogue, series);
    return st;
}

enum ps_status ps_catalogue_describe(struct ps_catalogue *catalogue, uint32_t series,
                                     struct ps_run_series *out)
{
    enum ps_status st = go_to(catalogue, series);
    struct ps_stmt *row = catalogue->scan;
    if (st != PS_OK || !row || catalogue->id != series)
        return st == PS_OK ? PS_ENOTFOUND : st;
    *out = (struct ps_run_series){ .id = series,
                                   .entity = { .type = ps_run_series_type(ps_stmt_int(row, 1)),
                                               .id = ps_stmt_uuid(row, 2) } };
    out->key = ps_stmt_bytes(row, 3, &out->key_len);
    if (!out->key)
        out->key = "";
    return PS_OK;
}

void ps_catalogue_rest(struct ps_catalogue *catalogue)
{
    if (catalogue->scan)
        ps_stmt_reset(catalogue->scan);
    catalogue->scan = NULL;
    if (catalogue->in_snapshot)
        ps_db_rollback(catalogue->db);
    catalogue->in_snapshot = false;
}
