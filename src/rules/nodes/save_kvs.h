/* save_kvs: what the save nodes do alike with key-values: nulls out, host's answer in. */
#ifndef PS_RULES_NODES_SAVE_KVS_H
#define PS_RULES_NODES_SAVE_KVS_H

#include "rules/node.h"

/**
 * The key-values without nulls. Without any null that is the list itself; else a copy.
 *
 * @param copy  to free() after use, in any case; NULL if there was nothing to leave out
 * Returns: PS_OK or PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_save_without_nulls(const struct ps_visit *visit, const struct ps_kv *kvs,
                                     uint32_t *count, const struct ps_kv **out,
                                     struct ps_kv **copy);

/** Success, or the failure that the host's answer means. */
enum ps_step ps_save_step(struct ps_step_out *out, enum ps_status st, const struct ps_text *why);

#endif
