#include "bench/history_world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/storage/migrations.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/retention.h"
#include "core/telemetry/seal.h"

static enum ps_status run_sql(struct ps_db *db, void *arg)
{
    return ps_db_exec(db, arg);
}

static void make_directory(struct history_world *world, const char *parent)
{
    snprintf(world->directory, sizeof world->directory, "%.200s/history-XXXXXX", parent);
    if (!mkdtemp(world->directory)) {
        perror("history: directory");
        exit(1);
    }
    snprintf(world->path, sizeof world->path, "%s/pacificsoft.db", world->directory);
}

static void make_catalogue(struct history_world *world, uint32_t series, uint32_t keys)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %u)"
             " INSERT INTO series(id, entity_type, entity, key) SELECT i + 1, 5,"
             " CAST(printf('%%016d', i / %u) AS BLOB), 'key' || (i %% %u) FROM n",
             series, keys, keys);
    history_must(ps_writer_call(world->writer, run_sql, sql), "catalogue");
}

void history_world_open(struct history_world *world, const char *parent, uint32_t series,
                        uint32_t keys)
{
    struct ps_text why;
    struct ps_db *db;
    *world = (struct history_world){ 0 };
    make_directory(world, parent);
    history_must(ps_db_open(world->path, PS_DB_WRITER, &db, &why), "open");
    history_must(ps_db_migrate(db, world->path, &why), "schema");
    ps_db_close(db);
    struct ps_writer_settings writer = { .path = world->path, .checkpoint_bytes = 16 << 20 };
    history_must(ps_writer_start(&writer, &world->writer), "writer");
    struct ps_store_settings store = { .dir = world->directory };
    history_must(ps_store_open(&store, &world->store, &why), "store");
    history_must(ps_db_open(world->path, PS_DB_READER, &world->db, &why), "reader");
    make_catalogue(world, series, keys);
    world->keep = (struct ps_keep){
        .writer = world->writer,
        .store = world->store,
        .range = PS_RANGE_WEEK,
        .memory_max = 64 << 20,
        .dir = world->directory,
    };
    history_must(ps_db_open(world->path, PS_DB_READER, &world->keep.db, &why), "keeper's reader");
}

static void remove_files(const char *directory)
{
    char path[600];
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0)
            remove_files(path);
    }
    if (dir)
        closedir(dir);
    rmdir(directory);
}

void history_world_close(struct history_world *world)
{
    ps_db_close(world->keep.db);
    ps_keep_deinit(&world->keep);
    ps_db_close(world->db);
    ps_store_close(world->store);
    ps_writer_stop(world->writer);
    ps_buf_deinit(&world->blob);
    remove_files(world->directory);
}

void history_world_put(struct history_world *world, uint32_t series, const struct ps_point *point)
{
    if (world->row_points++ == 0)
        ps_journal_begin(&world->encoder, &world->blob);
    ps_journal_put(&world->encoder, series, point->ts_ms, &point->value, 0);
}

static enum ps_status insert_row(struct ps_db *db, void *arg)
{
    struct history_world *world = arg;
    struct ps_stmt *insert;
    enum ps_status st =
        ps_db_prepare(db, "INSERT INTO journal (seq, points) VALUES ($1, $2)", &insert);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(insert, 1, ++world->seq);
    ps_stmt_bind_blob_borrowed(insert, 2, world->blob.data, world->blob.len);
    return ps_stmt_run(insert);
}

void history_world_commit(struct history_world *world)
{
    if (world->row_points == 0)
        return;
    ps_journal_finish(&world->encoder);
    history_must(ps_writer_call(world->writer, insert_row, world), "commit");
    ps_buf_clear(&world->blob);
    world->row_points = 0;
}

static int64_t now_ms(void)
{
    return (int64_t)(history_wall_s() * 1000);
}

void history_world_seal(struct history_world *world)
{
    struct ps_seal_result sealed;
    struct ps_merge_result merged;
    enum ps_status st;
    bool more = true;
    history_world_commit(world);
    while ((st = ps_seal_once(&world->keep, &sealed)) == PS_OK)
        ;
    history_must(st == PS_ENOTFOUND ? PS_OK : st, "seal");
    while (more)
        history_must(ps_seal_trim(&world->keep, &more), "trim");
    while ((st = ps_merge_once(&world->keep, now_ms(), &merged)) == PS_OK)
        ;
    history_must(st == PS_ENOTFOUND ? PS_OK : st, "merge");
}

void history_world_settle(struct history_world *world)
{
    struct ps_manifest_file_list files = { 0 };
    struct ps_merge_result merged;
    struct ps_retention_result result;
    history_must(ps_manifest_files(world->db, &files), "files");
    for (size_t i = 0; i < files.count; i++)
        history_must(ps_merge_file(&world->keep, files.items[i].id, now_ms(), &merged), "settle");
    ps_manifest_file_list_deinit(&files);
    history_must(ps_retention_collect(&world->keep, true, &result), "delete replaced runs");
}

uint64_t history_world_bytes(struct history_world *world)
{
    char path[600];
    uint64_t bytes = 0;
    struct stat stat_of;
    const char *folder = ps_store_folder(world->store);
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        size_t len = strlen(entry->d_name);
        if (len > 3 && strcmp(entry->d_name + len - 3, ".db") == 0 && stat(path, &stat_of) == 0)
            bytes += (uint64_t)stat_of.st_size;
    }
    if (dir)
        closedir(dir);
    return bytes;
}
