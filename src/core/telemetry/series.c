#include "core/telemetry/series.h"

#include <stdlib.h>
#include <string.h>

#include "core/copy.h"

enum { BUCKETS_FIRST = 64, RING_FIRST = 4, ITEMS_FIRST = 4 };

struct ps_head_point {
    int64_t ts_ms;
    struct ps_value value; /* text owned */
};

enum ps_status ps_series_table_init(struct ps_series_table *table,
                                    const struct ps_series_limits *limits)
{
    *table = (struct ps_series_table){ .limits = *limits, .bucket_count = BUCKETS_FIRST };
    table->buckets = calloc(table->bucket_count, sizeof *table->buckets);
    return table->buckets ? PS_OK : PS_ENOMEM;
}

static void free_text(struct ps_value *value)
{
    if (value->type >= PS_VALUE_STRING)
        free((char *)value->text);
}

static size_t text_bytes(const struct ps_value *value)
{
    return value->type >= PS_VALUE_STRING ? value->len : 0;
}

static bool copy_value(const struct ps_value *from, struct ps_value *to)
{
    *to = *from;
    if (from->type < PS_VALUE_STRING)
        return true;
    char *text = malloc(from->len ? from->len : 1);
    if (!text)
        return false;
    if (from->len)
        memcpy(text, from->text, from->len);
    to->text = text;
    return true;
}

static struct ps_head_point *ring_at(const struct ps_series *series, uint32_t index)
{
    uint32_t at = series->ring_first + index; /* both below the cap: no division needed */
    return &series->ring[at < series->ring_cap ? at : at - series->ring_cap];
}

static void series_destroy(struct ps_series_table *table, struct ps_series *series)
{
    for (uint32_t i = 0; i < series->ring_count; i++) {
        table->memory -= text_bytes(&ring_at(series, i)->value);
        free_text(&ring_at(series, i)->value);
    }
    table->memory -= series->ring_cap * sizeof *series->ring;
    free(series->ring);
    if (series->has_latest)
        free_text(&series->latest.value);
    free(series);
    table->series_count--;
}

static void entity_destroy(struct ps_series_table *table, struct ps_entity_series *entity)
{
    for (uint32_t i = 0; i < entity->count; i++)
        series_destroy(table, entity->items[i]);
    free(entity->items);
    free(entity);
    table->entity_count--;
}

void ps_series_table_deinit(struct ps_series_table *table)
{
    for (size_t i = 0; table->buckets && i < table->bucket_count; i++) {
        while (table->buckets[i]) {
            struct ps_entity_series *entity = table->buckets[i];
            table->buckets[i] = entity->hash_next;
            entity_destroy(table, entity);
        }
    }
    free(table->buckets);
    *table = (struct ps_series_table){ 0 };
}

static struct ps_entity_series **bucket_of(struct ps_series_table *table,
                                           const struct ps_uuid *entity)
{
    return &table->buckets[ps_uuid_hash(entity) & (table->bucket_count - 1)];
}

struct ps_entity_series *ps_series_table_find(struct ps_series_table *table,
                                              const struct ps_uuid *entity)
{
    struct ps_entity_series *found = *bucket_of(table, entity);
    while (found && !ps_uuid_equal(&found->entity.id, entity))
        found = found->hash_next;
    return found;
}

/* Twice the buckets; if memory is short the chains just get longer. */
static void grow_buckets(struct ps_series_table *table)
{
    size_t old_count = table->bucket_count;
    struct ps_entity_series **old = table->buckets;
    struct ps_entity_series **buckets = calloc(old_count * 2, sizeof *buckets);
    if (!buckets)
        return;
    table->buckets = buckets;
    table->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct ps_entity_series *entity = old[i];
            old[i] = entity->hash_next;
            struct ps_entity_series **bucket = bucket_of(table, &entity->entity.id);
            entity->hash_next = *bucket;
            *bucket = entity;
        }
    }
    free(old);
}

struct ps_entity_series *ps_series_table_get(struct ps_series_table *table,
                                             const struct ps_entity_id *entity)
{
    struct ps_entity_series *found = ps_series_table_find(table, &entity->id);
    if (found)
        return found;
    if (table->entity_count >= table->bucket_count)
        grow_buckets(table);
    found = calloc(1, sizeof *found);
    if (!found)
        return NULL;
    found->entity = *entity;
    struct ps_entity_series **bucket = bucket_of(table, &entity->id);
    found->hash_next = *bucket;
    *bucket = found;
    table->entity_count++;
    return found;
}

void ps_series_table_forget(struct ps_series_table *table, const struct ps_uuid *entity)
{
    struct ps_entity_series **link = bucket_of(table, entity);
    while (*link && !ps_uuid_equal(&(*link)->entity.id, entity))
        link = &(*link)->hash_next;
    struct ps_entity_series *found = *link;
    if (!found)
        return;
    *link = found->hash_next;
    entity_destroy(table, found);
}

static bool has_key(const struct ps_series *series, const char *key, size_t len)
{
    return series->key_len == len && ps_same_text(series->key, key, len);
}

struct ps_series *ps_series_find(struct ps_entity_series *entity, const char *key, size_t len)
{
    uint32_t at = entity->hint;
    for (uint32_t i = 0; i < entity->count; i++, at++) {
        if (at >= entity->count)
            at = 0;
        if (has_key(entity->items[at], key, len)) {
            entity->hint = at + 1;
            return entity->items[at];
        }
    }
    return NULL;
}

static struct ps_series *add(struct ps_series_table *table, struct ps_entity_series *entity,
                             const char *key, size_t len, uint32_t id)
{
    PS_ASSERT(len <= PS_SERIES_KEY_BYTES_MAX);
    if (entity->count == entity->cap) {
        uint32_t cap = entity->cap ? entity->cap * 2 : ITEMS_FIRST;
        struct ps_series **items = realloc(entity->items, cap * sizeof *items);
        if (!items)
            return NULL;
        entity->items = items;
        entity->cap = cap;
    }
    struct ps_series *series = calloc(1, sizeof *series + len);
    if (!series)
        return NULL;
    series->id = id;
    series->key_len = (uint16_t)len;
    memcpy(series->key, key, len);
    entity->items[entity->count++] = series;
    table->series_count++;
    return series;
}

struct ps_series *ps_series_get(struct ps_series_table *table, struct ps_entity_series *entity,
                                const char *key, size_t len)
{
    struct ps_series *series = ps_series_find(entity, key, len);
    if (series)
        return series;
    uint32_t id = atomic_fetch_add_explicit(table->limits.next_id, 1, memory_order_relaxed);
    return add(table, entity, key, len, id);
}

struct ps_series *ps_series_restore(struct ps_series_table *table, struct ps_entity_series *entity,
                                    const char *key, size_t len, uint32_t id)
{
    struct ps_series *series = add(table, entity, key, len, id);
    if (series)
        series->catalogued = true;
    return series;
}

static void set_latest(struct ps_series *series, int64_t ts_ms, const struct ps_value *value)
{
    if (series->has_latest && ts_ms < series->latest.ts_ms)
        return;
    struct ps_value copy;
    if (!copy_value(value, &copy))
        return; /* the old value stays; the journal has the new one */
    if (series->has_latest)
        free_text(&series->latest.value);
    series->latest = (struct ps_point){ .ts_ms = ts_ms, .value = copy };
    series->has_latest = true;
}

/* This point is, or from now on will be, in the journal only. */
static void note_lost(struct ps_series *series, int64_t seq, int64_t ts_ms)
{
    if (!series->lost_seq || ts_ms < series->lost_min_ms)
        series->lost_min_ms = ts_ms;
    if (!series->lost_seq || ts_ms > series->lost_max_ms)
        series->lost_max_ms = ts_ms;
    if (seq > series->lost_seq)
        series->lost_seq = seq;
}

/* The row of the oldest is not kept: it is below `seq`, the row of what takes its place, and
 * reading a few rows too many does no harm. */
static void drop_oldest(struct ps_series_table *table, struct ps_series *series, int64_t seq)
{
    struct ps_head_point *oldest = ring_at(series, 0);
    note_lost(series, seq, oldest->ts_ms);
    table->memory -= text_bytes(&oldest->value);
    free_text(&oldest->value);
    series->ring_first = series->ring_first + 1 < series->ring_cap ? series->ring_first + 1 : 0;
    series->ring_count--;
}

static bool grow_ring(struct ps_series_table *table, struct ps_series *series)
{
    uint32_t cap = series->ring_cap ? series->ring_cap * 2 : RING_FIRST;
    if (cap > table->limits.head_points_max)
        cap = table->limits.head_points_max;
    size_t extra = (cap - series->ring_cap) * sizeof *series->ring;
    if (!extra || table->memory + extra > table->limits.memory_max)
        return false;
    struct ps_head_point *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint32_t i = 0; i < series->ring_count; i++)
        ring[i] = *ring_at(series, i);
    free(series->ring);
    series->ring = ring;
    series->ring_cap = cap;
    series->ring_first = 0;
    table->memory += extra;
    return true;
}

void ps_series_fetch_head(const struct ps_series *series)
{
    if (series->ring_cap)
        __builtin_prefetch(
            ring_at(series, series->ring_count < series->ring_cap ? series->ring_count : 0), 1);
}

void ps_series_apply(struct ps_series_table *table, struct ps_series *series, int64_t seq,
                     int64_t ts_ms, const struct ps_value *value)
{
    set_latest(series, ts_ms, value);
    if (series->ring_count == series->ring_cap && !grow_ring(table, series)) {
        if (!series->ring_cap) {
            note_lost(series, seq, ts_ms);
            return;
        }
        drop_oldest(table, series, seq);
    }
    struct ps_head_point point = { .ts_ms = ts_ms };
    /* What stays in the head must have arrived after all that is only in the journal, so older
     * points make room, and leave if there is none. */
    while (series->ring_count && table->memory + text_bytes(value) > table->limits.memory_max)
        drop_oldest(table, series, seq);
    if (table->memory + text_bytes(value) > table->limits.memory_max ||
        !copy_value(value, &point.value)) {
        while (series->ring_count)
            drop_oldest(table, series, seq);
        note_lost(series, seq, ts_ms);
        return;
    }
    table->memory += text_bytes(value);
    series->ring_count++;
    *ring_at(series, series->ring_count - 1) = point;
}

enum ps_status ps_series_copy(const struct ps_series *series, int64_t start_ms, int64_t end_ms,
                              struct ps_series_copy *out)
{
    struct ps_series_copy copy = { .id = series->id };
    for (uint32_t i = 0; i < series->ring_count; i++) {
        const struct ps_head_point *point = ring_at(series, i);
        if (point->ts_ms < start_ms || point->ts_ms >= end_ms)
            continue;
        enum ps_status st = ps_points_add(&copy.points, point->ts_ms, &point->value);
        if (st != PS_OK) {
            ps_series_copy_deinit(&copy);
            return st;
        }
    }
    if (series->lost_seq && series->lost_min_ms < end_ms && series->lost_max_ms >= start_ms)
        copy.journal_up_to = series->lost_seq;
    *out = copy;
    return PS_OK;
}

void ps_series_copy_deinit(struct ps_series_copy *copy)
{
    ps_points_deinit(&copy->points);
    *copy = (struct ps_series_copy){ 0 };
}
