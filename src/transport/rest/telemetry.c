#include "transport/rest/telemetry.h"

#include <stdlib.h>
#include <string.h>

#include "core/entity/attribute.h"
#include "core/entity/customer.h"
#include "core/entity/device_profile.h"
#include "core/entity/user.h"
#include "transport/rest/device.h"

/* --- the entity --- */

/* Who owns the entity; PS_ENOTFOUND also for kinds that cannot exist in this version. */
static enum ps_status find_owner(struct ps_db *db, const struct ps_entity_id *entity,
                                 struct ps_ownership *owner, enum ps_resource *resource)
{
    struct ps_customer customer;
    struct ps_user user;
    struct ps_device_profile profile;
    enum ps_status st = PS_ENOTFOUND;
    *owner = (struct ps_ownership){ PS_UUID_NULL, PS_UUID_NULL, PS_UUID_NULL };
    switch (entity->type) {
    case PS_ENTITY_TENANT:
        *resource = PS_RESOURCE_TENANT;
        owner->tenant = entity->id;
        return PS_OK;
    case PS_ENTITY_CUSTOMER:
        *resource = PS_RESOURCE_CUSTOMER;
        st = ps_customer_get(db, &entity->id, &customer);
        if (st == PS_OK) {
            *owner = (struct ps_ownership){ customer.tenant, customer.id, PS_UUID_NULL };
            ps_customer_deinit(&customer);
        }
        return st;
    case PS_ENTITY_USER:
        *resource = PS_RESOURCE_USER;
        st = ps_user_get(db, &entity->id, &user);
        if (st == PS_OK) {
            *owner = (struct ps_ownership){ user.tenant, user.customer, user.id };
            ps_user_deinit(&user);
        }
        return st;
    case PS_ENTITY_DEVICE_PROFILE:
        *resource = PS_RESOURCE_DEVICE_PROFILE;
        st = ps_device_profile_get(db, &entity->id, &profile);
        if (st == PS_OK) {
            owner->tenant = profile.tenant;
            ps_device_profile_deinit(&profile);
        }
        return st;
    default:
        return st;
    }
}

static bool find_other(struct ps_rest_call *call, const struct ps_entity_id *entity,
                       enum ps_operation operation, struct ps_uuid *tenant)
{
    struct ps_ownership owner;
    enum ps_resource resource;
    enum ps_status st = find_owner(call->db, entity, &owner, &resource);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, entity->type, &entity->id);
        return false;
    }
    *tenant = owner.tenant;
    return ps_rest_allowed(call, resource, operation, &owner, entity->type, &entity->id);
}

static bool find_device(struct ps_rest_call *call, const struct ps_uuid *id,
                        enum ps_operation operation, struct ps_uuid *tenant)
{
    struct ps_device device;
    if (call->principal->authority == PS_SYS_ADMIN) {
        ps_http_reply_error(call->reply, 403, PS_HTTP_PERMISSION_DENIED,
                            "System administrator is not allowed to perform this operation!");
        return false;
    }
    if (!ps_rest_find_device(call, id, operation, &device))
        return false;
    *tenant = device.tenant;
    ps_device_deinit(&device);
    return true;
}

static bool parse_type(struct ps_rest_call *call, const char *text, enum ps_entity_type *out)
{
    if (ps_entity_type_parse(text, strlen(text), out) == PS_OK)
        return true;
    ps_rest_bad_request(call,
                        "Unknown entity type '%s': DEVICE, ASSET, ENTITY_VIEW, CUSTOMER, TENANT, "
                        "USER, DEVICE_PROFILE or ASSET_PROFILE",
                        text);
    return false;
}

bool ps_rest_find_entity(struct ps_rest_call *call, const char *type_text, const char *id_text,
                         enum ps_operation operation, struct ps_entity_ref *out)
{
    out->entity.type = PS_ENTITY_DEVICE;
    if (type_text && !parse_type(call, type_text, &out->entity.type))
        return false;
    if (!ps_rest_uuid(call, id_text, &out->entity.id))
        return false;
    if (out->entity.type == PS_ENTITY_DEVICE)
        return find_device(call, &out->entity.id, operation, &out->tenant);
    return find_other(call, &out->entity, operation, &out->tenant);
}

/* --- keys --- */

static size_t count_pieces(const char *text)
{
    size_t count = 1;
    for (; *text; text++)
        count += *text == ',';
    return count;
}

static void split(struct ps_rest_keys *keys, const char *text, char **write)
{
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len > 0) {
            memcpy(*write, text, len);
            (*write)[len] = '\0';
            keys->list[keys->count++] = *write;
            *write += len + 1;
        }
        text += len + (text[len] == ',');
    }
}

static void drop_repeated(struct ps_rest_keys *keys)
{
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        size_t j = 0;
        while (j < kept && strcmp(keys->list[j], keys->list[i]) != 0)
            j++;
        if (j == kept)
            keys->list[kept++] = keys->list[i];
    }
    keys->count = kept;
}

bool ps_rest_keys_parse(struct ps_rest_call *call, struct ps_rest_keys *out)
{
    const struct ps_http_target *target = &call->http->target;
    size_t slots = 1, bytes = 1;
    bool whole = ps_http_param(target, "key") != NULL;
    for (size_t i = 0; i < target->param_count; i++) {
        slots += count_pieces(target->params[i].value);
        bytes += strlen(target->params[i].value) + 1;
    }
    struct ps_rest_keys keys = { 0, malloc(slots * sizeof *keys.list), malloc(bytes) };
    if (!keys.list || !keys.storage) {
        ps_rest_keys_deinit(&keys);
        ps_http_reply_failure(call->reply, PS_ENOMEM, NULL);
        return false;
    }
    char *write = keys.storage;
    for (size_t i = 0; i < target->param_count; i++) {
        const struct ps_http_param *param = &target->params[i];
        if (whole && strcmp(param->name, "key") == 0 && *param->value)
            keys.list[keys.count++] = param->value;
        else if (!whole && strcmp(param->name, "keys") == 0)
            split(&keys, param->value, &write);
    }
    drop_repeated(&keys);
    *out = keys;
    return true;
}

void ps_rest_keys_deinit(struct ps_rest_keys *keys)
{
    free(keys->list);
    free(keys->storage);
    *keys = (struct ps_rest_keys){ 0 };
}

bool ps_rest_scope(struct ps_rest_call *call, const char *text, enum ps_attribute_scope *out)
{
    if (ps_attribute_scope_parse(text, strlen(text), out) == PS_OK)
        return true;
    ps_rest_bad_request(call, "Invalid scope: %s", text);
    return false;
}
