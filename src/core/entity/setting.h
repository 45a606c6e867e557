/* setting: key and value pairs of the installation, such as the token signing key. */
#ifndef PS_CORE_ENTITY_SETTING_H
#define PS_CORE_ENTITY_SETTING_H

#include "core/buf.h"
#include "core/storage/db.h"

/** Append the value to `out`. Returns: PS_OK, PS_ENOTFOUND, PS_ENOMEM, PS_ESTORE. */
PS_MUST_CHECK
enum ps_status ps_setting_get(struct ps_db *db, const char *key, struct ps_buf *out);
/** Create or replace. */
PS_MUST_CHECK
enum ps_status ps_setting_put(struct ps_db *db, const char *key, const void *value, size_t len);

#endif
