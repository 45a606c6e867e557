/* device_profile: what devices of a kind have in common: section 7.7 of the REST contract. */
#include "core/entity/device_profile.h"

#include <string.h>

#include "core/entity/identity_cache.h"
#include "core/storage/writer.h"
#include "transport/rest/call.h"
#include "transport/rest/json_in.h"
#include "transport/rest/routes.h"

/* --- JSON --- */

static void put_profile(struct ps_buf *buf, const struct ps_device_profile *profile)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_ref(buf, "id", PS_ENTITY_DEVICE_PROFILE, &profile->id);
    ps_answer_int(buf, "createdTime", profile->created_ms);
    ps_answer_ref(buf, "tenantId", PS_ENTITY_TENANT, &profile->tenant);
    ps_answer_text(buf, "name", profile->name);
    ps_answer_text(buf, "description", profile->description);
    ps_answer_text(buf, "image", profile->image);
    ps_answer_text(buf, "type", "DEFAULT");
    ps_answer_text(buf, "transportType", ps_transport_type_name(profile->transport_type));
    ps_answer_text(buf, "provisionType", profile->provision_type);
    ps_answer_ref_or_null(buf, "defaultRuleChainId", PS_ENTITY_RULE_CHAIN,
                          &profile->default_rule_chain);
    ps_answer_ref_or_null(buf, "defaultDashboardId", PS_ENTITY_DASHBOARD,
                          &profile->default_dashboard);
    ps_answer_text(buf, "defaultQueueName", profile->default_queue_name);
    ps_answer_text(buf, "provisionDeviceKey", profile->provision_device_key);
    ps_answer_null(buf, "firmwareId");
    ps_answer_null(buf, "softwareId");
    ps_answer_null(buf, "defaultEdgeRuleChainId");
    ps_answer_external_id(buf, PS_ENTITY_DEVICE_PROFILE, profile->external_id);
    ps_answer_int(buf, "version", profile->version);
    ps_answer_bool(buf, "default", profile->is_default);
    ps_answer_raw(buf, "profileData", profile->profile_data);
    ps_buf_put_char(buf, '}');
}

static void put_info(struct ps_buf *buf, const struct ps_device_profile *profile)
{
    ps_answer_item(buf);
    ps_buf_put_char(buf, '{');
    ps_answer_ref(buf, "id", PS_ENTITY_DEVICE_PROFILE, &profile->id);
    ps_answer_ref(buf, "tenantId", PS_ENTITY_TENANT, &profile->tenant);
    ps_answer_text(buf, "name", profile->name);
    ps_answer_text(buf, "image", profile->image);
    ps_answer_ref_or_null(buf, "defaultDashboardId", PS_ENTITY_DASHBOARD,
                          &profile->default_dashboard);
    ps_answer_text(buf, "type", "DEFAULT");
    ps_answer_text(buf, "transportType", ps_transport_type_name(profile->transport_type));
    ps_buf_put_char(buf, '}');
}

/* --- read --- */

static bool find_profile(struct ps_rest_call *call, const struct ps_uuid *id,
                         enum ps_operation operation, struct ps_device_profile *out)
{
    struct ps_device_profile profile;
    enum ps_status st = ps_device_profile_get(call->db, id, &profile);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_DEVICE_PROFILE, id);
        return false;
    }
    struct ps_ownership owner = { profile.tenant, PS_UUID_NULL, PS_UUID_NULL };
    if (!ps_rest_allowed(call, PS_RESOURCE_DEVICE_PROFILE, operation, &owner,
                         PS_ENTITY_DEVICE_PROFILE, id)) {
        ps_device_profile_deinit(&profile);
        return false;
    }
    *out = profile;
    return true;
}

void ps_rest_device_profile_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device_profile profile;
    if (!ps_rest_uuid(call, call->captures[0], &id) || !find_profile(call, &id, PS_READ, &profile))
        return;
    put_profile(ps_rest_json(call), &profile);
    ps_device_profile_deinit(&profile);
}

void ps_rest_device_profile_info(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device_profile profile;
    if (!ps_rest_uuid(call, call->captures[0], &id) ||
        !find_profile(call, &id, PS_READ_INFO, &profile))
        return;
    put_info(ps_rest_json(call), &profile);
    ps_device_profile_deinit(&profile);
}

void ps_rest_device_profile_info_default(struct ps_rest_call *call)
{
    struct ps_device_profile profile;
    enum ps_status st = ps_device_profile_get_default(call->db, &call->principal->tenant, &profile);
    if (!ps_rest_changed(call, st, NULL))
        return;
    put_info(ps_rest_json(call), &profile);
    ps_device_profile_deinit(&profile);
}

static void list_profiles(struct ps_rest_call *call, bool infos)
{
    struct ps_page_query page;
    struct ps_device_profile_list list;
    struct ps_device_profile_filter filter = { .tenant = call->principal->tenant };
    enum ps_transport_type transport;
    const char *wanted = infos ? ps_rest_param(call, "transportType") : NULL;
    if (!ps_rest_page(call, &page))
        return;
    if (wanted && *wanted) {
        if (ps_transport_type_parse(wanted, strlen(wanted), &transport) != PS_OK) {
            ps_rest_bad_request(call, "Unknown transportType '%s': DEFAULT, MQTT or COAP", wanted);
            return;
        }
        filter.transport_type = &transport;
    }
    enum ps_status st = ps_device_profile_list(call->db, &filter, &page, &list);
    if (st != PS_OK) {
        ps_http_reply_failure(call->reply, st, "Unknown sort property");
        return;
    }
    struct ps_buf *buf = ps_rest_page_begin(call);
    for (size_t i = 0; i < list.count; i++) {
        if (infos)
            put_info(buf, &list.items[i]);
        else
            put_profile(buf, &list.items[i]);
    }
    ps_rest_page_end(call, &page, list.total);
    ps_device_profile_list_deinit(&list);
}

void ps_rest_device_profile_list(struct ps_rest_call *call)
{
    list_profiles(call, false);
}

void ps_rest_device_profile_infos(struct ps_rest_call *call)
{
    list_profiles(call, true);
}

/* --- save, delete --- */

struct profile_save {
    struct ps_device_profile profile;
    struct ps_text why;
};

static enum ps_status save_profile(struct ps_db *db, void *arg)
{
    struct profile_save *save = arg;
    return ps_device_profile_save(db, &save->profile, &save->why);
}

static bool read_profile(struct ps_rest_call *call, struct ps_device_profile *profile)
{
    struct ps_json_in in;
    if (!ps_json_in_open(&in, call))
        return false;
    profile->tenant = call->principal->tenant;
    ps_json_in_id(&in, "id", &profile->id);
    profile->name = ps_json_in_copy(&in, "name");
    profile->description = ps_json_in_copy(&in, "description");
    profile->image = ps_json_in_copy(&in, "image");
    profile->provision_type = ps_json_in_copy(&in, "provisionType");
    profile->provision_device_key = ps_json_in_copy(&in, "provisionDeviceKey");
    profile->default_queue_name = ps_json_in_copy(&in, "defaultQueueName");
    profile->profile_data = ps_json_in_raw(&in, "profileData");
    profile->external_id = ps_json_in_external_id(&in);
    profile->version = ps_json_in_int(&in, "version", 0);
    ps_json_in_id(&in, "defaultRuleChainId", &profile->default_rule_chain);
    ps_json_in_id(&in, "defaultDashboardId", &profile->default_dashboard);
    const char *transport = ps_json_in_text(&in, "transportType");
    bool ok = ps_json_in_ok(&in);
    if (ok && transport &&
        ps_transport_type_parse(transport, strlen(transport), &profile->transport_type) != PS_OK) {
        ps_rest_bad_request(call, "Unknown transportType '%s': DEFAULT, MQTT or COAP", transport);
        ok = false;
    }
    ps_json_in_close(&in);
    return ok;
}

static bool may_save(struct ps_rest_call *call, const struct ps_device_profile *profile)
{
    struct ps_device_profile before;
    if (ps_uuid_is_null(&profile->id))
        return ps_rest_has(call, PS_RESOURCE_DEVICE_PROFILE, PS_CREATE);
    if (!find_profile(call, &profile->id, PS_UPDATE, &before))
        return false;
    ps_device_profile_deinit(&before);
    return true;
}

void ps_rest_device_profile_save(struct ps_rest_call *call)
{
    struct profile_save save = { .profile = { .id = PS_UUID_NULL } };
    struct ps_device_profile *profile = &save.profile;
    if (read_profile(call, profile) && may_save(call, profile)) {
        enum ps_status st = ps_writer_call(call->services->writer, save_profile, &save);
        if (ps_rest_changed(call, st, &save.why)) {
            /* Every device of the profile carries its name and chain. */
            ps_identity_cache_forget(call->services->identities, NULL);
            put_profile(ps_rest_json(call), profile);
        }
    }
    ps_device_profile_deinit(profile);
}

struct profile_change {
    struct ps_uuid id;
    struct ps_text why;
};

static enum ps_status delete_profile(struct ps_db *db, void *arg)
{
    struct profile_change *change = arg;
    return ps_device_profile_delete(db, &change->id, &change->why);
}

static enum ps_status set_default_profile(struct ps_db *db, void *arg)
{
    struct profile_change *change = arg;
    return ps_device_profile_set_default(db, &change->id);
}

static bool change_profile(struct ps_rest_call *call, enum ps_operation operation,
                           enum ps_status (*change_it)(struct ps_db *db, void *arg),
                           struct ps_uuid *id)
{
    struct ps_device_profile profile;
    if (!ps_rest_uuid(call, call->captures[0], id) || !find_profile(call, id, operation, &profile))
        return false;
    ps_device_profile_deinit(&profile);
    struct profile_change change = { .id = *id };
    enum ps_status st = ps_writer_call(call->services->writer, change_it, &change);
    return ps_rest_changed(call, st, &change.why);
}

void ps_rest_device_profile_delete(struct ps_rest_call *call)
{
    struct ps_uuid id;
    if (change_profile(call, PS_DELETE, delete_profile, &id))
        ps_http_reply_empty(call->reply);
}

void ps_rest_device_profile_set_default(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device_profile profile;
    if (!change_profile(call, PS_UPDATE, set_default_profile, &id) ||
        !find_profile(call, &id, PS_READ, &profile))
        return;
    put_profile(ps_rest_json(call), &profile);
    ps_device_profile_deinit(&profile);
}
