#include "rules/lua/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 8 * 1024 };

struct ps_arena_chunk {
    struct ps_arena_chunk *next;
    size_t used, cap;
    alignas(max_align_t) char bytes[];
};

void ps_arena_deinit(struct ps_arena *arena)
{
    while (arena->chunks) {
        struct ps_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}

void ps_arena_clear(struct ps_arena *arena)
{
    struct ps_arena_chunk *chunk = arena->chunks;
    if (!chunk)
        return;
    while (chunk->next) { /* the oldest has the usual size and is kept */
        arena->chunks = chunk->next;
        free(chunk);
        chunk = arena->chunks;
    }
    chunk->used = 0;
}

static struct ps_arena_chunk *chunk_create(size_t cap)
{
    struct ps_arena_chunk *chunk = malloc(sizeof *chunk + cap);
    if (chunk) {
        chunk->next = NULL;
        chunk->used = 0;
        chunk->cap = cap;
    }
    return chunk;
}

void *ps_arena_take(struct ps_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!arena->chunks && !(arena->chunks = chunk_create(CHUNK_BYTES)))
        return NULL;
    struct ps_arena_chunk *chunk = arena->chunks;
    if (chunk->cap - chunk->used < rounded) {
        chunk = chunk_create(rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *taken = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return taken;
}

char *ps_arena_copy(struct ps_arena *arena, const char *text, size_t len)
{
    char *copy = ps_arena_take(arena, len + 1);
    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}
