/* history_view: what a query knows before it reads runs: which there are, what was deleted, and
 * the end of the journal that is neither sealed nor in the heads.
 *
 * Inside history*.c only. */
#ifndef PS_CORE_TELEMETRY_HISTORY_VIEW_H
#define PS_CORE_TELEMETRY_HISTORY_VIEW_H

#include "core/arena.h"
#include "core/telemetry/block.h"
#include "core/telemetry/history.h"
#include "core/telemetry/manifest.h"

/* Points of one series from memory or journal: gathered in order of arrival, then settled. */
struct ps_tail {
    uint32_t series;
    int64_t up_to; /* journal rows */
    size_t count, cap;
    struct ps_point *points; /* owned; texts are the arena's or the copy's */
    uint32_t *ttl_s;         /* owned; NULL: none has its own */
};

/** Text is borrowed. */
PS_MUST_CHECK
enum ps_status ps_tail_add(struct ps_tail *tail, const struct ps_point *point, uint32_t ttl_s);
/** By ascending time, of equal times only what arrived last. */
PS_MUST_CHECK
enum ps_status ps_tail_settle(struct ps_tail *tail);
void ps_tail_reverse(struct ps_tail *tail);
void ps_tail_deinit(struct ps_tail *tail);

struct ps_history_view {
    struct ps_history *history;
    const struct ps_series_copy *copies; /* borrowed */
    size_t count;
    int64_t first_ms, last_ms; /* both inclusive; none if first > last */
    bool descending;           /* of ps_history_cursor_open */
    int64_t sealed_seq;
    struct ps_manifest manifest;
    struct ps_tombstone_list tombstones;
    struct ps_tail *tails; /* by series; only of those that the journal is read for */
    size_t tail_count;
    struct ps_arena texts; /* of the tails */
};

/** ps_history_open with a range whose ends are both inclusive. */
PS_MUST_CHECK
enum ps_status ps_history_view_open(struct ps_history *history, const struct ps_series_copy *copies,
                                    size_t count, int64_t first_ms, int64_t last_ms,
                                    bool descending, struct ps_history_view **out);
/** The series' end of the journal, or NULL. */
const struct ps_tail *ps_history_view_tail(const struct ps_history_view *view, uint32_t series);
/** Note that something was passed over. */
void ps_history_damaged(struct ps_history *history, const char *what);

/** ps_history_cursor_open in a direction of its own. */
PS_MUST_CHECK
enum ps_status ps_history_cursor_open_at(struct ps_history_view *view, size_t index,
                                         bool descending, struct ps_history_cursor **out);

/* Asked about a chunk that could be answered without being decoded: all its points are alive, in
 * the range, and nothing else lies among them. PS_EUNSUPPORTED: decode it. */
typedef enum ps_status ps_history_take(void *arg, const struct ps_chunk_info *chunk);

/** ps_history_cursor_next; `take` may be NULL. *ttl_s is parallel to the points, or NULL. */
PS_MUST_CHECK
enum ps_status ps_history_cursor_step(struct ps_history_cursor *cursor, ps_history_take *take,
                                      void *arg, const struct ps_point **points,
                                      const uint32_t **ttl_s, size_t *count);

#endif
