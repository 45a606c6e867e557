/* chains: copy on write under one lock; readers hold counted sets.
 *
 * Sets are small (a tenant's chains) and change when an administrator saves, so a change copies the
 * whole set. The generation is bumped after the new set is in place, under the lock; a cache that
 * sees an older number takes the lock for reading and compares pointers. */
#include "rules/chains.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What one tenant has: immutable but for its count. Sorted by chain id. */
struct chain_set {
    _Atomic uint32_t references;
    struct ps_uuid root; /* all-zero: none */
    const struct ps_program *root_program;
    size_t count;
    const struct ps_program *programs[];
};

struct tenant_slot {
    struct ps_uuid tenant;
    struct chain_set *set;
};

struct ps_chains {
    pthread_rwlock_t lock;
    _Atomic uint64_t generation;
    /* under `lock`: sorted by tenant id */
    struct tenant_slot *tenants;
    size_t tenant_count, tenant_cap;
};

struct cache_slot {
    struct ps_uuid tenant;
    uint64_t generation;
    struct chain_set *set; /* NULL: free slot */
};

struct ps_chain_cache {
    struct ps_chains *chains;
    unsigned holds;
    size_t count, cap; /* cap: a power of two */
    struct cache_slot *slots;
};

/* --- sets --- */

static void set_release(struct chain_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        ps_program_release(set->programs[i]);
    free(set);
}

static struct chain_set *set_retain(struct chain_set *set)
{
    if (set)
        atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

/* The place of a chain: where it is, or where it would go. */
static size_t set_place(const struct chain_set *set, const struct ps_uuid *chain)
{
    size_t low = 0, high = set ? set->count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(&set->programs[middle]->chain, chain, sizeof *chain) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct ps_program *set_find(const struct chain_set *set, const struct ps_uuid *chain)
{
    size_t at = set_place(set, chain);
    if (!set || at == set->count || !ps_uuid_equal(&set->programs[at]->chain, chain))
        return NULL;
    return set->programs[at];
}

/* A copy of `from` without `chain`, and with `program` if there is one. */
static struct chain_set *set_with(const struct chain_set *from, const struct ps_uuid *chain,
                                  const struct ps_program *program, const struct ps_uuid *root)
{
    size_t old = from ? from->count : 0;
    struct chain_set *set = calloc(1, sizeof *set + (old + 1) * sizeof set->programs[0]);
    if (!set)
        return NULL;
    atomic_init(&set->references, 1);
    size_t place = chain ? set_place(from, chain) : old;
    for (size_t i = 0; i <= old; i++) {
        if (i == place && program)
            set->programs[set->count++] = ps_program_retain(program);
        if (i < old && !(chain && ps_uuid_equal(&from->programs[i]->chain, chain)))
            set->programs[set->count++] = ps_program_retain(from->programs[i]);
    }
    set->root = *root;
    set->root_program = set_find(set, root);
    return set;
}

/* --- the directory --- */

enum ps_status ps_chains_create(struct ps_chains **out)
{
    struct ps_chains *chains = calloc(1, sizeof *chains);
    if (!chains)
        return PS_ENOMEM;
    if (pthread_rwlock_init(&chains->lock, NULL) != 0) {
        free(chains);
        return PS_ENOMEM;
    }
    atomic_init(&chains->generation, 1);
    *out = chains;
    return PS_OK;
}

void ps_chains_destroy(struct ps_chains *chains)
{
    if (!chains)
        return;
    for (size_t i = 0; i < chains->tenant_count; i++)
        set_release(chains->tenants[i].set);
    free(chains->tenants);
    pthread_rwlock_destroy(&chains->lock);
    free(chains);
}

/* Under the lock. */
static size_t tenant_place(const struct ps_chains *chains, const struct ps_uuid *tenant)
{
    size_t low = 0, high = chains->tenant_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(&chains->tenants[middle].tenant, tenant, sizeof *tenant) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct tenant_slot *tenant_find(const struct ps_chains *chains, const struct ps_uuid *tenant)
{
    size_t at = tenant_place(chains, tenant);
    if (at == chains->tenant_count || !ps_uuid_equal(&chains->tenants[at].tenant, tenant))
        return NULL;
    return &chains->tenants[at];
}

static struct tenant_slot *tenant_make(struct ps_chains *chains, const struct ps_uuid *tenant)
{
    struct tenant_slot *slot = tenant_find(chains, tenant);
    if (slot)
        return slot;
    if (chains->tenant_count == chains->tenant_cap) {
        size_t cap = chains->tenant_cap ? chains->tenant_cap * 2 : 8;
        struct tenant_slot *grown = realloc(chains->tenants, cap * sizeof *grown);
        if (!grown)
            return NULL;
        chains->tenants = grown;
        chains->tenant_cap = cap;
    }
    size_t at = tenant_place(chains, tenant);
    memmove(&chains->tenants[at + 1], &chains->tenants[at],
            (chains->tenant_count - at) * sizeof *chains->tenants);
    chains->tenant_count++;
    chains->tenants[at] = (struct tenant_slot){ .tenant = *tenant };
    return &chains->tenants[at];
}

/* Replace a tenant's set. `chain` is left out of the old one, `program` put in, `root` set; NULL
 * leaves each as it is. */
static enum ps_status change(struct ps_chains *chains, const struct ps_uuid *tenant,
                             const struct ps_uuid *chain, const struct ps_program *program,
                             const struct ps_uuid *root)
{
    struct chain_set *old = NULL;
    enum ps_status st = PS_ENOMEM;
    pthread_rwlock_wrlock(&chains->lock);
    struct tenant_slot *slot = tenant_make(chains, tenant);
    if (slot) {
        static const struct ps_uuid none;
        const struct ps_uuid *keep = slot->set ? &slot->set->root : &none;
        struct chain_set *set = set_with(slot->set, chain, program, root ? root : keep);
        if (set) {
            old = slot->set;
            slot->set = set;
            st = PS_OK;
            atomic_fetch_add_explicit(&chains->generation, 1, memory_order_release);
        }
    }
    pthread_rwlock_unlock(&chains->lock);
    set_release(old);
    return st;
}

enum ps_status ps_chains_put(struct ps_chains *chains, const struct ps_program *program)
{
    return change(chains, &program->tenant, &program->chain, program, NULL);
}

enum ps_status ps_chains_remove(struct ps_chains *chains, const struct ps_uuid *tenant,
                                const struct ps_uuid *chain)
{
    return change(chains, tenant, chain, NULL, NULL);
}

enum ps_status ps_chains_set_root(struct ps_chains *chains, const struct ps_uuid *tenant,
                                  const struct ps_uuid *chain)
{
    return change(chains, tenant, NULL, NULL, chain);
}

enum ps_status ps_chains_remove_tenant(struct ps_chains *chains, const struct ps_uuid *tenant)
{
    struct chain_set *old = NULL;
    pthread_rwlock_wrlock(&chains->lock);
    struct tenant_slot *slot = tenant_find(chains, tenant);
    if (slot) {
        old = slot->set;
        size_t at = (size_t)(slot - chains->tenants);
        chains->tenant_count--;
        memmove(slot, slot + 1, (chains->tenant_count - at) * sizeof *slot);
        atomic_fetch_add_explicit(&chains->generation, 1, memory_order_release);
    }
    pthread_rwlock_unlock(&chains->lock);
    set_release(old);
    return PS_OK;
}

/* The tenant's set with one reference, and the generation it was read at. */
static struct chain_set *take_set(struct ps_chains *chains, const struct ps_uuid *tenant,
                                  uint64_t *generation)
{
    pthread_rwlock_rdlock(&chains->lock);
    struct tenant_slot *slot = tenant_find(chains, tenant);
    struct chain_set *set = set_retain(slot ? slot->set : NULL);
    *generation = atomic_load_explicit(&chains->generation, memory_order_relaxed);
    pthread_rwlock_unlock(&chains->lock);
    return set;
}

const struct ps_program *ps_chains_find(struct ps_chains *chains, const struct ps_uuid *tenant,
                                        const struct ps_uuid *chain)
{
    uint64_t generation;
    struct chain_set *set = take_set(chains, tenant, &generation);
    const struct ps_program *program = set_find(set, chain);
    if (program)
        program = ps_program_retain(program);
    set_release(set);
    return program;
}

size_t ps_chains_targets(struct ps_chains *chains, const struct ps_uuid *tenant,
                         const struct ps_uuid *chain, struct ps_uuid *out, size_t max)
{
    const struct ps_program *program = ps_chains_find(chains, tenant, chain);
    if (!program)
        return 0;
    size_t count = program->call_count < max ? program->call_count : max;
    memcpy(out, program->calls, count * sizeof *out);
    ps_program_release(program);
    return count;
}

static bool calls_chain(const struct ps_program *program, const struct ps_uuid *chain)
{
    for (uint32_t i = 0; i < program->call_count; i++)
        if (ps_uuid_equal(&program->calls[i], chain))
            return true;
    return false;
}

size_t ps_chains_callers(struct ps_chains *chains, const struct ps_uuid *tenant,
                         const struct ps_uuid *chain, struct ps_uuid *out, size_t max)
{
    uint64_t generation;
    struct chain_set *set = take_set(chains, tenant, &generation);
    size_t count = 0;
    for (size_t i = 0; set && i < set->count && count < max; i++)
        if (calls_chain(set->programs[i], chain))
            out[count++] = set->programs[i]->chain;
    set_release(set);
    return count;
}

/* --- a shard's view --- */

enum ps_status ps_chain_cache_create(struct ps_chains *chains, struct ps_chain_cache **out)
{
    struct ps_chain_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return PS_ENOMEM;
    cache->chains = chains;
    cache->cap = 16;
    cache->slots = calloc(cache->cap, sizeof *cache->slots);
    if (!cache->slots) {
        free(cache);
        return PS_ENOMEM;
    }
    *out = cache;
    return PS_OK;
}

void ps_chain_cache_destroy(struct ps_chain_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->cap; i++)
        set_release(cache->slots[i].set);
    free(cache->slots);
    free(cache);
}

/* The slot of a tenant, or the free one where it would go. Linear probing; never full. */
static struct cache_slot *cache_slot(struct cache_slot *slots, size_t cap,
                                     const struct ps_uuid *tenant)
{
    size_t at = ps_uuid_hash(tenant) & (cap - 1);
    while (slots[at].set && !ps_uuid_equal(&slots[at].tenant, tenant))
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

/* Move everything but `without` to a table of `cap` slots. */
static bool cache_rebuild(struct ps_chain_cache *cache, size_t cap,
                          const struct cache_slot *without)
{
    struct cache_slot *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    cache->count = 0;
    for (size_t i = 0; i < cache->cap; i++) {
        struct cache_slot *old = &cache->slots[i];
        if (!old->set)
            continue;
        if (old == without) {
            set_release(old->set);
            continue;
        }
        *cache_slot(slots, cap, &old->tenant) = *old;
        cache->count++;
    }
    free(cache->slots);
    cache->slots = slots;
    cache->cap = cap;
    return true;
}

/* The directory has moved, or the tenant is new here. */
static struct chain_set *cache_refresh(struct ps_chain_cache *cache, const struct ps_uuid *tenant)
{
    uint64_t generation;
    struct chain_set *set = take_set(cache->chains, tenant, &generation);
    struct cache_slot *slot = cache_slot(cache->slots, cache->cap, tenant);
    if (!set) {
        if (slot->set && !cache_rebuild(cache, cache->cap, slot))
            slot->generation = 0; /* ask again next time */
        return NULL;
    }
    if (!slot->set) {
        if (cache->count * 2 >= cache->cap) {
            if (!cache_rebuild(cache, cache->cap * 2, NULL)) {
                set_release(set);
                return NULL;
            }
            slot = cache_slot(cache->slots, cache->cap, tenant);
        }
        cache->count++;
    }
    set_release(slot->set);
    *slot = (struct cache_slot){ .tenant = *tenant, .generation = generation, .set = set };
    return set;
}

static struct chain_set *cache_set(struct ps_chain_cache *cache, const struct ps_uuid *tenant)
{
    uint64_t now = atomic_load_explicit(&cache->chains->generation, memory_order_acquire);
    struct cache_slot *slot = cache_slot(cache->slots, cache->cap, tenant);
    if (slot->set && (slot->generation == now || cache->holds))
        return slot->set;
    return cache_refresh(cache, tenant);
}

const struct ps_program *ps_chain_cache_root(struct ps_chain_cache *cache,
                                             const struct ps_uuid *tenant)
{
    struct chain_set *set = cache_set(cache, tenant);
    return set ? set->root_program : NULL;
}

const struct ps_program *ps_chain_cache_find(struct ps_chain_cache *cache,
                                             const struct ps_uuid *tenant,
                                             const struct ps_uuid *chain)
{
    return set_find(cache_set(cache, tenant), chain);
}

void ps_chain_cache_hold(struct ps_chain_cache *cache)
{
    cache->holds++;
}

void ps_chain_cache_unhold(struct ps_chain_cache *cache)
{
    cache->holds--;
}
