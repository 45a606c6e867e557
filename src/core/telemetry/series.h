/* series: what is known of each (entity, key) in memory: its id, its latest value, its head.
 *
 * The head holds a series' newest points in order of arrival; the journal holds all of them. When
 * a head is full the oldest arrival leaves it, and the series remembers up to which journal row
 * (and which span of time) something is only there. Everything in here is committed: points are
 * applied after their transaction, or read back from the journal at start.
 *
 * One table per shard; it belongs to the shard's thread (to main before the shards start). */
#ifndef PS_CORE_TELEMETRY_SERIES_H
#define PS_CORE_TELEMETRY_SERIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/telemetry/point.h"
#include "core/uuid.h"

enum { PS_SERIES_KEY_BYTES_MAX = 255 * 4 }; /* 255 characters of UTF-8 */

struct ps_head_point; /* inside series.c */

struct ps_series {
    uint32_t id;
    uint16_t key_len;
    bool catalogued; /* its row is in the database, or on its way in a batch */
    bool has_latest;
    struct ps_point latest; /* greatest ts; of equals the last written. Text owned */
    struct ps_head_point *ring;
    uint32_t ring_cap, ring_count, ring_first;
    int64_t lost_seq;                 /* journal rows up to here may hold more; 0 = none */
    int64_t lost_min_ms, lost_max_ms; /* span of what is only in the journal */
    char key[];
};

struct ps_entity_series {
    struct ps_entity_series *hash_next;
    struct ps_entity_id entity;
    uint32_t count, cap;
    uint32_t hint; /* devices send the same keys in the same order */
    struct ps_series **items;
};

struct ps_series_limits {
    uint32_t head_points_max;  /* of one series */
    size_t memory_max;         /* of all heads of this table; beyond it heads stop growing */
    _Atomic uint32_t *next_id; /* shared by all tables */
};

struct ps_series_table {
    struct ps_series_limits limits;
    struct ps_entity_series **buckets;
    size_t bucket_count, entity_count;
    size_t series_count;
    size_t memory; /* bytes of heads and texts */
};

PS_MUST_CHECK
enum ps_status ps_series_table_init(struct ps_series_table *table,
                                    const struct ps_series_limits *limits);
void ps_series_table_deinit(struct ps_series_table *table);

/** The entity's series; NULL if it has none. */
struct ps_entity_series *ps_series_table_find(struct ps_series_table *table,
                                              const struct ps_uuid *entity);
/** The same, made if missing; NULL if memory is short. Stays where it is until forgotten. */
struct ps_entity_series *ps_series_table_get(struct ps_series_table *table,
                                             const struct ps_entity_id *entity);
/** The entity is gone: free its series. No batch may still hold points of it. */
void ps_series_table_forget(struct ps_series_table *table, const struct ps_uuid *entity);

struct ps_series *ps_series_find(struct ps_entity_series *entity, const char *key, size_t len);
/** The series of a key, made if missing (not catalogued yet); NULL if memory is short. */
struct ps_series *ps_series_get(struct ps_series_table *table, struct ps_entity_series *entity,
                                const char *key, size_t len);
/** At start: a series as the catalogue has it. */
struct ps_series *ps_series_restore(struct ps_series_table *table, struct ps_entity_series *entity,
                                    const char *key, size_t len, uint32_t id);

/** Ask the processor for the memory that the next apply will write. The series itself should be in
 * the cache already. */
void ps_series_fetch_head(const struct ps_series *series);
/** A committed point of journal row `seq`, in order of rows. If memory is short the point is only
 *  in the journal, and the series knows. */
void ps_series_apply(struct ps_series_table *table, struct ps_series *series, int64_t seq,
                     int64_t ts_ms, const struct ps_value *value);

/* What a query needs of one series, copied out of the shard. */
struct ps_series_copy {
    uint32_t id;             /* 0 = no such series */
    struct ps_points points; /* in range, in order of arrival */
    int64_t journal_up_to;   /* rows to read as well; 0 = none: the head has everything in range */
};

PS_MUST_CHECK
enum ps_status ps_series_copy(const struct ps_series *series, int64_t start_ms, int64_t end_ms,
                              struct ps_series_copy *out);
void ps_series_copy_deinit(struct ps_series_copy *copy);

#endif
