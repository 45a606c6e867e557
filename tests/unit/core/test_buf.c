/* The byte buffer: what is appended is there, and a failed one says so at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"

static void appended_bytes_follow_each_other(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_buf_put(&buf, "ab\0c", 4);
    ps_buf_put_char(&buf, 'd');
    ps_buf_put_text(&buf, "ef");
    ps_buf_printf(&buf, "%d-%s", 7, "x");
    assert_true(ps_buf_ok(&buf));
    assert_int_equal(buf.len, 10);
    assert_memory_equal(buf.data, "ab\0cdef7-x", 10);
    ps_buf_deinit(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
}

static void nothing_appended_is_the_empty_text(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_buf_put(&buf, NULL, 0);
    assert_int_equal(buf.len, 0);
    assert_string_equal(ps_buf_cstr(&buf), "");
    assert_int_equal(buf.len, 0);
    ps_buf_deinit(&buf);
}

static void termination_does_not_count_and_may_be_appended_to(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    for (int i = 0; i < 64; i++) /* exactly the first block: the zero needs a larger one */
        ps_buf_put_char(&buf, 'x');
    assert_int_equal(strlen(ps_buf_cstr(&buf)), 64);
    assert_int_equal(buf.len, 64);
    ps_buf_put_char(&buf, 'y');
    assert_int_equal(strlen(ps_buf_cstr(&buf)), 65);
    assert_int_equal(ps_buf_cstr(&buf)[64], 'y');
    ps_buf_deinit(&buf);
}

static void it_grows_to_any_size_keeping_its_bytes(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    enum { MANY = 100000 };
    for (int i = 0; i < MANY; i++)
        ps_buf_put_char(&buf, (char)(i * 7));
    assert_int_equal(buf.len, MANY);
    assert_true(buf.cap >= MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(buf.data[i], (char)(i * 7));
    ps_buf_deinit(&buf);
}

static void an_impossible_size_fails_for_good_until_cleared(void **state)
{
    (void)state;
    struct ps_buf buf = { 0 };
    ps_buf_put_text(&buf, "abc");
    assert_false(ps_buf_reserve(&buf, SIZE_MAX - 8));
    assert_false(ps_buf_ok(&buf));
    assert_int_equal(buf.len, 3);
    assert_string_equal(ps_buf_cstr(&buf), "");
    ps_buf_clear(&buf);
    assert_true(ps_buf_ok(&buf));
    ps_buf_put_text(&buf, "z");
    assert_string_equal(ps_buf_cstr(&buf), "z");
    ps_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_follow_each_other),
        cmocka_unit_test(nothing_appended_is_the_empty_text),
        cmocka_unit_test(termination_does_not_count_and_may_be_appended_to),
        cmocka_unit_test(it_grows_to_any_size_keeping_its_bytes),
        cmocka_unit_test(an_impossible_size_fails_for_good_until_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
