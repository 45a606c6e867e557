/* manifest_tombstones: what was deleted from runs. */
#include "core/telemetry/manifest_parts.h"

static enum ps_status take_tombstones(struct ps_stmt *stmt, struct ps_tombstone_list *out)
{
    bool row;
    enum ps_status st;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        struct ps_tombstone tombstone = {
            .id = ps_stmt_int(stmt, 0),
            .series = (uint32_t)ps_stmt_int(stmt, 1),
            .start_ms = ps_stmt_int(stmt, 2),
            .end_ms = ps_stmt_int(stmt, 3),
            .seq = ps_stmt_int(stmt, 4),
            .idx = ps_stmt_int(stmt, 5),
            .created_ms = ps_stmt_int(stmt, 6),
        };
        st = ps_tombstone_list_add(out, &tombstone);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

enum ps_status ps_manifest_tombstones(struct ps_db *db, uint32_t series,
                                      struct ps_tombstone_list *out)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT id, series, start_ms, end_ms, seq, idx, created_ms FROM tombstone"
                      " WHERE series = ? ORDER BY seq, idx, id",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    return take_tombstones(stmt, out);
}

enum ps_status ps_manifest_all_tombstones(struct ps_db *db, struct ps_tombstone_list *out)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db,
                      "SELECT id, series, start_ms, end_ms, seq, idx, created_ms FROM tombstone"
                      " ORDER BY series, seq, idx, id",
                      &stmt);
    return st == PS_OK ? take_tombstones(stmt, out) : st;
}

enum ps_status ps_manifest_add_tombstone(struct ps_db *db, struct ps_tombstone *tombstone)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st =
        ps_db_prepare(db,
                      "INSERT INTO tombstone(series, start_ms, end_ms, seq, idx, created_ms)"
                      " VALUES(?, ?, ?, ?, ?, ?) RETURNING id",
                      &stmt);
    if (st != PS_OK)
        return st;
    const int64_t values[] = { tombstone->series, tombstone->start_ms, tombstone->end_ms,
                               tombstone->seq,    tombstone->idx,      tombstone->created_ms };
    for (int i = 0; i < (int)(sizeof values / sizeof *values); i++)
        ps_stmt_bind_int(stmt, i + 1, values[i]);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    tombstone->id = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_manifest_forget_tombstone(struct ps_db *db, int64_t id)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "DELETE FROM tombstone WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, id);
    return ps_manifest_change_one(db, stmt);
}
