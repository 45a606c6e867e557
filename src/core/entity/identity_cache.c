#include "core/entity/identity_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum { STRIPES = 16, BUCKETS = 1024 };

struct entry {
    struct entry *hash_next;
    struct entry *older, *newer; /* by last use */
    uint64_t hash;
    struct ps_device_identity *identity;
};

struct stripe {
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS];
    struct entry *oldest, *newest;
    size_t count;
    uint64_t generation; /* counts forgets: what was read before one is not kept after it */
};

struct ps_identity_cache {
    size_t stripe_max; /* entries; constant */
    struct stripe stripes[STRIPES];
    pthread_mutex_t db_lock;
    struct ps_db *db; /* under db_lock */
};

enum ps_status ps_identity_cache_create(const char *db_path, size_t entries_max,
                                        struct ps_identity_cache **out)
{
    struct ps_identity_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return PS_ENOMEM;
    struct ps_text why;
    enum ps_status st = ps_db_open(db_path, PS_DB_READER, &cache->db, &why);
    if (st != PS_OK) {
        free(cache);
        return st;
    }
    cache->stripe_max = entries_max / STRIPES + 1;
    pthread_mutex_init(&cache->db_lock, NULL);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&cache->stripes[i].lock, NULL);
    *out = cache;
    return PS_OK;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bit. */
static uint64_t hash_of(const char *text, size_t len)
{
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211ull;
    return hash ^ hash >> 29;
}

static struct stripe *stripe_of(struct ps_identity_cache *cache, uint64_t hash)
{
    return &cache->stripes[hash % STRIPES];
}

static struct entry **bucket_of(struct stripe *stripe, uint64_t hash)
{
    return &stripe->buckets[hash / STRIPES % BUCKETS];
}

static void unlink_use(struct stripe *stripe, struct entry *entry)
{
    *(entry->older ? &entry->older->newer : &stripe->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &stripe->newest) = entry->older;
}

static void link_newest(struct stripe *stripe, struct entry *entry)
{
    entry->older = stripe->newest;
    entry->newer = NULL;
    *(stripe->newest ? &stripe->newest->newer : &stripe->oldest) = entry;
    stripe->newest = entry;
}

static void remove_entry(struct stripe *stripe, struct entry *entry)
{
    struct entry **link = bucket_of(stripe, entry->hash);
    while (*link != entry)
        link = &(*link)->hash_next;
    *link = entry->hash_next;
    unlink_use(stripe, entry);
    ps_device_identity_release(entry->identity);
    free(entry);
    stripe->count--;
}

static bool has_token(const struct ps_device_identity *identity, const char *token, size_t len)
{
    return identity->credentials_id_len == len && memcmp(identity->credentials_id, token, len) == 0;
}

/* Retained, or NULL. */
static struct ps_device_identity *find_cached(struct stripe *stripe, uint64_t hash,
                                              const char *token, size_t len)
{
    struct entry *entry = *bucket_of(stripe, hash);
    while (entry && !(entry->hash == hash && has_token(entry->identity, token, len)))
        entry = entry->hash_next;
    if (!entry)
        return NULL;
    if (stripe->newest != entry) {
        unlink_use(stripe, entry);
        link_newest(stripe, entry);
    }
    return ps_device_identity_retain(entry->identity);
}

static void keep(struct ps_identity_cache *cache, struct stripe *stripe, uint64_t hash,
                 struct ps_device_identity *identity)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return; /* the next request reads it again */
    while (stripe->count >= cache->stripe_max)
        remove_entry(stripe, stripe->oldest);
    entry->hash = hash;
    entry->identity = ps_device_identity_retain(identity);
    struct entry **bucket = bucket_of(stripe, hash);
    entry->hash_next = *bucket;
    *bucket = entry;
    link_newest(stripe, entry);
    stripe->count++;
}

static enum ps_status read_identity(struct ps_identity_cache *cache, const char *token, size_t len,
                                    struct ps_device_identity **out)
{
    pthread_mutex_lock(&cache->db_lock);
    enum ps_status st = ps_credentials_find(cache->db, token, len, out);
    pthread_mutex_unlock(&cache->db_lock);
    return st == PS_ENOTFOUND ? PS_EAUTH : st;
}

enum ps_status ps_identity_cache_find_token(struct ps_identity_cache *cache, const char *token,
                                            size_t len, struct ps_device_identity **out)
{
    uint64_t hash = hash_of(token, len);
    struct stripe *stripe = stripe_of(cache, hash);
    pthread_mutex_lock(&stripe->lock);
    struct ps_device_identity *identity = find_cached(stripe, hash, token, len);
    uint64_t generation = stripe->generation;
    pthread_mutex_unlock(&stripe->lock);
    if (!identity) {
        enum ps_status st = read_identity(cache, token, len, &identity);
        if (st != PS_OK)
            return st;
        if (identity->credentials_type != PS_CREDENTIALS_ACCESS_TOKEN) {
            ps_device_identity_release(identity);
            return PS_EAUTH;
        }
        pthread_mutex_lock(&stripe->lock);
        struct ps_device_identity *other = find_cached(stripe, hash, token, len);
        if (!other && generation == stripe->generation)
            keep(cache, stripe, hash, identity);
        pthread_mutex_unlock(&stripe->lock);
        ps_device_identity_release(other);
    }
    *out = identity;
    return PS_OK;
}

void ps_identity_cache_forget(struct ps_identity_cache *cache, const struct ps_uuid *device)
{
    for (size_t i = 0; i < STRIPES; i++) {
        struct stripe *stripe = &cache->stripes[i];
        pthread_mutex_lock(&stripe->lock);
        stripe->generation++;
        for (struct entry *entry = stripe->oldest, *newer; entry; entry = newer) {
            newer = entry->newer;
            if (!device || ps_uuid_equal(&entry->identity->device, device))
                remove_entry(stripe, entry);
        }
        pthread_mutex_unlock(&stripe->lock);
    }
}

void ps_identity_cache_destroy(struct ps_identity_cache *cache)
{
    if (!cache)
        return;
    ps_identity_cache_forget(cache, NULL);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&cache->stripes[i].lock);
    pthread_mutex_destroy(&cache->db_lock);
    ps_db_close(cache->db);
    free(cache);
}
