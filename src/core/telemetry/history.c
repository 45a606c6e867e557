#include "core/telemetry/history.h"

#include <stdlib.h>
#include <string.h>

#include "core/telemetry/journal.h"

enum { SLACK = 1024 }; /* points collected beyond the limit before the rest is cut off */

struct scan {
    const struct ps_history_query *query;
    struct ps_series_copy *copies;
    struct ps_points *found; /* parallel to copies: what the journal has, in order of arrival */
    size_t count;
    size_t keep; /* points of a series worth keeping */
};

static bool is_raw(const struct ps_history_query *query)
{
    return query->aggregate == PS_AGG_NONE || query->interval_ms <= 0;
}

/* Order the points, drop what later arrivals replaced, and cut to the best `keep`. */
static enum ps_status cut(const struct ps_history_query *query, struct ps_points *points,
                          size_t keep)
{
    enum ps_status st = ps_points_settle(points);
    if (st != PS_OK || points->count <= keep)
        return st;
    if (query->ascending)
        ps_points_truncate(points, keep);
    else
        ps_points_drop_first(points, points->count - keep);
    return PS_OK;
}

static enum ps_status collect(struct scan *scan, int64_t seq,
                              const struct ps_journal_record *record)
{
    const struct ps_history_query *query = scan->query;
    if (record->ts_ms < query->start_ms || record->ts_ms >= query->end_ms)
        return PS_OK;
    for (size_t i = 0; i < scan->count; i++) {
        const struct ps_series_copy *copy = &scan->copies[i];
        if (copy->id != record->series || seq > copy->journal_up_to)
            continue;
        struct ps_points *points = &scan->found[i];
        enum ps_status st = ps_points_add(points, record->ts_ms, &record->value);
        if (st != PS_OK || points->count < scan->keep + SLACK)
            return st;
        return is_raw(query) ? cut(query, points, scan->keep) : PS_ELIMIT;
    }
    return PS_OK;
}

static enum ps_status scan_blob(struct scan *scan, int64_t seq, const char *blob, size_t len)
{
    struct ps_journal_decoder decoder;
    struct ps_journal_record record;
    enum ps_status st = ps_journal_open(&decoder, blob, len);
    if (st != PS_OK)
        return PS_ESTORE;
    while ((st = ps_journal_next(&decoder, &record)) == PS_OK) {
        st = collect(scan, seq, &record);
        if (st != PS_OK)
            return st;
    }
    return st == PS_ENOTFOUND ? PS_OK : PS_ESTORE;
}

static enum ps_status scan_journal(struct scan *scan, struct ps_db *db, int64_t up_to)
{
    struct ps_stmt *stmt;
    enum ps_status st =
        ps_db_prepare(db, "SELECT seq, points FROM journal WHERE seq <= ? ORDER BY seq", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, up_to);
    bool row;
    while ((st = ps_stmt_step(stmt, &row)) == PS_OK && row) {
        size_t len;
        const char *blob = ps_stmt_bytes(stmt, 1, &len);
        st = scan_blob(scan, ps_stmt_int(stmt, 0), blob, len);
        if (st != PS_OK) {
            ps_stmt_reset(stmt);
            return st;
        }
    }
    return st;
}

/* What the head holds arrived later than what it lost: it goes last. */
static enum ps_status append_head(struct ps_points *points, struct ps_points *head)
{
    if (!points->count) {
        char *key = points->key;
        free(points->points);
        *points = *head;
        points->key = key;
        *head = (struct ps_points){ 0 };
        return PS_OK;
    }
    for (size_t i = 0; i < head->count; i++) {
        enum ps_status st = ps_points_add(points, head->points[i].ts_ms, &head->points[i].value);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

static enum ps_status finish(const struct ps_history_query *query, struct ps_points *points)
{
    enum ps_status st;
    if (is_raw(query)) {
        st = cut(query, points, query->limit);
        if (st == PS_OK && !query->ascending)
            ps_points_reverse(points);
        return st;
    }
    st = ps_points_settle(points);
    if (st != PS_OK)
        return st;
    struct ps_points buckets = { 0 };
    st = ps_history_aggregate(points, query, &buckets);
    if (st != PS_OK) {
        ps_points_deinit(&buckets);
        return st;
    }
    buckets.key = points->key;
    points->key = NULL;
    ps_points_deinit(points);
    *points = buckets;
    return PS_OK;
}

enum ps_status ps_history_read(struct ps_db *db, const struct ps_history_query *query,
                               struct ps_series_copy *copies, size_t count, struct ps_points *out)
{
    struct scan scan = { .query = query,
                         .copies = copies,
                         .found = out,
                         .count = count,
                         .keep = is_raw(query) && query->limit < PS_HISTORY_POINTS_MAX
                                     ? query->limit
                                     : PS_HISTORY_POINTS_MAX };
    int64_t up_to = 0;
    for (size_t i = 0; i < count; i++) {
        if (copies[i].journal_up_to > up_to)
            up_to = copies[i].journal_up_to;
    }
    enum ps_status st = up_to ? scan_journal(&scan, db, up_to) : PS_OK;
    for (size_t i = 0; i < count && st == PS_OK; i++) {
        st = append_head(&out[i], &copies[i].points);
        if (st == PS_OK)
            st = finish(query, &out[i]);
    }
    return st;
}

struct bucket {
    size_t count, numbers, strings;
    bool has_real;
    int64_t whole_sum, whole_min, whole_max;
    double real_sum, real_min, real_max;
    const struct ps_value *text_min, *text_max;
};

static int compare_text(const struct ps_value *a, const struct ps_value *b)
{
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter ? memcmp(a->text, b->text, shorter) : 0;
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void bucket_add_text(struct bucket *bucket, const struct ps_value *value)
{
    if (!bucket->strings || compare_text(value, bucket->text_min) < 0)
        bucket->text_min = value;
    if (!bucket->strings || compare_text(value, bucket->text_max) > 0)
        bucket->text_max = value;
    bucket->strings++;
}

static void bucket_add(struct bucket *bucket, const struct ps_value *value)
{
    bucket->count++;
    if (value->type == PS_VALUE_STRING) {
        bucket_add_text(bucket, value);
        return;
    }
    if (value->type != PS_VALUE_LONG && value->type != PS_VALUE_DOUBLE)
        return;
    bool whole = value->type == PS_VALUE_LONG;
    double real = whole ? (double)value->integer : value->real;
    if (whole) {
        bucket->whole_sum = (int64_t)((uint64_t)bucket->whole_sum + (uint64_t)value->integer);
        if (!bucket->numbers || value->integer < bucket->whole_min)
            bucket->whole_min = value->integer;
        if (!bucket->numbers || value->integer > bucket->whole_max)
            bucket->whole_max = value->integer;
    }
    bucket->has_real |= !whole;
    bucket->real_sum += real;
    if (!bucket->numbers || real < bucket->real_min)
        bucket->real_min = real;
    if (!bucket->numbers || real > bucket->real_max)
        bucket->real_max = real;
    bucket->numbers++;
}

static struct ps_value number(const struct bucket *bucket, int64_t whole, double real)
{
    if (bucket->has_real)
        return (struct ps_value){ .type = PS_VALUE_DOUBLE, .real = real };
    return (struct ps_value){ .type = PS_VALUE_LONG, .integer = whole };
}

static bool bucket_value(const struct bucket *bucket, enum ps_aggregate aggregate,
                         struct ps_value *out)
{
    bool only_text = bucket->strings && !bucket->numbers;
    switch (aggregate) {
    case PS_AGG_COUNT:
        *out = (struct ps_value){ .type = PS_VALUE_LONG, .integer = (int64_t)bucket->count };
        return bucket->count > 0;
    case PS_AGG_MIN:
        *out = only_text ? *bucket->text_min : number(bucket, bucket->whole_min, bucket->real_min);
        return only_text || bucket->numbers;
    case PS_AGG_MAX:
        *out = only_text ? *bucket->text_max : number(bucket, bucket->whole_max, bucket->real_max);
        return only_text || bucket->numbers;
    case PS_AGG_SUM:
        *out = number(bucket, bucket->whole_sum, bucket->real_sum);
        return bucket->numbers > 0;
    case PS_AGG_AVG:
        *out = (struct ps_value){ .type = PS_VALUE_DOUBLE,
                                  .real = bucket->real_sum / (double)bucket->numbers };
        return bucket->numbers > 0;
    case PS_AGG_NONE:
        break;
    }
    return false;
}

enum ps_status ps_history_aggregate(const struct ps_points *points,
                                    const struct ps_history_query *query, struct ps_points *out)
{
    size_t at = 0;
    while (at < points->count) {
        /* unsigned: a range of the whole int64 must not overflow */
        uint64_t offset = (uint64_t)points->points[at].ts_ms - (uint64_t)query->start_ms;
        uint64_t width = (uint64_t)query->interval_ms;
        uint64_t start = (uint64_t)query->start_ms + offset / width * width;
        uint64_t left = (uint64_t)query->end_ms - start;
        uint64_t span = left < width ? left : width;
        struct bucket bucket = { 0 };
        for (; at < points->count && (uint64_t)points->points[at].ts_ms - start < span; at++)
            bucket_add(&bucket, &points->points[at].value);
        struct ps_value value;
        if (!bucket_value(&bucket, query->aggregate, &value))
            continue;
        enum ps_status st = ps_points_add(out, (int64_t)(start + span / 2), &value);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}
