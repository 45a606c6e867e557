#include "cli/upkeep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/upkeep_shell.h"
#include "cli/version.h"
#include "core/clock.h"
#include "core/storage/db.h"
#include "core/telemetry/retention.h"
#include "core/upkeep/fsck.h"
#include "core/upkeep/plain_file.h"
#include "core/upkeep/restore.h"

/* ---- backup and restore ---- */

int ps_cli_backup(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err)
{
    struct ps_upkeep_shell shell = { .name = "backup", .out = out, .err = err };
    struct ps_backup_result result;
    int status;
    if (!ps_upkeep_begin(&shell, PS_CLI_BACKUP, argc, argv, environment, &status))
        return status;
    (void)!nice(10); /* the server goes first */
    struct ps_backup_settings settings = { .dir = shell.config.storage_dir,
                                           .target = shell.options.to,
                                           .program = ps_cli_version_text(),
                                           .watcher = ps_upkeep_watcher(&shell) };
    enum ps_status st = ps_backup_run(&settings, &result, &shell.why);
    if (st != PS_OK)
        return ps_upkeep_fail(&shell, st == PS_EINVAL ? 2 : 1, shell.why.data);
    ps_upkeep_end_progress(&shell);
    fprintf(out, "%s: %zu files copied (%s), %zu unchanged (%s), checked\n", shell.options.to,
            result.copied, ps_bytes_text(result.bytes_copied).data, result.reused,
            ps_bytes_text(result.bytes_reused).data);
    if (result.damaged)
        fprintf(err, "%s: %zu damaged files are not in it: see fsck\n", shell.options.to,
                result.damaged);
    return result.damaged ? 1 : 0;
}

int ps_cli_restore(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err)
{
    struct ps_upkeep_shell shell = { .name = "restore", .out = out, .err = err };
    struct ps_restore_result result;
    int status;
    if (!ps_upkeep_begin(&shell, PS_CLI_RESTORE, argc, argv, environment, &status))
        return status;
    struct ps_restore_settings settings = { .from = shell.options.from,
                                            .dir = shell.config.storage_dir,
                                            .watcher = ps_upkeep_watcher(&shell) };
    if (ps_restore_run(&settings, &result, &shell.why) != PS_OK)
        return ps_upkeep_fail(&shell, 1, shell.why.data);
    ps_upkeep_end_progress(&shell);
    fprintf(out, "%s: %zu files (%s) as they were at %s, checked\n", shell.config.storage_dir,
            result.files, ps_bytes_text(result.bytes).data, ps_time_text(result.created_ms).data);
    fprintf(out, "written by pacificsoft %s, schema version %" PRId64 "%s%s\n", result.program,
            result.schema, result.installation[0] ? ", installation " : "", result.installation);
    return 0;
}

/* ---- fsck ---- */

static int tell_fsck(const struct ps_upkeep_shell *shell, const struct ps_fsck_result *result)
{
    fprintf(shell->out,
            "looked at %" PRId64 " series, %" PRId64 " journal rows, %" PRId64 " files, %" PRId64
            " runs, %" PRId64 " blocks, %" PRId64 " points\n",
            result->series, result->journal_rows, result->files, result->runs, result->blocks,
            result->points);
    if (result->problems == 0) {
        fputs("clean\n", shell->out);
        return 0;
    }
    fprintf(shell->out, "%" PRId64 " problems", result->problems);
    if (shell->options.rebuild)
        fprintf(shell->out, ", %" PRId64 " repairs; run fsck again to see what is left",
                result->repaired);
    fputs("\n", shell->out);
    return 1;
}

int ps_cli_fsck(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err)
{
    struct ps_upkeep_shell shell = { .name = "fsck", .out = out, .err = err };
    struct ps_fsck_result result;
    int status;
    if (!ps_upkeep_begin(&shell, PS_CLI_FSCK, argc, argv, environment, &status))
        return status;
    struct ps_fsck_settings settings = { .dir = shell.config.storage_dir,
                                         .rebuild = shell.options.rebuild,
                                         .watcher = ps_upkeep_watcher(&shell) };
    enum ps_status st = ps_fsck_run(&settings, &result, &shell.why);
    ps_upkeep_end_progress(&shell);
    if (st == PS_EPROTO) { /* so damaged that there is nothing to look at */
        fprintf(out, "problem: %s\n", shell.why.data);
        return 1;
    }
    return st == PS_OK ? tell_fsck(&shell, &result) : ps_upkeep_fail(&shell, 2, shell.why.data);
}

/* ---- retention ---- */

static void write_file(FILE *out, const struct ps_retention_file *file, int64_t now_ms)
{
    const char *when = "never";
    struct ps_bytes_text time;
    if (file->damaged) {
        when = "set aside: damaged";
    } else if (file->points == 0) {
        when = "when it is empty";
    } else if (file->deleted_at_ms <= now_ms) {
        when = "now";
    } else if (file->deleted_at_ms != PS_RETENTION_NEVER) {
        time = ps_time_text(file->deleted_at_ms);
        when = time.data;
    }
    fprintf(out, "%-24s %14" PRId64 " %10s  %s\n", file->name, file->points,
            ps_bytes_text(file->bytes).data, when);
}

static void write_files(FILE *out, const struct ps_retention_file *files, size_t count)
{
    int64_t now_ms = ps_clock_now_ms(), points = 0, bytes = 0;
    fprintf(out, "%-24s %14s %10s  %s\n", "file", "points", "size", "deleted at");
    for (size_t i = 0; i < count; i++) {
        write_file(out, &files[i], now_ms);
        points += files[i].points;
        bytes += files[i].bytes;
    }
    fprintf(out, "%-24s %14" PRId64 " %10s\n", "all", points, ps_bytes_text(bytes).data);
}

int ps_cli_retention(int argc, char *const *argv, char *const *environment, FILE *out, FILE *err)
{
    struct ps_upkeep_shell shell = { .name = "retention", .out = out, .err = err };
    struct ps_path path;
    struct ps_db *db = NULL;
    struct ps_retention_file *files = NULL;
    size_t count = 0;
    int status;
    if (!ps_upkeep_begin(&shell, PS_CLI_RETENTION, argc, argv, environment, &status))
        return status;
    enum ps_status st =
        ps_path_set(&path, &shell.why, "%s/pacificsoft.db", shell.config.storage_dir);
    if (st == PS_OK)
        st = ps_db_open(path.data, PS_DB_READER, &db, &shell.why);
    if (st == PS_OK) {
        uint32_t ttl_s = (uint32_t)(shell.config.telemetry_ttl_days * 86400);
        st = ps_retention_preview(db, ttl_s, &files, &count);
        if (st != PS_OK)
            ps_text_set(&shell.why, "%s: %s", path.data, ps_db_error(db));
    }
    if (st == PS_OK)
        write_files(out, files, count);
    free(files);
    ps_db_close(db);
    return st == PS_OK ? 0 : ps_upkeep_fail(&shell, 1, shell.why.data);
}
