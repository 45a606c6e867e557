/* sqlite_db: the seam's implementation over SQLite.
 *
 * Statements are kept by their text, because preparing one costs ten times what running it does.
 * The table is bounded: when it is full, the least recently prepared statement that has no rows
 * open goes. A bind error is kept in the statement and comes out of the next step, so callers check
 * once.
 *
 * Not here: which SQL there is, when to checkpoint. */
#include "core/storage/db.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

#include <sqlite3.h>

#include "core/text.h"
#include "core/utf8.h"

enum {
    STATEMENTS_MAX = 192,
    BUCKETS = 256, /* power of two */
    BUSY_TIMEOUT_MS = 5000,
};

/* Of each connection; filled only as far as pages are read. Readers are several and look up each
 * device that connects: what they keep would cost more than the connections; the system's cache has
 * the same pages. */
#define WRITER_CACHE_KIB "4096"
#define READER_CACHE_KIB "256"
/* Of range files: bodies of 8 to 16 KB span few pages, and are read once. */
#define RANGE_PAGE_BYTES "8192"
#define RANGE_READER_CACHE_KIB "512"

struct ps_stmt {
    struct ps_stmt *next; /* in its bucket */
    sqlite3_stmt *handle;
    struct ps_db *db;
    uint64_t hash;
    uint64_t used; /* the database's tick when it was last prepared */
    int bind_rc;   /* first failed bind since the last reset */
};

struct ps_db {
    sqlite3 *handle;
    locale_t locale; /* for lower() beyond ASCII; 0 if the system has none */
    uint64_t tick;
    int log_frames;    /* as the last commit left it */
    bool tells_damage; /* PS_EPROTO for what cannot be a database */
    size_t statement_count;
    struct ps_stmt *buckets[BUCKETS];
    struct ps_text error;
};

static bool is_space_problem(int system_errno)
{
    return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

/* What the system said to the write that failed. SQLite makes only ENOSPC its SQLITE_FULL; of a
 * failed write to the log (nearly all writes are) it keeps the number with that file. */
static int last_errno(sqlite3 *handle)
{
    sqlite3_file *log = NULL;
    int number = sqlite3_system_errno(handle);
    if (number == 0 &&
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log && log->pMethods)
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}

static enum ps_status status_of(sqlite3 *handle, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return PS_OK;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       rc == SQLITE_CONSTRAINT_ROWID
                   ? PS_EEXISTS
                   : PS_EINVAL;
    case SQLITE_FULL:
        return PS_EFULL;
    case SQLITE_IOERR:
        /* the shared index of the log could not grow: it keeps no number, there is one reason */
        if (rc == SQLITE_IOERR_SHMSIZE)
            return PS_EFULL;
        return is_space_problem(last_errno(handle)) ? PS_EFULL : PS_ESTORE;
    case SQLITE_CANTOPEN:
        return is_space_problem(last_errno(handle)) ? PS_EFULL : PS_ESTORE;
    case SQLITE_NOMEM:
        return PS_ENOMEM;
    case SQLITE_TOOBIG:
        return PS_ELIMIT;
    default:
        return PS_ESTORE;
    }
}

static enum ps_status failed(struct ps_db *db, int rc)
{
    ps_text_set(&db->error, "%s", sqlite3_errmsg(db->handle));
    if (db->tells_damage && ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB))
        return PS_EPROTO;
    return status_of(db->handle, rc);
}

/* ---- open and close ---- */

/* Lower case of one UTF-8 sequence, appended; returns the bytes written (at most twice `len`). */
static size_t put_lower(locale_t locale, const unsigned char *in, size_t len, char *out)
{
    if (len == 1) {
        out[0] = (char)(in[0] >= 'A' && in[0] <= 'Z' ? in[0] + 32 : in[0]);
        return 1;
    }
    static const unsigned char lead_bits[] = { 0, 0, 0x1f, 0x0f, 0x07 };
    wint_t code = in[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (in[i] & 0x3f);
    wint_t lower = locale ? towlower_l(code, locale) : code;
    if (lower < 0x80) { /* the Kelvin sign becomes a k */
        out[0] = (char)lower;
        return 1;
    }
    size_t n = lower < 0x800 ? 2 : lower < 0x10000 ? 3 : 4;
    static const unsigned char lead_mark[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n; i-- > 1; lower >>= 6)
        out[i] = (char)(0x80 | (lower & 0x3f));
    out[0] = (char)(lead_mark[n] | lower);
    return n;
}

/* lower(text) for all of Unicode that has simple case pairs: SQLite's own knows only ASCII, and
 * searching must find "Küche" by "KÜCHE". */
static void sql_lower(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    const unsigned char *in = sqlite3_value_text(argv[0]);
    if (!in)
        return; /* NULL */
    const struct ps_db *db = sqlite3_user_data(context);
    size_t len = (size_t)sqlite3_value_bytes(argv[0]);
    char *out = sqlite3_malloc64(2 * len + 1);
    if (!out) {
        sqlite3_result_error_nomem(context);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < len;) {
        size_t bad = 1;
        size_t n = ps_utf8_sequence((const char *)in + i, len - i, &bad);
        if (n > 0)
            at += put_lower(db->locale, in + i, n, out + at);
        else
            memcpy(out + at, in + i, bad), at += bad;
        i += n > 0 ? n : bad;
    }
    sqlite3_result_text64(context, out, at, sqlite3_free, SQLITE_UTF8);
}

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
    ps_stmt_reset(stmt);
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
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (db->tells_damage)
        return configure_range_file(db, mode);
    db->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    int rc = sqlite3_create_function(db->handle, "lower", 1,
                                     SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, db,
                                     sql_lower, NULL, NULL);
    if (rc != SQLITE_OK)
        return failed(db, rc);
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
        st = is_missing(path, mode, rc) ? PS_ENOTFOUND : failed(db, rc);
    else
        st = configure(db, mode);
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
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct ps_stmt *stmt = db->buckets[i], *next; stmt; stmt = next) {
            next = stmt->next;
            sqlite3_finalize(stmt->handle);
            free(stmt);
        }
    }
    int rc = sqlite3_close(db->handle); /* of a NULL handle: nothing */
    PS_ASSERT(rc == SQLITE_OK);
    if (db->locale)
        freelocale(db->locale);
    free(db);
}

/* ---- statements ---- */

enum ps_status ps_db_exec(struct ps_db *db, const char *sql)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? PS_OK : failed(db, rc);
}

const char *ps_db_error(const struct ps_db *db)
{
    return db->error.data;
}

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
    return &db->buckets[hash & (BUCKETS - 1)];
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
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct ps_stmt **link = &db->buckets[i]; *link; link = &(*link)->next) {
            if (!sqlite3_stmt_busy((*link)->handle) && (!oldest || (*link)->used < (*oldest)->used))
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
        return failed(db, rc);
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

static enum ps_status bind_failed(struct ps_stmt *stmt)
{
    int rc = stmt->bind_rc;
    ps_text_set(&stmt->db->error, "bind: %s", sqlite3_errstr(rc));
    ps_stmt_reset(stmt);
    return status_of(stmt->db->handle, rc);
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
    enum ps_status st = rc == SQLITE_DONE ? PS_OK : failed(stmt->db, rc);
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
        run_undo(db, "ROLLBACK");
}

enum ps_status ps_db_savepoint(struct ps_db *db)
{
    return run_cached(db, "SAVEPOINT ps");
}

enum ps_status ps_db_release(struct ps_db *db)
{
    enum ps_status st = run_cached(db, "RELEASE ps");
    if (st != PS_OK)
        ps_db_rollback_savepoint(db);
    return st;
}

void ps_db_rollback_savepoint(struct ps_db *db)
{
    if (!ps_db_in_transaction(db))
        return; /* the failure ended the transaction already */
    run_undo(db, "ROLLBACK TO ps");
    run_undo(db, "RELEASE ps");
}

void ps_db_settle(struct ps_db *db)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct ps_stmt *stmt = db->buckets[i]; stmt; stmt = stmt->next)
            ps_stmt_reset(stmt);
    }
    ps_db_rollback(db);
}

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
        return failed(db, rc);
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
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED
               ? PS_OK
               : failed(db, rc);
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
