/* seal_set: records of the journal, gathered and put into the order in which runs are written:
 * by range, series, ts, arrival.
 *
 * Records are kept as they come, 32 bytes each; what is sorted are 8-byte items that name them.
 * They are dealt into piles by range and the upper bits of the series; each pile fits into a cache
 * and is radix sorted there. That leaves each series' records in order of arrival, which for most
 * series is the order of time already; the others are merge sorted by ts. So the whole takes two
 * passes over the records in order of arrival, some work in the caches, and one look at each
 * record.
 *
 * Pure but for memory. */
#ifndef PS_CORE_TELEMETRY_SEAL_SET_H
#define PS_CORE_TELEMETRY_SEAL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/status.h"
#include "core/telemetry/journal.h"
#include "core/telemetry/point.h"
#include "core/telemetry/range.h"

struct ps_seal_record;
struct ps_seal_item;

struct ps_seal_set {
    enum ps_range_unit unit;
    size_t count, cap;
    struct ps_seal_record *records;
    size_t item_cap;
    struct ps_seal_item *items, *spare; /* after sorting */
    uint32_t *range_end;                /* after sorting: of items, by number */
    size_t range_count, range_cap;
    struct ps_range *ranges; /* by number: as they were met */
    uint16_t *by_start;      /* numbers of ranges, by start_ms */
    uint16_t last_range;     /* most records are of the same as the one before */
    uint32_t series_max;
    struct ps_arena texts;
};

enum {
    PS_SEAL_POINT_BYTES = 48, /* memory of a point, without text: record and two items */
};

/**
 * Begin with nothing in it. The memory of what was in it before is used again: taking it from the
 * system anew costs as much as sorting.
 *
 * @param set              zeroed, or used before
 * @param points_expected  room for so many is taken at once (and used only as it fills)
 */
PS_MUST_CHECK
enum ps_status ps_seal_set_begin(struct ps_seal_set *set, enum ps_range_unit unit,
                                 size_t points_expected);
void ps_seal_set_deinit(struct ps_seal_set *set);

/** Text is copied. Returns: PS_OK; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_seal_set_add(struct ps_seal_set *set, const struct ps_journal_record *record);
/** Forget all records from the `count`-th on (a row that turned out damaged). */
void ps_seal_set_cut(struct ps_seal_set *set, size_t count);

static inline size_t ps_seal_set_bytes(const struct ps_seal_set *set)
{
    return set->count * PS_SEAL_POINT_BYTES + set->texts.bytes;
}

PS_MUST_CHECK
enum ps_status ps_seal_set_sort(struct ps_seal_set *set);

/* All records of one series in one range. */
struct ps_seal_group {
    const struct ps_range *range;
    uint32_t series;
    size_t first, count; /* of items */
};

/** The next group after `group` (zeroed: the first), by range number, then series. False: none. */
bool ps_seal_set_next(const struct ps_seal_set *set, struct ps_seal_group *group);

/**
 * The next points of a group in ascending ts, of equal ts only the last arrival; *from is where to
 * go on, 0 at first. Returns how many, at most `max`; 0 at the end. The first call orders the
 * group.
 *
 * @param ttl_s      parallel to points; *any_ttl tells if one of them is not 0
 */
size_t ps_seal_set_points(struct ps_seal_set *set, const struct ps_seal_group *group, size_t *from,
                          struct ps_point *points, uint32_t *ttl_s, size_t max, bool *any_ttl);

#endif
