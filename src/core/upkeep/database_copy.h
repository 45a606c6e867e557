/* database_copy: one consistent copy of a database that others use, and whether a copy is whole. */
#ifndef PS_CORE_UPKEEP_DATABASE_COPY_H
#define PS_CORE_UPKEEP_DATABASE_COPY_H

#include <stdint.h>

#include "core/status.h"
#include "core/telemetry/run_file.h"
#include "core/text.h"

/* All of these: PS_OK; PS_EPROTO damaged; PS_ENOTFOUND; PS_EFULL, PS_ESTORE, PS_ENOMEM; `why` names
 * the file. */

/** Copy the state of this moment of `from` to the new file `to` (replaced), in one file without
 *  log; writers are not held up. Not synced. */
PS_MUST_CHECK
enum ps_status ps_database_copy(const char *from, const char *to, struct ps_text *why);
/** SQLite's check of every page. */
PS_MUST_CHECK
enum ps_status ps_database_check(const char *path, struct ps_text *why);
/** Check every page, block and chunk of a range file, and that it has all of `runs`, with as many
 *  points. */
PS_MUST_CHECK
enum ps_status ps_run_file_check(const char *path, const struct ps_run_list *runs,
                                 struct ps_text *why);

/** A number for what these runs (of one file) hold: the same runs give the same; never 0. */
uint64_t ps_run_list_content(const struct ps_run_list *runs);

#endif
