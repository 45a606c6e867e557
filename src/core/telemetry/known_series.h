/* known_series: which series a range file has a catalogue row of. For run_writer.
 *
 * Asked with ascending ids, it walks along the file's own: a window of them is read at a time, the
 * larger the more of the last one were hits. So a run of all series costs a walk, and a run of few
 * series does not read the rows of all others. */
#ifndef PS_CORE_TELEMETRY_KNOWN_SERIES_H
#define PS_CORE_TELEMETRY_KNOWN_SERIES_H

#include "core/telemetry/run_file.h"

enum { PS_KNOWN_SERIES_MAX = 1024 };

/* Zeroed = nothing read yet. */
struct ps_known_series {
    size_t count, at, hits;
    bool loaded, to_end; /* nothing is behind the window */
    uint32_t ids[PS_KNOWN_SERIES_MAX];
};

/** *out = whether the file has a row of `series`, greater than all asked for before. */
PS_MUST_CHECK
enum ps_status ps_known_series_has(struct ps_known_series *known, struct ps_run_file *file,
                                   uint32_t series, bool *out);

#endif
