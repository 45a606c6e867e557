/* directory: entity id -> actor, for one shard. */
#ifndef PS_ACTORS_DIRECTORY_H
#define PS_ACTORS_DIRECTORY_H

#include <stddef.h>

#include "core/status.h"
#include "core/uuid.h"

struct ps_actor;

struct ps_directory {
    struct ps_actor **buckets;
    size_t bucket_count, count;
};

PS_MUST_CHECK
enum ps_status ps_directory_init(struct ps_directory *directory);
void ps_directory_deinit(struct ps_directory *directory); /* destroys no actors */
struct ps_actor *ps_directory_find(const struct ps_directory *directory,
                                   const struct ps_uuid *entity);
void ps_directory_add(struct ps_directory *directory, struct ps_actor *actor);
void ps_directory_remove(struct ps_directory *directory, struct ps_actor *actor);
/** Any actor, or NULL: to empty a directory. */
struct ps_actor *ps_directory_any(const struct ps_directory *directory);

#endif
