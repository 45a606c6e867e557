#include "core/telemetry/deletions.h"

#include <stdlib.h>

enum { SPANS_FIRST = 16 };

/* One series' time, cut where its tombstones begin and end. Cell i is the time from cuts[i] to
 * before cuts[i + 1], the last one has no end. */
struct canvas {
    size_t count, cap;
    int64_t *cuts;
    const struct ps_tombstone **covered_by; /* the last one, or NULL */
    size_t *free_after; /* of each cell (and the end): itself if it is free, or where to look on */
};

/* ---- cells ---- */

static void canvas_deinit(struct canvas *canvas)
{
    free(canvas->cuts);
    free(canvas->covered_by);
    free(canvas->free_after);
}

static enum ps_status canvas_reserve(struct canvas *canvas, size_t cells)
{
    if (cells <= canvas->cap)
        return PS_OK;
    canvas_deinit(canvas);
    *canvas = (struct canvas){ .cap = cells };
    canvas->cuts = malloc(cells * sizeof *canvas->cuts);
    canvas->covered_by = malloc(cells * sizeof *canvas->covered_by);
    canvas->free_after = malloc((cells + 1) * sizeof *canvas->free_after);
    return canvas->cuts && canvas->covered_by && canvas->free_after ? PS_OK : PS_ENOMEM;
}

static int by_time(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static bool is_empty(const struct ps_tombstone *stone)
{
    return stone->start_ms >= stone->end_ms && stone->end_ms != INT64_MAX;
}

static void cut(struct canvas *canvas, const struct ps_tombstone *stones, size_t count)
{
    size_t cuts = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_empty(&stones[i]))
            continue;
        canvas->cuts[cuts++] = stones[i].start_ms;
        if (stones[i].end_ms != INT64_MAX)
            canvas->cuts[cuts++] = stones[i].end_ms;
    }
    qsort(canvas->cuts, cuts, sizeof *canvas->cuts, by_time);
    canvas->count = 0;
    for (size_t i = 0; i < cuts; i++) {
        if (i == 0 || canvas->cuts[i] != canvas->cuts[canvas->count - 1])
            canvas->cuts[canvas->count++] = canvas->cuts[i];
    }
    for (size_t i = 0; i < canvas->count; i++)
        canvas->covered_by[i] = NULL;
    for (size_t i = 0; i <= canvas->count; i++)
        canvas->free_after[i] = i;
}

static size_t cell_at(const struct canvas *canvas, int64_t start_ms)
{
    size_t low = 0, high = canvas->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (canvas->cuts[middle] < start_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Paths are halved on the way, so that covered cells cost next to nothing. */
static size_t free_cell(struct canvas *canvas, size_t cell)
{
    size_t *after = canvas->free_after;
    while (after[cell] != cell) {
        after[cell] = after[after[cell]];
        cell = after[cell];
    }
    return cell;
}

static void cover(struct canvas *canvas, const struct ps_tombstone *stone)
{
    size_t cell = free_cell(canvas, cell_at(canvas, stone->start_ms));
    while (cell < canvas->count &&
           (canvas->cuts[cell] < stone->end_ms || stone->end_ms == INT64_MAX)) {
        canvas->covered_by[cell] = stone;
        canvas->free_after[cell] = cell + 1;
        cell = free_cell(canvas, cell);
    }
}

/* ---- making ---- */

static enum ps_status add_span(struct ps_deletions *out, const struct ps_deleted_span *span)
{
    if (out->count == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : SPANS_FIRST;
        struct ps_deleted_span *spans = realloc(out->spans, cap * sizeof *spans);
        if (!spans)
            return PS_ENOMEM;
        out->spans = spans;
        out->cap = cap;
    }
    out->spans[out->count++] = *span;
    return PS_OK;
}

static enum ps_status take_spans(const struct canvas *canvas, struct ps_deletions *out)
{
    enum ps_status st = PS_OK;
    for (size_t cell = 0, next; cell < canvas->count && st == PS_OK; cell = next) {
        const struct ps_tombstone *stone = canvas->covered_by[cell];
        for (next = cell + 1; next < canvas->count && canvas->covered_by[next] == stone; next++)
            continue;
        if (!stone)
            continue;
        struct ps_deleted_span span = {
            .first_ms = canvas->cuts[cell],
            .last_ms = next < canvas->count ? canvas->cuts[next] - 1 : INT64_MAX,
            .seq = stone->seq,
            .idx = stone->idx,
            .series = stone->series,
        };
        st = add_span(out, &span);
    }
    return st;
}

/* Tombstones of one series, by position: the last one takes its time first, earlier ones what is
 * left of theirs. */
static enum ps_status make_series(struct canvas *canvas, const struct ps_tombstone *stones,
                                  size_t count, struct ps_deletions *out)
{
    enum ps_status st = canvas_reserve(canvas, 2 * count);
    if (st != PS_OK)
        return st;
    cut(canvas, stones, count);
    for (size_t i = count; i-- > 0;) {
        if (!is_empty(&stones[i]))
            cover(canvas, &stones[i]);
    }
    return take_spans(canvas, out);
}

static int by_series_and_position(const void *left, const void *right)
{
    const struct ps_tombstone *a = left, *b = right;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->idx < b->idx ? -1 : a->idx > b->idx;
}

static void put_in_order(struct ps_tombstone_list *list)
{
    size_t i = 1;
    while (i < list->count && by_series_and_position(&list->items[i - 1], &list->items[i]) <= 0)
        i++;
    if (i < list->count)
        qsort(list->items, list->count, sizeof *list->items, by_series_and_position);
}

enum ps_status ps_deletions_make(struct ps_tombstone_list *list, struct ps_deletions *out)
{
    struct canvas canvas = { 0 };
    enum ps_status st = PS_OK;
    put_in_order(list);
    for (size_t first = 0, next; first < list->count && st == PS_OK; first = next) {
        const struct ps_tombstone *stones = list->items + first;
        for (next = first + 1; next < list->count && list->items[next].series == stones->series;)
            next++;
        st = make_series(&canvas, stones, next - first, out);
    }
    canvas_deinit(&canvas);
    return st;
}

void ps_deletions_deinit(struct ps_deletions *deletions)
{
    free(deletions->spans);
    *deletions = (struct ps_deletions){ 0 };
}

/* ---- asking ---- */

static size_t first_of(const struct ps_deletions *deletions, uint64_t series)
{
    size_t low = 0, high = deletions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (deletions->spans[middle].series < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct ps_deleted_spans ps_deletions_of(const struct ps_deletions *deletions, uint32_t series)
{
    if (!deletions->count)
        return (struct ps_deleted_spans){ 0 };
    size_t first = first_of(deletions, series);
    size_t end = first_of(deletions, (uint64_t)series + 1);
    return (struct ps_deleted_spans){ .spans = deletions->spans + first, .count = end - first };
}

/* The first span that does not end before ts_ms. */
static size_t first_touched(const struct ps_deleted_spans *of, int64_t ts_ms)
{
    size_t low = 0, high = of->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (of->spans[middle].last_ms < ts_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ps_deleted_spans_touch(const struct ps_deleted_spans *of, int64_t first_ms, int64_t last_ms,
                            int64_t seq, int64_t idx)
{
    for (size_t i = first_touched(of, first_ms); i < of->count && of->spans[i].first_ms <= last_ms;
         i++) {
        const struct ps_deleted_span *span = &of->spans[i];
        if (seq < span->seq || (seq == span->seq && idx < span->idx))
            return true;
    }
    return false;
}
