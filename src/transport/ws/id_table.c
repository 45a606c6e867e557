#include "transport/ws/id_table.h"

#include <stdlib.h>

enum { BUCKETS_AT_START = 8 };

enum ps_status ps_ws_table_init(struct ps_ws_table *table)
{
    struct ps_ws_link **buckets = calloc(BUCKETS_AT_START, sizeof *buckets);
    if (!buckets)
        return PS_ENOMEM;
    *table = (struct ps_ws_table){ .buckets = buckets, .bucket_count = BUCKETS_AT_START };
    return PS_OK;
}

void ps_ws_table_deinit(struct ps_ws_table *table)
{
    free(table->buckets);
    *table = (struct ps_ws_table){ 0 };
}

static void put(struct ps_ws_table *table, struct ps_ws_link *link)
{
    struct ps_ws_link **bucket = &table->buckets[link->hash & (table->bucket_count - 1)];
    link->next = *bucket;
    *bucket = link;
}

static void grow(struct ps_ws_table *table)
{
    struct ps_ws_table larger = { .bucket_count = table->bucket_count * 2, .count = table->count };
    larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
    if (!larger.buckets)
        return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct ps_ws_link *link = table->buckets[i];
        while (link) {
            struct ps_ws_link *next = link->next;
            put(&larger, link);
            link = next;
        }
    }
    free(table->buckets);
    *table = larger;
}

void ps_ws_table_insert(struct ps_ws_table *table, struct ps_ws_link *link, uint64_t hash)
{
    if (table->count >= table->bucket_count)
        grow(table);
    link->hash = hash;
    put(table, link);
    table->count++;
}

void ps_ws_table_remove(struct ps_ws_table *table, struct ps_ws_link *link)
{
    struct ps_ws_link **at = &table->buckets[link->hash & (table->bucket_count - 1)];
    while (*at != link) {
        PS_ASSERT(*at);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    table->count--;
}

static struct ps_ws_link *with_hash(struct ps_ws_link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct ps_ws_link *ps_ws_table_first(const struct ps_ws_table *table, uint64_t hash)
{
    if (!table->buckets)
        return NULL;
    return with_hash(table->buckets[hash & (table->bucket_count - 1)], hash);
}

struct ps_ws_link *ps_ws_table_next(const struct ps_ws_link *link)
{
    return with_hash(link->next, link->hash);
}

struct ps_ws_link *ps_ws_table_any(const struct ps_ws_table *table)
{
    for (size_t i = 0; table->count && i < table->bucket_count; i++)
        if (table->buckets[i])
            return table->buckets[i];
    return NULL;
}

void ps_ws_table_each(const struct ps_ws_table *table,
                      void (*visit)(struct ps_ws_link *link, void *context), void *context)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct ps_ws_link *link = table->buckets[i];
        while (link) {
            struct ps_ws_link *next = link->next;
            visit(link, context);
            link = next;
        }
    }
}
