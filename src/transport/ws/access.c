#include "transport/ws/access.h"

#include <string.h>

#include "core/auth/session_registry.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/entity/customer.h"
#include "core/entity/device.h"
#include "core/entity/device_profile.h"
#include "core/entity/rule_chain.h"
#include "core/entity/tenant.h"
#include "core/entity/user.h"

/* The texts are the reference's: scripts compare them. */
static const char *refusal(enum ps_status st)
{
    return st == PS_EPROTO ? "Invalid JWT token: " : "JWT Token expired";
}

enum ps_status ps_ws_token_check(const struct ps_services *services, const char *token,
                                 struct ps_jwt_claims *out, const char **why)
{
    struct ps_jwt_settings settings = {
        .key = services->jwt_key,
        .key_len = services->jwt_key_len,
        .issuer = services->config->auth_token_issuer,
        .access_s = services->config->auth_access_token_s,
        .refresh_s = services->config->auth_refresh_token_s,
    };
    struct ps_jwt_claims claims;
    enum ps_status st = ps_jwt_verify(&settings, token, strlen(token), ps_clock_now_ms(), &claims);
    if (st != PS_OK) {
        *why = refusal(st);
        return PS_EAUTH;
    }
    if (claims.is_refresh) {
        *why = "Token is invalid";
        return PS_EAUTH;
    }
    if (!claims.enabled || ps_ws_token_is_revoked(services, &claims)) {
        *why = "Token is outdated";
        return PS_EAUTH;
    }
    *out = claims;
    return PS_OK;
}

bool ps_ws_token_is_revoked(const struct ps_services *services, const struct ps_jwt_claims *claims)
{
    return ps_session_registry_is_revoked(services->sessions, claims);
}

static enum ps_status device_owner(struct ps_db *db, const struct ps_uuid *id,
                                   struct ps_ownership *owner)
{
    struct ps_device device;
    enum ps_status st = ps_device_get(db, id, &device);
    if (st != PS_OK)
        return st;
    owner->tenant = device.tenant;
    owner->customer = device.customer;
    ps_device_deinit(&device);
    return PS_OK;
}

static enum ps_status customer_owner(struct ps_db *db, const struct ps_uuid *id,
                                     struct ps_ownership *owner)
{
    struct ps_customer customer;
    enum ps_status st = ps_customer_get(db, id, &customer);
    if (st != PS_OK)
        return st;
    owner->tenant = customer.tenant;
    owner->customer = customer.id;
    ps_customer_deinit(&customer);
    return PS_OK;
}

static enum ps_status user_owner(struct ps_db *db, const struct ps_uuid *id,
                                 struct ps_ownership *owner)
{
    struct ps_user user;
    enum ps_status st = ps_user_get(db, id, &user);
    if (st != PS_OK)
        return st;
    *owner = (struct ps_ownership){ user.tenant, user.customer, user.id };
    ps_user_deinit(&user);
    return PS_OK;
}

static enum ps_status tenant_owner(struct ps_db *db, const struct ps_uuid *id,
                                   struct ps_ownership *owner)
{
    struct ps_tenant tenant;
    enum ps_status st = ps_tenant_get(db, id, &tenant);
    if (st != PS_OK)
        return st;
    owner->tenant = tenant.id;
    ps_tenant_deinit(&tenant);
    return PS_OK;
}

static enum ps_status device_profile_owner(struct ps_db *db, const struct ps_uuid *id,
                                           struct ps_ownership *owner)
{
    struct ps_device_profile profile;
    enum ps_status st = ps_device_profile_get(db, id, &profile);
    if (st != PS_OK)
        return st;
    owner->tenant = profile.tenant;
    ps_device_profile_deinit(&profile);
    return PS_OK;
}

static enum ps_status rule_chain_owner(struct ps_db *db, const struct ps_uuid *id,
                                       struct ps_ownership *owner)
{
    struct ps_rule_chain chain;
    enum ps_status st = ps_rule_chain_get(db, id, &chain);
    if (st != PS_OK)
        return st;
    owner->tenant = chain.tenant;
    ps_rule_chain_deinit(&chain);
    return PS_OK;
}

/* Kinds of entities that exist; what is not here is as unknown as an unknown id. */
static const struct readable_kind {
    enum ps_entity_type type;
    enum ps_resource resource;
    enum ps_status (*owner)(struct ps_db *db, const struct ps_uuid *id, struct ps_ownership *owner);
} readable_kinds[] = {
    { PS_ENTITY_DEVICE, PS_RESOURCE_DEVICE, device_owner },
    { PS_ENTITY_CUSTOMER, PS_RESOURCE_CUSTOMER, customer_owner },
    { PS_ENTITY_USER, PS_RESOURCE_USER, user_owner },
    { PS_ENTITY_TENANT, PS_RESOURCE_TENANT, tenant_owner },
    { PS_ENTITY_DEVICE_PROFILE, PS_RESOURCE_DEVICE_PROFILE, device_profile_owner },
    { PS_ENTITY_RULE_CHAIN, PS_RESOURCE_RULE_CHAIN, rule_chain_owner },
};

static const struct readable_kind *find_kind(enum ps_entity_type type)
{
    for (size_t i = 0; i < sizeof readable_kinds / sizeof readable_kinds[0]; i++)
        if (readable_kinds[i].type == type)
            return &readable_kinds[i];
    return NULL;
}

enum ps_status ps_ws_may_read(struct ps_db *db, const struct ps_principal *principal,
                              const struct ps_entity_id *entity, struct ps_uuid *tenant)
{
    const struct readable_kind *kind = find_kind(entity->type);
    struct ps_ownership owner = { PS_UUID_NULL, PS_UUID_NULL, PS_UUID_NULL };
    enum ps_status st = kind ? kind->owner(db, &entity->id, &owner) : PS_ENOTFOUND;
    if (st == PS_OK)
        st = ps_permission_check(principal, kind->resource, PS_READ_VALUES, &owner);
    if (st == PS_OK)
        *tenant = owner.tenant;
    return st == PS_ENOTFOUND ? PS_EDENIED : st;
}
