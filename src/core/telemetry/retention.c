#include "core/telemetry/retention.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/storage/writer.h"
#include "core/telemetry/retention_runs.h"
#include "core/telemetry/store.h"
#include "core/telemetry/tombstone_sweep.h"

/* ---- files ---- */

/* A cut before the file is removed must not leave one that looks as if it was lost. */
static enum ps_status forget_file(struct ps_db *db, void *arg)
{
    const struct ps_retention_file *file = arg;
    char file_name[PS_MANIFEST_NAME_SIZE + 4];
    snprintf(file_name, sizeof file_name, "%s.db", file->name);
    enum ps_status st = ps_manifest_drop_file(db, file->file);
    if (st == PS_ENOTFOUND)
        return PS_OK;
    return st == PS_OK ? ps_manifest_note_leaving(db, file_name) : st;
}

static void log_drop(const struct ps_retention_file *file, const char *reason)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_INFO, "telemetry", "file_deleted"))
        return;
    ps_log_text(&line, "file", file->name);
    ps_log_text(&line, "reason", reason);
    ps_log_int(&line, "points", file->points);
    ps_log_int(&line, "bytes", file->bytes);
    ps_log_end(&line);
}

static enum ps_status drop(struct ps_keep *keep, struct ps_retention_file *file,
                           enum ps_metric reason, struct ps_retention_result *out)
{
    enum ps_status st = ps_keep_call(keep, forget_file, file);
    if (st != PS_OK)
        return st;
    ps_store_drop(keep->store, file->name);
    log_drop(file, reason == PS_METRIC_FILES_SHED ? "disk_full" : "expired");
    ps_keep_count(keep, reason, 1);
    if (reason == PS_METRIC_FILES_DELETED)
        ps_keep_count(keep, PS_METRIC_EXPIRED_POINTS, file->points);
    out->files_dropped++;
    out->bytes_dropped += file->bytes;
    out->points_dropped += file->points;
    return PS_OK;
}

static struct ps_retention_file *find_due(struct ps_retention_file *files, size_t count,
                                          int64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (files[i].deleted_at_ms <= now_ms)
            return &files[i];
    }
    return NULL;
}

static enum ps_status list(struct ps_keep *keep, bool fresh, struct ps_retention_file **files,
                           size_t *count)
{
    uint32_t greatest_s;
    enum ps_status st = ps_keep_greatest_ttl(keep, fresh, &greatest_s);
    return st == PS_OK ? ps_retention_list(keep->db, greatest_s, files, count) : st;
}

/* The next file that is due; PS_ENOTFOUND: none is. What profiles say is read anew before the first
 * is dropped for it. */
static enum ps_status drop_next(struct ps_keep *keep, int64_t now_ms,
                                struct ps_retention_result *out)
{
    struct ps_retention_file *files = NULL, *due = NULL;
    size_t count = 0;
    enum ps_status st = list(keep, false, &files, &count);
    if (st == PS_OK && !out->files_dropped && find_due(files, count, now_ms)) {
        free(files);
        files = NULL;
        st = list(keep, true, &files, &count);
    }
    if (st == PS_OK) {
        due = find_due(files, count, now_ms);
        st = due ? drop(keep, due, PS_METRIC_FILES_DELETED, out) : PS_ENOTFOUND;
    }
    free(files);
    return st;
}

/* The list is made anew for each: while we breathe, something that lives may be sealed into a file
 * that was due. */
static enum ps_status drop_expired(struct ps_keep *keep, int64_t now_ms,
                                   struct ps_retention_result *out)
{
    enum ps_status st;
    while ((st = drop_next(keep, now_ms, out)) == PS_OK) {
        st = ps_keep_breathe(keep);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? PS_OK : st;
}

/* ---- all of it ---- */

static enum ps_status apply(struct ps_keep *keep, int64_t now_ms, struct ps_retention_result *out)
{
    enum ps_status st = drop_expired(keep, now_ms, out);
    if (st == PS_OK)
        st = ps_retention_delete_retired(keep, now_ms - keep->retired_keep_ms, out);
    if (st == PS_OK)
        st = ps_tombstone_sweep(keep, now_ms, &out->tombstones_purged);
    return st;
}

enum ps_status ps_retention_apply(struct ps_keep *keep, int64_t now_ms,
                                  struct ps_retention_result *out)
{
    int fd;
    struct ps_retention_result result = { 0 };
    enum ps_status st = ps_keep_settle_aside(keep);
    if (st == PS_OK && keep->garbage)
        st = ps_retention_collect(keep, false, &result);
    if (st != PS_OK)
        return st;
    result.held = !ps_keep_lock(keep, &fd);
    if (!result.held) {
        st = apply(keep, now_ms, &result);
        ps_keep_unlock(keep, fd);
    }
    if (st == PS_OK)
        *out = result;
    return st;
}

static enum ps_status shed_oldest(struct ps_keep *keep, struct ps_retention_result *out)
{
    struct ps_retention_file *files = NULL, *oldest = NULL;
    size_t count = 0, live = 0;
    enum ps_status st = ps_retention_list(keep->db, 0, &files, &count);
    for (size_t i = 0; st == PS_OK && i < count; i++) {
        if (files[i].damaged)
            continue;
        live++;
        if (!oldest || files[i].end_ms < oldest->end_ms)
            oldest = &files[i];
    }
    if (st == PS_OK)
        st = live > 1 ? drop(keep, oldest, PS_METRIC_FILES_SHED, out) : PS_ENOTFOUND;
    free(files);
    return st;
}

enum ps_status ps_retention_shed(struct ps_keep *keep, struct ps_retention_result *out)
{
    int fd;
    struct ps_retention_result result = { 0 };
    if (!ps_keep_lock(keep, &fd))
        return PS_EBUSY;
    enum ps_status st = shed_oldest(keep, &result);
    ps_keep_unlock(keep, fd);
    if (st == PS_OK)
        *out = result;
    return st;
}
