/* fsck_salvage: what can still be read of a damaged range file, as runs of the live one.
 *
 * Run by run and block by block, in the order of ids, with the same levels and journal rows, so
 * that they keep their place among the runs that are there. Two kinds of damage cost something. A
 * block whose checksum is wrong costs itself. A page that SQLite cannot use costs the blocks that
 * are found through it: where they end is searched for by asking for greater and greater ids until
 * there is an answer, and then by halving. What lies between two such pages that are close together
 * may be missed.
 *
 * The damaged file is only read. Nothing is trusted because its checksum is right: what the writer
 * demands (series and times ascend) is looked at first. */
#include <stdio.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/telemetry/block.h"
#include "core/telemetry/run_writer.h"
#include "core/upkeep/fsck_state.h"
#include "core/upkeep/plain_file.h"

struct salvage {
    struct ps_fsck *fsck;
    struct ps_run_file *from, *to;
    struct ps_run_writer *writer;
    struct ps_fsck_salvage *sums;

    int64_t low_id, high_id; /* blocks of the run not looked at yet; both inclusive */
    int64_t block_id;
    struct ps_buf body;
    struct ps_block_reader block;
    struct ps_chunk_points points;
    bool has_last; /* a point of this run was copied */
    uint32_t last_series;
    int64_t last_ms;
};

static enum ps_status failed(struct salvage *salvage, struct ps_run_file *file, enum ps_status st)
{
    if (st != PS_OK && !salvage->fsck->why->data[0])
        ps_text_set(salvage->fsck->why, "%s", ps_run_file_error(file));
    return st;
}

/* ---- blocks ---- */

/* The first block with an id >= `from`, body included. PS_EPROTO: SQLite cannot get there. */
static enum ps_status fetch(struct salvage *salvage, int64_t from, bool *row)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(salvage->from),
        "SELECT id, body FROM block WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(salvage->from, st);
    ps_stmt_bind_int(stmt, 1, from);
    ps_stmt_bind_int(stmt, 2, salvage->high_id);
    *row = false;
    st = ps_stmt_step(stmt, row);
    if (st != PS_OK || !*row)
        return ps_run_file_failed(salvage->from, st);
    size_t len;
    int64_t id = ps_stmt_int(stmt, 0);
    const char *body = ps_stmt_bytes(stmt, 1, &len);
    ps_buf_clear(&salvage->body);
    ps_buf_put(&salvage->body, body ? body : "", len);
    ps_stmt_reset(stmt);
    salvage->block_id = id;
    if (id < from || id > salvage->high_id) /* pages that contradict each other */
        return PS_EPROTO;
    return ps_buf_ok(&salvage->body) ? PS_OK : PS_ENOMEM;
}

/* `low_id` cannot be read: the first block behind it that can. */
static enum ps_status fetch_behind(struct salvage *salvage, bool *row)
{
    int64_t bad = salvage->low_id, good = bad;
    int64_t span = salvage->high_id - bad;
    enum ps_status st = PS_EPROTO;
    *row = false;
    for (int64_t step = 1; st == PS_EPROTO && step <= span; step *= 2) {
        bad = good;
        good = salvage->low_id + step;
        st = fetch(salvage, good, row);
    }
    if (st == PS_EPROTO) { /* nothing more */
        *row = false;
        return PS_OK;
    }
    while (st == PS_OK && good - bad > 1) {
        int64_t middle = bad + (good - bad) / 2;
        st = fetch(salvage, middle, row);
        if (st == PS_OK)
            good = middle;
        if (st != PS_EPROTO)
            continue;
        bad = middle;
        st = PS_OK;
    }
    return st == PS_OK ? fetch(salvage, good, row) : st;
}

static enum ps_status next_block(struct salvage *salvage, bool *row)
{
    *row = false;
    if (salvage->low_id > salvage->high_id)
        return PS_OK;
    enum ps_status st = fetch(salvage, salvage->low_id, row);
    if (st == PS_EPROTO) {
        salvage->sums->damaged++;
        st = fetch_behind(salvage, row);
    }
    salvage->low_id = salvage->block_id + 1;
    return failed(salvage, salvage->from, st);
}

/* Whether the writer may have the chunk's points behind those it has. */
static bool is_in_order(const struct salvage *salvage, uint32_t series)
{
    const struct ps_chunk_points *points = &salvage->points;
    if (salvage->has_last &&
        (series < salvage->last_series ||
         (series == salvage->last_series && points->points[0].ts_ms <= salvage->last_ms)))
        return false;
    for (size_t i = 1; i < points->count; i++) {
        if (points->points[i].ts_ms <= points->points[i - 1].ts_ms)
            return false;
    }
    return true;
}

static enum ps_status copy_chunk(struct salvage *salvage, size_t index, bool *whole)
{
    const struct ps_chunk_points *points = &salvage->points;
    uint32_t series = ps_block_series(&salvage->block, index);
    enum ps_status st = ps_block_decode(&salvage->block, index, &salvage->points);
    if (st == PS_EPROTO || (st == PS_OK && (!points->count || !is_in_order(salvage, series)))) {
        *whole = false;
        return PS_OK;
    }
    if (st != PS_OK)
        return st;
    salvage->has_last = true;
    salvage->last_series = series;
    salvage->last_ms = points->points[points->count - 1].ts_ms;
    st = ps_run_writer_add(salvage->writer, series, points->points, points->ttl_s, points->count);
    return failed(salvage, salvage->to, st);
}

static enum ps_status copy_block(struct salvage *salvage)
{
    enum ps_status st = ps_block_open(&salvage->block, salvage->body.data, salvage->body.len);
    bool whole =
        st == PS_OK && ps_block_series(&salvage->block, 0) == ps_block_id_series(salvage->block_id);
    if (st != PS_OK && st != PS_EPROTO)
        return st;
    for (size_t i = 0; whole && st == PS_OK && i < ps_block_count(&salvage->block); i++)
        st = copy_chunk(salvage, i, &whole);
    *(whole ? &salvage->sums->blocks : &salvage->sums->damaged) += 1;
    return st == PS_EPROTO && !whole ? PS_OK : st;
}

/* ---- choosing ---- */

static bool is_live(const struct ps_run_list *known, int64_t run)
{
    for (size_t i = 0; i < known->count; i++)
        if (known->items[i].run == run)
            return known->items[i].retired_ms == 0;
    return false;
}

/* The live file has its journal rows. */
static bool is_present(const struct ps_run_list *present, const struct ps_run *run)
{
    for (size_t i = 0; i < present->count; i++) {
        const struct ps_run *other = &present->items[i];
        if (other->journal_first <= run->journal_first && other->journal_last >= run->journal_last)
            return true;
    }
    return false;
}

/* Sealed, even if it is lost. */
static void note_sealed(struct ps_fsck *fsck, const struct ps_run *run)
{
    if (run->journal_last > fsck->last_seq)
        fsck->last_seq = run->journal_last;
}

/* What there should be, by the manifest or else by the file. */
static void count_wanted(struct salvage *salvage, const struct ps_run_list *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        const struct ps_run *run = &runs->items[i];
        if (!run->retired_ms && !is_present(&salvage->sums->present, run))
            salvage->sums->lost += run->points;
    }
}

/* Those that the manifest knows; of a file that it does not know, all that no merge replaced. */
static enum ps_status choose_runs(struct salvage *salvage, struct ps_run_list *wanted)
{
    struct ps_run_list runs = { 0 };
    const struct ps_run_list *known = &salvage->sums->known;
    enum ps_status st = ps_run_file_runs(salvage->from, &runs);
    if (st == PS_OK && known->count == 0)
        ps_run_list_drop_merged(&runs);
    if (st == PS_OK)
        count_wanted(salvage, known->count ? known : &runs);
    for (size_t i = 0; i < runs.count && st == PS_OK; i++) {
        const struct ps_run *run = &runs.items[i];
        if (known->count && !is_live(known, run->run))
            continue;
        note_sealed(salvage->fsck, run);
        if (!is_present(&salvage->sums->present, run))
            st = ps_run_list_add(wanted, run);
    }
    ps_run_list_deinit(&runs);
    return st;
}

/* ---- copying runs ---- */

static enum ps_status copy_blocks(struct salvage *salvage)
{
    bool row;
    enum ps_status st;
    while ((st = next_block(salvage, &row)) == PS_OK && row) {
        st = copy_block(salvage);
        if (st != PS_OK)
            return st;
    }
    return st;
}

/* A number of the live file: greater than what it has and than what its manifest rows say. */
static enum ps_status take_number(struct salvage *salvage, int64_t *out)
{
    enum ps_status st = ps_run_file_next_number(salvage->to, &salvage->sums->present, out);
    return failed(salvage, salvage->to, st);
}

static enum ps_status copy_run(struct salvage *salvage, const struct ps_run *run)
{
    struct ps_run copy = *run;
    salvage->low_id = ps_block_id(run->run, 0, 0);
    salvage->high_id = ps_block_id(run->run, UINT32_MAX, PS_RUN_PART_MAX);
    salvage->has_last = false;
    enum ps_status st = take_number(salvage, &copy.run);
    if (st != PS_OK)
        return st;
    st = ps_run_writer_begin(salvage->to, copy.run, NULL, &salvage->writer);
    if (st != PS_OK)
        return failed(salvage, salvage->to, st);
    st = copy_blocks(salvage);
    if (st != PS_OK) {
        ps_run_writer_abort(salvage->writer);
        return st;
    }
    st = failed(salvage, salvage->to, ps_run_writer_commit(salvage->writer, &copy));
    if (st != PS_OK || copy.points == 0)
        return st;
    salvage->sums->points += copy.points;
    return ps_run_list_add(&salvage->sums->saved, &copy);
}

static enum ps_status copy_runs(struct salvage *salvage, const struct ps_run_list *wanted)
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < wanted->count && st == PS_OK; i++)
        st = copy_run(salvage, &wanted->items[i]);
    return st;
}

static enum ps_status put_series(void *arg, const struct ps_run_series *series)
{
    struct salvage *salvage = arg;
    return failed(salvage, salvage->to, ps_run_file_put_series(salvage->to, series));
}

/* Rows that cannot be read are not missed as long as the main database has its own. */
static enum ps_status copy_series(struct salvage *salvage)
{
    struct ps_db *db = ps_run_file_db(salvage->to);
    enum ps_status st = ps_db_begin(db);
    if (st == PS_OK)
        st = ps_run_file_series(salvage->from, put_series, salvage);
    if (st == PS_OK || st == PS_EPROTO)
        return failed(salvage, salvage->to, ps_run_file_failed(salvage->to, ps_db_commit(db)));
    ps_db_rollback(db);
    return st;
}

/* ---- the file ---- */

/* The runs are in the live file, and whole. */
static enum ps_status copy_all(struct salvage *salvage, const struct ps_run_list *wanted)
{
    struct ps_run_verified counts;
    enum ps_status st = copy_series(salvage);
    if (st == PS_OK)
        st = copy_runs(salvage, wanted);
    if (st != PS_OK)
        return st;
    if (salvage->sums->points == 0)
        return PS_ENOTFOUND;
    st = ps_run_file_verify(salvage->to, true, NULL, NULL, &counts);
    if (st == PS_OK)
        st = ps_run_file_checkpoint(salvage->to);
    return failed(salvage, salvage->to, st);
}

static enum ps_status open_damaged(struct salvage *salvage)
{
    struct ps_path path;
    struct ps_fsck *fsck = salvage->fsck;
    enum ps_status st = ps_path_set(&path, fsck->why, "%s/%s", ps_store_folder(fsck->store),
                                    salvage->sums->file_name);
    if (st == PS_OK)
        st = ps_run_file_open(path.data, PS_RUN_FILE_READ, NULL, &salvage->from, fsck->why);
    return st;
}

/* A new file of which nothing came is not left behind. */
static enum ps_status copy_into_live(struct salvage *salvage, const struct ps_run_list *wanted)
{
    struct ps_store *store = salvage->fsck->store;
    const char *name = salvage->sums->name;
    bool is_new = ps_store_file_bytes(store, name) == 0;
    enum ps_status st = ps_store_borrow(store, name, true, &salvage->to, salvage->fsck->why);
    if (st != PS_OK)
        return st;
    st = copy_all(salvage, wanted);
    ps_store_return(store, salvage->to);
    if (st != PS_OK && is_new)
        ps_store_drop(store, name);
    return st;
}

static enum ps_status salvage_runs(struct salvage *salvage)
{
    struct ps_run_list wanted = { 0 };
    enum ps_status st = ps_run_file_begin_read(salvage->from);
    if (st != PS_OK)
        return st;
    st = choose_runs(salvage, &wanted);
    if (st == PS_OK && wanted.count)
        st = copy_into_live(salvage, &wanted);
    ps_run_file_end_read(salvage->from);
    ps_run_list_deinit(&wanted);
    return st;
}

void ps_fsck_salvage_deinit(struct ps_fsck_salvage *salvage)
{
    ps_run_list_deinit(&salvage->known);
    ps_run_list_deinit(&salvage->present);
    ps_run_list_deinit(&salvage->saved);
}

enum ps_status ps_fsck_salvage(struct ps_fsck *fsck, struct ps_fsck_salvage *sums)
{
    struct salvage salvage = { .fsck = fsck, .sums = sums };
    enum ps_status st = open_damaged(&salvage);
    if (st == PS_OK)
        st = salvage_runs(&salvage);
    ps_run_file_close(salvage.from);
    ps_block_reader_deinit(&salvage.block);
    ps_chunk_points_deinit(&salvage.points);
    ps_buf_deinit(&salvage.body);
    sums->lost = sums->lost > sums->points ? sums->lost - sums->points : 0;
    if (st != PS_EPROTO && st != PS_ENOTFOUND)
        return st;
    ps_text_set(fsck->why, "%s", ""); /* nothing that ends fsck: the file is told already */
    return PS_ENOTFOUND;
}
