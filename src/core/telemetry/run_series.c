/* run_series: the catalogue rows that a range file has copies of. */
#include "core/telemetry/run_file.h"

static void take_series(struct ps_stmt *stmt, struct ps_run_series *series)
{
    *series = (struct ps_run_series){
        .id = (uint32_t)ps_stmt_int(stmt, 0),
        .entity = { (enum ps_entity_type)ps_stmt_int(stmt, 1), ps_stmt_uuid(stmt, 2) },
    };
    series->key = ps_stmt_bytes(stmt, 3, &series->key_len);
    if (!series->key)
        series->key = "";
}

enum ps_status ps_run_file_series(struct ps_run_file *file,
                                  enum ps_status (*visit)(void *arg,
                                                          const struct ps_run_series *series),
                                  void *arg)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(file), "SELECT id, entity_type, entity, key FROM series ORDER BY id", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_run_series series;
        take_series(stmt, &series);
        st = visit(arg, &series);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st; /* the visitor's own: nothing is wrong with the file */
        }
    }
    return ps_run_file_failed(file, st);
}

enum ps_status ps_run_file_put_series(struct ps_run_file *file, const struct ps_run_series *series)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(file),
        "INSERT OR REPLACE INTO series(id, entity_type, entity, key) VALUES(?, ?, ?, ?)", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_int(stmt, 1, series->id);
    ps_stmt_bind_int(stmt, 2, series->entity.type);
    ps_stmt_bind_uuid(stmt, 3, &series->entity.id);
    ps_stmt_bind_text(stmt, 4, series->key, series->key_len);
    return ps_run_file_failed(file, ps_stmt_run(stmt));
}
