/* seal_trim: journal rows that are sealed leave, some at a time. */
#include "core/telemetry/seal.h"

#include "core/storage/writer.h"

enum {
    TRIM_ROWS = 512,         /* deleted in one transaction, */
    TRIM_BYTES = 256 * 1024, /* or so many bytes */
};

struct trim {
    int64_t up_to; /* rows to delete; 0 = none */
    bool more;
};

static enum ps_status plan_trim(struct ps_keep *keep, struct trim *out)
{
    struct ps_stmt *stmt;
    bool row;
    int64_t sealed_seq, rows = 0, bytes = 0;
    enum ps_status st = ps_manifest_state(keep->db, PS_STATE_SEALED_SEQ, 0, &sealed_seq);
    if (st == PS_OK)
        st = ps_db_prepare(
            keep->db, "SELECT seq, length(points) FROM journal WHERE seq <= ? ORDER BY seq", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, sealed_seq);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        if (rows == TRIM_ROWS || bytes >= TRIM_BYTES) {
            out->more = true;
            break;
        }
        rows++;
        bytes += ps_stmt_int(stmt, 1);
        out->up_to = ps_stmt_int(stmt, 0);
    }
    ps_stmt_reset(stmt);
    return st;
}

static enum ps_status delete_rows(struct ps_db *db, void *arg)
{
    const struct trim *trim = arg;
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "DELETE FROM journal WHERE seq <= ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, trim->up_to);
    return ps_stmt_run(stmt);
}

enum ps_status ps_seal_trim(struct ps_keep *keep, bool *more)
{
    struct trim trim = { 0 };
    enum ps_status st = plan_trim(keep, &trim);
    if (st == PS_OK && trim.up_to)
        st = ps_keep_call(keep, delete_rows, &trim);
    if (st == PS_OK)
        *more = trim.more;
    return st;
}
