/* mqtt_login: whose connection this is, by the decision order of the device contract 1.1. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "core/buf.h"
#include "core/entity/credentials.h"

enum basic_match { BASIC_NO_MATCH, BASIC_WRONG_PASSWORD, BASIC_MATCH };

static bool has(const struct ps_login_span *span)
{
    return span->present && span->len > 0;
}

static bool span_is(const struct ps_login_span *span, const char *text, size_t len)
{
    return span->present && span->len == len && memcmp(span->data, text, len) == 0;
}

/* A secret: takes as long wherever the first difference is. */
static bool span_is_secret(const struct ps_login_span *span, const char *text, size_t len)
{
    return span->present && span->len == len && CRYPTO_memcmp(span->data, text, len) == 0;
}

/* A stored member; 0 long if it is absent, null or empty. */
static size_t member(const json_t *value, const char *key, const char **text)
{
    const json_t *json = json_object_get(value, key);
    *text = json_string_value(json);
    return *text ? json_string_length(json) : 0;
}

static enum basic_match match_value(const json_t *value, const struct ps_mqtt_login *login)
{
    const char *client_id, *user_name, *password;
    size_t client_id_len = member(value, "clientId", &client_id);
    size_t user_name_len = member(value, "userName", &user_name);
    size_t password_len = member(value, "password", &password);
    if (client_id_len == 0 && user_name_len == 0)
        return BASIC_NO_MATCH; /* nothing to hold against: a damaged record */
    if (client_id_len > 0 && !span_is(&login->client_id, client_id, client_id_len))
        return BASIC_NO_MATCH;
    if (user_name_len > 0 ? !span_is(&login->username, user_name, user_name_len)
                          : has(&login->username))
        return BASIC_NO_MATCH;
    if (password_len > 0 && !span_is_secret(&login->password, password, password_len))
        return BASIC_WRONG_PASSWORD;
    return BASIC_MATCH;
}

static enum basic_match match_basic(const struct ps_device_identity *identity,
                                    const struct ps_mqtt_login *login)
{
    if (identity->credentials_type != PS_CREDENTIALS_MQTT_BASIC || !identity->credentials_value)
        return BASIC_NO_MATCH;
    json_t *value =
        json_loadb(identity->credentials_value, identity->credentials_value_len, 0, NULL);
    enum basic_match match = match_value(value, login);
    json_decref(value);
    return match;
}

/* Step 2 and 3: the record under the hash of what was sent. */
static enum ps_status find_by_hash(struct ps_db *db, const struct ps_mqtt_login *login,
                                   struct ps_device_identity **out)
{
    struct ps_buf joined = { 0 };
    char hash[PS_CREDENTIALS_HASH_SIZE];
    if (has(&login->client_id))
        ps_buf_put(&joined, login->client_id.data, login->client_id.len);
    if (has(&login->client_id) && has(&login->username))
        ps_buf_put_char(&joined, '|');
    if (has(&login->username))
        ps_buf_put(&joined, login->username.data, login->username.len);
    bool complete = ps_buf_ok(&joined);
    if (complete)
        ps_credentials_hash(joined.data, joined.len, hash);
    ps_buf_deinit(&joined);
    if (!complete)
        return PS_ENOMEM;
    return ps_credentials_find(db, hash, PS_CREDENTIALS_HASH_SIZE - 1, out);
}

static enum ps_status refuse(enum ps_login_refusal *why, enum ps_login_refusal how)
{
    *why = how;
    return PS_EAUTH;
}

/* The row of 1.4 for a login that matches no record. */
static enum ps_status refuse_unknown(const struct ps_mqtt_login *login, enum ps_login_refusal *why)
{
    if (has(&login->username) || has(&login->password))
        return refuse(why, PS_LOGIN_REFUSED_CREDENTIALS);
    return refuse(why, has(&login->client_id) ? PS_LOGIN_REFUSED_CLIENT_ID
                                              : PS_LOGIN_REFUSED_NOTHING_GIVEN);
}

/* Step 4: the user name is the credentials id itself. */
static enum ps_status login_by_user_name(struct ps_db *db, const struct ps_mqtt_login *login,
                                         struct ps_device_identity **out,
                                         enum ps_login_refusal *why)
{
    struct ps_device_identity *identity;
    enum ps_status st =
        ps_credentials_find(db, login->username.data, login->username.len, &identity);
    if (st == PS_ENOTFOUND)
        return refuse_unknown(login, why);
    if (st != PS_OK)
        return st;
    if (identity->credentials_type != PS_CREDENTIALS_ACCESS_TOKEN &&
        match_basic(identity, login) != BASIC_MATCH) {
        ps_device_identity_release(identity);
        return refuse(why, PS_LOGIN_REFUSED_CREDENTIALS);
    }
    *out = identity;
    return PS_OK;
}

static enum ps_status login_device(struct ps_db *db, const struct ps_mqtt_login *login,
                                   struct ps_device_identity **out, enum ps_login_refusal *why)
{
    if (!has(&login->username) && !has(&login->client_id))
        return refuse_unknown(login, why);
    struct ps_device_identity *identity;
    enum ps_status st = find_by_hash(db, login, &identity);
    if (st != PS_OK && st != PS_ENOTFOUND)
        return st;
    if (st == PS_OK) {
        enum basic_match match = match_basic(identity, login);
        if (match == BASIC_MATCH) {
            *out = identity;
            return PS_OK;
        }
        ps_device_identity_release(identity);
        if (match == BASIC_WRONG_PASSWORD)
            return refuse(why, PS_LOGIN_REFUSED_CREDENTIALS);
    }
    return has(&login->username) ? login_by_user_name(db, login, out, why)
                                 : refuse_unknown(login, why);
}

static bool is_provisioning(const struct ps_mqtt_login *login)
{
    static const char word[] = "provision";
    return span_is(&login->username, word, sizeof word - 1) ||
           (!has(&login->username) && span_is(&login->client_id, word, sizeof word - 1));
}

enum ps_status ps_mqtt_authenticate(struct ps_db *db, const struct ps_mqtt_login *login,
                                    struct ps_device_identity **out, enum ps_login_refusal *why)
{
    if (is_provisioning(login))
        return refuse(why, PS_LOGIN_REFUSED_PROVISION);
    struct ps_device_identity *identity = NULL;
    enum ps_status st = login_device(db, login, &identity, why);
    if (st == PS_EAUTH)
        return st;
    if (st != PS_OK) {
        *why = PS_LOGIN_REFUSED_UNAVAILABLE;
        return st;
    }
    if (identity->transport_type != PS_TRANSPORT_DEFAULT &&
        identity->transport_type != PS_TRANSPORT_MQTT) {
        ps_device_identity_release(identity);
        return refuse(why, PS_LOGIN_REFUSED_UNAVAILABLE);
    }
    *out = identity;
    *why = PS_LOGIN_ACCEPTED;
    return PS_OK;
}
