/* user: people who log in, and how they prove it. */
#ifndef PS_CORE_ENTITY_USER_H
#define PS_CORE_ENTITY_USER_H

#include "core/auth/permission.h"
#include "core/entity/page.h"
#include "core/storage/db.h"
#include "core/text.h"

struct ps_user {
    struct ps_uuid id; /* null = not saved yet */
    int64_t created_ms;
    struct ps_uuid tenant, customer; /* PS_UUID_NULL where none */
    enum ps_authority authority;
    char *email; /* unique over the installation, byte exact */
    char *first_name, *last_name, *phone;
    int64_t version; /* 0 on save = overwrite */
    char *additional_info;
    /* read only, from the credentials */
    bool enabled, activated;
    int64_t last_login_ms; /* 0 = never */
};

struct ps_user_list {
    struct ps_user *items;
    size_t count;
    int64_t total;
};

struct ps_user_credentials {
    struct ps_uuid user;
    bool enabled;
    char *password_hash; /* NULL = not activated yet */
    char *activate_token;
    int64_t activate_expires_ms; /* of activate_token */
    char *reset_token;
    int64_t reset_expires_ms;
    int64_t last_login_ms;
    int64_t failed_logins;
};

void ps_user_deinit(struct ps_user *user);
void ps_user_list_deinit(struct ps_user_list *list);
void ps_user_credentials_deinit(struct ps_user_credentials *credentials);

PS_MUST_CHECK
enum ps_status ps_user_get(struct ps_db *db, const struct ps_uuid *id, struct ps_user *out);
PS_MUST_CHECK
enum ps_status ps_user_find_by_email(struct ps_db *db, const char *email, size_t len,
                                     struct ps_user *out);

/* Which users; null members do not filter. */
struct ps_user_filter {
    struct ps_uuid tenant, customer;
    bool by_authority;
    enum ps_authority authority;
};
/** Sort: createdTime, email, firstName, lastName, authority. Search: email, names. */
PS_MUST_CHECK
enum ps_status ps_user_list(struct ps_db *db, const struct ps_user_filter *filter,
                            const struct ps_page_query *page, struct ps_user_list *out);

/**
 * Create (null id) or replace. A new user is enabled, not activated, and has an activation token
 * for 24 h. On PS_OK id, created_ms, version and the read-only members are those stored.
 *
 * Returns: PS_OK; PS_EEXISTS email taken; PS_EINVAL bad email, tenant or customer missing or
 * foreign, authority, tenant or customer changed; PS_ENOTFOUND; PS_ECONFLICT. `why` is the
 *          contract's message.
 * Thread:  writer. Atomic on its own.
 */
PS_MUST_CHECK
enum ps_status ps_user_save(struct ps_db *db, struct ps_user *user, struct ps_text *why);

/** Returns: PS_OK; PS_ENOTFOUND; PS_EINVAL the tenant's last administrator, `why` says so. */
PS_MUST_CHECK
enum ps_status ps_user_delete(struct ps_db *db, const struct ps_uuid *id, struct ps_text *why);

PS_MUST_CHECK
enum ps_status ps_user_credentials_get(struct ps_db *db, const struct ps_uuid *user,
                                       struct ps_user_credentials *out);
/** The credentials whose activation token this is and has not expired; else PS_ENOTFOUND. */
PS_MUST_CHECK
enum ps_status ps_user_credentials_find_activation(struct ps_db *db, const char *token, size_t len,
                                                   int64_t now_ms, struct ps_user_credentials *out);
PS_MUST_CHECK
enum ps_status ps_user_credentials_find_reset(struct ps_db *db, const char *token, size_t len,
                                              int64_t now_ms, struct ps_user_credentials *out);

/** Set the password (a hash of password.h): activates, drops tokens, clears failures. */
PS_MUST_CHECK
enum ps_status ps_user_set_password(struct ps_db *db, const struct ps_uuid *user,
                                    const char *password_hash);
PS_MUST_CHECK
enum ps_status ps_user_set_enabled(struct ps_db *db, const struct ps_uuid *user, bool enabled);
/** A fresh activation token for 24 h. Returns: PS_OK; PS_ENOTFOUND; PS_EEXISTS already active. */
PS_MUST_CHECK
enum ps_status ps_user_renew_activation(struct ps_db *db, const struct ps_uuid *user,
                                        int64_t now_ms);
PS_MUST_CHECK
enum ps_status ps_user_set_reset_token(struct ps_db *db, const struct ps_uuid *user,
                                       const char *token, int64_t expires_ms);
/** Remember a login: time and zero failures, or one more failure. */
PS_MUST_CHECK
enum ps_status ps_user_note_login(struct ps_db *db, const struct ps_uuid *user, bool succeeded,
                                  int64_t now_ms);

#endif
