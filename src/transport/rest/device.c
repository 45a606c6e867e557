/* device: create, read, list, assign, delete: section 7.5 of the REST contract. */
#include "transport/rest/device.h"

#include <stdlib.h>
#include <string.h>

#include "core/entity/customer.h"
#include "core/entity/identity_cache.h"
#include "core/storage/writer.h"
#include "transport/rest/json_in.h"
#include "transport/rest/routes.h"

/* --- JSON --- */

static void put_device_members(struct ps_buf *buf, const struct ps_device *device)
{
    ps_answer_ref(buf, "id", PS_ENTITY_DEVICE, &device->id);
    ps_answer_int(buf, "createdTime", device->created_ms);
    ps_answer_ref(buf, "tenantId", PS_ENTITY_TENANT, &device->tenant);
    ps_answer_ref(buf, "customerId", PS_ENTITY_CUSTOMER, &device->customer);
    ps_answer_text(buf, "name", device->name);
    ps_answer_text(buf, "type", device->type);
    ps_answer_text(buf, "label", device->label);
    ps_answer_ref(buf, "deviceProfileId", PS_ENTITY_DEVICE_PROFILE, &device->profile);
    ps_answer_raw(buf, "deviceData", device->device_data);
    ps_answer_null(buf, "firmwareId");
    ps_answer_null(buf, "softwareId");
    ps_answer_external_id(buf, PS_ENTITY_DEVICE, device->external_id);
    ps_answer_int(buf, "version", device->version);
    ps_answer_raw(buf, "additionalInfo", device->additional_info);
}

void ps_rest_put_device(struct ps_buf *buf, const struct ps_device *device)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    put_device_members(buf, device);
    ps_buf_put_char(buf, '}');
}

void ps_rest_put_device_info(struct ps_buf *buf, const struct ps_device_info *info)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    put_device_members(buf, &info->device);
    ps_answer_text(buf, "customerTitle", info->customer_title);
    ps_answer_bool(buf, "customerIsPublic", info->customer_is_public);
    ps_answer_text(buf, "deviceProfileName", info->device.type);
    ps_answer_bool(buf, "active", info->active);
    ps_buf_put_char(buf, '}');
}

/* --- for others --- */

bool ps_rest_find_device(struct ps_rest_call *call, const struct ps_uuid *id,
                         enum ps_operation operation, struct ps_device *out)
{
    struct ps_device device;
    enum ps_status st = ps_device_get(call->db, id, &device);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_DEVICE, id);
        return false;
    }
    struct ps_ownership owner = { device.tenant, device.customer, PS_UUID_NULL };
    if (!ps_rest_allowed(call, PS_RESOURCE_DEVICE, operation, &owner, PS_ENTITY_DEVICE, id)) {
        ps_device_deinit(&device);
        return false;
    }
    *out = device;
    return true;
}

void ps_rest_device_changed(struct ps_rest_call *call, const struct ps_uuid *tenant,
                            const struct ps_uuid *device, bool end_sessions,
                            enum ps_session_end reason)
{
    const struct ps_entity_ref ref = { *tenant, { PS_ENTITY_DEVICE, *device } };
    ps_identity_cache_forget(call->services->identities, device);
    ps_entity_changed(call->services->actors, &ref, end_sessions, reason);
}

/* --- save --- */

struct device_save {
    struct ps_device device;
    struct ps_credentials credentials; /* only read */
    bool has_credentials;
    struct ps_text why;
};

static enum ps_status save_device(struct ps_db *db, void *arg)
{
    struct device_save *save = arg;
    return ps_device_save(db, &save->device, save->has_credentials ? &save->credentials : NULL,
                          &save->why);
}

static bool read_device(struct ps_rest_call *call, struct ps_device *device)
{
    struct ps_json_in in;
    if (!ps_json_in_open(&in, call))
        return false;
    device->tenant = call->principal->tenant;
    ps_json_in_id(&in, "id", &device->id);
    ps_json_in_id(&in, "customerId", &device->customer);
    ps_json_in_id(&in, "deviceProfileId", &device->profile);
    device->name = ps_json_in_copy(&in, "name");
    device->type = ps_json_in_copy(&in, "type");
    device->label = ps_json_in_copy(&in, "label");
    device->device_data = ps_json_in_raw(&in, "deviceData");
    device->additional_info = ps_json_in_raw(&in, "additionalInfo");
    device->external_id = ps_json_in_external_id(&in);
    device->version = ps_json_in_int(&in, "version", 0);
    bool ok = ps_json_in_ok(&in);
    ps_json_in_close(&in);
    return ok;
}

/* Who may: creating is the tenant administrator's; a customer's user cannot give a device away. */
static bool may_save(struct ps_rest_call *call, struct ps_device *device,
                     struct ps_uuid *profile_before)
{
    struct ps_device before;
    if (ps_uuid_is_null(&device->id))
        return ps_rest_has(call, PS_RESOURCE_DEVICE, PS_CREATE);
    if (!ps_rest_find_device(call, &device->id, PS_UPDATE, &before))
        return false;
    if (call->principal->authority == PS_CUSTOMER_USER)
        device->customer = before.customer;
    *profile_before = before.profile;
    ps_device_deinit(&before);
    return true;
}

void ps_rest_device_save(struct ps_rest_call *call)
{
    struct device_save save = { .device = { .id = PS_UUID_NULL } };
    const char *token = ps_rest_param(call, "accessToken");
    struct ps_uuid profile_before = PS_UUID_NULL;
    if (token && *token) {
        save.has_credentials = true;
        save.credentials.type = PS_CREDENTIALS_ACCESS_TOKEN;
        save.credentials.credentials_id = (char *)token; /* only read */
    }
    if (read_device(call, &save.device) && may_save(call, &save.device, &profile_before)) {
        struct ps_uuid asked = save.device.id;
        bool is_new = ps_uuid_is_null(&asked);
        enum ps_status st = ps_writer_call(call->services->writer, save_device, &save);
        if (st == PS_ENOTFOUND && !save.why.data[0])
            ps_rest_not_found(call, PS_ENTITY_DEVICE, &asked);
        else if (ps_rest_changed(call, st, &save.why)) {
            if (!is_new)
                ps_rest_device_changed(call, &save.device.tenant, &save.device.id,
                                       !ps_uuid_equal(&save.device.profile, &profile_before),
                                       PS_SESSION_CREDENTIALS_CHANGED);
            ps_rest_put_device(ps_rest_json(call), &save.device);
        }
    }
    ps_device_deinit(&save.device);
}

/* --- read --- */

void ps_rest_device_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device device;
    if (!ps_rest_uuid(call, call->captures[0], &id) ||
        !ps_rest_find_device(call, &id, PS_READ, &device))
        return;
    ps_rest_put_device(ps_rest_json(call), &device);
    ps_device_deinit(&device);
}

void ps_rest_device_get_info(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device_info info;
    if (!ps_rest_uuid(call, call->captures[0], &id))
        return;
    enum ps_status st = ps_device_get_info(call->db, &id, &info);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_DEVICE, &id);
        return;
    }
    struct ps_ownership owner = { info.device.tenant, info.device.customer, PS_UUID_NULL };
    if (ps_rest_allowed(call, PS_RESOURCE_DEVICE, PS_READ, &owner, PS_ENTITY_DEVICE, &id))
        ps_rest_put_device_info(ps_rest_json(call), &info);
    ps_device_info_deinit(&info);
}

void ps_rest_device_by_name(struct ps_rest_call *call)
{
    const char *name;
    struct ps_device device;
    if (!ps_rest_required(call, "deviceName", &name))
        return;
    enum ps_status st =
        ps_device_find_by_name(call->db, &call->principal->tenant, name, strlen(name), &device);
    if (st == PS_ENOTFOUND) {
        ps_http_reply_error(call->reply, 404, PS_HTTP_NOT_FOUND,
                            "Device with name [%s] is not found", name);
    } else if (ps_rest_changed(call, st, NULL)) {
        ps_rest_put_device(ps_rest_json(call), &device);
        ps_device_deinit(&device);
    }
}

/* --- lists --- */

static void list_devices(struct ps_rest_call *call, struct ps_device_filter *filter, bool infos)
{
    struct ps_page_query page;
    struct ps_device_list list;
    if (!ps_rest_page(call, &page))
        return;
    const char *type = ps_rest_param(call, "type");
    filter->tenant = call->principal->tenant;
    filter->type = type && *type ? type : NULL;
    filter->search_infos = infos;
    enum ps_status st = ps_device_list(call->db, filter, &page, &list);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, "Unknown sort property");
        return;
    }
    struct ps_buf *buf = ps_rest_page_begin(call);
    for (size_t i = 0; i < list.count; i++) {
        if (infos)
            ps_rest_put_device_info(buf, &list.items[i]);
        else
            ps_rest_put_device(buf, &list.items[i].device);
    }
    ps_rest_page_end(call, &page, list.total);
    ps_device_list_deinit(&list);
}

static void list_device_infos(struct ps_rest_call *call, struct ps_device_filter *filter)
{
    const char *profile = ps_rest_param(call, "deviceProfileId");
    bool active = false;
    if (profile && *profile && !ps_rest_uuid(call, profile, &filter->profile))
        return;
    if (!ps_rest_bool(call, "active", &active))
        return;
    filter->active = ps_rest_param(call, "active") ? &active : NULL;
    list_devices(call, filter, true);
}

/* The customer of the path, if the caller may look at it. */
static bool find_customer(struct ps_rest_call *call, const char *text, struct ps_uuid *out)
{
    struct ps_customer customer;
    if (!ps_rest_uuid(call, text, out))
        return false;
    enum ps_status st = ps_customer_get(call->db, out, &customer);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_CUSTOMER, out);
        return false;
    }
    struct ps_ownership owner = { customer.tenant, customer.id, PS_UUID_NULL };
    ps_customer_deinit(&customer);
    return ps_rest_allowed(call, PS_RESOURCE_CUSTOMER, PS_READ, &owner, PS_ENTITY_CUSTOMER, out);
}

void ps_rest_tenant_devices(struct ps_rest_call *call)
{
    struct ps_device_filter filter = { .customer = PS_UUID_NULL };
    if (ps_rest_param(call, "deviceName"))
        ps_rest_device_by_name(call);
    else
        list_devices(call, &filter, false);
}

void ps_rest_tenant_device_infos(struct ps_rest_call *call)
{
    struct ps_device_filter filter = { .customer = PS_UUID_NULL };
    list_device_infos(call, &filter);
}

void ps_rest_customer_devices(struct ps_rest_call *call)
{
    struct ps_device_filter filter = { .profile = PS_UUID_NULL };
    if (find_customer(call, call->captures[0], &filter.customer))
        list_devices(call, &filter, false);
}

void ps_rest_customer_device_infos(struct ps_rest_call *call)
{
    struct ps_device_filter filter = { .profile = PS_UUID_NULL };
    if (find_customer(call, call->captures[0], &filter.customer))
        list_device_infos(call, &filter);
}

/* --- assign, delete --- */

struct device_change {
    struct ps_uuid device, customer;
};

static enum ps_status assign_device(struct ps_db *db, void *arg)
{
    const struct device_change *change = arg;
    return ps_device_assign(db, &change->device, &change->customer);
}

static void assign(struct ps_rest_call *call, const struct ps_device *device,
                   const struct ps_uuid *customer)
{
    struct device_change change = { device->id, *customer };
    struct ps_device now;
    enum ps_status st = ps_writer_call(call->services->writer, assign_device, &change);
    if (st == PS_OK) {
        ps_rest_device_changed(call, &device->tenant, &device->id, false,
                               PS_SESSION_CREDENTIALS_CHANGED);
        st = ps_device_get(call->db, &device->id, &now);
    }
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_DEVICE, &device->id);
        return;
    }
    ps_rest_put_device(ps_rest_json(call), &now);
    ps_device_deinit(&now);
}

void ps_rest_device_assign(struct ps_rest_call *call)
{
    struct ps_uuid id, customer;
    struct ps_device device;
    if (!find_customer(call, call->captures[0], &customer) ||
        !ps_rest_uuid(call, call->captures[1], &id) ||
        !ps_rest_find_device(call, &id, PS_ASSIGN, &device))
        return;
    assign(call, &device, &customer);
    ps_device_deinit(&device);
}

void ps_rest_device_unassign(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device device;
    if (!ps_rest_uuid(call, call->captures[0], &id) ||
        !ps_rest_find_device(call, &id, PS_ASSIGN, &device))
        return;
    if (ps_uuid_is_null(&device.customer))
        ps_rest_bad_request(call, "Device isn't assigned to any customer!");
    else
        assign(call, &device, &PS_UUID_NULL);
    ps_device_deinit(&device);
}

static enum ps_status delete_device(struct ps_db *db, void *arg)
{
    return ps_device_delete(db, arg);
}

void ps_rest_device_delete(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device device;
    if (!ps_rest_uuid(call, call->captures[0], &id) ||
        !ps_rest_find_device(call, &id, PS_DELETE, &device))
        return;
    enum ps_status st = ps_writer_call(call->services->writer, delete_device, &id);
    if (st == PS_OK) {
        ps_rest_device_changed(call, &device.tenant, &id, true, PS_SESSION_DEVICE_DELETED);
        ps_http_reply_empty(call->reply);
    } else {
        ps_rest_lookup_failed(call, st, PS_ENTITY_DEVICE, &id);
    }
    ps_device_deinit(&device);
}
