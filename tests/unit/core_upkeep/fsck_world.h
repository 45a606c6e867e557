/* fsck_world: a data directory to check, damage and repair. */
#ifndef PS_TESTS_FSCK_WORLD_H
#define PS_TESTS_FSCK_WORLD_H

#include "core/log.h"
#include "core/telemetry/run_reader.h"
#include "core/upkeep/fsck.h"

#include "data_world.h"

static inline struct ps_fsck_result check(struct data_world *world, bool rebuild)
{
    struct ps_fsck_result result;
    struct ps_text why;
    struct ps_fsck_settings settings = { .dir = world->dir,
                                         .rebuild = rebuild,
                                         .watcher = data_world_watcher(world) };
    world->said[0] = '\0';
    if (ps_fsck_run(&settings, &result, &why) != PS_OK) {
        print_error("%s\n%s", why.data, world->said);
        fail();
    }
    return result;
}

static inline void assert_clean(struct data_world *world)
{
    struct ps_fsck_result result = check(world, false);
    if (result.problems != 0) {
        print_error("%s", world->said);
        fail();
    }
}

/* Something is wrong: it is told so, and a check changes nothing. */
static inline void assert_problem(struct data_world *world, const char *words)
{
    for (int i = 0; i < 2; i++) {
        struct ps_fsck_result result = check(world, false);
        if (result.problems < 1 || !strstr(world->said, words)) {
            print_error("wanted \"%s\" in:\n%s", words, world->said);
            fail();
        }
        assert_int_equal(result.repaired, 0);
    }
}

static inline void assert_repaired(struct data_world *world)
{
    struct ps_fsck_result result = check(world, true);
    if (result.repaired < 1) {
        print_error("%s", world->said);
        fail();
    }
    assert_clean(world);
}

/* Change what a range file's own tables say, as damage would. */
static inline void change_file(struct data_world *world, const char *sql)
{
    struct ps_run_file *file;
    struct ps_text why;
    assert_int_equal(ps_run_file_open(data_world_path(world->dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_WRITE, NULL, &file, &why),
                     PS_OK);
    if (ps_db_exec(ps_run_file_db(file), sql) != PS_OK) {
        print_error("%s: %s\n", sql, ps_db_error(ps_run_file_db(file)));
        fail();
    }
    ps_run_file_close(file);
}

static inline int64_t ask_file(struct data_world *world, const char *sql)
{
    struct ps_run_file *file;
    struct ps_text why;
    struct ps_stmt *stmt;
    bool row = false;
    assert_int_equal(ps_run_file_open(data_world_path(world->dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_READ, NULL, &file, &why),
                     PS_OK);
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), sql, &stmt), PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    int64_t number = row ? ps_stmt_int(stmt, 0) : -1;
    ps_run_file_close(file);
    return number;
}

/* Every point in the file of this run is one that was sealed. */
static inline int64_t count_right_points(struct data_world *world, int64_t run)
{
    struct ps_run_want want = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, false };
    struct ps_chunk_points points = { 0 };
    struct ps_chunk_info info;
    struct ps_run_reader *reader;
    struct ps_run_file *file;
    struct ps_text why;
    int64_t count = 0;
    assert_int_equal(ps_run_file_open(data_world_path(world->dir, "telemetry/2026-W47.db"),
                                      PS_RUN_FILE_READ, NULL, &file, &why),
                     PS_OK);
    assert_int_equal(ps_run_reader_open(file, run, &want, &reader), PS_OK);
    while (ps_run_reader_next(reader, &info) == PS_OK) {
        assert_int_equal(ps_run_reader_decode(reader, &points), PS_OK);
        for (size_t i = 0; i < points.count; i++, count++) {
            int64_t n = (points.points[i].ts_ms - DATA_WORLD_START_MS) / 1000;
            double want_value = info.series * 10 + (double)(n * 7919 % 1000) / 10;
            assert_true(points.points[i].value.real == want_value);
        }
    }
    ps_run_reader_close(reader);
    ps_run_file_close(file);
    ps_chunk_points_deinit(&points);
    return count;
}

enum { MORE_POINTS = 150000, ALL_POINTS = 2 * DATA_WORLD_POINTS + 2 * MORE_POINTS };

/* A second run, of many blocks. */
static inline void init_with_more(struct data_world *world)
{
    data_world_init(world);
    struct ps_run run = data_world_seal(world->dir, DATA_WORLD_START_MS, 2, MORE_POINTS);
    data_world_exec(world->dir, "DELETE FROM journal WHERE seq <= 2");
    assert_int_equal(run.run, 2);
    assert_true(ask_file(world, "SELECT count(*) FROM block WHERE id >> 44 = 2") >= 10);
}

static inline bool is_there(struct data_world *world, const char *name)
{
    return access(data_world_path(world->dir, name), F_OK) == 0;
}

#endif
