#include "core/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 16 * 1024, ALIGN = 8 };

struct ps_arena_chunk {
    struct ps_arena_chunk *next;
    size_t used, cap;
    alignas(ALIGN) char data[];
};

static struct ps_arena_chunk *add_chunk(struct ps_arena *arena, size_t len)
{
    size_t cap = len > CHUNK_BYTES ? len : CHUNK_BYTES;
    struct ps_arena_chunk *chunk = malloc(sizeof *chunk + cap);
    if (!chunk)
        return NULL;
    *chunk = (struct ps_arena_chunk){ .cap = cap };
    if (arena->current)
        arena->current->next = chunk;
    else
        arena->first = chunk;
    arena->current = chunk;
    return chunk;
}

void *ps_arena_alloc(struct ps_arena *arena, size_t len)
{
    len = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct ps_arena_chunk *chunk = arena->current;
    if ((!chunk || chunk->cap - chunk->used < len) && !(chunk = add_chunk(arena, len)))
        return NULL;
    void *memory = chunk->data + chunk->used;
    chunk->used += len;
    arena->bytes += len;
    return memory;
}

char *ps_arena_copy(struct ps_arena *arena, const char *data, size_t len)
{
    char *copy = ps_arena_alloc(arena, len + 1);
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

static void free_chunks(struct ps_arena_chunk *chunk)
{
    while (chunk) {
        struct ps_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void ps_arena_reset(struct ps_arena *arena)
{
    arena->bytes = 0;
    if (!arena->first)
        return;
    free_chunks(arena->first->next);
    arena->first->next = NULL;
    arena->first->used = 0;
    arena->current = arena->first;
}

void ps_arena_deinit(struct ps_arena *arena)
{
    free_chunks(arena->first);
    *arena = (struct ps_arena){ 0 };
}
