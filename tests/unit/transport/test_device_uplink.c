/* Uplinks: payload in, messages with the device's metadata out, one ack for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transport/device_uplink.h"
#include "unit/actors/actors_world.h"

/* Fails every message, so that the dead letters show what came in. */
#define SHOWING_CHAIN                                                                              \
    "{firstNodeIndex:0,nodes:[{type:'filter.script',name:'F',configuration:{script:"               \
    "'error(\"seen\")'}}],connections:[]}"

struct fixture {
    struct actors_world w; /* first */
    struct ps_device_uplink uplink;
    struct ps_device_identity *identity;
    struct ps_text why;
    struct sent sent;
    unsigned replies;
};

static void fixture_init(struct fixture *f, const char *chain)
{
    memset(f, 0, sizeof *f);
    actors_world_init(&f->w);
    if (chain)
        actors_world_chain(&f->w, chain);
    assert_int_equal(
        ps_device_identity_find(f->w.entities->db, &f->w.device.entity.id, &f->identity), PS_OK);
}

static void fixture_start(struct fixture *f)
{
    const struct ps_payload_rules rules = { .type_cast = true, .kv_count_max = 1000 };
    actors_world_start(&f->w);
    ps_device_uplink_init(&f->uplink, f->w.actors, f->w.settings.metrics, 3,
                          PS_METRIC_HTTP_MESSAGES, &rules);
}

static void fixture_deinit(struct fixture *f)
{
    ps_device_uplink_deinit(&f->uplink);
    ps_device_identity_release(f->identity);
    actors_world_deinit(&f->w);
}

static enum ps_status send_telemetry(struct fixture *f, const char *body)
{
    f->sent = (struct sent){ .order = NULL };
    ps_ack_init(&f->sent.ack, &f->w.port, sent_settled);
    return ps_device_uplink_telemetry(&f->uplink, f->identity, body, strlen(body), &f->sent.ack,
                                      &f->why);
}

static enum ps_status send_attributes(struct fixture *f, const char *body)
{
    f->sent = (struct sent){ .order = NULL };
    ps_ack_init(&f->sent.ack, &f->w.port, sent_settled);
    return ps_device_uplink_attributes(&f->uplink, f->identity, body, strlen(body), &f->sent.ack,
                                       &f->why);
}

static void assert_settles(struct fixture *f, enum ps_status want)
{
    actors_world_wait(&f->w, &f->sent.settled, 1);
    assert_int_equal(f->sent.settled, 1);
    assert_int_equal(f->sent.status, want);
}

static int64_t letters_where(struct fixture *f, const char *where)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM dead_letter WHERE %s", where);
    return actors_world_number(&f->w, sql);
}

static void telemetry_carries_the_devices_metadata(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, SHOWING_CHAIN);
    fixture_start(&f);
    assert_int_equal(send_telemetry(&f, "{\"ts\":1719830400000,\"values\":{\"temp\":21.5}}"),
                     PS_OK);
    assert_settles(&f, PS_OK);
    assert_int_equal(letters_where(&f, "msg_type = 'POST_TELEMETRY_REQUEST'"
                                       " AND CAST(data AS TEXT) = '{\"temp\":21.5}'"
                                       " AND metadata = '{\"deviceName\":\"D1\","
                                       "\"deviceType\":\"default\",\"ts\":\"1719830400000\"}'"),
                     1);
    int64_t before_ms = ps_clock_now_ms();
    assert_int_equal(send_telemetry(&f, "{\"temp\":1}"), PS_OK); /* the server's time */
    assert_settles(&f, PS_OK);
    int64_t ts_ms = actors_world_number(
        &f.w, "SELECT CAST(substr(metadata, -15, 13) AS INTEGER) FROM dead_letter WHERE id = 2");
    assert_true(ts_ms >= before_ms && ts_ms <= ps_clock_now_ms());
    fixture_deinit(&f);
}

static void attributes_do_not_notify_the_device_that_sent_them(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, SHOWING_CHAIN);
    fixture_start(&f);
    assert_int_equal(send_attributes(&f, "{\"fw\":\"1.0\",\"n\":null}"), PS_OK);
    assert_settles(&f, PS_OK);
    assert_int_equal(letters_where(&f, "msg_type = 'POST_ATTRIBUTES_REQUEST'"
                                       " AND metadata = '{\"deviceName\":\"D1\","
                                       "\"deviceType\":\"default\",\"notifyDevice\":\"false\"}'"),
                     1);
    fixture_deinit(&f);
}

static void nothing_to_do_is_settled_well(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_start(&f);
    assert_int_equal(send_telemetry(&f, "[]"), PS_OK);
    assert_settles(&f, PS_OK);
    assert_int_equal(actors_world_metric(&f.w, PS_METRIC_HTTP_MESSAGES), 0);
    assert_int_equal(send_telemetry(&f, "{}"), PS_OK); /* a message without values */
    actors_world_wait(&f.w, &f.sent.settled, 1);
    assert_int_equal(f.sent.settled, 1);
    assert_int_equal(actors_world_metric(&f.w, PS_METRIC_HTTP_MESSAGES), 1);
    assert_int_equal(actors_world_number(&f.w, "SELECT count(*) FROM journal"), 0);
    actors_world_check_balance(&f.w);
    fixture_deinit(&f);
}

/* As many entries as do not fit on the stack, all under one ack. */
static void an_array_settles_when_all_of_it_is_committed(void **state)
{
    (void)state;
    enum { ENTRIES = 500 };
    struct fixture f;
    struct ps_buf body = { 0 };
    fixture_init(&f, NULL);
    fixture_start(&f);
    for (unsigned i = 0; i < ENTRIES; i++)
        ps_buf_printf(&body, "%c{\"ts\":%u,\"values\":{\"temp\":%u}}", i ? ',' : '[', i + 1, i);
    ps_buf_put_char(&body, ']');
    assert_int_equal(send_telemetry(&f, ps_buf_cstr(&body)), PS_OK);
    assert_settles(&f, PS_OK);
    assert_int_equal(actors_world_metric(&f.w, PS_METRIC_POINTS), ENTRIES);
    assert_int_equal(actors_world_metric(&f.w, PS_METRIC_HTTP_MESSAGES), ENTRIES);
    assert_int_equal(actors_world_latest(&f.w, "temp"), ENTRIES - 1);
    actors_world_check_balance(&f.w);
    ps_buf_deinit(&body);
    fixture_deinit(&f);
}

static void an_array_that_does_not_fit_fails_as_a_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_buf body = { 0 };
    fixture_init(&f, NULL);
    f.w.settings.mailbox.messages_max = 10;
    fixture_start(&f);
    for (unsigned i = 0; i < 100; i++)
        ps_buf_printf(&body, "%c{\"temp\":%u}", i ? ',' : '[', i);
    ps_buf_put_char(&body, ']');
    assert_int_equal(send_telemetry(&f, ps_buf_cstr(&body)), PS_OK);
    assert_settles(&f, PS_EBUSY); /* the device sends all of it again */
    actors_world_check_balance(&f.w);
    ps_buf_deinit(&body);
    fixture_deinit(&f);
}

static const struct bad_case {
    const char *name, *body;
    enum ps_status want;
    enum ps_metric metric;
} bad_cases[] = {
    { "no JSON", "{\"a\":", PS_EPROTO, PS_METRIC_REFUSED_MALFORMED },
    { "nothing", "", PS_EPROTO, PS_METRIC_REFUSED_MALFORMED },
    { "a number", "5", PS_EPROTO, PS_METRIC_REFUSED_MALFORMED },
};

static void a_bad_payload_leaves_the_ack_and_says_why(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_start(&f);
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        f.why.data[0] = '\0';
        int64_t before = actors_world_metric(&f.w, bad_cases[i].metric);
        assert_int_equal(send_telemetry(&f, bad_cases[i].body), bad_cases[i].want);
        assert_int_equal(f.sent.settled, 0);
        assert_int_equal(f.sent.ack.owners, 1);
        assert_int_equal(f.sent.ack.status, PS_OK);
        assert_true(f.why.data[0]);
        assert_int_equal(actors_world_metric(&f.w, bad_cases[i].metric), before + 1);
    }
    actors_world_check_balance(&f.w);
    fixture_deinit(&f);
}

/* The shard stands still and its inbox fills: what does not fit any more leaves the ack as it was.
 */
static void back_pressure_leaves_the_ack_untouched(void **state)
{
    (void)state;
    enum { TEXT = 200 * 1000, TRIES = 600 };
    struct fixture f;
    struct held_shard held;
    struct sent *sent = calloc(TRIES, sizeof *sent);
    unsigned order = 0, taken = 0;
    enum ps_status st = PS_OK;
    char *body = malloc(TEXT + 32);
    fixture_init(&f, "{firstNodeIndex:null,nodes:[],connections:[]}");
    f.w.settings.mailbox = (struct ps_mailbox_limits){ 100000, 200 << 20 };
    fixture_start(&f);
    memset(body, 'x', TEXT + 32);
    memcpy(body, "[{\"a\":1},{\"b\":\"", 15);
    memcpy(body + TEXT, "\"}]", 4);
    actors_world_hold_shard(&f.w, &held);
    for (; taken < TRIES; taken++) {
        sent[taken].order = &order;
        ps_ack_init(&sent[taken].ack, &f.w.port, sent_settled);
        st = ps_device_uplink_telemetry(&f.uplink, f.identity, body, strlen(body), &sent[taken].ack,
                                        &f.why);
        if (st != PS_OK)
            break;
    }
    assert_int_equal(st, PS_EBUSY);
    assert_int_equal(sent[taken].ack.owners, 1);
    assert_int_equal(sent[taken].ack.status, PS_OK);
    actors_world_let_shard(&held);
    actors_world_wait(&f.w, &order, taken);
    assert_int_equal(sent[taken].settled, 0);
    for (unsigned i = 0; i < taken; i++)
        assert_int_equal(sent[i].settled, 1);
    actors_world_check_balance(&f.w);
    free(body);
    free(sent);
    fixture_deinit(&f);
}

/* ---- attribute requests ---- */

static void reply_came(struct ps_port_item *item, void *owner)
{
    (void)item;
    ((struct fixture *)owner)->replies++; /* the world that owns the port is its first member */
}

static void check_reply(struct fixture *f, const char *client, const char *shared, const char *want)
{
    struct ps_payload payload = { 0 };
    struct ps_attribute_request request;
    assert_int_equal(ps_payload_split_attribute_request(&payload, client, shared, &request), PS_OK);
    struct ps_attribute_reply *reply =
        ps_attribute_reply_create(f->identity, &request, &f->w.port, reply_came);
    assert_non_null(reply);
    ps_payload_deinit(&payload);
    f->replies = 0;
    ps_device_uplink_request_attributes(f->w.actors, reply);
    actors_world_wait(&f->w, &f->replies, 1);
    assert_int_equal(reply->status, PS_OK);
    assert_string_equal(ps_buf_cstr(&reply->json), want);
    assert_int_equal(reply->found, strcmp(want, "{}") != 0);
    ps_attribute_reply_destroy(reply);
}

static void a_device_reads_its_client_and_shared_attributes(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_kv kv = { .key = "limit",
                        .key_len = 5,
                        .value = { .type = PS_VALUE_LONG, .integer = 30 } };
    fixture_init(&f, NULL);
    fixture_start(&f);
    check_reply(&f, NULL, NULL, "{}");
    assert_int_equal(send_attributes(&f, "{\"fw\":\"v1\",\"hw\":2}"), PS_OK);
    assert_settles(&f, PS_OK);
    for (int scope = PS_SCOPE_CLIENT; scope <= PS_SCOPE_SERVER; scope++) {
        if (scope != PS_SCOPE_CLIENT)
            assert_int_equal(ps_entity_save_attributes(f.w.actors, &f.w.device,
                                                       (enum ps_attribute_scope)scope, &kv, 1,
                                                       &f.why),
                             PS_OK);
    }
    check_reply(&f, NULL, NULL, "{\"client\":{\"fw\":\"v1\",\"hw\":2},\"shared\":{\"limit\":30}}");
    check_reply(&f, "hw,nope", NULL, "{\"client\":{\"hw\":2}}");
    check_reply(&f, NULL, "limit", "{\"shared\":{\"limit\":30}}");
    check_reply(&f, "limit", "fw", "{}");
    check_reply(&f, "nope", "limit", "{\"shared\":{\"limit\":30}}");
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(telemetry_carries_the_devices_metadata),
        cmocka_unit_test(attributes_do_not_notify_the_device_that_sent_them),
        cmocka_unit_test(nothing_to_do_is_settled_well),
        cmocka_unit_test(an_array_settles_when_all_of_it_is_committed),
        cmocka_unit_test(an_array_that_does_not_fit_fails_as_a_whole),
        cmocka_unit_test(a_bad_payload_leaves_the_ack_and_says_why),
        cmocka_unit_test(back_pressure_leaves_the_ack_untouched),
        cmocka_unit_test(a_device_reads_its_client_and_shared_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
