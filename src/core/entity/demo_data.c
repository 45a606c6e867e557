#include "core/entity/demo_data.h"

#include <string.h>

#include "core/auth/password.h"
#include "core/clock.h"
#include "core/entity/attribute.h"
#include "core/entity/customer.h"
#include "core/entity/default_chain.h"
#include "core/entity/device.h"
#include "core/entity/tenant.h"
#include "core/entity/user.h"

enum { CUSTOMER_A, CUSTOMER_B, CUSTOMER_C, CUSTOMERS, NO_CUSTOMER = CUSTOMERS };

static const char *const customer_titles[CUSTOMERS] = { "Customer A", "Customer B", "Customer C" };

static const struct account_row {
    const char *email, *password;
    enum ps_authority authority;
    int customer;
} account_rows[] = {
    { "tenant@thingsboard.org", "tenant", PS_TENANT_ADMIN, NO_CUSTOMER },
    { "customer@thingsboard.org", "customer", PS_CUSTOMER_USER, CUSTOMER_A },
    { "customerA@thingsboard.org", "customer", PS_CUSTOMER_USER, CUSTOMER_A },
    { "customerB@thingsboard.org", "customer", PS_CUSTOMER_USER, CUSTOMER_B },
    { "customerC@thingsboard.org", "customer", PS_CUSTOMER_USER, CUSTOMER_C },
};

static const struct device_row {
    const char *name, *token, *type;
    int customer;
    const char *additional_info;
} device_rows[] = {
    { "Test Device A1", "A1_TEST_TOKEN", "default", CUSTOMER_A, NULL },
    { "Test Device A2", "A2_TEST_TOKEN", "default", CUSTOMER_A, NULL },
    { "Test Device A3", "A3_TEST_TOKEN", "default", CUSTOMER_A, NULL },
    { "Test Device B1", "B1_TEST_TOKEN", "default", CUSTOMER_B, NULL },
    { "Test Device C1", "C1_TEST_TOKEN", "default", CUSTOMER_C, NULL },
    { "DHT11 Demo Device", "DHT11_DEMO_TOKEN", "default", NO_CUSTOMER,
      "{\"description\":\"For examples that read a DHT11 temperature and humidity sensor\"}" },
    { "Raspberry Pi Demo Device", "RASPBERRY_PI_DEMO_TOKEN", "default", NO_CUSTOMER,
      "{\"description\":\"For examples that run on a Raspberry Pi\"}" },
    { "Thermostat T1", "T1_TEST_TOKEN", "thermostat", NO_CUSTOMER, NULL },
    { "Thermostat T2", "T2_TEST_TOKEN", "thermostat", NO_CUSTOMER, NULL },
};

static const struct thermostat_row {
    const char *name;
    double latitude, longitude;
    int64_t temperature_threshold, humidity_threshold;
} thermostat_rows[] = {
    { "Thermostat T1", 37.3948, -122.1503, 20, 50 },
    { "Thermostat T2", 37.493801, -121.948769, 25, 30 },
};

/* One condition "flag is true" and one "value against threshold attribute". */
#define FLAG(name)                                                                                 \
    "{\"key\":{\"type\":\"ATTRIBUTE\",\"key\":\"" name "\"},\"valueType\":\"BOOLEAN\","            \
    "\"value\":null,\"predicate\":{\"type\":\"BOOLEAN\",\"operation\":\"EQUAL\","                  \
    "\"value\":{\"defaultValue\":true,\"userValue\":null,\"dynamicValue\":null}}}"
#define COMPARE(key, operation, threshold)                                                         \
    "{\"key\":{\"type\":\"TIME_SERIES\",\"key\":\"" key "\"},\"valueType\":\"NUMERIC\","           \
    "\"value\":null,\"predicate\":{\"type\":\"NUMERIC\",\"operation\":\"" operation "\","          \
    "\"value\":{\"defaultValue\":0,\"userValue\":null,\"dynamicValue\":{\"sourceType\":"           \
    "\"CURRENT_DEVICE\",\"sourceAttribute\":\"" threshold "\",\"inherit\":false}}}}"
#define RULE(conditions, details)                                                                  \
    "{\"condition\":{\"condition\":[" conditions "],\"spec\":{\"type\":\"SIMPLE\"}},"              \
    "\"schedule\":null,\"alarmDetails\":" details ",\"dashboardId\":null}"
#define ALARM(id, type, severity, flag, key, raise, clear, threshold, details)                     \
    "{\"id\":\"" id "\",\"alarmType\":\"" type "\",\"createRules\":{\"" severity                   \
    "\":" RULE(FLAG(flag) "," COMPARE(key, raise, threshold), details) "},\"clearRule\":" RULE(    \
        COMPARE(key, clear, threshold),                                                            \
        details) ",\"propagate\":false,\"propagateToOwner\":false,"                                \
                 "\"propagateToTenant\":false,"                                                    \
                 "\"propagateRelationTypes\":null}"

static const char thermostat_data[] =
    "{\"configuration\":{\"type\":\"DEFAULT\"},\"transportConfiguration\":{\"type\":"
    "\"DEFAULT\"},"
    "\"provisionConfiguration\":{\"type\":\"DISABLED\",\"provisionDeviceSecret\":null},"
    "\"alarms\":[" ALARM(
        "highTemperatureAlarm", "High Temperature", "MAJOR", "temperatureAlarmFlag", "temperature",
        "GREATER", "LESS_OR_EQUAL", "temperatureAlarmThreshold",
        "\"Current temperature = ${temperature}\"") "," ALARM("lowHumidityAlarm", "Low Humidity",
                                                              "MINOR", "humidityAlarmFlag",
                                                              "humidity", "LESS",
                                                              "GREATER_OR_EQUAL",
                                                              "humidityAlarmThreshold",
                                                              "\"Current humidity = "
                                                              "${humidity}\"") "]}";

/* Owned by the entity it is put in; NULL stays NULL. */
static enum ps_status copy(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return text && !*out ? PS_ENOMEM : PS_OK;
}

static enum ps_status create_tenant(struct ps_db *db, struct ps_uuid *out)
{
    struct ps_tenant tenant = { 0 };
    enum ps_status st = copy(&tenant.title, "Tenant");
    if (st == PS_OK)
        st = copy(&tenant.region, "Global");
    if (st == PS_OK)
        st = ps_tenant_save(db, &tenant, NULL);
    *out = tenant.id;
    ps_tenant_deinit(&tenant);
    return st;
}

static enum ps_status create_customers(struct ps_db *db, const struct ps_uuid *tenant,
                                       struct ps_uuid ids[CUSTOMERS + 1])
{
    enum ps_status st = PS_OK;
    for (size_t i = 0; i < CUSTOMERS && st == PS_OK; i++) {
        struct ps_customer customer = { .tenant = *tenant };
        st = copy(&customer.title, customer_titles[i]);
        if (st == PS_OK)
            st = ps_customer_save(db, &customer, NULL);
        ids[i] = customer.id;
        ps_customer_deinit(&customer);
    }
    ids[NO_CUSTOMER] = PS_UUID_NULL;
    return st;
}

static enum ps_status create_account(struct ps_db *db, const struct ps_uuid *tenant,
                                     const struct ps_uuid *customer, const struct account_row *row)
{
    struct ps_user user = { .tenant = *tenant, .customer = *customer, .authority = row->authority };
    char hash[PS_PASSWORD_HASH_SIZE];
    enum ps_status st = copy(&user.email, row->email);
    if (st == PS_OK)
        st = ps_user_save(db, &user, NULL);
    if (st == PS_OK)
        st = ps_password_hash(row->password, strlen(row->password), hash);
    if (st == PS_OK)
        st = ps_user_set_password(db, &user.id, hash);
    ps_user_deinit(&user);
    return st;
}

static enum ps_status create_thermostat_profile(struct ps_db *db, const struct ps_uuid *tenant)
{
    struct ps_device_profile profile = { .tenant = *tenant };
    enum ps_status st =
        ps_default_chain_create(db, tenant, "Thermostat", false, &profile.default_rule_chain);
    if (st == PS_OK)
        st = copy(&profile.name, "thermostat");
    if (st == PS_OK)
        st = copy(&profile.description, "Thermostat device profile");
    if (st == PS_OK)
        st = copy(&profile.profile_data, thermostat_data);
    if (st == PS_OK)
        st = ps_device_profile_save(db, &profile, NULL);
    ps_device_profile_deinit(&profile);
    return st;
}

static enum ps_status create_device(struct ps_db *db, const struct ps_uuid *tenant,
                                    const struct ps_uuid *customer, const struct device_row *row)
{
    struct ps_device device = { .tenant = *tenant, .customer = *customer };
    struct ps_credentials credentials = { .type = PS_CREDENTIALS_ACCESS_TOKEN };
    enum ps_status st = copy(&device.name, row->name);
    if (st == PS_OK)
        st = copy(&device.type, row->type);
    if (st == PS_OK)
        st = copy(&device.additional_info, row->additional_info);
    if (st == PS_OK)
        st = copy(&credentials.credentials_id, row->token);
    if (st == PS_OK)
        st = ps_device_save(db, &device, &credentials, NULL);
    ps_credentials_deinit(&credentials);
    ps_device_deinit(&device);
    return st;
}

#define KEY(name) .key = (name), .key_len = sizeof(name) - 1

static enum ps_status put_thermostat_attributes(struct ps_db *db, const struct ps_uuid *tenant,
                                                const struct thermostat_row *row)
{
    struct ps_device device;
    const struct ps_kv kvs[] = {
        { KEY("latitude"), { .type = PS_VALUE_DOUBLE, .real = row->latitude } },
        { KEY("longitude"), { .type = PS_VALUE_DOUBLE, .real = row->longitude } },
        { KEY("temperatureAlarmFlag"), { .type = PS_VALUE_BOOLEAN, .boolean = true } },
        { KEY("humidityAlarmFlag"), { .type = PS_VALUE_BOOLEAN, .boolean = true } },
        { KEY("temperatureAlarmThreshold"),
          { .type = PS_VALUE_LONG, .integer = row->temperature_threshold } },
        { KEY("humidityAlarmThreshold"),
          { .type = PS_VALUE_LONG, .integer = row->humidity_threshold } },
    };
    enum ps_status st = ps_device_find_by_name(db, tenant, row->name, strlen(row->name), &device);
    if (st != PS_OK)
        return st;
    struct ps_entity_id entity = { PS_ENTITY_DEVICE, device.id };
    ps_device_deinit(&device);
    int64_t now_ms = ps_clock_now_ms();
    for (size_t i = 0; i < sizeof kvs / sizeof *kvs && st == PS_OK; i++)
        st = ps_attribute_put(db, &entity, PS_SCOPE_SERVER, &kvs[i], now_ms);
    return st;
}

enum ps_status ps_demo_data_create(struct ps_db *db)
{
    struct ps_uuid tenant, customers[CUSTOMERS + 1];
    enum ps_status st = create_tenant(db, &tenant);
    if (st == PS_OK)
        st = create_customers(db, &tenant, customers);
    for (size_t i = 0; i < sizeof account_rows / sizeof *account_rows && st == PS_OK; i++)
        st = create_account(db, &tenant, &customers[account_rows[i].customer], &account_rows[i]);
    if (st == PS_OK)
        st = create_thermostat_profile(db, &tenant);
    for (size_t i = 0; i < sizeof device_rows / sizeof *device_rows && st == PS_OK; i++)
        st = create_device(db, &tenant, &customers[device_rows[i].customer], &device_rows[i]);
    for (size_t i = 0; i < sizeof thermostat_rows / sizeof *thermostat_rows && st == PS_OK; i++)
        st = put_thermostat_attributes(db, &tenant, &thermostat_rows[i]);
    return st;
}
