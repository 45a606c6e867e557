/* history: reading heads and journal as one.
 *
 * The heads' part comes copied out of the shard (ps_series_copy); what is only in the journal is
 * scanned here. Last write wins on equal (series, ts): journal rows are older arrivals than what
 * the head still holds. Memory is bounded by the limit (raw) or HISTORY_POINTS_MAX (aggregated).
 *
 * Thread: a reader's. */
#ifndef PS_CORE_TELEMETRY_HISTORY_H
#define PS_CORE_TELEMETRY_HISTORY_H

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/series.h"

enum { PS_HISTORY_POINTS_MAX = 5000000 }; /* raw points one aggregated query may look at */

/**
 * Answer `query` for `count` series.
 *
 * @param copies  heads' parts; their points are moved out
 * @param out     `count` lists, zeroed by the caller (keys may be set); filled in the query's order
 * Returns: PS_OK; PS_ELIMIT an aggregated query meets too many points; PS_ESTORE; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_history_read(struct ps_db *db, const struct ps_history_query *query,
                               struct ps_series_copy *copies, size_t count, struct ps_points *out);

/**
 * Aggregate settled points into buckets cut from start_ms (rest-api 8.1): midpoint timestamps,
 * empty buckets left out. AVG double; SUM long unless any double; MIN and MAX numeric, or lexical
 * when the bucket has only strings; COUNT counts all. Buckets without numbers are left out of AVG,
 * SUM.
 */
PS_MUST_CHECK
enum ps_status ps_history_aggregate(const struct ps_points *points,
                                    const struct ps_history_query *query, struct ps_points *out);

#endif
