/* permission: the three authorities and what each may do. Section 5 of the REST contract. */
#ifndef PS_CORE_AUTH_PERMISSION_H
#define PS_CORE_AUTH_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "core/uuid.h"

enum ps_authority { PS_SYS_ADMIN, PS_TENANT_ADMIN, PS_CUSTOMER_USER };

/** "SYS_ADMIN", "TENANT_ADMIN", "CUSTOMER_USER". */
const char *ps_authority_name(enum ps_authority authority);
PS_MUST_CHECK
enum ps_status ps_authority_parse(const char *text, size_t len, enum ps_authority *out);

/* Who asks. Ids are PS_UUID_NULL where the authority has none. */
struct ps_principal {
    enum ps_authority authority;
    struct ps_uuid user, tenant, customer;
};

enum ps_resource {
    PS_RESOURCE_TENANT,
    PS_RESOURCE_TENANT_PROFILE,
    PS_RESOURCE_USER,
    PS_RESOURCE_CUSTOMER,
    PS_RESOURCE_DEVICE,
    PS_RESOURCE_DEVICE_PROFILE,
    PS_RESOURCE_RULE_CHAIN,
};

enum ps_operation {
    PS_READ,      /* entity, and device profile as a whole */
    PS_READ_INFO, /* id and name only */
    PS_CREATE,
    PS_UPDATE,
    PS_DELETE,
    PS_ASSIGN,
    PS_READ_CREDENTIALS,
    PS_WRITE_CREDENTIALS,
    PS_READ_VALUES, /* attributes and telemetry */
    PS_WRITE_VALUES,
    PS_RPC,
};

/** May this authority do this to any such resource at all? Thread: any. */
bool ps_permission_has(enum ps_authority authority, enum ps_resource resource,
                       enum ps_operation operation);

/* Whose an entity is. For a tenant: its own id as `tenant`; for a customer: its own id as
 * `customer`; for a user also `user`. PS_UUID_NULL where none. */
struct ps_ownership {
    struct ps_uuid tenant, customer, user;
};

/**
 * May the principal do this to that entity?
 *
 * Returns: PS_OK; PS_ENOTFOUND another tenant's, answer as if it did not exist; PS_EDENIED.
 * Thread:  any.
 */
PS_MUST_CHECK
enum ps_status ps_permission_check(const struct ps_principal *principal, enum ps_resource resource,
                                   enum ps_operation operation, const struct ps_ownership *owner);

#endif
