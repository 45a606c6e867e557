/* user_row: what user.c needs of user_credentials.c. */
#ifndef PS_CORE_ENTITY_USER_ROW_H
#define PS_CORE_ENTITY_USER_ROW_H

#include "core/storage/db.h"

/** Credentials of a new user: enabled, no password, an activation token. */
PS_MUST_CHECK
enum ps_status ps_user_credentials_insert(struct ps_db *db, const struct ps_uuid *user,
                                          int64_t now_ms);

#endif
