/* Promises of json_text: doubles are the shortest text that reads back, strings are strict JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/json_text.h"

/* ---- longs ---- */

static const struct long_case {
    int64_t value;
    const char *want;
} long_cases[] = {
    { 0, "0" },
    { 7, "7" },
    { -7, "-7" },
    { 10, "10" },
    { 99, "99" },
    { 100, "100" },
    { 1451649600512, "1451649600512" },
    { -1234567, "-1234567" },
    { INT64_MAX, "9223372036854775807" },
    { INT64_MIN, "-9223372036854775808" },
};

static void longs_are_decimal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof long_cases / sizeof long_cases[0]; i++) {
        char text[24];
        size_t len = ps_long_format(long_cases[i].value, text);
        assert_int_equal(len, strlen(long_cases[i].want));
        assert_memory_equal(text, long_cases[i].want, len);
    }
    for (int64_t power = 1; power < INT64_MAX / 10; power *= 10) {
        for (int64_t n = power - 1; n <= power + 1; n++) {
            char text[24], want[24];
            assert_int_equal(ps_long_format(-n, text), snprintf(want, 24, "%lld", -(long long)n));
            assert_memory_equal(text, want, strlen(want));
        }
    }
}

/* ---- doubles ---- */

static const struct double_case {
    double value;
    const char *want;
} double_cases[] = {
    { 0.0, "0.0" },
    { -0.0, "-0.0" },
    { 1, "1.0" },
    { 25, "25.0" },
    { -25, "-25.0" },
    { 100, "100.0" },
    { 21.53, "21.53" },
    { -0.5, "-0.5" },
    { 0.1, "0.1" },
    { 0.001, "0.001" },
    { 1e-6, "0.000001" },
    { 1.5e-6, "0.0000015" },
    { 9.99e-7, "9.99e-7" },
    { 1e-7, "1e-7" },
    { 1e-10, "1e-10" },
    { 0.30000000000000004, "0.30000000000000004" },
    { 1.0 / 3, "0.3333333333333333" },
    { 2.0 / 3, "0.6666666666666666" },
    { 1e15, "1000000000000000.0" },
    { 123456789012345.0, "123456789012345.0" },
    { 1234567890123456.0, "1234567890123456.0" },
    { 9007199254740993.0, "9007199254740992.0" },
    { 1e20, "100000000000000000000.0" },
    { 123456789012345680000.0, "123456789012345680000.0" },
    { 999999999999999900000.0, "999999999999999900000.0" },
    { 1e21, "1e+21" },
    { 1.5e21, "1.5e+21" },
    { -1e100, "-1e+100" },
    { 1e22, "1e+22" },
    { 1e23, "1e+23" },
    { 5e-324, "5e-324" },
    { 1e-323, "1e-323" },
    { DBL_MIN, "2.2250738585072014e-308" },
    { DBL_MAX, "1.7976931348623157e+308" },
    { 0x1p-44, "5.684341886080802e-14" },
    { 0x1p-1022 - 0x1p-1074, "2.225073858507201e-308" },
    { 9007199254740991.0, "9007199254740991.0" },
    { 2251799813685248.5, "2251799813685248.5" },
    { 1700000000.123, "1700000000.123" },
    { 0.1 + 0.7, "0.7999999999999999" },
    { 37.774929, "37.774929" },
    { -122.419416, "-122.419416" },
};

static void doubles_are_shortest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof double_cases / sizeof double_cases[0]; i++) {
        char text[PS_DOUBLE_TEXT_SIZE + 1];
        size_t len = ps_double_format(double_cases[i].value, text);
        assert_true(len < PS_DOUBLE_TEXT_SIZE);
        text[len] = '\0';
        assert_string_equal(text, double_cases[i].want);
    }
}

static void what_is_no_number_has_a_name(void **state)
{
    (void)state;
    char text[PS_DOUBLE_TEXT_SIZE];
    assert_int_equal(ps_double_format(NAN, text), 3);
    assert_memory_equal(text, "NaN", 3);
    assert_int_equal(ps_double_format(INFINITY, text), 8);
    assert_memory_equal(text, "Infinity", 8);
    assert_int_equal(ps_double_format(-INFINITY, text), 9);
    assert_memory_equal(text, "-Infinity", 9);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return *x * 0x2545F4914F6CDD1Du;
}

/* Significant digits of a text: what "short" is about. */
static size_t count_digits(const char *text)
{
    size_t count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (count == 0 && *text == '0'))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

static void check_reads_back(double value)
{
    char text[PS_DOUBLE_TEXT_SIZE + 1], shorter[64];
    size_t len = ps_double_format(value, text);
    assert_true(len < PS_DOUBLE_TEXT_SIZE);
    text[len] = '\0';
    double back = strtod(text, NULL);
    if (memcmp(&back, &value, sizeof back) != 0)
        fail_msg("%s is not %.17g", text, value);
    if (!strpbrk(text, ".e"))
        fail_msg("%s looks like a LONG", text);
    size_t digits = count_digits(text);
    if (digits > 1) {
        snprintf(shorter, sizeof shorter, "%.*e", (int)digits - 2, value);
        if (strtod(shorter, NULL) == value)
            fail_msg("%s is longer than %s", text, shorter);
    }
}

static void random_doubles_read_back(void **state)
{
    (void)state;
    uint64_t random = 42;
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = next_random(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_reads_back(value);
        check_reads_back((double)(int64_t)bits);
        check_reads_back((double)(int32_t)bits / 1000);
        check_reads_back((double)(bits >> 11) / 9007199254740992.0);
        check_reads_back((double)(int64_t)(bits >> 14) / 100000);
    }
    for (int exponent = -1074; exponent < 1024; exponent++) {
        check_reads_back(ldexp(1, exponent));
        check_reads_back(nextafter(ldexp(1, exponent), 0));
        check_reads_back(nextafter(ldexp(1, exponent), INFINITY));
    }
}

static void the_locale_changes_nothing(void **state)
{
    (void)state;
    char text[PS_DOUBLE_TEXT_SIZE];
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        skip(); /* not installed here */
    size_t len = ps_double_format(1.0 / 3, text);
    setlocale(LC_NUMERIC, "C");
    assert_int_equal(len, 18);
    assert_memory_equal(text, "0.3333333333333333", 18);
}

/* ---- strings ---- */

static const struct string_case {
    const char *text, *want;
} string_cases[] = {
    { "", "\"\"" },
    { "plain text", "\"plain text\"" },
    { "\"\\/'", "\"\\\"\\\\/'\"" },
    { "\b\f\n\r\t\v\x01\x1F\x7F", "\"\\b\\f\\n\\r\\t\\u000b\\u0001\\u001f\x7F\"" },
    { "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"" },
    { "a\xFF"
      "b",
      "\"a\xEF\xBF\xBD"
      "b\"" },
    { "\xC3", "\"\xEF\xBF\xBD\"" },
    { "\xE2\x82", "\"\xEF\xBF\xBD\"" },
    { "\xE2\x82\"", "\"\xEF\xBF\xBD\\\"\"" },
    { "\xE0\x80\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
    { "\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
    { "\xC0\xAF\xF4\x90\x80\x80",
      "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
};

static void strings_are_strict_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof string_cases / sizeof string_cases[0]; i++) {
        struct ps_buf buf = { 0 };
        ps_json_put_string(&buf, string_cases[i].text, strlen(string_cases[i].text));
        assert_string_equal(ps_buf_cstr(&buf), string_cases[i].want);
        ps_buf_deinit(&buf);
    }
}

static void a_zero_byte_is_escaped(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_json_put_string(&buf, "a\0b", 3);
    assert_string_equal(ps_buf_cstr(&buf), "\"a\\u0000b\"");
    ps_buf_deinit(&buf);
}

/* ---- values ---- */

static const struct value_case {
    struct ps_value value;
    const char *json, *text;
} value_cases[] = {
    { { .type = PS_VALUE_NULL }, "null", "null" },
    { { .type = PS_VALUE_BOOLEAN, .boolean = true }, "true", "true" },
    { { .type = PS_VALUE_BOOLEAN, .boolean = false }, "false", "false" },
    { { .type = PS_VALUE_LONG, .integer = -42 }, "-42", "-42" },
    { { .type = PS_VALUE_DOUBLE, .real = 21.5 }, "21.5", "21.5" },
    { { .type = PS_VALUE_DOUBLE, .real = NAN }, "null", "NaN" },
    { { .type = PS_VALUE_DOUBLE, .real = -INFINITY }, "null", "-Infinity" },
    { { .type = PS_VALUE_STRING, .len = 3, .text = "a\"b" }, "\"a\\\"b\"", "a\"b" },
    { { .type = PS_VALUE_JSON, .len = 7, .text = "{\"a\":1}" }, "{\"a\":1}", "{\"a\":1}" },
};

static void values_have_a_json_and_a_bare_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++) {
        struct ps_buf buf = { 0 };
        ps_json_put_value(&buf, &value_cases[i].value);
        assert_string_equal(ps_buf_cstr(&buf), value_cases[i].json);
        ps_buf_clear(&buf);
        ps_value_put_text(&buf, &value_cases[i].value);
        assert_string_equal(ps_buf_cstr(&buf), value_cases[i].text);
        ps_buf_deinit(&buf);
    }
}

static void objects_keep_their_order(void **state)
{
    (void)state;
    const struct ps_kv kvs[] = {
        { .key = "b", .key_len = 1, .value = { .type = PS_VALUE_LONG, .integer = 1 } },
        { .key = "a\n", .key_len = 2, .value = { .type = PS_VALUE_STRING, .len = 1, .text = "x" } },
        { .key = "", .key_len = 0, .value = { .type = PS_VALUE_DOUBLE, .real = 2 } },
    };
    struct ps_buf buf = { 0 };
    ps_json_put_object(&buf, kvs, 3);
    assert_string_equal(ps_buf_cstr(&buf), "{\"b\":1,\"a\\n\":\"x\",\"\":2.0}");
    ps_buf_clear(&buf);
    ps_json_put_object(&buf, kvs, 0);
    assert_string_equal(ps_buf_cstr(&buf), "{}");
    ps_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longs_are_decimal),
        cmocka_unit_test(doubles_are_shortest),
        cmocka_unit_test(what_is_no_number_has_a_name),
        cmocka_unit_test(random_doubles_read_back),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(strings_are_strict_json),
        cmocka_unit_test(a_zero_byte_is_escaped),
        cmocka_unit_test(values_have_a_json_and_a_bare_form),
        cmocka_unit_test(objects_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
