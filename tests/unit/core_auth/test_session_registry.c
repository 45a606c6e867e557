/* The session registry: a revoked token stays revoked, also after a restart, and nothing else is.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/auth/session_registry.h"
#include "unit/core_storage/temp_db.h"

enum { LIFE_MS = 10000 };
#define NOW_MS 1700000000000ll

static struct ps_jwt_claims claims_of(const struct ps_uuid *user, int64_t start_ms)
{
    struct ps_jwt_claims claims = { .principal.user = *user,
                                    .session = ps_jwt_session_create(start_ms) };
    return claims;
}

static int setup(void **state)
{
    struct ps_session_registry *registry;
    assert_int_equal(ps_session_registry_create(1000, LIFE_MS, &registry), PS_OK);
    *state = registry;
    return 0;
}

static int teardown(void **state)
{
    ps_session_registry_destroy(*state);
    return 0;
}

static void a_revoked_session_is_exactly_that_one(void **state)
{
    struct ps_session_registry *registry = *state;
    struct ps_uuid user = ps_uuid_random();
    struct ps_jwt_claims one = claims_of(&user, NOW_MS), other = claims_of(&user, NOW_MS);
    assert_false(ps_session_registry_is_revoked(registry, &one));
    assert_int_equal(ps_session_registry_revoke(registry, &one.session, NOW_MS), PS_OK);
    assert_int_equal(ps_session_registry_revoke(registry, &one.session, NOW_MS), PS_OK);
    assert_true(ps_session_registry_is_revoked(registry, &one));
    assert_false(ps_session_registry_is_revoked(registry, &other)); /* same ms, same user */
}

static void revoking_a_user_ends_what_began_before_to_the_millisecond(void **state)
{
    struct ps_session_registry *registry = *state;
    struct ps_uuid user = ps_uuid_random(), somebody = ps_uuid_random();
    struct ps_jwt_claims same_ms = claims_of(&user, NOW_MS);
    struct ps_jwt_claims others = claims_of(&somebody, NOW_MS - 5);
    assert_true(ps_session_registry_not_before(registry, &user, NOW_MS) == NOW_MS);
    assert_int_equal(ps_session_registry_revoke_user(registry, &user, NOW_MS), PS_OK);
    assert_true(ps_session_registry_is_revoked(registry, &same_ms));
    assert_false(ps_session_registry_is_revoked(registry, &others));
    int64_t start_ms = ps_session_registry_not_before(registry, &user, NOW_MS);
    assert_true(start_ms == NOW_MS + 1);
    struct ps_jwt_claims fresh = claims_of(&user, start_ms);
    assert_false(ps_session_registry_is_revoked(registry, &fresh));
    assert_int_equal(ps_session_registry_revoke_user(registry, &user, NOW_MS - 100), PS_OK);
    assert_true(ps_session_registry_is_revoked(registry, &same_ms)); /* never moves back */
}

static void it_is_bounded_and_forgets_only_what_has_expired(void **state)
{
    struct ps_session_registry *registry = *state;
    struct ps_uuid user = ps_uuid_random(), sessions[1000];
    for (int i = 0; i < 1000; i++) {
        sessions[i] = ps_jwt_session_create(NOW_MS + i);
        assert_int_equal(ps_session_registry_revoke(registry, &sessions[i], NOW_MS + i), PS_OK);
    }
    struct ps_uuid one_more = ps_jwt_session_create(NOW_MS);
    assert_int_equal(ps_session_registry_revoke(registry, &one_more, NOW_MS + 1000), PS_ELIMIT);
    for (int i = 0; i < 1000; i++) {
        struct ps_jwt_claims claims = { .principal.user = user, .session = sessions[i] };
        assert_true(ps_session_registry_is_revoked(registry, &claims));
    }
    /* half of them have expired: room again, the other half still known */
    assert_int_equal(ps_session_registry_revoke(registry, &one_more, NOW_MS + LIFE_MS + 500),
                     PS_OK);
    for (int i = 501; i < 1000; i++) {
        struct ps_jwt_claims claims = { .principal.user = user, .session = sessions[i] };
        assert_true(ps_session_registry_is_revoked(registry, &claims));
    }
}

static void a_restart_revives_no_token(void **state)
{
    struct ps_session_registry *registry = *state;
    struct temp_db temp;
    struct ps_uuid user = ps_uuid_random(), somebody = ps_uuid_random();
    struct ps_jwt_claims of_user = claims_of(&user, NOW_MS);
    struct ps_jwt_claims of_somebody = claims_of(&somebody, NOW_MS);
    struct ps_jwt_claims old = claims_of(&somebody, NOW_MS - LIFE_MS);
    temp_db_init(&temp);
    assert_int_equal(ps_revocation_store_session(temp.db, &old.session, NOW_MS - LIFE_MS, LIFE_MS),
                     PS_OK);
    assert_int_equal(ps_revocation_store_session(temp.db, &of_somebody.session, NOW_MS, LIFE_MS),
                     PS_OK);
    assert_int_equal(ps_revocation_store_session(temp.db, &of_somebody.session, NOW_MS, LIFE_MS),
                     PS_OK);
    assert_int_equal(ps_revocation_store_user(temp.db, &user, NOW_MS - 3, LIFE_MS), PS_OK);
    assert_int_equal(ps_revocation_store_user(temp.db, &user, NOW_MS, LIFE_MS), PS_OK);
    assert_int_equal(temp_db_number(temp.db, "SELECT count(*) FROM revoked_session"),
                     1); /* pruned */
    temp_db_reopen(&temp);
    assert_int_equal(ps_session_registry_load(registry, temp.db, NOW_MS + 10), PS_OK);
    assert_true(ps_session_registry_is_revoked(registry, &of_user));
    assert_true(ps_session_registry_is_revoked(registry, &of_somebody));
    assert_false(ps_session_registry_is_revoked(registry, &old)); /* its tokens have expired */
    assert_true(ps_session_registry_not_before(registry, &user, NOW_MS) == NOW_MS + 1);
    temp_db_deinit(&temp);
}

static void *revoke_many(void *arg)
{
    struct ps_session_registry *registry = arg;
    struct ps_uuid user = ps_uuid_random();
    for (int i = 0; i < 200; i++) {
        struct ps_jwt_claims claims = claims_of(&user, NOW_MS + i);
        if (ps_session_registry_is_revoked(registry, &claims) ||
            ps_session_registry_revoke(registry, &claims.session, NOW_MS) != PS_OK ||
            !ps_session_registry_is_revoked(registry, &claims))
            return arg;
    }
    return NULL;
}

static void many_threads_may_ask_and_revoke(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, revoke_many, *state), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_revoked_session_is_exactly_that_one),
        TEST(revoking_a_user_ends_what_began_before_to_the_millisecond),
        TEST(it_is_bounded_and_forgets_only_what_has_expired),
        TEST(a_restart_revives_no_token),
        TEST(many_threads_may_ask_and_revoke),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
