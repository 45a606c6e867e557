/* history_query: the parameters of a history call (section 8.1 of the contract, E6 of the web
 * UI's). Whatever cannot be meant is refused, so that a typing error is not answered with wrong
 * data. */
#include <stdint.h>
#include <string.h>

#include "core/telemetry/history_query.h"
#include "core/telemetry/time_zone.h"
#include "transport/rest/history.h"

static const struct ps_query_word orders[] = { { "DESC", false }, { "ASC", true }, { NULL, 0 } };

/* One of the words; absent or empty is the first. */
static bool parse_word(struct ps_rest_call *call, const char *name,
                       const struct ps_query_word *words, int *out)
{
    const char *text = ps_rest_param(call, name);
    struct ps_text names;
    if (ps_query_word_find(words, text, out))
        return true;
    ps_query_words_list(words, &names);
    ps_rest_bad_request(call, "Unknown %s '%s': one of %s", name, text, names.data);
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
    if (!parse_word(call, "agg", ps_aggregate_words, &aggregate) ||
        !parse_word(call, "intervalType", ps_interval_type_words, &type) ||
        !ps_rest_int(call, "interval", 0, INT64_MAX, &query->interval_ms))
        return false;
    query->aggregate = (enum ps_aggregate)aggregate;
    query->interval_type = (enum ps_interval_type)type;
    return parse_time_zone(call, query);
}

/* Empty is as good as absent, as everywhere. */
static bool is_said(struct ps_rest_call *call, const char *name)
{
    const char *text = ps_rest_param(call, name);
    return text && *text;
}

static bool parse_downsample(struct ps_rest_call *call, struct ps_history_query *query)
{
    int downsample;
    int64_t points = 0;
    struct ps_text why;
    if (!parse_word(call, "downsample", ps_downsample_words, &downsample) ||
        !ps_rest_int(call, "points", PS_DOWNSAMPLE_POINTS_MIN, PS_DOWNSAMPLE_POINTS_MAX, &points))
        return false;
    if (ps_history_query_thin(query, (enum ps_downsample)downsample, is_said(call, "downsample"),
                              points, &why) == PS_OK)
        return true;
    ps_rest_bad_request(call, "%s", why.data);
    return false;
}

bool ps_rest_history_parse(struct ps_rest_call *call, struct ps_history_query *query)
{
    int ascending;
    struct ps_text why;
    int64_t limit = query->limit > INT64_MAX ? INT64_MAX : (int64_t)query->limit;
    *query = (struct ps_history_query){ 0 };
    if (!ps_rest_int(call, "startTs", INT64_MIN, INT64_MAX, &query->start_ms) ||
        !ps_rest_int(call, "endTs", INT64_MIN, INT64_MAX, &query->end_ms) ||
        !ps_rest_int(call, "limit", 1, INT32_MAX, &limit) || !parse_interval(call, query) ||
        !parse_word(call, "orderBy", orders, &ascending) || !parse_downsample(call, query))
        return false;
    query->limit = (size_t)limit;
    query->ascending = ascending;
    if (ps_history_query_check(query, &why) == PS_OK)
        return true;
    ps_rest_bad_request(call, "%s", why.data);
    return false;
}
