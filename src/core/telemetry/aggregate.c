#include "core/telemetry/aggregate.h"

#include <math.h>
#include <string.h>

#include "core/telemetry/block.h"

enum ps_status ps_aggregation_init(struct ps_aggregation *aggregation,
                                   const struct ps_history_query *query, size_t buckets_max,
                                   struct ps_points *out)
{
    *aggregation = (struct ps_aggregation){ .aggregate = query->aggregate,
                                            .start_ms = query->start_ms,
                                            .end_ms = query->end_ms,
                                            .buckets_max = buckets_max,
                                            .out = out };
    if (query->interval_type == PS_INTERVAL_MILLISECONDS) {
        aggregation->width_ms = query->interval_ms > 0 ? (uint64_t)query->interval_ms : 1;
        return PS_OK;
    }
    return ps_calendar_init(&aggregation->calendar, query->interval_type, query->time_zone);
}

void ps_aggregation_deinit(struct ps_aggregation *aggregation)
{
    ps_calendar_deinit(&aggregation->calendar);
    ps_buf_deinit(&aggregation->text_min);
    ps_buf_deinit(&aggregation->text_max);
}

/* ---- buckets ---- */

static void cut_by_width(const struct ps_aggregation *aggregation, int64_t ts_ms,
                         struct ps_aggregate_bucket *bucket)
{
    uint64_t first = (uint64_t)aggregation->start_ms, width = aggregation->width_ms;
    uint64_t start = first + ((uint64_t)ts_ms - first) / width * width;
    uint64_t left = (uint64_t)aggregation->end_ms - start;
    bucket->start_ms = (int64_t)start;
    bucket->span_ms = left < width ? left : width;
}

static void cut_by_calendar(const struct ps_aggregation *aggregation, int64_t ts_ms,
                            struct ps_aggregate_bucket *bucket)
{
    int64_t start, end;
    ps_calendar_period(&aggregation->calendar, ts_ms, &start, &end);
    if (start < aggregation->start_ms)
        start = aggregation->start_ms;
    if (end > aggregation->end_ms)
        end = aggregation->end_ms;
    bucket->start_ms = start;
    bucket->span_ms = (uint64_t)end - (uint64_t)start;
}

static bool is_in(const struct ps_aggregate_bucket *bucket, int64_t ts_ms)
{
    return (uint64_t)ts_ms - (uint64_t)bucket->start_ms < bucket->span_ms;
}

static bool answer_number(const struct ps_aggregate_bucket *bucket, int64_t whole, double real,
                          struct ps_value *out)
{
    if (bucket->has_real)
        *out = (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = real };
    else
        *out = (struct ps_value){ .type = PS_VALUE_LONG, .integer = whole };
    return bucket->numbers > 0;
}

static bool answer_order(const struct ps_aggregate_bucket *bucket, int64_t whole, double real,
                         const struct ps_buf *text, struct ps_value *out)
{
    if (!bucket->numbers && bucket->strings) {
        *out = (struct ps_value){ .type = PS_VALUE_STRING,
                                  .len = (uint32_t)text->len,
                                  .text = text->data };
        return true;
    }
    bool only_nan = bucket->real_min > bucket->real_max;
    return answer_number(bucket, whole, only_nan ? (double)NAN : real, out);
}

static bool answer(const struct ps_aggregation *aggregation, struct ps_value *out)
{
    const struct ps_aggregate_bucket *bucket = &aggregation->bucket;
    switch (aggregation->aggregate) {
    case PS_AGG_COUNT:
        *out = (struct ps_value){ .type = PS_VALUE_LONG, .integer = (int64_t)bucket->count };
        return true;
    case PS_AGG_MIN:
        return answer_order(bucket, bucket->whole_min, bucket->real_min, &aggregation->text_min,
                            out);
    case PS_AGG_MAX:
        return answer_order(bucket, bucket->whole_max, bucket->real_max, &aggregation->text_max,
                            out);
    case PS_AGG_SUM:
        return answer_number(bucket, (int64_t)bucket->whole_sum, bucket->real_sum, out);
    case PS_AGG_AVG:
        *out = (struct ps_value){ .type = PS_VALUE_DOUBLE,
                                  .real = bucket->real_sum / (double)bucket->numbers };
        return bucket->numbers > 0;
    case PS_AGG_NONE:
        break;
    }
    return false;
}

enum ps_status ps_aggregation_finish(struct ps_aggregation *aggregation)
{
    struct ps_aggregate_bucket *bucket = &aggregation->bucket;
    struct ps_value value;
    if (!ps_buf_ok(&aggregation->text_min) || !ps_buf_ok(&aggregation->text_max))
        return PS_ENOMEM;
    bool worth = bucket->span_ms && answer(aggregation, &value);
    int64_t middle_ms = (int64_t)((uint64_t)bucket->start_ms + bucket->span_ms / 2);
    bucket->span_ms = 0;
    if (!worth)
        return PS_OK;
    if (aggregation->out->count >= aggregation->buckets_max)
        return PS_ELIMIT;
    return ps_points_add(aggregation->out, middle_ms, &value);
}

/* The bucket of `ts_ms` is open afterwards; the one before it is written. */
static enum ps_status open_bucket(struct ps_aggregation *aggregation, int64_t ts_ms)
{
    enum ps_status st = ps_aggregation_finish(aggregation);
    if (st != PS_OK)
        return st;
    struct ps_aggregate_bucket bucket = { .whole_min = INT64_MAX,
                                          .whole_max = INT64_MIN,
                                          .real_min = (double)INFINITY,
                                          .real_max = -(double)INFINITY };
    if (aggregation->width_ms)
        cut_by_width(aggregation, ts_ms, &bucket);
    else
        cut_by_calendar(aggregation, ts_ms, &bucket);
    aggregation->bucket = bucket;
    return PS_OK;
}

/* ---- points ---- */

static int compare_text(const struct ps_value *a, const struct ps_buf *b)
{
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter ? memcmp(a->text, b->data, shorter) : 0;
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void keep_text(struct ps_buf *buf, const struct ps_value *value)
{
    buf->len = 0;
    ps_buf_put(buf, value->text, value->len);
}

static void add_text(struct ps_aggregation *aggregation, const struct ps_value *value)
{
    struct ps_aggregate_bucket *bucket = &aggregation->bucket;
    if (!bucket->strings || compare_text(value, &aggregation->text_min) < 0)
        keep_text(&aggregation->text_min, value);
    if (!bucket->strings || compare_text(value, &aggregation->text_max) > 0)
        keep_text(&aggregation->text_max, value);
    bucket->strings++;
}

static void add_whole(struct ps_aggregate_bucket *bucket, int64_t whole)
{
    bucket->whole_sum += (uint64_t)whole;
    if (whole < bucket->whole_min)
        bucket->whole_min = whole;
    if (whole > bucket->whole_max)
        bucket->whole_max = whole;
}

/* Neither comparison is true of a NaN. */
static void add_real(struct ps_aggregate_bucket *bucket, double real)
{
    bucket->real_sum += real;
    if (real < bucket->real_min)
        bucket->real_min = real;
    if (real > bucket->real_max)
        bucket->real_max = real;
    bucket->numbers++;
}

static void add_points(struct ps_aggregation *aggregation, const struct ps_point *points,
                       size_t count)
{
    struct ps_aggregate_bucket bucket = aggregation->bucket; /* in registers */
    bucket.count += count;
    for (size_t i = 0; i < count; i++) {
        const struct ps_value *value = &points[i].value;
        if (value->type == PS_VALUE_DOUBLE) {
            bucket.has_real = true;
            add_real(&bucket, value->real);
        } else if (value->type == PS_VALUE_LONG) {
            add_whole(&bucket, value->integer);
            add_real(&bucket, (double)value->integer);
        } else if (value->type == PS_VALUE_STRING) {
            aggregation->bucket.strings = bucket.strings;
            add_text(aggregation, value);
            bucket.strings = aggregation->bucket.strings;
        }
    }
    aggregation->bucket = bucket;
}

/* How many of the points are in the open bucket. */
static size_t count_in(const struct ps_aggregate_bucket *bucket, const struct ps_point *points,
                       size_t count)
{
    if (is_in(bucket, points[count - 1].ts_ms))
        return count;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (is_in(bucket, points[middle].ts_ms))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum ps_status ps_aggregation_add(struct ps_aggregation *aggregation, const struct ps_point *points,
                                  size_t count)
{
    for (size_t at = 0; at < count;) {
        if (!is_in(&aggregation->bucket, points[at].ts_ms)) {
            enum ps_status st = open_bucket(aggregation, points[at].ts_ms);
            if (st != PS_OK)
                return st;
        }
        size_t inside = count_in(&aggregation->bucket, points + at, count - at);
        if (aggregation->aggregate == PS_AGG_COUNT)
            aggregation->bucket.count += inside;
        else
            add_points(aggregation, points + at, inside);
        at += inside;
    }
    return PS_OK;
}

static void add_summary(struct ps_aggregate_bucket *bucket, const struct ps_chunk_summary *summary)
{
    if (summary->has_real) {
        bucket->has_real = true;
    } else {
        bucket->whole_sum += (uint64_t)summary->whole_sum;
        if (summary->whole_min < bucket->whole_min)
            bucket->whole_min = summary->whole_min;
        if (summary->whole_max > bucket->whole_max)
            bucket->whole_max = summary->whole_max;
    }
    bucket->real_sum += summary->real_sum;
    if (summary->real_min < bucket->real_min)
        bucket->real_min = summary->real_min;
    if (summary->real_max > bucket->real_max)
        bucket->real_max = summary->real_max;
}

enum ps_status ps_aggregation_add_chunk(struct ps_aggregation *aggregation,
                                        const struct ps_chunk_info *chunk)
{
    struct ps_aggregate_bucket *bucket = &aggregation->bucket;
    bool counts = aggregation->aggregate == PS_AGG_COUNT;
    if (!counts && !chunk->has_summary)
        return PS_EUNSUPPORTED;
    if (!is_in(bucket, chunk->first_ms)) {
        enum ps_status st = open_bucket(aggregation, chunk->first_ms);
        if (st != PS_OK)
            return st;
    }
    if (!is_in(bucket, chunk->last_ms))
        return PS_EUNSUPPORTED;
    bucket->count += chunk->count;
    if (counts)
        return PS_OK;
    bucket->numbers += chunk->count;
    add_summary(bucket, &chunk->summary);
    return PS_OK;
}

enum ps_status ps_aggregation_count(const struct ps_history_query *query, size_t max, size_t *out)
{
    struct ps_aggregation aggregation;
    struct ps_aggregate_bucket bucket;
    size_t count = 0;
    enum ps_status st = ps_aggregation_init(&aggregation, query, 0, NULL);
    if (st != PS_OK)
        return st;
    if (aggregation.width_ms && query->start_ms < query->end_ms) {
        uint64_t range = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
        uint64_t full = range / aggregation.width_ms + (range % aggregation.width_ms != 0);
        count = full > max ? max + 1 : (size_t)full;
    } else {
        for (int64_t at = query->start_ms; at < query->end_ms && count <= max; count++) {
            cut_by_calendar(&aggregation, at, &bucket);
            at = (int64_t)((uint64_t)bucket.start_ms + bucket.span_ms);
        }
    }
    ps_aggregation_deinit(&aggregation);
    *out = count;
    return PS_OK;
}
