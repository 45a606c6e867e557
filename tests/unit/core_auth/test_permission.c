/* Permissions: the matrix of the REST contract, and foreign things that look as if not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/auth/permission.h"

#define ID(n)                                                                                      \
    {                                                                                              \
        .bytes = { [15] = (n) }                                                                    \
    }
#define NONE                                                                                       \
    {                                                                                              \
        .bytes = { 0 }                                                                             \
    }

static const struct ps_principal sysadmin = { PS_SYS_ADMIN, ID(1), NONE, NONE };
static const struct ps_principal tenant = { PS_TENANT_ADMIN, ID(2), ID(10), NONE };
static const struct ps_principal customer = { PS_CUSTOMER_USER, ID(3), ID(10), ID(20) };

static const struct ps_ownership own_tenants = { .tenant = ID(10) };
static const struct ps_ownership other_tenants = { .tenant = ID(11) };
static const struct ps_ownership own_customers = { .tenant = ID(10), .customer = ID(20) };
static const struct ps_ownership other_customers = { .tenant = ID(10), .customer = ID(21) };
static const struct ps_ownership myself = { .tenant = ID(10), .customer = ID(20), .user = ID(3) };
static const struct ps_ownership colleague = { .tenant = ID(10),
                                               .customer = ID(20),
                                               .user = ID(4) };
static const struct ps_ownership nobodys = { .tenant = NONE };

static const struct permission_case {
    const char *name;
    const struct ps_principal *who;
    enum ps_resource resource;
    enum ps_operation operation;
    const struct ps_ownership *owner;
    enum ps_status want;
} cases[] = {
    { "SA makes tenants", &sysadmin, PS_RESOURCE_TENANT, PS_CREATE, &nobodys, PS_OK },
    { "SA deletes any tenant", &sysadmin, PS_RESOURCE_TENANT, PS_DELETE, &own_tenants, PS_OK },
    { "SA has no devices", &sysadmin, PS_RESOURCE_DEVICE, PS_READ, &own_tenants, PS_EDENIED },
    { "SA has no RPC", &sysadmin, PS_RESOURCE_DEVICE, PS_RPC, &own_tenants, PS_EDENIED },
    { "SA has no customers", &sysadmin, PS_RESOURCE_CUSTOMER, PS_READ, &own_customers, PS_EDENIED },
    { "SA has no chains", &sysadmin, PS_RESOURCE_RULE_CHAIN, PS_READ, &own_tenants, PS_EDENIED },
    { "SA changes tenant admins", &sysadmin, PS_RESOURCE_USER, PS_UPDATE, &own_tenants, PS_OK },
    { "SA leaves customer users", &sysadmin, PS_RESOURCE_USER, PS_UPDATE, &colleague, PS_EDENIED },
    { "SA has tenant profiles", &sysadmin, PS_RESOURCE_TENANT_PROFILE, PS_DELETE, &nobodys, PS_OK },

    { "TA reads own tenant", &tenant, PS_RESOURCE_TENANT, PS_READ, &own_tenants, PS_OK },
    { "TA reads its values", &tenant, PS_RESOURCE_TENANT, PS_READ_VALUES, &own_tenants, PS_OK },
    { "TA cannot delete itself", &tenant, PS_RESOURCE_TENANT, PS_DELETE, &own_tenants, PS_EDENIED },
    { "TA sees no other tenant", &tenant, PS_RESOURCE_TENANT, PS_READ, &other_tenants,
      PS_ENOTFOUND },
    { "TA has no tenant profiles", &tenant, PS_RESOURCE_TENANT_PROFILE, PS_READ, &own_tenants,
      PS_EDENIED },
    { "TA deletes devices", &tenant, PS_RESOURCE_DEVICE, PS_DELETE, &other_customers, PS_OK },
    { "TA sees no foreign device", &tenant, PS_RESOURCE_DEVICE, PS_READ, &other_tenants,
      PS_ENOTFOUND },
    { "TA changes chains", &tenant, PS_RESOURCE_RULE_CHAIN, PS_UPDATE, &own_tenants, PS_OK },
    { "TA changes customer users", &tenant, PS_RESOURCE_USER, PS_DELETE, &colleague, PS_OK },
    { "TA has no administrators", &tenant, PS_RESOURCE_USER, PS_READ, &nobodys, PS_ENOTFOUND },

    { "CU reads own device", &customer, PS_RESOURCE_DEVICE, PS_READ, &own_customers, PS_OK },
    { "CU updates own device", &customer, PS_RESOURCE_DEVICE, PS_UPDATE, &own_customers, PS_OK },
    { "CU reads credentials", &customer, PS_RESOURCE_DEVICE, PS_READ_CREDENTIALS, &own_customers,
      PS_OK },
    { "CU writes values", &customer, PS_RESOURCE_DEVICE, PS_WRITE_VALUES, &own_customers, PS_OK },
    { "CU sends RPC", &customer, PS_RESOURCE_DEVICE, PS_RPC, &own_customers, PS_OK },
    { "CU makes no device", &customer, PS_RESOURCE_DEVICE, PS_CREATE, &own_customers, PS_EDENIED },
    { "CU deletes no device", &customer, PS_RESOURCE_DEVICE, PS_DELETE, &own_customers,
      PS_EDENIED },
    { "CU assigns no device", &customer, PS_RESOURCE_DEVICE, PS_ASSIGN, &own_customers,
      PS_EDENIED },
    { "CU writes no credentials", &customer, PS_RESOURCE_DEVICE, PS_WRITE_CREDENTIALS,
      &own_customers, PS_EDENIED },
    { "CU may not touch others'", &customer, PS_RESOURCE_DEVICE, PS_READ, &other_customers,
      PS_EDENIED },
    { "CU may not touch unassigned", &customer, PS_RESOURCE_DEVICE, PS_READ, &own_tenants,
      PS_EDENIED },
    { "CU sees no foreign device", &customer, PS_RESOURCE_DEVICE, PS_READ, &other_tenants,
      PS_ENOTFOUND },
    { "CU reads profile infos", &customer, PS_RESOURCE_DEVICE_PROFILE, PS_READ_INFO, &own_tenants,
      PS_OK },
    { "CU reads no profile", &customer, PS_RESOURCE_DEVICE_PROFILE, PS_READ, &own_tenants,
      PS_EDENIED },
    { "CU reads own customer", &customer, PS_RESOURCE_CUSTOMER, PS_READ, &own_customers, PS_OK },
    { "CU writes no customer", &customer, PS_RESOURCE_CUSTOMER, PS_UPDATE, &own_customers,
      PS_EDENIED },
    { "CU reads colleagues", &customer, PS_RESOURCE_USER, PS_READ, &colleague, PS_OK },
    { "CU changes itself", &customer, PS_RESOURCE_USER, PS_UPDATE, &myself, PS_OK },
    { "CU changes no colleague", &customer, PS_RESOURCE_USER, PS_UPDATE, &colleague, PS_EDENIED },
    { "CU has no chains", &customer, PS_RESOURCE_RULE_CHAIN, PS_READ, &own_tenants, PS_EDENIED },
};

static void everybody_may_what_the_contract_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct permission_case *c = &cases[i];
        enum ps_status st = ps_permission_check(c->who, c->resource, c->operation, c->owner);
        if (st != c->want)
            print_error("%s: %s\n", c->name, ps_status_text(st));
        assert_int_equal(st, c->want);
    }
}

static void authorities_have_their_names(void **state)
{
    (void)state;
    for (int i = PS_SYS_ADMIN; i <= PS_CUSTOMER_USER; i++) {
        enum ps_authority back;
        const char *name = ps_authority_name((enum ps_authority)i);
        assert_int_equal(ps_authority_parse(name, strlen(name), &back), PS_OK);
        assert_int_equal(back, i);
    }
    enum ps_authority back;
    assert_int_equal(ps_authority_parse("sys_admin", 9, &back), PS_EINVAL);
    assert_int_equal(ps_authority_parse("REFRESH_TOKEN", 13, &back), PS_EINVAL);
    assert_int_equal(ps_authority_parse("", 0, &back), PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_may_what_the_contract_says),
        cmocka_unit_test(authorities_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
