#include "core/telemetry/known_series.h"

enum { WINDOW_MIN = 8 };

static size_t window_size(const struct ps_known_series *known)
{
    size_t size = 2 * known->hits;
    return size < WINDOW_MIN ? WINDOW_MIN : size > PS_KNOWN_SERIES_MAX ? PS_KNOWN_SERIES_MAX : size;
}

static enum ps_status read_window(struct ps_known_series *known, struct ps_run_file *file,
                                  uint32_t from)
{
    struct ps_stmt *stmt;
    bool row;
    size_t size = window_size(known);
    known->count = known->at = known->hits = 0;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(file), "SELECT id FROM series WHERE id >= ? ORDER BY id LIMIT ?", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_int(stmt, 1, from);
    ps_stmt_bind_int(stmt, 2, (int64_t)size);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row && known->count < size)
        known->ids[known->count++] = (uint32_t)ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    known->to_end = known->count < size;
    known->loaded = st == PS_OK;
    return ps_run_file_failed(file, st);
}

enum ps_status ps_known_series_has(struct ps_known_series *known, struct ps_run_file *file,
                                   uint32_t series, bool *out)
{
    while (known->at < known->count && known->ids[known->at] < series)
        known->at++;
    if (!known->loaded || (known->at == known->count && !known->to_end)) {
        enum ps_status st = read_window(known, file, series);
        if (st != PS_OK)
            return st;
    }
    *out = known->at < known->count && known->ids[known->at] == series;
    known->hits += *out;
    return PS_OK;
}
