/* deletions: what a list of tombstones deletes, made to be asked for every point.
 *
 * Tombstones of one series may lie over each other in any way, and of those that cover a time only
 * the last one counts: it deletes whatever an earlier one does. So the time of each series is cut
 * into spans that do not overlap, each with the journal position of the last tombstone over it. A
 * point is deleted if it arrived before that position, which takes one search to tell. What is in a
 * run arrived before all tombstones of later rows, and after the others. */
#ifndef PS_CORE_TELEMETRY_DELETIONS_H
#define PS_CORE_TELEMETRY_DELETIONS_H

#include "core/telemetry/tombstone_list.h"

struct ps_deleted_span {
    int64_t first_ms, last_ms; /* inclusive both */
    int64_t seq, idx;          /* what arrived before this position */
    uint32_t series;
};

/* Zeroed = nothing is deleted. */
struct ps_deletions {
    size_t count, cap;
    struct ps_deleted_span *spans; /* by series, then time; owned */
};

/* Those of one series, borrowed. */
struct ps_deleted_spans {
    const struct ps_deleted_span *spans;
    size_t count;
};

/** Make *out, which is empty, of a list in any order, which is put in order on the way.
 *  Returns: PS_OK; PS_ENOMEM, *out may be deinitialized then as always */
PS_MUST_CHECK
enum ps_status ps_deletions_make(struct ps_tombstone_list *list, struct ps_deletions *out);
void ps_deletions_deinit(struct ps_deletions *deletions);

struct ps_deleted_spans ps_deletions_of(const struct ps_deletions *deletions, uint32_t series);

/** Is something in [first_ms, last_ms] deleted, of what arrived at journal position (seq, idx)? */
bool ps_deleted_spans_touch(const struct ps_deleted_spans *of, int64_t first_ms, int64_t last_ms,
                            int64_t seq, int64_t idx);

/** The same of a run, `journal_last` its last row. */
static inline bool ps_deleted_spans_touch_run(const struct ps_deleted_spans *of, int64_t first_ms,
                                              int64_t last_ms, int64_t journal_last)
{
    return of->count && ps_deleted_spans_touch(of, first_ms, last_ms, journal_last, INT64_MAX);
}

#endif
