/* Pages of series: what is packed is unpacked, and wrong bytes are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "core/telemetry/id_set.h"
#include "core/telemetry/series_page.h"

static struct ps_run_series series_of(uint32_t id, uint32_t device, const char *key)
{
    struct ps_run_series series = { .id = id, .key = key, .key_len = strlen(key) };
    series.entity.type = device % 5 ? PS_ENTITY_DEVICE : PS_ENTITY_ASSET;
    memcpy(series.entity.id.bytes + 4, &device, sizeof device);
    return series;
}

static void assert_next(struct ps_series_page *page, const struct ps_run_series *want)
{
    struct ps_run_series series;
    assert_int_equal(ps_series_page_next(page, &series), PS_OK);
    assert_int_equal(series.id, want->id);
    assert_int_equal(series.entity.type, want->entity.type);
    assert_memory_equal(&series.entity.id, &want->entity.id, sizeof series.entity.id);
    assert_int_equal(series.key_len, want->key_len);
    assert_memory_equal(series.key, want->key, series.key_len);
}

static void assert_end(struct ps_series_page *page)
{
    struct ps_run_series series;
    assert_int_equal(ps_series_page_next(page, &series), PS_ENOTFOUND);
}

/* Devices of a few keys, of very many keys, ids in a row and with holes, the least and the greatest
 * id, keys without a letter and of a kilobyte. */
static void what_is_packed_is_unpacked(void **state)
{
    (void)state;
    static const struct {
        uint32_t first, step, keys, count;
    } cases[] = {
        { 1, 1, 3, 1000 },       { 0, 1, 1, 500 },
        { 7, 1, 61, 1000 },      { 7, 1, 62, 1000 },
        { 7, 1, 63, 1000 },      { 7, 3, 64, 1000 },
        { 1000, 1, 256, 1000 },  { 1000, 1, 257, 1000 },
        { 5, 200, 300, 700 },    { UINT32_MAX - 9, 1, 2, 10 },
        { UINT32_MAX, 1, 1, 1 }, { 3, 100000000, 4, 40 },
    };
    struct ps_series_page_writer writer = { 0 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char keys[300][24];
        struct ps_series_page page;
        for (uint32_t i = 0; i < cases[c].keys; i++)
            snprintf(keys[i], sizeof keys[i], "%.*s%u", (int)(i % 7), "sensor", i);
        for (uint32_t i = 0; i < cases[c].count; i++) {
            struct ps_run_series series = series_of(cases[c].first + i * cases[c].step,
                                                    i / cases[c].keys, keys[i % cases[c].keys]);
            assert_int_equal(ps_series_page_add(&writer, &series), PS_OK);
        }
        const struct ps_buf *body = ps_series_page_finish(&writer);
        assert_int_equal(ps_series_page_open(&page, body->data, body->len), PS_OK);
        for (uint32_t i = 0; i < cases[c].count; i++) {
            struct ps_run_series series = series_of(cases[c].first + i * cases[c].step,
                                                    i / cases[c].keys, keys[i % cases[c].keys]);
            assert_next(&page, &series);
        }
        assert_end(&page);
        ps_series_page_writer_reset(&writer);
    }
    ps_series_page_writer_deinit(&writer);
}

static void keys_of_any_length_are_kept(void **state)
{
    (void)state;
    static char long_key[3000];
    struct ps_series_page_writer writer = { 0 };
    struct ps_series_page page;
    memset(long_key, 'x', sizeof long_key - 1);
    struct ps_run_series rows[] = { series_of(1, 1, ""), series_of(2, 1, long_key),
                                    series_of(9, 1, "x"), series_of(10, 2, ""),
                                    series_of(11, 2, long_key) };
    rows[4].key_len = 2000;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ps_series_page_add(&writer, &rows[i]), PS_OK);
    const struct ps_buf *body = ps_series_page_finish(&writer);
    assert_int_equal(ps_series_page_open(&page, body->data, body->len), PS_OK);
    for (size_t i = 0; i < 5; i++)
        assert_next(&page, &rows[i]);
    assert_end(&page);
    ps_series_page_writer_deinit(&writer);
}

/* What a million series costs on disk hangs on this. */
static void a_series_of_a_device_with_usual_keys_costs_few_bytes(void **state)
{
    (void)state;
    static const char *const keys[] = { "temperature", "humidity", "battery" };
    struct ps_series_page_writer writer = { 0 };
    uint32_t count = 0;
    while (!ps_series_page_is_full(&writer)) {
        struct ps_run_series series = series_of(count + 1, count / 3, keys[count % 3]);
        assert_int_equal(ps_series_page_add(&writer, &series), PS_OK);
        count++;
    }
    assert_true(count > PS_SERIES_PAGE_BYTES / 7);
    assert_true(writer.body.len < PS_SERIES_PAGE_BYTES + 40);
    ps_series_page_writer_deinit(&writer);
}

static void a_type_that_is_not_known_is_none(void **state)
{
    (void)state;
    struct ps_series_page_writer writer = { 0 };
    struct ps_series_page page;
    struct ps_run_series series = series_of(1, 1, "k");
    static const unsigned types[] = { 14, 200, 255 };
    for (size_t i = 0; i < 3; i++) {
        series.entity.type = (enum ps_entity_type)types[i];
        assert_int_equal(ps_series_page_add(&writer, &series), PS_OK);
        const struct ps_buf *body = ps_series_page_finish(&writer);
        assert_int_equal(ps_series_page_open(&page, body->data, body->len), PS_OK);
        struct ps_run_series want = series;
        want.entity.type = PS_ENTITY_NONE;
        assert_next(&page, &want);
        ps_series_page_writer_reset(&writer);
    }
    ps_series_page_writer_deinit(&writer);
}

static const struct ps_buf *some_page(struct ps_series_page_writer *writer)
{
    static const char *const keys[] = { "temperature", "humidity", "battery" };
    for (uint32_t i = 0; i < 30; i++) {
        struct ps_run_series series = series_of(5 + i, i / 3, keys[i % 3]);
        assert_int_equal(ps_series_page_add(writer, &series), PS_OK);
    }
    return ps_series_page_finish(writer);
}

static void a_changed_bit_or_a_lost_byte_is_damage(void **state)
{
    (void)state;
    struct ps_series_page_writer writer = { 0 };
    struct ps_series_page page;
    const struct ps_buf *body = some_page(&writer);
    for (size_t bit = 0; bit < 8 * body->len; bit++) {
        body->data[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(ps_series_page_open(&page, body->data, body->len), PS_EPROTO);
        body->data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t len = 0; len < body->len; len++) {
        char *cut = malloc(len + 1); /* of its own, so that reading on is noticed */
        memcpy(cut, body->data, len);
        assert_int_equal(ps_series_page_open(&page, cut, len), PS_EPROTO);
        free(cut);
    }
    ps_series_page_writer_deinit(&writer);
}

/* Under a right checksum. */
static void entries_that_make_no_sense_are_damage(void **state)
{
    (void)state;
#define HEAD "\1--------"
#define ENTITY "\6================"
    static const struct {
        const char *name, *bytes;
        size_t len;
        unsigned good; /* entries before it */
    } cases[] = {
        { "no id", HEAD "\0", 10, 0 },
        { "an id too large", HEAD "\0\xff\xff\xff\xff\x10" ENTITY "\1k", 34, 0 },
        { "the same id again",
          HEAD "\0\5" ENTITY "\1k"
               "\6\0",
          32, 1 },
        { "the same entity as none", HEAD "\3\1k", 12, 0 },
        { "half an entity", HEAD "\1\6=====", 16, 0 },
        { "half a key", HEAD "\1" ENTITY "\5key", 31, 0 },
        { "no key", HEAD "\1" ENTITY, 27, 0 },
        { "a key of none", HEAD "\5" ENTITY, 27, 0 },
        { "a key that is not there yet",
          HEAD "\1" ENTITY "\1k"
               "\x0b",
          30, 1 },
        { "a far key that is not there",
          HEAD "\1" ENTITY "\1k"
               "\xff\3",
          31, 1 },
        { "a far key without number",
          HEAD "\1" ENTITY "\1k"
               "\xff",
          30, 1 },
        { "a number without end",
          HEAD "\1" ENTITY "\1k"
               "\xff\xff",
          31, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_series_page page;
        struct ps_run_series series;
        char *bytes = malloc(cases[i].len);
        memcpy(bytes, cases[i].bytes, cases[i].len);
        uint64_t sum = XXH3_64bits(bytes + 9, cases[i].len - 9);
        memcpy(bytes + 1, &sum, sizeof sum);
        enum ps_status st = ps_series_page_open(&page, bytes, cases[i].len);
        unsigned good = 0;
        while (st == PS_OK && (st = ps_series_page_next(&page, &series)) == PS_OK)
            good++;
        if (st != PS_EPROTO || good != cases[i].good) {
            print_error("%s: %s after %u\n", cases[i].name, ps_status_text(st), good);
            fail();
        }
        free(bytes);
    }
}

/* ---- sets of ids ---- */

static void a_set_has_what_was_added(void **state)
{
    (void)state;
    enum { RANGE = 300000 };
    struct ps_id_set set = { 0 };
    unsigned char *model = calloc(1, RANGE);
    unsigned seed = 3;
    assert_false(ps_id_set_has(&set, 0));
    for (unsigned i = 0; i < RANGE / 3; i++) {
        uint32_t id = (uint32_t)rand_r(&seed) % RANGE;
        model[id] = 1;
        assert_true(ps_id_set_add(&set, id));
    }
    for (uint32_t id = 0; id < RANGE; id++)
        assert_int_equal(ps_id_set_has(&set, id), model[id]);
    assert_false(ps_id_set_has(&set, UINT32_MAX));
    assert_true(ps_id_set_add(&set, UINT32_MAX));
    assert_true(ps_id_set_has(&set, UINT32_MAX));
    assert_false(ps_id_set_has(&set, UINT32_MAX - 1));
    ps_id_set_deinit(&set);
    assert_false(ps_id_set_has(&set, UINT32_MAX));
    free(model);
}

/* Ids as far from each other as can be: the set stops growing and says so. */
static void a_set_is_bounded(void **state)
{
    (void)state;
    struct ps_id_set set = { 0 };
    unsigned added = 0;
    for (uint64_t id = 0; id <= UINT32_MAX; id += 40000) {
        bool is_in = ps_id_set_add(&set, (uint32_t)id);
        assert_int_equal(ps_id_set_has(&set, (uint32_t)id), is_in);
        added += is_in;
    }
    assert_int_equal(added, PS_ID_SET_BYTES_MAX / (8 * PS_ID_SET_LEAF_WORDS));
    assert_true(ps_id_set_add(&set, 1)); /* beside another one there is room */
    ps_id_set_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_is_unpacked),
        cmocka_unit_test(keys_of_any_length_are_kept),
        cmocka_unit_test(a_series_of_a_device_with_usual_keys_costs_few_bytes),
        cmocka_unit_test(a_type_that_is_not_known_is_none),
        cmocka_unit_test(a_changed_bit_or_a_lost_byte_is_damage),
        cmocka_unit_test(entries_that_make_no_sense_are_damage),
        cmocka_unit_test(a_set_has_what_was_added),
        cmocka_unit_test(a_set_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
