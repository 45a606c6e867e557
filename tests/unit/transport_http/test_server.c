/* The HTTP server over real sockets: when an answer comes, what it says, and that a suspended
 * request ends exactly once whoever comes first. */
#include "unit/transport_http/http_world.h"

#define POST "POST /api/v1/good%2Ftok/telemetry"

/* --- tests --- */

static void rest_answers(void *context, struct ps_http_call *call, struct ps_db *db)
{
    (void)context;
    (void)db;
    ps_http_reply_empty(&call->reply);
    call->reply.content_type = PS_HTTP_JSON;
    ps_buf_printf(&call->reply.body, "[\"%s\",\"%s\",\"%s\",%zu]", call->target.segments[1],
                  call->x_authorization ? call->x_authorization : "-",
                  call->content_type ? call->content_type : "-", call->body.len);
}

static void a_device_is_answered_when_its_message_is_committed(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "", "{\"t\":1}");
    AWAIT(ack, ack);
    assert_string_equal(stage.body, "{\"t\":1}");
    assert_false(readable_within(client, 20)); /* not committed yet */
    ps_ack_release(ack, PS_OK);
    expect(client, 200, "Content-Length: 0\r\n");
    assert_int_equal(ps_metrics_read(f.services.metrics, PS_METRIC_HTTP_REQUESTS), 1);
    assert_int_equal(ps_metrics_read(f.services.metrics, PS_METRIC_HTTP_BYTES_IN), 7);
    close(client);
    fixture_deinit(&f);
}

static void a_failed_commit_is_told(void **state)
{
    (void)state;
    static const struct {
        enum ps_status st;
        unsigned status;
        const char *piece;
    } cases[] = {
        { PS_EBUSY, 503, "Retry-After: 1\r\n" },
        { PS_EFULL, 507, "\"errorCode\":46" },
        { PS_ESTORE, 500, "\"message\":\"Database error\"" },
    };
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f); /* one connection for all: errors do not end it */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request(client, "POST /api/v1/good%2Ftok/attributes", "", "{}");
        AWAIT(ack, ack);
        ps_ack_release(ack, cases[i].st);
        expect(client, cases[i].status, cases[i].piece);
    }
    close(client);
    fixture_deinit(&f);
}

static void what_needs_no_commit_is_answered_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *line, *body;
        unsigned status;
        const char *piece;
    } cases[] = {
        { POST, "now", 200, "Content-Length: 0\r\n" },
        { POST, "bad", 400, "{\"status\":400,\"message\":\"bad body\",\"errorCode\":31," },
        { POST, "busy", 503, "Retry-After: 1\r\n" },
        { "POST /api/v1/nobody/telemetry", "now", 401, "Content-Length: 0\r\n" },
        { "POST /api/v1/store/telemetry", "now", 500, "\"errorCode\":46" },
        { "GET /api/v1/good%2Ftok/telemetry", NULL, 405, "Allow: POST, OPTIONS\r\n" },
        { "DELETE /api/v1/good%2Ftok/attributes", NULL, 405, "Allow: GET, HEAD, POST" },
        { "POST /api/v1/good%2Ftok/rpc", "x", 404, "\"errorCode\":32" },
        { "POST /api/v1/good%2Ftok", "x", 404, "\"errorCode\":32" },
        { "GET /api/v1/%zz/attributes", NULL, 400, "\"errorCode\":31" },
        { "GET /nothing", NULL, 404, "\"errorCode\":32" },
        { "GET /healthz", NULL, 200, "\r\n\r\nok" },
        { "POST /healthz", "x", 405, "Allow: GET, HEAD\r\n" },
        { "GET /readyz", NULL, 503, "{\"ready\":false}" },
        { "GET /metrics", NULL, 200, "text/plain; version=0.0.4" },
        { "OPTIONS /api/device", NULL, 200, "Allow: GET, HEAD, POST" },
    };
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].line);
        request(client, cases[i].line, "", cases[i].body);
        expect(client, cases[i].status, cases[i].piece);
    }
    ps_http_set_ready(f.http, true);
    request(client, "GET /readyz", "", NULL);
    expect(client, 200, "{\"ready\":true}");
    close(client);
    fixture_deinit(&f);
}

static void attributes_are_answered_when_the_device_has_them(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_attribute_reply *reply;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, "GET /api/v1/good%2Ftok/attributes?sharedKeys=a,b", "", NULL);
    AWAIT(attributes, reply);
    assert_string_equal(stage.asked, "0 client, 2 shared");
    ps_buf_put_text(&reply->json, "{\"shared\":{\"a\":1}}");
    reply->item.run(&reply->item, NULL);
    expect(client, 200, "\r\n\r\n{\"shared\":{\"a\":1}}");
    request(client, "GET /api/v1/good%2Ftok/attributes", "", NULL);
    AWAIT(attributes, reply);
    reply->item.run(&reply->item, NULL);
    expect(client, 200, "\r\n\r\n{}");
    close(client);
    fixture_deinit(&f);
}

static void any_origin_may_read_the_answers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "Origin: http://o\r\n", "now");
    expect(client, 200, "Access-Control-Allow-Origin: http://o\r\n");
    request(client, "OPTIONS /api/device",
            "Origin: http://o\r\nAccess-Control-Request-Headers: X-Authorization\r\n", NULL);
    expect(client, 200, "Access-Control-Allow-Headers: X-Authorization\r\n");
    request(client, "GET /healthz", "", NULL);
    expect(client, 200, "ok");
    close(client);
    fixture_deinit(&f);
}

static void too_large_a_body_is_refused_and_the_connection_goes_on(void **state)
{
    (void)state;
    struct fixture f;
    char big[2050], text[4096];
    memset(big, 'x', 2049);
    big[2049] = '\0';
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "", big);
    expect(client, 413, "\r\n\r\n\"Payload size exceeds the limit of 2048 bytes\"");
    int len = snprintf(text, sizeof text,
                       "%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "801\r\n%s\r\n0\r\n\r\n",
                       POST, big);
    send_bytes(client, text, (size_t)len);
    expect(client, 413, "\"Payload size exceeds the limit of 2048 bytes\"");
    request(client, "POST /api/device", "", big);
    expect(client, 413,
           "\"message\":\"Payload size exceeds the limit of 2048 bytes\",\"errorCode\":31");
    request(client, POST, "", "now");
    expect(client, 200, "");
    close(client);
    fixture_deinit(&f);
}

static void a_chunked_body_is_put_together(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    const char head[] =
        POST " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n";
    send_bytes(client, head, sizeof head - 1);
    send_bytes(client, "4\r\n\":1}\r\n0\r\n\r\n", 14);
    AWAIT(ack, ack);
    assert_string_equal(stage.body, "{\"a\":1}");
    ps_ack_release(ack, PS_OK);
    expect(client, 200, "");
    close(client);
    fixture_deinit(&f);
}

static void a_body_whose_end_cannot_be_told_ends_the_connection(void **state)
{
    (void)state;
    static const char *const framings[] = {
        "Transfer-Encoding: gzip\r\n\r\n3\r\nnow\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\nnow",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nnow\r\n0\r\n\r\n",
    };
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    for (size_t i = 0; i < sizeof framings / sizeof framings[0]; i++) {
        char text[512], answer[ANSWER_SIZE];
        int client = connect_to(&f);
        int len = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\n%s", POST, framings[i]);
        send_bytes(client, text, (size_t)len);
        read_answer(client, answer);
        assert_int_equal(strtoul(answer + 9, NULL, 10), 400);
        assert_non_null(strstr(answer, "Connection: close\r\n"));
        close(client);
    }
    fixture_deinit(&f);
}

static void half_a_body_and_then_silence_is_closed(void **state)
{
    (void)state;
    struct fixture f;
    char byte;
    fixture_init(&f);
    f.config.http_request_timeout_ms = 1000;
    fixture_start(&f, rest_answers);
    int silent = connect_to(&f);
    static const char half[] = POST " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}";
    send_bytes(silent, half, sizeof half - 1);
    int gone = connect_to(&f); /* and one that says it will not send the rest */
    send_bytes(gone, half, sizeof half - 1);
    shutdown(gone, SHUT_WR);
    assert_true(readable_within(silent, DEADLINE_MS));
    assert_int_equal(recv(silent, &byte, 1, 0), 0);
    assert_true(readable_within(gone, DEADLINE_MS));
    assert_int_equal(recv(gone, &byte, 1, 0), 0);
    close(silent);
    close(gone);
    fixture_deinit(&f);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "", "{}");
    request(client, "GET /healthz", "", NULL);
    AWAIT(ack, ack);
    assert_false(readable_within(client, 20));
    ps_ack_release(ack, PS_OK);
    expect(client, 200, "Content-Length: 0\r\n");
    expect(client, 200, "ok");
    close(client);
    fixture_deinit(&f);
}

static void a_client_that_leaves_while_it_waits_costs_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "", "{}");
    AWAIT(ack, ack);
    close(client);
    ps_ack_release(ack, PS_OK);
    client = connect_to(&f);
    request(client, POST, "", "{\"half\":"); /* and one that leaves in the middle of its body */
    close(client);
    fixture_deinit(&f);
}

static void a_request_past_its_deadline_is_answered_and_its_late_answer_dropped(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    f.config.http_request_timeout_ms = 1000;
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "", "{}");
    AWAIT(ack, ack);
    expect(client, 503, "\"message\":\"Request timeout\"");
    ps_ack_release(ack, PS_ESTORE);
    request(client, POST, "", "now");
    expect(client, 200, "");
    close(client);
    fixture_deinit(&f);
}

static void a_stop_answers_what_waits_and_survives_late_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_ack *ack;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, POST, "", "{}");
    AWAIT(ack, ack);
    ps_http_stop(f.http, 50);
    f.http = NULL;
    ps_ack_release(ack, PS_OK); /* the last to leave frees everything */
    close(client);
    fixture_deinit(&f);
}

static void rest_runs_on_a_reader_with_its_own_copy_of_the_request(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_reader_job *job;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, "POST /api/device?x=1", "X-Authorization: Bearer t\r\nContent-Type: a/b\r\n",
            "{}");
    AWAIT(job, job);
    job->run(job, NULL);
    expect(client, 200, "[\"device\",\"Bearer t\",\"a/b\",2]");
    request(client, "GET /api/device", "", NULL);
    AWAIT(job, job);
    job->run(job, NULL);
    expect(client, 200, "Cache-Control: no-cache, no-store, max-age=0, must-revalidate\r\n");
    readers_full = true;
    request(client, "GET /api/device", "", NULL);
    expect(client, 503, "Retry-After: 1\r\n");
    close(client);
    fixture_deinit(&f);
}

static void a_websocket_on_a_used_connection_is_told_to_take_a_new_one(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, rest_answers);
    int client = connect_to(&f);
    request(client, "GET /healthz", "", NULL);
    expect(client, 200, "ok");
    request(client, "GET /api/ws/plugins/telemetry",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n", NULL);
    expect(client, 400, "Connection: close\r\n");
    expect_end(client);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_answered_when_its_message_is_committed),
        cmocka_unit_test(a_failed_commit_is_told),
        cmocka_unit_test(what_needs_no_commit_is_answered_at_once),
        cmocka_unit_test(attributes_are_answered_when_the_device_has_them),
        cmocka_unit_test(any_origin_may_read_the_answers),
        cmocka_unit_test(too_large_a_body_is_refused_and_the_connection_goes_on),
        cmocka_unit_test(a_chunked_body_is_put_together),
        cmocka_unit_test(a_body_whose_end_cannot_be_told_ends_the_connection),
        cmocka_unit_test(half_a_body_and_then_silence_is_closed),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_client_that_leaves_while_it_waits_costs_nothing),
        cmocka_unit_test(a_request_past_its_deadline_is_answered_and_its_late_answer_dropped),
        cmocka_unit_test(a_stop_answers_what_waits_and_survives_late_answers),
        cmocka_unit_test(rest_runs_on_a_reader_with_its_own_copy_of_the_request),
        cmocka_unit_test(a_websocket_on_a_used_connection_is_told_to_take_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
