/* history_ingest: what sealing, merging and retention cost those who send.
 *
 * Usage: history_ingest [series [points [rounds [directory [minutes]]]]]
 *        (100,000 20,000,000 1 /tmp 10)
 *
 * One thread does with telemetry what shards do after the rule chain: points of 10,000 a batch go
 * into a journal blob, the writer commits it (synced) while the next one is filled, and what is
 * committed is applied to the heads in memory. Devices of three keys (a decimal, a counter, a
 * boolean) report in turn, round robin. Without the keeper that is all; with it, the journal is
 * sealed at its default bound of 8 MiB into files of a day, runs are merged, and files whose points
 * are all expired are deleted: readings of a device are `minutes` apart and end now, and live for
 * half of the time that they span, at most four days. The interval decides how many points of a
 * series there are in a file, and how many files there are: with the defaults 144 and two or three,
 * an hour apart 24 and eight or nine, a week apart one each.
 *
 * Rounds alternate, without and with. `rate` is points a second while points are sent; `drained`
 * counts the time until the keeper has sealed everything as well, so nothing is left to do. Prints
 * JSON; the last round of each is shown in detail. Two busy threads (this one and the writer's) are
 * most of a two-core machine: a server spends ten times as much on a message before this begins. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/history_world.h"
#include "core/clock.h"
#include "core/prefetch.h"
#include "core/telemetry/keeper.h"
#include "core/telemetry/series.h"

enum {
    KEYS = 3,
    BATCH_POINTS = 10000,
    BATCHES = 2,
    AHEAD = 8,
    ROUNDS_MAX = 20,
    MINUTE_MS = 60 * 1000,
    READING_MINUTES_MAX = 365 * 24 * 60,
    TTL_S_MAX = 4 * 24 * 3600,
};

struct sent {
    uint32_t series;
    int64_t ts_ms;
    struct ps_value value;
};

struct batch {
    struct ps_writer_item item; /* first: the writer hands it back */
    struct ingest *ingest;
    struct ps_buf blob;
    int64_t seq;
    size_t count;
    struct sent points[BATCH_POINTS];
    /* under ingest->lock */
    bool is_waiting; /* for its commit */
    double submitted_s, committed_s;
};

struct ingest {
    struct history_world world;
    struct ps_keeper *keeper;
    struct ps_series_table table;
    struct ps_series **series; /* by id - 1 */
    _Atomic uint32_t next_id;
    _Atomic int64_t sealed_seq;
    uint32_t count;
    size_t points;
    int64_t start_ms, reading_ms; /* first reading; from one to the next */
    uint32_t ttl_s;
    unsigned seed;
    size_t next; /* message */

    pthread_mutex_t lock;
    pthread_cond_t committed;
    struct batch *batches[BATCHES];

    double *commit_ms; /* each commit's time */
    size_t commits;
};

static enum ps_status insert_blob(struct ps_writer_item *item, struct ps_db *db)
{
    struct batch *batch = (struct batch *)item;
    struct ps_stmt *insert;
    enum ps_status st =
        ps_db_prepare(db, "INSERT INTO journal (seq, points) VALUES ($1, $2)", &insert);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(insert, 1, batch->seq);
    ps_stmt_bind_blob_borrowed(insert, 2, batch->blob.data, batch->blob.len);
    return ps_stmt_run(insert);
}

static void is_committed(struct ps_writer_item *item, enum ps_status st)
{
    struct batch *batch = (struct batch *)item;
    struct ingest *in = batch->ingest;
    history_must(st, "commit");
    pthread_mutex_lock(&in->lock);
    batch->is_waiting = false;
    batch->committed_s = history_wall_s();
    pthread_cond_signal(&in->committed);
    pthread_mutex_unlock(&in->lock);
}

static struct ps_value next_value(struct ingest *in, size_t round, unsigned key)
{
    in->seed = in->seed * 1664525 + 1013904223;
    unsigned some = in->seed >> 16;
    switch (key) {
    case 0:
        return (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = (2100 + some % 64) / 100.0 };
    case 1:
        return (struct ps_value){ .type = PS_VALUE_LONG,
                                  .integer = (int64_t)round * 20 + some % 8 };
    default:
        return (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = round / 16 % 2 };
    }
}

/* Messages of three points; every device sends one before the first sends its second. */
static void fill(struct ingest *in, struct batch *batch, size_t points)
{
    struct ps_journal_encoder encoder;
    uint32_t devices = in->count / KEYS;
    ps_buf_clear(&batch->blob);
    ps_journal_begin(&encoder, &batch->blob);
    batch->count = 0;
    while (batch->count + KEYS <= points) {
        size_t device = in->next % devices, round = in->next / devices;
        in->next++;
        int64_t phase_ms = (int64_t)device * in->reading_ms / devices, jitter_ms = in->seed >> 28;
        for (unsigned key = 0; key < KEYS; key++) {
            struct sent *sent = &batch->points[batch->count++];
            sent->series = (uint32_t)(device * KEYS + key + 1);
            sent->ts_ms = in->start_ms + (int64_t)round * in->reading_ms + phase_ms + jitter_ms;
            sent->value = next_value(in, round, key);
            ps_journal_put(&encoder, sent->series, sent->ts_ms, &sent->value, 0);
        }
    }
    ps_journal_finish(&encoder);
    history_must(ps_buf_ok(&batch->blob) ? PS_OK : PS_ENOMEM, "blob");
}

static void submit(struct ingest *in, struct batch *batch)
{
    batch->seq = ++in->world.seq;
    batch->is_waiting = true;
    batch->submitted_s = history_wall_s();
    batch->item.run = insert_blob;
    batch->item.done = is_committed;
    batch->item.points_bytes = (uint32_t)batch->blob.len;
    ps_writer_submit(in->world.writer, &batch->item);
}

static void wait_for(struct ingest *in, struct batch *batch)
{
    pthread_mutex_lock(&in->lock);
    while (batch->is_waiting)
        pthread_cond_wait(&in->committed, &in->lock);
    pthread_mutex_unlock(&in->lock);
    in->commit_ms[in->commits++] = (batch->committed_s - batch->submitted_s) * 1000;
}

static void apply(struct ingest *in, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct sent *sent = &batch->points[i];
        if (i + AHEAD < batch->count) {
            ps_prefetch(in->series[batch->points[i + AHEAD].series - 1], 2 * PS_CACHE_LINE);
            ps_series_fetch_head(in->series[batch->points[i + AHEAD / 2].series - 1]);
        }
        ps_series_apply(&in->table, in->series[sent->series - 1], batch->seq, sent->ts_ms,
                        &sent->value, 0);
    }
}

/* One batch is filled while the other is being committed. */
static void send_all(struct ingest *in)
{
    size_t left = in->points / KEYS * KEYS, turn = 0;
    struct batch *before = NULL;
    while (left >= KEYS) {
        struct batch *batch = in->batches[turn++ % BATCHES];
        fill(in, batch, left < BATCH_POINTS ? left : BATCH_POINTS);
        left -= batch->count;
        if (before)
            wait_for(in, before);
        submit(in, batch);
        if (before)
            apply(in, before);
        before = batch;
    }
    if (before) {
        wait_for(in, before);
        apply(in, before);
    }
}

static void make_series(struct ingest *in)
{
    struct ps_series_limits limits = { .head_points_max = 32,
                                       .memory_max = 256 << 20,
                                       .next_id = &in->next_id,
                                       .sealed_seq = &in->sealed_seq };
    char text[40];
    in->series = history_alloc(in->count, sizeof *in->series);
    history_must(ps_series_table_init(&in->table, &limits), "heads");
    for (uint32_t i = 0; i < in->count; i++) {
        struct ps_entity_id id = { .type = 5 };
        snprintf(text, sizeof text, "%016u", i / KEYS);
        memcpy(&id.id, text, sizeof id.id);
        struct ps_entity_series *entity = ps_series_table_get(&in->table, &id);
        int len = snprintf(text, sizeof text, "key%u", i % KEYS);
        in->series[i] = entity ? ps_series_get(&in->table, entity, text, (size_t)len) : NULL;
        history_must(in->series[i] ? PS_OK : PS_ENOMEM, "series");
    }
}

static void start_keeper(struct ingest *in)
{
    struct ps_keeper_settings settings = {
        .dir = in->world.directory,
        .db_path = in->world.path,
        .writer = in->world.writer,
        .store = in->world.store,
        .sealed_seq = &in->sealed_seq,
        .range = PS_RANGE_DAY,
        .default_ttl_s = in->ttl_s,
        .journal_bytes_max = 8 << 20,
        .seal_interval_ms = 600000,
        .seal_memory_bytes = 64 << 20,
    };
    history_must(ps_keeper_start(&settings, &in->keeper), "keeper");
}

/* What is asked for. */
struct plan {
    uint32_t series;
    size_t points;
    const char *directory;
    int64_t reading_ms;
};

static void open_ingest(struct ingest *in, const struct plan *plan)
{
    uint32_t series = plan->series;
    size_t points = plan->points;
    int64_t span_ms = (int64_t)(points / series + 1) * plan->reading_ms;
    *in = (struct ingest){ .count = series, .points = points, .next_id = 1, .seed = 1 };
    in->reading_ms = plan->reading_ms;
    in->start_ms = ps_clock_now_ms() - span_ms;
    in->ttl_s = span_ms / 2000 < TTL_S_MAX ? (uint32_t)(span_ms / 2000) : TTL_S_MAX;
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->committed, NULL);
    in->commit_ms = history_alloc(points / BATCH_POINTS + 2, sizeof *in->commit_ms);
    for (size_t i = 0; i < BATCHES; i++) {
        in->batches[i] = history_alloc(1, sizeof *in->batches[i]);
        in->batches[i]->ingest = in;
    }
    history_world_open(&in->world, plan->directory, series, KEYS);
    make_series(in);
}

static void close_ingest(struct ingest *in)
{
    ps_keeper_stop(in->keeper);
    for (size_t i = 0; i < BATCHES; i++) {
        ps_buf_deinit(&in->batches[i]->blob);
        free(in->batches[i]);
    }
    history_world_close(&in->world);
    ps_series_table_deinit(&in->table);
    free(in->series);
    free(in->commit_ms);
    pthread_mutex_destroy(&in->lock);
    pthread_cond_destroy(&in->committed);
}

struct result {
    double rate, drained;   /* points a second */
    double cpu_ns, written; /* a point, of all threads */
    double commit_p50_ms, commit_p99_ms;
    double backlog;    /* rows not sealed when the last point was committed */
    double file_bytes; /* at the end, of points that are kept or not yet expired */
};

static struct result run(const struct plan *plan, bool with_keeper)
{
    static struct ingest in;
    struct result result = { 0 };
    double points = (double)plan->points;
    open_ingest(&in, plan);
    if (with_keeper)
        start_keeper(&in);
    double start = history_wall_s(), cpu = history_process_cpu_s();
    uint64_t written = history_written_bytes();
    send_all(&in);
    double sent = history_wall_s();
    result.backlog = (double)(in.world.seq - atomic_load(&in.sealed_seq)) * BATCH_POINTS;
    if (with_keeper)
        history_must(ps_keeper_seal_now(in.keeper), "seal");
    double sealed = history_wall_s();
    if (with_keeper)
        history_must(ps_keeper_tidy_now(in.keeper), "tidy");
    result.rate = points / (sent - start);
    result.drained = points / (sealed - start);
    result.cpu_ns = (history_process_cpu_s() - cpu) * 1e9 / points;
    result.written = (double)(history_written_bytes() - written) / points;
    result.commit_p50_ms = history_median(in.commit_ms, in.commits); /* sorted from here */
    result.commit_p99_ms = in.commit_ms[in.commits * 99 / 100];
    result.file_bytes = (double)history_world_bytes(&in.world);
    close_ingest(&in);
    return result;
}

static void print_detail(const char *name, const struct result *result)
{
    printf(", \"%s\": {\"rate\": %.0f, \"drained\": %.0f, \"cpu_ns\": %.1f, \"written\": %.1f,"
           " \"commit_p50_ms\": %.2f, \"commit_p99_ms\": %.2f, \"backlog\": %.0f,"
           " \"file_bytes\": %.0f}",
           name, result->rate, result->drained, result->cpu_ns, result->written,
           result->commit_p50_ms, result->commit_p99_ms, result->backlog, result->file_bytes);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    long minutes = argc > 5 ? atol(argv[5]) : 10;
    struct plan plan = {
        .series = argc > 1 ? (uint32_t)atoll(argv[1]) / KEYS * KEYS : 99999,
        .points = argc > 2 ? (size_t)atoll(argv[2]) : 20000000,
        .directory = argc > 4 ? argv[4] : "/tmp",
        .reading_ms = minutes * MINUTE_MS,
    };
    struct result without = { 0 }, with = { 0 };
    if (plan.series < KEYS || rounds < 1 || rounds > ROUNDS_MAX || minutes < 1 ||
        minutes > READING_MINUTES_MAX) {
        fputs("usage: history_ingest [series [points [rounds, 1-20 [directory [minutes]]]]]\n",
              stderr);
        return 2;
    }
    printf("{\"series\": %u, \"points\": %zu, \"minutes\": %ld, \"rate\": [", plan.series,
           plan.points, minutes);
    double drained[ROUNDS_MAX];
    for (unsigned r = 0; r < rounds; r++) {
        without = run(&plan, false);
        with = run(&plan, true);
        drained[r] = with.drained / without.rate;
        printf("%s%.3f", r ? ", " : "", with.rate / without.rate);
    }
    printf("], \"drained\": [");
    for (unsigned r = 0; r < rounds; r++)
        printf("%s%.3f", r ? ", " : "", drained[r]);
    printf("]");
    print_detail("without", &without);
    print_detail("with", &with);
    puts("}");
    return 0;
}
