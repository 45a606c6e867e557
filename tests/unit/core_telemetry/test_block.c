/* Blocks: chunks are found and come back, summaries are right, damage is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/telemetry/block.h"
#include "unit/core_telemetry/made_points.h"

enum { CHUNKS_MAX = 600 };

struct fixture {
    struct ps_block_writer writer;
    struct ps_block_reader reader;
    struct ps_chunk_points decoded;
    struct ps_buf block;
    char *exact; /* the block in as many bytes, so that a read beyond it is seen by ASan */
    size_t chunks;
    struct made_chunk {
        uint32_t series;
        size_t count;
        struct ps_point *points;
        uint32_t *ttl_s;
    } made[CHUNKS_MAX];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(ps_block_writer_init(&f->writer), PS_OK);
    *state = f;
    return 0;
}

static void forget_chunks(struct fixture *f)
{
    for (size_t i = 0; i < f->chunks; i++) {
        free(f->made[i].points);
        free(f->made[i].ttl_s);
    }
    f->chunks = 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    forget_chunks(f);
    ps_block_writer_deinit(&f->writer);
    ps_block_reader_deinit(&f->reader);
    ps_chunk_points_deinit(&f->decoded);
    ps_buf_deinit(&f->block);
    free(f->exact);
    free(f);
    return 0;
}

static struct made_chunk *add(struct fixture *f, uint32_t series, size_t count,
                              enum made_times times, enum made_values values, unsigned seed)
{
    assert_true(f->chunks < CHUNKS_MAX);
    struct made_chunk *chunk = &f->made[f->chunks++];
    *chunk = (struct made_chunk){ .series = series, .count = count };
    chunk->points = calloc(count, sizeof *chunk->points);
    make_points(times, values, count, seed, chunk->points);
    return chunk;
}

static void copy_times(struct made_chunk *to, const struct made_chunk *from)
{
    for (size_t i = 0; i < to->count; i++)
        to->points[i].ts_ms = from->points[i].ts_ms;
}

static void give_ttl(struct made_chunk *chunk, uint32_t first_s, uint32_t others_s)
{
    chunk->ttl_s = calloc(chunk->count, sizeof *chunk->ttl_s);
    for (size_t i = 0; i < chunk->count; i++)
        chunk->ttl_s[i] = i ? others_s : first_s;
}

static void write_block(struct fixture *f)
{
    for (size_t i = 0; i < f->chunks; i++) {
        const struct made_chunk *c = &f->made[i];
        assert_int_equal(ps_block_writer_add(&f->writer, c->series, c->points, c->ttl_s, c->count),
                         PS_OK);
    }
    size_t promised = ps_block_writer_size(&f->writer);
    ps_buf_clear(&f->block);
    assert_int_equal(ps_block_writer_finish(&f->writer, &f->block), PS_OK);
    assert_int_equal(f->block.len, promised);
    assert_int_equal(ps_block_writer_size(&f->writer), 0);
}

static void check_chunk(struct fixture *f, size_t i)
{
    const struct made_chunk *c = &f->made[i];
    struct ps_chunk_info info;
    assert_int_equal(ps_block_decode(&f->reader, i, &f->decoded), PS_OK);
    assert_int_equal(f->decoded.count, c->count);
    ps_block_info(&f->reader, i, &info);
    assert_int_equal(info.series, c->series);
    assert_int_equal(ps_block_series(&f->reader, i), c->series);
    assert_int_equal(info.count, c->count);
    assert_true(info.first_ms == c->points[0].ts_ms);
    assert_true(info.last_ms == c->points[c->count - 1].ts_ms);
    for (size_t k = 0; k < c->count; k++) {
        assert_true(f->decoded.points[k].ts_ms == c->points[k].ts_ms);
        assert_true(ps_value_equal(&f->decoded.points[k].value, &c->points[k].value));
        if (f->decoded.ttl_s)
            assert_int_equal(f->decoded.ttl_s[k], c->ttl_s[k]);
    }
}

static void check_block(struct fixture *f)
{
    write_block(f);
    free(f->exact);
    f->exact = malloc(f->block.len);
    memcpy(f->exact, f->block.data, f->block.len);
    assert_int_equal(ps_block_open(&f->reader, f->exact, f->block.len), PS_OK);
    assert_int_equal(ps_block_count(&f->reader), f->chunks);
    for (size_t i = 0; i < f->chunks; i++) /* in order, as scans do */
        check_chunk(f, i);
    for (size_t i = f->chunks; i-- > 0;) /* and backwards, so that shared times are loaded anew */
        check_chunk(f, i);
    for (size_t i = 0; i < f->chunks; i++) { /* by series: the first chunk of it */
        ptrdiff_t found = ps_block_find(&f->reader, f->made[i].series);
        assert_true(found >= 0 && (size_t)found <= i);
        assert_int_equal(f->made[found].series, f->made[i].series);
        assert_true(found == 0 || f->made[found - 1].series < f->made[i].series);
    }
}

static void blocks_of_any_chunks_come_back(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 150; round++) {
        unsigned seed = round;
        size_t chunks = 1 + (size_t)rand_r(&seed) % (round % 10 ? 12 : CHUNKS_MAX);
        uint32_t series = (uint32_t)rand_r(&seed) % 3;
        for (size_t i = 0; i < chunks; i++) {
            struct made_chunk *c =
                add(f, series, 1 + (size_t)rand_r(&seed) % (round % 3 ? 8 : 200),
                    (enum made_times)(rand_r(&seed) % MADE_ANYWHERE),
                    (enum made_values)(rand_r(&seed) % MADE_VALUES), round * 1000 + (unsigned)i);
            if (i && rand_r(&seed) % 2) {
                const struct made_chunk *earlier =
                    &f->made[i - 1 - (size_t)rand_r(&seed) % (i < 5 ? i : 5)];
                c->count = c->count < earlier->count ? c->count : earlier->count;
                copy_times(c, earlier);
            }
            if (rand_r(&seed) % 5 == 0)
                give_ttl(c, (uint32_t)rand_r(&seed) % 2 * 60, 3600);
            series += 1 + (uint32_t)rand_r(&seed) % 3 * ((uint32_t)rand_r(&seed) % 5000);
        }
        check_block(f);
        forget_chunks(f);
    }
}

static void a_series_may_have_several_chunks(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 6; i++) {
        struct made_chunk *c = add(f, 10 + i / 3, 50, MADE_JITTER, MADE_DECIMALS, 4);
        for (size_t k = 0; k < c->count; k++)
            c->points[k].ts_ms += (int64_t)(i % 3) * 500000;
    }
    check_block(f);
    assert_int_equal(ps_block_find(&f->reader, 10), 0);
    assert_int_equal(ps_block_find(&f->reader, 11), 3);
    assert_int_equal(ps_block_find(&f->reader, 9), -1);
    assert_int_equal(ps_block_find(&f->reader, 12), -1);
}

static void all_of_int64_and_all_series_ids_fit(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t ids[] = { 0, 1, UINT32_MAX - 1, UINT32_MAX };
        struct made_chunk *c = add(f, ids[i], i + 1, MADE_ANYWHERE, MADE_ANY_LONGS, i);
        c->points[0].ts_ms = INT64_MIN;
        if (i)
            c->points[i].ts_ms = INT64_MAX;
    }
    check_block(f);
}

/* Three keys a device at the same times: the second and third pay for no times. */
static void keys_that_arrive_together_share_their_times(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 240, MADE_JITTER, MADE_CONSTANT, 1);
    write_block(f);
    size_t alone = f->block.len;
    for (uint32_t i = 0; i < 3; i++) { /* one in between keeps its own */
        struct made_chunk *c = add(f, 2 + i, 240, MADE_JITTER, MADE_CONSTANT, 2 + i);
        if (i != 1)
            copy_times(c, &f->made[0]);
    }
    check_block(f);
    print_message("%zu bytes, with two sharing and one more %zu\n", alone, f->block.len);
    assert_true(f->block.len < 2 * alone + 30);
}

/* First, last and count are the same, one reading in between is a millisecond later. */
static void nearly_the_same_times_are_not_shared(void **state)
{
    struct fixture *f = *state;
    add(f, 1, 100, MADE_EXACT, MADE_COUNTER, 1);
    copy_times(add(f, 2, 100, MADE_EXACT, MADE_COUNTER, 2), &f->made[0]);
    f->made[1].points[50].ts_ms++;
    check_block(f);
}

static void many_small_chunks_take_few_bytes_each(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < CHUNKS_MAX; i++) {
        struct made_chunk *c = add(f, i + 1, 2, MADE_JITTER, MADE_BOOLEANS, i / 3);
        if (i % 3)
            copy_times(c, &f->made[i - 1]);
    }
    check_block(f);
    double bytes = (double)f->block.len / CHUNKS_MAX;
    print_message("%.2f bytes a chunk of two booleans\n", bytes);
    assert_true(bytes <= 9);
}

static void info_of_times_to_live_is_right(void **state)
{
    struct fixture *f = *state;
    struct ps_chunk_info info;
    add(f, 1, 5, MADE_EXACT, MADE_COUNTER, 1);
    give_ttl(add(f, 2, 5, MADE_EXACT, MADE_COUNTER, 1), 60, 60);
    give_ttl(add(f, 3, 5, MADE_EXACT, MADE_COUNTER, 1), 0, 60);
    give_ttl(add(f, 4, 5, MADE_EXACT, MADE_COUNTER, 1), UINT32_MAX, 60);
    give_ttl(add(f, 5, 5, MADE_EXACT, MADE_COUNTER, 1), 0, 0);
    check_block(f);
    static const struct {
        uint32_t min_s, max_s;
        bool has_default;
    } want[] = { { 0, 0, true },
                 { 60, 60, false },
                 { 60, 60, true },
                 { 60, UINT32_MAX, false },
                 { 0, 0, true } };
    for (size_t i = 0; i < 5; i++) {
        ps_block_info(&f->reader, i, &info);
        assert_int_equal(info.min_ttl_s, want[i].min_s);
        assert_int_equal(info.max_ttl_s, want[i].max_s);
        assert_int_equal(info.has_default_ttl, want[i].has_default);
    }
}

static bool is_near(double a, double b)
{
    return a == b || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b));
}

static void check_summary(const struct made_chunk *c, const struct ps_chunk_info *info)
{
    double min = INFINITY, max = -INFINITY, sum = 0;
    int64_t whole_min = INT64_MAX, whole_max = INT64_MIN, whole_sum = 0;
    bool has_real = false, numbers = true, has_nan = false;
    for (size_t i = 0; i < c->count; i++) {
        const struct ps_value *v = &c->points[i].value;
        numbers &= v->type == PS_VALUE_LONG || v->type == PS_VALUE_DOUBLE;
        if (!numbers)
            break;
        has_real |= v->type == PS_VALUE_DOUBLE;
        double real = v->type == PS_VALUE_LONG ? (double)v->integer : v->real;
        has_nan |= isnan(real);
        min = real < min ? real : min;
        max = real > max ? real : max;
        sum += real;
        if (v->type != PS_VALUE_LONG)
            continue;
        whole_min = v->integer < whole_min ? v->integer : whole_min;
        whole_max = v->integer > whole_max ? v->integer : whole_max;
        whole_sum = (int64_t)((uint64_t)whole_sum + (uint64_t)v->integer);
    }
    if (!numbers || has_nan || c->count < PS_BLOCK_SUMMARY_POINTS)
        assert_false(info->has_summary);
    if (!info->has_summary)
        return;
    assert_int_equal(info->summary.has_real, has_real);
    assert_true(info->summary.real_min == min && info->summary.real_max == max);
    assert_true(is_near(info->summary.real_sum, sum));
    if (has_real)
        return;
    assert_true(info->summary.whole_min == whole_min && info->summary.whole_max == whole_max);
    assert_true(info->summary.whole_sum == whole_sum);
}

static void summaries_are_those_of_the_points(void **state)
{
    struct fixture *f = *state;
    struct ps_chunk_info info;
    for (unsigned values = 0; values < MADE_VALUES; values++) {
        for (unsigned i = 0; i < 4; i++) {
            static const size_t counts[] = { 31, 32, 240, 1000 };
            add(f, values * 4 + i, counts[i], MADE_JITTER, values, values * 7 + i);
        }
    }
    check_block(f);
    size_t with_summary = 0;
    for (size_t i = 0; i < f->chunks; i++) {
        ps_block_info(&f->reader, i, &info);
        check_summary(&f->made[i], &info);
        with_summary += info.has_summary;
    }
    assert_true(with_summary >= 3 * 6); /* at least those of calm numbers */
}

static struct made_chunk *chunk_of(struct fixture *f, const struct ps_value *value)
{
    struct made_chunk *c = add(f, (uint32_t)f->chunks, 40, MADE_EXACT, MADE_CONSTANT, 1);
    for (size_t i = 0; i < c->count; i++)
        c->points[i].value = *value;
    return c;
}

static void there_is_no_summary_that_would_be_wrong(void **state)
{
    struct fixture *f = *state;
    struct ps_chunk_info info;
    const struct ps_value nan = made_real(NAN), one = made_real(1), infinite = made_real(INFINITY),
                          huge = made_long(INT64_MAX), big = made_long(1ll << 52);
    chunk_of(f, &nan);
    chunk_of(f, &one)->points[39].value = nan;
    chunk_of(f, &infinite)->points[20].value = made_real(-INFINITY);
    chunk_of(f, &huge);
    chunk_of(f, &big); /* its sum is beyond 2^53 */
    check_block(f);
    for (size_t i = 0; i < f->chunks; i++) {
        ps_block_info(&f->reader, i, &info);
        assert_false(info.has_summary);
    }
}

static void small_block(struct fixture *f)
{
    for (uint32_t i = 0; i < 9; i++)
        add(f, i + 1, 40, MADE_JITTER, (enum made_values)(i * 2), i);
    give_ttl(&f->made[3], 7, 9);
    copy_times(&f->made[5], &f->made[4]);
    write_block(f);
}

static void every_flipped_bit_is_seen(void **state)
{
    struct fixture *f = *state;
    small_block(f);
    assert_int_equal(ps_block_open(&f->reader, f->block.data, f->block.len), PS_OK);
    for (size_t at = 0; at < f->block.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            f->block.data[at] = (char)(f->block.data[at] ^ 1 << bit);
            assert_int_equal(ps_block_open(&f->reader, f->block.data, f->block.len), PS_EPROTO);
            assert_int_equal(ps_block_count(&f->reader), 0);
            f->block.data[at] = (char)(f->block.data[at] ^ 1 << bit);
        }
    }
}

static void seal(char *block, size_t len)
{
    uint64_t sum = XXH3_64bits(block + 9, len - 9);
    memcpy(block + 1, &sum, sizeof sum);
}

/* Opens and decodes all of it; whatever it says, nothing is read or written outside. */
static enum ps_status read_all(struct fixture *f, const char *block, size_t len)
{
    struct ps_chunk_info info;
    enum ps_status worst = ps_block_open(&f->reader, block, len);
    for (size_t i = 0; worst == PS_OK && i < ps_block_count(&f->reader); i++) {
        ps_block_info(&f->reader, i, &info);
        enum ps_status st = ps_block_decode(&f->reader, i, &f->decoded);
        if (st != PS_OK)
            worst = st;
    }
    return worst;
}

static void a_block_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    small_block(f);
    for (size_t len = 0; len < f->block.len; len++) {
        char *cut = malloc(len ? len : 1);
        memcpy(cut, f->block.data, len);
        assert_int_equal(read_all(f, cut, len), PS_EPROTO);
        if (len > 9) { /* even if the checksum were right */
            seal(cut, len);
            assert_int_equal(read_all(f, cut, len), PS_EPROTO);
        }
        free(cut);
    }
}

static void a_wrong_byte_under_a_right_checksum_does_no_harm(void **state)
{
    struct fixture *f = *state;
    small_block(f);
    char *exact = malloc(f->block.len);
    for (size_t at = 9; at < f->block.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(exact, f->block.data, f->block.len);
            exact[at] = (char)(exact[at] ^ 1 << bit);
            seal(exact, f->block.len);
            enum ps_status st = read_all(f, exact, f->block.len);
            assert_true(st == PS_OK || st == PS_EPROTO);
        }
    }
    free(exact);
}

/* Number of chunks, bytes of the directory, its entries, and the columns: of a LONG 0 three bytes.
 */
static const struct body_case {
    const char *name, *body;
    size_t len;
    enum ps_status want;
} body_cases[] = {
    { "a series twice", "\x02\x08\x00\x05\x01\x00\x03\x88\x00\x02\x05\x00\x00\x05\x00\x00", 16,
      PS_OK },
    { "no chunks", "\x00\x00", 2, PS_EPROTO },
    { "twice at one time", "\x02\x08\x00\x05\x01\x00\x03\x88\x00\x00\x05\x00\x00\x05\x00\x00", 16,
      PS_EPROTO },
    { "then an earlier time", "\x02\x08\x00\x05\x01\x00\x03\x88\x00\x01\x05\x00\x00\x05\x00\x00",
      16, PS_EPROTO },
    { "times of an entry that is not there", "\x01\x03\x01\x05\x03\x05\x00\x00", 8, PS_EPROTO },
    { "as many points as nobody", "\x01\x04\x08\x05\x00\x03\x05\x00\x00", 9, PS_EPROTO },
    { "a byte too many", "\x01\x05\x00\x05\x01\x00\x03\x05\x00\x00\x00", 11, PS_EPROTO },
    { "a byte too few", "\x01\x05\x00\x05\x01\x00\x03\x05\x00", 9, PS_EPROTO },
    { "a directory beyond the end", "\x01\x09\x00\x05\x01\x00\x03\x05\x00\x00", 10, PS_EPROTO },
    { "a directory with a rest", "\x01\x06\x00\x05\x01\x00\x03\x00\x05\x00\x00", 11, PS_EPROTO },
    { "more chunks than fit", "\xff\xff\xff\xff\x0f\x00", 6, PS_EPROTO },
    { "a series after the last",
      "\x02\x0c\x00\xff\xff\xff\xff\x0f\x01\x00\x03\x8c\x02\x00\x05\x00\x00\x05\x00\x00", 20,
      PS_EPROTO },
};

static void directories_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof body_cases / sizeof *body_cases; i++) {
        const struct body_case *c = &body_cases[i];
        char *block = malloc(9 + c->len);
        block[0] = 1;
        memcpy(block + 9, c->body, c->len);
        seal(block, 9 + c->len);
        enum ps_status st = read_all(f, block, 9 + c->len);
        if (st != c->want)
            print_error("%s\n", c->name);
        assert_int_equal(st, c->want);
        free(block);
    }
}

static void another_version_is_refused(void **state)
{
    struct fixture *f = *state;
    small_block(f);
    for (unsigned version = 0; version < 256; version++) {
        f->block.data[0] = (char)version;
        assert_int_equal(ps_block_open(&f->reader, f->block.data, f->block.len),
                         version == 1 ? PS_OK : PS_EPROTO);
    }
}

static void reset_forgets_the_chunks(void **state)
{
    struct fixture *f = *state;
    struct made_chunk *c = add(f, 9, 40, MADE_JITTER, MADE_DECIMALS, 1);
    assert_int_equal(ps_block_writer_add(&f->writer, c->series, c->points, NULL, c->count), PS_OK);
    ps_block_writer_reset(&f->writer);
    assert_int_equal(ps_block_writer_size(&f->writer), 0);
    c->series = 3; /* smaller than before: it is another block */
    check_block(f);
}

static void blocks_follow_each_other_in_a_buffer(void **state)
{
    struct fixture *f = *state;
    small_block(f);
    struct ps_buf both = { 0 };
    ps_buf_put(&both, f->block.data, f->block.len);
    for (size_t i = 0; i < f->chunks; i++)
        assert_int_equal(ps_block_writer_add(&f->writer, f->made[i].series, f->made[i].points,
                                             f->made[i].ttl_s, f->made[i].count),
                         PS_OK);
    assert_int_equal(ps_block_writer_finish(&f->writer, &both), PS_OK);
    assert_int_equal(both.len, 2 * f->block.len);
    assert_memory_equal(both.data + f->block.len, f->block.data, f->block.len);
    ps_buf_deinit(&both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_of_any_chunks_come_back),
        TEST(a_series_may_have_several_chunks),
        TEST(all_of_int64_and_all_series_ids_fit),
        TEST(keys_that_arrive_together_share_their_times),
        TEST(nearly_the_same_times_are_not_shared),
        TEST(many_small_chunks_take_few_bytes_each),
        TEST(info_of_times_to_live_is_right),
        TEST(summaries_are_those_of_the_points),
        TEST(there_is_no_summary_that_would_be_wrong),
        TEST(every_flipped_bit_is_seen),
        TEST(a_block_cut_anywhere_is_refused),
        TEST(a_wrong_byte_under_a_right_checksum_does_no_harm),
        TEST(directories_that_cannot_be_are_refused),
        TEST(another_version_is_refused),
        TEST(reset_forgets_the_chunks),
        TEST(blocks_follow_each_other_in_a_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
