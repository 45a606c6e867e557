/* sqlite_parts: what the files of the seam's implementation share. Not for others.
 *
 *     sqlite_db.c      open, configure, close
 *     sqlite_stmt.c    statements, kept by their text; binding, stepping, columns
 *     sqlite_commit.c  transactions, and the write-ahead log
 *     sqlite_status.c  what SQLite's codes and the system's mean for us
 *     sqlite_lower.c   lower() beyond ASCII */
#ifndef PS_CORE_STORAGE_SQLITE_PARTS_H
#define PS_CORE_STORAGE_SQLITE_PARTS_H

#include "core/storage/db.h"

#include <locale.h>

#include <sqlite3.h>

#include "core/text.h"

enum {
    PS_SQLITE_BUCKETS = 256, /* power of two */
    PS_SQLITE_BUSY_TIMEOUT_MS = 5000,
};

struct ps_stmt {
    struct ps_stmt *next; /* in its bucket */
    sqlite3_stmt *handle;
    struct ps_db *db;
    uint64_t hash;
    uint64_t used; /* the database's tick when it was last prepared */
    int bind_rc;   /* first failed bind since the last reset */
    bool stays;    /* never makes room for another one */
};

struct ps_db {
    sqlite3 *handle;
    locale_t locale; /* for lower() beyond ASCII; 0 if the system has none */
    uint64_t tick;
    int log_frames;    /* as the last commit left it */
    bool tells_damage; /* PS_EPROTO for what cannot be a database */
    size_t statement_count;
    struct ps_stmt *buckets[PS_SQLITE_BUCKETS];
    struct ps_text error;
};

enum ps_status ps_sqlite_status(sqlite3 *handle, int rc);
/** The same, and SQLite's text is kept for ps_db_error(). */
enum ps_status ps_sqlite_failed(struct ps_db *db, int rc);

/** The statement of a text that must not fail for want of memory later. */
enum ps_status ps_sqlite_keep_statement(struct ps_db *db, const char *sql);
/** What undoing takes, kept: whoever undoes may be short of memory, and cannot be left half undone.
 */
enum ps_status ps_sqlite_keep_undo(struct ps_db *db, enum ps_db_mode mode);
/** Finalizes all statements. */
void ps_sqlite_forget_statements(struct ps_db *db);
/** Resets all statements. */
void ps_sqlite_reset_statements(struct ps_db *db);

/** The SQL function; its user data is the ps_db. */
void ps_sqlite_lower(sqlite3_context *context, int argc, sqlite3_value **argv);

#endif
