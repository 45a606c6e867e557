#include "core/upkeep/database_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/storage/db.h"
#include "core/upkeep/plain_file.h"

static enum ps_status told(struct ps_text *why, const char *path, struct ps_db *db,
                           enum ps_status st)
{
    ps_text_set(why, "%s: %s", path, ps_db_error(db));
    return st;
}

static enum ps_status vacuum_into(struct ps_db *db, const char *to)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_exec(db, "PRAGMA query_only = OFF");
    if (st == PS_OK)
        st = ps_db_prepare(db, "VACUUM INTO ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, to);
    return ps_stmt_run(stmt);
}

/* As a reader of range files, for the main database, too: such a handle takes the log of a database
 * that nobody else has open away when it closes, and tells damage apart. */
enum ps_status ps_database_copy(const char *from, const char *to, struct ps_text *why)
{
    struct ps_db *db;
    int fd = open(to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600); /* passwords are in it */
    if (fd < 0)
        return ps_file_failed(to, errno, why);
    close(fd);
    enum ps_status st = ps_db_open(from, PS_DB_RANGE_READER, &db, why);
    if (st == PS_ENOTFOUND)
        return ps_file_failed(from, ENOENT, why);
    if (st != PS_OK)
        return st;
    st = vacuum_into(db, to);
    if (st != PS_OK)
        st = told(why, from, db, st);
    ps_db_close(db);
    return st;
}

static enum ps_status check_pages(struct ps_db *db, const char *path, struct ps_text *why)
{
    struct ps_stmt *stmt;
    bool row = false;
    size_t len = 0;
    enum ps_status st = ps_db_prepare(db, "PRAGMA integrity_check(1)", &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return told(why, path, db, st);
    const char *text = row ? ps_stmt_bytes(stmt, 0, &len) : NULL;
    if (!text || len != 2 || memcmp(text, "ok", 2) != 0) {
        ps_text_set(why, "%s: %.*s", path, (int)(len < 150 ? len : 150), text ? text : "");
        st = PS_EPROTO;
    }
    ps_stmt_reset(stmt);
    return st;
}

enum ps_status ps_database_check(const char *path, struct ps_text *why)
{
    struct ps_db *db;
    enum ps_status st = ps_db_open(path, PS_DB_RANGE_READER, &db, why);
    if (st != PS_OK)
        return st;
    st = check_pages(db, path, why);
    ps_db_close(db);
    return st;
}

/* ---- range files ---- */

static const struct ps_run *find_run(const struct ps_run_list *runs, int64_t number)
{
    for (size_t i = 0; i < runs->count; i++)
        if (runs->items[i].run == number)
            return &runs->items[i];
    return NULL;
}

static enum ps_status compare_runs(const char *path, const struct ps_run_list *wanted,
                                   const struct ps_run_list *have, struct ps_text *why)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const struct ps_run *want = &wanted->items[i], *run = find_run(have, want->run);
        if (run && run->points == want->points && run->journal_last == want->journal_last)
            continue;
        ps_text_set(why, "%s: run %lld of the manifest is %s", path, (long long)want->run,
                    run ? "another one" : "missing");
        return PS_EPROTO;
    }
    return PS_OK;
}

static void note_damage(void *arg, const struct ps_run_damage *damage)
{
    struct ps_text *first = arg;
    if (first->data[0])
        return;
    if (damage->block)
        ps_text_set(first, "run %lld, block of series %lu: %s",
                    (long long)ps_block_id_run(damage->block),
                    (unsigned long)ps_block_id_series(damage->block), damage->text);
    else
        ps_text_set(first, "%s", damage->text);
}

static enum ps_status check_open_file(struct ps_run_file *file, const char *path,
                                      const struct ps_run_list *wanted, struct ps_text *why)
{
    struct ps_text damage = { "" };
    struct ps_run_verified counts;
    struct ps_run_list have = { 0 };
    enum ps_status st = ps_run_file_verify(file, true, note_damage, &damage, &counts);
    if (st != PS_OK)
        ps_text_set(why, "%s: %s", path, damage.data[0] ? damage.data : ps_run_file_error(file));
    if (st == PS_OK)
        st = ps_run_file_runs(file, &have);
    if (st == PS_OK)
        st = compare_runs(path, wanted, &have, why);
    ps_run_list_deinit(&have);
    return st;
}

enum ps_status ps_run_file_check(const char *path, const struct ps_run_list *runs,
                                 struct ps_text *why)
{
    struct ps_run_file *file;
    enum ps_status st = ps_run_file_open(path, PS_RUN_FILE_READ, NULL, &file, why);
    if (st != PS_OK)
        return st;
    st = check_open_file(file, path, runs, why);
    ps_run_file_close(file);
    return st;
}

/* Runs are never changed once they are written, so who they are tells what is in them. */
uint64_t ps_run_list_content(const struct ps_run_list *runs)
{
    uint64_t content = runs->count;
    for (size_t i = 0; i < runs->count; i++) {
        const struct ps_run *run = &runs->items[i];
        int64_t fields[] = { run->file,         run->run,       run->level, run->journal_first,
                             run->journal_last, run->points,    run->bytes, run->min_ms,
                             run->max_ms,       run->created_ms };
        content = XXH3_64bits_withSeed(fields, sizeof fields, content);
    }
    return content ? content : 1;
}
