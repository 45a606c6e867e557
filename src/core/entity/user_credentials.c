/* user_credentials: password, activation and reset of a user. */
#include <stdlib.h>

#include "core/entity/random_text.h"
#include "core/entity/row.h"
#include "core/entity/user.h"
#include "core/entity/user_row.h"

enum { ACTIVATION_TOKEN_SIZE = 31, ACTIVATION_LIFE_MS = 24 * 3600 * 1000 };

#define SELECT                                                                                     \
    "SELECT user_id, enabled, password_hash, activate_token, activate_expires_ms, reset_token,"    \
    " reset_expires_ms, last_login_ms, failed_logins FROM user_credentials"

void ps_user_credentials_deinit(struct ps_user_credentials *credentials)
{
    free(credentials->password_hash);
    free(credentials->activate_token);
    free(credentials->reset_token);
    *credentials = (struct ps_user_credentials){ 0 };
}

static enum ps_status read_credentials(struct ps_row *row, void *out)
{
    struct ps_user_credentials credentials = { .user = ps_row_uuid(row) };
    credentials.enabled = ps_row_int(row) != 0;
    credentials.password_hash = ps_row_text(row);
    credentials.activate_token = ps_row_text(row);
    credentials.activate_expires_ms = ps_row_int(row);
    credentials.reset_token = ps_row_text(row);
    credentials.reset_expires_ms = ps_row_int(row);
    credentials.last_login_ms = ps_row_int(row);
    credentials.failed_logins = ps_row_int(row);
    if (row->failed) {
        ps_user_credentials_deinit(&credentials);
        return PS_ENOMEM;
    }
    *(struct ps_user_credentials *)out = credentials;
    return PS_OK;
}

enum ps_status ps_user_credentials_get(struct ps_db *db, const struct ps_uuid *user,
                                       struct ps_user_credentials *out)
{
    return ps_row_find_by_id(db, SELECT " WHERE user_id = ?", user, read_credentials, out);
}

static enum ps_status find_by_token(struct ps_db *db, const char *sql, const char *token,
                                    size_t len, int64_t now_ms, struct ps_user_credentials *out)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(db, sql, &args);
    if (st != PS_OK)
        return st;
    ps_stmt_bind_text(args.stmt, 1, token, len);
    ps_stmt_bind_int(args.stmt, 2, now_ms);
    return ps_row_find(args.stmt, read_credentials, out);
}

enum ps_status ps_user_credentials_find_activation(struct ps_db *db, const char *token, size_t len,
                                                   int64_t now_ms, struct ps_user_credentials *out)
{
    return find_by_token(db, SELECT " WHERE activate_token = ? AND activate_expires_ms > ?", token,
                         len, now_ms, out);
}

enum ps_status ps_user_credentials_find_reset(struct ps_db *db, const char *token, size_t len,
                                              int64_t now_ms, struct ps_user_credentials *out)
{
    return find_by_token(db, SELECT " WHERE reset_token = ? AND reset_expires_ms > ?", token, len,
                         now_ms, out);
}

enum ps_status ps_user_credentials_insert(struct ps_db *db, const struct ps_uuid *user,
                                          int64_t now_ms)
{
    struct ps_args args;
    char token[ACTIVATION_TOKEN_SIZE];
    enum ps_status st = ps_args_prepare(
        db,
        "INSERT INTO user_credentials(user_id, enabled, activate_token, activate_expires_ms,"
        " reset_expires_ms, last_login_ms, failed_logins) VALUES(?, 1, ?, ?, 0, 0, 0)",
        &args);
    if (st != PS_OK)
        return st;
    ps_random_text(token, sizeof token);
    ps_args_uuid(&args, user);
    ps_args_text(&args, token);
    ps_args_int(&args, now_ms + ACTIVATION_LIFE_MS);
    return ps_stmt_run(args.stmt);
}

static enum ps_status run_change(struct ps_db *db, struct ps_args *args)
{
    enum ps_status st = ps_stmt_run(args->stmt);
    return st == PS_OK && ps_db_changes(db) == 0 ? PS_ENOTFOUND : st;
}

enum ps_status ps_user_set_password(struct ps_db *db, const struct ps_uuid *user,
                                    const char *password_hash)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        db,
        "UPDATE user_credentials SET password_hash = ?, activate_token = NULL,"
        " activate_expires_ms = 0, reset_token = NULL, reset_expires_ms = 0, failed_logins = 0"
        " WHERE user_id = ?",
        &args);
    if (st != PS_OK)
        return st;
    ps_args_text(&args, password_hash);
    ps_args_uuid(&args, user);
    return run_change(db, &args);
}

enum ps_status ps_user_set_enabled(struct ps_db *db, const struct ps_uuid *user, bool enabled)
{
    struct ps_args args;
    enum ps_status st =
        ps_args_prepare(db, "UPDATE user_credentials SET enabled = ? WHERE user_id = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_int(&args, enabled);
    ps_args_uuid(&args, user);
    return run_change(db, &args);
}

enum ps_status ps_user_renew_activation(struct ps_db *db, const struct ps_uuid *user,
                                        int64_t now_ms)
{
    struct ps_args args;
    char token[ACTIVATION_TOKEN_SIZE];
    enum ps_status st =
        ps_args_prepare(db,
                        "UPDATE user_credentials SET activate_token = ?, activate_expires_ms = ?"
                        " WHERE user_id = ? AND password_hash IS NULL",
                        &args);
    if (st != PS_OK)
        return st;
    ps_random_text(token, sizeof token);
    ps_args_text(&args, token);
    ps_args_int(&args, now_ms + ACTIVATION_LIFE_MS);
    ps_args_uuid(&args, user);
    st = run_change(db, &args);
    if (st != PS_ENOTFOUND)
        return st;
    st = ps_row_exists(db, "SELECT 1 FROM user_credentials WHERE user_id = ?", user, NULL);
    return st == PS_OK ? PS_EEXISTS : st;
}

enum ps_status ps_user_set_reset_token(struct ps_db *db, const struct ps_uuid *user,
                                       const char *token, int64_t expires_ms)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        db, "UPDATE user_credentials SET reset_token = ?, reset_expires_ms = ? WHERE user_id = ?",
        &args);
    if (st != PS_OK)
        return st;
    ps_args_text(&args, token);
    ps_args_int(&args, expires_ms);
    ps_args_uuid(&args, user);
    return run_change(db, &args);
}

enum ps_status ps_user_note_login(struct ps_db *db, const struct ps_uuid *user, bool succeeded,
                                  int64_t now_ms)
{
    struct ps_args args;
    enum ps_status st = ps_args_prepare(
        db,
        succeeded ? "UPDATE user_credentials SET last_login_ms = ?, failed_logins = 0"
                    " WHERE user_id = ?"
                  : "UPDATE user_credentials SET failed_logins = failed_logins + 1"
                    " WHERE user_id = ?",
        &args);
    if (st != PS_OK)
        return st;
    if (succeeded)
        ps_args_int(&args, now_ms);
    ps_args_uuid(&args, user);
    return run_change(db, &args);
}
