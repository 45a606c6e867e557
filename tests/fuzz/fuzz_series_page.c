/* Pages of series: no bytes read outside, and what can be read makes a page that says the same.
 *
 * The first byte chooses: even = the page as it is; odd = its entries under a right head and
 * checksum, so that they are reached. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/telemetry/series_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct ps_run_series *a, const struct ps_run_series *b)
{
    PS_ASSERT(a->id == b->id && a->entity.type == b->entity.type && a->key_len == b->key_len);
    PS_ASSERT(memcmp(&a->entity.id, &b->entity.id, sizeof a->entity.id) == 0);
    PS_ASSERT(memcmp(a->key, b->key, a->key_len) == 0);
}

static void read_page(const uint8_t *bytes, size_t len)
{
    struct ps_series_page page, again;
    struct ps_series_page_writer writer = { 0 };
    struct ps_run_series series, new_series;
    enum ps_status st = ps_series_page_open(&page, bytes, len);
    while (st == PS_OK && (st = ps_series_page_next(&page, &series)) == PS_OK)
        PS_ASSERT(ps_series_page_add(&writer, &series) == PS_OK);
    if (writer.count) {
        const struct ps_buf *body = ps_series_page_finish(&writer);
        size_t count = writer.count;
        PS_ASSERT(ps_series_page_open(&page, bytes, len) == PS_OK);
        PS_ASSERT(ps_series_page_open(&again, body->data, body->len) == PS_OK);
        while (count--) {
            PS_ASSERT(ps_series_page_next(&page, &series) == PS_OK);
            PS_ASSERT(ps_series_page_next(&again, &new_series) == PS_OK);
            check_same(&series, &new_series);
        }
        PS_ASSERT(ps_series_page_next(&again, &new_series) == PS_ENOTFOUND);
    }
    ps_series_page_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEAD = 9 };
    if (size == 0)
        return 0;
    uint8_t *page = malloc(size + HEAD);
    if (data[0] % 2 == 0) {
        memcpy(page, data + 1, size - 1);
        read_page(page, size - 1);
    } else {
        uint64_t sum = XXH3_64bits(data + 1, size - 1);
        page[0] = 1;
        memcpy(page + 1, &sum, sizeof sum);
        memcpy(page + HEAD, data + 1, size - 1);
        read_page(page, size - 1 + HEAD);
    }
    free(page);
    return 0;
}
