/* entity_calls: what REST and queries ask of an entity's actor, as plain blocking functions.
 *
 * Thread: one that may block (a reader); never a shard, the writer or a library's loop. Writes
 * return after their commit. */
#ifndef PS_ACTORS_ENTITY_CALLS_H
#define PS_ACTORS_ENTITY_CALLS_H

#include "actors/actors.h"
#include "actors/session.h"
#include "core/payload_json.h"
#include "core/storage/db.h"
#include "core/telemetry/point.h"
#include "rules/host.h"

/* Who asks, and about whom. */
struct ps_entity_ref {
    struct ps_uuid tenant;
    struct ps_entity_id entity;
};

/**
 * Store the entries of a telemetry upload made over REST; entries without ts get the server's time.
 * Subscribers are told, TIMESERIES_UPDATED enters the rule chain.
 * @param ttl_s  seconds the points are kept, 0 = the default of the entity
 * Returns: PS_OK committed; PS_EINVAL a key or the TTL is not acceptable, `why` says which;
 *          PS_EBUSY; PS_EFULL, PS_ESTORE.
 */
PS_MUST_CHECK
enum ps_status ps_entity_save_telemetry(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                        const struct ps_payload *payload, int64_t ttl_s,
                                        struct ps_text *why);

/** Store attributes: subscribers are told, SHARED ones pushed to the device's sessions,
 *  ATTRIBUTES_UPDATED enters the rule chain. Returns: as above. */
PS_MUST_CHECK
enum ps_status ps_entity_save_attributes(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                         enum ps_attribute_scope scope, const struct ps_kv *kvs,
                                         size_t count, struct ps_text *why);

/** Delete attributes by key (value parts of `keys` are ignored); keys that do not exist are
 *  skipped. Pushed, told and reported like a write (ATTRIBUTES_DELETED). */
PS_MUST_CHECK
enum ps_status ps_entity_delete_attributes(struct ps_actors *actors,
                                           const struct ps_entity_ref *ref,
                                           enum ps_attribute_scope scope, const struct ps_kv *keys,
                                           size_t count);

/* What is deleted, half open; `all`: everything, whatever the bounds say. */
struct ps_delete_telemetry {
    bool all;
    int64_t start_ms, end_ms; /* end exclusive; nothing is deleted unless start < end */
    bool delete_latest;       /* a latest value in the range goes as well; else it stays shown */
    bool rewrite_latest;      /* and the newest point before the range takes its place */
};

/**
 * Delete points of `keys`: what was stored before this call, not what comes later. Keys without
 * series are skipped. Watchers are told of latest values that are gone (and of what took their
 * place), TIMESERIES_DELETED enters the rule chain with the keys that were found.
 * @param db  the calling reader's connection
 * Returns: PS_OK committed (also if there was nothing to delete); PS_ENOTFOUND no such entity;
 *          PS_EBUSY; PS_EFULL, PS_ESTORE
 */
PS_MUST_CHECK
enum ps_status ps_entity_delete_telemetry(struct ps_actors *actors, struct ps_db *db,
                                          const struct ps_entity_ref *ref, const char *const *keys,
                                          size_t key_count, const struct ps_delete_telemetry *what);

/**
 * Latest points: one list per asked key, each with one point or none, in the order asked;
 * with `key_count` 0 all keys that have a value, sorted by name. What is not known in memory (after
 * a start) is looked up once; what is expired is not there.
 * @param db   the calling reader's connection
 * @param out  PS_OK: the caller deinits it
 */
PS_MUST_CHECK
enum ps_status ps_entity_latest(struct ps_actors *actors, struct ps_db *db,
                                const struct ps_entity_ref *ref, const char *const *keys,
                                size_t key_count, struct ps_point_set *out);

/**
 * History over heads, journal and sealed files as one: last write wins on equal (series, ts);
 * what is deleted or expired is not there. Whoever streams asks again from the last ts on, with
 * query->limit as the size of a slice.
 * @param db   the calling reader's connection
 * @param out  one list per asked key, in the order asked; the caller deinits it
 */
PS_MUST_CHECK
enum ps_status ps_entity_history(struct ps_actors *actors, struct ps_db *db,
                                 const struct ps_entity_ref *ref, const char *const *keys,
                                 size_t key_count, const struct ps_history_query *query,
                                 struct ps_point_set *out);

/** The entity changed (name, profile, credentials) or is gone: the actor forgets what it knew;
 *  `end_sessions` closes live device sessions with that reason. Returns after it happened; after
 *  PS_SESSION_DEVICE_DELETED nothing of its telemetry is in memory. */
void ps_entity_changed(struct ps_actors *actors, const struct ps_entity_ref *ref, bool end_sessions,
                       enum ps_session_end reason);

#endif
