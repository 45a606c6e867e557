/* Writing and reading runs: every query gives exactly the points that a plain array would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/telemetry/run_reader.h"
#include "unit/core_telemetry/range_world.h"

enum { TEXTS = 64, TEXT_SIZE = 24, PIECE = 700 };

/* One point as the reference keeps it. Texts are names of a fixed table. */
struct known_point {
    uint32_t series;
    struct ps_point point;
    uint32_t ttl_s;
};

struct reference {
    struct known_point *points; /* in (series, ts) order */
    size_t count, cap;
    bool has_ttl;
    char texts[TEXTS][TEXT_SIZE];
};

static void reference_init(struct reference *reference)
{
    *reference = (struct reference){ 0 };
    for (unsigned i = 0; i < TEXTS; i++)
        snprintf(reference->texts[i], TEXT_SIZE, "text %u", i * i * 7919);
}

static void reference_add(struct reference *reference, uint32_t series, int64_t ts_ms,
                          struct ps_value value, uint32_t ttl_s)
{
    if (reference->count == reference->cap) {
        reference->cap = reference->cap ? 2 * reference->cap : 1024;
        reference->points = realloc(reference->points, reference->cap * sizeof *reference->points);
        assert_non_null(reference->points);
    }
    reference->points[reference->count++] = (struct known_point){ series, { ts_ms, value }, ttl_s };
    reference->has_ttl |= ttl_s != 0;
}

static struct ps_value random_value(struct reference *reference, unsigned *seed, unsigned kinds)
{
    unsigned dice = (unsigned)rand_r(seed);
    struct ps_value value = { .type = (enum ps_value_type)(1 + dice % kinds) };
    if (value.type == PS_VALUE_BOOLEAN)
        value.boolean = dice / 8 % 2;
    else if (value.type == PS_VALUE_LONG)
        value.integer = (int64_t)dice - 1000000;
    else if (value.type == PS_VALUE_DOUBLE)
        value.real = (double)(dice % 10000) / 100;
    else {
        value.text = reference->texts[dice / 8 % TEXTS];
        value.len = (uint32_t)strlen(value.text);
    }
    return value;
}

/* Points are handed over in pieces, or a short series as a whole, from memory that is overwritten
 * afterwards. */
static struct ps_run write_reference(struct ps_run_file *file, int64_t run,
                                     const struct reference *reference)
{
    struct ps_run_writer *writer;
    struct ps_run meta = { .level = 0, .journal_first = run, .journal_last = run };
    assert_int_equal(ps_run_writer_begin(file, run, NULL, &writer), PS_OK);
    for (size_t i = 0; i < reference->count;) {
        struct ps_point points[PIECE];
        uint32_t ttl_s[PIECE];
        char texts[PIECE][TEXT_SIZE];
        size_t n = 0;
        uint32_t series = reference->points[i].series;
        bool begins = i == 0 || reference->points[i - 1].series != series;
        for (; n < PIECE && i < reference->count && reference->points[i].series == series; n++) {
            const struct known_point *known = &reference->points[i++];
            points[n] = known->point;
            ttl_s[n] = known->ttl_s;
            if (known->point.value.type >= PS_VALUE_STRING) {
                memcpy(texts[n], known->point.value.text, known->point.value.len);
                points[n].value.text = texts[n];
            }
        }
        bool whole = begins && (i == reference->count || reference->points[i].series != series);
        assert_int_equal((whole ? ps_run_writer_add_series : ps_run_writer_add)(
                             writer, series, points, reference->has_ttl ? ttl_s : NULL, n),
                         PS_OK);
        memset(points, 0x55, sizeof points);
        memset(texts, 0x55, sizeof texts);
        memset(ttl_s, 0x55, sizeof ttl_s);
    }
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(meta.points, reference->count);
    return meta;
}

static bool is_wanted(const struct ps_run_want *want, const struct known_point *known)
{
    return known->series >= want->series_from && known->series <= want->series_to &&
           known->point.ts_ms >= want->start_ms && known->point.ts_ms <= want->end_ms;
}

/* The next wanted point of the reference at or after (before, descending) *at. */
static const struct known_point *next_known(const struct reference *reference,
                                            const struct ps_run_want *want, ptrdiff_t *at)
{
    for (; *at >= 0 && *at < (ptrdiff_t)reference->count; *at += want->descending ? -1 : 1) {
        const struct known_point *known = &reference->points[*at];
        if (is_wanted(want, known)) {
            *at += want->descending ? -1 : 1;
            return known;
        }
    }
    return NULL;
}

static void assert_same_point(const struct known_point *known, uint32_t series,
                              const struct ps_chunk_points *points, size_t i)
{
    assert_non_null(known);
    assert_int_equal(series, known->series);
    assert_int_equal(points->points[i].ts_ms, known->point.ts_ms);
    assert_true(ps_value_equal(&points->points[i].value, &known->point.value));
    assert_int_equal(points->ttl_s ? points->ttl_s[i] : 0, known->ttl_s);
}

/* Returns how many chunks were given out. */
static size_t compare_query(struct ps_run_reader *reader, const struct reference *reference,
                            const struct ps_run_want *want, struct ps_chunk_points *points)
{
    struct ps_chunk_info info;
    enum ps_status st;
    size_t chunks = 0;
    ptrdiff_t at = want->descending ? (ptrdiff_t)reference->count - 1 : 0;
    ps_run_reader_restart(reader, want);
    for (; (st = ps_run_reader_next(reader, &info)) == PS_OK; chunks++) {
        assert_int_equal(ps_run_reader_decode(reader, points), PS_OK);
        assert_int_equal(points->count, info.count);
        for (size_t i = 0; i < points->count; i++) {
            size_t j = want->descending ? points->count - 1 - i : i;
            struct known_point found = { info.series, points->points[j], 0 };
            if (is_wanted(want, &found))
                assert_same_point(next_known(reference, want, &at), info.series, points, j);
        }
    }
    assert_int_equal(st, PS_ENOTFOUND);
    assert_null(next_known(reference, want, &at));
    assert_int_equal(ps_run_reader_next(reader, &info), PS_ENOTFOUND);
    return chunks;
}

static void random_queries(struct ps_run_reader *reader, const struct reference *reference,
                           unsigned *seed, int rounds)
{
    struct ps_chunk_points points = { 0 };
    for (int round = 0; round < rounds; round++) {
        const struct known_point *a = &reference->points[(size_t)rand_r(seed) % reference->count];
        const struct known_point *b = &reference->points[(size_t)rand_r(seed) % reference->count];
        struct ps_run_want want = { .series_from = a->series,
                                    .series_to = a->series,
                                    .start_ms = INT64_MIN,
                                    .end_ms = INT64_MAX,
                                    .descending = rand_r(seed) % 2 };
        switch (rand_r(seed) % 6) {
        case 0: /* all of everything */
            want.series_from = 0;
            want.series_to = UINT32_MAX;
            break;
        case 1: /* some series; maybe none */
            want.series_to = b->series;
            break;
        case 2: /* a series that is not there, mostly */
            want.series_from = want.series_to = a->series + 1;
            break;
        case 3: /* a time that begins and ends between points, too */
            want.start_ms = a->point.ts_ms;
            want.end_ms = b->point.ts_ms - (b->point.ts_ms > INT64_MIN);
            break;
        case 4:
            want.series_to = UINT32_MAX;
            want.end_ms = b->point.ts_ms;
            break;
        default:
            break;
        }
        compare_query(reader, reference, &want, &points);
    }
    ps_chunk_points_deinit(&points);
}

static struct ps_run_reader *open_reader(struct ps_run_file *file, int64_t run)
{
    struct ps_run_reader *reader = NULL;
    struct ps_run_want all = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, false };
    assert_int_equal(ps_run_reader_open(file, run, &all, &reader), PS_OK);
    return reader;
}

static void add_random_series(struct reference *reference, uint32_t series, size_t points,
                              unsigned *seed)
{
    int64_t ts_ms = rand_r(seed) % 8 == 0 ? INT64_MIN : rand_r(seed) % 100000;
    unsigned kinds = rand_r(seed) % 2 ? 3 : 5;
    bool with_ttl = rand_r(seed) % 3 == 0;
    for (size_t i = 0; i < points; i++) {
        uint32_t ttl_s = with_ttl && rand_r(seed) % 4 ? 1 + (uint32_t)rand_r(seed) % 1000 : 0;
        reference_add(reference, series, ts_ms, random_value(reference, seed, kinds), ttl_s);
        ts_ms += 1 + rand_r(seed) % 2000;
    }
    if (rand_r(seed) % 8 == 0 && ts_ms > 0)
        reference_add(reference, series, INT64_MAX, random_value(reference, seed, kinds), 0);
}

/* Several runs in one file, sizes from one point to many blocks, and two readers at a time. */
static void every_query_gives_what_a_plain_array_would(void **state)
{
    (void)state;
    enum { RUNS = 4 };
    static const uint32_t series_of[] = { 1,       2,          3,          4,          77,
                                          1000000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
    struct reference references[RUNS];
    struct ps_run_reader *readers[RUNS];
    struct range_world world;
    unsigned seed = 42;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    for (int run = 0; run < RUNS; run++) {
        reference_init(&references[run]);
        for (size_t i = 0; i < sizeof series_of / sizeof *series_of; i++) {
            static const size_t sizes[] = { 0, 1, 30, 5000, 20000 };
            size_t size = sizes[rand_r(&seed) % 5];
            add_random_series(&references[run], series_of[i], size, &seed);
        }
        reference_add(&references[run], UINT32_MAX, INT64_MAX,
                      (struct ps_value){ .type = PS_VALUE_BOOLEAN }, UINT32_MAX);
        if (references[run].points[references[run].count - 2].point.ts_ms == INT64_MAX &&
            references[run].points[references[run].count - 2].series == UINT32_MAX)
            references[run].count--;
        write_reference(file, run + 1, &references[run]);
    }
    struct ps_run_file *reading = range_world_open(&world, false);
    for (int run = 0; run < RUNS; run++)
        readers[run] = open_reader(run % 2 ? reading : file, run + 1);
    for (int round = 0; round < 6; round++) {
        for (int run = 0; run < RUNS; run++)
            random_queries(readers[run], &references[run], &seed, 3);
    }
    for (int run = 0; run < RUNS; run++) {
        ps_run_reader_close(readers[run]);
        free(references[run].points);
    }
    struct ps_run_verified sums;
    assert_int_equal(ps_run_file_verify(reading, true, NULL, NULL, &sums), PS_OK);
    assert_int_equal(sums.runs, RUNS);
    ps_run_file_close(reading);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static int64_t number_of(struct ps_run_file *file, const char *sql)
{
    struct ps_stmt *stmt;
    bool row = false;
    assert_int_equal(ps_db_prepare(ps_run_file_db(file), sql, &stmt), PS_OK);
    assert_int_equal(ps_stmt_step(stmt, &row), PS_OK);
    int64_t number = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return number;
}

/* Series that share blocks begin inside of one named after another series. */
static void thousands_of_tiny_series_share_blocks_and_are_found(void **state)
{
    (void)state;
    enum { SERIES = 5000 };
    struct reference reference;
    struct range_world world;
    struct ps_chunk_points points = { 0 };
    unsigned seed = 7;
    range_world_init(&world);
    reference_init(&reference);
    struct ps_run_file *file = range_world_open(&world, true);
    for (uint32_t series = 0; series < SERIES; series++) {
        size_t count = 1 + (size_t)rand_r(&seed) % 6;
        for (size_t i = 0; i < count; i++)
            reference_add(&reference, 10 + 3 * series, (int64_t)(series / 10 * 1000 + i * 10),
                          random_value(&reference, &seed, 5), 0);
    }
    write_reference(file, 1, &reference);
    struct ps_run_verified sums;
    assert_int_equal(ps_run_file_verify(file, true, NULL, NULL, &sums), PS_OK);
    assert_true(sums.blocks > 3 && sums.blocks < SERIES / 100);
    assert_int_equal(sums.chunks, SERIES);
    assert_int_equal(number_of(file, "SELECT count(*) FROM block WHERE id & 4095 > 0"), 0);
    struct ps_run_reader *reader = open_reader(file, 1);
    for (uint32_t series = 8; series < 12 + 3 * SERIES; series += 2) {
        struct ps_run_want want = { series, series, INT64_MIN, INT64_MAX, series % 4 == 0 };
        /* the reference is looked through in its whole length: only some of them */
        if (series % 256 == 0 || series > 3 * SERIES)
            compare_query(reader, &reference, &want, &points);
        struct ps_chunk_info info;
        ps_run_reader_restart(reader, &want);
        assert_int_equal(ps_run_reader_next(reader, &info),
                         series >= 10 && (series - 10) % 3 == 0 && (series - 10) / 3 < SERIES
                             ? PS_OK
                             : PS_ENOTFOUND);
    }
    random_queries(reader, &reference, &seed, 20);
    struct ps_run_want nothing[] = { { 5010, 4990, INT64_MIN, INT64_MAX, false },
                                     { 5010, 4990, INT64_MIN, INT64_MAX, true },
                                     { 0, UINT32_MAX, 1, 0, false } };
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        assert_int_equal(compare_query(reader, &reference, &nothing[i], &points), 0);
    ps_run_reader_close(reader);
    ps_run_file_close(file);
    ps_chunk_points_deinit(&points);
    free(reference.points);
    range_world_deinit(&world);
}

/* A short time out of a long series is read from the one or two blocks that have it. */
static void a_huge_series_is_read_only_where_it_is_wanted(void **state)
{
    (void)state;
    enum { POINTS = 600000 };
    struct reference reference;
    struct range_world world;
    struct ps_chunk_points points = { 0 };
    unsigned seed = 9;
    range_world_init(&world);
    reference_init(&reference);
    struct ps_run_file *file = range_world_open(&world, true);
    reference_add(&reference, 4, 0, (struct ps_value){ .type = PS_VALUE_LONG }, 0);
    for (int64_t i = 0; i < POINTS; i++) {
        struct ps_value value = { .type = PS_VALUE_DOUBLE, .real = (double)rand_r(&seed) / 3 };
        reference_add(&reference, 5, i * 1000 - 50000000, value, 0);
    }
    reference_add(&reference, 6, 0, (struct ps_value){ .type = PS_VALUE_LONG }, 0);
    struct ps_run meta = write_reference(file, 1, &reference);
    assert_int_equal(meta.min_ms, -50000000);
    assert_int_equal(meta.max_ms, (POINTS - 1) * INT64_C(1000) - 50000000);
    struct ps_run_reader *reader = open_reader(file, 1);
    for (int down = 0; down < 2; down++) {
        struct ps_run_want all = { 5, 5, INT64_MIN, INT64_MAX, down };
        assert_true(compare_query(reader, &reference, &all, &points) >=
                    POINTS / PS_CHUNK_POINTS_MAX);
        struct ps_run_want little = { 5, 5, 100000500, 100003500, down };
        assert_true(compare_query(reader, &reference, &little, &points) <= 2);
        struct ps_run_want none = { 5, 5, 100000001, 100000999, down };
        assert_true(compare_query(reader, &reference, &none, &points) <= 2);
        struct ps_run_want beyond = { 5, 6, INT64_MAX - 5, INT64_MAX, down };
        assert_int_equal(compare_query(reader, &reference, &beyond, &points), 0);
        struct ps_run_want ends = { 4, 6, 0, 0, down };
        assert_int_equal(compare_query(reader, &reference, &ends, &points), 3);
    }
    struct ps_run_verified sums;
    assert_int_equal(ps_run_file_verify(file, false, NULL, NULL, &sums), PS_OK);
    assert_true(sums.blocks > 100); /* several slices, too */
    assert_true(sums.bytes > PS_RUN_SLICE_BYTES);
    assert_int_equal(sums.bytes, meta.bytes);
    ps_run_reader_close(reader);
    ps_run_file_close(file);
    ps_chunk_points_deinit(&points);
    free(reference.points);
    range_world_deinit(&world);
}

/* Many parts of one series: blocks grow, so that the few bits for their number suffice. */
static void blocks_of_a_series_grow_with_their_number(void **state)
{
    (void)state;
    enum { TEXT = 20000, POINTS = 2500 };
    struct range_world world;
    struct ps_run_writer *writer;
    struct ps_run meta = { 0 };
    uint64_t noise = 3;
    static char text[TEXT];
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    assert_int_equal(ps_run_writer_begin(file, 1, NULL, &writer), PS_OK);
    for (int64_t i = 0; i < POINTS; i++) {
        for (size_t c = 0; c < TEXT; c += sizeof noise) {
            noise = noise * 6364136223846793005u + 1442695040888963407u;
            memcpy(text + c, &noise, sizeof noise);
        }
        struct ps_point point = { i, { .type = PS_VALUE_STRING, .text = text, .len = TEXT } };
        assert_int_equal(ps_run_writer_add(writer, 1, &point, NULL, 1), PS_OK);
    }
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    struct ps_run_verified sums;
    assert_int_equal(ps_run_file_verify(file, false, NULL, NULL, &sums), PS_OK);
    assert_int_equal(sums.points, POINTS);
    assert_true(number_of(file, "SELECT max(length(body)) FROM block") >
                3 * number_of(file, "SELECT min(length(body)) FROM block") / 2);
    assert_int_equal(number_of(file, "SELECT max(id) FROM block"),
                     ps_block_id(1, 1, (uint32_t)sums.blocks - 1));
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static void the_run_tells_times_and_times_to_live(void **state)
{
    (void)state;
    static const struct {
        uint32_t ttl_s[2];
        uint32_t max_ttl_s;
        bool has_default_ttl;
    } cases[] = {
        { { 0, 0 }, 0, true },
        { { 5, 0 }, 5, true },
        { { 0, 7 }, 7, true },
        { { 9, UINT32_MAX }, UINT32_MAX, false },
    };
    struct range_world world;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    for (int i = 0; i < 4; i++) {
        struct ps_run_writer *writer;
        struct ps_run meta = { .file = 3, .level = 2, .retired_ms = 8 };
        struct ps_point points[] = { { INT64_MIN, { .type = PS_VALUE_BOOLEAN } },
                                     { INT64_MAX, { .type = PS_VALUE_BOOLEAN } } };
        assert_int_equal(ps_run_writer_begin(file, i + 1, NULL, &writer), PS_OK);
        assert_int_equal(ps_run_writer_add(writer, 1, points, cases[i].ttl_s, 2), PS_OK);
        assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
        assert_int_equal(meta.run, i + 1);
        assert_int_equal(meta.file, 3);
        assert_int_equal(meta.retired_ms, 8);
        assert_int_equal(meta.points, 2);
        assert_true(meta.bytes > 0);
        assert_int_equal(meta.min_ms, INT64_MIN);
        assert_int_equal(meta.max_ms, INT64_MAX);
        assert_int_equal(meta.max_ttl_s, cases[i].max_ttl_s);
        assert_int_equal(meta.has_default_ttl, cases[i].has_default_ttl);
    }
    struct ps_run_list runs = { 0 };
    assert_int_equal(ps_run_file_runs(file, &runs), PS_OK);
    assert_int_equal(runs.count, 4);
    assert_int_equal(runs.items[3].max_ttl_s, UINT32_MAX);
    assert_int_equal(runs.items[3].level, 2);
    assert_false(runs.items[3].has_default_ttl);
    ps_run_list_deinit(&runs);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

/* ---- what is not a complete run ---- */

static size_t count_chunks(struct ps_run_reader *reader, uint32_t series, size_t *points)
{
    struct ps_run_want want = {
        .series_from = series, .series_to = series, .start_ms = INT64_MIN, .end_ms = INT64_MAX
    };
    struct ps_chunk_info info;
    struct ps_chunk_points decoded = { 0 };
    size_t chunks = 0;
    *points = 0;
    ps_run_reader_restart(reader, &want);
    for (; ps_run_reader_next(reader, &info) == PS_OK; chunks++) {
        assert_int_equal(ps_run_reader_decode(reader, &decoded), PS_OK);
        for (size_t i = 0; i < decoded.count; i++) {
            assert_int_equal(decoded.points[i].ts_ms, (*points)++);
            assert_int_equal(decoded.ttl_s ? decoded.ttl_s[i] : 0, decoded.points[i].ts_ms / 5000);
        }
    }
    ps_chunk_points_deinit(&decoded);
    return chunks;
}

/* No chunk holds more than a chunk can, nor more text than a few blocks. */
static void a_series_given_at_once_is_cut_into_chunks(void **state)
{
    (void)state;
    enum { NUMBERS = 10000, LONG_TEXTS = 600, LENGTH = 500 };
    static struct ps_point points[NUMBERS];
    static uint32_t ttl_s[NUMBERS];
    static char texts[LONG_TEXTS][LENGTH];
    struct range_world world;
    struct ps_run_writer *writer;
    struct ps_run meta = { 0 };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    assert_int_equal(ps_run_writer_begin(file, 1, NULL, &writer), PS_OK);
    for (int i = 0; i < NUMBERS; i++) {
        points[i] = (struct ps_point){ i, { .type = PS_VALUE_LONG, .integer = i } };
        ttl_s[i] = (uint32_t)i / 5000;
    }
    assert_int_equal(ps_run_writer_add_series(writer, 1, points, ttl_s, NUMBERS), PS_OK);
    for (int i = 0; i < LONG_TEXTS; i++) {
        memset(texts[i], 'a' + i % 26, LENGTH);
        points[i].value =
            (struct ps_value){ .type = PS_VALUE_STRING, .text = texts[i], .len = LENGTH };
    }
    assert_int_equal(ps_run_writer_add_series(writer, 2, points, NULL, LONG_TEXTS), PS_OK);
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(meta.points, NUMBERS + LONG_TEXTS);
    struct ps_run_reader *reader = open_reader(file, 1);
    size_t got;
    assert_int_equal(count_chunks(reader, 1, &got), 3);
    assert_int_equal(got, NUMBERS);
    assert_int_equal(count_chunks(reader, 2, &got), 5); /* of 68 KB of text */
    assert_int_equal(got, LONG_TEXTS);
    ps_run_reader_close(reader);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static void add_noise(struct ps_run_writer *writer, size_t points)
{
    unsigned seed = 1;
    for (size_t i = 0; i < points; i++) {
        struct ps_point point = { (int64_t)i,
                                  { .type = PS_VALUE_DOUBLE, .real = (double)rand_r(&seed) / 3 } };
        assert_int_equal(ps_run_writer_add(writer, 5, &point, NULL, 1), PS_OK);
    }
}

static void what_is_aborted_was_never_there(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 10, 100000, 900000 }; /* the last: after several slices */
    struct range_world world;
    struct ps_run_want all = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, false };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ps_run_writer *writer;
        struct ps_run_list numbers = { 0 };
        struct ps_run_reader *reader;
        assert_int_equal(ps_run_writer_begin(file, 1, NULL, &writer), PS_OK);
        add_noise(writer, sizes[i]);
        struct ps_run_file *other = range_world_open(&world, false);
        assert_int_equal(ps_run_reader_open(other, 1, &all, &reader), PS_ENOTFOUND);
        ps_run_file_close(other);
        ps_run_writer_abort(writer);
        assert_int_equal(ps_run_file_numbers(file, &numbers), PS_OK);
        assert_int_equal(numbers.count, 0);
        assert_false(ps_db_in_transaction(ps_run_file_db(file)));
    }
    ps_run_file_close(file);
    range_world_deinit(&world);
}

static void a_run_without_points_is_no_run(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_run_writer *writer;
    struct ps_run meta = { .points = 77 };
    struct ps_run_list numbers = { 0 };
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    assert_int_equal(ps_run_writer_begin(file, 1, NULL, &writer), PS_OK);
    assert_int_equal(ps_run_writer_add(writer, 5, NULL, NULL, 0), PS_OK);
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(meta.points, 0);
    assert_int_equal(ps_run_file_numbers(file, &numbers), PS_OK);
    assert_int_equal(numbers.count, 0);
    ps_run_file_close(file);
    range_world_deinit(&world);
}

/* A long merge lets a seal write its run in between, with the same handle. */
static void a_paused_run_lets_another_one_be_written(void **state)
{
    (void)state;
    struct range_world world;
    struct reference reference;
    struct ps_chunk_points points = { 0 };
    struct ps_run_writer *writer;
    struct ps_run meta = { 0 };
    struct ps_run_list runs = { 0 };
    unsigned seed = 5;
    range_world_init(&world);
    reference_init(&reference);
    struct ps_run_file *file = range_world_open(&world, true);
    for (uint32_t series = 1; series <= 30; series++)
        add_random_series(&reference, series, 1500, &seed);
    assert_int_equal(ps_run_writer_begin(file, 1, NULL, &writer), PS_OK);
    for (size_t i = 0; i < reference.count; i++) {
        const struct known_point *known = &reference.points[i];
        assert_int_equal(ps_run_writer_add(writer, known->series, &known->point, &known->ttl_s, 1),
                         PS_OK);
        if (i % 7919 != 0)
            continue;
        assert_int_equal(ps_run_writer_pause(writer), PS_OK);
        assert_false(ps_db_in_transaction(ps_run_file_db(file)));
        write_reference(file, 2 + (int64_t)(i / 7919), &reference);
        assert_int_equal(ps_run_writer_pause(writer), PS_OK);
    }
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(ps_run_file_runs(file, &runs), PS_OK);
    for (size_t i = 0; i < runs.count; i++) {
        struct ps_run_want all = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, false };
        struct ps_run_reader *reader = open_reader(file, (int64_t)i + 1);
        compare_query(reader, &reference, &all, &points);
        ps_run_reader_close(reader);
    }
    ps_run_list_deinit(&runs);
    ps_run_file_close(file);
    ps_chunk_points_deinit(&points);
    free(reference.points);
    range_world_deinit(&world);
}

/* A reader that was opened before keeps what it sees, and hinders nobody. */
static void a_reader_keeps_its_run_while_it_is_deleted(void **state)
{
    (void)state;
    struct reference reference;
    struct range_world world;
    struct ps_chunk_points points = { 0 };
    struct ps_run_reader *late;
    unsigned seed = 2;
    bool finished = false;
    range_world_init(&world);
    reference_init(&reference);
    add_random_series(&reference, 3, 30000, &seed);
    struct ps_run_file *file = range_world_open(&world, true);
    struct ps_run_file *reading = range_world_open(&world, false);
    write_reference(file, 1, &reference);
    struct ps_run_reader *reader = open_reader(reading, 1);
    while (!finished)
        assert_int_equal(ps_run_file_delete(file, 1, 3, &finished), PS_OK);
    write_reference(file, 2, &reference);
    struct ps_run_want all = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, false };
    compare_query(reader, &reference, &all, &points);
    assert_int_equal(ps_run_reader_open(reading, 2, &all, &late), PS_ENOTFOUND);
    ps_run_reader_close(reader);
    assert_int_equal(ps_run_reader_open(reading, 1, &all, &late), PS_ENOTFOUND);
    assert_int_equal(ps_run_reader_open(reading, 0, &all, &late), PS_ENOTFOUND);
    assert_int_equal(ps_run_reader_open(reading, INT64_MAX, &all, &late), PS_ENOTFOUND);
    assert_int_equal(ps_run_reader_open(reading, 2, &all, &late), PS_OK);
    compare_query(late, &reference, &all, &points);
    ps_run_reader_close(late);
    ps_run_file_close(reading);
    ps_run_file_close(file);
    ps_chunk_points_deinit(&points);
    free(reference.points);
    range_world_deinit(&world);
}

/* ---- damage ---- */

/* Each block of a run in turn is damaged: it is named, and all others are read. */
static void a_damaged_block_is_named_and_the_rest_is_read(void **state)
{
    (void)state;
    struct range_world world;
    struct ps_run_writer *writer;
    struct ps_run meta = { 0 };
    struct ps_run_verified sums;
    range_world_init(&world);
    struct ps_run_file *file = range_world_open(&world, true);
    assert_int_equal(ps_run_writer_begin(file, 1, NULL, &writer), PS_OK);
    add_noise(writer, 30000);
    assert_int_equal(ps_run_writer_commit(writer, &meta), PS_OK);
    assert_int_equal(ps_run_file_verify(file, false, NULL, NULL, &sums), PS_OK);
    for (int64_t damaged = 0; damaged < sums.blocks; damaged++) {
        struct ps_run_reader *reader = open_reader(file, 1);
        struct ps_chunk_points points = { 0 };
        struct ps_chunk_info info;
        char sql[160], name[64];
        int failures = 0;
        int64_t read = 0;
        enum ps_status st;
        ps_run_reader_close(reader); /* a writing handle cannot change what it reads */
        snprintf(sql, sizeof sql, "SELECT id FROM block ORDER BY id LIMIT 1 OFFSET %d",
                 (int)damaged);
        int64_t id = number_of(file, sql);
        snprintf(sql, sizeof sql,
                 "UPDATE block SET body = substr(body, 1, length(body) - 1) || x'5a'"
                 " WHERE id = (SELECT id FROM block ORDER BY id LIMIT 1 OFFSET %d)",
                 (int)damaged);
        assert_int_equal(ps_db_exec(ps_run_file_db(file), "SAVEPOINT t"), PS_OK);
        assert_int_equal(ps_db_exec(ps_run_file_db(file), sql), PS_OK);
        struct ps_run_want all = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, damaged % 2 };
        assert_int_equal(ps_run_reader_open(file, 1, &all, &reader), PS_OK);
        while ((st = ps_run_reader_next(reader, &info)) != PS_ENOTFOUND) {
            if (st == PS_OK) {
                assert_int_equal(ps_run_reader_decode(reader, &points), PS_OK);
                read += (int64_t)points.count;
                continue;
            }
            assert_int_equal(st, PS_EPROTO);
            snprintf(name, sizeof name, "2026-W47.db: block %lld", (long long)id);
            assert_non_null(strstr(ps_run_reader_error(reader), name));
            failures++;
        }
        assert_int_equal(failures, 1);
        assert_true(read < meta.points && read >= meta.points - 3 * PS_CHUNK_POINTS_MAX);
        ps_run_reader_close(reader);
        assert_int_equal(ps_db_exec(ps_run_file_db(file), "ROLLBACK TO t; RELEASE t"), PS_OK);
        ps_chunk_points_deinit(&points);
    }
    ps_run_file_close(file);
    range_world_deinit(&world);
}

/* Wrong bytes anywhere in the file: reading ends, with all points or with an error, never with
 * other points. */
static void wrong_bytes_anywhere_never_give_wrong_points(void **state)
{
    (void)state;
    struct reference reference;
    struct range_world world;
    unsigned seed = 11, found_damaged = 0;
    range_world_init(&world);
    reference_init(&reference);
    for (uint32_t series = 1; series < 40; series++)
        add_random_series(&reference, series, 400, &seed);
    struct ps_run_file *file = range_world_open(&world, true);
    write_reference(file, 1, &reference);
    ps_run_file_close(file);
    int64_t size = range_world_size(world.path);
    for (int round = 0; round < 300; round++) {
        long offset = (long)((int64_t)rand_r(&seed) % size);
        unsigned char old, wrong;
        FILE *stream = fopen(world.path, "rb");
        assert_int_equal(fseek(stream, offset, SEEK_SET), 0);
        assert_int_equal(fread(&old, 1, 1, stream), 1);
        fclose(stream);
        wrong = (unsigned char)(old ^ (1u << (rand_r(&seed) % 8)));
        range_world_overwrite(world.path, offset, &wrong, 1);
        struct ps_run_reader *reader = NULL;
        struct ps_run_want all = { 0, UINT32_MAX, INT64_MIN, INT64_MAX, round % 2 };
        struct ps_text why;
        enum ps_status st = ps_run_file_open(world.path, PS_RUN_FILE_READ, NULL, &file, &why);
        if (st == PS_OK) {
            st = ps_run_reader_open(file, 1, &all, &reader);
            struct ps_chunk_points points = { 0 };
            struct ps_chunk_info info;
            ptrdiff_t at = all.descending ? (ptrdiff_t)reference.count - 1 : 0;
            while (st == PS_OK && (st = ps_run_reader_next(reader, &info)) == PS_OK) {
                st = ps_run_reader_decode(reader, &points);
                for (size_t i = 0; st == PS_OK && i < points.count; i++)
                    assert_same_point(next_known(&reference, &all, &at), info.series, &points,
                                      all.descending ? points.count - 1 - i : i);
            }
            ps_run_reader_close(reader);
            ps_chunk_points_deinit(&points);
            ps_run_file_close(file);
        }
        found_damaged += st == PS_EPROTO;
        range_world_overwrite(world.path, offset, &old, 1);
    }
    assert_true(found_damaged > 100);
    free(reference.points);
    range_world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_query_gives_what_a_plain_array_would),
        cmocka_unit_test(thousands_of_tiny_series_share_blocks_and_are_found),
        cmocka_unit_test(a_huge_series_is_read_only_where_it_is_wanted),
        cmocka_unit_test(blocks_of_a_series_grow_with_their_number),
        cmocka_unit_test(the_run_tells_times_and_times_to_live),
        cmocka_unit_test(a_series_given_at_once_is_cut_into_chunks),
        cmocka_unit_test(what_is_aborted_was_never_there),
        cmocka_unit_test(a_run_without_points_is_no_run),
        cmocka_unit_test(a_paused_run_lets_another_one_be_written),
        cmocka_unit_test(a_reader_keeps_its_run_while_it_is_deleted),
        cmocka_unit_test(a_damaged_block_is_named_and_the_rest_is_read),
        cmocka_unit_test(wrong_bytes_anywhere_never_give_wrong_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
