/* history_tail: the end of the journal of one series, as far as it is neither sealed nor in a head,
 * read a window at a time.
 *
 * Such a tail is as long as the keeper lets it become: a device that sends its stored months at
 * once puts a million points there. So it is never held as a whole. Its rows are read once to see
 * where there is what: of parts of consecutive rows the span of time that the series' points in
 * them cover, few enough parts to be small for any journal. With the same reading the window is
 * filled: the points nearest to the begin of the walk. When the walk has used them up the next
 * window is read, from those parts alone that reach into it; a journal that is in order of time, as
 * nearly all are, is so read about twice, whatever its length.
 *
 *     index      parts, some 40 bytes each
 *     window     entries as they arrive; too many of them are put in order, and the far ones go
 *                again ("pruned"); settled: points in the order of the walk, of equal times what
 *                arrived last
 *
 * Pure: rows come from history_journal. Inside history*.c only. */
#ifndef PS_CORE_TELEMETRY_HISTORY_TAIL_H
#define PS_CORE_TELEMETRY_HISTORY_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/status.h"
#include "core/telemetry/deletions.h"
#include "core/telemetry/point.h"

/* ---- window ---- */

struct ps_tail_entry {
    struct ps_point point;
    uint32_t ttl_s;
    uint32_t index; /* of the record in its row */
    int64_t seq;
};

/* The nearest points of a walk, behind where it stands. Zeroed: deinit is fine. */
struct ps_tail_window {
    /* set by init */
    int64_t mask;      /* of the walk: 0 upwards, -1 downwards */
    size_t points_max; /* that it keeps at least, if there are so many */
    size_t text_max;   /* ... unless their text is longer than this */
    bool borrows_text; /* texts stay where they are and live longer */
    bool has_after;
    int64_t after_ms; /* only what comes behind */

    /* while it is filled */
    struct ps_tail_entry *entries; /* owned */
    size_t entry_count, entry_cap;
    bool disordered;  /* they are not in order of time, or one time is there twice */
    size_t text_kept; /* of the last pruning */
    bool has_cut;
    int64_t cut_ms; /* what is farther was left out already */
    struct ps_arena texts;

    /* settled */
    size_t count;
    struct ps_point *points; /* owned; in the order of the walk */
    uint32_t *ttl_s;         /* owned; NULL: none has its own */
    bool more;               /* something was left out: fill another one behind the last point */
    bool is_costly;          /* most parts had to be read for it; the filler's */
};

/** Empty, for points behind *after_ms (NULL: all). What it held is gone. */
void ps_tail_window_init(struct ps_tail_window *window, int64_t mask, size_t points_max,
                         size_t text_max, const int64_t *after_ms);
void ps_tail_window_deinit(struct ps_tail_window *window);
/** Is a point of this time wanted? */
static inline bool ps_tail_window_reaches(const struct ps_tail_window *window, int64_t ts_ms)
{
    int64_t key = ts_ms ^ window->mask;
    return (!window->has_after || key > (window->after_ms ^ window->mask)) &&
           (!window->has_cut || key <= (window->cut_ms ^ window->mask));
}

/** Take a point that the window reaches, its text copied; in any order. */
PS_MUST_CHECK
enum ps_status ps_tail_window_add(struct ps_tail_window *window, const struct ps_tail_entry *entry);
/** Leave out now what is too far, if there is more than enough: ps_tail_window_wants() knows then.
 */
PS_MUST_CHECK
enum ps_status ps_tail_window_prune(struct ps_tail_window *window);
/** All are there. */
PS_MUST_CHECK
enum ps_status ps_tail_window_settle(struct ps_tail_window *window);

/* ---- index ---- */

/* Rows, and what the series has in them. */
struct ps_tail_part {
    int64_t first_seq, last_seq;
    int64_t first_ms, last_ms;
    size_t count;
};

struct ps_tail {
    uint32_t series;
    int64_t up_to;                   /* the last row */
    struct ps_deleted_spans deleted; /* of the series; borrowed */
    size_t parts_max, part_count, part_cap;
    struct ps_tail_part *parts;  /* owned; by rows while they are noted, then by time */
    size_t part_points;          /* a part with so many is full; more if there are too many parts */
    struct ps_tail_window first; /* in the direction of the view */
};

void ps_tail_deinit(struct ps_tail *tail);
/** Row `seq` has a point of this time; rows in ascending order. */
PS_MUST_CHECK
enum ps_status ps_tail_note(struct ps_tail *tail, int64_t seq, int64_t ts_ms);
/** All rows are noted: put the parts in order of time. */
void ps_tail_settle(struct ps_tail *tail);
/** May the part have something that the window still wants? */
bool ps_tail_window_wants(const struct ps_tail_window *window, const struct ps_tail_part *part);
/** Lies all of it behind where the walk stands? */
bool ps_tail_window_is_before(const struct ps_tail_window *window, const struct ps_tail_part *part);

#endif
