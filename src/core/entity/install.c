#include "core/entity/install.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/auth/password.h"
#include "core/clock.h"
#include "core/entity/demo_data.h"
#include "core/entity/random_text.h"
#include "core/entity/row.h"
#include "core/entity/setting.h"
#include "core/entity/user.h"

static const char jwt_key_setting[] = "jwt.signing_key";
static const char demo_setting[] = "install.demo_data";

enum { JWT_KEY_TEXT_LEN = (PS_INSTALL_JWT_KEY_SIZE + 2) / 3 * 4 };

static const char unlimited_profile[] =
    "{\"configuration\":{\"type\":\"DEFAULT\",\"maxDevices\":0,\"maxAssets\":0,\"maxCustomers\":0,"
    "\"maxUsers\":0,\"maxDashboards\":0,\"maxRuleChains\":0,\"transportTenantMsgRateLimit\":null,"
    "\"transportDeviceMsgRateLimit\":null,\"tenantServerRestLimitsConfiguration\":null,"
    "\"customerServerRestLimitsConfiguration\":null,\"maxWsSessionsPerTenant\":0,"
    "\"maxWsSessionsPerCustomer\":0,\"maxWsSessionsPerRegularUser\":0,"
    "\"maxWsSessionsPerPublicUser\":0,\"wsMsgQueueLimitPerSession\":0,"
    "\"maxWsSubscriptionsPerTenant\":0,\"maxWsSubscriptionsPerCustomer\":0,"
    "\"maxWsSubscriptionsPerRegularUser\":0,\"maxWsSubscriptionsPerPublicUser\":0,"
    "\"wsUpdatesPerSessionRateLimit\":null,\"defaultStorageTtlDays\":0,\"alarmsTtlDays\":0,"
    "\"rpcTtlDays\":0,\"maxDebugModeDurationMinutes\":15},\"queueConfiguration\":null}";

static enum ps_status create_tenant_profile(struct ps_db *db)
{
    struct ps_args args;
    struct ps_uuid id = ps_uuid_random();
    enum ps_status st =
        ps_args_prepare(db,
                        "INSERT INTO tenant_profile(id, created_ms, profile_data, name,"
                        " description, is_default, version)"
                        " VALUES(?, ?, ?, 'Default', 'Default tenant profile', 1, 1)"
                        " ON CONFLICT(name) DO NOTHING",
                        &args);
    if (st != PS_OK)
        return st;
    ps_args_uuid(&args, &id);
    ps_args_int(&args, ps_clock_now_ms());
    ps_args_text(&args, unlimited_profile);
    return ps_stmt_run(args.stmt);
}

/* PS_OK or PS_ENOTFOUND. */
static enum ps_status has_setting(struct ps_db *db, const char *key)
{
    struct ps_buf value = { 0 };
    enum ps_status st = ps_setting_get(db, key, &value);
    if (value.len > 0)
        OPENSSL_cleanse(value.data, value.len);
    ps_buf_deinit(&value);
    return st;
}

static enum ps_status create_jwt_key(struct ps_db *db)
{
    unsigned char key[PS_INSTALL_JWT_KEY_SIZE], text[JWT_KEY_TEXT_LEN + 1];
    enum ps_status st = has_setting(db, jwt_key_setting);
    if (st != PS_ENOTFOUND)
        return st;
    int got = RAND_bytes(key, sizeof key);
    PS_ASSERT(got == 1);
    EVP_EncodeBlock(text, key, sizeof key);
    st = ps_setting_put(db, jwt_key_setting, text, JWT_KEY_TEXT_LEN);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(text, sizeof text);
    return st;
}

static enum ps_status create_id(struct ps_db *db)
{
    char text[PS_UUID_TEXT_SIZE];
    enum ps_status st = has_setting(db, PS_INSTALL_ID_SETTING);
    if (st != PS_ENOTFOUND)
        return st;
    struct ps_uuid id = ps_uuid_random();
    ps_uuid_format(&id, text);
    return ps_setting_put(db, PS_INSTALL_ID_SETTING, text, strlen(text));
}

enum ps_status ps_install_jwt_key(struct ps_db *db, unsigned char out[PS_INSTALL_JWT_KEY_SIZE])
{
    struct ps_buf text = { 0 };
    unsigned char key[JWT_KEY_TEXT_LEN / 4 * 3]; /* with what the padding decodes to */
    enum ps_status st = ps_setting_get(db, jwt_key_setting, &text);
    if (st == PS_OK) {
        bool is_key = text.len == JWT_KEY_TEXT_LEN &&
                      EVP_DecodeBlock(key, (const unsigned char *)text.data, JWT_KEY_TEXT_LEN) ==
                          (int)sizeof key;
        st = is_key ? PS_OK : PS_ESTORE;
    }
    if (st == PS_OK)
        memcpy(out, key, PS_INSTALL_JWT_KEY_SIZE);
    OPENSSL_cleanse(key, sizeof key);
    if (text.len > 0)
        OPENSSL_cleanse(text.data, text.len);
    ps_buf_deinit(&text);
    return st;
}

static enum ps_status has_sysadmin(struct ps_db *db)
{
    struct ps_args args;
    bool found;
    enum ps_status st = ps_args_prepare(db, "SELECT 1 FROM app_user WHERE authority = ?", &args);
    if (st != PS_OK)
        return st;
    ps_args_int(&args, PS_SYS_ADMIN);
    st = ps_stmt_step(args.stmt, &found);
    if (st != PS_OK)
        return st;
    ps_stmt_reset(args.stmt);
    return found ? PS_OK : PS_ENOTFOUND;
}

static enum ps_status create_sysadmin(struct ps_db *db, const char *password)
{
    struct ps_user user = { .authority = PS_SYS_ADMIN };
    char hash[PS_PASSWORD_HASH_SIZE];
    user.email = strdup(PS_INSTALL_SYSADMIN_EMAIL);
    enum ps_status st = user.email ? ps_user_save(db, &user, NULL) : PS_ENOMEM;
    if (st == PS_OK)
        st = ps_password_hash(password, strlen(password), hash);
    if (st == PS_OK)
        st = ps_user_set_password(db, &user.id, hash);
    ps_user_deinit(&user);
    return st;
}

static enum ps_status install_sysadmin(struct ps_db *db, bool demo,
                                       char password[PS_INSTALL_PASSWORD_SIZE])
{
    enum ps_status st = has_sysadmin(db);
    if (st != PS_ENOTFOUND)
        return st;
    if (demo)
        return create_sysadmin(db, "sysadmin");
    char generated[PS_INSTALL_PASSWORD_SIZE];
    ps_random_text(generated, sizeof generated);
    st = create_sysadmin(db, generated);
    if (st == PS_OK)
        memcpy(password, generated, sizeof generated);
    OPENSSL_cleanse(generated, sizeof generated);
    return st;
}

static enum ps_status install_demo(struct ps_db *db)
{
    enum ps_status st = has_setting(db, demo_setting);
    if (st != PS_ENOTFOUND)
        return st;
    st = ps_demo_data_create(db);
    return st == PS_OK ? ps_setting_put(db, demo_setting, "1", 1) : st;
}

static enum ps_status install_all(struct ps_db *db, bool demo,
                                  char password[PS_INSTALL_PASSWORD_SIZE])
{
    enum ps_status st = create_tenant_profile(db);
    if (st == PS_OK)
        st = create_jwt_key(db);
    if (st == PS_OK)
        st = create_id(db);
    if (st == PS_OK)
        st = install_sysadmin(db, demo, password);
    if (st == PS_OK && demo)
        st = install_demo(db);
    return st;
}

enum ps_status ps_install(struct ps_db *db, bool demo, char password[PS_INSTALL_PASSWORD_SIZE])
{
    password[0] = '\0';
    enum ps_status st = ps_db_savepoint(db);
    if (st != PS_OK)
        return st;
    st = ps_row_finish(db, install_all(db, demo, password));
    if (st != PS_OK)
        password[0] = '\0'; /* of an account that is not there */
    return st;
}
