/* permission: the matrix of section 5 as bits, then whose the entity is. */
#include "core/auth/permission.h"

#include <string.h>

static const char *const authority_names[] = {
    [PS_SYS_ADMIN] = "SYS_ADMIN",
    [PS_TENANT_ADMIN] = "TENANT_ADMIN",
    [PS_CUSTOMER_USER] = "CUSTOMER_USER",
};

const char *ps_authority_name(enum ps_authority authority)
{
    return authority_names[authority];
}

enum ps_status ps_authority_parse(const char *text, size_t len, enum ps_authority *out)
{
    for (size_t i = 0; i < sizeof authority_names / sizeof *authority_names; i++) {
        if (strlen(authority_names[i]) == len && memcmp(authority_names[i], text, len) == 0) {
            *out = (enum ps_authority)i;
            return PS_OK;
        }
    }
    return PS_EINVAL;
}

#define BIT(operation) (1u << (operation))
#define ALL 0xffffffffu
#define LOOK (BIT(PS_READ) | BIT(PS_READ_INFO))

/* A cell that is not named is "no". */
static const unsigned allowed[][PS_RESOURCE_RULE_CHAIN + 1] = {
    [PS_SYS_ADMIN] = {
        [PS_RESOURCE_TENANT] = ALL,
        [PS_RESOURCE_TENANT_PROFILE] = ALL,
        [PS_RESOURCE_USER] = ALL,
    },
    [PS_TENANT_ADMIN] = {
        [PS_RESOURCE_TENANT] = LOOK | BIT(PS_READ_VALUES),
        [PS_RESOURCE_USER] = ALL,
        [PS_RESOURCE_CUSTOMER] = ALL,
        [PS_RESOURCE_DEVICE] = ALL,
        [PS_RESOURCE_DEVICE_PROFILE] = ALL,
        [PS_RESOURCE_RULE_CHAIN] = ALL,
    },
    [PS_CUSTOMER_USER] = {
        [PS_RESOURCE_USER] = LOOK | BIT(PS_UPDATE),
        [PS_RESOURCE_CUSTOMER] = LOOK | BIT(PS_READ_VALUES),
        [PS_RESOURCE_DEVICE] = LOOK | BIT(PS_UPDATE) | BIT(PS_READ_CREDENTIALS) |
                               BIT(PS_READ_VALUES) | BIT(PS_WRITE_VALUES) | BIT(PS_RPC),
        [PS_RESOURCE_DEVICE_PROFILE] = BIT(PS_READ_INFO),
    },
};

bool ps_permission_has(enum ps_authority authority, enum ps_resource resource,
                       enum ps_operation operation)
{
    return (allowed[authority][resource] & BIT(operation)) != 0;
}

/* Profiles belong to the tenant alone; all else must be the customer's, and of the users only
 * oneself may be changed. */
static bool is_customers(const struct ps_principal *principal, enum ps_resource resource,
                         enum ps_operation operation, const struct ps_ownership *owner)
{
    if (resource == PS_RESOURCE_DEVICE_PROFILE)
        return true;
    if (resource == PS_RESOURCE_USER && operation == PS_UPDATE)
        return ps_uuid_equal(&owner->user, &principal->user);
    return !ps_uuid_is_null(&owner->customer) &&
           ps_uuid_equal(&owner->customer, &principal->customer);
}

enum ps_status ps_permission_check(const struct ps_principal *principal, enum ps_resource resource,
                                   enum ps_operation operation, const struct ps_ownership *owner)
{
    if (!ps_permission_has(principal->authority, resource, operation))
        return PS_EDENIED;
    if (principal->authority == PS_SYS_ADMIN) {
        bool is_customer_user = resource == PS_RESOURCE_USER && !ps_uuid_is_null(&owner->customer);
        return is_customer_user ? PS_EDENIED : PS_OK;
    }
    if (ps_uuid_is_null(&owner->tenant) || !ps_uuid_equal(&owner->tenant, &principal->tenant))
        return PS_ENOTFOUND;
    if (principal->authority == PS_CUSTOMER_USER &&
        !is_customers(principal, resource, operation, owner))
        return PS_EDENIED;
    return PS_OK;
}
