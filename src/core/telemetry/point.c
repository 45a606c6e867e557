#include "core/telemetry/point.h"

#include <stdlib.h>
#include <string.h>

enum { POINTS_FIRST = 8 };

static void free_text(struct ps_value *value)
{
    if (value->type >= PS_VALUE_STRING)
        free((char *)value->text);
}

bool ps_history_query_is_raw(const struct ps_history_query *query)
{
    return query->aggregate == PS_AGG_NONE ||
           (query->interval_type == PS_INTERVAL_MILLISECONDS && query->interval_ms <= 0);
}

bool ps_point_expired_up_to(uint32_t ttl_s, int64_t now_ms, int64_t *out)
{
    return ttl_s != 0 && !__builtin_sub_overflow(now_ms, (int64_t)ttl_s * 1000, out);
}

bool ps_point_is_expired(int64_t ts_ms, uint32_t ttl_s, int64_t now_ms)
{
    int64_t up_to;
    return ps_point_expired_up_to(ttl_s, now_ms, &up_to) && ts_ms <= up_to;
}

static bool reserve(struct ps_points *points, size_t extra)
{
    if (points->cap - points->count >= extra)
        return true;
    size_t cap = points->cap ? points->cap * 2 : POINTS_FIRST;
    while (cap - points->count < extra)
        cap *= 2;
    struct ps_point *grown = realloc(points->points, cap * sizeof *grown);
    if (!grown)
        return false;
    points->points = grown;
    points->cap = cap;
    return true;
}

static bool own_text(struct ps_value *value)
{
    if (value->type < PS_VALUE_STRING)
        return true;
    char *text = malloc(value->len ? value->len : 1);
    if (!text)
        return false;
    if (value->len)
        memcpy(text, value->text, value->len);
    value->text = text;
    return true;
}

enum ps_status ps_points_add(struct ps_points *points, int64_t ts_ms, const struct ps_value *value)
{
    const struct ps_point point = { .ts_ms = ts_ms, .value = *value };
    return ps_points_append(points, &point, 1);
}

enum ps_status ps_points_append(struct ps_points *points, const struct ps_point *from, size_t count)
{
    size_t before = points->count;
    if (!reserve(points, count))
        return PS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct ps_point *point = &points->points[points->count];
        *point = from[i];
        if (!own_text(&point->value)) {
            ps_points_truncate(points, before);
            return PS_ENOMEM;
        }
        points->count++;
    }
    return PS_OK;
}

void ps_points_truncate(struct ps_points *points, size_t count)
{
    while (points->count > count)
        free_text(&points->points[--points->count].value);
}

void ps_points_deinit(struct ps_points *points)
{
    ps_points_truncate(points, 0);
    free(points->points);
    free(points->key);
    *points = (struct ps_points){ 0 };
}

static int by_ts_then_arrival(const void *left, const void *right)
{
    const struct ps_point *a = left, *b = right;
    return a->ts_ms < b->ts_ms ? -1 : a->ts_ms > b->ts_ms;
}

/* Merge sort keeps equal timestamps in order of arrival; qsort would not promise it. */
static enum ps_status stable_sort(struct ps_point *points, size_t count)
{
    struct ps_point *from = points, *spare = malloc(count * sizeof *spare), *to = spare;
    if (!spare)
        return PS_ENOMEM;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t a = start, b = middle, at = start;
            while (a < middle && b < end)
                to[at++] = by_ts_then_arrival(&from[a], &from[b]) <= 0 ? from[a++] : from[b++];
            while (a < middle)
                to[at++] = from[a++];
            while (b < end)
                to[at++] = from[b++];
        }
        struct ps_point *swap = from;
        from = to;
        to = swap;
    }
    if (from != points)
        memcpy(points, from, count * sizeof *points);
    free(spare);
    return PS_OK;
}

static bool is_sorted(const struct ps_points *points)
{
    for (size_t i = 1; i < points->count; i++) {
        if (points->points[i - 1].ts_ms >= points->points[i].ts_ms)
            return false;
    }
    return true;
}

enum ps_status ps_points_settle(struct ps_points *points)
{
    if (is_sorted(points))
        return PS_OK;
    enum ps_status st = stable_sort(points->points, points->count);
    if (st != PS_OK)
        return st;
    size_t kept = 0;
    for (size_t i = 0; i < points->count; i++) {
        if (i + 1 < points->count && points->points[i].ts_ms == points->points[i + 1].ts_ms)
            free_text(&points->points[i].value);
        else
            points->points[kept++] = points->points[i];
    }
    points->count = kept;
    return PS_OK;
}

void ps_points_drop_first(struct ps_points *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_text(&points->points[i].value);
    points->count -= count;
    memmove(points->points, points->points + count, points->count * sizeof *points->points);
}

void ps_points_reverse(struct ps_points *points)
{
    for (size_t a = 0, b = points->count; a + 1 < b;) {
        struct ps_point swap = points->points[a];
        points->points[a++] = points->points[--b];
        points->points[b] = swap;
    }
}

void ps_point_set_deinit(struct ps_point_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        ps_points_deinit(&set->keys[i]);
    free(set->keys);
    *set = (struct ps_point_set){ 0 };
}
