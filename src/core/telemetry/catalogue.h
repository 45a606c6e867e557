/* catalogue: what the table of series says of a series. Best asked by ascending id.
 *
 * One scan of the table is kept open and goes on from question to question, so that asking for all
 * of a million series is one scan; where the next one wanted is far, it begins anew there. The
 * questions share a snapshot of the database until ps_catalogue_rest(): nobody should keep that for
 * long. */
#ifndef PS_CORE_TELEMETRY_CATALOGUE_H
#define PS_CORE_TELEMETRY_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/series_page.h"

/* Begin with zeroes and `db`. */
struct ps_catalogue {
    struct ps_db *db;
    bool in_snapshot;
    struct ps_stmt *scan; /* on a row of the table; NULL: none is open */
    uint32_t id;          /* of that row */
};

/** What a range file copies of a series; the key lives until the next call.
 * Returns: PS_OK; PS_ENOTFOUND there is no such series (any more); PS_ESTORE. */
PS_MUST_CHECK
enum ps_status ps_catalogue_describe(struct ps_catalogue *catalogue, uint32_t series,
                                     struct ps_run_series *out);

/** End the snapshot; the next question begins another one. */
void ps_catalogue_rest(struct ps_catalogue *catalogue);

#endif
