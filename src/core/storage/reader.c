/* reader: one queue, a few threads, each with its own connection.
 *
 * Connections are opened by create(), so a database that cannot be read is found at start. */
#include "core/storage/reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "core/thread.h"

struct reader {
    struct ps_thread thread;
    struct ps_reader_pool *pool;
    struct ps_db *db; /* this thread's alone once it runs */
    bool running;
};

struct ps_reader_pool {
    /* set before start, constant after */
    unsigned jobs_max;
    unsigned reader_count;

    /* any thread, under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t job_arrived;
    struct ps_reader_job *oldest, *newest;
    unsigned jobs_waiting;
    bool stopping;

    struct reader readers[];
};

/* The next job, or NULL when the pool stops and nothing is left. */
static struct ps_reader_job *take_job(struct ps_reader_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->oldest && !pool->stopping)
        pthread_cond_wait(&pool->job_arrived, &pool->lock);
    struct ps_reader_job *job = pool->oldest;
    if (job) {
        pool->oldest = job->next;
        if (!pool->oldest)
            pool->newest = NULL;
        pool->jobs_waiting--;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void reader_main(void *arg)
{
    struct reader *reader = arg;
    for (struct ps_reader_job *job; (job = take_job(reader->pool));) {
        job->run(job, reader->db);
        /* An open snapshot would keep the log from being copied back for as long as this thread
         * idles. */
        ps_db_settle(reader->db);
    }
}

static enum ps_status reader_start(struct ps_reader_pool *pool, unsigned number, const char *path)
{
    struct reader *reader = &pool->readers[number];
    reader->pool = pool;
    enum ps_status st = ps_db_open(path, PS_DB_READER, &reader->db, NULL);
    if (st != PS_OK)
        return st;
    char name[16];
    snprintf(name, sizeof name, "reader-%u", number % 1000);
    st = ps_thread_start(&reader->thread, PS_THREAD_READER, name, reader_main, reader);
    reader->running = st == PS_OK;
    return st;
}

enum ps_status ps_reader_pool_create(const char *path, unsigned threads, unsigned jobs_max,
                                     struct ps_reader_pool **out)
{
    PS_ASSERT(threads > 0 && jobs_max > 0);
    struct ps_reader_pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->readers);
    if (!pool)
        return PS_ENOMEM;
    pool->jobs_max = jobs_max;
    pool->reader_count = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->job_arrived, NULL);
    for (unsigned i = 0; i < threads; i++) {
        enum ps_status st = reader_start(pool, i, path);
        if (st != PS_OK) {
            ps_reader_pool_destroy(pool);
            return st;
        }
    }
    *out = pool;
    return PS_OK;
}

void ps_reader_pool_destroy(struct ps_reader_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->job_arrived);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->reader_count; i++) {
        if (pool->readers[i].running)
            ps_thread_join(&pool->readers[i].thread);
        ps_db_close(pool->readers[i].db);
    }
    pthread_cond_destroy(&pool->job_arrived);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

enum ps_status ps_reader_submit(struct ps_reader_pool *pool, struct ps_reader_job *job)
{
    enum ps_status st = PS_OK;
    pthread_mutex_lock(&pool->lock);
    if (pool->stopping) {
        st = PS_ECLOSED;
    } else if (pool->jobs_waiting == pool->jobs_max) {
        st = PS_EBUSY;
    } else {
        job->next = NULL;
        if (pool->newest)
            pool->newest->next = job;
        else
            pool->oldest = job;
        pool->newest = job;
        pool->jobs_waiting++;
        pthread_cond_signal(&pool->job_arrived);
    }
    pthread_mutex_unlock(&pool->lock);
    return st;
}
