/* history_view: what a query knows before it reads runs: which there are, what was deleted, and
 * what the end of the journal has that is neither sealed nor in the heads (history_tail.h).
 *
 * The snapshot of pacificsoft.db is held on only while the journal may have to be read again.
 *
 * Inside history*.c only. */
#ifndef PS_CORE_TELEMETRY_HISTORY_VIEW_H
#define PS_CORE_TELEMETRY_HISTORY_VIEW_H

#include "core/telemetry/block.h"
#include "core/telemetry/deletions.h"
#include "core/telemetry/history.h"
#include "core/telemetry/history_tail.h"
#include "core/telemetry/manifest.h"

struct ps_history_view {
    struct ps_history *history;
    const struct ps_series_copy *copies; /* borrowed */
    size_t count;
    int64_t first_ms, last_ms; /* both inclusive; none if first > last */
    bool descending;           /* of ps_history_cursor_open */
    size_t limit;              /* as in struct ps_history_range */
    int64_t sealed_seq;
    struct ps_manifest manifest;
    struct ps_deletions deletions; /* of the copies' series */
    struct ps_tail *tails;         /* by series; only of those that the journal is read for */
    size_t tail_count;
    bool in_snapshot; /* the read transaction is open */
};

/** ps_history_open with a range whose ends are both inclusive. */
PS_MUST_CHECK
enum ps_status ps_history_view_open(struct ps_history *history, const struct ps_series_copy *copies,
                                    size_t count, int64_t first_ms, int64_t last_ms,
                                    bool descending, size_t limit, struct ps_history_view **out);
/** Have the snapshot again. PS_EBUSY: rows of the journal were sealed meanwhile. */
PS_MUST_CHECK
enum ps_status ps_history_view_resume(struct ps_history_view *view);
/** Give the snapshot up, so that what is asked next is the present. */
void ps_history_view_leave(struct ps_history_view *view);

/** The series' end of the journal, or NULL. */
const struct ps_tail *ps_history_view_tail(const struct ps_history_view *view, uint32_t series);
/** Read the end of the journal for all series whose heads do not have all of it: their tails with
 *  the first windows. Inside the snapshot, behind the deletions. */
PS_MUST_CHECK
enum ps_status ps_history_view_read_tails(struct ps_history_view *view);
void ps_history_view_free_tails(struct ps_history_view *view);
/** Read the next window, behind *after_ms (NULL: the first one), in the direction of `mask`; twice
 *  as large as the last one in it. Returns: PS_OK; PS_EBUSY, PS_ECLOSED, PS_ESTORE, PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_history_view_next_window(struct ps_history_view *view, const struct ps_tail *tail,
                                           int64_t mask, const int64_t *after_ms,
                                           struct ps_tail_window *window);
/** PS_ECLOSED if nobody waits for the answer any more. */
PS_MUST_CHECK
enum ps_status ps_history_is_wanted(const struct ps_history *history);
/** Note that something was passed over. */
void ps_history_damaged(struct ps_history *history, const char *what);
/** The same of something in a range file ("2026-W47"): the store remembers it, too. */
void ps_history_damaged_in(struct ps_history *history, const char *file, const char *what);

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
