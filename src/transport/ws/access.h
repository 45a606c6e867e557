/* access: who a client is, and what it may read.
 *
 * The first is arithmetic and a table lookup, done on the WebSocket thread; the second reads the
 * database and belongs into a reader job. */
#ifndef PS_TRANSPORT_WS_ACCESS_H
#define PS_TRANSPORT_WS_ACCESS_H

#include "core/auth/jwt.h"
#include "core/storage/db.h"
#include "transport/services.h"

/**
 * Check an access token.
 * @param why  PS_EAUTH: the reason of the close frame, a constant
 * Returns: PS_OK or PS_EAUTH; `out` is untouched on failure. Thread: any.
 */
PS_MUST_CHECK
enum ps_status ps_ws_token_check(const struct ps_services *services, const char *token,
                                 struct ps_jwt_claims *out, const char **why);

/** Has the token of an open session been revoked since? Thread: any. */
bool ps_ws_token_is_revoked(const struct ps_services *services, const struct ps_jwt_claims *claims);

/**
 * May the principal read the entity's telemetry and attributes?
 * @param tenant  PS_OK: whose the entity is
 * Returns: PS_OK; PS_EDENIED also for entities that do not exist; PS_ESTORE, PS_ENOMEM.
 * Thread:  a reader.
 */
PS_MUST_CHECK
enum ps_status ps_ws_may_read(struct ps_db *db, const struct ps_principal *principal,
                              const struct ps_entity_id *entity, struct ps_uuid *tenant);

#endif
