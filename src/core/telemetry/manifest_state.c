/* manifest_state: counters, and the names of files that are leaving. */
#include "core/telemetry/manifest_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- counters ---- */

enum ps_status ps_manifest_state(struct ps_db *db, const char *key, int64_t missing, int64_t *value)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = ps_db_prepare(db, "SELECT value FROM telemetry_state WHERE key = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    *value = row ? ps_stmt_int(stmt, 0) : missing;
    if (row)
        ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_manifest_set_state(struct ps_db *db, const char *key, int64_t value)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db,
                                      "INSERT INTO telemetry_state(key, value) VALUES(?, ?)"
                                      " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    ps_stmt_bind_int(stmt, 2, value);
    return ps_stmt_run(stmt);
}

/* ---- files that leave ---- */

#define LEAVING "leaving:"

static void leaving_key(const char *file_name, char out[PS_LEAVING_KEY_SIZE])
{
    snprintf(out, PS_LEAVING_KEY_SIZE, LEAVING "%s", file_name);
}

enum ps_status ps_manifest_note_leaving(struct ps_db *db, const char *file_name)
{
    char key[PS_LEAVING_KEY_SIZE];
    leaving_key(file_name, key);
    return ps_manifest_set_state(db, key, 1);
}

enum ps_status ps_manifest_is_leaving(struct ps_db *db, const char *file_name, bool *out)
{
    char key[PS_LEAVING_KEY_SIZE];
    int64_t value;
    leaving_key(file_name, key);
    enum ps_status st = ps_manifest_state(db, key, 0, &value);
    if (st == PS_OK)
        *out = value != 0;
    return st;
}

enum ps_status ps_manifest_forget_leaving(struct ps_db *db, const char *file_name)
{
    struct ps_stmt *stmt;
    char key[PS_LEAVING_KEY_SIZE];
    leaving_key(file_name, key);
    enum ps_status st = ps_db_prepare(db, "DELETE FROM telemetry_state WHERE key = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    return ps_stmt_run(stmt);
}

enum ps_status ps_manifest_next_leaving(struct ps_db *db, const char *after,
                                        char out[PS_MANIFEST_NAME_SIZE])
{
    struct ps_stmt *stmt;
    char key[PS_LEAVING_KEY_SIZE];
    bool row = false;
    leaving_key(after, key);
    enum ps_status st = ps_db_prepare(db,
                                      "SELECT substr(key, length(?2) + 1) FROM telemetry_state"
                                      " WHERE key > ?1 AND substr(key, 1, length(?2)) = ?2"
                                      " ORDER BY key LIMIT 1",
                                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, key);
    ps_stmt_bind_cstr(stmt, 2, LEAVING);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st == PS_OK ? PS_ENOTFOUND : st;
    size_t len;
    const char *name = ps_stmt_bytes(stmt, 0, &len);
    snprintf(out, PS_MANIFEST_NAME_SIZE, "%.*s", (int)len, name ? name : "");
    ps_stmt_reset(stmt);
    return PS_OK;
}

/* ---- for all parts ---- */

enum ps_status ps_manifest_change_one(struct ps_db *db, struct ps_stmt *stmt)
{
    enum ps_status st = ps_stmt_run(stmt);
    if (st == PS_OK && ps_db_changes(db) == 0)
        return PS_ENOTFOUND;
    return st;
}
