/* history: everything that is known of a series in a span of time, read as one.
 *
 * A point is in up to three places: in a head in memory, in the journal, in sealed runs. A query
 * copies the head out of its shard first (ps_series_copy), then opens the history: one snapshot of
 * pacificsoft.db tells what is sealed, which runs there are, what was deleted, and holds the tail
 * of the journal that is neither sealed nor in the heads. Then runs are read chunk by chunk and
 * all sources are merged by time. Of equal timestamps the one that arrived last wins: runs in the
 * order of journal_last, then the journal, then the head. Deleted and expired points are left out.
 *
 * Memory: a window of the unsealed tail (history_tail.h) and one decoded chunk of each run of a
 * file, whatever the span and however long the journal. A chunk that no other source overlaps is
 * handed out as it was decoded; a chunk that fits into a bucket may be answered from its summary.
 *
 * Damage does not hide the rest: a journal row or a block that fails its check is passed over and
 * reported in the struct ps_history, where the caller logs and counts it.
 *
 * Thread: a reader's, with its own database handle. */
#ifndef PS_CORE_TELEMETRY_HISTORY_H
#define PS_CORE_TELEMETRY_HISTORY_H

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/series.h"
#include "core/text.h"

struct ps_store;

enum {
    PS_HISTORY_POINTS_MAX = 5000000, /* that one list may hold */
    PS_HISTORY_BUCKETS_MAX = 100000, /* of one key */
};

/* What a query needs to know, and what it leaves behind. */
struct ps_history {
    struct ps_db *db;       /* a reader's handle on pacificsoft.db */
    struct ps_store *store; /* NULL: nothing was ever sealed */
    int64_t now_ms;         /* decides what is expired */
    uint32_t default_ttl_s; /* of points without their own; 0 = for ever */
    /* NULL; or, once true, nobody waits for the answer: PS_ECLOSED soon. A read takes its query's.
     */
    const _Atomic bool *abandoned;
    size_t window_points; /* of tails held at a time, all series together; 0 = a sensible number */
    /* out */
    size_t damaged;        /* journal rows, blocks and files passed over */
    struct ps_text damage; /* what the first of them was */
};

struct ps_history_range {
    int64_t start_ms, end_ms; /* end exclusive */
    bool descending;
    size_t limit; /* more points of a series are hardly looked at; 0 = all are */
};

/**
 * Answer `query` for `count` series, from one snapshot.
 *
 * @param copies  heads' parts, copied for at least the query's span
 * @param out     `count` lists, zeroed by the caller (keys may be set); filled in the query's order
 * Returns: PS_OK; PS_EINVAL unknown time zone; PS_ELIMIT more than PS_HISTORY_BUCKETS_MAX buckets;
 *          PS_ECLOSED nobody waits for it; PS_ESTORE the snapshot cannot be read; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_history_read(struct ps_history *history, const struct ps_history_query *query,
                               const struct ps_series_copy *copies, size_t count,
                               struct ps_points *out);

/**
 * The newest point of a series, for its latest value: of all time, after the catalogue's floor.
 * ps_series_learn_latest() takes the answer.
 *
 * @param copy  of all time: ps_series_copy_all()
 * @param out   the caller deinits it
 */
PS_MUST_CHECK
enum ps_status ps_history_newest(struct ps_history *history, const struct ps_series_copy *copy,
                                 struct ps_series_newest *out);

/** Points in the order asked for; they and their text live until it returns. PS_ECLOSED: enough. */
typedef enum ps_status ps_history_visit(void *arg, const struct ps_point *points, size_t count);

/**
 * Hand all points of one series in the range to `visit`.
 *
 * Returns: PS_OK, also after PS_ECLOSED of the visitor; another status of the visitor; PS_EBUSY it
 *          took so long that runs of the snapshot are gone: go on behind the last point with
 *          another scan; PS_ECLOSED history->abandoned; PS_ESTORE; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_history_scan(struct ps_history *history, const struct ps_series_copy *copy,
                               const struct ps_history_range *range, ps_history_visit *visit,
                               void *arg);

/* The same for several series and one snapshot, pulled instead of pushed: to walk keys side by
 * side, or to stop and go on. */
struct ps_history_view;
struct ps_history_cursor;

/** Take the snapshot for `count` series. The copies are borrowed until close. */
PS_MUST_CHECK
enum ps_status ps_history_open(struct ps_history *history, const struct ps_series_copy *copies,
                               size_t count, const struct ps_history_range *range,
                               struct ps_history_view **out);
void ps_history_close(struct ps_history_view *view); /* NULL is fine; after its cursors */

/** Walk series `index` of the view over its range. */
PS_MUST_CHECK
enum ps_status ps_history_cursor_open(struct ps_history_view *view, size_t index,
                                      struct ps_history_cursor **out);
/** The next points, at least one, valid until the next call. PS_ENOTFOUND: that was all; else as
 *  ps_history_scan. */
PS_MUST_CHECK
enum ps_status ps_history_cursor_next(struct ps_history_cursor *cursor,
                                      const struct ps_point **points, size_t *count);
void ps_history_cursor_close(struct ps_history_cursor *cursor); /* NULL is fine */

#endif
