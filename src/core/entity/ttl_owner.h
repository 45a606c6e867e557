/* ttl_owner: what a profile says, and whose word counts for an entity. Inside ttl*.c only. */
#ifndef PS_CORE_ENTITY_TTL_OWNER_H
#define PS_CORE_ENTITY_TTL_OWNER_H

#include "core/entity/ttl.h"

struct ps_ttl_owner {
    struct ps_uuid tenant, profile; /* null: none */
};

/** False: it does not say, *ttl_s is untouched. What cannot be read does not say either. */
bool ps_ttl_profile_says(const char *data, size_t len, uint32_t *ttl_s);
/** Nulls for an entity that is not stored, or of a kind without table. */
PS_MUST_CHECK
enum ps_status ps_ttl_find_owner(struct ps_db *db, const struct ps_entity_id *entity,
                                 struct ps_ttl_owner *out);

#endif
