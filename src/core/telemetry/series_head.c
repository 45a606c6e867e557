#include "core/telemetry/series_head.h"

#include <string.h>

enum { RING_FIRST = 3 };

/* Messages are far below the 256 MB that a length has room for. */
bool ps_head_pack(int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s,
                  struct ps_head_point *out)
{
    struct ps_head_point point = { .ts_ms = ts_ms, .type = value->type & 15, .ttl_s = ttl_s };
    if (value->type >= PS_VALUE_STRING) {
        PS_ASSERT(value->len < 1u << 28);
        point.text = malloc(value->len ? value->len : 1);
        if (!point.text)
            return false;
        if (value->len)
            memcpy(point.text, value->text, value->len);
        point.len = value->len & ((1u << 28) - 1);
    } else if (value->type == PS_VALUE_BOOLEAN) {
        point.integer = value->boolean;
    } else {
        point.integer = value->integer; /* of a double: its bits */
    }
    *out = point;
    return true;
}

struct ps_point ps_head_unpack(const struct ps_head_point *point)
{
    struct ps_point out = { .ts_ms = point->ts_ms,
                            .value = { .type = (enum ps_value_type)point->type } };
    if (ps_head_has_text(point)) {
        out.value.len = point->len;
        out.value.text = point->text;
    } else if (out.value.type == PS_VALUE_BOOLEAN) {
        out.value.boolean = point->integer != 0;
    } else {
        out.value.integer = point->integer;
    }
    return out;
}

void ps_head_destroy(struct ps_series_table *table, struct ps_head *head)
{
    if (!head)
        return;
    for (uint32_t i = 0; i < head->count; i++) {
        table->memory -= ps_head_text_bytes(ps_head_at(head, i));
        ps_head_free_text(ps_head_at(head, i));
    }
    table->memory -= sizeof *head + head->cap * sizeof *head->ring;
    free(head);
}

/* ---- arrivals ---- */

/* This point is not in the ring, or from now on will not be. */
static void note_lost(const struct ps_series_table *table, struct ps_head *head, int64_t seq,
                      int64_t ts_ms)
{
    const _Atomic int64_t *sealed = table->limits.sealed_seq;
    if (sealed && head->lost_seq &&
        head->lost_seq <= atomic_load_explicit(sealed, memory_order_acquire))
        head->lost_seq = 0; /* what was lost before is not in the journal any more */
    if (!head->lost_seq || ts_ms < head->lost_min_ms)
        head->lost_min_ms = ts_ms;
    if (!head->lost_seq || ts_ms > head->lost_max_ms)
        head->lost_max_ms = ts_ms;
    if (seq > head->lost_seq)
        head->lost_seq = seq;
}

/* The row of the oldest is not kept: it is below `seq`, the row of what takes its place, and
 * reading a few rows too many does no harm. */
static void drop_oldest(struct ps_series_table *table, struct ps_head *head, int64_t seq)
{
    struct ps_head_point *oldest = ps_head_at(head, 0);
    note_lost(table, head, seq, oldest->ts_ms);
    table->memory -= ps_head_text_bytes(oldest);
    ps_head_free_text(oldest);
    head->first = head->first + 1 < head->cap ? (uint16_t)(head->first + 1) : 0;
    head->count--;
}

static bool grow_head(struct ps_series_table *table, struct ps_series *series)
{
    struct ps_head *old = series->head;
    uint32_t cap = old ? old->cap * 2u : RING_FIRST;
    if (cap > table->limits.head_points_max)
        cap = table->limits.head_points_max;
    size_t extra =
        old ? (cap - old->cap) * sizeof *old->ring : sizeof *old + cap * sizeof *old->ring;
    if ((old && cap == old->cap) || table->memory + extra > table->limits.memory_max)
        return false;
    struct ps_head *head = malloc(sizeof *head + cap * sizeof *head->ring);
    if (!head)
        return false;
    *head = (struct ps_head){ 0 };
    if (old) {
        *head = *old;
        for (uint32_t i = 0; i < old->count; i++)
            head->ring[i] = *ps_head_at(old, i);
        free(old);
    }
    head->first = 0;
    head->cap = (uint16_t)cap;
    series->head = head;
    table->memory += extra;
    return true;
}

void ps_series_fetch_head(const struct ps_series *series)
{
    struct ps_head *head = series->head;
    if (head)
        __builtin_prefetch(ps_head_at(head, head->count < head->cap ? head->count : 0), 1);
}

void ps_series_apply(struct ps_series_table *table, struct ps_series *series, int64_t seq,
                     int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s)
{
    ps_series_offer_latest(table, series, ts_ms, value, ttl_s);
    struct ps_head *head = series->head;
    if ((!head || head->count == head->cap) && !grow_head(table, series)) {
        if (!head) {
            series->overflowed = true;
            table->overflow_seq = seq;
            return;
        }
        drop_oldest(table, head, seq);
    }
    head = series->head;
    struct ps_head_point point;
    /* What stays in the head must have arrived after all that is only in the journal, so older
     * points make room, and leave if there is none. */
    size_t text = value->type >= PS_VALUE_STRING ? value->len : 0;
    while (head->count && table->memory + text > table->limits.memory_max)
        drop_oldest(table, head, seq);
    if (table->memory + text > table->limits.memory_max ||
        !ps_head_pack(ts_ms, value, ttl_s, &point)) {
        while (head->count)
            drop_oldest(table, head, seq);
        note_lost(table, head, seq, ts_ms);
        return;
    }
    table->memory += text;
    head->count++;
    *ps_head_at(head, head->count - 1u) = point;
}

/* ---- copies ---- */

static enum ps_status add_to_copy(struct ps_series_copy *copy, size_t most,
                                  const struct ps_head_point *from)
{
    if (from->ttl_s && !copy->ttl_s && !(copy->ttl_s = calloc(most, sizeof *copy->ttl_s)))
        return PS_ENOMEM;
    if (copy->ttl_s)
        copy->ttl_s[copy->points.count] = from->ttl_s;
    const struct ps_point point = ps_head_unpack(from);
    return ps_points_append(&copy->points, &point, 1);
}

/* Last inclusive. */
static enum ps_status copy_range(const struct ps_series_table *table,
                                 const struct ps_series *series, int64_t first_ms, int64_t last_ms,
                                 struct ps_series_copy *out)
{
    struct ps_series_copy copy = { .id = series->id,
                                   .epoch = series->epoch,
                                   .pinned = series->pinned };
    struct ps_head *head = series->head;
    for (uint32_t i = 0; head && i < head->count; i++) {
        const struct ps_head_point *point = ps_head_at(head, i);
        if (point->ts_ms < first_ms || point->ts_ms > last_ms)
            continue;
        enum ps_status st = add_to_copy(&copy, head->count, point);
        if (st != PS_OK) {
            ps_series_copy_deinit(&copy);
            return st;
        }
    }
    if (head && head->lost_seq && head->lost_min_ms <= last_ms && head->lost_max_ms >= first_ms)
        copy.journal_up_to = head->lost_seq;
    if (series->overflowed && table->overflow_seq > copy.journal_up_to)
        copy.journal_up_to = table->overflow_seq;
    *out = copy;
    return PS_OK;
}

enum ps_status ps_series_copy(const struct ps_series_table *table, const struct ps_series *series,
                              int64_t start_ms, int64_t end_ms, struct ps_series_copy *out)
{
    if (start_ms < end_ms)
        return copy_range(table, series, start_ms, end_ms - 1, out);
    *out = (struct ps_series_copy){ .id = series->id, .epoch = series->epoch };
    return PS_OK;
}

enum ps_status ps_series_copy_all(const struct ps_series_table *table,
                                  const struct ps_series *series, struct ps_series_copy *out)
{
    return copy_range(table, series, INT64_MIN, INT64_MAX, out);
}

void ps_series_copy_deinit(struct ps_series_copy *copy)
{
    ps_points_deinit(&copy->points);
    free(copy->ttl_s);
    *copy = (struct ps_series_copy){ 0 };
}
