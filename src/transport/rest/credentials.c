/* credentials: how a device proves who it is: section 7.6 of the REST contract. */
#include "core/entity/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "core/storage/writer.h"
#include "transport/rest/device.h"
#include "transport/rest/json_in.h"
#include "transport/rest/routes.h"

static void put_credentials(struct ps_buf *buf, const struct ps_credentials *credentials)
{
    ps_buf_put_char(buf, '{');
    ps_answer_name(buf, "id");
    ps_buf_put_char(buf, '{');
    ps_answer_uuid(buf, "id", &credentials->id);
    ps_buf_put_char(buf, '}');
    ps_answer_int(buf, "createdTime", credentials->created_ms);
    ps_answer_ref(buf, "deviceId", PS_ENTITY_DEVICE, &credentials->device);
    ps_answer_text(buf, "credentialsType", ps_credentials_type_name(credentials->type));
    ps_answer_text(buf, "credentialsId", credentials->credentials_id);
    ps_answer_text(buf, "credentialsValue", credentials->credentials_value);
    ps_answer_int(buf, "version", credentials->version);
    ps_buf_put_char(buf, '}');
}

static void answer_credentials(struct ps_rest_call *call, const struct ps_uuid *device)
{
    struct ps_credentials credentials;
    enum ps_status st = ps_credentials_get(call->db, device, &credentials);
    if (st != PS_OK) {
        ps_rest_lookup_failed(call, st, PS_ENTITY_DEVICE, device);
        return;
    }
    put_credentials(ps_rest_json(call), &credentials);
    ps_credentials_deinit(&credentials);
}

void ps_rest_credentials_get(struct ps_rest_call *call)
{
    struct ps_uuid id;
    struct ps_device device;
    if (!ps_rest_uuid(call, call->captures[0], &id) ||
        !ps_rest_find_device(call, &id, PS_READ_CREDENTIALS, &device))
        return;
    ps_device_deinit(&device);
    answer_credentials(call, &id);
}

struct credentials_save {
    struct ps_credentials credentials;
    struct ps_text why;
};

static enum ps_status save_credentials(struct ps_db *db, void *arg)
{
    struct credentials_save *save = arg;
    return ps_credentials_save(db, &save->credentials, &save->why);
}

static bool read_credentials(struct ps_rest_call *call, struct ps_credentials *credentials)
{
    struct ps_json_in in;
    if (!ps_json_in_open(&in, call))
        return false;
    bool has_device = ps_json_in_id(&in, "deviceId", &credentials->device);
    const char *type = ps_json_in_text(&in, "credentialsType");
    credentials->credentials_id = ps_json_in_copy(&in, "credentialsId");
    credentials->credentials_value = ps_json_in_copy(&in, "credentialsValue");
    credentials->version = ps_json_in_int(&in, "version", 0);
    bool ok = ps_json_in_ok(&in);
    if (ok && !has_device) {
        ps_rest_bad_request(call, "Device credentials should be assigned to device!");
        ok = false;
    } else if (ok && !type) {
        ps_rest_bad_request(call, "Device credentials type should be specified!");
        ok = false;
    } else if (ok && ps_credentials_type_parse(type, strlen(type), &credentials->type) != PS_OK) {
        ps_rest_bad_request(call,
                            "Unknown credentials type '%s': ACCESS_TOKEN, MQTT_BASIC or "
                            "X509_CERTIFICATE",
                            type);
        ok = false;
    }
    ps_json_in_close(&in);
    return ok;
}

void ps_rest_credentials_save(struct ps_rest_call *call)
{
    struct credentials_save save = { .credentials = { .device = PS_UUID_NULL } };
    struct ps_credentials *credentials = &save.credentials;
    struct ps_device device;
    if (read_credentials(call, credentials) &&
        ps_rest_find_device(call, &credentials->device, PS_WRITE_CREDENTIALS, &device)) {
        enum ps_status st = ps_writer_call(call->services->writer, save_credentials, &save);
        if (st == PS_ENOTFOUND)
            ps_rest_bad_request(call, "Unable to update non-existent device credentials!");
        else if (ps_rest_changed(call, st, &save.why)) {
            ps_rest_device_changed(call, &device.tenant, &device.id, true,
                                   PS_SESSION_CREDENTIALS_CHANGED);
            answer_credentials(call, &device.id);
        }
        ps_device_deinit(&device);
    }
    ps_credentials_deinit(credentials);
}
