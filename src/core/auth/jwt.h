/* jwt: access and refresh tokens. Section 4.2 of the REST contract.
 *
 * A session id tells its begin: it is a version 7 UUID (RFC 9562), which starts with the Unix time
 * in milliseconds. That is what a per-user "not before" is compared with, so it is exact although
 * iat counts seconds, and needs no extra claim. */
#ifndef PS_CORE_AUTH_JWT_H
#define PS_CORE_AUTH_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/auth/permission.h"
#include "core/status.h"

enum { PS_JWT_LEN_MAX = 8192, PS_JWT_SUBJECT_SIZE = 256 };

struct ps_jwt_settings {
    const void *key; /* HMAC key, at least 64 bytes */
    size_t key_len;
    const char *issuer;
    int64_t access_s, refresh_s; /* life times */
};

/* For whom. Text is borrowed; NULL names are left out. */
struct ps_jwt_subject {
    struct ps_principal principal;
    struct ps_uuid session;
    const char *email; /* "sub"; for public customers the customer's id as text */
    const char *first_name, *last_name;
    bool enabled, is_public;
};

struct ps_jwt_pair {
    char *access, *refresh; /* owned, terminated */
};

void ps_jwt_pair_deinit(struct ps_jwt_pair *pair);

/** A new session id that began at `now_ms`. */
struct ps_uuid ps_jwt_session_create(int64_t now_ms);
/** When a session began, Unix ms. */
int64_t ps_jwt_session_start_ms(const struct ps_uuid *session);

/** Issue a pair. Returns: PS_OK *out is the caller's to deinit; PS_ENOMEM; PS_EINVAL the key is too
 *  short. Thread: any. */
PS_MUST_CHECK
enum ps_status ps_jwt_issue_pair(const struct ps_jwt_settings *settings,
                                 const struct ps_jwt_subject *subject, int64_t now_ms,
                                 struct ps_jwt_pair *out);

/* What a valid token says. */
struct ps_jwt_claims {
    struct ps_principal principal; /* refresh: only user is set, ids are PS_UUID_NULL */
    struct ps_uuid session;
    bool is_refresh;
    bool enabled, is_public; /* refresh: enabled is true */
    int64_t issued_ms, expires_ms;
    char subject[PS_JWT_SUBJECT_SIZE]; /* email */
};

/**
 * Check signature, times and claims. Revocation is the session registry's.
 *
 * Returns: PS_OK; PS_EPROTO not a token of ours: no JWT, another algorithm or issuer, a claim is
 *          missing; PS_EAUTH bad signature; PS_ETIMEOUT expired (the signature is right).
 *          `out` is untouched on failure.
 * Thread:  any.
 */
PS_MUST_CHECK
enum ps_status ps_jwt_verify(const struct ps_jwt_settings *settings, const char *token, size_t len,
                             int64_t now_ms, struct ps_jwt_claims *out);

#endif
