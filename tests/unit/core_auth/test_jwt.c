/* Tokens: what was issued is what is read; anything else is refused for the right reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/auth/jwt.h"

enum { NOW_S = 1700000000 };
#define NOW_MS (NOW_S * 1000ll + 789)

static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const struct ps_jwt_settings settings = {
    .key = key, .key_len = 64, .issuer = "thingsboard.io", .access_s = 9000, .refresh_s = 604800
};

static struct ps_jwt_subject make_subject(void)
{
    return (struct ps_jwt_subject){
        .principal = { .authority = PS_CUSTOMER_USER,
                       .user = ps_uuid_random(),
                       .tenant = ps_uuid_random(),
                       .customer = ps_uuid_random() },
        .session = ps_jwt_session_create(NOW_MS),
        .email = "customer\"@\xc3\xa4.org",
        .first_name = "Ann",
        .enabled = true,
    };
}

static enum ps_status verify(const char *token, int64_t now_ms, struct ps_jwt_claims *claims)
{
    return ps_jwt_verify(&settings, token, strlen(token), now_ms, claims);
}

/* The claims part as text. */
static void payload_of(const char *token, char *out, size_t size)
{
    char padded[4096] = "";
    const char *begin = strchr(token, '.') + 1, *end = strchr(begin, '.');
    size_t len = (size_t)(end - begin);
    memcpy(padded, begin, len);
    for (size_t i = 0; i < len; i++)
        padded[i] = padded[i] == '-' ? '+' : padded[i] == '_' ? '/' : padded[i];
    while (len % 4)
        padded[len++] = '=';
    unsigned char text[4096];
    int got = EVP_DecodeBlock(text, (unsigned char *)padded, (int)len);
    assert_true(got > 0 && (size_t)got < size);
    memcpy(out, text, (size_t)got);
    out[got] = '\0';
}

/* header.claims signed with the key as libjwt would: to make tokens that it would never issue. */
static void forge(const char *header, const char *claims, const EVP_MD *md, char *out)
{
    unsigned char block[4096], mac[64];
    unsigned mac_len = sizeof mac;
    size_t at = 0;
    const char *parts[] = { header, claims };
    for (int part = 0; part < 3; part++) {
        if (part == 2)
            HMAC(md, key, 64, (unsigned char *)out, at, mac, &mac_len);
        const void *data = part < 2 ? (const void *)parts[part] : mac;
        int len = part < 2 ? (int)strlen(parts[part]) : (int)mac_len;
        int n = EVP_EncodeBlock(block, data, len);
        if (part > 0)
            out[at++] = '.';
        for (int i = 0; i < n && block[i] != '='; i++)
            out[at++] = (char)(block[i] == '+' ? '-' : block[i] == '/' ? '_' : block[i]);
    }
    out[at] = '\0';
}

static void an_access_token_says_who(void **state)
{
    (void)state;
    struct ps_jwt_subject subject = make_subject();
    struct ps_jwt_pair pair;
    struct ps_jwt_claims claims;
    assert_int_equal(ps_jwt_issue_pair(&settings, &subject, NOW_MS, &pair), PS_OK);
    assert_int_equal(verify(pair.access, NOW_MS, &claims), PS_OK);
    assert_false(claims.is_refresh);
    assert_int_equal(claims.principal.authority, PS_CUSTOMER_USER);
    assert_true(ps_uuid_equal(&claims.principal.user, &subject.principal.user));
    assert_true(ps_uuid_equal(&claims.principal.tenant, &subject.principal.tenant));
    assert_true(ps_uuid_equal(&claims.principal.customer, &subject.principal.customer));
    assert_true(ps_uuid_equal(&claims.session, &subject.session));
    assert_string_equal(claims.subject, subject.email);
    assert_true(claims.enabled);
    assert_false(claims.is_public);
    assert_true(claims.issued_ms == NOW_S * 1000ll);
    assert_true(claims.expires_ms == (NOW_S + 9000) * 1000ll);

    char payload[2048];
    payload_of(pair.access, payload, sizeof payload);
    assert_non_null(strstr(payload, "\"iat\":1700000000"));
    assert_non_null(strstr(payload, "\"exp\":1700009000"));
    assert_non_null(strstr(payload, "\"scopes\":[\"CUSTOMER_USER\"]"));
    assert_non_null(strstr(payload, "\"firstName\":\"Ann\""));
    assert_null(strstr(payload, "lastName"));
    assert_null(strstr(payload, "jti"));
    ps_jwt_pair_deinit(&pair);
}

static void a_refresh_token_says_no_more_than_needed(void **state)
{
    (void)state;
    struct ps_jwt_subject subject = make_subject();
    struct ps_jwt_pair pair;
    struct ps_jwt_claims claims;
    char payload[2048];
    assert_int_equal(ps_jwt_issue_pair(&settings, &subject, NOW_MS, &pair), PS_OK);
    assert_int_equal(verify(pair.refresh, NOW_MS, &claims), PS_OK);
    assert_true(claims.is_refresh);
    assert_true(ps_uuid_equal(&claims.principal.user, &subject.principal.user));
    assert_true(ps_uuid_equal(&claims.principal.tenant, &PS_UUID_NULL));
    assert_true(ps_uuid_equal(&claims.session, &subject.session));
    assert_true(claims.expires_ms == (NOW_S + 604800) * 1000ll);
    payload_of(pair.refresh, payload, sizeof payload);
    assert_non_null(strstr(payload, "\"scopes\":[\"REFRESH_TOKEN\"]"));
    assert_non_null(strstr(payload, "\"jti\":\""));
    assert_null(strstr(payload, "tenantId"));
    assert_null(strstr(payload, "firstName"));
    ps_jwt_pair_deinit(&pair);
}

static void an_administrator_has_null_ids(void **state)
{
    (void)state;
    struct ps_jwt_subject subject = make_subject();
    struct ps_jwt_pair pair;
    char payload[2048];
    subject.principal.authority = PS_SYS_ADMIN;
    subject.principal.tenant = PS_UUID_NULL;
    memset(&subject.principal.customer, 0, sizeof subject.principal.customer);
    assert_int_equal(ps_jwt_issue_pair(&settings, &subject, NOW_MS, &pair), PS_OK);
    payload_of(pair.access, payload, sizeof payload);
    assert_non_null(strstr(payload, "\"tenantId\":\"13814000-1dd2-11b2-8080-808080808080\""));
    assert_non_null(strstr(payload, "\"customerId\":\"13814000-1dd2-11b2-8080-808080808080\""));
    ps_jwt_pair_deinit(&pair);
}

static void it_expires_at_its_time(void **state)
{
    (void)state;
    struct ps_jwt_subject subject = make_subject();
    struct ps_jwt_pair pair;
    struct ps_jwt_claims claims = { .issued_ms = 7 };
    assert_int_equal(ps_jwt_issue_pair(&settings, &subject, NOW_MS, &pair), PS_OK);
    assert_int_equal(verify(pair.access, (NOW_S + 9000) * 1000ll, &claims), PS_ETIMEOUT);
    assert_true(claims.issued_ms == 7); /* untouched */
    assert_int_equal(verify(pair.access, (NOW_S + 9000) * 1000ll - 1, &claims), PS_OK);
    ps_jwt_pair_deinit(&pair);
}

static void a_changed_token_is_refused(void **state)
{
    (void)state;
    struct ps_jwt_subject subject = make_subject();
    struct ps_jwt_pair pair;
    struct ps_jwt_claims claims;
    assert_int_equal(ps_jwt_issue_pair(&settings, &subject, NOW_MS, &pair), PS_OK);
    size_t len = strlen(pair.access);
    for (size_t i = 0; i < len; i++) {
        char was = pair.access[i];
        if (was == '.' || i + 1 == len) /* the last character has bits that mean nothing */
            continue;
        pair.access[i] = was == 'A' ? 'B' : 'A';
        enum ps_status st = verify(pair.access, NOW_MS, &claims);
        assert_true(st == PS_EAUTH || st == PS_EPROTO);
        pair.access[i] = was;
    }
    assert_int_equal(verify(pair.access, NOW_MS, &claims), PS_OK);

    char *signature =
        strrchr(pair.access, '.') + 1; /* well-formed all over: only the key differs */
    signature[0] = signature[0] == 'A' ? 'B' : 'A';
    assert_int_equal(verify(pair.access, NOW_MS, &claims), PS_EAUTH);
    ps_jwt_pair_deinit(&pair);

    struct ps_jwt_settings other = settings;
    other.key = "another key another key another key another key another key another key";
    assert_int_equal(ps_jwt_issue_pair(&other, &subject, NOW_MS, &pair), PS_OK);
    assert_int_equal(verify(pair.access, NOW_MS, &claims), PS_EAUTH);
    ps_jwt_pair_deinit(&pair);
    other = settings;
    other.issuer = "somebody else";
    assert_int_equal(ps_jwt_issue_pair(&other, &subject, NOW_MS, &pair), PS_OK);
    assert_int_equal(verify(pair.access, NOW_MS, &claims), PS_EPROTO);
    ps_jwt_pair_deinit(&pair);
}

#define GOOD                                                                                       \
    "\"sub\":\"a\",\"iss\":\"thingsboard.io\",\"userId\":\"00000000-0000-4000-8000-"               \
    "000000000001\","                                                                              \
    "\"sessionId\":\"00000000-0000-7000-8000-000000000002\""
#define IDS                                                                                        \
    ",\"tenantId\":\"13814000-1dd2-11b2-8080-808080808080\","                                      \
    "\"customerId\":\"13814000-1dd2-11b2-8080-808080808080\""
#define TIMES ",\"iat\":1700000000,\"exp\":1700009000"
#define ADMIN ",\"scopes\":[\"SYS_ADMIN\"]"

static void a_signed_token_that_is_not_ours_is_refused(void **state)
{
    (void)state;
    static const char hs512[] = "{\"alg\":\"HS512\"}", hs256[] = "{\"alg\":\"HS256\"}";
    static const struct {
        const char *name, *header, *claims;
        enum ps_status want;
    } cases[] = {
        { "complete", hs512, "{" GOOD IDS TIMES ADMIN "}", PS_OK },
        { "other algorithm", hs256, "{" GOOD IDS TIMES ADMIN "}", PS_EPROTO },
        { "no algorithm", "{\"alg\":\"none\"}", "{" GOOD IDS TIMES ADMIN "}", PS_EPROTO },
        { "no tenant", hs512, "{" GOOD TIMES ADMIN "}", PS_EPROTO },
        { "no times", hs512, "{" GOOD IDS ADMIN "}", PS_EPROTO },
        { "times are text", hs512, "{" GOOD IDS ADMIN ",\"iat\":\"1\",\"exp\":\"2\"}", PS_EPROTO },
        { "times are huge", hs512, "{" GOOD IDS ADMIN ",\"iat\":1,\"exp\":9223372036854775807}",
          PS_EPROTO },
        { "no scope", hs512, "{" GOOD IDS TIMES "}", PS_EPROTO },
        { "unknown scope", hs512, "{" GOOD IDS TIMES ",\"scopes\":[\"GOD\"]}", PS_EPROTO },
        { "two scopes", hs512, "{" GOOD IDS TIMES ",\"scopes\":[\"SYS_ADMIN\",\"SYS_ADMIN\"]}",
          PS_EPROTO },
        { "scope is text", hs512, "{" GOOD IDS TIMES ",\"scopes\":\"SYS_ADMIN\"}", PS_EPROTO },
        { "no claims", hs512, "{}", PS_EPROTO },
        { "not an object", hs512, "[1]", PS_EPROTO },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char token[4096];
        struct ps_jwt_claims claims;
        forge(cases[i].header, cases[i].claims,
              cases[i].header == hs256 ? EVP_sha256() : EVP_sha512(), token);
        enum ps_status st = verify(token, NOW_MS, &claims);
        if (st != cases[i].want)
            print_error("%s\n", cases[i].name);
        assert_int_equal(st, cases[i].want);
    }
}

static void garbage_is_malformed(void **state)
{
    (void)state;
    static const char *const tokens[] = { "",
                                          ".",
                                          "..",
                                          "abc",
                                          "a.b.c",
                                          "a.b",
                                          "e30.e30.e30",
                                          "eyJhbGciOiJIUzUxMiJ9..",
                                          "\xff.\xff.\xff" };
    struct ps_jwt_claims claims;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        assert_int_equal(verify(tokens[i], NOW_MS, &claims), PS_EPROTO);
    assert_int_equal(ps_jwt_verify(&settings, "a.b\0.c", 6, NOW_MS, &claims), PS_EPROTO);
    char *huge = malloc(PS_JWT_LEN_MAX + 1);
    memset(huge, 'a', PS_JWT_LEN_MAX + 1);
    assert_int_equal(ps_jwt_verify(&settings, huge, PS_JWT_LEN_MAX + 1, NOW_MS, &claims),
                     PS_EPROTO);
    free(huge);
}

static void a_short_key_signs_nothing(void **state)
{
    (void)state;
    struct ps_jwt_settings weak = settings;
    struct ps_jwt_subject subject = make_subject();
    struct ps_jwt_pair pair;
    weak.key_len = 63;
    assert_int_equal(ps_jwt_issue_pair(&weak, &subject, NOW_MS, &pair), PS_EINVAL);
}

static void a_session_knows_when_it_began(void **state)
{
    (void)state;
    struct ps_uuid a = ps_jwt_session_create(NOW_MS), b = ps_jwt_session_create(NOW_MS);
    assert_true(ps_jwt_session_start_ms(&a) == NOW_MS);
    assert_false(ps_uuid_equal(&a, &b));
    assert_int_equal(a.bytes[6] >> 4, 7);
    assert_int_equal(a.bytes[8] >> 6, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_token_says_who),
        cmocka_unit_test(a_refresh_token_says_no_more_than_needed),
        cmocka_unit_test(an_administrator_has_null_ids),
        cmocka_unit_test(it_expires_at_its_time),
        cmocka_unit_test(a_changed_token_is_refused),
        cmocka_unit_test(a_signed_token_that_is_not_ours_is_refused),
        cmocka_unit_test(garbage_is_malformed),
        cmocka_unit_test(a_short_key_signs_nothing),
        cmocka_unit_test(a_session_knows_when_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
