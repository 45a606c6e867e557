/* chains: the directory of live programs, and each shard's view of it.
 *
 * The directory is shared: what a tenant has is one immutable, counted set (chain id -> program,
 * and which is the root); a change makes a new set and moves a generation counter. A shard looks
 * through its own cache: as long as the counter stands still a look-up is one atomic load and one
 * small hash probe, without a lock. During a run the view does not move: one message sees one
 * consistent set of chains. */
#ifndef PS_RULES_CHAINS_H
#define PS_RULES_CHAINS_H

#include <stddef.h>

#include "core/status.h"
#include "core/uuid.h"
#include "rules/program.h"

struct ps_chains;
struct ps_chain_cache;

PS_MUST_CHECK
enum ps_status ps_chains_create(struct ps_chains **out);
/** All caches must have been destroyed before. */
void ps_chains_destroy(struct ps_chains *chains);

/** Make a program live, replacing the one of the same chain; retains it. Thread: any. */
PS_MUST_CHECK
enum ps_status ps_chains_put(struct ps_chains *chains, const struct ps_program *program);
/** PS_OK or PS_ENOMEM; a chain that is not there is fine. A root that is removed leaves none. */
PS_MUST_CHECK
enum ps_status ps_chains_remove(struct ps_chains *chains, const struct ps_uuid *tenant,
                                const struct ps_uuid *chain);
/** The chain may be put later: until then the tenant has no root program. */
PS_MUST_CHECK
enum ps_status ps_chains_set_root(struct ps_chains *chains, const struct ps_uuid *tenant,
                                  const struct ps_uuid *chain);
/** Forget all chains of a tenant. */
PS_MUST_CHECK
enum ps_status ps_chains_remove_tenant(struct ps_chains *chains, const struct ps_uuid *tenant);

/** The live program of a chain with one reference for the caller, or NULL. Thread: any. */
const struct ps_program *ps_chains_find(struct ps_chains *chains, const struct ps_uuid *tenant,
                                        const struct ps_uuid *chain);
/** Chains that the live program of `chain` calls (for ps_chain_world). Thread: any. */
size_t ps_chains_targets(struct ps_chains *chains, const struct ps_uuid *tenant,
                         const struct ps_uuid *chain, struct ps_uuid *out, size_t max);
/** Chains of the tenant that call `chain` (a delete is refused then). Thread: any. */
size_t ps_chains_callers(struct ps_chains *chains, const struct ps_uuid *tenant,
                         const struct ps_uuid *chain, struct ps_uuid *out, size_t max);

/* --- one shard's view; one thread --- */

PS_MUST_CHECK
enum ps_status ps_chain_cache_create(struct ps_chains *chains, struct ps_chain_cache **out);
void ps_chain_cache_destroy(struct ps_chain_cache *cache); /* NULL is fine */

/** The tenant's root program, or NULL. Borrowed: valid until the next look-up outside a run. */
const struct ps_program *ps_chain_cache_root(struct ps_chain_cache *cache,
                                             const struct ps_uuid *tenant);
/** A program by chain id, or NULL. Borrowed as above. */
const struct ps_program *ps_chain_cache_find(struct ps_chain_cache *cache,
                                             const struct ps_uuid *tenant,
                                             const struct ps_uuid *chain);
/** Between these look-ups do not see changes (ps_run_message does this itself). */
void ps_chain_cache_hold(struct ps_chain_cache *cache);
void ps_chain_cache_unhold(struct ps_chain_cache *cache);

#endif
