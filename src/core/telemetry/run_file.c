#include "core/telemetry/run_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/known_series.h"

static const char tables[] =
    "CREATE TABLE block(id INTEGER PRIMARY KEY, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL,"
    " body BLOB NOT NULL);"
    "CREATE TABLE run(run INTEGER PRIMARY KEY, level INTEGER NOT NULL,"
    " journal_first INTEGER NOT NULL, journal_last INTEGER NOT NULL, points INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL,"
    " max_ttl_s INTEGER NOT NULL, has_default_ttl INTEGER NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE TABLE series(id INTEGER PRIMARY KEY, entity_type INTEGER NOT NULL,"
    " entity BLOB NOT NULL, key TEXT NOT NULL);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

struct ps_run_file {
    char *path; /* owned */
    struct ps_db *db;
    bool writable;
    bool reading;     /* this handle began a read transaction for its readers */
    unsigned readers; /* open ones */
    struct ps_range range;
    struct ps_known_series known;
    struct ps_text error;
};

/* ---- failures ---- */

enum ps_status ps_run_file_failed(struct ps_run_file *file, enum ps_status st)
{
    if (st == PS_ENOMEM)
        ps_text_set(&file->error, "%s: out of memory", file->path);
    else if (st != PS_OK)
        ps_text_set(&file->error, "%s: %s", file->path, ps_db_error(file->db));
    return st;
}

void ps_run_file_restore_error(struct ps_run_file *file, const struct ps_text *error)
{
    file->error = *error;
}

enum ps_status ps_run_file_damaged(struct ps_run_file *file, int64_t block, const char *what)
{
    if (block)
        ps_text_set(&file->error, "%s: block %lld: %s", file->path, (long long)block, what);
    else
        ps_text_set(&file->error, "%s: %s", file->path, what);
    return PS_EPROTO;
}

/* ---- open and close ---- */

static enum ps_status write_meta(struct ps_run_file *file, const char *key, int64_t value)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(file->db,
                                      "INSERT INTO meta(key, value) VALUES(?, ?)"
                                      " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                                      &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_cstr(stmt, 1, key);
    ps_stmt_bind_int(stmt, 2, value);
    return ps_run_file_failed(file, ps_stmt_run(stmt));
}

static enum ps_status make_tables(struct ps_run_file *file, const struct ps_range *range)
{
    enum ps_status st = ps_db_begin(file->db);
    if (st == PS_OK)
        st = ps_db_exec(file->db, tables);
    if (st != PS_OK)
        ps_run_file_failed(file, st);
    if (st == PS_OK)
        st = write_meta(file, "version", PS_RUN_FILE_VERSION);
    if (st == PS_OK)
        st = write_meta(file, "start_ms", range->start_ms);
    if (st == PS_OK)
        st = write_meta(file, "end_ms", range->end_ms);
    if (st != PS_OK) {
        ps_db_rollback(file->db);
        return st;
    }
    return ps_run_file_failed(file, ps_db_commit(file->db));
}

/* *all = how many tables there are, *ours = how many of them are those of a range file. */
static enum ps_status count_tables(struct ps_run_file *file, int64_t *all, int64_t *ours)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st =
        ps_db_prepare(file->db,
                      "SELECT count(*), total(name IN ('block', 'run', 'series', 'meta'))"
                      " FROM sqlite_master WHERE type = 'table'",
                      &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    *all = ps_stmt_int(stmt, 0);
    *ours = ps_stmt_int(stmt, 1);
    ps_stmt_reset(stmt);
    return PS_OK;
}

/* All of it at once: opening is on the way of every query of a file that is not open yet. */
static enum ps_status take_meta(struct ps_run_file *file, int64_t *version)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(file->db, "SELECT key, value FROM meta", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *key = ps_stmt_bytes(stmt, 0, &len);
        int64_t value = ps_stmt_int(stmt, 1);
        if (len == 7 && memcmp(key, "version", len) == 0)
            *version = value;
        else if (len == 8 && memcmp(key, "start_ms", len) == 0)
            file->range.start_ms = value;
        else if (len == 6 && memcmp(key, "end_ms", len) == 0)
            file->range.end_ms = value;
    }
    return ps_run_file_failed(file, st);
}

static enum ps_status check_meta(struct ps_run_file *file)
{
    int64_t version = 0;
    file->range.start_ms = INT64_MIN;
    file->range.end_ms = INT64_MAX;
    enum ps_status st = take_meta(file, &version);
    if (st == PS_OK && version > PS_RUN_FILE_VERSION) {
        ps_text_set(&file->error, "%s: written by a newer version (%lld)", file->path,
                    (long long)version);
        return PS_EUNSUPPORTED;
    }
    if (st == PS_OK && version < 1)
        return ps_run_file_damaged(file, 0, "its version is missing");
    return st;
}

static void name_range(struct ps_run_file *file)
{
    const char *slash = strrchr(file->path, '/');
    const char *name = slash ? slash + 1 : file->path;
    size_t len = strlen(name);
    if (len > 3 && strcmp(name + len - 3, ".db") == 0)
        len -= 3;
    snprintf(file->range.name, sizeof file->range.name, "%.*s",
             (int)(len < PS_RANGE_NAME_SIZE ? len : PS_RANGE_NAME_SIZE - 1), name);
}

static enum ps_status check_tables(struct ps_run_file *file, const struct ps_range *range)
{
    int64_t all = 0, ours = 0;
    enum ps_status st = count_tables(file, &all, &ours);
    if (st == PS_OK && all == 0 && file->writable && range) {
        ps_db_rollback(file->db); /* what was read */
        return make_tables(file, range);
    }
    if (st == PS_OK && ours < 4)
        return ps_run_file_damaged(file, 0, all ? "not a telemetry file" : "it is empty");
    return st;
}

static enum ps_status check_file(struct ps_run_file *file, const struct ps_range *range)
{
    name_range(file);
    enum ps_status st = ps_run_file_failed(file, ps_db_begin_read(file->db));
    if (st == PS_OK)
        st = check_tables(file, range);
    if (st == PS_OK)
        st = check_meta(file);
    ps_db_rollback(file->db);
    return st;
}

static enum ps_status open_database(struct ps_run_file *file, const struct ps_range *range)
{
    if (file->writable && !range && !ps_db_exists(file->path)) {
        ps_text_set(&file->error, "%s: not found", file->path);
        return PS_ENOTFOUND;
    }
    return ps_db_open(file->path, file->writable ? PS_DB_RANGE_WRITER : PS_DB_RANGE_READER,
                      &file->db, &file->error);
}

enum ps_status ps_run_file_open(const char *path, enum ps_run_file_mode mode,
                                const struct ps_range *range, struct ps_run_file **out,
                                struct ps_text *why)
{
    struct ps_run_file *file = calloc(1, sizeof *file);
    if (!file || !(file->path = strdup(path))) {
        free(file);
        ps_text_set(why, "%s: out of memory", path);
        return PS_ENOMEM;
    }
    file->writable = mode == PS_RUN_FILE_WRITE;
    enum ps_status st = open_database(file, range);
    if (st == PS_OK)
        st = check_file(file, range);
    if (st != PS_OK) {
        ps_text_set(why, "%s", file->error.data);
        ps_run_file_close(file);
        return st;
    }
    *out = file;
    return PS_OK;
}

void ps_run_file_close(struct ps_run_file *file)
{
    if (!file)
        return;
    if (file->db)
        ps_run_file_settle(file);
    ps_db_close(file->db);
    ps_known_series_forget(&file->known);
    free(file->path);
    free(file);
}

const struct ps_range *ps_run_file_range(const struct ps_run_file *file)
{
    return &file->range;
}

bool ps_run_file_writable(const struct ps_run_file *file)
{
    return file->writable;
}

const char *ps_run_file_error(const struct ps_run_file *file)
{
    return file->error.data;
}

struct ps_db *ps_run_file_db(struct ps_run_file *file)
{
    return file->db;
}

struct ps_known_series *ps_run_file_known(struct ps_run_file *file)
{
    return &file->known;
}

void ps_run_file_settle(struct ps_run_file *file)
{
    if (ps_db_in_transaction(file->db))
        ps_known_series_forget(&file->known);
    ps_db_settle(file->db);
    file->readers = 0;
    file->reading = false;
}

enum ps_status ps_run_file_begin_read(struct ps_run_file *file)
{
    if (file->readers == 0 && !ps_db_in_transaction(file->db)) {
        enum ps_status st = ps_db_begin_read(file->db);
        if (st != PS_OK)
            return ps_run_file_failed(file, st);
        file->reading = true;
    }
    file->readers++;
    return PS_OK;
}

void ps_run_file_end_read(struct ps_run_file *file)
{
    if (file->readers > 0 && --file->readers == 0 && file->reading) {
        ps_db_rollback(file->db);
        file->reading = false;
    }
}

/* ---- changes ---- */

static enum ps_status has_blocks(struct ps_run_file *file, int64_t run, bool *out)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(file->db, "SELECT 1 FROM block WHERE id BETWEEN ? AND ? LIMIT 1", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, ps_block_id(run, 0, 0));
    ps_stmt_bind_int(stmt, 2, ps_block_id(run, UINT32_MAX, PS_RUN_PART_MAX));
    st = ps_stmt_step(stmt, out);
    if (st == PS_OK && *out)
        ps_stmt_reset(stmt);
    return st;
}

/* Once its last block is gone, the number is free for a new run: the caller must not come again. */
static enum ps_status delete_blocks(struct ps_run_file *file, int64_t run, int blocks_max,
                                    bool *finished)
{
    bool more = true;
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(file->db, "DELETE FROM run WHERE run = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, run);
    st = ps_stmt_run(stmt);
    if (st == PS_OK)
        st = ps_db_prepare(file->db,
                           "DELETE FROM block WHERE id IN (SELECT id FROM block"
                           " WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)",
                           &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, ps_block_id(run, 0, 0));
    ps_stmt_bind_int(stmt, 2, ps_block_id(run, UINT32_MAX, PS_RUN_PART_MAX));
    ps_stmt_bind_int(stmt, 3, blocks_max);
    st = ps_stmt_run(stmt);
    if (st == PS_OK)
        st = has_blocks(file, run, &more);
    *finished = st == PS_OK && !more;
    return st;
}

enum ps_status ps_run_file_delete(struct ps_run_file *file, int64_t run, int blocks_max,
                                  bool *finished)
{
    PS_ASSERT(file->writable && blocks_max > 0);
    bool none_left = false;
    enum ps_status st = ps_db_begin(file->db);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    st = delete_blocks(file, run, blocks_max, &none_left);
    if (st == PS_OK)
        st = ps_db_commit(file->db);
    if (st != PS_OK) {
        ps_run_file_failed(file, st);
        ps_db_rollback(file->db);
        return st;
    }
    *finished = none_left;
    return ps_run_file_checkpoint(file);
}

enum ps_status ps_run_file_space(struct ps_run_file *file, struct ps_run_file_space *out)
{
    static const char *const questions[] = { "PRAGMA page_size", "PRAGMA page_count",
                                             "PRAGMA freelist_count" };
    int64_t answers[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        struct ps_stmt *stmt;
        bool row = false;
        enum ps_status st = ps_db_prepare(file->db, questions[i], &stmt);
        if (st == PS_OK)
            st = ps_stmt_step(stmt, &row);
        if (st != PS_OK)
            return ps_run_file_failed(file, st);
        answers[i] = row ? ps_stmt_int(stmt, 0) : 0;
        ps_stmt_reset(stmt);
    }
    *out = (struct ps_run_file_space){ answers[0], answers[1], answers[2] };
    return PS_OK;
}

enum ps_status ps_run_file_shrink(struct ps_run_file *file, int pages_max)
{
    PS_ASSERT(file->writable && pages_max > 0);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%d)", pages_max);
    enum ps_status st = ps_db_exec(file->db, sql);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    return ps_run_file_checkpoint(file);
}

enum ps_status ps_run_file_checkpoint(struct ps_run_file *file)
{
    PS_ASSERT(file->writable);
    return ps_run_file_failed(file, ps_db_checkpoint_truncate(file->db));
}
