/* sqlite_commit: transactions, and the log they are written to. */
#include "core/storage/sqlite_parts.h"

#include <stdio.h>

/* ---- transactions ---- */

static enum ps_status run_cached(struct ps_db *db, const char *sql)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    return st == PS_OK ? ps_stmt_run(stmt) : st;
}

bool ps_db_in_transaction(const struct ps_db *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

enum ps_status ps_db_begin(struct ps_db *db)
{
    return run_cached(db, "BEGIN IMMEDIATE");
}

enum ps_status ps_db_begin_read(struct ps_db *db)
{
    return run_cached(db, "BEGIN");
}

enum ps_status ps_db_commit(struct ps_db *db)
{
    enum ps_status st = run_cached(db, "COMMIT");
    if (st != PS_OK)
        ps_db_rollback(db);
    return st;
}

static const char undo_all[] = "ROLLBACK";
static const char undo_part[] = "ROLLBACK TO ps";
static const char end_part[] = "RELEASE ps";

enum ps_status ps_sqlite_keep_undo(struct ps_db *db, enum ps_db_mode mode)
{
    enum ps_status st = ps_sqlite_keep_statement(db, undo_all);
    if (mode != PS_DB_WRITER)
        return st;
    if (st == PS_OK)
        st = ps_sqlite_keep_statement(db, undo_part);
    return st == PS_OK ? ps_sqlite_keep_statement(db, end_part) : st;
}

/* What failed before is what the caller wants to read in ps_db_error(), not how the undoing went.
 */
static void run_undo(struct ps_db *db, const char *sql)
{
    struct ps_text error = db->error;
    if (run_cached(db, sql) != PS_OK)
        db->error = error;
}

void ps_db_rollback(struct ps_db *db)
{
    if (ps_db_in_transaction(db))
        run_undo(db, undo_all);
}

enum ps_status ps_db_savepoint(struct ps_db *db)
{
    return run_cached(db, "SAVEPOINT ps");
}

enum ps_status ps_db_release(struct ps_db *db)
{
    enum ps_status st = run_cached(db, end_part);
    if (st != PS_OK)
        ps_db_rollback_savepoint(db);
    return st;
}

void ps_db_rollback_savepoint(struct ps_db *db)
{
    if (!ps_db_in_transaction(db))
        return; /* the failure ended the transaction already */
    run_undo(db, undo_part);
    run_undo(db, end_part);
}

void ps_db_settle(struct ps_db *db)
{
    ps_sqlite_reset_statements(db);
    ps_db_rollback(db);
}

/* ---- the log ---- */

int ps_db_log_frames(const struct ps_db *db)
{
    return db->log_frames;
}

enum ps_status ps_db_checkpoint(struct ps_db *db, int *log_frames, int *left)
{
    int frames = 0, copied = 0;
    int rc =
        sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return ps_sqlite_failed(db, rc);
    *log_frames = frames;
    *left = frames - copied;
    return PS_OK;
}

enum ps_status ps_db_checkpoint_truncate(struct ps_db *db)
{
    int frames = 0, left = 0;
    enum ps_status st = ps_db_checkpoint(db, &frames, &left);
    if (st != PS_OK || left > 0)
        return st;
    sqlite3_busy_timeout(db->handle, 0); /* else it would wait for readers */
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(db->handle, PS_SQLITE_BUSY_TIMEOUT_MS);
    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED
               ? PS_OK
               : ps_sqlite_failed(db, rc);
}

/* The log goes last: a log without its database is nothing, a database without its log is damaged.
 */
enum ps_status ps_db_remove(const char *path)
{
    static const char *const suffixes[] = { "", "-shm", "-wal" };
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[4096 + 8];
        if ((size_t)snprintf(name, sizeof name, "%s%s", path, suffixes[i]) >= sizeof name)
            return PS_ESTORE;
        int rc = vfs->xDelete(vfs, name, 1);
        if (rc != SQLITE_OK && rc != SQLITE_IOERR_DELETE_NOENT && ps_db_exists(name))
            st = PS_ESTORE;
    }
    return st;
}
