/* history_codec: what a point costs in bytes and in time to pack and unpack, by kind of data.
 *
 * Usage: history_codec [points a chunk [rounds]]      (240 unless told; the median of 9 rounds)
 *
 * Each data set (history_data.h) is 40 chunks from a fixed seed. They go through ps_block_writer
 * into blocks of 16 KB and come back through ps_block_reader, and every point is compared. Printed:
 * bytes a point, everything of the block counted (checksum, directory, summaries); encode and
 * decode nanoseconds a point of this thread's CPU; and for the first levels of the store, where a
 * block holds a few points of each of many series, the same of a chunk. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/history_data.h"
#include "core/telemetry/block.h"

enum {
    CHUNKS = 40,
    ROUNDS = 9,
    BLOCK_BYTES = 16384,
    BLOCKS_MAX = 4096,
    KEYS_MANY = 3,
    MANY = 3000
};

struct data {
    struct history_device devices[CHUNKS];
    const struct ps_point *chunks[CHUNKS];
    size_t per_chunk;
};

struct blocks {
    struct ps_buf bytes;
    size_t count, ends[BLOCKS_MAX];
};

struct tools {
    struct ps_block_writer writer;
    struct ps_block_reader reader;
    struct ps_chunk_points points;
    struct blocks blocks;
    unsigned rounds;
};

static void make_data(const struct history_set *set, struct data *d)
{
    for (size_t c = 0; c < CHUNKS; c += set->keys) {
        history_device_make(set, (unsigned)c + 7, d->per_chunk, &d->devices[c]);
        for (size_t key = 0; key < set->keys; key++)
            d->chunks[c + key] = d->devices[c].keys[key];
    }
}

static void forget_data(struct data *d)
{
    for (size_t c = 0; c < CHUNKS; c++)
        history_device_deinit(&d->devices[c]);
}

static void finish_block(struct ps_block_writer *writer, struct blocks *out)
{
    history_must(out->count < BLOCKS_MAX ? PS_OK : PS_ELIMIT, "number of blocks");
    history_must(ps_block_writer_finish(writer, &out->bytes), "finish");
    out->ends[out->count++] = out->bytes.len;
}

static void encode(const struct data *d, struct ps_block_writer *writer, struct blocks *out)
{
    ps_buf_clear(&out->bytes);
    out->count = 0;
    for (size_t c = 0; c < CHUNKS; c++) {
        history_must(ps_block_writer_add(writer, (uint32_t)c + 1, d->chunks[c], NULL, d->per_chunk),
                     "add");
        if (ps_block_writer_size(writer) >= BLOCK_BYTES)
            finish_block(writer, out);
    }
    if (ps_block_writer_size(writer))
        finish_block(writer, out);
}

static void check(const struct ps_point *want, const struct ps_chunk_points *got)
{
    for (size_t i = 0; i < got->count; i++) {
        if (got->points[i].ts_ms != want[i].ts_ms ||
            !ps_value_equal(&got->points[i].value, &want[i].value))
            history_must(PS_EPROTO, "a point came back different");
    }
}

static size_t decode(const struct data *d, struct tools *tools, bool checked)
{
    size_t chunk = 0, start = 0;
    for (size_t b = 0; b < tools->blocks.count; b++) {
        history_must(ps_block_open(&tools->reader, tools->blocks.bytes.data + start,
                                   tools->blocks.ends[b] - start),
                     "open");
        for (size_t i = 0; i < ps_block_count(&tools->reader); i++, chunk++) {
            history_must(ps_block_decode(&tools->reader, i, &tools->points), "decode");
            if (checked)
                check(d->chunks[chunk], &tools->points);
        }
        start = tools->blocks.ends[b];
    }
    return chunk;
}

struct result {
    double bytes, encode_ns, decode_ns; /* a point */
};

static struct result measure(const struct data *d, struct tools *tools)
{
    double encodes[ROUNDS], decodes[ROUNDS], points = (double)(CHUNKS * d->per_chunk);
    encode(d, &tools->writer, &tools->blocks);
    if (decode(d, tools, true) != CHUNKS)
        history_must(PS_EPROTO, "number of chunks");
    unsigned repeat = (unsigned)(200000 / points) + 1;
    for (unsigned r = 0; r < tools->rounds; r++) {
        double start = history_cpu_s();
        for (unsigned k = 0; k < repeat; k++)
            encode(d, &tools->writer, &tools->blocks);
        double middle = history_cpu_s();
        for (unsigned k = 0; k < repeat; k++)
            decode(d, tools, false);
        encodes[r] = (middle - start) / repeat / points * 1e9;
        decodes[r] = (history_cpu_s() - middle) / repeat / points * 1e9;
    }
    return (struct result){ (double)tools->blocks.bytes.len / points,
                            history_median(encodes, tools->rounds),
                            history_median(decodes, tools->rounds) };
}

/* A few points of each of many series, as a seal of a million series writes them: the devices'
 * three keys have a decimal, a counter and a boolean. */
struct small {
    size_t per_chunk;
    struct ps_point *points; /* MANY times per_chunk */
};

static void make_small(struct small *small, size_t per_chunk)
{
    static const char *const names[KEYS_MANY] = { "temp 10 s", "counter 10 s", "boolean 10 s" };
    small->per_chunk = per_chunk;
    small->points = history_alloc(MANY * per_chunk, sizeof *small->points);
    for (unsigned c = 0; c < MANY; c++) {
        struct ps_point *to = small->points + c * per_chunk;
        struct history_device device;
        history_device_make(history_set_find(names[c % KEYS_MANY]), c, per_chunk, &device);
        for (size_t i = 0; i < per_chunk; i++) {
            to[i] = device.keys[0][i];
            if (c % KEYS_MANY) /* those of the device's first key */
                to[i].ts_ms = (to - c % KEYS_MANY * per_chunk)[i].ts_ms;
        }
        history_device_deinit(&device);
    }
}

static void encode_small(const struct small *small, struct ps_block_writer *writer,
                         struct blocks *out)
{
    ps_buf_clear(&out->bytes);
    out->count = 0;
    for (unsigned c = 0; c < MANY; c++) {
        history_must(ps_block_writer_add(writer, c + 1, small->points + c * small->per_chunk, NULL,
                                         small->per_chunk),
                     "add");
        if (ps_block_writer_size(writer) >= BLOCK_BYTES || c + 1 == MANY)
            finish_block(writer, out);
    }
}

static void decode_small(const struct small *small, struct tools *tools, bool checked)
{
    const struct ps_point *want = small->points;
    size_t start = 0;
    for (size_t b = 0; b < tools->blocks.count; b++) {
        history_must(ps_block_open(&tools->reader, tools->blocks.bytes.data + start,
                                   tools->blocks.ends[b] - start),
                     "open");
        start = tools->blocks.ends[b];
        for (size_t i = 0; i < ps_block_count(&tools->reader); i++) {
            history_must(ps_block_decode(&tools->reader, i, &tools->points), "decode");
            if (checked)
                check(want, &tools->points);
            want += small->per_chunk;
        }
    }
}

static void measure_small(struct tools *tools, size_t per_chunk)
{
    enum { REPEAT = 20 };
    struct small small;
    double encodes[ROUNDS], decodes[ROUNDS];
    make_small(&small, per_chunk);
    encode_small(&small, &tools->writer, &tools->blocks);
    decode_small(&small, tools, true);
    for (unsigned r = 0; r < tools->rounds; r++) {
        double start = history_cpu_s();
        for (unsigned k = 0; k < REPEAT; k++)
            encode_small(&small, &tools->writer, &tools->blocks);
        double middle = history_cpu_s();
        for (unsigned k = 0; k < REPEAT; k++)
            decode_small(&small, tools, false);
        encodes[r] = (middle - start) / REPEAT / MANY * 1e9;
        decodes[r] = (history_cpu_s() - middle) / REPEAT / MANY * 1e9;
    }
    printf("%3zu points a chunk           %8.2f    %8.1f    %8.1f\n", per_chunk,
           (double)tools->blocks.bytes.len / MANY, history_median(encodes, tools->rounds),
           history_median(decodes, tools->rounds));
    free(small.points);
}

static void measure_sets(struct data *d, struct tools *tools)
{
    double sensors = 0, sensor_bytes = 0;
    printf("%-26s bytes/point   encode ns   decode ns\n", "");
    for (size_t s = 0; s < history_set_count; s++) {
        make_data(&history_sets[s], d);
        struct result result = measure(d, tools);
        forget_data(d);
        printf("%-26s    %8.2f    %8.1f    %8.1f\n", history_sets[s].name, result.bytes,
               result.encode_ns, result.decode_ns);
        sensors += history_sets[s].is_sensor;
        sensor_bytes += history_sets[s].is_sensor ? result.bytes : 0;
    }
    printf("%-26s    %8.2f\n", "mean of the sensors", sensor_bytes / sensors);
}

int main(int argc, char **argv)
{
    struct data d = { .per_chunk = argc > 1 ? (size_t)atoi(argv[1]) : 240 };
    struct tools tools = { .rounds = argc > 2 ? (unsigned)atoi(argv[2]) : ROUNDS };
    if (d.per_chunk < 1 || d.per_chunk > PS_CHUNK_POINTS_MAX || tools.rounds < 1 ||
        tools.rounds > ROUNDS) {
        fprintf(stderr, "usage: history_codec [points a chunk, 1-4096 [rounds, 1-9]]\n");
        return 2;
    }
    history_must(ps_block_writer_init(&tools.writer), "writer");
    printf("%zu points a chunk\n", d.per_chunk);
    measure_sets(&d, &tools);
    printf("%-26s bytes/chunk   encode ns   decode ns, of a chunk\n", "three keys a device");
    for (size_t per_chunk = 1; per_chunk <= 32; per_chunk *= 2)
        measure_small(&tools, per_chunk);
    ps_block_writer_deinit(&tools.writer);
    ps_block_reader_deinit(&tools.reader);
    ps_chunk_points_deinit(&tools.points);
    ps_buf_deinit(&tools.blocks.bytes);
    return 0;
}
