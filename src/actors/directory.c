#include "actors/directory.h"

#include <stdlib.h>

#include "actors/actor.h"

enum { BUCKETS_FIRST = 64 };

enum ps_status ps_directory_init(struct ps_directory *directory)
{
    *directory = (struct ps_directory){ .bucket_count = BUCKETS_FIRST };
    directory->buckets = calloc(BUCKETS_FIRST, sizeof *directory->buckets);
    return directory->buckets ? PS_OK : PS_ENOMEM;
}

void ps_directory_deinit(struct ps_directory *directory)
{
    free(directory->buckets);
    *directory = (struct ps_directory){ 0 };
}

static struct ps_actor **bucket_of(const struct ps_directory *directory,
                                   const struct ps_uuid *entity)
{
    return &directory->buckets[ps_uuid_hash(entity) & (directory->bucket_count - 1)];
}

struct ps_actor *ps_directory_find(const struct ps_directory *directory,
                                   const struct ps_uuid *entity)
{
    struct ps_actor *actor = *bucket_of(directory, entity);
    while (actor && !ps_uuid_equal(&actor->id.id, entity))
        actor = actor->hash_next;
    return actor;
}

/* If memory is short the chains just get longer. */
static void grow(struct ps_directory *directory)
{
    struct ps_directory bigger = { .bucket_count = directory->bucket_count * 2 };
    bigger.buckets = calloc(bigger.bucket_count, sizeof *bigger.buckets);
    if (!bigger.buckets)
        return;
    for (size_t i = 0; i < directory->bucket_count; i++) {
        while (directory->buckets[i]) {
            struct ps_actor *actor = directory->buckets[i];
            directory->buckets[i] = actor->hash_next;
            ps_directory_add(&bigger, actor);
        }
    }
    free(directory->buckets);
    *directory = bigger;
}

void ps_directory_add(struct ps_directory *directory, struct ps_actor *actor)
{
    if (directory->count >= directory->bucket_count)
        grow(directory);
    struct ps_actor **bucket = bucket_of(directory, &actor->id.id);
    actor->hash_next = *bucket;
    *bucket = actor;
    directory->count++;
}

void ps_directory_remove(struct ps_directory *directory, struct ps_actor *actor)
{
    struct ps_actor **link = bucket_of(directory, &actor->id.id);
    while (*link && *link != actor)
        link = &(*link)->hash_next;
    PS_ASSERT(*link);
    *link = actor->hash_next;
    directory->count--;
}

struct ps_actor *ps_directory_any(const struct ps_directory *directory)
{
    for (size_t i = 0; i < directory->bucket_count; i++) {
        if (directory->buckets[i])
            return directory->buckets[i];
    }
    return NULL;
}
