#include "bench/history_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct history_source {
    unsigned seed;
    double state; /* what the set remembers from reading to reading, 0 at first */
    bool is_first;
    char *text; /* room for the text of this reading */
};

static double random_unit(struct history_source *source)
{
    return (double)rand_r(&source->seed) / ((double)RAND_MAX + 1);
}

static double rounded(double value, double power)
{
    return round(value * power) / power;
}

static struct ps_value real(double value)
{
    return (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = value };
}

static struct ps_value whole(double value)
{
    return (struct ps_value){ .type = PS_VALUE_LONG, .integer = (int64_t)value };
}

static struct ps_value text(const struct history_source *source, enum ps_value_type type)
{
    return (struct ps_value){ .type = type,
                              .text = source->text,
                              .len = (uint32_t)strlen(source->text) };
}

static double walk(struct history_source *source, double step)
{
    return source->state += (random_unit(source) - 0.5) * 2 * step;
}

static struct ps_value make_temp(struct history_source *source)
{
    return real(rounded(21 + walk(source, 0.05), 100));
}

static struct ps_value make_humidity(struct history_source *source)
{
    return real(rounded(50 + walk(source, 0.3), 10));
}

static struct ps_value make_counter(struct history_source *source)
{
    source->state += floor(random_unit(source) * 20);
    return whole(100000 + source->state);
}

static struct ps_value make_boolean(struct history_source *source)
{
    if (random_unit(source) < 0.01)
        source->state = source->state == 0;
    return (struct ps_value){ .type = PS_VALUE_BOOLEAN, .boolean = source->state != 0 };
}

static struct ps_value make_setpoint(struct history_source *source)
{
    if (source->is_first || random_unit(source) < 0.01)
        source->state = 15 + floor(random_unit(source) * 10);
    return whole(source->state);
}

static struct ps_value make_gps(struct history_source *source)
{
    source->state += (random_unit(source) - 0.4) * 0.0002;
    return real(rounded(52.5 + source->state, 1e6));
}

static struct ps_value make_mixed(struct history_source *source)
{
    double value = rounded(21 + walk(source, 0.3), 10);
    return value == floor(value) ? whole(value) : real(value);
}

static struct ps_value make_float(struct history_source *source)
{
    return real((double)(float)make_temp(source).real);
}

static struct ps_value make_noisy(struct history_source *source)
{
    return real(20 + random_unit(source) + random_unit(source) * 1e-9);
}

static struct ps_value make_state(struct history_source *source)
{
    static const char *const words[] = { "idle", "heating", "cooling", "fan only", "off", "fault" };
    if (source->is_first || random_unit(source) < 0.1)
        source->state = floor(random_unit(source) * 6);
    strcpy(source->text, words[(int)source->state]);
    return text(source, PS_VALUE_STRING);
}

static struct ps_value make_random(struct history_source *source)
{
    for (size_t i = 0; i < 16; i++)
        source->text[i] = (char)('!' + rand_r(&source->seed) % 94);
    source->text[16] = '\0';
    return text(source, PS_VALUE_STRING);
}

static struct ps_value make_json(struct history_source *source)
{
    source->state += random_unit(source) * 0.0002;
    snprintf(source->text, HISTORY_TEXT_SIZE, "{\"lat\":%.6f,\"lon\":%.6f}", 52.5 + source->state,
             13.4 - source->state);
    return text(source, PS_VALUE_JSON);
}

const struct history_set history_sets[] = {
    { "temp 10 s", make_temp, 10, 5, CLOCK_STEADY, 1, true },
    { "temp 1 s", make_temp, 1, 5, CLOCK_STEADY, 1, true },
    { "temp 60 s", make_temp, 60, 5, CLOCK_STEADY, 1, true },
    { "humidity 10 s", make_humidity, 10, 5, CLOCK_STEADY, 1, true },
    { "counter 10 s", make_counter, 10, 5, CLOCK_STEADY, 1, true },
    { "boolean 10 s", make_boolean, 10, 5, CLOCK_STEADY, 1, true },
    { "setpoint 10 s", make_setpoint, 10, 5, CLOCK_STEADY, 1, true },
    { "gps pair 10 s", make_gps, 10, 5, CLOCK_STEADY, 2, true },
    { "temp exact", make_temp, 10, 0, CLOCK_STEADY, 1, false },
    { "temp gaps", make_temp, 10, 5, CLOCK_GAPS, 1, false },
    { "temp drift", make_temp, 10, 5, CLOCK_DRIFT, 1, false },
    { "temp events", make_temp, 10, 0, CLOCK_EVENTS, 1, false },
    { "mixed 10 s", make_mixed, 10, 5, CLOCK_STEADY, 1, false },
    { "float 10 s", make_float, 10, 5, CLOCK_STEADY, 1, false },
    { "noisy 10 s", make_noisy, 10, 5, CLOCK_STEADY, 1, false },
    { "state 10 s", make_state, 10, 5, CLOCK_STEADY, 1, false },
    { "random 10 s", make_random, 10, 5, CLOCK_STEADY, 1, false },
    { "json 10 s", make_json, 10, 5, CLOCK_STEADY, 1, false },
};
const size_t history_set_count = sizeof history_sets / sizeof *history_sets;

const struct history_set *history_set_find(const char *name)
{
    for (size_t i = 0; i < history_set_count; i++) {
        if (strcmp(history_sets[i].name, name) == 0)
            return &history_sets[i];
    }
    return NULL;
}

static void make_times(const struct history_set *set, struct history_source *source,
                       struct ps_point *points, size_t count)
{
    double period = set->period_s * 1000, before = 0;
    double at = (double)HISTORY_START_MS + floor(random_unit(source) * period);
    for (size_t i = 0; i < count; i++) {
        double jitter = round((random_unit(source) - 0.5) * 2 * set->jitter_ms);
        before = at + jitter > before ? at + jitter : before + 1;
        points[i].ts_ms = (int64_t)before;
        if (set->clock == CLOCK_EVENTS)
            period = 1 + floor(-log(1 - random_unit(source)) * set->period_s * 1000);
        at += set->clock == CLOCK_DRIFT ? period + jitter : period;
        while (set->clock == CLOCK_GAPS && random_unit(source) < 0.02)
            at += period;
    }
}

void history_device_make(const struct history_set *set, unsigned seed, size_t count,
                         struct history_device *out)
{
    struct history_source source = { .seed = seed };
    bool has_text = set->make == make_state || set->make == make_random || set->make == make_json;
    *out = (struct history_device){ .count = count };
    if (has_text)
        out->texts = history_alloc(count * set->keys, HISTORY_TEXT_SIZE);
    for (unsigned key = 0; key < set->keys; key++) {
        struct ps_point *points = out->keys[key] = history_alloc(count, sizeof *points);
        if (key == 0)
            make_times(set, &source, points, count);
        source.state = 0;
        for (size_t i = 0; i < count; i++) {
            points[i].ts_ms = out->keys[0][i].ts_ms;
            source.is_first = i == 0;
            if (has_text)
                source.text = out->texts + (key * count + i) * HISTORY_TEXT_SIZE;
            points[i].value = set->make(&source);
        }
    }
}

void history_device_deinit(struct history_device *device)
{
    for (size_t i = 0; i < HISTORY_KEYS_MAX; i++)
        free(device->keys[i]);
    free(device->texts);
    *device = (struct history_device){ 0 };
}

static double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double history_wall_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

double history_cpu_s(void)
{
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

double history_process_cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double history_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

uint64_t history_written_bytes(void)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "wchar: %llu", &bytes) != 1)
        ;
    if (file)
        fclose(file);
    return bytes;
}

void history_must(enum ps_status st, const char *what)
{
    if (st == PS_OK)
        return;
    fprintf(stderr, "history: %s: %s\n", what, ps_status_text(st));
    exit(1);
}

void *history_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    history_must(memory ? PS_OK : PS_ENOMEM, "memory");
    return memory;
}
