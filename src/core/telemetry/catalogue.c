#include "core/telemetry/catalogue.h"

#include <string.h>

enum { WINDOW_MIN = 16 };

/* Of each statement by itself, SQLite would lock and unlock the file. */
static enum ps_status prepare(struct ps_catalogue *catalogue, const char *sql, struct ps_stmt **out)
{
    if (!catalogue->in_snapshot) {
        enum ps_status st = ps_db_begin_read(catalogue->db);
        if (st != PS_OK)
            return st;
        catalogue->in_snapshot = true;
    }
    return ps_db_prepare(catalogue->db, sql, out);
}

void ps_catalogue_rest(struct ps_catalogue *catalogue)
{
    if (catalogue->in_snapshot)
        ps_db_rollback(catalogue->db);
    catalogue->in_snapshot = false;
}

static enum ps_status fetch(struct ps_catalogue *catalogue, uint32_t from)
{
    struct ps_stmt *stmt;
    bool row;
    bool goes_on = catalogue->count && catalogue->at == catalogue->count;
    size_t wanted = goes_on ? catalogue->wanted * 2 : WINDOW_MIN;
    catalogue->wanted = wanted < PS_CATALOGUE_WINDOW_MAX ? wanted : PS_CATALOGUE_WINDOW_MAX;
    catalogue->count = catalogue->at = 0;
    catalogue->from = from;
    enum ps_status st =
        prepare(catalogue, "SELECT id FROM series WHERE id >= ? ORDER BY id LIMIT ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, from);
    ps_stmt_bind_int(stmt, 2, (int64_t)catalogue->wanted);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row)
        catalogue->ids[catalogue->count++] = (uint32_t)ps_stmt_int(stmt, 0);
    catalogue->upto =
        catalogue->count == catalogue->wanted ? catalogue->ids[catalogue->count - 1] : UINT32_MAX;
    return st;
}

enum ps_status ps_catalogue_find(struct ps_catalogue *catalogue, uint32_t series)
{
    if (!catalogue->wanted || series < catalogue->from || series > catalogue->upto) {
        enum ps_status st = fetch(catalogue, series);
        if (st != PS_OK) {
            catalogue->wanted = 0;
            return st;
        }
    }
    if (catalogue->at && catalogue->ids[catalogue->at - 1] >= series)
        catalogue->at = 0; /* asked again from lower ids */
    while (catalogue->at < catalogue->count && catalogue->ids[catalogue->at] < series)
        catalogue->at++;
    if (catalogue->at == catalogue->count || catalogue->ids[catalogue->at] != series)
        return PS_ENOTFOUND;
    catalogue->at++;
    return PS_OK;
}

static enum ps_status read_row(struct ps_catalogue *catalogue, struct ps_stmt *stmt,
                               uint32_t series, struct ps_run_series *out)
{
    size_t len;
    const char *key = ps_stmt_bytes(stmt, 2, &len);
    if (!key || len > sizeof catalogue->key)
        return PS_ENOTFOUND;
    memcpy(catalogue->key, key, len);
    *out = (struct ps_run_series){ .id = series,
                                   .entity = { .type = (enum ps_entity_type)ps_stmt_int(stmt, 0),
                                               .id = ps_stmt_uuid(stmt, 1) },
                                   .key = catalogue->key,
                                   .key_len = len };
    return PS_OK;
}

enum ps_status ps_catalogue_describe(struct ps_catalogue *catalogue, uint32_t series,
                                     struct ps_run_series *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st =
        prepare(catalogue, "SELECT entity_type, entity, key FROM series WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st == PS_OK ? PS_ENOTFOUND : st;
    st = read_row(catalogue, stmt, series, out);
    ps_stmt_reset(stmt);
    return st;
}
