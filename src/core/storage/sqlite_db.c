/* sqlite_db: the seam's implementation over SQLite: opening, configuring, closing.
 *
 * Not here: which SQL there is, when to checkpoint. */
#include "core/storage/sqlite_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of each connection; filled only as far as pages are read. Readers are several and look up each
 * device that connects: what they keep would cost more than the connections; the system's cache has
 * the same pages. */
#define WRITER_CACHE_KIB "4096"
#define READER_CACHE_KIB "256"
/* Of range files: bodies of 8 to 16 KB span few pages, and are read once. */
#define RANGE_PAGE_BYTES "8192"
#define RANGE_READER_CACHE_KIB "512"

static int note_log_frames(void *arg, sqlite3 *handle, const char *name, int frames)
{
    (void)handle, (void)name;
    struct ps_db *db = arg;
    db->log_frames = frames;
    return SQLITE_OK;
}

static enum ps_status configure_writer(struct ps_db *db)
{
    struct ps_stmt *stmt;
    bool row = false;
    size_t len = 0;
    enum ps_status st = ps_db_prepare(db, "PRAGMA journal_mode = WAL", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    const char *mode = row ? ps_stmt_bytes(stmt, 0, &len) : NULL;
    bool is_wal = mode && len == 3 && memcmp(mode, "wal", 3) == 0;
    /* Only the end of the statement writes it down, and may fail to. */
    if (row)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    if (!is_wal) {
        ps_text_set(&db->error, "the file system does not support a write-ahead log");
        return PS_ESTORE;
    }
    st = ps_db_exec(db, "PRAGMA synchronous = FULL;"
                        "PRAGMA wal_autocheckpoint = 0;"
                        "PRAGMA foreign_keys = ON");
    sqlite3_wal_hook(db->handle, note_log_frames, db); /* after the pragma, which clears it */
    return st;
}

/* The size of pages and what becomes of free ones can only be said before there is a table. */
static enum ps_status configure_range_file(struct ps_db *db, enum ps_db_mode mode)
{
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    enum ps_status st;
    if (mode == PS_DB_RANGE_READER) {
        st = ps_db_exec(db, "PRAGMA cache_size = -" RANGE_READER_CACHE_KIB ";"
                            "PRAGMA cell_size_check = ON;"
                            "PRAGMA wal_autocheckpoint = 0;"
                            "PRAGMA query_only = ON");
        return st == PS_OK ? ps_db_exec(db, "SELECT count(*) FROM sqlite_master") : st;
    }
    st = ps_db_exec(db, "PRAGMA page_size = " RANGE_PAGE_BYTES ";"
                        "PRAGMA auto_vacuum = INCREMENTAL;"
                        "PRAGMA cell_size_check = ON;"
                        "PRAGMA cache_size = -" WRITER_CACHE_KIB);
    return st == PS_OK ? configure_writer(db) : st;
}

static enum ps_status configure(struct ps_db *db, enum ps_db_mode mode)
{
    sqlite3_busy_timeout(db->handle, PS_SQLITE_BUSY_TIMEOUT_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (db->tells_damage)
        return configure_range_file(db, mode);
    db->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    int rc = sqlite3_create_function(db->handle, "lower", 1,
                                     SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, db,
                                     ps_sqlite_lower, NULL, NULL);
    if (rc != SQLITE_OK)
        return ps_sqlite_failed(db, rc);
    enum ps_status st =
        ps_db_exec(db, mode == PS_DB_READER ? "PRAGMA cache_size = -" READER_CACHE_KIB
                                            : "PRAGMA cache_size = -" WRITER_CACHE_KIB);
    if (st != PS_OK)
        return st;
    if (mode == PS_DB_WRITER)
        return configure_writer(db);
    /* Read something now: a missing or foreign file is found at open, not at the first job. */
    return ps_db_exec(db, "SELECT count(*) FROM sqlite_master");
}

/* A reader of a range file opens it for writing and promises to write nothing: only such a handle
 * takes the log away when it is the last to close, and hundreds of range files may be looked at. */
static int open_flags(enum ps_db_mode mode)
{
    switch (mode) {
    case PS_DB_READER:
        return SQLITE_OPEN_READONLY;
    case PS_DB_RANGE_READER:
        return SQLITE_OPEN_READWRITE;
    default:
        return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    }
}

bool ps_db_exists(const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    int found = 0;
    return vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &found) == SQLITE_OK && found;
}

static bool is_missing(const char *path, enum ps_db_mode mode, int rc)
{
    return mode == PS_DB_RANGE_READER && (rc & 0xff) == SQLITE_CANTOPEN && !ps_db_exists(path);
}

enum ps_status ps_db_open(const char *path, enum ps_db_mode mode, struct ps_db **out,
                          struct ps_text *why)
{
    struct ps_db *db = calloc(1, sizeof *db);
    if (!db)
        return PS_ENOMEM;
    db->tells_damage = mode == PS_DB_RANGE_WRITER || mode == PS_DB_RANGE_READER;
    int rc = sqlite3_open_v2(path, &db->handle,
                             open_flags(mode) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    enum ps_status st;
    if (!db->handle)
        st = PS_ENOMEM;
    else if (rc != SQLITE_OK)
        st = is_missing(path, mode, rc) ? PS_ENOTFOUND : ps_sqlite_failed(db, rc);
    else
        st = configure(db, mode);
    if (st == PS_OK)
        st = ps_sqlite_keep_undo(db, mode);
    if (st != PS_OK) {
        ps_text_set(why, "%s: %s", path, db->handle ? db->error.data : ps_status_text(st));
        ps_db_close(db);
        return st;
    }
    *out = db;
    return PS_OK;
}

void ps_db_close(struct ps_db *db)
{
    if (!db)
        return;
    ps_sqlite_forget_statements(db);
    int rc = sqlite3_close(db->handle); /* of a NULL handle: nothing */
    PS_ASSERT(rc == SQLITE_OK);
    if (db->locale)
        freelocale(db->locale);
    free(db);
}

enum ps_status ps_db_exec(struct ps_db *db, const char *sql)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? PS_OK : ps_sqlite_failed(db, rc);
}

const char *ps_db_error(const struct ps_db *db)
{
    return db->error.data;
}
