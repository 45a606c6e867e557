/* The disk that cuts: what was synced stays, the rest is a matter of the seed; SQLite on it loses
 * no committed row, and does so when syncs lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "support/cut_vfs.h"

static const char path[] = "/data/a.db";

static struct cut_file *open_file(struct cut_disk *disk, const char *name)
{
    struct cut_file *file;
    bool created;
    assert_true(cut_file_open(disk, name, CUT_OPEN_OR_CREATE, &file, &created));
    return file;
}

static void fill(struct cut_disk *disk, struct cut_file *file, char letter, size_t len, uint64_t at)
{
    char bytes[8192];
    memset(bytes, letter, len);
    assert_true(cut_file_write(disk, file, bytes, len, at));
}

/* 2,048 synced As, of which the last 1,024 became Bs, and 1,024 more Bs. */
static struct cut_disk *half_synced(struct cut_file **file)
{
    struct cut_disk *disk = cut_disk_create();
    *file = open_file(disk, path);
    fill(disk, *file, 'A', 2048, 0);
    assert_true(cut_file_sync(disk, *file, true));
    fill(disk, *file, 'B', 2048, 1024);
    return disk;
}

static size_t read_all(struct cut_disk *disk, char *out, size_t cap)
{
    struct cut_file *file = open_file(disk, path);
    size_t got;
    assert_true(cut_file_read(disk, file, out, cap, 0, &got));
    assert_int_equal(got, cut_file_size(disk, file));
    cut_file_close(disk, file);
    return got;
}

static size_t after_power_cut(uint64_t seed, char *out, size_t cap)
{
    struct cut_file *file;
    struct cut_disk *disk = half_synced(&file);
    cut_disk_strike(disk, CUT_POWER);
    assert_false(cut_file_write(disk, file, "x", 1, 0));
    assert_int_equal(cut_disk_errno(), EIO);
    cut_file_close(disk, file);
    cut_disk_survive(disk, seed);
    size_t got = read_all(disk, out, cap);
    cut_disk_destroy(disk);
    return got;
}

static void what_was_synced_stays_and_the_rest_may_go_torn_or_stay(void **state)
{
    (void)state;
    unsigned old_sizes = 0, new_sizes = 0, dropped = 0, kept = 0, torn = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        char bytes[4096];
        size_t got = after_power_cut(seed, bytes, sizeof bytes);
        old_sizes += got == 2048;
        new_sizes += got == 3072;
        assert_in_range(got, 2048, 3072);
        for (size_t i = 0; i < 1024; i++)
            assert_int_equal(bytes[i], 'A');
        size_t letters_b = 0;
        for (size_t i = 1024; i < 1536; i++) {
            assert_true(bytes[i] == 'A' || bytes[i] == 'B');
            letters_b += bytes[i] == 'B';
        }
        dropped += letters_b == 0;
        kept += letters_b == 512;
        torn += letters_b > 0 && letters_b < 512;
    }
    assert_true(old_sizes > 20 && new_sizes > 20 && dropped > 20 && kept > 20 && torn > 2);
}

static void the_same_seed_leaves_the_same(void **state)
{
    (void)state;
    char first[4096] = { 0 }, second[4096] = { 0 };
    for (uint64_t seed = 1; seed <= 50; seed++) {
        size_t got = after_power_cut(seed, first, sizeof first);
        assert_int_equal(after_power_cut(seed, second, sizeof second), got);
        assert_memory_equal(first, second, got);
    }
}

static void a_kill_leaves_what_was_written(void **state)
{
    (void)state;
    struct cut_file *file;
    struct cut_disk *disk = half_synced(&file);
    cut_disk_strike(disk, CUT_KILL);
    cut_file_close(disk, file);
    cut_disk_survive(disk, 1);
    char bytes[4096];
    assert_int_equal(read_all(disk, bytes, sizeof bytes), 3072);
    assert_int_equal(bytes[3071], 'B');
    cut_disk_destroy(disk);
}

static void names_may_come_back_or_be_missing_until_their_folder_is_synced(void **state)
{
    (void)state;
    unsigned came_back = 0, missing = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct cut_disk *disk = cut_disk_create();
        struct cut_file *old = open_file(disk, path), *other = open_file(disk, "/other/x");
        assert_true(cut_file_sync(disk, old, true));
        assert_true(cut_disk_delete(disk, path, false));
        struct cut_file *young = open_file(disk, "/data/young");
        assert_true(cut_file_sync(disk, young, false));
        assert_true(cut_file_sync(disk, other, true)); /* of its own folder */
        cut_file_close(disk, old);
        cut_file_close(disk, young);
        cut_file_close(disk, other);
        cut_disk_strike(disk, CUT_POWER);
        cut_disk_survive(disk, seed);
        came_back += cut_disk_find(disk, path, NULL);
        missing += !cut_disk_find(disk, "/data/young", NULL);
        assert_true(cut_disk_find(disk, "/other/x", NULL));
        cut_disk_destroy(disk);
    }
    assert_in_range(came_back, 20, 80);
    assert_in_range(missing, 20, 80);
}

static void the_planned_operation_fails_and_the_next_ones_as_planned(void **state)
{
    (void)state;
    struct cut_disk *disk = cut_disk_create();
    cut_disk_arm(disk, &(struct cut_plan){ .fault = CUT_FULL, .at = 3, .span = 2, .seed = 1 });
    struct cut_file *file = open_file(disk, path);
    fill(disk, file, 'A', 512, 0);
    assert_false(cut_disk_struck(disk));
    assert_false(cut_file_write(disk, file, "x", 1, 512));
    assert_int_equal(cut_disk_errno(), ENOSPC);
    assert_false(cut_file_sync(disk, file, true));
    assert_int_equal(cut_disk_errno(), ENOSPC);
    assert_true(cut_file_write(disk, file, "x", 1, 512));
    assert_true(cut_disk_struck(disk));
    assert_string_equal(cut_disk_struck_in(disk), "write /data/a.db");
    assert_int_equal(cut_disk_count(disk), 5);
    cut_file_close(disk, file);
    cut_disk_destroy(disk);
}

static void reads_fail_as_planned_and_nothing_else_does(void **state)
{
    (void)state;
    struct cut_disk *disk = cut_disk_create();
    struct cut_file *file = open_file(disk, path);
    char byte;
    size_t got;
    fill(disk, file, 'A', 512, 0);
    cut_disk_arm(disk, &(struct cut_plan){ .fault = CUT_READ, .at = 2, .span = CUT_LASTING });
    assert_true(cut_file_read(disk, file, &byte, 1, 0, &got));
    for (int i = 0; i < 100; i++) {
        assert_false(cut_file_read(disk, file, &byte, 1, 0, &got));
        assert_int_equal(cut_disk_errno(), EIO);
        fill(disk, file, 'B', 512, 0);
        assert_true(cut_file_sync(disk, file, true));
    }
    cut_disk_arm(disk, &(struct cut_plan){ 0 });
    assert_true(cut_file_read(disk, file, &byte, 1, 0, &got));
    assert_int_equal(byte, 'B');
    cut_file_close(disk, file);
    cut_disk_destroy(disk);
}

static void a_passing_fault_may_be_the_beginning_of_the_end(void **state)
{
    (void)state;
    struct cut_disk *disk = cut_disk_create();
    cut_disk_arm(
        disk, &(struct cut_plan){ .fault = CUT_IOERR, .at = 2, .dies_at = 4, .dies_by = CUT_KILL });
    struct cut_file *file = open_file(disk, path);
    assert_false(cut_file_write(disk, file, "x", 1, 512));
    assert_false(cut_disk_is_dead(disk));
    fill(disk, file, 'A', 512, 0);
    assert_false(cut_file_sync(disk, file, true));
    assert_true(cut_disk_is_dead(disk));
    cut_file_close(disk, file);
    cut_disk_survive(disk, 1);
    char bytes[1024];
    assert_in_range(read_all(disk, bytes, sizeof bytes), 512, 513);
    cut_disk_destroy(disk);
}

/* As Linux does: what a failed sync could not write is clean afterwards, and the next one does not
 * write it. */
static void a_sync_after_a_failed_one_does_not_help(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct cut_file *file;
        struct cut_disk *disk = half_synced(&file);
        cut_disk_arm(disk, &(struct cut_plan){ .fault = CUT_IOERR, .at = 1, .seed = seed });
        assert_false(cut_file_sync(disk, file, false));
        assert_true(cut_file_sync(disk, file, false));
        cut_file_close(disk, file);
        cut_disk_strike(disk, CUT_POWER);
        cut_disk_survive(disk, seed);
        char bytes[4096];
        size_t got = read_all(disk, bytes, sizeof bytes);
        assert_int_equal(got, 3072); /* the second sync kept the size */
        lost += bytes[1024] == 'A';
        cut_disk_destroy(disk);
    }
    assert_in_range(lost, 10, 40);
}

/* ---- SQLite on it ---- */

static sqlite3 *open_database(void)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_exec(db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, x)",
                     NULL, NULL, NULL) == SQLITE_OK)
        return db;
    sqlite3_close(db);
    return NULL;
}

/* Rows 1, 2, 3 ... a transaction each; returns how many commits said yes. */
static int insert_rows(int count)
{
    sqlite3 *db = open_database();
    int committed = 0;
    for (int i = 1; db && i <= count; i++) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO t VALUES(%d, zeroblob(3000))", i);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
            committed = i;
        if (i % 8 == 0)
            sqlite3_wal_checkpoint(db, NULL);
    }
    sqlite3_close(db);
    return committed;
}

static int count_rows(void)
{
    sqlite3 *db = open_database();
    assert_non_null(db);
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    bool is_whole = strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*), max(n) FROM t", -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int count = is_whole && sqlite3_column_int(stmt, 0) == sqlite3_column_int(stmt, 1)
                    ? sqlite3_column_int(stmt, 0)
                    : -1;
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return count;
}

enum { ROWS = 20 };

/* Cuts at every operation; returns at how many of them something committed was lost. */
static unsigned cut_everywhere(void)
{
    unsigned losses = 0;
    for (uint64_t at = 1;; at++) {
        struct cut_disk *disk = cut_disk_create();
        cut_vfs_use(disk, at);
        cut_disk_arm(disk, &(struct cut_plan){ .fault = CUT_POWER, .at = at, .seed = at });
        int committed = insert_rows(ROWS);
        bool struck = cut_disk_struck(disk);
        if (struck) {
            cut_disk_survive(disk, at);
            int found = count_rows();
            losses += found < committed || found > committed + 1;
        }
        cut_vfs_use(NULL, 0);
        cut_disk_destroy(disk);
        if (!struck)
            return at > 100 ? losses : UINT32_MAX; /* it did get somewhere */
    }
}

static void no_committed_row_is_lost_wherever_the_power_is_cut(void **state)
{
    (void)state;
    assert_int_equal(cut_everywhere(), 0);
}

/* A database that was never synced cannot even be trusted to open, so one late cut will do. */
static void syncs_that_lie_lose_rows(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct cut_disk *disk = cut_disk_create();
        cut_vfs_use(disk, seed);
        cut_disk_arm(disk, &(struct cut_plan){
                               .fault = CUT_POWER, .at = 60, .seed = seed, .lying_syncs = true });
        int committed = insert_rows(ROWS);
        assert_true(committed > 0 && cut_disk_struck(disk));
        cut_disk_survive(disk, seed);
        sqlite3 *db = open_database();
        sqlite3_stmt *stmt = NULL;
        bool all = db &&
                   sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL) == SQLITE_OK &&
                   sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 0) >= committed;
        lost += !all;
        sqlite3_finalize(stmt);
        sqlite3_close(db);
        cut_vfs_use(NULL, 0);
        cut_disk_destroy(disk);
    }
    assert_true(lost > 3);
}

static void a_failed_write_sync_or_allocation_loses_nothing(void **state)
{
    (void)state;
    static const enum cut_fault faults[] = { CUT_IOERR, CUT_READ, CUT_FULL, CUT_NOMEM };
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        bool struck = true;
        for (uint64_t at = 1; struck; at += faults[f] == CUT_NOMEM ? 29 : 1) {
            struct cut_disk *disk = cut_disk_create();
            cut_vfs_use(disk, at);
            assert_int_equal(insert_rows(3), 3);
            cut_disk_arm(disk, &(struct cut_plan){ .fault = faults[f], .at = at, .seed = at });
            (void)insert_rows(ROWS); /* 1 to 3 are there already */
            struck = cut_disk_struck(disk);
            cut_disk_arm(disk, &(struct cut_plan){ 0 });
            sqlite3 *db = open_database();
            assert_non_null(db);
            assert_int_equal(sqlite3_exec(db, "DELETE FROM t WHERE n > 3", NULL, NULL, NULL),
                             SQLITE_OK);
            sqlite3_close(db);
            assert_int_equal(count_rows(), 3);
            cut_vfs_use(NULL, 0);
            cut_disk_destroy(disk);
        }
    }
}

static int install(void **state)
{
    (void)state;
    cut_vfs_install();
    return 0;
}

static void what_is_on_the_disk_can_be_had_as_real_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/ps-cut-export-XXXXXX", copy[64];
    struct cut_disk *disk = cut_disk_create();
    assert_non_null(mkdtemp(folder));
    cut_vfs_use(disk, 1);
    assert_int_equal(insert_rows(5), 5);
    cut_vfs_export(disk, "/data", folder);
    cut_vfs_use(NULL, 0);
    cut_disk_destroy(disk);
    snprintf(copy, sizeof copy, "%s/a.db", folder);
    cut_vfs_make_default(false);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 5);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    cut_vfs_make_default(true);
    assert_int_equal(remove(copy), 0);
    assert_int_equal(remove(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_stays_and_the_rest_may_go_torn_or_stay),
        cmocka_unit_test(the_same_seed_leaves_the_same),
        cmocka_unit_test(a_kill_leaves_what_was_written),
        cmocka_unit_test(names_may_come_back_or_be_missing_until_their_folder_is_synced),
        cmocka_unit_test(the_planned_operation_fails_and_the_next_ones_as_planned),
        cmocka_unit_test(reads_fail_as_planned_and_nothing_else_does),
        cmocka_unit_test(a_passing_fault_may_be_the_beginning_of_the_end),
        cmocka_unit_test(a_sync_after_a_failed_one_does_not_help),
        cmocka_unit_test(no_committed_row_is_lost_wherever_the_power_is_cut),
        cmocka_unit_test(syncs_that_lie_lose_rows),
        cmocka_unit_test(a_failed_write_sync_or_allocation_loses_nothing),
        cmocka_unit_test(what_is_on_the_disk_can_be_had_as_real_files),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
