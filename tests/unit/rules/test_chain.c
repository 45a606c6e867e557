/* What validation owes (rule-engine contract 2.2, 2.3, 2.5): each rule with one bad graph, older
 * forms repaired, and a normal form that is the same after a round trip. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "core/clock.h"
#include "core/entity/rule_chain.h"
#include "unit/rules/rules_world.h"

#define ID_A "61616161-6161-6161-6161-616161616161"
#define ID_B "62626262-6262-6262-6262-626262626262"
#define ID_C "63636363-6363-6363-6363-636363636363"

#define ONE(node) "{firstNodeIndex:0,nodes:[" node "],connections:[]}"
#define CONFIG(type, members) ONE("{type:'" type "',name:'N',configuration:{" members "}}")

/* --- one complaint each --- */

static const struct complaint_case {
    const char *name, *metadata;
    bool error; /* else a warning */
    enum ps_chain_code code;
    int node, line;
    const char *field, *message; /* message: a part of it */
} complaint_cases[] = {
    { "V1 blank node name", ONE("{nop:'  '}"), true, PS_CHAIN_NAME, 0, 0, "name",
      "should be specified" },
    { "V1 no node name", ONE("{type:'flow.nop'}"), true, PS_CHAIN_NAME, 0, 0, "name", "" },
    { "V2 first node out of range", "{firstNodeIndex:1,nodes:[{nop:'A'}]}", true,
      PS_CHAIN_FIRST_NODE, -1, 0, "firstNodeIndex", "" },
    { "V2 first node negative", "{firstNodeIndex:-1,nodes:[{nop:'A'}]}", true, PS_CHAIN_FIRST_NODE,
      -1, 0, "firstNodeIndex", "" },
    { "V2 first node is text", "{firstNodeIndex:'zero',nodes:[{nop:'A'}]}", true,
      PS_CHAIN_FIRST_NODE, -1, 0, "firstNodeIndex", "" },
    { "V2 failure node out of range", "{firstNodeIndex:0,failureNodeIndex:9,nodes:[{nop:'A'}]}",
      true, PS_CHAIN_INDEX, -1, 0, "failureNodeIndex", "" },
    { "V3 target out of range", "{firstNodeIndex:0,nodes:[{nop:'A'}],links:'0 Success 1'}", true,
      PS_CHAIN_INDEX, -1, 0, "", "connection 0" },
    { "V3 source missing",
      "{firstNodeIndex:0,nodes:[{nop:'A'}],connections:[{toIndex:0,type:'Success'}]}", true,
      PS_CHAIN_INDEX, -1, 0, "", "connection 0" },
    { "V3 blank relation", "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'}],links:'0   1'}", true,
      PS_CHAIN_INDEX, 0, 0, "type", "blank" },
    { "V4 connection to itself", "{firstNodeIndex:0,nodes:[{nop:'A'}],links:'0 Success 0'}", true,
      PS_CHAIN_SELF_LOOP, 0, 0, "", "Can't create the relation to yourself." },
    { "V5 cycle away from the first node",
      "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'},{nop:'C'}],links:'1 Success 2;2 Success 1'}",
      true, PS_CHAIN_CYCLE, 1, 0, "", "Can't create circling relations in rule chain." },
    { "V5 cycle behind the first node",
      "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'},{nop:'C'}],links:'0 Success 1;1 Success 2;"
      "2 Success 1'}",
      true, PS_CHAIN_CYCLE, 1, 0, "", "Can't create circling relations in rule chain." },
    { "V7 unknown type", ONE("{type:'filter.magic',name:'N'}"), true, PS_CHAIN_NODE_TYPE, 0, 0,
      "type", "unknown node type 'filter.magic'" },
    { "V7 no type", ONE("{name:'N'}"), true, PS_CHAIN_NODE_TYPE, 0, 0, "type", "unknown" },
    { "V7 unknown class", ONE("{type:'org.thingsboard.rule.engine.filter.Tb',name:'N'}"), true,
      PS_CHAIN_NODE_TYPE, 0, 0, "type", "unknown" },
    { "V7 type this build lacks", ONE("{type:'sink.kafka',name:'N'}"), false, PS_CHAIN_NODE_TYPE, 0,
      0, "type", "node type sink.kafka is not available in this version" },
    { "V7 Cassandra",
      ONE("{type:'org.thingsboard.rule.engine.action."
          "TbSaveToCustomCassandraTableNode',name:'N'}"),
      false, PS_CHAIN_NODE_TYPE, 0, 0, "type", "use sink.postgres" },
    { "V7 transaction nodes pass on",
      ONE("{type:'org.thingsboard.rule.engine.transaction."
          "TbSynchronizationBeginNode',name:'N'}"),
      false, PS_CHAIN_NODE_TYPE, 0, 0, "type", "passes messages on" },
    { "V8 configuration is text", ONE("{type:'flow.nop',name:'N',configuration:'x'}"), true,
      PS_CHAIN_CONFIG, 0, 0, "configuration", "not an object" },
    { "V8 wrong type", CONFIG("action.save_timeseries", "defaultTTL:'soon'"), true, PS_CHAIN_CONFIG,
      0, 0, "defaultTTL", "must be an integer" },
    { "V8 out of range", CONFIG("action.save_timeseries", "defaultTTL:-1"), true, PS_CHAIN_CONFIG,
      0, 0, "defaultTTL", "out of range" },
    { "V8 beyond the range", CONFIG("action.save_timeseries", "defaultTTL:3153600001"), true,
      PS_CHAIN_CONFIG, 0, 0, "defaultTTL", "out of range" },
    { "V8 not of the enum", CONFIG("action.save_attributes", "scope:'HOME_SCOPE'"), true,
      PS_CHAIN_CONFIG, 0, 0, "scope", "not one of" },
    { "V8 list of strings", CONFIG("filter.msg_type", "messageTypes:[1]"), true, PS_CHAIN_CONFIG, 0,
      0, "messageTypes", "list of strings" },
    { "V8 no chain named", CONFIG("flow.rule_chain", ""), true, PS_CHAIN_CONFIG, 0, 0,
      "ruleChainId", "must be named" },
    { "V8 chain is no id", CONFIG("flow.rule_chain", "ruleChainId:'home'"), true, PS_CHAIN_CONFIG,
      0, 0, "ruleChainId", "UUID" },
    { "V8 deduplication is not there yet",
      CONFIG("action.save_timeseries",
             "processingSettings:{type:'DEDUPLICATE',deduplicationIntervalSecs:60}"),
      true, PS_CHAIN_CONFIG, 0, 0, "processingSettings.type", "not available in this version" },
    { "V8 deduplication of one effect",
      CONFIG("action.save_timeseries",
             "processingSettings:{type:'ADVANCED',timeseries:{type:'DEDUPLICATE'},latest:{type:"
             "'SKIP'},webSockets:{type:'SKIP'},calculatedFields:{type:'SKIP'}}"),
      true, PS_CHAIN_CONFIG, 0, 0, "processingSettings.timeseries.type", "not available" },
    { "V8 advanced without a part",
      CONFIG("action.save_timeseries",
             "processingSettings:{type:'ADVANCED',timeseries:{type:'SKIP'}}"),
      true, PS_CHAIN_CONFIG, 0, 0, "processingSettings.latest.type", "must be" },
    { "V8 unknown processing", CONFIG("action.save_attributes", "processingSettings:{type:'NO'}"),
      true, PS_CHAIN_CONFIG, 0, 0, "processingSettings.type", "must be" },
    { "V8 unknown member", CONFIG("flow.nop", "colour:'red'"), false, PS_CHAIN_CONFIG, 0, 0,
      "colour", "unknown member 'colour'" },
    { "V9 syntax error", CONFIG("filter.script", "script:'local a = 1\\nreturn =='"), true,
      PS_CHAIN_LUA, 0, 2, "script", "" },
    { "V9 script is a number", CONFIG("filter.script", "script:1"), true, PS_CHAIN_CONFIG, 0, 0,
      "script", "not a string" },
    { "V9 unknown global", CONFIG("filter.script", "script:'\\nreturn mgs.t > 1'"), false,
      PS_CHAIN_LUA, 0, 2, "script", "global 'mgs' does not exist" },
    { "V9 assigned global", CONFIG("filter.script", "script:'x = 1 return true'"), false,
      PS_CHAIN_LUA, 0, 1, "script", "global 'x' is assigned" },
    { "V10 relation of nobody", "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'}],links:'0 Sucess 1'}",
      false, PS_CHAIN_RELATION, 0, 0, "", "flow.nop does not tell 'Sucess'" },
    { "V11 unreachable", "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'}],connections:[]}", false,
      PS_CHAIN_UNREACHABLE, 1, 0, "", "no message reaches node 'B'" },
    { "V11 no first node", "{nodes:[{nop:'A'}],connections:[]}", false, PS_CHAIN_UNREACHABLE, -1, 0,
      "firstNodeIndex", "no first node" },
    { "V11 failure of a save", CONFIG("action.save_timeseries", ""), false, PS_CHAIN_UNREACHABLE, 0,
      0, "", "Failure of node 'N' is not connected" },
    { "V14 two outputs of one name",
      "{firstNodeIndex:0,nodes:[{type:'filter.switch',name:'S'},{type:'flow.output',name:'Ok'},"
      "{type:'flow.output',name:'OK'}],links:'0 a 1;0 b 2'}",
      false, PS_CHAIN_OUTPUT_NAME, 2, 0, "", "another output" },
    { "2.5 JavaScript without Lua",
      CONFIG("filter.script", "scriptLang:'JS',jsScript:'return msg.x > 3;'"), false,
      PS_CHAIN_NODE_TYPE, 0, 0, "type", "JavaScript and TBEL do not run here" },
};

static void each_rule_complains_of_its_bad_graph(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < sizeof complaint_cases / sizeof complaint_cases[0]; i++) {
        const struct complaint_case *c = &complaint_cases[i];
        struct ps_chain *chain = world_parse(&w, c->metadata, NULL);
        const struct ps_chain_issues *issues = c->error ? &chain->errors : &chain->warnings;
        if (issues->count != 1 || (!c->error && chain->errors.count))
            fail_msg("%s: %zu errors, %zu warnings (%s)", c->name, chain->errors.count,
                     chain->warnings.count,
                     chain->errors.count     ? chain->errors.list[0].message
                     : chain->warnings.count ? chain->warnings.list[0].message
                                             : "");
        const struct ps_chain_issue *issue = &issues->list[0];
        if (issue->code != c->code || issue->node_index != c->node || issue->line != c->line ||
            strcmp(issue->field, c->field) != 0 || !strstr(issue->message, c->message))
            fail_msg("%s: %s node %d line %d field '%s': %s", c->name,
                     ps_chain_code_name(issue->code), issue->node_index, issue->line, issue->field,
                     issue->message);
        ps_chain_destroy(chain);
    }
    world_deinit(&w);
}

static void what_is_not_metadata_is_refused_outright(void **state)
{
    (void)state;
    static const char *const cases[] = { "[]",
                                         "{\"nodes\":3}",
                                         "{\"nodes\":[1]}",
                                         "{\"connections\":{}}",
                                         "{\"ruleChainConnections\":[0]}",
                                         "{\"nodes\":[",
                                         "" };
    struct world w;
    world_init(&w);
    struct ps_chain_checks checks = { .mode = PS_CHAIN_SAVE, .scripts = w.scripts };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ps_chain *chain = NULL;
        struct ps_text why = { "" };
        assert_int_equal(ps_chain_parse_text(cases[i], strlen(cases[i]), &checks, &chain, &why),
                         PS_EINVAL);
        assert_null(chain);
        assert_string_not_equal(why.data, "");
    }
    world_deinit(&w);
}

static void nulls_in_the_place_of_lists_are_empty_lists(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_chain *chain = world_parse(
        &w, "{firstNodeIndex:null,nodes:null,connections:null,ruleChainConnections:null}", NULL);
    assert_int_equal(chain->errors.count + chain->warnings.count, 0);
    assert_int_equal(chain->first_node, -1);
    ps_chain_destroy(chain);
    world_deinit(&w);
}

/* --- V13 --- */

static char *many(unsigned nodes, unsigned connections)
{
    struct ps_buf text = { 0 };
    ps_buf_put_text(&text, "{\"firstNodeIndex\":0,\"nodes\":[");
    for (unsigned i = 0; i < nodes; i++)
        ps_buf_printf(&text, "%s{\"type\":\"flow.nop\",\"name\":\"n%u\"}", i ? "," : "", i);
    ps_buf_put_text(&text, "],\"connections\":[");
    for (unsigned i = 0; i < connections; i++) /* a ladder: to each of the next four rungs */
        ps_buf_printf(&text, "%s{\"fromIndex\":%u,\"toIndex\":%u,\"type\":\"Success\"}",
                      i ? "," : "", i / 4, i / 4 + 1 + i % 4);
    ps_buf_put_text(&text, "]}");
    char *copy = strdup(ps_buf_cstr(&text));
    ps_buf_deinit(&text);
    return copy;
}

static void limits_of_nodes_connections_and_bytes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    const unsigned sizes[][2] = { { 501, 0 }, { 500, 2001 } };
    for (size_t i = 0; i < 2; i++) {
        char *json = many(sizes[i][0], sizes[i][1]);
        struct ps_chain *chain = world_parse(&w, json, NULL);
        assert_int_equal(chain->errors.count, 1);
        assert_int_equal(chain->errors.list[0].code, PS_CHAIN_LIMIT);
        ps_chain_destroy(chain);
        free(json);
    }
    size_t len = PS_CHAIN_BYTES_MAX + 1;
    char *padded = malloc(len + 1);
    memset(padded, ' ', len);
    memcpy(padded, "{\"nodes\":[]}", 12);
    padded[len] = '\0';
    struct ps_chain_checks checks = { .mode = PS_CHAIN_SAVE, .scripts = w.scripts };
    struct ps_chain *chain = NULL;
    assert_int_equal(ps_chain_parse_text(padded, len, &checks, &chain, NULL), PS_OK);
    assert_int_equal(chain->errors.list[0].code, PS_CHAIN_LIMIT);
    ps_chain_destroy(chain);
    free(padded);

    struct ps_buf big = { 0 };
    ps_buf_put_text(&big, "{firstNodeIndex:0,nodes:[{type:'filter.script',name:'N',configuration:"
                          "{script:'--");
    for (unsigned i = 0; i < PS_SCRIPT_SOURCE_BYTES_MAX; i++)
        ps_buf_put_char(&big, 'x');
    ps_buf_put_text(&big, "'}}],connections:[]}");
    chain = world_parse(&w, ps_buf_cstr(&big), NULL);
    assert_int_equal(chain->errors.count, 1);
    assert_int_equal(chain->errors.list[0].code, PS_CHAIN_LIMIT);
    ps_chain_destroy(chain);
    ps_buf_deinit(&big);
    world_deinit(&w);
}

static void ladder_with_more_paths_than_atoms_is_checked_in_no_time(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    char *json = many(500, 1980);
    int64_t start = ps_clock_mono_ns();
    struct ps_chain *chain = world_parse(&w, json, NULL);
    double ms = (double)(ps_clock_mono_ns() - start) / 1e6;
    assert_int_equal(chain->errors.count, 0);
    assert_int_equal(chain->connection_count, 1980);
    print_message("ladder: %.1f ms\n", ms);
    assert_true(ms < 1000); /* walking the paths would take for ever */
    ps_chain_destroy(chain);
    free(json);
    world_deinit(&w);
}

/* --- V6, V12 --- */

static bool a_and_b_exist(void *user, const struct ps_uuid *chain)
{
    (void)user;
    return chain->bytes[0] == 'a' || chain->bytes[0] == 'b' || chain->bytes[0] == 'c';
}

/* b calls c and itself, c calls a. */
static size_t b_calls_c_calls_a(void *user, const struct ps_uuid *chain, struct ps_uuid *out,
                                size_t max)
{
    (void)user;
    assert_true(max >= 2);
    out[0] = world_id(chain->bytes[0] == 'b' ? 'c' : 'a');
    out[1] = world_id('b');
    return chain->bytes[0] == 'b' ? 2 : chain->bytes[0] == 'c' ? 1 : 0;
}

static void cycles_over_chains_and_foreign_chains_are_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    const struct ps_chain_world world = { .chain_exists = a_and_b_exist,
                                          .chain_targets = b_calls_c_calls_a };
    static const struct {
        char self;
        const char *target;
        int code; /* -1: fine */
    } cases[] = {
        { 'a', ID_B, PS_CHAIN_CHAIN_CYCLE }, /* a -> b -> c -> a */
        { 'a', ID_C, PS_CHAIN_CHAIN_CYCLE },
        { 'a', ID_A, PS_CHAIN_CHAIN_CYCLE },
        { 'a', "64646464-6464-6464-6464-646464646464", PS_CHAIN_FOREIGN_ENTITY },
        { 'e', ID_B, -1 }, /* a cycle elsewhere is not this chain's */
        { 'e', ID_A, -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ps_buf text = { 0 };
        ps_buf_printf(&text,
                      "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'N',configuration:{"
                      "ruleChainId:'%s'}}],connections:[]}",
                      cases[i].target);
        struct ps_chain_checks checks = { .mode = PS_CHAIN_SAVE,
                                          .chain = world_id(cases[i].self),
                                          .world = &world };
        struct ps_chain *chain = world_parse(&w, ps_buf_cstr(&text), &checks);
        assert_int_equal(chain->errors.count, cases[i].code >= 0);
        if (cases[i].code >= 0) {
            assert_int_equal(chain->errors.list[0].code, cases[i].code);
            assert_int_equal(chain->errors.list[0].node_index, 0);
        }
        ps_chain_destroy(chain);
        ps_buf_deinit(&text);
    }
    world_deinit(&w);
}

/* --- older forms --- */

static const json_t *config_of(const struct ps_chain *chain, size_t node, const char *member)
{
    return json_object_get(chain->nodes[node].configuration, member);
}

static void class_names_become_short_ids_and_back(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (unsigned i = 0; ps_node_kind_at(i); i++) {
        const struct ps_node_kind *kind = ps_node_kind_at(i);
        assert_ptr_equal(ps_node_kind_find(kind->type), kind);
        if (!kind->reference_class)
            continue;
        char class[128];
        snprintf(class, sizeof class, "%s%s", PS_NODE_REFERENCE_PACKAGE, kind->reference_class);
        assert_ptr_equal(ps_node_kind_find(class), kind);
    }
    struct ps_chain *chain =
        world_parse(&w,
                    ONE("{type:'org.thingsboard.rule.engine.telemetry.TbMsgTimeseriesNode',"
                        "name:'N',configuration:{version:0}}"),
                    NULL);
    assert_int_equal(chain->errors.count, 0);
    assert_string_equal(chain->nodes[0].type, "action.save_timeseries");
    json_t *json = ps_chain_json(chain, PS_CHAIN_REFERENCE_CLASSES);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(json, "nodes"), 0), "type")),
                        "org.thingsboard.rule.engine.telemetry.TbMsgTimeseriesNode");
    json_decref(json);
    ps_chain_destroy(chain);
    world_deinit(&w);
}

static void legacy_chain_connections_become_nodes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_chain *chain =
        world_parse(&w,
                    "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'}],links:'0 Success "
                    "1',ruleChainConnections:[{fromIndex:1,targetRuleChainId:{entityType:"
                    "'RULE_CHAIN',id:'" ID_B "'},type:'Success',additionalInfo:{layoutX:5,"
                    "ruleChainNodeName:'Other chain'}}]}",
                    NULL);
    assert_int_equal(chain->errors.count, 0);
    assert_int_equal(chain->node_count, 3);
    assert_string_equal(chain->nodes[2].type, "flow.rule_chain");
    assert_string_equal(chain->nodes[2].name, "Other chain");
    assert_string_equal(json_string_value(config_of(chain, 2, "ruleChainId")), ID_B);
    assert_int_equal(chain->connection_count, 2);
    assert_int_equal(chain->connections[1].from, 1);
    assert_int_equal(chain->connections[1].to, 2);
    json_t *json = ps_chain_json(chain, PS_CHAIN_SHORT_IDS);
    assert_int_equal(json_array_size(json_object_get(json, "ruleChainConnections")), 0);
    assert_true(json_is_array(json_object_get(json, "ruleChainConnections")));
    json_decref(json);
    ps_chain_destroy(chain);
    world_deinit(&w);
}

static const struct script_case {
    const char *name, *type, *members, *script; /* NULL: INVALID */
} script_cases[] = {
    { "own member", "filter.script", "script:'return true'", "return true" },
    { "alias", "filter.script", "luaScript:'return false'", "return false" },
    { "Lua wins over JavaScript", "filter.script",
      "luaScript:'return true',jsScript:'return 1;',scriptLang:'JS'", "return true" },
    { "nothing at all", "filter.script", "", "return msg.temperature > 20" },
    { "reference's default filter", "filter.script", "jsScript:'return msg.temperature > 20;'",
      "return msg.temperature > 20" },
    { "default, other white space, TBEL", "filter.script",
      "scriptLang:'TBEL',jsScript:'custom()',tbelScript:'return\\n  msg.temperature>20;'",
      "return msg.temperature > 20" },
    { "chosen language is the custom one", "filter.script",
      "scriptLang:'TBEL',jsScript:'return msg.temperature > 20;',tbelScript:'custom()'", NULL },
    { "custom JavaScript", "transform.script", "jsScript:'return {msg: 1};'", NULL },
    { "reference's default transform", "transform.script",
      "jsScript:'return {msg: msg, metadata: metadata, msgType: msgType};'",
      "return {msg = msg, metadata = metadata, msgType = msgType}" },
    { "reference's default log", "action.log",
      "jsScript:'return \\'\\\\nIncoming message:\\\\n\\' + JSON.stringify(msg) + "
      "\\'\\\\nIncoming metadata:\\\\n\\' + JSON.stringify(metadata);'",
      "return \"data \" .. json.encode(msg) .. \" meta \" .. json.encode(metadata)" },
};

static void scripts_are_found_defaulted_or_kept_for_porting(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < sizeof script_cases / sizeof script_cases[0]; i++) {
        const struct script_case *c = &script_cases[i];
        struct ps_buf text = { 0 };
        ps_buf_printf(&text,
                      "{firstNodeIndex:0,nodes:[{type:'%s',name:'N',configuration:{%s}}],"
                      "connections:[]}",
                      c->type, c->members);
        struct ps_chain *chain = world_parse(&w, ps_buf_cstr(&text), NULL);
        const char *script = json_string_value(config_of(chain, 0, "script"));
        if (chain->errors.count || !chain->nodes[0].invalid == !c->script ||
            (c->script && (!script || strcmp(script, c->script) != 0)))
            fail_msg("%s: %s", c->name, script ? script : "(none)");
        assert_int_equal(!chain->nodes[0].script, !c->script);
        if (!c->script) {
            assert_null(script);
            assert_non_null(config_of(chain, 0, "jsScript"));
        } else {
            assert_null(config_of(chain, 0, "scriptLang"));
        }
        ps_chain_destroy(chain);
        ps_buf_deinit(&text);
    }
    world_deinit(&w);
}

static void older_configurations_are_brought_up(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_chain *chain = world_parse(
        &w,
        "{firstNodeIndex:0,nodes:[{type:'action.save_timeseries',name:'T',configuration:{"
        "defaultTTL:0,skipLatestPersistence:true}},{type:'action.save_attributes',name:'A',"
        "configuration:{scope:'CLIENT_SCOPE',notifyDevice:'false'}}],links:'0 Success 1'}",
        NULL);
    assert_int_equal(chain->errors.count, 0);
    const json_t *settings = config_of(chain, 0, "processingSettings");
    assert_string_equal(json_string_value(json_object_get(settings, "type")), "ADVANCED");
    assert_null(config_of(chain, 0, "skipLatestPersistence"));
    assert_true(json_is_false(config_of(chain, 1, "notifyDevice")));
    assert_true(json_is_true(config_of(chain, 1, "updateAttributesOnlyOnValueChange")));
    ps_chain_destroy(chain);
    world_deinit(&w);
}

static void debug_of_everything_is_always_for_a_while(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    static const struct {
        const char *members;
        bool failures;
        int64_t until;
    } cases[] = {
        { "debugMode:true", true, 1900 },
        { "debugSettings:{failuresEnabled:true,allEnabled:false,allEnabledUntil:0}", true, 0 },
        { "debugSettings:{allEnabled:true}", false, 1900 },
        { "debugSettings:{allEnabledUntil:1500}", false, 1500 },
        { "debugSettings:{allEnabledUntil:999999}", false, 1900 },
        { "debugSettings:null", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ps_buf text = { 0 };
        ps_buf_printf(&text,
                      "{firstNodeIndex:0,nodes:[{type:'flow.nop',name:'N',%s}],connections:[]}",
                      cases[i].members);
        struct ps_chain_checks checks = { .mode = PS_CHAIN_SAVE,
                                          .now_ms = 1000,
                                          .debug_max_ms = 900 };
        struct ps_chain *chain = world_parse(&w, ps_buf_cstr(&text), &checks);
        assert_int_equal(chain->nodes[0].debug_failures, cases[i].failures);
        assert_int_equal(chain->nodes[0].debug_all_until_ms, cases[i].until);
        ps_chain_destroy(chain);
        ps_buf_deinit(&text);
    }
    world_deinit(&w);
}

static void import_and_load_keep_what_cannot_run(void **state)
{
    (void)state;
    static const char metadata[] =
        "{firstNodeIndex:0,nodes:[{type:'com.acme.MyNode',name:'U',configuration:{a:1}}],"
        "connections:[]}";
    static const char broken[] = CONFIG("filter.script", "script:'return =='");
    struct world w;
    world_init(&w);
    for (int mode = PS_CHAIN_IMPORT; mode <= PS_CHAIN_LOAD; mode++) {
        struct ps_chain_checks checks = { .mode = (enum ps_chain_mode)mode };
        struct ps_chain *chain = world_parse(&w, metadata, &checks);
        assert_int_equal(chain->errors.count, 0);
        assert_int_equal(chain->warnings.count, 1);
        assert_string_equal(chain->nodes[0].type, "com.acme.MyNode");
        assert_string_equal(chain->nodes[0].invalid, "unknown node type 'com.acme.MyNode'");
        ps_chain_destroy(chain);
    }
    struct ps_chain_checks loading = { .mode = PS_CHAIN_LOAD };
    struct ps_chain *chain = world_parse(&w, broken, &loading);
    assert_int_equal(chain->errors.count, 0);
    assert_non_null(chain->nodes[0].invalid);
    ps_chain_destroy(chain);
    world_deinit(&w);
}

static void exact_duplicates_of_a_connection_count_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_chain *chain = world_parse(&w,
                                         "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'}],links:'0 "
                                         "Success 1;0 Failure 1;0 Success 1'}",
                                         NULL);
    assert_int_equal(chain->connection_count, 2);
    assert_string_equal(chain->connections[0].relation, "Failure");
    ps_chain_destroy(chain);
    world_deinit(&w);
}

/* --- normal form --- */

static void stored_rows_read_back_as_the_same_chain(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_uuid id = world_id('a');
    struct ps_chain_checks checks = { .mode = PS_CHAIN_SAVE, .chain = id };
    struct ps_chain *chain = world_parse(
        &w,
        "{version:7,firstNodeIndex:1,failureNodeIndex:0,nodes:[{id:{entityType:'RULE_NODE',id:"
        "'" ID_B "'},createdTime:5,type:'filter.script',name:'Hot?',configurationVersion:2,"
        "configuration:{script:'return msg.temperature > 20'},debugSettings:{failuresEnabled:true}"
        ",singletonMode:true,queueName:'HighPriority',additionalInfo:{layoutX:3},externalId:null},"
        "{id:{entityType:'RULE_NODE',id:'" ID_C "'},createdTime:6,type:'action.log',name:'Log',"
        "configuration:{jsScript:'x'}}],links:'0 True 1',"
        "notes:[{id:'n1',content:'text'}]}",
        &checks);
    assert_int_equal(chain->errors.count, 0);
    struct ps_rule_graph graph;
    assert_int_equal(ps_chain_to_graph(chain, &id, &graph), PS_OK);
    assert_int_equal(graph.node_count, 2);
    assert_int_equal(graph.first_node, 1);
    assert_string_equal(graph.nodes[0].queue_name, "HighPriority");
    assert_string_equal(graph.connections[0].type, "True");
    struct ps_chain *again = NULL;
    checks.scripts = w.scripts;
    assert_int_equal(ps_chain_from_graph(&graph, &checks, &again, NULL), PS_OK);
    json_t *first = ps_chain_json(chain, PS_CHAIN_SHORT_IDS);
    json_t *second = ps_chain_json(again, PS_CHAIN_SHORT_IDS);
    if (!json_equal(first, second)) {
        char *a = json_dumps(first, JSON_SORT_KEYS), *b = json_dumps(second, JSON_SORT_KEYS);
        fail_msg("%s\n%s", a, b);
    }
    const json_t *log = json_array_get(json_object_get(first, "nodes"), 1);
    assert_string_equal(json_string_value(json_object_get(log, "state")), "INVALID");
    assert_int_equal(json_array_size(json_object_get(first, "warnings")), 1);
    json_decref(first);
    json_decref(second);
    ps_chain_destroy(chain);
    ps_chain_destroy(again);
    ps_rule_graph_deinit(&graph);
    world_deinit(&w);
}

static void issues_name_node_field_line_code_and_message(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_chain *chain =
        world_parse(&w,
                    "{firstNodeIndex:5,nodes:[{type:'filter.script',name:'N',configuration:{script:"
                    "'return =='}}]}",
                    NULL);
    json_t *errors = ps_chain_issues_json(&chain->errors);
    assert_int_equal(json_array_size(errors), 2);
    const json_t *lua = json_array_get(errors, 0), *first = json_array_get(errors, 1);
    assert_int_equal(json_integer_value(json_object_get(lua, "nodeIndex")), 0);
    assert_int_equal(json_integer_value(json_object_get(lua, "line")), 1);
    assert_string_equal(json_string_value(json_object_get(lua, "code")), "LUA");
    assert_string_equal(json_string_value(json_object_get(lua, "field")), "script");
    assert_string_equal(json_string_value(json_object_get(first, "code")), "FIRST_NODE");
    assert_null(json_object_get(first, "nodeIndex"));
    assert_null(json_object_get(first, "line"));
    json_decref(errors);
    struct ps_program *program = NULL;
    struct ps_program_identity identity = { .name = "C" };
    assert_int_equal(ps_program_compile(chain, &identity, &program), PS_EINVAL);
    ps_chain_destroy(chain);
    world_deinit(&w);
}

static void default_root_chain_has_nothing_to_complain_of_but_failures(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    struct ps_chain *chain = world_parse(&w, ps_default_root_chain_metadata(), NULL);
    assert_int_equal(chain->errors.count, 0);
    assert_int_equal(chain->warnings.count, 2); /* Failure of the two saves */
    assert_int_equal(chain->first_node, 2);
    ps_chain_destroy(chain);
    world_deinit(&w);
}

static void names_of_chains(void **state)
{
    (void)state;
    char name[PS_CHAIN_NAME_LEN_MAX * 2 + 3];
    struct ps_text why = { "" };
    for (int i = 0; i < PS_CHAIN_NAME_LEN_MAX; i++)
        memcpy(name + 2 * i, "\xC3\xA4", 2); /* characters count, not bytes */
    name[PS_CHAIN_NAME_LEN_MAX * 2] = '\0';
    assert_int_equal(ps_chain_name_check(name, &why), PS_OK);
    strcat(name, "x");
    assert_int_equal(ps_chain_name_check(name, &why), PS_EINVAL);
    assert_int_equal(ps_chain_name_check(" \t", &why), PS_EINVAL);
    assert_int_equal(ps_chain_name_check(NULL, &why), PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_complains_of_its_bad_graph),
        cmocka_unit_test(what_is_not_metadata_is_refused_outright),
        cmocka_unit_test(nulls_in_the_place_of_lists_are_empty_lists),
        cmocka_unit_test(limits_of_nodes_connections_and_bytes),
        cmocka_unit_test(ladder_with_more_paths_than_atoms_is_checked_in_no_time),
        cmocka_unit_test(cycles_over_chains_and_foreign_chains_are_refused),
        cmocka_unit_test(class_names_become_short_ids_and_back),
        cmocka_unit_test(legacy_chain_connections_become_nodes),
        cmocka_unit_test(scripts_are_found_defaulted_or_kept_for_porting),
        cmocka_unit_test(older_configurations_are_brought_up),
        cmocka_unit_test(debug_of_everything_is_always_for_a_while),
        cmocka_unit_test(import_and_load_keep_what_cannot_run),
        cmocka_unit_test(exact_duplicates_of_a_connection_count_once),
        cmocka_unit_test(stored_rows_read_back_as_the_same_chain),
        cmocka_unit_test(issues_name_node_field_line_code_and_message),
        cmocka_unit_test(default_root_chain_has_nothing_to_complain_of_but_failures),
        cmocka_unit_test(names_of_chains),
    };
    return cmocka_run_group_tests_name("rules.chain", tests, NULL, NULL);
}
