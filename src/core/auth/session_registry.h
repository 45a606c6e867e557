/* session_registry: tokens that are no longer good although their signature is.
 *
 * Revoked sessions are remembered by id, exactly; a user's "not before" ends all sessions that
 * began earlier. Both are forgotten when the longest token they concern has expired. What is here
 * is also rows in the database, so a restart revives no token: first commit the row, then tell the
 * registry. Thread-safe: one lock, held for a table lookup. */
#ifndef PS_CORE_AUTH_SESSION_REGISTRY_H
#define PS_CORE_AUTH_SESSION_REGISTRY_H

#include "core/auth/jwt.h"
#include "core/storage/db.h"

struct ps_session_registry;

/** @param entries_max    revoked sessions and users together
 *  @param token_life_ms  of the longest living token */
PS_MUST_CHECK
enum ps_status ps_session_registry_create(size_t entries_max, int64_t token_life_ms,
                                          struct ps_session_registry **out);
void ps_session_registry_destroy(struct ps_session_registry *registry); /* NULL is fine */

/** Read what earlier runs revoked. Thread: main, before use. */
PS_MUST_CHECK
enum ps_status ps_session_registry_load(struct ps_session_registry *registry, struct ps_db *db,
                                        int64_t now_ms);

/** Is this verified token revoked? Thread: any. */
bool ps_session_registry_is_revoked(struct ps_session_registry *registry,
                                    const struct ps_jwt_claims *claims);

/**
 * Revoke one session / everything of a user that began before `now_ms`, inclusive. A session made
 * afterwards must begin at ps_session_registry_not_before() or later.
 *
 * Returns: PS_OK; PS_ELIMIT entries_max reached by revocations that still matter; PS_ENOMEM.
 * Thread:  any.
 */
PS_MUST_CHECK
enum ps_status ps_session_registry_revoke(struct ps_session_registry *registry,
                                          const struct ps_uuid *session, int64_t now_ms);
PS_MUST_CHECK
enum ps_status ps_session_registry_revoke_user(struct ps_session_registry *registry,
                                               const struct ps_uuid *user, int64_t now_ms);

/** The earliest begin a new session of this user may have: pass it to ps_jwt_session_create().
 *  It is `now_ms`, or later by the millisecond in which the user's tokens were revoked. */
int64_t ps_session_registry_not_before(struct ps_session_registry *registry,
                                       const struct ps_uuid *user, int64_t now_ms);

/* The rows. Thread: writer. Both also drop rows that no longer matter. */
PS_MUST_CHECK
enum ps_status ps_revocation_store_session(struct ps_db *db, const struct ps_uuid *session,
                                           int64_t now_ms, int64_t token_life_ms);
PS_MUST_CHECK
enum ps_status ps_revocation_store_user(struct ps_db *db, const struct ps_uuid *user,
                                        int64_t now_ms, int64_t token_life_ms);

#endif
