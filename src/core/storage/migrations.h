/* migrations: numbered steps from any older schema to the present one.
 *
 * All missing steps run in one transaction. Before an existing file is changed, a copy of it is
 * written beside it ("<path>.v<version>.snapshot"); restoring is putting it back. A file of a newer
 * program is left alone. */
#ifndef PS_CORE_STORAGE_MIGRATIONS_H
#define PS_CORE_STORAGE_MIGRATIONS_H

#include "core/storage/db.h"
#include "core/text.h"

struct ps_migration {
    int version;     /* 1, 2, 3 ... without gaps */
    const char *sql; /* statements separated by ';' */
};

/* schema.c: the steps of this program. */
extern const struct ps_migration PS_SCHEMA[];
extern const size_t PS_SCHEMA_COUNT;

/**
 * Bring the open database to the latest version of this program.
 *
 * @param db    the writer connection
 * @param path  of its file, for the snapshot
 * Returns: PS_OK; PS_EUNSUPPORTED the file is newer, or not ours; PS_ESTORE, PS_EFULL, PS_EIO:
 * nothing was changed. `why` is a sentence for the user. Thread:  main, before the writer starts.
 */
PS_MUST_CHECK
enum ps_status ps_db_migrate(struct ps_db *db, const char *path, struct ps_text *why);

/** The same with other steps: for tests. */
PS_MUST_CHECK
enum ps_status ps_migrations_apply(struct ps_db *db, const char *path,
                                   const struct ps_migration *steps, size_t count,
                                   struct ps_text *why);

/** Version of the open file; 0 = empty. */
PS_MUST_CHECK
enum ps_status ps_db_schema_version(struct ps_db *db, int64_t *out);

#endif
