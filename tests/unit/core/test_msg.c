/* Messages: one block that holds copies of everything, within the limits of the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/msg.h"

static const struct ps_entity_id device = { PS_ENTITY_DEVICE, { "device" } };
static const struct ps_uuid tenant = { "tenant" }, customer = { "customer" };

static enum ps_status create(const struct ps_msg_content *content, struct ps_msg **out)
{
    return ps_msg_create(&tenant, &device, &customer, 5000, content, out);
}

static struct ps_pair pair_of(const char *key, const char *value)
{
    return (struct ps_pair){ .key = key,
                             .key_len = (uint32_t)strlen(key),
                             .value = value,
                             .value_len = (uint32_t)strlen(value) };
}

/* Texts in blocks of their own that are overwritten and freed: a message that kept a pointer to
 * one of them is seen. */
static void a_message_holds_copies_of_all_its_text(void **state)
{
    (void)state;
    char *text = strdup("temp|note|{\"a\":1}|left|k|v|MY_TYPE");
    struct ps_kv kvs[] = {
        { .key = text, .key_len = 4, .value = { .type = PS_VALUE_DOUBLE, .real = 21.5 } },
        { .key = text + 5,
          .key_len = 4,
          .value = { .type = PS_VALUE_JSON, .text = text + 10, .len = 7 } },
        { .key = text, .key_len = 0, .value = { .type = PS_VALUE_STRING, .text = NULL, .len = 0 } },
    };
    struct ps_pair metadata = {
        .key = text + 23, .key_len = 1, .value = text + 25, .value_len = 1
    };
    struct ps_msg_content content = { .type = PS_MSG_CUSTOM,
                                      .type_name = text + 27,
                                      .type_name_len = 7,
                                      .data_kind = PS_DATA_OBJECT,
                                      .kvs = kvs,
                                      .kv_count = 3,
                                      .metadata = &metadata,
                                      .metadata_count = 1 };
    struct ps_msg *msg;
    assert_int_equal(create(&content, &msg), PS_OK);
    memset(text, '#', strlen(text));
    free(text);
    memset(kvs, 0x55, sizeof kvs);
    memset(&metadata, 0x55, sizeof metadata);

    struct ps_buf out = { 0 };
    ps_msg_put_data(&msg->content, &out);
    assert_string_equal(ps_buf_cstr(&out), "{\"temp\":21.5,\"note\":{\"a\":1},\"\":\"\"}");
    ps_buf_clear(&out);
    ps_msg_put_metadata(&msg->content, &out);
    assert_string_equal(ps_buf_cstr(&out), "{\"k\":\"v\"}");
    ps_buf_deinit(&out);
    assert_int_equal(msg->content.type_name_len, 7);
    assert_memory_equal(msg->content.type_name, "MY_TYPE", 7);
    assert_true(ps_uuid_equal(&msg->tenant, &tenant));
    assert_true(ps_uuid_equal(&msg->customer, &customer));
    assert_true(ps_uuid_equal(&msg->originator.id, &device.id));
    assert_int_equal(msg->created_ms, 5000);
    assert_int_equal(msg->references, 1);
    assert_null(msg->ack);
    assert_false(msg->counted);
    assert_true(msg->size_bytes > sizeof *msg);
    ps_msg_release(msg);
}

static void data_that_is_no_object_is_kept_as_bytes(void **state)
{
    (void)state;
    static const char bytes[] = { 0, 1, (char)0xff, '"' };
    struct ps_msg_content content = { .type = PS_MSG_POST_TELEMETRY,
                                      .data_kind = PS_DATA_BINARY,
                                      .data = bytes,
                                      .data_len = sizeof bytes,
                                      .kv_count = 7 /* means nothing here */ };
    struct ps_msg *msg;
    assert_int_equal(create(&content, &msg), PS_OK);
    struct ps_buf out = { 0 };
    ps_msg_put_data(&msg->content, &out);
    assert_int_equal(out.len, sizeof bytes);
    assert_memory_equal(out.data, bytes, sizeof bytes);
    assert_ptr_not_equal(msg->content.data, bytes);
    assert_string_equal(msg->content.type_name, "POST_TELEMETRY_REQUEST");
    ps_buf_deinit(&out);
    ps_msg_release(msg);
}

static const struct ts_case {
    const char *name, *key, *value;
    int64_t want;
} ts_cases[] = {
    { "none", "other", "1", 5000 },
    { "a decimal", "ts", "1719830400000", 1719830400000 },
    { "zero", "ts", "0", 0 },
    { "negative", "ts", "-12", -12 },
    { "greatest", "ts", "9223372036854775807", INT64_MAX },
    { "least", "ts", "-9223372036854775808", INT64_MIN },
    { "one too great", "ts", "9223372036854775808", 5000 },
    { "one too small", "ts", "-9223372036854775809", 5000 },
    { "twenty digits", "ts", "10000000000000000000", 5000 },
    { "far too long", "ts", "99999999999999999999999999", 5000 },
    { "a fraction", "ts", "1.5", 5000 },
    { "an exponent", "ts", "1e3", 5000 },
    { "a plus", "ts", "+1", 5000 },
    { "a space", "ts", " 1", 5000 },
    { "only a sign", "ts", "-", 5000 },
    { "empty", "ts", "", 5000 },
    { "other case", "TS", "1", 5000 },
};

static void metadata_ts_is_the_effective_time_if_it_is_a_decimal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ts_cases / sizeof *ts_cases; i++) {
        struct ps_pair metadata = pair_of(ts_cases[i].key, ts_cases[i].value);
        struct ps_msg_content content = { .metadata = &metadata, .metadata_count = 1 };
        struct ps_msg *msg;
        assert_int_equal(create(&content, &msg), PS_OK);
        if (msg->ts_ms != ts_cases[i].want)
            print_error("%s\n", ts_cases[i].name);
        assert_true(msg->ts_ms == ts_cases[i].want);
        assert_int_equal(msg->created_ms, 5000);
        ps_msg_release(msg);
    }
}

static void check_limit(struct ps_msg_content *content, enum ps_status want)
{
    struct ps_msg *msg = NULL;
    assert_int_equal(create(content, &msg), want);
    if (want == PS_OK)
        ps_msg_release(msg);
    else
        assert_null(msg);
}

static void limits_are_kept_to_the_byte(void **state)
{
    (void)state;
    char *big = calloc(1, PS_MSG_DATA_BYTES_MAX + 1);
    struct ps_msg_content content = { .data_kind = PS_DATA_JSON,
                                      .data = big,
                                      .data_len = PS_MSG_DATA_BYTES_MAX };
    check_limit(&content, PS_OK);
    content.data_len++;
    check_limit(&content, PS_ELIMIT);

    struct ps_kv kv = {
        .key = "k",
        .key_len = 1,
        .value = { .type = PS_VALUE_STRING, .text = big, .len = PS_MSG_DATA_BYTES_MAX - 1 }
    };
    content = (struct ps_msg_content){ .kvs = &kv, .kv_count = 1 };
    check_limit(&content, PS_OK);
    kv.value.len++;
    check_limit(&content, PS_ELIMIT);

    struct ps_pair pair = { .key = big, .key_len = PS_MSG_METADATA_BYTES_MAX };
    content = (struct ps_msg_content){ .metadata = &pair, .metadata_count = 1 };
    check_limit(&content, PS_OK);
    pair.value = big;
    pair.value_len = 1;
    check_limit(&content, PS_ELIMIT);

    struct ps_pair *pairs = calloc(PS_MSG_METADATA_KEYS_MAX + 1, sizeof *pairs);
    content =
        (struct ps_msg_content){ .metadata = pairs, .metadata_count = PS_MSG_METADATA_KEYS_MAX };
    check_limit(&content, PS_OK);
    content.metadata_count++;
    check_limit(&content, PS_ELIMIT);

    content = (struct ps_msg_content){ .type = PS_MSG_CUSTOM,
                                       .type_name = big,
                                       .type_name_len = PS_MSG_TYPE_LEN_MAX };
    check_limit(&content, PS_OK);
    content.type_name_len++;
    check_limit(&content, PS_ELIMIT);
    free(pairs);
    free(big);
}

static void a_derived_message_keeps_its_origin(void **state)
{
    (void)state;
    struct ps_pair ts = pair_of("ts", "77");
    struct ps_msg_content content = { .metadata = &ts, .metadata_count = 1 }, empty = { 0 };
    struct ps_msg *origin, *derived;
    assert_int_equal(create(&content, &origin), PS_OK);
    origin->hops = 3;
    struct ps_uuid id = *ps_msg_id(origin);
    assert_false(ps_uuid_is_null(&id));
    assert_true(ps_uuid_equal(ps_msg_id(origin), &id));
    assert_int_equal(ps_msg_derive(origin, &empty, &derived), PS_OK);
    assert_true(ps_uuid_equal(ps_msg_id(derived), &id));
    assert_int_equal(derived->hops, 3);
    assert_int_equal(derived->created_ms, 5000);
    assert_int_equal(derived->ts_ms, 5000); /* its metadata has no ts any more */
    assert_true(ps_uuid_equal(&derived->customer, &customer));
    ps_msg_release(derived);
    ps_msg_release(origin);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct ps_msg_content empty = { 0 };
    struct ps_msg *msg;
    assert_int_equal(create(&empty, &msg), PS_OK);
    assert_ptr_equal(ps_msg_retain(msg), msg);
    ps_msg_release(msg);
    assert_int_equal(msg->references, 1);
    ps_msg_release(msg);
    ps_msg_release(NULL);
}

static void every_type_is_found_by_its_wire_name(void **state)
{
    (void)state;
    for (int i = 0; i < PS_MSG_CUSTOM; i++) {
        const char *name = ps_msg_type_name((enum ps_msg_type)i);
        assert_int_equal(ps_msg_type_parse(name, strlen(name)), i);
        assert_int_equal(ps_msg_type_parse(name, strlen(name) - 1) == (enum ps_msg_type)i, 0);
    }
    assert_int_equal(ps_msg_type_parse("post_telemetry_request", 22), PS_MSG_CUSTOM);
    assert_int_equal(ps_msg_type_parse("", 0), PS_MSG_CUSTOM);
    assert_string_equal(ps_msg_type_relation(PS_MSG_POST_TELEMETRY), "Post telemetry");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_holds_copies_of_all_its_text),
        cmocka_unit_test(data_that_is_no_object_is_kept_as_bytes),
        cmocka_unit_test(metadata_ts_is_the_effective_time_if_it_is_a_decimal),
        cmocka_unit_test(limits_are_kept_to_the_byte),
        cmocka_unit_test(a_derived_message_keeps_its_origin),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(every_type_is_found_by_its_wire_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
