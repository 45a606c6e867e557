#include "core/telemetry/known_series.h"

/* Rows are all that files of earlier versions have. */
static enum ps_status load_rows(struct ps_known_series *known, struct ps_run_file *file)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(ps_run_file_db(file), "SELECT id FROM series", &stmt);
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row)
        (void)ps_id_set_add(&known->ids, (uint32_t)ps_stmt_int(stmt, 0));
    return ps_run_file_failed(file, st);
}

/* What cannot be read of a damaged page is described again when it is met. */
static enum ps_status note_page(void *arg, const void *body, size_t len)
{
    struct ps_known_series *known = arg;
    struct ps_series_page page;
    struct ps_run_series series;
    if (ps_series_page_open(&page, body, len) != PS_OK)
        return PS_OK;
    while (ps_series_page_next(&page, &series) == PS_OK)
        (void)ps_id_set_add(&known->ids, series.id);
    return PS_OK;
}

enum ps_status ps_known_series_load(struct ps_known_series *known, struct ps_run_file *file)
{
    if (known->loaded)
        return PS_OK;
    enum ps_status st = load_rows(known, file);
    if (st == PS_OK)
        st = ps_run_file_series_pages(file, note_page, known);
    known->loaded = st == PS_OK;
    return st;
}

void ps_known_series_forget(struct ps_known_series *known)
{
    ps_id_set_deinit(&known->ids);
    known->loaded = false;
}
