/* Promises of interest: only what was asked for, nothing older than told, nothing lost between
 * registration and snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/ws/interest.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* An ask parsed from what a client says, so that the fixture cannot drift from the contract. */
static struct ps_ws_interest interest_in(const char *type, const char *members)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"cmds\":[{\"cmdId\":1,\"type\":\"%s\",\"entityType\":\"DEVICE\","
             "\"entityId\":\"784f394c-42b6-435a-983c-b7beff2784f9\"%s}]}",
             type, members);
    struct ps_ws_request request;
    assert_int_equal(ps_ws_request_parse(text, strlen(text), &request, NULL), PS_OK);
    assert_int_equal(request.commands[0].error, PS_WS_NO_ERROR);
    struct ps_principal nobody = { 0 };
    struct ps_ws_interest interest = { .ask = ps_ws_ask_create(&request.commands[0], &nobody) };
    assert_non_null(interest.ask);
    ps_ws_request_deinit(&request);
    return interest;
}

static void interest_deinit(struct ps_ws_interest *interest)
{
    ps_ws_newest_deinit(&interest->newest);
    ps_ws_ask_release(interest->ask);
}

static const struct ps_kv some_kvs[] = {
    { "humidity", 8, { .type = PS_VALUE_LONG, .integer = 40 } },
    { "temp", 4, { .type = PS_VALUE_LONG, .integer = 1 } },
    { "temperature", 11, { .type = PS_VALUE_LONG, .integer = 22 } },
};

static struct ps_update update_of(enum ps_update_kind kind, enum ps_attribute_scope scope)
{
    return (struct ps_update){
        .kind = kind, .scope = scope, .ts_ms = 100, .kv_count = COUNT(some_kvs), .kvs = some_kvs
    };
}

static void only_asked_keys_kinds_and_scopes_are_picked(void **state)
{
    (void)state;
    static const struct {
        const char *type, *members;
        enum ps_update_kind kind;
        enum ps_attribute_scope scope;
        size_t count;
        uint32_t first;
    } cases[] = {
        { "TIMESERIES", "", PS_UPDATE_TELEMETRY, 0, 3, 0 },
        { "TIMESERIES", "", PS_UPDATE_TELEMETRY_DELETED, 0, 3, 0 },
        { "TIMESERIES", "", PS_UPDATE_ATTRIBUTES, PS_SCOPE_SERVER, 0, 0 },
        { "TIMESERIES", ",\"keys\":\"temperature\"", PS_UPDATE_TELEMETRY, 0, 1, 2 },
        { "TIMESERIES", ",\"keys\":\"temp,zzz\"", PS_UPDATE_TELEMETRY, 0, 1, 1 },
        { "TIMESERIES", ",\"keys\":\"tem,temperatures\"", PS_UPDATE_TELEMETRY, 0, 0, 0 },
        { "ATTRIBUTES", "", PS_UPDATE_ATTRIBUTES, PS_SCOPE_SHARED, 3, 0 },
        { "ATTRIBUTES", "", PS_UPDATE_TELEMETRY, 0, 0, 0 },
        { "ATTRIBUTES", ",\"scope\":\"SERVER_SCOPE\"", PS_UPDATE_ATTRIBUTES, PS_SCOPE_SHARED, 0,
          0 },
        { "ATTRIBUTES", ",\"scope\":\"SERVER_SCOPE\"", PS_UPDATE_ATTRIBUTES_DELETED,
          PS_SCOPE_SERVER, 3, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ps_ws_interest interest = interest_in(cases[i].type, cases[i].members);
        struct ps_update update = update_of(cases[i].kind, cases[i].scope);
        uint32_t picked[COUNT(some_kvs)];
        assert_int_equal(ps_ws_ask_pick(interest.ask, &update, picked), cases[i].count);
        if (cases[i].count)
            assert_int_equal(picked[0], cases[i].first);
        interest_deinit(&interest);
    }
}

static struct ps_ws_row row(const char *key, int64_t ts_ms)
{
    return (struct ps_ws_row){
        .kv = { key, (uint32_t)strlen(key), { .type = PS_VALUE_LONG, .integer = ts_ms } },
        .ts_ms = ts_ms
    };
}

static bool admits(struct ps_ws_interest *interest, const char *key, int64_t ts_ms)
{
    struct ps_ws_row one = row(key, ts_ms);
    return ps_ws_interest_admit(interest, &one);
}

static void latest_telemetry_takes_nothing_older_than_told(void **state)
{
    (void)state;
    struct ps_ws_interest interest = interest_in("TIMESERIES", ",\"scope\":\"LATEST_TELEMETRY\"");
    interest.settled = true;
    assert_true(admits(&interest, "a", 100));
    assert_false(admits(&interest, "a", 99));
    assert_true(admits(&interest, "a", 100)); /* not older */
    assert_true(admits(&interest, "b", 5));   /* each key has its own */
    assert_true(admits(&interest, "a", 101));
    assert_false(admits(&interest, "a", 100));

    struct ps_ws_row gone = row("a", 0);
    gone.deleted = true;
    assert_true(ps_ws_interest_admit(&interest, &gone));
    assert_true(admits(&interest, "a", 7)); /* after a deletion the next value is news */
    interest_deinit(&interest);
}

static void without_latest_scope_every_point_is_told(void **state)
{
    (void)state;
    struct ps_ws_interest interest = interest_in("TIMESERIES", ",\"keys\":\"a\"");
    assert_true(admits(&interest, "a", 100));
    interest.settled = true;
    assert_true(admits(&interest, "a", 50));
    assert_int_equal(interest.newest.count, 0); /* and nothing is remembered */
    interest_deinit(&interest);
}

static struct ps_ws_delta *delta_of(const struct ps_ws_row *rows, size_t count)
{
    struct ps_ws_delta *delta = NULL;
    assert_int_equal(ps_ws_delta_create(rows, count, &delta), PS_OK);
    return delta;
}

/* Buffered a@90, a@100, a@100 with another value, a@110, b@1; the snapshot told a@100. */
static struct ps_ws_delta *settle(struct ps_ws_interest *interest)
{
    struct ps_ws_row rewritten = row("a", 100);
    rewritten.kv.value.integer = 5;
    const struct ps_ws_row rows[] = { row("a", 90), row("a", 100), rewritten, row("a", 110),
                                      row("b", 1) };
    struct ps_ws_delta *buffered = delta_of(rows, COUNT(rows)), *rest = NULL;
    struct ps_ws_newest told = { 0 };
    ps_ws_newest_note(&told, 0, "a", 1, 100,
                      &(struct ps_value){ .type = PS_VALUE_LONG, .integer = 100 });
    assert_int_equal(ps_ws_interest_settle(interest, &told, buffered, &rest), PS_OK);
    assert_int_equal(told.count, 0); /* taken */
    assert_true(interest->settled);
    ps_ws_delta_release(buffered);
    return rest;
}

static void what_the_snapshot_told_is_not_told_again(void **state)
{
    (void)state;
    static const struct {
        const char *type, *members;
        uint32_t rows;
    } cases[] = {
        { "TIMESERIES", ",\"scope\":\"LATEST_TELEMETRY\"", 3 },
        { "TIMESERIES", "", 3 },
        { "ATTRIBUTES", "", 3 },
        /* a window holds more than its newest point: a@90 may be late, and is told */
        { "TIMESERIES", ",\"keys\":\"a,b\",\"timeWindow\":60000", 4 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ps_ws_interest interest = interest_in(cases[i].type, cases[i].members);
        struct ps_ws_delta *rest = settle(&interest);
        assert_int_equal(rest->row_count, cases[i].rows);
        const struct ps_ws_row *last = &rest->rows[cases[i].rows - 3];
        assert_int_equal(last[0].ts_ms, 100);
        assert_int_equal(last[0].kv.value.integer, 5);
        assert_int_equal(last[1].ts_ms, 110);
        assert_memory_equal(last[2].kv.key, "b", 1);
        ps_ws_delta_release(rest);
        interest_deinit(&interest);
    }
}

static void latest_values_go_on_from_the_buffered_ones(void **state)
{
    (void)state;
    struct ps_ws_interest interest = interest_in("TIMESERIES", ",\"scope\":\"LATEST_TELEMETRY\"");
    ps_ws_delta_release(settle(&interest));
    assert_false(admits(&interest, "a", 109));
    assert_true(admits(&interest, "a", 110)); /* not older */
    interest_deinit(&interest);
}

static void attributes_are_ordered_only_until_settled(void **state)
{
    (void)state;
    struct ps_ws_interest interest = interest_in("ATTRIBUTES", "");
    ps_ws_delta_release(settle(&interest));
    assert_true(admits(&interest, "a", 90)); /* a clock set back must not mute a key */
    assert_int_equal(interest.newest.count, 0);
    interest_deinit(&interest);
}

static void attribute_scopes_do_not_hide_each_other(void **state)
{
    (void)state;
    struct ps_ws_interest interest = interest_in("ATTRIBUTES", "");
    struct ps_ws_row client = row("a", 15);
    struct ps_ws_delta *buffered, *rest = NULL;
    client.scope = PS_SCOPE_CLIENT;
    buffered = delta_of(&client, 1);
    struct ps_ws_newest told = { 0 };
    ps_ws_newest_note(&told, PS_SCOPE_SERVER, "a", 1, 20,
                      &(struct ps_value){ .type = PS_VALUE_LONG, .integer = 20 });
    assert_int_equal(ps_ws_interest_settle(&interest, &told, buffered, &rest), PS_OK);
    assert_non_null(rest);
    assert_int_equal(rest->row_count, 1);
    ps_ws_delta_release(rest);
    ps_ws_delta_release(buffered);
    interest_deinit(&interest);
}

static void nothing_buffered_means_nothing_to_send(void **state)
{
    (void)state;
    struct ps_ws_interest interest = interest_in("TIMESERIES", "");
    struct ps_ws_newest told = { 0 };
    struct ps_ws_delta *rest = NULL;
    assert_int_equal(ps_ws_interest_settle(&interest, &told, NULL, &rest), PS_OK);
    assert_null(rest);
    interest_deinit(&interest);
}

static void newest_keeps_many_keys_sorted(void **state)
{
    (void)state;
    struct ps_ws_newest newest = { 0 };
    char key[16];
    for (int i = 0; i < 1000; i++) {
        int len = snprintf(key, sizeof key, "k%d", i * 7919 % 1000);
        ps_ws_newest_note(&newest, (unsigned)i % 3, key, (size_t)len, i,
                          &(struct ps_value){ .type = PS_VALUE_NULL });
    }
    assert_int_equal(newest.count, 1000);
    for (int i = 0; i < 1000; i++) {
        int len = snprintf(key, sizeof key, "k%d", i * 7919 % 1000);
        struct ps_ws_newest_entry *entry =
            ps_ws_newest_find(&newest, (unsigned)i % 3, key, (size_t)len);
        assert_non_null(entry);
        assert_int_equal(entry->ts_ms, i);
        assert_null(ps_ws_newest_find(&newest, (unsigned)(i + 1) % 3, key, (size_t)len));
    }
    ps_ws_newest_deinit(&newest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_asked_keys_kinds_and_scopes_are_picked),
        cmocka_unit_test(latest_telemetry_takes_nothing_older_than_told),
        cmocka_unit_test(without_latest_scope_every_point_is_told),
        cmocka_unit_test(what_the_snapshot_told_is_not_told_again),
        cmocka_unit_test(latest_values_go_on_from_the_buffered_ones),
        cmocka_unit_test(attributes_are_ordered_only_until_settled),
        cmocka_unit_test(attribute_scopes_do_not_hide_each_other),
        cmocka_unit_test(nothing_buffered_means_nothing_to_send),
        cmocka_unit_test(newest_keeps_many_keys_sorted),
    };
    return cmocka_run_group_tests_name("transport_ws.interest", tests, NULL, NULL);
}
