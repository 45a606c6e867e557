/* What each kind of node owes (rule-engine contract, section 4), one table a kind: a message goes
 * in, the told relation and the host's calls come out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/clock.h"
#include "unit/rules/rules_world.h"

#define TELEMETRY "POST_TELEMETRY_REQUEST"
#define ATTRIBUTES "POST_ATTRIBUTES_REQUEST"

/* A chain of one node under test; every relation leads to a node of that name. */
static void put_under_test(struct world *w, const char *type, const char *members)
{
    static const char *const told[] = { "Success",         "Failure",      "True",
                                        "False",           "Other",        "Post telemetry",
                                        "Post attributes", "Alarm Created" };
    struct ps_buf text = { 0 };
    ps_buf_printf(&text, "{firstNodeIndex:0,nodes:[{type:'%s',name:'-',configuration:{%s}}", type,
                  members);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        ps_buf_printf(&text, ",{type:'flow.nop',name:'%s'}", told[i]);
    ps_buf_put_text(&text, "],connections:[");
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        ps_buf_printf(&text, "%s{fromIndex:0,toIndex:%zu,type:'%s'}", i ? "," : "", i + 1, told[i]);
    ps_buf_put_text(&text, "]}");
    world_put(w, 'a', ps_buf_cstr(&text));
    ps_buf_deinit(&text);
}

/* The error text that a failed node left for its handler. */
static char seen_error[PS_FAILURE_TEXT_SIZE];

static void remember_error(void *user, const struct ps_program *program, const struct ps_node *node,
                           const struct ps_msg *msg, enum ps_step step,
                           const struct ps_step_out *out)
{
    struct world *w = user;
    (void)program;
    (void)msg;
    ps_buf_printf(&w->visits, "%s ", node->name);
    if (step == PS_STEP_FAILURE)
        snprintf(seen_error, sizeof seen_error, "%s", out->failure.text);
}

static const struct node_case {
    const char *name, *type, *members;      /* the node */
    const char *msg_type, *data, *metadata; /* the message */
    const char *told, *effects;             /* visited nodes behind it, host's calls */
    const char *error;                      /* NULL: none; else a part of it */
} node_cases[] = {
    /* filter.script */
    { "true", "filter.script", "script:'return msg.t > 20'", TELEMETRY, "{t:21}", NULL, "True", "",
      NULL },
    { "false", "filter.script", "script:'return msg.t > 20'", TELEMETRY, "{t:19}", NULL, "False",
      "", NULL },
    { "metadata and type", "filter.script",
      "script:'return metadata.k == \"v\" and msgType == \"X\"'", "X", "{}", "k=v", "True", "",
      NULL },
    { "no boolean", "filter.script", "script:'return 1'", TELEMETRY, "{}", NULL, "Failure", "",
      "true or false" },
    { "script error", "filter.script", "script:'return msg.t > 20'", TELEMETRY, "{}", NULL,
      "Failure", "", "script:1: attempt to compare" },
    { "null member is absent", "filter.script", "script:'return msg.t == nil'", TELEMETRY,
      "{t:null}", NULL, "True", "", NULL },
    { "null member with keepNulls", "filter.script",
      "script:'return msg.t == json.null',keepNulls:true", TELEMETRY, "{t:null}", NULL, "True", "",
      NULL },

    /* filter.switch */
    { "one relation", "filter.switch", "script:'return \"true\"'", TELEMETRY, "{}", NULL, "True",
      "", NULL },
    { "two relations", "filter.switch", "script:'return {\"False\",\"True\"}'", TELEMETRY, "{}",
      NULL, "True False", "", NULL },
    { "nil ends well", "filter.switch", "script:'return nil'", TELEMETRY, "{}", NULL, "", "",
      NULL },
    { "empty list ends well", "filter.switch", "script:'return {}'", TELEMETRY, "{}", NULL, "", "",
      NULL },
    { "number is no relation", "filter.switch", "script:'return 5'", TELEMETRY, "{}", NULL,
      "Failure", "", "string" },
    { "too many relations", "filter.switch",
      "script:'local r = {} for i = 1, 33 do r[i] = \"r\" .. i end return r'", TELEMETRY, "{}",
      NULL, "Failure", "", "more than 32 relations" },

    /* filter.msg_type_switch */
    { "telemetry", "filter.msg_type_switch", "", TELEMETRY, "{}", NULL, "Post telemetry", "",
      NULL },
    { "attributes", "filter.msg_type_switch", "", ATTRIBUTES, "{}", NULL, "Post attributes", "",
      NULL },
    { "alarm created", "filter.msg_type_switch", "", "ALARM_CREATED", "{}", NULL, "Alarm Created",
      "", NULL },
    { "custom", "filter.msg_type_switch", "", "MY_TYPE", "{}", NULL, "Other", "", NULL },
    { "known without label", "filter.msg_type_switch", "", "PROVISION_SUCCESS", "{}", NULL, "Other",
      "", NULL },
    { "label without connection ends well", "filter.msg_type_switch", "", "ENTITY_CREATED", "{}",
      NULL, "", "", NULL },

    /* filter.msg_type */
    { "default list", "filter.msg_type", "", TELEMETRY, "{}", NULL, "True", "", NULL },
    { "not in default list", "filter.msg_type", "", "ALARM", "{}", NULL, "False", "", NULL },
    { "custom type listed", "filter.msg_type", "messageTypes:['ALARM','MINE']", "MINE", "{}", NULL,
      "True", "", NULL },
    { "other custom type", "filter.msg_type", "messageTypes:['ALARM','MINE']", "MIN", "{}", NULL,
      "False", "", NULL },
    { "empty list", "filter.msg_type", "messageTypes:[]", TELEMETRY, "{}", NULL, "False", "",
      NULL },

    /* transform.script */
    { "keeps what it leaves out", "transform.script", "script:'return {metadata={a=1}}'", TELEMETRY,
      "{t:1}", NULL, "Success", "", NULL },
    { "several messages", "transform.script", "script:'return {{msg={a=1}},{msg={a=2}}}'",
      TELEMETRY, "{t:1}", NULL, "Success Success", "", NULL },
    { "nil drops", "transform.script", "script:'return nil'", TELEMETRY, "{t:1}", NULL, "", "",
      NULL },
    { "empty list drops", "transform.script", "script:'return {}'", TELEMETRY, "{t:1}", NULL, "",
      "", NULL },
    { "none of the keys", "transform.script", "script:'return {temperature=1}'", TELEMETRY, "{t:1}",
      NULL, "Failure", "", "" },
    { "result too large", "transform.script", "script:'return {msg={x=string.rep(\"x\",300000)}}'",
      TELEMETRY, "{t:1}", NULL, "Failure", "", "" },

    /* action.save_timeseries */
    { "flat object at metadata.ts", "action.save_timeseries", "", TELEMETRY,
      "{t:21.5,on:true,s:'00123',n:42,j:{a:[1]}}", "ts=1000", "Success",
      "telemetry ts=1000 ttl=0 HLS {\"t\":21.5,\"on\":true,\"s\":\"00123\",\"n\":42,"
      "\"j\":{\"a\":[1]}}\n",
      NULL },
    { "no metadata.ts: the message's time", "action.save_timeseries", "", TELEMETRY, "{t:1}", NULL,
      "Success", "telemetry ts=5000 ttl=0 HLS {\"t\":1}\n", NULL },
    { "server time", "action.save_timeseries", "useServerTs:true", TELEMETRY, "{t:1}", "ts=1000",
      "Success", "telemetry ts=777000 ttl=0 HLS {\"t\":1}\n", NULL },
    { "server time over inner ts", "action.save_timeseries", "useServerTs:true", TELEMETRY,
      "{ts:1,values:{t:1}}", "ts=1000", "Success", "telemetry ts=777000 ttl=0 HLS {\"t\":1}\n",
      NULL },
    { "inner ts", "action.save_timeseries", "", TELEMETRY, "{ts:2000,values:{t:1}}", "ts=1000",
      "Success", "telemetry ts=2000 ttl=0 HLS {\"t\":1}\n", NULL },
    { "inner ts as digits and float", "action.save_timeseries", "", TELEMETRY,
      "[{ts:'2000',values:{t:1}},{ts:3000.7,values:{t:2}}]", NULL, "Success",
      "telemetry ts=2000 ttl=0 HLS {\"t\":1}\ntelemetry ts=3000 ttl=0 HLS {\"t\":2}\n", NULL },
    { "list of both", "action.save_timeseries", "", TELEMETRY,
      "[{a:1},{ts:7,values:{b:'x',c:[1,2]}},{}]", "ts=1000", "Success",
      "telemetry ts=1000 ttl=0 HLS {\"a\":1}\n"
      "telemetry ts=7 ttl=0 HLS {\"b\":\"x\",\"c\":[1,2]}\n",
      NULL },
    { "only ts: a plain key", "action.save_timeseries", "", TELEMETRY, "{ts:7}", NULL, "Success",
      "telemetry ts=5000 ttl=0 HLS {\"ts\":7}\n", NULL },
    { "inner strings are not cast", "action.save_timeseries", "", TELEMETRY,
      "{ts:7,values:{s:'00123',e:'a\\n\\u00e4'}}", NULL, "Success",
      "telemetry ts=7 ttl=0 HLS {\"s\":\"00123\",\"e\":\"a\\n\xC3\xA4\"}\n", NULL },
    { "integer beyond int64", "action.save_timeseries", "", TELEMETRY,
      "{ts:7,values:{n:9223372036854775808,m:-9223372036854775808}}", NULL, "Success",
      "telemetry ts=7 ttl=0 HLS {\"n\":9223372036854776000.0,\"m\":-9223372036854775808}\n", NULL },
    { "nulls are skipped", "action.save_timeseries", "", TELEMETRY, "{a:null,b:2,c:null}", NULL,
      "Success", "telemetry ts=5000 ttl=0 HLS {\"b\":2}\n", NULL },
    { "inner nulls are skipped", "action.save_timeseries", "", TELEMETRY, "[{a:null,b:2},{a:null}]",
      NULL, "Success", "telemetry ts=5000 ttl=0 HLS {\"b\":2}\n", NULL },
    { "nothing to save", "action.save_timeseries", "", TELEMETRY, "{}", NULL, "Success", "", NULL },
    { "empty list", "action.save_timeseries", "", TELEMETRY, "[]", NULL, "Success", "", NULL },
    { "TTL of the message", "action.save_timeseries", "defaultTTL:60", TELEMETRY, "{t:1}",
      "TTL=3600", "Success", "telemetry ts=5000 ttl=3600 HLS {\"t\":1}\n", NULL },
    { "TTL of the node", "action.save_timeseries", "defaultTTL:60", TELEMETRY, "{t:1}", NULL,
      "Success", "telemetry ts=5000 ttl=60 HLS {\"t\":1}\n", NULL },
    { "TTL is no number", "action.save_timeseries", "", TELEMETRY, "{t:1}", "TTL=1h", "Failure", "",
      "TTL is not a number" },
    { "TTL beyond int64", "action.save_timeseries", "", TELEMETRY, "{t:1}",
      "TTL=9223372036854775808", "Failure", "", "TTL is not a number" },
    { "TTL negative", "action.save_timeseries", "", TELEMETRY, "{t:1}", "TTL=-1", "Failure", "",
      "TTL is negative" },
    { "TTL of a hundred years", "action.save_timeseries", "", TELEMETRY, "{t:1}", "TTL=3153600000",
      "Success", "telemetry ts=5000 ttl=3153600000 HLS {\"t\":1}\n", NULL },
    { "TTL of more", "action.save_timeseries", "", TELEMETRY, "{t:1}", "TTL=3153600001", "Failure",
      "", "TTL is more than 3153600000 seconds" },
    { "TTL 0 is not the node's", "action.save_timeseries", "defaultTTL:60", TELEMETRY, "{t:1}",
      "TTL=0", "Success", "telemetry ts=5000 ttl=0 HLS {\"t\":1}\n", NULL },
    { "TTL empty", "action.save_timeseries", "", TELEMETRY, "{t:1}", "TTL=", "Failure", "",
      "TTL is not a number" },
    { "wrong type", "action.save_timeseries", "", ATTRIBUTES, "{t:1}", NULL, "Failure", "",
      "unsupported message type: POST_ATTRIBUTES_REQUEST" },
    { "ts is no time", "action.save_timeseries", "", TELEMETRY, "{ts:true,values:{t:1}}", NULL,
      "Failure", "", "ts is not a timestamp" },
    { "values is no object", "action.save_timeseries", "", TELEMETRY, "{ts:1,values:[1]}", NULL,
      "Failure", "", "values is not an object" },
    { "data is a number", "action.save_timeseries", "", TELEMETRY, "5", NULL, "Failure", "",
      "data is not an object" },
    { "list holds a number", "action.save_timeseries", "", TELEMETRY, "[{a:1},5]", NULL, "Failure",
      "telemetry ts=5000 ttl=0 HLS {\"a\":1}\n", "data is not an object" },
    { "web sockets only", "action.save_timeseries", "processingSettings:{type:'WEBSOCKETS_ONLY'}",
      TELEMETRY, "{t:1}", NULL, "Success", "telemetry ts=5000 ttl=0 --S {\"t\":1}\n", NULL },
    { "advanced", "action.save_timeseries",
      "processingSettings:{type:'ADVANCED',timeseries:{type:'ON_EVERY_MESSAGE'},latest:{type:"
      "'SKIP'},webSockets:{type:'SKIP'},calculatedFields:{type:'SKIP'}}",
      TELEMETRY, "{t:1}", NULL, "Success", "telemetry ts=5000 ttl=0 H-- {\"t\":1}\n", NULL },

    /* action.save_attributes */
    { "default scope", "action.save_attributes", "", ATTRIBUTES, "{a:1,b:null}",
      "notifyDevice=false", "Success", "attributes SERVER C--S {\"a\":1}\n", NULL },
    { "scope of the node", "action.save_attributes", "scope:'CLIENT_SCOPE'", ATTRIBUTES, "{a:'x'}",
      NULL, "Success", "attributes CLIENT C--S {\"a\":\"x\"}\n", NULL },
    { "scope of the message", "action.save_attributes", "scope:'CLIENT_SCOPE'", ATTRIBUTES, "{a:1}",
      "scope=SHARED_SCOPE,notifyDevice=false", "Success", "attributes SHARED C--S {\"a\":1}\n",
      NULL },
    { "shared change is pushed", "action.save_attributes", "scope:'SHARED_SCOPE'", ATTRIBUTES,
      "{a:1}", "notifyDevice=true", "Success", "attributes SHARED CN-S {\"a\":1}\n", NULL },
    { "absent counts as empty", "action.save_attributes", "scope:'SHARED_SCOPE'", ATTRIBUTES,
      "{a:1}", NULL, "Success", "attributes SHARED CN-S {\"a\":1}\n", NULL },
    { "node says push", "action.save_attributes", "scope:'SHARED_SCOPE',notifyDevice:true",
      ATTRIBUTES, "{a:1}", "notifyDevice=false", "Success", "attributes SHARED CN-S {\"a\":1}\n",
      NULL },
    { "told to the chain, values always", "action.save_attributes",
      "sendAttributesUpdatedNotification:true,updateAttributesOnlyOnValueChange:false", ATTRIBUTES,
      "{a:1}", NULL, "Success", "attributes SERVER --RS {\"a\":1}\n", NULL },
    { "client scope is not told", "action.save_attributes",
      "scope:'CLIENT_SCOPE',sendAttributesUpdatedNotification:true", ATTRIBUTES, "{a:1}", NULL,
      "Success", "attributes CLIENT C--S {\"a\":1}\n", NULL },
    { "without web sockets", "action.save_attributes",
      "processingSettings:{type:'ADVANCED',attributes:{type:'ON_EVERY_MESSAGE'},webSockets:{type:"
      "'SKIP'},calculatedFields:{type:'SKIP'}}",
      ATTRIBUTES, "{a:1}", NULL, "Success", "attributes SERVER C--- {\"a\":1}\n", NULL },
    { "nothing to save", "action.save_attributes", "", ATTRIBUTES, "{}", NULL, "Success", "",
      NULL },
    { "wrong type", "action.save_attributes", "", TELEMETRY, "{a:1}", NULL, "Failure", "",
      "unsupported message type" },
    { "wrong scope", "action.save_attributes", "", ATTRIBUTES, "{a:1}", "scope=HOME", "Failure", "",
      "unknown scope: HOME" },
    { "data is a list", "action.save_attributes", "", ATTRIBUTES, "[{a:1}]", NULL, "Failure", "",
      "data is not an object" },

    /* action.log */
    { "log", "action.log", "", TELEMETRY, "{a:1}", NULL, "Success", "", NULL },
    { "log error", "action.log", "script:'error(\"no\")'", TELEMETRY, "{a:1}", NULL, "Failure", "",
      "script:1: no" },
};

static void each_node_tells_and_does_what_the_contract_says(void **state)
{
    (void)state;
    ps_clock_set_for_test(777000, 1000000000);
    for (size_t i = 0; i < sizeof node_cases / sizeof node_cases[0]; i++) {
        const struct node_case *c = &node_cases[i];
        struct world w;
        world_init(&w);
        w.env.stepped = remember_error;
        seen_error[0] = '\0';
        put_under_test(&w, c->type, c->members);
        world_run(&w, 'a', c->msg_type, c->data, c->metadata);
        char visits[128];
        snprintf(visits, sizeof visits, "- %s%s", c->told, *c->told ? " " : "");
        if (strcmp(world_visits(&w), visits) != 0 || strcmp(world_effects(&w), c->effects) != 0 ||
            (c->error ? !seen_error[0] || !strstr(seen_error, c->error) : seen_error[0] != '\0'))
            fail_msg("%s, %s: told '%s', did '%s', error '%s'", c->type, c->name, world_visits(&w),
                     world_effects(&w), seen_error);
        assert_int_equal(w.outcome.end, PS_RUN_DONE);
        world_deinit(&w);
    }
    ps_clock_set_for_test(-1, -1);
}

static void saves_count_what_they_skip(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put_under_test(&w, "action.save_timeseries", "");
    world_run(&w, 'a', TELEMETRY, "{a:null,b:null,c:1}", NULL);
    assert_int_equal(w.env.counters.nulls_skipped, 2);
    assert_int_equal(w.env.counters.empty_saves, 0);
    world_run(&w, 'a', TELEMETRY, "{a:null}", NULL);
    assert_int_equal(w.env.counters.nulls_skipped, 3);
    assert_int_equal(w.env.counters.empty_saves, 1);
    world_run(&w, 'a', TELEMETRY, "{ts:1,values:{a:99999999999999999999}}", NULL);
    assert_int_equal(w.env.counters.integers_widened, 1);
    world_deinit(&w);
}

static void refused_save_fails_with_the_hosts_reason(void **state)
{
    (void)state;
    static const struct {
        enum ps_status answer;
        enum ps_failure_kind kind;
    } cases[] = {
        { PS_EINVAL, PS_FAILURE_NODE },
        { PS_EFULL, PS_FAILURE_STORE },
        { PS_ENOMEM, PS_FAILURE_STORE },
    };
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'action.save_timeseries',name:'S'}],connections:[]}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        w.save_answer = cases[i].answer;
        world_run(&w, 'a', TELEMETRY, "{a:1}", NULL);
        assert_int_equal(w.outcome.end, PS_RUN_FAILED);
        assert_int_equal(w.outcome.failure.kind, cases[i].kind);
        assert_int_equal(w.outcome.failure.status, cases[i].answer);
        assert_string_equal(w.outcome.failure.text, "the host says no");
    }
    world_deinit(&w);
}

static void without_a_lua_state_scripts_fail_and_nothing_else(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.no_lua = true;
    put_under_test(&w, "filter.script", "");
    world_run(&w, 'a', TELEMETRY, "{temperature:21}", NULL);
    assert_string_equal(world_visits(&w), "- Failure ");
    world_deinit(&w);
}

static void script_failures_name_their_kind(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum ps_script_error_kind kind;
    } cases[] = {
        { "return 1", PS_SCRIPT_ERROR_BAD_RESULT },
        { "error('x')", PS_SCRIPT_ERROR_RUNTIME },
        { "while true do end", PS_SCRIPT_ERROR_LIMIT_CPU },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_init(&w);
        struct ps_buf text = { 0 };
        ps_buf_printf(&text,
                      "{firstNodeIndex:0,nodes:[{type:'filter.script',name:'F',configuration:{"
                      "script:\"%s\"}}],connections:[]}",
                      cases[i].script);
        world_put(&w, 'a', ps_buf_cstr(&text));
        ps_buf_deinit(&text);
        world_run(&w, 'a', TELEMETRY, "{}", NULL);
        assert_int_equal(w.outcome.end, PS_RUN_FAILED);
        assert_int_equal(w.outcome.failure.kind, PS_FAILURE_SCRIPT);
        assert_int_equal(w.outcome.failure.script_kind, cases[i].kind);
        world_deinit(&w);
    }
}

static void log_node_writes_ten_lines_a_second(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put_under_test(&w, "action.log", "script:'log.info(\"a\") return \"b\"'");
    ps_clock_set_for_test(777000, 5000000000);
    for (int i = 0; i < 8; i++)
        world_run(&w, 'a', TELEMETRY, "{a:1}", NULL);
    assert_int_equal(w.env.counters.log_lines_dropped, 6);
    ps_clock_set_for_test(778000, 6000000000);
    world_run(&w, 'a', TELEMETRY, "{a:1}", NULL);
    assert_int_equal(w.env.counters.log_lines_dropped, 6);
    ps_clock_set_for_test(-1, -1);
    world_deinit(&w);
}

int main(void)
{
    ps_log_configure(PS_LOG_OFF, PS_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_tells_and_does_what_the_contract_says),
        cmocka_unit_test(saves_count_what_they_skip),
        cmocka_unit_test(refused_save_fails_with_the_hosts_reason),
        cmocka_unit_test(without_a_lua_state_scripts_fail_and_nothing_else),
        cmocka_unit_test(script_failures_name_their_kind),
        cmocka_unit_test(log_node_writes_ten_lines_a_second),
    };
    return cmocka_run_group_tests_name("rules.nodes", tests, NULL, NULL);
}
