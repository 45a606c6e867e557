/* batch: the effects of the messages that finished in the last moments on a shard.
 *
 * While it fills it belongs to the shard; submitted, to the writer, which puts all of it in one
 * transaction; settled, to the shard again: points are applied to the heads, watchers and devices
 * are told, acks released. What it holds is kept or lost as one. One that cannot be written fails
 * alone: batches of other shards in its transaction are kept.
 *
 * Everything put in is copied. An effect that does not fit in memory fails before anything of it
 * is in. */
#ifndef PS_ACTORS_BATCH_H
#define PS_ACTORS_BATCH_H

#include "actors/subscribers.h"
#include "core/ack.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/entity/dead_letter.h"
#include "core/storage/writer.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/series.h"
#include "rules/host.h"

struct ps_shard;

struct ps_batch_point {
    struct ps_series *series;
    int64_t ts_ms;
    struct ps_value value;
    uint32_t ttl_s; /* 0 = the default */
};

/* What becomes of a latest value when points are deleted. */
enum ps_batch_latest {
    PS_BATCH_LATEST_STAYS,    /* it is not in the range */
    PS_BATCH_LATEST_KEPT,     /* it is, and is to be shown all the same: ps_batch_keep_latest() */
    PS_BATCH_LATEST_GOES,     /* nothing takes its place but a point that comes later */
    PS_BATCH_LATEST_REPLACED, /* by the newest point that is left: to be looked up */
};

/* Points of a series are deleted. It acts at one place in the order of arrival: on points of
 * earlier batches and on `before` points of its own, not on those behind it. */
struct ps_batch_delete {
    struct ps_series *series;
    int64_t start_ms, end_ms; /* end exclusive; INT64_MAX includes INT64_MAX */
    size_t before;
    enum ps_batch_latest latest;
    const struct ps_batch_point *kept; /* the latest value, if it is KEPT; the arena's */
};

/* A point of a series that may be pinned (latest_pin.h). */
struct ps_batch_offer {
    size_t point;
    bool pin_is_over; /* out, by the writer: the series has no pin after this point */
};

struct ps_batch_series {
    struct ps_series *series;
    struct ps_entity_id entity;
    uint32_t key_len; /* the series' own shares its word with what the shard may change */
};

struct ps_batch_attribute {
    struct ps_entity_id entity;
    enum ps_attribute_scope scope;
    struct ps_kv kv; /* value NULL: delete */
    int64_t updated_ms;
};

/* Who is to be told after the commit. */
struct ps_batch_notice {
    struct ps_batch_notice *next;
    struct ps_update *update; /* owned until it is posted */
    bool to_device, to_watchers;
};

/* How much room dead letters have; shared by all batches, touched by the writer's thread only. */
struct ps_letter_room {
    int64_t bytes_max;
    uint32_t since_trim;
};

struct ps_batch {
    struct ps_writer_item item; /* first */
    struct ps_port_item settled;
    struct ps_port *home;      /* the shard's port */
    _Atomic int64_t *next_seq; /* of the journal; the writer's thread counts it up */
    struct ps_letter_room *letter_room;
    struct ps_batch *next;
    uint64_t serial; /* counts up with the batches of a shard */
    /* A batch that began to fill before the failure of an earlier one was known must fail, too. */
    uint32_t *failures;     /* of the shard's batches; writer's thread only. NULL: not counted */
    uint32_t failures_seen; /* when it began to fill */
    bool stale;

    struct ps_buf blob;
    struct ps_journal_encoder encoder;
    struct ps_batch_point *points;
    struct ps_batch_delete *deletes; /* by `before` */
    struct ps_batch_offer *offers;   /* by `point` */
    struct ps_batch_series *series;
    struct ps_batch_attribute *attributes;
    struct ps_dead_letter *letters; /* messages that failed: text is in the arena */
    size_t point_count, point_cap, delete_count, delete_cap, offer_count, offer_cap, series_count,
        series_cap, attribute_count, attribute_cap, letter_count, letter_cap;
    int64_t created_ms; /* of tombstones */
    struct ps_batch_notice *notices, **notice_tail;
    struct ps_ack **acks; /* one may be here, and in other batches, several times */
    struct ps_arena arena;
    uint32_t effects; /* counts up with each effect: did a message leave something here? */
    uint32_t messages;
    size_t ack_count, ack_cap;

    enum ps_status status; /* of the commit */
    int64_t seq;           /* journal row, if there are points */
};

PS_MUST_CHECK
enum ps_status ps_batch_create(struct ps_port *home, _Atomic int64_t *next_seq,
                               void (*settled)(struct ps_port_item *item, void *owner),
                               struct ps_batch **out);
void ps_batch_destroy(struct ps_batch *batch);
/** Empty again, memory kept. */
void ps_batch_reset(struct ps_batch *batch);
bool ps_batch_is_empty(const struct ps_batch *batch);
/** How much it holds, roughly, in bytes. */
size_t ps_batch_bytes(const struct ps_batch *batch);

/** A series that is not in the catalogue yet goes in with its first point. */
PS_MUST_CHECK
enum ps_status ps_batch_add_point(struct ps_batch *batch, const struct ps_entity_id *entity,
                                  struct ps_series *series, int64_t ts_ms,
                                  const struct ps_value *value, uint32_t ttl_s);

/* Where a batch stands before the points of a message. */
struct ps_batch_mark {
    size_t point_count, offer_count, series_count, blob_len;
    struct ps_journal_encoder encoder;
    uint32_t effects;
};
struct ps_batch_mark ps_batch_mark(const struct ps_batch *batch);
/** Points that came behind the mark have not been there, nor rows of their series: one that memory
 *  was short for takes all of its message along. Nothing else may have come behind it. */
void ps_batch_go_back(struct ps_batch *batch, const struct ps_batch_mark *mark);
/** Nothing of the series is left that could take the place of a latest value that goes. */
static inline bool ps_batch_deletes_all(int64_t start_ms, int64_t end_ms)
{
    return start_ms == INT64_MIN && end_ms == INT64_MAX;
}
/** Delete behind the points that are in now. */
PS_MUST_CHECK
enum ps_status ps_batch_add_delete(struct ps_batch *batch, struct ps_series *series,
                                   int64_t start_ms, int64_t end_ms, enum ps_batch_latest latest,
                                   int64_t now_ms);

/** The latest value lies in the range of the deletion added last, and is to be shown all the same:
 *  it is copied. PS_ENOMEM: the deletion is incomplete, the batch must not be handed in with it. */
PS_MUST_CHECK
enum ps_status ps_batch_keep_latest(struct ps_batch *batch, const struct ps_batch_point *latest);

/* The latest value of a series as it will be once batches that have not settled are applied. */
struct ps_latest_outlook {
    struct ps_series *series;
    size_t index; /* the asker's own */
    bool known;   /* what deletes leave behind may have to be looked up first */
    bool exists;
    int64_t ts_ms;
    struct ps_value value; /* text is the series' or a batch's: of this moment */
    uint32_t ttl_s;
};
/** Take the next batch, in order, into account. The writer may have it meanwhile.
 *  @param outlooks  by address of the series, ascending, each once */
void ps_batch_look_ahead(const struct ps_batch *batch, struct ps_latest_outlook *outlooks,
                         size_t count);
PS_MUST_CHECK
enum ps_status ps_batch_add_attribute(struct ps_batch *batch, const struct ps_entity_id *entity,
                                      enum ps_attribute_scope scope, const struct ps_kv *kv,
                                      int64_t updated_ms);
PS_MUST_CHECK
enum ps_status ps_batch_add_letter(struct ps_batch *batch, const struct ps_msg *msg,
                                   const struct ps_uuid *chain, const struct ps_uuid *node,
                                   const char *error);
/** Takes the update; NULL (it could not be made) is PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_batch_add_notice(struct ps_batch *batch, struct ps_update *update, bool to_device,
                                   bool to_watchers);
/** It is committed: apply points and deletions to the heads, in order of arrival. */
void ps_batch_apply(const struct ps_batch *batch, struct ps_series_table *table);
/** Does the batch delete points of the series? */
bool ps_batch_deletes(const struct ps_batch *batch, const struct ps_series *series);
/** batch_write.c: what the writer does with it. */
void ps_batch_make_item(struct ps_batch *batch);
/** One owner of the ack moves in: it is released when the batch settled. If memory is short it is
 *  released with PS_ENOMEM now, so nobody hears yes too early. */
void ps_batch_add_ack(struct ps_batch *batch, struct ps_ack *ack);

#endif
