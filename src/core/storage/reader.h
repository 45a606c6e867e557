/* reader: a small pool of threads, each with a read-only database connection.
 *
 * REST handlers and queries run here as jobs: they may block on the database, on the writer and on
 * an actor's answer; nobody else may. */
#ifndef PS_CORE_STORAGE_READER_H
#define PS_CORE_STORAGE_READER_H

#include "core/status.h"
#include "core/storage/db.h"

struct ps_reader_pool;

struct ps_reader_job {
    struct ps_reader_job *next;
    /* Runs on a reader thread; the job is its own afterwards (it frees itself or posts a port). */
    void (*run)(struct ps_reader_job *job, struct ps_db *db);
};

/** @param jobs_max  queued jobs; beyond, PS_EBUSY */
PS_MUST_CHECK
enum ps_status ps_reader_pool_create(const char *path, unsigned threads, unsigned jobs_max,
                                     struct ps_reader_pool **out);
/** Finishes queued jobs, then joins. */
void ps_reader_pool_destroy(struct ps_reader_pool *pool);

/** Queue a job, first in first out. Returns: PS_OK, PS_EBUSY (nothing taken), PS_ECLOSED.
 *  Thread: any; never waits for the disk. */
PS_MUST_CHECK
enum ps_status ps_reader_submit(struct ps_reader_pool *pool, struct ps_reader_job *job);

#endif
