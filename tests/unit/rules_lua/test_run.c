/* Running scripts: results of each kind, conversions both ways, what a call can see and leave,
 * errors with their lines, the cache. */
#include "lua_fixture.h"

static const struct transform_case {
    const char *name, *script, *want;
} transform_cases[] = {
    { "all given back untouched", "return {msg = msg, metadata = metadata, msgType = msgType}",
      "{\"temperature\":21.5,\"humidity\":40,\"active\":true,\"name\":\"th\",\"env\":{\"t\":1,"
      "\"list\":[1,null,3],\"gone\":null}}|{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}|"
      "POST_TELEMETRY_REQUEST" },
    { "missing members keep the input's", "return {msgType = 'ALARM'}",
      "{\"temperature\":21.5,\"humidity\":40,\"active\":true,\"name\":\"th\",\"env\":{\"t\":1,"
      "\"list\":[1,null,3],\"gone\":null}}|{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}|ALARM" },
    { "changed in place",
      "msg.f = msg.temperature * 2 msg.env = nil msg.name = nil return {msg = msg}",
      "{\"active\":true,\"f\":43.0,\"humidity\":40,\"temperature\":21.5}|{\"deviceName\":\"A\","
      "\"ts\":\"1700000000000\"}|POST_TELEMETRY_REQUEST" },
    { "changes that are not returned have no effect",
      "msg.x = 1 metadata.x = 1 return {msgType = 'ALARM'}",
      "{\"temperature\":21.5,\"humidity\":40,\"active\":true,\"name\":\"th\",\"env\":{\"t\":1,"
      "\"list\":[1,null,3],\"gone\":null}}|{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}|ALARM" },
    { "keys sorted, numbers keep their kind",
      "return {msg = {b = 10 / 2, a = 7 // 2, ['Z'] = 1e21, z = -0.0, t = 1e-7}, metadata = {}, "
      "msgType = 'custom'}",
      "{\"Z\":1e+21,\"a\":3,\"b\":5.0,\"t\":1e-7,\"z\":-0.0}|{}|custom" },
    { "nested tables, arrays, nulls",
      "return {msg = {o = {c = 1, b = {json.null, 2}, a = {}}, l = json.array{}, n = json.null}, "
      "metadata = {}}",
      "{\"l\":[],\"o\":{\"a\":{},\"b\":[null,2],\"c\":1}}|{}|POST_TELEMETRY_REQUEST" },
    { "number keys become decimal", "return {msg = {[2] = 'b', [1.5] = 'c', x = 1}, metadata = {}}",
      "{\"1.5\":\"c\",\"2\":\"b\",\"x\":1}|{}|POST_TELEMETRY_REQUEST" },
    { "strings are not cast", "return {msg = {a = '1.5', b = 'true'}, metadata = {}}",
      "{\"a\":\"1.5\",\"b\":\"true\"}|{}|POST_TELEMETRY_REQUEST" },
    { "metadata values become text",
      "return {msg = {}, metadata = {a = 1, b = 2.0, c = true, d = {x = {1}}, e = json.null, f = "
      "'f',"
      " [3] = 'n'}}",
      "{}|{\"3\":\"n\",\"a\":\"1\",\"b\":\"2.0\",\"c\":\"true\",\"d\":\"{\\\"x\\\":[1]}\",\"f\":"
      "\"f\"}|POST_TELEMETRY_REQUEST" },
    { "an array as msg", "return {msg = {1, 'x', false}, metadata = {}}",
      "[1,\"x\",false]|{}|POST_TELEMETRY_REQUEST" },
    { "a string as msg", "return {msg = 'x\"y', metadata = {}}",
      "\"x\\\"y\"|{}|POST_TELEMETRY_REQUEST" },
    { "a number as msg", "return {msg = 1.0, metadata = {}}", "1.0|{}|POST_TELEMETRY_REQUEST" },
    { "null as msg", "return {msg = json.null, metadata = {}}", "null|{}|POST_TELEMETRY_REQUEST" },
    { "bytes as msg", "return {msg = '\\x01\\xff', dataType = 'BINARY', metadata = {}}",
      "BINARY:\x01\xff|{}|POST_TELEMETRY_REQUEST" },
    { "metadata as msg", "return {msg = metadata, metadata = {}}",
      "{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}|{}|POST_TELEMETRY_REQUEST" },
    { "msg as metadata", "return {msg = {}, metadata = msg}",
      "{}|{\"active\":\"true\",\"env\":\"{\\\"list\\\":[1,null,3],\\\"t\\\":1}\",\"humidity\":"
      "\"40\","
      "\"name\":\"th\",\"temperature\":\"21.5\"}|POST_TELEMETRY_REQUEST" },
    { "arguments inside of another table",
      "return {msg = {m = metadata, a = {msg}}, metadata = {}}",
      "{\"a\":[{\"active\":true,\"env\":{\"list\":[1,null,3],\"t\":1},\"humidity\":40,\"name\":"
      "\"th\","
      "\"temperature\":21.5}],\"m\":{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}}|{}|"
      "POST_TELEMETRY_REQUEST" },
    { "several messages in order",
      "return {{msg = {a = 1}, metadata = {}}, {msg = {a = 2}, metadata = {}, msgType = 'x'}}",
      "{\"a\":1}|{}|POST_TELEMETRY_REQUEST\n{\"a\":2}|{}|x" },
    { "a member of the message named msg", "msg = json.decode('{\"msg\":{\"a\":1}}') return msg",
      "{\"a\":1}|{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}|POST_TELEMETRY_REQUEST" },
    { "nil drops", "return nil", "" },
    { "no return drops", "", "" },
    { "an empty table drops", "return {}", "" },
    { "an empty array drops", "return json.array{}", "" },
    { "varargs",
      "local a, b, c, d = ... return {msg = {n = select('#', ...), t = c}, metadata = {}}",
      "{\"n\":3,\"t\":\"POST_TELEMETRY_REQUEST\"}|{}|POST_TELEMETRY_REQUEST" },
    { "a comment at the end", "return {msg = {}, metadata = {}} -- done",
      "{}|{}|POST_TELEMETRY_REQUEST" },
};

static void transforms_give_messages(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof transform_cases / sizeof transform_cases[0]; i++) {
        const struct transform_case *c = &transform_cases[i];
        for (int again = 0; again < 2; again++) {
            if (run_transform(&f, c->script) != PS_OK)
                fail_msg("%s: %s", c->name, f.error.message);
            if (strcmp(f.text.data, c->want) != 0)
                fail_msg("%s: \"%s\" instead of \"%s\"", c->name, f.text.data, c->want);
        }
    }
    fixture_deinit(&f);
}

static const struct result_error_case {
    const char *script, *message;
} result_error_cases[] = {
    { "return 5", "result must be a table, got number" },
    { "return true", "result must be a table, got boolean" },
    { "return msg", "result has none of the keys msg, metadata, msgType" },
    { "return {msg}", "result[1] has none of the keys" },
    { "return {temperature = 5}", "result has none of the keys msg, metadata, msgType" },
    { "return {dataType = 'BINARY'}", "result has none of the keys" },
    { "return {{msg = {}}, 5}", "result[2] must be a table, got number" },
    { "return {{msg = {}}, {x = 1}}", "result[2] has none of the keys" },
    { "return {msg = print}", "msg: a function has no JSON form" },
    { "return {msg = {a = print}}", "msg: a function has no JSON form" },
    { "return {msg = {a = 0/0}}", "msg: NaN has no JSON form" },
    { "return {msg = {a = {1/0}}}", "msg: infinity has no JSON form" },
    { "return {msg = {a = '\\xff'}}", "msg: string is not UTF-8" },
    { "return {msg = {['\\xff'] = 1}}", "key is not UTF-8" },
    { "return {msg = '\\xff'}", "string is not UTF-8" },
    { "return {msg = {[true] = 1}}", "a boolean cannot be a key" },
    { "return {msg = {[1] = 1, ['1'] = 2, x = 1}}", "two keys become \"1\"" },
    { "local t = {} t.t = t return {msg = t}", "nested deeper than 64" },
    { "return {msg = {}, dataType = 'BINARY'}", "msg of dataType BINARY must be a string" },
    { "return {msg = {}, dataType = 'XML'}", "dataType must be \"JSON\" or \"BINARY\"" },
    { "return {metadata = 5}", "metadata must be a table, got number" },
    { "return {metadata = {a = print}}", "metadata: a function has no JSON form" },
    { "return {metadata = {a = '\\xff'}}", "metadata: string is not UTF-8" },
    { "return {msgType = 5}", "msgType must be a string, got number" },
    { "return {msgType = ''}", "msgType must be a string, got an empty one" },
};

static void bad_results_are_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof result_error_cases / sizeof result_error_cases[0]; i++)
        expect_error(&f, run_transform(&f, result_error_cases[i].script),
                     PS_SCRIPT_ERROR_BAD_RESULT, result_error_cases[i].message,
                     result_error_cases[i].script);
    fixture_deinit(&f);
}

/* "true", "false" or the error */
static void filters_give_booleans_only(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    static const struct {
        const char *script;
        bool want;
    } good[] = {
        { "return msg.temperature > 20", true },
        { "return msg.temperature > 30", false },
        { "return metadata.deviceName == 'A' and msgType == 'POST_TELEMETRY_REQUEST'", true },
    };
    static const char *const bad[][2] = { { "return 1", "number" },
                                          { "return nil", "nil" },
                                          { "return 'true'", "string" },
                                          { "return msg", "table" } };
    struct ps_msg *msg = usual_message();
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ps_script_code *code = compile(&f, PS_SCRIPT_FILTER, good[i].script);
        bool result = !good[i].want;
        assert_int_equal(ps_lua_filter(f.lua, code, msg, &f.ctx, &result, &f.error), PS_OK);
        assert_int_equal(result, good[i].want);
        ps_script_release(code);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char want[64];
        struct ps_script_code *code = compile(&f, PS_SCRIPT_FILTER, bad[i][0]);
        bool result = true;
        snprintf(want, sizeof want, "filter must return true or false, got %s", bad[i][1]);
        expect_error(&f, ps_lua_filter(f.lua, code, msg, &f.ctx, &result, &f.error),
                     PS_SCRIPT_ERROR_BAD_RESULT, want, bad[i][0]);
        ps_script_release(code);
    }
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static enum ps_status run_switch(struct fixture *f, struct ps_msg *msg, const char *source)
{
    struct ps_script_code *code = compile(f, PS_SCRIPT_SWITCH, source);
    struct ps_script_labels labels;
    enum ps_status st = ps_lua_switch(f->lua, code, msg, NULL, &labels, &f->error);
    ps_buf_clear(&f->text);
    for (size_t i = 0; st == PS_OK && i < labels.count; i++) {
        ps_buf_put(&f->text, labels.list[i].text, labels.list[i].len);
        ps_buf_put_char(&f->text, ';');
    }
    ps_buf_cstr(&f->text);
    ps_script_release(code);
    return st;
}

static void switches_give_labels_without_duplicates(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct ps_msg *msg = usual_message();
    static const char *const good[][2] = {
        { "return 'High'", "High;" },
        { "return {'a', 'b', 'a'}", "a;b;" },
        { "return nil", "" },
        { "return {}", "" },
        { "", "" },
        { "return json.array{'x'}", "x;" },
    };
    static const char *const bad[][2] = {
        { "return 5", "got number" },
        { "return {1}", "got number" },
        { "return {a = 'b'}", "got an object" },
        { "return '\\xff'", "label is not UTF-8" },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(run_switch(&f, msg, good[i][0]), PS_OK);
        assert_string_equal(f.text.data, good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_error(&f, run_switch(&f, msg, bad[i][0]), PS_SCRIPT_ERROR_BAD_RESULT, bad[i][1],
                     bad[i][0]);
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void generator_gives_one_message_or_none(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct ps_msg_content empty = { .type = PS_MSG_CUSTOM,
                                    .type_name = "",
                                    .data_kind = PS_DATA_OBJECT };
    struct ps_msg *msg = message_of(&empty);
    struct ps_script_messages messages;
    struct ps_script_code *code = compile(
        &f, PS_SCRIPT_GENERATOR,
        "return {msg = {n = (prevMsg.n or 0) + 1, t = prevMsgType, m = next(prevMetadata) == "
        "nil}, msgType = 'POST_TELEMETRY_REQUEST'}");
    assert_int_equal(ps_lua_generate(f.lua, code, msg, NULL, &messages, &f.error), PS_OK);
    assert_int_equal(messages.count, 1);
    ps_buf_clear(&f.text);
    put_message(&f.text, messages.list);
    assert_string_equal(ps_buf_cstr(&f.text),
                        "{\"m\":true,\"n\":1,\"t\":\"\"}|{}|POST_TELEMETRY_REQUEST");
    ps_script_release(code);
    code = compile(&f, PS_SCRIPT_GENERATOR, "return nil");
    assert_int_equal(ps_lua_generate(f.lua, code, msg, NULL, &messages, &f.error), PS_OK);
    assert_int_equal(messages.count, 0);
    ps_script_release(code);
    code = compile(&f, PS_SCRIPT_GENERATOR, "return {{msg = {}}, {msg = {}}}");
    expect_error(&f, ps_lua_generate(f.lua, code, msg, NULL, &messages, &f.error),
                 PS_SCRIPT_ERROR_BAD_RESULT, "none of the keys", "");
    ps_script_release(code);
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void alarm_details_see_the_old_ones(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct ps_msg *msg = usual_message();
    struct ps_script_code *code =
        compile(&f, PS_SCRIPT_JSON,
                "local d = prevDetails or {}\nd.count = (d.count or 0) + 1\n"
                "d.max = math.max(d.max or msg.temperature, msg.temperature)\n"
                "d.text = metadata.prevAlarmDetails\nreturn d");
    struct ps_script_text text;
    assert_int_equal(ps_lua_json(f.lua, code, msg, NULL, NULL, 0, &text, &f.error), PS_OK);
    assert_string_equal(text.data, "{\"count\":1,\"max\":21.5}");
    const char *old = "{\"count\":4,\"max\":33.5}";
    assert_int_equal(ps_lua_json(f.lua, code, msg, NULL, old, strlen(old), &text, &f.error), PS_OK);
    assert_string_equal(
        text.data, "{\"count\":5,\"max\":33.5,\"text\":\"{\\\"count\\\":4,\\\"max\\\":33.5}\"}");
    ps_script_release(code);
    ps_msg_release(msg);
    assert_int_equal(run_text(&f, "return metadata.prevAlarmDetails == nil"), PS_OK);
    assert_string_equal(f.text.data, "true");
    fixture_deinit(&f);
}

/* Each is run on the usual message as a text script: an argument table is a plain table. */
static const struct expression_case {
    const char *script, *want;
} argument_cases[] = {
    { "return msg.temperature", "21.5" },
    { "return math.type(msg.humidity) .. math.type(msg.temperature)", "integerfloat" },
    { "return tostring(msg.active) .. msg.name", "trueth" },
    { "return msg.env.list[2] == json.null and msg.env.list[3] == 3", "true" },
    { "return msg.env.gone == nil and msg.missing == nil and msg[1] == nil", "true" },
    { "return msg.env == msg.env", "true" },
    { "msg.env.t = 2 return msg.env.t", "2" },
    { "return type(msg) .. type(metadata)", "tabletable" },
    { "return msg == msg and msg ~= metadata and rawequal(msg, msg)", "true" },
    { "return getmetatable(msg) == nil and getmetatable(metadata) == nil", "true" },
    { "return #msg .. #metadata", "00" },
    { "local n = 0 for k, v in pairs(msg) do n = n + 1 end return n", "5" },
    { "local n = 0 for k, v in next, metadata do n = n + #v end return n", "14" },
    { "for i, v in ipairs(msg) do return 'some' end return 'none'", "none" },
    { "return rawget(msg, 'humidity')", "40" },
    { "rawset(msg, 'x', 7) return msg.x + msg.humidity", "47" },
    { "msg.humidity = nil return msg.humidity == nil and msg.name == 'th'", "true" },
    { "msg.temperature = 1 return msg.temperature", "1" },
    { "msg[1] = 'a' return #msg .. msg.name", "1th" },
    { "table.insert(msg, 'a') return msg[1] .. msg.name", "ath" },
    { "return rawlen(msg)", "0" },
    { "local t = setmetatable({}, {__index = msg}) return t.humidity", "40" },
    { "local t = setmetatable({}, {__newindex = msg}) t.x = 5 return msg.x + msg.humidity", "45" },
    { "setmetatable(msg, {__index = {z = 9}}) return msg.z + msg.humidity", "49" },
    { "msg.__index = msg local t = setmetatable({}, msg) return t.humidity", "40" },
    { "return select(2, pcall(function() msg[nil] = 1 end))", "script:1: table index is nil" },
    { "return select(2, pcall(function() return msg + 1 end)):match('arithmetic on a table value')",
      "arithmetic on a table value" },
    { "return select(2, pcall(function() msg() end)):match('call a table value')",
      "call a table value" },
    { "return json.encode(metadata)", "{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}" },
    { "return json.encode({metadata})", "[{\"deviceName\":\"A\",\"ts\":\"1700000000000\"}]" },
    { "return tbl.merge(metadata, {x = 1})",
      "{\"deviceName\":\"A\",\"ts\":\"1700000000000\",\"x\":1}" },
    { "return ('deviceName'):gsub('%w+', metadata)", "A" },
    { "return tostring(msg)", "table" },
    { "local copy = tbl.copy(msg) copy.env.t = 5 return msg.env.t", "1" },
    { "return msgType", "POST_TELEMETRY_REQUEST" },
    { "metadata.deviceName = 'B' return metadata.deviceName .. metadata.ts", "B1700000000000" },
    { "local t = {[msg] = 1} return t[msg]", "1" },
};

static void argument_tables_are_plain_tables(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof argument_cases / sizeof argument_cases[0]; i++) {
        for (int again = 0; again < 2; again++) {
            if (run_text(&f, argument_cases[i].script) != PS_OK)
                fail_msg("%s: %s", argument_cases[i].script, f.error.message);
            if (strcmp(f.text.data, argument_cases[i].want) != 0)
                fail_msg("%s is \"%s\" instead of \"%s\"", argument_cases[i].script, f.text.data,
                         argument_cases[i].want);
        }
    }
    fixture_deinit(&f);
}

static void messages_of_other_kinds_of_data_arrive(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    static const struct {
        enum ps_data_kind kind;
        const char *data;
        size_t len;
        const char *script, *want;
    } cases[] = {
        { PS_DATA_JSON, "[1,{\"a\":null}]", 14, "return msg", "[1,{}]" },
        { PS_DATA_JSON, "\"x\"", 3, "return type(msg) .. msg", "stringx" },
        { PS_DATA_JSON, "null", 4, "return msg == json.null", "true" },
        { PS_DATA_JSON, "1.0", 3, "return math.type(msg)", "float" },
        { PS_DATA_BINARY, "\x00\xff", 2, "return #msg .. bytes.u8(msg, 1)", "2255" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ps_msg_content content = { .type = PS_MSG_CUSTOM,
                                          .type_name = "mine",
                                          .type_name_len = 4,
                                          .data_kind = cases[i].kind,
                                          .data = cases[i].data,
                                          .data_len = (uint32_t)cases[i].len };
        struct ps_msg *msg = message_of(&content);
        assert_int_equal(run_text_on(&f, msg, cases[i].script), PS_OK);
        assert_string_equal(f.text.data, cases[i].want);
        assert_int_equal(run_text_on(&f, msg, "return msgType"), PS_OK);
        assert_string_equal(f.text.data, "mine");
        ps_msg_release(msg);
    }
    fixture_deinit(&f);
}

static void nulls_survive_only_where_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    static const struct ps_kv kvs[] = { KV_NULL("a"), KV_JSON("o", "{\"x\":null}"),
                                        KV_LONG("z", 1) };
    struct ps_msg_content content = { .data_kind = PS_DATA_OBJECT, .kvs = kvs, .kv_count = 3 };
    struct ps_msg *msg = message_of(&content);
    const char *script = "local t = {} for k, v in pairs(msg) do t[k] = v end t.b = json.null "
                         "return {msg = t, metadata = {}}";
    assert_int_equal(run_transform_on(&f, msg, script), PS_OK);
    assert_string_equal(f.text.data, "{\"o\":{},\"z\":1}|{}|POST_TELEMETRY_REQUEST");
    f.ctx.keep_nulls = true;
    assert_int_equal(run_transform_on(&f, msg, script), PS_OK);
    assert_string_equal(
        f.text.data,
        "{\"a\":null,\"b\":null,\"o\":{\"x\":null},\"z\":1}|{}|POST_TELEMETRY_REQUEST");
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void big_messages_are_read_right(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static char keys[COUNT][8];
    static struct ps_kv kvs[COUNT];
    struct fixture f;
    fixture_init(&f);
    for (int i = 0; i < COUNT; i++) {
        int len = snprintf(keys[i], sizeof keys[i], "k%d", i);
        kvs[i] = (struct ps_kv){ keys[i], (uint32_t)len, { .type = PS_VALUE_LONG, .integer = i } };
    }
    struct ps_msg_content content = { .data_kind = PS_DATA_OBJECT, .kvs = kvs, .kv_count = COUNT };
    struct ps_msg *msg = message_of(&content);
    assert_int_equal(run_text_on(&f, msg,
                                 "local s = 0 for i = 0, 499 do s = s + msg['k' .. i] end "
                                 "return s + #tbl.keys(msg)"),
                     PS_OK);
    assert_string_equal(f.text.data, "125250");
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void no_value_survives_a_call(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    static const char *const leaving[] = {
        "leak = 1 t = msg json = 5 return ''",
        "function leak() return msg end return ''",
        "leak = setmetatable({}, {__index = function() return 1 end}) error('x')",
        "for i = 1, 200 do local k = 'leak' .. i end leak = {} return ''",
        "pcall(function() math.leak = 1 end) pcall(rawset, string, 'leak', 1) return ''",
        "getmetatable('') return pcall(function() ('').leak = 1 end) and '' or ''",
        "msg.leak = 1 metadata.leak = 1 return ''",
        "leak = 1 while true do end",
    };
    for (size_t i = 0; i < sizeof leaving / sizeof leaving[0]; i++) {
        enum ps_status ignored = run_text(&f, leaving[i]);
        (void)ignored;
        assert_int_equal(run_text(&f,
                                  "return leak == nil and t == nil and math.leak == nil and "
                                  "('').leak == nil and msg.leak == nil and metadata.leak == nil "
                                  "and type(json) == 'table'"),
                         PS_OK);
        if (strcmp(f.text.data, "true") != 0)
            fail_msg("something survives: %s", leaving[i]);
    }
    fixture_deinit(&f);
}

static void many_globals_are_wiped_too(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_buf source = { 0 };
    fixture_init(&f);
    for (int i = 0; i < 150; i++)
        ps_buf_printf(&source, "g%d = %d ", i, i);
    ps_buf_put_text(&source, "return g149");
    assert_int_equal(run_text(&f, ps_buf_cstr(&source)), PS_OK);
    assert_string_equal(f.text.data, "149");
    assert_int_equal(run_text(&f, "return g0 == nil and g149 == nil"), PS_OK);
    assert_string_equal(f.text.data, "true");
    ps_buf_deinit(&source);
    fixture_deinit(&f);
}

/* Metatables keep working where guarding gets in between. */
static const struct expression_case meta_cases[] = {
    { "local mt = {} local t = setmetatable({}, mt) return getmetatable(t) == mt and "
      "getmetatable(mt) == nil",
      "true" },
    { "local A = {} A.__index = A function A.new() return setmetatable({}, A) end "
      "function A:f() return 'f' end return A.new():f()",
      "f" },
    { "local B = {} B.__index = B function B.f() return 'b' end "
      "local C = setmetatable({}, B) C.__index = C "
      "local o = setmetatable({}, C) return o.f() .. tostring(getmetatable(C) == B)",
      "btrue" },
    { "local C = {} local o = setmetatable({}, C) C.__index = function(t, k) return k end "
      "return o.late",
      "late" },
    { "local C = {} local o = setmetatable({}, C) C.__add = function() return 'sum' end return o + "
      "o",
      "sum" },
    { "local C = {} local o = setmetatable({}, C) setmetatable(C, {__index = {x = 1}}) return C.x",
      "1" },
    { "local C = {} local o = setmetatable({}, C) setmetatable(C, {}) setmetatable(C, nil) "
      "return select(2, pcall(function() C.__mode = 'k' end))",
      "script:1: a metatable must not have '__gc' or '__mode'" },
    { "local C = {} setmetatable(C, C) return tostring(getmetatable(C) == C)", "true" },
    { "local C = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v) end}) "
      "setmetatable({}, C) return select(2, pcall(function() C.__mode = 'k' end))",
      "a metatable must not have '__gc' or '__mode'" },
    { "local mm = {} local C = setmetatable({}, mm) setmetatable({}, C) mm.__newindex = nil "
      "return tostring(pcall(function() C.__mode = 'k' end))",
      "false" },
    { "local t = setmetatable({}, {__metatable = 'locked'}) return getmetatable(t) .. "
      "tostring(pcall(setmetatable, t, {}))",
      "lockedfalse" },
    { "local t = json.array{} setmetatable(t, {__index = {x = 1}}) return t.x", "1" },
};

static void metatables_keep_working(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof meta_cases / sizeof meta_cases[0]; i++) {
        if (run_text(&f, meta_cases[i].script) != PS_OK)
            fail_msg("%s: %s", meta_cases[i].script, f.error.message);
        if (!strstr(f.text.data, meta_cases[i].want))
            fail_msg("%s is \"%s\" instead of \"%s\"", meta_cases[i].script, f.text.data,
                     meta_cases[i].want);
    }
    fixture_deinit(&f);
}

static const struct runtime_error_case {
    const char *script, *text;
    const char *trace; /* joined by ';' */
} runtime_error_cases[] = {
    { "\n\nreturn nil < 1", "script:3: attempt to compare nil with number",
      "line 3 in main chunk;" },
    { "local function f()\n  error('short')\nend\nf()", "script:2: short",
      "line 2 in function 'f';line 4 in main chunk;" },
    { "error('bare', 0)", "script:1: bare", "line 1 in main chunk;" },
    { "error({code = 5, why = 'x'})", "script:1: {\"code\":5,\"why\":\"x\"}",
      "line 1 in main chunk;" },
    { "error(nil)", "script:1: null", "line 1 in main chunk;" },
    { "error(print)", "script:1: error value is not text", "line 1 in main chunk;" },
    { "local t = setmetatable({}, {__index = function(t, k)\nerror(k)\nend})\nreturn t.x",
      "script:2: x", "line 2 in function 'index';line 4 in main chunk;" },
    { "msg.x.y = 1", "script:1: attempt to index a nil value (field 'x')",
      "line 1 in main chunk;" },
    { "string.rep()", "script:1: bad argument #1 to 'rep' (string expected, got no value)",
      "line 1 in main chunk;" },
    { "nothing()", "script:1: attempt to call a nil value (global 'nothing')",
      "line 1 in main chunk;" },
};

static void runtime_errors_tell_line_and_trace(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_buf text = { 0 };
    fixture_init(&f);
    for (size_t i = 0; i < sizeof runtime_error_cases / sizeof runtime_error_cases[0]; i++) {
        const struct runtime_error_case *c = &runtime_error_cases[i];
        expect_error(&f, run_text(&f, c->script), PS_SCRIPT_ERROR_RUNTIME, "", c->script);
        ps_buf_clear(&text);
        ps_script_error_put_text(&f.error, &text);
        assert_string_equal(ps_buf_cstr(&text), c->text);
        ps_buf_clear(&text);
        for (unsigned k = 0; k < f.error.trace_count; k++)
            ps_buf_printf(&text, "%s;", f.error.trace[k]);
        assert_string_equal(ps_buf_cstr(&text), c->trace);
    }
    ps_buf_deinit(&text);
    fixture_deinit(&f);
}

static void deep_recursion_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    static const char *const scripts[] = {
        "local function f() return pcall(f) end f() return 'ok'",
        "local function f() return (('x'):gsub('x', f)) end return pcall(f) and '' or 'ok'",
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = function() return tostring(t) "
        "end "
        "return pcall(tostring, t) and '' or 'ok'",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end "
        "return pcall(function() return t.x end) and '' or 'ok'",
        "local function f() table.sort({1, 2}, f) end return pcall(f) and '' or 'ok'",
        "local s = ('return '):rep(1) .. ('('):rep(150) .. ('a'):rep(10) return 'ok'",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        enum ps_status st = run_text(&f, scripts[i]);
        if (st != PS_OK && f.error.kind != PS_SCRIPT_ERROR_LIMIT_MEMORY)
            fail_msg("%s: %s", scripts[i], f.error.message);
        if (st == PS_OK)
            assert_string_equal(f.text.data, "ok");
    }
    fixture_deinit(&f);
}

static const struct compile_error_case {
    const char *script;
    enum ps_script_error_kind kind;
    int line;
    const char *message;
} compile_error_cases[] = {
    { "return (", PS_SCRIPT_ERROR_COMPILE, 1, "unexpected symbol near <eof>" },
    { "x =\n= 1", PS_SCRIPT_ERROR_COMPILE, 2, "unexpected symbol near '='" },
    { "return 1 end return (function() while true do end", PS_SCRIPT_ERROR_COMPILE, 1,
      "<eof> expected" },
    { "\nlocal x = _ENV", PS_SCRIPT_ERROR_COMPILE, 2, "_ENV is not available" },
    { "local _ENV <const> = {}", PS_SCRIPT_ERROR_COMPILE, 1, "_ENV is not available" },
    { "\x1bLua", PS_SCRIPT_ERROR_COMPILE, 1, "" },
    { "goto nowhere", PS_SCRIPT_ERROR_COMPILE, 1, "no visible label 'nowhere'" },
    { "local x <const> = 1 x = 2", PS_SCRIPT_ERROR_COMPILE, 1, "attempt to assign to const" },
};

static void compile_errors_tell_the_line(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_script_code *code;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof compile_error_cases / sizeof compile_error_cases[0]; i++) {
        const struct compile_error_case *c = &compile_error_cases[i];
        assert_int_equal(ps_script_compile(f.cache, PS_SCRIPT_FILTER, c->script, strlen(c->script),
                                           &code, &f.error, NULL),
                         PS_ESCRIPT);
        assert_int_equal(f.error.kind, c->kind);
        assert_int_equal(f.error.line, c->line);
        if (!strstr(f.error.message, c->message))
            fail_msg("\"%s\" instead of \"%s\"", f.error.message, c->message);
    }
    static char big[PS_SCRIPT_SOURCE_BYTES_MAX + 1];
    memset(big, ' ', sizeof big);
    assert_int_equal(
        ps_script_compile(f.cache, PS_SCRIPT_FILTER, big, sizeof big, &code, &f.error, NULL),
        PS_ESCRIPT);
    assert_int_equal(f.error.kind, PS_SCRIPT_ERROR_TOO_LARGE);
    memset(big, '(', sizeof big);
    assert_int_equal(
        ps_script_compile(f.cache, PS_SCRIPT_FILTER, big, sizeof big - 1, &code, &f.error, NULL),
        PS_ESCRIPT);
    assert_int_equal(f.error.kind, PS_SCRIPT_ERROR_COMPILE);
    assert_int_equal(ps_script_cache_count(f.cache), 0);
    fixture_deinit(&f);
}

static void unknown_and_assigned_globals_are_warned_of(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_script_code *code;
    struct ps_script_warnings warnings;
    const char *source =
        "local a = undefinedName\n"
        "-- _ENV in a comment, and in a string: \n"
        "count = 1\n"
        "local function f()\n"
        "  return json.encode(other), math.floor(count), '_ENV'\n"
        "end\n"
        "print(msg, metadata, msgType, ctx.ts, string.len, utf8, f, undefinedName)\n"
        "msg.field = 1";
    fixture_init(&f);
    for (int again = 0; again < 2; again++) { /* the second comes from the cache */
        assert_int_equal(ps_script_compile(f.cache, PS_SCRIPT_FILTER, source, strlen(source), &code,
                                           &f.error, &warnings),
                         PS_OK);
        assert_int_equal(warnings.count, 3);
        assert_string_equal(warnings.list[0].name, "undefinedName");
        assert_int_equal(warnings.list[0].line, 1);
        assert_false(warnings.list[0].assigned);
        assert_string_equal(warnings.list[1].name, "count");
        assert_int_equal(warnings.list[1].line, 3);
        assert_true(warnings.list[1].assigned);
        assert_string_equal(warnings.list[2].name, "other");
        assert_int_equal(warnings.list[2].line, 5);
        if (again == 0)
            ps_script_release(ps_script_retain(code));
    }
    ps_script_release(code);
    ps_script_release(code);
    fixture_deinit(&f);
}

static void every_library_name_is_known_to_the_warnings(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_script_code *code;
    struct ps_script_warnings warnings;
    const char *source =
        "return {assert, error, ipairs, next, pairs, pcall, xpcall, select, tonumber, tostring, "
        "type, "
        "rawequal, rawlen, rawget, rawset, getmetatable, setmetatable, print, math, utf8, string, "
        "table, ctx, json, time, bytes, hex, base64, hash, num, tbl, str, url, geo, uuid, log}";
    fixture_init(&f);
    assert_int_equal(ps_script_compile(f.cache, PS_SCRIPT_TEXT, source, strlen(source), &code,
                                       &f.error, &warnings),
                     PS_OK);
    assert_int_equal(warnings.count, 0);
    ps_script_release(code);
    char counting[1024];
    snprintf(counting, sizeof counting, "local t = %s return #t", source + strlen("return "));
    assert_int_equal(run_text(&f, counting), PS_OK);
    assert_string_equal(f.text.data, "36");
    fixture_deinit(&f);
}

static void equal_texts_are_compiled_once_and_forgotten_last(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct ps_script_code *a = compile(&f, PS_SCRIPT_FILTER, "return true");
    struct ps_script_code *b = compile(&f, PS_SCRIPT_FILTER, "return true");
    struct ps_script_code *c = compile(&f, PS_SCRIPT_SWITCH, "return true");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(ps_script_cache_count(f.cache), 2);
    ps_script_release(a);
    assert_int_equal(ps_script_cache_count(f.cache), 2);
    ps_script_release(b);
    ps_script_release(c);
    assert_int_equal(ps_script_cache_count(f.cache), 0);
    fixture_deinit(&f);
}

static void a_state_forgets_the_oldest_of_many_scripts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1100; i++) {
            char source[64];
            snprintf(source, sizeof source, "return %d", i);
            assert_int_equal(run_text(&f, source), PS_OK);
            assert_string_equal(f.text.data, source + strlen("return "));
        }
    }
    assert_int_equal(ps_script_cache_count(f.cache), 1000);
    fixture_deinit(&f);
}

static void errors_have_a_json_form(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_buf text = { 0 };
    fixture_init(&f);
    expect_error(&f, run_text(&f, "error('a \"b\"')"), PS_SCRIPT_ERROR_RUNTIME, "", "");
    ps_script_error_put_json(&f.error, &text);
    assert_string_equal(ps_buf_cstr(&text), "{\"kind\":\"RUNTIME\",\"message\":\"a \\\"b\\\"\","
                                            "\"line\":1,\"trace\":[\"line 1 in main chunk\"]}");
    ps_buf_deinit(&text);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_give_messages),
        cmocka_unit_test(bad_results_are_told),
        cmocka_unit_test(filters_give_booleans_only),
        cmocka_unit_test(switches_give_labels_without_duplicates),
        cmocka_unit_test(generator_gives_one_message_or_none),
        cmocka_unit_test(alarm_details_see_the_old_ones),
        cmocka_unit_test(argument_tables_are_plain_tables),
        cmocka_unit_test(messages_of_other_kinds_of_data_arrive),
        cmocka_unit_test(nulls_survive_only_where_asked_for),
        cmocka_unit_test(big_messages_are_read_right),
        cmocka_unit_test(no_value_survives_a_call),
        cmocka_unit_test(many_globals_are_wiped_too),
        cmocka_unit_test(metatables_keep_working),
        cmocka_unit_test(runtime_errors_tell_line_and_trace),
        cmocka_unit_test(deep_recursion_is_an_error_not_a_crash),
        cmocka_unit_test(compile_errors_tell_the_line),
        cmocka_unit_test(unknown_and_assigned_globals_are_warned_of),
        cmocka_unit_test(every_library_name_is_known_to_the_warnings),
        cmocka_unit_test(equal_texts_are_compiled_once_and_forgotten_last),
        cmocka_unit_test(a_state_forgets_the_oldest_of_many_scripts),
        cmocka_unit_test(errors_have_a_json_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
