/* history_query: the parameters of a history call (section 8.1 of the contract, E6 of the web
 * UI's). Whatever cannot be meant is refused, so that a typing error is not answered with wrong
 * data. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/telemetry/time_zone.h"
#include "transport/rest/history.h"

enum { BUCKETS_MAX = 700 };

#define DAY_MS (24ll * 3600 * 1000)

struct choice {
    const char *name;
    int is;
};

static const struct choice aggregates[] = {
    { "NONE", PS_AGG_NONE },
    { "MIN", PS_AGG_MIN },
    { "MAX", PS_AGG_MAX },
    { "AVG", PS_AGG_AVG },
    { "SUM", PS_AGG_SUM },
    { "COUNT", PS_AGG_COUNT },
    { NULL, 0 },
};

static const struct choice interval_types[] = {
    { "MILLISECONDS", PS_INTERVAL_MILLISECONDS }, { "WEEK", PS_INTERVAL_WEEK },
    { "WEEK_ISO", PS_INTERVAL_WEEK_ISO },         { "MONTH", PS_INTERVAL_MONTH },
    { "QUARTER", PS_INTERVAL_QUARTER },           { NULL, 0 },
};

static const struct choice downsamples[] = {
    { "NONE", PS_DOWNSAMPLE_NONE },
    { "MINMAX", PS_DOWNSAMPLE_MINMAX },
    { "LTTB", PS_DOWNSAMPLE_LTTB },
    { NULL, 0 },
};

static const struct choice orders[] = { { "ASC", true }, { "DESC", false }, { NULL, 0 } };

static void put_names(const struct choice *choices, char *out, size_t size)
{
    size_t len = 0;
    for (; choices->name && len < size; choices++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", choices->name);
}

/* One of the names; absent or empty is `otherwise`. */
static bool parse_choice(struct ps_rest_call *call, const char *name, const struct choice *choices,
                         int otherwise, int *out)
{
    const char *text = ps_rest_param(call, name);
    char names[128] = "";
    *out = otherwise;
    if (!text || !*text)
        return true;
    for (const struct choice *choice = choices; choice->name; choice++) {
        if (strcmp(choice->name, text) == 0) {
            *out = choice->is;
            return true;
        }
    }
    put_names(choices, names, sizeof names);
    ps_rest_bad_request(call, "Unknown %s '%s': one of %s", name, text, names);
    return false;
}

/* Looked up also where no bucket depends on it: a misspelt name is an error anyway. */
static bool parse_time_zone(struct ps_rest_call *call, struct ps_history_query *query)
{
    const char *name = ps_rest_param(call, "timeZone");
    struct ps_time_zone zone = { 0 };
    if (!name || !*name)
        return true;
    enum ps_status st = PS_EINVAL;
    if (strlen(name) < sizeof query->time_zone)
        st = ps_time_zone_load(name, &zone);
    if (st == PS_EINVAL) {
        ps_rest_bad_request(call, "Unknown timeZone '%s'", name);
        return false;
    }
    if (!ps_rest_changed(call, st, NULL))
        return false;
    ps_time_zone_deinit(&zone);
    strcpy(query->time_zone, name);
    return true;
}

static bool parse_interval(struct ps_rest_call *call, struct ps_history_query *query)
{
    int aggregate, type;
    if (!parse_choice(call, "agg", aggregates, PS_AGG_NONE, &aggregate) ||
        !parse_choice(call, "intervalType", interval_types, PS_INTERVAL_MILLISECONDS, &type) ||
        !ps_rest_int(call, "interval", 0, INT64_MAX, &query->interval_ms))
        return false;
    query->aggregate = (enum ps_aggregate)aggregate;
    query->interval_type = (enum ps_interval_type)type;
    return parse_time_zone(call, query);
}

static bool parse_downsample(struct ps_rest_call *call, struct ps_history_query *query)
{
    int downsample;
    int64_t points = 0;
    if (!parse_choice(call, "downsample", downsamples, PS_DOWNSAMPLE_NONE, &downsample) ||
        !ps_rest_int(call, "points", PS_DOWNSAMPLE_POINTS_MIN, PS_DOWNSAMPLE_POINTS_MAX, &points))
        return false;
    if (downsample == PS_DOWNSAMPLE_NONE)
        return true; /* `points` alone asks for nothing */
    if (points == 0) {
        ps_rest_bad_request(call, "downsample needs 'points'");
        return false;
    }
    if (!ps_history_query_is_raw(query)) {
        ps_rest_bad_request(call, "downsample is for raw points: agg must be NONE");
        return false;
    }
    query->downsample = (enum ps_downsample)downsample;
    query->points = (size_t)points;
    return true;
}

/* The most a bucket can be long, so that no answer of BUCKETS_MAX is refused. */
static uint64_t bucket_width(const struct ps_history_query *query)
{
    switch (query->interval_type) {
    case PS_INTERVAL_WEEK:
    case PS_INTERVAL_WEEK_ISO:
        return 7 * DAY_MS;
    case PS_INTERVAL_MONTH:
        return 31 * DAY_MS;
    case PS_INTERVAL_QUARTER:
        return 92 * DAY_MS;
    case PS_INTERVAL_MILLISECONDS:
        break;
    }
    return query->interval_ms < 1000 ? 1000 : (uint64_t)query->interval_ms;
}

static bool check_buckets(struct ps_rest_call *call, const struct ps_history_query *query)
{
    if (query->end_ms < query->start_ms) {
        ps_rest_bad_request(call, "endTs should not be before startTs");
        return false;
    }
    uint64_t span = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
    uint64_t count = span / bucket_width(query);
    if (count <= BUCKETS_MAX)
        return true;
    ps_rest_bad_request(call,
                        "Incorrect TsKvQuery. Number of intervals is to high - %llu. Please "
                        "increase 'interval' parameter for your query or reduce the time range.",
                        (unsigned long long)count);
    return false;
}

bool ps_rest_history_parse(struct ps_rest_call *call, struct ps_history_query *query)
{
    int ascending;
    int64_t limit = query->limit > INT64_MAX ? INT64_MAX : (int64_t)query->limit;
    *query = (struct ps_history_query){ 0 };
    if (!ps_rest_int(call, "startTs", INT64_MIN, INT64_MAX, &query->start_ms) ||
        !ps_rest_int(call, "endTs", INT64_MIN, INT64_MAX, &query->end_ms) ||
        !ps_rest_int(call, "limit", 1, INT32_MAX, &limit) || !parse_interval(call, query) ||
        !parse_choice(call, "orderBy", orders, false, &ascending) || !parse_downsample(call, query))
        return false;
    query->limit = (size_t)limit;
    query->ascending = ascending;
    return ps_history_query_is_raw(query) || check_buckets(call, query);
}
