#include "core/telemetry/keep.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/storage/writer.h"
#include "core/telemetry/store.h"

enum { PATH_SIZE = 1024, TTL_AGE_MAX_MS = 60000, TTL_MISSES_MAX = 64 };

void ps_keep_deinit(struct ps_keep *keep)
{
    ps_keep_rest(keep);
    ps_ttl_table_deinit(&keep->ttl);
    keep->ttl_loaded_ms = 0;
}

void ps_keep_rest(struct ps_keep *keep)
{
    ps_seal_set_deinit(&keep->seal_set);
}

void ps_keep_count(const struct ps_keep *keep, enum ps_metric metric, int64_t n)
{
    if (keep->metrics && n)
        ps_metrics_add(keep->metrics, keep->metrics_lane, metric, n);
}

enum ps_status ps_keep_failed(struct ps_keep *keep, const struct ps_run_file *file,
                              enum ps_status st)
{
    if (st != PS_OK)
        ps_text_set(&keep->why, "%s", ps_run_file_error(file));
    return st;
}

enum ps_status ps_keep_call(struct ps_keep *keep,
                            enum ps_status (*change)(struct ps_db *db, void *arg), void *arg)
{
    return ps_writer_call_why(keep->writer, change, arg, &keep->why);
}

void ps_keep_show_files(struct ps_keep *keep)
{
    struct ps_stmt *stmt;
    bool row = false;
    if (!keep->metrics ||
        ps_db_prepare(keep->db, "SELECT count(*) FROM telemetry_file WHERE state = 0", &stmt) !=
            PS_OK ||
        ps_stmt_step(stmt, &row) != PS_OK || !row)
        return; /* the next change shows it */
    int64_t live = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    ps_keep_count(keep, PS_METRIC_FILES, live - keep->files_counted);
    keep->files_counted = live;
}

static bool is_to_stop(const struct ps_keep *keep)
{
    return keep->stop && atomic_load_explicit(keep->stop, memory_order_relaxed);
}

enum ps_status ps_keep_breathe(struct ps_keep *keep)
{
    if (keep->breathe && !is_to_stop(keep))
        keep->breathe(keep, keep->breathe_arg);
    return is_to_stop(keep) ? PS_ECLOSED : PS_OK;
}

/* ---- damaged files ---- */

struct aside {
    char name[PS_MANIFEST_NAME_SIZE], renamed[PS_MANIFEST_NAME_SIZE];
};

static enum ps_status put_aside(struct ps_db *db, void *arg)
{
    const struct aside *aside = arg;
    struct ps_manifest_file file;
    enum ps_status st = ps_manifest_find_file(db, aside->name, &file);
    if (st == PS_ENOTFOUND)
        return PS_OK; /* it never came into the manifest */
    if (st == PS_OK)
        st = ps_manifest_set_aside(db, file.id, aside->renamed);
    return st == PS_EEXISTS ? PS_OK
                            : st; /* an older one's name: the file of this row just is gone */
}

/* What is written must differ from what is there, or there would be nothing to commit. */
static enum ps_status count_up(struct ps_db *db, void *arg)
{
    (void)arg;
    int64_t count;
    enum ps_status st = ps_manifest_state(db, PS_STATE_MADE_SURE, 0, &count);
    return st == PS_OK ? ps_manifest_set_state(db, PS_STATE_MADE_SURE, count + 1) : st;
}

enum ps_status ps_keep_make_sure(struct ps_keep *keep)
{
    return ps_keep_call(keep, count_up, NULL);
}

enum ps_status ps_keep_settle_aside(struct ps_keep *keep)
{
    struct aside aside;
    while (ps_store_next_aside(keep->store, aside.name, aside.renamed)) {
        enum ps_status st = ps_keep_call(keep, put_aside, &aside);
        if (st != PS_OK)
            return st;
        ps_store_settle_aside(keep->store, aside.name);
    }
    return PS_OK;
}

enum ps_status ps_keep_borrow(struct ps_keep *keep, const char *name, struct ps_run_file **out)
{
    if (keep->lent && strcmp(keep->lent_name, name) == 0) {
        *out = keep->lent;
        return PS_OK;
    }
    enum ps_status st = ps_store_borrow(keep->store, name, true, out, &keep->why);
    if (st != PS_EPROTO)
        return st;
    ps_store_set_aside(keep->store, name, keep->why.data);
    st = ps_keep_settle_aside(keep);
    if (st == PS_OK)
        st = ps_store_borrow(keep->store, name, true, out, &keep->why);
    return st == PS_EPROTO ? PS_EBUSY : st; /* a reader still holds the damaged one */
}

void ps_keep_return(struct ps_keep *keep, struct ps_run_file *file)
{
    if (file && file != keep->lent)
        ps_store_return(keep->store, file);
}

/* ---- time to live ---- */

static enum ps_status load_ttl(struct ps_keep *keep, bool fresh)
{
    int64_t now_ms = ps_clock_mono_ms();
    if (!fresh && keep->ttl_loaded_ms && now_ms - keep->ttl_loaded_ms < TTL_AGE_MAX_MS)
        return PS_OK;
    keep->ttl_loaded_ms = 0;
    enum ps_status st = ps_db_begin_read(keep->db);
    if (st == PS_OK)
        st = ps_ttl_table_refresh(keep->db, keep->default_ttl_s, &keep->ttl);
    ps_db_rollback(keep->db);
    if (st == PS_OK)
        keep->ttl_loaded_ms = now_ms ? now_ms : 1;
    keep->ttl_misses = 0;
    return st;
}

/* A series that came after the table was loaded. */
static enum ps_status ask_catalogue(struct ps_keep *keep, uint32_t series, uint32_t *ttl_s)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st =
        ps_db_prepare(keep->db, "SELECT entity_type, entity FROM series WHERE id = ?", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, series);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK || !row)
        return st == PS_OK ? PS_ENOTFOUND : st;
    struct ps_entity_id entity = { .type = (enum ps_entity_type)ps_stmt_int(stmt, 0),
                                   .id = ps_stmt_uuid(stmt, 1) };
    ps_stmt_reset(stmt);
    return ps_ttl_default(keep->db, &entity, keep->default_ttl_s, ttl_s);
}

enum ps_status ps_keep_load_ttl(struct ps_keep *keep)
{
    return load_ttl(keep, false);
}

/* The table tells what many series have at once; whether there is one, only the catalogue does:
 * what it does not have is taken for deleted. */
enum ps_status ps_keep_default_ttl(struct ps_keep *keep, uint32_t series, uint32_t *ttl_s)
{
    if (ps_ttl_table_find(&keep->ttl, series, ttl_s))
        return PS_OK;
    if (keep->ttl_misses >= TTL_MISSES_MAX) {
        enum ps_status st = load_ttl(keep, true); /* very many have come: all of them at once */
        if (st != PS_OK)
            return st;
        if (ps_ttl_table_find(&keep->ttl, series, ttl_s))
            return PS_OK;
    }
    enum ps_status st = ask_catalogue(keep, series, ttl_s);
    keep->ttl_misses += st == PS_OK;
    return st;
}

enum ps_status ps_keep_greatest_ttl(struct ps_keep *keep, bool fresh, uint32_t *ttl_s)
{
    enum ps_status st = load_ttl(keep, fresh);
    if (st == PS_OK)
        *ttl_s = keep->ttl.most_s;
    return st;
}

/* ---- the hold of a backup ---- */

bool ps_keep_lock(struct ps_keep *keep, int *fd)
{
    char path[PATH_SIZE];
    *fd = -1;
    if (!keep->dir || keep->locked)
        return true;
    snprintf(path, sizeof path, "%s/backup.lock", keep->dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return false;
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        keep->locked = true;
        return true;
    }
    close(*fd);
    *fd = -1;
    return false;
}

void ps_keep_unlock(struct ps_keep *keep, int fd)
{
    if (fd < 0)
        return;
    close(fd);
    keep->locked = false;
}
