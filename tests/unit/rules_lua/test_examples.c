/* The scripts of the contract's worked examples (10.3) give the results stated there. */
#include "lua_fixture.h"

#include "core/clock.h"

static struct ps_msg *message(const struct ps_kv *kvs, uint32_t count)
{
    static const struct ps_pair metadata[] = { PAIR("deviceName", "th-7"), PAIR("ss_site", "HEL1"),
                                               PAIR("ts", "1700000000000") };
    struct ps_msg_content content = { .type = PS_MSG_POST_TELEMETRY,
                                      .data_kind = PS_DATA_OBJECT,
                                      .kvs = kvs,
                                      .kv_count = count,
                                      .metadata = metadata,
                                      .metadata_count = 3 };
    return message_of(&content);
}

static void threshold_alarm_with_hysteresis(void **state)
{
    (void)state;
    static const struct {
        double temperature;
        const char *label;
    } steps[] = { { 31.0, "High" }, { 33.5, "High" }, { 27.0, NULL }, { 24.0, "Normal" } };
    struct fixture f;
    fixture_init(&f);
    struct ps_script_code *code =
        compile(&f, PS_SCRIPT_SWITCH,
                "local t = tonumber(msg.temperature)\nif not t then return nil end\n"
                "if t > 30 then return \"High\" elseif t < 25 then return \"Normal\" end\n");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct ps_kv kv = KV_DOUBLE("temperature", steps[i].temperature);
        struct ps_msg *msg = message(&kv, 1);
        struct ps_script_labels labels;
        assert_int_equal(ps_lua_switch(f.lua, code, msg, NULL, &labels, &f.error), PS_OK);
        assert_int_equal(labels.count, steps[i].label != NULL);
        if (steps[i].label)
            assert_string_equal(labels.list[0].text, steps[i].label);
        ps_msg_release(msg);
    }
    ps_script_release(code);

    code = compile(&f, PS_SCRIPT_JSON,
                   "local d = prevDetails or {}\nd.count = (d.count or 0) + 1\n"
                   "d.max = math.max(d.max or msg.temperature, msg.temperature)\nreturn d\n");
    struct ps_kv first = KV_DOUBLE("temperature", 31.0), second = KV_DOUBLE("temperature", 33.5);
    struct ps_msg *msg = message(&first, 1);
    struct ps_script_text details;
    assert_int_equal(ps_lua_json(f.lua, code, msg, NULL, NULL, 0, &details, &f.error), PS_OK);
    assert_string_equal(details.data, "{\"count\":1,\"max\":31.0}");
    ps_msg_release(msg);
    msg = message(&second, 1);
    const char *old = "{\"count\":1,\"max\":31.0}";
    assert_int_equal(ps_lua_json(f.lua, code, msg, NULL, old, strlen(old), &details, &f.error),
                     PS_OK);
    assert_string_equal(details.data, "{\"count\":2,\"max\":33.5}");
    ps_msg_release(msg);
    ps_script_release(code);
    fixture_deinit(&f);
}

static const char frame_script[] =
    "if msg.fPort ~= 2 then return nil end\n"
    "local b = base64.decode(msg.payload)\n"
    "if #b < 6 then error(\"short frame: \" .. #b .. \" bytes\") end\n"
    "local flags = bytes.u8(b, 5)\n"
    "return { msg = { status = bytes.u8(b, 0), temperature = num.round(bytes.i16(b, 1) / 100, 2),\n"
    "  humidity = bytes.u16(b, 3), doorOpen = bytes.bit(flags, 1) == 1 } }\n";

static void binary_frame(void **state)
{
    (void)state;
    static const struct ps_kv good[] = { KV_LONG("fPort", 2), KV_STRING("payload", "AQn2AEsC") };
    static const struct ps_kv other[] = { KV_LONG("fPort", 5), KV_STRING("payload", "AQn2AEsC") };
    static const struct ps_kv cut[] = { KV_LONG("fPort", 2), KV_STRING("payload", "AQ==") };
    struct fixture f;
    fixture_init(&f);
    struct ps_msg *msg = message(good, 2);
    assert_int_equal(run_transform_on(&f, msg, frame_script), PS_OK);
    assert_non_null(strstr(
        f.text.data, "{\"doorOpen\":true,\"humidity\":75,\"status\":1,\"temperature\":25.5}|"));
    ps_msg_release(msg);
    msg = message(other, 2);
    assert_int_equal(run_transform_on(&f, msg, frame_script), PS_OK);
    assert_string_equal(f.text.data, "");
    ps_msg_release(msg);
    msg = message(cut, 2);
    assert_int_equal(run_transform_on(&f, msg, frame_script), PS_ESCRIPT);
    struct ps_buf text = { 0 };
    ps_script_error_put_text(&f.error, &text);
    assert_string_equal(ps_buf_cstr(&text), "script:3: short frame: 1 bytes");
    ps_buf_deinit(&text);
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void meter(void **state)
{
    (void)state;
    static const char script[] =
        "local kwh = msg.delta / 500\nmsg.energyKwh = num.round(kwh, 3)\n"
        "local hours = (msg.periodMs or 0) / 3600000\n"
        "if hours > 0 then msg.powerKw = num.round(kwh / hours, 3) end\nreturn { msg = msg }\n";
    static const struct ps_kv first[] = { KV_LONG("pulses", 1000), KV_LONG("delta", 0),
                                          KV_LONG("periodMs", 0) };
    static const struct ps_kv second[] = { KV_LONG("pulses", 1012), KV_LONG("delta", 12),
                                           KV_LONG("periodMs", 60000) };
    struct fixture f;
    fixture_init(&f);
    struct ps_msg *msg = message(first, 3);
    assert_int_equal(run_transform_on(&f, msg, script), PS_OK);
    assert_non_null(
        strstr(f.text.data, "{\"delta\":0,\"energyKwh\":0.0,\"periodMs\":0,\"pulses\":1000}|"));
    ps_msg_release(msg);
    msg = message(second, 3);
    assert_int_equal(run_transform_on(&f, msg, script), PS_OK);
    assert_non_null(strstr(f.text.data, "{\"delta\":12,\"energyKwh\":0.024,\"periodMs\":60000,"
                                        "\"powerKw\":1.44,\"pulses\":1012}|"));
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void enrich_and_forward(void **state)
{
    (void)state;
    static const struct ps_kv kvs[] = { KV_JSON("env", "{\"t\":21.5,\"h\":40}") };
    struct fixture f;
    fixture_init(&f);
    struct ps_msg *msg = message(kvs, 1);
    assert_int_equal(run_transform_on(&f, msg,
                                      "return { msg = { id = metadata.deviceName, site = "
                                      "metadata.ss_site,\n  t = tonumber(metadata.ts), v = "
                                      "tbl.flatten(msg) } }\n"),
                     PS_OK);
    assert_non_null(strstr(f.text.data, "{\"id\":\"th-7\",\"site\":\"HEL1\",\"t\":1700000000000,"
                                        "\"v\":{\"env.h\":40,\"env.t\":21.5}}|"));
    ps_msg_release(msg);
    fixture_deinit(&f);
}

static void rpc_both_ways(void **state)
{
    (void)state;
    static const char reply[] =
        "if msg.method == \"getTime\" then\n  return { msg = { now = time.now(), tz = \"UTC\" } }\n"
        "end\nreturn { msg = { error = \"unknown method \" .. tostring(msg.method) } }\n";
    static const char guard[] = "if msg.method ~= \"setSetpoint\" then return true end\n"
                                "local v = tonumber(tbl.get(msg, \"params.value\"))\n"
                                "return v ~= nil and v >= 5 and v <= 30\n";
    static const struct ps_kv get_time[] = { KV_STRING("method", "getTime"),
                                             KV_JSON("params", "{}") };
    static const struct ps_kv nothing[] = { KV_JSON("params", "{}") };
    static const struct {
        struct ps_kv kvs[2];
        bool passes;
    } guarded[] = {
        { { KV_STRING("method", "setSetpoint"), KV_JSON("params", "{\"value\":80}") }, false },
        { { KV_STRING("method", "setSetpoint"), KV_JSON("params", "{\"value\":21}") }, true },
        { { KV_STRING("method", "setSetpoint"), KV_JSON("params", "{\"value\":\"21\"}") }, true },
        { { KV_STRING("method", "reboot"), KV_JSON("params", "{}") }, true },
    };
    struct fixture f;
    fixture_init(&f);
    ps_clock_set_for_test(1700000000123, 1);
    struct ps_msg *msg = message(get_time, 2);
    assert_int_equal(run_transform_on(&f, msg, reply), PS_OK);
    assert_non_null(strstr(f.text.data, "{\"now\":1700000000123,\"tz\":\"UTC\"}|"));
    ps_msg_release(msg);
    ps_clock_set_for_test(-1, -1);
    msg = message(nothing, 1);
    assert_int_equal(run_transform_on(&f, msg, reply), PS_OK);
    assert_non_null(strstr(f.text.data, "{\"error\":\"unknown method nil\"}|"));
    ps_msg_release(msg);
    struct ps_script_code *code = compile(&f, PS_SCRIPT_FILTER, guard);
    for (size_t i = 0; i < sizeof guarded / sizeof guarded[0]; i++) {
        bool result = !guarded[i].passes;
        msg = message(guarded[i].kvs, 2);
        assert_int_equal(ps_lua_filter(f.lua, code, msg, NULL, &result, &f.error), PS_OK);
        assert_int_equal(result, guarded[i].passes);
        ps_msg_release(msg);
    }
    ps_script_release(code);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threshold_alarm_with_hysteresis),
        cmocka_unit_test(binary_frame),
        cmocka_unit_test(meter),
        cmocka_unit_test(enrich_and_forward),
        cmocka_unit_test(rpc_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
