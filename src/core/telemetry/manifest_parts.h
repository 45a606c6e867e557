/* manifest_parts: what the files of the manifest share. Not for others. */
#ifndef PS_CORE_TELEMETRY_MANIFEST_PARTS_H
#define PS_CORE_TELEMETRY_MANIFEST_PARTS_H

#include "core/telemetry/manifest.h"

enum { PS_LEAVING_KEY_SIZE = PS_MANIFEST_NAME_SIZE + 16 };

/** Run a change that must meet a row. Returns: PS_OK; PS_ENOTFOUND it met none; what ps_stmt_run()
 *  said */
PS_MUST_CHECK
enum ps_status ps_manifest_change_one(struct ps_db *db, struct ps_stmt *stmt);

#endif
