#include "transport/coap/repeat.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { CAPACITY_MIN = 16, SECONDS = 1 << 30 };

struct ps_coap_repeat {
    uint64_t digest;
    uint32_t next; /* 1 + index of the next older one in this bucket; 0 = none */
    uint32_t second : 30, seen : 2;
};

void ps_coap_repeats_init(struct ps_coap_repeats *repeats, uint32_t capacity_max)
{
    *repeats = (struct ps_coap_repeats){ .capacity_max = capacity_max };
    PS_ASSERT(capacity_max >= CAPACITY_MIN && (capacity_max & (capacity_max - 1)) == 0);
    ssize_t got = getrandom(repeats->secret, sizeof repeats->secret, 0);
    PS_ASSERT(got == sizeof repeats->secret); /* as little as this never blocks or fails */
}

void ps_coap_repeats_deinit(struct ps_coap_repeats *repeats)
{
    free(repeats->ring);
    free(repeats->buckets);
    repeats->ring = NULL;
    repeats->buckets = NULL;
    repeats->capacity = repeats->first = repeats->count = 0;
}

/* Both halves of a 128-bit product: every input bit reaches every output bit. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t ps_coap_repeats_digest(const struct ps_coap_repeats *repeats, uint64_t digest,
                                const void *data, size_t len)
{
    const unsigned char *at = data;
    uint64_t word;
    digest = fold(digest ^ repeats->secret[0], (uint64_t)len ^ repeats->secret[1]);
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        digest = fold(digest ^ repeats->secret[1], word ^ repeats->secret[0]);
    }
    if (len == 0)
        return digest;
    word = 0;
    memcpy(&word, at, len);
    return fold(digest ^ repeats->secret[0], word ^ repeats->secret[1]);
}

static uint32_t *bucket_of(const struct ps_coap_repeats *repeats, uint64_t digest)
{
    return &repeats->buckets[digest & (repeats->capacity - 1)];
}

/* Whole seconds, 34 years of them before the bit field turns over. */
static uint32_t second_of(int64_t now_ms)
{
    return (uint32_t)(now_ms / 1000) & (SECONDS - 1u);
}

static bool is_old(const struct ps_coap_repeat *repeat, int64_t now_ms)
{
    return ((second_of(now_ms) - repeat->second) & (SECONDS - 1u)) > PS_COAP_EXCHANGE_LIFETIME_S;
}

static struct ps_coap_repeat *find(const struct ps_coap_repeats *repeats, uint64_t digest,
                                   int64_t now_ms)
{
    if (repeats->count == 0)
        return NULL;
    for (uint32_t at = *bucket_of(repeats, digest); at != 0; at = repeats->ring[at - 1].next) {
        struct ps_coap_repeat *repeat = &repeats->ring[at - 1];
        if (repeat->digest == digest)
            return is_old(repeat, now_ms) ? NULL : repeat;
    }
    return NULL;
}

enum ps_coap_seen ps_coap_repeats_find(const struct ps_coap_repeats *repeats, uint64_t digest,
                                       int64_t now_ms)
{
    const struct ps_coap_repeat *repeat = find(repeats, digest, now_ms);
    return repeat ? (enum ps_coap_seen)repeat->seen : PS_COAP_SEEN_NEVER;
}

/* The oldest of the ring is the last of its bucket's chain. */
static void drop_oldest(struct ps_coap_repeats *repeats)
{
    uint32_t *link = bucket_of(repeats, repeats->ring[repeats->first].digest);
    while (*link != repeats->first + 1)
        link = &repeats->ring[*link - 1].next;
    *link = 0;
    repeats->first = (repeats->first + 1) & (repeats->capacity - 1);
    repeats->count--;
}

static void append(struct ps_coap_repeats *repeats, const struct ps_coap_repeat *repeat)
{
    uint32_t at = (repeats->first + repeats->count++) & (repeats->capacity - 1);
    uint32_t *bucket = bucket_of(repeats, repeat->digest);
    repeats->ring[at] = *repeat;
    repeats->ring[at].next = *bucket;
    *bucket = at + 1;
}

static bool grow(struct ps_coap_repeats *repeats)
{
    struct ps_coap_repeats bigger = *repeats;
    bigger.capacity = repeats->capacity ? repeats->capacity * 2 : CAPACITY_MIN;
    bigger.first = bigger.count = 0;
    bigger.ring = malloc(bigger.capacity * sizeof *bigger.ring);
    bigger.buckets = calloc(bigger.capacity, sizeof *bigger.buckets);
    if (!bigger.ring || !bigger.buckets) {
        free(bigger.ring);
        free(bigger.buckets);
        return false;
    }
    for (uint32_t i = 0; i < repeats->count; i++)
        append(&bigger, &repeats->ring[(repeats->first + i) & (repeats->capacity - 1)]);
    ps_coap_repeats_deinit(repeats);
    *repeats = bigger;
    return true;
}

static bool make_room(struct ps_coap_repeats *repeats, int64_t now_ms)
{
    while (repeats->count > 0 && is_old(&repeats->ring[repeats->first], now_ms))
        drop_oldest(repeats);
    if (repeats->count < repeats->capacity)
        return true;
    if (repeats->capacity < repeats->capacity_max && grow(repeats))
        return true;
    if (repeats->count == 0)
        return false;
    drop_oldest(repeats);
    return true;
}

void ps_coap_repeats_change(struct ps_coap_repeats *repeats, uint64_t digest,
                            enum ps_coap_seen from, enum ps_coap_seen to, int64_t now_ms)
{
    struct ps_coap_repeat *known = find(repeats, digest, now_ms);
    if (known && known->seen == (unsigned)from)
        known->seen = (unsigned)to & 3u;
}

void ps_coap_repeats_set(struct ps_coap_repeats *repeats, uint64_t digest, enum ps_coap_seen seen,
                         int64_t now_ms)
{
    struct ps_coap_repeat *known = find(repeats, digest, now_ms);
    if (known) {
        known->seen = (unsigned)seen & 3u;
        return;
    }
    if (seen == PS_COAP_SEEN_NEVER || !make_room(repeats, now_ms))
        return;
    append(repeats, &(struct ps_coap_repeat){ .digest = digest,
                                              .second = second_of(now_ms) & (SECONDS - 1u),
                                              .seen = (unsigned)seen & 3u });
}
