/* The log: levels per area, and lines a machine can read whatever the values are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"

/* Standard error, taken into a pipe that never blocks. */
struct capture {
    int saved, read_end;
    char text[3 * PS_LOG_LINE_SIZE];
};

static void capture_start(struct capture *capture)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    capture->saved = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    capture->read_end = ends[0];
}

static void capture_stop(struct capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    ssize_t len = read(capture->read_end, capture->text, sizeof capture->text - 1);
    capture->text[len > 0 ? len : 0] = '\0';
    close(capture->read_end);
}

static int reset(void **state)
{
    (void)state;
    struct ps_text why;
    ps_log_configure(PS_LOG_INFO, PS_LOG_LOGFMT);
    assert_int_equal(ps_log_set_levels("", &why), PS_OK);
    ps_clock_set_for_test(1790000000007, 0);
    return 0;
}

static int release_clock(void **state)
{
    (void)state;
    ps_clock_set_for_test(-1, -1);
    return 0;
}

static void logfmt_line_has_time_level_area_event_then_fields(void **state)
{
    (void)state;
    struct capture capture;
    struct ps_log_line line;
    struct ps_uuid id = { { 0x78, 0x4f } };
    capture_start(&capture);
    bool wanted = ps_log_begin(&line, PS_LOG_WARN, "mqtt", "session_opened");
    ps_log_text(&line, "device", "pump 1");
    ps_log_int(&line, "version", -4);
    ps_log_uuid(&line, "id", &id);
    ps_log_text(&line, "none", NULL);
    ps_log_end(&line);
    capture_stop(&capture);
    assert_true(wanted);
    assert_string_equal(capture.text,
                        "ts=2026-09-21T14:13:20.007Z level=warn area=mqtt event=session_opened "
                        "device=\"pump 1\" version=-4 id=784f0000-0000-0000-0000-000000000000 "
                        "none=\"\"\n");
}

static void json_line_is_one_object(void **state)
{
    (void)state;
    struct capture capture;
    ps_log_configure(PS_LOG_INFO, PS_LOG_JSON);
    capture_start(&capture);
    ps_log_event(PS_LOG_INFO, "main", "ready", "port", "1883");
    capture_stop(&capture);
    assert_string_equal(capture.text, "{\"ts\":\"2026-09-21T14:13:20.007Z\",\"level\":\"info\","
                                      "\"area\":\"main\",\"event\":\"ready\",\"port\":\"1883\"}\n");
}

static const struct value_case {
    const char *name, *value, *logfmt;
    size_t len;
} value_cases[] = {
    { "plain", "abc-1.5/x", "abc-1.5/x", 9 },
    { "empty", "", "\"\"", 0 },
    { "quote and backslash", "a\"b\\c", "\"a\\\"b\\\\c\"", 5 },
    { "a forged second line", "x\nts=1 level=error", "\"x\\nts=1 level=error\"", 18 },
    { "carriage return, tab, zero, escape", "\r\t\0\033", "\"\\r\\t\\u0000\\u001b\"", 4 },
    { "equals sign", "a=b", "\"a=b\"", 3 },
    { "UTF-8 as it is", "Gr\xc3\xbc\xc3\x9f", "\"Gr\xc3\xbc\xc3\x9f\"", 6 },
    { "not UTF-8", "a\xff\xc3", "\"a\xef\xbf\xbd\xef\xbf\xbd\"", 3 },
};

static void any_value_stays_one_value_on_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof value_cases / sizeof *value_cases; i++) {
        const struct value_case *c = &value_cases[i];
        for (int format = PS_LOG_LOGFMT; format <= PS_LOG_JSON; format++) {
            struct capture capture;
            struct ps_log_line line;
            ps_log_configure(PS_LOG_INFO, (enum ps_log_format)format);
            capture_start(&capture);
            bool wanted = ps_log_begin(&line, PS_LOG_ERROR, "a", "e");
            ps_log_span(&line, "v", c->value, c->len);
            ps_log_end(&line);
            capture_stop(&capture);
            assert_true(wanted);
            assert_ptr_equal(strchr(capture.text, '\n'), capture.text + strlen(capture.text) - 1);
            if (format == PS_LOG_JSON) {
                json_t *json = json_loads(capture.text, JSON_ALLOW_NUL, NULL);
                if (!json_is_string(json_object_get(json, "v")))
                    fail_msg("%s: not JSON: %s", c->name, capture.text);
                json_decref(json);
                continue;
            }
            char want[200];
            snprintf(want, sizeof want, " v=%s\n", c->logfmt);
            if (!strstr(capture.text, want))
                fail_msg("%s: %s", c->name, capture.text);
        }
    }
}

/* `len` bytes of a value that grows six times when escaped, or not at all. */
static void log_long_value(struct capture *capture, enum ps_log_format format, char byte,
                           size_t len)
{
    static char value[PS_LOG_LINE_SIZE * 2];
    struct ps_log_line line;
    memset(value, byte, sizeof value);
    ps_log_configure(PS_LOG_INFO, format);
    capture_start(capture);
    if (ps_log_begin(&line, PS_LOG_ERROR, "a", "e")) {
        ps_log_span(&line, "v", value, len);
        ps_log_int(&line, "after", 1234567);
        ps_log_text(&line, "last", "value");
        ps_log_end(&line);
    }
    capture_stop(capture);
}

static void long_lines_are_cut_marked_and_still_whole(void **state)
{
    (void)state;
    static const char bytes[] = { 'x', '\1', '"', ' ' };
    struct capture capture;
    for (size_t b = 0; b < sizeof bytes; b++)
        for (size_t len = 1; len < PS_LOG_LINE_SIZE * 2; len += len < 1800 ? 97 : 1) {
            log_long_value(&capture, PS_LOG_JSON, bytes[b], len);
            assert_true(strlen(capture.text) <= PS_LOG_LINE_SIZE);
            json_t *json = json_loads(capture.text, 0, NULL);
            if (!json)
                fail_msg("%zu bytes: not JSON: %s", len, capture.text);
            bool whole = json_string_length(json_object_get(json, "v")) == len &&
                         json_object_get(json, "after") && json_object_get(json, "last");
            assert_int_equal(whole, !json_is_true(json_object_get(json, "cut")));
            json_decref(json);
            if (len > PS_LOG_LINE_SIZE)
                break;
        }
    log_long_value(&capture, PS_LOG_LOGFMT, 'x', PS_LOG_LINE_SIZE * 2);
    assert_true(strlen(capture.text) <= PS_LOG_LINE_SIZE);
    assert_non_null(strstr(capture.text, "xxx\" cut=true\n"));
    log_long_value(&capture, PS_LOG_LOGFMT, 'x', 10);
    assert_null(strstr(capture.text, "cut"));
    assert_non_null(strstr(capture.text, " v=xxxxxxxxxx after=1234567 last=value\n"));
}

static bool wanted(enum ps_log_level level, const char *area)
{
    struct ps_log_line line;
    return ps_log_begin(&line, level, area, "e");
}

static void an_area_may_have_its_own_level(void **state)
{
    (void)state;
    struct ps_text why;
    assert_false(wanted(PS_LOG_DEBUG, "mqtt"));
    assert_true(wanted(PS_LOG_INFO, "mqtt"));
    assert_int_equal(ps_log_set_levels("mqtt=debug,rules=error,ws=off", &why), PS_OK);
    assert_true(wanted(PS_LOG_DEBUG, "mqtt"));
    assert_false(wanted(PS_LOG_DEBUG, "http"));
    assert_true(wanted(PS_LOG_INFO, "http"));
    assert_false(wanted(PS_LOG_WARN, "rules"));
    assert_true(wanted(PS_LOG_ERROR, "rules"));
    assert_false(wanted(PS_LOG_ERROR, "ws"));
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    assert_false(wanted(PS_LOG_ERROR, "http"));
    assert_true(wanted(PS_LOG_DEBUG, "mqtt"));
    assert_int_equal(ps_log_set_levels("", &why), PS_OK);
    assert_false(wanted(PS_LOG_ERROR, "mqtt"));
}

static const char *const bad_levels[] = {
    "mqtt",
    "=debug",
    "mqtt=loud",
    "mqtt=debug,",
    ",mqtt=debug",
    "mqtt=debug,,ws=info",
    "an_area_with_a_name_too_long=info",
    "mqtt=",
    "mqtt=DEBUG",
};

static void bad_area_levels_change_nothing(void **state)
{
    (void)state;
    struct ps_text why;
    assert_int_equal(ps_log_set_levels("mqtt=debug", &why), PS_OK);
    for (size_t i = 0; i < sizeof bad_levels / sizeof *bad_levels; i++) {
        why.data[0] = '\0';
        if (ps_log_set_levels(bad_levels[i], &why) != PS_EINVAL || !why.data[0])
            fail_msg("accepted: %s", bad_levels[i]);
        if (ps_log_check_levels(bad_levels[i], &why) != PS_EINVAL)
            fail_msg("checked fine: %s", bad_levels[i]);
        assert_true(wanted(PS_LOG_DEBUG, "mqtt"));
    }
}

static void a_line_below_its_level_writes_nothing(void **state)
{
    (void)state;
    struct capture capture;
    capture_start(&capture);
    ps_log_event(PS_LOG_DEBUG, "mqtt", "packet", NULL, NULL);
    capture_stop(&capture);
    assert_string_equal(capture.text, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, release_clock)
    const struct CMUnitTest tests[] = {
        TEST(logfmt_line_has_time_level_area_event_then_fields),
        TEST(json_line_is_one_object),
        TEST(any_value_stays_one_value_on_one_line),
        TEST(long_lines_are_cut_marked_and_still_whole),
        TEST(an_area_may_have_its_own_level),
        TEST(bad_area_levels_change_nothing),
        TEST(a_line_below_its_level_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
