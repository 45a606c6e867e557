#include "core/telemetry/downsample.h"

#include <math.h>

enum { PRESELECTED = 4 }; /* times as many points go into the triangles */

void ps_thinning_init(struct ps_thinning *thinning, enum ps_downsample kind, size_t points,
                      int64_t first_ms, int64_t last_ms)
{
    PS_ASSERT(kind != PS_DOWNSAMPLE_NONE && first_ms <= last_ms);
    if (points < PS_DOWNSAMPLE_POINTS_MIN)
        points = PS_DOWNSAMPLE_POINTS_MIN;
    if (points > PS_DOWNSAMPLE_POINTS_MAX)
        points = PS_DOWNSAMPLE_POINTS_MAX;
    uint64_t buckets = points / 2 * (kind == PS_DOWNSAMPLE_LTTB ? PRESELECTED : 1);
    uint64_t last = (uint64_t)last_ms - (uint64_t)first_ms; /* offset of the last point */
    *thinning = (struct ps_thinning){
        .kind = kind, .points = points, .first_ms = first_ms, .width_ms = last / buckets + 1
    };
}

void ps_thinning_deinit(struct ps_thinning *thinning)
{
    ps_points_deinit(&thinning->picked);
    ps_points_deinit(&thinning->bucket.others);
}

static inline bool as_number(const struct ps_value *value, double *out)
{
    if (value->type == PS_VALUE_DOUBLE)
        *out = value->real;
    else if (value->type == PS_VALUE_LONG)
        *out = (double)value->integer;
    else if (value->type == PS_VALUE_BOOLEAN)
        *out = value->boolean;
    else
        return false;
    return *out == *out; /* NaN is not */
}

static double number_of(const struct ps_point *point)
{
    double number = 0;
    (void)as_number(&point->value, &number);
    return number;
}

/* ---- minimum and maximum ---- */

/* Triangles begin with the first number and end with the last, which need not be extremes. */
static void note_ends(struct ps_thinning *thinning, const struct ps_point *points, size_t count)
{
    double number;
    size_t first = 0, end = count;
    while (first < count && !as_number(&points[first].value, &number))
        first++;
    if (first == count)
        return;
    while (!as_number(&points[end - 1].value, &number))
        end--;
    if (!thinning->has_ends)
        thinning->head = points[first];
    thinning->tail = points[end - 1];
    thinning->has_ends = true;
}

static enum ps_status add_head(struct ps_thinning *thinning, const struct ps_point *next)
{
    bool missing = thinning->kind == PS_DOWNSAMPLE_LTTB && !thinning->picked.count &&
                   thinning->head.ts_ms < next->ts_ms;
    return missing ? ps_points_append(&thinning->picked, &thinning->head, 1) : PS_OK;
}

static enum ps_status add_tail(struct ps_thinning *thinning)
{
    const struct ps_points *picked = &thinning->picked;
    bool missing = thinning->kind == PS_DOWNSAMPLE_LTTB && thinning->has_ends && picked->count &&
                   thinning->tail.ts_ms > picked->points[picked->count - 1].ts_ms;
    return missing ? ps_points_append(&thinning->picked, &thinning->tail, 1) : PS_OK;
}

static enum ps_status close_bucket(struct ps_thinning *thinning)
{
    struct ps_thinning_bucket *bucket = &thinning->bucket;
    enum ps_status st = PS_OK;
    if (bucket->open && bucket->has_numbers) {
        bool rises = bucket->least.ts_ms < bucket->greatest.ts_ms;
        const struct ps_point *first = rises ? &bucket->least : &bucket->greatest;
        const struct ps_point *second = rises ? &bucket->greatest : &bucket->least;
        st = add_head(thinning, first);
        if (st == PS_OK)
            st = ps_points_append(&thinning->picked, first, 1);
        if (st == PS_OK && first->ts_ms != second->ts_ms)
            st = ps_points_append(&thinning->picked, second, 1);
    } else if (bucket->open) {
        st = ps_points_append(&thinning->picked, bucket->others.points, bucket->others.count);
    }
    ps_points_truncate(&bucket->others, 0);
    bucket->open = false;
    bucket->has_numbers = false;
    return st;
}

static void pick_numbers(struct ps_thinning_bucket *bucket, const struct ps_point *least,
                         const struct ps_point *greatest)
{
    if (!bucket->has_numbers || number_of(least) < number_of(&bucket->least))
        bucket->least = *least;
    if (!bucket->has_numbers || number_of(greatest) > number_of(&bucket->greatest))
        bucket->greatest = *greatest;
    bucket->has_numbers = true;
}

/* Texts are copied once a piece, not point by point. */
static enum ps_status pick_others(struct ps_thinning_bucket *bucket, const struct ps_point *first,
                                  const struct ps_point *last)
{
    enum ps_status st = PS_OK;
    if (!bucket->others.count)
        st = ps_points_append(&bucket->others, first, 1);
    if (st != PS_OK || last->ts_ms == bucket->others.points[0].ts_ms)
        return st;
    ps_points_truncate(&bucket->others, 1);
    return ps_points_append(&bucket->others, last, 1);
}

/* The points of one bucket that came in one piece. */
static enum ps_status pick(struct ps_thinning_bucket *bucket, const struct ps_point *points,
                           size_t count)
{
    const struct ps_point *first = NULL, *last = NULL, *least = NULL, *greatest = NULL;
    double low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        double number;
        if (!as_number(&points[i].value, &number)) {
            first = first ? first : &points[i];
            last = &points[i];
            continue;
        }
        if (!least || number < low) {
            least = &points[i];
            low = number;
        }
        if (!greatest || number > high) {
            greatest = &points[i];
            high = number;
        }
    }
    if (least)
        pick_numbers(bucket, least, greatest);
    return first && !bucket->has_numbers ? pick_others(bucket, first, last) : PS_OK;
}

static uint64_t index_of(const struct ps_thinning *thinning, int64_t ts_ms)
{
    uint64_t offset = (uint64_t)ts_ms - (uint64_t)thinning->first_ms;
    return thinning->width_ms ? offset / thinning->width_ms : 0;
}

static enum ps_status thin(struct ps_thinning *thinning, const struct ps_point *points,
                           size_t count)
{
    struct ps_thinning_bucket *bucket = &thinning->bucket;
    note_ends(thinning, points, count);
    for (size_t at = 0; at < count;) {
        uint64_t index = index_of(thinning, points[at].ts_ms);
        if (bucket->open && bucket->index != index) {
            enum ps_status st = close_bucket(thinning);
            if (st != PS_OK)
                return st;
        }
        bucket->open = true;
        bucket->index = index;
        uint64_t start = (uint64_t)thinning->first_ms + index * thinning->width_ms;
        size_t end = at + 1;
        while (end < count && (uint64_t)points[end].ts_ms - start <= thinning->width_ms - 1)
            end++;
        enum ps_status st = pick(bucket, points + at, end - at);
        if (st != PS_OK)
            return st;
        at = end;
    }
    return PS_OK;
}

enum ps_status ps_thinning_add(struct ps_thinning *thinning, const struct ps_point *points,
                               size_t count)
{
    if (thinning->thins)
        return thin(thinning, points, count);
    if (thinning->picked.count + count <= thinning->points)
        return ps_points_append(&thinning->picked, points, count);
    struct ps_points all = thinning->picked;
    thinning->picked = (struct ps_points){ 0 };
    thinning->thins = true;
    enum ps_status st = thin(thinning, all.points, all.count);
    if (st == PS_OK)
        st = thin(thinning, points, count);
    ps_points_deinit(&all);
    return st;
}

/* ---- largest triangles ---- */

struct corner {
    double x, y;
};

/* What is no number lies on the axis. */
static struct corner corner_of(const struct ps_points *points, size_t index)
{
    return (struct corner){ .x = (double)((uint64_t)points->points[index].ts_ms -
                                          (uint64_t)points->points[0].ts_ms),
                            .y = number_of(&points->points[index]) };
}

static struct corner average(const struct ps_points *points, size_t from, size_t end)
{
    struct corner sum = { 0 };
    for (size_t i = from; i < end; i++) {
        struct corner corner = corner_of(points, i);
        sum.x += corner.x / (double)(end - from);
        sum.y += corner.y / (double)(end - from);
    }
    return sum;
}

/* Point `i` of the `middle` that bucket `bucket` begins with; the first and last point stand alone.
 */
static size_t bucket_start(size_t count, size_t buckets, size_t bucket)
{
    return 1 + (size_t)((double)bucket * (double)(count - 2) / (double)buckets);
}

static size_t largest(const struct ps_points *points, size_t from, size_t end, struct corner left,
                      struct corner right)
{
    size_t best = from;
    double best_area = -1;
    for (size_t i = from; i < end; i++) {
        struct corner corner = corner_of(points, i);
        double area = fabs((left.x - right.x) * (corner.y - left.y) -
                           (left.x - corner.x) * (right.y - left.y));
        if (area > best_area) {
            best_area = area;
            best = i;
        }
    }
    return best;
}

static enum ps_status triangles(const struct ps_points *points, size_t wanted,
                                struct ps_points *out)
{
    size_t count = points->count, last = count - 1, chosen = 0;
    size_t buckets = wanted - 2;
    enum ps_status st = ps_points_append(out, &points->points[0], 1);
    for (size_t i = 0; i < buckets && st == PS_OK; i++) {
        size_t from = bucket_start(count, buckets, i), end = bucket_start(count, buckets, i + 1);
        size_t next_end = i + 1 < buckets ? bucket_start(count, buckets, i + 2) : count;
        struct corner right = average(points, end < last ? end : last, next_end);
        chosen = largest(points, from, end, corner_of(points, chosen), right);
        st = ps_points_append(out, &points->points[chosen], 1);
    }
    return st == PS_OK ? ps_points_append(out, &points->points[last], 1) : st;
}

enum ps_status ps_thinning_finish(struct ps_thinning *thinning, struct ps_points *out)
{
    enum ps_status st = thinning->thins ? close_bucket(thinning) : PS_OK;
    if (st == PS_OK && thinning->thins)
        st = add_tail(thinning);
    if (st != PS_OK)
        return st;
    const struct ps_points *picked = &thinning->picked;
    if (thinning->kind == PS_DOWNSAMPLE_LTTB && picked->count > thinning->points)
        return triangles(picked, thinning->points, out);
    return ps_points_append(out, picked->points, picked->count);
}
