#include "core/telemetry/run_writer.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/telemetry/block.h"
#include "core/telemetry/known_series.h"

enum {
    DELETE_SLICE = 256,   /* blocks, when a run is undone */
    TEXT_PER_BLOCK = 4,   /* texts of a chunk end it at so many times a block's size */
    PARTS_PER_STEP = 256, /* a series of more blocks gets larger ones, so that numbers suffice */
    STEPS_MAX = 10,       /* 17 KB << 10 = 17 MB */
};

/* The points of the series being added that do not fill a chunk yet. */
struct gathered {
    size_t count;
    bool has_ttl;
    struct ps_buf texts; /* of values, whose `text` is an offset into it until they are encoded */
    struct ps_point points[PS_CHUNK_POINTS_MAX];
    uint32_t ttl_s[PS_CHUNK_POINTS_MAX];
};

/* The block being filled. */
struct open_block {
    int64_t id;
    int64_t min_ms, max_ms;
    bool is_open;
};

struct ps_run_writer {
    struct ps_run_file *file;
    struct ps_db *db;
    struct ps_run_catalogue catalogue;
    bool in_transaction;
    bool committed_some; /* earlier slices are in the file */
    size_t slice_bytes;  /* written since the last commit */
    size_t block_bytes_max, slice_bytes_max;

    bool has_series;
    uint32_t series;     /* being added */
    int64_t last_ms;     /* its last point */
    bool series_written; /* it has a chunk already */

    struct ps_run run; /* sums so far */
    struct open_block block;
    struct ps_block_writer packer;
    struct ps_buf body;
    struct gathered gathered;
    struct ps_series_page_writer page; /* series that are not described in the file yet */
};

/* A transaction begins when there is something to write, so that between slices there is none. */
static enum ps_status begin_if_needed(struct ps_run_writer *writer)
{
    if (writer->in_transaction)
        return PS_OK;
    enum ps_status st = ps_run_file_failed(writer->file, ps_db_begin(writer->db));
    writer->in_transaction = st == PS_OK;
    return st;
}

/* ---- the copied catalogue ---- */

static enum ps_status put_page(struct ps_run_writer *writer)
{
    if (!writer->page.count)
        return PS_OK;
    const struct ps_buf *page = ps_series_page_finish(&writer->page);
    enum ps_status st = begin_if_needed(writer);
    if (st == PS_OK)
        st = ps_run_file_put_series_page(writer->file, page);
    writer->slice_bytes += page->len;
    ps_series_page_writer_reset(&writer->page);
    return st;
}

static enum ps_status copy_catalogue(struct ps_run_writer *writer, uint32_t series)
{
    if (!writer->catalogue.describe)
        return PS_OK;
    struct ps_run_series row;
    struct ps_known_series *known = ps_run_file_known(writer->file);
    enum ps_status st = ps_known_series_load(known, writer->file);
    if (st != PS_OK || ps_id_set_has(&known->ids, series))
        return st;
    st = writer->catalogue.describe(writer->catalogue.arg, series, &row);
    if (st == PS_OK)
        st = ps_series_page_add(&writer->page, &row);
    if (st != PS_OK)
        return st;
    (void)ps_id_set_add(&known->ids, series); /* forgotten if the run is undone */
    return ps_series_page_is_full(&writer->page) ? put_page(writer) : PS_OK;
}

/* ---- blocks ---- */

/* A series of very many blocks gets larger ones: parts are counted in few bits. */
static unsigned size_step(const struct ps_run_writer *writer)
{
    unsigned step = writer->block.is_open && ps_block_id_series(writer->block.id) == writer->series
                        ? ps_block_id_part(writer->block.id) / PARTS_PER_STEP
                        : 0;
    return step < STEPS_MAX ? step : STEPS_MAX;
}

static size_t block_bytes(const struct ps_run_writer *writer)
{
    return writer->block_bytes_max << size_step(writer);
}

static enum ps_status commit_slice(struct ps_run_writer *writer)
{
    enum ps_status st = put_page(writer);
    if (st != PS_OK)
        return st;
    st = ps_db_commit(writer->db);
    writer->in_transaction = false;
    if (st != PS_OK)
        return ps_run_file_failed(writer->file, st);
    writer->committed_some = true;
    writer->slice_bytes = 0;
    return ps_run_file_checkpoint(writer->file);
}

static enum ps_status insert_block(struct ps_run_writer *writer)
{
    struct ps_stmt *stmt;
    enum ps_status st = begin_if_needed(writer);
    if (st != PS_OK)
        return st;
    st = ps_db_prepare(writer->db, "INSERT INTO block(id, t0, t1, body) VALUES(?, ?, ?, ?)", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(writer->file, st);
    ps_stmt_bind_int(stmt, 1, writer->block.id);
    ps_stmt_bind_int(stmt, 2, writer->block.min_ms);
    ps_stmt_bind_int(stmt, 3, writer->block.max_ms);
    ps_stmt_bind_blob_borrowed(stmt, 4, writer->body.data, writer->body.len);
    return ps_run_file_failed(writer->file, ps_stmt_run(stmt));
}

static enum ps_status finish_block(struct ps_run_writer *writer)
{
    if (!ps_block_writer_size(&writer->packer))
        return PS_OK;
    ps_buf_clear(&writer->body);
    enum ps_status st = ps_block_writer_finish(&writer->packer, &writer->body);
    if (st == PS_OK)
        st = insert_block(writer);
    if (st != PS_OK)
        return st;
    writer->run.bytes += (int64_t)writer->body.len;
    writer->slice_bytes += writer->body.len;
    return writer->slice_bytes >= writer->slice_bytes_max ? commit_slice(writer) : PS_OK;
}

/* The block's name is given by its first chunk; see run_file.h. */
static enum ps_status name_block(struct ps_run_writer *writer)
{
    uint32_t part = 0;
    if (writer->series_written) {
        part = ps_block_id_series(writer->block.id) == writer->series
                   ? ps_block_id_part(writer->block.id) + 1
                   : 1;
    }
    if (part > PS_RUN_PART_MAX) {
        (void)ps_run_file_damaged(writer->file, writer->block.id, "too many blocks of one series");
        return PS_ELIMIT;
    }
    writer->block = (struct open_block){
        .id = ps_block_id(writer->run.run, writer->series, part),
        .min_ms = INT64_MAX,
        .max_ms = INT64_MIN,
        .is_open = true,
    };
    return PS_OK;
}

static void count_ttl(struct ps_run *run, const uint32_t *ttl_s, size_t count)
{
    if (!ttl_s)
        run->has_default_ttl = true;
    for (size_t i = 0; ttl_s && i < count; i++) {
        if (ttl_s[i] > run->max_ttl_s)
            run->max_ttl_s = ttl_s[i];
        if (ttl_s[i] == 0)
            run->has_default_ttl = true;
    }
}

static void widen(int64_t *min_ms, int64_t *max_ms, int64_t first_ms, int64_t last_ms)
{
    if (first_ms < *min_ms)
        *min_ms = first_ms;
    if (last_ms > *max_ms)
        *max_ms = last_ms;
}

static enum ps_status write_chunk(struct ps_run_writer *writer, const struct ps_point *points,
                                  const uint32_t *ttl_s, size_t count)
{
    enum ps_status st = PS_OK;
    if (!writer->packer.chunks)
        st = name_block(writer);
    if (st == PS_OK)
        st = ps_block_writer_add(&writer->packer, writer->series, points, ttl_s, count);
    if (st != PS_OK)
        return st;
    int64_t first_ms = points[0].ts_ms, last_ms = points[count - 1].ts_ms;
    widen(&writer->block.min_ms, &writer->block.max_ms, first_ms, last_ms);
    widen(&writer->run.min_ms, &writer->run.max_ms, first_ms, last_ms);
    count_ttl(&writer->run, ttl_s, count);
    writer->run.points += (int64_t)count;
    writer->series_written = true;
    return ps_block_writer_size(&writer->packer) >= block_bytes(writer) ? finish_block(writer)
                                                                        : PS_OK;
}

/* ---- points ---- */

static bool has_text(const struct ps_value *value)
{
    return value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON;
}

static enum ps_status flush_gathered(struct ps_run_writer *writer)
{
    struct gathered *gathered = &writer->gathered;
    if (!gathered->count)
        return PS_OK;
    for (size_t i = 0; i < gathered->count; i++) {
        struct ps_value *value = &gathered->points[i].value;
        if (has_text(value))
            value->text = gathered->texts.data + (uintptr_t)value->text;
    }
    size_t count = gathered->count;
    gathered->count = 0;
    enum ps_status st =
        write_chunk(writer, gathered->points, gathered->has_ttl ? gathered->ttl_s : NULL, count);
    ps_buf_clear(&gathered->texts);
    gathered->has_ttl = false;
    return st;
}

static enum ps_status gather_text(struct gathered *gathered, struct ps_value *value)
{
    size_t offset = gathered->texts.len;
    ps_buf_put(&gathered->texts, value->text, value->len);
    if (!ps_buf_ok(&gathered->texts))
        return PS_ENOMEM;
    value->text = (const char *)(uintptr_t)offset; /* the buffer moves while it grows */
    return PS_OK;
}

static void gather_ttl(struct gathered *gathered, uint32_t ttl_s)
{
    if (ttl_s && !gathered->has_ttl) {
        memset(gathered->ttl_s, 0, gathered->count * sizeof *gathered->ttl_s);
        gathered->has_ttl = true;
    }
    if (gathered->has_ttl)
        gathered->ttl_s[gathered->count] = ttl_s;
}

static enum ps_status gather(struct ps_run_writer *writer, const struct ps_point *point,
                             uint32_t ttl_s)
{
    struct gathered *gathered = &writer->gathered;
    struct ps_point copy = *point;
    if (has_text(&copy.value)) {
        enum ps_status st = gather_text(gathered, &copy.value);
        if (st != PS_OK)
            return st;
    }
    gather_ttl(gathered, ttl_s);
    gathered->points[gathered->count++] = copy;
    bool full = gathered->count == PS_CHUNK_POINTS_MAX ||
                gathered->texts.len >= TEXT_PER_BLOCK * block_bytes(writer);
    return full ? flush_gathered(writer) : PS_OK;
}

static enum ps_status begin_series(struct ps_run_writer *writer, uint32_t series)
{
    PS_ASSERT(!writer->has_series || series > writer->series);
    enum ps_status st = flush_gathered(writer);
    if (st == PS_OK)
        st = copy_catalogue(writer, series);
    if (st != PS_OK)
        return st;
    writer->has_series = true;
    writer->series = series;
    writer->series_written = false;
    return PS_OK;
}

enum ps_status ps_run_writer_add(struct ps_run_writer *writer, uint32_t series,
                                 const struct ps_point *points, const uint32_t *ttl_s, size_t count)
{
    enum ps_status st = PS_OK;
    if (!count)
        return PS_OK;
    if (!writer->has_series || series != writer->series)
        st = begin_series(writer, series);
    else
        PS_ASSERT(points[0].ts_ms > writer->last_ms);
    if (st != PS_OK)
        return st;
    for (size_t i = 0; i < count && st == PS_OK; i++)
        st = gather(writer, &points[i], ttl_s ? ttl_s[i] : 0);
    writer->last_ms = points[count - 1].ts_ms;
    return st;
}

/* How many of the points one chunk takes. */
static size_t chunk_length(const struct ps_run_writer *writer, const struct ps_point *points,
                           size_t count)
{
    size_t max = count < PS_CHUNK_POINTS_MAX ? count : PS_CHUNK_POINTS_MAX;
    size_t text_max = TEXT_PER_BLOCK * block_bytes(writer), text = 0;
    for (size_t i = 0; i < max; i++) {
        if (has_text(&points[i].value) && (text += points[i].value.len) >= text_max)
            return i + 1;
    }
    return max;
}

enum ps_status ps_run_writer_add_series(struct ps_run_writer *writer, uint32_t series,
                                        const struct ps_point *points, const uint32_t *ttl_s,
                                        size_t count)
{
    if (!count)
        return PS_OK;
    enum ps_status st = begin_series(writer, series);
    if (st == PS_OK)
        writer->last_ms = points[count - 1].ts_ms;
    while (st == PS_OK && count) {
        size_t here = chunk_length(writer, points, count);
        st = write_chunk(writer, points, ttl_s, here);
        points += here;
        ttl_s = ttl_s ? ttl_s + here : NULL;
        count -= here;
    }
    return st;
}

/* ---- begin and end ---- */

static void destroy(struct ps_run_writer *writer)
{
    ps_block_writer_deinit(&writer->packer);
    ps_series_page_writer_deinit(&writer->page);
    ps_buf_deinit(&writer->body);
    ps_buf_deinit(&writer->gathered.texts);
    free(writer);
}

enum ps_status ps_run_writer_begin(struct ps_run_file *file, int64_t run,
                                   const struct ps_run_catalogue *catalogue,
                                   struct ps_run_writer **out)
{
    struct ps_db *db = ps_run_file_db(file);
    PS_ASSERT(ps_run_file_writable(file));
    PS_ASSERT(run >= 1 && run <= PS_RUN_NUMBER_MAX);
    if (ps_db_in_transaction(db)) /* an undo found no memory */
        ps_run_file_settle(file);
    if (ps_db_in_transaction(db))
        return PS_ENOMEM;
    struct ps_run_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return PS_ENOMEM;
    writer->file = file;
    writer->db = db;
    writer->block_bytes_max = PS_RUN_BLOCK_BYTES;
    writer->slice_bytes_max = PS_RUN_SLICE_BYTES;
    if (catalogue)
        writer->catalogue = *catalogue;
    writer->run = (struct ps_run){ .run = run, .min_ms = INT64_MAX, .max_ms = INT64_MIN };
    enum ps_status st = ps_block_writer_init(&writer->packer);
    if (st == PS_OK)
        st = begin_if_needed(writer);
    if (st != PS_OK) {
        destroy(writer);
        return st;
    }
    *out = writer;
    return PS_OK;
}

void ps_run_writer_set_sizes_for_test(struct ps_run_writer *writer, size_t block_bytes,
                                      size_t slice_bytes)
{
    PS_ASSERT(!writer->has_series && block_bytes > 0 && slice_bytes > 0);
    writer->block_bytes_max = block_bytes;
    writer->slice_bytes_max = slice_bytes;
}

static enum ps_status commit_run(struct ps_run_writer *writer, const struct ps_run *run)
{
    enum ps_status st = flush_gathered(writer);
    if (st == PS_OK)
        st = finish_block(writer);
    if (st == PS_OK)
        st = begin_if_needed(writer);
    if (st == PS_OK)
        st = put_page(writer);
    if (st != PS_OK)
        return st;
    struct ps_run row = writer->run;
    row.level = run->level;
    row.journal_first = run->journal_first;
    row.journal_last = run->journal_last;
    row.created_ms = run->created_ms;
    st = ps_run_file_put_run(writer->file, &row);
    if (st != PS_OK)
        return st;
    st = ps_run_file_failed(writer->file, ps_db_commit(writer->db));
    writer->in_transaction = false;
    return st;
}

enum ps_status ps_run_writer_pause(struct ps_run_writer *writer)
{
    return writer->in_transaction || writer->page.count ? commit_slice(writer) : PS_OK;
}

/* The run is there; a log that could not be copied will be with the next commit. */
static void copy_log(struct ps_run_writer *writer)
{
    if (ps_run_file_checkpoint(writer->file) != PS_OK)
        ps_log_event(PS_LOG_WARN, "telemetry", "checkpoint_failed", "error",
                     ps_run_file_error(writer->file));
}

enum ps_status ps_run_writer_commit(struct ps_run_writer *writer, struct ps_run *run)
{
    enum ps_status st = PS_OK;
    if (writer->has_series)
        st = commit_run(writer, run);
    if (st != PS_OK || !writer->has_series) {
        run->points = st == PS_OK ? 0 : run->points;
        ps_run_writer_abort(writer);
        return st;
    }
    run->run = writer->run.run;
    run->points = writer->run.points;
    run->bytes = writer->run.bytes;
    run->min_ms = writer->run.min_ms;
    run->max_ms = writer->run.max_ms;
    run->max_ttl_s = writer->run.max_ttl_s;
    run->has_default_ttl = writer->run.has_default_ttl;
    copy_log(writer);
    destroy(writer);
    return PS_OK;
}

void ps_run_writer_abort(struct ps_run_writer *writer)
{
    if (!writer)
        return;
    struct ps_text error; /* of what failed, not of the undoing */
    ps_text_set(&error, "%s", ps_run_file_error(writer->file));
    ps_db_rollback(writer->db);
    ps_known_series_forget(ps_run_file_known(writer->file));
    bool finished = !writer->committed_some;
    while (!finished &&
           ps_run_file_delete(writer->file, writer->run.run, DELETE_SLICE, &finished) == PS_OK) {
        /* the next slice */
    }
    ps_run_file_restore_error(writer->file, &error);
    destroy(writer);
}
