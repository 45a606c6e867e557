/* micro_scanner: how long one device payload takes to read and one value takes to write.
 *
 * Prints nanoseconds per document, the median of nine runs, with everything warm as in a shard
 * that reads message after message. Takes no arguments. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/buf.h"
#include "core/json_text.h"
#include "core/payload_json.h"

enum { RUNS = 9, DOCUMENTS_PER_RUN = 200000, KEYS = 30 };

typedef void step(void *context);

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, step *run, void *context)
{
    double ns[RUNS];
    for (int i = 0; i < RUNS; i++) {
        int64_t start = now_ns();
        for (int n = 0; n < DOCUMENTS_PER_RUN; n++)
            run(context);
        ns[i] = (double)(now_ns() - start) / DOCUMENTS_PER_RUN;
    }
    qsort(ns, RUNS, sizeof ns[0], by_value);
    printf("%-24s %8.1f ns\n", name, ns[RUNS / 2]);
}

struct reading {
    struct ps_payload payload;
    struct ps_payload_rules rules;
    const char *text;
    size_t len;
};

static void read_payload(void *context)
{
    struct reading *r = context;
    if (ps_payload_parse_telemetry(&r->payload, r->text, r->len, &r->rules, NULL) != PS_OK)
        abort();
}

static void measure_reading(const char *name, const char *text)
{
    struct reading r = { .rules = { .type_cast = true }, .text = text, .len = strlen(text) };
    measure(name, read_payload, &r);
    ps_payload_deinit(&r.payload);
}

struct writing {
    struct ps_buf buf;
    double value;
};

static void write_double(void *context)
{
    struct writing *w = context;
    ps_buf_clear(&w->buf);
    ps_json_put_double(&w->buf, w->value);
}

static void measure_writing(const char *name, double value)
{
    struct writing w = { .value = value };
    measure(name, write_double, &w);
    ps_buf_deinit(&w.buf);
}

static void put_thirty_keys(struct ps_buf *buf)
{
    for (int i = 0; i < KEYS; i++)
        ps_buf_printf(buf, "%s\"sensor%02d\":%d.%d", i ? "," : "{", i, 20 + i, i % 10);
    ps_buf_put_char(buf, '}');
}

int main(void)
{
    struct ps_buf thirty = { 0 };
    put_thirty_keys(&thirty);
    measure_reading("flat, 3 keys", "{\"temperature\":21.53,\"humidity\":40,\"active\":true}");
    measure_reading("flat, 3 keys, spaces",
                    "{\"temperature\": 21.53, \"humidity\": 40, \"active\": true}");
    measure_reading("ts and values", "{\"ts\":1700000000000,\"values\":"
                                     "{\"temperature\":21.53,\"humidity\":40,\"active\":true}}");
    measure_reading("30 keys", ps_buf_cstr(&thirty));
    measure_reading("text and nested JSON", "{\"state\":\"running\",\"pos\":{\"lat\":51.5,\"lon\":"
                                            "-0.12},\"codes\":[1,2,3]}");
    measure_reading("lenient spelling", "{temperature=21.53;'humidity':40,active:TRUE}");
    measure_writing("write 21.53", 21.53);
    measure_writing("write 1.0/3", 1.0 / 3);
    ps_buf_deinit(&thirty);
    return 0;
}
