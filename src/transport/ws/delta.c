#include "transport/ws/delta.h"

#include <stdlib.h>
#include <string.h>

static bool has_text(const struct ps_value *value)
{
    return value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON;
}

static int compare_keys(const struct ps_kv *a, const struct ps_kv *b)
{
    size_t shorter = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, shorter);
    return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* A row on its way into a delta: where it came from decides between equals. */
struct source_row {
    const struct ps_ws_row *row;
    uint32_t delta; /* later ones were written later */
    uint32_t place; /* in its delta */
};

/* By key, then as written. */
static int by_key_and_age(const void *left, const void *right)
{
    const struct source_row *a = left, *b = right;
    int order = compare_keys(&a->row->kv, &b->row->kv);
    if (order)
        return order;
    if (a->delta != b->delta)
        return a->delta < b->delta ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static size_t row_text_bytes(const struct ps_ws_row *row)
{
    return row->kv.key_len + (has_text(&row->kv.value) ? row->kv.value.len : 0u);
}

static const char *copy_text(char **at, const char *text, size_t len)
{
    char *copy = *at;
    if (len)
        memcpy(copy, text, len);
    *at += len;
    return copy;
}

/* One block: the struct, its rows, their text. Rows are taken in the order given. */
static struct ps_ws_delta *copy_rows(const struct source_row *rows, size_t count)
{
    size_t size = sizeof(struct ps_ws_delta) + count * sizeof(struct ps_ws_row);
    for (size_t i = 0; i < count; i++)
        size += row_text_bytes(rows[i].row);
    struct ps_ws_delta *delta = malloc(size);
    if (!delta)
        return NULL;
    *delta = (struct ps_ws_delta){ .references = 1,
                                   .row_count = (uint32_t)count,
                                   .size_bytes = size,
                                   .rows = (struct ps_ws_row *)(delta + 1) };
    char *at = (char *)(delta->rows + count);
    for (size_t i = 0; i < count; i++) {
        struct ps_ws_row *row = &delta->rows[i];
        *row = *rows[i].row;
        row->kv.key = copy_text(&at, row->kv.key, row->kv.key_len);
        if (has_text(&row->kv.value))
            row->kv.value.text = copy_text(&at, row->kv.value.text, row->kv.value.len);
    }
    return delta;
}

static size_t same_key_run(const struct source_row *rows, size_t count)
{
    size_t run = 1;
    while (run < count && compare_keys(&rows[run].row->kv, &rows[0].row->kv) == 0)
        run++;
    return run;
}

/* Rows of one key as written: keep what is still to be told, in that order, at the run's end.
 * Seen from the last one back: a deletion, or in NEWEST any row, ends what its scope has to tell.
 */
static size_t reduce_run(struct source_row *rows, size_t count, enum ps_ws_merge merge)
{
    unsigned told = 0, done = 0; /* bits of scopes */
    size_t free_from = count;
    for (size_t i = count; i-- > 0;) {
        unsigned scope = 1u << rows[i].row->scope;
        bool deleted = rows[i].row->deleted;
        if (done & scope)
            continue;
        if (!deleted || !(told & scope))
            rows[--free_from] = rows[i];
        told |= scope;
        if (deleted || merge == PS_WS_MERGE_NEWEST)
            done |= scope;
    }
    return count - free_from;
}

/* The rows may come in any order; afterwards they are used up. */
static enum ps_status make_delta(struct source_row *rows, size_t count, enum ps_ws_merge merge,
                                 struct ps_ws_delta **out)
{
    size_t kept = 0;
    qsort(rows, count, sizeof *rows, by_key_and_age);
    for (size_t at = 0; at < count;) {
        size_t run = same_key_run(rows + at, count - at);
        size_t left = reduce_run(rows + at, run, merge);
        memmove(rows + kept, rows + at + run - left, left * sizeof *rows);
        kept += left;
        at += run;
    }
    struct ps_ws_delta *delta = copy_rows(rows, kept);
    if (!delta)
        return PS_ENOMEM;
    *out = delta;
    return PS_OK;
}

enum ps_status ps_ws_delta_create(const struct ps_ws_row *rows, size_t count,
                                  struct ps_ws_delta **out)
{
    struct source_row *sources = calloc(count + 1, sizeof *sources);
    if (!sources)
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        sources[i] = (struct source_row){ .row = &rows[i], .place = (uint32_t)i };
    enum ps_status st = make_delta(sources, count, PS_WS_MERGE_EVERY, out);
    free(sources);
    return st;
}

struct ps_ws_delta *ps_ws_delta_retain(struct ps_ws_delta *delta)
{
    delta->references++;
    return delta;
}

void ps_ws_delta_release(struct ps_ws_delta *delta)
{
    if (!delta)
        return;
    PS_ASSERT(delta->references > 0);
    if (--delta->references)
        return;
    ps_buf_deinit(&delta->tail);
    free(delta);
}

/* --- piles --- */

static struct ps_ws_delta **deltas_of(struct ps_ws_pile *pile)
{
    return pile->deltas ? pile->deltas : &pile->only;
}

static bool make_room(struct ps_ws_pile *pile)
{
    if (pile->count == 0 || pile->count < pile->cap)
        return true;
    uint32_t cap = pile->cap ? pile->cap * 2 : 8;
    struct ps_ws_delta **deltas = realloc(pile->deltas, cap * sizeof(struct ps_ws_delta *));
    if (!deltas)
        return false;
    if (!pile->deltas)
        deltas[0] = pile->only;
    pile->deltas = deltas;
    pile->cap = cap;
    return true;
}

enum ps_status ps_ws_pile_add(struct ps_ws_pile *pile, struct ps_ws_delta *delta)
{
    if (!make_room(pile))
        return PS_ENOMEM;
    deltas_of(pile)[pile->count++] = ps_ws_delta_retain(delta);
    pile->rows += delta->row_count;
    pile->bytes += delta->size_bytes;
    return PS_OK;
}

void ps_ws_pile_clear(struct ps_ws_pile *pile)
{
    for (uint32_t i = 0; i < pile->count; i++)
        ps_ws_delta_release(deltas_of(pile)[i]);
    free(pile->deltas);
    *pile = (struct ps_ws_pile){ 0 };
}

static size_t collect_rows(struct ps_ws_pile *pile, struct source_row *sources)
{
    size_t count = 0;
    for (uint32_t i = 0; i < pile->count; i++) {
        const struct ps_ws_delta *delta = deltas_of(pile)[i];
        for (uint32_t j = 0; j < delta->row_count; j++)
            sources[count++] =
                (struct source_row){ .row = &delta->rows[j], .delta = i, .place = j };
    }
    return count;
}

enum ps_status ps_ws_pile_merge(struct ps_ws_pile *pile, enum ps_ws_merge merge)
{
    if (pile->count == 0 || (pile->count == 1 && merge == PS_WS_MERGE_EVERY))
        return PS_OK;
    struct source_row *sources = calloc(pile->rows + 1, sizeof *sources);
    if (!sources)
        return PS_ENOMEM;
    struct ps_ws_delta *merged = NULL;
    enum ps_status st = make_delta(sources, collect_rows(pile, sources), merge, &merged);
    free(sources);
    if (st != PS_OK)
        return st;
    ps_ws_pile_clear(pile);
    *pile = (struct ps_ws_pile){
        .only = merged, .count = 1, .rows = merged->row_count, .bytes = merged->size_bytes
    };
    return PS_OK;
}
