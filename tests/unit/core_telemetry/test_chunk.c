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
    static const size_t counts[] = { 1,   2,   3,   5,   7,   8,   9,   17,
                                     127, 128, 129, 130, 131, 240, 257, 1000 };
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

/* Encoders remember what helps them to guess; that shows in their speed only. */
static void what_came_before_changes_no_byte(void **state)
{
    struct fixture *f = *state;
    struct ps_buf alone = { 0 };
    for (unsigned round = 0; round < 3000; round++) {
        unsigned seed = round;
        size_t count = 1 + (size_t)rand_r(&seed) % (round % 10 ? 16 : 60);
        make_points((enum made_times)(rand_r(&seed) % MADE_TIMES),
                    (enum made_values)(rand_r(&seed) % MADE_VALUES), count, round, f->points);
        for (size_t i = 0; i < count && round % 3 == 0; i++) { /* decimals of any size and places */
            static const double powers[] = { 1, 10, 1e2, 1e5, 1e9, 1e12 };
            double whole = (double)(made_bits(&seed) >> (16 + rand_r(&seed) % 48));
            f->points[i].value = rand_r(&seed) % 4 ? made_real(whole / powers[rand_r(&seed) % 6])
                                                   : made_long((int64_t)whole);
        }
        check_round_trip(f, f->points, NULL, count);
        struct ps_chunk_encoder *fresh;
        assert_int_equal(ps_chunk_encoder_create(&fresh), PS_OK);
        ps_buf_clear(&alone);
        assert_int_equal(ps_chunk_encode(fresh, f->points, NULL, count, &alone), PS_OK);
        assert_int_equal(alone.len, f->bytes.len - 6);
        assert_memory_equal(alone.data, f->bytes.data + 6, alone.len);
        ps_chunk_encoder_destroy(fresh);
    }
    ps_buf_deinit(&alone);
}

#define SIXTY "0123456789 123456789 123456789 123456789 123456789 123456789"

/* Few texts are written as they are, more bytes of them compressed; the same text is there once. */
static void few_texts_come_back(void **state)
{
    struct fixture *f = *state;
    static const char text[] = SIXTY "abcdefgh" SIXTY;
    char *long_text = malloc(2000);
    memset(long_text, 'x', 2000);
    for (size_t count = 1; count <= 17; count++) {
        for (size_t len = 0; len <= 70; len++) {
            for (size_t i = 0; i < count; i++)
                f->points[i] =
                    (struct ps_point){ (int64_t)i,
                                       { .type = len % 2 ? PS_VALUE_STRING : PS_VALUE_JSON,
                                         .text = text + i % 3,
                                         .len = (uint32_t)(len + i % 2) } };
            check_round_trip(f, f->points, NULL, count);
        }
        for (size_t len = 1020; len < 1030; len++) {
            for (size_t i = 0; i < count; i++)
                f->points[i] = (struct ps_point){
                    (int64_t)i,
                    { .type = PS_VALUE_STRING, .text = long_text + i, .len = (uint32_t)len }
                };
            check_round_trip(f, f->points, NULL, count);
            assert_true(f->bytes.len < len + 100); /* the same text */
        }
    }
    free(long_text);
}

/* Sizes of few points, as a store of many series has them. */
static void few_points_are_small(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum made_times times;
        enum made_values values;
        size_t count, most; /* bytes */
    } cases[] = {
        { MADE_JITTER, MADE_DECIMALS, 1, 13 },  { MADE_JITTER, MADE_DECIMALS, 2, 17 },
        { MADE_JITTER, MADE_DECIMALS, 8, 27 },  { MADE_JITTER, MADE_COUNTER, 8, 27 },
        { MADE_JITTER, MADE_BOOLEANS, 8, 23 },  { MADE_EXACT, MADE_CONSTANT, 8, 17 },
        { MADE_EXACT, MADE_OUTLIERS, 8, 26 },   { MADE_JITTER, MADE_SINGLES, 8, 27 },
        { MADE_SECONDS, MADE_CONSTANT, 8, 20 }, { MADE_JITTER, MADE_WHOLE_AND_DECIMALS, 8, 27 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_points(cases[i].times, cases[i].values, cases[i].count, 3, f->points);
        check_round_trip(f, f->points, NULL, cases[i].count);
        print_message("few points %zu: %zu bytes\n", i, f->bytes.len - 6);
        assert_true(f->bytes.len - 6 <= cases[i].most);
    }
}

/* What the short way of few points is not to lose: a text is there once, one outlier is an
 * exception and does not widen the others. */
static void few_points_are_small_whatever_they_hold(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 16; i++)
        f->points[i] =
            (struct ps_point){ (int64_t)i * 1000, TEXT(PS_VALUE_STRING, "fifteen letters") };
    check_round_trip(f, f->points, NULL, 3);
    assert_true(f->bytes.len - 6 < 2 * 15);
    for (size_t i = 0; i < 16; i++)
        f->points[i].value = made_long(i == 9 ? 1000000000 : (int64_t)(i * 5 % 7));
    check_round_trip(f, f->points, NULL, 16);
    assert_true(f->bytes.len - 6 < 32);
}

/* Chunks as the first release wrote them. */
static const struct old_chunk {
    enum made_times times;
    enum made_values values;
    unsigned seed;
    size_t count, len;
    const char *bytes;
} old_chunks[] = {
    { MADE_JITTER, MADE_DECIMALS, 40, 1, 13,
      "\x01\xa2\xe5\xb5\xfe\xf9\x62\x00\x00\x21\x00\xde\x20" },
    { MADE_EXACT, MADE_OUTLIERS, 41, 16, 25,
      "\x10\xce\xf6\xb0\xfe\xf9\x62\xf0\x93\x09\x00\x80\x05\x02\x09\x04\x0d\x10\x97\xe5\x7e"
      "\x28\x70\x06\x0e" },
    { MADE_DRIFT, MADE_DECIMALS_AND_RARE_OTHERS, 42, 33, 68,
      "\x21\x8a\xb3\xb6\xfe\xf9\x62\xeb\xc3\x13\x00\x03\x05\x8c\x9c\x01\xc7\x94\x41\x1c"
      "\x55\xf3\x39\x54\x08\x43\x23\xa2\x65\x0e\x73\x23\x48\xc7\xc0\x02\x19\x01\x1e\xcb"
      "\xf0\x75\x62\x99\xe4\x39\x97\x02\xf0\x20\x04\x0d\x0c\xe7\x99\x42\xe3\xb2\x55\xa9"
      "\x60\x50\x46\xb2\xc6\x5a\x74\x73" },
    { MADE_LOST, MADE_WHOLE_AND_DECIMALS, 43, 6, 24,
      "\x06\xcc\xe8\xb5\xfe\xf9\x62\xcc\x86\x03\x00\x01\x04\x03\x62\x90\x13\x02\xe0\x20"
      "\x03\x02\x90\x5b" },
    { MADE_SECONDS, MADE_STATES, 44, 7, 34,
      "\x07\xc0\xfa\xae\xfe\xf9\x62\x90\x4e\x00\x81\x01\x00\x1b\x07\x04\x01\x02\x00\x2f\x00"
      "\x22\x61\x22\x61\x22\x3a\x7b\x22\x01\x02\x00\x90\x1f" },
    { MADE_JITTER, MADE_SINGLES, 45, 5, 23,
      "\x05\xfe\xbf\xae\xfe\xf9\x62\xc9\xb8\x02\x00\x01\x03\x0d\x3f\x00\x12\x01\x03\xd4\x20"
      "\xde\x10" },
    { MADE_DRIFT, MADE_RUNS_OF_TYPES, 46, 8, 26,
      "\x08\xf8\xeb\xb5\xfe\xf9\x62\xdb\xa2\x04\x00\x01\x04\x00\x23\x7d\x10\x21\x01\x04\xe4"
      "\x20\x48\x20\x43\xbd" },
    { MADE_LOST, MADE_RARE_BOOLEANS, 47, 24, 33,
      "\x18\xfc\x8d\xaf\xfe\xf9\x62\x9d\xef\x0f\x00\x02\x01\x16\xde\xd4\x03\x04\x09\x38\x08"
      "\x76\x7b\x82\x31\xb1\x7a\x98\x96\x53\x04\x00\x00" },
};

static void chunks_of_the_first_release_are_read(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof old_chunks / sizeof *old_chunks; i++) {
        const struct old_chunk *c = &old_chunks[i];
        char *exact;
        make_points(c->times, c->values, c->count, c->seed, f->points);
        assert_int_equal(decode_exact(f, c->bytes, c->len, &exact), PS_OK);
        check_same(f, f->points, NULL, c->count);
        free(exact);
    }
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

/* Chunks of a few points are read by code of their own. */
static const size_t broken_counts[] = { 1, 2, 3, 8, 16, 60, 150 };
enum { BROKEN_COUNTS = sizeof broken_counts / sizeof *broken_counts };

static void a_chunk_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    for (unsigned made = 0; made < MADE_VALUES * BROKEN_COUNTS; made++) {
        unsigned values = made % MADE_VALUES;
        size_t count = broken_counts[made / MADE_VALUES];
        make_points(made % MADE_TIMES, values, count, made, f->points);
        check_round_trip(f, f->points, NULL, count);
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
    for (unsigned made = 0; made < MADE_VALUES * (BROKEN_COUNTS - 1); made++) {
        unsigned values = made % MADE_VALUES;
        size_t count = broken_counts[made / MADE_VALUES];
        make_points(made % MADE_TIMES, values, count, made, f->points);
        check_round_trip(f, f->points, NULL, count);
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
    { "a delta without bytes", "\x02\x00\x01\x00\x05\x02\x00\x08\x00", 9 },
    { "an exception of two values", "\x02\x00\x01\x00\x05\x01\x81\x00\x01\x02\x00\x00", 12 },
    { "whole and decimal, mantissa of 2^52",
      "\x01\x00\x00\x00\x13\x00\x80\x80\x80\x80\x80\x80\x80\x20", 14 },
    { "shift of 64 bits", "\x01\x00\x00\x00\x06\x40\x00\x02", 8 },
    { "three texts of two points", "\x02\x00\x01\x00\x07\x03\x00\x02\x00\x61\x62\x63\x00\x00", 14 },
    { "texts beyond the end", "\x01\x00\x00\x00\x07\x01\x00\x08\x00\x61\x00\x00", 12 },
    { "texts packed by nobody", "\x01\x00\x00\x00\x07\x01\x00\x00\x02\x00\x00", 11 },
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
        TEST(what_came_before_changes_no_byte),
        TEST(few_texts_come_back),
        TEST(few_points_are_small),
        TEST(few_points_are_small_whatever_they_hold),
        TEST(chunks_of_the_first_release_are_read),
        TEST(sensors_are_small),
        TEST(a_chunk_cut_anywhere_is_refused),
        TEST(a_wrong_byte_does_no_harm),
        TEST(chunks_that_cannot_be_are_refused),
        TEST(more_text_than_may_be_compressed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
