/* Ids: text and bytes are the same id, and only well-formed text is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/uuid.h"

static const struct parse_case {
    const char *name, *text;
    enum ps_status want;
} parse_cases[] = {
    { "lower case", "784f394c-42b6-435a-983c-b7beff2784f9", PS_OK },
    { "upper case", "784F394C-42B6-435A-983C-B7BEFF2784F9", PS_OK },
    { "all zero", "00000000-0000-0000-0000-000000000000", PS_OK },
    { "empty", "", PS_EINVAL },
    { "one short", "784f394c-42b6-435a-983c-b7beff2784f", PS_EINVAL },
    { "one long", "784f394c-42b6-435a-983c-b7beff2784f90", PS_EINVAL },
    { "no hyphens", "784f394c42b6435a983cb7beff2784f9", PS_EINVAL },
    { "hyphen displaced", "784f394-c42b6-435a-983c-b7beff2784f9", PS_EINVAL },
    { "hyphen for a digit", "784f394c-42b6-435a-983c-b7beff2784--", PS_EINVAL },
    { "digit for a hyphen", "784f394c042b6-435a-983c-b7beff2784f9", PS_EINVAL },
    { "not hexadecimal", "784f394c-42b6-435a-983c-b7beff2784fg", PS_EINVAL },
    { "braces", "{84f394c-42b6-435a-983c-b7beff2784f}", PS_EINVAL },
    { "space", " 84f394c-42b6-435a-983c-b7beff2784f9", PS_EINVAL },
};

static void only_well_formed_text_is_an_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parse_cases / sizeof *parse_cases; i++) {
        const struct parse_case *c = &parse_cases[i];
        struct ps_uuid uuid;
        memset(&uuid, 0x5a, sizeof uuid);
        struct ps_uuid untouched = uuid;
        enum ps_status st = ps_uuid_parse(c->text, strlen(c->text), &uuid);
        if (st != c->want)
            fail_msg("%s: %s", c->name, ps_status_text(st));
        if (st != PS_OK && !ps_uuid_equal(&uuid, &untouched))
            fail_msg("%s: result touched on failure", c->name);
    }
}

static void text_reads_back_as_the_same_id(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct ps_uuid uuid = ps_uuid_random(), again;
        char text[PS_UUID_TEXT_SIZE];
        ps_uuid_format(&uuid, text);
        assert_int_equal(strlen(text), PS_UUID_TEXT_SIZE - 1);
        assert_int_equal(ps_uuid_parse(text, strlen(text), &again), PS_OK);
        assert_true(ps_uuid_equal(&uuid, &again));
        assert_int_equal(text[14], '4');           /* version */
        assert_non_null(strchr("89ab", text[19])); /* variant */
    }
}

static void formatting_writes_network_order_in_lower_case(void **state)
{
    (void)state;
    struct ps_uuid uuid = { { 0x78, 0x4f, 0x39, 0x4c, 0x42, 0xb6, 0x43, 0x5a, 0x98, 0x3c, 0xb7,
                              0xbe, 0xff, 0x27, 0x84, 0xf9 } };
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(&uuid, text);
    assert_string_equal(text, "784f394c-42b6-435a-983c-b7beff2784f9");
    ps_uuid_format(&PS_UUID_NULL, text);
    assert_string_equal(text, "13814000-1dd2-11b2-8080-808080808080");
}

static void both_null_ids_are_nobody(void **state)
{
    (void)state;
    struct ps_uuid zero = { { 0 } }, someone = ps_uuid_random();
    assert_true(ps_uuid_is_null(&PS_UUID_NULL));
    assert_true(ps_uuid_is_null(&zero));
    assert_false(ps_uuid_is_null(&someone));
}

static void hashes_of_similar_ids_spread(void **state)
{
    (void)state;
    enum { BUCKETS = 16, IDS = 16000 };
    int seen[BUCKETS] = { 0 };
    for (uint32_t i = 0; i < IDS; i++) {
        struct ps_uuid uuid = { { 0 } }; /* a counter in the last bytes, like time-based ids */
        memcpy(uuid.bytes + 12, &i, sizeof i);
        seen[ps_uuid_hash(&uuid) % BUCKETS]++;
    }
    for (int i = 0; i < BUCKETS; i++)
        assert_in_range(seen[i], IDS / BUCKETS * 8 / 10, IDS / BUCKETS * 12 / 10);
}

static void entity_types_are_known_by_their_upper_case_names(void **state)
{
    (void)state;
    enum ps_entity_type type = PS_ENTITY_NONE;
    assert_int_equal(ps_entity_type_parse("DEVICE_PROFILE", 14, &type), PS_OK);
    assert_int_equal(type, PS_ENTITY_DEVICE_PROFILE);
    assert_string_equal(ps_entity_type_name(type), "DEVICE_PROFILE");
    assert_string_equal(ps_entity_type_sentence(type), "Device profile");
    assert_int_equal(ps_entity_type_parse("device", 6, &type), PS_EINVAL);
    assert_int_equal(ps_entity_type_parse("NONE", 4, &type), PS_EINVAL);
    assert_int_equal(ps_entity_type_parse("", 0, &type), PS_EINVAL);
    assert_int_equal(type, PS_ENTITY_DEVICE_PROFILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_well_formed_text_is_an_id),
        cmocka_unit_test(text_reads_back_as_the_same_id),
        cmocka_unit_test(formatting_writes_network_order_in_lower_case),
        cmocka_unit_test(both_null_ids_are_nobody),
        cmocka_unit_test(hashes_of_similar_ids_spread),
        cmocka_unit_test(entity_types_are_known_by_their_upper_case_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
