/* password: argon2id through libargon2; the encoded form is the PHC string format. */
#include "core/auth/password.h"

#include <stdint.h>
#include <string.h>

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "core/utf8.h"

enum { SALT_BYTES = 16, HASH_BYTES = 32, DOS_LEN_MAX = 4096 };

enum ps_status ps_password_hash(const char *password, size_t len, char out[PS_PASSWORD_HASH_SIZE])
{
    unsigned char salt[SALT_BYTES];
    int got = RAND_bytes(salt, sizeof salt);
    PS_ASSERT(got == 1);
    int rc = argon2id_hash_encoded(PS_PASSWORD_PASSES, PS_PASSWORD_MEMORY_KIB, PS_PASSWORD_LANES,
                                   password, len, salt, sizeof salt, HASH_BYTES, out,
                                   PS_PASSWORD_HASH_SIZE);
    if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
        return PS_ENOMEM;
    PS_ASSERT(rc == ARGON2_OK);
    return PS_OK;
}

enum ps_status ps_password_verify(const char *hash, const char *password, size_t len)
{
    if (len > DOS_LEN_MAX)
        return PS_EAUTH;
    int rc = argon2id_verify(hash, password, len);
    if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
        return PS_ENOMEM;
    return rc == ARGON2_OK ? PS_OK : PS_EAUTH;
}

void ps_password_verify_dummy(const char *password, size_t len)
{
    static const unsigned char salt[SALT_BYTES] = "nobody's salt..";
    unsigned char hash[HASH_BYTES];
    if (len > DOS_LEN_MAX)
        return;
    (void)argon2id_hash_raw(PS_PASSWORD_PASSES, PS_PASSWORD_MEMORY_KIB, PS_PASSWORD_LANES, password,
                            len, salt, sizeof salt, hash, sizeof hash);
    OPENSSL_cleanse(hash, sizeof hash);
}

/* Characters, where a byte that is no UTF-8 counts as one. */
static size_t character_count(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; count++) {
        size_t bad = 1;
        size_t n = ps_utf8_sequence(text + i, len - i, &bad);
        i += n > 0 ? n : bad;
    }
    return count;
}

enum ps_status ps_password_check_policy(const char *password, size_t len, struct ps_text *why)
{
    size_t count = character_count(password, len);
    if (count < PS_PASSWORD_LEN_MIN) {
        ps_text_set(why, "Password must be at least %d characters long!", PS_PASSWORD_LEN_MIN);
        return PS_EINVAL;
    }
    if (count > PS_PASSWORD_LEN_MAX) {
        ps_text_set(why, "Password must be no more than %d characters long!", PS_PASSWORD_LEN_MAX);
        return PS_EINVAL;
    }
    return PS_OK;
}
