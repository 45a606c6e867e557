/* micro_seal: what sealing and merging cost a point, and how much memory they take.
 *
 * Usage: micro_seal [directory [points [series [megabytes]]]]. Makes a database in a new directory
 * below the one named (default /tmp) and removes it. Fills the journal with readings of `series`
 * series that arrive in turn, 3 keys a message; seals them with the default memory (or as many
 * megabytes: less makes more and smaller runs), trims, and merges until nothing is due. Prints wall
 * time and CPU time of the thread a point, bytes a point, and the greatest resident memory. The
 * parts of the sort alone are printed too, without encoding. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/storage/migrations.h"
#include "core/storage/writer.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/keep.h"
#include "core/telemetry/merge.h"
#include "core/telemetry/seal.h"
#include "core/telemetry/seal_set.h"
#include "core/telemetry/store.h"

enum { ROW_POINTS = 3000, WINDOW = 1024 };

struct bench {
    char directory[256], path[300];
    struct ps_writer *writer;
    struct ps_store *store;
    struct ps_keep keep;
    size_t memory_max;
    int64_t points, series, seq;
    int64_t start_ms;
};

struct watch {
    double wall_s, cpu_s;
};

static double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct watch watch_now(void)
{
    return (struct watch){ clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_THREAD_CPUTIME_ID) };
}

static void say(const char *what, const struct watch *since, int64_t points)
{
    struct watch now = watch_now();
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%-22s %8.1f ns wall %8.1f ns cpu a point   max RSS %ld MB\n", what,
           (now.wall_s - since->wall_s) * 1e9 / (double)points,
           (now.cpu_s - since->cpu_s) * 1e9 / (double)points, usage.ru_maxrss / 1024);
}

static void must(enum ps_status st, const char *what)
{
    if (st == PS_OK)
        return;
    fprintf(stderr, "micro_seal: %s: %s\n", what, ps_status_text(st));
    exit(1);
}

static struct ps_value value_of(int64_t series, int64_t round)
{
    int64_t noise = (series * 7919 + round * 104729) % 100;
    switch (series % 3) {
    case 0:
        return (struct ps_value){ .type = PS_VALUE_DOUBLE,
                                  .real = (double)(2000 + round % 500 + noise % 10) / 100 };
    case 1:
        return (struct ps_value){ .type = PS_VALUE_LONG, .integer = 40 + noise % 7 };
    default:
        return (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = round / 50 % 2 };
    }
}

static void fill_row(struct bench *b, int64_t from, struct ps_buf *blob)
{
    struct ps_journal_encoder encoder;
    ps_buf_clear(blob);
    ps_journal_begin(&encoder, blob);
    for (int64_t i = from; i < from + ROW_POINTS && i < b->points; i++) {
        int64_t series = i % b->series, round = i / b->series;
        struct ps_value value = value_of(series, round);
        ps_journal_put(&encoder, (uint32_t)series + 1,
                       b->start_ms + round * 10000 + series / 3 % 10000, &value, 0);
    }
    ps_journal_finish(&encoder);
}

static enum ps_status fill(struct ps_db *db, void *arg)
{
    struct bench *b = arg;
    struct ps_buf blob = { 0 };
    struct ps_stmt *stmt;
    enum ps_status st = PS_OK;
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %lld)"
             " INSERT INTO series(id, entity_type, entity, key)"
             " SELECT i, 5, randomblob(16), 'key' FROM n",
             (long long)b->series);
    st = ps_db_exec(db, sql);
    for (int64_t from = 0; from < b->points && st == PS_OK; from += ROW_POINTS) {
        fill_row(b, from, &blob);
        st = ps_db_prepare(db, "INSERT INTO journal(seq, points) VALUES(?, ?)", &stmt);
        if (st != PS_OK)
            break;
        ps_stmt_bind_int(stmt, 1, ++b->seq);
        ps_stmt_bind_blob_borrowed(stmt, 2, blob.data, blob.len);
        st = ps_stmt_run(stmt);
    }
    ps_buf_deinit(&blob);
    return st;
}

static void open_all(struct bench *b, const char *parent)
{
    struct ps_text why = { "" };
    struct ps_db *db;
    snprintf(b->directory, sizeof b->directory, "%s/ps-seal-XXXXXX", parent);
    if (!mkdtemp(b->directory))
        must(PS_EIO, b->directory);
    snprintf(b->path, sizeof b->path, "%s/pacificsoft.db", b->directory);
    must(ps_db_open(b->path, PS_DB_WRITER, &db, &why), why.data);
    must(ps_db_migrate(db, b->path, &why), why.data);
    ps_db_close(db);
    struct ps_writer_settings writer = { .path = b->path, .checkpoint_bytes = 16 << 20 };
    struct ps_store_settings store = { .dir = b->directory };
    must(ps_writer_start(&writer, &b->writer), "writer");
    must(ps_store_open(&store, &b->store, &why), why.data);
    b->keep = (struct ps_keep){ .writer = b->writer,
                                .store = b->store,
                                .range = PS_RANGE_WEEK,
                                .memory_max = b->memory_max,
                                .retired_keep_ms = 60000,
                                .settle_ms = 3600000 };
    must(ps_db_open(b->path, PS_DB_READER, &b->keep.db, &why), why.data);
    must(ps_writer_call(b->writer, fill, b), "fill");
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info, (void)flag, (void)walk;
    return remove(path);
}

static void close_all(struct bench *b)
{
    ps_keep_deinit(&b->keep);
    ps_db_close(b->keep.db);
    ps_store_close(b->store);
    ps_writer_stop(b->writer);
    nftw(b->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* All but reading the database and encoding: decode, gather, sort, hand out. */
static void sort_alone(struct bench *b)
{
    struct ps_seal_set set = { 0 };
    struct ps_seal_group group = { 0 };
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    struct ps_buf blob = { 0 };
    static struct ps_point points[WINDOW];
    static uint32_t ttl_s[WINDOW];
    int64_t count = 1400000 < b->points ? 1400000 : b->points, got = 0;
    double spent_s = 0;
    must(ps_seal_set_begin(&set, PS_RANGE_WEEK, (size_t)count), "init");
    for (int64_t from = 0; from < count; from += ROW_POINTS) {
        fill_row(b, from, &blob);
        double start_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
        must(ps_journal_open(&decoder, blob.data, blob.len), "blob");
        while (ps_journal_next(&decoder, &record) == PS_OK)
            must(ps_seal_set_add(&set, &record), "add");
        spent_s += clock_s(CLOCK_THREAD_CPUTIME_ID) - start_s;
    }
    printf("%-22s %8.1f ns cpu a point\n", "  decode, gather", spent_s * 1e9 / (double)set.count);
    struct watch since = watch_now();
    must(ps_seal_set_sort(&set), "sort");
    say("  sort", &since, (int64_t)set.count);
    since = watch_now();
    while (ps_seal_set_next(&set, &group)) {
        size_t from = 0, n;
        bool any_ttl;
        while ((n = ps_seal_set_points(&set, &group, &from, points, ttl_s, WINDOW, &any_ttl)) > 0)
            got += (int64_t)n;
    }
    say("  hand out", &since, got);
    ps_seal_set_deinit(&set);
    ps_buf_deinit(&blob);
}

static void seal_all(struct bench *b)
{
    struct ps_seal_result result;
    struct watch since = watch_now();
    int64_t points = 0, bytes = 0, passes = 0, longest_ns = 0;
    enum ps_status st;
    int64_t before_ns = ps_clock_mono_ns();
    while ((st = ps_seal_once(&b->keep, &result)) == PS_OK) {
        points += (int64_t)result.points;
        bytes += result.bytes;
        passes++;
        int64_t now_ns = ps_clock_mono_ns();
        longest_ns = now_ns - before_ns > longest_ns ? now_ns - before_ns : longest_ns;
        before_ns = now_ns;
    }
    if (st != PS_ENOTFOUND)
        must(st, "seal");
    say("seal", &since, points);
    printf("  %lld points, %lld passes, longest %lld ms, %.2f bytes a point\n", (long long)points,
           (long long)passes, (long long)longest_ns / 1000000, (double)bytes / (double)points);
}

static void trim_all(struct bench *b)
{
    bool more = true;
    int64_t slices = 0, longest_ns = 0;
    struct watch since = watch_now();
    while (more) {
        int64_t before_ns = ps_clock_mono_ns();
        must(ps_seal_trim(&b->keep, &more), "trim");
        int64_t took_ns = ps_clock_mono_ns() - before_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        slices++;
    }
    say("trim", &since, b->points);
    printf("  %lld slices, longest %lld us\n", (long long)slices, (long long)longest_ns / 1000);
}

static void merge_all(struct bench *b)
{
    struct ps_merge_result result;
    enum ps_status st;
    for (;;) {
        struct watch since = watch_now();
        st = ps_merge_once(&b->keep, ps_clock_now_ms(), &result);
        if (st != PS_OK)
            break;
        say("merge", &since, result.points_in);
        printf("  %zu runs, %lld points, %.2f bytes a point\n", result.inputs,
               (long long)result.points_out, (double)result.bytes / (double)result.points_out);
    }
    if (st != PS_ENOTFOUND)
        must(st, "merge");
}

int main(int argc, char **argv)
{
    static struct bench b = { .points = 12000000, .series = 30000, .memory_max = 64 << 20 };
    if (argc > 2)
        b.points = atoll(argv[2]);
    if (argc > 3)
        b.series = atoll(argv[3]);
    if (argc > 4)
        b.memory_max = (size_t)atoll(argv[4]) << 20;
    b.start_ms = ps_clock_now_ms() / (7 * 86400000ll) * (7 * 86400000ll);
    open_all(&b, argc > 1 ? argv[1] : "/tmp");
    sort_alone(&b);
    seal_all(&b);
    trim_all(&b);
    merge_all(&b);
    close_all(&b);
    return 0;
}
