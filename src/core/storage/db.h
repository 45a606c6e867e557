/* db: the seam between repositories and the database: prepare, bind, step, transaction.
 *
 * Repositories write the SQL that SQLite >= 3.40 and PostgreSQL >= 15 share. Errors are logged by
 * the caller that decides; the library's own text is kept in ps_db_error(). A handle belongs to
 * one thread. */
#ifndef PS_CORE_STORAGE_DB_H
#define PS_CORE_STORAGE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/uuid.h"

struct ps_db;
struct ps_stmt;

enum ps_db_mode {
    PS_DB_WRITER, /* the one write connection: WAL, synchronous=FULL, wal_autocheckpoint=0 */
    PS_DB_READER, /* read only */
    /* Files of telemetry (core/telemetry/run_file.h). Their handles tell damage apart: where the
     * database is malformed, or none at all, all calls return PS_EPROTO instead of PS_ESTORE. */
    PS_DB_RANGE_WRITER, /* as the writer, larger pages, free pages can be given back */
    PS_DB_RANGE_READER, /* changes nothing, but may copy and remove a log that is left over */
};

/**
 * Open <path>. The writer creates the file if it is missing; migrations are migrations.h's.
 * Returns: PS_OK, PS_ESTORE (`why` holds the library's text), PS_ENOMEM; of range files also
 *          PS_ENOTFOUND (a reader's file does not exist), PS_EPROTO.
 */
struct ps_text;
PS_MUST_CHECK
enum ps_status ps_db_open(const char *path, enum ps_db_mode mode, struct ps_db **out,
                          struct ps_text *why);
void ps_db_close(struct ps_db *db); /* NULL is fine */

/** Run SQL without results. */
PS_MUST_CHECK
enum ps_status ps_db_exec(struct ps_db *db, const char *sql);
/** The text of the last error. */
const char *ps_db_error(const struct ps_db *db);

/**
 * A prepared statement for `sql`, ready to bind. Kept by the handle and reused for the same text;
 * it must not be used twice at a time (no recursion with the same sql).
 */
PS_MUST_CHECK
enum ps_status ps_db_prepare(struct ps_db *db, const char *sql, struct ps_stmt **out);

/* Parameters count from 1. Text and blobs are copied unless the name says otherwise; a bind error
 * is kept and returned by the next step. */
void ps_stmt_bind_int(struct ps_stmt *stmt, int index, int64_t value);
void ps_stmt_bind_double(struct ps_stmt *stmt, int index, double value);
void ps_stmt_bind_text(struct ps_stmt *stmt, int index, const char *text, size_t len);
void ps_stmt_bind_cstr(struct ps_stmt *stmt, int index, const char *text); /* NULL binds NULL */
void ps_stmt_bind_blob(struct ps_stmt *stmt, int index, const void *data, size_t len);
/** Not copied: `data` must live until the statement is stepped to its end or reset. */
void ps_stmt_bind_blob_borrowed(struct ps_stmt *stmt, int index, const void *data, size_t len);
void ps_stmt_bind_uuid(struct ps_stmt *stmt, int index, const struct ps_uuid *uuid);
void ps_stmt_bind_null(struct ps_stmt *stmt, int index);

/**
 * Next row: *row tells whether there is one. At the end (or on error) the statement is reset.
 * Returns: PS_OK; PS_EEXISTS a unique constraint refused it; PS_EFULL no space; PS_ESTORE.
 */
PS_MUST_CHECK
enum ps_status ps_stmt_step(struct ps_stmt *stmt, bool *row);
/** Step a statement that has no rows. */
PS_MUST_CHECK
enum ps_status ps_stmt_run(struct ps_stmt *stmt);
/** Give up the remaining rows. */
void ps_stmt_reset(struct ps_stmt *stmt);

/* Columns count from 0; valid until the next step. */
int64_t ps_stmt_int(struct ps_stmt *stmt, int column);
double ps_stmt_double(struct ps_stmt *stmt, int column);
/** Bytes of text or blob, not terminated; NULL and 0 for SQL NULL. */
const char *ps_stmt_bytes(struct ps_stmt *stmt, int column, size_t *len);
bool ps_stmt_is_null(struct ps_stmt *stmt, int column);
/** All-zero if the column is not 16 bytes. */
struct ps_uuid ps_stmt_uuid(struct ps_stmt *stmt, int column);
/** Rows changed by the last run. */
int64_t ps_db_changes(const struct ps_db *db);

PS_MUST_CHECK
enum ps_status ps_db_begin(struct ps_db *db); /* write transaction */
PS_MUST_CHECK
enum ps_status ps_db_commit(struct ps_db *db); /* PS_EFULL, PS_ESTORE: rolled back */
void ps_db_rollback(struct ps_db *db);         /* fine outside of one */
/** Some failures (no space, I/O) end the whole transaction by themselves; false afterwards. */
bool ps_db_in_transaction(const struct ps_db *db);
PS_MUST_CHECK
enum ps_status ps_db_begin_read(struct ps_db *db); /* one snapshot for many reads */
PS_MUST_CHECK
enum ps_status ps_db_savepoint(struct ps_db *db);
PS_MUST_CHECK
enum ps_status ps_db_release(struct ps_db *db);  /* keep what the savepoint covers */
void ps_db_rollback_savepoint(struct ps_db *db); /* undo it, transaction goes on */

/** Pages in the write-ahead log after this handle's last commit. */
int ps_db_log_frames(const struct ps_db *db);
/** Give up whatever is still open: rows not read, a transaction. For whoever lends the handle. */
void ps_db_settle(struct ps_db *db);

/** Copy what the log holds into the database file (a passive checkpoint); *left = frames not yet
 *  copied. Not inside a transaction. */
PS_MUST_CHECK
enum ps_status ps_db_checkpoint(struct ps_db *db, int *log_frames, int *left);
/** The same, and then cut the log file to nothing if no reader is in the way; never waits. */
PS_MUST_CHECK
enum ps_status ps_db_checkpoint_truncate(struct ps_db *db);

/** Whether there is a file of that name, as the library's file system sees it; an empty one is
 *  none. */
bool ps_db_exists(const char *path);
/**
 * Remove a database that nobody has open: the file, its log and the log's index, and make that
 * durable. What is not there is fine. Goes through the library's file system, as all else does.
 * Returns: PS_OK; PS_ESTORE something is left
 */
PS_MUST_CHECK
enum ps_status ps_db_remove(const char *path);

#endif
