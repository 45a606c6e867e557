/* arena: memory that is given back all at once; what it hands out never moves.
 *
 * A zeroed struct is empty. Resetting keeps the first chunk, so a reused arena allocates nothing.
 */
#ifndef PS_CORE_ARENA_H
#define PS_CORE_ARENA_H

#include <stddef.h>

struct ps_arena_chunk;

struct ps_arena {
    struct ps_arena_chunk *first, *current;
    size_t bytes; /* handed out since the last reset */
};

/** `len` bytes, aligned for pointers and integers; NULL if memory is short. */
void *ps_arena_alloc(struct ps_arena *arena, size_t len);
/** A copy of the bytes, terminated; NULL if memory is short. */
char *ps_arena_copy(struct ps_arena *arena, const char *data, size_t len);
void ps_arena_reset(struct ps_arena *arena);
void ps_arena_deinit(struct ps_arena *arena);

#endif
