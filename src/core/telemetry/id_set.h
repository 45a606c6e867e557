/* id_set: a set of series ids: a bitmap in leaves that are made when an id of theirs is added.
 *
 * Ids are given out in ascending order, so the set of a million is 128 KB. It is bounded, and it is
 * for who would only do something again that he forgot: what finds no room is not in it. */
#ifndef PS_CORE_TELEMETRY_ID_SET_H
#define PS_CORE_TELEMETRY_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_ID_SET_BYTES_MAX = 16 << 20, /* of leaves: 134 million ids in a row */
    PS_ID_SET_LEAF_BITS = 15,
    PS_ID_SET_LEAF_WORDS = (1 << PS_ID_SET_LEAF_BITS) / 64,
};

/* Zeroed = empty. */
struct ps_id_set {
    uint32_t leaf_cap, leaf_count;
    uint64_t **leaves; /* owned; NULL where there is no id */
};

void ps_id_set_deinit(struct ps_id_set *set); /* empty afterwards */
/** False: there is no memory, or no room; the id is not in the set. */
bool ps_id_set_add(struct ps_id_set *set, uint32_t id);

static inline bool ps_id_set_has(const struct ps_id_set *set, uint32_t id)
{
    uint32_t leaf = id >> PS_ID_SET_LEAF_BITS, bit = id & ((1u << PS_ID_SET_LEAF_BITS) - 1);
    return leaf < set->leaf_cap && set->leaves[leaf] &&
           (set->leaves[leaf][bit / 64] >> bit % 64 & 1);
}

#endif
