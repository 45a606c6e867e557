/* user: users as JSON; /api/auth/user shows the same. */
#ifndef PS_TRANSPORT_REST_USER_H
#define PS_TRANSPORT_REST_USER_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/entity/user.h"

/** @param with_state  additionalInfo also tells userCredentialsEnabled, userActivated, lastLoginTs
 */
void ps_rest_put_user(struct ps_buf *buf, const struct ps_user *user, bool with_state);

#endif
