/* Values: equal means same type and same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "core/value.h"

#define TEXT(kind, bytes)                                                                          \
    {                                                                                              \
        .type = kind, .text = bytes, .len = sizeof bytes - 1                                       \
    }

static void each_value_equals_itself_and_no_other(void **state)
{
    (void)state;
    const struct ps_value values[] = {
        { .type = PS_VALUE_NULL },
        { .type = PS_VALUE_BOOLEAN, .boolean = false },
        { .type = PS_VALUE_BOOLEAN, .boolean = true },
        { .type = PS_VALUE_LONG, .integer = 0 },
        { .type = PS_VALUE_LONG, .integer = INT64_MIN },
        { .type = PS_VALUE_DOUBLE, .real = 0.0 },
        { .type = PS_VALUE_DOUBLE, .real = -0.0 },
        { .type = PS_VALUE_DOUBLE, .real = NAN },
        { .type = PS_VALUE_STRING },
        TEXT(PS_VALUE_STRING, "a"),
        TEXT(PS_VALUE_STRING, "ab"),
        TEXT(PS_VALUE_JSON, "ab"),
        TEXT(PS_VALUE_STRING, "a\0b"),
        TEXT(PS_VALUE_STRING, "a\0c"),
    };
    const size_t count = sizeof values / sizeof *values;
    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++)
            assert_int_equal(ps_value_equal(&values[a], &values[b]), a == b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_equals_itself_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
