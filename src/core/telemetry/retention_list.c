#include "core/telemetry/retention.h"

#include <stdio.h>
#include <stdlib.h>

int64_t ps_retention_expires_at(const struct ps_run *run, uint32_t greatest_ttl_s)
{
    int64_t at_ms, ttl_s = run->max_ttl_s;
    if (run->has_default_ttl && !greatest_ttl_s)
        return PS_RETENTION_NEVER;
    if (run->has_default_ttl && greatest_ttl_s > ttl_s)
        ttl_s = greatest_ttl_s;
    return __builtin_add_overflow(run->max_ms, ttl_s * 1000, &at_ms) ? PS_RETENTION_NEVER : at_ms;
}

static void add_run(struct ps_retention_file *file, const struct ps_run *run,
                    uint32_t greatest_ttl_s)
{
    if (run->retired_ms) {
        file->retired_runs++;
        return;
    }
    if (!file->runs || run->min_ms < file->min_ms)
        file->min_ms = run->min_ms;
    if (!file->runs || run->max_ms > file->max_ms)
        file->max_ms = run->max_ms;
    file->runs++;
    file->points += run->points;
    file->bytes += run->bytes;
    int64_t at_ms = ps_retention_expires_at(run, greatest_ttl_s);
    if (at_ms > file->deleted_at_ms)
        file->deleted_at_ms = at_ms;
}

static enum ps_status list_file(struct ps_db *db, uint32_t greatest_ttl_s,
                                const struct ps_manifest_file *row, struct ps_retention_file *out)
{
    struct ps_run_list runs = { 0 };
    *out = (struct ps_retention_file){ .file = row->id,
                                       .start_ms = row->start_ms,
                                       .end_ms = row->end_ms,
                                       .damaged = row->state != PS_FILE_LIVE,
                                       .deleted_at_ms = INT64_MIN };
    snprintf(out->name, sizeof out->name, "%s", row->name);
    enum ps_status st = ps_manifest_runs(db, row->id, true, &runs);
    for (size_t i = 0; i < runs.count && st == PS_OK; i++)
        add_run(out, &runs.items[i], greatest_ttl_s);
    /* What is set aside waits for somebody to look at it; what is retired, for its readers. */
    if (out->damaged || (!out->runs && out->retired_runs))
        out->deleted_at_ms = PS_RETENTION_NEVER;
    ps_run_list_deinit(&runs);
    return st;
}

enum ps_status ps_retention_list(struct ps_db *db, uint32_t greatest_ttl_s,
                                 struct ps_retention_file **files, size_t *count)
{
    struct ps_manifest_file_list rows = { 0 };
    struct ps_retention_file *list = NULL;
    enum ps_status st = ps_manifest_files(db, &rows);
    if (st == PS_OK && rows.count) {
        list = calloc(rows.count, sizeof *list);
        st = list ? PS_OK : PS_ENOMEM;
    }
    for (size_t i = 0; i < rows.count && st == PS_OK; i++)
        st = list_file(db, greatest_ttl_s, &rows.items[i], &list[i]);
    if (st == PS_OK) {
        *files = list;
        *count = rows.count;
    } else {
        free(list);
    }
    ps_manifest_file_list_deinit(&rows);
    return st;
}

enum ps_status ps_retention_preview(struct ps_db *db, uint32_t default_ttl_s,
                                    struct ps_retention_file **files, size_t *count)
{
    struct ps_ttl_table table = { 0 };
    enum ps_status st = ps_ttl_table_load(db, default_ttl_s, &table);
    if (st == PS_OK)
        st = ps_retention_list(db, table.most_s, files, count);
    ps_ttl_table_deinit(&table);
    return st;
}
