/* credentials: how a device proves who it is. Section 1 of the device contract.
 *
 * A device has exactly one record; its credentials id is unique over the installation. */
#ifndef PS_CORE_ENTITY_CREDENTIALS_H
#define PS_CORE_ENTITY_CREDENTIALS_H

#include "core/entity/device_identity.h"
#include "core/storage/db.h"
#include "core/text.h"

enum {
    PS_CREDENTIALS_ID_MAX = 255,  /* longest token or user name we store */
    PS_CREDENTIALS_HASH_SIZE = 65 /* 64 hex digits and the terminator */
};

struct ps_credentials {
    struct ps_uuid id;
    int64_t created_ms;
    struct ps_uuid device;
    enum ps_credentials_type type;
    char *credentials_id;    /* MQTT_BASIC, X509: computed on save */
    char *credentials_value; /* NULL for ACCESS_TOKEN */
    int64_t version;         /* 0 on save = overwrite */
};

void ps_credentials_deinit(struct ps_credentials *credentials);

/** "ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE". */
const char *ps_credentials_type_name(enum ps_credentials_type type);
PS_MUST_CHECK
enum ps_status ps_credentials_type_parse(const char *text, size_t len,
                                         enum ps_credentials_type *out);

PS_MUST_CHECK
enum ps_status ps_credentials_get(struct ps_db *db, const struct ps_uuid *device,
                                  struct ps_credentials *out);

/**
 * Replace a device's record; id and created_ms stay. The computed credentials id and the new
 * version are written back.
 *
 * Returns: PS_OK; PS_EEXISTS the id belongs to another device; PS_EINVAL not complete or not
 * allowed; PS_ENOTFOUND the device has no record; PS_ECONFLICT. `why` is the contract's message.
 * Thread:  writer. The caller ends the device's sessions.
 */
PS_MUST_CHECK
enum ps_status ps_credentials_save(struct ps_db *db, struct ps_credentials *credentials,
                                   struct ps_text *why);

/**
 * The first record of a new device; with `given` NULL an access token of 20 random characters.
 * Only type, credentials_id and credentials_value of `given` are read. Returns: as above.
 */
PS_MUST_CHECK
enum ps_status ps_credentials_create(struct ps_db *db, const struct ps_uuid *device,
                                     const struct ps_credentials *given, struct ps_text *why);

/** 20 random letters and digits, and the terminator. */
enum { PS_ACCESS_TOKEN_SIZE = 21 };
void ps_access_token_generate(char out[PS_ACCESS_TOKEN_SIZE]);

/** SHA3-256 as 64 hex digits, of the text without CR, LF and PEM header and footer (1.2). */
void ps_credentials_hash(const char *text, size_t len, char out[PS_CREDENTIALS_HASH_SIZE]);

/**
 * The credentials id under which a login with both or one of these is looked up first: SHA3 of
 * client id, user name, or both joined by '|'. NULL = absent. (A record with only a user name is
 * stored under the plain user name.)
 */
void ps_credentials_basic_id(const char *client_id, const char *user_name,
                             char out[PS_CREDENTIALS_HASH_SIZE]);

/* ---- MQTT login (device contract 1.1, 1.4) ---- */

struct ps_login_span {
    const char *data;
    size_t len;
    bool present; /* a present empty span counts as empty */
};

struct ps_mqtt_login {
    struct ps_login_span client_id, username, password;
};

/* The rows of 1.4 a login can end in. */
enum ps_login_refusal {
    PS_LOGIN_ACCEPTED,
    PS_LOGIN_REFUSED_PROVISION,     /* a provisioning login: the caller decides */
    PS_LOGIN_REFUSED_CREDENTIALS,   /* wrong token, user name or password; 5, 0x86 */
    PS_LOGIN_REFUSED_CLIENT_ID,     /* only a client id, and unknown; 2, 0x85 */
    PS_LOGIN_REFUSED_NOTHING_GIVEN, /* no user name, password or client id; 5, 0x87 */
    PS_LOGIN_REFUSED_UNAVAILABLE,   /* profile of another transport, or storage failed; 3, 0x88 */
};

/**
 * Decide a login without client certificate.
 *
 * Returns: PS_OK *out is retained, *why = ACCEPTED; PS_EAUTH refused, *why says how;
 *          PS_ESTORE, PS_ENOMEM *why = UNAVAILABLE.
 * Thread:  the connection's owner; at most two indexed reads.
 */
PS_MUST_CHECK
enum ps_status ps_mqtt_authenticate(struct ps_db *db, const struct ps_mqtt_login *login,
                                    struct ps_device_identity **out, enum ps_login_refusal *why);

#endif
