#include "core/telemetry/seal_set.h"

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/seal_record.h"

enum { RECORDS_FIRST = 1024, RANGES_FIRST = 8 };

static enum ps_status reserve(struct ps_seal_set *set, size_t points)
{
    if (set->cap >= points)
        return PS_OK;
    free(set->records);
    set->records = ps_seal_alloc(points * sizeof *set->records);
    set->cap = set->records ? points : 0;
    return set->records ? PS_OK : PS_ENOMEM;
}

enum ps_status ps_seal_set_begin(struct ps_seal_set *set, enum ps_range_unit unit,
                                 size_t points_expected)
{
    set->unit = unit;
    set->count = set->range_count = 0;
    set->last_range = 0;
    set->series_max = 0;
    free(set->range_end);
    set->range_end = NULL;
    ps_arena_reset(&set->texts);
    return reserve(set, points_expected > RECORDS_FIRST ? points_expected : RECORDS_FIRST);
}

void ps_seal_set_deinit(struct ps_seal_set *set)
{
    free(set->records);
    free(set->items);
    free(set->spare);
    free(set->range_end);
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

/* ---- reading ---- */

/* Records lie where they arrived: each look at one waits for memory, unless it was asked for. */
static void fetch_ahead(const struct ps_seal_set *set, size_t item)
{
    if (item + PS_SEAL_AHEAD < set->count)
        __builtin_prefetch(&set->records[set->items[item + PS_SEAL_AHEAD].record]);
}

bool ps_seal_set_next(const struct ps_seal_set *set, struct ps_seal_group *group)
{
    size_t first = group->first + group->count;
    if (first >= set->count)
        return false;
    uint32_t series = set->items[first].series;
    size_t range = group->range ? (size_t)(group->range - set->ranges) : 0;
    while (first >= set->range_end[range])
        range++;
    size_t end = first + 1, range_end = set->range_end[range];
    while (end < range_end && set->items[end].series == series) {
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
        ps_seal_sort_group(set, group);
    for (; at < group->count && count < max; at++) {
        const struct ps_seal_record *record = &set->records[items[at].record];
        fetch_ahead(set, group->first + at);
        if (at + 1 < group->count && ps_seal_ts(set, items[at + 1]) == record->ts_ms)
            continue; /* a later arrival replaces it */
        points[count] = point_of(record);
        ttl_s[count] = record->ttl_s;
        *any_ttl |= record->ttl_s != 0;
        count++;
    }
    *from = at;
    return count;
}
