/* Retention: what is over goes, what is needed stays, and a backup is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "core/telemetry/run_writer.h"
#include "core/telemetry/tombstone_sweep.h"
#include "unit/core_telemetry/keep_world.h"

#define WEEK_MS (7 * WORLD_DAY_MS)

static struct ps_retention_result apply(struct keep_world *world)
{
    struct ps_retention_result result = { 0 };
    assert_int_equal(ps_retention_apply(&world->keep, world->now_ms, &result), PS_OK);
    return result;
}

static bool has_file(const struct keep_world *world, const char *name, const char *suffix)
{
    char path[256];
    struct stat info;
    snprintf(path, sizeof path, "%s/telemetry/%s.db%s", world->temp.folder, name, suffix);
    return stat(path, &info) == 0;
}

static const char *week_of(int64_t ts_ms, struct ps_range *range)
{
    ps_range_of(PS_RANGE_WEEK, ts_ms, range);
    return range->name;
}

/* A point in each of `weeks` weeks, the first at WORLD_NOW_MS. */
static void put_weeks(struct keep_world *world, int weeks, uint32_t ttl_s)
{
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 7 };
    for (int i = 0; i < weeks; i++)
        keep_world_put(world, 1, WORLD_NOW_MS + i * WEEK_MS, &value, ttl_s);
    keep_world_commit(world);
    keep_world_seal_all(world);
}

static void a_file_whose_points_are_all_expired_is_unlinked(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range first, second;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    world.keep.default_ttl_s = 10 * 86400;
    put_weeks(&world, 3, 0);
    week_of(WORLD_NOW_MS, &first);
    week_of(WORLD_NOW_MS + WEEK_MS, &second);
    keep_world_set_now(&world, WORLD_NOW_MS + 10 * WORLD_DAY_MS - 1);
    assert_int_equal(apply(&world).files_dropped, 0);
    keep_world_check(&world);
    keep_world_set_now(&world, WORLD_NOW_MS + 10 * WORLD_DAY_MS);
    struct ps_retention_result result = apply(&world);
    assert_int_equal(result.files_dropped, 1);
    assert_int_equal(result.points_dropped, 1);
    assert_false(has_file(&world, first.name, ""));
    assert_false(has_file(&world, first.name, "-wal"));
    assert_true(has_file(&world, second.name, ""));
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_file"), 2);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_run"), 2);
    keep_world_check(&world);
    keep_world_put_long(&world, 1, WORLD_NOW_MS, 1); /* late, and over already: a file, then none */
    keep_world_commit(&world);
    keep_world_seal_all(&world);
    assert_true(has_file(&world, first.name, ""));
    assert_int_equal(apply(&world).files_dropped, 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void what_lives_for_ever_or_longer_keeps_its_file(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 7 };
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0); /* no default: for ever */
    keep_world_set_now(&world, WORLD_NOW_MS + 4000 * WORLD_DAY_MS);
    assert_int_equal(apply(&world).files_dropped, 0);
    keep_world_check(&world);
    keep_world_put(&world, 1, WORLD_NOW_MS + 5 * WEEK_MS, &value, 3600); /* its own, short */
    keep_world_commit(&world);
    keep_world_seal_all(&world);
    assert_int_equal(apply(&world).files_dropped, 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* One device's profile keeps longer than the configuration: the file waits for it. */
static void a_longer_default_of_one_profile_counts(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    world.keep.default_ttl_s = 86400;
    keep_world_exec(
        &world,
        "INSERT INTO tenant_profile VALUES(x'01', 0, 'p', NULL, 1, '{}', 1);"
        "INSERT INTO tenant(id, created_ms, tenant_profile, title, version)"
        " VALUES(x'0000000000000000000000000000aa01', 0, x'01', 't', 1);"
        "INSERT INTO device_profile(id, created_ms, tenant, name, transport_type, provision_type,"
        " is_default, profile_data, version) VALUES(x'0000000000000000000000000000aa02', 0,"
        " x'0000000000000000000000000000aa01', 'd', 0, 'DISABLED', 0,"
        " '{\"configuration\":{\"defaultStorageTtlDays\":30}}', 1);"
        "INSERT INTO device(id, created_ms, tenant, profile, name, device_data, is_gateway,"
        " version) VALUES(x'0000000000000000000000000000aa03', 0,"
        " x'0000000000000000000000000000aa01', x'0000000000000000000000000000aa02', 'dev', '{}',"
        " 0, 1)");
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO series(id, entity_type, entity, key)"
             " VALUES(2, %d, x'0000000000000000000000000000aa03', 'k')",
             (int)PS_ENTITY_DEVICE);
    keep_world_exec(&world, sql);
    put_weeks(&world, 1, 0);
    keep_world_set_now(&world, WORLD_NOW_MS + 2 * WORLD_DAY_MS);
    assert_int_equal(apply(&world).files_dropped, 0);
    struct ps_retention_file *files;
    size_t count;
    assert_int_equal(ps_retention_preview(world.temp.db, 86400, &files, &count), PS_OK);
    assert_int_equal(count, 1);
    assert_true(files[0].deleted_at_ms == WORLD_NOW_MS + 30 * WORLD_DAY_MS);
    assert_int_equal(files[0].points, 1);
    assert_int_equal(files[0].runs, 1);
    free(files);
    keep_world_exec(&world, "UPDATE device_profile SET profile_data = '{}'");
    keep_world_set_now(&world, world.now_ms + 120000); /* what was read before is old by now */
    assert_int_equal(apply(&world).files_dropped, 1);
    keep_world_deinit(&world);
}

static void while_a_backup_runs_nothing_is_deleted(void **state)
{
    (void)state;
    struct keep_world world;
    char path[128];
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    world.keep.default_ttl_s = 86400;
    put_weeks(&world, 2, 0);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + 2 * WEEK_MS + i, i);
        keep_world_commit(&world);
        keep_world_seal_all(&world);
    }
    keep_world_merge_all(&world);
    keep_world_set_now(&world, WORLD_NOW_MS + WEEK_MS + 2 * WORLD_DAY_MS);
    snprintf(path, sizeof path, "%s/backup.lock", world.temp.folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    struct ps_retention_result result = apply(&world);
    assert_true(result.held);
    assert_int_equal(result.files_dropped + result.runs_deleted, 0);
    assert_int_equal(ps_retention_shed(&world.keep, &result), PS_EBUSY);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_file"), 3);
    close(fd);
    result = apply(&world);
    assert_false(result.held);
    assert_int_equal(result.files_dropped, 2);
    assert_int_equal(result.runs_deleted, PS_MERGE_RUNS);
    fd = open(path, O_RDWR, 0600);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0); /* it does not hold it any more */
    close(fd);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void replaced_runs_stay_for_their_readers_for_a_while(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        keep_world_put_long(&world, 1, WORLD_NOW_MS + i, i);
        keep_world_commit(&world);
        keep_world_seal_all(&world);
    }
    keep_world_merge_all(&world);
    keep_world_set_now(&world, world.now_ms + world.keep.retired_keep_ms - 1);
    assert_int_equal(apply(&world).runs_deleted, 0);
    keep_world_set_now(&world, world.now_ms + 1);
    assert_int_equal(apply(&world).runs_deleted, PS_MERGE_RUNS);
    assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_run"), 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

static void a_file_that_is_over_gives_its_room_back(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    keep_world_init(&world);
    keep_world_add_series(&world, 20);
    for (int i = 0; i < PS_MERGE_RUNS; i++) {
        for (int k = 0; k < 20000; k++)
            keep_world_put_long(&world, 1 + (uint32_t)k % 20, WORLD_NOW_MS + k / 20,
                                (int64_t)k * k * 7919 * (i + 1));
        keep_world_commit(&world);
        keep_world_seal_all(&world);
        world.model.count = 0; /* only the size counts here */
    }
    int64_t before = ps_store_file_bytes(world.store, week_of(WORLD_NOW_MS, &range));
    keep_world_merge_all(&world);
    keep_world_set_now(&world, world.now_ms + 2 * WEEK_MS);
    assert_int_equal(apply(&world).runs_deleted, PS_MERGE_RUNS);
    int64_t after = ps_store_file_bytes(world.store, range.name);
    print_message("%lld KB in eight runs, %lld KB as one\n", (long long)before / 1024,
                  (long long)after / 1024);
    assert_true(after < before / 4);
    keep_world_deinit(&world);
}

/* ---- garbage ---- */

/* An older copy of the database was put back: the journal never had row 9. */
static void a_run_newer_than_the_database_is_no_garbage(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    struct ps_run_file *file;
    struct ps_run_writer *writer;
    struct ps_run_list runs = { 0 };
    struct ps_point point = { .ts_ms = WORLD_NOW_MS, .value = { .type = PS_VALUE_LONG } };
    struct ps_run run = { .journal_first = 9, .journal_last = 9 };
    const char *name = week_of(WORLD_NOW_MS, &range);
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0);
    assert_int_equal(ps_store_borrow(world.store, name, true, &file, NULL), PS_OK);
    assert_int_equal(ps_run_writer_begin(file, 5, NULL, &writer), PS_OK);
    assert_int_equal(ps_run_writer_add(writer, 1, &point, NULL, 1), PS_OK);
    assert_int_equal(ps_run_writer_commit(writer, &run), PS_OK);
    ps_store_return(world.store, file);
    keep_world_restart(&world);
    assert_int_equal(ps_store_borrow(world.store, name, false, &file, NULL), PS_OK);
    assert_int_equal(ps_run_file_numbers(file, &runs), PS_OK);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.items[1].run, 5);
    ps_run_list_deinit(&runs);
    ps_store_return(world.store, file);
    keep_world_deinit(&world);
}

static void garbage_of_an_interrupted_seal_is_collected_at_start(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    struct ps_run_file *file;
    struct ps_run_writer *writer;
    struct ps_point point = { .ts_ms = WORLD_NOW_MS, .value = { .type = PS_VALUE_LONG } };
    struct ps_run run = { .journal_first = 2, .journal_last = 2 };
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0);
    keep_world_put_long(&world, 1, WORLD_NOW_MS, 0); /* row 2, of which the seal got so far: */
    keep_world_commit(&world);
    for (int week = 0; week < 2; week++) { /* in a file that is known, and in a new one */
        const char *name = week_of(WORLD_NOW_MS + week * WEEK_MS, &range);
        assert_int_equal(ps_store_borrow(world.store, name, true, &file, NULL), PS_OK);
        assert_int_equal(ps_run_writer_begin(file, 5, NULL, &writer), PS_OK);
        assert_int_equal(ps_run_writer_add(writer, 1, &point, NULL, 1), PS_OK);
        assert_int_equal(ps_run_writer_commit(writer, &run), PS_OK);
        ps_store_return(world.store, file);
        assert_true(has_file(&world, name, ""));
    }
    keep_world_restart(&world);
    assert_false(has_file(&world, range.name, ""));
    struct ps_run_list runs = { 0 };
    assert_int_equal(
        ps_store_borrow(world.store, week_of(WORLD_NOW_MS, &range), false, &file, NULL), PS_OK);
    assert_int_equal(ps_run_file_numbers(file, &runs), PS_OK);
    assert_int_equal(runs.count, 1);
    assert_int_equal(runs.items[0].run, 1);
    ps_run_list_deinit(&runs);
    ps_store_return(world.store, file);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* What runs between the steps of retention: a seal of one late point. */
struct late_point {
    struct keep_world *world;
    int64_t ts_ms;
    uint32_t ttl_s;
    bool is_sealed;
};

static void seal_late_point(struct ps_keep *keep, void *arg)
{
    struct late_point *late = arg;
    struct ps_value value = { .type = PS_VALUE_LONG, .integer = 5 };
    struct ps_seal_result result;
    if (late->is_sealed)
        return;
    late->is_sealed = true; /* sealing breathes, too */
    keep_world_put(late->world, 1, late->ts_ms, &value, late->ttl_s);
    keep_world_commit(late->world);
    assert_int_equal(ps_seal_once(keep, &result), PS_OK);
}

/* The number of the run that goes is free as soon as its last block is. */
static void a_run_sealed_while_garbage_goes_is_not_taken_for_it(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    struct ps_run_file *file;
    struct ps_retention_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0);
    week_of(WORLD_NOW_MS, &range);
    assert_int_equal(ps_store_borrow(world.store, range.name, true, &file, NULL), PS_OK);
    /* run 2, without its row: as many blocks as are deleted at a time */
    assert_int_equal(ps_db_exec(ps_run_file_db(file),
                                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                                " WHERE i < 256) INSERT INTO block(id, t0, t1, body)"
                                " SELECT (2 << 44) + (i << 12), 0, 0, x'00' FROM n"),
                     PS_OK);
    ps_store_return(world.store, file);
    struct late_point late = { .world = &world, .ts_ms = WORLD_NOW_MS + 1 };
    world.keep.breathe = seal_late_point;
    world.keep.breathe_arg = &late;
    assert_int_equal(ps_retention_collect(&world.keep, true, &result), PS_OK);
    world.keep.breathe = NULL;
    assert_true(late.is_sealed);
    assert_int_equal(result.runs_deleted, 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* pacificsoft.db may be an older copy: what it does not know may be all there is. */
static void a_file_the_manifest_has_never_heard_of_is_left_alone(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0);
    keep_world_exec(&world, "DELETE FROM telemetry_run; DELETE FROM telemetry_file");
    keep_world_restart(&world);
    assert_true(has_file(&world, week_of(WORLD_NOW_MS, &range), ""));
    keep_world_deinit(&world);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    size_t len;
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_non_null(in);
    assert_non_null(out);
    while ((len = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    fclose(out);
}

static int64_t leaving_notes(struct keep_world *world)
{
    return keep_world_number(world,
                             "SELECT count(*) FROM telemetry_state WHERE key LIKE 'leaving:%'");
}

/* It was shed for space, and the power went before it was removed. */
static void a_dropped_file_that_comes_back_is_removed_at_start(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    struct ps_retention_result result;
    char path[128], copy[128];
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 2, 0);
    week_of(WORLD_NOW_MS, &range);
    snprintf(path, sizeof path, "%s/telemetry/%s.db", world.temp.folder, range.name);
    snprintf(copy, sizeof copy, "%s/copy", world.temp.folder);
    copy_file(path, copy);
    assert_int_equal(ps_retention_shed(&world.keep, &result), PS_OK);
    assert_false(has_file(&world, range.name, ""));
    assert_int_equal(leaving_notes(&world), 1);
    copy_file(copy, path);
    keep_world_restart(&world);
    assert_false(has_file(&world, range.name, ""));
    assert_int_equal(leaving_notes(&world), 0);
    copy_file(copy, path); /* by hand now: it may be wanted */
    keep_world_restart(&world);
    assert_true(has_file(&world, range.name, ""));
    keep_world_deinit(&world);
}

/* A new one of its name is not taken for the one that was dropped. */
static void a_new_file_of_a_dropped_name_stays(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    struct ps_retention_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 2, 0);
    assert_int_equal(ps_retention_shed(&world.keep, &result), PS_OK);
    keep_world_put_long(&world, 1, WORLD_NOW_MS + 5, 5);
    keep_world_commit(&world);
    keep_world_seal_all(&world);
    assert_int_equal(leaving_notes(&world), 0);
    keep_world_exec(&world, "DELETE FROM telemetry_run; DELETE FROM telemetry_file");
    keep_world_restart(&world);
    assert_true(has_file(&world, week_of(WORLD_NOW_MS, &range), ""));
    keep_world_deinit(&world);
}

/* What a set aside file holds may come back, so what was deleted of it must be known. */
static void a_tombstone_waits_for_a_file_that_was_set_aside(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 2, 0);
    keep_world_delete(&world, 1, WORLD_NOW_MS, WORLD_NOW_MS + 1);
    keep_world_commit(&world);
    keep_world_seal_all(&world);
    keep_world_exec(&world, "UPDATE telemetry_file SET state = 1, name = name || '.db.damaged'"
                            " WHERE start_ms = (SELECT min(start_ms) FROM telemetry_file)");
    assert_int_equal(apply(&world).tombstones_purged, 0);
    keep_world_exec(&world, "DELETE FROM telemetry_file WHERE state = 1");
    assert_int_equal(apply(&world).tombstones_purged, 1);
    keep_world_deinit(&world);
}

/* It was due when the list was made. */
static void a_file_that_gets_a_living_point_meanwhile_stays(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 2, 3600);
    keep_world_set_now(&world, WORLD_NOW_MS + 4 * WEEK_MS);
    struct late_point late = { .world = &world,
                               .ts_ms = WORLD_NOW_MS + WEEK_MS,
                               .ttl_s = 365 * 86400 };
    world.keep.breathe = seal_late_point;
    world.keep.breathe_arg = &late;
    assert_int_equal(apply(&world).files_dropped, 1);
    world.keep.breathe = NULL;
    assert_true(late.is_sealed);
    keep_world_check(&world);
    assert_int_equal(keep_world_stored_points(&world), 2); /* the expired one beside it */
    keep_world_deinit(&world);
}

/* A file that was set aside long ago, its successor removed by hand: the damaged one's name is
 * taken in the manifest, and that keeps nothing from going on. */
static void a_missing_file_beside_a_damaged_one_does_not_stop_retention(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_range range;
    char command[256];
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0);
    week_of(WORLD_NOW_MS, &range);
    snprintf(command, sizeof command,
             "INSERT INTO telemetry_file VALUES"
             "(77, '%s.db.damaged', 0, 1, 0, 0, 1)",
             range.name);
    keep_world_exec(&world, command);
    ps_store_drop(world.store, range.name);
    snprintf(command, sizeof command, "%s/telemetry/%s.db.damaged", world.temp.folder, range.name);
    int fd = open(command, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    keep_world_restart(&world);
    apply(&world);
    keep_world_deinit(&world);
}

/* ---- shedding ---- */

static void the_oldest_file_goes_first_when_space_is_short(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_retention_result result;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    assert_int_equal(ps_retention_shed(&world.keep, &result), PS_ENOTFOUND);
    put_weeks(&world, 3, 0);
    for (int left = 2; left > 0; left--) {
        assert_int_equal(ps_retention_shed(&world.keep, &result), PS_OK);
        assert_int_equal(result.files_dropped, 1);
        assert_int_equal(keep_world_number(&world, "SELECT count(*) FROM telemetry_file"), left);
    }
    assert_int_equal(keep_world_number(&world, "SELECT min_ms FROM telemetry_run"),
                     WORLD_NOW_MS + 2 * WEEK_MS);
    assert_int_equal(ps_retention_shed(&world.keep, &result), PS_ENOTFOUND); /* not the newest */
    keep_world_deinit(&world);
}

/* ---- tombstones ---- */

static int64_t tombstones(struct keep_world *world)
{
    return keep_world_number(world, "SELECT count(*) FROM tombstone");
}

static void a_tombstone_goes_when_nothing_needs_it(void **state)
{
    (void)state;
    struct keep_world world;
    keep_world_init(&world);
    keep_world_add_series(&world, 2);
    put_weeks(&world, 2, 0);
    keep_world_delete(&world, 2, INT64_MIN, INT64_MAX);                  /* nothing there */
    keep_world_delete(&world, 1, WORLD_NOW_MS + 1, WORLD_NOW_MS + 1000); /* nothing in there */
    keep_world_delete(&world, 1, WORLD_NOW_MS, WORLD_NOW_MS + 1);        /* a run has it */
    assert_int_equal(apply(&world).tombstones_purged, 2);
    assert_int_equal(tombstones(&world), 1);
    keep_world_check(&world);
    keep_world_put_long(&world, 1, WORLD_NOW_MS + 5, 5);
    keep_world_delete(&world, 1, WORLD_NOW_MS + 5, WORLD_NOW_MS + 6); /* not sealed yet */
    keep_world_commit(&world);
    assert_int_equal(apply(&world).tombstones_purged, 0);
    keep_world_seal_all(&world);
    assert_int_equal(apply(&world).tombstones_purged, 1);
    assert_int_equal(tombstones(&world), 1);
    keep_world_check(&world);
    keep_world_deinit(&world);
}

/* What was deleted leaves the disk: the file is rewritten, then the tombstone goes. */
static void a_tombstone_that_waits_has_its_file_rewritten(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_merge_result merged;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 1, 0);
    keep_world_put_long(&world, 1, WORLD_NOW_MS + 1, 5);
    keep_world_commit(&world);
    keep_world_seal_all(&world);
    keep_world_delete(&world, 1, WORLD_NOW_MS, WORLD_NOW_MS + 1);
    apply(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_ENOTFOUND);
    keep_world_set_now(&world, world.now_ms + WORLD_DAY_MS);
    apply(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_OK);
    assert_int_equal(merged.deleted, 1);
    assert_int_equal(merged.points_out, 1);
    assert_int_equal(apply(&world).tombstones_purged, 1);
    assert_int_equal(tombstones(&world), 0);
    keep_world_check(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_ENOTFOUND);
    keep_world_deinit(&world);
}

static void a_wanted_file_that_is_gone_does_not_stand_in_the_way(void **state)
{
    (void)state;
    struct keep_world world;
    struct ps_retention_result result;
    struct ps_merge_result merged;
    keep_world_init(&world);
    keep_world_add_series(&world, 1);
    put_weeks(&world, 3, 0);
    keep_world_delete(&world, 1, WORLD_NOW_MS, WORLD_NOW_MS + WEEK_MS + 1); /* of two files */
    keep_world_set_now(&world, world.now_ms + WORLD_DAY_MS);
    apply(&world);
    assert_int_not_equal(world.keep.wanted_file, 0);
    assert_int_equal(ps_retention_shed(&world.keep, &result), PS_OK); /* the first */
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_ENOTFOUND);
    apply(&world);
    assert_int_equal(ps_merge_once(&world.keep, world.now_ms, &merged), PS_OK);
    assert_int_equal(merged.deleted, 1);
    keep_world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_whose_points_are_all_expired_is_unlinked),
        cmocka_unit_test(what_lives_for_ever_or_longer_keeps_its_file),
        cmocka_unit_test(a_longer_default_of_one_profile_counts),
        cmocka_unit_test(while_a_backup_runs_nothing_is_deleted),
        cmocka_unit_test(replaced_runs_stay_for_their_readers_for_a_while),
        cmocka_unit_test(a_file_that_is_over_gives_its_room_back),
        cmocka_unit_test(garbage_of_an_interrupted_seal_is_collected_at_start),
        cmocka_unit_test(a_run_newer_than_the_database_is_no_garbage),
        cmocka_unit_test(a_run_sealed_while_garbage_goes_is_not_taken_for_it),
        cmocka_unit_test(a_file_the_manifest_has_never_heard_of_is_left_alone),
        cmocka_unit_test(a_dropped_file_that_comes_back_is_removed_at_start),
        cmocka_unit_test(a_new_file_of_a_dropped_name_stays),
        cmocka_unit_test(a_tombstone_waits_for_a_file_that_was_set_aside),
        cmocka_unit_test(a_file_that_gets_a_living_point_meanwhile_stays),
        cmocka_unit_test(a_missing_file_beside_a_damaged_one_does_not_stop_retention),
        cmocka_unit_test(the_oldest_file_goes_first_when_space_is_short),
        cmocka_unit_test(a_tombstone_goes_when_nothing_needs_it),
        cmocka_unit_test(a_tombstone_that_waits_has_its_file_rewritten),
        cmocka_unit_test(a_wanted_file_that_is_gone_does_not_stand_in_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
