/* attribute_cache: an entity's attributes as its actor sees them, own uncommitted writes included.
 *
 * Loaded with the actor. If a commit fails, caches of the shard are thrown away and loaded again.
 */
#ifndef PS_ACTORS_ATTRIBUTE_CACHE_H
#define PS_ACTORS_ATTRIBUTE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/entity/attribute.h"
#include "core/status.h"
#include "core/value.h"

struct ps_attribute_cache {
    struct ps_attribute *items; /* keys and text owned */
    size_t count, cap;
};

void ps_attribute_cache_deinit(struct ps_attribute_cache *cache);
/** Take over what was read from storage. */
void ps_attribute_cache_take(struct ps_attribute_cache *cache, struct ps_attribute_list *list);
/** NULL if there is no such attribute. */
const struct ps_attribute *ps_attribute_cache_find(const struct ps_attribute_cache *cache,
                                                   enum ps_attribute_scope scope, const char *key,
                                                   size_t key_len);
PS_MUST_CHECK
enum ps_status ps_attribute_cache_put(struct ps_attribute_cache *cache,
                                      enum ps_attribute_scope scope, const struct ps_kv *kv,
                                      int64_t updated_ms);
/** False if there was none. */
bool ps_attribute_cache_remove(struct ps_attribute_cache *cache, enum ps_attribute_scope scope,
                               const char *key, size_t key_len);

#endif
