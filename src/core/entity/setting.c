#include "core/entity/setting.h"

enum ps_status ps_setting_get(struct ps_db *db, const char *key, struct ps_buf *out)
{
    struct ps_stmt *stmt;
    bool found;
    enum ps_status st = ps_db_prepare(db, "SELECT value FROM setting WHERE key = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    st = ps_stmt_step(stmt, &found);
    if (st != PS_OK)
        return st;
    if (!found)
        return PS_ENOTFOUND;
    size_t len;
    const char *value = ps_stmt_bytes(stmt, 0, &len);
    ps_buf_put(out, value, len);
    ps_stmt_reset(stmt);
    return ps_buf_ok(out) ? PS_OK : PS_ENOMEM;
}

enum ps_status ps_setting_put(struct ps_db *db, const char *key, const void *value, size_t len)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "INSERT INTO setting(key, value) VALUES(?, ?)"
                                      " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    ps_stmt_bind_blob(stmt, 2, value, len);
    return ps_stmt_run(stmt);
}
