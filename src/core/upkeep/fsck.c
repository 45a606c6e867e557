#include "core/upkeep/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/storage/migrations.h"
#include "core/upkeep/fsck_state.h"
#include "core/upkeep/plain_file.h"
#include "core/upkeep/restore.h"

/* ---- telling ---- */

static void tell(struct ps_fsck *fsck, const char *kind, const char *format, va_list args)
{
    const struct ps_upkeep_watcher *watcher = &fsck->settings->watcher;
    char text[PS_TEXT_SIZE * 2], line[PS_TEXT_SIZE * 2 + 32];
    if (!watcher->tell)
        return;
    vsnprintf(text, sizeof text, format, args);
    snprintf(line, sizeof line, "%s: %s", kind, text);
    watcher->tell(watcher->arg, line);
}

void ps_fsck_problem(struct ps_fsck *fsck, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(fsck, "problem", format, args);
    va_end(args);
    fsck->result->problems++;
}

void ps_fsck_repaired(struct ps_fsck *fsck, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(fsck, "repaired", format, args);
    va_end(args);
    fsck->result->repaired++;
}

void ps_fsck_note(struct ps_fsck *fsck, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(fsck, "note", format, args);
    va_end(args);
}

enum ps_status ps_fsck_db_failed(struct ps_fsck *fsck, enum ps_status st)
{
    if (st != PS_OK && !fsck->why->data[0])
        ps_text_set(fsck->why, "%s/pacificsoft.db: %s", fsck->settings->dir,
                    st == PS_ENOMEM ? ps_status_text(st) : ps_db_error(fsck->db));
    return st;
}

/* ---- opening ---- */

static enum ps_status take_lock(struct ps_fsck *fsck)
{
    struct ps_path path;
    enum ps_status st = ps_path_set(&path, fsck->why, "%s/lock", fsck->settings->dir);
    if (st != PS_OK)
        return st;
    fsck->lock_fd = open(path.data, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fsck->lock_fd < 0)
        return ps_file_failed(path.data, errno, fsck->why);
    if (flock(fsck->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return PS_OK;
    ps_text_set(fsck->why, "%s: another process uses this data directory; stop it first",
                fsck->settings->dir);
    return PS_EBUSY;
}

static enum ps_status check_version(struct ps_fsck *fsck)
{
    int64_t version, known = PS_SCHEMA[PS_SCHEMA_COUNT - 1].version;
    enum ps_status st = ps_db_schema_version(fsck->db, &version);
    if (st == PS_OK && version == known)
        return PS_OK;
    if (st != PS_OK && st != PS_EUNSUPPORTED)
        return ps_fsck_db_failed(fsck, st);
    ps_text_set(fsck->why,
                st == PS_OK ? "%s: schema version %lld, this program checks version %lld%s"
                            : "%s: not a database of this program",
                fsck->settings->dir, (long long)version, (long long)known,
                version < known ? "; start the server once, it migrates" : "");
    return PS_EUNSUPPORTED;
}

static enum ps_status open_all(struct ps_fsck *fsck)
{
    struct ps_path path;
    enum ps_status st = ps_restore_finished(fsck->settings->dir, fsck->why);
    if (st == PS_OK)
        st = ps_path_set(&path, fsck->why, "%s/pacificsoft.db", fsck->settings->dir);
    if (st == PS_OK && access(path.data, R_OK) != 0)
        st = ps_file_failed(path.data, errno, fsck->why);
    if (st == PS_OK)
        st = take_lock(fsck);
    if (st == PS_OK)
        st = ps_db_open(path.data, fsck->settings->rebuild ? PS_DB_WRITER : PS_DB_RANGE_READER,
                        &fsck->db, fsck->why);
    if (st == PS_OK)
        st = check_version(fsck);
    struct ps_store_settings store = { .dir = fsck->settings->dir };
    return st == PS_OK ? ps_store_open(&store, &fsck->store, fsck->why) : st;
}

/* ---- all of it ---- */

static enum ps_status check_all(struct ps_fsck *fsck)
{
    enum ps_status st = ps_fsck_main(fsck);
    if (st == PS_OK)
        st = ps_fsck_files(fsck);
    if (st == PS_OK)
        st = ps_fsck_journal(fsck);
    if (st == PS_OK)
        st = ps_fsck_pins(fsck);
    return st == PS_OK ? ps_fsck_counters(fsck) : st;
}

enum ps_status ps_fsck_run(const struct ps_fsck_settings *settings, struct ps_fsck_result *out,
                           struct ps_text *why)
{
    *out = (struct ps_fsck_result){ 0 };
    struct ps_fsck fsck = { .settings = settings, .result = out, .why = why, .lock_fd = -1 };
    ps_text_set(why, "%s", "");
    enum ps_status st = open_all(&fsck);
    if (st == PS_OK)
        st = check_all(&fsck);
    if (st != PS_OK && !why->data[0])
        ps_text_set(why, "%s", ps_status_text(st));
    ps_manifest_file_list_deinit(&fsck.files);
    ps_store_close(fsck.store);
    ps_db_close(fsck.db);
    if (fsck.lock_fd >= 0)
        close(fsck.lock_fd);
    return st;
}
