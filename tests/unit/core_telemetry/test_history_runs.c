/* History over heads, journal and runs, against a model that remembers every arrival. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "unit/core_telemetry/history_world.h"

enum { HOURS = 1200, ROUNDS = 48, ASKED = 12 };

#define FROM_MS INT64_C(1767225600000) /* 2026-01-01: the times fill seven or eight weeks */
#define HOUR_MS INT64_C(3600000)

/* What must be there after every arrival so far. */
struct model {
    bool there;
    struct ps_value value;
    uint32_t ttl_s;
};

struct fixture {
    struct world world;
    struct model model[WORLD_SERIES][HOURS];
    unsigned seed;
};

enum { SEALED_SELDOM = 4, TURNS = 8 }; /* from this turn on nearly all is in the journal */

static unsigned draw(struct fixture *f, unsigned below)
{
    return (unsigned)rand_r(&f->seed) % below;
}

/* Series 1 has numbers, 2 all sorts, 3 longs only. */
static struct ps_value random_value(struct fixture *f, uint32_t series)
{
    static const char *const texts[] = { "", "a", "ab", "b", "some text" };
    unsigned kind = series == 3 ? 1 : series == 1 ? draw(f, 2) : draw(f, 5);
    const char *text = texts[draw(f, 5)];
    switch (kind) {
    case 0:
        return (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = draw(f, 1000) / 8.0 };
    case 1:
        return (struct ps_value){ .type = PS_VALUE_LONG, .integer = (int)draw(f, 1000) - 500 };
    case 2:
        return (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = draw(f, 2) };
    case 3:
        return (struct ps_value){ .type = PS_VALUE_JSON, .text = "{}", .len = 2 };
    default:
        return (struct ps_value){ .type = PS_VALUE_STRING,
                                  .text = text,
                                  .len = (uint32_t)strlen(text) };
    }
}

static struct arrival random_arrival(struct fixture *f, unsigned hour_now)
{
    /* Mostly new times, sometimes late ones. */
    unsigned hour = draw(f, 4) ? (hour_now + draw(f, 40)) % HOURS : draw(f, HOURS);
    uint32_t series = 1 + draw(f, WORLD_SERIES);
    return (struct arrival){ .series = series,
                             .point = { FROM_MS + hour * HOUR_MS, random_value(f, series) },
                             .ttl_s = draw(f, 6) ? 0 : 3600 * (1 + draw(f, 2 * HOURS)) };
}

static void remember(struct fixture *f, const struct arrival *arrival)
{
    f->model[arrival->series - 1][(arrival->point.ts_ms - FROM_MS) / HOUR_MS] =
        (struct model){ .there = true, .value = arrival->point.value, .ttl_s = arrival->ttl_s };
}

static struct world_deletion random_deletion(struct fixture *f)
{
    int64_t start_ms = FROM_MS + draw(f, HOURS) * HOUR_MS;
    return (struct world_deletion){ .series = 1 + draw(f, WORLD_SERIES),
                                    .start_ms = start_ms,
                                    .end_ms = start_ms + (1 + draw(f, 100)) * HOUR_MS };
}

static void forget(struct fixture *f, const struct world_deletion *deletion)
{
    for (unsigned hour = 0; hour < HOURS; hour++) {
        int64_t ts_ms = FROM_MS + hour * HOUR_MS;
        if (ts_ms >= deletion->start_ms && ts_ms < deletion->end_ms)
            f->model[deletion->series - 1][hour].there = false;
    }
}

static void write_row(struct fixture *f, unsigned hour_now)
{
    struct arrival row[WORLD_ROW_MAX];
    size_t count = 1 + draw(f, WORLD_ROW_MAX);
    struct world_deletion deletion = random_deletion(f);
    bool deletes = draw(f, 3) == 0;
    deletion.before = draw(f, (unsigned)count);
    for (size_t i = 0; i < count; i++)
        row[i] = random_arrival(f, hour_now);
    if (draw(f, 2)) { /* among them the record it stands before */
        deletion.series = row[deletion.before].series;
        deletion.start_ms = row[deletion.before].point.ts_ms - HOUR_MS;
        deletion.end_ms = deletion.start_ms + 3 * HOUR_MS;
    }
    for (size_t i = 0; i < count; i++) {
        if (deletes && i == deletion.before)
            forget(f, &deletion);
        remember(f, &row[i]);
    }
    world_write(&f->world, row, count, deletes ? &deletion : NULL);
}

static void delete_range(struct fixture *f)
{
    struct world_deletion deletion = random_deletion(f);
    world_delete(&f->world, deletion.series, deletion.start_ms, deletion.end_ms);
    forget(f, &deletion);
}

static bool is_alive(const struct fixture *f, const struct model *model, unsigned hour)
{
    int64_t ttl_s = model->ttl_s ? model->ttl_s : f->world.default_ttl_s;
    return model->there && (!ttl_s || FROM_MS + hour * HOUR_MS + ttl_s * 1000 > f->world.now_ms);
}

/* Alive points of [start, end), ascending. */
static size_t ask_model(const struct fixture *f, unsigned series, int64_t start_ms, int64_t end_ms,
                        struct ps_point *out)
{
    size_t count = 0;
    for (unsigned hour = 0; hour < HOURS; hour++) {
        const struct model *model = &f->model[series][hour];
        int64_t ts_ms = FROM_MS + hour * HOUR_MS;
        if (ts_ms >= start_ms && ts_ms < end_ms && is_alive(f, model, hour))
            out[count++] = (struct ps_point){ .ts_ms = ts_ms, .value = model->value };
    }
    return count;
}

/* Mostly with windows so small that the end of the journal needs many. */
static struct ps_history history_of(struct fixture *f)
{
    struct ps_history history = world_history(&f->world);
    history.window_points = draw(f, 3) ? 1 + draw(f, 30) : 0;
    return history;
}

static void read_all_series(struct fixture *f, const struct ps_history_query *query,
                            struct ps_points out[WORLD_SERIES])
{
    struct ps_history history = history_of(f);
    struct ps_series_copy copies[WORLD_SERIES];
    for (unsigned i = 0; i < WORLD_SERIES; i++)
        assert_int_equal(ps_series_copy(&f->world.table, f->world.series[i], query->start_ms,
                                        query->end_ms, &copies[i]),
                         PS_OK);
    memset(out, 0, WORLD_SERIES * sizeof *out);
    assert_int_equal(ps_history_read(&history, query, copies, WORLD_SERIES, out), PS_OK);
    assert_int_equal(history.damaged, 0);
    for (unsigned i = 0; i < WORLD_SERIES; i++)
        ps_series_copy_deinit(&copies[i]);
}

static void random_range(struct fixture *f, struct ps_history_query *query)
{
    unsigned from = draw(f, HOURS), hours = draw(f, 3) ? draw(f, HOURS) : draw(f, 10);
    query->start_ms = FROM_MS + from * HOUR_MS - draw(f, 2);
    query->end_ms = query->start_ms + hours * HOUR_MS + draw(f, 2);
}

static void check_raw(struct fixture *f)
{
    struct ps_history_query query = { .ascending = draw(f, 2),
                                      .limit = draw(f, 2) ? 1000000 : draw(f, 50) };
    struct ps_points out[WORLD_SERIES];
    struct ps_point want[HOURS];
    random_range(f, &query);
    read_all_series(f, &query, out);
    for (unsigned i = 0; i < WORLD_SERIES; i++) {
        size_t count = ask_model(f, i, query.start_ms, query.end_ms, want);
        size_t shown = count < query.limit ? count : query.limit;
        assert_int_equal(out[i].count, shown);
        for (size_t k = 0; k < shown; k++) {
            const struct ps_point *point = &want[query.ascending ? k : count - 1 - k];
            assert_int_equal(out[i].points[k].ts_ms, point->ts_ms);
            assert_true(ps_value_equal(&out[i].points[k].value, &point->value));
        }
        ps_points_deinit(&out[i]);
    }
}

/* ---- buckets ---- */

static int compare_text(const struct ps_value *a, const struct ps_value *b)
{
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->text, b->text, shorter);
    return order ? order : (int)a->len - (int)b->len;
}

static double real_of(const struct ps_value *value)
{
    return value->type == PS_VALUE_LONG ? (double)value->integer : value->real;
}

/* The contract's rules, point by point. */
static bool aggregate_naively(enum ps_aggregate aggregate, const struct ps_point *points,
                              size_t count, struct ps_value *out)
{
    bool reals = false;
    size_t numbers = 0;
    double sum = 0, best = 0;
    const struct ps_value *text = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &points[i].value;
        int sign = aggregate == PS_AGG_MAX ? -1 : 1;
        if (value->type == PS_VALUE_STRING && (!text || sign * compare_text(value, text) < 0))
            text = value;
        if (value->type != PS_VALUE_LONG && value->type != PS_VALUE_DOUBLE)
            continue;
        reals |= value->type == PS_VALUE_DOUBLE;
        sum += real_of(value);
        if (!numbers++ || sign * real_of(value) < sign * best)
            best = real_of(value);
    }
    bool ordered = aggregate == PS_AGG_MIN || aggregate == PS_AGG_MAX;
    double answer = ordered ? best : aggregate == PS_AGG_AVG ? sum / (double)numbers : sum;
    if (aggregate == PS_AGG_COUNT)
        *out = (struct ps_value){ .type = PS_VALUE_LONG, .integer = (int64_t)count };
    else if (ordered && !numbers && text)
        *out = *text;
    else if (reals || aggregate == PS_AGG_AVG)
        *out = (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = answer };
    else
        *out = (struct ps_value){ .type = PS_VALUE_LONG, .integer = (int64_t)answer };
    return count && (aggregate == PS_AGG_COUNT || numbers || (ordered && text));
}

static bool same_answer(const struct ps_value *a, const struct ps_value *b)
{
    if (a->type == PS_VALUE_DOUBLE && b->type == PS_VALUE_DOUBLE)
        return fabs(a->real - b->real) < 1e-9 * (1 + fabs(a->real));
    return ps_value_equal(a, b);
}

static void check_buckets(struct fixture *f)
{
    struct ps_history_query query = { .aggregate = PS_AGG_MIN + draw(f, 5),
                                      .interval_ms = HOUR_MS * (1 + draw(f, 300)) };
    struct ps_points out[WORLD_SERIES];
    struct ps_point want[HOURS];
    random_range(f, &query);
    read_all_series(f, &query, out);
    for (unsigned i = 0; i < WORLD_SERIES; i++) {
        size_t at = 0;
        for (int64_t start = query.start_ms; start < query.end_ms; start += query.interval_ms) {
            int64_t end =
                start + query.interval_ms < query.end_ms ? start + query.interval_ms : query.end_ms;
            struct ps_value value;
            size_t count = ask_model(f, i, start, end, want);
            if (!aggregate_naively(query.aggregate, want, count, &value))
                continue;
            assert_true(at < out[i].count);
            assert_int_equal(out[i].points[at].ts_ms, start + (end - start) / 2);
            assert_true(same_answer(&out[i].points[at].value, &value));
            at++;
        }
        assert_int_equal(out[i].count, at);
        ps_points_deinit(&out[i]);
    }
}

/* ---- thinning and the newest ---- */

static bool is_one_of(const struct ps_point *point, const struct ps_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (points[i].ts_ms == point->ts_ms)
            return ps_value_equal(&points[i].value, &point->value);
    }
    return false;
}

static void check_thinned(struct fixture *f)
{
    struct ps_history_query query = { .downsample = PS_DOWNSAMPLE_MINMAX + draw(f, 2),
                                      .points = 2 + draw(f, 100),
                                      .ascending = draw(f, 2) };
    struct ps_points out[WORLD_SERIES];
    struct ps_point want[HOURS];
    random_range(f, &query);
    read_all_series(f, &query, out);
    for (unsigned i = 0; i < WORLD_SERIES; i++) {
        size_t count = ask_model(f, i, query.start_ms, query.end_ms, want);
        assert_true(out[i].count <= query.points);
        assert_true((out[i].count > 0) == (count > 0));
        if (count <= query.points)
            assert_int_equal(out[i].count, count);
        for (size_t k = 0; k < out[i].count; k++) {
            assert_true(is_one_of(&out[i].points[k], want, count));
            if (k)
                assert_true((out[i].points[k].ts_ms > out[i].points[k - 1].ts_ms) ==
                            query.ascending);
        }
        ps_points_deinit(&out[i]);
    }
}

static void check_newest(struct fixture *f)
{
    struct ps_history history = history_of(f);
    struct ps_point want[HOURS];
    for (unsigned i = 0; i < WORLD_SERIES; i++) {
        size_t count = ask_model(f, i, INT64_MIN, INT64_MAX, want);
        struct ps_series_copy copy;
        struct ps_series_newest newest;
        assert_int_equal(ps_series_copy_all(&f->world.table, f->world.series[i], &copy), PS_OK);
        assert_int_equal(ps_history_newest(&history, &copy, &newest), PS_OK);
        assert_int_equal(newest.points.count, count > 0);
        if (count) {
            assert_int_equal(newest.points.points[0].ts_ms, want[count - 1].ts_ms);
            assert_true(ps_value_equal(&newest.points.points[0].value, &want[count - 1].value));
        }
        struct ps_point latest;
        enum ps_latest known =
            ps_series_latest(f->world.series[i], history.default_ttl_s, history.now_ms, &latest);
        if (known == PS_LATEST_UNKNOWN) {
            ps_series_learn_latest(f->world.series[i], &newest);
            known = ps_series_latest(f->world.series[i], history.default_ttl_s, history.now_ms,
                                     &latest);
        }
        assert_int_equal(known, count ? PS_LATEST_KNOWN : PS_LATEST_NONE);
        if (count)
            assert_int_equal(latest.ts_ms, want[count - 1].ts_ms);
        ps_series_newest_deinit(&newest);
        ps_series_copy_deinit(&copy);
    }
}

static void check_everything(struct fixture *f)
{
    f->world.now_ms = draw(f, 3) ? 0 : FROM_MS + draw(f, 2 * HOURS) * HOUR_MS;
    f->world.default_ttl_s = draw(f, 2) ? 0 : 3600 * draw(f, HOURS);
    for (unsigned i = 0; i < ASKED; i++) {
        check_raw(f);
        check_buckets(f);
        check_thinned(f);
    }
}

/* Runs of one and of several files, late points, replaced points, deletions before and after
 * sealing, all kinds of times to live; heads that have all, some or nothing of the end, which is
 * read in windows of all sizes. */
static void what_is_read_is_what_arrived_last(void **state)
{
    (void)state;
    struct fixture *f = calloc(1, sizeof *f);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        memset(f, 0, sizeof *f);
        f->seed = turn + 1;
        world_init(&f->world, turn % 2 ? 4 : 64);
        for (unsigned round = 0; round < ROUNDS; round++) {
            write_row(f, round * 18);
            if (draw(f, 4) == 0)
                delete_range(f);
            if (draw(f, turn < SEALED_SELDOM ? 5 : 40) == 0)
                world_seal(&f->world, draw(f, 4) ? PS_RANGE_WEEK : PS_RANGE_MONTH);
            if (round % 4 == 3)
                check_everything(f);
        }
        f->world.now_ms = FROM_MS + draw(f, HOURS) * HOUR_MS;
        check_newest(f);
        world_deinit(&f->world);
    }
    free(f);
}

/* A device that is silent for weeks: recent files are asked first, then all others. */
static void the_newest_point_may_be_old(void **state)
{
    (void)state;
    static const int64_t ages_ms[] = { 0, 1, 2, INT64_C(100) * 86400000, INT64_MIN, INT64_MAX };
    struct world w;
    world_init(&w, 4);
    struct arrival row[] = {
        { .series = 1, .point = { FROM_MS - 1, { .type = PS_VALUE_LONG, .integer = 1 } } },
        { .series = 1, .point = { FROM_MS, { .type = PS_VALUE_LONG, .integer = 2 } } },
    };
    world_write(&w, row, 2, NULL);
    world_seal(&w, PS_RANGE_WEEK);
    for (size_t i = 0; i < sizeof ages_ms / sizeof *ages_ms; i++) {
        struct ps_series_copy copy = { .id = 1 }; /* as after a start */
        struct ps_series_newest newest;
        if (__builtin_add_overflow(FROM_MS + INT64_C(35) * 86400000, ages_ms[i], &w.now_ms))
            w.now_ms = INT64_MAX;
        struct ps_history history = world_history(&w);
        assert_int_equal(ps_history_newest(&history, &copy, &newest), PS_OK);
        assert_int_equal(newest.points.count, 1);
        assert_int_equal(newest.points.points[0].ts_ms, FROM_MS);
        ps_series_newest_deinit(&newest);
    }
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_what_arrived_last),
        cmocka_unit_test(the_newest_point_may_be_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
