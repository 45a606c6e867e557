/* history_data: made-up readings that behave like real ones, for measuring what history costs.
 *
 * The same seed makes the same points. Jitter: each reading is up to so much early or late, evenly;
 * a clock that drifts adds its errors up.
 *
 *     temp        21 C walking by up to 0.05 a reading, 2 decimals
 *     humidity    50 % walking by up to 0.3, 1 decimal
 *     counter     rises by 0 ... 19 a reading
 *     boolean     changes at 1 % of the readings
 *     setpoint    whole number, changes at 1 %
 *     gps         latitude and longitude with 6 decimals, moving; both at the same times
 *     mixed       temp as JSON prints it: 1 decimal, whole numbers are LONG
 *     float       temp computed in single precision
 *     noisy       full-precision double around 20
 *     state       one of six words, changes at 10 %
 *     random      strings of 16 random characters
 *     json        {"lat":..,"lon":..} objects */
#ifndef PS_TESTS_HISTORY_DATA_H
#define PS_TESTS_HISTORY_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "core/telemetry/point.h"

enum { HISTORY_TEXT_SIZE = 64, HISTORY_KEYS_MAX = 2 };

#define HISTORY_START_MS 1760000000000 /* 2025-10-09 08:53:20 UTC */

struct history_source; /* what a maker may use */

enum history_clock { CLOCK_STEADY, CLOCK_GAPS, CLOCK_DRIFT, CLOCK_EVENTS };

struct history_set {
    const char *name;
    struct ps_value (*make)(struct history_source *source);
    double period_s, jitter_ms;
    enum history_clock clock;
    unsigned keys;  /* series with the same times */
    bool is_sensor; /* one of those whose mean the goal is about */
};

extern const struct history_set history_sets[];
extern const size_t history_set_count;

/** NULL if there is none of that name. */
const struct history_set *history_set_find(const char *name);

/* Readings of one device. Zeroed = empty. */
struct history_device {
    size_t count;
    struct ps_point *keys[HISTORY_KEYS_MAX]; /* owned, `count` each */
    char *texts;                             /* owned; NULL if there are none */
};

/** Exits if memory is short. */
void history_device_make(const struct history_set *set, unsigned seed, size_t count,
                         struct history_device *out);
void history_device_deinit(struct history_device *device);

/* ---- clocks and verdicts of the programs that measure ---- */

double history_wall_s(void);
double history_cpu_s(void); /* of this thread */
double history_process_cpu_s(void);
double history_median(double *values, size_t count); /* sorts them */
/** Bytes that this process has handed to write() and its relatives. */
uint64_t history_written_bytes(void);
/** Print and exit unless PS_OK. */
void history_must(enum ps_status st, const char *what);
void *history_alloc(size_t count, size_t size);

#endif
