/* The writer: one transaction for all that gathered, told after its commit and never before. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "core/storage/writer.h"
#include "core/thread.h"
#include "unit/core_storage/temp_db.h"

enum { DEADLINE_S = 30 };

struct fixture {
    struct temp_db temp;
    struct ps_writer *writer;
    struct ps_db *reader; /* a second connection: sees what is committed */
};

static void fixture_init(struct fixture *f)
{
    temp_db_init(&f->temp);
    assert_int_equal(ps_db_exec(f->temp.db, "CREATE TABLE t(x INTEGER PRIMARY KEY, data BLOB)"),
                     PS_OK);
    struct ps_writer_settings settings = { .path = f->temp.path, .checkpoint_bytes = 256 * 1024 };
    struct ps_text why;
    assert_int_equal(ps_writer_start(&settings, &f->writer), PS_OK);
    assert_int_equal(ps_db_open(f->temp.path, PS_DB_READER, &f->reader, &why), PS_OK);
}

static void fixture_deinit(struct fixture *f)
{
    ps_writer_stop(f->writer);
    ps_db_close(f->reader);
    temp_db_deinit(&f->temp);
}

static void wait_for(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

/* An item that runs some SQL. */
struct job {
    struct ps_writer_item item; /* first */
    char sql[96];
    enum ps_status fails_with; /* after its SQL */
    sem_t *gate;               /* run() waits here */
    sem_t *entered;
    struct ps_db *reader; /* done() counts the rows others can see now */
    int64_t seen_in_run, seen_in_done;
    enum ps_status told;
    unsigned told_count;
    enum ps_thread_role role;
    sem_t finished;
};

static int64_t count_visible(struct ps_db *db)
{
    struct ps_stmt *stmt;
    bool row = false;
    if (!db || ps_db_prepare(db, "SELECT count(*) FROM t", &stmt) != PS_OK ||
        ps_stmt_step(stmt, &row) != PS_OK || !row)
        return -1;
    int64_t count = ps_stmt_int(stmt, 0);
    ps_stmt_reset(stmt);
    return count;
}

static enum ps_status run_job(struct ps_writer_item *item, struct ps_db *db)
{
    struct job *job = (struct job *)item;
    if (job->entered)
        sem_post(job->entered);
    if (job->gate)
        while (sem_wait(job->gate) != 0)
            continue;
    enum ps_status st = ps_db_exec(db, job->sql);
    job->seen_in_run = count_visible(job->reader);
    return st == PS_OK ? job->fails_with : st;
}

static void job_done(struct ps_writer_item *item, enum ps_status st)
{
    struct job *job = (struct job *)item;
    job->told = st;
    job->told_count++;
    job->role = ps_thread_role();
    job->seen_in_done = count_visible(job->reader);
    sem_post(&job->finished);
}

static void job_init(struct job *job, const char *sql, bool needs_savepoint)
{
    *job = (struct job){
        .item = { .run = run_job, .done = job_done, .needs_savepoint = needs_savepoint }
    };
    snprintf(job->sql, sizeof job->sql, "%s", sql);
    sem_init(&job->finished, 0, 0);
}

static void done_is_told_after_the_commit_and_never_before(void **state)
{
    (void)state;
    struct fixture f;
    struct job job;
    fixture_init(&f);
    job_init(&job, "INSERT INTO t(x) VALUES(1)", false);
    job.reader = f.reader;
    ps_writer_submit(f.writer, &job.item);
    wait_for(&job.finished);
    assert_int_equal(job.told, PS_OK);
    assert_int_equal(job.told_count, 1);
    assert_int_equal(job.role, PS_THREAD_WRITER);
    assert_int_equal(job.seen_in_run, 0);
    assert_int_equal(job.seen_in_done, 1);
    fixture_deinit(&f);
}

/* Submits a job that holds the writer in its run(), then the others: they gather. */
static void run_together(struct fixture *f, struct job *jobs, size_t count)
{
    sem_t gate, entered;
    struct job blocker;
    sem_init(&gate, 0, 0);
    sem_init(&entered, 0, 0);
    job_init(&blocker, "INSERT INTO t(x) VALUES(1000)", false);
    blocker.gate = &gate;
    blocker.entered = &entered;
    ps_writer_submit(f->writer, &blocker.item);
    wait_for(&entered);
    for (size_t i = 0; i < count; i++)
        ps_writer_submit(f->writer, &jobs[i].item);
    sem_post(&gate);
    wait_for(&blocker.finished);
    for (size_t i = 0; i < count; i++)
        wait_for(&jobs[i].finished);
    assert_int_equal(blocker.told, PS_OK);
}

/* The numbers move just after the last item was told, one by one. */
static void assert_stats(struct fixture *f, uint64_t commits, uint64_t failures, uint64_t items)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    struct ps_writer_stats stats;
    do {
        stats = ps_writer_stats(f->writer);
        assert_true(stats.commits <= commits && stats.failures <= failures);
        assert_true(stats.items <= items && time(NULL) < deadline);
    } while (stats.commits != commits || stats.failures != failures || stats.items != items);
}

static void what_gathers_during_a_commit_goes_into_the_next_one(void **state)
{
    (void)state;
    enum { JOBS = 50 };
    struct fixture f;
    struct job jobs[JOBS];
    fixture_init(&f);
    for (int i = 0; i < JOBS; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO t(x) VALUES(%d)", i);
        job_init(&jobs[i], sql, i % 2);
        jobs[i].reader = f.reader;
    }
    run_together(&f, jobs, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].told, PS_OK);
        assert_int_equal(jobs[i].seen_in_run, 1); /* only the blocker: all of these are one */
        assert_int_equal(jobs[i].seen_in_done, JOBS + 1);
    }
    assert_stats(&f, 2, 0, JOBS + 1);
    fixture_deinit(&f);
}

static void a_failing_item_is_undone_alone(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[3];
    fixture_init(&f);
    job_init(&jobs[0], "INSERT INTO t(x) VALUES(1)", true);
    job_init(&jobs[1], "INSERT INTO t(x) VALUES(2)", true);
    jobs[1].fails_with = PS_ECONFLICT; /* after it has written */
    job_init(&jobs[2], "INSERT INTO t(x) VALUES(3)", false);
    run_together(&f, jobs, 3);
    assert_int_equal(jobs[0].told, PS_OK);
    assert_int_equal(jobs[1].told, PS_ECONFLICT);
    assert_int_equal(jobs[2].told, PS_OK);
    assert_int_equal(temp_db_number(f.reader, "SELECT group_concat(x, '') FROM t"), 131000);
    fixture_deinit(&f);
}

static void an_item_without_savepoint_takes_the_others_with_it(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[3];
    fixture_init(&f);
    job_init(&jobs[0], "INSERT INTO t(x) VALUES(1)", true);
    job_init(&jobs[1], "INSERT INTO t(x) VALUES(1)", false); /* a duplicate */
    job_init(&jobs[2], "INSERT INTO t(x) VALUES(3)", true);
    run_together(&f, jobs, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_not_equal(jobs[i].told, PS_OK);
        assert_int_equal(jobs[i].told_count, 1);
    }
    assert_int_equal(count_visible(f.reader), 1); /* the blocker, committed before */
    fixture_deinit(&f);
}

/* Some failures (a full disk) end the transaction inside run(): nothing after them may slip in. */
static void a_failure_that_ends_the_transaction_undoes_all_of_it(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[4];
    fixture_init(&f);
    assert_int_equal(ps_db_exec(f.temp.db, "CREATE TRIGGER boom BEFORE INSERT ON t WHEN new.x = 666"
                                           " BEGIN SELECT RAISE(ROLLBACK, 'boom'); END"),
                     PS_OK);
    job_init(&jobs[0], "INSERT INTO t(x) VALUES(1)", true);
    job_init(&jobs[1], "INSERT INTO t(x) VALUES(666)", true);
    job_init(&jobs[2], "INSERT INTO t(x) VALUES(3)", true);
    job_init(&jobs[3], "INSERT INTO t(x) VALUES(4)", false);
    run_together(&f, jobs, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_not_equal(jobs[i].told, PS_OK);
    assert_int_equal(count_visible(f.reader), 1);
    struct job after;
    job_init(&after, "INSERT INTO t(x) VALUES(5)", false); /* the next transaction is a good one */
    ps_writer_submit(f.writer, &after.item);
    wait_for(&after.finished);
    assert_int_equal(after.told, PS_OK);
    assert_int_equal(count_visible(f.reader), 2);
    fixture_deinit(&f);
}

static void a_failing_commit_is_told_to_every_item(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[3];
    fixture_init(&f);
    assert_int_equal(ps_db_exec(f.temp.db, "CREATE TABLE parent(id INTEGER PRIMARY KEY);"
                                           "CREATE TABLE child(id REFERENCES parent(id)"
                                           " DEFERRABLE INITIALLY DEFERRED)"),
                     PS_OK);
    job_init(&jobs[0], "INSERT INTO t(x) VALUES(1)", true);
    job_init(&jobs[1], "INSERT INTO child(id) VALUES(4)", true); /* found out by COMMIT */
    job_init(&jobs[2], "INSERT INTO t(x) VALUES(3)", false);
    run_together(&f, jobs, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_not_equal(jobs[i].told, PS_OK);
    assert_int_equal(count_visible(f.reader), 1);
    assert_stats(&f, 1, 1, 4);
    fixture_deinit(&f);
}

/* ---- calls ---- */

enum { CALLERS = 4, CALLS_EACH = 100 };

struct caller {
    pthread_t thread;
    struct fixture *f;
    int first;
    unsigned wrong;
};

static enum ps_status insert_number(struct ps_db *db, void *arg)
{
    struct ps_stmt *stmt;
    enum ps_status st = ps_db_prepare(db, "INSERT INTO t(x) VALUES(?)", &stmt);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_int(stmt, 1, *(int *)arg);
    return ps_stmt_run(stmt);
}

static void *call_often(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < CALLS_EACH; i++) {
        int number = caller->first + i;
        enum ps_status st = ps_writer_call(caller->f->writer, insert_number, &number);
        caller->wrong += st != PS_OK;
        if (i % 10 == 0) { /* the same again: refused, and no harm to the others */
            st = ps_writer_call(caller->f->writer, insert_number, &number);
            caller->wrong += st != PS_EEXISTS;
        }
    }
    return NULL;
}

static void calls_from_many_threads_each_get_their_own_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct caller callers[CALLERS];
    fixture_init(&f);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){ .f = &f, .first = i * 1000 };
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
    assert_int_equal(count_visible(f.reader), CALLERS * CALLS_EACH);
    fixture_deinit(&f);
}

/* ---- the log ---- */

static enum ps_status insert_block(struct ps_db *db, void *arg)
{
    (void)arg;
    return ps_db_exec(db, "INSERT INTO t(data) VALUES(randomblob(20000))");
}

static int64_t log_bytes(const struct fixture *f)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof path, "%s-wal", f->temp.path);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static void the_log_stays_small_while_commits_go_on(void **state)
{
    (void)state;
    struct fixture f;
    int64_t largest = 0;
    fixture_init(&f);
    for (unsigned i = 0; i < 1000; i++) { /* 20 MB */
        assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
        int64_t now = log_bytes(&f);
        largest = now > largest ? now : largest;
    }
    print_message("largest log: %lld KB, checkpoint at 256 KB\n", (long long)largest / 1024);
    assert_true(largest < 8 * 256 * 1024);
    fixture_deinit(&f);
}

/* Somebody else copies the log: it is asked once, the writer copies what is left, and asks again.
 */
struct tender {
    struct ps_writer_tender tender; /* first */
    _Atomic unsigned asked, told;
    _Atomic uint64_t bytes;
};

static void count_asked(struct ps_writer_tender *tender)
{
    ((struct tender *)tender)->asked++;
}

static void count_points(struct ps_writer_tender *tender, uint64_t bytes)
{
    ((struct tender *)tender)->told++;
    ((struct tender *)tender)->bytes += bytes;
}

static void a_tender_is_asked_for_a_long_log_once_and_the_writer_does_the_rest(void **state)
{
    (void)state;
    struct fixture f;
    struct tender tender = { .tender = { .log_is_long = count_asked,
                                         .points_committed = count_points } };
    fixture_init(&f);
    ps_writer_tend(f.writer, &tender.tender);
    for (unsigned i = 0; i < 30; i++) /* 600 KB */
        assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
    assert_int_equal(tender.asked, 1);
    int64_t long_bytes = log_bytes(&f);
    assert_true(long_bytes > 512 * 1024);
    ps_writer_log_copied(f.writer, true);
    for (unsigned i = 0; i < 10; i++) /* copied by the first of these, begun anew by the next */
        assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
    assert_true(log_bytes(&f) <= long_bytes + 3 * 24 * 1024);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
    assert_int_equal(tender.asked, 2);
    ps_writer_log_copied(f.writer, false); /* it could not: it is asked again */
    assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
    assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
    assert_int_equal(tender.asked, 3);
    ps_writer_tend(f.writer, NULL); /* nobody any more: the writer does it itself */
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ps_writer_call(f.writer, insert_block, NULL), PS_OK);
    assert_int_equal(tender.asked, 3);
    assert_true(log_bytes(&f) < 8 * 256 * 1024);
    fixture_deinit(&f);
}

static void a_tender_is_told_of_points_that_were_committed(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[3];
    struct tender tender = { .tender = { .log_is_long = count_asked,
                                         .points_committed = count_points } };
    fixture_init(&f);
    ps_writer_tend(f.writer, &tender.tender);
    job_init(&jobs[0], "INSERT INTO t(x) VALUES(1)", true);
    jobs[0].item.points_bytes = 100;
    job_init(&jobs[1], "INSERT INTO t(x) VALUES(1)", true); /* undone */
    jobs[1].item.points_bytes = 1000;
    job_init(&jobs[2], "INSERT INTO t(x) VALUES(3)", true);
    jobs[2].item.points_bytes = 10;
    run_together(&f, jobs, 3);
    ps_writer_tend(f.writer, NULL); /* waits for the writer */
    assert_int_equal(tender.bytes, 110);
    assert_int_equal(tender.told, 1);
    fixture_deinit(&f);
}

static void stopping_commits_what_is_queued(void **state)
{
    (void)state;
    enum { JOBS = 200 };
    struct fixture f;
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    fixture_init(&f);
    for (int i = 0; i < JOBS; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO t(x) VALUES(%d)", i);
        job_init(&jobs[i], sql, false);
        ps_writer_submit(f.writer, &jobs[i].item);
    }
    ps_writer_stop(f.writer);
    f.writer = NULL;
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].told_count, 1);
        assert_int_equal(jobs[i].told, PS_OK);
    }
    assert_int_equal(count_visible(f.reader), JOBS);
    free(jobs);
    fixture_deinit(&f);
}

static void a_writer_that_cannot_open_its_file_leaves_nothing_behind(void **state)
{
    (void)state;
    struct ps_writer_settings settings = { .path = "/nonexistent/folder/file.db" };
    struct ps_writer *writer = NULL;
    assert_int_not_equal(ps_writer_start(&settings, &writer), PS_OK);
    assert_null(writer);
    ps_writer_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_is_told_after_the_commit_and_never_before),
        cmocka_unit_test(what_gathers_during_a_commit_goes_into_the_next_one),
        cmocka_unit_test(a_failing_item_is_undone_alone),
        cmocka_unit_test(an_item_without_savepoint_takes_the_others_with_it),
        cmocka_unit_test(a_failure_that_ends_the_transaction_undoes_all_of_it),
        cmocka_unit_test(a_failing_commit_is_told_to_every_item),
        cmocka_unit_test(calls_from_many_threads_each_get_their_own_answer),
        cmocka_unit_test(the_log_stays_small_while_commits_go_on),
        cmocka_unit_test(a_tender_is_asked_for_a_long_log_once_and_the_writer_does_the_rest),
        cmocka_unit_test(a_tender_is_told_of_points_that_were_committed),
        cmocka_unit_test(stopping_commits_what_is_queued),
        cmocka_unit_test(a_writer_that_cannot_open_its_file_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
