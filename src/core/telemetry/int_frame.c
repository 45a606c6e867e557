#include "core/telemetry/int_frame.h"

#include "core/telemetry/bit_pack.h"
#include "core/telemetry/byte_cursor.h"
#include "core/telemetry/wide_loop.h"

enum {
    PATCH_WIDTH_MIN = 4, /* narrower miniblocks gain nothing from exceptions */
    PATCH_COUNT_MIN = 8,
    FEW_SHARE = 16, /* an exception costs two bytes: one in so many pays for a bit of the others */
};

static struct ps_int_frame frame_of(int64_t min, int64_t max, size_t count)
{
    struct ps_int_frame all = { .base = min, .range = (uint64_t)ps_int_minus(max, min) };
    all.width = ps_bit_width(all.range);
    all.bits = count * all.width;
    return all;
}

PS_WIDE_LOOP
struct ps_int_frame ps_int_frame_of_all(const int64_t *values, size_t count)
{
    int64_t min = values[0], max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    return frame_of(min, max, count);
}

PS_WIDE_LOOP
struct ps_int_frame ps_int_frame_of_deltas(const int64_t *values, size_t count, size_t *changes)
{
    int64_t min = INT64_MAX, max = INT64_MIN;
    size_t changed = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t delta = ps_int_minus(values[i + 1], values[i]);
        min = delta < min ? delta : min;
        max = delta > max ? delta : max;
        changed += delta != 0;
    }
    *changes += changed;
    return frame_of(min, max, count);
}

/* The width, below that of all, that is cheapest if wider values become exceptions; *bits its cost.
 * of_width[w] counts values of w bits. */
static unsigned cheapest_width(const unsigned of_width[65], size_t count, size_t *bits)
{
    unsigned best = 64, exceptions = 0;
    size_t exception_bits = 0;
    *bits = SIZE_MAX;
    for (unsigned width = 64; width-- > 0;) {
        exceptions += of_width[width + 1];
        exception_bits += of_width[width + 1] * (8 + (width + 1 + 7) / 7 * (size_t)8);
        size_t all = count * width + exception_bits + 8;
        if (exceptions && all < *bits) {
            *bits = all;
            best = width;
        }
    }
    return best;
}

/* Of five values across the miniblock the middle one: near the crowd, whatever the outliers are. */
static int64_t middle_of_some(const int64_t *values, size_t count)
{
    int64_t some[5];
    for (size_t i = 0; i < 5; i++) {
        int64_t value = values[i * (count - 1) / 4];
        size_t at = i;
        for (; at > 0 && some[at - 1] > value; at--)
            some[at] = some[at - 1];
        some[at] = value;
    }
    return some[2];
}

/* How values lie in a frame: what says whether some are far off. */
struct spread {
    uint64_t away;       /* sum of distances from the middle, >> `shift` each */
    size_t high, beside; /* values that half the width, upward from the base and around the middle,
                            would leave out */
};

PS_WIDE_LOOP
static struct spread spread_of(const int64_t *values, size_t count,
                               const struct ps_int_frame *frame, int64_t middle, unsigned shift)
{
    uint64_t away_sum = 0, high = 0, beside = 0, quarter = 1ull << (frame->width - 1) >> 1;
    unsigned top = frame->width - 1;
    for (size_t i = 0; i < count; i++) {
        int64_t away = ps_int_minus(values[i], middle), sign = away >> 63;
        away_sum += ((uint64_t)(away ^ sign) - (uint64_t)sign) >> shift;
        high += (uint64_t)ps_int_minus(values[i], frame->base) >> top;
        beside += ((uint64_t)away + quarter) >> top != 0;
    }
    return (struct spread){ .away = away_sum, .high = high, .beside = beside };
}

/* Is it worth looking for exceptions? Where values fill their width evenly or in a bell, none would
 * pay; where a few are far off, most are much nearer to the middle than the range is wide, or only
 * those few keep the width from being one less. */
static bool may_have_outliers(const int64_t *values, size_t count, const struct ps_int_frame *frame,
                              int64_t middle)
{
    unsigned shift = frame->width > 48 ? 16 : 0; /* the sums must not overflow */
    struct spread spread = spread_of(values, count, frame, middle, shift);
    size_t few = count / FEW_SHARE;
    return spread.away * 8 < (frame->range >> shift) * count || spread.high <= few ||
           spread.beside <= few;
}

/* A window from `min` up leaves out values far above; one around the middle, on both sides. */
void ps_int_frame_patch(const int64_t *values, size_t count, struct ps_int_frame *frame)
{
    unsigned above[65] = { 0 }, around[65] = { 0 };
    if (frame->width <= PATCH_WIDTH_MIN || count < PATCH_COUNT_MIN)
        return;
    int64_t min = frame->base, middle = middle_of_some(values, count);
    if (!may_have_outliers(values, count, frame, middle))
        return;
    for (size_t i = 0; i < count; i++) {
        above[ps_bit_width((uint64_t)ps_int_minus(values[i], min))]++;
        around[ps_bit_width(ps_zigzag(ps_int_minus(values[i], middle)))]++;
    }
    size_t bits;
    unsigned width = cheapest_width(above, count, &bits);
    if (bits < frame->bits)
        *frame =
            (struct ps_int_frame){ .base = min, .width = width, .bits = bits, .patched = true };
    width = cheapest_width(around, count, &bits);
    if (bits < frame->bits) {
        uint64_t below = width ? 1ull << (width - 1) : 0;
        *frame = (struct ps_int_frame){ .base = ps_int_minus(middle, (int64_t)below),
                                        .width = width,
                                        .bits = bits,
                                        .patched = true };
    }
}
