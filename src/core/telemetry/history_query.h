/* history_query: what a question for history may say, the same for all who read one from a client
 * (rest-api 8.1, web-ui E6): the words, and which of them make sense together.
 *
 * An aggregation without an interval means the points as they are, as in ThingsBoard; so do `limit`
 * and the order where they have nothing to say: scripts send them always. What can only be a
 * mistake is refused. */
#ifndef PS_CORE_TELEMETRY_HISTORY_QUERY_H
#define PS_CORE_TELEMETRY_HISTORY_QUERY_H

#include "core/telemetry/point.h"
#include "core/text.h"

enum { PS_QUERY_BUCKETS_MAX = 700 }; /* of one key */

struct ps_query_word {
    const char *name;
    int is;
};

/* Each ends with a name of NULL; the first is what counts where nothing is said. */
extern const struct ps_query_word ps_aggregate_words[];     /* enum ps_aggregate */
extern const struct ps_query_word ps_interval_type_words[]; /* enum ps_interval_type */
extern const struct ps_query_word ps_downsample_words[];    /* enum ps_downsample */

/** NULL and "" are the first word. False: there is no such word, *out is untouched. */
bool ps_query_word_find(const struct ps_query_word *words, const char *text, int *out);
/** "NONE, MIN, MAX". */
void ps_query_words_list(const struct ps_query_word *words, struct ps_text *out);

/**
 * Thin the raw points, if `downsample` is a kind of it.
 *
 * @param query   complete but for this
 * @param said    the client named a kind, be it NONE
 * @param points  0: the client named no number
 * Returns: PS_OK; PS_EINVAL one without the other, too few or too many, or together with an
 *          aggregation: `why` says so
 */
PS_MUST_CHECK
enum ps_status ps_history_query_thin(struct ps_history_query *query, enum ps_downsample downsample,
                                     bool said, int64_t points, struct ps_text *why);

/** Returns: PS_OK; PS_EINVAL an aggregation over a range that ends before it begins, or of more
 *  than PS_QUERY_BUCKETS_MAX buckets: `why` says so, in the reference's words */
PS_MUST_CHECK
enum ps_status ps_history_query_check(const struct ps_history_query *query, struct ps_text *why);

#endif
