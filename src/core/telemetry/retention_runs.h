/* retention_runs: how runs leave their files. Inside retention*.c only. */
#ifndef PS_CORE_TELEMETRY_RETENTION_RUNS_H
#define PS_CORE_TELEMETRY_RETENTION_RUNS_H

#include "core/telemetry/retention.h"

/** Delete one run, a slice at a time; the handle is given back in between: a seal may want it. */
PS_MUST_CHECK
enum ps_status ps_retention_delete_run(struct ps_keep *keep, const char *name, int64_t run);
/** Delete replaced runs that were retired up to then, from all live files. */
PS_MUST_CHECK
enum ps_status ps_retention_delete_retired(struct ps_keep *keep, int64_t retired_before_ms,
                                           struct ps_retention_result *out);
/** Files of the manifest that are not set aside. Appended. */
PS_MUST_CHECK
enum ps_status ps_retention_live_files(struct ps_keep *keep, struct ps_manifest_file_list *out);
/** What a failure in one file means for the others: a bad one does not keep them from their due. */
PS_MUST_CHECK
enum ps_status ps_retention_go_on(struct ps_keep *keep, const char *name, enum ps_status st);

#endif
