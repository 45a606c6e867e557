/* series: what is known of each (entity, key) in memory: its id, its latest value, its head.
 *
 * The head holds a series' newest points in order of arrival; it is a cache of what the journal
 * (and, later, the sealed runs) hold. When a head is full the oldest arrival leaves it, and the
 * series remembers up to which journal row (and which span of time) something is only there, so
 * that most questions need no look at the journal. Everything in here is committed: points are
 * applied after their transaction, or read back from the journal at start.
 *
 * The latest value is the alive point of greatest time, of equal times the last written. What was
 * sealed before the start is not in memory, so after a start a latest value is unknown until a
 * point arrives that is newer than everything sealed, or somebody asks the history
 * (ps_history_newest) and tells the answer (ps_series_learn_latest). A latest value may be deleted
 * without an older one taking its place, or stay when its point is deleted; then the next point
 * that is not older than it (any, if there is none) is the new one, which need not be the newest
 * that is left. Such a series is pinned: its latest value is durable on its own (latest_pin.h).
 *
 * Memory of a series with three points and a key of eleven letters: 56 + 104 bytes, and 8 in its
 * entity. One table per shard; it belongs to the shard's thread (to main before the shards
 * start). */
#ifndef PS_CORE_TELEMETRY_SERIES_H
#define PS_CORE_TELEMETRY_SERIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/telemetry/point.h"
#include "core/uuid.h"

enum {
    PS_SERIES_KEY_BYTES_MAX = 255 * 4, /* 255 characters of UTF-8 */
    PS_HEAD_POINTS_MAX = 65535,        /* more in the limits are taken as this */
};

/* A point in 24 bytes, inside series*.c. Text is owned. */
struct ps_head_point {
    int64_t ts_ms;
    union {
        int64_t integer; /* also the bits of a double, and 0 or 1 */
        double real;
        char *text;
    };
    uint32_t type : 4, len : 28;
    uint32_t ttl_s;
};

struct ps_head; /* series_head.h */

struct ps_series {
    uint32_t id;
    uint32_t key_len : 10;
    uint32_t catalogued : 1; /* its row is in the database, or on its way in a batch */
    /* the rest is series*.c's */
    uint32_t has_latest : 1;
    uint32_t latest_state : 2;
    uint32_t pinned : 1;         /* there may be a pin, or one is on its way: see ps_series_pin() */
    uint32_t sealed : 1;         /* points from before the start may be sealed */
    uint32_t overflowed : 1;     /* lost points while it had no head to note it */
    uint32_t in_slab : 1;        /* not freed alone */
    uint32_t epoch : 14;         /* counts up when an answer about the latest would be outdated */
    struct ps_head_point latest; /* with has_latest */
    struct ps_head *head;        /* NULL until the first point */
    char key[];
};

struct ps_entity_series {
    struct ps_entity_series *hash_next;
    struct ps_entity_id entity;
    uint32_t count, cap;
    uint32_t hint : 31; /* devices send the same keys in the same order */
    uint32_t in_slab : 1;
    struct ps_series **items;
};

struct ps_series_limits {
    uint32_t head_points_max;  /* of one series */
    size_t memory_max;         /* of all heads of this table; beyond it heads stop growing */
    _Atomic uint32_t *next_id; /* shared by all tables */
    /* Journal rows up to here are sealed; set by the keeper after its commit. NULL is fine: then
     * questions look into the journal somewhat more often than they have to. */
    const _Atomic int64_t *sealed_seq;
};

struct ps_series_slab;

struct ps_series_table {
    struct ps_series_limits limits;
    struct ps_entity_series **buckets;
    size_t bucket_count, entity_count;
    size_t series_count;
    size_t memory;                /* bytes of heads and texts */
    int64_t sealed_max_ms;        /* at start, the greatest time of any sealed point */
    int64_t overflow_seq;         /* last journal row of a point that found no head */
    struct ps_series_slab *slabs; /* what was restored at start lives in here */
    size_t slab_count;
};

PS_MUST_CHECK
enum ps_status ps_series_table_init(struct ps_series_table *table,
                                    const struct ps_series_limits *limits);
void ps_series_table_deinit(struct ps_series_table *table);
/** Room for so many entities from the beginning; less is fine if memory is short. */
void ps_series_table_expect(struct ps_series_table *table, size_t entities);

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

/* At start: a series as the catalogue has it. */
struct ps_series_row {
    uint32_t id;
    const char *key;
    size_t key_len;
    bool sealed; /* points of it may be sealed */
    bool pinned; /* its latest value has a pin */
};

/** As ps_series_table_get; its memory is given back only with the table. */
struct ps_entity_series *ps_series_table_restore(struct ps_series_table *table,
                                                 const struct ps_entity_id *entity);
/** The caller knows that the entity has no such key yet. NULL if memory is short. */
struct ps_series *ps_series_restore(struct ps_series_table *table, struct ps_entity_series *entity,
                                    const struct ps_series_row *row);

/** Ask the processor for the memory that the next apply will write. The series itself should be in
 * the cache already. */
void ps_series_fetch_head(const struct ps_series *series);
/**
 * A committed point of journal row `seq`, in order of rows. If memory is short the point is only
 * in the journal, and the series knows.
 *
 * @param ttl_s  the point's own time to live; 0 = none, its owner's default counts
 */
void ps_series_apply(struct ps_series_table *table, struct ps_series *series, int64_t seq,
                     int64_t ts_ms, const struct ps_value *value, uint32_t ttl_s);

/* ---- the latest value ---- */

enum ps_latest {
    PS_LATEST_NONE,    /* there is none */
    PS_LATEST_KNOWN,   /* here it is */
    PS_LATEST_UNKNOWN, /* not in memory: ask ps_history_newest, tell ps_series_learn_latest */
};

/** Into *out if known, its text borrowed until the table changes. An expired one is never shown:
 *  an older point may live longer, so that is UNKNOWN once, until learnt. `default_ttl_s`: of
 *  points without their own, 0 = for ever. */
enum ps_latest ps_series_latest(const struct ps_series *series, uint32_t default_ttl_s,
                                int64_t now_ms, struct ps_point *out);

/** The own time to live of the latest value that is KNOWN; 0 = none. */
uint32_t ps_series_latest_ttl_s(const struct ps_series *series);

/* What the history answered. */
struct ps_series_newest {
    struct ps_points points; /* one, or none; owned */
    uint32_t ttl_s;          /* its own time to live */
    uint32_t default_ttl_s;
    int64_t now_ms;
    uint32_t epoch; /* of the copy the question began with */
};

void ps_series_newest_deinit(struct ps_series_newest *newest);

/** Take the answer, unless something happened since the question that outdates it. */
void ps_series_learn_latest(struct ps_series *series, const struct ps_series_newest *newest);

/** The series gets a pin: from now on what stores its points tells the pin about them. */
static inline void ps_series_pin(struct ps_series *series)
{
    series->pinned = true;
}
/** It is known that the series has no pin, and none is on its way. */
void ps_series_unpin(struct ps_series *series);

struct ps_series_deletion {
    int64_t start_ms, end_ms; /* end exclusive; INT64_MAX includes INT64_MAX */
    bool delete_latest;       /* if the latest value lies in the range, it goes as well */
    bool rewrite_latest;      /* ... and the newest remaining point takes its place */
};

enum ps_deletion_latest {
    PS_DELETION_LATEST_KEPT,
    PS_DELETION_LATEST_REPLACED, /* by an older point: ps_series_latest has it */
    PS_DELETION_LATEST_REMOVED,
    PS_DELETION_LATEST_LOST, /* now PS_LATEST_UNKNOWN */
};

/**
 * A committed deletion, in order of rows: points in the range leave the head.
 *
 * Without rewrite_latest the next point to come is the latest value, whatever its time; without
 * delete_latest the latest value stays. Whoever makes the deletion durable writes a pin with it
 * (latest_pin.h). A latest value that is UNKNOWN stays so; to write a pin learn it first.
 */
enum ps_deletion_latest ps_series_delete_range(struct ps_series_table *table,
                                               struct ps_series *series,
                                               const struct ps_series_deletion *deletion);

/* ---- queries ---- */

/* What a query needs of one series, copied out of the shard. Zeroed: no such series. */
struct ps_series_copy {
    uint32_t id; /* 0 = no such series */
    uint32_t epoch;
    bool pinned;             /* there may be a pin, as memory knows */
    struct ps_points points; /* in range, in order of arrival */
    uint32_t *ttl_s;         /* parallel; NULL: none has its own. Owned */
    int64_t journal_up_to;   /* rows to read as well, unless sealed; 0 = none: the head has all
                                in range that is not sealed */
};

/** The part in [start_ms, end_ms). */
PS_MUST_CHECK
enum ps_status ps_series_copy(const struct ps_series_table *table, const struct ps_series *series,
                              int64_t start_ms, int64_t end_ms, struct ps_series_copy *out);
/** All of it, INT64_MAX included. */
PS_MUST_CHECK
enum ps_status ps_series_copy_all(const struct ps_series_table *table,
                                  const struct ps_series *series, struct ps_series_copy *out);
void ps_series_copy_deinit(struct ps_series_copy *copy);

#endif
