/* history_store: what stored points cost on disk and how fast they are read, beside the same
 * points in a clustered SQLite table.
 *
 * Usage: history_store space|read|year [directory [points [rounds]]]
 *        history_store copy SET POINTS SERIES
 *
 *     space  each data set (history_data.h), `points` of it (200,000) from 20 series, arriving in
 *            order of time in commits of 5,000 points, through journal, sealing and merging: bytes
 *            a point on disk, and bytes handed to write() a point in all
 *     read   one series of `points` (1,000,000) and one beside it: all of it, nanoseconds a point
 *     year   a year of minutes: averages by day, milliseconds
 *     copy   rows for PostgreSQL's COPY into ts_kv, tab separated
 *
 * Reading alternates between the two, `rounds` (5) times; the medians are shown, and both must
 * have found the same. Times are CPU of this thread: everything is cached. Prints JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/history_clustered.h"
#include "bench/history_world.h"
#include "core/telemetry/history.h"

enum {
    SERIES = 20,
    POINTS_PER_COMMIT = 5000,
    COMMITS_PER_SEAL = 20,
    READ_SERIES = 2,
    ROUNDS_MAX = 99,
    YEAR_MINUTES = 365 * 24 * 60,
};

#define DAY_MS (24 * 3600 * 1000ll)

struct options {
    const char *directory;
    size_t points;
    unsigned rounds;
};

/* Where points go: both stores, or one of them (the other NULL). */
struct stores {
    struct history_world *world;
    struct history_clustered *table;
};

static void put(const struct stores *to, uint32_t series, const struct ps_point *point)
{
    if (to->table)
        history_clustered_put(to->table, series, point);
    if (!to->world)
        return;
    history_world_put(to->world, series, point);
    if (to->world->row_points < POINTS_PER_COMMIT)
        return;
    history_world_commit(to->world);
    if (to->world->seq % COMMITS_PER_SEAL == 0)
        history_world_seal(to->world);
}

/* All points of some devices in order of arrival; series count from 1, a device's keys follow each
 * other. */
static void put_devices(const struct stores *to, const struct history_set *set,
                        const struct history_device *devices, size_t count)
{
    for (size_t i = 0; i < devices->count; i++) {
        for (size_t d = 0; d < count; d++) {
            for (size_t key = 0; key < set->keys; key++)
                put(to, (uint32_t)(d * set->keys + key + 1), &devices[d].keys[key][i]);
        }
    }
    if (to->world)
        history_world_seal(to->world);
    if (to->table)
        history_clustered_finish(to->table);
}

/* ---- space ---- */

struct space {
    double bytes, settled, written, clustered, clustered_written; /* a point */
};

static struct space measure_space(const struct history_set *set, const struct options *options)
{
    struct history_world world;
    struct history_clustered table;
    struct history_device devices[SERIES];
    size_t count = SERIES / set->keys, each = options->points / SERIES;
    double points = (double)(each * SERIES);
    struct space space;
    for (size_t d = 0; d < count; d++)
        history_device_make(set, (unsigned)d + 1, each, &devices[d]);
    history_world_open(&world, options->directory, SERIES, set->keys);
    history_clustered_open(&table, world.directory);

    uint64_t start = history_written_bytes();
    put_devices(&(struct stores){ .world = &world }, set, devices, count);
    space.bytes = (double)history_world_bytes(&world) / points;
    history_world_settle(&world);
    uint64_t middle = history_written_bytes();
    put_devices(&(struct stores){ .table = &table }, set, devices, count);
    space.written = (double)(middle - start) / points;
    space.clustered_written = (double)(history_written_bytes() - middle) / points;
    space.settled = (double)history_world_bytes(&world) / points;
    space.clustered = (double)history_clustered_bytes(&table) / points;

    history_clustered_close(&table);
    history_world_close(&world);
    for (size_t d = 0; d < count; d++)
        history_device_deinit(&devices[d]);
    return space;
}

static void print_space(const struct options *options)
{
    printf("{\"points\": %zu, \"sets\": [\n", options->points);
    for (size_t s = 0; s < history_set_count; s++) {
        const struct history_set *set = &history_sets[s];
        struct space space = measure_space(set, options);
        printf("{\"set\": \"%s\", \"sensor\": %s, \"bytes\": %.3f, \"settled\": %.3f,"
               " \"written\": %.2f, \"clustered\": %.2f, \"clustered_written\": %.2f}%s\n",
               set->name, set->is_sensor ? "true" : "false", space.bytes, space.settled,
               space.written, space.clustered, space.clustered_written,
               s + 1 < history_set_count ? "," : "]}");
    }
}

/* ---- reading ---- */

struct totals {
    size_t count;
    int64_t times;
    double sum;
};

static enum ps_status add_points(void *arg, const struct ps_point *points, size_t count)
{
    struct totals *totals = arg;
    for (size_t i = 0; i < count; i++) {
        totals->times += points[i].ts_ms;
        totals->sum += points[i].value.real;
    }
    totals->count += count;
    return PS_OK;
}

static struct ps_history history_of(const struct history_world *world)
{
    return (
        struct ps_history){ .db = world->db, .store = world->store, .now_ms = HISTORY_START_MS };
}

static struct totals read_ours(struct history_world *world, int64_t start_ms, int64_t end_ms)
{
    struct ps_history history = history_of(world);
    struct ps_series_copy copy = { .id = 1 };
    struct ps_history_range range = { .start_ms = start_ms, .end_ms = end_ms };
    struct totals totals = { 0 };
    history_must(ps_history_scan(&history, &copy, &range, add_points, &totals), "scan");
    return totals;
}

static struct totals aggregate_ours(struct history_world *world, int64_t start_ms, int64_t end_ms)
{
    struct ps_history history = history_of(world);
    struct ps_series_copy copy = { .id = 1 };
    struct ps_history_query query = {
        .start_ms = start_ms, .end_ms = end_ms, .aggregate = PS_AGG_AVG, .interval_ms = DAY_MS
    };
    struct ps_points points = { 0 };
    struct totals totals = { 0 };
    history_must(ps_history_read(&history, &query, &copy, 1, &points), "aggregate");
    (void)add_points(&totals, points.points, points.count);
    ps_points_deinit(&points);
    return totals;
}

struct times {
    double ours_s, clustered_s;
    size_t ours_count, clustered_count;
};

static void compare_sums(double ours, double clustered)
{
    if (fabs(ours - clustered) > 1e-9 * (fabs(ours) + fabs(clustered)))
        history_must(PS_EPROTO, "the two stores answer differently");
}

static struct times measure_reads(struct history_world *world, struct history_clustered *table,
                                  const struct history_device *device, unsigned rounds,
                                  bool aggregate)
{
    double ours[ROUNDS_MAX], clustered[ROUNDS_MAX], sum;
    int64_t start_ms = HISTORY_START_MS / DAY_MS * DAY_MS;
    int64_t end_ms = device->keys[0][device->count - 1].ts_ms + 1;
    struct times times = { 0 };
    for (unsigned r = 0; r <= rounds; r++) { /* the first round warms up and is not counted */
        double start = history_cpu_s();
        struct totals totals = aggregate ? aggregate_ours(world, start_ms, end_ms)
                                         : read_ours(world, start_ms, end_ms);
        double middle = history_cpu_s();
        size_t count = aggregate
                           ? history_clustered_aggregate(table, 1, start_ms, end_ms, DAY_MS, &sum)
                           : history_clustered_read(table, 1, start_ms, end_ms, &sum);
        ours[r ? r - 1 : 0] = middle - start;
        clustered[r ? r - 1 : 0] = history_cpu_s() - middle;
        times.ours_count = totals.count;
        times.clustered_count = count;
        compare_sums(totals.sum, sum);
    }
    times.ours_s = history_median(ours, rounds);
    times.clustered_s = history_median(clustered, rounds);
    return times;
}

static void measure_series(const char *name, size_t points, const struct options *options)
{
    const struct history_set *set = history_set_find(name);
    struct history_device devices[READ_SERIES];
    struct history_world world;
    struct history_clustered table;
    history_world_open(&world, options->directory, READ_SERIES, 1);
    history_clustered_open(&table, world.directory);
    for (unsigned d = 0; d < READ_SERIES; d++)
        history_device_make(set, d + 1, points, &devices[d]);
    put_devices(&(struct stores){ &world, &table }, set, devices, READ_SERIES);
    struct times scan = measure_reads(&world, &table, devices, options->rounds, false);
    struct times days = measure_reads(&world, &table, devices, options->rounds, true);
    if (scan.ours_count != points || scan.clustered_count != points ||
        days.ours_count != days.clustered_count)
        history_must(PS_EPROTO, "a number of points");
    printf("{\"points\": %zu, \"days\": %zu, \"read_ns\": %.2f, \"clustered_read_ns\": %.1f,"
           " \"aggregate_ms\": %.3f, \"clustered_aggregate_ms\": %.1f}\n",
           points, days.ours_count, scan.ours_s * 1e9 / (double)points,
           scan.clustered_s * 1e9 / (double)points, days.ours_s * 1e3, days.clustered_s * 1e3);
    for (unsigned d = 0; d < READ_SERIES; d++)
        history_device_deinit(&devices[d]);
    history_clustered_close(&table);
    history_world_close(&world);
}

/* ---- rows for PostgreSQL: entity_id, key, ts, bool_v, str_v, long_v, dbl_v, json_v ---- */

static void print_row(size_t series, const struct ps_point *point)
{
    const struct ps_value *v = &point->value;
    printf("00000000-0000-4000-8000-%012zx\t7\t%lld\t", series, (long long)point->ts_ms);
    switch (v->type) {
    case PS_VALUE_BOOLEAN:
        printf("%s\t\\N\t\\N\t\\N\t\\N\n", v->boolean ? "t" : "f");
        break;
    case PS_VALUE_LONG:
        printf("\\N\t\\N\t%lld\t\\N\t\\N\n", (long long)v->integer);
        break;
    case PS_VALUE_DOUBLE:
        printf("\\N\t\\N\t\\N\t%.17g\t\\N\n", v->real);
        break;
    default:
        fputs(v->type == PS_VALUE_JSON ? "\\N\t\\N\t\\N\t\\N\t" : "\\N\t", stdout);
        for (uint32_t i = 0; i < v->len; i++)
            printf(v->text[i] == '\\' ? "\\\\" : "%c", v->text[i]);
        fputs(v->type == PS_VALUE_JSON ? "\n" : "\t\\N\t\\N\t\\N\n", stdout);
        break;
    }
}

static int print_rows(const char *name, size_t points, size_t series)
{
    const struct history_set *set = history_set_find(name);
    if (!set || series == 0 || series > SERIES || series % set->keys)
        return 2;
    struct history_device devices[SERIES];
    size_t count = series / set->keys;
    for (size_t d = 0; d < count; d++)
        history_device_make(set, (unsigned)d + 1, points / series, &devices[d]);
    for (size_t i = 0; i < points / series; i++) {
        for (size_t d = 0; d < count; d++) {
            for (size_t key = 0; key < set->keys; key++)
                print_row(d * set->keys + key + 1, &devices[d].keys[key][i]);
        }
    }
    for (size_t d = 0; d < count; d++)
        history_device_deinit(&devices[d]);
    return 0;
}

static size_t number(int argc, char **argv, int index, size_t otherwise)
{
    return argc > index ? (size_t)atoll(argv[index]) : otherwise;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "copy") == 0 && argc == 5)
        return print_rows(argv[2], number(argc, argv, 3, 0), number(argc, argv, 4, 0));
    struct options options = { .directory = argc > 2 ? argv[2] : "/tmp" };
    options.rounds = (unsigned)number(argc, argv, 4, 5);
    options.points = number(argc, argv, 3, strcmp(what, "space") == 0 ? 200000 : 1000000);
    if (options.rounds < 1 || options.rounds > ROUNDS_MAX || options.points < SERIES)
        what = "";
    if (strcmp(what, "space") == 0) {
        print_space(&options);
    } else if (strcmp(what, "read") == 0) {
        measure_series("temp 10 s", options.points, &options);
    } else if (strcmp(what, "year") == 0) {
        measure_series("temp 60 s", YEAR_MINUTES, &options);
    } else {
        fputs("usage: history_store space|read|year [directory [points [rounds]]]\n"
              "       history_store copy SET POINTS SERIES\n",
              stderr);
        return 2;
    }
    return 0;
}
