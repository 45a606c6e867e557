#include "core/telemetry/seal.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/storage/writer.h"
#include "core/telemetry/catalogue.h"
#include "core/telemetry/deletions.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/run_writer.h"
#include "core/telemetry/seal_set.h"
#include "core/telemetry/store.h"

enum {
    WINDOW_POINTS = 1024,     /* handed to the run writer at a time */
    GROUPS_PER_BREATH = 4096, /* and points, of one long group */
    LAST_ROW_SHARE = 16,      /* room for the row that goes over the bound: so much of all */
};

struct seal {
    struct ps_keep *keep;
    struct ps_seal_result result;
    int64_t first_seq; /* first row taken */
    int64_t now_ms;
    struct ps_deletions deletions;
    struct ps_seal_set *set;
    struct ps_run_list runs; /* written, parallel to `ranges` */
    struct ps_range *ranges; /* of runs */
    struct ps_catalogue catalogue;
    struct ps_point points[WINDOW_POINTS];
    uint32_t ttl_s[WINDOW_POINTS];
};

/* ---- gathering ---- */

/* Did it arrive before something deleted it? */
static bool is_deleted(const struct seal *seal, int64_t seq, const struct ps_journal_record *record)
{
    if (!seal->deletions.count)
        return false;
    struct ps_deleted_spans deleted = ps_deletions_of(&seal->deletions, record->series);
    return ps_deleted_spans_touch(&deleted, record->ts_ms, record->ts_ms, seq, record->index);
}

static enum ps_status load_deletions(struct seal *seal)
{
    struct ps_tombstone_list tombstones = { 0 };
    enum ps_status st = ps_manifest_all_tombstones(seal->keep->db, &tombstones);
    if (st == PS_OK)
        st = ps_deletions_make(&tombstones, &seal->deletions);
    ps_tombstone_list_deinit(&tombstones);
    return st;
}

static void log_damaged_row(int64_t seq)
{
    struct ps_log_line line;
    if (!ps_log_begin(&line, PS_LOG_ERROR, "telemetry", "journal_row_damaged"))
        return;
    ps_log_int(&line, "seq", seq);
    ps_log_end(&line);
}

/* PS_OK also for a damaged row: nothing of it is taken. */
static enum ps_status gather_row(struct seal *seal, int64_t seq, const char *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    size_t before = seal->set->count, points = 0;
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    while (st == PS_OK && (st = ps_journal_next(&decoder, &record)) == PS_OK) {
        points++;
        if (!is_deleted(seal, seq, &record) && (st = ps_seal_set_add(seal->set, &record)) != PS_OK)
            return st;
    }
    if (st == PS_ENOTFOUND) {
        seal->result.points += points;
    } else {
        ps_seal_set_cut(seal->set, before);
        seal->result.damaged_rows++;
        log_damaged_row(seq);
    }
    return PS_OK;
}

static enum ps_status gather_rows(struct seal *seal, int64_t sealed_seq)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(
        seal->keep->db, "SELECT seq, points FROM journal WHERE seq > ? ORDER BY seq", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, sealed_seq);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        if (seal->result.rows && ps_seal_set_bytes(seal->set) >= seal->keep->memory_max) {
            seal->result.more = true;
            break;
        }
        int64_t seq = ps_stmt_int(stmt, 0);
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        st = gather_row(seal, seq, blob, len);
        if (st != PS_OK)
            break;
        if (!seal->result.rows++)
            seal->first_seq = seq;
        seal->result.journal_bytes += (int64_t)len;
        seal->result.sealed_seq = seq;
    }
    ps_stmt_reset(stmt);
    return st;
}

/* One snapshot, and a short one: nothing of it is kept open while runs are written. */
static enum ps_status gather(struct seal *seal)
{
    struct ps_db *db = seal->keep->db;
    int64_t sealed_seq;
    size_t points_max = seal->keep->memory_max / PS_SEAL_POINT_BYTES;
    enum ps_status st =
        ps_seal_set_begin(seal->set, seal->keep->range, points_max + points_max / LAST_ROW_SHARE);
    if (st == PS_OK)
        st = ps_db_begin_read(db);
    if (st != PS_OK)
        return st;
    st = ps_manifest_state(db, PS_STATE_SEALED_SEQ, 0, &sealed_seq);
    if (st == PS_OK)
        st = load_deletions(seal);
    if (st == PS_OK)
        st = gather_rows(seal, sealed_seq);
    ps_db_rollback(db);
    if (st == PS_OK && !seal->result.rows)
        return PS_ENOTFOUND;
    return st;
}

/* ---- writing ---- */

static enum ps_status breathe(struct seal *seal)
{
    ps_catalogue_rest(&seal->catalogue);
    return ps_keep_breathe(seal->keep);
}

static enum ps_status describe(void *arg, uint32_t series, struct ps_run_series *out)
{
    struct seal *seal = arg;
    return ps_catalogue_describe(&seal->catalogue, series, out);
}

/* The window's points. A group that fits into it as a whole is not copied any more. */
static enum ps_status add_points(const struct seal *seal, struct ps_run_writer *writer,
                                 const struct ps_seal_group *group, size_t count, bool any_ttl)
{
    const uint32_t *ttl_s = any_ttl ? seal->ttl_s : NULL;
    if (group->count <= WINDOW_POINTS)
        return ps_run_writer_add_series(writer, group->series, seal->points, ttl_s, count);
    return ps_run_writer_add(writer, group->series, seal->points, ttl_s, count);
}

static enum ps_status write_group(struct seal *seal, struct ps_run_writer *writer,
                                  const struct ps_seal_group *group)
{
    size_t from = 0, count;
    bool any_ttl;
    enum ps_status st = PS_OK;
    while (st == PS_OK && (count = ps_seal_set_points(seal->set, group, &from, seal->points,
                                                      seal->ttl_s, WINDOW_POINTS, &any_ttl)) > 0) {
        st = add_points(seal, writer, group, count, any_ttl);
        seal->result.written += st == PS_OK ? count : 0;
    }
    return st == PS_ENOTFOUND ? PS_OK : st; /* its entity was deleted meanwhile */
}

/* All groups of one range, the first of which is *group; afterwards *group is the last of them. */
static enum ps_status write_groups(struct seal *seal, struct ps_run_writer *writer,
                                   struct ps_seal_group *group)
{
    size_t groups = 0;
    struct ps_seal_group next = *group;
    enum ps_status st;
    do {
        *group = next;
        st = write_group(seal, writer, group);
        if (st == PS_OK && ++groups % GROUPS_PER_BREATH == 0)
            st = breathe(seal);
    } while (st == PS_OK && ps_seal_set_next(seal->set, &next) && next.range == group->range);
    return st;
}

/* Numbers that are taken: also that of the merge that rests while we seal. */
static enum ps_status known_runs(const struct ps_keep *keep, const char *name,
                                 struct ps_run_list *out)
{
    struct ps_manifest_file file;
    struct ps_run merging = { .run = keep->lent_run };
    enum ps_status st = keep->lent ? ps_run_list_add(out, &merging) : PS_OK;
    if (st == PS_OK)
        st = ps_manifest_find_file(keep->db, name, &file);
    if (st != PS_OK)
        return st == PS_ENOTFOUND ? PS_OK : st;
    return ps_manifest_runs(keep->db, file.id, true, out);
}

static enum ps_status begin_run(struct seal *seal, struct ps_run_file *file, const char *name,
                                struct ps_run_writer **out)
{
    struct ps_run_list known = { 0 };
    struct ps_run_catalogue catalogue = { .describe = describe, .arg = seal };
    int64_t run;
    enum ps_status st = known_runs(seal->keep, name, &known);
    if (st == PS_OK)
        st = ps_run_file_next_number(file, &known, &run);
    if (st == PS_OK)
        st = ps_run_writer_begin(file, run, &catalogue, out);
    ps_run_list_deinit(&known);
    return st;
}

static enum ps_status write_run(struct seal *seal, struct ps_run_file *file,
                                struct ps_seal_group *group, struct ps_run *run)
{
    struct ps_run_writer *writer;
    enum ps_status st = begin_run(seal, file, group->range->name, &writer);
    if (st != PS_OK)
        return st;
    *run = (struct ps_run){ .journal_first = seal->first_seq,
                            .journal_last = seal->result.sealed_seq,
                            .created_ms = seal->now_ms };
    st = write_groups(seal, writer, group);
    if (st == PS_OK)
        return ps_run_writer_commit(writer, run);
    ps_run_writer_abort(writer);
    return st;
}

static enum ps_status write_range(struct seal *seal, struct ps_seal_group *group)
{
    const struct ps_range *range = group->range;
    struct ps_run_file *file = NULL;
    struct ps_run run;
    enum ps_status st = ps_keep_borrow(seal->keep, range->name, &file);
    if (st == PS_OK)
        st = ps_keep_failed(seal->keep, file, write_run(seal, file, group, &run));
    ps_keep_return(seal->keep, file);
    if (st != PS_OK || !run.points)
        return st;
    seal->result.bytes += run.bytes;
    seal->ranges[seal->runs.count] = *range;
    return ps_run_list_add(&seal->runs, &run);
}

static enum ps_status write_ranges(struct seal *seal)
{
    struct ps_seal_group group = { 0 };
    enum ps_status st = ps_seal_set_sort(seal->set);
    seal->ranges = calloc(seal->set->range_count + 1, sizeof *seal->ranges);
    if (!seal->ranges)
        return PS_ENOMEM;
    while (st == PS_OK && ps_seal_set_next(seal->set, &group)) {
        st = write_range(seal, &group);
        if (st == PS_OK)
            st = breathe(seal);
    }
    return st;
}

/* ---- making it known ---- */

static enum ps_status change_manifest(struct ps_db *db, void *arg)
{
    struct seal *seal = arg;
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < seal->runs.count && st == PS_OK; i++) {
        struct ps_run *run = &seal->runs.items[i];
        st = ps_manifest_put_file(db, &seal->ranges[i], seal->now_ms, &run->file);
        if (st == PS_OK)
            st = ps_manifest_add_run(db, run);
    }
    return st == PS_OK ? ps_manifest_set_state(db, PS_STATE_SEALED_SEQ, seal->result.sealed_seq)
                       : st;
}

/* Runs that nobody will ever know. */
static void delete_runs(struct seal *seal)
{
    for (size_t i = 0; i < seal->runs.count; i++) {
        struct ps_run_file *file;
        bool finished = false;
        seal->keep->garbage = true; /* unless the next lines succeed, and it costs a look if so */
        if (ps_keep_borrow(seal->keep, seal->ranges[i].name, &file) != PS_OK)
            continue;
        while (!finished && ps_run_file_delete(file, seal->runs.items[i].run, WINDOW_POINTS,
                                               &finished) == PS_OK) {
            /* the next slice */
        }
        ps_keep_return(seal->keep, file);
    }
}

static void count_seal(const struct seal *seal)
{
    ps_keep_count(seal->keep, PS_METRIC_SEALS, 1);
    ps_keep_count(seal->keep, PS_METRIC_SEALED_POINTS, (int64_t)seal->result.written);
    ps_keep_count(seal->keep, PS_METRIC_SEALED_BYTES, seal->result.bytes);
}

static enum ps_status make_known(struct seal *seal)
{
    enum ps_status st = ps_keep_call(seal->keep, change_manifest, seal);
    if (st == PS_OK) {
        seal->result.runs = seal->runs.count;
        count_seal(seal);
    } else if (st == PS_EFULL && ps_keep_make_sure(seal->keep) == PS_OK) {
        delete_runs(seal); /* they are in the way of others */
    } else {
        seal->keep->garbage = true;
    }
    return st;
}

static void seal_deinit(struct seal *seal)
{
    ps_deletions_deinit(&seal->deletions);
    ps_run_list_deinit(&seal->runs);
    free(seal->ranges);
    free(seal);
}

enum ps_status ps_seal_once(struct ps_keep *keep, struct ps_seal_result *out)
{
    struct seal *seal = calloc(1, sizeof *seal);
    if (!seal)
        return PS_ENOMEM;
    seal->keep = keep;
    seal->set = &keep->seal_set;
    seal->catalogue.db = keep->db;
    seal->now_ms = ps_clock_now_ms();
    enum ps_status st = gather(seal);
    if (st == PS_OK)
        st = write_ranges(seal);
    ps_catalogue_rest(&seal->catalogue);
    if (st == PS_OK)
        st = make_known(seal);
    else
        delete_runs(seal);
    if (st == PS_OK)
        *out = seal->result;
    seal_deinit(seal);
    return st;
}
