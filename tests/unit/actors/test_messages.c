/* Messages through actors: kept when acknowledged, in order, within bounds, every one accounted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/actors/actors_world.h"

#define FAILING_CHAIN                                                                              \
    "{firstNodeIndex:0,nodes:[{type:'filter.script',name:'F',configuration:{script:"               \
    "'error(\"no way\")'}}],connections:[]}"

static void a_message_is_committed_before_its_ack_and_then_visible(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent sent = { .order = NULL };
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    actors_world_hold_commits(&w, &held);
    actors_world_send(&w, PS_MSG_POST_TELEMETRY, "temp", 21, 1000, &sent);
    for (unsigned i = 0; i < 20; i++) { /* a hundred rounds of everything else */
        ps_port_wait(&w.port, &w, 5);
        assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    }
    assert_int_equal(sent.settled, 0);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_MSG_IN_FLIGHT), 1);
    actors_world_let_commit(&held);
    actors_world_wait(&w, &sent.settled, 1);
    assert_int_equal(sent.status, PS_OK);
    assert_int_equal(actors_world_latest(&w, "temp"), 21);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 1);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM series"), 1);
    actors_world_check_balance(&w);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_MSG_STORED), 1);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_POINTS), 1);
    actors_world_deinit(&w);
}

static void messages_of_an_entity_keep_their_order(void **state)
{
    (void)state;
    enum { MESSAGES = 900 };
    struct actors_world w;
    struct sent *sent = calloc(MESSAGES, sizeof *sent);
    unsigned order = 0;
    actors_world_init(&w);
    actors_world_start(&w);
    for (int i = 0; i < MESSAGES; i++) {
        sent[i].order = &order;
        actors_world_send(&w, PS_MSG_POST_TELEMETRY, "temp", i, 5000, &sent[i]); /* one time */
    }
    actors_world_wait(&w, &order, MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_int_equal(sent[i].place, i + 1);
        assert_int_equal(sent[i].settled, 1);
        assert_int_equal(sent[i].status, PS_OK);
    }
    assert_int_equal(actors_world_latest(&w, "temp"), MESSAGES - 1);
    actors_world_check_balance(&w);
    free(sent);
    actors_world_deinit(&w);
}

static void what_was_acknowledged_is_there_after_a_restart(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    for (int i = 0; i < 50; i++)
        assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, i % 2 ? "a" : "b", i, i),
                         PS_OK);
    actors_world_stop(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_latest(&w, "a"), 49);
    assert_int_equal(actors_world_latest(&w, "b"), 48);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "c", 7, 7), PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM series"), 3);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 51);
    actors_world_deinit(&w);
}

static void a_full_mailbox_is_told_to_the_sender(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_shard held;
    struct sent sent[8] = { { .order = NULL } };
    unsigned order = 0, busy = 0;
    actors_world_init(&w);
    w.settings.mailbox.messages_max = 5;
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    actors_world_hold_shard(&w, &held);
    for (int i = 0; i < 8; i++) {
        sent[i].order = &order;
        actors_world_send(&w, PS_MSG_POST_TELEMETRY, "temp", i, i, &sent[i]);
    }
    actors_world_let_shard(&held);
    actors_world_wait(&w, &order, 8);
    for (int i = 0; i < 8; i++) {
        busy += sent[i].status == PS_EBUSY;
        assert_int_equal(sent[i].status, i < 5 ? PS_OK : PS_EBUSY);
    }
    assert_int_equal(busy, 3);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_MAILBOX_FULL), 3);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_REFUSED_BUSY), 3);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 9, 9), PS_OK);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

static struct ps_msg *large_msg(struct actors_world *w, const char *bytes, uint32_t len)
{
    struct ps_msg_content content = {
        .type = PS_MSG_POST_TELEMETRY, .data_kind = PS_DATA_BINARY, .data = bytes, .data_len = len
    };
    struct ps_msg *msg;
    assert_int_equal(
        ps_msg_create(&w->device.tenant, &w->device.entity, &PS_UUID_NULL, 0, &content, &msg),
        PS_OK);
    msg->counted = true;
    ps_metrics_msg_received(w->settings.metrics, 3, PS_METRIC_MQTT_MESSAGES, 1);
    return msg;
}

/* More than the mailboxes of a tenant may hold: what is there must still be worked off, the rest is
 * refused. */
static void mailboxes_without_room_are_worked_off(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_shard held;
    unsigned order = 0, taken = 0;
    struct sent *sent = calloc(300, sizeof *sent);
    char *bytes = calloc(1, PS_MSG_DATA_BYTES_MAX);
    actors_world_init(&w);
    actors_world_chain(&w, "{firstNodeIndex:null,nodes:[],connections:[]}");
    w.settings.mailbox = (struct ps_mailbox_limits){ 100000, 200 << 20 };
    actors_world_start(&w);
    actors_world_hold_shard(&w, &held);
    for (unsigned i = 0; i < 300; i++) {
        sent[i].order = &order;
        if (actors_world_post(&w, large_msg(&w, bytes, PS_MSG_DATA_BYTES_MAX), &sent[i]) != PS_OK)
            break; /* the inbox of the shard is bounded, too */
        taken++;
    }
    assert_true(taken >= 256 && taken < 300);
    actors_world_let_shard(&held);
    actors_world_wait(&w, &order, taken);
    actors_world_check_balance(&w);
    free(bytes);
    free(sent);
    actors_world_deinit(&w);
}

static void a_message_for_nobody_is_counted_and_acknowledged(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    w.device.entity.id = ps_uuid_random();
    for (unsigned i = 0; i < 3; i++) /* the first waits for the reader, the others know */
        assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_DROPPED_ENTITY_GONE), 3);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM journal"), 0);
    assert_int_equal(actors_world_latest(&w, "temp"), INT64_MIN);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

static void without_a_chain_a_message_is_dropped_by_name(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(ps_chains_remove_tenant(w.settings.chains, &w.entities->tenant), PS_OK);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 1, 1), PS_OK);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_DROPPED_NO_CHAIN), 1);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

static void a_message_that_fails_is_kept_as_a_dead_letter_and_acknowledged(void **state)
{
    (void)state;
    struct actors_world w;
    actors_world_init(&w);
    actors_world_chain(&w, FAILING_CHAIN);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_TELEMETRY, "temp", 42, 77), PS_OK);
    assert_int_equal(actors_world_number(&w, "SELECT count(*) FROM dead_letter"), 1);
    assert_int_equal(
        actors_world_number(
            &w, "SELECT count(*) FROM dead_letter WHERE CAST(data AS TEXT) = '{\"temp\":42}' AND"
                " msg_type = 'POST_TELEMETRY_REQUEST' AND metadata ="
                " '{\"ts\":\"77\"}' AND error LIKE '%no way%'"),
        1);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_DEAD_LETTERS), 1);
    assert_int_equal(actors_world_metric(&w, PS_METRIC_SCRIPT_ERROR_RUNTIME), 1);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

/* ---- attributes ---- */

static int64_t stored_attribute(struct actors_world *w)
{
    return actors_world_number(w, "SELECT coalesce(max(value), -1) FROM attribute WHERE key = 'a'");
}

static void attributes_are_compared_with_writes_not_committed_yet(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent sent[3] = { { .order = NULL } };
    unsigned order = 0;
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 1, 0), PS_OK);
    actors_world_hold_commits(&w, &held);
    for (unsigned i = 0; i < 3; i++) {
        sent[i].order = &order;
        actors_world_send(&w, PS_MSG_POST_ATTRIBUTES, "a", i == 1 ? 1 : 2, 0, &sent[i]);
    }
    actors_world_let_commit(&held);
    actors_world_wait(&w, &order, 3);
    assert_int_equal(stored_attribute(&w), 2); /* 1 -> 2 -> 1 -> 2 */
    actors_world_deinit(&w);
}

/* It changes nothing, but what it says is true only when the write before it is committed. */
static void an_unchanged_attribute_is_acknowledged_after_the_write_it_equals(void **state)
{
    (void)state;
    struct actors_world w;
    struct held_commit held;
    struct sent first = { .order = NULL }, again = { .order = NULL };
    actors_world_init(&w);
    actors_world_start(&w);
    assert_int_equal(actors_world_do(&w, PS_MSG_POST_ATTRIBUTES, "a", 1, 0), PS_OK);
    actors_world_hold_commits(&w, &held);
    actors_world_send(&w, PS_MSG_POST_ATTRIBUTES, "a", 2, 0, &first);
    actors_world_send(&w, PS_MSG_POST_ATTRIBUTES, "a", 2, 0, &again);
    for (unsigned i = 0; i < 20; i++) {
        ps_port_wait(&w.port, &w, 5);
        (void)actors_world_latest(&w, "x"); /* a round of the shard */
    }
    assert_int_equal(first.settled, 0);
    assert_int_equal(again.settled, 0);
    actors_world_let_commit(&held);
    actors_world_wait(&w, &first.settled, 1);
    actors_world_wait(&w, &again.settled, 1);
    assert_int_equal(again.status, PS_OK);
    actors_world_check_balance(&w);
    actors_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_committed_before_its_ack_and_then_visible),
        cmocka_unit_test(messages_of_an_entity_keep_their_order),
        cmocka_unit_test(what_was_acknowledged_is_there_after_a_restart),
        cmocka_unit_test(a_full_mailbox_is_told_to_the_sender),
        cmocka_unit_test(mailboxes_without_room_are_worked_off),
        cmocka_unit_test(a_message_for_nobody_is_counted_and_acknowledged),
        cmocka_unit_test(without_a_chain_a_message_is_dropped_by_name),
        cmocka_unit_test(a_message_that_fails_is_kept_as_a_dead_letter_and_acknowledged),
        cmocka_unit_test(attributes_are_compared_with_writes_not_committed_yet),
        cmocka_unit_test(an_unchanged_attribute_is_acknowledged_after_the_write_it_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
