/* Each function of the library (contract 5.4) gives the value its description promises. */
#include "lua_fixture.h"

#include "core/clock.h"

static const struct expression_case {
    const char *expression, *want;
} expression_cases[] = {
    /* json */
    { "json.encode({b=1,a={1,2.0,'x'},c=true})", "{\"a\":[1,2.0,\"x\"],\"b\":1,\"c\":true}" },
    { "json.encode({})", "{}" },
    { "json.encode(json.array({}))", "[]" },
    { "json.encode({[1]='a',[2]='b'})", "[\"a\",\"b\"]" },
    { "json.encode({[1]='a',[3]='b'})", "{\"1\":\"a\",\"3\":\"b\"}" },
    { "json.encode({[1.5]=1})", "{\"1.5\":1}" },
    { "json.encode(json.null)", "null" },
    { "json.encode({a={b=1},l={}},{indent=true})",
      "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"l\": {}\n}" },
    { "json.encode({1,2},{indent=true})", "[\n  1,\n  2\n]" },
    { "json.encode('a\"b\\\\c\\n')", "\"a\\\"b\\\\c\\n\"" },
    { "json.decode('{\"a\":null,\"b\":[1,null]}')", "{\"b\":[1,null]}" },
    { "json.decode('null') == json.null", "true" },
    { "json.decode('[]')", "[]" },
    { "json.decode('{}')", "{}" },
    { "json.decode(' [1 , -2.5e1,\"\\\\u00e4\\\\ud83d\\\\ude00\\\\/\"] ')",
      "[1,-25.0,\"\303\244\360\237\230\200/\"]" },
    { "json.decode('{\"a\":1,\"a\":2}').a", "2" },
    { "math.type(json.decode('9223372036854775807'))", "integer" },
    { "math.type(json.decode('9223372036854775808'))", "float" },
    { "json.is_array(json.array{})", "true" },
    { "json.is_array({})", "false" },
    { "json.is_array({1,2})", "true" },
    { "json.is_array({a=1})", "false" },
    { "json.is_array('x')", "false" },
    /* time */
    { "time.now()", "1700000000123" },
    { "time.iso(1700000000000)", "2023-11-14T22:13:20Z" },
    { "time.iso(1700000000007)", "2023-11-14T22:13:20.007Z" },
    { "time.iso(-1)", "1969-12-31T23:59:59.999Z" },
    { "time.format(1700000000000, '%Y-%m-%d %H:%M:%S %j %u %z %Z %F %T %%')",
      "2023-11-14 22:13:20 318 2 +0000 UTC 2023-11-14 22:13:20 %" },
    { "time.format(1700000000000, '%F %T %z', '+05:30')", "2023-11-15 03:43:20 +0530" },
    { "time.format(1700000000000, '%z', '-0330')", "-0330" },
    { "time.parse('2023-11-14T22:13:20Z')", "1700000000000" },
    { "time.parse('2023-11-14T22:13:20.5+02:00')", "1699992800500" },
    { "time.parse('2023-11-14')", "1699920000000" },
    { "time.parse('2023-11-14 22:13')", "1699999980000" },
    { "time.parse('14.11.2023 22:13', '%d.%m.%Y %H:%M')", "1699999980000" },
    { "time.parse('14.11.2023 22:13', '%d.%m.%Y %H:%M', '+01:00')", "1699996380000" },
    { "time.parse('2023-318', '%Y-%j')", "1699920000000" },
    { "select('#', time.parse('2023-02-30')) .. tostring((time.parse('2023-02-30')))", "2nil" },
    { "select(2, time.parse('soon'))", "not a time of this format" },
    { "time.parts(1700000000123)", "{\"day\":14,\"hour\":22,\"min\":13,\"month\":11,\"ms\":123,"
                                   "\"sec\":20,\"wday\":2,\"yday\":318,"
                                   "\"year\":2023}" },
    { "time.parts(1700000000123, '+02:00').day", "15" },
    { "time.iso(time.start_of(1700000000123, 'hour'))", "2023-11-14T22:00:00Z" },
    { "time.iso(time.start_of(1700000000123, 'day'))", "2023-11-14T00:00:00Z" },
    { "time.iso(time.start_of(1700000000123, 'week'))", "2023-11-13T00:00:00Z" },
    { "time.iso(time.start_of(1700000000123, 'month'))", "2023-11-01T00:00:00Z" },
    { "time.iso(time.start_of(1700000000123, 'year'))", "2023-01-01T00:00:00Z" },
    { "time.iso(time.start_of(1700000000123, 'day', '+02:00'))", "2023-11-14T22:00:00Z" },
    /* bytes */
    { "bytes.u8('\\x01\\xff', 1)", "255" },
    { "bytes.i8('\\x01\\xff', 1)", "-1" },
    { "bytes.u16('\\x12\\x34', 0)", "4660" },
    { "bytes.u16('\\x12\\x34', 0, 'le')", "13330" },
    { "bytes.i16('\\xff\\xfe', 0, 'be')", "-2" },
    { "bytes.u24('\\x01\\x02\\x03', 0)", "66051" },
    { "bytes.i24('\\xff\\xff\\xfe', 0)", "-2" },
    { "bytes.u32('\\xff\\xff\\xff\\xff', 0)", "4294967295" },
    { "bytes.i32('\\xff\\xff\\xff\\xff', 0)", "-1" },
    { "bytes.i64('\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe', 0)", "-2" },
    { "bytes.f32('\\x41\\xac\\x00\\x00', 0)", "21.5" },
    { "bytes.f64('\\x00\\x00\\x00\\x00\\x00\\x80\\x35\\x40', 0, 'le')", "21.5" },
    { "bytes.uint('\\x01\\x02\\x03\\x04\\x05', 0, 5)", "4328719365" },
    { "bytes.int('\\xff\\xff\\xff\\xff\\xfe', 0, 5)", "-2" },
    { "bytes.int('\\xfe\\xff', 0, 2, 'le')", "-2" },
    { "bytes.bits('\\xa5\\xc3', 4, 8)", "92" },
    { "bytes.bits('\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff', 1, 63)", "9223372036854775807" },
    { "bytes.bit(5, 0) .. bytes.bit(5, 1) .. bytes.bit(5, 2)", "101" },
    { "bytes.bcd('\\x12\\x34', 0, 2)", "1234" },
    { "bytes.ascii('abc\\0def', 1, 5)", "bc" },
    { "hex.encode(bytes.from_array({1, 255, -1, -128}))", "01ffff80" },
    { "bytes.to_array('\\x00\\xff')", "[0,255]" },
    { "bytes.to_array('')", "[]" },
    { "bytes.reverse('abc')", "cba" },
    /* hex, base64, url */
    { "hex.encode('\\x00\\xab')", "00ab" },
    { "hex.decode('0x41 42:43')", "ABC" },
    { "base64.encode('')", "" },
    { "base64.encode('f') .. base64.encode('fo') .. base64.encode('foo')", "Zg==Zm8=Zm9v" },
    { "base64.decode('Zg==') .. base64.decode('Zm8') .. base64.decode('Zm9v')", "ffofoo" },
    { "hex.encode(base64.decode('-_-_'))", "fbffbf" },
    { "hex.encode(base64.decode('+/+/'))", "fbffbf" },
    { "url.encode('a b/c?d=\\u{e4}~-._')", "a%20b%2Fc%3Fd%3D%C3%A4~-._" },
    { "url.decode('a%20b+c%2F')", "a b c/" },
    /* hash */
    { "hash.md5('abc')", "900150983cd24fb0d6963f7d28e17f72" },
    { "hash.sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { "hash.sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "#hash.sha512('abc')", "128" },
    { "hash.hmac_sha256('key', 'The quick brown fox jumps over the lazy dog')",
      "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8" },
    { "hash.crc16_modbus('123456789')", "19255" },
    { "hash.crc16_ccitt('123456789')", "10673" },
    { "hash.crc32('123456789')", "3421780262" },
    /* num */
    { "num.round(1.005, 2)", "1.01" },
    { "num.round(2.5)", "3" },
    { "num.round(-2.5)", "-3" },
    { "num.round(2.4)", "2" },
    { "num.round(0.4)", "0" },
    { "num.round(0.5)", "1" },
    { "num.round(-0.2)", "0" },
    { "num.round(9.995, 2)", "10.0" },
    { "num.round(99.95, 1)", "100.0" },
    { "num.round(0.024, 3)", "0.024" },
    { "num.round(3, 2)", "3.0" },
    { "num.round(3)", "3" },
    { "num.round(1234, -2)", "1200" },
    { "num.round(1250.0, -2)", "1300" },
    { "num.round(1e-7, 3)", "0.0" },
    { "num.round(1e15)", "1000000000000000" },
    { "num.round(0.049, 1)", "0.0" },
    { "math.type(num.round(2.0, 0))", "integer" },
    { "math.type(num.round(2, 1))", "float" },
    { "num.clamp(5, 0, 3) .. num.clamp(-5, 0, 3) .. num.clamp(2, 0, 3)", "302" },
    { "tostring(num.finite(1/0)) .. tostring(num.finite(0/0)) .. tostring(num.finite(1)) .. "
      "tostring(num.finite('1'))",
      "falsefalsetruefalse" },
    { "num.map(5, 0, 10, 100, 200)", "150.0" },
    /* tbl */
    { "tbl.get({a={b={10,{c=7}}}}, 'a.b.1.c')", "7" },
    { "tbl.get({a={b={10,{c=7}}}}, 'a.b.0')", "10" },
    { "tbl.get({a=1}, 'a.b', 'none')", "none" },
    { "tbl.get({a=1}, 'x', 5)", "5" },
    { "tbl.get(msg, 'env.list.0')", "1" },
    { "tbl.flatten({env={t=21.5,h=40},l={1,{x=2}}})",
      "{\"env.h\":40,\"env.t\":21.5,\"l.0\":1,\"l.1.x\":2}" },
    { "tbl.flatten({a={b=1}}, '/')", "{\"a/b\":1}" },
    { "tbl.flatten({a={}, b=json.null})", "{\"a\":{},\"b\":null}" },
    { "tbl.keys({b=1,a=2,[1]=3})", "[\"1\",\"a\",\"b\"]" },
    { "tbl.keys({})", "[]" },
    { "(function() local a={x={1}} local b=tbl.copy(a) b.x[1]=2 return a.x[1] end)()", "1" },
    { "tbl.merge({a=1,b=1},{b=2,c=3})", "{\"a\":1,\"b\":2,\"c\":3}" },
    { "tostring(tbl.is_empty({})) .. tostring(tbl.is_empty({1}))", "truefalse" },
    /* str */
    { "str.split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]" },
    { "str.split('', ',')", "[\"\"]" },
    { "str.split('a..b', '..')", "[\"a\",\"b\"]" },
    { "'[' .. str.trim('  a b \\n') .. ']'", "[a b]" },
    { "tostring(str.starts('abc','ab')) .. tostring(str.starts('a','ab'))", "truefalse" },
    { "tostring(str.ends('abc','bc')) .. tostring(str.ends('c','bc'))", "truefalse" },
    { "str.pad_start('7', 3, '0') .. str.pad_end('7', 3) .. '|'", "0077  |" },
    { "str.pad_start('abcd', 3)", "abcd" },
    /* geo */
    { "num.round(geo.distance(60.1699, 24.9384, 59.4370, 24.7536) / 1000, 1)", "82.1" },
    { "geo.in_circle(60, 25, 60, 25.001, 60)", "true" },
    { "geo.in_circle(60, 25, 60, 25.01, 60)", "false" },
    { "geo.in_polygon(1, 1, {{0,0},{0,2},{2,2},{2,0}})", "true" },
    { "geo.in_polygon(3, 1, {{0,0},{0,2},{2,2},{2,0}})", "false" },
    /* uuid */
    { "#uuid.v4() .. uuid.v4():sub(15,15)", "364" },
    { "uuid.v4() ~= uuid.v4()", "true" },
    /* ctx */
    { "ctx.tenantId", "01000000-0000-0000-0000-000000000000" },
    { "ctx.originatorType .. ctx.originatorId", "DEVICE02000000-0000-0000-0000-000000000000" },
    { "ctx.customerId", "03000000-0000-0000-0000-000000000000" },
    { "#ctx.msgId == 36 and ctx.msgId == ctx.msgId", "true" },
    { "ctx.ts", "1700000000000" },
    { "ctx.nodeName .. ctx.attempt", "My node2" },
    { "ctx.ruleChainId .. tostring(ctx.nodeId)", "04000000-0000-0000-0000-000000000000nil" },
    { "tostring(ctx.nothing)", "nil" },
    { "(function() local n = 0 for k, v in pairs(ctx) do n = n + 1 end return n end)()", "9" },
    { "json.decode(json.encode(ctx)).attempt", "2" },
    /* Lua's own, as far as we changed it */
    { "tostring({})", "table" },
    { "tostring(print)", "function" },
    { "tostring(json.null)", "null" },
    { "tostring(1.5) .. tostring(2) .. tostring(nil) .. tostring(true)", "1.52niltrue" },
    { "tostring(setmetatable({}, {__tostring = function() return 'mine' end}))", "mine" },
    { "string.format('%s %d %5.1f %q %%', {}, 3, 2.25, 'x')", "table 3   2.2 \"x\" %" },
    { "string.format('%s', setmetatable({}, {__tostring = function() return 'mine' end}))",
      "mine" },
    { "string.rep('ab', 3, '-')", "ab-ab-ab" },
    { "string.rep('', 1000000000)", "" },
    { "('x'):rep(0) .. ('x'):rep(-1)", "" },
    { "('abc'):upper():lower():reverse():sub(1,2) .. #'abc'", "cb3" },
    { "string.unpack('>I2', string.pack('>I2', 258))", "258" },
    { "string.byte('A') .. string.char(66)", "65B" },
    { "'10' + 5", "15" },
    { "table.concat({1,2,3}, '-')", "1-2-3" },
    { "table.concat({1,2,3}, '-', 2, 3)", "2-3" },
    { "table.concat({})", "" },
    { "(function() local t = {1,2} table.insert(t, 3) table.insert(t, 1, 0) return t end)()",
      "[0,1,2,3]" },
    { "(function() local t = {1,2,3} return table.remove(t, 1) .. table.remove(t) .. #t end)()",
      "131" },
    { "table.remove({}) == nil", "true" },
    { "table.move({1,2,3}, 1, 3, 2)", "[1,1,2,3]" },
    { "table.move({1,2,3}, 2, 3, 1)", "[2,3,3]" },
    { "table.move({1,2}, 1, 2, 1, {})", "[1,2]" },
    { "table.pack(1, nil, 3).n", "3" },
    { "select('#', table.unpack({1, 2, nil, 4}, 1, 4))", "4" },
    { "(function() local t = {3,1,2,5,4} table.sort(t) return t end)()", "[1,2,3,4,5]" },
    { "(function() local t = {3,1,2} table.sort(t, function(a, b) return a > b end) return t "
      "end)()",
      "[3,2,1]" },
    { "(function() local t = {'b','a','c'} table.sort(t) return t end)()", "[\"a\",\"b\",\"c\"]" },
    { "rawlen({1,2}) .. rawlen('abc')", "23" },
    { "rawget(setmetatable({}, {__index = {a = 1}}), 'a') == nil", "true" },
    { "rawset({}, 'a', 1).a", "1" },
    { "next({}) == nil", "true" },
    { "next({a=1})", "a" },
    { "(function() local t = {} for k, v in pairs({a=1,b=2}) do t[k] = v end return t end)()",
      "{\"a\":1,\"b\":2}" },
    { "(function() local t = {} for k, v in pairs(setmetatable({}, {__pairs = function() return "
      "next, {z=1} end})) do t[k] = v end return t end)()",
      "{\"z\":1}" },
    { "(function() local n = 0 for k in pairs(math) do n = n + 1 end return n > 20 end)()",
      "true" },
    { "math.randomseed == nil and math.random() < 1", "true" },
    { "select(2, pcall(error, 'x'))", "x" },
    { "select('#', pcall(function() return 1, 2 end))", "3" },
    { "select(2, xpcall(function() error('x', 0) end, function(m) return m .. '!' end))", "x!" },
    { "select('#', xpcall(function(...) return ... end, print, 1, 2))", "3" },
    { "utf8.char(228) .. utf8.len('\303\244\303\266')", "\303\2442" },
};

static void library_functions_give_what_they_promise(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_uuid chain = { { 4 } };
    fixture_init(&f);
    f.ctx =
        (struct ps_script_context){ .rule_chain = &chain, .node_name = "My node", .attempt = 2 };
    ps_clock_set_for_test(1700000000123, 5000000000);
    for (size_t i = 0; i < sizeof expression_cases / sizeof expression_cases[0]; i++) {
        const struct expression_case *c = &expression_cases[i];
        char source[1024];
        snprintf(source, sizeof source, "return (%s)", c->expression);
        if (run_text(&f, source) != PS_OK)
            fail_msg("%s: %s", c->expression, f.error.message);
        if (strcmp(f.text.data, c->want) != 0)
            fail_msg("%s is \"%s\" instead of \"%s\"", c->expression, f.text.data, c->want);
    }
    ps_clock_set_for_test(-1, -1);
    fixture_deinit(&f);
}

static const struct error_case {
    const char *expression, *message;
} error_cases[] = {
    { "json.decode('')", "json: unexpected end at byte 0" },
    { "json.decode('{\"a\":1,}')", "json: expected a key at byte 7" },
    { "json.decode('[1,]')", "json: unexpected character" },
    { "json.decode('01')", "json: bad number" },
    { "json.decode('1.')", "json: bad number" },
    { "json.decode('-')", "json: bad number" },
    { "json.decode('1e999')", "json: number too large" },
    { "json.decode('\"a')", "json: string without end" },
    { "json.decode('\"\\n\"')", "json: control character" },
    { "json.decode('\"\\\\x\"')", "json: bad escape" },
    { "json.decode('\"\\\\u12\"')", "json: bad \\u escape" },
    { "json.decode('1 2')", "json: text behind the value at byte 2" },
    { "json.decode('nul')", "json: unexpected character" },
    { "json.decode(('['):rep(65))", "json: nested deeper than 64" },
    { "json.encode(print)", "a function has no JSON form" },
    { "json.encode(0/0)", "NaN has no JSON form" },
    { "json.encode({1/0})", "infinity has no JSON form" },
    { "json.encode('\\xff')", "string is not UTF-8" },
    { "json.encode({['\\xff']=1})", "key is not UTF-8" },
    { "json.encode({[true]=1})", "a boolean cannot be a key" },
    { "json.encode({[1]=1,['1']=2,x=1})", "two keys become \"1\"" },
    { "(function() local t = {} t.t = t return json.encode(t) end)()", "nested deeper than 64" },
    { "json.array(setmetatable({}, {}))", "the table has a metatable" },
    { "time.iso(1e300)", "time out of range" },
    { "time.format(0, '%Q')", "unknown directive '%Q'" },
    { "time.format(0, '%F', 'Mars/Base')", "unknown time zone 'Mars/Base'" },
    { "time.start_of(0, 'eon')", "invalid option 'eon'" },
    { "bytes.u16('abc', 2)", "bytes.u16: offset 2 needs 2 bytes, the string has 3" },
    { "bytes.u8('abc', -1)", "bytes.u8: offset -1 needs 1 bytes" },
    { "bytes.u8('abc', math.maxinteger)", "needs 1 bytes" },
    { "bytes.uint('abc', 0, 9)", "length must be 1 to 8" },
    { "bytes.bits('a', 4, 5)", "bytes.bits: offset 0 needs 2 bytes, the string has 1" },
    { "bytes.bits('a', 0, 64)", "number of bits must be 1 to 63" },
    { "bytes.bcd('\\xa1', 0, 1)", "has no decimal digits" },
    { "bytes.u16('ab', 0, 'me')", "invalid option 'me'" },
    { "bytes.from_array({256})", "element 1 is not an integer of -128 to 255" },
    { "hex.decode('abc')", "odd number of digits" },
    { "hex.decode('zz')", "not a hex digit at byte 1" },
    { "base64.decode('a')", "wrong length" },
    { "base64.decode('Zg=')", "wrong length" },
    { "base64.decode('Z*==')", "bad character at byte 2" },
    { "base64.decode('Zg==Zg==')", "bad character at byte 5" },
    { "url.decode('%4')", "bad escape at byte 1" },
    { "num.round(0/0)", "not a finite number" },
    { "num.round(1e300)", "does not fit an integer" },
    { "num.clamp(1, 3, 2)", "hi is below lo" },
    { "num.map(1, 2, 2, 3, 4)", "the first range is empty" },
    { "str.split('a', '')", "separator is empty" },
    { "geo.in_polygon(1, 1, {{0,0},{0,2},5})", "corner 3 is not {lat, lon}" },
    { "string.format('%p', {})", "invalid conversion '%p' to 'format'" },
    { "string.format('%-5p', {})", "invalid conversion '%p' to 'format'" },
    { "table.concat({1, {}})", "invalid value (at index 2) in table for 'concat'" },
    { "table.insert({}, 5, 1)", "position out of bounds" },
    { "table.unpack({}, 1, 1e8)", "" },
    { "tbl.copy((function() local t = {} t.t = t return t end)())", "deeper than 64" },
    { "tbl.flatten((function() local t = {} t.t = t return t end)())", "deeper than 64" },
    { "setmetatable({}, {__gc = print})", "must not have '__gc' or '__mode'" },
    { "setmetatable({}, {__mode = 'k'})", "must not have '__gc' or '__mode'" },
    { "setmetatable(math, {})", "cannot change a protected metatable" },
    { "(function() math.floor = nil end)()", "attempt to change a read-only table" },
    { "(function() math.mine = 1 end)()", "attempt to change a read-only table" },
    { "(function() ctx.ts = 1 end)()", "attempt to change a read-only table" },
    { "rawset(math, 'floor', nil)", "attempt to change a read-only table" },
    { "rawset(string, 'floor', 1)", "attempt to change a read-only table" },
    { "rawset(ctx, 'ts', 1)", "attempt to change a read-only table" },
    { "table.insert(math, 1)", "attempt to change a read-only table" },
    { "(function() local s = select(2, pairs(math)) s.floor = 1 end)()", "read-only table" },
};

static void wrong_use_of_the_library_is_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof error_cases / sizeof error_cases[0]; i++) {
        char source[512];
        snprintf(source, sizeof source, "return (%s)", error_cases[i].expression);
        enum ps_status st = run_text(&f, source);
        if (error_cases[i].message[0])
            expect_error(&f, st, PS_SCRIPT_ERROR_RUNTIME, error_cases[i].message, source);
        else
            assert_int_equal(st, PS_ESCRIPT);
    }
    fixture_deinit(&f);
}

/* Names that must not be there, and ways to them that must be closed. */
static const char *const absent[] = {
    "io",
    "os",
    "package",
    "debug",
    "coroutine",
    "load",
    "loadstring",
    "loadfile",
    "dofile",
    "collectgarbage",
    "_G",
    "require",
    "string.dump",
    "getmetatable({})",
    "math.randomseed",
    "_VERSION",
    "warn",
    "('').dump",
    "ctx.__index",
    "utf8.dump",
    "getmetatable(json.array{})",
    "getmetatable(msg)",
};

static void what_is_removed_is_not_there(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        char source[128];
        snprintf(source, sizeof source, "return %s == nil", absent[i]);
        assert_int_equal(run_text(&f, source), PS_OK);
        if (strcmp(f.text.data, "true") != 0)
            fail_msg("%s is there", absent[i]);
    }
    assert_int_equal(run_text(&f, "return getmetatable('') == false and getmetatable(math) == false"
                                  " and getmetatable(ctx) == false"),
                     PS_OK);
    assert_string_equal(f.text.data, "true");
    fixture_deinit(&f);
}

struct log_lines {
    char text[8192];
    size_t count, bytes;
};

static void collect(void *arg, enum ps_script_log_level level, const char *text, size_t len)
{
    struct log_lines *lines = arg;
    lines->count++;
    lines->bytes += len;
    snprintf(lines->text + strlen(lines->text), sizeof lines->text - strlen(lines->text),
             "%d:%.*s;", (int)level, (int)(len < 40 ? len : 40), text);
}

static void log_lines_reach_the_sink_up_to_the_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct log_lines lines = { 0 };
    fixture_init(&f);
    f.ctx.log = collect;
    f.ctx.log_arg = &lines;
    assert_int_equal(run_text(&f, "log.debug('a', 1) log.info({}) log.warn(nil) log.error(true) "
                                  "print('p', json.null) return ''"),
                     PS_OK);
    assert_string_equal(lines.text, "0:a 1;1:table;2:nil;3:true;1:p null;");
    memset(&lines, 0, sizeof lines);
    assert_int_equal(run_text(&f, "for i = 1, 100 do log.info(('x'):rep(100)) end return ''"),
                     PS_OK);
    assert_int_equal(lines.bytes, 4096);
    assert_int_equal(lines.count, 41);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_functions_give_what_they_promise),
        cmocka_unit_test(wrong_use_of_the_library_is_told),
        cmocka_unit_test(what_is_removed_is_not_there),
        cmocka_unit_test(log_lines_reach_the_sink_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
