/* Members of strict JSON text as typed key-values, as save nodes read them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "core/buf.h"
#include "core/json_text.h"
#include "rules/nodes/strict_json.h"

static const struct object_case {
    const char *json, *same; /* NULL: refused */
} object_cases[] = {
    { "{}", "{}" },
    { " { } ", "{}" },
    { "{\"a\":1,\"b\":-0.5,\"c\":true,\"d\":false,\"e\":null}",
      "{\"a\":1,\"b\":-0.5,\"c\":true,\"d\":false,\"e\":null}" },
    { "{\"a\":1e3}", "{\"a\":1000.0}" },
    { "{\"a\":9223372036854775807}", "{\"a\":9223372036854775807}" },
    { "{\"a\":1234567890123456789012}", "{\"a\":1.2345678901234568e+21}" },
    { "{\"o\":{\"x\":[1,\"]}\"]},\"l\":[[],{}]}", "{\"o\":{\"x\":[1,\"]}\"]},\"l\":[[],{}]}" },
    { "{\"q\\\"\":\"\\u0041\\\\\\/\\b\\f\\n\\r\\t\"}", "{\"q\\\"\":\"A\\\\/\\b\\f\\n\\r\\t\"}" },
    { "{\"s\":\"\\uD83D\\uDE00\"}", "{\"s\":\"\xF0\x9F\x98\x80\"}" },
    { "{\"s\":\"\\uD83D!\"}", "{\"s\":\"\xEF\xBF\xBD!\"}" },
    { "", NULL },
    { "[]", NULL },
    { "{", NULL },
    { "{\"a\"}", NULL },
    { "{\"a\":}", NULL },
    { "{\"a\":1,}", NULL },
    { "{\"a\":1}x", NULL },
    { "{\"a\":tru}", NULL },
    { "{\"a\":1-2}", NULL },
    { "{\"a\":-}", NULL },
    { "{\"a\":[1}", NULL },
    { "{\"a\":\"x}", NULL },
    { "{\"a\":\"\\x\"}", NULL },
    { "{\"a\":\"\\u12\"}", NULL },
    { "{\"a\":\"\\", NULL },
};

static void objects_are_read_or_refused(void **state)
{
    (void)state;
    struct ps_strict_object object = { 0 };
    for (size_t i = 0; i < sizeof object_cases / sizeof object_cases[0]; i++) {
        const struct object_case *c = &object_cases[i];
        enum ps_status st = ps_strict_object_parse(&object, c->json, strlen(c->json));
        if ((st == PS_OK) != (c->same != NULL))
            fail_msg("%s: %s", c->json, ps_status_text(st));
        if (!c->same)
            continue;
        struct ps_buf text = { 0 };
        ps_json_put_object(&text, object.kvs, object.count);
        assert_string_equal(ps_buf_cstr(&text), c->same);
        ps_buf_deinit(&text);
    }
    ps_strict_object_deinit(&object);
}

static void arrays_are_stepped_through(void **state)
{
    (void)state;
    static const struct {
        const char *json, *elements;
        bool valid;
    } cases[] = {
        { "[]", "", true },
        { " [ ] ", "", true },
        { "[1]", "1;", true },
        { "[1, {\"a\":[2]} ,\"x,]\",null]", "1;{\"a\":[2]};\"x,]\";null;", true },
        { "{}", "", false },
        { "5", "", false },
        { "", "", false },
        { "[1,]", "1;", false },
        { "[1", "1;", false },
        { "[1]x", "1;", false },
        { "[,1]", "", false },
        { "[[1]", "[1];", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ps_buf seen = { 0 };
        const char *element;
        size_t at = 0, len;
        bool valid = false;
        while (ps_strict_array_next(cases[i].json, strlen(cases[i].json), &at, &element, &len,
                                    &valid)) {
            while (len && element[len - 1] == ' ')
                len--;
            ps_buf_put(&seen, element, len);
            ps_buf_put_char(&seen, ';');
        }
        if (valid != cases[i].valid || strcmp(ps_buf_cstr(&seen), cases[i].elements) != 0)
            fail_msg("%s: valid %d, '%s'", cases[i].json, valid, ps_buf_cstr(&seen));
        ps_buf_deinit(&seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_read_or_refused),
        cmocka_unit_test(arrays_are_stepped_through),
    };
    return cmocka_run_group_tests_name("rules.strict_json", tests, NULL, NULL);
}
