/* chunk_values_kind: the byte in front of a column of values; for its writer and its reader. */
#ifndef PS_CORE_TELEMETRY_CHUNK_VALUES_KIND_H
#define PS_CORE_TELEMETRY_CHUNK_VALUES_KIND_H

enum {
    PS_KIND_MASK = 0x0f,
    PS_KIND_EXCEPTIONS = 8, /* added to a decimal kind: a list of exceptions follows */
    PS_KIND_PLACES_SHIFT = 4,
};

enum ps_values_kind {
    PS_KIND_DECIMAL = 1,
    PS_KIND_SINGLE = 2,
    PS_KIND_WHOLE_LONG = 3,
    PS_KIND_BOOL = 4,
    PS_KIND_LONG = 5,
    PS_KIND_BITS = 6,
    PS_KIND_STRING = 7,
    PS_KIND_JSON = 8,
    /* 9, 10, 11: decimals with exceptions */
    PS_KIND_MIXED = 12,
};

#endif
