/* known_series: which series a range file has a copied catalogue row of. For run_writer.
 *
 * A set of ids, read from the file when it is first asked and kept with the writing handle, since
 * nobody else adds rows while that is open. It may be wrong in one way: a series that is known and
 * not in the set is described a second time, which readers do not mind. So it is forgotten whenever
 * rows that it knows of may have been undone. */
#ifndef PS_CORE_TELEMETRY_KNOWN_SERIES_H
#define PS_CORE_TELEMETRY_KNOWN_SERIES_H

#include "core/telemetry/id_set.h"
#include "core/telemetry/run_file.h"

/* Zeroed = nothing read yet. */
struct ps_known_series {
    bool loaded;
    struct ps_id_set ids;
};

/** Read the file's, unless that is done. Returns: PS_OK; PS_EPROTO, PS_ESTORE, PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_known_series_load(struct ps_known_series *known, struct ps_run_file *file);
/** Nothing is known any more until the next load. */
void ps_known_series_forget(struct ps_known_series *known);

#endif
