#include "core/storage/sqlite_parts.h"

#include <errno.h>

static bool is_space_problem(int system_errno)
{
    return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

/* What the system said to the write that failed. SQLite makes only ENOSPC its SQLITE_FULL; of a
 * failed write to the log (nearly all writes are) it keeps the number with that file. */
static int last_errno(sqlite3 *handle)
{
    sqlite3_file *log = NULL;
    int number = sqlite3_system_errno(handle);
    if (number == 0 &&
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log && log->pMethods)
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}

enum ps_status ps_sqlite_status(sqlite3 *handle, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return PS_OK;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       rc == SQLITE_CONSTRAINT_ROWID
                   ? PS_EEXISTS
                   : PS_EINVAL;
    case SQLITE_FULL:
        return PS_EFULL;
    case SQLITE_IOERR:
        /* the shared index of the log could not grow: it keeps no number, there is one reason */
        if (rc == SQLITE_IOERR_SHMSIZE)
            return PS_EFULL;
        return is_space_problem(last_errno(handle)) ? PS_EFULL : PS_ESTORE;
    case SQLITE_CANTOPEN:
        return is_space_problem(last_errno(handle)) ? PS_EFULL : PS_ESTORE;
    case SQLITE_NOMEM:
        return PS_ENOMEM;
    case SQLITE_TOOBIG:
        return PS_ELIMIT;
    default:
        return PS_ESTORE;
    }
}

enum ps_status ps_sqlite_failed(struct ps_db *db, int rc)
{
    ps_text_set(&db->error, "%s", sqlite3_errmsg(db->handle));
    if (db->tells_damage && ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB))
        return PS_EPROTO;
    return ps_sqlite_status(db->handle, rc);
}
