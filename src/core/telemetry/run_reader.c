#include "core/telemetry/run_reader.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

enum reader_state {
    READER_START,    /* the first block is not known yet */
    READER_BLOCKS,   /* more blocks may follow */
    READER_FINISHED, /* nothing follows */
};

struct ps_run_reader {
    struct ps_run_file *file;
    int64_t run;
    struct ps_run_want want;
    enum reader_state state;
    int64_t low_id, high_id; /* blocks not looked at yet; both inclusive */

    int64_t block_id;
    struct ps_buf body;
    struct ps_block_reader block;
    bool in_block;
    ptrdiff_t chunk, chunk_end; /* the next one, and where the block's wanted chunks end */
    ptrdiff_t given;            /* last given; -1 = none */
};

/* ---- open and close ---- */

static enum ps_status check_run(struct ps_run_file *file, int64_t run)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st =
        ps_db_prepare(ps_run_file_db(file), "SELECT 1 FROM run WHERE run = ?", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    ps_stmt_bind_int(stmt, 1, run);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return ps_run_file_failed(file, st);
    if (row)
        ps_stmt_reset(stmt);
    return row ? PS_OK : PS_ENOTFOUND;
}

enum ps_status ps_run_reader_open(struct ps_run_file *file, int64_t run,
                                  const struct ps_run_want *want, struct ps_run_reader **out)
{
    if (run < 1 || run > PS_RUN_NUMBER_MAX)
        return PS_ENOTFOUND;
    struct ps_run_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return PS_ENOMEM;
    enum ps_status st = ps_run_file_begin_read(file);
    if (st != PS_OK) {
        free(reader);
        return st;
    }
    reader->file = file;
    reader->run = run;
    ps_run_reader_restart(reader, want);
    st = check_run(file, run);
    if (st != PS_OK) {
        ps_run_reader_close(reader);
        return st;
    }
    *out = reader;
    return PS_OK;
}

void ps_run_reader_restart(struct ps_run_reader *reader, const struct ps_run_want *want)
{
    reader->want = *want;
    bool nothing = want->series_from > want->series_to || want->start_ms > want->end_ms;
    reader->state = nothing ? READER_FINISHED : READER_START;
    reader->in_block = false;
    reader->given = -1;
}

void ps_run_reader_close(struct ps_run_reader *reader)
{
    if (!reader)
        return;
    ps_run_file_end_read(reader->file);
    ps_block_reader_deinit(&reader->block);
    ps_buf_deinit(&reader->body);
    free(reader);
}

/* ---- blocks ---- */

/* The first wanted series may begin inside the block before the first one that is named after it.
 */
static enum ps_status find_bounds(struct ps_run_reader *reader)
{
    const struct ps_run_want *want = &reader->want;
    int64_t named = ps_block_id(reader->run, want->series_from, 0);
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = ps_db_prepare(
        ps_run_file_db(reader->file),
        "SELECT id FROM block WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(reader->file, st);
    ps_stmt_bind_int(stmt, 1, ps_block_id(reader->run, 0, 0));
    ps_stmt_bind_int(stmt, 2, named);
    st = ps_stmt_step(stmt, &row);
    if (st != PS_OK)
        return ps_run_file_failed(reader->file, st);
    reader->low_id = row ? ps_stmt_int(stmt, 0) : named;
    reader->high_id = ps_block_id(reader->run, want->series_to, PS_RUN_PART_MAX);
    if (row)
        ps_stmt_reset(stmt);
    reader->state = READER_BLOCKS;
    return PS_OK;
}

/* Fetched one at a time: the look-up takes a microsecond, the block ten, and readers of the same
 * file do not need statements of their own. */
static const char next_up[] = "SELECT id, body FROM block WHERE id BETWEEN ? AND ?"
                              " AND t1 >= ? AND t0 <= ? ORDER BY id LIMIT 1";
static const char next_down[] = "SELECT id, body FROM block WHERE id BETWEEN ? AND ?"
                                " AND t1 >= ? AND t0 <= ? ORDER BY id DESC LIMIT 1";

static enum ps_status take_body(struct ps_run_reader *reader, struct ps_stmt *stmt)
{
    size_t len;
    reader->block_id = ps_stmt_int(stmt, 0);
    const char *body = ps_stmt_bytes(stmt, 1, &len);
    if (reader->want.descending)
        reader->high_id = reader->block_id - 1;
    else
        reader->low_id = reader->block_id + 1;
    ps_buf_clear(&reader->body);
    ps_buf_put(&reader->body, body, len);
    ps_stmt_reset(stmt);
    return ps_buf_ok(&reader->body) ? PS_OK : PS_ENOMEM;
}

/* The next block's body. A database that cannot be read ends the reader: trying again would fail
 * at the same place. */
static enum ps_status fetch_block(struct ps_run_reader *reader)
{
    struct ps_stmt *stmt;
    bool row = false;
    enum ps_status st = ps_db_prepare(ps_run_file_db(reader->file),
                                      reader->want.descending ? next_down : next_up, &stmt);
    if (st == PS_OK) {
        ps_stmt_bind_int(stmt, 1, reader->low_id);
        ps_stmt_bind_int(stmt, 2, reader->high_id);
        ps_stmt_bind_int(stmt, 3, reader->want.start_ms);
        ps_stmt_bind_int(stmt, 4, reader->want.end_ms);
        st = ps_stmt_step(stmt, &row);
    }
    if (st != PS_OK || !row)
        reader->state = READER_FINISHED;
    if (st != PS_OK)
        return ps_run_file_failed(reader->file, st);
    return row ? take_body(reader, stmt) : PS_ENOTFOUND;
}

static enum ps_status open_block(struct ps_run_reader *reader)
{
    enum ps_status st = ps_block_open(&reader->block, reader->body.data, reader->body.len);
    if (st == PS_EPROTO)
        return ps_run_file_damaged(reader->file, reader->block_id, "checksum or directory wrong");
    if (st != PS_OK)
        return st;
    if (ps_block_series(&reader->block, 0) != ps_block_id_series(reader->block_id))
        return ps_run_file_damaged(reader->file, reader->block_id, "not the series of its id");
    return PS_OK;
}

/* The first chunk whose series is > `series` (or >= it). Series ascend in a block. */
static ptrdiff_t first_chunk(const struct ps_block_reader *block, uint32_t series, bool or_equal)
{
    size_t low = 0, high = ps_block_count(block);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t found = ps_block_series(block, middle);
        if (found < series || (!or_equal && found == series))
            low = middle + 1;
        else
            high = middle;
    }
    return (ptrdiff_t)low;
}

static void aim_at_chunks(struct ps_run_reader *reader)
{
    ptrdiff_t first = first_chunk(&reader->block, reader->want.series_from, true);
    ptrdiff_t end = first_chunk(&reader->block, reader->want.series_to, false);
    reader->chunk = reader->want.descending ? end - 1 : first;
    reader->chunk_end = reader->want.descending ? first - 1 : end;
    reader->in_block = true;
}

static enum ps_status next_block(struct ps_run_reader *reader)
{
    enum ps_status st = PS_OK;
    if (reader->state == READER_START) {
        st = find_bounds(reader);
        if (st != PS_OK) {
            reader->state = READER_FINISHED;
            return st;
        }
    }
    if (reader->state == READER_FINISHED || reader->low_id > reader->high_id)
        return PS_ENOTFOUND;
    st = fetch_block(reader);
    if (st == PS_OK)
        st = open_block(reader);
    if (st == PS_OK)
        aim_at_chunks(reader);
    return st;
}

/* ---- chunks ---- */

/* Of one series the chunks ascend: once they are beyond the wanted time, none follows. */
static void stop_beyond(struct ps_run_reader *reader, const struct ps_chunk_info *info)
{
    const struct ps_run_want *want = &reader->want;
    bool beyond = want->descending ? info->last_ms < want->start_ms : info->first_ms > want->end_ms;
    if (beyond && want->series_from == want->series_to) {
        reader->in_block = false;
        reader->state = READER_FINISHED;
    }
}

static bool chunk_in_block(struct ps_run_reader *reader, struct ps_chunk_info *info)
{
    const struct ps_run_want *want = &reader->want;
    while (reader->in_block && reader->chunk != reader->chunk_end) {
        ps_block_info(&reader->block, (size_t)reader->chunk, info);
        reader->given = reader->chunk;
        reader->chunk += want->descending ? -1 : 1;
        if (info->last_ms >= want->start_ms && info->first_ms <= want->end_ms)
            return true;
        stop_beyond(reader, info);
    }
    reader->in_block = false;
    return false;
}

enum ps_status ps_run_reader_next(struct ps_run_reader *reader, struct ps_chunk_info *info)
{
    while (!chunk_in_block(reader, info)) {
        reader->given = -1;
        enum ps_status st = next_block(reader);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

bool ps_run_reader_is_last(const struct ps_run_reader *reader)
{
    PS_ASSERT(reader->given >= 0 && !reader->want.descending);
    return reader->in_block && reader->chunk != reader->chunk_end &&
           ps_block_series(&reader->block, (size_t)reader->chunk) !=
               ps_block_series(&reader->block, (size_t)reader->given);
}

enum ps_status ps_run_reader_decode(struct ps_run_reader *reader, struct ps_chunk_points *out)
{
    PS_ASSERT(reader->given >= 0);
    enum ps_status st = ps_block_decode(&reader->block, (size_t)reader->given, out);
    return st == PS_EPROTO ? ps_run_file_damaged(reader->file, reader->block_id, "a damaged chunk")
                           : st;
}

const char *ps_run_reader_error(const struct ps_run_reader *reader)
{
    return ps_run_file_error(reader->file);
}
