/* Passwords: a hash verifies its password and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/auth/password.h"

static void a_hash_verifies_its_password_only(void **state)
{
    (void)state;
    char hash[PS_PASSWORD_HASH_SIZE];
    assert_int_equal(ps_password_hash("tenant", 6, hash), PS_OK);
    assert_int_equal(strncmp(hash, "$argon2id$v=19$m=9216,t=4,p=1$", 30), 0);
    assert_null(strstr(hash, "tenant"));
    assert_int_equal(ps_password_verify(hash, "tenant", 6), PS_OK);
    assert_int_equal(ps_password_verify(hash, "Tenant", 6), PS_EAUTH);
    assert_int_equal(ps_password_verify(hash, "tenant ", 7), PS_EAUTH);
    assert_int_equal(ps_password_verify(hash, "tenan", 5), PS_EAUTH);
    assert_int_equal(ps_password_verify(hash, "", 0), PS_EAUTH);
    ps_password_verify_dummy("tenant", 6);
}

static void the_same_password_hashes_differently(void **state)
{
    (void)state;
    char first[PS_PASSWORD_HASH_SIZE], second[PS_PASSWORD_HASH_SIZE];
    assert_int_equal(ps_password_hash("x", 1, first), PS_OK);
    assert_int_equal(ps_password_hash("x", 1, second), PS_OK);
    assert_string_not_equal(first, second);
}

static void a_damaged_hash_refuses(void **state)
{
    (void)state;
    static const char *const hashes[] = {
        "",
        "tenant",
        "$argon2id$",
        "$argon2id$v=19$m=8,t=1,p=1$",
        "$argon2i$v=19$m=9216,t=4,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
        "$argon2id$v=19$m=99999999999,t=4,p=1$AAAA$AAAA"
    };
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        assert_int_equal(ps_password_verify(hashes[i], "tenant", 6), PS_EAUTH);
}

static void the_policy_counts_characters(void **state)
{
    (void)state;
    struct ps_text why = { { 0 } };
    char many[300];
    memset(many, 'x', sizeof many);
    assert_int_equal(ps_password_check_policy("sixsix", 6, &why), PS_OK);
    assert_int_equal(ps_password_check_policy("fives", 5, &why), PS_EINVAL);
    assert_string_equal(why.data, "Password must be at least 6 characters long!");
    assert_int_equal(ps_password_check_policy("\xc3\xa4\xc3\xa4\xc3\xa4", 6, &why), PS_EINVAL);
    assert_int_equal(ps_password_check_policy(many, 72, &why), PS_OK);
    assert_int_equal(ps_password_check_policy(many, 73, &why), PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_verifies_its_password_only),
        cmocka_unit_test(the_same_password_hashes_differently),
        cmocka_unit_test(a_damaged_hash_refuses),
        cmocka_unit_test(the_policy_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
