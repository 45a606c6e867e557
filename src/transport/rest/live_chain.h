/* live_chain: from the stored graph of a chain to the program messages run through. */
#ifndef PS_TRANSPORT_REST_LIVE_CHAIN_H
#define PS_TRANSPORT_REST_LIVE_CHAIN_H

#include "core/entity/rule_chain.h"
#include "core/storage/db.h"

struct ps_chain;
struct ps_chains;
struct ps_script_cache;

/** Read and parse the stored graph. Returns: PS_OK *out is the caller's; PS_ENOTFOUND; PS_ESTORE;
 *  PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_live_chain_read(struct ps_db *db, struct ps_script_cache *scripts,
                                  const struct ps_uuid *chain, struct ps_chain **out);

/**
 * Compile what is stored for a chain and make it live. When saves race, the newest stored version
 * is what stays, whoever comes last.
 *
 * Returns: PS_OK; PS_ENOTFOUND the chain is gone (then it is not live any more); PS_ESTORE;
 *          PS_ENOMEM.
 * Thread:  reader, after the save's commit.
 */
PS_MUST_CHECK
enum ps_status ps_live_chain_publish(struct ps_db *db, struct ps_script_cache *scripts,
                                     struct ps_chains *chains, const struct ps_uuid *tenant,
                                     const struct ps_uuid *chain);

#endif
