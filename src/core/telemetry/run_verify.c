/* run_verify: looks at every byte of a range file that it can see, for fsck. */
#include "core/telemetry/run_file.h"

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/block.h"

struct verifier {
    struct ps_run_file *file;
    void (*visit)(void *arg, const struct ps_run_damage *damage);
    void *arg;
    struct ps_run_verified *sums;

    struct ps_run_list runs;  /* as their rows say */
    struct ps_run_list found; /* parallel: as their blocks say */
    struct ps_block_reader block;
    struct ps_chunk_points points;
    int64_t last_id; /* of the block before; what follows only holds inside of one run */
    bool has_last;
    uint32_t last_series;
    int64_t last_ms;
};

static void report(struct verifier *verifier, int64_t block, const char *text)
{
    verifier->sums->damaged++;
    if (verifier->visit)
        verifier->visit(verifier->arg, &(struct ps_run_damage){ block, text });
}

/* ---- one block ---- */

static bool check_order(struct verifier *verifier, int64_t id, const struct ps_chunk_info *info)
{
    bool fine = !verifier->has_last || info->series > verifier->last_series ||
                (info->series == verifier->last_series && info->first_ms > verifier->last_ms);
    verifier->has_last = true;
    verifier->last_series = info->series;
    verifier->last_ms = info->last_ms;
    if (!fine)
        report(verifier, id, "chunks are not in order");
    return fine;
}

static bool matches_info(const struct ps_chunk_points *points, const struct ps_chunk_info *info)
{
    if (points->count != info->count || points->points[0].ts_ms != info->first_ms ||
        points->points[points->count - 1].ts_ms != info->last_ms)
        return false;
    for (size_t i = 1; i < points->count; i++) {
        if (points->points[i].ts_ms <= points->points[i - 1].ts_ms)
            return false;
    }
    return true;
}

static enum ps_status check_chunk(struct verifier *verifier, int64_t id, size_t index,
                                  struct ps_run *seen)
{
    struct ps_chunk_info info;
    ps_block_info(&verifier->block, index, &info);
    verifier->sums->chunks++;
    if (!check_order(verifier, id, &info))
        return PS_OK;
    enum ps_status st = ps_block_decode(&verifier->block, index, &verifier->points);
    if (st == PS_ENOMEM)
        return st;
    if (st != PS_OK || !matches_info(&verifier->points, &info)) {
        report(verifier, id, "a damaged chunk");
        return PS_OK;
    }
    seen->points += info.count;
    seen->min_ms = info.first_ms < seen->min_ms ? info.first_ms : seen->min_ms;
    seen->max_ms = info.last_ms > seen->max_ms ? info.last_ms : seen->max_ms;
    return PS_OK;
}

static struct ps_run *run_of(struct verifier *verifier, int64_t number)
{
    for (size_t i = 0; i < verifier->found.count; i++) {
        if (verifier->found.items[i].run == number)
            return &verifier->found.items[i];
    }
    return NULL;
}

static void add_up(struct verifier *verifier, int64_t id, size_t len, const struct ps_run *seen)
{
    struct ps_run *run = run_of(verifier, ps_block_id_run(id));
    verifier->sums->points += seen->points;
    verifier->sums->bytes += (int64_t)len;
    if (!run)
        return; /* left over */
    run->points += seen->points;
    run->bytes += (int64_t)len;
    run->min_ms = seen->min_ms < run->min_ms ? seen->min_ms : run->min_ms;
    run->max_ms = seen->max_ms > run->max_ms ? seen->max_ms : run->max_ms;
}

static enum ps_status check_block(struct verifier *verifier, struct ps_stmt *stmt)
{
    size_t len;
    int64_t id = ps_stmt_int(stmt, 0);
    const char *body = ps_stmt_bytes(stmt, 3, &len);
    verifier->sums->blocks++;
    if (verifier->last_id == INT64_MIN || ps_block_id_run(verifier->last_id) != ps_block_id_run(id))
        verifier->has_last = false;
    verifier->last_id = id;
    enum ps_status st = ps_block_open(&verifier->block, body ? body : "", len);
    if (st == PS_ENOMEM)
        return st;
    if (st != PS_OK) {
        report(verifier, id, "checksum or directory wrong");
        return PS_OK;
    }
    if (ps_block_series(&verifier->block, 0) != ps_block_id_series(id))
        report(verifier, id, "not the series of its id");
    struct ps_run seen = { .min_ms = INT64_MAX, .max_ms = INT64_MIN };
    for (size_t i = 0; i < ps_block_count(&verifier->block) && st == PS_OK; i++)
        st = check_chunk(verifier, id, i, &seen);
    if (st == PS_OK && (seen.min_ms != ps_stmt_int(stmt, 1) || seen.max_ms != ps_stmt_int(stmt, 2)))
        report(verifier, id, "its times are not those of its points");
    add_up(verifier, id, len, &seen);
    return st;
}

/* ---- the file ---- */

static enum ps_status load_runs(struct verifier *verifier)
{
    enum ps_status st = ps_run_file_runs(verifier->file, &verifier->runs);
    for (size_t i = 0; i < verifier->runs.count && st == PS_OK; i++) {
        struct ps_run found = { .run = verifier->runs.items[i].run,
                                .min_ms = INT64_MAX,
                                .max_ms = INT64_MIN };
        st = ps_run_list_add(&verifier->found, &found);
    }
    verifier->sums->runs = (int64_t)verifier->runs.count;
    return st;
}

static enum ps_status check_blocks(struct verifier *verifier)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st = ps_db_prepare(ps_run_file_db(verifier->file),
                                      "SELECT id, t0, t1, body FROM block ORDER BY id", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(verifier->file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        st = check_block(verifier, stmt);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return ps_run_file_failed(verifier->file, st);
}

static void check_sums(struct verifier *verifier)
{
    for (size_t i = 0; i < verifier->runs.count; i++) {
        const struct ps_run *row = &verifier->runs.items[i], *found = &verifier->found.items[i];
        if (row->points != found->points || row->bytes != found->bytes ||
            row->min_ms != found->min_ms || row->max_ms != found->max_ms)
            report(verifier, ps_block_id(row->run, 0, 0), "the run has other points than its row");
    }
}

static enum ps_status check_series_page(void *arg, const void *body, size_t len)
{
    struct verifier *verifier = arg;
    struct ps_series_page page;
    struct ps_run_series series;
    enum ps_status st = ps_series_page_open(&page, body, len);
    while (st == PS_OK)
        st = ps_series_page_next(&page, &series);
    if (st != PS_ENOTFOUND)
        report(verifier, 0, "a damaged page of series");
    return PS_OK;
}

static enum ps_status check_pages(struct verifier *verifier)
{
    struct ps_stmt *stmt;
    bool row;
    enum ps_status st =
        ps_db_prepare(ps_run_file_db(verifier->file), "PRAGMA integrity_check(20)", &stmt);
    if (st != PS_OK)
        return ps_run_file_failed(verifier->file, st);
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *text = ps_stmt_bytes(stmt, 0, &len);
        struct ps_text line;
        ps_text_set(&line, "%.*s", (int)len, text ? text : "");
        if (strcmp(line.data, "ok") != 0)
            report(verifier, 0, line.data);
    }
    return ps_run_file_failed(verifier->file, st);
}

static enum ps_status check_all(struct verifier *verifier, bool deep)
{
    enum ps_status st = deep ? check_pages(verifier) : PS_OK;
    if (st == PS_OK)
        st = load_runs(verifier);
    if (st == PS_OK)
        st = check_blocks(verifier);
    if (st == PS_OK)
        st = ps_run_file_series_pages(verifier->file, check_series_page, verifier);
    if (st == PS_OK)
        check_sums(verifier);
    if (st == PS_EPROTO)
        report(verifier, 0, ps_run_file_error(verifier->file));
    return st;
}

enum ps_status ps_run_file_verify(struct ps_run_file *file, bool deep,
                                  void (*visit)(void *arg, const struct ps_run_damage *damage),
                                  void *arg, struct ps_run_verified *out)
{
    struct ps_run_verified sums = { 0 };
    struct verifier verifier = {
        .file = file, .visit = visit, .arg = arg, .sums = &sums, .last_id = INT64_MIN
    };
    enum ps_status st = ps_run_file_begin_read(file);
    if (st == PS_OK) {
        st = check_all(&verifier, deep);
        ps_run_file_end_read(file);
    }
    ps_run_list_deinit(&verifier.runs);
    ps_run_list_deinit(&verifier.found);
    ps_block_reader_deinit(&verifier.block);
    ps_chunk_points_deinit(&verifier.points);
    *out = sums;
    return st == PS_OK && sums.damaged ? PS_EPROTO : st;
}
