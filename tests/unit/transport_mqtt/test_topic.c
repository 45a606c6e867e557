/* The device API's topic tables: contract 2.3 and 2.4, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "transport/mqtt/topic.h"

/* The text without terminator, in a block of its exact size: reading past it is seen. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static enum ps_status parse(const char *text, struct ps_mqtt_topic *out)
{
    size_t len = strlen(text);
    char *copy = exact_copy(text, len);
    enum ps_status st = ps_mqtt_topic_parse(copy, len, out);
    free(copy);
    return st;
}

static struct ps_mqtt_filter_match judge(const char *text, bool strict)
{
    size_t len = strlen(text);
    char *copy = exact_copy(text, len);
    struct ps_mqtt_filter_match match = ps_mqtt_filter_judge(copy, len, strict);
    free(copy);
    return match;
}

#define T(kind) PS_MQTT_TOPIC_##kind

static const struct topic_case {
    const char *topic;
    enum ps_mqtt_topic_kind kind;
    enum ps_mqtt_flavour flavour;
    int32_t id, chunk;
} topic_cases[] = {
    { "v1/devices/me/telemetry", T(TELEMETRY), PS_MQTT_V1, 0, 0 },
    { "v2/t", T(TELEMETRY), PS_MQTT_V2, 0, 0 },
    { "v2/t/j", T(TELEMETRY), PS_MQTT_V2_JSON, 0, 0 },
    { "v2/t/p", T(TELEMETRY), PS_MQTT_V2_PROTO, 0, 0 },
    { "v1/devices/me/attributes", T(ATTRIBUTES), PS_MQTT_V1, 0, 0 },
    { "v2/a", T(ATTRIBUTES), PS_MQTT_V2, 0, 0 },
    { "v2/a/j", T(ATTRIBUTES), PS_MQTT_V2_JSON, 0, 0 },
    { "v2/a/p", T(ATTRIBUTES), PS_MQTT_V2_PROTO, 0, 0 },
    { "v1/devices/me/attributes/request/1", T(ATTRIBUTES_REQUEST), PS_MQTT_V1, 1, 0 },
    { "v2/a/req/2", T(ATTRIBUTES_REQUEST), PS_MQTT_V2, 2, 0 },
    { "v2/a/req/j/9", T(ATTRIBUTES_REQUEST), PS_MQTT_V2_JSON, 9, 0 },
    { "v2/a/req/p/9", T(ATTRIBUTES_REQUEST), PS_MQTT_V2_PROTO, 9, 0 },
    { "v1/devices/me/rpc/response/77", T(RPC_RESPONSE), PS_MQTT_V1, 77, 0 },
    { "v2/r/res/987654", T(RPC_RESPONSE), PS_MQTT_V2, 987654, 0 },
    { "v2/r/res/j/0", T(RPC_RESPONSE), PS_MQTT_V2_JSON, 0, 0 },
    { "v2/r/res/p/0", T(RPC_RESPONSE), PS_MQTT_V2_PROTO, 0, 0 },
    { "v1/devices/me/rpc/request/5", T(RPC_REQUEST), PS_MQTT_V1, 5, 0 },
    { "v2/r/req/5", T(RPC_REQUEST), PS_MQTT_V2, 5, 0 },
    { "v2/r/req/j/5", T(RPC_REQUEST), PS_MQTT_V2_JSON, 5, 0 },
    { "v2/r/req/p/5", T(RPC_REQUEST), PS_MQTT_V2_PROTO, 5, 0 },
    { "v1/devices/me/claim", T(CLAIM), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/1/chunk/0", T(FW_CHUNK), PS_MQTT_V2, 1, 0 },
    { "v2/sw/request/31/chunk/12", T(SW_CHUNK), PS_MQTT_V2, 31, 12 },
    { "v2/fw/request/2147483647/chunk/2147483647", T(FW_CHUNK), PS_MQTT_V2, INT32_MAX, INT32_MAX },
    { "v1/gateway/telemetry", T(GATEWAY), PS_MQTT_V1, 0, 0 },
    { "v1/gateway/nothing", T(GATEWAY), PS_MQTT_V1, 0, 0 },
    { "v1/gateway", T(GATEWAY), PS_MQTT_V1, 0, 0 },
    { "/provision/request", T(PROVISION), PS_MQTT_V1, 0, 0 },
    /* every integer Java reads */
    { "v2/a/req/-5", T(ATTRIBUTES_REQUEST), PS_MQTT_V2, -5, 0 },
    { "v2/a/req/+5", T(ATTRIBUTES_REQUEST), PS_MQTT_V2, 5, 0 },
    { "v2/a/req/007", T(ATTRIBUTES_REQUEST), PS_MQTT_V2, 7, 0 },
    { "v2/a/req/2147483647", T(ATTRIBUTES_REQUEST), PS_MQTT_V2, INT32_MAX, 0 },
    { "v2/a/req/-2147483648", T(ATTRIBUTES_REQUEST), PS_MQTT_V2, INT32_MIN, 0 },
    /* none of ours */
    { "wrong/topic", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "/", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "/v1/devices/me/telemetry", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/me/telemetry/", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/me/telemetry/x", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/me/telemetri", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "V1/devices/me/telemetry", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/me/Telemetry", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/me/attributes/request", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/me/rpc", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/devices/you/telemetry", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v1/gatewa", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/t/x", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/t/jj", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/c", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/a/req", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/a/res/1", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/1/chunk", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/1/chunk/", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/1/chunk/x", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/1/chunk/-1", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/1/chunk/1/", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request//chunk/1", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/x/chunk/1", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/request/", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/response/1/chunk/1", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "v2/fw/error", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "/provision/response", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
    { "provision/request", T(UNKNOWN), PS_MQTT_V1, 0, 0 },
};

static void every_publish_topic_has_its_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof topic_cases / sizeof *topic_cases; i++) {
        const struct topic_case *want = &topic_cases[i];
        struct ps_mqtt_topic got = { .id = 111, .chunk = 222 };
        enum ps_status st = parse(want->topic, &got);
        if (st != PS_OK || got.kind != want->kind || got.flavour != want->flavour ||
            got.id != want->id || got.chunk != want->chunk)
            fail_msg("\"%s\": status %d kind %d flavour %d id %d chunk %d", want->topic, st,
                     got.kind, got.flavour, got.id, got.chunk);
    }
}

static const char *const bad_ids[] = {
    "v1/devices/me/attributes/request/",
    "v1/devices/me/attributes/request/abc",
    "v1/devices/me/attributes/request/1/2",
    "v1/devices/me/attributes/request/1 ",
    "v1/devices/me/rpc/response/",
    "v1/devices/me/rpc/response/1.5",
    "v1/devices/me/rpc/request/0x10",
    "v1/devices/me/rpc/request/+",
    "v1/devices/me/rpc/request/-",
    "v1/devices/me/rpc/request/--1",
    "v2/a/req/j",
    "v2/a/req/j/",
    "v2/a/req/j/j",
    "v2/a/req/p/",
    "v2/a/req/9/p",
    "v2/r/res/x",
    "v2/r/res/j/x",
    "v2/r/res/p/x",
    "v2/r/req/",
    "v2/r/req/j/",
    "v2/r/req/p/",
    "v2/a/req/2147483648",
    "v2/a/req/-2147483649",
    "v2/a/req/99999999999999999999999999999",
    "v2/fw/request/2147483648/chunk/0",
    "v2/sw/request/0/chunk/99999999999999999999",
};

static void an_id_that_is_no_integer_is_an_error_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++) {
        struct ps_mqtt_topic got, before;
        memset(&before, 0x5a, sizeof before);
        got = before;
        enum ps_status st = parse(bad_ids[i], &got);
        if (st != PS_EPROTO)
            fail_msg("\"%s\": status %d", bad_ids[i], st);
        assert_memory_equal(&got, &before, sizeof got); /* untouched */
    }
}

#define ATTRIBUTES PS_MQTT_STARTS_ATTRIBUTES
#define RPC PS_MQTT_STARTS_RPC

struct filter_case {
    const char *filter;
    uint8_t starts;
    enum ps_mqtt_flavour flavour;
};

/* contract 2.4, granted whatever mqtt.strict_filters says */
static const struct filter_case literal_filters[] = {
    { "v1/devices/me/attributes", ATTRIBUTES, PS_MQTT_V1 },
    { "v2/a", ATTRIBUTES, PS_MQTT_V2 },
    { "v2/a/j", ATTRIBUTES, PS_MQTT_V2_JSON },
    { "v2/a/p", ATTRIBUTES, PS_MQTT_V2_PROTO },
    { "v1/devices/me/rpc/request/+", RPC, PS_MQTT_V1 },
    { "v2/r/req/+", RPC, PS_MQTT_V2 },
    { "v2/r/req/j/+", RPC, PS_MQTT_V2_JSON },
    { "v2/r/req/p/+", RPC, PS_MQTT_V2_PROTO },
    { "v1/devices/me/attributes/response/+", 0, PS_MQTT_V1 },
    { "v2/a/res/+", 0, PS_MQTT_V2 },
    { "v2/a/res/j/+", 0, PS_MQTT_V2_JSON },
    { "v2/a/res/p/+", 0, PS_MQTT_V2_PROTO },
    { "v1/devices/me/rpc/response/+", 0, PS_MQTT_V1 },
    { "v2/r/res/+", 0, PS_MQTT_V2 },
    { "v2/r/res/j/+", 0, PS_MQTT_V2_JSON },
    { "v2/r/res/p/+", 0, PS_MQTT_V2_PROTO },
    { "v2/fw/response/+/chunk/+", 0, PS_MQTT_V2 },
    { "v2/fw/error", 0, PS_MQTT_V2 },
    { "v2/sw/response/+/chunk/+", 0, PS_MQTT_V2 },
    { "v2/sw/error", 0, PS_MQTT_V2 },
    { "v1/gateway/attributes", 0, PS_MQTT_V1 },
    { "v1/gateway/attributes/response", 0, PS_MQTT_V1 },
    { "v1/gateway/rpc", 0, PS_MQTT_V1 },
};

/* B17 */
static const struct filter_case lenient_filters[] = {
    { "v1/devices/me/#", ATTRIBUTES | RPC, PS_MQTT_V1 },
    { "v1/devices/me/+", ATTRIBUTES, PS_MQTT_V1 },
    { "v1/devices/me/attributes/#", ATTRIBUTES, PS_MQTT_V1 },
    { "v1/devices/me/attributes/response/7", 0, PS_MQTT_V1 },
    { "v1/devices/me/attributes/response/-7", 0, PS_MQTT_V1 },
    { "v1/devices/me/attributes/+/+", 0, PS_MQTT_V1 },
    { "v1/devices/me/rpc/#", RPC, PS_MQTT_V1 },
    { "v1/devices/me/rpc/+/+", RPC, PS_MQTT_V1 },
    { "v1/devices/me/rpc/request/#", RPC, PS_MQTT_V1 },
    { "v1/devices/me/rpc/request/7", 0, PS_MQTT_V1 },
    { "v1/devices/me/rpc/response/7", 0, PS_MQTT_V1 },
    { "v1/devices/+/attributes", ATTRIBUTES, PS_MQTT_V1 },
    { "v1/#", ATTRIBUTES | RPC, PS_MQTT_V1 },
    { "v1/gateway/#", 0, PS_MQTT_V1 },
    { "v1/gateway/+", 0, PS_MQTT_V1 },
    { "v1/gateway/disconnect", 0, PS_MQTT_V1 },
    { "v2/#", ATTRIBUTES | RPC, PS_MQTT_V2 },
    { "v2/+", ATTRIBUTES, PS_MQTT_V2 },
    { "v2/+/#", ATTRIBUTES | RPC, PS_MQTT_V2 },
    { "v2/+/+/#", ATTRIBUTES | RPC, PS_MQTT_V2_JSON },
    { "v2/a/#", ATTRIBUTES, PS_MQTT_V2 },
    { "v2/a/+", ATTRIBUTES, PS_MQTT_V2_JSON },
    { "v2/a/j/#", ATTRIBUTES, PS_MQTT_V2_JSON },
    { "v2/a/p/#", ATTRIBUTES, PS_MQTT_V2_PROTO },
    { "v2/a/res/#", 0, PS_MQTT_V2 },
    { "v2/a/res/7", 0, PS_MQTT_V2 },
    { "v2/a/res/j/7", 0, PS_MQTT_V2_JSON },
    { "v2/r/#", RPC, PS_MQTT_V2 },
    { "v2/r/+/+", RPC, PS_MQTT_V2 },
    { "v2/r/req/+/+", RPC, PS_MQTT_V2_JSON },
    { "v2/r/req/p/#", RPC, PS_MQTT_V2_PROTO },
    { "v2/r/+/j/+", RPC, PS_MQTT_V2_JSON },
    { "v2/r/res/#", 0, PS_MQTT_V2 },
    { "v2/fw/response/+", 0, PS_MQTT_V2 },
    { "v2/sw/response/+", 0, PS_MQTT_V2 },
    { "v2/fw/#", 0, PS_MQTT_V2 },
    { "v2/fw/response/+/chunk/5", 0, PS_MQTT_V2 },
    { "v2/+/error", 0, PS_MQTT_V2 },
};

static const char *const refused_filters[] = {
    "#",
    "+",
    "+/#",
    "#/",
    "/#",
    "+/devices/me/attributes",
    "$share/g/v1/devices/me/attributes",
    "$share/g/v2/#",
    "$SYS/#",
    "wrong/topic",
    "",
    "/",
    "v1/devices/me/telemetry",
    "v1/devices/me/claim",
    "v1/devices/me/attributes/",
    "v1/devices/me/attributes/x",
    "v1/devices/me/attributes/response/x",
    "v1/devices/me/attributes/response/2147483648",
    "v1/devices/me/rpc/request/x",
    "v1/devices/me/rpc/request",
    "V1/devices/me/attributes",
    "v1/devices/you/#",
    "v1/devices/me/rpc#",
    "v1/devices/me/rpc/+x/7",
    "v1/devices/#/rpc",
    "v1/devices/me/#/",
    "v2",
    "v2/t",
    "v2/t/#",
    "v2/a/x",
    "v2/fw/request/+/chunk/+",
    "v2/fw/response/x",
    "/provision/request",
    "/provision/+",
    "/provision/#",
};

static void assert_match(const struct filter_case *want, bool strict, bool granted)
{
    struct ps_mqtt_filter_match got = judge(want->filter, strict);
    uint8_t starts = granted ? want->starts : 0;
    enum ps_mqtt_flavour flavour = granted ? want->flavour : PS_MQTT_V1;
    if (got.granted != granted || got.provision || got.starts != starts || got.flavour != flavour)
        fail_msg("\"%s\" strict=%d: granted %d provision %d starts %d flavour %d", want->filter,
                 strict, got.granted, got.provision, got.starts, got.flavour);
}

static void the_literal_filters_are_granted_always(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof literal_filters / sizeof *literal_filters; i++) {
        assert_match(&literal_filters[i], true, true);
        assert_match(&literal_filters[i], false, true);
    }
}

static void wider_filters_are_granted_unless_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lenient_filters / sizeof *lenient_filters; i++) {
        assert_match(&lenient_filters[i], false, true);
        assert_match(&lenient_filters[i], true, false);
    }
}

static void filters_beyond_the_own_device_are_refused_always(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused_filters / sizeof *refused_filters; i++) {
        const struct filter_case refused = { refused_filters[i], 0, PS_MQTT_V1 };
        assert_match(&refused, true, false);
        assert_match(&refused, false, false);
    }
}

static void the_provision_filter_is_left_to_its_session(void **state)
{
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        struct ps_mqtt_filter_match got = judge("/provision/response", strict);
        assert_true(got.provision);
        assert_false(got.granted);
        assert_int_equal(got.starts, PS_MQTT_STARTS_NOTHING);
    }
}

/* What is started must reach the client: each downlink of the started kind and flavour has to match
 * the filter that started it. */
static void a_started_downlink_matches_the_filter_that_started_it(void **state)
{
    static const struct {
        const struct filter_case *cases;
        size_t count;
    } tables[] = {
        { literal_filters, sizeof literal_filters / sizeof *literal_filters },
        { lenient_filters, sizeof lenient_filters / sizeof *lenient_filters },
    };
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const char *filter = tables[t].cases[i].filter;
            struct ps_mqtt_filter_match match = judge(filter, false);
            char topic[PS_MQTT_TOPIC_TEXT_SIZE];
            size_t len = ps_mqtt_topic_print(PS_MQTT_DOWN_ATTRIBUTES, match.flavour, 0, topic);
            if (match.starts & ATTRIBUTES)
                assert_true(ps_mqtt_filter_matches(filter, strlen(filter), topic, len));
            len = ps_mqtt_topic_print(PS_MQTT_DOWN_RPC_REQUEST, match.flavour, 4711, topic);
            if (match.starts & RPC)
                assert_true(ps_mqtt_filter_matches(filter, strlen(filter), topic, len));
        }
    }
}

static const struct match_case {
    const char *filter, *topic;
    bool want;
} match_cases[] = {
    { "a/b", "a/b", true },
    { "a/b", "a/c", false },
    { "a/b", "a/b/c", false },
    { "a/b/c", "a/b", false },
    { "a/+", "a/b", true },
    { "a/+", "a", false },
    { "a/+", "a/", true },
    { "a/+", "a/b/c", false },
    { "a/+/c", "a/b/c", true },
    { "+/+", "/a", true },
    { "/+", "/a", true },
    { "+", "/a", false },
    { "a/#", "a", true },
    { "a/#", "a/b/c", true },
    { "a/#", "ab", false },
    { "#", "a/b", true },
    { "#", "$SYS/x", false },
    { "+/x", "$SYS/x", false },
    { "$SYS/#", "$SYS/x", true },
    { "a/#/b", "a/x/b", false },
    { "a+", "a+", false },
    { "a#", "a#", false },
    { "", "", false },
    { "a", "", false },
    { "a//b", "a//b", true },
    { "a/+/b", "a//b", true },
    { "a", "A", false },
    { "a/b/#", "a", false },
    { "\xc3\xa4/+", "\xc3\xa4/b", true },
};

static void filters_match_as_the_standard_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof match_cases / sizeof *match_cases; i++) {
        const struct match_case *c = &match_cases[i];
        size_t filter_len = strlen(c->filter), topic_len = strlen(c->topic);
        char *filter = exact_copy(c->filter, filter_len), *topic = exact_copy(c->topic, topic_len);
        bool got = ps_mqtt_filter_matches(filter, filter_len, topic, topic_len);
        free(filter);
        free(topic);
        if (got != c->want)
            fail_msg("\"%s\" against \"%s\": %d", c->filter, c->topic, got);
    }
}

static const struct print_case {
    enum ps_mqtt_downlink what;
    enum ps_mqtt_flavour flavour;
    int32_t id;
    const char *want;
} print_cases[] = {
    { PS_MQTT_DOWN_ATTRIBUTES, PS_MQTT_V1, 9, "v1/devices/me/attributes" },
    { PS_MQTT_DOWN_ATTRIBUTES, PS_MQTT_V2, 9, "v2/a" },
    { PS_MQTT_DOWN_ATTRIBUTES, PS_MQTT_V2_JSON, 9, "v2/a/j" },
    { PS_MQTT_DOWN_ATTRIBUTES, PS_MQTT_V2_PROTO, 9, "v2/a/p" },
    { PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, PS_MQTT_V1, 1, "v1/devices/me/attributes/response/1" },
    { PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, PS_MQTT_V2, 1, "v2/a/res/1" },
    { PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, PS_MQTT_V2_JSON, 9, "v2/a/res/j/9" },
    { PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, PS_MQTT_V2_PROTO, 9, "v2/a/res/p/9" },
    { PS_MQTT_DOWN_RPC_REQUEST, PS_MQTT_V1, 0, "v1/devices/me/rpc/request/0" },
    { PS_MQTT_DOWN_RPC_REQUEST, PS_MQTT_V2, 7, "v2/r/req/7" },
    { PS_MQTT_DOWN_RPC_REQUEST, PS_MQTT_V2_JSON, 7, "v2/r/req/j/7" },
    { PS_MQTT_DOWN_RPC_REQUEST, PS_MQTT_V2_PROTO, 7, "v2/r/req/p/7" },
    { PS_MQTT_DOWN_RPC_RESPONSE, PS_MQTT_V1, 5, "v1/devices/me/rpc/response/5" },
    { PS_MQTT_DOWN_RPC_RESPONSE, PS_MQTT_V2, 5, "v2/r/res/5" },
    { PS_MQTT_DOWN_RPC_RESPONSE, PS_MQTT_V2_JSON, 5, "v2/r/res/j/5" },
    { PS_MQTT_DOWN_RPC_RESPONSE, PS_MQTT_V2_PROTO, INT32_MAX, "v2/r/res/p/2147483647" },
    { PS_MQTT_DOWN_ATTRIBUTES_RESPONSE, PS_MQTT_V1, INT32_MIN,
      "v1/devices/me/attributes/response/-2147483648" },
};

static void every_downlink_topic_is_printed_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof print_cases / sizeof *print_cases; i++) {
        const struct print_case *c = &print_cases[i];
        char got[PS_MQTT_TOPIC_TEXT_SIZE];
        size_t len = ps_mqtt_topic_print(c->what, c->flavour, c->id, got);
        assert_string_equal(got, c->want);
        assert_int_equal(len, strlen(c->want));
        assert_true(judge(got, false).granted); /* and the device may subscribe exactly that */
    }
}

static void chunk_responses_answer_on_their_own_package(void **state)
{
    (void)state;
    struct ps_mqtt_topic topic;
    char got[PS_MQTT_TOPIC_TEXT_SIZE];
    assert_int_equal(parse("v2/fw/request/3/chunk/12", &topic), PS_OK);
    assert_int_equal(ps_mqtt_topic_print_chunk(&topic, got), strlen("v2/fw/response/3/chunk/12"));
    assert_string_equal(got, "v2/fw/response/3/chunk/12");
    assert_int_equal(parse("v2/sw/request/2147483647/chunk/2147483647", &topic), PS_OK);
    ps_mqtt_topic_print_chunk(&topic, got);
    assert_string_equal(got, "v2/sw/response/2147483647/chunk/2147483647");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_publish_topic_has_its_kind),
        cmocka_unit_test(an_id_that_is_no_integer_is_an_error_of_its_own),
        cmocka_unit_test(the_literal_filters_are_granted_always),
        cmocka_unit_test(wider_filters_are_granted_unless_strict),
        cmocka_unit_test(filters_beyond_the_own_device_are_refused_always),
        cmocka_unit_test(the_provision_filter_is_left_to_its_session),
        cmocka_unit_test(a_started_downlink_matches_the_filter_that_started_it),
        cmocka_unit_test(filters_match_as_the_standard_says),
        cmocka_unit_test(every_downlink_topic_is_printed_as_the_table_says),
        cmocka_unit_test(chunk_responses_answer_on_their_own_package),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
