/* Promises of command: both envelopes are read, and one bad command spoils no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/ws/command.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ID "784f394c-42b6-435a-983c-b7beff2784f9"
#define DEVICE "\"entityType\":\"DEVICE\",\"entityId\":\"" ID "\""
#define CMD(text) "{\"cmds\":[{" text "}]}"

static enum ps_status parse(const char *text, struct ps_ws_request *out, struct ps_text *why)
{
    return ps_ws_request_parse(text, strlen(text), out, why);
}

static struct ps_ws_request parse_ok(const char *text)
{
    struct ps_ws_request request;
    assert_int_equal(parse(text, &request, NULL), PS_OK);
    return request;
}

/* --- one command, all it says --- */

static void timeseries_with_everything(void **state)
{
    (void)state;
    struct ps_ws_request request = parse_ok(
        CMD("\"cmdId\":2,\"type\":\"TIMESERIES\"," DEVICE ",\"keys\":\"b,a,,b\",\"startTs\":1000,"
            "\"timeWindow\":4000,\"interval\":2000,\"limit\":7,\"agg\":\"AVG\","
            "\"scope\":\"LATEST_TELEMETRY\",\"somethingElse\":{\"x\":[1]}"));
    assert_int_equal(request.count, 1);
    assert_false(request.has_auth);
    const struct ps_ws_command *command = &request.commands[0];
    assert_int_equal(command->type, PS_WS_TIMESERIES);
    assert_int_equal(command->error, PS_WS_NO_ERROR);
    assert_int_equal(command->cmd_id, 2);
    assert_int_equal(command->entity.type, PS_ENTITY_DEVICE);
    char id[PS_UUID_TEXT_SIZE];
    ps_uuid_format(&command->entity.id, id);
    assert_string_equal(id, ID);
    assert_int_equal(command->keys.count, 2);
    assert_string_equal(command->keys.names[0], "a");
    assert_string_equal(command->keys.names[1], "b");
    assert_true(command->latest_only);
    assert_true(command->windowed);
    assert_false(command->unsubscribe);
    assert_int_equal(command->query.start_ms, 1000);
    assert_int_equal(command->query.end_ms, 5000);
    assert_int_equal(command->query.interval_ms, 2000);
    assert_int_equal(command->query.limit, 7);
    assert_int_equal(command->query.aggregate, PS_AGG_AVG);
    assert_false(command->query.ascending);
    ps_ws_request_deinit(&request);
}

static void buckets_and_thinning_are_as_rest_has_them(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        enum ps_interval_type type;
        const char *zone;
        enum ps_downsample downsample;
        size_t points;
    } cases[] = {
        { "", PS_INTERVAL_MILLISECONDS, "", PS_DOWNSAMPLE_NONE, 0 },
        { ",\"intervalType\":null,\"timeZoneId\":null,\"downsample\":null,\"points\":null",
          PS_INTERVAL_MILLISECONDS, "", PS_DOWNSAMPLE_NONE, 0 },
        { ",\"agg\":\"SUM\",\"intervalType\":\"WEEK_ISO\",\"timeZoneId\":\"Europe/Kyiv\"",
          PS_INTERVAL_WEEK_ISO, "Europe/Kyiv", PS_DOWNSAMPLE_NONE, 0 },
        { ",\"intervalType\":\"QUARTER\"", PS_INTERVAL_QUARTER, "", PS_DOWNSAMPLE_NONE, 0 },
        { ",\"downsample\":\"MINMAX\",\"points\":600", PS_INTERVAL_MILLISECONDS, "",
          PS_DOWNSAMPLE_MINMAX, 600 },
        { ",\"downsample\":\"LTTB\",\"points\":1e9", PS_INTERVAL_MILLISECONDS, "",
          PS_DOWNSAMPLE_LTTB, PS_WS_LIMIT_MAX },
        { ",\"downsample\":\"NONE\",\"points\":600", PS_INTERVAL_MILLISECONDS, "",
          PS_DOWNSAMPLE_NONE, 0 },
        { ",\"agg\":\"AVG\",\"endTs\":1e15", PS_INTERVAL_MILLISECONDS, "", PS_DOWNSAMPLE_NONE, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 CMD("\"cmdId\":3,\"type\":\"TIMESERIES_HISTORY\"," DEVICE ",\"keys\":\"k\"%s"),
                 cases[i].members);
        struct ps_ws_request request = parse_ok(text);
        const struct ps_history_query *query = &request.commands[0].query;
        assert_int_equal(request.commands[0].error, PS_WS_NO_ERROR);
        assert_int_equal(query->interval_type, cases[i].type);
        assert_string_equal(query->time_zone, cases[i].zone);
        assert_int_equal(query->downsample, cases[i].downsample);
        assert_int_equal(query->points, cases[i].points);
        ps_ws_request_deinit(&request);
    }
}

static void absent_members_mean_all_keys_and_latest_values(void **state)
{
    (void)state;
    struct ps_ws_request request =
        parse_ok(CMD("\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE ",\"keys\":null,"
                     "\"scope\":null,\"timeWindow\":5000"));
    const struct ps_ws_command *command = &request.commands[0];
    assert_int_equal(command->error, PS_WS_NO_ERROR);
    assert_int_equal(command->keys.count, 0);
    assert_false(command->latest_only);
    assert_false(command->windowed); /* a window needs keys */
    assert_int_equal(command->query.limit, PS_WS_LIMIT_DEFAULT);
    assert_int_equal(command->query.aggregate, PS_AGG_NONE);
    ps_ws_request_deinit(&request);
}

static void attributes_know_their_scopes(void **state)
{
    (void)state;
    static const struct {
        const char *scope;
        bool all;
        enum ps_attribute_scope want;
    } cases[] = {
        { "", true, PS_SCOPE_CLIENT },
        { ",\"scope\":\"\"", true, PS_SCOPE_CLIENT },
        { ",\"scope\":\"CLIENT_SCOPE\"", false, PS_SCOPE_CLIENT },
        { ",\"scope\":\"SHARED_SCOPE\"", false, PS_SCOPE_SHARED },
        { ",\"scope\":\"SERVER_SCOPE\"", false, PS_SCOPE_SERVER },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[512];
        snprintf(text, sizeof text, CMD("\"cmdId\":3,\"type\":\"ATTRIBUTES\"," DEVICE "%s"),
                 cases[i].scope);
        struct ps_ws_request request = parse_ok(text);
        assert_int_equal(request.commands[0].error, PS_WS_NO_ERROR);
        assert_int_equal(request.commands[0].type, PS_WS_ATTRIBUTES);
        assert_int_equal(request.commands[0].all_scopes, cases[i].all);
        assert_int_equal(request.commands[0].scope, cases[i].want);
        ps_ws_request_deinit(&request);
    }
}

static void history_is_a_window(void **state)
{
    (void)state;
    struct ps_ws_request request =
        parse_ok(CMD("\"cmdId\":4,\"type\":\"TIMESERIES_HISTORY\"," DEVICE ",\"keys\":\"t\","
                     "\"startTs\":1719830400000,\"endTs\":1719830410000.75,\"limit\":99999999"));
    const struct ps_ws_command *command = &request.commands[0];
    assert_int_equal(command->error, PS_WS_NO_ERROR);
    assert_int_equal(command->type, PS_WS_HISTORY);
    assert_true(command->windowed);
    assert_int_equal(command->query.start_ms, 1719830400000);
    assert_int_equal(command->query.end_ms, 1719830410000);
    assert_int_equal(command->query.limit, PS_WS_LIMIT_MAX);
    ps_ws_request_deinit(&request);
}

static void unsubscribe_needs_no_more_than_its_id(void **state)
{
    (void)state;
    struct ps_ws_request request =
        parse_ok("{\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE
                 ",\"unsubscribe\":true},{\"cmdId\":1,\"type\":\"ATTRIBUTES\",\"entityId\":\"\","
                 "\"unsubscribe\":true}]}");
    assert_true(request.commands[0].unsubscribe);
    assert_false(request.commands[0].unsubscribe_all);
    assert_int_equal(request.commands[1].error, PS_WS_NO_ERROR);
    assert_true(request.commands[1].unsubscribe_all);
    ps_ws_request_deinit(&request);
}

static void window_beyond_time_s_end_does_not_overflow(void **state)
{
    (void)state;
    struct ps_ws_request request =
        parse_ok(CMD("\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE
                     ",\"keys\":\"a\",\"startTs\":9223372036854775807,\"timeWindow\":5"));
    assert_int_equal(request.commands[0].query.end_ms, INT64_MAX);
    ps_ws_request_deinit(&request);
}

/* --- rejected alone --- */

static const struct reject_case {
    const char *name, *command;
    int32_t cmd_id;
    const char *why;
} reject_cases[] = {
    { "negative id", "\"cmdId\":-1,\"type\":\"TIMESERIES\"," DEVICE, -1,
      "Cmd id is negative value!" },
    { "no entity id", "\"cmdId\":20,\"type\":\"TIMESERIES\",\"entityType\":\"DEVICE\"", 20,
      "Device id is empty!" },
    { "empty entity id", "\"cmdId\":20,\"type\":\"ATTRIBUTES\",\"entityId\":\"\"", 20,
      "Device id is empty!" },
    { "no entity type", "\"cmdId\":20,\"type\":\"ATTRIBUTES\",\"entityId\":\"" ID "\"", 20,
      "Entity type is empty!" },
    { "unknown entity type",
      "\"cmdId\":20,\"type\":\"ATTRIBUTES\",\"entityType\":\"THING\",\"entityId\":\"" ID "\"", 20,
      "Unknown entity type 'THING'" },
    { "bad uuid",
      "\"cmdId\":5,\"type\":\"TIMESERIES\",\"entityType\":\"DEVICE\",\"entityId\":\"x\"", 5,
      "Invalid UUID string: x" },
    { "history without keys", "\"cmdId\":4,\"type\":\"TIMESERIES_HISTORY\"," DEVICE, 4,
      "Keys are empty!" },
    { "keys of commas", "\"cmdId\":4,\"type\":\"TIMESERIES_HISTORY\"," DEVICE ",\"keys\":\",,\"", 4,
      "Keys are empty!" },
    { "keys are a list", "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"keys\":[\"a\"]", 6,
      "Member 'keys' must be a string" },
    { "text for a number", "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"startTs\":\"now\"", 6,
      "Member 'startTs' must be a number" },
    { "number beyond time", "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"startTs\":1e300", 6,
      "Member 'startTs' must be a number" },
    { "negative limit", "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"limit\":-1", 6,
      "Interval and limit must not be negative" },
    { "unknown aggregation", "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"agg\":\"MEDIAN\"", 6,
      "Unknown aggregation 'MEDIAN'" },
    { "unknown scope", "\"cmdId\":7,\"type\":\"ATTRIBUTES\"," DEVICE ",\"scope\":\"MY_SCOPE\"", 7,
      "Unknown attribute scope 'MY_SCOPE'" },
    { "unsubscribe is text", "\"cmdId\":7,\"type\":\"ATTRIBUTES\"," DEVICE ",\"unsubscribe\":\"y\"",
      7, "Member 'unsubscribe' must be a boolean" },
    { "unknown type", "\"cmdId\":8,\"type\":\"WEATHER\"", 8, "Unknown command type 'WEATHER'" },
    { "no type", "\"cmdId\":8", 8, "Unknown command type ''" },
    { "id is text", "\"cmdId\":\"8\",\"type\":\"TIMESERIES\"", 1,
      "Member 'cmdId' must be a 32-bit integer" },
    { "id too large", "\"cmdId\":2147483648,\"type\":\"TIMESERIES\"", 1,
      "Member 'cmdId' must be a 32-bit integer" },
    { "unknown interval type",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"intervalType\":\"YEAR\"", 6,
      "Unknown interval type 'YEAR'" },
    { "time zone of the wrong type",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"timeZoneId\":1", 6,
      "Member 'timeZoneId' must be a string" },
    { "endless time zone",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE
      ",\"timeZoneId\":\"0123456789012345678901234567890123456789012345678\"",
      6, "Unknown time zone '0123456789012345678901234567890123456789012345678'" },
    { "unknown downsampling",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"downsample\":\"BEST\",\"points\":5", 6,
      "Unknown downsampling 'BEST'" },
    { "downsampling to nothing",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"downsample\":\"LTTB\"", 6,
      "'downsample' needs 'points'" },
    { "downsampling to one point",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"downsample\":\"LTTB\",\"points\":1", 6,
      "'points' must be 2 to 100000" },
    { "points of no downsampling", "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE ",\"points\":600",
      6, "'points' needs 'downsample': MINMAX or LTTB" },
    { "downsampling of buckets",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE
      ",\"downsample\":\"LTTB\",\"points\":5,\"agg\":\"AVG\",\"intervalType\":\"WEEK\"",
      6, "'downsample' is for raw points: 'agg' must be NONE" },
    { "too many buckets",
      "\"cmdId\":6,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
      ",\"keys\":\"k\",\"startTs\":0,\"endTs\":701000,\"agg\":\"AVG\",\"interval\":1000",
      6,
      "Incorrect TsKvQuery. Number of intervals is to high - 701. Please increase 'interval' "
      "parameter for your query or reduce the time range." },
    { "too many buckets of a window",
      "\"cmdId\":6,\"type\":\"TIMESERIES\"," DEVICE
      ",\"keys\":\"k\",\"startTs\":0,\"timeWindow\":701000,\"agg\":\"AVG\",\"interval\":1",
      6,
      "Incorrect TsKvQuery. Number of intervals is to high - 701. Please increase 'interval' "
      "parameter for your query or reduce the time range." },
    { "buckets backwards",
      "\"cmdId\":6,\"type\":\"TIMESERIES_HISTORY\"," DEVICE
      ",\"keys\":\"k\",\"startTs\":5,\"endTs\":4,\"agg\":\"AVG\",\"interval\":1000",
      6, "endTs should not be before startTs" },
    { "not in this version", "\"cmdId\":9,\"type\":\"ENTITY_DATA\",\"query\":{}", 9,
      "ENTITY_DATA is not available in this version" },
    { "nor this", "\"cmdId\":9,\"type\":\"ALARM_STATUS\"", 9,
      "ALARM_STATUS is not available in this version" },
};

static void malformed_command_is_rejected_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reject_cases); i++) {
        const struct reject_case *c = &reject_cases[i];
        char text[1024];
        print_message("  %s\n", c->name);
        snprintf(text, sizeof text,
                 "{\"cmds\":[{%s},{\"cmdId\":77,\"type\":\"TIMESERIES\"," DEVICE "}]}", c->command);
        struct ps_ws_request request = parse_ok(text);
        assert_int_equal(request.count, 2);
        assert_int_equal(request.commands[0].error, PS_WS_BAD_REQUEST);
        assert_int_equal(request.commands[0].cmd_id, c->cmd_id);
        assert_string_equal(request.commands[0].why.data, c->why);
        assert_int_equal(request.commands[0].keys.count, 0);
        assert_int_equal(request.commands[1].error, PS_WS_NO_ERROR);
        assert_int_equal(request.commands[1].cmd_id, 77);
        ps_ws_request_deinit(&request);
    }
}

static void command_that_is_no_object_has_no_id_of_its_own(void **state)
{
    (void)state;
    struct ps_ws_request request = parse_ok("{\"cmds\":[5,null,[]]}");
    assert_int_equal(request.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(request.commands[i].error, PS_WS_BAD_REQUEST);
        assert_int_equal(request.commands[i].cmd_id, PS_WS_UNREADABLE_CMD_ID);
        assert_string_equal(request.commands[i].why.data, "Failed to parse the payload");
    }
    ps_ws_request_deinit(&request);
}

/* --- envelopes --- */

static void legacy_groups_run_in_the_contract_s_order(void **state)
{
    (void)state;
    struct ps_ws_request request = parse_ok(
        "{\"historyCmds\":[{\"cmdId\":4," DEVICE ",\"keys\":\"a\"}],"
        "\"tsSubCmds\":[{\"cmdId\":3," DEVICE "}],\"entityDataCmds\":[{\"cmdId\":5}],"
        "\"attrSubCmds\":[{\"cmdId\":2," DEVICE "}],\"alarmDataUnsubscribeCmds\":[{\"cmdId\":6}],"
        "\"entityCountCmds\":[],\"alarmDataCmds\":null,"
        "\"cmds\":[{\"cmdId\":1,\"type\":\"TIMESERIES\"," DEVICE "}]}");
    static const enum ps_ws_command_type want[] = { PS_WS_TIMESERIES,  PS_WS_ATTRIBUTES,
                                                    PS_WS_TIMESERIES,  PS_WS_HISTORY,
                                                    PS_WS_UNAVAILABLE, PS_WS_IGNORED };
    assert_int_equal(request.count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(request.commands[i].type, want[i]);
        assert_int_equal(request.commands[i].cmd_id, (int32_t)i + 1);
    }
    assert_int_equal(request.commands[4].error, PS_WS_BAD_REQUEST);
    assert_string_equal(request.commands[4].why.data,
                        "ENTITY_DATA is not available in this version");
    ps_ws_request_deinit(&request);
}

static void notification_commands_have_both_forms(void **state)
{
    (void)state;
    struct ps_ws_request request =
        parse_ok("{\"unreadSubCmd\":{\"cmdId\":2,\"limit\":10},\"unreadCountSubCmd\":{\"cmdId\":1},"
                 "\"cmds\":[{\"cmdId\":10,\"type\":\"NOTIFICATIONS_COUNT\"},"
                 "{\"cmdId\":11,\"type\":\"NOTIFICATIONS\",\"limit\":6,\"types\":[]},"
                 "{\"cmdId\":12,\"type\":\"MARK_ALL_NOTIFICATIONS_AS_READ\"}]}");
    static const enum ps_ws_command_type want[] = { PS_WS_NOTIFICATIONS_COUNT, PS_WS_NOTIFICATIONS,
                                                    PS_WS_IGNORED, PS_WS_NOTIFICATIONS_COUNT,
                                                    PS_WS_NOTIFICATIONS };
    assert_int_equal(request.count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(request.commands[i].type, want[i]);
        assert_int_equal(request.commands[i].error, PS_WS_NO_ERROR);
    }
    ps_ws_request_deinit(&request);
}

static void auth_is_read_with_and_without_commands(void **state)
{
    (void)state;
    struct ps_ws_request request =
        parse_ok("{\"authCmd\":{\"cmdId\":0,\"token\":\"a.b.c\"},\"cmds\":[]}");
    assert_true(request.has_auth);
    assert_string_equal(request.token, "a.b.c");
    assert_false(request.api_key);
    assert_int_equal(request.count, 0);
    ps_ws_request_deinit(&request);

    request = parse_ok("{\"authCmd\":{\"cmdId\":0,\"apiKey\":\"k\"}}");
    assert_true(request.has_auth);
    assert_true(request.api_key);
    assert_null(request.token);
    ps_ws_request_deinit(&request);

    request = parse_ok("{\"authCmd\":{\"token\":5}}");
    assert_true(request.has_auth);
    assert_null(request.token);
    ps_ws_request_deinit(&request);

    request = parse_ok("{\"cmds\":[]}");
    assert_false(request.has_auth);
    ps_ws_request_deinit(&request);
}

static void unreadable_frames_are_refused_whole(void **state)
{
    (void)state;
    static const char *const frames[] = {
        "",
        "{\"cmds\":[",
        "[]",
        "null",
        "{} x",
        "{\"cmds\":{}}",
        "{\"cmds\":5}",
        "{\"tsSubCmds\":{}}",
        "{\"unreadSubCmd\":[]}",
        "{\"cmds\":[{\"cmdId\":99999999999999999999}]}",
        "{\"a\":\"\xff\"}",
    };
    for (size_t i = 0; i < COUNT(frames); i++) {
        struct ps_ws_request request = { .count = 12345 };
        struct ps_text why = { "" };
        assert_int_equal(parse(frames[i], &request, &why), PS_EPROTO);
        assert_int_equal(request.count, 12345);
        assert_true(why.data[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeseries_with_everything),
        cmocka_unit_test(buckets_and_thinning_are_as_rest_has_them),
        cmocka_unit_test(absent_members_mean_all_keys_and_latest_values),
        cmocka_unit_test(attributes_know_their_scopes),
        cmocka_unit_test(history_is_a_window),
        cmocka_unit_test(unsubscribe_needs_no_more_than_its_id),
        cmocka_unit_test(window_beyond_time_s_end_does_not_overflow),
        cmocka_unit_test(malformed_command_is_rejected_alone),
        cmocka_unit_test(command_that_is_no_object_has_no_id_of_its_own),
        cmocka_unit_test(legacy_groups_run_in_the_contract_s_order),
        cmocka_unit_test(notification_commands_have_both_forms),
        cmocka_unit_test(auth_is_read_with_and_without_commands),
        cmocka_unit_test(unreadable_frames_are_refused_whole),
    };
    return cmocka_run_group_tests_name("transport_ws.command", tests, NULL, NULL);
}
