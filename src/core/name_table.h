/* name_table: finds names that occur twice in one object, in linear time.
 *
 * Used object after object: slots carry the number of the round that filled them, so starting over
 * costs nothing. The hash is seeded by the kernel's random numbers, because the names come from
 * devices and chosen collisions would make one message cost as much as thousands. */
#ifndef PS_CORE_NAME_TABLE_H
#define PS_CORE_NAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct ps_name_slot;

/* Zeroed = empty. */
struct ps_name_table {
    struct ps_name_slot *slots;
    size_t slot_count; /* power of two */
    uint32_t round;
    uint64_t seed;
};

void ps_name_table_deinit(struct ps_name_table *table);

/** Forget all names and make room for `name_count` of them. Returns: PS_OK, PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_name_table_begin(struct ps_name_table *table, size_t name_count);

/**
 * Enter a name under `index`.
 *
 * @param name  borrowed until the next begin
 * Returns: the index under which the same name was entered first; `index` itself if it is new.
 */
uint32_t ps_name_table_enter(struct ps_name_table *table, const char *name, uint32_t len,
                             uint32_t index);

#endif
