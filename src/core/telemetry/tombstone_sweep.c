#include "core/telemetry/tombstone_sweep.h"

#include "core/storage/writer.h"
#include "core/telemetry/run_reader.h"
#include "core/telemetry/store.h"

enum { REWRITE_EVERY_MS = 24 * 60 * 60 * 1000 };

struct sweep {
    struct ps_keep *keep;
    int64_t now_ms, sealed_seq;
    struct ps_manifest manifest;
    struct ps_tombstone_list tombstones;
    struct ps_chunk_points points;
    int64_t useless[PS_TOMBSTONE_SWEEP_MAX];
    size_t useless_count;
};

static enum ps_status load(struct sweep *sweep)
{
    struct ps_db *db = sweep->keep->db;
    enum ps_status st = ps_db_begin_read(db);
    if (st != PS_OK)
        return st;
    st = ps_manifest_state(db, PS_STATE_SEALED_SEQ, 0, &sweep->sealed_seq);
    if (st == PS_OK)
        st = ps_manifest_load(db, INT64_MIN, INT64_MAX, &sweep->manifest);
    if (st == PS_OK)
        st = ps_manifest_all_tombstones(db, &sweep->tombstones);
    ps_db_rollback(db);
    return st;
}

/* Not all of what arrived before it is sealed. */
static bool is_ahead(const struct sweep *sweep, const struct ps_tombstone *tombstone)
{
    int64_t last_row = tombstone->idx ? tombstone->seq : tombstone->seq - 1;
    return sweep->sealed_seq < last_row;
}

/* A file that was set aside may come back (fsck), and nobody can look into it: its runs' times
 * tell.
 */
static enum ps_status look_at_asides(struct sweep *sweep, const struct ps_tombstone *tombstone,
                                     bool *needed)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(sweep->keep->db,
                      "SELECT 1 FROM telemetry_file f JOIN telemetry_run r ON r.file = f.id"
                      " WHERE f.state != 0 AND r.retired_ms IS NULL AND r.journal_last < ?1"
                      " AND r.max_ms >= ?2 AND r.min_ms <= ?3 LIMIT 1",
                      &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, tombstone->seq);
    ps_stmt_bind_int(stmt, 2, tombstone->start_ms);
    ps_stmt_bind_int(stmt, 3, tombstone->end_ms == INT64_MAX ? INT64_MAX : tombstone->end_ms - 1);
    st = ps_stmt_step(stmt, needed);
    if (st == PS_OK && *needed)
        ps_stmt_reset(stmt);
    return st;
}

static bool has_covered(const struct ps_chunk_points *points, const struct ps_tombstone *tombstone)
{
    for (size_t i = 0; i < points->count; i++) {
        if (ps_tombstone_covers(tombstone, points->points[i].ts_ms))
            return true;
    }
    return false;
}

/* A damaged file may hold anything: it needs the tombstone. */
static enum ps_status look_into_run(struct sweep *sweep, struct ps_run_file *file, int64_t run,
                                    const struct ps_tombstone *tombstone, bool *holds)
{
    struct ps_run_want want = { .series_from = tombstone->series,
                                .series_to = tombstone->series,
                                .start_ms = tombstone->start_ms,
                                .end_ms = tombstone->end_ms == INT64_MAX ? INT64_MAX
                                                                         : tombstone->end_ms - 1 };
    struct ps_run_reader *reader;
    struct ps_chunk_info info;
    enum ps_status st = ps_run_reader_open(file, run, &want, &reader);
    if (st == PS_ENOTFOUND)
        return PS_OK;
    if (st != PS_OK)
        return st;
    while (!*holds && (st = ps_run_reader_next(reader, &info)) == PS_OK &&
           (st = ps_run_reader_decode(reader, &sweep->points)) == PS_OK)
        *holds = has_covered(&sweep->points, tombstone);
    ps_run_reader_close(reader);
    return st == PS_ENOTFOUND ? PS_OK : st;
}

static bool may_hold(const struct ps_run *run, const struct ps_tombstone *tombstone)
{
    return run->journal_last < tombstone->seq && run->max_ms >= tombstone->start_ms &&
           (run->min_ms < tombstone->end_ms || tombstone->end_ms == INT64_MAX);
}

static enum ps_status look_into_file(struct sweep *sweep, const struct ps_manifest_file *row,
                                     const struct ps_tombstone *tombstone, bool *holds)
{
    struct ps_run_file *file = NULL;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < row->run_count && !*holds && st == PS_OK; i++) {
        const struct ps_run *run = &sweep->manifest.runs.items[row->first_run + i];
        if (!may_hold(run, tombstone))
            continue;
        if (!file)
            st = ps_store_borrow(sweep->keep->store, row->name, false, &file, NULL);
        if (st == PS_OK)
            st = look_into_run(sweep, file, run->run, tombstone, holds);
    }
    ps_store_return(sweep->keep->store, file);
    if (st == PS_EPROTO || st == PS_ENOTFOUND) {
        *holds = true;
        st = PS_OK;
    }
    return st;
}

static void want_rewritten(struct sweep *sweep, const struct ps_manifest_file *row,
                           const struct ps_tombstone *tombstone)
{
    if (!sweep->keep->wanted_file &&
        tombstone->created_ms <= sweep->now_ms - sweep->keep->settle_ms &&
        row->rewritten_ms <= sweep->now_ms - REWRITE_EVERY_MS)
        sweep->keep->wanted_file = row->id;
}

static enum ps_status look_at(struct sweep *sweep, const struct ps_tombstone *tombstone)
{
    enum ps_status st = PS_OK;
    bool needed = is_ahead(sweep, tombstone);
    for (size_t i = 0; i < sweep->manifest.files.count && !needed && st == PS_OK; i++) {
        const struct ps_manifest_file *row = &sweep->manifest.files.items[i];
        st = look_into_file(sweep, row, tombstone, &needed);
        if (st == PS_OK && needed)
            want_rewritten(sweep, row, tombstone);
    }
    if (st == PS_OK && !needed)
        st = look_at_asides(sweep, tombstone, &needed);
    if (st == PS_OK && !needed)
        sweep->useless[sweep->useless_count++] = tombstone->id;
    return st;
}

static enum ps_status forget(struct ps_db *db, void *arg)
{
    const struct sweep *sweep = arg;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < sweep->useless_count && st == PS_OK; i++) {
        st = ps_manifest_forget_tombstone(db, sweep->useless[i]);
        if (st == PS_ENOTFOUND)
            st = PS_OK;
    }
    return st;
}

static enum ps_status look_at_some(struct sweep *sweep)
{
    size_t count = sweep->tombstones.count;
    size_t looked = count < PS_TOMBSTONE_SWEEP_MAX ? count : PS_TOMBSTONE_SWEEP_MAX;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < looked && st == PS_OK; i++) {
        st = look_at(sweep, &sweep->tombstones.items[(sweep->keep->tombstones_seen + i) % count]);
        if (st == PS_OK)
            st = ps_keep_breathe(sweep->keep);
    }
    if (count)
        sweep->keep->tombstones_seen = (sweep->keep->tombstones_seen + looked) % count;
    return st;
}

enum ps_status ps_tombstone_sweep(struct ps_keep *keep, int64_t now_ms, size_t *purged)
{
    struct sweep sweep = { .keep = keep, .now_ms = now_ms };
    enum ps_status st = load(&sweep);
    if (st == PS_OK)
        st = look_at_some(&sweep);
    if (st == PS_OK && sweep.useless_count)
        st = ps_keep_call(keep, forget, &sweep);
    if (st == PS_OK)
        *purged = sweep.useless_count;
    ps_manifest_deinit(&sweep.manifest);
    ps_tombstone_list_deinit(&sweep.tombstones);
    ps_chunk_points_deinit(&sweep.points);
    return st;
}
