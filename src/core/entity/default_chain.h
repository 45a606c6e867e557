/* default_chain: the chain a new tenant starts with, and the template for more of its kind.
 *
 * In words: a type switch first; post telemetry is saved, post attributes are saved as client
 * attributes, RPC from the device and all the rest are logged (rules contract 10.1, 10.2). */
#ifndef PS_CORE_ENTITY_DEFAULT_CHAIN_H
#define PS_CORE_ENTITY_DEFAULT_CHAIN_H

#include "core/storage/db.h"

/** Save a chain with that name and the default graph. `out` may be NULL.
 *  Thread: writer. Atomic on its own. */
PS_MUST_CHECK
enum ps_status ps_default_chain_create(struct ps_db *db, const struct ps_uuid *tenant,
                                       const char *name, bool root, struct ps_uuid *out);

#endif
