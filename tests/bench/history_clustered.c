#include "bench/history_clustered.h"

#include <stdio.h>
#include <sys/stat.h>

#include "core/text.h"

enum { ROWS_PER_COMMIT = 10000, CHECKPOINT_PAGES = 1000 };

void history_clustered_open(struct history_clustered *table, const char *directory)
{
    struct ps_text why;
    *table = (struct history_clustered){ 0 };
    snprintf(table->path, sizeof table->path, "%.280s/clustered.db", directory);
    history_must(ps_db_open(table->path, PS_DB_WRITER, &table->db, &why), "clustered table");
    history_must(ps_db_exec(table->db, "PRAGMA cache_size = -65536;"
                                       " CREATE TABLE kv(s INTEGER, ts INTEGER, v,"
                                       " PRIMARY KEY(s, ts)) WITHOUT ROWID"),
                 "clustered table");
}

void history_clustered_close(struct history_clustered *table)
{
    ps_db_close(table->db);
    history_must(ps_db_remove(table->path), "clustered table");
}

static void commit(struct history_clustered *table)
{
    int frames, left;
    if (table->uncommitted == 0)
        return;
    history_must(ps_db_commit(table->db), "commit");
    table->uncommitted = 0;
    if (ps_db_log_frames(table->db) >= CHECKPOINT_PAGES)
        history_must(ps_db_checkpoint(table->db, &frames, &left), "checkpoint");
}

static void bind_value(struct ps_stmt *stmt, int index, const struct ps_value *value)
{
    switch (value->type) {
    case PS_VALUE_DOUBLE:
        ps_stmt_bind_double(stmt, index, value->real);
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        ps_stmt_bind_text(stmt, index, value->text, value->len);
        break;
    default:
        ps_stmt_bind_int(stmt, index,
                         value->type == PS_VALUE_BOOLEAN ? value->boolean : value->integer);
        break;
    }
}

void history_clustered_put(struct history_clustered *table, uint32_t series,
                           const struct ps_point *point)
{
    struct ps_stmt *insert;
    if (table->uncommitted++ == 0)
        history_must(ps_db_begin(table->db), "begin");
    history_must(ps_db_prepare(table->db, "INSERT INTO kv VALUES ($1, $2, $3)", &insert),
                 "prepare");
    ps_stmt_bind_int(insert, 1, series);
    ps_stmt_bind_int(insert, 2, point->ts_ms);
    bind_value(insert, 3, &point->value);
    history_must(ps_stmt_run(insert), "insert");
    if (table->uncommitted == ROWS_PER_COMMIT)
        commit(table);
}

void history_clustered_finish(struct history_clustered *table)
{
    commit(table);
    history_must(ps_db_checkpoint_truncate(table->db), "checkpoint");
}

uint64_t history_clustered_bytes(const struct history_clustered *table)
{
    struct stat stat_of = { 0 };
    return stat(table->path, &stat_of) == 0 ? (uint64_t)stat_of.st_size : 0;
}

static size_t step_all(struct ps_stmt *stmt, double *sum)
{
    size_t count = 0;
    int64_t times = 0;
    bool row;
    *sum = 0;
    for (;;) {
        history_must(ps_stmt_step(stmt, &row), "step");
        if (!row)
            break;
        times += ps_stmt_int(stmt, 0);
        *sum += ps_stmt_double(stmt, 1);
        count++;
    }
    if (times == 1) /* never: only so that the times are looked at, too */
        puts("");
    return count;
}

size_t history_clustered_read(struct history_clustered *table, uint32_t series, int64_t start_ms,
                              int64_t end_ms, double *sum)
{
    struct ps_stmt *stmt;
    history_must(ps_db_prepare(table->db,
                               "SELECT ts, v FROM kv WHERE s = $1 AND ts >= $2 AND ts < $3"
                               " ORDER BY ts",
                               &stmt),
                 "prepare");
    ps_stmt_bind_int(stmt, 1, series);
    ps_stmt_bind_int(stmt, 2, start_ms);
    ps_stmt_bind_int(stmt, 3, end_ms);
    return step_all(stmt, sum);
}

size_t history_clustered_aggregate(struct history_clustered *table, uint32_t series,
                                   int64_t start_ms, int64_t end_ms, int64_t interval_ms,
                                   double *sum)
{
    struct ps_stmt *stmt;
    history_must(ps_db_prepare(table->db,
                               "SELECT (ts - $1) / $2, avg(v) FROM kv"
                               " WHERE s = $3 AND ts >= $1 AND ts < $4 GROUP BY 1 ORDER BY 1",
                               &stmt),
                 "prepare");
    /* numbered in the order in which they appear */
    ps_stmt_bind_int(stmt, 1, start_ms);
    ps_stmt_bind_int(stmt, 2, interval_ms);
    ps_stmt_bind_int(stmt, 3, series);
    ps_stmt_bind_int(stmt, 4, end_ms);
    return step_all(stmt, sum);
}
