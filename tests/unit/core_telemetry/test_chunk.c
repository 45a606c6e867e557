/* Chunks: every point comes back bit for bit, and bytes that are no chunk are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "core/telemetry/chunk.h"
#include "unit/core_telemetry/made_points.h"

struct fixture {
    struct ps_chunk_encoder *encoder;
    struct ps_chunk_points decoded;
    struct ps_buf bytes;
    struct ps_point points[PS_CHUNK_POINTS_MAX];
    uint32_t ttl_s[PS_CHUNK_POINTS_MAX];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(ps_chunk_encoder_create(&f->encoder), PS_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    ps_chunk_encoder_destroy(f->encoder);
    ps_chunk_points_deinit(&f->decoded);
    ps_buf_deinit(&f->bytes);
    free(f);
    return 0;
}

/* Decodes a copy of exactly that size, so that a read beyond it is seen by ASan. */
static enum ps_status decode_exact(struct fixture *f, const void *bytes, size_t len, char **exact)
{
    *exact = malloc(len ? len : 1);
    memcpy(*exact, bytes, len);
    return ps_chunk_decode(*exact, len, &f->decoded);
}

static void check_same(const struct fixture *f, const struct ps_point *want, const uint32_t *ttl_s,
                       size_t count)
{
    bool explicit_ttl = false;
    assert_int_equal(f->decoded.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(f->decoded.points[i].ts_ms == want[i].ts_ms);
        assert_true(ps_value_equal(&f->decoded.points[i].value, &want[i].value));
        explicit_ttl |= ttl_s && ttl_s[i];
    }
    assert_int_equal(f->decoded.ttl_s != NULL, explicit_ttl);
    for (size_t i = 0; explicit_ttl && i < count; i++)
        assert_int_equal(f->decoded.ttl_s[i], ttl_s[i]);
}

static void check_round_trip(struct fixture *f, const struct ps_point *points,
                             const uint32_t *ttl_s, size_t count)
{
    char *exact;
    ps_buf_clear(&f->bytes);
    ps_buf_put_text(&f->bytes, "before"); /* a chunk starts where the buffer ends */
    assert_int_equal(ps_chunk_encode(f->encoder, points, ttl_s, count, &f->bytes), PS_OK);
    assert_memory_equal(f->bytes.data, "before", 6);
    assert_int_equal(decode_exact(f, f->bytes.data + 6, f->bytes.len - 6, &exact), PS_OK);
    check_same(f, points, ttl_s, count);
    free(exact);
}

static void every_shape_of_data_comes_back(void **state)
{
    struct fixture *f = *state;
    static const size_t counts[] = { 1, 2, 3, 5, 17, 127, 128, 129, 130, 131, 240, 257, 1000 };
    for (unsigned times = 0; times < MADE_TIMES; times++) {
        for (unsigned values = 0; values < MADE_VALUES; values++) {
            for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
                make_points(times, values, counts[i], times * 1000 + values * 50 + (unsigned)i,
                            f->points);
                check_round_trip(f, f->points, NULL, counts[i]);
            }
        }
    }
}

static void the_greatest_chunk_comes_back(void **state)
{
    struct fixture *f = *state;
    for (unsigned values = 0; values < MADE_VALUES; values++) {
        make_points(values % MADE_TIMES, values, PS_CHUNK_POINTS_MAX, values, f->points);
        check_round_trip(f, f->points, NULL, PS_CHUNK_POINTS_MAX);
    }
}

static void random_shapes_come_back(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 2000; round++) {
        unsigned seed = round;
        size_t count = 1 + (size_t)rand_r(&seed) % (round % 20 ? 40 : 600);
        make_points((enum made_times)(rand_r(&seed) % MADE_TIMES),
                    (enum made_values)(rand_r(&seed) % MADE_VALUES), count, round, f->points);
        for (size_t i = 0; i < count; i++) {
            unsigned kind = round % 4;
            f->ttl_s[i] = kind == 0 ? 0 : kind == 1 ? 86400 : i % 7 ? 3600 * kind : 0;
            if (kind == 3 && i % 5 == 0)
                f->ttl_s[i] = UINT32_MAX - (uint32_t)rand_r(&seed);
        }
        check_round_trip(f, f->points, round % 5 ? f->ttl_s : NULL, count);
    }
}

#define REAL(x)                                                                                    \
    {                                                                                              \
        .type = PS_VALUE_DOUBLE, .real = (x)                                                       \
    }
#define WHOLE(x)                                                                                   \
    {                                                                                              \
        .type = PS_VALUE_LONG, .integer = (x)                                                      \
    }
#define TEXT(kind, bytes)                                                                          \
    {                                                                                              \
        .type = kind, .text = bytes, .len = sizeof bytes - 1                                       \
    }

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void extreme_values_come_back_bit_for_bit(void **state)
{
    struct fixture *f = *state;
    const struct ps_value values[] = {
        { .type = PS_VALUE_BOOLEAN, .boolean = false },
        { .type = PS_VALUE_BOOLEAN, .boolean = true },
        WHOLE(INT64_MIN),
        WHOLE(INT64_MAX),
        WHOLE(0),
        WHOLE(-1),
        WHOLE(1ll << 53),
        WHOLE((1ll << 51) - 1),
        REAL(NAN),
        REAL(-NAN),
        REAL(double_of(0xfff8dead0000beefull)),
        REAL(double_of(0x7ff0000000000001ull)), /* signalling */
        REAL(0.0),
        REAL(-0.0),
        REAL(INFINITY),
        REAL(-INFINITY),
        REAL(1.7976931348623157e308),
        REAL(-1.7976931348623157e308),
        REAL(5e-324),
        REAL(2.2250738585072014e-308),
        REAL(0.1),
        REAL(-0.000001),
        REAL(0.1 + 0.2),
        REAL(1e15),
        REAL(4503599627370495.5),
        REAL(9007199254740993.0),
        REAL(0x1p51),
        REAL(-0x1p51),
        REAL(0x1p51 - 0.5),
        REAL(21.299999237060547),
        TEXT(PS_VALUE_STRING, ""),
        TEXT(PS_VALUE_STRING, "\0\xff"),
        { .type = PS_VALUE_STRING, .text = NULL, .len = 0 },
        TEXT(PS_VALUE_JSON, "{\"a\":[1,2]}"),
        TEXT(PS_VALUE_JSON, "[]"),
    };
    enum { VALUES = sizeof values / sizeof *values };
    for (size_t i = 0; i < VALUES; i++) { /* alone, twice, and beside any other */
        f->points[0] = (struct ps_point){ INT64_MIN, values[i] };
        f->points[1] = (struct ps_point){ INT64_MAX, values[i] };
        check_round_trip(f, f->points, NULL, 1);
        check_round_trip(f, f->points + 1, NULL, 1);
        check_round_trip(f, f->points, NULL, 2);
        for (size_t k = 0; k < VALUES; k++) {
            f->points[1] = (struct ps_point){ -1, values[k] };
            f->points[2] = (struct ps_point){ 0, values[i] };
            f->points[3] = (struct ps_point){ INT64_MAX, values[k] };
            check_round_trip(f, f->points, NULL, 4);
        }
    }
    for (size_t i = 0; i < VALUES; i++) /* all together */
        f->points[i] = (struct ps_point){ (int64_t)i, values[i] };
    check_round_trip(f, f->points, NULL, VALUES);
    for (size_t i = 0; i < 300; i++) /* one among many of a calm series */
        f->points[i] = (struct ps_point){ (int64_t)i * 1000, REAL(20.5) };
    for (size_t i = 0; i < VALUES; i++) {
        f->points[150].value = values[i];
        check_round_trip(f, f->points, NULL, 300);
    }
}

static void times_at_the_ends_of_int64_come_back(void **state)
{
    struct fixture *f = *state;
    static const int64_t times[] = {
        INT64_MIN, INT64_MIN + 1, INT64_MIN + 1000, -(1ll << 42) - 1, -1,       0,
        1,         1ll << 42,     INT64_MAX - 1000, INT64_MAX - 1,    INT64_MAX
    };
    enum { TIMES = sizeof times / sizeof *times };
    for (unsigned mask = 1; mask < 1u << TIMES; mask++) { /* every choice of them */
        size_t count = 0;
        for (unsigned i = 0; i < TIMES; i++) {
            if (mask >> i & 1)
                f->points[count++] = (struct ps_point){ times[i], WHOLE(i) };
        }
        check_round_trip(f, f->points, NULL, count);
    }
}

static void texts_too_long_to_compress_come_back(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = { PS_CHUNK_TEXT_BYTES_MAX - 1, PS_CHUNK_TEXT_BYTES_MAX,
                                      PS_CHUNK_TEXT_BYTES_MAX + 1, 3 * PS_CHUNK_TEXT_BYTES_MAX };
    char *text = malloc(3 * PS_CHUNK_TEXT_BYTES_MAX);
    memset(text, 'x', 3 * PS_CHUNK_TEXT_BYTES_MAX);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        f->points[0] = (struct ps_point){
            1, { .type = PS_VALUE_STRING, .text = text, .len = (uint32_t)lengths[i] }
        };
        check_round_trip(f, f->points, NULL, 1);
        bool compressed = lengths[i] <= PS_CHUNK_TEXT_BYTES_MAX;
        assert_true(f->bytes.len < lengths[i] / 100 || !compressed);
        assert_true(f->bytes.len > lengths[i] || compressed);
    }
    free(text);
}

static void the_same_points_make_the_same_bytes(void **state)
{
    struct fixture *f = *state;
    struct ps_buf again = { 0 };
    make_points(MADE_JITTER, MADE_RUNS_OF_TYPES, 900, 5, f->points);
    check_round_trip(f, f->points, NULL, 900);
    struct ps_chunk_encoder *fresh;
    assert_int_equal(ps_chunk_encoder_create(&fresh), PS_OK);
    assert_int_equal(ps_chunk_encode(fresh, f->points, NULL, 900, &again), PS_OK);
    assert_int_equal(again.len, f->bytes.len - 6);
    assert_memory_equal(again.data, f->bytes.data + 6, again.len);
    ps_chunk_encoder_destroy(fresh);
    ps_buf_deinit(&again);
}

static const struct size_case {
    const char *name;
    enum made_times times;
    enum made_values values;
    double most; /* bytes a point */
} size_cases[] = {
    { "decimals", MADE_JITTER, MADE_DECIMALS, 1.2 },
    { "whole and decimals", MADE_JITTER, MADE_WHOLE_AND_DECIMALS, 1.4 },
    { "singles", MADE_JITTER, MADE_SINGLES, 1.3 },
    { "counter", MADE_JITTER, MADE_COUNTER, 1.3 },
    { "booleans", MADE_JITTER, MADE_BOOLEANS, 0.75 },
    { "rare booleans", MADE_JITTER, MADE_RARE_BOOLEANS, 0.65 },
    { "constant, exact", MADE_EXACT, MADE_CONSTANT, 0.1 },
    { "gaps", MADE_GAPS, MADE_CONSTANT, 0.85 },
    { "lost readings", MADE_LOST, MADE_CONSTANT, 0.8 },
    { "drift", MADE_DRIFT, MADE_CONSTANT, 0.8 },
    { "noise", MADE_EXACT, MADE_NOISE, 7.0 },
    { "outliers", MADE_EXACT, MADE_OUTLIERS, 1.7 },
};

static void sensors_are_small(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof size_cases / sizeof *size_cases; i++) {
        const struct size_case *c = &size_cases[i];
        make_points(c->times, c->values, 240, 3, f->points);
        check_round_trip(f, f->points, NULL, 240);
        double bytes = (double)(f->bytes.len - 6) / 240;
        print_message("%s: %.2f bytes a point\n", c->name, bytes);
        assert_true(bytes <= c->most);
    }
}

static void a_chunk_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    for (unsigned values = 0; values < MADE_VALUES; values++) {
        make_points(values % MADE_TIMES, values, 150, values, f->points);
        check_round_trip(f, f->points, NULL, 150);
        for (size_t len = 0; len < f->bytes.len - 6; len++) {
            char *exact;
            assert_int_equal(decode_exact(f, f->bytes.data + 6, len, &exact), PS_EPROTO);
            assert_int_equal(f->decoded.count, 0);
            free(exact);
        }
    }
}

/* Whatever a wrong byte makes of a chunk, it is refused or is a possible chunk. */
static void a_wrong_byte_does_no_harm(void **state)
{
    struct fixture *f = *state;
    for (unsigned values = 0; values < MADE_VALUES; values++) {
        make_points(values % MADE_TIMES, values, 60, values, f->points);
        check_round_trip(f, f->points, NULL, 60);
        for (size_t at = 6; at < f->bytes.len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                char *exact;
                f->bytes.data[at] = (char)(f->bytes.data[at] ^ 1 << bit);
                enum ps_status st = decode_exact(f, f->bytes.data + 6, f->bytes.len - 6, &exact);
                assert_true(st == PS_OK || st == PS_EPROTO);
                for (size_t i = 1; i < f->decoded.count; i++)
                    assert_true(f->decoded.points[i - 1].ts_ms < f->decoded.points[i].ts_ms);
                f->bytes.data[at] = (char)(f->bytes.data[at] ^ 1 << bit);
                free(exact);
            }
        }
    }
}

static const struct broken_case {
    const char *name, *bytes;
    size_t len;
} broken_cases[] = {
    { "nothing", "", 0 },
    { "no points", "\x00\x00\x00\x00\x05\x00\x00", 7 },
    { "4097 points", "\x81\x20\x00\x80\x40\x00\x00\x05\x00\x00", 10 },
    { "one point that lasts", "\x01\x00\x05\x00\x05\x00\x00", 7 },
    { "two points at once", "\x02\x00\x00\x00\x05\x00\x00", 7 },
    { "three points in one millisecond", "\x03\x00\x01\x00\x00\x05\x00\x00", 8 },
    { "no kind of times", "\x03\x00\x14\x00\x04\x05\x00\x00", 8 },
    { "seconds, but not whole", "\x03\x00\x14\x00\x80\x05\x00\x00", 8 },
    { "no kind of value", "\x01\x00\x00\x00\x00\x00\x00", 7 },
    { "kind 13", "\x01\x00\x00\x00\x0d\x00\x00", 7 },
    { "places without decimals", "\x01\x00\x00\x00\x15\x00\x00", 7 },
    { "no shape of numbers", "\x01\x00\x00\x00\x05\x04\x00", 7 },
    { "boolean 2", "\x01\x00\x00\x00\x04\x00\x04", 7 },
    { "width 65", "\x01\x00\x00\x00\x05\x01\x41\x00\x00", 9 },
    { "more exceptions than values", "\x01\x00\x00\x00\x05\x01\x80\x00\x02\x00\x00\x00\x00", 13 },
    { "exception beside the block", "\x01\x00\x00\x00\x05\x01\x80\x00\x01\x01\x00", 11 },
    { "run beyond the end", "\x01\x00\x00\x00\x05\x03\x01\x00\x00\x00\x04", 11 },
    { "no runs", "\x01\x00\x00\x00\x05\x03\x00", 7 },
    { "runs of runs", "\x01\x00\x00\x00\x05\x03\x01\x03\x01\x00\x00\x00\x02\x00\x02", 15 },
    { "runs that end too early", "\x02\x00\x01\x00\x05\x03\x01\x00\x00\x00\x02", 11 },
    { "text number 1 of 1", "\x01\x00\x00\x00\x07\x01\x00\x00\x00\x00\x02", 11 },
    { "text of -1 bytes", "\x01\x00\x00\x00\x07\x01\x00\x01\x00\x00\x00", 11 },
    { "texts of -1 and 1 bytes", "\x02\x00\x01\x00\x07\x02\x01\x02\x01\x08\x00\x00\x00", 13 },
    { "mantissa of 2^52", "\x01\x00\x00\x00\x11\x00\x80\x80\x80\x80\x80\x80\x80\x20", 14 },
    { "nested mixture", "\x01\x00\x00\x00\x0c\x00\x04\x0c\x00\x04\x05\x00\x00", 13 },
    { "type null", "\x01\x00\x00\x00\x0c\x00\x00\x05\x00\x00", 10 },
    { "type 6", "\x01\x00\x00\x00\x0c\x00\x0c\x05\x00\x00", 10 },
    { "a double where a long is due", "\x01\x00\x00\x00\x0c\x00\x04\x01\x00\x00", 10 },
    { "ttl flag 2", "\x01\x00\x00\x02\x05\x00\x00", 7 },
    { "explicit ttl 0", "\x01\x00\x00\x01\x00\x00\x05\x00\x00", 9 },
    { "a point without ttl among explicit ones", "\x02\x00\x01\x01\x3c\x02\x00\x00\x05\x00\x00",
      11 },
    { "ttl above the greatest", "\x02\x00\x01\x01\x3c\x02\x00\x7c\x05\x00\x00", 11 },
    { "a byte too many", "\x01\x00\x00\x00\x05\x00\x00\x00", 8 },
};

static void chunks_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    char *exact;
    assert_int_equal(decode_exact(f, "\x01\x00\x00\x00\x05\x00\x00", 7, &exact), PS_OK);
    free(exact);
    for (size_t i = 0; i < sizeof broken_cases / sizeof *broken_cases; i++) {
        enum ps_status st = decode_exact(f, broken_cases[i].bytes, broken_cases[i].len, &exact);
        if (st != PS_EPROTO)
            print_error("%s\n", broken_cases[i].name);
        assert_int_equal(st, PS_EPROTO);
        free(exact);
    }
}

/* A megabyte and a byte of the same letter is a hundred bytes of zstd: nobody may be made to unpack
 * that. */
static void more_text_than_may_be_compressed_is_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t over = 0; over < 2; over++) {
        size_t len = PS_CHUNK_TEXT_BYTES_MAX + over, bound = ZSTD_compressBound(len);
        char *text = malloc(len), *packed = malloc(bound), *exact;
        memset(text, 'x', len);
        size_t packed_len = ZSTD_compress(packed, bound, text, len, 1);
        assert_false(ZSTD_isError(packed_len));
        assert_true(packed_len < 128 * 128);
        ps_buf_clear(&f->bytes);
        /* one point, a string; one text, all lengths are ... */
        ps_buf_put(&f->bytes, "\x01\x00\x00\x00\x07\x01\x00", 7);
        const char zigzag_len[] = { (char)(0x80 | over * 2), (char)0x80, (char)0x80, 1 };
        ps_buf_put(&f->bytes, zigzag_len, sizeof zigzag_len);
        const char form[] = { 1, (char)(0x80 | packed_len), (char)(packed_len >> 7) };
        ps_buf_put(&f->bytes, form, sizeof form);
        ps_buf_put(&f->bytes, packed, packed_len);
        ps_buf_put(&f->bytes, "\x00\x00", 2);
        assert_int_equal(decode_exact(f, f->bytes.data, f->bytes.len, &exact),
                         over ? PS_EPROTO : PS_OK);
        free(text);
        free(packed);
        free(exact);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_shape_of_data_comes_back),
        TEST(the_greatest_chunk_comes_back),
        TEST(random_shapes_come_back),
        TEST(extreme_values_come_back_bit_for_bit),
        TEST(times_at_the_ends_of_int64_come_back),
        TEST(texts_too_long_to_compress_come_back),
        TEST(the_same_points_make_the_same_bytes),
        TEST(sensors_are_small),
        TEST(a_chunk_cut_anywhere_is_refused),
        TEST(a_wrong_byte_does_no_harm),
        TEST(chunks_that_cannot_be_are_refused),
        TEST(more_text_than_may_be_compressed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
