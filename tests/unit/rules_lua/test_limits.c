/* Every attack named in the contract (5.5, 5.6) ends in time, with the right kind, and leaves the
 * state, the process and other states in order. */
#include "lua_fixture.h"

#include <stdlib.h>
#include <time.h>

#include "core/clock.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWNESS = 10 };
#else
enum { SLOWNESS = 1 };
#endif

enum { WALL_MS = 50, TOO_LONG_MS = 2 * WALL_MS * SLOWNESS };

static const struct attack {
    const char *name;
    enum ps_script_error_kind kind; /* NONE: any limit will do, the machine decides which */
    const char *script;
} attacks[] = {
    { "endless loop", PS_SCRIPT_ERROR_LIMIT_CPU, "while true do end" },
    { "endless recursion", PS_SCRIPT_ERROR_NONE, "local function f() return 1 + f() end f()" },
    { "endless tail calls", PS_SCRIPT_ERROR_LIMIT_CPU, "local function f() return f() end f()" },
    { "goto", PS_SCRIPT_ERROR_LIMIT_CPU, "::a:: goto a" },
    { "pcall swallows", PS_SCRIPT_ERROR_LIMIT_CPU,
      "while true do pcall(function() while true do end end) end" },
    { "xpcall swallows", PS_SCRIPT_ERROR_LIMIT_CPU,
      "while true do xpcall(function() while true do end end, function() return 1 end) end" },
    { "loop in the handler", PS_SCRIPT_ERROR_LIMIT_CPU,
      "xpcall(error, function() while true do end end)" },
    { "handler raises", PS_SCRIPT_ERROR_NONE,
      "while true do xpcall(error, function() error() end) end" },
    { "pcall swallows memory", PS_SCRIPT_ERROR_LIMIT_MEMORY,
      "while true do pcall(string.rep, 'x', 1e9) end" },
    { "close hides the limit", PS_SCRIPT_ERROR_LIMIT_CPU,
      "while true do pcall(function() local x <close> = setmetatable({}, {__close = function() "
      "error('hidden') end}) while true do end end) end" },
    { "close hides memory", PS_SCRIPT_ERROR_LIMIT_MEMORY,
      "while true do pcall(function() local x <close> = setmetatable({}, {__close = function() "
      "error('hidden') end}) local t = {} for i = 1, 1e6 do t[i] = {i} end end) end" },
    { "loop in close", PS_SCRIPT_ERROR_LIMIT_CPU,
      "local x <close> = setmetatable({}, {__close = function() while true do end end})" },
    { "loop in __index", PS_SCRIPT_ERROR_LIMIT_CPU,
      "return setmetatable({}, {__index = function() while true do end end}).x" },
    { "loop in __tostring by format", PS_SCRIPT_ERROR_LIMIT_CPU,
      "return string.format('%s', setmetatable({}, {__tostring = function() while true do end "
      "end}))" },
    { "loop in __tostring swallowed", PS_SCRIPT_ERROR_LIMIT_CPU,
      "local t = setmetatable({}, {__tostring = function() while true do end end}) "
      "while true do pcall(tostring, t) pcall(log.info, t) end" },
    { "loop in a comparator", PS_SCRIPT_ERROR_LIMIT_CPU,
      "table.sort({3, 2, 1}, function() while true do end end)" },
    { "comparators swallowed", PS_SCRIPT_ERROR_LIMIT_CPU,
      "while true do pcall(table.sort, {3, 2, 1}, function() while true do end end) end" },
    { "loop in gsub", PS_SCRIPT_ERROR_LIMIT_CPU,
      "('abc'):gsub('.', function() while true do end end)" },
    { "loop in a for iterator", PS_SCRIPT_ERROR_LIMIT_CPU,
      "for k in function() return 1 end do end" },
    { "sort of much", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 100000 do t[i] = -i end while true do table.sort(t) end" },
    { "table.move of nothing", PS_SCRIPT_ERROR_LIMIT_CPU, "table.move({}, 1, 5e7, 2)" },
    { "table.move in a loop", PS_SCRIPT_ERROR_LIMIT_CPU,
      "local t = {} while true do table.move(t, 1, 1000, 2) end" },
    { "table.concat with __index", PS_SCRIPT_ERROR_LIMIT_CPU,
      "table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, 1e8)" },
    { "table.concat of __len", PS_SCRIPT_ERROR_LIMIT_CPU,
      "table.concat(setmetatable({}, {__index = function() return '' end, "
      "__len = function() return math.maxinteger end}))" },
    { "table.insert in front", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 1e6 do table.insert(t, 1, i) end" },
    { "table.remove of __len", PS_SCRIPT_ERROR_LIMIT_CPU,
      "table.remove(setmetatable({}, {__len = function() return 1e9 // 1 | 0 end}), 1)" },
    { "table.unpack in a loop", PS_SCRIPT_ERROR_NONE,
      "while true do pcall(table.unpack, {}, 1, 150000) end" },
    { "rep of much", PS_SCRIPT_ERROR_LIMIT_MEMORY, "return #('x'):rep(1e9)" },
    { "rep of rep", PS_SCRIPT_ERROR_NONE, "local s = 'x' while true do s = s:rep(2) end" },
    { "rep with overflow", PS_SCRIPT_ERROR_LIMIT_MEMORY,
      "return ('xxxxxxxx'):rep(math.maxinteger, 'yyyy')" },
    { "concat doubling", PS_SCRIPT_ERROR_NONE, "local s = 'x' while true do s = s .. s end" },
    { "concat of long ones", PS_SCRIPT_ERROR_NONE,
      "local s = ('x'):rep(1.5e6) while true do local t = s .. 'a' end" },
    { "compare of long ones", PS_SCRIPT_ERROR_NONE,
      "local a, b = ('x'):rep(1.5e6), ('x'):rep(1.5e6) while true do local c = a < b end" },
    { "arithmetic on long ones", PS_SCRIPT_ERROR_NONE,
      "local a = (' '):rep(1.5e6) .. '1' while true do local c = a + 1 end" },
    { "bits of long ones", PS_SCRIPT_ERROR_NONE,
      "local a = (' '):rep(1.5e6) .. '1' while true do pcall(function() return a | 1 end) end" },
    { "tonumber of long ones", PS_SCRIPT_ERROR_NONE,
      "local a = (' '):rep(1.5e6) .. '1' while true do tonumber(a) end" },
    { "upper of long ones", PS_SCRIPT_ERROR_NONE,
      "local a = ('x'):rep(1.5e6) while true do a:upper() end" },
    { "byte of long ones", PS_SCRIPT_ERROR_NONE,
      "local a = ('x'):rep(200000) while true do a:byte(1, 200000) end" },
    { "utf8.len of long ones", PS_SCRIPT_ERROR_NONE,
      "local a = ('x'):rep(1.5e6) while true do utf8.len(a) end" },
    { "varargs copied", PS_SCRIPT_ERROR_NONE,
      "local function f(...) return select('#', ...) end "
      "local function g(...) while true do f(...) end end g(table.unpack({}, 1, 150000))" },
    { "memory by tables", PS_SCRIPT_ERROR_LIMIT_MEMORY,
      "local t = {} for i = 1, 1e7 do t[i] = {i, i} end" },
    { "memory by strings", PS_SCRIPT_ERROR_LIMIT_MEMORY,
      "local t = {} for i = 1, 1e7 do t[i] = ('x'):rep(1000) .. i end" },
    { "memory by closures", PS_SCRIPT_ERROR_LIMIT_MEMORY,
      "local t = {} for i = 1, 1e7 do t[i] = function() return i end end" },
    { "classic pattern", PS_SCRIPT_ERROR_LIMIT_CPU,
      "return ('a'):rep(26):find(('a?'):rep(26) .. ('a'):rep(26))" },
    { "blanks pattern", PS_SCRIPT_ERROR_LIMIT_CPU, "return (' '):rep(60000):find('(.-)%s*$x')" },
    { "match pattern", PS_SCRIPT_ERROR_LIMIT_CPU, "return ('a'):rep(5000):match('.-.-.-.-b')" },
    { "gmatch pattern", PS_SCRIPT_ERROR_LIMIT_CPU,
      "for a in ('a'):rep(5000):gmatch('.-.-.-.-b') do end" },
    { "gsub pattern", PS_SCRIPT_ERROR_LIMIT_CPU, "return ('a'):rep(5000):gsub('.-.-.-.-b', '')" },
    { "balanced pattern", PS_SCRIPT_ERROR_LIMIT_CPU, "return ('('):rep(100000):find('%b()')" },
    { "patterns swallowed", PS_SCRIPT_ERROR_LIMIT_CPU,
      "while true do pcall(string.find, ('a'):rep(5000), '.-.-.-.-b') end" },
    { "plain find in a loop", PS_SCRIPT_ERROR_NONE,
      "local s = ('a'):rep(1.5e6) while true do s:find('b', 1, true) end" },
    { "json.encode fan-out", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 50 do t = {t, t} end return json.encode(t)" },
    { "json.encode in a loop", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 1000 do t[i] = 'abcdefghij' end while true do json.encode(t) end" },
    { "json.decode in a loop", PS_SCRIPT_ERROR_NONE,
      "local s = '[' .. ('1,'):rep(50000) .. '1]' while true do json.decode(s) end" },
    { "hash of much", PS_SCRIPT_ERROR_NONE,
      "local s = ('x'):rep(1.5e6) while true do hash.sha512(s) end" },
    { "crc of much", PS_SCRIPT_ERROR_LIMIT_CPU,
      "local s = ('x'):rep(1e6) while true do hash.crc32(s) end" },
    { "base64 of much", PS_SCRIPT_ERROR_NONE,
      "local s = ('x'):rep(1e6) while true do base64.encode(s) end" },
    { "tbl.copy fan-out", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 50 do t = {t, t} end return tbl.copy(t)" },
    { "tbl.flatten fan-out", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 50 do t = {t, t} end return tbl.flatten(t)" },
    { "str.split of much", PS_SCRIPT_ERROR_NONE,
      "local s = ('x,'):rep(1e6) while true do str.split(s, ',') end" },
    { "pad of much", PS_SCRIPT_ERROR_LIMIT_MEMORY, "return str.pad_start('', 1e10)" },
    { "weak tables by the back door", PS_SCRIPT_ERROR_NONE,
      "local mt = {} local t = setmetatable({}, mt) "
      "if not pcall(function() mt.__mode = 'k' end) and not pcall(rawset, mt, '__mode', 'k') then "
      "while true do end end" },
    { "format of much", PS_SCRIPT_ERROR_NONE,
      "local s = ('x'):rep(1.5e6) while true do string.format('%s', s) end" },
    { "log of much", PS_SCRIPT_ERROR_LIMIT_CPU, "while true do log.info('x') end" },
    { "next over cleared table", PS_SCRIPT_ERROR_NONE,
      "local t = {} for i = 1, 100000 do t['k' .. i] = 1 end for k in pairs(t) do t[k] = nil end "
      "while true do next(t) end" },
};

static bool is_limit(enum ps_script_error_kind kind)
{
    return kind == PS_SCRIPT_ERROR_LIMIT_CPU || kind == PS_SCRIPT_ERROR_LIMIT_TIME ||
           kind == PS_SCRIPT_ERROR_LIMIT_MEMORY;
}

/* On a busy machine or under sanitizers the clock may come first. */
static bool as_wanted(enum ps_script_error_kind kind, const struct attack *attack, int64_t wall_ms)
{
    return is_limit(kind) && (kind == attack->kind || attack->kind == PS_SCRIPT_ERROR_NONE ||
                              (wall_ms >= WALL_MS && kind == PS_SCRIPT_ERROR_LIMIT_TIME));
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void attacks_end_in_time_with_their_kind(void **state)
{
    (void)state;
    struct fixture f, bystander;
    fixture_init_with(&f, &PS_LUA_LIMITS_DEFAULT);
    fixture_init(&bystander);
    assert_int_equal(run_text(&bystander, "return 'ready'"), PS_OK);
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        int64_t start_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID);
        int64_t wall_start_ms = clock_ms(CLOCK_MONOTONIC);
        enum ps_status st = run_text(&f, attacks[i].script);
        int64_t took_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID) - start_ms;
        int64_t wall_ms = clock_ms(CLOCK_MONOTONIC) - wall_start_ms;
        if (getenv("PS_TEST_VERBOSE"))
            print_message("%-32s %-12s %4lld ms\n", attacks[i].name,
                          ps_script_error_kind_name(f.error.kind), (long long)took_ms);
        if (st != PS_ESCRIPT || !as_wanted(f.error.kind, &attacks[i], wall_ms))
            fail_msg("%s: %s, %s %s", attacks[i].name, ps_status_text(st),
                     ps_script_error_kind_name(f.error.kind), f.error.message);
        if (took_ms > TOO_LONG_MS)
            fail_msg("%s took %lld ms", attacks[i].name, (long long)took_ms);
        if (f.error.line != 1)
            fail_msg("%s: line %d", attacks[i].name, f.error.line);
        assert_int_equal(run_text(&f, "return msg.humidity + 2"), PS_OK);
        assert_string_equal(f.text.data, "42");
        assert_int_equal(run_text(&bystander, "return msg.humidity + 1"), PS_OK);
        assert_string_equal(bystander.text.data, "41");
    }
    fixture_deinit(&bystander);
    fixture_deinit(&f);
}

static void state_is_made_anew_after_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_lua_usage before, after;
    fixture_init(&f);
    assert_int_equal(run_text(&f, "return ''"), PS_OK);
    ps_lua_usage(f.lua, &before);
    assert_int_equal(before.reopened, 1);
    assert_int_equal(run_text(&f, "local t = {} for i = 1, 1e7 do t[i] = {} end"), PS_ESCRIPT);
    ps_lua_usage(f.lua, &after);
    assert_int_equal(after.state_bytes, 0);
    assert_int_equal(after.limit_errors, 1);
    assert_true(after.call_bytes_peak <= PS_LUA_LIMITS_DEFAULT.call_memory_bytes);
    assert_int_equal(run_text(&f, "error('ordinary')"), PS_ESCRIPT);
    ps_lua_usage(f.lua, &after);
    assert_int_equal(after.reopened, 2);
    assert_int_equal(run_text(&f, "return ''"), PS_OK);
    ps_lua_usage(f.lua, &after);
    assert_int_equal(after.reopened, 2); /* an ordinary error keeps the state */
    assert_int_equal(after.limit_errors, 1);
    assert_int_equal(after.errors, 2);
    fixture_deinit(&f);
}

static void instructions_are_counted_the_same_each_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    int64_t first = 0;
    struct ps_lua_usage usage;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(run_text(&f, "local n = 0 for i = 1, 100000 do n = n + i end return n"),
                         PS_OK);
        ps_lua_usage(f.lua, &usage);
        if (i == 0)
            first = usage.instructions;
        assert_int_equal(usage.instructions, first);
    }
    assert_in_range(first, 200000, 202000);
    fixture_deinit(&f);
}

static void garbage_is_collected_before_memory_runs_out(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    /* 20 MB in all, little of it at a time */
    assert_int_equal(
        run_text(&f, "local s for i = 1, 20000 do s = ('x'):rep(1000) .. i end return s:sub(-5)"),
        PS_OK);
    assert_string_equal(f.text.data, "20000");
    fixture_deinit(&f);
}

static void garbage_of_many_calls_stays_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_lua_usage usage;
    fixture_init(&f);
    struct ps_script_code *code = compile(
        &f, PS_SCRIPT_TRANSFORM, "msg.x = {1, 2, {a = msg.name .. 'y'}} return {msg = msg}");
    struct ps_msg *msg = usual_message();
    struct ps_script_messages messages;
    size_t most = 0;
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(ps_lua_transform(f.lua, code, msg, NULL, &messages, NULL), PS_OK);
        if (i % 32 == 31)
            ps_lua_turn_end(f.lua);
        ps_lua_usage(f.lua, &usage);
        most = usage.state_bytes > most ? usage.state_bytes : most;
    }
    assert_true(most < 1024 * 1024);
    ps_msg_release(msg);
    ps_script_release(code);
    fixture_deinit(&f);
}

static void garbage_of_one_long_turn_is_no_limit_error(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_lua_usage usage;
    fixture_init(&f);
    for (int i = 0; i < 100; i++) { /* 300 MB without an end of the turn */
        assert_int_equal(run_text(&f, "local s = ('x'):rep(1.5e6) return #s"), PS_OK);
        ps_lua_usage(f.lua, &usage);
        assert_true(usage.state_bytes < 32 * 1024 * 1024);
    }
    fixture_deinit(&f);
}

static void input_and_result_sizes_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
    limits.input_bytes = 1000;
    limits.result_bytes = 1000;
    fixture_init_with(&f, &limits);
    static const struct {
        const char *script, *message;
    } cases[] = {
        { "return {msg = {a = ('x'):rep(2000)}}", "result has more than 1000 bytes" },
        { "return {msg = {a = {('x'):rep(2000)}}}", "msg: more than 1000 bytes of JSON" },
        { "local t = {} for i = 1, 500 do t['k' .. i] = 1 end return {msg = t}",
          "result has more" },
        { "local t = {} for i = 1, 500 do t[i] = 1 end return {msg = t}", "more than 1000 bytes" },
        { "local t = {} for i = 1, 50 do t[i] = {msg = {}} end return t", "too many messages" },
        { "return {msg = ('x'):rep(2000)}", "more than 1000 bytes" },
        { "return {msg = ('x'):rep(2000), dataType = 'BINARY'}",
          "result has more than 1000 bytes" },
        { "return {metadata = {a = ('x'):rep(2000)}}", "result has more than 1000 bytes" },
        { "return {msgType = ('x'):rep(256)}", "msgType is longer than 255 bytes" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(&f, run_transform(&f, cases[i].script), PS_SCRIPT_ERROR_TOO_LARGE,
                     cases[i].message, cases[i].script);

    static char big[1100];
    memset(big, 'x', sizeof big);
    struct ps_kv kv = { "a", 1, { .type = PS_VALUE_STRING, .len = sizeof big, .text = big } };
    struct ps_msg_content content = { .data_kind = PS_DATA_OBJECT, .kvs = &kv, .kv_count = 1 };
    struct ps_msg *msg = message_of(&content);
    expect_error(&f, run_transform_on(&f, msg, "return {msg = {}}"), PS_SCRIPT_ERROR_TOO_LARGE,
                 "message is too large", "");
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void too_many_metadata_keys_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    const char *script = "local t = {} for i = 1, 257 do t['k' .. i] = 1 end return {metadata = t}";
    expect_error(&f, run_transform(&f, script), PS_SCRIPT_ERROR_TOO_LARGE, "more than 256 keys",
                 script);
    fixture_deinit(&f);
}

/* Run the script once at a time given by hand. */
static enum ps_script_error_kind run_at(struct fixture *f, struct ps_script_code *code,
                                        int64_t mono_ms, bool spin)
{
    struct ps_kv kv = { "spin", 4, { .type = PS_VALUE_BOOLEAN, .boolean = spin } };
    struct ps_msg_content content = { .data_kind = PS_DATA_OBJECT, .kvs = &kv, .kv_count = 1 };
    struct ps_msg *msg = message_of(&content);
    bool result;
    f->error.kind = PS_SCRIPT_ERROR_NONE;
    ps_clock_set_for_test(1, mono_ms * 1000000);
    enum ps_status st = ps_lua_filter(f->lua, code, msg, NULL, &result, &f->error);
    assert_int_equal(st, f->error.kind == PS_SCRIPT_ERROR_NONE ? PS_OK : PS_ESCRIPT);
    ps_msg_release(msg);
    return f->error.kind;
}

static void breaker_pauses_twice_as_long_each_time_and_a_good_call_resets(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
    limits.instructions = 2000;
    fixture_init_with(&f, &limits);
    struct ps_script_code *code =
        compile(&f, PS_SCRIPT_FILTER, "while msg.spin do end return true");
    struct ps_script_code *other = compile(&f, PS_SCRIPT_FILTER, "return true");
    struct ps_script_pause pause;
    int64_t now_ms = 1000000, pauses_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
    for (size_t round = 0; round < sizeof pauses_ms / sizeof pauses_ms[0]; round++) {
        for (int i = 0; i < 10; i++)
            assert_int_equal(run_at(&f, code, now_ms + i, true), PS_SCRIPT_ERROR_LIMIT_CPU);
        now_ms += 9;
        ps_lua_pause_state(f.lua, code, &pause);
        assert_true(pause.paused);
        assert_int_equal(pause.pause_ms, pauses_ms[round]);
        assert_int_equal(pause.pause_count, round + 1);
        assert_int_equal(pause.until_mono_ms, now_ms + pauses_ms[round]);
        assert_int_equal(run_at(&f, code, now_ms + pauses_ms[round] - 1, false),
                         PS_SCRIPT_ERROR_SUSPENDED);
        assert_int_equal(run_at(&f, other, now_ms, false), PS_SCRIPT_ERROR_NONE);
        now_ms += pauses_ms[round];
    }
    assert_int_equal(run_at(&f, code, now_ms, false), PS_SCRIPT_ERROR_NONE);
    ps_lua_pause_state(f.lua, code, &pause);
    assert_false(pause.paused);
    assert_int_equal(pause.pause_ms, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(run_at(&f, code, now_ms, true), PS_SCRIPT_ERROR_LIMIT_CPU);
    ps_lua_pause_state(f.lua, code, &pause);
    assert_int_equal(pause.pause_ms, 1000);
    ps_clock_set_for_test(-1, -1);
    ps_script_release(code);
    ps_script_release(other);
    fixture_deinit(&f);
}

static void breaker_lets_slow_and_ordinary_errors_pass(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_lua_limits limits = PS_LUA_LIMITS_DEFAULT;
    limits.instructions = 2000;
    fixture_init_with(&f, &limits);
    struct ps_script_code *code =
        compile(&f, PS_SCRIPT_FILTER, "while msg.spin do end error('bad data')");
    for (int i = 0; i < 50; i++) /* nine in any ten seconds */
        assert_int_equal(run_at(&f, code, 1000000 + i * 1200, true), PS_SCRIPT_ERROR_LIMIT_CPU);
    for (int i = 0; i < 50; i++)
        assert_int_equal(run_at(&f, code, 2000000, false), PS_SCRIPT_ERROR_RUNTIME);
    ps_clock_set_for_test(-1, -1);
    ps_script_release(code);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_end_in_time_with_their_kind),
        cmocka_unit_test(state_is_made_anew_after_a_limit),
        cmocka_unit_test(instructions_are_counted_the_same_each_time),
        cmocka_unit_test(garbage_is_collected_before_memory_runs_out),
        cmocka_unit_test(garbage_of_many_calls_stays_bounded),
        cmocka_unit_test(garbage_of_one_long_turn_is_no_limit_error),
        cmocka_unit_test(input_and_result_sizes_are_bounded),
        cmocka_unit_test(too_many_metadata_keys_are_refused),
        cmocka_unit_test(breaker_pauses_twice_as_long_each_time_and_a_good_call_resets),
        cmocka_unit_test(breaker_lets_slow_and_ordinary_errors_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
