#include "core/telemetry/history_query.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS (24ll * 3600 * 1000)

const struct ps_query_word ps_aggregate_words[] = {
    { "NONE", PS_AGG_NONE },
    { "MIN", PS_AGG_MIN },
    { "MAX", PS_AGG_MAX },
    { "AVG", PS_AGG_AVG },
    { "SUM", PS_AGG_SUM },
    { "COUNT", PS_AGG_COUNT },
    { NULL, 0 },
};

const struct ps_query_word ps_interval_type_words[] = {
    { "MILLISECONDS", PS_INTERVAL_MILLISECONDS }, { "WEEK", PS_INTERVAL_WEEK },
    { "WEEK_ISO", PS_INTERVAL_WEEK_ISO },         { "MONTH", PS_INTERVAL_MONTH },
    { "QUARTER", PS_INTERVAL_QUARTER },           { NULL, 0 },
};

const struct ps_query_word ps_downsample_words[] = {
    { "NONE", PS_DOWNSAMPLE_NONE },
    { "MINMAX", PS_DOWNSAMPLE_MINMAX },
    { "LTTB", PS_DOWNSAMPLE_LTTB },
    { NULL, 0 },
};

/* ---- words ---- */

bool ps_query_word_find(const struct ps_query_word *words, const char *text, int *out)
{
    const struct ps_query_word *word = words;
    if (text && *text)
        while (word->name && strcmp(word->name, text) != 0)
            word++;
    if (word->name)
        *out = word->is;
    return word->name != NULL;
}

void ps_query_words_list(const struct ps_query_word *words, struct ps_text *out)
{
    size_t len = 0;
    ps_text_set(out, "%s", "");
    for (; words->name && len < sizeof out->data; words++)
        len += (size_t)snprintf(out->data + len, sizeof out->data - len, "%s%s", len ? ", " : "",
                                words->name);
}

/* ---- what makes sense ---- */

enum ps_status ps_history_query_thin(struct ps_history_query *query, enum ps_downsample downsample,
                                     bool said, int64_t points, struct ps_text *why)
{
    if (downsample == PS_DOWNSAMPLE_NONE) {
        if (said || points == 0)
            return PS_OK;
        ps_text_set(why, "'points' needs 'downsample': MINMAX or LTTB");
        return PS_EINVAL;
    }
    if (points == 0) {
        ps_text_set(why, "'downsample' needs 'points'");
        return PS_EINVAL;
    }
    if (points < PS_DOWNSAMPLE_POINTS_MIN || points > PS_DOWNSAMPLE_POINTS_MAX) {
        ps_text_set(why, "'points' must be %d to %d", PS_DOWNSAMPLE_POINTS_MIN,
                    PS_DOWNSAMPLE_POINTS_MAX);
        return PS_EINVAL;
    }
    if (!ps_history_query_is_raw(query)) {
        ps_text_set(why, "'downsample' is for raw points: 'agg' must be NONE");
        return PS_EINVAL;
    }
    query->downsample = downsample;
    query->points = (size_t)points;
    return PS_OK;
}

/* The most a bucket can be long, so that no answer of PS_QUERY_BUCKETS_MAX is refused. */
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

enum ps_status ps_history_query_check(const struct ps_history_query *query, struct ps_text *why)
{
    if (ps_history_query_is_raw(query))
        return PS_OK;
    if (query->end_ms < query->start_ms) {
        ps_text_set(why, "endTs should not be before startTs");
        return PS_EINVAL;
    }
    uint64_t span = (uint64_t)query->end_ms - (uint64_t)query->start_ms;
    uint64_t count = span / bucket_width(query);
    if (count <= PS_QUERY_BUCKETS_MAX)
        return PS_OK;
    ps_text_set(why,
                "Incorrect TsKvQuery. Number of intervals is to high - %llu. Please "
                "increase 'interval' parameter for your query or reduce the time range.",
                (unsigned long long)count);
    return PS_EINVAL;
}
