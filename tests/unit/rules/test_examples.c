/* Chains as users write them: the default root chain and worked examples of the contract (10.1,
 * 10.3), through the real Lua. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "core/log.h"
#include "unit/rules/rules_world.h"

#define TELEMETRY "POST_TELEMETRY_REQUEST"

static void default_root_chain_routes_every_type(void **state)
{
    (void)state;
    static const struct {
        const char *type, *data, *visits, *effects;
    } cases[] = {
        { TELEMETRY, "{t:21.5}", "Message Type Switch Save Timeseries ",
          "telemetry ts=1000 ttl=0 HLS {\"t\":21.5}\n" },
        { "POST_ATTRIBUTES_REQUEST", "{fw:'1.0'}", "Message Type Switch Save Client Attributes ",
          "attributes CLIENT C--S {\"fw\":\"1.0\"}\n" },
        { "TO_SERVER_RPC_REQUEST", "{method:'m',params:{}}",
          "Message Type Switch Log RPC from Device ", "" },
        { "SOMETHING_ELSE", "{}", "Message Type Switch Log Other ", "" },
        { "ENTITY_CREATED", "{}", "Message Type Switch ", "" },
        { "ALARM_CREATED", "{}", "Message Type Switch ", "" },
        { "INACTIVITY_EVENT", "{}", "Message Type Switch ", "" },
        { "RPC_CALL_FROM_SERVER_TO_DEVICE", "{}", "Message Type Switch ", "" },
    };
    struct world w;
    world_init(&w);
    world_put(&w, 'r', ps_default_root_chain_metadata());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_run(&w, 'r', cases[i].type, cases[i].data,
                  "deviceName=th-7,deviceType=default,ts=1000,notifyDevice=false");
        assert_string_equal(world_visits(&w), cases[i].visits);
        assert_string_equal(world_effects(&w), cases[i].effects);
        assert_int_equal(w.outcome.end, PS_RUN_DONE);
    }
    world_deinit(&w);
}

/* Metadata JSON with the @label strings replaced by scripts. */
static char *with_script(const char *lenient, const char *label, const char *script)
{
    char *text = world_json(lenient);
    json_t *metadata = json_loads(text, 0, NULL);
    assert_non_null(metadata);
    free(text);
    size_t i;
    json_t *node;
    json_array_foreach(json_object_get(metadata, "nodes"), i, node)
    {
        json_t *config = json_object_get(node, "configuration");
        const char *value = json_string_value(json_object_get(config, "script"));
        if (value && strcmp(value, label) == 0)
            json_object_set_new(config, "script", json_string(script));
    }
    text = json_dumps(metadata, JSON_COMPACT);
    json_decref(metadata);
    return text;
}

static void e1_threshold_with_hysteresis(void **state)
{
    (void)state;
    static const char script[] =
        "local t = tonumber(msg.temperature)\n"
        "if not t then return nil end\n"
        "if t > 30 then return \"High\" elseif t < 25 then return \"Normal\" end\n";
    static const struct {
        const char *type, *data, *visits, *effects;
    } cases[] = {
        { TELEMETRY, "{temperature:31.0}", "Telemetry? Save Level Raise ",
          "telemetry ts=1000 ttl=0 HLS {\"temperature\":31.0}\n" },
        { TELEMETRY, "{temperature:27.0}", "Telemetry? Save Level ",
          "telemetry ts=1000 ttl=0 HLS {\"temperature\":27.0}\n" },
        { TELEMETRY, "{temperature:24.0}", "Telemetry? Save Level Clear ",
          "telemetry ts=1000 ttl=0 HLS {\"temperature\":24.0}\n" },
        { TELEMETRY, "{temperature:'hot'}", "Telemetry? Save Level ",
          "telemetry ts=1000 ttl=0 HLS {\"temperature\":\"hot\"}\n" },
        { "ALARM_CREATED", "{}", "Telemetry? ", "" },
    };
    struct world w;
    world_init(&w);
    /* the alarm nodes are stood in for: this build has none yet */
    char *metadata = with_script(
        "{firstNodeIndex:4,nodes:["
        "{type:'action.save_timeseries',name:'Save',configuration:{}},"
        "{type:'filter.switch',name:'Level',configuration:{script:'@E1.switch'}},"
        "{nop:'Raise'},{nop:'Clear'},"
        "{type:'filter.msg_type',name:'Telemetry?',configuration:{messageTypes:["
        "'POST_TELEMETRY_REQUEST']}}],"
        "connections:[{fromIndex:0,toIndex:1,type:'Success'},{fromIndex:1,toIndex:2,type:'High'},"
        "{fromIndex:1,toIndex:3,type:'Normal'},{fromIndex:4,toIndex:0,type:'True'}]}",
        "@E1.switch", script);
    world_put(&w, 'p', metadata);
    free(metadata);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_run(&w, 'p', cases[i].type, cases[i].data, "ts=1000");
        assert_string_equal(world_visits(&w), cases[i].visits);
        assert_string_equal(world_effects(&w), cases[i].effects);
        assert_int_equal(w.outcome.end, PS_RUN_DONE);
    }
    world_deinit(&w);
}

static void e2_binary_frame(void **state)
{
    (void)state;
    static const char script[] =
        "if msg.fPort ~= 2 then return nil end\n"
        "local b = base64.decode(msg.payload)\n"
        "if #b < 6 then error(\"short frame: \" .. #b .. \" bytes\") end\n"
        "local flags = bytes.u8(b, 5)\n"
        "return { msg = { status = bytes.u8(b, 0), temperature = num.round(bytes.i16(b, 1) / 100, "
        "2),\n"
        "  humidity = bytes.u16(b, 3), doorOpen = bytes.bit(flags, 1) == 1 } }\n";
    struct world w;
    world_init(&w);
    char *metadata =
        with_script("{firstNodeIndex:0,nodes:["
                    "{type:'transform.script',name:'Decode',configuration:{script:'@E2.decode'}},"
                    "{type:'action.save_timeseries',name:'Save',configuration:{}}],"
                    "connections:[{fromIndex:0,toIndex:1,type:'Success'}]}",
                    "@E2.decode", script);
    world_put(&w, 'p', metadata);
    free(metadata);

    world_run(&w, 'p', TELEMETRY, "{fPort:2,payload:'AQn2AEsC'}", "ts=1700000000000");
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    assert_string_equal(world_effects(&w),
                        "telemetry ts=1700000000000 ttl=0 HLS {\"doorOpen\":true,\"humidity\":75,"
                        "\"status\":1,\"temperature\":25.5}\n");
    world_run(&w, 'p', TELEMETRY, "{fPort:5,payload:'AQn2AEsC'}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    assert_string_equal(world_visits(&w), "Decode ");
    world_run(&w, 'p', TELEMETRY, "{fPort:2,payload:'AQ=='}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_FAILED);
    assert_string_equal(w.outcome.failure.text, "script:3: short frame: 1 bytes");
    assert_int_equal(w.outcome.failure.script_kind, PS_SCRIPT_ERROR_RUNTIME);
    world_deinit(&w);
}

static void branches_do_not_see_each_others_changes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'p',
              "{firstNodeIndex:0,nodes:[{nop:'Fork'},"
              "{type:'transform.script',name:'T',configuration:{script:'msg.t = 99 "
              "metadata.ts = \"1\" return {msg = msg, metadata = metadata}'}},"
              "{type:'action.save_timeseries',name:'S1'},{type:'action.save_timeseries',name:'S2'}"
              "],connections:[{fromIndex:0,toIndex:1,type:'Success'},{fromIndex:0,toIndex:3,type:"
              "'Success'},{fromIndex:1,toIndex:2,type:'Success'}]}");
    world_run(&w, 'p', TELEMETRY, "{t:1}", "ts=1000");
    assert_string_equal(world_effects(&w), "telemetry ts=1 ttl=0 HLS {\"t\":99}\n"
                                           "telemetry ts=1000 ttl=0 HLS {\"t\":1}\n");
    world_deinit(&w);
}

static void saving_a_chain_again_takes_effect_for_the_next_message(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'p', "{firstNodeIndex:0,nodes:[{nop:'Old'}],connections:[]}");
    world_run(&w, 'p', TELEMETRY, "{t:1}", NULL);
    assert_string_equal(world_visits(&w), "Old ");
    world_put(&w, 'p', "{firstNodeIndex:0,nodes:[{nop:'New'}],connections:[]}");
    world_run(&w, 'p', TELEMETRY, "{t:1}", NULL);
    assert_string_equal(world_visits(&w), "New ");
    world_deinit(&w);
}

int main(void)
{
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_root_chain_routes_every_type),
        cmocka_unit_test(e1_threshold_with_hysteresis),
        cmocka_unit_test(e2_binary_frame),
        cmocka_unit_test(branches_do_not_see_each_others_changes),
        cmocka_unit_test(saving_a_chain_again_takes_effect_for_the_next_message),
    };
    return cmocka_run_group_tests_name("rules.examples", tests, NULL, NULL);
}
