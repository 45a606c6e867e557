/* id_table: an intrusive hash table: sessions by id, subscriptions by cmdId, watches by entity.
 *
 * Links live inside the objects, so entering one allocates nothing but, now and then, a larger
 * bucket array; when that fails the chains get longer and nothing else happens. The table compares
 * hashes only: two different keys may share one, so the finder walks the candidates:
 *
 *     for (link = ps_ws_table_first(&table, hash); link; link = ps_ws_table_next(link))
 *
 * One thread at a time. */
#ifndef PS_TRANSPORT_WS_ID_TABLE_H
#define PS_TRANSPORT_WS_ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct ps_ws_link {
    struct ps_ws_link *next; /* in its bucket */
    uint64_t hash;
};

struct ps_ws_table {
    struct ps_ws_link **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

/** The object that embeds `link` as `member`. */
#define PS_WS_OBJECT(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/** Returns: PS_OK or PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_ws_table_init(struct ps_ws_table *table);
/** The objects stay their owners'. A zeroed table is fine. */
void ps_ws_table_deinit(struct ps_ws_table *table);

void ps_ws_table_insert(struct ps_ws_table *table, struct ps_ws_link *link, uint64_t hash);
void ps_ws_table_remove(struct ps_ws_table *table, struct ps_ws_link *link);

/** First object with this hash, or NULL. */
struct ps_ws_link *ps_ws_table_first(const struct ps_ws_table *table, uint64_t hash);
/** Next object with the same hash, or NULL. */
struct ps_ws_link *ps_ws_table_next(const struct ps_ws_link *link);

/** Some object of the table, or NULL if it is empty: for taking a table apart. */
struct ps_ws_link *ps_ws_table_any(const struct ps_ws_table *table);
/** Every object once; `visit` may remove the object it is given and no other. */
void ps_ws_table_each(const struct ps_ws_table *table,
                      void (*visit)(struct ps_ws_link *link, void *context), void *context);

/** Spreads small numbers (cmdIds, counters) over the table. */
static inline uint64_t ps_ws_hash_number(uint64_t number)
{
    number *= 0x9E3779B97F4A7C15ull;
    return number ^ number >> 32;
}

#endif
