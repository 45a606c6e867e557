/* Labels: numbered or not, they match as text does, ignoring ASCII case. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "rules/relation.h"

static struct ps_relation of(const char *text)
{
    return ps_relation_of(text, strlen(text));
}

static void type_labels_are_those_of_the_message_types(void **state)
{
    (void)state;
    for (int type = 0; type < PS_MSG_TYPE_COUNT; type++) {
        const char *label = ps_msg_type_relation((enum ps_msg_type)type);
        struct ps_relation told = ps_relation_of_type((enum ps_msg_type)type);
        struct ps_relation connected = of(label);
        assert_int_equal(told.len, strlen(label));
        assert_memory_equal(told.name, label, told.len);
        assert_true(ps_relation_equal(&told, &connected));
        assert_int_not_equal(told.id, PS_REL_CUSTOM);
    }
}

static void relations_match_ignoring_case(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "Success", "SUCCESS", true },
        { "success", "Success", true },
        { "post TELEMETRY", "Post telemetry", true },
        { "My label", "my LABEL", true },
        { "Success", "Succes", false },
        { "True", "False", false },
        { "Mine", "Mine ", false },
        { "", "x", false },
        { "K\xC3\x84LTE", "k\xC3\xA4lte", false }, /* only ASCII letters fold */
        { "K\xC3\x84LTE", "k\xC3\x84lte", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ps_relation a = of(cases[i].a), b = of(cases[i].b);
        assert_int_equal(ps_relation_equal(&a, &b), cases[i].same);
    }
}

static void label_that_is_too_long_matches_nothing(void **state)
{
    (void)state;
    char text[400];
    memset(text, 'x', sizeof text);
    struct ps_relation longest = ps_relation_of(text, PS_RELATION_LEN_MAX);
    struct ps_relation cut = ps_relation_of(text, sizeof text);
    assert_int_equal(longest.len, PS_RELATION_LEN_MAX);
    assert_false(ps_relation_equal(&longest, &cut));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_labels_are_those_of_the_message_types),
        cmocka_unit_test(relations_match_ignoring_case),
        cmocka_unit_test(label_that_is_too_long_matches_nothing),
    };
    return cmocka_run_group_tests_name("rules.relation", tests, NULL, NULL);
}
