/* tombstone_sweep: finds tombstones that nothing needs any more, and files they wait for.
 *
 * A tombstone is needed as long as something that it deletes is still stored: journal rows before
 * its position that are not sealed (sealing applies it), or a run sealed before it that has such
 * points. The others are forgotten. If one has waited for `settle_ms`, the file that it waits for
 * should be rewritten, each at most once a day: the keeper's next merge does it, so that what was
 * deleted also leaves the disk.
 *
 * Each call asks a bounded number of questions to files, and goes on where the last one ended. */
#ifndef PS_CORE_TELEMETRY_TOMBSTONE_SWEEP_H
#define PS_CORE_TELEMETRY_TOMBSTONE_SWEEP_H

#include "core/status.h"
#include "core/telemetry/keep.h"

enum { PS_TOMBSTONE_SWEEP_MAX = 256 }; /* tombstones looked at in one call */

/** *purged = how many went. Returns, thread: as ps_retention_apply() */
PS_MUST_CHECK
enum ps_status ps_tombstone_sweep(struct ps_keep *keep, int64_t now_ms, size_t *purged);

#endif
