/* history_world: a database, a store, one table of series, and a keeper of the simplest kind, for
 * tests of reading: rows arrive, points are deleted, rows are sealed into runs. */
#ifndef PS_TESTS_HISTORY_WORLD_H
#define PS_TESTS_HISTORY_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/history.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/manifest.h"
#include "core/telemetry/run_writer.h"
#include "core/telemetry/store.h"
#include "unit/core_storage/temp_db.h"

enum { WORLD_SERIES = 3, WORLD_ROW_MAX = 32 };

struct arrival {
    int64_t seq, index;
    uint32_t series; /* from 1 */
    struct ps_point point;
    uint32_t ttl_s;
};

struct world {
    struct temp_db temp;
    struct ps_store *store;
    struct ps_series_table table;
    _Atomic uint32_t next_id;
    _Atomic int64_t sealed_atomic;
    struct ps_series *series[WORLD_SERIES]; /* series[i] has id i + 1 */
    int64_t seq, sealed_seq;
    struct arrival *unsealed; /* texts are constants of the test */
    size_t unsealed_count, unsealed_cap;
    uint32_t default_ttl_s;
    int64_t now_ms;
};

static inline void world_init(struct world *w, uint32_t head_points)
{
    memset(w, 0, sizeof *w);
    temp_db_init(&w->temp);
    struct ps_store_settings settings = { .dir = w->temp.folder };
    struct ps_text why;
    assert_int_equal(ps_store_open(&settings, &w->store, &why), PS_OK);
    w->next_id = 1;
    struct ps_series_limits limits = { .head_points_max = head_points,
                                       .memory_max = 1 << 20,
                                       .next_id = &w->next_id,
                                       .sealed_seq = &w->sealed_atomic };
    assert_int_equal(ps_series_table_init(&w->table, &limits), PS_OK);
    struct ps_entity_id id = { PS_ENTITY_DEVICE, { "device" } };
    struct ps_entity_series *entity = ps_series_table_get(&w->table, &id);
    static const char *const keys[] = { "temperature", "on", "note" };
    for (unsigned i = 0; i < WORLD_SERIES; i++) {
        w->series[i] = ps_series_get(&w->table, entity, keys[i], strlen(keys[i]));
        struct ps_stmt *stmt;
        assert_int_equal(ps_db_prepare(w->temp.db,
                                       "INSERT INTO series(id, entity_type, entity, key)"
                                       " VALUES(?, ?, ?, ?)",
                                       &stmt),
                         PS_OK);
        ps_stmt_bind_int(stmt, 1, w->series[i]->id);
        ps_stmt_bind_int(stmt, 2, PS_ENTITY_DEVICE);
        ps_stmt_bind_uuid(stmt, 3, &id.id);
        ps_stmt_bind_cstr(stmt, 4, keys[i]);
        assert_int_equal(ps_stmt_run(stmt), PS_OK);
    }
}

static inline void world_deinit(struct world *w)
{
    ps_series_table_deinit(&w->table);
    ps_store_close(w->store);
    temp_db_deinit(&w->temp);
    free(w->unsealed);
}

static inline void world_keep(struct world *w, const struct arrival *arrival)
{
    if (w->unsealed_count == w->unsealed_cap) {
        w->unsealed_cap = w->unsealed_cap ? w->unsealed_cap * 2 : 64;
        w->unsealed = realloc(w->unsealed, w->unsealed_cap * sizeof *w->unsealed);
        assert_non_null(w->unsealed);
    }
    w->unsealed[w->unsealed_count++] = *arrival;
}

struct world_deletion {
    uint32_t series;
    int64_t start_ms, end_ms;
    size_t before; /* index of the next record of its row */
};

/* The deletion of points before record `before` of the next row; the latest value is rewritten. */
static inline void world_put_tombstone(struct world *w, const struct world_deletion *deletion)
{
    struct ps_tombstone stone = { .series = deletion->series,
                                  .start_ms = deletion->start_ms,
                                  .end_ms = deletion->end_ms,
                                  .seq = w->seq + 1,
                                  .idx = (int64_t)deletion->before,
                                  .created_ms = 1 };
    assert_int_equal(ps_manifest_add_tombstone(w->temp.db, &stone), PS_OK);
}

static inline void world_apply_deletion(struct world *w, const struct world_deletion *deletion)
{
    struct ps_series_deletion range = { .start_ms = deletion->start_ms,
                                        .end_ms = deletion->end_ms,
                                        .delete_latest = true,
                                        .rewrite_latest = true };
    (void)ps_series_delete_range(&w->table, w->series[deletion->series - 1], &range);
}

/* One row of the journal, committed and applied, maybe with a deletion among its records; seq and
 * index of the arrivals are filled in. */
static inline void world_write(struct world *w, struct arrival *row, size_t count,
                               const struct world_deletion *deletion)
{
    struct ps_buf blob = { 0 };
    struct ps_journal_encoder encoder;
    struct ps_stmt *stmt;
    if (deletion)
        world_put_tombstone(w, deletion);
    w->seq++;
    ps_journal_begin(&encoder, &blob);
    for (size_t i = 0; i < count; i++) {
        row[i].seq = w->seq;
        row[i].index = (int64_t)i;
        ps_journal_put(&encoder, row[i].series, row[i].point.ts_ms, &row[i].point.value,
                       row[i].ttl_s);
        world_keep(w, &row[i]);
    }
    ps_journal_finish(&encoder);
    assert_int_equal(
        ps_db_prepare(w->temp.db, "INSERT INTO journal(seq, points) VALUES(?, ?)", &stmt), PS_OK);
    ps_stmt_bind_int(stmt, 1, w->seq);
    ps_stmt_bind_blob(stmt, 2, blob.data, blob.len);
    assert_int_equal(ps_stmt_run(stmt), PS_OK);
    ps_buf_deinit(&blob);
    for (size_t i = 0; i < count; i++) {
        if (deletion && deletion->before == i)
            world_apply_deletion(w, deletion);
        ps_series_apply(&w->table, w->series[row[i].series - 1], w->seq, row[i].point.ts_ms,
                        &row[i].point.value, row[i].ttl_s);
    }
}

/* A deletion behind everything written so far. */
static inline void world_delete(struct world *w, uint32_t series, int64_t start_ms, int64_t end_ms)
{
    const struct world_deletion deletion = { .series = series,
                                             .start_ms = start_ms,
                                             .end_ms = end_ms };
    world_put_tombstone(w, &deletion);
    world_apply_deletion(w, &deletion);
}

static inline int world_by_series_ts_arrival(const void *left, const void *right)
{
    const struct arrival *a = left, *b = right;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    if (a->point.ts_ms != b->point.ts_ms)
        return a->point.ts_ms < b->point.ts_ms ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static inline bool world_is_deleted(const struct arrival *arrival,
                                    const struct ps_tombstone_list *stones)
{
    for (size_t i = 0; i < stones->count; i++) {
        const struct ps_tombstone *stone = &stones->items[i];
        if (stone->series == arrival->series && ps_tombstone_covers(stone, arrival->point.ts_ms) &&
            (arrival->seq < stone->seq ||
             (arrival->seq == stone->seq && arrival->index < stone->idx)))
            return true;
    }
    return false;
}

/* Points [from, from + count) are of one file. */
static inline void world_write_run(struct world *w, const struct arrival *sorted, size_t count,
                                   const struct ps_range *range)
{
    struct ps_run_file *file;
    struct ps_run_writer *writer;
    struct ps_text why;
    struct ps_run run = { .level = 0, .journal_first = w->sealed_seq + 1, .journal_last = w->seq };
    int64_t number, id;
    assert_int_equal(ps_store_borrow(w->store, range->name, true, &file, &why), PS_OK);
    assert_int_equal(ps_run_file_next_number(file, NULL, &number), PS_OK);
    assert_int_equal(ps_run_writer_begin(file, number, NULL, &writer), PS_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            ps_run_writer_add(writer, sorted[i].series, &sorted[i].point, &sorted[i].ttl_s, 1),
            PS_OK);
    assert_int_equal(ps_run_writer_commit(writer, &run), PS_OK);
    ps_store_return(w->store, file);
    assert_int_equal(ps_manifest_put_file(w->temp.db, range, 1, &id), PS_OK);
    run.file = id;
    assert_int_equal(ps_manifest_add_run(w->temp.db, &run), PS_OK);
}

/* All rows so far become runs, one a file. */
static inline void world_seal(struct world *w, enum ps_range_unit unit)
{
    struct ps_tombstone_list stones = { 0 };
    assert_int_equal(ps_manifest_all_tombstones(w->temp.db, &stones), PS_OK);
    if (w->unsealed_count)
        qsort(w->unsealed, w->unsealed_count, sizeof *w->unsealed, world_by_series_ts_arrival);
    size_t kept = 0;
    for (size_t i = 0; i < w->unsealed_count; i++) {
        const struct arrival *next = i + 1 < w->unsealed_count ? &w->unsealed[i + 1] : NULL;
        bool replaced = next && next->series == w->unsealed[i].series &&
                        next->point.ts_ms == w->unsealed[i].point.ts_ms;
        if (!replaced && !world_is_deleted(&w->unsealed[i], &stones))
            w->unsealed[kept++] = w->unsealed[i];
    }
    struct arrival *part = malloc((kept + 1) * sizeof *part);
    bool *done = calloc(kept + 1, sizeof *done);
    assert_true(part && done);
    for (size_t i = 0; i < kept; i++) {
        struct ps_range range;
        size_t count = 0;
        if (done[i])
            continue;
        ps_range_of(unit, w->unsealed[i].point.ts_ms, &range);
        for (size_t k = i; k < kept; k++) {
            if (done[k] || !ps_range_holds(&range, w->unsealed[k].point.ts_ms))
                continue;
            part[count++] = w->unsealed[k];
            done[k] = true;
        }
        world_write_run(w, part, count, &range);
    }
    free(part);
    free(done);
    ps_tombstone_list_deinit(&stones);
    w->unsealed_count = 0;
    w->sealed_seq = w->seq;
    w->sealed_atomic = w->seq;
    assert_int_equal(ps_manifest_set_state(w->temp.db, PS_STATE_SEALED_SEQ, w->seq), PS_OK);
}

static inline struct ps_history world_history(const struct world *w)
{
    return (struct ps_history){
        .db = w->temp.db, .store = w->store, .now_ms = w->now_ms, .default_ttl_s = w->default_ttl_s
    };
}

#endif
