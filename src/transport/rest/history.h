/* history: points of a span of time: what was asked, and the answer as JSON or CSV.
 *
 * A long answer is made in slices (http/reply.h). Each is a question of its own that goes on behind
 * the last point that was written, so nothing is kept open for a slow client. What is stored or
 * deleted meanwhile in the part that is still to come counts, unless that part was brought already;
 * what expires meanwhile does not: one call has one present. */
#ifndef PS_TRANSPORT_REST_HISTORY_H
#define PS_TRANSPORT_REST_HISTORY_H

#include "transport/rest/telemetry.h"

enum {
    /* Points one question of a slice may get, all keys together: 200 KiB while they are written.
     * If asking costs much more than the points (a long journal has to be looked through each
     * time), four times as many. */
    PS_REST_SLICE_POINTS_MAX = 8192,
    PS_REST_SLICE_POINTS_SLOW = 4 * PS_REST_SLICE_POINTS_MAX,
    PS_REST_SLOW_QUESTION_MS = 10,
    /* Text of values above which the next question of a slice is made smaller. */
    PS_REST_SLICE_TEXT_BYTES = 128 * 1024,
};

/* The question, and what its producers share. */
struct ps_rest_history {
    struct ps_actors *actors;
    const _Atomic bool *abandoned; /* of the call: the answer is wanted no more */
    struct ps_entity_ref ref;
    struct ps_rest_keys keys; /* owned */
    struct ps_history_query query;
    size_t slice_points; /* how many are asked for now: fewer if their text is long */
    bool strict;         /* JSON: values with their types */
};

/** startTs, endTs, agg, interval, intervalType, timeZone, limit, orderBy, points, downsample.
 *  `limit` stays as it is without the parameter. False: 400 is answered. */
bool ps_rest_history_parse(struct ps_rest_call *call, struct ps_history_query *query);

/** Answer a history call: JSON, or CSV if the client prefers it. Takes the keys if it needs them
 *  longer than this call. */
void ps_rest_history(struct ps_rest_call *call, const struct ps_entity_ref *ref,
                     struct ps_rest_keys *keys, bool strict);

/* --- between the files of history --- */

/** Ask for `count` keys; the next question is sized by what this one brought.
 *  Returns: as ps_entity_history(); PS_ECLOSED the client has gone. */
PS_MUST_CHECK
enum ps_status ps_rest_history_ask(struct ps_rest_history *history, struct ps_db *db,
                                   const char *const *keys, size_t count,
                                   const struct ps_history_query *query, struct ps_point_set *out);
/** The answer is all raw points, so that a question can go on where another ended. */
bool ps_rest_history_is_sliced(const struct ps_history_query *query);
/** Make `query` go on behind `ts_ms`, in its order. False: there is nothing behind. */
bool ps_rest_history_go_on(struct ps_history_query *query, int64_t ts_ms);
/** The most points one key can get. */
size_t ps_rest_history_points_max(const struct ps_history_query *query);

/** {"k":[{"ts":1,"value":"2"},...],...}: keys without points are absent. Moves the keys out of
 *  `history` on success; NULL: memory is short. */
struct ps_http_producer *ps_rest_history_json(struct ps_rest_history *history);
/** RFC 4180: "ts,iso,k1,k2", one row per timestamp; likewise. */
struct ps_http_producer *ps_rest_history_csv(struct ps_rest_history *history);

/** {"ts":1,"value":"2"}; the value with its type if `strict`. No comma. */
void ps_rest_put_point(struct ps_buf *buf, int64_t ts_ms, const struct ps_value *value,
                       bool strict);

#endif
