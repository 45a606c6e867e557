#include "core/telemetry/history_tail.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_FIRST = 64,
    ENTRIES_FULL = 512, /* fewer are not worth to be pruned */
    PARTS_FIRST = 16,
};

static bool has_text(const struct ps_point *point)
{
    return point->value.type >= PS_VALUE_STRING;
}

/* ---- window -----------------------------------------------------------------------------------
 */

void ps_tail_window_init(struct ps_tail_window *window, int64_t mask, size_t points_max,
                         size_t text_max, const int64_t *after_ms)
{
    ps_tail_window_deinit(window);
    window->mask = mask;
    window->points_max = points_max ? points_max : 1;
    window->text_max = text_max;
    window->has_after = after_ms != NULL;
    window->after_ms = after_ms ? *after_ms : 0;
}

void ps_tail_window_deinit(struct ps_tail_window *window)
{
    free(window->entries);
    free(window->points);
    free(window->ttl_s);
    ps_arena_deinit(&window->texts);
    *window = (struct ps_tail_window){ 0 };
}

/* By time, of equal times by arrival. */
static int by_time(const void *left, const void *right)
{
    const struct ps_tail_entry *a = left, *b = right;
    if (a->point.ts_ms != b->point.ts_ms)
        return a->point.ts_ms < b->point.ts_ms ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Ascending, each time once: what arrived last. Mostly it is so already. */
static void put_in_order(struct ps_tail_window *window)
{
    struct ps_tail_entry *entries = window->entries;
    size_t count = window->entry_count, kept = 0;
    if (!window->disordered)
        return;
    qsort(entries, count, sizeof *entries, by_time);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count || entries[i + 1].point.ts_ms != entries[i].point.ts_ms;
        if (last && kept != i)
            entries[kept] = entries[i];
        kept += last;
    }
    window->entry_count = kept;
    window->disordered = false;
}

/* The i-th of the entries in order, in the direction of the walk. */
static struct ps_tail_entry *nearest(const struct ps_tail_window *window, size_t i)
{
    return &window->entries[window->mask ? window->entry_count - 1 - i : i];
}

/* How many of the entries stay, and how long their text is. */
static size_t count_near(const struct ps_tail_window *window, size_t *text_len)
{
    size_t count = 0;
    *text_len = 0;
    if (!window->texts.bytes)
        return window->entry_count < window->points_max ? window->entry_count : window->points_max;
    while (count < window->entry_count && count < window->points_max) {
        const struct ps_point *point = &nearest(window, count)->point;
        size_t len = has_text(point) ? point->value.len : 0;
        if (count && len > window->text_max - *text_len)
            break;
        /* the first one may be longer than all the room */
        *text_len = len < window->text_max - *text_len ? *text_len + len : window->text_max;
        count++;
    }
    return count;
}

static enum ps_status copy_text(struct ps_arena *texts, struct ps_point *point)
{
    char *copy = ps_arena_copy(texts, point->value.text, point->value.len);
    if (!copy)
        return PS_ENOMEM;
    point->value.text = copy;
    return PS_OK;
}

/* Give back the text of what has gone. */
static enum ps_status move_texts(struct ps_tail_window *window)
{
    struct ps_arena texts = { 0 };
    for (size_t i = 0; i < window->entry_count; i++) {
        struct ps_point *point = &window->entries[i].point;
        if (has_text(point) && copy_text(&texts, point) != PS_OK) {
            /* The entries point into both now: none is of use. */
            window->entry_count = 0;
            ps_arena_deinit(&texts);
            return PS_ENOMEM;
        }
    }
    ps_arena_deinit(&window->texts);
    window->texts = texts;
    return PS_OK;
}

/* Put in order what there is, and leave out what is too far. */
static enum ps_status prune(struct ps_tail_window *window)
{
    put_in_order(window);
    size_t count = count_near(window, &window->text_kept);
    if (count < window->entry_count) {
        window->has_cut = true;
        window->cut_ms = nearest(window, count - 1)->point.ts_ms;
        if (window->mask)
            memmove(window->entries, window->entries + (window->entry_count - count),
                    count * sizeof *window->entries);
        window->entry_count = count;
    }
    return window->texts.bytes ? move_texts(window) : PS_OK;
}

enum ps_status ps_tail_window_prune(struct ps_tail_window *window)
{
    return window->entry_count > window->points_max ? prune(window) : PS_OK;
}

static bool is_full(const struct ps_tail_window *window)
{
    return (window->entry_count >= ENTRIES_FULL && window->entry_count / 2 >= window->points_max) ||
           (window->texts.bytes > window->text_kept &&
            (window->texts.bytes - window->text_kept) / 2 > window->text_max);
}

static bool grow(struct ps_tail_window *window)
{
    size_t cap = window->entry_cap ? window->entry_cap * 2 : ENTRIES_FIRST;
    struct ps_tail_entry *grown = realloc(window->entries, cap * sizeof *grown);
    if (!grown)
        return false;
    window->entries = grown;
    window->entry_cap = cap;
    return true;
}

enum ps_status ps_tail_window_add(struct ps_tail_window *window, const struct ps_tail_entry *entry)
{
    if (is_full(window)) {
        enum ps_status st = prune(window);
        if (st != PS_OK || !ps_tail_window_reaches(window, entry->point.ts_ms))
            return st; /* not any more: between it and the others something was left out */
    }
    if (window->entry_count == window->entry_cap && !grow(window))
        return PS_ENOMEM;
    struct ps_tail_entry *added = &window->entries[window->entry_count];
    *added = *entry;
    if (has_text(&added->point) && !window->borrows_text &&
        copy_text(&window->texts, &added->point) != PS_OK)
        return PS_ENOMEM;
    if (window->entry_count && added[-1].point.ts_ms >= added->point.ts_ms)
        window->disordered = true;
    window->entry_count++;
    return PS_OK;
}

enum ps_status ps_tail_window_settle(struct ps_tail_window *window)
{
    bool own_ttl = false;
    enum ps_status st = prune(window);
    if (st != PS_OK)
        return st;
    size_t count = window->entry_count;
    window->more = window->has_cut;
    for (size_t i = 0; i < count; i++)
        own_ttl |= nearest(window, i)->ttl_s != 0;
    if (count && !(window->points = malloc(count * sizeof *window->points)))
        return PS_ENOMEM;
    if (own_ttl && !(window->ttl_s = malloc(count * sizeof *window->ttl_s)))
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        window->points[i] = nearest(window, i)->point;
        if (own_ttl)
            window->ttl_s[i] = nearest(window, i)->ttl_s;
    }
    window->count = count;
    free(window->entries);
    window->entries = NULL;
    window->entry_count = window->entry_cap = 0;
    return PS_OK;
}

/* ---- index ------------------------------------------------------------------------------------
 */

void ps_tail_deinit(struct ps_tail *tail)
{
    free(tail->parts);
    ps_tail_window_deinit(&tail->first);
    *tail = (struct ps_tail){ 0 };
}

static void join(struct ps_tail_part *part, const struct ps_tail_part *next)
{
    part->last_seq = next->last_seq;
    part->first_ms = next->first_ms < part->first_ms ? next->first_ms : part->first_ms;
    part->last_ms = next->last_ms > part->last_ms ? next->last_ms : part->last_ms;
    part->count += next->count;
}

/* Half as many parts, each of two. */
static void join_pairs(struct ps_tail *tail)
{
    size_t count = 0;
    for (size_t i = 0; i < tail->part_count; i += 2) {
        struct ps_tail_part part = tail->parts[i];
        if (i + 1 < tail->part_count)
            join(&part, &tail->parts[i + 1]);
        tail->parts[count++] = part;
    }
    tail->part_count = count;
    tail->part_points *= 2;
}

static enum ps_status make_room(struct ps_tail *tail)
{
    if (tail->part_count < tail->part_cap)
        return PS_OK;
    if (tail->part_count >= tail->parts_max && tail->part_count > 1) {
        join_pairs(tail);
        return PS_OK;
    }
    size_t cap = tail->part_cap ? tail->part_cap * 2 : PARTS_FIRST;
    struct ps_tail_part *grown = realloc(tail->parts, cap * sizeof *grown);
    if (!grown)
        return PS_ENOMEM;
    tail->parts = grown;
    tail->part_cap = cap;
    return PS_OK;
}

enum ps_status ps_tail_note(struct ps_tail *tail, int64_t seq, int64_t ts_ms)
{
    const struct ps_tail_part point = {
        .first_seq = seq, .last_seq = seq, .first_ms = ts_ms, .last_ms = ts_ms, .count = 1
    };
    struct ps_tail_part *last = tail->part_count ? &tail->parts[tail->part_count - 1] : NULL;
    if (last && (last->last_seq == seq || last->count < tail->part_points)) {
        join(last, &point);
        return PS_OK;
    }
    enum ps_status st = make_room(tail);
    if (st == PS_OK)
        tail->parts[tail->part_count++] = point;
    return st;
}

static int by_first_time(const void *left, const void *right)
{
    const struct ps_tail_part *a = left, *b = right;
    return a->first_ms < b->first_ms ? -1 : a->first_ms > b->first_ms;
}

void ps_tail_settle(struct ps_tail *tail)
{
    if (tail->part_count)
        qsort(tail->parts, tail->part_count, sizeof *tail->parts, by_first_time);
}

/* Keys of what the walk comes by first and last. */
static int64_t near_key(const struct ps_tail_window *window, const struct ps_tail_part *part)
{
    return (window->mask ? part->last_ms : part->first_ms) ^ window->mask;
}

static int64_t far_key(const struct ps_tail_window *window, const struct ps_tail_part *part)
{
    return (window->mask ? part->first_ms : part->last_ms) ^ window->mask;
}

bool ps_tail_window_wants(const struct ps_tail_window *window, const struct ps_tail_part *part)
{
    if (window->has_after && far_key(window, part) <= (window->after_ms ^ window->mask))
        return false;
    return !window->has_cut || near_key(window, part) <= (window->cut_ms ^ window->mask);
}

bool ps_tail_window_is_before(const struct ps_tail_window *window, const struct ps_tail_part *part)
{
    return !window->has_after || near_key(window, part) > (window->after_ms ^ window->mask);
}
