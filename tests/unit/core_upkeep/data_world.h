/* data_world: a data directory as a server leaves it: a device with two series, a journal row, and
 * a range file with sealed points. */
#ifndef PS_TESTS_DATA_WORLD_H
#define PS_TESTS_DATA_WORLD_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/storage/db.h"
#include "core/storage/migrations.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/manifest.h"
#include "core/telemetry/run_writer.h"
#include "core/upkeep/backup.h"

enum { DATA_WORLD_POINTS = 5000 };
static const int64_t DATA_WORLD_START_MS = 1795219200000; /* in week 47 of 2026 */

struct data_world {
    char folder[64]; /* holds everything of a test */
    char dir[96];    /* the data */
    char backup[96], other[96];
    char said[8192]; /* lines that a watcher heard */
};

static inline int data_world_remove_entry(const char *path, const struct stat *info, int flag,
                                          struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static inline void data_world_deinit(struct data_world *world)
{
    nftw(world->folder, data_world_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *data_world_path(const char *dir, const char *name)
{
    static char paths[8][512];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", dir, name);
    return paths[next];
}

static inline struct ps_db *data_world_db(const char *dir)
{
    struct ps_db *db;
    struct ps_text why = { "" };
    if (ps_db_open(data_world_path(dir, "pacificsoft.db"), PS_DB_WRITER, &db, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
    return db;
}

static inline void data_world_exec(const char *dir, const char *sql)
{
    struct ps_db *db = data_world_db(dir);
    if (ps_db_exec(db, sql) != PS_OK) {
        print_error("%s: %s\n", sql, ps_db_error(db));
        fail();
    }
    ps_db_close(db);
}

static inline int64_t data_world_number(const char *dir, const char *sql)
{
    struct ps_db *db = data_world_db(dir);
    struct ps_stmt *stmt;
    bool row = false;
    assert_int_equal(ps_db_prepare(db, sql, &stmt), PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    int64_t number = row ? ps_stmt_int(stmt, 0) : -1;
    ps_db_close(db);
    return number;
}

static inline struct ps_entity_id data_world_device(void)
{
    return (struct ps_entity_id){ PS_ENTITY_DEVICE,
                                  { "\x11\x11\x11\x11\x11\x11\x41\x11"
                                    "\x91\x11\x11\x11\x11\x11\x11\x11" } };
}

static inline enum ps_status data_world_describe(void *arg, uint32_t series,
                                                 struct ps_run_series *out)
{
    (void)arg;
    *out = (struct ps_run_series){ .id = series,
                                   .entity = data_world_device(),
                                   .key = series == 1 ? "temperature" : "humidity",
                                   .key_len = series == 1 ? 11 : 8 };
    return PS_OK;
}

/* Seal `count` points of both series, a minute apart from `start_ms`, as journal rows up to `seq`.
 */
static inline struct ps_run data_world_seal(const char *dir, int64_t start_ms, int64_t seq,
                                            size_t count)
{
    struct ps_range range;
    struct ps_run_file *file;
    struct ps_run_writer *writer;
    struct ps_text why = { "" };
    struct ps_run run = { .journal_first = seq, .journal_last = seq, .created_ms = 7 };
    struct ps_run_catalogue catalogue = { data_world_describe, NULL };
    char path[256];
    ps_range_of(PS_RANGE_WEEK, start_ms, &range);
    snprintf(path, sizeof path, "%s/telemetry", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/telemetry/%s.db", dir, range.name);
    if (ps_run_file_open(path, PS_RUN_FILE_WRITE, &range, &file, &why) != PS_OK) {
        print_error("%s\n", why.data);
        fail();
    }
    struct ps_db *db = data_world_db(dir);
    assert_int_equal(ps_run_file_next_number(file, NULL, &run.run), PS_OK);
    assert_int_equal(ps_run_writer_begin(file, run.run, &catalogue, &writer), PS_OK);
    for (uint32_t series = 1; series <= 2; series++) {
        for (size_t i = 0; i < count; i++) {
            struct ps_point point = { start_ms + (int64_t)i * 1000,
                                      { .type = PS_VALUE_DOUBLE,
                                        .real = series * 10 + (double)(i * 7919 % 1000) / 10 } };
            assert_int_equal(ps_run_writer_add(writer, series, &point, NULL, 1), PS_OK);
        }
    }
    assert_int_equal(ps_run_writer_commit(writer, &run), PS_OK);
    ps_run_file_close(file);
    assert_int_equal(ps_db_begin(db), PS_OK);
    assert_int_equal(ps_manifest_put_file(db, &range, 1, &run.file), PS_OK);
    assert_int_equal(ps_manifest_add_run(db, &run), PS_OK);
    assert_int_equal(ps_manifest_set_state(db, PS_STATE_SEALED_SEQ, seq), PS_OK);
    assert_int_equal(ps_manifest_set_state(db, PS_STATE_NEXT_SERIES, 3), PS_OK);
    assert_int_equal(ps_db_commit(db), PS_OK);
    ps_db_close(db);
    return run;
}

static inline void data_world_add_journal(struct ps_db *db, int64_t seq)
{
    struct ps_buf blob = { 0 };
    struct ps_journal_encoder encoder;
    struct ps_stmt *stmt;
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 5 };
    ps_journal_begin(&encoder, &blob);
    ps_journal_put(&encoder, 1, DATA_WORLD_START_MS + seq, &value, 0);
    ps_journal_finish(&encoder);
    assert_int_equal(ps_db_prepare(db, "INSERT INTO journal VALUES (?, ?)", &stmt), PS_OK);
    ps_stmt_bind_int(stmt, 1, seq);
    ps_stmt_bind_blob(stmt, 2, blob.data, blob.len);
    assert_int_equal(ps_stmt_run(stmt), PS_OK);
    ps_buf_deinit(&blob);
}

static inline void data_world_make_db(const char *dir)
{
    struct ps_text why;
    struct ps_db *db = data_world_db(dir);
    assert_int_equal(ps_db_migrate(db, data_world_path(dir, "pacificsoft.db"), &why), PS_OK);
    assert_int_equal(
        ps_db_exec(
            db, "INSERT INTO tenant_profile VALUES (x'01', 0, 'p', NULL, 1, '{}', 1);"
                "INSERT INTO tenant(id, created_ms, tenant_profile, title, version)"
                " VALUES (x'02', 0, x'01', 't', 1);"
                "INSERT INTO device_profile(id, created_ms, tenant, name, transport_type,"
                " provision_type, is_default, profile_data, version)"
                " VALUES (x'03', 0, x'02', 'p', 0, '', 1, '{}', 1);"
                "INSERT INTO device(id, created_ms, tenant, profile, name, device_data, is_gateway,"
                " version)"
                " VALUES (x'11111111111141119111111111111111', 0, x'02', x'03', 'd', '{}', 0, 1);"
                "INSERT INTO series(id, entity_type, entity, key)"
                " VALUES (1, 6, x'11111111111141119111111111111111', 'temperature'),"
                " (2, 6, x'11111111111141119111111111111111', 'humidity')"),
        PS_OK);
    assert_int_equal(PS_ENTITY_DEVICE, 6);
    ps_db_close(db);
}

static inline void data_world_init(struct data_world *world)
{
    memset(world, 0, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/ps-test-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->dir, sizeof world->dir, "%s/data", world->folder);
    snprintf(world->backup, sizeof world->backup, "%s/backup", world->folder);
    snprintf(world->other, sizeof world->other, "%s/other", world->folder);
    assert_int_equal(mkdir(world->dir, 0700), 0);
    data_world_make_db(world->dir);
    data_world_seal(world->dir, DATA_WORLD_START_MS, 1, DATA_WORLD_POINTS);
    struct ps_db *db = data_world_db(world->dir);
    data_world_add_journal(db, 2);
    ps_db_close(db);
}

static inline void data_world_hear(void *arg, const char *line)
{
    struct data_world *world = arg;
    size_t len = strlen(world->said);
    snprintf(world->said + len, sizeof world->said - len, "%s\n", line);
}

static inline struct ps_upkeep_watcher data_world_watcher(struct data_world *world)
{
    return (struct ps_upkeep_watcher){ .tell = data_world_hear, .arg = world };
}

/* Flip one byte; a negative offset counts from the end. */
static inline void data_world_flip(const char *path, long offset)
{
    FILE *stream = fopen(path, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(stream);
    assert_int_equal(fseek(stream, -1, SEEK_CUR), 0);
    assert_int_not_equal(fputc(byte ^ 0x55, stream), EOF);
    assert_int_equal(fclose(stream), 0);
}

#endif
