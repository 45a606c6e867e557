/* sqlite_stmt: statements are kept by their text, because preparing one costs ten times what
 * running it does. The table is bounded: when it is full, the least recently prepared statement
 * that has no rows open goes. A bind error is kept in the statement and comes out of the next step,
 * so callers check once. */
#include "core/storage/sqlite_parts.h"

#include <stdlib.h>
#include <string.h>

enum { STATEMENTS_MAX = 192 };

/* ---- the table ---- */

/* Eight bytes a step; good enough to spread some hundred texts. */
static uint64_t hash_text(const char *text, size_t len)
{
    uint64_t hash = len * 0x9E3779B97F4A7C15ull;
    for (; len >= 8; text += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        hash = (hash ^ word) * 0xD6E8FEB86659FD93ull;
        hash ^= hash >> 32;
    }
    uint64_t word = 0;
    memcpy(&word, text, len);
    hash = (hash ^ word) * 0xD6E8FEB86659FD93ull;
    return hash ^ hash >> 32;
}

static struct ps_stmt **bucket_of(struct ps_db *db, uint64_t hash)
{
    return &db->buckets[hash & (PS_SQLITE_BUCKETS - 1)];
}

static struct ps_stmt *find_statement(struct ps_db *db, const char *sql, uint64_t hash)
{
    for (struct ps_stmt *stmt = *bucket_of(db, hash); stmt; stmt = stmt->next) {
        if (stmt->hash == hash && strcmp(sqlite3_sql(stmt->handle), sql) == 0)
            return stmt;
    }
    return NULL;
}

static void forget_oldest_statement(struct ps_db *db)
{
    struct ps_stmt **oldest = NULL;
    for (size_t i = 0; i < PS_SQLITE_BUCKETS; i++) {
        for (struct ps_stmt **link = &db->buckets[i]; *link; link = &(*link)->next) {
            if (!(*link)->stays && !sqlite3_stmt_busy((*link)->handle) &&
                (!oldest || (*link)->used < (*oldest)->used))
                oldest = link;
        }
    }
    if (!oldest)
        return;
    struct ps_stmt *stmt = *oldest;
    *oldest = stmt->next;
    sqlite3_finalize(stmt->handle);
    free(stmt);
    db->statement_count--;
}

static enum ps_status make_statement(struct ps_db *db, const char *sql, size_t len, uint64_t hash,
                                     struct ps_stmt **out)
{
    sqlite3_stmt *handle = NULL;
    int rc =
        sqlite3_prepare_v3(db->handle, sql, (int)len + 1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (rc != SQLITE_OK)
        return ps_sqlite_failed(db, rc);
    struct ps_stmt *stmt = calloc(1, sizeof *stmt);
    if (!stmt) {
        sqlite3_finalize(handle);
        return PS_ENOMEM;
    }
    if (db->statement_count >= STATEMENTS_MAX)
        forget_oldest_statement(db);
    *stmt = (struct ps_stmt){ .handle = handle, .db = db, .hash = hash };
    struct ps_stmt **bucket = bucket_of(db, hash);
    stmt->next = *bucket;
    *bucket = stmt;
    db->statement_count++;
    *out = stmt;
    return PS_OK;
}

enum ps_status ps_sqlite_keep_statement(struct ps_db *db, const char *sql)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st == PS_OK)
        stmt->stays = true;
    return st;
}

enum ps_status ps_db_prepare(struct ps_db *db, const char *sql, struct ps_stmt **out)
{
    size_t len = strlen(sql);
    uint64_t hash = hash_text(sql, len);
    struct ps_stmt *stmt = find_statement(db, sql, hash);
    if (stmt) {
        sqlite3_reset(stmt->handle);
        sqlite3_clear_bindings(stmt->handle);
        stmt->bind_rc = SQLITE_OK;
    } else {
        enum ps_status st = make_statement(db, sql, len, hash, &stmt);
        if (st != PS_OK)
            return st;
    }
    stmt->used = ++db->tick;
    *out = stmt;
    return PS_OK;
}

void ps_sqlite_forget_statements(struct ps_db *db)
{
    for (size_t i = 0; i < PS_SQLITE_BUCKETS; i++) {
        for (struct ps_stmt *stmt = db->buckets[i], *next; stmt; stmt = next) {
            next = stmt->next;
            sqlite3_finalize(stmt->handle);
            free(stmt);
        }
    }
}

void ps_sqlite_reset_statements(struct ps_db *db)
{
    for (size_t i = 0; i < PS_SQLITE_BUCKETS; i++) {
        for (struct ps_stmt *stmt = db->buckets[i]; stmt; stmt = stmt->next)
            ps_stmt_reset(stmt);
    }
}

/* ---- binding ---- */

static void note_bind(struct ps_stmt *stmt, int rc)
{
    if (rc != SQLITE_OK && stmt->bind_rc == SQLITE_OK)
        stmt->bind_rc = rc;
}

void ps_stmt_bind_int(struct ps_stmt *stmt, int index, int64_t value)
{
    note_bind(stmt, sqlite3_bind_int64(stmt->handle, index, value));
}

void ps_stmt_bind_double(struct ps_stmt *stmt, int index, double value)
{
    note_bind(stmt, sqlite3_bind_double(stmt->handle, index, value));
}

void ps_stmt_bind_text(struct ps_stmt *stmt, int index, const char *text, size_t len)
{
    note_bind(stmt, sqlite3_bind_text64(stmt->handle, index, len ? text : "", len, SQLITE_TRANSIENT,
                                        SQLITE_UTF8));
}

void ps_stmt_bind_cstr(struct ps_stmt *stmt, int index, const char *text)
{
    if (text)
        ps_stmt_bind_text(stmt, index, text, strlen(text));
    else
        ps_stmt_bind_null(stmt, index);
}

void ps_stmt_bind_blob(struct ps_stmt *stmt, int index, const void *data, size_t len)
{
    note_bind(stmt,
              sqlite3_bind_blob64(stmt->handle, index, len ? data : "", len, SQLITE_TRANSIENT));
}

void ps_stmt_bind_blob_borrowed(struct ps_stmt *stmt, int index, const void *data, size_t len)
{
    note_bind(stmt, sqlite3_bind_blob64(stmt->handle, index, len ? data : "", len, SQLITE_STATIC));
}

void ps_stmt_bind_uuid(struct ps_stmt *stmt, int index, const struct ps_uuid *uuid)
{
    ps_stmt_bind_blob(stmt, index, uuid->bytes, sizeof uuid->bytes);
}

void ps_stmt_bind_null(struct ps_stmt *stmt, int index)
{
    note_bind(stmt, sqlite3_bind_null(stmt->handle, index));
}

/* ---- running ---- */

static enum ps_status bind_failed(struct ps_stmt *stmt)
{
    int rc = stmt->bind_rc;
    ps_text_set(&stmt->db->error, "bind: %s", sqlite3_errstr(rc));
    ps_stmt_reset(stmt);
    return ps_sqlite_status(stmt->db->handle, rc);
}

enum ps_status ps_stmt_step(struct ps_stmt *stmt, bool *row)
{
    if (stmt->bind_rc != SQLITE_OK)
        return bind_failed(stmt);
    int rc = sqlite3_step(stmt->handle);
    if (rc == SQLITE_ROW) {
        *row = true;
        return PS_OK;
    }
    enum ps_status st = rc == SQLITE_DONE ? PS_OK : ps_sqlite_failed(stmt->db, rc);
    sqlite3_reset(stmt->handle);
    if (st == PS_OK)
        *row = false;
    return st;
}

enum ps_status ps_stmt_run(struct ps_stmt *stmt)
{
    bool row;
    enum ps_status st = ps_stmt_step(stmt, &row);
    if (st == PS_OK && row)
        ps_stmt_reset(stmt);
    return st;
}

void ps_stmt_reset(struct ps_stmt *stmt)
{
    sqlite3_reset(stmt->handle);
    stmt->bind_rc = SQLITE_OK;
}

int64_t ps_stmt_int(struct ps_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

double ps_stmt_double(struct ps_stmt *stmt, int column)
{
    return sqlite3_column_double(stmt->handle, column);
}

const char *ps_stmt_bytes(struct ps_stmt *stmt, int column, size_t *len)
{
    *len = 0;
    if (ps_stmt_is_null(stmt, column))
        return NULL;
    const char *data = sqlite3_column_blob(stmt->handle, column);
    *len = (size_t)sqlite3_column_bytes(stmt->handle, column);
    return data ? data : ""; /* SQLite gives NULL for what is empty */
}

bool ps_stmt_is_null(struct ps_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}

struct ps_uuid ps_stmt_uuid(struct ps_stmt *stmt, int column)
{
    struct ps_uuid uuid = { { 0 } };
    size_t len;
    const char *data = ps_stmt_bytes(stmt, column, &len);
    if (data && len == sizeof uuid.bytes)
        memcpy(uuid.bytes, data, sizeof uuid.bytes);
    return uuid;
}

int64_t ps_db_changes(const struct ps_db *db)
{
    return sqlite3_changes64(db->handle);
}
