/* Blocks: no bytes read outside, and chunks that decode make a block that holds the same.
 *
 * The first byte chooses: even = the blob as it is; odd = its body (number of chunks, directory,
 * columns) under a right head and checksum, so that the directory is reached. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/telemetry/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct ps_chunk_points *a, const struct ps_chunk_points *b)
{
    PS_ASSERT(a->count == b->count && !a->ttl_s == !b->ttl_s);
    for (size_t i = 0; i < a->count; i++) {
        PS_ASSERT(a->points[i].ts_ms == b->points[i].ts_ms);
        PS_ASSERT(ps_value_equal(&a->points[i].value, &b->points[i].value));
        PS_ASSERT(!a->ttl_s || a->ttl_s[i] == b->ttl_s[i]);
    }
}

/* One chunk, written anew. */
static void check_again(struct ps_block_writer *writer, const struct ps_chunk_info *info,
                        const struct ps_chunk_points *points)
{
    struct ps_buf block = { 0 };
    struct ps_block_reader reader = { 0 };
    struct ps_chunk_points again = { 0 };
    struct ps_chunk_info new_info;
    PS_ASSERT(points->count == info->count);
    PS_ASSERT(points->points[0].ts_ms == info->first_ms);
    PS_ASSERT(points->points[points->count - 1].ts_ms == info->last_ms);
    PS_ASSERT(ps_block_writer_add(writer, info->series, points->points, points->ttl_s,
                                  points->count) == PS_OK);
    PS_ASSERT(ps_block_writer_finish(writer, &block) == PS_OK);
    PS_ASSERT(ps_block_open(&reader, block.data, block.len) == PS_OK);
    PS_ASSERT(ps_block_find(&reader, info->series) == 0);
    ps_block_info(&reader, 0, &new_info);
    PS_ASSERT(new_info.count == info->count && new_info.last_ms == info->last_ms);
    PS_ASSERT(ps_block_decode(&reader, 0, &again) == PS_OK);
    check_same(points, &again);
    ps_chunk_points_deinit(&again);
    ps_block_reader_deinit(&reader);
    ps_buf_deinit(&block);
}

static void read_block(const uint8_t *bytes, size_t len)
{
    struct ps_block_reader reader = { 0 };
    static struct ps_block_writer writer; /* making it takes longer than all else */
    struct ps_chunk_points points = { 0 };
    struct ps_chunk_info info;
    enum ps_status st = ps_block_open(&reader, bytes, len);
    if (!writer.state)
        PS_ASSERT(ps_block_writer_init(&writer) == PS_OK);
    for (size_t i = 0; st == PS_OK && i < ps_block_count(&reader); i++) {
        ps_block_info(&reader, i, &info);
        PS_ASSERT(ps_block_find(&reader, info.series) >= 0);
        if (ps_block_decode(&reader, i, &points) != PS_OK || i >= 8)
            continue;
        bool has_ttl = points.ttl_s; /* a directory may promise more than the column has */
        if (!has_ttl || info.min_ttl_s == info.max_ttl_s)
            check_again(&writer, &info, &points);
    }
    ps_block_reader_deinit(&reader);
    ps_chunk_points_deinit(&points);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEAD = 9 };
    if (size == 0)
        return 0;
    uint8_t *block = malloc(size + HEAD);
    if (data[0] % 2 == 0) {
        memcpy(block, data + 1, size - 1);
        read_block(block, size - 1);
    } else {
        uint64_t sum = XXH3_64bits(data + 1, size - 1);
        block[0] = 1;
        memcpy(block + 1, &sum, sizeof sum);
        memcpy(block + HEAD, data + 1, size - 1);
        read_block(block, size - 1 + HEAD);
    }
    free(block);
    return 0;
}
