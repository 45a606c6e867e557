/* Promises of payload_json: shapes 3.1, leniency 3.2, typing 3.3, limits, and that no input,
 * however malformed or however large its parts, does worse than fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/json_text.h"
#include "core/payload_json.h"

static const struct ps_payload_rules cast_rules = { .type_cast = true };
static const struct ps_payload_rules strict_rules = { .type_cast = false };

/* ---- what was parsed, as text a table row can hold: {@ts key:type=value ...}{...} ---- */

static void show_value(struct ps_buf *out, const struct ps_value *value)
{
    static const char letters[] = "nblds";
    ps_buf_put_char(out, value->type == PS_VALUE_JSON ? 'j' : letters[value->type]);
    ps_buf_put_char(out, '=');
    ps_value_put_text(out, value);
}

static const char *show(struct ps_buf *out, const struct ps_payload *payload)
{
    ps_buf_clear(out);
    for (size_t i = 0; i < payload->entry_count; i++) {
        const struct ps_payload_entry *entry = &payload->entries[i];
        ps_buf_put_char(out, '{');
        if (entry->has_ts)
            ps_buf_printf(out, "@%lld%s", (long long)entry->ts_ms, entry->count ? " " : "");
        for (size_t k = 0; k < entry->count; k++) {
            const struct ps_kv *kv = &payload->kvs[entry->first + k];
            if (k)
                ps_buf_put_char(out, ' ');
            ps_buf_put(out, kv->key, kv->key_len);
            ps_buf_put_char(out, ':');
            show_value(out, &kv->value);
        }
        ps_buf_put_char(out, '}');
    }
    return ps_buf_cstr(out);
}

/* The input in a block of exactly its size, so that a sanitizer sees any read beyond. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len)
        memcpy(copy, text, len);
    return copy;
}

struct telemetry_case {
    const char *name, *text;
    const char *want; /* NULL: rejected as malformed */
};

static void check_case(const struct telemetry_case *c, const struct ps_payload_rules *rules)
{
    struct ps_payload payload = { 0 };
    struct ps_buf shown = { 0 };
    struct ps_text why = { "" };
    size_t len = strlen(c->text);
    char *text = exact_copy(c->text, len);
    enum ps_status st = ps_payload_parse_telemetry(&payload, text, len, rules, &why);
    const char *got = st == PS_OK ? show(&shown, &payload) : NULL;
    bool same = c->want ? got && strcmp(got, c->want) == 0 : st == PS_EPROTO;
    if (!same)
        fail_msg("%s: %s\n  got  %s (%s, %s)\n  want %s", c->name, c->text, got ? got : "failure",
                 ps_status_text(st), why.data, c->want ? c->want : "rejection");
    if (st != PS_OK) {
        assert_non_null(strstr(why.data, " at byte "));
        assert_int_equal(payload.entry_count, 0);
        assert_int_equal(payload.kv_count, 0);
    }
    ps_payload_deinit(&payload);
    ps_buf_deinit(&shown);
    free(text);
}

#define CHECK_CASES(cases, rules)                                                                  \
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases)[0]; i++)                                  \
    check_case(&(cases)[i], rules)

/* ---- 3.1 ---- */

static const struct telemetry_case shape_cases[] = {
    { "plain object", "{\"a\":1,\"b\":2}", "{a:l=1 b:l=2}" },
    { "ts and values", "{\"ts\":1451649600512,\"values\":{\"old\":1}}",
      "{@1451649600512 old:l=1}" },
    { "other members are dropped", "{\"ts\":5,\"values\":{\"old\":1},\"metadata\":{\"x\":1}}",
      "{@5 old:l=1}" },
    { "dropped before", "{\"metadata\":{\"x\":1},\"ts\":5,\"values\":{\"old\":1}}",
      "{@5 old:l=1}" },
    { "dropped between", "{\"ts\":5,\"q\":1,\"values\":{\"old\":1}}", "{@5 old:l=1}" },
    { "dropped members are not typed", "{\"q\":1e999,\"ts\":5,\"values\":{\"old\":1}}",
      "{@5 old:l=1}" },
    { "values first", "{\"values\":{\"old\":1},\"ts\":5}", "{@5 old:l=1}" },
    { "blanks everywhere", " { \"ts\" : 5 , \"values\" : { \"old\" : 1 } } ", "{@5 old:l=1}" },
    { "lenient spelling", "{ts:5,values={old:1}}", "{@5 old:l=1}" },
    { "escaped names", "{\"\\u0074s\":5,\"v\\u0061lues\":{\"old\":1}}", "{@5 old:l=1}" },
    { "last ts wins", "{\"ts\":5,\"values\":{\"old\":1},\"ts\":6}", "{@6 old:l=1}" },
    { "last values wins", "{\"ts\":5,\"values\":{\"old\":1},\"values\":{\"b\":2}}", "{@5 b:l=2}" },
    { "last values is no object", "{\"ts\":5,\"values\":{\"old\":1},\"values\":2}", NULL },
    { "values inside values are plain", "{\"ts\":5,\"values\":{\"ts\":6,\"values\":{\"a\":1}}}",
      "{@5 ts:l=6 values:j={\"a\":1}}" },
    { "empty values", "{\"ts\":5,\"values\":{}}", "{@5}" },
    { "array, mixed", "[{\"m1\":1},{\"ts\":1451649600000,\"values\":{\"m2\":2}},{}]",
      "{m1:l=1}{@1451649600000 m2:l=2}{}" },
    { "a repeated key stays in each element", "[{\"a\":1},{\"a\":2}]", "{a:l=1}{a:l=2}" },
    { "only ts", "{\"ts\":5}", "{ts:l=5}" },
    { "only values", "{\"values\":{\"a\": 1}}", "{values:j={\"a\":1}}" },
    { "only ts, text", "{\"ts\":\"x\"}", "{ts:s=x}" },
    { "empty object", "{}", "{}" },
    { "empty object with blanks", " {\n} ", "{}" },
    { "empty array", "[]", "" },
    { "array of empty object", "[{}]", "{}" },
    { "scalar", "5", NULL },
    { "text", "\"a\"", NULL },
    { "null", "null", NULL },
    { "empty payload", "", NULL },
    { "blank payload", "  ", NULL },
    { "array with a number", "[{\"a\":1},5]", NULL },
    { "array with null", "[null]", NULL },
    { "array with an omitted item", "[{\"a\":1},]", NULL },
    { "array in array", "[[{\"a\":1}]]", NULL },
    { "values a number", "{\"ts\":5,\"values\":1}", NULL },
    { "values null", "{\"ts\":5,\"values\":null}", NULL },
    { "values an array", "{\"ts\":5,\"values\":[{\"a\":1}]}", NULL },
    { "ts text of digits", "{\"ts\":\"1451649600512\",\"values\":{\"a\":1}}",
      "{@1451649600512 a:l=1}" },
    { "ts unquoted digits", "{ts:007,values:{a:1}}", "{@7 a:l=1}" },
    { "ts negative text", "{\"ts\":\"-5\",\"values\":{\"a\":1}}", "{@-5 a:l=1}" },
    { "ts negative", "{\"ts\":-1,\"values\":{\"a\":1}}", "{@-1 a:l=1}" },
    { "ts with fraction", "{\"ts\":1451649600512.9,\"values\":{\"a\":1}}",
      "{@1451649600512 a:l=1}" },
    { "ts with negative fraction", "{\"ts\":-1.9,\"values\":{\"a\":1}}", "{@-1 a:l=1}" },
    { "ts with exponent", "{\"ts\":1.4516e12,\"values\":{\"a\":1}}", "{@1451600000000 a:l=1}" },
    { "ts least", "{\"ts\":-9223372036854775808,\"values\":{}}", "{@-9223372036854775808}" },
    { "ts greatest", "{\"ts\":9223372036854775807,\"values\":{}}", "{@9223372036854775807}" },
    { "ts beyond", "{\"ts\":9223372036854775808,\"values\":{}}", NULL },
    { "ts text beyond", "{\"ts\":\"9223372036854775808\",\"values\":{}}", NULL },
    { "ts exponent beyond", "{\"ts\":1e401,\"values\":{}}", NULL },
    { "ts null", "{\"ts\":null,\"values\":{\"a\":1}}", NULL },
    { "ts null, last", "{\"values\":{\"a\":1},\"ts\":null}", NULL },
    { "both null", "{\"values\":null,\"ts\":null}", NULL },
    { "ts boolean", "{\"ts\":true,\"values\":{\"a\":1}}", NULL },
    { "ts object", "{\"ts\":{},\"values\":{\"a\":1}}", NULL },
    { "ts array", "{\"ts\":[5],\"values\":{\"a\":1}}", NULL },
    { "ts text", "{\"ts\":\"x\",\"values\":{\"a\":1}}", NULL },
    { "ts empty text", "{\"ts\":\"\",\"values\":{\"a\":1}}", NULL },
    { "ts only a sign", "{\"ts\":\"-\",\"values\":{\"a\":1}}", NULL },
    { "ts text with fraction", "{\"ts\":\"1.5\",\"values\":{\"a\":1}}", NULL },
};

static void shapes_are_told_apart(void **state)
{
    (void)state;
    CHECK_CASES(shape_cases, &cast_rules);
}

/* ---- 3.2 ---- */

static const struct telemetry_case lenient_cases[] = {
    { "unquoted name", "{temperature:25}", "{temperature:l=25}" },
    { "unquoted text", "{a:on}", "{a:s=on}" },
    { "single quotes", "{'a b':'c \"d\"'}", "{a b:s=c \"d\"}" },
    { "name is a number", "{1:2,-3.5:4}", "{1:l=2 -3.5:l=4}" },
    { "name is a keyword", "{true:1,null:2}", "{true:l=1 null:l=2}" },
    { "token ends at a comment", "{a:on#x\n}", "{a:s=on}" },
    { "token ends at =", "{a=b}", "{a:s=b}" },
    { "token ends at \\", "{a:b\\c}", NULL },
    { "quote inside a word", "{a:b\"c}", "{a:s=b\"c}" },
    { "line comment", "{//x\n\"a\"://y\r1//z\n}", "{a:l=1}" },
    { "hash comment", "#x\n{#y\n\"a\":1#z\n}", "{a:l=1}" },
    { "block comment", "/*x*/{/**/\"a\"/***/:/*\n*/1/*{*/,/*y*/b:2}", "{a:l=1 b:l=2}" },
    { "block comment without end", "{\"a\":1/*}", NULL },
    { "block comment that is half", "{\"a\":1/*/}", NULL },
    { "lone slash", "{\"a\":/1}", NULL },
    { "comment after the value", "{\"a\":1}//x", NULL },
    { "hash after the value", "{\"a\":1}#x", NULL },
    { "blanks after the value", "{\"a\":1} \t\r\n", "{a:l=1}" },
    { "semicolon", "{\"a\":1;\"b\":2}", "{a:l=1 b:l=2}" },
    { "semicolon in array", "[{\"a\":1};{\"b\":2}]", "{a:l=1}{b:l=2}" },
    { "equals", "{\"a\"=1}", "{a:l=1}" },
    { "arrow", "{\"a\" => 1}", "{a:l=1}" },
    { "arrow apart", "{\"a\"= >1}", "{a:s=>1}" },
    { "omitted items", "{\"j\":[1,,2]}", "{j:j=[1,null,2]}" },
    { "omitted last item", "{\"j\":[1,]}", "{j:j=[1,null]}" },
    { "only omitted items", "{\"j\":[,;]}", "{j:j=[null,null,null]}" },
    { "keywords in any case", "{a:TRUE,b:False,c:nULL,d:tRuE}", "{a:b=true b:b=false d:b=true}" },
    { "keywords inside", "{j:[TRUE,False,nULL]}", "{j:j=[true,false,null]}" },
    { "more than a keyword", "{a:truex,b:nul}", "{a:s=truex b:s=nul}" },
    { "control characters", "{\"a\nb\":\"c\td\x01\"}", "{a\nb:s=c\td\x01}" },
    { "escaped apostrophe", "{\"a\":\"\\'\"}", "{a:s='}" },
    { "all escapes", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"}", "{a:s=\"\\/\b\f\n\r\tA}" },
    { "unknown escape", "{\"a\":\"\\x\"}", NULL },
    { "short unicode escape", "{\"a\":\"\\u12\"}", NULL },
    { "bad unicode escape", "{\"a\":\"\\u12G4\"}", NULL },
    { "unicode escapes", "{\"a\":\"\\u00e9\\u20AC\\uD83D\\uDE00\"}",
      "{a:s=\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80}" },
    { "high surrogate alone", "{\"a\":\"\\uD83Dx\"}", "{a:s=\xEF\xBF\xBDx}" },
    { "low surrogate alone", "{\"a\":\"\\uDE00\"}", "{a:s=\xEF\xBF\xBD}" },
    { "two low surrogates", "{\"a\":\"\\uDE00\\uDE00\"}", "{a:s=\xEF\xBF\xBD\xEF\xBF\xBD}" },
    { "two high surrogates", "{\"a\":\"\\uD83D\\uD83D\\uDE00\"}",
      "{a:s=\xEF\xBF\xBD\xF0\x9F\x98\x80}" },
    { "escape in a name", "{\"\\u0061\":1}", "{a:l=1}" },
    { "byte order mark", "\xEF\xBB\xBF{\"a\":1}", "{a:l=1}" },
    { "second byte order mark", "\xEF\xBB\xBF\xEF\xBB\xBF{\"a\":1}", NULL },
    { "guard line", ")]}'\n{\"a\":1}", "{a:l=1}" },
    { "guard line, CR LF", ")]}'\r\n{\"a\":1}", "{a:l=1}" },
    { "mark and guard line", "\xEF\xBB\xBF)]}'\n{\"a\":1}", "{a:l=1}" },
    { "guard without line end", ")]}'{\"a\":1}", NULL },
    { "NaN and Infinity", "{a:NaN,b:Infinity,c:-Infinity}",
      "{a:s=NaN b:s=Infinity c:s=-Infinity}" },
    { "near numbers", "{a:01,b:+1,c:.5,d:1.,e:0x1F,f:-,g:1e,h:-01}",
      "{a:s=01 b:s=+1 c:s=.5 d:s=1. e:s=0x1F f:s=- g:s=1e h:s=-01}" },
    { "number and more", "{a:1a,b:1\"}", "{a:s=1a b:s=1\"}" },
    { "trailing comma", "{\"a\":1,}", NULL },
    { "trailing semicolon", "{\"a\":1;}", NULL },
    { "leading comma", "{,\"a\":1}", NULL },
    { "missing value", "{\"a\":}", NULL },
    { "missing value, more", "{\"a\":,\"b\":1}", NULL },
    { "missing colon", "{\"a\" 1}", NULL },
    { "missing comma", "{\"a\":1 \"b\":2}", NULL },
    { "name alone", "{a}", NULL },
    { "name empty", "{:1}", NULL },
    { "quoted name empty", "{\"\":1}", "{:l=1}" },
    { "second value", "{\"a\":1}{\"a\":1}", NULL },
    { "second value after comma", "{\"a\":1},{\"a\":1}", NULL },
    { "wrong bracket", "{\"a\":1]", NULL },
    { "wrong bracket inside", "{\"a\":[1}]", NULL },
    { "wrong brace", "[{\"a\":1}}", NULL },
    { "unterminated object", "{\"a\":1", NULL },
    { "unterminated after name", "{\"a\"", NULL },
    { "unterminated after colon", "{\"a\":", NULL },
    { "unterminated array", "[{\"a\":1}", NULL },
    { "unterminated array after comma", "[{\"a\":1},", NULL },
    { "unterminated text", "{\"a\":\"b}", NULL },
    { "unterminated escape", "{\"a\":\"b\\", NULL },
    { "unterminated name", "{\"a", NULL },
    { "unterminated word", "{a:tru", NULL },
    { "unterminated number", "{a:12", NULL },
    { "unterminated inner", "{a:{b:[1", NULL },
    { "duplicate name", "{\"a\":1,\"b\":2,\"a\":\"x\"}", "{a:s=x b:l=2}" },
    { "duplicate in two spellings", "{\"a\":1,'\\u0061':2}", "{a:l=2}" },
    { "duplicate, last null", "{\"a\":1,\"a\":null}", "{}" },
    { "duplicate, first null", "{\"a\":null,\"a\":1}", "{a:l=1}" },
    { "duplicates, more than a few", "{a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9,b:0,j:1,a:2,a:3}",
      "{a:l=3 b:l=0 c:l=3 d:l=4 e:l=5 f:l=6 g:l=7 h:l=8 i:l=9 j:l=1}" },
    { "duplicates inside", "{j:{a:1,b:{x:1,x:2},a:{y:1,y:[3]},c:3}}",
      "{j:j={\"a\":{\"y\":[3]},\"b\":{\"x\":2},\"c\":3}}" },
    { "invalid UTF-8", "{\"a\xFF\":\"\xC3(\xE2\x82\xF0\x9F\x98\"}",
      "{a\xEF\xBF\xBD:s=\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD}" },
    { "surrogates in UTF-8", "{a:\xED\xA0\x80}", "{a:s=\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD}" },
    { "overlong UTF-8", "{a:'\xC0\xAF'}", "{a:s=\xEF\xBF\xBD\xEF\xBF\xBD}" },
    { "valid UTF-8", "{\"\xC3\xA9\":\"\xF0\x9F\x98\x80\",\xE2\x82\xAC:\xC3\xA9}",
      "{\xC3\xA9:s=\xF0\x9F\x98\x80 \xE2\x82\xAC:s=\xC3\xA9}" },
    { "form feed is no blank", "{\"a\":\f1}", NULL },
};

static void lenient_grammar_is_accepted(void **state)
{
    (void)state;
    CHECK_CASES(lenient_cases, &cast_rules);
}

/* ---- 3.3 ---- */

static const struct telemetry_case typing_cases[] = {
    { "all types", "{\"t\":22.5,\"n\":7,\"b\":true,\"s\":\"x\",\"j\":{\"a\":[1]},\"z\":null}",
      "{t:d=22.5 n:l=7 b:b=true s:s=x j:j={\"a\":[1]}}" },
    { "only null", "{\"z\":null}", "{}" },
    { "JSON, compact", "{\"j\": [ 1 , { \"b\" : 1.50 , a : 1E+5 } , 'x' ] }",
      "{j:j=[1,{\"b\":1.50,\"a\":1E+5},\"x\"]}" },
    { "JSON, empty", "{\"j\":{},\"k\":[]}", "{j:j={} k:j=[]}" },
    { "JSON, escapes", "{j:[\"\\u000a\\u001f\\u00e9\\/\\\"\\\\\"]}",
      "{j:j=[\"\\n\\u001f\xC3\xA9/\\\"\\\\\"]}" },
    { "JSON keeps any number", "{j:[1e999,-0,123456789012345678901234567890]}",
      "{j:j=[1e999,-0,123456789012345678901234567890]}" },
    { "LONG", "{a:42,b:-0,c:1e3,d:2.5e1,e:1.0E10}",
      "{a:l=42 b:l=0 c:l=1000 d:l=25 e:l=10000000000}" },
    { "LONG, odd spellings", "{a:1e-0,b:0e5,c:0.0e-5,d:100e-2,e:1E+2,f:2.50e1,g:-0e0,h:1e00000003}",
      "{a:l=1 b:l=0 c:l=0 d:l=1 e:l=100 f:l=25 g:l=0 h:l=1000}" },
    { "LONG, limits", "{a:9223372036854775807,b:-9223372036854775808,c:9.223372036854775807e18}",
      "{a:l=9223372036854775807 b:l=-9223372036854775808 c:l=9223372036854775807}" },
    { "LONG, 15 and 16 digits", "{a:999999999999999,b:1000000000000001}",
      "{a:l=999999999999999 b:l=1000000000000001}" },
    { "beyond LONG", "{a:9223372036854775808,b:1e19,c:-9223372036854775809,d:1.5e20}",
      "{a:s=9223372036854775808 b:s=10000000000000000000 c:s=-9223372036854775809 "
      "d:s=150000000000000000000}" },
    { "DOUBLE", "{a:42.0,b:1.5e-3,c:1e-16,d:-0.5}", "{a:d=42.0 b:d=0.0015 c:d=1e-16 d:d=-0.5}" },
    { "DOUBLE of many places (B26)",
      "{a:0.30000000000000004,b:1e-17,c:1.00000000000000000,d:1.00000000000000000000001}",
      "{a:d=0.30000000000000004 b:d=1e-17 c:d=1.0 d:d=1.0}" },
    { "DOUBLE, odd spellings", "{a:-0.0,b:0.10,c:1e-400,d:25e-1,e:10000000.0}",
      "{a:d=-0.0 b:d=0.1 c:d=0.0 d:d=2.5 e:d=10000000.0}" },
    { "DOUBLE, halfway", "{a:9007199254740993.0,b:9007199254740993.00000000000000000000000001}",
      "{a:d=9007199254740992.0 b:d=9007199254740994.0}" },
    { "DOUBLE, digits beyond 64 bits", "{a:18446744073709551617.5}",
      "{a:d=18446744073709552000.0}" },
    { "exponent 400", "{a:0e400,b:0.0e-400}", "{a:l=0 b:l=0}" },
    { "exponent beyond 400", "{a:1e401}", NULL },
    { "exponent beyond -400", "{a:1e-401}", NULL },
    { "exponent of zero", "{a:0e401}", NULL },
    { "exponent without bound", "{a:1e99999999999999999999}", NULL },
    { "text that is a number",
      "{a:\"42\",b:\"3.14\",c:\"007\",d:\".5\",e:'3.50',f:\"-7\",g:\"-.5\"}",
      "{a:l=42 b:d=3.14 c:l=7 d:d=0.5 e:d=3.5 f:l=-7 g:d=-0.5}" },
    { "escaped text that is a number", "{a:\"\\u0034\\u0032\"}", "{a:l=42}" },
    { "text of a large number", "{a:\"009223372036854775808\",b:\"-0\",c:\"000\"}",
      "{a:s=9223372036854775808 b:l=0 c:l=0}" },
    { "other text",
      "{a:\"1e5\",b:\" 42\",c:\"+1\",d:\"5.\",e:\"true\",f:\"\",g:\"-\",h:\".\",i:\"1.2.3\"}",
      "{a:s=1e5 b:s= 42 c:s=+1 d:s=5. e:s=true f:s= g:s=- h:s=. i:s=1.2.3}" },
    { "more other text", "{a:\"--1\",b:\"1-\",c:\"-.\",d:\"0x1\",e:\"NaN\",f:\"1 \"}",
      "{a:s=--1 b:s=1- c:s=-. d:s=0x1 e:s=NaN f:s=1 }" },
};

static const struct telemetry_case no_cast_cases[] = {
    { "strings stay strings", "{a:\"42\",b:\"3.14\",c:\"007\"}", "{a:s=42 b:s=3.14 c:s=007}" },
    { "numbers are numbers", "{a:42,b:1e3,c:42.0}", "{a:l=42 b:l=1000 c:d=42.0}" },
    { "beyond LONG", "{a:9223372036854775808}", NULL },
    { "beyond LONG with exponent", "{a:1e19}", NULL },
};

static void values_get_their_types(void **state)
{
    (void)state;
    CHECK_CASES(typing_cases, &cast_rules);
    CHECK_CASES(no_cast_cases, &strict_rules);
}

/* ---- errors ---- */

static const struct why_case {
    const char *text, *want;
} why_cases[] = {
    { "{\"a\":}", "expected a value at byte 5" },
    { "{\"a\":1,}", "expected a name at byte 7" },
    { "{\"a\":", "unexpected end at byte 5" },
    { "{\"a\" 1}", "expected ':' at byte 5" },
    { "{\"a\":1} x", "text after the value at byte 8" },
    { "5", "neither an object nor an array at byte 0" },
    { "[{},5]", "array item is not an object at byte 4" },
    { "{\"ts\":\"x\",\"values\":{}}", "ts is not a number at byte 6" },
    { "{\"ts\":1,\"values\":5}", "values is not an object at byte 17" },
    { "{\"a\":1e401}", "exponent out of range at byte 5" },
};

static void errors_say_what_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof why_cases / sizeof why_cases[0]; i++) {
        struct ps_payload payload = { 0 };
        struct ps_text why = { "" };
        const char *text = why_cases[i].text;
        assert_int_equal(
            ps_payload_parse_telemetry(&payload, text, strlen(text), &cast_rules, &why), PS_EPROTO);
        assert_string_equal(why.data, why_cases[i].want);
        assert_int_equal(
            ps_payload_parse_telemetry(&payload, text, strlen(text), &cast_rules, NULL), PS_EPROTO);
        ps_payload_deinit(&payload);
    }
}

/* ---- limits ---- */

static enum ps_status parse_once(const char *text, size_t len, const struct ps_payload_rules *rules)
{
    struct ps_payload payload = { 0 };
    struct ps_text why;
    enum ps_status st = ps_payload_parse_telemetry(&payload, text, len, rules, &why);
    ps_payload_deinit(&payload);
    return st;
}

static enum ps_status parse_nested(const char *prefix, size_t depth, const char *suffix)
{
    struct ps_buf text = { 0 };
    ps_buf_put_text(&text, prefix);
    for (size_t i = 0; i < depth; i++)
        ps_buf_put_text(&text, i % 2 ? "{\"a\":" : "[");
    ps_buf_put_char(&text, '1');
    for (size_t i = depth; i-- > 0;)
        ps_buf_put_char(&text, i % 2 ? '}' : ']');
    ps_buf_put_text(&text, suffix);
    enum ps_status st = parse_once(text.data, text.len, &cast_rules);
    ps_buf_deinit(&text);
    return st;
}

static void nesting_ends_at_255(void **state)
{
    (void)state;
    assert_int_equal(parse_nested("{\"a\":", 254, "}"), PS_OK);
    assert_int_equal(parse_nested("{\"a\":", 255, "}"), PS_EPROTO);
    assert_int_equal(parse_nested("[{\"a\":", 253, "}]"), PS_OK);
    assert_int_equal(parse_nested("[{\"a\":", 254, "}]"), PS_EPROTO);
    assert_int_equal(parse_nested("[{\"ts\":1,\"values\":{\"a\":", 252, "}}]"), PS_OK);
    assert_int_equal(parse_nested("[{\"ts\":1,\"values\":{\"a\":", 253, "}}]"), PS_EPROTO);
    assert_int_equal(parse_nested("{\"a\":", 1000000, "}"), PS_EPROTO);
}

static void long_strings_are_over_a_limit(void **state)
{
    (void)state;
    struct ps_payload_rules rules = { .type_cast = true, .string_len_max = 3 };
    const char *fits[] = { "{a:abc}",          "{\"a\":\"abc\"}",         "{'abcd':\"\\u0061bc\"}",
                           "{a:'\xC3\xA9xy'}", "{a:'\xF0\x9F\x98\x80x'}", "{a:12345,b:[abcdef]}",
                           "{a:123}" };
    const char *too_long[] = { "{a:abcd}", "{\"a\":\"abcd\"}", "{\"a\":\"1234\"}",
                               "{a:'\xF0\x9F\x98\x80xy'}", "{a:'\xC3\xA9xyz'}" };
    for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++)
        assert_int_equal(parse_once(fits[i], strlen(fits[i]), &rules), PS_OK);
    for (size_t i = 0; i < sizeof too_long / sizeof too_long[0]; i++)
        assert_int_equal(parse_once(too_long[i], strlen(too_long[i]), &rules), PS_ELIMIT);
}

static void too_many_key_values_are_over_a_limit(void **state)
{
    (void)state;
    struct ps_payload_rules rules = { .type_cast = true, .kv_count_max = 3 };
    const char *fits[] = { "{a:1,b:2,c:3}", "[{a:1},{b:2},{c:3}]", "{ts:1,values:{a:1,b:2,c:3}}",
                           "{a:1,q:2,ts:1,values:{a:1,b:2,c:3}}" };
    const char *too_many[] = { "{a:1,b:2,c:3,d:4}", "[{a:1},{b:2},{c:3},{d:4}]",
                               "{ts:1,values:{a:1,b:2,c:3,d:4}}" };
    for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++)
        assert_int_equal(parse_once(fits[i], strlen(fits[i]), &rules), PS_OK);
    for (size_t i = 0; i < sizeof too_many / sizeof too_many[0]; i++)
        assert_int_equal(parse_once(too_many[i], strlen(too_many[i]), &rules), PS_ELIMIT);
}

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Each takes milliseconds when linear and minutes when quadratic; the bound is far from both. */
static void cost_is_linear(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    double start = cpu_seconds();
    struct ps_buf keys = { 0 }, digits = { 0 }, nested = { 0 };
    ps_buf_put_text(&keys, "{");
    for (int i = 0; i < MANY; i++)
        ps_buf_printf(&keys, "%skey%d:%d", i ? "," : "", i % (MANY / 2), i);
    ps_buf_put_text(&keys, "}");
    ps_buf_printf(&nested, "{j:%s}", ps_buf_cstr(&keys));
    ps_buf_put_text(&digits, "{a:");
    for (int i = 0; i < MANY; i++)
        ps_buf_put_text(&digits, "1234567890");
    ps_buf_put_text(&digits, "e-400}");

    struct ps_payload payload = { 0 };
    assert_int_equal(ps_payload_parse_telemetry(&payload, keys.data, keys.len, &cast_rules, NULL),
                     PS_OK);
    assert_int_equal(payload.kv_count, MANY / 2);
    assert_int_equal(payload.kvs[7].value.integer, MANY / 2 + 7);
    assert_int_equal(
        ps_payload_parse_telemetry(&payload, nested.data, nested.len, &cast_rules, NULL), PS_OK);
    assert_int_equal(payload.kv_count, 1);
    assert_int_equal(parse_once(digits.data, digits.len, &cast_rules), PS_EPROTO);
    assert_true(cpu_seconds() - start < 20);
    ps_payload_deinit(&payload);
    ps_buf_deinit(&keys);
    ps_buf_deinit(&digits);
    ps_buf_deinit(&nested);
}

/* ---- long numbers ---- */

static double parse_double(const char *text)
{
    struct ps_payload payload = { 0 };
    struct ps_buf doc = { 0 };
    ps_buf_printf(&doc, "{\"a\":%s}", text);
    assert_int_equal(ps_payload_parse_telemetry(&payload, doc.data, doc.len, &cast_rules, NULL),
                     PS_OK);
    assert_int_equal(payload.kv_count, 1);
    assert_int_equal(payload.kvs[0].value.type, PS_VALUE_DOUBLE);
    double value = payload.kvs[0].value.real;
    ps_payload_deinit(&payload);
    ps_buf_deinit(&doc);
    return value;
}

static void any_number_of_digits_is_rounded_once(void **state)
{
    (void)state;
    struct ps_buf text = { 0 };
    ps_buf_put_text(&text, "9007199254740993."); /* halfway; ties to even below */
    for (int i = 0; i < 5000; i++)
        ps_buf_put_char(&text, '0');
    assert_true(parse_double(ps_buf_cstr(&text)) == 9007199254740992.0);
    ps_buf_put_char(&text, '1'); /* a little more than halfway */
    assert_true(parse_double(ps_buf_cstr(&text)) == 9007199254740994.0);
    ps_buf_clear(&text);
    ps_buf_put_text(&text, "0.");
    for (int i = 0; i < 300; i++)
        ps_buf_put_char(&text, '0');
    ps_buf_put_text(&text, "123456789012345678901234567890");
    assert_true(parse_double(ps_buf_cstr(&text)) == 1.2345678901234567890123456789e-301);
    ps_buf_deinit(&text);
}

static void a_fraction_beyond_double_is_refused(void **state)
{
    (void)state;
    struct ps_buf text = { 0 };
    ps_buf_put_text(&text, "{a:");
    for (int i = 0; i < 400; i++)
        ps_buf_put_char(&text, '9');
    ps_buf_put_text(&text, ".5}");
    assert_int_equal(parse_once(text.data, text.len, &cast_rules), PS_EPROTO);
    assert_int_equal(parse_once(text.data, text.len, &strict_rules), PS_EPROTO);
    ps_buf_deinit(&text);
}

/* ---- attributes (4.1) ---- */

static void attributes_are_one_object(void **state)
{
    (void)state;
    struct ps_payload payload = { 0 };
    struct ps_buf shown = { 0 };
    struct ps_text why;
    const char *good = "{\"fw\":\"1.0\",\"n\":3,\"ts\":5,\"values\":{\"a\": 1}}";
    assert_int_equal(ps_payload_parse_attributes(&payload, good, strlen(good), &cast_rules, &why),
                     PS_OK);
    assert_string_equal(show(&shown, &payload), "{fw:d=1.0 n:l=3 ts:l=5 values:j={\"a\":1}}");
    assert_int_equal(ps_payload_parse_attributes(&payload, "{}", 2, &cast_rules, &why), PS_OK);
    assert_string_equal(show(&shown, &payload), "{}");
    const char *bad[] = { "[{\"a\":1}]", "[]", "5", "null", "", "{\"a\":1", "{\"a\":1}{}" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum ps_status st =
            ps_payload_parse_attributes(&payload, bad[i], strlen(bad[i]), &cast_rules, &why);
        assert_int_equal(st, PS_EPROTO);
        assert_int_equal(payload.entry_count, 0);
    }
    ps_buf_deinit(&shown);
    ps_payload_deinit(&payload);
}

/* ---- attribute requests (4.2) ---- */

static const struct request_case {
    const char *name, *text, *want; /* "client names|shared names", '-' = not given */
} request_cases[] = {
    { "both", "{\"clientKeys\":\"a,b\",\"sharedKeys\":\"c,d\"}", "<a><b>|<c><d>" },
    { "neither", "{}", "-|-" },
    { "one", "{\"sharedKeys\":\"c\"}", "-|<c>" },
    { "trailing commas", "{\"clientKeys\":\"a,b,,\"}", "<a><b>|-" },
    { "empty names between", "{\"clientKeys\":\",a,,b\"}", "<a><b>|-" },
    { "no trimming", "{\"clientKeys\":\"a, b \"}", "<a>< b >|-" },
    { "empty text is absent", "{\"clientKeys\":\"\",\"sharedKeys\":''}", "-|-" },
    { "only commas", "{\"clientKeys\":\",\"}", "|-" },
    { "array", "{\"clientKeys\":[\"a\",\"b,c\",\"\"],\"sharedKeys\":[]}", "<a><b,c>|-" },
    { "others are ignored", "{\"id\":[1,{}],\"x\":null,\"sharedKeys\":\"c\",\"y\":1e999}",
      "-|<c>" },
    { "last wins", "{\"clientKeys\":\"a\",\"sharedKeys\":\"c\",\"clientKeys\":\"b\"}", "<b>|<c>" },
    { "lenient", "{clientKeys='a,\\u0062';sharedKeys:c}", "<a><b>|<c>" },
    { "number", "{\"clientKeys\":5}", "<5>|-" },
    { "null", "{\"clientKeys\":null}", NULL },
    { "object", "{\"clientKeys\":{}}", NULL },
    { "array with a number", "{\"clientKeys\":[\"a\",1]}", NULL },
    { "array with null", "{\"clientKeys\":[null]}", NULL },
    { "array with an omitted item", "{\"clientKeys\":[\"a\",]}", NULL },
    { "array in array", "{\"clientKeys\":[[\"a\"]]}", NULL },
    { "no object", "[]", NULL },
    { "text", "\"a\"", NULL },
    { "empty payload", "", NULL },
    { "unterminated", "{\"clientKeys\":\"a\"", NULL },
    { "trailing comma", "{\"clientKeys\":\"a\",}", NULL },
};

static void show_scope(struct ps_buf *out, bool given, const struct ps_value *names, size_t count)
{
    if (!given)
        ps_buf_put_char(out, '-');
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(names[i].type, PS_VALUE_STRING);
        ps_buf_put_char(out, '<');
        ps_buf_put(out, names[i].text, names[i].len);
        ps_buf_put_char(out, '>');
    }
}

static void attribute_requests_name_their_keys(void **state)
{
    (void)state;
    struct ps_payload payload = { 0 };
    struct ps_buf shown = { 0 };
    for (size_t i = 0; i < sizeof request_cases / sizeof request_cases[0]; i++) {
        const struct request_case *c = &request_cases[i];
        struct ps_attribute_request request;
        struct ps_text why = { "" };
        enum ps_status st =
            ps_payload_parse_attribute_request(&payload, c->text, strlen(c->text), &request, &why);
        ps_buf_clear(&shown);
        if (st == PS_OK) {
            show_scope(&shown, request.has_client, request.client, request.client_count);
            ps_buf_put_char(&shown, '|');
            show_scope(&shown, request.has_shared, request.shared, request.shared_count);
        }
        const char *got = st == PS_OK ? ps_buf_cstr(&shown) : NULL;
        if (c->want ? !got || strcmp(got, c->want) != 0 : st != PS_EPROTO)
            fail_msg("%s: got %s (%s), want %s", c->name, got ? got : "failure", why.data,
                     c->want ? c->want : "rejection");
        assert_int_equal(payload.entry_count, 0);
        assert_int_equal(payload.kv_count, 0);
    }
    ps_buf_deinit(&shown);
    ps_payload_deinit(&payload);
}

/* ---- ps_json_compact ---- */

static const struct compact_case {
    const char *text, *want;
} compact_cases[] = {
    { " { a : [ 1 , , TRUE ] ; 'b' => x } ", "{\"a\":[1,null,true],\"b\":\"x\"}" },
    { "5", "5" },
    { " \"a\\u0062\"\n", "\"ab\"" },
    { "null", "null" },
    { "word", "\"word\"" },
    { "{\"a\":1.50,\"b\":-0,\"a\":2E1}", "{\"a\":2E1,\"b\":-0}" },
    { "[]", "[]" },
    { "", NULL },
    { "[1", NULL },
    { "{a:1,}", NULL },
    { "1 2", NULL },
    { "]", NULL },
    { ",", NULL },
};

static void any_value_is_written_compactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof compact_cases / sizeof compact_cases[0]; i++) {
        const char *text = compact_cases[i].text, *want = compact_cases[i].want;
        struct ps_buf out = { 0 };
        struct ps_text why;
        ps_buf_put_text(&out, "before:");
        enum ps_status st = ps_json_compact(text, strlen(text), &out, &why);
        assert_int_equal(st, want ? PS_OK : PS_EPROTO);
        assert_memory_equal(ps_buf_cstr(&out), "before:", 7);
        assert_string_equal(ps_buf_cstr(&out) + 7, want ? want : "");
        ps_buf_deinit(&out);
    }
}

/* ---- random documents ---- */

/* xorshift64*: the same documents on every machine. */
struct dice {
    uint64_t state;
};

static uint64_t roll_bits(struct dice *dice)
{
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return dice->state * 0x2545F4914F6CDD1Du;
}

static unsigned roll(struct dice *dice, unsigned sides)
{
    return (unsigned)(roll_bits(dice) >> 33) % sides;
}

static void put_random_blank(struct dice *dice, struct ps_buf *out)
{
    static const char *const blanks[] = {
        "", "", "", " ", "\n\t", "/*}*/", "#,\n", "//\"\r", "  "
    };
    ps_buf_put_text(out, blanks[roll(dice, sizeof blanks / sizeof blanks[0])]);
}

/* One character of text as any spelling between quotes of this kind. */
static void put_random_char(struct dice *dice, struct ps_buf *out, char c, char quote)
{
    if (c == quote || c == '\\' || roll(dice, 8) == 0)
        ps_buf_printf(out, roll(dice, 2) ? "\\u%04x" : "\\u%04X", (unsigned char)c);
    else
        ps_buf_put_char(out, c);
}

static void put_random_text(struct dice *dice, struct ps_buf *out, const char *text, size_t len)
{
    char quote = roll(dice, 3) ? '"' : '\'';
    ps_buf_put_char(out, quote);
    for (size_t i = 0; i < len; i++)
        put_random_char(dice, out, text[i], quote);
    ps_buf_put_char(out, quote);
}

struct random_document {
    struct ps_kv kvs[40];
    char texts[40][2][24]; /* keys and string values */
    size_t count;
};

/* ASCII with control characters, never text that would be cast. */
static uint32_t fill_random_text(struct dice *dice, char *text, char first)
{
    uint32_t len = 1 + roll(dice, 20);
    text[0] = first;
    for (uint32_t i = 1; i < len; i++)
        text[i] = (char)(1 + roll(dice, 126));
    return len;
}

static double random_double(struct dice *dice)
{
    double value;
    do {
        uint64_t bits = roll_bits(dice);
        memcpy(&value, &bits, sizeof value);
    } while (value - value != 0); /* NaN or infinite */
    return roll(dice, 2) ? value : (double)(int32_t)roll_bits(dice) / 100;
}

static void fill_random_kv(struct dice *dice, struct random_document *doc, size_t i)
{
    static const char *const json[] = { "{}", "[]", "[1,\"a\",null]", "{\"a\":{\"b\":[1.50]}}" };
    struct ps_kv *kv = &doc->kvs[i];
    kv->key = doc->texts[i][0];
    kv->key_len = fill_random_text(dice, doc->texts[i][0], 'k');
    kv->key_len += (uint32_t)sprintf(doc->texts[i][0] + kv->key_len, "%zu", i); /* never twice */
    kv->value.type = (enum ps_value_type)(1 + roll(dice, 5));
    if (kv->value.type == PS_VALUE_BOOLEAN) {
        kv->value.boolean = roll(dice, 2);
    } else if (kv->value.type == PS_VALUE_LONG) {
        kv->value.integer = (int64_t)(roll_bits(dice) << roll(dice, 63)) >> roll(dice, 63);
    } else if (kv->value.type == PS_VALUE_DOUBLE) {
        kv->value.real = random_double(dice);
    } else if (kv->value.type == PS_VALUE_STRING) {
        kv->value.text = doc->texts[i][1];
        kv->value.len = fill_random_text(dice, doc->texts[i][1], 's');
    } else {
        kv->value.text = json[roll(dice, 4)];
        kv->value.len = (uint32_t)strlen(kv->value.text);
    }
}

static void put_random_value(struct dice *dice, struct ps_buf *out, const struct ps_value *value)
{
    if (value->type == PS_VALUE_STRING) {
        put_random_text(dice, out, value->text, value->len);
    } else if (value->type == PS_VALUE_LONG && roll(dice, 4) == 0) {
        ps_buf_printf(out, "%llde0", (long long)value->integer);
    } else if (value->type == PS_VALUE_LONG && roll(dice, 4) == 0) {
        ps_buf_printf(out, "\"%lld\"", (long long)value->integer); /* cast */
    } else if (value->type == PS_VALUE_BOOLEAN && roll(dice, 2)) {
        ps_buf_put_text(out, value->boolean ? "True" : "FALSE");
    } else if (value->type == PS_VALUE_DOUBLE) {
        double large = value->real < 0 ? -value->real : value->real;
        if (large >= 1e15) /* with an exponent it might be integral, so: all its digits */
            ps_buf_printf(out, "%.1f", value->real);
        else if (roll(dice, 2) && large > 1e-3)
            ps_buf_printf(out, "%.20f", value->real);
        else if (roll(dice, 2) && large > 0 && large <= 1e-3)
            ps_buf_printf(out, "%.17e", value->real);
        else
            ps_json_put_double(out, value->real);
    } else {
        ps_json_put_value(out, value);
    }
}

static void put_random_document(struct dice *dice, struct ps_buf *out, struct random_document *doc)
{
    static const char *const colons[] = { ":", ":", "=", "=>" };
    ps_buf_clear(out);
    ps_buf_put_char(out, '{');
    for (size_t i = 0; i < doc->count; i++) {
        put_random_blank(dice, out);
        put_random_text(dice, out, doc->kvs[i].key, doc->kvs[i].key_len);
        put_random_blank(dice, out);
        ps_buf_put_text(out, colons[roll(dice, 4)]);
        put_random_blank(dice, out);
        put_random_value(dice, out, &doc->kvs[i].value);
        put_random_blank(dice, out);
        ps_buf_put_text(out, i + 1 == doc->count ? "}" : roll(dice, 4) ? "," : ";");
    }
    if (doc->count == 0)
        ps_buf_put_char(out, '}');
}

static void check_same_kvs(const struct random_document *doc, const struct ps_payload *payload,
                           const char *text)
{
    if (payload->kv_count != doc->count)
        fail_msg("%zu key-values, want %zu: %s", payload->kv_count, doc->count, text);
    for (size_t i = 0; i < doc->count; i++) {
        const struct ps_kv *got = &payload->kvs[i], *want = &doc->kvs[i];
        if (got->key_len != want->key_len || memcmp(got->key, want->key, got->key_len) != 0 ||
            !ps_value_equal(&got->value, &want->value))
            fail_msg("key-value %zu differs: %s", i, text);
    }
}

static void any_spelling_gives_the_same_key_values(void **state)
{
    (void)state;
    struct dice dice = { 20240517 };
    struct ps_payload payload = { 0 };
    struct ps_buf text = { 0 };
    struct random_document doc;
    for (int round = 0; round < 5000; round++) {
        doc.count = roll(&dice, 40);
        for (size_t i = 0; i < doc.count; i++)
            fill_random_kv(&dice, &doc, i);
        put_random_document(&dice, &text, &doc);
        struct ps_text why = { "" };
        enum ps_status st =
            ps_payload_parse_telemetry(&payload, text.data, text.len, &cast_rules, &why);
        if (st != PS_OK)
            fail_msg("%s: %s", why.data, ps_buf_cstr(&text));
        check_same_kvs(&doc, &payload, ps_buf_cstr(&text));
    }
    ps_buf_deinit(&text);
    ps_payload_deinit(&payload);
}

static void parse_as_everything(struct ps_payload *payload, const char *text, size_t len)
{
    struct ps_text why;
    struct ps_attribute_request request;
    struct ps_buf out = { 0 };
    (void)!ps_payload_parse_telemetry(payload, text, len, &cast_rules, &why);
    (void)!ps_payload_parse_telemetry(payload, text, len, &strict_rules, &why);
    (void)!ps_payload_parse_attributes(payload, text, len, &cast_rules, &why);
    (void)!ps_payload_parse_attribute_request(payload, text, len, &request, &why);
    (void)!ps_json_compact(text, len, &out, &why);
    ps_buf_deinit(&out);
}

/* Under a sanitizer this is the proof that nothing is read beyond the payload. */
static void mutated_payloads_do_no_harm(void **state)
{
    (void)state;
    static const char *const bytes = "{}[]:,;=>\"'\\/#*\n 0-1.eEtun\xEF\xFF\x80";
    struct dice dice = { 77 };
    struct ps_payload payload = { 0 };
    size_t case_count = sizeof lenient_cases / sizeof lenient_cases[0];
    for (int round = 0; round < 20000; round++) {
        const char *seed = round % 2 ? lenient_cases[roll(&dice, (unsigned)case_count)].text
                                     : "[{\"ts\":1700000000000,\"values\":{\"a\":1.5,\"b\":"
                                       "{\"c\":[1,\"\\u20ac\"]}}},{\"d\":true}]";
        size_t len = strlen(seed);
        char *text = exact_copy(seed, len);
        for (unsigned n = roll(&dice, 4); n > 0 && len > 0; n--)
            text[roll(&dice, (unsigned)len)] = bytes[roll(&dice, (unsigned)strlen(bytes))];
        char *cut = exact_copy(text, len = len ? roll(&dice, (unsigned)len + 1) : 0);
        parse_as_everything(&payload, cut, len);
        free(text);
        free(cut);
    }
    ps_payload_deinit(&payload);
}

/* ---- memory ---- */

/* The linker puts these in place of the C library's (see CMakeLists.txt). */
static int64_t allocations_left = INT64_MAX, allocations_made;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool may_allocate(void)
{
    allocations_made++;
    return allocations_left-- > 0;
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
    return may_allocate() ? __real_realloc(old, size) : NULL;
}

static const char memory_document[] =
    "[{\"a\":1,\"b\":\"\\n\",\"c\":[1, {\"x\":1,\"x\":2}],\"d\":1e19,c:5,e:1,f:1,g:1,h:1,i:1,j:1},"
    "{\"values\":{\"a\":1},\"ts\":5}]";
static const char memory_request[] = "{clientKeys:'a,b,\\u0063',sharedKeys:[x,\"\\u0064\"],z:[1]}";

/* Let every allocation fail once, the n-th in the n-th round, until all succeed. */
static void missing_memory_is_only_a_failure(void **state)
{
    (void)state;
    enum ps_status st = PS_ENOMEM;
    for (int n = 0; st == PS_ENOMEM; n++) {
        struct ps_payload payload = { 0 };
        allocations_left = n;
        st = ps_payload_parse_telemetry(&payload, memory_document, strlen(memory_document),
                                        &cast_rules, NULL);
        allocations_left = INT64_MAX;
        assert_int_equal(payload.entry_count, st == PS_OK ? 2 : 0);
        ps_payload_deinit(&payload);
    }
    assert_int_equal(st, PS_OK);
    st = PS_ENOMEM;
    for (int n = 0; st == PS_ENOMEM; n++) {
        struct ps_payload payload = { 0 };
        struct ps_attribute_request request;
        allocations_left = n;
        st = ps_payload_parse_attribute_request(&payload, memory_request, strlen(memory_request),
                                                &request, NULL);
        allocations_left = INT64_MAX;
        ps_payload_deinit(&payload);
    }
    assert_int_equal(st, PS_OK);
    st = PS_ENOMEM;
    for (int n = 0; st == PS_ENOMEM; n++) {
        struct ps_buf out = { 0 };
        allocations_left = n;
        st = ps_json_compact(memory_document, strlen(memory_document), &out, NULL);
        allocations_left = INT64_MAX;
        assert_true(st == PS_OK || out.len == 0);
        ps_buf_deinit(&out);
    }
    assert_int_equal(st, PS_OK);
}

static void a_warm_payload_allocates_nothing(void **state)
{
    (void)state;
    struct ps_payload payload = { 0 };
    struct ps_attribute_request request;
    for (int round = 0; round < 3; round++) {
        int64_t before = allocations_made;
        assert_int_equal(ps_payload_parse_telemetry(&payload, memory_document,
                                                    strlen(memory_document), &cast_rules, NULL),
                         PS_OK);
        assert_int_equal(ps_payload_parse_attribute_request(&payload, memory_request,
                                                            strlen(memory_request), &request, NULL),
                         PS_OK);
        assert_true(round == 0 || allocations_made == before);
    }
    ps_payload_deinit(&payload);
}

static void plain_text_stays_in_the_input(void **state)
{
    (void)state;
    const char *text = "{\"key\":\"value\",\"j\":{\"a\":[1,2]},\"\xC3\xA9\":\"\xE2\x82\xAC\"}";
    struct ps_payload payload = { 0 };
    assert_int_equal(ps_payload_parse_telemetry(&payload, text, strlen(text), &cast_rules, NULL),
                     PS_OK);
    assert_int_equal(payload.kv_count, 3);
    for (size_t i = 0; i < payload.kv_count; i++) {
        const struct ps_kv *kv = &payload.kvs[i];
        assert_true(kv->key > text && kv->key < text + strlen(text));
        assert_true(kv->value.text > text && kv->value.text < text + strlen(text));
    }
    ps_payload_deinit(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_told_apart),
        cmocka_unit_test(lenient_grammar_is_accepted),
        cmocka_unit_test(values_get_their_types),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(nesting_ends_at_255),
        cmocka_unit_test(long_strings_are_over_a_limit),
        cmocka_unit_test(too_many_key_values_are_over_a_limit),
        cmocka_unit_test(cost_is_linear),
        cmocka_unit_test(any_number_of_digits_is_rounded_once),
        cmocka_unit_test(a_fraction_beyond_double_is_refused),
        cmocka_unit_test(attributes_are_one_object),
        cmocka_unit_test(attribute_requests_name_their_keys),
        cmocka_unit_test(any_value_is_written_compactly),
        cmocka_unit_test(any_spelling_gives_the_same_key_values),
        cmocka_unit_test(mutated_payloads_do_no_harm),
        cmocka_unit_test(missing_memory_is_only_a_failure),
        cmocka_unit_test(a_warm_payload_allocates_nothing),
        cmocka_unit_test(plain_text_stays_in_the_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
