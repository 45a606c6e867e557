/* seal_sort: the order of a seal set; how is told in seal_set.h. */
#include "core/telemetry/seal_set.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/telemetry/seal_record.h"

enum {
    LARGE_PAGE = 2 << 20,
    /* More places to write to than these are more than the nearest caches follow. */
    PILE_BITS_MAX = 8,
    DIGIT_BITS = 6,
    DIGITS = 1 << DIGIT_BITS,
    PILE_ITEMS = 2048, /* of piles that are not the most there can be */
    PILES_MAX = 1 << 16,
    SHORT_GROUP = 24, /* sorted by insertion */
};

void *ps_seal_alloc(size_t bytes)
{
    void *memory;
    if (posix_memalign(&memory, LARGE_PAGE, bytes) != 0)
        return NULL;
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish */
    return memory;
}

/* ---- by range and series ---- */

/* First the records are dealt into piles by range and the upper bits of the series, so few that all
 * places to write to stay in the cache; then each pile is sorted by the other bits, from the least
 * digit to the greatest, while it is in the cache as a whole. */
struct piles {
    unsigned shift, bits; /* of a series: `bits` from bit `shift` on choose the pile */
    size_t count;
    uint32_t *ends; /* of items; by range, then bits */
};

static unsigned bits_of(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

static enum ps_status plan_piles(const struct ps_seal_set *set, struct piles *piles)
{
    unsigned bits = bits_of(set->count / PILE_ITEMS), key_bits = bits_of(set->series_max);
    bits = bits < PILE_BITS_MAX ? bits : PILE_BITS_MAX;
    bits = bits < key_bits ? bits : key_bits;
    while (bits && set->range_count << bits > PILES_MAX)
        bits--;
    piles->bits = bits;
    piles->shift = key_bits - bits;
    piles->count = set->range_count << bits;
    piles->ends = calloc(piles->count + 1, sizeof *piles->ends);
    return piles->ends ? PS_OK : PS_ENOMEM;
}

static size_t pile_of(const struct piles *piles, const struct ps_seal_record *record)
{
    uint64_t series = record->series; /* may be shifted by all of its 32 bits */
    return (size_t)record->range << piles->bits | (size_t)(series >> piles->shift);
}

static void deal(struct ps_seal_set *set, struct piles *piles)
{
    uint32_t *at = piles->ends, begin = 0;
    for (size_t i = 0; i < set->count; i++)
        at[pile_of(piles, &set->records[i])]++;
    for (size_t i = 0; i < piles->count; i++) {
        uint32_t here = at[i];
        at[i] = begin;
        begin += here;
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct ps_seal_record *record = &set->records[i];
        set->items[at[pile_of(piles, record)]++] =
            (struct ps_seal_item){ .series = record->series, .record = (uint32_t)i };
    }
}

static void sort_few(struct ps_seal_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct ps_seal_item item = items[i];
        size_t at = i;
        for (; at && items[at - 1].series > item.series; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Stable. False: all have the same digit, nothing is written. */
static bool sort_by_digit(const struct ps_seal_item *items, struct ps_seal_item *out, size_t count,
                          unsigned shift)
{
    uint32_t places[DIGITS] = { 0 }, begin = 0;
    for (size_t i = 0; i < count; i++)
        places[items[i].series >> shift & (DIGITS - 1)]++;
    if (places[items[0].series >> shift & (DIGITS - 1)] == count)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        uint32_t here = places[i];
        places[i] = begin;
        begin += here;
    }
    for (size_t i = 0; i < count; i++)
        out[places[items[i].series >> shift & (DIGITS - 1)]++] = items[i];
    return true;
}

static void sort_pile(struct ps_seal_item *items, struct ps_seal_item *spare, size_t count,
                      unsigned bits)
{
    if (count <= SHORT_GROUP) {
        sort_few(items, count);
        return;
    }
    struct ps_seal_item *from = items, *to = spare;
    for (unsigned shift = 0; shift < bits; shift += DIGIT_BITS) {
        if (!sort_by_digit(from, to, count, shift))
            continue;
        struct ps_seal_item *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

static void sort_piles(struct ps_seal_set *set, const struct piles *piles)
{
    size_t begin = 0;
    for (size_t i = 0; i < piles->count; i++) {
        size_t end = piles->ends[i];
        sort_pile(set->items + begin, set->spare + begin, end - begin, piles->shift);
        begin = end;
    }
    for (size_t range = 0; range < set->range_count; range++)
        set->range_end[range] = piles->ends[((range + 1) << piles->bits) - 1];
}

static enum ps_status reserve_items(struct ps_seal_set *set)
{
    set->range_end = calloc(set->range_count + 1, sizeof *set->range_end);
    if (!set->range_end)
        return PS_ENOMEM;
    if (set->item_cap >= set->count && set->item_cap)
        return PS_OK;
    free(set->items);
    free(set->spare);
    set->items = ps_seal_alloc(set->cap * sizeof *set->items);
    set->spare = ps_seal_alloc(set->cap * sizeof *set->spare);
    set->item_cap = set->items && set->spare ? set->cap : 0;
    return set->item_cap ? PS_OK : PS_ENOMEM;
}

enum ps_status ps_seal_set_sort(struct ps_seal_set *set)
{
    struct piles piles = { 0 };
    enum ps_status st = reserve_items(set);
    if (st == PS_OK)
        st = plan_piles(set, &piles);
    if (st != PS_OK)
        return st;
    deal(set, &piles);
    sort_piles(set, &piles);
    free(piles.ends);
    return PS_OK;
}

/* ---- a group by time ---- */

static bool is_ordered(const struct ps_seal_set *set, const struct ps_seal_item *items,
                       size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (i + PS_SEAL_AHEAD < count)
            __builtin_prefetch(&set->records[items[i + PS_SEAL_AHEAD].record]);
        if (ps_seal_ts(set, items[i - 1]) > ps_seal_ts(set, items[i]))
            return false;
    }
    return true;
}

static void insertion_sort(const struct ps_seal_set *set, struct ps_seal_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct ps_seal_item item = items[i];
        int64_t ts = ps_seal_ts(set, item);
        size_t at = i;
        for (; at && ps_seal_ts(set, items[at - 1]) > ts; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void merge_halves(const struct ps_seal_set *set, const struct ps_seal_item *items,
                         size_t half, size_t count, struct ps_seal_item *out)
{
    size_t left = 0, right = half;
    while (left < half && right < count) {
        bool from_right = ps_seal_ts(set, items[right]) < ps_seal_ts(set, items[left]);
        *out++ = from_right ? items[right++] : items[left++];
    }
    memcpy(out, items + left, (half - left) * sizeof *items);
    memcpy(out + (half - left), items + right, (count - right) * sizeof *items);
}

/* Stable, from short ordered pieces to long ones. */
static void merge_sort(const struct ps_seal_set *set, struct ps_seal_item *items,
                       struct ps_seal_item *spare, size_t count)
{
    struct ps_seal_item *from = items, *to = spare;
    for (size_t at = 0; at < count; at += SHORT_GROUP)
        insertion_sort(set, items + at, count - at < SHORT_GROUP ? count - at : SHORT_GROUP);
    for (size_t width = SHORT_GROUP; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t here = count - at < 2 * width ? count - at : 2 * width;
            merge_halves(set, from + at, here < width ? here : width, here, to + at);
        }
        struct ps_seal_item *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

void ps_seal_sort_group(struct ps_seal_set *set, const struct ps_seal_group *group)
{
    struct ps_seal_item *items = set->items + group->first;
    if (is_ordered(set, items, group->count))
        return;
    if (group->count <= SHORT_GROUP)
        insertion_sort(set, items, group->count);
    else
        merge_sort(set, items, set->spare + group->first, group->count);
}
