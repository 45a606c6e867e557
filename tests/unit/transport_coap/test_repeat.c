/* What is remembered of requests: for how long, and how much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "transport/coap/repeat.h"

enum { CAPACITY = 64 };

static int init(void **state)
{
    static struct ps_coap_repeats repeats;
    ps_coap_repeats_init(&repeats, CAPACITY);
    *state = &repeats;
    return 0;
}

static int deinit(void **state)
{
    ps_coap_repeats_deinit(*state);
    ps_coap_repeats_deinit(*state); /* twice is fine */
    return 0;
}

static uint64_t digest_of(const struct ps_coap_repeats *repeats, uint32_t n)
{
    return ps_coap_repeats_digest(repeats, 0, &n, sizeof n);
}

static void what_was_taken_is_known_until_its_exchange_is_over(void **state)
{
    struct ps_coap_repeats *repeats = *state;
    uint64_t digest = digest_of(repeats, 1);
    int64_t over_ms = 1000 * (PS_COAP_EXCHANGE_LIFETIME_S + 1);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, 0), PS_COAP_SEEN_NEVER);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_WAITING, 0);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, 0), PS_COAP_SEEN_WAITING);
    assert_int_equal(ps_coap_repeats_find(repeats, digest ^ 1, 0), PS_COAP_SEEN_NEVER);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_DONE, 5);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, over_ms - 1), PS_COAP_SEEN_DONE);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, over_ms), PS_COAP_SEEN_NEVER);
    assert_int_equal(repeats->count, 1);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_DONE, over_ms); /* the old one made room */
    assert_int_equal(repeats->count, 1);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, over_ms), PS_COAP_SEEN_DONE);
}

static void what_is_forgotten_may_be_taken_again(void **state)
{
    struct ps_coap_repeats *repeats = *state;
    uint64_t digest = digest_of(repeats, 1);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_NEVER, 0);
    assert_int_equal(repeats->count, 0);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_WAITING, 0);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_NEVER, 0);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, 0), PS_COAP_SEEN_NEVER);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_ACKED, 0);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, 0), PS_COAP_SEEN_ACKED);
    assert_int_equal(repeats->count, 1);
}

static void a_change_applies_to_the_state_it_names(void **state)
{
    struct ps_coap_repeats *repeats = *state;
    uint64_t digest = digest_of(repeats, 1);
    ps_coap_repeats_change(repeats, digest, PS_COAP_SEEN_NEVER, PS_COAP_SEEN_DONE, 0);
    assert_int_equal(repeats->count, 0);
    ps_coap_repeats_set(repeats, digest, PS_COAP_SEEN_ACKED, 0);
    ps_coap_repeats_change(repeats, digest, PS_COAP_SEEN_WAITING, PS_COAP_SEEN_DONE, 0);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, 0), PS_COAP_SEEN_ACKED);
    ps_coap_repeats_change(repeats, digest, PS_COAP_SEEN_ACKED, PS_COAP_SEEN_DONE, 0);
    assert_int_equal(ps_coap_repeats_find(repeats, digest, 0), PS_COAP_SEEN_DONE);
}

static void only_the_newest_are_kept(void **state)
{
    struct ps_coap_repeats *repeats = *state;
    for (uint32_t n = 0; n < 10 * CAPACITY + 7; n++) {
        ps_coap_repeats_set(repeats, digest_of(repeats, n), PS_COAP_SEEN_DONE, n);
        uint32_t oldest = n < CAPACITY ? 0 : n - CAPACITY + 1;
        for (uint32_t m = 0; m <= n; m++) {
            enum ps_coap_seen want = m < oldest ? PS_COAP_SEEN_NEVER : PS_COAP_SEEN_DONE;
            assert_int_equal(ps_coap_repeats_find(repeats, digest_of(repeats, m), n), want);
        }
    }
    assert_int_equal(repeats->count, CAPACITY);
    assert_int_equal(repeats->capacity, CAPACITY);
}

static void digests_tell_parts_and_lengths_apart(void **state)
{
    struct ps_coap_repeats *repeats = *state;
    static const char *const pairs[][2] = {
        { "", "a" },
        { "a", "" },
        { "ab", "" },
        { "", "ab" },
        { "b", "a" },
        { "\0a", "" },
        { "abcdefgh", "" },
        { "abcdefgh", "i" },
        { "abcdefghi", "" },
        { "", "" },
        { "a", "b" },
        { "abcdefg", "h" },
        { "abcdefghijkl", "" },
        { "abcdefghijkm", "" },
    };
    enum { COUNT = sizeof pairs / sizeof *pairs };
    uint64_t digests[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        digests[i] = ps_coap_repeats_digest(repeats, 0, pairs[i][0], strlen(pairs[i][0]));
        if (i == 5) /* the one with a zero byte */
            digests[i] = ps_coap_repeats_digest(repeats, 0, "\0a", 2);
        digests[i] = ps_coap_repeats_digest(repeats, digests[i], pairs[i][1], strlen(pairs[i][1]));
        for (size_t j = 0; j < i; j++)
            assert_true(digests[i] != digests[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_taken_is_known_until_its_exchange_is_over, init,
                                        deinit),
        cmocka_unit_test_setup_teardown(what_is_forgotten_may_be_taken_again, init, deinit),
        cmocka_unit_test_setup_teardown(a_change_applies_to_the_state_it_names, init, deinit),
        cmocka_unit_test_setup_teardown(only_the_newest_are_kept, init, deinit),
        cmocka_unit_test_setup_teardown(digests_tell_parts_and_lengths_apart, init, deinit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
