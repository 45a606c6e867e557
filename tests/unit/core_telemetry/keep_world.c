#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "unit/core_telemetry/keep_world.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/telemetry/run_reader.h"

/* ---- the model ---- */

static void set_value(struct world_point *point, const struct ps_value *value)
{
    point->value = *value;
    if (value->type < PS_VALUE_STRING)
        return;
    assert_true(value->len <= WORLD_TEXT_SIZE);
    memcpy(point->text, value->text, value->len);
    point->value.text = NULL; /* the array moves */
}

/* In order of arrival; settle() sorts. */
static void put(struct world_points *points, uint32_t series, int64_t ts_ms,
                const struct ps_value *value, uint32_t ttl_s)
{
    if (points->count == points->cap) {
        points->cap = points->cap ? points->cap * 2 : 64;
        points->items = realloc(points->items, points->cap * sizeof *points->items);
        assert_non_null(points->items);
    }
    struct world_point *point = &points->items[points->count++];
    *point = (struct world_point){
        .series = series, .ts_ms = ts_ms, .ttl_s = ttl_s, .arrival = points->arrivals++
    };
    set_value(point, value);
}

static int compare(const void *left, const void *right)
{
    const struct world_point *a = left, *b = right;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    if (a->ts_ms != b->ts_ms)
        return a->ts_ms < b->ts_ms ? -1 : 1;
    return a->arrival < b->arrival ? -1 : 1;
}

/* By (series, ts); of equal ones the last arrival stays. */
static void settle(struct world_points *points)
{
    size_t kept = 0;
    if (points->count)
        qsort(points->items, points->count, sizeof *points->items, compare);
    for (size_t i = 0; i < points->count; i++) {
        const struct world_point *point = &points->items[i];
        bool replaced = i + 1 < points->count && point[1].series == point->series &&
                        point[1].ts_ms == point->ts_ms;
        if (!replaced)
            points->items[kept++] = *point;
    }
    points->count = kept;
}

static bool is_covered(int64_t ts_ms, int64_t start_ms, int64_t end_ms)
{
    return ts_ms >= start_ms && (ts_ms < end_ms || end_ms == INT64_MAX);
}

static void erase(struct world_points *points, uint32_t series, int64_t start_ms, int64_t end_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < points->count; i++) {
        const struct world_point *point = &points->items[i];
        if (point->series != series || !is_covered(point->ts_ms, start_ms, end_ms))
            points->items[kept++] = *point;
    }
    points->count = kept;
}

static bool is_expired(const struct world_point *point, uint32_t default_ttl_s, int64_t now_ms)
{
    uint32_t ttl_s = point->ttl_s ? point->ttl_s : default_ttl_s;
    return ttl_s && (__int128)point->ts_ms + (__int128)ttl_s * 1000 <= now_ms;
}

static void drop_invisible(struct keep_world *world, struct world_points *points)
{
    size_t kept = 0;
    for (size_t i = 0; i < points->count; i++) {
        const struct world_point *point = &points->items[i];
        if (!world->is_gone[point->series] &&
            !is_expired(point, world->keep.default_ttl_s, world->now_ms))
            points->items[kept++] = *point;
    }
    points->count = kept;
}

/* ---- the world ---- */

static void open_all(struct keep_world *world)
{
    struct ps_text why;
    struct ps_writer_settings writer = { .path = world->temp.path, .checkpoint_bytes = 256 * 1024 };
    struct ps_store_settings store = { .dir = world->temp.folder, .idle_max = 4 };
    assert_int_equal(ps_writer_start(&writer, &world->writer), PS_OK);
    assert_int_equal(ps_store_open(&store, &world->store, &why), PS_OK);
    world->keep.writer = world->writer;
    world->keep.store = world->store;
    assert_int_equal(ps_db_open(world->temp.path, PS_DB_READER, &world->keep.db, &why), PS_OK);
}

static void close_all(struct keep_world *world)
{
    ps_keep_deinit(&world->keep);
    ps_db_close(world->keep.db);
    ps_store_close(world->store);
    ps_writer_stop(world->writer);
}

void keep_world_init(struct keep_world *world)
{
    *world = (struct keep_world){ .keep = { .range = PS_RANGE_WEEK,
                                            .memory_max = 1 << 20,
                                            .retired_keep_ms = 60000,
                                            .settle_ms = 3600000 } };
    temp_db_init(&world->temp);
    world->keep.dir = world->temp.folder;
    keep_world_set_now(world, WORLD_NOW_MS);
    open_all(world);
}

void keep_world_deinit(struct keep_world *world)
{
    close_all(world);
    temp_db_deinit(&world->temp);
    ps_buf_deinit(&world->blob);
    free(world->model.items);
    ps_clock_set_for_test(-1, -1);
}

void keep_world_restart(struct keep_world *world)
{
    struct ps_retention_result result;
    int64_t memory_max = (int64_t)world->keep.memory_max;
    uint32_t default_ttl_s = world->keep.default_ttl_s;
    close_all(world);
    world->keep = (struct ps_keep){ .range = world->keep.range,
                                    .memory_max = (size_t)memory_max,
                                    .default_ttl_s = default_ttl_s,
                                    .retired_keep_ms = world->keep.retired_keep_ms,
                                    .settle_ms = world->keep.settle_ms,
                                    .dir = world->temp.folder };
    open_all(world);
    assert_int_equal(ps_retention_collect(&world->keep, true, &result), PS_OK);
}

void keep_world_set_now(struct keep_world *world, int64_t now_ms)
{
    world->now_ms = now_ms;
    ps_clock_set_for_test(now_ms, now_ms * 1000000);
}

static enum ps_status run_sql(struct ps_db *db, void *arg)
{
    return ps_db_exec(db, arg);
}

void keep_world_exec(struct keep_world *world, const char *sql)
{
    assert_int_equal(ps_writer_call(world->writer, run_sql, (void *)sql), PS_OK);
}

int64_t keep_world_number(struct keep_world *world, const char *sql)
{
    return temp_db_number(world->temp.db, sql);
}

void keep_world_add_series(struct keep_world *world, uint32_t count)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
             " INSERT INTO series(id, entity_type, entity, key)"
             " SELECT i, 5, randomblob(16), 'key' || i FROM n",
             count);
    keep_world_exec(world, sql);
}

/* ---- what is written ---- */

void keep_world_put(struct keep_world *world, uint32_t series, int64_t ts_ms,
                    const struct ps_value *value, uint32_t ttl_s)
{
    if (!world->row_points++)
        ps_journal_begin(&world->encoder, &world->blob);
    ps_journal_put(&world->encoder, series, ts_ms, value, ttl_s);
    put(&world->model, series, ts_ms, value, ttl_s);
}

void keep_world_put_long(struct keep_world *world, uint32_t series, int64_t ts_ms, int64_t value)
{
    struct ps_value number = { .type = PS_VALUE_LONG, .integer = value };
    keep_world_put(world, series, ts_ms, &number, 0);
}

static enum ps_status add_tombstone(struct ps_db *db, void *arg)
{
    return ps_manifest_add_tombstone(db, arg);
}

/* Before its row, which is as good as together with it: nothing is sealed in between. */
void keep_world_delete(struct keep_world *world, uint32_t series, int64_t start_ms, int64_t end_ms)
{
    struct ps_tombstone tombstone = { .series = series,
                                      .start_ms = start_ms,
                                      .end_ms = end_ms,
                                      .seq = world->last_seq + 1,
                                      .idx = world->row_points,
                                      .created_ms = world->now_ms };
    assert_int_equal(ps_writer_call(world->writer, add_tombstone, &tombstone), PS_OK);
    erase(&world->model, series, start_ms, end_ms);
}

struct row_item {
    struct ps_writer_item item; /* first */
    struct keep_world *world;
    enum ps_status status;
    sem_t finished;
};

static enum ps_status insert_row(struct ps_writer_item *item, struct ps_db *db)
{
    struct keep_world *world = ((struct row_item *)item)->world;
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "INSERT INTO journal(seq, points) VALUES(?, ?)", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, world->last_seq);
    ps_stmt_bind_blob(stmt, 2, world->blob.data, world->blob.len);
    return ps_stmt_run(stmt);
}

static void row_done(struct ps_writer_item *item, enum ps_status st)
{
    struct row_item *row = (struct row_item *)item;
    row->status = st;
    sem_post(&row->finished);
}

/* As a batch does it: the writer is told how many bytes of points there are. */
void keep_world_commit(struct keep_world *world)
{
    if (!world->row_points)
        return;
    ps_journal_finish(&world->encoder);
    assert_true(ps_buf_ok(&world->blob));
    world->last_seq++;
    struct row_item row = {
        .item = { .run = insert_row, .done = row_done, .points_bytes = (uint32_t)world->blob.len },
        .world = world
    };
    sem_init(&row.finished, 0, 0);
    ps_writer_submit(world->writer, &row.item);
    while (sem_wait(&row.finished) != 0)
        continue;
    sem_destroy(&row.finished);
    assert_int_equal(row.status, PS_OK);
    ps_buf_clear(&world->blob);
    world->row_points = 0;
}

void keep_world_remove_series(struct keep_world *world, uint32_t series)
{
    char sql[64];
    snprintf(sql, sizeof sql, "DELETE FROM series WHERE id = %u", series);
    keep_world_exec(world, sql);
    world->is_gone[series] = true;
    erase(&world->model, series, INT64_MIN, INT64_MAX);
}

size_t keep_world_seal_all(struct keep_world *world)
{
    struct ps_seal_result result;
    size_t passes = 0;
    enum ps_status st;
    while ((st = ps_seal_once(&world->keep, &result)) == PS_OK)
        passes++;
    assert_int_equal(st, PS_ENOTFOUND);
    return passes;
}

size_t keep_world_merge_all(struct keep_world *world)
{
    struct ps_merge_result result;
    size_t merges = 0;
    enum ps_status st;
    while ((st = ps_merge_once(&world->keep, world->now_ms, &result)) == PS_OK) {
        assert_false(result.damaged);
        assert_true(result.deleted >= 0);
        merges++;
    }
    assert_int_equal(st, PS_ENOTFOUND);
    return merges;
}

/* ---- what is found ---- */

static bool is_deleted(const struct ps_tombstone_list *list, uint32_t series, int64_t ts_ms,
                       int64_t run_last, int64_t seq, uint32_t index)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_tombstone *tombstone = &list->items[i];
        bool before = run_last >= 0 ? run_last < tombstone->seq
                                    : seq < tombstone->seq ||
                                          (seq == tombstone->seq && index < tombstone->idx);
        if (tombstone->series == series && before &&
            is_covered(ts_ms, tombstone->start_ms, tombstone->end_ms))
            return true;
    }
    return false;
}

static void read_run(struct keep_world *world, const char *name, const struct ps_run *run,
                     const struct ps_tombstone_list *tombstones, struct world_points *out)
{
    struct ps_run_want want = { .series_to = UINT32_MAX,
                                .start_ms = INT64_MIN,
                                .end_ms = INT64_MAX };
    struct ps_chunk_points points = { 0 };
    struct ps_chunk_info info;
    struct ps_run_file *file;
    struct ps_run_reader *reader;
    enum ps_status st;
    int64_t count = 0;
    assert_int_equal(ps_store_borrow(world->store, name, false, &file, NULL), PS_OK);
    assert_int_equal(ps_run_reader_open(file, run->run, &want, &reader), PS_OK);
    while ((st = ps_run_reader_next(reader, &info)) == PS_OK) {
        assert_int_equal(ps_run_reader_decode(reader, &points), PS_OK);
        count += (int64_t)points.count;
        for (size_t i = 0; i < points.count; i++) {
            if (!is_deleted(tombstones, info.series, points.points[i].ts_ms, run->journal_last, 0,
                            0))
                put(out, info.series, points.points[i].ts_ms, &points.points[i].value,
                    points.ttl_s ? points.ttl_s[i] : 0);
        }
    }
    assert_int_equal(st, PS_ENOTFOUND);
    assert_int_equal(count, run->points);
    ps_run_reader_close(reader);
    ps_store_return(world->store, file);
    ps_chunk_points_deinit(&points);
}

/* Files may overlap, so all runs together. */
static int by_arrival(const void *left, const void *right)
{
    const struct ps_run *a = left, *b = right;
    if (a->journal_last != b->journal_last)
        return a->journal_last < b->journal_last ? -1 : 1;
    return a->run < b->run ? -1 : a->run > b->run;
}

static const char *name_of(const struct ps_manifest_file_list *files, int64_t id)
{
    size_t i = 0;
    while (files->items[i].id != id)
        i++;
    return files->items[i].name;
}

/* A deletion hides what came before it wherever that is, so its effect is the same if everything is
 * read run by run: a later run's points are put later. But what an earlier run lost to a deletion
 * must not hide what a later run has: it does not, as only the later one is put. */
static void read_runs(struct keep_world *world, const struct ps_tombstone_list *tombstones,
                      struct world_points *out)
{
    struct ps_manifest manifest = { 0 };
    assert_int_equal(ps_manifest_load(world->temp.db, INT64_MIN, INT64_MAX, &manifest), PS_OK);
    if (manifest.runs.count)
        qsort(manifest.runs.items, manifest.runs.count, sizeof *manifest.runs.items, by_arrival);
    for (size_t i = 0; i < manifest.runs.count; i++)
        read_run(world, name_of(&manifest.files, manifest.runs.items[i].file),
                 &manifest.runs.items[i], tombstones, out);
    ps_manifest_deinit(&manifest);
}

static void read_journal(struct keep_world *world, const struct ps_tombstone_list *tombstones,
                         struct world_points *out)
{
    struct ps_stmt *stmt;
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    bool row;
    int64_t sealed_seq;
    assert_int_equal(ps_manifest_state(world->temp.db, PS_STATE_SEALED_SEQ, 0, &sealed_seq), PS_OK);
    assert_int_equal(ps_db_prepare(world->temp.db,
                                   "SELECT seq, points FROM journal WHERE seq > ? ORDER BY seq",
                                   &stmt),
                     PS_OK);
    ps_stmt_bind_int(stmt, 1, sealed_seq);
    while (ps_stmt_step(stmt, &row) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        if (ps_journal_open(&decoder, blob, len) != PS_OK)
            continue;
        while (ps_journal_next(&decoder, &record) == PS_OK) {
            if (!is_deleted(tombstones, record.series, record.ts_ms, -1, ps_stmt_int(stmt, 0),
                            record.index))
                put(out, record.series, record.ts_ms, &record.value, record.ttl_s);
        }
    }
}

static void check_point(const struct world_point *want, const struct world_point *got)
{
    struct ps_value a = want->value, b = got->value;
    if (a.type >= PS_VALUE_STRING)
        a.text = want->text;
    if (b.type >= PS_VALUE_STRING)
        b.text = got->text;
    if (want->series != got->series || want->ts_ms != got->ts_ms || !ps_value_equal(&a, &b) ||
        want->ttl_s != got->ttl_s) {
        print_error("series %u at %lld, found series %u at %lld, ttl %u, %u\n", want->series,
                    (long long)want->ts_ms, got->series, (long long)got->ts_ms, want->ttl_s,
                    got->ttl_s);
        fail();
    }
}

void keep_world_check(struct keep_world *world)
{
    struct ps_tombstone_list tombstones = { 0 };
    struct world_points found = { 0 }, want = { 0 };
    settle(&world->model);
    want.items = malloc((world->model.count + 1) * sizeof *want.items);
    assert_non_null(want.items);
    want.count = world->model.count;
    for (size_t i = 0; i < want.count; i++)
        want.items[i] = world->model.items[i];
    assert_int_equal(ps_manifest_all_tombstones(world->temp.db, &tombstones), PS_OK);
    read_runs(world, &tombstones, &found);
    read_journal(world, &tombstones, &found);
    settle(&found);
    drop_invisible(world, &found);
    drop_invisible(world, &want);
    for (size_t i = 0; i < want.count && i < found.count; i++)
        check_point(&want.items[i], &found.items[i]);
    assert_int_equal(want.count, found.count);
    ps_tombstone_list_deinit(&tombstones);
    free(found.items);
    free(want.items);
}

int64_t keep_world_stored_points(struct keep_world *world)
{
    return keep_world_number(world, "SELECT coalesce(sum(points), 0) FROM telemetry_run"
                                    " WHERE retired_ms IS NULL");
}
