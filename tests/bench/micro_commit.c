/* micro_commit: what a durable point costs, by the number of points that share a commit.
 *
 * Usage: micro_commit [directory [seconds a row]]. Makes a database in a new directory below the
 * one named (default /tmp) and removes it. One batch at a time goes through the real writer: encode
 * into a journal blob, INSERT, COMMIT with synchronous=FULL, wait. Prints commits a second, points
 * a second and CPU time of the whole process a point.
 *
 * Syncs on a virtual disk are nearly free; run it under delay_sync to see the other kind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/storage/migrations.h"
#include "core/storage/writer.h"
#include "core/telemetry/journal.h"

enum { POINTS_PER_MESSAGE = 3, SERIES = 30000 };

struct bench {
    char directory[256], path[300];
    struct ps_writer *writer;
    struct ps_buf blob;
    int64_t seq;
    int64_t message; /* counts up over all batches */
};

static double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(enum ps_status st, const char *what)
{
    if (st == PS_OK)
        return;
    fprintf(stderr, "micro_commit: %s: %s\n", what, ps_status_text(st));
    exit(1);
}

/* The messages of the end-to-end bench: 21.53, 40, true. */
static void blob_fill(struct bench *b, int points)
{
    struct ps_journal_encoder encoder;
    static const struct ps_value values[POINTS_PER_MESSAGE] = {
        { .type = PS_VALUE_DOUBLE, .real = 21.53 },
        { .type = PS_VALUE_LONG, .integer = 40 },
        { .type = PS_VALUE_BOOLEAN, .boolean = true },
    };
    ps_buf_clear(&b->blob);
    ps_journal_begin(&encoder, &b->blob);
    for (int i = 0; i < points; i++) {
        uint32_t series = (uint32_t)(b->message * POINTS_PER_MESSAGE % SERIES) + 1;
        ps_journal_put(&encoder, series + (uint32_t)(i % POINTS_PER_MESSAGE),
                       1700000000000 + b->message / 1000, &values[i % POINTS_PER_MESSAGE], 0);
        b->message += i % POINTS_PER_MESSAGE == POINTS_PER_MESSAGE - 1;
    }
    ps_journal_finish(&encoder);
}

static enum ps_status insert_blob(struct ps_db *db, void *arg)
{
    struct bench *b = arg;
    struct ps_stmt *insert;
    enum ps_status st =
        ps_db_prepare(db, "INSERT INTO journal (seq, points) VALUES ($1, $2)", &insert);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(insert, 1, ++b->seq);
    ps_stmt_bind_blob_borrowed(insert, 2, b->blob.data, b->blob.len);
    return ps_stmt_run(insert);
}

static void measure(struct bench *b, int points, double seconds)
{
    double start = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID), took;
    int64_t commits = 0;
    do {
        blob_fill(b, points);
        must(ps_writer_call(b->writer, insert_blob, b), "commit");
        commits++;
        took = clock_s(CLOCK_MONOTONIC) - start;
    } while (took < seconds);
    cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf(
        "%6d points a commit  %8.0f commits/s  %10.0f points/s  %8.1f ns CPU/point  %.2f B/point\n",
        points, (double)commits / took, (double)commits * points / took,
        cpu * 1e9 / ((double)commits * points), (double)b->blob.len / points);
}

static void bench_open(struct bench *b, const char *parent)
{
    struct ps_text why;
    struct ps_db *db;
    snprintf(b->directory, sizeof b->directory, "%.200s/micro_commit-XXXXXX", parent);
    if (!mkdtemp(b->directory)) {
        perror("micro_commit: directory");
        exit(1);
    }
    snprintf(b->path, sizeof b->path, "%s/pacificsoft.db", b->directory);
    must(ps_db_open(b->path, PS_DB_WRITER, &db, &why), "open");
    must(ps_db_migrate(db, b->path, &why), "schema");
    ps_db_close(db);
    struct ps_writer_settings settings = { .path = b->path, .checkpoint_bytes = 64 << 20 };
    must(ps_writer_start(&settings, &b->writer), "writer");
}

static void bench_close(struct bench *b)
{
    static const char *const endings[] = { "", "-wal", "-shm" };
    char path[320];
    ps_writer_stop(b->writer);
    ps_buf_deinit(&b->blob);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(path, sizeof path, "%s%s", b->path, endings[i]);
        unlink(path);
    }
    rmdir(b->directory);
}

int main(int argc, char **argv)
{
    static const int points[] = { 3, 30, 300, 3000, 30000 };
    struct bench b = { 0 };
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    bench_open(&b, argc > 1 ? argv[1] : "/tmp");
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        measure(&b, points[i], seconds);
    bench_close(&b);
    return 0;
}
