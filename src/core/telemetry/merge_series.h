/* merge_series: one series out of several runs.
 *
 * A series of few points is put together in memory and handed on at once: where very many series
 * have a point or two in each run, every step that is not taken counts. Any other is merged as a
 * stream: at any time each input has at most one decoded chunk, and what lies before all other
 * inputs' next point is handed on in one piece, so runs that do not overlap in time cost little
 * more than decoding and encoding.
 *
 * Inside merge*.c only. */
#ifndef PS_CORE_TELEMETRY_MERGE_SERIES_H
#define PS_CORE_TELEMETRY_MERGE_SERIES_H

#include "core/telemetry/merge_stream.h"

/** Merge the series at hand, whose members are on their first chunk of it. PS_OK: it is done, or
 *  (in_series) the leg is long enough. */
PS_MUST_CHECK
enum ps_status ps_merge_series(struct ps_merge_stream *stream);
/** Pass over it: it is not in the catalogue any more. */
PS_MUST_CHECK
enum ps_status ps_merge_series_skip(struct ps_merge_stream *stream);

#endif
