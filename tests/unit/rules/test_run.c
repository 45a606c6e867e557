/* What a run owes: order, fan-out, failure semantics, nested chains, guards, suspension. */
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

static void check(struct world *world, enum ps_run_end end, const char *visits, const char *effects)
{
    assert_string_equal(world_visits(world), visits);
    assert_string_equal(world_effects(world), effects);
    assert_int_equal(world->outcome.end, end);
}

static void branches_run_depth_first_in_connection_order(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    /* written backwards: connections run by (from, to) */
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'B'},{nop:'C'},{nop:'D'},{nop:'E'}],links:'"
              "0 Success 2;0 success 1;1 SUCCESS 3;2 Success 4;1 Success 4'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "A B D E C E ", "");
    assert_int_equal(w.outcome.executions, 6);
    world_deinit(&w);
}

static void empty_chain_ends_well(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a', "{firstNodeIndex:null,nodes:[{nop:'A'}],connections:[]}");
    world_put(&w, 'b', "{nodes:[],connections:[]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "", "");
    world_run(&w, 'b', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "", "");
    world_deinit(&w);
}

static void several_relations_are_followed_in_connection_order_once_each(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(
        &w, 'a',
        "{firstNodeIndex:0,nodes:[{type:'filter.switch',name:'S',configuration:{script:"
        "'return {\"High\",\"Low\",\"high\",\"None\"}'}},{nop:'A'},{nop:'B'},{nop:'C'}],links:'0 "
        "Low 1;0 High 2;0 Low 3'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "S A B C ", "");
    world_deinit(&w);
}

static void failure_of_one_branch_leaves_the_others_running(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{nop:'A'},{type:'action.save_attributes',name:'Bad'},"
              "{type:'action.save_timeseries',name:'Good'},{type:'action.save_attributes',name:'"
              "Worse'}],links:'0 Success 1;0 Success 2;0 Success 3'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", "ts=1000");
    check(&w, PS_RUN_FAILED, "A Bad Good Worse ", "telemetry ts=1000 ttl=0 HLS {\"t\":1}\n");
    assert_string_equal(w.outcome.failure.text, "unsupported message type: POST_TELEMETRY_REQUEST");
    struct ps_uuid chain = world_id('a');
    assert_true(ps_uuid_equal(&w.outcome.failed_chain, &chain));
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_NODE);
    assert_true(w.outcome.retry);
    assert_int_equal(w.env.counters.failures, 2);
    assert_int_equal(w.env.counters.failed, 1);
    world_deinit(&w);
}

static void connected_failure_is_handled_and_tells_its_error(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'action.save_attributes',name:'Bad'},"
              "{type:'transform.script',name:'T',configuration:{script:'return {msg={e=metadata."
              "error,n=metadata.errorNode,o=metadata.other}}'}},{type:'action.save_timeseries',"
              "name:'S'}],links:'0 failure 1;1 Success 2'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", "ts=7,error=old,other=kept");
    check(&w, PS_RUN_DONE, "Bad T S ",
          "telemetry ts=7 ttl=0 HLS {\"e\":\"unsupported message type: POST_TELEMETRY_REQUEST\","
          "\"o\":\"kept\"}\n");
    world_deinit(&w);
}

static void chain_failure_node_gets_each_branch_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(
        &w, 'a',
        "{firstNodeIndex:0,failureNodeIndex:2,nodes:[{type:'action.save_attributes',name:'Bad'},"
        "{type:'action.save_attributes',name:'Worse'},{type:'transform.script',name:'T',"
        "configuration:{script:'return {msg={e=metadata.error,n=metadata.errorNode,c=metadata."
        "errorChain}}'}},{type:'action.save_timeseries',name:'S'}],links:'2 Success 3;3 Success "
        "1'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", "ts=7");
    check(&w, PS_RUN_FAILED, "Bad T S Worse ",
          "telemetry ts=7 ttl=0 HLS {\"c\":\"Chain a\",\"e\":\"unsupported message type: "
          "POST_TELEMETRY_REQUEST\",\"n\":\"Bad\"}\n");
    world_deinit(&w);
}

static void told_failure_without_connection_fails(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'filter.switch',name:'S',configuration:{script:"
              "'return msg.r'}},{nop:'A'}],links:'0 X 1'}");
    world_run(&w, 'a', TELEMETRY, "{r:['Failure','X']}", NULL);
    check(&w, PS_RUN_DONE, "S A ", "");
    world_run(&w, 'a', TELEMETRY, "{r:'Failure'}", NULL);
    check(&w, PS_RUN_FAILED, "S ", "");
    assert_string_equal(w.outcome.failure.text, "node 'S' told Failure");
    world_run(&w, 'a', TELEMETRY, "{r:'Nobody'}", NULL);
    check(&w, PS_RUN_DONE, "S ", "");
    world_deinit(&w);
}

/* --- nested chains --- */

#define ID_A "61616161-6161-6161-6161-616161616161"
#define ID_B "62626262-6262-6262-6262-626262626262"
#define ID_C "63636363-6363-6363-6363-636363636363"

static void output_comes_back_as_relation_of_the_caller(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'Call',configuration:{"
              "ruleChainId:'" ID_B "'}},{nop:'High'},{nop:'Low'}],links:'0 high 1;0 low 2'}");
    world_put(&w, 'b',
              "{firstNodeIndex:0,nodes:[{type:'filter.script',name:'F',configuration:{script:"
              "'return msg.t > "
              "20'}},{type:'flow.output',name:'High'},{type:'flow.output',name:'Low'},{nop:'Dead "
              "end'}],links:'0 True 1;0 False 2;0 False 3'}");
    world_run(&w, 'a', TELEMETRY, "{t:21}", NULL);
    check(&w, PS_RUN_DONE, "Call F High High ", "");
    world_run(&w, 'a', TELEMETRY, "{t:19}", NULL);
    check(&w, PS_RUN_DONE, "Call F Low Low Dead end ", "");
    world_run(&w, 'b', TELEMETRY, "{t:19}", NULL); /* entered directly: nobody to return to */
    check(&w, PS_RUN_DONE, "F Low Dead end ", "");
    world_deinit(&w);
}

static void outputs_return_through_every_level(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'To B',configuration:{"
              "ruleChainId:'" ID_B "'}},{nop:'End'}],links:'0 Outer 1'}");
    world_put(&w, 'b',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'To C',configuration:{"
              "ruleChainId:'" ID_C "'}},{type:'flow.output',name:'Outer'}],links:'0 Inner 1'}");
    world_put(&w, 'c', "{firstNodeIndex:0,nodes:[{type:'flow.output',name:'Inner'}]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "To B To C Inner Outer End ", "");
    world_deinit(&w);
}

static void nested_failure_is_the_nested_chains_own_affair(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,failureNodeIndex:1,nodes:[{type:'flow.rule_chain',name:'To B',"
              "configuration:{ruleChainId:'" ID_B "'}},{nop:'A failed'}]}");
    world_put(&w, 'b',
              "{firstNodeIndex:0,failureNodeIndex:1,nodes:[{type:'sink.kafka',name:'Bad'},"
              "{nop:'B failed'}]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "To B Bad B failed ", "");
    world_put(&w, 'b', "{firstNodeIndex:0,nodes:[{type:'sink.kafka',name:'Bad'}]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_FAILED, "To B Bad ", "");
    struct ps_uuid b = world_id('b');
    assert_true(ps_uuid_equal(&w.outcome.failed_chain, &b));
    world_deinit(&w);
}

static void missing_chain_fails_and_is_not_handled(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'Call',configuration:{"
              "ruleChainId:'" ID_B "'}},{nop:'Handler'}],links:'0 Failure 1'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_FAILED, "Call ", "");
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_CHAIN_MISSING);
    assert_string_equal(w.outcome.failure.text, "rule chain " ID_B " does not exist");
    world_deinit(&w);
}

static void default_chain_of_the_originator_wins_over_the_named_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'Call',configuration:{"
              "ruleChainId:'" ID_B "',forwardMsgToDefaultRuleChain:true}}],connections:[]}");
    world_put(&w, 'b', "{firstNodeIndex:0,nodes:[{nop:'B'}],connections:[]}");
    world_put(&w, 'c', "{firstNodeIndex:0,nodes:[{nop:'C'}],connections:[]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "Call B ", "");
    w.has_default_chain = true;
    w.default_chain = world_id('c');
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "Call C ", "");
    w.default_chain = world_id('a'); /* its own chain */
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_FAILED, "Call ", "");
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_LIMIT);
    assert_false(w.outcome.retry);
    world_deinit(&w);
}

static void loop_over_chains_takes_failure_at_the_second_entry(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'To "
              "B',configuration:{ruleChainId:'" ID_B "'}},{nop:'Loop'}],links:'0 Failure 1'}");
    world_put(&w, 'b',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'To "
              "A',configuration:{ruleChainId:'" ID_A "'}}],connections:[]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "To B To A To B Loop ", "");
    world_deinit(&w);
}

static void chains_nest_sixteen_deep_and_no_deeper(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    char metadata[400], id[PS_UUID_TEXT_SIZE];
    for (char letter = 'a'; letter < 'a' + 18; letter++) {
        struct ps_uuid next = world_id((char)(letter + 1));
        ps_uuid_format(&next, id);
        snprintf(metadata, sizeof metadata,
                 "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'%c',"
                 "configuration:{ruleChainId:'%s'}}],connections:[]}",
                 letter, id);
        world_put(&w, letter, metadata);
    }
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL); /* a is depth 0, q is depth 16 */
    check(&w, PS_RUN_FAILED, "a b c d e f g h i j k l m n o p q ", "");
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_LIMIT);
    world_deinit(&w);
}

/* --- guards --- */

static char *straight_chain(unsigned nodes)
{
    struct ps_buf text = { 0 };
    ps_buf_put_text(&text, "{firstNodeIndex:0,nodes:[");
    for (unsigned i = 0; i < nodes; i++)
        ps_buf_printf(&text, "%s{nop:'n%u'}", i ? "," : "", i);
    ps_buf_put_text(&text, "],connections:[");
    for (unsigned i = 1; i < nodes; i++)
        ps_buf_printf(&text, "%s{fromIndex:%u,toIndex:%u,type:'Success'}", i > 1 ? "," : "", i - 1,
                      i);
    ps_buf_put_text(&text, "]}");
    char *copy = strdup(ps_buf_cstr(&text));
    ps_buf_deinit(&text);
    return copy;
}

static void chain_of_500_nodes_is_walked_to_its_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    char *metadata = straight_chain(500);
    world_put(&w, 'a', metadata);
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    assert_int_equal(w.outcome.executions, 500);
    assert_non_null(strstr(world_visits(&w), " n499 "));
    free(metadata);

    w.env.limits.executions_max = 500;
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    w.env.limits.executions_max = 499;
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_FAILED);
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_LIMIT);
    assert_int_equal(w.outcome.executions, 499);
    world_deinit(&w);
}

static void executions_are_counted_over_the_whole_tree(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    /* each node calls the next twice: 2^10 ways */
    struct ps_buf text = { 0 };
    ps_buf_put_text(&text, "{firstNodeIndex:0,nodes:[");
    for (unsigned i = 0; i < 11; i++)
        ps_buf_printf(&text,
                      "%s{type:'filter.switch',name:'n%u',configuration:{script:"
                      "'return {\"L\",\"R\"}'}}",
                      i ? "," : "", i);
    ps_buf_put_text(&text, "],connections:[");
    for (unsigned i = 1; i < 11; i++)
        ps_buf_printf(&text,
                      "%s{fromIndex:%u,toIndex:%u,type:'L'},{fromIndex:%u,toIndex:%u,type:'R'}",
                      i > 1 ? "," : "", i - 1, i, i - 1, i);
    ps_buf_put_text(&text, "]}");
    world_put(&w, 'a', ps_buf_cstr(&text));
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_FAILED);
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_LIMIT);
    assert_non_null(strstr(w.outcome.failure.text, "more than 1000 node executions"));
    assert_false(w.outcome.retry);
    assert_true(w.outcome.executions <= 1000);
    ps_buf_deinit(&text);

    w.env.limits.executions_max = 3000; /* 2047 are needed */
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    assert_int_equal(w.outcome.executions, 2047);
    world_deinit(&w);
}

static void too_many_messages_from_one_take_failure(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'transform.script',name:'T',configuration:{script:"
              "'local r = {} for i = 1, msg.n do r[i] = {msg = {i = i}} end return r'}},"
              "{nop:'Handler'},{nop:'Next'}],links:'0 Failure 1;0 Success 2'}");
    w.env.limits.messages_max = 10;
    world_run(&w, 'a', TELEMETRY, "{n:3}", NULL);
    check(&w, PS_RUN_DONE, "T Next Next Next ", "");
    world_run(&w, 'a', TELEMETRY, "{n:12}", NULL);
    check(&w, PS_RUN_DONE, "T Handler ", "");
    world_deinit(&w);
}

static void past_the_deadline_nothing_runs_any_further(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    char *metadata = straight_chain(40);
    world_put(&w, 'a', metadata);
    free(metadata);
    w.env.limits.deadline_ms = -1; /* already over at the first look */
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    assert_int_equal(w.outcome.end, PS_RUN_FAILED);
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_TIMEOUT);
    assert_int_equal(w.outcome.executions, 16);
    assert_true(w.outcome.retry);
    world_deinit(&w);
}

static void acknowledging_early_happens_once_and_the_rest_still_runs(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.ack',name:'A'},{type:'flow.ack',name:'B'},"
              "{nop:'C'}],links:'0 Success 1;1 Success 2'}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_DONE, "<ack> A B C ", "");
    assert_int_equal(w.acked_now, 1);
    assert_true(w.outcome.acked_early);
    world_deinit(&w);
}

static void invalid_node_takes_failure_with_a_clear_text(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a', "{firstNodeIndex:0,nodes:[{type:'sink.kafka',name:'K'}],connections:[]}");
    world_run(&w, 'a', TELEMETRY, "{t:1}", NULL);
    check(&w, PS_RUN_FAILED, "K ", "");
    assert_int_equal(w.outcome.failure.kind, PS_FAILURE_INVALID);
    assert_string_equal(w.outcome.failure.text,
                        "node type sink.kafka is not available in this version");
    world_deinit(&w);
}

/* --- suspension: a kind only tests have --- */

struct waiting_room {
    struct ps_pending *pending[8];
    unsigned count;
};
static struct waiting_room room;

static enum ps_step wait_run(const struct ps_node *node, const struct ps_visit *visit,
                             struct ps_step_out *out)
{
    struct ps_pending *pending = ps_run_suspend(node, visit);
    if (!pending)
        return ps_step_failure(out, PS_FAILURE_NODE, PS_ENOMEM, "no memory");
    room.pending[room.count++] = pending;
    return PS_STEP_PENDING;
}

static const struct ps_node_kind WAIT = { .type = "test.wait", .run = wait_run };

/* Nodes named "Wait..." become waiting ones. */
static void make_waiting(const struct ps_program *program)
{
    room.count = 0;
    for (uint32_t i = 0; i < program->node_count; i++)
        if (strncmp(program->nodes[i].node.name, "Wait", 4) == 0)
            program->nodes[i].node.kind = &WAIT;
}

static void resume(struct world *w, unsigned index, enum ps_step step)
{
    struct ps_step_out out;
    memset(&out, 0, sizeof out);
    if (step == PS_STEP_NEXT)
        ps_step_next(&out, PS_REL_SUCCESS);
    if (step == PS_STEP_FAILURE)
        ps_step_failure(&out, PS_FAILURE_NODE, PS_ETIMEOUT, "no answer");
    ps_run_resume(&w->env, room.pending[index], &w->host, step, &out);
}

static void suspended_branch_lets_the_others_run_and_ends_the_run_later(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    const struct ps_program *program =
        world_put(&w, 'a',
                  "{firstNodeIndex:0,nodes:[{nop:'A'},{nop:'Wait 1'},{nop:'B'},{nop:'Wait "
                  "2'},{type:'action.save_timeseries',name:'Save'}],links:'0 Success 1;0 Success "
                  "2;2 Success 3;1 Success 4'}");
    make_waiting(program);
    struct ps_msg *msg = world_msg(&w, TELEMETRY, "{t:1}", "ts=9");
    world_run_msg(&w, 'a', msg);
    check(&w, PS_RUN_SUSPENDED, "A Wait 1 B Wait 2 ", "");
    assert_int_equal(room.count, 2);
    assert_ptr_equal(ps_pending_msg(room.pending[0]), msg);
    ps_msg_release(msg); /* the run keeps what it needs */

    resume(&w, 0, PS_STEP_NEXT);
    assert_int_equal(w.finished_count, 0);
    assert_string_equal(world_effects(&w), "telemetry ts=9 ttl=0 HLS {\"t\":1}\n");
    resume(&w, 1, PS_STEP_FAILURE);
    assert_int_equal(w.finished_count, 1);
    assert_int_equal(w.outcome.end, PS_RUN_FAILED);
    assert_string_equal(w.outcome.failure.text, "no answer");
    assert_int_equal(w.outcome.failure.status, PS_ETIMEOUT);
    world_deinit(&w);
}

static void suspended_run_returns_through_its_nested_chain_though_it_was_replaced(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_put(&w, 'a',
              "{firstNodeIndex:0,nodes:[{type:'flow.rule_chain',name:'Call',configuration:{"
              "ruleChainId:'" ID_B "'}},{nop:'After'}],links:'0 Ok 1'}");
    make_waiting(world_put(&w, 'b',
                           "{firstNodeIndex:0,nodes:[{nop:'Wait'},{type:'flow.output',name:'Ok'}],"
                           "links:'0 Success 1'}"));
    struct ps_msg *msg = world_msg(&w, TELEMETRY, "{t:1}", NULL);
    world_run_msg(&w, 'a', msg);
    ps_msg_release(msg);
    assert_int_equal(w.outcome.end, PS_RUN_SUSPENDED);
    struct ps_uuid a = world_id('a'), b = world_id('b');
    assert_int_equal(ps_chains_remove(w.chains, &w.tenant, &a), PS_OK);
    assert_int_equal(ps_chains_remove(w.chains, &w.tenant, &b), PS_OK);
    assert_null(ps_chain_cache_find(w.cache, &w.tenant, &a));

    resume(&w, 0, PS_STEP_NEXT);
    assert_string_equal(world_visits(&w), "Call Wait Wait Ok After ");
    assert_int_equal(w.finished_count, 1);
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    world_deinit(&w);
}

static void branch_may_be_suspended_again_and_again(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    make_waiting(
        world_put(&w, 'a',
                  "{firstNodeIndex:0,nodes:[{nop:'Wait 1'},{nop:'Wait "
                  "2'},{type:'flow.rule_chain',name:'Call',configuration:{ruleChainId:'" ID_B
                  "'}},{nop:'End'}],links:'0 Success 1;1 Success 2;2 Ok 3'}"));
    world_put(&w, 'b',
              "{firstNodeIndex:0,nodes:[{nop:'Wait 3'},{type:'flow.output',name:'Ok'}],links:'0 "
              "Success 1'}");
    struct ps_uuid b = world_id('b');
    const struct ps_program *inner = ps_chain_cache_find(w.cache, &w.tenant, &b);
    inner->nodes[0].node.kind = &WAIT;
    struct ps_msg *msg = world_msg(&w, TELEMETRY, "{t:1}", NULL);
    world_run_msg(&w, 'a', msg);
    ps_msg_release(msg);
    resume(&w, 0, PS_STEP_NEXT);
    resume(&w, 1, PS_STEP_NEXT);
    assert_int_equal(w.finished_count, 0);
    resume(&w, 2, PS_STEP_NEXT);
    assert_int_equal(w.finished_count, 1);
    assert_int_equal(w.outcome.end, PS_RUN_DONE);
    assert_non_null(strstr(world_visits(&w), "Ok End "));
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_run_depth_first_in_connection_order),
        cmocka_unit_test(empty_chain_ends_well),
        cmocka_unit_test(several_relations_are_followed_in_connection_order_once_each),
        cmocka_unit_test(failure_of_one_branch_leaves_the_others_running),
        cmocka_unit_test(connected_failure_is_handled_and_tells_its_error),
        cmocka_unit_test(chain_failure_node_gets_each_branch_once),
        cmocka_unit_test(told_failure_without_connection_fails),
        cmocka_unit_test(output_comes_back_as_relation_of_the_caller),
        cmocka_unit_test(outputs_return_through_every_level),
        cmocka_unit_test(nested_failure_is_the_nested_chains_own_affair),
        cmocka_unit_test(missing_chain_fails_and_is_not_handled),
        cmocka_unit_test(default_chain_of_the_originator_wins_over_the_named_one),
        cmocka_unit_test(loop_over_chains_takes_failure_at_the_second_entry),
        cmocka_unit_test(chains_nest_sixteen_deep_and_no_deeper),
        cmocka_unit_test(chain_of_500_nodes_is_walked_to_its_end),
        cmocka_unit_test(executions_are_counted_over_the_whole_tree),
        cmocka_unit_test(too_many_messages_from_one_take_failure),
        cmocka_unit_test(past_the_deadline_nothing_runs_any_further),
        cmocka_unit_test(acknowledging_early_happens_once_and_the_rest_still_runs),
        cmocka_unit_test(invalid_node_takes_failure_with_a_clear_text),
        cmocka_unit_test(suspended_branch_lets_the_others_run_and_ends_the_run_later),
        cmocka_unit_test(suspended_run_returns_through_its_nested_chain_though_it_was_replaced),
        cmocka_unit_test(branch_may_be_suspended_again_and_again),
    };
    return cmocka_run_group_tests_name("rules.run", tests, NULL, NULL);
}
