/* identity_cache: credentials id -> device identity, in memory for the devices that talk.
 *
 * A miss costs one indexed read on the cache's own connection. Bounded; the least recently used
 * leave first. A change of credentials, device or profile must call forget. */
#ifndef PS_CORE_ENTITY_IDENTITY_CACHE_H
#define PS_CORE_ENTITY_IDENTITY_CACHE_H

#include "core/entity/device_identity.h"
#include "core/status.h"

struct ps_identity_cache;

PS_MUST_CHECK
enum ps_status ps_identity_cache_create(const char *db_path, size_t entries_max,
                                        struct ps_identity_cache **out);
void ps_identity_cache_destroy(struct ps_identity_cache *cache);

/** The device of an access token. Returns: PS_OK *out is retained; PS_EAUTH unknown token or one of
 *  another credentials type; PS_ESTORE. Thread: any; a miss waits for one read. */
PS_MUST_CHECK
enum ps_status ps_identity_cache_find_token(struct ps_identity_cache *cache, const char *token,
                                            size_t len, struct ps_device_identity **out);

/** Forget a device (changed or deleted), or everything if `device` is NULL. Thread: any. */
void ps_identity_cache_forget(struct ps_identity_cache *cache, const struct ps_uuid *device);

#endif
