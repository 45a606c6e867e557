/* Answers that are made while they are sent: the slices arrive whole and in order, one at a time,
 * and whoever goes or fails in the middle leaves nothing behind. Readers' jobs run when the test
 * says so. */
#include "unit/transport_http/http_world.h"

#include "core/clock.h"

enum { SLICE = 40000 };

static struct maker {
    struct ps_http_producer producer; /* first */
    int slices, made;                 /* to make; so far */
    int fails_at;                     /* the slice that cannot be made; 0: none */
    _Atomic int destroyed;            /* how often */
    struct ps_http_call *call;
    unsigned takes_ms; /* a slice */
    _Atomic bool busy; /* with one */
} maker;

static void put_slice(struct ps_buf *out, int number)
{
    for (int i = 0; i < SLICE / 8; i++)
        ps_buf_printf(out, "%d:%05d\n", number, i);
}

static enum ps_status produce(struct ps_http_producer *producer, struct ps_db *db,
                              struct ps_buf *out, bool *done)
{
    struct maker *m = (struct maker *)producer;
    (void)db;
    assert_int_equal(out->len, 0);
    atomic_store(&m->busy, true);
    usleep(m->takes_ms * 1000);
    atomic_store(&m->busy, false);
    m->made++;
    if (m->made == m->fails_at)
        return PS_ESTORE;
    put_slice(out, m->made);
    *done = m->made == m->slices;
    return PS_OK;
}

static void destroy(struct ps_http_producer *producer)
{
    atomic_fetch_add(&((struct maker *)producer)->destroyed, 1);
}

static void answers_in_slices(void *context, struct ps_http_call *call, struct ps_db *db)
{
    (void)context;
    (void)db;
    maker.call = call;
    ps_http_reply_empty(&call->reply);
    call->reply.content_type = PS_HTTP_CSV;
    maker.made = 1;
    put_slice(&call->reply.body, 1);
    call->reply.rest = &maker.producer;
}

static int begin_with_timeout(struct fixture *f, int slices, int fails_at, int64_t timeout_ms)
{
    maker = (struct maker){ { produce, destroy }, slices, 0, fails_at, 0, NULL, 0, false };
    fixture_init(f);
    f->config.http_request_timeout_ms = timeout_ms;
    f->config.http_threads = 1; /* all clients share it, so one that blocks it is found out */
    fixture_start(f, answers_in_slices);
    return connect_to(f);
}

static int begin(struct fixture *f, int slices, int fails_at)
{
    return begin_with_timeout(f, slices, fails_at, 60000);
}

static void run_next_job(void)
{
    struct ps_reader_job *job;
    AWAIT(job, job);
    job->run(job, NULL);
}

static void expect_destroyed(void)
{
    for (int i = 0; i < DEADLINE_MS && atomic_load(&maker.destroyed) == 0; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&maker.destroyed), 1);
}

/* The header, up to its empty line. */
static void read_header(int client, char header[4096])
{
    size_t len = 0;
    header[0] = '\0';
    while (!strstr(header, "\r\n\r\n")) {
        assert_true(readable_within(client, DEADLINE_MS));
        assert_int_equal(recv(client, header + len, 1, 0), 1);
        header[++len] = '\0';
        assert_true(len < 4095);
    }
}

static void read_bytes(int client, char *out, size_t len)
{
    while (len > 0) {
        assert_true(readable_within(client, DEADLINE_MS));
        ssize_t n = recv(client, out, len, 0);
        assert_true(n > 0);
        out += n;
        len -= (size_t)n;
    }
}

/* The next chunk, appended. False: the last one. */
static bool read_chunk(int client, struct ps_buf *body)
{
    char size[16] = "", end[2];
    for (size_t len = 0; !strstr(size, "\r\n"); len++) {
        assert_true(len < sizeof size - 1);
        read_bytes(client, size + len, 1);
    }
    size_t len = strtoul(size, NULL, 16);
    ps_buf_reserve(body, len);
    read_bytes(client, body->data + body->len, len);
    body->len += len;
    read_bytes(client, end, 2);
    assert_memory_equal(end, "\r\n", 2);
    return len > 0;
}

static void read_slice(int client, int number)
{
    struct ps_buf body = { 0 }, want = { 0 };
    put_slice(&want, number);
    while (body.len < want.len)
        assert_true(read_chunk(client, &body));
    assert_int_equal(body.len, want.len);
    assert_memory_equal(body.data, want.data, want.len);
    ps_buf_deinit(&body);
    ps_buf_deinit(&want);
}

static void slices_arrive_in_order_and_the_connection_goes_on(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    int client = begin(&f, 4, 0);
    for (int round = 0; round < 2; round++) {
        maker.destroyed = 0;
        request(client, "GET /api/long", "Accept: text/csv\r\n", NULL);
        run_next_job();
        read_header(client, header);
        assert_non_null(strstr(header, "200 OK"));
        assert_non_null(strstr(header, "Transfer-Encoding: chunked\r\n"));
        assert_non_null(strstr(header, "Content-Type: " PS_HTTP_CSV "\r\n"));
        assert_string_equal(maker.call->accept, "text/csv");
        read_slice(client, 1);
        for (int i = 2; i <= 4; i++) {
            assert_int_equal(maker.made, i - 1); /* none is made before it is wanted */
            run_next_job();
            read_slice(client, i);
        }
        struct ps_buf rest = { 0 };
        assert_false(read_chunk(client, &rest));
        ps_buf_deinit(&rest);
        expect_destroyed();
    }
    close(client);
    fixture_deinit(&f);
}

static void a_slice_that_cannot_be_made_cuts_the_answer(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    int client = begin(&f, 4, 3);
    request(client, "GET /api/long", "", NULL);
    run_next_job();
    read_header(client, header);
    read_slice(client, 1);
    run_next_job();
    read_slice(client, 2);
    run_next_job();
    expect_end(client); /* no last chunk */
    expect_destroyed();
    fixture_deinit(&f);
}

static void a_client_that_takes_nothing_holds_no_reader_and_no_other_client(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    struct ps_reader_job *job;
    int slow = begin(&f, 1000000, 0), fast = connect_to(&f);
    request(slow, "GET /api/long", "", NULL);
    run_next_job();
    /* Until the socket is full; then no job comes any more. */
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        pthread_mutex_lock(&stage.lock);
        while (!stage.job && pthread_cond_timedwait(&stage.arrived, &stage.lock, &until) == 0) {
        }
        job = stage.job;
        stage.job = NULL;
        pthread_mutex_unlock(&stage.lock);
        if (!job)
            break;
        job->run(job, NULL);
    }
    int made = maker.made;
    assert_in_range(made, 2, 1000); /* what sockets hold, not all of it */
    request(fast, "GET /healthz", "", NULL);
    expect(fast, 200, "ok");
    read_header(slow, header);
    read_slice(slow, 1);
    read_slice(slow, 2);
    assert_int_equal(maker.made, made);
    close(slow);
    expect_destroyed();
    close(fast);
    fixture_deinit(&f);
}

static void a_client_that_leaves_ends_the_work(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    struct ps_reader_job *job;
    int client = begin(&f, 1000000, 0);
    request(client, "GET /api/long", "", NULL);
    run_next_job();
    read_header(client, header);
    read_slice(client, 1);
    AWAIT(job, job);
    close(client);
    for (int i = 0; i < DEADLINE_MS && !atomic_load(&maker.call->abandoned); i++)
        usleep(1000);
    assert_true(atomic_load(&maker.call->abandoned)); /* told while the work waits */
    int made = maker.made;
    job->run(job, NULL);
    expect_destroyed();
    assert_int_equal(maker.made, made); /* nothing more was made */
    fixture_deinit(&f);
}

static void a_slice_past_its_deadline_cuts_the_answer(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    struct ps_reader_job *job;
    int client = begin_with_timeout(&f, 4, 0, 1000);
    request(client, "GET /api/long", "", NULL);
    run_next_job();
    read_header(client, header);
    read_slice(client, 1);
    AWAIT(job, job);
    expect_end(client);
    assert_int_equal(atomic_load(&maker.destroyed), 0); /* the late work may still use it */
    job->run(job, NULL);
    expect_destroyed();
    fixture_deinit(&f);
}

static void busy_readers_are_asked_again(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    int client = begin(&f, 2, 0);
    request(client, "GET /api/long", "", NULL);
    struct ps_reader_job *job;
    AWAIT(job, job);
    readers_full = true;
    job->run(job, NULL);
    read_header(client, header);
    read_slice(client, 1);
    assert_false(readable_within(client, 700)); /* longer than the timer's period */
    readers_full = false;
    run_next_job();
    read_slice(client, 2);
    struct ps_buf rest = { 0 };
    assert_false(read_chunk(client, &rest));
    ps_buf_deinit(&rest);
    expect_destroyed();
    close(client);
    fixture_deinit(&f);
}

static void a_stop_cuts_answers_at_once(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    struct ps_reader_job *job;
    int waiting = begin(&f, 1000000, 0);
    request(waiting, "GET /api/long", "", NULL);
    run_next_job();
    read_header(waiting, header);
    read_slice(waiting, 1);
    AWAIT(job, job);
    int64_t begun_ms = ps_clock_mono_ms();
    fixture_deinit(&f); /* asserts that no connection is left */
    assert_true(ps_clock_mono_ms() - begun_ms < DEADLINE_MS); /* it was not waited for */
    expect_end(waiting);
    assert_int_equal(atomic_load(&maker.destroyed), 0);
    job->run(job, NULL);
    expect_destroyed();
}

static void *run_job(void *job)
{
    ((struct ps_reader_job *)job)->run(job, NULL);
    return NULL;
}

static void a_stop_waits_for_the_slice_that_is_being_made(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    struct ps_reader_job *job;
    pthread_t reader;
    int client = begin(&f, 1000000, 0);
    maker.takes_ms = 300;
    request(client, "GET /api/long", "", NULL);
    run_next_job();
    read_header(client, header);
    read_slice(client, 1);
    AWAIT(job, job);
    pthread_create(&reader, NULL, run_job, job);
    while (!atomic_load(&maker.busy))
        usleep(100);
    fixture_deinit(&f);
    assert_false(atomic_load(&maker.busy)); /* what it works with may go now */
    pthread_join(reader, NULL);
    expect_destroyed();
    close(client);
}

static void head_makes_no_second_slice(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    int client = begin(&f, 4, 0);
    request(client, "HEAD /api/long", "", NULL);
    run_next_job();
    read_header(client, header);
    assert_non_null(strstr(header, "Content-Type: " PS_HTTP_CSV "\r\n"));
    expect_destroyed();
    assert_int_equal(maker.made, 1);
    expect_end(client);
    fixture_deinit(&f);
}

static void an_old_client_reads_to_the_end_of_the_connection(void **state)
{
    (void)state;
    struct fixture f;
    char header[4096];
    int client = begin(&f, 2, 0);
    static const char old[] = "GET /api/long HTTP/1.0\r\n\r\n";
    send_bytes(client, old, sizeof old - 1);
    run_next_job();
    run_next_job();
    read_header(client, header);
    assert_null(strstr(header, "chunked"));
    struct ps_buf want = { 0 };
    put_slice(&want, 1);
    put_slice(&want, 2);
    char *body = malloc(want.len);
    read_bytes(client, body, want.len);
    assert_memory_equal(body, want.data, want.len);
    free(body);
    ps_buf_deinit(&want);
    expect_end(client);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_arrive_in_order_and_the_connection_goes_on),
        cmocka_unit_test(a_slice_that_cannot_be_made_cuts_the_answer),
        cmocka_unit_test(a_client_that_takes_nothing_holds_no_reader_and_no_other_client),
        cmocka_unit_test(a_client_that_leaves_ends_the_work),
        cmocka_unit_test(a_slice_past_its_deadline_cuts_the_answer),
        cmocka_unit_test(busy_readers_are_asked_again),
        cmocka_unit_test(a_stop_cuts_answers_at_once),
        cmocka_unit_test(a_stop_waits_for_the_slice_that_is_being_made),
        cmocka_unit_test(head_makes_no_second_slice),
        cmocka_unit_test(an_old_client_reads_to_the_end_of_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
