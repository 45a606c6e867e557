#include "core/telemetry/id_set.h"

#include <stdlib.h>
#include <string.h>

enum { LEAF_BYTES = PS_ID_SET_LEAF_WORDS * 8, LEAVES_MAX = PS_ID_SET_BYTES_MAX / LEAF_BYTES };

void ps_id_set_deinit(struct ps_id_set *set)
{
    for (uint32_t i = 0; i < set->leaf_cap; i++)
        free(set->leaves[i]);
    free(set->leaves);
    *set = (struct ps_id_set){ 0 };
}

static bool make_room(struct ps_id_set *set, uint32_t leaf)
{
    uint32_t cap = set->leaf_cap ? set->leaf_cap : 8;
    while (cap <= leaf)
        cap *= 2; /* a leaf has 17 bits */
    uint64_t **larger = realloc(set->leaves, cap * sizeof *larger);
    if (!larger)
        return false;
    memset(larger + set->leaf_cap, 0, (cap - set->leaf_cap) * sizeof *larger);
    set->leaves = larger;
    set->leaf_cap = cap;
    return true;
}

static bool make_leaf(struct ps_id_set *set, uint32_t leaf)
{
    if (set->leaf_count >= LEAVES_MAX || (leaf >= set->leaf_cap && !make_room(set, leaf)))
        return false;
    set->leaves[leaf] = calloc(1, LEAF_BYTES);
    set->leaf_count += set->leaves[leaf] != NULL;
    return set->leaves[leaf];
}

bool ps_id_set_add(struct ps_id_set *set, uint32_t id)
{
    uint32_t leaf = id >> PS_ID_SET_LEAF_BITS, bit = id & ((1u << PS_ID_SET_LEAF_BITS) - 1);
    if ((leaf >= set->leaf_cap || !set->leaves[leaf]) && !make_leaf(set, leaf))
        return false;
    set->leaves[leaf][bit / 64] |= UINT64_C(1) << bit % 64;
    return true;
}
