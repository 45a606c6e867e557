/* history_clustered: the rival of the store: one row a point in a clustered SQLite table,
 *
 *     kv(s, ts, v, PRIMARY KEY(s, ts)) WITHOUT ROWID
 *
 * in a database of its own, with the same settings (WAL, synchronous FULL) and a checkpoint every
 * 1000 pages, which is SQLite's default. */
#ifndef PS_TESTS_HISTORY_CLUSTERED_H
#define PS_TESTS_HISTORY_CLUSTERED_H

#include "bench/history_data.h"
#include "core/storage/db.h"

struct history_clustered {
    char path[320];
    struct ps_db *db;

    size_t uncommitted;
};

/** <directory>/clustered.db; exits on failure, like all of it. */
void history_clustered_open(struct history_clustered *table, const char *directory);
void history_clustered_close(struct history_clustered *table);

/** Commits after every 10,000th. */
void history_clustered_put(struct history_clustered *table, uint32_t series,
                           const struct ps_point *point);
/** Commit the rest, copy the log into the file. */
void history_clustered_finish(struct history_clustered *table);
uint64_t history_clustered_bytes(const struct history_clustered *table);

/** Points of a series in a span, each looked at; *sum over their values. */
size_t history_clustered_read(struct history_clustered *table, uint32_t series, int64_t start_ms,
                              int64_t end_ms, double *sum);
/** Averages of a series in buckets, by SQL; returns the number of buckets. */
size_t history_clustered_aggregate(struct history_clustered *table, uint32_t series,
                                   int64_t start_ms, int64_t end_ms, int64_t interval_ms,
                                   double *sum);

#endif
