/* seal_record: what a seal set is made of. Inside seal_set.c and seal_sort.c only. */
#ifndef PS_CORE_TELEMETRY_SEAL_RECORD_H
#define PS_CORE_TELEMETRY_SEAL_RECORD_H

#include "core/telemetry/seal_set.h"

enum { PS_SEAL_AHEAD = 12 }; /* records asked from memory before they are needed */

/* Ordered so that nothing is padded: 32 bytes. */
struct ps_seal_record {
    int64_t ts_ms;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *text;
    };
    uint32_t series, len;
    uint32_t ttl_s;
    uint16_t range;
    uint8_t type;
};

struct ps_seal_item {
    uint32_t series;
    uint32_t record;
};

static inline int64_t ps_seal_ts(const struct ps_seal_set *set, struct ps_seal_item item)
{
    return set->records[item.record].ts_ms;
}

/* Memory that is used from end to end, in large pages if the system has some: in any order they
 * cost fewer misses, and taking them is cheaper. free() it. */
void *ps_seal_alloc(size_t bytes);

/** Put the items of a group in order of ts, of equal ones in order of arrival. */
void ps_seal_sort_group(struct ps_seal_set *set, const struct ps_seal_group *group);

#endif
