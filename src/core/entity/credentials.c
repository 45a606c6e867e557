/* credentials: the record of a device, checked and completed by its type.
 *
 * For MQTT_BASIC and X509 the credentials id is computed, so that a login finds its record by one
 * indexed read; what is stored as value is checked when the record is found. */
#include "core/entity/credentials.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/entity/random_text.h"
#include "core/entity/row.h"

#define SELECT                                                                                     \
    "SELECT id, created_ms, device, type, credentials_id, credentials_value, version"              \
    " FROM device_credentials"

enum { VALUE_LEN_MAX = 64 * 1024 };

static const char *const type_names[] = {
    [PS_CREDENTIALS_ACCESS_TOKEN] = "ACCESS_TOKEN",
    [PS_CREDENTIALS_MQTT_BASIC] = "MQTT_BASIC",
    [PS_CREDENTIALS_X509] = "X509_CERTIFICATE",
};

const char *ps_credentials_type_name(enum ps_credentials_type type)
{
    return type_names[type];
}

enum ps_status ps_credentials_type_parse(const char *text, size_t len,
                                         enum ps_credentials_type *out)
{
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strlen(type_names[i]) == len && memcmp(type_names[i], text, len) == 0) {
            *out = (enum ps_credentials_type)i;
            return PS_OK;
        }
    }
    return PS_EINVAL;
}

void ps_credentials_deinit(struct ps_credentials *credentials)
{
    free(credentials->credentials_id);
    free(credentials->credentials_value);
    *credentials = (struct ps_credentials){ 0 };
}

/* ---- ids ---- */

void ps_access_token_generate(char out[PS_ACCESS_TOKEN_SIZE])
{
    ps_random_text(out, PS_ACCESS_TOKEN_SIZE);
}

/* Without CR, LF and the lines around a PEM body. */
static void put_stripped(struct ps_buf *out, const char *text, size_t len)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    static const char end[] = "-----END CERTIFICATE-----";
    for (size_t i = 0; i < len;) {
        if (len - i >= sizeof begin - 1 && memcmp(text + i, begin, sizeof begin - 1) == 0) {
            i += sizeof begin - 1;
        } else if (len - i >= sizeof end - 1 && memcmp(text + i, end, sizeof end - 1) == 0) {
            i += sizeof end - 1;
        } else {
            if (text[i] != '\r' && text[i] != '\n')
                ps_buf_put_char(out, text[i]);
            i++;
        }
    }
}

void ps_credentials_hash(const char *text, size_t len, char out[PS_CREDENTIALS_HASH_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[32];
    unsigned digest_len = 0;
    struct ps_buf stripped = { 0 };
    put_stripped(&stripped, text, len);
    int done = ps_buf_ok(&stripped) && EVP_Digest(stripped.len ? stripped.data : "", stripped.len,
                                                  digest, &digest_len, EVP_sha3_256(), NULL);
    ps_buf_deinit(&stripped);
    PS_ASSERT(done == 1 && digest_len == sizeof digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[PS_CREDENTIALS_HASH_SIZE - 1] = '\0';
}

void ps_credentials_basic_id(const char *client_id, const char *user_name,
                             char out[PS_CREDENTIALS_HASH_SIZE])
{
    bool has_client_id = client_id && *client_id, has_user_name = user_name && *user_name;
    struct ps_buf joined = { 0 };
    if (has_client_id)
        ps_buf_put_text(&joined, client_id);
    if (has_client_id && has_user_name)
        ps_buf_put_char(&joined, '|');
    if (has_user_name)
        ps_buf_put_text(&joined, user_name);
    PS_ASSERT(ps_buf_ok(&joined));
    ps_credentials_hash(joined.len ? joined.data : "", joined.len, out);
    ps_buf_deinit(&joined);
}

/* ---- what a record must be ---- */

static enum ps_status refuse(struct ps_text *why, const char *text)
{
    ps_text_set(why, "%s", text);
    return PS_EINVAL;
}

static enum ps_status set_text(char **member, const char *text, size_t len)
{
    char *copy = strndup(text, len);
    if (!copy)
        return PS_ENOMEM;
    free(*member);
    *member = copy;
    return PS_OK;
}

static enum ps_status check_id(const char *id, struct ps_text *why)
{
    if (!id || !*id)
        return refuse(why, "Device credentials id should be specified!");
    if (strlen(id) > PS_CREDENTIALS_ID_MAX)
        return refuse(why, "Device credentials id is too long!");
    for (const char *c = id; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return refuse(why, "Device credentials id contains control characters!");
    }
    return PS_OK;
}

/* The text of a member; NULL if it is absent, null or empty. */
static const char *text_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? text : NULL;
}

static enum ps_status set_basic_id(struct ps_credentials *credentials, const char *client_id,
                                   const char *user_name)
{
    if (!client_id)
        return set_text(&credentials->credentials_id, user_name, strlen(user_name));
    char hash[PS_CREDENTIALS_HASH_SIZE];
    ps_credentials_basic_id(client_id, user_name, hash);
    return set_text(&credentials->credentials_id, hash, strlen(hash));
}

static enum ps_status complete_basic(struct ps_credentials *credentials, struct ps_text *why)
{
    if (!credentials->credentials_value)
        return refuse(why, "Device credentials value should be specified!");
    json_t *value = json_loads(credentials->credentials_value, 0, NULL);
    enum ps_status st;
    const char *client_id = text_member(value, "clientId");
    const char *user_name = text_member(value, "userName");
    if (!json_is_object(value))
        st = refuse(why, "Invalid credentials body for simple mqtt credentials!");
    else if (!client_id && !user_name)
        st = refuse(why, "Both mqtt client id and user name are empty!");
    else if (!user_name && text_member(value, "password"))
        st = refuse(why, "Can't specify mqtt password without user name!");
    else
        st = set_basic_id(credentials, client_id, user_name);
    json_decref(value);
    return st == PS_OK ? check_id(credentials->credentials_id, why) : st;
}

static enum ps_status complete_x509(struct ps_credentials *credentials, struct ps_text *why)
{
    if (!credentials->credentials_value || !*credentials->credentials_value)
        return refuse(why, "Device credentials value should be specified!");
    struct ps_buf body = { 0 };
    char hash[PS_CREDENTIALS_HASH_SIZE];
    put_stripped(&body, credentials->credentials_value, strlen(credentials->credentials_value));
    enum ps_status st = ps_buf_ok(&body) ? PS_OK : PS_ENOMEM;
    if (st == PS_OK && body.len == 0)
        st = refuse(why, "Device credentials value should be specified!");
    if (st == PS_OK) {
        ps_credentials_hash(body.data, body.len, hash);
        st = set_text(&credentials->credentials_value, body.data, body.len);
    }
    ps_buf_deinit(&body);
    return st == PS_OK ? set_text(&credentials->credentials_id, hash, strlen(hash)) : st;
}

/* Check by type; compute what is computed. */
static enum ps_status complete(struct ps_credentials *credentials, struct ps_text *why)
{
    if (credentials->credentials_value && strlen(credentials->credentials_value) > VALUE_LEN_MAX)
        return refuse(why, "Device credentials value is too long!");
    switch (credentials->type) {
    case PS_CREDENTIALS_ACCESS_TOKEN:
        free(credentials->credentials_value);
        credentials->credentials_value = NULL;
        return check_id(credentials->credentials_id, why);
    case PS_CREDENTIALS_MQTT_BASIC:
        return complete_basic(credentials, why);
    case PS_CREDENTIALS_X509:
        return complete_x509(credentials, why);
    }
    return refuse(why, "Device credentials type should be specified!");
}

/* ---- rows ---- */

static enum ps_status read_credentials(struct ps_row *row, void *out)
{
    struct ps_credentials credentials = { .id = ps_row_uuid(row) };
    credentials.created_ms = ps_row_int(row);
    credentials.device = ps_row_uuid(row);
    credentials.type = (enum ps_credentials_type)ps_row_int(row);
    credentials.credentials_id = ps_row_text(row);
    credentials.credentials_value = ps_row_text(row);
    credentials.version = ps_row_int(row);
    if (row->failed) {
        ps_credentials_deinit(&credentials);
        return PS_ENOMEM;
    }
    *(struct ps_credentials *)out = credentials;
    return PS_OK;
}

enum ps_status ps_credentials_get(struct ps_db *db, const struct ps_uuid *device,
                                  struct ps_credentials *out)
{
    return ps_row_find_by_id(db, SELECT " WHERE device = ?", device, read_credentials, out);
}

static enum ps_status update_credentials(struct ps_db *db, struct ps_credentials *credentials)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db,
                        "UPDATE device_credentials SET type = ?, credentials_id = ?,"
                        " credentials_value = ?, version = version + 1"
                        " WHERE device = ? AND (? = 0 OR version = ?)"
                        " RETURNING created_ms, version",
                        &args);
    if (st != PS_OK)
        return st;
    ps_args_int(&args, credentials->type);
    ps_args_text(&args, credentials->credentials_id);
    ps_args_text(&args, credentials->credentials_value);
    ps_args_uuid(&args, &credentials->device);
    ps_args_int(&args, credentials->version);
    ps_args_int(&args, credentials->version);
    return ps_row_saved(args.stmt, &credentials->created_ms, &credentials->version);
}

static enum ps_status explain(enum ps_status st, struct ps_text *why)
{
    if (st == PS_EEXISTS)
        ps_text_set(why, "Device credentials are already assigned to another device!");
    else if (st == PS_ENOTFOUND)
        ps_text_set(why, "Unable to update non-existent device credentials!");
    else if (st == PS_ECONFLICT)
        ps_text_set(why, "Device credentials was already changed by someone else");
    return st;
}

enum ps_status ps_credentials_save(struct ps_db *db, struct ps_credentials *credentials,
                                   struct ps_text *why)
{
    struct ps_credentials stored;
    enum ps_status st = complete(credentials, why);
    if (st != PS_OK)
        return st;
    st = ps_credentials_get(db, &credentials->device, &stored);
    if (st != PS_OK)
        return explain(st, why);
    bool is_other =
        !ps_uuid_is_null(&credentials->id) && !ps_uuid_equal(&credentials->id, &stored.id);
    credentials->id = stored.id;
    ps_credentials_deinit(&stored);
    if (is_other)
        return explain(PS_ENOTFOUND, why);
    st = update_credentials(db, credentials);
    return explain(st == PS_ENOTFOUND ? PS_ECONFLICT : st, why);
}

static enum ps_status insert_credentials(struct ps_db *db, const struct ps_uuid *device,
                                         const struct ps_credentials *credentials)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    enum ps_status st =
        ps_args_prepare(db,
                        "INSERT INTO device_credentials(id, created_ms, device, type,"
                        " credentials_id, credentials_value, version) VALUES(?, ?, ?, ?, ?, ?, 1)",
                        &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, &id);
    ps_args_int(&args, ps_clock_now_ms());
    ps_args_uuid(&args, device);
    ps_args_int(&args, credentials->type);
    ps_args_text(&args, credentials->credentials_id);
    ps_args_text(&args, credentials->credentials_value);
    return ps_stmt_run(args.stmt);
}

/* What `given` says, or a fresh token, as owned text. */
static enum ps_status copy_given(const struct ps_credentials *given, struct ps_credentials *out)
{
    char token[PS_ACCESS_TOKEN_SIZE];
    const char *id = given ? given->credentials_id : NULL;
    if (!given) {
        ps_access_token_generate(token);
        id = token;
    }
    out->type = given ? given->type : PS_CREDENTIALS_ACCESS_TOKEN;
    enum ps_status st = id ? set_text(&out->credentials_id, id, strlen(id)) : PS_OK;
    if (st == PS_OK && given && given->credentials_value)
        st = set_text(&out->credentials_value, given->credentials_value,
                      strlen(given->credentials_value));
    return st;
}

enum ps_status ps_credentials_create(struct ps_db *db, const struct ps_uuid *device,
                                     const struct ps_credentials *given, struct ps_text *why)
{
    struct ps_credentials credentials = { 0 };
    enum ps_status st = copy_given(given, &credentials);
    if (st == PS_OK)
        st = complete(&credentials, why);
    if (st == PS_OK)
        st = explain(insert_credentials(db, device, &credentials), why);
    ps_credentials_deinit(&credentials);
    return st;
}
