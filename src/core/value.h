/* value: one typed telemetry or attribute value, and a key with its value.
 *
 * The types are those of the device contract (section 3.3). Text of STRING and JSON values is
 * borrowed: it lives as long as whatever holds the value (payload, message, batch). */
#ifndef PS_CORE_VALUE_H
#define PS_CORE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

enum ps_value_type {
    PS_VALUE_NULL,
    PS_VALUE_BOOLEAN,
    PS_VALUE_LONG,
    PS_VALUE_DOUBLE,
    PS_VALUE_STRING,
    PS_VALUE_JSON, /* object or array, compact strict JSON text */
};

struct ps_value {
    enum ps_value_type type;
    uint32_t len; /* bytes of text, for STRING and JSON */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *text; /* not terminated */
    };
};

struct ps_kv {
    const char *key; /* UTF-8, not terminated */
    uint32_t key_len;
    struct ps_value value;
};

/* A metadata entry: both sides are text. */
struct ps_pair {
    const char *key, *value;
    uint32_t key_len, value_len;
};

/** Same type and same value; doubles compare by bits, so NaN equals itself and -0 differs from 0.
 */
bool ps_value_equal(const struct ps_value *a, const struct ps_value *b);

#endif
