/* history_journal: reading the end of the journal into the tails of a view (history_tail.h). */
#include <stdlib.h>

#include "core/telemetry/history_view.h"
#include "core/telemetry/journal.h"

/* Of all tails of a view; each has its share, but not less than the least. */
enum {
    WINDOW_POINTS = 16384, /* 1.3 MiB while they are gathered */
    DISORDERED = 8,        /* so many times as large, if each window needs most of the rows */
    WINDOW_POINTS_MIN = 64,
    WINDOW_POINTS_LIMITED = 16, /* if no more are hardly looked at */
    WINDOW_TEXT = 1024 * 1024,  /* bytes */
    WINDOW_TEXT_MIN = 16 * 1024,
    PARTS = 2048, /* 80 KiB */
    PARTS_MIN = 16,
    PART_POINTS = 256, /* fewer if the windows are smaller than it is usual */
};

static size_t window_points(const struct ps_history_view *view)
{
    size_t points = view->history->window_points;
    return points ? points : WINDOW_POINTS;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* A walk over rows, and who gets the records of a range of series. */
struct scan {
    struct ps_history_view *view;
    uint32_t first_series, last_series;
    bool again; /* what is damaged was noted the first time */
    enum ps_status (*take)(struct scan *scan, int64_t seq, const struct ps_journal_record *record);
    const struct ps_tail *tail;
    struct ps_tail_window *window;
    size_t parts;         /* that were read for the window */
    struct ps_tail *last; /* whose the last record was */
};

static enum ps_status scan_row(struct scan *scan, int64_t seq, const char *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    while (st == PS_OK && (st = ps_journal_next_of(&decoder, scan->first_series, scan->last_series,
                                                   &record)) == PS_OK)
        st = scan->take(scan, seq, &record);
    if (st != PS_EPROTO)
        return st == PS_ENOTFOUND ? PS_OK : st;
    struct ps_text what;
    ps_text_set(&what, "journal row %lld is damaged", (long long)seq);
    if (!scan->again)
        ps_history_damaged(scan->view->history, what.data);
    return PS_OK;
}

static enum ps_status scan_rows(struct scan *scan, int64_t first_seq, int64_t last_seq)
{
    const struct ps_history *history = scan->view->history;
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(
        history->db, "SELECT seq, points FROM journal WHERE seq >= ? AND seq <= ? ORDER BY seq",
        &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, first_seq);
    ps_stmt_bind_int(stmt, 2, last_seq);
    bool row;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        st = ps_history_is_wanted(history);
        if (st == PS_OK)
            st = scan_row(scan, ps_stmt_int(stmt, 0), blob, len);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

/* ---- a window ---------------------------------------------------------------------------------
 */

static bool is_in_tail(const struct ps_history_view *view, const struct ps_tail *tail, int64_t seq,
                       const struct ps_journal_record *record)
{
    return seq <= tail->up_to && record->ts_ms >= view->first_ms &&
           record->ts_ms <= view->last_ms &&
           !(tail->deleted.count && ps_deleted_spans_touch(&tail->deleted, record->ts_ms,
                                                           record->ts_ms, seq, record->index));
}

static enum ps_status add_to_window(struct ps_tail_window *window, int64_t seq,
                                    const struct ps_journal_record *record)
{
    if (!ps_tail_window_reaches(window, record->ts_ms))
        return PS_OK;
    const struct ps_tail_entry entry = { .point = { record->ts_ms, record->value },
                                         .ttl_s = record->ttl_s,
                                         .index = record->index,
                                         .seq = seq };
    return ps_tail_window_add(window, &entry);
}

static enum ps_status take_for_window(struct scan *scan, int64_t seq,
                                      const struct ps_journal_record *record)
{
    if (!is_in_tail(scan->view, scan->tail, seq, record))
        return PS_OK;
    return add_to_window(scan->window, seq, record);
}

static enum ps_status scan_part(struct scan *scan, size_t index)
{
    const struct ps_tail_part *part = &scan->tail->parts[index];
    if (!ps_tail_window_wants(scan->window, part))
        return PS_OK;
    scan->parts++;
    return scan_rows(scan, part->first_seq, part->last_seq);
}

/* How many parts, seen in the direction of the walk, should be enough if they do not overlap. */
static size_t count_nearest(const struct ps_tail *tail, const struct ps_tail_window *window)
{
    size_t parts = 0, points = 0;
    for (; parts < tail->part_count && points < window->points_max; parts++) {
        const struct ps_tail_part *part =
            &tail->parts[window->mask ? tail->part_count - 1 - parts : parts];
        if (ps_tail_window_is_before(window, part))
            points += part->count;
    }
    return parts;
}

/* The nearest parts, upwards in time whatever the walk, so that mostly nothing is to be sorted;
 * then all others that, as it turns out, reach as far. */
static enum ps_status fill(struct scan *scan)
{
    const struct ps_tail *tail = scan->tail;
    struct ps_tail_window *window = scan->window;
    size_t count = tail->part_count, nearest = count_nearest(tail, window);
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < nearest && st == PS_OK; i++)
        st = scan_part(scan, window->mask ? count - nearest + i : i);
    if (st == PS_OK)
        st = ps_tail_window_prune(window);
    for (size_t i = nearest; i < count && st == PS_OK; i++)
        st = scan_part(scan, window->mask ? count - 1 - i : i);
    return st == PS_OK ? ps_tail_window_settle(window) : st;
}

enum ps_status ps_history_view_next_window(struct ps_history_view *view, const struct ps_tail *tail,
                                           int64_t mask, const int64_t *after_ms,
                                           struct ps_tail_window *window)
{
    size_t most = window_points(view) * (window->is_costly ? DISORDERED : 1);
    size_t last = window->points_max ? window->points_max : tail->first.points_max;
    enum ps_status st = ps_history_view_resume(view);
    if (st != PS_OK)
        return st;
    ps_tail_window_init(window, mask, last < most / 2 ? last * 2 : most, WINDOW_TEXT, after_ms);
    struct scan scan = { .view = view,
                         .first_series = tail->series,
                         .last_series = tail->series,
                         .again = true,
                         .take = take_for_window,
                         .tail = tail,
                         .window = window };
    st = fill(&scan);
    window->is_costly = scan.parts > tail->part_count / 2 && window->more;
    return st;
}

/* ---- all tails --------------------------------------------------------------------------------
 */

static int by_series(const void *left, const void *right)
{
    const struct ps_tail *a = left, *b = right;
    return a->series < b->series ? -1 : a->series > b->series;
}

static struct ps_tail *find_tail(const struct ps_history_view *view, uint32_t series)
{
    size_t low = 0, high = view->tail_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->tails[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low < view->tail_count && view->tails[low].series == series ? &view->tails[low] : NULL;
}

const struct ps_tail *ps_history_view_tail(const struct ps_history_view *view, uint32_t series)
{
    return find_tail(view, series);
}

static size_t share(size_t all, size_t tails, size_t least)
{
    return all / tails > least ? all / tails : least;
}

static void begin_tails(struct ps_history_view *view)
{
    size_t count = view->tail_count;
    size_t all = window_points(view);
    size_t points = share(all, count, all < WINDOW_POINTS_MIN ? all : WINDOW_POINTS_MIN);
    size_t text = share(WINDOW_TEXT, count, WINDOW_TEXT_MIN);
    if (view->limit && view->limit < points)
        points = view->limit > WINDOW_POINTS_LIMITED ? view->limit : WINDOW_POINTS_LIMITED;
    for (size_t i = 0; i < count; i++) {
        struct ps_tail *tail = &view->tails[i];
        tail->deleted = ps_deletions_of(&view->deletions, tail->series);
        tail->part_points = points < PART_POINTS ? points : PART_POINTS;
        tail->parts_max = share(PARTS, count, PARTS_MIN);
        ps_tail_window_init(&tail->first, view->descending ? -1 : 0, points, text, NULL);
    }
}

/* One for each series whose head does not have all that is unsealed. A key may be asked twice. */
static enum ps_status make_tails(struct ps_history_view *view)
{
    view->tails = calloc(view->count ? view->count : 1, sizeof *view->tails);
    if (!view->tails)
        return PS_ENOMEM;
    for (size_t i = 0; i < view->count; i++) {
        const struct ps_series_copy *copy = &view->copies[i];
        if (copy->id && copy->journal_up_to > view->sealed_seq)
            view->tails[view->tail_count++] =
                (struct ps_tail){ .series = copy->id, .up_to = copy->journal_up_to };
    }
    if (!view->tail_count)
        return PS_OK;
    qsort(view->tails, view->tail_count, sizeof *view->tails, by_series);
    size_t kept = 0;
    for (size_t i = 0; i < view->tail_count; i++) {
        if (!kept || view->tails[kept - 1].series != view->tails[i].series)
            view->tails[kept++] = view->tails[i];
    }
    view->tail_count = kept;
    begin_tails(view);
    return PS_OK;
}

void ps_history_view_free_tails(struct ps_history_view *view)
{
    for (size_t i = 0; view->tails && i < view->tail_count; i++)
        ps_tail_deinit(&view->tails[i]);
    free(view->tails);
    view->tails = NULL;
    view->tail_count = 0;
}

static enum ps_status take_for_tails(struct scan *scan, int64_t seq,
                                     const struct ps_journal_record *record)
{
    const struct ps_history_view *view = scan->view;
    struct ps_tail *tail = scan->last; /* often the same again */
    if (!tail || tail->series != record->series)
        tail = scan->last = find_tail(view, record->series);
    if (!tail || !is_in_tail(view, tail, seq, record))
        return PS_OK;
    enum ps_status st = ps_tail_note(tail, seq, record->ts_ms);
    return st == PS_OK ? add_to_window(&tail->first, seq, record) : st;
}

enum ps_status ps_history_view_read_tails(struct ps_history_view *view)
{
    int64_t up_to = 0;
    enum ps_status st = make_tails(view);
    if (st != PS_OK || !view->tail_count)
        return st;
    for (size_t i = 0; i < view->tail_count; i++)
        up_to = view->tails[i].up_to > up_to ? view->tails[i].up_to : up_to;
    struct scan scan = { .view = view,
                         .first_series = view->tails[0].series,
                         .last_series = view->tails[view->tail_count - 1].series,
                         .take = take_for_tails };
    st = scan_rows(&scan, view->sealed_seq + 1, up_to);
    for (size_t i = 0; i < view->tail_count && st == PS_OK; i++) {
        ps_tail_settle(&view->tails[i]);
        st = ps_tail_window_settle(&view->tails[i].first);
    }
    return st;
}
