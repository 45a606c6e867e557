/* temp_db: a database file in a folder of its own, gone with the test. */
#ifndef PS_TESTS_TEMP_DB_H
#define PS_TESTS_TEMP_DB_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/storage/db.h"
#include "core/storage/migrations.h"
#include "core/text.h"

struct temp_db {
    char folder[64];
    char path[96];
    struct ps_db *db; /* the writer connection */
};

static inline void temp_db_open(struct temp_db *temp)
{
    struct ps_text why = { { 0 } };
    if (ps_db_open(temp->path, PS_DB_WRITER, &temp->db, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
}

/* An empty file, not migrated. */
static inline void temp_db_init_empty(struct temp_db *temp)
{
    snprintf(temp->folder, sizeof temp->folder, "/tmp/ps-test-XXXXXX");
    assert_non_null(mkdtemp(temp->folder));
    snprintf(temp->path, sizeof temp->path, "%s/pacificsoft.db", temp->folder);
    temp_db_open(temp);
}

static inline void temp_db_init(struct temp_db *temp)
{
    struct ps_text why;
    temp_db_init_empty(temp);
    assert_int_equal(ps_db_migrate(temp->db, temp->path, &why), PS_OK);
}

static inline void temp_db_reopen(struct temp_db *temp)
{
    ps_db_close(temp->db);
    temp_db_open(temp);
}

static inline int temp_db_remove_entry(const char *path, const struct stat *info, int flag,
                                       struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static inline void temp_db_deinit(struct temp_db *temp)
{
    ps_db_close(temp->db);
    nftw(temp->folder, temp_db_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The one number that a query without parameters answers. */
static inline int64_t temp_db_number(struct ps_db *db, const char *sql)
{
    struct ps_stmt *stmt;
    bool row = false;
    if (ps_db_prepare(db, sql, &stmt) != PS_OK || ps_stmt_step(stmt, &row) != PS_OK) {
        print_error("%s: %s\n", sql, ps_db_error(db));
        fail();
    }
    assert_true(row);
    int64_t number = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return number;
}

#endif
