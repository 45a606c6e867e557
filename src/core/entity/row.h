/* row: reading a row column by column and binding parameters one after the other.
 *
 * Repositories list columns once in their SQL and read them in the same order, so no number has to
 * be kept in step. Running out of memory is remembered and asked for once. */
#ifndef PS_CORE_ENTITY_ROW_H
#define PS_CORE_ENTITY_ROW_H

#include "core/storage/db.h"

struct ps_row {
    struct ps_stmt *stmt;
    int column;  /* next to read */
    bool failed; /* out of memory */
};

/** Owned, terminated; NULL for SQL NULL (and if memory is short). */
char *ps_row_text(struct ps_row *row);
int64_t ps_row_int(struct ps_row *row);
/** PS_UUID_NULL for SQL NULL. */
struct ps_uuid ps_row_uuid(struct ps_row *row);

struct ps_args {
    struct ps_stmt *stmt;
    int last; /* last bound */
};

void ps_args_text(struct ps_args *args, const char *text); /* NULL binds NULL */
void ps_args_int(struct ps_args *args, int64_t value);
void ps_args_uuid(struct ps_args *args, const struct ps_uuid *uuid);
/** A reference that may be missing: the null id binds NULL. */
void ps_args_reference(struct ps_args *args, const struct ps_uuid *uuid);

/** Prepare, and start binding at the first parameter. */
PS_MUST_CHECK
enum ps_status ps_args_prepare(struct ps_db *db, const char *sql, struct ps_args *out);

/** Makes one item of a row; leaves `out` untouched on failure. */
typedef enum ps_status ps_row_reader(struct ps_row *row, void *out);

/** The first row of a bound statement. Returns: PS_OK, PS_ENOTFOUND, what `read` says, PS_ESTORE.
 */
PS_MUST_CHECK
enum ps_status ps_row_find(struct ps_stmt *stmt, ps_row_reader *read, void *out);

/** The usual case: `sql` with one id as parameter. */
PS_MUST_CHECK
enum ps_status ps_row_find_by_id(struct ps_db *db, const char *sql, const struct ps_uuid *id,
                                 ps_row_reader *read, void *out);
/** Run `sql` with one id as parameter; PS_ENOTFOUND if it changed nothing. */
PS_MUST_CHECK
enum ps_status ps_row_change_by_id(struct ps_db *db, const char *sql, const struct ps_uuid *id);
/** The same where changing nothing is fine. */
PS_MUST_CHECK
enum ps_status ps_row_clear_by_id(struct ps_db *db, const char *sql, const struct ps_uuid *id);
/** Is there a row for `sql` with these ids as parameters (second may be NULL)? PS_OK or
 *  PS_ENOTFOUND. */
PS_MUST_CHECK
enum ps_status ps_row_exists(struct ps_db *db, const char *sql, const struct ps_uuid *first,
                             const struct ps_uuid *second);

/**
 * Step an UPDATE ... RETURNING created_ms, version.
 *
 * Returns: PS_OK; PS_ENOTFOUND it matched nothing: no such id, or another version
 */
PS_MUST_CHECK
enum ps_status ps_row_saved(struct ps_stmt *stmt, int64_t *created_ms, int64_t *version);

/** End what ps_db_savepoint() began: keep it if `st` is PS_OK, else undo it. Returns `st`, or the
 *  failure of keeping. */
PS_MUST_CHECK
enum ps_status ps_row_finish(struct ps_db *db, enum ps_status st);

#endif
