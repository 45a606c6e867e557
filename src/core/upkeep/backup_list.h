/* backup_list: backup.json, the one file that says what a backup consists of.
 *
 *     { "format": 1, "program": "0.1.0", "schema": 2, "created_ms": 1795238400000,
 *       "installation": "uuid",                          whose data it is; not in older ones
 *       "created": "2026-11-21T07:20:00Z",
 *       "files": [ { "path": "pacificsoft.db",           where it belongs in a data directory
 *                    "stored": "pacificsoft-<xxh3>.db",  where it lies in the backup
 *                    "bytes": 4096, "xxh3": "16 hex digits",
 *                    "content": "16 hex digits" } ] }    of a range file: which runs it has
 *
 * A backup exists as soon as this file does, and is another one as soon as it is replaced; the
 * stored names carry the checksum, so files of two backups never share a name. Read with distrust:
 * names may not lead out of their folder. */
#ifndef PS_CORE_UPKEEP_BACKUP_LIST_H
#define PS_CORE_UPKEEP_BACKUP_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"
#include "core/upkeep/plain_file.h"
#include "core/uuid.h"

#define PS_BACKUP_LIST_NAME "backup.json"

enum { PS_BACKUP_NAME_SIZE = 128, PS_BACKUP_FORMAT = 1, PS_BACKUP_FILES_MAX = 100000 };

struct ps_backup_file {
    char path[PS_BACKUP_NAME_SIZE];
    char stored[PS_BACKUP_NAME_SIZE];
    struct ps_file_sum sum;
    uint64_t content; /* 0: always copied anew */
};

/* Zeroed = empty. */
struct ps_backup_list {
    int64_t schema, created_ms;
    char program[32];
    char installation[PS_UUID_TEXT_SIZE]; /* "": not known */
    size_t count, cap;
    struct ps_backup_file *files; /* owned */
};

void ps_backup_list_deinit(struct ps_backup_list *list);
PS_MUST_CHECK
enum ps_status ps_backup_list_add(struct ps_backup_list *list, const struct ps_backup_file *file);
/** The file that belongs at `path`; NULL. */
const struct ps_backup_file *ps_backup_list_find(const struct ps_backup_list *list,
                                                 const char *path);

/** Returns: PS_OK; PS_ENOTFOUND `folder` has none; PS_EPROTO, PS_EUNSUPPORTED, PS_EIO, PS_ENOMEM
 *  with `why`; `out` is then empty. */
PS_MUST_CHECK
enum ps_status ps_backup_list_read(const char *folder, struct ps_backup_list *out,
                                   struct ps_text *why);
/** Replace the list of `folder`, durably and at once: written beside it, synced, renamed. */
PS_MUST_CHECK
enum ps_status ps_backup_list_write(const char *folder, const struct ps_backup_list *list,
                                    struct ps_text *why);

#endif
