/* Patterns match as the reference manual (6.4.1) describes them, also where they are hard. Seen
 * from a script, so find, match, gmatch and gsub are in it. */
#include "lua_fixture.h"

#include "rules/lua/pattern.h"

static const struct pattern_case {
    const char *expression, *want;
} pattern_cases[] = {
    { "('hello world'):find('wor')", "7" },
    { "select(2, ('hello world'):find('wor'))", "9" },
    { "('a.b'):find('.', 1, true)", "2" },
    { "('a.b'):find('%.')", "2" },
    { "('abc'):find('') .. select(2, ('abc'):find(''))", "10" },
    { "('abc'):find('', 10) == nil", "true" },
    { "('abc'):find('', 4)", "4" },
    { "('abcabc'):find('b', 3)", "5" },
    { "('abcabc'):find('b', -2)", "5" },
    { "('abc'):find('b', -10)", "2" },
    { "('abc'):find('x') == nil", "true" },
    { "('key = 42'):match('^(%w+)%s*=%s*(%d+)$')", "key" },
    { "select(2, ('key = 42'):match('^(%w+)%s*=%s*(%d+)$'))", "42" },
    { "('  trim  '):match('^%s*(.-)%s*$') .. '|'", "trim|" },
    { "('abc'):match('()b()') + select(2, ('abc'):match('()b()'))", "5" },
    { "('aXb'):match('%u') .. ('aXb'):match('%l') .. ('a1'):match('%d')", "Xa1" },
    { "('a1'):match('%D') .. ('a b'):match('%S+') .. ('a,b'):match('%p')", "aa," },
    { "('\\t\\1x'):match('%c+'):len() .. ('fF0g'):match('%x+')", "2fF0" },
    { "(' a'):match('%g') .. ('_a'):match('%a') .. ('_9'):match('%w')", "aa9" },
    { "('a-z]'):match('[a%-z%]]+')", "a-z]" },
    { "('x]'):match('[]x]+')", "x]" },
    { "('x^'):match('[x^]+')", "x^" },
    { "('abc1'):match('[^%d]+')", "abc" },
    { "('a^b'):match('[^a]+')", "^b" },
    { "('abc-'):match('[a-c-]+')", "abc-" },
    { "('-a'):match('[+-]')", "-" },
    { "('\\0ab'):match('%z') == nil", "true" },
    { "('\\0ab'):find('\\0a')", "1" },
    { "('a\\0b'):match('[\\0]b'):len()", "2" },
    { "('aaa'):match('a-') .. '|' .. ('aaab'):match('a-b')", "|aaab" },
    { "('aaa'):match('a?a?a?a?') .. ('b'):match('a*') .. '|'", "aaa|" },
    { "('aab'):match('a+b') .. tostring(('b'):match('a+b'))", "aabnil" },
    { "('f(a(b)c)d'):match('%b()')", "(a(b)c)" },
    { "('THE (quick) fox'):find('%f[%a]%a+%f[%A]', 5)", "6" },
    { "('THE END'):match('%f[%w]%w+$')", "END" },
    { "('\"it\\'s\"'):match('([\"\\'])(.-)%1')", "\"" },
    { "select(2, ('\"it\\'s\"'):match('([\"\\'])(.-)%1'))", "it's" },
    { "('abab'):match('(ab)%1')", "ab" },
    { "('a$b'):match('a$b') .. ('a$'):match('%$$')", "a$b$" },
    { "('a^b'):match('a^b')", "a^b" },
    { "('abc'):match('((a)(b))')", "ab" },
    { "('abc'):gsub('%w', '%0%0')", "aabbcc" },
    { "select(2, ('abc'):gsub('%w', '%0%0'))", "3" },
    { "('abc'):gsub('', '-')", "-a-b-c-" },
    { "('abc'):gsub('b*', 'x')", "xaxcx" },
    { "('hello world'):gsub('o', '0', 1)", "hell0 world" },
    { "('hello'):gsub('l', {l = 'L'})", "heLLo" },
    { "('hello'):gsub('(h)(e)', '%2%1')", "ehllo" },
    { "('hello'):gsub('l', function() return nil end)", "hello" },
    { "('hello'):gsub('l', function() return 7 end)", "he77o" },
    { "('abc'):gsub('()', '%1')", "1a2b3c4" },
    { "('100%'):gsub('%%', '%%%%')", "100%%" },
    { "('aaa'):gsub('^a', 'b')", "baa" },
    { "('$name is $age'):gsub('%$(%w+)', {name = 'x', age = 3})", "x is 3" },
    { "(function() local t = {} for w in ('one two'):gmatch('%a+') do t[#t+1] = w end return t "
      "end)()",
      "[\"one\",\"two\"]" },
    { "(function() local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[k] = v end "
      "return t end)()",
      "{\"a\":\"1\",\"b\":\"2\"}" },
    { "(function() local n = 0 for w in ('abc'):gmatch('') do n = n + 1 end return n end)()", "4" },
    { "(function() local t = {} for w in ('a^a'):gmatch('^a') do t[#t+1] = w end return t end)()",
      "[\"^a\"]" },
    { "(function() local t = {} for w in ('abc'):gmatch('%w', 2) do t[#t+1] = w end return t "
      "end)()",
      "[\"b\",\"c\"]" },
    { "('x'):rep(5000):match('^x*$'):len()", "5000" },
    { "('x'):rep(500):match(('x?'):rep(100) .. 'x*$'):len()", "500" },
    { "('abcdefghijklmnopqrstuvwxyz'):match(('(%w)'):rep(26))", "a" },
};

static void patterns_match_as_the_manual_says(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof pattern_cases / sizeof pattern_cases[0]; i++) {
        char source[512];
        snprintf(source, sizeof source, "return (%s)", pattern_cases[i].expression);
        if (run_text(&f, source) != PS_OK)
            fail_msg("%s: %s", pattern_cases[i].expression, f.error.message);
        if (strcmp(f.text.data, pattern_cases[i].want) != 0)
            fail_msg("%s is \"%s\" instead of \"%s\"", pattern_cases[i].expression, f.text.data,
                     pattern_cases[i].want);
    }
    fixture_deinit(&f);
}

static const char *const bad_patterns[][2] = {
    { "[a", "malformed pattern (missing ']')" },
    { "[]", "malformed pattern (missing ']')" },
    { "[%", "malformed pattern (missing ']')" },
    { "%", "malformed pattern (ends with '%')" },
    { "(a", "unfinished capture" },
    { ".)", "invalid pattern capture" },
    { "%1", "invalid capture index" },
    { "(a%1)", "invalid capture index" },
    { "%b(", "missing arguments to '%b'" },
    { "%fa", "missing '[' after '%f' in pattern" },
};

static void bad_patterns_are_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof bad_patterns / sizeof bad_patterns[0]; i++) {
        static const char *const calls[] = { "('abc'):find('%s')", "('abc'):match('%s')",
                                             "('abc'):gmatch('%s')()", "('abc'):gsub('%s', '')" };
        for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
            struct ps_buf source = { 0 };
            const char *hole = strstr(calls[k], "%s");
            ps_buf_put_text(&source, "return ");
            ps_buf_put(&source, calls[k], (size_t)(hole - calls[k]));
            ps_buf_put_text(&source, bad_patterns[i][0]);
            ps_buf_put_text(&source, hole + 2);
            expect_error(&f, run_text(&f, ps_buf_cstr(&source)), PS_SCRIPT_ERROR_RUNTIME,
                         bad_patterns[i][1], ps_buf_cstr(&source));
            ps_buf_deinit(&source);
        }
    }
    static const char *const bad_uses[][2] = {
        { "('a'):gsub('a', '%2')", "invalid capture index %2" },
        { "('a'):gsub('a', '%x')", "invalid use of '%' in replacement string" },
        { "('a'):gsub('a', '%')", "invalid use of '%' in replacement string" },
        { "('a'):gsub('a', function() return {} end)", "invalid replacement value (a table)" },
        { "('a'):gsub('a')", "string/function/table expected" },
        { "('a'):find(('()'):rep(33))", "too many captures" },
    };
    for (size_t i = 0; i < sizeof bad_uses / sizeof bad_uses[0]; i++) {
        char source[128];
        snprintf(source, sizeof source, "return %s", bad_uses[i][0]);
        expect_error(&f, run_text(&f, source), PS_SCRIPT_ERROR_RUNTIME, bad_uses[i][1], source);
    }
    fixture_deinit(&f);
}

static void matching_stops_when_the_steps_are_used_up(void **state)
{
    (void)state;
    static const char text[] = ".-.-.-.-b";
    struct ps_pattern_item items[sizeof text];
    struct ps_pattern pattern;
    struct ps_pattern_match match;
    const char *why;
    char subject[2000];
    int64_t steps = 10000;
    memset(subject, 'a', sizeof subject);
    assert_int_equal(ps_pattern_read(text, sizeof text - 1, true, items, &pattern, &why), PS_OK);
    assert_int_equal(ps_pattern_find(&pattern, subject, sizeof subject, 0, &steps, &match),
                     PS_ELIMIT);
    assert_true(steps <= 0 && steps > -2000);
    steps = 10000;
    subject[100] = 'b';
    assert_int_equal(ps_pattern_find(&pattern, subject, sizeof subject, 0, &steps, &match), PS_OK);
    assert_int_equal(match.end, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_the_manual_says),
        cmocka_unit_test(bad_patterns_are_told),
        cmocka_unit_test(matching_stops_when_the_steps_are_used_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
