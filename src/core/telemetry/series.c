#include "core/telemetry/series.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/copy.h"

enum {
    BUCKETS_FIRST = 64,
    RING_FIRST = 3,
    ITEMS_FIRST = 4,
    SLAB_BYTES = 128 * 1024,
    LARGE_SLAB_BYTES = 2 * 1024 * 1024, /* a large page of the machine */
    SMALL_SLABS = 32,                   /* before slabs are large */
};

/* What enum ps_latest does not tell apart: why it is unknown. */
enum latest_state {
    STATE_KNOWN,
    STATE_SINCE_START, /* whatever is newer than all that was sealed then is the latest */
    STATE_SOUGHT,      /* only the history can tell */
};

/* Most series live for years with the same few points: a ring grows to what comes in. */
struct ps_head {
    uint16_t cap, count, first;
    int64_t lost_seq;                 /* journal rows up to here may hold more; 0 = none */
    int64_t lost_min_ms, lost_max_ms; /* span of what is not in the ring any more */
    struct ps_head_point ring[];
};

/* Catalogue rows make a million small pieces at start; they are cut from slabs, and given back
 * with the table. */
struct ps_series_slab {
    struct ps_series_slab *next;
    size_t used, bytes; /* this header included */
};

static bool has_text(const struct ps_head_point *point)
{
    return point->type >= PS_VALUE_STRING;
}

static size_t text_bytes(const struct ps_head_point *point)
{
    return has_text(point) ? point->len : 0;
}

static void free_text(struct ps_head_point *point)
{
    if (has_text(point))
        free(point->text);
}

/* Messages are far below the 256 MB that a length has room for. */
static bool pack(int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s,
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

static struct ps_point unpack(const struct ps_head_point *point)
{
    struct ps_point out = { .ts_ms = point->ts_ms,
                            .value = { .type = (enum ps_value_type)point->type } };
    if (has_text(point)) {
        out.value.len = point->len;
        out.value.text = point->text;
    } else if (out.value.type == PS_VALUE_BOOLEAN) {
        out.value.boolean = point->integer != 0;
    } else {
        out.value.integer = point->integer;
    }
    return out;
}

/* ---- the table --------------------------------------------------------------------------------
 */

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

static struct ps_head_point *ring_at(struct ps_head *head, uint32_t index)
{
    uint32_t at = head->first + index; /* both below the cap: no division needed */
    return &head->ring[at < head->cap ? at : at - head->cap];
}

static void head_destroy(struct ps_series_table *table, struct ps_head *head)
{
    if (!head)
        return;
    for (uint32_t i = 0; i < head->count; i++) {
        table->memory -= text_bytes(ring_at(head, i));
        free_text(ring_at(head, i));
    }
    table->memory -= sizeof *head + head->cap * sizeof *head->ring;
    free(head);
}

static void series_destroy(struct ps_series_table *table, struct ps_series *series)
{
    head_destroy(table, series->head);
    if (series->has_latest)
        free_text(&series->latest);
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
    /* With a floor the deletions that are read again at start would have to know which of them left
     * it behind: the history is asked instead. */
    series->latest_state = row->sealed || row->has_floor ? STATE_SINCE_START : STATE_KNOWN;
    series->has_floor = row->has_floor;
    series->latest.ts_ms = row->has_floor ? row->floor_ms : 0;
    add(table, entity, series, row->key, row->key_len);
    return series;
}

/* ---- the latest value -------------------------------------------------------------------------
 */

static void drop_latest(struct ps_series *series)
{
    if (series->has_latest)
        free_text(&series->latest);
    series->has_latest = false;
    series->latest = (struct ps_head_point){ 0 };
}

static void offer_latest(const struct ps_series_table *table, struct ps_series *series,
                         int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s)
{
    if (series->latest_state != STATE_KNOWN && series->has_floor) {
        series->epoch++; /* the floor may be in the catalogue only: do not judge */
        return;
    }
    if (series->has_latest ? ts_ms < series->latest.ts_ms
                           : series->has_floor && ts_ms <= series->latest.ts_ms)
        return;
    struct ps_head_point point;
    if (!pack(ts_ms, value, ttl_s, &point)) {
        series->latest_state = STATE_SOUGHT; /* the journal has it */
        series->epoch++;
        return;
    }
    drop_latest(series);
    series->latest = point;
    series->has_latest = true;
    if (series->latest_state == STATE_SINCE_START && ts_ms >= table->sealed_max_ms)
        series->latest_state = STATE_KNOWN;
}

static bool latest_is_expired(const struct ps_series *series, uint32_t default_ttl_s,
                              int64_t now_ms)
{
    uint32_t ttl_s = series->latest.ttl_s ? series->latest.ttl_s : default_ttl_s;
    return ps_point_is_expired(series->latest.ts_ms, ttl_s, now_ms);
}

enum ps_latest ps_series_latest(const struct ps_series *series, uint32_t default_ttl_s,
                                int64_t now_ms, struct ps_point *out)
{
    if (series->latest_state != STATE_KNOWN)
        return PS_LATEST_UNKNOWN;
    if (!series->has_latest)
        return PS_LATEST_NONE;
    if (latest_is_expired(series, default_ttl_s, now_ms))
        return PS_LATEST_UNKNOWN;
    *out = unpack(&series->latest);
    return PS_LATEST_KNOWN;
}

void ps_series_newest_deinit(struct ps_series_newest *newest)
{
    ps_points_deinit(&newest->points);
    *newest = (struct ps_series_newest){ 0 };
}

void ps_series_learn_latest(struct ps_series *series, const struct ps_series_newest *newest)
{
    if (newest->epoch != series->epoch)
        return;
    bool expired =
        series->has_latest && latest_is_expired(series, newest->default_ttl_s, newest->now_ms);
    const struct ps_point *point = newest->points.count ? newest->points.points : NULL;
    /* A point that came since the start is in memory; the answer may be from before it came. */
    bool keep = series->has_latest && !expired && (!point || point->ts_ms <= series->latest.ts_ms);
    struct ps_head_point packed = { 0 };
    if (!keep && point && !pack(point->ts_ms, &point->value, newest->ttl_s, &packed))
        return;
    if (!keep) {
        drop_latest(series);
        series->has_latest = point != NULL;
        series->latest = packed;
        if (!point && newest->has_floor)
            series->latest.ts_ms = newest->floor_ms;
    }
    series->has_floor = newest->has_floor;
    series->latest_state = STATE_KNOWN;
}

/* ---- the head ---------------------------------------------------------------------------------
 */

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
    struct ps_head_point *oldest = ring_at(head, 0);
    note_lost(table, head, seq, oldest->ts_ms);
    table->memory -= text_bytes(oldest);
    free_text(oldest);
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
            head->ring[i] = *ring_at(old, i);
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
        __builtin_prefetch(ring_at(head, head->count < head->cap ? head->count : 0), 1);
}

void ps_series_apply(struct ps_series_table *table, struct ps_series *series, int64_t seq,
                     int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s)
{
    offer_latest(table, series, ts_ms, value, ttl_s);
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
    if (table->memory + text > table->limits.memory_max || !pack(ts_ms, value, ttl_s, &point)) {
        while (head->count)
            drop_oldest(table, head, seq);
        note_lost(table, head, seq, ts_ms);
        return;
    }
    table->memory += text;
    head->count++;
    *ring_at(head, head->count - 1u) = point;
}

/* ---- deletions --------------------------------------------------------------------------------
 */

static bool covers(const struct ps_series_deletion *deletion, int64_t ts_ms)
{
    return ts_ms >= deletion->start_ms &&
           (ts_ms < deletion->end_ms || deletion->end_ms == INT64_MAX);
}

static void delete_from_head(struct ps_series_table *table, struct ps_head *head,
                             const struct ps_series_deletion *deletion)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        struct ps_head_point *point = ring_at(head, i);
        if (covers(deletion, point->ts_ms)) {
            table->memory -= text_bytes(point);
            free_text(point);
        } else {
            *ring_at(head, kept++) = *point;
        }
    }
    head->count = (uint16_t)kept;
}

/* Everything the series has is in its head. */
static bool is_complete(const struct ps_series *series)
{
    return !series->sealed && !series->overflowed && !(series->head && series->head->lost_seq);
}

static bool take_latest_from_head(struct ps_series *series)
{
    const struct ps_head_point *best = NULL;
    for (uint32_t i = 0; series->head && i < series->head->count; i++) {
        const struct ps_head_point *point = ring_at(series->head, i);
        if (!best || point->ts_ms >= best->ts_ms)
            best = point;
    }
    if (!best)
        return true;
    struct ps_point point = unpack(best);
    struct ps_head_point copy;
    if (!pack(point.ts_ms, &point.value, best->ttl_s, &copy))
        return false;
    series->latest = copy;
    series->has_latest = true;
    return true;
}

static enum ps_deletion_latest replace_latest(struct ps_series *series)
{
    drop_latest(series);
    series->has_floor = false;
    if (!is_complete(series) || !take_latest_from_head(series)) {
        series->latest_state = STATE_SOUGHT;
        return PS_DELETION_LATEST_LOST;
    }
    return series->has_latest ? PS_DELETION_LATEST_REPLACED : PS_DELETION_LATEST_REMOVED;
}

enum ps_deletion_latest ps_series_delete_range(struct ps_series_table *table,
                                               struct ps_series *series,
                                               const struct ps_series_deletion *deletion)
{
    series->epoch++;
    if (series->head)
        delete_from_head(table, series->head, deletion);
    if (!deletion->delete_latest)
        return PS_DELETION_LATEST_KEPT;
    bool hit = series->has_latest && covers(deletion, series->latest.ts_ms);
    if (series->latest_state != STATE_KNOWN) {
        if (hit) {
            drop_latest(series);
            series->latest_state = STATE_SOUGHT;
        }
        return PS_DELETION_LATEST_LOST;
    }
    if (!hit)
        return PS_DELETION_LATEST_KEPT;
    bool all_before = deletion->start_ms == INT64_MIN;
    if (deletion->rewrite_latest && !all_before)
        return replace_latest(series);
    drop_latest(series);
    series->has_floor = !all_before;
    series->latest.ts_ms = all_before ? 0 : deletion->start_ms - 1;
    return PS_DELETION_LATEST_REMOVED;
}

/* ---- copies -----------------------------------------------------------------------------------
 */

static enum ps_status add_to_copy(struct ps_series_copy *copy, size_t most,
                                  const struct ps_head_point *from)
{
    if (from->ttl_s && !copy->ttl_s && !(copy->ttl_s = calloc(most, sizeof *copy->ttl_s)))
        return PS_ENOMEM;
    if (copy->ttl_s)
        copy->ttl_s[copy->points.count] = from->ttl_s;
    const struct ps_point point = unpack(from);
    return ps_points_append(&copy->points, &point, 1);
}

/* Last inclusive. */
static enum ps_status copy_range(const struct ps_series_table *table,
                                 const struct ps_series *series, int64_t first_ms, int64_t last_ms,
                                 struct ps_series_copy *out)
{
    struct ps_series_copy copy = { .id = series->id, .epoch = series->epoch };
    struct ps_head *head = series->head;
    for (uint32_t i = 0; head && i < head->count; i++) {
        const struct ps_head_point *point = ring_at(head, i);
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
