/* Counters: sums over lanes, the message balance, and the Prometheus text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/metrics.h"
#include "core/thread.h"

static struct ps_metrics *make_metrics(unsigned lanes)
{
    struct ps_metrics *metrics = NULL;
    assert_int_equal(ps_metrics_create(lanes, &metrics), PS_OK);
    assert_non_null(metrics);
    return metrics;
}

static int64_t balance(const struct ps_metrics *metrics)
{
    return ps_metrics_read(metrics, PS_METRIC_MSG_RECEIVED) -
           ps_metrics_read(metrics, PS_METRIC_MSG_STORED) -
           ps_metrics_read(metrics, PS_METRIC_MSG_REFUSED) -
           ps_metrics_read(metrics, PS_METRIC_MSG_DROPPED) -
           ps_metrics_read(metrics, PS_METRIC_MSG_IN_FLIGHT);
}

static void a_metric_is_the_sum_of_its_lanes(void **state)
{
    (void)state;
    struct ps_metrics *metrics = make_metrics(3);
    ps_metrics_add(metrics, 0, PS_METRIC_COMMITS, 1);
    ps_metrics_add(metrics, 2, PS_METRIC_COMMITS, 10);
    ps_metrics_add(metrics, 3, PS_METRIC_COMMITS, 100); /* wraps to lane 0 */
    ps_metrics_add(metrics, 1, PS_METRIC_ACTORS, 5);
    ps_metrics_add(metrics, 2, PS_METRIC_ACTORS, -2);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_COMMITS), 111);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_ACTORS), 3);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_POINTS), 0);
    ps_metrics_destroy(metrics);
}

static void every_received_message_is_somewhere(void **state)
{
    (void)state;
    struct ps_metrics *metrics = make_metrics(2);
    ps_metrics_msg_received(metrics, 0, PS_METRIC_MQTT_MESSAGES, 10);
    assert_int_equal(balance(metrics), 0);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_MSG_IN_FLIGHT), 10);
    ps_metrics_msg_stored(metrics, 1, 6);
    ps_metrics_msg_lost(metrics, 0, PS_METRIC_REFUSED_BUSY, 1);
    ps_metrics_msg_lost(metrics, 1, PS_METRIC_DROPPED_HOPS, 2);
    assert_int_equal(balance(metrics), 0);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_MQTT_MESSAGES), 10);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_MSG_STORED), 6);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_MSG_REFUSED), 1);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_REFUSED_BUSY), 1);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_MSG_DROPPED), 2);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_DROPPED_HOPS), 2);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_MSG_IN_FLIGHT), 1);
    ps_metrics_destroy(metrics);
}

enum { ADDERS = 4, ADDS = 50000 };

static void add_many(void *arg)
{
    struct ps_metrics *metrics = arg;
    for (int i = 0; i < ADDS; i++)
        ps_metrics_add(metrics, 0, PS_METRIC_TURNS, 1);
}

static void threads_that_share_a_lane_lose_nothing(void **state)
{
    (void)state;
    struct ps_metrics *metrics = make_metrics(1);
    struct ps_thread threads[ADDERS];
    for (int i = 0; i < ADDERS; i++)
        assert_int_equal(ps_thread_start(&threads[i], PS_THREAD_OTHER, "adder", add_many, metrics),
                         PS_OK);
    for (int i = 0; i < ADDERS; i++)
        ps_thread_join(&threads[i]);
    assert_int_equal(ps_metrics_read(metrics, PS_METRIC_TURNS), ADDERS * ADDS);
    ps_metrics_destroy(metrics);
}

static void lanes_do_not_share_a_cache_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct ps_metrics_lane) % 64, 0);
    struct ps_metrics *metrics = make_metrics(2);
    assert_int_equal((uintptr_t)metrics->lanes % 64, 0);
    ps_metrics_destroy(metrics);
    ps_metrics_destroy(NULL);
}

static void assert_has_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at += len)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return;
    fail_msg("no line \"%s\" in\n%s", line, text);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static void the_page_is_prometheus_text(void **state)
{
    (void)state;
    struct ps_metrics *metrics = make_metrics(2);
    ps_metrics_add(metrics, 0, PS_METRIC_MSG_RECEIVED, 42);
    ps_metrics_add(metrics, 1, PS_METRIC_COMMIT_SECONDS, 1500000000);
    ps_metrics_add(metrics, 1, PS_METRIC_SCRIPT_ERROR_LIMIT_CPU, 3);
    ps_metrics_add(metrics, 1, PS_METRIC_WS_SESSIONS, 7);
    struct ps_buf page = { 0 };
    ps_metrics_render(metrics, &page);
    const char *text = ps_buf_cstr(&page);
    assert_has_line(text, "# TYPE pacificsoft_messages_received_total counter");
    assert_has_line(text, "pacificsoft_messages_received_total 42");
    assert_has_line(text, "# TYPE pacificsoft_commit_seconds_total counter");
    assert_has_line(text, "pacificsoft_commit_seconds_total 1.500000000");
    assert_has_line(text, "pacificsoft_script_errors_total{kind=\"LIMIT_CPU\"} 3");
    assert_has_line(text, "# TYPE pacificsoft_connections gauge");
    assert_has_line(text, "pacificsoft_connections{transport=\"ws\"} 7");
    assert_int_equal(page.data[page.len - 1], '\n');
    ps_buf_deinit(&page);
    ps_metrics_destroy(metrics);
}

/* Prometheus refuses a page that describes a name twice or shows a series twice. */
static void every_name_is_described_once_and_every_series_shown_once(void **state)
{
    (void)state;
    struct ps_metrics *metrics = make_metrics(1);
    struct ps_buf page = { 0 };
    ps_metrics_render(metrics, &page);
    char *rest = (char *)(uintptr_t)ps_buf_cstr(&page), *copy = test_malloc(page.len + 1), *line;
    memcpy(copy, rest, page.len + 1);
    int described = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        char whole[300];
        snprintf(whole, sizeof whole, "\n%s\n", line);
        size_t want = line == page.data ? 0 : 1; /* the first has no newline before it */
        assert_int_equal(count_of(copy, whole), want);
        if (strncmp(line, "# TYPE ", 7) != 0)
            continue;
        described++;
        line[7 + strcspn(line + 7, " ")] = '\0';
        snprintf(whole, sizeof whole, "# TYPE %s ", line + 7);
        assert_int_equal(count_of(copy, whole), 1);
        snprintf(whole, sizeof whole, "# HELP %s ", line + 7);
        assert_int_equal(count_of(copy, whole), 1);
    }
    assert_true(described > 40);
    test_free(copy);
    ps_buf_deinit(&page);
    ps_metrics_destroy(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_is_the_sum_of_its_lanes),
        cmocka_unit_test(every_received_message_is_somewhere),
        cmocka_unit_test(threads_that_share_a_lane_lose_nothing),
        cmocka_unit_test(lanes_do_not_share_a_cache_line),
        cmocka_unit_test(the_page_is_prometheus_text),
        cmocka_unit_test(every_name_is_described_once_and_every_series_shown_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
