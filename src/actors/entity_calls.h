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
 * Returns: PS_OK committed; PS_EINVAL a key is not acceptable; PS_EBUSY; PS_EFULL, PS_ESTORE.
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

/**
 * Latest points: one list per asked key, each with one point or none, in the order asked;
 * with `key_count` 0 all keys that have a value, sorted by name.
 * @param out  PS_OK: the caller deinits it
 */
PS_MUST_CHECK
enum ps_status ps_entity_latest(struct ps_actors *actors, const struct ps_entity_ref *ref,
                                const char *const *keys, size_t key_count,
                                struct ps_point_set *out);

/**
 * History over heads and journal as one: last write wins on equal (series, ts).
 * @param db   the calling reader's connection
 * @param out  one list per asked key, in the order asked; the caller deinits it
 */
PS_MUST_CHECK
enum ps_status ps_entity_history(struct ps_actors *actors, struct ps_db *db,
                                 const struct ps_entity_ref *ref, const char *const *keys,
                                 size_t key_count, const struct ps_history_query *query,
                                 struct ps_point_set *out);

/** The entity changed (name, profile, credentials) or is gone: the actor forgets what it knew;
 *  `end_sessions` closes live device sessions with that reason. Returns after it happened. */
void ps_entity_changed(struct ps_actors *actors, const struct ps_entity_ref *ref, bool end_sessions,
                       enum ps_session_end reason);

#endif
