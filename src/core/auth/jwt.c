/* jwt: HS512 tokens through libjwt.
 *
 * libjwt says EINVAL to whatever it does not like, so a refused token is decoded a second time
 * without the key: if that works, it was a token of the right form with a wrong signature. */
#include "core/auth/jwt.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jwt.h>

#include "core/buf.h"
#include "core/json_text.h"

enum { KEY_BYTES_MIN = 64 }; /* RFC 7518 section 3.2: not shorter than the hash */

static const char refresh_scope[] = "REFRESH_TOKEN";

void ps_jwt_pair_deinit(struct ps_jwt_pair *pair)
{
    free(pair->access);
    free(pair->refresh);
    *pair = (struct ps_jwt_pair){ 0 };
}

/* ---- sessions ---- */

struct ps_uuid ps_jwt_session_create(int64_t now_ms)
{
    struct ps_uuid session = ps_uuid_random();
    for (int i = 0; i < 6; i++)
        session.bytes[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
    session.bytes[6] = (uint8_t)((session.bytes[6] & 0x0f) | 0x70); /* version 7 */
    return session;
}

int64_t ps_jwt_session_start_ms(const struct ps_uuid *session)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | session->bytes[i];
    return ms;
}

/* ---- issue ---- */

static void put_text(struct ps_buf *json, const char *name, const char *value)
{
    ps_buf_printf(json, ",\"%s\":", name);
    ps_json_put_string(json, value, strlen(value));
}

static void put_uuid(struct ps_buf *json, const char *name, const struct ps_uuid *value)
{
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(ps_uuid_is_null(value) ? &PS_UUID_NULL : value, text);
    ps_buf_printf(json, ",\"%s\":\"%s\"", name, text);
}

static void put_flag(struct ps_buf *json, const char *name, bool value)
{
    ps_buf_printf(json, ",\"%s\":%s", name, value ? "true" : "false");
}

/* The claims both tokens have; the object is left open. */
static void put_common(struct ps_buf *json, const struct ps_jwt_settings *settings,
                       const struct ps_jwt_subject *subject, const char *scope, int64_t now_s,
                       int64_t life_s)
{
    ps_buf_printf(json, "{\"iat\":%lld,\"exp\":%lld,\"scopes\":[\"%s\"]", (long long)now_s,
                  (long long)(now_s + life_s), scope);
    put_text(json, "sub", subject->email);
    put_text(json, "iss", settings->issuer);
    put_uuid(json, "userId", &subject->principal.user);
    put_uuid(json, "sessionId", &subject->session);
    put_flag(json, "isPublic", subject->is_public);
}

static void put_access(struct ps_buf *json, const struct ps_jwt_subject *subject)
{
    if (subject->first_name)
        put_text(json, "firstName", subject->first_name);
    if (subject->last_name)
        put_text(json, "lastName", subject->last_name);
    put_flag(json, "enabled", subject->enabled);
    put_uuid(json, "tenantId", &subject->principal.tenant);
    put_uuid(json, "customerId", &subject->principal.customer);
}

static void put_refresh(struct ps_buf *json)
{
    struct ps_uuid id = ps_uuid_random();
    put_uuid(json, "jti", &id);
}

/* `claims` is a JSON object without its closing brace. */
static enum ps_status sign(const struct ps_jwt_settings *settings, struct ps_buf *claims,
                           char **out)
{
    ps_buf_put_char(claims, '}');
    jwt_t *jwt = NULL;
    char *token = NULL;
    if (ps_buf_ok(claims) && jwt_new(&jwt) == 0 &&
        jwt_add_grants_json(jwt, ps_buf_cstr(claims)) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_HS512, settings->key, (int)settings->key_len) == 0)
        token = jwt_encode_str(jwt);
    jwt_free(jwt);
    if (!token)
        return PS_ENOMEM;
    *out = token;
    return PS_OK;
}

enum ps_status ps_jwt_issue_pair(const struct ps_jwt_settings *settings,
                                 const struct ps_jwt_subject *subject, int64_t now_ms,
                                 struct ps_jwt_pair *out)
{
    if (settings->key_len < KEY_BYTES_MIN || settings->key_len > INT_MAX)
        return PS_EINVAL;
    struct ps_jwt_pair pair = { 0 };
    struct ps_buf claims = { 0 };
    int64_t now_s = now_ms / 1000;

    put_common(&claims, settings, subject, ps_authority_name(subject->principal.authority), now_s,
               settings->access_s);
    put_access(&claims, subject);
    enum ps_status st = sign(settings, &claims, &pair.access);
    if (st != PS_OK)
        goto out;

    ps_buf_clear(&claims);
    put_common(&claims, settings, subject, refresh_scope, now_s, settings->refresh_s);
    put_refresh(&claims);
    st = sign(settings, &claims, &pair.refresh);
out:
    ps_buf_deinit(&claims);
    if (st == PS_OK)
        *out = pair;
    else
        ps_jwt_pair_deinit(&pair);
    return st;
}

/* ---- verify ---- */

static enum ps_status read_uuid(jwt_t *jwt, const char *name, struct ps_uuid *out)
{
    const char *text = jwt_get_grant(jwt, name);
    if (!text || ps_uuid_parse(text, strlen(text), out) != PS_OK)
        return PS_EPROTO;
    return PS_OK;
}

static enum ps_status read_seconds(jwt_t *jwt, const char *name, int64_t *out_ms)
{
    errno = 0;
    long seconds = jwt_get_grant_int(jwt, name);
    if (errno != 0 || seconds <= 0 || seconds > INT64_MAX / 1000)
        return PS_EPROTO;
    *out_ms = (int64_t)seconds * 1000;
    return PS_OK;
}

static bool read_flag(jwt_t *jwt, const char *name)
{
    return jwt_get_grant_bool(jwt, name) == 1;
}

/* ["TENANT_ADMIN"] or ["REFRESH_TOKEN"]: exactly one. */
static enum ps_status read_scope(jwt_t *jwt, struct ps_jwt_claims *claims)
{
    char *scopes = jwt_get_grants_json(jwt, "scopes");
    if (!scopes)
        return PS_EPROTO;
    size_t len = strlen(scopes);
    enum ps_status st = PS_EPROTO;
    if (len > 4 && memcmp(scopes, "[\"", 2) == 0 && memcmp(scopes + len - 2, "\"]", 2) == 0) {
        const char *scope = scopes + 2;
        len -= 4;
        claims->is_refresh = len == strlen(refresh_scope) && memcmp(scope, refresh_scope, len) == 0;
        st = claims->is_refresh ? PS_OK
                                : ps_authority_parse(scope, len, &claims->principal.authority);
    }
    free(scopes);
    return st == PS_OK ? PS_OK : PS_EPROTO;
}

static enum ps_status read_claims(jwt_t *jwt, const char *issuer, struct ps_jwt_claims *claims)
{
    const char *subject = jwt_get_grant(jwt, "sub"), *iss = jwt_get_grant(jwt, "iss");
    if (!subject || strlen(subject) >= sizeof claims->subject || !iss || strcmp(iss, issuer) != 0)
        return PS_EPROTO;
    memcpy(claims->subject, subject, strlen(subject) + 1);
    enum ps_status st = read_scope(jwt, claims);
    if (st == PS_OK)
        st = read_uuid(jwt, "userId", &claims->principal.user);
    if (st == PS_OK)
        st = read_uuid(jwt, "sessionId", &claims->session);
    if (st == PS_OK)
        st = read_seconds(jwt, "iat", &claims->issued_ms);
    if (st == PS_OK)
        st = read_seconds(jwt, "exp", &claims->expires_ms);
    if (st != PS_OK)
        return st;
    claims->is_public = read_flag(jwt, "isPublic");
    claims->enabled = true;
    claims->principal.tenant = claims->principal.customer = PS_UUID_NULL;
    if (claims->is_refresh)
        return PS_OK;
    claims->enabled = read_flag(jwt, "enabled");
    st = read_uuid(jwt, "tenantId", &claims->principal.tenant);
    return st == PS_OK ? read_uuid(jwt, "customerId", &claims->principal.customer) : st;
}

/* Why the key did not open it. */
static enum ps_status refusal_of(const char *token)
{
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, token, NULL, 0) != 0)
        return PS_EPROTO;
    const char *algorithm = jwt_get_header(jwt, "alg"); /* without key jwt_get_alg() says none */
    bool is_ours = algorithm && strcmp(algorithm, "HS512") == 0;
    jwt_free(jwt);
    return is_ours ? PS_EAUTH : PS_EPROTO;
}

static enum ps_status verify_text(const struct ps_jwt_settings *settings, const char *token,
                                  int64_t now_ms, struct ps_jwt_claims *out)
{
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, token, settings->key, (int)settings->key_len) != 0)
        return refusal_of(token);
    struct ps_jwt_claims claims = { 0 };
    enum ps_status st = PS_EPROTO;
    if (jwt_get_alg(jwt) == JWT_ALG_HS512)
        st = read_claims(jwt, settings->issuer, &claims);
    jwt_free(jwt);
    if (st == PS_OK && now_ms >= claims.expires_ms)
        st = PS_ETIMEOUT;
    if (st == PS_OK)
        *out = claims;
    return st;
}

enum ps_status ps_jwt_verify(const struct ps_jwt_settings *settings, const char *token, size_t len,
                             int64_t now_ms, struct ps_jwt_claims *out)
{
    if (len == 0 || len > PS_JWT_LEN_MAX || memchr(token, '\0', len))
        return PS_EPROTO;
    char *text = strndup(token, len); /* libjwt wants a terminator */
    if (!text)
        return PS_ENOMEM;
    enum ps_status st = verify_text(settings, text, now_ms, out);
    free(text);
    return st;
}
