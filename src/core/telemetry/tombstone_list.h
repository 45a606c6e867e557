/* tombstone_list: what the tombstones of a database say, row by row. Who asks for points whether
 * they are deleted makes deletions of it (deletions.h). */
#ifndef PS_CORE_TELEMETRY_TOMBSTONE_LIST_H
#define PS_CORE_TELEMETRY_TOMBSTONE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* Deletes points of `series` with start_ms <= ts < end_ms (an end_ms of INT64_MAX includes
 * INT64_MAX) that arrived before journal position (seq, idx): all records of rows < seq, and those
 * of row seq with an index < idx. It is committed together with row seq (or before there is one),
 * so it applies to runs with journal_last < seq; all others were sealed later and have applied it
 * while they were sealed: what they hold of row seq arrived after it. */
struct ps_tombstone {
    int64_t id; /* set by add */
    uint32_t series;
    int64_t start_ms, end_ms;
    int64_t seq, idx;
    int64_t created_ms;
};

/* Zeroed = empty. */
struct ps_tombstone_list {
    size_t count, cap;
    struct ps_tombstone *items; /* owned */
};

void ps_tombstone_list_deinit(struct ps_tombstone_list *list);
/** Append a copy. Returns: PS_OK; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_tombstone_list_add(struct ps_tombstone_list *list,
                                     const struct ps_tombstone *tombstone);

static inline bool ps_tombstone_covers(const struct ps_tombstone *tombstone, int64_t ts_ms)
{
    return ts_ms >= tombstone->start_ms &&
           (ts_ms < tombstone->end_ms || tombstone->end_ms == INT64_MAX);
}

#endif
