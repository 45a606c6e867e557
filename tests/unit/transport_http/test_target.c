/* Request targets: what is split, what is decoded, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "transport/http/target.h"

/* A target as text: segments in brackets, then name=value in brackets. */
static void describe(const struct ps_http_target *target, struct ps_buf *out)
{
    for (size_t i = 0; i < target->segment_count && i < PS_HTTP_SEGMENTS_MAX; i++)
        ps_buf_printf(out, "[%s]", target->segments[i]);
    for (size_t i = 0; i < target->param_count; i++)
        ps_buf_printf(out, "(%s=%s)", target->params[i].name, target->params[i].value);
}

static const struct target_case {
    const char *text, *want; /* NULL: PS_EPROTO */
} target_cases[] = {
    { "/", "[]" },
    { "/api/v1/tok/telemetry", "[api][v1][tok][telemetry]" },
    { "/api/", "[api][]" },
    { "//a", "[][a]" },
    { "/a%2Fb/c", "[a/b][c]" },
    { "/a%20b", "[a b]" },
    { "/a+b", "[a+b]" },
    { "/%C3%a4", "[\xC3\xA4]" },
    { "/a?", "[a]" },
    { "/a?x=1&y=2", "[a](x=1)(y=2)" },
    { "/a?x=1&x=2", "[a](x=1)(x=2)" },
    { "/a?x", "[a](x=)" },
    { "/a?x=", "[a](x=)" },
    { "/a?=1", "[a](=1)" },
    { "/a?&&x=1&", "[a](x=1)" },
    { "/a?k=a%2Cb+c%2b", "[a](k=a,b c+)" },
    { "/a?x=y=z", "[a](x=y=z)" },
    { "/a#f?x=1", "[a]" },
    { "/a?x=1#f", "[a](x=1)" },
    { "/a?u=http://b/c?d", "[a](u=http://b/c?d)" },
    { "http://host:8080/a/b?x=1", "[a][b](x=1)" },
    { "http://host", NULL },
    { "", NULL },
    { "*", NULL },
    { "a/b", NULL },
    { "?x=1", NULL },
    { "/%", NULL },
    { "/%4", NULL },
    { "/%zz", NULL },
    { "/a%00b", NULL },
    { "/%ff", NULL },
    { "/%C3", NULL },
    { "/a?x=%", NULL },
    { "/a?%f=1", NULL },
    { "/a?x=%00", NULL },
    { "/a?x=%E2%82", NULL },
};

static void a_target_is_split_before_it_is_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof target_cases / sizeof target_cases[0]; i++) {
        const struct target_case *c = &target_cases[i];
        struct ps_http_target target = { .segment_count = 77 };
        struct ps_text why = { "" };
        char *exact = strdup(c->text); /* reading past it is seen */
        enum ps_status st = ps_http_target_parse(exact, &target, &why);
        free(exact);
        print_message("%s\n", c->text);
        if (!c->want) {
            assert_int_equal(st, PS_EPROTO);
            assert_string_not_equal(why.data, "");
            assert_int_equal(target.segment_count, 77); /* untouched */
            continue;
        }
        struct ps_buf got = { 0 };
        assert_int_equal(st, PS_OK);
        describe(&target, &got);
        assert_string_equal(ps_buf_cstr(&got), c->want);
        ps_buf_deinit(&got);
        ps_http_target_deinit(&target);
    }
}

static void a_path_with_too_many_segments_is_no_path_we_have(void **state)
{
    (void)state;
    struct ps_http_target target;
    assert_int_equal(ps_http_target_parse("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", &target, NULL),
                     PS_OK);
    assert_int_equal(target.segment_count, PS_HTTP_SEGMENTS_MAX);
    ps_http_target_deinit(&target);
    assert_int_equal(
        ps_http_target_parse("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17?a=1", &target, NULL),
        PS_OK);
    assert_int_equal(target.segment_count, PS_HTTP_SEGMENTS_MAX + 1);
    assert_string_equal(ps_http_param(&target, "a"), "1");
    ps_http_target_deinit(&target);
}

static void too_many_parameters_are_refused(void **state)
{
    (void)state;
    for (int extra = 0; extra <= 1; extra++) {
        struct ps_buf text = { 0 };
        struct ps_http_target target;
        struct ps_text why = { "" };
        ps_buf_put_text(&text, "/a?");
        for (int i = 0; i < PS_HTTP_PARAMS_MAX + extra; i++)
            ps_buf_put_text(&text, i ? "&b" : "b");
        enum ps_status st = ps_http_target_parse(ps_buf_cstr(&text), &target, &why);
        assert_int_equal(st, extra ? PS_ELIMIT : PS_OK);
        if (st == PS_OK) {
            assert_int_equal(target.param_count, PS_HTTP_PARAMS_MAX);
            ps_http_target_deinit(&target);
        }
        ps_buf_deinit(&text);
    }
}

static void the_first_of_equal_parameters_counts(void **state)
{
    (void)state;
    struct ps_http_target target;
    assert_int_equal(ps_http_target_parse("/?a=1&A=2&a=3&b", &target, NULL), PS_OK);
    assert_string_equal(ps_http_param(&target, "a"), "1");
    assert_string_equal(ps_http_param(&target, "A"), "2");
    assert_string_equal(ps_http_param(&target, "b"), "");
    assert_null(ps_http_param(&target, "c"));
    ps_http_target_deinit(&target);
    ps_http_target_deinit(&target); /* twice is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_split_before_it_is_decoded),
        cmocka_unit_test(a_path_with_too_many_segments_is_no_path_we_have),
        cmocka_unit_test(too_many_parameters_are_refused),
        cmocka_unit_test(the_first_of_equal_parameters_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
