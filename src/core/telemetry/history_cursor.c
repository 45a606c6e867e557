#include "core/telemetry/history_cursor.h"

#include <stdlib.h>

enum { SIFTED_POINTS = 512 }; /* looked at one by one in one step */

/* ---- memory -----------------------------------------------------------------------------------
 */

static void offer(struct ps_history_source *source, const struct ps_tail_window *window)
{
    source->points = window->points;
    source->ttl_s = window->ttl_s;
    source->at = 0;
    source->count = window->count;
}

static enum ps_status add_window(struct ps_history_cursor *cursor,
                                 const struct ps_tail_window *window, int64_t rank)
{
    if (!window->count)
        return PS_OK;
    struct ps_history_source *source = ps_history_cursor_add_source(cursor, rank);
    if (!source)
        return PS_ENOMEM;
    offer(source, window);
    return PS_OK;
}

static enum ps_status add_journal(struct ps_history_cursor *cursor)
{
    const struct ps_tail *tail = ps_history_view_tail(cursor->view, cursor->series);
    cursor->tail = tail;
    if (!tail)
        return PS_OK;
    if (cursor->walk.mask == tail->first.mask)
        return add_window(cursor, &tail->first, PS_RANK_TAIL);
    enum ps_status st =
        ps_history_view_next_window(cursor->view, tail, cursor->walk.mask, NULL, &cursor->window);
    return st == PS_OK ? add_window(cursor, &cursor->window, PS_RANK_TAIL) : st;
}

/* The walk has used up a window: the next one takes its place, if there is more. */
static enum ps_status advance_journal(struct ps_history_cursor *cursor,
                                      struct ps_history_source *source)
{
    const struct ps_tail_window *last =
        source->points == cursor->window.points ? &cursor->window : &cursor->tail->first;
    if (!last->more) {
        source->at = source->count = 0;
        return PS_OK;
    }
    int64_t after_ms = last->points[last->count - 1].ts_ms;
    enum ps_status st = ps_history_view_next_window(cursor->view, cursor->tail, cursor->walk.mask,
                                                    &after_ms, &cursor->window);
    if (st == PS_OK)
        offer(source, &cursor->window);
    return st;
}

static enum ps_status add_head(struct ps_history_cursor *cursor, const struct ps_series_copy *copy)
{
    const struct ps_history_view *view = cursor->view;
    enum ps_status st = PS_OK;
    ps_tail_window_init(&cursor->head, cursor->walk.mask, SIZE_MAX, 0, NULL);
    cursor->head.borrows_text = true;
    for (size_t i = 0; i < copy->points.count && st == PS_OK; i++) {
        const struct ps_tail_entry entry = { .point = copy->points.points[i],
                                             .ttl_s = copy->ttl_s ? copy->ttl_s[i] : 0,
                                             .seq = (int64_t)i };
        if (entry.point.ts_ms >= view->first_ms && entry.point.ts_ms <= view->last_ms)
            st = ps_tail_window_add(&cursor->head, &entry);
    }
    if (st == PS_OK)
        st = ps_tail_window_settle(&cursor->head);
    return st == PS_OK ? add_window(cursor, &cursor->head, PS_RANK_HEAD) : st;
}

enum ps_status ps_history_cursor_open_at(struct ps_history_view *view, size_t index,
                                         bool descending, struct ps_history_cursor **out)
{
    PS_ASSERT(index < view->count);
    const struct ps_series_copy *copy = &view->copies[index];
    const struct ps_history *history = view->history;
    struct ps_history_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return PS_ENOMEM;
    cursor->view = view;
    cursor->walk = (struct ps_history_walk){ .view = view, .mask = descending ? -1 : 0 };
    cursor->series = copy->id;
    cursor->expires =
        ps_point_expired_up_to(history->default_ttl_s, history->now_ms, &cursor->expired_up_to_ms);
    enum ps_status st = PS_OK;
    if (copy->id && view->first_ms <= view->last_ms) {
        st = ps_history_cursor_plan(cursor);
        if (st == PS_OK)
            st = add_journal(cursor);
        if (st == PS_OK)
            st = add_head(cursor, copy);
    }
    if (st != PS_OK) {
        ps_history_cursor_close(cursor);
        return st;
    }
    *out = cursor;
    return PS_OK;
}

enum ps_status ps_history_cursor_open(struct ps_history_view *view, size_t index,
                                      struct ps_history_cursor **out)
{
    return ps_history_cursor_open_at(view, index, view->descending, out);
}

void ps_history_cursor_close(struct ps_history_cursor *cursor)
{
    if (!cursor)
        return;
    while (cursor->source_count)
        ps_history_cursor_remove(cursor, cursor->source_count - 1);
    for (size_t i = 0; i < cursor->file_count; i++)
        ps_history_cursor_release(cursor, &cursor->files[i]);
    free(cursor->sources);
    free(cursor->files);
    free(cursor->plan);
    ps_tail_window_deinit(&cursor->head);
    ps_tail_window_deinit(&cursor->window);
    ps_chunk_points_deinit(&cursor->spare);
    free(cursor->sifted);
    free(cursor->sifted_ttl_s);
    free(cursor);
}

/* ---- merging ----------------------------------------------------------------------------------
 */

/* Where the walk stands: whose turn it is, and up to where nobody else has anything. */
struct turn {
    struct ps_history_source *source;
    int64_t key;
    bool has_bound;
    int64_t bound; /* key of the next one else; equal to `key` where times are equal */
};

/* Of equal keys one that is not decoded comes first: its points may begin later. */
static bool goes_before(const struct ps_history_source *a, int64_t a_key,
                        const struct ps_history_source *b, int64_t b_key)
{
    return a_key < b_key || (a_key == b_key && a->waiting && !b->waiting);
}

static void lower(struct turn *turn, int64_t key)
{
    if (!turn->has_bound || key < turn->bound)
        turn->bound = key;
    turn->has_bound = true;
}

static void choose(const struct ps_history_cursor *cursor, struct turn *turn)
{
    *turn = (struct turn){ .source = NULL };
    for (size_t i = 0; i < cursor->source_count; i++) {
        struct ps_history_source *source = &cursor->sources[i];
        int64_t key = ps_history_source_key(source, &cursor->walk);
        if (!turn->source || goes_before(source, key, turn->source, turn->key)) {
            if (turn->source)
                lower(turn, turn->key);
            turn->source = source;
            turn->key = key;
        } else {
            lower(turn, key);
        }
    }
}

/* Everybody has something to offer, or is gone. What was handed out may become invalid. */
static enum ps_status refill(struct ps_history_cursor *cursor)
{
    for (size_t i = 0; i < cursor->source_count;) {
        struct ps_history_source *source = &cursor->sources[i];
        if (ps_history_source_is_empty(source)) {
            enum ps_status st = source->rank == PS_RANK_TAIL
                                    ? advance_journal(cursor, source)
                                    : ps_history_source_advance(source, cursor->view->history);
            if (st != PS_OK)
                return st;
        }
        if (ps_history_source_is_empty(source))
            ps_history_cursor_remove(cursor, i);
        else
            i++;
    }
    return PS_OK;
}

/* The turn, with the files open that can have a say. PS_ENOTFOUND: all is done. */
static enum ps_status next_turn(struct ps_history_cursor *cursor, struct turn *turn)
{
    for (;;) {
        enum ps_status st = ps_history_is_wanted(cursor->view->history);
        if (st == PS_OK)
            st = refill(cursor);
        if (st != PS_OK)
            return st;
        choose(cursor, turn);
        bool more = cursor->next_file < cursor->plan_count;
        if (!more)
            return turn->source ? PS_OK : PS_ENOTFOUND;
        int64_t file_key = cursor->plan[cursor->next_file].key;
        if (turn->source && turn->key < file_key) {
            lower(turn, file_key);
            return PS_OK;
        }
        st = ps_history_cursor_open_file(cursor);
        if (st != PS_OK)
            return st;
    }
}

/* How many points of the source come before anybody else's. */
static size_t count_own(const struct ps_history_walk *walk, const struct turn *turn)
{
    const struct ps_history_source *source = turn->source;
    if (!turn->has_bound ||
        ps_history_key(walk, source->points[source->count - 1].ts_ms) < turn->bound)
        return source->count - source->at;
    size_t low = source->at, high = source->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ps_history_key(walk, source->points[middle].ts_ms) < turn->bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low - source->at;
}

/* Several have a point of this time: the last arrival is it, the others are passed over. */
static struct ps_history_source *settle_tie(struct ps_history_cursor *cursor, int64_t key)
{
    struct ps_history_source *last = NULL;
    for (size_t i = 0; i < cursor->source_count; i++) {
        struct ps_history_source *source = &cursor->sources[i];
        if (ps_history_source_key(source, &cursor->walk) != key)
            continue;
        source->at++;
        if (!last || source->rank > last->rank)
            last = source;
    }
    return last;
}

/* ---- what is alive ----------------------------------------------------------------------------
 */

static bool is_alive(const struct ps_history_cursor *cursor, const struct ps_history_source *source,
                     int64_t ts_ms, uint32_t ttl_s)
{
    if (ttl_s ? ps_point_is_expired(ts_ms, ttl_s, cursor->view->history->now_ms)
              : cursor->expires && ts_ms <= cursor->expired_up_to_ms)
        return false;
    return !ps_history_source_touches_deleted(source, ts_ms, ts_ms);
}

static enum ps_status sift(struct ps_history_cursor *cursor, const struct ps_history_source *source,
                           size_t from, size_t count, size_t *kept)
{
    if (!cursor->sifted) {
        cursor->sifted = malloc(SIFTED_POINTS * sizeof *cursor->sifted);
        cursor->sifted_ttl_s = malloc(SIFTED_POINTS * sizeof *cursor->sifted_ttl_s);
        if (!cursor->sifted || !cursor->sifted_ttl_s)
            return PS_ENOMEM;
    }
    *kept = 0;
    for (size_t i = from; i < from + count; i++) {
        uint32_t ttl_s = source->ttl_s ? source->ttl_s[i] : 0;
        if (!is_alive(cursor, source, source->points[i].ts_ms, ttl_s))
            continue;
        cursor->sifted_ttl_s[*kept] = ttl_s;
        cursor->sifted[(*kept)++] = source->points[i];
    }
    return PS_OK;
}

/* The times of points [from, from + count), the lesser first. */
static struct ps_history_span span_of(const struct ps_history_source *source, size_t from,
                                      size_t count)
{
    int64_t a = source->points[from].ts_ms, b = source->points[from + count - 1].ts_ms;
    return (struct ps_history_span){ .first_ms = a < b ? a : b, .last_ms = a < b ? b : a };
}

static bool needs_sifting(const struct ps_history_cursor *cursor,
                          const struct ps_history_source *source, size_t from, size_t count)
{
    struct ps_history_span span = span_of(source, from, count);
    return source->ttl_s || (cursor->expires && span.first_ms <= cursor->expired_up_to_ms) ||
           ps_history_source_touches_deleted(source, span.first_ms, span.last_ms);
}

/* Nothing of the waiting chunk is expired or deleted, and all of it is in the range. */
static bool chunk_is_whole(const struct ps_history_cursor *cursor,
                           const struct ps_history_source *source)
{
    const struct ps_chunk_info *chunk = &source->chunk;
    const struct ps_history_view *view = cursor->view;
    if (chunk->first_ms < view->first_ms || chunk->last_ms > view->last_ms)
        return false;
    if (chunk->has_default_ttl && cursor->expires && chunk->first_ms <= cursor->expired_up_to_ms)
        return false;
    if (chunk->max_ttl_s &&
        ps_point_is_expired(chunk->first_ms, chunk->min_ttl_s, view->history->now_ms))
        return false;
    return !ps_history_source_touches_deleted(source, chunk->first_ms, chunk->last_ms);
}

/* ---- walking ----------------------------------------------------------------------------------
 */

/* Offer the waiting chunk's summary; decode it if it is not taken. */
static enum ps_status open_chunk(struct ps_history_cursor *cursor, const struct turn *turn,
                                 ps_history_take *take, void *arg)
{
    struct ps_history_source *source = turn->source;
    const struct ps_chunk_info *chunk = &source->chunk;
    int64_t end_key =
        ps_history_key(&cursor->walk, cursor->walk.mask ? chunk->first_ms : chunk->last_ms);
    bool alone = !turn->has_bound || end_key < turn->bound;
    if (take && alone && chunk_is_whole(cursor, source)) {
        enum ps_status st = take(arg, chunk);
        if (st == PS_OK)
            source->waiting = false;
        if (st != PS_EUNSUPPORTED)
            return st;
    }
    return ps_history_source_decode(source, &cursor->walk);
}

enum ps_status ps_history_cursor_step(struct ps_history_cursor *cursor, ps_history_take *take,
                                      void *arg, const struct ps_point **points,
                                      const uint32_t **ttl_s, size_t *count)
{
    struct turn turn;
    enum ps_status st;
    while ((st = next_turn(cursor, &turn)) == PS_OK) {
        struct ps_history_source *source = turn.source;
        if (source->waiting) {
            st = open_chunk(cursor, &turn, take, arg);
            if (st != PS_OK)
                return st;
            continue;
        }
        bool tie = turn.has_bound && turn.key == turn.bound;
        if (tie)
            source = settle_tie(cursor, turn.key);
        size_t own = tie ? 1 : count_own(&cursor->walk, &turn);
        size_t from = tie ? source->at - 1 : source->at;
        *points = source->points + from;
        *ttl_s = source->ttl_s ? source->ttl_s + from : NULL;
        *count = own;
        if (needs_sifting(cursor, source, from, own)) {
            own = own < SIFTED_POINTS ? own : SIFTED_POINTS;
            st = sift(cursor, source, from, own, count);
            *points = cursor->sifted;
            *ttl_s = cursor->sifted_ttl_s;
        }
        source->at = from + own;
        if (st != PS_OK || *count)
            return st;
    }
    return st;
}

enum ps_status ps_history_cursor_next(struct ps_history_cursor *cursor,
                                      const struct ps_point **points, size_t *count)
{
    const uint32_t *ttl_s;
    return ps_history_cursor_step(cursor, NULL, NULL, points, &ttl_s, count);
}
