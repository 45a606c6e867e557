#include "core/telemetry/seal_set.h"

#include <stdlib.h>
#include <string.h>

enum {
    RECORDS_FIRST = 1024,
    RANGES_FIRST = 8,
    DIGIT_BITS_MAX = 9, /* more places than that to write to are more than caches follow */
    DIGITS_MAX = 1 << DIGIT_BITS_MAX,
    SHORT_GROUP = 24, /* sorted by insertion */
    AHEAD = 12,       /* records asked from memory before they are needed */
};

/* Ordered so that nothing is padded: 32 bytes. */
struct ps_seal_record {
    int64_t ts_ms;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *text;
    };
    uint32_t series, len;
    uint32_t ttl_s;
    uint16_t range;
    uint8_t type;
};

struct ps_seal_item {
    uint32_t series;
    uint32_t record;
};

enum ps_status ps_seal_set_init(struct ps_seal_set *set, enum ps_range_unit unit,
                                size_t points_expected)
{
    size_t cap = points_expected > RECORDS_FIRST ? points_expected : RECORDS_FIRST;
    *set = (struct ps_seal_set){ .unit = unit, .cap = cap };
    set->records = malloc(cap * sizeof *set->records);
    return set->records ? PS_OK : PS_ENOMEM;
}

void ps_seal_set_deinit(struct ps_seal_set *set)
{
    free(set->records);
    free(set->items);
    free(set->spare);
    free(set->ranges);
    free(set->by_start);
    ps_arena_deinit(&set->texts);
    *set = (struct ps_seal_set){ 0 };
}

/* ---- ranges ---- */

/* Where in by_start the range that begins at `start_ms` stands, or would stand. */
static size_t find_range(const struct ps_seal_set *set, int64_t start_ms)
{
    size_t low = 0, high = set->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[set->by_start[middle]].start_ms < start_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow_ranges(struct ps_seal_set *set)
{
    size_t cap = set->range_cap ? set->range_cap * 2 : RANGES_FIRST;
    struct ps_range *ranges = realloc(set->ranges, cap * sizeof *ranges);
    if (!ranges)
        return false;
    set->ranges = ranges;
    uint16_t *by_start = realloc(set->by_start, cap * sizeof *by_start);
    if (!by_start)
        return false;
    set->by_start = by_start;
    set->range_cap = cap;
    return true;
}

static enum ps_status range_of(struct ps_seal_set *set, int64_t ts_ms, uint16_t *out)
{
    if (set->range_count && ps_range_holds(&set->ranges[set->last_range], ts_ms)) {
        *out = set->last_range;
        return PS_OK;
    }
    struct ps_range range;
    ps_range_of(set->unit, ts_ms, &range);
    size_t at = find_range(set, range.start_ms);
    if (at == set->range_count || set->ranges[set->by_start[at]].start_ms != range.start_ms) {
        PS_ASSERT(set->range_count < UINT16_MAX); /* a century of days and two are less */
        if (set->range_count == set->range_cap && !grow_ranges(set))
            return PS_ENOMEM;
        memmove(set->by_start + at + 1, set->by_start + at,
                (set->range_count - at) * sizeof *set->by_start);
        set->by_start[at] = (uint16_t)set->range_count;
        set->ranges[set->range_count++] = range;
    }
    *out = set->last_range = set->by_start[at];
    return PS_OK;
}

/* ---- gathering ---- */

static bool grow_records(struct ps_seal_set *set)
{
    size_t cap = set->cap * 2;
    struct ps_seal_record *grown =
        cap <= UINT32_MAX ? realloc(set->records, cap * sizeof *grown) : NULL;
    if (!grown)
        return false;
    set->records = grown;
    set->cap = cap;
    return true;
}

static bool set_value(struct ps_seal_set *set, struct ps_seal_record *record,
                      const struct ps_value *value)
{
    record->type = (uint8_t)value->type;
    if (value->type < PS_VALUE_STRING) {
        record->integer = value->integer; /* whichever member it is: all the bits */
        return true;
    }
    record->len = value->len;
    record->text = ps_arena_copy(&set->texts, value->text, value->len);
    return record->text != NULL;
}

enum ps_status ps_seal_set_add(struct ps_seal_set *set, const struct ps_journal_record *record)
{
    uint16_t range;
    if (set->count == set->cap && !grow_records(set))
        return PS_ENOMEM;
    enum ps_status st = range_of(set, record->ts_ms, &range);
    if (st != PS_OK)
        return st;
    struct ps_seal_record *kept = &set->records[set->count];
    *kept = (struct ps_seal_record){
        .ts_ms = record->ts_ms, .series = record->series, .ttl_s = record->ttl_s, .range = range
    };
    if (!set_value(set, kept, &record->value))
        return PS_ENOMEM;
    if (record->series > set->series_max)
        set->series_max = record->series;
    set->count++;
    return PS_OK;
}

void ps_seal_set_cut(struct ps_seal_set *set, size_t count)
{
    PS_ASSERT(count <= set->count);
    set->count = count;
}

/* ---- sorting ---- */

/* A digit of a key that has `bits` of them, cut so that all digits are about as long. */
struct digit {
    unsigned shift, bits;
};

static unsigned digit_of(const struct digit *digit, uint32_t key)
{
    return key >> digit->shift & ((1u << digit->bits) - 1);
}

/* Turns counts of digits into where each digit's items begin. False: all have the same digit. */
static bool places_of(uint32_t places[DIGITS_MAX], size_t count)
{
    uint32_t at = 0;
    for (size_t i = 0; i < DIGITS_MAX; i++) {
        uint32_t here = places[i];
        if (here == count)
            return false;
        places[i] = at;
        at += here;
    }
    return true;
}

static void swap_items(struct ps_seal_set *set)
{
    struct ps_seal_item *items = set->items;
    set->items = set->spare;
    set->spare = items;
}

static void sort_by_series(struct ps_seal_set *set, const struct digit *digit)
{
    uint32_t places[DIGITS_MAX] = { 0 };
    for (size_t i = 0; i < set->count; i++)
        places[digit_of(digit, set->items[i].series)]++;
    if (!places_of(places, set->count))
        return;
    for (size_t i = 0; i < set->count; i++)
        set->spare[places[digit_of(digit, set->items[i].series)]++] = set->items[i];
    swap_items(set);
}

static uint16_t range_at(const struct ps_seal_set *set, size_t item)
{
    return set->records[set->items[item].record].range;
}

static void sort_by_range(struct ps_seal_set *set, const struct digit *digit)
{
    uint32_t places[DIGITS_MAX] = { 0 };
    for (size_t i = 0; i < set->count; i++)
        places[digit_of(digit, range_at(set, i))]++;
    if (!places_of(places, set->count))
        return;
    for (size_t i = 0; i < set->count; i++)
        set->spare[places[digit_of(digit, range_at(set, i))]++] = set->items[i];
    swap_items(set);
}

/* From the least digit to the greatest: each pass keeps the order of the one before. */
static void sort_by_digits(struct ps_seal_set *set, uint32_t key_max,
                           void (*sort)(struct ps_seal_set *set, const struct digit *digit))
{
    unsigned bits = 0;
    while (bits < 32 && key_max >> bits)
        bits++;
    unsigned digits = (bits + DIGIT_BITS_MAX - 1) / DIGIT_BITS_MAX;
    for (unsigned i = 0, shift = 0; i < digits; i++) {
        struct digit digit = { shift, (bits - shift + digits - i - 1) / (digits - i) };
        sort(set, &digit);
        shift += digit.bits;
    }
}

enum ps_status ps_seal_set_sort(struct ps_seal_set *set)
{
    size_t bytes = (set->count ? set->count : 1) * sizeof *set->items;
    set->items = malloc(bytes);
    set->spare = malloc(bytes);
    if (!set->items || !set->spare)
        return PS_ENOMEM;
    for (size_t i = 0; i < set->count; i++)
        set->items[i] =
            (struct ps_seal_item){ .series = set->records[i].series, .record = (uint32_t)i };
    sort_by_digits(set, set->series_max, sort_by_series);
    if (set->range_count > 1)
        sort_by_digits(set, (uint32_t)set->range_count - 1, sort_by_range);
    return PS_OK;
}

static int64_t ts_of(const struct ps_seal_set *set, struct ps_seal_item item)
{
    return set->records[item.record].ts_ms;
}

static bool is_ordered(const struct ps_seal_set *set, const struct ps_seal_item *items,
                       size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&set->records[items[i + AHEAD].record]);
        if (ts_of(set, items[i - 1]) > ts_of(set, items[i]))
            return false;
    }
    return true;
}

static void insertion_sort(const struct ps_seal_set *set, struct ps_seal_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct ps_seal_item item = items[i];
        int64_t ts = ts_of(set, item);
        size_t at = i;
        for (; at && ts_of(set, items[at - 1]) > ts; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void merge_halves(const struct ps_seal_set *set, const struct ps_seal_item *items,
                         size_t half, size_t count, struct ps_seal_item *out)
{
    size_t left = 0, right = half;
    while (left < half && right < count) {
        bool from_right = ts_of(set, items[right]) < ts_of(set, items[left]);
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

static void order_group(struct ps_seal_set *set, const struct ps_seal_group *group)
{
    struct ps_seal_item *items = set->items + group->first;
    if (is_ordered(set, items, group->count))
        return;
    if (group->count <= SHORT_GROUP)
        insertion_sort(set, items, group->count);
    else
        merge_sort(set, items, set->spare + group->first, group->count);
}

/* ---- reading ---- */

/* Records lie where they arrived: each look at one waits for memory, unless it was asked for. */
static void fetch_ahead(const struct ps_seal_set *set, size_t item)
{
    if (item + AHEAD < set->count)
        __builtin_prefetch(&set->records[set->items[item + AHEAD].record]);
}

bool ps_seal_set_next(const struct ps_seal_set *set, struct ps_seal_group *group)
{
    size_t first = group->first + group->count;
    if (first >= set->count)
        return false;
    uint32_t series = set->items[first].series;
    uint16_t range = set->records[set->items[first].record].range;
    size_t end = first + 1;
    while (end < set->count && set->items[end].series == series &&
           (set->range_count == 1 || set->records[set->items[end].record].range == range)) {
        end++;
        fetch_ahead(set, end);
    }
    fetch_ahead(set, end);
    *group = (struct ps_seal_group){
        .range = &set->ranges[range], .series = series, .first = first, .count = end - first
    };
    return true;
}

static struct ps_point point_of(const struct ps_seal_record *record)
{
    return (struct ps_point){ .ts_ms = record->ts_ms,
                              .value = { .type = (enum ps_value_type)record->type,
                                         .len = record->len,
                                         .integer = record->integer } };
}

size_t ps_seal_set_points(struct ps_seal_set *set, const struct ps_seal_group *group, size_t *from,
                          struct ps_point *points, uint32_t *ttl_s, size_t max, bool *any_ttl)
{
    size_t count = 0, at = *from;
    const struct ps_seal_item *items = set->items + group->first;
    *any_ttl = false;
    if (at == 0)
        order_group(set, group);
    for (; at < group->count && count < max; at++) {
        const struct ps_seal_record *record = &set->records[items[at].record];
        fetch_ahead(set, group->first + at);
        if (at + 1 < group->count && ts_of(set, items[at + 1]) == record->ts_ms)
            continue; /* a later arrival replaces it */
        points[count] = point_of(record);
        ttl_s[count] = record->ttl_s;
        *any_ttl |= record->ttl_s != 0;
        count++;
    }
    *from = at;
    return count;
}
