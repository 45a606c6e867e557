/* range_folder: the folder of range files as the file system sees it. For store.c. */
#ifndef PS_CORE_TELEMETRY_RANGE_FOLDER_H
#define PS_CORE_TELEMETRY_RANGE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

enum { PS_RANGE_PATH_SIZE = 4096 };

/** Make the folder if it is missing, durably. Returns: PS_OK; PS_EIO with `why`. */
PS_MUST_CHECK
enum ps_status ps_range_folder_make(const char *folder, struct ps_text *why);

/** "<folder>/<name>.db" followed by `suffix`. Returns: false if it is too long. */
bool ps_range_folder_path(const char *folder, const char *name, const char *suffix,
                          char out[PS_RANGE_PATH_SIZE]);

/**
 * Visit the entries of the folder: all "<name>.db" without that ending, or (damaged) all
 * "<name>.db.damaged..." as they are. A visit that is not PS_OK ends it and is returned.
 * Returns: PS_OK; PS_EIO the folder cannot be read
 */
PS_MUST_CHECK
enum ps_status ps_range_folder_list(const char *folder, bool damaged,
                                    enum ps_status (*visit)(void *arg, const char *name),
                                    void *arg);

/**
 * Rename a file that nobody has open to "<name>.db.damaged", ".damaged.2" ..., with its log, and
 * make that durable. *renamed (of `size` bytes) = its present name in the folder.
 * Returns: PS_OK; PS_ENOTFOUND there is no such file; PS_EIO
 */
PS_MUST_CHECK
enum ps_status ps_range_folder_set_aside(const char *folder, const char *name, char *renamed,
                                         size_t size);

/**
 * Rename a file that was set aside ("<name>.db.damaged...") and whose points were saved to
 * "<name>.db.before-rebuild", ".before-rebuild.2" ..., with its log, durably.
 * Returns: PS_OK; PS_ENOTFOUND there is no such file; PS_EINVAL not a damaged file's name; PS_EIO
 */
PS_MUST_CHECK
enum ps_status ps_range_folder_put_away(const char *folder, const char *damaged, char *renamed,
                                        size_t size);

/** Bytes of the file and its log. */
int64_t ps_range_folder_bytes(const char *folder, const char *name);

#endif
