/* merge_order: which runs of a file may become one without passing those of other files.
 *
 * Where two values have the same series and time, the one in the run with the later journal rows
 * counts, and a merged run counts as late as the last of its inputs. Inside of one file neighbours
 * are merged, so nothing comes between. But if telemetry.range was changed and changed back, files
 * overlap, and one of them may hold a value that arrived between two runs of the other: merging
 * these would put the older one's values before it. So neighbours are merged only as long as no run
 * of an overlapping file came between them. */
#ifndef PS_CORE_TELEMETRY_MERGE_ORDER_H
#define PS_CORE_TELEMETRY_MERGE_ORDER_H

#include "core/telemetry/manifest.h"

/* All of ps_manifest_load(); `file` and `first` (an index of its runs) are of that. */

/** The index behind the last run that may be merged with `first` and all between; > first. */
size_t ps_merge_order_end(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                          size_t first);

/** Visit the runs that may hold an older value of what `first` of `file` holds: earlier ones of it
 *  and of files that overlap it. */
void ps_merge_order_older(const struct ps_manifest *manifest, const struct ps_manifest_file *file,
                          size_t first, void (*visit)(void *arg, const struct ps_run *run),
                          void *arg);

#endif
