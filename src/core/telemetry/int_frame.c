#include "core/telemetry/int_frame.h"

#include "core/telemetry/bit_pack.h"
#include "core/telemetry/byte_cursor.h"

enum {
    PATCH_WIDTH_MIN = 4, /* narrower miniblocks gain nothing from exceptions */
    PATCH_COUNT_MIN = 8,
};

/* Every value an offset from the smallest, no exceptions. */
struct ps_int_frame ps_int_frame_of_all(const int64_t *values, size_t count)
{
    int64_t min = values[0], max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    struct ps_int_frame all = { .base = min, .range = (uint64_t)ps_int_minus(max, min) };
    all.width = ps_bit_width(all.range);
    all.bits = count * all.width;
    return all;
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

/* Is it worth looking for exceptions? Where values fill their width evenly or in a bell, none would
 * pay; where a few are far off, most are much nearer to the middle than the range is wide. */
static bool may_have_outliers(const int64_t *values, size_t count, const struct ps_int_frame *frame,
                              int64_t middle)
{
    uint64_t sum = 0;
    if (frame->width > 48)
        return true;
    uint64_t range = frame->range, half = 1ull << (frame->width - 1);
    if (range - half < half / 4) /* just too wide for a bit less */
        return true;
    for (size_t i = 0; i < count; i++) {
        int64_t away = ps_int_minus(values[i], middle), sign = away >> 63;
        sum += (uint64_t)((away ^ sign) - sign);
    }
    return sum * 8 < range * count;
}

/* A window from `min` up leaves out values far above; one around the middle, on both sides. */
static void patch_frame(const int64_t *values, size_t count, struct ps_int_frame *frame)
{
    unsigned above[65] = { 0 }, around[65] = { 0 };
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

struct ps_int_frame ps_int_frame_choose(const int64_t *values, size_t count)
{
    struct ps_int_frame frame = ps_int_frame_of_all(values, count);
    if (frame.width > PATCH_WIDTH_MIN && count >= PATCH_COUNT_MIN)
        patch_frame(values, count, &frame);
    return frame;
}
