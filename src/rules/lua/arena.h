/* arena: memory of one call's result: taken piece by piece, given back all at once.
 *
 * The first chunk is kept from call to call, so small results allocate nothing. */
#ifndef PS_RULES_LUA_ARENA_H
#define PS_RULES_LUA_ARENA_H

#include <stddef.h>

struct ps_arena_chunk;

struct ps_arena {
    struct ps_arena_chunk *chunks; /* newest first */
};

void ps_arena_deinit(struct ps_arena *arena);
void ps_arena_clear(struct ps_arena *arena);
/** Memory aligned for any type, not cleared. Returns: NULL if memory is short. */
void *ps_arena_take(struct ps_arena *arena, size_t bytes);
/** A terminated copy. Returns: NULL if memory is short. */
char *ps_arena_copy(struct ps_arena *arena, const char *text, size_t len);

#endif
