/* fsck_main: the main database: its pages, its references, its journal, its counters. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/telemetry/journal.h"
#include "core/upkeep/fsck_state.h"
#include "core/upkeep/plain_file.h"

/* ---- pages and references ---- */

/* Every row of the answer is a problem, except "ok". */
static enum ps_status check_pages(struct ps_fsck *fsck)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(fsck->db, "PRAGMA integrity_check(20)", &stmt);
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *text = ps_stmt_bytes(stmt, 0, &len);
        if (text && (len != 2 || memcmp(text, "ok", 2) != 0))
            ps_fsck_problem(fsck, "pacificsoft.db: %.*s", (int)(len < 200 ? len : 200), text);
    }
    return ps_fsck_db_failed(fsck, st);
}

static enum ps_status check_references(struct ps_fsck *fsck)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(fsck->db, "PRAGMA foreign_key_check", &stmt);
    for (int told = 0; st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row; told++) {
        size_t table_len, parent_len;
        const char *table = ps_stmt_bytes(stmt, 0, &table_len);
        const char *parent = ps_stmt_bytes(stmt, 2, &parent_len);
        if (told < 20)
            ps_fsck_problem(fsck, "pacificsoft.db: a row of %.*s refers to a missing %.*s",
                            (int)table_len, table ? table : "", (int)parent_len,
                            parent ? parent : "");
    }
    return ps_fsck_db_failed(fsck, st);
}

enum ps_status ps_fsck_main(struct ps_fsck *fsck)
{
    int64_t before = fsck->result->problems;
    enum ps_status st = check_pages(fsck);
    if (st == PS_OK)
        st = check_references(fsck);
    if (st == PS_OK && fsck->result->problems > before)
        ps_fsck_note(fsck, "the main database cannot be remade: restore a backup");
    return st;
}

/* ---- the journal ---- */

static enum ps_status check_row(const void *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    while (st == PS_OK)
        st = ps_journal_next(&decoder, &record);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static enum ps_status save_row(struct ps_fsck *fsck, int64_t seq, const void *blob, size_t len)
{
    struct ps_path path;
    enum ps_status st =
        ps_path_set(&path, fsck->why, "%s/journal-%" PRId64 ".damaged", fsck->settings->dir, seq);
    if (st != PS_OK)
        return st;
    int fd = open(path.data, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, blob, len) != (ssize_t)len || fsync(fd) != 0)
        st = ps_file_failed(path.data, EIO, fsck->why);
    if (fd >= 0)
        close(fd);
    return st;
}

static enum ps_status delete_row(struct ps_fsck *fsck, int64_t seq)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(fsck->db, "DELETE FROM journal WHERE seq = ?", &stmt);
    if (st == PS_OK) {
        ps_stmt_bind_int(stmt, 1, seq);
        st = ps_stmt_run(stmt);
    }
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "journal row %" PRId64 " moved to journal-%" PRId64 ".damaged", seq,
                         seq);
    return ps_fsck_db_failed(fsck, st);
}

/* The next damaged row after `seq` in *seq; PS_ENOTFOUND: none. */
static enum ps_status next_damaged_row(struct ps_fsck *fsck, int64_t *seq)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(
        fsck->db, "SELECT seq, points FROM journal WHERE seq > ? ORDER BY seq", &stmt);
    if (st == PS_OK)
        ps_stmt_bind_int(stmt, 1, *seq);
    while (st == PS_OK && (st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        *seq = ps_stmt_int(stmt, 0);
        fsck->result->journal_rows++;
        if (check_row(blob ? blob : "", len) == PS_OK)
            continue;
        ps_fsck_problem(fsck, "journal row %" PRId64 " (%zu bytes) is damaged", *seq, len);
        st = fsck->settings->rebuild ? save_row(fsck, *seq, blob ? blob : "", len) : PS_OK;
        ps_stmt_reset(stmt);
        return st;
    }
    return st == PS_OK ? PS_ENOTFOUND : ps_fsck_db_failed(fsck, st);
}

enum ps_status ps_fsck_journal(struct ps_fsck *fsck)
{
    int64_t seq = INT64_MIN;
    enum ps_status st;
    while ((st = next_damaged_row(fsck, &seq)) == PS_OK) {
        if (fsck->settings->rebuild)
            st = delete_row(fsck, seq);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* ---- counters ---- */

static enum ps_status number(struct ps_fsck *fsck, const char *sql, int64_t *out)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = ps_db_prepare(fsck->db, sql, &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return ps_fsck_db_failed(fsck, st);
    *out = row ? ps_stmt_int(stmt, 0) : 0;
    ps_stmt_reset(stmt);
    return PS_OK;
}

static enum ps_status shift(struct ps_fsck *fsck, const char *sql, int64_t above, int64_t by)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(fsck->db, sql, &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, by);
    ps_stmt_bind_int(stmt, 2, above);
    return ps_stmt_run(stmt);
}

/* Runs are newer than the journal: an older main database beside newer files. What is in the
 * journal and not sealed moves behind them, so that none of it is taken for sealed. */
static enum ps_status move_journal(struct ps_fsck *fsck, int64_t sealed)
{
    int64_t by = fsck->last_seq - sealed;
    enum ps_status st = ps_db_begin(fsck->db);
    if (st != PS_OK)
        return st;
    st = shift(fsck, "UPDATE journal SET seq = -(seq + ?) WHERE seq > ?", sealed, by);
    if (st == PS_OK)
        st = ps_db_exec(fsck->db, "UPDATE journal SET seq = -seq WHERE seq < 0");
    if (st == PS_OK)
        st = shift(fsck, "UPDATE tombstone SET seq = seq + ? WHERE seq > ?", sealed, by);
    if (st == PS_OK)
        st = ps_manifest_set_state(fsck->db, PS_STATE_SEALED_SEQ, fsck->last_seq);
    if (st == PS_OK)
        return ps_db_commit(fsck->db);
    ps_db_rollback(fsck->db);
    return st;
}

static enum ps_status check_sealed_seq(struct ps_fsck *fsck)
{
    int64_t sealed;
    enum ps_status st = ps_manifest_state(fsck->db, PS_STATE_SEALED_SEQ, 0, &sealed);
    if (st != PS_OK || fsck->last_seq <= sealed)
        return ps_fsck_db_failed(fsck, st);
    ps_fsck_problem(fsck,
                    "files hold points up to journal row %" PRId64 ", the journal says %" PRId64
                    " is the last sealed",
                    fsck->last_seq, sealed);
    if (!fsck->settings->rebuild)
        return PS_OK;
    st = move_journal(fsck, sealed);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "the journal goes on after row %" PRId64, fsck->last_seq);
    return ps_fsck_db_failed(fsck, st);
}

static enum ps_status check_counter(struct ps_fsck *fsck, const char *key, int64_t used)
{
    int64_t next;
    enum ps_status st = ps_manifest_state(fsck->db, key, used + 1, &next);
    if (st != PS_OK || next > used)
        return ps_fsck_db_failed(fsck, st);
    ps_fsck_problem(fsck, "counter %s is %" PRId64 ", but %" PRId64 " is in use", key, next, used);
    if (!fsck->settings->rebuild)
        return PS_OK;
    st = ps_manifest_set_state(fsck->db, key, used + 1);
    if (st == PS_OK)
        ps_fsck_repaired(fsck, "counter %s set to %" PRId64, key, used + 1);
    return ps_fsck_db_failed(fsck, st);
}

enum ps_status ps_fsck_counters(struct ps_fsck *fsck)
{
    int64_t greatest_series = 0, greatest_file = 0;
    enum ps_status st = number(fsck, "SELECT count(*) FROM series", &fsck->result->series);
    if (st == PS_OK)
        st = number(fsck, "SELECT coalesce(max(id), 0) FROM series", &greatest_series);
    if (st == PS_OK)
        st = number(fsck, "SELECT coalesce(max(id), 0) FROM telemetry_file", &greatest_file);
    if (st == PS_OK)
        st = check_sealed_seq(fsck);
    if (greatest_series < fsck->greatest_series)
        greatest_series = fsck->greatest_series;
    if (st == PS_OK)
        st = check_counter(fsck, PS_STATE_NEXT_SERIES, greatest_series);
    return st == PS_OK ? check_counter(fsck, PS_STATE_NEXT_FILE, greatest_file) : st;
}
