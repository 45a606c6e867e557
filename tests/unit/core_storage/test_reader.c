/* The reader pool: jobs run in order, a full queue is an answer, stopping finishes what is queued.
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "core/storage/reader.h"
#include "core/thread.h"
#include "unit/core_storage/temp_db.h"

enum { DEADLINE_S = 20 };

/* What jobs did, in the order in which they did it. */
struct trace {
    pthread_mutex_t lock;
    int numbers[512];
    int count;
    sem_t ran;
};

struct test_job {
    struct ps_reader_job job; /* first */
    int number;
    struct trace *trace;
    sem_t *gate; /* wait here first, if set */
    sem_t *started;
    int64_t rows;
    enum ps_thread_role role;
};

static void wait_for(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static int64_t count_rows(struct ps_db *db)
{
    struct ps_stmt *stmt;
    bool row = false;
    if (ps_db_prepare(db, "SELECT count(*) FROM setting", &stmt) != PS_OK ||
        ps_stmt_step(stmt, &row) != PS_OK || !row)
        return -1;
    return ps_stmt_int(stmt, 0); /* left open: the pool must settle it */
}

static void run_job(struct ps_reader_job *base, struct ps_db *db)
{
    struct test_job *job = (struct test_job *)base;
    if (job->started)
        sem_post(job->started);
    if (job->gate)
        while (sem_wait(job->gate) != 0)
            continue;
    job->rows = count_rows(db);
    job->role = ps_thread_role();
    pthread_mutex_lock(&job->trace->lock);
    job->trace->numbers[job->trace->count++] = job->number;
    pthread_mutex_unlock(&job->trace->lock);
    sem_post(&job->trace->ran);
}

struct fixture {
    struct temp_db temp;
    struct trace trace;
    sem_t gate, started;
    struct test_job jobs[512];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    temp_db_init(&f->temp);
    pthread_mutex_init(&f->trace.lock, NULL);
    sem_init(&f->trace.ran, 0, 0);
    sem_init(&f->gate, 0, 0);
    sem_init(&f->started, 0, 0);
    for (int i = 0; i < 512; i++)
        f->jobs[i] = (struct test_job){ .job.run = run_job, .number = i, .trace = &f->trace };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    temp_db_deinit(&f->temp);
    pthread_mutex_destroy(&f->trace.lock);
    sem_destroy(&f->trace.ran);
    sem_destroy(&f->gate);
    sem_destroy(&f->started);
    free(f);
    return 0;
}

static void jobs_run_in_order_on_a_reader_with_a_database(void **state)
{
    struct fixture *f = *state;
    struct ps_reader_pool *pool;
    assert_int_equal(ps_db_exec(f->temp.db, "INSERT INTO setting VALUES('a', 'b')"), PS_OK);
    assert_int_equal(ps_reader_pool_create(f->temp.path, 1, 512, &pool), PS_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ps_reader_submit(pool, &f->jobs[i].job), PS_OK);
    for (int i = 0; i < 100; i++)
        wait_for(&f->trace.ran);
    ps_reader_pool_destroy(pool);
    assert_int_equal(f->trace.count, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(f->trace.numbers[i], i);
        assert_int_equal(f->jobs[i].rows, 1);
        assert_int_equal(f->jobs[i].role, PS_THREAD_READER);
    }
}

static void a_full_queue_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ps_reader_pool *pool;
    assert_int_equal(ps_reader_pool_create(f->temp.path, 1, 2, &pool), PS_OK);
    f->jobs[0].gate = &f->gate;
    f->jobs[0].started = &f->started;
    assert_int_equal(ps_reader_submit(pool, &f->jobs[0].job), PS_OK);
    wait_for(&f->started); /* it runs, the queue is empty */
    assert_int_equal(ps_reader_submit(pool, &f->jobs[1].job), PS_OK);
    assert_int_equal(ps_reader_submit(pool, &f->jobs[2].job), PS_OK);
    assert_int_equal(ps_reader_submit(pool, &f->jobs[3].job), PS_EBUSY);
    sem_post(&f->gate);
    for (int i = 0; i < 3; i++)
        wait_for(&f->trace.ran);
    assert_int_equal(ps_reader_submit(pool, &f->jobs[4].job), PS_OK); /* room again */
    wait_for(&f->trace.ran);
    ps_reader_pool_destroy(pool);
    assert_int_equal(f->trace.count, 4);
    assert_int_equal(f->trace.numbers[3], 4);
}

static void stopping_finishes_what_is_queued(void **state)
{
    struct fixture *f = *state;
    struct ps_reader_pool *pool;
    assert_int_equal(ps_reader_pool_create(f->temp.path, 3, 512, &pool), PS_OK);
    for (int i = 0; i < 500; i++)
        assert_int_equal(ps_reader_submit(pool, &f->jobs[i].job), PS_OK);
    ps_reader_pool_destroy(pool);
    assert_int_equal(f->trace.count, 500);
}

struct submitter {
    struct ps_thread thread;
    struct ps_reader_pool *pool;
    struct test_job *jobs;
    int accepted;
};

static void submit_many(void *arg)
{
    struct submitter *submitter = arg;
    for (int i = 0; i < 100; i++)
        submitter->accepted += ps_reader_submit(submitter->pool, &submitter->jobs[i].job) == PS_OK;
}

static void many_threads_may_submit(void **state)
{
    struct fixture *f = *state;
    struct submitter submitters[4] = { 0 };
    struct ps_reader_pool *pool;
    assert_int_equal(ps_reader_pool_create(f->temp.path, 2, 512, &pool), PS_OK);
    for (int i = 0; i < 4; i++) {
        submitters[i].pool = pool;
        submitters[i].jobs = &f->jobs[100 * i];
        assert_int_equal(ps_thread_start(&submitters[i].thread, PS_THREAD_OTHER, "submitter",
                                         submit_many, &submitters[i]),
                         PS_OK);
    }
    for (int i = 0; i < 400; i++)
        wait_for(&f->trace.ran);
    for (int i = 0; i < 4; i++) {
        ps_thread_join(&submitters[i].thread);
        assert_int_equal(submitters[i].accepted, 100);
    }
    ps_reader_pool_destroy(pool);
    assert_int_equal(f->trace.count, 400);
}

static void an_idle_reader_holds_no_snapshot(void **state)
{
    struct fixture *f = *state;
    struct ps_reader_pool *pool;
    int frames, left;
    assert_int_equal(ps_reader_pool_create(f->temp.path, 1, 8, &pool), PS_OK);
    assert_int_equal(ps_reader_submit(pool, &f->jobs[0].job), PS_OK);
    /* The second job begins only after the first one's handle was settled. */
    f->jobs[1].gate = &f->gate;
    f->jobs[1].started = &f->started;
    assert_int_equal(ps_reader_submit(pool, &f->jobs[1].job), PS_OK);
    wait_for(&f->started);
    assert_int_equal(ps_db_exec(f->temp.db, "INSERT INTO setting VALUES('a', 'b')"), PS_OK);
    assert_int_equal(ps_db_checkpoint(f->temp.db, &frames, &left), PS_OK);
    assert_int_equal(left, 0);
    sem_post(&f->gate);
    ps_reader_pool_destroy(pool);
    assert_int_equal(f->jobs[1].rows, 1);
}

static void a_pool_without_database_is_not_made(void **state)
{
    (void)state;
    struct ps_reader_pool *pool = NULL;
    assert_int_equal(ps_reader_pool_create("/nowhere/none.db", 2, 8, &pool), PS_ESTORE);
    assert_null(pool);
    ps_reader_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(jobs_run_in_order_on_a_reader_with_a_database),
        TEST(a_full_queue_takes_nothing),
        TEST(stopping_finishes_what_is_queued),
        TEST(many_threads_may_submit),
        TEST(an_idle_reader_holds_no_snapshot),
        TEST(a_pool_without_database_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
