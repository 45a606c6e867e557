/* migrations: apply the missing steps, all or none. */
#include "core/storage/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"

static enum ps_status select_int(struct ps_db *db, const char *sql, int64_t *out)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(db, sql, &stmt);
    if (st == PS_OK)
        st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return st;
    *out = row ? ps_stmt_int(stmt, 0) : 0;
    ps_stmt_reset(stmt);
    return PS_OK;
}

enum ps_status ps_db_schema_version(struct ps_db *db, int64_t *out)
{
    int64_t tables = 0, ours = 0;
    enum ps_status st = select_int(db, "SELECT count(*) FROM sqlite_master", &tables);
    if (st == PS_OK)
        st = select_int(db, "SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'",
                        &ours);
    if (st != PS_OK)
        return st;
    if (tables > 0 && ours == 0)
        return PS_EUNSUPPORTED;
    if (ours == 0) {
        *out = 0;
        return PS_OK;
    }
    return select_int(db, "SELECT max(version) FROM schema_version", out);
}

static enum ps_status sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return PS_EIO;
    int rc = fsync(fd);
    close(fd);
    return rc == 0 ? PS_OK : PS_EIO;
}

static enum ps_status copy_database(struct ps_db *db, const char *to)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "VACUUM INTO ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_cstr(stmt, 1, to);
    return ps_stmt_run(stmt);
}

/* Written under another name first: a snapshot that exists is a whole one. */
static enum ps_status write_snapshot(struct ps_db *db, const char *path, int64_t version)
{
    struct ps_buf name = { 0 }, partial = { 0 };
    ps_buf_printf(&name, "%s.v%lld.snapshot", path, (long long)version);
    ps_buf_printf(&partial, "%s.v%lld.snapshot.partial", path, (long long)version);
    const char *to = ps_buf_cstr(&name), *from = ps_buf_cstr(&partial);
    enum ps_status st = PS_ENOMEM;
    if (!ps_buf_ok(&name) || !ps_buf_ok(&partial))
        goto out;
    st = unlink(from) == 0 || errno == ENOENT ? PS_OK : PS_EIO;
    if (st == PS_OK)
        st = copy_database(db, from);
    if (st == PS_OK)
        st = sync_path(from);
    if (st == PS_OK && rename(from, to) != 0)
        st = PS_EIO;
    if (st != PS_OK)
        (void)unlink(from);
out:
    ps_buf_deinit(&name);
    ps_buf_deinit(&partial);
    return st;
}

static enum ps_status note_version(struct ps_db *db, int version)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "INSERT INTO schema_version(version, applied_ms) VALUES(?, ?)", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, version);
    ps_stmt_bind_int(stmt, 2, ps_clock_now_ms());
    return ps_stmt_run(stmt);
}

static enum ps_status run_steps(struct ps_db *db, const struct ps_migration *steps, size_t count,
                                int64_t from)
{
    enum ps_status st = PS_OK;
    if (from == 0)
        st = ps_db_exec(db, "CREATE TABLE schema_version(version INTEGER PRIMARY KEY,"
                            " applied_ms INTEGER NOT NULL)");
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        if (steps[i].version <= from)
            continue;
        st = ps_db_exec(db, steps[i].sql);
        if (st == PS_OK)
            st = note_version(db, steps[i].version);
    }
    return st;
}

static enum ps_status explain(struct ps_text *why, struct ps_db *db, const char *path,
                              const char *what, enum ps_status st)
{
    ps_text_set(why, "%s: %s: %s", path, what,
                st == PS_ESTORE || st == PS_EFULL ? ps_db_error(db) : ps_status_text(st));
    return st;
}

enum ps_status ps_migrations_apply(struct ps_db *db, const char *path,
                                   const struct ps_migration *steps, size_t count,
                                   struct ps_text *why)
{
    int64_t version, latest = count > 0 ? steps[count - 1].version : 0;
    enum ps_status st = ps_db_schema_version(db, &version);
    if (st == PS_EUNSUPPORTED) {
        ps_text_set(why, "%s is a database, but not one of this program", path);
        return st;
    }
    if (st != PS_OK)
        return explain(why, db, path, "cannot read its version", st);
    if (version > latest) {
        ps_text_set(why,
                    "%s has schema version %lld, this program knows up to %lld: it was used by a "
                    "newer program and cannot be opened by this one",
                    path, (long long)version, (long long)latest);
        return PS_EUNSUPPORTED;
    }
    if (version == latest)
        return PS_OK;
    if (version > 0) {
        st = write_snapshot(db, path, version);
        if (st == PS_EFULL) /* to serve is worth more than the way back to the older program */
            ps_log_event(PS_LOG_WARN, "storage", "no_room_for_snapshot", "file", path);
        else if (st != PS_OK)
            return explain(why, db, path, "cannot copy it before the migration", st);
    }
    st = ps_db_begin(db);
    if (st == PS_OK)
        st = run_steps(db, steps, count, version);
    if (st == PS_OK)
        st = ps_db_commit(db);
    if (st != PS_OK) {
        ps_db_rollback(db);
        return explain(why, db, path, "migration failed, nothing was changed", st);
    }
    return PS_OK;
}

enum ps_status ps_db_migrate(struct ps_db *db, const char *path, struct ps_text *why)
{
    return ps_migrations_apply(db, path, PS_SCHEMA, PS_SCHEMA_COUNT, why);
}
