#include "core/name_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SLOTS_MIN = 64 };

struct ps_name_slot {
    uint64_t hash;
    const char *name;
    uint32_t len;
    uint32_t index;
    uint32_t round; /* filled in this round of the table, else empty */
};

void ps_name_table_deinit(struct ps_name_table *table)
{
    free(table->slots);
    *table = (struct ps_name_table){ 0 };
}

static uint64_t fresh_seed(const struct ps_name_table *table)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed =
            (uint64_t)(uintptr_t)table->slots; /* early boot: at least what the loader shuffled */
    return seed;
}

enum ps_status ps_name_table_begin(struct ps_name_table *table, size_t name_count)
{
    if (name_count * 2 > table->slot_count) {
        size_t slot_count = SLOTS_MIN;
        while (slot_count < name_count * 2)
            slot_count *= 2;
        struct ps_name_slot *slots = calloc(slot_count, sizeof *slots);
        if (!slots)
            return PS_ENOMEM;
        free(table->slots);
        table->slots = slots;
        table->slot_count = slot_count;
        table->round = 0;
        table->seed = fresh_seed(table);
    }
    if (++table->round == 0) {
        memset(table->slots, 0, table->slot_count * sizeof *table->slots);
        table->round = 1;
    }
    return PS_OK;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load(const char *p, size_t len)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (len == 8) {
        memcpy(&word, p, 8);
    } else if (len >= 4) { /* two halves that may overlap */
        memcpy(&low, p, 4);
        memcpy(&high, p + len - 4, 4);
        word = (uint64_t)high << 32 | low;
    } else if (len > 0) { /* first, middle and last are all of at most three */
        word = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[len / 2] << 8 |
               (unsigned char)p[len - 1];
    }
    return word;
}

/* Eight bytes a step, each folded in by a full multiplication with the secret seed. */
static uint64_t hash_name(uint64_t seed, const char *name, size_t len)
{
    const uint64_t odd = 0x9E3779B97F4A7C15u; /* 2^64 over the golden ratio: bits well spread */
    uint64_t hash = seed ^ len;
    for (; len > 8; len -= 8, name += 8)
        hash = mix(hash ^ load(name, 8), odd ^ seed);
    return mix(hash ^ load(name, len), odd ^ (seed << 1));
}

uint32_t ps_name_table_enter(struct ps_name_table *table, const char *name, uint32_t len,
                             uint32_t index)
{
    uint64_t hash = hash_name(table->seed, name, len);
    size_t mask = table->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct ps_name_slot *slot = &table->slots[i];
        if (slot->round != table->round) {
            *slot = (struct ps_name_slot){ hash, name, len, index, table->round };
            return index;
        }
        if (slot->hash == hash && slot->len == len && memcmp(slot->name, name, len) == 0)
            return slot->index;
    }
}
