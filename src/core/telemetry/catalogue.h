/* catalogue: is a series (still) in the table of series? Best asked by ascending id.
 *
 * Rows are fetched in windows that grow while questions hit them, so that asking for all of a
 * million series is one scan, asking for a few of them a few look-ups. Questions share a snapshot
 * of the database until ps_catalogue_rest(): nobody should keep that for long. */
#ifndef PS_CORE_TELEMETRY_CATALOGUE_H
#define PS_CORE_TELEMETRY_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/storage/db.h"
#include "core/telemetry/run_file.h"
#include "core/telemetry/series.h"

enum { PS_CATALOGUE_WINDOW_MAX = 1024 };

/* Begin with zeroes and `db`. */
struct ps_catalogue {
    struct ps_db *db;
    uint32_t from, upto; /* ids in here are known */
    size_t count, at, wanted;
    bool in_snapshot;
    uint32_t ids[PS_CATALOGUE_WINDOW_MAX];
    char key[PS_SERIES_KEY_BYTES_MAX]; /* of the last description */
};

/** Returns: PS_OK it is there; PS_ENOTFOUND; PS_ESTORE. */
PS_MUST_CHECK
enum ps_status ps_catalogue_find(struct ps_catalogue *catalogue, uint32_t series);
/** What a range file copies of a series; the key lives until the next call. Any order. Returns: as
 *  above. */
PS_MUST_CHECK
enum ps_status ps_catalogue_describe(struct ps_catalogue *catalogue, uint32_t series,
                                     struct ps_run_series *out);

/** End the snapshot; the next question begins another one. */
void ps_catalogue_rest(struct ps_catalogue *catalogue);

#endif
