/* series_head: how a series looks inside: its ring of newest points, and what is known of its
 * latest value.
 *
 * Inside series*.c only. */
#ifndef PS_CORE_TELEMETRY_SERIES_HEAD_H
#define PS_CORE_TELEMETRY_SERIES_HEAD_H

#include <stdlib.h>

#include "core/telemetry/series.h"

/* What enum ps_latest does not tell apart: why it is unknown. */
enum ps_latest_state {
    PS_LATEST_STATE_KNOWN,
    PS_LATEST_STATE_SINCE_START, /* whatever is newer than all that was sealed then is the latest */
    PS_LATEST_STATE_SOUGHT,      /* only the history can tell */
};

/* Most series live for years with the same few points: a ring grows to what comes in. */
struct ps_head {
    uint16_t cap, count, first;
    int64_t lost_seq;                 /* journal rows up to here may hold more; 0 = none */
    int64_t lost_min_ms, lost_max_ms; /* span of what is not in the ring any more */
    struct ps_head_point ring[];
};

static inline bool ps_head_has_text(const struct ps_head_point *point)
{
    return point->type >= PS_VALUE_STRING;
}

static inline size_t ps_head_text_bytes(const struct ps_head_point *point)
{
    return ps_head_has_text(point) ? point->len : 0;
}

static inline void ps_head_free_text(struct ps_head_point *point)
{
    if (ps_head_has_text(point))
        free(point->text);
}

static inline struct ps_head_point *ps_head_at(struct ps_head *head, uint32_t index)
{
    uint32_t at = head->first + index; /* both below the cap: no division needed */
    return &head->ring[at < head->cap ? at : at - head->cap];
}

/** Text is copied. false if memory is short. */
bool ps_head_pack(int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s,
                  struct ps_head_point *out);
/** Text is borrowed. */
struct ps_point ps_head_unpack(const struct ps_head_point *point);
void ps_head_destroy(struct ps_series_table *table, struct ps_head *head); /* NULL is fine */

/** The series has no latest value. */
void ps_series_drop_latest(struct ps_series *series);
/** A committed point: it may be the latest value. */
void ps_series_offer_latest(const struct ps_series_table *table, struct ps_series *series,
                            int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s);

#endif
