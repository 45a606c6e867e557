/* The seam: values come back as they went in, failures have their status, transactions are whole.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "unit/core_storage/temp_db.h"

static int setup(void **state)
{
    struct temp_db *temp = calloc(1, sizeof *temp);
    temp_db_init_empty(temp);
    assert_int_equal(ps_db_exec(temp->db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v, u UNIQUE,"
                                          " n INTEGER CHECK(n > 0))"),
                     PS_OK);
    *state = temp;
    return 0;
}

static int teardown(void **state)
{
    temp_db_deinit(*state);
    free(*state);
    return 0;
}

static struct ps_stmt *prepared(struct ps_db *db, const char *sql)
{
    struct ps_stmt *stmt = NULL;
    assert_int_equal(ps_db_prepare(db, sql, &stmt), PS_OK);
    return stmt;
}

static void values_come_back_as_they_went_in(void **state)
{
    struct temp_db *temp = *state;
    struct ps_uuid id = ps_uuid_random();
    struct ps_stmt *stmt = prepared(temp->db, "SELECT ?, ?, ?, ?, ?, ?, ?, ?");
    ps_stmt_bind_int(stmt, 1, INT64_MIN);
    ps_stmt_bind_double(stmt, 2, 0.1);
    ps_stmt_bind_text(stmt, 3, "a\0b", 3);
    ps_stmt_bind_text(stmt, 4, NULL, 0);
    ps_stmt_bind_blob(stmt, 5, NULL, 0);
    ps_stmt_bind_uuid(stmt, 6, &id);
    ps_stmt_bind_cstr(stmt, 7, NULL);
    ps_stmt_bind_blob_borrowed(stmt, 8, "\xff\x00\x01", 3);
    bool row = false;
    size_t len;
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    assert_true(row);
    assert_true(ps_stmt_int(stmt, 0) == INT64_MIN);
    assert_true(ps_stmt_double(stmt, 1) == 0.1);
    const char *bytes = ps_stmt_bytes(stmt, 2, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "a\0b", 3);
    for (int column = 3; column <= 4; column++) { /* empty is not NULL */
        assert_false(ps_stmt_is_null(stmt, column));
        assert_non_null(ps_stmt_bytes(stmt, column, &len));
        assert_int_equal(len, 0);
    }
    struct ps_uuid back = ps_stmt_uuid(stmt, 5);
    assert_true(ps_uuid_equal(&back, &id));
    assert_true(ps_stmt_is_null(stmt, 6));
    assert_null(ps_stmt_bytes(stmt, 6, &len));
    assert_int_equal(len, 0);
    assert_memory_equal(ps_stmt_bytes(stmt, 7, &len), "\xff\x00\x01", 3);
    struct ps_uuid zero = ps_stmt_uuid(stmt, 2), all_zero = { { 0 } };
    assert_memory_equal(&zero, &all_zero, sizeof zero);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    assert_false(row);
}

static void a_statement_is_kept_and_starts_without_old_parameters(void **state)
{
    struct temp_db *temp = *state;
    struct ps_stmt *first = prepared(temp->db, "SELECT ?");
    ps_stmt_bind_int(first, 1, 7);
    bool row;
    assert_int_equal(ps_stmt_step(first, &row), PS_OK);
    struct ps_stmt *second = prepared(temp->db, "SELECT ?");
    assert_ptr_equal(first, second);
    assert_int_equal(ps_stmt_step(second, &row), PS_OK);
    assert_true(row);
    assert_true(ps_stmt_is_null(second, 0));
}

static void more_statements_than_are_kept_still_work(void **state)
{
    struct temp_db *temp = *state;
    char sql[64];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(sql, sizeof sql, "SELECT %d", i);
            assert_int_equal(temp_db_number(temp->db, sql), i);
        }
    }
}

static void errors_have_their_status(void **state)
{
    struct temp_db *temp = *state;
    static const struct {
        const char *sql;
        enum ps_status want;
    } cases[] = {
        { "INSERT INTO t(id, u) VALUES(1, 'x')", PS_OK },
        { "INSERT INTO t(id, u) VALUES(1, 'y')", PS_EEXISTS },
        { "INSERT INTO t(id, u) VALUES(2, 'x')", PS_EEXISTS },
        { "INSERT INTO t(id, n) VALUES(3, 0)", PS_EINVAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum ps_status st = ps_stmt_run(prepared(temp->db, cases[i].sql));
        if (st != cases[i].want)
            print_error("%s\n", cases[i].sql);
        assert_int_equal(st, cases[i].want);
    }
    struct ps_stmt *stmt = NULL;
    assert_int_equal(ps_db_prepare(temp->db, "SELECT nonsense FROM nowhere", &stmt), PS_ESTORE);
    assert_null(stmt);
    assert_non_null(strstr(ps_db_error(temp->db), "nowhere"));
    stmt = prepared(temp->db, "SELECT ?1");
    ps_stmt_bind_int(stmt, 2, 1); /* there is no second parameter */
    bool row = true;
    assert_int_equal(ps_stmt_step(stmt, &row), PS_ESTORE);
    assert_true(row); /* untouched */
}

static void a_transaction_is_kept_or_undone_as_a_whole(void **state)
{
    struct temp_db *temp = *state;
    assert_false(ps_db_in_transaction(temp->db));
    assert_int_equal(ps_db_begin(temp->db), PS_OK);
    assert_true(ps_db_in_transaction(temp->db));
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(1)"), PS_OK);
    ps_db_rollback(temp->db);
    ps_db_rollback(temp->db); /* fine outside of one */
    assert_int_equal(temp_db_number(temp->db, "SELECT count(*) FROM t"), 0);

    assert_int_equal(ps_db_begin(temp->db), PS_OK);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(1)"), PS_OK);
    assert_int_equal(ps_db_savepoint(temp->db), PS_OK);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(2)"), PS_OK);
    assert_int_equal(ps_db_savepoint(temp->db), PS_OK); /* they nest */
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(3)"), PS_OK);
    assert_int_equal(ps_db_release(temp->db), PS_OK);
    ps_db_rollback_savepoint(temp->db);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(4)"), PS_OK);
    assert_int_equal(ps_db_commit(temp->db), PS_OK);
    assert_int_equal(temp_db_number(temp->db, "SELECT sum(id) FROM t"), 5);
}

static void what_was_committed_is_there_after_reopening(void **state)
{
    struct temp_db *temp = *state;
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id, v) VALUES(1, 'kept')"), PS_OK);
    temp_db_reopen(temp);
    assert_int_equal(temp_db_number(temp->db, "SELECT count(*) FROM t WHERE v = 'kept'"), 1);
    assert_int_equal(temp_db_number(temp->db, "PRAGMA synchronous"), 2);
    assert_int_equal(temp_db_number(temp->db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(temp_db_number(temp->db, "PRAGMA wal_autocheckpoint"), 0);
}

static void a_reader_reads_and_cannot_write(void **state)
{
    struct temp_db *temp = *state;
    struct ps_db *reader = NULL;
    struct ps_text why;
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(1)"), PS_OK);
    assert_int_equal(ps_db_open(temp->path, PS_DB_READER, &reader, &why), PS_OK);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(ps_db_exec(reader, "INSERT INTO t(id) VALUES(2)"), PS_ESTORE);

    assert_int_equal(ps_db_begin_read(reader), PS_OK);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(2)"), PS_OK);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 1); /* one snapshot */
    ps_db_settle(reader);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 2);
    ps_db_close(reader);
}

static void a_missing_or_foreign_file_is_found_at_open(void **state)
{
    struct temp_db *temp = *state;
    struct ps_db *db = NULL;
    struct ps_text why = { { 0 } };
    char path[128];
    snprintf(path, sizeof path, "%s/none.db", temp->folder);
    assert_int_equal(ps_db_open(path, PS_DB_READER, &db, &why), PS_ESTORE);
    assert_non_null(strstr(why.data, "none.db"));
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 300; i++)
        fputs("this is no database at all\n", file);
    fclose(file);
    assert_int_equal(ps_db_open(path, PS_DB_READER, &db, &why), PS_ESTORE);
    assert_int_equal(ps_db_open(path, PS_DB_WRITER, &db, &why), PS_ESTORE);
    assert_null(db);
}

static void a_checkpoint_empties_the_log(void **state)
{
    struct temp_db *temp = *state;
    int frames = -1, left = -1;
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id, v) VALUES(1, zeroblob(100000))"),
                     PS_OK);
    assert_true(ps_db_log_frames(temp->db) > 24);
    assert_int_equal(ps_db_checkpoint(temp->db, &frames, &left), PS_OK);
    assert_true(frames > 24);
    assert_int_equal(left, 0);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(2)"), PS_OK);
    assert_true(ps_db_log_frames(temp->db) < 10); /* begun anew */
}

static int64_t log_size(const struct temp_db *temp)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof path, "%s-wal", temp->path);
    return stat(path, &info) == 0 ? info.st_size : -1;
}

/* It never waits: while a reader needs the log, it stays. */
static void the_log_is_cut_to_nothing_when_no_reader_needs_it(void **state)
{
    struct temp_db *temp = *state;
    struct ps_db *reader = NULL;
    struct ps_text why;
    assert_int_equal(ps_db_open(temp->path, PS_DB_READER, &reader, &why), PS_OK);
    assert_int_equal(ps_db_begin_read(reader), PS_OK);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 0);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id, v) VALUES(1, zeroblob(100000))"),
                     PS_OK);
    assert_int_equal(ps_db_checkpoint_truncate(temp->db), PS_OK);
    assert_true(log_size(temp) > 100000);
    ps_db_settle(reader);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 1);
    assert_int_equal(ps_db_checkpoint_truncate(temp->db), PS_OK);
    assert_int_equal(log_size(temp), 0);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 1);
    ps_db_close(reader);
}

static void range_files_tell_damage_apart(void **state)
{
    struct temp_db *temp = *state;
    struct ps_db *db = NULL;
    struct ps_text why = { "" };
    char path[128];
    snprintf(path, sizeof path, "%s/range.db", temp->folder);
    assert_int_equal(ps_db_open(path, PS_DB_RANGE_READER, &db, &why), PS_ENOTFOUND);
    assert_false(ps_db_exists(path));
    assert_int_equal(ps_db_open(path, PS_DB_RANGE_WRITER, &db, &why), PS_OK);
    assert_int_equal(temp_db_number(db, "PRAGMA page_size"), 8192);
    assert_int_equal(temp_db_number(db, "PRAGMA synchronous"), 2);
    assert_int_equal(temp_db_number(db, "PRAGMA wal_autocheckpoint"), 0);
    assert_int_equal(temp_db_number(db, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(ps_db_exec(db, "CREATE TABLE t(v)"), PS_OK);

    struct ps_db *reader = NULL; /* beside the writer */
    assert_int_equal(ps_db_open(path, PS_DB_RANGE_READER, &reader, &why), PS_OK);
    assert_int_equal(ps_db_exec(reader, "INSERT INTO t VALUES(1)"), PS_ESTORE);
    assert_int_equal(ps_db_exec(db, "INSERT INTO t VALUES(1)"), PS_OK);
    assert_int_equal(temp_db_number(reader, "SELECT count(*) FROM t"), 1);
    ps_db_close(db);
    ps_db_close(reader);

    FILE *file = fopen(path, "r+");
    for (int i = 0; i < 1000; i++)
        fputs("damage", file);
    fclose(file);
    assert_int_equal(ps_db_open(path, PS_DB_RANGE_READER, &db, &why), PS_EPROTO);
    assert_int_equal(ps_db_open(path, PS_DB_RANGE_WRITER, &db, &why), PS_EPROTO);
    assert_non_null(strstr(why.data, "range.db: "));
}

static void a_removed_database_leaves_nothing(void **state)
{
    struct temp_db *temp = *state;
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char path[128], name[160];
    snprintf(path, sizeof path, "%s/gone.db", temp->folder);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        FILE *file = fopen(name, "w");
        fputs("x", file);
        fclose(file);
    }
    assert_true(ps_db_exists(path));
    assert_int_equal(ps_db_remove(path), PS_OK);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        assert_false(ps_db_exists(name));
    }
    assert_int_equal(ps_db_remove(path), PS_OK); /* nothing to do */
    assert_int_equal(mkdir(path, 0700), 0);      /* what cannot be deleted is told */
    assert_int_equal(ps_db_remove(path), PS_ESTORE);
}

static void a_full_disk_is_told_and_nothing_is_half_there(void **state)
{
    struct temp_db *temp = *state;
    assert_int_equal(ps_db_exec(temp->db, "PRAGMA max_page_count = 64"), PS_OK);
    assert_int_equal(ps_db_begin(temp->db), PS_OK);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(1)"), PS_OK);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id, v) VALUES(2, zeroblob(1000000))"),
                     PS_EFULL);
    ps_db_rollback(temp->db);
    assert_int_equal(temp_db_number(temp->db, "SELECT count(*) FROM t"), 0);
}

/* The system refuses to let the log grow: what a quota does, and a full file system nearly. */
static void a_commit_that_finds_no_space_is_rolled_back(void **state)
{
    struct temp_db *temp = *state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){ .rlim_cur = 256 * 1024, .rlim_max = before.rlim_max };
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(ps_db_begin(temp->db), PS_OK);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id, v) VALUES(1, zeroblob(1000000))"),
                     PS_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum ps_status st = ps_db_commit(temp->db);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old_handler);
    assert_int_equal(st, PS_EFULL);
    assert_false(ps_db_in_transaction(temp->db));
    assert_int_equal(temp_db_number(temp->db, "SELECT count(*) FROM t"), 0);
    assert_int_equal(ps_db_exec(temp->db, "INSERT INTO t(id) VALUES(1)"), PS_OK);
}

static void lower_knows_more_than_ascii(void **state)
{
    struct temp_db *temp = *state;
    static const char *const pairs[][2] = {
        { "ABCxyz09", "abcxyz09" },
        { "KÜCHE Äß", "küche äß" },
        { "ТЕПЛО", "тепло" },
        { "ΔΣ", "δσ" },
        { "ȺȾ", "ⱥⱦ" },
        { "\xE2\x84\xAA", "k" },
        { "\xff\xc3", "\xff\xc3" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct ps_stmt *stmt = prepared(temp->db, "SELECT lower(?) = ?");
        ps_stmt_bind_cstr(stmt, 1, pairs[i][0]);
        ps_stmt_bind_cstr(stmt, 2, pairs[i][1]);
        bool row;
        assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
        if (ps_stmt_int(stmt, 0) != 1)
            print_error("%s\n", pairs[i][0]);
        assert_int_equal(ps_stmt_int(stmt, 0), 1);
    }
    assert_int_equal(temp_db_number(temp->db, "SELECT lower(NULL) IS NULL"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(values_come_back_as_they_went_in),
        TEST(a_statement_is_kept_and_starts_without_old_parameters),
        TEST(more_statements_than_are_kept_still_work),
        TEST(errors_have_their_status),
        TEST(a_transaction_is_kept_or_undone_as_a_whole),
        TEST(what_was_committed_is_there_after_reopening),
        TEST(a_reader_reads_and_cannot_write),
        TEST(a_missing_or_foreign_file_is_found_at_open),
        TEST(a_checkpoint_empties_the_log),
        TEST(the_log_is_cut_to_nothing_when_no_reader_needs_it),
        TEST(range_files_tell_damage_apart),
        TEST(a_removed_database_leaves_nothing),
        TEST(a_full_disk_is_told_and_nothing_is_half_there),
        TEST(a_commit_that_finds_no_space_is_rolled_back),
        TEST(lower_knows_more_than_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
