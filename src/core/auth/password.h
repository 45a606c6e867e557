/* password: argon2id hashes of passwords.
 *
 * 9 MiB and 4 passes are one of the settings OWASP lists as equally strong; it is the memory that a
 * small board has to spare for a few logins at once. The encoded hash carries its parameters, so
 * changing them here leaves old hashes valid. */
#ifndef PS_CORE_AUTH_PASSWORD_H
#define PS_CORE_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "core/text.h"

enum {
    PS_PASSWORD_MEMORY_KIB = 9216,
    PS_PASSWORD_PASSES = 4,
    PS_PASSWORD_LANES = 1,
    PS_PASSWORD_HASH_SIZE = 128, /* encoded text and terminator */
    PS_PASSWORD_LEN_MIN = 6,     /* characters, by the policy */
    PS_PASSWORD_LEN_MAX = 72,
};

/** Returns: PS_OK `out` holds the encoded hash; PS_ENOMEM. Takes tens of milliseconds.
 *  Thread: any that may be busy. */
PS_MUST_CHECK
enum ps_status ps_password_hash(const char *password, size_t len, char out[PS_PASSWORD_HASH_SIZE]);
/** Returns: PS_OK it is the password; PS_EAUTH it is not, or the hash is damaged; PS_ENOMEM. */
PS_MUST_CHECK
enum ps_status ps_password_verify(const char *hash, const char *password, size_t len);
/** For an unknown user: takes as long as ps_password_verify(), never succeeds. */
void ps_password_verify_dummy(const char *password, size_t len);

/** The password policy. Returns: PS_OK; PS_EINVAL `why` is the message. */
PS_MUST_CHECK
enum ps_status ps_password_check_policy(const char *password, size_t len, struct ps_text *why);

#endif
