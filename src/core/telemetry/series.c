#include "core/telemetry/series.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/copy.h"
#include "core/telemetry/series_head.h"

enum {
    BUCKETS_FIRST = 64,
    ITEMS_FIRST = 4,
    SLAB_BYTES = 128 * 1024,
    LARGE_SLAB_BYTES = 2 * 1024 * 1024, /* a large page of the machine */
    SMALL_SLABS = 32,                   /* before slabs are large */
};

/* Catalogue rows make a million small pieces at start; they are cut from slabs, and given back
 * with the table. */
struct ps_series_slab {
    struct ps_series_slab *next;
    size_t used, bytes; /* this header included */
};

enum ps_status ps_series_table_init(struct ps_series_table *table,
                                    const struct ps_series_limits *limits)
{
    *table = (struct ps_series_table){ .limits = *limits,
                                       .bucket_count = BUCKETS_FIRST,
                                       .sealed_max_ms = INT64_MIN };
    if (table->limits.head_points_max > PS_HEAD_POINTS_MAX)
        table->limits.head_points_max = PS_HEAD_POINTS_MAX;
    table->buckets = calloc(table->bucket_count, sizeof *table->buckets);
    return table->buckets ? PS_OK : PS_ENOMEM;
}

/* Many series come in large pages: filling these makes the kernel a tenth of the work. */
static struct ps_series_slab *add_slab(struct ps_series_table *table)
{
    bool large = table->slab_count >= SMALL_SLABS;
    size_t bytes = large ? LARGE_SLAB_BYTES : SLAB_BYTES;
    struct ps_series_slab *slab = large ? aligned_alloc(bytes, bytes) : malloc(bytes);
    if (!slab)
        return NULL;
    if (large)
        (void)madvise(slab, bytes, MADV_HUGEPAGE); /* a hint */
    *slab = (struct ps_series_slab){ .next = table->slabs, .used = sizeof *slab, .bytes = bytes };
    table->slabs = slab;
    table->slab_count++;
    return slab;
}

/* A zeroed piece that is never given back alone; NULL if memory is short. */
static void *cut(struct ps_series_table *table, size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    struct ps_series_slab *slab = table->slabs;
    if ((!slab || slab->bytes - slab->used < bytes) && !(slab = add_slab(table)))
        return NULL;
    void *piece = (char *)slab + slab->used;
    slab->used += bytes;
    memset(piece, 0, bytes);
    return piece;
}

static void series_destroy(struct ps_series_table *table, struct ps_series *series)
{
    ps_head_destroy(table, series->head);
    if (series->has_latest)
        ps_head_free_text(&series->latest);
    if (!series->in_slab)
        free(series);
    table->series_count--;
}

static void entity_destroy(struct ps_series_table *table, struct ps_entity_series *entity)
{
    for (uint32_t i = 0; i < entity->count; i++)
        series_destroy(table, entity->items[i]);
    free(entity->items);
    if (!entity->in_slab)
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
    while (table->slabs) {
        struct ps_series_slab *slab = table->slabs;
        table->slabs = slab->next;
        free(slab);
    }
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

/* If memory is short the chains just get longer. */
static void resize_buckets(struct ps_series_table *table, size_t count)
{
    size_t old_count = table->bucket_count;
    struct ps_entity_series **old = table->buckets;
    struct ps_entity_series **buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return;
    table->buckets = buckets;
    table->bucket_count = count;
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

void ps_series_table_expect(struct ps_series_table *table, size_t entities)
{
    size_t count = table->bucket_count;
    while (count < entities)
        count *= 2;
    if (count > table->bucket_count)
        resize_buckets(table, count);
}

static void link_entity(struct ps_series_table *table, struct ps_entity_series *entity)
{
    if (table->entity_count >= table->bucket_count)
        resize_buckets(table, table->bucket_count * 2);
    struct ps_entity_series **bucket = bucket_of(table, &entity->entity.id);
    entity->hash_next = *bucket;
    *bucket = entity;
    table->entity_count++;
}

struct ps_entity_series *ps_series_table_get(struct ps_series_table *table,
                                             const struct ps_entity_id *entity)
{
    struct ps_entity_series *found = ps_series_table_find(table, &entity->id);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    if (!found)
        return NULL;
    found->entity = *entity;
    link_entity(table, found);
    return found;
}

struct ps_entity_series *ps_series_table_restore(struct ps_series_table *table,
                                                 const struct ps_entity_id *entity)
{
    struct ps_entity_series *found = ps_series_table_find(table, &entity->id);
    if (found)
        return found;
    found = cut(table, sizeof *found);
    if (!found)
        return NULL;
    found->entity = *entity;
    found->in_slab = true;
    link_entity(table, found);
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
            entity->hint = (at + 1) & INT32_MAX;
            return entity->items[at];
        }
    }
    return NULL;
}

static bool room_for_item(struct ps_entity_series *entity)
{
    if (entity->count < entity->cap)
        return true;
    uint32_t cap = entity->cap ? entity->cap * 2 : ITEMS_FIRST;
    struct ps_series **items = realloc(entity->items, cap * sizeof *items);
    if (!items)
        return false;
    entity->items = items;
    entity->cap = cap;
    return true;
}

static size_t series_bytes(size_t key_len)
{
    return offsetof(struct ps_series, key) + key_len;
}

static void add(struct ps_series_table *table, struct ps_entity_series *entity,
                struct ps_series *series, const char *key, size_t len)
{
    PS_ASSERT(len <= PS_SERIES_KEY_BYTES_MAX);
    series->key_len = len & 1023;
    memcpy(series->key, key, len);
    entity->items[entity->count++] = series;
    table->series_count++;
}

struct ps_series *ps_series_get(struct ps_series_table *table, struct ps_entity_series *entity,
                                const char *key, size_t len)
{
    struct ps_series *series = ps_series_find(entity, key, len);
    if (series)
        return series;
    series = room_for_item(entity) ? calloc(1, series_bytes(len)) : NULL;
    if (!series)
        return NULL;
    series->id = atomic_fetch_add_explicit(table->limits.next_id, 1, memory_order_relaxed);
    add(table, entity, series, key, len);
    return series;
}

struct ps_series *ps_series_restore(struct ps_series_table *table, struct ps_entity_series *entity,
                                    const struct ps_series_row *row)
{
    struct ps_series *series =
        room_for_item(entity) ? cut(table, series_bytes(row->key_len)) : NULL;
    if (!series)
        return NULL;
    series->id = row->id;
    series->in_slab = true;
    series->catalogued = true;
    series->sealed = row->sealed;
    /* The pin is of the end of the journal, which is still to be read: the history is asked. */
    series->latest_state =
        row->sealed || row->pinned ? PS_LATEST_STATE_SINCE_START : PS_LATEST_STATE_KNOWN;
    series->pinned = row->pinned;
    add(table, entity, series, row->key, row->key_len);
    return series;
}
