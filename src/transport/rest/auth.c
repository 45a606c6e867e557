/* auth: login, refresh, who am I, logout: sections 4.1 to 4.4 of the REST contract. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/auth/password.h"
#include "core/auth/session_registry.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/entity/user.h"
#include "core/metrics.h"
#include "core/storage/writer.h"
#include "transport/rest/call.h"
#include "transport/rest/json_in.h"
#include "transport/rest/routes.h"
#include "transport/rest/user.h"

static void refuse(struct ps_rest_call *call, const char *message)
{
    ps_http_reply_error(call->reply, 401, PS_HTTP_AUTHENTICATION, "%s", message);
}

static void answer_pair(struct ps_rest_call *call, const struct ps_user *user,
                        const struct ps_uuid *session)
{
    const struct ps_jwt_subject subject = {
        .principal = { .authority = user->authority,
                       .user = user->id,
                       .tenant = user->tenant,
                       .customer = user->customer },
        .session = *session,
        .email = user->email,
        .first_name = user->first_name,
        .last_name = user->last_name,
        .enabled = true,
    };
    struct ps_jwt_pair pair;
    enum ps_status st = ps_jwt_issue_pair(&call->rest->jwt, &subject, ps_clock_now_ms(), &pair);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, NULL);
        return;
    }
    struct ps_buf *buf = ps_rest_json(call);
    ps_buf_put_char(buf, '{');
    ps_answer_text(buf, "token", pair.access);
    ps_answer_text(buf, "refreshToken", pair.refresh);
    ps_buf_put_char(buf, '}');
    ps_jwt_pair_deinit(&pair);
}

/* --- login --- */

struct login_note {
    struct ps_uuid user;
    bool succeeded;
    int64_t now_ms;
};

static enum ps_status note_login(struct ps_db *db, void *arg)
{
    const struct login_note *note = arg;
    return ps_user_note_login(db, &note->user, note->succeeded, note->now_ms);
}

static void count_failure(struct ps_rest_call *call)
{
    ps_metrics_add(call->services->metrics, 0, PS_METRIC_LOGIN_FAILURES, 1);
}

/* Is this the user's password? An unknown user and one without a password take as long. */
static enum ps_status check_password(const char *hash, const char *password)
{
    if (hash)
        return ps_password_verify(hash, password, strlen(password));
    ps_password_verify_dummy(password, strlen(password));
    return PS_EAUTH;
}

static void log_in(struct ps_rest_call *call, const struct ps_user *user,
                   const struct ps_user_credentials *credentials, const char *password)
{
    enum ps_status st = check_password(credentials->password_hash, password);
    if (st != PS_OK && st != PS_EAUTH) {
        ps_http_reply_failure(call->reply, st, NULL);
        return;
    }
    struct login_note note = { user->id, st == PS_OK, ps_clock_now_ms() };
    if (st != PS_OK)
        count_failure(call);
    enum ps_status noted = ps_writer_call(call->services->writer, note_login, &note);
    if (!credentials->password_hash || (st == PS_OK && !credentials->enabled)) {
        refuse(call, "User account is not active");
    } else if (st != PS_OK) {
        refuse(call, "Invalid username or password");
    } else if (noted != PS_OK && noted != PS_EFULL) { /* a full disk must not lock everybody out */
        ps_http_reply_failure(call->reply, noted, NULL);
    } else {
        struct ps_uuid session = ps_jwt_session_create(
            ps_session_registry_not_before(call->services->sessions, &user->id, note.now_ms));
        answer_pair(call, user, &session);
    }
}

static void log_in_as(struct ps_rest_call *call, const char *email, const char *password)
{
    struct ps_user user;
    struct ps_user_credentials credentials;
    enum ps_status st = ps_user_find_by_email(call->db, email, strlen(email), &user);
    if (st == PS_ENOTFOUND) {
        (void)check_password(NULL, password);
        count_failure(call);
        refuse(call, "Invalid username or password");
        return;
    }
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, NULL);
        return;
    }
    st = ps_user_credentials_get(call->db, &user.id, &credentials);
    if (st == PS_OK) {
        log_in(call, &user, &credentials, password);
        ps_user_credentials_deinit(&credentials);
    } else {
        ps_http_reply_failure(call->reply, st, NULL);
    }
    ps_user_deinit(&user);
}

static bool is_blank(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

void ps_rest_login(struct ps_rest_call *call)
{
    struct ps_json_in in;
    if (!ps_json_in_open(&in, call))
        return;
    const char *email = ps_json_in_text(&in, "username");
    const char *password = ps_json_in_text(&in, "password");
    if (ps_json_in_ok(&in)) {
        if (!email || is_blank(email) || !password || !*password)
            refuse(call, "Authentication failed");
        else
            log_in_as(call, email, password);
    }
    ps_json_in_close(&in);
}

/* --- refresh --- */

/* The claims of a refresh token that is good, or an answer. */
static bool verify_refresh(struct ps_rest_call *call, const char *token,
                           struct ps_jwt_claims *claims)
{
    enum ps_status st =
        ps_jwt_verify(&call->rest->jwt, token, strlen(token), ps_clock_now_ms(), claims);
    bool good = st == PS_OK && claims->is_refresh;
    if (st == PS_ENOMEM)
        ps_http_reply_failure(call->reply, st, NULL);
    else if (st == PS_EAUTH || st == PS_ETIMEOUT ||
             (good && ps_session_registry_is_revoked(call->services->sessions, claims)))
        ps_http_reply_error(call->reply, 401, PS_HTTP_TOKEN_EXPIRED, "Token has expired");
    else if (!good)
        refuse(call, "Invalid JWT token");
    return call->reply->status == 0;
}

static void refresh(struct ps_rest_call *call, const struct ps_jwt_claims *claims)
{
    struct ps_user user;
    enum ps_status st = ps_user_get(call->db, &claims->principal.user, &user);
    if (st == PS_ENOTFOUND) {
        refuse(call, "Authentication failed");
        return;
    }
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, NULL);
        return;
    }
    if (user.enabled)
        answer_pair(call, &user, &claims->session); /* one logout ends the whole chain */
    else
        refuse(call, "User account is not active");
    ps_user_deinit(&user);
}

void ps_rest_refresh(struct ps_rest_call *call)
{
    struct ps_json_in in;
    struct ps_jwt_claims claims;
    if (!ps_json_in_open(&in, call))
        return;
    const char *token = ps_json_in_text(&in, "refreshToken");
    if (ps_json_in_ok(&in)) {
        if (!token)
            ps_rest_bad_request(call, "refreshToken should be specified!");
        else if (verify_refresh(call, token, &claims))
            refresh(call, &claims);
    }
    ps_json_in_close(&in);
}

/* --- who am I, logout --- */

void ps_rest_whoami(struct ps_rest_call *call)
{
    struct ps_user user;
    const struct ps_uuid *id = &call->principal->user;
    enum ps_status st = ps_user_get(call->db, id, &user);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_USER, id);
        return;
    }
    ps_rest_put_user(ps_rest_json(call), &user, false);
    ps_user_deinit(&user);
}

struct logout {
    struct ps_uuid session;
    int64_t now_ms, life_ms;
};

static enum ps_status store_logout(struct ps_db *db, void *arg)
{
    const struct logout *logout = arg;
    return ps_revocation_store_session(db, &logout->session, logout->now_ms, logout->life_ms);
}

void ps_rest_logout(struct ps_rest_call *call)
{
    const struct ps_config *config = call->services->config;
    int64_t life_s = config->auth_refresh_token_s > config->auth_access_token_s
                         ? config->auth_refresh_token_s
                         : config->auth_access_token_s;
    struct logout logout = { call->claims.session, ps_clock_now_ms(), life_s * 1000 };
    enum ps_status st = ps_writer_call(call->services->writer, store_logout, &logout);
    if (st == PS_OK)
        st = ps_session_registry_revoke(call->services->sessions, &logout.session, logout.now_ms);
    if (ps_rest_changed(call, st, NULL))
        ps_http_reply_empty(call->reply);
}
