/* The journal's blobs: what goes in comes out bit for bit, and damage is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/journal.h"

static void put_all(const struct ps_journal_record *records, size_t count, struct ps_buf *out)
{
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, out);
    for (size_t i = 0; i < count; i++)
        ps_journal_put(&encoder, records[i].series, records[i].ts_ms, &records[i].value,
                       records[i].ttl_s);
    ps_journal_finish(&encoder);
    assert_true(ps_buf_ok(out));
}

/* The blob is read from a block of its exact size, so reading past its end is seen. */
static void check_all(const struct ps_journal_record *want, size_t count, const struct ps_buf *blob)
{
    char *exact = malloc(blob->len);
    memcpy(exact, blob->data, blob->len);
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    assert_int_equal(ps_journal_open(&decoder, exact, blob->len), PS_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ps_journal_next(&decoder, &record), PS_OK);
        assert_int_equal(record.series, want[i].series);
        assert_true(record.ts_ms == want[i].ts_ms);
        assert_true(ps_value_equal(&record.value, &want[i].value));
        assert_int_equal(record.ttl_s, want[i].ttl_s);
        assert_int_equal(record.index, i);
    }
    assert_int_equal(ps_journal_next(&decoder, &record), PS_ENOTFOUND);
    assert_int_equal(ps_journal_next(&decoder, &record), PS_ENOTFOUND);
    free(exact);
}

static void check_round_trip(const struct ps_journal_record *records, size_t count)
{
    struct ps_buf blob = { 0 };
    ps_buf_put_text(&blob, "before"); /* a blob starts where the buffer ends */
    put_all(records, count, &blob);
    assert_memory_equal(blob.data, "before", 6);
    struct ps_buf own = { .data = blob.data + 6, .len = blob.len - 6 };
    check_all(records, count, &own);
    ps_buf_deinit(&blob);
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

static void extreme_values_come_back_bit_for_bit(void **state)
{
    (void)state;
    union {
        uint64_t bits;
        double real;
    } payload_nan = { .bits = 0xfff8dead0000beefull };
    const struct ps_journal_record records[] = {
        { .series = 1, .ts_ms = 0, .value = { .type = PS_VALUE_BOOLEAN, .boolean = false } },
        { .series = 1, .ts_ms = 0, .value = { .type = PS_VALUE_BOOLEAN, .boolean = true } },
        { .series = UINT32_MAX, .ts_ms = INT64_MAX, .value = WHOLE(INT64_MIN) },
        { .series = 0, .ts_ms = INT64_MIN, .value = WHOLE(INT64_MAX) },
        { .series = UINT32_MAX, .ts_ms = -1, .value = WHOLE(0) },
        { .series = 5, .ts_ms = 0, .value = WHOLE(-1) },
        { .series = 5, .ts_ms = INT64_MIN, .value = REAL(NAN) },
        { .series = 5, .ts_ms = INT64_MAX, .value = REAL(-NAN) },
        { .series = 6, .ts_ms = 1, .value = REAL(payload_nan.real) },
        { .series = 6, .ts_ms = 1, .value = REAL(0.0) },
        { .series = 6, .ts_ms = 1, .value = REAL(-0.0) },
        { .series = 6, .ts_ms = 1, .value = REAL(INFINITY) },
        { .series = 6, .ts_ms = 1, .value = REAL(-INFINITY) },
        { .series = 6, .ts_ms = 1, .value = REAL(1.7976931348623157e308) },
        { .series = 6, .ts_ms = 1, .value = REAL(-1.7976931348623157e308) },
        { .series = 6, .ts_ms = 1, .value = REAL(5e-324) },
        { .series = 6, .ts_ms = 1, .value = REAL(0.1) },
        { .series = 6, .ts_ms = 1, .value = REAL(-0.000001) },
        { .series = 6, .ts_ms = 1, .value = REAL(0.1 + 0.2) },
        { .series = 6, .ts_ms = 1, .value = REAL(21.5) },
        { .series = 6, .ts_ms = 1, .value = REAL(9007199254740991.0) },
        { .series = 6, .ts_ms = 1, .value = REAL(9007199254740992.0) },
        { .series = 6, .ts_ms = 1, .value = REAL(-9007199254740993.0) },
        { .series = 6, .ts_ms = 1, .value = REAL(1e15) },
        { .series = 6, .ts_ms = 1, .value = REAL(4503599627370495.5) },
        { .series = 7, .ts_ms = 1, .value = TEXT(PS_VALUE_STRING, "") },
        { .series = 7, .ts_ms = 1, .value = TEXT(PS_VALUE_STRING, "\0\xff") },
        { .series = 7, .ts_ms = 1, .value = TEXT(PS_VALUE_JSON, "{\"a\":[1,2]}") },
        { .series = 7, .ts_ms = 1, .value = { .type = PS_VALUE_STRING, .text = NULL, .len = 0 } },
        { .series = 7, .ts_ms = 1, .value = TEXT(PS_VALUE_STRING, "a"), .ttl_s = 1 },
        { .series = 7, .ts_ms = 1, .value = REAL(21.5), .ttl_s = UINT32_MAX },
        { .series = 7, .ts_ms = 1, .value = REAL(NAN), .ttl_s = 86400 },
        { .series = 7, .ts_ms = 1, .value = WHOLE(7), .ttl_s = 127 },
        { .series = 7, .ts_ms = 1, .value = TEXT(PS_VALUE_JSON, "[]"), .ttl_s = 128 },
        { .series = 7,
          .ts_ms = 1,
          .value = { .type = PS_VALUE_BOOLEAN, .boolean = true },
          .ttl_s = 2 },
    };
    check_round_trip(records, sizeof records / sizeof *records);
    check_round_trip(NULL, 0);
}

static void a_long_text_comes_back(void **state)
{
    (void)state;
    enum { LEN = 300 * 1000 };
    char *text = malloc(LEN);
    memset(text, 'x', LEN);
    const struct ps_journal_record record = {
        .series = 3, .ts_ms = 9, .value = { .type = PS_VALUE_JSON, .text = text, .len = LEN }
    };
    check_round_trip(&record, 1);
    free(text);
}

static uint64_t random_bits(unsigned *seed)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 5; i++)
        bits = bits << 15 ^ (uint64_t)rand_r(seed);
    return bits;
}

static struct ps_value random_value(unsigned *seed)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    struct ps_value value = { .type = (enum ps_value_type)(1 + rand_r(seed) % 5) };
    uint64_t bits = random_bits(seed);
    switch (value.type) {
    case PS_VALUE_NULL:
        break;
    case PS_VALUE_BOOLEAN:
        value.boolean = bits & 1;
        break;
    case PS_VALUE_LONG:
        value.integer = (int64_t)bits >> bits % 64;
        break;
    case PS_VALUE_DOUBLE:
        if (bits % 3 == 0)
            memcpy(&value.real, &bits, sizeof bits);
        else
            value.real = (double)((int64_t)bits >> (11 + bits % 50)) / pow(10, (double)(bits % 9));
        break;
    case PS_VALUE_STRING:
    case PS_VALUE_JSON:
        value.len = (uint32_t)(bits % sizeof text);
        value.text = text;
        break;
    }
    return value;
}

static void random_records_come_back(void **state)
{
    (void)state;
    enum { ROUNDS = 300, RECORDS_MAX = 200 };
    struct ps_journal_record records[RECORDS_MAX];
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned seed = round;
        size_t count = (size_t)rand_r(&seed) % RECORDS_MAX;
        for (size_t i = 0; i < count; i++)
            records[i] = (struct ps_journal_record){
                .series = (uint32_t)(random_bits(&seed) >> (random_bits(&seed) % 33 + 31)),
                .ts_ms = (int64_t)random_bits(&seed) >> random_bits(&seed) % 64,
                .value = random_value(&seed),
                .ttl_s = rand_r(&seed) % 3 ? 0 : (uint32_t)(random_bits(&seed) >> 32),
            };
        check_round_trip(records, count);
    }
}

static void sensor_blob(struct ps_buf *out, size_t messages, size_t keys)
{
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, out);
    for (size_t i = 0; i < messages; i++) {
        for (size_t k = 0; k < keys; k++) {
            struct ps_value value = REAL(20.0 + (double)((i * 7 + k * 13) % 100) / 10);
            ps_journal_put(&encoder, (uint32_t)(i * keys + k + 1), 1719830400000 + (int64_t)i * 3,
                           &value, 0);
        }
    }
    ps_journal_finish(&encoder);
}

static void a_regular_reading_takes_six_bytes_at_most(void **state)
{
    (void)state;
    struct ps_buf blob = { 0 };
    sensor_blob(&blob, 1000, 3);
    print_message("%.2f bytes a point\n", (double)blob.len / 3000);
    assert_true(blob.len <= 3000 * 6);
    ps_buf_deinit(&blob);
}

static void every_flipped_byte_is_seen(void **state)
{
    (void)state;
    struct ps_buf blob = { 0 };
    struct ps_journal_decoder decoder;
    sensor_blob(&blob, 20, 3);
    assert_int_equal(ps_journal_open(&decoder, blob.data, blob.len), PS_OK);
    for (size_t at = 0; at < blob.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            blob.data[at] = (char)(blob.data[at] ^ 1 << bit);
            assert_int_equal(ps_journal_open(&decoder, blob.data, blob.len), PS_EPROTO);
            blob.data[at] = (char)(blob.data[at] ^ 1 << bit);
        }
    }
    ps_buf_deinit(&blob);
}

static void a_cut_blob_is_seen(void **state)
{
    (void)state;
    struct ps_buf blob = { 0 };
    sensor_blob(&blob, 20, 3);
    for (size_t len = 0; len < blob.len; len++) {
        char *cut = malloc(len ? len : 1);
        memcpy(cut, blob.data, len);
        struct ps_journal_decoder decoder;
        assert_int_equal(ps_journal_open(&decoder, cut, len), PS_EPROTO);
        free(cut);
    }
    ps_buf_deinit(&blob);
}

/* Seals bytes as the encoder would, so that only the records themselves are wrong. */
static enum ps_status read_first(const char *bytes, size_t len)
{
    struct ps_journal_encoder encoder;
    struct ps_buf blob = { 0 };
    ps_journal_begin(&encoder, &blob);
    ps_buf_put(&blob, bytes, len);
    ps_journal_finish(&encoder);
    struct ps_journal_decoder decoder;
    struct ps_journal_record record = { .series = 4711 };
    char *exact = malloc(blob.len);
    memcpy(exact, blob.data, blob.len);
    assert_int_equal(ps_journal_open(&decoder, exact, blob.len), PS_OK);
    enum ps_status st = ps_journal_next(&decoder, &record);
    if (st != PS_OK)
        assert_int_equal(record.series, 4711); /* untouched */
    assert_int_equal(ps_journal_open(&decoder, exact, blob.len), PS_OK);
    enum ps_status skipped = ps_journal_next_of(&decoder, 4711, 4711, &record);
    assert_int_equal(skipped, st == PS_OK ? PS_ENOTFOUND : st); /* also of no interest */
    free(exact);
    ps_buf_deinit(&blob);
    return st;
}

static const struct broken_case {
    const char *name, *bytes;
    size_t len;
} broken_cases[] = {
    { "no time", "\x02", 1 },
    { "no kind", "\x02\x00", 2 },
    { "kind 0", "\x02\x00\x00", 3 },
    { "kind 7", "\x02\x00\x07\x01", 4 },
    { "decimal with 7 places", "\x02\x00\x17\x01", 4 },
    { "kind 255", "\x02\x00\xff\x01", 4 },
    { "kind 127 with a time to live", "\x02\x00\xff\x01\x01", 5 },
    { "time to live cut off", "\x02\x00\x81", 3 },
    { "time to live 0", "\x02\x00\x81\x00", 4 },
    { "time to live of 2^32 s", "\x02\x00\x81\x80\x80\x80\x80\x10", 8 },
    { "double of 7 bytes", "\x02\x00\x04\0\0\0\0\0\0\0", 10 },
    { "text longer than the blob",
      "\x02\x00\x05\x03"
      "ab",
      6 },
    { "text of 2^63 bytes", "\x02\x00\x05\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13 },
    { "endless varint", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12 },
    { "varint without end", "\x02\x00\x03\x80", 4 },
};

/* Whatever lies before it is passed over, and counted. */
static void a_series_is_found_among_others(void **state)
{
    (void)state;
    static const struct ps_value values[] = {
        { .type = PS_VALUE_BOOLEAN, .boolean = true },
        { .type = PS_VALUE_LONG, .integer = INT64_MIN },
        { .type = PS_VALUE_DOUBLE, .real = 21.5 },
        { .type = PS_VALUE_DOUBLE, .real = 1.0 / 3 },
        { .type = PS_VALUE_STRING, .text = "text", .len = 4 },
        { .type = PS_VALUE_JSON, .text = "{}", .len = 2 },
    };
    enum { VALUES = sizeof values / sizeof *values, SERIES = 5, RECORDS = VALUES * SERIES };
    struct ps_buf blob = { 0 };
    struct ps_journal_encoder encoder;
    ps_journal_begin(&encoder, &blob);
    for (uint32_t i = 0; i < RECORDS; i++)
        ps_journal_put(&encoder, 1 + i % SERIES, i * 10, &values[i % VALUES], i % 4 ? 0 : 60 + i);
    ps_journal_finish(&encoder);
    for (uint32_t first = 0; first <= SERIES + 1; first++) {
        for (uint32_t last = first; last <= SERIES + 1; last++) {
            struct ps_journal_decoder decoder;
            struct ps_journal_record record;
            assert_int_equal(ps_journal_open(&decoder, blob.data, blob.len), PS_OK);
            for (uint32_t i = 0; i < RECORDS; i++) {
                uint32_t series = 1 + i % SERIES;
                if (series < first || series > last)
                    continue;
                assert_int_equal(ps_journal_next_of(&decoder, first, last, &record), PS_OK);
                assert_int_equal(record.series, series);
                assert_int_equal(record.index, i);
                assert_int_equal(record.ts_ms, i * 10);
                assert_int_equal(record.ttl_s, i % 4 ? 0 : 60 + i);
                assert_true(ps_value_equal(&record.value, &values[i % VALUES]));
            }
            assert_int_equal(ps_journal_next_of(&decoder, first, last, &record), PS_ENOTFOUND);
        }
    }
    ps_buf_deinit(&blob);
}

static void records_that_cannot_be_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_cases / sizeof *broken_cases; i++) {
        enum ps_status st = read_first(broken_cases[i].bytes, broken_cases[i].len);
        if (st != PS_EPROTO)
            print_error("%s\n", broken_cases[i].name);
        assert_int_equal(st, PS_EPROTO);
    }
    assert_int_equal(read_first("\x02\x00\x01", 3), PS_OK);
    assert_int_equal(read_first("\x02\x00\x81\x01", 4), PS_OK);
}

/* What a release before the time to live has written is read after an update. */
static void version_1_is_still_read(void **state)
{
    (void)state;
    struct ps_buf blob = { 0 };
    struct ps_journal_encoder encoder;
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    ps_journal_begin(&encoder, &blob);
    ps_buf_put(&blob, "\x0a\x08\x11\x06\x00\x00\x82\x01", 8);
    ps_journal_finish(&encoder);
    blob.data[0] = 1;
    assert_int_equal(ps_journal_open(&decoder, blob.data, blob.len), PS_OK);
    assert_int_equal(ps_journal_next(&decoder, &record), PS_OK);
    assert_int_equal(record.series, 5);
    assert_int_equal(record.ts_ms, 4);
    assert_int_equal(record.value.type, PS_VALUE_DOUBLE);
    assert_true(record.value.real == 0.3);
    assert_int_equal(record.ttl_s, 0);
    /* there, the kind of a point with a time to live is no kind */
    assert_int_equal(ps_journal_next(&decoder, &record), PS_EPROTO);
    ps_buf_deinit(&blob);
}

static void another_version_is_refused(void **state)
{
    (void)state;
    struct ps_buf blob = { 0 };
    struct ps_journal_decoder decoder;
    sensor_blob(&blob, 1, 1);
    blob.data[0] = 3;
    assert_int_equal(ps_journal_open(&decoder, blob.data, blob.len), PS_EPROTO);
    blob.data[0] = 0;
    assert_int_equal(ps_journal_open(&decoder, blob.data, blob.len), PS_EPROTO);
    ps_buf_deinit(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extreme_values_come_back_bit_for_bit),
        cmocka_unit_test(a_long_text_comes_back),
        cmocka_unit_test(random_records_come_back),
        cmocka_unit_test(a_regular_reading_takes_six_bytes_at_most),
        cmocka_unit_test(every_flipped_byte_is_seen),
        cmocka_unit_test(a_cut_blob_is_seen),
        cmocka_unit_test(a_series_is_found_among_others),
        cmocka_unit_test(records_that_cannot_be_are_refused),
        cmocka_unit_test(version_1_is_still_read),
        cmocka_unit_test(another_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
